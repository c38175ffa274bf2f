/*
 * SPDX-License-Identifier: BSD-2-Clause
 *
 * Copyright (c) 2026 The libgons developers
 */

#ifndef STAYS_H
#define STAYS_H

#include <sys/types.h>

#include <gons.h>

/* A request of the action "obey" whose child stays. */
struct gons_reexec *stay_new(unsigned flags);
/* The next run is to do that: a word, and a rest. */
void stay_order(struct gons_reexec *, const char *what);
/* Its result, which it has to have; valid until the next run. */
const char *stay_says(struct gons_reexec *, const char *what);
/* Runs it for the n-th time in its process; returns that. */
pid_t stay_counts(struct gons_reexec *, int n);
int stay_is_there(pid_t);
/* It fails, and the text has those words, as with rx_fails(). */
void stay_fails(struct gons_reexec *, const char *what, int failure, int errnum,
    const char *words);

#endif /* STAYS_H */
