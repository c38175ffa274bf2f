/*
 * SPDX-License-Identifier: BSD-2-Clause
 *
 * Copyright (c) 2026 The libgons developers
 *
 * gons_reexec_set(3), "Where the action runs": namespaces and targets of a
 * request, how joining them fails, and a child that nobody may look into
 * meanwhile.
 */

#include <sys/ioctl.h>
#include <sys/auxv.h>
#include <sys/mount.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/wait.h>

#include <linux/seccomp.h>

#include <atf-c.h>

#include <errno.h>
#include <fcntl.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <gons.h>

#include "helpers.h"
#include "rx.h"
#include "rx_actions.h"

/*
 * The actions.
 */

/* The namespaces that this process is in. */
static int
print_ns(void)
{
	struct nsids ids;
	int i;

	ns_own(&ids);
	for (i = 0; i < NTYPES; i++)
		printf("%s %llu\n", ns_types[i].name,
		    (unsigned long long)ids.id[i]);
	printf("joined %#x status %s\n", gons_status_joined(),
	    gons_status() != NULL ? gons_status() : "-");
	return 0;
}

static const struct rx_action actions[] = {
	{ "print_ns", print_ns },
	{ "print_pid", print_pid },
	{ "stay", stay },
};

__attribute__((constructor)) static void
register_and_check(void)
{
	rx_register(actions, NELEM(actions));
	gons_reexec_check();
}

/*
 * Joining.
 */

/* What "print_ns" says of a type. */
static uint64_t
said(const char *text, const char *type)
{
	char line[32];
	const char *p;

	(void)snprintf(line, sizeof(line), "\n%s ", type);
	if (strncmp(text, line + 1, strlen(line + 1)) == 0)
		return strtoull(text + strlen(line + 1), NULL, 10);
	p = strstr(text, line);
	return p != NULL ? strtoull(p + strlen(line), NULL, 10) : 0;
}

/* It is where the target is in the types of the mask, and else where we are. */
#define CHECK_NS(text, target, mask) check_ns(text, target, mask, __LINE__)
static void
check_ns(const char *text, const struct target *t, unsigned mask, int line)
{
	struct nsids own;
	char joined[32];
	int i;

	ns_own(&own);
	for (i = 0; i < NTYPES; i++)
		ATF_CHECK_EQ_MSG(
		    (mask & GONS_BIT(i)) != 0 ? ns_id(t->refs[i]) : own.id[i],
		    said(text, ns_types[i].name), "line %d: %s namespace: %s",
		    line, ns_types[i].name, text);
	(void)snprintf(joined, sizeof(joined), "joined %#x status -", mask);
	ATF_CHECK_MSG(strstr(text, joined) != NULL, "line %d: not \"%s\": %s",
	    line, joined, text);
}

static void
each_type(void)
{
	struct gons_reexec *req;
	struct target t;
	char ref[32];
	int fd, i, way;

	for (i = 0; i < NTYPES; i++) {
		if (i == GONS_USER)
			continue;
		target_start(&t, ns_types[i].flag, 0);
		for (way = 0; way < 3; way++) {
			req = rx_new("print_ns");
			fd = open(t.refs[i], O_RDONLY | O_CLOEXEC);
			ATF_REQUIRE(fd != -1);
			(void)snprintf(ref, sizeof(ref), "fd:%d", fd);
			if (way == 2)
				ATF_REQUIRE_EQ(
				    0, gons_reexec_setorder(req, "auto"));
			ATF_REQUIRE_EQ(
			    0, gons_reexec_namespace(req, ns_types[i].name,
				   way == 1 ? ref : t.refs[i]));
			close(fd); /* the request has its own */
			CHECK_NS(rx_ok(req), &t, GONS_BIT(i));
			CHECK_NS(rx_ok(req), &t, GONS_BIT(i));
			gons_reexec_free(req);
		}
		target_stop(&t);
	}
}

/* In the order in which they are named, user first, all references early. */
static void
several_types(void)
{
	const unsigned mask = GONS_BIT(GONS_USER) | GONS_BIT(GONS_NET) |
			      GONS_BIT(GONS_UTS) | GONS_BIT(GONS_IPC) |
			      GONS_BIT(GONS_PID);
	struct gons_reexec *req;
	struct target t;
	int pidfd;

	target_start(&t,
	    CLONE_NEWUSER | CLONE_NEWNET | CLONE_NEWUTS | CLONE_NEWIPC |
		CLONE_NEWPID,
	    0);
	req = rx_new("print_ns");
	ATF_REQUIRE_EQ(
	    0, gons_reexec_namespace(req, "!user", t.refs[GONS_USER]));
	ATF_REQUIRE_EQ(0, gons_reexec_namespace(req, "!net", t.refs[GONS_NET]));
	ATF_REQUIRE_EQ(0, gons_reexec_namespace(req, "!pid", t.refs[GONS_PID]));
	ATF_REQUIRE_EQ(0, gons_reexec_namespace(req, "!ipc", t.refs[GONS_IPC]));
	ATF_REQUIRE_EQ(0, gons_reexec_namespace(req, "!uts", t.refs[GONS_UTS]));
	CHECK_NS(rx_ok(req), &t, mask);
	ATF_REQUIRE_EQ(0, gons_reexec_setorder(req, "auto"));
	CHECK_NS(rx_ok(req), &t, mask);
	ATF_REQUIRE_EQ(0, gons_reexec_setorder(req, "!net,pid,uts,ipc"));
	rx_fails(req, GONS_FAIL_START, EINVAL,
	    "\"print_ns\"|gons_user is set but missing from gons_order");
	gons_reexec_free(req);

	pidfd = pidfd_of(t.pid);
	req = rx_new("print_ns");
	ATF_REQUIRE_EQ(0, gons_reexec_target(req, pidfd, 0));
	CHECK_NS(rx_ok(req), &t, mask);
	ATF_REQUIRE_EQ(0, gons_reexec_target(req, pidfd,
			      GONS_BIT(GONS_USER) | GONS_BIT(GONS_NET)));
	close(pidfd);
	CHECK_NS(rx_ok(req), &t, GONS_BIT(GONS_USER) | GONS_BIT(GONS_NET));
	target_kill(&t);
	rx_fails(req, GONS_FAIL_GONE, ESRCH, "\"print_ns\"|has ended");
	gons_reexec_free(req);
	target_stop(&t);
}

static void
refused(void)
{
	static const struct {
		const char *type, *ref;
		int errnum;
		const char *words;
	} bad[] = {
		{ "net", "/no/such/ns", ENOENT,
		    "invalid gons_net reference \"/no/such/ns\"" },
		{ "net", "/proc/self/ns/uts", EINVAL,
		    "gons_net|it is a uts namespace" },
		{ "!mnt", "/dev/null", EINVAL, "gons_mnt|no namespace" },
		{ "user", "/proc/self/ns/user", EINVAL,
		    "already in that user namespace" },
	};
	struct gons_reexec *req;
	size_t i;

	for (i = 0; i < NELEM(bad); i++) {
		req = rx_new("print_ns");
		ATF_REQUIRE_EQ(
		    0, gons_reexec_namespace(req, bad[i].type, bad[i].ref));
		rx_fails(req, GONS_FAIL_START, bad[i].errnum, "\"print_ns\"");
		rx_text(req, bad[i].words);
		ATF_CHECK_STREQ("", rx_result(req));
		gons_reexec_free(req);
	}
}

static void
refused_body(void *unused)
{
	struct gons_reexec *req = rx_new("print_ns");

	(void)unused;
	drop_to_nobody();
	ATF_REQUIRE_EQ(
	    0, gons_reexec_namespace(req, "net", "/proc/self/ns/net"));
	rx_fails(req, GONS_FAIL_START, EPERM, "gons_net|CAP_SYS_ADMIN");
	CHILD(gons_reexec_failure(req) == GONS_FAIL_START);
	gons_reexec_free(req);
}

static void
unprivileged(void)
{
	in_child(refused_body, NULL);
}

/*
 * While it joins: caught in the act by a filter that asks us about setns(2).
 */

/*
 * Root in that user namespace, and nobody elsewhere: tells of each process that
 * it is asked about what keeps it from looking into its memory, or 0.
 */
static void
look_in(const char *user, int sock)
{
	char path[64];
	int answer, fd;
	pid_t pid;

	CHILD((fd = open(user, O_RDONLY | O_CLOEXEC)) != -1);
	CHILD(setns(fd, CLONE_NEWUSER) == 0);
	while (read(sock, &pid, sizeof(pid)) == sizeof(pid)) {
		(void)snprintf(path, sizeof(path), "/proc/%d/mem", (int)pid);
		answer = open(path, O_RDONLY) == -1 ? errno : 0;
		CHILD(write(sock, &answer, sizeof(answer)) == sizeof(answer));
	}
	_exit(0);
}

static int
asked(int sock, pid_t pid)
{
	int answer;

	ATF_REQUIRE_EQ(sizeof(pid), write(sock, &pid, sizeof(pid)));
	ATF_REQUIRE_EQ(sizeof(answer), read(sock, &answer, sizeof(answer)));
	return answer;
}

/* The next setns(2) of the child goes on. */
static pid_t
caught(int fd, struct seccomp_notif_resp *answer)
{
	struct seccomp_notif call;

	memset(&call, 0, sizeof(call));
	memset(answer, 0, sizeof(*answer));
	ATF_REQUIRE_EQ(0, ioctl(fd, SECCOMP_IOCTL_NOTIF_RECV, &call));
	answer->id = call.id;
	answer->flags = SECCOMP_USER_NOTIF_FLAG_CONTINUE;
	return (pid_t)call.pid;
}

static void
undumpable_body(void *unused)
{
	struct gons_reexec *req = rx_new("stay");
	struct seccomp_notif_resp answer;
	int fd, life[2], sock[2];
	struct target t;
	pid_t inside, pid;

	(void)unused;
	target_start(&t, CLONE_NEWUSER | CLONE_NEWNET, 0);
	ATF_REQUIRE_EQ(0, socketpair(AF_UNIX, SOCK_STREAM, 0, sock));
	if ((inside = fork()) == 0) {
		close(sock[0]);
		look_in(t.refs[GONS_USER], sock[1]);
	}
	close(sock[1]);
	ATF_REQUIRE_EQ(
	    0, gons_reexec_namespace(req, "user", t.refs[GONS_USER]));
	ATF_REQUIRE_EQ(0, gons_reexec_namespace(req, "net", t.refs[GONS_NET]));
	ATF_REQUIRE_EQ(0, gons_reexec_setorder(req, "user,net"));
	rx_pipe(life);
	rx_keep(req, "LIFE", life[1]);
	ATF_REQUIRE_MSG(
	    (fd = ask_about(SYS_setns)) != -1, "seccomp: %s", strerror(errno));
	ATF_REQUIRE_EQ(0, gons_reexec_start(req));
	(void)caught(fd, &answer);
	ATF_REQUIRE_EQ(0, ioctl(fd, SECCOMP_IOCTL_NOTIF_SEND, &answer));
	pid = caught(fd, &answer);
	ATF_CHECK_EQ(EACCES, asked(sock[0], pid));
	ATF_REQUIRE_EQ(0, ioctl(fd, SECCOMP_IOCTL_NOTIF_SEND, &answer));
	close(life[1]);
	ATF_CHECK_EQ('x', rx_byte(life[0]));
	ATF_CHECK_EQ_MSG(
	    0, asked(sock[0], pid), "not even one that has joined");
	ATF_REQUIRE_EQ(0, gons_reexec_kill(req));
	rx_wait_fails(req, GONS_FAIL_KILLED, ECANCELED, "");
	close(life[0]);
	close(sock[0]);
	ATF_CHECK_EQ(inside, waitpid(inside, NULL, 0));
	close(fd);
	gons_reexec_free(req);
	target_stop(&t);
}

/* Such a file may poll as the pidfd of a process that has ended does. */
static void
no_pidfd(void)
{
	static const char *const files[] = { "/dev/null", "/", "/proc/self" };
	struct gons_reexec *req = rx_new("print_ns");
	size_t i;
	int fd;

	for (i = 0; i < NELEM(files); i++) {
		ATF_REQUIRE((fd = open(files[i], O_RDONLY)) != -1);
		ATF_REQUIRE_EQ(0, gons_reexec_target(req, fd, 0));
		close(fd);
		rx_fails(req, GONS_FAIL_START, EINVAL,
		    "\"print_ns\"|gons_target|it does not refer to a process");
	}
	gons_reexec_free(req);
}

static void
undumpable(void)
{
	in_child(undumpable_body, NULL);
}

/*
 * /proc was there for gons_reexec_check(), but is not any more: what is
 * executed then must not need anything of the root that the host is in now.
 */
static void
no_proc(void)
{
	struct gons_reexec *req = rx_new("print_pid");
	struct target t;
	int fd[2];

	if (rx_mode != GONS_REEXEC_PREPARED || ADDRESS_SANITIZER)
		need_no_proc();
	target_start(&t, CLONE_NEWPID, 0);
	ATF_REQUIRE((fd[0] = open(t.refs[GONS_PID], O_RDONLY)) != -1);
	ATF_REQUIRE_EQ(0, unshare(CLONE_NEWNS));
	ATF_REQUIRE_EQ(0, mount(NULL, "/", NULL, MS_REC | MS_PRIVATE, NULL));
	ATF_REQUIRE_EQ(0, mount("none", "/proc", "tmpfs", 0, NULL));
	ATF_REQUIRE_EQ(-1, access("/proc/self", F_OK));
	if (getauxval(AT_BASE) != 0) {
		ATF_CHECK_ERRNO(EPERM, gons_reexec_run(req) == -1);
		ATF_CHECK_EQ(GONS_FAIL_START, gons_reexec_failure(req));
		rx_text(req, "\"print_pid\"|another root");
		close(fd[0]);
		gons_reexec_free(req);
		target_stop(&t);
		return;
	}
	(void)rx_ok(req);
	ATF_REQUIRE(dup2(fd[0], 77) == 77);
	close(fd[0]);
	ATF_REQUIRE_EQ(0, gons_reexec_namespace(req, "pid", "fd:77"));
	close(77);
	ATF_CHECK(atoi(rx_ok(req)) > 1);
	gons_reexec_free(req);
	target_stop(&t);
}

static const struct rx_case cases[] = {
	{ "each_type", each_type, RX_SANDBOX,
	    "a child joins by paths, descriptors and auto" },
	{ "several_types", several_types, RX_SANDBOX,
	    "a child joins several by an order or a target" },
	{ "refused", refused, RX_SANDBOX,
	    "a start-up that fails in the child is told" },
	{ "no_pidfd", no_pidfd, 0, "a target's descriptor may be no pidfd" },
	{ "unprivileged", unprivileged, 0,
	    "a child without privileges tells what is missing" },
	{ "undumpable", undumpable, RX_SANDBOX | RX_EXEC,
	    "nobody can look into a child that joins" },
	{ "no_proc", no_proc, RX_SANDBOX,
	    "the host may lose its /proc after check" },
};

ATF_TP_ADD_TCS(tp)
{
	return rx_cases(tp, cases, NELEM(cases));
}
