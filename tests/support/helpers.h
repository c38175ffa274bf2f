/*
 * SPDX-License-Identifier: BSD-2-Clause
 *
 * Copyright (c) 2026 The libgons developers
 *
 * What the tests of joining share: processes in namespaces of their own to be
 * joined, programs to be started, and kernels that refuse.
 */

#ifndef HELPERS_H
#define HELPERS_H

#include <sys/types.h>

#include <stddef.h>
#include <stdint.h>

#include "filters.h"

#define NTYPES 8
#define ALL_FLAGS                                                      \
	(CLONE_NEWCGROUP | CLONE_NEWIPC | CLONE_NEWNS | CLONE_NEWNET | \
	    CLONE_NEWPID | CLONE_NEWTIME | CLONE_NEWUSER | CLONE_NEWUTS)

#ifndef CLONE_NEWTIME
#define CLONE_NEWTIME 0x00000080
#endif

#define NOBODY 65534

/* clang does not say it as gcc does */
#if defined(__has_feature)
#define HAS_FEATURE(x) __has_feature(x)
#else
#define HAS_FEATURE(x) 0
#endif
#if defined(__SANITIZE_ADDRESS__) || HAS_FEATURE(address_sanitizer)
#define ADDRESS_SANITIZER 1
#else
#define ADDRESS_SANITIZER 0
#endif
#if defined(__SANITIZE_THREAD__) || HAS_FEATURE(thread_sanitizer)
#define THREAD_SANITIZER 1
#else
#define THREAD_SANITIZER 0
#endif

/* Each start of a program is slow then. */
#define SANITIZER (ADDRESS_SANITIZER || THREAD_SANITIZER)

/* The types as the manual lists them, in the order of enum gons_type. */
struct ns_type {
	const char *name;
	int flag;
};
extern const struct ns_type ns_types[NTYPES];

/* For children: say what failed, and end. */
#define CHILD(cond)                                              \
	do {                                                     \
		if (!(cond))                                     \
			child_failed(__FILE__, __LINE__, #cond); \
	} while (0)
void child_failed(const char *, int, const char *) __attribute__((noreturn));

/* Runs the function in a forked child. */
void in_child(void (*)(void *), void *);
/* As root: becomes uid nobody. */
void drop_to_nobody(void);

/* Skips the test, saying why, if user namespaces are not to be had. */
void need_userns(void);
/* The same, if an ordinary user cannot have them, or we cannot become one. */
void need_nobody(void);
/*
 * Puts this process into a new user namespace, as its root, and with flags
 * into other new namespaces.
 */
void sandbox(int flags);

/* A process in new namespaces, which ends at the latest with this one. */
struct target {
	pid_t pid; /* to be joined */
	pid_t child; /* ours: the same, or its parent */
	int life; /* ends when this is closed */
	char refs[NTYPES][64]; /* "/proc/PID/ns/TYPE" */
};
enum {
	TARGET_NOBODY = 1
}; /* made by an ordinary user */
void target_start(struct target *, int flags, int options);
/* Kills it, but leaves a zombie. */
void target_kill(struct target *);
void target_stop(struct target *);
int pidfd_of(pid_t);

/* Namespaces, by their inodes: this process's, and the next child's. */
struct nsids {
	uint64_t id[NTYPES];
	uint64_t children[2]; /* pid, time */
};
void ns_own(struct nsids *);
uint64_t ns_id(const char *path);
#define CHECK_UNMOVED(before)                                            \
	do {                                                             \
		struct nsids now_;                                       \
		ns_own(&now_);                                           \
		ATF_CHECK_EQ_MSG(0, memcmp(&now_, before, sizeof(now_)), \
		    "some namespace has changed");                       \
	} while (0)

/* Skips where a program cannot be executed without /proc. */
void need_no_proc(void);
/* Skips where no file can be executed by its descriptor: some emulators. */
void need_execveat(void);

/* malloc(3) fails from one to the other, in a child that has no threads. */
void take_memory(void);
void give_memory(void);
/* Bytes from malloc(3) that are in use; 0: libc does not tell. */
size_t memory_used(void);

/* Whoever is called next finds that in what it does not set. */
void spoil_stack(void);
void spoil_stack_with(int);

/* How many descriptors are open. */
int count_fds(void);
/* Entries of /proc/PID/fd: two more than its descriptors; -1: it has ended. */
int fds_of(pid_t pid);

/* One message and descriptors with it, no more than that; as sendmsg(2). */
#define SEND_FDS_MAX 8
ssize_t send_fds(
    int sock, const void *, size_t, const int *fds, size_t n, int flags);

/* A started program, and what it said. */
#define RUN_ENV 160
#define RUN_OUT 65536
struct program {
	/* to be set before; all zero will do */
	const char *args[8]; /* besides argv[0] */
	const char *env[RUN_ENV];
	int keep[8]; /* descriptors to inherit, from the first that is not 0 */
	struct rule rules[4];
	size_t nrules;
	int as_nobody;
	int drop_cap; /* a capability to go without, plus 1 */
	int closed; /* bits of 0, 1, 2: those to be closed */
	int err_fd; /* what its stderr is; 0: what comes out is in err */
	const char *cwd;
	/* found out */
	int status; /* as from waitpid(2) */
	char out[RUN_OUT], err[RUN_OUT];
};
/* An empty one, static. */
struct program *run_new(void);
/* Runs the helper program NAME beside the test. */
void run(struct program *, const char *srcdir, const char *name);
void run_env(struct program *, const char *fmt, ...)
    __attribute__((format(printf, 2, 3)));
/* The value of the line "KEY value" of its output; NULL: there is none. */
const char *run_value(const struct program *, const char *key);
uint64_t run_number(const struct program *, const char *key);

#endif /* HELPERS_H */
