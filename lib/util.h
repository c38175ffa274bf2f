/*
 * SPDX-License-Identifier: BSD-2-Clause
 *
 * Copyright (c) 2026 The libgons developers
 *
 * Small helpers that several objects need, inline so that no object depends on
 * another for them.  Not for start-up: they call libc.  Functions that can
 * fail return 0 or an errno value, unless they return a descriptor.
 */

#ifndef GONS_UTIL_H
#define GONS_UTIL_H

#include <sys/resource.h>
#include <sys/types.h>

#include <errno.h>
#include <fcntl.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

/* A failure for want of something that may be there another time. */
static inline int
is_want(int errnum)
{
	return errnum == EMFILE || errnum == ENFILE || errnum == ENOMEM;
}

/*
 * A buffer that grows.  All zero is an empty one without a maximum.
 */
struct buf {
	unsigned char *p;
	size_t len;
	size_t room;
	size_t max; /* bytes that it may have; 0: any number */
};

/* Enlarges the room, if need be, to at least that; EMSGSIZE: above max. */
static inline int
buf_reserve(struct buf *b, size_t room)
{
	unsigned char *p;

	if (room <= b->room)
		return 0;
	if (b->max != 0 && room > b->max)
		return EMSGSIZE;
	if (b->room <= SIZE_MAX / 2 && room < 2 * b->room)
		room = 2 * b->room;
	if (b->max != 0 && room > b->max)
		room = b->max;
	if ((p = realloc(b->p, room)) == NULL)
		return ENOMEM;
	b->p = p;
	b->room = room;
	return 0;
}

/* Appends to a buffer that is known to have the room. */
static inline void
buf_put(struct buf *b, const void *p, size_t len)
{
	if (len != 0)
		memcpy(b->p + b->len, p, len);
	b->len += len;
}

static inline int
buf_add(struct buf *b, const void *p, size_t len)
{
	int error;

	if (len > SIZE_MAX - b->len)
		return ENOMEM;
	if ((error = buf_reserve(b, b->len + len)) == 0)
		buf_put(b, p, len);
	return error;
}

/* Back to an empty one; its maximum stays. */
static inline void
buf_free(struct buf *b)
{
	free(b->p);
	b->p = NULL;
	b->len = b->room = 0;
}

/* Closes and forgets a descriptor, -1 as well.  errno is kept. */
static inline void
fd_close(int *fd)
{
	int saved = errno;

	if (*fd >= 0)
		(void)close(*fd);
	*fd = -1;
	errno = saved;
}

/*
 * A copy whose number is above those of the standard descriptors, which may be
 * closed in the host but are not the library's to take; close-on-exec.
 */
static inline int
fd_dup(int fd)
{
	return fcntl(fd, F_DUPFD_CLOEXEC, STDERR_FILENO + 1);
}

/*
 * Moves a descriptor that was just opened, close-on-exec, above the standard
 * ones.  -1 stays -1; if there is no other number it is closed, and errno set.
 */
static inline int
fd_high(int fd)
{
	int copy;

	if (fd < 0 || fd > STDERR_FILENO)
		return fd;
	copy = fd_dup(fd);
	fd_close(&fd);
	return copy;
}

/* Writes all of it, to a descriptor that blocks. */
static inline int
write_all(int fd, const void *buf, size_t len)
{
	const char *p = buf;
	ssize_t put;

	for (; len > 0; len -= (size_t)put, p += put) {
		put = write(fd, p, len);
		if (put < 0 && errno == EINTR)
			put = 0;
		else if (put <= 0)
			return put < 0 ? errno : EIO;
	}
	return 0;
}

/*
 * May a file have so many bytes?  EFBIG if not: the kernel would not only say
 * so, it would send SIGXFSZ, which ends a program that did not ask for it.
 */
static inline int
file_limit(off_t size)
{
	struct rlimit limit;

	if (getrlimit(RLIMIT_FSIZE, &limit) != 0 ||
	    limit.rlim_cur == RLIM_INFINITY || (rlim_t)size <= limit.rlim_cur)
		return 0;
	return EFBIG;
}

/* Writes all of it from an offset on, to a file that may be that long. */
static inline int
write_from(int fd, const void *buf, size_t len, off_t at)
{
	const char *p = buf;
	ssize_t put;

	for (; len > 0; len -= (size_t)put, p += put, at += put) {
		put = pwrite(fd, p, len, at);
		if (put < 0 && errno == EINTR)
			put = 0;
		else if (put <= 0)
			return put < 0 ? errno : EIO;
	}
	return 0;
}

/* The same to any regular file or memfd. */
static inline int
write_at(int fd, const void *buf, size_t len, off_t at)
{
	int error;

	if ((error = file_limit(at + (off_t)len)) != 0)
		return error;
	return write_from(fd, buf, len, at);
}

/* Milliseconds of a clock that nobody sets. */
static inline int64_t
now_ms(void)
{
	struct timespec t;

	(void)clock_gettime(CLOCK_MONOTONIC, &t);
	return (int64_t)t.tv_sec * 1000 + t.tv_nsec / 1000000;
}

/* The sooner of two times; -1 is never. */
static inline int64_t
sooner(int64_t a, int64_t b)
{
	return a == -1 || (b != -1 && b < a) ? b : a;
}

#endif /* GONS_UTIL_H */
