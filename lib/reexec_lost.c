/*
 * SPDX-License-Identifier: BSD-2-Clause
 *
 * Copyright (c) 2026 The libgons developers
 *
 * Processes that were given up while they still ran: no signal ends one that
 * waits for a file server that does not answer.  Each keeps one descriptor, its
 * pidfd, and is reaped by the next call that looks after it has ended.  Others
 * wait here, too: prepared processes that have been told to end, those that were
 * given up before they told who they are, processes that close a socket, and
 * sockets for which no such process could be made.
 */

#include <sys/ioctl.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/wait.h>

#include <errno.h>
#include <fcntl.h>
#include <sched.h>
#include <signal.h>
#include <stdlib.h>
#include <unistd.h>

#include "reexec.h"

#define END_TIME 100 /* ms for a prepared process to end by itself */
#define RESERVE 16 /* when there is no memory */

struct lost {
	struct lost *next;
	int64_t kill_at; /* it may end by itself until then; or -1 */
	struct kept fd; /* of a process its pidfd, or -1 */
	unsigned era;
	enum {
		LOST_PROCESS,
		LOST_CONTROL, /* a prepared process is to tell there who it is */
		LOST_SOCKET
	} kind;
	pid_t pid;
	int taken; /* of a socket */
};
static struct lost *lost; /* a stack; taken as a whole by one who looks */
static struct lost reserve[RESERVE];
static int reserved[RESERVE]; /* 1: it is used */

/* Who is forgotten for want of memory stays a zombie: NULL is rare. */
static struct lost *
lost_new(void)
{
	struct lost *l = malloc(sizeof(*l));
	int i, used;

	for (i = 0; l == NULL && i < RESERVE; i++) {
		used = 0;
		if (__atomic_compare_exchange_n(&reserved[i], &used, 1, 0,
			__ATOMIC_ACQ_REL, __ATOMIC_ACQUIRE))
			l = &reserve[i];
	}
	return l;
}

static void
lost_free(struct lost *l)
{
	int i;

	gons__unkeep(&l->fd);
	for (i = 0; i < RESERVE; i++)
		if (l == &reserve[i]) {
			__atomic_store_n(&reserved[i], 0, __ATOMIC_RELEASE);
			return;
		}
	free(l);
}

static void
push(struct lost *first, struct lost *last)
{
	last->next = __atomic_load_n(&lost, __ATOMIC_ACQUIRE);
	while (!__atomic_compare_exchange_n(
	    &lost, &last->next, first, 0, __ATOMIC_ACQ_REL, __ATOMIC_ACQUIRE))
		continue;
}

/* 1: it has ended, and is reaped if it was ours; 0: it runs. */
static int
reaped(const struct lost *l)
{
	siginfo_t info;
	int ended, r, status;

	if (gons__is_kept(&l->fd)) {
		ended = gons__pidfd_ended(l->fd.fd);
		info.si_pid = 0;
		r = (int)syscall(SYS_waitid, ID_PIDFD, l->fd.fd, &info,
		    WEXITED | WNOHANG | __WALL, NULL);
		if (r == 0)
			return info.si_pid != 0;
		/* It is not ours, or not yet; EINVAL: before Linux 5.4. */
		if (errno == ECHILD || l->pid <= 0)
			return ended;
	}
	if (l->pid <= 0)
		return 1;
	r = (int)waitpid(l->pid, &status, WNOHANG | __WALL);
	return r == l->pid || (r == -1 && errno == ECHILD);
}

int
gons__adopts_orphans(void)
{
	int subreaper = 0;

	(void)prctl(PR_GET_CHILD_SUBREAPER, &subreaper, 0, 0, 0);
	return subreaper || getpid() == 1;
}

static void
add(const struct lost *what, struct kept *fd)
{
	struct lost *l;

	if ((l = lost_new()) == NULL) {
		/* A socket stays open: to close it may block. */
		if (what->kind == LOST_SOCKET)
			fd->fd = -1;
		gons__unkeep(fd);
		return;
	}
	*l = *what;
	l->era = gons__era();
	l->fd = *fd;
	fd->fd = -1;
	if (l->kind == LOST_PROCESS && reaped(l)) {
		lost_free(l);
		return;
	}
	push(l, l);
}

static void
kill_now(const struct kept *pidfd)
{
	if (pidfd->fd != -1 && gons__is_kept(pidfd))
		(void)syscall(
		    SYS_pidfd_send_signal, pidfd->fd, SIGKILL, NULL, 0);
}

void
gons__lost_add(struct kept *pidfd, pid_t pid)
{
	struct lost what = { .kind = LOST_PROCESS, .pid = pid, .kill_at = -1 };

	if (pidfd->fd == -1 && pid <= 0)
		return;
	if (pid <= 0 && !gons__adopts_orphans())
		gons__unkeep(pidfd);
	else
		add(&what, pidfd);
}

void
gons__lost_kill(struct kept *pidfd, pid_t pid)
{
	kill_now(pidfd);
	gons__lost_add(pidfd, pid);
}

void
gons__lost_leaves(struct kept *pidfd)
{
	struct lost what = { .kind = LOST_PROCESS };

	what.kill_at = now_ms() + END_TIME;
	if (pidfd->fd != -1)
		add(&what, pidfd);
}

void
gons__lost_control(struct kept *control)
{
	struct lost what = { .kind = LOST_CONTROL };

	if (control->fd != -1)
		add(&what, control);
}

struct closer {
	int sock, gone; /* the end of gone: the host has closed the socket */
};

/* In memory of its own, but on a stack that the host gives up at once. */
static BORROWED int
close_last(void *arg)
{
	const struct closer *closer = arg;
	int fd, fds[2], first = closer->sock < closer->gone;
	char byte;

	fds[!first] = closer->sock;
	fds[first] = closer->gone;
	for (fd = STDIN_FILENO; fd <= STDERR_FILENO; fd++)
		(void)syscall(SYS_close, fd);
	gons__close_others(fds, 2, CLOSE_NOW, -1);
	while (
	    syscall(SYS_read, closer->gone, &byte, 1) == -1 && errno == EINTR)
		continue;
	(void)syscall(SYS_exit_group, 0);
	return 0;
}

/*
 * Makes a process that has the socket, too, and ends after this one has closed
 * it: if anything in it lingers, that process waits for it.  It sends no signal
 * at its end, and wait(2) does not find it.
 */
static pid_t
make_closer(int sock, int *gone, int *pidfd)
{
	struct closer closer;
	sigset_t all, old;
	int fd[2];
	pid_t pid;

	if (pipe2(fd, O_CLOEXEC) == -1)
		return -1;
	closer.sock = sock;
	closer.gone = fd[0] = fd_high(fd[0]);
	fd[1] = fd_high(fd[1]);
	if (fd[0] == -1 || fd[1] == -1) {
		fd_close(&fd[0]);
		fd_close(&fd[1]);
		return -1;
	}
	/* No handler of the host program's runs in the copy. */
	(void)sigfillset(&all);
	(void)pthread_sigmask(SIG_SETMASK, &all, &old);
	pid = (pid_t)syscall(SYS_clone, CLONE_PIDFD, NULL, pidfd, NULL, 0L);
	if (pid == 0) {
		(void)syscall(SYS_close, fd[1]);
		(void)close_last(&closer);
	}
	(void)pthread_sigmask(SIG_SETMASK, &old, NULL);
	(void)close(fd[0]);
	*gone = fd[1];
	if (pid == -1)
		fd_close(gone);
	return pid;
}

/* Closed by a later call. */
static void
close_later(struct kept *sock, int taken)
{
	struct lost what = { .kind = LOST_SOCKET, .taken = taken };

	add(&what, sock);
}

void
gons__dispose(struct kept *sock, int taken)
{
	int errnum = errno, gone = -1, pidfd = -1, waiting = 0;
	struct kept closer;
	pid_t pid;

	if (sock->fd == -1)
		return;
	if (!gons__is_kept(sock)) {
		sock->fd = -1;
		return;
	}
	/* No more can be sent from now on. */
	(void)shutdown(sock->fd, SHUT_RD);
	if (ioctl(sock->fd, FIONREAD, &waiting) == -1 || waiting != taken) {
		pid = make_closer(sock->fd, &gone, &pidfd);
		if (pid == -1) { /* later, rather than wait for it */
			close_later(sock, taken);
			errno = errnum;
			return;
		}
		gons__keep_pidfd(&closer, fd_high(pidfd));
		gons__unkeep(sock);
		fd_close(&gone);
		gons__lost_add(&closer, pid);
	}
	gons__unkeep(sock);
	errno = errnum;
}

/* 1: nothing more will come from there. */
static int
has_told(struct lost *l)
{
	struct message message;
	struct kept pidfd;
	int fd = -1;
	ssize_t n;

	if (!gons__is_kept(&l->fd))
		return 1;
	if (!gons__has_room(l->fd.fd))
		return 0;
	n = gons__receive(l->fd.fd, &message, sizeof(message), &fd, 1);
	if (n == 0)
		return 0;
	gons__keep_pidfd(&pidfd, fd_high(fd));
	gons__lost_kill(&pidfd, 0);
	return 1;
}

/* 1: it need not be looked at again. */
static int
settled(struct lost *l)
{
	if (l->era != gons__era())
		return 1;
	switch (l->kind) {
	case LOST_CONTROL:
		return has_told(l);
	case LOST_SOCKET:
		gons__dispose(&l->fd, l->taken); /* it may come back */
		return 1;
	default:
		if (reaped(l))
			return 1;
		if (l->kill_at != -1 && now_ms() >= l->kill_at) {
			kill_now(&l->fd);
			l->kill_at = -1;
		}
		return 0;
	}
}

void
gons__lost_reap(void)
{
	struct lost *l, *next, *first = NULL, *last = NULL;
	int errnum = errno;

	if (__atomic_load_n(&lost, __ATOMIC_RELAXED) == NULL)
		return;
	l = __atomic_exchange_n(&lost, NULL, __ATOMIC_ACQ_REL);
	for (; l != NULL; l = next) {
		next = l->next;
		if (settled(l)) {
			lost_free(l);
			continue;
		}
		if (last == NULL)
			last = l;
		l->next = first;
		first = l;
	}
	if (first != NULL)
		push(first, last);
	errno = errnum;
}
