/*
 * SPDX-License-Identifier: BSD-2-Clause
 *
 * Copyright (c) 2026 The libgons developers
 *
 * Many requests at once: gons_multi(3).
 */

#include <sys/epoll.h>
#include <sys/ptrace.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <sys/wait.h>

#include <atf-c.h>

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <pthread.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <gons.h>

#include "helpers.h"
#include "rx.h"

#define MANY 300
#define AT_ONCE 10
#define PATIENCE 30000 /* ms for what happens at once */
#define EACH 4 /* descriptors of a request that runs */

/* Says that it runs, and ends when it is told to. */
static int
hold(void)
{
	const char *number = getenv("NUMBER");

	if (write(rx_kept("TELL"), "x", 1) != 1 ||
	    rx_byte(rx_kept("WAIT")) == -1)
		return 1;
	printf("%s", number != NULL ? number : "held");
	return 0;
}

/* The same, but it tells who its supervisor is. */
static int
hold_supervised(void)
{
	pid_t pid = getppid();

	if (write(rx_kept("TELL"), "x", 1) != 1 ||
	    write(rx_kept("TELL"), &pid, sizeof(pid)) != sizeof(pid))
		return 1;
	return rx_byte(rx_kept("WAIT")) == -1;
}

static int
print_late(void)
{
	(void)usleep(2500000); /* later than a spare must take its request */
	(void)putchar('x');
	return 0;
}

/* Late, and more than a pipe holds. */
static int
print_big(void)
{
	int i;

	if (write(rx_kept("TELL"), "x", 1) != 1 ||
	    rx_byte(rx_kept("WAIT")) == -1)
		return 1;
	(void)usleep(300000);
	for (i = 0; i < 1 << 18; i++)
		(void)putchar('x');
	return 0;
}

__attribute__((constructor)) static void
register_and_check(void)
{
	if (gons_reexec_register("print_big", print_big) == -1 ||
	    gons_reexec_register("print_late", print_late) == -1)
		abort();
	if (gons_reexec_register("hold", hold) == -1 ||
	    gons_reexec_register("hold_supervised", hold_supervised) == -1)
		abort();
	gons_reexec_check();
}

static struct gons_multi *
new_multi(unsigned max)
{
	struct gons_multi *multi = gons_multi_new(max);

	ATF_REQUIRE_MSG(multi != NULL, "gons_multi_new: %s", strerror(errno));
	return multi;
}

static struct gons_reexec *
next(struct gons_multi *multi)
{
	struct gons_reexec *req = gons_multi_next(multi, -1);

	ATF_REQUIRE_MSG(req != NULL, "gons_multi_next: %s", strerror(errno));
	return req;
}

static void
expect_none(struct gons_multi *multi, int ms, int errnum)
{
	errno = 0;
	ATF_CHECK_EQ(NULL, gons_multi_next(multi, ms));
	ATF_CHECK_EQ(errnum, errno);
}

static int
is_readable(int fd, int ms)
{
	struct pollfd p;

	p.fd = fd;
	p.events = POLLIN;
	return poll(&p, 1, ms) == 1;
}

/* What hold() tells and waits for. */
struct held {
	struct gons_reexec *req;
	int tell[2], wait[2];
};

static void
held_init_as(struct held *held, const char *action)
{
	rx_pipe(held->tell);
	rx_pipe(held->wait);
	held->req = rx_new(action);
	rx_keep(held->req, "TELL", held->tell[1]);
	rx_keep(held->req, "WAIT", held->wait[0]);
	gons_reexec_setdata(held->req, held);
}

static void
held_init(struct held *held)
{
	held_init_as(held, "hold");
}

static void
held_add(struct gons_multi *multi, struct held *held)
{
	held_init(held);
	ATF_REQUIRE_EQ(0, gons_multi_add(multi, held->req));
}

static void
held_free(struct held *held)
{
	int i;

	gons_reexec_free(held->req);
	for (i = 0; i < 2; i++) {
		close(held->tell[i]);
		close(held->wait[i]);
	}
}

/* Until it runs: next is what starts it. */
static void
held_runs(struct gons_multi *multi, struct held *held)
{
	while (!is_readable(held->tell[0], 0))
		expect_none(multi, 10, EAGAIN);
	ATF_REQUIRE_EQ('x', rx_byte(held->tell[0]));
}

static void
held_go(struct held *held)
{
	ATF_REQUIRE_EQ(1, write(held->wait[1], "", 1));
}

static unsigned
open_fds(void)
{
	struct dirent *entry;
	unsigned n = 0;
	DIR *dir = opendir("/proc/self/fd");

	ATF_REQUIRE(dir != NULL);
	while ((entry = readdir(dir)) != NULL)
		n++;
	closedir(dir);
	return n;
}

/* MANY requests with a result of their own each, and what comes of them. */
static void
run_many(unsigned max)
{
	static struct gons_reexec *req[MANY];
	static int seen[MANY];
	struct gons_multi *multi = new_multi(max);
	struct gons_reexec *done;
	char line[32];
	intptr_t i;
	int n = 0;

	memset(seen, 0, sizeof(seen));
	for (i = 0; i < MANY; i++) {
		(void)snprintf(line, sizeof(line), "out %d", (int)i);
		req[i] = rx_script(line);
		gons_reexec_setdata(req[i], (void *)i);
		ATF_REQUIRE_EQ(0, gons_multi_add(multi, req[i]));
	}
	ATF_CHECK_EQ(MANY, gons_multi_pending(multi));
	while ((done = gons_multi_next(multi, -1)) != NULL) {
		i = (intptr_t)gons_reexec_data(done);
		ATF_REQUIRE_EQ(req[i], done);
		ATF_REQUIRE_MSG(gons_reexec_failure(done) == 0, "%d: %s",
		    (int)i, gons_reexec_error(done));
		(void)snprintf(line, sizeof(line), "%d", (int)i);
		ATF_REQUIRE_STREQ(line, rx_result(done));
		ATF_REQUIRE_EQ(0, seen[i]++);
		/* Each had its turn before most of those that came later. */
		ATF_CHECK_MSG(max == 0 || n - i < MANY / 2, "%d came after %d",
		    (int)i, n);
		ATF_REQUIRE_EQ(MANY - ++n, (int)gons_multi_pending(multi));
		gons_reexec_free(done);
	}
	ATF_CHECK_EQ(ENOENT, errno);
	ATF_CHECK_EQ(MANY, n);
	gons_multi_free(multi);
}

static void
many(void)
{
	run_many(AT_ONCE);
}

static void
few_descriptors(void)
{
	struct rlimit limit, old;

	ATF_REQUIRE_EQ(0, getrlimit(RLIMIT_NOFILE, &old));
	limit = old;
	limit.rlim_cur = open_fds() + 24;
	ATF_REQUIRE_EQ(0, setrlimit(RLIMIT_NOFILE, &limit));
	run_many(0);
	ATF_REQUIRE_EQ(0, setrlimit(RLIMIT_NOFILE, &old));
}

/* With nothing that runs there is nothing to wait for. */
static void
no_descriptor(void)
{
	struct gons_multi *multi = new_multi(0);
	struct gons_reexec *req = rx_script("return 0");
	struct rlimit limit, old;

	rx_flags(req, 0);
	ATF_REQUIRE_EQ(0, gons_multi_add(multi, req));
	ATF_REQUIRE_EQ(0, getrlimit(RLIMIT_NOFILE, &old));
	limit = old;
	limit.rlim_cur = 3;
	ATF_REQUIRE_EQ(0, setrlimit(RLIMIT_NOFILE, &limit));
	ATF_CHECK_EQ(req, gons_multi_next(multi, -1));
	ATF_REQUIRE_EQ(0, setrlimit(RLIMIT_NOFILE, &old));
	ATF_CHECK_EQ(GONS_FAIL_START, gons_reexec_failure(req));
	rx_wait_fails(req, GONS_FAIL_START, EMFILE, "script");
	/* and again, when there are some */
	ATF_REQUIRE_EQ(0, gons_multi_add(multi, req));
	ATF_CHECK_EQ(req, next(multi));
	ATF_CHECK_EQ(0, gons_reexec_failure(req));
	gons_reexec_free(req);
	gons_multi_free(multi);
}

/* At most max run, and the descriptors of each are counted. */
static void
at_most(void)
{
	struct gons_multi *multi = new_multi(2);
	struct held held[3];
	unsigned before, i;

	for (i = 0; i < 3; i++)
		held_init(&held[i]);
	before = open_fds();
	for (i = 0; i < 3; i++)
		ATF_REQUIRE_EQ(0, gons_multi_add(multi, held[i].req));
	ATF_CHECK_EQ(before, open_fds());
	held_runs(multi, &held[0]);
	held_runs(multi, &held[1]);
	if (rx_mode == 0)
		ATF_CHECK_EQ(before + 2 * EACH, open_fds());
	expect_none(multi, 100, EAGAIN);
	ATF_CHECK_EQ(0, is_readable(held[2].tell[0], 0));
	ATF_CHECK_EQ(3, gons_multi_pending(multi));

	held_go(&held[1]);
	ATF_CHECK_EQ(held[1].req, next(multi));
	held_runs(multi, &held[2]);
	held_go(&held[2]);
	ATF_CHECK_EQ(held[2].req, next(multi));
	held_go(&held[0]);
	ATF_CHECK_EQ(held[0].req, next(multi));
	ATF_CHECK_STREQ("held", rx_result(held[0].req));
	if (rx_mode == 0)
		ATF_CHECK_EQ(before, open_fds());
	expect_none(multi, -1, ENOENT);
	for (i = 0; i < 3; i++)
		held_free(&held[i]);
	gons_multi_free(multi);
}

/* What a request in a multi refuses, and from when on it does not. */
static void
busy(void)
{
	struct gons_multi *multi = new_multi(1), *other = new_multi(1);
	struct held held;
	int round;

	held_init(&held);
	ATF_REQUIRE_EQ(0, gons_reexec_start(held.req));
	ATF_CHECK_ERRNO(EBUSY, gons_multi_add(multi, held.req) == -1);
	ATF_CHECK(gons_reexec_fd(held.req) != -1);
	held_go(&held);
	(void)rx_wait_ok(held.req);
	ATF_REQUIRE_EQ('x', rx_byte(held.tell[0]));
	ATF_REQUIRE_EQ(0, gons_multi_add(multi, held.req));
	for (round = 0; round < 2; round++) { /* queued; running */
		ATF_CHECK_ERRNO(EBUSY, gons_multi_add(multi, held.req) == -1);
		ATF_CHECK_ERRNO(EBUSY, gons_multi_add(other, held.req) == -1);
		ATF_CHECK_ERRNO(EBUSY, gons_reexec_start(held.req) == -1);
		ATF_CHECK_ERRNO(EBUSY, gons_reexec_run(held.req) == -1);
		ATF_CHECK_ERRNO(EBUSY, gons_reexec_wait(held.req) == -1);
		ATF_CHECK_ERRNO(EBUSY, gons_reexec_step(held.req) == -1);
		ATF_CHECK_ERRNO(
		    EBUSY, gons_reexec_settimeout(held.req, 1) == -1);
		ATF_CHECK_EQ(-1, gons_reexec_fd(held.req));
		if (round == 0)
			held_runs(multi, &held);
	}
	held_go(&held);
	ATF_CHECK_EQ(held.req, next(multi));
	ATF_CHECK_EQ(0, gons_reexec_settimeout(held.req, 60000));
	ATF_CHECK_EQ(0, gons_multi_add(other, held.req));
	held_runs(other, &held);
	held_go(&held);
	ATF_CHECK_EQ(held.req, next(other));
	held_free(&held);
	gons_multi_free(multi);
	gons_multi_free(other);
}

/* The filter is this thread's alone: the timer is not set before the end. */
static void *
start_untimed(void *arg)
{
	static const struct rule rules[] = {
		{ SYS_timerfd_settime, -1, 0, 0, EPERM },
#ifdef SYS_timerfd_settime64
		{ SYS_timerfd_settime64, -1, 0, 0, EPERM },
#endif
	};
	struct gons_multi *multi = arg;

	forbid(rules, NELEM(rules));
	(void)gons_multi_fd(multi);
	expect_none(multi, 0, EAGAIN);
	return multi;
}

/* That the child writes is an event, and that one can be had is another. */
static void
woken(void)
{
	struct gons_multi *multi = new_multi(1);
	struct gons_reexec *req = rx_script("out x");
	pthread_t thread;

	need_filters();
	gons_reexec_unprepare();
	ATF_REQUIRE_EQ(0, gons_multi_add(multi, req));
	ATF_REQUIRE_EQ(0, pthread_create(&thread, NULL, start_untimed, multi));
	ATF_REQUIRE_EQ(0, pthread_join(thread, NULL));
	ATF_CHECK_MSG(is_readable(gons_multi_fd(multi), PATIENCE),
	    "nothing wakes who polls");
	ATF_CHECK_EQ(req, next(multi));
	ATF_CHECK_STREQ("x", rx_wait_ok(req));
	gons_reexec_free(req);
	gons_multi_free(multi);
}

/* In a thread that may not wait for events. */
struct without {
	struct gons_multi *multi;
	struct held *held; /* its request, of which one learns all the same */
	struct gons_reexec *alone;
};

static void *
wait_without_events(void *arg)
{
	struct without *without = arg;
	static const struct rule rules[] = {
#ifdef SYS_epoll_wait
		{ SYS_epoll_wait, -1, 0, 0, EPERM },
#endif
		{ SYS_epoll_pwait, -1, 0, 0, EPERM },
	};
	struct rusage before, after;
	long long end;
	int r, wakes = 0;

	forbid(rules, NELEM(rules));
	ATF_REQUIRE_EQ(0, getrusage(RUSAGE_THREAD, &before));
	expect_none(without->multi, 200, EAGAIN);
	ATF_REQUIRE_EQ(0, getrusage(RUSAGE_THREAD, &after));
	ATF_CHECK_MSG(
	    after.ru_nvcsw > before.ru_nvcsw, "it tries again all the time");
	held_go(without->held);
	ATF_CHECK_EQ(
	    without->held->req, gons_multi_next(without->multi, PATIENCE));
	end = rx_clock() + PATIENCE;
	while (
	    (r = gons_reexec_step(without->alone)) == 0 && rx_clock() < end) {
		/* its timer, which no event tells of, goes off once */
		(void)is_readable(gons_reexec_fd(without->alone), 1000);
		wakes++;
	}
	ATF_CHECK_EQ(1, r);
	ATF_CHECK_MSG(wakes < 1000, "woken %d times", wakes);
	return NULL;
}

static void
no_events(void)
{
	struct without without = { new_multi(1), NULL, rx_new("print_late") };
	struct held held;
	pthread_t thread;

	need_filters();
	held_add(without.multi, &held);
	held_runs(without.multi, &held);
	without.held = &held;
	ATF_REQUIRE_EQ(0, gons_reexec_start(without.alone));
	ATF_REQUIRE(gons_reexec_fd(without.alone) != -1);
	ATF_REQUIRE_EQ(
	    0, pthread_create(&thread, NULL, wait_without_events, &without));
	ATF_REQUIRE_EQ(0, pthread_join(thread, NULL));
	ATF_CHECK_STREQ("held", rx_wait_ok(held.req));
	ATF_CHECK_STREQ("x", rx_wait_ok(without.alone));
	gons_reexec_free(without.alone);
	held_free(&held);
	gons_multi_free(without.multi);
}

/*
 * No call ends a thread that is cancelled, and it can be after as before.  A
 * message would be a cancellation point.
 */
static void *
be_cancelled(void *arg)
{
	static const int states[] = { PTHREAD_CANCEL_DISABLE,
		PTHREAD_CANCEL_ENABLE };
	struct gons_multi *multi;
	struct gons_reexec *req = arg;
	int after, good = 1;
	size_t i;

	(void)pthread_cancel(pthread_self());
	for (i = 0; i < NELEM(states); i++) {
		(void)pthread_setcancelstate(states[i], NULL);
		multi = gons_multi_new(1);
		good &= gons_multi_add(multi, req) == 0;
		good &= gons_multi_next(multi, -1) == req;
		good &= gons_multi_next(multi, -1) == NULL;
		good &= gons_multi_add(multi, req) == 0;
		(void)gons_multi_next(multi, 0); /* it runs, or has ended */
		gons_multi_free(multi);
		(void)pthread_setcancelstate(states[i], &after);
		good &= after == states[i];
	}
	if (good)
		pthread_testcancel();
	return NULL;
}

static void
cancelled(void)
{
	struct gons_reexec *req = rx_script("out x");
	pthread_t thread;
	void *result;

	ATF_REQUIRE_EQ(0, pthread_create(&thread, NULL, be_cancelled, req));
	ATF_REQUIRE_EQ(0, pthread_join(thread, &result));
	ATF_CHECK_EQ(PTHREAD_CANCELED, result);
	gons_reexec_free(req);
}

/* A loop of the caller's needs no other descriptor. */
static void
descriptor(void)
{
	struct gons_multi *multi = new_multi(1);
	int epoll = epoll_create1(EPOLL_CLOEXEC), fd = gons_multi_fd(multi);
	struct epoll_event event = { .events = EPOLLIN };
	struct held held;
	int i;

	ATF_REQUIRE(fd != -1);
	ATF_CHECK(fcntl(fd, F_GETFD) & FD_CLOEXEC);
	ATF_REQUIRE_EQ(0, epoll_ctl(epoll, EPOLL_CTL_ADD, fd, &event));
	ATF_CHECK_EQ(0, is_readable(fd, 0));
	held_add(multi, &held);
	for (i = 0; i < 2; i++) { /* level-triggered */
		ATF_CHECK_EQ(1, is_readable(fd, 0));
		ATF_CHECK_EQ(1, epoll_wait(epoll, &event, 1, 0));
	}
	held_runs(multi, &held);
	held_go(&held);
	do
		ATF_REQUIRE_EQ(1, epoll_wait(epoll, &event, 1, -1));
	while (gons_multi_next(multi, 0) == NULL && errno == EAGAIN);
	ATF_CHECK_EQ(0, gons_reexec_failure(held.req));
	ATF_CHECK_EQ(0, gons_multi_pending(multi));
	ATF_CHECK_EQ(0, is_readable(fd, 0));
	ATF_CHECK_EQ(fd, gons_multi_fd(multi));
	held_free(&held);
	gons_multi_free(multi);
	close(epoll);
}

/* Answers that were not fetched yet keep it readable. */
static void
answers_wait(void)
{
	struct gons_multi *multi = new_multi(0);
	struct gons_reexec *req[2];
	int i;

	for (i = 0; i < 2; i++) {
		req[i] = rx_new("nobody");
		ATF_REQUIRE_EQ(0, gons_multi_add(multi, req[i]));
	}
	/* neither can be started: both are done at once */
	for (i = 0; i < 2; i++) {
		ATF_CHECK_EQ(1, is_readable(gons_multi_fd(multi), 0));
		ATF_CHECK_EQ(req[i], gons_multi_next(multi, 0));
		rx_wait_fails(
		    req[i], GONS_FAIL_START, ENOENT, "nobody|not registered");
		gons_reexec_free(req[i]);
	}
	ATF_CHECK_EQ(0, is_readable(gons_multi_fd(multi), 0));
	gons_multi_free(multi);
}

static void
killed(void)
{
	struct gons_multi *multi = new_multi(1);
	struct held held, queued;

	held_add(multi, &held);
	held_add(multi, &queued);
	held_runs(multi, &held);
	ATF_REQUIRE_EQ(0, gons_reexec_kill(held.req));
	ATF_CHECK_EQ(held.req, next(multi));
	rx_wait_fails(held.req, GONS_FAIL_KILLED, ECANCELED, "hold");
	/* the place that is free now is the other's */
	held_runs(multi, &queued);
	held_go(&queued);
	ATF_CHECK_EQ(queued.req, next(multi));
	held_free(&held);
	held_free(&queued);
	gons_multi_free(multi);
}

static void
kill_in_copy(void *req)
{
	errno = 0;
	CHILD(gons_reexec_kill(req) == -1 && errno == ECHILD);
}

/* One that waits is done at once, and never starts. */
static void
killed_waiting(void)
{
	struct gons_multi *multi = new_multi(1);
	struct held held[3];
	int i;

	for (i = 0; i < 3; i++)
		held_add(multi, &held[i]);
	held_runs(multi, &held[0]);
	/* what its child has told before its action ran */
	while (is_readable(gons_multi_fd(multi), 0))
		ATF_REQUIRE_EQ(NULL, gons_multi_next(multi, 0));
	in_child(kill_in_copy, held[1].req);
	ATF_CHECK_EQ(0, is_readable(gons_multi_fd(multi), 0));
	ATF_REQUIRE_EQ(0, gons_reexec_kill(held[1].req));
	ATF_CHECK_ERRNO(ESRCH, gons_reexec_kill(held[1].req) == -1);
	ATF_CHECK_EQ(1, is_readable(gons_multi_fd(multi), 0));
	ATF_CHECK_EQ(3, gons_multi_pending(multi));
	ATF_CHECK_EQ(held[1].req, gons_multi_next(multi, 0));
	rx_wait_fails(held[1].req, GONS_FAIL_KILLED, ECANCELED,
	    "hold|killed by gons_reexec_kill()");
	ATF_CHECK_EQ(-1, gons_reexec_status(held[1].req));
	ATF_CHECK_EQ(0, is_readable(held[1].tell[0], 0));

	held_go(&held[0]);
	ATF_CHECK_EQ(held[0].req, next(multi));
	held_runs(multi, &held[2]);
	ATF_REQUIRE_EQ(0, gons_multi_add(multi, held[1].req));
	held_go(&held[2]);
	ATF_CHECK_EQ(held[2].req, next(multi));
	ATF_CHECK_EQ(0, gons_reexec_failure(held[2].req));
	held_runs(multi, &held[1]);
	held_go(&held[1]);
	ATF_CHECK_EQ(held[1].req, next(multi));
	ATF_CHECK_EQ(0, gons_reexec_failure(held[1].req));
	for (i = 0; i < 3; i++)
		held_free(&held[i]);
	gons_multi_free(multi);
}

/* A time limit counts from the start, not from gons_multi_add(). */
static void
time_limit(void)
{
	struct gons_multi *multi = new_multi(1);
	struct held first, second;
	long long began;

	held_init(&first);
	held_init(&second);
	ATF_REQUIRE_EQ(0, gons_reexec_settimeout(second.req, 700));
	ATF_REQUIRE_EQ(0, gons_multi_add(multi, first.req));
	ATF_REQUIRE_EQ(0, gons_multi_add(multi, second.req));
	held_runs(multi, &first);
	expect_none(multi, 900, EAGAIN);
	held_go(&first);
	began = rx_clock();
	ATF_CHECK_EQ(first.req, next(multi));
	/* the descriptor alone tells of the time, too */
	while (gons_multi_next(multi, 0) == NULL) {
		ATF_REQUIRE_EQ(EAGAIN, errno);
		ATF_REQUIRE(is_readable(gons_multi_fd(multi), 20000));
	}
	rx_wait_fails(second.req, GONS_FAIL_TIMEOUT, ETIMEDOUT, "hold");
	ATF_CHECK(rx_clock() - began >= 690);
	held_free(&first);
	held_free(&second);
	gons_multi_free(multi);
}

/* The supervisor of one that runs is stopped, so that its end takes a while. */
static void
stop_supervisor(struct held *held)
{
	pid_t pid;

	ATF_REQUIRE_EQ(
	    (ssize_t)sizeof(pid), read(held->tell[0], &pid, sizeof(pid)));
	/* Unlike SIGSTOP, this outlasts the library's SIGCONT. */
	if (rx_mode != 0 || ptrace(PTRACE_SEIZE, pid, NULL, NULL) == -1)
		return;
	ATF_REQUIRE_EQ(0, ptrace(PTRACE_INTERRUPT, pid, NULL, NULL));
	ATF_REQUIRE_EQ(pid, waitpid(pid, NULL, __WALL));
}

/* Which run is killed, which are queued remain idle, none is freed. */
static void
freed(void)
{
	struct gons_multi *multi = new_multi(1);
	struct held running, queued;

	held_init_as(&running, "hold_supervised");
	rx_flags(running.req, GONS_REEXEC_DIE_WITH_PARENT);
	ATF_REQUIRE_EQ(0, gons_multi_add(multi, running.req));
	held_add(multi, &queued);
	held_runs(multi, &running);
	stop_supervisor(&running);
	errno = ERANGE;
	gons_multi_free(multi);
	ATF_CHECK_EQ(ERANGE, errno);
	/* it has been waited for */
	ATF_CHECK_EQ(GONS_FAIL_KILLED, gons_reexec_failure(running.req));
	rx_wait_fails(
	    running.req, GONS_FAIL_KILLED, ECANCELED, "hold_supervised");
	ATF_CHECK_ERRNO(EINVAL, gons_reexec_wait(queued.req) == -1);
	held_go(&queued);
	(void)rx_ok(queued.req);
	held_free(&running);
	held_free(&queued);
	gons_multi_free(NULL);
}

/* Requests may be freed in any state. */
static void
taken_out(void)
{
	struct gons_multi *multi = new_multi(1);
	struct held held[4];
	int i;

	for (i = 0; i < 4; i++)
		held_add(multi, &held[i]);
	held_runs(multi, &held[0]);
	held_free(&held[3]); /* the last in the queue */
	ATF_CHECK_EQ(3, gons_multi_pending(multi));
	held_free(&held[0]); /* running */
	ATF_CHECK_EQ(2, gons_multi_pending(multi));
	ATF_CHECK_EQ(1, is_readable(gons_multi_fd(multi), 0));
	held_runs(multi, &held[1]);
	held_free(&held[2]);
	held_add(multi, &held[3]);
	held_go(&held[1]);
	ATF_CHECK_EQ(held[1].req, next(multi));
	held_runs(multi, &held[3]);
	held_go(&held[3]);
	ATF_CHECK_EQ(held[3].req, next(multi));
	expect_none(multi, -1, ENOENT);
	held_free(&held[1]);
	held_free(&held[3]);
	gons_multi_free(multi);
}

static int
copy_is_refused(struct gons_multi *multi, struct held *held)
{
	struct gons_reexec *req = gons_reexec_new("script");

	if (gons_multi_next(multi, 0) != NULL || errno != ECHILD)
		return 1;
	if (gons_multi_add(multi, req) != -1 || errno != ECHILD)
		return 2;
	gons_reexec_free(held->req);
	gons_multi_free(multi);
	return 0;
}

/* A forked copy can do nothing with it, and no harm. */
static void
forked_copy(void)
{
	struct gons_multi *multi = new_multi(0);
	struct held held[2];
	int i, status;
	pid_t pid;

	for (i = 0; i < 2; i++) {
		held_add(multi, &held[i]);
		held_runs(multi, &held[i]);
	}
	ATF_REQUIRE((pid = fork()) != -1);
	if (pid == 0)
		_exit(copy_is_refused(multi, &held[0]));
	ATF_REQUIRE_EQ(pid, waitpid(pid, &status, 0));
	ATF_CHECK_EQ(0, status);
	for (i = 0; i < 2; i++) {
		held_go(&held[i]);
		while (gons_multi_next(multi, 0) == NULL)
			ATF_REQUIRE(is_readable(gons_multi_fd(multi), 20000));
		ATF_CHECK_STREQ("held", rx_result(held[i].req));
	}
	for (i = 0; i < 2; i++)
		held_free(&held[i]);
	gons_multi_free(multi);
}

static int
visitor(void *arg)
{
	struct gons_multi *multi = arg;

	if (gons_multi_new(1) != NULL || errno != EPERM)
		return 1;
	return gons_multi_next(multi, 0) != NULL || errno != EPERM;
}

static void
in_a_visit(void)
{
	struct gons_multi *multi = new_multi(1);
	struct gons_env env;
	int value = -1;

	memset(&env, 0, sizeof(env));
	ATF_REQUIRE_EQ(0, gons_visit(&env, NULL, visitor, multi, &value, NULL));
	ATF_CHECK_EQ(0, value);
	gons_multi_free(multi);
}

/* The pipes that this process reads from, but for its own above that number. */
static void
close_pipes(int below)
{
	char path[32], link[8];
	int fd;

	for (fd = 3; fd < below; fd++) {
		(void)snprintf(path, sizeof(path), "/proc/self/fd/%d", fd);
		memset(link, 0, sizeof(link));
		if (readlink(path, link, sizeof(link) - 1) > 0 &&
		    strncmp(link, "pipe:", 5) == 0 &&
		    (fcntl(fd, F_GETFL) & O_ACCMODE) == O_RDONLY)
			(void)close(fd);
	}
}

/* A pipe whose number is that. */
static void
move_up(int fd[2], int above)
{
	int i, up;

	for (i = 0; i < 2; i++) {
		ATF_REQUIRE((up = fcntl(fd[i], F_DUPFD_CLOEXEC, above)) != -1);
		close(fd[i]);
		fd[i] = up;
	}
}

/*
 * The host closes what the library has of one request, and another one gets
 * the numbers: the end of the first is no matter of the other's events.
 */
static void
closed_numbers(void)
{
	struct gons_multi *multi = new_multi(0);
	struct gons_reexec *big = rx_new("print_big"), *done;
	struct held held;

	held_init(&held);
	move_up(held.tell, 100);
	move_up(held.wait, 100);
	gons_reexec_free(held.req);
	held.req = rx_new("hold");
	rx_flags(held.req, 0);
	rx_flags(big, 0);
	rx_keep(held.req, "TELL", held.tell[1]);
	rx_keep(held.req, "WAIT", held.wait[0]);
	rx_keep(big, "TELL", held.tell[1]);
	rx_keep(big, "WAIT", held.wait[0]);
	ATF_REQUIRE_EQ(0, gons_multi_add(multi, held.req));
	held_runs(multi, &held);
	close_pipes(100);
	ATF_REQUIRE_EQ(0, gons_multi_add(multi, big));
	held_runs(multi, &held);
	held_go(&held);
	held_go(&held);
	/* whichever of them is the first */
	done = gons_multi_next(multi, PATIENCE);
	ATF_CHECK_MSG(done != NULL, "nothing tells of any of them");
	done = gons_multi_next(multi, 5000);
	ATF_CHECK_MSG(done != NULL, "its events are gone");
	ATF_CHECK_EQ(0, gons_reexec_failure(big));
	gons_reexec_free(big);
	held_free(&held);
	gons_multi_free(multi);
}

static const struct rx_case cases[] = {
	{ "closed_numbers", closed_numbers, RX_EXEC | RX_UNCOUNTED,
	    "numbers that the host has closed may be another request's" },
	{ "many", many, 0,
	    "Three hundred requests, ten at a time, each in its turn" },
	{ "few_descriptors", few_descriptors, 0,
	    "As many at once as descriptors allow; no EMFILE to handle" },
	{ "no_descriptor", no_descriptor, RX_EXEC,
	    "Without any descriptor the start fails, and is told" },
	{ "at_most", at_most, 0,
	    "max requests run at once and come back in the order of their ends" },
	{ "busy", busy, 0, "A request in a multi is busy until it is back" },
	{ "woken", woken, 0, "no timer is needed to learn of a child" },
	{ "no_events", no_events, 0,
	    "a thread that may not wait for events looks now and then" },
	{ "cancelled", cancelled, 0,
	    "no call is a cancellation point, nor changes if there is one" },
	{ "descriptor", descriptor, 0,
	    "Level-triggered for poll and epoll, also after gons_multi_add" },
	{ "answers_wait", answers_wait, 0,
	    "Failures to start are answers, and each is told of" },
	{ "killed", killed, 0, "gons_reexec_kill makes room for another" },
	{ "killed_waiting", killed_waiting, 0,
	    "gons_reexec_kill ends a request that waits" },
	{ "time_limit", time_limit, 0, "Time limits count from the start" },
	{ "freed", freed, RX_ONCE,
	    "gons_multi_free kills and frees no request" },
	{ "taken_out", taken_out, 0, "gons_reexec_free in any state" },
	{ "forked_copy", forked_copy, 0,
	    "A forked copy gets ECHILD, and the host's requests stay as they are" },
	{ "in_a_visit", in_a_visit, RX_EXEC, "A visit gets EPERM" },
};

ATF_TP_ADD_TCS(tp)
{
	return rx_cases(tp, cases, NELEM(cases));
}
