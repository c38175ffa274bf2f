/*
 * SPDX-License-Identifier: BSD-2-Clause
 *
 * Copyright (c) 2026 The libgons developers
 *
 * Opening files below a root directory that somebody else fills, and changes
 * at any time.  The kernel resolves the path, so that no link leads out.  To
 * open a device can do harm by itself, so a file is found first, looked at,
 * and then the same file is opened, which only /proc can do.
 */

#include <sys/stat.h>
#include <sys/syscall.h>

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdarg.h>
#include <unistd.h>

#include "switch.h"
#include "util.h"

#if defined(__GLIBC__) && defined(__has_include)
#if __has_include(<sys/single_threaded.h>) /* 2.32 */
#include <sys/single_threaded.h>
#define IS_SINGLE __libc_single_threaded
#endif
#endif
#ifndef IS_SINGLE
#define IS_SINGLE 0 /* not known */
#endif

#define NO_MAGICLINKS 0x2 /* RESOLVE_ */
#define IN_ROOT 0x10
#define WANT_UNIQUE 0x4000 /* STATX_MNT_ID_UNIQUE, Linux 6.8 */
#define ROOT_INO 1 /* of every procfs */
#define TRIES 128 /* while somebody renames directories */
#define KEPT_MAX 16 /* descriptors of a private /proc in one process */
#define LINKS 40 /* as many as the kernel follows */
#define ADDED (O_CLOEXEC | O_NOCTTY | O_NONBLOCK | O_LARGEFILE)
#define CREATES(flags) \
	(((flags)&O_CREAT) != 0 || ((flags)&O_TMPFILE) == O_TMPFILE)
/* Flags that open(2) takes as well; openat2(2) judges all others. */
#define KNOWN                                                            \
	(O_ACCMODE | O_APPEND | O_ASYNC | O_CREAT | O_DIRECT | O_DSYNC | \
	    O_EXCL | O_NOATIME | O_NOFOLLOW | O_SYNC | O_TRUNC | ADDED)

struct how { /* the kernel's struct open_how */
	uint64_t flags, mode, resolve;
};

struct mount { /* its struct statx, for which mount a file is on */
	uint32_t mask, blksize;
	uint64_t attributes, owner;
	uint64_t mode, ino, size, blocks, attributes_mask, times[8], devices[2];
	uint64_t id, more[13];
};

/*
 * A /proc that nobody else can reach.  A thread may have a table of descriptors
 * of its own, by unshare(2), so there may be several; none is ever forgotten,
 * for whoever came back to it would have to make another.
 */
static struct {
	struct {
		int fd;
		uint64_t mount;
	} proc[KEPT_MAX]; /* none changes once it is counted */
	int n; /* -1: none can be kept */
	int busy;
} kept;

struct request {
	int root, flags;
	unsigned mode;
	const char *path;
	char buf[2][PATH_MAX]; /* the path, after links that lead nowhere yet */
	int links;
};

static int
call(int root, const char *path, int flags, unsigned mode)
{
	struct how how;
	int fd, tries;

	how.flags = (unsigned)flags;
	how.mode = CREATES(flags) ? mode & 07777 : 0;
	how.resolve = IN_ROOT | NO_MAGICLINKS;
	for (tries = 0; tries < TRIES; tries++) {
		fd = (int)syscall(NR_openat2, root, path, &how, sizeof(how));
		if (fd != -1)
			return fd;
		if (errno != EAGAIN)
			break;
	}
	return -errno;
}

/* A filter may say EPERM for all that it does not know. */
static int
beneath(int root, const char *path, int flags, unsigned mode)
{
	int fd = call(root, path, flags, mode), other;

	if (fd != -EPERM)
		return fd;
	other = call(AT_FDCWD, "/", O_PATH | O_CLOEXEC, 0);
	if (other >= 0)
		gons__close(other);
	return other == -EPERM ? -ENOSYS : fd;
}

/* Which mount is it, in a number; 0: not to be known, or no root of one. */
static uint64_t
mount_of(int fd)
{
	struct mount st;

	if (syscall(SYS_statx, fd, "", AT_EMPTY_PATH | AT_STATX_DONT_SYNC,
		STATX_TYPE | STATX_INO | WANT_UNIQUE, &st) == -1 ||
	    (st.mask & WANT_UNIQUE) == 0 || st.ino != ROOT_INO)
		return 0;
	return st.id;
}

/*
 * Is a kept /proc still there?  The host may have closed all descriptors, and
 * the number may be that of anything now, as it may be in the table of another
 * thread.  The kernel uses no number of a mount twice.
 */
static int
kept_proc(void)
{
	int i, n = __atomic_load_n(&kept.n, __ATOMIC_ACQUIRE);

	for (i = 0; i < n; i++)
		if (mount_of(kept.proc[i].fd) == kept.proc[i].mount)
			return kept.proc[i].fd;
	return -1;
}

/*
 * Before Linux 6.8 a mount has no number, and nobody could tell later whether
 * the descriptor is still that of this /proc: then none is kept, ever.
 */
static int
keep_proc(void)
{
	uint64_t mount;
	int fd, high, n = kept.n;

	if (n == -1 || n == KEPT_MAX || (fd = gons__proc_private()) < 0)
		return -1;
	/* none of those that programs take for standard ones */
	high = fcntl(fd, F_DUPFD_CLOEXEC, 3);
	gons__close(fd);
	if (high == -1)
		return -1;
	if ((mount = mount_of(high)) == 0) {
		gons__close(high);
		__atomic_store_n(&kept.n, -1, __ATOMIC_RELEASE);
		return -1;
	}
	kept.proc[n].fd = high;
	kept.proc[n].mount = mount;
	__atomic_store_n(&kept.n, n + 1, __ATOMIC_RELEASE);
	return high;
}

/*
 * Making a /proc takes longer than opening a hundred files, so one is kept.
 * Threads that come while it is made go the slow way, and so does a copy that
 * was forked just then.
 */
static int
private_proc(void)
{
	int fd;

	if (__atomic_load_n(&kept.n, __ATOMIC_RELAXED) == -1)
		return -1;
	if ((fd = kept_proc()) != -1)
		return fd;
	if (__atomic_exchange_n(&kept.busy, 1, __ATOMIC_ACQUIRE) != 0)
		return -1;
	if ((fd = kept_proc()) == -1)
		fd = keep_proc();
	__atomic_store_n(&kept.busy, 0, __ATOMIC_RELEASE);
	return fd;
}

/* The file that fd found, opened for use. */
static int
reopen(int fd, const struct statx *st, int flags)
{
	char path[64];
	struct gons__text text = { path, sizeof(path), 0 };
	int proc, r;

	/* Threads need not share them; but the shorter way is quicker. */
	gons__text_str(&text, IS_SINGLE ? "self/fd/" : "thread-self/fd/");
	gons__text_num(&text, fd);
	(void)gons__text_end(&text);
	flags &= ~(O_CREAT | O_EXCL | O_NOFOLLOW);
	if ((proc = private_proc()) != -1) {
		/* openat(3) would be a cancellation point, as is close(3) */
		r = (int)syscall(SYS_openat, proc, path, flags, 0);
		return r == -1 ? -errno : r;
	}
	if ((proc = gons__proc_open()) < 0)
		return is_want(-proc) ? proc : -ENOSYS;
	r = gons__proc_link(proc, path, flags, st);
	gons__close(proc);
	return r == -EXDEV || r == -ENOENT ? -ENOSYS : r;
}

/*
 * A directory can be opened without /proc: nothing that is no directory is
 * opened by O_DIRECTORY.  EAGAIN: it has become something else.
 */
static int
found_directory(const struct request *req)
{
	int r;

	if ((req->flags & O_CREAT) != 0)
		return -EISDIR;
	r = beneath(req->root, req->path, req->flags | O_DIRECTORY, 0);
	return r == -ENOTDIR ? -EAGAIN : r;
}

static int
found(const struct request *req, int fd)
{
	struct statx st;

	if (syscall(SYS_statx, fd, "", AT_EMPTY_PATH | AT_STATX_DONT_SYNC,
		STATX_TYPE | STATX_INO, &st) == -1)
		return errno == EPERM ? -ENOSYS : -errno;
	if (S_ISLNK(st.stx_mode))
		return -ELOOP;
	if (S_ISCHR(st.stx_mode) || S_ISBLK(st.stx_mode))
		return -ENXIO;
	if (S_ISDIR(st.stx_mode))
		return found_directory(req);
	return reopen(fd, &st, req->flags);
}

/*
 * A link that leads to nothing: the path goes on where it points to.  EAGAIN:
 * it has become something else.
 */
static int
follow(struct request *req)
{
	char *to = req->buf[req->path == req->buf[0]];
	size_t dir = 0, i;
	ssize_t len;
	int errnum, fd;

	if (req->links++ == LINKS)
		return -ELOOP;
	fd = beneath(req->root, req->path, O_PATH | O_NOFOLLOW | O_CLOEXEC, 0);
	if (fd < 0)
		return fd == -ENOENT ? -EAGAIN : fd;
	for (i = 0; req->path[i] != '\0'; i++)
		if (req->path[i] == '/')
			dir = i + 1;
	len = readlinkat(fd, "", to, PATH_MAX);
	errnum = errno;
	gons__close(fd);
	if (len == -1)
		return errnum == EINVAL || errnum == ENOENT ? -EAGAIN : -errnum;
	if (len > 0 && to[0] == '/')
		dir = 0;
	if (dir + (size_t)len >= PATH_MAX)
		return -ENAMETOOLONG;
	for (i = (size_t)len; i-- > 0;)
		to[dir + i] = to[i];
	gons__copy(to, req->path, dir);
	to[dir + (size_t)len] = '\0';
	req->path = to;
	return -EAGAIN;
}

/* EAGAIN: look again. */
static int
attempt(struct request *req)
{
	int fd, r;

	fd = beneath(req->root, req->path,
	    O_PATH | O_CLOEXEC | (req->flags & O_NOFOLLOW), 0);
	if (fd >= 0) {
		r = found(req, fd);
		gons__close(fd);
		return r;
	}
	if (fd != -ENOENT || (req->flags & O_CREAT) == 0)
		return fd;
	r = beneath(req->root, req->path, req->flags | O_EXCL, req->mode);
	return r == -EEXIST ? follow(req) : r;
}

static int
open_safely(struct request *req)
{
	size_t len;
	int r, tries;

	/* These open no device, whatever they find. */
	if ((req->flags & O_DIRECTORY) != 0 ||
	    (req->flags & (O_CREAT | O_EXCL)) == (O_CREAT | O_EXCL))
		return beneath(req->root, req->path, req->flags, req->mode);
	/* A path for O_CREAT may not be named as a directory. */
	len = gons__strlen(req->path);
	if ((req->flags & O_CREAT) != 0 && len > 0 && req->path[len - 1] == '/')
		return beneath(req->root, req->path, req->flags, req->mode);
	if ((req->flags & ~KNOWN) != 0) {
		r = beneath(req->root, "", req->flags, req->mode);
		if (r != -ENOENT)
			return r;
	}
	r = attempt(req);
	for (tries = 1; r == -EAGAIN && tries < TRIES; tries++)
		r = attempt(req);
	return r;
}

int
gons_openat(int root, const char *path, int flags, ...)
{
	struct request req;
	va_list ap;
	int r, saved = errno;

	req.root = root;
	req.path = path;
	req.mode = 0;
	req.links = 0;
	if (CREATES(flags)) {
		va_start(ap, flags);
		req.mode = va_arg(ap, unsigned);
		va_end(ap);
	}
	if ((flags & O_PATH) != 0) {
		r = beneath(root, path, flags | O_CLOEXEC, req.mode);
	} else {
		req.flags = flags | ADDED;
		r = open_safely(&req);
	}
	errno = r < 0 ? -r : saved;
	return r < 0 ? -1 : r;
}
