/*
 * SPDX-License-Identifier: BSD-2-Clause
 *
 * Copyright (c) 2026 The libgons developers
 *
 * A program with privileges that runs actions, in the way that its first
 * argument names; the second is a reference to a uts namespace, if any.
 */

#include <sys/prctl.h>
#include <sys/stat.h>
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

/* With the real user ID, which has started this program, and nothing else. */
static void
signal_as_user(pid_t pid, int signo)
{
	int status;
	pid_t child;

	fflush(NULL);
	if ((child = fork()) == 0) {
		if (setresgid(getgid(), getgid(), getgid()) == -1 ||
		    setresuid(getuid(), getuid(), getuid()) == -1)
			_exit(2);
		_exit(kill(pid, signo) == 0 ? 0 : 1);
	}
	if (child == -1 || waitpid(child, &status, 0) != child || status != 0)
		errx(1, "the user may not signal %d: %#x", (int)pid,
		    (unsigned)status);
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
	    gons_reexec_register("signals", signal_supervisor) == -1)
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
