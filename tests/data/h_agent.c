/*
 * SPDX-License-Identifier: BSD-2-Clause
 *
 * Copyright (c) 2026 The libgons developers
 *
 * A program with privileges that runs actions, in the way that its first
 * argument names; the second is a reference to a uts namespace, if any.
 */

#include <sys/prctl.h>
#include <sys/ptrace.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/uio.h>
#include <sys/wait.h>

#include <err.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <gons.h>

static const char *mode = "", *uts;

/* The lines of /proc/self/status that begin with one of these. */
static void
print_status(void)
{
	static const char *const names[] = { "SigBlk:", "SigIgn:", "SigCgt:" };
	char line[256];
	size_t i;
	FILE *f;

	if ((f = fopen("/proc/self/status", "re")) == NULL)
		err(1, "/proc/self/status");
	while (fgets(line, sizeof(line), f) != NULL)
		for (i = 0; i < 3; i++)
			if (strncmp(line, names[i], strlen(names[i])) == 0)
				printf("%s", line);
	fclose(f);
}

/* Where and as what it runs, one thing a line. */
static int
look(void)
{
	char cwd[PATH_MAX], name[64];
	char **e;
	ssize_t n;
	mode_t mask = umask(0);
	int fd;

	if ((n = readlink("/proc/self/ns/uts", name, sizeof(name))) == -1 ||
	    getcwd(cwd, sizeof(cwd)) == NULL)
		return 1;
	printf("uts %.*s\n", (int)n, name);
	printf("cwd %s\numask %03o\ndumpable %d\n", cwd, (unsigned)mask,
	    prctl(PR_GET_DUMPABLE, 0, 0, 0, 0));
	printf("slack %d\n", prctl(PR_GET_TIMERSLACK, 0, 0, 0, 0));
	for (e = environ; e != NULL && *e != NULL; e++)
		printf("env %s\n", *e);
	for (fd = 3; fd < 1024; fd++)
		if (fcntl(fd, F_GETFD) == 0)
			printf("fd %d\n", fd);
	print_status();
	return 0;
}

static int
hang(void)
{
	for (;;)
		pause();
	return 0;
}

static int
tell_parent(void)
{
	printf("%d", (int)getppid());
	return 0;
}

static void *
idle(void *unused)
{
	(void)unused;
	hang();
	return NULL;
}

static int
run(struct gons_reexec *req, const char *what)
{
	int r = gons_reexec_run(req);

	if (r == -1)
		printf(
		    "%s: errno %d: %s\n", what, errno, gons_reexec_error(req));
	return r;
}

static struct gons_reexec *
request(const char *action)
{
	struct gons_reexec *req;

	if ((req = gons_reexec_new(action)) == NULL ||
	    (uts != NULL && gons_reexec_namespace(req, "uts", uts) == -1) ||
	    gons_reexec_setenv(req, "OURS", "yes") == -1 ||
	    gons_reexec_settimeout(req, 20000) == -1)
		err(1, "request");
	return req;
}

static void
run_look(const char *what)
{
	struct gons_reexec *req = request("look");

	if (run(req, what) == 0)
		printf("%s", (const char *)gons_reexec_result(req, NULL));
	gons_reexec_free(req);
}

/* From here on it is the user who has started this program, and no more. */
static void
be_the_user(void)
{
	unsigned head[2] = { 0x20080522, 0 }, none[6] = { 0 };

	if (setresgid(getgid(), getgid(), getgid()) == -1 ||
	    setresuid(getuid(), getuid(), getuid()) == -1 ||
	    syscall(SYS_capset, head, none) == -1)
		_exit(125);
}

/* What the function returns for the process, called by the user. */
static int
as_user(int (*function)(pid_t, int), pid_t pid, int arg)
{
	int status;
	pid_t child;

	fflush(NULL);
	if ((child = fork()) == 0) {
		be_the_user();
		_exit(function(pid, arg));
	}
	if (child == -1 || waitpid(child, &status, 0) != child ||
	    !WIFEXITED(status) || WEXITSTATUS(status) == 125)
		errx(1, "no other user: %#x", (unsigned)status);
	return WEXITSTATUS(status);
}

static int
try_kill(pid_t pid, int signo)
{
	return kill(pid, signo) == -1;
}

static void
signal_as_user(pid_t pid, int signo)
{
	if (as_user(try_kill, pid, signo) != 0)
		errx(1, "the user may not signal %d", (int)pid);
}

/* In how many ways can the process be looked into? */
static int
look_into(pid_t pid, int unused)
{
	static const char *const files[] = { "mem", "environ", "maps", "fd",
		"map_files", "ns/uts", "cwd", "root", "exe", "fd/0" };
	char buf[16], path[64];
	struct iovec to = { buf, sizeof(buf) }, from = { buf, sizeof(buf) };
	int fd, ways = 0;
	size_t i;

	(void)unused;
	for (i = 0; i < sizeof(files) / sizeof(files[0]); i++) {
		(void)snprintf(
		    path, sizeof(path), "/proc/%d/%s", (int)pid, files[i]);
		fd = open(path, O_RDONLY | O_CLOEXEC);
		ways += fd != -1 || readlink(path, buf, sizeof(buf)) != -1;
		(void)close(fd);
	}
	ways += process_vm_readv(pid, &to, 1, &from, 1, 0) != -1;
	ways += ptrace(PTRACE_SEIZE, pid, NULL, NULL) != -1;
	return ways;
}

/* The same for a process of the user's own, which has no secrets. */
static int
look_into_own(pid_t unused, int none)
{
	pid_t pid;
	int ways;

	(void)unused;
	if (prctl(PR_SET_DUMPABLE, 1, 0, 0, 0) == -1 || (pid = fork()) == -1)
		return 125;
	while (pid == 0)
		pause();
	ways = look_into(pid, none);
	(void)kill(pid, SIGKILL);
	return ways;
}

/* Has it taken all signals, and does it wait for more? */
static int
rests(pid_t pid)
{
	char line[256], path[64];
	int resting = 1;
	FILE *f;

	(void)snprintf(path, sizeof(path), "/proc/%d/status", (int)pid);
	if ((f = fopen(path, "re")) == NULL)
		err(1, "%s", path);
	while (fgets(line, sizeof(line), f) != NULL)
		if ((strncmp(line, "State:", 6) == 0 && line[7] != 'S') ||
		    (strncmp(line, "ShdPnd:", 7) == 0 &&
			strspn(line + 7, "\t0") + 8 != strlen(line)))
			resting = 0;
	fclose(f);
	return resting;
}

/* The supervisor does not pass on what the user sends to it. */
static int
signal_supervisor(void)
{
	signal_as_user(getppid(), SIGUSR1);
	while (!rests(getppid()))
		sched_yield();
	printf("alive");
	return 0;
}

/* Each process, then an action that has become the user itself. */
static int
be_spied_on(void)
{
	pid_t action = getpid();
	int ways;

	ways = as_user(look_into, action, 0);
	ways += as_user(look_into, getppid(), 0);
	ways += as_user(look_into, (pid_t)atoi(getenv("SERVER")), 0);
	printf("own %d, others %d", as_user(look_into_own, 0, 0), ways);
	be_the_user();
	printf(", dropped %d", as_user(look_into, action, 0));
	return 0;
}

/* The process that the actions are forked off. */
static pid_t
server(void)
{
	struct gons_reexec *req = request("parent");
	pid_t pid;

	if (run(req, "parent") == -1)
		exit(1);
	pid = (pid_t)atoi(gons_reexec_result(req, NULL));
	gons_reexec_free(req);
	return pid;
}

static void
await_end(pid_t pid)
{
	while (kill(pid, 0) == 0)
		sched_yield();
}

static void
run_spied(void)
{
	struct gons_reexec *req = request("spied");
	char number[16];

	(void)snprintf(number, sizeof(number), "%d", (int)server());
	gons_reexec_setflags(req, GONS_REEXEC_DIE_WITH_PARENT);
	gons_reexec_setenv(req, "SERVER", number);
	if (run(req, "spied") == 0)
		printf(
		    "spied: %s\n", (const char *)gons_reexec_result(req, NULL));
	gons_reexec_free(req);
}

static void
misuse(void)
{
	struct gons_reexec *req;
	pid_t pid;

	if (strcmp(mode, "killed") == 0) {
		pid = server();
		signal_as_user(pid, SIGKILL);
		await_end(pid);
	} else if (strcmp(mode, "stopped") == 0) {
		pid = server();
		signal_as_user(pid, SIGSTOP);
		req = request("parent");
		gons_reexec_settimeout(req, 100);
		while (run(req, "stopped") == 0)
			; /* spares that were there already */
		gons_reexec_free(req);
		signal_as_user(pid, SIGCONT);
	} else if (strcmp(mode, "hangs") == 0) {
		req = request("hang");
		gons_reexec_settimeout(req, 300);
		run(req, "hangs");
		gons_reexec_free(req);
	} else if (strcmp(mode, "dropped") == 0) {
		run_look("before");
		if (prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) == -1)
			err(1, "no_new_privs");
	} else if (strcmp(mode, "unprepared") == 0) {
		gons_reexec_unprepare();
	} else if (strcmp(mode, "late") == 0) {
		if (gons_reexec_allowsecure() == -1)
			printf("late: errno %d\n", errno);
	} else if (strcmp(mode, "signals") == 0) {
		req = request("signals");
		gons_reexec_setflags(req, GONS_REEXEC_DIE_WITH_PARENT);
		if (run(req, "signals") == 0)
			printf("signals: %s\n",
			    (const char *)gons_reexec_result(req, NULL));
		gons_reexec_free(req);
	} else if (strcmp(mode, "spied") == 0) {
		run_spied();
	} else if (strcmp(mode, "sealed") == 0) {
		req = request("look");
		gons_reexec_setflags(req, GONS_REEXEC_SEALED);
		run(req, "sealed");
		gons_reexec_free(req);
	}
}

int
main(int argc, char *argv[])
{
	pthread_t thread;

	if (argc > 1)
		mode = argv[1];
	if (argc > 2)
		uts = argv[2];
	(void)prctl(PR_SET_DUMPABLE, 1, 0, 0, 0);
	if (gons_reexec_register("look", look) == -1 ||
	    gons_reexec_register("hang", hang) == -1 ||
	    gons_reexec_register("parent", tell_parent) == -1 ||
	    gons_reexec_register("signals", signal_supervisor) == -1 ||
	    gons_reexec_register("spied", be_spied_on) == -1)
		err(1, "register");
	if (strcmp(mode, "thread") == 0 &&
	    pthread_create(&thread, NULL, idle, NULL) != 0)
		errx(1, "pthread_create");
	if (strcmp(mode, "closed") == 0)
		close(STDIN_FILENO);
	if (strcmp(mode, "refused") != 0 && strcmp(mode, "late") != 0 &&
	    gons_reexec_allowsecure() == -1)
		err(1, "allowsecure");
	gons_reexec_check();
	misuse();
	run_look(mode);
	fflush(stdout);
	return 0;
}
