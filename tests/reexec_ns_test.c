/*
 * SPDX-License-Identifier: BSD-2-Clause
 *
 * Copyright (c) 2026 The libgons developers
 *
 * Actions in namespaces: joined, refused, and in a pid namespace, where the
 * action is the child of a child; children that end with their host.
 */

#include <sys/ioctl.h>
#include <sys/mount.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>

#include <linux/filter.h>
#include <linux/seccomp.h>

#include <atf-c.h>

#include <errno.h>
#include <fcntl.h>
#include <grp.h>
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
#include "rx.h"

#define OTHER_ID 12345

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

static int
print_pid(void)
{
	printf("%d", (int)getpid());
	return 0;
}

static int
become_other(void)
{
	if (setgroups(0, NULL) == -1 ||
	    setresgid(OTHER_ID, OTHER_ID, OTHER_ID) == -1 ||
	    setresuid(OTHER_ID, OTHER_ID, OTHER_ID) == -1)
		return errno;
	return 0;
}

/* Root of a user namespace of its own has no other ids. */
static void
need_other_ids(void)
{
	int status;
	pid_t pid;

	ATF_REQUIRE((pid = fork()) != -1);
	if (pid == 0)
		_exit(become_other());
	ATF_REQUIRE_EQ(pid, waitpid(pid, &status, 0));
	ATF_REQUIRE(WIFEXITED(status));
	if (WEXITSTATUS(status) != 0)
		atf_tc_skip("setresuid(2) or the like: %s",
		    strerror(WEXITSTATUS(status)));
}

/* Says that it is there, and stays as somebody whom its parent may not be. */
static int
change_ids(void)
{
	if (become_other() != 0)
		return 1;
	if (write(rx_kept("LIFE"), "x", 1) != 1)
		return 1;
	if (getenv("CLOSE") != NULL)
		(void)close(STDOUT_FILENO);
	for (;;)
		(void)pause();
}

static int
stay(void)
{
	if (write(rx_kept("LIFE"), "x", 1) != 1)
		return 1;
	for (;;)
		(void)pause();
}

static volatile sig_atomic_t got;

static void
handler(int signo)
{
	got = signo;
}

static int
await_signal(void)
{
	sigset_t set, old;

	(void)sigemptyset(&set);
	(void)sigaddset(&set, SIGUSR1);
	(void)sigprocmask(SIG_BLOCK, &set, &old);
	(void)signal(SIGUSR1, handler);
	if (write(rx_kept("LIFE"), "x", 1) != 1)
		return 1;
	while (got == 0)
		(void)sigsuspend(&old);
	printf("signal %d", (int)got);
	return 0;
}

__attribute__((constructor)) static void
register_and_check(void)
{
	if (gons_reexec_register("print_ns", print_ns) == -1 ||
	    gons_reexec_register("print_pid", print_pid) == -1 ||
	    gons_reexec_register("change_ids", change_ids) == -1 ||
	    gons_reexec_register("stay", stay) == -1 ||
	    gons_reexec_register("await_signal", await_signal) == -1)
		abort();
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
	rx_fails(req, GONS_FAIL_START, ESRCH, "\"print_ns\"");
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
 * In a pid namespace.
 */

static struct gons_reexec *
in_pid(const char *action, const struct target *t)
{
	struct gons_reexec *req = rx_new(action);

	ATF_REQUIRE_EQ(0, gons_reexec_namespace(req, "pid", t->refs[GONS_PID]));
	return req;
}

static void
pid_inside(void)
{
	struct gons_reexec *req;
	struct target t;
	int pid;

	target_start(&t, CLONE_NEWPID, 0);
	req = in_pid("print_pid", &t);
	pid = atoi(rx_ok(req));
	ATF_CHECK_MSG(pid > 1 && pid < 20, "pid %d", pid);
	ATF_CHECK_EQ(0, gons_reexec_status(req));
	gons_reexec_free(req);
	target_stop(&t);
}

static void
pid_ends(void)
{
	static const struct {
		const char *script;
		int failure, status;
		const char *words;
	} ends[] = {
		{ "out x\nreturn 0", GONS_FAIL_NONE, 0, NULL },
		{ "out x\nexit 3", GONS_FAIL_EXIT, 3 << 8, "status 3" },
		{ "out x\n_exit 4", GONS_FAIL_EXIT, 4 << 8, "status 4" },
		{ "out x\nraise 11", GONS_FAIL_SIGNAL, 11, "signal 11" },
		{ "out x\nraise 6", GONS_FAIL_SIGNAL, 6, "signal 6" },
		{ "out x\nraise 9", GONS_FAIL_SIGNAL, 9, "signal 9" },
		{ "out x\nraise 15", GONS_FAIL_SIGNAL, 15, "signal 15" },
		{ "out x\nraise 2", GONS_FAIL_SIGNAL, 2, "signal 2" },
		{ "out x\nerr words", GONS_FAIL_STDERR, 0, "words" },
	};
	struct gons_reexec *req;
	struct target t;
	size_t i;

	target_start(&t, CLONE_NEWPID, 0);
	for (i = 0; i < NELEM(ends); i++) {
		req = in_pid("script", &t);
		ATF_REQUIRE_EQ(
		    0, gons_reexec_setenv(req, "SCRIPT", ends[i].script));
		if (ends[i].failure == GONS_FAIL_NONE)
			(void)rx_ok(req);
		else
			rx_fails(req, ends[i].failure, EIO, ends[i].words);
		ATF_CHECK_STREQ("x", rx_result(req));
		ATF_CHECK_EQ_MSG(ends[i].status,
		    gons_reexec_status(req) & ~0x80, "%s: %#x", ends[i].script,
		    gons_reexec_status(req));
		gons_reexec_free(req);
	}
	target_stop(&t);
}

/* Nobody waits for the grandchild that holds the pipes there either. */
static void
pid_grandchild(void)
{
	struct gons_reexec *req;
	struct target t;
	int fd[2];

	target_start(&t, CLONE_NEWPID, 0);
	rx_pipe(fd);
	req = in_pid("script", &t);
	rx_keep(req, "LIFE", fd[0]);
	ATF_REQUIRE_EQ(0, gons_reexec_setgrace(req, 100));
	ATF_REQUIRE_EQ(
	    0, gons_reexec_setenv(req, "SCRIPT", "out x\nfork 12\nexit 3"));
	rx_fails(req, GONS_FAIL_EXIT, EIO, "status 3");
	/* with none of the pipes held nobody waits at all */
	ATF_REQUIRE_EQ(0, gons_reexec_setgrace(req, 90000));
	ATF_REQUIRE_EQ(
	    0, gons_reexec_setenv(req, "SCRIPT", "out x\nfork 0\nexit 0"));
	ATF_CHECK_STREQ("x", rx_ok(req));
	gons_reexec_free(req);
	close(fd[0]);
	close(fd[1]);
	target_stop(&t);
}

enum ending {
	BY_TIMEOUT,
	BY_KILL,
	BY_FREE,
	BY_GRACE,
	NENDINGS
};

/* However a run is ended, the action itself is gone: its pipe is closed. */
static void
end_action(
    const char *action, const struct target *t, unsigned flags, enum ending how)
{
	struct gons_reexec *req = rx_new(action);
	int fd[2];

	if (t != NULL)
		ATF_REQUIRE_EQ(
		    0, gons_reexec_namespace(req, "pid", t->refs[GONS_PID]));
	rx_flags(req, flags);
	rx_pipe(fd);
	rx_keep(req, "LIFE", fd[1]);
	ATF_REQUIRE_EQ(0, gons_reexec_setgrace(req, 100));
	if (how == BY_TIMEOUT)
		ATF_REQUIRE_EQ(0, gons_reexec_settimeout(req, 1000));
	if (how == BY_GRACE)
		ATF_REQUIRE_EQ(0, gons_reexec_setenv(req, "CLOSE", "1"));
	ATF_REQUIRE_EQ(0, gons_reexec_start(req));
	close(fd[1]);
	if (how != BY_TIMEOUT)
		ATF_REQUIRE_EQ('x', rx_byte(fd[0]));
	switch (how) {
	case BY_TIMEOUT:
		rx_wait_fails(
		    req, GONS_FAIL_TIMEOUT, ETIMEDOUT, "timed out after 1000");
		ATF_REQUIRE_EQ('x', rx_byte(fd[0]));
		break;
	case BY_KILL:
		ATF_REQUIRE_EQ(0, gons_reexec_kill(req));
		rx_wait_fails(req, GONS_FAIL_KILLED, ECANCELED, "killed");
		break;
	case BY_GRACE:
		(void)rx_wait_ok(req);
		break;
	default:
		break;
	}
	gons_reexec_free(req);
	ATF_CHECK_MSG(rx_gone(fd[0], 0), "%s, %s: the action lives", action,
	    how == BY_TIMEOUT ? "timeout"
	    : how == BY_KILL  ? "kill"
	    : how == BY_FREE  ? "free"
			      : "grace");
	close(fd[0]);
}

static void
pid_timeout(void)
{
	struct target t;

	target_start(&t, CLONE_NEWPID, 0);
	end_action("stay", &t, 0, BY_TIMEOUT);
	end_action("stay", &t, 0, BY_KILL);
	end_action("stay", &t, 0, BY_FREE);
	target_stop(&t);
}

/* The signal at the end of its parent is forgotten when it changes ids. */
static void
pid_changed_ids(void)
{
	struct target t;
	int how;

	need_other_ids();
	target_start(&t, CLONE_NEWPID, 0);
	for (how = 0; how < NENDINGS; how++)
		end_action("change_ids", &t, 0, (enum ending)how);
	target_stop(&t);
}

static void
changed_ids(void)
{
	int how;

	need_other_ids();
	for (how = 0; how < NENDINGS; how++)
		end_action("change_ids", NULL, 0, (enum ending)how);
}

static void
pid_without_init(void)
{
	struct gons_reexec *req;
	struct target t;
	int fd;
	char ref[32], words[128];

	target_start(&t, CLONE_NEWPID, 0);
	ATF_REQUIRE((fd = open(t.refs[GONS_PID], O_RDONLY | O_CLOEXEC)) != -1);
	target_stop(&t);
	(void)snprintf(ref, sizeof(ref), "fd:%d", fd);
	req = rx_new("print_pid");
	ATF_REQUIRE_EQ(0, gons_reexec_namespace(req, "pid", ref));
	close(fd);
	(void)snprintf(words, sizeof(words),
	    "\"print_pid\"|%s|init process has ended", strerror(ENOMEM));
	rx_fails(req, GONS_FAIL_START, ENOMEM, words);
	gons_reexec_free(req);
}

/* What somebody does to the one in between: another child is in the way. */
static void
pid_signals(void)
{
	struct gons_reexec *req;
	struct target t;
	char path[64], pids[64], *next;
	pid_t pid;
	int fd[2], i;

	target_start(&t, CLONE_NEWPID, 0);
	for (i = 0; i < 3; i++) {
		req = in_pid(i == 0 ? "await_signal" : "stay", &t);
		rx_pipe(fd);
		rx_keep(req, "LIFE", fd[1]);
		ATF_REQUIRE_EQ(0, gons_reexec_start(req));
		close(fd[1]);
		(void)snprintf(path, sizeof(path),
		    "/proc/self/task/%d/children", (int)getpid());
		rx_read_file(path, pids, sizeof(pids));
		pid = (pid_t)strtol(pids, &next, 10);
		if (pid == t.child)
			pid = (pid_t)strtol(next, NULL, 10);
		ATF_REQUIRE(pid > 1);
		ATF_REQUIRE_EQ('x', rx_byte(fd[0]));
		switch (i) {
		case 0: /* is passed on */
			ATF_REQUIRE_EQ(0, kill(pid, SIGUSR1));
			ATF_CHECK_STREQ("signal 10", rx_wait_ok(req));
			break;
		case 1: /* ends both */
			ATF_REQUIRE_EQ(0, kill(pid, SIGKILL));
			rx_wait_fails(req, GONS_FAIL_SIGNAL, EIO, "signal 9");
			break;
		default: /* stopped, it is to end the action all the same */
			ATF_REQUIRE_EQ(0, kill(pid, SIGSTOP));
			ATF_REQUIRE_EQ(0, gons_reexec_kill(req));
			rx_wait_fails(
			    req, GONS_FAIL_KILLED, ECANCELED, "killed");
		}
		ATF_CHECK(rx_gone(fd[0], 30000));
		close(fd[0]);
		gons_reexec_free(req);
	}
	target_stop(&t);
}

static void
pid_by_target(void)
{
	struct gons_reexec *req = rx_new("print_pid");
	struct target t;
	int pid, pidfd;

	target_start(&t, CLONE_NEWPID | CLONE_NEWUTS, 0);
	pidfd = pidfd_of(t.pid);
	ATF_REQUIRE_EQ(0, gons_reexec_target(req, pidfd, 0));
	close(pidfd);
	pid = atoi(rx_ok(req));
	ATF_CHECK_MSG(pid > 1 && pid < 20, "pid %d", pid);
	gons_reexec_free(req);
	target_stop(&t);
}

/*
 * Children that end when their host does.
 */

struct host {
	const char *action;
	int life[2], by_thread, nobody;
	pid_t pid;
};

static void *
start_thread(void *req)
{
	ATF_REQUIRE_EQ(0, gons_reexec_start(req));
	return NULL;
}

static void
host_body(const struct host *host)
{
	struct gons_reexec *req;
	pthread_t thread;

	if (host->nobody)
		drop_to_nobody();
	req = rx_new(host->action);
	rx_flags(req, GONS_REEXEC_DIE_WITH_PARENT);
	rx_keep(req, "LIFE", host->life[1]);
	if (host->by_thread) {
		CHILD(pthread_create(&thread, NULL, start_thread, req) == 0);
		CHILD(pthread_join(thread, NULL) == 0);
	} else {
		(void)start_thread(req);
	}
	close(host->life[1]);
	for (;;)
		(void)pause();
}

static void
host_start(struct host *host)
{
	rx_pipe(host->life);
	ATF_REQUIRE((host->pid = fork()) != -1);
	if (host->pid == 0)
		host_body(host);
	close(host->life[1]);
	ATF_REQUIRE_EQ('x', rx_byte(host->life[0]));
}

static void
host_kill(struct host *host)
{
	/* alive, although the thread that started it may have ended */
	ATF_CHECK(!rx_gone(host->life[0], 300));
	ATF_REQUIRE_EQ(0, kill(host->pid, SIGKILL));
	ATF_REQUIRE_EQ(host->pid, waitpid(host->pid, NULL, 0));
	ATF_CHECK_MSG(rx_gone(host->life[0], 60000), "%s lives", host->action);
	close(host->life[0]);
}

static void
die_with_parent(void)
{
	struct host host;

	memset(&host, 0, sizeof(host));
	host.action = "stay";
	for (host.by_thread = 0; host.by_thread < 2; host.by_thread++) {
		host_start(&host);
		host_kill(&host);
	}
}

static void
die_with_parent_root(void)
{
	struct host host;

	need_other_ids();
	memset(&host, 0, sizeof(host));
	host.action = "change_ids";
	host_start(&host);
	host_kill(&host);
	host.action = "stay";
	host.nobody = 1;
	host_start(&host);
	host_kill(&host);
}

/* It is a flag like others, as long as the host lives. */
static void
die_with_parent_ends(void)
{
	struct gons_reexec *req = rx_script("out x\nexit 3");
	int how;

	rx_flags(req, GONS_REEXEC_DIE_WITH_PARENT);
	rx_fails(req, GONS_FAIL_EXIT, EIO, "status 3");
	ATF_CHECK_STREQ("x", rx_result(req));
	ATF_REQUIRE_EQ(0, gons_reexec_setenv(req, "SCRIPT", "out x\nraise 11"));
	rx_fails(req, GONS_FAIL_SIGNAL, EIO, "signal 11");
	ATF_REQUIRE_EQ(0, gons_reexec_setenv(req, "SCRIPT", "out x"));
	ATF_CHECK_STREQ("x", rx_ok(req));
	gons_reexec_free(req);
	for (how = 0; how < BY_GRACE; how++)
		end_action("stay", NULL, GONS_REEXEC_DIE_WITH_PARENT,
		    (enum ending)how);
}

/*
 * While it joins: caught in the act by a filter that asks us about setns(2).
 */

static int
filter_setns(void)
{
	struct sock_filter code[] = {
		BPF_STMT(BPF_LD | BPF_W | BPF_ABS,
		    offsetof(struct seccomp_data, nr)),
		BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, SYS_setns, 0, 1),
		BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_USER_NOTIF),
		BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW),
	};
	struct sock_fprog prog = { NELEM(code), code };

	return (int)syscall(SYS_seccomp, SECCOMP_SET_MODE_FILTER,
	    SECCOMP_FILTER_FLAG_NEW_LISTENER, &prog);
}

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
	    (fd = filter_setns()) != -1, "seccomp: %s", strerror(errno));
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

static void
undumpable(void)
{
	in_child(undumpable_body, NULL);
}

/* /proc was there for gons_reexec_check(), but is not any more. */
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
	{ "each_type", each_type, RX_SANDBOX, "paths, descriptors, auto" },
	{ "several_types", several_types, RX_SANDBOX, "orders and targets" },
	{ "refused", refused, RX_SANDBOX, "start-up fails in the child" },
	{ "unprivileged", unprivileged, 0, "it tells what is missing" },
	{ "pid_inside", pid_inside, RX_SANDBOX, "the action is inside" },
	{ "pid_ends", pid_ends, RX_SANDBOX, "how it ends there is seen" },
	{ "pid_grandchild", pid_grandchild, RX_SANDBOX,
	    "that holds the pipes" },
	{ "pid_timeout", pid_timeout, RX_SANDBOX, "the action itself ends" },
	{ "pid_changed_ids", pid_changed_ids, RX_ROOT, "also as another user" },
	{ "changed_ids", changed_ids, RX_ROOT, "without a pid namespace" },
	{ "pid_without_init", pid_without_init, RX_SANDBOX,
	    "ENOMEM explained" },
	{ "pid_signals", pid_signals, RX_SANDBOX | RX_EXEC,
	    "signals to the one in between" },
	{ "pid_by_target", pid_by_target, RX_SANDBOX, "a target with a pid" },
	{ "die_with_parent", die_with_parent, 0, "with it, not its thread" },
	{ "die_with_parent_root", die_with_parent_root, RX_ROOT,
	    "after a change of credentials" },
	{ "die_with_parent_ends", die_with_parent_ends, 0, "or before it" },
	{ "undumpable", undumpable, RX_SANDBOX | RX_EXEC,
	    "nobody looks into a child that joins" },
	{ "no_proc", no_proc, RX_SANDBOX, "/proc is gone since check" },
};

ATF_TP_ADD_TCS(tp)
{
	return rx_cases(tp, cases, NELEM(cases));
}
