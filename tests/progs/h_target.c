/*
 * SPDX-License-Identifier: BSD-2-Clause
 *
 * Copyright (c) 2026 The libgons developers
 *
 * h_target [-ef] [-w file] types command...
 *
 * Makes a process in new namespaces of the given types ("mnt,net,user"), runs
 * the command while that process lives, and ends with the command's status.
 * The command finds the process's number in TARGET.
 *
 *	-e	sets gons_TYPE to /proc/NUMBER/ns/TYPE for the command
 *	-f	the same with "fd:N", descriptors that the command inherits
 *	-w	writes to a file what h_plain prints inside these namespaces
 *
 * It ends with 77 and the reason if the kernel does not allow it.
 */

#include <sys/types.h>
#include <sys/wait.h>

#include <err.h>
#include <errno.h>
#include <fcntl.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#ifndef CLONE_NEWTIME
#define CLONE_NEWTIME 0x00000080
#endif

#define EXIT_SKIP 77
#define NTYPES (sizeof(types) / sizeof(types[0]))

static const struct type {
	const char *name;
	const char *link; /* where a process sees what it has joined */
	int flag;
} types[] = {
	{ "cgroup", "cgroup", CLONE_NEWCGROUP },
	{ "ipc", "ipc", CLONE_NEWIPC },
	{ "mnt", "mnt", CLONE_NEWNS },
	{ "net", "net", CLONE_NEWNET },
	{ "pid", "pid_for_children", CLONE_NEWPID },
	{ "time", "time", CLONE_NEWTIME },
	{ "user", "user", CLONE_NEWUSER },
	{ "uts", "uts", CLONE_NEWUTS },
};

static void usage(void) __attribute__((noreturn));
static int parse(const char *);
static pid_t make(int, int *);
static void hold(int, int, int) __attribute__((noreturn));
static void put(const char *, const char *);
static void expect(const char *, int, pid_t);
static void set(int, pid_t, int);
static int run(char **);

int
main(int argc, char *argv[])
{
	const char *file = NULL;
	char number[32];
	pid_t pid;
	int ch, flags, held, mode = 0, status;

	while ((ch = getopt(argc, argv, "+efw:")) != -1)
		switch (ch) {
		case 'e':
		case 'f':
			mode = ch;
			break;
		case 'w':
			file = optarg;
			break;
		default:
			usage();
		}
	argc -= optind;
	argv += optind;
	if (argc < 2)
		usage();

	flags = parse(argv[0]);
	pid = make(flags, &held);
	(void)snprintf(number, sizeof(number), "%ld", (long)pid);
	if (setenv("TARGET", number, 1) == -1)
		err(1, "setenv");
	if (file != NULL)
		expect(file, flags, pid);
	if (mode != 0)
		set(flags, pid, mode);
	status = run(argv + 1);
	(void)close(held);
	while (wait(NULL) != -1 || errno == EINTR)
		continue;
	return status;
}

static void
usage(void)
{
	(void)fprintf(stderr,
	    "usage: h_target [-ef] [-w file] types command [argument ...]\n");
	exit(1);
}

static int
parse(const char *text)
{
	size_t i, len;
	int flags = 0;

	for (; *text != '\0'; text += len + (text[len] == ',')) {
		len = strcspn(text, ",");
		for (i = 0; i < NTYPES; i++)
			if (strlen(types[i].name) == len &&
			    strncmp(types[i].name, text, len) == 0)
				break;
		if (i == NTYPES)
			errx(1, "no such type: %s", text);
		flags |= types[i].flag;
	}
	return flags;
}

/* The processes live until held, and every copy of it, is closed. */
static pid_t
make(int flags, int *held)
{
	int hold_pipe[2], report[2];
	pid_t child, target;

	if (pipe2(hold_pipe, O_CLOEXEC) == -1 || pipe2(report, O_CLOEXEC) == -1)
		err(1, "pipe2");
	if ((child = fork()) == -1)
		err(1, "fork");
	if (child == 0) {
		(void)close(hold_pipe[1]);
		(void)close(report[0]);
		hold(flags, hold_pipe[0], report[1]);
	}
	(void)close(hold_pipe[0]);
	(void)close(report[1]);
	if (read(report[0], &target, sizeof(target)) != sizeof(target))
		exit(EXIT_SKIP); /* it has said why */
	(void)close(report[0]);
	*held = hold_pipe[1];
	return target;
}

/*
 * Two processes: a new pid or time namespace begins with the next child.
 */
static void
hold(int flags, int end, int report)
{
	char uids[32], gids[32];
	pid_t target;
	char c;

	(void)snprintf(uids, sizeof(uids), "0 %u 1", (unsigned)geteuid());
	(void)snprintf(gids, sizeof(gids), "0 %u 1", (unsigned)getegid());
	if (unshare(flags) == -1)
		err(1, "unshare(2) of 0x%x", (unsigned)flags);
	if ((flags & CLONE_NEWUSER) != 0) {
		put("/proc/self/setgroups", "deny");
		put("/proc/self/uid_map", uids);
		put("/proc/self/gid_map", gids);
	}
	if ((target = fork()) == -1)
		err(1, "fork");
	if (target != 0 &&
	    write(report, &target, sizeof(target)) != sizeof(target))
		_exit(1);
	(void)close(report);
	while (read(end, &c, 1) == -1 && errno == EINTR)
		continue;
	_exit(0);
}

static void
put(const char *path, const char *text)
{
	int fd;

	if ((fd = open(path, O_WRONLY | O_CLOEXEC)) == -1 ||
	    write(fd, text, strlen(text)) == -1)
		err(1, "%s", path);
	(void)close(fd);
}

static void
expect(const char *file, int flags, pid_t pid)
{
	char path[64], name[64];
	ssize_t len;
	size_t i;
	FILE *out;

	if ((out = fopen(file, "we")) == NULL)
		err(1, "%s", file);
	for (i = 0; i < NTYPES; i++) {
		if ((flags & types[i].flag) == 0)
			continue;
		(void)snprintf(path, sizeof(path), "/proc/%ld/ns/%s", (long)pid,
		    types[i].name);
		if ((len = readlink(path, name, sizeof(name) - 1)) == -1)
			err(1, "%s", path);
		name[len] = '\0';
		(void)fprintf(out, "%s %s\n", types[i].link, name);
	}
	if (fclose(out) == EOF)
		err(1, "%s", file);
}

static void
set(int flags, pid_t pid, int mode)
{
	char name[32], path[64];
	size_t i;
	int fd;

	for (i = 0; i < NTYPES; i++) {
		if ((flags & types[i].flag) == 0)
			continue;
		(void)snprintf(name, sizeof(name), "gons_%s", types[i].name);
		(void)snprintf(path, sizeof(path), "/proc/%ld/ns/%s", (long)pid,
		    types[i].name);
		if (mode == 'f') {
			if ((fd = open(path, O_RDONLY)) == -1)
				err(1, "%s", path);
			(void)snprintf(path, sizeof(path), "fd:%d", fd);
		}
		if (setenv(name, path, 1) == -1)
			err(1, "setenv");
	}
}

static int
run(char **command)
{
	pid_t pid;
	int status;

	if ((pid = fork()) == -1)
		err(1, "fork");
	if (pid == 0) {
		(void)execvp(command[0], command);
		err(127, "%s", command[0]);
	}
	while (waitpid(pid, &status, 0) == -1)
		if (errno != EINTR)
			err(1, "waitpid");
	return WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status);
}
