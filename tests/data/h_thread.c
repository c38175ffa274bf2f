/*
 * SPDX-License-Identifier: BSD-2-Clause
 *
 * Copyright (c) 2026 The libgons developers
 *
 * A library whose constructor starts a thread, which lives as long as the
 * process.  It shares root and working directory with the main thread, which
 * therefore cannot enter a mount namespace.  As an object in a program its
 * constructor is the first one that there can be.
 */

#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

int h_thread_started(void);

static int started;

static void *
live(void *arg)
{
	for (;;)
		(void)pause();
	return arg;
}

__attribute__((constructor(101))) static void
start(void)
{
	pthread_t thread;

	if (pthread_create(&thread, NULL, live, NULL) != 0) {
		(void)fprintf(stderr, "h_thread: no thread\n");
		_exit(1);
	}
	started = 1;
}

int
h_thread_started(void)
{
	return started;
}
