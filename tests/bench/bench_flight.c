/*
 * SPDX-License-Identifier: BSD-2-Clause
 *
 * Copyright (c) 2026 The libgons developers
 *
 * Many requests at a time in one poll loop: the time of one, and what one
 * that is running takes at most of the caller's memory and descriptors.
 */

#include <sys/resource.h>

#include <err.h>
#include <fcntl.h>
#include <malloc.h>
#include <poll.h>
#include <string.h>
#include <unistd.h>

#include <gons.h>

#include "bench.h"

#define MOST 1000
#define SECONDS 20 /* for each kind */

static int
nothing(void)
{
	return 0;
}

struct flight {
	int n;
	unsigned flags;
	long memory; /* bytes */
	int fds;
};

static int
descriptors(void)
{
	int fd, n = 0;

	for (fd = 0; fd < 16384; fd++)
		n += fcntl(fd, F_GETFD) != -1;
	return n;
}

static long
memory(void)
{
	struct mallinfo2 m = mallinfo2();

	return (long)(m.uordblks + m.hblkhd);
}

static struct gons_reexec *req[MOST];

static void
start(struct flight *f)
{
	int fds, i;
	long bytes;

	fds = f->fds == 0 ? descriptors() : 0;
	bytes = memory();
	for (i = 0; i < f->n; i++) {
		if ((req[i] = gons_reexec_new("nothing")) == NULL ||
		    gons_reexec_setflags(req[i], f->flags) == -1)
			err(1, "gons_reexec_new");
		if (gons_reexec_start(req[i]) == -1)
			errx(1, "%s", gons_reexec_error(req[i]));
	}
	f->memory = (memory() - bytes) / f->n;
	if (f->fds == 0)
		f->fds = (descriptors() - fds) / f->n;
}

static int
fly(void *arg)
{
	static struct pollfd p[MOST];
	struct flight *f = arg;
	int i, left = f->n, r;

	start(f);
	for (i = 0; i < f->n; i++) {
		p[i].fd = gons_reexec_fd(req[i]);
		p[i].events = POLLIN;
	}
	while (left > 0) {
		if (poll(p, (nfds_t)f->n, -1) == -1)
			return -1;
		for (i = 0; i < f->n; i++) {
			if (p[i].fd == -1 || p[i].revents == 0)
				continue;
			if ((r = gons_reexec_step(req[i])) == 0)
				continue;
			if (r == -1)
				errx(1, "%s", gons_reexec_error(req[i]));
			gons_reexec_free(req[i]);
			p[i].fd = -1;
			left--;
		}
	}
	return 0;
}

/* The same, by gons_multi(3). */
static int
fly_multi(void *arg)
{
	struct flight *f = arg;
	struct gons_multi *multi = gons_multi_new((unsigned)f->n);
	struct gons_reexec *done;
	int i;

	if (multi == NULL)
		return -1;
	for (i = 0; i < f->n; i++)
		if ((req[i] = gons_reexec_new("nothing")) == NULL ||
		    gons_reexec_setflags(req[i], f->flags) == -1 ||
		    gons_multi_add(multi, req[i]) == -1)
			err(1, "gons_multi_add");
	while ((done = gons_multi_next(multi, -1)) != NULL) {
		if (gons_reexec_failure(done) != GONS_FAIL_NONE)
			errx(1, "%s", gons_reexec_error(done));
		gons_reexec_free(done);
	}
	gons_multi_free(multi);
	return 0;
}

int
main(void)
{
	static const int counts[] = { 1, 10, 100, 1000 };
	static struct contender c[5];
	struct flight f[5];
	struct rlimit limit;
	int i, k;

	if (gons_reexec_register("nothing", nothing) == -1)
		err(1, "gons_reexec_register");
	gons_reexec_check();
	(void)getrlimit(RLIMIT_NOFILE, &limit);
	limit.rlim_cur = limit.rlim_max < 16384 ? limit.rlim_max : 16384;
	(void)setrlimit(RLIMIT_NOFILE, &limit);
	for (k = 0; k < 2; k++) {
		for (i = 0; i < 4; i++) {
			f[i].n = counts[i];
			f[i].flags = k == 0 ? 0 : GONS_REEXEC_PREPARED;
			f[i].fds = 0;
			c[i].once = fly;
			c[i].arg = &f[i];
			c[i].runs = counts[i];
			c[i].base = 1;
			c[i].goal = i == 3 ? 1.20 : 0;
			if (asprintf((char **)(uintptr_t)&c[i].name,
				"%d at a time%s", f[i].n,
				k == 0 ? "" : ", prepared") == -1)
				err(1, "asprintf");
		}
		f[4] = f[1];
		c[4] = c[1];
		c[4].once = fly_multi;
		c[4].arg = &f[4];
		c[4].goal = 1.03;
		c[4].name = k == 0 ? "10 at a time in a multi"
				   : "10 at a time in a multi, prepared";
		bench_take_turns(c, 5, SECONDS, 0);
		bench_title("one of many in a poll loop", "/ of 10");
		bench_print(c, 5);
		printf("  %-48s %10.1f %8s", "KiB of memory that one takes",
		    (double)f[3].memory / 1024, "");
		bench_goal((double)f[3].memory / 1024, 16);
		printf(
		    "  %-48s %10d\n", "descriptors that one takes", f[3].fds);
	}
	return 0;
}
