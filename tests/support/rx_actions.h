/*
 * SPDX-License-Identifier: BSD-2-Clause
 *
 * Copyright (c) 2026 The libgons developers
 *
 * Actions that several tests of re-execution have, and what they say.
 */

#ifndef RX_ACTIONS_H
#define RX_ACTIONS_H

#include <stddef.h>

#include <gons.h>

#define MIB ((size_t)1 << 20)

int answer(void);
int echo(void);
int print_pid(void);
int stay(void);
int whoami(void);
/* The same without a look at /proc. */
int whoami_less(void);
/* Waits until all processes that were given up have ended; reaps them. */
void all_end(void);

/* As many bytes as the variable SIZE says, in a pattern. */
size_t wanted_size(void);
char *pattern(size_t size);
void set_size(struct gons_reexec *req, size_t size);

#endif /* RX_ACTIONS_H */
