/*
 * SPDX-License-Identifier: BSD-2-Clause
 *
 * Copyright (c) 2026 The libgons developers
 *
 * gons_json(3), "In the host program": many requests at a time, threads,
 * memory and descriptors.
 */

#include <sys/wait.h>

#include <errno.h>
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

#include "helpers.h"
#include "json_end.h"
#include "jsons.h"

/*
 * Requests.
 */

ATF_TC(multi);
ATF_TC_HEAD(multi, tc)
{
	atf_tc_set_md_var(
	    tc, "descr", "gons_json_expect and gons_json_result with a multi");
}
ATF_TC_BODY(multi, tc)
{
	struct gons_multi *multi = gons_multi_new(2);
	struct gons_reexec *req;
	json_t *value;
	int bad = 0, good = 0, i;

	ATF_REQUIRE(multi != NULL);
	for (i = 0; i < 6; i++) {
		req = i == 3 ? saying(TEXT("x"), NULL)
			     : saying(TEXT("[1]"), NULL);
		ATF_REQUIRE_EQ(0, gons_json_expect(req));
		ATF_REQUIRE_EQ(0, gons_multi_add(multi, req));
		ATF_CHECK_EQ(-1, gons_json_expect(req));
		ATF_CHECK_EQ(EBUSY, errno);
	}
	while ((req = gons_multi_next(multi, -1)) != NULL) {
		if (gons_json_result(req, &value) == 0) {
			ATF_CHECK_EQ(1, json_array_size(value));
			json_decref(value);
			good++;
		} else {
			ATF_CHECK_EQ(EBADMSG, errno);
			bad++;
		}
		gons_reexec_free(req);
	}
	ATF_CHECK_EQ(5, good);
	ATF_CHECK_EQ(1, bad);
	gons_multi_free(multi);
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

/*
 * Memory of jansson is counted, and made scarce.
 */

static long allocated, allowed = -1;

static void *
counting_malloc(size_t size)
{
	void *p;

	if (allowed == 0) {
		errno = ENOMEM;
		return NULL;
	}
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

/*
 * So many calls on of these functions, where the library calls them, one finds
 * none: 1 is the next.
 */
static _Thread_local int next_fails;

static int
fails(void)
{
	if (next_fails == 0 || --next_fails > 0)
		return 0;
	errno = ENOMEM;
	return 1;
}

void *__real_calloc(size_t, size_t);
void *__wrap_calloc(size_t, size_t);
void *
__wrap_calloc(size_t n, size_t size)
{
	return fails() ? NULL : __real_calloc(n, size);
}

void *__real_realloc(void *, size_t);
void *__wrap_realloc(void *, size_t);
void *
__wrap_realloc(void *p, size_t size)
{
	return fails() ? NULL : __real_realloc(p, size);
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
	size_t used = 0;

	/* how many files there are to merge differs, and so does what is kept */
	ATF_REQUIRE_EQ(0, setenv("GONS_COVERAGE", "0", 1));
	json_set_alloc_funcs(counting_malloc, counting_free);
	fds = count_fds();
	for (i = 0; i < 40; i++) {
		all_kinds();
		ATF_REQUIRE_EQ_MSG(0, allocated, "%ld", allocated);
		if (i == 4)
			used = memory_used();
	}
	ATF_CHECK_EQ(fds, count_fds());
	ATF_CHECK_EQ(-1, waitpid(-1, NULL, WNOHANG));
	/* What malloc(3) keeps for itself is counted, too. */
	ATF_CHECK_MSG(
	    memory_used() < used + 512, "%zu, %zu", used, memory_used());
}

/* The run has gone well, and its result can be asked for again. */
static void
check_no_memory(struct gons_reexec *req, json_t *none, const char *expected)
{
	json_t *value, *want;

	ATF_CHECK_EQ(ENOMEM, errno);
	want = json_loads(expected, 0, NULL);
	ATF_CHECK_EQ(NULL, none);
	ATF_CHECK_EQ(GONS_FAIL_NONE, gons_reexec_failure(req));
	check_text(req, strerror(ENOMEM));
	ATF_REQUIRE_EQ(0, gons_json_result(req, &value));
	ATF_CHECK(json_equal(value, want));
	json_decref(want);
	json_decref(value);
}

ATF_TC_WITHOUT_HEAD(no_memory);
ATF_TC_BODY(no_memory, tc)
{
	static const char text[] = "{\"a\":[1,2.5,\"x\"],\"b\":{}}";
	struct gons_reexec *req = saying(TEXT(text), NULL);
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
		if (r == -1)
			check_no_memory(req, value, text);
	}
	ATF_CHECK(n > 5);
	json_decref(value);
	for (n = 0, r = -1; r == -1; n++) {
		allowed = n;
		errno = 0;
		r = gons_json_param(req, param);
		allowed = -1;
		ATF_REQUIRE(r == 0 || errno == ENOMEM);
		if (r == -1)
			check_text(req, strerror(ENOMEM));
	}
	json_decref(param);
	/* What is no JSON is told as such, if that can be known. */
	ATF_REQUIRE_EQ(0, gons_reexec_param(req, TEXT("[1, x")));
	for (n = 0; n < 5; n++) {
		allowed = n;
		r = gons_json_run(req, NULL);
		allowed = -1;
		ATF_REQUIRE_EQ(-1, r);
		ATF_CHECK_EQ(EBADMSG, errno);
		ATF_CHECK_EQ(GONS_FAIL_RESULT, gons_reexec_failure(req));
		check_text(req, "does not decode: ");
	}
	/* A truncated one is known when there is memory again. */
	ATF_REQUIRE_EQ(0, gons_reexec_param(req, TEXT("[1")));
	allowed = 0;
	r = gons_json_run(req, NULL);
	allowed = -1;
	ATF_REQUIRE_EQ(-1, r);
	ATF_CHECK_EQ(ENOMEM, errno);
	ATF_CHECK_EQ(-1, gons_json_result(req, NULL));
	ATF_CHECK_EQ(EBADMSG, errno);
	ATF_CHECK_EQ(GONS_FAIL_RESULT, gons_reexec_failure(req));
	gons_reexec_free(req);
	ATF_CHECK_EQ_MSG(0, allocated, "%ld", allocated);
}

/* None for what is not jansson's: it fails, and the next call does not. */
ATF_TC_WITHOUT_HEAD(no_memory_of_its_own);
ATF_TC_BODY(no_memory_of_its_own, tc)
{
	struct gons_reexec *req = saying(TEXT("[1, 2]"), NULL);
	json_t *value = (json_t *)(intptr_t)1;

	ATF_REQUIRE_EQ(0, gons_reexec_run(req));
	next_fails = 1;
	ATF_CHECK_EQ(-1, gons_json_result(req, &value));
	ATF_CHECK_EQ(ENOMEM, errno);
	ATF_CHECK_EQ(0, next_fails);
	ATF_CHECK_EQ(NULL, value);
	ATF_CHECK_EQ(GONS_FAIL_NONE, gons_reexec_failure(req));
	check_text(req, strerror(ENOMEM));
	ATF_REQUIRE_EQ(0, gons_json_result(req, &value));
	ATF_CHECK_EQ(2, json_array_size(value));
	next_fails = 1;
	ATF_CHECK_EQ(-1, gons_json_param(req, value));
	ATF_CHECK_EQ(ENOMEM, errno);
	ATF_CHECK_EQ(0, next_fails);
	check_text(req, "the parameter cannot be encoded: ");
	check_text(req, strerror(ENOMEM));
	ATF_REQUIRE_EQ(0, gons_json_param(req, value));
	json_decref(value);
	check_value(req, "[1, 2]");
	gons_reexec_free(req);
}

/*
 * Wherever it is that there is none: the run fails, but never because of its
 * result; or it goes well, and the child, which waits, is not waited for.
 */
ATF_TC_WITHOUT_HEAD(no_memory_in_the_run);
ATF_TC_BODY(no_memory_in_the_run, tc)
{
	struct gons_reexec *req = saying(TEXT("[1, 2]"), "hang");
	json_t *value;
	int left = 0, n, r;

	ATF_REQUIRE_EQ(0, gons_reexec_setgrace(req, 0));
	for (n = 1; left == 0; n++) {
		next_fails = n;
		value = (json_t *)(intptr_t)1;
		r = gons_json_run(req, &value);
		left = next_fails;
		next_fails = 0;
		ATF_REQUIRE_MSG(r == 0 || errno != EBADMSG, "%d: %s", n,
		    gons_reexec_error(req));
		if (r == 0)
			ATF_CHECK_EQ(2, json_array_size(value));
		json_decref(value);
	}
	ATF_CHECK_MSG(n > 3, "%d", n);
	gons_reexec_free(req);
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
	ATF_TP_ADD_TC(tp, multi);
	ATF_TP_ADD_TC(tp, poll_loop);
	ATF_TP_ADD_TC(tp, threads);
	ATF_TP_ADD_TC(tp, kill_and_free);
	ATF_TP_ADD_TC(tp, nothing_left);
	ATF_TP_ADD_TC(tp, no_memory);
	ATF_TP_ADD_TC(tp, no_memory_of_its_own);
	ATF_TP_ADD_TC(tp, no_memory_in_the_run);
	ATF_TP_ADD_TC(tp, standard_descriptors_closed);
	return atf_no_error();
}
