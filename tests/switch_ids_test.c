/*
 * SPDX-License-Identifier: BSD-2-Clause
 *
 * Copyright (c) 2026 The libgons developers
 *
 * switch.o: gons_ids, the user and the group to become after the last join.
 */

#include <sys/stat.h>
#include <sys/syscall.h>

#include <atf-c.h>

#include <errno.h>
#include <fcntl.h>
#include <grp.h>
#include <pthread.h>
#include <sched.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include <gons.h>

#include "helpers.h"
#include "sw.h"

#define USER GONS_BIT(GONS_USER)
/* Those that take 32 bits. */
#ifdef SYS_setresuid32
#define NR_setgroups SYS_setgroups32
#define NR_setresgid SYS_setresgid32
#define NR_setresuid SYS_setresuid32
#else
#define NR_setgroups SYS_setgroups
#define NR_setresgid SYS_setresgid
#define NR_setresuid SYS_setresuid
#endif

/* What a child tries, and what it has to come to. */
struct
try {
	const struct target *target; /* or NULL: no namespace */
	const char *ids;
	int errnum, hint;
	int64_t value;
	unsigned joined;
	uid_t uid, gid;
	int ngroups;
	int nobody; /* who tries it */
	struct rule rule;
};

static void
check_failure(const struct try *t, const struct gons_error *error)
{
	char text[512], start_of_it[256];

	CHILD(errno == t->errnum);
	CHILD(error->stage == GONS_STAGE_IDS);
	CHILD(error->errnum == t->errnum);
	CHILD(error->type == -1);
	CHILD(error->hint == t->hint);
	CHILD(error->value == t->value);
	CHILD(error->joined == t->joined);
	CHILD(strcmp(error->what, t->ids) == 0);
	(void)snprintf(start_of_it, sizeof(start_of_it),
	    "gons: cannot become gons_ids \"%s\": %s", t->ids,
	    strerror(t->errnum));
	(void)gons_error_format(error, text, sizeof(text));
	CHILD(strncmp(text, start_of_it, strlen(start_of_it)) == 0);
}

static void
try_ids(void *arg)
{
	const struct try *t = arg;
	static gid_t groups[2] = { 7, 8 };
	gid_t gid[3];
	uid_t uid[3];
	struct gons_env env;
	struct gons_error error;
	int i;

	if (geteuid() == 0)
		CHILD(setgroups(2, groups) == 0);
	if (t->nobody)
		drop_to_nobody();
	if (t->rule.nr != 0)
		forbid(&t->rule, 1);
	(void)gons_envparse(NULL, &env);
	env.ids = t->ids;
	if (t->target != NULL)
		env.path[GONS_USER] = t->target->refs[GONS_USER];
	if (t->errnum != 0) {
		CHILD(gons_switch(&env, NULL, &error) == -1);
		check_failure(t, &error);
		return;
	}
	if (gons_switch(&env, NULL, &error) == -1)
		check_failure(t, &error);
	CHILD(getresuid(&uid[0], &uid[1], &uid[2]) == 0);
	CHILD(getresgid(&gid[0], &gid[1], &gid[2]) == 0);
	for (i = 0; i < 3; i++)
		CHILD(uid[i] == t->uid && gid[i] == t->gid);
	CHILD(getgroups(0, NULL) == t->ngroups);
}

static void
expect(const struct try *table, size_t n, const struct target *target)
{
	struct try t;
	size_t i;

	for (i = 0; i < n; i++) {
		t = table[i];
		t.target = target;
		in_child(try_ids, &t);
	}
}

ATF_TC(mapped);
ATF_TC_HEAD(mapped, tc)
{
	atf_tc_set_md_var(tc, "require.user", "root");
}
ATF_TC_BODY(mapped, tc)
{
	/* groups stay where setgroups(2) is denied */
	static const struct try table[] = {
		{ .ids = "0:0", .ngroups = 2 },
		{ .ids = "00:000", .ngroups = 2 },
		{ .ids = "5:0",
		    .errnum = EINVAL,
		    .hint = GONS_HINT_NOUID,
		    .value = 5,
		    .joined = USER },
		{ .ids = "0:7",
		    .errnum = EINVAL,
		    .hint = GONS_HINT_NOGID,
		    .value = 7,
		    .joined = USER },
		{ .ids = "4294967294:0",
		    .errnum = EINVAL,
		    .hint = GONS_HINT_NOUID,
		    .value = 4294967294,
		    .joined = USER },
		{ .ids = "0:0",
		    .errnum = EIO,
		    .joined = USER,
		    .rule = { NR_setgroups, -1, 0, 0, EIO } },
		{ .ids = "0:0",
		    .errnum = EPERM,
		    .joined = USER,
		    .rule = { NR_setresgid, -1, 0, 0, EPERM } },
		{ .ids = "0:0",
		    .errnum = EAGAIN,
		    .joined = USER,
		    .rule = { NR_setresuid, -1, 0, 0, EAGAIN } },
	};
	struct target t;

	need_nobody();
	target_start(&t, CLONE_NEWUSER, TARGET_NOBODY);
	expect(table, sizeof(table) / sizeof(table[0]), &t);
	target_stop(&t);
}

/* Without a user namespace, in the present one. */
ATF_TC(present);
ATF_TC_HEAD(present, tc)
{
	atf_tc_set_md_var(tc, "require.user", "root");
}
ATF_TC_BODY(present, tc)
{
	static const struct try table[] = {
		{ .ids = "0:0" },
		{ .ids = "65534:12", .uid = 65534, .gid = 12 },
		{ .ids = "4294967294:4294967294",
		    .uid = 4294967294,
		    .gid = 4294967294 },
		{ .ids = "65534:65534", .errnum = EPERM, .nobody = 1 },
		{ .ids = "0:0",
		    .errnum = EPERM,
		    .rule = { NR_setgroups, -1, 0, 0, EPERM } },
	};
	char map[64] = "";
	int fd = open_ref("/proc/self/uid_map");

	ATF_REQUIRE(read(fd, map, sizeof(map) - 1) > 0);
	close(fd);
	if (strstr(map, " 4294967295\n") == NULL)
		atf_tc_skip("not every user ID is mapped here: %.*s",
		    (int)strcspn(map, "\n"), map);
	need_nobody();
	expect(table, sizeof(table) / sizeof(table[0]), NULL);
}

static const char *const malformed[] = { "0", "0:", ":", ":0", "0:0:", "a:b",
	"root:root", "-1:0", "0:-1", "+1:0", " 0:0", "0:0 ", "0 :0",
	"4294967295:0", "0:4294967295", "4294967296:0",
	"0:18446744073709551616", "99999999999999999999:0", "0x0:0", "0;0",
	"0:0\n", "0,0" };

/* That is an error before anything is joined, at start-up as at run time. */
ATF_TC_WITHOUT_HEAD(malformed_text);
ATF_TC_BODY(malformed_text, tc)
{
	struct target t;
	struct program *r;
	size_t i;

	sandbox(0);
	target_start(&t, CLONE_NEWNET, 0);
	for (i = 0; i < sizeof(malformed) / sizeof(malformed[0]); i++) {
		r = run_new();
		set_refs(r, GONS_BIT(GONS_NET), &t);
		run_env(r, "gons_ids=%s", malformed[i]);
		FAILS(r, GONS_STAGE_IDS, EINVAL, -1,
		    i == 0 ? GONS_HINT_FORM : GONS_HINT_NONE,
		    "gons: cannot become gons_ids \"");
	}
	target_stop(&t);
}

/* With everything else, and by start-up, too. */
ATF_TC(after_the_last_join);
ATF_TC_HEAD(after_the_last_join, tc)
{
	atf_tc_set_md_var(tc, "require.user", "root");
}
ATF_TC_BODY(after_the_last_join, tc)
{
	static const char *const orders[] = { "", "auto", "net,uts,mnt,user",
		"user,net,uts,mnt" };
	struct target t;
	struct program *r;
	unsigned all =
	    USER | GONS_BIT(GONS_NET) | GONS_BIT(GONS_UTS) | GONS_BIT(GONS_MNT);
	size_t i;

	need_nobody();
	target_start(&t,
	    CLONE_NEWUSER | CLONE_NEWNET | CLONE_NEWUTS | CLONE_NEWNS,
	    TARGET_NOBODY);
	for (i = 0; i < sizeof(orders) / sizeof(orders[0]); i++) {
		r = run_new();
		set_refs(r, all, &t);
		run_env(r, "gons_order=%s", orders[i]);
		run_env(r, "gons_ids=0:0");
		JOINED(r, all, &t);
	}
	r = run_new();
	run_env(r, "gons_target=%d", (int)t.pid);
	run_env(r, "gons_ids=0:0");
	JOINED(r, all, &t);
	r = run_new();
	run_env(r, "gons_target=%d", (int)t.pid);
	run_env(r, "gons_ids=1:0");
	FAILS_AFTER(r, GONS_STAGE_IDS, EINVAL, -1, GONS_HINT_NOUID, all,
	    "gons: cannot become gons_ids \"1:0\": Invalid argument "
	    "(user ID 1 is not mapped there)");
	r = run_new();
	run_env(r, "gons_target=%d", (int)t.pid);
	run_env(r, "gons_ids=0:2");
	FAILS_AFTER(r, GONS_STAGE_IDS, EINVAL, -1, GONS_HINT_NOGID, all,
	    "(group ID 2 is not mapped there)");
	target_stop(&t);
}

/* Without ids, nobody there can make a file. */
static void
make_file(void *arg)
{
	const struct target *t = arg;
	struct gons_env env;
	struct stat st;
	int fd;

	(void)gons_envparse(NULL, &env);
	env.path[GONS_USER] = t->refs[GONS_USER];
	env.ids = "0:0";
	CHILD(gons_switch(&env, NULL, NULL) == 0);
	CHILD((fd = open("file", O_CREAT | O_EXCL | O_RDWR, 0600)) != -1);
	CHILD(fstat(fd, &st) == 0 && st.st_uid == 0 && st.st_gid == 0);
}

ATF_TC(make_files);
ATF_TC_HEAD(make_files, tc)
{
	atf_tc_set_md_var(tc, "require.user", "root");
}
ATF_TC_BODY(make_files, tc)
{
	struct stat st;
	struct target t;

	need_nobody();
	ATF_REQUIRE(mkdir("open", 0777) == 0 && chmod("open", 0777) == 0);
	ATF_REQUIRE_EQ(0, chdir("open"));
	target_start(&t, CLONE_NEWUSER, TARGET_NOBODY);
	in_child(make_file, &t);
	ATF_REQUIRE_EQ(0, stat("file", &st));
	ATF_CHECK_EQ(NOBODY, st.st_uid);
	target_stop(&t);
}

static void *
wait_for_end(void *fd)
{
	char c;

	(void)!read(*(int *)fd, &c, 1);
	return NULL;
}

/* Libc and the kernel would disagree about who the process is. */
ATF_TC_WITHOUT_HEAD(threads);
ATF_TC_BODY(threads, tc)
{
	char text[512];
	pthread_t thread;
	struct gons_env env;
	struct gons_error error;
	struct nsids before;
	int p[2];

	ATF_REQUIRE_EQ(0, pipe2(p, O_CLOEXEC));
	ATF_REQUIRE_EQ(0, pthread_create(&thread, NULL, wait_for_end, &p[0]));
	ns_own(&before);
	(void)gons_envparse(NULL, &env);
	env.path[GONS_NET] = "/nope";
	env.ids = "0:0";
	ATF_CHECK_EQ(-1, gons_switch(&env, NULL, &error));
	ATF_CHECK_EQ(GONS_STAGE_IDS, error.stage);
	ATF_CHECK_EQ(EINVAL, error.errnum);
	ATF_CHECK_EQ(GONS_HINT_THREADS, error.hint);
	ATF_CHECK_EQ(2, error.value);
	(void)gons_error_format(&error, text, sizeof(text));
	ATF_CHECK_STREQ("gons: cannot become gons_ids \"0:0\": Invalid "
			"argument (the process already has 2 threads)",
	    text);
	CHECK_UNMOVED(&before);
	close(p[1]);
	ATF_REQUIRE_EQ(0, pthread_join(thread, NULL));
}

ATF_TP_ADD_TCS(tp)
{
	ATF_TP_ADD_TC(tp, mapped);
	ATF_TP_ADD_TC(tp, present);
	ATF_TP_ADD_TC(tp, malformed_text);
	ATF_TP_ADD_TC(tp, after_the_last_join);
	ATF_TP_ADD_TC(tp, make_files);
	ATF_TP_ADD_TC(tp, threads);
	return atf_no_error();
}
