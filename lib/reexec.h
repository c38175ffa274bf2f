/*
 * SPDX-License-Identifier: BSD-2-Clause
 *
 * Copyright (c) 2026 The libgons developers
 *
 * What the parts of reexec.o share with each other, by the part that provides
 * it; see reexec.c.
 *
 * Between parent and child there are, besides the child's standard
 * descriptors, a socket on which the child tells how far it came ("control"),
 * and one for the result with GONS_REEXEC_REPLY.
 */

#ifndef GONS_REEXEC_H
#define GONS_REEXEC_H

#include <sys/types.h>

#include <stddef.h>
#include <stdint.h>

#include <gons.h>

#include "internal.h"

/* The kernel's numbers, for headers that are older than it. */
#ifndef SYS_pidfd_send_signal
#define SYS_pidfd_send_signal 424
#endif
#ifndef SYS_pidfd_open
#define SYS_pidfd_open 434
#endif
#ifndef MFD_NOEXEC_SEAL
#define MFD_NOEXEC_SEAL 0x0008u
#define MFD_EXEC 0x0010u
#endif

#define PREPARE 0x40000000u /* flag of an action: be a prepared process */
#define RIGHTS_MAX 253 /* descriptors in one message: SCM_MAX_FD */
#define SPARES 2 /* children that are forked ahead, unless told otherwise */
#define SPARES_MAX 64
#define SPARES_TRIED (SPARES_MAX + 2) /* all dead, then a new one */
#define LOST_TRIED 4 /* that do not answer: each takes seconds */
#define TICK 10 /* ms between looks, without a pidfd */
#define CHUNK 4096
/*
 * What runs in borrowed memory and never returns would confuse a sanitizer's
 * idea of that stack.
 */
#define BORROWED __attribute__((no_sanitize("address"), no_sanitize("thread")))

enum kind { /* of a message on the control socket */
	MSG_REACHED = 1, /* gons_reexec_check(); value: is supervised */
	MSG_STARTUP, /* start-up failed: error */
	MSG_UNKNOWN, /* the action is not registered */
	MSG_FORK, /* no process in the pid namespace: value errno */
	MSG_STATUS, /* value: as from waitpid(2) */
	MSG_PREPARED, /* a prepared process; with its pidfd */
	MSG_WANT, /* to it: a spare is wanted; value: see prepared_want() */
	MSG_SPARE, /* from it; with descriptors */
	MSG_REQUEST, /* to a spare: value descriptors, see spare_take() */
	MSG_GO, /* to it: now */
	MSG_LOST, /* it could not take the request: value errno */
	MSG_REAPED, /* its status, told by the prepared process */
	MSG_KILL /* to a supervisor */
};

struct message {
	int kind;
	int value;
	struct gons_error error;
};
#define MESSAGE_SHORT offsetof(struct message, error)

struct action {
	struct action *next;
	int (*function)(void);
	char name[];
};

struct buffer {
	char *data;
	size_t len, size;
};

enum source {
	SRC_OUT,
	SRC_ERR,
	SRC_CONTROL,
	SRC_PIDFD,
	SRC_TIMER,
	NSRCS
};

enum state {
	IDLE,
	RUNNING,
	DONE
};

enum cause {
	BY_NOBODY,
	BY_GRACE,
	BY_TIMEOUT,
	BY_KILL,
	BY_SIZE
};

struct reference {
	int type, early;
	int fd; /* -1: path */
	char *path; /* NULL: fd */
};

struct gons_reexec {
	char *action;
	struct reference ref[GONS_NTYPES];
	unsigned nrefs;
	char *order;
	int target; /* pidfd, or -1 */
	unsigned target_types;
	void *data;
	int (*complete)(void *, const void *, size_t);
	void *complete_state;
	char **env; /* "NAME=value", or "NAME" to be removed */
	size_t nenv;
	void *param;
	size_t paramlen;
	int *keep;
	size_t nkeep;
	int grace, timeout; /* ms */
	size_t maxresult;
	unsigned flags;
	void *attached; /* by libgons_json */
	void (*detach)(void *);

	enum state state;
	unsigned owner; /* the process whose child it is: era() */
	pid_t pid;
	int fd[NSRCS]; /* each -1 when it is not open */
	int epoll; /* -1: this thread waits for them itself */
	unsigned watched; /* 1 << enum source */
	int64_t timeout_at, grace_at, stop_at; /* ms; -1: never */
	int64_t timer_at; /* what the timer is set to */
	int passed; /* its stderr is the host's */
	int waiting; /* by gons_reexec_run(), which needs no timer */
	int64_t taken_at; /* a spare has taken it by then; later: */
	int retried; /* the prepared process has been replaced for it */
	int untaken; /* the spare has ended without reading it */
	int again; /* how often it has been handed over another time */
	int exited; /* a prepared child has, its status is to come: */
	int kernel_tells; /* from the kernel, or */
	int reaped, reaped_status; /* from the prepared process */
	enum cause cause; /* who ended it */
	int asked; /* its supervisor is told to kill it */
	int killed; /* SIGKILL is sent */
	int reached; /* gons_reexec_check() */
	int supervised; /* the action is a child of the child */
	int ended, told; /* status, from the kernel or from itself */
	int status, told_status;
	int finished; /* the result is complete */
	int rejected; /* and does not decode */
	int accepted; /* and does, says who was asked */
	int startup; /* a message tells that it did not start */
	struct message start; /* that message; the error at its end apart */
	unsigned char head[8]; /* length of a reply */
	size_t nhead;
	struct buffer out, err;
	struct gons__cov *cov;

	enum gons_failure failure;
	int errnum;
	char *error;
	char *why; /* the result does not decode */
};

struct launch { /* what the child needs until it executes */
	int stdio[3];
	int exe;
	int *fds; /* sorted; the executable is one of them */
	size_t nfds;
	char **argv, **envp;
	int errnum;
};

/* What gons_reexec_check() found. */
struct self {
	char *argv0;
	int allowed;
	int child;
	int exe; /* this program, -1 with errnum */
	int errnum; /* why there is none */
};
extern GONS_INTERNAL struct self gons__self;

/* The child's own: how to tell what happens to it. */
struct child {
	pid_t pid;
	int control;
	int reply;
	char *block; /* of a spare: for the request */
	int forked; /* off a prepared process */
	int value, known; /* to exit with */
};
extern GONS_INTERNAL struct child gons__child;

/* reexec.c */
GONS_INTERNAL const struct action *gons__find_action(const char *name);
GONS_INTERNAL int gons__env_index(
    const struct gons_reexec *req, const char *name, size_t len, size_t *index);
GONS_INTERNAL void gons__forget(struct gons_reexec *req);
GONS_INTERNAL void gons__release(struct gons_reexec *req);
GONS_INTERNAL int gons__busy(const struct gons_reexec *req);

/* reexec_check.c */
GONS_INTERNAL unsigned gons__era(void);
GONS_INTERNAL void gons__tell(
    int kind, int value, const struct gons_error *error);
GONS_INTERNAL void gons__tell_at_exit(void);
GONS_INTERNAL void gons__die_with(int parent);

/* reexec_prepared.c */
GONS_INTERNAL void gons__prepared_process(
    const struct gons__action *what, int *status);
GONS_INTERNAL int gons__hand_over(
    struct gons_reexec *req, const struct launch *launch);
GONS_INTERNAL void gons__prepared_lost(void);
GONS_INTERNAL int gons__kernel_status(
    const struct gons_reexec *req, int *status);

/* reexec_io.c */
GONS_INTERNAL int gons__send_fds(
    int sock, int kind, int value, const int *fds, size_t n);
GONS_INTERNAL int gons__send_block(
    int sock, const void *block, size_t len, const int *fds, size_t n);
GONS_INTERNAL size_t gons__receive(
    int sock, void *buf, size_t size, int *fds, size_t n);
GONS_INTERNAL int gons__open_socket(int type, int *ours, int *theirs);
GONS_INTERNAL int gons__open_pipe(int *ours, int *theirs);
GONS_INTERNAL int gons__memory_fd(const char *name, unsigned flag);
GONS_INTERNAL int gons__write_all(int fd, const void *buf, size_t len);
GONS_INTERNAL int gons__seal(int fd);
GONS_INTERNAL int64_t gons__now(void);
GONS_INTERNAL int gons__dup_high(int fd);
GONS_INTERNAL int gons__high(int fd);
GONS_INTERNAL void gons__close_fd(int *fd);

/* reexec_start.c */
GONS_INTERNAL int gons__begin(struct gons_reexec *req);
GONS_INTERNAL int gons__may_start(struct gons_reexec *req, int action);
GONS_INTERNAL int gons__open_channels(
    struct gons_reexec *req, struct launch *launch, struct gons__action *what);
GONS_INTERNAL int gons__build_fds(const struct gons_reexec *req,
    struct launch *launch, const struct gons__action *what);
GONS_INTERNAL int gons__compare_fds(const void *a, const void *b);
GONS_INTERNAL int gons__build_env(const struct gons_reexec *req,
    struct launch *launch, const struct gons__action *what);
GONS_INTERNAL int gons__spawn(struct gons_reexec *req, struct launch *launch);
GONS_INTERNAL int gons__proc_open(const char *path, int flags) BORROWED;
GONS_INTERNAL void gons__child_close(const struct launch *launch) BORROWED;
GONS_INTERNAL void gons__close_launch(
    struct launch *launch, struct gons__action *what);

/* reexec_watch.c */
GONS_INTERNAL int gons__watch(struct gons_reexec *req);
GONS_INTERNAL int gons__watch_fd(struct gons_reexec *req, enum source source);
GONS_INTERNAL void gons__close_channels(struct gons_reexec *req);
GONS_INTERNAL void gons__stop(struct gons_reexec *req, enum cause cause);
GONS_INTERNAL int gons__send_signal(const struct gons_reexec *req, int signo);
GONS_INTERNAL int gons__set_timer(struct gons_reexec *req);

/* reexec_outcome.c */
GONS_INTERNAL void gons__judge(struct gons_reexec *req);
GONS_INTERNAL uint64_t gons__reply_length(const struct gons_reexec *req);
GONS_INTERNAL int gons__fail(struct gons_reexec *req, int errnum,
    const char *fmt, ...) __attribute__((format(printf, 3, 4)));
GONS_INTERNAL int gons__refuse(struct gons_reexec *req, int errnum,
    const char *fmt, ...) __attribute__((format(printf, 3, 4)));
GONS_INTERNAL char *gons__format(const char *fmt, ...)
    __attribute__((format(printf, 1, 2)));

static inline int
gons__is_prepared(const struct gons_reexec *req)
{
	return (req->flags & GONS_REEXEC_PREPARED) != 0;
}

#endif /* GONS_REEXEC_H */
