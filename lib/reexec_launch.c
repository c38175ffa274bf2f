/*
 * SPDX-License-Identifier: BSD-2-Clause
 *
 * Copyright (c) 2026 The libgons developers
 *
 * From settings to a child: its descriptors, its environment, and the few
 * steps between clone(2) and execveat(2), which it takes in the memory of its
 * parent.
 */

#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/time.h>
#include <sys/wait.h>

#include <errno.h>
#include <fcntl.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "reexec.h"

/*
 * The name that no sanitizer takes: with CLONE_VM the thread sanitizer loses
 * track of the thread that waits, and ends the program.
 */
#ifdef __GLIBC__
int __clone(int (*)(void *), void *, int, void *, ...);
#define CLONE __clone
#else
#define CLONE clone
#endif
/* An instrumented child leaves marks on its stack, which is ours again. */
#ifdef __SANITIZE_ADDRESS__
void __asan_unpoison_memory_region(void const volatile *, size_t);
#define UNPOISON(p, n) __asan_unpoison_memory_region(p, n)
#else
#define UNPOISON(p, n) (void)0
#endif
#define SIGNALS (SIGSET_BYTES * 8)
#define STACK 16384 /* bytes, for the child until it executes */
#define ACTION_TEXT 128 /* bytes: flags and descriptors of an action */

void
gons__launch_init(struct launch *launch, const struct settings *set)
{
	int i;

	memset(launch, 0, sizeof(*launch));
	for (i = 0; i < 3; i++)
		launch->stdio[i] = -1;
	for (i = 0; i < GONS__NFDS; i++)
		launch->what.fd[i] = -1;
	launch->what.flags = set->flags;
	launch->exe = launch->proc = -1;
}

/*
 * Complete before the child runs, and nobody can change it any more.  It is at
 * its end until gons__child_input(): an interpreter that never comes there, and
 * takes its stdin for a script, finds none.
 */
int
gons__launch_param(const struct settings *set, int *fd)
{
	int errnum = 0;

	if ((*fd = gons__memory_fd("gons-param", MFD_NOEXEC_SEAL)) == -1)
		return errno;
	if (set->paramlen > 0)
		errnum = write_at(*fd, set->param, set->paramlen, 0);
	if (errnum == 0 && set->paramlen > 0 && lseek(*fd, 0, SEEK_END) == -1)
		errnum = errno;
	return errnum != 0 ? errnum : gons__seal(*fd);
}

/* The host's own; if it is closed, all output to it is dropped. */
int
gons__launch_stderr(int *fd)
{
	if (fcntl(STDERR_FILENO, F_GETFD) == -1)
		return EBADF;
	*fd = fd_dup(STDERR_FILENO);
	return *fd == -1 ? errno : 0;
}

int
gons__launch_hold(
    const struct settings *set, struct launch *launch, struct kept *orders)
{
	int errnum, ours = -1, *fd = launch->what.fd;

	if (!gons__may_be_supervised(set) &&
	    (set->flags & GONS_REEXEC_STAY) == 0)
		return 0;
	if ((set->flags & (GONS_REEXEC_DIE_WITH_PARENT | GONS_REEXEC_STAY)) !=
	    0) {
		fd[GONS__FD_HOST] =
		    fd_high((int)syscall(SYS_pidfd_open, getpid(), 0));
		if (fd[GONS__FD_HOST] == -1)
			return errno;
	}
	errnum = gons__open_socket(SOCK_SEQPACKET, &ours, &fd[GONS__FD_ORDERS]);
	gons__keep(orders, ours);
	/* A supervisor shows its action first, and shuts it down itself. */
	if (errnum == 0 && !gons__may_be_supervised(set) &&
	    shutdown(ours, SHUT_RD) == -1)
		errnum = errno;
	return errnum;
}

int
gons__launch_reply(
    const struct settings *set, struct launch *launch, struct kept *fd)
{
	int errnum, ours = -1, *theirs = launch->what.fd;

	errnum = gons__open_pipe(&ours, &theirs[GONS__FD_REPLY]);
	gons__keep(&fd[SRC_OUT], ours);
	if (errnum != 0 || set->maxfds == 0)
		return errnum;
	ours = -1;
	errnum = gons__open_socket(SOCK_STREAM, &ours, &theirs[GONS__FD_FDS]);
	gons__keep(&fd[SRC_FDS], ours);
	return errnum;
}

/*
 * With GONS_REEXEC_REPLY what the child prints anywhere goes where its stderr
 * goes.
 */
static int
open_stdio(const struct settings *set, struct launch *launch, struct kept *fd)
{
	int errnum, ours = -1, passed;

	if ((errnum = gons__launch_param(set, &launch->stdio[0])) != 0)
		return errnum;
	passed = (set->flags & GONS_REEXEC_STDERR_PASS) != 0 &&
		 (errnum = gons__launch_stderr(&launch->stdio[2])) != EBADF;
	if (!passed) {
		errnum = gons__open_pipe(&ours, &launch->stdio[2]);
		gons__keep(&fd[SRC_ERR], ours);
	}
	if (errnum != 0)
		return errnum;
	if ((set->flags & GONS_REEXEC_REPLY) != 0) {
		launch->stdio[1] = fd_dup(launch->stdio[2]);
		return launch->stdio[1] == -1
			   ? errno
			   : gons__launch_reply(set, launch, fd);
	}
	ours = -1;
	errnum = gons__open_pipe(&ours, &launch->stdio[1]);
	gons__keep(&fd[SRC_OUT], ours);
	return errnum;
}

int
gons__launch_pipes(
    const struct settings *set, struct launch *launch, struct kept *fd)
{
	int errnum, ours = -1;

	errnum = open_stdio(set, launch, fd);
	if (errnum == 0)
		errnum =
		    gons__open_pipe(&ours, &launch->what.fd[GONS__FD_TELL]);
	gons__keep(&fd[SRC_TELL], ours);
	return errnum;
}

/* The child closes every descriptor that is not on this list. */
static int
list_fds(const struct settings *set, struct launch *launch)
{
	size_t i, n = 0, unique;
	int *fds;

	/* The host may do so while a run waits for a spare. */
	if (gons__settings_closed(set) != NULL)
		return EBADF;
	fds = malloc((set->nkeep + set->nrefs + GONS__NFDS + 1) * sizeof(*fds));
	if (fds == NULL)
		return ENOMEM;
	for (i = 0; i < set->nkeep; i++)
		fds[n++] = set->keep[i];
	for (i = 0; i < set->nrefs; i++)
		if (set->ref[i].kept.fd != -1)
			fds[n++] = set->ref[i].kept.fd;
	if (set->target.fd != -1)
		fds[n++] = set->target.fd;
	for (i = 0; i < GONS__NFDS; i++)
		if (launch->what.fd[i] != -1)
			fds[n++] = launch->what.fd[i];
	qsort(fds, n, sizeof(*fds), gons__compare_fds);
	for (i = unique = 0; i < n; i++)
		if (i == 0 || fds[i] != fds[i - 1])
			fds[unique++] = fds[i];
	launch->fds = fds;
	launch->nfds = unique;
	return 0;
}

static char *
order_text(const struct settings *set)
{
	struct gons_order order;
	char text[128];
	unsigned i, n = 0;

	if (set->order != NULL)
		return gons__format("gons_order=%s", set->order);
	memset(&order, 0, sizeof(order));
	for (i = 0; i < set->nrefs; i++, n++) {
		order.step[n].type = set->ref[i].type;
		order.step[n].early = set->ref[i].early;
	}
	for (i = 0; set->target.fd != -1 && i < GONS_NTYPES; i++)
		if ((set->target_types & GONS_BIT(i)) != 0)
			order.step[n++].type = (int)i;
	order.nsteps = n;
	(void)gons_order_format(&order, text, sizeof(text));
	return gons__format("gons_order=%s", text);
}

/* "FLAGS:FD,FD,...:NAME" */
static char *
action_text(const struct settings *set, const struct gons__action *what)
{
	char fds[ACTION_TEXT];
	int i, len = 0;

	for (i = 0; i < GONS__NFDS; i++) {
		if (i > 0)
			len +=
			    snprintf(fds + len, sizeof(fds) - (size_t)len, ",");
		if (what->fd[i] != -1)
			len += snprintf(fds + len, sizeof(fds) - (size_t)len,
			    "%d", what->fd[i]);
	}
	return gons__format(
	    "gons_reexec_action=%u:%s:%s", what->flags, fds, set->action);
}

/*
 * The variables for start-up in the child.  Their number is even, which tells a
 * copy of release 0.1 in the same process that they were an action's.  One may
 * occur twice, for the first counts.
 */
static int
list_own(const struct settings *set, struct launch *launch)
{
	char **env = launch->envp;
	unsigned i;

	if (set->target.fd != -1)
		*env++ = gons__format("gons_target=fd:%d", set->target.fd);
	for (i = 0; i < set->nrefs; i++) {
		const struct reference *r = &set->ref[i];
		const char *name = gons_type_name(r->type);

		*env++ = r->kept.fd == -1
			     ? gons__format("gons_%s=%s", name, r->text)
			     : gons__format("gons_%s=fd:%d", name, r->kept.fd);
	}
	if (set->nrefs > 0 || (set->target.fd != -1 && set->target_types != 0))
		*env++ = order_text(set);
	if (set->ids != NULL)
		*env++ = gons__format("gons_ids=%s", set->ids);
	do
		*env++ = action_text(set, &launch->what);
	while ((env - launch->envp) % 2 != 0);
	launch->nown = (size_t)(env - launch->envp);
	for (i = 0; i < launch->nown; i++)
		if (launch->envp[i] == NULL)
			return ENOMEM;
	return 0;
}

static int
overridden(const struct settings *set, const char *entry)
{
	size_t i;

	return set->nenv > 0 &&
	       gons__env_index(set, entry, strcspn(entry, "="), &i);
}

/*
 * The host's environment less every gons_ variable, and what was set on the
 * request.  That of a set-user-ID program is its user's, and left out.
 */
static int
list_env(const struct settings *set, struct launch *launch)
{
	static char *none[] = { NULL };
	char **e, **inherited = gons__self_is_secure() ? none : environ;
	size_t i, n = 0;

	for (e = inherited; e != NULL && *e != NULL; e++)
		n++;
	launch->argv = __atomic_load_n(&gons__self.argv, __ATOMIC_ACQUIRE);
	launch->envp =
	    calloc(n + set->nenv + GONS_NTYPES + 5, sizeof(*launch->envp));
	if (launch->envp == NULL || list_own(set, launch) != 0)
		return ENOMEM;
	n = launch->nown;
	for (i = 0; i < set->nenv; i++)
		if (strchr(set->env[i], '=') != NULL)
			launch->envp[n++] = set->env[i];
	for (e = inherited; e != NULL && *e != NULL; e++)
		if (strncmp(*e, "gons_", 5) != 0 && !overridden(set, *e))
			launch->envp[n++] = *e;
	return 0;
}

int
gons__launch_lists(const struct settings *set, struct launch *launch)
{
	int errnum;

	errnum = list_fds(set, launch);
	return errnum != 0 ? errnum : list_env(set, launch);
}

/* The mask in a line of the text; all bits if there is no such line. */
static uint64_t
status_mask(const char *text, const char *line)
{
	const char *p = strstr(text, line);
	uint64_t mask = 0;

	if (p == NULL)
		return UINT64_MAX;
	for (p += strlen(line); *p != '\n'; p++) {
		if (*p == '\0')
			return UINT64_MAX;
		mask = mask << 4 |
		       (uint64_t)(*p <= '9' ? *p - '0' : *p - 'a' + 10);
	}
	return mask;
}

/*
 * A bit for each signal that is ignored or caught: to set all of them one by
 * one takes longer.
 */
static uint64_t
signals_used(int proc)
{
	char text[2048];
	ssize_t n = -1;
	int fd;

	if (proc == -1 ||
	    (fd = gons__proc_file(proc, "thread-self/status", O_RDONLY)) < 0)
		return UINT64_MAX;
	n = read(fd, text, sizeof(text) - 1);
	(void)close(fd);
	text[n > 0 ? n : 0] = '\0';
	return status_mask(text, "\nSigIgn:\t") |
	       status_mask(text, "\nSigCgt:\t");
}

/*
 * In the parent's memory, from here to the end of child_exec(): system calls
 * and local variables only, and errno, which is the waiting thread's.
 * SIG_DFL, no flags, an empty mask: all zero in the kernel's structure.
 */
static BORROWED void
child_signals(uint64_t used)
{
	unsigned long action[16] = { 0 };
	int signo;

	for (signo = 1; signo <= SIGNALS; signo++)
		if (signo != SIGKILL && signo != SIGSTOP &&
		    (signo > 64 || (used >> (signo - 1) & 1) != 0))
			(void)syscall(SYS_rt_sigaction, signo, action, NULL,
			    SIGSET_BYTES);
}

/*
 * Nothing is opened or closed here that could wait for anybody: what the
 * child must not have is closed when it executes, and by then this process
 * goes on.  execveat(2) is a raw call: the coverage run time of gcc would
 * otherwise write the parent's data here.
 */
static BORROWED int
child_exec(void *arg)
{
	struct launch *launch = arg;
	unsigned char none[SIGSET_BYTES] = { 0 };
	long limit[4] = { 0, 0, launch->limit, 0 };
	size_t i;
	int fd;

	child_signals(launch->signals);
	if (launch->limit != 0)
		(void)syscall(SYS_setitimer, ITIMER_REAL, limit, NULL);
	for (fd = 0; fd < 3; fd++)
		if (syscall(SYS_dup3, launch->stdio[fd], fd, 0) == -1)
			goto failed;
	gons__close_others(
	    launch->fds, launch->nfds, CLOSE_AT_EXEC, launch->proc);
	for (i = 0; i < launch->nfds; i++)
		if (syscall(SYS_fcntl, launch->fds[i], F_SETFD, 0) == -1)
			goto failed;
	(void)syscall(
	    SYS_rt_sigprocmask, SIG_SETMASK, none, NULL, sizeof(none));
	(void)syscall(SYS_execveat, launch->exe, "", launch->argv, launch->envp,
	    AT_EMPTY_PATH);
failed:
	launch->errnum = errno;
	(void)syscall(SYS_exit_group, 127);
	return 127;
}

/*
 * The child shares this process's memory until it executes, so that its start
 * costs the same however large the host is; this thread waits meanwhile.  No
 * handler of the host may run there, hence all signals are blocked.
 */
int
gons__launch_exec(struct launch *launch, pid_t *pid, int *pidfd)
{
	char stack[STACK] __attribute__((aligned(16)));
	unsigned char all[SIGSET_BYTES], old[SIGSET_BYTES];
	int errnum;

	*pidfd = -1;
	launch->proc = gons__kept_proc();
	launch->signals = signals_used(launch->proc);
	memset(all, 0xff, sizeof(all));
	(void)syscall(SYS_rt_sigprocmask, SIG_SETMASK, all, old, sizeof(all));
	*pid = CLONE(child_exec, stack + sizeof(stack),
	    CLONE_VM | CLONE_VFORK | CLONE_PIDFD | SIGCHLD, launch, pidfd, NULL,
	    NULL);
	errnum = *pid == -1 ? errno : launch->errnum;
	UNPOISON(stack, sizeof(stack));
	(void)syscall(SYS_rt_sigprocmask, SIG_SETMASK, old, NULL, sizeof(old));
	if (*pidfd != -1)
		*pidfd = fd_high(*pidfd);
	if (*pid != -1 && errnum != 0) {
		while (waitpid(*pid, NULL, 0) == -1 && errno == EINTR)
			continue;
		fd_close(pidfd);
	}
	if (errnum != 0)
		*pid = 0;
	return errnum;
}

/* Closes the descriptors that the child has now, and frees the memory. */
void
gons__launch_free(struct launch *launch)
{
	size_t i;
	int n;

	for (n = 0; n < 3; n++)
		fd_close(&launch->stdio[n]);
	for (n = 0; n < GONS__NFDS; n++)
		if (n != GONS__FD_COVERAGE && n != GONS__FD_PROFILE)
			fd_close(&launch->what.fd[n]);
	for (i = 0; i < launch->nown; i++)
		free(launch->envp[i]);
	free(launch->envp);
	free(launch->fds);
	if (launch->exe != gons__self.exe.fd &&
	    launch->exe != gons__self.sealed.fd)
		fd_close(&launch->exe);
}
