/*
 * SPDX-License-Identifier: BSD-2-Clause
 *
 * Copyright (c) 2026 The libgons developers
 *
 * gons_covmerge(3), "Files": sums of .gcda files, checked number by number,
 * and files that cannot be summed.
 */

#include <atf-c.h>
#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include <gons.h>

#include "helpers.h"
#include "merge.h"

/*
 * .gcda files, made up
 */

static const struct flavour {
	const char *name;
	uint32_t version;
	int big;
} flavours[] = {
	{ "gcc 12", GCC12, 0 },
	{ "gcc 12, big", GCC12, 1 },
	{ "gcc 13", GCC13, 0 },
	{ "gcc 14", GCC14, 0 },
	{ "gcc 15, big", GCC15, 1 },
	{ "gcc 10", GCC10, 0 },
	{ "gcc 11", GCC11, 0 },
	{ "gcc 9, big", GCC9, 1 },
	{ "clang", CLANG, 0 },
	{ "clang, big", CLANG, 1 },
};
#define NFLAVOURS (sizeof(flavours) / sizeof(flavours[0]))

ATF_TC_WITHOUT_HEAD(gcda_counts);
ATF_TC_BODY(gcda_counts, tc)
{
	const struct flavour *f;
	char *sum;
	size_t i, len;

	for (i = 0; i < NFLAVOURS; i++) {
		f = &flavours[i];
		plain("a", f->version, f->big, 1, 1);
		plain("b", f->version, f->big, 4, 2);
		plain("sum", f->version, f->big, 5, 3);
		sum = get_file("sum", &len);
		merge(0, f->name, "dst", "a", "b", NULL);
		ATF_CHECK_EQ(2, outcome.merged);
		check_file("dst", sum, len, f->name);
		merge(0, f->name, "a", "b", NULL);
		ATF_CHECK_EQ(1, outcome.merged);
		check_file("a", sum, len, f->name);
		ATF_REQUIRE_EQ(0, unlink("dst"));
		free(sum);
	}
}

/* How each kind of counters merges, and what is left out. */
ATF_TC_WITHOUT_HEAD(gcda_kinds);
ATF_TC_BODY(gcda_kinds, tc)
{
	struct data a, b, sum;

	head(&a, GCC14, 0);
	summary(&a, 1, UINT32_MAX - 1);
	function(&a, 1);
	counters(&a, 0, 4, U(1), U(INT64_MAX), U(UINT64_MAX), U(3));
	counters(&a, 1, 1, U(10));
	counters(&a, 2, 1, U(20));
	counters(&a, 5, 2, U(30), U(1));
	counters(&a, 6, 1, U(5));
	counters(&a, 7, 3, U(0), U(8), U(9));
	counters(&a, 8, 1, U(0x10));
	function(&a, 2);
	zeros(&a, 0, 2);
	function(&a, 3);
	counters(&a, 0, 2, U(1), U(2));
	function(&a, 0);
	function(&a, 5);
	counters(&a, 0, 1, U(1));
	function(&a, 6);
	zeros(&a, 0, 9);
	tail(&a, "a");
	head(&b, GCC14, 0);
	summary(&b, 2, 5);
	function(&b, 1);
	counters(&b, 0, 4, U(2), U(1), U(1), U(0));
	counters(&b, 1, 1, U(1));
	counters(&b, 2, 1, U(2));
	counters(&b, 5, 2, U(3), U(1));
	counters(&b, 6, 1, U(3));
	counters(&b, 7, 3, U(4), U(7), U(0));
	counters(&b, 8, 1, U(1));
	function(&b, 2);
	counters(&b, 0, 2, U(5), U(6));
	function(&b, 3);
	zeros(&b, 0, 2);
	function(&b, 4);
	counters(&b, 0, 1, U(44));
	function(&b, 0);
	function(&b, 6);
	zeros(&b, 0, 9);
	tail(&b, "b");
	head(&sum, GCC14, 0);
	summary(&sum, 3, UINT32_MAX);
	function(&sum, 1);
	counters(&sum, 0, 4, U(3), U(INT64_MAX), U(UINT64_MAX), U(3));
	counters(&sum, 1, 1, U(11));
	counters(&sum, 2, 1, U(22));
	counters(&sum, 5, 2, U(33), U(2));
	counters(&sum, 6, 1, U(7));
	counters(&sum, 7, 3, U(4), U(7), U(9));
	counters(&sum, 8, 1, U(0x11));
	function(&sum, 2);
	counters(&sum, 0, 2, U(5), U(6));
	function(&sum, 3);
	counters(&sum, 0, 2, U(1), U(2));
	function(&sum, 4);
	counters(&sum, 0, 1, U(44));
	function(&sum, 5);
	counters(&sum, 0, 1, U(1));
	function(&sum, 6);
	zeros(&sum, 0, 9);
	tail(&sum, "sum");
	merge(0, "file to file", "a", "b", NULL);
	check_file("a", sum.p, sum.len, "the sum");
}

/* Every way to cut a file short. */
ATF_TC_WITHOUT_HEAD(gcda_truncated);
ATF_TC_BODY(gcda_truncated, tc)
{
	const struct flavour *f;
	char *dst, *src, what[64];
	size_t cut, i, dstlen, len;

	for (i = 0; i < NFLAVOURS; i++) {
		f = &flavours[i];
		plain("src", f->version, f->big, 4, 2);
		plain("dst", f->version, f->big, 1, 1);
		src = get_file("src", &len);
		dst = get_file("dst", &dstlen);
		for (cut = 1; cut < len; cut++) {
			(void)snprintf(
			    what, sizeof(what), "%s, %zu bytes", f->name, cut);
			put_file("src", src, cut);
			merge(EBADMSG, what, "dst", "src", NULL);
			ATF_CHECK_STREQ_MSG("src", outcome.where, "%s", what);
			/* without a magic word it is no such file at all */
			ATF_CHECK_EQ_MSG(cut < 4 ? 0 : (int64_t)cut,
			    outcome.offset, "%s: offset %" PRId64, what,
			    outcome.offset);
			check_file("dst", dst, dstlen, what);
			merge(EBADMSG, what, "none", "src", NULL);
			ATF_CHECK_MSG(!exists("none"), "%s", what);
		}
		put_file("src", src, len);
		put_file("dst", dst, len - 4);
		merge(EBADMSG, f->name, "dst", "src", NULL);
		ATF_CHECK_STREQ("dst", outcome.where);
		ATF_CHECK_EQ((int64_t)len - 4, outcome.offset);
		check_file("dst", dst, len - 4, f->name);
		free(dst);
		free(src);
	}
}

/*
 * One word changed.  The offset is that of the word, or of the record that
 * it makes another one.
 */
ATF_TC_WITHOUT_HEAD(gcda_other_build);
ATF_TC_BODY(gcda_other_build, tc)
{
	/* In the files that plain() makes, by their offset. */
	static const struct {
		uint32_t version;
		size_t at;
		int expected;
		int64_t offset;
		const char *what;
	} t[] = {
		{ GCC12, 4, ESTALE, 4, "version" },
		{ GCC12, 8, 0, -1, "stamp" },
		{ GCC12, 12, ESTALE, 12, "checksum" },
		{ GCC12, 40, ESTALE, 32, "ident" },
		{ GCC12, 44, ESTALE, 32, "line checksum" },
		{ GCC12, 48, ESTALE, 32, "graph checksum" },
		{ GCC12, 0, EBADMSG, 0, "magic" },
		{ GCC12, 16, EBADMSG, 16, "tag of the summary" },
		{ GCC12, 20, EBADMSG, 16, "length of the summary" },
		{ GCC12, 32, EBADMSG, 32, "tag of the function" },
		{ GCC12, 36, EBADMSG, 32, "length of the function" },
		{ GCC12, 56, EBADMSG, 56, "length of the counters" },
		{ GCC11, 8, ESTALE, 8, "stamp" },
		{ GCC11, 36, ESTALE, 28, "ident" },
		{ CLANG, 8, ESTALE, 8, "stamp" },
		{ CLANG, 20, ESTALE, 12, "ident" },
		{ CLANG, 28, ESTALE, 12, "graph checksum" },
	};
	char *dst, *src;
	size_t i, len;

	for (i = 0; i < sizeof(t) / sizeof(t[0]); i++) {
		plain("dst", t[i].version, 0, 1, 1);
		plain("src", t[i].version, 0, 1, 1);
		dst = get_file("dst", &len);
		src = get_file("src", &len);
		/* The version: another release, all else a wrong word. */
		src[t[i].at + (t[i].at == 4)] ^= 1;
		put_file("src", src, len);
		merge(t[i].expected, t[i].what, "dst", "src", NULL);
		if (t[i].expected != 0) {
			ATF_CHECK_STREQ("src", outcome.where);
			check_file("dst", dst, len, t[i].what);
			ATF_CHECK_EQ(t[i].expected == ESTALE, outcome.stale);
			ATF_CHECK_EQ(t[i].expected != ESTALE, outcome.failed);
		}
		ATF_CHECK_EQ_MSG(t[i].offset, outcome.offset,
		    "%s: offset %" PRId64, t[i].what, outcome.offset);
		free(src);
		free(dst);
	}
	plain("src", GCC12, 1, 1, 1);
	plain("dst", GCC12, 0, 1, 1);
	merge(ESTALE, "byte order", "dst", "src", NULL);
	plain("src", GCC11, 0, 1, 1);
	merge(ESTALE, "compiler", "dst", "src", NULL);
}

static void
odd(const char *path, uint32_t version, unsigned kind, int n)
{
	struct data d;

	head(&d, version, 0);
	summary(&d, 1, 1);
	function(&d, 1);
	counters(&d, kind, n, U(1), U(2), U(3));
	tail(&d, path);
}

ATF_TC_WITHOUT_HEAD(gcda_unsupported);
ATF_TC_BODY(gcda_unsupported, tc)
{
	static const struct {
		uint32_t version;
		unsigned kind;
		int expected;
	} t[] = {
		{ GCC12, 0, 0 },
		{ GCC12, 3, ENOTSUP }, /* topn */
		{ GCC12, 4, ENOTSUP }, /* indirect */
		{ GCC12, 8, ENOTSUP }, /* unknown */
		{ GCC14, 8, 0 }, /* conditions */
		{ GCC14, 9, 0 }, /* paths */
		{ GCC14, 10, ENOTSUP },
		{ GCC17, 0, 0 }, /* what has always been */
		{ GCC17, 1, ENOTSUP }, /* who knows */
		{ GCC9, 3, ENOTSUP }, /* single */
		{ GCC9, 8, ENOTSUP }, /* indirect, topn */
		{ GCC8, 0, ENOTSUP },
	};
	struct data d;
	char what[64];
	size_t i;

	for (i = 0; i < sizeof(t) / sizeof(t[0]); i++) {
		(void)snprintf(what, sizeof(what), "version %#x kind %u",
		    t[i].version, t[i].kind);
		odd("src", t[i].version, t[i].kind, 3);
		merge(t[i].expected, what, "dst", "src", NULL);
		ATF_CHECK_EQ(t[i].expected == 0, exists("dst"));
		(void)unlink("dst");
	}
	odd("dst", GCC12, 0, 2);
	odd("src", GCC12, 0, 3);
	merge(ESTALE, "another number of counters", "dst", "src", NULL);
	head(&d, GCC12, 0);
	counters(&d, 0, 1, U(1));
	tail(&d, "src");
	merge(EBADMSG, "counters without a function", "dst", "src", NULL);
	ATF_CHECK_EQ(16, outcome.offset);
	head(&d, GCC12, 0);
	word(&d, 0);
	word(&d, 1);
	tail(&d, "src");
	merge(EBADMSG, "something behind the end", "dst", "src", NULL);
}

/* Whatever is in the file: no crash, and on failure the same destination. */
ATF_TC_WITHOUT_HEAD(gcda_flipped);
ATF_TC_BODY(gcda_flipped, tc)
{
	const char *src[] = { "src" };
	char *dst, *p;
	size_t i, len;
	unsigned bit;

	plain("dst", GCC12, 0, 1, 1);
	plain("src", GCC12, 0, 1, 1);
	dst = get_file("dst", &len);
	p = get_file("src", &len);
	for (i = 0; i < len; i++)
		for (bit = 0; bit < 8; bit++) {
			p[i] ^= (char)(1 << bit);
			put_file("src", p, len);
			if (gons_covmerge("dst", src, 1, &outcome) != 0)
				check_file("dst", dst, len, "flipped");
			else
				put_file("dst", dst, len);
			p[i] ^= (char)(1 << bit);
		}
	free(p);
	free(dst);
}

ATF_TP_ADD_TCS(tp)
{
	ATF_TP_ADD_TC(tp, gcda_counts);
	ATF_TP_ADD_TC(tp, gcda_kinds);
	ATF_TP_ADD_TC(tp, gcda_truncated);
	ATF_TP_ADD_TC(tp, gcda_other_build);
	ATF_TP_ADD_TC(tp, gcda_unsupported);
	ATF_TP_ADD_TC(tp, gcda_flipped);
	return (atf_no_error());
}
