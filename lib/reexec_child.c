/*
 * SPDX-License-Identifier: BSD-2-Clause
 *
 * Copyright (c) 2026 The libgons developers
 *
 * In a child: what precedes its action, how it tells its end, and what an
 * action may call.
 */

#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/wait.h>

#include <errno.h>
#include <poll.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "reexec.h"

struct inside gons__inside = { 0, -1, -1, -1, -1, 0, 0, NOT_KEPT, -1, 0, 0, 0,
	NULL };

/*
 * Only the child itself: what it forks may come here too.  With coverage
 * SIGTERM ends in exit(3), and is told as what it is.
 */
static void
tell_end(int known, int value)
{
	if (getpid() != gons__inside.pid)
		return;
	if (gons__cov_signal() != 0)
		(void)gons__tell(
		    gons__inside.tell, MSG_STATUS, gons__cov_signal());
	else if (known)
		(void)gons__tell(
		    gons__inside.tell, MSG_STATUS, (value & 0xff) << 8);
}

#ifdef __GLIBC__
static void
tell_exit(int value, void *unused)
{
	(void)unused;
	tell_end(1, value);
}
#else
static void
tell_exit(void)
{
	tell_end(gons__inside.known, gons__inside.value);
}
#endif

/* Handlers run in reverse order: this one comes first, and runs last. */
void
gons__child_at_exit(void)
{
#ifdef __GLIBC__
	(void)on_exit(tell_exit, NULL);
#else
	(void)atexit(tell_exit);
#endif
}

void
gons__child_enter(const struct gons__action *what)
{
	int cov[2];

	gons__inside.pid = getpid();
	gons__inside.reply = what->fd[GONS__FD_REPLY];
	gons__inside.fds = what->fd[GONS__FD_FDS];
	gons__inside.nfds = 0;
	if (!gons__inside.forked)
		gons__child_at_exit();
	cov[0] = what->fd[GONS__FD_COVERAGE];
	cov[1] = what->fd[GONS__FD_PROFILE];
	gons__cov_child(cov, gons__inside.forked);
}

/* A constructor may have put something else there, which is its affair. */
int
gons__child_input(void)
{
	if (lseek(STDIN_FILENO, 0, SEEK_SET) == 0 || errno == ESPIPE ||
	    errno == EBADF)
		return 0;
	return errno;
}

/*
 * Should the parent be killed by somebody else.  The kernel forgets this when
 * the process changes its ids.
 */
void
gons__die_with(int parent)
{
	struct pollfd p;

	(void)prctl(PR_SET_PDEATHSIG, SIGKILL, 0, 0, 0);
	p.fd = parent;
	p.events = POLLIN;
	if (parent != -1 && poll(&p, 1, 0) == 1)
		_exit(EXIT_FAILURE);
}

static void
big_endian(unsigned char *p, size_t n, uint64_t value)
{
	while (n-- > 0) {
		p[n] = (unsigned char)value;
		value >>= 8;
	}
}

static int
is_in_an_action(void)
{
	return gons__self.child && gons__status_action() != NULL;
}

/* May a reply, or what belongs to it, be sent?  0, or -1 with errno. */
static int
may_reply(int what)
{
	if (!is_in_an_action() || gons__status_action()->fd[what] == -1)
		errno = EPERM;
	else if (gons__inside.reply == -1)
		errno = EALREADY;
	else
		return 0;
	return -1;
}

int
gons_reexec_reply(const void *buf, size_t len)
{
	unsigned char head[REPLY_HEAD];
	int errnum, state;

	if (may_reply(GONS__FD_REPLY) == -1)
		return -1;
	state = gons__enter();
	big_endian(head, 8, len);
	big_endian(head + 8, 4, gons__inside.nfds);
	errnum = gons__write_quietly(gons__inside.reply, head, sizeof(head));
	if (errnum == 0)
		errnum = gons__write_quietly(gons__inside.reply, buf, len);
	fd_close(&gons__inside.reply);
	fd_close(&gons__inside.fds);
	gons__leave(state);
	if (errnum == 0)
		return 0;
	errno = errnum;
	return -1;
}

/*
 * One byte with one descriptor, in the order of the calls; the reply's head
 * tells how many there are.
 */
int
gons_reexec_replyfd(int fd)
{
	int errnum, state;

	if (may_reply(GONS__FD_FDS) == -1)
		return -1;
	state = gons__enter();
	errnum = gons__send_block(gons__inside.fds, "", 1, &fd, 1);
	gons__leave(state);
	if (errnum != 0) {
		errno = errnum;
		return -1;
	}
	gons__inside.nfds++;
	return 0;
}

void
gons__forget_signals(void)
{
	static const struct timespec none = { 0, 0 };
	sigset_t all;

	(void)sigfillset(&all);
	while (sigtimedwait(&all, NULL, &none) != -1 || errno == EINTR)
		continue;
}

static char *input; /* the parameter, once it has been asked for */
static size_t inputlen;

void
gons__forget_input(void)
{
	free(input);
	input = NULL;
}

const void *
gons_reexec_input(size_t *len)
{
	struct stat st;
	ssize_t n;

	if (!is_in_an_action()) {
		errno = EPERM;
		return NULL;
	}
	if (input == NULL) {
		if (fstat(STDIN_FILENO, &st) == -1 ||
		    (input = malloc((size_t)st.st_size + 1)) == NULL)
			return NULL;
		for (inputlen = 0; inputlen < (size_t)st.st_size;) {
			n = pread(STDIN_FILENO, input + inputlen,
			    (size_t)st.st_size - inputlen, (off_t)inputlen);
			if (n == 0 || (n == -1 && errno != EINTR))
				break;
			inputlen += n > 0 ? (size_t)n : 0;
		}
		input[inputlen] = '\0';
	}
	if (len != NULL)
		*len = inputlen;
	return input;
}
