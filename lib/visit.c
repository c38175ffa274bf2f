/*
 * SPDX-License-Identifier: BSD-2-Clause
 *
 * Copyright (c) 2026 The libgons developers
 *
 * Visits: a thread is made, goes to other namespaces, does something there,
 * and ends.  It never comes back: a way back can fail, and the program would
 * then work in the wrong place without knowing.  Nobody else moves.
 */

#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>

#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <sched.h>
#include <signal.h>
#include <time.h>
#include <unistd.h>

#include "internal.h"

#define STACK_MIN ((size_t)256 << 10)
#define STACK_MAX ((size_t)8 << 20)
#define LOOKS 8 /* at whether a thread has ended, one after the other */
#define YIELDS 16 /* with other work between, before the wait sleeps */
#define NAP 100000 /* ns */
#define PATIENCE 1 /* s */
#define LOST 125 /* exit status of a child that leaves fn by returning */

struct visit {
	const struct gons_env *env;
	const struct gons_order *order;
	struct gons_error *error;
	int (*fn)(void *);
	void *arg;
	sigset_t mask; /* of the thread */
	pid_t tid;
	pid_t pid; /* of the process; 0: not asked for yet */
	int errnum; /* 0: fn has been called; -1: the thread has not said yet */
	int returned, value; /* fn may leave by pthread_exit(3), too */
};

struct errand { /* a visit for a descriptor */
	int domain, type, protocol; /* of a socket */
	int fd, errnum;
};

static int
fail(struct gons_error *error, int stage, int errnum, int type,
    const char *what, int hint)
{
	gons__error_set(error, stage, errnum, type, what);
	error->hint = hint;
	return errnum;
}

/*
 * Refuses everything that needs a process, before anything is opened or made.
 * gons__switch() explains an order that makes no sense.
 */
static int
check(const struct gons_env *env, const struct gons_order *order,
    struct gons_error *error)
{
	const char *ref[GONS_NTYPES] = { NULL };
	struct gons_order parsed;
	unsigned i;
	int type;

	if (env->ids != NULL)
		return fail(error, GONS_STAGE_IDS, EINVAL, -1, env->ids,
		    GONS_HINT_CHILD);
	ref[GONS_USER] = env->path[GONS_USER];
	ref[GONS_TIME] = env->path[GONS_TIME];
	if (env->target != NULL && order == NULL && env->order != NULL &&
	    env->order[0] != '\0') {
		if (gons_order_parse(env->order, &parsed, error) == -1)
			return error->errnum;
		order = &parsed;
	}
	if (env->target != NULL && order != NULL && gons__order_valid(order))
		for (i = 0; i < order->nsteps; i++)
			ref[order->step[i].type] = env->target;
	for (type = 0; type < GONS_NTYPES; type++)
		if ((type == GONS_USER || type == GONS_TIME) &&
		    ref[type] != NULL)
			return fail(error, GONS_STAGE_JOIN, EINVAL, type,
			    ref[type], GONS_HINT_CHILD);
	return 0;
}

/* Signals that a thread causes by its own code; 0 ends them. */
static const int raised[] = { SIGSEGV, SIGBUS, SIGFPE, SIGILL, SIGTRAP, SIGSYS,
	SIGABRT, 0 };

/*
 * The host's handlers belong to its own threads.  Not blocked are those above
 * and libc's own signals, which sigfillset(3) and pthread_sigmask(3) leave out:
 * setuid(2) of another thread waits until each thread has had one.
 */
static void
visit_mask(sigset_t *mask)
{
	size_t i;

	(void)sigfillset(mask);
	for (i = 0; raised[i] != 0; i++)
		(void)sigdelset(mask, raised[i]);
}

/* In the thread. */
static int
depart(const struct visit *v)
{
	if (syscall(SYS_unshare, CLONE_FS) == -1)
		return fail(v->error, GONS_STAGE_VISIT, errno, -1, "unshare",
		    GONS_HINT_NONE);
	if (gons__switch(v->env, v->order, v->error, 0, NULL) == -1)
		return v->error->errnum;
	return 0;
}

static void *
travel(void *arg)
{
	struct visit *v = arg;
	pid_t pid;
	int value;

	(void)pthread_setcancelstate(PTHREAD_CANCEL_DISABLE, NULL);
	/* the caller may block what a visit does not */
	(void)pthread_sigmask(SIG_SETMASK, &v->mask, NULL);
	(void)syscall(SYS_prctl, PR_SET_NAME, "gons-visit", 0, 0, 0);
	v->tid = (pid_t)syscall(SYS_gettid);
	gons__visit_begin();
	if ((v->errnum = depart(v)) != 0)
		return NULL;
	value = v->fn(v->arg);
	/*
	 * A thread of a visit is never the first one of its process.  A filter
	 * may refuse to tell both numbers.
	 */
	pid = (pid_t)syscall(SYS_getpid);
	if (pid != -1 && pid == (pid_t)syscall(SYS_gettid))
		_exit(LOST);
	v->pid = pid;
	v->value = value;
	v->returned = 1;
	return NULL;
}

/*
 * The user of a program with privileges may have chosen a timer slack of hours,
 * by which a sleep could last longer than it is to.  It is an unsigned number:
 * with 32 bits that of 3 seconds is negative.  -1: not known.
 */
static void
nap(void)
{
	const struct timespec time = { 0, NAP };
	long slack = syscall(SYS_prctl, PR_GET_TIMERSLACK, 0, 0, 0, 0);

	(void)syscall(SYS_prctl, PR_SET_TIMERSLACK, NAP, 0, 0, 0);
	(void)nanosleep(&time, NULL);
	if (slack != -1)
		(void)syscall(SYS_prctl, PR_SET_TIMERSLACK, slack, 0, 0, 0);
}

/*
 * The kernel wakes the thread that joins another before it takes the other out
 * of the process, which still counts as having several for a moment.
 */
static void
await_end(pid_t pid, pid_t tid)
{
	struct timespec now, end;
	int i;

	if (pid == 0)
		pid = getpid();
	(void)clock_gettime(CLOCK_MONOTONIC, &end);
	end.tv_sec += PATIENCE;
	for (i = 0;; i++) {
		if (syscall(SYS_tgkill, pid, tid, 0) == -1 && errno == ESRCH)
			return;
		if (i < LOOKS)
			continue;
		if (i < LOOKS + YIELDS) {
			(void)sched_yield();
			continue;
		}
		nap();
		(void)clock_gettime(CLOCK_MONOTONIC, &now);
		if (now.tv_sec > end.tv_sec ||
		    (now.tv_sec == end.tv_sec && now.tv_nsec >= end.tv_nsec))
			return;
	}
}

/* Which namespace is it, of this thread or of its children?  0 or errno. */
static int
ns_ino(int proc, const char *path, uint64_t *ino)
{
	struct stat st;
	int errnum = 0, fd;

	if ((fd = gons__proc_link(proc, path, O_PATH, NULL)) < 0)
		return -fd;
	if (fstat(fd, &st) == 0)
		*ino = st.st_ino;
	else
		errnum = errno;
	(void)close(fd);
	return errnum;
}

/*
 * Do children go elsewhere?  A pid namespace that has no process yet has no
 * file, only the link to it, which Linux before 4.12 has not.  What cannot be
 * looked at for another reason may be the same as the own.
 */
static int
differ(int proc, const char *own, const char *next)
{
	uint64_t here = 0, there = 0;
	int errnum, fd;

	if (ns_ino(proc, own, &here) != 0)
		return 0;
	if ((errnum = ns_ino(proc, next, &there)) == 0)
		return here != there;
	if (errnum != ENOENT ||
	    (fd = gons__proc_file(proc, next, O_PATH | O_NOFOLLOW)) < 0)
		return 0;
	(void)close(fd);
	return 1;
}

/*
 * The kernel makes no thread while children are to go to another pid or time
 * namespace.  musl says EAGAIN whatever the reason is.
 */
static void
explain_thread(struct gons_error *error)
{
	static const struct {
		int type;
		const char *own, *next;
	} kinds[] = {
		{ GONS_PID, "thread-self/ns/pid",
		    "thread-self/ns/pid_for_children" },
		{ GONS_TIME, "thread-self/ns/time",
		    "thread-self/ns/time_for_children" },
	};
	int proc;
	size_t i;

	if (error->errnum != EINVAL && error->errnum != EAGAIN)
		return;
	if ((proc = gons__proc_open()) < 0)
		return;
	for (i = 0; i < sizeof(kinds) / sizeof(kinds[0]); i++) {
		if (!differ(proc, kinds[i].own, kinds[i].next))
			continue;
		error->hint = GONS_HINT_CHILD;
		error->value = kinds[i].type;
		break;
	}
	(void)close(proc);
}

/*
 * The thread begins with the mask that it is made under, so that no signal
 * finds it before it has set its own.
 */
static int
start(struct visit *v, pthread_t *thread)
{
	pthread_attr_t attr;
	sigset_t old;
	size_t size;
	int errnum;

	if ((errnum = pthread_attr_init(&attr)) != 0)
		goto out;
	if (pthread_attr_getstacksize(&attr, &size) != 0 || size < STACK_MIN)
		size = STACK_MIN;
	if (size > STACK_MAX)
		size = STACK_MAX;
	errnum = pthread_attr_setstacksize(&attr, size);
	if (errnum == 0) {
		visit_mask(&v->mask);
		(void)pthread_sigmask(SIG_BLOCK, &v->mask, &old);
		errnum = pthread_create(thread, &attr, travel, v);
		(void)pthread_sigmask(SIG_SETMASK, &old, NULL);
	}
	(void)pthread_attr_destroy(&attr);
out:
	if (errnum != 0) {
		(void)fail(v->error, GONS_STAGE_VISIT, errnum, -1, "thread",
		    GONS_HINT_NONE);
		explain_thread(v->error);
	}
	return errnum;
}

/* No function of the library is a cancellation point; pthread_join(3) is. */
static int
run(struct visit *v)
{
	pthread_t thread;
	int cancel, errnum;

	(void)pthread_setcancelstate(PTHREAD_CANCEL_DISABLE, &cancel);
	if ((errnum = start(v, &thread)) == 0) {
		(void)pthread_join(thread, NULL);
		await_end(v->pid, v->tid);
		errnum = v->errnum;
		if (errnum == -1) /* a filter has killed it on the way */
			errnum = fail(v->error, GONS_STAGE_VISIT, ECANCELED, -1,
			    "thread", GONS_HINT_NONE);
	}
	(void)pthread_setcancelstate(cancel, NULL);
	return errnum;
}

int
gons_visit(const struct gons_env *env, const struct gons_order *order,
    int (*fn)(void *), void *arg, int *value, struct gons_error *error)
{
	struct gons_error local;
	struct visit v;
	int errnum, saved = errno;

	if (error == NULL)
		error = &local;
	v.env = env;
	v.order = order;
	v.error = error;
	v.fn = fn;
	v.arg = arg;
	v.tid = 0;
	v.pid = 0;
	v.errnum = -1;
	v.returned = 0;
	if (fn == NULL)
		errnum = fail(error, GONS_STAGE_VISIT, EINVAL, -1, "function",
		    GONS_HINT_NONE);
	else if ((errnum = check(env, order, error)) == 0)
		errnum = run(&v);
	if (errnum != 0) {
		errno = errnum;
		return -1;
	}
	if (v.returned && value != NULL)
		*value = v.value;
	errno = saved;
	return 0;
}

static int
make_socket(void *arg)
{
	struct errand *a = arg;

	a->fd = socket(a->domain, a->type | SOCK_CLOEXEC, a->protocol);
	a->errnum = a->fd == -1 ? errno : 0;
	return 0;
}

static int
open_root(void *arg)
{
	struct errand *a = arg;

	a->fd = open("/", O_PATH | O_DIRECTORY | O_CLOEXEC);
	a->errnum = a->fd == -1 ? errno : 0;
	return 0;
}

/* A visit to one namespace, for a descriptor. */
static int
fetch(int type, const char *ref, int (*fn)(void *), struct errand *a,
    const char *what, struct gons_error *error)
{
	struct gons_error local;
	struct gons_env env;

	if (error == NULL)
		error = &local;
	gons__zero(&env, sizeof(env));
	env.path[type] = ref;
	a->errnum = 0;
	if (ref == NULL)
		a->errnum = fail(
		    error, GONS_STAGE_OPEN, EINVAL, type, NULL, GONS_HINT_NONE);
	else if (gons_visit(&env, NULL, fn, a, NULL, error) == -1)
		return -1;
	else if (a->errnum != 0)
		(void)fail(error, GONS_STAGE_VISIT, a->errnum, -1, what,
		    GONS_HINT_NONE);
	if (a->errnum == 0)
		return a->fd;
	errno = a->errnum;
	return -1;
}

int
gons_socket(const char *net, int domain, int type, int protocol,
    struct gons_error *error)
{
	struct errand a = { domain, type, protocol, -1, 0 };

	return fetch(GONS_NET, net, make_socket, &a, "socket", error);
}

int
gons_root(const char *mnt, struct gons_error *error)
{
	struct errand a = { 0, 0, 0, -1, 0 };

	return fetch(GONS_MNT, mnt, open_root, &a, "root", error);
}
