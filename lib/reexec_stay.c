/*
 * SPDX-License-Identifier: BSD-2-Clause
 *
 * Copyright (c) 2026 The libgons developers
 *
 * The back end for children that stay: one whose action has returned waits,
 * and is asked again by a message with new pipes.  It began as a child of
 * another back end, which knows how such a child ends.
 */

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "reexec.h"

void
gons__stay_note(const struct settings *set, struct idle *idle)
{
	idle->era = gons__era();
	idle->version = set->version;
	idle->argv = __atomic_load_n(&gons__self.argv, __ATOMIC_ACQUIRE);
	if (gons__standing(&idle->standing) != 0)
		idle->standing.len = 0;
}

/* What a child that waits needs, and its host. */
static const enum source lasting[] = { SRC_PIDFD, SRC_ORDERS, SRC_ACTION,
	SRC_REAPED };

void
gons__stay_keep(struct run *run)
{
	struct child *from = &run->child, *to = &run->idle->child;
	size_t i;

	gons__unwatch(run, SRC_PIDFD);
	gons__child_init(to);
	for (i = 0; i < sizeof(lasting) / sizeof(*lasting); i++) {
		to->fd[lasting[i]] = from->fd[lasting[i]];
		from->fd[lasting[i]].fd = -1;
	}
	to->pid = from->pid;
	to->pool = from->pool;
	to->kernel_tells = from->kernel_tells;
	to->maker = from->maker != NULL ? from->maker : from->ops;
	to->dismissed = from->dismissed;
	run->idle->supervised = run->facts.supervised;
	run->idle->cov = run->cov;
	run->cov = NULL;
	run->idle->is = 1;
}

/* Would a new child be the same?  One of an ended container would not be. */
static int
is_same(const struct settings *set, const struct idle *idle)
{
	struct buf now_is = { NULL, 0, 0, 0 };
	int same;

	if (idle->version != set->version || gons__has_ended(&set->target) ||
	    idle->argv != __atomic_load_n(&gons__self.argv, __ATOMIC_ACQUIRE))
		return 0;
	same = gons__standing(&now_is) == 0 &&
	       now_is.len == idle->standing.len &&
	       memcmp(now_is.p, idle->standing.p, now_is.len) == 0;
	buf_free(&now_is);
	return same;
}

/* In a forked copy of the host it is not ours: nothing is said to it. */
static void
let_go(struct idle *idle)
{
	gons__child_close(&idle->child);
	if (idle->cov != NULL)
		gons__cov_drop(idle->cov);
	idle->cov = NULL;
	idle->is = 0;
}

int
gons__stay_take(const struct settings *set, struct run *run)
{
	struct idle *idle = run->idle;

	if (!idle->is)
		return 0;
	if (idle->era != gons__era()) {
		let_go(idle);
		return 0;
	}
	run->child = idle->child;
	run->cov = idle->cov;
	run->facts.supervised = idle->supervised;
	idle->cov = NULL;
	idle->is = 0;
	if (!is_same(set, idle))
		gons__stay_dismiss(&run->child);
	return 1;
}

void
gons__idle_free(struct idle *idle)
{
	if (idle->is)
		let_go(idle);
	buf_free(&idle->standing);
}

/* Without its socket it ends as well, but could not be told anything more. */
void
gons__stay_dismiss(struct child *child)
{
	struct kept *orders = &child->fd[SRC_ORDERS];

	child->dismissed = 1;
	if (!gons__is_kept(orders) ||
	    gons__send(orders->fd, MSG_END, 0, NULL, 0) != 0)
		gons__unkeep(orders);
}

/*
 * 0, or an errno value of this process's: a child that cannot be told is dead
 * or will be.
 */
static int
ask(struct child *child, const struct launch *launch)
{
	struct kept *orders = &child->fd[SRC_ORDERS];
	int all[NAGAIN], errnum = EPIPE, fds[NAGAIN], i, mask = 0;
	size_t n = 0;

	all[AGAIN_TELL] = launch->what.fd[GONS__FD_TELL];
	all[AGAIN_IN] = launch->stdio[0];
	all[AGAIN_OUT] = launch->stdio[1];
	all[AGAIN_ERR] = launch->stdio[2];
	all[AGAIN_REPLY] = launch->what.fd[GONS__FD_REPLY];
	all[AGAIN_FDS] = launch->what.fd[GONS__FD_FDS];
	for (i = 0; i < NAGAIN; i++)
		if (all[i] != -1) {
			fds[n++] = all[i];
			mask |= 1 << i;
		}
	if (gons__is_kept(orders))
		errnum = gons__send(orders->fd, MSG_AGAIN, mask, fds, n);
	if (errnum == 0 || errnum == ETOOMANYREFS || errnum == ENOMEM ||
	    errnum == ENOBUFS)
		return errnum;
	gons__unkeep(orders);
	return 0;
}

/* One that is not to be asked is waited for like one that has died. */
static int
stay_start(const struct settings *set, struct child *child,
    struct gons__cov *cov, const int fds[2])
{
	struct launch launch;
	int errnum;

	(void)cov;
	(void)fds;
	if (child->dismissed)
		return 0;
	gons__launch_init(&launch, set);
	errnum = gons__launch_pipes(set, &launch, child->fd);
	if (errnum == 0)
		errnum = ask(child, &launch);
	gons__launch_free(&launch);
	return errnum;
}

static int
stay_gone(struct child *child)
{
	return child->maker->gone(child);
}

static int
stay_status(struct child *child, int *status)
{
	return child->maker->status(child, status);
}

const struct child_ops gons__stay = { "stay", stay_start, stay_gone,
	stay_status, NULL, NULL, 1 };
