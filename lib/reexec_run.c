/*
 * SPDX-License-Identifier: BSD-2-Clause
 *
 * Copyright (c) 2026 The libgons developers
 *
 * A run: the only loop over what a child writes, says and costs in time, and
 * the only place where its states change.  Nothing here blocks.
 *
 * The process:
 *
 *	NONE -> OFFERED		a spare, or a child that stays, has been sent it
 *	NONE -> ALIVE		the program has been executed
 *	OFFERED -> ALIVE	the spare says that it has read it (TAKEN), or can
 *				say no more, as the host has closed the pipe
 *	OFFERED -> NONE		it ended, or does not answer: the next attempt
 *	ALIVE -> RETURNED	its action has, and it stays for the next run
 *	ALIVE -> GONE		it has ended
 *	GONE -> KNOWN		its status is known, or never will be
 *	OFFERED, ALIVE -> LOST	it could not be killed: it is given up
 *
 * and FOREIGN in a forked copy of the host, which touches nothing.
 *
 * The stop, when the time is up, the result too large, or the caller says so:
 *
 *	NONE -> TERM		SIGTERM: coverage data is to be written
 *	NONE, TERM -> ASKED	its supervisor is to kill the action
 *	NONE, TERM, ASKED -> KILLED	SIGKILL
 *
 * The states of the result are in reexec_result.c.
 */

#include <sys/epoll.h>
#include <sys/wait.h>

#include <errno.h>
#include <poll.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "reexec.h"

#define TERM_TIME 500 /* ms from the end of time until more than SIGTERM */
#define KILL_TIME 1000 /* ms until SIGKILL, at the latest */
#define LOST_TIME 2000 /* ms until it is given up */
#define TAKE_TIME 2000 /* ms for a spare to take a request */
#define TOLD_TIME 500 /* ms for the status of a child that has ended */
#define DEAF_MAX 4 /* spares that do not answer: each takes seconds */

static void
process_is(struct run *run, enum process process)
{
	static const char *const names[] = { "NONE", "OFFERED", "ALIVE",
		"RETURNED", "GONE", "KNOWN", "LOST", "FOREIGN" };

	(void)names;
	if (run->process != process)
		gons__trace(
		    "process %s -> %s", names[run->process], names[process]);
	run->process = process;
}

static void
stop_is(struct run *run, enum stop stop)
{
	static const char *const names[] = { "NONE", "TERM", "ASKED",
		"KILLED" };

	(void)names;
	gons__trace("stop %s -> %s", names[run->stop], names[stop]);
	run->stop = stop;
}

/*
 * Attempts.
 */

/* No child, and no hope of one. */
static void
not_started(struct run *run, int errnum)
{
	run->facts.start = START_FAILED;
	run->facts.start_value = errnum;
	if (run->child.words_status != -1) {
		run->facts.start = 0;
		run->facts.status = run->child.words_status;
		run->err = run->child.words; /* nothing has been read yet */
		memset(&run->child.words, 0, sizeof(run->child.words));
	}
	run->gave_up = 1;
}

static void
drop_coverage(struct run *run)
{
	if (run->cov != NULL)
		gons__cov_collect(run->cov, GONS__COV_MS);
	run->cov = NULL;
}

/* Everything that belongs to a child that will not have the request. */
static void
drop_child(struct run *run)
{
	int i;

	for (i = 0; i < NSRCS; i++)
		gons__unwatch(run, (enum source)i);
	gons__child_close(&run->child);
	drop_coverage(run);
}

static int
is_to_be_forked(const struct settings *set)
{
	return gons__self_is_served() ||
	       ((set->flags & GONS_REEXEC_PREPARED) != 0 &&
		   gons__cov_forkable());
}

static const struct child_ops *
back_end(const struct settings *set, struct run *run)
{
	if (set->ops != NULL)
		return set->ops;
	if (gons__stay_take(set, run))
		return &gons__stay;
	if (run->stays)
		gons__stay_note(set, run->idle);
	return is_to_be_forked(set) ? &gons__spare : &gons__fresh;
}

/*
 * What a spare says of itself need not wake anybody, for what it writes does;
 * one that stays does not end.
 */
static void
watch_child(struct run *run)
{
	gons__watch_source(run, SRC_PIDFD);
	if (run->stays)
		gons__watch_source(run, SRC_TELL);
	if (run->stays && run->process == OFFERED)
		return;
	gons__watch_source(run, SRC_OUT);
	gons__watch_source(run, SRC_ERR);
}

static void
attempt(const struct settings *set, struct run *run)
{
	int cov[2] = { -1, -1 }, errnum;

	drop_child(run);
	run->child.ops = back_end(set, run);
	if (run->child.maker == NULL)
		run->cov = gons__cov_new(cov);
	errnum = run->child.ops->start(set, &run->child, run->cov, cov);
	gons__watch_pool(run, errnum == EINPROGRESS ? run->child.wait_fd : -1);
	if (errnum != 0) {
		if (run->child.maker != NULL)
			gons__stay_keep(run);
		/* It is being served, though others come first. */
		if (run->child.given != run->given)
			run->at.make = now_ms() + MAKE_TIME;
		run->given = run->child.given;
		drop_child(run);
		if (errnum != EINPROGRESS)
			not_started(run, errnum);
		return;
	}
	if (run->child.maker == NULL)
		gons__cov_started(run->cov);
	if (run->child.ops->awaits)
		run->at.taken = now_ms() + TAKE_TIME;
	process_is(run, run->child.ops->awaits ? OFFERED : ALIVE);
	watch_child(run);
}

void
gons__run_begin(const struct settings *set, struct run *run,
    struct watch *watch, uint64_t tag)
{
	gons__run_clear(run);
	run->running = 1;
	run->era = gons__era();
	run->watch = watch;
	run->tag = tag;
	run->stays = (set->flags & GONS_REEXEC_STAY) != 0;
	if (set->timeout != -1)
		run->at.timeout = now_ms() + set->timeout;
	run->at.make = now_ms() + MAKE_TIME;
	attempt(set, run);
	gons__run_work(set, run, 0);
}

/* What a child said that has not had the request is not said of this run. */
static void
forget_facts(struct run *run)
{
	enum cause cause = run->facts.cause;

	free(run->facts.start_error);
	memset(&run->facts, 0, sizeof(run->facts));
	run->facts.cause = cause;
	run->facts.status = -1;
}

/*
 * A request that was not read goes to another spare, or another prepared
 * process, unless it is not wanted any more.  If a spare has refused it, the
 * next one would do the same.  If it was for one that stays, it goes to a new
 * child.
 */
static void
next_attempt(struct run *run)
{
	int deaf = run->stop == STOP_KILLED && run->facts.cause == BY_NOBODY;

	if (run->facts.start == MSG_REFUSED)
		run->gave_up = 1;
	else if (deaf && ++run->deaf >= DEAF_MAX)
		not_started(run, ETIMEDOUT);
	else if (!deaf && ++run->dead > SPARES_MAX + 2)
		not_started(run, EPROTO);
	drop_child(run);
	if (run->child.maker != NULL) {
		gons__child_init(&run->child);
		run->child.ops = &gons__stay; /* until there is another */
		if (!run->gave_up)
			forget_facts(run);
	}
	gons__reader_free(&run->reader);
	run->stop = STOP_NONE;
	run->at.stop = run->at.lost = run->at.taken = -1;
	process_is(run, NONE);
}

/* The messages of the child. */

/* The action will not run.  The first reason counts, and the last error. */
static void
heed_failure(struct facts *facts, const struct reader *r, int value)
{
	struct gons_error *error = facts->start_error;

	if (r->kind == MSG_STARTUP) {
		if (error == NULL &&
		    (error = calloc(1, sizeof(*error))) == NULL)
			return;
		memcpy(error, r->body, r->len);
		error->what[sizeof(error->what) - 1] = '\0';
		facts->start_error = error;
	}
	if (facts->start == 0) {
		facts->start = r->kind;
		facts->start_value = value;
	}
}

/* A spare has the request, or may have it: no other gets it. */
static void
taken(struct run *run)
{
	run->at.taken = -1;
	run->facts.reached = 1;
	process_is(run, ALIVE);
	watch_child(run);
}

static void
heed(struct run *run, const struct reader *r)
{
	struct facts *facts = &run->facts;
	int value = 0;

	(void)gons__reader_value(r, &value);
	run->unruly |= facts->returned;
	switch (r->kind) {
	case MSG_TAKEN:
		if (run->process == OFFERED)
			taken(run);
		break;
	case MSG_RETURNED:
		if (!run->stays || run->process != ALIVE || facts->returned)
			break;
		facts->returned = facts->told = 1;
		facts->told_status = (value & 0xff) << 8;
		break;
	case MSG_REACHED:
		/* An action may write there, too, but then it is too late. */
		if (!facts->reached || run->child.ops->awaits)
			facts->supervised |= value != 0;
		facts->reached = 1;
		break;
	case MSG_STATUS:
		if (facts->returned ||
		    (facts->told && WIFSIGNALED(facts->told_status)))
			break;
		facts->told = 1;
		facts->told_status = value & 0xffff;
		break;
	case MSG_ENDED:
		facts->gone = 1;
		break;
	case MSG_STARTUP:
	case MSG_UNKNOWN:
	case MSG_FORK:
	case MSG_REFUSED:
		heed_failure(facts, r, value);
		break;
	default:
		break;
	}
}

static void
read_tell(struct run *run)
{
	struct kept *from = &run->child.fd[SRC_TELL];
	int r = 1, reads = 0;

	if (from->fd != -1 && !gons__watch_has(run, SRC_TELL) &&
	    run->process == OFFERED)
		taken(run);
	while (from->fd != -1 && r == 1) {
		r = gons__read_message(from->fd, &run->reader);
		if (r == 1)
			heed(run, &run->reader);
		if (gons__reader_used_up(&run->reader) &&
		    (run->reader.drained || ++reads == READS))
			break;
	}
	if (r == -1)
		gons__unwatch(run, SRC_TELL);
}

/* The action's own process, which a supervisor told before it let it run. */
static void
read_action(struct run *run)
{
	struct message message;
	int pidfd = -1;

	if (!gons__watch_has(run, SRC_ORDERS) ||
	    run->child.fd[SRC_ACTION].fd != -1)
		return;
	if (gons__receive(run->child.fd[SRC_ORDERS].fd, &message,
		sizeof(message), &pidfd, 1) > 0 &&
	    message.kind == MSG_ACTION)
		gons__keep_pidfd(&run->child.fd[SRC_ACTION], fd_high(pidfd));
	else
		fd_close(&pidfd);
}

/* The output of the child. */

static void
result_is_over(const struct settings *set, struct run *run)
{
	if (run->result.state == RESULT_TOO_BIG ||
	    run->result.state == RESULT_NO_MEMORY)
		gons__run_stop(set, run, BY_SIZE);
	else if (run->result.state != RESULT_OPEN && run->at.grace == -1)
		run->at.grace = now_ms() + set->grace;
}

/*
 * Its action has returned: what it has written by now is its result, whoever
 * else holds the pipes.  A child that did well waits for the next run; any
 * other is told to end, for which it has the grace period.
 */
static void
settle(const struct settings *set, struct run *run)
{
	struct outcome outcome;

	if (!gons__output_drain(set, run, SRC_OUT) ||
	    !gons__output_drain(set, run, SRC_ERR))
		return;
	run->settled = 1;
	gons__result_end(set, &run->result);
	result_is_over(set, run);
	if (run->facts.cause != BY_NOBODY)
		return;
	memset(&outcome, 0, sizeof(outcome));
	gons__judge(
	    set, &run->facts, &run->result, &run->err, run->why, &outcome);
	free(outcome.error);
	gons__unwatch(run, SRC_OUT);
	gons__unwatch(run, SRC_ERR);
	if (outcome.failure == GONS_FAIL_NONE && !run->unruly)
		process_is(run, RETURNED);
	else
		gons__stay_dismiss(&run->child);
}

/*
 * Its end.
 */

/* A child that has become another user's may be out of reach. */
static void
kill_child(struct run *run)
{
	stop_is(run, STOP_KILLED);
	run->at.stop = -1;
	read_action(run);
	if (run->child.fd[SRC_ACTION].fd != -1)
		(void)gons__child_signal(&run->child, SRC_ACTION, SIGKILL);
	if (gons__child_signal(&run->child, SRC_PIDFD, SIGKILL) == EPERM)
		process_is(run, LOST);
}

/*
 * A supervisor has to kill its action first: what it may do, this process may
 * not be able to do.  If it does not in time, being still in start-up, stopped
 * or dead, both are killed.
 */
static void
ask_supervisor(struct run *run, int64_t now)
{
	struct kept *orders = &run->child.fd[SRC_ORDERS];

	read_action(run);
	(void)gons__send(orders->fd, MSG_KILL, 0, NULL, 0);
	(void)gons__child_signal(&run->child, SRC_PIDFD, SIGCONT);
	stop_is(run, STOP_ASKED);
	run->at.stop = sooner(now + TERM_TIME, run->at.kill);
}

/* Of one that is asked again it is known. */
static int
may_supervise(const struct settings *set, const struct run *run)
{
	return run->facts.supervised ||
	       (run->child.maker == NULL && gons__may_be_supervised(set) &&
		   (!run->facts.reached || run->child.ops->awaits));
}

static void
stop_further(const struct settings *set, struct run *run)
{
	int64_t now = now_ms();

	if (run->stop == STOP_NONE && run->cov != NULL) {
		stop_is(run, STOP_TERM);
		(void)gons__child_signal(&run->child, SRC_PIDFD, SIGTERM);
		run->at.stop = now + TERM_TIME;
		return;
	}
	read_tell(run); /* is it supervised? */
	if (run->stop < STOP_ASKED && gons__watch_has(run, SRC_ORDERS) &&
	    may_supervise(set, run))
		ask_supervisor(run, now);
	else
		kill_child(run);
}

void
gons__run_stop(const struct settings *set, struct run *run, enum cause cause)
{
	struct facts *facts = &run->facts;
	int64_t now = now_ms();

	if (facts->cause != BY_NOBODY &&
	    !(facts->cause == BY_GRACE && cause == BY_KILL))
		return;
	if (facts->cause != BY_NOBODY) {
		facts->cause = cause;
		return;
	}
	facts->cause = cause;
	if (run->process != OFFERED && run->process != ALIVE)
		return;
	run->at.taken = -1; /* not to put off at.lost */
	run->at.kill = now + KILL_TIME;
	run->at.lost = now + LOST_TIME;
	if (run->stop == STOP_NONE)
		stop_further(set, run);
}

/*
 * The child has neither read the request nor ended: it is stopped, or stuck.
 * Nobody knows what it would do later, so it is killed.
 */
static void
stop_deaf(struct run *run)
{
	run->at.taken = -1;
	if (run->child.ops->deaf != NULL)
		run->child.ops->deaf(&run->child);
	run->at.lost = now_ms() + LOST_TIME;
	kill_child(run);
}

/* After the process has ended, waits for its status. */
static void
watch_status(struct run *run)
{
	if (!run->child.kernel_tells) {
		gons__unwatch(run, SRC_PIDFD);
		gons__watch_source(run, SRC_REAPED);
	} else if (run->watch != NULL &&
		   gons__is_kept(&run->child.fd[SRC_PIDFD])) {
		/* EPOLLHUP: reaped */
		gons__watch_fd(run, SRC_PIDFD, run->child.fd[SRC_PIDFD].fd, 0,
		    EPOLL_CTL_MOD);
	}
}

static void
look_at_end(struct run *run)
{
	struct child *child = &run->child;
	int status = -1, r;

	if (run->process == OFFERED || run->process == ALIVE) {
		if (!child->ops->gone(child))
			return;
		read_tell(run);
		if (run->process == OFFERED) {
			next_attempt(run);
			return;
		}
		process_is(run, GONE);
		run->at.told =
		    now_ms() + (run->facts.told ? 2 * TICK : TOLD_TIME);
		read_action(run);
		if (child->fd[SRC_ACTION].fd != -1)
			(void)gons__child_signal(
			    &run->child, SRC_ACTION, SIGKILL);
		r = child->ops->status(child, &status);
		if (r == 0 || r == 2)
			watch_status(run);
	} else if (run->process == GONE) {
		r = child->ops->status(child, &status);
	} else {
		return;
	}
	if (r == 2) {
		gons__unwatch(run, SRC_REAPED);
		r = 0;
	}
	if (r == 0 && now_ms() < run->at.told)
		return;
	run->facts.status = r == 1 ? status : -1;
	gons__unwatch(run, SRC_PIDFD);
	process_is(run, KNOWN);
}

/*
 * Time.
 */

static void
look_at_clock(const struct settings *set, struct run *run)
{
	int64_t now;

	if (run->process == RETURNED || run->process == GONE ||
	    run->process == KNOWN || run->process == LOST)
		return;
	now = now_ms();
	if (run->at.stop != -1 && now >= run->at.stop) {
		run->at.stop = -1;
		stop_further(set, run);
	}
	if (run->facts.cause == BY_NOBODY && run->at.timeout != -1 &&
	    now >= run->at.timeout)
		gons__run_stop(set, run,
		    run->result.state == RESULT_OPEN ? BY_TIMEOUT : BY_GRACE);
	if (run->facts.cause == BY_NOBODY && run->at.grace != -1 &&
	    now >= run->at.grace)
		gons__run_stop(set, run, BY_GRACE);
	if (run->process == NONE && !run->gave_up && now >= run->at.make)
		not_started(run, ETIMEDOUT);
	if (run->process == OFFERED && run->at.taken != -1 &&
	    now >= run->at.taken) {
		read_tell(run);
		if (run->process == OFFERED)
			stop_deaf(run);
	}
	if (run->at.lost != -1 && now >= run->at.lost) {
		if (run->process == OFFERED && run->facts.cause == BY_NOBODY) {
			gons__lost_add(
			    &run->child.fd[SRC_PIDFD], run->child.pid);
			next_attempt(run);
		} else if (run->process == OFFERED || run->process == ALIVE) {
			process_is(run, LOST);
		}
	}
}

/*
 * Once the status is known, others who hold the pipes are not waited for beyond
 * the grace period, nor at all if we stopped the child.
 */
static int
is_over(const struct run *run)
{
	if (run->gave_up || run->process == LOST || run->process == RETURNED)
		return 1;
	if (run->process == NONE)
		return run->facts.cause != BY_NOBODY;
	if (run->process != KNOWN)
		return 0;
	if (run->facts.cause != BY_NOBODY)
		return 1;
	if ((run->result.state != RESULT_OPEN ||
		run->child.fd[SRC_OUT].fd == -1) &&
	    run->child.fd[SRC_ERR].fd == -1)
		return 1;
	return now_ms() >= sooner(run->at.grace, run->at.timeout);
}

/*
 * Has the container ended?  The run may have failed for another reason as well.
 */
static int
container_is_gone(const struct settings *set, const struct facts *facts)
{
	const struct gons_error *error = facts->start_error;

	if (facts->gone ||
	    (facts->start == MSG_FORK && gons__may_join_pid(set) &&
		facts->start_value == ENOMEM))
		return 1;
	if (facts->start == MSG_STARTUP && error->errnum == ESRCH &&
	    (error->stage == GONS_STAGE_JOIN || set->target.fd != -1))
		return 1;
	return gons__has_ended(&set->target);
}

static void
finish(const struct settings *set, struct run *run)
{
	struct child *child = &run->child;
	struct kept fds = child->fd[SRC_FDS];

	if (run->result.out.p == NULL)
		(void)buf_reserve(&run->result.out, 1);
	if (run->result.out.p != NULL)
		run->result.out.p[run->result.out.len] = '\0';
	/* Somebody else holds the pipe: what has come is all there is. */
	if (run->facts.cause == BY_NOBODY && !run->gave_up)
		gons__result_end(set, &run->result);
	run->facts.lost = run->process == LOST;
	/* Another thread may be allowed to reap what this one may not. */
	if (run->facts.lost ||
	    (run->process == KNOWN && run->facts.status == -1)) {
		gons__unwatch(run, SRC_PIDFD);
		gons__lost_add(&child->fd[SRC_PIDFD], child->pid);
	}
	run->facts.gone = container_is_gone(set, &run->facts);
	if (child->ops->over != NULL)
		child->ops->over(child);
	gons__watch_pool(run, -1);
	if (run->process == RETURNED)
		gons__stay_keep(run);
	child->fd[SRC_FDS].fd = -1; /* what the reply brought stays */
	drop_child(run);
	child->fd[SRC_FDS] = fds;
	gons__reader_free(&run->reader);
	run->watch = NULL;
	run->running = 0;
	run->done = 1;
}

void
gons__run_work(const struct settings *set, struct run *run, unsigned ready)
{
	uint64_t expirations;

	if (run->era != gons__era()) {
		process_is(run, FOREIGN);
		return;
	}
	if ((ready & 1u << TIMER_EVENT) != 0 && run->watch != NULL &&
	    !run->watch->shared &&
	    read(run->watch->timer, &expirations, sizeof(expirations)) != -1)
		run->watch->timer_at = -1;
	if (run->process == NONE && run->facts.cause == BY_NOBODY &&
	    !run->gave_up && run->began)
		attempt(set, run);
	run->began = 1;
	gons__watch_end(run);
	if ((ready & (1u << SRC_PIDFD | 1u << SRC_REAPED)) != 0 ||
	    run->process == GONE || run->blind ||
	    run->child.fd[SRC_PIDFD].fd == -1)
		look_at_end(run);
	if (run->process == KNOWN || run->blind)
		ready |= 1u << SRC_TELL | 1u << SRC_OUT | 1u << SRC_ERR;
	if ((ready & 1u << SRC_TELL) != 0 || (run->process == OFFERED && ready))
		read_tell(run);
	if (run->facts.returned && !run->settled && run->process == ALIVE &&
	    run->facts.cause == BY_NOBODY)
		settle(set, run);
	/* The pipes of a spare say nothing until it has taken the request. */
	if ((ready & 1u << SRC_ERR) != 0 && run->process != OFFERED)
		gons__output_read(set, run, SRC_ERR);
	if ((ready & 1u << SRC_OUT) != 0 && run->process != OFFERED) {
		gons__output_read(set, run, SRC_OUT);
		result_is_over(set, run);
	}
	if (run->process == KNOWN && run->at.grace == -1)
		run->at.grace = now_ms() + set->grace;
	do {
		look_at_clock(set, run);
		if (is_over(run)) {
			finish(set, run);
			return;
		}
	} while (gons__watch_rearm(run));
}

/*
 * As if it were a run whose result is complete: it has the grace period to
 * end.
 */
int
gons__run_end(const struct settings *set, struct idle *idle)
{
	struct run run;
	int lost;

	memset(&run, 0, sizeof(run));
	gons__child_init(&run.child);
	gons__run_clear(&run);
	run.idle = idle;
	if (idle->is && idle->era != gons__era()) {
		gons__idle_free(idle);
		return ECHILD;
	}
	if (!gons__stay_take(set, &run))
		return 0;
	run.child.ops = &gons__stay;
	gons__stay_dismiss(&run.child);
	run.running = run.began = 1;
	run.era = gons__era();
	run.result.state = RESULT_COMPLETE;
	run.at.grace = now_ms() + set->grace;
	process_is(&run, ALIVE);
	gons__watch_source(&run, SRC_PIDFD);
	while (run.running)
		gons__run_work(set, &run, gons__watch_await(&run));
	lost = run.facts.lost;
	gons__run_clear(&run);
	return lost ? ETIMEDOUT : 0;
}

void
gons__run_cancel(struct run *run)
{
	run->facts.cause = BY_KILL;
	run->done = 1;
}

void
gons__run_clear(struct run *run)
{
	struct idle *idle = run->idle;
	int i;

	if (run->running) { /* a forked copy: closes, touches nothing */
		for (i = 0; i < NSRCS; i++)
			gons__unkeep(&run->child.fd[i]);
		if (run->cov != NULL)
			gons__cov_drop(run->cov);
	}
	gons__dispose(&run->child.fd[SRC_FDS], run->ntaken);
	buf_free(&run->child.words);
	buf_free(&run->result.out);
	buf_free(&run->err);
	gons__reader_free(&run->reader);
	free(run->facts.start_error);
	free(run->why);
	free(run->taken);
	memset(run, 0, sizeof(*run));
	gons__child_init(&run->child);
	run->idle = idle;
	run->facts.status = -1;
	run->pool.fd = -1;
	run->at.timeout = run->at.grace = run->at.taken = run->at.look = -1;
	run->at.told = run->at.stop = run->at.kill = run->at.lost = -1;
}
