/*
 * SPDX-License-Identifier: BSD-2-Clause
 *
 * Copyright (c) 2026 The libgons developers
 *
 * status.o: what start-up does to a program, by the environment alone.  What
 * joining itself does, and how it fails, is tested with switch.o.
 */

#include <sys/auxv.h>
#include <sys/mman.h>
#include <sys/mount.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/wait.h>

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

#include "helpers.h"
#include "status.h"

#define RUN(r) run(r, atf_tc_get_config_var(tc, "srcdir"), "h_ns")
#define USERNET (CLONE_NEWUSER | CLONE_NEWNET)
#define MARK_SIZE 10
#define NOT_SECURE 3 /* exit status */

static char **kernels_envp; /* the array that the kernel has made */

/*
 * In secure-execution mode start-up has taken variables.  It goes through
 * start-up once more, as another copy of the library in this process would: it
 * finds the mark alone.  what: the first variable; was: there was an action.
 */
static void
second_copy(const char *what, const char *was)
{
	const struct gons_error *error;
	int i;

	if (getauxval(AT_SECURE) == 0)
		_exit(NOT_SECURE);
	for (i = 0; i < 2; i++) {
		if (i == 1)
			gons__status_again(kernels_envp);
		error = gons_status_error();
		CHILD(error != NULL && error->stage == GONS_STAGE_SECURE);
		CHILD(error->errnum == EPERM);
		CHILD(strcmp(error->what, what) == 0);
		CHILD(gons_status_joined() == 0);
	}
	CHILD(gons__status_action() == NULL);
	CHILD((gons__status_stolen() != 0) == (was != NULL));
	_exit(0);
}

__attribute__((constructor)) static void
find_envp(void)
{
	const char *what = getenv("SECOND_COPY");

	kernels_envp = environ;
	if (what != NULL)
		second_copy(what, getenv("SECOND_ACTION"));
}

/* Its status is that line, or none if that is NULL. */
static void
check_status(const struct program *r, const char *expected)
{
	const char *s = run_value(r, "status"),
		   *t = run_value(r, "gons_status");

	ATF_REQUIRE_MSG(r->status == 0 && run_value(r, "end") != NULL,
	    "status %#x, %s%s", r->status, r->out, r->err);
	ATF_CHECK_STREQ("", r->err);
	ATF_CHECK_EQ(NULL, run_value(r, "contradiction"));
	if (expected == NULL) {
		ATF_CHECK_MSG(s == NULL && t == NULL, "status: %s", s);
		return;
	}
	ATF_REQUIRE_MSG(s != NULL && t != NULL, "no status: %s", r->out);
	ATF_CHECK_STREQ(s, t);
	ATF_CHECK_MSG(
	    strcmp(s, expected) == 0, "got '%s', expected '%s'", s, expected);
}

/* It is where this process is. */
static void
check_home(const struct program *r)
{
	char key[32];
	struct nsids own;
	int i;

	ns_own(&own);
	ATF_CHECK_EQ(0, run_number(r, "joined"));
	for (i = 0; i < NTYPES; i++) {
		(void)snprintf(key, sizeof(key), "ns_%s", ns_types[i].name);
		ATF_CHECK_EQ_MSG(own.id[i], run_number(r, key), "%s", key);
	}
	ATF_CHECK_EQ(own.id[GONS_PID], run_number(r, "ns_pid_for_children"));
}

/* No variable of ours is left, and nothing else is missing. */
static void
check_consumed(const struct program *r)
{
	ATF_CHECK_MSG(strstr(r->out, "env gons_") == NULL, "%s", r->out);
	ATF_CHECK_MSG(strstr(r->out, "env FIRST=1\n") != NULL, "%s", r->out);
	ATF_CHECK_MSG(strstr(r->out, "env LAST=1\n") != NULL, "%s", r->out);
}

ATF_TC_WITHOUT_HEAD(nothing_set);
ATF_TC_BODY(nothing_set, tc)
{
	struct program *r = run_new();
	int i;

	RUN(r);
	check_status(r, NULL);
	check_home(r);
	r = run_new();
	for (i = 0; i < 100; i++)
		run_env(r, "V%d=gons_net=/nope", i);
	RUN(r);
	check_status(r, NULL);
	check_home(r);
	for (i = 0; i < 100; i++)
		ATF_CHECK_MSG(strstr(r->out, r->env[i]), "%s", r->env[i]);
}

/* Empty stands for unset, but is removed. */
ATF_TC_WITHOUT_HEAD(set_to_nothing);
ATF_TC_BODY(set_to_nothing, tc)
{
	struct program *r = run_new();
	int i;

	run_env(r, "FIRST=1");
	for (i = 0; i < NTYPES; i++)
		run_env(r, "gons_%s=", ns_types[i].name);
	run_env(r, "gons_order=");
	run_env(r, "gons_target=");
	run_env(r, "gons_onerror=");
	run_env(r, "LAST=1");
	RUN(r);
	check_status(r, NULL);
	check_home(r);
	check_consumed(r);
}

/* Whatever number of variables goes, what lies behind them stays found. */
ATF_TC_WITHOUT_HEAD(consumed);
ATF_TC_BODY(consumed, tc)
{
	static const char *const variables[] = { "gons_net=/nope",
		"gons_uts=/nope", "gons_ipc=/nope", "gons_order=foo",
		"gons_mnt=/nope", "gons_user=/nope", "gons_time=/nope",
		"gons_pid=/nope", "gons_cgroup=/nope", "gons_ids=x",
		"gons_target=x" };
	struct program *r;
	size_t i, n;

	for (n = 1; n <= sizeof(variables) / sizeof(variables[0]); n++) {
		r = run_new();
		for (i = 0; i < n; i++) {
			run_env(r, i == 0 ? "FIRST=1" : "V%zu=1", i);
			run_env(r, "%s", variables[i]);
		}
		run_env(r, "LAST=1");
		RUN(r);
		ATF_CHECK(run_value(r, "status") != NULL);
		check_home(r);
		check_consumed(r);
		ATF_CHECK_EQ(NULL, run_value(r, "contradiction"));
		ATF_CHECK_EQ_MSG(n % 2 == 0 ? run_number(r, "pagesize") : 0,
		    run_number(r, "walk"), "%zu variables: %s", n,
		    run_value(r, "walk"));
		ATF_CHECK_EQ(
		    (uint64_t)sysconf(_SC_PAGESIZE), run_number(r, "pagesize"));
		for (i = 1; i < n; i++)
			ATF_CHECK(strstr(r->out, r->env[2 * i]) != NULL);
	}
}

/* Names that are not ours are neither used nor removed. */
ATF_TC_WITHOUT_HEAD(other_names);
ATF_TC_BODY(other_names, tc)
{
	static const char *const others[] = { "gons_foo=1", "gons_=1", "gons=1",
		"gons_nets=/nope", "gons_NET=/nope", "GONS_NET=/nope",
		"gons_net_=/nope", "gons_orders=x", "gons_reexec=1" };
	struct program *r = run_new();
	size_t i;

	for (i = 0; i < sizeof(others) / sizeof(others[0]); i++)
		run_env(r, "%s", others[i]);
	RUN(r);
	check_status(r, NULL);
	run_env(r, "gons_net=/nope");
	RUN(r);
	check_status(r, "gons: invalid gons_net reference \"/nope\": No such "
			"file or directory");
	for (i = 0; i < sizeof(others) / sizeof(others[0]); i++)
		ATF_CHECK_MSG(strstr(r->out, others[i]), "%s", others[i]);
	ATF_CHECK_EQ(NULL, strstr(r->out, "env gons_net=/nope"));
}

ATF_TC_WITHOUT_HEAD(twice);
ATF_TC_BODY(twice, tc)
{
	struct program *r = run_new();

	run_env(r, "FIRST=1");
	run_env(r, "gons_net=/first");
	run_env(r, "gons_net=/second");
	run_env(r, "gons_net=");
	run_env(r, "LAST=1");
	RUN(r);
	check_status(r, "gons: invalid gons_net reference \"/first\": No such "
			"file or directory");
	check_consumed(r);
	r = run_new();
	run_env(r, "gons_net=");
	run_env(r, "FIRST=1");
	run_env(r, "gons_net=/second");
	run_env(r, "LAST=1");
	RUN(r);
	check_status(r, NULL);
	check_home(r);
	check_consumed(r);
}

/* A program started later does not switch again, but inherits. */
ATF_TC_WITHOUT_HEAD(programs_started_later);
ATF_TC_BODY(programs_started_later, tc)
{
	struct target t;
	struct program *r = run_new();

	need_userns();
	target_start(&t, USERNET, 0);
	r->args[0] = "child";
	run_env(r, "gons_user=%s", t.refs[GONS_USER]);
	run_env(r, "FIRST=1");
	run_env(r, "gons_net=%s", t.refs[GONS_NET]);
	run_env(r, "LAST=1");
	RUN(r);
	check_status(r, NULL);
	check_consumed(r);
	ATF_CHECK_EQ(0, run_number(r, "joined"));
	ATF_CHECK_EQ(ns_id(t.refs[GONS_NET]), run_number(r, "ns_net"));
	r = run_new();
	r->args[0] = "child";
	run_env(r, "FIRST=1");
	run_env(r, "gons_net=/nope");
	run_env(r, "LAST=1");
	RUN(r);
	check_status(r, NULL);
	check_consumed(r);
	check_home(r);
	target_stop(&t);
}

/* Each fd:N is closed whatever the outcome, and nothing else is. */
static void
descriptors(const atf_tc_t *tc, const char *more, int failing, struct target *t)
{
	struct program *r = run_new();
	int other, net, user;

	net = open(t->refs[GONS_NET], O_RDONLY | O_CLOEXEC);
	user = open(t->refs[GONS_USER], O_RDONLY | O_CLOEXEC);
	other = open("/", O_RDONLY | O_CLOEXEC);
	ATF_REQUIRE(net != -1 && user != -1 && other != -1);
	r->keep[0] = net;
	r->keep[1] = user;
	r->keep[2] = other;
	run_env(r, "gons_net=fd:%d", net);
	run_env(r, "gons_user=fd:%d", user);
	run_env(r, "%s", more);
	if (strcmp(more, "same") == 0)
		run_env(r, "gons_uts=fd:%d", net);
	RUN(r);
	ATF_CHECK_EQ_MSG(
	    failing, run_value(r, "status") != NULL, "%s: %s", more, r->out);
	ATF_CHECK_MSG(strtol(run_value(r, "fds") + 5, NULL, 10) == other,
	    "%s: %s left open, expected 0 1 2 %d", more, run_value(r, "fds"),
	    other);
	close(net);
	close(user);
	close(other);
}

ATF_TC_WITHOUT_HEAD(descriptors_closed);
ATF_TC_BODY(descriptors_closed, tc)
{
	static const char *const failing[] = { "same", "gons_order=foo",
		"gons_order=net", "gons_order=!user,!uts,!ipc",
		"gons_mnt=/nope", "gons_cgroup=fd:x", "gons_uts=fd:1023",
		"gons_target=1", "gons_ipc=/dev/null" };
	struct target t;
	size_t i;

	need_userns();
	target_start(&t, USERNET, 0);
	descriptors(tc, "X=", 0, &t);
	descriptors(tc, "gons_order=auto", 0, &t);
	for (i = 0; i < sizeof(failing) / sizeof(failing[0]); i++)
		descriptors(tc, failing[i], 1, &t);
	target_stop(&t);
}

/* Also that of a target. */
ATF_TC_WITHOUT_HEAD(pidfd_closed);
ATF_TC_BODY(pidfd_closed, tc)
{
	static const char *const orders[] = { "user,net", "", "!net", "foo",
		"auto", "user,user" };
	struct target t;
	struct program *r;
	size_t i;
	int fd;

	need_userns();
	target_start(&t, USERNET, 0);
	for (i = 0; i < sizeof(orders) / sizeof(orders[0]); i++) {
		r = run_new();
		fd = pidfd_of(t.pid);
		r->keep[0] = fd;
		run_env(r, "gons_target=fd:%d", fd);
		run_env(r, "gons_order=%s", orders[i]);
		RUN(r);
		ATF_CHECK_EQ_MSG(i >= 2, run_value(r, "status") != NULL,
		    "%s: %s", orders[i], r->out);
		ATF_CHECK_STREQ("0 1 2", run_value(r, "fds"));
		close(fd);
	}
	target_stop(&t);
}

/* Which of 0 to 2 are open does not matter, and stays as it was. */
ATF_TC_WITHOUT_HEAD(closed_standard);
ATF_TC_BODY(closed_standard, tc)
{
	struct target t;
	struct program *r;
	int closed;

	need_userns();
	target_start(&t, USERNET, 0);
	for (closed = 0; closed < 8; closed++) {
		r = run_new();
		r->args[0] = "closed";
		r->closed = closed;
		run_env(r, "gons_user=%s", t.refs[GONS_USER]);
		run_env(r, "gons_net=%s", t.refs[GONS_NET]);
		RUN(r);
		ATF_CHECK_EQ_MSG((8 | (7 & ~closed)) << 8, r->status,
		    "closed %d: status %#x", closed, r->status);
		r = run_new();
		r->args[0] = "closed";
		r->closed = closed;
		run_env(r, "gons_net=/dev/null");
		run_env(r, "gons_uts=/nope");
		RUN(r);
		ATF_CHECK_EQ_MSG((7 & ~closed) << 8, r->status,
		    "closed %d: status %#x", closed, r->status);
	}
	target_stop(&t);
}

/* A standard descriptor may be a reference itself, and is closed then. */
ATF_TC_WITHOUT_HEAD(standard_reference);
ATF_TC_BODY(standard_reference, tc)
{
	struct program *r = run_new();

	run_env(r, "gons_net=fd:0");
	RUN(r);
	ATF_CHECK_STREQ("1 2", run_value(r, "fds"));
	ATF_CHECK(run_value(r, "status") != NULL);
}

ATF_TC_WITHOUT_HEAD(onerror_exit);
ATF_TC_BODY(onerror_exit, tc)
{
	static const struct {
		const char *variable, *text;
	} table[] = {
		{ "gons_net=/nope",
		    "gons: invalid gons_net reference \"/nope\": No such file "
		    "or directory\n" },
		{ "gons_order=foo",
		    "gons: unknown namespace type \"foo\" in gons_order\n" },
		{ "gons_net=/dev/null",
		    "gons: cannot join gons_net using reference \"/dev/null\": "
		    "Invalid argument (it is no namespace)\n" },
		{ "gons_net=a\nb",
		    "gons: invalid gons_net reference \"a\\nb\": No such file "
		    "or directory\n" },
	};
	struct program *r;
	size_t i;

	for (i = 0; i < sizeof(table) / sizeof(table[0]); i++) {
		r = run_new();
		run_env(r, "%s", table[i].variable);
		run_env(r, "gons_onerror=exit");
		RUN(r);
		ATF_CHECK_EQ(125 << 8, r->status);
		ATF_CHECK_STREQ("", r->out);
		ATF_CHECK_STREQ(table[i].text, r->err);
	}
	r = run_new();
	run_env(r, "gons_onerror=exit");
	RUN(r);
	check_status(r, NULL);
	r = run_new();
	run_env(r, "gons_onerror=exit");
	run_env(r, "gons_net=/nope");
	r->closed = 7;
	RUN(r);
	ATF_CHECK_EQ(125 << 8, r->status);
}

/* The longest line there can be, whole. */
ATF_TC_WITHOUT_HEAD(onerror_long);
ATF_TC_BODY(onerror_long, tc)
{
	static char path[PATH_MAX + 100];
	struct program *r = run_new();
	size_t len;

	memset(path, '\001', sizeof(path) - 1);
	run_env(r, "gons_net=%s", path);
	run_env(r, "gons_onerror=exit");
	RUN(r);
	ATF_CHECK_EQ(125 << 8, r->status);
	len = strlen(r->err);
	ATF_CHECK_MSG(len > 4 * (PATH_MAX - 1), "%zu bytes", len);
	ATF_CHECK_EQ(r->err + len - 1, strchr(r->err, '\n'));
	ATF_CHECK(strstr(r->err, strerror(ENAMETOOLONG)) != NULL);
}

/* Whoever takes messages one by one gets the line in one, and no empty one. */
ATF_TC_WITHOUT_HEAD(onerror_message);
ATF_TC_BODY(onerror_message, tc)
{
	struct program *r = run_new();
	char line[256];
	int sock[2];
	ssize_t n;

	ATF_REQUIRE_EQ(
	    0, socketpair(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0, sock));
	run_env(r, "gons_net=/nope");
	run_env(r, "gons_onerror=exit");
	r->err_fd = sock[1];
	RUN(r);
	ATF_CHECK_EQ(125 << 8, r->status);
	n = recv(sock[0], line, sizeof(line) - 1, MSG_DONTWAIT);
	ATF_REQUIRE(n > 0);
	line[n] = '\0';
	ATF_CHECK_STREQ("gons: invalid gons_net reference \"/nope\": No such "
			"file or directory\n",
	    line);
	ATF_CHECK_EQ(-1, recv(sock[0], line, sizeof(line), MSG_DONTWAIT));
	close(sock[0]);
	close(sock[1]);
}

/* It ends with that line, and main has not begun. */
static void
check_ended(const struct program *r, const char *text)
{
	ATF_CHECK_EQ_MSG(125 << 8, r->status, "%s: %#x", text, r->status);
	ATF_CHECK_STREQ("", r->out);
	ATF_CHECK_STREQ(text, r->err);
}

/* Who means to be strict and cannot spell it is not taken for careless. */
ATF_TC_WITHOUT_HEAD(onerror_nonsense);
ATF_TC_BODY(onerror_nonsense, tc)
{
	static const char *const values[] = { "Exit", "exit ", " exit", "1",
		"abort", "exit,", "exi", "exitt" };
	char expected[256];
	struct target t;
	struct program *r;
	size_t i;

	need_userns();
	target_start(&t, USERNET, 0);
	for (i = 0; i < sizeof(values) / sizeof(values[0]); i++) {
		r = run_new();
		run_env(r, "gons_user=%s", t.refs[GONS_USER]);
		run_env(r, "gons_net=%s", t.refs[GONS_NET]);
		run_env(r, "gons_onerror=%s", values[i]);
		RUN(r);
		(void)snprintf(expected, sizeof(expected),
		    "gons: unknown value \"%s\" of gons_onerror "
		    "(\"exit\" is known)\n",
		    values[i]);
		check_ended(r, expected);
		/* also where nothing else is asked for */
		r = run_new();
		run_env(r, "gons_onerror=%s", values[i]);
		RUN(r);
		check_ended(r, expected);
	}
	target_stop(&t);
}

/* A name that is misspelt, wherever it stands, before anything is opened. */
ATF_TC_WITHOUT_HEAD(onerror_unknown);
ATF_TC_BODY(onerror_unknown, tc)
{
	static const char *const names[] = { "nets", "NET", "", "net_",
		"orders", "id", "onerrors", "reexec", "mount", "a\033b" };
	char expected[256], fifo[] = "fifo";
	struct program *r;
	size_t i;
	int last;

	ATF_REQUIRE_EQ(0, mkfifo(fifo, 0600));
	for (i = 0; i < sizeof(names) / sizeof(names[0]); i++)
		for (last = 0; last < 2; last++) {
			r = run_new();
			if (!last)
				run_env(r, "gons_%s=/a=b", names[i]);
			run_env(r, "gons_net=/nope");
			run_env(r, "gons_uts=fifo");
			run_env(r, "gons_onerror=exit");
			if (last)
				run_env(r, "gons_%s=/a=b", names[i]);
			run_env(r, "gons_second=1");
			RUN(r);
			(void)snprintf(expected, sizeof(expected),
			    "gons: unknown variable gons_%s\n",
			    names[i][0] == 'a' ? "a\\x1bb" : names[i]);
			check_ended(r, expected);
		}
	/* what is empty counts as unset, and has to be a variable at all */
	r = run_new();
	run_env(r, "FIRST=1");
	run_env(r, "gons_onerror=exit");
	run_env(r, "gons_nets=");
	run_env(r, "gons_nothing");
	run_env(r, "Xgons_nets=1");
	run_env(r, "LAST=1");
	RUN(r);
	check_status(r, NULL);
	ATF_CHECK(strstr(r->out, "env gons_nets=\n") != NULL);
	/* and a name may be longer than anything there is room for */
	r = run_new();
	run_env(r, "gons_onerror=exit");
	run_env(r, "gons_%05000d=1", 0);
	RUN(r);
	ATF_CHECK_EQ(125 << 8, r->status);
	ATF_CHECK(strncmp(r->err, "gons: unknown variable gons_000", 31) == 0);
}

/* The reference survives the program that overwrites its environment. */
ATF_TC_WITHOUT_HEAD(environment_overwritten);
ATF_TC_BODY(environment_overwritten, tc)
{
	static const char *const variables[] = { "gons_net=/no/such/ns",
		"gons_order=foo", "gons_target=nobody" };
	char expected[512];
	struct program *r;
	size_t i;

	for (i = 0; i < sizeof(variables) / sizeof(variables[0]); i++) {
		r = run_new();
		run_env(r, "%s", variables[i]);
		RUN(r);
		ATF_REQUIRE(run_value(r, "status") != NULL);
		(void)snprintf(
		    expected, sizeof(expected), "%s", run_value(r, "status"));
		r->args[0] = "overwrite";
		RUN(r);
		ATF_CHECK_STREQ(expected, run_value(r, "status"));
		ATF_CHECK_STREQ(expected, run_value(r, "gons_status"));
	}
}

ATF_TC_WITHOUT_HEAD(many_threads_ask);
ATF_TC_BODY(many_threads_ask, tc)
{
	struct program *r = run_new();
	int i;

	r->args[0] = "threads";
	run_env(r, "gons_net=/no/such/ns");
	for (i = 0; i < 20; i++) {
		RUN(r);
		ATF_CHECK_EQ(0, r->status);
		ATF_CHECK_STREQ("gons: invalid gons_net reference "
				"\"/no/such/ns\": No such file or directory",
		    run_value(r, "gons_status"));
	}
}

/* This very process: it has been started without variables. */
ATF_TC_WITHOUT_HEAD(own_status);
ATF_TC_BODY(own_status, tc)
{
	ATF_CHECK_EQ(NULL, gons_status());
	ATF_CHECK_EQ(NULL, gons_status_error());
	ATF_CHECK_EQ(0, gons_status_joined());
}

/* What was joined before the failure is told. */
ATF_TC_WITHOUT_HEAD(joined_before);
ATF_TC_BODY(joined_before, tc)
{
	struct target t;
	struct program *r = run_new();

	need_userns();
	target_start(&t, USERNET, 0);
	run_env(r, "gons_user=%s", t.refs[GONS_USER]);
	run_env(r, "gons_net=%s", t.refs[GONS_NET]);
	run_env(r, "gons_uts=/nope");
	run_env(r, "gons_order=user,net,uts");
	RUN(r);
	check_status(r, "gons: invalid gons_uts reference \"/nope\": No such "
			"file or directory");
	ATF_CHECK_EQ(
	    GONS_BIT(GONS_USER) | GONS_BIT(GONS_NET), run_number(r, "joined"));
	ATF_CHECK_EQ(run_number(r, "joined"), run_number(r, "errjoined"));
	ATF_CHECK_EQ(ns_id(t.refs[GONS_NET]), run_number(r, "ns_net"));
	/* all references first: nothing is joined */
	r = run_new();
	run_env(r, "gons_user=%s", t.refs[GONS_USER]);
	run_env(r, "gons_net=%s", t.refs[GONS_NET]);
	run_env(r, "gons_uts=/nope");
	RUN(r);
	check_status(r, "gons: invalid gons_uts reference \"/nope\": No such "
			"file or directory");
	check_home(r);
	target_stop(&t);
}

/* The variable of the library's own, when nonsense is put into it. */
ATF_TC_WITHOUT_HEAD(private_variable);
ATF_TC_BODY(private_variable, tc)
{
	static const char *const values[] = { "x", "", ":", "::", "1:2",
		"99999999999999999999:,,,,,,:x", "0:,,,,,,:", "0:,,,,,:x",
		"0:1,2,3,4,5,6,7:x", "-1:,,,,,,:x", "0:9999999999,,,,,,:x" };
	struct program *r;
	size_t i;

	for (i = 0; i < sizeof(values) / sizeof(values[0]); i++) {
		r = run_new();
		run_env(r, "FIRST=1");
		run_env(r, "gons_reexec_action=%s", values[i]);
		run_env(r, "LAST=1");
		RUN(r);
		ATF_CHECK_EQ(0, r->status);
		check_home(r);
		check_consumed(r);
		ATF_CHECK_STREQ("0 1 2", run_value(r, "fds"));
	}
}

/* It asks for this action, as gons_reexec_start(3) writes it. */
static const struct {
	const char *text;
	unsigned flags;
	int fd[GONS__NFDS];
	const char *name; /* empty: the text is malformed */
} actions[] = {
	{ "0:,,,,,,:x", 0, { -1, -1, -1, -1, -1, -1, -1 }, "x" },
	{ "17:103,,,,,,:x", 17, { 103, -1, -1, -1, -1, -1, -1 }, "x" },
	{ "1:,103,,,,,:x", 1, { -1, 103, -1, -1, -1, -1, -1 }, "x" },
	{ "1:,,103,,,,:x", 1, { -1, -1, 103, -1, -1, -1, -1 }, "x" },
	{ "1:,,,103,,,:x", 1, { -1, -1, -1, 103, -1, -1, -1 }, "x" },
	{ "1:,,,,103,,:x", 1, { -1, -1, -1, -1, 103, -1, -1 }, "x" },
	{ "1:,,,,,103,:x", 1, { -1, -1, -1, -1, -1, 103, -1 }, "x" },
	{ "1:,,,,,,103:x", 1, { -1, -1, -1, -1, -1, -1, 103 }, "x" },
	{ "2147483647:100,101,102,103,104,105,106:a b:c,d", INT_MAX,
	    { 100, 101, 102, 103, 104, 105, 106 }, "a b:c,d" },
	{ "0:0,1,2,0,1,2,2147483647:x", 0, { 0, 1, 2, 0, 1, 2, INT_MAX }, "x" },
	{ .text = "0:,,,,,:x" },
	{ .text = "0:,,,,,,,:x" },
	{ .text = "0:,,,,,," },
	{ .text = "0,,,,,,:x" },
	{ .text = "0::,,,,,:x" },
	{ .text = "x:,,,,,,:x" },
	{ .text = " 0:,,,,,,:x" },
	{ .text = "-1:,,,,,,:x" },
	{ .text = "2147483648:,,,,,,:x" },
	{ .text = "0:,,x,,,,:x" },
	{ .text = "0:,,+1,,,,:x" },
	{ .text = "0:,,1 ,,,,:x" },
	{ .text = "0:,,-1,,,,:x" },
	{ .text = "0:,,,,,,18446744073709551616:x" },
};

static const struct gons__action *
start_with(const char *text)
{
	static char variable[512];
	static char *envp[2];

	(void)snprintf(
	    variable, sizeof(variable), "gons_reexec_action=%s", text);
	envp[0] = variable;
	gons__status_again(envp);
	CHILD(envp[0] == NULL);
	return gons__status_action();
}

/* What it names is for this program alone, and no other inherits it. */
static void
check_action(const struct gons__action *action, size_t i)
{
	int expected, fd, j;

	CHILD(action->flags == actions[i].flags);
	for (fd = 100; fd < 100 + GONS__NFDS; fd++) {
		expected = 0;
		for (j = 0; j < GONS__NFDS; j++)
			if (actions[i].fd[j] == fd)
				expected = FD_CLOEXEC;
		CHILD(fcntl(fd, F_GETFD) == expected);
	}
	for (j = 0; j < GONS__NFDS; j++)
		CHILD(action->fd[j] == actions[i].fd[j]);
}

static void
parse_action(void *arg)
{
	const struct gons__action *action;
	size_t i = *(size_t *)arg;
	int fd;

	for (fd = 100; fd < 100 + GONS__NFDS; fd++)
		CHILD(dup2(1, fd) == fd);
	action = start_with(actions[i].text);
	CHILD(action != NULL);
	if (actions[i].name == NULL) {
		CHILD(action->name[0] == '\0');
		return;
	}
	CHILD(strcmp(actions[i].name, action->name) == 0);
	check_action(action, i);
	for (fd = 0; fd < 3; fd++)
		CHILD(fcntl(fd, F_GETFD) == 0);
}

static void
long_name(void *arg)
{
	char text[300] = "0:,,,,,,:";
	size_t len = *(size_t *)arg;

	memset(text + 9, 'n', len);
	text[9 + len] = '\0';
	CHILD(strlen(start_with(text)->name) ==
	      (len <= GONS__NAME_MAX ? len : 0));
}

ATF_TC_WITHOUT_HEAD(private_action);
ATF_TC_BODY(private_action, tc)
{
	size_t i;

	for (i = 0; i < sizeof(actions) / sizeof(actions[0]); i++) {
		printf("%s\n", actions[i].text);
		in_child(parse_action, &i);
	}
	for (i = GONS__NAME_MAX; i <= GONS__NAME_MAX + 1; i++)
		in_child(long_name, &i);
}

/*
 * The mark, as release 0.2.0 leaves it: copies of other releases look for
 * nothing else.
 */
static void
old_mark(uint64_t word, unsigned char mark[MARK_SIZE])
{
	uint64_t check, key, r[2];
	int i;

	memcpy(r, (const void *)getauxval(AT_RANDOM), sizeof(r));
	key = (r[0] ^ (r[1] << 29 | r[1] >> 35)) * 0x9e3779b97f4a7c15ull;
	check = (word + 1) * (key | 1);
	for (i = 0; i < 6; i++)
		mark[i] = (unsigned char)((word ^ key) >> 8 * i);
	mark[6] = (unsigned char)(check >> 48);
	mark[7] = (unsigned char)(check >> 56);
	mark[8] = 1;
	mark[9] = '\0';
}

/* The last variable that has room for a mark. */
static char *
roomy_entry(void)
{
	char *entry = NULL;
	int i;

	for (i = 0; kernels_envp[i] != NULL; i++)
		if (strlen(kernels_envp[i]) + 1 >= MARK_SIZE)
			entry = kernels_envp[i];
	CHILD(entry != NULL);
	return entry;
}

static void
leave_and_find(void *unused)
{
	static const uint64_t words[] = { 0, 1, 0x123456789abcull,
		0xfffffffffffeull, 0xffffffffffffull };
	static char elsewhere[] = "gons_net=x", *array[] = { elsewhere, NULL };
	unsigned char expected[MARK_SIZE], *place;
	uint64_t word = 7;
	char *entry = roomy_entry(), *text = strdup(entry);
	size_t i;

	(void)unused;
	CHILD(text != NULL);
	place = (unsigned char *)entry + strlen(text) + 1 - MARK_SIZE;
	CHILD(gons__mark_find(kernels_envp, &word) == 0);
	for (i = 0; i < sizeof(words) / sizeof(words[0]); i++) {
		(void)strcpy(entry, text);
		gons__mark_leave(kernels_envp, entry, words[i]);
		old_mark(words[i], expected);
		CHILD(memcmp(expected, place, MARK_SIZE) == 0);
		CHILD(gons__mark_find(kernels_envp, &word) == 1);
		CHILD(word == words[i]);
	}
	/* neither the check nor what stands behind it may be other */
	for (i = 6; i < MARK_SIZE; i++) {
		place[i] ^= 2;
		CHILD(gons__mark_find(kernels_envp, &word) == 0);
		place[i] ^= 2;
	}
	CHILD(gons__mark_find(kernels_envp, &word) == 1);
	/* a word without room */
	(void)strcpy(entry, text);
	gons__mark_leave(kernels_envp, entry, 1ull << 48);
	CHILD(gons__mark_find(kernels_envp, &word) == 1 && word == 0);
	/* not in the memory where the kernel has put the environment */
	gons__mark_leave(kernels_envp, elsewhere, 1);
	gons__mark_leave(array, elsewhere, 1);
	CHILD(strcmp(elsewhere, "gons_net=x") == 0);
	CHILD(gons__mark_find(array, &word) == 0);
	free(text);
}

ATF_TC_WITHOUT_HEAD(mark);
ATF_TC_BODY(mark, tc)
{
	in_child(leave_and_find, NULL);
}

/* Is it told, without a crash, that some of a structure is not there? */
ATF_TC_WITHOUT_HEAD(mark_readable);
ATF_TC_BODY(mark_readable, tc)
{
	size_t page = (size_t)sysconf(_SC_PAGESIZE), size = 3 * page;
	char *p = mmap(NULL, 5 * page, PROT_READ | PROT_WRITE,
	    MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

	/* three pages, and on both sides one that nobody may read */
	ATF_REQUIRE(p != MAP_FAILED);
	ATF_REQUIRE_EQ(0, mprotect(p, page, PROT_NONE));
	ATF_REQUIRE_EQ(0, mprotect(p + 4 * page, page, PROT_NONE));
	p += page;
	errno = 4711;
	ATF_CHECK_EQ(1, gons__mark_readable(p, size));
	ATF_CHECK_EQ(1, gons__mark_readable(p, 8));
	ATF_CHECK_EQ(1, gons__mark_readable(p + size - 8, 8));
	ATF_CHECK_EQ(1, gons__mark_readable(p + 16, size - 16));
	ATF_CHECK_EQ(1, gons__mark_readable(p + page - 8, page + 16));
	ATF_CHECK_EQ(0, gons__mark_readable(p, size + 1));
	ATF_CHECK_EQ(0, gons__mark_readable(p + 8, size));
	ATF_CHECK_EQ(0, gons__mark_readable(p - 1, size));
	ATF_CHECK_EQ(0, gons__mark_readable(p - page, page + 8));
	ATF_CHECK_EQ(0, gons__mark_readable(p + size - 4, 8));
	ATF_CHECK_EQ(0, gons__mark_readable(p + size, 8));
	ATF_CHECK_EQ(0, gons__mark_readable(NULL, size));
	ATF_CHECK_EQ(0, gons__mark_readable((void *)-(uintptr_t)64, size));
	ATF_REQUIRE_EQ(0, mprotect(p + page, page, PROT_NONE));
	ATF_CHECK_EQ(0, gons__mark_readable(p, size));
	ATF_CHECK_EQ(1, gons__mark_readable(p, page));
	ATF_CHECK_EQ(4711, errno);
}

/*
 * Secure-execution mode, in which the kernel executes what has another
 * effective group ID than it had.
 */
static void
become_secure(void)
{
	if (SANITIZER)
		atf_tc_skip("a sanitizer's run time asks its user");
	if (setegid(NOBODY) == -1)
		atf_tc_skip("there is no other group: %s", strerror(errno));
}

static const struct {
	const char *other, *first, *name;
} refused[] = {
	{ "gons_none=1", "gons_net=/no/such/ns", "net" },
	{ "gons_net=", "gons_mnt=fd:9999", "mnt" },
	{ "A=b", "gons_order=nonsense", "order" },
	{ "A=b", "gons_target=1", "target" },
	{ "A=b", "gons_ids=0:0", "ids" },
	{ "A=b", "gons_reexec_action=nonsense", "reexec_action" },
	{ "A=b", "gons_reexec_action=0:,,,,,,:x", "reexec_action" },
};

/* Nothing is done of what its user says, and the first of it is named. */
ATF_TC(secure);
ATF_TC_HEAD(secure, tc)
{
	atf_tc_set_md_var(
	    tc, "descr", "a program with privileges does not join");
	atf_tc_set_md_var(tc, "require.user", "root");
}
ATF_TC_BODY(secure, tc)
{
	char expected[128], fds[32];
	struct program *r;
	int fd, i;

	become_secure();
	ATF_REQUIRE((fd = open("/proc/self/ns/net", O_RDONLY)) > 2);
	(void)snprintf(fds, sizeof(fds), "0 1 2 %d", fd);
	for (i = 0; i < (int)(sizeof(refused) / sizeof(*refused)); i++) {
		r = run_new();
		r->keep[0] = fd;
		run_env(r, "FIRST=1");
		run_env(r, "%s", refused[i].other);
		run_env(r, "%s", refused[i].first);
		run_env(r, "gons_uts=fd:%d", fd);
		run_env(r, "LAST=1");
		RUN(r);
		if (run_number(r, "secure") == 0)
			atf_tc_skip("no privileges by a group here");
		(void)snprintf(expected, sizeof(expected),
		    "gons: gons_%s is refused in secure-execution mode: "
		    "Operation not permitted",
		    refused[i].name);
		check_status(r, expected);
		check_home(r);
		ATF_CHECK_STREQ(fds, run_value(r, "fds"));
		ATF_CHECK(strstr(r->out, "env gons_uts") == NULL);
		ATF_CHECK(strstr(r->out, "env LAST=1\n") != NULL);
		/* it ends where it is asked to, whatever else it is told */
		run_env(r, "gons_onerror=never");
		RUN(r);
		ATF_CHECK_EQ(125 << 8, r->status);
		ATF_CHECK_STREQ("", r->out);
		(void)strcat(expected, "\n");
		ATF_CHECK_STREQ(expected, r->err);
	}
	/* who asks for nothing is refused nothing */
	r = run_new();
	run_env(r, "gons_none=1");
	run_env(r, "gons_net=");
	RUN(r);
	check_status(r, NULL);
	check_home(r);
	(void)close(fd);
}

static const struct second {
	const char *env[4]; /* behind that, which is a variable's name */
	const char *what;
} seconds[] = {
	{ { "gons_net=/no/such/ns" }, "gons_net" },
	{ { "gons_uts=/no/such/ns", "gons_net=/no/such/ns" }, "gons_uts" },
	{ { "gons_reexec_action=0:,,,,,,:x", "SECOND_ACTION=" },
	    "gons_reexec_action" },
	{ { "gons_net=/no/such/ns", "gons_reexec_action=0:,,,,,,:x",
	      "SECOND_ACTION=" },
	    "gons_net" },
};

static void
execute_second(const struct second *second)
{
	char text[64], path[] = "/proc/self/exe";
	const char *argv[] = { "second", NULL }, *env[6] = { text };
	size_t i;

	(void)snprintf(text, sizeof(text), "SECOND_COPY=%s", second->what);
	for (i = 0; i < 4; i++)
		env[i + 1] = second->env[i];
	(void)syscall(SYS_execve, path, argv, env);
	CHILD(!"execve");
}

/*
 * A second copy of the library refuses what the first has refused, and knows
 * whether that was an action.
 */
ATF_TC(secure_copies);
ATF_TC_HEAD(secure_copies, tc)
{
	atf_tc_set_md_var(
	    tc, "descr", "two copies in a program with privileges");
	atf_tc_set_md_var(tc, "require.user", "root");
}
ATF_TC_BODY(secure_copies, tc)
{
	int status;
	size_t i;
	pid_t pid;

	become_secure();
	for (i = 0; i < sizeof(seconds) / sizeof(*seconds); i++) {
		fflush(NULL);
		ATF_REQUIRE((pid = fork()) != -1);
		if (pid == 0)
			execute_second(&seconds[i]);
		ATF_REQUIRE_EQ(pid, waitpid(pid, &status, 0));
		if (WIFEXITED(status) && WEXITSTATUS(status) == NOT_SECURE)
			atf_tc_skip("no privileges by a group here");
		ATF_CHECK_EQ_MSG(0, status, "row %zu: status %#x", i, status);
	}
}

ATF_TP_ADD_TCS(tp)
{
	ATF_TP_ADD_TC(tp, nothing_set);
	ATF_TP_ADD_TC(tp, set_to_nothing);
	ATF_TP_ADD_TC(tp, consumed);
	ATF_TP_ADD_TC(tp, other_names);
	ATF_TP_ADD_TC(tp, twice);
	ATF_TP_ADD_TC(tp, programs_started_later);
	ATF_TP_ADD_TC(tp, descriptors_closed);
	ATF_TP_ADD_TC(tp, pidfd_closed);
	ATF_TP_ADD_TC(tp, closed_standard);
	ATF_TP_ADD_TC(tp, standard_reference);
	ATF_TP_ADD_TC(tp, onerror_exit);
	ATF_TP_ADD_TC(tp, onerror_long);
	ATF_TP_ADD_TC(tp, onerror_message);
	ATF_TP_ADD_TC(tp, onerror_nonsense);
	ATF_TP_ADD_TC(tp, onerror_unknown);
	ATF_TP_ADD_TC(tp, environment_overwritten);
	ATF_TP_ADD_TC(tp, many_threads_ask);
	ATF_TP_ADD_TC(tp, own_status);
	ATF_TP_ADD_TC(tp, joined_before);
	ATF_TP_ADD_TC(tp, private_variable);
	ATF_TP_ADD_TC(tp, private_action);
	ATF_TP_ADD_TC(tp, mark);
	ATF_TP_ADD_TC(tp, mark_readable);
	ATF_TP_ADD_TC(tp, secure);
	ATF_TP_ADD_TC(tp, secure_copies);
	return atf_no_error();
}
