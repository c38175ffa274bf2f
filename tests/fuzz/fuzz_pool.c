/*
 * SPDX-License-Identifier: BSD-2-Clause
 *
 * Copyright (c) 2026 The libgons developers
 *
 * What a prepared process may answer that is not what it was: it was forked off
 * this one, and has joined no container, but its memory is that of a program
 * which may have been made to say anything.  Each answer is a spare that is
 * whole, an errno value, or the end, and no descriptor is left.
 *
 * Input, for each datagram: its kind, its value, how many descriptors, and how
 * many bytes are left out.
 */

#include <sys/syscall.h>

#include <errno.h>
#include <poll.h>
#include <signal.h>
#include <string.h>
#include <unistd.h>

#include "fuzz.h"
#include "reexec.h"

#define MOST 8 /* descriptors in one datagram */
#define ASKED 16 /* times: more than datagrams in an input */
#define PATIENCE 10000 /* ms for a process to end */

/* In the process that is forked.  The socket keeps what it has said. */
static void __attribute__((noreturn))
answer(int sock, const unsigned char *in, size_t size)
{
	struct message message;
	int fds[MOST], i, me = (int)syscall(SYS_pidfd_open, getpid(), 0);
	size_t len;

	for (i = 0; i < MOST; i++)
		fds[i] = me;
	for (; size >= 4; in += 4, size -= 4) {
		message.kind = in[0] % (MSG_LAST + 2);
		message.len = sizeof(message.value);
		message.value = (int8_t)in[1];
		len = sizeof(message) - in[3] % sizeof(message);
		(void)gons__send_block(
		    sock, &message, len, fds, in[2] % (MOST + 1));
	}
	_exit(0);
}

static void
take(struct child *child, int *errnum)
{
	int fds[NSPARE], i;

	*errnum = gons__pool_take(child, 0, fds);
	MUST(*errnum >= 0);
	if (*errnum == EINPROGRESS)
		MUST(child->wait_fd != -1);
	if (*errnum != 0)
		return;
	for (i = 0; i < NSPARE; i++) {
		MUST(fds[i] > STDERR_FILENO || i == SPARE_REAPED);
		fd_close(&fds[i]);
	}
}

int
LLVMFuzzerTestOneInput(const unsigned char *data, size_t size)
{
	struct gons__action what;
	struct child child;
	uint64_t before;
	static int ready;
	int errnum = 0, i;

	if (!ready) { /* opens what stays open */
		gons__self_allow();
		gons__standing_keep();
	}
	ready = 1;
	(void)signal(SIGPIPE, SIG_IGN);
	before = open_descriptors();
	memset(&what, 0, sizeof(what));
	gons__child_init(&child);
	child.made = 255; /* none is made in its place */
	switch (gons__pool_serve(&what)) {
	case 1:
		answer(what.fd[GONS__FD_ORDERS], data, size);
	case 0:
		break;
	default:
		abort();
	}
	/* it may say that there is none, and have more to say */
	for (i = 0; i < ASKED; i++)
		take(&child, &errnum);
	MUST(errnum == EPIPE);
	buf_free(&child.words);
	for (i = 0; i < PATIENCE && open_descriptors() != before; i++) {
		gons__lost_reap();
		(void)poll(NULL, 0, i > 0);
	}
	MUST(open_descriptors() == before);
	return 0;
}
