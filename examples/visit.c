/*
 * SPDX-License-Identifier: BSD-2-Clause
 *
 * Copyright (c) 2026 The libgons developers
 *
 * Visits every network namespace of the host that has a process, several at a
 * time, and prints the interfaces that are there.  See gons_multi(3).
 *
 *	cc -o visit visit.c $(pkg-config --cflags --libs gons)
 *	./visit
 */

#include <net/if.h>
#include <sys/stat.h>

#include <err.h>
#include <errno.h>
#include <fcntl.h>
#include <glob.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include <gons.h>

#define AT_ONCE 16 /* children that run at the same time */

struct netns {
	ino_t ino; /* which one it is; the device is always the same */
	int fd;
};

static struct netns *found;
static size_t nfound;

/* The action: runs in a child, in one of the namespaces. */
static int
interfaces(void)
{
	struct if_nameindex *list, *i;

	if ((list = if_nameindex()) == NULL)
		err(1, "if_nameindex");
	for (i = list; i->if_name != NULL; i++)
		printf(" %s", i->if_name);
	if_freenameindex(list);
	return 0;
}

/* Opens each namespace once: after that its processes may end. */
static void
find(void)
{
	struct stat st;
	glob_t files;
	size_t i, j;
	int fd;

	if (glob("/proc/[0-9]*/ns/net", 0, NULL, &files) != 0)
		errx(1, "nothing to be seen in /proc");
	found = calloc(files.gl_pathc, sizeof(*found));
	if (found == NULL)
		err(1, "calloc");
	for (i = 0; i < files.gl_pathc; i++) {
		fd = open(files.gl_pathv[i], O_RDONLY | O_CLOEXEC);
		if (fd == -1 && errno == EMFILE)
			err(1, "%s", files.gl_pathv[i]);
		if (fd == -1)
			continue; /* has ended, or is not ours */
		if (fstat(fd, &st) == -1)
			err(1, "fstat");
		for (j = 0; j < nfound; j++)
			if (found[j].ino == st.st_ino)
				break;
		if (j < nfound) {
			close(fd);
			continue;
		}
		found[nfound].ino = st.st_ino;
		found[nfound++].fd = fd;
	}
	globfree(&files);
}

static void
add(struct gons_multi *multi, struct netns *ns)
{
	struct gons_reexec *req;
	char ref[32];

	snprintf(ref, sizeof(ref), "fd:%d", ns->fd);
	if ((req = gons_reexec_new("interfaces")) == NULL ||
	    gons_reexec_namespace(req, "net", ref) == -1)
		err(1, "%s", ref);
	close(ns->fd); /* the request has its own copy */
	gons_reexec_setdata(req, ns);
	gons_reexec_settimeout(req, 10000);
	if (gons_multi_add(multi, req) == -1)
		err(1, "gons_multi_add");
}

int
main(void)
{
	struct gons_multi *multi;
	struct gons_reexec *req;
	const struct netns *ns;
	size_t i;

	if (gons_reexec_register("interfaces", interfaces) == -1)
		err(1, "gons_reexec_register");
	gons_reexec_check();

	find();
	if ((multi = gons_multi_new(AT_ONCE)) == NULL)
		err(1, "gons_multi_new");
	for (i = 0; i < nfound; i++)
		add(multi, &found[i]);
	while ((req = gons_multi_next(multi, -1)) != NULL) {
		ns = gons_reexec_data(req);
		printf("net:[%ju]%s\n", (uintmax_t)ns->ino,
		    gons_reexec_failure(req) == GONS_FAIL_NONE
			? (const char *)gons_reexec_result(req, NULL)
			: gons_reexec_error(req));
		gons_reexec_free(req);
		if (isatty(STDERR_FILENO))
			fprintf(
			    stderr, "%u left \r", gons_multi_pending(multi));
	}
	gons_multi_free(multi);
	free(found);
	return 0;
}
