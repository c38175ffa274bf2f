/*
 * SPDX-License-Identifier: BSD-2-Clause
 *
 * Copyright (c) 2026 The libgons developers
 *
 * Where does the first JSON value of a text end that comes in pieces?  Each
 * byte is looked at once.  This is no parser: it follows strings and the depth
 * of brackets, and gives up at bytes with which no value can go on.  Whether
 * what it has found is JSON, the parser tells.
 */

#ifndef GONS_JSON_END_H
#define GONS_JSON_END_H

#include <stddef.h>
#include <string.h>

/* What a parser takes at most; jansson's configuration tells, if it is known. */
#ifndef JSON_PARSER_MAX_DEPTH
#define JSON_END_DEPTH 2048
#else
#define JSON_END_DEPTH JSON_PARSER_MAX_DEPTH
#endif

enum json_end_verdict {
	JSON_END_NEVER = -1, /* malformed */
	JSON_END_MORE, /* the end has not come yet */
	JSON_END_HERE,
	JSON_END_BEFORE /* within this file: the byte is not part of it */
};

enum json_end_where {
	JSON_END_OUTSIDE, /* before the value */
	JSON_END_WORD, /* number, true, false or null, and nothing around it */
	JSON_END_INSIDE, /* brackets */
	JSON_END_STRING,
	JSON_END_ESCAPE /* in a string, after the backslash */
};

/* All zero at the beginning. */
struct json_end {
	enum json_end_where where;
	size_t depth; /* of brackets */
	size_t at; /* bytes so far, or to the end of the value */
};

#define JSON_END_SPACE " \t\n\r"
#define JSON_END_MARKS "[]{},:\""

/* The NUL that ends the set is no member. */
static inline int
json_end_is(const char *set, unsigned char c)
{
	return c != '\0' && strchr(set, c) != NULL;
}

/* A byte that begins the value, or lies between brackets. */
static inline int
json_end_plain(struct json_end *end, unsigned char c)
{
	int first = end->where == JSON_END_OUTSIDE;

	if (c == '"') {
		end->where = JSON_END_STRING;
	} else if (c == '[' || c == '{') {
		end->where = JSON_END_INSIDE;
		if (++end->depth > JSON_END_DEPTH)
			return JSON_END_NEVER;
	} else if (json_end_is(JSON_END_SPACE, c)) {
		return JSON_END_MORE;
	} else if (first) {
		if (!json_end_is("-0123456789tfn", c))
			return JSON_END_NEVER;
		end->where = JSON_END_WORD;
	} else if (c == ']' || c == '}') {
		if (--end->depth == 0)
			return JSON_END_HERE;
	} else if (!json_end_is(",:+-.0123456789Eabeflnrstu", c)) {
		return JSON_END_NEVER;
	}
	return JSON_END_MORE;
}

static inline int
json_end_byte(struct json_end *end, unsigned char c)
{
	switch (end->where) {
	case JSON_END_STRING:
		if (c == '\\')
			end->where = JSON_END_ESCAPE;
		else if (c < ' ')
			return JSON_END_NEVER;
		else if (c == '"') {
			end->where = JSON_END_INSIDE;
			if (end->depth == 0)
				return JSON_END_HERE;
		}
		return JSON_END_MORE;
	case JSON_END_ESCAPE:
		end->where = JSON_END_STRING;
		return json_end_is("\"\\/bfnrtu", c) ? JSON_END_MORE
						     : JSON_END_NEVER;
	case JSON_END_WORD:
		if (json_end_is(JSON_END_SPACE JSON_END_MARKS, c))
			return JSON_END_BEFORE;
		return json_end_is("+-.0123456789Eaeflnrstu", c)
			   ? JSON_END_MORE
			   : JSON_END_NEVER;
	default:
		return json_end_plain(end, c);
	}
}

/*
 * The next piece; not to be called any more when it has returned something
 * else than JSON_END_MORE.  After JSON_END_HERE the value ends before byte at,
 * counted from the beginning; after JSON_END_NEVER that is the byte which
 * follows the one that was wrong.
 */
static inline enum json_end_verdict
json_end_feed(struct json_end *end, const void *more, size_t len)
{
	const unsigned char *p = more;
	size_t i;
	int verdict = JSON_END_MORE;

	for (i = 0; i < len && verdict == JSON_END_MORE; i++)
		verdict = json_end_byte(end, p[i]);
	end->at += i;
	if (verdict == JSON_END_BEFORE) {
		end->at--;
		verdict = JSON_END_HERE;
	}
	return (enum json_end_verdict)verdict;
}

#endif /* GONS_JSON_END_H */
