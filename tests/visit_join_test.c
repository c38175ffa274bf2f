/*
 * SPDX-License-Identifier: BSD-2-Clause
 *
 * Copyright (c) 2026 The libgons developers
 *
 * gons_visit(3), "What a thread can join": which namespaces a visit enters,
 * from where, and what does not come along.
 */

#include <sys/ioctl.h>
#include <sys/mount.h>
#include <sys/socket.h>
#include <sys/stat.h>

#include <atf-c.h>

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <gons.h>

#include "h_fuse.h"
#include "helpers.h"
#include "internal.h"
#include "visits.h"

#define JOINABLE                                                       \
	(CLONE_NEWCGROUP | CLONE_NEWIPC | CLONE_NEWNS | CLONE_NEWNET | \
	    CLONE_NEWPID | CLONE_NEWUTS)

ATF_TC(joins);
ATF_TC_HEAD(joins, tc)
{
	atf_tc_set_md_var(tc, "descr",
	    "the function is called in the namespace, and nobody else moves");
}
ATF_TC_BODY(joins, tc)
{
	struct nsids ids;
	struct scene before;
	struct gons_env env;
	struct target t;
	int type, value;

	(void)tc;
	sandbox(0);
	target_start(&t, JOINABLE, 0);
	look_around(&before);
	for (type = 0; type < NTYPES; type++) {
		if ((ns_types[type].flag & JOINABLE) == 0)
			continue;
		memset(&env, 0, sizeof(env));
		env.path[type] = t.refs[type];
		value = 0;
		ATF_CHECK_EQ_MSG(0,
		    gons_visit(&env, NULL, see, &ids, &value, &failure), "%s",
		    text());
		ATF_CHECK_EQ(7, value);
		ATF_CHECK_EQ_MSG(ns_id(t.refs[type]),
		    type == GONS_PID ? ids.children[0] : ids.id[type], "%s",
		    ns_types[type].name);
		ATF_CHECK_EQ(before.ids.id[GONS_PID], ids.id[GONS_PID]);
		check_scene(&before);
	}
	target_stop(&t);
}

ATF_TC(joins_all);
ATF_TC_HEAD(joins_all, tc)
{
	atf_tc_set_md_var(tc, "descr",
	    "several namespaces at once, by references and by a target");
}
ATF_TC_BODY(joins_all, tc)
{
	static const char *const orders[] = { "net,uts,mnt,ipc,cgroup", "mnt",
		"uts", "pid,net" };
	struct gons_order order;
	struct nsids ids;
	struct scene before;
	struct gons_env env;
	struct target t;
	char ref[32];
	size_t i;
	int type;

	(void)tc;
	sandbox(0);
	target_start(&t, JOINABLE, 0);
	look_around(&before);
	memset(&env, 0, sizeof(env));
	for (type = 0; type < NTYPES; type++)
		if ((ns_types[type].flag & JOINABLE) != 0)
			env.path[type] = t.refs[type];
	go(&env, see, &ids);
	for (type = 0; type < NTYPES; type++)
		if (env.path[type] != NULL && type != GONS_PID)
			ATF_CHECK_EQ(ns_id(t.refs[type]), ids.id[type]);
	check_scene(&before);

	memset(&env, 0, sizeof(env));
	(void)snprintf(ref, sizeof(ref), "%d", (int)t.pid);
	env.target = ref;
	for (i = 0; i < sizeof(orders) / sizeof(orders[0]); i++) {
		env.order = orders[i];
		go(&env, see, &ids);
		ATF_CHECK_EQ(strstr(orders[i], "net") != NULL
				 ? ns_id(t.refs[GONS_NET])
				 : before.ids.id[GONS_NET],
		    ids.id[GONS_NET]);
		ATF_CHECK_EQ(strstr(orders[i], "mnt") != NULL
				 ? ns_id(t.refs[GONS_MNT])
				 : before.ids.id[GONS_MNT],
		    ids.id[GONS_MNT]);
		check_scene(&before);
	}
	/* without an order: all that differ; and the order as a structure */
	env.order = NULL;
	go(&env, see, &ids);
	for (type = 0; type < NTYPES; type++)
		if (type != GONS_PID && type != GONS_TIME)
			ATF_CHECK_EQ(ns_id(t.refs[type]), ids.id[type]);
	ATF_REQUIRE_EQ(0, gons_order_parse("uts", &order, &failure));
	ATF_CHECK_EQ(0, gons_visit(&env, &order, see, &ids, NULL, &failure));
	ATF_CHECK_EQ(ns_id(t.refs[GONS_UTS]), ids.id[GONS_UTS]);
	ATF_CHECK_EQ(before.ids.id[GONS_NET], ids.id[GONS_NET]);
	check_scene(&before);
	target_stop(&t);
}

/* User and time, whatever names them; the references do not even exist. */
ATF_TC(refused);
ATF_TC_HEAD(refused, tc)
{
	atf_tc_set_md_var(tc, "descr",
	    "what a thread cannot join is refused before anything is opened");
}
ATF_TC_BODY(refused, tc)
{
	static const int types[] = { GONS_USER, GONS_TIME };
	struct gons_env env;
	char expected[256];
	size_t i;

	(void)tc;
	for (i = 0; i < 2; i++) {
		memset(&env, 0, sizeof(env));
		env.path[types[i]] = "/no/such/file";
		fails(&env, NULL, GONS_STAGE_JOIN, EINVAL, types[i],
		    GONS_HINT_CHILD);
		(void)snprintf(expected, sizeof(expected),
		    "gons: cannot join gons_%s using reference "
		    "\"/no/such/file\": Invalid argument (a thread cannot join "
		    "it, run an action instead: gons_reexec(3))",
		    ns_types[types[i]].name);
		ATF_CHECK_STREQ(expected, text());
		memset(&env, 0, sizeof(env));
		env.target = "fd:9999";
		env.order = i == 0 ? "net,user" : "time";
		fails(&env, NULL, GONS_STAGE_JOIN, EINVAL, types[i],
		    GONS_HINT_CHILD);
		ATF_CHECK_STREQ("fd:9999", failure.what);
	}
	memset(&env, 0, sizeof(env));
	env.ids = "0:0";
	env.path[GONS_NET] = "/no/such/file";
	fails(&env, NULL, GONS_STAGE_IDS, EINVAL, -1, GONS_HINT_CHILD);
	/* of types in the order that are not set nothing is joined */
	memset(&env, 0, sizeof(env));
	env.order = "user,time,net";
	env.path[GONS_NET] = "/proc/self/ns/net";
	sandbox(CLONE_NEWNET);
	go(&env, count_call, NULL);
	ATF_CHECK_EQ(1, calls);
}

ATF_TC(refused_target);
ATF_TC_HEAD(refused_target, tc)
{
	atf_tc_set_md_var(tc, "descr",
	    "a target that differs in user or time wants the types named");
}
ATF_TC_BODY(refused_target, tc)
{
	struct gons_env env;
	struct nsids ids;
	struct target t;
	char ref[32], expected[256];
	int time = 0;

	(void)tc;
	sandbox(0);
	for (; time < 2; time++) {
		if (time && ns_id("/proc/self/ns/time") == 0)
			break;
		target_start(&t,
		    CLONE_NEWUTS | (time ? CLONE_NEWTIME : CLONE_NEWUSER), 0);
		memset(&env, 0, sizeof(env));
		(void)snprintf(ref, sizeof(ref), "%d", (int)t.pid);
		env.target = ref;
		fails(&env, NULL, GONS_STAGE_JOIN, EINVAL, -1, GONS_HINT_CHILD);
		(void)snprintf(expected, sizeof(expected),
		    "gons: cannot join gons_target using reference \"%s\": "
		    "Invalid argument (a thread cannot join its %s "
		    "namespace, name the types in gons_order)",
		    ref, time ? "time" : "user");
		ATF_CHECK_EQ(time ? GONS_TIME : GONS_USER, failure.value);
		ATF_CHECK_STREQ(expected, text());
		env.order = "uts";
		if (time)
			go(&env, see, &ids);
		target_stop(&t);
	}
}

/* The hint says why; and so it does in a program that has no standard input. */
static void
after_unshare(void *arg)
{
	const int *type = arg;
	struct gons_env env;
	char expected[256];
	int closed, fds;

	CHILD(unshare(ns_types[*type].flag) == 0);
	memset(&env, 0, sizeof(env));
	calls = 0;
	for (closed = 0; closed < 2; closed++) {
		if (closed)
			CHILD(close(STDIN_FILENO) == 0);
		fds = count_fds();
		CHILD(gons_visit(
			  &env, NULL, count_call, NULL, NULL, &failure) == -1);
		CHILD(failure.stage == GONS_STAGE_VISIT && calls == 0);
		CHILD(
		    failure.hint == GONS_HINT_CHILD && failure.value == *type);
		CHILD(strcmp(failure.what, "thread") == 0);
		(void)snprintf(expected, sizeof(expected),
		    "gons: a visit failed: thread: %s (the kernel makes no "
		    "threads after a %s namespace was joined, run an action "
		    "instead: gons_reexec(3))",
		    strerror(failure.errnum), ns_types[*type].name);
		CHILD(strcmp(expected, text()) == 0);
		CHILD(count_fds() == fds);
	}
}

ATF_TC(after_pid);
ATF_TC_HEAD(after_pid, tc)
{
	atf_tc_set_md_var(tc, "descr",
	    "after gons_pid the kernel refuses threads, and the hint says so");
}
ATF_TC_BODY(after_pid, tc)
{
	int type = GONS_PID;

	(void)tc;
	if (THREAD_SANITIZER)
		atf_tc_skip("the sanitizer has a thread of its own");
	sandbox(0);
	in_child(after_unshare, &type);
}

static int
nested_after_pid(void *arg)
{
	struct gons_env env;

	(void)arg;
	memset(&env, 0, sizeof(env));
	return gons_visit(&env, NULL, count_call, NULL, NULL, &failure);
}

ATF_TC(pid_inside);
ATF_TC_HEAD(pid_inside, tc)
{
	atf_tc_set_md_var(tc, "descr",
	    "no visit from a visit that has joined a pid namespace");
}
ATF_TC_BODY(pid_inside, tc)
{
	struct gons_env env;
	struct target t;
	int value = 0;

	(void)tc;
	sandbox(0);
	target_start(&t, CLONE_NEWPID, 0);
	memset(&env, 0, sizeof(env));
	env.path[GONS_PID] = t.refs[GONS_PID];
	ATF_CHECK_EQ(
	    0, gons_visit(&env, NULL, nested_after_pid, NULL, &value, NULL));
	ATF_CHECK_EQ(-1, value);
	ATF_CHECK_EQ(GONS_STAGE_VISIT, failure.stage);
	ATF_CHECK_EQ(GONS_HINT_CHILD, failure.hint);
	ATF_CHECK_EQ(GONS_PID, failure.value);
	target_stop(&t);
}

static uint64_t
net_of(int sock)
{
	struct stat st;
	uint64_t ino = 0;
	int fd = ioctl(sock, SIOCGSKNS_);

	if (fd == -1)
		return 0;
	if (fstat(fd, &st) == 0)
		ino = st.st_ino;
	close(fd);
	return ino;
}

ATF_TC(sockets);
ATF_TC_HEAD(sockets, tc)
{
	atf_tc_set_md_var(tc, "descr", "gons_socket");
}
ATF_TC_BODY(sockets, tc)
{
	static const int kinds[][3] = {
		{ AF_INET, SOCK_STREAM, 0 },
		{ AF_INET6, SOCK_DGRAM, 0 },
		{ AF_UNIX, SOCK_SEQPACKET, 0 },
		{ AF_NETLINK, SOCK_RAW, 0 },
	};
	struct scene before;
	struct target t;
	char ref[2][32];
	size_t i;
	int fd, k;

	(void)tc;
	sandbox(CLONE_NEWNET);
	target_start(&t, CLONE_NEWNET, 0);
	(void)snprintf(ref[0], sizeof(ref[0]), "fd:%d",
	    open(t.refs[GONS_NET], O_RDONLY | O_CLOEXEC));
	(void)snprintf(ref[1], sizeof(ref[1]), "fd:%d", pidfd_of(t.pid));
	look_around(&before);
	for (i = 0; i < sizeof(kinds) / sizeof(kinds[0]); i++)
		for (k = 0; k < 3; k++) {
			errno = E2BIG;
			fd = gons_socket(k == 0 ? t.refs[GONS_NET] : ref[k - 1],
			    kinds[i][0],
			    kinds[i][1] | (k == 0 ? SOCK_NONBLOCK : 0),
			    kinds[i][2], &failure);
			ATF_REQUIRE_MSG(fd != -1, "%s", text());
			ATF_CHECK_EQ(E2BIG, errno);
			ATF_CHECK_EQ(ns_id(t.refs[GONS_NET]), net_of(fd));
			ATF_CHECK_EQ(FD_CLOEXEC, fcntl(fd, F_GETFD));
			ATF_CHECK_EQ(
			    k == 0, (fcntl(fd, F_GETFL) & O_NONBLOCK) != 0);
			close(fd);
		}
	calls = 0;
	expect_error(
	    gons_socket(t.refs[GONS_NET], 12345, SOCK_STREAM, 0, &failure),
	    GONS_STAGE_VISIT, EAFNOSUPPORT, -1, GONS_HINT_NONE);
	ATF_CHECK_STREQ("gons: a visit failed: socket: Address family "
			"not supported by protocol",
	    text());
	check_scene(&before);
	target_stop(&t);
}

static int
hide_tmp(void *arg)
{
	(void)arg;
	if (mount("tmpfs", "/tmp", "tmpfs", 0, NULL) == -1)
		return errno;
	return mkdir("/tmp/only-there", 0755) == -1 ? errno : 0;
}

ATF_TC(roots);
ATF_TC_HEAD(roots, tc)
{
	atf_tc_set_md_var(tc, "descr", "gons_root");
}
ATF_TC_BODY(roots, tc)
{
	struct scene before;
	struct gons_env env;
	struct target t;
	int fd, value = -1;

	(void)tc;
	sandbox(0);
	target_start(&t, CLONE_NEWNS, 0);
	memset(&env, 0, sizeof(env));
	env.path[GONS_MNT] = t.refs[GONS_MNT];
	ATF_CHECK_EQ(
	    0, gons_visit(&env, NULL, hide_tmp, NULL, &value, &failure));
	ATF_REQUIRE_EQ_MSG(0, value, "%s", strerror(value));
	look_around(&before);
	fd = gons_root(t.refs[GONS_MNT], &failure);
	ATF_REQUIRE_MSG(fd != -1, "%s", text());
	ATF_CHECK_EQ(FD_CLOEXEC, fcntl(fd, F_GETFD));
	ATF_CHECK((fcntl(fd, F_GETFL) & O_PATH) != 0);
	ATF_CHECK_EQ(0, faccessat(fd, "tmp/only-there", F_OK, 0));
	ATF_CHECK_EQ(-1, access("/tmp/only-there", F_OK));
	close(fd);
	check_scene(&before);
	target_stop(&t);
}

/* A mount namespace in which a server of FUSE is at path; this one stays. */
static int
serve_in_other(struct fuse *f, const char *path)
{
	int home, there;

	ATF_REQUIRE((home = open("/proc/self/ns/mnt", O_RDONLY)) != -1);
	ATF_REQUIRE_EQ(0, unshare(CLONE_NEWNS));
	ATF_REQUIRE_EQ(0, mount(NULL, "/", NULL, MS_REC | MS_PRIVATE, NULL));
	ATF_REQUIRE((there = open("/proc/self/ns/mnt", O_RDONLY)) != -1);
	ATF_REQUIRE_EQ(0, fuse_mount(f, path, FUSE_REFUSE));
	ATF_REQUIRE_EQ(0, setns(home, CLONE_NEWNS));
	close(home);
	return there;
}

static int
open_there(void *path)
{
	int fd, dir = open("/", O_PATH | O_DIRECTORY | O_CLOEXEC);

	fd = gons_openat(dir, path, O_RDONLY);
	close(dir);
	return fd != -1 ? close(fd) : errno;
}

ATF_TC(servers);
ATF_TC_HEAD(servers, tc)
{
	atf_tc_set_md_var(tc, "descr",
	    "no file server is asked that has covered the root or /proc");
	atf_tc_set_md_var(tc, "require.user", "root");
}
ATF_TC_BODY(servers, tc)
{
	static const char *const paths[] = { "/", "/proc" };
	char file[PATH_MAX], ref[32];
	struct gons_env env = { 0 };
	int fd, i, root, value;
	struct fuse f;

	(void)tc;
	need_fuse();
	ATF_REQUIRE((fd = open("file", O_CREAT | O_WRONLY, 0600)) != -1);
	close(fd);
	ATF_REQUIRE(realpath("file", file) != NULL);
	for (i = 0; i < 2; i++) {
		fd = serve_in_other(&f, paths[i]);
		(void)snprintf(ref, sizeof(ref), "fd:%d", fd);
		env.path[GONS_MNT] = ref;
		root = gons_root(ref, &failure);
		ATF_CHECK_MSG(root != -1, "%s", text());
		go(&env, count_call, NULL);
		ATF_CHECK_EQ(0, *f.asked);
		value = -1;
		ATF_CHECK_EQ(0,
		    gons_visit(&env, NULL, open_there, file, &value, &failure));
		/* of the covering root, the server refuses the name */
		ATF_CHECK_EQ(i == 0 ? ENOSYS : 0, value);
		ATF_CHECK_EQ(i == 0, *f.asked != 0);
		close(root);
		close(fd);
		fuse_stop(&f);
	}
}

ATF_TP_ADD_TCS(tp)
{
	ATF_TP_ADD_TC(tp, joins);
	ATF_TP_ADD_TC(tp, joins_all);
	ATF_TP_ADD_TC(tp, refused);
	ATF_TP_ADD_TC(tp, refused_target);
	ATF_TP_ADD_TC(tp, after_pid);
	ATF_TP_ADD_TC(tp, pid_inside);
	ATF_TP_ADD_TC(tp, sockets);
	ATF_TP_ADD_TC(tp, roots);
	ATF_TP_ADD_TC(tp, servers);
	return atf_no_error();
}
