/*
 * SPDX-License-Identifier: BSD-2-Clause
 *
 * Copyright (c) 2026 The libgons developers
 *
 * The supervisor.  Only a child of this process can be in the pid namespace
 * that it has joined.  And only a parent can make sure that an action ends
 * together with the host, even if the action has changed its credentials.  In
 * both cases a child of this process runs the action.
 */

#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/signalfd.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/wait.h>

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "reexec.h"

struct supervisor {
	pid_t pid; /* the action's */
	int orders; /* from the host */
	int host; /* its pidfd, or -1 */
	int told; /* what the action tells */
	int again; /* to an action that stays, or -1 */
	int asked; /* and has not said TAKEN since */
	int signals;
	struct reader reader; /* of what it tells */
	int joined_pid; /* the action is in another pid namespace */
};

static void
tell(unsigned kind, int value)
{
	(void)gons__tell(gons__inside.tell, kind, value);
}

/* A pid namespace whose init has ended makes no process any more. */
static int
namespace_has_ended(void)
{
	pid_t pid = fork();

	if (pid == 0)
		_exit(EXIT_SUCCESS);
	if (pid == -1)
		return errno == ENOMEM;
	while (waitpid(pid, NULL, 0) == -1 && errno == EINTR)
		continue;
	return 0;
}

/* Ends as the action did, but leaves no second core file. */
static void __attribute__((noreturn)) imitate(int status)
{
	struct rlimit none = { 0, 0 };
	sigset_t set;

	tell(MSG_STATUS, status);
	if (WIFSIGNALED(status)) {
		(void)setrlimit(RLIMIT_CORE, &none);
		(void)prctl(PR_SET_DUMPABLE, 0, 0, 0, 0);
		(void)signal(WTERMSIG(status), SIG_DFL);
		(void)sigemptyset(&set);
		(void)sigaddset(&set, WTERMSIG(status));
		(void)kill(getpid(), WTERMSIG(status));
		(void)sigprocmask(SIG_UNBLOCK, &set, NULL);
		_exit(128 + WTERMSIG(status));
	}
	_exit(WEXITSTATUS(status));
}

/*
 * It has taken its request.  If this process ended before the host knows, the
 * host would have another child run the action: so this one has to wait.
 */
static void
pass_on_taken(struct supervisor *s, int value)
{
	int errnum = gons__tell(gons__inside.tell, MSG_TAKEN, value);

	if (errnum == 0 && s->asked &&
	    gons__send(s->again, MSG_GO, 0, NULL, 0) != 0)
		fd_close(&s->again); /* or it would wait for ever */
	s->asked = 0;
}

/*
 * It may know better than the kernel how it ended: with coverage SIGTERM is an
 * exit.  -1: it will tell no more.
 */
static int
pass_on_what_it_told(struct supervisor *s)
{
	int r, value;

	while ((r = gons__read_message(s->told, &s->reader)) == 1) {
		if (!gons__reader_value(&s->reader, &value))
			continue;
		if (s->reader.kind == MSG_TAKEN)
			pass_on_taken(s, value);
		else if (s->reader.kind == MSG_STATUS ||
			 s->reader.kind == MSG_RETURNED)
			tell(s->reader.kind, value);
	}
	return r;
}

/*
 * The action is asked again.  What it tells of this run comes through a new
 * pipe, which nobody has who was left behind by the one before.  The caller
 * closes the descriptors.
 */
static void
ask_again(struct supervisor *s, const struct message *message, int *fds)
{
	int n = 0, tells = -1;

	gons__reader_free(&s->reader);
	fd_close(&s->told);
	fd_close(&gons__inside.tell);
	gons__inside.tell = fds[AGAIN_TELL];
	if (gons__open_pipe(&s->told, &tells) != 0)
		fd_close(&s->again);
	fds[AGAIN_TELL] = tells;
	while (n < NAGAIN && fds[n] != -1)
		n++;
	s->asked = 1;
	if (gons__send(s->again, MSG_AGAIN, message->value, fds, (size_t)n) !=
	    0)
		fd_close(&s->again);
}

/* -1: it has not ended. */
static int
reap(pid_t pid)
{
	int status;
	pid_t r;

	do
		r = waitpid(pid, &status, WNOHANG);
	while (r == -1 && errno == EINTR);
	return r == pid ? status : -1;
}

/*
 * The user of a program with privileges may signal this process, and perhaps
 * not an action that has changed its user ID: what he sends is not passed on.
 */
static void
take_signals(struct supervisor *s)
{
	struct signalfd_siginfo info;
	int status;

	while (read(s->signals, &info, sizeof(info)) == sizeof(info)) {
		if (info.ssi_signo != SIGCHLD && !gons__self_is_secure())
			(void)kill(s->pid, (int)info.ssi_signo);
		if (info.ssi_signo != SIGCHLD || (status = reap(s->pid)) == -1)
			continue;
		(void)pass_on_what_it_told(s);
		if (s->joined_pid && WIFSIGNALED(status) &&
		    WTERMSIG(status) == SIGKILL && namespace_has_ended())
			tell(MSG_ENDED, 0);
		imitate(status);
	}
}

/* -1: there will be none. */
static int
take_order(struct supervisor *s)
{
	struct message message;
	int fds[NAGAIN], i;
	ssize_t n;

	memset(&message, 0, sizeof(message));
	n = gons__receive(s->orders, &message, sizeof(message), fds, NAGAIN);
	if (message.kind == MSG_KILL)
		(void)kill(s->pid, SIGKILL);
	if (message.kind == MSG_AGAIN && s->again != -1 &&
	    (message.value & 1 << AGAIN_TELL) != 0 && fds[AGAIN_TELL] != -1)
		ask_again(s, &message, fds);
	if (n == -1 || message.kind == MSG_END)
		fd_close(&s->again);
	for (i = 0; i < NAGAIN; i++)
		fd_close(&fds[i]);
	return n == -1 ? -1 : 0;
}

/* The reader of the action's output must not wait for the supervisor. */
static void
keep_only(const struct supervisor *s)
{
	int fds[6], fd;
	const size_t n = sizeof(fds) / sizeof(*fds);
	size_t from = 0;

	fds[0] = s->orders;
	fds[1] = s->host;
	fds[2] = s->told;
	fds[3] = s->signals;
	fds[4] = gons__inside.tell;
	fds[5] = s->again;
	qsort(fds, n, sizeof(*fds), gons__compare_fds);
	while (from < n && fds[from] == -1)
		from++;
	for (fd = 0; fd <= STDERR_FILENO; fd++)
		(void)close(fd);
	gons__close_others(fds + from, n - from, CLOSE_NOW, -1);
}

/*
 * Passes signals on to the action and its end back, and kills it when it is
 * told to or when the host is gone.
 */
static void __attribute__((noreturn)) supervise(struct supervisor *s)
{
	struct pollfd p[4];
	const struct timespec tick = { 0, TICK * 1000000L };

	p[0].fd = s->signals;
	p[1].fd = s->orders;
	p[2].fd = s->host;
	p[3].fd = s->again != -1 ? s->told : -1;
	p[0].events = p[1].events = p[2].events = p[3].events = POLLIN;
	for (;;) {
		p[0].revents = p[1].revents = p[2].revents = p[3].revents = 0;
		if (poll(p, 4, -1) == -1 && errno != EINTR) {
			/* A filter refuses it: look at each now and then. */
			(void)nanosleep(&tick, NULL);
			p[0].revents = p[1].revents = p[3].revents = POLLIN;
			if (p[2].fd != -1 && gons__pidfd_ended(p[2].fd))
				p[2].revents = POLLIN;
		}
		if (p[0].revents != 0)
			take_signals(s);
		if (p[3].revents != 0 && pass_on_what_it_told(s) == -1)
			p[3].fd = -1;
		if (p[1].revents != 0 && p[1].fd != -1) {
			if (take_order(s) == -1)
				p[1].fd = -1;
			p[3].fd = s->again != -1 ? s->told : -1;
		}
		if (p[2].revents != 0) {
			(void)kill(s->pid, SIGKILL);
			p[2].fd = -1;
		}
	}
}

/*
 * The host gets the action's pidfd before the action runs, in case that it
 * kills the supervisor; from then on nobody can send the host anything.
 */
static void
show_action(const struct supervisor *s)
{
	int pidfd = (int)syscall(SYS_pidfd_open, s->pid, 0);

	if (pidfd != -1) {
		(void)gons__send(s->orders, MSG_ACTION, 0, &pidfd, 1);
		(void)close(pidfd);
	}
	(void)shutdown(s->orders, SHUT_WR);
}

/* In the action's process, until the supervisor has shown it to the host. */
static void
wait_for_release(int release)
{
	char byte;
	ssize_t n;

	do
		n = read(release, &byte, 1);
	while (n == -1 && errno == EINTR);
	if (n != 1)
		_exit(EXIT_FAILURE);
	(void)close(release);
}

/*
 * 0, and in the action's process s->pid is 0.  Without any of these descriptors
 * this process could not tell how the action ends, so it must not begin.
 */
static int
split(struct supervisor *s, int stays, const sigset_t *all, int *tells,
    int *asked, int release[2])
{
	int errnum;

	s->told = *tells = s->again = *asked = release[0] = release[1] = -1;
	s->signals = -1;
	errnum = gons__open_pipe(&s->told, tells);
	if (errnum == 0 && stays)
		errnum = gons__open_socket(SOCK_SEQPACKET, &s->again, asked);
	if (errnum == 0 && pipe2(release, O_CLOEXEC) == -1)
		errnum = errno;
	if (errnum == 0 && (s->signals = fd_high(signalfd(
				-1, all, SFD_CLOEXEC | SFD_NONBLOCK))) == -1)
		errnum = errno;
	if (errnum == 0) {
		release[0] = fd_high(release[0]);
		release[1] = fd_high(release[1]);
		(void)fflush(NULL);
		if ((s->pid = fork()) == -1)
			errnum = errno;
	}
	return errnum;
}

/* By this the action is asked again; nobody can be sent anything there. */
static void
be_asked(int orders, int host)
{
	(void)shutdown(orders, SHUT_WR);
	gons__keep(&gons__inside.orders, orders);
	gons__inside.host = host;
}

static int
alone(const struct gons__action *what, int stays)
{
	int orders = what->fd[GONS__FD_ORDERS];

	if (stays)
		be_asked(orders, what->fd[GONS__FD_HOST]);
	else
		fd_close(&orders);
	if (!gons__inside.forked) /* of a spare that is known */
		tell(MSG_REACHED, 0);
	return 0;
}

int
gons__supervise(const struct gons__action *what, int *status)
{
	int asked, errnum, me, release[2], tells;
	int stays = (what->flags & GONS_REEXEC_STAY) != 0;
	struct supervisor s;
	sigset_t all, old;

	memset(&s, 0, sizeof(s));
	s.joined_pid = (gons_status_joined() & GONS_BIT(GONS_PID)) != 0;
	s.orders = what->fd[GONS__FD_ORDERS];
	s.host = (what->flags & GONS_REEXEC_DIE_WITH_PARENT) != 0
		     ? what->fd[GONS__FD_HOST]
		     : -1;
	if (!s.joined_pid && s.host == -1)
		return alone(what, stays);
	tell(MSG_REACHED, 1);
	(void)sigfillset(&all);
	(void)sigprocmask(SIG_SETMASK, &all, &old);
	me = (int)syscall(SYS_pidfd_open, getpid(), 0);
	if ((errnum = split(&s, stays, &all, &tells, &asked, release)) != 0) {
		tell(MSG_FORK, errnum);
		*status = EXIT_FAILURE;
	} else if (s.pid > 0) {
		show_action(&s);
		errnum = gons__write_quietly(release[1], "", 1);
		if (errnum != 0) /* it ends without having begun */
			tell(MSG_FORK, errnum);
		keep_only(&s);
		supervise(&s);
	} else {
		gons__die_with(me);
		fd_close(&release[1]);
		fd_close(&gons__inside.tell);
		gons__inside.tell = tells;
		wait_for_release(release[0]);
	}
	(void)sigprocmask(SIG_SETMASK, &old, NULL);
	fd_close(&s.signals);
	fd_close(&s.told);
	fd_close(&s.again);
	fd_close(&s.orders);
	if (stays)
		be_asked(asked, what->fd[GONS__FD_HOST]);
	else
		fd_close(&s.host);
	gons__inside.supervised = 1;
	fd_close(&me);
	return errnum == 0 ? 0 : -1;
}
