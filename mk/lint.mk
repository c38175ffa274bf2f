# SPDX-License-Identifier: BSD-2-Clause
#
# lint: checks form.  Manual pages are checked in man, the lists of tests in
# tests, the rest all at once here.  Another clang-format has other opinions.
C_FILES=	include/*.h lib/*.[ch] examples/*.c tests/*.c tests/*/*.[ch] \
		tests/support/atf/*.[ch]
SH_FILES=	bootstrap .ci/run lib/*.sh examples/*.sh mk/*.sh tests/*.sh \
		tests/*/*.sh packaging/debian/tests/smoke
CLANG_FORMAT?=	clang-format
CLANG_FORMAT_MAJOR= 14
CPPCHECK?=	cppcheck
# It takes structures that are set by members, or by pointers, for unset.
CPPCHECK_ARGS=	--quiet --error-exitcode=1 --inline-suppr --std=c99 \
		--suppress=ctuuninitvar --suppress=uninitvar \
		--enable=warning,performance,portability \
		-D_GNU_SOURCE -D__x86_64__ -D__GLIBC__ -DSYS_statx=332 \
		-Iinclude -Ilib
EXIST=		for f in $$*; do test ! -f $$f || set -- "$$@" $$f; shift; done

lint: lint-c lint-sh lint-version lint-license
lint-c: .PHONY
	@cd ${.CURDIR} && set -- ${C_FILES} && ${EXIST} && \
	case `${CLANG_FORMAT} --version 2>/dev/null` in \
	*"version ${CLANG_FORMAT_MAJOR}."*) \
		${CLANG_FORMAT} --dry-run -Werror "$$@";; \
	*)	echo "lint: no clang-format ${CLANG_FORMAT_MAJOR}: form of C not checked";; \
	esac
	@cd ${.CURDIR} && \
	if command -v ${CPPCHECK} >/dev/null; then \
		set -- include/*.h lib/*.c examples/*.c && ${EXIST} && \
		${CPPCHECK} ${CPPCHECK_ARGS} "$$@"; \
	else \
		echo "lint: no cppcheck: not run"; \
	fi
lint-sh: .PHONY
	@cd ${.CURDIR} && set -- ${SH_FILES} && ${EXIST} && \
	for f; do \
		case `head -n 1 $$f` in \
		*bash*)	bash -n $$f;; \
		*)	sh -n $$f;; \
		esac || exit 1; \
	done && \
	if command -v shellcheck >/dev/null; then \
		shellcheck -s sh `echo "$$@" | tr ' ' '\n' | grep -v -e _test.sh \
		    -e .ci/run` && shellcheck -s bash .ci/run; \
	else \
		echo "lint: no shellcheck: not run"; \
	fi
# Each file tells its licence, or REUSE.toml has its name in quotes.
lint-license: .PHONY
	@cd ${.CURDIR} && test ! -e .git || ${GIT} ls-files | \
	grep -v -e '^tests/fuzz/corpus/' -e '^mk/abi/' -e '^LICENSES/' | \
	while read -r f; do \
		test ! -f $$f || head -n 5 $$f | \
		    grep -q 'SPDX-License-Identifier: BSD-2-Clause' || \
		    grep -q "\"$$f\"" REUSE.toml || { \
			echo "lint: $$f has no SPDX-License-Identifier"; exit 1; \
		}; \
	done
lint-version: .PHONY
	@test "`sed -n 's/^	\* Version //p' ${.CURDIR}/ChangeLog | head -n 1`" \
	    = ${VERSION} || { \
		echo "lint: the top of ChangeLog is not about ${VERSION}"; \
		exit 1; \
	}
