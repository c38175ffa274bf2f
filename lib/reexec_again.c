/*
 * SPDX-License-Identifier: BSD-2-Clause
 *
 * Copyright (c) 2026 The libgons developers
 *
 * A child that stays, between two runs of its action.  All that belongs to a
 * run, its parameter, its pipes and the signals that nobody took, goes with
 * it; what the action has left in the process stays.
 */

#include <sys/syscall.h>

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdio_ext.h>
#include <stdlib.h>
#include <unistd.h>

#include "reexec.h"

/*
 * The host's side of the pipes is closed.  The numbers stay taken, and what
 * threads of the action write meanwhile goes nowhere: a pidfd takes none.
 */
static void
rest(void)
{
	struct inside *in = &gons__inside;
	int fd;

	for (fd = 0; fd <= STDERR_FILENO; fd++)
		(void)dup2(in->host, fd);
	fd_close(&in->tell);
	fd_close(&in->reply);
	fd_close(&in->fds);
	in->nfds = 0;
	gons__forget_input();
	__fpurge(stdin);
	clearerr(stdin);
	clearerr(stdout);
	clearerr(stderr);
}

/*
 * The descriptors in their places, if what has come is AGAIN, and complete;
 * otherwise none is kept.
 */
static int
sort_out(const struct message *message, ssize_t len, int got[NAGAIN],
    int fds[NAGAIN])
{
	int i, is, n = 0, value = 0, whole = 1;

	if (len == sizeof(*message) && message->kind == MSG_AGAIN)
		value = message->value;
	for (i = 0; i < NAGAIN; i++) {
		is = value >> i & 1;
		fds[i] = is ? got[n++] : -1;
		if (fds[i] == -1 && (is || i <= AGAIN_ERR))
			whole = 0;
	}
	for (; n < NAGAIN; n++)
		fd_close(&got[n]);
	for (i = 0; i < NAGAIN && !whole; i++)
		fd_close(&fds[i]);
	return whole;
}

/* Its length; -1: there will be none. */
static ssize_t
await(struct message *message, int got[NAGAIN])
{
	struct pollfd p[2];
	ssize_t r = 0;

	p[0].fd = gons__inside.orders.fd;
	p[1].fd = gons__inside.host;
	p[0].events = p[1].events = POLLIN;
	while (r == 0) {
		if (poll(p, 2, -1) == -1) {
			if (errno != EINTR)
				return -1;
			continue;
		}
		if (p[1].revents != 0)
			return -1; /* also if a copy of it has the socket */
		r = gons__receive(
		    p[0].fd, message, sizeof(*message), got, NAGAIN);
	}
	return r;
}

/* 0: there will be none. */
static int
await_request(int fds[NAGAIN])
{
	struct message message;
	int got[NAGAIN];
	ssize_t r = await(&message, got);

	return r > 0 && sort_out(&message, r, got, fds);
}

/*
 * What a supervisor was told the host may never hear, if somebody kills the
 * supervisor: the action runs when it says that it has passed it on.
 */
static int
may_run(void)
{
	struct message message;
	int got[NAGAIN], i;
	ssize_t r;

	if (!gons__inside.supervised)
		return 1;
	if ((r = await(&message, got)) <= 0)
		return 0;
	for (i = 0; i < NAGAIN; i++)
		fd_close(&got[i]);
	return r == sizeof(message) && message.kind == MSG_GO;
}

/* One call, unless the action has left smaller numbers free. */
static void
close_standard(int *fds)
{
	int i, in_a_row = fds[1] == fds[0] + 1 && fds[2] == fds[1] + 1;

	if (in_a_row && syscall(SYS_close_range, fds[0], fds[2], 0) == 0)
		return;
	for (i = 0; i <= STDERR_FILENO; i++)
		fd_close(&fds[i]);
}

static int
take(int fds[NAGAIN])
{
	struct inside *in = &gons__inside;
	int fd;

	for (fd = 0; fd <= STDERR_FILENO; fd++)
		if (dup2(fds[AGAIN_IN + fd], fd) == -1)
			return 0;
	close_standard(fds + AGAIN_IN);
	if (gons__child_input() != 0)
		return 0;
	in->tell = fds[AGAIN_TELL];
	in->reply = fds[AGAIN_REPLY];
	in->fds = fds[AGAIN_FDS];
	return gons__tell_plainly(in->tell, MSG_TAKEN, 0) == 0;
}

/*
 * What the action has printed is written before its return is told.  It may
 * have closed what this process needs, and that ends then.
 */
static int
tell_return(int status)
{
	/* cppcheck-suppress fflushOnInputStream ; POSIX has it */
	(void)fflush(stdin);
	return gons__tell_plainly(
		   gons__inside.tell, MSG_RETURNED, status & 0xff) == 0;
}

/* With a closed stream the next run would print nothing, and look well. */
static int
can_print(void)
{
	return fcntl(STDOUT_FILENO, F_GETFD) != -1 &&
	       fcntl(STDERR_FILENO, F_GETFD) != -1;
}

int
gons__again(const struct gons__action *what, int *status)
{
	int again = 0, fds[NAGAIN];
	sigset_t all, old;

	/* What the action has forked may return here, too. */
	if ((what->flags & GONS_REEXEC_STAY) == 0 ||
	    getpid() != gons__inside.pid)
		return 0;
	(void)fflush(NULL);
	(void)sigfillset(&all);
	(void)sigprocmask(SIG_SETMASK, &all, &old);
	if (tell_return(*status) && can_print()) {
		rest();
		again = await_request(fds);
		gons__forget_signals();
		again = again && take(fds);
		/* The host counts on the action now: 0 would be its success. */
		if (again && !may_run()) {
			*status = EXIT_FAILURE;
			again = 0;
		}
	}
	(void)sigprocmask(SIG_SETMASK, &old, NULL);
	return again;
}
