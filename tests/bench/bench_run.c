/*
 * SPDX-License-Identifier: BSD-2-Clause
 *
 * Copyright (c) 2026 The libgons developers
 *
 * What running an action costs, one at a time: in a fresh child and in a
 * prepared one, against posix_spawn(3) of the same program and fork(2), and
 * whether the size of the caller matters.
 */

#include <sys/mman.h>
#include <sys/wait.h>

#include <err.h>
#include <fcntl.h>
#include <string.h>
#include <unistd.h>

#include <gons.h>

#include "bench.h"

#define GIB ((size_t)1 << 30)
#define SECONDS 10 /* for each group */
#define ROW 20 /* runs in a row, as titles say */
#define REST 3000 /* us, in which a spare child is forked */
#define FILL 80000 /* us, in which ROW of them are */

static int
nothing(void)
{
	return 0;
}

static int
run(void *arg)
{
	const unsigned *flags = arg;
	struct gons_reexec *req = gons_reexec_new("nothing");
	int r;

	if (req == NULL || gons_reexec_setflags(req, *flags) == -1)
		return -1;
	if ((r = gons_reexec_run(req)) == -1)
		fprintf(stderr, "%s\n", gons_reexec_error(req));
	gons_reexec_free(req);
	return r;
}

static unsigned fresh = 0, prepared = GONS_REEXEC_PREPARED;

static void
compare_times(const char *title, const char *when, int n, int times,
    struct contender *with, long rest)
{
	struct contender c[4] = {
		{ .name = "posix_spawn of the same program",
		    .once = bench_spawn },
		{ .name = "gons_reexec_run",
		    .once = run,
		    .arg = &fresh,
		    .goal = 1.10 },
		*with,
		{ .name = "fork, _exit, waitpid", .once = bench_fork },
	};
	char line[80];
	int i;

	c[2].once = run;
	c[2].arg = &prepared;
	for (i = 0; i < n; i++)
		c[i].times = times;
	bench_take_turns(c, n, SECONDS, rest);
	(void)snprintf(line, sizeof(line), "%s%s", title, when);
	bench_title(line, "/ spawn");
	bench_print(c, n);
}

/* One after the other, and with time between them. */
static void
compare(const char *when, int n)
{
	static struct contender
	    forked = { .name = "gons_reexec_run, prepared", .goal = 0.40 },
	    ready = { .name = "gons_reexec_run, prepared, spare children ready",
		    .goal = 0.30 };

	compare_times("20 in a row", when, n, ROW, &forked, REST);
	(void)gons_reexec_setspares(ROW);
	compare_times(
	    "20 in a row, 20 spare children", when, n, ROW, &ready, FILL);
	(void)gons_reexec_setspares(2);
	compare_times("one at a time", when, n, 1, &ready, REST);
}

int
main(int argc, char *argv[])
{
	char *ballast;

	if (argc > 1 && strcmp(argv[1], "nothing") == 0)
		return 0;
	if (gons_reexec_register("nothing", nothing) == -1)
		err(1, "gons_reexec_register");
	gons_reexec_check();
	if (gons_reexec_prepare() == -1)
		err(1, "gons_reexec_prepare");
	compare("", 4);
	ballast = mmap(NULL, GIB, PROT_READ | PROT_WRITE,
	    MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	if (ballast == MAP_FAILED)
		err(1, "mmap");
	(void)madvise(ballast, GIB, MADV_NOHUGEPAGE);
	memset(ballast, 1, GIB);
	/* without fork(2), which copies its page tables each time */
	compare(", the caller having 1 GiB", 3);
	return 0;
}
