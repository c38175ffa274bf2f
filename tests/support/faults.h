/*
 * SPDX-License-Identifier: BSD-2-Clause
 *
 * Copyright (c) 2026 The libgons developers
 *
 * Every system call and every allocation that the library issues fails once:
 * the first, the second, until there is none left; see h_fault.c for what is
 * looked at after each.
 *
 * System calls fail by a seccomp filter that asks this process, in the helper
 * program and in all that it starts, so that raw calls are covered as well as
 * libc's.  Each point is tried with an errno that is likely for that call,
 * with ENOSYS, as old kernels and other people's filters have it, and with
 * EINTR if the call can be interrupted, which must change nothing.
 *
 * These calls are let through: those that libc alone makes before main, and
 * could not do without; close(2), which releases the descriptor whatever it
 * returns; 62 of 64 calls of rt_sigaction(2); getpid(2) and others, which cannot
 * fail.  Waiting and killing get EINTR only: a false ECHILD would be believed.
 *
 * Allocations fail in the helper program, which is linked with --wrap.
 */

#ifndef FAULTS_H
#define FAULTS_H

#include <atf-c.h>

#define MOST 1000 /* points of one kind */

enum who {
	HOST,
	CHILD_OF_HOST
};
enum mode {
	LIKELY,
	MISSING,
	INTERRUPTED,
	NMODES
};

struct plan { /* what to start, and what to let fail */
	const char *args[5];
	const char *env[8];
	int fd; /* to inherit as descriptor 7, or -1 */
	int from_start; /* faults before main */
	enum who who;
	enum mode mode;
	int errnum; /* of LIKELY: not what is likely, but that; 0: likely */
	int silent; /* nothing goes to stderr */
	long nth; /* 0: none */
	char alloc[32]; /* FAULT_ALLOC=... */
};

struct outcome {
	long counted;
	long hit; /* the system call that failed, or -1 */
	int hung;
	int status;
	char out[8192], err[4096];
};

extern char helper[4096];
extern long points[3]; /* that were tried: likely, missing, interrupted */
extern long allocs;
extern long pipes; /* points where a supervisor got none */

void play(const struct plan *plan, struct outcome *o);

/* What must hold whatever has failed. */
void check(const struct plan *plan, const struct outcome *o);

/*
 * All kinds of failure at all points of the host and, with two processes, of its
 * child.
 */
void all_modes(struct plan *plan, int processes);

/* All allocations of the host, and of the child. */
void all_allocations(struct plan *plan);
void report(void);
int is_counting(void);
void begin(const atf_tc_t *tc);

#endif /* FAULTS_H */
