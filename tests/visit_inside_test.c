/*
 * SPDX-License-Identifier: BSD-2-Clause
 *
 * Copyright (c) 2026 The libgons developers
 *
 * gons_visit(3), "In a visit": signals, forks and carelessness in the function
 * that is called.
 */

#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>

#include <atf-c.h>

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <gons.h>

#include "helpers.h"
#include "internal.h"
#include "visits.h"

static int handled; /* with handler_tid, of several threads */
static pid_t handler_tid;

static void
handle(int sig)
{
	int errnum = errno;

	handler_tid = (pid_t)syscall(SYS_gettid);
	__atomic_store_n(&handled, sig, __ATOMIC_RELEASE);
	errno = errnum;
}

static int
signal_process(void *arg)
{
	struct pollfd p = { -1, 0, 0 };

	(void)arg;
	if (kill(getpid(), SIGUSR1) == -1)
		return 1;
	while (!__atomic_load_n(&handled, __ATOMIC_ACQUIRE))
		(void)poll(&p, 0, 1);
	return 0;
}

ATF_TC(signals);
ATF_TC_HEAD(signals, tc)
{
	atf_tc_set_md_var(tc, "descr",
	    "signals to the process are handled by the host's own threads");
	atf_tc_set_md_var(tc, "timeout", "60");
}
ATF_TC_BODY(signals, tc)
{
	struct sigaction sa;
	struct gons_env env;
	int value = 1;

	(void)tc;
	memset(&sa, 0, sizeof(sa));
	sa.sa_handler = handle;
	ATF_REQUIRE_EQ(0, sigaction(SIGUSR1, &sa, NULL));
	memset(&env, 0, sizeof(env));
	ATF_CHECK_EQ(
	    0, gons_visit(&env, NULL, signal_process, NULL, &value, &failure));
	ATF_CHECK_EQ(0, value);
	ATF_CHECK_EQ(SIGUSR1, handled);
	ATF_CHECK_EQ((pid_t)syscall(SYS_gettid), handler_tid);
}

enum way {
	RETURN,
	EXIT,
	EXEC
};

struct child {
	enum way way;
	int status;
	int visiting;
};

static int
fork_there(void *arg)
{
	static char name[] = "sh", option[] = "-c", command[] = "exit 9";
	char *argv[] = { name, option, command, NULL };
	struct child *c = arg;
	pid_t pid = fork();

	if (pid == 0) {
		if (gons__in_visit() != 1)
			_exit(77);
		if (c->way == EXIT)
			_exit(8);
		if (c->way == EXEC)
			(void)execv("/bin/sh", argv);
		return 0;
	}
	return pid != -1 && waitpid(pid, &c->status, 0) == pid ? 5 : 1;
}

static void
fork_ways(void *arg)
{
	static const int expected[] = { 125, 8, 9 };
	struct target *t = arg;
	struct gons_env env;
	struct child c;
	char ref[32];
	int i, value;

	for (i = 0; i < 3; i++) {
		c.way = (enum way)i;
		memset(&env, 0, sizeof(env));
		/* /proc may have other numbers than this process */
		if (t != NULL) {
			(void)snprintf(
			    ref, sizeof(ref), "fd:%d", pidfd_of(t->pid));
			env.target = ref;
			env.order = "pid";
		}
		value = UNTOUCHED;
		CHILD(gons_visit(
			  &env, NULL, fork_there, &c, &value, &failure) == 0);
		CHILD(value == 5);
		CHILD(WIFEXITED(c.status));
		CHILD(WEXITSTATUS(c.status) == expected[i]);
	}
}

/* Both are number 1 of their pid namespaces: host and child. */
static void
be_init(void *arg)
{
	struct target t;
	int status;
	pid_t pid;

	(void)arg;
	CHILD(unshare(CLONE_NEWPID) == 0);
	CHILD((pid = fork()) != -1);
	if (pid == 0) {
		target_start(&t, CLONE_NEWPID, 0);
		fork_ways(&t);
		_exit(0);
	}
	CHILD(waitpid(pid, &status, 0) == pid && status == 0);
}

ATF_TC(forks);
ATF_TC_HEAD(forks, tc)
{
	atf_tc_set_md_var(tc, "descr",
	    "a child that returns from the function ends, others do as "
	    "they like");
}
ATF_TC_BODY(forks, tc)
{
	(void)tc;
	sandbox(0);
	in_child(fork_ways, NULL);
}

ATF_TC(forks_pid);
ATF_TC_HEAD(forks_pid, tc)
{
	atf_tc_set_md_var(tc, "descr",
	    "such a child ends in another pid namespace, too, and in a host "
	    "that is PID 1");
}
ATF_TC_BODY(forks_pid, tc)
{
	struct target t;

	(void)tc;
	if (THREAD_SANITIZER)
		atf_tc_skip("the sanitizer's fork makes a thread");
	sandbox(0);
	target_start(&t, CLONE_NEWPID, 0);
	in_child(fork_ways, &t);
	target_stop(&t);
	in_child(be_init, NULL);
}

static int opened;

static int
behave_badly(void *arg)
{
	(void)arg;
	opened = open("/dev/null", O_RDONLY | O_CLOEXEC);
	(void)umask(0);
	if (chroot("/dev") == -1 || chdir("/") == -1)
		return errno;
	return 0;
}

ATF_TC(visitor);
ATF_TC_HEAD(visitor, tc)
{
	atf_tc_set_md_var(tc, "descr",
	    "what the function does to directory, root and umask is its own; "
	    "descriptors are shared");
}
ATF_TC_BODY(visitor, tc)
{
	struct scene before;
	struct gons_env env;
	int value = 1;

	(void)tc;
	sandbox(0);
	look_around(&before);
	memset(&env, 0, sizeof(env));
	ATF_CHECK_EQ(
	    0, gons_visit(&env, NULL, behave_badly, NULL, &value, &failure));
	ATF_CHECK_EQ_MSG(0, value, "%s", strerror(value));
	ATF_CHECK(opened != -1 && fcntl(opened, F_GETFD) != -1);
	close(opened);
	check_scene(&before);
}

ATF_TP_ADD_TCS(tp)
{
	ATF_TP_ADD_TC(tp, signals);
	ATF_TP_ADD_TC(tp, forks);
	ATF_TP_ADD_TC(tp, forks_pid);
	ATF_TP_ADD_TC(tp, visitor);
	return atf_no_error();
}
