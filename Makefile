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

# What is installed, tried or linked must be built before.  The objects alone
# need no more than lib; that target has no part in `install'.
all.tests all.examples: all.lib
.for c in ${COMPONENTS:Nobjects}
${SUBDIR:S/^/install-${c}./}: all
.endfor
install-objects.lib: all.lib

examples: .PHONY all.examples

demo: .PHONY .MAKE all.examples
	@cd ${.CURDIR}/examples && ${.MAKE} demo

.for t in test bench fuzz soak
${t}: .PHONY .MAKE all
	@cd ${.CURDIR}/tests && ${.MAKE} ${t}
.endfor
.ORDER: test bench fuzz soak

#
# For developers.
#

# What is checked where: manual pages in man, the list of tests in tests, and
# C and shell all at once here.  Another clang-format has other opinions.
C_FILES=	include/*.h lib/*.[ch] examples/*.c tests/*.[ch] tests/*/*.[ch]
SH_FILES=	bootstrap .ci/run lib/*.sh examples/*.sh tests/*.sh tests/*/*.sh
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

lint: lint-c lint-sh lint-version
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
lint-version: .PHONY
	@test "`sed -n 's/^	\* Version //p' ${.CURDIR}/ChangeLog | head -n 1`" \
	    = ${VERSION} || { \
		echo "lint: the top of ChangeLog is not about ${VERSION}"; \
		exit 1; \
	}

# What reads the code by itself.  clang's findings that are wrong are answered
# where they are made; left out is what is a matter of taste: functions of C11's
# Annex K, which there is nowhere; parameters of like types in a row; names with
# two underscores, as gons__number; int as the type of sums of small numbers;
# branches of a chain that do the same.  gcc loses sight of what is stored in
# arrays that belong to a structure, as req->env[i] or t[k].entry, and then
# takes it for lost or not set, nor does it see that job.nsrc stays 1 for
# take_tree(): those kinds are left to valgrind and clang, in these files.
CLANG_TIDY?=	clang-tidy
TIDY_CHECKS=	-*,clang-analyzer-*,bugprone-*
TIDY_CHECKS:=	${TIDY_CHECKS},-clang-analyzer-security.insecureAPI.DeprecatedOrUnsafeBufferHandling
TIDY_CHECKS:=	${TIDY_CHECKS},-bugprone-easily-swappable-parameters
TIDY_CHECKS:=	${TIDY_CHECKS},-bugprone-reserved-identifier
TIDY_CHECKS:=	${TIDY_CHECKS},-bugprone-narrowing-conversions
TIDY_CHECKS:=	${TIDY_CHECKS},-bugprone-branch-clone
ANALYZE_CC?=	gcc
ANALYZE_SRCS=	${OBJECTS_ALL:@o@${PARTS.${o}}@}
ANALYZE_ARGS=	-std=c99 -D_GNU_SOURCE -DGONS_VERSION='"${VERSION}"' \
		-Iinclude -Ilib
analyze: .PHONY lint-c
	@cd ${.CURDIR} && for o in ${ANALYZE_SRCS}; do \
		flags=; case $$o in \
		covmerge.c) flags='-Wno-analyzer-malloc-leak -Wno-analyzer-use-of-uninitialized-value';; \
		reexec.c) flags=-Wno-analyzer-malloc-leak;; \
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

# The tarball: what git knows, or what the tarball that this came in had.  The
# same bytes each time.
DISTNAME=	libgons-${VERSION}
GIT=		git -c safe.directory='*' -C ${SRCTOP}
dist: .PHONY
	@if ${GIT} rev-parse --verify -q HEAD >/dev/null 2>&1; then \
		${GIT} ls-files | grep -v '^\.git' | LC_ALL=C sort \
		    >${.OBJDIR}/MANIFEST.new && \
		echo "$${SOURCE_DATE_EPOCH:-`${GIT} log -1 --format=%ct`}"; \
	else \
		grep -v '^MANIFEST$$' ${SRCTOP}/MANIFEST \
		    >${.OBJDIR}/MANIFEST.new && \
		echo "$${SOURCE_DATE_EPOCH:-`stat -c %Y ${SRCTOP}/MANIFEST`}"; \
	fi >${.OBJDIR}/dist.date
	@echo MANIFEST >>${.OBJDIR}/MANIFEST.new
	@mv ${.OBJDIR}/MANIFEST.new ${.OBJDIR}/MANIFEST
	@tar -cf ${.OBJDIR}/dist.tar --format=ustar --sort=name \
	    --mtime=@`cat ${.OBJDIR}/dist.date` --owner=0 --group=0 \
	    --numeric-owner --mode=u+rw,go+rX,go-w --no-recursion \
	    --transform='s|^|${DISTNAME}/|' -C ${SRCTOP} \
	    `grep -v '^MANIFEST$$' ${.OBJDIR}/MANIFEST` \
	    -C ${.OBJDIR} MANIFEST
	@gzip -9n <${.OBJDIR}/dist.tar >${.OBJDIR}/${DISTNAME}.tar.gz
	@rm -f ${.OBJDIR}/dist.tar ${.OBJDIR}/dist.date
	@echo ${.OBJDIR}/${DISTNAME}.tar.gz

# The tarball is complete: it passes lint and tests, installs what these
# sources install, to the byte, uninstalls it all, and makes itself again.
CHECKDIR=	${.OBJDIR}/build.distcheck
distcheck: .PHONY .MAKE dist all
	rm -rf ${CHECKDIR}
	mkdir -p ${CHECKDIR}
	gzip -dc ${.OBJDIR}/${DISTNAME}.tar.gz | (cd ${CHECKDIR} && tar -xf -)
	cd ${CHECKDIR}/${DISTNAME} && \
	for t in lint all test "install DESTDIR=${CHECKDIR}/theirs" dist; do \
		${.MAKE} MAKEOBJDIRPREFIX= $$t || exit 1; \
	done
	cd ${.CURDIR} && ${.MAKE} install DESTDIR=${CHECKDIR}/ours
	diff -r ${CHECKDIR}/ours ${CHECKDIR}/theirs
	cmp ${.OBJDIR}/${DISTNAME}.tar.gz \
	    ${CHECKDIR}/${DISTNAME}/${DISTNAME}.tar.gz
	cd ${CHECKDIR}/${DISTNAME} && \
	    ${.MAKE} MAKEOBJDIRPREFIX= uninstall DESTDIR=${CHECKDIR}/theirs
	test -z "`find ${CHECKDIR}/theirs ! -type d`"
	rm -rf ${CHECKDIR}
	@echo "${DISTNAME}.tar.gz is ready"

# Builds and tests a copy that counts what is executed, and reports it: lines,
# with the numbers of those that were not, and branches.  A file is empty whose
# code was in no process.
GCOVR=		gcovr --root ${SRCTOP} --filter ${SRCTOP}/lib/
coverage: .PHONY .MAKE
	rm -rf ${OBJTOP}/build.coverage
	-cd ${.CURDIR} && ${.MAKE} MAKEOBJDIRPREFIX=${OBJTOP}/build.coverage \
	    COVERAGE=yes CFLAGS="-O0 -g" test
	cd ${OBJTOP}/build.coverage && \
	find . -name '*.gcda' -empty -exec rm {} + && \
	${GCOVR} --object-directory . --gcov-ignore-parse-errors \
	    --json coverage.json . && \
	${GCOVR} --add-tracefile coverage.json && \
	${GCOVR} --add-tracefile coverage.json --branches

# Tests in C once more, with valgrind looking for errors and leaks.
VALGRIND_MAKE=	${.MAKE} MAKEOBJDIRPREFIX=${OBJTOP}/build.valgrind \
		VALGRIND=yes CFLAGS="-O1 -g" TESTS_SH=
valgrind: .PHONY .MAKE
	rm -rf ${OBJTOP}/build.valgrind
	mkdir -p ${OBJTOP}/build.valgrind
	cd ${.CURDIR}/lib && ${VALGRIND_MAKE} all
	cd ${.CURDIR}/tests && ${VALGRIND_MAKE} valgrind

# Compares with the last release what programs were built against.
abi: .PHONY .MAKE all
	@${TOOLENV} sh ${.CURDIR}/tests/abi.sh ${SRCTOP} ${LIBOBJ} \
	    ${OBJTOP}/build.abi

TOOLENV=	MAKE=${.MAKE:Q} CC=${CC:Q}

clean: clean-top
clean-top: .PHONY
	rm -rf build.*
	rm -f ${DISTNAME}.tar.gz dist.tar dist.date MANIFEST.new
.if exists(${SRCTOP}/.git)
	rm -f MANIFEST
.endif
