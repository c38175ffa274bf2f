/*
 * SPDX-License-Identifier: BSD-2-Clause
 *
 * Copyright (c) 2026 The libgons developers
 *
 * Explaining: why could something not be opened or joined?  The kernel has
 * said no more than an errno value.  A hint is given only if it is certain, so
 * whatever cannot be found out, on an old kernel, without /proc, or because a
 * filter refuses the question, leaves the error as it is.
 */

#include <sys/ioctl.h>
#include <sys/syscall.h>

#include <errno.h>
#include <limits.h>
#include <sched.h>
#include <unistd.h>

#include "switch.h"

#define IOC_USERNS _IO(0xb7, 0x1) /* NS_GET_USERNS */
#define IOC_PARENT _IO(0xb7, 0x2) /* NS_GET_PARENT */
#define IOC_NSTYPE _IO(0xb7, 0x3) /* NS_GET_NSTYPE */
#define IOC_OWNER_UID _IO(0xb7, 0x4) /* NS_GET_OWNER_UID */
#define CAPS_VERSION 0x20080522 /* _LINUX_CAPABILITY_VERSION_3 */
#define CAP_SYS_CHROOT 18
#define CAP_SYS_ADMIN 21
#ifdef SYS_geteuid32
#define GETEUID SYS_geteuid32
#else
#define GETEUID SYS_geteuid
#endif
#define DEEPEST 64 /* the kernel nests user namespaces 33 deep */

/*
 * A number is that of a process, perhaps.  A kernel without a type of namespaces
 * has no such file for any process.
 */
void
gons__explain_open(struct view *view, struct gons_error *error)
{
	const char *name = gons_type_name(error->type);
	size_t len = gons__strlen(error->what), n = gons__strlen(name);
	long number;

	if (error->errnum == ENOENT &&
	    gons__number(error->what, INT_MAX, &number) == 0)
		error->hint = GONS_HINT_FORM;
	if (error->errnum != ENOENT || len <= n ||
	    error->what[len - n - 1] != '/' ||
	    !gons__streq(error->what + len - n, name))
		return;
	if (gons__proc_has(view, 0, "ns", "user") &&
	    !gons__proc_has(view, 0, "ns", name))
		error->hint = GONS_HINT_KERNEL;
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

/*
 * Has this process CAP_SYS_ADMIN in the user namespace?  1, 0, or -1: cannot
 * be known.  The kernel's rules: the capability itself counts in the own
 * namespace and in those below; and the user who made a namespace, being in
 * its parent, has it there and below.  That a parent cannot be had marks the
 * own namespace, if inside tells that fd is not above or beside that.
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
		gons__close(parent);
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
		gons__close(parent);
		parent = above;
		if (r == -1)
			break;
		r = -1;
	}
	gons__close(parent);
	return r;
}

/*
 * What the kernel wants, in its order: CAP_SYS_ADMIN in the user namespace
 * that owns the namespace, the same in the own user namespace, and for mnt
 * CAP_SYS_CHROOT there.  own: whether the last two are wanted.  EPERM is an
 * answer to these questions, and must not be that of a filter to all of them.
 */
static void
explain_denied(struct gons_error *error, int fd, int type, int own)
{
	int owner, r;

	if (syscall(SYS_ioctl, fd, IOC_NSTYPE) == -1 && errno == EPERM)
		return;
	if (type == GONS_USER) {
		r = privileged(fd, 0);
	} else {
		owner = (int)syscall(SYS_ioctl, fd, IOC_USERNS);
		if (owner == -1 && errno != EPERM)
			return;
		r = owner == -1 ? 0 : privileged(owner, 1);
		gons__close(owner);
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

int
gons__explain_threads(struct gons_error *error)
{
	int threads = gons__threads();

	if (threads == 1 || threads == -1)
		return 0;
	error->hint = GONS_HINT_THREADS;
	error->value = threads;
	return 1;
}

/* A pid namespace whose parent may not be had is not below the own. */
static int
not_below(struct view *view, int fd)
{
	int parent = (int)syscall(SYS_ioctl, fd, IOC_PARENT);

	if (parent != -1) {
		gons__close(parent);
		return 0;
	}
	return errno == EPERM && syscall(SYS_ioctl, fd, IOC_NSTYPE) != -1 &&
	       gons__ns_same(view, fd, GONS_PID) == 0;
}

static void
explain_limit(struct view *view, struct gons_error *error)
{
	struct gons__text text;
	char path[64], digits[24];
	long limit;

	text.buf = path;
	text.size = sizeof(path);
	text.len = 0;
	gons__text_str(&text, "sys/user/max_");
	gons__text_str(&text, gons_type_name(error->type));
	gons__text_str(&text, "_namespaces");
	(void)gons__text_end(&text);
	if (gons__proc_read(view, path, digits, sizeof(digits)) == -1 ||
	    gons__number(digits, LONG_MAX, &limit) == -1)
		return;
	error->hint = GONS_HINT_LIMIT;
	error->value = limit;
}

/*
 * The namespace, of that type, is the own user namespace, or in a process with
 * threads it cannot be joined, or it is not below the own.
 */
static void
explain_place(struct view *view, struct gons_error *error, int fd, int type)
{
	if (type == GONS_USER && gons__ns_same(view, fd, GONS_USER) == 1)
		error->hint = GONS_HINT_SAME;
	else if (type == GONS_USER || type == GONS_MNT)
		(void)gons__explain_threads(error);
	else if (type == GONS_PID && not_below(view, fd))
		error->hint = GONS_HINT_NOTBELOW;
}

static void
explain_invalid(struct view *view, struct gons_error *error, int fd)
{
	int ns, type;

	if (gons__is_ns(view, fd) == 1) {
		type = gons__ns_type(view, fd);
		if (type != -1 && type != error->type) {
			error->hint = GONS_HINT_OTHERTYPE;
			error->value = type;
		} else if (type != -1) {
			explain_place(view, error, fd, type);
		}
		return;
	}
	switch (gons__check_pidfd(view, fd)) {
	case 0: /* which would do, if it is one */
		if (gons__pid_of(view, fd) == -EINVAL) {
			error->hint = GONS_HINT_NOTNS;
		} else if ((ns = gons__ns_of(view, fd, error->type)) >= 0) {
			explain_place(view, error, ns, error->type);
			gons__close(ns);
		}
		break;
	case EINVAL:
		if (gons__is_ns(view, fd) == 0)
			error->hint = GONS_HINT_NOTNS;
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
target_denied(
    struct view *view, struct gons_error *error, int pidfd, unsigned mask)
{
	int fd, own, type;

	own = (mask & GONS_BIT(GONS_USER)) == 0;
	for (type = 0; type < GONS_NTYPES; type++) {
		if ((mask & GONS_BIT(type)) == 0)
			continue;
		if ((fd = gons__ns_of(view, pidfd, type)) < 0) {
			if (fd == -EACCES || fd == -EPERM)
				error->hint = GONS_HINT_INSPECT;
			continue;
		}
		explain_denied(error, fd, type, own);
		gons__close(fd);
		if (error->hint != GONS_HINT_NONE)
			return;
	}
}

/*
 * Is it certain that the kernel takes no pidfd?  Joining the thread's own uts
 * namespace changes nothing, so it serves to ask.
 */
static int
takes_no_pidfd(void)
{
	int no, self;

	if ((self = gons__own_pidfd()) < 0)
		return self == -ENOSYS;
	no = syscall(SYS_setns, self, CLONE_NEWUTS) == -1 && errno == EINVAL;
	gons__close(self);
	return no;
}

static void
target_invalid(
    struct view *view, struct gons_error *error, int pidfd, unsigned mask)
{
	static const int types[] = { GONS_USER, GONS_MNT, GONS_PID };
	unsigned i;
	int fd;

	if (gons__pid_of(view, pidfd) == -EINVAL) {
		error->hint = GONS_HINT_NOTPIDFD;
		return;
	}
	if (takes_no_pidfd()) {
		error->hint = GONS_HINT_KERNEL;
		return;
	}
	for (i = 0; i < 3 && error->hint == GONS_HINT_NONE; i++) {
		if ((mask & GONS_BIT(types[i])) == 0)
			continue;
		fd = gons__ns_of(view, pidfd, types[i]);
		if (fd >= 0)
			explain_place(view, error, fd, types[i]);
		else if (types[i] != GONS_PID)
			(void)gons__explain_threads(error);
		gons__close(fd);
	}
}

void
gons__explain_join(struct view *view, struct gons_error *error, int fd)
{
	switch (error->errnum) {
	case EINVAL:
		explain_invalid(view, error, fd);
		break;
	case EPERM:
		if (gons__is_ns(view, fd) == 1)
			explain_denied(error, fd, error->type, 1);
		else if (gons__check_pidfd(view, fd) == 0)
			target_denied(view, error, fd, GONS_BIT(error->type));
		break;
	case EUSERS:
		(void)gons__explain_threads(error);
		break;
	case ENOSPC:
		explain_limit(view, error);
		break;
	case ENOSYS:
		error->hint = GONS_HINT_KERNEL;
		break;
	default:
		break;
	}
}

void
gons__explain_target(
    struct view *view, struct gons_error *error, int pidfd, unsigned mask)
{
	switch (error->errnum) {
	case EINVAL:
		target_invalid(view, error, pidfd, mask);
		break;
	case EPERM:
		target_denied(view, error, pidfd, mask);
		break;
	case EUSERS:
		(void)gons__explain_threads(error);
		break;
	case ENOSYS:
		error->hint = GONS_HINT_KERNEL;
		break;
	default:
		break;
	}
}
