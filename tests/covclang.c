/*
 * SPDX-License-Identifier: BSD-2-Clause
 *
 * Copyright (c) 2026 The libgons developers
 *
 * Stands in for the run time of clang --coverage, which makes directories that
 * only their owner may change.  Tells by its exit status whether the library
 * opens these to all, and no other directory.
 */

#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/wait.h>

#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "internal.h"

void __gcov_dump(void);
void __gcov_reset(void);

static void
need(int good, const char *what)
{
	if (good)
		return;
	perror(what);
	_exit(99);
}

void
__gcov_dump(void)
{
	int fd;

	need(mkdir("a", 0755) == 0 && mkdir("a/b", 0700) == 0, "mkdir");
	need((fd = open("a/b/c.gcda", O_WRONLY | O_CREAT, 0600)) >= 0, "open");
	(void)close(fd);
}

void
__gcov_reset(void)
{
}

/*
 * As many descriptors as the directories need that are below each other: who
 * goes anywhere else does not get far.
 */
static void
leave_three(void)
{
	struct rlimit limit = { 64, 64 };
	int fd, i;

	need(setrlimit(RLIMIT_NOFILE, &limit) == 0, "setrlimit");
	while (dup(STDIN_FILENO) >= 0)
		continue;
	for (i = 0, fd = 63; i < 3; fd--)
		i += close(fd) == 0;
}

static void
child(const int fd[2])
{
	gons__cov_child(fd, 0);
	leave_three();
	exit(0);
}

/* What the directory at that path, from the child's on, may be used for. */
static int
mode_is(int fd, const char *path, mode_t mode)
{
	struct stat st;

	need(fstatat(fd, path, &st, AT_SYMLINK_NOFOLLOW) == 0, path);
	if ((st.st_mode & 0777) == mode)
		return 1;
	(void)fprintf(stderr, "%s: mode %o\n", path, st.st_mode & 0777u);
	return 0;
}

int
main(void)
{
	struct gons__cov *cov;
	int fd[2], good, status;
	pid_t pid;

	gons__cov_init(-1, 1);
	need((cov = gons__cov_new(fd)) != NULL, "gons__cov_new");
	need((pid = fork()) != -1, "fork");
	if (pid == 0)
		child(fd);
	need(waitpid(pid, &status, 0) == pid && status == 0, "child");
	good = mode_is(fd[0], "a", 0777);
	good &= mode_is(fd[0], "a/b", 0777);
	good &= mode_is(fd[0], ".", 0777);
	good &= mode_is(fd[0], "..", 0700);
	good &= mode_is(fd[0], "../..", 0750); /* TMPDIR */
	gons__cov_started(cov);
	gons__cov_collect(cov, GONS__COV_MS);
	return !good;
}
