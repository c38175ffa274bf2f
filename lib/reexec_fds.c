/*
 * SPDX-License-Identifier: BSD-2-Clause
 *
 * Copyright (c) 2026 The libgons developers
 *
 * Descriptors that come with a reply.  They wait in a socket, one byte with one
 * descriptor each, and are looked at there, never taken out: what a hostile
 * child puts beside them would be closed by this process then, and closing can
 * take as long as somebody likes.  gons__dispose() closes the socket.
 */

#include <sys/socket.h>

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "reexec.h"

/* The kernel says only that there was no room: was it for any descriptor? */
static int
why_no_room(int sock)
{
	int fd = fcntl(sock, F_DUPFD_CLOEXEC, 0);

	if (fd == -1)
		return errno;
	(void)close(fd);
	return EBADMSG;
}

/*
 * The i-th descriptor; it stays in the socket, too.  A message that brings
 * more than one is nobody's reply.
 */
static int
peek(int sock, int i)
{
	union {
		struct cmsghdr head;
		char room[CMSG_SPACE(sizeof(int))];
	} rights;
	struct cmsghdr *c;
	struct iovec iov;
	struct msghdr msg;
	char byte;
	int fd = -1;

	if (setsockopt(sock, SOL_SOCKET, SO_PEEK_OFF, &i, sizeof(i)) == -1)
		return -1;
	memset(&msg, 0, sizeof(msg));
	iov.iov_base = &byte;
	iov.iov_len = 1;
	msg.msg_iov = &iov;
	msg.msg_iovlen = 1;
	msg.msg_control = &rights;
	msg.msg_controllen = CMSG_LEN(sizeof(int)); /* no room for a second */
	if (recvmsg(sock, &msg, MSG_PEEK | MSG_DONTWAIT | MSG_CMSG_CLOEXEC) !=
	    1) {
		errno = ENOENT;
		return -1;
	}
	c = CMSG_FIRSTHDR(&msg);
	if (c != NULL && c->cmsg_level == SOL_SOCKET &&
	    c->cmsg_type == SCM_RIGHTS && c->cmsg_len == CMSG_LEN(sizeof(int)))
		memcpy(&fd, CMSG_DATA(c), sizeof(fd));
	if ((msg.msg_flags & MSG_CTRUNC) == 0 && fd != -1)
		return fd;
	errno = EBADMSG;
	if (fd == -1 && (msg.msg_flags & MSG_CTRUNC) != 0)
		errno = why_no_room(sock);
	fd_close(&fd);
	return -1;
}

int
gons_reexec_takefd(struct gons_reexec *req, unsigned i)
{
	struct kept *sock = &req->run.child.fd[SRC_FDS];
	unsigned char *bits = req->run.taken;
	int errnum, fd, state;
	unsigned n;

	if (gons__busy(req))
		return -1;
	/* Of a reply that has too many none is taken, then or later. */
	if (!req->judged || req->run.result.state == RESULT_TOO_BIG ||
	    i >= (n = gons__reply_fds(&req->run.result)) ||
	    !gons__is_kept(sock) ||
	    (bits != NULL && (bits[i / 8] >> i % 8 & 1) != 0)) {
		errno = ENOENT;
		return -1;
	}
	if (bits == NULL &&
	    (bits = req->run.taken = calloc(1, n / 8 + 1)) == NULL)
		return -1;
	state = gons__enter();
	fd = peek(sock->fd, (int)i);
	errnum = errno;
	if (fd != -1)
		bits[i / 8] |= (unsigned char)(1u << i % 8);
	req->run.ntaken += fd != -1;
	gons__leave(state);
	errno = errnum;
	return fd;
}
