/*
 * SPDX-License-Identifier: BSD-2-Clause
 *
 * Copyright (c) 2026 The libgons developers
 *
 * Keeps start-up in the link.  This object defines no symbol: it refers to
 * the library from a section that no linker may drop, so that a program that
 * never names libgons gets it all the same, under --as-needed and with
 * --gc-sections.  The development names libgons.so and libgons.a, which are
 * linker scripts, put it into every program.
 */

#include <gons.h>

/*
 * An initialiser is kept by every linker; a section that is merely marked
 * with "retain" is not (gold).  This one reads a variable, and that is all.
 */
__attribute__((section(".init_array"),
    used)) static unsigned (*const volatile keep)(void) = gons_status_joined;
