/*
 * SPDX-License-Identifier: BSD-2-Clause
 *
 * Copyright (c) 2026 The libgons developers
 *
 * Prints the namespaces that it is in, one a line.  It is an ordinary program
 * that knows nothing of libgons and is only linked with it:
 *
 *	cc -o show show.c $(pkg-config --cflags --libs gons)
 *	gons_net=/proc/4711/ns/net ./show
 */

#include <sys/types.h>

#include <stdio.h>
#include <unistd.h>

/*
 * Joining a pid namespace is for the children of a process; the link with the
 * long name tells where those will be.
 */
static const char *const types[] = { "cgroup", "ipc", "mnt", "net",
	"pid_for_children", "time", "user", "uts" };

int
main(void)
{
	char path[64], name[64];
	ssize_t len;
	size_t i;

	for (i = 0; i < sizeof(types) / sizeof(types[0]); i++) {
		(void)snprintf(
		    path, sizeof(path), "/proc/self/ns/%s", types[i]);
		len = readlink(path, name, sizeof(name) - 1);
		if (len == -1) {
			(void)printf("%s -\n", types[i]);
			continue;
		}
		name[len] = '\0';
		(void)printf("%s %s\n", types[i], name);
	}
	return 0;
}
