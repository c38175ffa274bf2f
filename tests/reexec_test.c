/*
 * SPDX-License-Identifier: BSD-2-Clause
 *
 * Copyright (c) 2026 The libgons developers
 *
 * Actions and requests: what a request accepts, what the child gets, what
 * comes back, and every way in which a run fails.
 */

#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/time.h>
#include <sys/wait.h>

#include <atf-c.h>

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <gons.h>

#include "helpers.h"
#include "rx.h"

#define MIB ((size_t)1 << 20)
#define STDERR_KEPT 65536
#define HUGE_REPLY (48 * MIB)
#define SEALS (F_SEAL_SEAL | F_SEAL_SHRINK | F_SEAL_GROW | F_SEAL_WRITE)

extern char **environ;

/* What happened before gons_reexec_check(3) was called. */
static struct {
	int result, errnum, failure;
	char text[256];
} unchecked;

/*
 * The actions.
 */

static int
answer(void)
{
	printf("42");
	return 0;
}

static int
echo(void)
{
	char buf[65536];
	size_t n;

	while ((n = fread(buf, 1, sizeof(buf), stdin)) > 0)
		if (fwrite(buf, 1, n, stdout) != n)
			return 1;
	return ferror(stdin) ? 2 : 0;
}

/* As many bytes as the variable SIZE says, in a pattern. */
static size_t
wanted_size(void)
{
	const char *size = getenv("SIZE");

	return size != NULL ? strtoull(size, NULL, 10) : 0;
}

static char *
pattern(size_t size)
{
	char *buf = malloc(size + 1);
	size_t i;

	if (buf == NULL)
		abort();
	for (i = 0; i < size; i++)
		buf[i] = (char)('a' + (i ^ i >> 8 ^ i >> 16) % 26);
	buf[size] = '\0';
	return buf;
}

static int
big(void)
{
	size_t size = wanted_size();
	char *buf = pattern(size);
	int ok = fwrite(buf, 1, size, stdout) == size;

	free(buf);
	return ok ? 0 : 1;
}

static int
big_err(void)
{
	size_t size = wanted_size(), done;
	char *buf = pattern(size);
	ssize_t n;

	for (done = 0; done < size; done += (size_t)n)
		if ((n = write(STDERR_FILENO, buf + done, size - done)) < 1)
			return 1;
	free(buf);
	return 0;
}

static int
big_reply(void)
{
	size_t size = wanted_size();
	char *buf = pattern(size);
	int r = gons_reexec_reply(buf, size);

	free(buf);
	return r == 0 ? 0 : 1;
}

static void
handler(int signo)
{
	(void)signo;
}

/* Signals cut what is sent into pieces. */
static int
cut_reply(void)
{
	static const struct itimerval often = { { 0, 2000 }, { 0, 2000 } };
	struct sigaction action;

	memset(&action, 0, sizeof(action));
	action.sa_handler = handler;
	(void)sigaction(SIGALRM, &action, NULL);
	(void)setitimer(ITIMER_REAL, &often, NULL);
	return big_reply();
}

/* Gets the signal that comes through one pipe, while it is sending. */
static int
half_reply(void)
{
	pid_t pid = getpid();
	int signo;

	if (fork() == 0) {
		if ((signo = rx_byte(rx_kept("SIGNAL"))) > 0)
			(void)kill(pid, signo);
		(void)close(rx_kept("SENT"));
		_exit(0);
	}
	(void)close(rx_kept("SENT"));
	return big_reply();
}

static int
reply_twice(void)
{
	char text[32];
	int first = gons_reexec_reply("once", 4);
	int second = gons_reexec_reply("again", 5), errnum = errno;

	(void)snprintf(text, sizeof(text), "%d", first);
	return first == 0 && second == -1 && errnum == EALREADY ? 0 : 1;
}

static int
reply_unasked(void)
{
	return gons_reexec_reply("x", 1) == -1 && errno == EPERM ? 0 : 1;
}

static int
print_stdin(void)
{
	struct stat st;
	char c = 'x';
	int writable;

	if (fstat(STDIN_FILENO, &st) == -1)
		return 1;
	writable = pwrite(STDIN_FILENO, &c, 1, 0) == 1 ||
		   ftruncate(STDIN_FILENO, 0) == 0 ||
		   ftruncate(STDIN_FILENO, 1 << 20) == 0;
	/* newer kernels add one against execution */
	printf("size %lld at %lld seals %d writable %d", (long long)st.st_size,
	    (long long)lseek(STDIN_FILENO, 0, SEEK_CUR),
	    fcntl(STDIN_FILENO, F_GET_SEALS) & SEALS, writable);
	return 0;
}

static int
print_env(void)
{
	char **e;

	for (e = environ; *e != NULL; e++)
		printf("%s\n", *e);
	return 0;
}

/* Arguments, and both names of the process. */
static int
print_names(void)
{
	char name[17] = "", text[4096];
	size_t len;
	int fd = open("/proc/self/cmdline", O_RDONLY);

	len = (size_t)read(fd, text, sizeof(text));
	(void)prctl(PR_GET_NAME, name);
	printf("%zu %s\n%s\n", len, text, name);
	return 0;
}

static int
print_signals(void)
{
	char buf[64];
	static const char *const names[] = { "SigPnd", "ShdPnd", "SigBlk",
		"SigIgn", "SigCgt" };
	size_t i;

	for (i = 0; i < NELEM(names); i++) {
		rx_proc("/proc/self/status", names[i], buf, sizeof(buf));
		/* its run time catches signals of its own */
		if (THREAD_SANITIZER && strcmp(names[i], "SigCgt") == 0)
			memset(buf, '0', strlen(buf));
		printf("%s %s\n", names[i], buf);
	}
	return 0;
}

/* Descriptors, with a * behind those that are closed by execve(2). */
static int
print_fds(void)
{
	int fd, flags;

	for (fd = 0; fd < 4096; fd++)
		if ((flags = fcntl(fd, F_GETFD)) != -1)
			printf(
			    " %d%s", fd, (flags & FD_CLOEXEC) != 0 ? "*" : "");
	return 0;
}

static int
print_limits(void)
{
	char dir[PATH_MAX];
	mode_t mask = umask(0);

	printf("%s %o", getcwd(dir, sizeof(dir)), (unsigned)mask);
	return 0;
}

static int
nest(void)
{
	struct gons_reexec *req = gons_reexec_new("answer");
	int r = gons_reexec_start(req), errnum = errno;

	printf("%d %d %d %s", r, errnum == EPERM, gons_reexec_failure(req),
	    gons_reexec_error(req));
	gons_reexec_free(req);
	return 0;
}

static void
say_bye(void)
{
	printf(" bye");
}

static int
leave_handler(void)
{
	(void)atexit(say_bye);
	printf("not flushed");
	return 0;
}

static int
check_again(void)
{
	gons_reexec_check();
	return 0;
}

/* What gons_coverage(3) asks for is no order that could be refused. */
static int
deaf(void)
{
	(void)signal(SIGTERM, SIG_IGN);
	if (write(STDOUT_FILENO, "done", 4) != 4)
		return 1;
	(void)close(STDOUT_FILENO);
	for (;;)
		(void)pause();
}

static int
never(void)
{
	return 99;
}

static const struct {
	const char *name;
	int (*function)(void);
} actions[] = {
	{ "answer", answer },
	{ "echo", echo },
	{ "big", big },
	{ "big_err", big_err },
	{ "big_reply", big_reply },
	{ "cut_reply", cut_reply },
	{ "deaf", deaf },
	{ "half_reply", half_reply },
	{ "reply_twice", reply_twice },
	{ "reply_unasked", reply_unasked },
	{ "print_stdin", print_stdin },
	{ "print_env", print_env },
	{ "print_names", print_names },
	{ "print_signals", print_signals },
	{ "print_fds", print_fds },
	{ "print_limits", print_limits },
	{ "nest", nest },
	{ "leave_handler", leave_handler },
	{ "check_again", check_again },
	{ "an action: with \"odd\" characters, \xc3\xa4\xff", answer },
};

/* A child may be told not to come as far as gons_reexec_check(3). */
static void
construct(const char *what)
{
	if (strcmp(what, "exit") == 0)
		exit(3);
	if (strcmp(what, "words") == 0) {
		fprintf(stderr, "no licence\n");
		exit(0);
	}
	if (strcmp(what, "raise") == 0)
		(void)raise(SIGSEGV);
	if (strcmp(what, "close") == 0)
		(void)close(STDOUT_FILENO);
	while (strcmp(what, "write") == 0)
		if (write(STDOUT_FILENO, "0123456789", 10) == -1)
			break;
	for (;;)
		(void)pause();
}

__attribute__((constructor)) static void
register_and_check(void)
{
	struct gons_reexec *req;
	size_t i;

	for (i = 0; i < NELEM(actions); i++)
		if (gons_reexec_register(
			actions[i].name, actions[i].function) == -1)
			abort();
	if (getenv("CONSTRUCT") != NULL)
		construct(getenv("CONSTRUCT"));
	if ((req = gons_reexec_new("answer")) != NULL) {
		unchecked.result = gons_reexec_run(req);
		unchecked.errnum = errno;
		unchecked.failure = gons_reexec_failure(req);
		(void)snprintf(unchecked.text, sizeof(unchecked.text), "%s",
		    gons_reexec_error(req));
		gons_reexec_free(req);
	}
	gons_reexec_check();
}

/*
 * Requests.
 */

static void
register_action(void)
{
	char name[300], copy[] = "copied";
	size_t i;
	static const char *const bad[] = { "", "a\nb", "a\tb", "\x7f", "\x01" };

	memset(name, 'n', sizeof(name));
	name[256] = '\0';
	for (i = 0; i < NELEM(bad); i++) {
		errno = 0;
		ATF_CHECK_MSG(gons_reexec_register(bad[i], never) == -1 &&
				  errno == EINVAL,
		    "\"%s\"", bad[i]);
	}
	ATF_CHECK_ERRNO(EINVAL, gons_reexec_register(NULL, never) == -1);
	ATF_CHECK_ERRNO(EINVAL, gons_reexec_register("x", NULL) == -1);
	ATF_CHECK_ERRNO(EINVAL, gons_reexec_register(name, never) == -1);
	name[255] = '\0';
	ATF_CHECK_EQ(0, gons_reexec_register(name, never));
	ATF_CHECK_ERRNO(EEXIST, gons_reexec_register(name, never) == -1);
	ATF_CHECK_ERRNO(EEXIST, gons_reexec_register("answer", answer) == -1);
	ATF_CHECK_EQ(0, gons_reexec_register(copy, never));
	memset(copy, 'x', sizeof(copy) - 1);
	ATF_CHECK_ERRNO(EEXIST, gons_reexec_register("copied", never) == -1);
}

static void
new_request(void)
{
	struct gons_reexec *req;
	char name[300];
	int here;

	memset(name, 'n', sizeof(name));
	name[256] = '\0';
	ATF_CHECK_ERRNO(EINVAL, gons_reexec_new(NULL) == NULL);
	ATF_CHECK_ERRNO(EINVAL, gons_reexec_new("") == NULL);
	ATF_CHECK_ERRNO(EINVAL, gons_reexec_new(name) == NULL);
	name[255] = '\0';
	req = gons_reexec_new(name);
	ATF_REQUIRE(req != NULL);
	ATF_CHECK_EQ(NULL, gons_reexec_data(req));
	gons_reexec_setdata(req, &here);
	ATF_CHECK_EQ(&here, gons_reexec_data(req));
	ATF_CHECK_EQ(-1, gons_reexec_fd(req));
	ATF_CHECK_EQ(-1, gons_reexec_status(req));
	ATF_CHECK_EQ(0, gons_reexec_failure(req));
	ATF_CHECK_EQ(NULL, gons_reexec_error(req));
	ATF_CHECK_EQ(NULL, gons_reexec_result(req, NULL));
	ATF_CHECK_ERRNO(EINVAL, gons_reexec_step(req) == -1);
	ATF_CHECK_ERRNO(EINVAL, gons_reexec_wait(req) == -1);
	ATF_CHECK_ERRNO(ESRCH, gons_reexec_kill(req) == -1);
	errno = ENOTTY;
	gons_reexec_free(req);
	gons_reexec_free(NULL);
	ATF_CHECK_EQ(ENOTTY, errno);
}

#define REFUSED(req, errnum, words, call)                                      \
	do {                                                                   \
		errno = 0;                                                     \
		ATF_CHECK_MSG((call) == -1 && errno == (errnum), #call ": %s", \
		    strerror(errno));                                          \
		rx_text(req, "action \"answer\"|" words);                      \
		ATF_CHECK_EQ(0, gons_reexec_failure(req));                     \
	} while (0)

static void
bad_settings(void)
{
	struct gons_reexec *req = rx_new("answer");
	static const char *const names[] = { "", "=", "a=b", "gons_net",
		"gons_", "gons_whatever", "gons_reexec_action" };
	size_t i;

	for (i = 0; i < NELEM(names); i++) {
		REFUSED(req, EINVAL, "variable",
		    gons_reexec_setenv(req, names[i], "x"));
		REFUSED(req, EINVAL, "variable",
		    gons_reexec_setenv(req, names[i], NULL));
		ATF_CHECK(strstr(gons_reexec_error(req), names[i]) != NULL);
	}
	REFUSED(req, EINVAL, "variable", gons_reexec_setenv(req, NULL, "x"));
	ATF_CHECK_EQ(0, gons_reexec_setenv(req, "GONS_net", "x"));
	REFUSED(req, EINVAL, "parameter", gons_reexec_param(req, NULL, 1));
	REFUSED(req, ENOMEM, "parameter", gons_reexec_param(req, "", SIZE_MAX));
	REFUSED(req, EINVAL, "-1", gons_reexec_setgrace(req, -1));
	REFUSED(req, EINVAL, "-2", gons_reexec_settimeout(req, -2));
	REFUSED(
	    req, EINVAL, "0x80000000", gons_reexec_setflags(req, 0x80000000u));
	REFUSED(req, EINVAL, "0", gons_reexec_keepfd(req, 0));
	REFUSED(req, EINVAL, "2", gons_reexec_keepfd(req, 2));
	REFUSED(req, EBADF, "-1", gons_reexec_keepfd(req, -1));
	REFUSED(req, EBADF, "12345", gons_reexec_keepfd(req, 12345));
	ATF_CHECK_STREQ("42", rx_ok(req));
	gons_reexec_free(req);
}

static void
bad_namespaces(void)
{
	struct gons_reexec *req = rx_new("answer");
	int fd;

	REFUSED(req, EINVAL, "foo", gons_reexec_namespace(req, "foo", "/x"));
	REFUSED(req, EINVAL, "", gons_reexec_namespace(req, "", "/x"));
	REFUSED(req, EINVAL, "", gons_reexec_namespace(req, "!", "/x"));
	REFUSED(req, EINVAL, "net", gons_reexec_namespace(req, "!!net", "/x"));
	REFUSED(req, EINVAL, "", gons_reexec_namespace(req, NULL, "/x"));
	REFUSED(req, EINVAL, "net", gons_reexec_namespace(req, "net", ""));
	REFUSED(req, EINVAL, "net", gons_reexec_namespace(req, "net", NULL));
	REFUSED(
	    req, EINVAL, "net|fd:x", gons_reexec_namespace(req, "net", "fd:x"));
	REFUSED(req, EBADF, "net|fd:12345",
	    gons_reexec_namespace(req, "net", "fd:12345"));
	REFUSED(req, EINVAL, "foo", gons_reexec_setorder(req, "foo"));
	REFUSED(req, EINVAL, "net", gons_reexec_setorder(req, "net,net"));
	REFUSED(req, EBADF, "target", gons_reexec_target(req, -1, 0));
	REFUSED(req, EINVAL, "mask",
	    gons_reexec_target(req, 0, GONS_BIT(GONS_NTYPES)));
	ATF_REQUIRE((fd = open("/proc/self/ns/net", O_RDONLY | O_CLOEXEC)) > 0);
	ATF_CHECK_EQ(0, gons_reexec_namespace(req, "net", "/proc/self/ns/net"));
	REFUSED(req, EINVAL, "net", gons_reexec_namespace(req, "!net", "/x"));
	REFUSED(req, EINVAL, "target", gons_reexec_target(req, fd, 0));
	gons_reexec_free(req);

	req = rx_new("answer");
	ATF_CHECK_EQ(0, gons_reexec_target(req, fd, 0));
	REFUSED(req, EINVAL, "target", gons_reexec_namespace(req, "net", "/x"));
	REFUSED(req, EINVAL, "target", gons_reexec_setorder(req, "net"));
	gons_reexec_free(req);

	req = rx_new("answer");
	ATF_CHECK_EQ(0, gons_reexec_setorder(req, "net"));
	REFUSED(req, EINVAL, "target", gons_reexec_target(req, fd, 0));
	ATF_CHECK_EQ(0, gons_reexec_setorder(req, NULL));
	ATF_CHECK_EQ(0, gons_reexec_target(req, fd, 0));
	gons_reexec_free(req);
	close(fd);
}

static void
unregistered(void)
{
	struct gons_reexec *req = rx_new("nobody knows it");

	ATF_CHECK_ERRNO(ENOENT, gons_reexec_start(req) == -1);
	ATF_CHECK_EQ(GONS_FAIL_START, gons_reexec_failure(req));
	rx_text(req, "\"nobody knows it\"|not registered");
	ATF_CHECK_ERRNO(ECHILD, waitpid(-1, NULL, __WALL) == -1);
	ATF_CHECK_ERRNO(ENOENT, gons_reexec_wait(req) == -1);
	ATF_CHECK_ERRNO(ENOENT, gons_reexec_run(req) == -1);
	ATF_CHECK_EQ(-1, gons_reexec_fd(req));
	ATF_CHECK_EQ(-1, gons_reexec_status(req));
	gons_reexec_free(req);
}

/* It is, but in this process alone. */
static void
unregistered_in_child(void)
{
	struct gons_reexec *req;

	ATF_REQUIRE_EQ(0, gons_reexec_register("late", never));
	req = rx_new("late");
	rx_fails(req, GONS_FAIL_START, ENOENT, "\"late\"|not registered");
	gons_reexec_free(req);
}

static void
before_check(void)
{
	ATF_CHECK_EQ(-1, unchecked.result);
	ATF_CHECK_EQ(EPERM, unchecked.errnum);
	ATF_CHECK_EQ(GONS_FAIL_START, unchecked.failure);
	ATF_CHECK_MSG(strstr(unchecked.text, "gons_reexec_check") != NULL &&
			  strstr(unchecked.text, "answer") != NULL,
	    "%s", unchecked.text);
}

static int
never_complete(void *state, const void *more, size_t len)
{
	(void)state;
	(void)more;
	(void)len;
	return 0;
}

static void
checked_twice(void)
{
	int fd, status = 77;

	/* the lowest that is free */
	ATF_REQUIRE((fd = open("/dev/null", O_RDONLY)) != -1);
	close(fd);
	gons_reexec_check();
	ATF_CHECK_EQ(0, gons_reexec_runaction(&status));
	ATF_CHECK_EQ(0, gons_reexec_runaction(NULL));
	ATF_CHECK_EQ(77, status);
	ATF_CHECK_EQ(fd, open("/dev/null", O_RDONLY));
	close(fd);
}

static void
while_running(void)
{
	struct gons_reexec *req = rx_script("pause");

	ATF_REQUIRE_EQ(0, gons_reexec_start(req));
	ATF_CHECK_ERRNO(EBUSY, gons_reexec_start(req) == -1);
	ATF_CHECK_ERRNO(EBUSY, gons_reexec_run(req) == -1);
	ATF_CHECK_ERRNO(EBUSY, gons_reexec_namespace(req, "net", "/x") == -1);
	ATF_CHECK_ERRNO(EBUSY, gons_reexec_setorder(req, "net") == -1);
	ATF_CHECK_ERRNO(EBUSY, gons_reexec_target(req, 0, 0) == -1);
	ATF_CHECK_ERRNO(
	    EBUSY, gons_reexec_setcomplete(req, never_complete, NULL) == -1);
	ATF_CHECK_ERRNO(EBUSY, gons_reexec_setenv(req, "A", "b") == -1);
	ATF_CHECK_ERRNO(EBUSY, gons_reexec_param(req, "x", 1) == -1);
	ATF_CHECK_ERRNO(
	    EBUSY, gons_reexec_keepfd(req, gons_reexec_fd(req)) == -1);
	ATF_CHECK_ERRNO(EBUSY, gons_reexec_setgrace(req, 1) == -1);
	ATF_CHECK_ERRNO(EBUSY, gons_reexec_settimeout(req, 1) == -1);
	ATF_CHECK_ERRNO(EBUSY, gons_reexec_setmaxresult(req, 1) == -1);
	ATF_CHECK_ERRNO(EBUSY, gons_reexec_setflags(req, 0) == -1);
	gons_reexec_setdata(req, req);
	ATF_CHECK_EQ(req, gons_reexec_data(req));
	ATF_CHECK_EQ(0, gons_reexec_failure(req));
	ATF_CHECK_EQ(-1, gons_reexec_status(req));
	ATF_CHECK_EQ(0, gons_reexec_step(req));
	gons_reexec_free(req);
}

static void
twice(void)
{
	struct gons_reexec *req = rx_new("echo");
	size_t len;
	int i;

	for (i = 0; i < 3; i++) {
		ATF_REQUIRE_EQ(0, gons_reexec_param(req, "first", 5));
		ATF_CHECK_STREQ("first", rx_ok(req));
		ATF_CHECK_EQ(0, gons_reexec_status(req));
		ATF_REQUIRE_EQ(0, gons_reexec_setmaxresult(req, 3));
		rx_fails(req, GONS_FAIL_SIZE, EMSGSIZE, "\"echo\"|3 bytes");
		ATF_CHECK_STREQ(
		    "fir", (const char *)gons_reexec_result(req, &len));
		ATF_CHECK_EQ(3, len);
		ATF_REQUIRE_EQ(0, gons_reexec_setmaxresult(req, 100));
	}
	ATF_REQUIRE_EQ(0, gons_reexec_param(req, NULL, 0));
	ATF_CHECK_STREQ("", rx_ok(req));
	gons_reexec_free(req);
}

/*
 * What a child gets.
 */

static void
simplest(void)
{
	struct gons_reexec *req = rx_new("answer");
	size_t len;

	ATF_CHECK_EQ(0, gons_reexec_run(req));
	ATF_CHECK_STREQ("42", (const char *)gons_reexec_result(req, &len));
	ATF_CHECK_EQ(2, len);
	ATF_CHECK_EQ(0, gons_reexec_status(req));
	ATF_CHECK_EQ(GONS_FAIL_NONE, gons_reexec_failure(req));
	ATF_CHECK_EQ(NULL, gons_reexec_error(req));
	ATF_CHECK_EQ(1, gons_reexec_step(req));
	ATF_CHECK_EQ(0, gons_reexec_wait(req));
	ATF_CHECK_ERRNO(ESRCH, gons_reexec_kill(req) == -1);
	gons_reexec_free(req);

	req = rx_new(actions[NELEM(actions) - 1].name);
	ATF_CHECK_STREQ("42", rx_ok(req));
	gons_reexec_free(req);
}

static void
param(void)
{
	static const size_t sizes[] = { 0, 1, 4095, 65536, 65537, MIB };
	struct gons_reexec *req = rx_new("echo");
	char *buf = pattern(MIB);
	size_t i, len;

	for (i = 0; i < NELEM(sizes); i++) {
		ATF_REQUIRE_EQ(0, gons_reexec_param(req, buf, sizes[i]));
		(void)rx_ok(req);
		ATF_CHECK(
		    memcmp(buf, gons_reexec_result(req, &len), sizes[i]) == 0);
		ATF_CHECK_EQ(sizes[i], len);
	}
	gons_reexec_free(req);
	req = rx_new("answer");
	ATF_REQUIRE_EQ(0, gons_reexec_param(req, buf, MIB));
	memset(buf, 0, MIB);
	ATF_CHECK_STREQ("42", rx_ok(req));
	gons_reexec_free(req);
	free(buf);
}

static void
stdin_is_sealed(void)
{
	struct gons_reexec *req = rx_new("print_stdin");
	char expected[128];

	(void)snprintf(expected, sizeof(expected),
	    "size 5 at 0 seals %d writable 0", SEALS);
	ATF_REQUIRE_EQ(0, gons_reexec_param(req, "hello", 5));
	ATF_CHECK_STREQ(expected, rx_ok(req));
	gons_reexec_free(req);
}

/* The value of a variable in the result of "print_env"; NULL: none. */
static const char *
find_env(const char *text, const char *name)
{
	static char value[256];
	size_t len = strlen(name);

	for (; text != NULL && *text != '\0';
	     text = strchr(text, '\n'), text += text != NULL)
		if (strncmp(text, name, len) == 0 && text[len] == '=') {
			text += len + 1;
			(void)snprintf(value, sizeof(value), "%.*s",
			    (int)strcspn(text, "\n"), text);
			return value;
		}
	return NULL;
}

static void
environment(void)
{
	struct gons_reexec *req = rx_new("print_env");
	const char *r;

	ATF_REQUIRE_EQ(0, setenv("INHERITED", "as it is", 1));
	ATF_REQUIRE_EQ(0, setenv("REPLACED", "old", 1));
	ATF_REQUIRE_EQ(0, setenv("REMOVED", "x", 1));
	ATF_REQUIRE_EQ(0, setenv("REMOVEDNOT", "y", 1));
	ATF_REQUIRE_EQ(0, setenv("gons_net", "/no/such/namespace", 1));
	ATF_REQUIRE_EQ(0, setenv("gons_onerror", "exit", 1));
	ATF_REQUIRE_EQ(0, setenv("gons_of_mine", "z", 1));
	ATF_REQUIRE_EQ(0, gons_reexec_setenv(req, "REPLACED", "older"));
	ATF_REQUIRE_EQ(0, gons_reexec_setenv(req, "REPLACED", "new=er"));
	ATF_REQUIRE_EQ(0, gons_reexec_setenv(req, "ADDED", ""));
	ATF_REQUIRE_EQ(0, gons_reexec_setenv(req, "REMOVED", NULL));
	ATF_REQUIRE_EQ(0, gons_reexec_setenv(req, "NOTTHERE", NULL));
	r = rx_ok(req);
	ATF_CHECK_STREQ("as it is", find_env(r, "INHERITED"));
	ATF_CHECK_STREQ("new=er", find_env(r, "REPLACED"));
	ATF_CHECK_STREQ("", find_env(r, "ADDED"));
	ATF_CHECK_STREQ("y", find_env(r, "REMOVEDNOT"));
	ATF_CHECK(strstr(r, "REMOVED=") == NULL);
	ATF_CHECK(strstr(r, "NOTTHERE") == NULL);
	ATF_CHECK(strstr(r, "older") == NULL);
	ATF_CHECK(strstr(r, "=old") == NULL);
	ATF_CHECK_MSG(strstr(r, "gons_") == NULL, "%s", r);
	/* the parent's own are as they were, also those of the library */
	ATF_CHECK_STREQ("/no/such/namespace", getenv("gons_net"));
	ATF_CHECK_STREQ("old", getenv("REPLACED"));
	/* set again it is there again; an empty environment will do */
	ATF_REQUIRE_EQ(0, gons_reexec_setenv(req, "REMOVED", "back"));
	ATF_REQUIRE_EQ(0, clearenv());
	r = rx_ok(req);
	ATF_CHECK_STREQ("back", find_env(r, "REMOVED"));
	ATF_CHECK_EQ(NULL, find_env(r, "INHERITED"));
	gons_reexec_free(req);
}

static void
names(void)
{
	struct gons_reexec *req = rx_new("print_names");
	char expected[5000], name[16];

	(void)snprintf(name, sizeof(name), "%s", program_invocation_short_name);
	(void)snprintf(expected, sizeof(expected), "%zu %s\n%s\n",
	    strlen(program_invocation_name) + 1, program_invocation_name, name);
	ATF_CHECK_STREQ(expected, rx_ok(req));
	gons_reexec_free(req);
}

static void
signals(void)
{
	struct gons_reexec *req = rx_new("print_signals");
	struct sigaction action;
	sigset_t all, now, old;
	int signo;

	memset(&action, 0, sizeof(action));
	for (signo = 1; signo <= SIGRTMAX; signo++) {
		action.sa_handler = signo % 2 != 0 ? SIG_IGN : handler;
		if (signo != SIGCHLD && signo != SIGALRM)
			(void)sigaction(signo, &action, NULL);
	}
	ATF_REQUIRE_EQ(0, sigfillset(&all));
	ATF_REQUIRE_EQ(0, sigprocmask(SIG_SETMASK, &all, &old));
	ATF_REQUIRE_EQ(0, raise(SIGUSR1));
	ATF_REQUIRE_EQ(0, sigprocmask(SIG_SETMASK, NULL, &all));
	ATF_CHECK_STREQ("SigPnd 0000000000000000\nShdPnd 0000000000000000\n"
			"SigBlk 0000000000000000\nSigIgn 0000000000000000\n"
			"SigCgt 0000000000000000\n",
	    rx_ok(req));
	ATF_REQUIRE_EQ(0, sigprocmask(SIG_SETMASK, &old, &now));
	for (signo = 1; signo <= SIGRTMAX; signo++)
		ATF_CHECK_EQ(
		    sigismember(&all, signo), sigismember(&now, signo));
	gons_reexec_free(req);
}

static void
descriptors(void)
{
	struct gons_reexec *req = rx_new("print_fds");
	char expected[64];
	const char *result;
	int end = 0, high, kept, other, private;

	ATF_REQUIRE((other = open("/dev/null", O_RDONLY)) > 2);
	ATF_REQUIRE((high = dup2(other, 900)) == 900);
	ATF_REQUIRE((kept = open("/dev/null", O_RDONLY | O_CLOEXEC)) > 2);
	/* one is private, to tell the status; no other program gets it */
	result = rx_ok(req);
	ATF_CHECK_MSG(sscanf(result, " 0 1 2 %d*%n", &private, &end) == 1 &&
			  result[end] == '\0',
	    "%s", result);
	ATF_REQUIRE_EQ(0, gons_reexec_keepfd(req, high));
	ATF_REQUIRE_EQ(0, gons_reexec_keepfd(req, kept));
	ATF_REQUIRE_EQ(0, gons_reexec_keepfd(req, high));
	result = rx_ok(req);
	(void)snprintf(expected, sizeof(expected), " %d ", kept);
	ATF_CHECK_MSG(strstr(result, expected) != NULL, "%s", result);
	ATF_CHECK_MSG(strstr(result, " 900") != NULL, "%s", result);
	(void)snprintf(expected, sizeof(expected), " %d ", other);
	ATF_CHECK_MSG(strstr(result, expected) == NULL, "%s", result);
	/* close-on-exec it is still, for what else this process executes */
	ATF_CHECK_EQ(FD_CLOEXEC, fcntl(kept, F_GETFD));
	/* gone when it is needed */
	close(kept);
	ATF_CHECK_ERRNO(EBADF, gons_reexec_start(req) == -1);
	ATF_CHECK_EQ(GONS_FAIL_START, gons_reexec_failure(req));
	rx_text(req, "print_fds|Bad file descriptor");
	gons_reexec_free(req);
	close(high);
	close(other);
}

static void
surroundings(void)
{
	struct gons_reexec *req = rx_new("print_limits");
	char dir[PATH_MAX], expected[PATH_MAX + 16];

	ATF_REQUIRE_EQ(0, mkdir("below", 0700));
	ATF_REQUIRE_EQ(0, chdir("below"));
	(void)umask(027);
	(void)snprintf(
	    expected, sizeof(expected), "%s 27", getcwd(dir, sizeof(dir)));
	ATF_CHECK_STREQ(expected, rx_ok(req));
	gons_reexec_free(req);
	ATF_REQUIRE_EQ(0, chdir(".."));
}

static void
nested(void)
{
	struct gons_reexec *req = rx_new("nest");

	ATF_CHECK_STREQ("-1 1 1 gons: action \"answer\": cannot be started: "
			"this is already a re-executed child",
	    rx_ok(req));
	gons_reexec_free(req);
}

static void
checked_again(void)
{
	struct gons_reexec *req = rx_new("check_again");

	rx_fails(req, GONS_FAIL_STDERR, EIO, "check_again|already");
	gons_reexec_free(req);
}

static void
exit_handlers(void)
{
	struct gons_reexec *req = rx_new("leave_handler");

	ATF_CHECK_STREQ("not flushed bye", rx_ok(req));
	gons_reexec_free(req);
}

/*
 * What comes back.
 */

static void
set_size(struct gons_reexec *req, size_t size)
{
	char text[32];

	(void)snprintf(text, sizeof(text), "%zu", size);
	ATF_REQUIRE_EQ(0, gons_reexec_setenv(req, "SIZE", text));
}

static void
large_results(void)
{
	static const size_t sizes[] = { 1, 4094, 4095, 4096, 4097, 65535, 65536,
		65537, 8 * MIB };
	static const struct {
		const char *action;
		unsigned flags;
	} ways[] = { { "big", 0 }, { "big_reply", GONS_REEXEC_REPLY } };
	struct gons_reexec *req;
	char *buf = pattern(8 * MIB);
	size_t i, len, way;

	for (way = 0; way < NELEM(ways); way++) {
		req = rx_new(ways[way].action);
		rx_flags(req, ways[way].flags);
		for (i = 0; i < NELEM(sizes); i++) {
			set_size(req, sizes[i]);
			ATF_REQUIRE_EQ(
			    0, gons_reexec_setmaxresult(req, sizes[i]));
			(void)rx_ok(req);
			ATF_CHECK(memcmp(buf, gons_reexec_result(req, &len),
				      sizes[i]) == 0);
			ATF_CHECK_EQ(sizes[i], len);
			ATF_REQUIRE_EQ(
			    0, gons_reexec_setmaxresult(req, sizes[i] - 1));
			rx_fails(req, GONS_FAIL_SIZE, EMSGSIZE, "bytes");
			(void)gons_reexec_result(req, &len);
			if (way == 0)
				ATF_CHECK_EQ(sizes[i] - 1, len);
		}
		gons_reexec_free(req);
	}
	free(buf);
}

static void
no_result_allowed(void)
{
	struct gons_reexec *req = rx_script("return 0");

	ATF_REQUIRE_EQ(0, gons_reexec_setmaxresult(req, 0));
	ATF_CHECK_STREQ("", rx_ok(req));
	ATF_REQUIRE_EQ(0, gons_reexec_setenv(req, "SCRIPT", "out x"));
	rx_fails(req, GONS_FAIL_SIZE, EMSGSIZE, "0 bytes");
	ATF_CHECK_STREQ("", rx_result(req));
	ATF_REQUIRE_EQ(0, gons_reexec_setmaxresult(req, SIZE_MAX));
	ATF_CHECK_STREQ("x", rx_ok(req));
	gons_reexec_free(req);
}

static void
endless_stdout(void)
{
	struct gons_reexec *req = rx_script("endless 1");
	size_t len;

	ATF_REQUIRE_EQ(0, gons_reexec_setmaxresult(req, 3 * MIB));
	rx_fails(req, GONS_FAIL_SIZE, EMSGSIZE, "script|3145728");
	(void)gons_reexec_result(req, &len);
	ATF_CHECK_EQ(3 * MIB, len);
	ATF_CHECK_EQ(SIGKILL, gons_reexec_status(req) & 0x7f);
	gons_reexec_free(req);
}

static void
endless_stderr(void)
{
	struct gons_reexec *req = rx_script("out begun\nendless 2");

	ATF_REQUIRE_EQ(0, gons_reexec_settimeout(req, 1500));
	rx_fails(req, GONS_FAIL_TIMEOUT, ETIMEDOUT, "script|1500 ms|xxxx");
	ATF_CHECK_STREQ("begun", rx_result(req));
	gons_reexec_free(req);
}

/* The rest of it is read, so that the child need not wait, and dropped. */
static void
much_stderr(void)
{
	struct gons_reexec *req = rx_new("big_err");
	char *buf = pattern(STDERR_KEPT);
	const char *words;

	set_size(req, 2 * MIB);
	rx_fails(req, GONS_FAIL_STDERR, EIO, "big_err");
	words = strstr(gons_reexec_error(req), buf);
	ATF_REQUIRE(words != NULL);
	ATF_CHECK_EQ(STDERR_KEPT, strlen(words));
	ATF_CHECK_EQ(0, gons_reexec_status(req));
	set_size(req, STDERR_KEPT);
	rx_fails(req, GONS_FAIL_STDERR, EIO, "big_err");
	gons_reexec_free(req);
	free(buf);
}

static void
stderr_words(void)
{
	struct gons_reexec *req = rx_script("err one\nerr \t\ntwo");
	const char *text;

	ATF_REQUIRE_EQ(
	    0, gons_reexec_setenv(req, "SCRIPT",
		   "out kept\nerr cannot read it:\x1b[31m\xff no\nexit 0"));
	rx_fails(req, GONS_FAIL_STDERR, EIO, "\"script\"|cannot read it|no");
	ATF_CHECK_STREQ("kept", rx_result(req));
	ATF_CHECK_EQ(0, gons_reexec_status(req));
	text = gons_reexec_error(req);
	ATF_CHECK(strchr(text, '\xff') == NULL && strchr(text, '\x1b') == NULL);
	ATF_CHECK(strncmp(text, "gons: ", 6) == 0);
	/* a setting that is refused has nothing to do with the child's words */
	ATF_CHECK_ERRNO(EINVAL, gons_reexec_setgrace(req, -1) == -1);
	ATF_CHECK(strstr(gons_reexec_error(req), "cannot read") == NULL);
	gons_reexec_free(req);
}

/* Replaces stderr by a pipe; returns the one that was. */
static int
stderr_pipe(int fd[2])
{
	int saved = fcntl(STDERR_FILENO, F_DUPFD_CLOEXEC, 3);

	ATF_REQUIRE(saved != -1);
	rx_pipe(fd);
	ATF_REQUIRE_EQ(STDERR_FILENO, dup2(fd[1], STDERR_FILENO));
	close(fd[1]);
	return saved;
}

static void
stderr_pass(void)
{
	struct gons_reexec *req = rx_script("err warning\nout result");
	char buf[32] = "";
	int fd[2], saved;

	rx_flags(req, GONS_REEXEC_STDERR_PASS);
	saved = stderr_pipe(fd);
	ATF_CHECK_STREQ("result", rx_ok(req));
	ATF_REQUIRE_EQ(STDERR_FILENO, dup2(saved, STDERR_FILENO));
	close(saved);
	ATF_CHECK_EQ(7, read(fd[0], buf, sizeof(buf)));
	ATF_CHECK_STREQ("warning", buf);
	ATF_CHECK_EQ(0, read(fd[0], buf, sizeof(buf)));
	close(fd[0]);
	/* it fails all the same for other reasons */
	ATF_REQUIRE_EQ(0, gons_reexec_setenv(req, "SCRIPT", "return 5"));
	rx_fails(req, GONS_FAIL_EXIT, EIO, "5");
	gons_reexec_free(req);
}

/* With GONS_REEXEC_REPLY what is printed goes that way, too. */
static void
stderr_pass_reply(void)
{
	struct gons_reexec *req =
	    rx_script("out noise,\nerr warning\nreply result");
	char buf[32] = "";
	int fd[2], saved;

	rx_flags(req, GONS_REEXEC_STDERR_PASS | GONS_REEXEC_REPLY);
	saved = stderr_pipe(fd);
	ATF_CHECK_STREQ("result", rx_ok(req));
	ATF_REQUIRE_EQ(STDERR_FILENO, dup2(saved, STDERR_FILENO));
	close(saved);
	ATF_CHECK_EQ(13, read(fd[0], buf, sizeof(buf)));
	ATF_CHECK_STREQ("noise,warning", buf);
	close(fd[0]);
	gons_reexec_free(req);
}

static const struct {
	const char *script;
	int failure, status;
	const char *words;
} ends[] = {
	{ "return 0", GONS_FAIL_NONE, 0, NULL },
	{ "exit 0", GONS_FAIL_NONE, 0, NULL },
	{ "_exit 0", GONS_FAIL_NONE, 0, NULL },
	{ "return 3", GONS_FAIL_EXIT, 3 << 8, "script|status 3" },
	{ "exit 3", GONS_FAIL_EXIT, 3 << 8, "script|status 3" },
	{ "_exit 4", GONS_FAIL_EXIT, 4 << 8, "script|status 4" },
	{ "return 255", GONS_FAIL_EXIT, 255 << 8, "status 255" },
	{ "return 256", GONS_FAIL_NONE, 0, NULL },
	{ "return 259", GONS_FAIL_EXIT, 3 << 8, "status 3" },
	{ "raise 9", GONS_FAIL_SIGNAL, 9, "script|signal 9|Killed" },
	{ "raise 15", GONS_FAIL_SIGNAL, 15, "signal 15|Terminated" },
	{ "raise 11", GONS_FAIL_SIGNAL, 11, "signal 11|Segmentation" },
	{ "raise 6", GONS_FAIL_SIGNAL, 6, "signal 6|Aborted" },
	{ "raise 40", GONS_FAIL_SIGNAL, 40, "signal 40" },
};

static void
how_it_ends(void)
{
	struct gons_reexec *req;
	size_t i;
	char lines[64];

	for (i = 0; i < NELEM(ends); i++) {
		(void)snprintf(
		    lines, sizeof(lines), "out said\n%s", ends[i].script);
		req = rx_script(lines);
		if (ends[i].failure == GONS_FAIL_NONE)
			(void)rx_ok(req);
		else
			rx_fails(req, ends[i].failure, EIO, ends[i].words);
		ATF_CHECK_STREQ("said", rx_result(req));
		ATF_CHECK_EQ_MSG(ends[i].status,
		    gons_reexec_status(req) & ~0x80, "%s: %#x", ends[i].script,
		    gons_reexec_status(req));
		gons_reexec_free(req);
	}
}

/*
 * What a run fails of when there are several reasons; each line of the table
 * in the manual against the one that follows.
 */
static const struct {
	const char *script;
	unsigned flags;
	int timeout; /* ms; 0: none */
	size_t max; /* 0: the default */
	int failure, errnum;
	const char *result;
} several[] = {
	/* time is over, and the result is too large already or not there */
	{ "out much\nerr words\npause", 0, SANITIZER ? 5000 : 200, 0,
	    GONS_FAIL_TIMEOUT, ETIMEDOUT, "much" },
	/* too large, said something, would exit with 3 */
	{ "err words\nout much\nexit 3", 0, 0, 2, GONS_FAIL_SIZE, EMSGSIZE,
	    "mu" },
	/* words, no reply, signal */
	{ "out words\nraise 9", GONS_REEXEC_REPLY, 0, 0, GONS_FAIL_STDERR, EIO,
	    "" },
	{ "out much\nerr words\nexit 3", 0, 0, 0, GONS_FAIL_STDERR, EIO,
	    "much" },
	{ "out much\nerr words\nraise 9", 0, 0, 0, GONS_FAIL_STDERR, EIO,
	    "much" },
	/* no reply, signal or status */
	{ "raise 9", GONS_REEXEC_REPLY, 0, 0, GONS_FAIL_RESULT, EBADMSG, "" },
	{ "exit 3", GONS_REEXEC_REPLY, 0, 0, GONS_FAIL_RESULT, EBADMSG, "" },
	/* a reply, but then */
	{ "reply yes\nexit 3", GONS_REEXEC_REPLY, 0, 0, GONS_FAIL_EXIT, EIO,
	    "yes" },
	{ "reply yes\nraise 9", GONS_REEXEC_REPLY, 0, 0, GONS_FAIL_SIGNAL, EIO,
	    "yes" },
	{ "reply yes\nout words", GONS_REEXEC_REPLY, 0, 0, GONS_FAIL_STDERR,
	    EIO, "yes" },
};

static void
precedence(void)
{
	struct gons_reexec *req;
	size_t i;

	for (i = 0; i < NELEM(several); i++) {
		req = rx_script(several[i].script);
		rx_flags(req, several[i].flags);
		if (several[i].timeout != 0)
			ATF_REQUIRE_EQ(
			    0, gons_reexec_settimeout(req, several[i].timeout));
		if (several[i].max != 0)
			ATF_REQUIRE_EQ(
			    0, gons_reexec_setmaxresult(req, several[i].max));
		ATF_REQUIRE_EQ(0, gons_reexec_start(req));
		rx_wait_fails_at(req, several[i].script, (int)i,
		    several[i].failure, several[i].errnum, "\"script\"");
		ATF_CHECK_STREQ(several[i].result, rx_result(req));
		gons_reexec_free(req);
	}
}

/* Killed with words on its stderr, and result that does not decode. */
static void
killed_first(void)
{
	struct gons_reexec *req = rx_script("err words\nout part\npause");
	size_t len;

	ATF_REQUIRE_EQ(0, gons_reexec_start(req));
	do {
		ATF_REQUIRE_EQ(0, gons_reexec_step(req));
		(void)gons_reexec_result(req, &len);
	} while (len < 4);
	ATF_REQUIRE_EQ(0, gons_reexec_kill(req));
	ATF_REQUIRE_EQ(0, gons_reexec_kill(req));
	rx_wait_fails(
	    req, GONS_FAIL_KILLED, ECANCELED, "script|gons_reexec_kill|words");
	ATF_CHECK_STREQ("part", rx_result(req));
	ATF_CHECK_EQ(SIGKILL, gons_reexec_status(req));
	gons_reexec_free(req);
}

static void
never_checks(void)
{
	static const struct {
		const char *how, *words;
		int status;
	} hows[] = {
		{ "exit", "answer|before gons_reexec_check()", 3 << 8 },
		{ "words", "answer|before gons_reexec_check()|no licence", 0 },
		{ "raise", "answer|before gons_reexec_check()", SIGSEGV },
		{ "close", "answer|gons_reexec_check()", SIGKILL },
		{ "write", "answer|gons_reexec_check()", SIGKILL },
	};
	struct gons_reexec *req = rx_new("answer");
	size_t i;

	ATF_REQUIRE_EQ(0, gons_reexec_setmaxresult(req, 1000));
	ATF_REQUIRE_EQ(0, gons_reexec_setgrace(req, 200));
	for (i = 0; i < NELEM(hows); i++) {
		ATF_REQUIRE_EQ(
		    0, gons_reexec_setenv(req, "CONSTRUCT", hows[i].how));
		rx_fails(req, GONS_FAIL_START, EPROTO, hows[i].words);
		ATF_CHECK_EQ_MSG(hows[i].status,
		    gons_reexec_status(req) & ~0x80, "%s: %#x", hows[i].how,
		    gons_reexec_status(req));
	}
	/* who asked for the end gets what was asked for */
	ATF_REQUIRE_EQ(0, gons_reexec_setenv(req, "CONSTRUCT", "hang"));
	ATF_REQUIRE_EQ(0, gons_reexec_settimeout(req, 200));
	rx_fails(req, GONS_FAIL_TIMEOUT, ETIMEDOUT, "gons_reexec_check()");
	ATF_REQUIRE_EQ(0, gons_reexec_start(req));
	ATF_REQUIRE_EQ(0, gons_reexec_kill(req));
	rx_wait_fails(req, GONS_FAIL_KILLED, ECANCELED, "gons_reexec_kill");
	gons_reexec_free(req);
}

/*
 * Time.
 */

static void
silent_for_ever(void)
{
	struct gons_reexec *req = rx_script("out partial\npause");
	long long before;
	int fd[2];

	rx_pipe(fd);
	rx_keep(req, "LIFE", fd[1]);
	ATF_REQUIRE_EQ(0, gons_reexec_settimeout(req, 300));
	before = rx_clock();
	rx_fails(req, GONS_FAIL_TIMEOUT, ETIMEDOUT, "script|300 ms");
	ATF_CHECK(rx_clock() - before >= 300);
	ATF_CHECK_STREQ("partial", rx_result(req));
	ATF_CHECK_EQ(SIGKILL, gons_reexec_status(req));
	close(fd[1]);
	ATF_CHECK(rx_gone(fd[0], 0));
	close(fd[0]);
	gons_reexec_free(req);
}

static void
no_time(void)
{
	struct gons_reexec *req = rx_script("pause");

	ATF_REQUIRE_EQ(0, gons_reexec_settimeout(req, 0));
	rx_fails(req, GONS_FAIL_TIMEOUT, ETIMEDOUT, "0 ms");
	ATF_REQUIRE_EQ(0, gons_reexec_settimeout(req, INT_MAX));
	ATF_REQUIRE_EQ(0, gons_reexec_setenv(req, "SCRIPT", "out x"));
	ATF_CHECK_STREQ("x", rx_ok(req));
	ATF_REQUIRE_EQ(0, gons_reexec_settimeout(req, -1));
	ATF_CHECK_STREQ("x", rx_ok(req));
	gons_reexec_free(req);
}

/* End of file, then nothing: no failure, but its end. */
static void
grace(void)
{
	struct gons_reexec *req = rx_script("out done\nclose 1\npause");
	long long before;

	ATF_REQUIRE_EQ(0, gons_reexec_setgrace(req, 300));
	before = rx_clock();
	ATF_CHECK_STREQ("done", rx_ok(req));
	ATF_CHECK(rx_clock() - before >= 300);
	ATF_CHECK_EQ(SIGKILL, gons_reexec_status(req));
	/* complete in time, so no timeout either */
	ATF_REQUIRE_EQ(0, gons_reexec_settimeout(req, 500));
	ATF_REQUIRE_EQ(0, gons_reexec_setgrace(req, 60000));
	ATF_CHECK_STREQ("done", rx_ok(req));
	ATF_REQUIRE_EQ(0, gons_reexec_settimeout(req, -1));
	ATF_REQUIRE_EQ(0, gons_reexec_setgrace(req, 0));
	ATF_CHECK_STREQ("done", rx_ok(req));
	/* who goes within it may say how */
	ATF_REQUIRE_EQ(0, gons_reexec_setgrace(req, 60000));
	ATF_REQUIRE_EQ(
	    0, gons_reexec_setenv(req, "SCRIPT", "out x\nclose 1\nexit 3"));
	rx_fails(req, GONS_FAIL_EXIT, EIO, "status 3");
	gons_reexec_free(req);
}

static void
grace_deaf(void)
{
	struct gons_reexec *req = rx_new("deaf");

	ATF_REQUIRE_EQ(0, gons_reexec_setgrace(req, 100));
	ATF_CHECK_STREQ("done", rx_ok(req));
	ATF_CHECK_EQ(SIGKILL, gons_reexec_status(req));
	gons_reexec_free(req);
}

static void
default_grace(void)
{
	struct gons_reexec *req = rx_script("out done\nclose 1\npause");
	long long before = rx_clock();

	ATF_CHECK_STREQ("done", rx_ok(req));
	ATF_CHECK(rx_clock() - before >= 1000);
	gons_reexec_free(req);
}

static void
grandchild(void)
{
	static const char *const holds[] = { "1", "2", "12", "012" };
	struct gons_reexec *req;
	char lines[64];
	int fd[2];
	size_t i;

	for (i = 0; i < NELEM(holds); i++) {
		(void)snprintf(
		    lines, sizeof(lines), "out from me\nfork %s", holds[i]);
		req = rx_script(lines);
		rx_pipe(fd);
		rx_keep(req, "LIFE", fd[0]);
		ATF_REQUIRE_EQ(0, gons_reexec_setgrace(req, 200));
		ATF_CHECK_STREQ("from me", rx_ok(req));
		ATF_CHECK_EQ(0, gons_reexec_status(req));
		/* how the child ended counts */
		(void)snprintf(
		    lines, sizeof(lines), "out me\nfork %s\nexit 3", holds[i]);
		ATF_REQUIRE_EQ(0, gons_reexec_setenv(req, "SCRIPT", lines));
		rx_fails(req, GONS_FAIL_EXIT, EIO, "status 3");
		ATF_CHECK_STREQ("me", rx_result(req));
		gons_reexec_free(req);
		close(fd[0]);
		close(fd[1]);
	}
}

/* As a daemon's starter leaves it: gone at once, when nobody has its pipes. */
static void
daemon_left(void)
{
	struct gons_reexec *req = rx_script("out started\nfork 0");
	int fd[2];

	rx_pipe(fd);
	rx_keep(req, "LIFE", fd[0]);
	ATF_REQUIRE_EQ(0, gons_reexec_setgrace(req, 90000));
	ATF_CHECK_STREQ("started", rx_ok(req));
	gons_reexec_free(req);
	close(fd[0]);
	close(fd[1]);
}

/*
 * The end of a result as the caller sees it.
 */

struct seen {
	char text[64];
	size_t len;
	int calls, at_end;
	int value; /* to return from "!" on */
};

static int
is_complete(void *state, const void *more, size_t len)
{
	struct seen *seen = state;

	seen->calls++;
	if (len == 0)
		seen->at_end++;
	ATF_REQUIRE(more != NULL);
	(void)snprintf(seen->text + seen->len, sizeof(seen->text) - seen->len,
	    "%.*s", (int)len, (const char *)more);
	seen->len = strlen(seen->text);
	return memchr(more, '!', len) != NULL ? seen->value : 0;
}

/* The pieces are those of the result, each once, and 0 bytes at its end. */
static void
complete_pieces(void)
{
	struct gons_reexec *req = rx_script("out one,\nout two");
	struct seen seen;

	memset(&seen, 0, sizeof(seen));
	ATF_REQUIRE_EQ(0, gons_reexec_setcomplete(req, is_complete, &seen));
	ATF_CHECK_STREQ("one,two", rx_ok(req));
	ATF_CHECK_STREQ("one,two", seen.text);
	ATF_CHECK_EQ(1, seen.at_end);
	memset(&seen, 0, sizeof(seen));
	ATF_REQUIRE_EQ(0, gons_reexec_setcomplete(req, NULL, NULL));
	ATF_CHECK_STREQ("one,two", rx_ok(req));
	ATF_CHECK_EQ(0, seen.calls);
	gons_reexec_free(req);
}

static void
complete_early(void)
{
	struct gons_reexec *req = rx_script("out one!\npause");
	struct seen seen;

	memset(&seen, 0, sizeof(seen));
	seen.value = 1;
	ATF_REQUIRE_EQ(0, gons_reexec_setcomplete(req, is_complete, &seen));
	ATF_REQUIRE_EQ(0, gons_reexec_setgrace(req, 100));
	ATF_CHECK_STREQ("one!", rx_ok(req));
	ATF_CHECK_EQ(1, seen.calls);
	/* what follows is not the result's, but does not hold up the child */
	ATF_REQUIRE_EQ(0, gons_reexec_setmaxresult(req, 64));
	memset(&seen, 0, sizeof(seen));
	seen.value = 1;
	ATF_REQUIRE_EQ(
	    0, gons_reexec_setenv(req, "SCRIPT", "out one!\nendless 1"));
	ATF_REQUIRE(gons_reexec_run(req) == 0 ||
		    gons_reexec_failure(req) == GONS_FAIL_NONE);
	gons_reexec_free(req);
}

static void
complete_never(void)
{
	struct gons_reexec *req = rx_script("out not it!\npause");
	struct seen seen;

	memset(&seen, 0, sizeof(seen));
	seen.value = -1;
	ATF_REQUIRE_EQ(0, gons_reexec_setcomplete(req, is_complete, &seen));
	ATF_REQUIRE_EQ(0, gons_reexec_setgrace(req, 100));
	rx_fails(req, GONS_FAIL_RESULT, EBADMSG, "script|does not decode");
	ATF_CHECK_EQ(1, seen.calls);
	ATF_CHECK_STREQ("not it!", rx_result(req));
	/* its words come first */
	seen.len = 0;
	ATF_REQUIRE_EQ(
	    0, gons_reexec_setenv(req, "SCRIPT", "out not it!\nerr sorry"));
	rx_fails(req, GONS_FAIL_STDERR, EIO, "sorry");
	/* and a signal after */
	seen.len = 0;
	ATF_REQUIRE_EQ(
	    0, gons_reexec_setenv(req, "SCRIPT", "out not it!\nraise 9"));
	rx_fails(req, GONS_FAIL_RESULT, EBADMSG, "does not decode");
	gons_reexec_free(req);
}

/*
 * GONS_REEXEC_REPLY.
 */

static struct gons_reexec *
replying(const char *lines)
{
	struct gons_reexec *req = rx_script(lines);

	rx_flags(req, GONS_REEXEC_REPLY);
	return req;
}

static void
reply(void)
{
	struct gons_reexec *req = replying("reply the result");

	ATF_CHECK_STREQ("the result", rx_ok(req));
	ATF_REQUIRE_EQ(0, gons_reexec_setenv(req, "SCRIPT", "reply "));
	ATF_CHECK_STREQ("", rx_ok(req));
	ATF_REQUIRE_EQ(0,
	    gons_reexec_setenv(req, "SCRIPT", "out noise\nreply the result"));
	rx_fails(req, GONS_FAIL_STDERR, EIO, "noise");
	ATF_CHECK_STREQ("the result", rx_result(req));
	ATF_REQUIRE_EQ(0, gons_reexec_setenv(req, "SCRIPT", "return 0"));
	rx_fails(req, GONS_FAIL_RESULT, EBADMSG, "script|without a reply");
	ATF_CHECK_STREQ("", rx_result(req));
	gons_reexec_free(req);

	req = rx_new("reply_twice");
	rx_flags(req, GONS_REEXEC_REPLY);
	ATF_CHECK_STREQ("once", rx_ok(req));
	gons_reexec_free(req);
	req = rx_new("reply_unasked");
	ATF_CHECK_STREQ("", rx_ok(req));
	gons_reexec_free(req);
	ATF_CHECK_ERRNO(EPERM, gons_reexec_reply("x", 1) == -1);
}

static void
reply_then_hang(void)
{
	struct gons_reexec *req = replying("reply the result\npause");

	ATF_REQUIRE_EQ(0, gons_reexec_setgrace(req, 100));
	ATF_CHECK_STREQ("the result", rx_ok(req));
	gons_reexec_free(req);
	req = replying("reply the result\nfork 12");
	ATF_REQUIRE_EQ(0, gons_reexec_setgrace(req, 100));
	ATF_REQUIRE_EQ(0, gons_reexec_setenv(req, "LIFE", "-1"));
	ATF_CHECK_STREQ("the result", rx_ok(req));
	gons_reexec_free(req);
}

/*
 * A reply that is sent in part when the child gets the signal: more than can
 * be on its way at one time, so who reads a little has not read all.
 */
static struct gons_reexec *
reply_in_part(int signo)
{
	struct gons_reexec *req = rx_new("half_reply");
	struct pollfd p;
	char c = (char)signo;
	int order[2], sent[2];
	size_t len;

	rx_flags(req, GONS_REEXEC_REPLY);
	rx_pipe(order);
	rx_pipe(sent);
	rx_keep(req, "SIGNAL", order[0]);
	rx_keep(req, "SENT", sent[1]);
	set_size(req, HUGE_REPLY);
	ATF_REQUIRE_EQ(0, gons_reexec_start(req));
	close(sent[1]);
	p.fd = gons_reexec_fd(req);
	p.events = POLLIN;
	do {
		ATF_REQUIRE_EQ(1, poll(&p, 1, -1));
		ATF_REQUIRE_EQ(0, gons_reexec_step(req));
		(void)gons_reexec_result(req, &len);
	} while (len == 0);
	ATF_REQUIRE_EQ(1, write(order[1], &c, 1));
	ATF_REQUIRE_EQ(-1, rx_byte(sent[0]));
	close(order[0]);
	close(order[1]);
	close(sent[0]);
	return req;
}

/* What is there is readable, and not enough. */
static void
reply_cut(void)
{
	struct gons_reexec *req = rx_new("cut_reply");
	char *buf = pattern(HUGE_REPLY);
	size_t len;

	rx_flags(req, GONS_REEXEC_REPLY);
	set_size(req, HUGE_REPLY);
	(void)rx_ok(req);
	(void)gons_reexec_result(req, &len);
	ATF_REQUIRE_EQ(HUGE_REPLY, len);
	ATF_CHECK_EQ(0, memcmp(buf, rx_result(req), len));
	gons_reexec_free(req);
	free(buf);
}

static void
reply_killed(void)
{
	struct gons_reexec *req = reply_in_part(SIGTERM);
	char *buf = pattern(HUGE_REPLY);
	size_t len;

	rx_wait_fails(
	    req, GONS_FAIL_RESULT, EBADMSG, "half_reply|middle of its reply");
	(void)gons_reexec_result(req, &len);
	ATF_CHECK(len > 0 && len < HUGE_REPLY);
	ATF_CHECK_EQ(0, memcmp(buf, gons_reexec_result(req, NULL), len));
	ATF_CHECK_EQ(SIGTERM, gons_reexec_status(req));
	gons_reexec_free(req);
	free(buf);
}

/*
 * Running requests.
 */

static void
kill_and_free(void)
{
	struct gons_reexec *req;
	int fd[2], i;

	for (i = 0; i < 3; i++) {
		req = rx_script("err x\npause");
		rx_pipe(fd);
		rx_keep(req, "LIFE", fd[1]);
		ATF_REQUIRE_EQ(0, gons_reexec_start(req));
		close(fd[1]);
		if (i == 1)
			ATF_REQUIRE_EQ(0, gons_reexec_kill(req));
		if (i == 2) {
			ATF_REQUIRE_EQ(0, gons_reexec_kill(req));
			rx_wait_fails(
			    req, GONS_FAIL_KILLED, ECANCELED, "script");
		}
		gons_reexec_free(req);
		/* it may have been on its way to a spare */
		ATF_CHECK_MSG(rx_gone(fd[0], rx_mode != 0 ? 1000 : 0), "%d", i);
		close(fd[0]);
	}
}

/* Whatever the child leaves half done; a call that blocks never returns. */
static void
step_never_blocks(void)
{
	static const char *const lines[] = { "pause", "out x\npause",
		"err x\npause", "close 1\nclose 2\npause" };
	struct gons_reexec *req;
	struct pollfd p;
	size_t i;
	int n, reply;

	for (i = 0; i < 2 * NELEM(lines); i++) {
		reply = i >= NELEM(lines);
		req = rx_script(lines[i % NELEM(lines)]);
		rx_flags(req, reply ? GONS_REEXEC_REPLY : 0);
		ATF_REQUIRE_EQ(0, gons_reexec_setgrace(req, 90000));
		ATF_REQUIRE_EQ(0, gons_reexec_start(req));
		p.fd = gons_reexec_fd(req);
		p.events = POLLIN;
		/* until nothing happens any more */
		for (n = 0; n < 100 && poll(&p, 1, 100) == 1; n++)
			ATF_REQUIRE_EQ(0, gons_reexec_step(req));
		ATF_CHECK_MSG(n < 100, "%zu: there is no end of work", i);
		ATF_REQUIRE_EQ(0, gons_reexec_step(req));
		gons_reexec_free(req);
	}
}

/* A reply of which the rest does not come. */
static void
step_in_reply(void)
{
	struct gons_reexec *req = reply_in_part(SIGSTOP);
	struct pollfd p;
	size_t len, last;

	p.fd = gons_reexec_fd(req);
	p.events = POLLIN;
	(void)gons_reexec_result(req, &len);
	do {
		last = len;
		(void)poll(&p, 1, 100);
		ATF_REQUIRE_EQ(0, gons_reexec_step(req));
		(void)gons_reexec_result(req, &len);
	} while (len != last);
	ATF_CHECK(len < HUGE_REPLY);
	gons_reexec_free(req);
}

/*
 * What the manual says: at most so many while it is running.
 */
static void
how_many_descriptors(void)
{
	struct gons_reexec *req;
	int before, fd, i, n;
	static const unsigned flags[] = { 0, GONS_REEXEC_STDERR_PASS,
		GONS_REEXEC_REPLY, GONS_REEXEC_DIE_WITH_PARENT };

	for (i = 0; i < (int)NELEM(flags); i++) {
		req = rx_script("pause");
		rx_flags(req, flags[i]);
		ATF_REQUIRE_EQ(0, gons_reexec_settimeout(req, 90000));
		for (fd = before = 0; fd < 1024; fd++)
			before += fcntl(fd, F_GETFD) != -1;
		ATF_REQUIRE_EQ(0, gons_reexec_start(req));
		for (fd = n = 0; fd < 1024; fd++)
			n += fcntl(fd, F_GETFD) != -1;
		printf("flags %#x: %d\n", flags[i], n - before);
		ATF_CHECK_MSG(n - before <= 6, "flags %#x: %d descriptors",
		    flags[i], n - before);
		gons_reexec_free(req);
	}
}

static const struct rx_case cases[] = {
	{ "register", register_action, RX_EXEC, "names and functions" },
	{ "new", new_request, RX_EXEC, "a request that has not run" },
	{ "bad_settings", bad_settings, 0, "settings that are refused" },
	{ "bad_namespaces", bad_namespaces, 0, "namespaces that are refused" },
	{ "unregistered", unregistered, 0, "an action that is not known" },
	{ "unregistered_in_child", unregistered_in_child, 0,
	    "an action that only the parent knows" },
	{ "before_check", before_check, RX_EXEC, "before gons_reexec_check" },
	{ "checked_twice", checked_twice, RX_EXEC, "nor is it a mistake" },
	{ "while_running", while_running, 0, "a running request is busy" },
	{ "twice", twice, 0, "a request is run again" },
	{ "simplest", simplest, 0, "the answer to everything" },
	{ "param", param, 0, "parameters, also one that nobody reads" },
	{ "stdin_is_sealed", stdin_is_sealed, 0, "nobody changes it" },
	{ "environment", environment, 0, "the child's environment" },
	{ "names", names, 0, "arguments and name of the process" },
	{ "signals", signals, RX_UNCOUNTED, "dispositions and mask" },
	{ "descriptors", descriptors, RX_UNCOUNTED,
	    "descriptors in the child" },
	{ "surroundings", surroundings, RX_EXEC, "directory and umask" },
	{ "nested", nested, 0, "a child has no children" },
	{ "checked_again", checked_again, 0, "the action calls check" },
	{ "exit_handlers", exit_handlers, 0, "they run, and stdio is flushed" },
	{ "large_results", large_results, 0, "the limit, exactly" },
	{ "no_result_allowed", no_result_allowed, 0, "limits of none and all" },
	{ "endless_stdout", endless_stdout, 0, "a result without end" },
	{ "endless_stderr", endless_stderr, 0, "words without end" },
	{ "much_stderr", much_stderr, 0, "more words than are kept" },
	{ "stderr_words", stderr_words, 0, "words are the reason" },
	{ "stderr_pass", stderr_pass, 0, "words are passed on" },
	{ "stderr_pass_reply", stderr_pass_reply, 0, "and what is printed" },
	{ "how_it_ends", how_it_ends, 0, "statuses and signals" },
	{ "precedence", precedence, 0, "the first reason is told" },
	{ "killed_first", killed_first, 0, "killed, with other reasons" },
	{ "never_checks", never_checks, RX_EXEC | RX_UNCOUNTED,
	    "no gons_reexec_check" },
	{ "silent_for_ever", silent_for_ever, 0, "the timeout" },
	{ "no_time", no_time, 0, "a timeout of nothing" },
	{ "grace", grace, RX_UNCOUNTED, "the grace period" },
	{ "grace_deaf", grace_deaf, 0, "of one that ignores signals" },
	{ "default_grace", default_grace, 0, "it is one second" },
	{ "grandchild", grandchild, 0, "somebody else holds the pipes" },
	{ "daemon_left", daemon_left, 0, "nobody else holds the pipes" },
	{ "complete_pieces", complete_pieces, 0, "all that the callback gets" },
	{ "complete_early", complete_early, 0, "it says that is all" },
	{ "complete_never", complete_never, 0, "it says this is nothing" },
	{ "reply", reply, 0, "gons_reexec_reply" },
	{ "reply_then_hang", reply_then_hang, 0, "a reply, and no end" },
	{ "reply_cut", reply_cut, 0, "a reply among signals" },
	{ "reply_killed", reply_killed, 0, "a part of a reply" },
	{ "kill_and_free", kill_and_free, 0, "the end of a running request" },
	{ "step_never_blocks", step_never_blocks, 0, "whatever is missing" },
	{ "step_in_reply", step_in_reply, 0, "also in a reply" },
	{ "how_many_descriptors", how_many_descriptors, RX_UNCOUNTED,
	    "that a running request holds" },
};

ATF_TP_ADD_TCS(tp)
{
	return rx_cases(tp, cases, NELEM(cases));
}
