/*
 * SPDX-License-Identifier: BSD-2-Clause
 *
 * Copyright (c) 2026 The libgons developers
 *
 * gons_json(3), "The result": gons_json_run(), gons_json_unpack(),
 * gons_json_expect() and gons_json_result().
 */

#include <errno.h>
#include <stdint.h>
#include <stdlib.h>
#include <unistd.h>

#include <atf-c.h>
#include <gons_json.h>

#include "json_end.h"
#include "jsons.h"

/*
 * Requests.
 */

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

ATF_TP_ADD_TCS(tp)
{
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
	return atf_no_error();
}
