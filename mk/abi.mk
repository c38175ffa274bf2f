# SPDX-License-Identifier: BSD-2-Clause
#
# abi: compares with the last release what programs were built against.
# abi-reference: writes down what is built, when it is released.  The files in
# mk/abi are abidw's.
abi: .PHONY all.lib
	@CC=${CC:Q} sh ${.CURDIR}/mk/abi.sh compare ${SRCTOP}/include ${LIBOBJ} \
	    ${SRCTOP}/mk/abi
abi-reference: .PHONY all.lib
	@CC=${CC:Q} sh ${.CURDIR}/mk/abi.sh write ${SRCTOP}/include ${LIBOBJ} \
	    ${SRCTOP}/mk/abi
