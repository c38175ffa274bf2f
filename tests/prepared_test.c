/*
 * SPDX-License-Identifier: BSD-2-Clause
 *
 * Copyright (c) 2026 The libgons developers
 *
 * gons_reexec(3), "Prepared children": what they are, how many wait, and what
 * becomes of a request when the process that they come from is killed, stopped
 * or short of something.
 */

#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>

#include <atf-c.h>

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include <gons.h>

#include "helpers.h"
#include "prepared.h"

#include "../lib/reexec.h"

#define MANY 300
#define LEAVE_TIME 100 /* ms that it has when it is told to end */
#define DELAY 300 /* ms; enough for another process to get far */

/* s by which the clock of the library is fast; the time if it stands still. */
static time_t fast;
static struct timespec still;

int
clock_gettime(clockid_t id, struct timespec *t)
{
	long r = syscall(SYS_clock_gettime, id, t);

	if (still.tv_sec != 0)
		*t = still;
	t->tv_sec += fast;
	return (int)r;
}

/* A child that has ended stays in the list until it is reaped. */
static int
is_alive(pid_t pid)
{
	char path[64], line[256], *p = NULL;
	FILE *f;

	(void)snprintf(path, sizeof(path), "/proc/%d/stat", (int)pid);
	if ((f = fopen(path, "re")) == NULL)
		return 0;
	if (fgets(line, sizeof(line), f) != NULL)
		p = strrchr(line, ')');
	(void)fclose(f);
	return p != NULL && strchr("ZX", p[2]) == NULL;
}

/* How many of its children live; which: one of them. */
static int
live_spares(pid_t pid, pid_t *which)
{
	pid_t list[MAX_CHILDREN];
	int i, n = children_of(pid, list, MAX_CHILDREN), alive = 0;

	for (i = 0; i < n; i++)
		if (is_alive(list[i])) {
			*which = list[i];
			alive++;
		}
	return n == -1 ? -1 : alive;
}

static int
spares(pid_t pid)
{
	pid_t ignored;
	int n = live_spares(pid, &ignored);

	CHILD(n != -1);
	return n;
}

/* Waits until it has so many, and sees that it makes no more. */
static void
has_spares(pid_t pid, int n)
{
	long long start = clock_ms();

	while (spares(pid) != n && clock_ms() - start < PATIENCE)
		(void)usleep(10000);
	(void)usleep(100000);
	if (spares(pid) != n) {
		fprintf(stderr, "%d instead of %d\n", spares(pid), n);
		CHILD(!"has_spares");
	}
}

CASE(unprepared, "the flag alone prepares, too")
{
	works();
}

CASE(alike, "what an action finds is what it finds in an executed child")
{
	CHILD(gons_reexec_prepare() == 0);
	CHILD(gons_reexec_prepare() == 0);
	works();
}

/* More than a message has room for goes another way. */
CASE(environment, "an environment of any size")
{
	char name[16], value[16384];
	int i;

	memset(value, 'x', sizeof(value));
	for (i = 14000; i < 16384; i += 100) {
		value[i] = '\0';
		CHILD(setenv("LARGE", value, 1) == 0);
		CHILD(strcmp(fresh("sum"), result("sum")) == 0);
		value[i] = 'x';
	}
	value[sizeof(value) - 1] = '\0';
	for (i = 0; i < 20; i++) {
		(void)snprintf(name, sizeof(name), "LARGE%d", i);
		CHILD(setenv(name, value, 1) == 0);
	}
	CHILD(strcmp(fresh("sum"), result("sum")) == 0);
	works();
}

/* Of the file that came with the last request first. */
static off_t sent_size;

static void
look_at_first(const struct msghdr *msg)
{
	const struct cmsghdr *c = CMSG_FIRSTHDR(msg);
	struct stat st;
	int fd;

	if (c == NULL || c->cmsg_type != SCM_RIGHTS)
		return;
	memcpy(&fd, CMSG_DATA(c), sizeof(fd));
	sent_size = fstat(fd, &st) == 0 ? st.st_size : 0;
}

/* It is mapped: no byte behind it can be had if it fills its last page. */
CASE(environment_pages, "an environment that ends where a page does")
{
	const size_t page = (size_t)sysconf(_SC_PAGESIZE), most = 16384 + page;
	char *value = malloc(most + 1);
	size_t len = 16384;
	int more;

	CHILD(value != NULL);
	memset(value, 'x', most);
	value[len] = '\0';
	CHILD(setenv("LARGE", value, 1) == 0);
	CHILD(strcmp(fresh("sum"), result("sum")) == 0);
	CHILD(sent_size > (off_t)len);
	value[len] = 'x';
	len += page - (size_t)sent_size % page;
	for (more = -1; more <= 1; more++) {
		value[len + (size_t)more] = '\0';
		CHILD(setenv("LARGE", value, 1) == 0);
		CHILD(strcmp(fresh("sum"), result("sum")) == 0);
		CHILD(((size_t)sent_size - (size_t)more) % page == 0);
		value[len + (size_t)more] = 'x';
	}
	free(value);
}

/* One message takes 253; the request has some of its own. */
CASE(kept, "as many descriptors as can be sent, and one more than that")
{
	struct gons_reexec *req = request("parent", 0);
	int fd[2], i, n = 0;

	for (i = 0; i < 260; i++) {
		CHILD((fd[0] = fcntl(0, F_DUPFD_CLOEXEC, 300)) != -1);
		CHILD(gons_reexec_keepfd(req, fd[0]) == 0);
		if (i < 240 && i % 60 != 0)
			continue;
		if (gons_reexec_run(req) == -1) {
			CHILD(errno == E2BIG && i >= 240);
			CHILD(gons_reexec_failure(req) == GONS_FAIL_START);
			n++;
		}
	}
	CHILD(n > 0 && errno == E2BIG);
	gons_reexec_free(req);
	works();
}

/* The kernel counts for each user what is on its way, and has a limit. */
static void
flood(int sock)
{
	while (send_fds(sock, "", 1, &sock, 1, MSG_DONTWAIT) == 1)
		continue;
	CHILD(errno == ETOOMANYREFS);
}

CASE_IF(
    on_their_way, "too many descriptors on their way", (void)0, need_nobody())
{
	struct gons_reexec *req = request("parent", 0);
	struct rlimit limit;
	int other = NOBODY - 3, sock[2];

	/* a user of whom nobody else is */
	if (geteuid() == 0)
		CHILD(setresgid(other, other, other) == 0 &&
		      setresuid(other, other, other) == 0 &&
		      prctl(PR_SET_DUMPABLE, 1) == 0);
	CHILD(gons_reexec_param(req, "x", 1) == 0);
	CHILD(gons_reexec_run(req) == 0);
	CHILD(getrlimit(RLIMIT_NOFILE, &limit) == 0);
	limit.rlim_cur = 128;
	CHILD(setrlimit(RLIMIT_NOFILE, &limit) == 0);
	CHILD(socketpair(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0, sock) == 0);
	flood(sock[0]);
	/* those of a spare, which it takes, do not matter then */
	limit.rlim_cur = 64;
	CHILD(setrlimit(RLIMIT_NOFILE, &limit) == 0);
	CHILD(gons_reexec_run(req) == -1);
	CHILD(errno == ETOOMANYREFS);
	CHILD(gons_reexec_failure(req) == GONS_FAIL_START);
	close(sock[0]);
	close(sock[1]);
	CHILD(gons_reexec_run(req) == 0);
	gons_reexec_free(req);
}

CASE(no_traces, "nothing of one request is seen by the next")
{
	const char *before;
	int i;

	before = result("who");
	for (i = 0; i < 5; i++) {
		(void)result("spoil");
		CHILD(strcmp(before, result("who")) == 0);
	}
}

CASE(in_action, "a re-executed child cannot prepare")
{
	CHILD(strcmp(result("nested"), "1 1") == 0);
}

CASE(invisible, "the host's wait(2) finds nothing")
{
	int i;

	CHILD(gons_reexec_prepare() == 0);
	for (i = 0; i < 10; i++) {
		(void)result("parent");
		CHILD(waitpid(-1, NULL, WNOHANG | __WALL) == -1);
		CHILD(errno == ECHILD);
	}
}

CASE(killed, "a prepared process that was killed is replaced")
{
	pid_t pid = prepared_pid();
	int fd = (int)syscall(SYS_pidfd_open, pid, 0);

	CHILD(kill(pid, SIGKILL) == 0 && ended(fd, PATIENCE));
	CHILD(atoi(result("parent")) != pid);
	/* and without waiting for its end */
	pid = prepared_pid();
	CHILD(kill(pid, SIGKILL) == 0);
	(void)result("parent");
	works();
}

CASE(spares_killed, "spare children that were killed are replaced")
{
	pid_t pid = prepared_pid();
	int i;

	for (i = 0; i < 10; i++) {
		signal_all(pid, SIGKILL, 0);
		(void)result("parent");
	}
	works();
}

/* All but those that libc has for itself and does not let anybody block. */
CASE(signals_forgotten, "what a spare child was sent while it waited is lost")
{
	pid_t pid, spare;
	int signo;

	CHILD(gons_reexec_setspares(1) == 0);
	pid = prepared_pid();
	has_spares(pid, 1);
	CHILD(live_spares(pid, &spare) == 1);
	for (signo = 1; signo <= SIGRTMAX; signo++)
		if (signo != SIGKILL && signo != SIGSTOP &&
		    (signo < 32 || signo >= SIGRTMIN))
			CHILD(kill(spare, signo) == 0);
	CHILD(atoi(result("print_pid")) == spare);
	works();
}

static struct abandoned {
	pid_t host, prepared, spare, copy;
} * abandoned; /* shared memory */

/*
 * In a host that has sent a request: it is killed before it sends more, when it
 * has made a copy of itself which has all its descriptors.
 */
static void
die_before_go(const struct msghdr *msg)
{
	static int requests;
	pid_t copy;
	int i;

	if (abandoned == NULL || abandoned->host != getpid())
		return;
	if (msg->msg_iov[0].iov_len > 12)
		requests++;
	else if (requests > 0 && msg->msg_controllen == 0) {
		/* the list may miss one while another goes from it */
		for (i = 0; i < 1000; i++)
			if (live_spares(
				abandoned->prepared, &abandoned->spare) > 0)
				break;
		if ((copy = fork()) == 0)
			for (;;)
				(void)pause();
		abandoned->copy = copy;
		(void)kill(getpid(), SIGKILL);
	}
}

/* A spare whose end the host awaits before it sends the next GO; or -1. */
static int dying = -1;

static void
await_its_end(const struct msghdr *msg)
{
	static int requests;

	if (dying == -1)
		return;
	if (msg->msg_iov[0].iov_len > 12)
		requests++;
	else if (requests > 0 && msg->msg_controllen == 0) {
		CHILD(ended(dying, PATIENCE));
		dying = -1;
	}
}

/* What no host sends. */
static enum forgery {
	HONEST,
	MANY_FDS,
	WIDE_MASK,
	FULL_MASK,
	CUT,
	NFORGERIES
} forgery;

static ssize_t
send_forged(int sock, const struct msghdr *msg, int flags)
{
	static unsigned char block[REQUEST_MAX];
	struct request *head = (void *)block;
	struct iovec iov = { block, msg->msg_iov[0].iov_len };
	struct msghdr forged = *msg;

	CHILD(iov.iov_len <= sizeof(block));
	memcpy(block, msg->msg_iov[0].iov_base, iov.iov_len);
	forged.msg_iov = &iov;
	if (forgery == MANY_FDS)
		head->nfds = RIGHTS_MAX + 1;
	if (forgery == WIDE_MASK)
		head->cpubytes = REQUEST_MAX + 1;
	if (forgery == FULL_MASK)
		head->cpubytes = (uint32_t)(iov.iov_len - sizeof(*head));
	if (forgery == CUT)
		iov.iov_len--;
	forgery = HONEST;
	return syscall(SYS_sendmsg, sock, &forged, flags);
}

/*
 * A stopped spare, or 0: it goes on when it has got GO.  If one ends before
 * that, another gets the request.
 */
static pid_t held_back;

static ssize_t
send_go(int sock, const struct msghdr *msg, int flags)
{
	ssize_t n = syscall(SYS_sendmsg, sock, msg, flags);

	CHILD(kill(held_back, SIGCONT) == 0);
	held_back = 0;
	return n;
}

/*
 * In the prepared process: its first spare dies, and the host learns of that
 * spare before this process gets any further.  The library calls this one,
 * whether it is shared or not.
 */
ssize_t
sendmsg(int sock, const struct msghdr *msg, int flags)
{
	const char *host = getenv("FIRST_DIES");
	struct pollfd p = { sock, 0, 0 };
	ssize_t n;

	look_at_first(msg);
	die_before_go(msg);
	await_its_end(msg);
	if (forgery != HONEST && msg->msg_iov[0].iov_len > 12)
		return send_forged(sock, msg, flags);
	if (held_back > 0 && forgery == HONEST && msg->msg_controllen == 0)
		return send_go(sock, msg, flags);
	if (host == NULL || atoi(host) == getpid() || spares(getpid()) == 0)
		return syscall(SYS_sendmsg, sock, msg, flags);
	(void)unsetenv("FIRST_DIES");
	signal_all(getpid(), SIGKILL, 0);
	n = syscall(SYS_sendmsg, sock, msg, flags);
	(void)poll(&p, 1, DELAY); /* less if it ends */
	return n;
}

CASE(spare_dies, "a request is not lost with a spare that dies meanwhile")
{
	char host[16];

	(void)snprintf(host, sizeof(host), "%d", (int)getpid());
	CHILD(setenv("FIRST_DIES", host, 1) == 0);
	CHILD(gons_reexec_prepare() == 0);
	CHILD(unsetenv("FIRST_DIES") == 0);
	(void)result("parent");
	works();
}

CASE(host_dies, "a child whose host dies while it takes its request ends")
{
	pid_t host;
	int fd, over;

	abandoned = mmap(NULL, sizeof(*abandoned), PROT_READ | PROT_WRITE,
	    MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	CHILD(abandoned != MAP_FAILED);
	CHILD((host = fork()) != -1);
	if (host == 0) {
		CHILD(gons_reexec_setspares(1) == 0);
		abandoned->prepared = prepared_pid();
		has_spares(abandoned->prepared, 1);
		abandoned->host = getpid();
		(void)result("parent");
		_exit(1);
	}
	CHILD(waitpid(host, NULL, 0) == host);
	CHILD(abandoned->spare > 0 && abandoned->copy > 0);
	fd = (int)syscall(SYS_pidfd_open, abandoned->spare, 0);
	over = fd != -1 ? ended(fd, PATIENCE) : errno == ESRCH;
	(void)kill(abandoned->copy, SIGKILL);
	CHILD(over);
}

CASE(not_taken, "a request that a child cannot take fails once, and never runs")
{
	struct gons_reexec *req = gons_reexec_new("parent");
	struct rlimit few = { 3, 3 };
	long long start = clock_ms();
	pid_t pid, spare;

	CHILD(req != NULL);
	CHILD(gons_reexec_setflags(req, GONS_REEXEC_PREPARED) == 0);
	CHILD(gons_reexec_param(req, "x", 1) == 0);
	CHILD(gons_reexec_setspares(1) == 0);
	pid = prepared_pid();
	/* The limit may end one that is only being made: then another runs it. */
	do {
		has_spares(pid, 1);
		CHILD(live_spares(pid, &spare) == 1);
		CHILD(prlimit(spare, RLIMIT_NOFILE, &few, NULL) == 0);
	} while (gons_reexec_run(req) == 0 && clock_ms() - start < PATIENCE);
	CHILD(errno == EMFILE);
	CHILD(gons_reexec_failure(req) == GONS_FAIL_START);
	CHILD(strstr(gons_reexec_error(req), "could not take the request"));
	CHILD(*(const char *)gons_reexec_result(req, NULL) == '\0');
	gons_reexec_free(req);
	works();
}

/* As what is sent to a spare of a program with privileges is looked at. */
CASE(forged, "a request that is not in order is refused")
{
	struct gons_reexec *req = request("parent", 0);
	long long start;
	char value[8192];
	int how;
	pid_t pid;

	CHILD(gons_reexec_setspares(1) == 0);
	/* there is room for more numbers than there can be */
	memset(value, 'x', sizeof(value));
	value[sizeof(value) - 1] = '\0';
	CHILD(gons_reexec_setenv(req, "LARGE", value) == 0);
	CHILD(gons_reexec_param(req, "x", 1) == 0);
	CHILD(gons_reexec_run(req) == 0);
	for (how = MANY_FDS; how < NFORGERIES; how++) {
		start = clock_ms();
		do {
			pid = prepared_pid();
			has_spares(pid, 1);
			CHILD(live_spares(pid, &held_back) == 1);
			CHILD(kill(held_back, SIGSTOP) == 0);
			forgery = (enum forgery)how;
			/* 0: the one that was stopped is not its spare */
		} while (
		    gons_reexec_run(req) == 0 && clock_ms() - start < PATIENCE);
		if (errno != EPROTO)
			fprintf(
			    stderr, "%d: %s\n", how, gons_reexec_error(req));
		CHILD(errno == EPROTO);
		CHILD(gons_reexec_failure(req) == GONS_FAIL_START);
		CHILD(strstr(gons_reexec_error(req),
			  "could not take the request: ") != NULL);
		CHILD(forgery == HONEST && gons_reexec_run(req) == 0);
	}
	gons_reexec_free(req);
}

/* With such a limit poll(2) fails, and it cannot wait for GO. */
CASE(cannot_wait, "a spare child that cannot wait ends, and another is taken")
{
	struct rlimit none = { 0, 0 };
	pid_t pid, spare;

	CHILD(gons_reexec_setspares(1) == 0);
	pid = prepared_pid();
	has_spares(pid, 1);
	CHILD(live_spares(pid, &spare) == 1);
	CHILD((dying = (int)syscall(SYS_pidfd_open, spare, 0)) != -1);
	CHILD(prlimit(spare, RLIMIT_NOFILE, &none, NULL) == 0);
	CHILD(atoi(result("print_pid")) != spare);
	CHILD(dying == -1);
	works();
}

CASE(spares_set, "as many children wait as the host wants")
{
	pid_t pid;
	int i;

	CHILD(gons_reexec_setspares(0) == -1 && errno == EINVAL);
	CHILD(gons_reexec_setspares(65) == -1 && errno == EINVAL);
	CHILD(gons_reexec_setspares(5) == 0);
	pid = prepared_pid();
	has_spares(pid, 5);
	CHILD(gons_reexec_setspares(64) == 0);
	has_spares(pid, 64);
	signal_all(pid, SIGKILL, 0);
	works();
	CHILD(gons_reexec_setspares(1) == 0);
	for (i = 0; i < 64; i++)
		CHILD(atoi(result("parent")) == pid);
	has_spares(pid, 1);
}

CASE(stopped, "a prepared process that is stopped does not hold up a request")
{
	pid_t pid = prepared_pid();
	int fd = (int)syscall(SYS_pidfd_open, pid, 0);
	long long start = clock_ms();

	signal_all(pid, SIGSTOP, 1);
	CHILD(atoi(result("parent")) != pid);
	CHILD(clock_ms() - start < PATIENCE);
	CHILD(ended(fd, PATIENCE)); /* it is of no use any more */
	works();
}

CASE(spares_stopped, "a spare child that is stopped does not hold up a request")
{
	struct gons_reexec *req;
	pid_t pid = prepared_pid();

	has_spares(pid, 2);
	signal_all(pid, SIGSTOP, 0);
	req = request("parent", 0);
	CHILD(gons_reexec_start(req) == 0);
	fast += 2; /* it has had its time */
	CHILD(gons_reexec_step(req) == 0);
	CHILD(gons_reexec_wait(req) == 0);
	/* Nor do the others of a process that has such children. */
	CHILD(atoi(gons_reexec_result(req, NULL)) != pid);
	gons_reexec_free(req);
	works();
}

CASE(stopped_for_a_while,
    "kill and free do not wait for a stopped prepared process")
{
	struct gons_reexec *req;
	pid_t pid = prepared_pid();
	long long start = clock_ms();

	has_spares(pid, 2);
	signal_all(pid, SIGSTOP, 0);
	req = request("hold", 0);
	CHILD(gons_reexec_start(req) == 0 && gons_reexec_kill(req) == 0);
	CHILD(gons_reexec_wait(req) == -1 && errno == ECANCELED);
	CHILD(gons_reexec_start(req) == 0);
	gons_reexec_free(req);
	CHILD(clock_ms() - start < PATIENCE);
	works();
}

static void
start_many(struct gons_reexec **req, int n, int life[2])
{
	char number[16];
	int i;

	CHILD(pipe2(life, O_CLOEXEC) == 0);
	(void)snprintf(number, sizeof(number), "%d", life[0]);
	for (i = 0; i < n; i++) {
		req[i] = request("hold", 0);
		CHILD(gons_reexec_keepfd(req[i], life[0]) == 0);
		CHILD(gons_reexec_setenv(req[i], "LIFE", number) == 0);
		CHILD(gons_reexec_start(req[i]) == 0);
	}
}

CASE(many, "300 prepared requests run at a time")
{
	static struct gons_reexec *req[MANY];
	struct rlimit limit;
	int i, life[2];

	CHILD(getrlimit(RLIMIT_NOFILE, &limit) == 0);
	limit.rlim_cur = limit.rlim_max;
	CHILD(setrlimit(RLIMIT_NOFILE, &limit) == 0);
	start_many(req, MANY, life);
	close(life[1]);
	for (i = 0; i < MANY; i++) {
		CHILD(gons_reexec_wait(req[i]) == 0);
		gons_reexec_free(req[i]);
	}
	works();
}

CASE(killed_meanwhile, "running actions outlive the prepared process")
{
	struct gons_reexec *req[20];
	pid_t pid = prepared_pid();
	int i, life[2];

	start_many(req, 20, life);
	CHILD(kill(pid, SIGKILL) == 0);
	close(life[1]);
	for (i = 0; i < 20; i++) {
		/* who tells the status depends on the kernel */
		if (gons_reexec_wait(req[i]) == -1)
			CHILD(errno == ECHILD);
		gons_reexec_free(req[i]);
	}
	works();
}

/* Until the action has begun to print. */
static void
await_result(struct gons_reexec *req)
{
	struct pollfd p = { -1, POLLIN, 0 };
	size_t len = 0;

	p.fd = gons_reexec_fd(req);
	while (len == 0) {
		CHILD(poll(&p, 1, PATIENCE) == 1);
		CHILD(gons_reexec_step(req) == 0);
		(void)gons_reexec_result(req, &len);
	}
}

/* By a kernel before Linux 6.15, which leaves it to the child's own parent. */
CASE_IF(killed_untold, "an action tells its end if nobody else can", (void)0,
    need_filters())
{
	static const struct rule rule = PIDFD_IOCTLS;
	struct gons_reexec *req;
	int fd, life[2];
	pid_t pid;

	forbid(&rule, 1);
	pid = prepared_pid();
	fd = (int)syscall(SYS_pidfd_open, pid, 0);
	start_many(&req, 1, life);
	await_result(req);
	CHILD(kill(pid, SIGKILL) == 0 && ended(fd, PATIENCE));
	CHILD(write(life[1], "x", 1) == 1); /* it fails by that */
	CHILD(gons_reexec_wait(req) == -1 && errno == EIO);
	CHILD(gons_reexec_failure(req) == GONS_FAIL_EXIT);
	CHILD(gons_reexec_status(req) == 1 << 8);
	gons_reexec_free(req);
}

/* By such a kernel, too.  No child can tell that it was killed. */
CASE_IF(killed_in_any_order, "of several children each has its own status",
    (void)0, need_filters())
{
	static const struct rule rule = PIDFD_IOCTLS;
	static const int order[] = { 1, 2, 0 };
	struct gons_reexec *req[3];
	int i, life[2];

	forbid(&rule, 1);
	start_many(req, 3, life);
	for (i = 0; i < 3; i++)
		await_result(req[i]);
	for (i = 0; i < 3; i++) {
		CHILD(gons_reexec_kill(req[order[i]]) == 0);
		CHILD(gons_reexec_wait(req[order[i]]) == -1);
		CHILD(errno == ECANCELED);
		CHILD(gons_reexec_status(req[order[i]]) == SIGKILL);
	}
	for (i = 0; i < 3; i++)
		gons_reexec_free(req[i]);
	works();
}

/* Processes that nobody reaps stay; those of the library may take a while. */
static void
no_zombies(void)
{
	long long until = clock_ms() + PATIENCE;
	siginfo_t info;

	gons_reexec_unprepare();
	while (waitid(P_ALL, 0, &info, WEXITED | WNOHANG | WNOWAIT | __WALL) ==
	       0) {
		CHILD(clock_ms() < until);
		gons_reexec_free(gons_reexec_new("none"));
	}
}

/*
 * A request that runs, where orphans come to the host, and its prepared process
 * with a pidfd.
 */
static pid_t
start_to_adopt(struct gons_reexec **req, int *fd, int life[2])
{
	pid_t pid;

	CHILD(prctl(PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0) == 0);
	pid = prepared_pid();
	CHILD((*fd = (int)syscall(SYS_pidfd_open, pid, 0)) != -1);
	start_many(req, 1, life);
	await_result(*req);
	return pid;
}

/*
 * Where orphans come to the host, a child whose parent was killed is its own to
 * reap.  Nobody else knows how it ended.
 */
static void
orphan_killed(int noticed)
{
	struct gons_reexec *req;
	int fd, life[2];
	pid_t pid = start_to_adopt(&req, &fd, life);

	CHILD(kill(pid, SIGKILL) == 0 && ended(fd, PATIENCE));
	if (noticed)
		gons_reexec_unprepare();
	CHILD(gons_reexec_kill(req) == 0);
	CHILD(gons_reexec_wait(req) == -1 && errno == ECANCELED);
	CHILD(gons_reexec_status(req) == SIGKILL);
	gons_reexec_free(req);
	no_zombies();
}

CASE(orphan, "a host that orphans come to learns how they ended")
{
	orphan_killed(0);
}

CASE(orphan_noticed, "and if it knows that their parent has ended")
{
	orphan_killed(1);
}

CASE_IF(
    orphan_untold, "and if the kernel does not tell", (void)0, need_filters())
{
	static const struct rule rule = PIDFD_IOCTLS;

	forbid(&rule, 1);
	orphan_killed(0);
}

CASE_IF(orphan_noticed_untold, "and if both is so", (void)0, need_filters())
{
	static const struct rule rule = PIDFD_IOCTLS;

	forbid(&rule, 1);
	orphan_killed(1);
}

/* What no message begins with, into each pipe that the process writes to. */
static void
garble(pid_t pid)
{
	char path[64], text[64];
	struct stat st;
	int fd, i, n = 0;

	CHILD(signal(SIGPIPE, SIG_IGN) != SIG_ERR);
	memset(text, 0xff, sizeof(text));
	for (i = 0; i < MAX_CHILDREN; i++) {
		(void)snprintf(
		    path, sizeof(path), "/proc/%d/fd/%d", (int)pid, i);
		if (stat(path, &st) == -1 || !S_ISFIFO(st.st_mode) ||
		    lstat(path, &st) == -1 || (st.st_mode & S_IWUSR) == 0)
			continue;
		fd = open(path, O_WRONLY | O_NONBLOCK | O_CLOEXEC);
		CHILD(fd != -1);
		n += write(fd, text, sizeof(text)) == sizeof(text);
		CHILD(close(fd) == 0);
	}
	CHILD(n > 0);
}

/*
 * A parent that ends lets go of its pipes first, and of its children a little
 * later.  Here it says nothing that could be understood, and later is when the
 * host has looked.
 */
CASE_IF(orphan_later, "and if they come when nobody else can tell any more",
    (void)0, need_filters())
{
	static const struct rule rule = PIDFD_IOCTLS;
	long long until = clock_ms() + PATIENCE;
	struct gons_reexec *req;
	int fd, life[2];
	pid_t pid;

	forbid(&rule, 1);
	CHILD(prctl(PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0) == 0);
	pid = prepared_pid();
	fd = (int)syscall(SYS_pidfd_open, pid, 0);
	start_many(&req, 1, life);
	await_result(req);
	CHILD(kill(pid, SIGSTOP) == 0);
	CHILD(waitpid(pid, NULL, WUNTRACED) == pid);
	garble(pid);
	CHILD(signal_spares(pid, SIGKILL) > 0);
	while (spares(pid) > 0)
		CHILD(clock_ms() < until && usleep(1000) == 0);
	CHILD(clock_gettime(CLOCK_MONOTONIC, &still) == 0);
	CHILD(gons_reexec_step(req) == 0);
	memset(&still, 0, sizeof(still));
	CHILD(kill(pid, SIGKILL) == 0 && ended(fd, PATIENCE));
	CHILD(gons_reexec_wait(req) == -1 && errno == EIO);
	CHILD(gons_reexec_status(req) == SIGKILL);
	gons_reexec_free(req);
	no_zombies();
}

CASE(host_descriptors, "a host without descriptors gets an error")
{
	struct gons_reexec *req = request("parent", 0);
	struct rlimit old, none;
	int i;

	CHILD(gons_reexec_prepare() == 0);
	CHILD(getrlimit(RLIMIT_NOFILE, &old) == 0);
	none = old;
	for (i = count_fds() - 1; i < count_fds() + 8; i++) {
		none.rlim_cur = (rlim_t)i;
		CHILD(setrlimit(RLIMIT_NOFILE, &none) == 0);
		if (gons_reexec_run(req) == -1)
			CHILD(errno == EMFILE);
		CHILD(setrlimit(RLIMIT_NOFILE, &old) == 0);
		CHILD(gons_reexec_run(req) == 0);
	}
	gons_reexec_free(req);
	works();
}

/* The socket that the library has to the prepared process, or -1. */
static int
control(void)
{
	socklen_t len = sizeof(int);
	int fd, type = 0;

	for (fd = 3; fd < 256; fd++)
		if (getsockopt(fd, SOL_SOCKET, SO_TYPE, &type, &len) == 0 &&
		    type == SOCK_SEQPACKET)
			return fd;
	return -1;
}

CASE(host_descriptor, "so does one that has none for the prepared process")
{
	struct gons_multi *multi = gons_multi_new(1);
	struct gons_reexec *req = request("parent", 0);
	struct rlimit none, old;
	struct pollfd p;

	CHILD(multi != NULL && control() == -1);
	CHILD(getrlimit(RLIMIT_NOFILE, &old) == 0);
	none = old;
	none.rlim_cur = 0;
	for (;;) {
		CHILD(gons_multi_add(multi, req) == 0);
		CHILD(gons_multi_next(multi, 0) == NULL);
		p.fd = control();
		p.events = POLLIN;
		if (poll(&p, 1, 2000) == 1 && p.fd != -1)
			break;
		/* this thread had to wait, and the action has been started */
		CHILD(gons_multi_next(multi, -1) == req);
		gons_reexec_unprepare();
	}
	/* the process says which one it is */
	CHILD(setrlimit(RLIMIT_NOFILE, &none) == 0);
	CHILD(gons_multi_next(multi, 0) == req);
	CHILD(gons_reexec_failure(req) == GONS_FAIL_START);
	CHILD(setrlimit(RLIMIT_NOFILE, &old) == 0);
	CHILD(gons_reexec_wait(req) == -1 && errno == EMFILE);
	gons_multi_free(multi);
	gons_reexec_free(req);
	works();
}

CASE(ahead, "children wait for the first request already")
{
	struct pollfd p;

	CHILD(control() == -1);
	CHILD(gons_reexec_prepare() == 0);
	p.fd = control();
	p.events = POLLIN;
	/* it tells of one that nobody has asked for */
	CHILD(poll(&p, 1, PATIENCE) == 1 && p.revents == POLLIN);
	works();
}

/* While it makes one it has some more. */
CASE(nothing_kept, "a prepared process keeps no descriptors of its children")
{
	pid_t pid = prepared_pid();
	int before = fds_of(pid), i;
	long long start;

	CHILD(before > 0);
	for (i = 0; i < 30; i++)
		(void)result("parent");
	start = clock_ms();
	while (fds_of(pid) > before + 10 && clock_ms() - start < PATIENCE)
		(void)usleep(10000);
	CHILD(fds_of(pid) <= before + 10);
}

/* A limit of the prepared process alone. */
static void
limited(int resource, rlim_t most, int errnum)
{
	struct rlimit limit = { most, most };
	struct gons_reexec *req = request("parent", 0);
	pid_t pid = prepared_pid();
	int failures = 0, i;

	CHILD(prlimit(pid, resource, &limit, NULL) == 0);
	for (i = 0; i < 8; i++)
		if (gons_reexec_run(req) == -1) {
			failures++;
			CHILD(errno == errnum);
		}
	CHILD(failures > 0);
	gons_reexec_free(req);
}

CASE(descriptors,
    "a host whose prepared process has no descriptors gets an error")
{
	limited(RLIMIT_NOFILE, 4, EMFILE);
}

/* What other tests of this user have on their way is as limited. */
#define HIGH_FD 500
#define BELOW (HIGH_FD - 100)

CASE(refused, "a request that a spare child refuses fails with its reason")
{
	struct rlimit limit = { BELOW, BELOW };
	struct gons_reexec *req;
	int failures = 0, fd, i;

	req = request("parent", 0);
	CHILD((fd = fcntl(STDIN_FILENO, F_DUPFD, HIGH_FD)) != -1);
	CHILD(gons_reexec_keepfd(req, fd) == 0);
	CHILD(prlimit(prepared_pid(), RLIMIT_NOFILE, &limit, NULL) == 0);
	/* Those that were forked before have the limit of that time. */
	for (i = 0; i < 8; i++)
		if (gons_reexec_run(req) == -1 && errno != ETOOMANYREFS) {
			failures++;
			CHILD(errno == EBADF);
			CHILD(strstr(gons_reexec_error(req),
				  "could not take the request: ") != NULL);
		}
	CHILD(failures > 0);
	gons_reexec_free(req);
}

CASE(soft_limit, "a spare child raises its own limit for the host's numbers")
{
	struct rlimit limit;
	struct gons_reexec *req = request("parent", 0);
	pid_t pid = prepared_pid();
	int fd, i;

	CHILD((fd = fcntl(STDIN_FILENO, F_DUPFD, HIGH_FD)) != -1);
	CHILD(gons_reexec_keepfd(req, fd) == 0);
	CHILD(getrlimit(RLIMIT_NOFILE, &limit) == 0);
	limit.rlim_cur = BELOW;
	CHILD(prlimit(pid, RLIMIT_NOFILE, &limit, NULL) == 0);
	/* The last have been forked after that. */
	for (i = 0; i < 8; i++) {
		CHILD(gons_reexec_run(req) == 0);
		CHILD(atoi(gons_reexec_result(req, NULL)) == pid);
	}
	gons_reexec_free(req);
}

CASE(processes, "a host that can have no more processes gets an error")
{
	drop_to_nobody();
	limited(RLIMIT_NPROC, 1, EAGAIN);
}

/* Orphans come here, so that each process that was given up is to be reaped. */
CASE_IF(no_memory, "a prepared process is ended without memory", (void)0,
    if (SANITIZER) atf_tc_skip("the sanitizer needs memory, too"))
{
	int i;

	CHILD(prctl(PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0) == 0);
	for (i = 0; i < 10; i++) {
		CHILD(gons_reexec_prepare() == 0);
		take_memory();
		gons_reexec_unprepare();
		give_memory();
		no_zombies();
	}
}

/* Where orphans come to the host nothing of it is left. */
CASE(host_descriptor_adopts, "nor is that process left as a zombie")
{
	struct gons_multi *multi = gons_multi_new(1);
	struct gons_reexec *req = request("parent", 0);
	struct rlimit none, old;
	struct pollfd p = { -1, POLLIN, 0 };
	siginfo_t info;
	int i;

	CHILD(prctl(PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0) == 0);
	CHILD(multi != NULL && getrlimit(RLIMIT_NOFILE, &old) == 0);
	none = old;
	none.rlim_cur = 0;
	for (i = 0; i < 5; i++) {
		CHILD(gons_multi_add(multi, req) == 0);
		if (gons_multi_next(multi, 0) == req) /* there is one by now */
			break;
		p.fd = control();
		CHILD(poll(&p, 1, 2000) >= 0);
		CHILD(setrlimit(RLIMIT_NOFILE, &none) == 0);
		(void)gons_multi_next(multi, 0);
		CHILD(setrlimit(RLIMIT_NOFILE, &old) == 0);
		if (gons_multi_pending(multi) != 0)
			CHILD(gons_multi_next(multi, -1) == req);
	}
	gons_multi_free(multi);
	gons_reexec_free(req);
	gons_reexec_unprepare();
	for (i = 0; i < 30; i++) {
		(void)usleep(100000);
		gons_reexec_free(gons_reexec_new("none"));
	}
	CHILD(waitid(P_ALL, 0, &info, WEXITED | WNOHANG | WNOWAIT) == -1);
	CHILD(errno == ECHILD);
}

/* Where orphans come to the host it ends by itself, unless it takes too long. */
CASE(leaves, "a prepared process has some time to end by itself")
{
	long long since;
	siginfo_t info;
	int late = 0;
	pid_t pid;

	CHILD(prctl(PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0) == 0);
	while (late < 2) {
		pid = prepared_pid();
		CHILD(kill(pid, SIGSTOP) == 0);
		since = clock_ms();
		gons_reexec_unprepare();
		fast += late;
		gons_reexec_free(gons_reexec_new("none"));
		since = clock_ms() - since;
		CHILD(kill(pid, SIGCONT) == 0);
		CHILD(waitid(P_PID, (id_t)pid, &info, WEXITED) == 0);
		if (!late && since >= LEAVE_TIME)
			continue; /* this machine is slow */
		CHILD(info.si_code == (late ? CLD_KILLED : CLD_EXITED));
		late++;
	}
}

/* Then a child whose prepared process has ended becomes the host's own. */
static void
adopts_running(int forgets)
{
	struct gons_reexec *req;
	int fd, life[2];
	pid_t pid = start_to_adopt(&req, &fd, life);

	if (forgets)
		gons_reexec_unprepare();
	else
		CHILD(kill(pid, SIGKILL) == 0);
	CHILD(ended(fd, PATIENCE));
	CHILD(write(life[1], "x", 1) == 1); /* it fails by that */
	CHILD(gons_reexec_wait(req) == -1);
	CHILD(errno == EIO);
	CHILD(gons_reexec_failure(req) == GONS_FAIL_EXIT);
	CHILD(gons_reexec_status(req) == 1 << 8);
	gons_reexec_free(req);
}

CASE(adopts, "a host that orphans come to learns the status of its child")
{
	adopts_running(1);
	adopts_running(0);
}

CASE(host_ends, "the prepared process ends with its host")
{
	int fd, out[2];
	pid_t host, pid;

	CHILD(pipe2(out, O_CLOEXEC) == 0);
	if ((host = fork()) == 0) {
		pid = prepared_pid();
		CHILD(write(out[1], &pid, sizeof(pid)) == sizeof(pid));
		for (;;)
			pause();
	}
	CHILD(read(out[0], &pid, sizeof(pid)) == sizeof(pid));
	fd = (int)syscall(SYS_pidfd_open, pid, 0);
	CHILD(fd != -1);
	CHILD(kill(host, SIGKILL) == 0 && waitpid(host, NULL, 0) == host);
	CHILD(ended(fd, PATIENCE));
}

ATF_TP_ADD_TCS(tp)
{
	ATF_TP_ADD_TC(tp, unprepared);
	ATF_TP_ADD_TC(tp, alike);
	ATF_TP_ADD_TC(tp, environment);
	ATF_TP_ADD_TC(tp, kept);
	ATF_TP_ADD_TC(tp, on_their_way);
	ATF_TP_ADD_TC(tp, no_traces);
	ATF_TP_ADD_TC(tp, in_action);
	ATF_TP_ADD_TC(tp, invisible);
	ATF_TP_ADD_TC(tp, killed);
	ATF_TP_ADD_TC(tp, spares_killed);
	ATF_TP_ADD_TC(tp, signals_forgotten);
	ATF_TP_ADD_TC(tp, spare_dies);
	ATF_TP_ADD_TC(tp, host_dies);
	ATF_TP_ADD_TC(tp, not_taken);
	ATF_TP_ADD_TC(tp, refused);
	ATF_TP_ADD_TC(tp, soft_limit);
	ATF_TP_ADD_TC(tp, spares_set);
	ATF_TP_ADD_TC(tp, stopped);
	ATF_TP_ADD_TC(tp, spares_stopped);
	ATF_TP_ADD_TC(tp, stopped_for_a_while);
	ATF_TP_ADD_TC(tp, many);
	ATF_TP_ADD_TC(tp, killed_meanwhile);
	ATF_TP_ADD_TC(tp, killed_untold);
	ATF_TP_ADD_TC(tp, killed_in_any_order);
	ATF_TP_ADD_TC(tp, orphan);
	ATF_TP_ADD_TC(tp, orphan_noticed);
	ATF_TP_ADD_TC(tp, orphan_untold);
	ATF_TP_ADD_TC(tp, orphan_noticed_untold);
	ATF_TP_ADD_TC(tp, orphan_later);
	ATF_TP_ADD_TC(tp, host_descriptors);
	ATF_TP_ADD_TC(tp, host_descriptor);
	ATF_TP_ADD_TC(tp, host_descriptor_adopts);
	ATF_TP_ADD_TC(tp, descriptors);
	ATF_TP_ADD_TC(tp, processes);
	ATF_TP_ADD_TC(tp, no_memory);
	ATF_TP_ADD_TC(tp, leaves);
	ATF_TP_ADD_TC(tp, host_ends);
	ATF_TP_ADD_TC(tp, environment_pages);
	ATF_TP_ADD_TC(tp, forged);
	ATF_TP_ADD_TC(tp, cannot_wait);
	ATF_TP_ADD_TC(tp, ahead);
	ATF_TP_ADD_TC(tp, nothing_kept);
	ATF_TP_ADD_TC(tp, adopts);
	return atf_no_error();
}
