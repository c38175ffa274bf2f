/*
 * SPDX-License-Identifier: BSD-2-Clause
 *
 * Copyright (c) 2026 The libgons developers
 *
 * Visits and the program around them: start-up, re-execution, the limits that
 * the program was started with, and what a visitor finds where it is.  Linked
 * as programs are, with the archive, static or with the shared library.
 */

#include <sys/ioctl.h>
#include <sys/mount.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>

#include <atf-c.h>

#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <gons.h>

#include "helpers.h"

#define SIOCGSKNS_ 0x894C /* SIOCGSKNS: the network namespace of a socket */
#define KIB ((size_t)1 << 10)
#define LITTLE (128 * KIB) /* of stack, with which programs still start */
#define UNTOUCHED 4711 /* a value that nobody stores */
/* When a forked process's main thread exits, musl keeps a lock. */
#ifdef __GLIBC__
#define CAN_LOSE_LEADER 1
#else
#define CAN_LOSE_LEADER 0
#endif

static struct gons_error error;

static const char *
text(void)
{
	static char buf[20000];

	(void)gons_error_format(&error, buf, sizeof(buf));
	return buf;
}

static int
see(void *arg)
{
	ns_own(arg);
	return 0;
}

static int
look_at_stack(void *arg)
{
	pthread_attr_t attr;
	size_t *size = arg;

	if (pthread_getattr_np(pthread_self(), &attr) != 0)
		return 1;
	(void)pthread_attr_getstacksize(&attr, size);
	return pthread_attr_destroy(&attr);
}

static uint64_t
ino_of(int fd)
{
	struct stat st;

	return fd != -1 && fstat(fd, &st) == 0 ? st.st_ino : 0;
}

/* In which network namespace is it?  Closes both. */
static uint64_t
net_of(int sock)
{
	int fd = ioctl(sock, SIOCGSKNS_);
	uint64_t ino = ino_of(fd);

	if (fd != -1)
		(void)close(fd);
	(void)close(sock);
	return ino;
}

/*
 * Actions.  Each writes one line.
 */

/* What all the functions do with the stack that there is. */
static int
tell_stack(void)
{
	struct gons_env env = { 0 };
	size_t size = 0;
	int fd, root;

	if (gons_visit(&env, NULL, look_at_stack, &size, NULL, &error) == -1)
		return fprintf(stderr, "%s\n", text()) > 0;
	if ((root = gons_root("/proc/self/ns/mnt", &error)) == -1)
		return fprintf(stderr, "%s\n", text()) > 0;
	if ((fd = gons_openat(root, "/proc/version", O_RDONLY)) == -1)
		return fprintf(stderr, "openat: %s\n", strerror(errno)) > 0;
	printf("%zu\n", size);
	(void)close(fd);
	return close(root);
}

/* Where a visit to VISIT_NET is, and where its action is. */
static int
tell_visit(void)
{
	const char *net = getenv("VISIT_NET");
	struct gons_env env = { 0 };
	struct nsids own, there;

	env.path[GONS_NET] = net;
	if (gons_visit(&env, NULL, see, &there, NULL, &error) == -1)
		return fprintf(stderr, "%s\n", text()) > 0;
	ns_own(&own);
	printf("%d %d\n", there.id[GONS_NET] == ns_id(net),
	    own.id[GONS_NET] == ns_id(net));
	return 0;
}

static const struct {
	const char *name;
	int (*function)(void);
} actions[] = { { "stack", tell_stack }, { "visit", tell_visit } };

__attribute__((constructor)) static void
prepare(void)
{
	size_t i;

	for (i = 0; i < sizeof(actions) / sizeof(actions[0]); i++)
		if (gons_reexec_register(
			actions[i].name, actions[i].function) == -1)
			abort();
	gons_reexec_check();
}

/* Runs it; the result is the request's, which lives on. */
static const char *
result(struct gons_reexec *req)
{
	size_t len;

	ATF_REQUIRE_EQ_MSG(
	    0, gons_reexec_run(req), "%s", gons_reexec_error(req));
	return gons_reexec_result(req, &len);
}

/* The namespace that is joined is the host's, which is not an own one. */
static void
need_own_mnt(void)
{
	int fd = gons_root("/proc/self/ns/mnt", &error);

	if (fd == -1 && errno == EPERM)
		atf_tc_skip("this user may not join the mount namespace");
	(void)close(fd);
}

/*
 * The program was started with a limit for its stack, which libc takes for the
 * usual size of threads' stacks.
 */
ATF_TC(stack_limit);
ATF_TC_HEAD(stack_limit, tc)
{
	atf_tc_set_md_var(tc, "descr",
	    "visits in programs with little stack, much, and no limit");
}
ATF_TC_BODY(stack_limit, tc)
{
	static const size_t limits[] = { LITTLE, 512 * KIB, 64 << 20,
		(size_t)-1 };
	struct gons_reexec *req;
	struct rlimit limit;
	size_t i, size;

	(void)tc;
	if (SANITIZER)
		atf_tc_skip("the sanitizer needs more stack");
	need_own_mnt();
	ATF_REQUIRE_EQ(0, getrlimit(RLIMIT_STACK, &limit));
	for (i = 0; i < sizeof(limits) / sizeof(limits[0]); i++) {
		limit.rlim_cur =
		    limits[i] == (size_t)-1 ? RLIM_INFINITY : limits[i];
		if (setrlimit(RLIMIT_STACK, &limit) == -1)
			continue; /* above the hard limit */
		ATF_REQUIRE((req = gons_reexec_new("stack")) != NULL);
		size = strtoul(result(req), NULL, 10);
		/* with what guards it, and what libc keeps there */
		ATF_CHECK_MSG(size >= 240 * KIB && size <= (8 << 20) + 64 * KIB,
		    "%zu bytes of stack where the limit is %zu", size,
		    limits[i]);
		gons_reexec_free(req);
	}
}

static void
check_refused(struct gons_reexec *req, int r, int *refused)
{
	const char *why = gons_reexec_error(req);

	if (r == -1 && errno == EPERM && why != NULL &&
	    strstr(why, "inside a visit") != NULL &&
	    gons_reexec_failure(req) == GONS_FAIL_START)
		++*refused;
}

static int
try_everything(void *arg)
{
	struct gons_reexec *req[2];
	int *refused = arg, i, r;

	for (i = 0; i < 2; i++) {
		if ((req[i] = gons_reexec_new("stack")) == NULL)
			return 1;
		if (gons_reexec_setflags(
			req[i], i == 0 ? 0 : GONS_REEXEC_PREPARED) == -1)
			return 2;
		r = gons_reexec_run(req[i]);
		check_refused(req[i], r, refused);
		r = gons_reexec_start(req[i]);
		check_refused(req[i], r, refused);
		gons_reexec_free(req[i]);
	}
	*refused += gons_reexec_prepare() == -1 && errno == EPERM;
	*refused += gons_multi_new(1) == NULL && errno == EPERM;
	return 0;
}

ATF_TC(reexec_inside);
ATF_TC_HEAD(reexec_inside, tc)
{
	atf_tc_set_md_var(tc, "descr",
	    "a visitor cannot re-execute the program, its host can");
}
ATF_TC_BODY(reexec_inside, tc)
{
	struct gons_env env = { 0 };
	struct gons_reexec *req;
	int refused = 0, round, value;

	(void)tc;
	need_own_mnt();
	/* also when there is a prepared process already */
	for (round = 0; round < 2; round++) {
		refused = 0;
		value = -1;
		ATF_CHECK_EQ_MSG(0,
		    gons_visit(
			&env, NULL, try_everything, &refused, &value, &error),
		    "%s", text());
		ATF_CHECK_EQ(0, value);
		ATF_CHECK_EQ(6, refused);
		ATF_CHECK_EQ(0, gons_reexec_prepare());
	}
	ATF_REQUIRE((req = gons_reexec_new("stack")) != NULL);
	ATF_CHECK_EQ(0, gons_reexec_setflags(req, GONS_REEXEC_PREPARED));
	ATF_CHECK(atoi(result(req)) > 0);
	gons_reexec_free(req);
	gons_reexec_unprepare();
}

ATF_TC(in_actions);
ATF_TC_HEAD(in_actions, tc)
{
	atf_tc_set_md_var(tc, "descr",
	    "actions make visits, in fresh children and in prepared ones");
}
ATF_TC_BODY(in_actions, tc)
{
	struct gons_reexec *req;
	struct target t;
	unsigned flags[] = { 0, GONS_REEXEC_PREPARED };
	int i;

	(void)tc;
	sandbox(0);
	target_start(&t, CLONE_NEWNET, 0);
	for (i = 0; i < 2; i++) {
		ATF_REQUIRE((req = gons_reexec_new("visit")) != NULL);
		ATF_CHECK_EQ(
		    0, gons_reexec_setenv(req, "VISIT_NET", t.refs[GONS_NET]));
		ATF_CHECK_EQ(0, gons_reexec_setflags(req, flags[i]));
		ATF_CHECK_STREQ("1 0\n", result(req));
		gons_reexec_free(req);
	}
	gons_reexec_unprepare();
	target_stop(&t);
}

/*
 * A visitor in a mount namespace in which there are names that the host does
 * not have.
 */
struct elsewhere {
	char net[64]; /* of a target: a reference from outside */
	uint64_t sock_there, root_there; /* by names that only they have */
	int failed; /* the line */
};

#define THERE "/tmp/only-there"
#define STEP(cond)                            \
	do {                                  \
		if (!(cond)) {                \
			e->failed = __LINE__; \
			return -1;            \
		}                             \
	} while (0)

static int
settle(void *arg)
{
	struct elsewhere *e = arg;
	int fd, root;

	STEP(mount(NULL, "/", NULL, MS_REC | MS_PRIVATE, NULL) == 0);
	STEP(mount("tmpfs", "/tmp", "tmpfs", 0, NULL) == 0);
	STEP((fd = open(THERE, O_CREAT | O_WRONLY | O_CLOEXEC, 0600)) != -1);
	(void)close(fd);
	STEP(mount(e->net, THERE, NULL, MS_BIND, NULL) == 0);
	STEP((fd = gons_socket(THERE, AF_INET, SOCK_DGRAM, 0, &error)) != -1);
	e->sock_there = net_of(fd);
	/* The thread's mount namespace, not that of its process. */
	root = gons_root("/proc/thread-self/ns/mnt", &error);
	STEP(root != -1);
	fd = gons_openat(root, THERE, O_PATH);
	(void)close(root);
	STEP(fd != -1);
	e->root_there = ino_of(fd);
	(void)close(fd);
	return 0;
}

ATF_TC(from_there);
ATF_TC_HEAD(from_there, tc)
{
	atf_tc_set_md_var(tc, "descr",
	    "gons_socket and gons_root in a visit start from where it is");
}
ATF_TC_BODY(from_there, tc)
{
	struct elsewhere e = { .failed = 0 };
	struct gons_env env = { 0 };
	struct nsids before;
	struct target t;
	int value = UNTOUCHED;

	(void)tc;
	sandbox(CLONE_NEWNS);
	target_start(&t, CLONE_NEWNS | CLONE_NEWNET, 0);
	ns_own(&before);
	(void)snprintf(e.net, sizeof(e.net), "%s", t.refs[GONS_NET]);
	env.path[GONS_MNT] = t.refs[GONS_MNT];
	ATF_CHECK_EQ_MSG(0, gons_visit(&env, NULL, settle, &e, &value, &error),
	    "%s", text());
	ATF_CHECK_EQ_MSG(0, value, "line %d: %s", e.failed, text());
	ATF_CHECK_EQ(ns_id(t.refs[GONS_NET]), e.sock_there);
	ATF_CHECK_EQ(ns_id(t.refs[GONS_NET]), e.root_there);
	ATF_CHECK_EQ(-1, access(THERE, F_OK));
	ATF_CHECK_EQ(-1, gons_socket(THERE, AF_INET, SOCK_DGRAM, 0, &error));
	ATF_CHECK_EQ(ENOENT, errno);
	CHECK_UNMOVED(&before);
	target_stop(&t);
}

/* Away, and home by the process itself as a target. */
struct journey {
	char away[64], home[32];
	const char *order;
	struct nsids there, after;
};

static int
go_and_return(void *arg)
{
	struct journey *j = arg;
	struct gons_env env = { 0 };

	env.target = j->away;
	env.order = "net,uts";
	if (gons_switch(&env, NULL, &error) == -1)
		return 1;
	ns_own(&j->there);
	env.target = j->home;
	env.order = j->order;
	if (gons_switch(&env, NULL, &error) == -1)
		return 2;
	ns_own(&j->after);
	return 0;
}

static void
there_and_home(const struct nsids *own, struct journey *j)
{
	static const char *const orders[] = { "uts,net", NULL };
	struct gons_env env = { 0 };
	int i, value = -1;

	for (i = 0; i < 2; i++) {
		j->order = orders[i];
		CHILD(gons_visit(
			  &env, NULL, go_and_return, j, &value, &error) == 0);
		if (value != 0)
			dprintf(2, "%s\n", text());
		CHILD(value == 0);
		CHILD(j->there.id[GONS_NET] != own->id[GONS_NET]);
		CHILD(j->there.id[GONS_UTS] != own->id[GONS_UTS]);
		CHILD(memcmp(&j->after, own, sizeof(*own)) == 0);
	}
}

static void *
alone(void *arg)
{
	struct journey *j = arg;
	struct nsids own;

	/* The main thread is no target any more, another of its threads is. */
	ns_own(&own);
	(void)snprintf(
	    j->home, sizeof(j->home), "%d", (int)syscall(SYS_gettid));
	there_and_home(&own, j);
	_exit(0);
}

static void
by_leader(void *arg)
{
	struct journey *j = arg;
	struct nsids own;

	ns_own(&own);
	(void)snprintf(j->home, sizeof(j->home), "%d", (int)getpid());
	there_and_home(&own, j);
}

static void
by_thread(void *arg)
{
	pthread_t thread;

	CHILD(pthread_create(&thread, NULL, alone, arg) == 0);
	pthread_exit(NULL);
}

/* Pidfds of threads: Linux 6.9. */
static int
has_thread_pidfds(void)
{
	int fd = (int)syscall(SYS_pidfd_open, getpid(), O_EXCL);

	if (fd != -1)
		(void)close(fd);
	return fd != -1;
}

ATF_TC(home_by_target);
ATF_TC_HEAD(home_by_target, tc)
{
	atf_tc_set_md_var(
	    tc, "descr", "home by a target: the process, or a thread of it");
}
ATF_TC_BODY(home_by_target, tc)
{
	static struct journey j; /* the main thread's stack ends with it */
	struct target t;

	(void)tc;
	sandbox(CLONE_NEWNET | CLONE_NEWUTS);
	target_start(&t, CLONE_NEWNET | CLONE_NEWUTS, 0);
	(void)snprintf(j.away, sizeof(j.away), "%d", (int)t.pid);
	in_child(by_leader, &j);
	if (CAN_LOSE_LEADER && has_thread_pidfds())
		in_child(by_thread, &j);
	target_stop(&t);
}

static void *
nothing(void *arg)
{
	return arg;
}

/* Older kernels make no threads then, newer ones do, in the present time. */
static void
after_time(void *arg)
{
	static const struct rule older[] = {
		{ SYS_clone3, -1, 0, 0, ENOSYS },
		{ SYS_clone, -1, 0, 0, EINVAL },
	};
	struct gons_env env = { 0 };
	struct nsids own, there;
	pthread_t thread;
	int errnum, r;

	CHILD(unshare(CLONE_NEWTIME) == 0);
	ns_own(&own);
	if (arg != NULL)
		forbid(older, sizeof(older) / sizeof(older[0]));
	if ((errnum = pthread_create(&thread, NULL, nothing, NULL)) == 0)
		(void)pthread_join(thread, NULL);
	r = gons_visit(&env, NULL, see, &there, NULL, &error);
	if (errnum == 0) {
		CHILD(r == 0);
		CHILD(there.id[GONS_TIME] == own.id[GONS_TIME]);
		return;
	}
	CHILD(r == -1 && error.stage == GONS_STAGE_VISIT);
	CHILD(error.hint == GONS_HINT_CHILD && error.value == GONS_TIME);
	CHILD(strstr(text(), "the kernel makes no threads after a time "
			     "namespace was joined") != NULL);
}

ATF_TC(after_time_namespace);
ATF_TC_HEAD(after_time_namespace, tc)
{
	atf_tc_set_md_var(tc, "descr",
	    "where only children get another time, a visit is in the "
	    "present one, or told why there is none");
}
ATF_TC_BODY(after_time_namespace, tc)
{
	static int older_kernel;

	(void)tc;
	if (THREAD_SANITIZER)
		atf_tc_skip("the sanitizer has a thread of its own");
	sandbox(0);
	if (ns_id("/proc/self/ns/time_for_children") == 0)
		atf_tc_skip("the kernel has no time namespaces");
	in_child(after_time, NULL);
	need_filters();
	in_child(after_time, &older_kernel);
}

ATF_TP_ADD_TCS(tp)
{
	ATF_TP_ADD_TC(tp, stack_limit);
	ATF_TP_ADD_TC(tp, reexec_inside);
	ATF_TP_ADD_TC(tp, in_actions);
	ATF_TP_ADD_TC(tp, from_there);
	ATF_TP_ADD_TC(tp, home_by_target);
	ATF_TP_ADD_TC(tp, after_time_namespace);
	return atf_no_error();
}
