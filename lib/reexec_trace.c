/*
 * SPDX-License-Identifier: BSD-2-Clause
 *
 * Copyright (c) 2026 The libgons developers
 *
 * In a build with TRACE, each message and each change of state becomes a line
 * of the file GONS_TRACE.  A line is one write(2) with O_APPEND, so the lines
 * of several processes do not mix.
 */

#include "reexec.h"

#ifdef GONS_TRACE
#include <errno.h>
#include <fcntl.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#define LINE_SIZE 256

/* A file that cannot be written loses lines; the library goes on. */
void
gons__trace(const char *fmt, ...)
{
	const int saved = errno;
	char line[LINE_SIZE];
	size_t len;
	va_list ap;
	int fd, n;

	n = snprintf(line, sizeof(line) - 1, "%d ", (int)getpid());
	if (n > 0) {
		va_start(ap, fmt);
		(void)vsnprintf(
		    line + n, sizeof(line) - 1 - (size_t)n, fmt, ap);
		va_end(ap);
		len = strlen(line);
		line[len++] = '\n';
		fd = open(GONS_TRACE,
		    O_WRONLY | O_APPEND | O_CREAT | O_CLOEXEC | O_NOCTTY, 0666);
		if (fd != -1) {
			(void)gons__write_quietly(fd, line, len);
			(void)close(fd);
		}
	}
	errno = saved;
}
#endif
