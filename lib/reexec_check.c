/*
 * SPDX-License-Identifier: BSD-2-Clause
 *
 * Copyright (c) 2026 The libgons developers
 *
 * gons_reexec_check(3): in a host it allows re-execution, in a child it runs
 * the action.
 */

#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdio_ext.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "reexec.h"

#define TIMER_SLACK 50000 /* ns, as the kernel gives it to the first process */

/* Bound at start-up: each prepared child would search for it by itself. */
static void (*const volatile leave)(int) = exit;

/* Somebody plays tricks, or two copies meet: better no action than a wrong. */
static int
refuse(const char *why, int *status)
{
	gons__self.child = 1;
	dprintf(STDERR_FILENO, "gons: %s\n", why);
	*status = EXIT_FAILURE;
	return 1;
}

/* Was it started by gons_reexec_start()? */
static int
is_known(const struct gons__action *what)
{
	struct stat st;
	int fd, type = 0;
	socklen_t len = sizeof(type);

	if (what->name[0] == '\0')
		return 0;
	if ((what->flags & GONS__PREPARE) == 0) {
		fd = what->fd[GONS__FD_TELL];
		return fd >= 0 && fstat(fd, &st) == 0 && S_ISFIFO(st.st_mode);
	}
	fd = what->fd[GONS__FD_ORDERS];
	return fd >= 0 &&
	       getsockopt(fd, SOL_SOCKET, SO_TYPE, &type, &len) == 0 &&
	       type == SOCK_SEQPACKET;
}

/* The kernel named the process after the descriptor that was executed. */
static void
set_name(void)
{
	const char *name = program_invocation_short_name;

	if (name != NULL && *name != '\0')
		(void)prctl(PR_SET_NAME, name, 0, 0, 0);
}

static int
run_action(const struct gons__action *what, int *status)
{
	const struct action *action;
	int errnum;

	if (gons_status_error() != NULL) {
		(void)gons__tell_error(gons__inside.tell, gons_status_error());
		return 1;
	}
	if ((action = gons__find_action(what->name)) == NULL) {
		(void)gons__tell(gons__inside.tell, MSG_UNKNOWN, 0);
		return 1;
	}
	if ((errnum = gons__child_input()) != 0) {
		(void)gons__tell(gons__inside.tell, MSG_REFUSED, errnum);
		return 1;
	}
	if (gons__supervise(what, status) == -1)
		return 1;
	gons__child_enter(what);
	do
		*status = action->function();
	while (gons__again(what, status));
	gons__inside.value = *status;
	gons__inside.known = 1;
	return 1;
}

/* Returns 1, for gons_reexec_runaction(). */
static int
be_a_child(int *status)
{
	const struct gons__action *what = gons__status_action();

	if (gons__self.child)
		return refuse("the action has been run already", status);
	gons__self.child = 1;
	/* Nobody executes a program with privileges for an action. */
	if (gons__self_is_secure())
		return refuse("gons_reexec_action is refused in "
			      "secure-execution mode",
		    status);
	if (!is_known(what))
		return refuse("gons_reexec_action is private to "
			      "gons_reexec_start(3)",
		    status);
	set_name();
	*status = EXIT_FAILURE;
	if ((what->flags & GONS__PREPARE) != 0) {
		gons__serve(what, status);
		what = gons__status_action();
	}
	if (!gons__inside.forked)
		gons__inside.tell = what->fd[GONS__FD_TELL];
	return run_action(what, status);
}

/*
 * The user of a program with privileges has chosen its surroundings.
 * Everything that decides where or how an action works, or lets others in, is
 * set anew.  Limits, session, terminal and cgroup stay, since they can only
 * stop it.
 */
static void
leave_the_user(void)
{
	if (prctl(PR_SET_DUMPABLE, 0, 0, 0, 0) == -1 || chdir("/") == -1 ||
	    clearenv() != 0)
		_exit(EXIT_FAILURE);
	(void)umask(S_IRWXG | S_IRWXO);
}

/*
 * libc has some signals for itself and does not let anybody change them.  Its
 * own handlers stay.  One that is ignored has been so since this program was
 * executed: of the kernel's structure, whatever the order of its members, all
 * is zero but for SIG_IGN, which is 1.
 */
static void
default_private(int signo)
{
	unsigned long action[16] = { 0 }, all = 0;
	size_t i;

	(void)syscall(
	    SYS_rt_sigaction, signo, NULL, action, (size_t)SIGSET_BYTES);
	for (i = 0; i < sizeof(action) / sizeof(*action); i++) {
		all |= action[i];
		action[i] = 0;
	}
	if (all == 1)
		(void)syscall(SYS_rt_sigaction, signo, action, NULL,
		    (size_t)SIGSET_BYTES);
}

static void
default_signals(void)
{
	struct sigaction action;
	int signo;

	memset(&action, 0, sizeof(action));
	action.sa_handler = SIG_DFL;
	for (signo = 1; signo < _NSIG; signo++)
		if (signo != SIGKILL && signo != SIGSTOP &&
		    sigaction(signo, &action, NULL) == -1)
			default_private(signo);
}

/* Nothing of the host's but what the server needs to serve it. */
static void
become_server(const struct gons__action *what)
{
	int fds[2], fd, none;

	default_signals();
	none = gons__memory_fd("gons-param", MFD_NOEXEC_SEAL);
	if (none == -1 || gons__seal(none) != 0)
		_exit(EXIT_FAILURE);
	for (fd = 0; fd <= STDERR_FILENO; fd++)
		if (dup2(none, fd) == -1)
			_exit(EXIT_FAILURE);
	/* Input that the host has read ahead is not the parameter. */
	__fpurge(stdin);
	clearerr(stdin);
	fds[0] = what->fd[GONS__FD_HOST];
	fds[1] = what->fd[GONS__FD_ORDERS];
	qsort(fds, 2, sizeof(*fds), gons__compare_fds);
	gons__close_others(fds, 2, CLOSE_NOW, -1);
	gons__keep_proc(-1);
	gons__keep(&gons__self.exe, -1);
}

/* Why a server must not be forked here; NULL: it may. */
static const char *
why_unserved(void)
{
	int fd, threads = gons__threads();

	if (gons__self_is_secure() && !gons__self.allows_secure)
		return "gons_reexec_allowsecure() has not been called";
	if (threads == -1)
		return "gons_reexec_check() could not count the threads";
	if (threads != 1)
		return "there were several threads in gons_reexec_check()";
	for (fd = 0; fd <= STDERR_FILENO; fd++)
		if (gons__self_is_secure() && fcntl(fd, F_GETFD) == -1)
			return "descriptor 0, 1 or 2 was closed in "
			       "gons_reexec_check()";
	return NULL;
}

/*
 * Start-up has joined a mount namespace, so the dynamic linker of a program that
 * is executed would be the container's, or the program has privileges that it
 * would not have when this process executed it: children are forked off a copy
 * of this process instead.  Returns 1 in a child.
 */
static int
serve_from_here(int *status)
{
	struct gons__action what;
	int r;

	memset(&what, 0, sizeof(what));
	if ((gons__self.unserved = why_unserved()) != NULL)
		return 0;
	/*
	 * The user may have set it to hours, by which each wait of this process
	 * and its children could last longer than it is to.
	 */
	if (gons__self_is_secure())
		(void)prctl(PR_SET_TIMERSLACK, TIMER_SLACK, 0, 0, 0);
	if ((r = gons__pool_serve(&what)) == -1)
		gons__self.unserved =
		    "no process could be forked in gons_reexec_check()";
	if (r != 1)
		return 0;
	gons__self.child = 1;
	*status = EXIT_FAILURE;
	if (gons__self_is_secure())
		leave_the_user();
	become_server(&what);
	gons__serve(&what, status);
	return run_action(gons__status_action(), status);
}

int
gons_reexec_runaction(int *status)
{
	int ignored;

	if (status == NULL)
		status = &ignored;
	if (gons__status_stolen())
		return refuse("another copy of libgons in this process "
			      "has taken gons_reexec_action",
		    status);
	if (gons__status_action() != NULL)
		return be_a_child(status);
	if (gons__self.allowed)
		return 0;
	gons__self_allow();
	gons__standing_keep();
	return gons__self_is_served() ? serve_from_here(status) : 0;
}

void
gons_reexec_check(void)
{
	int status;

	if (gons_reexec_runaction(&status) == 1)
		leave(status);
}
