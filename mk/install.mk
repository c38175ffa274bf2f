# SPDX-License-Identifier: BSD-2-Clause
#
# Included last: installs what a directory lists, and removes exactly that.
# For each component, one of ${COMPONENTS}:
#
#	FILES.component=	source destination mode ...
#	TEXTS.component=	name destination ...	what ${TEXT.name} prints
#	LINKS.component=	text-of-link destination ...
#	DIRS.component=		directory that is ours alone ...
#
# Destinations are whole names, without DESTDIR.  Nothing here depends on what
# is built: the Makefile at the top sees to that.

.for c in ${COMPONENTS}
install-${c}: .PHONY
.  for src dst mode in ${FILES.${c}}
	${INSTALL} -d ${STAGEDIR}${dst:H}
	${INSTALL} -m ${mode} ${src} ${STAGEDIR}${dst}
.  endfor
.  for name dst in ${TEXTS.${c}}
	${INSTALL} -d ${STAGEDIR}${dst:H}
	rm -f ${STAGEDIR}${dst}
	${TEXT.${name}} >${STAGEDIR}${dst}
	chmod 644 ${STAGEDIR}${dst}
.  endfor
.  for txt dst in ${LINKS.${c}}
	${INSTALL} -d ${STAGEDIR}${dst:H}
	ln -sf ${txt} ${STAGEDIR}${dst}
.  endfor

uninstall-${c}: .PHONY
.  for src dst mode in ${FILES.${c}}
	rm -f ${STAGEDIR}${dst}
.  endfor
.  for name dst in ${TEXTS.${c}}
	rm -f ${STAGEDIR}${dst}
.  endfor
.  for txt dst in ${LINKS.${c}}
	rm -f ${STAGEDIR}${dst}
.  endfor
.  for dir in ${DIRS.${c}}
	@rmdir ${STAGEDIR}${dir} 2>/dev/null || true
.  endfor
.endfor
