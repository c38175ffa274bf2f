/*
 * SPDX-License-Identifier: BSD-2-Clause
 *
 * Copyright (c) 2026 The libgons developers
 *
 * The back end for prepared children: what a fresh child would be executed
 * with is sent to a spare of the prepared process instead.
 */

#include <sys/syscall.h>
#include <sys/wait.h>

#include <errno.h>
#include <poll.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "reexec.h"

#define FDS_MORE 4 /* descriptors of a request beside those that stay */
#define CROWD_TIME 2000 /* ms in which too many descriptors are on their way */

/* It has its own pipes and an empty stdin. */
static int
open_stdio(
    const struct settings *set, struct launch *launch, struct child *child)
{
	int errnum = 0;

	if (set->paramlen > 0)
		errnum = gons__launch_param(set, &launch->stdio[0]);
	if (errnum == 0 && (set->flags & GONS_REEXEC_STDERR_PASS) != 0 &&
	    (errnum = gons__launch_stderr(&launch->stdio[2])) == EBADF)
		errnum = 0;
	if (errnum == 0 && (set->flags & GONS_REEXEC_REPLY) != 0)
		errnum = gons__launch_reply(set, launch, child->fd);
	return errnum;
}

/*
 * The message: struct request, the descriptors' numbers, the affinity mask,
 * the environment.  The first descriptor has the environment if its number is
 * -1, for most fit into a message.
 */
struct parcel {
	struct buf block;
	int fds[RIGHTS_MAX];
	int number[RIGHTS_MAX];
	size_t n;
	int memory; /* ours to close */
	int has_stderr; /* the host's; else what comes there is dropped */
};

static int
pack_env(char **envp, struct buf *env)
{
	int errnum = 0;

	for (; *envp != NULL && errnum == 0; envp++)
		errnum = buf_add(env, *envp, strlen(*envp) + 1);
	return errnum;
}

static void
pack_fd(struct parcel *parcel, int fd, int number)
{
	parcel->fds[parcel->n] = fd;
	parcel->number[parcel->n++] = number;
}

static int
pack(const struct launch *launch, struct parcel *parcel)
{
	unsigned char cpus[CPUS_MAX];
	struct request head;
	struct buf env = { NULL, 0, 0, 0 };
	int errnum;
	size_t i;

	memset(parcel, 0, offsetof(struct parcel, fds));
	parcel->n = 0;
	parcel->memory = -1;
	parcel->has_stderr = launch->stdio[2] != -1;
	if (launch->nfds + FDS_MORE > RIGHTS_MAX)
		return E2BIG;
	errnum = pack_env(launch->envp, &env);
	if (errnum == 0 && env.len > REQUEST_ENV) {
		parcel->memory =
		    gons__memory_fd("gons-request", MFD_NOEXEC_SEAL);
		errnum = parcel->memory == -1
			     ? errno
			     : write_at(parcel->memory, env.p, env.len, 0);
		pack_fd(parcel, parcel->memory, -1);
		env.len = 0;
	}
	for (i = 0; i < 3; i++)
		if (launch->stdio[i] != -1)
			pack_fd(parcel, launch->stdio[i], (int)i);
	for (i = 0; i < launch->nfds; i++)
		pack_fd(parcel, launch->fds[i], launch->fds[i]);
	memset(&head, 0, sizeof(head));
	head.kind = MSG_REQUEST;
	head.nfds = (uint32_t)parcel->n;
	gons__pool_inherit(&head, cpus, sizeof(cpus));
	if (errnum == 0)
		errnum = buf_add(&parcel->block, &head, sizeof(head));
	if (errnum == 0)
		errnum = buf_add(&parcel->block, parcel->number,
		    parcel->n * sizeof(*parcel->number));
	if (errnum == 0)
		errnum = buf_add(&parcel->block, cpus, head.cpubytes);
	if (errnum == 0)
		errnum = buf_add(&parcel->block, env.p, env.len);
	buf_free(&env);
	return errnum;
}

static void
unpack(struct parcel *parcel)
{
	buf_free(&parcel->block);
	fd_close(&parcel->memory);
}

/* Closes the descriptors of a spare that did not take the request. */
static void
drop_spare(struct child *child)
{
	gons__unkeep(&child->fd[SRC_PIDFD]);
	gons__unkeep(&child->fd[SRC_ERR]);
	gons__unkeep(&child->fd[SRC_TELL]);
	gons__unkeep(&child->fd[SRC_REAPED]);
}

/* The spare's descriptors that this run uses; those of a reply stay. */
static int
adopt(const struct settings *set, struct child *child, int has_stderr,
    int fds[NSPARE])
{
	int sock = fds[SPARE_SOCKET];

	if ((set->flags & GONS_REEXEC_REPLY) != 0) {
		fd_close(&fds[SPARE_OUT]);
	} else {
		gons__unkeep(&child->fd[SRC_OUT]);
		gons__keep(&child->fd[SRC_OUT], fds[SPARE_OUT]);
	}
	if (has_stderr)
		fd_close(&fds[SPARE_ERR]);
	else
		gons__keep(&child->fd[SRC_ERR], fds[SPARE_ERR]);
	gons__keep(&child->fd[SRC_TELL], fds[SPARE_TELL]);
	gons__keep(&child->fd[SRC_REAPED], fds[SPARE_REAPED]);
	gons__keep_pidfd(&child->fd[SRC_PIDFD], fds[SPARE_PIDFD]);
	return sock;
}

/*
 * The request first, then the go: whether the spare may run it, this process
 * finds out while that one wakes up.  Nothing has happened by then that takes
 * any privilege.
 */
static int
hand_over(struct child *child, int sock, const struct parcel *parcel)
{
	int64_t until = now_ms() + CROWD_TIME;
	int errnum;

	/* Too many descriptors on their way: no event tells. */
	while (
	    (errnum = gons__send_block(sock, parcel->block.p, parcel->block.len,
		 parcel->fds, parcel->n)) == ETOOMANYREFS &&
	    now_ms() < until)
		(void)poll(NULL, 0, 1);
	gons__trace("send %s", gons__kind_name(MSG_REQUEST));
	if (errnum == 0)
		errnum = gons__pool_check(child->pool);
	return errnum != 0 ? errnum : gons__send(sock, MSG_GO, 0, NULL, 0);
}

static int
to_a_spare(const struct settings *set, struct child *child,
    const struct parcel *parcel)
{
	int errnum, fds[NSPARE], sock, tries = 0;

	do {
		errnum = gons__pool_take(
		    child, (set->flags & GONS_REEXEC_SEALED) != 0, fds);
		if (errnum != 0)
			return errnum;
		sock = adopt(set, child, parcel->has_stderr, fds);
		errnum = hand_over(child, sock, parcel);
		fd_close(&sock);
		if (errnum != 0)
			drop_spare(child);
	} while ((errnum == EPIPE || errnum == ESTALE) &&
		 tries++ < SPARES_MAX + 2); /* all dead, then a new one */
	return errnum;
}

static int
spare_start(const struct settings *set, struct child *child,
    struct gons__cov *cov, const int fds[2])
{
	struct launch launch;
	struct parcel parcel;
	int errnum;

	(void)cov; /* the environment is the prepared process's */
	gons__launch_init(&launch, set);
	launch.what.fd[GONS__FD_COVERAGE] = fds[0];
	launch.what.fd[GONS__FD_PROFILE] = fds[1];
	errnum = open_stdio(set, &launch, child);
	if (errnum == 0)
		errnum =
		    gons__launch_hold(set, &launch, &child->fd[SRC_ORDERS]);
	if (errnum == 0)
		errnum = gons__launch_lists(set, &launch);
	if (errnum == 0) {
		errnum = pack(&launch, &parcel);
		if (errnum == 0)
			errnum = to_a_spare(set, child, &parcel);
		unpack(&parcel);
	}
	gons__launch_free(&launch);
	return errnum;
}

static int
spare_gone(struct child *child)
{
	const struct kept *pidfd = &child->fd[SRC_PIDFD];

	/* Without its pidfd it has ended when nobody can write to TELL any more. */
	return gons__has_ended(pidfd) ||
	       (!gons__is_kept(pidfd) && child->fd[SRC_TELL].fd == -1);
}

/* Told by the prepared process, where the kernel does not. */
static int
told_status(struct kept *from, int *status)
{
	struct reader reader;
	int r, value = -1;

	if (!gons__is_kept(from))
		return -1;
	memset(&reader, 0, sizeof(reader));
	r = gons__read_message(from->fd, &reader);
	if (r == 1 &&
	    (reader.kind != MSG_STATUS || !gons__reader_value(&reader, &value)))
		r = -1;
	gons__reader_free(&reader);
	*status = value & 0xffff;
	return r;
}

/*
 * It is reaped by the prepared process, by init if that has ended, or by us if
 * we are the one that orphans are given to.
 */
static int
spare_status(struct child *child, int *status)
{
	siginfo_t info;
	int is_ours = gons__is_kept(&child->fd[SRC_PIDFD]), r;

	if (is_ours && child->kernel_tells &&
	    gons__kernel_status(&child->fd[SRC_PIDFD], status))
		return 1;
	info.si_pid = 0;
	/* ECHILD: it is another's; the pool may have ended without our knowing. */
	if (is_ours &&
	    syscall(SYS_waitid, ID_PIDFD, child->fd[SRC_PIDFD].fd, &info,
		WEXITED | WNOHANG, NULL) == 0 &&
	    info.si_pid != 0) {
		*status = gons__wait_status(&info);
		return 1;
	}
	if (child->kernel_tells)
		return 0;
	r = told_status(&child->fd[SRC_REAPED], status);
	if (r == -1 && is_ours && gons__adopts_orphans()) {
		/* Who would tell is about to end, and then it comes to us. */
		return 2;
	}
	return r;
}

/* When it is over: to make another while it runs would slow it down. */
static void
spare_over(struct child *child)
{
	gons__pool_took(child->pool);
}

static void
spare_deaf(struct child *child)
{
	gons__pool_lost(child->pool);
}

const struct child_ops gons__spare = { "spare", spare_start, spare_gone,
	spare_status, spare_deaf, spare_over, 1 };
