/*
 * SPDX-License-Identifier: BSD-2-Clause
 *
 * Copyright (c) 2026 The libgons developers
 *
 * Every system call and every allocation that start-up, visits and runs issue
 * fails once; see faults.h.
 */

#include <sys/stat.h>

#include <atf-c.h>

#include <fcntl.h>
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "faults.h"
#include "helpers.h"

static const struct start {
	const char *name;
	const char *env[6]; /* %d: the target's PID */
	int fd; /* as descriptor 7: 1 a namespace, 2 a pidfd */
} starts[] = {
	{ "one", { "gons_net=/proc/%d/ns/net" }, 0 },
	{ "three",
	    { "gons_net=/proc/%d/ns/net", "gons_uts=/proc/%d/ns/uts",
		"gons_ipc=/proc/%d/ns/ipc" },
	    0 },
	{ "late",
	    { "gons_net=/proc/%d/ns/net", "gons_uts=/proc/%d/ns/uts",
		"gons_order=uts,net" },
	    0 },
	{ "mnt", { "gons_mnt=/proc/%d/ns/mnt" }, 0 },
	{ "pid", { "gons_pid=/proc/%d/ns/pid" }, 0 },
	{ "user", { "gons_user=/proc/%d/ns/user", "gons_net=/proc/%d/ns/net" },
	    0 },
	{ "automatic",
	    { "gons_user=/proc/%d/ns/user", "gons_net=/proc/%d/ns/net",
		"gons_order=auto" },
	    0 },
	{ "descriptor", { "gons_net=fd:7" }, 1 },
	{ "target", { "gons_target=%d" }, 0 },
	{ "target_order", { "gons_target=%d", "gons_order=net,uts" }, 0 },
	{ "target_fd", { "gons_target=fd:7" }, 2 },
	{ "wrong_type", { "gons_net=/proc/%d/ns/uts" }, 0 },
	{ "missing", { "gons_net=/proc/%d/ns/nothing" }, 0 },
	{ "same_user", { "gons_user=/proc/self/ns/user" }, 0 },
	{ "target_gone", { "gons_target=2147483647" }, 0 },
	{ "exit", { "gons_net=/proc/%d/ns/uts", "gons_onerror=exit" }, 0 },
	{ "nothing", { NULL }, 0 },
};

static void
start_env(struct plan *plan, const struct start *start, pid_t pid)
{
	static char text[6][128];
	size_t i;

	plan->args[0] = "start";
	plan->args[1] = NULL;
	for (i = 0; start->env[i] != NULL; i++) {
#pragma GCC diagnostic push
#pragma GCC diagnostic ignored "-Wformat-nonliteral"
		(void)snprintf(
		    text[i], sizeof(text[i]), start->env[i], (int)pid);
#pragma GCC diagnostic pop
		plan->env[i] = text[i];
	}
	plan->env[i] = NULL;
}

ATF_TC(start);
ATF_TC_HEAD(start, tc)
{
	atf_tc_set_md_var(tc, "descr", "start-up, whatever fails");
	atf_tc_set_md_var(tc, "timeout", "600");
}
ATF_TC_BODY(start, tc)
{
	const struct start *start;
	struct plan plan;
	struct target t;
	char path[64];

	begin(tc);
	target_start(&t, ALL_FLAGS & ~CLONE_NEWTIME, 0);
	for (start = starts; start < starts + sizeof(starts) / sizeof(*starts);
	     start++) {
		memset(&plan, 0, sizeof(plan));
		plan.fd = -1;
		plan.from_start = 1;
		start_env(&plan, start, t.pid);
		(void)snprintf(path, sizeof(path), "/proc/%d/ns/net", t.pid);
		if (start->fd == 1)
			plan.fd = open(path, O_RDONLY | O_CLOEXEC);
		if (start->fd == 2)
			plan.fd = pidfd_of(t.pid);
		all_modes(&plan, 1);
		all_allocations(&plan);
		if (plan.fd != -1)
			close(plan.fd);
	}
	target_stop(&t);
	report();
}

/* One kind of run, in the parent and in the child. */
static void
all_of_kind(const atf_tc_t *tc, const char *kind, const char *type)
{
	char ref[128], life[32];
	struct plan plan;
	struct target t;
	/* Its children are those of any other run. */
	int sides = strncmp(kind, "multi", 5) == 0 ? 1 : 2;

	begin(tc);
	memset(&plan, 0, sizeof(plan));
	plan.args[0] = "run";
	plan.args[1] = kind;
	plan.fd = -1;
	plan.env[0] = "GONS_COVERAGE=0";
	if (type != NULL) {
		target_start(&t,
		    strcmp(type, "pid") == 0 ? CLONE_NEWPID
					     : CLONE_NEWNET | CLONE_NEWUTS,
		    0);
		(void)snprintf(ref, sizeof(ref), "FAULT_REF=/proc/%d/ns/%s",
		    (int)t.pid, type);
		(void)snprintf(life, sizeof(life), "FAULT_PIDFD=7");
		plan.env[1] = ref;
		plan.env[2] = life;
		plan.fd = pidfd_of(t.pid);
	}
	all_modes(&plan, sides);
	ATF_CHECK_MSG(pipes >= 2 || (strcmp(kind, "pid") != 0 &&
					strcmp(kind, "die") != 0 &&
					strcmp(kind, "linger_die") != 0),
	    "the supervisor's pipes were not tried");
	all_allocations(&plan);
	if (type != NULL)
		target_stop(&t);
	report();
}

/* Threads are looked at as children are: by their numbers. */
ATF_TC(visits);
ATF_TC_HEAD(visits, tc)
{
	atf_tc_set_md_var(tc, "descr",
	    "functions, sockets and files of other namespaces, whatever fails");
	atf_tc_set_md_var(tc, "timeout", "900");
}
ATF_TC_BODY(visits, tc)
{
	static const char *const kinds[] = { "reference", "target", "socket",
		"root", "openat" };
	char ref[128];
	struct plan plan;
	struct target t;
	size_t k;

	begin(tc);
	memset(&plan, 0, sizeof(plan));
	target_start(&t, CLONE_NEWNET, 0);
	(void)snprintf(ref, sizeof(ref), "FAULT_REF=/proc/%d/ns/net", t.pid);
	ATF_REQUIRE_EQ(0, system("echo x >file && ln -s /file link"));
	plan.args[0] = "visit";
	plan.env[0] = "GONS_COVERAGE=0";
	plan.env[1] = ref;
	plan.env[2] = "FAULT_PIDFD=7";
	plan.fd = pidfd_of(t.pid);
	for (k = 0; k < sizeof(kinds) / sizeof(kinds[0]); k++) {
		plan.args[1] = kinds[k];
		all_modes(&plan, 2);
		all_allocations(&plan);
		printf("%s: ", kinds[k]);
		report();
	}
	target_stop(&t);
}

ATF_TC(check);
ATF_TC_HEAD(check, tc)
{
	atf_tc_set_md_var(tc, "descr", "gons_reexec_check, whatever fails");
}
ATF_TC_BODY(check, tc)
{
	struct plan plan;

	begin(tc);
	memset(&plan, 0, sizeof(plan));
	plan.args[0] = "check";
	plan.env[0] = "GONS_COVERAGE=0";
	plan.fd = -1;
	all_modes(&plan, 1);
	all_allocations(&plan);
	report();
}

/* In a mount namespace that start-up has joined. */
ATF_TC(served);
ATF_TC_HEAD(served, tc)
{
	atf_tc_set_md_var(tc, "descr",
	    "the server that gons_reexec_check forks, whatever fails");
	atf_tc_set_md_var(tc, "timeout", "900");
}
ATF_TC_BODY(served, tc)
{
	static struct outcome o;
	char dir[4096], ref[128], where[4200];
	struct plan plan;
	struct target t;

	begin(tc);
	(void)snprintf(helper, sizeof(helper), "%s/h_served",
	    atf_tc_get_config_var(tc, "srcdir"));
	target_start(&t, CLONE_NEWNS, 0);
	ATF_REQUIRE(getcwd(dir, sizeof(dir)) != NULL);
	(void)snprintf(where, sizeof(where), "FAULT_DIR=%s", dir);
	(void)snprintf(ref, sizeof(ref), "gons_mnt=/proc/%d/ns/mnt", t.pid);
	memset(&plan, 0, sizeof(plan));
	plan.args[0] = "served";
	plan.args[1] = "mnt";
	plan.env[0] = "GONS_COVERAGE=0";
	plan.env[1] = ref;
	plan.env[2] = where;
	plan.fd = -1;
	play(&plan, &o);
	if (strcmp(o.out, "outcome static\n") == 0)
		atf_tc_skip("a static program needs no server");
	ATF_CHECK_STREQ("outcome ok\nfired 0\noutcome ok\n", o.out);
	all_modes(&plan, 2);
	all_allocations(&plan);
	target_stop(&t);
	report();
}

#define KIND(name, type)                                              \
	ATF_TC(name);                                                 \
	ATF_TC_HEAD(name, tc)                                         \
	{                                                             \
		atf_tc_set_md_var(                                    \
		    tc, "descr", "a run, whatever fails: %s", #name); \
		atf_tc_set_md_var(tc, "timeout", "900");              \
	}                                                             \
	ATF_TC_BODY(name, tc)                                         \
	{                                                             \
		all_of_kind(tc, #name, type);                         \
	}
KIND(plain, NULL)
KIND(namespace, "net")
KIND(early, "uts")
KIND(pid, "pid")
KIND(target, "net")
KIND(reply, NULL)
KIND(stepped, NULL)
KIND(multi, NULL)
KIND(multi_prepared, NULL)
KIND(stepped_linger, NULL)
KIND(sealed, NULL)
KIND(pass, NULL)
KIND(die, NULL)
KIND(linger, NULL)
KIND(linger_die, NULL)
KIND(prepared, NULL)
KIND(prepared_reply, "net")
KIND(prepared_pid, "pid")
KIND(prepared_linger, NULL)
KIND(stay, NULL)
KIND(stay_reply, NULL)
KIND(stay_pid, "pid")
KIND(stay_prepared, NULL)

/* The helper program, built to count; its data comes to this directory. */
static void
build_counted(void)
{
	static const char command[] =
	    "set -- -D_GNU_SOURCE -I$GONS_TEST_SRC/include "
	    "-I$GONS_TEST_SRC/tests/support && "
	    "$GONS_TEST_CC $@ -c $GONS_TEST_SRC/tests/support/counts.c && "
	    "$GONS_TEST_CC $@ --coverage -static -pthread -o h_counted "
	    "$GONS_TEST_SRC/tests/progs/h_fault.c counts.o "
	    "-Wl,--wrap=malloc,--wrap=calloc,--wrap=realloc,--wrap=free "
	    "-Wl,--wrap=vasprintf,--wrap=_exit,--wrap=kill "
	    "$GONS_TEST_OBJ/lib/autostart.o $GONS_TEST_OBJ/lib/libgons.a";

	if (system(command) != 0)
		atf_tc_skip("no programs that count");
	ATF_REQUIRE(realpath("h_counted", helper) != NULL);
}

/* No run goes wrong for the sake of coverage, and nothing of it is left. */
ATF_TC(counted);
ATF_TC_HEAD(counted, tc)
{
	atf_tc_set_md_var(tc, "descr", "coverage of a child, whatever fails");
	atf_tc_set_md_var(tc, "timeout", "900");
}
ATF_TC_BODY(counted, tc)
{
	static struct outcome o;
	char dir[4096], tmp[4200];
	struct plan plan;

	begin(tc);
	if (!is_counting())
		build_counted();
	ATF_REQUIRE(getcwd(dir, sizeof(dir)) != NULL);
	ATF_REQUIRE_EQ(0, mkdir("tmp", 0700));
	(void)snprintf(tmp, sizeof(tmp), "TMPDIR=%s/tmp", dir);
	memset(&plan, 0, sizeof(plan));
	plan.args[0] = "run";
	plan.args[1] = "counted";
	plan.silent = 1;
	plan.env[0] = tmp;
	plan.fd = -1;
	all_modes(&plan, 2);
	all_allocations(&plan);
	/* What could not be removed at once is removed by the next. */
	play(&plan, &o);
	check(&plan, &o);
	ATF_CHECK_EQ(0, rmdir("tmp"));
	report();
}

/* Kinds in which a good deal is waited for, minutes in all: LONG=yes. */
ATF_TP_ADD_TCS(tp)
{
	const char *is_long = getenv("GONS_TEST_LONG");

	ATF_TP_ADD_TC(tp, start);
	ATF_TP_ADD_TC(tp, check);
	ATF_TP_ADD_TC(tp, visits);
	ATF_TP_ADD_TC(tp, plain);
	ATF_TP_ADD_TC(tp, namespace);
	ATF_TP_ADD_TC(tp, early);
	ATF_TP_ADD_TC(tp, target);
	ATF_TP_ADD_TC(tp, reply);
	ATF_TP_ADD_TC(tp, stepped);
	ATF_TP_ADD_TC(tp, multi);
	ATF_TP_ADD_TC(tp, sealed);
	ATF_TP_ADD_TC(tp, pass);
	ATF_TP_ADD_TC(tp, counted);
	if (is_counting()) {
		ATF_TP_ADD_TC(tp, prepared);
		ATF_TP_ADD_TC(tp, stepped_linger);
	}
	if (is_long == NULL || strcmp(is_long, "yes") != 0)
		return atf_no_error();
	ATF_TP_ADD_TC(tp, pid);
	ATF_TP_ADD_TC(tp, die);
	ATF_TP_ADD_TC(tp, linger);
	ATF_TP_ADD_TC(tp, linger_die);
	if (!is_counting()) {
		ATF_TP_ADD_TC(tp, prepared);
		ATF_TP_ADD_TC(tp, stepped_linger);
	}
	ATF_TP_ADD_TC(tp, multi_prepared);
	ATF_TP_ADD_TC(tp, served);
	ATF_TP_ADD_TC(tp, prepared_reply);
	ATF_TP_ADD_TC(tp, prepared_pid);
	ATF_TP_ADD_TC(tp, prepared_linger);
	ATF_TP_ADD_TC(tp, stay);
	ATF_TP_ADD_TC(tp, stay_reply);
	ATF_TP_ADD_TC(tp, stay_pid);
	ATF_TP_ADD_TC(tp, stay_prepared);
	return atf_no_error();
}
