/*
 * SPDX-License-Identifier: BSD-2-Clause
 *
 * Copyright (c) 2026 The libgons developers
 *
 * What the tests of prepared children share: actions that say what they find,
 * and requests that run them.  Each case runs in a forked child.
 */

#ifndef PREPARED_H
#define PREPARED_H

#include <sys/types.h>

#include <atf-c.h>

#include <gons.h>

#include "helpers.h"

#define PATIENCE 60000 /* ms; less than this is no hang */

struct gons_reexec *request(const char *action, unsigned flags);

/* The result; it lives as long as the program. */
const char *run_flags(const char *action, unsigned flags);
const char *fresh(const char *action);
const char *result(const char *action);
pid_t prepared_pid(void);
long long clock_ms(void);

/* Waits until the process has ended. */
int ended(int pidfd, int ms);

/* Lists up to `room' children of a process; returns how many, -1: not known. */
#define MAX_CHILDREN 1024
int children_of(pid_t pid, pid_t *list, int room);
/* Sends the signal to each spare of the process; how many, -1 as above. */
int signal_spares(pid_t pid, int signo);

/* The same; itself: the process gets the signal, too. */
void signal_all(pid_t pid, int signo, int itself);

/* A prepared child runs its action, and is what an executed child is. */
void works(void);

/* Statements: head sets properties of the case, needs runs before it. */
#define CASE_IF(name, text, head, needs)              \
	static void name##_run(void *);               \
	ATF_TC(name);                                 \
	ATF_TC_HEAD(name, tc)                         \
	{                                             \
		atf_tc_set_md_var(tc, "descr", text); \
		head;                                 \
	}                                             \
	ATF_TC_BODY(name, tc)                         \
	{                                             \
		(void)tc;                             \
		needs;                                \
		in_child(name##_run, NULL);           \
	}                                             \
	static void name##_run(void *unused __attribute__((unused)))

#define CASE(name, text) CASE_IF(name, text, (void)0, (void)0)
#define CASE_ROOT(name, text)                                              \
	CASE_IF(name, text, atf_tc_set_md_var(tc, "require.user", "root"), \
	    need_nobody())

#endif /* PREPARED_H */
