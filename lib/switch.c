/*
 * SPDX-License-Identifier: BSD-2-Clause
 *
 * Copyright (c) 2026 The libgons developers
 *
 * Joining: brings struct gons_env and struct gons_order to the kernel, stops
 * at the first failure and explains it.  When all goes well there is nothing
 * but open, setns and close for each namespace; whatever else is asked of the
 * kernel is asked after a failure, to find out why.
 */

#include <sys/ioctl.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <sys/vfs.h>

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <sched.h>
#include <unistd.h>

#include "internal.h"

/* The kernel's numbers, for headers that are older than it. */
#ifndef SYS_pidfd_open
#define SYS_pidfd_open 434
#endif
#ifndef SYS_statx
#error "this architecture needs a libc that knows statx"
#endif
#define IOC_USERNS _IO(0xb7, 0x1) /* NS_GET_USERNS */
#define IOC_PARENT _IO(0xb7, 0x2) /* NS_GET_PARENT */
#define IOC_NSTYPE _IO(0xb7, 0x3) /* NS_GET_NSTYPE */
#define IOC_OWNER_UID _IO(0xb7, 0x4) /* NS_GET_OWNER_UID */
#define MAGIC_NSFS 0x6e736673
#define MAGIC_PROC 0x9fa0
#define MAGIC_PIDFS 0x50494446
#define MAGIC_ANON 0x09041934 /* pidfds before Linux 6.9 */

#define CAPS_VERSION 0x20080522 /* _LINUX_CAPABILITY_VERSION_3 */
#define CAP_SYS_CHROOT 18
#define CAP_SYS_ADMIN 21
#ifdef SYS_geteuid32
#define GETEUID SYS_geteuid32
#else
#define GETEUID SYS_geteuid
#endif

#define OPEN_FLAGS (O_RDONLY | O_CLOEXEC | O_NONBLOCK | O_NOCTTY)
#define DEEPEST 64 /* the kernel nests user namespaces 33 deep */

struct job {
	const struct gons_env *env;
	const struct gons_order *order;
	struct gons_error *error;
	int whole; /* with a target: no order is given, all that differ */
	unsigned joined;
	int fd[GONS_MAXTYPES]; /* for each step: the reference, or -1 */
	int guard;
	int dumpable; /* to be restored; -1: nothing to restore */
};

struct id { /* which namespace it is */
	uint64_t ino;
	uint32_t major, minor;
};

struct statx_head { /* the kernel's struct statx */
	uint32_t mask, blksize;
	uint64_t attributes;
	uint32_t nlink, uid, gid;
	uint16_t mode, spare;
	uint64_t ino, size, blocks, attributes_mask, times[8];
	uint32_t rdev_major, rdev_minor, dev_major, dev_minor;
	uint64_t more[14];
};

static int job_check(const struct job *);
static int job_check_target(const struct job *);
static int job_early(struct job *);
static int job_sequence(struct job *);
static int job_automatic(struct job *);
static int job_round(struct job *, unsigned *, int);
static int job_step(struct job *, unsigned, int);
static int job_target(struct job *);
static int target_open(struct job *, int *, long *);
static int target_check(struct job *, int);
static int target_mask(struct job *, int, long, unsigned *);
static int target_flags(unsigned);
static int step_open(struct job *, unsigned);
static int step_named(const struct job *, unsigned);
static void step_close(struct job *, unsigned);
static void guard_on(struct job *);
static void guard_off(struct job *);
static int fail(struct job *, int, int, int, const char *);
static void explain_open(struct gons_error *);
static void explain_join(struct gons_error *, int);
static void explain_invalid(struct gons_error *, int);
static void explain_denied(struct gons_error *, int, int, int);
static void explain_limit(struct gons_error *);
static void explain_target(struct gons_error *, int, long, unsigned);
static void target_denied(struct gons_error *, int, long, unsigned);
static void target_invalid(struct gons_error *, int, long, unsigned);
static int too_many_threads(struct gons_error *);
static int privileged(int, int);
static int own_capability(int);
static int not_below(int);
static int ns_of(int, long, int);
static int why_missing(int, long, int);
static int proc_exists(long, const char *);
static int fd_id(int, struct id *);
static int same_as_own(int, int);
static int is_process(int);
static int file_system(int);
static long pid_of(int);
static void proc_path(char *, size_t, long, const char *, const char *);
static int sys_open(const char *);
static void sys_close(int);

int
gons_switch(const struct gons_env *env, const struct gons_order *order,
    struct gons_error *error)
{
	struct gons_error local;

	return gons__switch(
	    env, order, error != NULL ? error : &local, 0, NULL);
}

int
gons__switch(const struct gons_env *env, const struct gons_order *order,
    struct gons_error *error, int guard, unsigned *joined)
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
	job.guard = guard;
	job.dumpable = -1;
	for (i = 0; i < GONS_MAXTYPES; i++)
		job.fd[i] = -1;

	if ((result = job_check(&job)) == 0) {
		if (env->target != NULL)
			result = job_target(&job);
		else if ((result = job_early(&job)) == 0)
			result = order->automatic ? job_automatic(&job)
						  : job_sequence(&job);
	}
	for (i = 0; i < GONS_MAXTYPES; i++)
		step_close(&job, i);
	guard_off(&job);
	if (joined != NULL)
		*joined = job.joined;
	if (result == -1) {
		error->joined = job.joined;
		errno = error->errnum;
	}
	return result;
}

/*
 * Everything that can be known to be wrong without the kernel is refused
 * here, before anything is opened or joined.
 */
static int
job_check(const struct job *job)
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

/*
 * With a target, all is joined in one step: there is nothing to open early
 * and no order to find.  The default order was not asked for, so its "!" do
 * not count.
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
 * Who has privileges here but not in the target's user namespace joins that
 * last; who gains his privileges by joining it joins it before the rest.  So:
 * the others as far as they go, then user, then what was refused before.
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
	if (job_round(job, &todo, 0) == -1)
		return -1;
	for (i = 0; i < job->order->nsteps; i++)
		if (job->order->step[i].type == GONS_USER &&
		    job_step(job, i, 0) == -1)
			return -1;
	return job_round(job, &todo, 1);
}

/* Joins what is to do; EPERM is put off, but in the last round. */
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

/* again: EPERM is not the last word, so there is no need to explain it. */
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
		/* "fd:N" is not opened, so this is the first to know. */
		if (errnum == EBADF && gons__fdref(ref) >= 0)
			return fail(job, GONS_STAGE_OPEN, errnum, type, ref);
		(void)fail(job, GONS_STAGE_JOIN, errnum, type, ref);
		if (!again || errnum != EPERM)
			explain_join(job->error, job->fd[i]);
		return -1;
	}
	job->joined |= GONS_BIT(type);
	step_close(job, i);
	return 0;
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
		job->fd[i] = sys_open(ref);
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
	explain_open(job->error);
	return -1;
}

/*
 * A reference that was opened must not be taken for one that the caller names
 * by number: who names it although it was free is mistaken.  Its type, or -1.
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

/* Descriptors that came as "fd:N" belong to the caller. */
static void
step_close(struct job *job, unsigned i)
{
	if (i < job->order->nsteps && job->fd[i] >= 0 &&
	    gons__fdref(job->env->path[job->order->step[i].type]) == -1)
		sys_close(job->fd[i]);
	job->fd[i] = -1;
}

/*
 * One setns(2) for everything.  The pidfd comes first: while it is found
 * alive by that call, nobody else had its PID when namespaces were compared.
 */
static int
job_target(struct job *job)
{
	const char *ref = job->env->target;
	unsigned i, mask = 0;
	long pid = 0;
	int errnum, fd, result;

	if (target_open(job, &fd, &pid) == -1)
		return -1;
	result = 0;
	for (i = 0; !job->whole && i < job->order->nsteps; i++)
		mask |= GONS_BIT(job->order->step[i].type);
	if (job->whole)
		result = target_mask(job, fd, pid, &mask);
	if (result == 0 && mask != 0) {
		guard_on(job);
		result = (int)syscall(SYS_setns, fd, target_flags(mask));
		if (result == 0) {
			job->joined = mask;
		} else {
			errnum = errno;
			(void)fail(job, GONS_STAGE_JOIN, errnum, -1, ref);
			explain_target(job->error, fd, pid, mask);
		}
	}
	if (gons__fdref(ref) == -1)
		sys_close(fd);
	return result == 0 ? 0 : -1;
}

static int
target_open(struct job *job, int *fd, long *pid)
{
	const char *ref = job->env->target;
	int errnum;

	*fd = gons__fdref(ref);
	if (*fd >= 0)
		return target_check(job, *fd);
	if (*fd == -2 || gons__number(ref, INT_MAX, pid) == -1 || *pid == 0)
		return fail(job, GONS_STAGE_OPEN, EINVAL, -1, ref);
	*fd = (int)syscall(SYS_pidfd_open, (pid_t)*pid, 0);
	if (*fd >= 0)
		return 0;
	errnum = errno;
	(void)fail(job, GONS_STAGE_OPEN, errnum, -1, ref);
	if (errnum == ENOSYS)
		job->error->hint = GONS_HINT_KERNEL;
	return -1;
}

/*
 * A descriptor has to be that of a process: with a namespace's, setns(2) would
 * join that one and ignore what else was asked for.
 */
static int
target_check(struct job *job, int fd)
{
	if (is_process(fd))
		return 0;
	if (errno != 0)
		return fail(job, GONS_STAGE_OPEN, errno, -1, job->env->target);
	(void)fail(job, GONS_STAGE_OPEN, EINVAL, -1, job->env->target);
	job->error->hint = GONS_HINT_NOTPIDFD;
	return -1;
}

/* The types in which the target differs from this process. */
static int
target_mask(struct job *job, int pidfd, long pid, unsigned *mask)
{
	int errnum, fd, same, type;

	for (type = 0; type < GONS_NTYPES; type++) {
		fd = ns_of(pidfd, pid, type);
		if (fd == -1 && (errno == EOPNOTSUPP || errno == ENODATA))
			continue; /* the kernel has no such namespaces */
		same = fd == -1 ? -1 : same_as_own(fd, type);
		errnum = errno;
		if (fd != -1)
			sys_close(fd);
		if (same == -1) {
			(void)fail(
			    job, GONS_STAGE_OPEN, errnum, -1, job->env->target);
			if (errnum == ENOENT)
				job->error->hint = GONS_HINT_PROC;
			if (errnum == EINVAL)
				job->error->hint = GONS_HINT_NOTPIDFD;
			return -1;
		}
		if (!same)
			*mask |= GONS_BIT(type);
	}
	/* Nothing to join, so no setns(2) to find out that it has ended. */
	if (*mask == 0 && pid_of(pidfd) == -1 && errno == ESRCH)
		return fail(job, GONS_STAGE_OPEN, ESRCH, -1, job->env->target);
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
 * From the first join on, others may be able to trace this process: those who
 * are privileged in the namespace that it has just entered.
 */
static void
guard_on(struct job *job)
{
	long dumpable;

	if (!job->guard || job->dumpable != -1)
		return;
	dumpable = syscall(SYS_prctl, PR_GET_DUMPABLE, 0, 0, 0, 0);
	if (dumpable == 1 &&
	    syscall(SYS_prctl, PR_SET_DUMPABLE, 0, 0, 0, 0) == 0)
		job->dumpable = (int)dumpable;
	job->guard = 0;
}

static void
guard_off(struct job *job)
{
	if (job->dumpable != -1)
		(void)syscall(
		    SYS_prctl, PR_SET_DUMPABLE, job->dumpable, 0, 0, 0);
}

static int
fail(struct job *job, int stage, int errnum, int type, const char *ref)
{
	gons__error_set(job->error, stage, errnum, type, ref);
	return -1;
}

/*
 * A kernel without a type of namespaces has no such file for any process.
 */
static void
explain_open(struct gons_error *error)
{
	const char *name = gons_type_name(error->type);
	size_t len = gons__strlen(error->what), n = gons__strlen(name);

	if (error->errnum != ENOENT || len <= n ||
	    error->what[len - n - 1] != '/' ||
	    !gons__streq(error->what + len - n, name))
		return;
	if (proc_exists(0, "") && !proc_exists(0, name))
		error->hint = GONS_HINT_KERNEL;
}

static void
explain_join(struct gons_error *error, int fd)
{
	switch (error->errnum) {
	case EINVAL:
		explain_invalid(error, fd);
		break;
	case EPERM:
		if (is_process(fd))
			target_denied(error, fd, 0, GONS_BIT(error->type));
		else
			explain_denied(error, fd, error->type, 1);
		break;
	case EUSERS:
		(void)too_many_threads(error);
		break;
	case ENOSPC:
		explain_limit(error);
		break;
	case ENOSYS:
		error->hint = GONS_HINT_KERNEL;
		break;
	default:
		break;
	}
}

static void
explain_invalid(struct gons_error *error, int fd)
{
	long flag;
	int magic = file_system(fd), type;

	/* No ioctl for what may be any device. */
	if (magic != MAGIC_NSFS) {
		/* a pidfd would do */
		if (magic != -1 && magic != MAGIC_PIDFS &&
		    (magic != MAGIC_ANON ||
			(pid_of(fd) == -1 && errno == EINVAL)))
			error->hint = GONS_HINT_NOTNS;
		return;
	}
	if ((flag = syscall(SYS_ioctl, fd, IOC_NSTYPE)) == -1)
		return; /* an old kernel */
	for (type = 0; type < GONS_NTYPES; type++)
		if (gons_type_flag(type) == flag && type != error->type) {
			error->hint = GONS_HINT_OTHERTYPE;
			error->value = type;
			return;
		}
	if (flag != gons_type_flag(error->type))
		return;
	if (error->type == GONS_USER && same_as_own(fd, GONS_USER) == 1)
		error->hint = GONS_HINT_SAME;
	else if (error->type == GONS_USER || error->type == GONS_MNT)
		(void)too_many_threads(error);
	else if (error->type == GONS_PID && not_below(fd))
		error->hint = GONS_HINT_NOTBELOW;
}

/*
 * What the kernel wants, in its order: CAP_SYS_ADMIN in the user namespace
 * that owns the namespace, the same in the own user namespace, and for mnt
 * CAP_SYS_CHROOT there.  own: whether the last two are wanted.
 */
static void
explain_denied(struct gons_error *error, int fd, int type, int own)
{
	int owner, r;

	if (type == GONS_USER) {
		r = privileged(fd, 0);
	} else {
		owner = (int)syscall(SYS_ioctl, fd, IOC_USERNS);
		if (owner == -1 && errno != EPERM)
			return;
		r = owner == -1 ? 0 : privileged(owner, 1);
		if (owner != -1)
			sys_close(owner);
	}
	if (r == 0) {
		error->hint = GONS_HINT_OWNER;
		error->value = type;
	} else if (r == 1 && own && type != GONS_USER) {
		if (own_capability(CAP_SYS_ADMIN) == 0)
			error->hint = GONS_HINT_SELF;
		else if (type == GONS_MNT &&
			 own_capability(CAP_SYS_CHROOT) == 0)
			error->hint = GONS_HINT_CHROOT;
	}
}

static void
explain_limit(struct gons_error *error)
{
	struct gons__text text;
	char path[64], digits[24];
	long n, limit;
	int fd;

	text.buf = path;
	text.size = sizeof(path);
	text.len = 0;
	gons__text_str(&text, "/proc/sys/user/max_");
	gons__text_str(&text, gons_type_name(error->type));
	gons__text_str(&text, "_namespaces");
	(void)gons__text_end(&text);
	if ((fd = sys_open(path)) == -1)
		return;
	n = file_system(fd) == MAGIC_PROC
		? syscall(SYS_read, fd, digits, sizeof(digits) - 1)
		: -1;
	sys_close(fd);
	if (n < 1)
		return;
	digits[n - 1] = '\0'; /* in place of the newline */
	if (gons__number(digits, LONG_MAX, &limit) == -1)
		return;
	error->hint = GONS_HINT_LIMIT;
	error->value = limit;
}

static void
explain_target(struct gons_error *error, int fd, long pid, unsigned mask)
{
	switch (error->errnum) {
	case EINVAL:
		target_invalid(error, fd, pid, mask);
		break;
	case EPERM:
		target_denied(error, fd, pid, mask);
		break;
	case EUSERS:
		(void)too_many_threads(error);
		break;
	case ENOSYS:
		error->hint = GONS_HINT_KERNEL;
		break;
	default:
		break;
	}
}

/*
 * The kernel does not say which of the namespaces it refused, or whether it
 * was the process itself.  Joining the user namespace with them gives the
 * privileges that are wanted in the own.
 */
static void
target_denied(struct gons_error *error, int pidfd, long pid, unsigned mask)
{
	int fd, own, type;

	own = (mask & GONS_BIT(GONS_USER)) == 0;
	for (type = 0; type < GONS_NTYPES; type++) {
		if ((mask & GONS_BIT(type)) == 0)
			continue;
		if ((fd = ns_of(pidfd, pid, type)) == -1) {
			if (errno == EACCES || errno == EPERM)
				error->hint = GONS_HINT_INSPECT;
			continue;
		}
		explain_denied(error, fd, type, own);
		sys_close(fd);
		if (error->hint != GONS_HINT_NONE)
			return;
	}
}

/*
 * Joining the own uts namespace changes nothing, so it serves to ask whether
 * the kernel takes a pidfd at all.
 */
static void
target_invalid(struct gons_error *error, int pidfd, long pid, unsigned mask)
{
	int fd, self;

	if (pid_of(pidfd) == -1 && errno == EINVAL) {
		error->hint = GONS_HINT_NOTPIDFD;
		return;
	}
	self = (int)syscall(SYS_pidfd_open, (pid_t)syscall(SYS_getpid), 0);
	if (self == -1) {
		if (errno == ENOSYS)
			error->hint = GONS_HINT_KERNEL;
		return;
	}
	if (syscall(SYS_setns, self, CLONE_NEWUTS) == -1 && errno == EINVAL)
		error->hint = GONS_HINT_KERNEL;
	sys_close(self);
	if (error->hint == GONS_HINT_NONE &&
	    (mask & GONS_BIT(GONS_USER)) != 0 &&
	    (fd = ns_of(pidfd, pid, GONS_USER)) != -1) {
		if (same_as_own(fd, GONS_USER) == 1)
			error->hint = GONS_HINT_SAME;
		sys_close(fd);
	}
	if (error->hint == GONS_HINT_NONE &&
	    (mask & (GONS_BIT(GONS_USER) | GONS_BIT(GONS_MNT))) != 0)
		(void)too_many_threads(error);
	if (error->hint == GONS_HINT_NONE && (mask & GONS_BIT(GONS_PID)) != 0 &&
	    (fd = ns_of(pidfd, pid, GONS_PID)) != -1) {
		if (not_below(fd))
			error->hint = GONS_HINT_NOTBELOW;
		sys_close(fd);
	}
}

static int
too_many_threads(struct gons_error *error)
{
	int threads = gons__threads();

	if (threads == 1 || threads == -1)
		return 0;
	error->hint = GONS_HINT_THREADS;
	error->value = threads;
	return 1;
}

/*
 * unshare(2) of the threads is refused to a process that has several, and
 * does nothing for one that has not: it needs neither /proc nor rights.  The
 * number is in /proc, if it is one.
 */
int
gons__threads(void)
{
	struct statx_head st;
	int fd, several, threads = 0;

	several = syscall(SYS_unshare, CLONE_THREAD) == -1 ? errno : 0;
	if (several == 0)
		return 1;
	fd = sys_open("/proc/self/task");
	if (fd != -1 && file_system(fd) == MAGIC_PROC &&
	    syscall(SYS_statx, fd, "", AT_EMPTY_PATH, 0x4, &st) == 0 &&
	    st.nlink > 2)
		threads = (int)st.nlink - 2;
	if (fd != -1)
		sys_close(fd);
	if (threads == 0 && several != EINVAL)
		return -1;
	return threads;
}

/*
 * Has this process CAP_SYS_ADMIN in the user namespace?  1, 0, or -1: cannot
 * be known.  As the kernel does it: the capability itself counts in the own
 * namespace and in those below; and who made a namespace, being in its
 * parent, has it there and below.  That a parent cannot be had marks the own
 * namespace, if inside tells that fd is not above or beside that.
 */
static int
privileged(int fd, int inside)
{
	int depth, parent, r = -1, above;
	uid_t uid;

	parent = (int)syscall(SYS_ioctl, fd, IOC_PARENT);
	if (parent == -1)
		return errno != EPERM ? -1
		       : inside	      ? own_capability(CAP_SYS_ADMIN)
				      : 0;
	if (syscall(SYS_ioctl, fd, IOC_OWNER_UID, &uid) == -1) {
		sys_close(parent);
		return -1;
	}
	for (depth = 0; depth < DEEPEST; depth++) {
		above = (int)syscall(SYS_ioctl, parent, IOC_PARENT);
		if (above == -1) {
			if (errno != EPERM)
				break;
			r = uid == (uid_t)syscall(GETEUID)
				? 1
				: own_capability(CAP_SYS_ADMIN);
			break;
		}
		r = (int)syscall(SYS_ioctl, parent, IOC_OWNER_UID, &uid);
		sys_close(parent);
		parent = above;
		if (r == -1)
			break;
		r = -1;
	}
	sys_close(parent);
	return r;
}

/* Is the capability effective?  1, 0, or -1: cannot be known. */
static int
own_capability(int cap)
{
	struct {
		uint32_t version;
		int pid;
	} head = { CAPS_VERSION, 0 };
	struct {
		uint32_t effective, permitted, inheritable;
	} data[2];

	if (syscall(SYS_capget, &head, data) == -1)
		return -1;
	return (data[cap / 32].effective & 1u << cap % 32) != 0;
}

/* A pid namespace whose parent may not be had is not below the own. */
static int
not_below(int fd)
{
	int parent = (int)syscall(SYS_ioctl, fd, IOC_PARENT);

	if (parent != -1) {
		sys_close(parent);
		return 0;
	}
	return errno == EPERM && same_as_own(fd, GONS_PID) == 0;
}

/*
 * A descriptor for a namespace of a process: by its pidfd (Linux 6.11), or by
 * its files in /proc.  pidfd -1: of this process, pid 0: that of the pidfd.
 */
static int
ns_of(int pidfd, long pid, int type)
{
	static const unsigned char request[GONS_NTYPES] = {
		[GONS_CGROUP] = 1,
		[GONS_IPC] = 2,
		[GONS_MNT] = 3,
		[GONS_NET] = 4,
		[GONS_PID] = 5,
		[GONS_TIME] = 7,
		[GONS_USER] = 9,
		[GONS_UTS] = 10,
	};
	char path[64];
	int fd = -1, self = pidfd;

	if (pidfd == -1)
		self =
		    (int)syscall(SYS_pidfd_open, (pid_t)syscall(SYS_getpid), 0);
	if (self != -1)
		fd = (int)syscall(SYS_ioctl, self, _IO(0xff, request[type]), 0);
	if (self != pidfd)
		sys_close(self);
	if (fd != -1 || (errno != ENOTTY && errno != EINVAL && errno != ENOSYS))
		return fd;
	if (pidfd != -1 && pid == 0 && (pid = pid_of(pidfd)) == -1)
		return -1;
	if (pidfd == -1)
		pid = 0;
	proc_path(path, sizeof(path), pid, "ns/", gons_type_name(type));
	if ((fd = sys_open(path)) == -1 && errno == ENOENT)
		errno = why_missing(pidfd, pid, type);
	return fd;
}

/*
 * A process that has no file for its namespace: is there a /proc, has the
 * kernel such namespaces, has the process ended?  Else it is hidden.
 */
static int
why_missing(int pidfd, long pid, int type)
{
	int fd = sys_open("/proc/self/ns"), magic = file_system(fd);

	if (fd != -1)
		sys_close(fd);
	if (magic != MAGIC_PROC)
		return ENOENT;
	if (!proc_exists(0, gons_type_name(type)))
		return EOPNOTSUPP;
	if (proc_exists(pid, ""))
		return ESRCH;
	return pid_of(pidfd) == -1 ? errno : ENOENT;
}

static int
proc_exists(long pid, const char *name)
{
	char path[64];

	proc_path(path, sizeof(path), pid, "ns/", name);
	return syscall(SYS_faccessat, AT_FDCWD, path, F_OK) == 0;
}

/*
 * Which process is it?  -1 with ENOENT: /proc does not tell, ESRCH: it has
 * ended, EINVAL: it is no process's descriptor.
 */
static long
pid_of(int pidfd)
{
	char path[64], info[512];
	struct gons__text text;
	const char *p, *end;
	long n = -1, pid = 0;
	int fd;

	text.buf = info;
	text.size = sizeof(info);
	text.len = 0;
	gons__text_num(&text, pidfd);
	(void)gons__text_end(&text);
	proc_path(path, sizeof(path), 0, "fdinfo/", info);
	if ((fd = sys_open(path)) != -1) {
		if (file_system(fd) == MAGIC_PROC)
			n = syscall(SYS_read, fd, info, sizeof(info) - 1);
		sys_close(fd);
	}
	errno = n < 1 ? ENOENT : EINVAL;
	info[n < 1 ? 0 : n] = '\0';
	for (p = info; *p != '\0'; p++) {
		if ((p > info && p[-1] != '\n') ||
		    (end = gons__after(p, "Pid:\t")) == NULL)
			continue;
		errno = *end == '-' ? ESRCH : ENOENT;
		for (; *end >= '0' && *end <= '9' && pid < INT_MAX / 10; end++)
			pid = pid * 10 + (*end - '0');
		break;
	}
	return pid > 0 ? pid : -1;
}

/* "/proc/PID/DIR/NAME", PID 0 standing for self. */
static void
proc_path(char *buf, size_t size, long pid, const char *dir, const char *name)
{
	struct gons__text text;

	text.buf = buf;
	text.size = size;
	text.len = 0;
	gons__text_str(&text, "/proc/");
	if (pid == 0)
		gons__text_str(&text, "self");
	else
		gons__text_num(&text, pid);
	gons__text_char(&text, '/');
	gons__text_str(&text, dir);
	gons__text_str(&text, name);
	(void)gons__text_end(&text);
}

/* Is it the namespace that this process is in?  1, 0, or -1 with errno. */
static int
same_as_own(int fd, int type)
{
	struct id id, own;
	int errnum, result, self;

	if ((self = ns_of(-1, 0, type)) == -1)
		return -1;
	result = fd_id(fd, &id) == -1 || fd_id(self, &own) == -1 ? -1 : 0;
	errnum = errno;
	sys_close(self);
	errno = errnum;
	if (result == -1)
		return -1;
	return id.ino == own.ino && id.major == own.major &&
	       id.minor == own.minor;
}

static int
fd_id(int fd, struct id *id)
{
	struct statx_head st;

	if (syscall(SYS_statx, fd, "", AT_EMPTY_PATH, 0x100, &st) == -1)
		return -1;
	id->ino = st.ino;
	id->major = st.dev_major;
	id->minor = st.dev_minor;
	return 0;
}

/* A pidfd, for all that its file system tells; if not, errno may be 0. */
static int
is_process(int fd)
{
	int magic;

	errno = 0;
	magic = file_system(fd);
	return magic == MAGIC_PIDFS || magic == MAGIC_ANON;
}

/* What kind of file system a file is on, -1 if that cannot be known. */
static int
file_system(int fd)
{
	struct statfs st;

	if (syscall(SYS_fstatfs, fd, &st) == -1)
		return -1;
	return (int)st.f_type;
}

static int
sys_open(const char *path)
{
	return (int)syscall(SYS_openat, AT_FDCWD, path, OPEN_FLAGS);
}

static void
sys_close(int fd)
{
	(void)syscall(SYS_close, fd);
}
