# SPDX-License-Identifier: BSD-2-Clause
#
# The manual keeps its word: every program in its EXAMPLES compiles with what
# pkg-config says and prints what the page says, every function has its page,
# and every message of the library is explained.
#
# A page says in comments before a program what to do with it:
#
#	.\" program: NAME MODULE-OF-PKG-CONFIG... [-FLAG...]
#	.\" run: COMMAND		in sh(1); $target is the PID of a process
#	.\" output: LINE		of what the last command prints

: "${GONS_TEST_STAGE:?is not set: run the tests with bmake test}"
: "${GONS_TEST_SRC:?}"
stage=$GONS_TEST_STAGE
man3=$stage/share/man/man3
man7=$stage/share/man/man7

# extract PAGE: the programs to NAME.c, their commands and outputs to
# NAME.N.run and NAME.N.out; the list of programs to "programs".
extract()
{
	awk '$1 == ".\\\"" && $2 == "program:" {
		name = $3
		sub(/^[^:]*: [^ ]* /, "")
		print name, $0 >"programs"
		n = 0
		next
	}
	name == "" { next }
	$1 == ".\\\"" && $2 == "run:" {
		out = sprintf("%s.%03d.out", name, ++n)
		sub(/^[^:]*: /, "")
		print >sprintf("%s.%03d.run", name, n)
		printf "" >out
		next
	}
	$1 == ".\\\"" && $2 == "output:" {
		sub(/^[^:]*: /, "")
		print >out
		next
	}
	$1 == ".Bd" { inside = 1; next }
	$1 == ".Ed" { inside = 0; name = ""; next }
	inside {
		sub(/^\\&/, "")
		gsub(/\\e/, "\\")
		gsub(/\\-/, "-")
		print >(name ".c")
	}' "$1"
}

# A process in namespaces of its own, with a host name of its own.
target_start()
{
	command -v hostname >/dev/null || atf_skip "there is no hostname(1)"
	unshare -U -r -n -u hostname elsewhere 2>why ||
	    atf_skip "cannot make namespaces: $(cat why)"
	mkfifo pid hold
	# shellcheck disable=SC2016
	unshare -U -r -n -u sh -c 'hostname elsewhere && echo $$ >pid &&
	    exec cat hold' &
	read -r target <pid
	exec 3>hold # when this shell ends, so does it
	export target
}

# compile NAME MODULE... [-FLAG...]
compile()
{
	name=$1
	shift
	modules=
	flags=
	for word; do
		case $word in
		-*)	flags="$flags $word" ;;
		*)	modules="$modules $word" ;;
		esac
	done
	# shellcheck disable=SC2086
	libs=$(pkg-config --cflags --libs $modules) || atf_fail "no $modules"
	[ "${GONS_TEST_SANITIZE:-no}" = no ] ||
	    flags="$flags -fsanitize=$GONS_TEST_SANITIZE"
	# shellcheck disable=SC2086
	atf_check ${CC:-cc} -std=gnu99 -Wall -Wextra -Werror $flags \
	    -o "$name" "$name.c" $libs
}

# joins_forked NAME: does it join namespaces in a process that it has forked?
# That has a thread of the thread sanitizer's, and may not.
joins_forked()
{
	case ${GONS_TEST_SANITIZE:-no},$1 in
	*thread*,atf | *thread*,hostnames) ;;
	*)	return 1 ;;
	esac
}

# What is staged is found first.
staged()
{
	PKG_CONFIG_PATH=$stage/lib/pkgconfig${PKG_CONFIG_PATH:+:$PKG_CONFIG_PATH}
	LD_LIBRARY_PATH=$stage/lib
	export PKG_CONFIG_PATH LD_LIBRARY_PATH
}

# page FILE: its programs are compiled, and do what it says.
page()
{
	staged
	extract "$1"
	[ -s programs ] || atf_fail "$1 has no programs"
	if grep -q gons_reexec_new ./*.c &&
	    ! grep -q gons_reexec_new "$stage/lib/libgons.so.0"; then
		atf_skip "the library is built without reexec.o"
	fi
	target_start
	export dir="$PWD"
	while read -r program words; do
		case $words in
		*libmnl*)
			pkg-config --exists libmnl || {
				echo "$1, $program: not compiled without libmnl"
				continue
			} ;;
		esac
		# shellcheck disable=SC2086
		compile "$program" $words
		if joins_forked "$program"; then
			echo "$1, $program: not run, it has a thread then"
			continue
		fi
		for run in "$program".*.run; do
			echo "$1, $program: $(cat "$run")"
			atf_check -o file:"${run%.run}.out" sh "$run"
		done
	done <programs
}

pages="libgons gons_envparse gons_order gons_switch gons_status gons_visit
    gons_socket gons_reexec
    gons_reexec_set gons_multi gons_json"
for p in $pages; do
	atf_test_case "$p"
	eval "${p}_head()
	{
		atf_set descr 'The programs in $p(3) compile and do what they say'
		atf_set require.progs pkg-config unshare
	}
	${p}_body()
	{
		[ $p != gons_json ] || [ \"\${GONS_TEST_JSON-}\" = yes ] ||
		    atf_skip 'libgons_json is not built'
		page $man3/$p.3
	}"
done

atf_test_case gons_cookbook
gons_cookbook_head()
{
	atf_set descr 'The programs in gons_cookbook(7)'
	atf_set require.progs pkg-config unshare
}
gons_cookbook_body()
{
	page "$man7/gons_cookbook.7"
}

atf_test_case functions
functions_head()
{
	atf_set descr "A page declares each function"
}
functions_body()
{
	set -- "$GONS_TEST_SRC/lib/Symbol.map"
	[ "${GONS_TEST_JSON-}" != yes ] ||
	    set -- "$@" "$GONS_TEST_SRC/lib/Symbol_json.map"
	for f in $(sed -n 's/^[[:space:]]*\(gons_[a-z][a-z_]*\);$/\1/p' "$@"); do
		[ -f "$man3/$f.3" ] || atf_fail "$f has no page"
		grep -q "^\.Nm $f\( ,\)*$" "$man3/$f.3" ||
		    atf_fail "$f is not in the NAME section of its page"
		grep -q "^\.F[no] \"*$f\( .*\)*$" "$man3/$f.3" ||
		    atf_fail "$f is not in the SYNOPSIS of its page"
	done
}

atf_test_case messages
messages_head()
{
	atf_set descr "The manual explains each message of the library"
	atf_set require.progs mandoc
}
messages_body()
{
	# The hints, and the fixed parts of the other texts.
	sed -n '/^name_text/,$p' "$GONS_TEST_SRC/lib/envparse.c" |
	    tr -d '\n' | sed 's/"[[:space:]]*"//g; s/\\"/\
QUOTE/g' | tr -d '\n' | grep -o '"[^"]*"' | tr -d '"' |
	    sed 's/QUOTE/"/g; s/^ *//; s/ *$//' | awk 'length >= 12' >texts
	[ "$(wc -l <texts)" -ge 20 ] || atf_fail "cannot find the messages"
	for p in libgons gons_status; do
		mandoc -Tutf8 -Owidth=300 "$man3/$p.3" | sed 's/.\x08//g' |
		    tr -s ' \n' '  ' >text
		while read -r line; do
			grep -qF -e "$line" text ||
			    atf_fail "$p(3) does not explain: $line"
		done <texts
	done
}

atf_test_case examples
examples_head()
{
	atf_set descr "The programs in examples/ are those in the manual"
}
examples_body()
{
	for p in "$man3"/gons_*.3; do
		[ -h "$p" ] || extract "$p"
	done
	for f in answer cat-in daemon netif rootless sockets top-in visit \
	    atf; do
		[ -f $f.c ] || [ "${GONS_TEST_JSON-}" = yes ] || continue
		sed '1,/^ \*\/$/d' "$GONS_TEST_SRC/examples/$f.c" | sed 1d >want
		atf_check -o file:want cat $f.c
	done
}

atf_test_case readme
readme_head()
{
	atf_set descr "The programs in README.md compile, and the first one runs"
	atf_set require.progs pkg-config
}
readme_body()
{
	staged
	awk '/^```c$/ { file = sprintf("readme%d.c", ++n); next }
	    /^```$/ { file = "" }
	    file != "" { print >file }' "$GONS_TEST_SRC/README.md"
	for f in readme*.c; do
		case $(cat $f) in
		*gons_json.h*)	module=gons-json ;;
		*)		module=gons ;;
		esac
		if [ -f "$stage/lib/pkgconfig/$module.pc" ]; then
			compile "${f%.c}" $module
		fi
	done
	atf_check -o match:'^lo$' ./readme1
	atf_check ./readme2
	atf_check -s exit:1 -e match:'gons: invalid gons_net reference' \
	    env gons_net=/none ./readme2
}

atf_test_case pages
pages_head()
{
	atf_set descr "README.md names every page of the manual once"
}
pages_body()
{
	for p in "$GONS_TEST_SRC"/man/*.[1-9]; do
		p=${p##*/}
		printf '[%s(%s)](man/%s)\n' "${p%.*}" "${p##*.}" "$p"
	done | LC_ALL=C sort >want
	sed -n 's/^| \(\[[^|]*\.[1-9])\) |.*/\1/p' \
	    "$GONS_TEST_SRC/README.md" | LC_ALL=C sort >got
	atf_check -o file:want cat got
}

# mandoc(1), which `bmake lint' asks, is silent about a table that is too wide.
atf_test_case formatted
formatted_head()
{
	atf_set descr "groff formats each page for a terminal without a word"
	atf_set require.progs groff
}
formatted_body()
{
	# -W break: a line of long names may be too short.
	for p in "$GONS_TEST_SRC"/man/*.[1-9]; do
		atf_check -o not-empty groff -mdoc -Tutf8 -W break "$p"
	done
}

atf_init_test_cases()
{
	for p in $pages; do
		atf_add_test_case "$p"
	done
	atf_add_test_case gons_cookbook
	atf_add_test_case functions
	atf_add_test_case messages
	atf_add_test_case examples
	atf_add_test_case readme
	atf_add_test_case pages
	atf_add_test_case formatted
}
