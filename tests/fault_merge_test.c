/*
 * SPDX-License-Identifier: BSD-2-Clause
 *
 * Copyright (c) 2026 The libgons developers
 *
 * Every system call and every allocation of gons_covmerge(3) fails once, see
 * faults.h: the destination is what it was or what it should become, and
 * nothing else is left.
 */

#include <sys/stat.h>
#include <sys/syscall.h>

#include <atf-c.h>

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "faults.h"
#include "helpers.h"

/* A case that may take minutes; its body follows. */
#define SLOW_TC(name, text)                              \
	ATF_TC(name);                                    \
	ATF_TC_HEAD(name, tc)                            \
	{                                                \
		atf_tc_set_md_var(tc, "descr", text);    \
		atf_tc_set_md_var(tc, "timeout", "600"); \
	}                                                \
	ATF_TC_BODY(name, tc)

static void
put(const char *path, const void *data, size_t len)
{
	int fd = open(path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);

	ATF_REQUIRE(fd != -1);
	ATF_REQUIRE_EQ((ssize_t)len, write(fd, data, len));
	close(fd);
}

/*
 * A destination that was not there may be left empty, which counts as none:
 * somebody else may be waiting to write into it by then.
 */
static int
holds(const char *path, const void *data, size_t len)
{
	static char got[200000];
	size_t n;
	FILE *f = fopen(path, "re");

	if (f == NULL)
		return data == NULL;
	n = fread(got, 1, sizeof(got), f);
	fclose(f);
	if (data == NULL)
		return n == 0;
	return n == len && memcmp(got, data, len) == 0;
}

/* How many files there are beside source and destination. */
static int
others(void)
{
	struct dirent *e;
	int n = 0;
	DIR *dir = opendir("merge");

	ATF_REQUIRE(dir != NULL);
	while ((e = readdir(dir)) != NULL)
		n += e->d_name[0] != '.' && strcmp(e->d_name, "dst") != 0 &&
		     strcmp(e->d_name, "src") != 0;
	closedir(dir);
	return n;
}

/* An allocation that failed is told as what it is. */
static void
check_memory(const struct plan *plan, const struct outcome *o)
{
	if (strstr(o->out, "fired 1") != NULL &&
	    strstr(o->out, "outcome ok") == NULL &&
	    strstr(o->out, strerror(ENOMEM)) == NULL)
		atf_tc_fail_nonfatal("%s: %s", plan->alloc, o->out);
}

struct texts {
	const void *dst, *src, *sum; /* dst NULL: there is none yet */
	size_t dstlen, srclen, sumlen;
};

static void
one_merge(struct plan *plan, const struct texts *t, struct outcome *o)
{
	int done;

	(void)unlink("merge/dst");
	if (t->dst != NULL)
		put("merge/dst", t->dst, t->dstlen);
	put("merge/src", t->src, t->srclen);
	play(plan, o);
	check(plan, o);
	check_memory(plan, o);
	done = strstr(o->out, "outcome ok") != NULL;
	if (plan->mode == INTERRUPTED && o->hit != -1 && !done)
		atf_tc_fail_nonfatal("EINTR in call %ld, number %ld: %s",
		    o->hit, plan->nth, o->out);
	/* an empty one counts as none: it may be locked by somebody else */
	if (!holds("merge/dst", done ? t->sum : t->dst,
		done ? t->sumlen : t->dstlen) &&
	    (done || t->dst != NULL || !holds("merge/dst", "", 0)))
		atf_tc_fail_nonfatal("%s %ld %s, call %ld: destination not as "
				     "it has to be; %s",
		    plan->mode == LIKELY ? "likely" : "other", plan->nth,
		    plan->alloc, o->hit, o->out);
	if (!holds("merge/src", t->src, t->srclen))
		atf_tc_fail_nonfatal("%ld: source changed", plan->nth);
	if (others() != 0)
		atf_tc_fail_nonfatal(
		    "%ld, call %ld: a file is left", plan->nth, o->hit);
}

static void
merges(const atf_tc_t *tc, const struct texts *t)
{
	static struct outcome o;
	struct plan plan;
	int fired, mode;
	long n;

	begin(tc);
	ATF_REQUIRE_EQ(0, mkdir("merge", 0700));
	memset(&plan, 0, sizeof(plan));
	plan.args[0] = "merge";
	plan.args[1] = "merge/dst";
	plan.args[2] = "merge/src";
	plan.fd = -1;
	one_merge(&plan, t, &o);
	ATF_REQUIRE_MSG(strstr(o.out, "outcome ok") != NULL, "%s", o.out);
	for (mode = 0; mode < NMODES; mode++) {
		plan.mode = (enum mode)mode;
		for (plan.nth = 1; plan.nth < MOST; plan.nth++) {
			one_merge(&plan, t, &o);
			if (o.hit == -1)
				break;
			points[mode]++;
		}
	}
	plan.nth = 0;
	for (n = 1, fired = 1; fired && n < MOST; n++) {
		(void)snprintf(
		    plan.alloc, sizeof(plan.alloc), "FAULT_ALLOC=host:%ld", n);
		one_merge(&plan, t, &o);
		fired = unlink("fired") == 0;
		allocs += fired;
	}
	report();
}

#define LINE "a.go:1.2,3.4 1 "
#define SUM "mode: count\n" LINE "5\n"
#define TEXTS(d, s, x)                                               \
	{                                                            \
		d, s, x, sizeof(d) - 1, sizeof(s) - 1, sizeof(x) - 1 \
	}

SLOW_TC(merge_go, "merging Go profiles")
{
	static const struct texts t =
	    TEXTS("mode: count\n" LINE "2\n", "mode: count\n" LINE "3\n", SUM);

	merges(tc, &t);
}

/* A line that is longer than all that is read before more room is made. */
SLOW_TC(merge_go_long, "merging Go profiles with a long name")
{
	static char name[140000], dst[150000], src[150000], sum[150000];
	struct texts t = { dst, src, sum, 0, 0, 0 };

	memset(name, 'n', sizeof(name) - 1);
	t.dstlen = (size_t)sprintf(dst, "mode: count\n%s:1.2,3.4 1 2\n", name);
	t.srclen = (size_t)sprintf(src, "mode: count\n%s:1.2,3.4 1 3\n", name);
	t.sumlen = (size_t)sprintf(sum, "mode: count\n%s:1.2,3.4 1 5\n", name);
	merges(tc, &t);
}

/* magic, version, stamp, checksum; summary; a function with two counters */
static const uint32_t gcda[][17] = {
	{ 0x67636461, 0x4232322a, 1, 2, 0xa1000000, 8, 1, 5, 0x01000000, 12, 1,
	    2, 3, 0x01a10000, 16, 5, 0 },
	{ 0x67636461, 0x4232322a, 1, 2, 0xa1000000, 8, 2, 7, 0x01000000, 12, 1,
	    2, 3, 0x01a10000, 16, 7, 0 },
	{ 0x67636461, 0x4232322a, 1, 2, 0xa1000000, 8, 3, 12, 0x01000000, 12, 1,
	    2, 3, 0x01a10000, 16, 12, 0 },
};

static void
merge_counters(const atf_tc_t *tc, int exists)
{
	uint32_t file[3][20];
	struct texts t;
	int i;

	for (i = 0; i < 3; i++) {
		memset(file[i], 0, sizeof(file[i]));
		memcpy(file[i], gcda[i], sizeof(gcda[i]));
	}
	t.dst = exists ? file[0] : NULL;
	t.src = file[1];
	t.sum = exists ? file[2] : file[1];
	/* the end is a zero word */
	t.dstlen = t.srclen = t.sumlen = sizeof(file[0]);
	merges(tc, &t);
}

SLOW_TC(merge_gcda, "merging .gcda files in place")
{
	merge_counters(tc, 1);
}

SLOW_TC(merge_gcda_new, "merging into a .gcda file that was not there")
{
	merge_counters(tc, 0);
}

/* The sum needs more room than the destination has. */
SLOW_TC(merge_gcda_grow, "merging into a .gcda file that becomes longer")
{
	uint32_t dst[16], src[20], sum[20];
	struct texts t = { dst, src, sum, sizeof(dst), sizeof(src),
		sizeof(sum) };

	memset(src, 0, sizeof(src));
	memcpy(src, gcda[1], sizeof(gcda[1]));
	memcpy(sum, src, sizeof(src));
	sum[6] = 3;
	sum[7] = 12;
	memcpy(dst, gcda[0], sizeof(dst));
	dst[14] = (uint32_t)-16; /* counters that are all zero */
	dst[15] = 0;
	merges(tc, &t);
}

/* It is made under another name. */
SLOW_TC(merge_gcda_large, "merging a large .gcda file")
{
	static uint32_t file[8 + 200 * 11 + 1];
	struct texts t = { NULL, file, file, 0, sizeof(file), sizeof(file) };
	uint32_t i;

	memcpy(file, gcda[0], 8 * sizeof(*file));
	for (i = 0; i < 200; i++) {
		memcpy(&file[8 + i * 11], &gcda[0][8], 9 * sizeof(*file));
		file[8 + i * 11 + 2] = i;
	}
	merges(tc, &t);
}

static void
shell(const char *command)
{
	ATF_REQUIRE_EQ_MSG(0, system(command), "%s", command);
}

/* Each file is there as a whole or not at all, and nothing else is. */
static void
one_tree(struct plan *plan, struct outcome *o)
{
	static const char *const names[] = { "merge/dst/b", "merge/dst/sub/a" };
	size_t i;
	int done;

	shell("rm -rf merge/dst");
	play(plan, o);
	check(plan, o);
	check_memory(plan, o);
	done = strstr(o->out, "outcome ok") != NULL;
	for (i = 0; i < 2; i++)
		if (!holds(names[i], SUM, sizeof(SUM) - 1) &&
		    (done || !holds(names[i], NULL, 0)))
			atf_tc_fail_nonfatal("%ld, call %ld: %s is not as it "
					     "has to be; %s",
			    plan->nth, o->hit, names[i], o->out);
	if (o->hit != SYS_unlinkat &&
	    system(
		"l=$(find . -name '.gons*'); test -z \"$l\" || { find merge; exit 1; }") !=
		0)
		atf_tc_fail_nonfatal("%ld, %s, call %ld: something is left",
		    plan->nth, plan->alloc, o->hit);
	shell("find . -name '.gons*' -prune -exec rm -r {} +");
	shell("cmp merge/src/b merge/src/sub/a");
}

SLOW_TC(merge_tree, "merging a directory")
{
	static struct outcome o;
	struct plan plan;
	int fired, mode;
	long n;

	begin(tc);
	shell("mkdir -p merge/src/sub");
	put("merge/src/b", SUM, sizeof(SUM) - 1);
	put("merge/src/sub/a", SUM, sizeof(SUM) - 1);
	memset(&plan, 0, sizeof(plan));
	plan.args[0] = "merge";
	plan.args[1] = "merge/dst";
	plan.args[2] = "merge/src";
	plan.fd = -1;
	one_tree(&plan, &o);
	ATF_REQUIRE_MSG(strstr(o.out, "outcome ok") != NULL, "%s", o.out);
	for (mode = 0; mode < NMODES; mode++) {
		plan.mode = (enum mode)mode;
		for (plan.nth = 1; plan.nth < MOST; plan.nth++) {
			one_tree(&plan, &o);
			if (o.hit == -1)
				break;
			points[mode]++;
		}
	}
	/* The kernel's errors may be those that we have for a byte of a file. */
	plan.mode = LIKELY;
	plan.errnum = ESTALE;
	for (plan.nth = 1; plan.nth < MOST; plan.nth++) {
		one_tree(&plan, &o);
		if (o.hit == -1)
			break;
	}
	plan.nth = 0;
	for (n = 1, fired = 1; fired && n < MOST; n++) {
		(void)snprintf(
		    plan.alloc, sizeof(plan.alloc), "FAULT_ALLOC=host:%ld", n);
		one_tree(&plan, &o);
		fired = unlink("fired") == 0;
		allocs += fired;
	}
	report();
}

/* Kinds in which a good deal is waited for, minutes in all: LONG=yes. */
ATF_TP_ADD_TCS(tp)
{
	const char *is_long = getenv("GONS_TEST_LONG");

	ATF_TP_ADD_TC(tp, merge_go);
	ATF_TP_ADD_TC(tp, merge_go_long);
	ATF_TP_ADD_TC(tp, merge_gcda);
	ATF_TP_ADD_TC(tp, merge_gcda_new);
	ATF_TP_ADD_TC(tp, merge_gcda_grow);
	ATF_TP_ADD_TC(tp, merge_gcda_large);
	ATF_TP_ADD_TC(tp, merge_tree);
	if (is_counting()) {
	}
	if (is_long == NULL || strcmp(is_long, "yes") != 0)
		return atf_no_error();
	if (!is_counting()) {
	}
	return atf_no_error();
}
