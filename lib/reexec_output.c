/*
 * SPDX-License-Identifier: BSD-2-Clause
 *
 * Copyright (c) 2026 The libgons developers
 *
 * The output of a child: its standard output goes to the result, and its
 * standard error to the words that a text quotes.  Nothing here waits.
 */

#include <sys/ioctl.h>

#include <errno.h>
#include <limits.h>
#include <unistd.h>

#include "reexec.h"

#define PIPE_MOST (1 << 20) /* bytes in a pipe, unless root made it larger */

/* Nothing was read: is that because there is nothing now? */
static void
nothing_read(struct run *run, enum source source)
{
	int errnum = errno;

	if (errno != EAGAIN)
		gons__watch_later(run, source);
	errno = errnum;
}

/* At most so many bytes. */
static ssize_t
read_out(const struct settings *set, struct run *run, size_t most)
{
	unsigned char dropped[CHUNK];
	size_t room;
	ssize_t n;
	void *to;

	to = gons__result_room(set, &run->result, dropped, &room);
	do
		n = read(
		    run->child.fd[SRC_OUT].fd, to, room < most ? room : most);
	while (n == -1 && errno == EINTR);
	if (n == -1)
		nothing_read(run, SRC_OUT);
	if (n > 0)
		gons__result_took(set, &run->result, (size_t)n);
	if (n == 0) {
		gons__unwatch(run, SRC_OUT);
		gons__result_end(set, &run->result);
	}
	return n;
}

/* What would go to a standard error that the host has closed is dropped. */
static ssize_t
read_err(const struct settings *set, struct run *run)
{
	ssize_t n = gons__read_words(run->child.fd[SRC_ERR].fd,
	    (set->flags & GONS_REEXEC_STDERR_PASS) != 0 ? NULL : &run->err);

	if (n == -1)
		nothing_read(run, SRC_ERR);
	if (n == 0)
		gons__unwatch(run, SRC_ERR);
	return n;
}

static ssize_t
read_some(const struct settings *set, struct run *run, enum source source,
    size_t most)
{
	return source == SRC_OUT ? read_out(set, run, most)
				 : read_err(set, run);
}

void
gons__output_read(
    const struct settings *set, struct run *run, enum source source)
{
	int i;

	if (!gons__watch_has(run, source))
		return;
	for (i = 0; i < READS && run->child.fd[source].fd != -1; i++)
		if (read_some(set, run, source, SSIZE_MAX) == -1)
			break;
}

int
gons__output_drain(
    const struct settings *set, struct run *run, enum source source)
{
	int left = 0;
	ssize_t n = 1;

	if (!gons__watch_has(run, source))
		return 1;
	if (ioctl(run->child.fd[source].fd, FIONREAD, &left) == -1)
		left = PIPE_MOST;
	for (; left > 0 && n > 0; left -= (int)n)
		n = read_some(set, run, source, (size_t)left);
	return n != -1 || errno == EAGAIN;
}
