/*
 * SPDX-License-Identifier: BSD-2-Clause
 *
 * Copyright (c) 2026 The libgons developers
 *
 * Tests of covmerge.o: that gons_covmerge(3) merges what it says, refuses what
 * it says, and leaves alone what it says; and that the coverage of children
 * comes home, with covglue.c in the place of the rest of the library.
 */

#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>

#include <atf-c.h>
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <pthread.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <gons.h>

#include "helpers.h"

/*
 * Files
 */

static void
put_file(const char *path, const void *p, size_t len)
{
	int fd;

	fd = open(path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0644);
	ATF_REQUIRE_MSG(fd >= 0, "%s: %s", path, strerror(errno));
	ATF_REQUIRE_EQ((ssize_t)len, write(fd, p, len));
	ATF_REQUIRE_EQ(0, close(fd));
}

static void
put_text(const char *path, const char *text)
{
	put_file(path, text, strlen(text));
}

/* The whole file, with a NUL behind it, to be freed. */
static char *
get_file(const char *path, size_t *len)
{
	struct stat st;
	char *p;
	int fd;

	fd = open(path, O_RDONLY | O_CLOEXEC);
	ATF_REQUIRE_MSG(fd >= 0, "%s: %s", path, strerror(errno));
	ATF_REQUIRE_EQ(0, fstat(fd, &st));
	ATF_REQUIRE((p = calloc(1, (size_t)st.st_size + 1)) != NULL);
	ATF_REQUIRE_EQ(st.st_size, read(fd, p, (size_t)st.st_size));
	ATF_REQUIRE_EQ(0, close(fd));
	*len = (size_t)st.st_size;
	return (p);
}

static void
check_file(const char *path, const void *p, size_t len, const char *what)
{
	char *is;
	size_t islen;

	is = get_file(path, &islen);
	ATF_CHECK_MSG(islen == len && memcmp(is, p, len) == 0,
	    "%s: %s is not as expected: %zu bytes, %zu expected", what, path,
	    islen, len);
	free(is);
}

static void
check_text(const char *path, const char *text)
{
	char *is;
	size_t islen;

	is = get_file(path, &islen);
	ATF_CHECK_STREQ(text, is);
	free(is);
}

static int
exists(const char *path)
{
	struct stat st;

	return (lstat(path, &st) == 0);
}

/*
 * Merges, with the sources up to a NULL, and expects an errno value or 0.
 */
static struct gons_covstat st;

static void
merge(int expected, const char *what, const char *dst, ...)
{
	const char *src[8];
	va_list ap;
	size_t n;
	int error;

	va_start(ap, dst);
	for (n = 0; n < 8 && (src[n] = va_arg(ap, const char *)) != NULL; n++)
		;
	va_end(ap);
	errno = 0;
	error = gons_covmerge(dst, src, n, &st) == 0 ? 0 : errno;
	ATF_CHECK_MSG(error == expected,
	    "%s: expected %s, got %s (%s, %" PRId64 ")", what,
	    strerror(expected), strerror(error), st.where, st.offset);
	ATF_CHECK_MSG((error != 0) == (*st.where != '\0'),
	    "%s: where is \"%s\"", what, st.where);
}

/* A command that has to succeed. */
static void
shell(const char *fmt, ...)
{
	char command[16384];
	va_list ap;
	int status;

	va_start(ap, fmt);
	ATF_REQUIRE(vsnprintf(command, sizeof(command), fmt, ap) <
		    (int)sizeof(command));
	va_end(ap);
	status = system(command);
	ATF_REQUIRE_MSG(WIFEXITED(status) && WEXITSTATUS(status) == 0,
	    "status %#x: %s", (unsigned)status, command);
}

/* Is there such a program? */
static int
have(const char *prefix, const char *program, const char *suffix)
{
	char command[128];

	(void)snprintf(command, sizeof(command), "command -v %s%s%s >have",
	    prefix, program, suffix);
	return system(command) == 0;
}

/*
 * .gcda files, made up
 */

struct data {
	unsigned char p[16384];
	size_t len;
	int big; /* big-endian */
	unsigned unit;
	uint32_t version;
};

#define GCC12 0x4232322au
#define GCC15 0x4235312au
#define GCC14 0x4234312au
#define GCC13 0x4233332au
#define GCC11 0x4231312au
#define GCC10 0x4230342au
#define GCC9 0x4139332au
#define GCC8 0x4138332au
#define CLANG 0x3430382au

static void
word(struct data *d, uint32_t w)
{
	int i;

	for (i = 0; i < 4; i++)
		d->p[d->len++] =
		    (unsigned char)(w >> (d->big ? 24 - 8 * i : 8 * i));
}

static void
head(struct data *d, uint32_t version, int big)
{
	memset(d, 0, sizeof(*d));
	d->big = big;
	d->version = version;
	d->unit = version >= GCC12 ? 1 : 4;
	word(d, 0x67636461);
	word(d, version);
	word(d, 0x11111111); /* stamp */
	if (version >= GCC12)
		word(d, 0x22222222); /* checksum */
}

static void
summary(struct data *d, uint32_t runs, uint32_t max)
{
	if (d->version == CLANG) {
		word(d, 0xa3000000);
		word(d, 3);
		word(d, 0);
		word(d, 0);
		word(d, runs);
	} else {
		word(d, 0xa1000000);
		word(d, 8 / d->unit);
		word(d, runs);
		word(d, max);
	}
}

static void
function(struct data *d, uint32_t ident)
{
	word(d, 0x01000000);
	word(d, ident != 0 ? 12 / d->unit : 0);
	if (ident == 0)
		return;
	word(d, ident);
	word(d, ident + 1);
	word(d, ident + 2);
}

static void
counters(struct data *d, unsigned kind, int n, ...)
{
	va_list ap;
	uint64_t v;
	int i;

	word(d, 0x01a10000 + (kind << 17));
	word(d, (uint32_t)(n * 8) / d->unit);
	va_start(ap, n);
	for (i = 0; i < n; i++) {
		v = va_arg(ap, uint64_t);
		word(d, (uint32_t)v);
		word(d, (uint32_t)(v >> 32));
	}
	va_end(ap);
}

static void
zeros(struct data *d, unsigned kind, int n)
{
	word(d, 0x01a10000 + (kind << 17));
	word(d, (uint32_t) - (n * 8 / (int)d->unit));
}

static void
tail(struct data *d, const char *path)
{
	word(d, 0);
	if (d->version == CLANG)
		word(d, 0);
	put_file(path, d->p, d->len);
}

#define U(x) ((uint64_t)(x))

/* A plain file: two functions, m times its counts, and r runs. */
static void
plain(const char *path, uint32_t version, int big, unsigned m, uint32_t r)
{
	struct data d;

	head(&d, version, big);
	if (version != CLANG)
		summary(&d, r, 10 * m);
	function(&d, 100);
	counters(&d, 0, 3, U(1) * m, U(0x123456789) * m, U(0));
	function(&d, 200);
	counters(&d, 0, 1, U(7) * m);
	if (version == CLANG)
		summary(&d, r, 0);
	tail(&d, path);
}

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
		ATF_CHECK_EQ(2, st.merged);
		check_file("dst", sum, len, f->name);
		merge(0, f->name, "a", "b", NULL);
		ATF_CHECK_EQ(1, st.merged);
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
			ATF_CHECK_STREQ_MSG("src", st.where, "%s", what);
			ATF_CHECK_MSG(
			    st.offset >= 0 && st.offset <= (int64_t)cut,
			    "%s: offset %" PRId64, what, st.offset);
			check_file("dst", dst, dstlen, what);
			merge(EBADMSG, what, "none", "src", NULL);
			ATF_CHECK_MSG(!exists("none"), "%s", what);
		}
		put_file("src", src, len);
		put_file("dst", dst, len - 4);
		merge(EBADMSG, f->name, "dst", "src", NULL);
		ATF_CHECK_STREQ("dst", st.where);
		check_file("dst", dst, len - 4, f->name);
		free(dst);
		free(src);
	}
}

/* One word changed. */
ATF_TC_WITHOUT_HEAD(gcda_other_build);
ATF_TC_BODY(gcda_other_build, tc)
{
	/* In the files that plain() makes, by their offset. */
	static const struct {
		uint32_t version;
		size_t at;
		int expected;
		const char *what;
	} t[] = {
		{ GCC12, 4, ESTALE, "version" },
		{ GCC12, 8, 0, "stamp" },
		{ GCC12, 12, ESTALE, "checksum" },
		{ GCC12, 40, ESTALE, "ident" },
		{ GCC12, 44, ESTALE, "line checksum" },
		{ GCC12, 48, ESTALE, "graph checksum" },
		{ GCC12, 0, EBADMSG, "magic" },
		{ GCC12, 16, EBADMSG, "tag of the summary" },
		{ GCC12, 20, EBADMSG, "length of the summary" },
		{ GCC12, 32, EBADMSG, "tag of the function" },
		{ GCC12, 36, EBADMSG, "length of the function" },
		{ GCC12, 56, EBADMSG, "length of the counters" },
		{ GCC11, 8, ESTALE, "stamp" },
		{ GCC11, 36, ESTALE, "ident" },
		{ CLANG, 8, ESTALE, "stamp" },
		{ CLANG, 20, ESTALE, "ident" },
		{ CLANG, 28, ESTALE, "graph checksum" },
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
			ATF_CHECK_STREQ("src", st.where);
			check_file("dst", dst, len, t[i].what);
			ATF_CHECK_EQ(t[i].expected == ESTALE, st.stale);
			ATF_CHECK_EQ(t[i].expected != ESTALE, st.failed);
		}
		if (t[i].expected == ESTALE && t[i].at <= 12)
			ATF_CHECK_EQ((int64_t)t[i].at, st.offset);
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
	ATF_CHECK_EQ(16, st.offset);
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
			if (gons_covmerge("dst", src, 1, &st) != 0)
				check_file("dst", dst, len, "flipped");
			else
				put_file("dst", dst, len);
			p[i] ^= (char)(1 << bit);
		}
	free(p);
	free(dst);
}

/*
 * All of the files or none; what is missing, empty, or no file at all
 */

ATF_TC_WITHOUT_HEAD(all_or_none);
ATF_TC_BODY(all_or_none, tc)
{
	char *dst;
	size_t len;

	plain("dst", GCC12, 0, 1, 1);
	plain("a", GCC12, 0, 1, 1);
	put_text("bad", "adcg");
	dst = get_file("dst", &len);
	merge(EBADMSG, "the second is bad", "dst", "a", "bad", "a", NULL);
	ATF_CHECK_STREQ("bad", st.where);
	ATF_CHECK_EQ(4, st.offset);
	ATF_CHECK_EQ(0, st.merged);
	check_file("dst", dst, len, "all or none");
	put_text("bad", "mode: set\n");
	merge(ENOTSUP, "profile of another kind", "dst", "a", "bad", NULL);
	ATF_CHECK_STREQ("bad", st.where);
	merge(ENOTSUP, "profile into .gcda", "dst", "bad", NULL);
	check_file("dst", dst, len, "another kind");
	put_text("text", "mode: set\na.go:1.1,2.2 1 1\n");
	merge(ENOTSUP, ".gcda into a profile", "text", "bad", "a", NULL);
	check_text("text", "mode: set\na.go:1.1,2.2 1 1\n");
	merge(EBADMSG, ".gcda into a profile", "text", "a", NULL);
	free(dst);
}

ATF_TC_WITHOUT_HEAD(skipped);
ATF_TC_BODY(skipped, tc)
{
	static const char nul[] = "mode: set\na\0.go:1.1,2.2 1 1\n";
	const char *src[] = { "none" };

	put_text("empty", "");
	plain("a", GCC12, 0, 1, 1);
	merge(0, "nothing at all", "dst", NULL);
	merge(0, "nothing there", "dst", "none", "empty", NULL);
	ATF_CHECK_EQ(2, st.skipped);
	ATF_CHECK_EQ(0, st.merged);
	ATF_CHECK(!exists("dst"));
	merge(0, "nothing there", "no/such/dir/dst", "none", NULL);
	merge(0, "one of three", "dst", "none", "a", "empty", NULL);
	ATF_CHECK_EQ(2, st.skipped);
	ATF_CHECK_EQ(1, st.merged);
	put_text("dst", "");
	merge(0, "empty destination", "dst", "a", NULL);
	merge(ENOENT, "no directory", "no/dst", "a", NULL);
	ATF_CHECK_STREQ("no/dst", st.where);
	ATF_CHECK_EQ(0, gons_covmerge("dst", src, 1, NULL));
	ATF_CHECK_ERRNO(EINVAL, gons_covmerge(NULL, src, 1, NULL) == -1);
	ATF_CHECK_ERRNO(EINVAL, gons_covmerge("dst", NULL, 1, NULL) == -1);
	ATF_REQUIRE_EQ(0, mkdir("tree", 0755));
	merge(EISDIR, "tree into file", "dst", "tree", NULL);
	merge(ENOTDIR, "file into tree", "tree", "a", NULL);
	merge(ENOTDIR, "tree and file", "new", "tree", "a", NULL);
	put_text("cover", "mode: set\na.go:1.1,2.2 1 1\n");
	put_text("dst", "");
	merge(0, "text into an empty destination", "dst", "cover", NULL);
	check_text("dst", "mode: set\na.go:1.1,2.2 1 1\n");
	put_file("nul", nul, sizeof(nul) - 1);
	merge(EBADMSG, "a NUL in a name", "dst", "nul", NULL);
	merge(EINVAL, "into itself", "a", "a", NULL);
	merge(EINVAL, "into itself", "tree", "tree", NULL);
	ATF_CHECK(!exists("new"));
}

/* Nothing but regular files, and a symbolic link is none. */
ATF_TC_WITHOUT_HEAD(planted);
ATF_TC_BODY(planted, tc)
{
	char *dst;
	size_t len;
	int fd;

	plain("real", GCC12, 0, 1, 1);
	plain("dst", GCC12, 0, 1, 1);
	dst = get_file("dst", &len);
	ATF_REQUIRE_EQ(0, symlink("real", "link"));
	ATF_REQUIRE_EQ(0, mkfifo("fifo", 0644));
	alarm(20);
	merge(ELOOP, "link", "dst", "link", NULL);
	ATF_CHECK_STREQ("link", st.where);
	merge(EINVAL, "fifo", "dst", "fifo", NULL);
	merge(EINVAL, "device", "dst", "/dev/null", NULL);
	merge(ELOOP, "to a link", "link", "real", NULL);
	merge(EINVAL, "to a fifo", "fifo", "real", NULL);
	check_file("dst", dst, len, "planted");
	check_file("real", dst, len, "planted");
	put_text("junk", "this is no coverage data\n");
	merge(EBADMSG, "junk", "dst", "junk", NULL);
	ATF_CHECK_EQ(0, st.offset);
	merge(EBADMSG, "into junk", "junk", "real", NULL);
	ATF_CHECK_STREQ("junk", st.where);
	check_text("junk", "this is no coverage data\n");
	ATF_REQUIRE(
	    (fd = open("huge", O_RDWR | O_CREAT | O_CLOEXEC, 0644)) >= 0);
	ATF_REQUIRE_EQ((ssize_t)len, write(fd, dst, len));
	ATF_REQUIRE_EQ(0, ftruncate(fd, ((off_t)256 << 20) + 1));
	ATF_REQUIRE_EQ(0, close(fd));
	merge(EFBIG, "size", "dst", "huge", NULL);
	free(dst);
}

ATF_TC_WITHOUT_HEAD(tree);
ATF_TC_BODY(tree, tc)
{
	char *one, *two;
	size_t len;

	shell("mkdir -p a/x/y b/x/y b/empty a/plain outside");
	plain("a/x/y/1.gcda", GCC12, 0, 1, 1);
	plain("b/x/y/1.gcda", GCC12, 0, 1, 1);
	plain("b/x/2.gcda", GCC12, 0, 1, 1);
	plain("outside/3.gcda", GCC12, 0, 1, 1);
	plain("two", GCC12, 0, 2, 2);
	one = get_file("b/x/2.gcda", &len);
	two = get_file("two", &len);
	put_text("a/x/1.gcno", "a note");
	put_text("a/plain/readme", "some text");
	put_text("a/cover.out", "mode: set\na.go:1.1,2.2 1 0\n");
	put_text("b/cover.out", "mode: set\na.go:1.1,2.2 1 1\n");
	ATF_REQUIRE_EQ(0, symlink("../outside", "a/dir"));
	ATF_REQUIRE_EQ(0, symlink("readme", "a/plain/link"));
	merge(0, "trees", "out", "a", "none", "b", NULL);
	ATF_CHECK_EQ(5, st.merged);
	ATF_CHECK_EQ(1, st.skipped);
	check_file("out/x/y/1.gcda", two, len, "in both");
	check_file("out/x/2.gcda", one, len, "in one");
	check_text("out/cover.out", "mode: set\na.go:1.1,2.2 1 1\n");
	shell("test \"$(find out | sort | tr '\\n' ' ')\" = "
	      "'out out/cover.out out/x out/x/2.gcda out/x/y out/x/y/1.gcda '");
	/* Of a tree that holds the destination, that is left out. */
	shell("mkdir w && cp -r b w/b && mkdir w/out");
	merge(0, "within", "w/out", "w", NULL);
	ATF_CHECK(exists("w/out/b/x/2.gcda") && !exists("w/out/out"));
	shell("rm -r w/out; cp w/b/x/2.gcda w/b/0.gcda");
	merge(0, "a new one within", "w/b/x/new/", "w", NULL);
	check_file("w/b/x/new/b/x/2.gcda", one, len, "within");
	shell("test $(find w -name '*.gcda' | wc -l) = 6");
	shell("test -z \"$(find . -name '.gons-*')\"");
	free(two);
	free(one);
}

/* Several processes make the same tree: what all of them had is in it. */
ATF_TC_WITHOUT_HEAD(tree_together);
ATF_TC_BODY(tree_together, tc)
{
	static const char *const src[] = { "src" };
	char path[64], *sum;
	size_t len;
	int i, k, round, status;

	shell("mkdir -p src/a src/b/c");
	for (i = 0; i < 40; i++) {
		(void)snprintf(path, sizeof(path), "src/%s/%d.gcda",
		    i % 2 == 0 ? "a" : "b/c", i);
		plain(path, GCC12, 0, 1, 1);
	}
	plain("sum", GCC12, 0, 6, 6);
	sum = get_file("sum", &len);
	for (round = 0; round < 10; round++) {
		for (k = 0; k < 6; k++)
			if (fork() == 0)
				_exit(gons_covmerge("new", src, 1, NULL) != 0);
		for (k = 0; k < 6; k++) {
			ATF_REQUIRE(wait(&status) > 0);
			ATF_CHECK_EQ(0, status);
		}
		for (i = 0; i < 40; i++) {
			(void)snprintf(path, sizeof(path), "new/%s/%d.gcda",
			    i % 2 == 0 ? "a" : "b/c", i);
			check_file(path, sum, len, path);
		}
		shell("test -z \"$(find . -name '.gons-*')\"; rm -r new");
	}
	free(sum);
}

/* What is wrong is told and left out; all else is merged. */
ATF_TC_WITHOUT_HEAD(tree_planted);
ATF_TC_BODY(tree_planted, tc)
{
	char path[2048], *two;
	size_t len;
	int i;

	shell("mkdir -p src/x dst/x elsewhere");
	plain("src/x/1.gcda", GCC12, 0, 1, 1);
	plain("src/x/2.gcda", GCC12, 0, 1, 1);
	plain("dst/x/1.gcda", GCC12, 0, 1, 1);
	plain("two", GCC12, 0, 2, 2);
	plain("elsewhere/e", GCC12, 0, 1, 1);
	two = get_file("two", &len);
	ATF_REQUIRE_EQ(0, symlink("../../elsewhere/e", "src/x/link.gcda"));
	alarm(20);
	merge(ELOOP, "link", "dst", "src", NULL);
	ATF_CHECK_STREQ("src/x/link.gcda", st.where);
	ATF_CHECK_EQ(1, st.failed);
	ATF_CHECK_EQ(2, st.merged);
	check_file("dst/x/1.gcda", two, len, "beside a link");
	shell("rm src/x/link.gcda; mkfifo src/x/fifo.gcda");
	merge(EINVAL, "fifo", "dst", "src", NULL);
	shell("rm src/x/fifo.gcda; echo junk >src/x/junk.gcda");
	merge(EBADMSG, "junk", "dst", "src", NULL);
	ATF_CHECK_STREQ("src/x/junk.gcda", st.where);
	ATF_CHECK_EQ(0, st.offset);
	ATF_CHECK(!exists("dst/x/junk.gcda"));
	/* The destination is another build's, then malformed, then a link. */
	shell("rm src/x/junk.gcda");
	plain("dst/x/1.gcda", GCC11, 0, 1, 1);
	merge(ESTALE, "stale", "dst", "src", NULL);
	ATF_CHECK_STREQ("src/x/1.gcda", st.where);
	ATF_CHECK_EQ(1, st.stale);
	ATF_CHECK_EQ(0, st.failed);
	put_text("dst/x/1.gcda", "adcg");
	merge(EBADMSG, "bad destination", "dst", "src", NULL);
	ATF_CHECK_STREQ("dst/x/1.gcda", st.where);
	shell("rm -r dst/x; ln -s ../elsewhere dst/x");
	merge(ELOOP, "link in the destination", "dst", "src", NULL);
	ATF_CHECK(!exists("elsewhere/1.gcda"));
	/* Deeper than anybody builds. */
	(void)strcpy(path, "deep");
	for (i = 0; i < 120; i++) {
		ATF_REQUIRE_EQ(0, mkdir(path, 0755));
		(void)strcat(path, "/d");
	}
	merge(ENAMETOOLONG, "depth", "new", "deep", NULL);
	ATF_CHECK(!exists("new"));
	free(two);
}

/*
 * Against the compilers and their tools
 */

static const char source[] =
    "#include <stdlib.h>\\n"
    "static int f(int n) { return (n < 2 ? n : f(n - 1) + f(n - 2)); }\\n"
    "int main(int argc, char **argv)\\n"
    "{ return (argc > 1 ? f(atoi(argv[1])) == 1 : 0); }\\n";

/*
 * As running the program again counts and, where both have the same byte
 * order, as that compiler's gcov-tool merges.  "run" starts a program for
 * another processor.
 */
static void
as_runs(const char *prefix, const char *suffix, const char *run)
{
	shell(
	    "rm -rf *; mkdir o && printf '%s' >p.c && %sgcc%s --coverage -c p.c "
	    "-o o/p.o && %sgcc%s --coverage o/p.o -o prog",
	    source, prefix, suffix, prefix, suffix);
	shell("export GCOV_PREFIX=$PWD/a; %s ./prog 9 && %s ./prog 12; "
	      "GCOV_PREFIX=$PWD/b; %s ./prog && %s ./prog 11",
	    run, run, run, run);
	shell("for t in a b; do f=$(find $t -name p.gcda); "
	      "for i in 1 2 3 4 5; do cp $f ${f%%p.gcda}p$i.gcda; done; done");
	if (*run == '\0')
		shell(
		    "gcov-tool%s merge a b -o theirs >/dev/null 2>&1", suffix);
	merge(0, "trees", "ours", "a", "b", NULL);
	ATF_CHECK_EQ(12, st.merged);
	shell("test ! -d theirs || diff -r ours theirs");
	merge(0, "in place", "a", "b", NULL);
	shell("diff -r a ours");
	shell("%s ./prog 9 && %s ./prog && %s ./prog 11 && %s ./prog 12 && "
	      "cmp o/p.gcda $(find ours -name p.gcda)",
	    run, run, run, run);
}

ATF_TC_WITHOUT_HEAD(gcov_tool);
ATF_TC_BODY(gcov_tool, tc)
{
	as_runs("", "", "");
}

/* Each other version of gcc that is here. */
ATF_TC_WITHOUT_HEAD(gcc_versions);
ATF_TC_BODY(gcc_versions, tc)
{
	char suffix[8];
	int n = 0, version;

	for (version = 9; version < 30; version++) {
		(void)snprintf(suffix, sizeof(suffix), "-%d", version);
		if (!have("", "gcc", suffix) || !have("", "gcov-tool", suffix))
			continue;
		printf("gcc%s\n", suffix);
		as_runs("", suffix, "");
		n++;
	}
	if (n < 2)
		atf_tc_skip("there are no two versions of gcc");
}

/* Words are the other way round. */
ATF_TC_WITHOUT_HEAD(gcc_big_endian);
ATF_TC_BODY(gcc_big_endian, tc)
{
	if (!have("s390x-linux-gnu-", "gcc", "") || !have("", "qemu-s390x", ""))
		atf_tc_skip("no s390x-linux-gnu-gcc, or no qemu-s390x");
	as_runs("s390x-linux-gnu-", "", "qemu-s390x -L /usr/s390x-linux-gnu");
}

ATF_TC_WITHOUT_HEAD(clang_runtime);
ATF_TC_BODY(clang_runtime, tc)
{
	shell("printf '%s' >p.c && clang --coverage -c p.c -o p.o && "
	      "clang --coverage p.o -o prog",
	    source);
	shell(
	    "./prog 9 && mv p.gcda a && ./prog && ./prog 12 && mv p.gcda b && "
	    "./prog 9 && ./prog && ./prog 12");
	merge(0, "clang", "a", "b", NULL);
	shell("cmp a p.gcda");
}

ATF_TC_WITHOUT_HEAD(pgo);
ATF_TC_BODY(pgo, tc)
{
	char *dst;
	size_t len;

	shell("cat >p.c <<'!'\n"
	      "int main(int c, char **v) { (void)v; int (*f)(int, char **) = "
	      "c > 7 ? main : 0; volatile int d = c; int s = 0;\n"
	      "for (int i = 1; i < 50; i++) s += 100 %% (d + i);\n"
	      "return (f ? f(1, v) : s == 1); }\n!\n"
	      "gcc -O1 -fprofile-generate p.c -o prog && ./prog && "
	      "mv *p.gcda p.gcda && cp p.gcda dst");
	dst = get_file("dst", &len);
	merge(ENOTSUP, "profile-guided optimisation", "dst", "p.gcda", NULL);
	ATF_CHECK_STREQ("p.gcda", st.where);
	ATF_CHECK(st.offset > 0);
	check_file("dst", dst, len, "pgo");
	free(dst);
}

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
		ATF_CHECK_STREQ("src", st.where);
		ATF_CHECK_EQ_MSG(t[i].offset, st.offset, "%s: %" PRId64,
		    t[i].src, st.offset);
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

/* A text is replaced, a .gcda file is written over; both as they were. */
ATF_TC_WITHOUT_HEAD(replaced);
ATF_TC_BODY(replaced, tc)
{
	struct stat before, after;

	shell("mkdir d && ln -s d l");
	put_text("src", "mode: set\na.go:1.1,2.2 1 1\n");
	merge(0, "relative, through a linked directory", "l/dst", "src", NULL);
	ATF_REQUIRE_EQ(0, chmod("d/dst", 0640));
	ATF_REQUIRE_EQ(0, link("d/dst", "held"));
	ATF_REQUIRE_EQ(0, stat("d/dst", &before));
	merge(0, "text", "d/dst", "src", NULL);
	ATF_REQUIRE_EQ(0, stat("d/dst", &after));
	ATF_CHECK(before.st_ino != after.st_ino);
	ATF_CHECK_EQ(before.st_mode, after.st_mode);
	plain("a", GCC12, 0, 1, 1);
	plain("b", GCC12, 0, 1, 1);
	ATF_REQUIRE_EQ(0, stat("a", &before));
	merge(0, ".gcda", "a", "b", NULL);
	ATF_REQUIRE_EQ(0, stat("a", &after));
	ATF_CHECK_EQ(before.st_ino, after.st_ino);
	shell("test \"$(ls -A d)\" = dst");
}

/* A file among the files of one name that is none. */
ATF_TC_WITHOUT_HEAD(tree_mixed);
ATF_TC_BODY(tree_mixed, tc)
{
	shell("mkdir -p a b c");
	plain("a/1.gcda", GCC12, 0, 1, 1);
	plain("c/1.gcda", GCC12, 0, 1, 1);
	ATF_REQUIRE_EQ(0, symlink("../a/1.gcda", "b/1.gcda"));
	merge(ELOOP, "a link", "dst", "a", "b", "c", NULL);
	ATF_CHECK_STREQ("b/1.gcda", st.where);
	ATF_REQUIRE_EQ(0, unlink("b/1.gcda"));
	ATF_REQUIRE_EQ(0, mkdir("b/1.gcda", 0755));
	merge(EINVAL, "a directory", "dst", "a", "b", "c", NULL);
	ATF_CHECK_STREQ("b/1.gcda", st.where);
	ATF_CHECK_EQ(1, st.failed);
	ATF_CHECK(!exists("dst/1.gcda"));
}

/* Where a path is longer than can be told, its beginning is. */
ATF_TC_WITHOUT_HEAD(tree_deep);
ATF_TC_BODY(tree_deep, tc)
{
	char name[251];
	int i, top_fd;

	memset(name, 'n', sizeof(name) - 1);
	name[sizeof(name) - 1] = '\0';
	ATF_REQUIRE_EQ(0, mkdir("src", 0755));
	ATF_REQUIRE((top_fd = open(".", O_RDONLY)) != -1);
	ATF_REQUIRE_EQ(0, chdir("src"));
	for (i = 0; i < 20; i++)
		ATF_REQUIRE(mkdir(name, 0755) == 0 && chdir(name) == 0);
	put_text("bad.gcda", "nonsense");
	plain("good.gcda", GCC12, 0, 1, 1);
	ATF_REQUIRE_EQ(0, fchdir(top_fd));
	merge(EBADMSG, "deep", "dst", "src", NULL);
	ATF_CHECK_EQ(1, st.merged);
	ATF_CHECK_EQ(1, st.failed);
	ATF_CHECK_EQ(sizeof(st.where) - 1, strlen(st.where));
	ATF_CHECK_EQ(0, strncmp(st.where, "src/nnn", 7));
	ATF_CHECK_EQ(NULL, strstr(st.where + sizeof(st.where) - 9, "bad.gcda"));
	ATF_REQUIRE_EQ(0, chdir("dst"));
	for (i = 0; i < 20; i++)
		ATF_REQUIRE_EQ(0, chdir(name));
	ATF_CHECK(exists("good.gcda") && !exists("bad.gcda"));
	ATF_REQUIRE_EQ(0, fchdir(top_fd));
	ATF_REQUIRE_EQ(0, close(top_fd));
	/* others cannot */
	shell("rm -rf src dst");
}

/* Somebody is writing it, and does not end. */
ATF_TC_WITHOUT_HEAD(locked);
ATF_TC_BODY(locked, tc)
{
	struct flock lock;
	char c = 0;
	int life[2], ready[2];
	pid_t pid;

	plain("src", GCC12, 0, 1, 1);
	ATF_REQUIRE(pipe(life) == 0 && pipe(ready) == 0);
	ATF_REQUIRE((pid = fork()) != -1);
	if (pid == 0) {
		close(life[1]);
		memset(&lock, 0, sizeof(lock));
		lock.l_type = F_WRLCK;
		CHILD(fcntl(open("src", O_RDWR), F_SETLK, &lock) == 0);
		CHILD(write(ready[1], &c, 1) == 1);
		(void)!read(life[0], &c, 1);
		_exit(0);
	}
	ATF_REQUIRE_EQ(1, read(ready[0], &c, 1));
	merge(EAGAIN, "locked", "dst", "src", NULL);
	ATF_CHECK_STREQ("src", st.where);
	ATF_CHECK(!exists("dst"));
	close(life[1]);
	ATF_REQUIRE_EQ(pid, waitpid(pid, NULL, 0));
	merge(0, "not any more", "dst", "src", NULL);
}

/* Before Linux 3.15, on file systems that cannot, and behind old filters. */
static void
merge_old(void *unused)
{
	static const struct rule rules[] = {
		{ SYS_fcntl, 1, ~0u, F_OFD_SETLK, EINVAL },
		{ SYS_fcntl, 1, ~0u, F_OFD_SETLKW, EINVAL },
		{ SYS_renameat2, -1, 0, 0, EINVAL },
		{ SYS_fallocate, -1, 0, 0, EOPNOTSUPP },
	};
	const char *src[] = { "src" };
	size_t i;

	(void)unused;
	forbid(rules, sizeof(rules) / sizeof(rules[0]));
	for (i = 0; i < 2; i++)
		CHILD(gons_covmerge("dst", src, 1, NULL) == 0);
	src[0] = "many";
	for (i = 0; i < 2; i++)
		CHILD(gons_covmerge("large", src, 1, NULL) == 0);
	src[0] = "tree";
	for (i = 0; i < 2; i++)
		CHILD(gons_covmerge("new", src, 1, NULL) == 0);
	src[0] = "text";
	for (i = 0; i < 2; i++)
		CHILD(gons_covmerge("newtext", src, 1, NULL) == 0);
}

ATF_TC_WITHOUT_HEAD(old_kernels);
ATF_TC_BODY(old_kernels, tc)
{
	struct data d;
	int i, round;

	need_filters();
	plain("src", GCC12, 0, 1, 1);
	plain("sum", GCC12, 0, 2, 2);
	for (round = 1; round <= 2; round++) {
		head(&d, GCC12, 0);
		for (i = 0; i < 400; i++) {
			function(&d, 1 + (uint32_t)i);
			counters(&d, 0, 1, U(round));
		}
		tail(&d, round == 1 ? "many" : "manysum");
	}
	put_text("text", "mode: count\na.go:1.1,2.2 1 1\n");
	shell("mkdir -p tree/sub && cp src tree/sub/1.gcda");
	in_child(merge_old, NULL);
	shell("cmp dst sum && cmp large manysum && cmp new/sub/1.gcda sum");
	check_text("newtext", "mode: count\na.go:1.1,2.2 1 2\n");
	shell("test -z \"$(find . -name '.gons-*')\"");
}

/*
 * Several at once
 */

#define WORKERS 6
#define ROUNDS 60

static void
many(const char *dst, const char *src)
{
	int i;

	for (i = 0; i < ROUNDS; i++)
		if (gons_covmerge(dst, &src, 1, NULL) != 0)
			_exit(1);
}

static void *
many_thread(void *unused)
{
	many("dst", "src");
	return (unused);
}

static void
many_processes(const char *dst, const char *src)
{
	pthread_t thread[2];
	pid_t pid[WORKERS];
	int i, status;

	for (i = 0; i < WORKERS; i++) {
		ATF_REQUIRE((pid[i] = fork()) >= 0);
		if (pid[i] > 0)
			continue;
		if (strcmp(dst, "dst") == 0 && i == 0) {
			if (pthread_create(
				&thread[0], NULL, many_thread, NULL) ||
			    pthread_create(&thread[1], NULL, many_thread, NULL))
				_exit(1);
			(void)pthread_join(thread[0], NULL);
			(void)pthread_join(thread[1], NULL);
		} else
			many(dst, src);
		_exit(0);
	}
	for (i = 0; i < WORKERS; i++) {
		ATF_REQUIRE_EQ(pid[i], waitpid(pid[i], &status, 0));
		ATF_CHECK_EQ(0, status);
	}
}

ATF_TC_WITHOUT_HEAD(concurrent);
ATF_TC_BODY(concurrent, tc)
{
	char sum[64];

	plain("src", GCC12, 0, 1, 1);
	plain("sum", GCC12, 0, (WORKERS + 1) * ROUNDS, (WORKERS + 1) * ROUNDS);
	many_processes("dst", "src");
	shell("cmp dst sum");
	put_text("cover", "mode: count\na.go:1.1,2.2 1 1\n");
	many_processes("text", "cover");
	(void)snprintf(sum, sizeof(sum), "mode: count\na.go:1.1,2.2 1 %d\n",
	    WORKERS * ROUNDS);
	check_text("text", sum);
}

/* libgcov updates the same file meanwhile; then it is killed now and then. */
ATF_TC(concurrent_libgcov);
ATF_TC_HEAD(concurrent_libgcov, tc)
{
	atf_tc_set_md_var(tc, "timeout", "120");
}
ATF_TC_BODY(concurrent_libgcov, tc)
{
	const char *src[] = { "one" };
	int i, status;
	pid_t pid;

	shell("printf '%s' >p.c && gcc --coverage -c p.c -o p.o && "
	      "gcc --coverage p.o -o prog && ./prog 9 && mv p.gcda one",
	    source);
	ATF_REQUIRE((pid = fork()) >= 0);
	if (pid == 0)
		_exit(system("for i in 1 2 3 4; do "
			     "(for j in $(seq 50); do ./prog 9; done) & done;"
			     "wait"));
	for (i = 0; i < 800; i++)
		ATF_REQUIRE_EQ(0, gons_covmerge("p.gcda", src, 1, NULL));
	ATF_REQUIRE_EQ(pid, waitpid(pid, &status, 0));
	ATF_REQUIRE_EQ(0, status);
	shell("cp one sum");
	for (i = 1; i < 1000; i++)
		ATF_REQUIRE_EQ(0, gons_covmerge("sum", src, 1, NULL));
	shell("cmp p.gcda sum");
}

/* A merge that is killed leaves a destination that parses. */
ATF_TC_WITHOUT_HEAD(killed);
ATF_TC_BODY(killed, tc)
{
	const char *src[] = { "one" };
	struct data d;
	int i, round, status;
	pid_t pid;

	head(&d, GCC12, 0);
	for (i = 0; i < 400; i++) {
		function(&d, 1 + (uint32_t)i);
		counters(&d, 0, 1, U(1));
	}
	tail(&d, "one");
	for (round = 0; round < 200; round++) {
		if (round % 10 == 0)
			(void)unlink("dst");
		ATF_REQUIRE((pid = fork()) >= 0);
		if (pid == 0)
			for (;;)
				(void)gons_covmerge("dst", src, 1, NULL);
		for (i = 0; i < round * 20 && !exists("never"); i++)
			;
		ATF_REQUIRE_EQ(0, kill(pid, SIGKILL));
		ATF_REQUIRE_EQ(pid, waitpid(pid, &status, 0));
		merge(0, "after a kill", "dst", "one", NULL);
	}
}

/*
 * Children
 */

static char top[2048];

static int
is_top(const char *dir, const char *below)
{
	char path[4096];

	(void)snprintf(path, sizeof(path), "%s%s/lib/covmerge.c", dir, below);
	if (access(path, R_OK) != 0)
		return (0);
	(void)snprintf(path, sizeof(path), "%s%s", dir, below);
	ATF_REQUIRE(strlen(path) < sizeof(top));
	(void)strcpy(top, path);
	return (1);
}

/* The tests compile covmerge.o and covglue.c: where are the sources? */
static void
find_top(const atf_tc_t *tc)
{
	const char *dir;

	dir = getenv("GONS_TEST_SRC");
	if (dir != NULL && is_top(dir, ""))
		return;
	dir = atf_tc_get_config_var_wd(tc, "srcdir", ".");
	if (!is_top(dir, "/..") && !is_top(dir, "/../.."))
		atf_tc_fail(
		    "no lib/covmerge.c above %s; set GONS_TEST_SRC", dir);
}

/*
 * A script that builds the program in the working directory, and defines
 * run, which runs it and fails if anything is on its stderr, and counts, which
 * prints how often action, instrumented shared library, and parent ran.
 */
static const char script[] =
    "set -e; kind=$1 lib=$2 top=$3; umask 022\n"
    "flags=\"-D_GNU_SOURCE -I$top/include -fPIC -g\"\n"
    "mkdir -p build root tmp inc; chmod 755 . root; export TMPDIR=$PWD/tmp\n"
    "cov=$(command -v llvm-cov || echo llvm-cov-14)\n"
    "data=$(command -v llvm-profdata || echo llvm-profdata-14)\n"
    "case $kind in\n"
    "gcc) cc='gcc --coverage' gcov='gcov -t';;\n"
    "clang) cc='clang --coverage' gcov=\"$cov gcov -t\";;\n"
    "llvm) cc='clang -fprofile-instr-generate -fcoverage-mapping';;\n"
    "esac\n"
    "unset GCOV_PREFIX GCOV_PREFIX_STRIP GONS_COVERAGE\n"
    "export LLVM_PROFILE_FILE=$PWD/p-%m.profraw\n"
    "sed 's/\"hidden\"/\"default\"/' $top/lib/internal.h >inc/internal.h\n"
    "cp $top/lib/covmerge*.[ch] $top/tests/covglue.c inc\n"
    "echo 'int covglue_lib(void); int covglue_lib(void)' >inc/x.c\n"
    "echo '{ return (5); /* COUNT-LIB */ }' >>inc/x.c\n"
    "mkdir -p parts; (cd parts; gcc $flags -O1 -c ../inc/covmerge*.c\n"
    "gcc -r -nostdlib *.o -o ../build/covmerge.o); cd build\n"
    "if [ $lib = so ]; then\n"
    "  gcc -shared -Wl,-z,defs -Wl,-z,initfirst covmerge.o -o libglue.so\n"
    "  glue=\"$PWD/libglue.so -Wl,-rpath,$PWD\"\n"
    "else glue=$PWD/covmerge.o; fi\n"
    "case $GONS_TEST_COVERAGE$lib$kind in\n"
    "yesagcc) glue=$GONS_TEST_OBJ/lib/covmerge.o;;\n"
    "yesallvm) glue=$GONS_TEST_OBJ/lib/covmerge.o\n"
    "  glue=\"$glue $(gcc -print-file-name=libgcov.a)\";;\n"
    "esac\n"
    "$cc $flags -c ../inc/x.c -o x.o; $cc -shared x.o -o libx.so\n"
    "$cc $flags -I../inc -DCOVGLUE_LIB -c ../inc/covglue.c -o covglue.o\n"
    "$cc covglue.o $PWD/libx.so $glue -o covglue; cd ..\n"
    "run() { want=$1; shift; s=0\n"
    "  build/covglue \"$@\" 2>err || s=$?\n"
    "  test $s = $want && test ! -s err && return 0\n"
    "  echo \"status $s, $want wanted: $*\"; cat err; return 1; }\n"
    "counts() { rm -f p; case $kind in\n"
    "  llvm) $data merge *.profraw -o p\n"
    "    $cov show build/covglue -object build/libx.so "
    "-instr-profile=p | sed 's/^[^|]*|//';;\n"
    "  *) (cd build; $gcov *.gcda 2>/dev/null);;\n"
    "  esac | grep COUNT- >p.txt\n"
    "  for w in ACTION LIB PARENT; do\n"
    "    n=$(grep COUNT-$w p.txt | sed 's/^ *\\([0-9]*\\).*/\\1/')\n"
    "    printf '%s ' ${n:-0}; done; echo; }\n"
    "clean() { rm -f build/*.gcda *.profraw; }\n"
    "expect() { c=$(counts); test \"$c\" = \"$1 \" && return 0\n"
    "  echo \"counts: $c, expected: $1\"; return 1; }\n"
    "nothing() { test -z \"$(ls -A tmp)\" && test -z \"$(ls -A root)\" "
    "&& return 0; ls -lR tmp root; return 1; }\n";

static void
glue(const atf_tc_t *tc, const char *kind, const char *lib, const char *body)
{
	char *text;
	size_t len;

	find_top(tc);
	len = sizeof(script) + strlen(body);
	ATF_REQUIRE((text = malloc(len)) != NULL);
	(void)snprintf(text, len, "%s%s", script, body);
	put_text("glue.sh", text);
	free(text);
	shell("sh glue.sh %s %s %s", kind, lib, top);
}

static const char everywhere[] =
    "run 0 4 plain; expect '4 4 4'; nothing; clean\n"
    "run 0 4 hide $PWD/build; expect '4 4 4'; nothing; clean\n"
    "run 0 4 pivot $PWD/root; expect '4 4 4'; nothing; clean\n"
    "run 0 4 pivot-ro $PWD/root; expect '4 4 4'; nothing; clean\n"
    "run 0 4 userns; expect '4 4 4'; nothing; clean\n"
    "run 143 4 term; expect '4 4 4'; nothing; clean\n"
    "run 137 4 kill; expect '0 0 4'; nothing; clean\n"
    "run 0 4 fork; expect '4 4 5'; nothing; clean\n"
    "run 0 2 fsize; nothing; clean\n"
    "if [ $(id -u) = 0 ]; then\n"
    "run 0 4 chroot $PWD/root; expect '4 4 4'; nothing; clean\n"
    "run 0 4 setuid; expect '4 4 4'; nothing; clean\n"
    "run 0 4 close $PWD/root; expect '0 0 4'; nothing; clean\n"
    "fi\n";

#define GLUE(name, kind, lib)                    \
	ATF_TC_WITHOUT_HEAD(name);               \
	ATF_TC_BODY(name, tc)                    \
	{                                        \
		glue(tc, kind, lib, everywhere); \
	}

GLUE(glue_gcc_archive, "gcc", "a")
GLUE(glue_gcc_shared, "gcc", "so")
GLUE(glue_clang_archive, "clang", "a")
GLUE(glue_clang_shared, "clang", "so")
GLUE(glue_llvm_archive, "llvm", "a")
GLUE(glue_llvm_shared, "llvm", "so")

/* An ordinary user's processes, and children of another user id. */
ATF_TC_WITH_CLEANUP(glue_unprivileged);
ATF_TC_HEAD(glue_unprivileged, tc)
{
	atf_tc_set_md_var(tc, "require.user", "root");
}
ATF_TC_BODY(glue_unprivileged, tc)
{
	static const char body[] =
	    "chown -R 65533 . ; rm -rf tmp; mkdir -m 1777 tmp\n"
	    "cat >u.sh <<'!'\n"
	    "cd \"$1\"; exec setpriv --reuid 65533 --regid 65533 "
	    "--clear-groups build/covglue 3 $2 $3\n!\n"
	    "mkfifo -m 666 ready; setpriv --reuid 65533 --regid 65533 --clear-groups "
	    "unshare -U sh -c 'echo >ready; exec sleep 100' & p=$!\n"
	    "trap 'kill $p' EXIT; read x <ready\n"
	    "echo '0 65532 1' >/proc/$p/uid_map\n"
	    "echo '0 65532 1' >/proc/$p/gid_map\n"
	    "for w in plain 'hide '$PWD/build 'pivot '$PWD/root userns term "
	    "'join '/proc/$p/ns/user; do\n"
	    "  s=0; sh u.sh $PWD $w 2>err || s=$?\n"
	    "  case $w in term) test $s = 143;; *) test $s = 0;; esac\n"
	    "  cat err; test ! -s err; expect '3 3 3'; nothing; clean; done\n";
	static const char *const kinds[] = { "gcc", "clang", "llvm" };
	char dir[] = "/tmp/gons-covtest.XXXXXX";
	size_t i;

	/* Not in kyua's work directory, which lets nobody else in. */
	find_top(tc);
	ATF_REQUIRE(mkdtemp(dir) != NULL);
	put_text("keep", dir);
	ATF_REQUIRE_EQ(0, chmod(dir, 0755));
	for (i = 0; i < 3; i++) {
		put_text("body", body);
		put_text("script", script);
		shell(
		    "cat script body >%s/glue.sh; cd %s && sh glue.sh %s so %s "
		    "&& rm -rf %s/*",
		    dir, dir, kinds[i], top, dir);
	}
}
ATF_TC_CLEANUP(glue_unprivileged, tc)
{
	(void)tc;
	if (system("test ! -f keep || rm -rf \"$(cat keep)\"") != 0)
		(void)fprintf(stderr, "cannot clean up\n");
}

/* Where the parent's own data goes, the children's goes too. */
static const char home[] =
    "strip=$(pwd | tr -cd / | wc -c)\n"
    "export GCOV_PREFIX=$PWD/pre/deep; run 0 2 pivot $PWD/root; nothing\n"
    "cp $(find pre -name '*.gcda') build; expect '2 2 2'; clean\n"
    "export GCOV_PREFIX_STRIP=$strip; run 0 2 pivot $PWD/root; nothing\n"
    "cp pre/deep/build/*.gcda build; expect '2 2 2'; clean\n"
    "rm -r pre; GCOV_PREFIX=pre/rel; run 0 3 pivot $PWD/root\n"
    "cp pre/rel/build/*.gcda build; expect '3 3 3'; clean; rm -r pre\n"
    "GCOV_PREFIX_STRIP=99; run 0 3 plain\n"
    "cp pre/rel/*.gcda build; expect '3 3 3'; clean\n";

ATF_TC_WITHOUT_HEAD(glue_prefix_gcc);
ATF_TC_BODY(glue_prefix_gcc, tc)
{
	glue(tc, "gcc", "so", home);
}

ATF_TC_WITHOUT_HEAD(glue_prefix_clang);
ATF_TC_BODY(glue_prefix_clang, tc)
{
	glue(tc, "clang", "a", home);
}

/* What an older build, or a kill, has left there. */
ATF_TC_WITHOUT_HEAD(glue_stale);
ATF_TC_BODY(glue_stale, tc)
{
	glue(tc, "gcc", "a",
	    "run 0 1 plain; cp build/covglue.gcda good; clean\n"
	    "cp good bad; printf 'xxxx' | "
	    "dd of=bad bs=1 seek=12 conv=notrunc 2>/dev/null\n"
	    "cp bad build/covglue.gcda; run 0 3 plain; expect '3 3 3'\n"
	    "n=$(stat -c %s good); for i in 4 20 $((n - 4)); do clean\n"
	    "head -c $i good >build/covglue.gcda; run 0 3 plain\n"
	    "expect '3 3 3'; done; nothing\n");
}

/* Off, or nothing to collect: nothing happens. */
ATF_TC_WITHOUT_HEAD(glue_off);
ATF_TC_BODY(glue_off, tc)
{
	static const char body[] =
	    "test \"$(build/covglue 1 active)\" = '1 1'\n"
	    "test \"$(GONS_COVERAGE=0 build/covglue 1 active)\" = '0 0'\n"
	    "gcc $flags -Iinc inc/covglue.c build/covmerge.o -o none\n"
	    "gcc $flags -Iinc -c inc/covglue.c -o none.o\n"
	    "gcc -static none.o build/covmerge.o -o none-static\n"
	    "test \"$(./none 1 active)\" = '0 0'\n"
	    "test \"$(./none-static 1 active)\" = '0 0'; nothing\n"
	    "$cc $flags -Iinc -c inc/covglue.c -o build/covglue.o\n"
	    "clean; $cc -static build/covglue.o build/covmerge.o "
	    "-o build/covglue\n"
	    "run 0 2 pivot $PWD/root; nothing; c=$(counts 2>/dev/null || :)\n";

	glue(tc, "gcc", "a", body);
	shell("rm -rf build");
	glue(tc, "llvm", "a", body);
}

/* A parent that was killed: the next one cleans up after it. */
ATF_TC_WITHOUT_HEAD(glue_parent_killed);
ATF_TC_BODY(glue_parent_killed, tc)
{
	glue(tc, "gcc", "a",
	    "(build/covglue 1 die 2>&1 || echo $? >status) | cat >err\n"
	    "test $(cat status) = 137\n"
	    "test -n \"$(ls -A tmp)\"; clean\n"
	    "run 0 2 plain; expect '2 2 2'; nothing\n");
}

/* Several parents, several children each, one file. */
ATF_TC(glue_concurrent);
ATF_TC_HEAD(glue_concurrent, tc)
{
	atf_tc_set_md_var(tc, "timeout", "120");
}
ATF_TC_BODY(glue_concurrent, tc)
{
	glue(tc, "gcc", "a",
	    "for i in 1 2 3 4; do build/covglue 50 plain 2>>errs & done; wait\n"
	    "test ! -s errs; expect '200 200 200'; nothing\n");
}

/* One .profraw, whoever was killed. */
ATF_TC_WITHOUT_HEAD(glue_llvm_one);
ATF_TC_BODY(glue_llvm_one, tc)
{
	glue(tc, "llvm", "a",
	    "$cc $flags -Iinc inc/covglue.c build/covmerge.o -o build/covglue\n"
	    "unset LLVM_PROFILE_FILE; cp build/covglue build/libx.so\n"
	    "run 0 10 pivot $PWD/root; nothing\n"
	    "test \"$(ls *.profraw)\" = default.profraw\n"
	    "counts >c; read a x < c; test $a = 10; clean\n"
	    "run 137 1 kill; nothing; test \"$(ls *.profraw)\" = "
	    "default.profraw; counts >c; read a x < c; test $a = 0; clean\n"
	    "export LLVM_PROFILE_FILE=$PWD/p-%m.profraw\n"
	    "run 0 9 pivot $PWD/root; run 137 1 kill; nothing\n"
	    "test $(ls *.profraw | wc -l) = 1; expect '9 0 10'\n");
}

ATF_TP_ADD_TCS(tp)
{
	ATF_TP_ADD_TC(tp, gcda_counts);
	ATF_TP_ADD_TC(tp, gcda_kinds);
	ATF_TP_ADD_TC(tp, gcda_truncated);
	ATF_TP_ADD_TC(tp, gcda_other_build);
	ATF_TP_ADD_TC(tp, gcda_unsupported);
	ATF_TP_ADD_TC(tp, gcda_flipped);
	ATF_TP_ADD_TC(tp, all_or_none);
	ATF_TP_ADD_TC(tp, skipped);
	ATF_TP_ADD_TC(tp, planted);
	ATF_TP_ADD_TC(tp, tree);
	ATF_TP_ADD_TC(tp, tree_together);
	ATF_TP_ADD_TC(tp, tree_planted);
	ATF_TP_ADD_TC(tp, tree_mixed);
	ATF_TP_ADD_TC(tp, tree_deep);
	ATF_TP_ADD_TC(tp, locked);
	ATF_TP_ADD_TC(tp, old_kernels);
	ATF_TP_ADD_TC(tp, gcov_tool);
	ATF_TP_ADD_TC(tp, gcc_versions);
	ATF_TP_ADD_TC(tp, gcc_big_endian);
	ATF_TP_ADD_TC(tp, clang_runtime);
	ATF_TP_ADD_TC(tp, pgo);
	ATF_TP_ADD_TC(tp, cover_cases);
	ATF_TP_ADD_TC(tp, cover_refused);
	ATF_TP_ADD_TC(tp, cover_large);
	ATF_TP_ADD_TC(tp, replaced);
	ATF_TP_ADD_TC(tp, concurrent);
	ATF_TP_ADD_TC(tp, concurrent_libgcov);
	ATF_TP_ADD_TC(tp, killed);
	ATF_TP_ADD_TC(tp, glue_gcc_archive);
	ATF_TP_ADD_TC(tp, glue_gcc_shared);
	ATF_TP_ADD_TC(tp, glue_clang_archive);
	ATF_TP_ADD_TC(tp, glue_clang_shared);
	ATF_TP_ADD_TC(tp, glue_llvm_archive);
	ATF_TP_ADD_TC(tp, glue_llvm_shared);
	ATF_TP_ADD_TC(tp, glue_unprivileged);
	ATF_TP_ADD_TC(tp, glue_prefix_gcc);
	ATF_TP_ADD_TC(tp, glue_prefix_clang);
	ATF_TP_ADD_TC(tp, glue_stale);
	ATF_TP_ADD_TC(tp, glue_off);
	ATF_TP_ADD_TC(tp, glue_parent_killed);
	ATF_TP_ADD_TC(tp, glue_concurrent);
	ATF_TP_ADD_TC(tp, glue_llvm_one);
	return (atf_no_error());
}
