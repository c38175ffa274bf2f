/*
 * SPDX-License-Identifier: BSD-2-Clause
 *
 * Copyright (c) 2026 The libgons developers
 *
 * Children that stay: what ends them, and what becomes of them when nobody asks
 * any more.
 */

#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>

#include <atf-c.h>

#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <gons.h>

#include "helpers.h"
#include "rx.h"
#include "stays.h"

/*
 * What ends it.
 */

static void
failures(void)
{
	static const struct {
		const char *what;
		int failure, errnum;
		const char *words;
	} rows[] = {
		{ "return 3", GONS_FAIL_EXIT, EIO, "status 3" },
		{ "exit 4", GONS_FAIL_EXIT, EIO, "status 4" },
		{ "raise 9", GONS_FAIL_SIGNAL, EIO, "signal 9" },
		{ "err oops", GONS_FAIL_STDERR, EIO, "oops" },
		{ "pause", GONS_FAIL_TIMEOUT, ETIMEDOUT, "200 ms" },
		{ "big 5000", GONS_FAIL_SIZE, EMSGSIZE, "1000 bytes" },
	};
	struct gons_reexec *req = stay_new(0);
	pid_t before, pid = 0;
	size_t i;

	ATF_REQUIRE_EQ(0, gons_reexec_setmaxresult(req, 1000));
	for (i = 0; i < NELEM(rows); i++) {
		before = pid;
		ATF_CHECK((pid = stay_counts(req, 1)) != before);
		ATF_CHECK_EQ(pid, stay_counts(req, 2));
		if (rows[i].failure == GONS_FAIL_TIMEOUT)
			ATF_REQUIRE_EQ(0, gons_reexec_settimeout(req, 200));
		stay_fails(req, rows[i].what, rows[i].failure, rows[i].errnum,
		    rows[i].words);
		ATF_REQUIRE_EQ(0, gons_reexec_settimeout(req, -1));
		ATF_CHECK_MSG(!stay_is_there(pid), "%s", rows[i].what);
	}
	/* exit(3) with 0 is no failure, but it does not stay */
	(void)stay_says(req, "exit 0");
	(void)stay_counts(req, 1);
	gons_reexec_free(req);
}

static void
killed_while_it_runs(void)
{
	struct gons_reexec *req = stay_new(0);
	pid_t pid = stay_counts(req, 1);

	stay_order(req, "pause");
	ATF_REQUIRE_EQ(0, gons_reexec_start(req));
	ATF_CHECK_ERRNO(EBUSY, gons_reexec_end(req) == -1);
	ATF_CHECK_EQ(0, gons_reexec_step(req));
	ATF_REQUIRE_EQ(0, gons_reexec_kill(req));
	rx_wait_fails(req, GONS_FAIL_KILLED, ECANCELED, "gons_reexec_kill");
	ATF_CHECK(!stay_is_there(pid));
	(void)stay_counts(req, 1);
	stay_order(req, "pause");
	ATF_REQUIRE_EQ(0, gons_reexec_start(req));
	gons_reexec_free(req);
}

/* The signal has been sent by then: nobody has to wait for it. */
static void
killed_at_once(void)
{
	struct gons_reexec *req = stay_new(0);
	int told[2];

	rx_pipe(told);
	rx_keep(req, "TOLD", told[1]);
	(void)stay_counts(req, 1);
	stay_order(req, "pause");
	ATF_REQUIRE_EQ(0, gons_reexec_start(req));
	close(told[1]);
	ATF_REQUIRE_EQ(0, gons_reexec_kill(req));
	ATF_CHECK_MSG(rx_gone(told[0], 10000), "it is still there");
	rx_wait_fails(req, GONS_FAIL_KILLED, ECANCELED, "gons_reexec_kill");
	close(told[0]);
	gons_reexec_free(req);
}

static void
settings_change(void)
{
	struct gons_reexec *req = stay_new(0);
	pid_t pid = stay_counts(req, 1), next;
	char *argv[] = { (char *)(uintptr_t) "another", NULL };
	int i;

	for (i = 0; i < 4; i++) {
		if (i == 0)
			ATF_CHECK_EQ(0, gons_reexec_setenv(req, "X", "y"));
		else if (i == 1)
			ATF_CHECK_EQ(0, gons_reexec_setmaxfds(req, 3));
		else if (i == 2)
			rx_flags(
			    req, GONS_REEXEC_STAY | GONS_REEXEC_STDERR_KEEP);
		else
			ATF_CHECK_EQ(0, gons_reexec_setargs(argv));
		next = stay_counts(req, 1);
		ATF_CHECK_MSG(next != pid && !stay_is_there(pid), "%d", i);
		pid = next;
	}
	ATF_REQUIRE_EQ(0, gons_reexec_setflags(req, rx_mode));
	ATF_CHECK(stay_counts(req, 1) != pid);
	ATF_CHECK(!stay_is_there(pid));
	gons_reexec_free(req);
}

static void
drop_privilege(void *unused)
{
	struct gons_reexec *req = gons_reexec_new("obey");
	char first[64];

	(void)unused;
	CHILD(gons_reexec_setflags(req, GONS_REEXEC_STAY | rx_mode) == 0);
	CHILD(gons_reexec_param(req, "count", 5) == 0);
	CHILD(gons_reexec_run(req) == 0);
	(void)snprintf(first, sizeof(first), "%s", rx_result(req));
	CHILD(gons_reexec_run(req) == 0);
	CHILD(atoi(first) == atoi(rx_result(req)));
	CHILD(setresgid(NOBODY, NOBODY, NOBODY) == 0);
	CHILD(setresuid(NOBODY, NOBODY, NOBODY) == 0);
	CHILD(gons_reexec_run(req) == 0);
	CHILD(atoi(first) != atoi(rx_result(req)));
	gons_reexec_free(req);
}

static void
privileges(void)
{
	need_nobody();
	in_child(drop_privilege, NULL);
}

/* The kernel has this for each thread, and what a thread runs inherits it. */
static void *
give_up_privileges(void *arg)
{
	struct gons_reexec *req = arg;
	static pid_t pid;

	if (prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) == 0)
		pid = stay_counts(req, 1);
	return &pid;
}

/* A thread is compared with what it is, not with what another one is. */
static void
threads(void)
{
	struct gons_reexec *req = stay_new(0);
	pid_t pid = stay_counts(req, 1);
	pthread_t thread;
	void *other;

	ATF_CHECK_EQ(pid, stay_counts(req, 2));
	ATF_REQUIRE_EQ(
	    0, pthread_create(&thread, NULL, give_up_privileges, req));
	ATF_REQUIRE_EQ(0, pthread_join(thread, &other));
	ATF_CHECK(*(pid_t *)other != pid);
	ATF_CHECK(stay_counts(req, 1) != *(pid_t *)other);
	gons_reexec_free(req);
}

/* So is a copy of the process. */
static void
copies(void)
{
	struct gons_reexec *req = stay_new(0);
	int before, status;
	pid_t copy, pid;

	(void)stay_counts(req, 1);
	ATF_REQUIRE((copy = fork()) != -1);
	if (copy == 0) {
		before = count_fds();
		gons_reexec_free(req);
		req = stay_new(0);
		pid = stay_counts(req, 1);
		if (count_fds() != before)
			_exit(2);
		if (pid != stay_counts(req, 2) ||
		    prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) == -1 ||
		    pid == stay_counts(req, 1))
			_exit(1);
		gons_reexec_free(req);
		_exit(0);
	}
	ATF_REQUIRE_EQ(copy, waitpid(copy, &status, 0));
	ATF_CHECK_EQ(0, status);
	(void)stay_counts(req, 2);
	gons_reexec_free(req);
}

/* The descriptor whose file has a name that ends so, or -1. */
static int
find_fd(const char *end)
{
	char link[64], name[256];
	size_t len = strlen(end);
	ssize_t n;
	int fd;

	for (fd = 3; fd < 256; fd++) {
		(void)snprintf(link, sizeof(link), "/proc/self/fd/%d", fd);
		n = readlink(link, name, sizeof(name) - 1);
		name[n > 0 ? n : 0] = '\0';
		if (n > (ssize_t)len && strcmp(name + n - len, end) == 0)
			return fd;
	}
	return -1;
}

/*
 * What the library keeps open to look at this thread may become something else
 * at any time: then it is neither read nor closed.
 */
static void
looks_again(void)
{
	static const char *const ends[] = { "/status", "/ns" };
	struct gons_reexec *req = stay_new(0);
	pid_t pid = stay_counts(req, 1);
	struct stat was, is;
	int before, fd, pipes[2];
	size_t i;

	for (i = 0; i < NELEM(ends); i++) {
		rx_pipe(pipes);
		(void)fstat(pipes[0], &was);
		ATF_REQUIRE((fd = find_fd(ends[i])) != -1);
		ATF_REQUIRE_EQ(fd, dup3(pipes[0], fd, O_CLOEXEC));
		before = count_fds();
		ATF_CHECK_EQ(pid, stay_counts(req, 2 + (int)i));
		ATF_CHECK_EQ(before + 1, count_fds());
		ATF_REQUIRE_EQ(0, fstat(fd, &is));
		ATF_CHECK_EQ(was.st_ino, is.st_ino);
		close(fd);
		close(pipes[0]);
		close(pipes[1]);
	}
	ATF_REQUIRE_EQ(0, prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0));
	ATF_CHECK(stay_counts(req, 1) != pid);
	gons_reexec_free(req);
}

/* Exit handlers run once, at the end. */
static void
handlers(void)
{
	struct gons_reexec *req = stay_new(0);
	int how, told[2];

	for (how = 0; how < 2; how++) {
		rx_pipe(told);
		rx_keep(req, "TOLD", told[1]);
		(void)stay_says(req, "bye");
		(void)stay_says(req, "say x");
		if (how == 0)
			ATF_CHECK_EQ(0, gons_reexec_end(req));
		else
			gons_reexec_free(req);
		close(told[1]);
		ATF_CHECK_EQ('b', rx_byte(told[0]));
		ATF_CHECK_EQ(-1, rx_byte(told[0]));
		close(told[0]);
		if (how == 0) {
			gons_reexec_free(req);
			req = stay_new(0);
		}
	}
}

/* One that hangs in an exit handler is killed after the grace period. */
static void
hangs_at_the_end(void)
{
	struct gons_reexec *req = stay_new(0);
	long long since;
	pid_t pid;

	ATF_REQUIRE_EQ(0, gons_reexec_setgrace(req, 100));
	(void)stay_says(req, "hangs");
	pid = stay_counts(req, 2);
	since = rx_clock();
	ATF_CHECK_EQ(0, gons_reexec_end(req));
	ATF_CHECK(rx_clock() - since >= 100);
	ATF_CHECK(!stay_is_there(pid));
	/* one that is replaced, too */
	(void)stay_says(req, "hangs");
	pid = stay_counts(req, 2);
	ATF_REQUIRE_EQ(0, gons_reexec_setenv(req, "X", "y"));
	ATF_CHECK(stay_counts(req, 1) != pid);
	ATF_CHECK(!stay_is_there(pid));
	gons_reexec_free(req);
}

static void
died_while_idle(void)
{
	static const int signals[] = { SIGKILL, SIGSTOP };
	struct gons_reexec *req = stay_new(0);
	pid_t pid;
	size_t i;

	for (i = 0; i < NELEM(signals); i++) {
		pid = stay_counts(req, 1);
		ATF_REQUIRE_EQ(0, kill(pid, signals[i]));
		ATF_CHECK(stay_counts(req, 1) != pid);
		ATF_CHECK(!stay_is_there(pid));
		ATF_CHECK_EQ(0, gons_reexec_end(req));
	}
	gons_reexec_free(req);
}

/*
 * A supervisor that is stopped does not pass on that the action has its
 * request.  The request may go to another child, but no action runs for it
 * twice.
 */
static void
supervisor_stops(void)
{
	struct gons_reexec *req = stay_new(GONS_REEXEC_DIE_WITH_PARENT);
	int told[2];

	rx_pipe(told);
	rx_keep(req, "TOLD", told[1]);
	ATF_REQUIRE_EQ(0, gons_reexec_settimeout(req, 20000));
	(void)stay_says(req, "stop");
	stay_order(req, "mark");
	(void)gons_reexec_run(req);
	gons_reexec_free(req);
	close(told[1]);
	ATF_CHECK_EQ('m', rx_byte(told[0]));
	ATF_CHECK_EQ(-1, rx_byte(told[0]));
	close(told[0]);
}

/* What the library needs has been closed: it cannot be asked again. */
static void
closed_everything(void)
{
	struct gons_reexec *req = stay_new(0);

	(void)stay_counts(req, 1);
	(void)stay_says(req, "close");
	(void)stay_counts(req, 1);
	/* With a closed stream it would print nothing, and look well. */
	(void)stay_says(req, "fclose 1");
	(void)stay_counts(req, 1);
	(void)stay_says(req, "fclose 2");
	(void)stay_counts(req, 1);
	gons_reexec_free(req);
}

/* A copy of the action's process returns from the action, too. */
static void
action_forks(void)
{
	struct gons_reexec *req = stay_new(0);

	(void)stay_says(req, "fork");
	(void)stay_counts(req, 2);
	(void)stay_says(req, "fork");
	(void)stay_counts(req, 4);
	gons_reexec_free(req);
}

static void
hostile(void)
{
	struct gons_reexec *req = stay_new(0);
	long long since;
	pid_t pid;

	/* twice at once: the host may have closed before a later one */
	pid = stay_counts(req, 1);
	(void)stay_says(req, "forge");
	ATF_CHECK(stay_counts(req, 1) != pid);
	pid = stay_counts(req, 2);
	/* never again, although it said that it had returned */
	(void)stay_says(req, "never");
	since = rx_clock();
	ATF_CHECK(stay_counts(req, 1) != pid);
	ATF_CHECK(rx_clock() - since < 10000);
	/* and if that is the end */
	ATF_REQUIRE_EQ(0, gons_reexec_setgrace(req, 0));
	(void)stay_says(req, "never");
	ATF_CHECK_EQ(0, gons_reexec_end(req));
	gons_reexec_free(req);
}

/* They know what the library says, and when, and say it otherwise. */
static void
cheats(void)
{
	struct gons_reexec *req = stay_new(0);

	ATF_REQUIRE_EQ(0, gons_reexec_setgrace(req, 100));
	(void)stay_says(req, "cheat twice");
	ATF_CHECK_STREQ("x", stay_says(req, "say x"));
	(void)stay_says(req, "cheat ahead");
	ATF_CHECK_STREQ("y", stay_says(req, "say y"));
	(void)stay_says(req, "cheat mute");
	(void)stay_counts(req, 1);
	(void)stay_says(req, "cheat early");
	ATF_REQUIRE_EQ(0, gons_reexec_settimeout(req, 300));
	stay_fails(req, "say z", GONS_FAIL_TIMEOUT, ETIMEDOUT, "300 ms");
	ATF_REQUIRE_EQ(0, gons_reexec_settimeout(req, -1));
	(void)stay_counts(req, 1);
	gons_reexec_free(req);
}

static void
random_kills(void)
{
	struct gons_reexec *req = stay_new(0);
	int i, n, well = 0;
	pid_t killer, pid;

	srand(1);
	for (i = 0; i < 40; i++) {
		stay_order(req, "count");
		if (gons_reexec_run(req) == -1) {
			ATF_CHECK_EQ(
			    GONS_FAIL_SIGNAL, gons_reexec_failure(req));
			continue;
		}
		well++;
		pid = atoi(rx_result(req));
		n = rand() % 3000;
		ATF_REQUIRE((killer = fork()) != -1);
		if (killer == 0) {
			while (n-- > 0)
				(void)syscall(SYS_getppid);
			_exit(kill(pid, SIGKILL));
		}
		stay_order(req, "say x");
		if (gons_reexec_run(req) == 0)
			ATF_CHECK_STREQ("x", rx_result(req));
		ATF_REQUIRE_EQ(killer, waitpid(killer, NULL, 0));
	}
	ATF_CHECK(well > 0);
	gons_reexec_free(req);
}

/*
 * The host.
 */

static void
host_ends(void)
{
	struct gons_reexec *req;
	int told[2], life[2];
	pid_t copy, host;

	rx_pipe(told);
	rx_pipe(life);
	ATF_REQUIRE((host = fork()) != -1);
	if (host == 0) {
		(void)close(life[1]);
		req = gons_reexec_new("obey");
		CHILD(
		    gons_reexec_setflags(req, GONS_REEXEC_STAY | rx_mode) == 0);
		rx_keep(req, "TOLD", told[1]);
		CHILD(gons_reexec_param(req, "bye", 3) == 0);
		CHILD(gons_reexec_run(req) == 0);
		/* A copy has all that this process has of the child. */
		if ((copy = fork()) == 0) {
			(void)close(told[1]);
			(void)rx_byte(life[0]);
			_exit(0);
		}
		_exit(copy == -1);
	}
	close(told[1]);
	ATF_CHECK_EQ('b', rx_byte(told[0]));
	ATF_CHECK(rx_gone(told[0], 10000));
	ATF_REQUIRE_EQ(host, waitpid(host, NULL, 0));
	close(told[0]);
	close(life[0]);
	close(life[1]);
}

static void
host_forks(void)
{
	struct gons_reexec *req = stay_new(0);
	pid_t copy, pid = stay_counts(req, 1);
	int status;

	ATF_REQUIRE((copy = fork()) != -1);
	if (copy == 0) {
		if (gons_reexec_end(req) != -1 || errno != ECHILD)
			_exit(1);
		if (gons_reexec_run(req) != 0 || atoi(rx_result(req)) == pid)
			_exit(2);
		gons_reexec_free(req);
		_exit(0);
	}
	ATF_REQUIRE_EQ(copy, waitpid(copy, &status, 0));
	ATF_CHECK_EQ(0, status);
	ATF_REQUIRE((copy = fork()) != -1);
	if (copy == 0) {
		gons_reexec_free(req);
		_exit(0);
	}
	ATF_REQUIRE_EQ(copy, waitpid(copy, &status, 0));
	ATF_CHECK_EQ(pid, stay_counts(req, 2));
	gons_reexec_free(req);
}

/* Process, socket, and what callers poll. */
static void
descriptors(void)
{
	struct gons_reexec *req, *other;
	struct gons_multi *multi;
	int before;

	other = stay_new(0);
	(void)stay_counts(
	    other, 1); /* the prepared process has its own by now */
	before = count_fds();
	req = stay_new(0);
	stay_order(req, "count");
	ATF_REQUIRE_EQ(0, gons_reexec_run(req));
	ATF_CHECK_EQ(before + 2, count_fds());
	/* six as any other, and the socket */
	stay_order(req, "pause");
	ATF_REQUIRE_EQ(0, gons_reexec_start(req));
	ATF_CHECK_EQ(before + 7, count_fds());
	ATF_REQUIRE_EQ(0, gons_reexec_kill(req));
	ATF_CHECK_ERRNO(ECANCELED, gons_reexec_wait(req) == -1);
	(void)stay_counts(req, 1);
	ATF_CHECK_EQ(before + 3, count_fds());
	ATF_REQUIRE_EQ(0, gons_reexec_end(req));
	gons_reexec_free(req);
	ATF_CHECK_EQ(before, count_fds());

	req = stay_new(GONS_REEXEC_DIE_WITH_PARENT);
	(void)stay_counts(req, 1);
	ATF_CHECK(count_fds() <= before + 4);
	gons_reexec_free(req);
	ATF_CHECK_EQ(before, count_fds());

	ATF_REQUIRE((multi = gons_multi_new(0)) != NULL);
	before = count_fds();
	req = stay_new(0);
	stay_order(req, "count");
	ATF_REQUIRE_EQ(0, gons_multi_add(multi, req));
	ATF_CHECK_EQ(req, gons_multi_next(multi, -1));
	ATF_CHECK_EQ(before + 2, count_fds());
	gons_reexec_free(req);
	gons_multi_free(multi);
	gons_reexec_free(other);
}

static void
no_descriptors_left(void)
{
	struct gons_reexec *req = stay_new(0);
	struct rlimit limit, none;
	pid_t pid = stay_counts(req, 1);
	int fd;

	ATF_REQUIRE_EQ(0, getrlimit(RLIMIT_NOFILE, &limit));
	/* one for looking around, and no pipe */
	ATF_REQUIRE((fd = open("/dev/null", O_RDONLY | O_CLOEXEC)) != -1);
	close(fd);
	none = limit;
	none.rlim_cur = (rlim_t)fd + 1;
	stay_order(req, "count");
	ATF_REQUIRE_EQ(0, setrlimit(RLIMIT_NOFILE, &none));
	ATF_CHECK_ERRNO(EMFILE, gons_reexec_run(req) == -1);
	ATF_REQUIRE_EQ(0, setrlimit(RLIMIT_NOFILE, &limit));
	ATF_CHECK_EQ(GONS_FAIL_START, gons_reexec_failure(req));
	ATF_CHECK_EQ(pid, stay_counts(req, 2));
	gons_reexec_free(req);
}

/* Coverage is collected in other ways, and opens more. */
static const struct rx_case cases[] = {
	{ "failures", failures, RX_ONCE, "any failure ends the child" },
	{ "killed_while_it_runs", killed_while_it_runs, RX_ONCE,
	    "gons_reexec_kill ends the child" },
	{ "killed_at_once", killed_at_once, RX_ONCE,
	    "gons_reexec_kill has sent the signal when it returns" },
	{ "settings_change", settings_change, RX_ONCE,
	    "a setting that the child cannot take over ends it" },
	{ "privileges", privileges, RX_ONCE | RX_ROOT,
	    "a change of the host's privileges ends the child" },
	{ "threads", threads, RX_ONCE,
	    "a change of the privileges of a thread ends the child" },
	{ "copies", copies, RX_ONCE,
	    "a change in a forked copy of the host ends that one's child" },
	{ "looks_again", looks_again, RX_ONCE | RX_UNCOUNTED,
	    "no descriptor is believed that the host may have replaced" },
	{ "handlers", handlers, RX_ONCE, "exit handlers run once" },
	{ "hangs_at_the_end", hangs_at_the_end, RX_ONCE | RX_UNCOUNTED,
	    "a child that hangs in exit is killed" },
	{ "died_while_idle", died_while_idle, RX_ONCE,
	    "a child that died, or was stopped, is replaced" },
	{ "supervisor_stops", supervisor_stops, RX_ONCE,
	    "no action runs twice if the supervisor is stopped" },
	{ "closed_everything", closed_everything, RX_ONCE | RX_UNCOUNTED,
	    "a child is replaced after its action has closed descriptors" },
	{ "action_forks", action_forks, RX_ONCE,
	    "a copy of the action's process does not stay" },
	{ "hostile", hostile, RX_ONCE,
	    "a child that says twice that it has returned is replaced" },
	{ "cheats", cheats, RX_ONCE,
	    "a child that answers unasked, too early or never is replaced" },
	{ "random_kills", random_kills, RX_ONCE,
	    "the child may be killed at any time" },
	{ "host_ends", host_ends, RX_ONCE, "the child ends with the host" },
	{ "host_forks", host_forks, RX_ONCE,
	    "a forked copy of the host has none" },
	{ "descriptors", descriptors, RX_ONCE | RX_UNCOUNTED,
	    "a child that waits costs the host as little as can be" },
	{ "no_descriptors_left", no_descriptors_left, RX_ONCE,
	    "a run that cannot be asked for leaves the child as it was" },
};

ATF_TP_ADD_TCS(tp)
{
	return rx_cases(tp, cases, NELEM(cases));
}
