/*
 * SPDX-License-Identifier: BSD-2-Clause
 *
 * Copyright (c) 2026 The libgons developers
 *
 * What the tests of children that stay have in common: the action "obey", which
 * does what its parameter says, and requests that order it.
 */

#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>

#include <atf-c.h>

#include <dirent.h>
#include <fcntl.h>
#include <limits.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <gons.h>

#include "helpers.h"
#include "rx.h"
#include "stays.h"

enum { /* what hostile children forge, see doc/PROTOCOL */
	TAKEN = 6,
	RETURNED = 9
};

/*
 * The action "obey" does what its parameter says: a word, and a rest.
 */

static int calls;
static int held = -1; /* what the next one finds on the stack */

static void
bye(void)
{
	(void)!write(rx_kept("TOLD"), "b", 1);
}

static void
hang(void)
{
	for (;;)
		(void)pause();
}

/* A process that keeps the pipes, and uses them when it is told to. */
static void
leave_behind(void)
{
	int fd;

	(void)fflush(NULL);
	if (fork() != 0)
		return;
	(void)signal(SIGPIPE, SIG_IGN);
	(void)rx_byte(rx_kept("LIFE"));
	for (fd = 1; fd < 64; fd++)
		if (fd != rx_kept("TOLD"))
			(void)!write(fd, "late", 4);
	(void)!write(rx_kept("TOLD"), "l", 1);
	_exit(0);
}

/*
 * A process that prints more each time that it is told to.  This one's standard
 * input becomes DONE, which is closed when its return has been told.
 */
static int
print_more(void)
{
	int done = rx_kept("DONE");

	printf("a");
	(void)fflush(NULL);
	if (fork() != 0)
		return dup2(done, STDIN_FILENO) == -1 || close(done) == -1;
	(void)close(done);
	while (rx_byte(rx_kept("LIFE")) != -1)
		if (write(STDOUT_FILENO, "b", 1) != 1 ||
		    write(rx_kept("TOLD"), "b", 1) != 1)
			break;
	_exit(0);
}

/* One message that says so many things at once. */
static void
tell(int fd, const int *kinds, size_t n)
{
	int32_t message[8][3];
	size_t i;

	for (i = 0; i < n; i++) {
		message[i][0] = kinds[i];
		message[i][1] = sizeof(message[i][2]);
		message[i][2] = 0;
	}
	(void)!write(fd, message, n * sizeof(message[0]));
}

static int
is_own(int fd)
{
	return fd == rx_kept("TOLD") || fd == rx_kept("LIFE");
}

/* On whatever leads to the host. */
static void
forge(const int *kinds, size_t n)
{
	struct stat st;
	int fd;

	for (fd = 3; fd < 64; fd++)
		if (!is_own(fd) && fstat(fd, &st) == 0 && S_ISFIFO(st.st_mode))
			tell(fd, kinds, n);
}

static const int returned[] = { RETURNED, RETURNED };

/* Waits as the library would; returns the descriptors that come, or none. */
static int
await_request(int *fds, size_t n)
{
	union {
		struct cmsghdr head;
		char room[CMSG_SPACE(8 * sizeof(int))];
	} rights;
	char text[64];
	struct iovec iov = { text, sizeof(text) };
	struct msghdr msg;
	struct stat st;
	int fd = 3;

	while (fd < 64 &&
	       (is_own(fd) || fstat(fd, &st) == -1 || !S_ISSOCK(st.st_mode)))
		fd++;
	memset(&msg, 0, sizeof(msg));
	memset(&rights, 0, sizeof(rights));
	msg.msg_iov = &iov;
	msg.msg_iovlen = 1;
	msg.msg_control = &rights;
	msg.msg_controllen = sizeof(rights);
	if (recvmsg(fd, &msg, 0) <= 0 ||
	    rights.head.cmsg_len < CMSG_LEN(n * sizeof(*fds)))
		return 0;
	memcpy(fds, CMSG_DATA(&rights.head), n * sizeof(*fds));
	return 1;
}

/*
 * Never returns, although the host believes that it has, and is asked again:
 * "mute" does not answer, "early" has returned before it has begun, "twice"
 * has told so twice in the run before, "ahead" has done the next one as well.
 */
static void
cheat(const char *how)
{
	static const int early[] = { RETURNED, TAKEN },
			 ahead[] = { RETURNED, TAKEN, RETURNED },
			 done[] = { TAKEN, RETURNED };
	int fds[3] = { -1, -1, -1 };

	if (strcmp(how, "ahead") == 0)
		forge(ahead, 3);
	else
		forge(returned, strcmp(how, "twice") == 0 ? 2 : 1);
	if (!await_request(fds, 3) || strcmp(how, "mute") == 0)
		hang();
	if (strcmp(how, "early") == 0) {
		tell(fds[0], early, 2);
	} else {
		(void)!write(fds[2], "forged", 6);
		tell(fds[0], done, 2);
	}
	hang();
}

static void
print_pending(void)
{
	sigset_t set;

	(void)sigemptyset(&set);
	(void)sigpending(&set);
	printf("%d", sigismember(&set, SIGUSR1));
}

static void
leave_pending(void)
{
	sigset_t set;

	(void)sigemptyset(&set);
	(void)sigaddset(&set, SIGUSR1);
	(void)sigprocmask(SIG_BLOCK, &set, NULL);
	(void)raise(SIGUSR1);
}

static void
print_stdin(void)
{
	char text[64];
	size_t n = fread(text, 1, sizeof(text) - 1, stdin);

	text[n] = '\0';
	printf("%s%s", text, feof(stdin) ? "$" : "");
}

static int
send_fd(const char *name)
{
	char text[32];
	int fd = open("/dev/null", O_RDONLY | O_CLOEXEC);

	(void)gons_reexec_replyfd(fd);
	(void)snprintf(text, sizeof(text), "%s %d", name, (int)getpid());
	(void)close(fd);
	return gons_reexec_reply(text, strlen(text));
}

/* The supervisor does nothing more once it has passed on the next request. */
static int
stop_supervisor(void)
{
	struct stat st;
	int fd, r = -1;

	for (fd = 3; fd < 64; fd++)
		if (fstat(fd, &st) == 0 && S_ISSOCK(st.st_mode))
			r = fcntl(fd, F_SETSIG, SIGSTOP) |
			    fcntl(fd, F_SETOWN, getppid()) |
			    fcntl(fd, F_SETFL, fcntl(fd, F_GETFL) | O_ASYNC);
	return r;
}

/* What the library has open here is closed by execve(2). */
static void
print_open(void)
{
	int fd, flags;

	for (fd = 3; fd < 256; fd++)
		if ((flags = fcntl(fd, F_GETFD)) != -1 &&
		    (flags & FD_CLOEXEC) == 0)
			printf(" %d", fd);
}

/* Of the next numbers each second one is in use from now on. */
static int
leave_gaps(void)
{
	int fd[16];
	size_t i;

	for (i = 0; i < NELEM(fd); i++)
		if ((fd[i] = fcntl(STDIN_FILENO, F_DUPFD_CLOEXEC, 3)) == -1)
			return 1;
	for (i = 0; i < NELEM(fd); i += 2)
		(void)close(fd[i]);
	return 0;
}

/* Opens a descriptor, says its number, and leaves that everywhere. */
static int
hold(void)
{
	held = open("/dev/null", O_RDONLY | O_CLOEXEC);
	return printf("%d", held) < 0;
}

/* How many descriptors its parent has. */
static void
count_above(void)
{
	char path[64];
	DIR *dir;
	int n = 0;

	(void)snprintf(path, sizeof(path), "/proc/%d/fd", (int)getppid());
	if ((dir = opendir(path)) != NULL) {
		while (readdir(dir) != NULL)
			n++;
		(void)closedir(dir);
	}
	printf("%d", n);
}

static int
big(size_t size)
{
	size_t i;

	for (i = 0; i < size; i++)
		putchar('a' + (int)(i % 26));
	return 0;
}

static int
obey_more(const char *word, const char *rest)
{
	if (strcmp(word, "leave") == 0)
		leave_behind();
	else if (strcmp(word, "forge") == 0)
		forge(returned, 2);
	else if (strcmp(word, "cheat") == 0)
		cheat(rest);
	else if (strcmp(word, "never") == 0) {
		forge(returned, 1);
		hang();
	} else if (strcmp(word, "signal") == 0)
		leave_pending();
	else if (strcmp(word, "pending") == 0)
		print_pending();
	else if (strcmp(word, "stdin") == 0)
		print_stdin();
	else if (strcmp(word, "open") == 0)
		print_open();
	else if (strcmp(word, "gaps") == 0)
		return leave_gaps();
	else if (strcmp(word, "fds") == 0)
		printf("%d", count_fds());
	else if (strcmp(word, "above") == 0)
		count_above();
	else if (strcmp(word, "more") == 0)
		return print_more();
	else if (strcmp(word, "hold") == 0)
		return hold();
	else if (strcmp(word, "held") == 0)
		return fcntl(atoi(rest), F_GETFD) == -1;
	else if (strcmp(word, "stop") == 0)
		return stop_supervisor();
	else if (strcmp(word, "mark") == 0)
		(void)!write(rx_kept("TOLD"), "m", 1);
	else if (strcmp(word, "bye") == 0)
		return atexit(bye);
	else if (strcmp(word, "hangs") == 0)
		return atexit(hang);
	else if (strcmp(word, "close") == 0)
		return (int)syscall(SYS_close_range, 3, UINT_MAX, 0);
	else if (strcmp(word, "fclose") == 0)
		return fclose(*rest == '1' ? stdout : stderr);
	else if (strcmp(word, "fork") == 0)
		return fork() == -1;
	else if (strcmp(word, "fd") == 0)
		return send_fd(rest);
	else if (strcmp(word, "chdir") == 0)
		return chdir(rest);
	else
		return 77;
	return 0;
}

static int
obey_word(void)
{
	char word[16], text[PATH_MAX];
	const char *rest = gons_reexec_input(NULL);
	size_t len = strcspn(rest, " ");

	calls++;
	(void)snprintf(word, sizeof(word), "%.*s", (int)len, rest);
	rest += len + (rest[len] != '\0');
	if (strcmp(word, "count") == 0)
		printf("%d %d", (int)getpid(), calls);
	else if (strcmp(word, "say") == 0)
		printf("%s", rest);
	else if (strcmp(word, "err") == 0)
		fprintf(stderr, "%s", rest);
	else if (strcmp(word, "cwd") == 0)
		printf("%s", getcwd(text, sizeof(text)));
	else if (strcmp(word, "reply") == 0)
		return gons_reexec_reply(rest, strlen(rest));
	else if (strcmp(word, "big") == 0)
		return big(strtoul(rest, NULL, 10));
	else if (strcmp(word, "return") == 0)
		return atoi(rest);
	else if (strcmp(word, "exit") == 0)
		exit(atoi(rest));
	else if (strcmp(word, "raise") == 0)
		return raise(atoi(rest));
	else if (strcmp(word, "pause") == 0)
		hang();
	else
		return obey_more(word, rest);
	return 0;
}

static int
obey(void)
{
	int r = obey_word();

	spoil_stack_with(held);
	return r;
}

__attribute__((constructor)) static void
register_and_check(void)
{
	if (gons_reexec_register("obey", obey) == -1)
		abort();
	gons_reexec_check();
}

/*
 * Requests.
 */

struct gons_reexec *
stay_new(unsigned flags)
{
	struct gons_reexec *req = rx_new("obey");

	rx_flags(req, GONS_REEXEC_STAY | flags);
	return req;
}

void
stay_order(struct gons_reexec *req, const char *what)
{
	ATF_REQUIRE_EQ(0, gons_reexec_param(req, what, strlen(what)));
}

const char *
stay_says(struct gons_reexec *req, const char *what)
{
	stay_order(req, what);
	return rx_ok(req);
}

/* The process that runs it, and how often it has run there. */
pid_t
stay_counts(struct gons_reexec *req, int n)
{
	int pid, was;

	ATF_REQUIRE_EQ(2, sscanf(stay_says(req, "count"), "%d %d", &pid, &was));
	ATF_CHECK_EQ_MSG(n, was, "run %d of %d", was, pid);
	return pid;
}

int
stay_is_there(pid_t pid)
{
	return kill(pid, 0) == 0;
}

void
stay_fails(struct gons_reexec *req, const char *what, int failure, int errnum,
    const char *words)
{
	stay_order(req, what);
	rx_fails(req, failure, errnum, words);
}
