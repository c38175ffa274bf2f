/*
 * SPDX-License-Identifier: BSD-2-Clause
 *
 * Copyright (c) 2026 The libgons developers
 *
 * What came of a run, by the table in gons_reexec(3), and the text that says it;
 * also the texts of requests that were refused.
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

static void judge_start(struct gons_reexec *req);
static int told_errno(int errnum);
static void judge_status(struct gons_reexec *req);
static int bad_end(const struct gons_reexec *req, char *text, size_t size);
static int reply_is_whole(const struct gons_reexec *req);
static void say(struct gons_reexec *req, enum gons_failure failure, int errnum,
    const char *fmt, ...) __attribute__((format(printf, 4, 5)));
static void set_error(struct gons_reexec *req, size_t len, const char *fmt,
    va_list ap) __attribute__((format(printf, 3, 0)));
static char *vformat(const char *fmt, va_list ap)
    __attribute__((format(printf, 1, 0)));

/*
 * The table of gons_reexec(3), from the top: the first line that holds is
 * what the run failed of.
 */
void
gons__judge(struct gons_reexec *req)
{
	char end[END_SIZE] = "";
	int bad, errnum = req->errnum;

	req->errnum = 0;
	if (req->startup || (!req->reached && req->cause != BY_TIMEOUT &&
				req->cause != BY_KILL)) {
		judge_start(req);
	} else if (req->cause == BY_TIMEOUT) {
		say(req, GONS_FAIL_TIMEOUT, ETIMEDOUT,
		    "timed out after %d ms%s", req->timeout,
		    req->reached ? "" : ", before gons_reexec_check()");
	} else if (req->cause == BY_KILL) {
		say(req, GONS_FAIL_KILLED, ECANCELED,
		    "killed by gons_reexec_kill()");
	} else if (req->cause == BY_SIZE && errnum == ENOMEM) {
		say(req, GONS_FAIL_SIZE, ENOMEM, "no memory for the result");
	} else if (req->cause == BY_SIZE) {
		say(req, GONS_FAIL_SIZE, EMSGSIZE,
		    "the result has more than %zu bytes", req->maxresult);
	} else if (req->err.len > 0 &&
		   (req->flags & GONS_REEXEC_STDERR_PASS) == 0) {
		say(req, GONS_FAIL_STDERR, EIO, "failed");
	} else if (req->rejected) {
		bad = bad_end(req, end, sizeof(end));
		say(req, GONS_FAIL_RESULT, EBADMSG,
		    "the result does not decode%s%s%s%s",
		    req->why != NULL ? ": " : "",
		    req->why != NULL ? req->why : "", bad ? "; " : "", end);
	} else if ((req->flags & GONS_REEXEC_REPLY) != 0 && !req->accepted &&
		   !reply_is_whole(req)) {
		say(req, GONS_FAIL_RESULT, EBADMSG,
		    req->nhead == 0 ? "ended without a reply"
				    : "ended in the middle of its reply");
	} else {
		judge_status(req);
	}
}

static void
judge_start(struct gons_reexec *req)
{
	const struct message *message = &req->start;
	int errnum = told_errno(message->value);
	char text[4 * sizeof(message->error.what) + 512];
	const char *why;

	if (!req->startup) {
		say(req, GONS_FAIL_START, EPROTO,
		    "the child ended before gons_reexec_check()");
		return;
	}
	switch (message->kind) {
	case MSG_UNKNOWN:
		say(req, GONS_FAIL_START, ENOENT,
		    "not registered in the child when it called "
		    "gons_reexec_check()");
		break;
	case MSG_LOST:
		say(req, GONS_FAIL_START, errnum,
		    "the prepared process did not take it: %s",
		    strerror(errnum));
		break;
	case MSG_FORK:
		say(req, GONS_FAIL_START, errnum,
		    "no process can be made for the action: %s%s",
		    strerror(errnum),
		    errnum == ENOMEM
			? " (its pid namespace's init process has ended, "
			  "or memory is short)"
			: "");
		break;
	default:
		(void)gons_error_format(&message->error, text, sizeof(text));
		why = gons__after(text, "gons: ");
		say(req, GONS_FAIL_START, told_errno(message->error.errnum),
		    "start-up failed: %s", why != NULL ? why : text);
		break;
	}
}

/* An errno value that a child has told. */
static int
told_errno(int errnum)
{
	return errnum > 0 && errnum < ERRNO_MAX ? errnum : EPROTO;
}

static void
judge_status(struct gons_reexec *req)
{
	char end[END_SIZE];

	if (bad_end(req, end, sizeof(end)))
		say(req,
		    WIFSIGNALED(req->status) ? GONS_FAIL_SIGNAL
					     : GONS_FAIL_EXIT,
		    EIO, "%s", end);
	else if (req->status == -1 && req->cause != BY_GRACE)
		say(req, GONS_FAIL_SIGNAL, ECHILD,
		    "how it ended is not known: somebody else has collected "
		    "its status");
}

/* How it ended counts only if it ended by itself, and is known. */
static int
bad_end(const struct gons_reexec *req, char *text, size_t size)
{
	int status = req->status;

	if (req->cause == BY_GRACE || status == -1 || status == 0)
		return 0;
	if (WIFSIGNALED(status))
		(void)snprintf(text, size, "killed by signal %d (%s)",
		    WTERMSIG(status), strsignal(WTERMSIG(status)));
	else
		(void)snprintf(
		    text, size, "exited with status %d", WEXITSTATUS(status));
	return 1;
}

static int
reply_is_whole(const struct gons_reexec *req)
{
	return req->nhead == sizeof(req->head) &&
	       req->out.len == gons__reply_length(req);
}

/* The most significant byte comes first. */
uint64_t
gons__reply_length(const struct gons_reexec *req)
{
	uint64_t len = 0;
	size_t i;

	for (i = 0; i < sizeof(req->head); i++)
		len = len << 8 | req->head[i];
	return len;
}

static void
say(struct gons_reexec *req, enum gons_failure failure, int errnum,
    const char *fmt, ...)
{
	va_list ap;

	req->failure = failure;
	req->errnum = errnum;
	va_start(ap, fmt);
	set_error(req, req->err.len, fmt, ap);
	va_end(ap);
}

/* The same before anything has run. */
int
gons__fail(struct gons_reexec *req, int errnum, const char *fmt, ...)
{
	va_list ap;

	req->failure = GONS_FAIL_START;
	req->errnum = errnum;
	va_start(ap, fmt);
	set_error(req, 0, fmt, ap);
	va_end(ap);
	errno = errnum;
	return -1;
}

/* A setting is not accepted: there is text, but no run that has failed. */
int
gons__refuse(struct gons_reexec *req, int errnum, const char *fmt, ...)
{
	va_list ap;

	va_start(ap, fmt);
	set_error(req, 0, fmt, ap);
	va_end(ap);
	errno = errnum;
	return -1;
}

/* The sentence, and len bytes of the child's own words. */
static void
set_error(struct gons_reexec *req, size_t len, const char *fmt, va_list ap)
{
	struct gons__text text = { NULL, 0, 0 };
	char *sentence;
	int round;

	free(req->error);
	req->error = NULL;
	if ((sentence = vformat(fmt, ap)) == NULL)
		return;
	while (len > 0 && strchr(" \t\r\n", req->err.data[len - 1]) != NULL)
		len--;
	for (round = 0; round < 2; round++) {
		text.len = 0;
		gons__text_str(&text, "gons: action \"");
		gons__text_safe(&text, req->action, strlen(req->action));
		gons__text_str(&text, "\": ");
		gons__text_safe(&text, sentence, strlen(sentence));
		if (len > 0) {
			gons__text_str(&text, ": ");
			gons__text_safe(&text, req->err.data, len);
		}
		if (round == 0) {
			text.size = text.len + 1;
			text.buf = req->error = malloc(text.size);
			if (req->error == NULL)
				break;
		}
	}
	if (req->error != NULL)
		(void)gons__text_end(&text);
	free(sentence);
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

static char *
vformat(const char *fmt, va_list ap)
{
	char *text;

	return vasprintf(&text, fmt, ap) == -1 ? NULL : text;
}
