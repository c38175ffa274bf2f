/*
 * SPDX-License-Identifier: BSD-2-Clause
 *
 * Copyright (c) 2026 The libgons developers
 *
 * gons_covmerge(3), "Files": sums of profiles of Go, which are texts.
 */

#include <sys/resource.h>

#include <atf-c.h>
#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include <gons.h>

#include "helpers.h"
#include "merge.h"

/*
 * Go cover profiles
 */

ATF_TC_WITHOUT_HEAD(cover_cases);
ATF_TC_BODY(cover_cases, tc)
{
	static const struct {
		const char *what, *dst, *src, *sum;
	} t[] = {
		{ "no destination", NULL, "mode: count\na.go:1.2,3.4 5 6\n",
		    "mode: count\na.go:1.2,3.4 5 6\n" },
		{ "counts add", "mode: count\na.go:1.2,3.4 5 6\n",
		    "mode: count\na.go:1.2,3.4 5 7\n",
		    "mode: count\na.go:1.2,3.4 5 13\n" },
		{ "atomic", "mode: atomic\na.go:1.2,3.4 5 4294967295\n",
		    "mode: atomic\na.go:1.2,3.4 5 1\n",
		    "mode: atomic\na.go:1.2,3.4 5 4294967296\n" },
		{ "set", "mode: set\na.go:1.2,3.4 5 1\na.go:4.1,4.2 1 0\n",
		    "mode: set\na.go:1.2,3.4 5 1\na.go:4.1,4.2 1 1\n",
		    "mode: set\na.go:1.2,3.4 5 1\na.go:4.1,4.2 1 1\n" },
		{ "saturated",
		    "mode: count\na.go:1.1,1.2 1 9223372036854775807\n"
		    "a.go:2.1,2.2 1 18446744073709551615\n",
		    "mode: count\na.go:1.1,1.2 1 1\na.go:2.1,2.2 1 1\n",
		    "mode: count\na.go:1.1,1.2 1 9223372036854775807\n"
		    "a.go:2.1,2.2 1 18446744073709551615\n" },
		{ "a source in two stretches",
		    "mode: count\na.go:1.1,2.1 1 1\nb.go:1.1,2.1 1 1\n"
		    "a.go:5.1,6.1 1 1\n",
		    "mode: count\na.go:5.1,6.1 1 1\nb.go:1.1,2.1 1 1\n"
		    "a.go:1.1,2.1 1 1\n",
		    "mode: count\na.go:1.1,2.1 1 2\na.go:5.1,6.1 1 2\n"
		    "b.go:1.1,2.1 1 2\n" },
		{ "same start, another end, interleaved",
		    "mode: count\na.go:1.1,9.1 1 1\na.go:1.1,3.1 1 1\n"
		    "a.go:1.1,9.1 1 1\na.go:1.1,3.1 1 1\n",
		    "mode: count\na.go:1.1,3.1 1 1\na.go:1.1,4.1 1 1\n"
		    "a.go:1.1,9.1 1 1\na.go:1.1,4.1 1 1\n",
		    "mode: count\na.go:1.1,3.1 1 3\na.go:1.1,4.1 1 2\n"
		    "a.go:1.1,9.1 1 3\n" },
		{ "by number, not by digit", NULL,
		    "mode: count\nb.go:10.1,11.1 1 1\nb.go:9.1,9.2 1 1\n"
		    "b.go:9.1,9.10 1 1\na.go:2.10,3.1 1 1\na.go:2.9,3.1 1 1\n",
		    "mode: count\na.go:2.9,3.1 1 1\na.go:2.10,3.1 1 1\n"
		    "b.go:9.1,9.2 1 1\nb.go:9.1,9.10 1 1\nb.go:10.1,11.1 1 1\n" },
		{ "names with colons and blanks", NULL,
		    "mode: set\nC:/a b/c.go:1.1,2.2 3 0\n"
		    "C:/a b/c.go:1.1,2.2 3 1:5.6,7.8 9 1\n",
		    "mode: set\nC:/a b/c.go:1.1,2.2 3 0\n"
		    "C:/a b/c.go:1.1,2.2 3 1:5.6,7.8 9 1\n" },
		{ "no blocks", NULL, "mode: atomic\n", "mode: atomic\n" },
	};
	size_t i;

	for (i = 0; i < sizeof(t) / sizeof(t[0]); i++) {
		(void)unlink("dst");
		if (t[i].dst != NULL)
			put_text("dst", t[i].dst);
		put_text("src", t[i].src);
		merge(0, t[i].what, "dst", "src", NULL);
		check_text("dst", t[i].sum);
	}
}

/* What errno was before says nothing about the end of a file. */
ATF_TC(cover_errno);
ATF_TC_HEAD(cover_errno, tc)
{
	atf_tc_set_md_var(tc, "timeout", "60");
}
ATF_TC_BODY(cover_errno, tc)
{
	const char *src[] = { "src" };

	put_text("dst", "mode: count\na.go:1.2,3.4 5 6\n");
	put_text("src", "mode: count\na.go:1.2,3.4 5 7\n");
	errno = EINTR;
	ATF_CHECK_EQ(0, gons_covmerge("dst", src, 1, NULL));
	check_text("dst", "mode: count\na.go:1.2,3.4 5 13\n");
}

ATF_TC_WITHOUT_HEAD(cover_refused);
ATF_TC_BODY(cover_refused, tc)
{
	static const struct {
		const char *src;
		int expected;
		int64_t offset;
	} t[] = {
		{ "mode: foo\n", EBADMSG, 0 },
		{ "mode: \n", EBADMSG, 0 },
		{ "mode: counts\n", EBADMSG, 0 },
		{ "mode: counX\n", EBADMSG, 0 },
		{ "mode: count", EBADMSG, 0 },
		{ "mode count\n", EBADMSG, 0 },
		{ "mode: set\n", ENOTSUP, 0 },
		{ "mode: atomic\n", ENOTSUP, 0 },
		{ "mode: count\na.go:1x1,2y2 1 1\n", EBADMSG, 12 },
		{ "mode: count\na.go:1.1,2.2 1 1\nx\n", EBADMSG, 29 },
		{ "mode: count\n\n", EBADMSG, 12 },
		{ "mode: count\nmode: count\n", EBADMSG, 12 },
		{ "mode: count\na.go:1.1,2.2 1 1", EBADMSG, 12 },
		{ "mode: count\na.go:1.1,2.2 1 1 \n", EBADMSG, 12 },
		{ "mode: count\na.go:1.1,2.2 1  1\n", EBADMSG, 12 },
		{ "mode: count\na.go:1.1,2.2 1 -1\n", EBADMSG, 12 },
		{ "mode: count\na.go:1.1,2.2 1 1\r\n", EBADMSG, 12 },
		{ "mode: count\na.go:1.1,2.2 1\n", EBADMSG, 12 },
		{ "mode: count\na.go:1.,2.2 1 1\n", EBADMSG, 12 },
		{ "mode: count\n:1.1,2.2 1 1\n", EBADMSG, 12 },
		{ "mode: count\na.go:1.1,2.4294967296 1 1\n", EBADMSG, 12 },
		{ "mode: count\na.go:4294967296.1,2.2 1 1\n", EBADMSG, 12 },
		{ "mode: count\na.go:1.1,2.2 1 18446744073709551616\n", EBADMSG,
		    12 },
		{ "mode: count\na.go:1.1,2.2 2 1\n", ESTALE, 12 },
		{ "mode: count\nb.go:9.1,9.2 1 1\nb.go:1.1,1.2 1 1\n"
		  "b.go:1.1,1.2 2 1\n",
		    ESTALE, 46 },
	};
	size_t i;

	put_text("dst", "mode: count\na.go:1.1,2.2 1 1\n");
	for (i = 0; i < sizeof(t) / sizeof(t[0]); i++) {
		put_text("src", t[i].src);
		merge(t[i].expected, t[i].src, "dst", "src", NULL);
		ATF_CHECK_STREQ("src", outcome.where);
		ATF_CHECK_EQ_MSG(t[i].offset, outcome.offset, "%s: %" PRId64,
		    t[i].src, outcome.offset);
		check_text("dst", "mode: count\na.go:1.1,2.2 1 1\n");
		merge(t[i].expected, "all", "dst", "dst2", "src", NULL);
	}
	shell("test \"$(ls -A | tr '\\n' ' ')\" = 'dst src '");
}

/* Lines longer than any buffer, and more sources than a table begins with. */
ATF_TC_WITHOUT_HEAD(cover_large);
ATF_TC_BODY(cover_large, tc)
{
	char *is, *name, *p;
	FILE *f;
	size_t len;
	int i;

	ATF_REQUIRE((name = malloc(300001)) != NULL);
	memset(name, 'n', 300000);
	name[300000] = '\0';
	ATF_REQUIRE((f = fopen("src", "w")) != NULL);
	(void)fprintf(
	    f, "mode: count\na.go:1.1,2.2 1 1\n%s:1.1,2.2 1 5\n", name);
	for (i = 5000; i > 0; i--) /* backwards: nothing is in its place */
		(void)fprintf(f,
		    "z%04d.go:%d.1,%d.9 1 1\nzz.go:%d.1,%d.9 1 1\n", i, i, i, i,
		    i);
	ATF_REQUIRE_EQ(0, fclose(f));
	merge(0, "once", "dst", "src", NULL);
	merge(0, "twice", "dst", "src", "src", NULL);
	is = get_file("dst", &len);
	ATF_REQUIRE(strncmp(is, "mode: count\na.go:1.1,2.2 1 3\n", 29) == 0);
	ATF_REQUIRE(memcmp(is + 29, name, 300000) == 0);
	ATF_REQUIRE(strncmp(is + 300029, ":1.1,2.2 1 15\n", 14) == 0);
	for (i = 1, p = is + 300043; i <= 5000; i++) {
		(void)snprintf(name, 100, "z%04d.go:%d.1,%d.9 1 3\n", i, i, i);
		ATF_REQUIRE_EQ(0, strncmp(p, name, strlen(name)));
		p += strlen(name);
	}
	for (i = 1; i <= 5000; i++) {
		(void)snprintf(name, 100, "zz.go:%d.1,%d.9 1 3\n", i, i);
		ATF_REQUIRE_EQ(0, strncmp(p, name, strlen(name)));
		p += strlen(name);
	}
	ATF_CHECK_EQ('\0', *p);
	free(is);
	free(name);
}

/* Merges a profile, and says by how many KiB that made the process larger. */
static long
merge_growth(const char *dst, const char *name)
{
	const char *src[] = { name };
	struct rusage before, after;

	CHILD(getrusage(RUSAGE_SELF, &before) == 0);
	CHILD(gons_covmerge(dst, src, 1, NULL) == 0);
	CHILD(getrusage(RUSAGE_SELF, &after) == 0);
	return after.ru_maxrss - before.ru_maxrss;
}

static void
merge_repeated(void *unused)
{
	long growth;

	(void)unused;
	(void)merge_growth("dst1", "few"); /* what is needed once */
	growth = merge_growth("dst", "many");
	if (growth > 6000)
		(void)fprintf(stderr, "%ld KiB more\n", growth);
	CHILD(growth <= 6000);
}

/*
 * Profiles of several packages, one behind the other, have each block many
 * times, and in any order.  Memory is for the blocks, not for the lines.
 */
ATF_TC_WITHOUT_HEAD(cover_repeated);
ATF_TC_BODY(cover_repeated, tc)
{
	shell("{ printf 'mode: count\na.go:5.1,6.2 1 1\n'; "
	      "yes a.go:1.1,2.2 1 1 | head -n 4000; } >few");
	shell("{ cat few; yes a.go:1.1,2.2 1 1 | head -n 396000; } >many");
	in_child(merge_repeated, NULL);
	check_text(
	    "dst", "mode: count\na.go:1.1,2.2 1 400000\na.go:5.1,6.2 1 1\n");
}

/* Either of each pair: FNV-1a comes to the same 64 bits behind both. */
static const char *const colliding[14][2] = {
	{ "eC7BLP92b_9B", "dM7F6690pBJS" },
	{ "l19T0b94SX0B", "s79H.h56CMc3" },
	{ "iX3f.K93QNOo", "h03n0S93mCFx" },
	{ "QP2RSZ.3zz/S", "P80.7DL3xItb" },
	{ "n-/Q3Y-9AX/k", "o_/S/E15qotZ" },
	{ "-/6Q7y55ieAS", ".143CU99Ir0D" },
	{ "n3-L.T58tkRv", "iY-88296jxEg" },
	{ "bI-O8E.0Y65B", "e7-U2A06I-z3" },
	{ "VS7M/SK1lrcZ", "Q97G3k/1ZaPk" },
	{ "jS9Z9N5-cG.t", "i59B-LM-SRWg" },
	{ ".121.uL2LQ9D", "/_4K8Q.4vDfu" },
	{ "g/7o5IB7xyax", "f97q9M07JnPo" },
	{ "a72H1..2HF2W", "b10t9hL4ZSAF" },
	{ "574T9l/9LwvZ", "612h1j35Vb/I" },
};

/* A profile of 2^14 sources, and the time that merging it takes, in seconds. */
static double
merge_names(int collide)
{
	clock_t since;
	FILE *f;
	unsigned i, k;

	ATF_REQUIRE((f = fopen("src", "w")) != NULL);
	(void)fprintf(f, "mode: count\n");
	for (i = 0; i < 1u << 14; i++) {
		for (k = 0; k < 14; k++)
			(void)fputs(colliding[k][i >> k & 1], f);
		(void)fprintf(f, "%s:1.1,2.2 1 1\n", collide ? "" : "x");
	}
	ATF_REQUIRE_EQ(0, fclose(f));
	if (!collide) /* other names, of the same length */
		shell("awk '{ print (NR > 1 ? NR : \"\") $0 }' src >other && "
		      "mv other src");
	(void)unlink("dst");
	since = clock();
	merge(0, "names", "dst", "src", NULL);
	return (double)(clock() - since) / CLOCKS_PER_SEC;
}

ATF_TC_WITHOUT_HEAD(cover_colliding);
ATF_TC_BODY(cover_colliding, tc)
{
	double bad, good;

	good = merge_names(0);
	bad = merge_names(1);
	ATF_CHECK_MSG(bad < 5 * good + 0.05,
	    "%.3f s for names that collide, %.3f s for others", bad, good);
}

ATF_TP_ADD_TCS(tp)
{
	ATF_TP_ADD_TC(tp, cover_cases);
	ATF_TP_ADD_TC(tp, cover_errno);
	ATF_TP_ADD_TC(tp, cover_refused);
	ATF_TP_ADD_TC(tp, cover_large);
	ATF_TP_ADD_TC(tp, cover_repeated);
	ATF_TP_ADD_TC(tp, cover_colliding);
	return (atf_no_error());
}
