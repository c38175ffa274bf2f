/*
 * SPDX-License-Identifier: BSD-2-Clause
 *
 * Copyright (c) 2026 The libgons developers
 *
 * gons_security(7), "Known attacks" on requests: files that never answer and
 * that cannot be closed, a /proc that never answers, slow starts, limits,
 * filters and threads that are cancelled.
 */

#include <sys/mount.h>
#include <sys/prctl.h>
#include <sys/ptrace.h>
#include <sys/resource.h>
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
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <gons.h>

#include "h_fuse.h"
#include "helpers.h"
#include "rx.h"
#include "rx_actions.h"

#define LOST_MS 3500 /* a limit of 500 ms, two seconds, and some more */
#define CANCELS 20
#define UNREAD 1000 /* bytes of a result that cannot be read */

/* Waits for a file server that does not answer. */
static int
get_stuck(void)
{
	return open("/tmp/file", O_RDONLY) == -1;
}

static int
length(void)
{
	size_t len;

	return gons_reexec_input(&len) == NULL || printf("%zu", len) < 0;
}

static int
has_fd(void)
{
	return printf("%d", fcntl(63, F_GETFD)) < 0;
}

static int
late(void)
{
	(void)usleep(200000);
	return printf("late") < 0;
}

static int
late_and_killed(void)
{
	(void)late();
	(void)fflush(stdout);
	return raise(SIGKILL);
}

static int
sleeper(void)
{
	printf("x");
	fflush(stdout);
	while (pause() == -1)
		continue;
	return 0;
}

/* Outlives its supervisor, unless somebody else ends it. */
static int
kill_supervisor(void)
{
	int life = rx_kept("LIFE");

	(void)prctl(PR_SET_PDEATHSIG, 0, 0, 0, 0);
	(void)kill(getppid(), SIGKILL);
	if (write(life, "x", 1) != 1)
		return 1;
	while (pause() == -1)
		continue;
	return 0;
}

/* Outlives it, too, and tells which it is. */
static int
outlive_supervisor(void)
{
	int life = rx_kept("LIFE");
	pid_t supervisor = getppid();

	(void)prctl(PR_SET_PDEATHSIG, 0, 0, 0, 0);
	if (write(life, &supervisor, sizeof(supervisor)) != sizeof(supervisor))
		return 1;
	while (pause() == -1)
		continue;
	return 0;
}

/*
 * A host that was executed in a mount namespace of its own.  What is mounted on
 * its /proc later answers nothing; FUSE_HOST has the request's flags.
 */
static void __attribute__((noreturn)) fuse_host(void)
{
	struct gons_reexec *req = gons_reexec_new("whoami_less");
	unsigned flags = (unsigned)atoi(getenv("FUSE_HOST"));
	struct fuse f;
	int r = 1;

	(void)unsetenv("FUSE_HOST");
	if (fuse_mount(&f, "/proc", 0) != 0 || req == NULL ||
	    gons_reexec_setflags(req, flags) == -1 ||
	    gons_reexec_settimeout(req, 10000) == -1)
		_exit(2);
	r = gons_reexec_run(req) == -1;
	if (r != 0)
		fprintf(stderr, "%s\n", gons_reexec_error(req));
	if (*f.asked != 0)
		fprintf(stderr, "asked %u times\n", *f.asked);
	_exit(r | (*f.asked != 0) << 1);
}

/* A constructor that takes its time: until SLOW, a FIFO, has a writer. */
static void
be_slow(void)
{
	const char *slow = getenv("SLOW");

	if (slow != NULL)
		(void)open(slow, O_RDONLY | O_CLOEXEC);
}

static const struct rx_action actions[] = {
	{ "get_stuck", get_stuck },
	{ "whoami", whoami },
	{ "whoami_less", whoami_less },
	{ "length", length },
	{ "has_fd", has_fd },
	{ "late", late },
	{ "late_and_killed", late_and_killed },
	{ "sleeper", sleeper },
	{ "kill_supervisor", kill_supervisor },
	{ "outlive_supervisor", outlive_supervisor },
};

__attribute__((constructor)) static void
register_and_check(void)
{
	be_slow();
	rx_register(actions, NELEM(actions));
	gons_reexec_check();
	if (getenv("FUSE_HOST") != NULL)
		fuse_host();
}

/* A process in the target's mount namespace, with such a server on /tmp. */
static pid_t
serve_stuck(const struct target *t)
{
	struct fuse f;
	int fd[2], ns;
	pid_t pid;
	char c;

	ATF_REQUIRE_EQ(0, pipe2(fd, O_CLOEXEC));
	ATF_REQUIRE((pid = fork()) != -1);
	if (pid == 0) {
		ns = open(t->refs[GONS_MNT], O_RDONLY | O_CLOEXEC);
		if (ns == -1 || setns(ns, CLONE_NEWNS) == -1 ||
		    fuse_mount(&f, "/tmp", 0) != 0 || write(fd[1], "", 1) != 1)
			_exit(1);
		for (;;)
			pause();
	}
	close(fd[1]);
	ATF_REQUIRE_EQ(1, read(fd[0], &c, 1));
	close(fd[0]);
	return pid;
}

static void
stuck_with(unsigned flags)
{
	struct gons_reexec *req = rx_new("get_stuck");
	struct target t;
	long long begun;
	pid_t server;

	target_start(&t, CLONE_NEWNS, 0);
	server = serve_stuck(&t);
	rx_flags(req, flags);
	ATF_REQUIRE_EQ(0, gons_reexec_namespace(req, "mnt", t.refs[GONS_MNT]));
	ATF_REQUIRE_EQ(0, gons_reexec_settimeout(req, 500));
	begun = rx_clock();
	rx_fails(req, GONS_FAIL_TIMEOUT, ETIMEDOUT, "500 ms");
	ATF_CHECK_MSG(
	    rx_clock() - begun < LOST_MS, "after %lld ms", rx_clock() - begun);
	gons_reexec_free(req);
	kill(server, SIGKILL);
	ATF_REQUIRE_EQ(server, waitpid(server, NULL, 0));
	target_stop(&t);
	all_end();
}

static void
stuck(void)
{
	need_fuse();
	stuck_with(0);
}

static void
stuck_supervised(void)
{
	need_fuse();
	stuck_with(GONS_REEXEC_DIE_WITH_PARENT);
}

/* Executes this program as a host with a /proc that will never answer. */
static void
fuse_proc(void)
{
	char flags[16];
	int status;
	pid_t pid;

	need_fuse();
	if (SANITIZER)
		atf_tc_skip("the sanitizer reads /proc, too");
	(void)snprintf(flags, sizeof(flags), "%u", rx_mode);
	ATF_REQUIRE((pid = fork()) != -1);
	if (pid == 0) {
		CHILD(unshare(CLONE_NEWNS) == 0);
		CHILD(mount(NULL, "/", NULL, MS_REC | MS_PRIVATE, NULL) == 0);
		CHILD(setenv("FUSE_HOST", flags, 1) == 0);
		(void)execl("/proc/self/exe", "attack_test", (char *)NULL);
		CHILD(0);
	}
	ATF_REQUIRE_EQ(pid, waitpid(pid, &status, 0));
	ATF_CHECK_EQ_MSG(0, status, "status %#x", status);
}

/*
 * A file server that does not answer when a file is closed, mounted on the file
 * in the target's mount namespace.  A byte for life ends it.
 */
static pid_t
serve_unclosable(const struct target *t, const char *path, int *life)
{
	int fd[2], ready[2], ns;
	struct fuse f;
	pid_t pid;
	char c;

	rx_pipe(fd);
	rx_pipe(ready);
	ATF_REQUIRE((pid = fork()) != -1);
	if (pid == 0) {
		close(fd[1]);
		ns = open(t->refs[GONS_MNT], O_RDONLY | O_CLOEXEC);
		CHILD(ns != -1 && setns(ns, CLONE_NEWNS) == 0);
		CHILD(fuse_mount(&f, path, FUSE_FILE | FUSE_HOLD) == 0);
		CHILD(write(ready[1], "x", 1) == 1);
		(void)!read(fd[0], &c, 1);
		fuse_stop(&f);
		_exit(0);
	}
	close(fd[0]);
	close(ready[1]);
	ATF_REQUIRE_EQ('x', rx_byte(ready[0]));
	close(ready[0]);
	*life = fd[1];
	return pid;
}

/* Such a file, open in this process. */
struct unclosable {
	struct target target;
	pid_t server;
	int life, fd;
};

static void
unclosable_open(struct unclosable *u)
{
	char file[256], path[320];

	need_fuse();
	ATF_REQUIRE((u->fd = open("file", O_CREAT | O_WRONLY, 0600)) != -1);
	close(u->fd);
	ATF_REQUIRE(realpath("file", path) != NULL && strlen(path) < 256);
	(void)snprintf(file, sizeof(file), "%s", path);
	target_start(&u->target, CLONE_NEWNS, 0);
	u->server = serve_unclosable(&u->target, file, &u->life);
	(void)snprintf(
	    path, sizeof(path), "/proc/%d/root%s", (int)u->target.pid, file);
	u->fd = open(path, O_RDONLY | O_CLOEXEC);
	ATF_REQUIRE_MSG(u->fd != -1, "%s: %s", path, strerror(errno));
}

/* Whoever waits for the server goes on, this process as well. */
static void
unclosable_end(struct unclosable *u)
{
	/* not its end: those who wait have a copy of this descriptor */
	ATF_REQUIRE_EQ(1, write(u->life, "x", 1));
	ATF_REQUIRE_EQ(u->server, waitpid(u->server, NULL, 0));
	close(u->life);
	close(u->fd);
}

/* No child closes what the host has open: that could wait for ever. */
static void
unclosable(void)
{
	struct gons_reexec *req = rx_new("whoami_less");
	struct unclosable u;
	long long begun;

	unclosable_open(&u);
	gons_reexec_unprepare(); /* the next one is made with the file open */
	ATF_REQUIRE_EQ(0, gons_reexec_settimeout(req, 500));
	begun = rx_clock();
	rx_fails(req, GONS_FAIL_TIMEOUT, ETIMEDOUT, "500 ms");
	ATF_CHECK_MSG(
	    rx_clock() - begun < LOST_MS, "after %lld ms", rx_clock() - begun);
	gons_reexec_unprepare();
	unclosable_end(&u);
	ATF_REQUIRE_EQ(0, gons_reexec_settimeout(req, 20000));
	(void)rx_ok(req);
	gons_reexec_free(req);
	target_stop(&u.target);
	all_end();
}

/*
 * A child that is given the file closes it sooner or later, a spare before it
 * has taken the request.  On a busy machine it takes a while until one is there.
 */
static void
unclosable_kept(void)
{
	struct gons_reexec *req = rx_new("whoami_less");
	struct unclosable u;
	long long begun, took;
	int fd, lost = 0, ms;

	unclosable_open(&u);
	/* No small number: a spare gets it at another, and closes that. */
	ATF_REQUIRE((fd = fcntl(u.fd, F_DUPFD_CLOEXEC, 100)) != -1);
	rx_keep(req, "FILE", fd);
	for (ms = 200; ms < 5000 && !lost; ms *= 4) {
		ATF_REQUIRE_EQ(0, gons_reexec_settimeout(req, ms));
		begun = rx_clock();
		rx_fails(req, GONS_FAIL_TIMEOUT, ETIMEDOUT, "whoami_less");
		took = rx_clock() - begun;
		ATF_CHECK_MSG(took < ms - 500 + LOST_MS, "after %lld ms", took);
		lost = strstr(gons_reexec_error(req),
			   "it could not be killed in time") != NULL;
	}
	ATF_CHECK_MSG(lost, "%s", gons_reexec_error(req));
	gons_reexec_free(req);
	gons_reexec_unprepare();
	unclosable_end(&u);
	close(fd);
	target_stop(&u.target);
	all_end();
}

/* The limit counts from the start, whatever the start waits for. */
static void
slow_start(void)
{
	struct gons_reexec *req = rx_new("whoami_less");
	long long begun, took;
	int fd;

	ATF_REQUIRE_EQ(0, mkfifo("slow", 0600));
	ATF_REQUIRE_EQ(0, setenv("SLOW", "slow", 1));
	gons_reexec_unprepare();
	ATF_REQUIRE_EQ(0, gons_reexec_settimeout(req, 500));
	begun = rx_clock();
	rx_fails(req, GONS_FAIL_TIMEOUT, ETIMEDOUT, "500 ms");
	took = rx_clock() - begun;
	ATF_CHECK_MSG(took >= 450 && took < LOST_MS, "after %lld ms", took);
	ATF_REQUIRE_EQ(0, unsetenv("SLOW"));
	/* Whoever is in the constructor still, goes on. */
	fd = open("slow", O_RDWR | O_NONBLOCK | O_CLOEXEC);
	ATF_REQUIRE(fd != -1);
	ATF_REQUIRE_EQ(0, gons_reexec_settimeout(req, 20000));
	(void)rx_ok(req);
	gons_reexec_free(req);
	close(fd);
}

static void
no_file_size_body(void *unused)
{
	struct rlimit limit = { 0, 0 };
	struct gons_reexec *req = gons_reexec_new("length");

	(void)unused;
	CHILD(gons_reexec_setflags(req, rx_mode) == 0);
	CHILD(gons_reexec_param(req, "abc", 3) == 0);
	CHILD(gons_reexec_run(req) == 0);
	CHILD(setrlimit(RLIMIT_FSIZE, &limit) == 0);
	CHILD(gons_reexec_run(req) == -1 && errno == EFBIG);
	CHILD(gons_reexec_failure(req) == GONS_FAIL_START);
	gons_reexec_free(req);
}

static void
no_file_size(void)
{
	in_child(no_file_size_body, NULL);
}

static void
highest_fd_body(void *unused)
{
	struct rlimit limit = { 64, 64 };
	struct gons_reexec *req = gons_reexec_new("has_fd");

	(void)unused;
	CHILD(setrlimit(RLIMIT_NOFILE, &limit) == 0);
	CHILD(dup2(STDIN_FILENO, 63) == 63);
	CHILD(gons_reexec_setflags(req, rx_mode) == 0);
	CHILD(gons_reexec_keepfd(req, 63) == 0);
	if (gons_reexec_run(req) == -1)
		fprintf(stderr, "%s\n", gons_reexec_error(req));
	CHILD(strcmp(rx_result(req), "0") == 0);
	gons_reexec_free(req);
}

static void
highest_fd(void)
{
	in_child(highest_fd_body, NULL);
}

static void *
run_for_ever(void *req)
{
	(void)gons_reexec_run(req);
	return NULL;
}

static void
cancelled(void)
{
	struct gons_reexec *req;
	pthread_t thread;
	int i;

	for (i = 0; i < CANCELS; i++) {
		req = rx_new("sleeper");
		ATF_REQUIRE_EQ(0, gons_reexec_settimeout(req, 50));
		ATF_REQUIRE_EQ(
		    0, pthread_create(&thread, NULL, run_for_ever, req));
		ATF_REQUIRE_EQ(0, pthread_cancel(thread));
		ATF_REQUIRE_EQ(0, pthread_join(thread, NULL));
		gons_reexec_free(req);
	}
	req = rx_new("whoami");
	(void)rx_ok(req);
	gons_reexec_free(req);
}

static void
supervisor_killed(void)
{
	struct gons_reexec *req = rx_new("kill_supervisor");
	int fd[2];

	rx_pipe(fd);
	rx_flags(req, GONS_REEXEC_DIE_WITH_PARENT);
	rx_keep(req, "LIFE", fd[1]);
	ATF_REQUIRE_EQ(0, gons_reexec_settimeout(req, 20000));
	ATF_REQUIRE_EQ(0, gons_reexec_start(req));
	ATF_CHECK_EQ('x', rx_byte(fd[0]));
	close(fd[1]);
	rx_wait_fails(req, GONS_FAIL_SIGNAL, EIO, "killed by signal 9");
	ATF_CHECK_MSG(rx_gone(fd[0], 5000), "the action is still there");
	close(fd[0]);
	gons_reexec_free(req);
}

/*
 * It has been told to kill the action, and is killed by somebody else before it
 * has heard that.
 */
static void
supervisor_killed_asked(void)
{
	struct gons_reexec *req = rx_new("outlive_supervisor");
	int fd[2], status;
	pid_t pid;

	rx_pipe(fd);
	rx_flags(req, GONS_REEXEC_DIE_WITH_PARENT);
	rx_keep(req, "LIFE", fd[1]);
	ATF_REQUIRE_EQ(0, gons_reexec_start(req));
	close(fd[1]);
	ATF_REQUIRE_EQ((ssize_t)sizeof(pid), read(fd[0], &pid, sizeof(pid)));
	/* Unlike SIGSTOP, this outlasts the library's SIGCONT. */
	if (ptrace(PTRACE_SEIZE, pid, NULL, NULL) == -1)
		atf_tc_skip("ptrace(2): %s", strerror(errno));
	ATF_REQUIRE_EQ(0, ptrace(PTRACE_INTERRUPT, pid, NULL, NULL));
	ATF_REQUIRE_EQ(pid, waitpid(pid, &status, __WALL));
	ATF_REQUIRE(WIFSTOPPED(status));
	ATF_REQUIRE_EQ(0, gons_reexec_kill(req));
	ATF_REQUIRE_EQ(0, kill(pid, SIGKILL));
	rx_wait_fails(req, GONS_FAIL_KILLED, ECANCELED, "gons_reexec_kill");
	ATF_CHECK_MSG(rx_gone(fd[0], 5000), "the action is still there");
	close(fd[0]);
	gons_reexec_free(req);
}

static void
no_waitid_body(void *errnum)
{
	const struct rule rule = { SYS_waitid, -1, 0, 0, *(int *)errnum };
	struct gons_reexec *req = gons_reexec_new("whoami");

	forbid(&rule, 1);
	CHILD(gons_reexec_setflags(req, rx_mode) == 0);
	CHILD(gons_reexec_run(req) == 0);
	gons_reexec_free(req);
	/* there is another way to ask how it ended */
	req = rx_script("raise 9");
	CHILD(gons_reexec_run(req) == -1);
	CHILD(gons_reexec_failure(req) == GONS_FAIL_SIGNAL);
	CHILD(gons_reexec_status(req) == SIGKILL);
	gons_reexec_free(req);
	errno = 0;
	CHILD(waitpid(-1, NULL, WNOHANG) == -1 && errno == ECHILD);
}

static void
no_waitid(void)
{
	int errnum = EPERM;

	need_filters();
	in_child(no_waitid_body, &errnum);
	errnum = ENOSYS;
	in_child(no_waitid_body, &errnum);
}

/* Nobody can say then how the child ended but itself. */
static void
no_wait_body(void *unused)
{
	static const struct rule rules[] = {
		{ SYS_waitid, -1, 0, 0, EPERM },
		{ SYS_wait4, -1, 0, 0, EPERM },
	};
	struct gons_reexec *req = rx_new("late"), *killed;

	(void)unused;
	killed = rx_new("late_and_killed");
	forbid(rules, NELEM(rules));
	CHILD(gons_reexec_run(req) == 0);
	CHILD(strcmp(gons_reexec_result(req, NULL), "late") == 0);
	CHILD(gons_reexec_run(killed) == -1);
	CHILD(gons_reexec_failure(killed) == GONS_FAIL_SIGNAL);
	gons_reexec_free(req);
	gons_reexec_free(killed);
}

static void
no_wait(void)
{
	need_filters();
	in_child(no_wait_body, NULL);
}

/* Output that is there, and cannot be read, would be an event for ever. */
static void
unreadable_body(void *unused)
{
	static const struct rule rule = { SYS_read, 2, ~0u, UNREAD + 1, EIO };
	struct gons_reexec *req = rx_new("sleeper");
	struct rusage used;

	(void)unused;
	CHILD(gons_reexec_setmaxresult(req, UNREAD) == 0);
	CHILD(gons_reexec_settimeout(req, 600) == 0);
	forbid(&rule, 1);
	CHILD(gons_reexec_run(req) == -1 && errno == ETIMEDOUT);
	CHILD(getrusage(RUSAGE_SELF, &used) == 0);
	CHILD(used.ru_utime.tv_sec == 0 && used.ru_stime.tv_sec == 0);
	CHILD(used.ru_utime.tv_usec + used.ru_stime.tv_usec < 300000);
	gons_reexec_free(req);
}

static void
unreadable(void)
{
	need_filters();
	in_child(unreadable_body, NULL);
}

static const struct rx_case cases[] = {
	{ "stuck", stuck, RX_ROOT | RX_UNCOUNTED,
	    "a time limit holds for a child that no signal ends" },
	{ "stuck_supervised", stuck_supervised, RX_ROOT | RX_UNCOUNTED,
	    "a time limit holds for a supervised child that no signal ends" },
	{ "fuse_proc", fuse_proc, RX_ROOT | RX_UNCOUNTED,
	    "a /proc that never answers is not asked" },
	{ "unclosable", unclosable, RX_ROOT | RX_UNCOUNTED,
	    "a file that cannot be closed does not hold up a start" },
	{ "unclosable_kept", unclosable_kept, RX_ROOT | RX_UNCOUNTED | RX_ONCE,
	    "a time limit holds for a child that cannot close its own" },
	{ "slow_start", slow_start, 0,
	    "a time limit counts while a prepared process is made" },
	{ "no_file_size", no_file_size, 0,
	    "a parameter that is too large for the host kills nobody" },
	{ "highest_fd", highest_fd, 0,
	    "a descriptor at the limit of descriptors can be kept" },
	{ "cancelled", cancelled, 0,
	    "a thread that is cancelled leaves nothing" },
	{ "supervisor_killed", supervisor_killed, 0,
	    "an action does not outlive its supervisor" },
	{ "supervisor_killed_asked", supervisor_killed_asked,
	    RX_EXEC | RX_UNCOUNTED,
	    "nor if that was killed when it should have killed the action" },
	{ "no_waitid", no_waitid, 0,
	    "a filter of waitid leaves no zombie, and hides no status" },
	{ "unreadable", unreadable, RX_ONCE,
	    "a host that may not read the output does not try all the time" },
	{ "no_wait", no_wait, 0,
	    "a child of which nobody may be told is waited for" },
};

ATF_TP_ADD_TCS(tp)
{
	return rx_cases(tp, cases, NELEM(cases));
}
