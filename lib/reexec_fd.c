/*
 * SPDX-License-Identifier: BSD-2-Clause
 *
 * Copyright (c) 2026 The libgons developers
 *
 * Descriptors of reexec.o: those that are kept while the host may close them
 * behind our back, pipes, sockets, files in memory, and closing all others.
 */

#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/sysmacros.h>
#include <sys/vfs.h>
#include <sys/wait.h>

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "reexec.h"

#define UNTOLD (-2)
#define PIDFS_MAGIC 0x50494446

static struct kept trusted_proc = NOT_KEPT;

/*
 * Which file is it?  Nothing is asked of the file system that the file is on:
 * its server may never answer.  Only where there is no statx(2), before Linux
 * 4.11 or under a filter, can that not be helped.
 */
static int
identify(int fd, struct kept *kept)
{
	struct statx st;
	struct stat old;

	memset(&st, 0, sizeof(st));
	if (syscall(SYS_statx, fd, "", AT_EMPTY_PATH | AT_STATX_DONT_SYNC,
		STATX_INO, &st) == 0) {
		kept->major = st.stx_dev_major;
		kept->minor = st.stx_dev_minor;
		kept->ino = st.stx_ino;
		return 0;
	}
	if (errno == EBADF || fstat(fd, &old) == -1)
		return errno;
	kept->major = major(old.st_dev);
	kept->minor = minor(old.st_dev);
	kept->ino = old.st_ino;
	return 0;
}

void
gons__keep(struct kept *kept, int fd)
{
	memset(kept, 0, sizeof(*kept));
	kept->fd = fd;
	if (fd != -1 && identify(fd, kept) != 0)
		kept->nameless = 1;
}

static int
has_identity(int fd, const struct kept *kept)
{
	struct kept now = NOT_KEPT;

	return identify(fd, &now) == 0 && now.major == kept->major &&
	       now.minor == kept->minor && now.ino == kept->ino;
}

void
gons__keep_proc(int fd)
{
	gons__keep(&trusted_proc, fd);
}

/* Not by gons__is_kept(): that may want the trusted /proc itself. */
int
gons__kept_proc(void)
{
	const struct kept *kept = &trusted_proc;

	return kept->fd != -1 && !kept->nameless && has_identity(kept->fd, kept)
		   ? kept->fd
		   : -1;
}

/*
 * The process that a pidfd is of, by the kernel's own text; -1: it has ended and
 * been reaped; UNTOLD: it is no pidfd, there is no text to be had, or this /proc
 * does not show the process.
 */
static long
pid_of(int fd)
{
	static const char line[] = "\nPid:\t";
	char path[48], text[512], *p;
	int file, proc = gons__kept_proc();
	ssize_t n = -1;
	long pid;

	(void)snprintf(path, sizeof(path), "thread-self/fdinfo/%d", fd);
	if (proc == -1 || (file = gons__proc_file(proc, path, O_RDONLY)) < 0)
		return UNTOLD;
	n = read(file, text, sizeof(text) - 1);
	(void)close(file);
	text[n > 0 ? n : 0] = '\0';
	if ((p = strstr(text, line)) == NULL)
		return UNTOLD;
	p += sizeof(line) - 1;
	p[strcspn(p, "\n")] = '\0';
	if (strcmp(p, "-1") == 0)
		return -1;
	return gons__number(p, INT_MAX, &pid) == 0 && pid > 0 ? pid : UNTOLD;
}

/* Since Linux 6.9 each process has an inode of its own. */
static int
pidfds_have_inodes(int pidfd)
{
	static int known; /* 1: no, 2: yes */
	struct statfs fs;
	int is = __atomic_load_n(&known, __ATOMIC_RELAXED);

	if (is == 0 && fstatfs(pidfd, &fs) == 0) {
		is = fs.f_type == PIDFS_MAGIC ? 2 : 1;
		__atomic_store_n(&known, is, __ATOMIC_RELAXED);
	}
	return is == 2;
}

void
gons__keep_pidfd(struct kept *kept, int fd)
{
	gons__keep(kept, fd);
	if (fd == -1 || (!kept->nameless && pidfds_have_inodes(fd)))
		return;
	kept->nameless = 1;
	kept->pid = (pid_t)pid_of(fd);
}

int
gons__is_kept(const struct kept *kept)
{
	long pid;

	if (kept->fd == -1)
		return 0;
	if (kept->nameless) {
		pid = pid_of(kept->fd);
		return pid == -1 || (pid != UNTOLD && pid == kept->pid);
	}
	return has_identity(kept->fd, kept);
}

int
gons__seems_kept(const struct kept *kept)
{
	return gons__is_kept(kept) ||
	       (kept->fd != -1 && kept->nameless && kept->pid == UNTOLD &&
		   fcntl(kept->fd, F_GETFD) != -1);
}

/* A host may take any file for the pidfd of its target. */
static int
is_pidfd(int fd)
{
	siginfo_t info;

	return syscall(SYS_waitid, ID_PIDFD, fd, &info,
		   WEXITED | WNOHANG | WNOWAIT, NULL) != -1 ||
	       errno != EBADF;
}

int
gons__pidfd_ended(int fd)
{
	struct pollfd p;
	int r;

	p.fd = fd;
	p.events = POLLIN;
	if ((r = poll(&p, 1, 0)) != -1)
		return r == 1 && (p.revents & POLLIN) != 0 && is_pidfd(p.fd);
	/* A filter may refuse to poll. */
	return syscall(SYS_pidfd_send_signal, fd, 0, NULL, 0) == -1 &&
	       errno == ESRCH;
}

int
gons__has_ended(const struct kept *pidfd)
{
	return gons__seems_kept(pidfd) && gons__pidfd_ended(pidfd->fd);
}

void
gons__unkeep(struct kept *kept)
{
	int errnum = errno;

	if (kept->fd != -1 && gons__is_kept(kept))
		(void)close(kept->fd);
	kept->fd = -1;
	errno = errnum;
}

/*
 * Every descriptor that the library makes has a number above the standard
 * ones: those may be closed in the host, but they are not the library's.
 */
static int
above_standard(int fd[2], int *ours, int *theirs)
{
	*ours = fd_high(fd[0]);
	*theirs = fd_high(fd[1]);
	return *ours == -1 || *theirs == -1 ? EMFILE : 0;
}

int
gons__open_socket(int type, int *ours, int *theirs)
{
	int fd[2];

	if (socketpair(AF_UNIX, type | SOCK_CLOEXEC, 0, fd) == -1)
		return errno;
	return above_standard(fd, ours, theirs);
}

int
gons__open_pipe(int *from, int *to)
{
	int errnum, fd[2];

	if (pipe2(fd, O_CLOEXEC) == -1)
		return errno;
	if ((errnum = above_standard(fd, from, to)) != 0)
		return errnum;
	return fcntl(*from, F_SETFL, O_NONBLOCK) == -1 ? errno : 0;
}

int
gons__has_room(int fd)
{
	int copy = fd_dup(fd), errnum = errno;

	if (copy == -1) /* EINVAL: the limit is as low as that */
		return errnum == EBADF;
	fd_close(&copy);
	return 1;
}

/* words NULL: nothing is kept. */
ssize_t
gons__read_words(int fd, struct buf *words)
{
	char text[CHUNK];
	size_t room;
	ssize_t n;

	do
		n = read(fd, text, sizeof(text));
	while (n == -1 && errno == EINTR);
	if (n > 0 && words != NULL) {
		room = STDERR_MAX - words->len;
		if (room > (size_t)n)
			room = (size_t)n;
		/* gons_reexec_stderr() writes a NUL behind it */
		if (buf_reserve(words, words->len + room + 1) == 0)
			(void)buf_add(words, text, room);
	}
	return n;
}

/* flag: of Linux 6.3, done without by those before it. */
int
gons__memory_fd(const char *name, unsigned flag)
{
	unsigned flags = MFD_CLOEXEC | MFD_ALLOW_SEALING;
	int fd;

	fd = memfd_create(name, flags | flag);
	if (fd == -1 && errno == EINVAL)
		fd = memfd_create(name, flags);
	return fd_high(fd);
}

int
gons__seal(int fd)
{
	int seals = F_SEAL_SEAL | F_SEAL_SHRINK | F_SEAL_GROW | F_SEAL_WRITE;

	return fcntl(fd, F_ADD_SEALS, seals) == -1 ? errno : 0;
}

/*
 * To a pipe.  SIGPIPE would reach this thread alone: it is blocked, and taken
 * back unless it was pending before.
 */
int
gons__write_quietly(int fd, const void *buf, size_t len)
{
	static const struct timespec none = { 0, 0 };
	sigset_t pipe, pending, old;
	int errnum;

	(void)sigemptyset(&pipe);
	(void)sigaddset(&pipe, SIGPIPE);
	(void)sigemptyset(&pending);
	(void)pthread_sigmask(SIG_BLOCK, &pipe, &old);
	/* A signal that was not blocked cannot be pending. */
	if (sigismember(&old, SIGPIPE) == 1)
		(void)sigpending(&pending);
	errnum = write_all(fd, buf, len);
	if (errnum == EPIPE && !sigismember(&pending, SIGPIPE))
		while (sigtimedwait(&pipe, NULL, &none) == -1 && errno == EINTR)
			continue;
	(void)pthread_sigmask(SIG_SETMASK, &old, NULL);
	return errnum;
}

int
gons__compare_fds(const void *a, const void *b)
{
	const int *x = a, *y = b;

	return *x < *y ? -1 : *x > *y;
}

/*
 * The rest may run in borrowed memory: system calls and local variables only.
 */
static BORROWED void
close_one(int fd, enum closing when)
{
	if (when == CLOSE_NOW)
		(void)syscall(SYS_close, fd);
	else
		(void)syscall(SYS_fcntl, fd, F_SETFD, FD_CLOEXEC);
}

/* struct linux_dirent64: inode and offset, length, type, then the name. */
static BORROWED void
close_entries(int dir, unsigned first, unsigned last, enum closing when)
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
				close_one((int)fd, when);
		}
}

/*
 * Before Linux 5.9, or 5.11 to close when executing: what /proc lists, or one
 * by one as far as there can be any.  The list is by number, so that closing
 * does not disturb reading it.
 */
static BORROWED void
close_listed(unsigned first, unsigned last, enum closing when, int proc)
{
	struct { /* the kernel's, also where libc's has 32 bit */
		uint64_t cur, max;
	} limit;
	unsigned fd, most = 1u << 20;
	int dir = -1;

	if (proc != -1)
		dir = (int)syscall(SYS_openat, proc, "self/fd",
		    O_RDONLY | O_DIRECTORY | O_CLOEXEC, 0);
	if (dir != -1) {
		close_entries(dir, first, last, when);
		(void)syscall(SYS_close, dir);
		return;
	}
	if (syscall(SYS_prlimit64, 0, RLIMIT_NOFILE, NULL, &limit) == 0 &&
	    limit.max < most)
		most = (unsigned)limit.max;
	for (fd = first; fd <= last && fd < most; fd++)
		close_one((int)fd, when);
}

static BORROWED void
close_between(unsigned first, unsigned last, enum closing when, int proc)
{
	if (syscall(SYS_close_range, first, last,
		when == CLOSE_NOW ? 0u : CLOSE_RANGE_CLOEXEC) == -1)
		close_listed(first, last, when, proc);
}

void
gons__close_others(const int *fds, size_t n, enum closing when, int proc)
{
	unsigned from = STDERR_FILENO + 1, fd;
	size_t i;

	for (i = 0; i < n; i++) {
		fd = (unsigned)fds[i];
		if (fd > from)
			close_between(from, fd - 1, when, proc);
		if (fd >= from)
			from = fd + 1;
	}
	close_between(from, UINT_MAX, when, proc);
}
