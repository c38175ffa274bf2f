# SPDX-License-Identifier: BSD-2-Clause
#
# Included by bench and soak: programs beside the tests, found by their names.

.include "tests.mk"

PROGS_C!=	cd ${.CURDIR} && ls *_${KIND}.c 2>/dev/null | sed 's/\.c$$//'
PROGS_SH!=	cd ${.CURDIR} && ls *_${KIND}.sh 2>/dev/null || :
ARCHIVE=	${LIBOBJ}/autostart.o ${LIBOBJ}/libgons.a

all: .PHONY ${PROGS_C}

.for p in ${PROGS_C}
${p}: ${p}.c ${ARCHIVE}
	${COMPILE} -I${SRCTOP}/lib ${FLAGS.${p}} ${LDFLAGS} -o ${.TARGET} \
	    ${.CURDIR}/${p}.c ${ARCHIVE} ${LIBS.${p}}
.-include "${.OBJDIR}/${p}.d"
.endfor
.NOPATH: ${PROGS_C}

${KIND}: .PHONY all
.for p in ${PROGS_C}
	@${TESTENV} ./${p} ${ARGS}
.endfor
.for p in ${PROGS_SH}
	@${TESTENV} sh ${.CURDIR}/${p} ${ARGS}
.endfor
.if empty(PROGS_C) && empty(PROGS_SH)
	@echo "There is no program for ${KIND} yet."
.endif

clean: .PHONY
	rm -f ${PROGS_C} *.d *.gcda *.gcno
