/*
 * SPDX-License-Identifier: BSD-2-Clause
 *
 * Copyright (c) 2026 The libgons developers
 *
 * What the parts of reexec.o share: messages and descriptors on a socket, pipes,
 * files in memory, and descriptors that are none of 0, 1 and 2.
 */

#include <sys/mman.h>
#include <sys/socket.h>

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "reexec.h"

/* A message of no more than its kind and value, and descriptors. */
int
gons__send_fds(int sock, int kind, int value, const int *fds, size_t n)
{
	struct message message;

	memset(&message, 0, MESSAGE_SHORT);
	message.kind = kind;
	message.value = value;
	return gons__send_block(sock, &message, MESSAGE_SHORT, fds, n);
}

/* 0 or an errno value. */
int
gons__send_block(
    int sock, const void *block, size_t len, const int *fds, size_t n)
{
	union {
		struct cmsghdr head;
		char room[CMSG_SPACE(RIGHTS_MAX * sizeof(int))];
	} rights;
	struct iovec iov;
	struct msghdr msg;
	ssize_t r;

	memset(&msg, 0, sizeof(msg));
	iov.iov_base = (void *)(uintptr_t)block;
	iov.iov_len = len;
	msg.msg_iov = &iov;
	msg.msg_iovlen = 1;
	if (n > 0) {
		memset(&rights.head, 0, sizeof(rights.head));
		msg.msg_control = &rights;
		msg.msg_controllen = CMSG_SPACE(n * sizeof(*fds));
		rights.head.cmsg_level = SOL_SOCKET;
		rights.head.cmsg_type = SCM_RIGHTS;
		rights.head.cmsg_len = CMSG_LEN(n * sizeof(*fds));
		memcpy(CMSG_DATA(&rights.head), fds, n * sizeof(*fds));
	}
	do
		r = sendmsg(sock, &msg, MSG_NOSIGNAL | MSG_DONTWAIT);
	while (r == -1 && errno == EINTR);
	if (r == -1 && errno == ECONNRESET)
		return EPIPE; /* it has ended with something unread */
	return r == -1 ? errno : 0;
}

/*
 * A message with up to n descriptors, -1 in the place of those that did not
 * come.  Returns its length, 0 when there is none yet, -1 when there will be
 * no more; errno is ECONNRESET if the other end left something unread.
 */
size_t
gons__receive(int sock, void *buf, size_t size, int *fds, size_t n)
{
	union {
		struct cmsghdr head;
		char room[CMSG_SPACE(RIGHTS_MAX * sizeof(int))];
	} rights;
	struct cmsghdr *c;
	struct iovec iov;
	struct msghdr msg;
	size_t i, got = 0;
	ssize_t r;

	memset(&msg, 0, sizeof(msg));
	iov.iov_base = buf;
	iov.iov_len = size;
	msg.msg_iov = &iov;
	msg.msg_iovlen = 1;
	/* not CMSG_SPACE: the padding has room for one more */
	msg.msg_control = n > 0 ? &rights : NULL;
	msg.msg_controllen = n > 0 ? CMSG_LEN(n * sizeof(int)) : 0;
	do
		r = recvmsg(sock, &msg, MSG_DONTWAIT | MSG_CMSG_CLOEXEC);
	while (r == -1 && errno == EINTR);
	for (i = 0; i < n; i++)
		fds[i] = -1;
	if (r == -1)
		return errno == EAGAIN ? 0 : (size_t)-1;
	c = n > 0 ? CMSG_FIRSTHDR(&msg) : NULL;
	if (c != NULL && c->cmsg_level == SOL_SOCKET &&
	    c->cmsg_type == SCM_RIGHTS) {
		got = (c->cmsg_len - CMSG_LEN(0)) / sizeof(int);
		memcpy(fds, CMSG_DATA(c), got * sizeof(int));
	}
	errno = 0;
	if (r >= (ssize_t)MESSAGE_SHORT)
		return (size_t)r;
	for (i = 0; i < n; i++)
		gons__close_fd(&fds[i]);
	return (size_t)-1;
}

int
gons__open_socket(int type, int *ours, int *theirs)
{
	int fd[2];

	if (socketpair(AF_UNIX, type | SOCK_CLOEXEC, 0, fd) == -1)
		return errno;
	*ours = gons__high(fd[0]);
	*theirs = gons__high(fd[1]);
	if (*ours == -1 || *theirs == -1)
		return EMFILE;
	/* messages are received with MSG_DONTWAIT */
	return type == SOCK_STREAM && fcntl(*ours, F_SETFL, O_NONBLOCK) == -1
		   ? errno
		   : 0;
}

int
gons__open_pipe(int *ours, int *theirs)
{
	int fd[2];

	if (pipe2(fd, O_CLOEXEC) == -1)
		return errno;
	*ours = gons__high(fd[0]);
	*theirs = gons__high(fd[1]);
	if (*ours == -1 || *theirs == -1)
		return EMFILE;
	return fcntl(*ours, F_SETFL, O_NONBLOCK) == -1 ? errno : 0;
}

/* flag: of Linux 6.3, done without by those before it. */
int
gons__memory_fd(const char *name, unsigned flag)
{
	unsigned flags = MFD_CLOEXEC | MFD_ALLOW_SEALING;
	int fd;

	fd = memfd_create(name, flags | flag);
	if (fd == -1 && errno == EINVAL)
		fd = memfd_create(name, flags);
	return gons__high(fd);
}

int
gons__write_all(int fd, const void *buf, size_t len)
{
	const char *p = buf;
	ssize_t n;

	while (len > 0) {
		n = write(fd, p, len);
		if (n == -1 && errno != EINTR)
			return errno;
		if (n > 0) {
			p += n;
			len -= (size_t)n;
		}
	}
	return 0;
}

int
gons__seal(int fd)
{
	int seals = F_SEAL_SEAL | F_SEAL_SHRINK | F_SEAL_GROW | F_SEAL_WRITE;

	return fcntl(fd, F_ADD_SEALS, seals) == -1 ? errno : 0;
}

/* Milliseconds of a clock that nobody sets. */
int64_t
gons__now(void)
{
	struct timespec t;

	(void)clock_gettime(CLOCK_MONOTONIC, &t);
	return (int64_t)t.tv_sec * 1000 + t.tv_nsec / 1000000;
}

int
gons__dup_high(int fd)
{
	return fcntl(fd, F_DUPFD_CLOEXEC, STDERR_FILENO + 1);
}

/* The same descriptor with a number above the standard ones; -1 for -1. */
int
gons__high(int fd)
{
	int copy, errnum;

	if (fd == -1 || fd > STDERR_FILENO)
		return fd;
	copy = gons__dup_high(fd);
	errnum = errno;
	(void)close(fd);
	errno = errnum;
	return copy;
}

void
gons__close_fd(int *fd)
{
	int errnum = errno;

	if (*fd != -1)
		(void)close(*fd);
	*fd = -1;
	errno = errnum;
}
