/*
 * SPDX-License-Identifier: BSD-2-Clause
 *
 * Copyright (c) 2026 The libgons developers
 *
 * What the parts of status.o share with each other.
 */

#ifndef GONS_STATUS_H
#define GONS_STATUS_H

#include "internal.h"

/*
 * status_mark.c: the word is a number of 48 bits, to be found by another copy
 * of the library, also of another release.  envp is the array that the kernel
 * made; with another no mark is left or found.
 */
/*
 * Overwrites the end of an entry that was the last of those removed.  A word
 * that has no room becomes 0.
 */
GONS_INTERNAL void gons__mark_leave(char **envp, char *entry, uint64_t word);
/* 1: there is a mark, that of this process; 0: none. */
GONS_INTERNAL int gons__mark_find(char **envp, uint64_t *word);
/*
 * A number that proves that the structure at p is the one which the mark names.
 */
GONS_INTERNAL uint64_t gons__mark_seal(const void *p);
/* Is all of it mapped? */
GONS_INTERNAL int gons__mark_readable(const void *p, size_t len);

#endif /* GONS_STATUS_H */
