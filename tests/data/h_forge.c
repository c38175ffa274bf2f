/*
 * SPDX-License-Identifier: BSD-2-Clause
 *
 * Copyright (c) 2026 The libgons developers
 *
 * h_forge library word: leaves a mark as start-up does for another copy of
 * libgons, about something else, loads that copy and prints its status.  Each
 * word is explained in the list below.
 */

#include <sys/mman.h>

#include <dlfcn.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "status.h"

/* As status.c has it. */
struct told {
	uint64_t seal;
	uint32_t failed, joined, is_action, reserved[11];
	struct gons_error error;
};

/* At its end, nothing: the last page can be neither read nor written. */
static struct told *
area(size_t page)
{
	char *p = mmap(NULL, 4 * page, PROT_READ | PROT_WRITE,
	    MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	struct told *told = (struct told *)(void *)p;

	if (p == MAP_FAILED || mprotect(p + 3 * page, page, PROT_NONE) == -1)
		exit(1);
	told->failed = 1;
	told->error.stage = 99;
	told->error.errnum = ENODEV;
	(void)strcpy(told->error.what, "forged");
	return told;
}

/* What a mark may speak of, and the key with which it is made. */
static uint64_t
word_of(const char *name)
{
	size_t page = (size_t)sysconf(_SC_PAGESIZE);
	struct told *told = area(page);
	char *end = (char *)told + 3 * page;

	if (strcmp(name, "null") == 0)
		return 0;
	if (strcmp(name, "low") == 0)
		return 1;
	if (strcmp(name, "high") == 0) /* nobody has that much */
		return 0x7fffffffffffull >> 4;
	if (strcmp(name, "kernel") == 0)
		return 0xffffffffffffull;
	if (strcmp(name, "end") == 0) {
		told = (struct told *)(void *)(end - 64);
		told->seal = gons__mark_seal(told);
	} else if (strcmp(name, "moved") == 0) {
		told->seal = gons__mark_seal(told + 1);
	} else if (strcmp(name, "zeros") != 0) {
		told->seal = gons__mark_seal(told);
	}
	return (uintptr_t)told >> 4;
}

int
main(int argc, char *argv[], char *envp[])
{
	const char *(*status)(void);
	void *lib, *sym;
	char *entry;
	size_t len;

	if (argc < 3 || envp[0] == NULL)
		return 1;
	entry = envp[0];
	gons__mark_leave(envp, entry, word_of(argv[2]));
	if (strcmp(argv[2], "key") == 0) {
		for (len = 1; entry + len != envp[1]; len++)
			continue;
		entry[len - 5] ^= 1;
	}
	if ((lib = dlopen(argv[1], RTLD_NOW)) == NULL ||
	    (sym = dlsym(lib, "gons_status")) == NULL)
		return 1;
	memcpy(&status, &sym, sizeof(status));
	(void)printf("status %s\n", status() != NULL ? status() : "-");
	return 0;
}
