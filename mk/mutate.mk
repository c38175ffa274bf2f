# SPDX-License-Identifier: BSD-2-Clause
#
# mutate: plants MUTANTS small faults, one at a time, in a copy of lib/*.c and
# runs the tests of that file.  It lists the faults that no test notices.  The
# same SEED plants the same faults.  FILES="order.c envparse.c": in these alone;
# FILES=order.c:57: all the faults of that line.  A fault that survives takes half
# a minute of a processor, WORKERS of them at a time: run it under nice(1).  It may
# be interrupted, and goes on.
MUTANTS?=	50
SEED?=		1
FILES?=
WORKERS?=	2
PYTHON?=	python3
mutate: .PHONY .MAKE
	@MAKE=${.MAKE:Q} CC=${CC:Q} WORKERS=${WORKERS:Q} ${PYTHON} -B \
	    ${.CURDIR}/tests/mutate/mutate.py ${SRCTOP} \
	    ${OBJTOP}/build.mutate "${MUTANTS}" "${SEED}" ${FILES}
