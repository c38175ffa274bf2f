/*
 * SPDX-License-Identifier: BSD-2-Clause
 *
 * Copyright (c) 2026 The libgons developers
 *
 * Visits every network namespace of the host that has a process, several at a
 * time, from one poll(2) loop, and prints the interfaces that are there.  See
 * gons_reexec(3).
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
#include <poll.h>
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

static struct gons_reexec *
start(struct netns *ns)
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
	if (gons_reexec_start(req) == -1)
		errx(1, "%s", gons_reexec_error(req));
	return req;
}

/* Is it done?  Then says what came of it, and frees it. */
static int
finish(struct gons_reexec *req)
{
	const struct netns *ns = gons_reexec_data(req);
	int done = gons_reexec_step(req);

	if (done == 0)
		return 0;
	printf("net:[%ju]%s\n", (uintmax_t)ns->ino,
	    done == 1 ? (const char *)gons_reexec_result(req, NULL)
		      : gons_reexec_error(req));
	gons_reexec_free(req);
	return 1;
}

int
main(void)
{
	struct gons_reexec *req[AT_ONCE];
	struct pollfd pfd[AT_ONCE];
	size_t i, running = 0, next = 0;

	if (gons_reexec_register("interfaces", interfaces) == -1)
		err(1, "gons_reexec_register");
	gons_reexec_check();

	find();
	for (;;) {
		for (; running < AT_ONCE && next < nfound; running++) {
			req[running] = start(&found[next++]);
			pfd[running].fd = gons_reexec_fd(req[running]);
			pfd[running].events = POLLIN;
		}
		if (running == 0)
			break;
		if (poll(pfd, running, -1) == -1)
			err(1, "poll");
		for (i = running; i-- > 0;)
			if (pfd[i].revents != 0 && finish(req[i])) {
				running--;
				req[i] = req[running];
				pfd[i] = pfd[running];
			}
	}
	free(found);
	return 0;
}
