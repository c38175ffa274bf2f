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
analyze: .PHONY lint-c
	@cd ${.CURDIR} && for o in ${ANALYZE_SRCS}; do \
		flags=; case $$o in \
		covmerge_tree.c) flags='-Wno-analyzer-malloc-leak -Wno-analyzer-use-of-uninitialized-value';; \
		reexec_settings.c) flags=-Wno-analyzer-malloc-leak;; \
		reexec_self.c) flags='-Wno-analyzer-null-argument -Wno-analyzer-use-of-uninitialized-value';; \
		esac; \
		echo "${ANALYZE_CC} -fanalyzer: $$o" && \
		${ANALYZE_CC} ${ANALYZE_ARGS} -O2 -fanalyzer -Werror $$flags -c \
		    -o ${.OBJDIR}/analyze.o lib/$$o || exit 1; \
	done; rm -f ${.OBJDIR}/analyze.o
	@cd ${.CURDIR} && \
	if command -v ${CLANG_TIDY} >/dev/null; then \
		for o in ${ANALYZE_SRCS}; do \
			echo "${CLANG_TIDY}: $$o" && \
			${CLANG_TIDY} --quiet --checks='${TIDY_CHECKS}' \
			    --warnings-as-errors='*' lib/$$o -- \
			    ${ANALYZE_ARGS} 2>/dev/null || exit 1; \
		done; \
	else \
		echo "analyze: no ${CLANG_TIDY}: not run"; \
	fi
