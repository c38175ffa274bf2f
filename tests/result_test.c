/*
 * SPDX-License-Identifier: BSD-2-Clause
 *
 * Copyright (c) 2026 The libgons developers
 *
 * The bytes of a result, by gons_reexec_set(3): what is kept of them, when
 * they are complete, and what the function of gons_reexec_setcomplete() is
 * told.  Bytes that are made up, in pieces of every size, and no process.
 */

#include <stdlib.h>
#include <string.h>

#include <atf-c.h>

#include "../lib/reexec.h"

#define LIMIT 8 /* bytes that a result may have */
#define FDS 2 /* descriptors that a reply may bring */
#define REPLY GONS_REEXEC_REPLY
#define HEAD(len, fds) "\0\0\0\0\0\0\0" len "\0\0\0" fds
#define BYTES(s) (s), sizeof(s) - 1

/* What the function is to answer, and what it has been told. */
struct answers {
	char yes, no; /* the byte at which it says 1, or -1 */
	int last; /* at the end */
	char seen[64];
	size_t len;
	int ends; /* how often it was told that no more will come */
};

struct row {
	const char *name;
	unsigned flags;
	const char *bytes;
	size_t len;
	int asks; /* there is a function */
	int last; /* what it says at the end */
	int open; /* the end does not come */
	enum result_state state;
	int whole;
	const char *result; /* what stays readable */
	const char *seen; /* what the function is told; NULL: nothing */
	int ends;
};

static const struct row rows[] = {
	/* without a function: to the end of the file */
	{ "nothing", 0, BYTES(""), 0, 0, 0, RESULT_COMPLETE, 0, "", NULL, 0 },
	{ "bytes", 0, BYTES("abc"), 0, 0, 0, RESULT_COMPLETE, 0, "abc", NULL,
	    0 },
	{ "no end", 0, BYTES("abc"), 0, 0, 1, RESULT_OPEN, 0, "abc", NULL, 0 },
	{ "limit", 0, BYTES("abcdefgh"), 0, 0, 0, RESULT_COMPLETE, 0,
	    "abcdefgh", NULL, 0 },
	{ "too large", 0, BYTES("abcdefghi"), 0, 0, 0, RESULT_TOO_BIG, 0,
	    "abcdefgh", NULL, 0 },
	/* replies */
	{ "no reply", REPLY, BYTES(""), 0, 0, 0, RESULT_COMPLETE, 0, "", NULL,
	    0 },
	{ "cut head", REPLY, BYTES("\0\0\0\0"), 0, 0, 0, RESULT_COMPLETE, 0, "",
	    NULL, 0 },
	{ "empty reply", REPLY, BYTES(HEAD("\0", "\0")), 0, 0, 1,
	    RESULT_COMPLETE, 1, "", NULL, 0 },
	{ "reply", REPLY, BYTES(HEAD("\3", "\2") "abc"), 0, 0, 1,
	    RESULT_COMPLETE, 1, "abc", NULL, 0 },
	{ "cut reply", REPLY, BYTES(HEAD("\3", "\0") "ab"), 0, 0, 0,
	    RESULT_COMPLETE, 0, "ab", NULL, 0 },
	{ "unfinished reply", REPLY, BYTES(HEAD("\3", "\0") "ab"), 0, 0, 1,
	    RESULT_OPEN, 0, "ab", NULL, 0 },
	{ "largest reply", REPLY, BYTES(HEAD("\10", "\0") "abcdefgh"), 0, 0, 1,
	    RESULT_COMPLETE, 1, "abcdefgh", NULL, 0 },
	/* before anything else of it is read */
	{ "long reply", REPLY, BYTES(HEAD("\11", "\0")), 0, 0, 1,
	    RESULT_TOO_BIG, 0, "", NULL, 0 },
	{ "endless reply", REPLY,
	    BYTES("\377\377\377\377\377\377\377\377\0\0\0\0"), 0, 0, 1,
	    RESULT_TOO_BIG, 0, "", NULL, 0 },
	{ "many descriptors", REPLY, BYTES(HEAD("\0", "\3")), 0, 0, 1,
	    RESULT_TOO_BIG, 0, "", NULL, 0 },
	/* with a function */
	{ "it says nothing", 0, BYTES("abc"), 1, 0, 0, RESULT_COMPLETE, 0,
	    "abc", "abc", 1 },
	{ "it says 1", 0, BYTES("ab."), 1, 0, 1, RESULT_COMPLETE, 1, "ab.",
	    "ab.", 0 },
	{ "it says 1 at the end", 0, BYTES("abc"), 1, 1, 0, RESULT_COMPLETE, 1,
	    "abc", "abc", 1 },
	{ "it says -1", 0, BYTES("ab!"), 1, 0, 0, RESULT_REJECTED, 0, "ab!",
	    "ab!", 0 },
	{ "it says -1 at the end", 0, BYTES("abc"), 1, -1, 0, RESULT_REJECTED,
	    0, "abc", "abc", 1 },
	{ "it says 1, and the end", 0, BYTES("ab."), 1, 0, 0, RESULT_COMPLETE,
	    1, "ab.", "ab.", 0 },
	{ "it says 1 at the limit", 0, BYTES("abcdefg."), 1, 0, 0,
	    RESULT_COMPLETE, 1, "abcdefg.", "abcdefg.", 0 },
	{ "too large for it", 0, BYTES("abcdefghi"), 1, 0, 0, RESULT_TOO_BIG, 0,
	    "abcdefgh", "abcdefgh", 0 },
	{ "no reply for it", REPLY, BYTES(""), 1, -1, 0, RESULT_COMPLETE, 0, "",
	    NULL, 0 },
	{ "reply for it", REPLY, BYTES(HEAD("\3", "\0") "abc"), 1, 1, 1,
	    RESULT_COMPLETE, 1, "abc", "abc", 1 },
	{ "it rejects a reply", REPLY, BYTES(HEAD("\3", "\0") "abc"), 1, -1, 1,
	    RESULT_REJECTED, 0, "abc", "abc", 1 },
	/* A whole result is a full reply, or what it said 1 to. */
	{ "full reply", REPLY, BYTES(HEAD("\3", "\0") "abc"), 1, 0, 1,
	    RESULT_COMPLETE, 1, "abc", "abc", 1 },
	{ "cut reply for it", REPLY, BYTES(HEAD("\3", "\0") "ab"), 1, 0, 0,
	    RESULT_COMPLETE, 0, "ab", "ab", 1 },
};

static int
answer(void *state, const void *more, size_t len)
{
	struct answers *a = state;

	if (len == 0) {
		a->ends++;
		return a->last;
	}
	ATF_REQUIRE(len <= sizeof(a->seen) - a->len - 1);
	memcpy(a->seen + a->len, more, len);
	a->len += len;
	if (memchr(more, a->no, len) != NULL)
		return -1;
	return memchr(more, a->yes, len) != NULL;
}

/* So much at a time, as read(2) does: never more than there is room for. */
static void
feed(const struct settings *set, struct result *result, const char *bytes,
    size_t len, size_t piece)
{
	unsigned char dropped[CHUNK];
	size_t n, room = 0;
	void *to;

	for (; len > 0; bytes += n, len -= n) {
		to = gons__result_room(set, result, dropped, &room);
		ATF_REQUIRE(to != NULL && room > 0);
		/* What is dropped goes to nobody else's memory. */
		ATF_CHECK_EQ(result->state != RESULT_OPEN, to == dropped);
		n = piece < len ? piece : len;
		if (n > room)
			n = room;
		memcpy(to, bytes, n);
		gons__result_took(set, result, n);
	}
}

static void
check(const struct row *row, size_t piece)
{
	struct answers answers = { '.', '!', row->last, "", 0, 0 };
	struct settings set = {
		.flags = row->flags, .maxresult = LIMIT, .maxfds = FDS
	};
	struct result result = { .state = RESULT_OPEN };

	if (row->asks) {
		set.complete = answer;
		set.complete_state = &answers;
	}
	feed(&set, &result, row->bytes, row->len, piece);
	if (!row->open)
		gons__result_end(&set, &result);
	ATF_CHECK_EQ_MSG(row->state, result.state, "%s, %zu: state %d",
	    row->name, piece, (int)result.state);
	ATF_CHECK_EQ_MSG(row->whole, result.whole, "%s, %zu: whole is %d",
	    row->name, piece, result.whole);
	ATF_CHECK_EQ_MSG(strlen(row->result), result.out.len,
	    "%s, %zu: %zu bytes", row->name, piece, result.out.len);
	ATF_CHECK_MSG(result.out.len == 0 ||
			  strcmp(row->result, (char *)result.out.p) == 0,
	    "%s, %zu: other bytes, or no NUL", row->name, piece);
	ATF_CHECK_MSG(
	    strcmp(row->seen != NULL ? row->seen : "", answers.seen) == 0,
	    "%s, %zu: told \"%s\"", row->name, piece, answers.seen);
	ATF_CHECK_EQ_MSG(row->ends, answers.ends, "%s, %zu: told %d ends",
	    row->name, piece, answers.ends);
	buf_free(&result.out);
}

ATF_TC_WITHOUT_HEAD(table);
ATF_TC_BODY(table, tc)
{
	size_t i, piece;

	(void)tc;
	for (i = 0; i < sizeof(rows) / sizeof(rows[0]); i++)
		for (piece = 1; piece <= rows[i].len + 1; piece++)
			check(&rows[i], piece);
}

/* What follows a complete result is read, and dropped. */
ATF_TC_WITHOUT_HEAD(rest);
ATF_TC_BODY(rest, tc)
{
	static const char reply[] = HEAD("\3", "\0") "abc";
	struct settings set = { .flags = REPLY, .maxresult = LIMIT };
	struct result result = { .state = RESULT_OPEN };

	(void)tc;
	feed(&set, &result, BYTES(reply), 1);
	feed(&set, &result, BYTES("and more than the limit allows"), 7);
	gons__result_end(&set, &result);
	ATF_CHECK_EQ(RESULT_COMPLETE, result.state);
	ATF_CHECK_EQ(1, result.whole);
	ATF_CHECK_EQ(3, result.out.len);
	ATF_CHECK_STREQ("abc", (char *)result.out.p);
	ATF_CHECK_EQ(3, gons__reply_length(&result));
	buf_free(&result.out);
}

/* A head is in the order of the network, and nothing before it is whole. */
ATF_TC_WITHOUT_HEAD(head);
ATF_TC_BODY(head, tc)
{
	static const char bytes[] = "\0\0\0\0\1\2\3\4\0\0\5\6";
	struct settings set = {
		.flags = REPLY, .maxresult = 0x01020304, .maxfds = 0x0506
	};
	struct result result = { .state = RESULT_OPEN };

	(void)tc;
	feed(&set, &result, bytes, REPLY_HEAD - 1, REPLY_HEAD);
	ATF_CHECK_EQ(0, gons__reply_fds(&result));
	feed(&set, &result, bytes + REPLY_HEAD - 1, 1, 1);
	ATF_CHECK_EQ(0x01020304, gons__reply_length(&result));
	ATF_CHECK_EQ(0x0506, gons__reply_fds(&result));
	ATF_CHECK_EQ(RESULT_OPEN, result.state);
	buf_free(&result.out);
}

/* Bytes for which there is no memory are dropped, but those before stay. */
ATF_TC_WITHOUT_HEAD(memory);
ATF_TC_BODY(memory, tc)
{
	static char much[CHUNK];
	struct settings set = { .maxresult = 4 * CHUNK };
	struct result result = { .state = RESULT_OPEN };

	(void)tc;
	result.out.max = CHUNK;
	memset(much, 'x', sizeof(much));
	feed(&set, &result, much, sizeof(much), sizeof(much));
	ATF_CHECK_EQ(RESULT_NO_MEMORY, result.state);
	gons__result_end(&set, &result);
	ATF_CHECK_EQ(RESULT_NO_MEMORY, result.state);
	ATF_CHECK_EQ(CHUNK - 1, result.out.len);
	ATF_CHECK_EQ(CHUNK - 1, strspn((char *)result.out.p, "x"));
	buf_free(&result.out);
}

ATF_TP_ADD_TCS(tp)
{
	ATF_TP_ADD_TC(tp, table);
	ATF_TP_ADD_TC(tp, rest);
	ATF_TP_ADD_TC(tp, head);
	ATF_TP_ADD_TC(tp, memory);
	return atf_no_error();
}
