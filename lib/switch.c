/*
 * SPDX-License-Identifier: BSD-2-Clause
 *
 * Copyright (c) 2026 The libgons developers
 *
 * Joining: brings struct gons_env and struct gons_order to the kernel, and
 * stops at the first failure.  When all goes well there is nothing but open,
 * setns and close for each namespace; whatever else is asked of the kernel is
 * asked after a failure, to find out why: that is switch_explain.c.
 */

#include <sys/prctl.h>
#include <sys/syscall.h>

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <sched.h>
#include <unistd.h>

#include "switch.h"

#define OPEN_FLAGS (O_RDONLY | O_CLOEXEC | O_NONBLOCK | O_NOCTTY)
#define ID_MAX 4294967294u /* the one above means "unchanged" */
/* The calls that take ids of 32 bits. */
#ifdef SYS_setresuid32
#define NR_setgroups SYS_setgroups32
#define NR_setresgid SYS_setresgid32
#define NR_setresuid SYS_setresuid32
#else
#define NR_setgroups SYS_setgroups
#define NR_setresgid SYS_setresgid
#define NR_setresuid SYS_setresuid
#endif

struct job {
	const struct gons_env *env;
	const struct gons_order *order;
	struct gons_error *error;
	unsigned flags; /* GONS__SWITCH_ */
	int whole; /* with a target: no order is given, all that differ */
	unsigned joined;
	int fd[GONS_MAXTYPES]; /* for each step: the reference, or -1 */
	uint32_t uid, gid; /* if env has ids */
	int dumpable; /* to be restored; -1: nothing to restore */
	struct view view;
};

static int
fail(struct job *job, int stage, int errnum, int type, const char *ref)
{
	gons__error_set(job->error, stage, errnum, type, ref);
	return -1;
}

/*
 * From the first join on, users who are privileged in the namespace just
 * entered may be able to trace this process.
 */
static void
guard_on(struct job *job)
{
	long dumpable;

	if ((job->flags & GONS__SWITCH_GUARD) == 0 || job->dumpable != -1)
		return;
	dumpable = syscall(SYS_prctl, PR_GET_DUMPABLE, 0, 0, 0, 0);
	if (dumpable == 1 &&
	    syscall(SYS_prctl, PR_SET_DUMPABLE, 0, 0, 0, 0) == 0)
		job->dumpable = (int)dumpable;
	else
		job->flags &= ~GONS__SWITCH_GUARD;
}

static void
guard_off(struct job *job)
{
	if (job->dumpable != -1)
		(void)syscall(
		    SYS_prctl, PR_SET_DUMPABLE, job->dumpable, 0, 0, 0);
}

/* Descriptors that came as "fd:N" belong to the caller. */
static void
step_close(struct job *job, unsigned i)
{
	if (i < job->order->nsteps && job->fd[i] >= 0 &&
	    gons__fdref(job->env->path[job->order->step[i].type]) == -1)
		gons__close(job->fd[i]);
	job->fd[i] = -1;
}

/*
 * The caller may name by "fd:N" a number that was free.  If a reference that
 * was opened here has got that number, the caller is mistaken.  The type of
 * that reference, or -1.
 */
static int
step_named(const struct job *job, unsigned i)
{
	const char *ref;
	int type;

	for (type = 0; type < GONS_NTYPES; type++) {
		ref = job->env->path[type];
		if (ref != NULL && gons__fdref(ref) == job->fd[i])
			return type;
	}
	return -1;
}

static int
step_open(struct job *job, unsigned i)
{
	int type = job->order->step[i].type;
	const char *ref = job->env->path[type];
	int errnum, free;

	if (ref == NULL || job->fd[i] != -1)
		return 0;
	job->fd[i] = gons__fdref(ref);
	if (job->fd[i] == -1) {
		job->fd[i] =
		    (int)syscall(SYS_openat, AT_FDCWD, ref, OPEN_FLAGS);
		if (job->fd[i] >= 0 && (free = step_named(job, i)) != -1) {
			step_close(job, i);
			return fail(job, GONS_STAGE_OPEN, EBADF, free,
			    job->env->path[free]);
		}
	}
	if (job->fd[i] >= 0)
		return 0;
	errnum = errno;
	(void)fail(job, GONS_STAGE_OPEN, errnum, type, ref);
	gons__explain_open(&job->view, job->error);
	return -1;
}

/* again: EPERM will be tried once more, so there is no need to explain it. */
static int
job_step(struct job *job, unsigned i, int again)
{
	int type = job->order->step[i].type;
	const char *ref = job->env->path[type];
	int errnum;

	if (ref == NULL)
		return 0;
	guard_on(job);
	if (syscall(SYS_setns, job->fd[i], gons_type_flag(type)) == -1) {
		errnum = errno;
		/* "fd:N" is not opened, so only now it shows. */
		if (errnum == EBADF && gons__fdref(ref) >= 0)
			return fail(job, GONS_STAGE_OPEN, errnum, type, ref);
		(void)fail(job, GONS_STAGE_JOIN, errnum, type, ref);
		if (!again || errnum != EPERM)
			gons__explain_join(&job->view, job->error, job->fd[i]);
		return -1;
	}
	job->joined |= GONS_BIT(type);
	step_close(job, i);
	return 0;
}

static int
job_early(struct job *job)
{
	unsigned i;

	for (i = 0; i < job->order->nsteps; i++)
		if ((job->order->step[i].early || job->order->automatic) &&
		    step_open(job, i) == -1)
			return -1;
	return 0;
}

static int
job_sequence(struct job *job)
{
	unsigned i;

	for (i = 0; i < job->order->nsteps; i++)
		if (step_open(job, i) == -1 || job_step(job, i, 0) == -1)
			return -1;
	return 0;
}

/*
 * Joins each namespace that is left; EPERM is put off, but in the last round.
 */
static int
job_round(struct job *job, unsigned *todo, int last)
{
	unsigned i;
	int type;

	for (i = 0; i < job->order->nsteps; i++) {
		type = job->order->step[i].type;
		if ((*todo & GONS_BIT(type)) == 0)
			continue;
		if (job_step(job, i, !last) == 0)
			*todo &= ~GONS_BIT(type);
		else if (last || job->error->errnum != EPERM)
			return -1;
	}
	return 0;
}

/*
 * The own user namespace cannot be joined, and need not be: it is left out.
 * The kernel tells that it is the own one, so nothing is asked before.
 */
static int
job_user(struct job *job)
{
	unsigned i;

	for (i = 0; i < job->order->nsteps; i++)
		if (job->order->step[i].type == GONS_USER)
			break;
	if (job_step(job, i, 0) == 0)
		return 0;
	if (job->error->stage != GONS_STAGE_JOIN ||
	    job->error->hint != GONS_HINT_SAME)
		return -1;
	step_close(job, i);
	return 0;
}

/*
 * Callers that have privileges here but not in the target's user namespace join
 * that last.  Those that gain their privileges by joining it join it before the
 * rest.  So the others are joined as far as they go, then user, then those that
 * were refused before.
 */
static int
job_automatic(struct job *job)
{
	unsigned todo = 0, i;
	int type;

	for (i = 0; i < job->order->nsteps; i++) {
		type = job->order->step[i].type;
		if (job->env->path[type] != NULL)
			todo |= GONS_BIT(type);
	}
	if ((todo & GONS_BIT(GONS_USER)) == 0)
		return job_round(job, &todo, 1);
	todo &= ~GONS_BIT(GONS_USER);
	if (job_round(job, &todo, 0) == -1 || job_user(job) == -1)
		return -1;
	return job_round(job, &todo, 1);
}

/*
 * The descriptor has to be that of a process: with a namespace's, setns(2)
 * would join that namespace and ignore all other types of the mask.
 */
static int
target_check(struct job *job, int fd)
{
	int errnum = gons__check_pidfd(&job->view, fd);

	if (errnum == 0)
		return 0;
	(void)fail(job, GONS_STAGE_OPEN, errnum, -1, job->env->target);
	if (errnum == EINVAL)
		job->error->hint = GONS_HINT_NOTPIDFD;
	if (errnum == ENOSYS)
		job->error->hint = GONS_HINT_KERNEL;
	return -1;
}

/*
 * A process, or a thread that is not the main one of its process.  The kernel
 * does not take the latter for a process: EINVAL, or ENOENT in newer ones.
 */
static int
target_pidfd(struct job *job, long pid)
{
	const char *ref = job->env->target;
	int errnum, fd;

	fd = (int)syscall(NR_pidfd_open, (pid_t)pid, 0);
	if (fd == -1 && (errno == EINVAL || errno == ENOENT))
		fd = (int)syscall(NR_pidfd_open, (pid_t)pid, OF_THREAD);
	if (fd != -1)
		return fd;
	errnum = errno;
	(void)fail(job, GONS_STAGE_OPEN, errnum, -1, ref);
	if (errnum == ENOSYS)
		job->error->hint = GONS_HINT_KERNEL;
	if (errnum == EINVAL && (pid = gons__process_of(&job->view, pid)) > 0) {
		job->error->hint = GONS_HINT_THREADOF;
		job->error->value = pid;
	}
	return -1;
}

static int
target_open(struct job *job, int *fd)
{
	const char *ref = job->env->target;
	long pid;

	*fd = gons__fdref(ref);
	if (*fd >= 0)
		return target_check(job, *fd);
	if (*fd == -2 || gons__number(ref, INT_MAX, &pid) == -1 || pid == 0) {
		(void)fail(job, GONS_STAGE_OPEN, EINVAL, -1, ref);
		if (*ref == '/')
			job->error->hint = GONS_HINT_FORM;
		return -1;
	}
	*fd = target_pidfd(job, pid);
	return *fd == -1 ? -1 : 0;
}

/* The target does not show its namespaces. */
static int
target_unseen(struct job *job, int errnum)
{
	(void)fail(job, GONS_STAGE_OPEN, errnum, -1, job->env->target);
	switch (errnum) {
	case ENOENT:
		job->error->hint = GONS_HINT_PROC;
		break;
	case EINVAL:
		job->error->hint = GONS_HINT_NOTPIDFD;
		break;
	case EACCES:
	case EPERM:
		job->error->hint = GONS_HINT_INSPECT;
		break;
	default:
		break;
	}
	return -1;
}

/* The types in which the target differs from the calling thread. */
static int
target_mask(struct job *job, int pidfd, unsigned *mask)
{
	const char *ref = job->env->target;
	int fd, same, type;

	for (type = 0; type < GONS_NTYPES; type++) {
		fd = gons__ns_of(&job->view, pidfd, type);
		if (fd == -EOPNOTSUPP || fd == -ENODATA)
			continue; /* the kernel has no such namespaces */
		if (fd < 0)
			return target_unseen(job, -fd);
		same = gons__ns_same(&job->view, fd, type);
		gons__close(fd);
		if (same < 0) {
			(void)fail(job, GONS_STAGE_OPEN, -same, -1, ref);
			if (same == -ENOENT)
				job->error->hint = GONS_HINT_PROC;
			return -1;
		}
		if (!same)
			*mask |= GONS_BIT(type);
	}
	/* Nothing to join, so no setns(2) to find out that it has ended. */
	if (*mask == 0 && gons__pid_of(&job->view, pidfd) == -ESRCH)
		return fail(job, GONS_STAGE_OPEN, ESRCH, -1, ref);
	return 0;
}

static int
target_flags(unsigned mask)
{
	int flags = 0, type;

	for (type = 0; type < GONS_NTYPES; type++)
		if ((mask & GONS_BIT(type)) != 0)
			flags |= gons_type_flag(type);
	return flags;
}

/*
 * setns(2) with a mount namespace moves the root and the working directory of
 * all threads that share them.  With other types in the same call the kernel
 * does not look whether they are shared.  So the calling thread gets its own
 * first.
 */
static int
target_join(struct job *job, int fd, unsigned mask)
{
	const unsigned mnt = GONS_BIT(GONS_MNT);
	const char *ref = job->env->target;
	int errnum;

	guard_on(job);
	if ((job->flags & GONS__SWITCH_SINGLE) == 0 && (mask & mnt) != 0 &&
	    mask != mnt && syscall(SYS_unshare, CLONE_FS) == -1)
		return fail(job, GONS_STAGE_JOIN, errno, -1, ref);
	if (syscall(SYS_setns, fd, target_flags(mask)) == 0) {
		job->joined = mask;
		return 0;
	}
	errnum = errno;
	(void)fail(job, GONS_STAGE_JOIN, errnum, -1, ref);
	gons__explain_target(&job->view, job->error, fd, mask);
	return -1;
}

/*
 * The thread of a visit cannot join all types in which the target differs, and
 * the caller has not named those that it can join.
 */
static int
job_leaves(struct job *job, unsigned mask)
{
	int type = (mask & GONS_BIT(GONS_USER)) != 0 ? GONS_USER : GONS_TIME;

	/* start-up is no visit, and finds no storage of threads ready yet */
	if ((job->flags & (GONS__SWITCH_SINGLE | GONS__SWITCH_GUARD)) != 0 ||
	    (mask & GONS_BIT(type)) == 0 || !gons__in_visit())
		return 0;
	(void)fail(job, GONS_STAGE_JOIN, EINVAL, -1, job->env->target);
	job->error->hint = GONS_HINT_CHILD;
	job->error->value = type;
	return -1;
}

/*
 * One setns(2) for everything.  The pidfd comes first: if that call finds the
 * process alive, its PID was no other's when the namespaces were compared.
 */
static int
job_target(struct job *job)
{
	unsigned i, mask = 0;
	int fd, result = 0;

	if (target_open(job, &fd) == -1)
		return -1;
	for (i = 0; !job->whole && i < job->order->nsteps; i++)
		mask |= GONS_BIT(job->order->step[i].type);
	if (job->whole) {
		result = target_mask(job, fd, &mask);
		if (result == 0)
			result = job_leaves(job, mask);
	}
	if (result == 0 && mask != 0)
		result = target_join(job, fd, mask);
	if (gons__fdref(job->env->target) == -1)
		gons__close(fd);
	return result;
}

/*
 * Digits up to the end character, at most ID_MAX; the text that follows, or
 * NULL.
 */
static const char *
parse_id(const char *text, char end, uint32_t *id)
{
	uint64_t n = 0;

	if (*text == end)
		return NULL;
	for (; *text >= '0' && *text <= '9'; text++) {
		n = n * 10 + (uint64_t)(*text - '0');
		if (n > ID_MAX)
			return NULL;
	}
	*id = (uint32_t)n;
	return *text == end ? text + 1 : NULL;
}

/*
 * For the kernel each thread has its own ids, for libc all have the same: if
 * one thread changed its own alone, the next setuid(3) of another would abort
 * the process.
 */
static int
ids_check(struct job *job)
{
	const char *ids = job->env->ids, *rest;
	uint32_t uid;

	if (ids == NULL)
		return 0;
	if ((rest = parse_id(ids, ':', &job->uid)) == NULL ||
	    parse_id(rest, '\0', &job->gid) == NULL) {
		(void)fail(job, GONS_STAGE_IDS, EINVAL, -1, ids);
		if (parse_id(ids, '\0', &uid) != NULL)
			job->error->hint = GONS_HINT_FORM;
		return -1;
	}
	if ((job->flags & GONS__SWITCH_SINGLE) != 0 || gons__threads() == 1)
		return 0;
	(void)fail(job, GONS_STAGE_IDS, EINVAL, -1, ids);
	(void)gons__explain_threads(job->error);
	return -1;
}

static int
ids_fail(struct job *job, int errnum, int hint, uint32_t id)
{
	(void)fail(job, GONS_STAGE_IDS, errnum, -1, job->env->ids);
	/* There is no other reason for EINVAL. */
	if (errnum == EINVAL && hint != GONS_HINT_NONE) {
		job->error->hint = hint;
		job->error->value = id;
	}
	return -1;
}

/*
 * In a user namespace that an ordinary user has made, setgroups(2) is denied:
 * the groups stay.
 */
static int
job_ids(struct job *job)
{
	const unsigned user = GONS_BIT(GONS_USER);

	if (job->env->ids == NULL)
		return 0;
	if (syscall(NR_setgroups, 0, NULL) == -1 &&
	    (errno != EPERM || (job->joined & user) == 0))
		return ids_fail(job, errno, GONS_HINT_NONE, 0);
	if (syscall(NR_setresgid, job->gid, job->gid, job->gid) == -1)
		return ids_fail(job, errno, GONS_HINT_NOGID, job->gid);
	if (syscall(NR_setresuid, job->uid, job->uid, job->uid) == -1)
		return ids_fail(job, errno, GONS_HINT_NOUID, job->uid);
	/* The kernel has made the process undumpable, and it stays so. */
	job->dumpable = -1;
	return 0;
}

/*
 * With a target, all is joined in one step: nothing is opened early, and no
 * order has to be found.  The "!" of the default order do not count, for the
 * caller has not written them.
 */
static int
job_check_target(const struct job *job)
{
	struct gons_error *error = job->error;
	unsigned i;
	int hint = 0, type;

	for (type = 0; type < GONS_NTYPES; type++)
		if (job->env->path[type] != NULL) {
			gons__error_set(error, GONS_STAGE_ORDER, EINVAL, type,
			    job->env->path[type]);
			error->hint = GONS_HINT_TARGETED;
			return -1;
		}
	if (job->whole)
		return 0;
	for (i = 0; i < job->order->nsteps; i++)
		if (job->order->step[i].early)
			hint = GONS_HINT_EARLY;
	if (job->order->automatic)
		hint = GONS_HINT_AUTO;
	if (hint == 0)
		return 0;
	gons__error_set(error, GONS_STAGE_ORDER, EINVAL, -1, NULL);
	(void)gons_order_format(job->order, error->what, sizeof(error->what));
	error->hint = hint;
	return -1;
}

/*
 * Finds every mistake that shows without the kernel, before anything is opened
 * or joined.
 */
static int
job_check(struct job *job)
{
	const struct gons_env *env = job->env;
	struct gons_error *error = job->error;
	unsigned i, listed = 0;
	int newer = 0, type;

	/* Types that only a newer library could join. */
	for (type = GONS_NTYPES; type < GONS_MAXTYPES; type++)
		newer |= env->path[type] != NULL;
	if (newer || !gons__order_valid(job->order)) {
		gons__error_set(error, GONS_STAGE_ORDER, EINVAL, -1, NULL);
		error->hint = GONS_HINT_STRUCT;
		return -1;
	}
	if (ids_check(job) == -1)
		return -1;
	if (env->target != NULL)
		return job_check_target(job);
	for (i = 0; i < job->order->nsteps; i++)
		listed |= GONS_BIT(job->order->step[i].type);
	for (type = 0; type < GONS_NTYPES; type++) {
		if (env->path[type] == NULL)
			continue;
		if ((listed & GONS_BIT(type)) == 0) {
			gons__error_set(error, GONS_STAGE_ORDER, EINVAL, type,
			    env->path[type]);
			error->hint = GONS_HINT_MISSING;
			return -1;
		}
		if (gons__fdref(env->path[type]) == -2) {
			gons__error_set(error, GONS_STAGE_OPEN, EINVAL, type,
			    env->path[type]);
			return -1;
		}
	}
	return 0;
}

static int
job_run(struct job *job)
{
	int result;

	if (job_check(job) == -1)
		return -1;
	if (job->env->target != NULL)
		result = job_target(job);
	else if ((result = job_early(job)) == 0)
		result = job->order->automatic ? job_automatic(job)
					       : job_sequence(job);
	return result == 0 ? job_ids(job) : -1;
}

int
gons__switch(const struct gons_env *env, const struct gons_order *order,
    struct gons_error *error, unsigned flags, unsigned *joined)
{
	struct gons_order parsed;
	struct job job;
	unsigned i;
	int result;

	job.whole =
	    order == NULL && (env->order == NULL || env->order[0] == '\0');
	if (order == NULL) {
		if (gons_order_parse(env->order, &parsed, error) == -1)
			return -1;
		order = &parsed;
	}
	job.env = env;
	job.order = order;
	job.error = error;
	job.joined = 0;
	job.flags = flags;
	gons__view_begin(&job.view);
	job.dumpable = -1;
	for (i = 0; i < GONS_MAXTYPES; i++)
		job.fd[i] = -1;

	result = job_run(&job);
	for (i = 0; i < GONS_MAXTYPES; i++)
		step_close(&job, i);
	gons__view_end(&job.view);
	guard_off(&job);
	if (joined != NULL)
		*joined = job.joined;
	if (result == -1) {
		error->joined = job.joined;
		errno = error->errnum;
	}
	return result;
}

int
gons_switch(const struct gons_env *env, const struct gons_order *order,
    struct gons_error *error)
{
	struct gons_error local;

	return gons__switch(
	    env, order, error != NULL ? error : &local, 0, NULL);
}
