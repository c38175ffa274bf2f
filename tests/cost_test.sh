# SPDX-License-Identifier: BSD-2-Clause
# shellcheck shell=sh disable=SC2015,SC2046,SC2086,SC2154
#
# What start-up costs: system calls and instructions, counted in a static
# program, so that the dynamic linker's own work is not among them.

# prepare: ./without and ./with, the same program without and with the library.
prepare()
{
	set -- $own_cc
	needs_abi "$@"
	src=$helpers/h_plain.c
	# valgrind does not read what every compiler writes for debuggers.
	set -- "$@" -O2 -static -Wl,--strip-debug
	atf_check "$@" -o without "$src"
	atf_check "$@" -o with "$src" \
	    $(pkg-config --static --cflags --libs gons)
}

can_trace()
{
	needs strace
	strace -o trace.out ./without >out 2>why ||
	    atf_skip "strace does not work: $(tail -n 1 why)"
}

# calls FILE COMMAND...: the system calls that it makes, one a line.
calls()
{
	calls_file=$1
	shift
	strace -f -qq -e signal=none -o trace.out "$@" >out 2>err ||
	    atf_fail "$* fails under strace: $(cat err)"
	# The first is the execve(2) of strace itself.
	sed -e 's/^[0-9]* *//' -e 1d trace.out >"$calls_file.full"
	sed 's/[(:].*//' "$calls_file.full" >"$calls_file"
}

# unrelated COMMAND...: with 100 variables, some of which look alike.
unrelated()
{
	n=5
	vars='gonsight=1 gon=2 GONS_NET=3 gons=4 g=5'
	while [ $n -lt 100 ]; do
		vars="$vars some_variable_$n=its_value_$n"
		n=$((n + 1))
	done
	env -i PATH="$PATH" $vars "$@"
}

atf_test_case no_variable
no_variable_head()
{
	atf_set descr "no variable set: the system calls of a program without"
}
no_variable_body()
{
	prepare
	can_trace
	calls without.calls ./without
	calls with.calls ./with
	atf_check -o file:without.calls cat with.calls
	# Set, but empty, is not set.
	export gons_net="" gons_order="" gons_onerror=""
	calls with.calls ./with
	unset gons_net gons_order gons_onerror
	atf_check -o file:without.calls cat with.calls
	# Others of that kind are no business of the library's.
	export gons_foo=1 gons_=2 gons_netx=3
	calls with.calls ./with
	atf_check -o file:without.calls cat with.calls
}

# The command of a target that is traced.
traced_command()
{
	cat >inside.sh <<-'END'
	# inside.sh FILE: strace's output of ./with goes there.
	exec strace -f -qq -e signal=none -o "$1" ./with
	END
}

# inside TYPES MODE CALLS: the target's variables are set; start-up makes just
# these calls, and then the program does what it does without the library.
inside()
{
	echo "$1 $2: $3"
	atf_check -o ignore "$target" $2 "$1" sh inside.sh inside.out
	sed -e 's/^[0-9]* *//' -e 1d inside.out >all.full
	# Some processors have no open(2) of their own.
	sed -e 's/[(:].*//' -e 's/^openat$/open/' all.full >all
	for call in $3; do
		echo "$call"
	done >expected
	calls without.calls ./without
	# The library's own come in one piece, before or among libc's first.
	first=$(grep -n -m 1 -E '^(open|setns|pidfd_open)$' all |
	    sed 's/:.*//')
	count=$(($(wc -l <expected)))
	sed -n "$first,$((first + count - 1))p" all >own
	atf_check -o file:expected cat own
	sed "$first,$((first + count - 1))d" all >rest
	atf_check -o file:without.calls cat rest
}

atf_test_case one_namespace
one_namespace_head()
{
	atf_set descr "each namespace: open, setns, close; fd:N: setns, close"
}
one_namespace_body()
{
	prepare
	can_trace
	traced_command
	made=0
	for type in cgroup ipc mnt net pid time user uts; do
		# An ordinary user may make none without a user namespace.
		"$target" $type true 2>why || continue
		made=$((made + 1))
		inside $type -e 'open setns close'
		atf_check -o match:'O_RDONLY\|O_NOCTTY\|O_NONBLOCK\|O_CLOEXEC' \
		    grep "ns/$type" all.full
		inside $type -f 'setns close'
	done
	[ $made -gt 0 ] || atf_skip "cannot make namespaces: $(cat why)"
}

atf_test_case several_namespaces
several_namespaces_head()
{
	atf_set descr "several: open, setns and close for each of them"
}
several_namespaces_body()
{
	prepare
	can_trace
	needs_target user,net
	traced_command
	all=cgroup,ipc,mnt,net,pid,time,user,uts
	"$target" $all true || all=user,net
	n=$(echo $all | tr , '\n' | wc -l)
	atf_check -o ignore "$target" -e $all sh inside.sh inside.out
	calls without.calls ./without
	for call in 'open(at)?' setns close; do
		atf_check -o inline:"$n\n" grep -Ec " $call\(" inside.out
	done
	# Execution has no part in it, and there is nothing else.
	atf_check -o inline:"$(($(wc -l <without.calls) + 1 + 3 * n))\n" \
	    grep -c '' inside.out
}

atf_test_case target
target_head()
{
	atf_set descr "gons_target with gons_order: three calls in all"
}
target_body()
{
	prepare
	can_trace
	needs_target user,net,uts
	cat >inside.sh <<-'END'
	gons_target=$TARGET gons_order=user,net,uts exec \
	    strace -f -qq -e signal=none -o "$1" ./with
	END
	gons_target=$$ gons_order=uts ./with >/dev/null
	inside user,net,uts '' 'pidfd_open setns close'
	# As many for one type, or as many as there are.
	sed 's/order=user,net,uts/order=user/' inside.sh >one.sh
	mv one.sh inside.sh
	inside user '' 'pidfd_open setns close'
}

# instructions COMMAND...: how many it takes.
instructions()
{
	unrelated valgrind --tool=callgrind --callgrind-out-file=callgrind.out \
	    "$@" >out 2>err || atf_skip "valgrind does not work: $(tail -n 1 err)"
	sed -n 's/^.*Collected : \([0-9]*\).*/\1/p' err
}

atf_test_case instructions
instructions_head()
{
	atf_set descr "100 unrelated variables: 4,000 instructions at most"
}
instructions_body()
{
	prepare
	needs valgrind
	without=$(instructions ./without)
	with=$(instructions ./with)
	[ "${without:-0}" -gt 0 ] && [ "${with:-0}" -gt 0 ] ||
	    atf_skip "valgrind counts nothing: $(tail -n 1 err)"
	echo "$((with - without)) instructions"
	[ $((with - without)) -le 4000 ] ||
	    atf_fail "$((with - without)) instructions for 100 variables"
}

atf_init_test_cases()
{
	# shellcheck source=tests/common.sh
	. "$(atf_get_srcdir)/common.sh"
	for tc in no_variable one_namespace several_namespaces target \
	    instructions; do
		atf_add_test_case $tc
	done
}
