/*
 * SPDX-License-Identifier: BSD-2-Clause
 *
 * Copyright (c) 2026 The libgons developers
 *
 * Starting a child: its descriptors, its environment, the program to execute,
 * and the few steps between clone(2) and execveat(2), which it takes in the
 * memory of its parent.
 */

#include <sys/auxv.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/sendfile.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/vfs.h>
#include <sys/wait.h>

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "reexec.h"

#ifndef SYS_close_range
#define SYS_close_range 436
#endif
#ifndef CLONE_PIDFD
#define CLONE_PIDFD 0x00001000
#endif
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
#define SIGSET_BYTES ((_NSIG - 1) / 8)
#define SIGNALS (SIGSET_BYTES * 8)

#define PROC_MAGIC 0x9fa0 /* the file system in /proc, if it is one */
#define STACK 16384 /* bytes, for the child until it executes */

static int sealed = -1; /* a copy of the program in memory */

static int begin_fresh(struct gons_reexec *req, struct launch *launch);
static int begin_prepared(struct gons_reexec *req, struct launch *launch);
static int open_stdio(
    struct gons_reexec *req, struct launch *launch, struct gons__action *what);
static int param_fd(const struct gons_reexec *req, int *fd);
static int executable(const struct gons_reexec *req, int *exe);
static int sealed_copy(int *exe);
static int copy_file(int from, int to);
static int build_own(const struct gons_reexec *req, char **env, size_t *n,
    const struct gons__action *what);
static int build_order(const struct gons_reexec *req, char **env);
static int overridden(const struct gons_reexec *req, const char *entry);
static int child_exec(void *arg) BORROWED;
static void child_signals(void) BORROWED;
static uint64_t child_signals_used(void) BORROWED;
static uint64_t status_mask(
    const char *text, long n, const char *line) BORROWED;
static void close_between(unsigned first, unsigned last) BORROWED;
static void close_listed(unsigned first, unsigned last) BORROWED;
static void close_entries(int dir, unsigned first, unsigned last) BORROWED;

int
gons_reexec_run(struct gons_reexec *req)
{
	int r;

	if (gons__busy(req))
		return -1;
	req->waiting = 1;
	r = gons_reexec_start(req) == -1 ? -1 : gons_reexec_wait(req);
	req->waiting = 0;
	return r;
}

int
gons_reexec_start(struct gons_reexec *req)
{
	int errnum;

	if (gons__busy(req))
		return -1;
	gons__forget(req);
	if (gons__may_start(req, 1) == -1)
		return -1;
	if ((errnum = gons__begin(req)) == 0)
		return 0;
	gons__release(req);
	return gons__fail(
	    req, errnum, "cannot be started: %s", strerror(errnum));
}

/* Also a second time, if the prepared process is lost that had it. */
int
gons__begin(struct gons_reexec *req)
{
	struct gons__action what;
	struct launch launch;
	int errnum, i;

	memset(&launch, 0, sizeof(launch));
	for (i = 0; i < 3; i++)
		launch.stdio[i] = -1;
	launch.exe = -1;
	memset(&what, 0, sizeof(what));
	for (i = 0; i < GONS__NFDS; i++)
		what.fd[i] = -1;
	errnum = gons__open_channels(req, &launch, &what);
	if (errnum == 0)
		errnum = gons__build_fds(req, &launch, &what);
	if (errnum == 0)
		errnum = gons__build_env(req, &launch, &what);
	if (errnum == 0)
		errnum = (req->flags & GONS_REEXEC_PREPARED) != 0
			     ? begin_prepared(req, &launch)
			     : begin_fresh(req, &launch);
	gons__close_launch(&launch, &what);
	if (errnum != 0)
		return errnum;
	if (req->cov != NULL)
		gons__cov_started(req->cov);
	req->state = RUNNING;
	req->owner = gons__era();
	return 0;
}

static int
begin_fresh(struct gons_reexec *req, struct launch *launch)
{
	int errnum;

	if ((errnum = gons__watch(req)) != 0)
		return errnum;
	gons__cov_env(req->cov, launch->envp);
	if ((errnum = gons__spawn(req, launch)) != 0)
		return errnum;
	/* What cannot be watched has to be looked at now and then. */
	if (req->fd[SRC_PIDFD] != -1 && gons__watch_fd(req, SRC_PIDFD) != 0)
		gons__close_fd(&req->fd[SRC_PIDFD]);
	(void)gons__set_timer(req);
	return 0;
}

/* The spare is woken first, and watched while it wakes up. */
static int
begin_prepared(struct gons_reexec *req, struct launch *launch)
{
	static const enum source spare[] = { SRC_PIDFD, SRC_OUT, SRC_ERR };
	int errnum;
	size_t i;

	if ((errnum = gons__watch(req)) != 0)
		return errnum;
	errnum = gons__hand_over(req, launch);
	if (errnum != 0)
		return errnum;
	for (i = 0; i < sizeof(spare) / sizeof(*spare) && errnum == 0; i++)
		if (req->fd[spare[i]] != -1 &&
		    (req->watched & 1u << spare[i]) == 0)
			errnum = gons__watch_fd(req, spare[i]);
	if (errnum != 0)
		(void)gons__send_signal(req, SIGKILL);
	req->reached = 1;
	(void)gons__set_timer(req);
	return errnum;
}

/* action: it has to be registered. */
int
gons__may_start(struct gons_reexec *req, int action)
{
	size_t i;

	if (gons__self.child || gons__status_action() != NULL)
		return gons__fail(req, EPERM,
		    "cannot be started: this is already a re-executed child");
	if (!gons__self.allowed)
		return gons__fail(req, EPERM,
		    "cannot be started: gons_reexec_check() has not been "
		    "called");
	if (getauxval(AT_SECURE) != 0)
		return gons__fail(
		    req, EPERM, "cannot be started in secure-execution mode");
	if (action && gons__find_action(req->action) == NULL)
		return gons__fail(req, ENOENT, "not registered");
	if (gons__self.exe == -1)
		return gons__fail(req, gons__self.errnum,
		    "cannot be started: /proc/self/exe could not be opened "
		    "by gons_reexec_check(): %s",
		    strerror(gons__self.errnum));
	/* Before the library takes its number for something of its own. */
	for (i = 0; i < req->nkeep; i++)
		if (fcntl(req->keep[i], F_GETFD) == -1)
			return gons__fail(req, errno,
			    "cannot be started: descriptor %d: %s",
			    req->keep[i], strerror(errno));
	return 0;
}

/*
 * Every descriptor that the library makes has a number above the standard
 * ones: those may be closed in the host, but they are not the library's.
 */
int
gons__open_channels(
    struct gons_reexec *req, struct launch *launch, struct gons__action *what)
{
	int errnum;

	what->flags = req->flags;
	errnum = open_stdio(req, launch, what);
	if (errnum == 0 && !gons__is_prepared(req))
		errnum = gons__open_socket(SOCK_SEQPACKET,
		    &req->fd[SRC_CONTROL], &what->fd[GONS__FD_CONTROL]);
	if (errnum == 0 && !gons__is_prepared(req))
		errnum = executable(req, &launch->exe);
	if (errnum == 0 && (req->flags & GONS_REEXEC_DIE_WITH_PARENT) != 0) {
		what->fd[GONS__FD_HOST] =
		    gons__high((int)syscall(SYS_pidfd_open, getpid(), 0));
		if (what->fd[GONS__FD_HOST] == -1)
			errnum = errno;
	}
	if (errnum == 0) {
		int cov[2] = { -1, -1 };

		req->cov = gons__cov_new(cov);
		what->fd[GONS__FD_COVERAGE] = cov[0];
		what->fd[GONS__FD_PROFILE] = cov[1];
	}
	return errnum;
}

/*
 * With GONS_REEXEC_REPLY what the child prints anywhere goes where its
 * stderr goes.  A closed stderr cannot be passed on: what comes is dropped.
 */
static int
open_stdio(
    struct gons_reexec *req, struct launch *launch, struct gons__action *what)
{
	int errnum = 0, reply = (req->flags & GONS_REEXEC_REPLY) != 0;
	int spare =
	    gons__is_prepared(req); /* it has pipes, and an empty stdin */

	req->passed = (req->flags & GONS_REEXEC_STDERR_PASS) != 0 &&
		      fcntl(STDERR_FILENO, F_GETFD) != -1;
	if ((req->paramlen > 0 || !spare) &&
	    (errnum = param_fd(req, &launch->stdio[0])) != 0)
		return errnum;
	if (req->passed)
		launch->stdio[2] = gons__dup_high(STDERR_FILENO);
	else if (!spare)
		errnum = gons__open_pipe(&req->fd[SRC_ERR], &launch->stdio[2]);
	if (errnum != 0)
		return errnum;
	if (launch->stdio[2] == -1 && req->passed)
		return errno;
	if (!reply)
		return spare ? 0
			     : gons__open_pipe(
				   &req->fd[SRC_OUT], &launch->stdio[1]);
	if (!spare &&
	    (launch->stdio[1] = gons__dup_high(launch->stdio[2])) == -1)
		return errno;
	return gons__open_socket(
	    SOCK_STREAM, &req->fd[SRC_OUT], &what->fd[GONS__FD_REPLY]);
}

/* Complete before the child runs, and nobody can change it any more. */
static int
param_fd(const struct gons_reexec *req, int *fd)
{
	int errnum;

	if ((*fd = gons__memory_fd("gons-param", MFD_NOEXEC_SEAL)) == -1)
		return errno;
	errnum = gons__write_all(*fd, req->param, req->paramlen);
	if (errnum == 0 && lseek(*fd, 0, SEEK_SET) == -1)
		errnum = errno;
	return errnum != 0 ? errnum : gons__seal(*fd);
}

static int
executable(const struct gons_reexec *req, int *exe)
{
	if ((req->flags & GONS_REEXEC_SEALED) != 0)
		return sealed_copy(exe);
	*exe = gons__self.exe;
	return 0;
}

/* Made once; of two threads that make it at the same time one is too many. */
static int
sealed_copy(int *exe)
{
	int errnum, expected = -1, fd;

	*exe = __atomic_load_n(&sealed, __ATOMIC_ACQUIRE);
	if (*exe != -1)
		return 0;
	if ((fd = gons__memory_fd("gons-program", MFD_EXEC)) == -1)
		return errno;
	errnum = copy_file(gons__self.exe, fd);
	if (errnum == 0)
		errnum = gons__seal(fd);
	if (errnum != 0) {
		(void)close(fd);
		return errnum;
	}
	if (!__atomic_compare_exchange_n(
		&sealed, &expected, fd, 0, __ATOMIC_ACQ_REL, __ATOMIC_ACQUIRE))
		(void)close(fd);
	*exe = __atomic_load_n(&sealed, __ATOMIC_ACQUIRE);
	return 0;
}

static int
copy_file(int from, int to)
{
	struct stat st;
	off_t offset = 0;
	ssize_t n;

	if (fstat(from, &st) == -1)
		return errno;
	while (offset < st.st_size) {
		n = sendfile(to, from, &offset, (size_t)(st.st_size - offset));
		if (n == 0)
			return EIO;
		if (n == -1 && errno != EINTR)
			return errno;
	}
	return 0;
}

/* What is not on this list is closed in the child. */
int
gons__build_fds(const struct gons_reexec *req, struct launch *launch,
    const struct gons__action *what)
{
	size_t i, n = 0, unique;
	int *fds;

	fds = malloc((req->nkeep + req->nrefs + GONS__NFDS + 2) * sizeof(*fds));
	if (fds == NULL)
		return ENOMEM;
	if (launch->exe != -1)
		fds[n++] = launch->exe;
	for (i = 0; i < req->nkeep; i++)
		fds[n++] = req->keep[i];
	for (i = 0; i < req->nrefs; i++)
		if (req->ref[i].fd != -1)
			fds[n++] = req->ref[i].fd;
	if (req->target != -1)
		fds[n++] = req->target;
	for (i = 0; i < GONS__NFDS; i++)
		if (what->fd[i] != -1)
			fds[n++] = what->fd[i];
	qsort(fds, n, sizeof(*fds), gons__compare_fds);
	for (i = unique = 0; i < n; i++)
		if (i == 0 || fds[i] != fds[i - 1])
			fds[unique++] = fds[i];
	launch->fds = fds;
	launch->nfds = unique;
	return 0;
}

int
gons__compare_fds(const void *a, const void *b)
{
	const int *x = a, *y = b;

	return *x < *y ? -1 : *x > *y;
}

/*
 * The parent's environment less every gons_ variable, what was set on the
 * request, and what start-up in the child has to know.
 */
int
gons__build_env(const struct gons_reexec *req, struct launch *launch,
    const struct gons__action *what)
{
	size_t i, n = 0;
	char **e;

	for (e = environ; e != NULL && *e != NULL; e++)
		n++;
	launch->argv = calloc(2, sizeof(*launch->argv));
	launch->envp =
	    calloc(n + req->nenv + GONS_NTYPES + 5, sizeof(*launch->envp));
	if (launch->argv == NULL || launch->envp == NULL)
		return ENOMEM;
	launch->argv[0] = gons__self.argv0;
	n = 0;
	if (build_own(req, launch->envp, &n, what) != 0)
		return ENOMEM;
	for (i = 0; i < req->nenv; i++)
		if (strchr(req->env[i], '=') != NULL)
			launch->envp[n++] = req->env[i];
	for (e = environ; e != NULL && *e != NULL; e++)
		if (strncmp(*e, "gons_", 5) != 0 && !overridden(req, *e))
			launch->envp[n++] = *e;
	return 0;
}

/*
 * These are malloc'ed, as many as come before the first other; their number
 * is even, see consume() in status.c.
 */
static int
build_own(const struct gons_reexec *req, char **env, size_t *n,
    const struct gons__action *what)
{
	char number[GONS__NFDS][16];
	unsigned i;

	if (req->target != -1 &&
	    (env[(*n)++] = gons__format("gons_target=fd:%d", req->target)) ==
		NULL)
		return ENOMEM;
	for (i = 0; i < req->nrefs; i++) {
		const struct reference *r = &req->ref[i];
		const char *name = gons_type_name(r->type);

		env[*n] = r->path != NULL
			      ? gons__format("gons_%s=%s", name, r->path)
			      : gons__format("gons_%s=fd:%d", name, r->fd);
		if (env[(*n)++] == NULL)
			return ENOMEM;
	}
	if ((req->nrefs > 0 || (req->target != -1 && req->target_types != 0)) &&
	    build_order(req, &env[(*n)++]) != 0)
		return ENOMEM;
	for (i = 0; i < GONS__NFDS; i++) {
		number[i][0] = '\0';
		if (what->fd[i] != -1)
			(void)snprintf(
			    number[i], sizeof(number[i]), "%d", what->fd[i]);
	}
	do
		env[*n] =
		    gons__format("gons_reexec_action=%u:%s,%s,%s,%s,%s:%s",
			what->flags, number[0], number[1], number[2], number[3],
			number[4], req->action);
	while (env[(*n)++] != NULL && *n % 2 != 0);
	return env[*n - 1] == NULL ? ENOMEM : 0;
}

static int
build_order(const struct gons_reexec *req, char **env)
{
	struct gons_order order;
	char text[128];
	unsigned i, n = 0;

	memset(&order, 0, sizeof(order));
	for (i = 0; i < req->nrefs; i++, n++) {
		order.step[n].type = req->ref[i].type;
		order.step[n].early = req->ref[i].early;
	}
	for (i = 0; req->target != -1 && i < GONS_NTYPES; i++)
		if ((req->target_types & GONS_BIT(i)) != 0)
			order.step[n++].type = (int)i;
	order.nsteps = n;
	(void)gons_order_format(&order, text, sizeof(text));
	*env = gons__format(
	    "gons_order=%s", req->order != NULL ? req->order : text);
	return *env == NULL ? ENOMEM : 0;
}

static int
overridden(const struct gons_reexec *req, const char *entry)
{
	size_t i;

	return req->nenv > 0 &&
	       gons__env_index(req, entry, strcspn(entry, "="), &i);
}

/*
 * The child shares this process's memory until it executes, so that its start
 * costs the same however large the host is; this thread waits meanwhile.  No
 * handler of the host may run there, hence all signals are blocked.
 */
int
gons__spawn(struct gons_reexec *req, struct launch *launch)
{
	char stack[STACK] __attribute__((aligned(16)));
	unsigned char all[SIGSET_BYTES], old[SIGSET_BYTES];
	int errnum, pidfd = -1;

	memset(all, 0xff, sizeof(all));
	(void)syscall(SYS_rt_sigprocmask, SIG_SETMASK, all, old, sizeof(all));
	req->pid = CLONE(child_exec, stack + sizeof(stack),
	    CLONE_VM | CLONE_VFORK | CLONE_PIDFD | SIGCHLD, launch, &pidfd,
	    NULL, NULL);
	errnum = req->pid == -1 ? errno : launch->errnum;
	UNPOISON(stack, sizeof(stack));
	(void)syscall(SYS_rt_sigprocmask, SIG_SETMASK, old, NULL, sizeof(old));
	if (pidfd != -1)
		req->fd[SRC_PIDFD] = gons__high(pidfd);
	if (req->pid != -1 && errnum != 0)
		while (waitpid(req->pid, NULL, 0) == -1 && errno == EINTR)
			continue;
	return errnum;
}

/*
 * In the parent's memory: system calls and local variables only, and errno,
 * which is the waiting thread's.  execveat(2) as a raw call: the coverage run
 * time of gcc would otherwise write the parent's data here.
 */
static int
child_exec(void *arg)
{
	struct launch *launch = arg;
	unsigned char none[SIGSET_BYTES] = { 0 };
	size_t i;
	int fd;

	child_signals();
	for (fd = 0; fd < 3; fd++)
		if (syscall(SYS_dup3, launch->stdio[fd], fd, 0) == -1)
			goto failed;
	gons__child_close(launch);
	for (i = 0; i < launch->nfds; i++)
		if (launch->fds[i] != launch->exe &&
		    syscall(SYS_fcntl, launch->fds[i], F_SETFD, 0) == -1)
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

/* SIG_DFL, no flags, an empty mask: all zero in the kernel's structure. */
static void
child_signals(void)
{
	unsigned long action[16] = { 0 };
	uint64_t used = child_signals_used();
	int signo;

	for (signo = 1; signo <= SIGNALS; signo++)
		if (signo != SIGKILL && signo != SIGSTOP &&
		    (signo > 64 || (used >> (signo - 1) & 1) != 0))
			(void)syscall(SYS_rt_sigaction, signo, action, NULL,
			    SIGSET_BYTES);
}

/* A bit for each that is ignored or caught: one by one takes longer. */
static uint64_t
child_signals_used(void)
{
	char text[2048];
	long n = -1;
	int fd;

	if ((fd = gons__proc_open("/proc/self/status", 0)) != -1) {
		n = syscall(SYS_read, fd, text, sizeof(text));
		(void)syscall(SYS_close, fd);
	}
	return status_mask(text, n, "\nSigIgn:\t") |
	       status_mask(text, n, "\nSigCgt:\t");
}

/*
 * The root may be a container's: any other file in that place is neither
 * waited for nor believed.
 */
int
gons__proc_open(const char *path, int flags)
{
	struct statfs fs;
	int fd;

	fd = (int)syscall(SYS_openat, AT_FDCWD, path,
	    O_RDONLY | O_NONBLOCK | O_NOCTTY | O_CLOEXEC | flags, 0);
	if (fd != -1 &&
	    (syscall(SYS_fstatfs, fd, &fs) == -1 || fs.f_type != PROC_MAGIC)) {
		(void)syscall(SYS_close, fd);
		fd = -1;
	}
	return fd;
}

/* What a line of n bytes of text says, all bits if it is not there. */
static uint64_t
status_mask(const char *text, long n, const char *line)
{
	enum {
		DIGITS = 16
	};
	uint64_t mask = 0;
	long at, i;

	for (at = 0; at + DIGITS < n; at++) {
		for (i = 0; at + i + DIGITS < n && line[i] != '\0' &&
			    text[at + i] == line[i];
		     i++)
			continue;
		if (line[i] != '\0')
			continue;
		for (i += at; i < n && text[i] != '\n'; i++)
			mask = mask << 4 |
			       (uint64_t)(text[i] <= '9' ? text[i] - '0'
							 : text[i] - 'a' + 10);
		return i < n ? mask : UINT64_MAX;
	}
	return UINT64_MAX;
}

void
gons__child_close(const struct launch *launch)
{
	unsigned from = STDERR_FILENO + 1, fd;
	size_t i;

	for (i = 0; i < launch->nfds; i++) {
		fd = (unsigned)launch->fds[i];
		if (fd > from)
			close_between(from, fd - 1);
		from = fd + 1;
	}
	close_between(from, UINT_MAX);
}

static void
close_between(unsigned first, unsigned last)
{
	if (syscall(SYS_close_range, first, last, 0) == -1)
		close_listed(first, last);
}

/*
 * Before Linux 5.9: what /proc lists, or one by one as far as there can be
 * any.  The list is by number, so that closing does not disturb reading it.
 */
static void
close_listed(unsigned first, unsigned last)
{
	struct rlimit limit;
	unsigned fd, most = 1u << 20;
	int dir;

	if ((dir = gons__proc_open("/proc/self/fd", O_DIRECTORY)) != -1) {
		close_entries(dir, first, last);
		(void)syscall(SYS_close, dir);
		return;
	}
	if (syscall(SYS_prlimit64, 0, RLIMIT_NOFILE, NULL, &limit) == 0 &&
	    limit.rlim_max < most)
		most = (unsigned)limit.rlim_max;
	for (fd = first; fd <= last && fd < most; fd++)
		(void)syscall(SYS_close, fd);
}

/* struct linux_dirent64: inode and offset, length, type, then the name. */
static void
close_entries(int dir, unsigned first, unsigned last)
{
	enum {
		LENGTH = 16,
		NAME = 19
	};
	unsigned char entries[1024];
	unsigned short len;
	long at, fd, n;

	while ((n = syscall(SYS_getdents64, dir, entries, sizeof(entries))) > 0)
		for (at = 0; at < n; at += len) {
			gons__copy(&len, entries + at + LENGTH, sizeof(len));
			if (gons__number((const char *)entries + at + NAME,
				INT_MAX, &fd) == 0 &&
			    fd >= (long)first && (unsigned long)fd <= last &&
			    fd != dir)
				(void)syscall(SYS_close, (int)fd);
		}
}

/* What has become the child's, and the memory. */
void
gons__close_launch(struct launch *launch, struct gons__action *what)
{
	size_t n;
	int i;

	for (i = 0; i < 3; i++)
		gons__close_fd(&launch->stdio[i]);
	for (i = 0; i < GONS__NFDS; i++)
		if (i != GONS__FD_COVERAGE && i != GONS__FD_PROFILE)
			gons__close_fd(&what->fd[i]);
	for (n = 0; launch->envp != NULL && launch->envp[n] != NULL; n++) {
		if (strncmp(launch->envp[n], "gons_", 5) != 0)
			break;
		free(launch->envp[n]);
	}
	free(launch->envp);
	free(launch->argv);
	free(launch->fds);
}
