#!/bin/sh
# SPDX-License-Identifier: BSD-2-Clause
#
# demo.sh [PROGRAM]: makes a process in namespaces of its own, runs the program
# show once as it is and once with the variables of libgons, and prints side by
# side in which namespaces it was.  Needs no privilege where user namespaces
# are allowed.

set -u

show=${1:-./show}
if [ ! -x "$show" ]; then
	echo "demo.sh: there is no program $show; to make it:" >&2
	echo "  cc -o show show.c \$(pkg-config --cflags --libs gons)" >&2
	exit 1
fi
if ! command -v unshare >/dev/null 2>&1; then
	echo "demo.sh: needs unshare(1) of util-linux" >&2
	exit 1
fi

# What we may make: an ordinary user makes a user namespace first.
types=
if unshare -n true 2>/dev/null; then
	options=
elif why=$(unshare -U -r -n true 2>&1); then
	options='-U -r'
	types=user
else
	echo "demo.sh: no new namespaces for you here: $why" >&2
	exit 1
fi
for try in C:cgroup i:ipc m:mnt n:net T:time u:uts; do
	# shellcheck disable=SC2086
	if unshare $options "-${try%:*}" true 2>/dev/null; then
		options="$options -${try%:*}"
		types="$types ${try#*:}"
	fi
done
types="$types pid"

# The target lives until we close the pipe that it holds.  It tells its PID as
# seen by us.  The pipes are open here all the time, so that no open waits.
tmp=$(mktemp -d) || exit 1
# shellcheck disable=SC2317 # trap calls it
finish()
{
	# First the target, then the directory that it has its pipes in.
	exec 3>&-
	wait
	rm -rf "$tmp"
}
trap finish EXIT
trap 'exit 1' HUP INT TERM
mkfifo "$tmp/pid" "$tmp/hold" || exit 1
exec 3<>"$tmp/hold" 4<>"$tmp/pid"
# shellcheck disable=SC2016,SC2086
{ unshare $options -p -f sh -c '
	exec <"$1"
	read -r pid rest </proc/self/stat
	echo "$pid" >&4
	exec cat 4>&-' target "$tmp/hold" || echo none >&4; } 3>&- &
read -r pid <&4
if [ "$pid" = none ]; then
	echo "demo.sh: no process in namespaces of its own" >&2
	exit 1
fi

variables=
for type in $types; do
	variables="$variables gons_$type=/proc/$pid/ns/$type"
done

"$show" >"$tmp/without" || exit 1
# shellcheck disable=SC2086
env $variables "$show" >"$tmp/with" || exit 1

echo "One program, started twice. It is only linked with libgons."
echo
printf '%-18s %-14s %s\n' namespace "without" "with gons_TYPE=/proc/$pid/ns/TYPE"
awk 'NR == FNR { before[$1] = $2; next }
{
	was = before[$1]
	is = $2
	gsub(/[^0-9]/, "", was)
	gsub(/[^0-9]/, "", is)
	printf "%-18s %-14s %-14s %s\n", $1, was, is,
	    was == is ? "" : "<- joined"
	joined += was != is
}
END { exit joined == 0 }' "$tmp/without" "$tmp/with"
status=$?
if [ "$status" -ne 0 ]; then
	echo "demo.sh: the program has joined nothing" >&2
fi
exit "$status"
