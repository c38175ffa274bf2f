/*
 * SPDX-License-Identifier: BSD-2-Clause
 *
 * Copyright (c) 2026 The libgons developers
 *
 * libgons_json: parameters and results of actions as JSON, by jansson.  It
 * is a library of its own, and uses the public functions of libgons and a few
 * that are exported for it alone, see internal.h.
 *
 * The result is followed while it comes, and decoded as soon as its first
 * value has ended.  Scanner and value are attached to the request's outcome.
 * A run does not fail because there is no memory for the value: the result is
 * complete, and gons_json_result() decodes it again.
 *
 * jansson says that there was no memory by errno alone: its error codes tell of
 * syntax then, or of nothing.
 */

#include <sys/types.h>

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <gons_json.h>

#include "internal.h"
#include "json_end.h"

/*
 * Any value, and strings with NUL bytes as well: each side must understand all
 * that the other can encode.  Of a key that occurs twice one value would be
 * lost.
 */
#define DECODE_FLAGS (JSON_DECODE_ANY | JSON_ALLOW_NUL | JSON_REJECT_DUPLICATES)
#define ENCODE_FLAGS (JSON_ENCODE_ANY | JSON_COMPACT)

#define WHY_SIZE (JSON_ERROR_TEXT_LENGTH + 192)

struct outcome {
	struct json_end end;
	json_t *value; /* NULL until it is decoded */
};

struct text { /* being encoded */
	char *data;
	size_t len, size;
	int errnum;
};

struct input { /* being decoded */
	off_t at;
	int stream; /* has no positions */
	int errnum;
};

/* For json_dump_callback(). */
static int
add_text(const char *more, size_t len, void *arg)
{
	struct text *text = arg;
	size_t size = text->size != 0 ? text->size : 1024;
	char *data;

	while (size - text->len <= len && size <= SIZE_MAX / 2)
		size *= 2;
	if (size - text->len <= len)
		goto nomem;
	if (size != text->size) {
		if ((data = realloc(text->data, size)) == NULL)
			goto nomem;
		text->data = data;
		text->size = size;
	}
	memcpy(text->data + text->len, more, len);
	text->len += len;
	return 0;
nomem:
	text->errnum = ENOMEM;
	return -1;
}

/* To text that the caller frees, with room for one byte more. */
static int
encode(const json_t *value, struct text *text)
{
	memset(text, 0, sizeof(*text));
	if (value == NULL)
		return EINVAL;
	errno = 0;
	if (json_dump_callback(value, add_text, text, ENCODE_FLAGS) == 0)
		return 0;
	if (text->errnum == 0)
		text->errnum = errno == ENOMEM ? ENOMEM : EINVAL;
	free(text->data);
	return text->errnum;
}

int
gons_json_param(struct gons_reexec *req, const json_t *param)
{
	struct text text;
	char why[WHY_SIZE];
	int errnum, r;

	if ((errnum = encode(param, &text)) != 0) {
		(void)snprintf(why, sizeof(why),
		    "the parameter cannot be encoded: %s",
		    param == NULL ? "it is NULL" : strerror(errnum));
		return gons__reexec_fail(req, GONS_FAIL_NONE, errnum, why);
	}
	r = gons_reexec_param(req, text.data, text.len);
	errnum = errno;
	free(text.data);
	errno = errnum;
	return r;
}

static void
free_outcome(void *what)
{
	struct outcome *outcome = what;

	json_decref(outcome->value);
	free(outcome);
}

static struct outcome *
new_outcome(struct gons_reexec *req)
{
	struct outcome *outcome;

	if ((outcome = calloc(1, sizeof(*outcome))) != NULL)
		gons__reexec_attach(req, outcome, free_outcome);
	return outcome;
}

/*
 * The parser sees all of a malformed result that has come, for its words are
 * better.  Returns 0, ENOMEM, or EBADMSG with the reason in why.
 */
static int
decode(const struct gons_reexec *req, struct outcome *outcome,
    enum json_end_verdict verdict, char *why)
{
	json_error_t error;
	const char *text;
	size_t len;
	int nomem;

	if (outcome->end.where == JSON_END_OUTSIDE &&
	    verdict == JSON_END_MORE) {
		(void)snprintf(why, WHY_SIZE, "it is empty");
		return EBADMSG;
	}
	text = gons_reexec_result(req, &len);
	if (verdict == JSON_END_HERE)
		len = outcome->end.at;
	errno = 0;
	outcome->value = json_loadb(text, len, DECODE_FLAGS, &error);
	nomem = outcome->value == NULL && errno == ENOMEM;
	if (verdict != JSON_END_NEVER && (outcome->value != NULL || nomem))
		return nomem ? ENOMEM : 0;
	if (outcome->value != NULL || nomem) {
		/* The parser overlooks a NUL byte after a number. */
		(void)snprintf(why, WHY_SIZE,
		    "unexpected byte 0x%02x (position %zu)",
		    (unsigned char)text[outcome->end.at - 1], outcome->end.at);
		json_decref(outcome->value);
		outcome->value = NULL;
		return EBADMSG;
	}
	(void)snprintf(why, WHY_SIZE, "%s (line %d, column %d, position %d)",
	    error.text, error.line, error.column, error.position);
	return EBADMSG;
}

/* For gons_reexec_setcomplete(). */
static int
follow(void *state, const void *more, size_t len)
{
	struct gons_reexec *req = state;
	struct outcome *outcome = gons__reexec_attached(req), own;
	enum json_end_verdict verdict;
	char why[WHY_SIZE];
	int last = len == 0, errnum;

	memset(&own, 0, sizeof(own));
	if (outcome == NULL) {
		/* The first piece; without memory, each is seen as the first. */
		more = gons_reexec_result(req, &len);
		if ((outcome = new_outcome(req)) == NULL)
			outcome = &own;
	}
	verdict = json_end_feed(&outcome->end, more, len);
	if (verdict == JSON_END_MORE && !last)
		return 0;
	errnum = decode(req, outcome, verdict, why);
	json_decref(own.value);
	if (errnum == EBADMSG) {
		gons__reexec_reject(req, why);
		return -1;
	}
	return verdict == JSON_END_HERE || errnum == 0;
}

/* Nothing to free: what it needs is attached when the result comes. */
int
gons_json_expect(struct gons_reexec *req)
{
	return gons_reexec_setcomplete(req, follow, req);
}

/* And has gone well; else -1 with errno and text set. */
static int
is_done(struct gons_reexec *req)
{
	if (gons__reexec_running(req))
		return gons__reexec_fail(req, GONS_FAIL_NONE, EAGAIN,
		    "there is no result yet: it is still running");
	if (gons_reexec_step(req) == 1)
		return 0;
	if (gons_reexec_failure(req) == GONS_FAIL_NONE)
		return gons__reexec_fail(req, GONS_FAIL_NONE, EINVAL,
		    "there is no result: it has not been run");
	return -1;
}

/*
 * It has been decoded when it came, unless gons_json_expect() was not called.
 */
static json_t *
decoded(struct gons_reexec *req)
{
	struct outcome *outcome = gons__reexec_attached(req);
	char why[WHY_SIZE], text[2 * WHY_SIZE];
	const void *result;
	size_t len;
	int errnum = ENOMEM;

	if (outcome != NULL && outcome->value != NULL)
		return outcome->value;
	if ((outcome = new_outcome(req)) != NULL) {
		result = gons_reexec_result(req, &len);
		errnum = decode(req, outcome,
		    json_end_feed(&outcome->end, result, len), why);
	}
	if (errnum == 0)
		return outcome->value;
	(void)snprintf(text, sizeof(text), "the result does not decode: %s",
	    errnum == ENOMEM ? strerror(ENOMEM) : why);
	(void)gons__reexec_fail(req,
	    errnum == ENOMEM ? GONS_FAIL_NONE : GONS_FAIL_RESULT, errnum, text);
	return NULL;
}

int
gons_json_result(struct gons_reexec *req, json_t **result)
{
	json_t *value;

	if (result != NULL)
		*result = NULL;
	if (is_done(req) == -1 || (value = decoded(req)) == NULL)
		return -1;
	if (result != NULL)
		*result = json_incref(value);
	return 0;
}

int
gons_json_run(struct gons_reexec *req, json_t **result)
{
	if (result != NULL)
		*result = NULL;
	if (gons_json_expect(req) == -1 || gons_reexec_run(req) == -1)
		return -1;
	return gons_json_result(req, result);
}

/*
 * A result that does not fit is the child's fault, and a failure of the run; a
 * format that makes no sense is not.
 */
static int
misfit(struct gons_reexec *req, const char *fmt, const json_error_t *error)
{
	const char *what = "the format makes no sense";
	int errnum = EINVAL, failure = GONS_FAIL_NONE;
	char why[WHY_SIZE];

	switch (json_error_code(error)) {
	case json_error_invalid_argument:
	case json_error_invalid_format:
	case json_error_null_value:
		break;
	case json_error_out_of_memory:
		what = "the result cannot be unpacked";
		errnum = ENOMEM;
		break;
	default:
		what = "the result does not fit the format";
		errnum = EBADMSG;
		failure = GONS_FAIL_RESULT;
		break;
	}
	(void)snprintf(why, sizeof(why), "%s \"%.100s\" (column %d): %s", what,
	    fmt, error->column, error->text);
	return gons__reexec_fail(req, failure, errnum, why);
}

int
gons_json_vunpack(struct gons_reexec *req, const char *fmt, va_list ap)
{
	json_error_t error;
	json_t *value;
	int r;

	if (fmt == NULL || *fmt == '\0')
		return gons__reexec_fail(
		    req, GONS_FAIL_NONE, EINVAL, "there is no format");
	if (gons_json_run(req, &value) == -1)
		return -1;
	r = json_vunpack_ex(value, &error, 0, fmt, ap);
	json_decref(value); /* the outcome has it still */
	return r == 0 ? 0 : misfit(req, fmt, &error);
}

int
gons_json_unpack(struct gons_reexec *req, const char *fmt, ...)
{
	va_list ap;
	int r;

	va_start(ap, fmt);
	r = gons_json_vunpack(req, fmt, ap);
	va_end(ap);
	return r;
}

/*
 * For json_load_callback(): all of the parameter, whatever of it has been read
 * already.  Standard input is a pipe only in a process that is no child.
 */
static size_t
read_input(void *buf, size_t size, void *arg)
{
	struct input *input = arg;
	ssize_t n;

	do {
		n = input->stream ? read(STDIN_FILENO, buf, size)
				  : pread(STDIN_FILENO, buf, size, input->at);
		if (n == -1 && errno == ESPIPE && !input->stream) {
			input->stream = 1;
			errno = EINTR;
		}
	} while (n == -1 && errno == EINTR);
	if (n == -1) {
		input->errnum = errno;
		return (size_t)-1;
	}
	input->at += n;
	return (size_t)n;
}

json_t *
gons_json_input(void)
{
	struct input input = { 0, 0, 0 };
	json_error_t error;
	json_t *value;

	errno = 0;
	value = json_load_callback(read_input, &input, DECODE_FLAGS, &error);
	if (value != NULL && input.errnum == 0)
		return value;
	json_decref(value);
	if (input.errnum != 0)
		errno = input.errnum;
	else if (errno != ENOMEM)
		errno = input.at == 0 ? ENODATA : EBADMSG;
	return NULL;
}

/*
 * After what stdio holds already, and at once.  The newline tells the end of
 * a number.
 */
static int
print(const struct text *text)
{
	text->data[text->len] = '\n';
	if (fwrite(text->data, text->len + 1, 1, stdout) == 1 &&
	    fflush(stdout) == 0)
		return 0;
	return errno;
}

/* Only a child that is to reply can reply. */
int
gons_json_output(const json_t *value)
{
	struct text text;
	int errnum;

	if ((errnum = encode(value, &text)) == 0) {
		if (gons_reexec_reply(text.data, text.len) == -1)
			errnum = errno;
		if (errnum == EPERM)
			errnum = print(&text);
		free(text.data);
	}
	if (errnum == 0)
		return 0;
	errno = errnum;
	return -1;
}
