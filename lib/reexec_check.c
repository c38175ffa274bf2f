/*
 * SPDX-License-Identifier: BSD-2-Clause
 *
 * Copyright (c) 2026 The libgons developers
 *
 * gons_reexec_check(3): what a process remembers that may start children later,
 * and what a child does: it tells how far it came, supervises the action if that
 * runs in a process of its own, runs it, and tells how it ended.
 */

#include <sys/mman.h>
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

#ifndef MADV_WIPEONFORK
#define MADV_WIPEONFORK 18
#endif

struct self gons__self = { NULL, 0, 0, -1, 0 };
struct child gons__child = { 0, -1, -1, NULL, 0, 0, 0 };

/* Bound at start-up: each prepared child would search for it by itself. */
static void (*const volatile leave)(int) = exit;

static unsigned *wiped; /* zero in a forked copy; NULL: no such memory */
static unsigned eras;

static void allow(void);
static int child_run(int *status);
static int child_known(const struct gons__action *what);
static int child_refuse(const char *why, int *status);
static void child_enter(const struct gons__action *what);
static void child_name(void);
#ifdef __GLIBC__
static void tell_exit(int, void *);
#else
static void tell_exit(void);
#endif
static void tell_end(int known, int value);
static int supervise(const struct gons__action *what, int *status);
static void supervisor(pid_t pid, int host, int told) __attribute__((noreturn));
static void close_but(int a, int b, int c, int d);
static void supervisor_signals(int fd, pid_t pid, int told);
static int supervisor_reap(pid_t pid);
static void imitate(int status) __attribute__((noreturn));
static int send_all(int sock, struct iovec *iov, size_t n);

void
gons_reexec_check(void)
{
	int status;

	if (gons_reexec_runaction(&status) == 1)
		leave(status);
}

int
gons_reexec_runaction(int *status)
{
	int ignored;

	if (status == NULL)
		status = &ignored;
	if (gons__status_stolen())
		return child_refuse("another copy of libgons in this process "
				    "has taken gons_reexec_action",
		    status);
	if (gons__status_action() != NULL)
		return child_run(status);
	allow();
	return 0;
}

/*
 * The program is executed later from what is opened now: by then it may be
 * deleted or replaced, and /proc may be out of reach.  To be readable matters
 * for GONS_REEXEC_SEALED alone.
 */
static void
allow(void)
{
	if (gons__self.allowed)
		return;
	gons__self.exe =
	    gons__high(open("/proc/self/exe", O_RDONLY | O_CLOEXEC));
	if (gons__self.exe == -1 && errno == EACCES)
		gons__self.exe =
		    gons__high(open("/proc/self/exe", O_PATH | O_CLOEXEC));
	gons__self.errnum = errno;
	wiped = mmap(NULL, sizeof(*wiped), PROT_READ | PROT_WRITE,
	    MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	if (wiped == MAP_FAILED ||
	    madvise(wiped, sizeof(*wiped), MADV_WIPEONFORK) == -1)
		wiped = NULL;
	free(gons__self.argv0);
	gons__self.argv0 = strdup(
	    program_invocation_name != NULL ? program_invocation_name : "");
	gons__self.allowed = gons__self.argv0 != NULL;
}

/*
 * A number that this process has and no forked copy of it; in a pid namespace
 * of its own a copy may have the same process number.
 */
unsigned
gons__era(void)
{
	unsigned none = 0, *e = wiped;

	if (e == NULL)
		return (unsigned)getpid();
	if (__atomic_load_n(e, __ATOMIC_ACQUIRE) == 0)
		(void)__atomic_compare_exchange_n(e, &none,
		    __atomic_add_fetch(&eras, 1, __ATOMIC_ACQ_REL), 0,
		    __ATOMIC_ACQ_REL, __ATOMIC_ACQUIRE);
	return __atomic_load_n(e, __ATOMIC_ACQUIRE);
}

/* Returns 1, for gons_reexec_runaction(). */
static int
child_run(int *status)
{
	const struct gons__action *what = gons__status_action();
	const struct action *action;

	if (gons__self.child)
		return child_refuse("the action has been run already", status);
	gons__self.child = 1;
	if (!child_known(what))
		return child_refuse("gons_reexec_action is private to "
				    "gons_reexec_start(3)",
		    status);
	child_name();
	*status = EXIT_FAILURE;
	if ((what->flags & PREPARE) != 0) {
		gons__prepared_process(what, status);
		what = gons__status_action();
	}
	if (!gons__child.forked)
		gons__child.control = what->fd[GONS__FD_CONTROL];
	if (gons_status_error() != NULL) {
		gons__tell(MSG_STARTUP, 0, gons_status_error());
		return 1;
	}
	if ((action = gons__find_action(what->name)) == NULL) {
		gons__tell(MSG_UNKNOWN, 0, NULL);
		return 1;
	}
	if (supervise(what, status) == -1)
		return 1;
	child_enter(what);
	*status = action->function();
	gons__child.value = *status;
	gons__child.known = 1;
	return 1;
}

/* Was it started by gons_reexec_start()? */
static int
child_known(const struct gons__action *what)
{
	int type = 0;
	socklen_t len = sizeof(type);

	return what->name[0] != '\0' && what->fd[GONS__FD_CONTROL] >= 0 &&
	       getsockopt(what->fd[GONS__FD_CONTROL], SOL_SOCKET, SO_TYPE,
		   &type, &len) == 0 &&
	       type == SOCK_SEQPACKET;
}

/* Somebody plays tricks, or two copies meet: better no action than a wrong. */
static int
child_refuse(const char *why, int *status)
{
	gons__self.child = 1;
	dprintf(STDERR_FILENO, "gons: %s\n", why);
	*status = EXIT_FAILURE;
	return 1;
}

/*
 * What precedes the action.  Handlers run in reverse order, so the one that
 * tells the exit value comes first: it is the last to run.
 */
static void
child_enter(const struct gons__action *what)
{
	int cov[2];

	gons__child.pid = getpid();
	gons__child.reply = what->fd[GONS__FD_REPLY];
	if (!gons__child.forked)
		gons__tell_at_exit();
	cov[0] = what->fd[GONS__FD_COVERAGE];
	cov[1] = what->fd[GONS__FD_PROFILE];
	if (cov[0] != -1 || cov[1] != -1)
		gons__cov_child(cov, gons__child.forked);
}

void
gons__tell_at_exit(void)
{
#ifdef __GLIBC__
	(void)on_exit(tell_exit, NULL);
#else
	(void)atexit(tell_exit);
#endif
}

/* The kernel named the process after the descriptor that was executed. */
static void
child_name(void)
{
	const char *name = program_invocation_short_name;

	if (name != NULL && *name != '\0')
		(void)prctl(PR_SET_NAME, name, 0, 0, 0);
}

void
gons__tell(int kind, int value, const struct gons_error *error)
{
	struct message message;
	size_t len = MESSAGE_SHORT;

	message.kind = kind;
	message.value = value;
	if (error != NULL) {
		message.error = *error;
		len = sizeof(message);
	}
	(void)gons__send_block(gons__child.control, &message, len, NULL, 0);
}

/*
 * Only the child itself: what it forks may come here too.  With coverage
 * SIGTERM ends in exit(3), and is told as what it is.
 */
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
	tell_end(gons__child.known, gons__child.value);
}
#endif

static void
tell_end(int known, int value)
{
	if (getpid() != gons__child.pid)
		return;
	if (gons__cov_signal() != 0)
		gons__tell(MSG_STATUS, gons__cov_signal(), NULL);
	else if (known)
		gons__tell(MSG_STATUS, (value & 0xff) << 8, NULL);
}

/*
 * In a pid namespace only children of this process are, and only a parent can
 * see to it that an action ends together with the host, whatever it has done
 * to its credentials: in both cases the action is run by a child of this one.
 * The host's end of the control socket is not the action's then, which could
 * take away the order to kill it.  Returns in the action's process; -1 when
 * there is none.
 */
static int
supervise(const struct gons__action *what, int *status)
{
	int host = what->fd[GONS__FD_HOST], me, tells = -1, told = -1;
	sigset_t all, old;
	pid_t pid = -1;

	if ((gons_status_joined() & GONS_BIT(GONS_PID)) == 0 && host == -1) {
		if (!gons__child.forked) /* in which case that is known */
			gons__tell(MSG_REACHED, 0, NULL);
		return 0;
	}
	gons__tell(MSG_REACHED, 1, NULL);
	(void)sigfillset(&all);
	(void)sigprocmask(SIG_SETMASK, &all, &old);
	me = (int)syscall(SYS_pidfd_open, getpid(), 0);
	(void)fflush(NULL);
	errno = gons__open_socket(SOCK_SEQPACKET, &told, &tells);
	if (errno == 0)
		pid = fork();
	if (pid > 0)
		supervisor(pid, host, told);
	if (pid == -1) {
		gons__tell(MSG_FORK, errno, NULL);
		*status = EXIT_FAILURE;
		gons__close_fd(&tells);
	} else {
		gons__die_with(me);
		gons__close_fd(&gons__child.control);
		gons__child.control = tells;
	}
	(void)sigprocmask(SIG_SETMASK, &old, NULL);
	gons__close_fd(&told);
	if (me != -1)
		(void)close(me);
	if (host != -1)
		(void)close(host);
	return pid;
}

/*
 * Should the supervisor be killed by somebody else.  The kernel forgets this
 * when the action changes its ids.
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

/*
 * Passes signals on to the action and its end back, and kills it when it is
 * told to or when the host is gone.
 */
static void
supervisor(pid_t pid, int host, int told)
{
	struct pollfd p[3];
	struct message message;
	sigset_t all;
	ssize_t n;

	(void)sigfillset(&all);
	p[0].fd = gons__high(signalfd(-1, &all, SFD_CLOEXEC | SFD_NONBLOCK));
	p[1].fd = gons__child.control;
	p[2].fd = host;
	p[0].events = p[1].events = p[2].events = POLLIN;
	close_but(p[0].fd, p[1].fd, host, told);
	for (;;) {
		if (poll(p, 3, -1) == -1)
			continue;
		if (p[0].revents != 0)
			supervisor_signals(p[0].fd, pid, told);
		if (p[1].revents != 0) {
			n = recv(
			    p[1].fd, &message, sizeof(message), MSG_DONTWAIT);
			if (n == 0 || (n == -1 && errno != EAGAIN))
				p[1].fd = -1;
			else if (n >= (ssize_t)MESSAGE_SHORT &&
				 message.kind == MSG_KILL)
				(void)kill(pid, SIGKILL);
		}
		if (p[2].revents != 0) {
			(void)kill(pid, SIGKILL);
			p[2].fd = -1;
		}
	}
}

/* Whoever reads what the action writes must not wait for the supervisor. */
static void
close_but(int a, int b, int c, int d)
{
	struct launch launch;
	int fds[4], fd;

	fds[0] = a;
	fds[1] = b;
	fds[2] = c;
	fds[3] = d;
	qsort(fds, 4, sizeof(*fds), gons__compare_fds);
	launch.fds = fds;
	launch.nfds = 4;
	while (launch.nfds > 0 && *launch.fds == -1) {
		launch.fds++;
		launch.nfds--;
	}
	for (fd = 0; fd <= STDERR_FILENO; fd++)
		(void)close(fd);
	gons__child_close(&launch);
}

static void
supervisor_signals(int fd, pid_t pid, int told)
{
	struct signalfd_siginfo info;
	struct message message;
	int status;

	while (read(fd, &info, sizeof(info)) == sizeof(info)) {
		if (info.ssi_signo != SIGCHLD)
			(void)kill(pid, (int)info.ssi_signo);
		if (info.ssi_signo != SIGCHLD ||
		    (status = supervisor_reap(pid)) == -1)
			continue;
		/* It may know better, see tell_end(). */
		if (recv(told, &message, sizeof(message), MSG_DONTWAIT) ==
			MESSAGE_SHORT &&
		    message.kind == MSG_STATUS)
			gons__tell(MSG_STATUS, message.value, NULL);
		imitate(status);
	}
}

static int
supervisor_reap(pid_t pid)
{
	int status;
	pid_t r;

	do
		r = waitpid(pid, &status, WNOHANG);
	while (r == -1 && errno == EINTR);
	return r == pid ? status : -1;
}

/* Ends as the action did, but leaves no second core file. */
static void
imitate(int status)
{
	struct rlimit none = { 0, 0 };
	sigset_t set;

	gons__tell(MSG_STATUS, status, NULL);
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

int
gons_reexec_reply(const void *buf, size_t len)
{
	unsigned char head[8];
	uint64_t n = len;
	struct iovec iov[2];
	int i, errnum;

	if (!gons__self.child || gons__status_action() == NULL ||
	    gons__status_action()->fd[GONS__FD_REPLY] == -1) {
		errno = EPERM;
		return -1;
	}
	if (gons__child.reply == -1) {
		errno = EALREADY;
		return -1;
	}
	for (i = 7; i >= 0; i--, n >>= 8)
		head[i] = (unsigned char)n;
	iov[0].iov_base = head;
	iov[0].iov_len = sizeof(head);
	iov[1].iov_base = (void *)(uintptr_t)buf;
	iov[1].iov_len = len;
	errnum = send_all(gons__child.reply, iov, 2);
	gons__close_fd(&gons__child.reply);
	if (errnum == 0)
		return 0;
	errno = errnum;
	return -1;
}

/* Through a stream socket, and without SIGPIPE if nobody reads any more. */
static int
send_all(int sock, struct iovec *iov, size_t n)
{
	struct msghdr msg;
	ssize_t r;

	memset(&msg, 0, sizeof(msg));
	while (n > 0) {
		msg.msg_iov = iov;
		msg.msg_iovlen = n;
		r = sendmsg(sock, &msg, MSG_NOSIGNAL);
		if (r == -1 && errno == EINTR)
			continue;
		if (r == -1)
			return errno;
		for (; n > 0 && (size_t)r >= iov->iov_len; iov++, n--)
			r -= (ssize_t)iov->iov_len;
		if (n > 0) {
			iov->iov_base = (char *)iov->iov_base + r;
			iov->iov_len -= (size_t)r;
		}
	}
	return 0;
}
