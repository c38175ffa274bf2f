/*
 * SPDX-License-Identifier: BSD-2-Clause
 *
 * Copyright (c) 2026 The libgons developers
 *
 * What the parts of switch.o share.  An arrow is "calls":
 *
 *	switch.c --> switch_explain.c --> switch_ns.c --> switch_proc.c
 *
 * Functions that open something return a descriptor or -errno.
 */

#ifndef GONS_SWITCH_H
#define GONS_SWITCH_H

#include "internal.h"

#define NR_pidfd_open NEWER(434)
#define NR_openat2 NEWER(437)
#define OF_THREAD O_EXCL /* PIDFD_THREAD, Linux 6.9 */

/*
 * The caller's view of /proc.  It is opened when it is first needed, which is
 * never if all goes well.
 */
struct view {
	int tried;
	int proc; /* as gons__proc_open() returned it */
};

/* switch_ns.c: the namespaces and processes of descriptors */
GONS_INTERNAL void gons__view_begin(struct view *view);
GONS_INTERNAL void gons__view_end(struct view *view);
GONS_INTERNAL int gons__view_proc(struct view *view);
/*
 * A pidfd of the calling thread.  Before Linux 6.9 only the main thread has
 * one, that of its process: EINVAL for the others.
 */
GONS_INTERNAL int gons__own_pidfd(void);
/* The namespace that the calling thread is in. */
GONS_INTERNAL int gons__ns_own(struct view *view, int type);
/*
 * That of the process or thread of a pidfd.  EOPNOTSUPP, ENODATA: the kernel
 * has no such namespaces; ESRCH: it has ended; EACCES, EPERM: it must not be
 * inspected; EINVAL: it is no pidfd; ENOENT: there is no way to know.
 */
GONS_INTERNAL int gons__ns_of(struct view *view, int pidfd, int type);
/* Is it the namespace that the calling thread is in?  1, 0, or -errno. */
GONS_INTERNAL int gons__ns_same(struct view *view, int fd, int type);
/* The type of a namespace, or -1: it is none, or cannot be known. */
GONS_INTERNAL int gons__ns_type(struct view *view, int fd);
/* Is it a file of the kernel's for namespaces?  1, 0, or -errno. */
GONS_INTERNAL int gons__is_ns(struct view *view, int fd);
/*
 * Is it a pidfd, as far as can be known: 0, or an errno value, EINVAL if it is
 * certainly none.
 */
GONS_INTERNAL int gons__check_pidfd(struct view *view, int fd);
/* The number of the process or thread of a pidfd, or -errno as above. */
GONS_INTERNAL long gons__pid_of(struct view *view, int pidfd);
/* The process that a thread belongs to, or -errno. */
GONS_INTERNAL long gons__process_of(struct view *view, long tid);
/* Does "/proc/PID/DIR/NAME" exist?  PID 0: of the calling thread. */
GONS_INTERNAL int gons__proc_has(
    struct view *view, long pid, const char *dir, const char *name);
/* The first line of a file below /proc, without its end; its length or -1. */
GONS_INTERNAL long gons__proc_read(
    struct view *view, const char *path, char *buf, size_t size);
GONS_INTERNAL void gons__close(int fd);

/* switch_explain.c: why something failed; sets the hint and its number */
GONS_INTERNAL void gons__explain_open(
    struct view *view, struct gons_error *error);
GONS_INTERNAL void gons__explain_join(
    struct view *view, struct gons_error *error, int fd);
/* With a target, of which the types in mask were to be joined. */
GONS_INTERNAL void gons__explain_target(
    struct view *view, struct gons_error *error, int pidfd, unsigned mask);
GONS_INTERNAL int gons__explain_threads(struct gons_error *error);

#endif /* GONS_SWITCH_H */
