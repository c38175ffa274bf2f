/*
 * SPDX-License-Identifier: BSD-2-Clause
 *
 * Copyright (c) 2026 The libgons developers
 *
 * What the tests of visits share: checks that a child can make, too, and a
 * look at all that a visit must not change.
 */

#ifndef VISITS_H
#define VISITS_H

#include <sys/stat.h>

#include <signal.h>

#include <gons.h>

#include "helpers.h"

#define SIOCGSKNS_ 0x894C /* SIOCGSKNS: the network namespace of a socket */
#define UNTOUCHED 4711 /* a value that nobody stores */
#define ROUNDS (SANITIZER ? 100 : 1000)

extern struct gons_error failure;
extern int calls; /* of functions in visits */

int count_call(void *arg);
const char *text(void);
void check_failed(int line, const char *cond);

#define OK(cond)                                       \
	do {                                           \
		if (!(cond))                           \
			check_failed(__LINE__, #cond); \
	} while (0)

int unmoved(const struct nsids *before);
void expect_error(int r, int stage, int errnum, int type, int hint);

/* Not called, *value left alone, nobody moved. */
void fails(const struct gons_env *env, const struct gons_order *order,
    int stage, int errnum, int type, int hint);
void go(const struct gons_env *env, int (*fn)(void *), void *arg);
int see(void *arg);

/* What belongs to the process, or to the thread that asks for visits. */
struct scene {
	struct nsids ids;
	struct stat root, cwd;
	mode_t mask;
	sigset_t signals;
	char name[17];
	int fds;
};

void look_around(struct scene *s);
void check_scene(const struct scene *before);

#endif /* VISITS_H */
