/*
 * SPDX-License-Identifier: BSD-2-Clause
 *
 * Copyright (c) 2026 The libgons developers
 *
 * Actions: functions of the program that run in a fresh child of it, inside
 * chosen namespaces.  In the order of a run: what a program registers; what a
 * child does in gons_reexec_check(3); a request and its settings; how a child
 * is started; how it is watched until it ends; what came of it.
 *
 * Between parent and child there are, besides the child's standard
 * descriptors, a socket on which the child tells how far it came ("control"),
 * and one for the result with GONS_REEXEC_REPLY.
 */

#include <sys/auxv.h>
#include <sys/epoll.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/sendfile.h>
#include <sys/signalfd.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/timerfd.h>
#include <sys/wait.h>

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <poll.h>
#include <pthread.h>
#include <sched.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "internal.h"

/* The kernel's numbers, for headers that are older than it. */
#ifndef SYS_pidfd_send_signal
#define SYS_pidfd_send_signal 424
#endif
#ifndef SYS_pidfd_open
#define SYS_pidfd_open 434
#endif
#ifndef SYS_close_range
#define SYS_close_range 436
#endif
#ifndef CLONE_PIDFD
#define CLONE_PIDFD 0x00001000
#endif
#ifndef MFD_NOEXEC_SEAL
#define MFD_NOEXEC_SEAL 0x0008u
#define MFD_EXEC 0x0010u
#endif
/*
 * The name that no sanitizer takes: with CLONE_VM the thread sanitizer loses
 * track of the thread that waits, and ends the program.
 */
#ifdef __GLIBC__
int __clone(int (*)(void *), void *, int, void *, ...);
#define CLONE __clone
#else
#define CLONE clone
#endif
/* An instrumented child leaves marks on its stack, which is ours again. */
#ifdef __SANITIZE_ADDRESS__
void __asan_unpoison_memory_region(void const volatile *, size_t);
#define UNPOISON(p, n) __asan_unpoison_memory_region(p, n)
#else
#define UNPOISON(p, n) (void)0
#endif
#ifndef MADV_WIPEONFORK
#define MADV_WIPEONFORK 18
#endif
#define ID_PIDFD 3 /* P_PIDFD */
#ifndef PIDFD_INFO_EXIT
#define PIDFD_INFO_EXIT 8
#endif
#define GET_INFO(size) _IOC(_IOC_READ | _IOC_WRITE, 0xff, 11, size)
#define SIGSET_BYTES ((_NSIG - 1) / 8)
#define SIGNALS (SIGSET_BYTES * 8)

#define DEFAULT_GRACE 1000 /* ms */
#define DEFAULT_MAXRESULT (64u << 20) /* bytes */
#define STDERR_MAX 65536 /* bytes kept */
#define STOP_TIME 500 /* ms from SIGTERM to SIGKILL */
#define SUPERVISOR_TIME 10000 /* ms for a supervisor to end its action */
#define TICK 10 /* ms between looks, without a pidfd */
#define HANDOVER_TIME 5000 /* ms for a prepared process to take a request */
#define PREPARE_TIME 30000 /* ms for it to reach gons_reexec_check() */
#define BLOCK_MAX 16384 /* bytes of a request, more go into memory */
#define PREPARE 0x40000000u /* flag of an action: be a prepared process */
#define LINGER 1 /* ms before the next spare is made, if nothing presses */
#define SPARES 2 /* children that are forked ahead */
#define RIGHTS_MAX 253 /* descriptors in one message: SCM_MAX_FD */
#define CAPS_MAX 64 /* capabilities that a kernel may have */
#define ERRNO_MAX 4096 /* the kernel's have no more */
#define CHUNK 4096
#define END_SIZE 128 /* bytes of text: how a child ended */
#define READS 64 /* of one descriptor in one step */
#define STACK 16384 /* bytes, for the child until it executes */
/*
 * What runs in borrowed memory and never returns would confuse a sanitizer's
 * idea of that stack.
 */
#define BORROWED __attribute__((no_sanitize("address"), no_sanitize("thread")))
#define FLAGS_KNOWN                                                         \
	(GONS_REEXEC_STDERR_PASS | GONS_REEXEC_REPLY | GONS_REEXEC_SEALED | \
	    GONS_REEXEC_DIE_WITH_PARENT | GONS_REEXEC_PREPARED)

enum kind { /* of a message on the control socket */
	MSG_REACHED = 1, /* gons_reexec_check(); value: is supervised */
	MSG_STARTUP, /* start-up failed: error */
	MSG_UNKNOWN, /* the action is not registered */
	MSG_FORK, /* no process in the pid namespace: value errno */
	MSG_STATUS, /* value: as from waitpid(2) */
	MSG_PREPARED, /* a prepared process; with its pidfd */
	MSG_WANT, /* to it: a spare is wanted; value: the kernel tells */
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
	int epoll;
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

enum { /* what the host gets of a spare child, and what that has */
	SPARE_PIDFD, /* for the host alone */
	SPARE_CONTROL,
	SPARE_OUT,
	SPARE_ERR,
	NSPARE
};

struct hatch { /* what a prepared process has to look after */
	int me, signals, host, socket;
	int target; /* how many spares to have: none before the host asks */
	int unread; /* what one adds to the socket's unread bytes */
	int reaping; /* the kernel does it, and tells the host */
	size_t n; /* children whose end this process has to tell */
	struct hatched {
		pid_t pid;
		int control; /* where their end is told */
	} * all;
};

/* The table of actions, and what gons_reexec_check() found. */
static struct {
	struct action *actions;
	char *argv0;
	int allowed;
	int child;
	int exe; /* this program, -1 with errnum */
	int errnum; /* why there is none */
	int sealed; /* its copy in memory, or -1 */
	unsigned *era; /* is zero in a forked copy; NULL: no such memory */
	unsigned eras;
} self = { NULL, NULL, 0, 0, -1, 0, -1, NULL, 0 };

/* The child's own: how to tell what happens to it. */
static struct {
	pid_t pid;
	int control;
	int reply;
	char *block; /* of a spare: for the request */
	int forked; /* off a prepared process */
	int value, known; /* to exit with */
} child = { 0, -1, -1, NULL, 0, 0, 0 };

/*
 * The process that prepared children are forked off.  It is no child of this
 * one, and ends when this one does.
 */
static struct {
	pthread_mutex_t lock;
	int control; /* requests go here; -1: there is none */
	int pidfd;
	int sealed;
	int kernel_tells; /* how a child has ended, see kernel_status() */
	int hooked; /* forgotten in forked copies */
	struct buffer standing; /* what this process was when it was made */
} prepared = { PTHREAD_MUTEX_INITIALIZER, -1, -1, 0, 0, 0, { NULL, 0, 0 } };

/* in the order of a run */
static const struct action *find_action(const char *);
static void allow(void);
static unsigned era(void);
static int child_run(int *);
static int child_refuse(const char *, int *);
static int child_known(const struct gons__action *);
static void child_enter(const struct gons__action *);
static void child_name(void);
static int send_all(int, struct iovec *, size_t);
static void tell(int, int, const struct gons_error *);
#ifdef __GLIBC__
static void tell_exit(int, void *);
#else
static void tell_exit(void);
#endif
static void tell_end(int, int);
static int supervise(const struct gons__action *, int *);
static void supervisor(pid_t, int) __attribute__((noreturn));
static void close_but(int, int, int);
static void supervisor_signals(int, pid_t);
static int supervisor_reap(pid_t);
static void die_with(int);
static void prepared_process(const struct gons__action *);
static void prepared_loop(struct hatch *);
static int hatch_spares(const struct hatch *);
static int hatch_wanted(struct hatch *);
static int hatch_spare(struct hatch *);
static void hatch_add(struct hatch *, pid_t, int *);
static void hatch_reap(struct hatch *);
static void spare_wait(const struct hatch *, const int *);
static int spare_take(void);
static int block_map(int, char **, size_t *);
static int spare_fds(int *, int *, size_t);
static int spare_env(char *, size_t);
static int spare_go(void);
static int send_fds(int, int, int, const int *, size_t);
static int send_block(int, const void *, size_t, const int *, size_t);
static size_t receive(int, void *, size_t, int *, size_t);
static void imitate(int) __attribute__((noreturn));

static int fail(struct gons_reexec *, int, const char *, ...)
    __attribute__((format(printf, 3, 4)));
static int refuse_setting(struct gons_reexec *, int, const char *, ...)
    __attribute__((format(printf, 3, 4)));
static int busy(const struct gons_reexec *);
static void set_error(struct gons_reexec *, size_t, const char *, va_list)
    __attribute__((format(printf, 3, 0)));
static char *format(const char *, ...) __attribute__((format(printf, 1, 2)));
static char *vformat(const char *, va_list)
    __attribute__((format(printf, 1, 0)));
static void forget(struct gons_reexec *);
static int env_index(
    const struct gons_reexec *, const char *, size_t, size_t *);
static int dup_high(int);
static int high(int);

static int begin(struct gons_reexec *);
static int begin_fresh(struct gons_reexec *, struct launch *);
static int begin_prepared(struct gons_reexec *, struct launch *);
static int may_start(struct gons_reexec *, int);
static int hand_over(struct gons_reexec *, const struct launch *);
static int block_send(
    struct gons_reexec *, char **, int *, const int *, size_t);
static int prepared_send(
    struct gons_reexec *, const void *, size_t, const int *, size_t);
static int prepared_spare(struct gons_reexec *);
static int prepared_take(int *, int64_t);
static int prepared_want(void);
static int prepared_go(struct gons_reexec *);
static int prepared_stale(void);
static int prepared_get(int);
static int prepared_start(int);
static int prepared_await(struct gons_reexec *);
static void drain(int *);
static void prepared_end(void);
static void prepared_forget(void);
static int standing_of(struct buffer *);
static void standing_caps(const unsigned *, unsigned char *, unsigned char *);
static void standing_ns(char[GONS_NTYPES][32]);
static int open_channels(
    struct gons_reexec *, struct launch *, struct gons__action *);
static int open_stdio(
    struct gons_reexec *, struct launch *, struct gons__action *);
static int open_socket(int, int *, int *);
static int open_pipe(int *, int *);
static int param_fd(const struct gons_reexec *, int *);
static int memory_fd(const char *, unsigned);
static int write_all(int, const void *, size_t);
static int seal(int);
static int executable(const struct gons_reexec *, int *);
static int sealed_copy(int *);
static int copy_file(int, int);
static int build_fds(
    const struct gons_reexec *, struct launch *, const struct gons__action *);
static int compare_fds(const void *, const void *);
static int build_env(
    const struct gons_reexec *, struct launch *, const struct gons__action *);
static int build_own(
    const struct gons_reexec *, char **, size_t *, const struct gons__action *);
static int build_order(const struct gons_reexec *, char **);
static int overridden(const struct gons_reexec *, const char *);
static int spawn(struct gons_reexec *, struct launch *);
static int child_exec(void *) BORROWED;
static void child_signals(void) BORROWED;
static void child_close(const struct launch *) BORROWED;
static void close_between(unsigned, unsigned) BORROWED;
static void close_listed(unsigned, unsigned) BORROWED;
static void close_entries(int, unsigned, unsigned) BORROWED;
static void close_launch(struct launch *, struct gons__action *);
static int watch(struct gons_reexec *);
static int watch_fd(struct gons_reexec *, enum source);

static int64_t now(void);
static int set_timer(struct gons_reexec *);
static int64_t next_time(const struct gons_reexec *);
static int64_t sooner(int64_t, int64_t);
static void work(struct gons_reexec *, const struct epoll_event *, int);
static void read_out(struct gons_reexec *);
static int read_piece(struct gons_reexec *);
static int read_head(struct gons_reexec *);
static void take(struct gons_reexec *, size_t);
static int ask(struct gons_reexec *, const void *, size_t);
static void complete(struct gons_reexec *);
static void out_of_bounds(struct gons_reexec *, int);
static void read_err(struct gons_reexec *);
static void read_control(struct gons_reexec *);
static void heed(struct gons_reexec *, const struct message *, size_t);
static int is_prepared(const struct gons_reexec *);
static int is_gone(const struct gons_reexec *);
static void reap_prepared(struct gons_reexec *, int);
static int kernel_status(const struct gons_reexec *, int *);
static int not_taken(struct gons_reexec *);
static void take_again(struct gons_reexec *);
static void close_channels(struct gons_reexec *);
static void reap(struct gons_reexec *);
static void look_at_clock(struct gons_reexec *);
static int hurry(struct gons_reexec *);
static void stop(struct gons_reexec *, enum cause);
static void send_kill(struct gons_reexec *);
static int may_be_supervised(const struct gons_reexec *);
static void kill_child(struct gons_reexec *);
static int send_signal(const struct gons_reexec *, int);
static int over(const struct gons_reexec *);
static void finish(struct gons_reexec *);
static void judge(struct gons_reexec *);
static void judge_start(struct gons_reexec *);
static int told_errno(int);
static void judge_status(struct gons_reexec *);
static int bad_end(const struct gons_reexec *, char *, size_t);
static int reply_is_whole(const struct gons_reexec *);
static uint64_t reply_length(const struct gons_reexec *);
static void say(struct gons_reexec *, enum gons_failure, int, const char *, ...)
    __attribute__((format(printf, 4, 5)));
static void unwatch(struct gons_reexec *, enum source);
static void release(struct gons_reexec *);
static int reserve(struct buffer *, size_t);
static void close_fd(int *);

int
gons_reexec_register(const char *name, int (*function)(void))
{
	struct action *action;
	const unsigned char *p;
	size_t len;

	if (name == NULL || function == NULL)
		goto invalid;
	for (p = (const unsigned char *)name; *p != '\0'; p++)
		if (*p < ' ' || *p == 0x7f)
			goto invalid;
	len = strlen(name);
	if (len == 0 || len > GONS__NAME_MAX)
		goto invalid;
	if (find_action(name) != NULL) {
		errno = EEXIST;
		return -1;
	}
	if ((action = malloc(sizeof(*action) + len + 1)) == NULL)
		return -1;
	memcpy(action->name, name, len + 1);
	action->function = function;
	action->next = self.actions;
	self.actions = action;
	return 0;
invalid:
	errno = EINVAL;
	return -1;
}

static const struct action *
find_action(const char *name)
{
	const struct action *action;

	for (action = self.actions; action != NULL; action = action->next)
		if (strcmp(action->name, name) == 0)
			break;
	return action;
}

void
gons_reexec_check(void)
{
	int status;

	if (gons_reexec_runaction(&status) == 1)
		exit(status);
}

int
gons_reexec_runaction(int *status)
{
	int ignored;

	if (status == NULL)
		status = &ignored;
	if (gons__status_stolen())
		return child_refuse("another copy of libgons in this process "
				    "has taken gons_reexec_action",
		    status);
	if (gons__status_action() != NULL)
		return child_run(status);
	allow();
	return 0;
}

/*
 * The program is executed later from what is opened now: by then it may be
 * deleted or replaced, and /proc may be out of reach.  To be readable matters
 * for GONS_REEXEC_SEALED alone.
 */
static void
allow(void)
{
	if (self.allowed)
		return;
	self.exe = high(open("/proc/self/exe", O_RDONLY | O_CLOEXEC));
	if (self.exe == -1 && errno == EACCES)
		self.exe = high(open("/proc/self/exe", O_PATH | O_CLOEXEC));
	self.errnum = errno;
	self.era = mmap(NULL, sizeof(*self.era), PROT_READ | PROT_WRITE,
	    MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	if (self.era == MAP_FAILED ||
	    madvise(self.era, sizeof(*self.era), MADV_WIPEONFORK) == -1)
		self.era = NULL;
	free(self.argv0);
	self.argv0 = strdup(
	    program_invocation_name != NULL ? program_invocation_name : "");
	self.allowed = self.argv0 != NULL;
}

/*
 * A number that this process has and no forked copy of it; in a pid namespace
 * of its own a copy may have the same process number.
 */
static unsigned
era(void)
{
	unsigned none = 0, *e = self.era;

	if (e == NULL)
		return (unsigned)getpid();
	if (__atomic_load_n(e, __ATOMIC_ACQUIRE) == 0)
		(void)__atomic_compare_exchange_n(e, &none,
		    __atomic_add_fetch(&self.eras, 1, __ATOMIC_ACQ_REL), 0,
		    __ATOMIC_ACQ_REL, __ATOMIC_ACQUIRE);
	return __atomic_load_n(e, __ATOMIC_ACQUIRE);
}

/* Returns 1, for gons_reexec_runaction(). */
static int
child_run(int *status)
{
	const struct gons__action *what = gons__status_action();
	const struct action *action;

	if (self.child)
		return child_refuse("the action has been run already", status);
	self.child = 1;
	if (!child_known(what))
		return child_refuse("gons_reexec_action is private to "
				    "gons_reexec_start(3)",
		    status);
	child_name();
	*status = EXIT_FAILURE;
	if ((what->flags & PREPARE) != 0) {
		prepared_process(what);
		what = gons__status_action();
	}
	if (!child.forked)
		child.control = what->fd[GONS__FD_CONTROL];
	if (gons_status_error() != NULL) {
		tell(MSG_STARTUP, 0, gons_status_error());
		return 1;
	}
	if ((action = find_action(what->name)) == NULL) {
		tell(MSG_UNKNOWN, 0, NULL);
		return 1;
	}
	if (supervise(what, status) == -1)
		return 1;
	child_enter(what);
	*status = action->function();
	child.value = *status;
	child.known = 1;
	return 1;
}

/* Was it started by gons_reexec_start()? */
static int
child_known(const struct gons__action *what)
{
	int type = 0;
	socklen_t len = sizeof(type);

	return what->name[0] != '\0' && what->fd[GONS__FD_CONTROL] >= 0 &&
	       getsockopt(what->fd[GONS__FD_CONTROL], SOL_SOCKET, SO_TYPE,
		   &type, &len) == 0 &&
	       type == SOCK_SEQPACKET;
}

/* Somebody plays tricks, or two copies meet: better no action than a wrong. */
static int
child_refuse(const char *why, int *status)
{
	self.child = 1;
	dprintf(STDERR_FILENO, "gons: %s\n", why);
	*status = EXIT_FAILURE;
	return 1;
}

/*
 * What precedes the action.  Handlers run in reverse order, so the one that
 * tells the exit value comes first: it is the last to run.
 */
static void
child_enter(const struct gons__action *what)
{
	int cov[2];

	child.pid = getpid();
	child.reply = what->fd[GONS__FD_REPLY];
#ifdef __GLIBC__
	(void)on_exit(tell_exit, NULL);
#else
	(void)atexit(tell_exit);
#endif
	cov[0] = what->fd[GONS__FD_COVERAGE];
	cov[1] = what->fd[GONS__FD_PROFILE];
	if (cov[0] != -1 || cov[1] != -1)
		gons__cov_child(cov, child.forked);
}

/* The kernel named the process after the descriptor that was executed. */
static void
child_name(void)
{
	const char *name = program_invocation_short_name;

	if (name != NULL && *name != '\0')
		(void)prctl(PR_SET_NAME, name, 0, 0, 0);
}

static void
tell(int kind, int value, const struct gons_error *error)
{
	struct message message;
	size_t len = MESSAGE_SHORT;

	message.kind = kind;
	message.value = value;
	if (error != NULL) {
		message.error = *error;
		len = sizeof(message);
	}
	while (send(child.control, &message, len,
		   MSG_NOSIGNAL | MSG_DONTWAIT) == -1 &&
	       errno == EINTR)
		continue;
}

/*
 * Only the child itself: what it forks may come here too.  With coverage
 * SIGTERM ends in exit(3), and is told as what it is.
 */
#ifdef __GLIBC__
static void
tell_exit(int value, void *unused)
{
	(void)unused;
	tell_end(1, value);
}
#else
static void
tell_exit(void)
{
	tell_end(child.known, child.value);
}
#endif

static void
tell_end(int known, int value)
{
	if (getpid() != child.pid)
		return;
	if (gons__cov_signal() != 0)
		tell(MSG_STATUS, gons__cov_signal(), NULL);
	else if (known)
		tell(MSG_STATUS, (value & 0xff) << 8, NULL);
}

/*
 * In a pid namespace only children of this process are, and only a parent can
 * see to it that an action ends together with the host, whatever it has done
 * to its credentials: in both cases the action is run by a child of this one.
 * Returns in the action's process; -1 when there is none.
 */
static int
supervise(const struct gons__action *what, int *status)
{
	int host = what->fd[GONS__FD_HOST], me;
	sigset_t all, old;
	pid_t pid;

	if ((gons_status_joined() & GONS_BIT(GONS_PID)) == 0 && host == -1) {
		if (!child.forked) /* in which case that is known */
			tell(MSG_REACHED, 0, NULL);
		return 0;
	}
	tell(MSG_REACHED, 1, NULL);
	(void)sigfillset(&all);
	(void)sigprocmask(SIG_SETMASK, &all, &old);
	me = (int)syscall(SYS_pidfd_open, getpid(), 0);
	(void)fflush(NULL);
	pid = fork();
	if (pid == -1) {
		tell(MSG_FORK, errno, NULL);
		*status = EXIT_FAILURE;
		(void)sigprocmask(SIG_SETMASK, &old, NULL);
	} else if (pid == 0) {
		die_with(me);
		(void)sigprocmask(SIG_SETMASK, &old, NULL);
	} else {
		supervisor(pid, host);
	}
	if (me != -1)
		(void)close(me);
	if (host != -1)
		(void)close(host);
	return pid;
}

/*
 * Should the supervisor be killed by somebody else.  The kernel forgets this
 * when the action changes its ids.
 */
static void
die_with(int parent)
{
	struct pollfd p;

	(void)prctl(PR_SET_PDEATHSIG, SIGKILL, 0, 0, 0);
	p.fd = parent;
	p.events = POLLIN;
	if (parent != -1 && poll(&p, 1, 0) == 1)
		_exit(EXIT_FAILURE);
}

/*
 * Passes signals on to the action and its end back, and kills it when it is
 * told to or when the host is gone.
 */
static void
supervisor(pid_t pid, int host)
{
	struct pollfd p[3];
	struct message message;
	sigset_t all;
	ssize_t n;

	(void)sigfillset(&all);
	p[0].fd = high(signalfd(-1, &all, SFD_CLOEXEC | SFD_NONBLOCK));
	p[1].fd = child.control;
	p[2].fd = host;
	p[0].events = p[1].events = p[2].events = POLLIN;
	close_but(p[0].fd, p[1].fd, p[2].fd);
	for (;;) {
		if (poll(p, 3, -1) == -1)
			continue;
		if (p[0].revents != 0)
			supervisor_signals(p[0].fd, pid);
		if (p[1].revents != 0) {
			n = recv(
			    p[1].fd, &message, sizeof(message), MSG_DONTWAIT);
			if (n == 0 || (n == -1 && errno != EAGAIN))
				p[1].fd = -1;
			else if (n >= (ssize_t)MESSAGE_SHORT &&
				 message.kind == MSG_KILL)
				(void)kill(pid, SIGKILL);
		}
		if (p[2].revents != 0) {
			(void)kill(pid, SIGKILL);
			p[2].fd = -1;
		}
	}
}

/* Whoever reads what the action writes must not wait for the supervisor. */
static void
close_but(int a, int b, int c)
{
	struct launch launch;
	int fds[3], fd;

	fds[0] = a;
	fds[1] = b;
	fds[2] = c;
	qsort(fds, 3, sizeof(*fds), compare_fds);
	launch.fds = fds;
	launch.nfds = 3;
	if (fds[0] == -1) {
		launch.fds++;
		launch.nfds--;
	}
	for (fd = 0; fd <= STDERR_FILENO; fd++)
		(void)close(fd);
	child_close(&launch);
}

static void
supervisor_signals(int fd, pid_t pid)
{
	struct signalfd_siginfo info;
	int status;

	while (read(fd, &info, sizeof(info)) == sizeof(info)) {
		if (info.ssi_signo != SIGCHLD)
			(void)kill(pid, (int)info.ssi_signo);
		else if ((status = supervisor_reap(pid)) != -1)
			imitate(status);
	}
}

static int
supervisor_reap(pid_t pid)
{
	int status;
	pid_t r;

	do
		r = waitpid(pid, &status, WNOHANG);
	while (r == -1 && errno == EINTR);
	return r == pid ? status : -1;
}

/* Ends as the action did, but leaves no second core file. */
static void
imitate(int status)
{
	struct rlimit none = { 0, 0 };
	sigset_t set;

	tell(MSG_STATUS, status, NULL);
	if (WIFSIGNALED(status)) {
		(void)setrlimit(RLIMIT_CORE, &none);
		(void)prctl(PR_SET_DUMPABLE, 0, 0, 0, 0);
		(void)signal(WTERMSIG(status), SIG_DFL);
		(void)sigemptyset(&set);
		(void)sigaddset(&set, WTERMSIG(status));
		(void)kill(getpid(), WTERMSIG(status));
		(void)sigprocmask(SIG_UNBLOCK, &set, NULL);
		_exit(128 + WTERMSIG(status));
	}
	_exit(WEXITSTATUS(status));
}

/*
 * The prepared process: the first one only forks it, so that it is no child
 * of the host, whose wait(2) must not find it.  It keeps children ahead, the
 * spares; what the host needs to talk to them waits in its socket.  One that
 * is sent a request becomes an ordinary re-executed child.  Returns in that
 * one alone.
 */
static void
prepared_process(const struct gons__action *what)
{
	struct hatch hatch;
	sigset_t all, old;
	pid_t pid;

	memset(&hatch, 0, sizeof(hatch));
	child.control = what->fd[GONS__FD_CONTROL];
	(void)sigfillset(&all);
	(void)sigprocmask(SIG_SETMASK, &all, &old);
	if ((pid = fork()) == -1)
		tell(MSG_FORK, errno, NULL);
	if (pid != 0)
		_exit(EXIT_SUCCESS);
	hatch.me = high((int)syscall(SYS_pidfd_open, getpid(), 0));
	hatch.signals = high(signalfd(-1, &all, SFD_CLOEXEC | SFD_NONBLOCK));
	hatch.host = what->fd[GONS__FD_HOST];
	hatch.socket = child.control;
	child.block = malloc(BLOCK_MAX + 1);
	if (gons_status_error() != NULL || hatch.host == -1 || hatch.me == -1 ||
	    hatch.signals == -1 || child.block == NULL) {
		tell(MSG_FORK, ENOSYS, NULL);
		_exit(EXIT_FAILURE);
	}
	(void)send_fds(hatch.socket, MSG_PREPARED, 0, &hatch.me, 1);
	prepared_loop(&hatch);
	(void)sigprocmask(SIG_SETMASK, &old, NULL);
}

/*
 * To make a spare takes about as long as an action that does little, so who
 * waits for the end of that comes first, unless the host has none.  Returns
 * in each spare that has taken a request.
 */
static void
prepared_loop(struct hatch *hatch)
{
	struct pollfd p[3];
	int failed = 0, n, wanted;

	p[0].fd = hatch->signals;
	p[1].fd = hatch->host;
	p[2].fd = hatch->socket;
	p[0].events = p[1].events = p[2].events = POLLIN;
	for (;;) {
		n = poll(p, 3,
		    !failed && hatch_spares(hatch) < hatch->target ? LINGER
								   : -1);
		if (n == -1)
			continue;
		if (p[1].revents != 0)
			_exit(EXIT_SUCCESS);
		wanted = p[2].revents != 0 && hatch_wanted(hatch);
		if (p[0].revents != 0)
			hatch_reap(hatch);
		failed = 0;
		while (hatch_spares(hatch) < hatch->target && failed == 0)
			if ((failed = hatch_spare(hatch)) == -1)
				return;
		if (wanted && failed != 0 && hatch_spares(hatch) == 0)
			tell(MSG_FORK, failed, NULL);
	}
}

/* How many wait for the host: their messages are alike. */
static int
hatch_spares(const struct hatch *hatch)
{
	int unread = 0;

	if (ioctl(hatch->socket, TIOCOUTQ, &unread) == -1)
		_exit(EXIT_FAILURE);
	return hatch->unread > 0 ? unread / hatch->unread : 0;
}

/* The host asks for one, and says what its kernel can do. */
static int
hatch_wanted(struct hatch *hatch)
{
	struct sigaction action;
	struct message message;
	int wanted = 0;
	size_t n;

	while ((n = receive(
		    hatch->socket, &message, sizeof(message), NULL, 0)) != 0) {
		if (n == (size_t)-1)
			_exit(EXIT_SUCCESS);
		wanted = 1;
	}
	if (wanted)
		hatch->target = SPARES;
	if (wanted && message.value && !hatch->reaping) {
		memset(&action, 0, sizeof(action));
		action.sa_handler = SIG_DFL;
		action.sa_flags = SA_NOCLDWAIT;
		(void)sigaction(SIGCHLD, &action, NULL);
		hatch->reaping = 1;
	}
	return wanted;
}

/*
 * One more, and tell the host.  Returns 0 or an errno value, and -1 in the
 * spare when it has taken a request.
 */
static int
hatch_spare(struct hatch *hatch)
{
	int errnum, i, ours[NSPARE], theirs[NSPARE];
	pid_t pid = -1;

	for (i = 0; i < NSPARE; i++)
		ours[i] = theirs[i] = -1;
	errnum = open_socket(
	    SOCK_SEQPACKET, &ours[SPARE_CONTROL], &theirs[SPARE_CONTROL]);
	if (errnum == 0)
		errnum = open_pipe(&ours[SPARE_OUT], &theirs[SPARE_OUT]);
	if (errnum == 0)
		errnum = open_pipe(&ours[SPARE_ERR], &theirs[SPARE_ERR]);
	if (errnum == 0 && (pid = fork()) == -1)
		errnum = errno;
	if (pid == 0) {
		spare_wait(hatch, theirs);
		return -1;
	}
	if (errnum == 0 &&
	    (ours[SPARE_PIDFD] = (int)syscall(SYS_pidfd_open, pid, 0)) == -1)
		errnum = errno;
	if (errnum == 0)
		errnum = send_fds(hatch->socket, MSG_SPARE, 0, ours, NSPARE);
	if (errnum == 0 && hatch->unread == 0)
		(void)ioctl(hatch->socket, TIOCOUTQ, &hatch->unread);
	if (pid > 0 && !hatch->reaping)
		hatch_add(hatch, pid, &theirs[SPARE_CONTROL]);
	for (i = 0; i < NSPARE; i++) {
		close_fd(&ours[i]);
		close_fd(&theirs[i]);
	}
	return errnum;
}

/* Where the kernel does not, its end is told on its own control socket. */
static void
hatch_add(struct hatch *hatch, pid_t pid, int *control)
{
	struct hatched *all;

	all = realloc(hatch->all, (hatch->n + 1) * sizeof(*all));
	if (all == NULL)
		_exit(EXIT_FAILURE);
	hatch->all = all;
	all[hatch->n].pid = pid;
	all[hatch->n++].control = *control;
	*control = -1;
}

/*
 * Nothing is told to who finds his request unread when the socket is closed.
 */
static void
hatch_reap(struct hatch *hatch)
{
	struct signalfd_siginfo info;
	struct message message;
	struct hatched *h;
	int status;
	size_t i;
	pid_t pid;

	while (read(hatch->signals, &info, sizeof(info)) == sizeof(info))
		continue;
	while ((pid = waitpid(-1, &status, WNOHANG)) > 0 ||
	       (pid == -1 && errno == EINTR)) {
		for (i = 0; i < hatch->n && hatch->all[i].pid != pid; i++)
			continue;
		if (i == hatch->n)
			continue;
		h = &hatch->all[i];
		if (recv(h->control, &message, MESSAGE_SHORT,
			MSG_PEEK | MSG_DONTWAIT) == -1 ||
		    message.kind == MSG_KILL) {
			child.control = h->control;
			tell(MSG_REAPED, status, NULL);
			child.control = hatch->socket;
		}
		(void)close(h->control);
		*h = hatch->all[--hatch->n];
	}
}

/*
 * In the spare: what can be done ahead, then wait for a request.  It ends if
 * the prepared process does, or if the host loses its end of the socket.
 */
static void
spare_wait(const struct hatch *hatch, const int *theirs)
{
	struct sigaction action;
	struct launch launch;
	struct pollfd p;
	int errnum, stdio[3], i;

	die_with(hatch->me);
	memset(&action, 0, sizeof(action));
	action.sa_handler = SIG_DFL;
	(void)sigaction(SIGCHLD, &action, NULL);
	stdio[0] = memory_fd("gons-param", MFD_NOEXEC_SEAL);
	stdio[1] = theirs[SPARE_OUT];
	stdio[2] = theirs[SPARE_ERR];
	if (stdio[0] == -1 || seal(stdio[0]) != 0)
		_exit(EXIT_FAILURE);
	for (i = 0; i < 3; i++)
		if (dup2(stdio[i], i) == -1)
			_exit(EXIT_FAILURE);
	child.control = theirs[SPARE_CONTROL];
	child.forked = 1;
	launch.fds = &child.control;
	launch.nfds = 1;
	child_close(&launch);
	p.fd = child.control;
	p.events = POLLIN;
	while (poll(&p, 1, -1) != 1)
		continue;
	(void)prctl(PR_SET_PDEATHSIG, 0, 0, 0, 0);
	if ((errnum = spare_take()) == 0)
		errnum = spare_go();
	if (errnum != 0) {
		tell(MSG_LOST, errnum, NULL);
		_exit(EXIT_FAILURE);
	}
}

/*
 * The request: how many descriptors come with it, their numbers, and the
 * environment, which is in the first of them if that has no number.
 */
static int
spare_take(void)
{
	int fds[RIGHTS_MAX], number[RIGHTS_MAX], errnum = 0;
	size_t i, len, n;
	struct message head;
	char *block = child.block;

	len = receive(child.control, block, BLOCK_MAX, fds, RIGHTS_MAX);
	if (len == (size_t)-1 || len < MESSAGE_SHORT)
		_exit(EXIT_SUCCESS); /* the host has no use for us any more */
	memcpy(&head, block, MESSAGE_SHORT);
	n = (size_t)head.value;
	if (n > RIGHTS_MAX || len < MESSAGE_SHORT + n * sizeof(*number))
		return EPROTO;
	for (i = 0; i < n; i++)
		if (fds[i] == -1)
			return EMFILE;
	memcpy(number, block + MESSAGE_SHORT, n * sizeof(*number));
	block += MESSAGE_SHORT + n * sizeof(*number);
	len -= MESSAGE_SHORT + n * sizeof(*number);
	if (n > 0 && number[0] == -1)
		errnum = block_map(fds[0], &block, &len);
	if (errnum == 0 && (errnum = spare_fds(fds, number, n)) == 0)
		errnum = spare_env(block, len);
	return errnum;
}

static int
block_map(int fd, char **block, size_t *len)
{
	struct stat st;
	void *map;

	if (fstat(fd, &st) == -1)
		return errno;
	map = mmap(NULL, (size_t)st.st_size + 1, PROT_READ | PROT_WRITE,
	    MAP_PRIVATE, fd, 0);
	if (map == MAP_FAILED)
		return errno;
	*block = map;
	*len = (size_t)st.st_size;
	return 0;
}

/*
 * Each descriptor gets its number, and no other is left.  The numbers are
 * sorted; what is in the way of one moves above them all.
 */
static int
spare_fds(int *fds, int *number, size_t n)
{
	int least = n > 0 && number[n - 1] > 2 ? number[n - 1] : 2;
	struct launch launch;
	size_t i;

	if (child.control <= least && (child.control = fcntl(child.control,
					   F_DUPFD_CLOEXEC, least + 1)) == -1)
		return errno;
	for (i = 0; i < n; i++)
		if (fds[i] <= least &&
		    (fds[i] = fcntl(fds[i], F_DUPFD_CLOEXEC, least + 1)) == -1)
			return errno;
	for (i = 0; i < n; i++)
		if (number[i] != -1 && dup2(fds[i], number[i]) == -1)
			return errno;
	launch.nfds = 0;
	launch.fds = fds;
	for (i = 0; i < n; i++)
		if (number[i] > 2)
			fds[launch.nfds++] = number[i];
	fds[launch.nfds++] = child.control;
	child_close(&launch);
	return 0;
}

/* As executing would have it. */
static int
spare_env(char *block, size_t len)
{
	char **envp, *p;
	size_t i, n = 0;

	block[len] = '\0';
	for (i = 0; i < len; i++)
		n += block[i] == '\0';
	if ((envp = malloc((n + 1) * sizeof(*envp))) == NULL)
		return errno;
	for (p = block, i = 0; i < n; i++) {
		envp[i] = p;
		p += strlen(p) + 1;
	}
	envp[n] = NULL;
	environ = envp;
	return 0;
}

/*
 * Nothing has happened yet that takes any privilege: whether it may, the host
 * finds out while this process wakes up.
 */
static int
spare_go(void)
{
	struct message message;
	struct pollfd p;
	size_t n;

	p.fd = child.control;
	p.events = POLLIN;
	while ((n = receive(
		    child.control, &message, sizeof(message), NULL, 0)) == 0)
		(void)poll(&p, 1, -1);
	if (n == (size_t)-1 || message.kind != MSG_GO)
		_exit(EXIT_SUCCESS); /* no */
	gons__status_again(environ);
	if ((gons__status_action()->flags & GONS_REEXEC_REPLY) != 0 &&
	    dup2(STDERR_FILENO, STDOUT_FILENO) == -1)
		return errno;
	return 0;
}

/* A message of no more than its kind and value, and descriptors. */
static int
send_fds(int sock, int kind, int value, const int *fds, size_t n)
{
	struct message message;

	memset(&message, 0, MESSAGE_SHORT);
	message.kind = kind;
	message.value = value;
	return send_block(sock, &message, MESSAGE_SHORT, fds, n);
}

/* 0 or an errno value. */
static int
send_block(int sock, const void *block, size_t len, const int *fds, size_t n)
{
	union {
		struct cmsghdr head;
		char room[CMSG_SPACE(RIGHTS_MAX * sizeof(int))];
	} rights;
	struct iovec iov;
	struct msghdr msg;
	ssize_t r;

	memset(&msg, 0, sizeof(msg));
	iov.iov_base = (void *)(uintptr_t)block;
	iov.iov_len = len;
	msg.msg_iov = &iov;
	msg.msg_iovlen = 1;
	if (n > 0) {
		memset(&rights.head, 0, sizeof(rights.head));
		msg.msg_control = &rights;
		msg.msg_controllen = CMSG_SPACE(n * sizeof(*fds));
		rights.head.cmsg_level = SOL_SOCKET;
		rights.head.cmsg_type = SCM_RIGHTS;
		rights.head.cmsg_len = CMSG_LEN(n * sizeof(*fds));
		memcpy(CMSG_DATA(&rights.head), fds, n * sizeof(*fds));
	}
	do
		r = sendmsg(sock, &msg, MSG_NOSIGNAL | MSG_DONTWAIT);
	while (r == -1 && errno == EINTR);
	if (r == -1 && errno == ECONNRESET)
		return EPIPE; /* it has ended with something unread */
	return r == -1 ? errno : 0;
}

/*
 * A message with up to n descriptors, -1 in the place of those that did not
 * come.  Returns its length, 0 when there is none yet, -1 when there will be
 * no more; errno is ECONNRESET if the other end left something unread.
 */
static size_t
receive(int sock, void *buf, size_t size, int *fds, size_t n)
{
	union {
		struct cmsghdr head;
		char room[CMSG_SPACE(RIGHTS_MAX * sizeof(int))];
	} rights;
	struct cmsghdr *c;
	struct iovec iov;
	struct msghdr msg;
	size_t i, got = 0;
	ssize_t r;

	memset(&msg, 0, sizeof(msg));
	iov.iov_base = buf;
	iov.iov_len = size;
	msg.msg_iov = &iov;
	msg.msg_iovlen = 1;
	/* not CMSG_SPACE: the padding has room for one more */
	msg.msg_control = n > 0 ? &rights : NULL;
	msg.msg_controllen = n > 0 ? CMSG_LEN(n * sizeof(int)) : 0;
	do
		r = recvmsg(sock, &msg, MSG_DONTWAIT | MSG_CMSG_CLOEXEC);
	while (r == -1 && errno == EINTR);
	for (i = 0; i < n; i++)
		fds[i] = -1;
	if (r == -1)
		return errno == EAGAIN ? 0 : (size_t)-1;
	c = n > 0 ? CMSG_FIRSTHDR(&msg) : NULL;
	if (c != NULL && c->cmsg_level == SOL_SOCKET &&
	    c->cmsg_type == SCM_RIGHTS) {
		got = (c->cmsg_len - CMSG_LEN(0)) / sizeof(int);
		memcpy(fds, CMSG_DATA(c), got * sizeof(int));
	}
	errno = 0;
	return r < (ssize_t)MESSAGE_SHORT ? (size_t)-1 : (size_t)r;
}

int
gons_reexec_reply(const void *buf, size_t len)
{
	unsigned char head[8];
	uint64_t n = len;
	struct iovec iov[2];
	int i, errnum;

	if (!self.child || gons__status_action() == NULL ||
	    gons__status_action()->fd[GONS__FD_REPLY] == -1) {
		errno = EPERM;
		return -1;
	}
	if (child.reply == -1) {
		errno = EALREADY;
		return -1;
	}
	for (i = 7; i >= 0; i--, n >>= 8)
		head[i] = (unsigned char)n;
	iov[0].iov_base = head;
	iov[0].iov_len = sizeof(head);
	iov[1].iov_base = (void *)(uintptr_t)buf;
	iov[1].iov_len = len;
	errnum = send_all(child.reply, iov, 2);
	close_fd(&child.reply);
	if (errnum == 0)
		return 0;
	errno = errnum;
	return -1;
}

/* Through a stream socket, and without SIGPIPE if nobody reads any more. */
static int
send_all(int sock, struct iovec *iov, size_t n)
{
	struct msghdr msg;
	ssize_t r;

	memset(&msg, 0, sizeof(msg));
	while (n > 0) {
		msg.msg_iov = iov;
		msg.msg_iovlen = n;
		r = sendmsg(sock, &msg, MSG_NOSIGNAL);
		if (r == -1 && errno == EINTR)
			continue;
		if (r == -1)
			return errno;
		for (; n > 0 && (size_t)r >= iov->iov_len; iov++, n--)
			r -= (ssize_t)iov->iov_len;
		if (n > 0) {
			iov->iov_base = (char *)iov->iov_base + r;
			iov->iov_len -= (size_t)r;
		}
	}
	return 0;
}

struct gons_reexec *
gons_reexec_new(const char *action)
{
	struct gons_reexec *req;
	int i;

	if (action == NULL || *action == '\0' ||
	    strlen(action) > GONS__NAME_MAX) {
		errno = EINVAL;
		return NULL;
	}
	if ((req = calloc(1, sizeof(*req))) == NULL)
		return NULL;
	if ((req->action = strdup(action)) == NULL) {
		free(req);
		return NULL;
	}
	req->target = -1;
	req->grace = DEFAULT_GRACE;
	req->timeout = -1;
	req->maxresult = DEFAULT_MAXRESULT;
	req->status = -1;
	req->epoll = -1;
	for (i = 0; i < NSRCS; i++)
		req->fd[i] = -1;
	return req;
}

void
gons_reexec_free(struct gons_reexec *req)
{
	int errnum = errno;
	size_t i;

	if (req == NULL)
		return;
	if (req->state == RUNNING && req->owner == era()) {
		stop(req, BY_KILL);
		(void)gons_reexec_wait(req);
	}
	release(req);
	forget(req);
	for (i = 0; i < req->nrefs; i++) {
		close_fd(&req->ref[i].fd);
		free(req->ref[i].path);
	}
	close_fd(&req->target);
	for (i = 0; i < req->nenv; i++)
		free(req->env[i]);
	free(req->env);
	free(req->order);
	free(req->param);
	free(req->keep);
	free(req->action);
	free(req);
	errno = errnum;
}

int
gons_reexec_namespace(
    struct gons_reexec *req, const char *type, const char *ref)
{
	struct reference *r = &req->ref[req->nrefs];
	int early, fd, i, known;
	unsigned u;

	if (busy(req))
		return -1;
	early = type != NULL && *type == '!';
	known = gons_type_find(type != NULL ? type + early : NULL);
	if (known == -1)
		return refuse_setting(req, EINVAL,
		    "unknown namespace type \"%s\"", type != NULL ? type : "");
	for (u = 0; u < req->nrefs; u++)
		if (req->ref[u].type == known)
			return refuse_setting(req, EINVAL,
			    "duplicate namespace type \"%s\"", type + early);
	if (req->target != -1)
		return refuse_setting(req, EINVAL,
		    "a namespace cannot be set together with a target");
	i = ref == NULL || *ref == '\0' ? -2 : gons__fdref(ref);
	if (i == -2)
		return refuse_setting(req, EINVAL,
		    "invalid %s reference \"%s\"", gons_type_name(known),
		    ref != NULL ? ref : "");
	r->type = known;
	r->early = early;
	r->fd = -1;
	r->path = NULL;
	if (i >= 0) {
		if ((fd = dup_high(i)) == -1)
			return refuse_setting(req, errno,
			    "invalid %s reference \"%s\"",
			    gons_type_name(known), ref);
		r->fd = fd;
	} else if ((r->path = strdup(ref)) == NULL) {
		return refuse_setting(req, ENOMEM, "no memory");
	}
	req->nrefs++;
	return 0;
}

int
gons_reexec_setorder(struct gons_reexec *req, const char *order)
{
	struct gons_order parsed;
	struct gons_error error;
	char *copy = NULL, text[128];

	if (busy(req))
		return -1;
	if (req->target != -1)
		return refuse_setting(req, EINVAL,
		    "an order cannot be set together with a target");
	if (order != NULL && *order != '\0') {
		if (gons_order_parse(order, &parsed, &error) == -1) {
			(void)gons_error_format(&error, text, sizeof(text));
			return refuse_setting(
			    req, EINVAL, "%s", gons__after(text, "gons: "));
		}
		if ((copy = strdup(order)) == NULL)
			return refuse_setting(req, ENOMEM, "no memory");
	}
	free(req->order);
	req->order = copy;
	return 0;
}

int
gons_reexec_target(struct gons_reexec *req, int pidfd, unsigned types)
{
	int fd;

	if (busy(req))
		return -1;
	if ((types & ~(GONS_BIT(GONS_NTYPES) - 1)) != 0)
		return refuse_setting(
		    req, EINVAL, "unknown namespace type in the mask");
	if (req->nrefs > 0 || req->order != NULL)
		return refuse_setting(req, EINVAL,
		    "a target cannot be set together with a namespace or an "
		    "order");
	if ((fd = dup_high(pidfd)) == -1)
		return refuse_setting(req, errno, "invalid target");
	close_fd(&req->target);
	req->target = fd;
	req->target_types = types;
	return 0;
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

int
gons_reexec_setcomplete(struct gons_reexec *req,
    int (*fn)(void *, const void *, size_t), void *state)
{
	if (busy(req))
		return -1;
	req->complete = fn;
	req->complete_state = state;
	return 0;
}

int
gons_reexec_setenv(struct gons_reexec *req, const char *name, const char *value)
{
	char *entry, **env;
	size_t i, len;

	if (busy(req))
		return -1;
	if (name == NULL || *name == '\0' || strchr(name, '=') != NULL ||
	    strncmp(name, "gons_", 5) == 0)
		return refuse_setting(req, EINVAL,
		    "the variable \"%s\" cannot be set",
		    name != NULL ? name : "");
	len = strlen(name);
	entry = value != NULL ? format("%s=%s", name, value) : strdup(name);
	if (entry == NULL)
		return refuse_setting(req, ENOMEM, "no memory");
	if (env_index(req, name, len, &i)) {
		free(req->env[i]);
		req->env[i] = entry;
		return 0;
	}
	env = realloc(req->env, (req->nenv + 1) * sizeof(*env));
	if (env == NULL) {
		free(entry);
		return refuse_setting(req, ENOMEM, "no memory");
	}
	req->env = env;
	req->env[req->nenv++] = entry;
	return 0;
}

/* Is there a variable of that name among those of the request? */
static int
env_index(
    const struct gons_reexec *req, const char *name, size_t len, size_t *index)
{
	size_t i;

	for (i = 0; i < req->nenv; i++)
		if (strncmp(req->env[i], name, len) == 0 &&
		    (req->env[i][len] == '=' || req->env[i][len] == '\0')) {
			*index = i;
			return 1;
		}
	return 0;
}

int
gons_reexec_param(struct gons_reexec *req, const void *buf, size_t len)
{
	void *copy = NULL;

	if (busy(req))
		return -1;
	if (len > 0) {
		if (buf == NULL)
			return refuse_setting(
			    req, EINVAL, "the parameter is missing");
		if ((copy = malloc(len)) == NULL)
			return refuse_setting(
			    req, ENOMEM, "no memory for the parameter");
		memcpy(copy, buf, len);
	}
	free(req->param);
	req->param = copy;
	req->paramlen = len;
	return 0;
}

int
gons_reexec_keepfd(struct gons_reexec *req, int fd)
{
	int *keep;

	if (busy(req))
		return -1;
	if (fd >= 0 && fd <= STDERR_FILENO)
		return refuse_setting(
		    req, EINVAL, "descriptor %d is the library's to set", fd);
	if (fcntl(fd, F_GETFD) == -1)
		return refuse_setting(req, errno, "descriptor %d", fd);
	keep = realloc(req->keep, (req->nkeep + 1) * sizeof(*keep));
	if (keep == NULL)
		return refuse_setting(req, ENOMEM, "no memory");
	req->keep = keep;
	req->keep[req->nkeep++] = fd;
	return 0;
}

int
gons_reexec_setgrace(struct gons_reexec *req, int ms)
{
	if (busy(req))
		return -1;
	if (ms < 0)
		return refuse_setting(
		    req, EINVAL, "a grace period of %d ms", ms);
	req->grace = ms;
	return 0;
}

int
gons_reexec_settimeout(struct gons_reexec *req, int ms)
{
	if (busy(req))
		return -1;
	if (ms < -1)
		return refuse_setting(req, EINVAL, "a timeout of %d ms", ms);
	req->timeout = ms;
	return 0;
}

int
gons_reexec_setmaxresult(struct gons_reexec *req, size_t bytes)
{
	if (busy(req))
		return -1;
	/* Room for the NUL and for one byte too many. */
	req->maxresult = bytes < SIZE_MAX / 2 ? bytes : SIZE_MAX / 2;
	return 0;
}

int
gons_reexec_setflags(struct gons_reexec *req, unsigned flags)
{
	if (busy(req))
		return -1;
	if ((flags & ~FLAGS_KNOWN) != 0)
		return refuse_setting(
		    req, EINVAL, "unknown flags 0x%x", flags & ~FLAGS_KNOWN);
	req->flags = flags;
	return 0;
}

/* For libgons_json: what lives as long as the outcome of this run. */
void
gons__reexec_attach(struct gons_reexec *req, void *what, void (*detach)(void *))
{
	if (req->detach != NULL)
		req->detach(req->attached);
	req->attached = what;
	req->detach = detach;
}

void *
gons__reexec_attached(const struct gons_reexec *req)
{
	return req->attached;
}

/* For libgons_json, in the callback of gons_reexec_setcomplete(): why -1. */
void
gons__reexec_reject(struct gons_reexec *req, const char *why)
{
	free(req->why);
	req->why = strdup(why);
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
		req->failure = (enum gons_failure)failure;
		req->errnum = errnum;
	}
	return refuse_setting(req, errnum, "%s", why);
}

int
gons_reexec_run(struct gons_reexec *req)
{
	int r;

	if (busy(req))
		return -1;
	req->waiting = 1;
	r = gons_reexec_start(req) == -1 ? -1 : gons_reexec_wait(req);
	req->waiting = 0;
	return r;
}

int
gons_reexec_start(struct gons_reexec *req)
{
	int errnum;

	if (busy(req))
		return -1;
	forget(req);
	if (may_start(req, 1) == -1)
		return -1;
	if ((errnum = begin(req)) == 0)
		return 0;
	release(req);
	return fail(req, errnum, "cannot be started: %s", strerror(errnum));
}

/* Also a second time, if the prepared process is lost that had it. */
static int
begin(struct gons_reexec *req)
{
	struct gons__action what;
	struct launch launch;
	int errnum, i;

	memset(&launch, 0, sizeof(launch));
	for (i = 0; i < 3; i++)
		launch.stdio[i] = -1;
	launch.exe = -1;
	memset(&what, 0, sizeof(what));
	for (i = 0; i < GONS__NFDS; i++)
		what.fd[i] = -1;
	errnum = open_channels(req, &launch, &what);
	if (errnum == 0)
		errnum = build_fds(req, &launch, &what);
	if (errnum == 0)
		errnum = build_env(req, &launch, &what);
	if (errnum == 0)
		errnum = (req->flags & GONS_REEXEC_PREPARED) != 0
			     ? begin_prepared(req, &launch)
			     : begin_fresh(req, &launch);
	close_launch(&launch, &what);
	if (errnum != 0)
		return errnum;
	if (req->cov != NULL)
		gons__cov_started(req->cov);
	req->state = RUNNING;
	req->owner = era();
	return 0;
}

static int
begin_fresh(struct gons_reexec *req, struct launch *launch)
{
	int errnum;

	if ((errnum = watch(req)) != 0)
		return errnum;
	gons__cov_env(req->cov, launch->envp);
	if ((errnum = spawn(req, launch)) != 0)
		return errnum;
	/* What cannot be watched has to be looked at now and then. */
	if (req->fd[SRC_PIDFD] != -1 && watch_fd(req, SRC_PIDFD) != 0)
		close_fd(&req->fd[SRC_PIDFD]);
	(void)set_timer(req);
	return 0;
}

/* The spare is woken first, and watched while it wakes up. */
static int
begin_prepared(struct gons_reexec *req, struct launch *launch)
{
	static const enum source spare[] = { SRC_PIDFD, SRC_CONTROL, SRC_OUT,
		SRC_ERR };
	int errnum;
	size_t i;

	if ((errnum = watch(req)) != 0)
		return errnum;
	req->taken_at = now() + HANDOVER_TIME;
	(void)pthread_mutex_lock(&prepared.lock);
	errnum = hand_over(req, launch);
	(void)pthread_mutex_unlock(&prepared.lock);
	if (errnum != 0)
		return errnum;
	for (i = 0; i < sizeof(spare) / sizeof(*spare) && errnum == 0; i++)
		if (req->fd[spare[i]] != -1 &&
		    (errnum = watch_fd(req, spare[i])) == EEXIST)
			errnum = 0;
	if (errnum != 0)
		(void)send_signal(req, SIGKILL);
	req->reached = 1;
	(void)set_timer(req);
	return errnum;
}

/* action: it has to be registered. */
static int
may_start(struct gons_reexec *req, int action)
{
	size_t i;

	if (self.child || gons__status_action() != NULL)
		return fail(req, EPERM,
		    "cannot be started: this is already a re-executed child");
	if (!self.allowed)
		return fail(req, EPERM,
		    "cannot be started: gons_reexec_check() has not been "
		    "called");
	if (getauxval(AT_SECURE) != 0)
		return fail(
		    req, EPERM, "cannot be started in secure-execution mode");
	if (action && find_action(req->action) == NULL)
		return fail(req, ENOENT, "not registered");
	if (self.exe == -1)
		return fail(req, self.errnum,
		    "cannot be started: /proc/self/exe could not be opened "
		    "by gons_reexec_check(): %s",
		    strerror(self.errnum));
	/* Before the library takes its number for something of its own. */
	for (i = 0; i < req->nkeep; i++)
		if (fcntl(req->keep[i], F_GETFD) == -1)
			return fail(req, errno,
			    "cannot be started: descriptor %d: %s",
			    req->keep[i], strerror(errno));
	return 0;
}

/*
 * What would be executed with is sent to a spare child of the prepared
 * process instead: descriptors, their numbers, the environment.
 */
static int
hand_over(struct gons_reexec *req, const struct launch *launch)
{
	int fds[RIGHTS_MAX], number[RIGHTS_MAX], errnum;
	size_t i, n = 1; /* the first may be the environment */

	if (launch->nfds + 4 > RIGHTS_MAX)
		return E2BIG;
	fds[0] = number[0] = -1;
	for (i = 0; i < 3; i++)
		if (launch->stdio[i] != -1) {
			fds[n] = launch->stdio[i];
			number[n++] = (int)i;
		}
	for (i = 0; i < launch->nfds; i++)
		fds[n] = number[n] = launch->fds[i], n++;
	errnum = block_send(req, launch->envp, fds, number, n);
	close_fd(&fds[0]);
	return errnum;
}

/* The message has room for most environments; others are in memory. */
static int
block_send(
    struct gons_reexec *req, char **envp, int *fds, const int *number, size_t n)
{
	size_t first = 1, len = 0, head;
	struct message message;
	char *block, *p, **e;
	int errnum = 0;

	for (e = envp; *e != NULL; e++)
		len += strlen(*e) + 1;
	head = MESSAGE_SHORT + n * sizeof(*number);
	if ((block = malloc(head + len)) == NULL)
		return ENOMEM;
	p = block + head;
	for (e = envp; *e != NULL; e++)
		p = stpcpy(p, *e) + 1;
	if (head + len > BLOCK_MAX) {
		first = 0;
		if ((fds[0] = memory_fd("gons-request", MFD_NOEXEC_SEAL)) == -1)
			errnum = errno;
		else
			errnum = write_all(fds[0], block + head, len);
		len = 0;
	}
	p = block + first * sizeof(*number);
	memset(&message, 0, MESSAGE_SHORT);
	message.kind = MSG_REQUEST;
	message.value = (int)(n - first);
	memcpy(p, &message, MESSAGE_SHORT);
	memcpy(
	    p + MESSAGE_SHORT, number + first, (n - first) * sizeof(*number));
	if (errnum == 0)
		errnum = prepared_send(req, p, (size_t)(block + head + len - p),
		    fds + first, n - first);
	free(block);
	return errnum;
}

/* To a spare that is alive, as far as this can be known. */
static int
prepared_send(struct gons_reexec *req, const void *block, size_t len,
    const int *fds, size_t n)
{
	int errnum, tries = 0;

	do {
		close_channels(req);
		if ((errnum = prepared_spare(req)) != 0)
			return errnum;
		/* Too many descriptors on their way: no event tells. */
		while ((errnum = send_block(req->fd[SRC_CONTROL], block, len,
			    fds, n)) == ETOOMANYREFS &&
		       now() < req->taken_at)
			(void)poll(NULL, 0, 1);
		if (errnum == 0)
			errnum = prepared_go(req);
	} while ((errnum == EPIPE || errnum == ESTALE) && tries++ < 2 * SPARES);
	return errnum;
}

/*
 * The next spare is this request's.  A prepared process that has none in time
 * is replaced, once for a request.
 */
static int
prepared_spare(struct gons_reexec *req)
{
	int sealed = (req->flags & GONS_REEXEC_SEALED) != 0;
	int errnum, fds[NSPARE];

	if ((errnum = prepared_get(sealed)) == 0)
		errnum = prepared_take(fds, req->taken_at);
	if ((errnum == EPIPE || errnum == ETIMEDOUT) && !req->retried) {
		req->retried = 1;
		req->taken_at = now() + HANDOVER_TIME;
		prepared_end();
		if ((errnum = prepared_get(sealed)) == 0)
			errnum = prepared_take(fds, req->taken_at);
	}
	if (errnum != 0)
		return errnum;
	req->kernel_tells = prepared.kernel_tells;
	req->fd[SRC_PIDFD] = fds[SPARE_PIDFD];
	req->fd[SRC_CONTROL] = fds[SPARE_CONTROL];
	if ((req->flags & GONS_REEXEC_REPLY) != 0)
		close_fd(&fds[SPARE_OUT]);
	else
		req->fd[SRC_OUT] = fds[SPARE_OUT];
	if (req->passed)
		close_fd(&fds[SPARE_ERR]);
	else
		req->fd[SRC_ERR] = fds[SPARE_ERR];
	return 0;
}

/*
 * The action may run if this process is what it was when the prepared process
 * was made.  Who has dropped privileges must not have actions run with them.
 */
static int
prepared_go(struct gons_reexec *req)
{
	int errnum;

	if ((errnum = prepared_stale()) != 0)
		return errnum;
	return send_fds(req->fd[SRC_CONTROL], MSG_GO, 0, NULL, 0);
}

/* ESTALE: it was, and is no more. */
static int
prepared_stale(void)
{
	struct buffer standing = { NULL, 0, 0 };
	int errnum;

	if ((errnum = standing_of(&standing)) == 0 &&
	    (standing.len != prepared.standing.len ||
		memcmp(standing.data, prepared.standing.data, standing.len) !=
		    0)) {
		prepared_end();
		errnum = ESTALE;
	}
	free(standing.data);
	return errnum;
}

/* Asks for a spare if there is none. */
static int
prepared_take(int *fds, int64_t until)
{
	struct message message;
	struct pollfd p;
	int asked = 0, errnum = 0, i;
	size_t n;

	p.fd = prepared.control;
	p.events = POLLIN;
	for (;;) {
		n = receive(p.fd, &message, sizeof(message), fds, NSPARE);
		if (n == (size_t)-1)
			return EPIPE;
		if (n != 0 && message.kind == MSG_SPARE)
			break;
		if (n != 0 && message.kind == MSG_FORK && asked)
			return message.value == ESRCH ? EPIPE : message.value;
		if (n != 0)
			continue;
		if (now() >= until)
			return ETIMEDOUT;
		if (!asked && (asked = prepared_want()) == -1)
			return EPIPE;
		(void)poll(&p, 1, TICK);
	}
	for (i = 0; i < NSPARE; i++)
		if ((fds[i] = high(fds[i])) == -1)
			errnum = EMFILE;
	for (i = 0; i < NSPARE && errnum != 0; i++)
		close_fd(&fds[i]);
	return errnum;
}

/* 1; 0: not yet; -1: it is gone. */
static int
prepared_want(void)
{
	int errnum = send_fds(
	    prepared.control, MSG_WANT, prepared.kernel_tells, NULL, 0);

	return errnum == 0 ? 1 : errnum == EAGAIN ? 0 : -1;
}

int
gons_reexec_prepare(void)
{
	struct gons_reexec *req;
	int errnum = 0;

	if ((req = gons_reexec_new("-")) == NULL)
		return -1;
	if (may_start(req, 0) == -1)
		errnum = errno;
	gons_reexec_free(req);
	if (errnum == 0) {
		(void)pthread_mutex_lock(&prepared.lock);
		if (prepared.control != -1)
			errnum = prepared_stale();
		if (errnum == 0 || errnum == ESTALE)
			errnum = prepared_get(0);
		(void)pthread_mutex_unlock(&prepared.lock);
	}
	if (errnum == 0)
		return 0;
	errno = errnum;
	return -1;
}

/* There is one, and it is alive. */
static int
prepared_get(int sealed)
{
	struct pollfd p;
	int errnum;

	p.fd = prepared.pidfd;
	p.events = POLLIN;
	if (prepared.control != -1 && poll(&p, 1, 0) == 0 &&
	    (!sealed || prepared.sealed))
		return 0;
	prepared_end();
	free(prepared.standing.data);
	memset(&prepared.standing, 0, sizeof(prepared.standing));
	if ((errnum = standing_of(&prepared.standing)) != 0)
		return errnum;
	return prepared_start(sealed || prepared.sealed);
}

static int
prepared_start(int sealed)
{
	struct gons__action what;
	struct launch launch;
	struct gons_reexec *req;
	int errnum, i;

	if (!prepared.hooked &&
	    (errnum = pthread_atfork(NULL, NULL, prepared_forget)) != 0)
		return errnum;
	prepared.hooked = 1;
	if ((req = gons_reexec_new("-")) == NULL)
		return errno;
	memset(&launch, 0, sizeof(launch));
	memset(&what, 0, sizeof(what));
	for (i = 0; i < GONS__NFDS; i++)
		what.fd[i] = -1;
	req->flags =
	    (sealed ? GONS_REEXEC_SEALED : 0) | GONS_REEXEC_DIE_WITH_PARENT;
	errnum = open_channels(req, &launch, &what);
	gons__cov_collect(req->cov);
	req->cov = NULL;
	what.fd[GONS__FD_COVERAGE] = what.fd[GONS__FD_PROFILE] = -1;
	what.flags = PREPARE;
	if (errnum == 0 && (errnum = build_fds(req, &launch, &what)) == 0 &&
	    (errnum = build_env(req, &launch, &what)) == 0)
		errnum = spawn(req, &launch);
	close_launch(&launch, &what);
	if (errnum == 0)
		errnum = prepared_await(req);
	if (errnum == 0) {
		prepared.control = req->fd[SRC_CONTROL];
		req->fd[SRC_CONTROL] = -1;
		prepared.sealed = sealed;
		(void)prepared_want();
	}
	gons_reexec_free(req);
	return errnum;
}

/*
 * It reaches gons_reexec_check(), forks and ends; the other one tells who it
 * is.  What it prints until then nobody wants, but it must not block it.
 */
static int
prepared_await(struct gons_reexec *req)
{
	int64_t until = now() + PREPARE_TIME;
	struct message message;
	struct pollfd p[3];
	int errnum = EPROTO, status;
	size_t n = 0;

	p[0].fd = req->fd[SRC_CONTROL];
	p[1].fd = req->fd[SRC_OUT];
	p[2].fd = req->fd[SRC_ERR];
	p[0].events = p[1].events = p[2].events = POLLIN;
	while (n == 0 && now() < until) {
		if (poll(p, 3, TICK * 10) < 1)
			continue;
		if (p[1].revents != 0)
			drain(&p[1].fd);
		if (p[2].revents != 0)
			drain(&p[2].fd);
		if (p[0].revents != 0)
			n = receive(p[0].fd, &message, sizeof(message),
			    &prepared.pidfd, 1);
	}
	if (n == 0) {
		errnum = ETIMEDOUT;
		(void)send_signal(req, SIGKILL);
	} else if (n != (size_t)-1) {
		errnum = message.kind == MSG_PREPARED && prepared.pidfd != -1
			     ? 0
			 : message.value > 0 ? message.value
					     : EMFILE;
	}
	if (errnum != 0)
		close_fd(&prepared.pidfd);
	prepared.pidfd = high(prepared.pidfd);
	while (waitpid(req->pid, NULL, 0) == -1 && errno == EINTR)
		continue;
	prepared.kernel_tells = kernel_status(req, &status);
	return errnum;
}

static void
drain(int *fd)
{
	char dropped[CHUNK];
	ssize_t n;

	n = read(*fd, dropped, sizeof(dropped));
	if (n == 0)
		*fd = -1;
}

/* Its spare goes with it; children that it has made do not. */
static void
prepared_end(void)
{
	if (prepared.pidfd != -1)
		(void)syscall(
		    SYS_pidfd_send_signal, prepared.pidfd, SIGKILL, NULL, 0);
	close_fd(&prepared.pidfd);
	close_fd(&prepared.control);
}

/* In a forked copy of this process: it may make one of its own. */
static void
prepared_forget(void)
{
	close_fd(&prepared.pidfd);
	close_fd(&prepared.control);
	(void)pthread_mutex_init(&prepared.lock, NULL);
}

/*
 * What this thread may do and where it is, as far as the kernel lets a child
 * inherit it: ids, groups, capabilities, namespaces.
 */
static int
standing_of(struct buffer *standing)
{
	struct {
		uid_t uid[3];
		gid_t gid[3];
		unsigned caps[6]; /* effective, permitted, inheritable; again */
		int securebits;
		int groups;
		unsigned char bounding[CAPS_MAX], ambient[CAPS_MAX];
		char ns[GONS_NTYPES][32];
	} now_is;
	unsigned head[2] = { 0x20080522, 0 };
	size_t len;

	memset(&now_is, 0, sizeof(now_is));
	if (getresuid(&now_is.uid[0], &now_is.uid[1], &now_is.uid[2]) == -1 ||
	    getresgid(&now_is.gid[0], &now_is.gid[1], &now_is.gid[2]) == -1 ||
	    syscall(SYS_capget, head, now_is.caps) == -1 ||
	    (now_is.groups = getgroups(0, NULL)) == -1)
		return errno;
	now_is.securebits = prctl(PR_GET_SECUREBITS, 0, 0, 0, 0);
	standing_caps(now_is.caps, now_is.bounding, now_is.ambient);
	standing_ns(now_is.ns);
	len = sizeof(now_is) + (size_t)now_is.groups * sizeof(gid_t);
	if ((standing->data = malloc(len)) == NULL)
		return ENOMEM;
	memcpy(standing->data, &now_is, sizeof(now_is));
	standing->len = len;
	if (now_is.groups > 0 &&
	    getgroups(now_is.groups,
		(gid_t *)(void *)(standing->data + sizeof(now_is))) !=
		now_is.groups)
		return errno;
	return 0;
}

/* What is ambient is inheritable, too. */
static void
standing_caps(
    const unsigned *caps, unsigned char *bounding, unsigned char *ambient)
{
	int i, r;

	for (i = 0; i < CAPS_MAX; i++) {
		if ((r = prctl(PR_CAPBSET_READ, i, 0, 0, 0)) == -1)
			break;
		bounding[i] = (unsigned char)r;
		if ((caps[i / 32 * 3 + 2] >> i % 32 & 1) != 0)
			ambient[i] = (unsigned char)prctl(
			    PR_CAP_AMBIENT, PR_CAP_AMBIENT_IS_SET, i, 0, 0);
	}
}

/*
 * Of a type that has another for children, that one; nothing without /proc.
 * Links are read, for the namespaces themselves take longer to look at.
 */
static void
standing_ns(char ns[GONS_NTYPES][32])
{
	char name[32];
	int dir, i;

	dir = open("/proc/thread-self/ns", O_PATH | O_DIRECTORY | O_CLOEXEC);
	for (i = 0; i < GONS_NTYPES && dir != -1; i++) {
		(void)snprintf(name, sizeof(name), "%s%s", gons_type_name(i),
		    i == GONS_PID || i == GONS_TIME ? "_for_children" : "");
		(void)!readlinkat(dir, name, ns[i], sizeof(ns[i]));
	}
	if (dir != -1)
		(void)close(dir);
}

/*
 * Every descriptor that the library makes has a number above the standard
 * ones: those may be closed in the host, but they are not the library's.
 */
static int
open_channels(
    struct gons_reexec *req, struct launch *launch, struct gons__action *what)
{
	int errnum;

	what->flags = req->flags;
	errnum = open_stdio(req, launch, what);
	if (errnum == 0 && !is_prepared(req))
		errnum = open_socket(SOCK_SEQPACKET, &req->fd[SRC_CONTROL],
		    &what->fd[GONS__FD_CONTROL]);
	if (errnum == 0 && !is_prepared(req))
		errnum = executable(req, &launch->exe);
	if (errnum == 0 && (req->flags & GONS_REEXEC_DIE_WITH_PARENT) != 0) {
		what->fd[GONS__FD_HOST] =
		    high((int)syscall(SYS_pidfd_open, getpid(), 0));
		if (what->fd[GONS__FD_HOST] == -1)
			errnum = errno;
	}
	if (errnum == 0) {
		int cov[2] = { -1, -1 };

		req->cov = gons__cov_new(cov);
		what->fd[GONS__FD_COVERAGE] = cov[0];
		what->fd[GONS__FD_PROFILE] = cov[1];
	}
	return errnum;
}

/*
 * With GONS_REEXEC_REPLY what the child prints anywhere goes where its
 * stderr goes.  A closed stderr cannot be passed on: what comes is dropped.
 */
static int
open_stdio(
    struct gons_reexec *req, struct launch *launch, struct gons__action *what)
{
	int errnum = 0, reply = (req->flags & GONS_REEXEC_REPLY) != 0;
	int spare = is_prepared(req); /* it has pipes, and an empty stdin */

	req->passed = (req->flags & GONS_REEXEC_STDERR_PASS) != 0 &&
		      fcntl(STDERR_FILENO, F_GETFD) != -1;
	if ((req->paramlen > 0 || !spare) &&
	    (errnum = param_fd(req, &launch->stdio[0])) != 0)
		return errnum;
	if (req->passed)
		launch->stdio[2] = dup_high(STDERR_FILENO);
	else if (!spare)
		errnum = open_pipe(&req->fd[SRC_ERR], &launch->stdio[2]);
	if (errnum != 0)
		return errnum;
	if (launch->stdio[2] == -1 && req->passed)
		return errno;
	if (!reply)
		return spare ? 0
			     : open_pipe(&req->fd[SRC_OUT], &launch->stdio[1]);
	if (!spare && (launch->stdio[1] = dup_high(launch->stdio[2])) == -1)
		return errno;
	return open_socket(
	    SOCK_STREAM, &req->fd[SRC_OUT], &what->fd[GONS__FD_REPLY]);
}

static int
open_socket(int type, int *ours, int *theirs)
{
	int fd[2];

	if (socketpair(AF_UNIX, type | SOCK_CLOEXEC, 0, fd) == -1)
		return errno;
	*ours = high(fd[0]);
	*theirs = high(fd[1]);
	if (*ours == -1 || *theirs == -1)
		return EMFILE;
	return fcntl(*ours, F_SETFL, O_NONBLOCK) == -1 ? errno : 0;
}

static int
open_pipe(int *ours, int *theirs)
{
	int fd[2];

	if (pipe2(fd, O_CLOEXEC) == -1)
		return errno;
	*ours = high(fd[0]);
	*theirs = high(fd[1]);
	if (*ours == -1 || *theirs == -1)
		return EMFILE;
	return fcntl(*ours, F_SETFL, O_NONBLOCK) == -1 ? errno : 0;
}

/* Complete before the child runs, and nobody can change it any more. */
static int
param_fd(const struct gons_reexec *req, int *fd)
{
	int errnum;

	if ((*fd = memory_fd("gons-param", MFD_NOEXEC_SEAL)) == -1)
		return errno;
	errnum = write_all(*fd, req->param, req->paramlen);
	if (errnum == 0 && lseek(*fd, 0, SEEK_SET) == -1)
		errnum = errno;
	return errnum != 0 ? errnum : seal(*fd);
}

/* flag: of Linux 6.3, done without by those before it. */
static int
memory_fd(const char *name, unsigned flag)
{
	unsigned flags = MFD_CLOEXEC | MFD_ALLOW_SEALING;
	int fd;

	fd = memfd_create(name, flags | flag);
	if (fd == -1 && errno == EINVAL)
		fd = memfd_create(name, flags);
	return high(fd);
}

static int
write_all(int fd, const void *buf, size_t len)
{
	const char *p = buf;
	ssize_t n;

	while (len > 0) {
		n = write(fd, p, len);
		if (n == -1 && errno != EINTR)
			return errno;
		if (n > 0) {
			p += n;
			len -= (size_t)n;
		}
	}
	return 0;
}

static int
seal(int fd)
{
	int seals = F_SEAL_SEAL | F_SEAL_SHRINK | F_SEAL_GROW | F_SEAL_WRITE;

	return fcntl(fd, F_ADD_SEALS, seals) == -1 ? errno : 0;
}

static int
executable(const struct gons_reexec *req, int *exe)
{
	if ((req->flags & GONS_REEXEC_SEALED) != 0)
		return sealed_copy(exe);
	*exe = self.exe;
	return 0;
}

/* Made once; of two threads that make it at the same time one is too many. */
static int
sealed_copy(int *exe)
{
	int errnum, expected = -1, fd;

	*exe = __atomic_load_n(&self.sealed, __ATOMIC_ACQUIRE);
	if (*exe != -1)
		return 0;
	if ((fd = memory_fd("gons-program", MFD_EXEC)) == -1)
		return errno;
	errnum = copy_file(self.exe, fd);
	if (errnum == 0)
		errnum = seal(fd);
	if (errnum != 0) {
		(void)close(fd);
		return errnum;
	}
	if (!__atomic_compare_exchange_n(&self.sealed, &expected, fd, 0,
		__ATOMIC_ACQ_REL, __ATOMIC_ACQUIRE))
		(void)close(fd);
	*exe = __atomic_load_n(&self.sealed, __ATOMIC_ACQUIRE);
	return 0;
}

static int
copy_file(int from, int to)
{
	struct stat st;
	off_t offset = 0;
	ssize_t n;

	if (fstat(from, &st) == -1)
		return errno;
	while (offset < st.st_size) {
		n = sendfile(to, from, &offset, (size_t)(st.st_size - offset));
		if (n == 0)
			return EIO;
		if (n == -1 && errno != EINTR)
			return errno;
	}
	return 0;
}

/* What is not on this list is closed in the child. */
static int
build_fds(const struct gons_reexec *req, struct launch *launch,
    const struct gons__action *what)
{
	size_t i, n = 0, unique;
	int *fds;

	fds = malloc((req->nkeep + req->nrefs + GONS__NFDS + 2) * sizeof(*fds));
	if (fds == NULL)
		return ENOMEM;
	if (launch->exe != -1)
		fds[n++] = launch->exe;
	for (i = 0; i < req->nkeep; i++)
		fds[n++] = req->keep[i];
	for (i = 0; i < req->nrefs; i++)
		if (req->ref[i].fd != -1)
			fds[n++] = req->ref[i].fd;
	if (req->target != -1)
		fds[n++] = req->target;
	for (i = 0; i < GONS__NFDS; i++)
		if (what->fd[i] != -1)
			fds[n++] = what->fd[i];
	qsort(fds, n, sizeof(*fds), compare_fds);
	for (i = unique = 0; i < n; i++)
		if (i == 0 || fds[i] != fds[i - 1])
			fds[unique++] = fds[i];
	launch->fds = fds;
	launch->nfds = unique;
	return 0;
}

static int
compare_fds(const void *a, const void *b)
{
	const int *x = a, *y = b;

	return *x < *y ? -1 : *x > *y;
}

/*
 * The parent's environment less every gons_ variable, what was set on the
 * request, and what start-up in the child has to know.
 */
static int
build_env(const struct gons_reexec *req, struct launch *launch,
    const struct gons__action *what)
{
	size_t i, n = 0;
	char **e;

	for (e = environ; e != NULL && *e != NULL; e++)
		n++;
	launch->argv = calloc(2, sizeof(*launch->argv));
	launch->envp =
	    calloc(n + req->nenv + GONS_NTYPES + 5, sizeof(*launch->envp));
	if (launch->argv == NULL || launch->envp == NULL)
		return ENOMEM;
	launch->argv[0] = self.argv0;
	n = 0;
	if (build_own(req, launch->envp, &n, what) != 0)
		return ENOMEM;
	for (i = 0; i < req->nenv; i++)
		if (strchr(req->env[i], '=') != NULL)
			launch->envp[n++] = req->env[i];
	for (e = environ; e != NULL && *e != NULL; e++)
		if (strncmp(*e, "gons_", 5) != 0 && !overridden(req, *e))
			launch->envp[n++] = *e;
	return 0;
}

/*
 * These are malloc'ed, as many as come before the first other; their number
 * is even, see consume() in status.c.
 */
static int
build_own(const struct gons_reexec *req, char **env, size_t *n,
    const struct gons__action *what)
{
	char number[GONS__NFDS][16];
	unsigned i;

	if (req->target != -1 &&
	    (env[(*n)++] = format("gons_target=fd:%d", req->target)) == NULL)
		return ENOMEM;
	for (i = 0; i < req->nrefs; i++) {
		const struct reference *r = &req->ref[i];
		const char *name = gons_type_name(r->type);

		env[*n] = r->path != NULL
			      ? format("gons_%s=%s", name, r->path)
			      : format("gons_%s=fd:%d", name, r->fd);
		if (env[(*n)++] == NULL)
			return ENOMEM;
	}
	if ((req->nrefs > 0 || (req->target != -1 && req->target_types != 0)) &&
	    build_order(req, &env[(*n)++]) != 0)
		return ENOMEM;
	for (i = 0; i < GONS__NFDS; i++) {
		number[i][0] = '\0';
		if (what->fd[i] != -1)
			(void)snprintf(
			    number[i], sizeof(number[i]), "%d", what->fd[i]);
	}
	do
		env[*n] = format("gons_reexec_action=%u:%s,%s,%s,%s,%s:%s",
		    what->flags, number[0], number[1], number[2], number[3],
		    number[4], req->action);
	while (env[(*n)++] != NULL && *n % 2 != 0);
	return env[*n - 1] == NULL ? ENOMEM : 0;
}

static int
build_order(const struct gons_reexec *req, char **env)
{
	struct gons_order order;
	char text[128];
	unsigned i, n = 0;

	memset(&order, 0, sizeof(order));
	for (i = 0; i < req->nrefs; i++, n++) {
		order.step[n].type = req->ref[i].type;
		order.step[n].early = req->ref[i].early;
	}
	for (i = 0; req->target != -1 && i < GONS_NTYPES; i++)
		if ((req->target_types & GONS_BIT(i)) != 0)
			order.step[n++].type = (int)i;
	order.nsteps = n;
	(void)gons_order_format(&order, text, sizeof(text));
	*env = format("gons_order=%s", req->order != NULL ? req->order : text);
	return *env == NULL ? ENOMEM : 0;
}

static int
overridden(const struct gons_reexec *req, const char *entry)
{
	size_t i;

	return req->nenv > 0 && env_index(req, entry, strcspn(entry, "="), &i);
}

/*
 * The child shares this process's memory until it executes, so that its start
 * costs the same however large the host is; this thread waits meanwhile.  No
 * handler of the host may run there, hence all signals are blocked.
 */
static int
spawn(struct gons_reexec *req, struct launch *launch)
{
	char stack[STACK] __attribute__((aligned(16)));
	unsigned char all[SIGSET_BYTES], old[SIGSET_BYTES];
	int errnum, pidfd = -1;

	memset(all, 0xff, sizeof(all));
	(void)syscall(SYS_rt_sigprocmask, SIG_SETMASK, all, old, sizeof(all));
	req->pid = CLONE(child_exec, stack + sizeof(stack),
	    CLONE_VM | CLONE_VFORK | CLONE_PIDFD | SIGCHLD, launch, &pidfd,
	    NULL, NULL);
	errnum = req->pid == -1 ? errno : launch->errnum;
	UNPOISON(stack, sizeof(stack));
	(void)syscall(SYS_rt_sigprocmask, SIG_SETMASK, old, NULL, sizeof(old));
	if (pidfd != -1)
		req->fd[SRC_PIDFD] = high(pidfd);
	if (req->pid != -1 && errnum != 0)
		while (waitpid(req->pid, NULL, 0) == -1 && errno == EINTR)
			continue;
	return errnum;
}

/*
 * In the parent's memory: system calls and local variables only, and errno,
 * which is the waiting thread's.  execveat(2) as a raw call: the coverage run
 * time of gcc would otherwise write the parent's data here.
 */
static int
child_exec(void *arg)
{
	struct launch *launch = arg;
	unsigned char none[SIGSET_BYTES] = { 0 };
	size_t i;
	int fd;

	child_signals();
	for (fd = 0; fd < 3; fd++)
		if (syscall(SYS_dup3, launch->stdio[fd], fd, 0) == -1)
			goto failed;
	child_close(launch);
	for (i = 0; i < launch->nfds; i++)
		if (launch->fds[i] != launch->exe &&
		    syscall(SYS_fcntl, launch->fds[i], F_SETFD, 0) == -1)
			goto failed;
	(void)syscall(
	    SYS_rt_sigprocmask, SIG_SETMASK, none, NULL, sizeof(none));
	(void)syscall(SYS_execveat, launch->exe, "", launch->argv, launch->envp,
	    AT_EMPTY_PATH);
failed:
	launch->errnum = errno;
	(void)syscall(SYS_exit_group, 127);
	return 127;
}

/* SIG_DFL, no flags, an empty mask: all zero in the kernel's structure. */
static void
child_signals(void)
{
	unsigned long action[16] = { 0 };
	int signo;

	for (signo = 1; signo <= SIGNALS; signo++)
		if (signo != SIGKILL && signo != SIGSTOP)
			(void)syscall(SYS_rt_sigaction, signo, action, NULL,
			    SIGSET_BYTES);
}

static void
child_close(const struct launch *launch)
{
	unsigned from = STDERR_FILENO + 1, fd;
	size_t i;

	for (i = 0; i < launch->nfds; i++) {
		fd = (unsigned)launch->fds[i];
		if (fd > from)
			close_between(from, fd - 1);
		from = fd + 1;
	}
	close_between(from, UINT_MAX);
}

static void
close_between(unsigned first, unsigned last)
{
	if (syscall(SYS_close_range, first, last, 0) == -1)
		close_listed(first, last);
}

/*
 * Before Linux 5.9: what /proc lists, or one by one as far as there can be
 * any.  The list is by number, so that closing does not disturb reading it.
 */
static void
close_listed(unsigned first, unsigned last)
{
	struct rlimit limit;
	unsigned fd, most = 1u << 20;
	int dir;

	dir = (int)syscall(SYS_openat, AT_FDCWD, "/proc/self/fd",
	    O_RDONLY | O_DIRECTORY | O_CLOEXEC, 0);
	if (dir != -1) {
		close_entries(dir, first, last);
		(void)syscall(SYS_close, dir);
		return;
	}
	if (syscall(SYS_prlimit64, 0, RLIMIT_NOFILE, NULL, &limit) == 0 &&
	    limit.rlim_max < most)
		most = (unsigned)limit.rlim_max;
	for (fd = first; fd <= last && fd < most; fd++)
		(void)syscall(SYS_close, fd);
}

/* struct linux_dirent64: inode and offset, length, type, then the name. */
static void
close_entries(int dir, unsigned first, unsigned last)
{
	enum {
		LENGTH = 16,
		NAME = 19
	};
	unsigned char entries[1024];
	unsigned short len;
	long at, fd, n;

	while ((n = syscall(SYS_getdents64, dir, entries, sizeof(entries))) > 0)
		for (at = 0; at < n; at += len) {
			gons__copy(&len, entries + at + LENGTH, sizeof(len));
			if (gons__number((const char *)entries + at + NAME,
				INT_MAX, &fd) == 0 &&
			    fd >= (long)first && (unsigned long)fd <= last &&
			    fd != dir)
				(void)syscall(SYS_close, (int)fd);
		}
}

/* What has become the child's, and the memory. */
static void
close_launch(struct launch *launch, struct gons__action *what)
{
	size_t n;
	int i;

	for (i = 0; i < 3; i++)
		close_fd(&launch->stdio[i]);
	for (i = 0; i < GONS__NFDS; i++)
		if (i != GONS__FD_COVERAGE && i != GONS__FD_PROFILE)
			close_fd(&what->fd[i]);
	for (n = 0; launch->envp != NULL && launch->envp[n] != NULL; n++) {
		if (strncmp(launch->envp[n], "gons_", 5) != 0)
			break;
		free(launch->envp[n]);
	}
	free(launch->envp);
	free(launch->argv);
	free(launch->fds);
}

/*
 * All that can fail happens before there is a child: once it runs, the lack of
 * a descriptor must not take away what its end depends on.  What a child says
 * of itself can wait until it is needed, and does not wake the parent; unless
 * it is prepared, for who it is comes that way.
 */
static int
watch(struct gons_reexec *req)
{
	int i, errnum;

	if (req->epoll == -1 &&
	    (req->epoll = high(epoll_create1(EPOLL_CLOEXEC))) == -1)
		return errno;
	if (req->fd[SRC_TIMER] == -1 && !req->waiting) {
		req->fd[SRC_TIMER] = high(timerfd_create(
		    CLOCK_MONOTONIC, TFD_CLOEXEC | TFD_NONBLOCK));
		if (req->fd[SRC_TIMER] == -1)
			return errno;
		if ((errnum = watch_fd(req, SRC_TIMER)) != 0)
			return errnum;
	}
	for (i = 0; i < NSRCS; i++)
		if (req->fd[i] != -1 && i != SRC_TIMER &&
		    (i != SRC_CONTROL || is_prepared(req)) &&
		    (errnum = watch_fd(req, (enum source)i)) != 0)
			return errnum;
	if (req->timeout != -1 && !req->again)
		req->timeout_at = now() + req->timeout;
	return 0;
}

static int
watch_fd(struct gons_reexec *req, enum source source)
{
	struct epoll_event event;

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
	struct pollfd p;
	int64_t at;
	int ms, r;

	while ((r = gons_reexec_step(req)) == 0) {
		p.fd = req->epoll;
		p.events = POLLIN;
		ms = -1;
		if ((at = next_time(req)) != -1)
			ms = at <= now() ? 0 : (int)(at - now());
		(void)poll(&p, 1, ms); /* the next step knows more */
	}
	return r == 1 ? 0 : -1;
}

int
gons_reexec_step(struct gons_reexec *req)
{
	struct epoll_event event[NSRCS];
	int n;

	if (req->state == RUNNING && req->owner != era()) {
		errno = ECHILD;
		return -1;
	}
	if (req->state == RUNNING) {
		n = epoll_wait(req->epoll, event, NSRCS, 0);
		work(req, event, n);
	}
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

int
gons_reexec_kill(struct gons_reexec *req)
{
	if (req->state != RUNNING) {
		errno = ESRCH;
		return -1;
	}
	if (req->owner != era()) {
		errno = ECHILD;
		return -1;
	}
	stop(req, BY_KILL);
	return 0;
}

/*
 * What the child said is read before its end is looked at: who knows that it
 * has ended knows all that it said.
 */
static void
work(struct gons_reexec *req, const struct epoll_event *event, int n)
{
	uint64_t expirations;
	unsigned ready = 0;
	int i;

	for (i = 0; i < n; i++)
		ready |= 1u << event[i].data.u32;
	if ((ready & 1u << SRC_TIMER) != 0 &&
	    read(req->fd[SRC_TIMER], &expirations, sizeof(expirations)) != -1)
		req->timer_at = -1;
	if (is_prepared(req)) {
		read_control(req);
		if (req->reaped && is_gone(req))
			ready |= 1u << SRC_PIDFD;
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
	} while (set_timer(req) != 0 && hurry(req));
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
	if (reply_length(req) > req->maxresult)
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
					  out->len >= reply_length(req));
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
		req->grace_at = now() + req->grace;
	req->finished = 1;
}

static void
out_of_bounds(struct gons_reexec *req, int errnum)
{
	req->finished = 1;
	req->errnum = errnum;
	stop(req, BY_SIZE);
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
		n = receive(
		    req->fd[SRC_CONTROL], &message, sizeof(message), NULL, 0);
		if (n == 0)
			break;
		if (n != (size_t)-1) {
			heed(req, &message, n);
		} else if (errno == ECONNRESET) {
			/* or a supervisor has not read MSG_KILL */
			req->untaken =
			    is_prepared(req) && req->cause == BY_NOBODY;
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
		req->reached = 1;
		req->supervised = message->value;
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

static int
is_prepared(const struct gons_reexec *req)
{
	return (req->flags & GONS_REEXEC_PREPARED) != 0;
}

/* Who says that it has ended may still be running. */
static int
is_gone(const struct gons_reexec *req)
{
	struct pollfd p;

	p.fd = req->fd[SRC_PIDFD];
	p.events = POLLIN;
	return poll(&p, 1, 0) == 1;
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
	if (req->kernel_tells)
		known = kernel_status(req, &status);
	if (req->reaped) {
		known = 1;
		status = req->reaped_status;
	}
	if (!req->exited) {
		req->exited = 1;
		/* who would tell may be dead, and init takes its time */
		req->taken_at = now() + (req->told ? 2 * TICK : STOP_TIME);
		memset(&event, 0, sizeof(event)); /* EPOLLHUP: reaped */
		event.data.u32 = SRC_PIDFD;
		if (!known && req->kernel_tells)
			(void)epoll_ctl(req->epoll, EPOLL_CTL_MOD,
			    req->fd[SRC_PIDFD], &event);
		else
			unwatch(req, SRC_PIDFD);
	}
	if (!known && now() < req->taken_at &&
	    (req->kernel_tells || req->fd[SRC_CONTROL] != -1))
		return;
	unwatch(req, SRC_PIDFD);
	if (req->untaken)
		return;
	req->ended = 1;
	if (known)
		req->status = status;
	if (req->grace_at == -1)
		req->grace_at = now() + req->grace;
}

/* As from waitpid(2), of a process that has been reaped; Linux 6.15. */
static int
kernel_status(const struct gons_reexec *req, int *status)
{
	struct {
		uint64_t mask, cgroup;
		uint32_t ids[11];
		int32_t status;
	} info;

	memset(&info, 0, sizeof(info));
	info.mask = PIDFD_INFO_EXIT;
	if (req->fd[SRC_PIDFD] == -1 ||
	    ioctl(req->fd[SRC_PIDFD], GET_INFO(sizeof(info)), &info) == -1 ||
	    (info.mask & PIDFD_INFO_EXIT) == 0)
		return 0;
	*status = info.status & 0xffff;
	return 1;
}

/* Has the spare ended, or is it stopped, without having read the request? */
static int
not_taken(struct gons_reexec *req)
{
	int unread = 0;

	if (req->untaken)
		return 1;
	if (req->taken_at == -1 || req->exited || now() < req->taken_at)
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

	(void)send_signal(req, SIGKILL);
	if (!req->untaken) {
		(void)pthread_mutex_lock(&prepared.lock);
		prepared_end();
		(void)pthread_mutex_unlock(&prepared.lock);
	}
	close_channels(req);
	unwatch(req, SRC_OUT);
	gons__cov_collect(req->cov);
	req->cov = NULL;
	req->untaken = req->exited = 0;
	if (req->cause == BY_NOBODY && req->again < 2 * SPARES) {
		req->again++;
		req->finished = 0;
		req->grace_at = -1;
		if ((errnum = begin(req)) == 0)
			return;
		close_channels(req);
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
static void
close_channels(struct gons_reexec *req)
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
		req->grace_at = now() + req->grace;
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
	t = now();
	if (req->stop_at != -1 && t >= req->stop_at) {
		req->stop_at = -1;
		if (req->asked)
			kill_child(req);
		else
			send_kill(req);
	}
	if (req->timeout_at != -1 && t >= req->timeout_at)
		stop(req, req->finished ? BY_GRACE : BY_TIMEOUT);
	if (req->grace_at != -1 && t >= req->grace_at)
		stop(req, BY_GRACE);
}

/*
 * Without a timer nobody would wake whoever waits: no more time is given.
 * Returns 0 when there is none to take.
 */
static int
hurry(struct gons_reexec *req)
{
	int64_t t = now();
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
static void
stop(struct gons_reexec *req, enum cause cause)
{
	if (req->cause != BY_NOBODY &&
	    !(req->cause == BY_GRACE && cause == BY_KILL))
		return;
	req->cause = cause;
	if (req->ended || req->exited || req->killed)
		return;
	if (!is_prepared(req))
		read_control(req); /* is it supervised? */
	if (cause == BY_GRACE && req->cov != NULL) {
		(void)send_signal(req, SIGTERM);
		req->stop_at = now() + STOP_TIME;
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
	(void)send_signal(req, SIGCONT);
	req->asked = 1;
	req->stop_at = now() + (req->supervised ? SUPERVISOR_TIME : STOP_TIME);
}

/* It is, or it has yet to tell and may be soon. */
static int
may_be_supervised(const struct gons_reexec *req)
{
	unsigned i;

	if (req->supervised || (req->reached && !is_prepared(req)))
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
	if (send_signal(req, SIGKILL) == -1 && errno == EPERM)
		req->ended = 1;
}

static int
send_signal(const struct gons_reexec *req, int signo)
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
	return now() >= sooner(req->grace_at, req->timeout_at);
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
	release(req);
	free(req->error); /* of something refused while it was running */
	req->error = NULL;
	judge(req);
}

/*
 * The table of gons_reexec(3), from the top: the first line that holds is
 * what the run failed of.
 */
static void
judge(struct gons_reexec *req)
{
	char end[END_SIZE] = "";
	int bad, errnum = req->errnum;

	req->errnum = 0;
	if (req->startup || (!req->reached && req->cause != BY_TIMEOUT &&
				req->cause != BY_KILL)) {
		judge_start(req);
	} else if (req->cause == BY_TIMEOUT) {
		say(req, GONS_FAIL_TIMEOUT, ETIMEDOUT,
		    "timed out after %d ms%s", req->timeout,
		    req->reached ? "" : ", before gons_reexec_check()");
	} else if (req->cause == BY_KILL) {
		say(req, GONS_FAIL_KILLED, ECANCELED,
		    "killed by gons_reexec_kill()");
	} else if (req->cause == BY_SIZE && errnum == ENOMEM) {
		say(req, GONS_FAIL_SIZE, ENOMEM, "no memory for the result");
	} else if (req->cause == BY_SIZE) {
		say(req, GONS_FAIL_SIZE, EMSGSIZE,
		    "the result has more than %zu bytes", req->maxresult);
	} else if (req->err.len > 0 &&
		   (req->flags & GONS_REEXEC_STDERR_PASS) == 0) {
		say(req, GONS_FAIL_STDERR, EIO, "failed");
	} else if (req->rejected) {
		bad = bad_end(req, end, sizeof(end));
		say(req, GONS_FAIL_RESULT, EBADMSG,
		    "the result does not decode%s%s%s%s",
		    req->why != NULL ? ": " : "",
		    req->why != NULL ? req->why : "", bad ? "; " : "", end);
	} else if ((req->flags & GONS_REEXEC_REPLY) != 0 && !req->accepted &&
		   !reply_is_whole(req)) {
		say(req, GONS_FAIL_RESULT, EBADMSG,
		    req->nhead == 0 ? "ended without a reply"
				    : "ended in the middle of its reply");
	} else {
		judge_status(req);
	}
}

static void
judge_start(struct gons_reexec *req)
{
	const struct message *message = &req->start;
	int errnum = told_errno(message->value);
	char text[4 * sizeof(message->error.what) + 512];
	const char *why;

	if (!req->startup) {
		say(req, GONS_FAIL_START, EPROTO,
		    "the child ended before gons_reexec_check()");
		return;
	}
	switch (message->kind) {
	case MSG_UNKNOWN:
		say(req, GONS_FAIL_START, ENOENT,
		    "not registered in the child when it called "
		    "gons_reexec_check()");
		break;
	case MSG_LOST:
		say(req, GONS_FAIL_START, errnum,
		    "the prepared process did not take it: %s",
		    strerror(errnum));
		break;
	case MSG_FORK:
		say(req, GONS_FAIL_START, errnum,
		    "no process can be made in the pid namespace: %s%s",
		    strerror(errnum),
		    errnum == ENOMEM
			? " (its init process has ended, or memory is short)"
			: "");
		break;
	default:
		(void)gons_error_format(&message->error, text, sizeof(text));
		why = gons__after(text, "gons: ");
		say(req, GONS_FAIL_START, told_errno(message->error.errnum),
		    "start-up failed: %s", why != NULL ? why : text);
		break;
	}
}

/* An errno value that a child has told. */
static int
told_errno(int errnum)
{
	return errnum > 0 && errnum < ERRNO_MAX ? errnum : EPROTO;
}

static void
judge_status(struct gons_reexec *req)
{
	char end[END_SIZE];

	if (bad_end(req, end, sizeof(end)))
		say(req,
		    WIFSIGNALED(req->status) ? GONS_FAIL_SIGNAL
					     : GONS_FAIL_EXIT,
		    EIO, "%s", end);
	else if (req->status == -1 && req->cause != BY_GRACE)
		say(req, GONS_FAIL_SIGNAL, ECHILD,
		    "how it ended is not known: somebody else has collected "
		    "its status");
}

/* How it ended counts only if it ended by itself, and is known. */
static int
bad_end(const struct gons_reexec *req, char *text, size_t size)
{
	int status = req->status;

	if (req->cause == BY_GRACE || status == -1 || status == 0)
		return 0;
	if (WIFSIGNALED(status))
		(void)snprintf(text, size, "killed by signal %d (%s)",
		    WTERMSIG(status), strsignal(WTERMSIG(status)));
	else
		(void)snprintf(
		    text, size, "exited with status %d", WEXITSTATUS(status));
	return 1;
}

static int
reply_is_whole(const struct gons_reexec *req)
{
	return req->nhead == sizeof(req->head) &&
	       req->out.len == reply_length(req);
}

/* The most significant byte comes first. */
static uint64_t
reply_length(const struct gons_reexec *req)
{
	uint64_t len = 0;
	size_t i;

	for (i = 0; i < sizeof(req->head); i++)
		len = len << 8 | req->head[i];
	return len;
}

static void
say(struct gons_reexec *req, enum gons_failure failure, int errnum,
    const char *fmt, ...)
{
	va_list ap;

	req->failure = failure;
	req->errnum = errnum;
	va_start(ap, fmt);
	set_error(req, req->err.len, fmt, ap);
	va_end(ap);
}

/* The same before anything has run. */
static int
fail(struct gons_reexec *req, int errnum, const char *fmt, ...)
{
	va_list ap;

	req->failure = GONS_FAIL_START;
	req->errnum = errnum;
	va_start(ap, fmt);
	set_error(req, 0, fmt, ap);
	va_end(ap);
	errno = errnum;
	return -1;
}

/* A setting is not accepted: there is text, but no run that has failed. */
static int
refuse_setting(struct gons_reexec *req, int errnum, const char *fmt, ...)
{
	va_list ap;

	va_start(ap, fmt);
	set_error(req, 0, fmt, ap);
	va_end(ap);
	errno = errnum;
	return -1;
}

/* The sentence, and len bytes of the child's own words. */
static void
set_error(struct gons_reexec *req, size_t len, const char *fmt, va_list ap)
{
	struct gons__text text = { NULL, 0, 0 };
	char *sentence;
	int round;

	free(req->error);
	req->error = NULL;
	if ((sentence = vformat(fmt, ap)) == NULL)
		return;
	while (len > 0 && strchr(" \t\r\n", req->err.data[len - 1]) != NULL)
		len--;
	for (round = 0; round < 2; round++) {
		text.len = 0;
		gons__text_str(&text, "gons: action \"");
		gons__text_safe(&text, req->action, strlen(req->action));
		gons__text_str(&text, "\": ");
		gons__text_safe(&text, sentence, strlen(sentence));
		if (len > 0) {
			gons__text_str(&text, ": ");
			gons__text_safe(&text, req->err.data, len);
		}
		if (round == 0) {
			text.size = text.len + 1;
			text.buf = req->error = malloc(text.size);
			if (req->error == NULL)
				break;
		}
	}
	if (req->error != NULL)
		(void)gons__text_end(&text);
	free(sentence);
}

static char *
format(const char *fmt, ...)
{
	char *text;
	va_list ap;

	va_start(ap, fmt);
	text = vformat(fmt, ap);
	va_end(ap);
	return text;
}

static char *
vformat(const char *fmt, va_list ap)
{
	char *text;

	return vasprintf(&text, fmt, ap) == -1 ? NULL : text;
}

const void *
gons_reexec_result(const struct gons_reexec *req, size_t *len)
{
	if (len != NULL)
		*len = req->out.len;
	return req->out.data;
}

int
gons_reexec_status(const struct gons_reexec *req)
{
	return req->state == DONE ? req->status : -1;
}

int
gons_reexec_failure(const struct gons_reexec *req)
{
	return (int)req->failure;
}

const char *
gons_reexec_error(const struct gons_reexec *req)
{
	return req->error;
}

/* What a run left behind in the request, before the next one or the end. */
static void
forget(struct gons_reexec *req)
{
	gons__reexec_attach(req, NULL, NULL);
	free(req->out.data);
	free(req->err.data);
	memset(&req->out, 0, sizeof(req->out));
	memset(&req->err, 0, sizeof(req->err));
	free(req->error);
	free(req->why);
	req->error = req->why = NULL;
	req->failure = GONS_FAIL_NONE;
	req->state = IDLE;
	req->cause = BY_NOBODY;
	req->timeout_at = req->grace_at = req->stop_at = req->timer_at = -1;
	req->asked = req->killed = req->reached = req->supervised = 0;
	req->ended = req->told = req->finished = 0;
	req->rejected = req->accepted = req->startup = 0;
	req->retried = req->untaken = req->again = 0;
	req->exited = req->reaped = req->kernel_tells = 0;
	req->taken_at = -1;
	req->pid = 0;
	req->errnum = 0;
	req->nhead = 0;
	req->status = -1;
}

/*
 * The descriptors of a run, and its coverage.  In a forked copy of the host
 * they are closed and nothing else: epoll(7) would serve both.
 */
static void
release(struct gons_reexec *req)
{
	int i;

	for (i = 0; i < NSRCS; i++)
		close_fd(&req->fd[i]);
	close_fd(&req->epoll);
	if (req->cov == NULL)
		return;
	if (req->state == RUNNING)
		gons__cov_drop(req->cov);
	else
		gons__cov_collect(req->cov);
	req->cov = NULL;
}

static void
unwatch(struct gons_reexec *req, enum source source)
{
	if (req->fd[source] != -1)
		(void)epoll_ctl(
		    req->epoll, EPOLL_CTL_DEL, req->fd[source], NULL);
	close_fd(&req->fd[source]);
}

static int
busy(const struct gons_reexec *req)
{
	if (req->state != RUNNING)
		return 0;
	errno = EBUSY;
	return 1;
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

/* Milliseconds of a clock that nobody sets. */
static int64_t
now(void)
{
	struct timespec t;

	(void)clock_gettime(CLOCK_MONOTONIC, &t);
	return (int64_t)t.tv_sec * 1000 + t.tv_nsec / 1000000;
}

/* The descriptor of the request becomes readable when time has run out. */
static int
set_timer(struct gons_reexec *req)
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

	if (is_prepared(req)) {
		if (!req->ended)
			at = req->taken_at;
	} else if (req->fd[SRC_PIDFD] == -1 && !req->ended) {
		at = now() + TICK;
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

static int
dup_high(int fd)
{
	return fcntl(fd, F_DUPFD_CLOEXEC, STDERR_FILENO + 1);
}

/* The same descriptor with a number above the standard ones; -1 for -1. */
static int
high(int fd)
{
	int copy, errnum;

	if (fd == -1 || fd > STDERR_FILENO)
		return fd;
	copy = dup_high(fd);
	errnum = errno;
	(void)close(fd);
	errno = errnum;
	return copy;
}

static void
close_fd(int *fd)
{
	int errnum = errno;

	if (*fd != -1)
		(void)close(*fd);
	*fd = -1;
	errno = errnum;
}
