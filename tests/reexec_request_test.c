/*
 * SPDX-License-Identifier: BSD-2-Clause
 *
 * Copyright (c) 2026 The libgons developers
 *
 * gons_reexec(3), "A request": what is registered, made, refused, run, run
 * again and ended; and the descriptors of a request.
 */

#include <sys/ioctl.h>
#include <sys/syscall.h>
#include <sys/wait.h>

#include <atf-c.h>

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <gons.h>

#include "filters.h"
#include "helpers.h"
#include "rx.h"
#include "rx_actions.h"

/* What happened before gons_reexec_check(3) was called. */
static struct {
	int result, errnum, failure;
	char text[256];
} unchecked;

/*
 * The actions.
 */

static int
never(void)
{
	return 99;
}

static const struct rx_action actions[] = {
	{ "answer", answer },
	{ "echo", echo },
	{ "stay", stay },
};

__attribute__((constructor)) static void
register_and_check(void)
{
	struct gons_reexec *req;

	rx_register(actions, NELEM(actions));
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
	ATF_CHECK_ERRNO(EINVAL, gons_reexec_new("two\nlines") == NULL);
	ATF_CHECK_ERRNO(EINVAL, gons_reexec_new("del\177") == NULL);
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
	ATF_CHECK_ERRNO(EPERM, gons_reexec_allowsecure() == -1);
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
	ATF_CHECK_ERRNO(EBUSY, gons_reexec_targetpid(req, getpid(), 0) == -1);
	ATF_CHECK_ERRNO(EBUSY, gons_reexec_setids(req, 0, 0) == -1);
	ATF_CHECK_ERRNO(
	    EBUSY, gons_reexec_setcomplete(req, never_complete, NULL) == -1);
	ATF_CHECK_ERRNO(EBUSY, gons_reexec_setenv(req, "A", "b") == -1);
	ATF_CHECK_ERRNO(EBUSY, gons_reexec_param(req, "x", 1) == -1);
	ATF_CHECK_ERRNO(
	    EBUSY, gons_reexec_keepfd(req, gons_reexec_fd(req)) == -1);
	ATF_CHECK_ERRNO(EBUSY, gons_reexec_setgrace(req, 1) == -1);
	ATF_CHECK_ERRNO(EBUSY, gons_reexec_settimeout(req, 1) == -1);
	ATF_CHECK_ERRNO(EBUSY, gons_reexec_setmaxresult(req, 1) == -1);
	ATF_CHECK_ERRNO(EBUSY, gons_reexec_setmaxfds(req, 1) == -1);
	ATF_CHECK_ERRNO(EBUSY, gons_reexec_setflags(req, 0) == -1);
	ATF_CHECK_ERRNO(EBUSY, gons_reexec_takefd(req, 0) == -1);
	ATF_CHECK_ERRNO(EBUSY, gons_reexec_end(req) == -1);
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
		ATF_CHECK_MSG(
		    n - before <=
			6 + ((flags[i] & GONS_REEXEC_DIE_WITH_PARENT) != 0),
		    "flags %#x: %d descriptors", flags[i], n - before);
		gons_reexec_free(req);
	}
}

/* The thread may be cancelled, or not, as before the call. */
static void
check_cancel(int expected, int line)
{
	int state;

	ATF_REQUIRE_EQ(0, pthread_setcancelstate(expected, &state));
	ATF_CHECK_EQ_MSG(expected, state, "line %d: %s", line,
	    state == PTHREAD_CANCEL_ENABLE ? "it can be cancelled"
					   : "it cannot be cancelled");
}

static void
calls_that_cannot_be_cancelled(int state)
{
	struct gons_reexec *req = rx_script("out x");

#define CALL(call)                             \
	do {                                   \
		ATF_CHECK(call);               \
		check_cancel(state, __LINE__); \
	} while (0)
	ATF_REQUIRE_EQ(0, pthread_setcancelstate(state, NULL));
	CALL(gons_reexec_start(req) == 0);
	CALL(gons_reexec_step(req) != -1);
	CALL(gons_reexec_wait(req) == 0);
	CALL(gons_reexec_run(req) == 0);
	CALL(gons_reexec_end(req) == 0);
	CALL(gons_reexec_start(req) == 0);
	CALL(gons_reexec_kill(req) == 0);
	gons_reexec_free(req);
	check_cancel(state, __LINE__);
	/* the same of calls that fail, or have nothing to do */
	req = rx_new("nobody knows it");
	CALL(gons_reexec_start(req) == -1);
	CALL(gons_reexec_step(req) == -1);
	CALL(gons_reexec_wait(req) == -1);
	CALL(gons_reexec_run(req) == -1);
	CALL(gons_reexec_kill(req) == -1);
	CALL(gons_reexec_end(req) == 0);
	CALL(gons_reexec_takefd(req, 0) == -1);
	gons_reexec_free(req);
	check_cancel(state, __LINE__);
	if (RX_PREPARED)
		CALL(gons_reexec_prepare() == 0);
	gons_reexec_unprepare();
	check_cancel(state, __LINE__);
#undef CALL
}

static void
cancel_state(void)
{
	calls_that_cannot_be_cancelled(PTHREAD_CANCEL_DISABLE);
	calls_that_cannot_be_cancelled(PTHREAD_CANCEL_ENABLE);
}

/* What is set is set twice; a run fails, one ends well, one does not end. */
static void
one_life(void)
{
	struct gons_reexec *req = rx_script("err words\nreturn 1");
	int fd = open("/dev/null", O_RDONLY | O_CLOEXEC), i;

	for (i = 0; i < 2; i++) {
		rx_keep(req, "LIFE", fd);
		ATF_REQUIRE_EQ(0, gons_reexec_setorder(req, "uts,net"));
		ATF_REQUIRE_EQ(0, gons_reexec_param(req, "parameter", 9));
	}
	ATF_REQUIRE_EQ(0, gons_reexec_setorder(req, NULL));
	rx_fails(req, GONS_FAIL_STDERR, EIO, "words|exited with status 1");
	ATF_REQUIRE_EQ(0, gons_reexec_setenv(req, "SCRIPT", "out well"));
	ATF_CHECK_STREQ("well", rx_ok(req));
	ATF_REQUIRE_EQ(0, gons_reexec_end(req));
	ATF_REQUIRE_EQ(0, gons_reexec_setenv(req, "SCRIPT", "pause"));
	ATF_REQUIRE_EQ(0, gons_reexec_start(req));
	gons_reexec_free(req);
	close(fd);
}

/*
 * A forked copy of this process frees a request that runs, of which a message
 * has been read: kill looks for one that tells of a supervisor.  The copy goes
 * on.
 */
static void
copy_frees(void)
{
	struct gons_reexec *req = rx_new("stay");
	int fd[2], status;
	pid_t pid;

	rx_pipe(fd);
	rx_keep(req, "LIFE", fd[1]);
	ATF_REQUIRE_EQ(0, gons_reexec_start(req));
	close(fd[1]);
	ATF_REQUIRE_EQ('x', rx_byte(fd[0]));
	close(fd[0]);
	ATF_REQUIRE_EQ(0, gons_reexec_kill(req));
	fflush(NULL);
	ATF_REQUIRE((pid = fork()) != -1);
	if (pid != 0) {
		CHILD(waitpid(pid, &status, 0) == pid);
		gons_reexec_free(req);
		_exit(status == 0 ? 0 : 99);
	}
	gons_reexec_free(req);
}

/* What malloc(3) keeps for itself is counted, too, but soon grows no more. */
static void
use_memory(void (*live)(void))
{
	size_t used;
	int i, tries;

	for (tries = 0; tries < 5; tries++) {
		used = memory_used();
		for (i = 0; i < 20; i++)
			live();
		/* what is known of processes that have not ended yet */
		for (i = 0; i < 100 && memory_used() >= used + 256; i++) {
			(void)usleep(10000);
			gons_reexec_free(rx_new("script"));
		}
		if (memory_used() < used + 256)
			return;
	}
	atf_tc_fail("%zu, then %zu bytes", used, memory_used());
}

static void
use_memory_copied(void *unused)
{
	(void)unused;
	use_memory(copy_frees);
}

/* Before Linux 6.15 a prepared process tells how its children end. */
static void
use_memory_told(void *unused)
{
	static const struct rule rules[] = {
		{ SYS_ioctl, 1, ~0u, _IOC(_IOC_READ | _IOC_WRITE, 0xff, 11, 64),
		    ENOTTY },
	};

	(void)unused;
	forbid(rules, NELEM(rules));
	use_memory(one_life);
}

static void
all_freed(void)
{
	if (memory_used() == 0)
		atf_tc_skip("this libc does not tell what is in use");
	use_memory(one_life);
	/* A copy leaves what its parent knows of prepared children alone. */
	if (!RX_PREPARED)
		in_child(use_memory_copied, NULL);
	need_filters();
	in_child(use_memory_told, NULL);
}

static const struct rx_case cases[] = {
	{ "register", register_action, RX_EXEC,
	    "which names and functions can be registered" },
	{ "new", new_request, RX_EXEC, "what a request says that has not run" },
	{ "unregistered", unregistered, 0,
	    "an action that is not registered fails" },
	{ "unregistered_in_child", unregistered_in_child, 0,
	    "an action that only the parent knows fails" },
	{ "before_check", before_check, RX_EXEC,
	    "nothing starts before gons_reexec_check()" },
	{ "checked_twice", checked_twice, RX_EXEC,
	    "gons_reexec_check() may be called twice" },
	{ "while_running", while_running, 0, "a running request is busy" },
	{ "twice", twice, 0, "a request can be run again" },
	{ "kill_and_free", kill_and_free, 0,
	    "a running request can be killed, and freed" },
	{ "step_never_blocks", step_never_blocks, 0,
	    "gons_reexec_step() does not block, whatever comes" },
	{ "cancel_state", cancel_state, 0,
	    "a thread can be cancelled after a call if it could before" },
	{ "all_freed", all_freed, RX_UNCOUNTED,
	    "no memory is kept of a request" },
	{ "how_many_descriptors", how_many_descriptors, RX_UNCOUNTED | RX_ONCE,
	    "a running request holds few descriptors" },
};

ATF_TP_ADD_TCS(tp)
{
	return rx_cases(tp, cases, NELEM(cases));
}
