/*
 * SPDX-License-Identifier: BSD-2-Clause
 *
 * Copyright (c) 2026 The libgons developers
 *
 * How long gons_covmerge(3) takes, in the working directory (which should be
 * on tmpfs): two trees of 2001 .gcda files, taking turns with gcov-tool if
 * there is one (the goal: at least 4 times as fast), and two Go profiles of
 * 100 000 and of 1 000 000 lines (at most 450 ms, in 100 MB).  Prints the
 * median of several runs, and the memory that was resident at most.
 */

#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/wait.h>

#include <errno.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include <gons.h>

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
make_trees(size_t functions)
{
	char path[64];
	unsigned i;

	shell("mkdir -p one two && for i in $(seq 0 20); do "
	      "mkdir -p one/$i two/$i; done");
	for (i = 0; i < FILES; i++) {
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

static int
compare(const void *a, const void *b)
{
	const double *x = a, *y = b;

	return (*x < *y ? -1 : *x > *y);
}

/*
 * In a process of its own: the command or, if that is NULL, a merge of the
 * n last of one and two into sum.  Returns milliseconds.
 */
static double
once(const char *before, const char *command, size_t n, long *kb)
{
	static const char *const src[] = { "one", "two" };
	struct timespec from, to;
	struct rusage ru;
	int status;
	pid_t pid;

	shell(before);
	(void)clock_gettime(CLOCK_MONOTONIC, &from);
	if ((pid = fork()) == 0)
		_exit(command != NULL
			  ? system(command) != 0
			  : gons_covmerge("sum", src + 2 - n, n, NULL) != 0);
	if (pid < 0 || wait4(pid, &status, 0, &ru) != pid || status != 0) {
		(void)fprintf(stderr, "a merge failed\n");
		exit(1);
	}
	(void)clock_gettime(CLOCK_MONOTONIC, &to);
	*kb = ru.ru_maxrss > *kb ? ru.ru_maxrss : *kb;
	return (double)(to.tv_sec - from.tv_sec) * 1e3 +
	       (double)(to.tv_nsec - from.tv_nsec) / 1e6;
}

static void
measure(const char *what, const char *before, size_t n)
{
	double t[RUNS];
	long kb = 0;
	int i;

	for (i = 0; i < RUNS; i++)
		t[i] = once(before, NULL, n, &kb);
	qsort(t, RUNS, sizeof(t[0]), compare);
	(void)printf("%-44s %8.1f ms %8ld KB\n", what, t[RUNS / 2], kb);
	(void)fflush(stdout);
}

/* Beside gcov-tool, if there is one: they take turns. */
static void
race(const char *what, const char *before, size_t n, const char *tool)
{
	double ours[RUNS], ratio[RUNS], theirs[RUNS];
	long kb = 0, none = 0;
	int i;

	if (system("command -v gcov-tool >out.txt") != 0) {
		measure(what, before, n);
		return;
	}
	for (i = 0; i < RUNS; i++) {
		ours[i] = once(before, NULL, n, &kb);
		theirs[i] = once("rm -rf sum", tool, n, &none);
		ratio[i] = theirs[i] / ours[i];
	}
	qsort(ours, RUNS, sizeof(ours[0]), compare);
	qsort(ratio, RUNS, sizeof(ratio[0]), compare);
	(void)printf("%-44s %8.1f ms %8ld KB  gcov-tool / it: %.2f\n", what,
	    ours[RUNS / 2], kb, ratio[RUNS / 2]);
	(void)fflush(stdout);
}

int
main(void)
{
	make_trees(2);
	race("2 trees of 2001 small .gcda to a new one", "rm -rf sum", 2,
	    GCOV_TOOL);
	race("one of them to the other", "rm -rf sum; cp -r one sum", 1,
	    GCOV_TOOL);
	make_trees(20);
	race("2 trees of 2001 larger .gcda to a new one", "rm -rf sum", 2,
	    GCOV_TOOL);
	shell("rm -rf one two sum out.txt");
	make_profile("one", 100000, 1);
	make_profile("two", 100000, 3);
	measure("2 Go profiles of 100 000 lines", "rm -f sum", 2);
	make_profile("one", 1000000, 1);
	make_profile("two", 1000000, 3);
	measure("2 Go profiles of 1 000 000 lines", "rm -f sum", 2);
	shell("rm -f one two sum");
	return (0);
}
