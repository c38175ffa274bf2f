/*
 * SPDX-License-Identifier: BSD-2-Clause
 *
 * Copyright (c) 2026 The libgons developers
 *
 * gons_reexec(3), "Failures": every way in which a run fails, and which of
 * several is told.
 */

#include <atf-c.h>

#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <gons.h>

#include "helpers.h"
#include "rx.h"
#include "rx_actions.h"

#define STDERR_KEPT 65536

/*
 * The actions.
 */

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

static const struct rx_action actions[] = {
	{ "answer", answer },
	{ "big_err", big_err },
};

/* A child may be told not to come as far as gons_reexec_check(3). */
static void
construct(const char *what)
{
	int fd;

	if (strcmp(what, "exit") == 0)
		exit(3);
	if (strcmp(what, "words") == 0) {
		fprintf(stderr, "no licence\n");
		exit(0);
	}
	if (strcmp(what, "alarm") == 0) {
		fprintf(stderr, "%u seconds are left\n", alarm(0));
		exit(0);
	}
	if (strcmp(what, "raise") == 0)
		(void)raise(SIGSEGV);
	if (strcmp(what, "linger") == 0) {
		fprintf(stderr, "%*s", STDERR_KEPT / 2, "words");
		for (fd = 3; fd < 64; fd++)
			(void)close(fd);
	}
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
	rx_register(actions, NELEM(actions));
	if (getenv("CONSTRUCT") != NULL)
		construct(getenv("CONSTRUCT"));
	gons_reexec_check();
}

/*
 * What comes back.
 */

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
	int timeout; /* ms, more on a slow machine; 0: none */
	size_t max; /* 0: the default */
	int failure, errnum;
	const char *result;
} several[] = {
	/* time is over, said something */
	{ "err words\nout much\npause", 0, 200, 0, GONS_FAIL_TIMEOUT, ETIMEDOUT,
	    "much" },
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
	{ "raise 9", GONS_REEXEC_REPLY, 0, 0, GONS_FAIL_SIGNAL, EIO, "" },
	{ "exit 3", GONS_REEXEC_REPLY, 0, 0, GONS_FAIL_EXIT, EIO, "" },
	{ "exit 0", GONS_REEXEC_REPLY, 0, 0, GONS_FAIL_RESULT, EBADMSG, "" },
	/* a reply, but then */
	{ "reply yes\nexit 3", GONS_REEXEC_REPLY, 0, 0, GONS_FAIL_EXIT, EIO,
	    "yes" },
	{ "reply yes\nraise 9", GONS_REEXEC_REPLY, 0, 0, GONS_FAIL_SIGNAL, EIO,
	    "yes" },
	{ "reply yes\nout words", GONS_REEXEC_REPLY, 0, 0, GONS_FAIL_STDERR,
	    EIO, "yes" },
};

/*
 * Runs one of them.  Returns 0 if the time was over before the child had
 * written its result, so that there was one reason only.
 */
static int
fails_of_several(size_t i, int timeout)
{
	struct gons_reexec *req = rx_script(several[i].script);
	int complete;

	rx_flags(req, several[i].flags);
	if (timeout != 0)
		ATF_REQUIRE_EQ(0, gons_reexec_settimeout(req, timeout));
	if (several[i].max != 0)
		ATF_REQUIRE_EQ(
		    0, gons_reexec_setmaxresult(req, several[i].max));
	ATF_REQUIRE_EQ(0, gons_reexec_start(req));
	rx_wait_fails_at(req, several[i].script, (int)i, several[i].failure,
	    several[i].errnum, "\"script\"");
	complete = timeout == 0 || *rx_result(req) != '\0';
	if (complete)
		ATF_CHECK_STREQ(several[i].result, rx_result(req));
	gons_reexec_free(req);
	return complete;
}

static void
precedence(void)
{
	size_t i;
	int timeout;

	for (i = 0; i < NELEM(several); i++)
		for (timeout = several[i].timeout;
		     !fails_of_several(i, timeout);)
			timeout *= 2;
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
		{ "write",
		    "answer|more than 1000 bytes before gons_reexec_check()",
		    SIGKILL },
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
 * A prepared process that hangs before gons_reexec_check() knows of no host: it
 * is ended after the time that a host waits for it.
 */
static void
no_hang_for_ever(void)
{
	struct gons_reexec *req;
	int prepared;

	gons_reexec_unprepare();
	ATF_REQUIRE_EQ(0, setenv("CONSTRUCT", "alarm", 1));
	for (prepared = 0; prepared < 2; prepared++) {
		ATF_REQUIRE((req = gons_reexec_new("answer")) != NULL);
		ATF_REQUIRE_EQ(0, gons_reexec_setflags(req,
				      prepared ? GONS_REEXEC_PREPARED : 0));
		ATF_CHECK_ERRNO(EPROTO, gons_reexec_run(req) == -1);
		rx_text(req, "seconds are left");
		ATF_CHECK_EQ(!prepared,
		    strstr(gons_reexec_error(req), " 0 seconds") != NULL);
		gons_reexec_free(req);
	}
	ATF_REQUIRE_EQ(0, unsetenv("CONSTRUCT"));
	gons_reexec_unprepare();
}

/*
 * It has closed all that it had of the host, and does not end: nobody waits for
 * what else it may say, and what it has said is not kept for ever.
 */
static void
lingers(void)
{
	struct gons_reexec *req = rx_new("answer");
	size_t used = 0;
	int i;

	gons_reexec_unprepare();
	ATF_REQUIRE_EQ(0, setenv("CONSTRUCT", "linger", 1));
	rx_flags(req, GONS_REEXEC_PREPARED);
	for (i = 0; i < 3; i++) {
		ATF_CHECK_ERRNO(EPROTO, gons_reexec_run(req) == -1);
		ATF_CHECK_EQ(GONS_FAIL_START, gons_reexec_failure(req));
		if (i == 0)
			used = memory_used();
	}
	ATF_CHECK_MSG(memory_used() < used + STDERR_KEPT / 2,
	    "%zu, then %zu bytes", used, memory_used());
	gons_reexec_free(req);
	ATF_REQUIRE_EQ(0, unsetenv("CONSTRUCT"));
	gons_reexec_unprepare();
	all_end();
}

/* The same words, whichever process it was that ended before. */
static void
ends_alike(void)
{
	static const char *const hows[] = { "exit", "words", "raise" };
	static const unsigned flags[] = { 0, GONS_REEXEC_PREPARED };
	struct gons_reexec *req;
	char *text;
	size_t i, k;
	int status;

	for (i = 0; i < NELEM(hows); i++) {
		text = NULL;
		status = -1;
		ATF_REQUIRE_EQ(0, setenv("CONSTRUCT", hows[i], 1));
		for (k = 0; k < NELEM(flags); k++) {
			gons_reexec_unprepare();
			ATF_REQUIRE((req = gons_reexec_new("answer")) != NULL);
			ATF_REQUIRE_EQ(0, gons_reexec_setflags(req, flags[k]));
			/* gons_reexec_start() may know already */
			ATF_CHECK_ERRNO(EPROTO, gons_reexec_run(req) == -1);
			ATF_CHECK_EQ(GONS_FAIL_START, gons_reexec_failure(req));
			rx_text(req, "answer|before gons_reexec_check()");
			if (k == 0) {
				text = strdup(gons_reexec_error(req));
				status = gons_reexec_status(req);
				ATF_REQUIRE(text != NULL);
			}
			ATF_CHECK_STREQ(text, gons_reexec_error(req));
			ATF_CHECK_EQ(status, gons_reexec_status(req));
			gons_reexec_free(req);
		}
		free(text);
	}
	ATF_REQUIRE_EQ(0, unsetenv("CONSTRUCT"));
	gons_reexec_unprepare();
}

static const struct rx_case cases[] = {
	{ "endless_stderr", endless_stderr, 0,
	    "an endless standard error does no harm" },
	{ "much_stderr", much_stderr, 0,
	    "the beginning of a long standard error is kept" },
	{ "stderr_words", stderr_words, 0,
	    "standard error is told as the reason" },
	{ "how_it_ends", how_it_ends, 0,
	    "statuses and signals become failures" },
	{ "precedence", precedence, 0, "the first of several reasons is told" },
	{ "killed_first", killed_first, 0,
	    "gons_reexec_kill() comes before other reasons" },
	{ "never_checks", never_checks, RX_EXEC | RX_UNCOUNTED,
	    "a program that never calls gons_reexec_check() is told" },
	{ "no_hang_for_ever", no_hang_for_ever, RX_ONCE,
	    "a prepared process that hangs before it is ready is ended" },
	{ "lingers", lingers, RX_EXEC | RX_UNCOUNTED,
	    "a prepared process that hides before it is ready leaves nothing" },
	{ "ends_alike", ends_alike, 0,
	    "a program that ends too early fails alike, prepared or not" },
};

ATF_TP_ADD_TCS(tp)
{
	return rx_cases(tp, cases, NELEM(cases));
}
