#!/bin/sh
# SPDX-License-Identifier: BSD-2-Clause
#
# ldcache.sh LIBDIR SONAME: called after an installation into this system, or a
# removal.  Lets programs that are linked with the library there find it when
# they start, or says what is left to do.

libdir=$1
soname=$2
PATH=$PATH:/usr/sbin:/sbin

say()
{
	echo "$libdir/$soname is installed, but $*"
}

# searched DIRECTORY...: is ${libdir} among them?
searched()
{
	wanted=$(cd "$libdir" && pwd -P)
	for dir; do
		[ "$(cd "$dir" 2>/dev/null && pwd -P)" = "$wanted" ] && return
	done
	return 1
}

# What has been removed is only forgotten.
if [ ! -e "$libdir/$soname" ]; then
	ldconfig 2>/dev/null
	exit 0
fi

# The dynamic linker of musl has a list of directories, and no cache.
if ! ldconfig -p >/dev/null 2>&1; then
	# shellcheck disable=SC2046
	set -- $(cat /etc/ld-musl-*.path 2>/dev/null | tr : ' ')
	[ $# -gt 0 ] || set -- /lib /usr/local/lib /usr/lib
	searched "$@" || say "programs are not looking there: link them with" \
	    "-Wl,-rpath,$libdir"
	exit 0
fi

# shellcheck disable=SC2046
if ! searched $(ldconfig -N -X -v 2>/dev/null |
    sed -n 's|^\(/[^:]*\):.*|\1|p'); then
	say "programs are not looking there: name $libdir in" \
	    "/etc/ld.so.conf and run ldconfig, or link them with" \
	    "-Wl,-rpath,$libdir"
elif ! ldconfig 2>/dev/null; then
	say "programs find it only after root has run ldconfig"
fi
exit 0
