#!/bin/sh
# SPDX-License-Identifier: BSD-2-Clause
#
# run.sh KYUAFILE DIRECTORY [FILTER...]: runs the tests of that Kyuafile, whose
# programs are in that directory.  Root runs all of them.  An ordinary user
# runs those that need no privilege, and then the others in a user namespace,
# or with ${SUDO}.  Ends with "N passed, N failed, N skipped"; fails if one
# failed, or none is there.

set -u

kyuafile=$1
dir=$2
shift 2
cd "$dir" || exit 1
: "${KYUA:=kyua}" "${SUDO:=}"

# setcap(8) and ldconfig(8) are in no ordinary user's PATH.
PATH=$PATH:/usr/sbin:/sbin

# No variable of the caller may change what the programs do.
for var in cgroup ipc mnt net pid time user uts order target onerror ids \
    reexec_action; do
	unset "gons_$var"
done

# No setting of this make may reach another that they call.
unset MAKEFLAGS MFLAGS MAKELEVEL MAKEOBJDIRPREFIX DESTDIR PREFIX LIBDIR \
    INCLUDEDIR MANDIR EXAMPLESDIR PKGCONFIGDIR OBJECTS WERROR JSON \
    GONS_PROBED

if ! command -v "$KYUA" >/dev/null 2>&1; then
	echo "run.sh: there is no $KYUA; ./bootstrap test installs it" >&2
	exit 1
fi

jobs=${PARALLELISM:-$(getconf _NPROCESSORS_ONLN 2>/dev/null || echo 2)}
passed=0
failed=0
skipped=0

kyua()
{
	command "$KYUA" --config=none --logfile="$dir/kyua.log" "$@"
}

# tests list|test [ARGUMENT...]: of these tests.
tests()
{
	verb=$1
	shift
	# shellcheck disable=SC2086
	kyua -v parallelism="$jobs" $unprivileged "$verb" \
	    --kyuafile="$kyuafile" --build-root="$dir" "$@"
}

# run RESULTS ARGUMENT...: runs these tests.  kyua 0.13 was seen to abort with
# "malloc(): mismatching next->prev_size", and loses all results then.
run()
{
	results=$1
	shift
	tests test --results-file="$results" "$@"
	status=$?
	if [ "$status" -gt 128 ]; then
		echo "run.sh: kyua itself died ($status): once more" >&2
		rm -f "$results"
		tests test --results-file="$results" "$@"
	fi
}

# account RESULTS: adds them up, and says what failed or was skipped and why.
account()
{
	if [ ! -f "$1" ] || ! kyua report --results-file="$1" >"$1.txt"; then
		echo "run.sh: kyua left no results" >&2
		failed=$((failed + 1))
		return
	fi
	kyua report --results-file="$1" --results-filter=broken,failed \
	    --verbose >"$1.txt"
	# The environment, and the metadata of each case, tell nothing new.
	awk '/^===> Execution context/ { on = 0; next }
	    /^===> (Broken|Failed|Summary)/ { exit }
	    /^===> / { on = 1 }
	    /^Metadata:/ { meta = 1; next }
	    meta && /^ / { next }
	    { meta = 0 }
	    on' "$1.txt"
	kyua report --results-file="$1" --results-filter=skipped |
	    grep -e ' -> ' | sed 's/^/Skipped: /'
	# shellcheck disable=SC2046
	set -- $(awk '/^Test cases: / { gsub(",", "")
	    print $3, $5, $10, $12 }' "$1.txt")
	skipped=$((skipped + $2))
	failed=$((failed + $3 + $4))
	passed=$((passed + $1 - $2 - $3 - $4))
}

# may_enter UID: can that user run what is in this directory?
may_enter()
{
	setpriv --reuid "$1" --clear-groups test -r "$dir/support/common.sh" \
	    2>/dev/null
}

rm -f "$dir"/results*.db "$dir"/results*.txt "$dir/kyua.log"
set -f

unprivileged=
if [ "$(id -u)" -eq 0 ]; then
	if id nobody >/dev/null 2>&1 && may_enter "$(id -u nobody)"; then
		unprivileged='-v unprivileged_user=nobody'
	fi
	run "$dir/results.db" "$@"
	account "$dir/results.db"
else
	# Which are those that need root?  Asked once: programs in shell take
	# seconds to tell.
	listed=$(tests list --verbose "$@")
	root=$(printf '%s\n' "$listed" |
	    awk '/^[^ ]/ { name = $1 } /required_user = root/ { print name }')
	others=$(printf '%s\n' "$listed" |
	    awk '/^[^ ]/ { if (name != "") print name; name = $1 }
	    /required_user = root/ { name = "" }
	    END { if (name != "") print name }')
	if [ -n "$others" ]; then
		# shellcheck disable=SC2086
		run "$dir/results.db" $others
		account "$dir/results.db"
	fi
	as_root=${SUDO:-unshare -r}
	if [ -z "$root" ]; then
		:
	elif $as_root true 2>"$dir/kyua.log"; then
		echo "With $as_root:"
		# sudo forgets the environment; env brings it back.
		# shellcheck disable=SC2046,SC2086
		$as_root env $(env | grep -e '^GONS_TEST_[A-Z]*=[^ ]*$') \
		    PATH="$PATH" CC="${CC-}" CFLAGS="${CFLAGS-}" \
		    CPPFLAGS="${CPPFLAGS-}" LDFLAGS="${LDFLAGS-}" \
		    GONS_TEST_CC="${GONS_TEST_CC-}" \
		    GONS_TEST_MAKE="${GONS_TEST_MAKE-}" \
		    "$KYUA" --config=none --logfile="$dir/kyua-root.log" \
		    -v parallelism="$jobs" test \
		    --kyuafile="$kyuafile" --build-root="$dir" \
		    --results-file="$dir/results-root.db" $root
		account "$dir/results-root.db"
	else
		n=$(echo "$root" | wc -l)
		echo "Skipped: $n that need root: $as_root:" \
		    "$(tail -n 1 "$dir/kyua.log")"
		skipped=$((skipped + n))
	fi
fi

if [ $((passed + failed + skipped)) -eq 0 ]; then
	echo "run.sh: there is no such test${*:+: $*}" >&2
	failed=1
fi
echo
echo "$passed passed, $failed failed, $skipped skipped"
[ "$failed" -eq 0 ]
