/*
 * SPDX-License-Identifier: BSD-2-Clause
 *
 * Copyright (c) 2026 The libgons developers
 *
 * gons_json(3): how the end of a JSON value is found, and what is no value.
 */

#include <sys/resource.h>
#include <sys/wait.h>

#include <errno.h>
#include <poll.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <atf-c.h>
#include <gons_json.h>

#include "json_end.h"
#include "jsons.h"

/*
 * Requests.
 */

static const struct {
	const char *text;
	const char *means; /* NULL: the same */
} values[] = {
	{ "42\n", NULL },
	{ "0 ", NULL },
	{ "-17\t", NULL },
	{ "9223372036854775807\r", NULL },
	{ "2.5e-3\n", NULL },
	{ "-0.0\n", NULL },
	{ "true\n", NULL },
	{ "false\n", NULL },
	{ "null\n", NULL },
	{ "\"\"", NULL },
	{ "\"sleeping\"", NULL },
	{ "\"\\\"\\\\\\/\\b\\n\\u20ac\\ud834\\udd1e\"", NULL },
	{ "\"\xe2\x82\xac \xf0\x9d\x84\x9e [{\"", NULL },
	{ "[]", NULL },
	{ "{}", NULL },
	{ "[1,[2,[]],\"]\",{}]", NULL },
	{ "{\"a\":{\"b\":[true,null]},\"}\":1e2}", NULL },
	{ " \t\r\n [ 1 , 2 ]", "[1,2]" },
	{ "\n\n7\n", "7" },
};

ATF_TC_WITHOUT_HEAD(types);
ATF_TC_BODY(types, tc)
{
	struct gons_reexec *req;
	size_t i;

	for (i = 0; i < LENGTH(values); i++) {
		req = saying(values[i].text, strlen(values[i].text), NULL);
		check_value(req,
		    values[i].means != NULL ? values[i].means : values[i].text);
		gons_reexec_free(req);
	}
}

/* Each is known to be complete without an end of file. */
ATF_TC_WITHOUT_HEAD(types_then_hang);
ATF_TC_BODY(types_then_hang, tc)
{
	struct gons_reexec *req;
	size_t i;

	for (i = 0; i < LENGTH(values); i++) {
		req = saying(values[i].text, strlen(values[i].text), "hang");
		ATF_REQUIRE_EQ(0, gons_reexec_setgrace(req, 1));
		check_value(req,
		    values[i].means != NULL ? values[i].means : values[i].text);
		gons_reexec_free(req);
	}
}

/* Runs it so that its first bytes come apart from the rest. */
static void
run_cut(struct gons_reexec *req, size_t cut)
{
	struct pollfd p;
	size_t len;
	int hold[2], told = 0, r;

	set_hold(req, hold);
	set_number(req, "CUT", (int)cut);
	ATF_REQUIRE_EQ(0, gons_json_expect(req));
	ATF_REQUIRE_EQ(0, gons_reexec_start(req));
	p.fd = gons_reexec_fd(req);
	p.events = POLLIN;
	for (;;) {
		(void)gons_reexec_result(req, &len);
		if (len >= cut && !told) {
			ATF_REQUIRE_EQ(1, write(hold[1], "", 1));
			told = 1;
		}
		if ((r = gons_reexec_step(req)) != 0)
			break;
		(void)gons_reexec_result(req, &len);
		if (told || len < cut)
			ATF_REQUIRE_EQ(1, poll(&p, 1, -1));
	}
	close_hold(hold);
}

ATF_TC(cut);
ATF_TC_HEAD(cut, tc)
{
	atf_tc_set_md_var(
	    tc, "descr", "A value may come in two pieces, cut at any byte");
}
ATF_TC_BODY(cut, tc)
{
	struct gons_reexec *req;
	json_t *value, *want;
	size_t cut, i, len;

	for (i = 0; i < LENGTH(values); i++) {
		len = strlen(values[i].text);
		want = json_loads(values[i].text, JSON_DECODE_ANY, NULL);
		for (cut = 1; cut < len; cut++) {
			req = saying(values[i].text, len, NULL);
			run_cut(req, cut);
			ATF_REQUIRE_EQ_MSG(0, gons_json_result(req, &value),
			    "%s cut at %zu: %s", values[i].text, cut,
			    gons_reexec_error(req));
			ATF_CHECK_MSG(json_equal(value, want), "%s cut at %zu",
			    values[i].text, cut);
			json_decref(value);
			gons_reexec_free(req);
		}
		json_decref(want);
	}
}

/*
 * The scanner by itself, against jansson: in one piece, in two, in bytes.
 */
static int
scan(const char *text, size_t len, size_t a, size_t b, size_t *at)
{
	struct json_end scanner;
	const size_t cut[] = { 0, a, b, len };
	int i, r = JSON_END_MORE;

	memset(&scanner, 0, sizeof(scanner));
	for (i = 0; i < 3 && r == JSON_END_MORE; i++)
		r = json_end_feed(&scanner, text + cut[i], cut[i + 1] - cut[i]);
	*at = scanner.at;
	return r;
}

ATF_TC_WITHOUT_HEAD(scanner_end);
ATF_TC_BODY(scanner_end, tc)
{
	static const char rest[] = "x{\"]42";
	json_error_t error;
	json_t *value;
	char text[256];
	size_t a, at, b, i, len, used;

	for (i = 0; i < LENGTH(values); i++) {
		(void)snprintf(
		    text, sizeof(text), "%s%s", values[i].text, rest);
		len = strlen(text);
		value = json_loadb(text, len,
		    JSON_DECODE_ANY | JSON_DISABLE_EOF_CHECK, &error);
		ATF_REQUIRE(value != NULL);
		json_decref(value);
		used = (size_t)error.position;
		for (a = 0; a <= len; a++)
			for (b = a; b <= len; b++) {
				ATF_REQUIRE_EQ_MSG(JSON_END_HERE,
				    scan(text, len, a, b, &at), "%s", text);
				ATF_REQUIRE_EQ_MSG(
				    used, at, "%s: %zu, %zu", text, used, at);
			}
	}
}

/* What it gives up at is malformed, and whatever jansson reads it follows. */
ATF_TC_WITHOUT_HEAD(scanner_random);
ATF_TC_BODY(scanner_random, tc)
{
	static const char alphabet[] = "[]{},:\"\\ \n019-+.eEtrufalsn\xc3\xa9";
	json_error_t error;
	json_t *value;
	char text[12];
	size_t at, i, j, len, other;
	uint64_t seed = 1;
	int r;

	for (i = 0; i < 500000; i++) {
		seed = seed * 6364136223846793005u + 1442695040888963407u;
		len = 1 + (seed >> 33) % sizeof(text);
		for (j = 0; j < len; j++) {
			seed =
			    seed * 6364136223846793005u + 1442695040888963407u;
			text[j] =
			    alphabet[(seed >> 33) % (sizeof(alphabet) - 1)];
		}
		r = scan(text, len, 0, 0, &at);
		j = (seed >> 40) % (len + 1);
		ATF_REQUIRE_EQ(r, scan(text, len, j, j, &other));
		ATF_REQUIRE_EQ(at, other);
		value = json_loadb(text, len,
		    JSON_DECODE_ANY | JSON_DISABLE_EOF_CHECK, &error);
		if (value != NULL && r == JSON_END_HERE)
			ATF_REQUIRE((size_t)error.position <= at);
		json_decref(value);
		value = json_loadb(text, len, JSON_DECODE_ANY, &error);
		if (value != NULL)
			ATF_REQUIRE_MSG(
			    r != JSON_END_NEVER, "%.*s", (int)len, text);
		if (value != NULL && r == JSON_END_HERE)
			for (; at < len; at++)
				ATF_REQUIRE(strchr(" \n", text[at]) != NULL);
		json_decref(value);
	}
}

ATF_TC_WITHOUT_HEAD(sleeping);
ATF_TC_BODY(sleeping, tc)
{
	struct gons_reexec *req = saying(TEXT("\"sleeping\""), "hang");

	check_value(req, "\"sleeping\"");
	ATF_CHECK(WIFSIGNALED(gons_reexec_status(req)));
	gons_reexec_free(req);
}

ATF_TC_WITHOUT_HEAD(number_at_eof);
ATF_TC_BODY(number_at_eof, tc)
{
	static const char *const words[] = { "42", "-1.5", "true", "false",
		"null", "1e5" };
	struct gons_reexec *req;
	size_t i;

	for (i = 0; i < LENGTH(words); i++) {
		req = saying(words[i], strlen(words[i]), NULL);
		check_value(req, words[i]);
		gons_reexec_free(req);
	}
}

/* More digits could follow. */
ATF_TC_WITHOUT_HEAD(number_then_hang);
ATF_TC_BODY(number_then_hang, tc)
{
	struct gons_reexec *req = saying(TEXT("42"), "hang");

	ATF_REQUIRE_EQ(0, gons_reexec_settimeout(req, 1000));
	check_failure(req, GONS_FAIL_TIMEOUT, ETIMEDOUT, "timed out");
	ATF_CHECK_STREQ("42", result_of(req));
	gons_reexec_free(req);
}

ATF_TC_WITHOUT_HEAD(pipe_left_open);
ATF_TC_BODY(pipe_left_open, tc)
{
	struct gons_reexec *req;
	int hold[2];

	req = saying(TEXT("42"), "leave");
	ATF_REQUIRE_EQ(0, gons_reexec_setgrace(req, 1000));
	set_hold(req, hold);
	check_value(req, "42");
	gons_reexec_free(req);
	close_hold(hold);

	req = saying(TEXT("[42"), "leave");
	ATF_REQUIRE_EQ(0, gons_reexec_setgrace(req, 1000));
	set_hold(req, hold);
	check_failure(
	    req, GONS_FAIL_RESULT, EBADMSG, "the result does not decode");
	gons_reexec_free(req);
	close_hold(hold);
}

ATF_TC_WITHOUT_HEAD(stray_after);
ATF_TC_BODY(stray_after, tc)
{
	static const struct {
		const char *text, *value;
	} cases[] = {
		{ "{\"a\":1}garbage", "{\"a\":1}" },
		{ "[1][2]", "[1]" },
		{ "\"x\"\"y\"", "\"x\"" },
		{ "1 2", "1" },
		{ "1,2", "1" },
		{ "true]", "true" },
		{ "null\n\xff\xfe", "null" },
	};
	struct gons_reexec *req;
	size_t i;

	for (i = 0; i < LENGTH(cases); i++) {
		req = saying(cases[i].text, strlen(cases[i].text), NULL);
		check_value(req, cases[i].value);
		gons_reexec_free(req);
	}
	req = saying(TEXT("[]" NUL NUL), NULL);
	check_value(req, "[]");
	gons_reexec_free(req);
}

/* What follows the value does not count as result, even in the same piece. */
ATF_TC_WITHOUT_HEAD(stray_after_limit);
ATF_TC_BODY(stray_after_limit, tc)
{
	struct gons_reexec *req;
	char text[1000];

	memset(text, 'x', sizeof(text));
	memcpy(text, "[1,2]", 5);
	req = saying(text, sizeof(text), NULL);
	ATF_REQUIRE_EQ(0, gons_reexec_setmaxresult(req, 5));
	check_value(req, "[1,2]");
	ATF_REQUIRE_EQ(0, gons_reexec_setmaxresult(req, 4));
	check_failure(req, GONS_FAIL_SIZE, EMSGSIZE, "more than 4 bytes");
	gons_reexec_free(req);
}

/* All of it is read, so the child is not stopped by a full pipe. */
ATF_TC_WITHOUT_HEAD(stray_after_much);
ATF_TC_BODY(stray_after_much, tc)
{
	struct gons_reexec *req;
	char *text;

	ATF_REQUIRE((text = malloc(4 * MIB)) != NULL);
	memset(text, '[', 4 * MIB);
	memcpy(text, "7\n", 2);
	req = saying(text, 4 * MIB, NULL);
	ATF_REQUIRE_EQ(0, gons_reexec_setgrace(req, 60000));
	check_value(req, "7");
	ATF_CHECK_EQ(0, gons_reexec_status(req));
	gons_reexec_free(req);
	free(text);
}

ATF_TC_WITHOUT_HEAD(stray_before);
ATF_TC_BODY(stray_before, tc)
{
	static const char *const texts[] = { "Hello {\"a\":1}", ", 1", "]1",
		"}", ":1", "nothing", "falsehood", "# 1\n2", "\xef\xbb\xbf{}",
		"\xff", "'a'", "<html>", "+1", ".5", "NaN", "Infinity" };
	size_t i;

	for (i = 0; i < LENGTH(texts); i++)
		check_malformed(saying(texts[i], strlen(texts[i]), NULL),
		    "the result does not decode: ");
	check_malformed(
	    saying(TEXT(NUL "1"), NULL), "the result does not decode: ");
}

/* It can never become JSON, so nobody waits for it. */
ATF_TC_WITHOUT_HEAD(stray_then_hang);
ATF_TC_BODY(stray_then_hang, tc)
{
	static const char *const texts[] = { "Hello", "[\"a\n", "\"\\x",
		"[1, ?", "nothing", "{'" };
	size_t i;

	for (i = 0; i < LENGTH(texts); i++)
		check_malformed(saying(texts[i], strlen(texts[i]), "hang"),
		    "the result does not decode: ");
}

ATF_TC_WITHOUT_HEAD(empty);
ATF_TC_BODY(empty, tc)
{
	check_malformed(saying(TEXT(""), NULL), "does not decode: it is empty");
	check_malformed(
	    saying(TEXT(" \n\t\r "), NULL), "does not decode: it is empty");
}

ATF_TC_WITHOUT_HEAD(truncated);
ATF_TC_BODY(truncated, tc)
{
	static const char whole[] =
	    "{\"a\": [1, \"b\\n\\u00e9\", true], \"c\": null}";
	size_t len;

	for (len = 1; len < sizeof(whole) - 1; len++)
		check_malformed(
		    saying(whole, len, NULL), "the result does not decode: ");
	check_malformed(saying(TEXT("\""), NULL), "does not decode: ");
	check_malformed(saying(TEXT("-"), NULL), "does not decode: ");
	check_malformed(saying(TEXT("tru"), NULL), "does not decode: ");
}

ATF_TC_WITHOUT_HEAD(malformed);
ATF_TC_BODY(malformed, tc)
{
	static const char *const texts[] = { "[1,]", "{\"a\":1,}", "[1 2]",
		"{1:2}", "{\"a\" 1}", "{\"a\":}", "[}", "{]", "[1}", "01\n",
		"1.\n", "1e\n", "--1\n", "1.5.5\n", "[trUe]", "[nul]",
		"[\"\\x41\"]", "[\"\\u12g4\"]", "\"\\ud800\"", "\"\\udc00\"",
		"[\"a\tb\"]" };
	size_t i;

	for (i = 0; i < LENGTH(texts); i++)
		check_malformed(saying(texts[i], strlen(texts[i]), NULL),
		    "the result does not decode: ");
	check_malformed(saying(TEXT("[\"a" NUL "b\"]"), NULL), "decode: ");
	/* Which jansson does not see. */
	check_malformed(saying(TEXT("[1" NUL "]"), NULL),
	    "does not decode: unexpected byte 0x00 (position 3)");
	check_malformed(saying(TEXT("1" NUL), NULL),
	    "does not decode: unexpected byte 0x00 (position 2)");
}

ATF_TC_WITHOUT_HEAD(invalid_utf8);
ATF_TC_BODY(invalid_utf8, tc)
{
	static const char *const texts[] = { "\"\xff\"", "\"\xc0\x80\"",
		"\"\xed\xa0\x80\"", "\"\xe2\x82\"", "\"\xf4\x90\x80\x80\"",
		"{\"\x80\":1}", "[\xc3\xa9]", "12\xc3\xa9" };
	size_t i;

	for (i = 0; i < LENGTH(texts); i++)
		check_malformed(saying(texts[i], strlen(texts[i]), NULL),
		    "the result does not decode: ");
}

ATF_TC_WITHOUT_HEAD(number_too_big);
ATF_TC_BODY(number_too_big, tc)
{
	check_malformed(saying(TEXT("9223372036854775808\n"), NULL), "big");
	check_malformed(saying(TEXT("[1e999]"), NULL), "overflow");
}

ATF_TC_WITHOUT_HEAD(duplicate_key);
ATF_TC_BODY(duplicate_key, tc)
{
	check_malformed(
	    saying(TEXT("{\"a\":1,\"a\":2}"), NULL), "duplicate object key");
}

ATF_TC_WITHOUT_HEAD(nul_in_string);
ATF_TC_BODY(nul_in_string, tc)
{
	struct gons_reexec *req;
	json_t *value, *param;

	req = saying(TEXT("\"a\\u0000b\""), NULL);
	ATF_REQUIRE_EQ(0, gons_json_run(req, &value));
	ATF_CHECK_EQ(3, json_string_length(value));
	json_decref(value);
	gons_reexec_free(req);

	req = new_request("echo");
	param = json_stringn("\0x", 2);
	ATF_REQUIRE_EQ(0, gons_json_param(req, param));
	check_value(req, "\"\\u0000x\"");
	json_decref(param);
	gons_reexec_free(req);

	check_malformed(saying(TEXT("{\"\\u0000\":1}"), NULL), "NUL");
}

ATF_TC_WITHOUT_HEAD(error_text);
ATF_TC_BODY(error_text, tc)
{
	struct gons_reexec *req;

	req = saying(TEXT("\n{\"a\": 1,\n \"b\" 2}"), NULL);
	check_failure(req, GONS_FAIL_RESULT, EBADMSG,
	    "\"say\": the result does not decode: ':' expected near '2' "
	    "(line 3, column 6, position ");
	ATF_CHECK_STREQ("\n{\"a\": 1,\n \"b\" 2}", result_of(req));
	gons_reexec_free(req);

	check_malformed(saying(TEXT("[\"\x1b\"]"), NULL), "control char");
}

ATF_TC_WITHOUT_HEAD(error_text_status);
ATF_TC_BODY(error_text_status, tc)
{
	struct gons_reexec *req = saying(TEXT(""), "fail");

	/* Without a whole result its end is what the run failed of. */
	check_failure(req, GONS_FAIL_EXIT, EIO, "exited with status 3");
	gons_reexec_free(req);
	req = saying(TEXT("["), "die");
	check_failure(req, GONS_FAIL_SIGNAL, EIO, "killed by signal 9");
	gons_reexec_free(req);
}

static void
check_depth(size_t depth, const char *open, const char *close, int good)
{
	struct gons_reexec *req;
	size_t a = strlen(open), b = strlen(close), i;
	char *text;

	ATF_REQUIRE((text = malloc(depth * (a + b) + 1)) != NULL);
	for (i = 0; i < depth; i++) {
		memcpy(text + i * a, open, a);
		memcpy(text + depth * a + i * b, close, b);
	}
	text[depth * (a + b)] = '\0';
	req = saying(text, depth * (a + b), NULL);
	if (good)
		check_value(req, text);
	else
		check_failure(req, GONS_FAIL_RESULT, EBADMSG, "depth");
	gons_reexec_free(req);
	free(text);
}

ATF_TC_WITHOUT_HEAD(depth);
ATF_TC_BODY(depth, tc)
{
	check_depth(JSON_PARSER_MAX_DEPTH, "[", "]", 1);
	check_depth(JSON_PARSER_MAX_DEPTH + 1, "[", "]", 0);
	check_depth(MIB, "[", "]", 0);
	check_depth(MIB, "{\"a\":", "}", 0);
	check_depth(MIB, "[[", "", 0);
}

static double
cpu_time(void)
{
	struct rusage usage;

	ATF_REQUIRE_EQ(0, getrusage(RUSAGE_SELF, &usage));
	return (double)usage.ru_utime.tv_sec +
	       (double)usage.ru_utime.tv_usec / 1e6 +
	       (double)usage.ru_stime.tv_sec +
	       (double)usage.ru_stime.tv_usec / 1e6;
}

/* CPU seconds of a run with so large a result. */
static double
run_large(size_t size)
{
	struct gons_reexec *req = new_request("large");
	json_t *value;
	double before = cpu_time(), after;

	set_number(req, "SIZE", (int)size);
	ATF_REQUIRE_EQ_MSG(
	    0, gons_json_run(req, &value), "%s", gons_reexec_error(req));
	after = cpu_time();
	ATF_CHECK_EQ(size / 4 * 3, json_string_length(value));
	json_decref(value);
	gons_reexec_free(req);
	return after - before;
}

ATF_TC(linear);
ATF_TC_HEAD(linear, tc)
{
	atf_tc_set_md_var(
	    tc, "descr", "The time for a value grows only as its size does");
}
ATF_TC_BODY(linear, tc)
{
	double large_one, small_one = 1e9, t;
	int i;

	for (i = 0; i < 5; i++)
		if ((t = run_large(2 * MIB)) < small_one)
			small_one = t;
	large_one = run_large(16 * MIB);
	ATF_CHECK_MSG(large_one < 24 * small_one || large_one < 0.1,
	    "%g s, %g s", small_one, large_one);
}

/* From the parameter of gons_json_param() to gons_json_output() and back. */
ATF_TC_WITHOUT_HEAD(round_trip);
ATF_TC_BODY(round_trip, tc)
{
	struct gons_reexec *req = new_request("echo");
	json_t *param;
	unsigned flags;
	size_t i;

	for (flags = 0; flags <= GONS_REEXEC_REPLY; flags += GONS_REEXEC_REPLY)
		for (i = 0; i < LENGTH(values); i++) {
			param =
			    json_loads(values[i].text, JSON_DECODE_ANY, NULL);
			ATF_REQUIRE_EQ(0, gons_reexec_setflags(req, flags));
			ATF_REQUIRE_EQ(0, gons_json_param(req, param));
			json_decref(param);
			check_value(req, values[i].text);
		}
	gons_reexec_free(req);
}

ATF_TP_ADD_TCS(tp)
{
	ATF_TP_ADD_TC(tp, types);
	ATF_TP_ADD_TC(tp, types_then_hang);
	ATF_TP_ADD_TC(tp, cut);
	ATF_TP_ADD_TC(tp, scanner_end);
	ATF_TP_ADD_TC(tp, scanner_random);
	ATF_TP_ADD_TC(tp, sleeping);
	ATF_TP_ADD_TC(tp, number_at_eof);
	ATF_TP_ADD_TC(tp, number_then_hang);
	ATF_TP_ADD_TC(tp, pipe_left_open);
	ATF_TP_ADD_TC(tp, stray_after);
	ATF_TP_ADD_TC(tp, stray_after_limit);
	ATF_TP_ADD_TC(tp, stray_after_much);
	ATF_TP_ADD_TC(tp, stray_before);
	ATF_TP_ADD_TC(tp, stray_then_hang);
	ATF_TP_ADD_TC(tp, empty);
	ATF_TP_ADD_TC(tp, truncated);
	ATF_TP_ADD_TC(tp, malformed);
	ATF_TP_ADD_TC(tp, invalid_utf8);
	ATF_TP_ADD_TC(tp, number_too_big);
	ATF_TP_ADD_TC(tp, duplicate_key);
	ATF_TP_ADD_TC(tp, nul_in_string);
	ATF_TP_ADD_TC(tp, error_text);
	ATF_TP_ADD_TC(tp, error_text_status);
	ATF_TP_ADD_TC(tp, depth);
	ATF_TP_ADD_TC(tp, linear);
	ATF_TP_ADD_TC(tp, round_trip);
	return atf_no_error();
}
