/*
 * SPDX-License-Identifier: BSD-2-Clause
 *
 * Copyright (c) 2026 The libgons developers
 *
 * What came of a run, by the table in gons_reexec(3), and the text that says
 * it; also the texts of requests that were refused.  No descriptor is looked
 * at here, and no clock: the same facts have the same outcome.
 */

#include <sys/wait.h>

#include <errno.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "reexec.h"

#define ERRNO_MAX 4096 /* the kernel's have no more */
#define END_SIZE 128 /* bytes of text: how a child ended */

static char *__attribute__((format(printf, 1, 0)))
vformat(const char *fmt, va_list ap)
{
	char *text;

	return vasprintf(&text, fmt, ap) == -1 ? NULL : text;
}

char *
gons__format(const char *fmt, ...)
{
	char *text;
	va_list ap;

	va_start(ap, fmt);
	text = vformat(fmt, ap);
	va_end(ap);
	return text;
}

/*
 * One line: the sentence, then the child's own words and how it ended, either
 * of which may be NULL.
 */
static void
set_error(const struct settings *set, struct outcome *outcome,
    const char *sentence, const struct buf *words, const char *end)
{
	struct gons__text text = { NULL, 0, 0 };
	size_t len = words != NULL ? words->len : 0;
	int round;

	free(outcome->error);
	outcome->error = NULL;
	while (len > 0 && strchr(" \t\r\n", words->p[len - 1]) != NULL)
		len--;
	for (round = 0; round < 2 && sentence != NULL; round++) {
		text.len = 0;
		gons__text_str(&text, "gons: ");
		if (set->action != NULL) {
			gons__text_str(&text, "action \"");
			gons__text_safe(
			    &text, set->action, strlen(set->action));
			gons__text_str(&text, "\": ");
		}
		gons__text_safe(&text, sentence, strlen(sentence));
		if (len > 0) {
			gons__text_str(&text, ": ");
			gons__text_safe(&text, (const char *)words->p, len);
		}
		if (end != NULL && *end != '\0') {
			gons__text_str(&text, "; ");
			gons__text_str(&text, end);
		}
		if (round == 0) {
			text.size = text.len + 1;
			text.buf = outcome->error = malloc(text.size);
			if (outcome->error == NULL)
				return;
		}
	}
	(void)gons__text_end(&text);
}

/* Keeps the sentence as the error text; -1 and errno, for the caller to return. */
static int
keep_sentence(const struct settings *set, struct outcome *outcome, int errnum,
    const char *fmt, va_list ap)
{
	char *sentence = vformat(fmt, ap);

	set_error(set, outcome, sentence, NULL, NULL);
	free(sentence);
	errno = errnum;
	return -1;
}

/* A run that did not begin. */
int
gons__fail(const struct settings *set, struct outcome *outcome, int errnum,
    const char *fmt, ...)
{
	va_list ap;
	int r;

	outcome->failure = GONS_FAIL_START;
	outcome->errnum = errnum;
	va_start(ap, fmt);
	r = keep_sentence(set, outcome, errnum, fmt, ap);
	va_end(ap);
	return r;
}

/* A setting is not accepted: there is text, but no run that has failed. */
int
gons__refuse(const struct settings *set, struct outcome *outcome, int errnum,
    const char *fmt, ...)
{
	va_list ap;
	int r;

	va_start(ap, fmt);
	r = keep_sentence(set, outcome, errnum, fmt, ap);
	va_end(ap);
	return r;
}

/* The failure and its sentence; the other parts of the text come later. */
struct verdict {
	enum gons_failure failure;
	int errnum;
	char *sentence;
	int says_end; /* the sentence is how it ended */
};

static void __attribute__((format(printf, 4, 5))) say(struct verdict *v,
    enum gons_failure failure, int errnum, const char *fmt, ...)
{
	va_list ap;

	v->failure = failure;
	v->errnum = errnum;
	va_start(ap, fmt);
	v->sentence = vformat(fmt, ap);
	va_end(ap);
}

/* An errno value that a child has told. */
static int
told_errno(int errnum)
{
	return errnum > 0 && errnum < ERRNO_MAX ? errnum : EPROTO;
}

/* A descriptor of the library's own is shown as the caller named it. */
static void
name_reference(const struct settings *set, struct gons_error *error)
{
	int fd = gons__fdref(error->what);
	unsigned i;

	if (fd < 0)
		return;
	if (fd == set->target.fd)
		(void)snprintf(
		    error->what, sizeof(error->what), "%s", set->target_text);
	for (i = 0; i < set->nrefs; i++)
		if (set->ref[i].kept.fd == fd)
			(void)snprintf(error->what, sizeof(error->what), "%s",
			    set->ref[i].text);
}

static void
judge_startup(const struct settings *set, const struct gons_error *told,
    struct verdict *v)
{
	char text[4 * sizeof(told->what) + 512];
	struct gons_error error = *told;
	const char *why;

	name_reference(set, &error);
	(void)gons_error_format(&error, text, sizeof(text));
	why = gons__after(text, "gons: ");
	say(v, GONS_FAIL_START, told_errno(error.errnum), "start-up failed: %s",
	    why != NULL ? why : text);
}

/* The action did not run. */
static void
judge_start(
    const struct settings *set, const struct facts *facts, struct verdict *v)
{
	int errnum = told_errno(facts->start_value);

	switch (facts->start) {
	case MSG_STARTUP:
		judge_startup(set, facts->start_error, v);
		break;
	case MSG_UNKNOWN:
		say(v, GONS_FAIL_START, ENOENT,
		    "not registered in the child when it called "
		    "gons_reexec_check()");
		break;
	case START_FAILED:
		if (errnum == EXDEV)
			say(v, GONS_FAIL_START, EPERM,
			    "cannot be started: its dynamic linker would come "
			    "from another root");
		else if (errnum == EOWNERDEAD)
			say(v, GONS_FAIL_START, EPERM,
			    "cannot be started: the process that "
			    "gons_reexec_check() forked for it has ended, or "
			    "this one is not what it was");
		else
			say(v, GONS_FAIL_START, errnum, "cannot be started: %s",
			    strerror(errnum));
		break;
	case MSG_REFUSED:
		say(v, GONS_FAIL_START, errnum,
		    "the child could not take the request: %s",
		    strerror(errnum));
		break;
	case MSG_FORK:
		say(v, GONS_FAIL_START, errnum,
		    "no process can be made for the action: %s%s",
		    strerror(errnum),
		    errnum == ENOMEM
			? " (its pid namespace's init process has ended, "
			  "or memory is short)"
			: "");
		break;
	default:
		if (facts->cause == BY_SIZE)
			say(v, GONS_FAIL_START, EPROTO,
			    "the child wrote more than %zu bytes before "
			    "gons_reexec_check()",
			    set->maxresult);
		else
			say(v, GONS_FAIL_START, EPROTO,
			    "the child ended before gons_reexec_check()");
		break;
	}
}

/* How it ended, where there is more to say than exit status 0. */
static void
describe_end(const struct facts *facts, int status, char *text, size_t size)
{
	*text = '\0';
	if (facts->lost)
		(void)snprintf(text, size, "it could not be killed in time");
	else if (status == -1 || status == 0)
		return;
	else if (WIFSIGNALED(status))
		(void)snprintf(text, size, "killed by signal %d (%s)",
		    WTERMSIG(status), strsignal(WTERMSIG(status)));
	else
		(void)snprintf(
		    text, size, "exited with status %d", WEXITSTATUS(status));
}

/* From the kernel; from the child itself if somebody else has reaped it. */
static int
status_of(const struct facts *facts)
{
	if (facts->returned)
		return facts->told_status;
	if (facts->told &&
	    (facts->status == -1 || WIFSIGNALED(facts->told_status)))
		return facts->told_status;
	return facts->status;
}

/* 1: the run failed because of its end, which comes last in any text. */
static int
judge_end(const struct facts *facts, int status, const char *end, int has_words,
    struct verdict *v)
{
	if ((facts->cause == BY_GRACE && !facts->returned) || status == 0)
		return 0;
	if (status == -1)
		say(v, GONS_FAIL_SIGNAL, ECHILD,
		    "how it ended is not known: its status has been collected "
		    "by somebody else, or may not be asked for");
	else
		say(v, WIFSIGNALED(status) ? GONS_FAIL_SIGNAL : GONS_FAIL_EXIT,
		    EIO, "%s", has_words ? "failed" : end);
	v->says_end = status != -1 && !has_words;
	return 1;
}

static int
has_whole_result(const struct settings *set, const struct facts *facts,
    const struct result *result, int status)
{
	if (result->state != RESULT_COMPLETE)
		return 0;
	if ((set->flags & GONS_REEXEC_REPLY) != 0 || set->complete != NULL)
		return result->whole;
	return status == 0 || facts->cause == BY_GRACE;
}

/* Was a reply to come, and has not come as a whole?  Then how it ended, or NULL. */
static const char *
lacks_reply(const struct settings *set, const struct result *result)
{
	if ((set->flags & GONS_REEXEC_REPLY) == 0 || result->whole)
		return NULL;
	return result->nhead == 0 ? "ended without a reply"
				  : "ended in the middle of its reply";
}

static void
judge_result(const struct settings *set, const struct result *result,
    const char *why, struct verdict *v)
{
	const char *lack = lacks_reply(set, result);

	if (result->state == RESULT_REJECTED)
		say(v, GONS_FAIL_RESULT, EBADMSG,
		    "the result does not decode%s%s", why != NULL ? ": " : "",
		    why != NULL ? why : "");
	else if (lack != NULL)
		say(v, GONS_FAIL_RESULT, EBADMSG, "%s", lack);
}

/* What was printed is the reason; an exit status of 0 does not say the rest. */
static void
judge_words(const struct settings *set, const struct result *result, int status,
    struct verdict *v)
{
	const char *lack = lacks_reply(set, result);

	if (status == 0 && lack != NULL)
		say(v, GONS_FAIL_STDERR, EIO, "%s, but printed", lack);
	else
		say(v, GONS_FAIL_STDERR, EIO, "failed");
}

/* The first three lines of the table: what is asked for comes first. */
static void
judge_limits(const struct settings *set, const struct facts *facts,
    const struct result *result, struct verdict *v)
{
	if (facts->cause == BY_TIMEOUT)
		say(v, GONS_FAIL_TIMEOUT, ETIMEDOUT, "timed out after %d ms%s",
		    set->timeout,
		    facts->reached ? "" : ", before gons_reexec_check()");
	else if (facts->cause == BY_KILL)
		say(v, GONS_FAIL_KILLED, ECANCELED,
		    "killed by gons_reexec_kill()");
	else if (result->state == RESULT_NO_MEMORY)
		say(v, GONS_FAIL_SIZE, ENOMEM, "no memory for the result");
	else if (facts->cause == BY_SIZE &&
		 gons__reply_fds(result) > set->maxfds)
		say(v, GONS_FAIL_SIZE, EMSGSIZE,
		    "the reply has %u descriptors, more than %u",
		    gons__reply_fds(result), set->maxfds);
	else if (facts->cause == BY_SIZE)
		say(v, GONS_FAIL_SIZE, EMSGSIZE,
		    "the result has more than %zu bytes", set->maxresult);
}

/* The container's end explains some failures, and then stands in their place. */
static void
judge_gone(struct verdict *v)
{
	char *sentence = v->sentence;

	if (v->failure == GONS_FAIL_NONE || v->failure == GONS_FAIL_TIMEOUT ||
	    v->failure == GONS_FAIL_KILLED || v->failure == GONS_FAIL_SIZE)
		return;
	say(v, GONS_FAIL_GONE, ESRCH, "the container has ended%s%s",
	    sentence != NULL ? ": " : "", sentence != NULL ? sentence : "");
	free(sentence);
}

/* Finds the failure of a run, if there is one. */
static void
judge_run(const struct settings *set, const struct facts *facts,
    const struct result *result, const struct buf *err, const char *why,
    const char *end, int status, struct verdict *v)
{
	const unsigned quiet =
	    GONS_REEXEC_STDERR_PASS | GONS_REEXEC_STDERR_KEEP;
	int whole = has_whole_result(set, facts, result, status);
	int has_words =
	    err->len > 0 && (set->flags & GONS_REEXEC_STDERR_PASS) == 0;

	if (facts->start != 0 ||
	    (!facts->reached && facts->cause != BY_TIMEOUT &&
		facts->cause != BY_KILL))
		judge_start(set, facts, v);
	else
		judge_limits(set, facts, result, v);
	if (v->failure == GONS_FAIL_NONE && err->len > 0 &&
	    (set->flags & quiet) == 0)
		judge_words(set, result, status, v);
	if (v->failure == GONS_FAIL_NONE && !whole &&
	    !judge_end(facts, status, end, has_words, v))
		judge_result(set, result, why, v);
	if (v->failure == GONS_FAIL_NONE)
		(void)judge_end(facts, status, end, has_words, v);
	if (facts->gone && !whole)
		judge_gone(v);
}

void
gons__judge(const struct settings *set, const struct facts *facts,
    const struct result *result, const struct buf *err, const char *why,
    struct outcome *outcome)
{
	struct verdict v = { GONS_FAIL_NONE, 0, NULL, 0 };
	char end[END_SIZE];
	int status = status_of(facts);

	describe_end(facts, status, end, sizeof(end));
	judge_run(set, facts, result, err, why, end, status, &v);
	outcome->failure = v.failure;
	outcome->errnum = v.errnum;
	outcome->status = status;
	free(outcome->error);
	outcome->error = NULL;
	if (v.failure != GONS_FAIL_NONE)
		set_error(set, outcome, v.sentence,
		    (set->flags & GONS_REEXEC_STDERR_PASS) != 0 ? NULL : err,
		    v.says_end ? NULL : end);
	free(v.sentence);
}
