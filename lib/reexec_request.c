/*
 * SPDX-License-Identifier: BSD-2-Clause
 *
 * Copyright (c) 2026 The libgons developers
 *
 * One request, alone or among many: whether it may be started, its start, each
 * step, and the outcome of the run.
 */

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>

#include "reexec.h"

int
gons__request_settle(struct gons_reexec *req)
{
	struct run *run = &req->run;

	if (run->done) {
		run->done = 0;
		gons__watch_rest(&req->watch);
		gons__judge(&req->set, &run->facts, &run->result, &run->err,
		    run->why, &req->outcome);
		gons__exit_note(&req->set, &req->idle);
		req->judged = 1;
	}
	if (run->running)
		return 0;
	if (!req->judged && req->outcome.failure == GONS_FAIL_NONE) {
		errno = EINVAL; /* it has never been started */
		return -1;
	}
	if (req->outcome.failure == GONS_FAIL_NONE)
		return 1;
	errno = req->outcome.errnum;
	return -1;
}

int
gons__request_work(struct gons_reexec *req, unsigned ready)
{
	if (gons__is_foreign(req)) {
		gons__run_work(&req->set, &req->run, 0); /* becomes FOREIGN */
		errno = ECHILD;
		return -1;
	}
	if (req->run.running)
		gons__run_work(&req->set, &req->run, ready);
	return gons__request_settle(req);
}

/* For libgons_json: what lives as long as the outcome of this run. */
void
gons__reexec_attach(struct gons_reexec *req, void *what, void (*detach)(void *))
{
	if (req->attached.detach != NULL)
		req->attached.detach(req->attached.what);
	req->attached.what = what;
	req->attached.detach = detach;
}

void
gons__request_forget(struct gons_reexec *req)
{
	gons__reexec_attach(req, NULL, NULL);
	gons__exit_forget(&req->idle);
	gons__run_clear(&req->run);
	gons__watch_close(&req->watch);
	free(req->outcome.error);
	memset(&req->outcome, 0, sizeof(req->outcome));
	req->judged = 0;
}

/* Of gons__self_is_served(): why so, for a sentence. */
static const char *
where_served(void)
{
	return gons__self_is_secure()
		   ? "in secure-execution mode"
		   : "where start-up has joined a mount namespace";
}

/* Those of the settings are still what they were when they were set. */
static int
may_use_fds(const struct settings *set, struct outcome *outcome)
{
	const char *closed = gons__settings_closed(set);
	size_t i;

	if (closed != NULL)
		return gons__fail(set, outcome, EBADF,
		    "cannot be started: this program has closed the copy that "
		    "the library had of %s",
		    closed);
	/* Before the library takes its number for something of its own. */
	for (i = 0; i < set->nkeep; i++)
		if (fcntl(set->keep[i], F_GETFD) == -1)
			return gons__fail(set, outcome, errno,
			    "cannot be started: descriptor %d: %s",
			    set->keep[i], strerror(errno));
	return 0;
}

/* May any action be started here?  0, or -1 with errno and text. */
static int
is_allowed(const struct settings *set, struct outcome *outcome)
{
	if (gons__in_visit())
		return gons__fail(
		    set, outcome, EPERM, "cannot be started inside a visit");
	if (gons__self.child || gons__status_action() != NULL)
		return gons__fail(set, outcome, EPERM,
		    "cannot be started: this is already a re-executed child");
	if (!gons__self.allowed && gons__self.errnum != 0)
		return gons__fail(set, outcome, gons__self.errnum,
		    "cannot be started: gons_reexec_check() failed: %s",
		    strerror(gons__self.errnum));
	if (!gons__self.allowed)
		return gons__fail(set, outcome, EPERM,
		    "cannot be started: gons_reexec_check() has not been "
		    "called");
	if (gons__self.unserved != NULL)
		return gons__fail(set, outcome, EPERM,
		    "cannot be started %s: %s", where_served(),
		    gons__self.unserved);
	if (set->action != NULL && gons__find_action(set->action) == NULL)
		return gons__fail(set, outcome, ENOENT, "not registered");
	return may_use_fds(set, outcome);
}

/* Why the program cannot be executed, or 0. */
static int
may_execute(const struct settings *set, struct outcome *outcome)
{
	if (gons__self_is_served() && (set->flags & GONS_REEXEC_SEALED) != 0)
		return gons__fail(set, outcome, ENOTSUP,
		    "cannot be started: no sealed copy can be executed %s",
		    where_served());
	if (gons__self.exe.fd != -1 || gons__self_is_served())
		return 0;
	if (gons__self.errnum == ENOEXEC)
		return gons__fail(set, outcome, ENOEXEC,
		    "cannot be started: the dynamic linker was started with "
		    "the program as its argument, so the program is not what "
		    "/proc/self/exe executes");
	return gons__fail(set, outcome, gons__self.errnum,
	    "cannot be started: /proc/self/exe could not be opened by "
	    "gons_reexec_check(): %s",
	    strerror(gons__self.errnum));
}

int
gons__may_start(const struct settings *set, struct outcome *outcome)
{
	return is_allowed(set, outcome) == -1 ? -1 : may_execute(set, outcome);
}

void
gons__request_cancel(struct gons_reexec *req)
{
	gons__request_forget(req);
	gons__run_cancel(&req->run);
	(void)gons__request_settle(req);
}

int
gons__request_start(struct gons_reexec *req, struct watch *watch, uint64_t tag)
{
	int errnum;

	gons__request_forget(req);
	if (gons__may_start(&req->set, &req->outcome) == -1)
		return -1;
	if (watch == &req->watch && (errnum = gons__watch_open(watch)) != 0)
		return gons__fail(&req->set, &req->outcome, errnum,
		    "cannot be started: %s", strerror(errnum));
	gons__run_begin(&req->set, &req->run, watch, tag);
	return 0;
}
