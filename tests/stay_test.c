/*
 * SPDX-License-Identifier: BSD-2-Clause
 *
 * Copyright (c) 2026 The libgons developers
 *
 * Children that stay: what is new in each run, and what they do together with
 * other things.
 */

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
#include "rx.h"
#include "stays.h"

#define FEW 2000
#define MANY 100000

/*
 * What a run has.
 */

static void
same_process(void)
{
	struct gons_reexec *req = stay_new(0);
	pid_t pid = stay_counts(req, 1);
	int i;

	for (i = 2; i < 20; i++)
		ATF_CHECK_EQ(pid, stay_counts(req, i));
	ATF_CHECK_EQ(0, gons_reexec_settimeout(req, 60000));
	ATF_CHECK_EQ(0, gons_reexec_setgrace(req, 2000));
	ATF_CHECK_EQ(0, gons_reexec_setmaxresult(req, 4096));
	gons_reexec_setdata(req, &i);
	ATF_CHECK_EQ(pid, stay_counts(req, 20));
	ATF_CHECK_EQ(0, gons_reexec_status(req));
	ATF_CHECK_EQ(0, gons_reexec_end(req));
	ATF_CHECK(!stay_is_there(pid));
	/* the outcome is that of the last run still */
	ATF_CHECK_EQ(0, gons_reexec_failure(req));
	ATF_CHECK(strstr(rx_result(req), " 20") != NULL);
	ATF_CHECK_EQ(0, gons_reexec_end(req));
	ATF_CHECK(stay_counts(req, 1) != pid);
	gons_reexec_free(req);
}

static void
everything_new(void)
{
	struct gons_reexec *req = stay_new(0);
	char path[32];

	ATF_CHECK_STREQ("one", stay_says(req, "say one"));
	ATF_CHECK_STREQ("", stay_says(req, "say "));
	ATF_CHECK_STREQ("stdin a$", stay_says(req, "stdin a"));
	ATF_CHECK_STREQ("stdin bcd$", stay_says(req, "stdin bcd"));
	ATF_CHECK_STREQ("stdin$", stay_says(req, "stdin"));
	(void)stay_says(req, "signal");
	ATF_CHECK_STREQ("0", stay_says(req, "pending"));
	ATF_CHECK_STREQ("", stay_says(req, "open"));
	/* and what stays */
	(void)stay_says(req, "chdir /proc");
	ATF_CHECK_STREQ("/proc", stay_says(req, "cwd"));
	/* a signal to one that nobody asks anything */
	(void)snprintf(
	    path, sizeof(path), "/proc/%d", (int)stay_counts(req, 11));
	ATF_REQUIRE_EQ(0, kill(atoi(path + 6), SIGUSR1));
	(void)stay_counts(req, 12);
	ATF_CHECK_STREQ("0", stay_says(req, "pending"));
	gons_reexec_free(req);
}

/* What a run has of descriptors goes with it, whichever numbers are free. */
static void
gaps(void)
{
	struct gons_reexec *req = stay_new(0);
	char before[16];
	int i;

	(void)stay_says(req, "gaps");
	(void)snprintf(before, sizeof(before), "%s", stay_says(req, "fds"));
	for (i = 0; i < 3; i++)
		ATF_CHECK_STREQ(before, stay_says(req, "fds"));
	(void)stay_counts(req, 6);
	gons_reexec_free(req);
}

/* What the action has opened is its own, in whatever state it leaves. */
static void
opened(void)
{
	struct gons_reexec *req = stay_new(0);
	char held[32];

	(void)snprintf(held, sizeof(held), "held %s", stay_says(req, "hold"));
	(void)stay_says(req, held);
	(void)stay_says(req, held);
	(void)stay_counts(req, 4);
	gons_reexec_free(req);
}

/* A supervisor passes on what a run has of descriptors, and keeps none. */
static void
supervisor_keeps_none(void)
{
	struct gons_reexec *req = stay_new(GONS_REEXEC_DIE_WITH_PARENT);
	int i, n[5];

	for (i = 0; i < 5; i++)
		n[i] = atoi(stay_says(req, "above"));
	for (i = 2; i < 5; i++)
		ATF_CHECK_EQ_MSG(
		    n[1], n[i], "run %d: %d, not %d", i, n[i], n[1]);
	gons_reexec_free(req);
}

static void
error_text(void)
{
	struct gons_reexec *req = stay_new(GONS_REEXEC_STDERR_KEEP);
	pid_t pid = stay_counts(req, 1);
	size_t len;

	(void)stay_says(req, "err warning");
	ATF_CHECK_STREQ("warning", gons_reexec_stderr(req, &len));
	(void)stay_says(req, "say x");
	ATF_CHECK_STREQ("", gons_reexec_stderr(req, &len));
	ATF_CHECK_EQ(pid, stay_counts(req, 4));
	gons_reexec_free(req);
}

static void
replies(void)
{
	struct gons_reexec *req = stay_new(GONS_REEXEC_REPLY);
	int fd, i;

	ATF_REQUIRE_EQ(0, gons_reexec_setmaxfds(req, 1));
	for (i = 0; i < 3; i++) {
		ATF_CHECK_STREQ("first", stay_says(req, "reply first"));
		ATF_CHECK_ERRNO(ENOENT, gons_reexec_takefd(req, 0) == -1);
		ATF_CHECK_EQ(0, strncmp("with ", stay_says(req, "fd with"), 5));
		ATF_CHECK((fd = gons_reexec_takefd(req, 0)) != -1);
		close(fd);
		/* one that is not taken is not the next run's */
		ATF_CHECK_EQ(0, strncmp("more ", stay_says(req, "fd more"), 5));
	}
	stay_fails(
	    req, "chdir /", GONS_FAIL_RESULT, EBADMSG, "without a reply");
	ATF_CHECK_STREQ("again", stay_says(req, "reply again"));
	gons_reexec_free(req);
	rx_closers_end();
}

static void
large_results(void)
{
	struct gons_reexec *req = stay_new(0);
	size_t len;
	int i;

	for (i = 0; i < 3; i++) {
		(void)stay_says(req, "big 3000000");
		(void)gons_reexec_result(req, &len);
		ATF_CHECK_EQ(3000000, len);
		(void)stay_says(req, "big 70000");
		(void)gons_reexec_result(req, &len);
		ATF_CHECK_EQ(70000, len);
	}
	(void)stay_counts(req, 7);
	gons_reexec_free(req);
}

/* A process that the first run has left writes while the third goes on. */
static void
left_behind(void)
{
	struct gons_reexec *req = stay_new(0);
	int life[2], told[2];

	rx_pipe(life);
	rx_pipe(told);
	rx_keep(req, "LIFE", life[0]);
	rx_keep(req, "TOLD", told[1]);
	(void)stay_says(req, "leave");
	ATF_CHECK_STREQ("two", stay_says(req, "say two"));
	stay_order(req, "say three");
	close(life[1]);
	ATF_CHECK_EQ('l', rx_byte(told[0]));
	ATF_CHECK_STREQ("three", rx_ok(req));
	(void)stay_counts(req, 4);
	close(life[0]);
	gons_reexec_free(req);
	close(told[1]);
	ATF_CHECK(rx_gone(told[0], 10000));
	close(told[0]);
}

struct more {
	int to, from, n;
};

/* For each piece there is another, before anybody looks for it. */
static int
more_comes(void *state, const void *bytes, size_t len)
{
	struct more *more = state;

	(void)bytes;
	if (len > 0 && more->n++ < 10) {
		ATF_REQUIRE_EQ(1, write(more->to, "", 1));
		ATF_REQUIRE_EQ('b', rx_byte(more->from));
	}
	return 0;
}

/* What such a process prints while the result is read is none of it. */
static void
left_printing(void)
{
	struct gons_reexec *req = stay_new(0);
	int done[2], life[2], told[2];
	struct more more;

	rx_pipe(done);
	rx_pipe(life);
	rx_pipe(told);
	rx_keep(req, "DONE", done[1]);
	rx_keep(req, "LIFE", life[0]);
	rx_keep(req, "TOLD", told[1]);
	more.to = life[1];
	more.from = told[0];
	more.n = 0;
	ATF_REQUIRE_EQ(0, gons_reexec_setcomplete(req, more_comes, &more));
	stay_order(req, "more");
	ATF_REQUIRE_EQ(0, gons_reexec_start(req));
	/* Nobody has read anything before the action has returned. */
	close(done[1]);
	ATF_CHECK(rx_gone(done[0], 60000));
	ATF_CHECK_STREQ("a", rx_wait_ok(req));
	ATF_CHECK_EQ(1, more.n);
	gons_reexec_free(req);
	close(done[0]);
	close(life[0]);
	close(life[1]);
	close(told[1]);
	ATF_CHECK(rx_gone(told[0], 60000));
	close(told[0]);
}

/*
 * Together with other things.
 */

static void
pid_namespace(void)
{
	struct gons_reexec *req = stay_new(0);
	struct target t;
	char ref[16];
	pid_t pid;
	int i;

	target_start(&t, CLONE_NEWPID, 0);
	ATF_REQUIRE((i = open(t.refs[GONS_PID], O_RDONLY | O_CLOEXEC)) != -1);
	(void)snprintf(ref, sizeof(ref), "fd:%d", i);
	ATF_REQUIRE_EQ(0, gons_reexec_namespace(req, "pid", ref));
	close(i);
	pid = stay_counts(req, 1);
	ATF_CHECK_MSG(pid < 100, "%d", (int)pid);
	for (i = 2; i < 10; i++)
		ATF_CHECK_EQ(pid, stay_counts(req, i));
	stay_fails(req, "return 5", GONS_FAIL_EXIT, EIO, "status 5");
	stay_fails(req, "exit 6", GONS_FAIL_EXIT, EIO, "status 6");
	ATF_CHECK(stay_counts(req, 1) != pid);
	ATF_REQUIRE_EQ(0, gons_reexec_settimeout(req, 300));
	stay_fails(req, "pause", GONS_FAIL_TIMEOUT, ETIMEDOUT, "300 ms");
	ATF_REQUIRE_EQ(0, gons_reexec_settimeout(req, -1));
	(void)stay_says(req, "forge");
	ATF_CHECK_STREQ("x", stay_says(req, "say x"));
	target_stop(&t);
	stay_order(req, "count");
	rx_fails(req, GONS_FAIL_GONE, ESRCH, "the container has ended");
	gons_reexec_free(req);
}

/* The container of a target has ended, although its namespaces have not. */
static void
target_ends(void)
{
	struct gons_reexec *req = stay_new(0);
	struct target t;
	int fd;

	target_start(&t, CLONE_NEWUTS, 0);
	ATF_REQUIRE((fd = pidfd_of(t.pid)) != -1);
	ATF_REQUIRE_EQ(0, gons_reexec_target(req, fd, GONS_BIT(GONS_UTS)));
	close(fd);
	(void)stay_counts(req, 1);
	(void)stay_counts(req, 2);
	target_kill(&t);
	stay_order(req, "count");
	rx_fails(req, GONS_FAIL_GONE, ESRCH, "the container has ended");
	gons_reexec_free(req);
	target_stop(&t);
}

static void
other_flags(void)
{
	static const unsigned flags[] = { GONS_REEXEC_DIE_WITH_PARENT,
		GONS_REEXEC_SEALED,
		GONS_REEXEC_SEALED | GONS_REEXEC_DIE_WITH_PARENT };
	struct gons_reexec *req;
	size_t i;
	pid_t pid;

	for (i = 0; i < NELEM(flags); i++) {
		req = stay_new(flags[i]);
		pid = stay_counts(req, 1);
		ATF_CHECK_EQ(pid, stay_counts(req, 2));
		ATF_CHECK_EQ(pid, stay_counts(req, 3));
		ATF_CHECK_EQ(0, gons_reexec_end(req));
		ATF_CHECK(!stay_is_there(pid));
		(void)stay_counts(req, 1);
		gons_reexec_free(req);
	}
}

/* In the middle of a run, too; without the flag it goes on. */
static void
dies_with_parent(void)
{
	struct gons_reexec *req;
	int told[2];
	pid_t host;

	rx_pipe(told);
	ATF_REQUIRE((host = fork()) != -1);
	if (host == 0) {
		req = gons_reexec_new("obey");
		CHILD(gons_reexec_setflags(
			  req, GONS_REEXEC_STAY | GONS_REEXEC_DIE_WITH_PARENT |
				   rx_mode) == 0);
		rx_keep(req, "TOLD", told[1]);
		CHILD(gons_reexec_param(req, "count", 5) == 0);
		CHILD(gons_reexec_run(req) == 0);
		CHILD(gons_reexec_param(req, "pause", 5) == 0);
		CHILD(gons_reexec_start(req) == 0);
		_exit(0);
	}
	ATF_REQUIRE_EQ(host, waitpid(host, NULL, 0));
	close(told[1]);
	ATF_CHECK(rx_gone(told[0], 10000));
	close(told[0]);
}

static void
in_a_multi(void)
{
	struct gons_multi *multi = gons_multi_new(2);
	struct gons_reexec *req[4];
	pid_t pid[4];
	int i, round, was;

	ATF_REQUIRE(multi != NULL);
	for (i = 0; i < 4; i++)
		req[i] = stay_new(0);
	for (round = 1; round < 5; round++) {
		for (i = 0; i < 4; i++) {
			stay_order(req[i], "count");
			ATF_REQUIRE_EQ(0, gons_multi_add(multi, req[i]));
			ATF_CHECK_ERRNO(EBUSY, gons_reexec_end(req[i]) == -1);
		}
		for (i = 0; i < 4; i++)
			ATF_REQUIRE(gons_multi_next(multi, -1) != NULL);
		for (i = 0; i < 4; i++) {
			ATF_REQUIRE_EQ(2,
			    sscanf(rx_result(req[i]), "%d %d", &was, &round));
			if (round > 1)
				ATF_CHECK_EQ(pid[i], was);
			pid[i] = was;
		}
	}
	gons_multi_free(multi);
	for (i = 0; i < 4; i++)
		gons_reexec_free(req[i]);
}

static int
first_piece(void *state, const void *more, size_t len)
{
	(void)state;
	(void)more;
	return len > 0;
}

/* A result that is complete before the action returns. */
static void
complete_early(void)
{
	struct gons_reexec *req = stay_new(0);
	pid_t pid;

	ATF_REQUIRE_EQ(0, gons_reexec_setcomplete(req, first_piece, NULL));
	pid = stay_counts(req, 1);
	ATF_CHECK_EQ(pid, stay_counts(req, 2));
	ATF_REQUIRE_EQ(0, gons_reexec_setcomplete(req, NULL, NULL));
	ATF_CHECK_EQ(pid, stay_counts(req, 3));
	gons_reexec_free(req);
}

/* The number after that name in a file of /proc/PID. */
static long
number_in(pid_t pid, const char *file, const char *name)
{
	char path[64], text[64];

	(void)snprintf(path, sizeof(path), "/proc/%d/%s", (int)pid, file);
	rx_proc(path, name, text, sizeof(text));
	return atol(text);
}

static const char *const growing[] = { "Anonymous", "Threads", "descriptors" };
#define NGROWING NELEM(growing)

static void
measure(pid_t pid, long *now)
{
	/* status is no more exact than to some hundred kB */
	now[0] = number_in(pid, "smaps_rollup", growing[0]);
	now[1] = number_in(pid, "status", growing[1]);
	ATF_REQUIRE((now[2] = fds_of(pid)) != -1);
}

static void
has_not_grown(const char *who, pid_t pid, const long *before)
{
	long now[NGROWING];
	int tries = 0;
	size_t i;

	/* A child closes what was the last run's after the host has it. */
	do
		measure(pid, now);
	while (now[2] > before[2] && tries++ < 500 && poll(NULL, 0, 10) == 0);
	for (i = 0; i < NGROWING; i++) {
		printf("%s, %s: %ld, then %ld\n", who, growing[i], before[i],
		    now[i]);
		/* 64 kB: what malloc(3) keeps is not always the same */
		ATF_CHECK_MSG(now[i] <= before[i] + (i == 0 ? 64 : 0) ||
				  (i == 0 && SANITIZER),
		    "%s, %s: %ld, then %ld", who, growing[i], before[i],
		    now[i]);
	}
}

static void
many_runs(void)
{
	struct gons_reexec *req = stay_new(0);
	long child[NGROWING], host[NGROWING];
	int i, n = rx_is_long() ? MANY : FEW;
	pid_t pid;

	for (i = 1; i < 200; i++)
		(void)stay_counts(req, i);
	pid = stay_counts(req, 200);
	measure(pid, child);
	measure(getpid(), host);
	for (i = 1; i <= n; i++)
		ATF_REQUIRE_EQ(pid, stay_counts(req, 200 + i));
	has_not_grown("child", pid, child);
	has_not_grown("host", getpid(), host);
	gons_reexec_free(req);
}

static const struct rx_case cases[] = {
	{ "same_process", same_process, RX_ONCE,
	    "the next run is in the same process, until gons_reexec_end" },
	{ "everything_new", everything_new, RX_ONCE,
	    "output, parameter and signals are those of one run" },
	{ "gaps", gaps, RX_ONCE,
	    "the action may leave any numbers of descriptors free" },
	{ "opened", opened, RX_ONCE, "what the action has opened stays open" },
	{ "supervisor_keeps_none", supervisor_keeps_none, RX_ONCE,
	    "a supervisor does not grow" },
	{ "error_text", error_text, RX_ONCE,
	    "the text of stderr is that of one run" },
	{ "replies", replies, RX_ONCE,
	    "replies and their descriptors are those of one run" },
	{ "large_results", large_results, RX_ONCE,
	    "results may be larger than a pipe has room for" },
	{ "left_behind", left_behind, RX_ONCE,
	    "a process of one run is not heard in another" },
	{ "left_printing", left_printing, RX_ONCE,
	    "what is printed after the action has returned is no result" },
	{ "pid_namespace", pid_namespace, RX_ONCE | RX_ROOT,
	    "the action's process stays in a pid namespace" },
	{ "target_ends", target_ends, RX_ONCE | RX_ROOT,
	    "a target that has ended is GONS_FAIL_GONE" },
	{ "other_flags", other_flags, RX_ONCE | RX_SEALED,
	    "a sealed child stays, and one that ends with the host" },
	{ "dies_with_parent", dies_with_parent, RX_ONCE,
	    "the action of a later run ends with the host" },
	{ "in_a_multi", in_a_multi, RX_ONCE, "a child stays in a gons_multi" },
	{ "complete_early", complete_early, RX_ONCE,
	    "the next run may begin when a callback calls the result complete" },
	{ "many_runs", many_runs, RX_ONCE | RX_LONG,
	    "neither host nor child grows" },
};

ATF_TP_ADD_TCS(tp)
{
	return rx_cases(tp, cases, NELEM(cases));
}
