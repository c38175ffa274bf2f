/*
 * SPDX-License-Identifier: BSD-2-Clause
 *
 * Copyright (c) 2026 The libgons developers
 *
 * h_threaded [reference]: a program with a thread since before main, see
 * h_thread.c.  Prints its mount namespace, or, with a reference, what comes of
 * joining that one now.
 */

#include <errno.h>
#include <fcntl.h>
#include <sched.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

int h_thread_started(void);

int
main(int argc, char *argv[])
{
	char name[64];
	ssize_t len;
	int fd;

	if (!h_thread_started())
		return 1;
	if (argc > 1) {
		if ((fd = open(argv[1], O_RDONLY | O_CLOEXEC)) == -1)
			return 1;
		(void)printf("setns %s\n", setns(fd, 0) == 0 ? "joins"
					   : errno == EINVAL ? "EINVAL"
							     : strerror(errno));
		return 0;
	}
	if ((len = readlink("/proc/self/ns/mnt", name, sizeof(name) - 1)) == -1)
		return 1;
	name[len] = '\0';
	(void)printf("mnt %s\n", name);
	return 0;
}
