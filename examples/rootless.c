/*
 * SPDX-License-Identifier: BSD-2-Clause
 *
 * Copyright (c) 2026 The libgons developers
 *
 * An ordinary user changes the host name of a container of his own, as root of
 * that container.  See gons_reexec_set(3).
 *
 *	cc -o rootless rootless.c $(pkg-config --cflags --libs gons)
 *	./rootless PID NAME
 */

#define _GNU_SOURCE

#include <err.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <gons.h>

/* The action: runs in the container, as its root. */
static int
rename_host(void)
{
	const char *name = gons_reexec_input(NULL);

	if (name == NULL || sethostname(name, strlen(name)) == -1)
		err(1, "sethostname");
	printf("user %d of the container calls it %s", (int)geteuid(), name);
	return 0;
}

int
main(int argc, char *argv[])
{
	struct gons_reexec *req;

	if (gons_reexec_register("rename", rename_host) == -1)
		err(1, "gons_reexec_register");
	gons_reexec_check();

	if (argc != 3)
		errx(1, "usage: rootless PID NAME");
	if ((req = gons_reexec_new("rename")) == NULL ||
	    gons_reexec_targetpid(req, atoi(argv[1]),
		GONS_BIT(GONS_USER) | GONS_BIT(GONS_UTS)) == -1 ||
	    gons_reexec_setids(req, 0, 0) == -1 ||
	    gons_reexec_param(req, argv[2], strlen(argv[2])) == -1)
		err(1, "%s", argv[1]);
	if (gons_reexec_run(req) == -1)
		errx(1, "%s", gons_reexec_error(req));
	puts(gons_reexec_result(req, NULL));
	gons_reexec_free(req);
	return 0;
}
