/*
 * SPDX-License-Identifier: BSD-2-Clause
 *
 * Copyright (c) 2026 The libgons developers
 *
 * The public interface of libgons: start inside namespaces that exist already,
 * run a function of the program inside others, merge coverage data.  The
 * manual begins at libgons(3); what stands here is its short form.
 *
 * Unless it says otherwise, a function returns 0, or -1 with errno set.  No
 * function prints, exits or aborts but gons_reexec_check() and, on request of
 * the variable gons_onerror, start-up.
 */

#ifndef GONS_H
#define GONS_H

#include <stddef.h>
#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

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
	const char *onerror; /* gons_onerror */
	const char *action; /* gons_reexec_action */
	const void *reserved[4];
};

/*
 * Fills in the structure from envp (or an empty one from NULL) and returns how
 * many of its variables are set, that is, not empty.  Of a variable that
 * occurs twice the first counts.  Never fails; safe in any thread and in
 * signal handlers.
 */
int gons_envparse(char *const envp[], struct gons_env *env);

/*
 * What went wrong.  Complete in itself: nothing is borrowed, it may be copied,
 * kept and sent to other processes.
 */
enum gons_stage {
	GONS_STAGE_ORDER = 1, /* the variables contradict themselves */
	GONS_STAGE_OPEN, /* a reference could not be opened */
	GONS_STAGE_JOIN, /* the kernel refused to join */
	GONS_STAGE_SECURE /* secure-execution mode: nothing is joined */
};

enum gons_hint {
	GONS_HINT_NONE,
	/* with GONS_STAGE_ORDER: what is wrong */
	GONS_HINT_UNKNOWN, /* no such type: what holds its name */
	GONS_HINT_DUPLICATE, /* a type is named twice */
	GONS_HINT_MISSING, /* a type is set, but not in the order */
	GONS_HINT_ONERROR, /* gons_onerror is something else than "exit" */
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
	GONS_HINT_INSPECT /* the target must not be inspected: ptrace(2) */
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
 * Writes one line of text, without a newline, that tells what was tried, with
 * what, and why it failed.  Returns its length and truncates as snprintf(3)
 * does.  Safe in any thread; in signal handlers with glibc 2.32 and later.
 */
int gons_error_format(const struct gons_error *error, char *buf, size_t len);

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
int gons_order_parse(
    const char *text, struct gons_order *order, struct gons_error *error);
/*
 * The other way round: returns the length of the text and truncates as
 * snprintf(3) does; -1 with EINVAL if the structure makes no sense.
 */
int gons_order_format(const struct gons_order *order, char *buf, size_t len);

/*
 * Joins the namespaces of env in the given order; NULL: in that of env->order.
 * Moves the calling thread alone.  Stops at the first failure; error may be
 * NULL, then errno is all that is told.  Descriptors of "fd:N" are not closed.
 */
int gons_switch(const struct gons_env *env, const struct gons_order *order,
    struct gons_error *error);

/*
 * The outcome of start-up, which happened before main().  Constant from then
 * on, never freed; safe in any thread.
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
struct gons_reexec *gons_reexec_new(const char *action);
/* Accepts NULL; kills and reaps a running child.  errno is kept. */
void gons_reexec_free(struct gons_reexec *req);

/*
 * Adds a namespace to join: its type, with "!" in front to open the reference
 * before the first join, and a path or "fd:N", which is duplicated.  EINVAL,
 * EBADF, EMFILE, ENOMEM.
 */
int gons_reexec_namespace(
    struct gons_reexec *req, const char *type, const char *ref);
/* Another order than that of the calls: text as in gons_order.  EINVAL. */
int gons_reexec_setorder(struct gons_reexec *req, const char *order);
/*
 * Instead of both: join namespaces of that process, all or none.  types: a
 * mask of GONS_BIT(), 0 for all that differ.  The descriptor is duplicated.
 */
int gons_reexec_target(struct gons_reexec *req, int pidfd, unsigned types);

/* A pointer of the caller's own, which the library only keeps. */
void gons_reexec_setdata(struct gons_reexec *req, void *data);
void *gons_reexec_data(const struct gons_reexec *req);

/*
 * Who tells when the result is complete, if that is before the end of file.
 * fn gets each new piece of the result once, and len 0 when no more will come;
 * it returns 1 when the result is complete, 0 when it is not, -1 when it never
 * will be.
 */
int gons_reexec_setcomplete(struct gons_reexec *req,
    int (*fn)(void *state, const void *more, size_t len), void *state);
/* For the child's environment; value NULL removes the variable.  EINVAL. */
int gons_reexec_setenv(
    struct gons_reexec *req, const char *name, const char *value);
/* What the action reads from its standard input; len in bytes. */
int gons_reexec_param(struct gons_reexec *req, const void *buf, size_t len);
/* Lets the child inherit fd (3 or more), under the same number.  EBADF. */
int gons_reexec_keepfd(struct gons_reexec *req, int fd);
/* Milliseconds to exit in, when the result is complete; default 1000. */
int gons_reexec_setgrace(struct gons_reexec *req, int ms);
/* Milliseconds for the whole run; default -1, no limit. */
int gons_reexec_settimeout(struct gons_reexec *req, int ms);
/* Bytes that a result may have; default 64 MiB. */
int gons_reexec_setmaxresult(struct gons_reexec *req, size_t bytes);

#define GONS_REEXEC_STDERR_PASS 0x1u /* stderr: the parent's own */
#define GONS_REEXEC_REPLY 0x2u /* result: gons_reexec_reply() */
#define GONS_REEXEC_SEALED 0x4u /* run a copy in memory */
#define GONS_REEXEC_DIE_WITH_PARENT 0x8u /* kill it when the host ends */
#define GONS_REEXEC_PREPARED 0x10u /* gons_reexec_prepare() */

/* Replaces the flags.  EINVAL: unknown ones. */
int gons_reexec_setflags(struct gons_reexec *req, unsigned flags);

/* Start and wait: 0, or -1 with errno as told by gons_reexec_failure(). */
int gons_reexec_run(struct gons_reexec *req);
int gons_reexec_start(struct gons_reexec *req);
/* For poll(2), owned by the request: readable when there is work; or -1. */
int gons_reexec_fd(const struct gons_reexec *req);
/* Does the work at hand, never blocks.  1: done, 0: not yet, -1: failed. */
int gons_reexec_step(struct gons_reexec *req);
int gons_reexec_wait(struct gons_reexec *req);
/* Ends the child now; gons_reexec_wait() then fails with ECANCELED. */
int gons_reexec_kill(struct gons_reexec *req);

/*
 * What came of it.  Pointers are owned by the request and valid until it is
 * started again or freed.
 */
/* The result, a NUL after its end; NULL before the first run.  len: bytes. */
const void *gons_reexec_result(const struct gons_reexec *req, size_t *len);
/* As from waitpid(2); -1: not known. */
int gons_reexec_status(const struct gons_reexec *req);

enum gons_failure {
	GONS_FAIL_NONE,
	GONS_FAIL_START, /* not started, or start-up failed in the child */
	GONS_FAIL_TIMEOUT, /* ETIMEDOUT */
	GONS_FAIL_KILLED, /* ECANCELED: gons_reexec_kill() */
	GONS_FAIL_SIZE, /* EMSGSIZE: the result is too large */
	GONS_FAIL_STDERR, /* EIO: it wrote to stderr */
	GONS_FAIL_RESULT, /* EBADMSG: it does not decode, or no reply */
	GONS_FAIL_SIGNAL, /* EIO: it died of a signal */
	GONS_FAIL_EXIT /* EIO: it exited with another value than 0 */
};

int gons_reexec_failure(const struct gons_reexec *req);
/* NULL, or one line of text. */
const char *gons_reexec_error(const struct gons_reexec *req);

/* In a child started with GONS_REEXEC_REPLY: the result.  EALREADY, EPERM. */
int gons_reexec_reply(const void *buf, size_t len);

/*
 * Makes a process of this program that waits in gons_reexec_check() for
 * requests with GONS_REEXEC_PREPARED to be forked off it.  EPERM as with
 * gons_reexec_start().
 */
int gons_reexec_prepare(void);
/* How many children wait, forked ahead: 1 to 64, else EINVAL; default 2. */
int gons_reexec_setspares(int n);

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

/* Version of the library that runs, as MAJOR.MINOR.PATCH.  Static. */
const char *gons_version(void);

#ifdef __cplusplus
}
#endif

#endif /* GONS_H */
