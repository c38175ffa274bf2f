/*
 * SPDX-License-Identifier: BSD-2-Clause
 *
 * Copyright (c) 2026 The libgons developers
 *
 * Many requests, so many of them at once.  All have one epoll(7) and one timer,
 * which is set to the soonest of their deadlines, or to the past while there
 * is an answer to be fetched or a request to be started.
 */

#include <sys/epoll.h>

#include <errno.h>
#include <limits.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "reexec.h"

#define EVENTS 64 /* fetched at once */
#define SLOTS 16 /* at first */
#define TAG_SHIFT 8 /* of a slot, counted from 1, in the data of an event */

struct list {
	struct gons_reexec *first, *last;
};

struct gons_multi {
	unsigned max; /* 0: as many as there is room for */
	unsigned era;
	unsigned pending; /* not given back yet */
	unsigned nrunning;
	unsigned turns; /* requests that were added, counted */
	unsigned nslots; /* never 0: without a free one, some run */
	struct gons_reexec **slot; /* those that run; NULL: free */
	struct list queued, done;
	int starved; /* nothing is started until one has ended */
	int watched; /* somebody has the descriptor: the timer is set */
	struct watch watch;
};

static void
list_append(struct list *list, struct gons_reexec *req)
{
	req->link.next = NULL;
	if (list->last != NULL)
		list->last->link.next = req;
	else
		list->first = req;
	list->last = req;
}

static void
list_prepend(struct list *list, struct gons_reexec *req)
{
	req->link.next = list->first;
	list->first = req;
	if (list->last == NULL)
		list->last = req;
}

static struct gons_reexec *
list_take(struct list *list)
{
	struct gons_reexec *req = list->first;

	if (req != NULL && (list->first = req->link.next) == NULL)
		list->last = NULL;
	return req;
}

static void
list_remove(struct list *list, const struct gons_reexec *req)
{
	struct gons_reexec **p = &list->first, *before = NULL;

	while (*p != NULL && *p != req) {
		before = *p;
		p = &before->link.next;
	}
	if (*p == NULL)
		return;
	*p = req->link.next;
	if (list->last == req)
		list->last = before;
}

/*
 * at: ms, or -1 for never; in the past: now.  Whoever waits in gons_multi_next()
 * alone needs no timer, which costs a system call each time that it is set.
 */
static void
set_timer(struct gons_multi *multi, int64_t at)
{
	if (multi->watched)
		(void)gons__watch_timer(&multi->watch, at);
}

static int
may_start_another(const struct gons_multi *multi)
{
	return multi->queued.first != NULL && !multi->starved &&
	       (multi->max == 0 || multi->nrunning < multi->max);
}

/* When there is something to do although no event comes; -1: never. */
static int64_t
next_time(const struct gons_multi *multi)
{
	int64_t at = -1;
	unsigned i;

	if (multi->done.first != NULL || may_start_another(multi))
		return 0;
	for (i = 0; i < multi->nslots; i++)
		if (multi->slot[i] != NULL)
			at = sooner(at, gons__watch_next(&multi->slot[i]->run));
	return at;
}

/* 0 or an errno value. */
static int
set_up(struct gons_multi *multi, unsigned max)
{
	multi->max = max;
	multi->era = gons__era();
	multi->watch.shared = 1;
	multi->watch.epoll = multi->watch.timer = -1;
	multi->slot = calloc(SLOTS, sizeof(*multi->slot));
	if (multi->slot == NULL)
		return ENOMEM;
	multi->nslots = SLOTS;
	return gons__watch_open(&multi->watch);
}

static void
drop(struct gons_multi *multi)
{
	gons__watch_close(&multi->watch);
	free(multi->slot);
	free(multi);
}

struct gons_multi *
gons_multi_new(unsigned max)
{
	struct gons_multi *multi;
	int errnum, state;

	if (gons__in_visit()) {
		errno = EPERM;
		return NULL;
	}
	state = gons__enter();
	multi = calloc(1, sizeof(*multi));
	if (multi != NULL && (errnum = set_up(multi, max)) != 0) {
		drop(multi);
		multi = NULL;
		errno = errnum;
	}
	gons__leave(state);
	return multi;
}

/* 0, or -1 with errno: not here. */
static int
is_usable(const struct gons_multi *multi)
{
	if (multi->era != gons__era()) {
		errno = ECHILD;
		return -1;
	}
	if (gons__in_visit()) {
		errno = EPERM;
		return -1;
	}
	return 0;
}

int
gons_multi_add(struct gons_multi *multi, struct gons_reexec *req)
{
	if (is_usable(multi) == -1 || gons__busy(req))
		return -1;
	req->link.of = multi;
	req->link.where = LINK_QUEUED;
	req->link.turn = multi->turns++;
	list_append(&multi->queued, req);
	multi->pending++;
	if (may_start_another(multi))
		set_timer(multi, 0);
	return 0;
}

int
gons_multi_fd(const struct gons_multi *multi)
{
	/* The caller does not see that it is watched: const for him alone. */
	struct gons_multi *mine = (struct gons_multi *)(uintptr_t)multi;

	if (!mine->watched && mine->era == gons__era()) {
		mine->watched = 1;
		set_timer(mine, next_time(mine));
	}
	return multi->watch.epoll;
}

unsigned
gons_multi_pending(const struct gons_multi *multi)
{
	return multi->pending;
}

static void
leave_slot(struct gons_multi *multi, struct gons_reexec *req)
{
	multi->slot[req->link.slot] = NULL;
	multi->nrunning--;
	multi->starved = 0;
}

static void
is_done(struct gons_multi *multi, struct gons_reexec *req)
{
	req->link.where = LINK_DONE;
	list_append(&multi->done, req);
}

/* A free slot, with its number; 0 or ENOMEM. */
static int
find_slot(struct gons_multi *multi, unsigned *slot)
{
	struct gons_reexec **more;
	unsigned i, n = multi->nslots;

	for (i = 0; i < n; i++)
		if (multi->slot[i] == NULL)
			break;
	if (i == n) {
		n += n / 2 + SLOTS;
		if ((more = realloc(multi->slot, n * sizeof(*more))) == NULL)
			return ENOMEM;
		memset(more + multi->nslots, 0,
		    (n - multi->nslots) * sizeof(*more));
		multi->slot = more;
		multi->nslots = n;
	}
	*slot = i;
	return 0;
}

/* There may be more room when another has ended. */
static int
is_shortage(const struct outcome *outcome)
{
	if (outcome->failure != GONS_FAIL_START)
		return 0;
	switch (outcome->errnum) {
	case EMFILE:
	case ENFILE:
	case EAGAIN:
	case ENOMEM:
	case ENOBUFS:
	case ETOOMANYREFS:
		return 1;
	default:
		return 0;
	}
}

/*
 * It does not run any more.  For want of room it is started another time, if
 * any other that runs may leave some.
 */
static void
has_ended(struct gons_multi *multi, struct gons_reexec *req)
{
	leave_slot(multi, req);
	if (is_shortage(&req->outcome) && multi->nrunning > 0) {
		req->link.where = LINK_QUEUED;
		list_prepend(&multi->queued, req);
		multi->starved = 1;
		return;
	}
	is_done(multi, req);
}

static void
start_one(struct gons_multi *multi)
{
	struct gons_reexec *req = list_take(&multi->queued);
	unsigned slot;
	int r;

	if (find_slot(multi, &slot) != 0) {
		list_prepend(&multi->queued, req);
		multi->starved = 1;
		return;
	}
	req->link.where = LINK_RUNNING;
	req->link.slot = slot;
	multi->slot[slot] = req;
	multi->nrunning++;
	r = gons__request_start(
	    req, &multi->watch, (uint64_t)(slot + 1) << TAG_SHIFT);
	if (r == 0 && req->run.running)
		return;
	if (r == 0)
		(void)gons__request_work(req, 0);
	has_ended(multi, req);
}

static void
work_on(struct gons_multi *multi, struct gons_reexec *req, unsigned ready)
{
	if (gons__request_work(req, ready) == 0)
		return;
	has_ended(multi, req);
}

static int
is_older(const struct gons_reexec *a, const struct gons_reexec *b)
{
	return (int)(a->link.turn - b->link.turn) < 0;
}

/* Of those that wait for the prepared process, the one that came first. */
static struct gons_reexec *
first_waiting(const struct gons_multi *multi)
{
	struct gons_reexec *first = NULL, *req;
	unsigned i;

	for (i = 0; i < multi->nslots; i++) {
		req = multi->slot[i];
		if (req != NULL && req->run.process == NONE &&
		    (first == NULL || is_older(req, first)))
			first = req;
	}
	return first;
}

/*
 * The prepared process may have a spare, or be ready.  Those that wait get the
 * spares in the order in which they were added: where one gets none, no other would.
 */
static void
work_on_waiting(struct gons_multi *multi)
{
	struct gons_reexec *req;

	while ((req = first_waiting(multi)) != NULL) {
		work_on(multi, req, 0);
		if (first_waiting(multi) == req)
			break;
	}
}

/* Where no event is to be had, each may have something. */
static void
look_at_all(struct gons_multi *multi)
{
	struct gons_reexec *req;
	unsigned i;

	for (i = 0; i < multi->nslots; i++)
		if ((req = multi->slot[i]) != NULL && req->run.process != NONE)
			work_on(multi, req, req->run.watched | 1u << SRC_PIDFD);
	work_on_waiting(multi);
}

/* Waits for events, at most ms, and heeds them. */
static void
take_events(struct gons_multi *multi, int ms)
{
	struct epoll_event event[EVENTS];
	unsigned ready, slot;
	int i, is_ours, n;

	is_ours = gons__watch_is_ours(&multi->watch);
	n = is_ours ? epoll_wait(multi->watch.epoll, event, EVENTS, ms) : -1;
	/* the host has closed them, or a filter refuses it */
	if (n == -1 && (!is_ours || errno != EINTR)) {
		(void)usleep(TICK * 1000);
		look_at_all(multi);
	}
	for (i = 0; i < n; i++) {
		slot = (unsigned)(event[i].data.u64 >> TAG_SHIFT);
		ready = 1u << (event[i].data.u64 & ((1u << TAG_SHIFT) - 1));
		if (ready == 1u << POOL_EVENT)
			work_on_waiting(multi);
		else if (slot > 0 && slot <= multi->nslots &&
			 multi->slot[slot - 1] != NULL)
			work_on(multi, multi->slot[slot - 1], ready);
	}
}

static void
heed_time(struct gons_multi *multi)
{
	int64_t at, now = now_ms();
	unsigned i;

	for (i = 0; i < multi->nslots; i++) {
		if (multi->slot[i] == NULL)
			continue;
		at = gons__watch_next(&multi->slot[i]->run);
		if (at != -1 && at <= now)
			work_on(multi, multi->slot[i], 0);
	}
}

/*
 * Those that wait for a spare come before any that was added later.  One that
 * could not be started for a shortage may be older, though.
 */
static void
start_others(struct gons_multi *multi)
{
	const struct gons_reexec *waiting;

	while (may_start_another(multi)) {
		waiting = first_waiting(multi);
		if (waiting != NULL && is_older(waiting, multi->queued.first))
			work_on_waiting(multi);
		if (may_start_another(multi))
			start_one(multi);
	}
}

/* How long to wait for events, until then at the latest; ms, -1: for ever. */
static int
patience(const struct gons_multi *multi, int64_t until)
{
	int64_t at = sooner(next_time(multi), until), left;

	if (at == -1)
		return -1;
	left = at - now_ms();
	return left < 0 ? 0 : left > INT_MAX ? INT_MAX : (int)left;
}

static struct gons_reexec *
next(struct gons_multi *multi, int ms)
{
	int64_t until = ms < 0 ? -1 : now_ms() + ms;
	struct gons_reexec *req;

	if (ms == 0) /* else they are fetched when all else is done */
		take_events(multi, 0);
	for (;;) {
		heed_time(multi);
		start_others(multi);
		if ((req = list_take(&multi->done)) != NULL) {
			req->link.of = NULL;
			multi->pending--;
			return req;
		}
		if (multi->pending == 0) {
			errno = ENOENT;
			return NULL;
		}
		if (until != -1 && now_ms() >= until) {
			errno = EAGAIN;
			return NULL;
		}
		if (multi->watch.timer_at <= now_ms())
			set_timer(multi, -1); /* it would wake us for nothing */
		take_events(multi, patience(multi, until));
	}
}

struct gons_reexec *
gons_multi_next(struct gons_multi *multi, int ms)
{
	struct gons_reexec *req;
	int errnum, state;

	if (is_usable(multi) == -1)
		return NULL;
	state = gons__enter();
	gons__lost_reap();
	req = next(multi, ms);
	errnum = errno;
	set_timer(multi, next_time(multi));
	gons__leave(state);
	errno = errnum;
	return req;
}

/* Its deadlines have changed. */
void
gons__multi_touch(struct gons_reexec *req)
{
	set_timer(req->link.of, 0);
}

int
gons__multi_cancel(struct gons_reexec *req)
{
	struct gons_multi *multi = req->link.of;

	if (multi == NULL || req->link.where != LINK_QUEUED)
		return ESRCH;
	if (multi->era != gons__era())
		return ECHILD;
	list_remove(&multi->queued, req);
	gons__request_cancel(req);
	is_done(multi, req);
	set_timer(multi, 0);
	return 0;
}

void
gons__multi_remove(struct gons_reexec *req)
{
	struct gons_multi *multi = req->link.of;

	if (req->link.where == LINK_RUNNING)
		leave_slot(multi, req);
	list_remove(
	    req->link.where == LINK_QUEUED ? &multi->queued : &multi->done,
	    req);
	multi->pending--;
	req->link.of = NULL;
	if (multi->era == gons__era())
		set_timer(multi, 0);
}

/* All are stopped before the first is waited for. */
static void
stop_all(struct gons_multi *multi)
{
	struct gons_reexec *req;
	unsigned i;

	for (i = 0; i < multi->nslots; i++)
		if ((req = multi->slot[i]) != NULL)
			gons__run_stop(&req->set, &req->run, BY_KILL);
	for (i = 0; i < multi->nslots; i++) {
		if ((req = multi->slot[i]) == NULL)
			continue;
		while (
		    gons__request_work(req, gons__watch_await(&req->run)) == 0)
			continue;
	}
}

void
gons_multi_free(struct gons_multi *multi)
{
	struct gons_reexec *req;
	int errnum = errno, state;
	unsigned i;

	if (multi == NULL)
		return;
	state = gons__enter();
	if (multi->era == gons__era())
		stop_all(multi);
	for (i = 0; i < multi->nslots; i++)
		if (multi->slot[i] != NULL)
			multi->slot[i]->link.of = NULL;
	while ((req = list_take(&multi->queued)) != NULL ||
	       (req = list_take(&multi->done)) != NULL)
		req->link.of = NULL;
	drop(multi);
	gons__leave(state);
	errno = errnum;
}
