/*
 * SPDX-License-Identifier: BSD-2-Clause
 *
 * Copyright (c) 2026 The libgons developers
 *
 * What may come to a child that stays, on its socket, in place of what the host
 * sends: a copy of the host has the other end, too.  The child runs its action
 * again only for a whole AGAIN, then with the descriptors that came; otherwise
 * it ends.  It keeps no descriptor that it does not use.  One with a supervisor
 * needs GO, too.
 *
 * Input, for each datagram: its kind, its value, how many descriptors, and how
 * many bytes are left out.  The highest bit of the first value: there is a
 * supervisor; of any kind: GO follows.
 */

#include <sys/socket.h>
#include <sys/stat.h>

#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <string.h>
#include <unistd.h>

#include "fuzz.h"
#include "reexec.h"

#define MOST 8 /* descriptors in one datagram */

static int saved[STDERR_FILENO + 1];
static int told; /* what it tells can be read there */

static int
is_same(int a, int b)
{
	struct stat x, y;

	return fstat(a, &x) == 0 && fstat(b, &y) == 0 && x.st_dev == y.st_dev &&
	       x.st_ino == y.st_ino;
}

/* The lowest bits of the value stand for the descriptors, in this order. */
static int
is_whole(const struct message *message, size_t len, size_t nfds)
{
	int i, n = 0;

	for (i = 0; i < NAGAIN; i++)
		n += message->value >> i & 1;
	return len == sizeof(*message) && message->kind == MSG_AGAIN &&
	       (message->value & 0xf) == 0xf && n <= (int)nfds;
}

/* Which of those that were sent has become this one? */
static int
sent(const struct message *message, const int *fds, enum again which)
{
	int i, n = 0;

	for (i = 0; i < (int)which; i++)
		n += message->value >> i & 1;
	return fds[n];
}

/* 1: the action would run again. */
static int
try(int sock, const unsigned char *in)
{
	struct gons__action what;
	struct message message;
	int again, fds[MOST], ends[MOST], i, n = in[2] % (MOST + 1), right,
					     status = 0, whole;
	size_t len = sizeof(message);
	unsigned go;

	memset(&what, 0, sizeof(what));
	what.flags = GONS_REEXEC_STAY;
	message.kind = in[0] & 0x7f;
	message.len = sizeof(message.value);
	message.value = in[1];
	len -= in[3] % len;
	for (i = 0; i < n; i++)
		MUST(gons__open_pipe(&ends[i], &fds[i]) == 0);
	MUST(gons__send_block(sock, &message, len, fds, (size_t)n) == 0);
	whole = right = is_whole(&message, len, (size_t)n);
	if (gons__inside.supervised) {
		go = in[0] >> 7 ? MSG_GO : MSG_END;
		MUST(gons__send(sock, go, 0, fds, (size_t)n) == 0);
		right = right && go == MSG_GO;
	}
	MUST((again = gons__again(&what, &status)) == right);
	/* Once it is taken, the end of the child must not be a success. */
	MUST(status == (whole && !right ? EXIT_FAILURE : 0));
	if (again) {
		MUST(is_same(0, sent(&message, fds, AGAIN_IN)));
		MUST(is_same(1, sent(&message, fds, AGAIN_OUT)));
		MUST(is_same(2, sent(&message, fds, AGAIN_ERR)));
		MUST(is_same(gons__inside.tell, fds[AGAIN_TELL]));
		(void)close(told);
		MUST((told = fd_dup(ends[AGAIN_TELL])) != -1);
	}
	for (i = 0; i < n; i++) {
		(void)close(fds[i]);
		(void)close(ends[i]);
	}
	return again;
}

int
LLVMFuzzerTestOneInput(const unsigned char *data, size_t size)
{
	struct inside *in = &gons__inside;
	uint64_t before = open_descriptors();
	int fd, host[2], sock[2];

	(void)signal(SIGPIPE, SIG_IGN);
	for (fd = 0; fd <= STDERR_FILENO; fd++)
		MUST((saved[fd] = fd_dup(fd)) != -1);
	MUST(gons__open_socket(SOCK_SEQPACKET, &sock[0], &sock[1]) == 0);
	MUST(gons__open_pipe(&host[0], &host[1]) == 0);
	memset(in, 0, sizeof(*in));
	MUST(gons__open_pipe(&told, &in->tell) == 0);
	in->pid = getpid();
	in->host = host[0];
	in->reply = in->fds = -1;
	gons__keep(&in->orders, sock[1]);
	in->supervised = size >= 2 && data[1] >> 7;
	while (size >= 4 && try(sock[0], data)) {
		data += 4;
		size -= 4;
	}
	fd_close(&in->tell);
	fd_close(&in->reply);
	fd_close(&in->fds);
	gons__unkeep(&in->orders);
	for (fd = 0; fd <= STDERR_FILENO; fd++) {
		MUST(dup2(saved[fd], fd) == fd);
		(void)close(saved[fd]);
	}
	(void)close(sock[0]);
	(void)close(told);
	(void)close(host[0]);
	(void)close(host[1]);
	MUST(open_descriptors() == before);
	return 0;
}
