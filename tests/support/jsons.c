/*
 * SPDX-License-Identifier: BSD-2-Clause
 *
 * Copyright (c) 2026 The libgons developers
 *
 * See jsons.h.
 */

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <atf-c.h>
#include <gons_json.h>

#include "json_end.h"
#include "jsons.h"

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

/* So many times there is memory. */
static int left;

static void *
scarce(size_t size)
{
	if (left > 0) {
		left--;
		return malloc(size);
	}
	errno = ENOMEM;
	return NULL;
}

/* How often gons_json_input() fails, until there is memory enough. */
static int
input_scarce(void)
{
	json_t *value = NULL;
	int enough;

	json_set_alloc_funcs(scarce, free);
	for (enough = 0; value == NULL; enough++) {
		left = enough;
		errno = 0;
		if ((value = gons_json_input()) == NULL && errno != ENOMEM)
			complain("gons_json_input");
	}
	json_decref(value);
	printf("%d\n", enough);
	return 0;
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
	if (strcmp(what, "scarce") == 0)
		return input_scarce();
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

/* Which process, how often, and the parameter; a string is printed as it is. */
static int
count(void)
{
	static int calls;
	json_t *param = gons_json_input(), *result;

	calls++;
	if (json_is_string(param)) {
		(void)printf("%s", json_string_value(param));
		json_decref(param);
		return end();
	}
	result = json_pack("{s:i, s:i, s:o}", "pid", (int)getpid(), "calls",
	    calls, "param", param);
	if (gons_json_output(result) == -1)
		complain("gons_json_output");
	json_decref(result);
	return end();
}

static const struct {
	const char *name;
	int (*function)(void);
} actions[] = { { "say", say }, { "large", large }, { "echo", echo },
	{ "input", input }, { "output", output }, { "count", count } };

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

struct gons_reexec *
new_request(const char *action)
{
	struct gons_reexec *req;

	ATF_REQUIRE((req = gons_reexec_new(action)) != NULL);
	ATF_REQUIRE_EQ(0, gons_reexec_setgrace(req, 50));
	return req;
}

struct gons_reexec *
saying(const char *text, size_t len, const char *how)
{
	struct gons_reexec *req = new_request("say");

	ATF_REQUIRE_EQ(0, gons_reexec_param(req, text, len));
	ATF_REQUIRE_EQ(0, gons_reexec_setenv(req, "END", how));
	/* Any other child ends by itself, however busy the machine is. */
	if (how == NULL || strcmp(how, "hang") != 0)
		ATF_REQUIRE_EQ(0, gons_reexec_setgrace(req, 60000));
	return req;
}

void
set_number(struct gons_reexec *req, const char *name, int value)
{
	char text[16];

	(void)snprintf(text, sizeof(text), "%d", value);
	ATF_REQUIRE_EQ(0, gons_reexec_setenv(req, name, text));
}

void
set_hold(struct gons_reexec *req, int fd[2])
{
	ATF_REQUIRE_EQ(0, pipe2(fd, O_CLOEXEC));
	ATF_REQUIRE_EQ(0, gons_reexec_keepfd(req, fd[0]));
	set_number(req, "HOLD", fd[0]);
}

void
close_hold(int fd[2])
{
	(void)close(fd[0]);
	(void)close(fd[1]);
}

void
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

void
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

void
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

void
check_malformed(struct gons_reexec *req, const char *what)
{
	check_failure(req, GONS_FAIL_RESULT, EBADMSG, what);
	gons_reexec_free(req);
}

const char *
result_of(const struct gons_reexec *req)
{
	return gons_reexec_result(req, NULL);
}
