/*
 * SPDX-License-Identifier: BSD-2-Clause
 *
 * Copyright (c) 2026 The libgons developers
 *
 * gons_visit(3), "The thread" and "Threads": one thread for each visit, what
 * it has of the caller, and many of them at once.
 */

#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/syscall.h>

#include <atf-c.h>

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <pthread.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <gons.h>

#include "helpers.h"
#include "internal.h"
#include "visits.h"

static int
leave(void *arg)
{
	calls++;
	pthread_exit(arg);
}

ATF_TC(value);
ATF_TC_HEAD(value, tc)
{
	atf_tc_set_md_var(tc, "descr",
	    "the value is stored, unless the function leaves by pthread_exit");
}
ATF_TC_BODY(value, tc)
{
	struct gons_env env;
	struct nsids ids;
	int v = UNTOUCHED;

	(void)tc;
	memset(&env, 0, sizeof(env));
	errno = E2BIG;
	ATF_CHECK_EQ(0, gons_visit(&env, NULL, see, &ids, &v, &failure));
	ATF_CHECK_EQ(E2BIG, errno);
	ATF_CHECK_EQ(7, v);
	ATF_CHECK_EQ(0, gons_visit(&env, NULL, see, &ids, NULL, NULL));
	v = UNTOUCHED;
	calls = 0;
	ATF_CHECK_EQ(0, gons_visit(&env, NULL, leave, &v, &v, &failure));
	ATF_CHECK_EQ(1, calls);
	ATF_CHECK_EQ(UNTOUCHED, v);
}

struct thread_facts {
	char name[17];
	int cancel;
	size_t stack;
	sigset_t blocked;
	uint64_t kernel_mask;
	pid_t tid;
	int visiting;
};

static uint64_t
kernel_mask(void)
{
	char line[256];
	unsigned long long mask = 0;
	FILE *f = fopen("/proc/thread-self/status", "re");

	while (f != NULL && fgets(line, sizeof(line), f) != NULL)
		if (sscanf(line, "SigBlk: %llx", &mask) == 1)
			break;
	if (f != NULL)
		fclose(f);
	return mask;
}

static int
gather(void *arg)
{
	struct thread_facts *f = arg;
	pthread_attr_t attr;

	(void)prctl(PR_GET_NAME, f->name);
	(void)pthread_setcancelstate(PTHREAD_CANCEL_DISABLE, &f->cancel);
	(void)pthread_sigmask(SIG_BLOCK, NULL, &f->blocked);
	f->kernel_mask = kernel_mask();
	f->tid = (pid_t)syscall(SYS_gettid);
	f->visiting = gons__in_visit();
	if (pthread_getattr_np(pthread_self(), &attr) == 0) {
		(void)pthread_attr_getstacksize(&attr, &f->stack);
		(void)pthread_attr_destroy(&attr);
	}
	return 0;
}

ATF_TC(thread);
ATF_TC_HEAD(thread, tc)
{
	atf_tc_set_md_var(
	    tc, "descr", "name, stack, signals and cancellation of the thread");
}
ATF_TC_BODY(thread, tc)
{
	static const int open_[] = { SIGSEGV, SIGBUS, SIGFPE, SIGILL, SIGTRAP,
		SIGSYS, SIGABRT };
	struct thread_facts f;
	struct gons_env env;
	sigset_t mine;
	size_t i;
	int sig;

	(void)tc;
	memset(&env, 0, sizeof(env));
	/* what the caller blocks is of no account */
	(void)sigemptyset(&mine);
	(void)sigaddset(&mine, SIGSEGV);
	(void)sigaddset(&mine, SIGUSR2);
	ATF_REQUIRE_EQ(0, pthread_sigmask(SIG_BLOCK, &mine, NULL));
	go(&env, gather, &f);
	ATF_CHECK_STREQ("gons-visit", f.name);
	ATF_CHECK_EQ(PTHREAD_CANCEL_DISABLE, f.cancel);
	ATF_CHECK_EQ(1, f.visiting);
	ATF_CHECK_EQ(0, gons__in_visit());
	for (sig = 1; sig < 32; sig++) {
		int blocked = sig != SIGKILL && sig != SIGSTOP;

		for (i = 0; i < sizeof(open_) / sizeof(open_[0]); i++)
			if (open_[i] == sig)
				blocked = 0;
		ATF_CHECK_EQ_MSG((uint64_t)blocked,
		    f.kernel_mask >> (sig - 1) & 1, "signal %d", sig);
	}
	/* libc's own are not, the other real-time signals are */
	ATF_CHECK_EQ(0, f.kernel_mask >> 31 & 3);
	for (sig = SIGRTMIN; sig <= SIGRTMAX; sig++)
		ATF_CHECK_EQ(1, f.kernel_mask >> (sig - 1) & 1);
	ATF_CHECK_EQ(-1, (int)syscall(SYS_tgkill, getpid(), f.tid, 0));
	ATF_CHECK_EQ(ESRCH, errno);
}

ATF_TC(stack);
ATF_TC_HEAD(stack, tc)
{
	atf_tc_set_md_var(tc, "descr",
	    "the stack is between 256 KiB and 8 MiB, whatever the default");
}
ATF_TC_BODY(stack, tc)
{
	static const size_t sizes[][2] = {
		{ 64 << 10, 256 << 10 },
		{ 1 << 20, 1 << 20 },
		{ 64 << 20, 8 << 20 },
	};
	struct thread_facts f;
	struct gons_env env;
	pthread_attr_t attr;
	size_t i;

	(void)tc;
	if (THREAD_SANITIZER)
		atf_tc_skip("the sanitizer has much of its own in each stack");
	memset(&env, 0, sizeof(env));
	for (i = 0; i < 3; i++) {
		ATF_REQUIRE_EQ(0, pthread_attr_init(&attr));
		ATF_REQUIRE_EQ(
		    0, pthread_attr_setstacksize(&attr, sizes[i][0]));
		ATF_REQUIRE_EQ(0, pthread_setattr_default_np(&attr));
		go(&env, gather, &f);
		/* with what guards it, and what libc keeps there */
		ATF_CHECK_MSG(f.stack >= sizes[i][1] - (16 << 10) &&
				  f.stack <= sizes[i][1] + (64 << 10),
		    "%zu bytes of stack", f.stack);
	}
}

/* Right after a visit the process has one thread, as the kernel counts them. */
ATF_TC(gone);
ATF_TC_HEAD(gone, tc)
{
	atf_tc_set_md_var(
	    tc, "descr", "afterwards the thread is gone from the process");
}
ATF_TC_BODY(gone, tc)
{
	struct thread_facts f;
	struct gons_env env;
	struct target t;
	int i, left = 0, several = 0;

	(void)tc;
	if (THREAD_SANITIZER)
		atf_tc_skip("the sanitizer has a thread of its own");
	sandbox(0);
	target_start(&t, CLONE_NEWUSER, 0);
	memset(&env, 0, sizeof(env));
	for (i = 0; i < ROUNDS; i++) {
		go(&env, gather, &f);
		left += syscall(SYS_tgkill, getpid(), f.tid, 0) != -1;
		several += unshare(CLONE_THREAD) == -1;
	}
	ATF_CHECK_EQ_MSG(0, left, "%d are left", left);
	ATF_CHECK_EQ_MSG(0, several, "%d times several threads", several);
	memset(&env, 0, sizeof(env));
	env.path[GONS_USER] = t.refs[GONS_USER];
	ATF_CHECK_EQ_MSG(0, gons_switch(&env, NULL, &failure), "%s", text());
	target_stop(&t);
}

#define NTHREADS 8

struct crowd {
	struct target *t;
	int wrong;
};

static void *
visit_often(void *arg)
{
	struct crowd *c = arg;
	struct gons_error e;
	struct gons_env env;
	struct nsids ids;
	uint64_t net = ns_id(c->t->refs[GONS_NET]);
	int i;

	memset(&env, 0, sizeof(env));
	env.path[GONS_NET] = c->t->refs[GONS_NET];
	for (i = 0; i < ROUNDS / 20; i++) {
		memset(&ids, 0, sizeof(ids));
		if (gons_visit(&env, NULL, see, &ids, NULL, &e) != 0 ||
		    ids.id[GONS_NET] != net)
			c->wrong++;
	}
	return NULL;
}

ATF_TC(crowd);
ATF_TC_HEAD(crowd, tc)
{
	atf_tc_set_md_var(tc, "descr", "visits from many threads at once");
}
ATF_TC_BODY(crowd, tc)
{
	struct crowd c[NTHREADS];
	pthread_t thread[NTHREADS];
	struct target t[2];
	struct scene before;
	int i;

	(void)tc;
	sandbox(0);
	for (i = 0; i < 2; i++)
		target_start(&t[i], CLONE_NEWNET, 0);
	look_around(&before);
	for (i = 0; i < NTHREADS; i++) {
		c[i].t = &t[i % 2];
		c[i].wrong = 0;
		ATF_REQUIRE_EQ(
		    0, pthread_create(&thread[i], NULL, visit_often, &c[i]));
	}
	for (i = 0; i < NTHREADS; i++) {
		ATF_REQUIRE_EQ(0, pthread_join(thread[i], NULL));
		ATF_CHECK_EQ(0, c[i].wrong);
	}
	check_scene(&before);
	for (i = 0; i < 2; i++)
		target_stop(&t[i]);
}

static void *
be_cancelled(void *arg)
{
	struct gons_env env;
	int *done = arg;

	memset(&env, 0, sizeof(env));
	(void)pthread_cancel(pthread_self());
	if (gons_visit(&env, NULL, count_call, NULL, NULL, NULL) == 0 &&
	    gons_socket("/no/such/file", AF_INET, SOCK_STREAM, 0, NULL) == -1)
		*done = 1;
	pthread_testcancel();
	*done = 2;
	return NULL;
}

ATF_TC(cancelled);
ATF_TC_HEAD(cancelled, tc)
{
	atf_tc_set_md_var(tc, "descr", "no function is a cancellation point");
}
ATF_TC_BODY(cancelled, tc)
{
	pthread_t thread;
	void *result;
	int done = 0;

	(void)tc;
	calls = 0;
	ATF_REQUIRE_EQ(0, pthread_create(&thread, NULL, be_cancelled, &done));
	ATF_REQUIRE_EQ(0, pthread_join(thread, &result));
	ATF_CHECK_EQ(PTHREAD_CANCELED, result);
	ATF_CHECK_EQ(1, done);
	ATF_CHECK_EQ(1, calls);
}

static int pipes[2][2]; /* to the visitor, and from it */

static int
wait_there(void *arg)
{
	char c = 'x';

	(void)arg;
	if (write(pipes[1][1], &c, 1) != 1)
		return 1;
	return read(pipes[0][0], &c, 1) == 1 ? 0 : 1;
}

static void *
visit_and_wait(void *arg)
{
	struct gons_env env;
	int value = 1;

	memset(&env, 0, sizeof(env));
	if (gons_visit(&env, NULL, wait_there, arg, &value, NULL) == -1)
		value = 2;
	return (void *)(intptr_t)value;
}

/* A host that changes its ids waits for all its threads. */
ATF_TC(setuid);
ATF_TC_HEAD(setuid, tc)
{
	atf_tc_set_md_var(
	    tc, "descr", "the host calls setuid(2) while a visit goes on");
	atf_tc_set_md_var(tc, "timeout", "60");
}
ATF_TC_BODY(setuid, tc)
{
	pthread_t thread;
	void *result;
	char c = 'x';

	(void)tc;
	ATF_REQUIRE(pipe(pipes[0]) == 0 && pipe(pipes[1]) == 0);
	ATF_REQUIRE_EQ(0, pthread_create(&thread, NULL, visit_and_wait, NULL));
	ATF_REQUIRE_EQ(1, read(pipes[1][0], &c, 1));
	ATF_CHECK_EQ(0, setuid(getuid()));
	ATF_CHECK_EQ(0, setgid(getgid()));
	ATF_REQUIRE_EQ(1, write(pipes[0][1], &c, 1));
	ATF_REQUIRE_EQ(0, pthread_join(thread, &result));
	ATF_CHECK_EQ(NULL, result);
}

struct hop {
	struct target t[3];
	char home[NTYPES][32];
	struct nsids own;
	int failed; /* the line */
};

#define HOP(cond)                             \
	do {                                  \
		if (!(cond)) {                \
			h->failed = __LINE__; \
			return 1;             \
		}                             \
	} while (0)

static int
hop_around(void *arg)
{
	struct hop *h = arg;
	struct gons_error e;
	struct gons_env env;
	struct nsids ids;
	char ref[32];
	int i, k;

	for (k = 0; k < 3; k++)
		for (i = 0; i < 3; i++) {
			memset(&env, 0, sizeof(env));
			env.path[GONS_NET] = h->t[i].refs[GONS_NET];
			env.path[GONS_MNT] = h->t[i].refs[GONS_MNT];
			HOP(gons_switch(&env, NULL, &e) == 0);
			ns_own(&ids);
			HOP(ids.id[GONS_NET] == ns_id(h->t[i].refs[GONS_NET]));
			HOP(ids.id[GONS_MNT] == ns_id(h->t[i].refs[GONS_MNT]));
			HOP(ids.id[GONS_UTS] == h->own.id[GONS_UTS]);
		}
	for (i = 0; i < 3; i++) {
		memset(&env, 0, sizeof(env));
		(void)snprintf(ref, sizeof(ref), "%d", (int)h->t[i].pid);
		env.target = ref;
		env.order = "net,mnt,uts";
		HOP(gons_switch(&env, NULL, &e) == 0);
		ns_own(&ids);
		HOP(ids.id[GONS_NET] == ns_id(h->t[i].refs[GONS_NET]));
		HOP(ids.id[GONS_MNT] == ns_id(h->t[i].refs[GONS_MNT]));
		HOP(ids.id[GONS_UTS] == ns_id(h->t[i].refs[GONS_UTS]));
	}
	memset(&env, 0, sizeof(env));
	env.path[GONS_NET] = h->home[GONS_NET];
	env.path[GONS_MNT] = h->home[GONS_MNT];
	env.path[GONS_UTS] = h->home[GONS_UTS];
	HOP(gons_switch(&env, NULL, &e) == 0);
	ns_own(&ids);
	HOP(memcmp(&ids, &h->own, sizeof(ids)) == 0);
	/* again somewhere else, and a failure in between changes nothing */
	env.path[GONS_NET] = "/no/such/file";
	HOP(gons_switch(&env, NULL, &e) == -1 && e.errnum == ENOENT);
	return 0;
}

static void
hop_set_up(struct hop *h)
{
	char path[64];
	int i, fd;

	sandbox(CLONE_NEWNET | CLONE_NEWNS | CLONE_NEWUTS);
	h->failed = 0;
	for (i = 0; i < 3; i++)
		target_start(
		    &h->t[i], CLONE_NEWNET | CLONE_NEWNS | CLONE_NEWUTS, 0);
	ns_own(&h->own);
	for (i = 0; i < NTYPES; i++) {
		(void)snprintf(
		    path, sizeof(path), "/proc/self/ns/%s", ns_types[i].name);
		fd = open(path, O_RDONLY | O_CLOEXEC);
		(void)snprintf(h->home[i], sizeof(h->home[i]), "fd:%d", fd);
	}
}

ATF_TC(hops);
ATF_TC_HEAD(hops, tc)
{
	atf_tc_set_md_var(
	    tc, "descr", "gons_switch goes on from one to the next, and home");
}
ATF_TC_BODY(hops, tc)
{
	struct gons_env env;
	struct scene before;
	struct hop h;
	int i, value = 1;

	(void)tc;
	hop_set_up(&h);
	look_around(&before);
	memset(&env, 0, sizeof(env));
	ATF_CHECK_EQ(
	    0, gons_visit(&env, NULL, hop_around, &h, &value, &failure));
	ATF_CHECK_EQ_MSG(0, value, "line %d", h.failed);
	check_scene(&before);
	for (i = 0; i < 3; i++)
		target_stop(&h.t[i]);
}

static void *
hop_without_leader(void *arg)
{
	struct hop *h = arg;
	struct pollfd p = { -1, 0, 0 };
	struct gons_env env;
	char path[64], state = '?';
	int value = 1;
	FILE *f;

	/* until the main thread is a zombie */
	(void)snprintf(path, sizeof(path), "/proc/%d/stat", (int)getpid());
	while (state != 'Z') {
		CHILD((f = fopen(path, "re")) != NULL);
		CHILD(fscanf(f, "%*d %*s %c", &state) == 1);
		fclose(f);
		(void)poll(&p, 0, 1);
	}
	memset(&env, 0, sizeof(env));
	CHILD(gons_visit(&env, NULL, hop_around, h, &value, &failure) == 0);
	if (value != 0)
		dprintf(2, "line %d\n", h->failed);
	_exit(value);
}

static void
leader_exits(void *arg)
{
	pthread_t thread;

	CHILD(pthread_create(&thread, NULL, hop_without_leader, arg) == 0);
	pthread_exit(NULL);
}

ATF_TC(no_leader);
ATF_TC_HEAD(no_leader, tc)
{
	atf_tc_set_md_var(tc, "descr", "the main thread has exited");
	atf_tc_set_md_var(tc, "timeout", "60");
}
ATF_TC_BODY(no_leader, tc)
{
	static struct hop h; /* the main thread's stack ends with it */
	int i;

	(void)tc;
#ifndef __GLIBC__
	atf_tc_skip("when the main thread of a forked process exits, musl "
		    "keeps the list of threads locked");
#endif
	hop_set_up(&h);
	in_child(leader_exits, &h);
	for (i = 0; i < 3; i++)
		target_stop(&h.t[i]);
}

struct nested {
	const char *uts;
	struct nsids outer, inner, after;
	int visiting, inner_visiting;
};

static int
visit_again(void *arg)
{
	struct nested *n = arg;
	struct gons_error e;
	struct gons_env env;
	int r;

	ns_own(&n->outer);
	n->visiting = gons__in_visit();
	memset(&env, 0, sizeof(env));
	env.path[GONS_UTS] = n->uts;
	r = gons_visit(&env, NULL, see, &n->inner, NULL, &e);
	ns_own(&n->after);
	return r;
}

ATF_TC(nested);
ATF_TC_HEAD(nested, tc)
{
	atf_tc_set_md_var(
	    tc, "descr", "a visit in a visit starts from where the visitor is");
}
ATF_TC_BODY(nested, tc)
{
	struct gons_env env;
	struct nested n;
	struct target t;
	int value = 1;

	(void)tc;
	sandbox(0);
	target_start(&t, CLONE_NEWNET | CLONE_NEWUTS, 0);
	memset(&env, 0, sizeof(env));
	env.path[GONS_NET] = t.refs[GONS_NET];
	n.uts = t.refs[GONS_UTS];
	ATF_CHECK_EQ(
	    0, gons_visit(&env, NULL, visit_again, &n, &value, &failure));
	ATF_CHECK_EQ(0, value);
	ATF_CHECK_EQ(1, n.visiting);
	ATF_CHECK_EQ(ns_id(t.refs[GONS_NET]), n.inner.id[GONS_NET]);
	ATF_CHECK_EQ(ns_id(t.refs[GONS_UTS]), n.inner.id[GONS_UTS]);
	ATF_CHECK_EQ(0, memcmp(&n.outer, &n.after, sizeof(n.after)));
	target_stop(&t);
}

ATF_TP_ADD_TCS(tp)
{
	ATF_TP_ADD_TC(tp, value);
	ATF_TP_ADD_TC(tp, thread);
	ATF_TP_ADD_TC(tp, stack);
	ATF_TP_ADD_TC(tp, gone);
	ATF_TP_ADD_TC(tp, crowd);
	ATF_TP_ADD_TC(tp, cancelled);
	ATF_TP_ADD_TC(tp, setuid);
	ATF_TP_ADD_TC(tp, hops);
	ATF_TP_ADD_TC(tp, no_leader);
	ATF_TP_ADD_TC(tp, nested);
	return atf_no_error();
}
