/*
 * SPDX-License-Identifier: BSD-2-Clause
 *
 * Copyright (c) 2026 The libgons developers
 *
 * envparse.o: namespace types, the variables, the text of an error.
 */

#include <atf-c.h>

#include <errno.h>
#include <limits.h>
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <gons.h>

#include "internal.h"

#ifndef CLONE_NEWTIME
#define CLONE_NEWTIME 0x00000080
#endif

static const struct {
	const char *name;
	int type, flag;
} types[] = {
	{ "cgroup", GONS_CGROUP, CLONE_NEWCGROUP },
	{ "ipc", GONS_IPC, CLONE_NEWIPC },
	{ "mnt", GONS_MNT, CLONE_NEWNS },
	{ "net", GONS_NET, CLONE_NEWNET },
	{ "pid", GONS_PID, CLONE_NEWPID },
	{ "time", GONS_TIME, CLONE_NEWTIME },
	{ "user", GONS_USER, CLONE_NEWUSER },
	{ "uts", GONS_UTS, CLONE_NEWUTS },
};

/* The text of an error with these members. */
static const char *
text_of(
    int stage, int errnum, int type, int hint, int64_t value, const char *what)
{
	static char buf[20000];
	struct gons_error error;

	memset(&error, 0, sizeof(error));
	error.stage = stage;
	error.errnum = errnum;
	error.type = type;
	error.hint = hint;
	error.value = value;
	strcpy(error.what, what);
	ATF_REQUIRE_EQ(gons_error_format(&error, NULL, 0),
	    gons_error_format(&error, buf, sizeof(buf)));
	return buf;
}

static void
check_text(const char *got, const char *expected)
{
	ATF_CHECK_MSG(strcmp(got, expected) == 0, "got '%s', expected '%s'",
	    got, expected);
}

ATF_TC_WITHOUT_HEAD(type_table);
ATF_TC_BODY(type_table, tc)
{
	size_t i;

	ATF_CHECK_EQ(8, GONS_NTYPES);
	for (i = 0; i < sizeof(types) / sizeof(types[0]); i++) {
		ATF_CHECK_EQ((int)i, types[i].type);
		ATF_CHECK_STREQ(types[i].name, gons_type_name(types[i].type));
		ATF_CHECK_EQ(types[i].flag, gons_type_flag(types[i].type));
		ATF_CHECK_EQ(types[i].type, gons_type_find(types[i].name));
		ATF_CHECK_EQ(1u << i, GONS_BIT(types[i].type));
	}
}

ATF_TC_WITHOUT_HEAD(type_unknown);
ATF_TC_BODY(type_unknown, tc)
{
	static const int bad[] = { -1, -2, GONS_NTYPES, GONS_MAXTYPES, INT_MAX,
		INT_MIN };
	static const char *const names[] = { "", "ne", "nett", "NET", "Net",
		" net", "net ", "!net", "gons_net", "order", "target",
		"onerror", "auto", "reexec_action", "pid_for_children" };
	size_t i;

	for (i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
		ATF_CHECK_EQ(NULL, gons_type_name(bad[i]));
		ATF_CHECK_EQ(-1, gons_type_flag(bad[i]));
	}
	for (i = 0; i < sizeof(names) / sizeof(names[0]); i++)
		ATF_CHECK_EQ_MSG(-1, gons_type_find(names[i]), "%s", names[i]);
	ATF_CHECK_EQ(-1, gons_type_find(NULL));
}

/* Programs have these sizes compiled in: types to come have their room. */
ATF_TC_WITHOUT_HEAD(abi);
ATF_TC_BODY(abi, tc)
{
	ATF_CHECK_EQ(24 * sizeof(void *), sizeof(struct gons_env));
	ATF_CHECK_EQ(160, sizeof(struct gons_order));
	ATF_CHECK_EQ(16 + 8 + 40 + 4096, sizeof(struct gons_error));
	ATF_CHECK_EQ(4 * 8 + 8 + 3 * 8 + 4096, sizeof(struct gons_covstat));
	ATF_CHECK(GONS_MAXTYPES >= 2 * GONS_NTYPES);
	ATF_CHECK(GONS_MAXTYPES <= 32);
}

ATF_TC_WITHOUT_HEAD(version);
ATF_TC_BODY(version, tc)
{
	const char *expected = getenv("GONS_TEST_VERSION");
	int a, b, c, end = 0;

	ATF_REQUIRE_EQ(
	    3, sscanf(gons_version(), "%d.%d.%d%n", &a, &b, &c, &end));
	ATF_CHECK_EQ('\0', gons_version()[end]);
	if (expected != NULL)
		ATF_CHECK_STREQ(expected, gons_version());
}

static char *
copy(const char *s)
{
	char *new = strdup(s);

	ATF_REQUIRE(new != NULL);
	return new;
}

ATF_TC_WITHOUT_HEAD(env_nothing);
ATF_TC_BODY(env_nothing, tc)
{
	char *const empty[] = { NULL };
	struct gons_env env, zero;

	memset(&zero, 0, sizeof(zero));
	memset(&env, 0xff, sizeof(env));
	ATF_CHECK_EQ(0, gons_envparse(empty, &env));
	ATF_CHECK_EQ(0, memcmp(&env, &zero, sizeof(env)));
	memset(&env, 0xff, sizeof(env));
	ATF_CHECK_EQ(0, gons_envparse(NULL, &env));
	ATF_CHECK_EQ(0, memcmp(&env, &zero, sizeof(env)));
}

/* All of them among a hundred others; strings are borrowed, not copied. */
ATF_TC_WITHOUT_HEAD(env_all);
ATF_TC_BODY(env_all, tc)
{
	char *envp[128], line[64];
	struct gons_env env;
	size_t i, n = 0;

	for (i = 0; i < 100; i++) {
		(void)snprintf(line, sizeof(line), "OTHER%zu=gons_net=x", i);
		envp[n++] = copy(line);
		if (i < 8) {
			(void)snprintf(line, sizeof(line), "gons_%s=/ns/%s",
			    types[i].name, types[i].name);
			envp[n++] = copy(line);
		}
	}
	envp[n++] = copy("gons_order=net");
	envp[n++] = copy("gons_target=42");
	envp[n++] = copy("gons_onerror=exit");
	envp[n++] = copy("gons_reexec_action=a=b");
	envp[n++] = copy("gons_ids=0:0");
	envp[n] = NULL;
	ATF_CHECK_EQ(13, gons_envparse(envp, &env));
	for (i = 0; i < 8; i++) {
		(void)snprintf(line, sizeof(line), "/ns/%s", types[i].name);
		ATF_CHECK_STREQ(line, env.path[i]);
		ATF_CHECK(env.path[i] == strchr(envp[2 * i + 1], '/'));
	}
	for (; i < GONS_MAXTYPES; i++)
		ATF_CHECK_EQ(NULL, env.path[i]);
	ATF_CHECK_STREQ("net", env.order);
	ATF_CHECK_STREQ("42", env.target);
	ATF_CHECK_STREQ("exit", env.onerror);
	ATF_CHECK_STREQ("a=b", env.action);
	ATF_CHECK_STREQ("0:0", env.ids);
	for (i = 0; i < sizeof(env.reserved) / sizeof(env.reserved[0]); i++)
		ATF_CHECK_EQ(NULL, env.reserved[i]);
	while (n > 0)
		free(envp[--n]);
}

/* Names are matched exactly. */
ATF_TC_WITHOUT_HEAD(env_names);
ATF_TC_BODY(env_names, tc)
{
	static const char *const others[] = { "GONS_net=x", "gons_NET=x",
		"Gons_net=x", "gons_net2=x", "gons_ne=x", "gons_=x", "gons=x",
		"gonsnet=x", "gons_net", "gons_net ", "gons_net =x", "g=x", "g",
		"", "=", "=gons_net=x", " gons_net=x", "xgons_net=x",
		"gons_nets=x", "gons_orders=x", "gons_reexec=x",
		"gons_reexec_actions=x", "gons_status=x", "gons_targe=x",
		"gons__net=x", "gons_net_=x", "gons_mount=x",
		"gons_pid_for_children=x" };
	struct gons_env env, zero;
	char *envp[2] = { NULL, NULL };
	size_t i;

	memset(&zero, 0, sizeof(zero));
	for (i = 0; i < sizeof(others) / sizeof(others[0]); i++) {
		envp[0] = copy(others[i]);
		ATF_CHECK_EQ_MSG(0, gons_envparse(envp, &env), "%s", others[i]);
		ATF_CHECK_EQ_MSG(
		    0, memcmp(&env, &zero, sizeof(env)), "%s", others[i]);
		free(envp[0]);
	}
}

ATF_TC_WITHOUT_HEAD(env_twice);
ATF_TC_BODY(env_twice, tc)
{
	char a[] = "gons_net=first", b[] = "gons_net=second", c[] = "gons_net=";
	char d[] = "gons_net", e[] = "gons_order=", f[] = "gons_order=net";
	char *const first[] = { a, b, NULL };
	char *const empty[] = { c, a, b, e, f, NULL };
	char *const noequals[] = { d, a, b, NULL };
	char *const last[] = { a, c, NULL };
	struct gons_env env;

	ATF_CHECK_EQ(1, gons_envparse(first, &env));
	ATF_CHECK_STREQ("first", env.path[GONS_NET]);
	ATF_CHECK_EQ(0, gons_envparse(empty, &env));
	ATF_CHECK_EQ(NULL, env.path[GONS_NET]);
	ATF_CHECK_EQ(NULL, env.order);
	ATF_CHECK_EQ(1, gons_envparse(noequals, &env));
	ATF_CHECK_STREQ("first", env.path[GONS_NET]);
	ATF_CHECK_EQ(1, gons_envparse(last, &env));
	ATF_CHECK_STREQ("first", env.path[GONS_NET]);
}

/* What start-up does with an environment: it keeps the rest. */
ATF_TC_WITHOUT_HEAD(env_take);
ATF_TC_BODY(env_take, tc)
{
	char a[] = "A=1", b[] = "gons_B=2", c[] = "gons_", d[] = "D=";
	char mnt[] = "gons_mnt=", net[] = "gons_net=x", ids[] = "gons_ids=1:1";
	char again[] = "gons_net=y";
	char *none[] = { a, c, b, NULL };
	char *some[] = { a, c, mnt, b, net, d, ids, again, NULL };
	char *empty[] = { mnt, a, NULL };
	char *const left[] = { a, c, b, d, NULL };
	struct gons__asked asked;

	ATF_CHECK_EQ(NULL, gons__envtake(none, &asked));
	ATF_CHECK(none[0] == a && none[1] == c && none[2] == b);
	ATF_CHECK_EQ(NULL, none[3]);
	ATF_REQUIRE_EQ(some + 5, gons__envtake(some, &asked));
	ATF_CHECK_EQ(0, memcmp(left, some, sizeof(left)));
	ATF_CHECK_EQ(some + 8, asked.end);
	ATF_CHECK_EQ(2, asked.count);
	/* the first that is not empty, and the last in any case */
	ATF_CHECK_STREQ("net", gons__varname(asked.first));
	ATF_CHECK_EQ(again, asked.last);
	ATF_CHECK_EQ(b, asked.unknown);
	ATF_CHECK_STREQ("x", asked.env.path[GONS_NET]);
	ATF_CHECK_STREQ("1:1", asked.env.ids);
	ATF_CHECK_EQ(NULL, asked.env.path[GONS_MNT]);
	ATF_REQUIRE_EQ(empty + 2, gons__envtake(empty, &asked));
	ATF_CHECK(empty[0] == a && empty[1] == NULL);
	ATF_CHECK_EQ(0, asked.count);
	ATF_CHECK_EQ(mnt, asked.last);
	ATF_CHECK_EQ(NULL, asked.unknown);
}

/* The five forms that the contract writes out. */
ATF_TC_WITHOUT_HEAD(text_forms);
ATF_TC_BODY(text_forms, tc)
{
	check_text(
	    text_of(GONS_STAGE_ORDER, EINVAL, -1, GONS_HINT_UNKNOWN, 0, "foo"),
	    "gons: unknown namespace type \"foo\" in gons_order");
	check_text(text_of(GONS_STAGE_ORDER, EINVAL, -1, GONS_HINT_DUPLICATE, 0,
		       "net"),
	    "gons: duplicate namespace type \"net\" in gons_order");
	check_text(
	    text_of(GONS_STAGE_OPEN, ENOENT, GONS_NET, 0, 0, "/no/such/ns"),
	    "gons: invalid gons_net reference \"/no/such/ns\": "
	    "No such file or directory");
	check_text(text_of(GONS_STAGE_ORDER, EINVAL, GONS_IPC,
		       GONS_HINT_MISSING, 0, "/x"),
	    "gons: gons_ipc is set but missing from gons_order");
	check_text(text_of(GONS_STAGE_JOIN, EINVAL, GONS_NET,
		       GONS_HINT_OTHERTYPE, GONS_IPC, "/proc/1/ns/ipc"),
	    "gons: cannot join gons_net using reference \"/proc/1/ns/ipc\": "
	    "Invalid argument (it is an ipc namespace)");
}

/* The words in parentheses, wherever they can stand. */
ATF_TC_WITHOUT_HEAD(text_hints);
ATF_TC_BODY(text_hints, tc)
{
	static const struct {
		int type, hint;
		int64_t value;
		const char *words;
	} table[] = {
		{ GONS_NET, GONS_HINT_OTHERTYPE, GONS_CGROUP,
		    "(it is a cgroup namespace)" },
		{ GONS_NET, GONS_HINT_OTHERTYPE, GONS_IPC,
		    "(it is an ipc namespace)" },
		{ GONS_IPC, GONS_HINT_OTHERTYPE, GONS_NET,
		    "(it is a net namespace)" },
		{ GONS_NET, GONS_HINT_OTHERTYPE, GONS_USER,
		    "(it is a user namespace)" },
		{ GONS_NET, GONS_HINT_OTHERTYPE, GONS_UTS,
		    "(it is a uts namespace)" },
		{ GONS_NET, GONS_HINT_NOTNS, 0, "(it is no namespace)" },
		{ GONS_MNT, GONS_HINT_THREADS, 3,
		    "(the process already has 3 threads)" },
		{ GONS_MNT, GONS_HINT_THREADS, 0,
		    "(the process already has several threads)" },
		{ GONS_NET, GONS_HINT_OWNER, GONS_NET,
		    "(no CAP_SYS_ADMIN in the user namespace that owns it)" },
		{ GONS_USER, GONS_HINT_OWNER, GONS_USER,
		    "(no CAP_SYS_ADMIN in that user namespace)" },
		{ -1, GONS_HINT_OWNER, GONS_NET,
		    "(no CAP_SYS_ADMIN in the user namespace that owns its net "
		    "namespace)" },
		{ GONS_NET, GONS_HINT_SELF, 0,
		    "(no CAP_SYS_ADMIN in the own user namespace)" },
		{ GONS_MNT, GONS_HINT_CHROOT, 0,
		    "(no CAP_SYS_CHROOT in the own user namespace)" },
		{ GONS_USER, GONS_HINT_SAME, 0,
		    "(already in that user namespace)" },
		{ GONS_NET, GONS_HINT_LIMIT, 17,
		    "(/proc/sys/user/max_net_namespaces is 17)" },
		{ GONS_NET, GONS_HINT_LIMIT, 0,
		    "(/proc/sys/user/max_net_namespaces is 0)" },
		{ -1, GONS_HINT_THREADOF, 4711,
		    "(it is a thread of process 4711)" },
	};
	static const int mute[] = { INT_MIN, -1, GONS_HINT_NONE,
		GONS_HINT_UNKNOWN, GONS_HINT_STRUCT, GONS_HINT_VARIABLE,
		GONS_HINT_COPY, GONS_HINT_FORM + 1, INT_MAX };
	char expected[256];
	size_t i;

	for (i = 0; i < sizeof(table) / sizeof(table[0]); i++) {
		(void)snprintf(expected, sizeof(expected),
		    "gons: cannot join gons_%s using reference \"r\": "
		    "Operation not permitted %s",
		    table[i].type == -1 ? "target" : types[table[i].type].name,
		    table[i].words);
		check_text(text_of(GONS_STAGE_JOIN, EPERM, table[i].type,
			       table[i].hint, table[i].value, "r"),
		    expected);
	}
	ATF_CHECK(strstr(text_of(GONS_STAGE_JOIN, ENOSYS, -1, GONS_HINT_KERNEL,
			     0, "1"),
		      "kernel") != NULL);
	ATF_CHECK(strstr(text_of(GONS_STAGE_JOIN, EINVAL, GONS_PID,
			     GONS_HINT_NOTBELOW, 0, "1"),
		      "below") != NULL);
	/* those of another stage, and what only a newer library says */
	for (i = 0; i < sizeof(mute) / sizeof(mute[0]); i++)
		check_text(
		    text_of(GONS_STAGE_JOIN, EPERM, -1, mute[i], 7, "42"),
		    "gons: cannot join gons_target using reference \"42\": "
		    "Operation not permitted");
}

ATF_TC_WITHOUT_HEAD(text_orders);
ATF_TC_BODY(text_orders, tc)
{
	const char *s;

	s = text_of(GONS_STAGE_ORDER, EINVAL, -1, GONS_HINT_ONERROR, 0, "Exit");
	ATF_CHECK_MSG(
	    strstr(s, "\"Exit\"") && strstr(s, "gons_onerror"), "%s", s);
	check_text(text_of(GONS_STAGE_ORDER, EINVAL, -1, GONS_HINT_VARIABLE, 0,
		       "gons_nets"),
	    "gons: unknown variable gons_nets");
	check_text(text_of(GONS_STAGE_ORDER, EINVAL, -1, GONS_HINT_VARIABLE, 0,
		       "gons_a\nb"),
	    "gons: unknown variable gons_a\\nb");
	s = text_of(GONS_STAGE_ORDER, ENODATA, -1, GONS_HINT_COPY, 0, "");
	ATF_CHECK_MSG(strstr(s, "another copy") && strstr(s, "lost"), "%s", s);
	s = text_of(
	    GONS_STAGE_ORDER, EINVAL, GONS_UTS, GONS_HINT_TARGETED, 0, "x");
	ATF_CHECK_MSG(
	    strstr(s, "gons_uts") && strstr(s, "gons_target"), "%s", s);
	s = text_of(GONS_STAGE_ORDER, EINVAL, -1, GONS_HINT_EARLY, 0, "!net");
	ATF_CHECK_MSG(strstr(s, "\"!\"") && strstr(s, "gons_order") &&
			  strstr(s, "gons_target"),
	    "%s", s);
	s = text_of(GONS_STAGE_ORDER, EINVAL, -1, GONS_HINT_AUTO, 0, "auto");
	ATF_CHECK_MSG(strstr(s, "\"auto\"") && strstr(s, "gons_order") &&
			  strstr(s, "gons_target"),
	    "%s", s);
	s = text_of(GONS_STAGE_SECURE, EPERM, -1, 0, 0, "gons_net");
	ATF_CHECK_MSG(strstr(s, "gons_net") && strstr(s, "secure") &&
			  strstr(s, "Operation not permitted"),
	    "%s", s);
}

ATF_TC_WITHOUT_HEAD(text_ids);
ATF_TC_BODY(text_ids, tc)
{
	check_text(
	    text_of(GONS_STAGE_IDS, EINVAL, -1, GONS_HINT_NOUID, 0, "0:0"),
	    "gons: cannot become gons_ids \"0:0\": Invalid argument "
	    "(user ID 0 is not mapped there)");
	check_text(text_of(GONS_STAGE_IDS, EINVAL, -1, GONS_HINT_NOGID,
		       4294967294, "0:4294967294"),
	    "gons: cannot become gons_ids \"0:4294967294\": Invalid argument "
	    "(group ID 4294967294 is not mapped there)");
	check_text(text_of(GONS_STAGE_IDS, EPERM, -1, 0, 0, "1:2"),
	    "gons: cannot become gons_ids \"1:2\": Operation not permitted");
}

/* Something else was meant. */
ATF_TC_WITHOUT_HEAD(text_form);
ATF_TC_BODY(text_form, tc)
{
	(void)tc;
	check_text(text_of(GONS_STAGE_OPEN, EINVAL, -1, GONS_HINT_FORM, 0,
		       "/proc/4711/ns/net"),
	    "gons: invalid gons_target reference \"/proc/4711/ns/net\": "
	    "Invalid argument (it is a path, a PID or fd:N is wanted)");
	check_text(text_of(GONS_STAGE_OPEN, ENOENT, GONS_NET, GONS_HINT_FORM, 0,
		       "4711"),
	    "gons: invalid gons_net reference \"4711\": No such file or "
	    "directory (it is a number, /proc/PID/ns/net or fd:N is wanted)");
	check_text(text_of(GONS_STAGE_IDS, EINVAL, -1, GONS_HINT_FORM, 0, "0"),
	    "gons: cannot become gons_ids \"0\": Invalid argument (the group "
	    "ID is missing, UID:GID is wanted)");
}

ATF_TC_WITHOUT_HEAD(text_visit);
ATF_TC_BODY(text_visit, tc)
{
	check_text(text_of(GONS_STAGE_VISIT, EAGAIN, -1, 0, 0, "thread"),
	    "gons: a visit failed: thread: "
	    "Resource temporarily unavailable");
	check_text(text_of(GONS_STAGE_VISIT, EINVAL, -1, GONS_HINT_CHILD,
		       GONS_PID, "thread"),
	    "gons: a visit failed: thread: Invalid argument (the kernel makes "
	    "no threads after a pid namespace was joined, run an action "
	    "instead: gons_reexec(3))");
	check_text(
	    text_of(GONS_STAGE_IDS, EINVAL, -1, GONS_HINT_CHILD, 0, "0:0"),
	    "gons: cannot become gons_ids \"0:0\": Invalid argument (a thread "
	    "cannot take them, run an action instead: gons_reexec(3))");
	check_text(text_of(GONS_STAGE_JOIN, EINVAL, GONS_USER, GONS_HINT_CHILD,
		       0, "/ns"),
	    "gons: cannot join gons_user using reference \"/ns\": "
	    "Invalid argument (a thread cannot join it, run an action "
	    "instead: gons_reexec(3))");
	check_text(text_of(GONS_STAGE_JOIN, EINVAL, -1, GONS_HINT_CHILD,
		       GONS_USER, "42"),
	    "gons: cannot join gons_target using reference \"42\": "
	    "Invalid argument (a thread cannot join its user namespace, "
	    "name the types in gons_order)");
}

/* One line always, that a terminal and a log file can be given. */
ATF_TC_WITHOUT_HEAD(text_escapes);
ATF_TC_BODY(text_escapes, tc)
{
	static const struct {
		const char *what, *shown;
	} table[] = {
		{ "", "" },
		{ "/a b", "/a b" },
		{ "\n", "\\n" },
		{ "a\nb\tc", "a\\nb\\tc" },
		{ "\001\033[2J\177", "\\x01\\x1b[2J\\x7f" },
		{ "\r\b\a", "\\x0d\\x08\\x07" },
		{ "back\\slash", "back\\\\slash" },
		/* what is right UTF-8 stays */
		{ "\303\244\342\202\254\360\237\230\200",
		    "\303\244\342\202\254\360\237\230\200" },
		/* the first and the last of each length, and beside surrogates */
		{ "\302\240\337\277", "\302\240\337\277" },
		{ "\340\240\200\357\277\277", "\340\240\200\357\277\277" },
		{ "\360\220\200\200\364\217\277\277",
		    "\360\220\200\200\364\217\277\277" },
		{ "\355\237\277\356\200\200", "\355\237\277\356\200\200" },
		/* what is not: alone, cut short, overlong, out of range */
		{ "\377", "\\xff" },
		{ "\200", "\\x80" },
		{ "\303", "\\xc3" },
		{ "\303/", "\\xc3/" },
		{ "\342\202", "\\xe2\\x82" },
		{ "\300\257", "\\xc0\\xaf" },
		{ "\301\277", "\\xc1\\xbf" },
		{ "\340\200\257", "\\xe0\\x80\\xaf" },
		{ "\340\237\277", "\\xe0\\x9f\\xbf" },
		{ "\360\217\277\277", "\\xf0\\x8f\\xbf\\xbf" },
		{ "\355\240\200", "\\xed\\xa0\\x80" },
		{ "\355\277\277", "\\xed\\xbf\\xbf" },
		{ "\364\220\200\200", "\\xf4\\x90\\x80\\x80" },
		{ "\370\210\200\200\200", "\\xf8\\x88\\x80\\x80\\x80" },
		/* C1 controls, line separators, direction overrides */
		{ "\302\205", "\\xc2\\x85" },
		{ "\302\233", "\\xc2\\x9b" },
		{ "\302\237", "\\xc2\\x9f" },
		{ "\342\200\250", "\\xe2\\x80\\xa8" },
		{ "\342\200\251", "\\xe2\\x80\\xa9" },
		{ "\342\200\256", "\\xe2\\x80\\xae" },
		{ "\342\200\216", "\\xe2\\x80\\x8e" },
		{ "\342\200\217", "\\xe2\\x80\\x8f" },
		{ "\330\234", "\\xd8\\x9c" },
		{ "\342\201\246", "\\xe2\\x81\\xa6" },
		{ "\342\201\251", "\\xe2\\x81\\xa9" },
		/* their neighbours */
		{ "\330\233\330\235", "\330\233\330\235" },
		{ "\342\200\215\342\200\220", "\342\200\215\342\200\220" },
		{ "\342\200\247\342\200\257", "\342\200\247\342\200\257" },
		{ "\342\201\245\342\201\252", "\342\201\245\342\201\252" },
		{ "%s%n", "%s%n" },
	};
	char expected[256];
	size_t i;

	for (i = 0; i < sizeof(table) / sizeof(table[0]); i++) {
		(void)snprintf(expected, sizeof(expected),
		    "gons: invalid gons_uts reference \"%s\": "
		    "No such file or directory",
		    table[i].shown);
		check_text(text_of(GONS_STAGE_OPEN, ENOENT, GONS_UTS, 0, 0,
			       table[i].what),
		    expected);
		(void)snprintf(expected, sizeof(expected),
		    "gons: unknown namespace type \"%s\" in gons_order",
		    table[i].shown);
		check_text(text_of(GONS_STAGE_ORDER, EINVAL, -1,
			       GONS_HINT_UNKNOWN, 0, table[i].what),
		    expected);
	}
}

/* Paths are shown whole, also when each byte has to be escaped. */
ATF_TC_WITHOUT_HEAD(text_long);
ATF_TC_BODY(text_long, tc)
{
	static char path[PATH_MAX], expected[5 * PATH_MAX];
	char *p;
	size_t i;

	memset(path, 'x', sizeof(path) - 1);
	(void)snprintf(expected, sizeof(expected),
	    "gons: invalid gons_net reference \"%s\": %s", path,
	    strerror(ENAMETOOLONG));
	check_text(text_of(GONS_STAGE_OPEN, ENAMETOOLONG, GONS_NET, 0, 0, path),
	    expected);
	memset(path, '\001', sizeof(path) - 1);
	p = expected +
	    sprintf(expected, "%s", "gons: invalid gons_net reference \"");
	for (i = 0; i < sizeof(path) - 1; i++, p += 4)
		memcpy(p, "\\x01", 4);
	(void)sprintf(p, "\": %s", strerror(ENAMETOOLONG));
	check_text(text_of(GONS_STAGE_OPEN, ENAMETOOLONG, GONS_NET, 0, 0, path),
	    expected);
}

ATF_TC_WITHOUT_HEAD(text_truncates);
ATF_TC_BODY(text_truncates, tc)
{
	char buf[256], expected[256], full[256];
	struct gons_error error;
	size_t size, len;

	memset(&error, 0, sizeof(error));
	error.stage = GONS_STAGE_OPEN;
	error.errnum = ENOENT;
	error.type = GONS_NET;
	strcpy(error.what, "/a\nb");
	ATF_REQUIRE(gons_error_format(&error, full, sizeof(full)) > 0);
	len = strlen(full);
	ATF_CHECK_EQ((int)len, gons_error_format(&error, NULL, 0));
	for (size = 0; size <= len + 2; size++) {
		memset(buf, 'Z', sizeof(buf));
		memset(expected, 'Z', sizeof(expected));
		(void)snprintf(expected, size, "%s", full);
		ATF_CHECK_EQ((int)len, gons_error_format(&error, buf, size));
		ATF_CHECK_EQ_MSG(
		    0, memcmp(buf, expected, sizeof(buf)), "size %zu", size);
	}
}

static void
check_line(const struct gons_error *error)
{
	static char buf[20000];
	size_t i;
	int len = gons_error_format(error, buf, sizeof(buf));

	ATF_REQUIRE_MSG(len > 6 && (size_t)len < sizeof(buf),
	    "stage %d, type %d, hint %d: length %d", error->stage, error->type,
	    error->hint, len);
	ATF_REQUIRE_EQ((int)strlen(buf), len);
	ATF_REQUIRE(strncmp(buf, "gons: ", 6) == 0);
	for (i = 0; i < (size_t)len; i++)
		ATF_REQUIRE_MSG((unsigned char)buf[i] >= 0x20 && buf[i] != 0x7f,
		    "stage %d, type %d, hint %d: control character at %zu",
		    error->stage, error->type, error->hint, i);
}

/* It may come from a child that nobody trusts. */
ATF_TC_WITHOUT_HEAD(text_hostile);
ATF_TC_BODY(text_hostile, tc)
{
	static const int wild[] = { INT_MIN, -2, -1, 0, 1, 2, 3, 4, 5, 7, 8, 15,
		16, 31, 32, 255, 4096, INT_MAX };
	static const int64_t values[] = { INT64_MIN, -1, 0, 3, 8, 0x100000003ll,
		INT64_MAX };
	const size_t n = sizeof(wild) / sizeof(wild[0]);
	struct gons_error error;
	size_t i, j, k;
	int hint;

	for (i = 0; i < n; i++)
		for (j = 0; j < n; j++)
			for (hint = -1; hint <= GONS_HINT_FORM + 2; hint++) {
				memset(
				    &error, "\377\nA\0"[i % 4], sizeof(error));
				error.stage = wild[i];
				error.type = wild[j];
				error.hint = hint;
				error.errnum = wild[(i + j) % n];
				k = (i + j) % 7;
				error.value = values[k];
				check_line(&error);
				error.hint = wild[(i + j + (size_t)hint) % n];
				check_line(&error);
			}
}

/* Any bytes at all. */
ATF_TC_WITHOUT_HEAD(text_random);
ATF_TC_BODY(text_random, tc)
{
	union {
		struct gons_error error;
		unsigned char bytes[sizeof(struct gons_error)];
	} u;
	unsigned state = 1;
	size_t i, round;

	for (round = 0; round < 500; round++) {
		for (i = 0; i < sizeof(u.bytes); i++) {
			state = state * 1103515245u + 12345u;
			u.bytes[i] = (unsigned char)(state >> 16);
		}
		u.error.stage = (int)(round % 8);
		u.error.hint %= GONS_HINT_FORM + 2;
		check_line(&u.error);
	}
}

ATF_TP_ADD_TCS(tp)
{
	ATF_TP_ADD_TC(tp, type_table);
	ATF_TP_ADD_TC(tp, type_unknown);
	ATF_TP_ADD_TC(tp, abi);
	ATF_TP_ADD_TC(tp, version);
	ATF_TP_ADD_TC(tp, env_nothing);
	ATF_TP_ADD_TC(tp, env_all);
	ATF_TP_ADD_TC(tp, env_names);
	ATF_TP_ADD_TC(tp, env_twice);
	ATF_TP_ADD_TC(tp, env_take);
	ATF_TP_ADD_TC(tp, text_forms);
	ATF_TP_ADD_TC(tp, text_hints);
	ATF_TP_ADD_TC(tp, text_orders);
	ATF_TP_ADD_TC(tp, text_ids);
	ATF_TP_ADD_TC(tp, text_form);
	ATF_TP_ADD_TC(tp, text_visit);
	ATF_TP_ADD_TC(tp, text_escapes);
	ATF_TP_ADD_TC(tp, text_long);
	ATF_TP_ADD_TC(tp, text_truncates);
	ATF_TP_ADD_TC(tp, text_hostile);
	ATF_TP_ADD_TC(tp, text_random);
	return atf_no_error();
}
