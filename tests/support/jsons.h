/*
 * SPDX-License-Identifier: BSD-2-Clause
 *
 * Copyright (c) 2026 The libgons developers
 *
 * What the tests of gons_json(3) share: actions and requests.  Variables of
 * the environment tell the child what to do: it prints its parameter as it is,
 * in the pieces asked for, and then ends in the way asked for.  Waiting is
 * done on pipes.
 */

#ifndef JSONS_H
#define JSONS_H

#include <stddef.h>

#include <gons_json.h>

#define LENGTH(a) (sizeof(a) / sizeof((a)[0]))
#define NUL "\0"
#define TEXT(s) (s), sizeof(s) - 1

#define MIB ((size_t)1 << 20)

struct gons_reexec *new_request(const char *action);

/* Text to print, and how to end; NULL: well. */
struct gons_reexec *saying(const char *text, size_t len, const char *how);
void set_number(struct gons_reexec *req, const char *name, int value);

/* The child waits until something is written to this pipe. */
void set_hold(struct gons_reexec *req, int fd[2]);
void close_hold(int fd[2]);

/* One that succeeds with a value that equals the given text. */
void check_value(struct gons_reexec *req, const char *expected);

/* The error text is one line, which names the action and contains what. */
void check_text(struct gons_reexec *req, const char *what);
void check_failure(
    struct gons_reexec *req, int failure, int errnum, const char *what);

/* What is printed is no JSON value; frees the request. */
void check_malformed(struct gons_reexec *req, const char *what);
const char *result_of(const struct gons_reexec *req);

#endif /* JSONS_H */
