# SPDX-License-Identifier: BSD-2-Clause
#
# Included first by tests and the directories below it.

.include "../Makefile.inc"

TESTOBJ=	${OBJTOP}/tests

# What `install' would install, under a prefix of its own: for those who link
# with it as others will.
STAGE=		${TESTOBJ}/stage

# The environment of the programs, see HACKING.
TESTENV=	GONS_TEST_SRC=${SRCTOP} GONS_TEST_OBJ=${OBJTOP} \
		GONS_TEST_STAGE=${STAGE} GONS_TEST_VERSION=${VERSION} \
		GONS_TEST_JSON=${GONS_HAVE_JSON} \
		GONS_TEST_SANITIZE=${SANITIZE} \
		GONS_TEST_COVERAGE=${COVERAGE} GONS_TEST_MAKE=${.MAKE:Q} \
		GONS_TEST_CC=${CC:Q} CC=${CC:Q} CFLAGS=${CFLAGS:Q} CPPFLAGS=${CPPFLAGS:Q} \
		LDFLAGS=${LDFLAGS:Q}
.if ${SANITIZE} != "no"
# libatf-c leaks; programs of our own look for leaks by themselves.
TESTENV+=	ASAN_OPTIONS=$${ASAN_OPTIONS:-detect_leaks=0}
.endif
