/*
 * SPDX-License-Identifier: BSD-2-Clause
 *
 * Copyright (c) 2026 The libgons developers
 *
 * What wakes a caller that has other things to do: an epoll(7), which callers
 * watch, and a timer in it.  And when: the soonest of a run's deadlines.
 */

#include <sys/epoll.h>
#include <sys/timerfd.h>

#include <errno.h>
#include <poll.h>
#include <stdio.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "reexec.h"

#define MOMENT 100 /* ms for an exit to come to its end */

int
gons__watch_open(struct watch *watch)
{
	struct epoll_event event;
	int errnum;

	watch->timer_at = -1;
	watch->timer = -1;
	watch->epoll = fd_high(epoll_create1(EPOLL_CLOEXEC));
	if (watch->epoll == -1)
		return errno;
	watch->timer = fd_high(
	    timerfd_create(CLOCK_MONOTONIC, TFD_CLOEXEC | TFD_NONBLOCK));
	memset(&event, 0, sizeof(event));
	event.events = EPOLLIN;
	event.data.u64 = TIMER_EVENT;
	if (watch->timer == -1 || epoll_ctl(watch->epoll, EPOLL_CTL_ADD,
				      watch->timer, &event) == -1) {
		errnum = errno;
		fd_close(&watch->timer);
		fd_close(&watch->epoll);
		return errnum;
	}
	return 0;
}

/* Has the kernel that name for the descriptor?  -1: it does not say. */
static int
is_called(int fd, const char *name)
{
	char path[48], link[64];
	int proc = gons__kept_proc();
	ssize_t n;

	if (proc == -1)
		return -1;
	(void)snprintf(path, sizeof(path), "thread-self/fd/%d", fd);
	n = readlinkat(proc, path, link, sizeof(link) - 1);
	link[n > 0 ? n : 0] = '\0';
	return n == -1 ? -1 : strcmp(link, name) == 0;
}

/*
 * A timer that is in this epoll is ours, and so is the epoll.  Both numbers may
 * be the host's by now: what is no timer is not asked for, since that changes
 * what the epoll says of it.
 */
static int
timer_is_ours(const struct watch *watch)
{
	struct epoll_event event;
	struct itimerspec when;

	memset(&event, 0, sizeof(event));
	event.events = EPOLLIN;
	event.data.u64 = TIMER_EVENT;
	if (watch->timer == -1)
		return 0;
	if (timerfd_gettime(watch->timer, &when) == -1 &&
	    (errno == EINVAL || errno == EBADF))
		return 0;
	if (epoll_ctl(watch->epoll, EPOLL_CTL_MOD, watch->timer, &event) == 0)
		return 1;
	/* ENOENT, EBADF: it is another; else a filter refuses to say. */
	return errno != ENOENT && errno != EBADF &&
	       is_called(watch->timer, "anon_inode:[timerfd]") == 1;
}

/* No more time passes; the descriptor that callers watch stays. */
void
gons__watch_rest(struct watch *watch)
{
	if (timer_is_ours(watch)) {
		(void)epoll_ctl(
		    watch->epoll, EPOLL_CTL_DEL, watch->timer, NULL);
		(void)close(watch->timer);
	}
	watch->timer = -1;
	watch->timer_at = -1;
}

/*
 * An epoll(7) that is empty has nothing to be known by but the kernel's name
 * for it, or that it is empty.
 */
static int
epoll_is_ours(const struct watch *watch)
{
	struct epoll_event event;
	int is;

	if (watch->timer != -1)
		return timer_is_ours(watch);
	is = is_called(watch->epoll, "anon_inode:[eventpoll]");
	if (is == -1)
		is = epoll_wait(watch->epoll, &event, 1, 0) == 0;
	return is;
}

int
gons__watch_is_ours(const struct watch *watch)
{
	return watch->epoll != -1 && timer_is_ours(watch);
}

void
gons__watch_close(struct watch *watch)
{
	int errnum = errno;

	/* A forked copy shares both: nothing is taken out of the epoll. */
	if (watch->epoll != -1 && epoll_is_ours(watch)) {
		if (watch->timer != -1)
			(void)close(watch->timer);
		(void)close(watch->epoll);
	}
	watch->epoll = watch->timer = -1;
	errno = errnum;
}

int
gons__watch_timer(struct watch *watch, int64_t at)
{
	struct itimerspec when;

	if (at == watch->timer_at)
		return 0;
	if (!timer_is_ours(watch))
		return EBADF;
	memset(&when, 0, sizeof(when));
	if (at != -1) {
		when.it_value.tv_sec = (time_t)(at / 1000);
		when.it_value.tv_nsec = (long)(at % 1000) * 1000000 + 1;
	}
	if (timerfd_settime(watch->timer, TFD_TIMER_ABSTIME, &when, NULL) == -1)
		return errno;
	watch->timer_at = at;
	return 0;
}

/* What cannot be watched has to be looked at now and then. */
void
gons__watch_fd(struct run *run, int event, int fd, unsigned events, int how)
{
	struct epoll_event e;

	run->watched |= 1u << event;
	if (run->watch == NULL)
		return;
	memset(&e, 0, sizeof(e));
	e.events = events;
	e.data.u64 = run->tag | (unsigned)event;
	if (epoll_ctl(run->watch->epoll, how, fd, &e) == -1 && errno != EEXIST)
		run->blind = 1;
}

void
gons__watch_source(struct run *run, enum source source)
{
	if (run->child.fd[source].fd != -1 &&
	    (run->watched & 1u << source) == 0)
		gons__watch_fd(run, (int)source, run->child.fd[source].fd,
		    EPOLLIN, EPOLL_CTL_ADD);
}

void
gons__unwatch(struct run *run, enum source source)
{
	struct kept *fd = &run->child.fd[source];

	/* Its number may be another run's, which the same epoll watches. */
	if ((run->watched & 1u << source) != 0 && run->watch != NULL &&
	    gons__seems_kept(fd))
		(void)epoll_ctl(run->watch->epoll, EPOLL_CTL_DEL, fd->fd, NULL);
	run->watched &= ~(1u << source);
	if (source != SRC_PIDFD && source != SRC_FDS)
		gons__unkeep(fd);
}

/* The host may have closed it, and its number be another file's. */
int
gons__watch_has(struct run *run, enum source source)
{
	const struct kept *fd = &run->child.fd[source];

	if (fd->fd != -1 && !gons__is_kept(fd))
		gons__unwatch(run, source);
	return fd->fd != -1;
}

/* Where the host has closed it, no event tells of the end. */
void
gons__watch_end(struct run *run)
{
	if ((run->watched & 1u << SRC_PIDFD) != 0 &&
	    !gons__seems_kept(&run->child.fd[SRC_PIDFD]))
		run->blind = 1;
}

/*
 * It could not be read, for whatever reason: that is no end of file.  It is
 * tried again now and then, since an event would come at once.
 */
void
gons__watch_later(struct run *run, enum source source)
{
	if ((run->watched & 1u << source) != 0 && run->watch != NULL)
		(void)epoll_ctl(run->watch->epoll, EPOLL_CTL_DEL,
		    run->child.fd[source].fd, NULL);
	run->watched &= ~(1u << source);
	run->blind = 1;
}

/* The prepared process's socket, which is the pool's. */
void
gons__watch_pool(struct run *run, int fd)
{
	/* It may have been closed since, and its number be another run's. */
	if (run->watch != NULL && gons__seems_kept(&run->pool))
		(void)epoll_ctl(
		    run->watch->epoll, EPOLL_CTL_DEL, run->pool.fd, NULL);
	run->watched &= ~(1u << POOL_EVENT);
	gons__keep(&run->pool, fd);
	if (fd != -1)
		gons__watch_fd(run, POOL_EVENT, fd, EPOLLIN, EPOLL_CTL_ADD);
}

int64_t
gons__watch_next(const struct run *run)
{
	int64_t at = run->at.look;

	if (run->process == GONE)
		at = sooner(at, run->at.told);
	if (run->process != GONE && run->process != KNOWN) {
		at = sooner(at, run->at.stop);
		at = sooner(at, run->at.taken);
		at = sooner(at, run->at.lost);
	}
	if (run->facts.cause == BY_NOBODY) {
		at = sooner(at, run->at.timeout);
		at = sooner(at, run->at.grace);
	}
	return at;
}

/* Where no event comes, it is looked at now and then. */
static void
look_again(struct run *run)
{
	run->at.look = -1;
	if (run->process == NONE)
		run->at.look =
		    now_ms() + (run->child.wait_fd != -1 ? 10 * TICK : TICK);
	else if (run->process != GONE && run->process != KNOWN &&
		 (run->blind || run->child.fd[SRC_PIDFD].fd == -1))
		run->at.look = now_ms() + TICK;
	else if (run->process == GONE && !run->child.kernel_tells &&
		 run->child.fd[SRC_REAPED].fd == -1)
		run->at.look = now_ms() + TICK;
}

/*
 * A child that exits closes its pipes before it has ended, and its status tells
 * more than that it was ended: it gets a moment.
 */
static int
is_ending(const struct run *run)
{
	const struct kept *pidfd = &run->child.fd[SRC_PIDFD];
	struct pollfd p;

	p.fd = pidfd->fd;
	p.events = POLLIN;
	return run->process == ALIVE && run->at.grace != -1 &&
	       gons__seems_kept(pidfd) && poll(&p, 1, MOMENT) == 1;
}

/*
 * Without a timer nobody would wake the caller: pending deadlines expire now,
 * unless the end of the child wakes it.
 */
static int
hurry(struct run *run)
{
	int64_t now = now_ms(), *at[4];
	int hurried = 0;
	size_t i;

	if (is_ending(run))
		return 0;
	at[0] = &run->at.stop;
	at[1] = &run->at.grace;
	at[2] = &run->at.taken;
	at[3] = &run->at.told;
	for (i = 0; i < sizeof(at) / sizeof(*at); i++)
		if (*at[i] > now) {
			*at[i] = now;
			hurried = 1;
		}
	return hurried;
}

int
gons__watch_rearm(struct run *run)
{
	struct watch *watch = run->watch;
	int64_t at;

	look_again(run);
	at = gons__watch_next(run);
	if (watch == NULL || watch->shared || at == -1)
		return 0;
	return gons__watch_timer(watch, at) != 0 && hurry(run);
}

/*
 * When one has something or it is time to look at the clock.  A process that
 * may not poll, under a filter of somebody's, looks at all of them now and
 * then.
 */
unsigned
gons__watch_await(const struct run *run)
{
	static const struct timespec tick = { 0, TICK * 1000000L };
	struct pollfd p[NSRCS + 1];
	int64_t at = gons__watch_next(run), now;
	unsigned ready = 0;
	int i, ms = -1, n;

	for (i = 0; i < NSRCS; i++) {
		p[i].fd =
		    (run->watched & 1u << i) != 0 ? run->child.fd[i].fd : -1;
		/* the host may have closed it: it is looked at all the same */
		if (i == SRC_PIDFD && run->blind &&
		    !gons__seems_kept(&run->child.fd[i]))
			p[i].fd = -1;
		/* once it has ended POLLHUP, which tells that it is reaped */
		p[i].events =
		    i == SRC_PIDFD && run->process == GONE ? 0 : POLLIN;
		p[i].revents = 0;
	}
	p[NSRCS].fd = run->pool.fd;
	p[NSRCS].events = POLLIN;
	p[NSRCS].revents = 0;
	if (at != -1) {
		now = now_ms();
		ms = at <= now ? 0 : at - now < 60000 ? (int)(at - now) : 60000;
	}
	n = poll(p, NSRCS + 1, ms);
	if (n == -1 && errno != EINTR) {
		(void)nanosleep(&tick, NULL);
		return run->watched | 1u << SRC_PIDFD;
	}
	for (i = 0; i < NSRCS && n > 0; i++)
		if (p[i].revents != 0)
			ready |= 1u << i;
	return ready;
}
