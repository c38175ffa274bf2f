#!/bin/sh
# SPDX-License-Identifier: BSD-2-Clause
#
# inroot.sh [-bcsu] [-d DIRECTORY] SUITE [COMMAND...]: runs the tests, or that
# command, in a root of Debian's of that suite (bookworm, trixie, sid), which
# debootstrap(8) makes below DIRECTORY the first time.  For root, with the
# archive within reach.  The sources are those of the tarball.
#
#	-b	with no more than what packaging/debian/control builds with;
#		the command is then `bmake check', else ./bootstrap test
#	-c	by chroot(2), as simple builders do, where nobody can make user
#		namespaces; else by pivot_root(2)
#	-s	as an ordinary user who has sudo(8)
#	-u	as an ordinary user who has not
#
# Exits as the command does.

set -u

die()
{
	echo "inroot.sh: $*" >&2
	exit 125
}

usage='inroot.sh [-bcsu] [-d DIRECTORY] SUITE [COMMAND...]'
kind=
enter=pivot
user=root
roots=/var/tmp/gons-roots
while getopts bcd:su option; do
	case $option in
	b)	kind=-build ;;
	c)	enter=chroot ;;
	d)	roots=$OPTARG ;;
	s)	user=with_sudo ;;
	u)	user=without_sudo ;;
	*)	die "usage: $usage" ;;
	esac
done
shift $((OPTIND - 1))
[ $# -gt 0 ] || die "usage: $usage"
suite=$1
shift
if [ $# -eq 0 ]; then
	case $kind in
	-build) set -- bmake check ;;
	*)	set -- ./bootstrap test ;;
	esac
fi
[ "$(id -u)" -eq 0 ] || die "only root can make roots"
command -v debootstrap >/dev/null || die "there is no debootstrap"
src=$(cd "$(dirname "$0")/.." && pwd) || exit 125
root=$roots/$suite$kind

# A root that is not complete is not used.
if [ ! -e "$root/.complete" ]; then
	echo "inroot.sh: making $root"
	rm -rf "$root"
	mkdir -p "$root" "$roots/cache" || exit 125
	debootstrap --variant=minbase --cache-dir="$roots/cache" "$suite" \
	    "$root" >"$roots/log" 2>&1 ||
	    die "debootstrap $suite: $(tail -n 1 "$roots/log")"
	# If the machine stops, the root is made again.
	echo force-unsafe-io >"$root/etc/dpkg/dpkg.cfg.d/unsafe"
	touch "$root/.complete"
fi

# The sources, in a place that ordinary users reach.
work=$(mktemp -d) || exit 125
trap 'rm -rf "$work"' EXIT
trap 'exit 125' HUP INT TERM
if ! MAKEOBJDIRPREFIX=$work bmake -C "$src" dist >"$work/log" 2>&1; then
	cat "$work/log" >&2
	die "there is no tarball"
fi
rm -rf "$root/home/gons/src"
mkdir -p "$root/home/gons/src" "$root/mnt"
gzip -dc "$(tail -n 1 "$work/log")" |
    tar -xf - -C "$root/home/gons/src" --strip-components=1 ||
    die "cannot unpack the tarball"
cp -L /etc/hosts /etc/resolv.conf "$root/etc/"

# What is executed inside, before the command: it makes the user and installs.
cat >"$root/home/gons/inside" <<'END'
set -eu
kind=$1 user=$2
shift 2
export DEBIAN_FRONTEND=noninteractive
apt="apt-get -qq -o Dpkg::Use-Pty=0 --no-install-recommends -y"
cd /home/gons/src
id gons >/dev/null 2>&1 || useradd -d /home/gons -s /bin/sh gons
rm -f /etc/sudoers.d/gons
case $kind in
-build)
	apt-get -qq update
	$apt build-dep ./packaging >/dev/null ;;
esac
case $user in
with_sudo)
	$apt install sudo >/dev/null
	echo 'gons ALL = (ALL) NOPASSWD: ALL' >/etc/sudoers.d/gons ;;
esac
# No exec: this shell is PID 1, whose orphans the command must not get.
case $user in
root)	"$@" ;;
*)	chown -R gons: /home/gons
	setpriv --reuid gons --regid gons --init-groups "$@" ;;
esac
END

# The namespaces end with the command, and all mounts with them.
# shellcheck disable=SC2016
unshare --mount --pid --fork --kill-child --propagation private \
    env -i PATH=/usr/sbin:/usr/bin:/sbin:/bin HOME=/home/gons TERM=dumb \
    LC_ALL=C.UTF-8 sh -euc '
	root=$1 enter=$2
	shift 2
	mount --bind "$root" "$root"
	cd "$root"
	mount -t proc proc proc
	mount -t sysfs -o ro sysfs sys
	mount -t tmpfs -o mode=755 tmpfs dev
	mkdir dev/pts dev/shm
	mount -t devpts -o newinstance,ptmxmode=666 devpts dev/pts
	mount -t tmpfs -o mode=1777 tmpfs dev/shm
	for device in null zero full random urandom tty fuse; do
		[ ! -e /dev/$device ] || cp -a /dev/$device dev/
	done
	ln -s pts/ptmx dev/ptmx
	ln -s /proc/self/fd dev/fd
	case $enter in
	pivot)	pivot_root . mnt
		cd /
		umount -l /mnt
		exec sh /home/gons/inside "$@" ;;
	*)	exec chroot . sh /home/gons/inside "$@" ;;
	esac' inroot "$root" "$enter" "$kind" "$user" "$@"
