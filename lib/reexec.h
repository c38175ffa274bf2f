/*
 * SPDX-License-Identifier: BSD-2-Clause
 *
 * Copyright (c) 2026 The libgons developers
 *
 * What the parts of reexec.o share with each other, by the part that provides
 * it.  Makefile.inc lists them from the top to the bottom: each calls only those
 * behind it in PARTS.reexec.  The processes, descriptors and messages are
 * described in doc/ARCHITECTURE and doc/PROTOCOL.
 */

#ifndef GONS_REEXEC_H
#define GONS_REEXEC_H

#include <sys/types.h>

#include <errno.h>
#include <pthread.h>
#include <signal.h>
#include <stddef.h>
#include <stdint.h>

#include <gons.h>

#include "internal.h"
#include "util.h"

/* The kernel's numbers, for headers that are older than it. */
#ifndef SYS_pidfd_send_signal
#define SYS_pidfd_send_signal NEWER(424)
#endif
#ifndef SYS_pidfd_open
#define SYS_pidfd_open NEWER(434)
#endif
#ifndef CLONE_PIDFD
#define CLONE_PIDFD 0x00001000
#endif
#ifndef SYS_close_range
#define SYS_close_range NEWER(436)
#endif
#ifndef CLOSE_RANGE_CLOEXEC
#define CLOSE_RANGE_CLOEXEC (1u << 2)
#endif
#ifndef MFD_NOEXEC_SEAL
#define MFD_NOEXEC_SEAL 0x0008u
#define MFD_EXEC 0x0010u
#endif

#define RIGHTS_MAX 253 /* descriptors in one message: SCM_MAX_FD */
#define SPARES 2 /* children that are forked ahead, unless told otherwise */
#define SPARES_MAX 64
#define SPARES_SHIFT 8 /* in the value of MSG_WANT, TOOK, COUNT */
#define ID_PIDFD 3 /* P_PIDFD of waitid(2) */
#define SIGSET_BYTES ((_NSIG - 1) / 8) /* as the kernel has it */
#define TICK 10 /* ms between looks where nothing wakes us */
#define CHUNK 4096
#define STDERR_MAX 65536 /* bytes kept */
#define READS 64 /* of one descriptor in one step */
#define MAKE_TIME 30000 /* ms to wait for a prepared process without a limit */
/*
 * Code that runs in borrowed memory and never returns would confuse a
 * sanitizer's idea of that stack.
 */
#define BORROWED __attribute__((no_sanitize("address"), no_sanitize("thread")))

/*
 * reexec_trace.c: in a build with TRACE=yes, a line for each message and each
 * change of state; otherwise nothing.
 */
#ifdef GONS_TRACE
GONS_INTERNAL void gons__trace(const char *fmt, ...)
    __attribute__((format(printf, 1, 2)));
#else
#define gons__trace(...) (void)0
#endif

/*
 * reexec_fd.c: descriptors.  A kept one remembers which file it is: the host may
 * close it behind our back, and its number be another file's when it is used.
 */
struct kept {
	int fd; /* -1: none */
	int nameless; /* its inode says nothing; a pidfd's process does: */
	pid_t pid;
	uint32_t major, minor;
	uint64_t ino;
};
#define NOT_KEPT                  \
	{                         \
		-1, 0, 0, 0, 0, 0 \
	}
/* These take over the descriptor, which may be -1. */
GONS_INTERNAL void gons__keep(struct kept *, int fd);
GONS_INTERNAL void gons__keep_pidfd(struct kept *, int fd);
/* Is it still the same file? */
GONS_INTERNAL int gons__is_kept(const struct kept *);
/*
 * The same of a setting, which may have been made before there was a trusted
 * /proc: whose pidfd it is cannot be told then.
 */
GONS_INTERNAL int gons__seems_kept(const struct kept *);
/* Has the process of a pidfd ended?  0 also if it is none, or not there. */
GONS_INTERNAL int gons__has_ended(const struct kept *);
GONS_INTERNAL int gons__pidfd_ended(int fd); /* of one that is known to be */
/* Closes it if it is still ours; errno is kept. */
GONS_INTERNAL void gons__unkeep(struct kept *);
/* The trusted /proc: set, and had again, or -1; no caller closes it. */
GONS_INTERNAL void gons__keep_proc(int fd);
GONS_INTERNAL int gons__kept_proc(void);
GONS_INTERNAL int gons__open_socket(int type, int *ours, int *theirs);
/* from: we read from it, without waiting; to: we write. */
GONS_INTERNAL int gons__open_pipe(int *from, int *to);
/*
 * Is there a number for one more descriptor?  Without it the message that brings
 * one would come alone, and only once.  fd: any that is open.
 */
GONS_INTERNAL int gons__has_room(int fd);
GONS_INTERNAL int gons__memory_fd(const char *name, unsigned flag);
/* As read(2) of a standard error: the first STDERR_MAX bytes are kept. */
GONS_INTERNAL ssize_t gons__read_words(int fd, struct buf *words);
/* Writes without SIGPIPE and SIGXFSZ; 0 or an errno value. */
GONS_INTERNAL int gons__write_quietly(int fd, const void *buf, size_t len);
GONS_INTERNAL int gons__seal(int fd);
/* All above 2 but these, which are sorted: closed, or only when executing. */
enum closing {
	CLOSE_NOW,
	CLOSE_AT_EXEC
};
GONS_INTERNAL void gons__close_others(
    const int *fds, size_t n, enum closing, int proc) BORROWED;
GONS_INTERNAL int gons__compare_fds(const void *a, const void *b);

/*
 * reexec_msg.c: messages.  On a pipe: kind, length, body.  On a socket the
 * length is the datagram's, and descriptors may come with it.
 */
enum kind {
	/* child to host, on its pipe */
	MSG_REACHED = 1, /* gons_reexec_check(); value: is supervised */
	MSG_STARTUP, /* start-up failed: error */
	MSG_UNKNOWN, /* the action is not registered */
	MSG_FORK, /* no process in the pid namespace: value errno */
	MSG_STATUS, /* value: as from waitpid(2) */
	MSG_TAKEN, /* a spare, or a child that stays, has its request */
	MSG_REFUSED, /* a spare could not take it: value errno */
	MSG_ENDED, /* the joined pid namespace has ended */
	MSG_RETURNED, /* a staying child's action; value: exit status */
	/* prepared process to host, on its socket */
	MSG_PREPARED, /* with its pidfd */
	MSG_SPARE, /* with descriptors: enum spare */
	MSG_NONE, /* no spare can be made: value errno */
	/* host to prepared process */
	MSG_WANT, /* a spare is awaited; value: see pool_say() */
	MSG_TOOK, /* one has come; value as above */
	MSG_COUNT, /* nothing else than the value */
	/* host to spare, on its socket; GO also from supervisor to action */
	MSG_REQUEST,
	MSG_GO,
	/* host to a child that stays, on its socket */
	MSG_AGAIN, /* with descriptors; value: a bit for each enum again */
	MSG_END,
	/* host to supervisor, on its socket; back: the action's pidfd */
	MSG_KILL,
	MSG_ACTION,
	MSG_LAST
};
#define MESSAGE_VALUE 4 /* bytes of a body that is a number */
struct message {
	uint32_t kind;
	uint32_t len; /* of the body */
	int32_t value;
};
#define MESSAGE_HEAD 8
#define READER_ROOM 256 /* bytes of a pipe that are read at once */
struct reader { /* of a pipe */
	unsigned char read[READER_ROOM];
	size_t at, end; /* what of it is not used yet */
	int drained; /* there was no more */
	/* what has come of the next message */
	unsigned char head[MESSAGE_HEAD];
	size_t n; /* bytes, head and body */
	uint32_t kind, len;
	char *body; /* malloc'ed; room for a NUL */
	int broken; /* nothing more is believed */
};
GONS_INTERNAL const char *gons__kind_name(unsigned kind);
/* 1: a message is in the reader, 0: not yet, -1: there will be none. */
GONS_INTERNAL int gons__read_message(int fd, struct reader *);
/* Has all that was read been returned?  No event tells of what has not. */
GONS_INTERNAL int gons__reader_used_up(const struct reader *);
GONS_INTERNAL int gons__reader_value(const struct reader *, int *value);
GONS_INTERNAL void gons__reader_free(struct reader *);
/* To a pipe: 0 or an errno value. */
GONS_INTERNAL int gons__tell(int fd, unsigned kind, int value);
/* The same where SIGPIPE is blocked. */
GONS_INTERNAL int gons__tell_plainly(int fd, unsigned kind, int value);
GONS_INTERNAL int gons__tell_error(int fd, const struct gons_error *);
GONS_INTERNAL int gons__send(
    int sock, unsigned kind, int value, const int *fds, size_t n);
GONS_INTERNAL int gons__send_block(
    int sock, const void *block, size_t len, const int *fds, size_t n);
/*
 * A datagram with up to n descriptors, -1 in the place of those that did not
 * come.  Its length; 0: none yet; -1: no more will come.
 */
GONS_INTERNAL ssize_t gons__receive(
    int sock, void *buf, size_t size, int *fds, size_t n);

/*
 * reexec_self.c: the table of actions, and what this process is.
 */
struct action {
	struct action *next;
	int (*function)(void);
	char name[];
};
struct root { /* of this thread, and by which mount */
	uint64_t dev, ino, mount;
	char ns[40]; /* before Linux 5.8: its mount namespace */
};
struct self {
	char **argv; /* to execute the program with */
	int allowed; /* gons_reexec_check() has been called */
	int child; /* this is a re-executed child */
	int is_dynamic;
	int errnum; /* why exe is not there */
	struct kept exe; /* this program */
	struct kept sealed; /* a copy of the program in memory */
	int allows_secure; /* gons_reexec_allowsecure() has been called */
	const char *unserved; /* why no server could be made; NULL: one was */
	int root_is_ours; /* start-up has joined no mount namespace */
	struct root root;
};
extern GONS_INTERNAL struct self gons__self;
GONS_INTERNAL int gons__name_is_valid(const char *name);
GONS_INTERNAL const struct action *gons__find_action(const char *name);
/* A number that this process has and no forked copy of it. */
GONS_INTERNAL unsigned gons__era(void);
GONS_INTERNAL void gons__self_allow(void);
/* 0, or an errno value: would executing the program execute the host's? */
GONS_INTERNAL int gons__self_unmoved(void);
/* Is this a program with privileges that its user has not? */
GONS_INTERNAL int gons__self_is_secure(void);
/*
 * Are children forked off a server that gons_reexec_check() made?  So it is in
 * secure-execution mode, where the program could be executed with its user's
 * privileges alone, and where start-up has left the root that a dynamic program
 * could be executed in.
 */
GONS_INTERNAL int gons__self_is_served(void);
/* The program's descriptor to execute; 0 or an errno value. */
GONS_INTERNAL int gons__self_exe(int want_sealed, int *exe);

/*
 * reexec_settings.c: what the caller asks for; constant while a run goes on.
 */
struct reference {
	int type, early;
	struct kept kept; /* none: a path */
	char *text; /* as the caller gave it */
};
struct settings {
	char *action;
	struct reference ref[GONS_NTYPES];
	unsigned nrefs;
	char *order;
	struct kept target; /* pidfd */
	char target_text[24]; /* as the caller gave it */
	unsigned target_types;
	char *ids;
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
	unsigned maxfds;
	unsigned flags;
	const struct child_ops *ops; /* NULL: as the flags say */
	unsigned version; /* changes with what a staying child cannot change */
};
GONS_INTERNAL int gons__env_index(
    const struct settings *, const char *name, size_t len, size_t *index);
/* Nothing is set: the defaults. */
GONS_INTERNAL void gons__settings_init(struct settings *);
GONS_INTERNAL void gons__settings_free(struct settings *);
/* The reference or target whose descriptor the host has closed, or NULL. */
GONS_INTERNAL const char *gons__settings_closed(const struct settings *);
/* May the action run in a child of the child? */
GONS_INTERNAL int gons__may_be_supervised(const struct settings *);
/* May a pid namespace be joined? */
GONS_INTERNAL int gons__may_join_pid(const struct settings *);

/*
 * reexec_launch.c: from settings to a child.
 */
struct launch {
	int stdio[3];
	struct gons__action what; /* the other descriptors */
	int exe;
	int proc; /* the trusted /proc, or -1 */
	int *fds; /* that stay open; sorted */
	size_t nfds;
	char **argv, **envp;
	size_t nown; /* of envp's, the first are ours */
	uint64_t signals; /* a bit for each whose disposition is not default */
	int limit; /* seconds until SIGALRM ends it; 0: none */
	int errnum;
};
enum source { /* what the host has of a child */
	SRC_OUT, /* what it prints, or replies */
	SRC_ERR,
	SRC_TELL, /* what it says of itself */
	SRC_PIDFD,
	SRC_ORDERS, /* to its supervisor, or to itself if it stays */
	SRC_ACTION, /* pidfd of the action that the supervisor has */
	SRC_REAPED, /* its status, from the prepared process */
	SRC_FDS, /* descriptors that it replies with */
	NSRCS
};
GONS_INTERNAL void gons__launch_init(struct launch *, const struct settings *);
GONS_INTERNAL int gons__launch_param(const struct settings *, int *fd);
GONS_INTERNAL int gons__launch_stderr(int *fd);
/* For a supervisor, and for a child that stays; orders: the host's end. */
GONS_INTERNAL int gons__launch_hold(
    const struct settings *, struct launch *, struct kept *orders);
GONS_INTERNAL int gons__launch_reply(
    const struct settings *, struct launch *, struct kept *fd);
/* Stdin, stdout, stderr, tell and reply, new ones. */
GONS_INTERNAL int gons__launch_pipes(
    const struct settings *, struct launch *, struct kept *fd);
GONS_INTERNAL int gons__launch_lists(const struct settings *, struct launch *);
/* The child executes; its pid and pidfd (-1: there is none to have). */
GONS_INTERNAL int gons__launch_exec(struct launch *, pid_t *pid, int *pidfd);
GONS_INTERNAL void gons__launch_free(struct launch *);

/*
 * A child, and how it is had: the back ends.
 */
struct child {
	const struct child_ops *ops;
	pid_t pid; /* 0: it is not ours to wait for */
	struct kept fd[NSRCS];
	int wait_fd; /* start: until this has something; borrowed */
	unsigned made; /* prepared processes that were made for this run */
	unsigned pool; /* which of them it comes from */
	unsigned given; /* spares that this process has had when it asked */
	int kernel_tells; /* how it has ended */
	int known,
	    known_status; /* of a fresh one; -1: the host has reaped it */
	struct buf words; /* of a program that ended too early */
	int words_status;
	const struct child_ops *maker; /* of a child that is asked again */
	int dismissed; /* it is not to be asked any more */
};
struct child_ops {
	const char *name;
	/*
	 * 0: it has the action, EINPROGRESS: wait_fd tells when to ask again,
	 * else it cannot be started.
	 */
	int (*start)(const struct settings *, struct child *,
	    struct gons__cov *, const int cov[2]);
	/* Is it known to have ended?  Asked when no pidfd tells. */
	int (*gone)(struct child *);
	/*
	 * 1: it is known, -1: it never will be, 0: not yet, 2: nor does
	 * SRC_REAPED tell any more.
	 */
	int (*status)(struct child *, int *status);
	/* It did not take the request in time; may be NULL. */
	void (*deaf)(struct child *);
	/* The run is over. */
	void (*over)(struct child *);
	int awaits; /* it says MSG_TAKEN before it does anything */
};
extern GONS_INTERNAL const struct child_ops gons__fresh, gons__spare,
    gons__stay;
GONS_INTERNAL void gons__child_init(struct child *);
/* What wait(2) would have said. */
GONS_INTERNAL int gons__wait_status(const siginfo_t *);
GONS_INTERNAL void gons__child_close(struct child *);
/* To SRC_PIDFD or SRC_ACTION: 0 or an errno value; ESRCH: it has ended. */
GONS_INTERNAL int gons__child_signal(
    const struct child *, enum source, int signo);

/*
 * reexec_result.c: the bytes of a result.  No descriptors, no clock.
 */
enum result_state {
	RESULT_OPEN,
	RESULT_COMPLETE,
	RESULT_REJECTED, /* it does not decode */
	RESULT_TOO_BIG,
	RESULT_NO_MEMORY
};
#define REPLY_HEAD 12 /* bytes: length, and number of descriptors */
struct result {
	enum result_state state;
	int whole; /* complete by itself: a full reply, or the callback's 1 */
	unsigned char head[REPLY_HEAD];
	size_t nhead;
	struct buf out;
};
/* Room to read into, at least one byte; dropped: for what nobody wants. */
GONS_INTERNAL void *gons__result_room(const struct settings *, struct result *,
    unsigned char dropped[CHUNK], size_t *room);
/* n bytes have come there; 0: no more will come. */
GONS_INTERNAL void gons__result_took(
    const struct settings *, struct result *, size_t n);
/* No more is read, even if another process holds the pipe. */
GONS_INTERNAL void gons__result_end(const struct settings *, struct result *);
GONS_INTERNAL uint64_t gons__reply_length(const struct result *);
GONS_INTERNAL unsigned gons__reply_fds(const struct result *);

/*
 * reexec_judge.c: from facts to the outcome.  No descriptors, no clock.
 */
enum cause {
	BY_NOBODY,
	BY_GRACE,
	BY_TIMEOUT,
	BY_KILL,
	BY_SIZE
};
struct facts {
	enum cause cause; /* of its end, if it did not end by itself */
	int reached; /* gons_reexec_check() */
	int supervised;
	unsigned start; /* enum kind: why the action did not run; 0: it did */
#define START_FAILED MSG_NONE /* there is no child: an errno value */
	int start_value;
	struct gons_error *start_error;
	int lost; /* it could not be killed */
	int gone; /* the container has ended */
	int status; /* from the kernel; -1: not known */
	int told, told_status; /* from itself */
	int returned; /* told_status is the action's, whatever comes later */
};
struct outcome {
	enum gons_failure failure;
	int errnum;
	int status;
	char *error;
};
GONS_INTERNAL void gons__judge(const struct settings *, const struct facts *,
    const struct result *, const struct buf *err, const char *why,
    struct outcome *);
/* A run that did not begin, and a setting that is refused: -1, and errno. */
GONS_INTERNAL int gons__fail(const struct settings *, struct outcome *,
    int errnum, const char *fmt, ...) __attribute__((format(printf, 4, 5)));
GONS_INTERNAL int gons__refuse(const struct settings *, struct outcome *,
    int errnum, const char *fmt, ...) __attribute__((format(printf, 4, 5)));
GONS_INTERNAL char *gons__format(const char *fmt, ...)
    __attribute__((format(printf, 1, 2)));

/*
 * reexec_watch.c: what wakes the caller.
 */
struct watch { /* what wakes the caller */
	int epoll, timer; /* -1: the thread waits in poll(2) itself */
	int64_t timer_at; /* what the timer is set to; -1 */
	int shared; /* by several runs: their owner sets the timer */
};
GONS_INTERNAL int gons__watch_open(struct watch *);
GONS_INTERNAL void gons__watch_close(struct watch *);
/* Has the host closed neither of them?  Only while there is a timer. */
GONS_INTERNAL int gons__watch_is_ours(const struct watch *);
/* At the end of a run: what callers watch stays, but no timer. */
GONS_INTERNAL void gons__watch_rest(struct watch *);
/* Sets the timer, -1: to nothing; 0 or an errno value. */
GONS_INTERNAL int gons__watch_timer(struct watch *, int64_t at);

/*
 * reexec_exit.c: a child that waits and has counted is ended at the host's
 * exit, from note to forget.
 */
struct idle;
GONS_INTERNAL void gons__exit_note(const struct settings *, struct idle *);
GONS_INTERNAL void gons__exit_forget(struct idle *);

/*
 * reexec_run.c: the only loop, and the only place where states change.
 */
enum process {
	NONE,
	OFFERED,
	ALIVE,
	RETURNED,
	GONE,
	KNOWN,
	LOST,
	FOREIGN
};
enum stop {
	STOP_NONE,
	STOP_TERM,
	STOP_ASKED,
	STOP_KILLED
};
#define TIMER_EVENT NSRCS
#define POOL_EVENT (NSRCS + 1)
/* A child that waits to be asked again. */
struct idle {
	struct child child;
	int is; /* there is one */
	int supervised;
	struct gons__cov *cov;
	struct idle *next; /* in the list of reexec_exit.c */
	int noted, grace;
	/* what has to be the same for the next run */
	unsigned era, version;
	char **argv;
	struct buf standing;
};
struct run {
	int running;
	int done; /* there are facts for an outcome */
	unsigned era;
	enum process process;
	enum stop stop;
	struct child child;
	struct facts facts;
	struct result result;
	struct buf err;
	struct reader reader;
	struct watch *watch;
	uint64_t tag; /* of its events */
	struct idle *idle; /* the request's */
	int stays; /* GONS_REEXEC_STAY */
	int settled; /* that its action has returned has been heeded */
	int unruly; /* it said more after that */
	unsigned watched; /* 1 << enum source */
	int blind; /* no event can be had of some source */
	struct kept pool; /* borrowed: the prepared process is awaited; or -1 */
	int began; /* the first attempt has been made */
	int gave_up; /* there will be no child */
	unsigned dead, deaf; /* spares that did not take the request */
	unsigned given; /* spares that anybody has had */
	struct {
		int64_t timeout, grace; /* when the time is up; ms, or -1 */
		int64_t look; /* no event may come */
		int64_t make; /* somebody has to be given a spare */
		int64_t taken; /* a spare has to have taken the request */
		int64_t told; /* its status has to be known */
		int64_t stop; /* the next step of the stop */
		int64_t kill; /* the last one */
		int64_t lost; /* it is given up */
	} at;
	struct gons__cov *cov;
	char *why; /* the result does not decode */
	unsigned char *taken; /* a bit for each descriptor of the reply */
	int ntaken;
};
/* Clears what the last run left; watch NULL: the caller waits in poll(2). */
GONS_INTERNAL void gons__run_begin(
    const struct settings *, struct run *, struct watch *, uint64_t tag);
/* ready: 1 << enum source, TIMER_EVENT, POOL_EVENT */
GONS_INTERNAL void gons__run_work(
    const struct settings *, struct run *, unsigned ready);
/* reexec_watch.c: what a run waits for; how: EPOLL_CTL_ADD and the like. */
GONS_INTERNAL void gons__watch_fd(
    struct run *, int event, int fd, unsigned events, int how);
GONS_INTERNAL void gons__watch_source(struct run *, enum source);
GONS_INTERNAL void gons__unwatch(struct run *, enum source);
/* Is there such a descriptor, and still our own?  Another one is left alone. */
GONS_INTERNAL int gons__watch_has(struct run *, enum source);
/* Is there still a pidfd that tells of its end?  Else each step looks. */
GONS_INTERNAL void gons__watch_end(struct run *);
GONS_INTERNAL void gons__watch_later(struct run *, enum source);
GONS_INTERNAL void gons__watch_pool(struct run *, int fd);
/* When to work again if nothing happens; -1: never. */
GONS_INTERNAL int64_t gons__watch_next(const struct run *);
/* Has the caller woken then.  1: no timer can be set, so the time has come. */
GONS_INTERNAL int gons__watch_rearm(struct run *);
/* Waits in poll(2) until an event or that time; what is ready. */
GONS_INTERNAL unsigned gons__watch_await(const struct run *);

/* reexec_output.c: SRC_OUT and SRC_ERR, in bounds that hold up no step. */
GONS_INTERNAL void gons__output_read(
    const struct settings *, struct run *, enum source);
/*
 * What is there now, however much others put there meanwhile.  0: it could not
 * be read, and has to be tried again.
 */
GONS_INTERNAL int gons__output_drain(
    const struct settings *, struct run *, enum source);

/* reexec_run.c again */
GONS_INTERNAL void gons__run_stop(
    const struct settings *, struct run *, enum cause);
/* One that is clear was killed before it began. */
GONS_INTERNAL void gons__run_cancel(struct run *);
/* The next run, or the end: frees what the last one left. */
GONS_INTERNAL void gons__run_clear(struct run *);
/* Ends the child that stays: 0, ECHILD, or ETIMEDOUT. */
GONS_INTERNAL int gons__run_end(const struct settings *, struct idle *);

/*
 * reexec_stay.c: children that are asked again.
 */
/* What the host is when it makes one. */
GONS_INTERNAL void gons__stay_note(const struct settings *, struct idle *);
/* The child of this run waits for the next one. */
GONS_INTERNAL void gons__stay_keep(struct run *);
/* It becomes the child of this run: 1, or 0 if there is none of ours. */
GONS_INTERNAL int gons__stay_take(const struct settings *, struct run *);
/* It is to end by itself. */
GONS_INTERNAL void gons__stay_dismiss(struct child *);
GONS_INTERNAL void gons__idle_free(struct idle *);

/*
 * reexec_lost.c: processes that could not be waited for.  It takes over the
 * pidfd; pid 0: it is not ours to reap, unless we are init or a subreaper.
 */
GONS_INTERNAL void gons__lost_add(struct kept *pidfd, pid_t pid);
GONS_INTERNAL void gons__lost_kill(struct kept *pidfd, pid_t pid);
/* A prepared process that has been told to end, and is given some time. */
GONS_INTERNAL void gons__lost_leaves(struct kept *pidfd);
/* The socket of one that is still to tell who it is. */
GONS_INTERNAL void gons__lost_control(struct kept *);
/*
 * Closes a socket in which descriptors may wait, of which so many have been
 * taken, without waiting for what lingers in it.
 */
GONS_INTERNAL void gons__dispose(struct kept *, int taken);
/* Reaps those that have ended since. */
GONS_INTERNAL void gons__lost_reap(void);
/* Is this process the one that orphans are given to? */
GONS_INTERNAL int gons__adopts_orphans(void);

/* reexec_standing.c: 0 or an errno value; keeps open what it needs for that. */
GONS_INTERNAL int gons__standing(struct buf *);
GONS_INTERNAL void gons__standing_keep(void);

/*
 * reexec_pool.c: the host's side of the prepared process.
 */
enum spare { /* what comes with MSG_SPARE */
	SPARE_PIDFD,
	SPARE_SOCKET,
	SPARE_OUT,
	SPARE_ERR,
	SPARE_TELL,
	SPARE_REAPED, /* may be missing: the kernel tells */
	NSPARE
};
/* 0, EINPROGRESS: child->wait_fd tells when; else no spare can be had. */
GONS_INTERNAL int gons__pool_take(
    struct child *, int want_sealed, int fds[NSPARE]);
/* ESTALE: this process is not what it was when the pool was made. */
GONS_INTERNAL int gons__pool_check(unsigned pool);
/*
 * In gons_reexec_check(): forks a process that is to serve this one, which no
 * other can replace.  1 in that process, with its descriptors in what; 0 in
 * this one, -1: there is none.
 */
GONS_INTERNAL int gons__pool_serve(struct gons__action *what);
/* Waits until there is one; 0 or an errno value. */
GONS_INTERNAL int gons__pool_prepare(void);
/* As from waitpid(2), if the kernel tells it of a process that is reaped. */
GONS_INTERNAL int gons__kernel_status(const struct kept *pidfd, int *status);
/* One of its spares has been used. */
GONS_INTERNAL void gons__pool_took(unsigned pool);
/* That pool does not answer: ends it, unless it has ended already. */
GONS_INTERNAL void gons__pool_lost(unsigned pool);
#define REQUEST_ENV 12288 /* bytes of environment, more go into memory */
#define CPUS_MAX 1024 /* bytes of an affinity mask */
#define REQUEST_MAX 16384 /* bytes of a request */
struct request { /* to a spare; followed by numbers, mask, environment */
	uint32_t kind;
	uint32_t nfds;
	int32_t nice, oom, has_oom;
	uint32_t cpubytes;
};
/*
 * The attributes that a fresh child inherits, and a spare gets from the host.
 */
GONS_INTERNAL void gons__pool_inherit(
    struct request *, unsigned char *cpus, size_t room);

/*
 * The request.
 */
struct gons_reexec {
	struct settings set;
	struct run run;
	struct idle idle;
	struct outcome outcome;
	int judged; /* there has been a run, and the outcome is its */
	struct watch watch;
	void *data; /* the caller's own */
	struct {
		void *what;
		void (*detach)(void *);
	} attached; /* by libgons_json */
	struct {
		struct gons_multi *of; /* or NULL */
		struct gons_reexec *next;
		enum {
			LINK_QUEUED,
			LINK_RUNNING,
			LINK_DONE
		} where;
		unsigned slot, turn;
	} link; /* to a gons_multi */
};

/*
 * reexec_request.c: one request, alone or among many.
 */
/* May any action be started here?  0, or -1 with errno and text. */
GONS_INTERNAL int gons__may_start(const struct settings *, struct outcome *);
/* watch: its descriptors wake the caller; NULL: the thread waits itself. */
GONS_INTERNAL int gons__request_start(
    struct gons_reexec *, struct watch *, uint64_t tag);
/* Instead: killed while it waited. */
GONS_INTERNAL void gons__request_cancel(struct gons_reexec *);
/* 1: done, 0: not yet, -1: failed. */
GONS_INTERNAL int gons__request_work(struct gons_reexec *, unsigned ready);
/* The same without any work: judges a run that is over. */
GONS_INTERNAL int gons__request_settle(struct gons_reexec *);
/* The outcome of the run before is forgotten. */
GONS_INTERNAL void gons__request_forget(struct gons_reexec *);

/*
 * reexec_multi.c: many requests.
 */
/* One that waits will not start: 0, ESRCH (it is not such a one), or ECHILD. */
GONS_INTERNAL int gons__multi_cancel(struct gons_reexec *);
/* One that is freed leaves the others. */
GONS_INTERNAL void gons__multi_remove(struct gons_reexec *);
/* Its deadlines have changed. */
GONS_INTERNAL void gons__multi_touch(struct gons_reexec *);

/* In a forked copy of the host its child is not ours to touch. */
static inline int
gons__is_foreign(const struct gons_reexec *req)
{
	return req->run.running && req->run.era != gons__era();
}

/* Sets errno where there is a run that must not be disturbed. */
static inline int
gons__busy(const struct gons_reexec *req)
{
	if (!req->run.running && req->link.of == NULL)
		return 0;
	errno = EBUSY;
	return 1;
}

/*
 * reexec_child.c: in a child, before and after the action.
 */
struct inside {
	pid_t pid; /* which tells how it ends */
	int tell; /* to the host, or to the supervisor */
	int socket; /* of a spare: from the host */
	int reply; /* -1: none, or sent */
	int fds; /* for descriptors of the reply */
	unsigned nfds; /* that were sent */
	int forked; /* off a prepared process */
	struct kept orders; /* to the action of a child that stays */
	int host; /* pidfd of the host that it stays for */
	int supervised; /* it is asked by its supervisor */
	int value, known; /* to exit with */
	char *block; /* of a spare: room for its request */
};
extern GONS_INTERNAL struct inside gons__inside;
GONS_INTERNAL void gons__child_enter(const struct gons__action *);
/* The parameter may be read: 0 or an errno value. */
GONS_INTERNAL int gons__child_input(void);
GONS_INTERNAL void gons__child_at_exit(void);
/* Signals that came while nobody waited for them were for nobody. */
GONS_INTERNAL void gons__forget_signals(void);
GONS_INTERNAL void gons__forget_input(void);
GONS_INTERNAL void gons__die_with(int parent);

/*
 * reexec_again.c: what comes to a child that stays with MSG_AGAIN, in this
 * order.
 */
enum again {
	AGAIN_TELL,
	AGAIN_IN,
	AGAIN_OUT,
	AGAIN_ERR,
	AGAIN_REPLY,
	AGAIN_FDS,
	NAGAIN
};
/*
 * The action has returned.  1: it is asked for again; 0: it is the end, with that
 * status.
 */
GONS_INTERNAL int gons__again(const struct gons__action *, int *status);

/* reexec_supervise.c: 0 in the process for the action, -1: there is none. */
GONS_INTERNAL int gons__supervise(const struct gons__action *, int *status);

/* reexec_server.c: returns in each child that has a request. */
GONS_INTERNAL void gons__serve(const struct gons__action *, int *status);

/* No function of the library is a cancellation point. */
static inline int
gons__enter(void)
{
	int state = PTHREAD_CANCEL_ENABLE;

	(void)pthread_setcancelstate(PTHREAD_CANCEL_DISABLE, &state);
	return state;
}

static inline void
gons__leave(int state)
{
	(void)pthread_setcancelstate(state, &state);
}

#endif /* GONS_REEXEC_H */
