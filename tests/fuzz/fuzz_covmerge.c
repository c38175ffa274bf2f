/*
 * SPDX-License-Identifier: BSD-2-Clause
 *
 * Copyright (c) 2026 The libgons developers
 *
 * Fuzzes gons_covmerge(3).  The input is two files, behind the length of the
 * first in one byte, times 16: they are merged both ways.  What merges has to
 * merge again, and what fails must not touch the destination.
 */

#include <sys/mman.h>
#include <sys/stat.h>

#include <fcntl.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <gons.h>

int LLVMFuzzerTestOneInput(const uint8_t *, size_t);

static char dir[] = "/dev/shm/gons-fuzz.XXXXXX";

static void
clean_up(void)
{
	(void)unlink("a");
	(void)unlink("b");
	(void)rmdir(dir);
}

static void
put(const char *path, const uint8_t *p, size_t len)
{
	int fd;

	fd = open(path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
	if (fd < 0 || write(fd, p, len) != (ssize_t)len || close(fd) != 0)
		abort();
}

static void
same(const char *path, const uint8_t *p, size_t len)
{
	uint8_t is[8192];
	ssize_t got;
	int fd;

	fd = open(path, O_RDONLY | O_CLOEXEC);
	if (fd < 0 || (got = read(fd, is, sizeof(is))) < 0 || close(fd) != 0)
		abort();
	if ((size_t)got != len || (len > 0 && memcmp(is, p, len) != 0))
		abort();
}

static void
merge(const uint8_t *a, size_t alen, const uint8_t *b, size_t blen)
{
	const char *src[] = { "b" };
	struct gons_covstat st;

	put("a", a, alen);
	put("b", b, blen);
	if (gons_covmerge("a", src, 1, &st) != 0) {
		if (*st.where == '\0')
			abort();
		same("a", a, alen);
	} else if (blen > 0 && gons_covmerge("a", src, 1, &st) != 0)
		abort();
}

int
LLVMFuzzerTestOneInput(const uint8_t *p, size_t len)
{
	static int ready;
	size_t first;

	if (!ready) {
		if (mkdtemp(dir) == NULL || chdir(dir) != 0)
			abort();
		(void)atexit(clean_up);
		ready = 1;
	}
	if (len == 0 || len > 4096)
		return (0);
	first = (size_t)p[0] * 16;
	if (first > len - 1)
		first = len - 1;
	merge(p + 1, first, p + 1 + first, len - 1 - first);
	merge(p + 1 + first, len - 1 - first, p + 1, first);
	return (0);
}
