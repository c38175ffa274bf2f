/*
 * SPDX-License-Identifier: BSD-2-Clause
 *
 * Copyright (c) 2026 The libgons developers
 *
 * gons_reexec(3), "The child": what an action finds around it, and what it may
 * not do.
 */

#include <sys/prctl.h>
#include <sys/stat.h>

#include <atf-c.h>

#include <errno.h>
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
#include "rx_actions.h"

#define SEALS (F_SEAL_SEAL | F_SEAL_SHRINK | F_SEAL_GROW | F_SEAL_WRITE)

extern char **environ;

/*
 * The actions.
 */

static void
handler(int signo)
{
	(void)signo;
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

static const struct rx_action actions[] = {
	{ "answer", answer },
	{ "echo", echo },
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

__attribute__((constructor)) static void
register_and_check(void)
{
	char c;

	rx_register(actions, NELEM(actions));
	if (getenv("READ_EARLY") != NULL && read(STDIN_FILENO, &c, 1) != 0)
		fprintf(stderr, "there is something on stdin\n");
	gons_reexec_check();
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

/* An interpreter without its script would execute it, and on the host. */
static void
param_comes_late(void)
{
	struct gons_reexec *req = rx_new("echo");

	ATF_REQUIRE_EQ(0, gons_reexec_setenv(req, "READ_EARLY", ""));
	ATF_REQUIRE_EQ(0, setenv("READ_EARLY", "", 1)); /* if prepared */
	ATF_REQUIRE_EQ(0, gons_reexec_param(req, "rm -rf /", 8));
	ATF_CHECK_STREQ("rm -rf /", rx_ok(req));
	ATF_REQUIRE_EQ(0, unsetenv("READ_EARLY"));
	gons_reexec_free(req);
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

static const struct rx_case cases[] = {
	{ "simplest", simplest, 0, "an action prints its answer" },
	{ "param", param, 0, "the action reads its parameter, or does not" },
	{ "param_comes_late", param_comes_late, 0,
	    "nobody can read the parameter before gons_reexec_check()" },
	{ "stdin_is_sealed", stdin_is_sealed, 0,
	    "nobody can change the parameter" },
	{ "environment", environment, 0,
	    "the child has the environment that was set" },
	{ "names", names, 0,
	    "the child has the arguments and the name of the host" },
	{ "signals", signals, RX_UNCOUNTED,
	    "the child has default dispositions and an empty mask" },
	{ "descriptors", descriptors, RX_UNCOUNTED | RX_ONCE,
	    "the child has the descriptors that are kept, and no other" },
	{ "surroundings", surroundings, RX_EXEC,
	    "the child has the directory and the umask of the host" },
	{ "nested", nested, 0, "a child can have no children" },
	{ "checked_again", checked_again, 0,
	    "an action may call gons_reexec_check()" },
	{ "exit_handlers", exit_handlers, RX_ONCE,
	    "exit handlers run, and stdio is flushed" },
};

ATF_TP_ADD_TCS(tp)
{
	return rx_cases(tp, cases, NELEM(cases));
}
