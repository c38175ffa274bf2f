/*
 * SPDX-License-Identifier: BSD-2-Clause
 *
 * Copyright (c) 2026 The libgons developers
 *
 * switch.o: joining.
 */

#include <atf-c.h>

#include <errno.h>
#include <limits.h>
#include <sched.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include <gons.h>

#include "helpers.h"
#include "sw.h"

ATF_TC_WITHOUT_HEAD(each_alone);
ATF_TC_BODY(each_alone, tc)
{
	struct target t;
	struct program *r;
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
	struct program *r;
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
	struct program *r = run_new();
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
	struct program *r;
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
	struct program *r;
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
	struct program *r = run_new();
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
	struct program *r = run_new();

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
	struct program *r = run_new();

	sandbox(0);
	target_start(&t, CLONE_NEWPID, 0);
	r->keep[0] = open_ref(t.refs[GONS_PID]);
	target_stop(&t);
	run_env(r, "gons_pid=fd:%d", r->keep[0]);
	start(tc, r, 0);
	ATF_CHECK_EQ(GONS_BIT(GONS_PID), run_number(r, "joined"));
	ATF_CHECK_STREQ(strerror(ENOMEM), run_value(r, "fork"));
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
	return atf_no_error();
}
