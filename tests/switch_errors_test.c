/*
 * SPDX-License-Identifier: BSD-2-Clause
 *
 * Copyright (c) 2026 The libgons developers
 *
 * switch.o: orders and references that are wrong.
 */

#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/stat.h>

#include <atf-c.h>

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <sched.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include <gons.h>

#include "helpers.h"
#include "sw.h"

ATF_TC_WITHOUT_HEAD(bad_orders);
ATF_TC_BODY(bad_orders, tc)
{
	static const char *const orders[] = { "foo", ",net", "net,,user", "!",
		"net,!", " net", "net user", "net,user ", "NET,user", "!!net",
		"net,net", "net,user,!net", ",", "auto:", "auto,net,user",
		"net,user,,", "net;user", "auto:!!net", "user,net,foo" };
	struct target t;
	struct program *r;
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
		    ANY, " namespace type \"");
	}
	target_stop(&t);
}

ATF_TC_WITHOUT_HEAD(missing_from_order);
ATF_TC_BODY(missing_from_order, tc)
{
	static const char *const orders[] = { "net", "!net,uts", "auto:net",
		"mnt,cgroup,ipc,net,pid,time,uts" };
	struct target t;
	struct program *r;
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
	{ "4711", GONS_STAGE_OPEN, ENOENT, GONS_HINT_FORM },
	{ "4711x", GONS_STAGE_OPEN, ENOENT, GONS_HINT_NONE },
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
	struct program *r;
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
	struct program *r;
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
	struct program *r;
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
	struct program *r = run_new();

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
	struct program *r;
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
	struct program *r = run_new();

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
	struct program *r = run_new();
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

ATF_TP_ADD_TCS(tp)
{
	ATF_TP_ADD_TC(tp, bad_orders);
	ATF_TP_ADD_TC(tp, missing_from_order);
	ATF_TP_ADD_TC(tp, bad_references);
	ATF_TP_ADD_TC(tp, bad_descriptors);
	ATF_TP_ADD_TC(tp, closed_descriptor);
	ATF_TP_ADD_TC(tp, descriptor_twice);
	ATF_TP_ADD_TC(tp, overlong);
	ATF_TP_ADD_TC(tp, control_characters);
	ATF_TP_ADD_TC(tp, unreadable);
	return atf_no_error();
}
