/*
 * SPDX-License-Identifier: BSD-2-Clause
 *
 * Copyright (c) 2026 The libgons developers
 *
 * See merge.h.
 */

#include <sys/stat.h>
#include <sys/wait.h>

#include <atf-c.h>
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <gons.h>

#include "helpers.h"
#include "merge.h"

void
put_file(const char *path, const void *p, size_t len)
{
	int fd;

	fd = open(path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0644);
	ATF_REQUIRE_MSG(fd >= 0, "%s: %s", path, strerror(errno));
	ATF_REQUIRE_EQ((ssize_t)len, write(fd, p, len));
	ATF_REQUIRE_EQ(0, close(fd));
}

void
put_text(const char *path, const char *text)
{
	put_file(path, text, strlen(text));
}

char *
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

void
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

void
check_text(const char *path, const char *text)
{
	char *is;
	size_t islen;

	is = get_file(path, &islen);
	ATF_CHECK_STREQ(text, is);
	free(is);
}

int
exists(const char *path)
{
	struct stat st;

	return (lstat(path, &st) == 0);
}

/*
 * Merges, with the sources up to a NULL, and expects an errno value or 0.
 */
struct gons_covstat outcome;

void
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
	errno = EDOM; /* which says nothing */
	error = gons_covmerge(dst, src, n, &outcome) == 0 ? 0 : errno;
	ATF_CHECK_MSG(error == expected,
	    "%s: expected %s, got %s (%s, %" PRId64 ")", what,
	    strerror(expected), strerror(error), outcome.where, outcome.offset);
	ATF_CHECK_MSG((error != 0) == (*outcome.where != '\0'),
	    "%s: where is \"%s\"", what, outcome.where);
}

void
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

int
have(const char *prefix, const char *program, const char *suffix)
{
	char command[128];

	(void)snprintf(command, sizeof(command), "command -v %s%s%s >have",
	    prefix, program, suffix);
	return system(command) == 0;
}

void
word(struct data *d, uint32_t w)
{
	int i;

	for (i = 0; i < 4; i++)
		d->p[d->len++] =
		    (unsigned char)(w >> (d->big ? 24 - 8 * i : 8 * i));
}

void
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

void
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

void
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

void
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

void
zeros(struct data *d, unsigned kind, int n)
{
	word(d, 0x01a10000 + (kind << 17));
	word(d, (uint32_t) - (n * 8 / (int)d->unit));
}

void
tail(struct data *d, const char *path)
{
	word(d, 0);
	if (d->version == CLANG)
		word(d, 0);
	put_file(path, d->p, d->len);
}

void
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

const char source[] =
    "#include <stdlib.h>\\n"
    "static int f(int n) { return (n < 2 ? n : f(n - 1) + f(n - 2)); }\\n"
    "int main(int argc, char **argv)\\n"
    "{ return (argc > 1 ? f(atoi(argv[1])) == 1 : 0); }\\n";

void
needs(const char *command, const char *what)
{
	put_text("needs.c", "int main(void) { return 0; }\n");
	if (system(command) != 0)
		atf_tc_skip("there is no %s here", what);
}
