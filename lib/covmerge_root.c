/*
 * SPDX-License-Identifier: BSD-2-Clause
 *
 * Copyright (c) 2026 The libgons developers
 *
 * The root directory that the program was started in.  A host may go to others,
 * which are foreign: nothing of coverage is looked for, made or believed there.
 * What is to be found by an absolute path is still found from the old root.
 */

#include "covmerge.h"

#include <sys/syscall.h>

#include <errno.h>

#ifndef SYS_openat2
#define SYS_openat2 NEWER(437) /* of Linux 5.6 */
#endif
#define IN_ROOT 0x10 /* RESOLVE_IN_ROOT */

struct how { /* the kernel's struct open_how */
	uint64_t flags;
	uint64_t mode;
	uint64_t resolve;
};

struct statx_head { /* the kernel's struct statx */
	uint32_t mask;
	uint32_t unused[7];
	uint64_t ino;
	uint64_t unused2[12];
	uint32_t major, minor;
	uint64_t mount; /* 0 before Linux 5.8 */
	uint64_t unused3[13];
};

static struct {
	int fd; /* -1: there is none, or it is not known */
	struct statx_head st;
} root = { -1, { 0, { 0 }, 0, { 0 }, 0, 0, 0, { 0 } } };

/* Never asks the server of a file system. */
static int
root_stat(int fd, const char *path, struct statx_head *st)
{
	memset(st, 0, sizeof(*st));
	return (int)syscall(SYS_statx, fd, path,
	    0x4000 | (*path == '\0' ? AT_EMPTY_PATH : 0), 0x1000 | 0x100,
	    st); /* DONT_SYNC; MNT_ID, INO */
}

/* Is it the one that it was? */
static int
root_is(int fd, const char *path)
{
	struct statx_head st;

	return root_stat(fd, path, &st) == 0 && st.ino == root.st.ino &&
	       st.major == root.st.major && st.minor == root.st.minor &&
	       st.mount == root.st.mount;
}

void
gons__cov_root_init(void)
{
	root.fd = fd_high(open("/", OPEN_PATH));
	if (root.fd >= 0 && root_stat(root.fd, "", &root.st) != 0)
		fd_close(&root.fd);
}

/* Asked again each time: the host may have closed and reused the descriptor. */
enum where
gons__cov_root(void)
{
	if (root.fd < 0 || !root_is(root.fd, ""))
		return WHERE_NOWHERE;
	return root_is(AT_FDCWD, "/") ? WHERE_HOME : WHERE_ABROAD;
}

int
gons__cov_root_open(const char *path, int flags)
{
	struct how how = { (uint64_t)flags, 0, IN_ROOT };
	enum where where = gons__cov_root();

	if (where == WHERE_HOME)
		return open(path, flags);
	if (where == WHERE_ABROAD && *path == '/')
		return (int)syscall(
		    SYS_openat2, root.fd, path, &how, sizeof(how));
	errno = EXDEV;
	return -1;
}
