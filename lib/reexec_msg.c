/*
 * SPDX-License-Identifier: BSD-2-Clause
 *
 * Copyright (c) 2026 The libgons developers
 *
 * Messages of reexec.o.  A child sends a stream of bytes through a pipe, since
 * nothing that a hostile process puts there can hold up the host.  Processes of
 * the library get theirs over a socket, with descriptors. doc/PROTOCOL has each
 * message.
 */

#include <sys/socket.h>

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "reexec.h"

/* By enum kind: name, and the bytes that its body may have. */
static const struct {
	const char *name;
	size_t least, most;
} kinds[MSG_LAST] = {
	[MSG_REACHED] = { "REACHED", MESSAGE_VALUE, MESSAGE_VALUE },
	[MSG_STARTUP] = { "STARTUP", offsetof(struct gons_error, what) + 1,
	    sizeof(struct gons_error) },
	[MSG_UNKNOWN] = { "UNKNOWN", MESSAGE_VALUE, MESSAGE_VALUE },
	[MSG_FORK] = { "FORK", MESSAGE_VALUE, MESSAGE_VALUE },
	[MSG_STATUS] = { "STATUS", MESSAGE_VALUE, MESSAGE_VALUE },
	[MSG_TAKEN] = { "TAKEN", MESSAGE_VALUE, MESSAGE_VALUE },
	[MSG_REFUSED] = { "REFUSED", MESSAGE_VALUE, MESSAGE_VALUE },
	[MSG_ENDED] = { "ENDED", MESSAGE_VALUE, MESSAGE_VALUE },
	[MSG_RETURNED] = { "RETURNED", MESSAGE_VALUE, MESSAGE_VALUE },
	[MSG_PREPARED] = { "PREPARED", 0, 0 },
	[MSG_SPARE] = { "SPARE", 0, 0 },
	[MSG_NONE] = { "NONE", 0, 0 },
	[MSG_WANT] = { "WANT", 0, 0 },
	[MSG_TOOK] = { "TOOK", 0, 0 },
	[MSG_COUNT] = { "COUNT", 0, 0 },
	[MSG_REQUEST] = { "REQUEST", 0, 0 },
	[MSG_GO] = { "GO", 0, 0 },
	[MSG_AGAIN] = { "AGAIN", 0, 0 },
	[MSG_END] = { "END", 0, 0 },
	[MSG_KILL] = { "KILL", 0, 0 },
	[MSG_ACTION] = { "ACTION", 0, 0 },
};

const char *
gons__kind_name(unsigned kind)
{
	return kind < MSG_LAST && kinds[kind].name != NULL ? kinds[kind].name
							   : "?";
}

void
gons__reader_free(struct reader *r)
{
	free(r->body);
	memset(r, 0, sizeof(*r));
}

/* Is the head that of a message which a child may send? */
static int
head_is_sane(struct reader *r)
{
	memcpy(&r->kind, r->head, sizeof(r->kind));
	memcpy(&r->len, r->head + sizeof(r->kind), sizeof(r->len));
	return r->kind < MSG_LAST && r->len >= kinds[r->kind].least &&
	       r->len <= kinds[r->kind].most && kinds[r->kind].most > 0;
}

/* More of the pipe; as read(2), but -1 only if there will be none. */
static ssize_t
fill(int fd, struct reader *r)
{
	ssize_t n;

	do
		n = read(fd, r->read, sizeof(r->read));
	while (n == -1 && errno == EINTR);
	r->at = r->end = 0;
	r->drained = n < (ssize_t)sizeof(r->read);
	if (n == -1 && errno == EAGAIN)
		return 0;
	if (n > 0)
		r->end = (size_t)n;
	return n <= 0 ? -1 : n;
}

/* A piece of the present message; as fill(). */
static ssize_t
take_piece(int fd, struct reader *r, void *to, size_t len)
{
	ssize_t n;

	if (r->at == r->end && (n = fill(fd, r)) <= 0)
		return n;
	if (len > r->end - r->at)
		len = r->end - r->at;
	memcpy(to, r->read + r->at, len);
	r->at += len;
	return (ssize_t)len;
}

int
gons__read_message(int fd, struct reader *r)
{
	ssize_t n;

	if (r->n >= MESSAGE_HEAD && r->n == MESSAGE_HEAD + r->len) {
		free(r->body); /* the one before has been heeded */
		r->body = NULL;
		r->n = 0;
	}
	while (!r->broken) {
		if (r->n < MESSAGE_HEAD)
			n = take_piece(
			    fd, r, r->head + r->n, MESSAGE_HEAD - r->n);
		else
			n = take_piece(fd, r, r->body + (r->n - MESSAGE_HEAD),
			    MESSAGE_HEAD + r->len - r->n);
		if (n == 0)
			return 0;
		if (n == -1)
			break;
		r->n += (size_t)n;
		if (r->n == MESSAGE_HEAD &&
		    (!head_is_sane(r) ||
			(r->body = calloc(1, r->len + 1)) == NULL))
			break;
		if (r->n > MESSAGE_HEAD && r->n == MESSAGE_HEAD + r->len) {
			gons__trace("got %s", gons__kind_name(r->kind));
			return 1;
		}
	}
	r->broken = 1;
	return -1;
}

int
gons__reader_used_up(const struct reader *r)
{
	return r->at == r->end;
}

int
gons__reader_value(const struct reader *r, int *value)
{
	int32_t v;

	if (r->len != MESSAGE_VALUE)
		return 0;
	memcpy(&v, r->body, sizeof(v));
	*value = v;
	return 1;
}

static int
tell_body(int fd, unsigned kind, const void *body, size_t len,
    int (*put)(int, const void *, size_t))
{
	char message[MESSAGE_HEAD + sizeof(struct gons_error)];
	uint32_t head[2];

	gons__trace("tell %s", gons__kind_name(kind));
	head[0] = kind;
	head[1] = (uint32_t)len;
	memcpy(message, head, MESSAGE_HEAD);
	memcpy(message + MESSAGE_HEAD, body, len);
	return put(fd, message, MESSAGE_HEAD + len);
}

int
gons__tell(int fd, unsigned kind, int value)
{
	int32_t v = value;

	return tell_body(fd, kind, &v, sizeof(v), gons__write_quietly);
}

int
gons__tell_plainly(int fd, unsigned kind, int value)
{
	int32_t v = value;

	return tell_body(fd, kind, &v, sizeof(v), write_all);
}

int
gons__tell_error(int fd, const struct gons_error *error)
{
	size_t len = strnlen(error->what, sizeof(error->what) - 1);

	return tell_body(fd, MSG_STARTUP, error,
	    offsetof(struct gons_error, what) + len + 1, gons__write_quietly);
}

int
gons__send(int sock, unsigned kind, int value, const int *fds, size_t n)
{
	struct message message;

	gons__trace("send %s", gons__kind_name(kind));
	message.kind = kind;
	message.len = sizeof(message.value);
	message.value = value;
	return gons__send_block(sock, &message, sizeof(message), fds, n);
}

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

ssize_t
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
		return errno == EAGAIN ? 0 : -1;
	c = n > 0 ? CMSG_FIRSTHDR(&msg) : NULL;
	if (c != NULL && c->cmsg_level == SOL_SOCKET &&
	    c->cmsg_type == SCM_RIGHTS) {
		got = (c->cmsg_len - CMSG_LEN(0)) / sizeof(int);
		memcpy(fds, CMSG_DATA(c), got * sizeof(int));
	}
	if (r >= (ssize_t)sizeof(uint32_t))
		return r;
	for (i = 0; i < n; i++)
		fd_close(&fds[i]);
	return -1;
}
