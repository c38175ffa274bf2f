/*
 * SPDX-License-Identifier: BSD-2-Clause
 *
 * Copyright (c) 2026 The libgons developers
 *
 * The public interface of libgons: start inside namespaces that exist already,
 * run a function of the program inside others, merge coverage data.  The
 * manual begins at libgons(3); this file is its short form.
 *
 * Unless it says otherwise, a function returns 0, or -1 with errno set, and
 * borrows what it is given only until it returns.  No function prints, exits
 * or aborts but gons_reexec_check() and, on request of the variable
 * gons_onerror, start-up.
 */

#ifndef GONS_H
#define GONS_H

#include <sys/types.h>

#include <stddef.h>
#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

/*
 * With these, compilers check calls of the functions: a pointer that must not
 * be NULL, by its number; a result that must not be ignored; the size of a
 * buffer.
 */
#if defined(__has_attribute)
#if __has_attribute(nonnull)
#define GONS_NONNULL(n) __attribute__((nonnull(n)))
#endif
#if __has_attribute(warn_unused_result)
#define GONS_CHECKED __attribute__((warn_unused_result))
#endif
#if __has_attribute(access)
#define GONS_ACCESS(how, buf, len) __attribute__((access(how, buf, len)))
#endif
#endif
#ifndef GONS_NONNULL
#define GONS_NONNULL(n)
#endif
#ifndef GONS_CHECKED
#define GONS_CHECKED
#endif
#ifndef GONS_ACCESS
#define GONS_ACCESS(how, buf, len)
#endif

/* Version of this header: major, minor and patch, a byte each. */
#define GONS_VERSION_NUM 0x000200

/*
 * Namespace types.  Safe in any thread and in signal handlers.
 */
enum gons_type {
	GONS_CGROUP,
	GONS_IPC,
	GONS_MNT,
	GONS_NET,
	GONS_PID,
	GONS_TIME,
	GONS_USER,
	GONS_UTS
};

#define GONS_NTYPES 8 /* types in use */
#define GONS_MAXTYPES 16 /* room in the structures, for types to come */
#define GONS_BIT(type) (1u << (type))

/* "net" for GONS_NET; NULL if there is no such type.  Static. */
const char *gons_type_name(int type);
/* CLONE_NEWNET for GONS_NET; -1 if there is no such type. */
int gons_type_flag(int type);
/* GONS_NET for "net"; -1 if there is no such type. */
int gons_type_find(const char *name);

/*
 * The gons_ variables of an environment.  The strings are borrowed from it;
 * NULL stands for a variable that is unset or empty.
 */
struct gons_env {
	const char *path[GONS_MAXTYPES]; /* gons_TYPE: path or "fd:N" */
	const char *order; /* gons_order */
	const char *target; /* gons_target: PID or "fd:N" */
	const char *onerror; /* gons_onerror: "exit" */
	const char *action; /* gons_reexec_action */
	const char *ids; /* gons_ids: "UID:GID" */
	const void *reserved[3];
};

/*
 * Fills in the structure from envp (or an empty one from NULL) and returns how
 * many of its variables are set, that is, not empty.  Of a variable that
 * occurs twice the first counts.  Never fails; safe in any thread and in
 * signal handlers.
 */
int gons_envparse(char *const envp[], struct gons_env *env) GONS_NONNULL(2);

/*
 * A failure.  The structure is complete in itself: nothing is borrowed, so it
 * may be copied, kept and sent to other processes.
 */
enum gons_stage {
	GONS_STAGE_ORDER = 1, /* the variables contradict themselves */
	GONS_STAGE_OPEN, /* a reference could not be opened */
	GONS_STAGE_JOIN, /* the kernel refused to join */
	GONS_STAGE_SECURE, /* secure-execution mode: nothing is joined */
	GONS_STAGE_IDS, /* the ids of gons_ids could not be taken */
	GONS_STAGE_VISIT /* no thread to be had for a visit */
};

enum gons_hint {
	GONS_HINT_NONE,
	/* with GONS_STAGE_ORDER: what is wrong */
	GONS_HINT_UNKNOWN, /* no such type: what holds its name */
	GONS_HINT_DUPLICATE, /* a type is named twice */
	GONS_HINT_MISSING, /* a type is set, but not in the order */
	GONS_HINT_ONERROR, /* gons_onerror is something other than "exit" */
	GONS_HINT_TARGETED, /* a type is set and gons_target is too */
	GONS_HINT_EARLY, /* "!" in the order, with gons_target */
	GONS_HINT_AUTO, /* "auto" in the order, with gons_target */
	GONS_HINT_STRUCT, /* a struct gons_order that makes no sense */
	/* with the other stages: why */
	GONS_HINT_OTHERTYPE, /* it is a namespace of the type in value */
	GONS_HINT_NOTNS, /* it is no namespace */
	GONS_HINT_NOTPIDFD, /* it refers to no process */
	GONS_HINT_THREADS, /* the process has value threads; 0: several */
	GONS_HINT_OWNER, /* no CAP_SYS_ADMIN in the owning user namespace */
	GONS_HINT_SELF, /* no CAP_SYS_ADMIN in the own user namespace */
	GONS_HINT_CHROOT, /* no CAP_SYS_CHROOT in the own user namespace */
	GONS_HINT_SAME, /* already in that user namespace */
	GONS_HINT_NOTBELOW, /* pid namespace neither the own nor below it */
	GONS_HINT_LIMIT, /* value: the limit in /proc/sys/user */
	GONS_HINT_KERNEL, /* the kernel is too old for it */
	GONS_HINT_PROC, /* no way to compare namespaces without /proc */
	GONS_HINT_INIT, /* the pid namespace's init process has ended */
	GONS_HINT_INSPECT, /* the target must not be inspected: ptrace(2) */
	GONS_HINT_CHILD, /* a thread cannot join it: run an action instead */
	GONS_HINT_NOUID, /* user ID value is not mapped there */
	GONS_HINT_NOGID, /* group ID value is not mapped there */
	/* with GONS_STAGE_ORDER again */
	GONS_HINT_VARIABLE, /* what: a gons_ name that means nothing */
	GONS_HINT_COPY, /* another copy of the library took the variables */
	/* with the other stages again */
	GONS_HINT_THREADOF, /* it is a thread of the process in value */
	GONS_HINT_FORM /* the text has the form of something else */
};

struct gons_error {
	int stage; /* enum gons_stage */
	int errnum; /* an errno value */
	int type; /* enum gons_type, or -1: none in particular */
	int hint; /* enum gons_hint */
	int64_t value; /* the number that the hint speaks of */
	uint32_t joined; /* GONS_BIT of each type joined before the failure */
	uint32_t reserved[9];
	char what[4096]; /* the reference, or the offending text */
};

/*
 * Writes one line of text, without a newline, that names the step, the
 * reference and the cause of a failure.  Returns its length and truncates as
 * snprintf(3) does.  Safe in any thread; in signal handlers with glibc 2.32 and
 * later.
 */
int gons_error_format(const struct gons_error *error, char *buf, size_t len)
    GONS_NONNULL(1) GONS_ACCESS(write_only, 2, 3);

/*
 * In which order to join.
 */
struct gons_step {
	int type; /* enum gons_type */
	int early; /* open its reference before the first join ("!") */
};

struct gons_order {
	int automatic; /* "auto": find the order that works */
	unsigned nsteps; /* steps in use */
	struct gons_step step[GONS_MAXTYPES];
	uint32_t reserved[6];
};

/*
 * Text, in the form of the variable gons_order, to structure; NULL or "" stand
 * for the default.  On failure errno is EINVAL and error, unless it is NULL,
 * tells what is wrong; order is then unchanged.
 */
int gons_order_parse(const char *text, struct gons_order *order,
    struct gons_error *error) GONS_NONNULL(2) GONS_CHECKED;
/*
 * The other way round: returns the length of the text and truncates as
 * snprintf(3) does; -1 with EINVAL if the structure makes no sense.
 */
int gons_order_format(const struct gons_order *order, char *buf, size_t len)
    GONS_NONNULL(1) GONS_ACCESS(write_only, 2, 3);

/*
 * Joins the namespaces of env in the given order; NULL: in that of env->order.
 * Moves the calling thread alone.  Stops at the first failure.  If error is
 * NULL, only errno tells of it.  Descriptors of "fd:N" are not closed.
 */
int gons_switch(const struct gons_env *env, const struct gons_order *order,
    struct gons_error *error) GONS_NONNULL(1) GONS_CHECKED;

/*
 * Visits: functions, sockets and files of other namespaces, without a process
 * that goes there.  gons_visit(3) tells where that is not safe.
 */

/*
 * Calls fn(arg) in a thread of its own that has joined the namespaces of env,
 * as with gons_switch(), and stores the value of fn in *value (may be NULL).
 * -1: fn has not been called.  user, time and ids are refused with EINVAL and
 * GONS_HINT_CHILD.  No other thread of the process moves, and when the function
 * returns, this one has ended.
 */
int gons_visit(const struct gons_env *env, const struct gons_order *order,
    int (*fn)(void *arg), void *arg, int *value, struct gons_error *error)
    GONS_NONNULL(1) GONS_CHECKED;
/*
 * A socket of another network namespace, as from socket(2), close-on-exec.
 * net: a path or "fd:N".  error may be NULL.
 */
int gons_socket(const char *net, int domain, int type, int protocol,
    struct gons_error *error) GONS_CHECKED;
/*
 * The root directory of another mount namespace: a descriptor opened with
 * O_PATH, close-on-exec.
 */
int gons_root(const char *mnt, struct gons_error *error) GONS_CHECKED;
/*
 * As openat(2), but never outside the directory root, which is "/" to paths
 * and links.  Adds O_CLOEXEC, and unless flags have O_PATH O_NOCTTY and
 * O_NONBLOCK.  ENXIO: it is a device.  ENOSYS: there is no safe way.
 */
int gons_openat(int root, const char *path, int flags, ...)
    GONS_NONNULL(2) GONS_CHECKED;

/*
 * The outcome of start-up, which happened before main().  Constant from then
 * on, the library's, never freed; safe in any thread.  In signal handlers only
 * the last two: the text is made by the first call, with malloc(3).
 */
const char *gons_status(void); /* NULL: no error */
const struct gons_error *gons_status_error(void); /* NULL: no error */
unsigned gons_status_joined(void); /* GONS_BIT of each type joined */

/*
 * Actions: functions that run in a fresh child of the same program.  Register
 * them, then call gons_reexec_check(), both before the first thread.
 */

/*
 * The name is copied: 1 to 255 bytes, none of them a control character.  The
 * value that the action returns is the exit status of the child.  EEXIST: the
 * name is taken; EINVAL: name or function is not acceptable; ENOMEM.
 */
int gons_reexec_register(const char *name, int (*action)(void));
/* In a child: runs the action and exits.  Else: allows re-execution. */
void gons_reexec_check(void);
/*
 * Before gons_reexec_check(): requests are to work in secure-execution mode as
 * well, where that function forks a process for them then.  Else EPERM.
 */
int gons_reexec_allowsecure(void);
/*
 * For programs that end in their own way: as gons_reexec_check(), but returns.
 * 1: this was the child, the action has run or start-up failed, *status (may
 * be NULL) is the value to exit with.  0: this is the parent.
 */
int gons_reexec_runaction(int *status);

/*
 * A request to run an action.  It may be used in any thread, by one at a time.
 * The functions that set something copy what they are given, and fail with
 * EBUSY while the child is running.
 */
struct gons_reexec;

/* NULL with EINVAL or ENOMEM.  The action may be registered later. */
struct gons_reexec *gons_reexec_new(const char *action) GONS_CHECKED;
/* Accepts NULL; kills and reaps a running child.  errno is kept. */
void gons_reexec_free(struct gons_reexec *req);

/*
 * Adds a namespace to join: its type, with "!" in front to open the reference
 * before the first join, and a path or "fd:N", which is duplicated.  EINVAL,
 * EBADF, EMFILE, ENOMEM.
 */
int gons_reexec_namespace(
    struct gons_reexec *req, const char *type, const char *ref) GONS_NONNULL(1);
/* Another order than that of the calls: text as in gons_order.  EINVAL. */
int gons_reexec_setorder(struct gons_reexec *req, const char *order)
    GONS_NONNULL(1);
/*
 * Instead of both: join namespaces of that process, all or none.  types: a
 * mask of GONS_BIT(), 0 for all that differ.  The descriptor is duplicated.
 */
int gons_reexec_target(struct gons_reexec *req, int pidfd, unsigned types)
    GONS_NONNULL(1);

/*
 * The same of a process by its number; the text of errors says "PID 4711".
 * ESRCH, EINVAL.
 */
int gons_reexec_targetpid(struct gons_reexec *req, pid_t pid, unsigned types)
    GONS_NONNULL(1);
/*
 * User and group that the action becomes, as seen in the user namespace
 * joined; see gons_ids in libgons(3).  EINVAL: -1.
 */
int gons_reexec_setids(struct gons_reexec *req, uid_t uid, gid_t gid)
    GONS_NONNULL(1);

/* A pointer of the caller's own, which the library only keeps. */
void gons_reexec_setdata(struct gons_reexec *req, void *data) GONS_NONNULL(1);
void *gons_reexec_data(const struct gons_reexec *req) GONS_NONNULL(1);

/*
 * Sets the function that finds the result complete, if that is before the end
 * of file.  fn gets each new piece of the result once, and len 0 when no more
 * will come.  It returns 1 when the result is complete, 0 when it is not, -1
 * when it never will be.
 */
int gons_reexec_setcomplete(struct gons_reexec *req,
    int (*fn)(void *state, const void *more, size_t len), void *state)
    GONS_NONNULL(1);
/* For the child's environment; value NULL removes the variable.  EINVAL. */
int gons_reexec_setenv(struct gons_reexec *req, const char *name,
    const char *value) GONS_NONNULL(1);
/* The bytes that the action reads from its standard input; copied. */
int gons_reexec_param(struct gons_reexec *req, const void *buf, size_t len)
    GONS_NONNULL(1);
/* Lets the child inherit fd (3 or more), under the same number.  EBADF. */
int gons_reexec_keepfd(struct gons_reexec *req, int fd) GONS_NONNULL(1);
/* Milliseconds to exit in, when the result is complete; default 1000. */
int gons_reexec_setgrace(struct gons_reexec *req, int ms) GONS_NONNULL(1);
/* Milliseconds for the whole run; default -1, no limit. */
int gons_reexec_settimeout(struct gons_reexec *req, int ms) GONS_NONNULL(1);
/* Bytes that a result may have; default 64 MiB. */
int gons_reexec_setmaxresult(struct gons_reexec *req, size_t bytes)
    GONS_NONNULL(1);

/*
 * How many descriptors a reply may bring, see gons_reexec_replyfd(); default
 * 0, at most 65536.
 */
int gons_reexec_setmaxfds(struct gons_reexec *req, unsigned n) GONS_NONNULL(1);

#define GONS_REEXEC_STDERR_PASS 0x1u /* stderr: the parent's own */
#define GONS_REEXEC_REPLY 0x2u /* result: gons_reexec_reply() */
#define GONS_REEXEC_SEALED 0x4u /* run a copy in memory */
#define GONS_REEXEC_DIE_WITH_PARENT 0x8u /* kill it when the host ends */
#define GONS_REEXEC_PREPARED 0x10u /* gons_reexec_prepare() */
#define GONS_REEXEC_STDERR_KEEP 0x20u /* stderr: kept, and no failure */
#define GONS_REEXEC_STAY 0x40u /* the child runs the next one, too */

/* Replaces the flags.  EINVAL: unknown ones. */
int gons_reexec_setflags(struct gons_reexec *req, unsigned flags)
    GONS_NONNULL(1);

/* Start and wait: 0, or -1 with errno as told by gons_reexec_failure(). */
int gons_reexec_run(struct gons_reexec *req) GONS_NONNULL(1);
int gons_reexec_start(struct gons_reexec *req) GONS_NONNULL(1);
/* For poll(2), owned by the request: readable when there is work; or -1. */
int gons_reexec_fd(const struct gons_reexec *req) GONS_NONNULL(1);
/* Does the work at hand, never blocks.  1: done, 0: not yet, -1: failed. */
int gons_reexec_step(struct gons_reexec *req) GONS_NONNULL(1);
int gons_reexec_wait(struct gons_reexec *req) GONS_NONNULL(1);
/*
 * Ends the child that stays, if there is one, and waits for it.  EBUSY: it
 * runs; ECHILD: it is the parent's; ETIMEDOUT: it could not be killed.
 */
int gons_reexec_end(struct gons_reexec *req) GONS_NONNULL(1);
/*
 * Ends the child now; gons_reexec_wait() then fails with ECANCELED.  One that
 * waits in a gons_multi is done, and never starts.  ESRCH: neither.
 */
int gons_reexec_kill(struct gons_reexec *req) GONS_NONNULL(1);

/*
 * The outcome.  Pointers are owned by the request and valid until it is started
 * again or freed.
 */
/* The result, a NUL after its end; NULL before the first run.  len: bytes. */
const void *gons_reexec_result(const struct gons_reexec *req, size_t *len)
    GONS_NONNULL(1);
/*
 * The text that it wrote to stderr: the first 64 KiB as they came, a NUL after
 * the end; NULL with GONS_REEXEC_STDERR_PASS.  len: bytes.
 */
const char *gons_reexec_stderr(const struct gons_reexec *req, size_t *len)
    GONS_NONNULL(1);
/*
 * The i-th descriptor that came with the reply, close-on-exec, the caller's
 * from then on.  ENOENT.
 */
int gons_reexec_takefd(struct gons_reexec *req, unsigned i) GONS_NONNULL(1);
/* As from waitpid(2); -1: not known. */
int gons_reexec_status(const struct gons_reexec *req) GONS_NONNULL(1);

enum gons_failure {
	GONS_FAIL_NONE,
	GONS_FAIL_START, /* not started, or start-up failed in the child */
	GONS_FAIL_TIMEOUT, /* ETIMEDOUT */
	GONS_FAIL_KILLED, /* ECANCELED: gons_reexec_kill() */
	GONS_FAIL_SIZE, /* EMSGSIZE: the result is too large */
	GONS_FAIL_STDERR, /* EIO: it wrote to stderr */
	GONS_FAIL_RESULT, /* EBADMSG: it does not decode, or no reply */
	GONS_FAIL_SIGNAL, /* EIO: it died of a signal */
	GONS_FAIL_EXIT, /* EIO: it exited with another value than 0 */
	GONS_FAIL_GONE /* ESRCH: the container has ended */
};

int gons_reexec_failure(const struct gons_reexec *req) GONS_NONNULL(1);
/* NULL, or one line of text. */
const char *gons_reexec_error(const struct gons_reexec *req) GONS_NONNULL(1);

/* In a child started with GONS_REEXEC_REPLY: the result.  EALREADY, EPERM. */
int gons_reexec_reply(const void *buf, size_t len) GONS_ACCESS(read_only, 1, 2);

/*
 * In such a child, before its reply: sends a descriptor with it, which stays
 * open here.  EALREADY, EPERM.
 */
int gons_reexec_replyfd(int fd);
/*
 * In a child: the whole parameter, a NUL after its end; owned by the library.
 * len: bytes.  NULL with EPERM elsewhere.
 */
const void *gons_reexec_input(size_t *len);

/*
 * The arguments, up to a NULL, that the program is re-executed with, copied;
 * default: argv[0] alone.  EINVAL: none.
 */
int gons_reexec_setargs(char *const argv[]);

/*
 * Makes a process of this program that waits in gons_reexec_check() for
 * requests with GONS_REEXEC_PREPARED to be forked off it.  EPERM as with
 * gons_reexec_start().
 */
int gons_reexec_prepare(void);
/* How many children wait, forked ahead: 1 to 64, else EINVAL; default 2. */
int gons_reexec_setspares(int n);

/* Ends the prepared process, for hosts that give something up. */
void gons_reexec_unprepare(void);

/*
 * Many requests, at most max of them at once; 0: as many as descriptors and
 * processes allow.  It may be used in any thread, by one at a time, not in a
 * forked copy of the process (ECHILD) nor inside a visit (EPERM).
 */
struct gons_multi;

/* NULL with ENOMEM, EMFILE or ENFILE. */
struct gons_multi *gons_multi_new(unsigned max);
/*
 * Queues a request, which stays the caller's.  EBUSY: it runs, or is in a
 * multi already.  Until gons_multi_next() has returned it, it can only be
 * killed or freed.
 */
int gons_multi_add(struct gons_multi *multi, struct gons_reexec *req)
    GONS_NONNULL(1) GONS_NONNULL(2);
/* For poll(2), owned by the multi: readable when gons_multi_next() has work. */
int gons_multi_fd(const struct gons_multi *multi) GONS_NONNULL(1);
/*
 * The next request that is done, in the order in which they end, waiting up to
 * ms milliseconds (-1: without a limit).  NULL with EAGAIN: none in that time;
 * ENOENT: there is none left.
 */
struct gons_reexec *gons_multi_next(struct gons_multi *multi, int ms)
    GONS_NONNULL(1);
/* How many have been added and not been returned. */
unsigned gons_multi_pending(const struct gons_multi *multi) GONS_NONNULL(1);
/* Accepts NULL; kills those that run, and frees no request.  errno is kept. */
void gons_multi_free(struct gons_multi *multi);

/*
 * Coverage: adds the n sources to the destination, files to a file or trees to
 * a tree.  st may be NULL.  EBADMSG, ESTALE, ENOTSUP: a source is malformed, of
 * another build, of a kind that does not add; the destination is untouched.
 */
struct gons_covstat {
	uint64_t merged; /* files merged */
	uint64_t skipped; /* sources that were missing or empty */
	uint64_t stale; /* files of another build */
	uint64_t failed; /* files that could not be merged */
	int64_t offset; /* where in the file: bytes, or -1 */
	uint64_t reserved[3];
	char where[4096]; /* the file that failed */
};

int gons_covmerge(const char *dst, const char *const src[], size_t n,
    struct gons_covstat *st);

/*
 * Version of the library that runs, as MAJOR.MINOR.PATCH.  Static; safe in any
 * thread and in signal handlers.
 */
const char *gons_version(void);

#ifdef __cplusplus
}
#endif

#endif /* GONS_H */
