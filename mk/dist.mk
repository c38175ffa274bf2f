# SPDX-License-Identifier: BSD-2-Clause
#
# dist: the tarball.  It has the files that git knows or, without git, those of
# the tarball that these sources came in.  The same bytes each time.
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

# distcheck: the tarball is complete.  It passes lint and tests, installs the same
# files as these sources, to the byte, uninstalls them all, and makes itself
# again.
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

clean: clean-dist
clean-dist: .PHONY
	rm -f ${DISTNAME}.tar.gz dist.tar dist.date MANIFEST.new
.if exists(${SRCTOP}/.git)
	rm -f MANIFEST
.endif
