/*
 * SPDX-License-Identifier: BSD-2-Clause
 *
 * Copyright (c) 2026 The libgons developers
 *
 * The host's side of the prepared process, which keeps children waiting, the
 * spares.  It is no child of this process, and ends when this one does.
 *
 *	NONE -> MAKING		the program is executed
 *	MAKING -> READY		gons_reexec_check() has told so there
 *	MAKING -> NONE		it ended, or took too long
 *	READY -> NONE		it ended or does not answer, or this process is
 *				not any more what it was
 *
 * The lock is held for short steps alone, never while something is awaited.
 */

#include <sys/ioctl.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/wait.h>

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <poll.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "reexec.h"

#ifndef PIDFD_INFO_EXIT
#define PIDFD_INFO_EXIT 8
#endif
#define GET_INFO(size) _IOC(_IOC_READ | _IOC_WRITE, 0xff, 11, size)

#define ANSWER_TIME 2000 /* ms for a prepared process to make a spare */
#define FIRST_TIME 100 /* ms for one that has closed its socket to end */
#define MADE_MAX 2 /* prepared processes for one run */

enum pool_state {
	POOL_NONE,
	POOL_MAKING,
	POOL_READY
};

struct pool {
	struct pool *older; /* of the process that this is a copy of */
	unsigned era; /* whose it is */
	pthread_mutex_t lock;
	enum pool_state state;
	unsigned number; /* of prepared processes, counted */
	struct kept control, pidfd;
	struct kept out, err; /* while it is made */
	struct kept oom; /* this process's oom_score_adj */
	struct kept first; /* the process that was executed: */
	pid_t pid; /* it forks the prepared one, and ends */
	int sealed;
	int serves; /* it was forked off this process, for good */
	int kernel_tells; /* how a child has ended */
	int64_t since; /* MAKING */
	int64_t closed; /* its socket, before it told who it is; or -1 */
	int64_t asked; /* for a spare, that has not come; or -1 */
	unsigned received; /* spares, of this prepared process */
	unsigned given; /* spares, of any */
	char **argv; /* that it was executed with */
	struct buf words; /* that it printed while it was made */
	struct buf standing; /* what this process was when it was made */
};
static struct pool *pools;
static int spares = SPARES;

/* The prepared process is executed as an action is that joins nothing. */
static char prepared_name[] = "prepared";
static struct settings
prepared_settings(int sealed)
{
	struct settings set;

	gons__settings_init(&set);
	set.action = prepared_name;
	set.flags = sealed ? GONS_REEXEC_SEALED : 0;
	return set;
}

static void
pool_is(struct pool *pool, enum pool_state state)
{
	static const char *const names[] = { "NONE", "MAKING", "READY" };

	(void)names;
	gons__trace("pool %s -> %s", names[pool->state], names[state]);
	pool->state = state;
}

/* As from waitpid(2), of a process that has been reaped; Linux 6.15. */
int
gons__kernel_status(const struct kept *pidfd, int *status)
{
	struct {
		uint64_t mask, cgroup;
		uint32_t ids[11];
		int32_t status;
	} info;

	memset(&info, 0, sizeof(info));
	info.mask = PIDFD_INFO_EXIT;
	if (pidfd->fd == -1 ||
	    ioctl(pidfd->fd, GET_INFO(sizeof(info)), &info) == -1 ||
	    (info.mask & PIDFD_INFO_EXIT) == 0)
		return 0;
	*status = info.status & 0xffff;
	return 1;
}

/*
 * A forked copy of the process starts without one.  It never touches the lock
 * of its parent, which another thread may have held.
 */
static struct pool *
pool_lock(void)
{
	struct pool *pool = __atomic_load_n(&pools, __ATOMIC_ACQUIRE), *mine;

	while (pool == NULL || pool->era != gons__era()) {
		if ((mine = calloc(1, sizeof(*mine))) == NULL)
			return NULL;
		mine->older = pool;
		mine->era = gons__era();
		mine->asked = -1;
		gons__keep(&mine->control, -1);
		mine->pidfd = mine->out = mine->err = mine->first = mine->oom =
		    mine->control;
		(void)pthread_mutex_init(&mine->lock, NULL);
		if (__atomic_compare_exchange_n(&pools, &pool, mine, 0,
			__ATOMIC_ACQ_REL, __ATOMIC_ACQUIRE)) {
			if (pool != NULL) {
				gons__unkeep(&pool->control);
				gons__unkeep(&pool->pidfd);
				gons__unkeep(&pool->out);
				gons__unkeep(&pool->err);
				gons__unkeep(&pool->first);
				gons__unkeep(&pool->oom);
			}
			pool = mine;
		} else {
			free(mine);
		}
	}
	(void)pthread_mutex_lock(&pool->lock);
	return pool;
}

static void
pool_unlock(struct pool *pool)
{
	(void)pthread_mutex_unlock(&pool->lock);
}

/* The spares that nobody has taken go with it; running children do not. */
static void
take_spares(struct pool *pool)
{
	int fds[NSPARE], i;
	struct message message;
	struct kept spare;

	while (gons__is_kept(&pool->control) &&
	       gons__receive(pool->control.fd, &message, sizeof(message), fds,
		   NSPARE) > 0) {
		if (message.kind == MSG_SPARE && fds[SPARE_PIDFD] != -1) {
			gons__keep_pidfd(&spare, fds[SPARE_PIDFD]);
			fds[SPARE_PIDFD] = -1;
			gons__lost_kill(&spare, 0);
		}
		for (i = 0; i < NSPARE; i++)
			fd_close(&fds[i]);
	}
}

/*
 * Whoever is killed between making a process and telling of it leaves an orphan
 * that nobody knows.  Where orphans come to this process, a prepared one ends by
 * itself, which it does between two spares, and one that has not told who it is
 * tells that first.
 */
static void
pool_end(struct pool *pool)
{
	int adopts = gons__adopts_orphans() && gons__is_kept(&pool->control);

	if (pool->state == POOL_NONE)
		return;
	if (adopts)
		(void)shutdown(pool->control.fd,
		    pool->state == POOL_READY ? SHUT_RDWR : SHUT_WR);
	if (adopts)
		gons__lost_leaves(&pool->pidfd);
	else
		gons__lost_kill(&pool->pidfd, 0);
	gons__lost_kill(&pool->first, pool->pid);
	if (adopts && pool->state == POOL_MAKING)
		gons__lost_control(&pool->control);
	else
		take_spares(pool);
	gons__unkeep(&pool->control);
	gons__unkeep(&pool->out);
	gons__unkeep(&pool->err);
	pool->asked = -1;
	pool->pid = 0;
	pool_is(pool, POOL_NONE);
}

static int
pool_open(struct pool *pool, struct launch *launch, const struct settings *set)
{
	int errnum, ours = -1, *fd = launch->what.fd;

	errnum = gons__launch_param(set, &launch->stdio[0]);
	if (errnum == 0)
		errnum = gons__open_pipe(&ours, &launch->stdio[1]);
	gons__keep(&pool->out, ours);
	ours = -1;
	if (errnum == 0)
		errnum = gons__open_pipe(&ours, &launch->stdio[2]);
	gons__keep(&pool->err, ours);
	ours = -1;
	if (errnum == 0)
		errnum = gons__open_socket(
		    SOCK_SEQPACKET, &ours, &fd[GONS__FD_ORDERS]);
	gons__keep(&pool->control, ours);
	if (errnum == 0 && (fd[GONS__FD_HOST] = fd_high((int)syscall(
				SYS_pidfd_open, getpid(), 0))) == -1)
		errnum = errno;
	return errnum;
}

static int
pool_execute(struct pool *pool, struct launch *launch, struct settings *set)
{
	int cov_fd[2], errnum, pidfd = -1;
	struct gons__cov *cov;

	errnum = gons__self_exe(set->flags != 0, &launch->exe);
	if (errnum == 0)
		errnum = gons__launch_lists(set, launch);
	if (errnum != 0)
		return errnum;
	/* No process that is forked off it may write to the host's files. */
	cov = gons__cov_new(cov_fd);
	gons__cov_env(cov, launch->envp);
	pool->argv = launch->argv;
	errnum = gons__launch_exec(launch, &pool->pid, &pidfd);
	gons__keep_pidfd(&pool->first, pidfd);
	gons__cov_collect(cov, GONS__COV_MS);
	return errnum;
}

/*
 * The file stays open, since each look through /proc costs more than the rest
 * of a request.
 */
static void
open_oom(struct pool *pool)
{
	int fd, proc;

	if (pool->oom.fd != -1 && gons__is_kept(&pool->oom))
		return;
	proc = gons__kept_proc();
	fd = proc == -1 ? -1
			: gons__proc_file(proc, "self/oom_score_adj", O_RDONLY);
	gons__keep(&pool->oom, fd < 0 ? -1 : fd_high(fd));
}

static void
pool_begin(struct pool *pool)
{
	pool->since = now_ms();
	pool->closed = -1;
	pool->received = 0;
	pool->number++;
	pool_is(pool, POOL_MAKING);
}

static int
pool_make(struct pool *pool, int sealed)
{
	struct settings set = prepared_settings(sealed);
	struct launch launch;
	int errnum;

	if ((errnum = gons__self_unmoved()) != 0 ||
	    (errnum = gons__standing(&pool->standing)) != 0)
		return errnum;
	gons__launch_init(&launch, &set);
	launch.what.flags = GONS__PREPARE;
	/* Nothing else ends it before gons_reexec_check() if this one ends. */
	launch.limit = MAKE_TIME / 1000 + 1;
	errnum = pool_open(pool, &launch, &set);
	if (errnum == 0)
		errnum = pool_execute(pool, &launch, &set);
	gons__launch_free(&launch);
	open_oom(pool);
	pool->words.len = 0;
	pool->sealed = sealed;
	pool_begin(pool);
	if (errnum != 0)
		pool_end(pool);
	return errnum;
}

/*
 * The prepared process must not block on its output before it is ready.  It may
 * print more while that is read.
 */
static void
drain(struct kept *from, struct buf *words)
{
	ssize_t n = -1;
	int i;

	if (from->fd == -1)
		return;
	for (i = 0; i < READS; i++)
		if ((n = gons__read_words(from->fd, words)) <= 0)
			break;
	if (n == 0)
		gons__unkeep(from);
}

/* The process that was executed has ended: how?  -1: not yet. */
static int
first_status(struct pool *pool)
{
	int status;
	pid_t r;

	if (pool->pid <= 0)
		return 0;
	do
		r = waitpid(pool->pid, &status, WNOHANG);
	while (r == -1 && errno == EINTR);
	if (r != pool->pid)
		return r == -1 ? 0 : -1;
	pool->pid = 0;
	return status;
}

/*
 * It did not reach gons_reexec_check(): its words are the run's.  It has closed
 * its socket, so it is about to end.
 */
static int
pool_failed(struct pool *pool, struct child *child)
{
	drain(&pool->err, &pool->words);
	if (pool->closed == -1)
		pool->closed = now_ms();
	child->words_status = first_status(pool);
	if (child->words_status == -1 && now_ms() - pool->closed < FIRST_TIME) {
		if (gons__is_kept(&pool->first))
			child->wait_fd = pool->first.fd;
		return EINPROGRESS;
	}
	buf_free(&child->words);
	child->words = pool->words;
	memset(&pool->words, 0, sizeof(pool->words));
	pool_end(pool);
	return EPROTO;
}

/* Why it makes no child; not one of the values that mean something here. */
static int
told_reason(const struct message *message)
{
	switch (message->value) {
	case EINPROGRESS:
	case EPIPE:
	case ESTALE:
	case EXDEV:
	case EOWNERDEAD:
		return EPROTO;
	default:
		return message->value > 0 ? message->value : EPROTO;
	}
}

/*
 * The prepared process sends its pidfd when the process that was executed has
 * ended.
 */
static int
pool_advance(struct pool *pool, struct child *child)
{
	struct message message;
	int pidfd = -1, status;
	ssize_t n;

	drain(&pool->out, NULL);
	drain(&pool->err, &pool->words);
	if (!gons__has_room(pool->control.fd))
		return EMFILE;
	n = gons__receive(
	    pool->control.fd, &message, sizeof(message), &pidfd, 1);
	if (n == 0) {
		if (now_ms() - pool->since >= MAKE_TIME) {
			pool_end(pool);
			return ETIMEDOUT;
		}
		child->wait_fd = pool->control.fd;
		return EINPROGRESS;
	}
	if (n > 0 && message.kind == MSG_NONE) {
		gons__keep_pidfd(&pool->pidfd, fd_high(pidfd));
		pool_end(pool);
		return told_reason(&message);
	}
	if (n == -1 || message.kind != MSG_PREPARED) {
		fd_close(&pidfd);
		return pool_failed(pool, child);
	}
	if ((pidfd = fd_high(pidfd)) == -1) {
		/* There was no room for it here. */
		pool_end(pool);
		return EMFILE;
	}
	gons__keep_pidfd(&pool->pidfd, pidfd);
	(void)first_status(pool);
	pool->kernel_tells = gons__kernel_status(&pool->first, &status);
	/* If waitpid(2) is denied, there is another way to reap it. */
	gons__lost_add(&pool->first, pool->pid);
	pool->pid = 0;
	gons__unkeep(&pool->out);
	gons__unkeep(&pool->err);
	buf_free(&pool->words);
	pool_is(pool, POOL_READY);
	return 0;
}

static int
pool_lives(const struct pool *pool)
{
	if (pool->state == POOL_NONE || !gons__is_kept(&pool->control))
		return 0;
	return pool->state == POOL_MAKING ||
	       (gons__is_kept(&pool->pidfd) &&
		   !gons__pidfd_ended(pool->pidfd.fd));
}

/* A server that has ended is the only one that there was. */
static int
no_other(void)
{
	return gons__self_is_secure() ? EOWNERDEAD : EXDEV;
}

/* There is one, and it is alive. */
static int
pool_ready(struct pool *pool, struct child *child, int sealed)
{
	int errnum;

	if (!pool_lives(pool) ||
	    (!pool->serves &&
		((sealed && !pool->sealed) ||
		    pool->argv !=
			__atomic_load_n(&gons__self.argv, __ATOMIC_ACQUIRE))))
		pool_end(pool);
	if (pool->state == POOL_NONE && gons__self_is_served())
		return no_other();
	if (pool->state == POOL_NONE) {
		if (child->made >= MADE_MAX)
			return EPIPE;
		child->made++;
		if ((errnum = pool_make(pool, sealed || pool->sealed)) != 0)
			return errnum;
	}
	if (pool->state == POOL_READY)
		return 0;
	errnum = pool_advance(pool, child);
	if (pool->serves && pool->state == POOL_NONE) {
		child->words_status = -1;
		return no_other();
	}
	return errnum;
}

/*
 * How many spares there are to be, how many have come, and if the kernel tells
 * how they end.
 */
static int
pool_say(struct pool *pool, enum kind kind)
{
	unsigned value = pool->received << SPARES_SHIFT & INT_MAX;

	value |= (unsigned)__atomic_load_n(&spares, __ATOMIC_RELAXED) << 1 |
		 (unsigned)pool->kernel_tells;
	return gons__send(pool->control.fd, kind, (int)value, NULL, 0);
}

/* One that waits, or EINPROGRESS when one has been asked for. */
static int
pool_spare(struct pool *pool, struct child *child, int fds[NSPARE])
{
	struct message message;
	ssize_t n;
	int i;

	if (!gons__has_room(pool->control.fd))
		return EMFILE;
	while ((n = gons__receive(pool->control.fd, &message, sizeof(message),
		    fds, NSPARE)) > 0) {
		pool->asked = -1;
		if (message.kind == MSG_SPARE) {
			pool->received++;
			pool->given++;
			return 0;
		}
		for (i = 0; i < NSPARE; i++) /* that nobody asked for */
			fd_close(&fds[i]);
		if (message.kind == MSG_NONE && message.value > 0)
			return message.value == ESRCH ? EPIPE
						      : told_reason(&message);
	}
	/* A server is not replaced: it gets the time that the run has. */
	if (n == -1 || (pool->asked != -1 && !pool->serves &&
			   now_ms() - pool->asked >= ANSWER_TIME)) {
		pool_end(pool);
		return EPIPE;
	}
	if (pool->asked == -1 && pool_say(pool, MSG_WANT) == 0)
		pool->asked = now_ms();
	child->wait_fd = pool->control.fd;
	return EINPROGRESS;
}

/*
 * Above the standard descriptors, and all of them there.  A spare that is given
 * up may become our zombie: it is reaped by its pidfd, whatever number that has.
 */
static int
settle(int fds[NSPARE])
{
	struct kept spare;
	int errnum = 0, i, pidfd = fds[SPARE_PIDFD];

	fds[SPARE_PIDFD] = pidfd <= STDERR_FILENO ? fd_dup(pidfd) : pidfd;
	for (i = 0; i < NSPARE; i++)
		if ((fds[i] = fd_high(fds[i])) == -1 && i != SPARE_REAPED)
			errnum = EMFILE;
	if (errnum == 0) {
		if (pidfd != fds[SPARE_PIDFD])
			fd_close(&pidfd);
		return 0;
	}
	if (pidfd == fds[SPARE_PIDFD])
		fds[SPARE_PIDFD] = -1;
	gons__keep_pidfd(&spare, pidfd);
	gons__lost_kill(&spare, 0);
	for (i = 0; i < NSPARE; i++)
		fd_close(&fds[i]);
	return errnum;
}

/*
 * Opens the descriptors over which the server and this process talk; 0 or an
 * errno value.
 */
static int
serve_open(struct pool *pool, int fd[GONS__NFDS])
{
	int errnum, i, ours = -1;

	for (i = 0; i < GONS__NFDS; i++)
		fd[i] = -1;
	if ((errnum = gons__standing(&pool->standing)) != 0)
		return errnum;
	errnum = gons__open_socket(SOCK_SEQPACKET, &ours, &fd[GONS__FD_ORDERS]);
	gons__keep(&pool->control, ours);
	fd[GONS__FD_HOST] = fd_high((int)syscall(SYS_pidfd_open, getpid(), 0));
	return errnum != 0 ? errnum : fd[GONS__FD_HOST] == -1 ? errno : 0;
}

int
gons__pool_serve(struct gons__action *what)
{
	struct pool *pool;
	sigset_t all, old;
	pid_t pid = -1;

	if ((pool = pool_lock()) == NULL)
		return -1;
	pool->serves = 1;
	if (serve_open(pool, what->fd) == 0) {
		(void)fflush(NULL);
		/* No handler of the host runs in the server. */
		(void)sigfillset(&all);
		(void)sigprocmask(SIG_SETMASK, &all, &old);
		if ((pid = fork()) == 0)
			return 1;
		(void)sigprocmask(SIG_SETMASK, &old, NULL);
	}
	fd_close(&what->fd[GONS__FD_ORDERS]);
	fd_close(&what->fd[GONS__FD_HOST]);
	pool->pid = pid;
	if (pid > 0) {
		while (waitpid(pid, NULL, 0) == -1 && errno == EINTR)
			continue;
		pool->pid = 0;
		pool_begin(pool);
	} else {
		gons__unkeep(&pool->control);
	}
	pool_unlock(pool);
	return pid > 0 ? 0 : -1;
}

int
gons__pool_take(struct child *child, int want_sealed, int fds[NSPARE])
{
	struct pool *pool;
	int errnum;

	child->wait_fd = -1;
	if ((pool = pool_lock()) == NULL)
		return ENOMEM;
	do {
		errnum = pool_ready(pool, child, want_sealed);
		if (errnum == 0)
			errnum = pool_spare(pool, child, fds);
	} while (errnum == EPIPE && child->made < MADE_MAX);
	child->pool = pool->number;
	child->given = pool->given;
	child->kernel_tells = pool->kernel_tells;
	pool_unlock(pool);
	return errnum != 0 ? errnum : settle(fds);
}

/* With the lock. */
static int
pool_stale(struct pool *pool)
{
	struct buf standing = { NULL, 0, 0, 0 };
	int errnum;

	if ((errnum = gons__standing(&standing)) == 0 &&
	    (standing.len != pool->standing.len ||
		memcmp(standing.p, pool->standing.p, standing.len) != 0)) {
		pool_end(pool);
		errnum = ESTALE;
	}
	buf_free(&standing);
	return errnum;
}

int
gons__pool_check(unsigned number)
{
	struct pool *pool;
	int errnum = ESTALE;

	if ((pool = pool_lock()) == NULL)
		return ENOMEM;
	if (pool->state == POOL_READY && pool->number == number)
		errnum = pool_stale(pool);
	pool_unlock(pool);
	return errnum;
}

void
gons__pool_took(unsigned number)
{
	struct pool *pool;

	if ((pool = pool_lock()) == NULL)
		return;
	if (pool->state == POOL_READY && pool->number == number &&
	    gons__is_kept(&pool->control))
		(void)pool_say(pool, MSG_TOOK);
	pool_unlock(pool);
}

void
gons__pool_lost(unsigned number)
{
	struct pool *pool;

	if ((pool = pool_lock()) == NULL)
		return;
	if (pool->number == number && !pool->serves)
		pool_end(pool);
	pool_unlock(pool);
}

static void
ask_oom(struct request *request)
{
	struct pool *pool;
	char text[16];
	ssize_t n = -1;

	if ((pool = pool_lock()) != NULL) {
		open_oom(pool);
		if (pool->oom.fd != -1)
			n = pread(pool->oom.fd, text, sizeof(text) - 1, 0);
		pool_unlock(pool);
	}
	text[n > 0 ? n : 0] = '\0';
	request->has_oom = n > 0;
	request->oom = (int32_t)strtol(text, NULL, 10);
}

void
gons__pool_inherit(struct request *request, unsigned char *cpus, size_t room)
{
	long n;

	errno = 0;
	request->nice = getpriority(PRIO_PROCESS, 0);
	n = syscall(SYS_sched_getaffinity, 0, room, cpus);
	request->cpubytes = n > 0 ? (uint32_t)n : 0;
	ask_oom(request);
}

int
gons__pool_prepare(void)
{
	int64_t until = now_ms() + MAKE_TIME;
	struct child child;
	struct pool *pool;
	struct pollfd p;
	int errnum;

	gons__child_init(&child);
	do {
		if ((pool = pool_lock()) == NULL)
			return ENOMEM;
		if (pool->state == POOL_READY && pool_lives(pool))
			(void)pool_stale(pool);
		errnum = pool_ready(pool, &child, 0);
		if (errnum == 0 && child.made > 0)
			(void)pool_say(pool, MSG_COUNT);
		pool_unlock(pool);
		buf_free(&child.words);
		p.fd = child.wait_fd;
		p.events = POLLIN;
		if (errnum == EINPROGRESS && poll(&p, 1, TICK) == -1 &&
		    errno != EINTR)
			(void)usleep(TICK * 1000);
	} while (errnum == EINPROGRESS && now_ms() < until);
	return errnum == EINPROGRESS ? ETIMEDOUT : errnum;
}

int
gons_reexec_setspares(int n)
{
	struct pool *pool;

	if (n < 1 || n > SPARES_MAX) {
		errno = EINVAL;
		return -1;
	}
	__atomic_store_n(&spares, n, __ATOMIC_RELAXED);
	if ((pool = pool_lock()) == NULL)
		return 0;
	if (pool->state == POOL_READY && pool_lives(pool))
		(void)pool_say(pool, MSG_COUNT);
	pool_unlock(pool);
	return 0;
}

void
gons_reexec_unprepare(void)
{
	int state = gons__enter();
	struct pool *pool;

	if ((pool = pool_lock()) != NULL) {
		/* Where nothing else serves, it is no matter of cost. */
		if (!pool->serves || gons__self_is_secure())
			pool_end(pool);
		gons__unkeep(&pool->oom);
		pool->sealed = 0;
		pool_unlock(pool);
	}
	gons__leave(state);
}
