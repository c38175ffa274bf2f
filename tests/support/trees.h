/*
 * SPDX-License-Identifier: BSD-2-Clause
 *
 * Copyright (c) 2026 The libgons developers
 *
 * What the tests of gons_openat(3) share: a tree that an enemy made, in a
 * mount namespace of its own.
 */

#ifndef TREES_H
#define TREES_H

#include <sys/types.h>

#include <stdint.h>

#ifndef SYS_openat2
#define SYS_openat2 437
#endif
#define SAFE 0x12 /* RESOLVE_IN_ROOT, RESOLVE_NO_MAGICLINKS */
#define ACCESS 3 /* O_ACCMODE, which has O_PATH in it in musl */
#define HOST "of the host\n"
#define THERE "of the container\n"
#define SWAPS (SANITIZER ? 500 : 3000)

struct how {
	uint64_t flags, mode, resolve;
};

extern char host[1024]; /* the directory of this test */
extern int root; /* of the tree */
extern int secret, outside; /* open: a file and a directory of the host */
extern dev_t tree_dev, proc_dev;

void put(const char *path, const char *content);
int holds(int fd, const char *content);

/* In mount and user namespaces of its own; the working directory is host. */
void plant(void);
void in_fork(void (*fn)(void));

struct world {
	void (*fn)(void);
	int private; /* may make a /proc */
};

void enter_world(void *arg);
void both_worlds(void (*fn)(void));
void set_link(const char *path, const char *to);

/* The kernel's own opinion, in a tree that is as harmless as it can be. */
int opinion(int dir, const char *path, int flags);

#endif /* TREES_H */
