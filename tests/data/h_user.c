/*
 * SPDX-License-Identifier: BSD-2-Clause
 *
 * Copyright (c) 2026 The libgons developers
 *
 * A library that uses libgons by itself.
 */

#include <stdio.h>

#include <gons.h>

void h_user(void);

void
h_user(void)
{
	(void)printf("library: joined 0x%x, status %s\n", gons_status_joined(),
	    gons_status() != NULL ? gons_status() : "-");
}
