/*
 * SPDX-License-Identifier: BSD-2-Clause
 *
 * Copyright (c) 2026 The libgons developers
 *
 * Linked with every program of the tests when `bmake coverage' builds them.  So
 * a process that ends without exit(3), or by a signal that it sends itself,
 * counts, too.  A process does not complain if it has gone to a place where the
 * files cannot be written.
 */

#include <sys/mman.h>

#include <fcntl.h>
#include <signal.h>
#include <unistd.h>

#include "counts.h"

void __gcov_dump(void);
void __gcov_reset(void);
int __real_kill(pid_t, int);
void __real__exit(int) __attribute__((noreturn));
int __wrap_kill(pid_t, int);
void __wrap__exit(int) __attribute__((noreturn));

/* Nothing is written to stderr any more; a descriptor of the former one. */
static int
mute(void)
{
	int nowhere = memfd_create("mute", MFD_CLOEXEC);
	int old = fcntl(STDERR_FILENO, F_DUPFD_CLOEXEC, 3);

	if (nowhere != -1 && old != -1)
		(void)dup2(nowhere, STDERR_FILENO);
	(void)close(nowhere);
	return old;
}

/* libgcov's destructor, which writes the files, comes after this. */
__attribute__((destructor)) static void
before_exit(void)
{
	if (counts_begin != NULL)
		counts_begin();
	(void)mute();
}

void
__wrap__exit(int status)
{
	before_exit();
	__gcov_dump();
	__real__exit(status);
}

int
__wrap_kill(pid_t pid, int sig)
{
	int old;

	if (pid == getpid() && sig != 0) {
		old = mute();
		__gcov_dump();
		__gcov_reset();
		(void)dup2(old, STDERR_FILENO);
		(void)close(old);
	}
	return __real_kill(pid, sig);
}
