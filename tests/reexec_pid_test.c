/*
 * SPDX-License-Identifier: BSD-2-Clause
 *
 * Copyright (c) 2026 The libgons developers
 *
 * gons_reexec_set(3), "Where the action runs": in a pid namespace, where the
 * action is the child of a child.  And GONS_REEXEC_DIE_WITH_PARENT: actions
 * end with their host, whichever thread started them.
 */

#include <sys/auxv.h>
#include <sys/syscall.h>
#include <sys/wait.h>

#include <linux/seccomp.h>

#include <atf-c.h>

#include <errno.h>
#include <fcntl.h>
#include <grp.h>
#include <pthread.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include <gons.h>

#include "helpers.h"
#include "rx.h"
#include "rx_actions.h"

#define OTHER_ID 12345

/*
 * The actions.
 */

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

/*
 * Sends its supervisor two signals, of which the second is handled later since
 * its number is higher, and says which of them come back.
 */
static int
signal_supervisor(void)
{
	const struct timespec patience = { 20, 0 };
	sigset_t set, pending;
	int signo;

	(void)sigemptyset(&set);
	(void)sigaddset(&set, SIGWINCH);
	(void)sigaddset(&set, SIGCHLD);
	(void)sigprocmask(SIG_BLOCK, &set, NULL);
	if (kill(getppid(), SIGCHLD) == -1 || kill(getppid(), SIGWINCH) == -1)
		return 1;
	(void)sigdelset(&set, SIGCHLD);
	signo = sigtimedwait(&set, NULL, &patience);
	(void)sigpending(&pending);
	printf("%d %d", signo == SIGWINCH, sigismember(&pending, SIGCHLD));
	return 0;
}

/* Closes what was kept for it, and stays. */
static int
let_go(void)
{
	if (close(rx_kept("KEPT")) == -1)
		return 1;
	for (;;)
		(void)pause();
}

static const struct rx_action actions[] = {
	{ "let_go", let_go },
	{ "print_pid", print_pid },
	{ "change_ids", change_ids },
	{ "stay", stay },
	{ "await_signal", await_signal },
	{ "signal_supervisor", signal_supervisor },
};

__attribute__((constructor)) static void
register_and_check(void)
{
	rx_register(actions, NELEM(actions));
	gons_reexec_check();
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
	rx_fails(req, GONS_FAIL_GONE, ESRCH, words);
	gons_reexec_free(req);
}

static void
pid_no_process_body(void *arg)
{
	static const struct rule rules[] = {
		{ SYS_clone, 0, CLONE_VM, 0, EAGAIN },
#ifdef SYS_fork
		{ SYS_fork, -1, 0, 0, EAGAIN },
#endif
	};
	struct gons_reexec *req = in_pid("print_pid", arg);

	forbid(rules, NELEM(rules));
	CHILD(gons_reexec_run(req) == -1 && errno == EAGAIN);
	CHILD(gons_reexec_failure(req) == GONS_FAIL_START);
	CHILD(strstr(gons_reexec_error(req), "no process can be made") != NULL);
	gons_reexec_free(req);
}

/* Where no process can be made, the container may well be there. */
static void
pid_no_process(void)
{
	struct target t;

	need_filters();
	target_start(&t, CLONE_NEWPID, 0);
	in_child(pid_no_process_body, &t);
	target_stop(&t);
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
 * SIGCHLD tells it to look after its action, and is not passed on; it may come
 * from anybody.
 */
static void
supervisor_signalled(void)
{
	struct gons_reexec *req = rx_new("signal_supervisor");

	rx_flags(req, GONS_REEXEC_DIE_WITH_PARENT);
	ATF_CHECK_STREQ("1 0", rx_ok(req));
	gons_reexec_free(req);
}

/* What is kept for the action is its alone. */
static void
supervisor_lets_go(void)
{
	struct gons_reexec *req = rx_new("let_go");
	int fd[2];

	rx_pipe(fd);
	rx_flags(req, GONS_REEXEC_DIE_WITH_PARENT);
	rx_keep(req, "KEPT", fd[1]);
	ATF_REQUIRE_EQ(0, gons_reexec_start(req));
	close(fd[1]);
	ATF_CHECK(rx_gone(fd[0], 10000));
	ATF_CHECK_EQ(0, gons_reexec_step(req));
	gons_reexec_free(req);
	close(fd[0]);
}

struct leaving {
	struct gons_reexec *req;
	int to;
};

/* A host that ends, and leaves its action and the supervisor of that. */
static void
start_and_end(void *arg)
{
	const struct leaving *leaving = arg;
	pid_t supervisor = 0;
	char path[64];
	FILE *f;

	CHILD(gons_reexec_start(leaving->req) == 0);
	(void)snprintf(
	    path, sizeof(path), "/proc/self/task/%d/children", (int)getpid());
	if ((f = fopen(path, "re")) != NULL) {
		CHILD(fscanf(f, "%d", &supervisor) == 1);
		fclose(f);
	}
	CHILD(write(leaving->to, &supervisor, sizeof(supervisor)) ==
	      sizeof(supervisor));
}

/* Does the process wait for something?  -1: it is not to be known. */
static int
sleeps(pid_t pid)
{
	char path[64], state[64];

	(void)snprintf(path, sizeof(path), "/proc/%d/status", (int)pid);
	rx_proc(path, "State", state, sizeof(state));
	return state[0] == '\0' ? -1 : state[0] == 'S';
}

/* The end of the host is seen once: whoever waits for the action does nothing. */
static void
pid_host_ends(void)
{
	int fd[2], in_a_row = 0, life[2], tries;
	struct leaving leaving;
	struct target t;
	pid_t supervisor;

	target_start(&t, CLONE_NEWPID, 0);
	rx_pipe(fd);
	rx_pipe(life);
	leaving.req = in_pid("stay", &t);
	leaving.to = fd[1];
	rx_keep(leaving.req, "LIFE", life[1]);
	in_child(start_and_end, &leaving);
	gons_reexec_free(leaving.req);
	close(life[1]);
	ATF_REQUIRE(rx_byte(life[0]) >= 0);
	ATF_REQUIRE_EQ((ssize_t)sizeof(supervisor),
	    read(fd[0], &supervisor, sizeof(supervisor)));
	if (supervisor == 0 || sleeps(supervisor) == -1)
		atf_tc_skip("this kernel does not tell");
	for (tries = 0; in_a_row < 20 && tries < 1000; tries++) {
		(void)usleep(10000);
		in_a_row = sleeps(supervisor) ? in_a_row + 1 : 0;
	}
	ATF_CHECK_EQ_MSG(20, in_a_row, "it runs again and again");
	ATF_REQUIRE_EQ(0, kill(supervisor, SIGTERM));
	ATF_CHECK(rx_gone(life[0], 10000));
	close(life[0]);
	close(fd[0]);
	close(fd[1]);
	target_stop(&t);
}

/*
 * Each wait for a byte is interrupted.  With every signal blocked no signal
 * does it, so a filter says so.
 */

static int interrupted; /* of both threads */

static int
interrupt_reads(const struct seccomp_notif *call)
{
	static int bytes;

	if (call->data.args[2] != 1 || bytes++ % 2 != 0)
		return 0;
	(void)__atomic_fetch_add(&interrupted, 1, __ATOMIC_SEQ_CST);
	return EINTR;
}

static void
wait_interrupted_body(void *unused)
{
	struct gons_reexec *req = rx_script("out x");

	(void)unused;
	rx_flags(req, GONS_REEXEC_DIE_WITH_PARENT);
	ask_a_thread(SYS_read, interrupt_reads);
	ATF_CHECK_STREQ("x", rx_ok(req));
	gons_reexec_free(req);
	CHILD(__atomic_load_n(&interrupted, __ATOMIC_SEQ_CST) > 0);
}

static void
wait_interrupted(void)
{
	need_filters();
	in_child(wait_interrupted_body, NULL);
}

static int sends, refused_send; /* of children, by both threads */

static int
refuse_send(const struct seccomp_notif *call)
{
	if ((pid_t)call->pid == getpid())
		return 0;
	return __atomic_add_fetch(&sends, 1, __ATOMIC_SEQ_CST) ==
		       __atomic_load_n(&refused_send, __ATOMIC_SEQ_CST)
		   ? ENOBUFS
		   : 0;
}

/*
 * The second message of the supervisor lets the action of the second run begin.
 * Some libc have another system call for it.
 */
static void
go_refused_body(void *unused)
{
	struct gons_reexec *req = rx_script("out x");

	(void)unused;
	CHILD(gons_reexec_setflags(
		  req, GONS_REEXEC_STAY | GONS_REEXEC_DIE_WITH_PARENT) == 0);
	CHILD(gons_reexec_settimeout(req, 60000) == 0);
	ask_a_thread(SYS_sendmsg, refuse_send);
	CHILD(gons_reexec_run(req) == 0);
	__atomic_store_n(&refused_send,
	    __atomic_load_n(&sends, __ATOMIC_SEQ_CST) + 2, __ATOMIC_SEQ_CST);
	if (gons_reexec_run(req) == 0)
		CHILD(__atomic_load_n(&sends, __ATOMIC_SEQ_CST) <
		      __atomic_load_n(&refused_send, __ATOMIC_SEQ_CST));
	else
		CHILD(gons_reexec_failure(req) == GONS_FAIL_EXIT);
	gons_reexec_free(req);
}

static void
go_refused(void)
{
	need_filters();
	in_child(go_refused_body, NULL);
}

static const struct rx_case cases[] = {
	{ "go_refused", go_refused, RX_EXEC | RX_UNCOUNTED,
	    "an action that nobody lets begin ends, and is no success" },
	{ "pid_inside", pid_inside, RX_SANDBOX,
	    "the action is inside the pid namespace" },
	{ "pid_ends", pid_ends, RX_SANDBOX,
	    "the end of an action in a pid namespace is seen" },
	{ "pid_grandchild", pid_grandchild, RX_SANDBOX,
	    "a process in there may hold the pipes" },
	{ "pid_timeout", pid_timeout, RX_SANDBOX,
	    "the time limit ends the action itself" },
	{ "pid_changed_ids", pid_changed_ids, RX_ROOT,
	    "the time limit ends an action of another user in there" },
	{ "changed_ids", changed_ids, RX_ROOT,
	    "the time limit ends an action of another user" },
	{ "pid_without_init", pid_without_init, RX_SANDBOX,
	    "a pid namespace whose init has ended is explained" },
	{ "pid_no_process", pid_no_process, RX_SANDBOX | RX_EXEC,
	    "no process for the action is no end of the container" },
	{ "pid_signals", pid_signals, RX_SANDBOX | RX_EXEC,
	    "signals to the supervisor reach the action" },
	{ "pid_host_ends", pid_host_ends, RX_SANDBOX | RX_EXEC,
	    "a supervisor does nothing while its action outlives the host" },
	{ "pid_by_target", pid_by_target, RX_SANDBOX,
	    "a target may have a pid namespace" },
	{ "die_with_parent", die_with_parent, 0,
	    "the child ends with the host, not with its thread" },
	{ "die_with_parent_root", die_with_parent_root, RX_ROOT,
	    "the child ends with the host, whatever its user ID" },
	{ "die_with_parent_ends", die_with_parent_ends, 0,
	    "the child ends if the host has ended before" },
	{ "supervisor_signalled", supervisor_signalled, 0,
	    "a supervisor passes signals on, except SIGCHLD" },
	{ "supervisor_lets_go", supervisor_lets_go, 0,
	    "a supervisor has nothing of what is kept for its action" },
	{ "wait_interrupted", wait_interrupted, RX_UNCOUNTED,
	    "an action waits for its supervisor, whatever interrupts it" },
};

ATF_TP_ADD_TCS(tp)
{
	return rx_cases(tp, cases, NELEM(cases));
}
