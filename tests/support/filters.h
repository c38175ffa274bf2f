/*
 * SPDX-License-Identifier: BSD-2-Clause
 *
 * Copyright (c) 2026 The libgons developers
 *
 * Kernels that refuse.
 */

#ifndef FILTERS_H
#define FILTERS_H

#include <stddef.h>
#include <stdint.h>

struct seccomp_notif;

/* System calls that answer an errno, where argument & mask equals value. */
struct rule {
	long nr;
	int arg; /* -1: whatever the arguments */
	uint32_t mask, value;
	int errnum; /* 0: it returns 0; KILLS: the calling thread ends there */
};
#define KILLS (-1)
#define PIDFD_IOCTLS                                 \
	{                                            \
		SYS_ioctl, 1, 0xff00, 0xff00, ENOTTY \
	}
void forbid(const struct rule *, size_t);
/* A descriptor that is asked about each call of that kind; -1: as seccomp(2). */
int ask_about(long nr);
/*
 * For children: another thread of the process is asked about each call of that
 * kind that this thread, and what it starts, makes from now on.  answer: the
 * errno that the call fails with; 0: it goes on.
 */
void ask_a_thread(long nr, int (*answer)(const struct seccomp_notif *));
/* Skips the test, saying why, if there is no such thing (qemu-user). */
void need_filters(void);

#endif /* FILTERS_H */
