# SPDX-License-Identifier: BSD-2-Clause
# shellcheck shell=sh disable=SC2034
#
# What the shell tests share; they include it in atf_init_test_cases(), where
# the directory of the helpers is known.  The environment is that of `bmake
# test', see HACKING.

helpers=$(atf_get_srcdir)
: "${GONS_TEST_STAGE:?is not set: run the tests with bmake test}"
: "${GONS_TEST_SRC:?}" "${GONS_TEST_OBJ:?}"
stage=$GONS_TEST_STAGE
data=$helpers/data
target=$helpers/h_target

# Types for each reason to refuse a process: its threads, and its privileges.
types=mnt,net,user,uts

export PKG_CONFIG_PATH="$stage/lib/pkgconfig"
export LD_LIBRARY_PATH="$stage/lib"
unset PKG_CONFIG_SYSROOT_DIR PKG_CONFIG_LIBDIR LD_PRELOAD
# The compiler of the library, perhaps with flags: cc -m32.  Otherwise the
# tests say by themselves what they compile with.
own_cc=${CC:-cc}
unset CC CFLAGS CPPFLAGS CXXFLAGS LDFLAGS

# needs_target [TYPES]: skips if this user may not make such a target.
needs_target()
{
	"$target" "${1-$types}" true 2>why ||
	    atf_skip "cannot make namespaces: $(cat why)"
}

# needs PROGRAM...: as require.progs, which tells no more than the first.
needs()
{
	for prog; do
		command -v "$prog" >/dev/null 2>&1 ||
		    atf_skip "there is no $prog"
	done
}

# abi FILE: what must be the same to be linked.
abi()
{
	readelf -h "$1" | awk '/Class:|Data:|Machine:/ { print $2, $3, $4 }'
	readelf -d "$1" | awk '/NEEDED/ && /libc\./ { print $NF }'
}

# needs_abi COMPILER...: skips if that one makes other programs than the
# library is for, or the library was built to find errors in itself.
needs_abi()
{
	needs "$1" readelf
	[ "${GONS_TEST_SANITIZE:-no}" = no ] ||
	    atf_skip "the library is built with -fsanitize"
	echo 'int main(void) { return 0; }' >abi.c
	"$@" -o abi.out abi.c || atf_skip "$1 makes no programs"
	./abi.out || atf_skip "the programs of $1 do not run here"
	[ "$(abi abi.out)" = "$(abi "$stage/lib/libgons.so.0")" ] ||
	    atf_skip "the library is not built for programs of $1"
}

# links COMMAND...: it makes a program, silently.  The file is a new one, for
# mold 2.37 crashes when it overwrites its own output.
links()
{
	word=
	for next; do
		[ "$word" != -o ] || rm -f "$next"
		word=$next
	done
	atf_check "$@"
}

# starts COMMAND...: started where the target is, it prints that it is there.
starts()
{
	rm -f want
	atf_check -o save:got "$target" -e -w want "$types" "$@"
	atf_check -o file:want cat got
}

# raced COMMAND...: started with a thread since before main, it is in the
# target's mount namespace all the same.
raced()
{
	rm -f want
	atf_check -o save:got "$target" -e -w want mnt,user "$@"
	atf_check -o match:"^$(grep mnt want | sed 's/[][]/\\&/g')\$" cat got
}

# too_late COMMAND...: h_report, started with a thread that was there before
# start-up, has joined nothing: not even the network namespace, which the kernel
# would allow to a thread alone.
too_late()
{
	atf_check -o save:got "$target" -e net,user "$@"
	atf_check -o match:'^status gons: cannot join .*has 2 threads\)$' \
	    -o match:'^joined$' cat got
}

# make_in DIRECTORY ARGUMENT...: bmake in an empty environment; what it says
# is in make.log.
make_in()
{
	make_dir=$1
	shift
	echo "make in $make_dir: $*"
	if ! (cd "$make_dir" && env -i PATH="$PATH" HOME="$make_dir" \
	    "${GONS_TEST_MAKE:-bmake}" "$@") >make.log 2>&1; then
		cat make.log
		atf_fail "make failed"
	fi
}

# build DIRECTORY ARGUMENT...: builds there, out of the sources' tree.
build()
{
	build_dir=$1
	shift
	[ -z "$build_dir" ] || mkdir -p "$build_dir"
	make_in "$GONS_TEST_SRC" MAKEOBJDIRPREFIX="$build_dir" "$@"
}
