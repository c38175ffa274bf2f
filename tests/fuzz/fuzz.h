/*
 * SPDX-License-Identifier: BSD-2-Clause
 *
 * Copyright (c) 2026 The libgons developers
 *
 * For the programs that are fed with random input.
 */

#ifndef FUZZ_H
#define FUZZ_H

#include <stddef.h>
#include <stdlib.h>

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

#endif /* FUZZ_H */
