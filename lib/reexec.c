/*
 * SPDX-License-Identifier: BSD-2-Clause
 *
 * Copyright (c) 2026 The libgons developers
 *
 * Actions: functions of the program that run in a child of it, inside chosen
 * namespaces.  This part has what programs call to run a request and to ask
 * what came of it; the other parts of reexec.o are below it, see reexec.h and
 * doc/ARCHITECTURE.
 */

#include <sys/epoll.h>

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "reexec.h"

struct gons_reexec *
gons_reexec_new(const char *action)
{
	struct gons_reexec *req;

	if (!gons__name_is_valid(action)) {
		errno = EINVAL;
		return NULL;
	}
	if ((req = calloc(1, sizeof(*req))) == NULL)
		return NULL;
	gons__settings_init(&req->set);
	if ((req->set.action = strdup(action)) == NULL) {
		free(req);
		return NULL;
	}
	req->watch.epoll = req->watch.timer = -1;
	gons__child_init(&req->run.child); /* 0 is no descriptor of ours */
	gons__run_clear(&req->run);
	req->run.idle = &req->idle;
	return req;
}

static int
wait_for(struct gons_reexec *req)
{
	int r = 0;

	while (r == 0)
		r = gons__request_work(
		    req, req->run.running && !gons__is_foreign(req)
			     ? gons__watch_await(&req->run)
			     : 0);
	return r == 1 ? 0 : -1;
}

void
gons_reexec_free(struct gons_reexec *req)
{
	int errnum = errno, state;

	if (req == NULL)
		return;
	state = gons__enter();
	if (req->link.of != NULL)
		gons__multi_remove(req);
	if (req->run.running && !gons__is_foreign(req)) {
		gons__run_stop(&req->set, &req->run, BY_KILL);
		(void)wait_for(req);
	}
	gons__exit_forget(&req->idle);
	(void)gons__run_end(&req->set, &req->idle);
	gons__idle_free(&req->idle);
	gons__request_forget(req);
	gons__settings_free(&req->set);
	free(req);
	gons__lost_reap();
	gons__leave(state);
	errno = errnum;
}

/*
 * A spare is waited for here, at most as long as the request may take, since
 * the caller may do something else for a long time before it calls again.
 */
static int
start(struct gons_reexec *req, struct watch *watch)
{
	int r;

	if (gons__busy(req))
		return -1;
	gons__lost_reap();
	if (gons__request_start(req, watch, 0) == -1)
		return -1;
	r = gons__request_settle(req);
	while (r == 0 && req->run.process == NONE)
		r = gons__request_work(req, gons__watch_await(&req->run));
	if (r == 0 || req->outcome.failure != GONS_FAIL_START)
		return 0; /* a failure of the run is told by its end */
	if (watch != NULL)
		gons__watch_close(watch);
	return -1;
}

int
gons_reexec_start(struct gons_reexec *req)
{
	int r, state = gons__enter();

	r = start(req, &req->watch);
	gons__leave(state);
	return r;
}

int
gons_reexec_run(struct gons_reexec *req)
{
	int r, state = gons__enter();

	r = start(req, NULL);
	if (r == 0)
		r = wait_for(req);
	gons__leave(state);
	return r;
}

int
gons_reexec_fd(const struct gons_reexec *req)
{
	/* The epoll of the run before may still be open while it is queued. */
	return req->link.of != NULL ? -1 : req->watch.epoll;
}

/* Sets errno where a gons_multi(3) has it. */
static int
belongs_to_multi(const struct gons_reexec *req)
{
	if (req->link.of == NULL)
		return 0;
	errno = EBUSY;
	return 1;
}

int
gons_reexec_wait(struct gons_reexec *req)
{
	int r, state;

	if (belongs_to_multi(req))
		return -1;
	state = gons__enter();
	gons__lost_reap();
	r = wait_for(req);
	gons__leave(state);
	return r;
}

/* The sources that have something. */
static unsigned
events(const struct gons_reexec *req)
{
	struct epoll_event event[NSRCS + 2];
	unsigned ready = 0;
	int i, n;

	if (req->watch.epoll == -1)
		return 0;
	/* The host may have closed them, and the numbers be its own files. */
	if (!gons__watch_is_ours(&req->watch))
		return req->run.watched | 1u << SRC_PIDFD;
	n = epoll_wait(req->watch.epoll, event,
	    (int)(sizeof(event) / sizeof(event[0])), 0);
	if (n == -1 && errno != EINTR) /* a filter refuses it */
		return req->run.watched | 1u << SRC_PIDFD | 1u << TIMER_EVENT;
	for (i = 0; i < n; i++)
		if (event[i].data.u64 <= POOL_EVENT)
			ready |= 1u << event[i].data.u64;
	return ready;
}

int
gons_reexec_step(struct gons_reexec *req)
{
	int r, state;

	if (belongs_to_multi(req))
		return -1;
	state = gons__enter();
	gons__lost_reap();
	r = gons__request_work(
	    req, req->run.running && !gons__is_foreign(req) ? events(req) : 0);
	gons__leave(state);
	return r;
}

int
gons_reexec_kill(struct gons_reexec *req)
{
	int errnum = 0, state;

	if (gons__is_foreign(req)) {
		errno = ECHILD;
		return -1;
	}
	state = gons__enter();
	if (!req->run.running) {
		errnum = gons__multi_cancel(req);
	} else {
		gons__run_stop(&req->set, &req->run, BY_KILL);
		/* The next step of the stop may need a step of the caller's. */
		if (req->link.of != NULL)
			gons__multi_touch(req);
		else
			(void)gons__watch_timer(&req->watch, 0);
	}
	gons__leave(state);
	if (errnum == 0)
		return 0;
	errno = errnum;
	return -1;
}

int
gons_reexec_end(struct gons_reexec *req)
{
	int errnum, state;

	if (gons__busy(req))
		return -1;
	state = gons__enter();
	gons__lost_reap();
	gons__exit_forget(&req->idle);
	errnum = gons__run_end(&req->set, &req->idle);
	gons__leave(state);
	if (errnum == 0)
		return 0;
	errno = errnum;
	return -1;
}

int
gons_reexec_prepare(void)
{
	struct outcome outcome;
	struct settings none;
	int errnum, state = gons__enter();

	memset(&outcome, 0, sizeof(outcome));
	gons__settings_init(&none);
	gons__lost_reap();
	errnum = gons__may_start(&none, &outcome) == -1 ? outcome.errnum
							: gons__pool_prepare();
	free(outcome.error);
	gons__leave(state);
	if (errnum == 0)
		return 0;
	errno = errnum == EXDEV || errnum == EOWNERDEAD ? EPERM : errnum;
	return -1;
}

void
gons_reexec_setdata(struct gons_reexec *req, void *data)
{
	req->data = data;
}

void *
gons_reexec_data(const struct gons_reexec *req)
{
	return req->data;
}

const void *
gons_reexec_result(const struct gons_reexec *req, size_t *len)
{
	if (len != NULL)
		*len = req->run.result.out.len;
	return req->run.result.out.p;
}

const char *
gons_reexec_stderr(const struct gons_reexec *req, size_t *len)
{
	const struct buf *err = &req->run.err;

	if (len != NULL)
		*len = err->len;
	if (err->p == NULL)
		return (req->set.flags & GONS_REEXEC_STDERR_PASS) != 0 ? NULL
								       : "";
	err->p[err->len] = '\0';
	return (const char *)err->p;
}

int
gons_reexec_status(const struct gons_reexec *req)
{
	return req->judged ? req->outcome.status : -1;
}

int
gons_reexec_failure(const struct gons_reexec *req)
{
	return (int)req->outcome.failure;
}

const char *
gons_reexec_error(const struct gons_reexec *req)
{
	return req->outcome.error;
}

void *
gons__reexec_attached(const struct gons_reexec *req)
{
	return req->attached.what;
}

int
gons__reexec_running(const struct gons_reexec *req)
{
	return req->run.running || req->link.of != NULL;
}

/* For libgons_json, in the callback of gons_reexec_setcomplete(): why -1. */
void
gons__reexec_reject(struct gons_reexec *req, const char *why)
{
	free(req->run.why);
	req->run.why = strdup(why);
}

/*
 * For libgons_json: the outcome is a failure after all; GONS_FAIL_NONE: it
 * stays what it is, but the caller has asked for something impossible.
 */
int
gons__reexec_fail(
    struct gons_reexec *req, int failure, int errnum, const char *why)
{
	if (failure != GONS_FAIL_NONE) {
		if (req->idle.is && req->idle.era == gons__era())
			gons__stay_dismiss(&req->idle.child);
		req->outcome.failure = (enum gons_failure)failure;
		req->outcome.errnum = errnum;
	}
	return gons__refuse(&req->set, &req->outcome, errnum, "%s", why);
}
