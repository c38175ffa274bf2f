/*
 * SPDX-License-Identifier: BSD-2-Clause
 *
 * Copyright (c) 2026 The libgons developers
 *
 * A daemon asks containers for their host names once a second, by children
 * that are prepared, until the last of them has ended.  See gons_reexec(3).
 *
 *	cc -o daemon daemon.c $(pkg-config --cflags --libs gons)
 *	./daemon PID...
 */

#include <err.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <gons.h>

/* The action: runs in one of the containers. */
static int
hostname(void)
{
	char name[256];

	if (gethostname(name, sizeof(name)) == -1)
		err(1, "gethostname");
	return gons_reexec_reply(name, strlen(name)) == -1;
}

static struct gons_reexec *
watch(char *pid)
{
	struct gons_reexec *req;

	if ((req = gons_reexec_new("hostname")) == NULL ||
	    gons_reexec_targetpid(req, atoi(pid), 0) == -1 ||
	    gons_reexec_settimeout(req, 5000) == -1 ||
	    gons_reexec_setflags(req, GONS_REEXEC_PREPARED | GONS_REEXEC_REPLY |
					  GONS_REEXEC_STDERR_KEEP) == -1)
		err(1, "%s", pid);
	gons_reexec_setdata(req, pid);
	return req;
}

/* Has the container ended? */
static int
report(const struct gons_reexec *req)
{
	const char *pid = gons_reexec_data(req);

	if (gons_reexec_failure(req) == GONS_FAIL_GONE)
		printf("%s has ended\n", pid);
	else if (gons_reexec_failure(req) != GONS_FAIL_NONE)
		warnx("%s", gons_reexec_error(req));
	else
		printf("%s is %s\n", pid,
		    (const char *)gons_reexec_result(req, NULL));
	fflush(stdout);
	return gons_reexec_failure(req) == GONS_FAIL_GONE;
}

int
main(int argc, char *argv[])
{
	struct gons_multi *multi;
	struct gons_reexec **all, *req;
	int i, left;

	if (gons_reexec_register("hostname", hostname) == -1)
		err(1, "gons_reexec_register");
	gons_reexec_check();

	if (gons_reexec_prepare() == -1 ||
	    (multi = gons_multi_new(0)) == NULL ||
	    (all = calloc((size_t)argc, sizeof(*all))) == NULL)
		err(1, "daemon");
	for (left = 0; argv[left + 1] != NULL; left++)
		all[left] = watch(argv[left + 1]);
	for (; left > 0; sleep(1)) {
		for (i = 0; i < left; i++)
			if (gons_multi_add(multi, all[i]) == -1)
				err(1, "gons_multi_add");
		left = 0;
		while ((req = gons_multi_next(multi, -1)) != NULL)
			if (report(req))
				gons_reexec_free(req);
			else
				all[left++] = req;
	}
	gons_multi_free(multi);
	free(all);
	return 0;
}
