/*
 * SPDX-License-Identifier: BSD-2-Clause
 *
 * Copyright (c) 2026 The libgons developers
 *
 * Hosts of all kinds: that ignore SIGCHLD or reap whatever ends, with threads,
 * poll loops, forked copies, closed standard descriptors, few resources or an
 * old kernel.
 */

#include <sys/epoll.h>
#include <sys/mman.h>
#include <sys/mount.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>

#include <atf-c.h>

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <poll.h>
#include <pthread.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <gons.h>

#include "helpers.h"
#include "rx.h"
#include "rx_actions.h"

#ifndef SYS_pidfd_send_signal
#define SYS_pidfd_send_signal 424
#endif
#ifndef SYS_pidfd_open
#define SYS_pidfd_open 434
#endif
#ifndef SYS_close_range
#define SYS_close_range 436
#endif

#define NTHREADS 8
#define NREQUESTS 200
#define LIMIT_MAX 64 /* descriptors; more than a child has and needs */

/*
 * The actions.
 */

static int
answer_number(void)
{
	const char *number = getenv("NUMBER");

	printf("%s", number != NULL ? number : "42");
	return 0;
}

/* Tries to write to the file that this process is executed from. */
static int
overwrite(void)
{
	char link[256] = "";
	int fd = open("/proc/self/exe", O_WRONLY | O_CLOEXEC);
	int errnum = fd == -1 ? errno : 0;
	ssize_t n = fd == -1 ? -1 : write(fd, "x", 1);

	if (readlink("/proc/self/exe", link, sizeof(link) - 1) == -1)
		return 1;
	printf("%d %s %d %s %s", (int)n, strerror(errnum),
	    fcntl(open("/proc/self/exe", O_RDONLY | O_CLOEXEC), F_GET_SEALS) &
		F_SEAL_WRITE,
	    link, program_invocation_name);
	return 0;
}

/* Which file that is. */
static int
program(void)
{
	struct stat st;

	if (stat("/proc/self/exe", &st) == -1)
		return 1;
	printf("%llu", (unsigned long long)st.st_ino);
	return 0;
}

/* A child that finds few descriptors before it runs its action. */
static void
be_limited(void)
{
	const char *few = getenv("FEW");
	struct rlimit limit;

	if (few == NULL || getrlimit(RLIMIT_NOFILE, &limit) == -1)
		return;
	limit.rlim_cur = (rlim_t)atoi(few);
	if (setrlimit(RLIMIT_NOFILE, &limit) == -1)
		abort();
}

/* When the host has had time to close something. */
static int
end_late(void)
{
	int signo = atoi(getenv("BY"));

	(void)usleep(300000);
	if (signo != 0)
		(void)raise(signo);
	return 5;
}

__attribute__((constructor)) static void
register_and_check(void)
{
	static const struct rule rules[] = {
#ifdef SYS_poll
		{ SYS_poll, -1, 0, 0, EPERM },
#endif
		{ SYS_ppoll, -1, 0, 0, EPERM },
	};

	if (getenv("NO_POLL") != NULL)
		forbid(rules, NELEM(rules));
	be_limited();
	if (gons_reexec_register("answer", answer_number) == -1 ||
	    gons_reexec_register("end_late", end_late) == -1 ||
	    gons_reexec_register("program", program) == -1 ||
	    gons_reexec_register("stay", stay) == -1 ||
	    gons_reexec_register("overwrite", overwrite) == -1)
		abort();
	gons_reexec_check();
}

/*
 * Whose children are they?
 */

/* Only some libc tell a handler what exit(3) was called with. */
#ifdef __GLIBC__
#define ENDS_EXIT(n) \
	(n) == 0 ? GONS_FAIL_NONE : GONS_FAIL_EXIT, (n) == 0 ? 0 : EIO, (n) << 8
#define EXIT_IS_KNOWN 1
#else
#define ENDS_EXIT(n) GONS_FAIL_SIGNAL, ECHILD, -1
#define EXIT_IS_KNOWN 0
#endif

/* What it is if somebody has told: "...raise N" or "...exit N". */
static int
known_end(const char *script, int *errnum, int *status)
{
	int number = atoi(strrchr(script, ' ') + 1);

	*errnum = EIO;
	if (strstr(script, "raise") != NULL) {
		*status = number;
		return GONS_FAIL_SIGNAL;
	}
	*status = number << 8;
	return number == 0 ? GONS_FAIL_NONE : GONS_FAIL_EXIT;
}

/*
 * Statuses from the child itself; what only the kernel knows is not known, but
 * may be if the library asks before the one that reaps (raced).
 */
static void
not_ours(int raced)
{
	static const struct {
		const char *script;
		int failure, errnum, status;
	} ends[] = {
		{ "out x\nreturn 0", GONS_FAIL_NONE, 0, 0 },
		{ "out x\nexit 0", ENDS_EXIT(0) },
		{ "out x\nreturn 3", GONS_FAIL_EXIT, EIO, 3 << 8 },
		{ "out x\nexit 4", ENDS_EXIT(4) },
		{ "out x\nraise 9", GONS_FAIL_SIGNAL, ECHILD, -1 },
		{ "out x\nraise 11", GONS_FAIL_SIGNAL, ECHILD, -1 },
		{ "out x\nerr words", GONS_FAIL_STDERR, EIO, 0 },
	};
	struct gons_reexec *req;
	int errnum, failure, status;
	size_t i;

	for (i = 0; i < NELEM(ends); i++) {
		req = rx_script(ends[i].script);
		status = ends[i].status;
		errnum = ends[i].errnum;
		failure = ends[i].failure;
		(void)gons_reexec_run(req);
		if (status == -1 &&
		    (RX_PREPARED || (raced && gons_reexec_status(req) != -1)))
			failure = known_end(ends[i].script, &errnum, &status);
		if (failure != GONS_FAIL_NONE)
			rx_wait_fails(req, failure, errnum, "\"script\"");
		else if (ends[i].status == -1)
			(void)rx_wait_ok(
			    req); /* once more it may not be known */
		else
			(void)rx_ok(req);
		ATF_CHECK_STREQ("x", rx_result(req));
		ATF_CHECK_EQ_MSG(status,
		    status == -1 ? gons_reexec_status(req)
				 : gons_reexec_status(req) & ~0x80,
		    "%s: %#x", ends[i].script, gons_reexec_status(req));
		gons_reexec_free(req);
	}
}

static void
children_ignored(void)
{
	struct sigaction action;

	ATF_REQUIRE(signal(SIGCHLD, SIG_IGN) != SIG_ERR);
	not_ours(0);
	memset(&action, 0, sizeof(action));
	action.sa_handler = SIG_DFL;
	action.sa_flags = SA_NOCLDWAIT;
	ATF_REQUIRE_EQ(0, sigaction(SIGCHLD, &action, NULL));
	not_ours(0);
}

static volatile sig_atomic_t reaped;

static void
reap_all(int signo)
{
	int errnum = errno;

	(void)signo;
	while (waitpid(-1, NULL, WNOHANG) > 0)
		reaped++;
	errno = errnum;
}

static void
children_handled(void)
{
	struct sigaction action;

	memset(&action, 0, sizeof(action));
	action.sa_handler = reap_all;
	ATF_REQUIRE_EQ(0, sigaction(SIGCHLD, &action, NULL));
	not_ours(1);
	/* prepared children are none of the host's */
	ATF_CHECK_EQ(!RX_PREPARED, reaped > 0);
}

/* A child that nobody else has, so that wait(2) has something to wait for. */
static void *
reaper(void *arg)
{
	pid_t stand_in = *(pid_t *)arg, pid;

	do
		pid = wait(NULL);
	while (pid != stand_in);
	return NULL;
}

static void
children_reaped(void)
{
	pthread_t thread;
	pid_t pid;
	int fd[2];

	rx_pipe(fd);
	ATF_REQUIRE((pid = fork()) != -1);
	if (pid == 0) {
		close(fd[1]);
		(void)rx_byte(fd[0]);
		_exit(0);
	}
	close(fd[0]);
	ATF_REQUIRE_EQ(0, pthread_create(&thread, NULL, reaper, &pid));
	/* it may come before or after us */
	if (RX_PREPARED)
		not_ours(0);
	else {
		const char *script =
		    EXIT_IS_KNOWN ? "out x\nexit 3" : "out x\nreturn 3";
		struct gons_reexec *req = rx_script(script);
		int i;

		for (i = 0; i < 20; i++)
			rx_fails(req, GONS_FAIL_EXIT, EIO, "status 3");
		ATF_REQUIRE_EQ(0, gons_reexec_setenv(req, "SCRIPT", "out x"));
		for (i = 0; i < 20; i++)
			ATF_CHECK_STREQ("x", rx_ok(req));
		gons_reexec_free(req);
	}
	close(fd[1]);
	ATF_REQUIRE_EQ(0, pthread_join(thread, NULL));
}

/* In a pid namespace the status is always known: its parent tells. */
static void
children_supervised(void)
{
	struct gons_reexec *req = rx_script("out x\nraise 11");

	ATF_REQUIRE(signal(SIGCHLD, SIG_IGN) != SIG_ERR);
	rx_flags(req, GONS_REEXEC_DIE_WITH_PARENT);
	rx_fails(req, GONS_FAIL_SIGNAL, EIO, "signal 11");
	ATF_CHECK_EQ(SIGSEGV, gons_reexec_status(req) & 0x7f);
	gons_reexec_free(req);
}

/*
 * Threads and loops.
 */

struct work {
	pthread_t thread;
	int number, failed;
	char text[256];
};

static void *
work(void *arg)
{
	struct work *w = arg;
	struct gons_reexec *req = gons_reexec_new("answer");
	char number[16];
	int i;

	for (i = 0; i < 10 && !w->failed; i++) {
		(void)snprintf(
		    number, sizeof(number), "%d", w->number * 1000 + i);
		if (gons_reexec_setflags(req, rx_mode) == -1 ||
		    gons_reexec_setenv(req, "NUMBER", number) == -1 ||
		    gons_reexec_run(req) == -1)
			w->failed = 1;
		else if (strcmp(gons_reexec_result(req, NULL), number) != 0)
			w->failed = 2;
		if (w->failed)
			(void)snprintf(w->text, sizeof(w->text), "%s, %s",
			    gons_reexec_error(req) != NULL
				? gons_reexec_error(req)
				: (const char *)gons_reexec_result(req, NULL),
			    strerror(errno));
	}
	gons_reexec_free(req);
	return NULL;
}

static void
threads(void)
{
	struct work w[NTHREADS];
	pthread_attr_t attr;
	int i;

	/* of no large stack */
	ATF_REQUIRE_EQ(0, pthread_attr_init(&attr));
	ATF_REQUIRE_EQ(0, pthread_attr_setstacksize(&attr, 128 << 10));
	memset(w, 0, sizeof(w));
	for (i = 0; i < NTHREADS; i++) {
		w[i].number = i + 1;
		ATF_REQUIRE_EQ(
		    0, pthread_create(&w[i].thread, &attr, work, &w[i]));
	}
	for (i = 0; i < NTHREADS; i++) {
		ATF_REQUIRE_EQ(0, pthread_join(w[i].thread, NULL));
		ATF_CHECK_MSG(!w[i].failed, "%d: %s", i, w[i].text);
	}
	(void)pthread_attr_destroy(&attr);
}

/* Starts in one thread, ends in another. */
static void *
start_only(void *req)
{
	return gons_reexec_start(req) == 0 ? req : NULL;
}

static void
another_thread(void)
{
	struct gons_reexec *req = rx_script("out x\nexit 3");
	pthread_t thread;
	void *started;

	ATF_REQUIRE_EQ(0, pthread_create(&thread, NULL, start_only, req));
	ATF_REQUIRE_EQ(0, pthread_join(thread, &started));
	ATF_REQUIRE(started != NULL);
	rx_wait_fails(req, GONS_FAIL_EXIT, EIO, "status 3");
	gons_reexec_free(req);
}

static void
many_descriptors(rlim_t n)
{
	struct rlimit limit;

	ATF_REQUIRE_EQ(0, getrlimit(RLIMIT_NOFILE, &limit));
	limit.rlim_cur = limit.rlim_max < n ? limit.rlim_max : n;
	ATF_REQUIRE_EQ(0, setrlimit(RLIMIT_NOFILE, &limit));
}

/* Each third of them hangs, each third fails. */
static void
poll_loop(void)
{
	static const char *const lines[] = { "out %d", "out %d\nexit 3",
		"out %d\npause" };
	struct gons_reexec *req[NREQUESTS];
	struct pollfd p[NREQUESTS];
	char text[64], number[16];
	int i, left, r;

	many_descriptors(4096);
	for (i = 0; i < NREQUESTS; i++) {
		(void)snprintf(number, sizeof(number), "%d", i);
		(void)snprintf(text, sizeof(text), "%.*s%d%s", 4, lines[i % 3],
		    i, lines[i % 3] + 6);
		req[i] = rx_script(text);
		ATF_REQUIRE_EQ(0,
		    gons_reexec_settimeout(req[i], i % 3 == 2 ? 2000 : 90000));
		ATF_REQUIRE_EQ_MSG(0, gons_reexec_start(req[i]), "%d: %s", i,
		    gons_reexec_error(req[i]));
		p[i].fd = gons_reexec_fd(req[i]);
		p[i].events = POLLIN;
	}
	for (left = NREQUESTS; left > 0;) {
		ATF_REQUIRE(poll(p, NREQUESTS, -1) > 0);
		for (i = 0; i < NREQUESTS; i++) {
			if (p[i].fd == -1 || p[i].revents == 0)
				continue;
			if ((r = gons_reexec_step(req[i])) == 0)
				continue;
			p[i].fd = -1;
			left--;
			ATF_CHECK_EQ_MSG(i % 3 == 0 ? 1 : -1, r, "%d: %s", i,
			    gons_reexec_error(req[i]));
		}
	}
	for (i = 0; i < NREQUESTS; i++) {
		static const int failures[] = { GONS_FAIL_NONE, GONS_FAIL_EXIT,
			GONS_FAIL_TIMEOUT };

		(void)snprintf(number, sizeof(number), "%d", i);
		ATF_CHECK_EQ_MSG(failures[i % 3], gons_reexec_failure(req[i]),
		    "%d: %s", i, gons_reexec_error(req[i]));
		/* when the machine is slow time may be over before it began */
		if (i % 3 != 2)
			ATF_CHECK_STREQ(number, rx_result(req[i]));
		gons_reexec_free(req[i]);
	}
}

/*
 * Forked copies.
 */

static struct gons_reexec *copied;

static void
touch(void *unused)
{
	(void)unused;
	ATF_REQUIRE_ERRNO(ECHILD, gons_reexec_kill(copied) == -1);
	ATF_REQUIRE_ERRNO(ECHILD, gons_reexec_step(copied) == -1);
	ATF_REQUIRE_ERRNO(ECHILD, gons_reexec_wait(copied) == -1);
	ATF_REQUIRE_ERRNO(EBUSY, gons_reexec_start(copied) == -1);
	gons_reexec_free(copied);
	/* it may have requests of its own */
	copied = rx_new("answer");
	ATF_REQUIRE_STREQ("42", rx_ok(copied));
	gons_reexec_free(copied);
}

static void
forked_copy(void)
{
	int fd[2];

	rx_pipe(fd);
	copied = rx_new("stay");
	rx_keep(copied, "LIFE", fd[1]);
	ATF_REQUIRE_EQ(0, gons_reexec_start(copied));
	ATF_REQUIRE_EQ('x', rx_byte(fd[0]));
	in_child(touch, NULL);
	close(fd[1]);
	ATF_CHECK(!rx_gone(fd[0], 300));
	ATF_CHECK_EQ(0, gons_reexec_step(copied));
	ATF_CHECK_EQ(0, gons_reexec_failure(copied));
	ATF_CHECK_EQ(0, gons_reexec_kill(copied));
	rx_wait_fails(copied, GONS_FAIL_KILLED, ECANCELED, "killed");
	ATF_CHECK(rx_gone(fd[0], 0));
	gons_reexec_free(copied);
	close(fd[0]);
}

/* The first process of a container forks the first of another. */
static void
same_pid_body(void *unused)
{
	int fd[2], status;
	pid_t pid;

	(void)unused;
	CHILD(getpid() == 1);
	rx_pipe(fd);
	copied = rx_new("stay");
	rx_keep(copied, "LIFE", fd[1]);
	ATF_REQUIRE_EQ(0, gons_reexec_start(copied));
	close(fd[1]);
	ATF_REQUIRE_EQ('x', rx_byte(fd[0]));
	CHILD(unshare(CLONE_NEWPID) == 0);
	CHILD((pid = fork()) != -1);
	if (pid == 0) {
		CHILD(getpid() == 1);
		CHILD(gons_reexec_kill(copied) == -1 && errno == ECHILD);
		CHILD(gons_reexec_step(copied) == -1 && errno == ECHILD);
		gons_reexec_free(copied);
		_exit(0);
	}
	CHILD(waitpid(pid, &status, 0) == pid && status == 0);
	ATF_REQUIRE(!rx_gone(fd[0], 300));
	ATF_REQUIRE_EQ(0, gons_reexec_step(copied));
	gons_reexec_free(copied);
	ATF_REQUIRE(rx_gone(fd[0], 0));
	close(fd[0]);
}

static void
same_pid(void)
{
	ATF_REQUIRE_EQ(0, unshare(CLONE_NEWPID));
	in_child(same_pid_body, NULL);
}

/* What another thread forks meanwhile holds the pipes; nobody waits for it. */
static void
copy_holds_pipes(void)
{
	struct gons_reexec *req = rx_script("out x\nexit 3");
	int fd[2];
	pid_t pid;

	rx_pipe(fd);
	ATF_REQUIRE_EQ(0, gons_reexec_setgrace(req, 200));
	ATF_REQUIRE_EQ(0, gons_reexec_start(req));
	ATF_REQUIRE((pid = fork()) != -1);
	if (pid == 0) {
		close(fd[1]);
		(void)rx_byte(fd[0]);
		_exit(0);
	}
	rx_wait_fails(req, GONS_FAIL_EXIT, EIO, "status 3");
	gons_reexec_free(req);
	close(fd[0]);
	close(fd[1]);
	ATF_REQUIRE_EQ(pid, waitpid(pid, NULL, 0));
}

/*
 * It holds them when the run is over, too, and what others still do with them
 * says nothing to whoever watches the request.
 */
static void
copy_wakes_nobody(void)
{
	struct gons_reexec *req = rx_script("out x\nfork 12");
	int copy[2], life[2], told[2];
	struct pollfd p;
	pid_t pid;

	rx_pipe(copy);
	rx_pipe(life);
	rx_pipe(told);
	rx_keep(req, "LIFE", life[0]);
	rx_keep(req, "TOLD", told[1]);
	ATF_REQUIRE_EQ(0, gons_reexec_setgrace(req, 0));
	ATF_REQUIRE_EQ(0, gons_reexec_start(req));
	close(told[1]);
	ATF_REQUIRE((pid = fork()) != -1);
	if (pid == 0) {
		close(copy[1]);
		close(life[1]);
		(void)rx_byte(copy[0]);
		_exit(0);
	}
	ATF_CHECK_STREQ("x", rx_wait_ok(req));
	ATF_CHECK_EQ(0, gons_reexec_end(req));
	/* the process that the action has left ends now */
	close(life[1]);
	ATF_CHECK(rx_gone(told[0], 60000));
	p.fd = gons_reexec_fd(req);
	p.events = POLLIN;
	ATF_CHECK(p.fd != -1);
	ATF_CHECK_EQ(0, poll(&p, 1, 0));
	gons_reexec_free(req);
	close(copy[1]);
	ATF_REQUIRE_EQ(pid, waitpid(pid, NULL, 0));
	close(copy[0]);
	close(life[0]);
	close(told[0]);
}

/*
 * Descriptors and other resources.
 */

static void
standard_closed(void)
{
	static const unsigned flags[] = { 0, GONS_REEXEC_STDERR_PASS,
		GONS_REEXEC_REPLY, GONS_REEXEC_DIE_WITH_PARENT,
		GONS_REEXEC_REPLY | GONS_REEXEC_STDERR_PASS };
	struct gons_reexec *req;
	int closed, errors = 0, fd, open_fds, saved[3];
	size_t i;

	/* Nothing may be reported before they are there again. */
	for (fd = 0; fd < 3; fd++)
		ATF_REQUIRE((saved[fd] = fcntl(fd, F_DUPFD_CLOEXEC, 3)) != -1);
	for (closed = 1; closed < 8; closed++)
		for (i = 0; i < NELEM(flags); i++) {
			req = rx_script(
			    (flags[i] & GONS_REEXEC_REPLY) != 0
				? "reply x\nreturn 0"
			    : (flags[i] & GONS_REEXEC_STDERR_PASS) != 0
				? "err dropped\nout x\nreturn 0"
				: "out x\nreturn 0");
			rx_flags(req, flags[i]);
			for (fd = 0; fd < 3; fd++)
				if ((closed >> fd & 1) != 0)
					close(fd);
			if (gons_reexec_run(req) == -1)
				errors |= 1;
			if ((flags[i] & GONS_REEXEC_STDERR_PASS) != 0 &&
			    gons_reexec_stderr(req, NULL) != NULL)
				errors |= 4;
			for (fd = open_fds = 0; fd < 3; fd++)
				open_fds |= (fcntl(fd, F_GETFD) != -1) << fd;
			if ((open_fds & closed) != 0)
				errors |= 2;
			for (fd = 0; fd < 3; fd++)
				if (dup2(saved[fd], fd) != fd)
					abort();
			ATF_CHECK_EQ_MSG(0, errors,
			    "closed %#x, flags %#x: errors %#x, %s", closed,
			    flags[i], errors, gons_reexec_error(req));
			ATF_CHECK_STREQ("x", rx_result(req));
			gons_reexec_free(req);
			errors = 0;
		}
	for (fd = 0; fd < 3; fd++)
		close(saved[fd]);
}

/*
 * Each failure for want of descriptors leaves as many as there were.  With
 * standard input closed there is one number that no descriptor of a run may
 * keep.
 */
static void
no_descriptors(void)
{
	static const struct {
		unsigned flags;
		int closed;
	} kinds[] = { { 0, 0 }, { GONS_REEXEC_REPLY, 0 },
		{ GONS_REEXEC_DIE_WITH_PARENT, 0 }, { 0, 1 },
		{ GONS_REEXEC_REPLY, 1 }, { GONS_REEXEC_DIE_WITH_PARENT, 1 } };
	struct gons_reexec *req;
	struct rlimit limit, old;
	int before, failed = 0, kind, most, n, saved;

	ATF_REQUIRE((saved = fcntl(STDIN_FILENO, F_DUPFD_CLOEXEC, 3)) != -1);
	ATF_REQUIRE_EQ(0, getrlimit(RLIMIT_NOFILE, &old));
	before = count_fds();
	/* A run needs 14 at most, whatever numbers are in use. */
	most = before + 16;
	limit = old;
	for (n = 3 * NELEM(kinds); n <= most * (int)NELEM(kinds);
	     n += SANITIZER ? 7 : 1) { /* each takes long with it */
		kind = n % (int)NELEM(kinds);
		limit.rlim_cur = (rlim_t)n / NELEM(kinds);
		ATF_REQUIRE_EQ(0, setrlimit(RLIMIT_NOFILE, &limit));
		req = rx_script(kinds[kind].flags == GONS_REEXEC_REPLY
				    ? "reply x\n_exit 0"
				    : "out x\n_exit 0");
		rx_flags(req, kinds[kind].flags);
		ATF_REQUIRE_EQ(0, gons_reexec_settimeout(req, 60000));
		if (kinds[kind].closed)
			close(STDIN_FILENO);
		if (gons_reexec_run(req) == 0) {
			ATF_CHECK_STREQ("x", rx_result(req));
			ATF_CHECK_EQ(0, gons_reexec_status(req));
		} else {
			failed = (int)limit.rlim_cur;
			ATF_CHECK_EQ_MSG(GONS_FAIL_START,
			    gons_reexec_failure(req), "limit %d: %s",
			    (int)limit.rlim_cur, gons_reexec_error(req));
			ATF_CHECK_MSG(errno == EMFILE || errno == EINVAL ||
					  errno == EPROTO || errno == EBADF,
			    "limit %d: %s", (int)limit.rlim_cur,
			    strerror(errno));
			rx_text(req, "\"script\"");
		}
		gons_reexec_free(req);
		ATF_REQUIRE_EQ(STDIN_FILENO, dup2(saved, STDIN_FILENO));
		ATF_REQUIRE_EQ(0, setrlimit(RLIMIT_NOFILE, &old));
		ATF_REQUIRE_EQ_MSG(before, count_fds(), "limit %d: descriptors",
		    (int)limit.rlim_cur);
	}
	close(saved);
	ATF_CHECK_MSG(failed > 0 && failed < most,
	    "the last failure was with the limit %d", failed);
	req = rx_script("out x");
	ATF_CHECK_STREQ("x", rx_ok(req));
	gons_reexec_free(req);
}

/*
 * To have a process run its action a child needs some more.  Without them the
 * host is told the reason, whichever of them it is that cannot be had.
 */
static void
supervisor_limited(void)
{
	static const unsigned flags[] = { GONS_REEXEC_DIE_WITH_PARENT,
		GONS_REEXEC_DIE_WITH_PARENT | GONS_REEXEC_STAY };
	struct gons_reexec *req;
	char few[16];
	int failed, limit;
	size_t i;

	for (i = 0; i < NELEM(flags); i++) {
		req = rx_script("out x\nexit 3");
		rx_flags(req, flags[i]);
		failed = 0;
		limit = 3;
		do {
			(void)snprintf(few, sizeof(few), "%d", limit);
			ATF_REQUIRE_EQ(0, gons_reexec_setenv(req, "FEW", few));
			errno = 0;
			(void)gons_reexec_run(req);
			/* what it does not learn is no success */
			ATF_CHECK_MSG(
			    gons_reexec_failure(req) != GONS_FAIL_NONE,
			    "limit %d", limit);
			if (gons_reexec_failure(req) != GONS_FAIL_START)
				continue;
			failed++;
			ATF_CHECK_EQ_MSG(EMFILE, errno, "limit %d: %s", limit,
			    gons_reexec_error(req));
			rx_text(req, "no process can be made for the action");
		} while (gons_reexec_failure(req) != GONS_FAIL_EXIT &&
			 ++limit < LIMIT_MAX);
		ATF_CHECK(failed > 0);
		ATF_CHECK_EQ(GONS_FAIL_EXIT, gons_reexec_failure(req));
		ATF_CHECK_STREQ("x", rx_result(req));
		gons_reexec_free(req);
	}
}

/*
 * A kernel of earlier days, as far as a filter can pretend.
 */

static void
old_kernel_body(void *arg)
{
	const struct rule *rule = arg;
	struct gons_reexec *req = rx_script("out x\nexit 3");
	int begun, fd[2];

	forbid(rule, 1);
	rx_fails(req, GONS_FAIL_EXIT, EIO, "status 3");
	CHILD(gons_reexec_failure(req) == GONS_FAIL_EXIT);
	CHILD(strcmp(rx_result(req), "x") == 0);
	ATF_REQUIRE_EQ(0, gons_reexec_setenv(req, "SCRIPT", "out x\nraise 15"));
	rx_fails(req, GONS_FAIL_SIGNAL, EIO, "signal 15");
	CHILD(gons_reexec_failure(req) == GONS_FAIL_SIGNAL);
	gons_reexec_free(req);
	req = rx_new("stay");
	rx_pipe(fd);
	rx_keep(req, "LIFE", fd[1]);
	ATF_REQUIRE_EQ(0, gons_reexec_settimeout(req, 500));
	ATF_REQUIRE_EQ(0, gons_reexec_start(req));
	close(fd[1]);
	rx_wait_fails(req, GONS_FAIL_TIMEOUT, ETIMEDOUT, "500");
	CHILD(gons_reexec_failure(req) == GONS_FAIL_TIMEOUT);
	/* it has begun, if there was time for that, and is gone */
	begun = rx_byte(fd[0]);
	CHILD(begun == -1 || (begun == 'x' && rx_byte(fd[0]) == -1));
	close(fd[0]);
	gons_reexec_free(req);
}

static void
old_kernel(void)
{
	static const struct rule rules[] = {
		{ SYS_close_range, -1, 0, 0, ENOSYS },
		{ SYS_pidfd_send_signal, -1, 0, 0, ENOSYS },
		{ SYS_pidfd_open, -1, 0, 0, ENOSYS },
		{ SYS_waitid, 0, ~0u, 3 /* P_PIDFD */, EINVAL },
		{ SYS_memfd_create, 1, 8 /* MFD_NOEXEC_SEAL */, 8, EINVAL },
#ifdef SYS_poll
		{ SYS_poll, -1, 0, 0, EPERM },
#endif
		{ SYS_ppoll, -1, 0, 0, EPERM },
	};
	struct rule rule;
	size_t i;

	for (i = 0; i < NELEM(rules); i++) {
		printf("rule %zu\n", i);
		rule = rules[i];
		in_child(old_kernel_body, &rule);
	}
}

/* The last number that it had; -1: none. */
static int
close_named(const char *name)
{
	char path[32], link[32];
	int fd, last = -1;

	for (fd = 3; fd < 64; fd++) {
		(void)snprintf(path, sizeof(path), "/proc/self/fd/%d", fd);
		memset(link, 0, sizeof(link));
		if (readlink(path, link, sizeof(link) - 1) > 0 &&
		    strcmp(link, name) == 0 && close(fd) == 0)
			last = fd;
	}
	return last;
}

/*
 * An epoll(7) of the host's that has the number of the library's, with a file in
 * it that has the number of its timer.
 */
static void
epoll_closed(void)
{
	struct gons_reexec *req = rx_new("end_late");
	struct epoll_event event = { EPOLLIN | EPOLLET, { .u64 = 4711 } };
	int fd[2], own, r, timer;
	long long since;

	rx_flags(req, 0);
	rx_pipe(fd);
	ATF_REQUIRE_EQ(1, write(fd[1], "", 1));
	ATF_REQUIRE_EQ(0, gons_reexec_setenv(req, "BY", "0"));
	ATF_REQUIRE_EQ(0, gons_reexec_start(req));
	ATF_REQUIRE((own = epoll_create1(EPOLL_CLOEXEC)) != -1);
	timer = close_named("anon_inode:[timerfd]");
	ATF_REQUIRE(dup2(own, gons_reexec_fd(req)) != -1);
	ATF_REQUIRE(timer != -1 && dup2(fd[0], timer) == timer);
	ATF_REQUIRE_EQ(0, epoll_ctl(own, EPOLL_CTL_ADD, timer, &event));
	since = rx_clock();
	while ((r = gons_reexec_step(req)) == 0 && rx_clock() - since < 5000)
		(void)usleep(1000);
	ATF_CHECK_MSG(r == -1, "its end is not noticed");
	ATF_CHECK_MSG(epoll_wait(own, &event, 1, 0) == 1,
	    "the library has taken an event of the host's");
	ATF_CHECK_EQ(4711, event.data.u64);
	gons_reexec_free(req);
	ATF_CHECK_EQ(0, close(timer));
	close(own);
	close(fd[0]);
	close(fd[1]);
}

/* A supervisor that may not poll does not outlive its host either. */
static void
supervisor_no_poll(void)
{
	struct gons_reexec *req = rx_new("stay");
	int fd[2];
	pid_t pid;

	need_filters();
	rx_pipe(fd);
	rx_keep(req, "LIFE", fd[1]);
	rx_flags(req, GONS_REEXEC_DIE_WITH_PARENT);
	ATF_REQUIRE_EQ(0, gons_reexec_setenv(req, "NO_POLL", "1"));
	ATF_REQUIRE((pid = fork()) != -1);
	if (pid == 0) {
		(void)gons_reexec_start(req);
		(void)usleep(500000);
		(void)raise(SIGKILL);
	}
	ATF_REQUIRE_EQ(pid, waitpid(pid, NULL, 0));
	gons_reexec_free(req);
	close(fd[1]);
	ATF_CHECK(rx_byte(fd[0]) != -1 && rx_gone(fd[0], 5000));
	close(fd[0]);
}

static long long
microseconds(const struct rusage *u)
{
	return (u->ru_utime.tv_sec + u->ru_stime.tv_sec) * 1000000LL +
	       u->ru_utime.tv_usec + u->ru_stime.tv_usec;
}

/*
 * Where the host closes the pidfd nothing tells of the end, which is seen, and
 * not by looking all the time.
 */
static void
pidfd_closed(void)
{
	static const char *const ends[] = { "0", "9" };
	struct gons_reexec *req;
	struct rusage before, after;
	long long since, used;
	int r;
	size_t i;

	for (i = 0; i < NELEM(ends); i++) {
		req = rx_new("end_late");
		rx_flags(req, 0);
		ATF_REQUIRE_EQ(0, gons_reexec_setenv(req, "BY", ends[i]));
		ATF_REQUIRE_EQ(0, gons_reexec_start(req));
		(void)close_named("anon_inode:[pidfd]");
		since = rx_clock();
		while ((r = gons_reexec_step(req)) == 0)
			(void)usleep(1000);
		ATF_CHECK_MSG(rx_clock() - since < 2000, "it takes %lld ms",
		    rx_clock() - since);
		ATF_CHECK_EQ(-1, r);
		ATF_CHECK_EQ_MSG(i == 0 ? GONS_FAIL_EXIT : GONS_FAIL_SIGNAL,
		    gons_reexec_failure(req), "%s", gons_reexec_error(req));
		ATF_REQUIRE_EQ(0, gons_reexec_start(req));
		(void)close_named("anon_inode:[pidfd]");
		ATF_REQUIRE_EQ(0, getrusage(RUSAGE_THREAD, &before));
		ATF_CHECK_EQ(-1, gons_reexec_wait(req));
		ATF_REQUIRE_EQ(0, getrusage(RUSAGE_THREAD, &after));
		used = microseconds(&after) - microseconds(&before);
		ATF_CHECK_MSG(used < 150000, "%lld us of 300000", used);
		gons_reexec_free(req);
	}
}

/* Who may not poll any more knows that a child still runs, and ends it. */
static void
no_poll_body(void *arg)
{
	static const struct rule rules[] = {
#ifdef SYS_poll
		{ SYS_poll, -1, 0, 0, EPERM },
#endif
		{ SYS_ppoll, -1, 0, 0, EPERM },
	};
	struct gons_reexec *req = arg;

	ATF_REQUIRE_EQ(0, gons_reexec_start(req));
	forbid(rules, NELEM(rules));
	CHILD(gons_reexec_wait(req) == -1 && errno == ETIMEDOUT);
}

static void
no_poll(void)
{
	struct gons_reexec *req = rx_new("stay");
	int fd[2];

	rx_pipe(fd);
	rx_keep(req, "LIFE", fd[1]);
	ATF_REQUIRE_EQ(0, gons_reexec_settimeout(req, 1000));
	in_child(no_poll_body, req);
	gons_reexec_free(req);
	close(fd[1]);
	ATF_CHECK(rx_byte(fd[0]) != 0 && rx_gone(fd[0], 1000));
	close(fd[0]);
}

/*
 * GONS_REEXEC_SEALED.
 */

static void
sealed(void)
{
	struct gons_reexec *req = rx_new("overwrite");
	char expected[PATH_MAX];
	int i;

	rx_flags(req, GONS_REEXEC_SEALED);
	(void)snprintf(expected, sizeof(expected),
	    "-1 %s %d /memfd:gons-program (deleted) %s", strerror(ETXTBSY),
	    F_SEAL_WRITE, program_invocation_name);
	for (i = 0; i < 3; i++)
		ATF_CHECK_STREQ(expected, rx_ok(req));
	gons_reexec_free(req);
}

/* Until the host closes it. */
static void
sealed_once(void)
{
	struct gons_reexec *req = rx_new("program");
	char first[32], second[32], link[64], name[64];
	ssize_t n;
	int fd;

	rx_flags(req, GONS_REEXEC_SEALED);
	(void)snprintf(first, sizeof(first), "%s", rx_ok(req));
	ATF_CHECK_STREQ(first, rx_ok(req));
	for (fd = 3; fd < 1024; fd++) {
		(void)snprintf(link, sizeof(link), "/proc/self/fd/%d", fd);
		n = readlink(link, name, sizeof(name) - 1);
		name[n > 0 ? n : 0] = '\0';
		if (strncmp(name, "/memfd:gons-program", 19) == 0)
			ATF_REQUIRE_EQ(0, close(fd));
	}
	(void)snprintf(second, sizeof(second), "%s", rx_ok(req));
	ATF_CHECK(strcmp(first, second) != 0);
	ATF_CHECK_STREQ(second, rx_ok(req));
	gons_reexec_free(req);
}

static const struct rx_case cases[] = {
	{ "epoll_closed", epoll_closed, RX_EXEC | RX_UNCOUNTED,
	    "a host may have an epoll(7) of its own at that number" },
	{ "supervisor_no_poll", supervisor_no_poll, RX_EXEC | RX_UNCOUNTED,
	    "a supervisor that may not poll ends with its host" },
	{ "pidfd_closed", pidfd_closed, RX_EXEC | RX_UNCOUNTED,
	    "a host that closes the pidfd learns of the end, and which it was" },
	{ "children_ignored", children_ignored, 0,
	    "the host may ignore SIGCHLD" },
	{ "children_handled", children_handled, 0,
	    "a handler of the host may reap all children" },
	{ "children_reaped", children_reaped, 0,
	    "a thread of the host may reap all children" },
	{ "children_supervised", children_supervised, 0,
	    "a supervised status is known even if the host reaps" },
	{ "threads", threads, 0, "eight threads run requests at once" },
	{ "another_thread", another_thread, 0,
	    "a thread may wait for what another has started" },
	{ "poll_loop", poll_loop, 0, "one loop of poll(2) runs 200 requests" },
	{ "forked_copy", forked_copy, 0,
	    "a forked copy does not touch the child" },
	{ "same_pid", same_pid, RX_SANDBOX,
	    "a forked copy of the same number does not, either" },
	{ "copy_holds_pipes", copy_holds_pipes, 0,
	    "a forked copy that holds the pipes is not waited for" },
	{ "copy_wakes_nobody", copy_wakes_nobody, 0,
	    "pipes that a forked copy holds wake nobody after the run" },
	{ "standard_closed", standard_closed, 0,
	    "the host may have closed descriptors 0 to 2" },
	{ "no_descriptors", no_descriptors, RX_EXEC | RX_UNCOUNTED,
	    "a start without free descriptors is undone" },
	{ "supervisor_limited", supervisor_limited, RX_EXEC | RX_UNCOUNTED,
	    "a supervisor without free descriptors says so" },
	{ "old_kernel", old_kernel, RX_EXEC,
	    "a kernel may lack newer system calls" },
	{ "no_poll", no_poll, 0, "poll(2) may fail while a child runs" },
	{ "sealed", sealed, RX_SEALED,
	    "a sealed program cannot be written to" },
	{ "sealed_once", sealed_once, RX_SEALED | RX_EXEC,
	    "the sealed copy is made once" },
};

ATF_TP_ADD_TCS(tp)
{
	return rx_cases(tp, cases, NELEM(cases));
}
