# SPDX-License-Identifier: BSD-2-Clause
# shellcheck shell=sh disable=SC2046,SC2086,SC2119,SC2154
#
# Secure-execution mode: what its user says to a program with privileges of
# its own is not done.  The programs are really set-user-ID, or have file
# capabilities, and are run by another user.

user=65534

# needs_other: the caller may become another user.
needs_other()
{
	needs_abi $own_cc
	needs setpriv
	other="setpriv --reuid=$user --regid=$user --clear-groups"
	$other true 2>why || atf_skip "cannot become another user: $(cat why)"
	# That one enters by the current directory, wherever it is.
	chmod 755 .
}

# program HOW...: ./report, not yet privileged.
program()
{
	links $own_cc "$@" -D_GNU_SOURCE -o report "$helpers/h_report.c" \
	    $(pkg-config --cflags --libs gons)
}

# needs_secure: ./report gets privileges from its file.
needs_secure()
{
	$other ./report >out 2>why || atf_fail "it does not run: $(cat why)"
	grep -q '^secure 1$' out ||
	    atf_skip "no privileges from files in $PWD: nosuid?"
}

# refuses [NAME]: asked to join, the program has joined nothing, has removed
# the variables, and says so with EPERM and the name of the first.
refuses()
{
	echo "${1-}"
	atf_check -o save:got "$target" -e net,uts $other ./report
	check_refusal gons_
	# All kinds of it, and none of them is even looked at.
	for one in gons_net=/no/such/ns gons_order=nonsense gons_target=1 \
	    gons_onerror=exit gons_onerror=nonsense gons_mnt=fd:9999 \
	    gons_reexec_action=nonsense; do
		atf_check -o save:got env $one $other ./report
		check_refusal "${one%%=*}"
	done
	# It does not hang either.
	mkfifo fifo
	atf_check -o save:got env gons_net=fifo $other ./report
	rm fifo
	check_refusal gons_net
}

check_refusal()
{
	atf_check -o match:'^secure 1$' -o match:'^errno 1$' \
	    -o match:'^joined$' -o match:'^variables 0$' \
	    -o match:"^status gons: .*$1" cat got
}

# unmoved: the namespaces themselves are those that it was started in.
unmoved()
{
	links $own_cc "$@" -o plain "$helpers/h_plain.c" \
	    $(pkg-config --cflags --libs gons)
}

# untouched: descriptors that the variables name stay open.
untouched()
{
	atf_check -o match:'^secure 1$' -o match:'^fd 7 open$' \
	    -o match:'^fd 8 open$' -o match:'^fd 9 open$' -o match:'^errno 1$' \
	    sh -c "exec 7</proc/self/ns/net 8</proc/self/ns/uts 9<.
	    gons_net=fd:7 gons_uts=fd:8 gons_target=fd:9 \
	    exec $other ./report 7 8 9"
	# The same without privileges: they are used up.
	cp report unprivileged
	atf_check -o match:'^secure 0$' -o match:'^fd 7 closed$' \
	    sh -c "exec 7</proc/self/ns/net
	    gons_net=fd:7 exec ./unprivileged 7"
	rm unprivileged
}

# silent: no variable set, no error.
silent()
{
	for one in gons_none=1 gons_net=; do
		atf_check -o match:'^secure 1$' -o match:'^status -$' \
		    -o match:'^errno 0$' -o match:'^joined$' \
		    env $one $other ./report
	done
}

atf_test_case set_user_id
set_user_id_head()
{
	atf_set descr "a set-user-ID program"
	atf_set require.user root
}
set_user_id_body()
{
	needs_other
	needs_target net,uts
	for how in -static "-Wl,-rpath,$stage/lib"; do
		program "$how"
		atf_check chmod 4755 report
		needs_secure
		refuses "$how"
		untouched
		silent
		# As the kernel sees it.
		unmoved "$how"
		atf_check chmod 4755 plain
		atf_check -o save:here $other ./plain net uts
		atf_check -o file:here "$target" -e net,uts $other ./plain \
		    net uts
	done
}

atf_test_case set_group_id
set_group_id_head()
{
	atf_set descr "a set-group-ID program"
	atf_set require.user root
}
set_group_id_body()
{
	needs_other
	needs_target net,uts
	program -static
	atf_check chmod 2755 report
	needs_secure
	refuses
	untouched
	silent
}

atf_test_case capabilities
capabilities_head()
{
	atf_set descr "a program with file capabilities"
	atf_set require.user root
	atf_set require.progs setcap
}
capabilities_body()
{
	needs_other
	needs_target net,uts
	program -static
	setcap cap_sys_admin,cap_sys_chroot,cap_sys_ptrace+ep report 2>why ||
	    atf_skip "no file capabilities in $PWD: $(cat why)"
	needs_secure
	refuses
	untouched
	silent
	unmoved -static
	atf_check setcap cap_sys_admin+ep plain
	atf_check -o save:here $other ./plain net uts
	atf_check -o file:here "$target" -e net,uts $other ./plain net uts
}

# The privileges are the program's own, so it may well do by itself what its
# environment may not ask for.
atf_test_case own_will
own_will_head()
{
	atf_set descr "gons_switch(3) works in a set-user-ID program"
	atf_set require.user root
}
own_will_body()
{
	needs_other
	needs_target uts
	cat >own.c <<-'END'
	#include <stdio.h>
	#include <string.h>
	#include <unistd.h>
	#include <gons.h>
	int main(int argc, char **argv)
	{
		static struct gons_error error;
		char name[64], text[512];
		struct gons_env env;
		ssize_t len;

		if (argc < 2)
			return 1;
		(void)gons_envparse(NULL, &env);
		env.path[GONS_UTS] = argv[1];
		if (gons_switch(&env, NULL, &error) == -1) {
			(void)gons_error_format(&error, text, sizeof(text));
			(void)puts(text);
			return 1;
		}
		len = readlink("/proc/self/ns/uts", name, sizeof(name));
		(void)printf("uts %.*s\n", (int)len, name);
		return 0;
	}
	END
	links $own_cc -static -o report "$helpers/h_report.c" -D_GNU_SOURCE \
	    $(pkg-config --cflags --libs gons)
	chmod 4755 report
	needs_secure
	links $own_cc -static -o own own.c $(pkg-config --cflags --libs gons)
	atf_check chmod 4755 own
	atf_check -o save:got "$target" -w want uts \
	    sh -c "$other ./own /proc/\$TARGET/ns/uts"
	atf_check -o file:want cat got
}

atf_init_test_cases()
{
	# shellcheck source=tests/common.sh
	. "$(atf_get_srcdir)/common.sh"
	for tc in set_user_id set_group_id capabilities own_will; do
		atf_add_test_case $tc
	done
}
