/*
 * SPDX-License-Identifier: BSD-2-Clause
 *
 * Copyright (c) 2026 The libgons developers
 *
 * switch.o: at run time, what gons_switch(3) does that start-up does not.
 */

#include <sys/prctl.h>
#include <sys/syscall.h>

#include <atf-c.h>

#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <sched.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include <gons.h>

#include "helpers.h"
#include "internal.h"
#include "sw.h"

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

/*
 * The same where a target does not show its namespaces: neither is its pid
 * namespace the reason.
 */
static void
threaded_unseen(void *arg)
{
	static const struct rule rules[] = { PIDFD_IOCTLS,
		{ NR_fsopen, -1, 0, 0, ENOSYS },
		{ SYS_setns, 1, ~0u, CLONE_NEWPID, EINVAL } };
	static const int types[] = { GONS_USER, GONS_MNT, GONS_PID };
	struct target *t = arg;
	struct gons_env env;
	struct gons_error error;
	char pid[16];
	pthread_t thread;
	size_t i;
	int p[2];

	CHILD(unshare(CLONE_NEWNS) == 0);
	CHILD(hide_proc() != -1);
	CHILD(pipe2(p, O_CLOEXEC) == 0);
	CHILD(pthread_create(&thread, NULL, wait_for_end, &p[0]) == 0);
	forbid(rules, sizeof(rules) / sizeof(rules[0]));
	(void)snprintf(pid, sizeof(pid), "%d", (int)t->pid);
	for (i = 0; i < sizeof(types) / sizeof(types[0]); i++) {
		(void)gons_envparse(NULL, &env);
		env.target = pid;
		env.order = gons_type_name(types[i]);
		CHILD(gons_switch(&env, NULL, &error) == -1);
		CHILD(error.errnum == EINVAL);
		printf("%s: hint %d\n", env.order, error.hint);
		CHILD(error.hint == (types[i] == GONS_PID ? GONS_HINT_NONE
							  : GONS_HINT_THREADS));
	}
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
	need_filters();
	in_child(threaded_unseen, &t);
	target_stop(&t);
}

static int dumpable_then; /* while a namespace was being joined */

static void
look_if_dumpable(void)
{
	dumpable_then = prctl(PR_GET_DUMPABLE, 0, 0, 0, 0);
}

/* Nobody may trace it from the first join on, and who could before may again. */
static void
guarded_body(void *arg)
{
	struct target *t = arg;
	struct gons_env env;
	struct gons_error error;
	int before, i;
	unsigned flags, joined;

	meddle(SYS_setns);
	for (i = 0; i < 8; i++) {
		before = (i & 1) != 0;
		flags = (i & 2) != 0 ? GONS__SWITCH_GUARD : 0;
		CHILD(prctl(PR_SET_DUMPABLE, before, 0, 0, 0) == 0);
		(void)gons_envparse(NULL, &env);
		env.path[GONS_NET] =
		    t->refs[(i & 4) != 0 ? GONS_NET : GONS_UTS];
		(void)meddled();
		meddle_then(1, look_if_dumpable);
		CHILD(gons__switch(&env, NULL, &error, flags, &joined) ==
		      ((i & 4) != 0 ? 0 : -1));
		CHILD(joined == ((i & 4) != 0 ? GONS_BIT(GONS_NET) : 0));
		CHILD(meddled() == 1);
		CHILD(dumpable_then == (before && flags == 0));
		CHILD(prctl(PR_GET_DUMPABLE, 0, 0, 0, 0) == before);
	}
}

ATF_TC_WITHOUT_HEAD(switch_guarded);
ATF_TC_BODY(switch_guarded, tc)
{
	struct target t;

	(void)tc;
	need_filters();
	sandbox(0);
	target_start(&t, CLONE_NEWNET, 0);
	in_child(guarded_body, &t);
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

/*
 * A thread that has moved, in a process whose main thread has not, or has
 * ended by then.
 */
struct hop {
	const struct target *away, *home;
	const struct rule *rules;
	size_t nrules;
	int main_ends;
};

static void *
hop(void *arg)
{
	const struct hop *h = arg;
	char pid[16];
	struct gons_env env;
	struct gons_error error;
	struct nsids before, now;

	if (h->nrules > 0)
		forbid(h->rules, h->nrules);
	ns_own(&before);
	(void)gons_envparse(NULL, &env);
	env.path[GONS_NET] = h->away->refs[GONS_NET];
	CHILD(gons_switch(&env, NULL, &error) == 0);
	ns_own(&now);
	CHILD(now.id[GONS_NET] == ns_id(h->away->refs[GONS_NET]));
	CHILD(now.id[GONS_NET] != before.id[GONS_NET]);
	/* a target that is where the main thread is, and this one is not */
	(void)gons_envparse(NULL, &env);
	(void)snprintf(pid, sizeof(pid), "%d", (int)h->home->pid);
	env.target = pid;
	CHILD(gons_switch(&env, NULL, &error) == 0);
	ns_own(&now);
	CHILD(memcmp(&now, &before, sizeof(now)) == 0);
	/* nothing differs any more */
	CHILD(gons_switch(&env, NULL, &error) == 0);
	_exit(0);
}

static void
hop_in_thread(void *arg)
{
	pthread_t thread;
	struct hop *h = arg;

	CHILD(pthread_create(&thread, NULL, hop, h) == 0);
	if (h->main_ends)
		pthread_exit(NULL);
	(void)pthread_join(thread, NULL);
}

ATF_TC_WITHOUT_HEAD(switch_own_is_the_threads);
ATF_TC_BODY(switch_own_is_the_threads, tc)
{
	/* as before Linux 6.11, and before 6.9 */
	static const struct rule rules[] = { PIDFD_IOCTLS,
		{ SYS_pidfd_open, 1, O_EXCL, O_EXCL, EINVAL } };
	struct target away, home;
	struct hop h;

	sandbox(CLONE_NEWNET);
	target_start(&away, CLONE_NEWNET, 0);
	target_start(&home, 0, 0);
	h.away = &away;
	h.home = &home;
	h.rules = rules;
	for (h.main_ends = 0; h.main_ends < 2; h.main_ends++)
		for (h.nrules = 0; h.nrules <= 2; h.nrules++)
			in_child(hop_in_thread, &h);
	target_stop(&away);
	target_stop(&home);
}

/* Which mount is it on? */
static uint64_t
mount_of(const char *path)
{
	unsigned char st[256] = { 0 };
	uint64_t id;

	CHILD(syscall(SYS_statx, AT_FDCWD, path, 0, 0x1000 /* MNT_ID */, st) ==
	      0);
	memcpy(&id, st + 144, sizeof(id));
	return id;
}

struct mounts {
	const struct target *target;
	uint64_t root, cwd; /* before */
	const char *order;
	int refused;
};

static void *
enter_mounts(void *arg)
{
	static const struct rule rule = { SYS_unshare, 0, CLONE_FS, CLONE_FS,
		EPERM };
	const struct mounts *m = arg;
	char pid[16];
	struct gons_env env;
	struct gons_error error;
	struct nsids before, now;

	ns_own(&before);
	(void)gons_envparse(NULL, &env);
	(void)snprintf(pid, sizeof(pid), "%d", (int)m->target->pid);
	env.target = pid;
	env.order = m->order;
	if (m->refused) {
		forbid(&rule, 1);
		CHILD(gons_switch(&env, NULL, &error) == -1);
		CHILD(error.errnum == EPERM && error.joined == 0);
		CHILD(error.stage == GONS_STAGE_JOIN);
		ns_own(&now);
		CHILD(memcmp(&now, &before, sizeof(now)) == 0);
		return NULL;
	}
	CHILD(gons_switch(&env, NULL, &error) == 0);
	ns_own(&now);
	CHILD(now.id[GONS_MNT] == ns_id(m->target->refs[GONS_MNT]));
	CHILD(now.id[GONS_NET] == ns_id(m->target->refs[GONS_NET]));
	CHILD(mount_of("/") != m->root);
	return NULL;
}

static void
enter_in_thread(void *arg)
{
	struct nsids before, now;
	struct mounts *m = arg;
	pthread_t thread;

	m->root = mount_of("/");
	m->cwd = mount_of(".");
	ns_own(&before);
	CHILD(pthread_create(&thread, NULL, enter_mounts, m) == 0);
	CHILD(pthread_join(thread, NULL) == 0);
	ns_own(&now);
	CHILD(memcmp(&now, &before, sizeof(now)) == 0);
	CHILD(mount_of("/") == m->root);
	CHILD(mount_of(".") == m->cwd);
}

/* Root and working directory of the other threads stay what they are. */
ATF_TC_WITHOUT_HEAD(switch_target_mounts);
ATF_TC_BODY(switch_target_mounts, tc)
{
	static const char *const orders[] = { NULL, "mnt,net", "net,mnt" };
	struct mounts m;
	struct target t;
	size_t i;

	sandbox(0);
	target_start(&t, CLONE_NEWNS | CLONE_NEWNET, 0);
	m.target = &t;
	for (i = 0; i < sizeof(orders) / sizeof(orders[0]); i++) {
		m.order = orders[i];
		for (m.refused = 0; m.refused < 2; m.refused++)
			in_child(enter_in_thread, &m);
	}
	target_stop(&t);
}

/* A structure that is all zero says nothing wrong. */
ATF_TC_WITHOUT_HEAD(zeroed_error);
ATF_TC_BODY(zeroed_error, tc)
{
	struct gons_error error;
	char text[64];

	memset(&error, 0, sizeof(error));
	ATF_CHECK_EQ(14, gons_error_format(&error, text, sizeof(text)));
	ATF_CHECK_STREQ("gons: no error", text);
}

ATF_TP_ADD_TCS(tp)
{
	ATF_TP_ADD_TC(tp, switch_arguments);
	ATF_TP_ADD_TC(tp, switch_target_order);
	ATF_TP_ADD_TC(tp, switch_newer_type);
	ATF_TP_ADD_TC(tp, switch_threads);
	ATF_TP_ADD_TC(tp, switch_guarded);
	ATF_TP_ADD_TC(tp, switch_one_thread);
	ATF_TP_ADD_TC(tp, pid_not_below);
	ATF_TP_ADD_TC(tp, no_leak);
	ATF_TP_ADD_TC(tp, switch_own_is_the_threads);
	ATF_TP_ADD_TC(tp, switch_target_mounts);
	ATF_TP_ADD_TC(tp, zeroed_error);
	return atf_no_error();
}
