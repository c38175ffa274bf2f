/*
 * SPDX-License-Identifier: BSD-2-Clause
 *
 * Copyright (c) 2026 The libgons developers
 *
 * gons_json(3), "In the child": parameters on their way in, gons_json_input()
 * and gons_json_output().
 */

#include <sys/wait.h>

#include <errno.h>
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

ATF_TC_WITHOUT_HEAD(input_no_memory);
ATF_TC_BODY(input_no_memory, tc)
{
	static const char param[] = "{\"a\":[1,2.5,\"x\"],\"b\":{}}";
	struct gons_reexec *req = new_request("input");
	int n = 0;

	ATF_REQUIRE_EQ(0, gons_reexec_setenv(req, "STDIN", "scarce"));
	ATF_REQUIRE_EQ(0, gons_reexec_param(req, TEXT(param)));
	ATF_REQUIRE_EQ_MSG(
	    0, gons_json_unpack(req, "i", &n), "%s", gons_reexec_error(req));
	ATF_CHECK_MSG(n > 5, "%d", n);
	gons_reexec_free(req);
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
 * Children that stay.
 */

static struct gons_reexec *
staying(unsigned flags)
{
	struct gons_reexec *req = new_request("count");

	ATF_REQUIRE_EQ(0, gons_reexec_setflags(req, GONS_REEXEC_STAY | flags));
	ATF_REQUIRE_EQ(0, gons_reexec_setgrace(req, 10000));
	return req;
}

static void
set_param(struct gons_reexec *req, json_t *param)
{
	ATF_REQUIRE_EQ(0, gons_json_param(req, param));
	json_decref(param);
}

/* It is asked this for the nth time; its process. */
static json_int_t
check_counted(struct gons_reexec *req, json_t *value, int param, int n)
{
	json_int_t pid = json_integer_value(json_object_get(value, "pid"));

	ATF_CHECK_EQ(
	    param, json_integer_value(json_object_get(value, "param")));
	ATF_CHECK_EQ_MSG(n, json_integer_value(json_object_get(value, "calls")),
	    "%s", result_of(req));
	json_decref(value);
	return pid;
}

static json_int_t
counts(struct gons_reexec *req, int param, int n)
{
	json_t *value;

	set_param(req, json_integer(param));
	ATF_REQUIRE_EQ_MSG(
	    0, gons_json_run(req, &value), "%s", gons_reexec_error(req));
	return check_counted(req, value, param, n);
}

ATF_TC_WITHOUT_HEAD(staying_child);
ATF_TC_BODY(staying_child, tc)
{
	static const unsigned flags[] = { 0, GONS_REEXEC_REPLY,
		GONS_REEXEC_DIE_WITH_PARENT };
	struct gons_reexec *req;
	json_int_t pid;
	json_t *value;
	size_t i;
	int n;

	for (i = 0; i < LENGTH(flags); i++) {
		req = staying(flags[i]);
		pid = counts(req, 71, 1);
		for (n = 2; n < 6; n++)
			ATF_CHECK_EQ(pid, counts(req, 70 + n, n));
		/* as programs with a loop of their own do */
		set_param(req, json_integer(80));
		ATF_REQUIRE_EQ(0, gons_json_expect(req));
		ATF_REQUIRE_EQ(0, gons_reexec_start(req));
		ATF_REQUIRE_EQ(0, gons_reexec_wait(req));
		ATF_REQUIRE_EQ(0, gons_json_result(req, &value));
		ATF_CHECK_EQ(pid, check_counted(req, value, 80, 6));
		ATF_CHECK_EQ(pid, counts(req, 81, 7));
		gons_reexec_free(req);
	}
}

/* One whose result is not what it should be is not asked again. */
ATF_TC_WITHOUT_HEAD(staying_failures);
ATF_TC_BODY(staying_failures, tc)
{
	struct gons_reexec *req = staying(0);
	json_int_t pid = counts(req, 1, 1), next;
	json_t *value;
	int number;

	set_param(req, json_string("[1 2]"));
	check_failure(req, GONS_FAIL_RESULT, EBADMSG, "decode: ");
	ATF_CHECK((next = counts(req, 2, 1)) != pid);
	pid = next;
	/* found out when it is asked for */
	ATF_REQUIRE_EQ(0, gons_reexec_setcomplete(req, NULL, NULL));
	set_param(req, json_string("[1 2]"));
	ATF_REQUIRE_EQ(0, gons_reexec_run(req));
	ATF_CHECK_EQ(-1, gons_json_result(req, &value));
	ATF_CHECK_EQ(EBADMSG, errno);
	ATF_CHECK((next = counts(req, 3, 1)) != pid);
	pid = next;
	/* another type than is expected */
	set_param(req, json_string("[1]"));
	ATF_CHECK_EQ(-1, gons_json_unpack(req, "i", &number));
	ATF_CHECK_EQ(EBADMSG, errno);
	ATF_CHECK(counts(req, 4, 1) != pid);
	gons_reexec_free(req);
}

/* The value is complete, but the action does not return. */
ATF_TC_WITHOUT_HEAD(staying_hang);
ATF_TC_BODY(staying_hang, tc)
{
	struct gons_reexec *req = staying(0);
	json_int_t pid;

	ATF_REQUIRE_EQ(0, gons_reexec_setgrace(req, 50));
	ATF_REQUIRE_EQ(0, gons_reexec_setenv(req, "END", "hang"));
	pid = counts(req, 1, 1);
	ATF_CHECK(counts(req, 2, 1) != pid);
	gons_reexec_free(req);
}

ATF_TP_ADD_TCS(tp)
{
	ATF_TP_ADD_TC(tp, output_then_hang);
	ATF_TP_ADD_TC(tp, param_is_copied);
	ATF_TP_ADD_TC(tp, param_invalid);
	ATF_TP_ADD_TC(tp, param_busy);
	ATF_TP_ADD_TC(tp, param_large);
	ATF_TP_ADD_TC(tp, input);
	ATF_TP_ADD_TC(tp, input_no_memory);
	ATF_TP_ADD_TC(tp, output);
	ATF_TP_ADD_TC(tp, output_reply);
	ATF_TP_ADD_TC(tp, output_elsewhere);
	ATF_TP_ADD_TC(tp, staying_child);
	ATF_TP_ADD_TC(tp, staying_failures);
	ATF_TP_ADD_TC(tp, staying_hang);
	return atf_no_error();
}
