/*
 * SPDX-License-Identifier: BSD-2-Clause
 *
 * Copyright (c) 2026 The libgons developers
 *
 * switch.o: joining, and the reasons for not joining.  What variables ask for
 * is tried twice, by a program that is started with them, and by one that
 * calls gons_switch(3) with the same; the kernel is the judge.
 */

#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/mount.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>

#include <atf-c.h>

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <pthread.h>
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <gons.h>

#include "helpers.h"

#define USERNET (CLONE_NEWUSER | CLONE_NEWNET)
#define ALL_TYPES 0xffu
#define CAP_SYS_CHROOT 18
#define CAP_SYS_ADMIN 21

#define JOINED(r, mask, t) expect_joined(tc, r, mask, t)
#define FAILS(r, stage, errnum, type, hint, text) \
	expect_failure(tc, r, stage, errnum, type, hint, 0, text)
#define FAILS_AFTER(r, stage, errnum, type, hint, joined, text) \
	expect_failure(tc, r, stage, errnum, type, hint, joined, text)

static const int any = -999; /* a number that the contract leaves open */

static void
start(const atf_tc_t *tc, struct run *r, int mode)
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
check_places(struct run *r, unsigned mask, const struct target *t)
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

/* What start-up was given is closed; the caller of gons_switch keeps his. */
static void
check_fds(struct run *r, int mode)
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

static void
expect_joined(
    const atf_tc_t *tc, struct run *r, unsigned mask, const struct target *t)
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

static void
expect_failure(const atf_tc_t *tc, struct run *r, int stage, int errnum,
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
		    stage == any || stage == (int)run_number(r, "stage"),
		    "%s: stage", status);
		ATF_CHECK_MSG(errnum == (int)run_number(r, "errnum"),
		    "%s: expected %s", status, strerror(errnum));
		ATF_CHECK_MSG(type == atoi(run_value(r, "type")), "%s: type %s",
		    status, run_value(r, "type"));
		ATF_CHECK_MSG(hint == any || hint == (int)run_number(r, "hint"),
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

static int
open_ref(const char *path)
{
	int fd = open(path, O_RDONLY | O_CLOEXEC);

	ATF_REQUIRE_MSG(fd != -1, "%s: %s", path, strerror(errno));
	return fd;
}

static void
set_refs(struct run *r, unsigned mask, const struct target *t)
{
	int i;

	for (i = 0; i < NTYPES; i++)
		if ((mask & GONS_BIT(i)) != 0)
			run_env(r, "gons_%s=%s", ns_types[i].name, t->refs[i]);
}

/*
 * Joining.
 */

ATF_TC_WITHOUT_HEAD(each_alone);
ATF_TC_BODY(each_alone, tc)
{
	struct target t;
	struct run *r;
	int fd, type;

	sandbox(0);
	for (type = 0; type < NTYPES; type++) {
		target_start(&t, ns_types[type].flag, 0);
		r = run_new();
		set_refs(r, GONS_BIT(type), &t);
		JOINED(r, GONS_BIT(type), &t);
		r = run_new();
		set_refs(r, GONS_BIT(type), &t);
		run_env(r, "gons_order=%s", ns_types[type].name);
		JOINED(r, GONS_BIT(type), &t);
		r = run_new();
		set_refs(r, GONS_BIT(type), &t);
		run_env(r, "gons_order=auto:%s,", ns_types[type].name);
		JOINED(r, GONS_BIT(type), &t);
		r = run_new();
		r->keep[0] = fd = open_ref(t.refs[type]);
		run_env(r, "gons_%s=fd:%d", ns_types[type].name, fd);
		JOINED(r, GONS_BIT(type), &t);
		close(fd);
		target_stop(&t);
	}
}

ATF_TC_WITHOUT_HEAD(all_together);
ATF_TC_BODY(all_together, tc)
{
	static const char *const orders[] = { "", "auto",
		"!user,!mnt,!cgroup,!ipc,!net,!pid,!time,!uts,",
		"user,!uts,!time,!pid,!net,!ipc,!cgroup,!mnt",
		"auto:uts,time,pid,net,ipc,cgroup,mnt,user" };
	struct target t;
	struct run *r;
	size_t i;

	need_userns();
	target_start(&t, ALL_FLAGS, 0);
	for (i = 0; i < sizeof(orders) / sizeof(orders[0]); i++) {
		r = run_new();
		set_refs(r, ALL_TYPES, &t);
		run_env(r, "gons_order=%s", orders[i]);
		JOINED(r, ALL_TYPES, &t);
		ATF_CHECK(run_number(r, "childpid") > 1);
		ATF_CHECK(run_number(r, "childpid") < 1000);
	}
	target_stop(&t);
}

ATF_TC_WITHOUT_HEAD(all_by_descriptor);
ATF_TC_BODY(all_by_descriptor, tc)
{
	struct target t;
	struct run *r = run_new();
	int type;

	need_userns();
	target_start(&t, ALL_FLAGS, 0);
	for (type = 0; type < NTYPES; type++) {
		r->keep[type] = open_ref(t.refs[type]);
		run_env(r, "gons_%s=fd:%d", ns_types[type].name, r->keep[type]);
	}
	JOINED(r, ALL_TYPES, &t);
	target_stop(&t);
}

/* Relative, and opened early or late: joining mnt changes where "net" is. */
ATF_TC_WITHOUT_HEAD(early_references);
ATF_TC_BODY(early_references, tc)
{
	static const char *const good[] = { "user,!mnt,!net", "user,net,mnt",
		"user,mnt,!net", "", "auto:net,mnt,user" };
	char dir[64];
	struct target t;
	struct run *r;
	size_t i;

	need_userns();
	target_start(&t, USERNET | CLONE_NEWNS, 0);
	(void)snprintf(dir, sizeof(dir), "/proc/%d/ns", (int)t.pid);
	for (i = 0; i < sizeof(good) / sizeof(good[0]); i++) {
		r = run_new();
		r->cwd = dir;
		run_env(r, "gons_user=user");
		run_env(r, "gons_mnt=./mnt");
		run_env(r, "gons_net=../ns/net");
		run_env(r, "gons_order=%s", good[i]);
		JOINED(r,
		    GONS_BIT(GONS_USER) | GONS_BIT(GONS_MNT) |
			GONS_BIT(GONS_NET),
		    &t);
	}
	r = run_new();
	r->cwd = dir;
	run_env(r, "gons_user=user");
	run_env(r, "gons_mnt=mnt");
	run_env(r, "gons_net=net");
	run_env(r, "gons_order=user,mnt,net");
	FAILS_AFTER(r, GONS_STAGE_OPEN, ENOENT, GONS_NET, GONS_HINT_NONE,
	    GONS_BIT(GONS_USER) | GONS_BIT(GONS_MNT),
	    "gons: invalid gons_net reference \"net\": No such file");
	target_stop(&t);
}

/* A file of a name that looks like a descriptor; a symbolic link. */
ATF_TC_WITHOUT_HEAD(odd_names);
ATF_TC_BODY(odd_names, tc)
{
	static const char *const names[] = { "./fd:3", "fd3", "FD:3", "fd",
		" fd:3", "4711", "a b", "x=y" };
	struct target t;
	struct run *r;
	size_t i;

	sandbox(0);
	target_start(&t, CLONE_NEWNET, 0);
	for (i = 0; i < sizeof(names) / sizeof(names[0]); i++) {
		ATF_REQUIRE_EQ(0, symlink(t.refs[GONS_NET], names[i]));
		r = run_new();
		run_env(r, "gons_net=%s", names[i]);
		JOINED(r, GONS_BIT(GONS_NET), &t);
	}
	target_stop(&t);
}

ATF_TC_WITHOUT_HEAD(longest_path);
ATF_TC_BODY(longest_path, tc)
{
	static char path[PATH_MAX];
	struct target t;
	struct run *r = run_new();
	size_t len;

	sandbox(0);
	target_start(&t, CLONE_NEWUTS, 0);
	len = strlen(t.refs[GONS_UTS]);
	memset(path, '/', sizeof(path) - 1);
	memcpy(path + sizeof(path) - 1 - len, t.refs[GONS_UTS], len);
	run_env(r, "gons_uts=%s", path);
	JOINED(r, GONS_BIT(GONS_UTS), &t);
	target_stop(&t);
}

ATF_TC_WITHOUT_HEAD(listed_not_set);
ATF_TC_BODY(listed_not_set, tc)
{
	struct target t;
	struct run *r = run_new();

	sandbox(0);
	target_start(&t, CLONE_NEWUTS, 0);
	run_env(r, "gons_uts=%s", t.refs[GONS_UTS]);
	run_env(r, "gons_net=");
	run_env(r, "gons_order=!net,mnt,uts,!user");
	JOINED(r, GONS_BIT(GONS_UTS), &t);
	target_stop(&t);
}

/* A pid namespace without its init is joined, but nobody is born in it. */
ATF_TC_WITHOUT_HEAD(pid_init_ended);
ATF_TC_BODY(pid_init_ended, tc)
{
	struct target t;
	struct run *r = run_new();

	sandbox(0);
	target_start(&t, CLONE_NEWPID, 0);
	r->keep[0] = open_ref(t.refs[GONS_PID]);
	target_stop(&t);
	run_env(r, "gons_pid=fd:%d", r->keep[0]);
	start(tc, r, 0);
	ATF_CHECK_EQ(GONS_BIT(GONS_PID), run_number(r, "joined"));
	ATF_CHECK_STREQ(strerror(ENOMEM), run_value(r, "fork"));
}

/*
 * Orders and references that are wrong.
 */

ATF_TC_WITHOUT_HEAD(bad_orders);
ATF_TC_BODY(bad_orders, tc)
{
	static const char *const orders[] = { "foo", ",net", "net,,user", "!",
		"net,!", " net", "net user", "net,user ", "NET,user", "!!net",
		"net,net", "net,user,!net", ",", "auto:", "auto,net,user",
		"net,user,,", "net;user", "auto:!!net", "user,net,foo" };
	struct target t;
	struct run *r;
	size_t i;

	need_userns();
	target_start(&t, USERNET, 0);
	for (i = 0; i < sizeof(orders) / sizeof(orders[0]); i++) {
		r = run_new();
		set_refs(r, GONS_BIT(GONS_USER) | GONS_BIT(GONS_NET), &t);
		run_env(r, "gons_order=%s", orders[i]);
		FAILS(r, GONS_STAGE_ORDER, EINVAL,
		    strstr(orders[i], "net,user,!net") ||
			    strcmp(orders[i], "net,net") == 0
			? GONS_NET
			: -1,
		    any, " namespace type \"");
	}
	target_stop(&t);
}

ATF_TC_WITHOUT_HEAD(missing_from_order);
ATF_TC_BODY(missing_from_order, tc)
{
	static const char *const orders[] = { "net", "!net,uts", "auto:net",
		"mnt,cgroup,ipc,net,pid,time,uts" };
	struct target t;
	struct run *r;
	size_t i;

	need_userns();
	target_start(&t, USERNET, 0);
	for (i = 0; i < sizeof(orders) / sizeof(orders[0]); i++) {
		r = run_new();
		set_refs(r, GONS_BIT(GONS_USER) | GONS_BIT(GONS_NET), &t);
		run_env(r, "gons_order=%s", orders[i]);
		FAILS(r, GONS_STAGE_ORDER, EINVAL, GONS_USER, GONS_HINT_MISSING,
		    "gons: gons_user is set but missing from gons_order");
	}
	target_stop(&t);
}

static const struct bad_ref {
	const char *ref;
	int stage, errnum, hint;
} bad_refs[] = {
	{ "/no/such/ns", GONS_STAGE_OPEN, ENOENT, GONS_HINT_NONE },
	{ "nothing", GONS_STAGE_OPEN, ENOENT, GONS_HINT_NONE },
	{ " ", GONS_STAGE_OPEN, ENOENT, GONS_HINT_NONE },
	{ "dangling", GONS_STAGE_OPEN, ENOENT, GONS_HINT_NONE },
	{ "loop", GONS_STAGE_OPEN, ELOOP, GONS_HINT_NONE },
	{ "file/net", GONS_STAGE_OPEN, ENOTDIR, GONS_HINT_NONE },
	{ "socket", GONS_STAGE_OPEN, ENXIO, GONS_HINT_NONE },
	{ "file", GONS_STAGE_JOIN, EINVAL, GONS_HINT_NOTNS },
	{ "fifo", GONS_STAGE_JOIN, EINVAL, GONS_HINT_NOTNS },
	{ ".", GONS_STAGE_JOIN, EINVAL, GONS_HINT_NOTNS },
	{ "/", GONS_STAGE_JOIN, EINVAL, GONS_HINT_NOTNS },
	{ "/proc/self/ns", GONS_STAGE_JOIN, EINVAL, GONS_HINT_NOTNS },
	{ "/proc/self/status", GONS_STAGE_JOIN, EINVAL, GONS_HINT_NOTNS },
	{ "/dev/null", GONS_STAGE_JOIN, EINVAL, GONS_HINT_NOTNS },
	{ "/dev/urandom", GONS_STAGE_JOIN, EINVAL, GONS_HINT_NOTNS },
	{ "fd:", GONS_STAGE_OPEN, EINVAL, GONS_HINT_NONE },
	{ "fd:-1", GONS_STAGE_OPEN, EINVAL, GONS_HINT_NONE },
	{ "fd:+1", GONS_STAGE_OPEN, EINVAL, GONS_HINT_NONE },
	{ "fd: 1", GONS_STAGE_OPEN, EINVAL, GONS_HINT_NONE },
	{ "fd:1 ", GONS_STAGE_OPEN, EINVAL, GONS_HINT_NONE },
	{ "fd:1x", GONS_STAGE_OPEN, EINVAL, GONS_HINT_NONE },
	{ "fd:0x1", GONS_STAGE_OPEN, EINVAL, GONS_HINT_NONE },
	{ "fd:x", GONS_STAGE_OPEN, EINVAL, GONS_HINT_NONE },
	{ "fd:1,2", GONS_STAGE_OPEN, EINVAL, GONS_HINT_NONE },
	{ "fd:fd:1", GONS_STAGE_OPEN, EINVAL, GONS_HINT_NONE },
	{ "fd:2147483648", GONS_STAGE_OPEN, EINVAL, GONS_HINT_NONE },
	{ "fd:4294967296", GONS_STAGE_OPEN, EINVAL, GONS_HINT_NONE },
	{ "fd:18446744073709551616", GONS_STAGE_OPEN, EINVAL, GONS_HINT_NONE },
	{ "fd:1000", GONS_STAGE_OPEN, EBADF, GONS_HINT_NONE },
	{ "fd:2147483647", GONS_STAGE_OPEN, EBADF, GONS_HINT_NONE },
};

/* Nothing hangs, nothing is joined before the bad one is noticed. */
ATF_TC_WITHOUT_HEAD(bad_references);
ATF_TC_BODY(bad_references, tc)
{
	const struct bad_ref *b;
	char text[128];
	struct run *r;
	size_t i;

	ATF_REQUIRE_EQ(0, symlink("loop", "loop"));
	ATF_REQUIRE_EQ(0, symlink("nowhere", "dangling"));
	ATF_REQUIRE_EQ(0, mkfifo("fifo", 0600));
	ATF_REQUIRE_EQ(0, mknod("socket", S_IFSOCK | 0600, 0));
	close(open("file", O_CREAT | O_WRONLY | O_CLOEXEC, 0600));
	for (i = 0; i < sizeof(bad_refs) / sizeof(bad_refs[0]); i++) {
		b = &bad_refs[i];
		r = run_new();
		run_env(r, "gons_net=%s", b->ref);
		(void)snprintf(text, sizeof(text),
		    b->stage == GONS_STAGE_OPEN
			? "gons: invalid gons_net reference \"%s\": %s"
			: "gons: cannot join gons_net using reference \"%s\": "
			  "%s",
		    b->ref, strerror(b->errnum));
		FAILS(r, b->stage, b->errnum, GONS_NET, b->hint, text);
	}
}

/* "fd:N" that is not a namespace: a file, a pipe, a directory. */
ATF_TC_WITHOUT_HEAD(bad_descriptors);
ATF_TC_BODY(bad_descriptors, tc)
{
	struct run *r;
	int fds[9], i, p[2];

	ATF_REQUIRE_EQ(0, pipe2(p, O_CLOEXEC));
	fds[0] = p[0];
	fds[1] = p[1];
	fds[2] = open_ref("/");
	fds[3] = open_ref("/dev/null");
	fds[4] = open_ref("/proc/self/status");
	fds[5] = eventfd(0, EFD_CLOEXEC);
	fds[6] = epoll_create1(EPOLL_CLOEXEC);
	fds[7] = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
	fds[8] = memfd_create("x", MFD_CLOEXEC);
	for (i = 0; i < 9; i++) {
		r = run_new();
		r->keep[0] = fds[i];
		run_env(r, "gons_uts=fd:%d", fds[i]);
		FAILS(r, GONS_STAGE_JOIN, EINVAL, GONS_UTS, GONS_HINT_NOTNS,
		    "Invalid argument (it is no namespace)");
	}
}

/*
 * A descriptor that is closed is not the one that the library has just opened
 * for another type.
 */
ATF_TC_WITHOUT_HEAD(closed_descriptor);
ATF_TC_BODY(closed_descriptor, tc)
{
	static const char *const orders[] = { "", "!uts,net", "auto" };
	struct target t;
	struct run *r;
	size_t i;
	int mode;

	sandbox(0);
	target_start(&t, CLONE_NEWNET, 0);
	for (i = 0; i < 2 * sizeof(orders) / sizeof(orders[0]); i++) {
		mode = i % 2; /* h_ns has opened 3 when it switches */
		r = run_new();
		run_env(r, "gons_net=fd:%d", 3 + mode);
		run_env(r, "gons_uts=%s", t.refs[GONS_NET]);
		run_env(r, "gons_order=%s", orders[i / 2]);
		start(tc, r, mode);
		ATF_CHECK_EQ(GONS_STAGE_OPEN, run_number(r, "stage"));
		ATF_CHECK_EQ(EBADF, run_number(r, "errnum"));
		ATF_CHECK_EQ(GONS_NET, run_number(r, "type"));
		ATF_CHECK_EQ(0, run_number(r, "errjoined"));
		check_fds(r, mode);
	}
	target_stop(&t);
}

/* The same descriptor for two types: one of them is wrong; no double close. */
ATF_TC_WITHOUT_HEAD(descriptor_twice);
ATF_TC_BODY(descriptor_twice, tc)
{
	struct target t;
	struct run *r = run_new();

	sandbox(0);
	target_start(&t, CLONE_NEWNET, 0);
	r->keep[0] = open_ref(t.refs[GONS_NET]);
	run_env(r, "gons_net=fd:%d", r->keep[0]);
	run_env(r, "gons_uts=fd:%d", r->keep[0]);
	FAILS_AFTER(r, GONS_STAGE_JOIN, EINVAL, GONS_UTS, GONS_HINT_OTHERTYPE,
	    GONS_BIT(GONS_NET), "(it is a net namespace)");
	target_stop(&t);
}

ATF_TC_WITHOUT_HEAD(overlong);
ATF_TC_BODY(overlong, tc)
{
	static char path[30001], shown[PATH_MAX], reason[256];
	static const size_t lengths[] = { PATH_MAX - 1, PATH_MAX, PATH_MAX + 1,
		30000 };
	struct run *r;
	size_t i;

	(void)snprintf(
	    reason, sizeof(reason), "\": %s", strerror(ENAMETOOLONG));
	for (i = 0; i < sizeof(lengths) / sizeof(lengths[0]); i++) {
		memset(path, 'x', lengths[i]);
		path[lengths[i]] = '\0';
		(void)snprintf(
		    shown, sizeof(shown), "%.*s", (int)sizeof(shown) - 1, path);
		r = run_new();
		run_env(r, "gons_net=%s", path);
		FAILS(r, GONS_STAGE_OPEN, ENAMETOOLONG, GONS_NET,
		    GONS_HINT_NONE, reason);
		ATF_CHECK(strstr(run_value(r, "status"), shown) != NULL);
	}
	/* whole at the greatest length that there can be */
	for (i = 0; i + 2 < PATH_MAX; i += 2)
		memcpy(path + i, "x/", 2);
	path[PATH_MAX - 1] = '\0';
	r = run_new();
	run_env(r, "gons_net=%s", path);
	FAILS(r, GONS_STAGE_OPEN, ENOENT, GONS_NET, GONS_HINT_NONE,
	    "x\": No such file or directory");
	ATF_CHECK(strstr(run_value(r, "status"), path) != NULL);
}

ATF_TC_WITHOUT_HEAD(control_characters);
ATF_TC_BODY(control_characters, tc)
{
	struct run *r = run_new();

	run_env(r, "gons_net=/a\nb\033[1m\377\303\244");
	FAILS(r, GONS_STAGE_OPEN, ENOENT, GONS_NET, GONS_HINT_NONE,
	    "gons: invalid gons_net reference \"/a\\nb\\x1b[1m\\xff\303\244\": "
	    "No such file or directory");
	r = run_new();
	run_env(r, "gons_order=a\nb");
	FAILS(r, GONS_STAGE_ORDER, EINVAL, -1, GONS_HINT_UNKNOWN,
	    "gons: unknown namespace type \"a\\nb\" in gons_order");
}

ATF_TC_WITHOUT_HEAD(unreadable);
ATF_TC_BODY(unreadable, tc)
{
	struct run *r = run_new();
	char cwd[3000];

	need_nobody();
	close(open("closed", O_CREAT | O_WRONLY | O_CLOEXEC, 0));
	ATF_REQUIRE(getcwd(cwd, sizeof(cwd)) != NULL);
	r->as_nobody = 1;
	run_env(r, "gons_net=%s/closed", cwd);
	FAILS(r, GONS_STAGE_OPEN, EACCES, GONS_NET, GONS_HINT_NONE,
	    "/closed\": Permission denied");
	r = run_new();
	r->as_nobody = 1;
	run_env(r, "gons_net=/proc/1/ns/net");
	if (geteuid() == 0)
		FAILS(r, GONS_STAGE_OPEN, EACCES, GONS_NET, GONS_HINT_NONE,
		    "Permission denied");
}

/*
 * Why the kernel refused.
 */

ATF_TC_WITHOUT_HEAD(other_type);
ATF_TC_BODY(other_type, tc)
{
	char text[128];
	struct run *r;
	int is, set;

	for (set = 0; set < NTYPES; set++)
		for (is = 0; is < NTYPES; is++) {
			if (is == set)
				continue;
			r = run_new();
			run_env(r, "gons_%s=/proc/self/ns/%s",
			    ns_types[set].name, ns_types[is].name);
			(void)snprintf(text, sizeof(text),
			    "gons: cannot join gons_%s using reference "
			    "\"/proc/self/ns/%s\": Invalid argument "
			    "(it is a%s %s namespace)",
			    ns_types[set].name, ns_types[is].name,
			    is == GONS_IPC ? "n" : "", ns_types[is].name);
			FAILS(r, GONS_STAGE_JOIN, EINVAL, set,
			    GONS_HINT_OTHERTYPE, text);
			ATF_CHECK_EQ(is, (int)run_number(r, "value"));
		}
}

ATF_TC_WITHOUT_HEAD(same_user);
ATF_TC_BODY(same_user, tc)
{
	struct run *r = run_new();

	run_env(r, "gons_user=/proc/self/ns/user");
	FAILS(r, GONS_STAGE_JOIN, EINVAL, GONS_USER, GONS_HINT_SAME,
	    "(already in that user namespace)");
	r = run_new();
	run_env(r, "gons_user=/proc/self/ns/user");
	run_env(r, "gons_order=auto");
	FAILS(r, GONS_STAGE_JOIN, EINVAL, GONS_USER, GONS_HINT_SAME,
	    "(already in that user namespace)");
}

/* An ordinary user in the initial namespaces. */
ATF_TC_WITHOUT_HEAD(denied_owner);
ATF_TC_BODY(denied_owner, tc)
{
	struct run *r;
	int type;

	need_nobody();
	for (type = 0; type < NTYPES; type++) {
		if (type == GONS_USER)
			continue;
		r = run_new();
		r->as_nobody = 1;
		run_env(r, "gons_%s=/proc/self/ns/%s", ns_types[type].name,
		    ns_types[type].name);
		FAILS(r, GONS_STAGE_JOIN, EPERM, type, GONS_HINT_OWNER,
		    "(no CAP_SYS_ADMIN in the user namespace that owns it)");
	}
}

/* Namespaces of a neighbour, from within a user namespace. */
ATF_TC_WITHOUT_HEAD(denied_neighbour);
ATF_TC_BODY(denied_neighbour, tc)
{
	struct target t;
	struct run *r;
	int fd[NTYPES], type;

	need_userns();
	target_start(&t, ALL_FLAGS, 0);
	for (type = 0; type < NTYPES; type++)
		fd[type] = open_ref(t.refs[type]);
	sandbox(0);
	for (type = 0; type < NTYPES; type++) {
		r = run_new();
		r->keep[0] = fd[type];
		run_env(r, "gons_%s=fd:%d", ns_types[type].name, fd[type]);
		/* of two reasons the kernel looks at this one first */
		if (type == GONS_PID)
			FAILS(r, GONS_STAGE_JOIN, EPERM, type, GONS_HINT_OWNER,
			    "no CAP_SYS_ADMIN in the user namespace");
		else
			FAILS(r, GONS_STAGE_JOIN, EPERM, type, GONS_HINT_OWNER,
			    type == GONS_USER
				? "no CAP_SYS_ADMIN in that user namespace"
				: "no CAP_SYS_ADMIN in the user namespace that "
				  "owns it");
	}
	target_stop(&t);
}

/* Who owns the user namespace has to enter it, to be allowed the others. */
ATF_TC_WITHOUT_HEAD(denied_self);
ATF_TC_BODY(denied_self, tc)
{
	struct target t;
	struct run *r;
	int type;

	need_nobody();
	target_start(&t, ALL_FLAGS, TARGET_NOBODY);
	for (type = 0; type < NTYPES; type++) {
		r = run_new();
		r->as_nobody = 1;
		set_refs(r, GONS_BIT(type), &t);
		if (type == GONS_USER)
			JOINED(r, GONS_BIT(type), &t);
		else
			FAILS(r, GONS_STAGE_JOIN, EPERM, type, GONS_HINT_SELF,
			    "(no CAP_SYS_ADMIN in the own user namespace)");
	}
	target_stop(&t);
}

/* With capabilities taken away one by one. */
ATF_TC_WITHOUT_HEAD(denied_capability);
ATF_TC_BODY(denied_capability, tc)
{
	struct target t;
	struct run *r;

	sandbox(0);
	target_start(&t, CLONE_NEWNET | CLONE_NEWNS, 0);
	r = run_new();
	r->drop_cap = CAP_SYS_CHROOT + 1;
	set_refs(r, GONS_BIT(GONS_MNT), &t);
	FAILS(r, GONS_STAGE_JOIN, EPERM, GONS_MNT, GONS_HINT_CHROOT,
	    "(no CAP_SYS_CHROOT in the own user namespace)");
	r = run_new();
	r->drop_cap = CAP_SYS_CHROOT + 1;
	set_refs(r, GONS_BIT(GONS_NET), &t);
	JOINED(r, GONS_BIT(GONS_NET), &t);
	r = run_new();
	r->drop_cap = CAP_SYS_ADMIN + 1;
	set_refs(r, GONS_BIT(GONS_NET), &t);
	FAILS(r, GONS_STAGE_JOIN, EPERM, GONS_NET, GONS_HINT_OWNER,
	    "(no CAP_SYS_ADMIN in the user namespace that owns it)");
	target_stop(&t);
	/* a capability where it is, but not here: owned by our child */
	target_start(&t, USERNET, 0);
	r = run_new();
	r->drop_cap = CAP_SYS_ADMIN + 1;
	set_refs(r, GONS_BIT(GONS_NET), &t);
	FAILS(r, GONS_STAGE_JOIN, EPERM, GONS_NET, GONS_HINT_SELF,
	    "(no CAP_SYS_ADMIN in the own user namespace)");
	target_stop(&t);
}

/* The reason is not known: no hint is better than a wrong one. */
ATF_TC_WITHOUT_HEAD(denied_unknown);
ATF_TC_BODY(denied_unknown, tc)
{
	struct target t;
	struct run *r;
	static const int errnums[] = { EPERM, EINVAL, EUSERS, ENOMEM, EIO };
	size_t i;

	sandbox(0);
	target_start(&t, CLONE_NEWNET, 0);
	for (i = 0; i < sizeof(errnums) / sizeof(errnums[0]); i++) {
		r = run_new();
		r->rules[0] = (struct rule){ SYS_setns, -1, 0, 0, errnums[i] };
		r->nrules = 1;
		set_refs(r, GONS_BIT(GONS_NET), &t);
		FAILS(r, GONS_STAGE_JOIN, errnums[i], GONS_NET, GONS_HINT_NONE,
		    NULL);
		ATF_CHECK(strchr(run_value(r, "status"), '(') == NULL);
	}
	target_stop(&t);
}

/* Owned two user namespaces below, by who made the one between. */
ATF_TC_WITHOUT_HEAD(denied_deep);
ATF_TC_BODY(denied_deep, tc)
{
	int life[2], report[2];
	struct target t;
	struct run *r;
	pid_t child, pid;
	char c;

	sandbox(0);
	ATF_REQUIRE(pipe(life) == 0 && pipe(report) == 0);
	ATF_REQUIRE((child = fork()) != -1);
	if (child == 0) {
		close(life[1]);
		sandbox(0);
		target_start(&t, USERNET, 0);
		CHILD(write(report[1], &t.pid, sizeof(t.pid)) == sizeof(t.pid));
		(void)!read(life[0], &c, 1);
		target_stop(&t);
		_exit(0);
	}
	close(report[1]);
	ATF_REQUIRE_EQ(sizeof(pid), read(report[0], &pid, sizeof(pid)));
	r = run_new();
	r->drop_cap = CAP_SYS_ADMIN + 1;
	run_env(r, "gons_net=/proc/%d/ns/net", (int)pid);
	FAILS(r, GONS_STAGE_JOIN, EPERM, GONS_NET, GONS_HINT_SELF,
	    "(no CAP_SYS_ADMIN in the own user namespace)");
	close(life[1]);
	ATF_REQUIRE_EQ(child, waitpid(child, NULL, 0));
}

/* Old kernels, and other people's filters, do not answer what would tell. */
ATF_TC_WITHOUT_HEAD(no_answer);
ATF_TC_BODY(no_answer, tc)
{
	static const struct {
		struct rule rule;
		const char *ref; /* of the target */
		int errnum;
	} table[] = {
		{ { SYS_ioctl, 1, 0xffff, 0xb703 /* NSTYPE */, ENOTTY }, "uts",
		    EINVAL },
		{ { SYS_ioctl, 1, 0xffff, 0xb701 /* USERNS */, ENOTTY }, "net",
		    EPERM },
		{ { SYS_ioctl, 1, 0xffff, 0xb702 /* PARENT */, ENOTTY }, "net",
		    EPERM },
		{ { SYS_ioctl, 1, 0xffff, 0xb704 /* OWNER_UID */, ENOTTY },
		    "net", EPERM },
		{ { SYS_capget, -1, 0, 0, ENOSYS }, "net", EPERM },
	};
	struct target t;
	struct run *r;
	size_t i;

	sandbox(0);
	target_start(&t, USERNET | CLONE_NEWUTS, 0);
	for (i = 0; i < sizeof(table) / sizeof(table[0]); i++) {
		r = run_new();
		r->rules[0] = table[i].rule;
		r->nrules = 1;
		if (table[i].errnum == EPERM)
			r->drop_cap = CAP_SYS_ADMIN + 1;
		run_env(r, "gons_net=/proc/%d/ns/%s", (int)t.pid, table[i].ref);
		FAILS(r, GONS_STAGE_JOIN, table[i].errnum, GONS_NET,
		    GONS_HINT_NONE, strerror(table[i].errnum));
		ATF_CHECK(strchr(run_value(r, "status"), '(') == NULL);
	}
	target_stop(&t);
}

ATF_TC_WITHOUT_HEAD(limits);
ATF_TC_BODY(limits, tc)
{
	char path[64], text[128], limit[32] = "";
	struct run *r;
	int fd, type;
	ssize_t n;

	for (type = 0; type < NTYPES; type++) {
		(void)snprintf(path, sizeof(path),
		    "/proc/sys/user/max_%s_namespaces", ns_types[type].name);
		fd = open_ref(path);
		ATF_REQUIRE((n = read(fd, limit, sizeof(limit) - 1)) > 1);
		limit[n - 1] = '\0';
		close(fd);
		r = run_new();
		r->rules[0] = (struct rule){ SYS_setns, -1, 0, 0, ENOSPC };
		r->nrules = 1;
		run_env(r, "gons_%s=/proc/self/ns/%s", ns_types[type].name,
		    ns_types[type].name);
		(void)snprintf(text, sizeof(text),
		    "No space left on device (%s is %s)", path, limit);
		FAILS(r, GONS_STAGE_JOIN, ENOSPC, type, GONS_HINT_LIMIT, text);
		ATF_CHECK_STREQ(limit, run_value(r, "value"));
	}
}

ATF_TC_WITHOUT_HEAD(no_setns);
ATF_TC_BODY(no_setns, tc)
{
	struct run *r = run_new();

	r->rules[0] = (struct rule){ SYS_setns, -1, 0, 0, ENOSYS };
	r->nrules = 1;
	run_env(r, "gons_net=/proc/self/ns/net");
	FAILS(r, GONS_STAGE_JOIN, ENOSYS, GONS_NET, GONS_HINT_KERNEL, "kernel");
}

/* Hides /proc in a mount namespace of our own, and keeps the real one. */
static int
hide_proc(void)
{
	int fd = open("/proc", O_PATH | O_DIRECTORY);

	ATF_REQUIRE(fd != -1);
	ATF_REQUIRE_EQ(0, mount("none", "/", NULL, MS_REC | MS_PRIVATE, NULL));
	ATF_REQUIRE_EQ(0, mount("none", "/proc", "tmpfs", 0, "mode=755"));
	return fd;
}

static void
put_file(const char *path, const char *text)
{
	int fd = open(path, O_CREAT | O_WRONLY, 0644);

	ATF_REQUIRE(fd != -1);
	ATF_REQUIRE_EQ((ssize_t)strlen(text), write(fd, text, strlen(text)));
	close(fd);
}

/* What is in the place of /proc is not believed, and need not be there. */
ATF_TC_WITHOUT_HEAD(hints_without_proc);
ATF_TC_BODY(hints_without_proc, tc)
{
	static const struct rule limit = { SYS_setns, -1, 0, 0, ENOSPC };
	static const struct rule invalid = { SYS_setns, -1, 0, 0, EINVAL };
	static const struct rule unasked = { SYS_unshare, -1, 0, 0, EPERM };
	struct run *r;
	int i, mnt, net, proc;

	sandbox(CLONE_NEWNS);
	net = open_ref("/proc/self/ns/net");
	mnt = open_ref("/proc/self/ns/mnt");
	proc = hide_proc();
	for (i = 0; i < 2; i++) {
		r = run_new();
		run_env(r, "H_PROC=%d", proc);
		run_env(r, "gons_net=fd:%d", net);
		r->keep[0] = proc;
		r->keep[1] = net;
		r->rules[0] = limit;
		r->nrules = 1;
		start(tc, r, 0);
		ATF_CHECK_EQ(ENOSPC, (int)run_number(r, "errnum"));
		ATF_CHECK_EQ(GONS_HINT_NONE, (int)run_number(r, "hint"));
		r = run_new();
		run_env(r, "H_PROC=%d", proc);
		run_env(r, "gons_mnt=fd:%d", mnt);
		r->keep[0] = proc;
		r->keep[1] = mnt;
		r->rules[0] = invalid;
		r->rules[1] = unasked;
		r->nrules = 2;
		start(tc, r, 0);
		ATF_CHECK_EQ(EINVAL, (int)run_number(r, "errnum"));
		ATF_CHECK_EQ(GONS_HINT_NONE, (int)run_number(r, "hint"));
		if (i == 1)
			break;
		ATF_REQUIRE_EQ(0, mkdir("/proc/sys", 0755));
		ATF_REQUIRE_EQ(0, mkdir("/proc/sys/user", 0755));
		put_file("/proc/sys/user/max_net_namespaces", "7\n");
	}
}

/* As on a kernel without time namespaces, which has no such file. */
ATF_TC_WITHOUT_HEAD(no_such_type);
ATF_TC_BODY(no_such_type, tc)
{
	struct run *r = run_new();
	struct nsids own;

	sandbox(CLONE_NEWNS);
	ns_own(&own);
	run_env(r, "H_PROC=%d", hide_proc());
	ATF_REQUIRE_EQ(0, mkdir("/proc/self", 0755));
	ATF_REQUIRE_EQ(0, mkdir("/proc/self/ns", 0755));
	ATF_REQUIRE_EQ(0, mkdir("/proc/1", 0755));
	ATF_REQUIRE_EQ(0, mkdir("/proc/1/ns", 0755));
	run_env(r, "gons_time=/proc/1/ns/time");
	r->keep[0] = atoi(r->env[0] + 7);
	start(tc, r, 0);
	ATF_CHECK_EQ(GONS_HINT_KERNEL, (int)run_number(r, "hint"));
	ATF_CHECK_EQ(ENOENT, (int)run_number(r, "errnum"));
	/* a mistyped name is the caller's fault, though */
	close(open("/proc/self/ns/time", O_CREAT | O_WRONLY, 0600));
	start(tc, r, 0);
	ATF_CHECK_EQ(GONS_HINT_NONE, (int)run_number(r, "hint"));
	ATF_CHECK_EQ(own.id[GONS_TIME], run_number(r, "ns_time"));
}

/*
 * The automatic order.
 */

/* Privileges here, but none in the user namespace that is joined. */
ATF_TC_WITHOUT_HEAD(auto_others_first);
ATF_TC_BODY(auto_others_first, tc)
{
	static const char *const orders[] = { "auto", "auto:user,net,uts",
		"auto:net,uts,user" };
	struct target net, user, both;
	struct run *r;
	size_t i;

	if (geteuid() != 0)
		sandbox(0);
	else
		need_userns();
	target_start(&net, CLONE_NEWNET, 0);
	target_start(&user, CLONE_NEWUSER | CLONE_NEWUTS, 0);
	both = user;
	memcpy(both.refs[GONS_NET], net.refs[GONS_NET], sizeof(net.refs[0]));
	r = run_new();
	set_refs(r,
	    GONS_BIT(GONS_USER) | GONS_BIT(GONS_NET) | GONS_BIT(GONS_UTS),
	    &both);
	FAILS_AFTER(r, GONS_STAGE_JOIN, EPERM, GONS_NET, GONS_HINT_OWNER,
	    GONS_BIT(GONS_USER),
	    "(no CAP_SYS_ADMIN in the user namespace that owns it)");
	for (i = 0; i < sizeof(orders) / sizeof(orders[0]); i++) {
		r = run_new();
		set_refs(r,
		    GONS_BIT(GONS_USER) | GONS_BIT(GONS_NET) |
			GONS_BIT(GONS_UTS),
		    &both);
		run_env(r, "gons_order=%s", orders[i]);
		JOINED(r,
		    GONS_BIT(GONS_USER) | GONS_BIT(GONS_NET) |
			GONS_BIT(GONS_UTS),
		    &both);
	}
	target_stop(&net);
	target_stop(&user);
}

/* An ordinary user who owns the user namespace. */
ATF_TC_WITHOUT_HEAD(auto_user_first);
ATF_TC_BODY(auto_user_first, tc)
{
	static const char *const orders[] = { "auto", "",
		"auto:net,mnt,cgroup,ipc,uts,time,pid,user" };
	struct target t;
	struct run *r;
	size_t i;

	need_nobody();
	target_start(&t, ALL_FLAGS, TARGET_NOBODY);
	for (i = 0; i < sizeof(orders) / sizeof(orders[0]); i++) {
		r = run_new();
		r->as_nobody = 1;
		set_refs(r, ALL_TYPES, &t);
		run_env(r, "gons_order=%s", orders[i]);
		JOINED(r, ALL_TYPES, &t);
	}
	r = run_new();
	r->as_nobody = 1;
	set_refs(r, ALL_TYPES, &t);
	run_env(r, "gons_order=mnt,cgroup,ipc,net,pid,time,uts,user");
	FAILS(r, GONS_STAGE_JOIN, EPERM, GONS_MNT, GONS_HINT_SELF, NULL);
	target_stop(&t);
}

/* Some only before, others only after the user namespace. */
ATF_TC_WITHOUT_HEAD(auto_both_sides);
ATF_TC_BODY(auto_both_sides, tc)
{
	struct target net, user;
	struct run *r = run_new();

	sandbox(0);
	target_start(&net, CLONE_NEWNET, 0);
	target_start(&user, CLONE_NEWUSER | CLONE_NEWUTS, 0);
	memcpy(user.refs[GONS_NET], net.refs[GONS_NET], sizeof(net.refs[0]));
	r->as_nobody = 0;
	set_refs(r,
	    GONS_BIT(GONS_USER) | GONS_BIT(GONS_NET) | GONS_BIT(GONS_UTS),
	    &user);
	run_env(r, "gons_order=auto");
	JOINED(r, GONS_BIT(GONS_USER) | GONS_BIT(GONS_NET) | GONS_BIT(GONS_UTS),
	    &user);
	target_stop(&net);
	target_stop(&user);
}

/* The first reason that is a reason, and what had been joined. */
ATF_TC_WITHOUT_HEAD(auto_refused);
ATF_TC_BODY(auto_refused, tc)
{
	struct target t;
	struct run *r;

	sandbox(0);
	target_start(&t, CLONE_NEWUSER | CLONE_NEWIPC, 0);
	/* these two belong to somebody above us */
	(void)snprintf(
	    t.refs[GONS_NET], sizeof(t.refs[0]), "/proc/self/ns/net");
	(void)snprintf(
	    t.refs[GONS_UTS], sizeof(t.refs[0]), "/proc/self/ns/uts");
	r = run_new();
	set_refs(r,
	    GONS_BIT(GONS_USER) | GONS_BIT(GONS_NET) | GONS_BIT(GONS_UTS) |
		GONS_BIT(GONS_IPC),
	    &t);
	run_env(r, "gons_order=auto:uts,net,ipc,user");
	FAILS_AFTER(r, GONS_STAGE_JOIN, EPERM, GONS_UTS, GONS_HINT_OWNER,
	    GONS_BIT(GONS_USER) | GONS_BIT(GONS_IPC),
	    "(no CAP_SYS_ADMIN in the user namespace that owns it)");
	/* without a user namespace there is nothing to wait for */
	r = run_new();
	run_env(r, "gons_net=/proc/self/ns/net");
	run_env(r, "gons_order=auto");
	FAILS(r, GONS_STAGE_JOIN, EPERM, GONS_NET, GONS_HINT_OWNER, "(no CAP");
	/* another error than EPERM is final */
	r = run_new();
	set_refs(r, GONS_BIT(GONS_USER), &t);
	run_env(r, "gons_net=/proc/self/ns/uts");
	run_env(r, "gons_order=auto");
	FAILS(r, GONS_STAGE_JOIN, EINVAL, GONS_NET, GONS_HINT_OTHERTYPE, NULL);
	/* references are opened before anything is joined */
	r = run_new();
	set_refs(r, GONS_BIT(GONS_USER) | GONS_BIT(GONS_IPC), &t);
	run_env(r, "gons_uts=/nope");
	run_env(r, "gons_order=auto");
	FAILS(r, GONS_STAGE_OPEN, ENOENT, GONS_UTS, GONS_HINT_NONE, NULL);
	target_stop(&t);
}

/*
 * A target.
 */

ATF_TC_WITHOUT_HEAD(target_all);
ATF_TC_BODY(target_all, tc)
{
	static const char *const orders[] = { "",
		"user,mnt,cgroup,ipc,net,pid,time,uts",
		"uts,time,pid,net,ipc,cgroup,mnt,user," };
	struct target t;
	struct run *r;
	size_t i;
	int nobody;

	need_nobody();
	for (nobody = 0; nobody < 2; nobody++) {
		target_start(&t, ALL_FLAGS, nobody ? TARGET_NOBODY : 0);
		for (i = 0; i < sizeof(orders) / sizeof(orders[0]); i++) {
			r = run_new();
			r->as_nobody = nobody;
			run_env(r, "gons_target=%d", (int)t.pid);
			run_env(r, "gons_order=%s", orders[i]);
			JOINED(r, ALL_TYPES, &t);
			r = run_new();
			r->as_nobody = nobody;
			r->keep[0] = pidfd_of(t.pid);
			run_env(r, "gons_target=fd:%d", r->keep[0]);
			run_env(r, "gons_order=%s", orders[i]);
			JOINED(r, ALL_TYPES, &t);
			close(r->keep[0]);
		}
		target_stop(&t);
	}
}

/* Only those in which it differs; only those that are asked for. */
ATF_TC_WITHOUT_HEAD(target_some);
ATF_TC_BODY(target_some, tc)
{
	struct target t;
	struct run *r;
	int ioctls;

	sandbox(0);
	target_start(&t, CLONE_NEWNET | CLONE_NEWUTS | CLONE_NEWIPC, 0);
	for (ioctls = 0; ioctls < 2; ioctls++) {
		r = run_new();
		if (ioctls == 0) {
			r->rules[0] = (struct rule)PIDFD_IOCTLS;
			r->nrules = 1;
		}
		run_env(r, "gons_target=%d", (int)t.pid);
		JOINED(r,
		    GONS_BIT(GONS_NET) | GONS_BIT(GONS_UTS) |
			GONS_BIT(GONS_IPC),
		    &t);
	}
	r = run_new();
	run_env(r, "gons_target=%d", (int)t.pid);
	run_env(r, "gons_order=ipc,uts");
	JOINED(r, GONS_BIT(GONS_UTS) | GONS_BIT(GONS_IPC), &t);
	/* nothing differs: nothing to do */
	r = run_new();
	run_env(r, "gons_target=%d", (int)getpid());
	JOINED(r, 0, NULL);
	target_stop(&t);
}

ATF_TC_WITHOUT_HEAD(target_contradictions);
ATF_TC_BODY(target_contradictions, tc)
{
	static const struct {
		const char *variable;
		int type, hint;
		const char *text;
	} table[] = {
		{ "gons_net=/proc/self/ns/net", GONS_NET, GONS_HINT_TARGETED,
		    "gons_net" },
		{ "gons_uts=/nope", GONS_UTS, GONS_HINT_TARGETED, "gons_uts" },
		{ "gons_order=!net", -1, GONS_HINT_EARLY, "\"!\"" },
		{ "gons_order=user,!net", -1, GONS_HINT_EARLY, "\"!\"" },
		{ "gons_order=auto", -1, GONS_HINT_AUTO, "\"auto\"" },
		{ "gons_order=auto:net", -1, GONS_HINT_AUTO, "\"auto\"" },
		{ "gons_order=foo", -1, GONS_HINT_UNKNOWN, "\"foo\"" },
		{ "gons_order=net,net", GONS_NET, GONS_HINT_DUPLICATE, "net" },
		{ "gons_order=,", -1, GONS_HINT_UNKNOWN, "\"\"" },
	};
	struct target t;
	struct run *r;
	size_t i;

	need_userns();
	target_start(&t, USERNET, 0);
	for (i = 0; i < sizeof(table) / sizeof(table[0]); i++) {
		r = run_new();
		run_env(r, "gons_target=%d", (int)t.pid);
		run_env(r, "%s", table[i].variable);
		FAILS(r, GONS_STAGE_ORDER, EINVAL, table[i].type, table[i].hint,
		    table[i].text);
	}
	target_stop(&t);
}

ATF_TC_WITHOUT_HEAD(target_bad);
ATF_TC_BODY(target_bad, tc)
{
	static const struct {
		const char *ref;
		int errnum;
	} table[] = {
		{ "0", EINVAL },
		{ "00", EINVAL },
		{ "-1", EINVAL },
		{ "+1", EINVAL },
		{ " 1", EINVAL },
		{ "1 ", EINVAL },
		{ "1x", EINVAL },
		{ "0x1", EINVAL },
		{ "self", EINVAL },
		{ "/proc/1", EINVAL },
		{ "1,2", EINVAL },
		{ "2147483648", EINVAL },
		{ "4294967297", EINVAL },
		{ "18446744073709551617", EINVAL },
		{ "2147483647", ESRCH },
		{ "fd:", EINVAL },
		{ "fd:-1", EINVAL },
		{ "fd:+1", EINVAL },
		{ "fd:1x", EINVAL },
		{ "fd:2147483648", EINVAL },
		{ "fd:1000", EBADF },
		{ "fd:2147483647", EBADF },
	};
	char text[128];
	struct run *r;
	size_t i;

	for (i = 0; i < sizeof(table) / sizeof(table[0]); i++) {
		(void)snprintf(text, sizeof(text),
		    "gons: invalid gons_target reference \"%s\": %s",
		    table[i].ref, strerror(table[i].errnum));
		r = run_new();
		run_env(r, "gons_target=%s", table[i].ref);
		FAILS(r, GONS_STAGE_OPEN, table[i].errnum, -1, GONS_HINT_NONE,
		    text);
		r = run_new();
		run_env(r, "gons_target=%s", table[i].ref);
		run_env(r, "gons_order=net");
		FAILS(r, GONS_STAGE_OPEN, table[i].errnum, -1, GONS_HINT_NONE,
		    text);
	}
}

/*
 * A descriptor that is no process's.  That of a namespace has to be refused
 * although setns(2) would take it.
 */
ATF_TC_WITHOUT_HEAD(target_no_pidfd);
ATF_TC_BODY(target_no_pidfd, tc)
{
	static const char *const orders[] = { "", "net", "uts,net", "user" };
	static const char *const names[] = { "/dev/null", "/", "file", "fifo",
		"/proc/self/status" };
	struct target t;
	struct run *r;
	size_t i, j;
	int fds[32], n = 0, type;

	sandbox(0);
	target_start(&t, USERNET, 0);
	ATF_REQUIRE_EQ(0, mkfifo("fifo", 0600));
	close(open("file", O_CREAT | O_WRONLY | O_CLOEXEC, 0600));
	for (i = 0; i < sizeof(names) / sizeof(names[0]); i++)
		fds[n++] = open(names[i], O_RDONLY | O_NONBLOCK | O_CLOEXEC);
	for (type = 0; type < NTYPES; type++)
		fds[n++] = open_ref(t.refs[type]);
	/* these have no file system of their own, as pidfds had none */
	fds[n++] = eventfd(0, EFD_CLOEXEC);
	fds[n++] = epoll_create1(EPOLL_CLOEXEC);
	fds[n++] = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
	for (i = 0; i < (size_t)n; i++)
		for (j = 0; j < sizeof(orders) / sizeof(orders[0]); j++) {
			r = run_new();
			r->keep[0] = fds[i];
			run_env(r, "gons_target=fd:%d", fds[i]);
			run_env(r, "gons_order=%s", orders[j]);
			FAILS(r, any, EINVAL, -1, GONS_HINT_NOTPIDFD,
			    "(it does not refer to a process)");
		}
	target_stop(&t);
}

/* It has ended, and been waited for or not; on kernels new and old. */
ATF_TC_WITHOUT_HEAD(target_exited);
ATF_TC_BODY(target_exited, tc)
{
	struct target t;
	struct run *r;
	int fd, i;

	need_userns();
	target_start(&t, USERNET, 0);
	fd = pidfd_of(t.pid);
	target_kill(&t);
	for (i = 0; i < 16; i++) {
		if (i == 8)
			target_stop(&t);
		r = run_new();
		if ((i & 1) != 0)
			run_env(r, "gons_order=user,net");
		if ((i & 2) != 0) {
			r->rules[0] = (struct rule)PIDFD_IOCTLS;
			r->nrules = 1;
		}
		if ((i & 4) != 0) {
			r->keep[0] = fd;
			run_env(r, "gons_target=fd:%d", fd);
		} else {
			run_env(r, "gons_target=%d", (int)t.pid);
		}
		FAILS(r, any, ESRCH, -1, GONS_HINT_NONE, "No such process");
	}
}

/* All or none: one of them cannot be, so none is joined. */
ATF_TC_WITHOUT_HEAD(target_all_or_none);
ATF_TC_BODY(target_all_or_none, tc)
{
	struct target t;
	struct run *r;

	sandbox(0);
	/* the own user namespace */
	target_start(&t, CLONE_NEWNET | CLONE_NEWUTS, 0);
	r = run_new();
	run_env(r, "gons_target=%d", (int)t.pid);
	run_env(r, "gons_order=net,uts,user");
	FAILS(r, GONS_STAGE_JOIN, EINVAL, -1, GONS_HINT_SAME,
	    "(already in that user namespace)");
	target_stop(&t);
	/* uts belongs to somebody above us */
	target_start(&t, USERNET, 0);
	r = run_new();
	run_env(r, "gons_target=%d", (int)t.pid);
	run_env(r, "gons_order=user,net,uts");
	FAILS(r, GONS_STAGE_JOIN, EPERM, -1, GONS_HINT_OWNER,
	    "(no CAP_SYS_ADMIN in the user namespace that owns its uts "
	    "namespace)");
	target_stop(&t);
}

ATF_TC_WITHOUT_HEAD(target_denied);
ATF_TC_BODY(target_denied, tc)
{
	struct target t;
	struct run *r;
	int fd;

	need_nobody();
	target_start(&t, USERNET, TARGET_NOBODY);
	r = run_new();
	r->as_nobody = 1;
	run_env(r, "gons_target=%d", (int)t.pid);
	run_env(r, "gons_order=net");
	FAILS(r, GONS_STAGE_JOIN, EPERM, -1, GONS_HINT_SELF,
	    "(no CAP_SYS_ADMIN in the own user namespace)");
	/* entering the user namespace would do for net, but not for uts */
	r = run_new();
	r->as_nobody = 1;
	run_env(r, "gons_target=%d", (int)t.pid);
	run_env(r, "gons_order=user,net,uts");
	FAILS(r, GONS_STAGE_JOIN, EPERM, -1, GONS_HINT_OWNER,
	    "owns its uts namespace)");
	fd = pidfd_of(t.pid);
	/* a neighbour */
	sandbox(0);
	r = run_new();
	r->keep[0] = fd;
	run_env(r, "gons_target=fd:%d", fd);
	run_env(r, "gons_order=user,net");
	FAILS(r, GONS_STAGE_JOIN, EPERM, -1, GONS_HINT_INSPECT,
	    "(the process must not be inspected by this one)");
	r = run_new();
	r->keep[0] = fd;
	run_env(r, "gons_net=fd:%d", fd);
	FAILS(r, GONS_STAGE_JOIN, EPERM, GONS_NET, GONS_HINT_INSPECT,
	    "(the process must not be inspected by this one)");
	target_stop(&t);
}

/* Kernels before 5.3, and before 5.8. */
ATF_TC_WITHOUT_HEAD(target_old_kernels);
ATF_TC_BODY(target_old_kernels, tc)
{
	struct target t;
	struct run *r;
	int i;

	need_userns();
	target_start(&t, USERNET, 0);
	/* the one with pidfds of clone(2), and filters that are older still */
	r = run_new();
	r->rules[0] = (struct rule)PIDFD_IOCTLS;
	r->rules[1] = (struct rule){ SYS_pidfd_open, -1, 0, 0, ENOSYS };
	r->rules[2] = (struct rule){ SYS_setns, -1, 0, 0, EINVAL };
	r->nrules = 3;
	r->keep[0] = pidfd_of(t.pid);
	run_env(r, "gons_target=fd:%d", r->keep[0]);
	run_env(r, "gons_order=net");
	FAILS(r, GONS_STAGE_JOIN, EINVAL, -1, GONS_HINT_KERNEL, "kernel");
	for (i = 0; i < 8; i++) {
		r = run_new();
		r->rules[0] = (struct rule)PIDFD_IOCTLS;
		r->rules[1] =
		    (i & 1) != 0
			? (struct rule){ SYS_pidfd_open, -1, 0, 0, ENOSYS }
			: (struct rule){ SYS_setns, -1, 0, 0, EINVAL };
		r->nrules = 2;
		if ((i & 2) != 0)
			run_env(r, "gons_order=user,net");
		if ((i & 4) != 0) {
			/* no pidfd without pidfd_open: one of clone(2)'s */
			if ((i & 1) != 0)
				continue;
			r->keep[0] = pidfd_of(t.pid);
			run_env(r, "gons_target=fd:%d", r->keep[0]);
		} else {
			run_env(r, "gons_target=%d", (int)t.pid);
		}
		FAILS(r, any, (i & 1) != 0 ? ENOSYS : EINVAL, -1,
		    GONS_HINT_KERNEL, "kernel");
	}
	target_stop(&t);
}

/* Between 5.8 and 6.11: what differs is found out by way of /proc. */
ATF_TC_WITHOUT_HEAD(target_by_proc);
ATF_TC_BODY(target_by_proc, tc)
{
	struct target t;
	struct run *r;
	int i;

	need_userns();
	target_start(&t, ALL_FLAGS, 0);
	for (i = 0; i < 2; i++) {
		r = run_new();
		r->rules[0] = (struct rule)PIDFD_IOCTLS;
		r->nrules = 1;
		if (i == 0) {
			run_env(r, "gons_target=%d", (int)t.pid);
		} else {
			r->keep[0] = pidfd_of(t.pid);
			run_env(r, "gons_target=fd:%d", r->keep[0]);
		}
		JOINED(r, ALL_TYPES, &t);
	}
	target_stop(&t);
}

/* No /proc at all. */
ATF_TC_WITHOUT_HEAD(target_no_proc);
ATF_TC_BODY(target_no_proc, tc)
{
	uint64_t net, user, own;
	struct target t;
	struct run *r;
	int i, pidfd, proc;

	sandbox(CLONE_NEWNS);
	target_start(&t, USERNET, 0);
	net = ns_id(t.refs[GONS_NET]);
	user = ns_id(t.refs[GONS_USER]);
	own = ns_id("/proc/self/ns/net");
	pidfd = pidfd_of(t.pid);
	proc = hide_proc();
	for (i = 0; i < 8; i++) {
		r = run_new();
		r->keep[0] = proc;
		run_env(r, "H_PROC=%d", proc);
		if ((i & 1) != 0) {
			r->keep[1] = pidfd;
			run_env(r, "gons_target=fd:%d", pidfd);
		} else {
			run_env(r, "gons_target=%d", (int)t.pid);
		}
		if ((i & 2) != 0) {
			r->rules[0] = (struct rule)PIDFD_IOCTLS;
			r->nrules = 1;
		}
		if ((i & 4) != 0)
			run_env(r, "gons_order=user,net");
		start(tc, r, 0);
		if (i == 2 || i == 3) {
			ATF_CHECK_EQ(ENOENT, (int)run_number(r, "errnum"));
			ATF_CHECK_EQ(
			    GONS_HINT_PROC, (int)run_number(r, "hint"));
			ATF_CHECK_EQ(own, run_number(r, "ns_net"));
			continue;
		}
		if (i < 2 && run_value(r, "status") != NULL &&
		    (int)run_number(r, "hint") == GONS_HINT_PROC)
			continue; /* a kernel before 6.11 */
		ATF_CHECK_MSG(run_value(r, "status") == NULL, "%d: %s", i,
		    run_value(r, "status"));
		ATF_CHECK_EQ(net, run_number(r, "ns_net"));
		ATF_CHECK_EQ(user, run_number(r, "ns_user"));
	}
	target_stop(&t);
}

/* A kernel without time namespaces. */
ATF_TC_WITHOUT_HEAD(target_no_such_type);
ATF_TC_BODY(target_no_such_type, tc)
{
	struct target t;
	struct run *r = run_new();

	need_userns();
	target_start(&t, USERNET, 0);
	run_env(r, "gons_target=%d", (int)t.pid);
	r->rules[0] = (struct rule){ SYS_ioctl, 1, 0xffff,
		_IO(0xff, 7) & 0xffff, EOPNOTSUPP };
	r->nrules = 1;
	JOINED(r, GONS_BIT(GONS_USER) | GONS_BIT(GONS_NET), &t);
	target_stop(&t);
}

/* Files in the place of /proc are not believed: what they lack may be there. */
ATF_TC_WITHOUT_HEAD(target_false_proc);
ATF_TC_BODY(target_false_proc, tc)
{
	char path[128];
	struct target t;
	struct run *r = run_new();
	int i, proc, type;

	sandbox(CLONE_NEWNS);
	target_start(&t, CLONE_NEWNET, 0);
	proc = hide_proc();
	(void)snprintf(path, sizeof(path), "/proc/%d", (int)t.pid);
	ATF_REQUIRE_EQ(0, mkdir(path, 0755));
	(void)snprintf(path, sizeof(path), "/proc/%d/ns", (int)t.pid);
	ATF_REQUIRE_EQ(0, mkdir(path, 0755));
	ATF_REQUIRE_EQ(0, mkdir("/proc/self", 0755));
	ATF_REQUIRE_EQ(0, mkdir("/proc/self/ns", 0755));
	for (type = 0; type < NTYPES; type++) {
		if (type == GONS_TIME)
			continue;
		(void)snprintf(path, sizeof(path), "/proc/self/ns/%s",
		    ns_types[type].name);
		close(open(path, O_CREAT | O_WRONLY, 0600));
		if (type == GONS_NET)
			close(open(t.refs[type], O_CREAT | O_WRONLY, 0600));
		else
			ATF_REQUIRE_EQ(0, link(path, t.refs[type]));
	}
	r->keep[0] = proc;
	run_env(r, "H_PROC=%d", proc);
	run_env(r, "gons_target=%d", (int)t.pid);
	r->rules[0] = (struct rule)PIDFD_IOCTLS;
	r->nrules = 1;
	for (i = 0; i < 2; i++) {
		start(tc, r, i);
		ATF_CHECK_EQ(GONS_HINT_PROC, run_number(r, "hint"));
		ATF_CHECK_EQ(0, run_number(r, "errjoined"));
	}
	target_stop(&t);
}

/* A /proc that hides the processes of others, or does not have them. */
ATF_TC_WITHOUT_HEAD(target_hidden_proc);
ATF_TC_BODY(target_hidden_proc, tc)
{
	struct target outer, t;
	struct run *r;
	int pidfd, proc, status;
	pid_t pid;

	/* as init of a pid namespace we may mount its /proc */
	sandbox(0);
	target_start(&outer, CLONE_NEWNET, 0);
	pidfd = pidfd_of(outer.pid);
	ATF_REQUIRE_EQ(0, unshare(CLONE_NEWNS | CLONE_NEWPID));
	ATF_REQUIRE((pid = fork()) != -1);
	if (pid != 0) {
		ATF_REQUIRE_EQ(pid, waitpid(pid, &status, 0));
		ATF_REQUIRE_EQ(0, status);
		target_stop(&outer);
		return;
	}
	CHILD(mount("none", "/", NULL, MS_REC | MS_PRIVATE, NULL) == 0);
	CHILD(mount("proc", "/proc", "proc", 0, NULL) == 0);
	proc = open("/proc", O_PATH | O_DIRECTORY);
	target_start(&t, CLONE_NEWNET, 0);
	CHILD(mount("proc", "/proc", "proc", 0, "hidepid=invisible") == 0);
	r = run_new();
	r->keep[0] = proc;
	run_env(r, "H_PROC=%d", proc);
	run_env(r, "gons_target=%d", (int)t.pid);
	r->rules[0] = (struct rule)PIDFD_IOCTLS;
	r->nrules = 1;
	/* those whom we may look at are not hidden */
	start(tc, r, 0);
	CHILD(run_value(r, "status") == NULL);
	/* this one is */
	r->drop_cap = 19 + 1; /* CAP_SYS_PTRACE */
	run(r, atf_tc_get_config_var(tc, "srcdir"), "h_ns");
	CHILD(r->status == 0);
	if (run_value(r, "status") != NULL)
		printf("%s\n", run_value(r, "status"));
	CHILD(run_value(r, "status") != NULL);
	CHILD(run_number(r, "hint") == GONS_HINT_PROC ||
	      run_number(r, "errnum") == EACCES);
	run_env(r, "gons_order=net");
	run(r, atf_tc_get_config_var(tc, "srcdir"), "h_ns");
	CHILD(run_value(r, "status") != NULL);
	CHILD(run_number(r, "errnum") == EPERM);
	/* a process that has no number here */
	r = run_new();
	r->keep[0] = proc;
	r->keep[1] = pidfd;
	run_env(r, "H_PROC=%d", proc);
	run_env(r, "gons_target=fd:%d", pidfd);
	r->rules[0] = (struct rule)PIDFD_IOCTLS;
	r->nrules = 1;
	start(tc, r, 0);
	CHILD(run_value(r, "status") != NULL);
	CHILD(run_number(r, "errnum") == ENOENT);
	CHILD(run_number(r, "hint") == GONS_HINT_PROC);
	run_env(r, "gons_order=net");
	start(tc, r, 0);
	CHILD(run_value(r, "status") == NULL);
	_exit(0);
}

/*
 * At run time.
 */

/* Its own arguments: the structure, not the text; no place for the error. */
ATF_TC_WITHOUT_HEAD(switch_arguments);
ATF_TC_BODY(switch_arguments, tc)
{
	struct gons_env env;
	struct gons_error error;
	struct gons_order order;
	struct nsids before, after;
	struct target t;
	int fds;

	sandbox(0);
	target_start(&t, CLONE_NEWNET | CLONE_NEWUTS, 0);
	ns_own(&before);
	fds = count_fds();
	(void)gons_envparse(NULL, &env);
	/* nothing to do */
	ATF_CHECK_EQ(0, gons_switch(&env, NULL, &error));
	ATF_CHECK_EQ(0, gons_switch(&env, NULL, NULL));
	CHECK_UNMOVED(&before);
	/* without a place for the error, errno remains */
	env.path[GONS_NET] = "/nope";
	errno = 0;
	ATF_CHECK_EQ(-1, gons_switch(&env, NULL, NULL));
	ATF_CHECK_EQ(ENOENT, errno);
	env.order = "foo";
	errno = 0;
	ATF_CHECK_EQ(-1, gons_switch(&env, NULL, NULL));
	ATF_CHECK_EQ(EINVAL, errno);
	/* the structure counts, the text does not */
	env.path[GONS_NET] = t.refs[GONS_NET];
	ATF_REQUIRE_EQ(0, gons_order_parse("uts", &order, NULL));
	ATF_CHECK_EQ(-1, gons_switch(&env, &order, &error));
	ATF_CHECK_EQ(GONS_HINT_MISSING, error.hint);
	order.step[0].type = GONS_NTYPES;
	errno = 0;
	ATF_CHECK_EQ(-1, gons_switch(&env, &order, &error));
	ATF_CHECK_EQ(EINVAL, errno);
	ATF_CHECK_EQ(GONS_STAGE_ORDER, error.stage);
	order.nsteps = 0xffffffffu;
	ATF_CHECK_EQ(-1, gons_switch(&env, &order, &error));
	CHECK_UNMOVED(&before);
	ATF_REQUIRE_EQ(0, gons_order_parse("net", &order, NULL));
	ATF_CHECK_EQ(0, gons_switch(&env, &order, NULL));
	ns_own(&after);
	ATF_CHECK_EQ(ns_id(t.refs[GONS_NET]), after.id[GONS_NET]);
	ATF_CHECK_EQ(before.id[GONS_UTS], after.id[GONS_UTS]);
	ATF_CHECK_EQ(fds, count_fds());
	target_stop(&t);
}

/* The structure tells what of a target to join. */
ATF_TC_WITHOUT_HEAD(switch_target_order);
ATF_TC_BODY(switch_target_order, tc)
{
	char pid[16];
	struct gons_env env;
	struct gons_error error;
	struct gons_order order;
	struct nsids before, after;
	struct target t;

	sandbox(0);
	target_start(&t, CLONE_NEWNET | CLONE_NEWUTS, 0);
	(void)snprintf(pid, sizeof(pid), "%d", (int)t.pid);
	ns_own(&before);
	(void)gons_envparse(NULL, &env);
	env.target = pid;
	ATF_REQUIRE_EQ(0, gons_order_parse("!uts", &order, NULL));
	ATF_CHECK_EQ(-1, gons_switch(&env, &order, &error));
	ATF_CHECK_EQ(GONS_HINT_EARLY, error.hint);
	ATF_REQUIRE_EQ(0, gons_order_parse("auto", &order, NULL));
	ATF_CHECK_EQ(-1, gons_switch(&env, &order, &error));
	ATF_CHECK_EQ(GONS_HINT_AUTO, error.hint);
	CHECK_UNMOVED(&before);
	ATF_REQUIRE_EQ(0, gons_order_parse("uts", &order, NULL));
	ATF_REQUIRE_EQ(0, gons_switch(&env, &order, &error));
	ns_own(&after);
	ATF_CHECK_EQ(ns_id(t.refs[GONS_UTS]), after.id[GONS_UTS]);
	ATF_CHECK_EQ(before.id[GONS_NET], after.id[GONS_NET]);
	/* an empty text is none */
	env.order = "";
	ATF_REQUIRE_EQ(0, gons_switch(&env, NULL, &error));
	ns_own(&after);
	ATF_CHECK_EQ(ns_id(t.refs[GONS_NET]), after.id[GONS_NET]);
	target_stop(&t);
}

/* A type that only a newer library knows is not silently left out. */
ATF_TC_WITHOUT_HEAD(switch_newer_type);
ATF_TC_BODY(switch_newer_type, tc)
{
	struct gons_env env;
	struct gons_error error;
	char pid[16];
	int type;

	for (type = GONS_NTYPES; type < GONS_MAXTYPES; type++) {
		(void)gons_envparse(NULL, &env);
		env.path[type] = "/proc/self/ns/net";
		errno = 0;
		ATF_CHECK_EQ(-1, gons_switch(&env, NULL, &error));
		ATF_CHECK_EQ(EINVAL, errno);
		ATF_CHECK_EQ(GONS_STAGE_ORDER, error.stage);
		(void)snprintf(pid, sizeof(pid), "%d", (int)getpid());
		env.target = pid;
		ATF_CHECK_EQ(-1, gons_switch(&env, NULL, &error));
		ATF_CHECK_EQ(GONS_STAGE_ORDER, error.stage);
	}
}

static void *
wait_for_end(void *fd)
{
	char c;

	(void)read(*(int *)fd, &c, 1);
	return NULL;
}

/* In a process of two threads. */
static void
threaded(const struct target *t)
{
	static const int types[] = { GONS_USER, GONS_MNT, GONS_TIME };
	char pid[16], text[4096 + 256];
	struct gons_env env;
	struct gons_error error;
	struct nsids before;
	size_t i;

	ns_own(&before);
	for (i = 0; i < 6; i++) {
		(void)gons_envparse(NULL, &env);
		if (i < 3)
			env.path[types[i]] = t->refs[types[i]];
		else
			env.target = pid;
		(void)snprintf(pid, sizeof(pid), "%d", (int)t->pid);
		env.order = gons_type_name(types[i % 3]);
		ATF_CHECK_EQ(-1, gons_switch(&env, NULL, &error));
		ATF_CHECK_EQ_MSG(
		    GONS_HINT_THREADS, error.hint, "%zu: %d", i, error.hint);
		ATF_CHECK_EQ(2, error.value);
		(void)gons_error_format(&error, text, sizeof(text));
		ATF_CHECK_MSG(
		    strstr(text, "(the process already has 2 threads)"), "%s",
		    text);
		CHECK_UNMOVED(&before);
	}
}

static void
all_of_target(void *arg)
{
	struct gons_env env;
	struct gons_error error;
	struct nsids after;
	struct target *t = arg;
	int type;

	(void)gons_envparse(NULL, &env);
	for (type = 0; type < NTYPES; type++)
		env.path[type] = t->refs[type];
	CHILD(gons_switch(&env, NULL, &error) == 0);
	ns_own(&after);
	CHILD(after.id[GONS_MNT] == ns_id(t->refs[GONS_MNT]));
	CHILD(after.id[GONS_TIME] == ns_id(t->refs[GONS_TIME]));
	CHILD(after.id[GONS_USER] == ns_id(t->refs[GONS_USER]));
}

ATF_TC_WITHOUT_HEAD(switch_threads);
ATF_TC_BODY(switch_threads, tc)
{
	pthread_t thread;
	struct target t;
	int p[2];

	sandbox(0);
	target_start(&t, ALL_FLAGS, 0);
	ATF_REQUIRE_EQ(0, pipe2(p, O_CLOEXEC));
	ATF_REQUIRE_EQ(0, pthread_create(&thread, NULL, wait_for_end, &p[0]));
	threaded(&t);
	/* a fork has one thread */
	in_child(all_of_target, &t);
	close(p[1]);
	(void)pthread_join(thread, NULL);
	target_stop(&t);
}

struct switch_thread {
	const char *ref;
	int failed;
	struct nsids after;
};

static void *
switch_net(void *arg)
{
	struct switch_thread *s = arg;
	struct gons_env env;

	(void)gons_envparse(NULL, &env);
	env.path[GONS_NET] = s->ref;
	s->failed = gons_switch(&env, NULL, NULL);
	ns_own(&s->after);
	return NULL;
}

/* It moves the thread that calls it, and no other. */
ATF_TC_WITHOUT_HEAD(switch_one_thread);
ATF_TC_BODY(switch_one_thread, tc)
{
	struct nsids before;
	struct switch_thread s;
	struct target t;
	pthread_t thread;

	sandbox(0);
	target_start(&t, CLONE_NEWNET, 0);
	ns_own(&before);
	s.ref = t.refs[GONS_NET];
	ATF_REQUIRE_EQ(0, pthread_create(&thread, NULL, switch_net, &s));
	ATF_REQUIRE_EQ(0, pthread_join(thread, NULL));
	ATF_CHECK_EQ(0, s.failed);
	ATF_CHECK_EQ(ns_id(t.refs[GONS_NET]), s.after.id[GONS_NET]);
	CHECK_UNMOVED(&before);
	target_stop(&t);
}

/* Namespaces above the own pid namespace are out of reach. */
static void
join_outer_pid(void *arg)
{
	struct gons_env env;
	struct gons_error error;
	char ref[16];

	(void)snprintf(ref, sizeof(ref), "fd:%d", *(int *)arg);
	(void)gons_envparse(NULL, &env);
	env.path[GONS_PID] = ref;
	CHILD(gons_switch(&env, NULL, &error) == -1);
	CHILD(error.errnum == EINVAL || error.errnum == EPERM);
	if (error.errnum == EINVAL)
		CHILD(error.hint == GONS_HINT_NOTBELOW);
	else
		CHILD(error.hint == GONS_HINT_OWNER);
}

static void
join_outer_target(void *arg)
{
	struct gons_env env;
	struct gons_error error;
	char ref[16];

	(void)snprintf(ref, sizeof(ref), "fd:%d", *(int *)arg);
	(void)gons_envparse(NULL, &env);
	env.target = ref;
	env.order = "pid";
	CHILD(gons_switch(&env, NULL, &error) == -1);
	CHILD(error.errnum == EINVAL);
	/* before Linux 6.11 its namespace is not to be had from here */
	CHILD(error.hint == GONS_HINT_NOTBELOW || error.hint == GONS_HINT_NONE);
}

ATF_TC_WITHOUT_HEAD(pid_not_below);
ATF_TC_BODY(pid_not_below, tc)
{
	struct target a, b;
	int fd;

	sandbox(0);
	target_start(&a, CLONE_NEWPID, 0);
	target_start(&b, CLONE_NEWPID, 0);
	fd = open_ref(b.refs[GONS_PID]);
	/* from now on our children are in a, beside b */
	ATF_REQUIRE_EQ(0, setns(open_ref(a.refs[GONS_PID]), CLONE_NEWPID));
	in_child(join_outer_pid, &fd);
	close(fd);
	fd = pidfd_of(b.pid);
	in_child(join_outer_target, &fd);
	close(fd);
	target_stop(&a);
	target_stop(&b);
}

/* Many failures leave nothing behind. */
ATF_TC_WITHOUT_HEAD(no_leak);
ATF_TC_BODY(no_leak, tc)
{
	static const char *const refs[] = { "/nope", "/dev/null",
		"/proc/self/ns/ipc", "/proc/self/ns/net", "fd:0", "fd:x" };
	struct gons_env env;
	struct gons_error error;
	struct nsids before;
	int fds = count_fds(), i, j;

	ns_own(&before);
	for (i = 0; i < 6; i++)
		for (j = 0; j < 6; j++) {
			(void)gons_envparse(NULL, &env);
			env.path[GONS_USER] = refs[i];
			env.path[GONS_UTS] = refs[j];
			env.order = (i + j) % 2 != 0 ? "auto" : NULL;
			ATF_CHECK_EQ(-1, gons_switch(&env, NULL, &error));
			(void)gons_envparse(NULL, &env);
			env.target = refs[i];
			ATF_CHECK_EQ(-1, gons_switch(&env, NULL, &error));
		}
	ATF_CHECK_EQ(fds, count_fds());
	CHECK_UNMOVED(&before);
}

ATF_TP_ADD_TCS(tp)
{
	ATF_TP_ADD_TC(tp, each_alone);
	ATF_TP_ADD_TC(tp, all_together);
	ATF_TP_ADD_TC(tp, all_by_descriptor);
	ATF_TP_ADD_TC(tp, early_references);
	ATF_TP_ADD_TC(tp, odd_names);
	ATF_TP_ADD_TC(tp, longest_path);
	ATF_TP_ADD_TC(tp, listed_not_set);
	ATF_TP_ADD_TC(tp, pid_init_ended);
	ATF_TP_ADD_TC(tp, bad_orders);
	ATF_TP_ADD_TC(tp, missing_from_order);
	ATF_TP_ADD_TC(tp, bad_references);
	ATF_TP_ADD_TC(tp, bad_descriptors);
	ATF_TP_ADD_TC(tp, closed_descriptor);
	ATF_TP_ADD_TC(tp, descriptor_twice);
	ATF_TP_ADD_TC(tp, overlong);
	ATF_TP_ADD_TC(tp, control_characters);
	ATF_TP_ADD_TC(tp, unreadable);
	ATF_TP_ADD_TC(tp, other_type);
	ATF_TP_ADD_TC(tp, same_user);
	ATF_TP_ADD_TC(tp, denied_owner);
	ATF_TP_ADD_TC(tp, denied_neighbour);
	ATF_TP_ADD_TC(tp, denied_self);
	ATF_TP_ADD_TC(tp, denied_capability);
	ATF_TP_ADD_TC(tp, denied_unknown);
	ATF_TP_ADD_TC(tp, denied_deep);
	ATF_TP_ADD_TC(tp, no_answer);
	ATF_TP_ADD_TC(tp, limits);
	ATF_TP_ADD_TC(tp, hints_without_proc);
	ATF_TP_ADD_TC(tp, no_setns);
	ATF_TP_ADD_TC(tp, no_such_type);
	ATF_TP_ADD_TC(tp, auto_others_first);
	ATF_TP_ADD_TC(tp, auto_user_first);
	ATF_TP_ADD_TC(tp, auto_both_sides);
	ATF_TP_ADD_TC(tp, auto_refused);
	ATF_TP_ADD_TC(tp, target_all);
	ATF_TP_ADD_TC(tp, target_some);
	ATF_TP_ADD_TC(tp, target_contradictions);
	ATF_TP_ADD_TC(tp, target_bad);
	ATF_TP_ADD_TC(tp, target_no_pidfd);
	ATF_TP_ADD_TC(tp, target_exited);
	ATF_TP_ADD_TC(tp, target_all_or_none);
	ATF_TP_ADD_TC(tp, target_denied);
	ATF_TP_ADD_TC(tp, target_old_kernels);
	ATF_TP_ADD_TC(tp, target_by_proc);
	ATF_TP_ADD_TC(tp, target_no_proc);
	ATF_TP_ADD_TC(tp, target_no_such_type);
	ATF_TP_ADD_TC(tp, target_false_proc);
	ATF_TP_ADD_TC(tp, target_hidden_proc);
	ATF_TP_ADD_TC(tp, switch_arguments);
	ATF_TP_ADD_TC(tp, switch_target_order);
	ATF_TP_ADD_TC(tp, switch_newer_type);
	ATF_TP_ADD_TC(tp, switch_threads);
	ATF_TP_ADD_TC(tp, switch_one_thread);
	ATF_TP_ADD_TC(tp, pid_not_below);
	ATF_TP_ADD_TC(tp, no_leak);
	return atf_no_error();
}
