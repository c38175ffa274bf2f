# SPDX-License-Identifier: BSD-2-Clause
#
# coverage: builds and tests a copy that counts what is executed, and reports
# lines, with the numbers of those that were not, and branches.  A data file is
# empty if no process has had its code.
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
