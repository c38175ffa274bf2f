/*
 * SPDX-License-Identifier: BSD-2-Clause
 *
 * Copyright (c) 2026 The libgons developers
 *
 * See visits.h.
 */

#include <sys/prctl.h>
#include <sys/stat.h>

#include <atf-c.h>

#include <errno.h>
#include <pthread.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include <gons.h>

#include "helpers.h"
#include "internal.h"
#include "visits.h"

struct gons_error failure;
int calls; /* of functions in visits */

int
count_call(void *arg)
{
	(void)arg;
	calls++;
	return 0;
}

const char *
text(void)
{
	static char buf[20000];

	(void)gons_error_format(&failure, buf, sizeof(buf));
	return buf;
}

/* A forked child has no say in what the test reports: it ends then. */
static pid_t main_pid;

__attribute__((constructor)) static void
remember_main(void)
{
	main_pid = getpid();
}

void
check_failed(int line, const char *cond)
{
	int errnum = errno;

	if (getpid() != main_pid) {
		dprintf(2, "%s\n", text());
		errno = errnum;
		child_failed(__FILE__, line, cond);
	}
	atf_tc_fail_nonfatal(
	    "line %d: %s: %s; %s", line, cond, strerror(errnum), text());
}

int
unmoved(const struct nsids *before)
{
	struct nsids now;

	ns_own(&now);
	return memcmp(&now, before, sizeof(now)) == 0;
}

void
expect_error(int r, int stage, int errnum, int type, int hint)
{
	int got = errno;

	OK(r == -1);
	OK(got == errnum);
	OK(failure.stage == stage);
	OK(failure.errnum == errnum);
	OK(failure.type == type);
	OK(failure.hint == hint);
	OK(calls == 0);
}

void
fails(const struct gons_env *env, const struct gons_order *order, int stage,
    int errnum, int type, int hint)
{
	struct nsids before;
	int fds = count_fds(), value = UNTOUCHED;

	ns_own(&before);
	calls = 0;
	expect_error(gons_visit(env, order, count_call, NULL, &value, &failure),
	    stage, errnum, type, hint);
	OK(value == UNTOUCHED);
	OK(count_fds() == fds);
	OK(unmoved(&before));
}

void
go(const struct gons_env *env, int (*fn)(void *), void *arg)
{
	OK(gons_visit(env, NULL, fn, arg, NULL, &failure) == 0);
}

int
see(void *arg)
{
	ns_own(arg);
	return 7;
}

void
look_around(struct scene *s)
{
	memset(s, 0, sizeof(*s));
	ns_own(&s->ids);
	ATF_REQUIRE_EQ(0, stat("/", &s->root));
	ATF_REQUIRE_EQ(0, stat(".", &s->cwd));
	s->mask = umask(0);
	(void)umask(s->mask);
	ATF_REQUIRE_EQ(0, pthread_sigmask(SIG_BLOCK, NULL, &s->signals));
	(void)prctl(PR_GET_NAME, s->name);
	s->fds = count_fds();
}

void
check_scene(const struct scene *before)
{
	struct scene now;
	int i;

	look_around(&now);
	ATF_CHECK_EQ(0, memcmp(&now.ids, &before->ids, sizeof(now.ids)));
	ATF_CHECK_EQ(now.root.st_ino, before->root.st_ino);
	ATF_CHECK_EQ(now.root.st_dev, before->root.st_dev);
	ATF_CHECK_EQ(now.cwd.st_ino, before->cwd.st_ino);
	ATF_CHECK_EQ(now.cwd.st_dev, before->cwd.st_dev);
	ATF_CHECK_EQ(now.mask, before->mask);
	for (i = 1; i < 65; i++)
		ATF_CHECK_EQ_MSG(sigismember(&before->signals, i),
		    sigismember(&now.signals, i), "signal %d", i);
	ATF_CHECK_STREQ(before->name, now.name);
	ATF_CHECK_EQ(before->fds, now.fds);
}
