/*
 * SPDX-License-Identifier: BSD-2-Clause
 *
 * Copyright (c) 2026 The libgons developers
 *
 * gons_reexec(3), "The result": printed or sent with gons_reexec_reply(),
 * large, cut short or without end.
 */

#include <sys/time.h>

#include <atf-c.h>

#include <errno.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <gons.h>

#include "helpers.h"
#include "rx.h"
#include "rx_actions.h"

#define HUGE_REPLY (48 * MIB)

/*
 * The actions.
 */

static int
big(void)
{
	size_t size = wanted_size();
	char *buf = pattern(size);
	int ok = fwrite(buf, 1, size, stdout) == size;

	free(buf);
	return ok ? 0 : 1;
}

static int
big_reply(void)
{
	size_t size = wanted_size();
	char *buf = pattern(size);
	int r = gons_reexec_reply(buf, size);

	free(buf);
	return r == 0 ? 0 : 1;
}

static void
handler(int signo)
{
	(void)signo;
}

/* Signals cut what is sent into pieces. */
static int
cut_reply(void)
{
	static const struct itimerval often = { { 0, 2000 }, { 0, 2000 } };
	struct sigaction action;

	memset(&action, 0, sizeof(action));
	action.sa_handler = handler;
	(void)sigaction(SIGALRM, &action, NULL);
	(void)setitimer(ITIMER_REAL, &often, NULL);
	return big_reply();
}

/* Gets the signal that comes through one pipe, while it is sending. */
static int
half_reply(void)
{
	pid_t pid = getpid();
	int signo;

	if (fork() == 0) {
		if ((signo = rx_byte(rx_kept("SIGNAL"))) > 0)
			(void)kill(pid, signo);
		(void)close(rx_kept("SENT"));
		_exit(0);
	}
	(void)close(rx_kept("SENT"));
	return big_reply();
}

static int
reply_twice(void)
{
	char text[32];
	int first = gons_reexec_reply("once", 4);
	int second = gons_reexec_reply("again", 5), errnum = errno;

	(void)snprintf(text, sizeof(text), "%d", first);
	return first == 0 && second == -1 && errnum == EALREADY ? 0 : 1;
}

static int
reply_unasked(void)
{
	return gons_reexec_reply("x", 1) == -1 && errno == EPERM ? 0 : 1;
}

static const struct rx_action actions[] = {
	{ "big", big },
	{ "big_reply", big_reply },
	{ "cut_reply", cut_reply },
	{ "half_reply", half_reply },
	{ "reply_twice", reply_twice },
	{ "reply_unasked", reply_unasked },
};

__attribute__((constructor)) static void
register_and_check(void)
{
	rx_register(actions, NELEM(actions));
	gons_reexec_check();
}

/*
 * What comes back.
 */

static void
large_results(void)
{
	static const size_t sizes[] = { 1, 4094, 4095, 4096, 4097, 65535, 65536,
		65537, 8 * MIB };
	static const struct {
		const char *action;
		unsigned flags;
	} ways[] = { { "big", 0 }, { "big_reply", GONS_REEXEC_REPLY } };
	struct gons_reexec *req;
	char *buf = pattern(8 * MIB);
	size_t i, len, way;

	for (way = 0; way < NELEM(ways); way++) {
		req = rx_new(ways[way].action);
		rx_flags(req, ways[way].flags);
		for (i = 0; i < NELEM(sizes); i++) {
			set_size(req, sizes[i]);
			ATF_REQUIRE_EQ(
			    0, gons_reexec_setmaxresult(req, sizes[i]));
			(void)rx_ok(req);
			ATF_CHECK(memcmp(buf, gons_reexec_result(req, &len),
				      sizes[i]) == 0);
			ATF_CHECK_EQ(sizes[i], len);
			ATF_REQUIRE_EQ(
			    0, gons_reexec_setmaxresult(req, sizes[i] - 1));
			rx_fails(req, GONS_FAIL_SIZE, EMSGSIZE, "bytes");
			(void)gons_reexec_result(req, &len);
			if (way == 0)
				ATF_CHECK_EQ(sizes[i] - 1, len);
		}
		gons_reexec_free(req);
	}
	free(buf);
}

static void
endless_stdout(void)
{
	struct gons_reexec *req = rx_script("endless 1");
	size_t len;

	ATF_REQUIRE_EQ(0, gons_reexec_setmaxresult(req, 3 * MIB));
	rx_fails(req, GONS_FAIL_SIZE, EMSGSIZE, "script|3145728");
	(void)gons_reexec_result(req, &len);
	ATF_CHECK_EQ(3 * MIB, len);
	ATF_CHECK_EQ(SIGKILL, gons_reexec_status(req) & 0x7f);
	gons_reexec_free(req);
}

/*
 * GONS_REEXEC_REPLY.
 */

static struct gons_reexec *
replying(const char *lines)
{
	struct gons_reexec *req = rx_script(lines);

	rx_flags(req, GONS_REEXEC_REPLY);
	return req;
}

static void
reply(void)
{
	struct gons_reexec *req = replying("reply the result");

	ATF_CHECK_STREQ("the result", rx_ok(req));
	ATF_REQUIRE_EQ(0, gons_reexec_setenv(req, "SCRIPT", "reply "));
	ATF_CHECK_STREQ("", rx_ok(req));
	ATF_REQUIRE_EQ(0,
	    gons_reexec_setenv(req, "SCRIPT", "out noise\nreply the result"));
	rx_fails(req, GONS_FAIL_STDERR, EIO, "noise");
	ATF_CHECK_STREQ("the result", rx_result(req));
	ATF_REQUIRE_EQ(0, gons_reexec_setenv(req, "SCRIPT", "return 0"));
	rx_fails(req, GONS_FAIL_RESULT, EBADMSG, "script|without a reply");
	ATF_CHECK_STREQ("", rx_result(req));
	gons_reexec_free(req);

	req = rx_new("reply_twice");
	rx_flags(req, GONS_REEXEC_REPLY);
	ATF_CHECK_STREQ("once", rx_ok(req));
	gons_reexec_free(req);
	req = rx_new("reply_unasked");
	ATF_CHECK_STREQ("", rx_ok(req));
	gons_reexec_free(req);
	ATF_CHECK_ERRNO(EPERM, gons_reexec_reply("x", 1) == -1);
}

static void
reply_then_hang(void)
{
	struct gons_reexec *req = replying("reply the result\npause");

	ATF_REQUIRE_EQ(0, gons_reexec_setgrace(req, 100));
	ATF_CHECK_STREQ("the result", rx_ok(req));
	gons_reexec_free(req);
	req = replying("reply the result\nfork 12");
	ATF_REQUIRE_EQ(0, gons_reexec_setgrace(req, 100));
	ATF_REQUIRE_EQ(0, gons_reexec_setenv(req, "LIFE", "-1"));
	ATF_CHECK_STREQ("the result", rx_ok(req));
	gons_reexec_free(req);
}

/*
 * A reply that is sent in part when the child gets the signal: more than can
 * be on its way at one time, so who reads a little has not read all.
 */
static struct gons_reexec *
reply_in_part(int signo)
{
	struct gons_reexec *req = rx_new("half_reply");
	struct pollfd p;
	char c = (char)signo;
	int order[2], sent[2];
	size_t len;

	rx_flags(req, GONS_REEXEC_REPLY);
	rx_pipe(order);
	rx_pipe(sent);
	rx_keep(req, "SIGNAL", order[0]);
	rx_keep(req, "SENT", sent[1]);
	set_size(req, HUGE_REPLY);
	ATF_REQUIRE_EQ(0, gons_reexec_start(req));
	close(sent[1]);
	p.fd = gons_reexec_fd(req);
	p.events = POLLIN;
	do {
		ATF_REQUIRE_EQ(1, poll(&p, 1, -1));
		ATF_REQUIRE_EQ(0, gons_reexec_step(req));
		(void)gons_reexec_result(req, &len);
	} while (len == 0);
	ATF_REQUIRE_EQ(1, write(order[1], &c, 1));
	ATF_REQUIRE_EQ(-1, rx_byte(sent[0]));
	close(order[0]);
	close(order[1]);
	close(sent[0]);
	return req;
}

/* What is there is readable, and not enough. */
static void
reply_cut(void)
{
	struct gons_reexec *req = rx_new("cut_reply");
	char *buf = pattern(HUGE_REPLY);
	size_t len;

	rx_flags(req, GONS_REEXEC_REPLY);
	set_size(req, HUGE_REPLY);
	(void)rx_ok(req);
	(void)gons_reexec_result(req, &len);
	ATF_REQUIRE_EQ(HUGE_REPLY, len);
	ATF_CHECK_EQ(0, memcmp(buf, rx_result(req), len));
	gons_reexec_free(req);
	free(buf);
}

static void
reply_killed(void)
{
	struct gons_reexec *req = reply_in_part(SIGTERM);
	char *buf = pattern(HUGE_REPLY);
	size_t len;

	rx_wait_fails(
	    req, GONS_FAIL_SIGNAL, EIO, "half_reply|killed by signal 15");
	(void)gons_reexec_result(req, &len);
	ATF_CHECK(len > 0 && len < HUGE_REPLY);
	ATF_CHECK_EQ(0, memcmp(buf, gons_reexec_result(req, NULL), len));
	ATF_CHECK_EQ(SIGTERM, gons_reexec_status(req));
	gons_reexec_free(req);
	free(buf);
}

/*
 * Running requests.
 */

/* A reply of which the rest does not come. */
static void
step_in_reply(void)
{
	struct gons_reexec *req = reply_in_part(SIGSTOP);
	struct pollfd p;
	size_t len, last;

	p.fd = gons_reexec_fd(req);
	p.events = POLLIN;
	(void)gons_reexec_result(req, &len);
	do {
		last = len;
		(void)poll(&p, 1, 100);
		ATF_REQUIRE_EQ(0, gons_reexec_step(req));
		(void)gons_reexec_result(req, &len);
	} while (len != last);
	ATF_CHECK(len < HUGE_REPLY);
	gons_reexec_free(req);
}

static const struct rx_case cases[] = {
	{ "large_results", large_results, 0,
	    "a result may be as large as the limit, no larger" },
	{ "endless_stdout", endless_stdout, 0,
	    "a result without end is cut off" },
	{ "reply", reply, 0, "gons_reexec_reply() sends a result" },
	{ "reply_then_hang", reply_then_hang, 0,
	    "a child that does not end has replied all the same" },
	{ "reply_cut", reply_cut, 0, "signals do not cut a reply" },
	{ "reply_killed", reply_killed, 0, "a part of a reply is a failure" },
	{ "step_in_reply", step_in_reply, 0,
	    "gons_reexec_step() does not block in a reply" },
};

ATF_TP_ADD_TCS(tp)
{
	return rx_cases(tp, cases, NELEM(cases));
}
