# SPDX-License-Identifier: BSD-2-Clause
#
# BSD make only: bmake [-j N] [all | test | demo | install | ...].  README.md
# explains targets and variables, HACKING those for developers.

.include "Makefile.inc"

SUBDIR=		include lib man pkgconfig examples tests

.MAIN: all

.for t in all clean lint ${COMPONENTS:S/^/install-/} \
    ${COMPONENTS:S/^/uninstall-/}
${t}: .PHONY ${SUBDIR:S/^/${t}./}
.  for d in ${SUBDIR}
${t}.${d}: .PHONY .MAKE
	@cd ${.CURDIR}/${d} && ${.MAKE} ${t}
.  endfor
.endfor

install: .PHONY install-lib install-dev install-man install-examples
uninstall: .PHONY ${COMPONENTS:S/^/uninstall-/}
.if empty(DESTDIR)
${"${.TARGETS:Minstall}" != "":?install:install-lib} \
${"${.TARGETS:Muninstall}" != "":?uninstall:uninstall-lib}:
	@sh ${.CURDIR}/mk/ldcache.sh ${LIBDIR} libgons.so.${SHLIB_MAJOR}
.endif

# All is built before it is installed, and the library before tests and examples.
# The objects alone need no more than lib; that target has no part in `install'.
all.tests all.examples: all.lib
.for c in ${COMPONENTS:Nobjects}
${SUBDIR:S/^/install-${c}./}: all
.endfor
install-objects.lib: all.lib

examples: .PHONY all.examples

# Without the compiler's lines, and with no more than it needs.
demo: .PHONY .MAKE
	@cd ${.CURDIR}/lib && ${.MAKE} -s JSON=no all
	@cd ${.CURDIR}/examples && ${.MAKE} -s JSON=no demo

html: .PHONY .MAKE
	@cd ${.CURDIR}/man && ${.MAKE} html

# test: everything.  check: what tells a packager whether the library works on
# this machine.  quick: what a developer runs after each change.
.for t in test check quick bench fuzz soak model
${t}: .PHONY .MAKE all
	@cd ${.CURDIR}/tests && ${.MAKE} ${t}
.endfor
.ORDER: quick check test bench fuzz soak model

# For developers; each file begins with what its targets do.
.include "mk/lint.mk"
.include "mk/analyze.mk"
.include "mk/dist.mk"
.include "mk/coverage.mk"
.include "mk/abi.mk"
.include "mk/mutate.mk"

# Tests in C once more, with valgrind looking for errors and leaks.
VALGRIND_MAKE=	${.MAKE} MAKEOBJDIRPREFIX=${OBJTOP}/build.valgrind \
		VALGRIND=yes CFLAGS="-O1 -g" TESTS_SH=
valgrind: .PHONY .MAKE
	@command -v valgrind >/dev/null || { \
		echo "valgrind: there is no valgrind" >&2; exit 1; }
	rm -rf ${OBJTOP}/build.valgrind
	mkdir -p ${OBJTOP}/build.valgrind
	cd ${.CURDIR}/lib && ${VALGRIND_MAKE} all
	cd ${.CURDIR}/tests && ${VALGRIND_MAKE} valgrind

clean: clean-top
clean-top: .PHONY
	rm -rf build.*
