/*
 * SPDX-License-Identifier: BSD-2-Clause
 *
 * Copyright (c) 2026 The libgons developers
 *
 * gons_reexec_check(3): start-up has joined a mount namespace, so that a copy
 * of the program serves its children.  What that copy keeps of the user's
 * surroundings, and that there is none which could not be set up.
 */

#include <sys/auxv.h>
#include <sys/syscall.h>
#include <sys/wait.h>

#include <atf-c.h>

#include <errno.h>
#include <fcntl.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <gons.h>

#include "helpers.h"

#ifndef F_ADD_SEALS
#define F_ADD_SEALS 1033
#define F_GET_SEALS 1034
#define F_SEAL_WRITE 8
#endif

/* Which signals are ignored, and if standard input can be written to. */
static int
see(void)
{
	char line[256];
	unsigned long long ignored = 1;
	FILE *f = fopen("/proc/self/status", "re");

	while (f != NULL && fgets(line, sizeof(line), f) != NULL)
		if (sscanf(line, "SigIgn: %llx", &ignored) == 1)
			break;
	printf("ignores %llx, sealed %d", ignored,
	    (fcntl(STDIN_FILENO, F_GET_SEALS) & F_SEAL_WRITE) != 0);
	return 0;
}

static void
host(const char *what)
{
	struct gons_reexec *req = gons_reexec_new("see");

	CHILD(gons_status() == NULL);
	CHILD((gons_status_joined() & GONS_BIT(GONS_MNT)) != 0);
	CHILD(req != NULL);
	if (strcmp(what, "runs") == 0) {
		if (gons_reexec_run(req) == -1)
			fprintf(stderr, "%s\n", gons_reexec_error(req));
		CHILD(gons_reexec_failure(req) == GONS_FAIL_NONE);
		fprintf(stderr, "%s\n",
		    (const char *)gons_reexec_result(req, NULL));
		CHILD(strcmp(gons_reexec_result(req, NULL),
			  "ignores 0, sealed 1") == 0);
	} else {
		CHILD(gons_reexec_run(req) == -1 && errno == EPERM);
		fprintf(stderr, "%s\n", gons_reexec_error(req));
		CHILD(gons_reexec_failure(req) == GONS_FAIL_START);
		/* nobody serves, and nothing is executed instead */
		CHILD(strstr(gons_reexec_error(req), what) != NULL);
	}
	gons_reexec_free(req);
	_exit(0);
}

__attribute__((constructor)) static void
check(void)
{
	const char *what = getenv("SERVED");

	if (gons_reexec_register("see", see) == -1)
		abort();
	gons_reexec_check();
	if (what != NULL)
		host(what);
}

/* This program once more, where start-up joins that mount namespace. */
struct again {
	const char *what, *ref;
	void (*before)(void);
};

static void
execute(void *arg)
{
	const struct again *again = arg;

	CHILD(setenv("SERVED", again->what, 1) == 0);
	CHILD(setenv("gons_mnt", again->ref, 1) == 0);
	CHILD(setenv("GONS_COVERAGE", "0", 1) == 0);
	again->before();
	(void)execl("/proc/self/exe", "served_test", NULL);
	CHILD(!"execl");
}

static void
serve(const char *what, void (*before)(void))
{
	struct again again = { what, NULL, before };
	struct target t;

	sandbox(0);
	target_start(&t, CLONE_NEWNS, 0);
	again.ref = t.refs[GONS_MNT];
	in_child(execute, &again);
	target_stop(&t);
}

/* Libc's own, too, by which no function of libc helps. */
static void
ignore_signals(void)
{
	unsigned long action[16] = { 1 }; /* SIG_IGN */
	int signo;

	CHILD(signal(SIGUSR1, SIG_IGN) != SIG_ERR);
	CHILD(signal(SIGPIPE, SIG_IGN) != SIG_ERR);
	for (signo = 32; signo < 34; signo++)
		CHILD(syscall(SYS_rt_sigaction, signo, action, NULL,
			  (size_t)(_NSIG - 1) / 8) == 0);
}

ATF_TC_WITHOUT_HEAD(surroundings);
ATF_TC_BODY(surroundings, tc)
{
	(void)tc;
	serve("runs", ignore_signals);
}

static void
refuse_seals(void)
{
	static const struct rule rule = { SYS_fcntl, 1, ~0u, F_ADD_SEALS,
		EPERM };

	forbid(&rule, 1);
}

/* All its children would have a file in common that each can write to. */
ATF_TC_WITHOUT_HEAD(no_seals);
ATF_TC_BODY(no_seals, tc)
{
	(void)tc;
	need_filters();
	if (getauxval(AT_BASE) == 0)
		atf_tc_skip("a static program is executed, not served");
	serve("another root", refuse_seals);
}

static void
refuse_pidfds(void)
{
	static const struct rule rule = { SYS_pidfd_open, -1, 0, 0, ENOSYS };

	forbid(&rule, 1);
}

static void
refuse_sockets(void)
{
	static const struct rule rule = { SYS_socketpair, -1, 0, 0, EPERM };

	forbid(&rule, 1);
}

/* It would not learn that its host has ended, or what the host wants. */
ATF_TC_WITHOUT_HEAD(no_bonds);
ATF_TC_BODY(no_bonds, tc)
{
	static const char text[] =
	    "no process could be forked in gons_reexec_check()";

	(void)tc;
	need_filters();
	if (getauxval(AT_BASE) == 0)
		atf_tc_skip("a static program is executed, not served");
	serve(text, refuse_pidfds);
	serve(text, refuse_sockets);
}

ATF_TP_ADD_TCS(tp)
{
	ATF_TP_ADD_TC(tp, surroundings);
	ATF_TP_ADD_TC(tp, no_seals);
	ATF_TP_ADD_TC(tp, no_bonds);
	return atf_no_error();
}
