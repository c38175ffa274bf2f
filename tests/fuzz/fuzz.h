/*
 * SPDX-License-Identifier: BSD-2-Clause
 *
 * Copyright (c) 2026 The libgons developers
 *
 * For the programs that are fed with random input.
 */

#ifndef FUZZ_H
#define FUZZ_H

#include <poll.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#define HIGHEST 64 /* descriptors that are looked at */

#define MUST(cond)               \
	do {                     \
		if (!(cond))     \
			abort(); \
	} while (0)

int LLVMFuzzerTestOneInput(const unsigned char *data, size_t size);

/* For the log files of others. */
static inline void
one_line(const char *text)
{
	const unsigned char *p;

	for (p = (const unsigned char *)text; *p != '\0'; p++)
		MUST(*p >= ' ' && *p != 0x7f);
}

/* Counters may have more than tools can show: that is not made less. */
static inline uint64_t
count_plus(uint64_t x, uint64_t y)
{
	if (x < INT64_MAX && y < INT64_MAX && x + y < INT64_MAX)
		return x + y;
	if (x <= INT64_MAX && y <= INT64_MAX)
		return INT64_MAX;
	return x > y ? x : y;
}

/* A bit for each descriptor below HIGHEST. */
static inline uint64_t
open_descriptors(void)
{
	struct pollfd p[HIGHEST];
	uint64_t set = 0;
	int fd;

	memset(p, 0, sizeof(p));
	for (fd = 0; fd < HIGHEST; fd++)
		p[fd].fd = fd;
	MUST(poll(p, HIGHEST, 0) != -1);
	for (fd = 0; fd < HIGHEST; fd++)
		if ((p[fd].revents & POLLNVAL) == 0)
			set |= (uint64_t)1 << fd;
	return set;
}

#endif /* FUZZ_H */
