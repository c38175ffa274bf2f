/*
 * SPDX-License-Identifier: BSD-2-Clause
 *
 * Copyright (c) 2026 The libgons developers
 *
 * Hosts that were executed in an odd way or place: by a descriptor, from
 * memory, without arguments, where something is mounted on a file of /proc;
 * a static program;
 * one that its user may not read, or whose link in /proc leads elsewhere;
 * hosts that change their effective user ID; children whose cgroup changes
 * while they run; and a program that is executed as a child by no host.
 */

#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/mount.h>
#include <sys/prctl.h>
#include <sys/sendfile.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/uio.h>
#include <sys/wait.h>

#include <linux/seccomp.h>

#include <atf-c.h>

#include <errno.h>
#include <fcntl.h>
#include <grp.h>
#include <poll.h>
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <gons.h>

#include "helpers.h"
#include "rx.h"

#define COMM 15 /* characters of a process name */
#define STOLEN_HOST 7 /* exit status: it has gone on as if it were no child */
#define PATIENCE 10000 /* ms for what happens at once */

#ifndef SYS_fsopen
#define SYS_open_tree 428
#define SYS_move_mount 429
#define SYS_fsopen 430
#define SYS_fsconfig 431
#define SYS_fsmount 432
#endif
#ifndef MFD_EXEC
#define MFD_EXEC 0x0010u
#endif

static int
name(void)
{
	char comm[32] = "";

	return prctl(PR_GET_NAME, comm, 0, 0, 0) == -1 ||
	       printf("%s", comm) < 0;
}

/* This process, and the one between it and the host if there is one. */
static void
enter_cgroup(void)
{
	int procs = rx_kept("PROCS");

	if (dprintf(procs, "%d", (int)getpid()) < 0 ||
	    (getenv("SUPERVISED") != NULL &&
		dprintf(procs, "%d", (int)getppid()) < 0))
		exit(9);
}

/* Tells which is its cgroup after that. */
static int
move(void)
{
	char text[4096], *mine;

	enter_cgroup();
	rx_read_file("/proc/self/cgroup", text, sizeof(text));
	if ((mine = strstr(text, "0::")) == NULL)
		return 8;
	mine[strcspn(mine, "\n")] = '\0';
	return printf("%s", mine) < 0;
}

/* It does not end with its supervisor. */
static int
freeze(void)
{
	int life = rx_kept("LIFE");

	(void)prctl(PR_SET_PDEATHSIG, 0, 0, 0, 0);
	enter_cgroup();
	if (write(life, "x", 1) != 1 || dprintf(rx_kept("FREEZE"), "1") != 1)
		return 7;
	for (;;)
		(void)pause();
}

/* As the host: HOW are the flags of its requests. */
static void
be_a_host(const char *how)
{
	struct gons_reexec *req = gons_reexec_new("name");
	unsigned flags = (unsigned)strtoul(how, NULL, 10);
	int i, r, unreadable;

	CHILD(req != NULL);
	unreadable = open("/proc/self/exe", O_RDONLY | O_CLOEXEC) == -1 &&
		     errno == EACCES;
	for (i = 0; i < 2; i++) {
		CHILD(gons_reexec_setflags(
			  req, flags | (i == 0 ? 0 : GONS_REEXEC_SEALED)) == 0);
		r = gons_reexec_run(req);
		if (i == 1 && unreadable) {
			CHILD(r == -1 && errno == EACCES);
			CHILD(gons_reexec_failure(req) == GONS_FAIL_START);
			break;
		}
		if (r == -1)
			fprintf(stderr, "%s\n", gons_reexec_error(req));
		CHILD(gons_reexec_failure(req) == 0);
		/* The child is named as the host is by its argument. */
		CHILD(program_invocation_short_name[0] == '\0' ||
		      strncmp(rx_result(req), program_invocation_short_name,
			  COMM) == 0);
	}
	gons_reexec_free(req);
	_exit(0);
}

/*
 * Of the library; out of reach in the shared one.  Start-up comes once more, and
 * what it finds is what another copy in this process would find.
 */
void gons__status_again(char **) __attribute__((weak));

__attribute__((constructor)) static void
actions(void)
{
	const char *how = getenv("ODD_HOST");
	int stolen = getenv("ODD_STOLEN") != NULL;

	if (gons_reexec_register("name", name) == -1 ||
	    gons_reexec_register("move", move) == -1 ||
	    gons_reexec_register("freeze", freeze) == -1)
		abort();
	/* Without an argument libc knows no name. */
	if (*program_invocation_name == '\0')
		program_invocation_name = NULL;
	if (stolen)
		gons__status_again(environ);
	gons_reexec_check();
	if (stolen)
		_exit(STOLEN_HOST);
	if (how != NULL)
		be_a_host(how);
}

/*
 * Hosts.
 */

static char **
odd_env(void)
{
	static char how[32], coverage[] = "GONS_COVERAGE=0";
	static char *env[] = { how, coverage, NULL };

	(void)snprintf(how, sizeof(how), "ODD_HOST=%u", rx_mode);
	return env;
}

static int
own_file(void)
{
	int fd = open("/proc/self/exe", O_RDONLY | O_CLOEXEC);

	CHILD(fd != -1);
	return fd;
}

static void
copy_file(int from, int to)
{
	struct stat st;
	off_t at = 0;

	CHILD(fstat(from, &st) == 0);
	while (at < st.st_size)
		CHILD(sendfile(to, from, &at, (size_t)(st.st_size - at)) > 0);
}

static void
by_descriptor_body(void *unused)
{
	char arg[] = "odd", *argv[] = { arg, NULL };

	(void)unused;
	(void)fexecve(own_file(), argv, odd_env());
	CHILD(0);
}

static void
by_descriptor(void)
{
	in_child(by_descriptor_body, NULL);
}

/* Its file has no other name than what the kernel makes up. */
static void
from_memory_body(void *unused)
{
	char arg[] = "odd", *argv[] = { arg, NULL };
	int to;

	(void)unused;
	to = (int)syscall(SYS_memfd_create, "odd", MFD_CLOEXEC | MFD_EXEC);
	if (to == -1 && errno == EINVAL) /* before Linux 6.3 */
		to = (int)syscall(SYS_memfd_create, "odd", MFD_CLOEXEC);
	CHILD(to != -1);
	copy_file(own_file(), to);
	(void)fexecve(to, argv, odd_env());
	CHILD(0);
}

static void
from_memory(void)
{
	in_child(from_memory_body, NULL);
}

/* Its user may execute it, and do nothing else with its file. */
static void
unreadable_body(void *unused)
{
	char arg[] = "odd", *argv[] = { arg, NULL }, path[64];
	int exe, fd;

	(void)unused;
	fd = open("unreadable", O_CREAT | O_WRONLY | O_CLOEXEC, 0700);
	CHILD(fd != -1);
	copy_file(own_file(), fd);
	CHILD(fchmod(fd, 0711) == 0 && close(fd) == 0);
	CHILD((exe = open("unreadable", O_PATH | O_CLOEXEC)) != -1);
	drop_to_nobody();
	(void)snprintf(path, sizeof(path), "/proc/self/fd/%d", exe);
	CHILD(open(path, O_RDONLY) == -1 && errno == EACCES);
	(void)fexecve(exe, argv, odd_env());
	CHILD(0);
}

static void
unreadable(void)
{
	need_nobody();
	in_child(unreadable_body, NULL);
}

/*
 * Since Linux 5.18 the kernel gives it an empty one.  Before it reaches
 * gons_reexec_check(3) actions() takes that away again.
 */
static void
no_arguments_body(void *unused)
{
	char *argv[] = { NULL };

	(void)unused;
	(void)execve("/proc/self/exe", argv, odd_env());
	CHILD(0);
}

static void
no_arguments(void)
{
	in_child(no_arguments_body, NULL);
}

/* No dynamic linker has a part in it.  h_fault is static where it can be. */
static void
static_program(void)
{
	struct program *r = run_new();

	if (SANITIZER)
		atf_tc_skip("h_fault counts the sanitizer's memory, too");
	r->args[0] = "run";
	r->args[1] = RX_PREPARED			 ? "prepared"
		     : (rx_mode & GONS_REEXEC_STAY) != 0 ? "stay"
							 : "plain";
	run_env(r, "GONS_COVERAGE=0");
	run(r, rx_srcdir, "h_fault");
	ATF_CHECK_EQ_MSG(0, r->status, "status %#x", r->status);
	ATF_CHECK_STREQ("outcome ok\nfired 0\noutcome ok\n", r->out);
	ATF_CHECK_STREQ("", r->err);
}

/* The kernel would execute the program in secure-execution mode. */
static void
other_user_body(void *unused)
{
	struct gons_reexec *req = gons_reexec_new("name");

	(void)unused;
	CHILD(req != NULL && gons_reexec_setflags(req, rx_mode) == 0);
	CHILD(seteuid(NOBODY) == 0);
	CHILD(gons_reexec_run(req) == -1);
	fprintf(stderr, "%s\n", gons_reexec_error(req));
	CHILD(strstr(gons_reexec_error(req), "secure-execution mode") != NULL);
	gons_reexec_free(req);
}

static void
other_user(void)
{
	need_nobody();
	in_child(other_user_body, NULL);
}

/* So many that other lines of /proc/self/status come late. */
static void
many_groups_body(void *unused)
{
	struct gons_reexec *req = gons_reexec_new("name");
	static gid_t groups[1000];
	size_t i;

	(void)unused;
	for (i = 0; i < NELEM(groups); i++)
		groups[i] = (gid_t)(100000 + i);
	CHILD(setgroups(NELEM(groups), groups) == 0);
	CHILD(req != NULL && gons_reexec_setflags(req, rx_mode) == 0);
	if (gons_reexec_run(req) == -1)
		fprintf(stderr, "%s\n", gons_reexec_error(req));
	CHILD(gons_reexec_failure(req) == GONS_FAIL_NONE);
	gons_reexec_free(req);
}

static void
many_groups(void)
{
	need_nobody();
	in_child(many_groups_body, NULL);
}

/*
 * /proc is genuine, but for a file or a directory that is mounted on a part of
 * it before the program begins.
 */

/* On the link itself, not where it leads. */
static void
cover(const char *path)
{
	struct stat st;
	int tree;

	CHILD(lstat(path, &st) == 0);
	tree = (int)syscall(SYS_open_tree, AT_FDCWD,
	    S_ISDIR(st.st_mode) ? "forged.d" : "forged",
	    1u | O_CLOEXEC /* OPEN_TREE_CLONE */);
	CHILD(tree != -1);
	if (syscall(SYS_move_mount, tree, "", AT_FDCWD, path,
		4u /* MOVE_MOUNT_F_EMPTY_PATH */) == -1)
		_exit(0); /* this kernel does not let anybody */
	(void)close(tree);
}

static void
covered_body(void *arg)
{
	char name_arg[] = "odd", *argv[] = { name_arg, NULL };
	int exe = own_file(), fd;

	CHILD(unshare(CLONE_NEWNS) == 0);
	CHILD(mount(NULL, "/", NULL, MS_REC | MS_PRIVATE, NULL) == 0);
	fd = open("forged", O_CREAT | O_WRONLY | O_CLOEXEC, 0700);
	CHILD(fd != -1);
	CHILD(dprintf(fd, "#!/bin/sh\necho 0\n") > 0 && close(fd) == 0);
	CHILD(mkdir("forged.d", 0700) == 0 || errno == EEXIST);
	cover(arg);
	(void)fexecve(exe, argv, odd_env());
	CHILD(0);
}

static void
covered(void)
{
	static const char *const paths[] = { "/proc/self", "/proc/thread-self",
		"/proc/self/exe", "/proc/self/fd", "/proc/self/fdinfo",
		"/proc/self/maps", "/proc/self/ns", "/proc/self/oom_score_adj",
		"/proc/self/status" };
	char path[64];
	size_t i;
	int fs;

	if (SANITIZER)
		atf_tc_skip("a sanitizer reads those files itself");
	fs = (int)syscall(SYS_fsopen, "proc", 1u /* FSOPEN_CLOEXEC */);
	if (fs == -1)
		atf_tc_skip("no private /proc: %s", strerror(errno));
	(void)close(fs);
	for (i = 0; i < NELEM(paths); i++) {
		(void)snprintf(path, sizeof(path), "%s", paths[i]);
		printf("%s\n", path);
		fflush(stdout);
		in_child(covered_body, path);
	}
}

#ifdef SECCOMP_IOCTL_NOTIF_ADDFD
/*
 * As under valgrind(1) and its like: where the kernel's link leads is no program
 * of ours, but they answer for its usual name with what we are.
 */

static int
asks_for_link(const struct seccomp_notif *call)
{
	static const char wanted[] = "self/exe";
	char asked[sizeof(wanted)];
	struct iovec to = { asked, sizeof(asked) }, from;

	from.iov_base = (void *)(uintptr_t)call->data.args[1];
	from.iov_len = sizeof(asked);
	return (int)call->data.args[0] != AT_FDCWD &&
	       process_vm_readv((pid_t)call->pid, &to, 1, &from, 1, 0) ==
		   (ssize_t)sizeof(asked) &&
	       memcmp(asked, wanted, sizeof(asked)) == 0;
}

/* 1: it has got the other file. */
static int
answer_openat(int listener, int other)
{
	struct seccomp_notif call;
	struct seccomp_notif_addfd more;
	struct seccomp_notif_resp answer;
	int is_link;

	memset(&call, 0, sizeof(call));
	memset(&more, 0, sizeof(more));
	memset(&answer, 0, sizeof(answer));
	if (ioctl(listener, SECCOMP_IOCTL_NOTIF_RECV, &call) == -1)
		return 0;
	answer.id = more.id = call.id;
	answer.flags = SECCOMP_USER_NOTIF_FLAG_CONTINUE;
	if ((is_link = asks_for_link(&call))) {
		more.srcfd = (uint32_t)other;
		more.newfd_flags = O_CLOEXEC;
		answer.flags = 0;
		answer.val = ioctl(listener, SECCOMP_IOCTL_NOTIF_ADDFD, &more);
		if (answer.val == -1)
			_exit(0); /* before Linux 5.9 */
	}
	(void)ioctl(listener, SECCOMP_IOCTL_NOTIF_SEND, &answer);
	return is_link;
}

/* This process has the filter, too, and opens nothing after that. */
static void
other_link_body(void *unused)
{
	char arg[] = "odd", *argv[] = { arg, NULL };
	int exe = own_file(), links = 0, other, status;
	struct pollfd p[2];
	pid_t pid;

	(void)unused;
	CHILD((other = open("/dev/null", O_RDONLY | O_CLOEXEC)) != -1);
	CHILD(prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) == 0);
	CHILD((p[0].fd = ask_about(SYS_openat)) != -1);
	CHILD((pid = fork()) != -1);
	if (pid == 0) {
		(void)fexecve(exe, argv, odd_env());
		CHILD(0);
	}
	CHILD((p[1].fd = pidfd_of(pid)) != -1);
	p[0].events = p[1].events = POLLIN;
	do {
		CHILD(poll(p, 2, -1) > 0);
		if ((p[0].revents & POLLIN) != 0)
			links += answer_openat(p[0].fd, other);
	} while (p[1].revents == 0);
	CHILD(waitpid(pid, &status, 0) == pid && status == 0);
	CHILD(links == 1);
}

static void
other_link(void)
{
	need_filters();
	in_child(other_link_body, NULL);
}
#else
static void
other_link(void)
{
	atf_tc_skip("the headers of this kernel are too old");
}
#endif

/*
 * The program is executed by somebody who is no host of it.  A text has all
 * that belongs there, but for a descriptor that only a host would have made:
 * the pipe to tell the host on, or the socket of a prepared process.
 */

enum {
	FILE_FD = 20,
	PIPE_FD,
	STREAM_FD,
	CLOSED_FD
};

static const struct by_hand {
	const char *text;
	int runs;
	int stolen; /* another copy of the library comes first */
} by_hands[] = {
	{ "0:21,,,,,,:name", 1, 0 },
	{ "0:21,,,,,,:name", 0, 1 },
	{ "0:20,,,,,,:name", 0, 0 },
	{ "0:22,,,,,,:name", 0, 0 },
	{ "0:23,,,,,,:name", 0, 0 },
	{ "0:,,,,,,:name", 0, 0 },
	{ "0:21,,,,,,:", 0, 0 },
	{ "1073741824:21,,,,,20,:name", 0, 0 }, /* GONS__PREPARE */
	{ "1073741824:21,,,,,21,:name", 0, 0 },
	{ "1073741824:21,,,,,22,:name", 0, 0 },
	{ "1073741824:21,,,,,23,:name", 0, 0 },
	{ "1073741824:21,,,,,,:name", 0, 0 },
};

static void
execute_by_hand(const struct by_hand *how, int said)
{
	char arg[] = "odd", coverage[] = "GONS_COVERAGE=0", text[64];
	char stolen[] = "ODD_STOLEN=1", *argv[] = { arg, NULL };
	char *env[] = { text, coverage, how->stolen ? stolen : NULL, NULL };
	int file, pipes[2], sock[2];

	(void)snprintf(text, sizeof(text), "gons_reexec_action=%s", how->text);
	file = open("/dev/null", O_RDWR | O_CLOEXEC);
	CHILD(file != -1 && pipe2(pipes, O_CLOEXEC) == 0);
	CHILD(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, sock) == 0);
	CHILD(dup2(file, FILE_FD) == FILE_FD);
	CHILD(dup2(pipes[1], PIPE_FD) == PIPE_FD);
	CHILD(dup2(sock[0], STREAM_FD) == STREAM_FD);
	(void)close(CLOSED_FD);
	CHILD(dup2(file, STDIN_FILENO) == STDIN_FILENO);
	CHILD(dup2(said, STDOUT_FILENO) == STDOUT_FILENO);
	CHILD(dup2(said, STDERR_FILENO) == STDERR_FILENO);
	(void)execve("/proc/self/exe", argv, env);
	CHILD(0);
}

static void
by_hand(void)
{
	const char *why;
	char said[1024];
	int fd[2], status;
	size_t i, len;
	ssize_t n;
	pid_t pid;

	for (i = 0; i < NELEM(by_hands); i++) {
		if (by_hands[i].stolen &&
		    (SANITIZER || gons__status_again == NULL))
			continue;
		rx_pipe(fd);
		ATF_REQUIRE((pid = fork()) != -1);
		if (pid == 0)
			execute_by_hand(&by_hands[i], fd[1]);
		(void)close(fd[1]);
		for (len = 0; len < sizeof(said) - 1; len += (size_t)n)
			if ((n = read(fd[0], said + len,
				 sizeof(said) - 1 - len)) < 1)
				break;
		said[len] = '\0';
		(void)close(fd[0]);
		ATF_REQUIRE_EQ(pid, waitpid(pid, &status, 0));
		ATF_CHECK_EQ_MSG(by_hands[i].runs ? 0 : 1 << 8, status,
		    "%s: status %#x", by_hands[i].text, status);
		why = by_hands[i].stolen ? "another copy" : "private";
		ATF_CHECK_EQ_MSG(!by_hands[i].runs, strstr(said, why) != NULL,
		    "%s: %s", by_hands[i].text, said);
	}
}

/*
 * Cgroups of version 2.
 */

struct cgroup {
	int root; /* of a mount that nobody else sees */
	char name[32];
	int procs, freeze;
};

static void
cgroup_make(struct cgroup *c)
{
	char path[64];
	int fs;

	fs = (int)syscall(SYS_fsopen, "cgroup2", 1u /* FSOPEN_CLOEXEC */);
	if (fs == -1 ||
	    syscall(SYS_fsconfig, fs, 6u /* CMD_CREATE */, NULL, NULL, 0) == -1)
		atf_tc_skip("no cgroup2: %s", strerror(errno));
	c->root = (int)syscall(SYS_fsmount, fs, 1u /* FSMOUNT_CLOEXEC */, 0u);
	if (c->root == -1)
		atf_tc_skip("no cgroup2: %s", strerror(errno));
	(void)close(fs);
	(void)snprintf(c->name, sizeof(c->name), "gons-test.%d", (int)getpid());
	if (mkdirat(c->root, c->name, 0700) == -1)
		atf_tc_skip("no cgroup can be made: %s", strerror(errno));
	(void)snprintf(path, sizeof(path), "%s/cgroup.procs", c->name);
	c->procs = openat(c->root, path, O_WRONLY | O_CLOEXEC);
	(void)snprintf(path, sizeof(path), "%s/cgroup.freeze", c->name);
	c->freeze = openat(c->root, path, O_WRONLY | O_CLOEXEC);
	ATF_CHECK(c->procs != -1);
}

static int
cgroup_freezes(const struct cgroup *c)
{
	long long begun = rx_clock();
	char path[64], text[256] = "";
	int fd;

	(void)snprintf(path, sizeof(path), "%s/cgroup.events", c->name);
	while (
	    strstr(text, "frozen 1") == NULL && rx_clock() - begun < PATIENCE) {
		memset(text, 0, sizeof(text));
		fd = openat(c->root, path, O_RDONLY | O_CLOEXEC);
		ATF_REQUIRE(read(fd, text, sizeof(text) - 1) > 0);
		(void)close(fd);
	}
	return strstr(text, "frozen 1") != NULL;
}

/* As long as anybody lives there it cannot be removed. */
static void
cgroup_remove(struct cgroup *c)
{
	long long begun = rx_clock();

	while (unlinkat(c->root, c->name, AT_REMOVEDIR) == -1 &&
	       errno == EBUSY && rx_clock() - begun < PATIENCE)
		(void)usleep(1000);
	ATF_CHECK_EQ(-1, faccessat(c->root, c->name, F_OK, 0));
	(void)close(c->procs);
	(void)close(c->freeze);
	(void)close(c->root);
}

static void
moved(void)
{
	struct gons_reexec *req = rx_new("move");
	struct cgroup c;

	cgroup_make(&c);
	rx_keep(req, "PROCS", c.procs);
	ATF_CHECK(strstr(rx_ok(req), c.name) != NULL);
	rx_flags(req, GONS_REEXEC_DIE_WITH_PARENT);
	ATF_REQUIRE_EQ(0, gons_reexec_setenv(req, "SUPERVISED", ""));
	ATF_CHECK(strstr(rx_ok(req), c.name) != NULL);
	gons_reexec_free(req);
	cgroup_remove(&c);
}

static void
freezes(int supervised)
{
	struct gons_reexec *req = rx_new("freeze");
	struct cgroup c;
	int fd[2];

	cgroup_make(&c);
	if (c.freeze == -1) {
		cgroup_remove(&c);
		atf_tc_skip("no cgroup can be frozen");
	}
	rx_pipe(fd);
	rx_keep(req, "PROCS", c.procs);
	rx_keep(req, "FREEZE", c.freeze);
	rx_keep(req, "LIFE", fd[1]);
	if (supervised) {
		rx_flags(req, GONS_REEXEC_DIE_WITH_PARENT);
		ATF_REQUIRE_EQ(0, gons_reexec_setenv(req, "SUPERVISED", ""));
	}
	ATF_REQUIRE_EQ(0, gons_reexec_start(req));
	close(fd[1]);
	ATF_CHECK_EQ('x', rx_byte(fd[0]));
	ATF_CHECK_MSG(cgroup_freezes(&c), "it is not frozen");
	ATF_REQUIRE_EQ(0, gons_reexec_kill(req));
	rx_wait_fails(req, GONS_FAIL_KILLED, ECANCELED, "gons_reexec_kill");
	ATF_CHECK_MSG(rx_gone(fd[0], PATIENCE), "the action is still there");
	close(fd[0]);
	gons_reexec_free(req);
	gons_reexec_unprepare();
	cgroup_remove(&c);
}

static void
frozen(void)
{
	freezes(0);
}

static void
frozen_supervised(void)
{
	freezes(1);
}

static const struct rx_case cases[] = {
	{ "by_descriptor", by_descriptor, RX_UNCOUNTED,
	    "a host that was executed by its descriptor" },
	{ "from_memory", from_memory, RX_UNCOUNTED,
	    "a host that was executed from a file in memory" },
	{ "unreadable", unreadable, RX_ROOT | RX_UNCOUNTED,
	    "a host that its user may execute, but not read" },
	{ "no_arguments", no_arguments, RX_UNCOUNTED,
	    "a host without a single argument" },
	{ "static_program", static_program, RX_UNCOUNTED,
	    "a host that is a static program" },
	{ "other_user", other_user, RX_ROOT | RX_UNCOUNTED,
	    "with another effective user ID the error tells why" },
	{ "many_groups", many_groups, RX_ROOT | RX_UNCOUNTED,
	    "a host that has a thousand groups" },
	{ "covered", covered, RX_ROOT | RX_UNCOUNTED,
	    "a file that is mounted on one of /proc is not believed" },
	{ "other_link", other_link, RX_UNCOUNTED,
	    "a host whose link leads elsewhere, as under valgrind(1)" },
	{ "by_hand", by_hand, RX_EXEC | RX_UNCOUNTED,
	    "nobody else starts an action by mistake" },
	{ "moved", moved, RX_ROOT, "a child that changes its cgroup" },
	{ "frozen", frozen, RX_ROOT | RX_UNCOUNTED,
	    "a child whose cgroup is frozen is ended" },
	{ "frozen_supervised", frozen_supervised, RX_ROOT | RX_UNCOUNTED,
	    "so is an action that is frozen together with its supervisor" },
};

ATF_TP_ADD_TCS(tp)
{
	return rx_cases(tp, cases, NELEM(cases));
}
