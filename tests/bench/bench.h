/*
 * SPDX-License-Identifier: BSD-2-Clause
 *
 * Copyright (c) 2026 The libgons developers
 *
 * What the benchmarks share: contenders that take turns, so that whatever
 * else the machine does slows them alike, and a table of their medians.  A
 * ratio is the median of the ratios of all rounds.
 */

#ifndef BENCH_H
#define BENCH_H

#include <sys/wait.h>

#include <spawn.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>
#include <unistd.h>

#define ROUNDS_MAX 1000
#define ROUNDS_MIN 2

struct contender {
	const char *name;
	int (*once)(void *); /* 0: it went well */
	void *arg;
	int base; /* which one it is compared with */
	double goal; /* the ratio is to be no more; 0: any */
	int times; /* in a row */
	int runs; /* in one time */
	double us[ROUNDS_MAX]; /* of one run */
	double median, ratio;
};

static inline double
bench_clock(void)
{
	struct timespec t;

	(void)clock_gettime(CLOCK_MONOTONIC, &t);
	return (double)t.tv_sec * 1e6 + (double)t.tv_nsec / 1e3;
}

static inline int
bench_compare(const void *a, const void *b)
{
	const double *x = a, *y = b;

	return *x < *y ? -1 : *x > *y;
}

static inline double
bench_median(double *us, int n)
{
	qsort(us, (size_t)n, sizeof(*us), bench_compare);
	return us[n / 2];
}

static inline void
bench_rest(long us)
{
	struct timespec t = { 0, us * 1000 };

	(void)nanosleep(&t, NULL);
}

/* posix_spawn(3) of the same program, whose main() ends if told "nothing". */
static inline int
bench_spawn(void *arg)
{
	char name[] = "bench", what[] = "nothing";
	char *argv[] = { name, what, NULL };
	pid_t pid;
	int status;

	(void)arg;
	if (posix_spawn(&pid, "/proc/self/exe", NULL, NULL, argv, environ) != 0)
		return -1;
	return waitpid(pid, &status, 0) == pid && status == 0 ? 0 : -1;
}

static inline int
bench_fork(void *arg)
{
	pid_t pid = fork();
	int status;

	(void)arg;
	if (pid == 0)
		_exit(0);
	return pid != -1 && waitpid(pid, &status, 0) == pid && status == 0 ? 0
									   : -1;
}

/* The time of one run. */
static inline double
bench_turn(struct contender *c)
{
	int k, runs = c->runs > 0 ? c->runs : 1;
	int times = c->times > 0 ? c->times : 1;
	double at = bench_clock();

	for (k = 0; k < times; k++)
		if (c->once(c->arg) != 0) {
			fprintf(stderr, "%s: failed\n", c->name);
			exit(1);
		}
	return (bench_clock() - at) / times / runs;
}

/*
 * Each in turn, again and again for so many seconds; between two there is
 * time to settle.  The first round does not count.
 */
static inline void
bench_take_turns(struct contender *c, int n, double seconds, long rest)
{
	static double ratio[ROUNDS_MAX];
	double us, end = bench_clock() + seconds * 1e6;
	int i, k, r;

	for (r = -1; r < ROUNDS_MIN || (r < ROUNDS_MAX && bench_clock() < end);
	     r++)
		for (i = 0; i < n; i++) {
			if (rest > 0)
				bench_rest(rest);
			us = bench_turn(&c[i]);
			if (r >= 0)
				c[i].us[r] = us;
		}
	for (i = 0; i < n; i++) {
		for (k = 0; k < r; k++)
			ratio[k] = c[i].us[k] / c[c[i].base].us[k];
		c[i].ratio = bench_median(ratio, r);
	}
	for (i = 0; i < n; i++)
		c[i].median = bench_median(c[i].us, r);
}

static inline void
bench_title(const char *title, const char *than)
{
	printf("\n%-50s %10s %8s  %s\n", title, "median us", than, "goal");
}

static inline void
bench_goal(double value, double goal)
{
	printf("  <= %.2f: %s\n", goal, value <= goal ? "holds" : "MISSED");
}

/* After bench_take_turns(). */
static inline void
bench_print(const struct contender *c, int n)
{
	int i;

	for (i = 0; i < n; i++) {
		printf(
		    "  %-48s %10.1f %8.2f", c[i].name, c[i].median, c[i].ratio);
		if (c[i].goal > 0)
			bench_goal(c[i].ratio, c[i].goal);
		else
			printf("\n");
	}
	fflush(stdout);
}

#endif /* BENCH_H */
