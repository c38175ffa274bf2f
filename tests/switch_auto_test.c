/*
 * SPDX-License-Identifier: BSD-2-Clause
 *
 * Copyright (c) 2026 The libgons developers
 *
 * switch.o: the automatic order.
 */

#include <sys/syscall.h>

#include <sys/wait.h>

#include <atf-c.h>

#include <errno.h>
#include <sched.h>
#include <stdio.h>
#include <string.h>

#include <unistd.h>

#include <gons.h>

#include "helpers.h"
#include "sw.h"

/* Privileges here, but none in the user namespace that is joined. */
ATF_TC_WITHOUT_HEAD(auto_others_first);
ATF_TC_BODY(auto_others_first, tc)
{
	static const char *const orders[] = { "auto", "auto:user,net,uts",
		"auto:net,uts,user" };
	struct target net, user, both;
	struct program *r;
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
	struct program *r;
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
	struct program *r = run_new();

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
	struct program *r;

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

/* The own user namespace cannot be joined, and need not. */
ATF_TC_WITHOUT_HEAD(auto_own_user);
ATF_TC_BODY(auto_own_user, tc)
{
	static const char *const orders[] = { "auto", "auto:user,net",
		"auto:net,user" };
	struct target t;
	struct program *r;
	size_t i;

	sandbox(0);
	target_start(&t, CLONE_NEWNET, 0);
	for (i = 0; i < sizeof(orders) / sizeof(orders[0]); i++) {
		r = run_new();
		set_refs(r, GONS_BIT(GONS_USER) | GONS_BIT(GONS_NET), &t);
		run_env(r, "gons_order=%s", orders[i]);
		JOINED(r, GONS_BIT(GONS_NET), &t);
	}
	r = run_new();
	run_env(r, "gons_user=/proc/self/ns/user");
	run_env(r, "gons_order=auto");
	JOINED(r, 0, NULL);
	/* by a pidfd, and with an own descriptor */
	r = run_new();
	r->keep[0] = pidfd_of(t.pid);
	run_env(r, "gons_user=fd:%d", r->keep[0]);
	run_env(r, "gons_order=auto");
	JOINED(r, 0, NULL);
	/* what was refused with EPERM is still refused */
	r = run_new();
	run_env(r, "gons_user=/proc/self/ns/user");
	run_env(r, "gons_net=/proc/self/ns/net");
	run_env(r, "gons_order=auto");
	FAILS(r, GONS_STAGE_JOIN, EPERM, GONS_NET, GONS_HINT_OWNER, NULL);
	target_stop(&t);
}

/*
 * A sandbox whose process is in a second user namespace, below the one that
 * owns the others: no order does for its owner, but the process as a target.
 */
ATF_TC_WITHOUT_HEAD(auto_second_user);
ATF_TC_BODY(auto_second_user, tc)
{
	int life[2], report[2];
	struct target t;
	struct program *r;
	pid_t child;
	unsigned all =
	    GONS_BIT(GONS_USER) | GONS_BIT(GONS_NET) | GONS_BIT(GONS_UTS);
	char c;

	need_nobody();
	ATF_REQUIRE(pipe(life) == 0 && pipe(report) == 0);
	ATF_REQUIRE((child = fork()) != -1);
	if (child == 0) {
		close(life[1]);
		drop_to_nobody();
		sandbox(CLONE_NEWNET | CLONE_NEWUTS);
		target_start(&t, CLONE_NEWUSER, 0);
		CHILD(write(report[1], &t, sizeof(t)) == sizeof(t));
		(void)!read(life[0], &c, 1);
		target_stop(&t);
		_exit(0);
	}
	close(report[1]);
	ATF_REQUIRE_EQ(sizeof(t), read(report[0], &t, sizeof(t)));
	r = run_new();
	r->as_nobody = 1;
	set_refs(r, all, &t);
	run_env(r, "gons_order=auto");
	FAILS_AFTER(r, GONS_STAGE_JOIN, EPERM, GONS_NET, GONS_HINT_OWNER,
	    GONS_BIT(GONS_USER), "owns it");
	r = run_new();
	r->as_nobody = 1;
	run_env(r, "gons_target=%d", (int)t.pid);
	JOINED(r, all, &t);
	close(life[1]);
	ATF_REQUIRE_EQ(child, waitpid(child, NULL, 0));
}

ATF_TP_ADD_TCS(tp)
{
	ATF_TP_ADD_TC(tp, auto_others_first);
	ATF_TP_ADD_TC(tp, auto_user_first);
	ATF_TP_ADD_TC(tp, auto_both_sides);
	ATF_TP_ADD_TC(tp, auto_refused);
	ATF_TP_ADD_TC(tp, auto_own_user);
	ATF_TP_ADD_TC(tp, auto_second_user);
	return atf_no_error();
}
