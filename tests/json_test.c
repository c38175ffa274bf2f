/*
 * SPDX-License-Identifier: BSD-2-Clause
 *
 * Copyright (c) 2026 The libgons developers
 *
 * gons_json(3).  What the child does is told by variables of its environment:
 * it prints its parameter as it is, in the pieces asked for, and then ends in
 * the way asked for.  Waiting is done on pipes.
 */

#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/wait.h>

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <malloc.h>
#include <poll.h>
#include <pthread.h>
#include <signal.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <atf-c.h>
#include <gons_json.h>

#include "json_end.h"

#define LENGTH(a) (sizeof(a) / sizeof((a)[0]))
#define NUL "\0"
#define TEXT(s) (s), sizeof(s) - 1

#define MIB ((size_t)1 << 20)

/*
 * Actions.
 */

static void
complain(const char *what)
{
	dprintf(STDERR_FILENO, "%s: %s", what, strerror(errno));
	_exit(1);
}

static void
write_out(const char *p, size_t len)
{
	ssize_t n;

	for (; len > 0; p += n, len -= (size_t)n)
		if ((n = write(STDOUT_FILENO, p, len)) == -1)
			complain("write");
}

static char *
read_all(int fd, size_t *len)
{
	char *data = NULL;
	size_t size = 0;
	ssize_t n;

	*len = 0;
	do {
		if (size - *len < 4096 &&
		    (data = realloc(data, size = size * 2 + 8192)) == NULL)
			complain("realloc");
		if ((n = read(fd, data + *len, size - *len)) == -1)
			complain("read");
		*len += (size_t)n;
	} while (n > 0);
	return data;
}

static int
number(const char *name)
{
	const char *value = getenv(name);

	return value != NULL ? atoi(value) : -1;
}

static int
end(void)
{
	const char *how = getenv("END");
	char c;

	if (how == NULL)
		return 0;
	if (strcmp(how, "hang") == 0)
		for (;;)
			pause();
	if (strcmp(how, "fail") == 0)
		return 3;
	if (strcmp(how, "die") == 0)
		raise(SIGKILL);
	if (strcmp(how, "complain") == 0)
		dprintf(STDERR_FILENO, "no such luck\n");
	if (strcmp(how, "leave") == 0 && fork() == 0) {
		/* Holds the pipes until the test is over. */
		while (read(number("HOLD"), &c, 1) == 1)
			continue;
		_exit(0);
	}
	return 0;
}

/* The parameter is what to print; CUT: where to wait for HOLD. */
static int
say(void)
{
	size_t len, cut = 0;
	char *text = read_all(STDIN_FILENO, &len), c;

	if (number("CUT") != -1) {
		cut = (size_t)number("CUT");
		write_out(text, cut);
		if (read(number("HOLD"), &c, 1) != 1)
			complain("hold");
	}
	write_out(text + cut, len - cut);
	free(text);
	return end();
}

/* A string of SIZE bytes, with escapes in it. */
static int
large(void)
{
	char block[4096];
	int size = number("SIZE");
	size_t i;

	for (i = 0; i < sizeof(block); i += 4)
		memcpy(block + i, "a\\\"]", 4);
	write_out("\"", 1);
	for (; size > 0; size -= (int)sizeof(block))
		write_out(block, sizeof(block));
	write_out("\"", 1);
	return 0;
}

/* The parameter is the result. */
static int
echo(void)
{
	json_t *value, *again;

	if ((value = gons_json_input()) == NULL)
		complain("gons_json_input");
	if ((again = gons_json_input()) == NULL)
		complain("gons_json_input again");
	if (!json_equal(value, again))
		complain("not equal");
	json_decref(again);
	if (gons_json_output(value) == -1)
		complain("gons_json_output");
	json_decref(value);
	return end();
}

/* What gons_json_input() does with what STDIN says. */
static int
input(void)
{
	const char *what = getenv("STDIN");
	json_t *value, *result;
	int fd[2];
	char c;

	if (strcmp(what, "closed") == 0)
		(void)close(STDIN_FILENO);
	if (strcmp(what, "begun") == 0 && read(STDIN_FILENO, &c, 1) != 1)
		complain("read");
	if (strcmp(what, "directory") == 0) {
		(void)close(STDIN_FILENO);
		if (open("/", O_RDONLY) != STDIN_FILENO)
			complain("open");
	}
	if (strcmp(what, "pipe") == 0) {
		if (pipe(fd) == -1 || dup2(fd[0], STDIN_FILENO) == -1 ||
		    write(fd[1], "[1, 2] \n", 8) != 8)
			complain("pipe");
		(void)close(fd[1]);
	}
	errno = 0;
	value = gons_json_input();
	result = json_pack(
	    "{s:i, s:o*}", "errno", value != NULL ? 0 : errno, "value", value);
	if (gons_json_output(result) == -1)
		complain("gons_json_output");
	json_decref(result);
	return 0;
}

/* What gons_json_output() does as HOW says. */
static int
output(void)
{
	const char *how = getenv("HOW");
	json_t *bad = json_string_nocheck("\xff"), *value = json_integer(42);
	int expected = 0, r;

	errno = 0;
	if (strcmp(how, "none") == 0) {
		expected = EINVAL;
		r = gons_json_output(NULL);
	} else if (strcmp(how, "bad") == 0) {
		expected = EINVAL;
		r = gons_json_output(bad);
	} else if (strcmp(how, "closed") == 0) {
		expected = EBADF;
		(void)close(STDOUT_FILENO);
		r = gons_json_output(value);
	} else {
		if (strcmp(how, "after") == 0)
			(void)printf("not JSON");
		r = gons_json_output(value);
		if (strcmp(how, "twice") == 0)
			r = gons_json_output(value);
	}
	if (r == -1 ? errno != expected : expected != 0)
		complain("gons_json_output");
	json_decref(bad);
	json_decref(value);
	return end();
}

static const struct {
	const char *name;
	int (*function)(void);
} actions[] = { { "say", say }, { "large", large }, { "echo", echo },
	{ "input", input }, { "output", output } };

__attribute__((constructor)) static void
prepare(void)
{
	size_t i;

	for (i = 0; i < LENGTH(actions); i++)
		if (gons_reexec_register(
			actions[i].name, actions[i].function) == -1)
			abort();
	gons_reexec_check();
}

/*
 * Requests.
 */

static struct gons_reexec *
new_request(const char *action)
{
	struct gons_reexec *req;

	ATF_REQUIRE((req = gons_reexec_new(action)) != NULL);
	ATF_REQUIRE_EQ(0, gons_reexec_setgrace(req, 50));
	return req;
}

/* Text to print, and how to end; NULL: well. */
static struct gons_reexec *
saying(const char *text, size_t len, const char *how)
{
	struct gons_reexec *req = new_request("say");

	ATF_REQUIRE_EQ(0, gons_reexec_param(req, text, len));
	ATF_REQUIRE_EQ(0, gons_reexec_setenv(req, "END", how));
	return req;
}

static void
set_number(struct gons_reexec *req, const char *name, int value)
{
	char text[16];

	(void)snprintf(text, sizeof(text), "%d", value);
	ATF_REQUIRE_EQ(0, gons_reexec_setenv(req, name, text));
}

/* The child waits until something is written to this pipe. */
static void
set_hold(struct gons_reexec *req, int fd[2])
{
	ATF_REQUIRE_EQ(0, pipe2(fd, O_CLOEXEC));
	ATF_REQUIRE_EQ(0, gons_reexec_keepfd(req, fd[0]));
	set_number(req, "HOLD", fd[0]);
}

static void
close_hold(int fd[2])
{
	(void)close(fd[0]);
	(void)close(fd[1]);
}

/* One that succeeds with a value that equals the given text. */
static void
check_value(struct gons_reexec *req, const char *expected)
{
	json_t *value, *want;

	ATF_REQUIRE((want = json_loads(expected,
			 JSON_DECODE_ANY | JSON_ALLOW_NUL, NULL)) != NULL);
	value = (json_t *)(intptr_t)1;
	ATF_REQUIRE_EQ_MSG(0, gons_json_run(req, &value), "%.64s: %s", expected,
	    gons_reexec_error(req));
	ATF_CHECK_MSG(json_equal(value, want), "%.64s", expected);
	ATF_CHECK_EQ(GONS_FAIL_NONE, gons_reexec_failure(req));
	ATF_CHECK_EQ(NULL, gons_reexec_error(req));
	json_decref(value);
	json_decref(want);
}

/* One line, that names the action and says what is in what. */
static void
check_text(struct gons_reexec *req, const char *what)
{
	const char *text = gons_reexec_error(req);

	ATF_REQUIRE_MSG(text != NULL, "no text with %s", what);
	ATF_CHECK_MSG(
	    strncmp(text, "gons: action \"", 14) == 0, "\"%s\"", text);
	ATF_CHECK_MSG(strchr(text, '\n') == NULL, "\"%s\"", text);
	ATF_CHECK_MSG(
	    strstr(text, what) != NULL, "no \"%s\" in \"%s\"", what, text);
}

static void
check_failure(
    struct gons_reexec *req, int failure, int errnum, const char *what)
{
	json_t *value = (json_t *)(intptr_t)1;

	errno = 0;
	ATF_REQUIRE_EQ_MSG(-1, gons_json_run(req, &value), "%s", what);
	ATF_CHECK_EQ_MSG(errnum, errno, "%s: %s", what, gons_reexec_error(req));
	ATF_CHECK_EQ_MSG(failure, gons_reexec_failure(req), "%s: %s", what,
	    gons_reexec_error(req));
	ATF_CHECK_EQ(NULL, value);
	check_text(req, what);
}

/* What is printed is no JSON value; frees the request. */
static void
check_malformed(struct gons_reexec *req, const char *what)
{
	check_failure(req, GONS_FAIL_RESULT, EBADMSG, what);
	gons_reexec_free(req);
}

static int
count_fds(void)
{
	DIR *dir = opendir("/proc/self/fd");
	int n = 0;

	ATF_REQUIRE(dir != NULL);
	while (readdir(dir) != NULL)
		n++;
	(void)closedir(dir);
	return n;
}

static const char *
result_of(const struct gons_reexec *req)
{
	return gons_reexec_result(req, NULL);
}

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
	    tc, "descr", "Each value in two pieces, at each of its bytes");
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
	set_hold(req, hold);
	check_value(req, "42");
	gons_reexec_free(req);
	close_hold(hold);

	req = saying(TEXT("[42"), "leave");
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

/* What else there is to know is told, too. */
ATF_TC_WITHOUT_HEAD(error_text_status);
ATF_TC_BODY(error_text_status, tc)
{
	check_malformed(
	    saying(TEXT(""), "fail"), "it is empty; exited with status 3");
	check_malformed(saying(TEXT("["), "die"), "; killed by signal 9");
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
	    tc, "descr", "Eight times the size takes far less than 64 times");
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

ATF_TC_WITHOUT_HEAD(unpack);
ATF_TC_BODY(unpack, tc)
{
	struct gons_reexec *req;
	const char *name;
	int n;

	req = saying(TEXT("42\n"), NULL);
	ATF_REQUIRE_EQ(0, gons_json_unpack(req, "i", &n));
	ATF_CHECK_EQ(42, n);
	gons_reexec_free(req);

	req = saying(TEXT("{\"name\": \"lo\", \"index\": 1}"), NULL);
	ATF_REQUIRE_EQ(
	    0, gons_json_unpack(req, "{s:s, s:i}", "name", &name, "index", &n));
	ATF_CHECK_STREQ("lo", name);
	ATF_CHECK_EQ(1, n);
	/* Strings are there as long as this outcome is. */
	ATF_REQUIRE_EQ(0, gons_json_result(req, NULL));
	ATF_CHECK_STREQ("lo", name);
	gons_reexec_free(req);
}

/* Formats that give values: borrowed, and a reference of one's own. */
ATF_TC_WITHOUT_HEAD(unpack_objects);
ATF_TC_BODY(unpack_objects, tc)
{
	struct gons_reexec *req = saying(TEXT("[[1], [2]]"), NULL);
	json_t *borrowed, *own;

	ATF_REQUIRE_EQ(0, gons_json_unpack(req, "[o, O]", &borrowed, &own));
	ATF_CHECK_EQ(1, json_array_size(borrowed));
	gons_reexec_free(req);
	ATF_CHECK_EQ(2, json_integer_value(json_array_get(own, 0)));
	json_decref(own);
}

static void
check_misfit(const char *text, const char *what, int r, struct gons_reexec *req)
{
	ATF_REQUIRE_EQ_MSG(-1, r, "%s", text);
	ATF_CHECK_EQ_MSG(EBADMSG, errno, "%s", text);
	ATF_CHECK_EQ(GONS_FAIL_RESULT, gons_reexec_failure(req));
	check_text(req, "the result does not fit the format \"");
	check_text(req, what);
	ATF_CHECK_STREQ(text, result_of(req));
	ATF_CHECK_EQ(-1, gons_reexec_step(req));
	ATF_CHECK_EQ(EBADMSG, errno);
	gons_reexec_free(req);
}

ATF_TC_WITHOUT_HEAD(unpack_misfit);
ATF_TC_BODY(unpack_misfit, tc)
{
	struct gons_reexec *req;
	const char *s;
	int n;

	req = saying(TEXT("\"42\""), NULL);
	check_misfit("\"42\"", "Expected integer, got string",
	    gons_json_unpack(req, "i", &n), req);
	req = saying(TEXT("{\"a\":1}"), NULL);
	check_misfit("{\"a\":1}", "not found",
	    gons_json_unpack(req, "{s:i}", "b", &n), req);
	req = saying(TEXT("[1,2]"), NULL);
	check_misfit(
	    "[1,2]", "left unpacked", gons_json_unpack(req, "[i!]", &n), req);
	req = saying(TEXT("null\n"), NULL);
	check_misfit("null\n", "Expected string, got null",
	    gons_json_unpack(req, "s", &s), req);
}

ATF_TC_WITHOUT_HEAD(unpack_bad_format);
ATF_TC_BODY(unpack_bad_format, tc)
{
	struct gons_reexec *req = saying(TEXT("1"), NULL);
	int n = 0;

	errno = 0;
	ATF_CHECK_EQ(-1, gons_json_unpack(req, NULL));
	ATF_CHECK_EQ(EINVAL, errno);
	check_text(req, "there is no format");
	ATF_CHECK_EQ(-1, gons_json_unpack(req, ""));
	ATF_CHECK_EQ(EINVAL, errno);
	ATF_CHECK_EQ(NULL, gons_reexec_result(req, NULL));
	ATF_CHECK_EQ_MSG(-1, gons_json_unpack(req, "z", &n), "%d", n);
	ATF_CHECK_EQ(EINVAL, errno);
	ATF_CHECK_EQ(GONS_FAIL_NONE, gons_reexec_failure(req));
	check_text(req, "the format makes no sense \"z\"");
	ATF_CHECK_EQ(-1, gons_json_unpack(req, "i]", &n));
	ATF_CHECK_EQ(EINVAL, errno);
	gons_reexec_free(req);
}

static int
call_vunpack(struct gons_reexec *req, const char *fmt, ...)
{
	va_list ap;
	int r;

	va_start(ap, fmt);
	r = gons_json_vunpack(req, fmt, ap);
	va_end(ap);
	return r;
}

ATF_TC_WITHOUT_HEAD(vunpack);
ATF_TC_BODY(vunpack, tc)
{
	struct gons_reexec *req = saying(TEXT("[1, true, \"x\"]"), NULL);
	const char *s;
	int b, n;

	ATF_REQUIRE_EQ(0, call_vunpack(req, "[ibs]", &n, &b, &s));
	ATF_CHECK_EQ(1, n);
	ATF_CHECK_EQ(1, b);
	ATF_CHECK_STREQ("x", s);
	ATF_CHECK_EQ(-1, call_vunpack(req, "s", &s));
	ATF_CHECK_EQ(EBADMSG, errno);
	gons_reexec_free(req);
}

ATF_TC_WITHOUT_HEAD(unpack_failed_run);
ATF_TC_BODY(unpack_failed_run, tc)
{
	struct gons_reexec *req = saying(TEXT("1\n"), "complain");
	int n = 7;

	ATF_CHECK_EQ(-1, gons_json_unpack(req, "i", &n));
	ATF_CHECK_EQ(EIO, errno);
	ATF_CHECK_EQ(GONS_FAIL_STDERR, gons_reexec_failure(req));
	check_text(req, "no such luck");
	ATF_CHECK_EQ(7, n);
	gons_reexec_free(req);
}

ATF_TC_WITHOUT_HEAD(run_failed);
ATF_TC_BODY(run_failed, tc)
{
	struct gons_reexec *req;

	req = saying(TEXT("1\n"), "fail");
	check_failure(req, GONS_FAIL_EXIT, EIO, "status 3");
	gons_reexec_free(req);
	req = saying(TEXT("1\n"), "die");
	check_failure(req, GONS_FAIL_SIGNAL, EIO, "signal 9");
	gons_reexec_free(req);
	req = saying(TEXT("stray"), "complain");
	check_failure(req, GONS_FAIL_STDERR, EIO, "no such luck");
	gons_reexec_free(req);
	req = saying(TEXT("[1"), "hang");
	ATF_REQUIRE_EQ(0, gons_reexec_settimeout(req, 100));
	check_failure(req, GONS_FAIL_TIMEOUT, ETIMEDOUT, "timed out");
	gons_reexec_free(req);
	req = new_request("nobody");
	check_failure(req, GONS_FAIL_START, ENOENT, "\"nobody\": not reg");
	gons_reexec_free(req);
	req = saying(TEXT("1"), NULL);
	ATF_REQUIRE_EQ(0, gons_reexec_namespace(req, "net", "/no/such"));
	check_failure(req, GONS_FAIL_START, ENOENT, "/no/such");
	gons_reexec_free(req);
}

ATF_TC_WITHOUT_HEAD(run_null);
ATF_TC_BODY(run_null, tc)
{
	struct gons_reexec *req;

	req = saying(TEXT("[1]"), NULL);
	ATF_CHECK_EQ(0, gons_json_run(req, NULL));
	ATF_CHECK_EQ(0, gons_json_result(req, NULL));
	gons_reexec_free(req);
	req = saying(TEXT("[1"), NULL);
	ATF_CHECK_EQ(-1, gons_json_run(req, NULL));
	ATF_CHECK_EQ(EBADMSG, errno);
	ATF_CHECK_EQ(-1, gons_json_result(req, NULL));
	ATF_CHECK_EQ(EBADMSG, errno);
	gons_reexec_free(req);
}

static int
never(void *state, const void *more, size_t len)
{
	(void)more;
	(void)len;
	++*(int *)state;
	return -1;
}

/* The last of the two calls counts. */
ATF_TC_WITHOUT_HEAD(setcomplete);
ATF_TC_BODY(setcomplete, tc)
{
	struct gons_reexec *req = saying(TEXT("[1]"), NULL);
	int calls = 0;

	ATF_REQUIRE_EQ(0, gons_reexec_setcomplete(req, never, &calls));
	check_value(req, "[1]");
	ATF_CHECK_EQ(0, calls);
	ATF_REQUIRE_EQ(0, gons_reexec_setcomplete(req, never, &calls));
	ATF_CHECK_EQ(-1, gons_reexec_run(req));
	ATF_CHECK_EQ(EBADMSG, errno);
	ATF_CHECK_EQ(1, calls);
	ATF_CHECK_EQ(-1, gons_json_result(req, NULL));
	ATF_CHECK_EQ(EBADMSG, errno);
	gons_reexec_free(req);
}

ATF_TC_WITHOUT_HEAD(expect_stays);
ATF_TC_BODY(expect_stays, tc)
{
	struct gons_reexec *req = saying(TEXT("[1]"), "hang");
	json_t *value;
	int i;

	ATF_REQUIRE_EQ(0, gons_json_expect(req));
	for (i = 0; i < 3; i++) {
		ATF_REQUIRE_EQ(0, gons_reexec_run(req));
		ATF_REQUIRE_EQ(0, gons_json_result(req, &value));
		ATF_CHECK_EQ(1, json_array_size(value));
		json_decref(value);
	}
	ATF_REQUIRE_EQ(0, gons_reexec_param(req, TEXT("x")));
	ATF_CHECK_EQ(-1, gons_reexec_run(req));
	ATF_CHECK_EQ(EBADMSG, errno);
	gons_reexec_free(req);
}

ATF_TC_WITHOUT_HEAD(result_too_early);
ATF_TC_BODY(result_too_early, tc)
{
	struct gons_reexec *req = saying(TEXT("[1]"), NULL);
	json_t *value = (json_t *)(intptr_t)1;
	int hold[2], n;

	ATF_CHECK_EQ(-1, gons_json_result(req, &value));
	ATF_CHECK_EQ(EINVAL, errno);
	ATF_CHECK_EQ(NULL, value);
	check_text(req, "it has not been run");

	set_hold(req, hold);
	set_number(req, "CUT", 0);
	ATF_REQUIRE_EQ(0, gons_json_expect(req));
	ATF_REQUIRE_EQ(0, gons_reexec_start(req));
	value = (json_t *)(intptr_t)1;
	ATF_CHECK_EQ(-1, gons_json_result(req, &value));
	ATF_CHECK_EQ(EAGAIN, errno);
	ATF_CHECK_EQ(NULL, value);
	check_text(req, "still running");
	ATF_CHECK_EQ(GONS_FAIL_NONE, gons_reexec_failure(req));
	ATF_CHECK_EQ(-1, gons_json_expect(req));
	ATF_CHECK_EQ(EBUSY, errno);
	ATF_CHECK_EQ(-1, gons_json_run(req, NULL));
	ATF_CHECK_EQ(EBUSY, errno);
	ATF_CHECK_EQ(-1, gons_json_unpack(req, "i", &n));
	ATF_CHECK_EQ(EBUSY, errno);

	ATF_REQUIRE_EQ(1, write(hold[1], "", 1));
	ATF_REQUIRE_EQ(0, gons_reexec_wait(req));
	ATF_CHECK_EQ(NULL, gons_reexec_error(req));
	ATF_REQUIRE_EQ(0, gons_json_result(req, &value));
	json_decref(value);
	gons_reexec_free(req);
	close_hold(hold);
}

ATF_TC_WITHOUT_HEAD(result_of_failed_run);
ATF_TC_BODY(result_of_failed_run, tc)
{
	struct gons_reexec *req = saying(TEXT("[1]"), "fail");
	json_t *value = (json_t *)(intptr_t)1;

	ATF_REQUIRE_EQ(0, gons_json_expect(req));
	ATF_CHECK_EQ(-1, gons_reexec_run(req));
	errno = 0;
	ATF_CHECK_EQ(-1, gons_json_result(req, &value));
	ATF_CHECK_EQ(EIO, errno);
	ATF_CHECK_EQ(NULL, value);
	check_text(req, "status 3");
	gons_reexec_free(req);
}

/* Then the end of file ends the result, and it is decoded when asked for. */
ATF_TC_WITHOUT_HEAD(result_without_expect);
ATF_TC_BODY(result_without_expect, tc)
{
	struct gons_reexec *req;
	json_t *value;

	req = saying(TEXT("{\"a\":1} and more"), NULL);
	ATF_REQUIRE_EQ(0, gons_reexec_run(req));
	ATF_REQUIRE_EQ(0, gons_json_result(req, &value));
	ATF_CHECK_EQ(1, json_object_size(value));
	json_decref(value);
	gons_reexec_free(req);

	req = saying(TEXT("[1"), NULL);
	ATF_REQUIRE_EQ(0, gons_reexec_run(req));
	ATF_CHECK_EQ(-1, gons_json_result(req, &value));
	ATF_CHECK_EQ(EBADMSG, errno);
	ATF_CHECK_EQ(GONS_FAIL_RESULT, gons_reexec_failure(req));
	check_text(req, "the result does not decode: ");
	ATF_CHECK_EQ(-1, gons_json_result(req, NULL));
	ATF_CHECK_EQ(EBADMSG, errno);
	gons_reexec_free(req);

	req = saying(TEXT(""), NULL);
	ATF_REQUIRE_EQ(0, gons_reexec_run(req));
	ATF_CHECK_EQ(-1, gons_json_result(req, NULL));
	check_text(req, "it is empty");
	gons_reexec_free(req);
}

ATF_TC_WITHOUT_HEAD(result_outlives_request);
ATF_TC_BODY(result_outlives_request, tc)
{
	struct gons_reexec *req = saying(TEXT("[\"a\"]"), NULL);
	json_t *one, *two;

	ATF_REQUIRE_EQ(0, gons_json_run(req, &one));
	ATF_REQUIRE_EQ(0, gons_json_result(req, &two));
	gons_reexec_free(req);
	ATF_CHECK(json_equal(one, two));
	json_decref(one);
	ATF_CHECK_STREQ("a", json_string_value(json_array_get(two, 0)));
	json_decref(two);
}

/* Nothing of an earlier run is taken for the result of this one. */
ATF_TC_WITHOUT_HEAD(run_again);
ATF_TC_BODY(run_again, tc)
{
	struct gons_reexec *req = saying(TEXT("[1]"), NULL);

	check_value(req, "[1]");
	ATF_REQUIRE_EQ(0, gons_reexec_param(req, TEXT("\"two\"")));
	check_value(req, "\"two\"");
	ATF_REQUIRE_EQ(0, gons_reexec_param(req, TEXT("[")));
	check_failure(req, GONS_FAIL_RESULT, EBADMSG, "decode");
	ATF_REQUIRE_EQ(0, gons_reexec_param(req, TEXT("3")));
	check_value(req, "3");
	ATF_REQUIRE_EQ(0, gons_reexec_param(req, TEXT("x")));
	ATF_REQUIRE_EQ(0, gons_reexec_setcomplete(req, NULL, NULL));
	ATF_REQUIRE_EQ(0, gons_reexec_run(req));
	ATF_CHECK_EQ(-1, gons_json_result(req, NULL));
	ATF_CHECK_EQ(EBADMSG, errno);
	ATF_REQUIRE_EQ(0, gons_reexec_param(req, TEXT("4")));
	check_value(req, "4");
	ATF_REQUIRE_EQ(0, gons_reexec_namespace(req, "net", "/no/such"));
	check_failure(req, GONS_FAIL_START, ENOENT, "/no/such");
	ATF_CHECK_EQ(-1, gons_json_result(req, NULL));
	ATF_CHECK_EQ(ENOENT, errno);
	gons_reexec_free(req);
}

#define LOOP 20

/* Each of them hangs when it has said its number. */
ATF_TC_WITHOUT_HEAD(poll_loop);
ATF_TC_BODY(poll_loop, tc)
{
	struct gons_reexec *req[LOOP];
	struct pollfd p[LOOP];
	json_t *value;
	char text[32];
	int done = 0, i, len, r;

	for (i = 0; i < LOOP; i++) {
		len = snprintf(text, sizeof(text), "{\"number\": %d}", i);
		req[i] = saying(text, (size_t)len, i % 2 ? "hang" : NULL);
		ATF_REQUIRE_EQ(0, gons_json_expect(req[i]));
		ATF_REQUIRE_EQ(0, gons_reexec_start(req[i]));
		p[i].fd = gons_reexec_fd(req[i]);
		p[i].events = POLLIN;
	}
	while (done < LOOP) {
		ATF_REQUIRE(poll(p, LOOP, -1) > 0);
		for (i = 0; i < LOOP; i++) {
			if (p[i].fd == -1 || p[i].revents == 0)
				continue;
			if ((r = gons_reexec_step(req[i])) == 0)
				continue;
			ATF_REQUIRE_EQ(1, r);
			ATF_REQUIRE_EQ(0, gons_json_result(req[i], &value));
			ATF_CHECK_EQ(i, json_integer_value(
					    json_object_get(value, "number")));
			json_decref(value);
			gons_reexec_free(req[i]);
			p[i].fd = -1;
			done++;
		}
	}
}

static void *
thread(void *arg)
{
	struct gons_reexec *req;
	json_t *param = json_pack("{s:i}", "n", *(int *)arg), *value;
	intptr_t bad = 0;
	int i, n;

	for (i = 0; i < 25; i++) {
		req = gons_reexec_new("echo");
		if (gons_json_param(req, param) == -1 ||
		    gons_json_unpack(req, "{s:i}", "n", &n) == -1 ||
		    n != *(int *)arg || gons_json_result(req, &value) == -1)
			bad++;
		else
			json_decref(value);
		gons_reexec_free(req);
	}
	json_decref(param);
	return (void *)bad;
}

ATF_TC_WITHOUT_HEAD(threads);
ATF_TC_BODY(threads, tc)
{
	pthread_t threads[8];
	void *bad;
	int i, n[8];

	for (i = 0; i < 8; i++) {
		n[i] = i;
		ATF_REQUIRE_EQ(
		    0, pthread_create(&threads[i], NULL, thread, &n[i]));
	}
	for (i = 0; i < 8; i++) {
		ATF_REQUIRE_EQ(0, pthread_join(threads[i], &bad));
		ATF_CHECK_EQ(NULL, bad);
	}
}

ATF_TC_WITHOUT_HEAD(kill_and_free);
ATF_TC_BODY(kill_and_free, tc)
{
	struct gons_reexec *req = saying(TEXT("[1"), "hang");

	ATF_REQUIRE_EQ(0, gons_json_expect(req));
	ATF_REQUIRE_EQ(0, gons_reexec_start(req));
	ATF_REQUIRE_EQ(0, gons_reexec_kill(req));
	ATF_CHECK_EQ(-1, gons_reexec_wait(req));
	ATF_CHECK_EQ(ECANCELED, errno);
	ATF_CHECK_EQ(-1, gons_json_result(req, NULL));
	ATF_CHECK_EQ(ECANCELED, errno);
	ATF_REQUIRE_EQ(0, gons_reexec_start(req));
	gons_reexec_free(req);
	ATF_CHECK_EQ(-1, waitpid(-1, NULL, WNOHANG));
	ATF_CHECK_EQ(ECHILD, errno);
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

/* Numbers too are complete for a child that does not end. */
ATF_TC_WITHOUT_HEAD(output_then_hang);
ATF_TC_BODY(output_then_hang, tc)
{
	struct gons_reexec *req = new_request("echo");
	json_t *param = json_integer(42);

	ATF_REQUIRE_EQ(0, gons_json_param(req, param));
	ATF_REQUIRE_EQ(0, gons_reexec_setenv(req, "END", "hang"));
	check_value(req, "42");
	ATF_REQUIRE_EQ(0, gons_reexec_setflags(req, GONS_REEXEC_REPLY));
	check_value(req, "42");
	json_decref(param);
	gons_reexec_free(req);
}

ATF_TC_WITHOUT_HEAD(param_is_copied);
ATF_TC_BODY(param_is_copied, tc)
{
	struct gons_reexec *req = new_request("echo");
	json_t *param = json_pack("[i]", 1);

	ATF_REQUIRE_EQ(0, gons_json_param(req, param));
	ATF_REQUIRE_EQ(0, json_array_append_new(param, json_integer(2)));
	check_value(req, "[1]");
	ATF_REQUIRE_EQ(0, gons_json_param(req, param));
	check_value(req, "[1,2]");
	check_value(req, "[1,2]");
	ATF_CHECK_EQ(1, param->refcount);
	json_decref(param);
	gons_reexec_free(req);
}

ATF_TC_WITHOUT_HEAD(param_invalid);
ATF_TC_BODY(param_invalid, tc)
{
	struct gons_reexec *req = new_request("echo");
	json_t *param = json_array(), *inner = json_array();

	ATF_REQUIRE_EQ(0, gons_json_param(req, param));
	errno = 0;
	ATF_CHECK_EQ(-1, gons_json_param(req, NULL));
	ATF_CHECK_EQ(EINVAL, errno);
	check_text(req, "the parameter cannot be encoded: it is NULL");

	json_array_append_new(param, json_string_nocheck("\xff"));
	errno = 0;
	ATF_CHECK_EQ(-1, gons_json_param(req, param));
	ATF_CHECK_EQ(EINVAL, errno);
	check_text(req, "the parameter cannot be encoded: ");
	ATF_CHECK_EQ(GONS_FAIL_NONE, gons_reexec_failure(req));
	json_array_clear(param);

	json_array_append(param, inner);
	json_array_append(inner, param);
	errno = 0;
	ATF_CHECK_EQ(-1, gons_json_param(req, param));
	ATF_CHECK_EQ(EINVAL, errno);
	json_array_clear(inner);
	json_decref(inner);
	json_decref(param);

	/* The one that was good before is still set. */
	check_value(req, "[]");
	gons_reexec_free(req);
}

ATF_TC_WITHOUT_HEAD(param_busy);
ATF_TC_BODY(param_busy, tc)
{
	struct gons_reexec *req = saying(TEXT("[1"), "hang");
	json_t *param = json_null();

	ATF_REQUIRE_EQ(0, gons_reexec_start(req));
	errno = 0;
	ATF_CHECK_EQ(-1, gons_json_param(req, param));
	ATF_CHECK_EQ(EBUSY, errno);
	gons_reexec_free(req);
}

ATF_TC_WITHOUT_HEAD(param_large);
ATF_TC_BODY(param_large, tc)
{
	struct gons_reexec *req = new_request("echo");
	json_t *param, *value;
	char *text;

	ATF_REQUIRE((text = malloc(MIB)) != NULL);
	memset(text, 'x', MIB);
	param = json_stringn(text, MIB);
	ATF_REQUIRE_EQ(0, gons_json_param(req, param));
	ATF_REQUIRE_EQ_MSG(
	    0, gons_json_run(req, &value), "%s", gons_reexec_error(req));
	ATF_CHECK(json_equal(param, value));
	json_decref(value);
	gons_reexec_free(req);

	/* Nobody reads it. */
	req = new_request("large");
	set_number(req, "SIZE", 0);
	ATF_REQUIRE_EQ(0, gons_json_param(req, param));
	check_value(req, "\"\"");
	gons_reexec_free(req);
	json_decref(param);
	free(text);
}

static void
check_input(
    const char *what, const char *param, int errnum, const char *expected)
{
	struct gons_reexec *req = new_request("input");
	json_t *value, *want;

	ATF_REQUIRE_EQ(0, gons_reexec_setenv(req, "STDIN", what));
	ATF_REQUIRE_EQ(0, gons_reexec_param(req, param, strlen(param)));
	ATF_REQUIRE_EQ_MSG(0, gons_json_run(req, &value), "%s: %s", param,
	    gons_reexec_error(req));
	ATF_CHECK_EQ_MSG(errnum,
	    json_integer_value(json_object_get(value, "errno")), "%s: %s", what,
	    param);
	want = expected != NULL ? json_loads(expected, JSON_DECODE_ANY, NULL)
				: NULL;
	ATF_CHECK_MSG(expected == NULL
			  ? json_object_get(value, "value") == NULL
			  : json_equal(json_object_get(value, "value"), want),
	    "%s: %s", what, param);
	json_decref(want);
	json_decref(value);
	gons_reexec_free(req);
}

ATF_TC_WITHOUT_HEAD(input);
ATF_TC_BODY(input, tc)
{
	check_input("", " [1]\n", 0, "[1]");
	check_input("", "7", 0, "7");
	check_input("", "", ENODATA, NULL);
	check_input("", " ", EBADMSG, NULL);
	check_input("", "[1", EBADMSG, NULL);
	check_input("", "[1] 2", EBADMSG, NULL);
	check_input("", "{\"a\":1,\"a\":2}", EBADMSG, NULL);
	check_input("", "\"\xff\"", EBADMSG, NULL);
	check_input("begun", "[1]", 0, "[1]");
	check_input("closed", "[1]", EBADF, NULL);
	check_input("directory", "[1]", EISDIR, NULL);
	check_input("pipe", "[1]", 0, "[1,2]");
}

static struct gons_reexec *
outputting(const char *how, unsigned flags)
{
	struct gons_reexec *req = new_request("output");

	ATF_REQUIRE_EQ(0, gons_reexec_setenv(req, "HOW", how));
	ATF_REQUIRE_EQ(0, gons_reexec_setflags(req, flags));
	return req;
}

ATF_TC_WITHOUT_HEAD(output);
ATF_TC_BODY(output, tc)
{
	/* These see to it by themselves that it fails. */
	static const char *const silent[] = { "none", "bad", "closed" };
	struct gons_reexec *req;
	size_t i;

	req = outputting("", 0);
	check_value(req, "42");
	ATF_CHECK_STREQ("42\n", result_of(req));
	gons_reexec_free(req);
	/* In the order of the calls, although that was in a buffer. */
	check_malformed(outputting("after", 0), "decode: ");
	/* The first counts. */
	req = outputting("twice", 0);
	check_value(req, "42");
	gons_reexec_free(req);
	for (i = 0; i < LENGTH(silent); i++) {
		req = outputting(silent[i], 0);
		check_failure(req, GONS_FAIL_RESULT, EBADMSG, "it is empty");
		ATF_CHECK_EQ(0, gons_reexec_status(req));
		gons_reexec_free(req);
	}
}

ATF_TC_WITHOUT_HEAD(output_reply);
ATF_TC_BODY(output_reply, tc)
{
	struct gons_reexec *req;

	req = outputting("", GONS_REEXEC_REPLY);
	check_value(req, "42");
	ATF_CHECK_STREQ("42", result_of(req));
	gons_reexec_free(req);
	req = outputting("after", GONS_REEXEC_REPLY);
	check_failure(req, GONS_FAIL_STDERR, EIO, "not JSON");
	gons_reexec_free(req);
	req = outputting("twice", GONS_REEXEC_REPLY);
	check_failure(req, GONS_FAIL_STDERR, EIO, strerror(EALREADY));
	gons_reexec_free(req);
	req = outputting("none", GONS_REEXEC_REPLY);
	check_failure(req, GONS_FAIL_RESULT, EBADMSG, "without a reply");
	gons_reexec_free(req);
}

/* In a process that is no child it prints. */
ATF_TC_WITHOUT_HEAD(output_elsewhere);
ATF_TC_BODY(output_elsewhere, tc)
{
	json_t *value = json_pack("[i]", 1);
	char text[16] = "";
	int fd[2];
	pid_t pid;

	ATF_REQUIRE_EQ(0, pipe(fd));
	if ((pid = fork()) == 0) {
		if (dup2(fd[1], STDOUT_FILENO) == -1 ||
		    gons_json_output(value) == -1)
			_exit(1);
		_exit(0);
	}
	(void)close(fd[1]);
	ATF_REQUIRE_EQ(4, read(fd[0], text, sizeof(text) - 1));
	ATF_CHECK_STREQ("[1]\n", text);
	(void)waitpid(pid, NULL, 0);
	json_decref(value);
}

/*
 * Memory of jansson is counted, and made scarce.
 */

static long allocated, allowed = -1;

static void *
counting_malloc(size_t size)
{
	void *p;

	if (allowed == 0)
		return NULL;
	if ((p = malloc(size)) != NULL) {
		allocated++;
		if (allowed > 0)
			allowed--;
	}
	return p;
}

static void
counting_free(void *p)
{
	if (p != NULL)
		allocated--;
	free(p);
}

/* One of each kind, with its failures. */
static void
all_kinds(void)
{
	struct gons_reexec *req = new_request("say");
	json_t *param = json_pack("{s:[i, s]}", "a", 1, "b");
	const char *s;
	int n;

	ATF_REQUIRE_EQ(0, gons_json_param(req, param));
	ATF_REQUIRE_EQ(0, gons_json_unpack(req, "{s:[i, s]}", "a", &n, &s));
	ATF_REQUIRE_EQ(-1, gons_json_unpack(req, "{s:i}", "a", &n));
	ATF_REQUIRE_EQ(-1, gons_json_unpack(req, "?"));
	json_decref(param);
	check_value(req, "{\"a\":[1,\"b\"]}");
	ATF_REQUIRE_EQ(-1, gons_json_param(req, NULL));
	ATF_REQUIRE_EQ(0, gons_reexec_param(req, TEXT("{\"a\":[1,")));
	check_failure(req, GONS_FAIL_RESULT, EBADMSG, "decode");
	ATF_REQUIRE_EQ(0, gons_reexec_setcomplete(req, NULL, NULL));
	ATF_REQUIRE_EQ(0, gons_reexec_run(req));
	ATF_REQUIRE_EQ(-1, gons_json_result(req, NULL));
	ATF_REQUIRE_EQ(0, gons_reexec_param(req, TEXT("[[1], 2]")));
	ATF_REQUIRE_EQ(0, gons_json_run(req, NULL));
	ATF_REQUIRE_EQ(0, gons_reexec_start(req));
	gons_reexec_free(req);
}

ATF_TC_WITHOUT_HEAD(nothing_left);
ATF_TC_BODY(nothing_left, tc)
{
	int fds, i;
#if defined(__GLIBC__) && __GLIBC_PREREQ(2, 33)
	size_t used = 0;
#endif

	/* how many files there are to merge differs, and so does what is kept */
	ATF_REQUIRE_EQ(0, setenv("GONS_COVERAGE", "0", 1));
	json_set_alloc_funcs(counting_malloc, counting_free);
	fds = count_fds();
	for (i = 0; i < 40; i++) {
		all_kinds();
		ATF_REQUIRE_EQ_MSG(0, allocated, "%ld", allocated);
#if defined(__GLIBC__) && __GLIBC_PREREQ(2, 33)
		if (i == 4)
			used = mallinfo2().uordblks;
#endif
	}
	ATF_CHECK_EQ(fds, count_fds());
	ATF_CHECK_EQ(-1, waitpid(-1, NULL, WNOHANG));
#if defined(__GLIBC__) && __GLIBC_PREREQ(2, 33)
	/* What malloc(3) keeps for itself is counted, too. */
	ATF_CHECK_MSG(mallinfo2().uordblks < used + 512, "%zu, %zu", used,
	    mallinfo2().uordblks);
#endif
}

ATF_TC_WITHOUT_HEAD(no_memory);
ATF_TC_BODY(no_memory, tc)
{
	struct gons_reexec *req =
	    saying(TEXT("{\"a\":[1,2.5,\"x\"],\"b\":{}}"), NULL);
	json_t *param, *value;
	long n;
	int r;

	json_set_alloc_funcs(counting_malloc, counting_free);
	param = json_pack("[i, {s:s}]", 1, "a", "b");
	for (n = 0, r = -1; r == -1; n++) {
		allowed = n;
		errno = 0;
		value = (json_t *)(intptr_t)1;
		r = gons_json_run(req, &value);
		allowed = -1;
		ATF_REQUIRE(r == 0 || (errno == EBADMSG && value == NULL));
		if (r == -1)
			check_text(req, "does not decode");
	}
	ATF_CHECK(n > 5);
	json_decref(value);
	for (n = 0, r = -1; r == -1; n++) {
		allowed = n;
		errno = 0;
		r = gons_json_param(req, param);
		allowed = -1;
		ATF_REQUIRE(r == 0 || errno == EINVAL || errno == ENOMEM);
	}
	json_decref(param);
	gons_reexec_free(req);
	ATF_CHECK_EQ_MSG(0, allocated, "%ld", allocated);
}

ATF_TC_WITHOUT_HEAD(standard_descriptors_closed);
ATF_TC_BODY(standard_descriptors_closed, tc)
{
	struct gons_reexec *req;
	int r = 1, status;
	pid_t pid;

	if ((pid = fork()) == 0) {
		(void)close(0);
		(void)close(1);
		(void)close(2);
		if ((req = gons_reexec_new("say")) != NULL &&
		    gons_reexec_param(req, TEXT("42\n")) == 0 &&
		    gons_json_unpack(req, "i", &r) == 0)
			_exit(r);
		_exit(1);
	}
	ATF_REQUIRE_EQ(pid, waitpid(pid, &status, 0));
	ATF_CHECK_EQ(42 << 8, status);
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
	ATF_TP_ADD_TC(tp, unpack);
	ATF_TP_ADD_TC(tp, unpack_objects);
	ATF_TP_ADD_TC(tp, unpack_misfit);
	ATF_TP_ADD_TC(tp, unpack_bad_format);
	ATF_TP_ADD_TC(tp, vunpack);
	ATF_TP_ADD_TC(tp, unpack_failed_run);
	ATF_TP_ADD_TC(tp, run_failed);
	ATF_TP_ADD_TC(tp, run_null);
	ATF_TP_ADD_TC(tp, setcomplete);
	ATF_TP_ADD_TC(tp, expect_stays);
	ATF_TP_ADD_TC(tp, result_too_early);
	ATF_TP_ADD_TC(tp, result_of_failed_run);
	ATF_TP_ADD_TC(tp, result_without_expect);
	ATF_TP_ADD_TC(tp, result_outlives_request);
	ATF_TP_ADD_TC(tp, run_again);
	ATF_TP_ADD_TC(tp, poll_loop);
	ATF_TP_ADD_TC(tp, threads);
	ATF_TP_ADD_TC(tp, kill_and_free);
	ATF_TP_ADD_TC(tp, round_trip);
	ATF_TP_ADD_TC(tp, output_then_hang);
	ATF_TP_ADD_TC(tp, param_is_copied);
	ATF_TP_ADD_TC(tp, param_invalid);
	ATF_TP_ADD_TC(tp, param_busy);
	ATF_TP_ADD_TC(tp, param_large);
	ATF_TP_ADD_TC(tp, input);
	ATF_TP_ADD_TC(tp, output);
	ATF_TP_ADD_TC(tp, output_reply);
	ATF_TP_ADD_TC(tp, output_elsewhere);
	ATF_TP_ADD_TC(tp, nothing_left);
	ATF_TP_ADD_TC(tp, no_memory);
	ATF_TP_ADD_TC(tp, standard_descriptors_closed);
	return atf_no_error();
}
