# SPDX-License-Identifier: BSD-2-Clause
# shellcheck shell=sh disable=SC2046,SC2086,SC2119,SC2154
#
# Secure-execution mode: what its user says to a program with privileges of
# its own is not done.  The programs are really set-user-ID, or have file
# capabilities, and are run by another user.

user=65534

# Everything that a user can set before a program is started.
hostile='env -i LD_LIBRARY_PATH=. TMPDIR=/nowhere SECRET=x'
hostile="$hostile gons_uts=/proc/1/ns/uts ./hostile"

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
	links $own_cc "$@" -D_GNU_SOURCE -o report "$data/h_report.c" \
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
	    gons_mnt=fd:9999 gons_ids=0:0 gons_reexec_action=nonsense; do
		atf_check -o save:got env $one $other ./report
		check_refusal "${one%%=*}"
	done
	ends
	# It does not hang either.
	mkfifo fifo
	atf_check -o save:got env gons_net=fifo $other ./report
	rm fifo
	check_refusal gons_net
}

# ends: with gons_onerror, whatever its value, the program is not even started.
# Nothing that the user has chosen comes out of it: neither values nor names.
ends()
{
	why='is refused in secure-execution mode: Operation not permitted'
	for value in exit never; do
		atf_check -s exit:125 -e inline:"gons: gons_onerror $why\n" \
		    env gons_onerror=$value $other ./report
		for one in gons_secret=x gons_nets=secret gons_ids=secret; do
			atf_check -s exit:125 -e not-match:secret \
			    -e match:"^gons: gons_[a-z]* $why\$" \
			    env $one gons_onerror=$value $other ./report
		done
	done
	# Descriptor 2 is where it goes, or nowhere.
	atf_check -s exit:125 env gons_onerror=exit \
	    sh -c "exec $other ./report 2>&-"
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
	links $own_cc "$@" -o plain "$data/h_plain.c" \
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
	links $own_cc -static -o report "$data/h_report.c" -D_GNU_SOURCE \
	    $(pkg-config --cflags --libs gons)
	chmod 4755 report
	needs_secure
	links $own_cc -static -o own own.c $(pkg-config --cflags --libs gons)
	atf_check chmod 4755 own
	atf_check -o save:got "$target" -w want uts \
	    sh -c "$other ./own /proc/\$TARGET/ns/uts"
	atf_check -o file:want cat got
}

# Nor is anything of its user's needed for visits.
atf_test_case visits
visits_head()
{
	atf_set descr "gons_visit(3), gons_socket(3) and files in a set-user-ID program"
	atf_set require.user root
}
visits_body()
{
	needs_other
	needs_target mnt,net
	cat >visits.c <<-'END'
	#include <sys/ioctl.h>
	#include <sys/stat.h>
	#include <errno.h>
	#include <fcntl.h>
	#include <stdio.h>
	#include <unistd.h>
	#include <gons.h>
	static struct gons_error error;
	static int show(void *arg)
	{
		char name[64] = "", path[64];
		ssize_t len;

		(void)snprintf(path, sizeof(path), "/proc/thread-self/ns/%s",
		    (char *)arg);
		len = readlink(path, name, sizeof(name) - 1);
		(void)printf("%s %.*s\n", (char *)arg, (int)len, name);
		return 7;
	}
	static int fail(const char *what)
	{
		char text[512];

		(void)gons_error_format(&error, text, sizeof(text));
		(void)printf("%s: %s\n", what, text);
		return 1;
	}
	int main(int argc, char **argv)
	{
		struct gons_env env = { 0 };
		struct stat st;
		int fd, root, value = 0;

		if (argc < 3)
			return 1;
		env.path[GONS_MNT] = argv[1];
		if (gons_visit(&env, NULL, show, "mnt", &value, &error) == -1)
			return fail("gons_visit");
		if ((fd = gons_socket(argv[2], 2, 1, 0, &error)) == -1)
			return fail("gons_socket");
		if (fstat(ioctl(fd, 0x894c), &st) == -1) /* SIOCGSKNS */
			return fail("SIOCGSKNS");
		(void)printf("net net:[%lu]\n", (unsigned long)st.st_ino);
		if ((root = gons_root(argv[1], &error)) == -1)
			return fail("gons_root");
		fd = gons_openat(root, "/etc/passwd", O_RDONLY);
		(void)fprintf(stderr, "%d %d %d %d\n", value, fd != -1,
		    (int)getuid(), (int)geteuid());
		/* What its user may not read, it may. */
		(void)fprintf(stderr, "%d %d\n", access(argv[3], R_OK),
		    gons_openat(root, argv[3], O_RDONLY) == -1);
		return 0;
	}
	END
	links $own_cc -static -o report "$data/h_report.c" -D_GNU_SOURCE \
	    $(pkg-config --cflags --libs gons)
	chmod 4755 report
	needs_secure
	echo secret >file
	chmod 600 file
	links $own_cc -D_GNU_SOURCE -o hostile "$data/h_hostile.c"
	for how in -static "-Wl,-rpath,$stage/lib"; do
		links $own_cc -std=c99 -D_GNU_SOURCE "$how" -o visits visits.c \
		    $(pkg-config --cflags --libs gons)
		atf_check chmod 4755 visits
		for with in '' "$hostile"; do
			atf_check -o save:got \
			    -e inline:"7 1 $user 0\n-1 0\n" \
			    "$target" -w want mnt,net sh -c "$other $with \
			    ./visits /proc/\$TARGET/ns/mnt \
			    /proc/\$TARGET/ns/net '$PWD/file'"
			atf_check -o file:want cat got
		done
		# Without the privileges it is nobody's.
		cp visits plain
		chmod 755 plain
		atf_check -s exit:1 -o match:'not permitted|denied' \
		    "$target" mnt,net sh -c "$other ./plain \
		    /proc/\$TARGET/ns/mnt /proc/\$TARGET/ns/net '$PWD/file'"
	done
}

# copies OPTION STATUS: a copy in the program and one in a library tell that.
copies()
{
	both=$1
	shift
	atf_check -o save:got env "$@" $other ./app "$so"
	for who in program library shared; do
		echo "$who: joined 0x0, status $both"
	done >expected
	echo 'copies 2' >>expected
	sort expected >expected.sorted
	atf_check -o file:expected.sorted sort got
}

atf_test_case two_copies
two_copies_head()
{
	atf_set descr "a set-user-ID program with two copies of the library"
	atf_set require.user root
}
two_copies_body()
{
	needs_other
	links $own_cc -static -o report "$data/h_report.c" -D_GNU_SOURCE \
	    $(pkg-config --cflags --libs gons)
	chmod 4755 report
	needs_secure
	so=$stage/lib/libgons.so.0
	links $own_cc -shared -fPIC -o libuser.so "$data/h_user.c" \
	    $(pkg-config --cflags --libs gons) "-Wl,-rpath,$stage/lib"
	links $own_cc $(pkg-config --cflags gons) -D_GNU_SOURCE -o app \
	    "$data/h_copies.c" "$stage/lib/gons/autostart.o" \
	    "$stage/lib/gons/libgons.a" -L. -luser -ldl \
	    "-Wl,-rpath,$PWD"
	chmod 4755 app
	why='is refused in secure-execution mode: Operation not permitted'
	copies -
	copies - gons_net=
	# Odd and even.
	copies "gons: gons_net $why" gons_net=/no
	copies "gons: gons_uts $why" gons_uts=/no A= gons_net=/no B=
	copies "gons: gons_reexec_action $why" gons_reexec_action=x gons_uts=
	# Where such a mark stands, its word is never taken for an address.
	links $own_cc -D_GNU_SOURCE -I"$GONS_TEST_SRC/lib" \
	    -I"$stage/include" -o forge "$data/h_forge.c" \
	    "$stage/lib/gons/libgons.a" -ldl
	chmod 4755 forge
	lost='status gons: another copy of the library has taken the variables, and its status is lost'
	for word in high kernel end right; do
		atf_check -o not-match:'status -$' -o not-match:forged \
		    -o match:'^status gons: ' $other ./forge "$so" $word
	done
	atf_check -o inline:"$lost\n" $other ./forge "$so" high
}

# agent HOW...: ./agent, which runs actions, not yet privileged.
agent()
{
	links $own_cc "$@" -D_GNU_SOURCE -o agent "$data/h_agent.c" \
	    $(pkg-config --cflags --libs gons) -pthread
	links $own_cc -D_GNU_SOURCE -o hostile "$data/h_hostile.c"
}

# needs_agent: programs get privileges from their files here.
needs_agent()
{
	needs_other
	needs prlimit timeout
	needs_target uts
	program -static
	atf_check chmod 4755 report
	needs_secure
}

# acts: the action is in the target's namespace, and has nothing of its user's:
# all of that must be its own.
acts()
{
	rm -f want
	atf_check -o save:got "$target" -w want uts sh -c "
	    umask 000
	    exec 7<. 8</proc/self/ns/net
	    exec $other $hostile ./agent run /proc/\$TARGET/ns/uts"
	{
		cat want
		echo 'cwd /'
		echo 'umask 077'
		echo 'dumpable 0'
		echo 'slack 50000'
		echo 'env OURS=yes'
		for mask in SigBlk SigIgn SigCgt; do
			printf '%s:\t0000000000000000\n' $mask
		done
	} >expected
	# What the library needs until the end is close-on-exec; musl and
	# glibc have signals of their own.
	sed -e '/^fd /d' -e '/^SigCgt/s/0000000[0-9a-f]*0000000/0000000000000000/' \
	    got >got.plain
	atf_check -o file:expected cat got.plain
	for fd in 7 8; do
		atf_check -o not-match:"^fd $fd\$" cat got
	done
}

# fails MODE ERRNO TEXT: no action runs.
fails()
{
	atf_check -o match:"$1: errno $2: gons: action .*: $3" \
	    -o not-match:'^cwd ' $other ./agent "$1"
}

# is_guarded: what its user may do to it while it runs ends actions, and gives
# nobody anything.
is_guarded()
{
	secure='cannot be started in secure-execution mode'
	fails refused 1 "$secure: gons_reexec_allowsecure.. has not been called"
	fails thread 1 "$secure: there were several threads"
	fails closed 1 "$secure: descriptor 0, 1 or 2 was closed"
	lost='cannot be started: the process that gons_reexec_check.. forked'
	fails killed 1 "$lost"
	fails unprepared 1 "$lost"
	atf_check -o match:'^late: errno 1$' -o match:"errno 1: .*$secure" \
	    $other ./agent late
	# Its standing is not what it was.
	atf_check -o match:'^cwd /$' -o match:"^dropped: errno 1: .*$lost" \
	    $other ./agent dropped
	# A stopped server takes the time of a run, and goes on afterwards.
	atf_check -o match:'^stopped: errno 110: ' -o match:'^cwd /$' \
	    $other ./agent stopped
	atf_check -o match:'^hangs: errno 110: ' -o match:'^cwd /$' \
	    $other ./agent hangs
	# However long its user lets each wait last.
	atf_check -o match:'^hangs: errno 110: ' $other \
	    timeout -s KILL 60 ./hostile ./agent hangs
	atf_check -o match:'^signals: alive$' $other ./agent signals
	atf_check -o match:'^spied: own [1-9][0-9]*, others 0, dropped 0$' \
	    $other ./agent spied
	atf_check -o match:'^sealed: errno 95: .*in secure-execution mode' \
	    -o match:'^cwd /$' $other ./agent sealed
	# As an action it is never started.
	mkfifo pipe
	for flags in 0 1073741824; do
		atf_check -s exit:1 -o empty \
		    -e match:'gons_reexec_action is refused' sh -c "
		    exec 9<>pipe
		    exec $other env gons_reexec_action=$flags:9,,,,9,9,:look \
			./agent run"
	done
	rm pipe
	# Neither limit lets anything else happen than a failure.
	for limit in nofile=9 nofile=6 fsize=0 as=16777216 stack=65536; do
		$other prlimit "--$limit" ./agent run 2>&1 | cat >got
		grep -q -e '^cwd /$' -e 'errno' -e '^agent: ' -e shared got ||
		    atf_fail "$limit: neither result nor reason: $(cat got)"
	done
}

atf_test_case agent_set_user_id
agent_set_user_id_head()
{
	atf_set descr "actions of a set-user-ID program"
	atf_set require.user root
}
agent_set_user_id_body()
{
	needs_agent
	for how in -static "-Wl,-rpath,$stage/lib"; do
		agent "$how"
		atf_check chmod 4755 agent
		acts
		is_guarded
	done
}

atf_test_case agent_capabilities
agent_capabilities_head()
{
	atf_set descr "actions of a program with file capabilities"
	atf_set require.user root
	atf_set require.progs setcap
}
agent_capabilities_body()
{
	needs_agent
	agent -static
	setcap cap_sys_admin,cap_sys_ptrace+ep agent 2>why ||
	    atf_skip "no file capabilities in $PWD: $(cat why)"
	acts
	is_guarded
}

atf_init_test_cases()
{
	# shellcheck source=tests/support/common.sh
	. "$(atf_get_srcdir)/support/common.sh"
	for tc in set_user_id set_group_id capabilities own_will visits \
	    two_copies agent_set_user_id agent_capabilities; do
		atf_add_test_case $tc
	done
}
