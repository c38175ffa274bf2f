/*
 * SPDX-License-Identifier: BSD-2-Clause
 *
 * Copyright (c) 2026 The libgons developers
 *
 * What the tests of gons_covmerge(3) share: files that are written and
 * compared, merges of which the outcome is known, and commands.
 */

#ifndef MERGE_H
#define MERGE_H

#include <stddef.h>
#include <stdint.h>

#include <gons.h>

void put_file(const char *path, const void *p, size_t len);
void put_text(const char *path, const char *text);

/* The whole file, with a NUL behind it, to be freed. */
char *get_file(const char *path, size_t *len);
void check_file(const char *path, const void *p, size_t len, const char *what);
void check_text(const char *path, const char *text);
int exists(const char *path);

/* The outcome of the last merge. */
extern struct gons_covstat outcome;

void merge(int expected, const char *what, const char *dst, ...);

/* A command that has to succeed. */
void shell(const char *fmt, ...);

/* Is there such a program? */
int have(const char *prefix, const char *program, const char *suffix);

struct data {
	unsigned char p[16384];
	size_t len;
	int big; /* big-endian */
	unsigned unit;
	uint32_t version;
};

#define GCC12 0x4232322au
#define GCC17 0x4237312au
#define GCC15 0x4235312au
#define GCC14 0x4234312au
#define GCC13 0x4233332au
#define GCC11 0x4231312au
#define GCC10 0x4230342au
#define GCC9 0x4139332au
#define GCC8 0x4138332au
#define CLANG 0x3430382au

void word(struct data *d, uint32_t w);
void head(struct data *d, uint32_t version, int big);
void summary(struct data *d, uint32_t runs, uint32_t max);
void function(struct data *d, uint32_t ident);
void counters(struct data *d, unsigned kind, int n, ...);
void zeros(struct data *d, unsigned kind, int n);
void tail(struct data *d, const char *path);

#define U(x) ((uint64_t)(x))

/* A plain file: two functions, m times its counts, and r runs. */
void plain(const char *path, uint32_t version, int big, unsigned m, uint32_t r);

extern const char source[];

/* Skips the case if this command of the shell's fails. */
void needs(const char *command, const char *what);

#define NEEDS_CLANG \
	needs("clang --coverage -o needs needs.c", "clang with its run time")

#endif /* MERGE_H */
