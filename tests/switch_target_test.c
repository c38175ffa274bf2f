/*
 * SPDX-License-Identifier: BSD-2-Clause
 *
 * Copyright (c) 2026 The libgons developers
 *
 * switch.o: a target.
 */

#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <sys/ioctl.h>
#include <sys/mount.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>

#include <atf-c.h>

#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include <gons.h>

#include "helpers.h"
#include "sw.h"

ATF_TC_WITHOUT_HEAD(target_all);
ATF_TC_BODY(target_all, tc)
{
	static const char *const orders[] = { "",
		"user,mnt,cgroup,ipc,net,pid,time,uts",
		"uts,time,pid,net,ipc,cgroup,mnt,user," };
	struct target t;
	struct program *r;
	size_t i;
	int nobody;

	need_nobody();
	for (nobody = 0; nobody < 2; nobody++) {
		target_start(&t, ALL_FLAGS, nobody ? TARGET_NOBODY : 0);
		for (i = 0; i < sizeof(orders) / sizeof(orders[0]); i++) {
			r = run_new();
			r->as_nobody = nobody;
			run_env(r, "gons_target=%d", (int)t.pid);
			run_env(r, "gons_order=%s", orders[i]);
			JOINED(r, ALL_TYPES, &t);
			r = run_new();
			r->as_nobody = nobody;
			r->keep[0] = pidfd_of(t.pid);
			run_env(r, "gons_target=fd:%d", r->keep[0]);
			run_env(r, "gons_order=%s", orders[i]);
			JOINED(r, ALL_TYPES, &t);
			close(r->keep[0]);
		}
		target_stop(&t);
	}
}

/* Only those in which it differs; only those that are asked for. */
ATF_TC_WITHOUT_HEAD(target_some);
ATF_TC_BODY(target_some, tc)
{
	struct target t;
	struct program *r;
	int ioctls;

	sandbox(0);
	target_start(&t, CLONE_NEWNET | CLONE_NEWUTS | CLONE_NEWIPC, 0);
	for (ioctls = 0; ioctls < 2; ioctls++) {
		r = run_new();
		if (ioctls == 0) {
			r->rules[0] = (struct rule)PIDFD_IOCTLS;
			r->nrules = 1;
		}
		run_env(r, "gons_target=%d", (int)t.pid);
		JOINED(r,
		    GONS_BIT(GONS_NET) | GONS_BIT(GONS_UTS) |
			GONS_BIT(GONS_IPC),
		    &t);
	}
	r = run_new();
	run_env(r, "gons_target=%d", (int)t.pid);
	run_env(r, "gons_order=ipc,uts");
	JOINED(r, GONS_BIT(GONS_UTS) | GONS_BIT(GONS_IPC), &t);
	/* nothing differs: nothing to do */
	r = run_new();
	run_env(r, "gons_target=%d", (int)getpid());
	JOINED(r, 0, NULL);
	target_stop(&t);
}

ATF_TC_WITHOUT_HEAD(target_contradictions);
ATF_TC_BODY(target_contradictions, tc)
{
	static const struct {
		const char *variable;
		int type, hint;
		const char *text;
	} table[] = {
		{ "gons_net=/proc/self/ns/net", GONS_NET, GONS_HINT_TARGETED,
		    "gons_net" },
		{ "gons_uts=/nope", GONS_UTS, GONS_HINT_TARGETED, "gons_uts" },
		{ "gons_order=!net", -1, GONS_HINT_EARLY, "\"!\"" },
		{ "gons_order=user,!net", -1, GONS_HINT_EARLY, "\"!\"" },
		{ "gons_order=auto", -1, GONS_HINT_AUTO, "\"auto\"" },
		{ "gons_order=auto:net", -1, GONS_HINT_AUTO, "\"auto\"" },
		{ "gons_order=foo", -1, GONS_HINT_UNKNOWN, "\"foo\"" },
		{ "gons_order=net,net", GONS_NET, GONS_HINT_DUPLICATE, "net" },
		{ "gons_order=,", -1, GONS_HINT_UNKNOWN, "\"\"" },
	};
	struct target t;
	struct program *r;
	size_t i;

	need_userns();
	target_start(&t, USERNET, 0);
	for (i = 0; i < sizeof(table) / sizeof(table[0]); i++) {
		r = run_new();
		run_env(r, "gons_target=%d", (int)t.pid);
		run_env(r, "%s", table[i].variable);
		FAILS(r, GONS_STAGE_ORDER, EINVAL, table[i].type, table[i].hint,
		    table[i].text);
	}
	target_stop(&t);
}

ATF_TC_WITHOUT_HEAD(target_bad);
ATF_TC_BODY(target_bad, tc)
{
	static const struct {
		const char *ref;
		int errnum;
	} table[] = {
		{ "0", EINVAL },
		{ "00", EINVAL },
		{ "-1", EINVAL },
		{ "+1", EINVAL },
		{ " 1", EINVAL },
		{ "1 ", EINVAL },
		{ "1x", EINVAL },
		{ "0x1", EINVAL },
		{ "self", EINVAL },
		{ "/proc/1", EINVAL },
		{ "1,2", EINVAL },
		{ "2147483648", EINVAL },
		{ "4294967297", EINVAL },
		{ "18446744073709551617", EINVAL },
		{ "2147483647", ESRCH },
		{ "fd:", EINVAL },
		{ "fd:-1", EINVAL },
		{ "fd:+1", EINVAL },
		{ "fd:1x", EINVAL },
		{ "fd:2147483648", EINVAL },
		{ "fd:1000", EBADF },
		{ "fd:2147483647", EBADF },
	};
	char text[128];
	struct program *r;
	size_t i;
	int hint;

	for (i = 0; i < sizeof(table) / sizeof(table[0]); i++) {
		(void)snprintf(text, sizeof(text),
		    "gons: invalid gons_target reference \"%s\": %s",
		    table[i].ref, strerror(table[i].errnum));
		hint = *table[i].ref == '/' ? GONS_HINT_FORM : GONS_HINT_NONE;
		r = run_new();
		run_env(r, "gons_target=%s", table[i].ref);
		FAILS(r, GONS_STAGE_OPEN, table[i].errnum, -1, hint, text);
		r = run_new();
		run_env(r, "gons_target=%s", table[i].ref);
		run_env(r, "gons_order=net");
		FAILS(r, GONS_STAGE_OPEN, table[i].errnum, -1, hint, text);
	}
}

/*
 * A descriptor that is no process's.  That of a namespace has to be refused
 * although setns(2) would take it.
 */
ATF_TC_WITHOUT_HEAD(target_no_pidfd);
ATF_TC_BODY(target_no_pidfd, tc)
{
	static const char *const orders[] = { "", "net", "uts,net", "user" };
	static const char *const names[] = { "/dev/null", "/", "file", "fifo",
		"/proc/self/status" };
	struct target t;
	struct program *r;
	size_t i, j;
	int fds[32], n = 0, type;

	sandbox(0);
	target_start(&t, USERNET, 0);
	ATF_REQUIRE_EQ(0, mkfifo("fifo", 0600));
	close(open("file", O_CREAT | O_WRONLY | O_CLOEXEC, 0600));
	for (i = 0; i < sizeof(names) / sizeof(names[0]); i++)
		fds[n++] = open(names[i], O_RDONLY | O_NONBLOCK | O_CLOEXEC);
	for (type = 0; type < NTYPES; type++)
		fds[n++] = open_ref(t.refs[type]);
	/* these have no file system of their own, as pidfds had none */
	fds[n++] = eventfd(0, EFD_CLOEXEC);
	fds[n++] = epoll_create1(EPOLL_CLOEXEC);
	fds[n++] = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
	for (i = 0; i < (size_t)n; i++)
		for (j = 0; j < sizeof(orders) / sizeof(orders[0]); j++) {
			r = run_new();
			r->keep[0] = fds[i];
			run_env(r, "gons_target=fd:%d", fds[i]);
			run_env(r, "gons_order=%s", orders[j]);
			FAILS(r, ANY, EINVAL, -1, GONS_HINT_NOTPIDFD,
			    "(it does not refer to a process)");
		}
	target_stop(&t);
}

/* The same where the library has no pidfd itself to compare it with. */
ATF_TC_WITHOUT_HEAD(target_no_pidfd_open);
ATF_TC_BODY(target_no_pidfd_open, tc)
{
	static const char *const orders[] = { "", "net", "user,net" };
	static const int errnums[] = { ENOSYS, EPERM };
	struct target t;
	struct program *r;
	size_t i, n;
	int fds[4];

	need_userns();
	target_start(&t, USERNET, 0);
	fds[0] = open_ref(t.refs[GONS_NET]);
	fds[1] = open_ref("/dev/null");
	fds[2] = eventfd(0, EFD_CLOEXEC);
	fds[3] = pidfd_of(t.pid);
	for (i = 0; i < sizeof(orders) / sizeof(orders[0]); i++)
		for (n = 0; n < 4; n++) {
			if (n == 3 && i == 1)
				continue; /* net alone is denied */
			r = run_new();
			r->keep[0] = fds[n];
			r->rules[0] = (struct rule){ SYS_pidfd_open, -1, 0, 0,
				errnums[(i + n) % 2] };
			r->nrules = 1;
			run_env(r, "gons_target=fd:%d", fds[n]);
			run_env(r, "gons_order=%s", orders[i]);
			if (n == 3)
				JOINED(r,
				    GONS_BIT(GONS_USER) | GONS_BIT(GONS_NET),
				    &t);
			else
				FAILS(r, GONS_STAGE_OPEN, EINVAL, -1,
				    GONS_HINT_NOTPIDFD,
				    "(it does not refer to a process)");
		}
	target_stop(&t);
}

/* It has ended, and been waited for or not; on kernels new and old. */
ATF_TC_WITHOUT_HEAD(target_exited);
ATF_TC_BODY(target_exited, tc)
{
	struct target t;
	struct program *r;
	int fd, i;

	need_userns();
	target_start(&t, USERNET, 0);
	fd = pidfd_of(t.pid);
	target_kill(&t);
	for (i = 0; i < 32; i++) {
		if (i == 16)
			target_stop(&t);
		if ((i & 8) != 0 && (i & 4) == 0)
			continue;
		r = run_new();
		if ((i & 1) != 0)
			run_env(r, "gons_order=user,net");
		if ((i & 2) != 0)
			r->rules[r->nrules++] = (struct rule)PIDFD_IOCTLS;
		if ((i & 8) != 0)
			r->rules[r->nrules++] =
			    (struct rule){ SYS_pidfd_open, -1, 0, 0, ENOSYS };
		if ((i & 4) != 0) {
			r->keep[0] = fd;
			run_env(r, "gons_target=fd:%d", fd);
		} else {
			run_env(r, "gons_target=%d", (int)t.pid);
		}
		FAILS(r, ANY, ESRCH, -1, GONS_HINT_NONE, "No such process");
	}
}

static pid_t looked_at;

static void
start_looked_at(void)
{
	CHILD((looked_at = fork()) != -1);
	while (looked_at == 0)
		(void)pause();
}

static void
end_looked_at(void)
{
	CHILD(kill(looked_at, SIGKILL) == 0);
	CHILD(waitpid(looked_at, NULL, 0) == looked_at);
}

/* 0 or an errno value. */
static int
switch_to(const char *target)
{
	struct gons_env env;
	struct gons_error error;

	(void)gons_envparse(NULL, &env);
	env.target = target;
	if (gons_switch(&env, NULL, &error) == 0)
		return 0;
	CHILD(error.hint == GONS_HINT_NONE);
	return error.errnum;
}

static int
switch_to_looked_at(void)
{
	char pid[16];

	(void)snprintf(pid, sizeof(pid), "%d", (int)looked_at);
	return switch_to(pid);
}

static void
end_while_looked_at(void *arg)
{
	static const struct rule no_ioctls = PIDFD_IOCTLS;
	const int *by_proc = arg;
	int called, errnum, nth = 0;
	siginfo_t info;

	if (*by_proc)
		forbid(&no_ioctls, 1);
	/* a zombie, which still has a number */
	start_looked_at();
	CHILD(kill(looked_at, SIGKILL) == 0);
	CHILD(waitid(P_PID, (id_t)looked_at, &info, WEXITED | WNOWAIT) == 0);
	CHILD(switch_to_looked_at() == ESRCH);
	end_looked_at();
	meddle(*by_proc ? NR_openat2 : SYS_ioctl);
	do {
		start_looked_at();
		(void)meddled();
		meddle_then(++nth, end_looked_at);
		errnum = switch_to_looked_at();
		called = meddled();
		CHILD(errnum == (nth <= called ? ESRCH : 0));
	} while (nth <= called);
	meddle_then(0, end_looked_at);
	end_looked_at();
	CHILD(nth > GONS_NTYPES);
}

/*
 * It ends while it is looked at.  As it is where this process is there is
 * nothing to join, so that no setns(2) would tell.
 */
ATF_TC_WITHOUT_HEAD(target_exits);
ATF_TC_BODY(target_exits, tc)
{
	static int by_proc[] = { 0, 1 };

	(void)tc;
	need_filters();
	in_child(end_while_looked_at, &by_proc[0]);
	in_child(end_while_looked_at, &by_proc[1]);
}

/* Descriptor 0 is one like any other: the target's, or that of /proc. */
static void
switch_by_stdin(void *arg)
{
	const struct target *t = arg;

	CHILD(dup2(pidfd_of(t->pid), 0) == 0);
	CHILD(switch_to("fd:0") == 0);
	CHILD(ns_id("/proc/self/ns/net") == ns_id(t->refs[GONS_NET]));
}

static void
zombie_without_stdin(void *arg)
{
	static const struct rule no_ioctls = PIDFD_IOCTLS;
	char ref[16];
	siginfo_t info;

	(void)arg;
	start_looked_at();
	(void)snprintf(ref, sizeof(ref), "fd:%d", pidfd_of(looked_at));
	CHILD(kill(looked_at, SIGKILL) == 0);
	CHILD(waitid(P_PID, (id_t)looked_at, &info, WEXITED | WNOWAIT) == 0);
	forbid(&no_ioctls, 1);
	CHILD(dup2(1, 0) == 0);
	close(0);
	CHILD(switch_to(ref) == ESRCH);
}

ATF_TC_WITHOUT_HEAD(target_stdin);
ATF_TC_BODY(target_stdin, tc)
{
	struct target t;

	(void)tc;
	need_filters();
	sandbox(0);
	target_start(&t, CLONE_NEWNET, 0);
	in_child(switch_by_stdin, &t);
	in_child(zombie_without_stdin, NULL);
	target_stop(&t);
}

/* All or none: one of them cannot be, so none is joined. */
ATF_TC_WITHOUT_HEAD(target_all_or_none);
ATF_TC_BODY(target_all_or_none, tc)
{
	struct target t;
	struct program *r;

	sandbox(0);
	/* the own user namespace */
	target_start(&t, CLONE_NEWNET | CLONE_NEWUTS, 0);
	r = run_new();
	run_env(r, "gons_target=%d", (int)t.pid);
	run_env(r, "gons_order=net,uts,user");
	FAILS(r, GONS_STAGE_JOIN, EINVAL, -1, GONS_HINT_SAME,
	    "(already in that user namespace)");
	target_stop(&t);
	/* uts belongs to somebody above us */
	target_start(&t, USERNET, 0);
	r = run_new();
	run_env(r, "gons_target=%d", (int)t.pid);
	run_env(r, "gons_order=user,net,uts");
	FAILS(r, GONS_STAGE_JOIN, EPERM, -1, GONS_HINT_OWNER,
	    "(no CAP_SYS_ADMIN in the user namespace that owns its uts "
	    "namespace)");
	target_stop(&t);
}

ATF_TC_WITHOUT_HEAD(target_denied);
ATF_TC_BODY(target_denied, tc)
{
	struct target t;
	struct program *r;
	int fd, i;

	need_nobody();
	target_start(&t, USERNET, TARGET_NOBODY);
	r = run_new();
	r->as_nobody = 1;
	run_env(r, "gons_target=%d", (int)t.pid);
	run_env(r, "gons_order=net");
	FAILS(r, GONS_STAGE_JOIN, EPERM, -1, GONS_HINT_SELF,
	    "(no CAP_SYS_ADMIN in the own user namespace)");
	/* entering the user namespace would do for net, but not for uts */
	r = run_new();
	r->as_nobody = 1;
	run_env(r, "gons_target=%d", (int)t.pid);
	run_env(r, "gons_order=user,net,uts");
	FAILS(r, GONS_STAGE_JOIN, EPERM, -1, GONS_HINT_OWNER,
	    "owns its uts namespace)");
	fd = pidfd_of(t.pid);
	/* a neighbour */
	sandbox(0);
	r = run_new();
	r->keep[0] = fd;
	run_env(r, "gons_target=fd:%d", fd);
	run_env(r, "gons_order=user,net");
	FAILS(r, GONS_STAGE_JOIN, EPERM, -1, GONS_HINT_INSPECT,
	    "(the process must not be inspected by this one)");
	/* the same without an order, which needs to look first */
	for (i = 0; i < 2; i++) {
		r = run_new();
		r->keep[0] = fd;
		if (i == 1) {
			r->rules[0] = (struct rule)PIDFD_IOCTLS;
			r->nrules = 1;
		}
		run_env(r, "gons_target=fd:%d", fd);
		FAILS(r, GONS_STAGE_OPEN, EACCES, -1, GONS_HINT_INSPECT,
		    "Permission denied (the process must not be inspected by "
		    "this one)");
	}
	r = run_new();
	r->keep[0] = fd;
	run_env(r, "gons_net=fd:%d", fd);
	FAILS(r, GONS_STAGE_JOIN, EPERM, GONS_NET, GONS_HINT_INSPECT,
	    "(the process must not be inspected by this one)");
	target_stop(&t);
}

struct few {
	char ref[32];
	int more; /* descriptors that may be opened, at most 3 */
};

/* Whatever is the one too many, the failure tells of it. */
static void
switch_with_few(void *arg)
{
	const struct few *few = arg;
	struct gons_env env;
	struct gons_error error;
	struct rlimit limit;
	int fd[4], i;

	for (i = 0; i <= few->more; i++)
		CHILD((fd[i] = dup(0)) != -1);
	/* the last of them is the first that the limit forbids */
	CHILD(getrlimit(RLIMIT_NOFILE, &limit) == 0);
	limit.rlim_cur = (rlim_t)fd[few->more];
	for (i = 0; i <= few->more; i++)
		close(fd[i]);
	CHILD(setrlimit(RLIMIT_NOFILE, &limit) == 0);
	(void)gons_envparse(NULL, &env);
	env.target = few->ref;
	memset(&error, 0x55, sizeof(error));
	errno = 0;
	CHILD(gons_switch(&env, NULL, &error) == -1);
	CHILD(errno == EMFILE && error.errnum == EMFILE);
	CHILD(error.stage == GONS_STAGE_OPEN && error.type == -1);
	CHILD(error.hint == GONS_HINT_NONE && error.joined == 0);
	CHILD(strcmp(few->ref, error.what) == 0);
}

ATF_TC_WITHOUT_HEAD(target_few_descriptors);
ATF_TC_BODY(target_few_descriptors, tc)
{
	struct target t;
	struct few few;

	need_userns();
	target_start(&t, USERNET, 0);
	(void)snprintf(few.ref, sizeof(few.ref), "fd:%d", pidfd_of(t.pid));
	for (few.more = 0; few.more < 3; few.more++)
		in_child(switch_with_few, &few);
	target_stop(&t);
}

static void
fail_one(void)
{
	meddle_fail(ENOMEM, 1);
}

/*
 * The target is the file of a namespace.  If that cannot be found out, for want
 * of anything, the namespace is not joined in place of a process's.
 */
static void
switch_unknown(void *arg)
{
	struct gons_env env;
	struct gons_error error;
	struct nsids before, now;
	int called, nth = 0;

	ns_own(&before);
	(void)gons_envparse(NULL, &env);
	env.target = arg;
	env.order = "net";
	meddle(SYS_statx);
	do {
		(void)meddled();
		meddle_then(++nth, fail_one);
		CHILD(gons_switch(&env, NULL, &error) == -1);
		called = meddled();
		/* where stat(2) is statx(2), ns_own() calls it, too */
		meddle_then(0, fail_one);
		CHILD(error.errnum == (nth <= called ? ENOMEM : EINVAL));
		CHILD(error.stage == GONS_STAGE_OPEN);
		ns_own(&now);
		CHILD(memcmp(&now, &before, sizeof(now)) == 0);
	} while (nth <= called);
	CHILD(nth > 2);
}

ATF_TC_WITHOUT_HEAD(target_unknown);
ATF_TC_BODY(target_unknown, tc)
{
	char ref[32];
	struct target t;

	(void)tc;
	need_filters();
	sandbox(0);
	target_start(&t, CLONE_NEWNET, 0);
	(void)snprintf(ref, sizeof(ref), "fd:%d", open_ref(t.refs[GONS_NET]));
	in_child(switch_unknown, ref);
	target_stop(&t);
}

/* Kernels before 5.3, and before 5.8. */
ATF_TC_WITHOUT_HEAD(target_old_kernels);
ATF_TC_BODY(target_old_kernels, tc)
{
	struct target t;
	struct program *r;
	int i;

	need_userns();
	target_start(&t, USERNET, 0);
	/* the one with pidfds of clone(2), and filters that are older still */
	r = run_new();
	r->rules[0] = (struct rule)PIDFD_IOCTLS;
	r->rules[1] = (struct rule){ SYS_pidfd_open, -1, 0, 0, ENOSYS };
	r->rules[2] = (struct rule){ SYS_setns, -1, 0, 0, EINVAL };
	r->nrules = 3;
	r->keep[0] = pidfd_of(t.pid);
	run_env(r, "gons_target=fd:%d", r->keep[0]);
	run_env(r, "gons_order=net");
	FAILS(r, GONS_STAGE_JOIN, EINVAL, -1, GONS_HINT_KERNEL, "kernel");
	for (i = 0; i < 8; i++) {
		r = run_new();
		r->rules[0] = (struct rule)PIDFD_IOCTLS;
		r->rules[1] =
		    (i & 1) != 0
			? (struct rule){ SYS_pidfd_open, -1, 0, 0, ENOSYS }
			: (struct rule){ SYS_setns, -1, 0, 0, EINVAL };
		r->nrules = 2;
		if ((i & 2) != 0)
			run_env(r, "gons_order=user,net");
		if ((i & 4) != 0) {
			/* no pidfd without pidfd_open: one of clone(2)'s */
			if ((i & 1) != 0)
				continue;
			r->keep[0] = pidfd_of(t.pid);
			run_env(r, "gons_target=fd:%d", r->keep[0]);
		} else {
			run_env(r, "gons_target=%d", (int)t.pid);
		}
		FAILS(r, ANY, (i & 1) != 0 ? ENOSYS : EINVAL, -1,
		    GONS_HINT_KERNEL, "kernel");
	}
	target_stop(&t);
}

/* Between 5.8 and 6.11: what differs is found out by way of /proc. */
ATF_TC_WITHOUT_HEAD(target_by_proc);
ATF_TC_BODY(target_by_proc, tc)
{
	struct target t;
	struct program *r;
	int i;

	need_userns();
	target_start(&t, ALL_FLAGS, 0);
	for (i = 0; i < 6; i++) {
		r = run_new();
		r->rules[0] = (struct rule)PIDFD_IOCTLS;
		if (i >= 2)
			r->rules[0].errnum = EPERM; /* a filter */
		if (i >= 4) { /* before Linux 6.9, threads have none */
			r->rules[1] = (struct rule){ SYS_pidfd_open, 1, O_EXCL,
				O_EXCL, EINVAL };
			r->nrules++;
		}
		r->nrules++;
		if (i % 2 == 0) {
			run_env(r, "gons_target=%d", (int)t.pid);
		} else {
			r->keep[0] = pidfd_of(t.pid);
			run_env(r, "gons_target=fd:%d", r->keep[0]);
		}
		JOINED(r, ALL_TYPES, &t);
	}
	target_stop(&t);
}

/* No /proc at all. */
ATF_TC_WITHOUT_HEAD(target_no_proc);
ATF_TC_BODY(target_no_proc, tc)
{
	uint64_t net, user, own;
	struct target t;
	struct program *r;
	int i, pidfd, proc;

	sandbox(CLONE_NEWNS);
	target_start(&t, USERNET, 0);
	net = ns_id(t.refs[GONS_NET]);
	user = ns_id(t.refs[GONS_USER]);
	own = ns_id("/proc/self/ns/net");
	pidfd = pidfd_of(t.pid);
	proc = hide_proc();
	for (i = 0; i < 8; i++) {
		r = run_new();
		r->keep[0] = proc;
		run_env(r, "H_PROC=%d", proc);
		if ((i & 1) != 0) {
			r->keep[1] = pidfd;
			run_env(r, "gons_target=fd:%d", pidfd);
		} else {
			run_env(r, "gons_target=%d", (int)t.pid);
		}
		if ((i & 2) != 0) {
			r->rules[0] = (struct rule)PIDFD_IOCTLS;
			r->nrules = 1;
		}
		if ((i & 4) != 0)
			run_env(r, "gons_order=user,net");
		start(tc, r, 0);
		if (i == 2 || i == 3) {
			ATF_CHECK_EQ(ENOENT, (int)run_number(r, "errnum"));
			ATF_CHECK_EQ(
			    GONS_HINT_PROC, (int)run_number(r, "hint"));
			ATF_CHECK_EQ(own, run_number(r, "ns_net"));
			continue;
		}
		if (i < 2 && run_value(r, "status") != NULL &&
		    (int)run_number(r, "hint") == GONS_HINT_PROC)
			continue; /* a kernel before 6.11 */
		ATF_CHECK_MSG(run_value(r, "status") == NULL, "%d: %s", i,
		    run_value(r, "status"));
		ATF_CHECK_EQ(net, run_number(r, "ns_net"));
		ATF_CHECK_EQ(user, run_number(r, "ns_user"));
	}
	/* whether it is a pidfd at all can be known no more */
	for (i = 0; i < 2; i++) {
		r = run_new();
		r->keep[0] = proc;
		r->keep[1] = pidfd;
		run_env(r, "H_PROC=%d", proc);
		run_env(r, "gons_target=fd:%d", pidfd);
		if (i == 1)
			run_env(r, "gons_order=user,net");
		r->rules[0] = (struct rule){ SYS_pidfd_open, -1, 0, 0, ENOSYS };
		r->nrules = 1;
		start(tc, r, 0);
		ATF_CHECK_EQ(ENOSYS, (int)run_number(r, "errnum"));
		ATF_CHECK_EQ(GONS_HINT_KERNEL, (int)run_number(r, "hint"));
		ATF_CHECK_EQ(own, run_number(r, "ns_net"));
	}
	target_stop(&t);
}

/* A kernel without time namespaces. */
ATF_TC_WITHOUT_HEAD(target_no_such_type);
ATF_TC_BODY(target_no_such_type, tc)
{
	struct target t;
	struct program *r = run_new();

	need_userns();
	target_start(&t, USERNET, 0);
	run_env(r, "gons_target=%d", (int)t.pid);
	r->rules[0] = (struct rule){ SYS_ioctl, 1, 0xffff,
		_IO(0xff, 7) & 0xffff, EOPNOTSUPP };
	r->nrules = 1;
	JOINED(r, GONS_BIT(GONS_USER) | GONS_BIT(GONS_NET), &t);
	target_stop(&t);
}

/* Files in the place of /proc are not believed: what they lack may be there. */
ATF_TC_WITHOUT_HEAD(target_false_proc);
ATF_TC_BODY(target_false_proc, tc)
{
	char path[128];
	struct target t;
	struct program *r = run_new();
	int i, proc, type;

	sandbox(CLONE_NEWNS);
	target_start(&t, CLONE_NEWNET, 0);
	proc = hide_proc();
	(void)snprintf(path, sizeof(path), "/proc/%d", (int)t.pid);
	ATF_REQUIRE_EQ(0, mkdir(path, 0755));
	(void)snprintf(path, sizeof(path), "/proc/%d/ns", (int)t.pid);
	ATF_REQUIRE_EQ(0, mkdir(path, 0755));
	ATF_REQUIRE_EQ(0, mkdir("/proc/self", 0755));
	ATF_REQUIRE_EQ(0, mkdir("/proc/self/ns", 0755));
	for (type = 0; type < NTYPES; type++) {
		if (type == GONS_TIME)
			continue;
		(void)snprintf(path, sizeof(path), "/proc/self/ns/%s",
		    ns_types[type].name);
		close(open(path, O_CREAT | O_WRONLY, 0600));
		if (type == GONS_NET)
			close(open(t.refs[type], O_CREAT | O_WRONLY, 0600));
		else
			ATF_REQUIRE_EQ(0, link(path, t.refs[type]));
	}
	r->keep[0] = proc;
	run_env(r, "H_PROC=%d", proc);
	run_env(r, "gons_target=%d", (int)t.pid);
	r->rules[0] = (struct rule)PIDFD_IOCTLS;
	r->nrules = 1;
	for (i = 0; i < 2; i++) {
		start(tc, r, i);
		ATF_CHECK_EQ(GONS_HINT_PROC, run_number(r, "hint"));
		ATF_CHECK_EQ(0, run_number(r, "errjoined"));
	}
	target_stop(&t);
}

/* A /proc that hides the processes of others, or does not have them. */
ATF_TC_WITHOUT_HEAD(target_hidden_proc);
ATF_TC_BODY(target_hidden_proc, tc)
{
	struct target outer, t;
	struct program *r;
	int pidfd, proc, status;
	pid_t pid;

	/* as init of a pid namespace we may mount its /proc */
	sandbox(0);
	target_start(&outer, CLONE_NEWNET, 0);
	pidfd = pidfd_of(outer.pid);
	ATF_REQUIRE_EQ(0, unshare(CLONE_NEWNS | CLONE_NEWPID));
	ATF_REQUIRE((pid = fork()) != -1);
	if (pid != 0) {
		ATF_REQUIRE_EQ(pid, waitpid(pid, &status, 0));
		ATF_REQUIRE_EQ(0, status);
		target_stop(&outer);
		return;
	}
	CHILD(mount("none", "/", NULL, MS_REC | MS_PRIVATE, NULL) == 0);
	CHILD(mount("proc", "/proc", "proc", 0, NULL) == 0);
	proc = open("/proc", O_PATH | O_DIRECTORY);
	target_start(&t, CLONE_NEWNET, 0);
	CHILD(mount("proc", "/proc", "proc", 0, "hidepid=invisible") == 0);
	r = run_new();
	r->keep[0] = proc;
	run_env(r, "H_PROC=%d", proc);
	run_env(r, "gons_target=%d", (int)t.pid);
	r->rules[0] = (struct rule)PIDFD_IOCTLS;
	r->nrules = 1;
	/* those whom we may look at are not hidden */
	start(tc, r, 0);
	CHILD(run_value(r, "status") == NULL);
	/* this one is */
	r->drop_cap = 19 + 1; /* CAP_SYS_PTRACE */
	run(r, atf_tc_get_config_var(tc, "srcdir"), "h_ns");
	CHILD(r->status == 0);
	if (run_value(r, "status") != NULL)
		printf("%s\n", run_value(r, "status"));
	CHILD(run_value(r, "status") != NULL);
	CHILD(run_number(r, "hint") == GONS_HINT_PROC ||
	      run_number(r, "errnum") == EACCES);
	run_env(r, "gons_order=net");
	run(r, atf_tc_get_config_var(tc, "srcdir"), "h_ns");
	CHILD(run_value(r, "status") != NULL);
	CHILD(run_number(r, "errnum") == EPERM);
	/* a process that has no number here */
	r = run_new();
	r->keep[0] = proc;
	r->keep[1] = pidfd;
	run_env(r, "H_PROC=%d", proc);
	run_env(r, "gons_target=fd:%d", pidfd);
	r->rules[0] = (struct rule)PIDFD_IOCTLS;
	r->nrules = 1;
	start(tc, r, 0);
	CHILD(run_value(r, "status") != NULL);
	CHILD(run_number(r, "errnum") == ENOENT);
	CHILD(run_number(r, "hint") == GONS_HINT_PROC);
	run_env(r, "gons_order=net");
	start(tc, r, 0);
	CHILD(run_value(r, "status") == NULL);
	_exit(0);
}

struct other_thread {
	int report;
	int life;
};

static void *
live_elsewhere(void *arg)
{
	const struct other_thread *o = arg;
	pid_t tid = (pid_t)syscall(SYS_gettid);
	char c;

	CHILD(unshare(CLONE_NEWNET) == 0);
	CHILD(write(o->report, &tid, sizeof(tid)) == sizeof(tid));
	(void)!read(o->life, &c, 1);
	return NULL;
}

/* A thread that is not where the main thread of its process is. */
ATF_TC_WITHOUT_HEAD(target_thread);
ATF_TC_BODY(target_thread, tc)
{
	char text[64];
	int life[2], report[2];
	struct other_thread o;
	struct target t;
	struct program *r;
	pthread_t thread;
	pid_t child, tid;
	int i, type;

	sandbox(0);
	ATF_REQUIRE(pipe2(life, O_CLOEXEC) == 0);
	ATF_REQUIRE(pipe2(report, O_CLOEXEC) == 0);
	ATF_REQUIRE((child = fork()) != -1);
	if (child == 0) {
		close(life[1]);
		o.report = report[1];
		o.life = life[0];
		CHILD(pthread_create(&thread, NULL, live_elsewhere, &o) == 0);
		CHILD(pthread_join(thread, NULL) == 0);
		_exit(0);
	}
	close(report[1]);
	ATF_REQUIRE_EQ(sizeof(tid), read(report[0], &tid, sizeof(tid)));
	for (type = 0; type < NTYPES; type++)
		(void)snprintf(t.refs[type], sizeof(t.refs[type]),
		    "/proc/%d/ns/%s", (int)tid, ns_types[type].name);
	r = run_new();
	run_env(r, "gons_target=%d", (int)tid);
	r->rules[0] = (struct rule){ SYS_pidfd_open, -1, 0, 0, EINVAL };
	r->nrules = 1;
	(void)snprintf(
	    text, sizeof(text), "(it is a thread of process %d)", (int)child);
	FAILS(r, GONS_STAGE_OPEN, EINVAL, -1, GONS_HINT_THREADOF, text);
	ATF_CHECK_EQ((uint64_t)child, run_number(r, "value"));
	for (i = 0; i < 2; i++) {
		if (syscall(SYS_pidfd_open, tid, O_EXCL) == -1)
			break; /* before Linux 6.9 */
		r = run_new();
		run_env(r, "gons_target=%d", (int)tid);
		if (i == 1)
			run_env(r, "gons_order=net");
		JOINED(r, GONS_BIT(GONS_NET), &t);
	}
	close(life[1]);
	ATF_REQUIRE_EQ(child, waitpid(child, NULL, 0));
}

ATF_TP_ADD_TCS(tp)
{
	ATF_TP_ADD_TC(tp, target_all);
	ATF_TP_ADD_TC(tp, target_some);
	ATF_TP_ADD_TC(tp, target_contradictions);
	ATF_TP_ADD_TC(tp, target_bad);
	ATF_TP_ADD_TC(tp, target_no_pidfd);
	ATF_TP_ADD_TC(tp, target_no_pidfd_open);
	ATF_TP_ADD_TC(tp, target_exited);
	ATF_TP_ADD_TC(tp, target_exits);
	ATF_TP_ADD_TC(tp, target_stdin);
	ATF_TP_ADD_TC(tp, target_all_or_none);
	ATF_TP_ADD_TC(tp, target_denied);
	ATF_TP_ADD_TC(tp, target_few_descriptors);
	ATF_TP_ADD_TC(tp, target_unknown);
	ATF_TP_ADD_TC(tp, target_old_kernels);
	ATF_TP_ADD_TC(tp, target_by_proc);
	ATF_TP_ADD_TC(tp, target_no_proc);
	ATF_TP_ADD_TC(tp, target_no_such_type);
	ATF_TP_ADD_TC(tp, target_false_proc);
	ATF_TP_ADD_TC(tp, target_hidden_proc);
	ATF_TP_ADD_TC(tp, target_thread);
	return atf_no_error();
}
