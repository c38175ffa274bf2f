/*
 * SPDX-License-Identifier: BSD-2-Clause
 *
 * Copyright (c) 2026 The libgons developers
 *
 * gons_coverage(7): children that stay, and count, when their host exits.  The
 * program has sections of its own with the names of clang's, so it need not be
 * built by clang; and each lock that the library releases must be held.
 */

#include <sys/resource.h>
#include <sys/wait.h>

#include <atf-c.h>

#include <errno.h>
#include <pthread.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include <gons.h>

#include "helpers.h"

int __real_pthread_mutex_unlock(pthread_mutex_t *);
int __wrap_pthread_mutex_unlock(pthread_mutex_t *);

static volatile uint64_t counts[1]
    __attribute__((section("__llvm_prf_cnts"), used));
static const char names[] __attribute__((section("__llvm_prf_names"), used)) =
    "the action";

static uint64_t expected; /* of the counter, when the host has exited */
static int unheld; /* locks that nobody held when they were released */

int
__wrap_pthread_mutex_unlock(pthread_mutex_t *mutex)
{
	if (pthread_mutex_trylock(mutex) != EBUSY)
		unheld++;
	return __real_pthread_mutex_unlock(mutex);
}

static int
count(void)
{
	counts[0]++;
	(void)printf("%ld", (long)getpid());
	return 0;
}

__attribute__((constructor)) static void
start(void)
{
	if (gons_reexec_register("count", count) == -1)
		abort();
	gons_reexec_check();
}

/* Registered before the library's own handler, so it comes after that. */
static void
look(void)
{
	if (counts[0] != expected || unheld != 0)
		(void)fprintf(stderr, "counted %llu, not %llu; %d not held\n",
		    (unsigned long long)counts[0], (unsigned long long)expected,
		    unheld);
	_exit(counts[0] == expected && unheld == 0 ? 0 : 1);
}

/* One that waits, for as long as it takes to count. */
static struct gons_reexec *
new_child(void)
{
	struct gons_reexec *req = gons_reexec_new("count");

	CHILD(req != NULL);
	CHILD(gons_reexec_setflags(req, GONS_REEXEC_STAY) == 0);
	CHILD(gons_reexec_setgrace(req, 60000) == 0);
	return req;
}

/* Runs it again, and returns where. */
static long
run_child(struct gons_reexec *req)
{
	if (gons_reexec_run(req) == -1) {
		(void)fprintf(stderr, "%s\n", gons_reexec_error(req));
		_exit(1);
	}
	return atol(gons_reexec_result(req, NULL));
}

/* A list that grew for ever would soon have no memory, and the case fail. */
static void
be_host(void)
{
	const struct rlimit limit = { 1 << 28, 1 << 28 };

	/* sanitizers reserve more than there is */
	CHILD(SANITIZER || setrlimit(RLIMIT_AS, &limit) == 0);
	CHILD(unsetenv("GONS_COVERAGE") == 0);
	CHILD(names[0] == 't');
	CHILD(atexit(look) == 0);
}

static void
three_wait(void *unused)
{
	struct gons_reexec *req[3];
	int i;

	(void)unused;
	be_host();
	for (i = 0; i < 3; i++) {
		req[i] = new_child();
		(void)run_child(req[i]);
		CHILD(run_child(req[i]) == run_child(req[i]));
	}
	CHILD(counts[0] == 0);
	/* the one in the middle is not forgotten with others, nor met again */
	gons_reexec_free(req[1]);
	CHILD(counts[0] == 3);
	CHILD(gons_reexec_end(req[0]) == 0);
	CHILD(counts[0] == 6);
	(void)run_child(req[0]);
	expected = 10;
	exit(1);
}

ATF_TC_WITHOUT_HEAD(exits);
ATF_TC_BODY(exits, tc)
{
	(void)tc;
	in_child(three_wait, NULL);
}

/* A copy that exits leaves the children alone: they are its parent's. */
static void
copy_exits(void *unused)
{
	struct gons_reexec *mine, *req;
	int status;
	long where;
	pid_t pid;

	(void)unused;
	be_host();
	req = new_child();
	where = run_child(req);
	CHILD((pid = fork()) != -1);
	if (pid == 0) {
		mine = new_child();
		(void)run_child(mine);
		expected = 1;
		exit(1);
	}
	CHILD(waitpid(pid, &status, 0) == pid && status == 0);
	CHILD(run_child(req) == where);
	expected = 2;
	exit(1);
}

ATF_TC_WITHOUT_HEAD(copy);
ATF_TC_BODY(copy, tc)
{
	(void)tc;
	in_child(copy_exits, NULL);
}

ATF_TP_ADD_TCS(tp)
{
	ATF_TP_ADD_TC(tp, exits);
	ATF_TP_ADD_TC(tp, copy);
	return atf_no_error();
}
