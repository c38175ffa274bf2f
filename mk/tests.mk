# SPDX-License-Identifier: BSD-2-Clause
#
# Included first by tests and the directories below it.

.include "${.PARSEDIR}/../Makefile.inc"

TESTOBJ=	${OBJTOP}/tests

# `install' into a prefix of its own: for tests that link with the library as
# its users will.
STAGE=		${TESTOBJ}/stage

# The environment of the programs, see HACKING.
# LONG=yes: cases that take minutes, too.
LONG?=		no
TESTENV=	GONS_TEST_SRC=${SRCTOP} GONS_TEST_OBJ=${OBJTOP} \
		GONS_TEST_STAGE=${STAGE} GONS_TEST_VERSION=${VERSION} \
		GONS_TEST_JSON=${GONS_HAVE_JSON} \
		GONS_TEST_SANITIZE=${SANITIZE} GONS_TEST_LONG=${LONG} \
		GONS_TEST_TRACE=${TRACEFILE} \
		GONS_TEST_COVERAGE=${COVERAGE} GONS_TEST_MAKE=${.MAKE:Q} \
		GONS_TEST_CC=${CC:Q} CC=${CC:Q} CFLAGS=${CFLAGS:Q} CPPFLAGS=${CPPFLAGS:Q} \
		LDFLAGS=${LDFLAGS:Q}
.if ${SANITIZE} != "no"
# Tests crash children on purpose, ask for more memory than there is, and fork
# while they have threads.  libatf-c leaks.
SANOPTIONS=	handle_segv=0:handle_sigbus=0:handle_sigfpe=0:handle_abort=0:handle_sigill=0:allocator_may_return_null=1
TESTENV+=	ASAN_OPTIONS=detect_leaks=0:${SANOPTIONS}:$${ASAN_OPTIONS-} \
		TSAN_OPTIONS=die_after_fork=0:${SANOPTIONS}:$${TSAN_OPTIONS-} \
		UBSAN_OPTIONS=print_stacktrace=1:$${UBSAN_OPTIONS-}
.endif
