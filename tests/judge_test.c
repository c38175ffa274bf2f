/*
 * SPDX-License-Identifier: BSD-2-Clause
 *
 * Copyright (c) 2026 The libgons developers
 *
 * What a run has failed of, by the table in gons_reexec(3): facts that are made
 * up, and no process.
 */

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include <atf-c.h>

#include "../lib/reexec.h"
#include "helpers.h"

#define EXIT(n) ((n) << 8)
#define REPLY GONS_REEXEC_REPLY
#define PASS GONS_REEXEC_STDERR_PASS
#define KEEP GONS_REEXEC_STDERR_KEEP
#define REACHED .reached = 1
#define START(k, v)                              \
	{                                        \
		.start = (k), .start_value = (v) \
	}
#define FAILS(f, e) GONS_FAIL_##f, (e)

struct row {
	const char *name;
	unsigned flags;
	struct facts facts;
	enum result_state state;
	int whole;
	const char *err, *why;
	enum gons_failure failure;
	int errnum;
	const char *text; /* a part of it, or NULL: there is none */
};

static const struct row rows[] = {
	{ "success", 0, { REACHED }, RESULT_COMPLETE, 0, "", NULL,
	    FAILS(NONE, 0), NULL },
	{ "reply", REPLY, { REACHED }, RESULT_COMPLETE, 1, "", NULL,
	    FAILS(NONE, 0), NULL },
	/* start */
	{ "not reached", 0, { .status = EXIT(3) }, RESULT_COMPLETE, 0, "", NULL,
	    FAILS(START, EPROTO), "ended before gons_reexec_check()" },
	{ "not reached, size", 0, { .cause = BY_SIZE, .status = 9 },
	    RESULT_TOO_BIG, 0, "", NULL, FAILS(START, EPROTO),
	    "wrote more than 1000 bytes before gons_reexec_check()" },
	{ "unknown", 0, START(MSG_UNKNOWN, 0), RESULT_COMPLETE, 0, "", NULL,
	    FAILS(START, ENOENT), "not registered" },
	{ "cannot start", 0, START(START_FAILED, ENOEXEC), RESULT_OPEN, 0, "",
	    NULL, FAILS(START, ENOEXEC), "cannot be started" },
	{ "another root", 0, START(START_FAILED, EXDEV), RESULT_OPEN, 0, "",
	    NULL, FAILS(START, EPERM), "another root" },
	{ "refused", 0, START(MSG_REFUSED, EMFILE), RESULT_OPEN, 0, "", NULL,
	    FAILS(START, EMFILE), "the child could not take the request" },
	{ "fork", 0, START(MSG_FORK, EAGAIN), RESULT_OPEN, 0, "", NULL,
	    FAILS(START, EAGAIN), "no process can be made" },
	{ "nonsense", 0, START(MSG_FORK, -7), RESULT_OPEN, 0, "", NULL,
	    FAILS(START, EPROTO), "no process can be made" },
	{ "start before time", 0, { .start = MSG_UNKNOWN, .cause = BY_TIMEOUT },
	    RESULT_OPEN, 0, "", NULL, FAILS(START, ENOENT), "not registered" },
	{ "start before stderr", 0, START(MSG_UNKNOWN, 0), RESULT_OPEN, 0,
	    "oops\n", NULL, FAILS(START, ENOENT), "oops" },
	/* time, kill */
	{ "time", 0, { REACHED, .cause = BY_TIMEOUT, .status = 9 }, RESULT_OPEN,
	    0, "", NULL, FAILS(TIMEOUT, ETIMEDOUT), "timed out after 250 ms" },
	{ "time at start", 0, { .cause = BY_TIMEOUT, .status = 9 }, RESULT_OPEN,
	    0, "", NULL, FAILS(TIMEOUT, ETIMEDOUT),
	    "before gons_reexec_check" },
	{ "kill", 0, { REACHED, .cause = BY_KILL, .status = 9 }, RESULT_OPEN, 0,
	    "", NULL, FAILS(KILLED, ECANCELED), "gons_reexec_kill()" },
	{ "time before stderr", 0,
	    { REACHED, .cause = BY_TIMEOUT, .status = 9 }, RESULT_OPEN, 0,
	    "oops", NULL, FAILS(TIMEOUT, ETIMEDOUT), "oops" },
	/* size */
	{ "size", 0, { REACHED, .cause = BY_SIZE, .status = 9 }, RESULT_TOO_BIG,
	    0, "", NULL, FAILS(SIZE, EMSGSIZE), "more than 1000 bytes" },
	{ "size before stderr", 0, { REACHED, .cause = BY_SIZE, .status = 9 },
	    RESULT_TOO_BIG, 0, "oops", NULL, FAILS(SIZE, EMSGSIZE), "oops" },
	{ "memory", 0, { REACHED, .cause = BY_SIZE, .status = 9 },
	    RESULT_NO_MEMORY, 0, "", NULL, FAILS(SIZE, ENOMEM), "no memory" },
	/* stderr */
	{ "stderr", 0, { REACHED }, RESULT_COMPLETE, 0, "oops\n", NULL,
	    FAILS(STDERR, EIO), "failed: oops" },
	{ "stderr, no reply", REPLY, { REACHED }, RESULT_COMPLETE, 0, "oops",
	    NULL, FAILS(STDERR, EIO),
	    "ended without a reply, but printed: oops" },
	{ "stderr, a reply", REPLY, { REACHED }, RESULT_COMPLETE, 1, "oops",
	    NULL, FAILS(STDERR, EIO), "failed: oops" },
	{ "stderr, exit, no reply", REPLY, { REACHED, .status = EXIT(3) },
	    RESULT_COMPLETE, 0, "oops", NULL, FAILS(STDERR, EIO),
	    "failed: oops; exited with status 3" },
	{ "stderr is kept", KEEP, { REACHED }, RESULT_COMPLETE, 0, "oops", NULL,
	    FAILS(NONE, 0), NULL },
	{ "stderr before exit", 0, { REACHED, .status = EXIT(3) },
	    RESULT_COMPLETE, 0, "oops", NULL, FAILS(STDERR, EIO),
	    "exited with status 3" },
	/* gone */
	{ "gone, start", 0,
	    { .start = MSG_FORK, .start_value = ENOMEM, .gone = 1 },
	    RESULT_OPEN, 0, "", NULL, FAILS(GONE, ESRCH),
	    "the container has ended" },
	{ "gone, stderr", 0, { REACHED, .gone = 1, .status = 9 },
	    RESULT_COMPLETE, 0, "oops", NULL, FAILS(GONE, ESRCH), "oops" },
	{ "gone, signal", 0, { REACHED, .gone = 1, .status = 9 },
	    RESULT_COMPLETE, 0, "", NULL, FAILS(GONE, ESRCH), "signal 9" },
	{ "gone, no reply", REPLY, { REACHED, .gone = 1 }, RESULT_COMPLETE, 0,
	    "", NULL, FAILS(GONE, ESRCH), "without a reply" },
	{ "gone, whole", REPLY, { REACHED, .gone = 1, .status = EXIT(1) },
	    RESULT_COMPLETE, 1, "", NULL, FAILS(EXIT, EIO), "status 1" },
	{ "gone, time", 0,
	    { REACHED, .gone = 1, .cause = BY_TIMEOUT, .status = 9 },
	    RESULT_OPEN, 0, "", NULL, FAILS(TIMEOUT, ETIMEDOUT), "timed out" },
	/* how it ended, and what it said */
	{ "signal", 0, { REACHED, .status = 11 }, RESULT_COMPLETE, 0, "", NULL,
	    FAILS(SIGNAL, EIO), "killed by signal 11" },
	{ "exit", 0, { REACHED, .status = EXIT(3) }, RESULT_COMPLETE, 0, "",
	    NULL, FAILS(EXIT, EIO), "exited with status 3" },
	{ "exit before no reply", REPLY, { REACHED, .status = EXIT(3) },
	    RESULT_COMPLETE, 0, "", NULL, FAILS(EXIT, EIO), "status 3" },
	{ "no reply", REPLY, { REACHED }, RESULT_COMPLETE, 0, "", NULL,
	    FAILS(RESULT, EBADMSG), "without a reply" },
	{ "does not decode", 0, { REACHED }, RESULT_REJECTED, 0, "", "line 1",
	    FAILS(RESULT, EBADMSG), "does not decode: line 1" },
	{ "returned, then killed", 0,
	    { REACHED, .cause = BY_GRACE, .returned = 1, .told_status = EXIT(3),
		.status = 9 },
	    RESULT_COMPLETE, 0, "", NULL, FAILS(EXIT, EIO), "status 3" },
	{ "returned, then died", 0, { REACHED, .returned = 1, .status = 11 },
	    RESULT_COMPLETE, 0, "", NULL, FAILS(NONE, 0), NULL },
	{ "whole, exit", REPLY, { REACHED, .status = EXIT(3) }, RESULT_COMPLETE,
	    1, "", NULL, FAILS(EXIT, EIO), "status 3" },
	{ "grace", REPLY, { REACHED, .cause = BY_GRACE, .status = 9 },
	    RESULT_COMPLETE, 1, "", NULL, FAILS(NONE, 0), NULL },
	{ "reaped by others", 0, { REACHED, .status = -1 }, RESULT_COMPLETE, 0,
	    "", NULL, FAILS(SIGNAL, ECHILD), "is not known" },
	{ "told", 0, { REACHED, .status = -1, .told = 1 }, RESULT_COMPLETE, 0,
	    "", NULL, FAILS(NONE, 0), NULL },
};

static void
check(const struct row *row)
{
	static char name[] = "act";
	struct settings set = { .action = name,
		.flags = row->flags,
		.timeout = 250,
		.maxresult = 1000 };
	struct result result = { .state = row->state, .whole = row->whole };
	struct outcome outcome = { GONS_FAIL_NONE, 0, 0, NULL };
	char words[64];
	struct buf err = { 0 };

	(void)strcpy(words, row->err);
	err.p = (void *)words;
	err.len = strlen(words);
	gons__judge(&set, &row->facts, &result, &err, row->why, &outcome);
	ATF_CHECK_EQ_MSG((int)row->failure, (int)outcome.failure,
	    "%s: failure %d", row->name, (int)outcome.failure);
	ATF_CHECK_EQ_MSG(row->errnum, outcome.errnum, "%s: errno %d", row->name,
	    outcome.errnum);
	if (row->text == NULL)
		ATF_CHECK_MSG(
		    outcome.error == NULL, "%s: %s", row->name, outcome.error);
	else
		ATF_CHECK_MSG(outcome.error != NULL &&
				  strncmp(outcome.error,
				      "gons: action \"act\": ", 20) == 0 &&
				  strchr(outcome.error, '\n') == NULL &&
				  strstr(outcome.error, row->text) != NULL,
		    "%s: %s", row->name,
		    outcome.error != NULL ? outcome.error : "no text");
	free(outcome.error);
}

ATF_TC_WITHOUT_HEAD(table);
ATF_TC_BODY(table, tc)
{
	size_t i;

	(void)tc;
	for (i = 0; i < sizeof(rows) / sizeof(rows[0]); i++)
		check(&rows[i]);
}

static int
any_result(void *state, const void *result, size_t len)
{
	(void)state;
	(void)result;
	(void)len;
	return 1;
}

/* Whether a result is whole, the host's function says, or else the end. */
ATF_TC_WITHOUT_HEAD(complete);
ATF_TC_BODY(complete, tc)
{
	static char name[] = "act";
	const struct {
		int asked, whole, status, gone;
		enum cause cause;
		enum gons_failure failure;
	} ends[] = {
		{ 1, 1, EXIT(0), 0, BY_NOBODY, GONS_FAIL_NONE },
		/* the end of the file is an end, too */
		{ 1, 0, EXIT(0), 0, BY_NOBODY, GONS_FAIL_NONE },
		{ 1, 1, 9, 0, BY_GRACE, GONS_FAIL_NONE },
		{ 0, 0, EXIT(0), 0, BY_NOBODY, GONS_FAIL_NONE },
		{ 0, 0, 9, 0, BY_GRACE, GONS_FAIL_NONE },
		/* the container has ended: before or after that? */
		{ 1, 1, 9, 1, BY_NOBODY, GONS_FAIL_SIGNAL },
		{ 1, 0, 9, 1, BY_NOBODY, GONS_FAIL_GONE },
		{ 0, 0, EXIT(0), 1, BY_NOBODY, GONS_FAIL_NONE },
		{ 0, 0, 9, 1, BY_NOBODY, GONS_FAIL_GONE },
	};
	struct settings set = { .action = name };
	struct buf none = { 0 };
	size_t i;

	(void)tc;
	for (i = 0; i < sizeof(ends) / sizeof(ends[0]); i++) {
		struct facts facts = { REACHED, .status = ends[i].status,
			.gone = ends[i].gone, .cause = ends[i].cause };
		struct result result = { .state = RESULT_COMPLETE,
			.whole = ends[i].whole };
		struct outcome outcome = { GONS_FAIL_NONE, 0, 0, NULL };

		set.complete = ends[i].asked ? any_result : NULL;
		gons__judge(&set, &facts, &result, &none, NULL, &outcome);
		ATF_CHECK_EQ_MSG((int)ends[i].failure, (int)outcome.failure,
		    "%d: %s", (int)i,
		    outcome.error != NULL ? outcome.error : "success");
		free(outcome.error);
	}
}

/* What was passed on to the host's stderr is no part of the text. */
ATF_TC_WITHOUT_HEAD(passed_stderr);
ATF_TC_BODY(passed_stderr, tc)
{
	static char name[] = "act";
	struct settings set = { .action = name, .flags = PASS };
	struct facts facts = { REACHED, .status = EXIT(3) };
	struct result result = { .state = RESULT_COMPLETE };
	struct outcome outcome = { GONS_FAIL_NONE, 0, 0, NULL };
	char words[] = "oops";
	struct buf err = { 0 };

	(void)tc;
	err.p = (void *)words;
	err.len = strlen(words);
	gons__judge(&set, &facts, &result, &err, NULL, &outcome);
	ATF_CHECK_EQ(GONS_FAIL_EXIT, (int)outcome.failure);
	ATF_REQUIRE_STREQ(
	    "gons: action \"act\": exited with status 3", outcome.error);
	free(outcome.error);
}

/* What is judged; how each failure comes about, in order of precedence. */
struct judged {
	struct facts facts;
	struct result result;
	const char *err;
};

static void
fail_start(struct judged *j)
{
	j->facts.start = MSG_UNKNOWN;
}

static void
fail_timeout(struct judged *j)
{
	j->facts.cause = BY_TIMEOUT;
}

static void
fail_kill(struct judged *j)
{
	j->facts.cause = BY_KILL;
}

static void
fail_size(struct judged *j)
{
	j->facts.cause = BY_SIZE;
	j->result.state = RESULT_TOO_BIG;
}

static void
fail_stderr(struct judged *j)
{
	j->err = "oops";
}

static void
fail_signal(struct judged *j)
{
	j->facts.status = 9;
}

static void
fail_exit(struct judged *j)
{
	j->facts.status = EXIT(3);
}

static void
fail_result(struct judged *j)
{
	j->result.state = RESULT_REJECTED;
}

static const struct {
	void (*happens)(struct judged *);
	enum gons_failure failure;
	int gone; /* the end of the container is told in its place */
} failures[] = {
	{ fail_start, GONS_FAIL_START, 1 },
	{ fail_timeout, GONS_FAIL_TIMEOUT, 0 },
	{ fail_kill, GONS_FAIL_KILLED, 0 },
	{ fail_size, GONS_FAIL_SIZE, 0 },
	{ fail_stderr, GONS_FAIL_STDERR, 1 },
	{ fail_signal, GONS_FAIL_SIGNAL, 1 },
	{ fail_exit, GONS_FAIL_EXIT, 1 },
	{ fail_result, GONS_FAIL_RESULT, 1 },
};
#define NFAILURES (sizeof(failures) / sizeof(failures[0]))

/* The outcome's text is the caller's. */
static void
judge(struct judged *j, struct settings *set, const char *why,
    struct outcome *outcome)
{
	static char name[] = "act";
	char words[64];
	struct buf err = { 0 };

	(void)strcpy(words, j->err != NULL ? j->err : "");
	err.p = (void *)words;
	err.len = strlen(words);
	set->action = name;
	memset(outcome, 0, sizeof(*outcome));
	gons__judge(set, &j->facts, &j->result, &err, why, outcome);
}

/* Of two that come together the first in the table is told; nothing is whole. */
ATF_TC_WITHOUT_HEAD(precedence);
ATF_TC_BODY(precedence, tc)
{
	struct settings set = { .flags = REPLY };
	struct outcome outcome;
	struct judged j;
	size_t first, second;
	int expected, gone;

	(void)tc;
	for (first = 0; first < NFAILURES; first++)
		for (second = first; second < NFAILURES; second++)
			for (gone = 0; gone < 2; gone++) {
				memset(&j, 0, sizeof(j));
				j.result.state = RESULT_COMPLETE;
				j.facts.reached = 1;
				j.facts.gone = gone;
				failures[second].happens(&j);
				failures[first].happens(&j);
				expected = (int)(gone && failures[first].gone
						     ? GONS_FAIL_GONE
						     : failures[first].failure);
				judge(&j, &set, NULL, &outcome);
				ATF_CHECK_EQ_MSG(expected, (int)outcome.failure,
				    "%zu with %zu, gone %d: failure %d", first,
				    second, gone, (int)outcome.failure);
				free(outcome.error);
			}
}

static void
check_end(struct judged *j, unsigned flags, const char *why, const char *text)
{
	struct settings set = { .flags = flags };
	struct outcome outcome;

	judge(j, &set, why, &outcome);
	ATF_REQUIRE(outcome.error != NULL);
	ATF_CHECK_STREQ(text, outcome.error);
	free(outcome.error);
}

/* Every text ends with how the child ended, once; exit status 0 is no news. */
ATF_TC_WITHOUT_HEAD(end);
ATF_TC_BODY(end, tc)
{
	struct judged j = { .facts = { REACHED, .status = EXIT(3) },
		.result = { .state = RESULT_COMPLETE } };

	(void)tc;
	check_end(&j, 0, NULL, "gons: action \"act\": exited with status 3");
	j.err = "a warning\n";
	check_end(&j, 0, NULL,
	    "gons: action \"act\": failed: a warning; exited with status 3");
	check_end(&j, KEEP, NULL,
	    "gons: action \"act\": failed: a warning; exited with status 3");
	j.facts.gone = 1;
	check_end(&j, KEEP, NULL,
	    "gons: action \"act\": the container has ended: failed: "
	    "a warning; exited with status 3");
	/* The child's words are not how it ended. */
	j.facts.gone = 0;
	j.err = NULL;
	j.facts.cause = BY_GRACE;
	j.result.state = RESULT_REJECTED;
	check_end(&j, 0, "not \"exited with status 3\"",
	    "gons: action \"act\": the result does not decode: "
	    "not \"exited with status 3\"; exited with status 3");
	j.facts.status = 0;
	check_end(&j, 0, "no",
	    "gons: action \"act\": the result does not decode: no");
}

/* References are shown as the caller gave them. */
ATF_TC_WITHOUT_HEAD(references);
ATF_TC_BODY(references, tc)
{
	static char text[] = "fd:9";
	struct settings set = { .target = { .fd = 31 },
		.target_text = "PID 4711" };
	struct gons_error error = {
		.stage = GONS_STAGE_JOIN, .errnum = EPERM, .type = GONS_NET
	};
	struct judged j = { .facts = { .start = MSG_STARTUP } };
	struct outcome outcome;

	(void)tc;
	j.facts.start_error = &error;
	set.ref[0].kept.fd = 32;
	set.ref[0].text = text;
	set.nrefs = 1;
	(void)strcpy(error.what, "fd:31");
	judge(&j, &set, NULL, &outcome);
	ATF_CHECK_EQ(GONS_FAIL_START, (int)outcome.failure);
	ATF_CHECK_EQ(EPERM, outcome.errnum);
	ATF_CHECK_MSG(strstr(outcome.error, "PID 4711") != NULL &&
			  strstr(outcome.error, "fd:31") == NULL,
	    "%s", outcome.error);
	free(outcome.error);
	(void)strcpy(error.what, "fd:32");
	judge(&j, &set, NULL, &outcome);
	ATF_CHECK_MSG(strstr(outcome.error, "fd:9") != NULL &&
			  strstr(outcome.error, "fd:32") == NULL,
	    "%s", outcome.error);
	free(outcome.error);
}

/* What an outcome said before is gone, and takes no memory any more. */
ATF_TC_WITHOUT_HEAD(text_before);
ATF_TC_BODY(text_before, tc)
{
	enum {
		LENGTH = 65536
	};
	struct settings set = { .flags = 0 };
	struct buf err = { 0 };
	struct judged j = { .facts = { REACHED },
		.result = { .state = RESULT_COMPLETE } };
	struct outcome outcome;
	size_t used = memory_used();

	(void)tc;
	memset(&outcome, 0, sizeof(outcome));
	ATF_REQUIRE((outcome.error = malloc(LENGTH)) != NULL);
	memset(outcome.error, 0, LENGTH);
	ATF_CHECK(used == 0 || memory_used() >= used + LENGTH);
	gons__judge(&set, &j.facts, &j.result, &err, NULL, &outcome);
	ATF_CHECK_EQ(GONS_FAIL_NONE, (int)outcome.failure);
	ATF_CHECK(outcome.error == NULL);
	ATF_CHECK_MSG(memory_used() < used + LENGTH || used == 0,
	    "%zu, then %zu bytes", used, memory_used());
}

ATF_TP_ADD_TCS(tp)
{
	ATF_TP_ADD_TC(tp, table);
	ATF_TP_ADD_TC(tp, complete);
	ATF_TP_ADD_TC(tp, passed_stderr);
	ATF_TP_ADD_TC(tp, precedence);
	ATF_TP_ADD_TC(tp, end);
	ATF_TP_ADD_TC(tp, references);
	ATF_TP_ADD_TC(tp, text_before);
	return atf_no_error();
}
