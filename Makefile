# SPDX-License-Identifier: BSD-2-Clause
#
# BSD make only: bmake [-j N] [all | test | demo | install | ...].  README.md
# explains targets and variables.

.include "Makefile.inc"

SUBDIR=		include lib man pkgconfig examples tests

.MAIN: all

.for t in all clean lint ${COMPONENTS:S/^/install-/} ${COMPONENTS:S/^/uninstall-/}
${t}: .PHONY ${SUBDIR:S/^/${t}./}
.  for d in ${SUBDIR}
${t}.${d}: .PHONY .MAKE
	@cd ${.CURDIR}/${d} && ${.MAKE} ${t}
.  endfor
.endfor

install: .PHONY install-lib install-dev install-man install-examples
uninstall: .PHONY ${COMPONENTS:S/^/uninstall-/}

# What is installed, tried or linked must be built before.  The objects alone
# need no more than lib; that target has no part in `install'.
all.tests all.examples: all.lib
.for c in ${COMPONENTS:Nobjects}
${SUBDIR:S/^/install-${c}./}: all
.endfor
install-objects.lib: all.lib

examples: .PHONY all.examples

test: .PHONY .MAKE all
	@cd ${.CURDIR}/tests && ${.MAKE} test

demo: .PHONY all.examples
	@cd ${.CURDIR}/examples && ${.MAKE} demo
