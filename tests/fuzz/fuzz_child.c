/*
 * SPDX-License-Identifier: BSD-2-Clause
 *
 * Copyright (c) 2026 The libgons developers
 *
 * A hostile child, played here: what it may write to the pipes that the host
 * reads, as its result, to stderr and about itself, in any order and in any
 * pieces.  Its pidfd is a pipe, which tells of its end when that is closed.
 * Whatever comes, the run ends, it is a success only if the child has told that
 * it is there, what is said of it is sane, and no descriptor is left.  One that
 * stays may be asked again, and gets new pipes.
 *
 * Input: a byte of flags, two of its status; then what is done, a byte each,
 * and for what: see act().
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

#define RESULT 5000
#define SPARE 0x80 /* of the flags: it has to take its request */

enum {
	SEND,
	SEND_BYTES,
	WRITE_OUT,
	WRITE_ERR,
	STEP,
	KILL,
	CLOSE,
	ASK,
	NACTS
};

struct input {
	const unsigned char *p;
	size_t len;
};

static struct {
	struct settings set;
	struct run run;
	struct idle idle;
	int fd[NSRCS]; /* the ends that it holds */
	int asked; /* its end of the socket */
	int status;
	int may_succeed; /* it has told that it is there */
	int killed; /* the host was told to, in time */
	int starts;
} c;

static unsigned
byte(struct input *in)
{
	if (in->len == 0)
		return 0;
	in->len--;
	return *in->p++;
}

static void
open_source(struct child *child, enum source source)
{
	int ours = -1;

	MUST(gons__open_pipe(&ours, &c.fd[source]) == 0);
	gons__keep(&child->fd[source], ours);
	MUST(fcntl(c.fd[source], F_SETFL, O_NONBLOCK) == 0);
}

static void
open_orders(struct child *child)
{
	int ours = -1;

	MUST(gons__open_socket(SOCK_SEQPACKET, &ours, &c.asked) == 0);
	gons__keep(&child->fd[SRC_ORDERS], ours);
}

/* The second attempt finds nobody. */
static int
start(const struct settings *set, struct child *child, struct gons__cov *cov,
    const int fds[2])
{
	(void)cov;
	(void)fds;
	if (c.starts++ > 0)
		return EPROTO;
	open_source(child, SRC_OUT);
	open_source(child, SRC_ERR);
	open_source(child, SRC_TELL);
	open_source(child, SRC_PIDFD);
	if ((set->flags & GONS_REEXEC_STAY) != 0)
		open_orders(child);
	return 0;
}

static int
gone(struct child *child)
{
	struct pollfd p = { child->fd[SRC_PIDFD].fd, POLLIN, 0 };

	return p.fd == -1 || poll(&p, 1, 0) == 1;
}

static int
status(struct child *child, int *is)
{
	(void)child;
	*is = c.status;
	return 1;
}

static void
deaf(struct child *child)
{
	(void)child;
}

static const struct child_ops fresh_ops = { "fresh", start, gone, status, NULL,
	NULL, 0 };
static const struct child_ops spare_ops = { "spare", start, gone, status, deaf,
	NULL, 1 };

/* A message that may be right: kind, length as it should be or not, body. */
static void
send_message(struct input *in)
{
	struct gons_error error;
	uint32_t head[2];
	unsigned char *body = (unsigned char *)&error;
	size_t i, n;

	head[0] = byte(in) % (MSG_LAST + 2);
	head[1] = byte(in);
	n = byte(in);
	if (head[1] == 255)
		head[1] = sizeof(error);
	memset(&error, 0, sizeof(error));
	for (i = 0; i < n && i < sizeof(error) && in->len > 0; i++)
		body[i] = (unsigned char)byte(in);
	if (c.fd[SRC_TELL] == -1 ||
	    write(c.fd[SRC_TELL], head, sizeof(head)) == -1 ||
	    write(c.fd[SRC_TELL], body, head[1]) == -1)
		return;
	c.may_succeed |= head[0] == MSG_REACHED || head[0] == MSG_TAKEN;
}

/* Each byte of the input as often as the second one says. */
static void
send_bytes(int fd, struct input *in)
{
	char block[512];
	unsigned n = byte(in), times = byte(in);

	while (n-- > 0 && in->len > 0) {
		memset(block, (int)byte(in), sizeof(block));
		if (fd == -1 || write(fd, block, 2 * times) == -1)
			break;
	}
}

static void
check(void)
{
	const struct buf *out = &c.run.result.out;
	struct outcome outcome;

	memset(&outcome, 0, sizeof(outcome));
	gons__judge(&c.set, &c.run.facts, &c.run.result, &c.run.err, c.run.why,
	    &outcome);
	MUST((outcome.failure == GONS_FAIL_NONE) == (outcome.error == NULL));
	MUST((outcome.failure == GONS_FAIL_NONE) == (outcome.errnum == 0));
	MUST(outcome.errnum >= 0 && outcome.errnum < 4096);
	MUST(outcome.failure != GONS_FAIL_NONE || c.may_succeed);
	MUST(outcome.failure != GONS_FAIL_KILLED || c.killed);
	MUST(outcome.failure != GONS_FAIL_TIMEOUT);
	MUST(outcome.status >= -1 && outcome.status <= 0xffff);
	if (outcome.error != NULL)
		one_line(outcome.error);
	MUST(out->p != NULL && out->len <= RESULT && out->p[out->len] == '\0');
	free(outcome.error);
}

/* What the host sends is complete, and is all that the child has from then. */
static void
take_request(void)
{
	struct message message;
	int fds[NAGAIN], i;
	ssize_t n;

	n = gons__receive(c.asked, &message, sizeof(message), fds, NAGAIN);
	if (n != sizeof(message) || message.kind != MSG_AGAIN) {
		MUST(n <= 0 || message.kind == MSG_END);
		return;
	}
	for (i = 0; i <= AGAIN_ERR; i++)
		MUST((message.value >> i & 1) != 0 && fds[i] != -1);
	fd_close(&c.fd[SRC_TELL]);
	fd_close(&c.fd[SRC_OUT]);
	fd_close(&c.fd[SRC_ERR]);
	c.fd[SRC_TELL] = fds[AGAIN_TELL];
	c.fd[SRC_OUT] = fds[AGAIN_OUT];
	c.fd[SRC_ERR] = fds[AGAIN_ERR];
	if ((c.set.flags & GONS_REEXEC_REPLY) != 0) {
		MUST(fds[AGAIN_REPLY] != -1);
		c.fd[SRC_OUT] = fds[AGAIN_REPLY];
		fd_close(&fds[AGAIN_OUT]);
	}
	fd_close(&fds[AGAIN_IN]);
	for (i = SRC_OUT; i <= SRC_TELL; i++)
		MUST(fcntl(c.fd[i], F_SETFL, O_NONBLOCK) == 0);
}

/* The next run, of a child whose last one went well. */
static void
ask(void)
{
	const struct child_ops *ops = c.set.ops;

	if (c.run.running || !c.idle.is)
		return;
	check();
	c.may_succeed = c.killed = 0;
	c.set.ops = NULL;
	gons__run_begin(&c.set, &c.run, NULL, 0);
	c.set.ops = ops; /* no other takes its place */
	take_request();
}

static void
act(struct input *in)
{
	switch (byte(in) % NACTS) {
	case SEND:
		send_message(in);
		break;
	case SEND_BYTES:
		c.may_succeed = 1; /* they may be anything */
		send_bytes(c.fd[SRC_TELL], in);
		break;
	case WRITE_OUT:
		send_bytes(c.fd[SRC_OUT], in);
		break;
	case WRITE_ERR:
		send_bytes(c.fd[SRC_ERR], in);
		break;
	case STEP:
		if (c.run.running)
			gons__run_work(&c.set, &c.run, byte(in));
		break;
	case KILL:
		c.killed |= c.run.running;
		if (c.run.running)
			gons__run_stop(&c.set, &c.run, BY_KILL);
		break;
	case CLOSE:
		fd_close(&c.fd[byte(in) % NSRCS]);
		break;
	case ASK:
		ask();
		break;
	}
}

static void
set_up(unsigned flags)
{
	static char action[] = "action";
	int i;

	memset(&c, 0, sizeof(c));
	c.set.action = action;
	c.set.target.fd = -1;
	c.set.timeout = -1;
	c.set.maxresult = RESULT;
	c.set.flags =
	    flags & (GONS_REEXEC_REPLY | GONS_REEXEC_STDERR_KEEP |
			GONS_REEXEC_DIE_WITH_PARENT | GONS_REEXEC_STAY);
	c.set.ops = (flags & SPARE) != 0 ? &spare_ops : &fresh_ops;
	for (i = 0; i < NSRCS; i++)
		c.fd[i] = -1;
	c.asked = -1;
	gons__child_init(&c.run.child);
	gons__child_init(&c.idle.child);
	c.run.idle = &c.idle;
	if ((flags & GONS_REEXEC_STAY) != 0)
		gons__stay_note(&c.set, &c.idle);
}

int
LLVMFuzzerTestOneInput(const unsigned char *data, size_t size)
{
	struct input in = { data, size };
	uint64_t before = open_descriptors();
	unsigned flags = byte(&in);
	int i;

	(void)signal(SIGPIPE, SIG_IGN);
	set_up(flags);
	c.status = (int)(byte(&in) << 8);
	c.status |= (int)byte(&in);
	gons__run_begin(&c.set, &c.run, NULL, 0);
	while (in.len > 0)
		act(&in);
	for (i = 0; i < NSRCS; i++)
		fd_close(&c.fd[i]);
	fd_close(&c.asked);
	while (c.run.running)
		gons__run_work(&c.set, &c.run, gons__watch_await(&c.run));
	check();
	gons__run_clear(&c.run);
	(void)gons__run_end(&c.set, &c.idle);
	gons__idle_free(&c.idle);
	MUST(open_descriptors() == before);
	return 0;
}
