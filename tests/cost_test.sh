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
	src=$data/h_plain.c
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
	atf_set descr "start-up without variables makes no system call"
}
no_variable_body()
{
	prepare
	can_trace
	calls without.calls ./without
	calls with.calls ./with
	atf_check -o file:without.calls cat with.calls
	# Set, but empty, is not set.
	export gons_net="" gons_order="" gons_onerror="" gons_ids=""
	calls with.calls ./with
	unset gons_net gons_order gons_onerror gons_ids
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
	atf_set descr "start-up makes three system calls for a name, two for fd:N"
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
	atf_set descr "start-up makes three system calls for each of several names"
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
	atf_set descr "start-up makes three system calls for gons_target with gons_order"
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

# instructions COMMAND...: how many the library's own functions take.  What else
# is in a static program differs from one compiler's run time to another's.
instructions()
{
	unrelated valgrind --tool=callgrind --callgrind-out-file=callgrind.out \
	    "$@" >out 2>err || atf_skip "valgrind does not work: $(tail -n 1 err)"
	[ -s callgrind.out ] ||
	    atf_skip "valgrind counts nothing: $(tail -n 1 err)"
	# libc has some names, too, of functions that nobody else sees.
	nm ./without | awk '{ print $3, "theirs", $3 }' >symbols
	nm "$stage/lib/gons/libgons.a" >>symbols || atf_fail "nm fails"
	# A function has a number, which has its name where it is seen first,
	# perhaps as one that is called.  The line after a call is what all
	# took that was called.
	awk 'NR == FNR {
		if ($2 == "theirs")
			theirs[$3]
		else if (tolower($2) == "t" && !($3 in theirs))
			own[$3]
		next
	    }
	    /^c?fn=/ {
		sub(/=/, " ")
		if (NF > 2)
			name[$2] = $3
		if ($1 == "fn")
			mine = name[$2] in own
		next
	    }
	    /^calls=/ { getline; next }
	    /^[0-9+*-]/ && mine { sum += $2 }
	    END { print sum + 0 }' symbols callgrind.out
}

atf_test_case instructions
instructions_head()
{
	atf_set descr "start-up takes at most 4,000 instructions for 100 other variables"
}
instructions_body()
{
	prepare
	needs valgrind nm
	own=$(instructions ./without)
	[ "$own" -eq 0 ] || atf_fail "$own instructions of others are counted"
	own=$(instructions ./with)
	echo "$own instructions"
	# There are 100 names to be looked at.
	[ "$own" -ge 100 ] || atf_fail "none are counted"
	[ "$own" -le 4000 ] || atf_fail "$own instructions for 100 variables"
}

atf_init_test_cases()
{
	# shellcheck source=tests/support/common.sh
	. "$(atf_get_srcdir)/support/common.sh"
	for tc in no_variable one_namespace several_namespaces target \
	    instructions; do
		atf_add_test_case $tc
	done
}
