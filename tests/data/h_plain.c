/*
 * SPDX-License-Identifier: BSD-2-Clause
 *
 * Copyright (c) 2026 The libgons developers
 *
 * h_plain [type ...]: prints the namespaces that it is in, one a line.  An
 * ordinary program that never names libgons; also valid as C++.
 */

#include <stdio.h>
#include <string.h>
#include <unistd.h>

static const char *const usual[] = { "mnt", "net", "user", "uts" };

static void
show(const char *type)
{
	char path[64], name[64];
	ssize_t len;

	(void)snprintf(path, sizeof(path), "/proc/self/ns/%s", type);
	len = readlink(path, name, sizeof(name) - 1);
	if (len == -1)
		(void)strcpy(name, "-");
	else
		name[len] = '\0';
	(void)printf("%s %s\n", type, name);
}

int
main(int argc, char *argv[])
{
	int i;

	for (i = 1; i < argc; i++)
		show(argv[i]);
	for (i = 0; argc < 2 && i < 4; i++)
		show(usual[i]);
	return 0;
}
