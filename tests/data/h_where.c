/*
 * SPDX-License-Identifier: BSD-2-Clause
 *
 * Copyright (c) 2026 The libgons developers
 *
 * h_where: in which mount namespace actions run that join nothing, fresh and
 * prepared.  With the argument "killed" the process ends that they are forked
 * off; with "threads" there are two when it would be made; with "setargs" the
 * arguments of children are set too late.
 */

#include <errno.h>
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <gons.h>

static int
where(void)
{
	char ns[64];
	ssize_t n = readlink("/proc/self/ns/mnt", ns, sizeof(ns) - 1);

	ns[n > 0 ? n : 0] = '\0';
	printf("%d %s", (int)getppid(), n > 0 ? ns : "no proc");
	return 0;
}

static int
ask(unsigned flags, char *ns)
{
	struct gons_reexec *req = gons_reexec_new("where");
	int parent = 0;

	if (req == NULL || gons_reexec_setflags(req, flags) == -1)
		exit(99);
	if (gons_reexec_run(req) == -1)
		printf("%d %s\n", errno == EPERM, gons_reexec_error(req));
	else if (sscanf(gons_reexec_result(req, NULL), "%63[^\n]", ns) == 1)
		parent = atoi(ns);
	gons_reexec_free(req);
	return parent;
}

static void *
idle(void *unused)
{
	for (;;)
		(void)pause();
	return unused;
}

int
main(int argc, char *argv[])
{
	const char *how = argc > 1 ? argv[1] : "";
	char ns[64] = "";
	pthread_t thread;
	int parent;

	if (gons_reexec_register("where", where) == -1 ||
	    (strcmp(how, "threads") == 0 &&
		pthread_create(&thread, NULL, idle, NULL) != 0))
		return 99;
	gons_reexec_check();
	if (strcmp(how, "setargs") == 0 && gons_reexec_setargs(argv) == -1)
		printf("%s\n", strerror(errno));
	if (gons_status() != NULL)
		printf("%s\n", gons_status());
	parent = ask(0, ns);
	printf("%s\n", ns[0] != '\0' ? "fresh" : "-");
	ns[0] = '\0';
	(void)ask(GONS_REEXEC_PREPARED, ns);
	printf("%s\n", ns[0] != '\0' ? "prepared" : "-");
	/* It may be killed while a child that it has made takes the request. */
	if (strcmp(how, "killed") == 0 && parent > 1 &&
	    kill(parent, SIGKILL) == 0)
		do {
			ns[0] = '\0';
			(void)ask(0, ns);
		} while (ns[0] != '\0');
	return 0;
}
