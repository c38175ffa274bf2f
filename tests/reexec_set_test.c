/*
 * SPDX-License-Identifier: BSD-2-Clause
 *
 * Copyright (c) 2026 The libgons developers
 *
 * gons_reexec_set(3): the settings of a request, those that are refused, and
 * limits and flags that change what comes back.
 */

#include <atf-c.h>

#include <errno.h>
#include <fcntl.h>
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

static const struct rx_action actions[] = {
	{ "answer", answer },
};

__attribute__((constructor)) static void
register_and_check(void)
{
	rx_register(actions, NELEM(actions));
	gons_reexec_check();
}

/*
 * Requests.
 */

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
	REFUSED(
	    req, EINVAL, "4294967295:0", gons_reexec_setids(req, (uid_t)-1, 0));
	REFUSED(
	    req, EINVAL, "0:4294967295", gons_reexec_setids(req, 0, (gid_t)-1));
	ATF_CHECK_STREQ("42", rx_ok(req));
	gons_reexec_free(req);
}

/* Not every user namespace has them, so that none is run. */
static void
largest_ids(void)
{
	struct gons_reexec *req = rx_new("answer");

	ATF_CHECK_EQ(0, gons_reexec_setids(req, (uid_t)-2, (gid_t)-2));
	ATF_CHECK_EQ(NULL, gons_reexec_error(req));
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

/*
 * What comes back.
 */

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
	/* the child's words come first, if it has the time to say them */
	ATF_REQUIRE_EQ(0, gons_reexec_setgrace(req, 90000));
	seen.len = 0;
	ATF_REQUIRE_EQ(
	    0, gons_reexec_setenv(req, "SCRIPT", "out not it!\nerr sorry"));
	rx_fails(req, GONS_FAIL_STDERR, EIO, "sorry");
	/* and a signal, too, since there is no whole result */
	seen.len = 0;
	ATF_REQUIRE_EQ(
	    0, gons_reexec_setenv(req, "SCRIPT", "out not it!\nraise 9"));
	rx_fails(req, GONS_FAIL_SIGNAL, EIO, "killed by signal 9");
	gons_reexec_free(req);
}

static void
refused_without_memory(void *unused)
{
	struct gons_reexec *req = gons_reexec_new("answer");
	int errnum, r;

	(void)unused;
	CHILD(req != NULL);
	take_memory();
	spoil_stack();
	r = gons_reexec_namespace(req, "foo", "/proc/self/ns/net");
	errnum = errno;
	give_memory();
	CHILD(r == -1 && errnum == EINVAL);
	CHILD(gons_reexec_error(req) == NULL);
	gons_reexec_free(req);
}

/* Nothing changes then. */
static void
set_without_memory(void *unused)
{
	enum {
		CALLS = 7
	};
	char arg[] = "other", *argv[] = { arg, NULL };
	struct gons_reexec *req = gons_reexec_new("answer");
	int errnum[CALLS], fd, i, n = 0, r[CALLS];

	(void)unused;
	CHILD(req != NULL);
	CHILD((fd = open("/dev/null", O_RDONLY | O_CLOEXEC)) > 2);
	take_memory();
	errno = 0;
#define CALL(call)                      \
	do {                            \
		r[n] = (call) ? 0 : -1; \
		errnum[n++] = errno;    \
		errno = 0;              \
	} while (0)
	CALL(gons_reexec_setargs(argv) == 0);
	CALL(gons_reexec_setorder(req, "net") == 0);
	CALL(gons_reexec_setids(req, 0, 0) == 0);
	CALL(gons_reexec_setenv(req, "A", "b") == 0);
	CALL(gons_reexec_param(req, "x", 1) == 0);
	CALL(gons_reexec_keepfd(req, fd) == 0);
	CALL(gons_reexec_new("answer") != NULL);
#undef CALL
	give_memory();
	for (i = 0; i < n; i++) {
		fprintf(stderr, "call %d: %s\n", i, strerror(errnum[i]));
		CHILD(r[i] == -1 && errnum[i] == ENOMEM);
	}
	CHILD(gons_reexec_run(req) == 0);
	CHILD(strcmp(rx_result(req), "42") == 0);
	gons_reexec_free(req);
	(void)close(fd);
}

static void
no_memory(void)
{
	if (SANITIZER)
		atf_tc_skip("the sanitizer needs memory, too");
	in_child(refused_without_memory, NULL);
	in_child(set_without_memory, NULL);
}

static const struct rx_case cases[] = {
	{ "bad_settings", bad_settings, 0, "bad settings are refused" },
	{ "bad_namespaces", bad_namespaces, 0, "bad namespaces are refused" },
	{ "largest_ids", largest_ids, RX_EXEC,
	    "the largest ids are not refused" },
	{ "no_memory", no_memory, RX_EXEC,
	    "without memory nothing is set, and a bad setting still refused" },
	{ "no_result_allowed", no_result_allowed, 0,
	    "results may be limited to none, or not at all" },
	{ "stderr_pass", stderr_pass, RX_ONCE,
	    "GONS_REEXEC_STDERR_PASS passes standard error on" },
	{ "stderr_pass_reply", stderr_pass_reply, RX_ONCE,
	    "with a reply standard output is passed on, too" },
	{ "complete_pieces", complete_pieces, RX_ONCE,
	    "the callback gets all of the result, in pieces" },
	{ "complete_early", complete_early, RX_ONCE,
	    "the callback may say that the result is complete" },
	{ "complete_never", complete_never, 0,
	    "the callback may reject the result" },
};

ATF_TP_ADD_TCS(tp)
{
	return rx_cases(tp, cases, NELEM(cases));
}
