/*
 * SPDX-License-Identifier: BSD-2-Clause
 *
 * Copyright (c) 2026 The libgons developers
 *
 * gons_security(7), "Known attacks" by way of prepared children: they have no
 * more than the host still has, and neither they nor their host are taken for
 * others.
 */

#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>

#include <atf-c.h>

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <sched.h>
#include <signal.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <gons.h>

#include "h_fuse.h"
#include "helpers.h"
#include "rx.h"
#include "rx_actions.h"

#define SPIN 2 /* s of a processor's time: nobody needs as much */
#ifndef SYS_close_range
#define SYS_close_range 436
#endif

#ifndef SYS_clone3
#define SYS_clone3 435
#endif

pid_t __real_fork(void);
pid_t __wrap_fork(void);

/* As fork(2), but its number is chosen. */
static long
fork_as(pid_t number)
{
	struct {
		uint64_t flags, pidfd, child, parent, signal, stack, size, tls,
		    set, n;
	} args = { .signal = SIGCHLD, .set = (uintptr_t)&number, .n = 1 };

	return syscall(SYS_clone3, &args, sizeof(args));
}

/*
 * Another's process with that number, which tells it, and once more when it is
 * asked; it is nobody's child that the library knows.  Or -1 is told.
 */
static void
take_number(pid_t number)
{
	siginfo_t info;
	int ask, tell;
	pid_t helper;
	long pid;
	char c;

	if ((helper = __real_fork()) != 0) {
		(void)waitid(P_PID, (id_t)helper, &info, WEXITED);
		return;
	}
	if ((pid = fork_as(number)) > 0)
		_exit(0);
	tell = open("innocent", O_WRONLY);
	if (pid == -1) {
		dprintf(tell, "-1\n");
		_exit(1);
	}
	ask = open("ask", O_RDONLY);
	do
		dprintf(tell, "%d\n", (int)number);
	while (read(ask, &c, 1) == 1);
	_exit(1);
}

/*
 * In the prepared process, once the test has made the file: somebody kills the
 * spare before anything else is done, and has its number taken.  Where the
 * kernel does not reap it nobody can.
 */
pid_t
__wrap_fork(void)
{
	pid_t pid = __real_fork();
	siginfo_t info;

	if (pid <= 0 || getenv("TRAP") == NULL || unlink("trap") == -1)
		return pid;
	(void)kill(pid, SIGKILL);
	if (waitid(P_PID, (id_t)pid, &info, WEXITED | WNOWAIT) == 0)
		take_number(-1);
	else
		take_number(pid);
	return pid;
}

/* May it account?  Under the filter of a host: no. */
static int
filtered(void)
{
	return syscall(SYS_acct, "/nonexistent") != -1 ||
	       printf("%d", errno) < 0;
}

/* From the result "x" until the other end of descriptor LIFE is closed. */
static int
hold(void)
{
	return write(STDOUT_FILENO, "x", 1) != 1 ||
	       rx_byte(rx_kept("LIFE")) != -1;
}

static const struct rx_action actions[] = {
	{ "whoami", whoami },
	{ "whoami_less", whoami_less },
	{ "filtered", filtered },
	{ "hold", hold },
};

__attribute__((constructor)) static void
register_and_check(void)
{
	rx_register(actions, NELEM(actions));
	gons_reexec_check();
}

struct me {
	int parent, nice, cpus, oom;
};

static struct me
ask(void)
{
	struct gons_reexec *req = gons_reexec_new("whoami");
	struct me me;

	CHILD(req != NULL &&
	      gons_reexec_setflags(req, GONS_REEXEC_PREPARED) == 0);
	if (gons_reexec_run(req) == -1)
		fprintf(stderr, "%s\n", gons_reexec_error(req));
	CHILD(sscanf(gons_reexec_result(req, NULL), "%d %d %d %d", &me.parent,
		  &me.nice, &me.cpus, &me.oom) == 4);
	gons_reexec_free(req);
	return me;
}

/* What the host gives up is given up by those that it prepared, too. */
static void
given_up_body(void *unused)
{
	struct me first, now;
	int joined;

	(void)unused;
	CHILD(setpgid(0, 0) == 0);
	CHILD(gons_reexec_prepare() == 0);
	first = ask();
	now = ask();
	CHILD(now.parent == first.parent);
	CHILD(prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) == 0);
	now = ask();
	CHILD(now.parent != first.parent);
	first = now;
	joined = syscall(SYS_keyctl, 1 /* JOIN_SESSION_KEYRING */, NULL) != -1;
	CHILD(joined || errno == ENOSYS || errno == EPERM);
	now = ask();
	CHILD((now.parent != first.parent) == joined);
	gons_reexec_unprepare();
	first = ask();
	CHILD(now.parent != first.parent);
}

static void
given_up(void)
{
	in_child(given_up_body, NULL);
}

static void
allow_no_accounting(int errnum)
{
	const struct rule rule = { SYS_acct, -1, 0, 0, errnum };

	forbid(&rule, 1);
}

static void
check_filtered(struct gons_reexec *req, int errnum)
{
	char expected[16];

	(void)snprintf(expected, sizeof(expected), "%d", errnum);
	CHILD(gons_reexec_run(req) == 0);
	CHILD(strcmp(rx_result(req), expected) == 0);
}

/* A filter that the host adds is one of the next action's, too. */
static void
filter_added_body(void *unused)
{
	struct gons_reexec *req = gons_reexec_new("filtered");

	(void)unused;
	CHILD(gons_reexec_setflags(req, GONS_REEXEC_PREPARED) == 0);
	CHILD(gons_reexec_run(req) == 0);
	allow_no_accounting(EUCLEAN); /* sets no_new_privs, too */
	check_filtered(req, EUCLEAN);
	gons_reexec_unprepare();
	check_filtered(req, EUCLEAN);
	allow_no_accounting(ENOTNAM); /* only the number of filters tells */
	check_filtered(req, ENOTNAM);
	gons_reexec_free(req);
}

static void
filter_added(void)
{
	need_filters();
	in_child(filter_added_body, NULL);
}

/* A process that takes so much of a processor's time is killed. */
static void
limit_time(void)
{
	struct rlimit limit = { SPIN, SPIN };

	CHILD(setrlimit(RLIMIT_CPU, &limit) == 0);
}

/* A host whose prepared process may not poll, and which ends at once. */
static void
no_poll_body(void *arg)
{
	const int *runs = arg;
	static const struct rule rules[] = {
#ifdef SYS_poll
		{ SYS_poll, -1, 0, 0, EPERM },
#endif
		{ SYS_ppoll, -1, 0, 0, EPERM },
	};
	struct gons_reexec *req = gons_reexec_new("whoami_less");

	limit_time();
	forbid(rules, NELEM(rules));
	(void)gons_reexec_prepare();
	if (!*runs)
		_exit(0);
	CHILD(gons_reexec_setflags(req, GONS_REEXEC_PREPARED) == 0);
	CHILD(gons_reexec_settimeout(req, 2000) == 0);
	if (gons_reexec_run(req) == -1)
		CHILD(gons_reexec_error(req) != NULL);
	gons_reexec_free(req);
}

/* Orphans come to this process, so that it learns what they used. */
static void
no_poll(void)
{
	struct rusage used;
	int runs, status;

	need_filters();
	ATF_REQUIRE_EQ(0, prctl(PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0));
	for (runs = 0; runs < 2; runs++) {
		in_child(no_poll_body, &runs);
		/* After a run the library may have killed it. */
		while (waitpid(-1, &status, __WALL) > 0)
			ATF_CHECK_MSG(runs || WIFEXITED(status), "status %#x",
			    (unsigned)status);
		ATF_CHECK_EQ(ECHILD, errno);
	}
	ATF_REQUIRE_EQ(0, getrusage(RUSAGE_CHILDREN, &used));
	ATF_CHECK_MSG(used.ru_utime.tv_sec + used.ru_stime.tv_sec < SPIN,
	    "%ld s", (long)(used.ru_utime.tv_sec + used.ru_stime.tv_sec));
}

/* Prepared processes that were replaced are reaped by the library. */
static void
replaced_body(void *unused)
{
	struct me first, now;

	(void)unused;
	first = ask();
	now = ask();
	CHILD(now.parent == first.parent);
	gons_reexec_unprepare();
	now = ask();
	CHILD(now.parent != first.parent);
	gons_reexec_unprepare();
	all_end();
	CHILD(waitpid(-1, NULL, WNOHANG | __WALL) == -1 && errno == ECHILD);
}

static void
subreaper_body(void *unused)
{
	CHILD(prctl(PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0) == 0);
	replaced_body(unused);
}

static void
init_body(void *unused)
{
	int status;
	pid_t pid;

	CHILD(unshare(CLONE_NEWPID) == 0 && (pid = fork()) != -1);
	if (pid == 0) {
		CHILD(getpid() == 1);
		replaced_body(unused);
		_exit(0);
	}
	CHILD(waitpid(pid, &status, 0) == pid && status == 0);
}

static void
subreaper(void)
{
	in_child(subreaper_body, NULL);
}

static void
init(void)
{
	in_child(init_body, NULL);
}

static void
new_session_body(void *unused)
{
	struct me first, now;

	(void)unused;
	first = ask();
	CHILD(setsid() != -1);
	now = ask();
	CHILD(now.parent != first.parent);
}

static void
new_session(void)
{
	in_child(new_session_body, NULL);
}

static void
follows_body(void *unused)
{
	cpu_set_t cpus;
	struct me me;
	FILE *f;

	(void)unused;
	me = ask();
	CHILD(me.nice == getpriority(PRIO_PROCESS, 0));
	CHILD(setpriority(PRIO_PROCESS, 0, me.nice + 3) == 0);
	CPU_ZERO(&cpus);
	CPU_SET(sched_getcpu(), &cpus);
	CHILD(sched_setaffinity(0, sizeof(cpus), &cpus) == 0);
	CHILD((f = fopen("/proc/self/oom_score_adj", "w")) != NULL);
	CHILD(fprintf(f, "321") == 3 && fclose(f) == 0);
	CHILD(ask().nice == me.nice + 3);
	CHILD(ask().cpus == 1);
	CHILD(ask().oom == 321);
}

static void
follows(void)
{
	in_child(follows_body, NULL);
}

/* What comes to the process group while spares wait is for nobody. */
static void
signalled_body(void *unused)
{
	struct me first;

	(void)unused;
	CHILD(setpgid(0, 0) == 0);
	CHILD(signal(SIGINT, SIG_IGN) != SIG_ERR);
	first = ask();
	CHILD(kill(0, SIGINT) == 0);
	CHILD(ask().parent == first.parent);
	CHILD(kill(0, SIGINT) == 0);
	CHILD(ask().parent == first.parent);
	CHILD(ask().parent == first.parent);
}

static void
signalled(void)
{
	in_child(signalled_body, NULL);
}

/* A copy that no handler of fork(3) has seen. */
static void
copied_body(void *unused)
{
	struct me first = ask();
	int status;
	pid_t pid;

	(void)unused;
	pid = (pid_t)syscall(SYS_clone, SIGCHLD, NULL, NULL, NULL, 0L);
	if (pid == 0)
		_exit(ask().parent == first.parent);
	CHILD(waitpid(pid, &status, 0) == pid && status == 0);
	CHILD(ask().parent == first.parent);
}

static void
copied(void)
{
	in_child(copied_body, NULL);
}

/* The host closes all that it does not know, and opens something else. */
static void
closed_behind_body(void *unused)
{
	struct gons_reexec *req = gons_reexec_new("whoami");
	int fd, i, innocent, status;
	pid_t pid;

	(void)unused;
	if (rx_mode != 0)
		CHILD(gons_reexec_prepare() == 0);
	CHILD((pid = fork()) != -1);
	if (pid == 0)
		for (;;)
			pause();
	CHILD(syscall(SYS_close_range, 3, ~0U, 0) == 0);
	CHILD((innocent = pidfd_of(pid)) != -1);
	for (i = 0; i < 40; i++) {
		fd = fcntl(i % 2 == 0 ? innocent : STDIN_FILENO, F_DUPFD, 3);
		CHILD(fd != -1);
	}
	CHILD(gons_reexec_setflags(req, rx_mode) == 0);
	CHILD(gons_reexec_run(req) == -1 && errno == EBADF);
	gons_reexec_free(req);
	gons_reexec_unprepare();
	for (i = innocent; i <= fd; i++)
		CHILD(fcntl(i, F_GETFD) != -1);
	CHILD(waitpid(pid, &status, WNOHANG) == 0);
	CHILD(kill(pid, SIGKILL) == 0);
	CHILD(waitpid(pid, &status, 0) == pid);
}

static void
closed_behind(void)
{
	in_child(closed_behind_body, NULL);
}

enum {
	NUMBERS = 128
}; /* descriptors that are looked at */

/*
 * All numbers that a run has got become the host's own file meanwhile.  Nothing
 * is read from that or written to it, and the action does not run once more.
 */
static void
replaced_meanwhile(unsigned flags, int kills)
{
	int fd, life[2], mine[2], replaced[NUMBERS] = { 0 }, was[NUMBERS];
	struct gons_reexec *req = gons_reexec_new("hold");
	char data[8];

	rx_pipe(life);
	rx_keep(req, "LIFE", life[0]);
	CHILD(gons_reexec_setflags(req, rx_mode | flags) == 0);
	CHILD(socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, mine) == 0);
	CHILD(write(mine[1], "mine", 4) == 4);
	for (fd = 0; fd < NUMBERS; fd++)
		was[fd] = fcntl(fd, F_GETFD) != -1;
	CHILD(gons_reexec_start(req) == 0);
	for (fd = 0; fd < NUMBERS; fd++)
		if (!was[fd] && fcntl(fd, F_GETFD) != -1)
			replaced[fd] = dup2(mine[0], fd) == fd;
	if (kills)
		CHILD(gons_reexec_kill(req) == 0);
	close(life[1]);
	CHILD(gons_reexec_wait(req) == -1);
	gons_reexec_free(req);
	CHILD(recv(mine[0], data, sizeof(data), MSG_DONTWAIT) == 4);
	CHILD(recv(mine[1], data, sizeof(data), MSG_DONTWAIT) == -1 &&
	      errno == EAGAIN);
	for (fd = 0; fd < NUMBERS; fd++)
		CHILD(!replaced[fd] || fcntl(fd, F_GETFD) != -1);
}

static void
all_replaced_body(void *unused)
{
	int kills;

	(void)unused;
	if (RX_PREPARED)
		CHILD(gons_reexec_prepare() == 0);
	for (kills = 0; kills < 2; kills++) {
		replaced_meanwhile(0, kills);
		replaced_meanwhile(GONS_REEXEC_DIE_WITH_PARENT, kills);
	}
}

static void
all_replaced(void)
{
	in_child(all_replaced_body, NULL);
}

/* This process's descriptor for another than these two; -1: there is none. */
static int
pidfd_of_other(pid_t one, pid_t two)
{
	char path[64], pid[16];
	int fd;

	for (fd = 3; fd < 256; fd++) {
		(void)snprintf(path, sizeof(path), "/proc/self/fdinfo/%d", fd);
		rx_proc(path, "Pid", pid, sizeof(pid));
		if (atoi(pid) > 0 && atoi(pid) != one && atoi(pid) != two)
			return fd;
	}
	return -1;
}

enum replaced {
	PREPARED,
	UNPREPARED, /* there is no prepared process any more */
	REAPED /* the host knows how its child has ended */
};

/*
 * While an action runs, the number of the library's descriptor for its process
 * becomes that of another child of the host's.  Its status is the host's.
 */
static void
replaced_pidfd_body(void *arg)
{
	const enum replaced *when = arg;
	struct gons_reexec *req = gons_reexec_new("hold");
	pid_t pid, server = ask().parent;
	int fd, innocent, life[2], status;
	struct pollfd p;
	siginfo_t info;
	size_t len;

	rx_pipe(life);
	rx_keep(req, "LIFE", life[0]);
	CHILD(gons_reexec_setflags(req, GONS_REEXEC_PREPARED) == 0);
	CHILD((pid = fork()) != -1);
	if (pid == 0)
		_exit(7);
	CHILD((innocent = pidfd_of(pid)) != -1);
	CHILD(waitid(P_PID, (id_t)pid, &info, WEXITED | WNOWAIT) == 0);
	CHILD(gons_reexec_start(req) == 0);
	p.fd = gons_reexec_fd(req);
	p.events = POLLIN;
	do {
		(void)poll(&p, 1, -1);
		CHILD(gons_reexec_step(req) == 0);
		(void)gons_reexec_result(req, &len);
	} while (len == 0);
	CHILD((fd = pidfd_of_other(server, pid)) != -1);
	CHILD(dup2(innocent, fd) == fd);
	if (*when == UNPREPARED)
		gons_reexec_unprepare();
	if (*when == REAPED)
		CHILD(waitpid(pid, &status, 0) == pid);
	close(life[1]);
	/* It may be known from the action's own process alone. */
	CHILD(gons_reexec_wait(req) == 0 || errno == ECHILD);
	CHILD(gons_reexec_status(req) != 7 << 8);
	gons_reexec_free(req);
	CHILD(fcntl(fd, F_GETFD) != -1);
	if (*when != REAPED)
		CHILD(waitpid(pid, &status, 0) == pid && status == 7 << 8);
}

static void
replaced_pidfd(void)
{
	enum replaced when;

	for (when = PREPARED; when <= REAPED; when++)
		in_child(replaced_pidfd_body, &when);
}

/* Waits until it waits in poll(2). */
static void
await_poll(pid_t pid)
{
	char path[64], text[32];
	long call;

	(void)snprintf(path, sizeof(path), "/proc/%d/syscall", (int)pid);
	do {
		(void)sched_yield();
		rx_read_file(path, text, sizeof(text));
		call = text[0] == 'r' ? -1 : strtol(text, NULL, 10);
#ifdef SYS_poll
		if (call == SYS_poll)
			return;
#endif
	} while (call != SYS_ppoll);
}

/* -1: nothing will be told. */
static pid_t
await_number(int fd)
{
	char text[16] = "";
	struct pollfd p;

	p.fd = fd;
	p.events = POLLIN;
	CHILD(poll(&p, 1, -1) == 1);
	return read(fd, text, sizeof(text) - 1) > 0 ? atoi(text) : -1;
}

/*
 * Who may signal the prepared process kills a spare that it has just made, and
 * another process gets the number of that one.  The host must not take it for
 * the spare, of which it ends those that are left.
 */
static void
number_reused_body(void *unused)
{
	pid_t innocent, server;
	int ask_it, fd;

	(void)unused;
	CHILD(mkfifo("innocent", 0600) == 0 && mkfifo("ask", 0600) == 0);
	CHILD((fd = open("innocent", O_RDONLY | O_NONBLOCK)) != -1);
	CHILD((ask_it = open("ask", O_RDWR)) != -1);
	CHILD(setenv("TRAP", "", 1) == 0);
	CHILD(gons_reexec_setspares(1) == 0);
	server = ask().parent;
	CHILD(close(open("trap", O_CREAT | O_WRONLY, 0600)) == 0);
	CHILD(gons_reexec_setspares(8) == 0);
	innocent = await_number(fd);
	await_poll(server);
	gons_reexec_unprepare();
	if (innocent != -1) {
		CHILD(write(ask_it, "", 1) == 1);
		CHILD(await_number(fd) == innocent);
		CHILD(kill(innocent, SIGKILL) == 0);
	}
	CHILD(ask().parent != server);
}

static void
number_reused(void)
{
	/* nobody can be 1 again, but who may choose is told so */
	if (fork_as(1) == -1 && errno != EEXIST)
		atf_tc_skip(
		    "process IDs cannot be chosen here: %s", strerror(errno));
	in_child(number_reused_body, NULL);
}

/*
 * With too few descriptors requests fail, but what this process is can still be
 * told from what it was: the prepared process stays.
 */
static void
few_descriptors_body(void *unused)
{
	struct gons_reexec *req = gons_reexec_new("whoami");
	struct rlimit limit, less;
	struct me first;
	int fd, failed = 0;

	(void)unused;
	first = ask();
	CHILD(gons_reexec_setflags(req, GONS_REEXEC_PREPARED) == 0);
	CHILD(getrlimit(RLIMIT_NOFILE, &limit) == 0);
	less = limit;
	/* The library's own are in the way of some. */
	for (fd = 3; fd < 64; fd++) {
		less.rlim_cur = (rlim_t)fd;
		CHILD(setrlimit(RLIMIT_NOFILE, &less) == 0);
		if (gons_reexec_run(req) == 0)
			continue;
		CHILD(errno == EMFILE);
		failed++;
	}
	CHILD(failed > 0);
	CHILD(setrlimit(RLIMIT_NOFILE, &limit) == 0);
	CHILD(ask().parent == first.parent);
	gons_reexec_free(req);
}

static void
few_descriptors(void)
{
	in_child(few_descriptors_body, NULL);
}

/*
 * The host closes the library's descriptor of its oom_score_adj, and opens
 * something else at that number, which neither is read nor is closed.
 */
static void
oom_replaced_body(void *unused)
{
	char link[64], name[64];
	int fd, file, replaced = -1, was;
	ssize_t n;

	(void)unused;
	was = ask().oom;
	CHILD((file = open("file", O_RDWR | O_CREAT | O_CLOEXEC, 0600)) != -1);
	CHILD(write(file, "987", 3) == 3);
	for (fd = 3; fd < 256; fd++) {
		(void)snprintf(link, sizeof(link), "/proc/self/fd/%d", fd);
		n = readlink(link, name, sizeof(name) - 1);
		name[n > 0 ? n : 0] = '\0';
		if (strstr(name, "/oom_score_adj") != NULL) {
			CHILD(replaced == -1 && dup2(file, fd) == fd);
			replaced = fd;
		}
	}
	CHILD(replaced != -1);
	CHILD(ask().oom == was);
	gons_reexec_unprepare();
	CHILD(ask().oom == was);
	CHILD(pread(replaced, name, sizeof(name), 0) == 3);
}

static void
oom_replaced(void)
{
	in_child(oom_replaced_body, NULL);
}

static const struct rx_case cases[] = {
	{ "filter_added", filter_added, RX_EXEC,
	    "prepared children have the filters that the host has added" },
	{ "no_poll", no_poll, RX_EXEC,
	    "a prepared process that may not poll ends with its host" },
	{ "subreaper", subreaper, RX_EXEC,
	    "a host that orphans come to has no zombies" },
	{ "init", init, RX_EXEC | RX_ROOT,
	    "neither has a host that is the first process" },
	{ "given_up", given_up, RX_EXEC,
	    "prepared children do not keep what the host gave up" },
	{ "new_session", new_session, RX_EXEC,
	    "prepared children are in the session of the host" },
	{ "follows", follows, RX_EXEC,
	    "prepared children are as nice as the host" },
	{ "signalled", signalled, RX_EXEC,
	    "signals that came while a spare waited reach no action" },
	{ "copied", copied, RX_EXEC,
	    "a copy by clone does not use its parent's prepared process" },
	{ "number_reused", number_reused, RX_EXEC | RX_ROOT,
	    "no process is killed that has got the number of a spare" },
	{ "few_descriptors", few_descriptors, RX_EXEC,
	    "a want of descriptors is not taken for another standing" },
	{ "replaced_pidfd", replaced_pidfd, RX_EXEC,
	    "no process is reaped whose descriptor has got the number" },
	{ "all_replaced", all_replaced, 0,
	    "numbers that became others during a run are not used either" },
	{ "closed_behind", closed_behind, 0,
	    "descriptors that became others are neither used nor closed" },
	{ "oom_replaced", oom_replaced, RX_EXEC,
	    "what was opened in place of oom_score_adj is not read" },
};

ATF_TP_ADD_TCS(tp)
{
	return rx_cases(tp, cases, NELEM(cases));
}
