/*
 * SPDX-License-Identifier: BSD-2-Clause
 *
 * Copyright (c) 2026 The libgons developers
 *
 * A directory in memory for the files "a" and "b" of one process.  It is
 * removed when the process exits, or by a later one, for a fuzzer kills its
 * processes.
 */

#ifndef DIR_H
#define DIR_H

#include <sys/stat.h>

#include <dirent.h>
#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "fuzz.h"

#define PLACE "/dev/shm"
#define PREFIX "gons-fuzz."

static void
remove_directory(long pid)
{
	static const char *const files[] = { "/a", "/b", "" };
	char path[64];
	size_t i;

	for (i = 0; i < 3; i++) {
		(void)snprintf(path, sizeof(path), PLACE "/" PREFIX "%ld%s",
		    pid, files[i]);
		(void)remove(path);
	}
}

static void
remove_own(void)
{
	remove_directory((long)getpid());
}

static void
remove_those_of_the_dead(void)
{
	struct dirent *d;
	DIR *dir = opendir(PLACE);
	long pid;

	MUST(dir != NULL);
	while ((d = readdir(dir)) != NULL)
		if (sscanf(d->d_name, PREFIX "%ld", &pid) == 1 &&
		    kill((pid_t)pid, 0) == -1 && errno == ESRCH)
			remove_directory(pid);
	(void)closedir(dir);
}

static void
enter_directory(void)
{
	char path[64];

	remove_those_of_the_dead();
	(void)snprintf(
	    path, sizeof(path), PLACE "/" PREFIX "%ld", (long)getpid());
	MUST(mkdir(path, 0700) == 0 && chdir(path) == 0);
	(void)atexit(remove_own);
}

#endif /* DIR_H */
