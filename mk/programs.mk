# SPDX-License-Identifier: BSD-2-Clause
#
# Included by bench and soak: programs beside the tests, found by their names.

.include "${.PARSEDIR}/tests.mk"

PROGS_C!=	cd ${.CURDIR} && ls ${KIND}_*.c 2>/dev/null | sed 's/\.c$$//'
PROGS_SH!=	cd ${.CURDIR} && ls ${KIND}_*.sh 2>/dev/null || :
ARCHIVE=	${LIBOBJ}/autostart.o ${LIBOBJ}/libgons.a

all: .PHONY ${PROGS_C}

.for p in ${PROGS_C}
${p}: ${p}.c ${ARCHIVE}
	${COMPILE} -I${SRCTOP}/lib ${FLAGS.${p}} ${LDFLAGS} -o ${.TARGET} \
	    ${.CURDIR}/${p}.c ${ARCHIVE} ${LIBS.${p}}
.-include "${.OBJDIR}/${p}.d"
.endfor
.NOPATH: ${PROGS_C}

# Each runs in an empty directory, in memory if that can be had.
RUN=		dir=`mktemp -d -p /dev/shm 2>/dev/null || mktemp -d` && \
		trap 'rm -rf "$$dir"' EXIT && trap 'exit 130' HUP INT TERM && \
		cd "$$dir" && ${TESTENV}

${KIND}: .PHONY all
.for p in ${PROGS_C}
	@echo "== ${p}"
	@${RUN} ${WITHIN} ${.OBJDIR}/${p} ${ARGS}
.endfor
.for p in ${PROGS_SH}
	@echo "== ${p}"
	@${RUN} sh ${.CURDIR}/${p} ${ARGS}
.endfor
.if empty(PROGS_C) && empty(PROGS_SH)
	@echo "There is no program for ${KIND} yet."
.endif

clean: .PHONY
	rm -f ${PROGS_C} *.d *.gcda *.gcno
