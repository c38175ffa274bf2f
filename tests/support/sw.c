/*
 * SPDX-License-Identifier: BSD-2-Clause
 *
 * Copyright (c) 2026 The libgons developers
 *
 * See sw.h.
 */

#include <sys/mount.h>
#include <sys/stat.h>

#include <linux/seccomp.h>

#include <atf-c.h>

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "sw.h"

void
start(const atf_tc_t *tc, struct program *r, int mode)
{
	char *line;
	size_t i;

	if (mode == 1) {
		r->args[0] = "switch";
		for (i = 0; r->env[i] != NULL; i++) {
			if (strncmp(r->env[i], "gons_", 5) != 0)
				continue;
			ATF_REQUIRE(asprintf(&line, "XX_%s", r->env[i]) != -1);
			r->env[i] = line;
		}
	}
	run(r, atf_tc_get_config_var(tc, "srcdir"), "h_ns");
	ATF_REQUIRE_MSG(r->status == 0 && run_value(r, "end") != NULL,
	    "mode %d: status %#x, %s%s", mode, r->status, r->out, r->err);
	ATF_CHECK_EQ(NULL, run_value(r, "contradiction"));
	/* a sanitizer misses its /proc */
	if (getenv("ASAN_OPTIONS") == NULL)
		ATF_CHECK_STREQ("", r->err);
}

/* The program is in those namespaces of the target, else where we are. */
static void
check_places(struct program *r, unsigned mask, const struct target *t)
{
	char key[48];
	struct nsids own;
	uint64_t expected;
	int i;

	ns_own(&own);
	for (i = 0; i < NTYPES; i++) {
		expected = own.id[i];
		if ((mask & GONS_BIT(i)) != 0)
			expected = ns_id(t->refs[i]);
		ATF_CHECK(expected != 0);
		(void)snprintf(key, sizeof(key), "ns_%s%s", ns_types[i].name,
		    i == GONS_PID ? "_for_children" : "");
		ATF_CHECK_EQ_MSG(expected, run_number(r, key),
		    "%s: %llu, expected %llu", key,
		    (unsigned long long)run_number(r, key),
		    (unsigned long long)expected);
		(void)snprintf(key, sizeof(key), "child_%s", ns_types[i].name);
		if (run_value(r, "fork") == NULL)
			ATF_CHECK_EQ_MSG(
			    expected, run_number(r, key), "%s", key);
	}
	ATF_CHECK_EQ(own.id[GONS_PID], run_number(r, "ns_pid"));
}

/* Start-up closes the descriptors it is given; gons_switch(3) does not. */
void
check_fds(struct program *r, int mode)
{
	char expected[64] = "0 1 2";
	size_t i;

	for (i = 0; i < 8 && r->keep[i] != 0; i++)
		if (mode == 1)
			(void)sprintf(
			    expected + strlen(expected), " %d", r->keep[i]);
	ATF_CHECK_MSG(strcmp(expected, run_value(r, "fds")) == 0,
	    "mode %d: open are %s, expected %s", mode, run_value(r, "fds"),
	    expected);
}

void
expect_joined(const atf_tc_t *tc, struct program *r, unsigned mask,
    const struct target *t)
{
	int mode;

	for (mode = 0; mode < 2; mode++) {
		start(tc, r, mode);
		ATF_CHECK_MSG(run_value(r, "status") == NULL, "mode %d: %s",
		    mode, run_value(r, "status"));
		if (mode == 0)
			ATF_CHECK_EQ(mask, run_number(r, "joined"));
		check_places(r, mask, t);
		if (r->keep[0] == 0 || r->keep[0] != -1)
			check_fds(r, mode);
	}
}

void
expect_failure(const atf_tc_t *tc, struct program *r, int stage, int errnum,
    int type, int hint, unsigned joined, const char *text)
{
	const char *status;
	int mode;

	for (mode = 0; mode < 2; mode++) {
		start(tc, r, mode);
		status = run_value(r, "status");
		ATF_REQUIRE_MSG(status != NULL, "mode %d: no failure", mode);
		ATF_CHECK_MSG(text == NULL || strstr(status, text) != NULL,
		    "'%s' does not say '%s'", status, text);
		ATF_CHECK_MSG(
		    stage == ANY || stage == (int)run_number(r, "stage"),
		    "%s: stage", status);
		ATF_CHECK_MSG(errnum == (int)run_number(r, "errnum"),
		    "%s: expected %s", status, strerror(errnum));
		ATF_CHECK_MSG(type == atoi(run_value(r, "type")), "%s: type %s",
		    status, run_value(r, "type"));
		ATF_CHECK_MSG(hint == ANY || hint == (int)run_number(r, "hint"),
		    "%s: hint %s, expected %d", status, run_value(r, "hint"),
		    hint);
		ATF_CHECK_EQ_MSG(joined, run_number(r, "errjoined"),
		    "%s: joined %s", status, run_value(r, "errjoined"));
		if (mode == 0)
			ATF_CHECK_EQ(joined, run_number(r, "joined"));
		if (joined == 0)
			check_places(r, 0, NULL);
		check_fds(r, mode);
	}
}

int
open_ref(const char *path)
{
	int fd = open(path, O_RDONLY | O_CLOEXEC);

	ATF_REQUIRE_MSG(fd != -1, "%s: %s", path, strerror(errno));
	return fd;
}

void
set_refs(struct program *r, unsigned mask, const struct target *t)
{
	int i;

	for (i = 0; i < NTYPES; i++)
		if ((mask & GONS_BIT(i)) != 0)
			run_env(r, "gons_%s=%s", ns_types[i].name, t->refs[i]);
}

/* Hides /proc in a mount namespace of our own, and keeps the real one. */
int
hide_proc(void)
{
	int fd = open("/proc", O_PATH | O_DIRECTORY);

	ATF_REQUIRE(fd != -1);
	ATF_REQUIRE_EQ(0, mount("none", "/", NULL, MS_REC | MS_PRIVATE, NULL));
	ATF_REQUIRE_EQ(0, mount("none", "/proc", "tmpfs", 0, "mode=755"));
	return fd;
}

void
put_file(const char *path, const char *text)
{
	int fd = open(path, O_CREAT | O_WRONLY, 0644);

	ATF_REQUIRE(fd != -1);
	ATF_REQUIRE_EQ((ssize_t)strlen(text), write(fd, text, strlen(text)));
	close(fd);
}

static int called, errnum_of, fails, left; /* of both threads */
static void (*then)(void); /* when none is left */

/* Is one left of them? */
static int
take_one(int *number)
{
	if (__atomic_load_n(number, __ATOMIC_SEQ_CST) == 0)
		return 0;
	(void)__atomic_fetch_sub(number, 1, __ATOMIC_SEQ_CST);
	return 1;
}

static int
answer(const struct seccomp_notif *call)
{
	(void)call;
	if (take_one(&left) && __atomic_load_n(&left, __ATOMIC_SEQ_CST) == 0)
		__atomic_load_n(&then, __ATOMIC_SEQ_CST)();
	/* After that, so that who asks for it sees what was done. */
	(void)__atomic_fetch_add(&called, 1, __ATOMIC_SEQ_CST);
	return take_one(&fails) ? __atomic_load_n(&errnum_of, __ATOMIC_SEQ_CST)
				: 0;
}

void
meddle(long nr)
{
	ask_a_thread(nr, answer);
}

void
meddle_fail(int errnum, int times)
{
	__atomic_store_n(&errnum_of, errnum, __ATOMIC_SEQ_CST);
	__atomic_store_n(&fails, times, __ATOMIC_SEQ_CST);
}

void
meddle_then(int nth, void (*what)(void))
{
	__atomic_store_n(&then, what, __ATOMIC_SEQ_CST);
	__atomic_store_n(&left, nth, __ATOMIC_SEQ_CST);
}

static void
close_stdin(void)
{
	(void)close(0);
}

void
meddle_close(void)
{
	meddle_then(1, close_stdin);
}

int
meddled(void)
{
	return __atomic_exchange_n(&called, 0, __ATOMIC_SEQ_CST);
}
