/*
 * SPDX-License-Identifier: BSD-2-Clause
 *
 * Copyright (c) 2026 The libgons developers
 *
 * h_copies library: a program with libgons in itself that uses a library, see
 * h_user.c, which uses a shared libgons.  Prints what each of the two copies
 * tells.
 */

#include <dlfcn.h>
#include <stdio.h>
#include <string.h>

#include <gons.h>

void h_user(void);

int
main(int argc, char *argv[])
{
	const char *(*status)(void);
	unsigned (*joined)(void);
	void *lib, *sym;

	h_user();
	(void)printf("program: joined 0x%x, status %s\n", gons_status_joined(),
	    gons_status() != NULL ? gons_status() : "-");
	if (argc < 2 || (lib = dlopen(argv[1], RTLD_NOW | RTLD_NOLOAD)) == NULL)
		return 1;
	if ((sym = dlsym(lib, "gons_status")) == NULL)
		return 1;
	memcpy(&status, &sym, sizeof(status));
	if ((sym = dlsym(lib, "gons_status_joined")) == NULL)
		return 1;
	memcpy(&joined, &sym, sizeof(joined));
	(void)printf("shared: joined 0x%x, status %s\n", joined(),
	    status() != NULL ? status() : "-");
	(void)printf("copies %d\n", status == gons_status ? 1 : 2);
	return 0;
}
