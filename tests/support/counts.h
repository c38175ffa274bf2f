/*
 * SPDX-License-Identifier: BSD-2-Clause
 *
 * Copyright (c) 2026 The libgons developers
 *
 * For programs that watch their own system calls, see counts.c.
 */

#ifndef COUNTS_H
#define COUNTS_H

/* Called, if there is one, before the files of a process are written. */
void counts_begin(void) __attribute__((weak));

#endif
