/*
 * SPDX-License-Identifier: BSD-2-Clause
 *
 * Copyright (c) 2026 The libgons developers
 *
 * h_report [fd ...]: prints what start-up did to this process, as the library
 * tells it and as the process can see by itself.
 */

#include <sys/auxv.h>

#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <gons.h>

extern char **environ;

int
main(int argc, char *argv[])
{
	const struct gons_error *error = gons_status_error();
	char **e;
	int i, type, left = 0;

	(void)printf(
	    "status %s\n", gons_status() != NULL ? gons_status() : "-");
	(void)printf("errno %d\n", error != NULL ? error->errnum : 0);
	(void)printf("joined");
	for (type = 0; type < GONS_NTYPES; type++)
		if ((gons_status_joined() & GONS_BIT(type)) != 0)
			(void)printf(" %s", gons_type_name(type));
	(void)printf("\n");
	for (e = environ; *e != NULL; e++)
		left += strncmp(*e, "gons_", 5) == 0;
	(void)printf("variables %d\n", left);
	(void)printf("secure %lu\n", getauxval(AT_SECURE));
	for (i = 1; i < argc; i++)
		(void)printf("fd %s %s\n", argv[i],
		    fcntl(atoi(argv[i]), F_GETFD) == -1 ? "closed" : "open");
	return 0;
}
