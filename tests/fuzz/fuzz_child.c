/*
 * SPDX-License-Identifier: BSD-2-Clause
 *
 * Copyright (c) 2026 The libgons developers
 *
 * A hostile child, played here: what it may send on its control socket, as
 * its result and to stderr, with descriptors or without, in any order.  Its
 * pidfd is a pipe, which tells of its end when that is closed.  Whatever comes,
 * the run ends, it is a success only if the child has told that it is there,
 * what is said of it is sane, and no descriptor is left.
 *
 * Input: a byte of flags; then what is done, a byte each, and for what: see
 * act().  With PEEK in the flags messages are received with their descriptors,
 * as those of a prepared process are.
 */

#include <sys/socket.h>

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <string.h>
#include <unistd.h>

#include "fuzz.h"
#include "reexec.h"

#define PEEK 0x80
#define FDS 7 /* with one message, at most */
#define RESULT 5000
#define HIGHEST 64 /* descriptors that are looked at */

enum {
	SEND,
	WRITE_OUT,
	WRITE_ERR,
	STEP,
	KILL,
	CLOSE,
	NACTS
};

struct input {
	const unsigned char *p;
	size_t len;
};

struct peer {
	struct gons_reexec *req;
	int fd[NSRCS]; /* the ends that it holds */
	int reached; /* it has told so */
	int killed; /* the host was told to, in time */
};

static unsigned
byte(struct input *in)
{
	if (in->len == 0)
		return 0;
	in->len--;
	return *in->p++;
}

/* Those that are open: a bit each. */
static uint64_t
descriptors(void)
{
	struct pollfd p[HIGHEST];
	uint64_t set = 0;
	int fd;

	memset(p, 0, sizeof(p));
	for (fd = 0; fd < HIGHEST; fd++)
		p[fd].fd = fd;
	MUST(poll(p, HIGHEST, 0) != -1);
	for (fd = 0; fd < HIGHEST; fd++)
		if ((p[fd].revents & POLLNVAL) == 0)
			set |= (uint64_t)1 << fd;
	return set;
}

/*
 * Kind, value, and how much of the rest, which is filled up with its last byte;
 * or less than that.  Returns how many bytes are to be sent.
 */
static size_t
compose(struct message *message, struct input *in)
{
	unsigned char *rest = (unsigned char *)&message->error;
	size_t i, len, n;

	message->kind = (int)(byte(in) % 20) - 2;
	for (message->value = 0, i = 0; i < sizeof(message->value); i++)
		message->value |= (int)(byte(in) << 8 * i);
	len = byte(in);
	n = byte(in);
	for (i = 0; i < n && in->len > 0; i++)
		rest[i] = (unsigned char)byte(in);
	memset(rest + i, i > 0 ? rest[i - 1] : 0, sizeof(message->error) - i);
	return len == 255 ? sizeof(*message) : len;
}

/* Returns the descriptors that were sent, or -1 if nothing was. */
static int
send_message(int sock, struct input *in, struct message *message, size_t *len)
{
	int fds[FDS], i, nfds = (int)(byte(in) % (FDS + 1));

	for (i = 0; i < FDS; i++)
		fds[i] = sock;
	*len = compose(message, in);
	return gons__send_block(sock, message, *len, fds, (size_t)nfds) == 0
		   ? nfds
		   : -1;
}

/* Each byte of the input as often as the first one says. */
static void
send_bytes(int fd, struct input *in)
{
	char block[512];
	unsigned n = byte(in), times = byte(in);

	while (n-- > 0 && in->len > 0) {
		memset(block, (int)byte(in), sizeof(block));
		if (write(fd, block, 2 * times) == -1)
			break;
	}
}

static void
act(struct peer *c, struct input *in)
{
	struct message message;
	size_t len;
	int i;

	switch (byte(in) % NACTS) {
	case SEND:
		if (send_message(c->fd[SRC_CONTROL], in, &message, &len) !=
			-1 &&
		    len >= MESSAGE_SHORT && message.kind == MSG_REACHED)
			c->reached = 1;
		break;
	case WRITE_OUT:
		send_bytes(c->fd[SRC_OUT], in);
		break;
	case WRITE_ERR:
		send_bytes(c->fd[SRC_ERR], in);
		break;
	case STEP:
		(void)gons_reexec_step(c->req);
		break;
	case KILL:
		c->killed |= gons_reexec_kill(c->req) == 0;
		break;
	case CLOSE:
		i = (int)(byte(in) % NSRCS);
		gons__close_fd(&c->fd[i]);
		break;
	}
}

/* As gons_reexec_start(3) leaves it. */
static void
start(struct peer *c, unsigned flags)
{
	struct gons_reexec *req;
	int i;

	memset(c, 0, sizeof(*c));
	MUST((c->req = req = gons_reexec_new("action")) != NULL);
	MUST(gons_reexec_setmaxresult(req, RESULT) == 0);
	req->flags = flags & (GONS_REEXEC_REPLY | GONS_REEXEC_PREPARED |
				 GONS_REEXEC_DIE_WITH_PARENT);
	gons__forget(req);
	for (i = 0; i < NSRCS; i++)
		c->fd[i] = -1;
	MUST(gons__open_socket(SOCK_SEQPACKET, &req->fd[SRC_CONTROL],
		 &c->fd[SRC_CONTROL]) == 0);
	MUST(gons__open_pipe(&req->fd[SRC_OUT], &c->fd[SRC_OUT]) == 0);
	MUST(gons__open_pipe(&req->fd[SRC_ERR], &c->fd[SRC_ERR]) == 0);
	MUST(gons__open_pipe(&req->fd[SRC_PIDFD], &c->fd[SRC_PIDFD]) == 0);
	MUST(fcntl(c->fd[SRC_OUT], F_SETFL, O_NONBLOCK) == 0);
	MUST(fcntl(c->fd[SRC_ERR], F_SETFL, O_NONBLOCK) == 0);
	MUST(gons__watch(req) == 0);
	/* a prepared one has been there all the time */
	req->reached = c->reached = gons__is_prepared(req);
	req->owner = gons__era();
	req->state = RUNNING;
}

static void
check(const struct peer *c, int r, int errnum)
{
	int failure = gons_reexec_failure(c->req);
	int status = gons_reexec_status(c->req);
	const char *result, *text = gons_reexec_error(c->req);
	size_t len;

	MUST((r == 0) == (failure == GONS_FAIL_NONE));
	MUST((r == 0) == (text == NULL));
	MUST(r == 0 || (errnum > 0 && errnum < 4096));
	MUST(r != 0 || (c->reached && !c->killed));
	MUST(failure != GONS_FAIL_KILLED || c->killed);
	MUST(failure != GONS_FAIL_TIMEOUT);
	MUST(status >= -1 && status <= 0xffff);
	if (text != NULL)
		one_line(text);
	result = gons_reexec_result(c->req, &len);
	MUST(result != NULL && len <= RESULT && result[len] == '\0');
}

static void
run(struct input *in, unsigned flags)
{
	struct peer child;
	int errnum, i, r;

	(void)signal(SIGPIPE, SIG_IGN);
	start(&child, flags);
	while (in->len > 0)
		act(&child, in);
	for (i = 0; i < NSRCS; i++)
		gons__close_fd(&child.fd[i]);
	r = gons_reexec_wait(child.req);
	errnum = errno;
	check(&child, r, errnum);
	gons_reexec_free(child.req);
}

/* Of a message that is too short nothing is left, of others what there is. */
static void
receive(int sock, int sent, size_t len, size_t room, const struct message *is)
{
	struct message message;
	int fds[FDS];
	size_t i, n;

	n = gons__receive(sock, &message, sizeof(message), fds, room);
	MUST(n == (len < MESSAGE_SHORT ? (size_t)-1 : len));
	MUST(n == (size_t)-1 || memcmp(&message, is, len) == 0);
	for (i = 0; i < room; i++) {
		MUST((fds[i] != -1) == (n != (size_t)-1 && (int)i < sent));
		MUST(fds[i] == -1 || fcntl(fds[i], F_GETFD) == FD_CLOEXEC);
		gons__close_fd(&fds[i]);
	}
}

static void
peek(struct input *in)
{
	struct message message;
	int ours, sent, theirs;
	size_t len, room;

	MUST(gons__open_socket(SOCK_SEQPACKET, &ours, &theirs) == 0);
	while (in->len > 0) {
		room = byte(in) % (FDS + 1);
		sent = send_message(theirs, in, &message, &len);
		if (sent != -1)
			receive(ours, sent, len, room, &message);
	}
	gons__close_fd(&ours);
	gons__close_fd(&theirs);
}

int
LLVMFuzzerTestOneInput(const unsigned char *data, size_t size)
{
	struct input in = { data, size };
	uint64_t before = descriptors();
	unsigned flags = byte(&in);

	if ((flags & PEEK) != 0)
		peek(&in);
	else
		run(&in, flags);
	MUST(descriptors() == before);
	return 0;
}
