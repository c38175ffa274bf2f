/*
 * SPDX-License-Identifier: BSD-2-Clause
 *
 * Copyright (c) 2026 The libgons developers
 *
 * Go cover profiles that are well formed, in any order of their lines: what
 * gons_covmerge(3) makes of two is added up here a second time, block by block.
 * fuzz_covmerge has those that are not well formed.
 *
 * Input: the mode; then three bytes for a line: which file it goes to and which
 * source it is of, which block of that, and how often that was reached.
 */

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include <gons.h>

#include "fuzz.h"
#include "dir.h"

#define LINES 256
#define NAMES 4 /* of the same length, so that bytes are compared */
#define COUNTS 4

struct line {
	int file, name, block;
	uint64_t count;
};

static const char *const names[NAMES] = { "a/aa.go", "a/ab.go", "a:1.go",
	"aa.go" };
static const uint64_t counts[COUNTS] = { 0, 1, 7, UINT64_MAX - 3 };

static int
print_line(char *to, size_t room, const struct line *l)
{
	return snprintf(to, room, "%s:%d.%d,%d.2 %d %llu\n", names[l->name],
	    l->block / 4 + 1, l->block % 4 + 1, l->block / 4 + 2,
	    l->block % 3 + 1, (unsigned long long)l->count);
}

static void
put(const char *path, const char *mode, const struct line *l, size_t n,
    int file)
{
	char text[128];
	FILE *f = fopen(path, "w");
	size_t i;

	MUST(f != NULL && fprintf(f, "mode: %s\n", mode) > 0);
	for (i = 0; i < n; i++)
		if (l[i].file == file) {
			MUST(print_line(text, sizeof(text), &l[i]) > 0);
			MUST(fputs(text, f) >= 0);
		}
	MUST(fclose(f) == 0);
}

/* Sources by their names, and blocks by where they begin. */
static int
comes_before(const struct line *a, const struct line *b)
{
	int order = strcmp(names[a->name], names[b->name]);

	return order != 0 ? order < 0 : a->block < b->block;
}

/* Each block once, in its place. */
static size_t
add_up(struct line *sum, const struct line *l, size_t n, int set)
{
	size_t at, i, k, total = 0;

	for (i = 0; i < n; i++) {
		for (at = 0; at < total && comes_before(&sum[at], &l[i]);)
			at++;
		if (at == total || comes_before(&l[i], &sum[at])) {
			for (k = total++; k > at; k--)
				sum[k] = sum[k - 1];
			sum[at] = l[i];
			sum[at].count = 0;
		}
		sum[at].count = count_plus(sum[at].count, l[i].count);
		if (set)
			sum[at].count = sum[at].count != 0;
	}
	return total;
}

static void
check(const char *path, const char *mode, const struct line *sum, size_t n)
{
	char is[128], wanted[128];
	FILE *f = fopen(path, "r");
	size_t i;

	MUST(f != NULL && fgets(is, sizeof(is), f) != NULL);
	MUST(strncmp(is, "mode: ", 6) == 0);
	MUST(strncmp(is + 6, mode, strlen(mode)) == 0);
	for (i = 0; i < n; i++) {
		MUST(fgets(is, sizeof(is), f) != NULL);
		MUST(print_line(wanted, sizeof(wanted), &sum[i]) > 0);
		MUST(strcmp(is, wanted) == 0);
	}
	MUST(fgets(is, sizeof(is), f) == NULL);
	MUST(fclose(f) == 0);
}

int
LLVMFuzzerTestOneInput(const unsigned char *p, size_t size)
{
	static struct line l[LINES], sum[LINES];
	static const char *const modes[] = { "set", "count", "atomic" };
	const char *mode, *src[] = { "b" };
	static int ready;
	struct gons_covstat st;
	size_t i, n;

	if (!ready) {
		enter_directory();
		ready = 1;
	}
	if (size == 0)
		return 0;
	mode = modes[*p++ % 3];
	for (n = 0; n < LINES && 3 * n + 3 < size; n++, p += 3) {
		l[n].file = p[0] & 1;
		l[n].name = (p[0] >> 1) % NAMES;
		l[n].block = p[1];
		l[n].count = counts[p[2] % COUNTS];
	}
	put("a", mode, l, n, 0);
	put("b", mode, l, n, 1);
	MUST(gons_covmerge("a", src, 1, &st) == 0);
	i = add_up(sum, l, n, mode == modes[0]);
	check("a", mode, sum, i);
	return 0;
}
