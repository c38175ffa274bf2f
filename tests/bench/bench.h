/*
 * SPDX-License-Identifier: BSD-2-Clause
 *
 * Copyright (c) 2026 The libgons developers
 *
 * What the benchmarks share: contenders that take turns, so that whatever
 * else the machine does slows them alike, and a table of their medians.
 */

#ifndef BENCH_H
#define BENCH_H

#include <stdio.h>
#include <stdlib.h>
#include <time.h>

#define ROUNDS_MAX 4000

struct contender {
	const char *name;
	int (*once)(void *); /* 0: it went well */
	void *arg;
	const char *goal; /* NULL: none */
	int times; /* in a row; the time of one is taken */
	double us[ROUNDS_MAX];
};

static double
bench_clock(void)
{
	struct timespec t;

	(void)clock_gettime(CLOCK_MONOTONIC, &t);
	return (double)t.tv_sec * 1e6 + (double)t.tv_nsec / 1e3;
}

static int
bench_compare(const void *a, const void *b)
{
	const double *x = a, *y = b;

	return *x < *y ? -1 : *x > *y;
}

static double
bench_median(double *us, int n)
{
	qsort(us, (size_t)n, sizeof(*us), bench_compare);
	return us[n / 2];
}

static void
bench_rest(long us)
{
	struct timespec t = { 0, us * 1000 };

	(void)nanosleep(&t, NULL);
}

/* Each in turn, again and again; between two there is time to settle. */
static void
bench_take_turns(struct contender *c, int n, int rounds, long rest)
{
	int i, k, r, times;
	double at;

	if (rounds > ROUNDS_MAX)
		rounds = ROUNDS_MAX;
	for (r = -3; r < rounds; r++)
		for (i = 0; i < n; i++) {
			times = c[i].times > 0 ? c[i].times : 1;
			if (rest > 0)
				bench_rest(rest);
			at = bench_clock();
			for (k = 0; k < times; k++)
				if (c[i].once(c[i].arg) != 0) {
					fprintf(
					    stderr, "%s: failed\n", c[i].name);
					exit(1);
				}
			if (r >= 0)
				c[i].us[r] = (bench_clock() - at) / times;
		}
	for (i = 0; i < n; i++)
		c[i].us[0] = bench_median(c[i].us, rounds);
}

static void
bench_title(const char *title, const char *than)
{
	printf("\n%-48s %10s %8s  %s\n", title, "median us", than, "goal");
}

/* After bench_take_turns(); ratios to the contender base. */
static void
bench_print(const struct contender *c, int n, int base)
{
	int i;

	for (i = 0; i < n; i++)
		printf("  %-46s %10.1f %8.2f  %s\n", c[i].name, c[i].us[0],
		    c[i].us[0] / c[base].us[0],
		    c[i].goal != NULL ? c[i].goal : "");
	fflush(stdout);
}

#endif /* BENCH_H */
