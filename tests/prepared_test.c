/*
 * SPDX-License-Identifier: BSD-2-Clause
 *
 * Copyright (c) 2026 The libgons developers
 *
 * Prepared children in bad circumstances: the process that they come from is
 * killed, stopped or short of something; the host changes after it was made;
 * one request leaves traces that the next must not see.
 */

#include <sys/mount.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>

#include <atf-c.h>

#include <errno.h>
#include <fcntl.h>
#include <grp.h>
#include <poll.h>
#include <pthread.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include <gons.h>

#include "helpers.h"

#define MANY 300
#define THREADS 8
#define PATIENCE 60000 /* ms; less than this is no hang */
#define DELAY 300 /* ms; enough for another process to get far */

/* The thread sanitizer's run time catches signals of its own. */
static int
is_foreign(const char *line)
{
	return THREAD_SANITIZER && strncmp(line, "SigCgt", 6) == 0;
}

/* One line for each thing that a child may have from its predecessors. */
static int
who(void)
{
	char buf[4096], *line, *more;
	const char *x = getenv("SPOILT");
	sigset_t set;
	size_t n;
	FILE *f = fopen("/proc/self/status", "re");
	mode_t mask = umask(0);
	int fd, signo;

	printf("uids %d %d %d\n", (int)getuid(), (int)geteuid(), (int)getgid());
	if (f == NULL || (n = fread(buf, 1, sizeof(buf) - 1, f)) == 0)
		return 1;
	buf[n] = '\0';
	fclose(f);
	for (line = strtok_r(buf, "\n", &more); line != NULL;
	     line = strtok_r(NULL, "\n", &more))
		if (strncmp(line, "Cap", 3) == 0 ||
		    strncmp(line, "Groups", 6) == 0 ||
		    strncmp(line, "Sig", 3) == 0 ||
		    strncmp(line, "NoNew", 5) == 0)
			if (strncmp(line, "SigQ", 4) != 0 && !is_foreign(line))
				printf("%s\n", line);
	printf("bits %d\n", prctl(PR_GET_SECUREBITS));
	printf("cwd %s\n", getcwd(buf, sizeof(buf)));
	printf("umask %o\nenv %s\n", (unsigned)mask, x != NULL ? x : "-");
	for (fd = 3; fd < 1024; fd++)
		if (fcntl(fd, F_GETFD) == 0)
			printf("inherits %d\n", fd);
	(void)sigprocmask(SIG_SETMASK, NULL, &set);
	for (signo = 1; signo < 64; signo++)
		if (sigismember(&set, signo) == 1)
			printf("blocked %d\n", signo);
	n = (size_t)readlink("/proc/self/ns/uts", buf, sizeof(buf) - 1);
	printf("uts %.*s\n", (int)n, buf);
	return 0;
}

static int
spoil(void)
{
	sigset_t all;

	(void)setenv("SPOILT", "by another", 1);
	(void)chdir("/dev");
	(void)umask(0);
	(void)dup2(0, 9);
	(void)dup2(0, 10);
	(void)signal(SIGUSR1, SIG_IGN);
	(void)signal(SIGCHLD, SIG_IGN);
	(void)sigfillset(&all);
	(void)sigprocmask(SIG_SETMASK, &all, NULL);
	(void)unshare(CLONE_NEWUTS);
	(void)fcntl(STDIN_FILENO, F_SETFL, O_NONBLOCK);
	(void)prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0);
	if (getuid() == 0)
		(void)!setuid(NOBODY);
	return 0;
}

static int
parent(void)
{
	printf("%d\n", (int)getppid());
	return 0;
}

/* Until the other end of descriptor LIFE is closed. */
static int
hold(void)
{
	const char *fd = getenv("LIFE");
	char c;

	return fd == NULL || read(atoi(fd), &c, 1) != 0;
}

static int
ignores(void)
{
	struct sigaction action;

	printf("%d", sigaction(SIGUSR1, NULL, &action) != 0 ||
			 action.sa_handler != SIG_DFL);
	return 0;
}

static int
nested(void)
{
	int r = gons_reexec_prepare();

	printf("%d %d", r == -1, errno == EPERM);
	return 0;
}

static int
held(void)
{
	int fd, n = 0;

	for (fd = 0; fd < 1024; fd++)
		n += fcntl(fd, F_GETFD) != -1;
	printf("%d", n);
	return 0;
}

/* How many variables there are, and something that depends on each byte. */
static int
sum(void)
{
	unsigned long long hash = 0;
	char **e, *p;

	for (e = environ; *e != NULL; e++)
		for (p = *e; p == *e || p[-1] != '\0'; p++)
			hash = hash * 31 + (unsigned char)*p;
	printf("%d %llu", (int)(e - environ), hash);
	return 0;
}

/*
 * What a spare has done before its action does not count as the action's: with
 * GONS_COVERAGE it would not be seen in the coverage of the library itself.
 */
__attribute__((constructor)) static void
actions(void)
{
	(void)setenv("GONS_COVERAGE", "0", 1);
	gons_reexec_register("held", held);
	gons_reexec_register("sum", sum);
	gons_reexec_register("who", who);
	gons_reexec_register("spoil", spoil);
	gons_reexec_register("parent", parent);
	gons_reexec_register("hold", hold);
	gons_reexec_register("ignores", ignores);
	gons_reexec_register("nested", nested);
	gons_reexec_check();
}

static struct gons_reexec *
request(const char *action, unsigned flags)
{
	struct gons_reexec *req = gons_reexec_new(action);

	CHILD(req != NULL);
	CHILD(gons_reexec_setflags(req, flags | GONS_REEXEC_PREPARED) == 0);
	return req;
}

/* The result; it lives as long as the program. */
static const char *
run_flags(const char *action, unsigned flags)
{
	struct gons_reexec *req = request(action, flags);
	char *copy;

	if (gons_reexec_run(req) == -1) {
		fprintf(stderr, "%s\n", gons_reexec_error(req));
		CHILD(!"gons_reexec_run");
	}
	copy = strdup(gons_reexec_result(req, NULL));
	gons_reexec_free(req);
	return copy;
}

static const char *
fresh(const char *action)
{
	struct gons_reexec *req = gons_reexec_new(action);
	char *copy;

	CHILD(req != NULL && gons_reexec_run(req) == 0);
	copy = strdup(gons_reexec_result(req, NULL));
	gons_reexec_free(req);
	return copy;
}

static const char *
result(const char *action)
{
	return run_flags(action, 0);
}

static pid_t
prepared_pid(void)
{
	CHILD(gons_reexec_prepare() == 0);
	return atoi(result("parent"));
}

static long long
clock_ms(void)
{
	struct timespec t;

	(void)clock_gettime(CLOCK_MONOTONIC, &t);
	return t.tv_sec * 1000LL + t.tv_nsec / 1000000;
}

/* Waits until the process has ended. */
static int
ended(int pidfd, int ms)
{
	struct pollfd p = { pidfd, POLLIN, 0 };

	return poll(&p, 1, ms) == 1;
}

/* How many it has ready, each of which gets the signal; -1: not to be known. */
static int
signal_spares(pid_t pid, int signo)
{
	char path[64];
	int child, n = 0;
	FILE *f;

	(void)snprintf(path, sizeof(path), "/proc/%d/task/%d/children",
	    (int)pid, (int)pid);
	if ((f = fopen(path, "re")) == NULL)
		return -1;
	for (; fscanf(f, "%d", &child) == 1; n++)
		(void)kill(child, signo);
	fclose(f);
	return n;
}

/* The signal, to the children that it has ready as well. */
static void
signal_all(pid_t pid, int signo, int itself)
{
	if (itself)
		CHILD(kill(pid, signo) == 0);
	(void)signal_spares(pid, signo);
}

static int
spares(pid_t pid)
{
	int n = signal_spares(pid, 0);

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

/* It runs what it should, and is what an executed child is. */
static void
works(void)
{
	const char *a = fresh("who"), *b = result("who");

	if (strcmp(a, b) != 0) {
		fprintf(stderr, "executed:\n%sprepared:\n%s", a, b);
		CHILD(!"alike");
	}
}

/* head and needs are statements, for the case's properties and before it. */
#define CASE_IF(name, text, head, needs)              \
	static void name##_run(void *);               \
	ATF_TC(name);                                 \
	ATF_TC_HEAD(name, tc)                         \
	{                                             \
		atf_tc_set_md_var(tc, "descr", text); \
		head;                                 \
	}                                             \
	ATF_TC_BODY(name, tc)                         \
	{                                             \
		(void)tc;                             \
		needs;                                \
		in_child(name##_run, NULL);           \
	}                                             \
	static void name##_run(void *unused __attribute__((unused)))

#define CASE(name, text) CASE_IF(name, text, (void)0, (void)0)
#define CASE_ROOT(name, text)                                              \
	CASE_IF(name, text, atf_tc_set_md_var(tc, "require.user", "root"), \
	    need_nobody())

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

CASE(spares_killed, "and so are children that it had ready")
{
	pid_t pid = prepared_pid();
	int i;

	for (i = 0; i < 10; i++) {
		signal_all(pid, SIGKILL, 0);
		(void)result("parent");
	}
	works();
}

/*
 * In the prepared process: its first spare dies, and the host learns of that
 * spare before this process gets any further.
 */
ssize_t __real_sendmsg(int, const struct msghdr *, int);
ssize_t __wrap_sendmsg(int, const struct msghdr *, int);
ssize_t
__wrap_sendmsg(int sock, const struct msghdr *msg, int flags)
{
	const char *host = getenv("FIRST_DIES");
	struct pollfd p = { sock, 0, 0 };
	ssize_t n;

	if (host == NULL || atoi(host) == getpid() || spares(getpid()) == 0)
		return __real_sendmsg(sock, msg, flags);
	(void)unsetenv("FIRST_DIES");
	signal_all(getpid(), SIGKILL, 0);
	n = __real_sendmsg(sock, msg, flags);
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

CASE(stopped, "one that is stopped does not hold up a request")
{
	pid_t pid = prepared_pid();
	long long start = clock_ms();

	signal_all(pid, SIGSTOP, 1);
	CHILD(atoi(result("parent")) != pid);
	CHILD(clock_ms() - start < PATIENCE);
	works();
}

CASE(spares_stopped, "nor does a spare child that is stopped")
{
	struct gons_reexec *req;
	pid_t pid = prepared_pid();

	signal_all(pid, SIGSTOP, 0);
	req = request("parent", 0);
	CHILD(gons_reexec_start(req) == 0);
	CHILD(gons_reexec_wait(req) == 0);
	gons_reexec_free(req);
	works();
}

CASE(stopped_for_a_while, "kill and free do not wait for one that is stopped")
{
	struct gons_reexec *req;
	pid_t pid = prepared_pid();
	long long start = clock_ms();

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

CASE(many, "300 at a time")
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

CASE(descriptors, "so does one whose prepared process has none")
{
	limited(RLIMIT_NOFILE, 4, EMFILE);
}

CASE(processes, "and one that cannot have more processes")
{
	drop_to_nobody();
	limited(RLIMIT_NPROC, 1, EAGAIN);
}

CASE(forked, "a forked copy of the host has one of its own")
{
	pid_t pid = prepared_pid(), copy;
	int status;

	if ((copy = fork()) == 0) {
		CHILD(atoi(result("parent")) != pid);
		_exit(0);
	}
	CHILD(waitpid(copy, &status, 0) == copy && status == 0);
	CHILD(atoi(result("parent")) == pid);
}

CASE(host_ends, "it ends with its host")
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

CASE(flags, "together with other flags")
{
	CHILD(strcmp(run_flags("nested", GONS_REEXEC_SEALED), "1 1") == 0);
	CHILD(strcmp(run_flags("nested", GONS_REEXEC_DIE_WITH_PARENT), "1 1") ==
	      0);
	CHILD(strcmp(run_flags("nested",
			 GONS_REEXEC_SEALED | GONS_REEXEC_DIE_WITH_PARENT),
		  "1 1") == 0);
}

static void *
thread(void *unused)
{
	int i;

	for (i = 0; i < 10; i++)
		CHILD(strcmp(result("nested"), "1 1") == 0);
	return unused;
}

CASE(threads, "from several threads")
{
	pthread_t t[THREADS];
	int i;

	for (i = 0; i < THREADS; i++)
		CHILD(pthread_create(&t[i], NULL, thread, NULL) == 0);
	for (i = 0; i < THREADS; i++)
		CHILD(pthread_join(t[i], NULL) == 0);
}

/* What the host has given up, its actions do not have. */
static void
gives_up(void (*how)(void))
{
	pid_t pid;

	if (getuid() != 0)
		sandbox(0);
	pid = prepared_pid();
	how();
	CHILD(atoi(result("parent")) != pid);
	works();
	works();
}

static void
give_up_bounding(void)
{
	CHILD(prctl(PR_CAPBSET_DROP, 0, 0, 0, 0) == 0);
}

static void
give_up_caps(void)
{
	unsigned head[2] = { 0x20080522, 0 }, caps[6] = { 0 };

	CHILD(syscall(SYS_capset, head, caps) == 0);
}

static void
give_up_bits(void)
{
	CHILD(prctl(PR_SET_SECUREBITS, 1 << 2, 0, 0, 0) == 0);
}

static void
change_uts(void)
{
	CHILD(unshare(CLONE_NEWUTS) == 0);
}

static void
give_up_groups(void)
{
	gid_t group = 1;

	CHILD(setgroups(1, &group) == 0);
}

CASE(bounding, "the host drops a capability from its bounding set")
{
	gives_up(give_up_bounding);
}

CASE(capabilities, "the host drops its capabilities")
{
	gives_up(give_up_caps);
}

CASE(securebits, "the host changes its securebits")
{
	gives_up(give_up_bits);
}

CASE(uts, "the host goes to another namespace")
{
	gives_up(change_uts);
}

CASE(descriptor_table, "what says nothing of privileges may change")
{
	pid_t pid = prepared_pid();

	CHILD(dup2(STDIN_FILENO, 700) == 700);
	CHILD(atoi(result("parent")) == pid);
}

CASE(no_proc, "all that can be known without /proc")
{
	pid_t pid;

	sandbox(CLONE_NEWNS);
	CHILD(mount("none", "/proc", "tmpfs", 0, NULL) == 0);
	CHILD(access("/proc/self", F_OK) == -1);
	CHILD(signal(SIGUSR1, SIG_IGN) != SIG_ERR);
	if (!SANITIZER) /* see need_no_proc() */
		CHILD(strcmp(fresh("ignores"), "0") == 0);
	pid = prepared_pid();
	CHILD(atoi(result("parent")) == pid);
	CHILD(strcmp(result("ignores"), "0") == 0);
	give_up_bounding();
	CHILD(atoi(result("parent")) != pid);
	pid = prepared_pid();
	give_up_caps();
	CHILD(atoi(result("parent")) != pid);
}

/* Then there is only to close what there may be, one by one. */
CASE_IF(no_list, "descriptors are closed with neither /proc nor close_range(2)",
    (void)0, need_no_proc())
{
	static const struct rule rule = { SYS_close_range, -1, 0, 0, ENOSYS };
	const char *before = fresh("held");
	int i;

	sandbox(CLONE_NEWNS);
	CHILD(mount("none", "/proc", "tmpfs", 0, NULL) == 0);
	for (i = 0; i < 5; i++)
		CHILD(fcntl(STDIN_FILENO, F_DUPFD, 50 + 100 * i) != -1);
	forbid(&rule, 1);
	CHILD(strcmp(before, fresh("held")) == 0);
	CHILD(strcmp(before, result("held")) == 0);
}

CASE_ROOT(no_proc_groups, "groups and ambient capabilities, too")
{
	enum {
		NET_BIND = 10
	};
	unsigned head[2] = { 0x20080522, 0 }, caps[6];
	gid_t group[] = { 1, 2 };
	pid_t pid;

	CHILD(unshare(CLONE_NEWNS) == 0);
	CHILD(mount("none", "/", NULL, MS_REC | MS_PRIVATE, NULL) == 0);
	CHILD(mount("none", "/proc", "tmpfs", 0, NULL) == 0);
	CHILD(setgroups(2, group) == 0);
	CHILD(syscall(SYS_capget, head, caps) == 0);
	caps[2] |= 1u << NET_BIND;
	CHILD(syscall(SYS_capset, head, caps) == 0);
	CHILD(prctl(PR_CAP_AMBIENT, PR_CAP_AMBIENT_RAISE, NET_BIND, 0, 0) == 0);
	pid = prepared_pid();
	CHILD(atoi(result("parent")) == pid);
	CHILD(prctl(PR_CAP_AMBIENT, PR_CAP_AMBIENT_LOWER, NET_BIND, 0, 0) == 0);
	CHILD(atoi(result("parent")) != pid);
	pid = prepared_pid();
	group[1] = 3;
	CHILD(setgroups(2, group) == 0);
	CHILD(atoi(result("parent")) != pid);
	pid = prepared_pid();
	CHILD(atoi(result("parent")) == pid);
}

CASE_ROOT(ids, "the host becomes an ordinary user")
{
	gives_up(drop_to_nobody);
}

CASE_ROOT(other_root, "the host has a root without /proc")
{
	struct gons_reexec *req;
	pid_t pid = prepared_pid();

	CHILD(mkdir("bare", 0755) == 0);
	CHILD(chroot("bare") == 0 && chdir("/") == 0);
	CHILD(atoi(result("parent")) == pid);
	/* Where nothing can be executed: not at all, rather than as root. */
	drop_to_nobody();
	req = gons_reexec_new("parent");
	CHILD(gons_reexec_setflags(req, GONS_REEXEC_PREPARED) == 0);
	CHILD(gons_reexec_run(req) == -1 ||
	      atoi(gons_reexec_result(req, NULL)) != pid);
	gons_reexec_free(req);
}

CASE_ROOT(groups, "the host changes its groups")
{
	gives_up(give_up_groups);
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
	ATF_TP_ADD_TC(tp, spare_dies);
	ATF_TP_ADD_TC(tp, spares_set);
	ATF_TP_ADD_TC(tp, stopped);
	ATF_TP_ADD_TC(tp, spares_stopped);
	ATF_TP_ADD_TC(tp, stopped_for_a_while);
	ATF_TP_ADD_TC(tp, many);
	ATF_TP_ADD_TC(tp, killed_meanwhile);
	ATF_TP_ADD_TC(tp, host_descriptors);
	ATF_TP_ADD_TC(tp, descriptors);
	ATF_TP_ADD_TC(tp, processes);
	ATF_TP_ADD_TC(tp, forked);
	ATF_TP_ADD_TC(tp, host_ends);
	ATF_TP_ADD_TC(tp, flags);
	ATF_TP_ADD_TC(tp, threads);
	ATF_TP_ADD_TC(tp, bounding);
	ATF_TP_ADD_TC(tp, capabilities);
	ATF_TP_ADD_TC(tp, securebits);
	ATF_TP_ADD_TC(tp, uts);
	ATF_TP_ADD_TC(tp, descriptor_table);
	ATF_TP_ADD_TC(tp, no_proc);
	ATF_TP_ADD_TC(tp, no_list);
	ATF_TP_ADD_TC(tp, no_proc_groups);
	ATF_TP_ADD_TC(tp, ids);
	ATF_TP_ADD_TC(tp, groups);
	ATF_TP_ADD_TC(tp, other_root);
	return atf_no_error();
}
