/*
 * SPDX-License-Identifier: BSD-2-Clause
 *
 * Copyright (c) 2026 The libgons developers
 *
 * What the tests of switch.o share.  What variables ask for is tried twice, by
 * a program that is started with them (mode 0), and by one that calls
 * gons_switch(3) with the same (mode 1); the kernel is the judge.
 */

#ifndef SW_H
#define SW_H

#include <atf-c.h>

#include <gons.h>

#include "helpers.h"
#include "internal.h"

#define NR_fsopen NEWER(430)
#define NR_openat2 NEWER(437)

#define USERNET (CLONE_NEWUSER | CLONE_NEWNET)
#define ALL_TYPES 0xffu
#define CAP_SYS_CHROOT 18
#define CAP_SYS_ADMIN 21
#define ANY (-999) /* a number that the contract leaves open */

#define JOINED(r, mask, t) expect_joined(tc, r, mask, t)
#define FAILS(r, stage, errnum, type, hint, text) \
	expect_failure(tc, r, stage, errnum, type, hint, 0, text)
#define FAILS_AFTER(r, stage, errnum, type, hint, joined, text) \
	expect_failure(tc, r, stage, errnum, type, hint, joined, text)

/* Runs h_ns, which has to come to its end. */
void start(const atf_tc_t *, struct program *, int mode);
/* It joins those namespaces of the target, and no others. */
void expect_joined(
    const atf_tc_t *, struct program *, unsigned mask, const struct target *);
/* It fails in this way, and its message contains text. */
void expect_failure(const atf_tc_t *, struct program *, int stage, int errnum,
    int type, int hint, unsigned joined, const char *text);
/* Start-up has closed what it was given; gons_switch(3) leaves it open. */
void check_fds(struct program *, int mode);
int open_ref(const char *path);
/* Sets gons_TYPE for the types in mask. */
void set_refs(struct program *, unsigned mask, const struct target *);
/* Hides /proc in the own mount namespace; a descriptor of the real one. */
int hide_proc(void);
void put_file(const char *path, const char *text);

/*
 * For children: another thread of the process is asked about each call of one
 * kind that this thread makes from now on.
 */
void meddle(long nr);
/* Of the next calls so many fail. */
void meddle_fail(int errnum, int times);
/* Standard input is closed while the next call is made. */
void meddle_close(void);
/* The other thread calls that function while the nth call from now is made. */
void meddle_then(int nth, void (*what)(void));
/* How many calls there were since this was asked last. */
int meddled(void);

#endif /* SW_H */
