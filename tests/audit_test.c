/*
 * SPDX-License-Identifier: BSD-2-Clause
 *
 * Copyright (c) 2026 The libgons developers
 *
 * Hosts in odd circumstances: system calls that a filter or an old kernel
 * refuses, limits that are very high or very low, and prepared processes that
 * are given up at a bad moment.
 */

#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>

#include <atf-c.h>

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <sched.h>
#include <signal.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include <gons.h>

#include "helpers.h"
#include "rx.h"

#define LIMIT 5000 /* ms for a run under a filter */
#define IN_TIME (LIMIT + 3000) /* and until a lost child is given up */
#define PATIENCE 10000 /* ms for what happens at once */
#define HIGH 200000 /* a descriptor beyond the usual limits */
#define LOW 256 /* a limit below them */
#define CAP_IPC_LOCK 14
#define PRINTED (63 * 4096 + 1) /* bytes: of 64 reads the last brings one */
#define PIPE (64 * 4096)

#ifndef SYS_pidfd_send_signal
#define SYS_pidfd_send_signal 424
#endif
#ifndef SYS_fsopen
#define SYS_open_tree 428
#define SYS_fsopen 430
#define SYS_fsconfig 431
#define SYS_fsmount 432
#endif
#ifndef SYS_pidfd_open
#define SYS_pidfd_open 434
#endif
#ifndef SYS_clone3
#define SYS_clone3 435
#endif
#ifndef SYS_close_range
#define SYS_close_range 436
#endif
#ifndef SYS_openat2
#define SYS_openat2 437
#endif

/*
 * No step of the library waits: while in_step is set, each poll(2) and each
 * waitpid(2) that could wait is counted.  The latter does not wait then: the
 * process that it waits for would never end.
 */
static int in_step, waits;

/* A FIFO that a re-executed process opens before it waits; or NULL. */
static const char *held_later;

/* Not 0: every second poll(2) that could wait is interrupted, from the first. */
static unsigned interrupts;

int __real_poll(struct pollfd *, nfds_t, int);
int __wrap_poll(struct pollfd *, nfds_t, int);
int
__wrap_poll(struct pollfd *p, nfds_t n, int ms)
{
	waits += in_step && ms != 0;
	if (interrupts != 0 && ms != 0 && interrupts++ % 2 != 0) {
		errno = EINTR;
		return -1;
	}
	if (held_later != NULL) {
		(void)open(held_later, O_RDONLY | O_CLOEXEC);
		held_later = NULL;
	}
	return __real_poll(p, n, ms);
}

/* Where to write to when the library has seen that a process runs; or -1. */
static int seen_running = -1;

pid_t __real_waitpid(pid_t, int *, int);
pid_t __wrap_waitpid(pid_t, int *, int);
pid_t
__wrap_waitpid(pid_t pid, int *status, int options)
{
	pid_t r;

	waits += in_step && (options & WNOHANG) == 0;
	r = __real_waitpid(pid, status, in_step ? WNOHANG : options);
	if (r == 0 && seen_running != -1) {
		CHILD(write(seen_running, "x", 1) == 1);
		seen_running = -1;
	}
	return r;
}

/* While this is set, each look at the clock finds it so many s later. */
static int odd_clock;
static time_t clock_step;

int __real_clock_gettime(clockid_t, struct timespec *);
int __wrap_clock_gettime(clockid_t, struct timespec *);
int
__wrap_clock_gettime(clockid_t id, struct timespec *t)
{
	static struct timespec now = { 1000000, 0 };

	if (!odd_clock)
		return __real_clock_gettime(id, t);
	now.tv_sec += clock_step;
	*t = now;
	return 0;
}

/* While this is set, the library finds no memory. */
static int no_memory;

void *__real_malloc(size_t);
void *__wrap_malloc(size_t);
void *
__wrap_malloc(size_t len)
{
	if (!no_memory)
		return __real_malloc(len);
	errno = ENOMEM;
	return NULL;
}

static int
parent(void)
{
	return printf("%d", (int)getppid()) < 0;
}

static int
has_high_fd(void)
{
	return printf("%d", fcntl(atoi(getenv("HIGH")), F_GETFD)) < 0;
}

/* The one between this action and the host does nothing any more. */
static int
stop_supervisor(void)
{
	int life = rx_kept("LIFE");

	(void)prctl(PR_SET_PDEATHSIG, 0, 0, 0, 0);
	if (kill(getppid(), SIGSTOP) == -1 || write(life, "x", 1) != 1)
		return 1;
	for (;;)
		(void)pause();
}

/* The program ends before it comes to gons_reexec_check(3), but not at once. */
static void
end_slowly(void)
{
	const char *life = getenv("ENDS_SLOWLY");
	char c;
	int fd;

	if (life == NULL)
		return;
	fd = open(life, O_RDONLY | O_CLOEXEC);
	for (c = 3; c < 100; c++)
		if (c != fd)
			(void)close(c);
	(void)!read(fd, &c, 1);
	fprintf(stderr, "it is over\n");
	_exit(3);
}

/* A constructor that takes its time: until HELD, a FIFO, has a writer. */
static void
be_held(void)
{
	const char *held = getenv("HELD");

	if (held != NULL)
		(void)open(held, O_RDONLY | O_CLOEXEC);
	held_later = getenv("HELD_LATER");
}

/* Prints before it comes to gons_reexec_check(3), and more when that is read. */
static void
print_much(void)
{
	static char text[PRINTED];
	int left;

	if (getenv("PRINTS") == NULL)
		return;
	CHILD(fcntl(STDOUT_FILENO, F_SETPIPE_SZ, PIPE) != -1);
	CHILD(write(STDOUT_FILENO, text, sizeof(text)) == sizeof(text));
	do {
		(void)__real_poll(NULL, 0, 1);
		CHILD(ioctl(STDOUT_FILENO, FIONREAD, &left) == 0);
	} while (left > 0);
	CHILD(write(STDOUT_FILENO, "x", 1) == 1);
}

__attribute__((constructor)) static void
actions(void)
{
	interrupts = getenv("INTERRUPTS") != NULL;
	print_much();
	be_held();
	end_slowly();
	if (gons_reexec_register("parent", parent) == -1 ||
	    gons_reexec_register("has_high_fd", has_high_fd) == -1 ||
	    gons_reexec_register("stop_supervisor", stop_supervisor) == -1)
		abort();
	gons_reexec_check();
}

static struct gons_reexec *
request(const char *action)
{
	struct gons_reexec *req = gons_reexec_new(action);

	CHILD(req != NULL && gons_reexec_setflags(req, rx_mode) == 0 &&
	      gons_reexec_settimeout(req, LIMIT) == 0);
	return req;
}

/*
 * Refused system calls.
 */

static const struct call {
	const char *name;
	long nr;
} calls[] = {
#define CALL(name)                 \
	{                          \
#name, SYS_##name, \
	}
	CALL(capget),
	CALL(clone3),
	CALL(close_range),
	CALL(dup3),
	CALL(epoll_create1),
	CALL(epoll_ctl),
	CALL(epoll_pwait),
	CALL(execveat),
	CALL(fsconfig),
	CALL(fsmount),
	CALL(fsopen),
	CALL(fstatfs),
	CALL(getgroups),
	CALL(getpriority),
	CALL(getsid),
	CALL(getsockopt),
	CALL(keyctl),
	CALL(kill),
	CALL(memfd_create),
	CALL(open_tree),
	CALL(openat2),
	CALL(pidfd_open),
	CALL(pidfd_send_signal),
	CALL(pipe2),
	CALL(ppoll),
	CALL(pread64),
	CALL(prlimit64),
	CALL(readlinkat),
	CALL(recvmsg),
	CALL(rt_sigtimedwait),
	CALL(sched_getaffinity),
	CALL(sched_setaffinity),
	CALL(sendfile),
	CALL(sendmsg),
	CALL(setpriority),
	CALL(shutdown),
	CALL(signalfd4),
	CALL(socketpair),
#if __SIZEOF_LONG__ > 4 /* else libc's fstat(2) is this call */
	CALL(statx),
#endif
	CALL(timerfd_create),
	CALL(timerfd_settime),
	CALL(unshare),
	CALL(wait4),
	CALL(waitid),
#ifdef SYS_poll
	CALL(dup2),
	CALL(epoll_wait),
	CALL(poll),
	CALL(vfork),
#endif
};

struct refusal {
	const struct call *call;
	int errnum;
	int late; /* the filter comes after a first run */
};

/* A sentence of one line, or none. */
static int
is_a_line(const char *text)
{
	return text != NULL && strncmp(text, "gons: ", 6) == 0 &&
	       strlen(text) > 12 && strpbrk(text, "\n\r\t") == NULL;
}

static void
check(int holds, const struct refusal *r, const char *what)
{
	if (holds)
		return;
	fprintf(stderr, "%s, errno %d: %s\n", r->call->name, r->errnum, what);
	_exit(1);
}

static void
run_once(struct gons_reexec *req, const struct refusal *r)
{
	long long begun = rx_clock();

	if (gons_reexec_run(req) == 0)
		CHILD(atoi(rx_result(req)) > 0);
	else
		check(is_a_line(gons_reexec_error(req)), r,
		    gons_reexec_error(req));
	CHILD(rx_clock() - begun < IN_TIME);
}

/* Asked by a call that is not the one that is refused. */
static int
is_childless(const struct refusal *r)
{
	siginfo_t info;

	if (r->call->nr == SYS_waitid)
		return waitpid(-1, NULL, WNOHANG | __WALL) == -1 &&
		       errno == ECHILD;
	return waitid(P_ALL, 0, &info, WEXITED | WNOHANG | WNOWAIT | __WALL) ==
		   -1 &&
	       errno == ECHILD;
}

/* The library reaps in its next call those that it has killed. */
static int
nobody_stays(const struct refusal *r)
{
	long long begun = rx_clock();

	while (!is_childless(r) && rx_clock() - begun < IN_TIME) {
		gons_reexec_free(gons_reexec_new("parent"));
		(void)usleep(1000);
	}
	return is_childless(r);
}

static void
refused_body(void *arg)
{
	const struct refusal *r = arg;
	const struct rule rule = { r->call->nr, -1, 0, 0, r->errnum };
	struct gons_reexec *req = request("parent");
	int fds;

	/* What this process has as a copy is given up. */
	gons_reexec_unprepare();
	fds = count_fds();
	if (r->late)
		CHILD(gons_reexec_run(req) == 0);
	forbid(&rule, 1);
	run_once(req, r);
	run_once(req, r);
	gons_reexec_free(req);
	gons_reexec_unprepare();
	check(nobody_stays(r), r, "a child is left");
	check(count_fds() == fds, r, "a descriptor is left");
}

/* ENOSYS is an old kernel's, or a filter's; EPERM a filter's. */
static void
refuse_all(int errnum, int late)
{
	struct refusal r = { NULL, errnum, late };
	unsigned patience = alarm(0);
	size_t i;

	need_filters();
	for (i = 0; i < NELEM(calls); i++) {
		(void)alarm(patience); /* for each of them */
		printf("%s\n", calls[i].name);
		fflush(stdout);
		r.call = &calls[i];
		in_child(refused_body, &r);
	}
}

static void
missing(void)
{
	refuse_all(ENOSYS, 0);
}

static void
denied(void)
{
	refuse_all(EPERM, 0);
}

static void
denied_late(void)
{
	refuse_all(EPERM, 1);
}

/*
 * Limits.
 */

static void
high_fd_body(void *unused)
{
	struct gons_reexec *req = request("has_high_fd");
	struct rlimit limit;
	char number[16];
	int high;

	(void)unused;
	CHILD(getrlimit(RLIMIT_NOFILE, &limit) == 0);
	high = limit.rlim_max > HIGH ? HIGH : (int)limit.rlim_max - 1;
	(void)snprintf(number, sizeof(number), "%d", high);
	CHILD(gons_reexec_setenv(req, "HIGH", number) == 0);
	/* A prepared process has the limit of the time when it was made. */
	limit.rlim_cur = (rlim_t)high < LOW ? (rlim_t)high : LOW;
	CHILD(setrlimit(RLIMIT_NOFILE, &limit) == 0);
	CHILD(gons_reexec_run(req) == 0);
	limit.rlim_cur = limit.rlim_max;
	CHILD(setrlimit(RLIMIT_NOFILE, &limit) == 0);
	CHILD(dup2(STDIN_FILENO, high) == high);
	CHILD(gons_reexec_run(req) == 0);
	/* What is not kept is not inherited, wherever it is. */
	CHILD(strcmp(rx_result(req), "-1") == 0);
	CHILD(gons_reexec_keepfd(req, high) == 0);
	CHILD(gons_reexec_run(req) == 0);
	CHILD(strcmp(rx_result(req), "0") == 0);
	gons_reexec_free(req);
}

static void
high_fd(void)
{
	in_child(high_fd_body, NULL);
}

/* The limit is none for a process with CAP_IPC_LOCK, nor for root's programs. */
static void
give_up_memlock(void)
{
	struct {
		uint32_t version;
		int pid;
	} head = { 0x20080522 /* _LINUX_CAPABILITY_VERSION_3 */, 0 };
	struct {
		uint32_t effective, permitted, inheritable;
	} data[2];
	struct rlimit limit = { 0, 0 };

	CHILD(prctl(PR_CAPBSET_DROP, CAP_IPC_LOCK, 0, 0, 0) == 0 ||
	      errno == EPERM);
	CHILD(syscall(SYS_capget, &head, data) == 0);
	data[0].effective &= ~(1u << CAP_IPC_LOCK);
	data[0].permitted &= ~(1u << CAP_IPC_LOCK);
	CHILD(syscall(SYS_capset, &head, data) == 0);
	CHILD(setrlimit(RLIMIT_MEMLOCK, &limit) == 0);
	CHILD(mlock(&limit, sizeof(limit)) == -1);
}

static void
no_memlock_body(void *unused)
{
	struct gons_reexec *req = request("parent");

	(void)unused;
	give_up_memlock();
	CHILD(gons_reexec_run(req) == 0);
	gons_reexec_free(req);
}

static void
no_memlock(void)
{
	if (SANITIZER)
		atf_tc_skip("the sanitizer needs memory, too");
	in_child(no_memlock_body, NULL);
}

/*
 * Prepared processes that are given up at a bad moment.
 */

/* The library reaps those that it has ended; they end soon. */
static void
nobody_left(void)
{
	long long begun = rx_clock();
	siginfo_t info;

	while (waitid(P_ALL, 0, &info, WEXITED | WNOWAIT | WNOHANG | __WALL) !=
	       -1) {
		CHILD(rx_clock() - begun < PATIENCE);
		gons_reexec_free(gons_reexec_new("parent"));
		(void)__real_poll(NULL, 0, 1);
	}
	CHILD(errno == ECHILD);
}

static void
given_up_early_body(void *unused)
{
	struct gons_reexec *req = gons_reexec_new("parent");
	siginfo_t info;
	int fd, i;

	(void)unused;
	CHILD(prctl(PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0) == 0);
	CHILD(mkfifo("held", 0600) == 0 && setenv("HELD", "held", 1) == 0);
	CHILD(gons_reexec_setflags(req, GONS_REEXEC_PREPARED) == 0);
	CHILD(gons_reexec_settimeout(req, 20) == 0);
	for (i = 0; i < 4; i++) {
		CHILD(gons_reexec_run(req) == -1 && errno == ETIMEDOUT);
		CHILD((fd = open("held", O_RDWR | O_CLOEXEC)) != -1);
		/* The first process has forked the prepared one by its end. */
		if (i % 2 == 0)
			CHILD(waitid(P_ALL, 0, &info, WEXITED | WNOWAIT) == 0);
		gons_reexec_unprepare();
		CHILD(close(fd) == 0);
	}
	gons_reexec_free(req);
	nobody_left();
}

static void
given_up_early(void)
{
	in_child(given_up_early_body, NULL);
}

/* One that is given up between two processes is heard all the same. */
static void
tells_late_body(void *unused)
{
	struct gons_reexec *req = gons_reexec_new("parent");
	siginfo_t info;
	int fd;

	(void)unused;
	CHILD(prctl(PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0) == 0);
	CHILD(mkfifo("held", 0600) == 0);
	CHILD(setenv("HELD_LATER", "held", 1) == 0);
	CHILD(gons_reexec_setflags(req, GONS_REEXEC_PREPARED) == 0);
	CHILD(gons_reexec_settimeout(req, 20) == 0);
	CHILD(gons_reexec_run(req) == -1 && errno == ETIMEDOUT);
	CHILD(waitid(P_ALL, 0, &info, WEXITED | WNOWAIT) == 0);
	gons_reexec_unprepare();
	gons_reexec_free(req);
	gons_reexec_free(gons_reexec_new("parent")); /* nothing has come yet */
	CHILD((fd = open("held", O_RDWR | O_CLOEXEC)) != -1);
	nobody_left();
	CHILD(close(fd) == 0);
}

static void
tells_late(void)
{
	in_child(tells_late_body, NULL);
}

/* It has not told yet who it is, and nobody else knows it. */
static void
fails_early_body(void *unused)
{
	const struct rule rule = { SYS_signalfd4, -1, 0, 0, ENFILE };
	struct gons_reexec *req = gons_reexec_new("parent");

	(void)unused;
	CHILD(prctl(PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0) == 0);
	CHILD(gons_reexec_setflags(req, GONS_REEXEC_PREPARED) == 0);
	forbid(&rule, 1);
	CHILD(gons_reexec_run(req) == -1 && errno == ENFILE);
	CHILD(is_a_line(gons_reexec_error(req)));
	gons_reexec_free(req);
	nobody_left();
}

static void
fails_early(void)
{
	need_filters();
	in_child(fails_early_body, NULL);
}

static void
remembered_body(void *unused)
{
	struct gons_reexec *req = gons_reexec_new("parent");

	(void)unused;
	CHILD(prctl(PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0) == 0);
	CHILD(gons_reexec_setflags(req, GONS_REEXEC_PREPARED) == 0);
	CHILD(gons_reexec_run(req) == 0);
	no_memory = 1;
	gons_reexec_unprepare();
	no_memory = 0;
	gons_reexec_free(req);
	nobody_left();
}

static void
remembered(void)
{
	in_child(remembered_body, NULL);
}

static int
start_and_step(struct gons_reexec *req)
{
	struct pollfd p = { -1, POLLIN, 0 };
	int r;

	if (gons_reexec_start(req) == -1)
		return -1;
	p.fd = gons_reexec_fd(req);
	do {
		(void)__real_poll(&p, 1, LIMIT);
		in_step = 1;
		r = gons_reexec_step(req);
		in_step = 0;
	} while (r == 0);
	return r == 1 ? 0 : -1;
}

/* One that is stopped cannot end by itself. */
static void
stuck_body(void *unused)
{
	struct gons_reexec *req = gons_reexec_new("parent");
	pid_t pid;

	(void)unused;
	CHILD(prctl(PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0) == 0);
	CHILD(gons_reexec_setflags(req, GONS_REEXEC_PREPARED) == 0);
	CHILD(start_and_step(req) == 0);
	CHILD((pid = atoi(rx_result(req))) > 0 && kill(pid, SIGSTOP) == 0);
	in_step = 1;
	gons_reexec_unprepare();
	in_step = 0;
	CHILD(start_and_step(req) == 0);
	CHILD(atoi(rx_result(req)) != pid && waits == 0);
	gons_reexec_free(req);
	gons_reexec_unprepare();
	nobody_left();
}

static void
stuck(void)
{
	in_child(stuck_body, NULL);
}

/* In a gons_multi(3) a start waits no more than a step does. */
static int
add_and_next(struct gons_reexec *req)
{
	struct gons_multi *multi = gons_multi_new(1);
	struct pollfd p = { -1, POLLIN, 0 };
	struct gons_reexec *done;

	CHILD(multi != NULL && gons_multi_add(multi, req) == 0);
	p.fd = gons_multi_fd(multi);
	do {
		(void)__real_poll(&p, 1, LIMIT);
		in_step = 1;
		done = gons_multi_next(multi, 0);
		in_step = 0;
	} while (done == NULL && errno == EAGAIN);
	CHILD(done == req);
	gons_multi_free(multi);
	return gons_reexec_failure(req) == GONS_FAIL_NONE ? 0 : -1;
}

/* The caller's own poll(2) awaits its words and its end. */
static void
ends_slowly_body(void *unused)
{
	struct gons_reexec *req = gons_reexec_new("parent");
	int fd;

	(void)unused;
	CHILD(gons_reexec_setflags(req, GONS_REEXEC_PREPARED) == 0);
	CHILD(mkfifo("slow", 0600) == 0);
	CHILD((fd = open("slow", O_RDWR | O_CLOEXEC)) != -1);
	CHILD(setenv("ENDS_SLOWLY", "slow", 1) == 0);
	CHILD(add_and_next(req) == -1 && waits == 0);
	CHILD(is_a_line(gons_reexec_error(req)));
	CHILD(write(fd, "x", 1) == 1);
	gons_reexec_free(req);
	nobody_left();
}

static void
ends_slowly(void)
{
	in_child(ends_slowly_body, NULL);
}

/* Its end comes in time, once the run has heard that it will not be prepared. */
static void
ends_in_time_body(void *unused)
{
	struct gons_reexec *req = gons_reexec_new("parent");
	const char *text;

	(void)unused;
	CHILD(gons_reexec_setflags(req, GONS_REEXEC_PREPARED) == 0);
	CHILD(mkfifo("slow", 0600) == 0);
	CHILD((seen_running = open("slow", O_RDWR | O_CLOEXEC)) != -1);
	CHILD(setenv("ENDS_SLOWLY", "slow", 1) == 0);
	odd_clock = 1; /* it stands still */
	CHILD(gons_reexec_run(req) == -1 && errno == EPROTO);
	odd_clock = 0;
	text = gons_reexec_error(req);
	CHILD(is_a_line(text) && gons_reexec_status(req) == 3 << 8);
	CHILD(strstr(text, "exited with status 3") != NULL);
	CHILD(strstr(text, "it is over") != NULL);
	gons_reexec_free(req);
}

static void
ends_in_time(void)
{
	in_child(ends_in_time_body, NULL);
}

/* The library reads so much at a time, and goes on later. */
static void
prints_body(void *unused)
{
	struct gons_reexec *req = gons_reexec_new("parent");

	(void)unused;
	CHILD(gons_reexec_setflags(req, GONS_REEXEC_PREPARED) == 0);
	CHILD(setenv("PRINTS", "", 1) == 0);
	if (gons_reexec_run(req) == -1)
		fprintf(stderr, "%s\n", gons_reexec_error(req));
	CHILD(gons_reexec_failure(req) == GONS_FAIL_NONE);
	gons_reexec_free(req);
}

static void
prints(void)
{
	int fd[2];

	rx_pipe(fd);
	if (fcntl(fd[1], F_SETPIPE_SZ, PIPE) == -1)
		atf_tc_skip("no pipe of %d bytes: %s", PIPE, strerror(errno));
	(void)close(fd[0]);
	(void)close(fd[1]);
	in_child(prints_body, NULL);
}

/*
 * In the host, the prepared process and its spares.  Not even these block the
 * signals that libc has for itself.
 */
static void
interrupted_body(void *unused)
{
	struct gons_reexec *req = gons_reexec_new("parent");
	pid_t first = 0;
	int i;

	(void)unused;
	CHILD(gons_reexec_setflags(req, GONS_REEXEC_PREPARED) == 0);
	CHILD(setenv("INTERRUPTS", "", 1) == 0);
	interrupts = 1;
	for (i = 0; i < 4; i++) {
		if (gons_reexec_run(req) == -1)
			fprintf(stderr, "%s\n", gons_reexec_error(req));
		CHILD(gons_reexec_failure(req) == GONS_FAIL_NONE);
		CHILD(i == 0 || atoi(rx_result(req)) == first);
		first = atoi(rx_result(req));
	}
	gons_reexec_free(req);
}

static void
interrupted(void)
{
	in_child(interrupted_body, NULL);
}

/*
 * One that hangs is waited for half a minute.  The first call ends then, and
 * the process is still there; the second finds that it has had its time.
 */
static void
hangs_body(void *unused)
{
	int fd;

	(void)unused;
	CHILD(prctl(PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0) == 0);
	CHILD(mkfifo("held", 0600) == 0 && setenv("HELD", "held", 1) == 0);
	odd_clock = 1;
	for (clock_step = 16; clock_step <= 32; clock_step += 16)
		CHILD(gons_reexec_prepare() == -1 && errno == ETIMEDOUT);
	odd_clock = 0;
	CHILD((fd = open("held", O_RDWR | O_CLOEXEC)) != -1);
	CHILD(gons_reexec_prepare() == 0);
	CHILD(close(fd) == 0);
	gons_reexec_unprepare();
	nobody_left();
}

static void
hangs(void)
{
	in_child(hangs_body, NULL);
}

/* The session keyring is looked at under a filter, too. */
static void
keyring_body(void *unused)
{
	const struct rule rule = { SYS_acct, -1, 0, 0, EPERM };
	struct gons_reexec *req = gons_reexec_new("parent");
	long joined;
	pid_t first;

	(void)unused;
	if (syscall(SYS_keyctl, 0L /* GET_KEYRING_ID */, -3L, 0L) == -1 &&
	    errno == ENOSYS)
		_exit(0); /* no keys */
	CHILD(gons_reexec_setflags(req, GONS_REEXEC_PREPARED) == 0);
	forbid(&rule, 1);
	CHILD(gons_reexec_run(req) == 0);
	first = atoi(rx_result(req));
	CHILD(gons_reexec_run(req) == 0 && atoi(rx_result(req)) == first);
	joined = syscall(SYS_keyctl, 1L /* JOIN_SESSION_KEYRING */, NULL);
	if (joined == -1)
		_exit(0); /* nothing has been given up */
	CHILD(gons_reexec_run(req) == 0 && atoi(rx_result(req)) != first);
	/* A revoked one has no number. */
	first = atoi(rx_result(req));
	CHILD(syscall(SYS_keyctl, 3L /* REVOKE */, joined) == 0);
	CHILD(gons_reexec_run(req) == 0 && atoi(rx_result(req)) != first);
	gons_reexec_free(req);
}

static void
keyring(void)
{
	need_filters();
	in_child(keyring_body, NULL);
}

/*
 * A supervisor that its action has stopped.
 */

static void
supervisor_stopped(void)
{
	struct gons_reexec *req = rx_new("stop_supervisor");
	int fd[2];

	rx_pipe(fd);
	rx_flags(req, GONS_REEXEC_DIE_WITH_PARENT);
	rx_keep(req, "LIFE", fd[1]);
	ATF_REQUIRE_EQ(0, gons_reexec_start(req));
	close(fd[1]);
	ATF_CHECK_EQ('x', rx_byte(fd[0]));
	ATF_REQUIRE_EQ(0, gons_reexec_kill(req));
	rx_wait_fails(req, GONS_FAIL_KILLED, ECANCELED, "gons_reexec_kill");
	ATF_CHECK_MSG(rx_gone(fd[0], PATIENCE), "the action is still there");
	close(fd[0]);
	gons_reexec_free(req);
}

static const struct rx_case cases[] = {
	{ "missing", missing, RX_UNCOUNTED, "a system call that is missing" },
	{ "denied", denied, RX_UNCOUNTED, "a system call that is denied" },
	{ "denied_late", denied_late, RX_UNCOUNTED,
	    "a system call that is denied from the second run on" },
	{ "high_fd", high_fd, 0, "a descriptor with a high number" },
	{ "no_memlock", no_memlock, 0, "no memory can be locked" },
	{ "given_up_early", given_up_early, RX_EXEC,
	    "a prepared process that is given up leaves no zombie" },
	{ "tells_late", tells_late, RX_EXEC,
	    "nor does one that has not told yet who it is" },
	{ "fails_early", fails_early, RX_EXEC | RX_UNCOUNTED,
	    "a prepared process that fails leaves no zombie either" },
	{ "remembered", remembered, RX_EXEC,
	    "nor does one that is given up when there is no memory" },
	{ "stuck", stuck, RX_EXEC,
	    "one that is stopped does not hold up a step" },
	{ "ends_slowly", ends_slowly, RX_EXEC | RX_UNCOUNTED,
	    "one that ends before it is prepared does not either" },
	{ "ends_in_time", ends_in_time, RX_EXEC | RX_UNCOUNTED,
	    "one that ends before it is prepared tells how" },
	{ "prints", prints, RX_EXEC,
	    "one that prints a good deal before it is prepared" },
	{ "interrupted", interrupted, RX_EXEC,
	    "nothing is given up for a signal that comes through" },
	{ "hangs", hangs, RX_EXEC,
	    "one that hangs is not waited for any longer" },
	{ "keyring", keyring, RX_EXEC,
	    "a session keyring that is given up under a filter" },
	{ "supervisor_stopped", supervisor_stopped, RX_UNCOUNTED,
	    "an action is ended although its supervisor is stopped" },
};

ATF_TP_ADD_TCS(tp)
{
	return rx_cases(tp, cases, NELEM(cases));
}
