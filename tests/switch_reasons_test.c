/*
 * SPDX-License-Identifier: BSD-2-Clause
 *
 * Copyright (c) 2026 The libgons developers
 *
 * switch.o: why the kernel refused.
 */

#include <linux/capability.h>

#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>

#include <atf-c.h>

#include <errno.h>
#include <fcntl.h>
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <gons.h>

#include "helpers.h"
#include "sw.h"

ATF_TC_WITHOUT_HEAD(other_type);
ATF_TC_BODY(other_type, tc)
{
	char text[128];
	struct program *r;
	int is, set;

	for (set = 0; set < NTYPES; set++)
		for (is = 0; is < NTYPES; is++) {
			if (is == set)
				continue;
			r = run_new();
			run_env(r, "gons_%s=/proc/self/ns/%s",
			    ns_types[set].name, ns_types[is].name);
			(void)snprintf(text, sizeof(text),
			    "gons: cannot join gons_%s using reference "
			    "\"/proc/self/ns/%s\": Invalid argument "
			    "(it is a%s %s namespace)",
			    ns_types[set].name, ns_types[is].name,
			    is == GONS_IPC ? "n" : "", ns_types[is].name);
			FAILS(r, GONS_STAGE_JOIN, EINVAL, set,
			    GONS_HINT_OTHERTYPE, text);
			ATF_CHECK_EQ(is, (int)run_number(r, "value"));
		}
}

ATF_TC_WITHOUT_HEAD(same_user);
ATF_TC_BODY(same_user, tc)
{
	struct program *r = run_new();

	run_env(r, "gons_user=/proc/self/ns/user");
	FAILS(r, GONS_STAGE_JOIN, EINVAL, GONS_USER, GONS_HINT_SAME,
	    "(already in that user namespace)");
}

/* An ordinary user in the initial namespaces. */
ATF_TC_WITHOUT_HEAD(denied_owner);
ATF_TC_BODY(denied_owner, tc)
{
	struct program *r;
	int type;

	need_nobody();
	for (type = 0; type < NTYPES; type++) {
		if (type == GONS_USER)
			continue;
		r = run_new();
		r->as_nobody = 1;
		run_env(r, "gons_%s=/proc/self/ns/%s", ns_types[type].name,
		    ns_types[type].name);
		FAILS(r, GONS_STAGE_JOIN, EPERM, type, GONS_HINT_OWNER,
		    "(no CAP_SYS_ADMIN in the user namespace that owns it)");
	}
}

/* Namespaces of a neighbour, from within a user namespace. */
ATF_TC_WITHOUT_HEAD(denied_neighbour);
ATF_TC_BODY(denied_neighbour, tc)
{
	struct target t;
	struct program *r;
	int fd[NTYPES], type;

	need_userns();
	target_start(&t, ALL_FLAGS, 0);
	for (type = 0; type < NTYPES; type++)
		fd[type] = open_ref(t.refs[type]);
	sandbox(0);
	for (type = 0; type < NTYPES; type++) {
		r = run_new();
		r->keep[0] = fd[type];
		run_env(r, "gons_%s=fd:%d", ns_types[type].name, fd[type]);
		/* of two reasons the kernel looks at this one first */
		if (type == GONS_PID)
			FAILS(r, GONS_STAGE_JOIN, EPERM, type, GONS_HINT_OWNER,
			    "no CAP_SYS_ADMIN in the user namespace");
		else
			FAILS(r, GONS_STAGE_JOIN, EPERM, type, GONS_HINT_OWNER,
			    type == GONS_USER
				? "no CAP_SYS_ADMIN in that user namespace"
				: "no CAP_SYS_ADMIN in the user namespace that "
				  "owns it");
	}
	target_stop(&t);
}

/* Who owns the user namespace has to enter it, to be allowed the others. */
ATF_TC_WITHOUT_HEAD(denied_self);
ATF_TC_BODY(denied_self, tc)
{
	struct target t;
	struct program *r;
	int type;

	need_nobody();
	target_start(&t, ALL_FLAGS, TARGET_NOBODY);
	for (type = 0; type < NTYPES; type++) {
		r = run_new();
		r->as_nobody = 1;
		set_refs(r, GONS_BIT(type), &t);
		if (type == GONS_USER)
			JOINED(r, GONS_BIT(type), &t);
		else
			FAILS(r, GONS_STAGE_JOIN, EPERM, type, GONS_HINT_SELF,
			    "(no CAP_SYS_ADMIN in the own user namespace)");
	}
	target_stop(&t);
}

/* With capabilities taken away one by one. */
ATF_TC_WITHOUT_HEAD(denied_capability);
ATF_TC_BODY(denied_capability, tc)
{
	struct target t;
	struct program *r;

	sandbox(0);
	target_start(&t, CLONE_NEWNET | CLONE_NEWNS, 0);
	r = run_new();
	r->drop_cap = CAP_SYS_CHROOT + 1;
	set_refs(r, GONS_BIT(GONS_MNT), &t);
	FAILS(r, GONS_STAGE_JOIN, EPERM, GONS_MNT, GONS_HINT_CHROOT,
	    "(no CAP_SYS_CHROOT in the own user namespace)");
	r = run_new();
	r->drop_cap = CAP_SYS_CHROOT + 1;
	set_refs(r, GONS_BIT(GONS_NET), &t);
	JOINED(r, GONS_BIT(GONS_NET), &t);
	r = run_new();
	r->drop_cap = CAP_SYS_ADMIN + 1;
	set_refs(r, GONS_BIT(GONS_NET), &t);
	FAILS(r, GONS_STAGE_JOIN, EPERM, GONS_NET, GONS_HINT_OWNER,
	    "(no CAP_SYS_ADMIN in the user namespace that owns it)");
	target_stop(&t);
	/* a capability where it is, but not here: owned by our child */
	target_start(&t, USERNET, 0);
	r = run_new();
	r->drop_cap = CAP_SYS_ADMIN + 1;
	set_refs(r, GONS_BIT(GONS_NET), &t);
	FAILS(r, GONS_STAGE_JOIN, EPERM, GONS_NET, GONS_HINT_SELF,
	    "(no CAP_SYS_ADMIN in the own user namespace)");
	target_stop(&t);
}

/* The reason is not known: no hint is better than a wrong one. */
ATF_TC_WITHOUT_HEAD(denied_unknown);
ATF_TC_BODY(denied_unknown, tc)
{
	struct target t;
	struct program *r;
	static const int errnums[] = { EPERM, EINVAL, EUSERS, ENOMEM, EIO };
	size_t i;

	sandbox(0);
	target_start(&t, CLONE_NEWNET, 0);
	for (i = 0; i < sizeof(errnums) / sizeof(errnums[0]); i++) {
		r = run_new();
		r->rules[0] = (struct rule){ SYS_setns, -1, 0, 0, errnums[i] };
		r->nrules = 1;
		set_refs(r, GONS_BIT(GONS_NET), &t);
		FAILS(r, GONS_STAGE_JOIN, errnums[i], GONS_NET, GONS_HINT_NONE,
		    NULL);
		ATF_CHECK(strchr(run_value(r, "status"), '(') == NULL);
	}
	target_stop(&t);
}

/* Owned two user namespaces below, by who made the one between. */
ATF_TC_WITHOUT_HEAD(denied_deep);
ATF_TC_BODY(denied_deep, tc)
{
	int life[2], report[2];
	struct target t;
	struct program *r;
	pid_t child, pid;
	char c;

	sandbox(0);
	ATF_REQUIRE(pipe(life) == 0 && pipe(report) == 0);
	ATF_REQUIRE((child = fork()) != -1);
	if (child == 0) {
		close(life[1]);
		sandbox(0);
		target_start(&t, USERNET, 0);
		CHILD(write(report[1], &t.pid, sizeof(t.pid)) == sizeof(t.pid));
		(void)!read(life[0], &c, 1);
		target_stop(&t);
		_exit(0);
	}
	close(report[1]);
	ATF_REQUIRE_EQ(sizeof(pid), read(report[0], &pid, sizeof(pid)));
	r = run_new();
	r->drop_cap = CAP_SYS_ADMIN + 1;
	run_env(r, "gons_net=/proc/%d/ns/net", (int)pid);
	FAILS(r, GONS_STAGE_JOIN, EPERM, GONS_NET, GONS_HINT_SELF,
	    "(no CAP_SYS_ADMIN in the own user namespace)");
	close(life[1]);
	ATF_REQUIRE_EQ(child, waitpid(child, NULL, 0));
}

/* Old kernels, and other people's filters, do not answer what would tell. */
ATF_TC_WITHOUT_HEAD(no_answer);
ATF_TC_BODY(no_answer, tc)
{
	static const struct {
		struct rule rule;
		const char *ref; /* of the target */
		int errnum, hint;
	} table[] = {
		{ { SYS_ioctl, 1, 0xffff, 0xb703 /* NSTYPE */, ENOTTY }, "uts",
		    EINVAL, GONS_HINT_OTHERTYPE /* its name tells, too */ },
		{ { SYS_ioctl, -1, 0, 0, EPERM }, "uts", EINVAL,
		    GONS_HINT_OTHERTYPE },
		{ { SYS_ioctl, -1, 0, 0, EPERM }, "net", EPERM,
		    GONS_HINT_NONE },
		{ { SYS_ioctl, 1, 0xffff, 0xb701 /* USERNS */, ENOTTY }, "net",
		    EPERM, GONS_HINT_NONE },
		{ { SYS_ioctl, 1, 0xffff, 0xb702 /* PARENT */, ENOTTY }, "net",
		    EPERM, GONS_HINT_NONE },
		{ { SYS_ioctl, 1, 0xffff, 0xb704 /* OWNER_UID */, ENOTTY },
		    "net", EPERM, GONS_HINT_NONE },
		{ { SYS_capget, -1, 0, 0, ENOSYS }, "net", EPERM,
		    GONS_HINT_NONE },
	};
	struct target t;
	struct program *r;
	size_t i;

	sandbox(0);
	target_start(&t, USERNET | CLONE_NEWUTS, 0);
	for (i = 0; i < sizeof(table) / sizeof(table[0]); i++) {
		r = run_new();
		r->rules[0] = table[i].rule;
		r->nrules = 1;
		if (table[i].errnum == EPERM)
			r->drop_cap = CAP_SYS_ADMIN + 1;
		run_env(r, "gons_net=/proc/%d/ns/%s", (int)t.pid, table[i].ref);
		FAILS(r, GONS_STAGE_JOIN, table[i].errnum, GONS_NET,
		    table[i].hint, strerror(table[i].errnum));
	}
	target_stop(&t);
}

static void
fail_one(void)
{
	meddle_fail(ENOMEM, 1);
}

/* Without the capability; each question to the kernel fails in its turn. */
static void
ask_in_vain(void *arg)
{
	struct __user_cap_header_struct head = { _LINUX_CAPABILITY_VERSION_3,
		0 };
	struct __user_cap_data_struct none[2];
	struct gons_env env;
	struct gons_error error;
	int asked, known = 0, nth = 0;

	memset(none, 0, sizeof(none));
	CHILD(syscall(SYS_capset, &head, none) == 0);
	(void)gons_envparse(NULL, &env);
	env.path[GONS_NET] = arg;
	meddle(SYS_ioctl);
	do {
		(void)meddled();
		meddle_then(++nth, fail_one);
		CHILD(gons_switch(&env, NULL, &error) == -1);
		asked = meddled();
		CHILD(error.errnum == EPERM);
		if (nth <= asked && error.hint == GONS_HINT_NONE)
			continue;
		CHILD(error.hint == GONS_HINT_SELF);
		if (nth <= asked)
			known = nth;
	} while (nth <= asked);
	/*
	 * Without the answer to any of the last four nothing is known: who owns
	 * it, who is the parent of that, who has made it, and whether the
	 * parent, having none to be seen, is the own one.
	 */
	CHILD(asked >= 5 && known <= asked - 4);
}

ATF_TC_WITHOUT_HEAD(unanswered);
ATF_TC_BODY(unanswered, tc)
{
	char ref[32];
	struct target t;

	(void)tc;
	need_filters();
	sandbox(0);
	target_start(&t, USERNET, 0);
	(void)snprintf(ref, sizeof(ref), "fd:%d", open_ref(t.refs[GONS_NET]));
	in_child(ask_in_vain, ref);
	target_stop(&t);
}

ATF_TC_WITHOUT_HEAD(limits);
ATF_TC_BODY(limits, tc)
{
	char path[64], text[128], limit[32] = "";
	struct program *r;
	int fd, type;
	ssize_t n;

	for (type = 0; type < NTYPES; type++) {
		(void)snprintf(path, sizeof(path),
		    "/proc/sys/user/max_%s_namespaces", ns_types[type].name);
		fd = open_ref(path);
		ATF_REQUIRE((n = read(fd, limit, sizeof(limit) - 1)) > 1);
		limit[n - 1] = '\0';
		close(fd);
		r = run_new();
		r->rules[0] = (struct rule){ SYS_setns, -1, 0, 0, ENOSPC };
		r->nrules = 1;
		run_env(r, "gons_%s=/proc/self/ns/%s", ns_types[type].name,
		    ns_types[type].name);
		(void)snprintf(text, sizeof(text),
		    "No space left on device (%s is %s)", path, limit);
		FAILS(r, GONS_STAGE_JOIN, ENOSPC, type, GONS_HINT_LIMIT, text);
		ATF_CHECK_STREQ(limit, run_value(r, "value"));
	}
}

ATF_TC_WITHOUT_HEAD(no_setns);
ATF_TC_BODY(no_setns, tc)
{
	struct program *r = run_new();

	r->rules[0] = (struct rule){ SYS_setns, -1, 0, 0, ENOSYS };
	r->nrules = 1;
	run_env(r, "gons_net=/proc/self/ns/net");
	FAILS(r, GONS_STAGE_JOIN, ENOSYS, GONS_NET, GONS_HINT_KERNEL, "kernel");
}

/* What start-up says of that namespace has the errno value, and no hint. */
static void
no_hint(const atf_tc_t *tc, int proc, const char *name, int ns,
    const struct rule *rules, int nrules, int errnum)
{
	struct program *r = run_new();
	int i;

	run_env(r, "H_PROC=%d", proc);
	run_env(r, "gons_%s=fd:%d", name, ns);
	r->keep[0] = proc;
	r->keep[1] = ns;
	for (i = 0; i < nrules; i++)
		r->rules[i] = rules[i];
	r->nrules = nrules;
	start(tc, r, 0);
	ATF_CHECK_EQ(errnum, (int)run_number(r, "errnum"));
	ATF_CHECK_EQ(GONS_HINT_NONE, (int)run_number(r, "hint"));
}

/* What is in the place of /proc is not believed, and need not be there. */
ATF_TC_WITHOUT_HEAD(hints_without_proc);
ATF_TC_BODY(hints_without_proc, tc)
{
	static const struct rule limit = { SYS_setns, -1, 0, 0, ENOSPC };
	static const struct rule invalid[] = {
		{ SYS_setns, -1, 0, 0, EINVAL },
		{ SYS_unshare, -1, 0, 0, EPERM },
	};
	static const struct rule untold = { SYS_ioctl, 1, 0xffff,
		0xb703 /* NSTYPE */, ENOTTY };
	int i, mnt, net, proc;

	sandbox(CLONE_NEWNS);
	net = open_ref("/proc/self/ns/net");
	mnt = open_ref("/proc/self/ns/mnt");
	proc = hide_proc();
	for (i = 0; i < 2; i++) {
		no_hint(tc, proc, "net", net, &limit, 1, ENOSPC);
		no_hint(tc, proc, "mnt", mnt, invalid, 2, EINVAL);
		/* it is a namespace, but nobody can tell of which type */
		no_hint(tc, proc, "uts", net, &untold, 1, EINVAL);
		if (i == 1)
			break;
		ATF_REQUIRE_EQ(0, mkdir("/proc/sys", 0755));
		ATF_REQUIRE_EQ(0, mkdir("/proc/sys/user", 0755));
		put_file("/proc/sys/user/max_net_namespaces", "7\n");
	}
}

/* Descriptor 0 is one like any other, to be opened and closed. */
static const struct without_stdin {
	int fd; /* a pidfd of the target; 0: none */
	const char *variable, *order;
	int errnum, hint; /* 0: it joins */
} without_stdin[] = {
	{ 0, "gons_net=/proc/%d/ns/net", NULL, 0, 0 },
	{ 0, "gons_target=%d", NULL, 0, 0 },
	{ 1, "gons_target=fd:%d", NULL, 0, 0 },
	{ 0, "gons_net=/proc/%d/ns/uts", NULL, EINVAL, GONS_HINT_OTHERTYPE },
	{ 0, "gons_user=/proc/%d/ns/user", NULL, EINVAL, GONS_HINT_SAME },
	{ 1, "gons_user=fd:%d", NULL, EINVAL, GONS_HINT_SAME },
	{ 0, "gons_uts=/proc/%d/ns/uts", NULL, EPERM, GONS_HINT_OWNER },
	{ 1, "gons_uts=fd:%d", NULL, EPERM, GONS_HINT_OWNER },
	{ 0, "gons_target=%d", "user", EINVAL, GONS_HINT_SAME },
	{ 1, "gons_target=fd:%d", "user", EINVAL, GONS_HINT_SAME },
	{ 0, "gons_target=%d", "uts", EPERM, GONS_HINT_OWNER },
	{ 1, "gons_target=fd:%d", "uts", EPERM, GONS_HINT_OWNER },
};

struct zero {
	const struct without_stdin *row;
	int number; /* for the variable */
	int by_proc;
	int meanwhile; /* another thread closes it, at the first ioctl(2) */
	long nr; /* or while each call of this kind is made, in turn */
};

/* As the row says. */
static void
switch_row(const struct zero *z)
{
	char variable[64], *envp[] = { variable, NULL };
	struct gons_env env;
	struct gons_error error;

	(void)snprintf(variable, sizeof(variable), z->row->variable, z->number);
	(void)gons_envparse(envp, &env);
	env.order = z->row->order;
	memset(&error, 0, sizeof(error));
	CHILD(
	    gons_switch(&env, NULL, &error) == (z->row->errnum == 0 ? 0 : -1));
	CHILD(error.errnum == z->row->errnum);
	CHILD(error.hint == z->row->hint);
}

static void
switch_without_stdin(void *arg)
{
	static const struct rule no_ioctls = PIDFD_IOCTLS;
	const struct zero *z = arg;
	int closed = 1, fds;

	CHILD(dup2(1, 0) == 0);
	if (z->meanwhile)
		meddle(SYS_ioctl);
	if (z->by_proc)
		forbid(&no_ioctls, 1);
	fds = count_fds();
	if (z->meanwhile)
		meddle_close();
	else
		close(0);
	switch_row(z);
	if (z->meanwhile)
		closed = meddled() > 0;
	CHILD(count_fds() == fds - closed);
}

ATF_TC_WITHOUT_HEAD(no_stdin);
ATF_TC_BODY(no_stdin, tc)
{
	struct target t;
	struct zero z;
	size_t i;
	int how, pidfd;

	need_filters();
	sandbox(0);
	target_start(&t, CLONE_NEWNET, 0);
	pidfd = pidfd_of(t.pid);
	for (i = 0; i < sizeof(without_stdin) / sizeof(without_stdin[0]); i++) {
		z.row = &without_stdin[i];
		z.number = z.row->fd ? pidfd : (int)t.pid;
		for (how = 0; how < 3; how++) {
			z.by_proc = how == 1;
			z.meanwhile = how == 2;
			printf("%s, order %s%s%s\n", z.row->variable,
			    z.row->order != NULL ? z.row->order : "-",
			    z.by_proc ? ", by /proc" : "",
			    z.meanwhile ? ", by a thread" : "");
			in_child(switch_without_stdin, &z);
		}
	}
	target_stop(&t);
}

static void
close_stdin(void)
{
	close(0);
}

/* Another thread does, so that the library gets the number where it may. */
static void
switch_while_it_is_closed(void *arg)
{
	static const struct rule no_ioctls = PIDFD_IOCTLS;
	const struct zero *z = arg;
	int calls, fds, nth;

	if (z->by_proc)
		forbid(&no_ioctls, 1);
	meddle(z->nr);
	for (calls = nth = 1; nth <= calls; nth++) {
		CHILD(dup2(1, 0) == 0);
		fds = count_fds();
		(void)meddled();
		meddle_then(nth, close_stdin);
		switch_row(z);
		calls = meddled();
		meddle_then(0, close_stdin);
		CHILD(count_fds() == fds - (nth <= calls));
	}
	printf("\tin each of %d calls\n", nth - 1);
}

ATF_TC_WITHOUT_HEAD(closed_stdin);
ATF_TC_BODY(closed_stdin, tc)
{
	static const long nrs[] = { SYS_ioctl, SYS_openat, NR_openat2 };
	struct target t;
	struct zero z;
	size_t i;
	int how, pidfd;

	(void)tc;
	need_filters();
	sandbox(0);
	target_start(&t, CLONE_NEWNET, 0);
	pidfd = pidfd_of(t.pid);
	memset(&z, 0, sizeof(z));
	for (i = 0; i < sizeof(without_stdin) / sizeof(without_stdin[0]); i++) {
		z.row = &without_stdin[i];
		z.number = z.row->fd ? pidfd : (int)t.pid;
		for (how = 0; how < 3; how++) {
			z.by_proc = how > 0;
			z.nr = nrs[how];
			printf("%s, order %s, call %ld\n", z.row->variable,
			    z.row->order != NULL ? z.row->order : "-", z.nr);
			in_child(switch_while_it_is_closed, &z);
		}
	}
	target_stop(&t);
}

/* A namespace of which nothing tells the type. */
static void
switch_untyped(void *unused)
{
	static const struct rule rules[] = {
		{ SYS_ioctl, -1, 0, 0, EPERM },
		{ SYS_readlinkat, -1, 0, 0, EPERM },
	};
	static char path[] = "/proc/self/ns/uts";
	struct gons_env env;
	struct gons_error error;

	(void)unused;
	(void)gons_envparse(NULL, &env);
	env.path[GONS_NET] = path;
	CHILD(gons_switch(&env, NULL, &error) == -1);
	CHILD(error.errnum == EINVAL && error.hint == GONS_HINT_OTHERTYPE);
	CHILD(error.value == GONS_UTS);
	forbid(rules, sizeof(rules) / sizeof(rules[0]));
	CHILD(gons_switch(&env, NULL, &error) == -1);
	CHILD(error.errnum == EINVAL && error.hint == GONS_HINT_NONE);
}

ATF_TC_WITHOUT_HEAD(unknown_type);
ATF_TC_BODY(unknown_type, tc)
{
	(void)tc;
	need_filters();
	sandbox(CLONE_NEWUTS);
	in_child(switch_untyped, NULL);
}

/* A directory that lacks a type tells nothing, if it is not genuine. */
ATF_TC_WITHOUT_HEAD(no_such_type);
ATF_TC_BODY(no_such_type, tc)
{
	struct program *r = run_new();

	sandbox(CLONE_NEWNS);
	run_env(r, "H_PROC=%d", hide_proc());
	ATF_REQUIRE_EQ(0, mkdir("/proc/self", 0755));
	ATF_REQUIRE_EQ(0, mkdir("/proc/self/ns", 0755));
	ATF_REQUIRE_EQ(0, symlink("self", "/proc/thread-self"));
	put_file("/proc/self/ns/user", "");
	run_env(r, "gons_time=/proc/self/ns/time");
	r->keep[0] = atoi(r->env[0] + 7);
	start(tc, r, 0);
	ATF_CHECK_EQ(GONS_HINT_NONE, (int)run_number(r, "hint"));
	ATF_CHECK_EQ(ENOENT, (int)run_number(r, "errnum"));
}

ATF_TP_ADD_TCS(tp)
{
	ATF_TP_ADD_TC(tp, other_type);
	ATF_TP_ADD_TC(tp, unknown_type);
	ATF_TP_ADD_TC(tp, same_user);
	ATF_TP_ADD_TC(tp, denied_owner);
	ATF_TP_ADD_TC(tp, denied_neighbour);
	ATF_TP_ADD_TC(tp, denied_self);
	ATF_TP_ADD_TC(tp, denied_capability);
	ATF_TP_ADD_TC(tp, denied_unknown);
	ATF_TP_ADD_TC(tp, denied_deep);
	ATF_TP_ADD_TC(tp, no_answer);
	ATF_TP_ADD_TC(tp, unanswered);
	ATF_TP_ADD_TC(tp, limits);
	ATF_TP_ADD_TC(tp, no_setns);
	ATF_TP_ADD_TC(tp, hints_without_proc);
	ATF_TP_ADD_TC(tp, no_stdin);
	ATF_TP_ADD_TC(tp, closed_stdin);
	ATF_TP_ADD_TC(tp, no_such_type);
	return atf_no_error();
}
