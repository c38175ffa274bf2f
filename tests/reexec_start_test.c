/*
 * SPDX-License-Identifier: BSD-2-Clause
 *
 * Copyright (c) 2026 The libgons developers
 *
 * gons_reexec_start(3) and gons_reexec_prepare(3) where the program cannot be
 * executed: what they tell, and what they leave.
 */

#include <sys/syscall.h>
#include <sys/wait.h>

#include <atf-c.h>

#include <errno.h>
#include <stddef.h>
#include <stdio.h>
#include <string.h>

#include <gons.h>

#include "helpers.h"

#define NELEM(a) (sizeof(a) / sizeof((a)[0]))

static int
act(void)
{
	return 0;
}

__attribute__((constructor)) static void
start(void)
{
	(void)gons_reexec_register("act", act);
	gons_reexec_check();
}

static void
refuse_to_execute(void)
{
	static const struct rule rules[] = {
		{ SYS_execveat, -1, 0, 0, EACCES },
		{ SYS_execve, -1, 0, 0, EACCES },
	};

	need_filters();
	need_execveat();
	forbid(rules, NELEM(rules));
}

static void
no_child_is_left(void)
{
	errno = 0;
	ATF_CHECK_EQ(-1, waitpid(-1, NULL, WNOHANG | __WALL));
	ATF_CHECK_EQ(ECHILD, errno);
}

ATF_TC_WITHOUT_HEAD(start_refused);
ATF_TC_BODY(start_refused, tc)
{
	struct gons_reexec *req;
	int before, i;

	refuse_to_execute();
	ATF_REQUIRE((req = gons_reexec_new("act")) != NULL);
	before = count_fds();
	for (i = 0; i < 2; i++) {
		errno = 0;
		ATF_CHECK_EQ(
		    -1, i == 0 ? gons_reexec_start(req) : gons_reexec_run(req));
		ATF_CHECK_EQ(EACCES, errno);
		ATF_CHECK_EQ(GONS_FAIL_START, (int)gons_reexec_failure(req));
		ATF_CHECK_STREQ("gons: action \"act\": cannot be started: "
				"Permission denied",
		    gons_reexec_error(req));
		ATF_CHECK_EQ(-1, gons_reexec_fd(req));
		ATF_CHECK_EQ_MSG(before, count_fds(), "descriptors are left");
		no_child_is_left();
	}
	gons_reexec_free(req);
}

/* A process that cannot be told of is not started, nor one left behind. */
static void
without_call(void *arg)
{
	const struct rule *rule = arg;
	struct gons_reexec *req = gons_reexec_new("act");
	int before = count_fds();

	CHILD(req != NULL);
	CHILD(gons_reexec_setflags(
		  req, GONS_REEXEC_DIE_WITH_PARENT | GONS_REEXEC_STAY) == 0);
	forbid(rule, 1);
	errno = 0;
	CHILD(gons_reexec_start(req) == -1 && errno == EMFILE);
	CHILD(gons_reexec_failure(req) == GONS_FAIL_START);
	CHILD(count_fds() == before);
	CHILD(waitpid(-1, NULL, WNOHANG | __WALL) == -1 && errno == ECHILD);
	gons_reexec_free(req);
}

ATF_TC_WITHOUT_HEAD(start_without);
ATF_TC_BODY(start_without, tc)
{
	static struct rule rules[] = {
		{ SYS_pidfd_open, -1, 0, 0, EMFILE },
		{ SYS_pipe2, -1, 0, 0, EMFILE },
		{ SYS_socketpair, -1, 0, 0, EMFILE },
		{ SYS_epoll_create1, -1, 0, 0, EMFILE },
		{ SYS_timerfd_create, -1, 0, 0, EMFILE },
	};
	size_t i;

	need_filters();
	need_execveat();
	for (i = 0; i < NELEM(rules); i++) {
		printf("rule %zu\n", i);
		in_child(without_call, &rules[i]);
	}
}

ATF_TC_WITHOUT_HEAD(prepare_refused);
ATF_TC_BODY(prepare_refused, tc)
{
	int before = -1, i;

	refuse_to_execute();
	/* the first may leave what is kept for the next */
	for (i = 0; i < 3; i++) {
		errno = 0;
		ATF_CHECK_EQ(-1, gons_reexec_prepare());
		ATF_CHECK_EQ(EACCES, errno);
		if (i == 0)
			before = count_fds();
		no_child_is_left();
	}
	ATF_CHECK_EQ_MSG(before, count_fds(), "descriptors are left");
}

ATF_TP_ADD_TCS(tp)
{
	ATF_TP_ADD_TC(tp, start_refused);
	ATF_TP_ADD_TC(tp, start_without);
	ATF_TP_ADD_TC(tp, prepare_refused);
	return atf_no_error();
}
