/*
 * SPDX-License-Identifier: BSD-2-Clause
 *
 * Copyright (c) 2026 The libgons developers
 *
 * See prepared.h.
 */

#include <sys/prctl.h>
#include <sys/stat.h>

#include <atf-c.h>

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include <gons.h>

#include "helpers.h"
#include "prepared.h"

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
	struct stat st;
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
	if (stat("/proc/self/exe", &st) == 0)
		printf("file %llu\n", (unsigned long long)st.st_ino);
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

static int
print_pid(void)
{
	printf("%d\n", (int)getpid());
	return 0;
}

/* Until the other end of descriptor LIFE is closed; a byte is a failure. */
static int
hold(void)
{
	const char *fd = getenv("LIFE");
	char c;

	return fd == NULL || write(STDOUT_FILENO, "x", 1) != 1 ||
	       read(atoi(fd), &c, 1) != 0;
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
 * A child that collects coverage for its action forgets what a spare has counted
 * before.  So that the coverage of the library itself has that, none is
 * collected for the actions here.
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
	gons_reexec_register("print_pid", print_pid);
	gons_reexec_register("hold", hold);
	gons_reexec_register("ignores", ignores);
	gons_reexec_register("nested", nested);
	gons_reexec_check();
}

struct gons_reexec *
request(const char *action, unsigned flags)
{
	struct gons_reexec *req = gons_reexec_new(action);

	CHILD(req != NULL);
	CHILD(gons_reexec_setflags(req, flags | GONS_REEXEC_PREPARED) == 0);
	return req;
}

const char *
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

const char *
fresh(const char *action)
{
	struct gons_reexec *req = gons_reexec_new(action);
	char *copy;

	CHILD(req != NULL && gons_reexec_run(req) == 0);
	copy = strdup(gons_reexec_result(req, NULL));
	gons_reexec_free(req);
	return copy;
}

const char *
result(const char *action)
{
	return run_flags(action, 0);
}

pid_t
prepared_pid(void)
{
	CHILD(gons_reexec_prepare() == 0);
	return atoi(result("parent"));
}

long long
clock_ms(void)
{
	struct timespec t;

	(void)clock_gettime(CLOCK_MONOTONIC, &t);
	return t.tv_sec * 1000LL + t.tv_nsec / 1000000;
}

int
ended(int pidfd, int ms)
{
	struct pollfd p = { pidfd, POLLIN, 0 };

	return poll(&p, 1, ms) == 1;
}

int
children_of(pid_t pid, pid_t *list, int room)
{
	char path[64];
	int child, n = 0;
	FILE *f;

	(void)snprintf(path, sizeof(path), "/proc/%d/task/%d/children",
	    (int)pid, (int)pid);
	if ((f = fopen(path, "re")) == NULL)
		return -1;
	while (n < room && fscanf(f, "%d", &child) == 1)
		list[n++] = child;
	fclose(f);
	return n;
}

int
signal_spares(pid_t pid, int signo)
{
	pid_t list[MAX_CHILDREN];
	int i, n = children_of(pid, list, MAX_CHILDREN);

	for (i = 0; i < n; i++)
		(void)kill(list[i], signo);
	return n;
}

void
signal_all(pid_t pid, int signo, int itself)
{
	if (itself)
		CHILD(kill(pid, signo) == 0);
	(void)signal_spares(pid, signo);
}

void
works(void)
{
	const char *a = fresh("who"), *b = result("who");

	if (strcmp(a, b) != 0) {
		fprintf(stderr, "executed:\n%sprepared:\n%s", a, b);
		CHILD(!"alike");
	}
}
