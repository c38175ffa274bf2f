/*
 * SPDX-License-Identifier: BSD-2-Clause
 *
 * Copyright (c) 2026 The libgons developers
 *
 * What the tests of re-execution share: tables of cases, each of them run
 * with children that are executed, with prepared ones and with some that stay,
 * and after each of them a look at what is left behind.
 */

#ifndef RX_H
#define RX_H

#include <atf-c.h>

#include <stddef.h>

#include <gons.h>

#define NELEM(a) (sizeof(a) / sizeof((a)[0]))

struct rx_case {
	const char *name;
	void (*body)(void);
	unsigned flags;
	const char *descr;
};
enum {
	RX_ROOT = 1, /* as root only */
	RX_EXEC = 2, /* says nothing about children prepared, or staying */
	RX_SANDBOX = 4, /* in a user namespace of its own */
	RX_SEALED = 8, /* with the copy of the program that is made once */
	RX_UNCOUNTED = 16, /* looks at what gons_coverage(3) changes */
	RX_ONCE = 32, /* counts runs, or descriptors, or looks at the end */
	RX_LONG = 64 /* takes minutes if rx_is_long() */
};

/* GONS_REEXEC_PREPARED, _STAY, or 0: is or-ed into every request. */
extern unsigned rx_mode;
#define RX_PREPARED ((rx_mode & GONS_REEXEC_PREPARED) != 0)
/* bmake test LONG=yes */
int rx_is_long(void);
/* Where the helper programs are. */
extern char rx_srcdir[4096];

/* Registers the actions, in a constructor, or ends the program. */
struct rx_action {
	const char *name;
	int (*function)(void);
};
void rx_register(const struct rx_action *, size_t);

/* Adds the cases, in all modes that there are. */
atf_error_t rx_cases(atf_tp_t *, const struct rx_case *, size_t);

/* A request, and its flags. */
struct gons_reexec *rx_new(const char *action);
void rx_flags(struct gons_reexec *, unsigned);
/* With what "script" has to do: lines, see rx.c. */
struct gons_reexec *rx_script(const char *lines);

/*
 * Runs it: it must end well, and the result, a string, is returned.  With a
 * child that stays it runs twice, and the second result is returned.
 */
#define rx_ok(req) rx_ok_at(req, __FILE__, __LINE__)
const char *rx_ok_at(struct gons_reexec *, const char *, int);
/* The same, for a request that is running. */
#define rx_wait_ok(req) rx_wait_ok_at(req, __FILE__, __LINE__)
const char *rx_wait_ok_at(struct gons_reexec *, const char *, int);
/* Runs it: it must fail in this way, with a text that has all these words. */
#define rx_fails(req, ...) rx_fails_at(req, __FILE__, __LINE__, __VA_ARGS__)
void rx_fails_at(struct gons_reexec *, const char *, int, int failure,
    int errnum, const char *words);
#define rx_wait_fails(req, ...) \
	rx_wait_fails_at(req, __FILE__, __LINE__, __VA_ARGS__)
void rx_wait_fails_at(struct gons_reexec *, const char *, int, int failure,
    int errnum, const char *words);
/* The error text: one line, with all these words, separated by "|". */
void rx_text_at(const struct gons_reexec *, const char *, int, const char *);
#define rx_text(req, words) rx_text_at(req, __FILE__, __LINE__, words)

/* Waits for one byte, or for the end of file; for children that tell. */
int rx_byte(int fd);
/* Waits for the processes that close the descriptors that nobody took. */
void rx_closers_end(void);
/* A pipe that actions get one end of: 0 to read from, 1 to write to. */
void rx_pipe(int fd[2]);
/* keepfd, and its number in the environment. */
void rx_keep(struct gons_reexec *, const char *name, int fd);
/* In an action: a descriptor that was kept. */
int rx_kept(const char *name);
/* Has every process that held it let go of the other end? */
int rx_gone(int fd, int ms);
/* ms of a clock that nobody sets */
long long rx_clock(void);
/* The value after "NAME: " in a file of /proc. */
void rx_proc(const char *path, const char *name, char *buf, size_t len);
void rx_read_file(const char *path, char *buf, size_t len);

/* The result as text, for the checks that compare text. */
#define rx_result(req) ((const char *)gons_reexec_result(req, NULL))

#endif /* RX_H */
