/*
 * SPDX-License-Identifier: BSD-2-Clause
 *
 * Copyright (c) 2026 The libgons developers
 *
 * The back end for fresh children: the program is executed again.  The child
 * is the host's own, which has to wait for it.  Functions for any child come
 * first.
 */

#include <sys/syscall.h>
#include <sys/wait.h>

#include <errno.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "reexec.h"

void
gons__child_init(struct child *child)
{
	int i;

	memset(child, 0, sizeof(*child));
	for (i = 0; i < NSRCS; i++)
		child->fd[i].fd = -1;
	child->wait_fd = -1;
	child->words_status = -1;
}

void
gons__child_close(struct child *child)
{
	int i;

	for (i = 0; i < NSRCS; i++)
		gons__unkeep(&child->fd[i]);
}

/* Its number is another's only if somebody has reaped it. */
static int
is_our_child(pid_t pid)
{
	siginfo_t info;

	return pid > 0 && syscall(SYS_waitid, P_PID, pid, &info,
			      WEXITED | WNOHANG | WNOWAIT, NULL) == 0;
}

int
gons__child_signal(const struct child *child, enum source source, int signo)
{
	const struct kept *pidfd = &child->fd[source];
	pid_t pid = source == SRC_PIDFD ? child->pid : 0;
	int errnum = EPERM;

	if (pidfd->fd != -1 && gons__is_kept(pidfd)) {
		if (syscall(SYS_pidfd_send_signal, pidfd->fd, signo, NULL, 0) ==
		    0)
			return 0;
		errnum = errno;
	}
	/* A filter of system calls that does not know it may say anything. */
	if (errnum != ESRCH && is_our_child(pid))
		return kill(pid, signo) == 0 ? 0 : errno;
	return errnum;
}

static int
fresh_start(const struct settings *set, struct child *child,
    struct gons__cov *cov, const int fds[2])
{
	int errnum, pidfd = -1, sealed = set->flags & GONS_REEXEC_SEALED;
	struct launch launch;

	if ((errnum = gons__self_unmoved()) != 0)
		return errnum;
	gons__launch_init(&launch, set);
	launch.what.fd[GONS__FD_COVERAGE] = fds[0];
	launch.what.fd[GONS__FD_PROFILE] = fds[1];
	errnum = gons__launch_pipes(set, &launch, child->fd);
	if (errnum == 0)
		errnum =
		    gons__launch_hold(set, &launch, &child->fd[SRC_ORDERS]);
	if (errnum == 0)
		errnum = gons__self_exe(sealed != 0, &launch.exe);
	if (errnum == 0)
		errnum = gons__launch_lists(set, &launch);
	if (errnum == 0) {
		gons__cov_env(cov, launch.envp);
		errnum = gons__launch_exec(&launch, &child->pid, &pidfd);
	}
	gons__keep_pidfd(&child->fd[SRC_PIDFD], pidfd);
	gons__launch_free(&launch);
	return errnum;
}

int
gons__wait_status(const siginfo_t *info)
{
	if (info->si_code == CLD_EXITED)
		return (info->si_status & 0xff) << 8;
	return info->si_status | (info->si_code == CLD_DUMPED ? 0x80 : 0);
}

/*
 * As waitid(2) with WNOHANG.  1: it has ended; 0: it runs; -1 and errno.  A
 * filter of system calls may know one way and not the other.
 */
static int
ask_kernel(const struct child *child, int *status)
{
	siginfo_t info;
	int r = -1, by_pidfd = gons__is_kept(&child->fd[SRC_PIDFD]);

	info.si_pid = 0;
	if (by_pidfd)
		r = (int)syscall(SYS_waitid, ID_PIDFD, child->fd[SRC_PIDFD].fd,
		    &info, WEXITED | WNOHANG, NULL);
	/* EINVAL: before Linux 5.4. */
	if (!by_pidfd || (r == -1 && errno != EINTR && errno != ECHILD))
		r = (int)syscall(SYS_waitid, P_PID, child->pid, &info,
		    WEXITED | WNOHANG, NULL);
	if (r == -1 && errno != EINTR && errno != ECHILD) {
		r = (int)waitpid(child->pid, status, WNOHANG);
		return r > 0 ? 1 : r;
	}
	if (r == -1 || info.si_pid == 0)
		return r;
	*status = gons__wait_status(&info);
	return 1;
}

/*
 * ECHILD: the host has collected it.  A filter may refuse every way to ask: that
 * it has ended is to be seen then, and not how.
 */
static int
fresh_gone(struct child *child)
{
	int r;

	if (child->known == 0) {
		r = ask_kernel(child, &child->known_status);
		if (r == -1 && errno != ECHILD &&
		    (errno == EINTR || !gons__has_ended(&child->fd[SRC_PIDFD])))
			r = 0;
		child->known = r;
	}
	return child->known != 0;
}

static int
fresh_status(struct child *child, int *status)
{
	*status = child->known_status;
	return child->known;
}

const struct child_ops gons__fresh = { "fresh", fresh_start, fresh_gone,
	fresh_status, NULL, NULL, 0 };
