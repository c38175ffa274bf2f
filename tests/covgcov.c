/*
 * SPDX-License-Identifier: BSD-2-Clause
 *
 * Copyright (c) 2026 The libgons developers
 *
 * Stands in for libgcov of a version that is not known: what objects register
 * with it has KINDS kinds of counters.  Tells by its exit status whether the
 * library sets these to 0, and touches nothing where it does not understand it.
 */

#include <stdint.h>
#include <stdio.h>

#include "internal.h"

#ifdef CHECKSUM
#define VERSION 0x5a39392a /* gcc 259 */
#else
#define VERSION 0x4231312a /* gcc 11 */
#endif

int gons__cov_gcov_reset(int reset);

struct function {
	const void *key;
	unsigned ident[3];
	struct {
		unsigned n;
		int64_t *value;
	} counters[2];
};

struct object {
	unsigned version;
	struct object *next;
	unsigned stamp;
#ifdef CHECKSUM
	unsigned checksum;
#endif
	const char *filename;
	void (*merge[KINDS])(void);
	unsigned n;
	struct function **function;
};

struct root {
	struct object *list;
	unsigned flags;
	struct root *next;
};

struct gcov_master {
	unsigned version;
	struct root *root;
};

static void
merge(void)
{
}

/*
 * The program header of what threads have of their own tells of more than the
 * file and the memory behind it: in its addresses there is nothing, from end on.
 */
static _Thread_local char threads[1 << 20] __attribute__((used));
extern char end[];

static const int64_t constant[2] = { 7, 7 };
static int64_t count[6] = { 7, 7, 7, 7, 7, 7 };
static struct object one, two;
static struct function own = { &one, { 1, 2, 3 },
	{ { 2, count }, { 1, count + 2 } } };
static struct function shared = { &two, { 4, 5, 6 },
	{ { 1, count + 5 }, { 0, NULL } } };
static struct function other = { &two, { 7, 8, 9 },
	{ { 2, count + 3 }, { 0, NULL } } };
static struct function *of_one[] = { &shared, NULL, &own };
static struct function *of_two[] = { &other };
static struct object one = { .version = VERSION,
	.next = &two,
	.merge = { [0] = merge, [KINDS - 1] = merge },
	.n = 3,
	.function = of_one };
static struct object two = {
	.version = VERSION, .merge = { [0] = merge }, .n = 1, .function = of_two
};
static struct root root = { &one, 0, NULL };
struct gcov_master __gcov_master = { VERSION, &root };

/* Of the last counter there is another copy, which counts. */
static int
all(int64_t first, int64_t last)
{
	int i;

	for (i = 0; i < 5; i++)
		if (count[i] != first)
			return 0;
	return count[5] == last;
}

static int
refused(const char *why)
{
	if (!gons__cov_forkable() && gons__cov_gcov_reset(1) != 0 && all(7, 7))
		return 1;
	(void)fprintf(stderr, "%s: not refused\n", why);
	return 0;
}

int
main(void)
{
	int i;

	other.counters[0].value = (int64_t *)(uintptr_t)constant;
	if (!refused("counters that cannot be written"))
		return 1;
	other.counters[0].value = count + 3;
	two.function = (struct function **)(uintptr_t)8;
	if (!refused("no list of functions"))
		return 2;
	two.function = (struct function **)(((uintptr_t)end | 4095) + 4097);
	if (!refused("a list of functions behind the program"))
		return 3;
	two.function = of_two;
	two.merge[0] = (void (*)(void))(uintptr_t)count;
	if (!refused("no code to merge with"))
		return 4;
	two.merge[0] = merge;
	if (!gons__cov_forkable() || !all(7, 7))
		return 5;
	if (gons__cov_gcov_reset(1) != 0 || !all(0, 7)) {
		for (i = 0; i < 6; i++)
			(void)fprintf(stderr, "%d ", (int)count[i]);
		return 6;
	}
	return 0;
}
