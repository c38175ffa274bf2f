/*
 * SPDX-License-Identifier: BSD-2-Clause
 *
 * Copyright (c) 2026 The libgons developers
 *
 * The text of a struct gons_error with any contents, as an untrusted child
 * may send it: one line, of the same length whatever the room, and readable.
 */

#include <string.h>

#include <gons.h>

#include "fuzz.h"

int
LLVMFuzzerTestOneInput(const unsigned char *data, size_t size)
{
	static char text[5 * 4096 + 1024], part[128];
	static struct gons_error error;
	size_t room;
	int len;

	memset(&error, 0, sizeof(error));
	if (size > sizeof(error))
		size = sizeof(error);
	if (size > 0)
		memcpy(&error, data, size);
	/* Likely values, so that the interesting parts are reached. */
	error.stage %= 7;
	error.hint %= 32;
	len = gons_error_format(&error, text, sizeof(text));
	MUST(len > 0 && (size_t)len < sizeof(text));
	MUST(strlen(text) == (size_t)len);
	one_line(text);
	MUST(gons_error_format(&error, NULL, 0) == len);
	room = size % sizeof(part) + 1;
	memset(part, 'x', sizeof(part));
	MUST(gons_error_format(&error, part, room) == len);
	MUST(strlen(part) < room);
	MUST(strncmp(part, text, strlen(part)) == 0);
	return 0;
}
