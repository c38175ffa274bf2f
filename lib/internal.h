/*
 * SPDX-License-Identifier: BSD-2-Clause
 *
 * Copyright (c) 2026 The libgons developers
 *
 * What the objects of libgons share with each other and with nobody else, by
 * the object that provides it.  An object uses only what the arrows allow:
 *
 *	reexec.o --> status.o --> switch.o --> order.o --> envparse.o
 *	reexec.o --> covmerge.o
 *	visit.o  --> switch.o
 *
 * What start-up may reach runs before libc is initialised: in envparse.c,
 * order.c, switch.c and status.c nothing of libc is called but syscall(2) and
 * getauxval(3), except in functions that say so.
 */

#ifndef GONS_INTERNAL_H
#define GONS_INTERNAL_H

#include <sys/stat.h>
#include <sys/syscall.h>

#include <stddef.h>

#include <gons.h>

/*
 * Newer calls have the same number everywhere, but for a base; headers
 * may be older than the kernel.
 */
#if defined(__NR_Linux) /* MIPS */
#define NEWER(nr) (__NR_Linux + (nr))
#elif defined(__alpha__)
#define NEWER(nr) (110 + (nr))
#elif defined(__x86_64__) && defined(__ILP32__)
#define NEWER(nr) (__X32_SYSCALL_BIT + (nr))
#else
#define NEWER(nr) (nr)
#endif

#ifndef STATX_TYPE /* musl before 1.2.4 leaves it to its users */
#define STATX_TYPE 0x1
#define STATX_INO 0x100
#define AT_STATX_DONT_SYNC 0x4000
struct statx {
	uint32_t stx_mask, stx_blksize;
	uint64_t stx_attributes;
	uint32_t stx_nlink, stx_uid, stx_gid;
	uint16_t stx_mode, stx_spare;
	uint64_t stx_ino, stx_size, stx_blocks, stx_attributes_mask;
	uint64_t stx_times[8];
	uint32_t stx_rdev_major, stx_rdev_minor, stx_dev_major, stx_dev_minor;
	uint64_t stx_more[14];
};
#endif

/* Shared between objects, not exported: hidden in programs as well. */
#define GONS_INTERNAL __attribute__((visibility("hidden")))

#define GONS_FDREF "fd:"

/* Text of bounded length, built piece by piece as snprintf(3) does. */
struct gons__text {
	char *buf; /* may be NULL if size is 0 */
	size_t size; /* room, with the NUL */
	size_t len; /* length so far, with the part that did not fit */
};

/* envparse.o */
GONS_INTERNAL size_t gons__strlen(const char *);
GONS_INTERNAL int gons__streq(const char *, const char *);
/* The rest of text if it begins with prefix, or NULL. */
GONS_INTERNAL const char *gons__after(const char *text, const char *prefix);
/* Decimal digits only, up to max; 0 or -1. */
GONS_INTERNAL int gons__number(const char *text, long max, long *number);
/* N of "fd:N"; -1: not of that form; -2: of that form, but nonsense. */
GONS_INTERNAL int gons__fdref(const char *ref);
GONS_INTERNAL void gons__zero(void *, size_t);
/* As memcpy(3) and strlcpy(3), except that the latter returns nothing. */
GONS_INTERNAL void gons__copy(void *, const void *, size_t);
GONS_INTERNAL void gons__strcopy(char *, const char *, size_t);
struct gons__asked { /* what one walk over an environment finds */
	struct gons_env env;
	int count; /* variables that are set, not empty */
	unsigned seen; /* a bit for each variable, also of those */
	int first; /* if count is not 0: the first, for gons__varname() */
	char *last; /* the last entry that is a variable of ours; or NULL */
	const char *unknown; /* the first "gons_...=value" that is none */
	char **end; /* where the environment ended before */
};
/* "net", "order" and so on; NULL: there is no such variable.  Static. */
GONS_INTERNAL const char *gons__varname(int var);
/*
 * Removes the variables from the environment, in one walk.  The places between
 * what it returns and asked->end are free then.  NULL: there was none, asked
 * is not set.
 */
GONS_INTERNAL char **gons__envtake(char **envp, struct gons__asked *asked);
/* An empty error, with the type and the offending text (may be NULL). */
GONS_INTERNAL void gons__error_set(
    struct gons_error *, int stage, int errnum, int type, const char *what);
GONS_INTERNAL void gons__text_char(struct gons__text *, char);
GONS_INTERNAL void gons__text_str(struct gons__text *, const char *);
GONS_INTERNAL void gons__text_num(struct gons__text *, int64_t);
/* With control characters and invalid UTF-8 escaped: one line always. */
GONS_INTERNAL void gons__text_safe(struct gons__text *, const char *, size_t);
GONS_INTERNAL void gons__text_errno(struct gons__text *, int errnum);
/* Ends the text and returns its length as snprintf(3) would. */
GONS_INTERNAL int gons__text_end(struct gons__text *);

/* order.o */
/* Could gons_order_parse() have made it? */
GONS_INTERNAL int gons__order_valid(const struct gons_order *);

/* switch.o */
#define GONS__SWITCH_GUARD 0x1u /* undumpable from the first join to the end */
#define GONS__SWITCH_SINGLE 0x2u /* the process is known to have one thread */
/*
 * As gons_switch(), with an error that is not NULL, and the mask of what was
 * joined, also by a call that fails.  With GONS__SWITCH_GUARD nobody may trace
 * the process or read its memory from the first join until all is done.
 */
GONS_INTERNAL int gons__switch(const struct gons_env *,
    const struct gons_order *, struct gons_error *, unsigned flags,
    unsigned *joined);
/* Threads of this process; 0: several, -1: there is no way to know. */
GONS_INTERNAL int gons__threads(void);
/*
 * Is the calling thread one that gons_visit() made, or a forked copy of one?
 * Such a thread says so itself, before anything else.
 */
GONS_INTERNAL int gons__in_visit(void);
GONS_INTERNAL void gons__visit_begin(void);

/*
 * The one trusted /proc.  Functions that open something return a descriptor,
 * close-on-exec and the caller's, or -errno; errno itself means nothing then.
 * Since Linux 6.8 nothing in them waits for a file system that somebody else
 * serves.  Before, only fstatfs(2) can tell such a one from procfs.
 */
/*
 * The root directory of a genuine procfs, opened with O_PATH: what is mounted
 * on /proc, or, if that is false or something hides this process in it, a new
 * one where the caller may make that.  The numbers of processes in it are
 * those of whoever mounted it.  ENOENT: there is none to be had.
 */
GONS_INTERNAL int gons__proc_open(void);
/*
 * A new one in any case, which nobody else can reach: nothing can be mounted
 * in it, so its magic links need no second look.  EPERM, ENOSYS.
 */
GONS_INTERNAL int gons__proc_private(void);
/*
 * Is the descriptor still one of those that gons__proc_open() returned?  1: a
 * genuine procfs, 0: something else has the number, or nothing.  Of many that
 * were opened it may forget the oldest: then open another.
 */
GONS_INTERNAL int gons__proc_valid(int proc);
/*
 * A plain file or directory below it, "self/status", with the flags of
 * open(2) that need no mode.  EXDEV: something is mounted over it; ELOOP: it
 * is a magic link.
 */
GONS_INTERNAL int gons__proc_file(int proc, const char *path, int flags);
/* Is this descriptor's file that one, by device and inode? */
GONS_INTERNAL int gons__proc_is(int fd, const struct statx *want);
/*
 * Follows a magic link below it: "self/exe", "self/fd/3", "7/ns/net".  The
 * file has to be the one of which want has device and inode; NULL: the path
 * ends in "/ns/TYPE", and it has to be a namespace.  EXDEV: it is not, for
 * something is mounted over the link.  Opens with O_NONBLOCK unless flags have
 * O_PATH: take that if the file may be one whose open(2) blocks.
 */
GONS_INTERNAL int gons__proc_link(
    int proc, const char *path, int flags, const struct statx *want);

/* status.o */
#define GONS__NAME_MAX 255 /* bytes of the name of an action */
enum { /* descriptors of a re-executed child's own */
	GONS__FD_TELL, /* pipe: what it tells the host */
	GONS__FD_REPLY, /* pipe: with GONS_REEXEC_REPLY */
	GONS__FD_COVERAGE,
	GONS__FD_PROFILE,
	GONS__FD_HOST, /* pidfd of the host */
	GONS__FD_ORDERS, /* socket: to a supervisor or a prepared process */
	GONS__FD_FDS, /* socket: descriptors of the reply */
	GONS__NFDS
};
#define GONS__PREPARE 0x40000000u /* flag: be a prepared process */
struct gons__action { /* what gons_reexec_action says */
	unsigned flags;
	int fd[GONS__NFDS]; /* -1: none */
	char name[GONS__NAME_MAX + 1]; /* empty: the value was malformed */
};
/* The action of a re-executed child; NULL in any other process. */
GONS_INTERNAL const struct gons__action *gons__status_action(void);
/* Start-up with another environment, as if the program had executed itself. */
GONS_INTERNAL void gons__status_again(char **envp);
/* Is it a re-executed child whose variables another copy has consumed? */
GONS_INTERNAL int gons__status_stolen(void);

/* reexec.o: for libgons_json alone, therefore exported */
/*
 * Something that belongs to the outcome of the request, and how to free it,
 * which happens when the request is started again or freed; replaces what was
 * attached before, NULL to have nothing.
 */
void gons__reexec_attach(
    struct gons_reexec *, void *what, void (*detach)(void *));
void *gons__reexec_attached(const struct gons_reexec *);
/* Has it been started, and is there no outcome yet? */
int gons__reexec_running(const struct gons_reexec *);
/* In the callback of gons_reexec_setcomplete(), before -1: why. */
void gons__reexec_reject(struct gons_reexec *, const char *why);
/*
 * Sets the request's text, and its failure unless that is GONS_FAIL_NONE.
 * Returns -1, with errno set.
 */
int gons__reexec_fail(
    struct gons_reexec *, int failure, int errnum, const char *why);

/* covmerge.o: for reexec.o; see the comments there */
struct gons__cov; /* the coverage of one child, on its parent's side */

/*
 * Parent, once, in gons_reexec_check(): the program's own file, open for
 * reading and the caller's, -1 if it cannot be had; own: root and mount
 * namespace are those in which the program was executed.  Later calls do
 * nothing.  errno is kept.
 */
GONS_INTERNAL void gons__cov_init(int exe, int own);
/*
 * Can a fork count for itself?  If nobody knows where this compiler counts, it
 * cannot, and code of actions counts in children that are executed alone.
 */
GONS_INTERNAL int gons__cov_forkable(void);
/*
 * Parent, before a start: a place for the child's data, or NULL if there is
 * none to have (not instrumented, turned off, any failure: no run depends on
 * coverage).  The descriptors to inherit come in fd, -1 where there is none;
 * they are close-on-exec, at least 3, and owned by the result.  errno is kept.
 */
GONS_INTERNAL struct gons__cov *gons__cov_new(int fd[2]);
/*
 * Parent, before a start that executes: changes the child's environment, an
 * array of borrowed strings with room for one more.  gons__cov_child() undoes
 * it in the child.  Accepts NULL as the first; not needed for a fork.
 */
GONS_INTERNAL void gons__cov_env(struct gons__cov *, char *envp[]);
/*
 * Parent, once the child runs: the descriptors are no longer needed here.
 * Accepts NULL.
 */
GONS_INTERNAL void gons__cov_started(struct gons__cov *);
/*
 * Child, in gons_reexec_check(): the descriptors as inherited, -1 where there
 * is none; they become close-on-exec and stay open.  To be called with none as
 * well: an instrumented child must leave nothing where it goes.  From now on the data goes
 * there at exit, also when SIGTERM ends the child.  forked: the child is a
 * fork of a process that has counted before, which is not to be told again.
 * In a fork the descriptors of its parent's are closed.
 */
GONS_INTERNAL void gons__cov_child(const int fd[2], int forked);
/*
 * Child, in an exit handler: the signal (SIGTERM) that exit(3) was called for,
 * to be told to the parent in place of the exit status; or 0.
 */
GONS_INTERNAL int gons__cov_signal(void);
/*
 * Parent, when the child has ended: merge what it left, and leave nothing
 * behind.  It takes so many ms at most: what is not merged then is lost, and
 * what is not removed is left to the next process.  Accepts NULL.  errno is
 * kept.
 */
#define GONS__COV_MS 1000 /* of one run */
GONS_INTERNAL void gons__cov_collect(struct gons__cov *, int ms);
/*
 * A forked copy of the parent gives up its share: nothing on disk changes.
 */
GONS_INTERNAL void gons__cov_drop(struct gons__cov *);

#endif /* GONS_INTERNAL_H */
