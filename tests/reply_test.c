/*
 * SPDX-License-Identifier: BSD-2-Clause
 *
 * Copyright (c) 2026 The libgons developers
 *
 * What a child answers with: descriptors, its parameter, what it writes to
 * stderr, its arguments; and who its container is called.
 */

#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>

#include <netinet/in.h>

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

#include "helpers.h"
#include "rx.h"

#define PATIENCE 60000 /* ms; less than this is no hang */
#ifndef SYS_close_range
#define SYS_close_range 436
#endif

#define P_BY_PIDFD 3 /* P_PIDFD, of Linux 5.4 */

/* While that is not NULL, it is called for each descriptor before close(2). */
static void (*before_close)(int);

int
close(int fd)
{
	if (before_close != NULL)
		before_close(fd);
	return (int)syscall(SYS_close, fd);
}

/* Replies with as many descriptors as its parameter says. */
static int
give(void)
{
	const char *input = gons_reexec_input(NULL);
	int fd[2], i, n = input != NULL ? atoi(input) : 0;
	char c;

	for (i = 0; i < n; i++) {
		c = (char)('a' + i);
		if (pipe(fd) == -1 || write(fd[1], &c, 1) != 1 ||
		    gons_reexec_replyfd(fd[0]) == -1) {
			fprintf(stderr, "replyfd %d: %s", i, strerror(errno));
			return 1;
		}
		close(fd[0]);
		close(fd[1]);
	}
	return gons_reexec_reply("done", 4) == -1 ||
	       gons_reexec_replyfd(0) != -1 || errno != EALREADY;
}

/* Queues sockets that take their time to be closed, behind our back. */
static int
linger(void)
{
	struct linger l = { 1, 4 };
	struct sockaddr_in sin;
	socklen_t len = sizeof(sin);
	char block[65536];
	int client, i, server;

	memset(&sin, 0, sizeof(sin));
	memset(block, 0, sizeof(block));
	sin.sin_family = AF_INET;
	sin.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
	server = socket(AF_INET, SOCK_STREAM, 0);
	if (bind(server, (void *)&sin, len) == -1 || listen(server, 1) == -1 ||
	    getsockname(server, (void *)&sin, &len) == -1)
		return 1;
	client = socket(AF_INET, SOCK_STREAM, 0);
	if (connect(client, (void *)&sin, len) == -1 ||
	    setsockopt(client, SOL_SOCKET, SO_LINGER, &l, sizeof(l)) == -1)
		return 1;
	while (send(client, block, sizeof(block), MSG_DONTWAIT) > 0)
		continue;
	for (i = 0; i < 3; i++)
		if (gons_reexec_replyfd(client) == -1)
			return 1;
	/* The listener stays with a process that outlives the action. */
	if (fork() == 0) {
		close(client);
		for (i = 3; i < 64; i++)
			if (i != server)
				close(i);
		close(0);
		close(1);
		close(2);
		alarm(30);
		for (;;)
			pause();
	}
	return gons_reexec_reply("sent", 4) == -1;
}

/* The socket that replyfd sends to. */
static int
find_socket(void)
{
	socklen_t len = sizeof(int);
	int fd, type;

	for (fd = 3; fd < 1024; fd++)
		if (getsockopt(fd, SOL_SOCKET, SO_TYPE, &type, &len) == 0 &&
		    type == SOCK_STREAM)
			return fd;
	return -1;
}

/* One byte with n descriptors, past the library. */
static int
forge(int sock, const int *fd, size_t n, int flags)
{
	union {
		struct cmsghdr head;
		char room[CMSG_SPACE(2 * sizeof(int))];
	} rights;
	struct iovec iov = { (void *)(uintptr_t) "x", 1 };
	struct msghdr msg;

	memset(&msg, 0, sizeof(msg));
	memset(&rights, 0, sizeof(rights));
	msg.msg_iov = &iov;
	msg.msg_iovlen = 1;
	if (n > 0) {
		msg.msg_control = &rights;
		msg.msg_controllen = CMSG_SPACE(n * sizeof(int));
		rights.head.cmsg_level = SOL_SOCKET;
		rights.head.cmsg_type = SCM_RIGHTS;
		rights.head.cmsg_len = CMSG_LEN(n * sizeof(int));
		memcpy(CMSG_DATA(&rights.head), fd, n * sizeof(int));
	}
	return sendmsg(sock, &msg, flags | MSG_DONTWAIT | MSG_NOSIGNAL) == 1;
}

/* What a child sends that does not keep to the rules. */
static int
cheat(void)
{
	const char *how = gons_reexec_input(NULL);
	int fd[2], i, sock = find_socket();

	if (how == NULL || pipe(fd) == -1 || write(fd[1], "a", 1) != 1)
		return 1;
	if (strcmp(how, "bare") == 0 && !forge(sock, NULL, 0, 0))
		return 2;
	if (strcmp(how, "pair") == 0 && !forge(sock, fd, 2, 0))
		return 3;
	/* Older kernels have no such thing in sockets of this kind. */
	if (strcmp(how, "urgent") == 0 && !forge(sock, fd, 1, MSG_OOB) &&
	    errno != EOPNOTSUPP)
		return 4;
	if (gons_reexec_replyfd(fd[0]) == -1)
		return 5;
	for (i = 0; strcmp(how, "more") == 0 && i < 100; i++)
		if (!forge(sock, fd, 1, 0))
			return 6;
	return gons_reexec_reply("done", 4) == -1;
}

static int
shout(void)
{
	fprintf(stderr, "a warning\n");
	printf("result");
	return getenv("FAIL") != NULL ? 3 : 0;
}

static int
no_input(void)
{
	size_t len = 7;
	const char *p = gons_reexec_input(&len);

	return printf("%d %zu %zu", p != NULL, len,
		   p != NULL ? strlen(p) : 99) < 0;
}

static int
ids(void)
{
	return printf("%d %d", (int)getuid(), (int)getgid()) < 0;
}

/* Tells its number, waits until it may go on, and dies. */
static int
die(void)
{
	pid_t pid = getpid();

	if (write(rx_kept("READY"), &pid, sizeof(pid)) != sizeof(pid))
		return 1;
	(void)rx_byte(rx_kept("GO"));
	return raise(SIGKILL);
}

static int
args(void)
{
	char text[256];

	rx_read_file("/proc/self/cmdline", text, sizeof(text));
	return printf("%s|%s", text, text + strlen(text) + 1) < 0;
}

__attribute__((constructor)) static void
actions(void)
{
	(void)gons_reexec_register("give", give);
	(void)gons_reexec_register("linger", linger);
	(void)gons_reexec_register("cheat", cheat);
	(void)gons_reexec_register("shout", shout);
	(void)gons_reexec_register("no_input", no_input);
	(void)gons_reexec_register("ids", ids);
	(void)gons_reexec_register("args", args);
	(void)gons_reexec_register("die", die);
	gons_reexec_check();
}

static struct gons_reexec *
giver(const char *n, unsigned maxfds)
{
	struct gons_reexec *req = rx_new("give");

	rx_flags(req, GONS_REEXEC_REPLY);
	ATF_REQUIRE_EQ(0, gons_reexec_param(req, n, strlen(n)));
	ATF_REQUIRE_EQ(0, gons_reexec_setmaxfds(req, maxfds));
	return req;
}

static void
fds_taken(void)
{
	struct gons_reexec *req = giver("5", 8);
	int fd, i;
	char c;

	ATF_REQUIRE_STREQ("done", rx_ok(req));
	for (i = 4; i >= 0; i -= 2) {
		spoil_stack();
		ATF_REQUIRE((fd = gons_reexec_takefd(req, (unsigned)i)) > 2);
		ATF_CHECK_EQ(FD_CLOEXEC, fcntl(fd, F_GETFD));
		ATF_CHECK_EQ(1, read(fd, &c, 1));
		ATF_CHECK_EQ('a' + i, c);
		close(fd);
	}
	ATF_CHECK_ERRNO(ENOENT, gons_reexec_takefd(req, 4) == -1);
	ATF_CHECK_ERRNO(ENOENT, gons_reexec_takefd(req, 5) == -1);
	ATF_REQUIRE_STREQ("done", rx_ok(req));
	ATF_REQUIRE((fd = gons_reexec_takefd(req, 4)) > 2);
	close(fd);
	gons_reexec_free(req);
	rx_closers_end();
}

static void
fds_none(void)
{
	struct gons_reexec *req = giver("0", 8);

	ATF_REQUIRE_STREQ("done", rx_ok(req));
	ATF_CHECK_ERRNO(ENOENT, gons_reexec_takefd(req, 0) == -1);
	/* Nobody has asked for any. */
	ATF_REQUIRE_EQ(0, gons_reexec_setmaxfds(req, 0));
	ATF_REQUIRE_EQ(0, gons_reexec_param(req, "1", 1));
	rx_fails(req, GONS_FAIL_STDERR, EIO,
	    "replyfd 0: Operation not permitted|exited with status 1");
	gons_reexec_free(req);
}

static void
fds_too_many(void)
{
	struct gons_reexec *req = giver("3", 2);

	rx_fails(req, GONS_FAIL_SIZE, EMSGSIZE, "3 descriptors, more than 2");
	ATF_CHECK_ERRNO(ENOENT, gons_reexec_takefd(req, 0) == -1);
	ATF_CHECK_ERRNO(ENOENT, gons_reexec_takefd(req, 3) == -1);
	/* What was refused stays so. */
	ATF_REQUIRE_EQ(0, gons_reexec_setmaxfds(req, 8));
	ATF_CHECK_ERRNO(ENOENT, gons_reexec_takefd(req, 0) == -1);
	gons_reexec_free(req);
	rx_closers_end();
}

/* The limit of the next run says nothing about this one. */
static void
fds_next_limit(void)
{
	struct gons_reexec *req = giver("20", 20);
	int fd;

	ATF_REQUIRE_STREQ("done", rx_ok(req));
	ATF_REQUIRE_EQ(0, gons_reexec_setmaxfds(req, 1));
	ATF_REQUIRE((fd = gons_reexec_takefd(req, 0)) > 2);
	close(fd);
	ATF_REQUIRE((fd = gons_reexec_takefd(req, 19)) > 2);
	close(fd);
	ATF_CHECK_ERRNO(ENOENT, gons_reexec_takefd(req, 19) == -1);
	gons_reexec_free(req);
	rx_closers_end();
}

/* The host program has no room: the descriptor is not lost. */
static void
fds_no_room(void)
{
	struct gons_reexec *req = giver("1", 1);
	struct rlimit limit, none;
	int fd;

	ATF_REQUIRE_STREQ("done", rx_ok(req));
	ATF_REQUIRE_EQ(0, getrlimit(RLIMIT_NOFILE, &limit));
	none = limit;
	none.rlim_cur = 3;
	ATF_REQUIRE_EQ(0, setrlimit(RLIMIT_NOFILE, &none));
	errno = 0;
	fd = gons_reexec_takefd(req, 0);
	none.rlim_cur = (rlim_t)errno;
	ATF_REQUIRE_EQ(0, setrlimit(RLIMIT_NOFILE, &limit));
	ATF_CHECK_EQ(-1, fd);
	ATF_CHECK_EQ(EMFILE, none.rlim_cur);
	ATF_REQUIRE((fd = gons_reexec_takefd(req, 0)) > 2);
	close(fd);
	gons_reexec_free(req);
	rx_closers_end();
}

/* No process can be made to give it up: the next call does it. */
static void
fds_given_up_later(void)
{
	struct gons_reexec *req = giver("1", 1);
	struct rlimit limit, none;

	ATF_REQUIRE_STREQ("done", rx_ok(req));
	ATF_REQUIRE_EQ(0, getrlimit(RLIMIT_NOFILE, &limit));
	none = limit;
	none.rlim_cur = 3;
	ATF_REQUIRE_EQ(0, setrlimit(RLIMIT_NOFILE, &none));
	gons_reexec_free(req);
	ATF_REQUIRE_EQ(0, setrlimit(RLIMIT_NOFILE, &limit));
	req = giver("0", 1);
	(void)rx_ok(req);
	gons_reexec_free(req);
	rx_closers_end();
}

/* Nothing is taken but one descriptor for each call, and nothing is left. */
static void
fds_cheated(void)
{
	static const char *const how[] = { "bare", "urgent" };
	struct gons_reexec *req = rx_new("cheat");
	size_t i;
	int fd;

	rx_flags(req, GONS_REEXEC_REPLY);
	ATF_REQUIRE_EQ(0, gons_reexec_setmaxfds(req, 8));
	ATF_REQUIRE_EQ(0, gons_reexec_param(req, "pair", 4));
	ATF_REQUIRE_STREQ("done", rx_ok(req));
	ATF_CHECK_ERRNO(EBADMSG, gons_reexec_takefd(req, 0) == -1);
	ATF_CHECK_ERRNO(ENOENT, gons_reexec_takefd(req, 1) == -1);
	ATF_REQUIRE_EQ(0, gons_reexec_param(req, "more", 4));
	ATF_REQUIRE_STREQ("done", rx_ok(req));
	ATF_CHECK_ERRNO(ENOENT, gons_reexec_takefd(req, 1) == -1);
	ATF_REQUIRE((fd = gons_reexec_takefd(req, 0)) > 2);
	close(fd);
	/* The kernel may look for rights in the next message here. */
	for (i = 0; i < NELEM(how); i++) {
		ATF_REQUIRE_EQ(
		    0, gons_reexec_param(req, how[i], strlen(how[i])));
		ATF_REQUIRE_STREQ("done", rx_ok(req));
		if ((fd = gons_reexec_takefd(req, 0)) != -1)
			close(fd);
		ATF_CHECK_ERRNO(ENOENT, gons_reexec_takefd(req, 1) == -1);
	}
	gons_reexec_free(req);
	rx_closers_end();
}

static void
fds_linger(void)
{
	struct gons_reexec *req = rx_new("linger");
	long long begun;

	rx_flags(req, GONS_REEXEC_REPLY);
	ATF_REQUIRE_EQ(0, gons_reexec_setmaxfds(req, 8));
	ATF_REQUIRE_STREQ("sent", rx_ok(req));
	begun = rx_clock();
	gons_reexec_free(req);
	ATF_CHECK_MSG(rx_clock() - begun < 2000, "the host waited for %lld ms",
	    rx_clock() - begun);
	rx_closers_end();
}

static void
stderr_kept(void)
{
	struct gons_reexec *req = rx_new("shout");
	size_t len;

	rx_flags(req, GONS_REEXEC_STDERR_KEEP);
	ATF_CHECK_STREQ("", gons_reexec_stderr(req, &len));
	ATF_CHECK_EQ(0, len);
	ATF_CHECK_STREQ("result", rx_ok(req));
	ATF_CHECK_STREQ("a warning\n", gons_reexec_stderr(req, &len));
	ATF_CHECK_EQ(10, len);
	ATF_REQUIRE_EQ(0, gons_reexec_setenv(req, "FAIL", "1"));
	rx_fails(req, GONS_FAIL_EXIT, EIO, "exited with status 3|a warning");
	ATF_CHECK_STREQ("a warning\n", gons_reexec_stderr(req, NULL));
	ATF_REQUIRE_EQ(0, gons_reexec_setflags(req, rx_mode));
	rx_fails(req, GONS_FAIL_STDERR, EIO, "a warning|exited with status 3");
	ATF_CHECK_STREQ("a warning\n", gons_reexec_stderr(req, NULL));
	ATF_CHECK_ERRNO(EINVAL,
	    gons_reexec_setflags(
		req, GONS_REEXEC_STDERR_KEEP | GONS_REEXEC_STDERR_PASS) == -1);
	gons_reexec_free(req);
}

static void
input_is_empty(void)
{
	struct gons_reexec *req = rx_new("no_input");

	ATF_CHECK_STREQ("1 0 0", rx_ok(req));
	ATF_REQUIRE_EQ(0, gons_reexec_param(req, "ab\0c", 4));
	ATF_CHECK_STREQ("1 4 2", rx_ok(req));
	gons_reexec_free(req);
	ATF_CHECK_ERRNO(EPERM, gons_reexec_input(NULL) == NULL);
}

static void
ids_are_set(void)
{
	struct gons_reexec *req;

	need_nobody();
	req = rx_new("ids");
	ATF_REQUIRE_EQ(0, gons_reexec_setids(req, 12, 34));
	ATF_CHECK_STREQ("12 34", rx_ok(req));
	ATF_CHECK_ERRNO(EINVAL, gons_reexec_setids(req, (uid_t)-1, 0) == -1);
	gons_reexec_free(req);
}

static void
args_are_set(void)
{
	char *const argv[] = { strdup("other"), strdup("words"), NULL };
	char *const none[] = { NULL };
	struct gons_reexec *req = rx_new("args");

	ATF_CHECK_ERRNO(EINVAL, gons_reexec_setargs(NULL) == -1);
	ATF_CHECK_ERRNO(EINVAL, gons_reexec_setargs(none) == -1);
	(void)rx_ok(req);
	ATF_REQUIRE_EQ(0, gons_reexec_setargs(argv));
	ATF_CHECK_STREQ("other|words", rx_ok(req));
	gons_reexec_free(req);
}

/* A container that has ended, and how it is called. */
static void
target_is_gone(void)
{
	struct gons_reexec *req = rx_new("ids");
	char words[64];
	struct target t;
	pid_t pid;

	target_start(&t, CLONE_NEWUTS, 0);
	pid = t.pid;
	ATF_REQUIRE_EQ(0, gons_reexec_targetpid(req, pid, GONS_BIT(GONS_UTS)));
	(void)rx_ok(req);
	target_kill(&t);
	(void)snprintf(words, sizeof(words), "has ended|\"PID %d\"", (int)pid);
	rx_fails(req, GONS_FAIL_GONE, ESRCH, words);
	gons_reexec_free(req);
	target_stop(&t);
	req = rx_new("ids");
	ATF_CHECK_ERRNO(ESRCH, gons_reexec_targetpid(req, pid, 0) == -1);
	ATF_CHECK_ERRNO(EINVAL, gons_reexec_targetpid(req, -1, 0) == -1);
	/* A path that does not exist is no container that has ended. */
	ATF_REQUIRE_EQ(0, gons_reexec_namespace(req, "net", "/no/such"));
	rx_fails(req, GONS_FAIL_START, ENOENT, "\"/no/such\"");
	gons_reexec_free(req);
}

/* The container's end counts, too, where the action's is not known. */
static void
target_is_gone_unknown(void)
{
	struct gons_reexec *req = rx_new("die");
	int go[2], ready[2];
	struct target t;
	pid_t pid;

	target_start(&t, CLONE_NEWUTS, 0);
	ATF_REQUIRE_EQ(
	    0, gons_reexec_targetpid(req, t.pid, GONS_BIT(GONS_UTS)));
	rx_pipe(go);
	rx_pipe(ready);
	rx_keep(req, "GO", go[0]);
	rx_keep(req, "READY", ready[1]);
	ATF_REQUIRE_EQ(0, gons_reexec_start(req));
	ATF_REQUIRE_EQ(sizeof(pid), read(ready[0], &pid, sizeof(pid)));
	target_kill(&t);
	ATF_REQUIRE_EQ(1, write(go[1], "", 1));
	/* A prepared one is no child of this process. */
	ATF_REQUIRE_EQ(RX_PREPARED ? -1 : pid, waitpid(pid, NULL, __WALL));
	rx_wait_fails(req, GONS_FAIL_GONE, ESRCH, "the container has ended");
	ATF_CHECK(RX_PREPARED || gons_reexec_status(req) == -1);
	gons_reexec_free(req);
	target_stop(&t);
	close(go[0]);
	close(go[1]);
	close(ready[0]);
	close(ready[1]);
}

/*
 * The host program may collect the processes that close descriptors, too.  The
 * library keeps nothing of these, on kernels that know a process by its number
 * alone as well.
 */
static void
closers_collected(void *old)
{
	static const struct rule rule = { SYS_waitid, 0, ~0u, P_BY_PIDFD,
		EINVAL };
	struct gons_reexec *req[8];
	int collected = 0, fds;
	size_t i;

	for (i = 0; i < NELEM(req); i++) {
		req[i] = giver("1", 1);
		CHILD(gons_reexec_run(req[i]) == 0);
	}
	fds = count_fds();
	if (old != NULL)
		forbid(&rule, 1);
	for (i = 0; i < NELEM(req); i++) {
		gons_reexec_free(req[i]);
		collected += waitpid(-1, NULL, __WALL) != -1;
	}
	/* Some may have ended before the library had its first look. */
	printf("%d collected\n", collected);
	gons_reexec_free(gons_reexec_new("none"));
	CHILD(count_fds() == fds - (int)NELEM(req));
}

static void
fds_closers(void)
{
	int old = 1;

	in_child(closers_collected, NULL);
	need_filters();
	in_child(closers_collected, &old);
}

/* Nor does it keep their zombies: the start of any request reaps them. */
static void
closer_reaped(void *unused)
{
	struct gons_reexec *req, *next = giver("1", 1);
	siginfo_t info;
	int r, tries = 0;

	(void)unused;
	do { /* until one ends after the library's first look */
		req = giver("1", 1);
		CHILD(gons_reexec_run(req) == 0);
		gons_reexec_free(req);
		r = waitid(P_ALL, 0, &info, WEXITED | WNOWAIT | __WALL);
	} while (r == -1 && ++tries < 100);
	CHILD(r == 0);
	CHILD(gons_reexec_start(next) == 0);
	CHILD(waitid(P_PID, (id_t)info.si_pid, &info,
		  WEXITED | WNOWAIT | WNOHANG | __WALL) == -1 &&
	      errno == ECHILD);
	CHILD(gons_reexec_wait(next) == 0);
	gons_reexec_free(next);
}

static void
fds_closers_reaped(void)
{
	in_child(closer_reaped, NULL);
}

/* What may not read does not try again and again: it uses up this time. */
static void
closer_refused(void *unused)
{
	static const struct rule rule = { SYS_read, 2, ~0u, 1, EPERM };
	struct gons_reexec *req = giver("1", 1);
	struct rlimit seconds = { 3, 3 };
	siginfo_t info;

	(void)unused;
	CHILD(gons_reexec_run(req) == 0);
	CHILD(setrlimit(RLIMIT_CPU, &seconds) == 0);
	forbid(&rule, 1);
	gons_reexec_free(req);
	while (waitid(P_ALL, 0, &info, WEXITED | __WALL) == 0)
		CHILD(info.si_code == CLD_EXITED);
}

static void
fds_closer_refused(void)
{
	need_filters();
	in_child(closer_refused, NULL);
}

static int standard_pipe[2];
static struct {
	int n; /* processes that close */
	int still_open, let_go;
	int standard; /* descriptors with such numbers */
} closers; /* noted: stderr is not there to say it */

/*
 * The write end of a pipe, while descriptors are given up: the process that
 * closes them, too, learns by its end that this one has done so.  That process
 * has let go of the standard descriptors, and is the last to have the socket.
 */
static void
look_at_closer(int fd)
{
	struct pollfd p = { standard_pipe[0], POLLIN, 0 };
	struct stat st;
	int i;

	CHILD(fstat(fd, &st) == 0);
	if (fd <= STDERR_FILENO || !S_ISFIFO(st.st_mode) ||
	    (fcntl(fd, F_GETFL) & O_ACCMODE) == 0)
		return;
	before_close = NULL;
	closers.n++;
	closers.still_open = find_socket() != -1;
	for (i = 0; i < 3; i++) {
		closers.standard += fcntl(i, F_GETFD) != -1;
		(void)dup2(standard_pipe[0], i);
	}
	closers.let_go =
	    poll(&p, 1, PATIENCE) == 1 && (p.revents & POLLHUP) != 0;
}

static void
closer_told_body(void *closed)
{
	struct gons_reexec *req = giver("1", 1);
	int i, was[3];

	CHILD(gons_reexec_run(req) == 0);
	CHILD(find_socket() != -1);
	CHILD(pipe2(standard_pipe, O_CLOEXEC) == 0);
	for (i = 0; i < 3; i++) {
		CHILD((was[i] = fcntl(i, F_DUPFD_CLOEXEC, 3)) != -1);
		CHILD(dup2(standard_pipe[1], i) == i);
	}
	CHILD(close(standard_pipe[1]) == 0);
	for (i = 0; closed != NULL && i < 3; i++)
		CHILD(close(i) == 0);
	before_close = look_at_closer;
	gons_reexec_free(req);
	before_close = NULL;
	for (i = 0; i < 3; i++)
		CHILD(dup2(was[i], i) == i);
	CHILD(closers.n == 1 && !closers.still_open);
	CHILD(closers.let_go);
	CHILD(closers.standard == (closed == NULL ? 3 : 0));
}

/* As before Linux 5.9. */
static void
closer_told_old(void *unused)
{
	static const struct rule rule = { SYS_close_range, -1, 0, 0, ENOSYS };

	forbid(&rule, 1);
	closer_told_body(unused);
}

static void
fds_closer_told(void)
{
	int closed = 1;

	in_child(closer_told_body, NULL);
	/* Nothing of the library's takes a standard number. */
	in_child(closer_told_body, &closed);
	need_filters();
	in_child(closer_told_old, NULL);
}

static const struct rx_case cases[] = {
	{ "fds_taken", fds_taken, 0, "descriptors come with a reply" },
	{ "fds_none", fds_none, 0, "descriptors come only if asked for" },
	{ "fds_too_many", fds_too_many, 0,
	    "more descriptors than allowed are refused" },
	{ "fds_next_limit", fds_next_limit, 0,
	    "the limit of the next run does not touch what came" },
	{ "fds_no_room", fds_no_room, 0,
	    "a descriptor that finds no room can be taken later" },
	{ "fds_given_up_later", fds_given_up_later, 0,
	    "descriptors that cannot be given up now are so later" },
	{ "fds_cheated", fds_cheated, 0,
	    "one descriptor is taken for each call, whatever a child sends" },
	{ "fds_closers", fds_closers, RX_EXEC | RX_UNCOUNTED,
	    "the host may collect the processes that close descriptors" },
	{ "fds_closers_reaped", fds_closers_reaped, RX_EXEC | RX_UNCOUNTED,
	    "the next start reaps the processes that close descriptors" },
	{ "fds_closer_refused", fds_closer_refused, RX_EXEC | RX_UNCOUNTED,
	    "a process that closes descriptors and may not read ends" },
	{ "fds_linger", fds_linger, RX_ROOT,
	    "descriptors that nobody takes hold up nobody" },
	{ "stderr_kept", stderr_kept, 0, "stderr is kept and is no failure" },
	{ "input_is_empty", input_is_empty, 0,
	    "the parameter can be had in one piece" },
	{ "ids_are_set", ids_are_set, RX_ROOT, "an action becomes other ids" },
	{ "args_are_set", args_are_set, 0,
	    "the program is executed with other arguments" },
	{ "target_is_gone", target_is_gone, RX_ROOT,
	    "a container that has ended is told from one that never was" },
	{ "target_is_gone_unknown", target_is_gone_unknown, RX_ROOT,
	    "a container that has ended, and nobody knows how the action did" },
	{ "fds_closer_told", fds_closer_told, RX_EXEC | RX_UNCOUNTED,
	    "a process that closes descriptors is the last to have them" },
};

ATF_TP_ADD_TCS(tp)
{
	return rx_cases(tp, cases, NELEM(cases));
}
