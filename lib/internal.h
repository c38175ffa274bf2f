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
 *
 * What start-up may reach runs before libc is initialised: in envparse.c,
 * order.c, switch.c and status.c nothing of libc is called but syscall(2) and
 * getauxval(3), except in functions that say so.
 */

#ifndef GONS_INTERNAL_H
#define GONS_INTERNAL_H

#include <stddef.h>

#include <gons.h>

/* Shared between objects, not exported: hidden in programs as well. */
#define GONS_INTERNAL __attribute__((visibility("hidden")))

#define GONS_FDREF "fd:"

/* Text of bounded length, built piece by piece as snprintf(3) does. */
struct gons__text {
	char *buf; /* may be NULL if size is 0 */
	size_t size; /* room, with the NUL */
	size_t len; /* length so far, also of what did not fit */
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
/* Which variable is it, "NAME=value"; -1: none of ours. */
GONS_INTERNAL int gons__envname(const char *entry);
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
/*
 * As gons_switch(), with an error that is not NULL, and the mask of what was
 * joined, also by a call that fails.  guard: nobody may trace the process or
 * read its memory from the first join until all is done.
 */
GONS_INTERNAL int gons__switch(const struct gons_env *,
    const struct gons_order *, struct gons_error *, int guard,
    unsigned *joined);
/* Threads of this process; 0: several, -1: there is no way to know. */
GONS_INTERNAL int gons__threads(void);

/* status.o */
#define GONS__NAME_MAX 255 /* bytes of the name of an action */
enum { /* descriptors of a re-executed child's own */
	GONS__FD_CONTROL,
	GONS__FD_REPLY,
	GONS__FD_COVERAGE,
	GONS__FD_PROFILE,
	GONS__FD_HOST,
	GONS__NFDS
};
struct gons__action { /* what gons_reexec_action says */
	unsigned flags;
	int fd[GONS__NFDS]; /* -1: none */
	char name[GONS__NAME_MAX + 1]; /* empty: the value was malformed */
};
/* What a re-executed child has to do; NULL in a process that is none. */
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
 * Is the program instrumented, and coverage not turned off?
 */
GONS_INTERNAL int gons__cov_active(void);
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
 * is none; they become close-on-exec and stay open.  From now on the data goes
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
 * behind.  Accepts NULL.  errno is kept.
 */
GONS_INTERNAL void gons__cov_collect(struct gons__cov *);
/*
 * A forked copy of the parent gives up its share: nothing on disk changes.
 */
GONS_INTERNAL void gons__cov_drop(struct gons__cov *);

#endif /* GONS_INTERNAL_H */
