/*
 * SPDX-License-Identifier: BSD-2-Clause
 *
 * Copyright (c) 2026 The libgons developers
 *
 * Many requests, ten at a time: by gons_multi(3), and by a poll loop that is
 * written by hand; and what a descriptor costs in a reply.
 */

#include <err.h>
#include <poll.h>
#include <string.h>
#include <unistd.h>

#include <gons.h>

#include "bench.h"

#define MANY 60
#define AT_ONCE 10
#define SECONDS 20 /* for each group */

static int
nothing(void)
{
	return 0;
}

static int
reply(void)
{
	return gons_reexec_reply("", 1) == -1;
}

static int
reply_fd(void)
{
	return gons_reexec_replyfd(STDIN_FILENO) == -1 || reply() != 0;
}

static struct gons_reexec *req[MANY];

static int
by_multi(void *arg)
{
	struct gons_multi *multi = gons_multi_new(AT_ONCE);
	struct gons_reexec *done;
	int i, failed = 0;

	(void)arg;
	if (multi == NULL)
		return -1;
	for (i = 0; i < MANY; i++)
		if (gons_multi_add(multi, req[i]) == -1)
			return -1;
	while ((done = gons_multi_next(multi, -1)) != NULL)
		failed |= gons_reexec_failure(done) != GONS_FAIL_NONE;
	gons_multi_free(multi);
	return failed;
}

static int
by_hand(void *arg)
{
	struct pollfd p[AT_ONCE];
	int i, left = MANY, next = 0, of[AT_ONCE], r;

	(void)arg;
	for (i = 0; i < AT_ONCE; i++)
		p[i].fd = -1;
	while (left > 0) {
		for (i = 0; i < AT_ONCE; i++) {
			if (p[i].fd != -1 || next == MANY)
				continue;
			if (gons_reexec_start(req[next]) == -1)
				return -1;
			p[i].fd = gons_reexec_fd(req[next]);
			p[i].events = POLLIN;
			of[i] = next++;
		}
		if (poll(p, AT_ONCE, -1) == -1)
			return -1;
		for (i = 0; i < AT_ONCE; i++) {
			if (p[i].fd == -1 || p[i].revents == 0 ||
			    (r = gons_reexec_step(req[of[i]])) == 0)
				continue;
			if (r == -1)
				return -1;
			p[i].fd = -1;
			left--;
		}
	}
	return 0;
}

struct replies {
	const char *action;
	unsigned flags;
	unsigned nfds;
};

static int
run_reply(void *arg)
{
	const struct replies *what = arg;
	struct gons_reexec *one = gons_reexec_new(what->action);
	int fd = -1, r;

	if (one == NULL || gons_reexec_setmaxfds(one, what->nfds) == -1 ||
	    gons_reexec_setflags(one, GONS_REEXEC_REPLY | what->flags) == -1)
		return -1;
	r = gons_reexec_run(one);
	if (r == 0 && what->nfds > 0 &&
	    ((fd = gons_reexec_takefd(one, 0)) == -1 || close(fd) == -1))
		r = -1;
	gons_reexec_free(one);
	return r;
}

static void
compare_multi(const char *title, unsigned flags)
{
	struct contender c[] = {
		{ .name = "poll loop by hand", .once = by_hand, .runs = MANY },
		{ .name = "gons_multi",
		    .once = by_multi,
		    .runs = MANY,
		    .goal = 1.03 },
	};
	int i;

	for (i = 0; i < MANY; i++)
		if ((req[i] = gons_reexec_new("nothing")) == NULL ||
		    gons_reexec_setflags(req[i], flags) == -1)
			err(1, "request");
	bench_take_turns(c, 2, SECONDS, 0);
	bench_title(title, "/ hand");
	bench_print(c, 2);
	for (i = 0; i < MANY; i++)
		gons_reexec_free(req[i]);
}

static void
compare_replies(const char *title, unsigned flags)
{
	struct replies plain = { "reply", flags, 0 },
		       with = { "replyfd", flags, 1 };
	struct contender c[] = {
		{ .name = "a reply", .once = run_reply, .arg = &plain },
		{ .name = "a reply with a descriptor",
		    .once = run_reply,
		    .arg = &with,
		    .goal = 1.05 },
	};

	bench_take_turns(c, 2, SECONDS, 3000);
	bench_title(title, "/ plain");
	bench_print(c, 2);
}

int
main(void)
{
	if (gons_reexec_register("nothing", nothing) == -1 ||
	    gons_reexec_register("reply", reply) == -1 ||
	    gons_reexec_register("replyfd", reply_fd) == -1)
		err(1, "gons_reexec_register");
	gons_reexec_check();
	if (gons_reexec_prepare() == -1)
		err(1, "gons_reexec_prepare");
	compare_multi("60 requests, ten at a time", 0);
	compare_replies("a run with GONS_REEXEC_REPLY", 0);
	compare_replies(
	    "a run with GONS_REEXEC_REPLY, prepared", GONS_REEXEC_PREPARED);
	return 0;
}
