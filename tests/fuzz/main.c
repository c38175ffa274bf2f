/*
 * SPDX-License-Identifier: BSD-2-Clause
 *
 * Copyright (c) 2026 The libgons developers
 *
 * Runs a fuzzing entry without a fuzzer: each file that is given, whole and
 * without its last bytes.  Prints how many inputs that were.
 */

#include <stdio.h>
#include <stdlib.h>

#include "fuzz.h"

#define MOST (1u << 20)
#define SHORTER 16

int
main(int argc, char **argv)
{
	unsigned char *data = malloc(MOST), *copy;
	size_t i, n, j;
	long inputs = 0;
	FILE *f;
	int a;

	for (a = 1; data != NULL && a < argc; a++) {
		if ((f = fopen(argv[a], "rb")) == NULL) {
			perror(argv[a]);
			return 1;
		}
		n = fread(data, 1, MOST, f);
		(void)fclose(f);
		for (i = 0; i <= n && i < SHORTER; i++, inputs++) {
			/* of its own size, for those who watch its bounds */
			MUST((copy = malloc(n - i + 1)) != NULL);
			for (j = 0; j < n - i; j++)
				copy[j] = data[j];
			(void)LLVMFuzzerTestOneInput(copy, n - i);
			free(copy);
		}
	}
	(void)printf("%ld\n", inputs);
	free(data);
	return inputs == 0;
}
