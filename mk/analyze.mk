# SPDX-License-Identifier: BSD-2-Clause
#
# analyze: gcc and clang-tidy read the code.  Findings of clang that are wrong are
# answered where it makes them.  Checks that are a matter of taste are left out:
# functions of C11's Annex K, which no libc has; parameters of like types in a
# row; names with two underscores, as gons__number; int as the type of sums of
# small numbers; branches of a chain that do the same; the size of a pointer,
# which clang takes for a mistake in every array of pointers.
#
# gcc loses sight of values in arrays that belong to a structure, as set->env[i]
# or t[k].entry, or to the caller, as argv[0].  It takes them for lost or not
# set.  It does not see that how->nsrc is 1 for take_tree(), either.  In these
# files valgrind and clang look for mistakes of these kinds.
CLANG_TIDY?=	clang-tidy
TIDY_CHECKS=	-*,clang-analyzer-*,bugprone-*
TIDY_CHECKS:=	${TIDY_CHECKS},-clang-analyzer-security.insecureAPI.DeprecatedOrUnsafeBufferHandling
TIDY_CHECKS:=	${TIDY_CHECKS},-bugprone-easily-swappable-parameters
TIDY_CHECKS:=	${TIDY_CHECKS},-bugprone-reserved-identifier
TIDY_CHECKS:=	${TIDY_CHECKS},-bugprone-narrowing-conversions
TIDY_CHECKS:=	${TIDY_CHECKS},-bugprone-branch-clone
TIDY_CHECKS:=	${TIDY_CHECKS},-bugprone-sizeof-expression
ANALYZE_CC?=	gcc
ANALYZE_SRCS=	${OBJECTS_ALL:@o@${PARTS.${o}}@}
ANALYZE_ARGS=	-std=c99 -D_GNU_SOURCE -DGONS_VERSION='"${VERSION}"' \
		-Iinclude -Ilib
GCC_FLAGS.covmerge_tree.c=	-Wno-analyzer-malloc-leak \
				-Wno-analyzer-use-of-uninitialized-value
GCC_FLAGS.reexec_settings.c=	-Wno-analyzer-malloc-leak
GCC_FLAGS.reexec_self.c=	-Wno-analyzer-null-argument \
				-Wno-analyzer-use-of-uninitialized-value
analyze: .PHONY lint-c ${ANALYZE_SRCS:S/^/analyze-gcc./}
.for s in ${ANALYZE_SRCS}
analyze-gcc.${s}: .PHONY
	@echo "${ANALYZE_CC} -fanalyzer: ${s}" && cd ${.CURDIR} && \
	${ANALYZE_CC} ${ANALYZE_ARGS} -O2 -fanalyzer -Werror ${GCC_FLAGS.${s}} \
	    -c -o ${.OBJDIR}/analyze.${s}.o lib/${s} && \
	rm -f ${.OBJDIR}/analyze.${s}.o
analyze-clang.${s}: .PHONY
	@echo "${CLANG_TIDY}: ${s}" && cd ${.CURDIR} && \
	${CLANG_TIDY} --quiet --checks='${TIDY_CHECKS}' \
	    --warnings-as-errors='*' lib/${s} -- ${ANALYZE_ARGS} 2>/dev/null
.endfor
.if ${"${.TARGETS:Manalyze}" != "":?${:!command -v ${CLANG_TIDY} || true!}:}
analyze: ${ANALYZE_SRCS:S/^/analyze-clang./}
.else
analyze:
	@echo "analyze: no ${CLANG_TIDY}: not run"
.endif
