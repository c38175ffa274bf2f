/*
 * SPDX-License-Identifier: BSD-2-Clause
 *
 * Copyright (c) 2026 The libgons developers
 *
 * How long gons_covmerge(3) takes, in the working directory (which should be
 * on tmpfs): two trees of .gcda files, taking turns with gcov-tool if there is
 * one, and two Go profiles; and whether more takes longer than its size says.
 */

#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/wait.h>

#include <errno.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <gons.h>

#include "bench.h"

#define NEW "rm -rf sum"
#define RUNS 9
#define FILES 2001
#define GCOV_TOOL "gcov-tool merge one two -o sum >out.txt 2>&1"

static void
shell(const char *command)
{
	if (system(command) != 0) {
		(void)fprintf(stderr, "failed: %s\n", command);
		exit(1);
	}
}

/* A file as gcc 12 writes it: functions with a few arcs each. */
static void
make_gcda(const char *path, uint32_t seed, size_t functions)
{
	uint32_t w[2048];
	size_t i, k, n;
	FILE *f;

	n = 0;
	w[n++] = 0x67636461;
	w[n++] = 0x4232322a;
	w[n++] = ~seed;
	w[n++] = seed;
	w[n++] = 0xa1000000;
	w[n++] = 8;
	w[n++] = 1;
	w[n++] = 7;
	for (i = 0; i < functions; i++) {
		w[n++] = 0x01000000;
		w[n++] = 12;
		w[n++] = (uint32_t)i + 1;
		w[n++] = seed;
		w[n++] = seed ^ (uint32_t)i;
		w[n++] = 0x01a10000;
		w[n++] = 8 * 12;
		for (k = 0; k < 12; k++) {
			w[n++] = (uint32_t)(i * k);
			w[n++] = 0;
		}
	}
	w[n++] = 0;
	if ((f = fopen(path, "w")) == NULL || fwrite(w, 4, n, f) != n ||
	    fclose(f) != 0) {
		perror(path);
		exit(1);
	}
}

static void
make_trees(unsigned files, size_t functions)
{
	char path[64];
	unsigned i;

	shell("rm -rf one two; mkdir -p one two && for i in $(seq 0 20); do "
	      "mkdir -p one/$i two/$i; done");
	for (i = 0; i < files; i++) {
		(void)snprintf(path, sizeof(path), "one/%u/%u.gcda", i % 21, i);
		make_gcda(path, i, functions);
		memcpy(path, "two", 3);
		make_gcda(path, i, functions);
	}
}

static void
make_profile(const char *path, int lines, int count)
{
	FILE *f;
	int i;

	if ((f = fopen(path, "w")) == NULL) {
		perror(path);
		exit(1);
	}
	(void)fprintf(f, "mode: count\n");
	for (i = 0; i < lines; i++)
		(void)fprintf(f,
		    "example.org/module/package%d/file%d.go:%d.%d,%d.3 %d %d\n",
		    i / 5000, i / 500, i % 500 * 3 + 1, i % 40 + 1,
		    i % 500 * 3 + 3, i % 7, count * i % 1000);
	if (fclose(f) != 0)
		exit(1);
}

/*
 * In a process of its own: the command or, if that is NULL, a merge of the
 * n last of one and two into sum.  Returns microseconds.
 */
static double
once(const char *before, const char *command, size_t n, long *kb)
{
	static const char *const src[] = { "one", "two" };
	struct rusage ru;
	double from;
	int status;
	pid_t pid;

	shell(before);
	from = bench_clock();
	if ((pid = fork()) == 0)
		_exit(command != NULL
			  ? system(command) != 0
			  : gons_covmerge("sum", src + 2 - n, n, NULL) != 0);
	if (pid < 0 || wait4(pid, &status, 0, &ru) != pid || status != 0) {
		(void)fprintf(stderr, "a merge failed\n");
		exit(1);
	}
	*kb = ru.ru_maxrss > *kb ? ru.ru_maxrss : *kb;
	return bench_clock() - from;
}

/* Returns the median, in microseconds. */
static double
measure(const char *what, const char *before, size_t n, long *kb)
{
	double us[RUNS], median;
	int i;

	for (i = 0; i < RUNS; i++)
		us[i] = once(before, NULL, n, kb);
	median = bench_median(us, RUNS);
	printf("  %-48s %10.1f", what, median);
	return median;
}

/* That many times as much takes how much longer? */
static void
linear(double few, double many, int times)
{
	printf(" %8.2f", many / few);
	bench_goal(many / few, 1.2 * times);
	fflush(stdout);
}

/* Beside gcov-tool: they take turns. */
static void
race(const char *what, const char *before, size_t n, double goal)
{
	double ours[RUNS], ratio[RUNS];
	long kb = 0;
	int i;

	for (i = 0; i < RUNS; i++) {
		ours[i] = once(before, NULL, n, &kb);
		ratio[i] = ours[i] / once("rm -rf sum", GCOV_TOOL, n, &kb);
	}
	printf("  %-48s %10.1f %8.2f", what, bench_median(ours, RUNS),
	    bench_median(ratio, RUNS));
	if (goal > 0)
		bench_goal(bench_median(ratio, RUNS), goal);
	else
		printf("\n");
	fflush(stdout);
}

static void
races(void)
{
	if (system("command -v gcov-tool >out.txt") != 0) {
		printf("left out: gcov-tool is not installed\n");
		return;
	}
	bench_title("merging .gcda", "/ theirs");
	make_trees(FILES, 2);
	race("2 trees of 2001 small files to a new one", NEW, 2, 0.25);
	race("one of them to the other", "rm -rf sum; cp -r one sum", 1, 0);
	make_trees(FILES, 20);
	race("2 trees of 2001 larger files to a new one", NEW, 2, 0);
}

static void
trees(void)
{
	double few;
	long kb = 0;

	bench_title("merging .gcda", "/ before");
	make_trees(FILES / 10, 2);
	few = measure("2 trees of 200 small files to a new one", NEW, 2, &kb);
	make_trees(FILES, 2);
	printf("\n");
	linear(few,
	    measure("2 trees of 2001 small files to a new one", NEW, 2, &kb),
	    10);
	shell("rm -rf one two sum out.txt");
}

static void
profiles(void)
{
	double few, many;
	long kb = 0;

	bench_title("merging Go profiles", "/ before");
	make_profile("one", 100000, 1);
	make_profile("two", 100000, 3);
	few = measure("2 of 100 000 lines", NEW, 2, &kb);
	make_profile("one", 1000000, 1);
	make_profile("two", 1000000, 3);
	printf("\n");
	many = measure("2 of 1 000 000 lines", NEW, 2, &kb);
	linear(few, many, 10);
	printf("  %-48s %10.2f %8s", "seconds that these take", many / 1e6, "");
	bench_goal(many / 1e6, 0.45);
	printf("  %-48s %10.1f %8s", "MiB of memory that these take",
	    (double)kb / 1024, "");
	bench_goal((double)kb / 1024, 100);
	shell("rm -f one two sum");
}

int
main(void)
{
	races();
	trees();
	profiles();
	return 0;
}
