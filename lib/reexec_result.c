/*
 * SPDX-License-Identifier: BSD-2-Clause
 *
 * Copyright (c) 2026 The libgons developers
 *
 * The bytes of a result: how much is read, and when it is complete.  No
 * descriptor is looked at here, and no clock.
 *
 *	OPEN -> COMPLETE	end of file, a full reply, or the callback's 1
 *	OPEN -> REJECTED	the callback's -1
 *	OPEN -> TOO_BIG		more than gons_reexec_setmaxresult(3) allows,
 *				or more descriptors
 *	OPEN -> NO_MEMORY
 *
 * The others are final.
 */

#include <stdlib.h>
#include <string.h>

#include "reexec.h"

static void
result_is(struct result *result, enum result_state state)
{
	static const char *const names[] = { "OPEN", "COMPLETE", "REJECTED",
		"TOO_BIG", "NO_MEMORY" };

	if (result->state != RESULT_OPEN)
		return;
	(void)names;
	gons__trace("result %s -> %s", names[result->state], names[state]);
	result->state = state;
}

static int
is_reply(const struct settings *set)
{
	return (set->flags & GONS_REEXEC_REPLY) != 0;
}

/* The most significant byte comes first. */
static uint64_t
number(const unsigned char *p, size_t n)
{
	uint64_t value = 0;
	size_t i;

	for (i = 0; i < n; i++)
		value = value << 8 | p[i];
	return value;
}

uint64_t
gons__reply_length(const struct result *result)
{
	return number(result->head, 8);
}

unsigned
gons__reply_fds(const struct result *result)
{
	return result->nhead < REPLY_HEAD
		   ? 0
		   : (unsigned)number(result->head + 8, 4);
}

void *
gons__result_room(const struct settings *set, struct result *result,
    unsigned char dropped[CHUNK], size_t *room)
{
	struct buf *out = &result->out;
	size_t size;

	if (is_reply(set) && result->state == RESULT_OPEN &&
	    result->nhead < REPLY_HEAD) {
		*room = REPLY_HEAD - result->nhead;
		return result->head + result->nhead;
	}
	*room = CHUNK;
	if (result->state != RESULT_OPEN)
		return dropped;
	if (out->len + 1 >= out->room) {
		/* One byte more than allowed, and a NUL. */
		size = out->room == 0 ? CHUNK : out->room * 2;
		if (size > set->maxresult + 2)
			size = set->maxresult + 2;
		if (buf_reserve(out, size) != 0) {
			result_is(result, RESULT_NO_MEMORY);
			return dropped;
		}
	}
	*room = out->room - out->len - 1;
	return out->p + out->len;
}

/* Asks the callback about more bytes; len 0: no more will come. */
static void
ask(const struct settings *set, struct result *result, const void *more,
    size_t len)
{
	int r = 0;

	if (set->complete != NULL)
		r = set->complete(set->complete_state, more, len);
	if (r == -1) {
		result_is(result, RESULT_REJECTED);
	} else if (r != 0 && result->state == RESULT_OPEN) {
		result->whole = 1;
		result_is(result, RESULT_COMPLETE);
	}
}

/* A reply's length is known. */
static void
head_is_complete(const struct settings *set, struct result *result)
{
	if (gons__reply_length(result) > set->maxresult ||
	    gons__reply_fds(result) > set->maxfds)
		result_is(result, RESULT_TOO_BIG);
}

static int
reply_is_full(const struct settings *set, const struct result *result)
{
	return is_reply(set) && result->nhead == REPLY_HEAD &&
	       result->out.len >= gons__reply_length(result);
}

void
gons__result_end(const struct settings *set, struct result *result)
{
	if (result->state != RESULT_OPEN)
		return;
	if (!is_reply(set) || result->nhead == REPLY_HEAD)
		ask(set, result, "", 0);
	/* A full reply is whole, unless the callback has rejected it. */
	if (result->state == RESULT_OPEN && reply_is_full(set, result))
		result->whole = 1;
	result_is(result, RESULT_COMPLETE);
}

/* Bytes after a complete result do not count towards the limit. */
void
gons__result_took(const struct settings *set, struct result *result, size_t n)
{
	struct buf *out = &result->out;
	int much;

	if (result->state != RESULT_OPEN)
		return;
	if (n > 0 && is_reply(set) && result->nhead < REPLY_HEAD) {
		result->nhead += n;
		n = 0;
		if (result->nhead < REPLY_HEAD)
			return;
		head_is_complete(set, result);
		if (!reply_is_full(set, result))
			return;
	}
	out->len += n;
	much = out->len > set->maxresult;
	if (much) {
		n -= out->len - set->maxresult;
		out->len = set->maxresult;
	}
	if (out->p != NULL)
		out->p[out->len] = '\0';
	if (n > 0)
		ask(set, result, out->p + out->len - n, n);
	if (much)
		result_is(result, RESULT_TOO_BIG);
	if (reply_is_full(set, result))
		gons__result_end(set, result);
}
