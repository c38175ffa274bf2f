/*
 * SPDX-License-Identifier: BSD-2-Clause
 *
 * Copyright (c) 2026 The libgons developers
 *
 * A child while it runs: what it writes, what it says of itself, its time limits,
 * its end.  Nothing here blocks but gons_reexec_wait(3).
 */

#include <sys/epoll.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/timerfd.h>
#include <sys/wait.h>

#include <errno.h>
#include <poll.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "reexec.h"

#define ID_PIDFD 3 /* P_PIDFD */
#define STDERR_MAX 65536 /* bytes kept */
#define STOP_TIME 500 /* ms from SIGTERM to SIGKILL */
#define SUPERVISOR_TIME 10000 /* ms for a supervisor to end its action */
#define READS 64 /* of one descriptor in one step */

static int advance(struct gons_reexec *req, int block);
static unsigned events(const struct gons_reexec *req);
static unsigned await(const struct gons_reexec *req);
static int is_gone(const struct gons_reexec *req);
static void work(struct gons_reexec *req, unsigned ready);
static void read_out(struct gons_reexec *req);
static int read_piece(struct gons_reexec *req);
static int read_head(struct gons_reexec *req);
static void take(struct gons_reexec *req, size_t n);
static int ask(struct gons_reexec *req, const void *more, size_t len);
static void complete(struct gons_reexec *req);
static void out_of_bounds(struct gons_reexec *req, int errnum);
static void read_err(struct gons_reexec *req);
static void read_control(struct gons_reexec *req);
static void heed(
    struct gons_reexec *req, const struct message *message, size_t n);
static void reap_prepared(struct gons_reexec *req, int gone);
static int not_taken(struct gons_reexec *req);
static void take_again(struct gons_reexec *req);
static void reap(struct gons_reexec *req);
static void look_at_clock(struct gons_reexec *req);
static int hurry(struct gons_reexec *req);
static void send_kill(struct gons_reexec *req);
static int may_be_supervised(const struct gons_reexec *req);
static void kill_child(struct gons_reexec *req);
static int over(const struct gons_reexec *req);
static void finish(struct gons_reexec *req);
static void unwatch(struct gons_reexec *req, enum source source);
static int reserve(struct buffer *buffer, size_t max);
static int64_t next_time(const struct gons_reexec *req);
static int64_t sooner(int64_t a, int64_t b);

/*
 * All that can fail happens before there is a child: once it runs, the lack of
 * a descriptor must not take away what its end depends on.  What a child says
 * of itself can wait until it is needed, and does not wake the parent.
 */
int
gons__watch(struct gons_reexec *req)
{
	int i, errnum;

	if (!req->waiting && req->epoll == -1 &&
	    (req->epoll = gons__high(epoll_create1(EPOLL_CLOEXEC))) == -1)
		return errno;
	if (!req->waiting && req->fd[SRC_TIMER] == -1) {
		req->fd[SRC_TIMER] = gons__high(timerfd_create(
		    CLOCK_MONOTONIC, TFD_CLOEXEC | TFD_NONBLOCK));
		if (req->fd[SRC_TIMER] == -1)
			return errno;
		if ((errnum = gons__watch_fd(req, SRC_TIMER)) != 0)
			return errnum;
	}
	for (i = 0; i < NSRCS; i++)
		if (req->fd[i] != -1 && i != SRC_TIMER && i != SRC_CONTROL &&
		    (errnum = gons__watch_fd(req, (enum source)i)) != 0)
			return errnum;
	if (req->timeout != -1 && !req->again)
		req->timeout_at = gons__now() + req->timeout;
	return 0;
}

int
gons__watch_fd(struct gons_reexec *req, enum source source)
{
	struct epoll_event event;

	req->watched |= 1u << source;
	if (req->epoll == -1)
		return 0;
	memset(&event, 0, sizeof(event));
	event.events = EPOLLIN;
	event.data.u32 = source;
	return epoll_ctl(req->epoll, EPOLL_CTL_ADD, req->fd[source], &event) ==
		       -1
		   ? errno
		   : 0;
}

int
gons_reexec_fd(const struct gons_reexec *req)
{
	return req->epoll;
}

int
gons_reexec_wait(struct gons_reexec *req)
{
	int r;

	while ((r = advance(req, 1)) == 0)
		continue;
	return r == 1 ? 0 : -1;
}

int
gons_reexec_step(struct gons_reexec *req)
{
	return advance(req, 0);
}

static int
advance(struct gons_reexec *req, int block)
{
	if (req->state == RUNNING && req->owner != gons__era()) {
		errno = ECHILD;
		return -1;
	}
	if (req->state == RUNNING)
		work(req, block ? await(req) : events(req));
	if (req->state == RUNNING)
		return 0;
	if (req->state == IDLE && req->failure == GONS_FAIL_NONE) {
		errno = EINVAL;
		return -1;
	}
	if (req->failure == GONS_FAIL_NONE)
		return 1;
	errno = req->errnum;
	return -1;
}

/* The sources that have something, as in watched. */
static unsigned
events(const struct gons_reexec *req)
{
	struct epoll_event event[NSRCS];
	unsigned ready = 0;
	int i, n;

	n = epoll_wait(req->epoll, event, NSRCS, 0);
	for (i = 0; i < n; i++)
		ready |= 1u << event[i].data.u32;
	return ready;
}

/*
 * The same, when one has something or it is time to look at the clock.  Who may
 * not poll, under somebody's filter, looks at all of them now and then.
 */
static unsigned
await(const struct gons_reexec *req)
{
	static const struct timespec tick = { 0, TICK * 1000000L };
	struct pollfd p[NSRCS];
	unsigned ready = 0;
	int64_t at = next_time(req);
	int i, ms = -1, n;

	for (i = 0; i < NSRCS; i++) {
		p[i].fd = (req->watched & 1u << i) != 0 ? req->fd[i] : -1;
		/* once it has ended POLLHUP, which tells that it is reaped */
		p[i].events = i == SRC_PIDFD && req->exited ? 0 : POLLIN;
		p[i].revents = 0;
	}
	if (at != -1)
		ms = at <= gons__now() ? 0 : (int)(at - gons__now());
	n = poll(p, NSRCS, ms);
	if (n == -1 && errno != EINTR) {
		(void)nanosleep(&tick, NULL);
		return is_gone(req) ? req->watched
				    : req->watched & ~(1u << SRC_PIDFD);
	}
	for (i = 0; i < NSRCS && n > 0; i++)
		if (p[i].revents != 0)
			ready |= 1u << i;
	return ready;
}

/*
 * May its end be asked for?  That of a prepared child only if it is known that
 * it has ended; another's parent finds out by waitid(2).
 */
static int
is_gone(const struct gons_reexec *req)
{
	return !gons__is_prepared(req) || req->exited ||
	       (syscall(SYS_pidfd_send_signal, req->fd[SRC_PIDFD], 0, NULL,
		    0) == -1 &&
		   errno == ESRCH);
}

int
gons_reexec_kill(struct gons_reexec *req)
{
	if (req->state != RUNNING) {
		errno = ESRCH;
		return -1;
	}
	if (req->owner != gons__era()) {
		errno = ECHILD;
		return -1;
	}
	gons__stop(req, BY_KILL);
	return 0;
}

/*
 * What the child said is read before its end is looked at: who knows that it
 * has ended knows all that it said.
 */
static void
work(struct gons_reexec *req, unsigned ready)
{
	uint64_t expirations;

	if ((ready & 1u << SRC_TIMER) != 0 &&
	    read(req->fd[SRC_TIMER], &expirations, sizeof(expirations)) != -1)
		req->timer_at = -1;
	if (gons__is_prepared(req)) {
		reap_prepared(req, (ready & 1u << SRC_PIDFD) != 0);
		if (!req->ended && not_taken(req))
			take_again(req);
	} else if ((ready & 1u << SRC_PIDFD) != 0 || req->fd[SRC_PIDFD] == -1) {
		reap(req);
	}
	if (req->ended)
		ready |= 1u << SRC_CONTROL | 1u << SRC_OUT | 1u << SRC_ERR;
	if ((ready & 1u << SRC_CONTROL) != 0)
		read_control(req);
	if ((ready & 1u << SRC_ERR) != 0)
		read_err(req);
	if ((ready & 1u << SRC_OUT) != 0)
		read_out(req);
	do {
		look_at_clock(req);
		if (over(req)) {
			finish(req);
			return;
		}
	} while (gons__set_timer(req) != 0 && hurry(req));
}

static void
read_out(struct gons_reexec *req)
{
	int i;

	for (i = 0; i < READS && req->fd[SRC_OUT] != -1; i++)
		if (!read_piece(req))
			break;
}

/* Returns 0 when there is nothing more to read now. */
static int
read_piece(struct gons_reexec *req)
{
	struct buffer *out = &req->out;
	char dropped[CHUNK];
	size_t room = sizeof(dropped);
	char *to = dropped;
	ssize_t n;

	if (!req->finished) {
		if ((req->flags & GONS_REEXEC_REPLY) != 0 &&
		    req->nhead < sizeof(req->head))
			return read_head(req);
		if (reserve(out, req->maxresult + 1) != 0) {
			out_of_bounds(req, ENOMEM);
			return 0;
		}
		to = out->data + out->len;
		room = out->size - out->len - 1;
	}
	n = read(req->fd[SRC_OUT], to, room);
	if (n == -1)
		return errno == EINTR;
	if (n == 0) {
		unwatch(req, SRC_OUT);
		if (!req->finished)
			take(req, 0);
	} else if (!req->finished) {
		take(req, (size_t)n);
	}
	return n > 0;
}

/* The length that precedes a reply, the most significant byte first. */
static int
read_head(struct gons_reexec *req)
{
	ssize_t n;

	n = read(req->fd[SRC_OUT], req->head + req->nhead,
	    sizeof(req->head) - req->nhead);
	if (n == -1)
		return errno == EINTR;
	if (n == 0) {
		unwatch(req, SRC_OUT);
		complete(req);
		return 0;
	}
	req->nhead += (size_t)n;
	if (req->nhead < sizeof(req->head))
		return 1;
	if (gons__reply_length(req) > req->maxresult)
		out_of_bounds(req, EMSGSIZE);
	else
		take(req, 0);
	return 1;
}

/*
 * n bytes have come to the result, 0: its end or its beginning.  What follows
 * a result that is complete is not too much, however it was cut into pieces.
 */
static void
take(struct gons_reexec *req, size_t n)
{
	struct buffer *out = &req->out;
	int end, much, r = 0;

	out->len += n;
	much = out->len > req->maxresult;
	if (much) {
		n -= out->len - req->maxresult;
		out->len = req->maxresult;
	}
	if (out->data != NULL)
		out->data[out->len] = '\0';
	end =
	    req->fd[SRC_OUT] == -1 || ((req->flags & GONS_REEXEC_REPLY) != 0 &&
					  out->len >= gons__reply_length(req));
	if (n > 0)
		r = ask(req, out->data + out->len - n, n);
	if (r == 0 && much)
		out_of_bounds(req, EMSGSIZE);
	else if (r == 0 && end)
		r = ask(req, "", 0);
	if (r != 0 || end)
		complete(req);
}

/* len 0: there is nothing more to come. */
static int
ask(struct gons_reexec *req, const void *more, size_t len)
{
	int r;

	if (req->complete == NULL)
		return 0;
	r = req->complete(req->complete_state, more, len);
	if (r == -1)
		req->rejected = 1;
	else if (r != 0)
		req->accepted = 1;
	return r;
}

/* Nothing more is wanted from the child: it has its grace period to exit. */
static void
complete(struct gons_reexec *req)
{
	if (!req->finished && req->grace_at == -1)
		req->grace_at = gons__now() + req->grace;
	req->finished = 1;
}

static void
out_of_bounds(struct gons_reexec *req, int errnum)
{
	req->finished = 1;
	req->errnum = errnum;
	gons__stop(req, BY_SIZE);
}

static void
read_err(struct gons_reexec *req)
{
	struct buffer *err = &req->err;
	char dropped[CHUNK], *to;
	size_t room;
	ssize_t n;
	int i;

	for (i = 0; i < READS && req->fd[SRC_ERR] != -1; i++) {
		to = dropped;
		room = sizeof(dropped);
		if (err->len < STDERR_MAX && reserve(err, STDERR_MAX) == 0) {
			to = err->data + err->len;
			room = err->size - err->len - 1;
		}
		n = read(req->fd[SRC_ERR], to, room);
		if (n == -1 && errno != EINTR)
			break;
		if (n == 0)
			unwatch(req, SRC_ERR);
		if (n > 0 && to != dropped)
			err->len += (size_t)n;
	}
}

static void
read_control(struct gons_reexec *req)
{
	struct message message;
	size_t n;
	int i;

	for (i = 0; i < READS && req->fd[SRC_CONTROL] != -1; i++) {
		n = gons__receive(
		    req->fd[SRC_CONTROL], &message, sizeof(message), NULL, 0);
		if (n == 0)
			break;
		if (n != (size_t)-1) {
			heed(req, &message, n);
		} else if (errno == ECONNRESET) {
			/* or a supervisor has not read MSG_KILL */
			req->untaken =
			    gons__is_prepared(req) && req->cause == BY_NOBODY;
		} else {
			unwatch(req, SRC_CONTROL);
		}
	}
}

/* The child may say anything: it is believed as far as it speaks of itself. */
static void
heed(struct gons_reexec *req, const struct message *message, size_t n)
{
	switch (message->kind) {
	case MSG_REACHED:
		/* What comes from an action is no news: it is too late. */
		if (!req->reached ||
		    (gons__is_prepared(req) && may_be_supervised(req)))
			req->supervised = message->value;
		req->reached = 1;
		break;
	case MSG_STATUS:
		if (req->told && WIFSIGNALED(req->told_status))
			break;
		req->told = 1;
		req->told_status = message->value & 0xffff;
		break;
	case MSG_REAPED:
		req->reaped = 1;
		req->reaped_status = message->value & 0xffff;
		break;
	case MSG_STARTUP:
		if (n < sizeof(*message))
			break;
		/* FALLTHROUGH */
	case MSG_UNKNOWN:
	case MSG_FORK:
	case MSG_LOST:
		req->startup = 1;
		req->start = *message;
		break;
	default:
		break;
	}
}

/*
 * A prepared child's status is told by the kernel when the child has been
 * reaped, which may be an instant after its end, or by its parent.
 */
static void
reap_prepared(struct gons_reexec *req, int gone)
{
	struct epoll_event event;
	int status, known = 0;

	if (req->ended || (!gone && !req->exited))
		return;
	read_control(req);
	if (req->kernel_tells)
		known = gons__kernel_status(req, &status);
	if (req->reaped) {
		known = 1;
		status = req->reaped_status;
	}
	if (!req->exited) {
		req->exited = 1;
		/* who would tell may be dead, and init takes its time */
		req->taken_at =
		    gons__now() + (req->told ? 2 * TICK : STOP_TIME);
		memset(&event, 0, sizeof(event)); /* EPOLLHUP: reaped */
		event.data.u32 = SRC_PIDFD;
		if (known || !req->kernel_tells)
			unwatch(req, SRC_PIDFD);
		else if (req->epoll != -1)
			(void)epoll_ctl(req->epoll, EPOLL_CTL_MOD,
			    req->fd[SRC_PIDFD], &event);
		if (!known && !req->kernel_tells && req->fd[SRC_CONTROL] != -1)
			(void)gons__watch_fd(req, SRC_CONTROL);
	}
	if (!known && gons__now() < req->taken_at &&
	    (req->kernel_tells || req->fd[SRC_CONTROL] != -1))
		return;
	unwatch(req, SRC_PIDFD);
	if (req->untaken)
		return;
	req->ended = 1;
	if (known)
		req->status = status;
	if (req->grace_at == -1)
		req->grace_at = gons__now() + req->grace;
}

/* Has the spare ended, or is it stopped, without having read the request? */
static int
not_taken(struct gons_reexec *req)
{
	int unread = 0;

	if (req->untaken)
		return 1;
	if (req->taken_at == -1 || req->exited || gons__now() < req->taken_at)
		return 0;
	req->taken_at = -1;
	if (req->fd[SRC_CONTROL] == -1 ||
	    ioctl(req->fd[SRC_CONTROL], TIOCOUTQ, &unread) == -1)
		return 0;
	return unread > 0;
}

/*
 * The request goes to another spare, which may have shared the fate of the
 * first, or to another prepared process; unless it is not wanted any more.
 */
static void
take_again(struct gons_reexec *req)
{
	int errnum = req->untaken ? EPROTO : ETIMEDOUT;
	int tries = req->untaken ? SPARES_TRIED : LOST_TRIED;

	(void)gons__send_signal(req, SIGKILL);
	if (!req->untaken)
		gons__prepared_lost();
	gons__close_channels(req);
	unwatch(req, SRC_OUT);
	gons__cov_collect(req->cov);
	req->cov = NULL;
	req->untaken = req->exited = 0;
	if (req->cause == BY_NOBODY && req->again < tries) {
		req->again++;
		req->finished = 0;
		req->grace_at = -1;
		if ((errnum = gons__begin(req)) == 0)
			return;
		gons__close_channels(req);
		unwatch(req, SRC_OUT);
	}
	req->ended = 1;
	if (req->cause == BY_NOBODY) {
		req->startup = 1;
		req->start.kind = MSG_LOST;
		req->start.value = errnum;
	}
}

/* All that is connected with a child that will not have the request. */
void
gons__close_channels(struct gons_reexec *req)
{
	unwatch(req, SRC_PIDFD);
	unwatch(req, SRC_CONTROL);
	if ((req->flags & GONS_REEXEC_REPLY) == 0)
		unwatch(req, SRC_OUT);
	unwatch(req, SRC_ERR);
}

static void
reap(struct gons_reexec *req)
{
	siginfo_t info;
	int pidfd = req->fd[SRC_PIDFD], r;

	if (req->ended)
		return;
	info.si_pid = 0;
	r = (int)syscall(SYS_waitid, pidfd != -1 ? ID_PIDFD : (int)P_PID,
	    pidfd != -1 ? pidfd : req->pid, &info, WEXITED | WNOHANG, NULL);
	if (r == -1 && errno == EINVAL && pidfd != -1) {
		unwatch(req, SRC_PIDFD); /* before Linux 5.4 */
		return;
	}
	if (r == -1 && errno == EINTR)
		return;
	if (r == 0 && info.si_pid == 0)
		return;
	req->ended = 1;
	if (r == -1)
		req->status = -1; /* the host has collected it */
	else if (info.si_code == CLD_EXITED)
		req->status = (info.si_status & 0xff) << 8;
	else
		req->status =
		    info.si_status | (info.si_code == CLD_DUMPED ? 0x80 : 0);
	unwatch(req, SRC_PIDFD);
	if (req->grace_at == -1)
		req->grace_at = gons__now() + req->grace;
}

/* What time has run out; a result that is complete is never too late. */
static void
look_at_clock(struct gons_reexec *req)
{
	int64_t t;

	if (req->ended || req->exited ||
	    (req->timeout_at == -1 && req->grace_at == -1 &&
		req->stop_at == -1))
		return;
	t = gons__now();
	if (req->stop_at != -1 && t >= req->stop_at) {
		req->stop_at = -1;
		if (req->asked)
			kill_child(req);
		else
			send_kill(req);
	}
	if (req->timeout_at != -1 && t >= req->timeout_at)
		gons__stop(req, req->finished ? BY_GRACE : BY_TIMEOUT);
	if (req->grace_at != -1 && t >= req->grace_at)
		gons__stop(req, BY_GRACE);
}

/*
 * Without a timer nobody would wake whoever waits: no more time is given.
 * Returns 0 when there is none to take.
 */
static int
hurry(struct gons_reexec *req)
{
	int64_t t = gons__now();
	int taken = 0;

	if (req->stop_at > t) {
		req->stop_at = t;
		taken = 1;
	}
	if (req->grace_at > t) {
		req->grace_at = t;
		taken = 1;
	}
	return taken;
}

/*
 * Who has nothing to say any more may still have coverage data to write.
 */
void
gons__stop(struct gons_reexec *req, enum cause cause)
{
	if (req->cause != BY_NOBODY &&
	    !(req->cause == BY_GRACE && cause == BY_KILL))
		return;
	req->cause = cause;
	if (req->ended || req->exited || req->killed)
		return;
	read_control(req); /* is it supervised? */
	if (cause == BY_GRACE && req->cov != NULL) {
		(void)gons__send_signal(req, SIGTERM);
		req->stop_at = gons__now() + STOP_TIME;
		return;
	}
	send_kill(req);
}

/*
 * A supervisor has to kill its action first: what it may do, this process may
 * not be able to do.  If it does not, being still in start-up or stopped, it
 * is killed itself.
 */
static void
send_kill(struct gons_reexec *req)
{
	struct message message;
	int i;

	if (req->fd[SRC_CONTROL] == -1 || !may_be_supervised(req)) {
		kill_child(req);
		return;
	}
	message.kind = MSG_KILL;
	message.value = 0;
	for (i = 0; i < 3; i++)
		if (send(req->fd[SRC_CONTROL], &message, MESSAGE_SHORT,
			MSG_NOSIGNAL | MSG_DONTWAIT) != -1 ||
		    errno != EINTR)
			break;
	(void)gons__send_signal(req, SIGCONT);
	req->asked = 1;
	req->stop_at =
	    gons__now() + (req->supervised ? SUPERVISOR_TIME : STOP_TIME);
}

/* It is, or it has yet to tell and may be soon. */
static int
may_be_supervised(const struct gons_reexec *req)
{
	unsigned i;

	if (req->supervised || (req->reached && !gons__is_prepared(req)))
		return req->supervised;
	if (req->target != -1 ||
	    (req->flags & GONS_REEXEC_DIE_WITH_PARENT) != 0)
		return 1;
	for (i = 0; i < req->nrefs; i++)
		if (req->ref[i].type == GONS_PID)
			return 1;
	return 0;
}

/*
 * A child that has become another user's may be out of reach.  It is not
 * waited for then.
 */
static void
kill_child(struct gons_reexec *req)
{
	req->killed = 1;
	if (gons__send_signal(req, SIGKILL) == -1 && errno == EPERM)
		req->ended = 1;
}

int
gons__send_signal(const struct gons_reexec *req, int signo)
{
	if (req->fd[SRC_PIDFD] != -1 &&
	    (syscall(SYS_pidfd_send_signal, req->fd[SRC_PIDFD], signo, NULL,
		 0) == 0 ||
		errno == ESRCH))
		return 0;
	/* Filters of system calls that do not know it say this and that. */
	if (req->pid > 0)
		return kill(req->pid, signo);
	if (req->fd[SRC_PIDFD] == -1)
		errno = ESRCH;
	return -1;
}

/*
 * Its end is awaited in any case.  Then somebody else may hold its pipes:
 * after the grace period, or when it was stopped, that is no reason to wait.
 */
static int
over(const struct gons_reexec *req)
{
	if (!req->ended)
		return 0;
	if (req->cause != BY_NOBODY)
		return 1;
	if ((req->finished || req->fd[SRC_OUT] == -1) && req->fd[SRC_ERR] == -1)
		return 1;
	return gons__now() >= sooner(req->grace_at, req->timeout_at);
}

static void
finish(struct gons_reexec *req)
{
	if (req->out.data == NULL)
		(void)reserve(&req->out, 1);
	if (req->out.data != NULL)
		req->out.data[req->out.len] = '\0';
	if (!req->finished && req->cause == BY_NOBODY) {
		/* Somebody else holds the pipe: what came is all there is. */
		unwatch(req, SRC_OUT);
		if ((req->flags & GONS_REEXEC_REPLY) == 0 ||
		    req->nhead == sizeof(req->head))
			take(req, 0);
	}
	if (req->told && (req->status == -1 || WIFSIGNALED(req->told_status)))
		req->status = req->told_status;
	req->state = DONE;
	gons__release(req);
	free(req->error); /* of something refused while it was running */
	req->error = NULL;
	gons__judge(req);
}

static void
unwatch(struct gons_reexec *req, enum source source)
{
	req->watched &= ~(1u << source);
	if (req->fd[source] != -1 && req->epoll != -1)
		(void)epoll_ctl(
		    req->epoll, EPOLL_CTL_DEL, req->fd[source], NULL);
	gons__close_fd(&req->fd[source]);
}

/* Room for at least one byte and a NUL, as long as len is below max. */
static int
reserve(struct buffer *buffer, size_t max)
{
	size_t size = buffer->size;
	char *data;

	if (buffer->len + 1 < size)
		return 0;
	size = size == 0 ? CHUNK : size * 2;
	if (size > max + 1)
		size = max + 1;
	if ((data = realloc(buffer->data, size)) == NULL)
		return ENOMEM;
	buffer->data = data;
	buffer->size = size;
	return 0;
}

/* The descriptor of the request becomes readable when time has run out. */
int
gons__set_timer(struct gons_reexec *req)
{
	struct itimerspec when;
	int64_t at = next_time(req);

	if (at == -1 || at == req->timer_at || req->waiting)
		return 0;
	memset(&when, 0, sizeof(when));
	when.it_value.tv_sec = (time_t)(at / 1000);
	when.it_value.tv_nsec = (long)(at % 1000) * 1000000 + 1;
	if (timerfd_settime(
		req->fd[SRC_TIMER], TFD_TIMER_ABSTIME, &when, NULL) == -1)
		return errno;
	req->timer_at = at;
	return 0;
}

/* When to look at the clock again; -1: not for the sake of time. */
static int64_t
next_time(const struct gons_reexec *req)
{
	int64_t at = -1;

	if (gons__is_prepared(req)) {
		if (!req->ended)
			at = req->taken_at;
	} else if (req->fd[SRC_PIDFD] == -1 && !req->ended) {
		at = gons__now() + TICK;
	}
	at = sooner(at, req->stop_at);
	if (req->cause == BY_NOBODY) {
		at = sooner(at, req->timeout_at);
		at = sooner(at, req->grace_at);
	}
	return at;
}

static int64_t
sooner(int64_t a, int64_t b)
{
	return a == -1 || (b != -1 && b < a) ? b : a;
}
