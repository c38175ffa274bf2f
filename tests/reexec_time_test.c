/*
 * SPDX-License-Identifier: BSD-2-Clause
 *
 * Copyright (c) 2026 The libgons developers
 *
 * gons_reexec(3), "Time limits": the timeout, and the grace period of a child
 * that does not end or that others hold the pipes of.
 */

#include <sys/ptrace.h>
#include <sys/syscall.h>
#include <sys/wait.h>

#include <atf-c.h>

#include <errno.h>
#include <limits.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include <gons.h>

#include "helpers.h"
#include "rx.h"
#include "rx_actions.h"

/*
 * The actions.
 */

/* What gons_coverage(3) asks for is no order that could be refused. */
static int
deaf(void)
{
	(void)signal(SIGTERM, SIG_IGN);
	if (write(STDOUT_FILENO, "done", 4) != 4)
		return 1;
	(void)close(STDOUT_FILENO);
	for (;;)
		(void)pause();
}

/* What it leaves behind writes when somebody has collected its status. */
static int
write_late(void)
{
	pid_t pid = getpid();

	if (write(STDOUT_FILENO, "early ", 6) != 6)
		return 1;
	if (fork() != 0)
		return 0;
	while (kill(pid, 0) == 0)
		(void)usleep(1000);
	(void)usleep(100000);
	_exit(write(STDOUT_FILENO, "late", 4) != 4);
}

static int
tell_parent(void)
{
	if (printf("%d", (int)getppid()) < 0)
		return 1;
	(void)fflush(stdout);
	for (;;)
		(void)pause();
}

static const struct rx_action actions[] = {
	{ "tell_parent", tell_parent },
	{ "deaf", deaf },
	{ "write_late", write_late },
};

__attribute__((constructor)) static void
register_and_check(void)
{
	rx_register(actions, NELEM(actions));
	gons_reexec_check();
}

/*
 * Time.
 */

/* Whoever polls is woken for the next step, also if the caller began it. */
static void
kill_wakes(void)
{
	struct gons_reexec *req = rx_new("tell_parent");
	struct pollfd p;
	long long since;
	size_t len = 0;
	pid_t pid;
	int r;

	rx_flags(req, GONS_REEXEC_DIE_WITH_PARENT);
	ATF_REQUIRE_EQ(0, gons_reexec_start(req));
	while (len == 0) {
		ATF_REQUIRE_EQ(0, gons_reexec_step(req));
		(void)gons_reexec_result(req, &len);
		(void)usleep(1000);
	}
	pid = (pid_t)atoi(rx_result(req));
	/* Unlike SIGSTOP, this outlasts the library's SIGCONT. */
	ATF_REQUIRE_EQ(0, ptrace(PTRACE_SEIZE, pid, NULL, NULL));
	ATF_REQUIRE_EQ(0, ptrace(PTRACE_INTERRUPT, pid, NULL, NULL));
	ATF_REQUIRE_EQ(pid, waitpid(pid, NULL, __WALL));
	ATF_REQUIRE_EQ(0, gons_reexec_kill(req));
	since = rx_clock();
	p.fd = gons_reexec_fd(req);
	p.events = POLLIN;
	do
		(void)poll(&p, 1, 10000);
	while ((r = gons_reexec_step(req)) == 0 && rx_clock() - since < 10000);
	ATF_CHECK_MSG(rx_clock() - since < 5000, "nothing wakes who polls");
	ATF_CHECK_EQ(-1, r);
	rx_text(req, "killed by signal 9");
	gons_reexec_free(req);
}

/* On a busy machine a child may need longer than that for its first words. */
static void
silent_for_ever(void)
{
	struct gons_reexec *req = rx_script("out partial\npause");
	char text[32];
	long long before;
	int fd[2], ms;

	rx_pipe(fd);
	rx_keep(req, "LIFE", fd[1]);
	for (ms = 300; ms < 20000; ms *= 4) {
		ATF_REQUIRE_EQ(0, gons_reexec_settimeout(req, ms));
		(void)snprintf(text, sizeof(text), "script|%d ms", ms);
		before = rx_clock();
		rx_fails(req, GONS_FAIL_TIMEOUT, ETIMEDOUT, text);
		ATF_CHECK(rx_clock() - before >= ms);
		if (*rx_result(req) != '\0')
			break;
	}
	ATF_CHECK_STREQ("partial", rx_result(req));
	ATF_CHECK_EQ(SIGKILL, gons_reexec_status(req));
	close(fd[1]);
	ATF_CHECK(rx_gone(fd[0], 0));
	close(fd[0]);
	gons_reexec_free(req);
}

static void
no_time(void)
{
	struct gons_reexec *req = rx_script("pause");

	ATF_REQUIRE_EQ(0, gons_reexec_settimeout(req, 0));
	rx_fails(req, GONS_FAIL_TIMEOUT, ETIMEDOUT, "0 ms");
	ATF_REQUIRE_EQ(0, gons_reexec_settimeout(req, INT_MAX));
	ATF_REQUIRE_EQ(0, gons_reexec_setenv(req, "SCRIPT", "out x"));
	ATF_CHECK_STREQ("x", rx_ok(req));
	ATF_REQUIRE_EQ(0, gons_reexec_settimeout(req, -1));
	ATF_CHECK_STREQ("x", rx_ok(req));
	gons_reexec_free(req);
}

/* End of file, then nothing: no failure, but its end. */
static void
grace(void)
{
	struct gons_reexec *req = rx_script("out done\nclose 1\npause");
	long long before;
	int ms, r;

	ATF_REQUIRE_EQ(0, gons_reexec_setgrace(req, 300));
	before = rx_clock();
	ATF_CHECK_STREQ("done", rx_ok(req));
	ATF_CHECK(rx_clock() - before >= 300);
	ATF_CHECK_EQ(SIGKILL, gons_reexec_status(req));
	/*
	 * A result that is complete in time is no timeout.  On a busy machine
	 * it may take longer.
	 */
	ATF_REQUIRE_EQ(0, gons_reexec_setgrace(req, 60000));
	for (ms = 500, r = -1; r == -1 && ms < 20000; ms *= 4) {
		ATF_REQUIRE_EQ(0, gons_reexec_settimeout(req, ms));
		r = gons_reexec_run(req);
	}
	ATF_CHECK_EQ(0, r);
	ATF_CHECK_STREQ("done", rx_result(req));
	ATF_REQUIRE_EQ(0, gons_reexec_settimeout(req, -1));
	ATF_REQUIRE_EQ(0, gons_reexec_setgrace(req, 0));
	ATF_CHECK_STREQ("done", rx_ok(req));
	/* who goes within it may say how */
	ATF_REQUIRE_EQ(0, gons_reexec_setgrace(req, 60000));
	ATF_REQUIRE_EQ(
	    0, gons_reexec_setenv(req, "SCRIPT", "out x\nclose 1\nexit 3"));
	rx_fails(req, GONS_FAIL_EXIT, EIO, "status 3");
	gons_reexec_free(req);
}

static void
grace_deaf(void)
{
	struct gons_reexec *req = rx_new("deaf");

	ATF_REQUIRE_EQ(0, gons_reexec_setgrace(req, 100));
	ATF_CHECK_STREQ("done", rx_ok(req));
	ATF_CHECK_EQ(SIGKILL, gons_reexec_status(req));
	gons_reexec_free(req);
}

static void
default_grace(void)
{
	struct gons_reexec *req = rx_script("out done\nclose 1\npause");
	long long before = rx_clock();

	ATF_CHECK_STREQ("done", rx_ok(req));
	ATF_CHECK(rx_clock() - before >= 1000);
	gons_reexec_free(req);
}

static void
grandchild(void)
{
	static const char *const holds[] = { "1", "2", "12", "012" };
	struct gons_reexec *req;
	char lines[64];
	int fd[2];
	size_t i;

	for (i = 0; i < NELEM(holds); i++) {
		(void)snprintf(
		    lines, sizeof(lines), "out from me\nfork %s", holds[i]);
		req = rx_script(lines);
		rx_pipe(fd);
		rx_keep(req, "LIFE", fd[0]);
		ATF_REQUIRE_EQ(0, gons_reexec_setgrace(req, 200));
		ATF_CHECK_STREQ("from me", rx_ok(req));
		ATF_CHECK_EQ(0, gons_reexec_status(req));
		/* how the child ended counts */
		(void)snprintf(
		    lines, sizeof(lines), "out me\nfork %s\nexit 3", holds[i]);
		ATF_REQUIRE_EQ(0, gons_reexec_setenv(req, "SCRIPT", lines));
		rx_fails(req, GONS_FAIL_EXIT, EIO, "status 3");
		ATF_CHECK_STREQ("me", rx_result(req));
		gons_reexec_free(req);
		close(fd[0]);
		close(fd[1]);
	}
}

/* What it writes within the grace period is a part of the result. */
static void
grandchild_writes(void)
{
	struct gons_reexec *req = rx_new("write_late");

	ATF_REQUIRE_EQ(0, gons_reexec_setgrace(req, 90000));
	ATF_CHECK_STREQ("early late", rx_ok(req));
	gons_reexec_free(req);
}

/* Who ends the run does not wait for it. */
static void
grandchild_killed(void)
{
	struct gons_reexec *req = rx_script("fork 12\nout x\npause");
	long long before;
	int fd[2];
	size_t len;

	rx_pipe(fd);
	rx_keep(req, "LIFE", fd[0]);
	ATF_REQUIRE_EQ(0, gons_reexec_setgrace(req, 40000));
	ATF_REQUIRE_EQ(0, gons_reexec_start(req));
	do {
		ATF_REQUIRE_EQ(0, gons_reexec_step(req));
		(void)gons_reexec_result(req, &len);
	} while (len == 0);
	before = rx_clock();
	ATF_REQUIRE_EQ(0, gons_reexec_kill(req));
	rx_wait_fails(req, GONS_FAIL_KILLED, ECANCELED, "gons_reexec_kill");
	ATF_CHECK(rx_clock() - before < 20000);
	gons_reexec_free(req);
	close(fd[0]);
	close(fd[1]);
}

/* As a daemon's starter leaves it: gone at once, when nobody has its pipes. */
static void
daemon_left(void)
{
	struct gons_reexec *req = rx_script("out started\nfork 0");
	int fd[2];

	rx_pipe(fd);
	rx_keep(req, "LIFE", fd[0]);
	ATF_REQUIRE_EQ(0, gons_reexec_setgrace(req, 90000));
	ATF_CHECK_STREQ("started", rx_ok(req));
	gons_reexec_free(req);
	close(fd[0]);
	close(fd[1]);
}

/* As a caller that waits for nothing but the descriptor. */
static void
step_by_events(struct gons_reexec *req)
{
	struct pollfd p = { gons_reexec_fd(req), POLLIN, 0 };

	while (gons_reexec_step(req) == 0)
		ATF_REQUIRE_MSG(poll(&p, 1, 60000) == 1, "nothing wakes it");
}

/*
 * Where the timer cannot be set, nobody would be woken at the end of the grace
 * period, so that ends at once.  The time limit does not.
 */
static void
no_timer(void)
{
	static const struct rule rules[] = {
		{ SYS_timerfd_settime, -1, 0, 0, EPERM },
#ifdef SYS_timerfd_settime64
		{ SYS_timerfd_settime64, -1, 0, 0, EPERM },
#endif
	};
	struct gons_reexec *req = rx_script("out done\nclose 1\npause");

	need_filters();
	forbid(rules, NELEM(rules));
	ATF_REQUIRE_EQ(0, gons_reexec_setgrace(req, INT_MAX));
	ATF_REQUIRE_EQ(0, gons_reexec_start(req));
	step_by_events(req);
	ATF_CHECK_STREQ("done", rx_wait_ok(req));
	ATF_CHECK_EQ(SIGKILL, gons_reexec_status(req));
	/* how a child ends by itself is no matter of who is quicker */
	ATF_REQUIRE_EQ(
	    0, gons_reexec_setenv(req, "SCRIPT", "out x\nclose 1\nreturn 5"));
	ATF_REQUIRE_EQ(0, gons_reexec_start(req));
	step_by_events(req);
	rx_wait_fails(req, GONS_FAIL_EXIT, EIO, "exited with status 5");
	ATF_REQUIRE_EQ(0, gons_reexec_setenv(req, "SCRIPT", "out x"));
	ATF_REQUIRE_EQ(0, gons_reexec_settimeout(req, INT_MAX));
	ATF_REQUIRE_EQ(0, gons_reexec_start(req));
	step_by_events(req);
	ATF_CHECK_STREQ("x", rx_wait_ok(req));
	gons_reexec_free(req);
}

static const struct rx_case cases[] = {
	{ "kill_wakes", kill_wakes, RX_EXEC | RX_UNCOUNTED,
	    "gons_reexec_kill(3) wakes who polls for each step" },
	{ "silent_for_ever", silent_for_ever, 0,
	    "the time limit ends a child" },
	{ "no_time", no_time, 0, "the time limit may be 0 ms, or none" },
	{ "grace", grace, RX_UNCOUNTED,
	    "the grace period ends a child that has answered" },
	{ "grace_deaf", grace_deaf, 0,
	    "the grace period ends a child that ignores signals" },
	{ "default_grace", default_grace, 0,
	    "the grace period is one second by default" },
	{ "grandchild", grandchild, 0,
	    "a process that holds the pipes is waited for until the grace period ends" },
	{ "grandchild_writes", grandchild_writes, RX_ONCE,
	    "what a process that holds the pipes writes by then is read" },
	{ "grandchild_killed", grandchild_killed, 0,
	    "a process that holds the pipes does not delay gons_reexec_kill()" },
	{ "daemon_left", daemon_left, 0,
	    "a process that holds no pipes is not waited for" },
	{ "no_timer", no_timer, RX_EXEC | RX_UNCOUNTED,
	    "without a timer a run works, and leaves no time after its result" },
};

ATF_TP_ADD_TCS(tp)
{
	return rx_cases(tp, cases, NELEM(cases));
}
