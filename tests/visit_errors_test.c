/*
 * SPDX-License-Identifier: BSD-2-Clause
 *
 * Copyright (c) 2026 The libgons developers
 *
 * gons_visit(3), "ERRORS": what a visit fails of, and that nothing has
 * happened then.
 */

#include <sys/ioctl.h>
#include <sys/mount.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>

#include <atf-c.h>

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include <gons.h>

#include "helpers.h"
#include "internal.h"
#include "sw.h"
#include "visits.h"

#define NR_open_tree NEWER(428)
#define NR_move_mount NEWER(429)

#define SLACK (ULONG_MAX / 4 * 3) /* ns; negative as a long */

ATF_TC(errors);
ATF_TC_HEAD(errors, tc)
{
	atf_tc_set_md_var(
	    tc, "descr", "after a failure the function has not been called");
}
ATF_TC_BODY(errors, tc)
{
	static const struct {
		const char *ref;
		int stage, errnum, hint;
	} bad[] = {
		{ "/no/such/file", GONS_STAGE_OPEN, ENOENT, GONS_HINT_NONE },
		{ "", GONS_STAGE_OPEN, ENOENT, GONS_HINT_NONE },
		{ "fd:", GONS_STAGE_OPEN, EINVAL, GONS_HINT_NONE },
		{ "fd:-1", GONS_STAGE_OPEN, EINVAL, GONS_HINT_NONE },
		{ "fd:1x", GONS_STAGE_OPEN, EINVAL, GONS_HINT_NONE },
		{ "fd:2147483648", GONS_STAGE_OPEN, EINVAL, GONS_HINT_NONE },
		{ "fd:9999", GONS_STAGE_OPEN, EBADF, GONS_HINT_NONE },
		{ "/dev/null", GONS_STAGE_JOIN, EINVAL, GONS_HINT_NOTNS },
		{ "/", GONS_STAGE_JOIN, EINVAL, GONS_HINT_NOTNS },
		{ "fifo", GONS_STAGE_JOIN, EINVAL, GONS_HINT_NOTNS },
		{ "/proc/self/ns/uts", GONS_STAGE_JOIN, EINVAL,
		    GONS_HINT_OTHERTYPE },
	};
	struct gons_env env;
	struct scene before;
	size_t i;

	(void)tc;
	sandbox(CLONE_NEWUTS | CLONE_NEWNET | CLONE_NEWNS);
	ATF_REQUIRE_EQ(0, mkfifo("fifo", 0600));
	look_around(&before);
	for (i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
		memset(&env, 0, sizeof(env));
		env.path[GONS_NET] = bad[i].ref;
		fails(&env, NULL, bad[i].stage, bad[i].errnum, GONS_NET,
		    bad[i].hint);
		expect_error(
		    gons_socket(bad[i].ref, AF_INET, SOCK_STREAM, 0, &failure),
		    bad[i].stage, bad[i].errnum, GONS_NET, bad[i].hint);
		if (bad[i].hint != GONS_HINT_OTHERTYPE)
			expect_error(gons_root(bad[i].ref, &failure),
			    bad[i].stage, bad[i].errnum, GONS_MNT, bad[i].hint);
		ATF_CHECK_EQ(-1, gons_root(bad[i].ref, NULL));
	}
	/* the second fails: the thread that has left is lost, and fn uncalled */
	env.path[GONS_UTS] = "/proc/self/ns/uts";
	env.path[GONS_NET] = "/proc/self/ns/ipc";
	env.order = "uts,net";
	fails(
	    &env, NULL, GONS_STAGE_JOIN, EINVAL, GONS_NET, GONS_HINT_OTHERTYPE);
	ATF_CHECK_EQ(GONS_BIT(GONS_UTS), failure.joined);
	env.order = "uts,foo";
	fails(&env, NULL, GONS_STAGE_ORDER, EINVAL, -1, GONS_HINT_UNKNOWN);
	env.order = "uts";
	fails(
	    &env, NULL, GONS_STAGE_ORDER, EINVAL, GONS_NET, GONS_HINT_MISSING);
	calls = 0;
	expect_error(gons_visit(&env, NULL, NULL, NULL, NULL, &failure),
	    GONS_STAGE_VISIT, EINVAL, -1, GONS_HINT_NONE);
	expect_error(gons_socket(NULL, AF_INET, SOCK_STREAM, 0, &failure),
	    GONS_STAGE_OPEN, EINVAL, GONS_NET, GONS_HINT_NONE);
	expect_error(gons_root(NULL, &failure), GONS_STAGE_OPEN, EINVAL,
	    GONS_MNT, GONS_HINT_NONE);
	check_scene(&before);
}

ATF_TC(bad_order);
ATF_TC_HEAD(bad_order, tc)
{
	atf_tc_set_md_var(tc, "descr", "a structure that makes no sense");
}
ATF_TC_BODY(bad_order, tc)
{
	struct gons_order order;
	struct gons_env env;

	(void)tc;
	memset(&env, 0, sizeof(env));
	ATF_REQUIRE_EQ(0, gons_order_parse("net", &order, NULL));
	order.nsteps = 4000000000u;
	fails(&env, &order, GONS_STAGE_ORDER, EINVAL, -1, GONS_HINT_STRUCT);
	order.nsteps = 1;
	order.step[0].type = -5;
	fails(&env, &order, GONS_STAGE_ORDER, EINVAL, -1, GONS_HINT_STRUCT);
}

/* In a child, for filters and limits are for good. */
static void
no_threads(void *arg)
{
	struct gons_env env;

	(void)arg;
	memset(&env, 0, sizeof(env));
	fails(&env, NULL, GONS_STAGE_VISIT, EAGAIN, -1, GONS_HINT_NONE);
	OK(strcmp("thread", failure.what) == 0);
	OK(strcmp("gons: a visit failed: thread: Resource "
		  "temporarily unavailable",
	       text()) == 0);
	calls = 0;
	expect_error(
	    gons_socket("/proc/self/ns/net", AF_INET, SOCK_STREAM, 0, &failure),
	    GONS_STAGE_VISIT, EAGAIN, -1, GONS_HINT_NONE);
	expect_error(gons_root("/proc/self/ns/mnt", &failure), GONS_STAGE_VISIT,
	    EAGAIN, -1, GONS_HINT_NONE);
	/* what cannot be is told first */
	env.path[GONS_USER] = "/no/such/file";
	fails(&env, NULL, GONS_STAGE_JOIN, EINVAL, GONS_USER, GONS_HINT_CHILD);
	env.path[GONS_USER] = NULL;
	env.target = "/no/such/file";
	env.order = "net,foo";
	fails(&env, NULL, GONS_STAGE_ORDER, EINVAL, -1, GONS_HINT_UNKNOWN);
}

static void
full_table(void *arg)
{
	struct rlimit none = { 0, 0 };

	drop_to_nobody();
	CHILD(setrlimit(RLIMIT_NPROC, &none) == 0);
	no_threads(arg);
}

static void
fail_one(void)
{
	meddle_fail(EMFILE, 1);
}

/* Why it is cannot be known if one of the namespaces cannot be looked at. */
static void
full_table_unknown(void *unused)
{
	struct rlimit none = { 0, 0 };
	struct gons_env env;
	int asked, nth = 0;

	(void)unused;
	drop_to_nobody();
	meddle(SYS_openat);
	CHILD(setrlimit(RLIMIT_NPROC, &none) == 0);
	memset(&env, 0, sizeof(env));
	do {
		(void)meddled();
		meddle_then(++nth, fail_one);
		calls = 0;
		expect_error(
		    gons_visit(&env, NULL, count_call, NULL, NULL, &failure),
		    GONS_STAGE_VISIT, EAGAIN, -1, GONS_HINT_NONE);
		asked = meddled();
	} while (nth <= asked);
	CHILD(asked > 0);
}

static void
little_memory(void *arg)
{
	/* less than a stack beyond what there is */
	struct rlimit limit = { 64 << 10, 64 << 10 };

	CHILD(setrlimit(RLIMIT_AS, &limit) == 0);
	no_threads(arg);
}

ATF_TC(no_process);
ATF_TC_HEAD(no_process, tc)
{
	atf_tc_set_md_var(tc, "descr", "a full table of processes");
}
ATF_TC_BODY(no_process, tc)
{
	(void)tc;
	need_nobody();
	if (SANITIZER)
		atf_tc_skip("the sanitizer makes threads, too");
	in_child(full_table, NULL);
	need_filters();
	in_child(full_table_unknown, NULL);
}

ATF_TC(no_memory);
ATF_TC_HEAD(no_memory, tc)
{
	atf_tc_set_md_var(tc, "descr", "no memory for a stack");
}
ATF_TC_BODY(no_memory, tc)
{
	(void)tc;
	if (SANITIZER)
		atf_tc_skip("the sanitizer needs memory, too");
	in_child(little_memory, NULL);
}

/* A full table of processes, and one of the two files cannot be looked at. */
static void
full_table_without(void *arg)
{
	const char *hidden = arg;
	struct rlimit none = { 0, 0 };
	struct gons_env env;
	int from, to;

	from = (int)syscall(NR_open_tree, AT_FDCWD, "file", 1 /* CLONE */);
	CHILD(from != -1);
	CHILD((to = open(hidden, O_PATH | O_NOFOLLOW)) != -1);
	CHILD(syscall(NR_move_mount, from, "", to, "", 0x44 /* EMPTY_PATH */) ==
	      0);
	CHILD(ns_id(hidden) == ns_id("file"));
	drop_to_nobody();
	CHILD(setrlimit(RLIMIT_NPROC, &none) == 0);
	memset(&env, 0, sizeof(env));
	calls = 0;
	expect_error(gons_visit(&env, NULL, count_call, NULL, NULL, &failure),
	    GONS_STAGE_VISIT, EAGAIN, -1, GONS_HINT_NONE);
}

ATF_TC(no_process_unseen);
ATF_TC_HEAD(no_process_unseen, tc)
{
	atf_tc_set_md_var(tc, "descr",
	    "a full table of processes is not taken for a pid namespace");
	atf_tc_set_md_var(tc, "require.user", "root");
}
ATF_TC_BODY(no_process_unseen, tc)
{
	static char hidden[][64] = { "/proc/thread-self/ns/pid",
		"/proc/thread-self/ns/pid_for_children" };
	size_t i;

	(void)tc;
	need_nobody();
	if (SANITIZER)
		atf_tc_skip("the sanitizer makes threads, too");
	ATF_REQUIRE_EQ(0, unshare(CLONE_NEWNS));
	ATF_REQUIRE_EQ(0, mount("none", "/", NULL, MS_REC | MS_PRIVATE, NULL));
	(void)close(open("file", O_CREAT | O_WRONLY | O_CLOEXEC, 0644));
	if (syscall(NR_open_tree, AT_FDCWD, "file", 0) == -1 && errno == ENOSYS)
		atf_tc_skip("nothing can be mounted over a link");
	for (i = 0; i < sizeof(hidden) / sizeof(hidden[0]); i++)
		in_child(full_table_without, hidden[i]);
}

/* The visit itself needs no descriptor where the reference is one. */
static void
no_room(void *arg)
{
	const struct rlimit none = { 0, 0 };
	char mnt[32], net[32];

	(void)arg;
	(void)snprintf(mnt, sizeof(mnt), "fd:%d",
	    open("/proc/self/ns/mnt", O_RDONLY | O_CLOEXEC));
	(void)snprintf(net, sizeof(net), "fd:%d",
	    open("/proc/self/ns/net", O_RDONLY | O_CLOEXEC));
	CHILD(setrlimit(RLIMIT_NOFILE, &none) == 0);
	calls = 0;
	expect_error(gons_root(mnt, &failure), GONS_STAGE_VISIT, EMFILE, -1,
	    GONS_HINT_NONE);
	OK(strcmp("root", failure.what) == 0);
	expect_error(gons_socket(net, AF_UNIX, SOCK_STREAM, 0, &failure),
	    GONS_STAGE_VISIT, EMFILE, -1, GONS_HINT_NONE);
	OK(strcmp("socket", failure.what) == 0);
	OK(gons_root(mnt, NULL) == -1 && errno == EMFILE);
	OK(gons_socket(net, AF_UNIX, SOCK_STREAM, 0, NULL) == -1 &&
	    errno == EMFILE);
}

ATF_TC(no_descriptors);
ATF_TC_HEAD(no_descriptors, tc)
{
	atf_tc_set_md_var(tc, "descr", "no descriptor for what was asked for");
}
ATF_TC_BODY(no_descriptors, tc)
{
	(void)tc;
	sandbox(CLONE_NEWNS | CLONE_NEWNET);
	in_child(no_room, NULL);
}

static void
no_unshare(void *arg)
{
	const struct rule rule = { SYS_unshare, -1, 0, 0, ENOSYS };
	struct gons_env env;

	(void)arg;
	memset(&env, 0, sizeof(env));
	CHILD(prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) == 0);
	forbid(&rule, 1);
	fails(&env, NULL, GONS_STAGE_VISIT, ENOSYS, -1, GONS_HINT_NONE);
	OK(strcmp("unshare", failure.what) == 0);
}

static void
no_setns(void *arg)
{
	const struct rule rule = { SYS_setns, -1, 0, 0, EPERM };
	struct gons_env env;

	(void)arg;
	memset(&env, 0, sizeof(env));
	CHILD(prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) == 0);
	forbid(&rule, 1);
	go(&env, count_call, NULL); /* names nothing */
	env.path[GONS_NET] = "/proc/self/ns/net";
	calls = 0;
	OK(gons_visit(&env, NULL, count_call, NULL, NULL, &failure) == -1);
	OK(errno == EPERM);
	OK(failure.stage == GONS_STAGE_JOIN);
	OK(calls == 0);
	OK(gons_socket("/proc/self/ns/net", AF_INET, SOCK_STREAM, 0, NULL) ==
	    -1);
	OK(errno == EPERM);
}

static unsigned long long
own_slack(void)
{
	unsigned long long slack = 0;
	FILE *f = fopen("/proc/self/timerslack_ns", "re");

	CHILD(f != NULL && fscanf(f, "%llu", &slack) == 1);
	fclose(f);
	return slack;
}

/*
 * Its thread is waited for, but for no more than a second, however long each
 * sleep may last by the timer slack: the user of a program sets that.  One that
 * the visit is not told comes to no more than what it has set.
 */
static void
no_tgkill(void *arg)
{
	const struct rule rules[] = {
		/* asking; a signal would be let through, and end the wait */
		{ SYS_tgkill, 2, ~0u, 0, EPERM },
		{ SYS_prctl, 0, 0xffffffff, PR_GET_TIMERSLACK, EPERM },
	};
	const int *untold = arg;
	struct timespec from, to;
	struct gons_env env;

	memset(&env, 0, sizeof(env));
	CHILD(prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) == 0);
	forbid(rules, *untold ? 2 : 1);
	CHILD(prctl(PR_SET_TIMERSLACK, SLACK, 0, 0, 0) == 0);
	CHILD(own_slack() == SLACK);
	(void)alarm(60); /* ends the child if it hangs */
	(void)clock_gettime(CLOCK_MONOTONIC, &from);
	go(&env, count_call, NULL);
	(void)clock_gettime(CLOCK_MONOTONIC, &to);
	OK(to.tv_sec - from.tv_sec >= 1);
	OK(*untold ? own_slack() < 1000000 : own_slack() == SLACK);
}

/* A process that is told no numbers is not taken for a copy that has returned. */
static void
no_numbers(void *arg)
{
	const struct rule rules[] = {
		{ SYS_getpid, -1, 0, 0, ENOSYS },
		{ SYS_gettid, -1, 0, 0, ENOSYS },
	};
	struct gons_env env;

	(void)arg;
	memset(&env, 0, sizeof(env));
	CHILD(prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) == 0);
	forbid(rules, 2);
	go(&env, count_call, NULL);
}

/* Nobody has called the function, whatever was in memory before. */
static void
killed(void *arg)
{
	const long *nr = arg;
	const struct rule rule = { *nr, -1, 0, 0, KILLS };
	struct gons_env env;
	char ref[32];
	int fd, i;

	memset(&env, 0, sizeof(env));
	CHILD((fd = open("/proc/self/ns/net", O_RDONLY | O_CLOEXEC)) != -1);
	(void)snprintf(ref, sizeof(ref), "fd:%d", fd);
	env.path[GONS_NET] = ref;
	go(&env, count_call, NULL); /* leaves a 0 on the stack */
	forbid(&rule, 1);
	for (i = 0; i < 2; i++) {
		fails(&env, NULL, GONS_STAGE_VISIT, ECANCELED, -1,
		    GONS_HINT_NONE);
		OK(strcmp("thread", failure.what) == 0);
	}
	OK(gons_socket(ref, AF_INET, SOCK_STREAM, 0, NULL) == -1);
	OK(errno == ECANCELED);
}

ATF_TC(filters_kill);
ATF_TC_HEAD(filters_kill, tc)
{
	atf_tc_set_md_var(
	    tc, "descr", "filters that kill the thread before the function");
}
ATF_TC_BODY(filters_kill, tc)
{
	long nrs[] = { SYS_unshare, SYS_setns };
	size_t i;

	(void)tc;
	need_filters();
#ifndef __GLIBC__
	atf_tc_skip("pthread_join(3) of this libc never returns then");
#endif
	if (SANITIZER)
		atf_tc_skip("the sanitizer waits for the thread's own end");
	sandbox(CLONE_NEWNET);
	for (i = 0; i < sizeof(nrs) / sizeof(nrs[0]); i++)
		in_child(killed, &nrs[i]);
}

ATF_TC(filters);
ATF_TC_HEAD(filters, tc)
{
	atf_tc_set_md_var(tc, "descr", "filters that refuse system calls");
}
ATF_TC_BODY(filters, tc)
{
	static int untold[] = { 0, 1 };

	(void)tc;
	need_filters();
	in_child(no_unshare, NULL);
	in_child(no_setns, NULL);
	in_child(no_tgkill, &untold[0]);
	in_child(no_tgkill, &untold[1]);
	in_child(no_numbers, NULL);
}

struct place {
	int fd[NTYPES]; /* of each namespace */
	struct nsids expected, seen;
};

static int
see_descriptors(void *arg)
{
	struct place *p = arg;
	struct stat st;
	int fd;

	/* no /proc tells where it is: a socket does */
	if ((fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0)) == -1)
		return errno;
	p->fd[0] = ioctl(fd, SIOCGSKNS_);
	close(fd);
	p->seen.id[GONS_NET] =
	    p->fd[0] != -1 && fstat(p->fd[0], &st) == 0 ? st.st_ino : 0;
	if (p->fd[0] != -1)
		close(p->fd[0]);
	return 0;
}

static void
without_proc(void *arg)
{
	struct target *t = arg;
	struct place p;
	struct gons_env env;
	char ref[32], pidref[32];
	int fd;

	fd = open(t->refs[GONS_NET], O_RDONLY | O_CLOEXEC);
	p.expected.id[GONS_NET] = ns_id(t->refs[GONS_NET]);
	CHILD(fd != -1);
	(void)snprintf(ref, sizeof(ref), "fd:%d", fd);
	(void)snprintf(pidref, sizeof(pidref), "fd:%d", pidfd_of(t->pid));
	CHILD(mkdir("empty", 0755) == 0);
	CHILD(chroot("empty") == 0 && chdir("/") == 0);
	memset(&env, 0, sizeof(env));
	env.path[GONS_NET] = ref;
	go(&env, see_descriptors, &p);
	CHILD(p.seen.id[GONS_NET] == p.expected.id[GONS_NET]);
	memset(&env, 0, sizeof(env));
	env.target = pidref;
	env.order = "net";
	memset(&p.seen, 0, sizeof(p.seen));
	go(&env, see_descriptors, &p);
	CHILD(p.seen.id[GONS_NET] == p.expected.id[GONS_NET]);
	CHILD(gons_socket(ref, AF_INET, SOCK_DGRAM, 0, NULL) != -1);
	/* out of the chroot: the root of that mount namespace */
	CHILD(access("/proc/self", F_OK) == -1);
	fd = gons_root(pidref, NULL);
	CHILD(fd != -1 && faccessat(fd, "proc/self", F_OK, 0) == 0);
	CHILD(access("/proc/self", F_OK) == -1);
}

ATF_TC(no_proc);
ATF_TC_HEAD(no_proc, tc)
{
	atf_tc_set_md_var(tc, "descr", "in a chroot without a /proc");
}
ATF_TC_BODY(no_proc, tc)
{
	struct target t;

	(void)tc;
	need_no_proc();
	sandbox(0);
	target_start(&t, CLONE_NEWNET | CLONE_NEWNS, 0);
	in_child(without_proc, &t);
	target_stop(&t);
}

ATF_TP_ADD_TCS(tp)
{
	ATF_TP_ADD_TC(tp, errors);
	ATF_TP_ADD_TC(tp, bad_order);
	ATF_TP_ADD_TC(tp, no_process);
	ATF_TP_ADD_TC(tp, no_process_unseen);
	ATF_TP_ADD_TC(tp, no_memory);
	ATF_TP_ADD_TC(tp, no_descriptors);
	ATF_TP_ADD_TC(tp, filters);
	ATF_TP_ADD_TC(tp, filters_kill);
	ATF_TP_ADD_TC(tp, no_proc);
	return atf_no_error();
}
