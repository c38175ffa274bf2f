/*
 * SPDX-License-Identifier: BSD-2-Clause
 *
 * Copyright (c) 2026 The libgons developers
 *
 * gons_reexec_start(3) and gons_reexec_prepare(3) where the program cannot be
 * executed, or what a child needs cannot be had: what they tell, and what they
 * leave.
 */

#include <sys/resource.h>
#include <sys/syscall.h>
#include <sys/wait.h>

#include <linux/seccomp.h>

#include <atf-c.h>

#include <errno.h>
#include <signal.h>
#include <stddef.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include <gons.h>

#include "helpers.h"

#define NELEM(a) (sizeof(a) / sizeof((a)[0]))

static int
act(void)
{
	return 0;
}

__attribute__((constructor)) static void
start(void)
{
	(void)gons_reexec_register("act", act);
	gons_reexec_check();
}

static void
refuse_to_execute(void)
{
	static const struct rule rules[] = {
		{ SYS_execveat, -1, 0, 0, EACCES },
		{ SYS_execve, -1, 0, 0, EACCES },
	};

	need_filters();
	need_execveat();
	forbid(rules, NELEM(rules));
}

static void
no_child_is_left(void)
{
	errno = 0;
	ATF_CHECK_EQ(-1, waitpid(-1, NULL, WNOHANG | __WALL));
	ATF_CHECK_EQ(ECHILD, errno);
}

ATF_TC_WITHOUT_HEAD(start_refused);
ATF_TC_BODY(start_refused, tc)
{
	struct gons_reexec *req;
	int before, i;

	refuse_to_execute();
	ATF_REQUIRE((req = gons_reexec_new("act")) != NULL);
	before = count_fds();
	for (i = 0; i < 2; i++) {
		errno = 0;
		ATF_CHECK_EQ(
		    -1, i == 0 ? gons_reexec_start(req) : gons_reexec_run(req));
		ATF_CHECK_EQ(EACCES, errno);
		ATF_CHECK_EQ(GONS_FAIL_START, (int)gons_reexec_failure(req));
		ATF_CHECK_STREQ("gons: action \"act\": cannot be started: "
				"Permission denied",
		    gons_reexec_error(req));
		ATF_CHECK_EQ(-1, gons_reexec_fd(req));
		ATF_CHECK_EQ_MSG(before, count_fds(), "descriptors are left");
		no_child_is_left();
	}
	gons_reexec_free(req);
}

/*
 * The process that becomes the child lets the host go on before it has ended
 * where it cannot be executed, and is waited for all the same: time and again,
 * since one that is not is seen only now and then.
 */
ATF_TC_WITHOUT_HEAD(start_refused_often);
ATF_TC_BODY(start_refused_often, tc)
{
	struct gons_reexec *req;
	int i;

	refuse_to_execute();
	ATF_REQUIRE((req = gons_reexec_new("act")) != NULL);
	for (i = 0; i < 300; i++) {
		ATF_REQUIRE_ERRNO(EACCES, gons_reexec_start(req) == -1);
		ATF_REQUIRE_ERRNO(
		    ECHILD, waitpid(-1, NULL, WNOHANG | __WALL) == -1);
	}
	gons_reexec_free(req);
}

/*
 * Until it executes the child has the host's memory, and for a moment its
 * handlers, too, which must not run there.
 */
static pid_t host;
static int told; /* a child was sent a signal */
static int strays; /* signals that were handled in a child */

static void
count_strays(int signo)
{
	(void)signo;
	if ((pid_t)syscall(SYS_getpid) != host)
		__atomic_fetch_add(&strays, 1, __ATOMIC_SEQ_CST);
}

/*
 * Handlers are taken away one after the other: a signal of a high number comes
 * while one of a low number is being dealt with.
 */
static int
signal_children(const struct seccomp_notif *call)
{
	if ((pid_t)call->pid != host && call->data.args[0] == SIGUSR1 &&
	    kill((pid_t)call->pid, SIGWINCH) == 0)
		__atomic_fetch_add(&told, 1, __ATOMIC_SEQ_CST);
	return 0;
}

static void
start_and_signal(void *unused)
{
	struct gons_reexec *req = gons_reexec_new("act");

	(void)unused;
	host = getpid();
	CHILD(req != NULL);
	CHILD(signal(SIGUSR1, count_strays) != SIG_ERR);
	CHILD(signal(SIGWINCH, count_strays) != SIG_ERR);
	ask_a_thread(SYS_rt_sigaction, signal_children);
	CHILD(gons_reexec_run(req) == 0);
	CHILD(__atomic_load_n(&told, __ATOMIC_SEQ_CST) > 0);
	CHILD(__atomic_load_n(&strays, __ATOMIC_SEQ_CST) == 0);
	gons_reexec_free(req);
}

ATF_TC_WITHOUT_HEAD(start_unhandled);
ATF_TC_BODY(start_unhandled, tc)
{
	need_filters();
	need_execveat();
	in_child(start_and_signal, NULL);
}

/* A process that cannot be told of is not started, nor one left behind. */
static void
start_fails(const struct rule *rules, size_t n, unsigned flags, int errnum)
{
	struct gons_reexec *req = gons_reexec_new("act");
	int before = count_fds();

	CHILD(req != NULL && gons_reexec_setflags(req, flags) == 0);
	forbid(rules, n);
	errno = 0;
	CHILD(gons_reexec_start(req) == -1 && errno == errnum);
	CHILD(gons_reexec_failure(req) == GONS_FAIL_START);
	CHILD(count_fds() == before);
	CHILD(waitpid(-1, NULL, WNOHANG | __WALL) == -1 && errno == ECHILD);
	gons_reexec_free(req);
}

static void
without_call(void *arg)
{
	start_fails(
	    arg, 1, GONS_REEXEC_DIE_WITH_PARENT | GONS_REEXEC_STAY, EMFILE);
}

ATF_TC_WITHOUT_HEAD(start_without);
ATF_TC_BODY(start_without, tc)
{
	static struct rule rules[] = {
		{ SYS_pidfd_open, -1, 0, 0, EMFILE },
		{ SYS_pipe2, -1, 0, 0, EMFILE },
		{ SYS_socketpair, -1, 0, 0, EMFILE },
		{ SYS_epoll_create1, -1, 0, 0, EMFILE },
		{ SYS_timerfd_create, -1, 0, 0, EMFILE },
		{ SYS_memfd_create, -1, 0, 0, EMFILE },
	};
	size_t i;

	need_filters();
	need_execveat();
	for (i = 0; i < NELEM(rules); i++) {
		printf("rule %zu\n", i);
		in_child(without_call, &rules[i]);
	}
}

/* Whoever waits for the rest of the program for ever uses up this time. */
static void
without_rest(void *unused)
{
	static const struct rule rules[] = {
		{ SYS_sendfile, -1, 0, 0, 0 },
#ifdef SYS_sendfile64
		{ SYS_sendfile64, -1, 0, 0, 0 },
#endif
	};
	struct rlimit seconds = { 3, 3 };

	(void)unused;
	CHILD(setrlimit(RLIMIT_CPU, &seconds) == 0);
	start_fails(rules, NELEM(rules), GONS_REEXEC_SEALED, EIO);
}

/* The program's file has become shorter while it is copied. */
ATF_TC_WITHOUT_HEAD(sealed_cut);
ATF_TC_BODY(sealed_cut, tc)
{
	need_filters();
	need_execveat();
	in_child(without_rest, NULL);
}

ATF_TC_WITHOUT_HEAD(prepare_refused);
ATF_TC_BODY(prepare_refused, tc)
{
	int before = -1, i;

	refuse_to_execute();
	/* the first may leave what is kept for the next */
	for (i = 0; i < 3; i++) {
		errno = 0;
		ATF_CHECK_EQ(-1, gons_reexec_prepare());
		ATF_CHECK_EQ(EACCES, errno);
		if (i == 0)
			before = count_fds();
		no_child_is_left();
	}
	ATF_CHECK_EQ_MSG(before, count_fds(), "descriptors are left");
}

ATF_TP_ADD_TCS(tp)
{
	ATF_TP_ADD_TC(tp, start_refused);
	ATF_TP_ADD_TC(tp, start_refused_often);
	ATF_TP_ADD_TC(tp, start_unhandled);
	ATF_TP_ADD_TC(tp, start_without);
	ATF_TP_ADD_TC(tp, sealed_cut);
	ATF_TP_ADD_TC(tp, prepare_refused);
	return atf_no_error();
}
