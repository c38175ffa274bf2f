/*
 * SPDX-License-Identifier: BSD-2-Clause
 *
 * Copyright (c) 2026 The libgons developers
 *
 * Which namespaces is the calling thread in, and a target?  "Own" is always
 * the thread's, which may have left the place of its process's main thread,
 * and may live longer than that.  A pidfd tells since Linux 6.11, the trusted
 * /proc before, and where a filter refuses ioctl(2).  Descriptors come from
 * callers and may be of any file: none is asked anything that its server would
 * have to answer.
 */

#include <sys/ioctl.h>
#include <sys/stat.h>
#include <sys/syscall.h>

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <sched.h>
#include <unistd.h>

#include "switch.h"

#define IOC_NSTYPE _IO(0xb7, 0x3) /* NS_GET_NSTYPE */
#define DONT_SYNC 0x4000 /* AT_STATX_DONT_SYNC */
#define WANT_ALL 0x7ff /* STATX_BASIC_STATS */

static __thread int in_visit __attribute__((tls_model("initial-exec")));

static int
look(int fd, struct statx *st)
{
	gons__zero(st, sizeof(*st));
	if (syscall(SYS_statx, fd, "", AT_EMPTY_PATH | DONT_SYNC, WANT_ALL,
		st) == -1)
		return errno;
	return 0;
}

static int
same_device(const struct statx *a, const struct statx *b)
{
	return a->stx_dev_major == b->stx_dev_major &&
	       a->stx_dev_minor == b->stx_dev_minor;
}

void
gons__close(int fd)
{
	if (fd >= 0)
		(void)syscall(SYS_close, fd);
}

void
gons__view_begin(struct view *view)
{
	view->tried = 0;
	view->proc = -ENOENT;
}

void
gons__view_end(struct view *view)
{
	gons__close(view->proc);
	gons__view_begin(view);
}

int
gons__view_proc(struct view *view)
{
	if (!view->tried) {
		view->proc = gons__proc_open();
		view->tried = 1;
	}
	return view->proc;
}

/* "PID/DIR/NAME"; PID 0 stands for the calling thread. */
static void
proc_path(char *buf, size_t size, long pid, const char *dir, const char *name)
{
	struct gons__text text;

	text.buf = buf;
	text.size = size;
	text.len = 0;
	if (pid == 0)
		gons__text_str(&text, "thread-self");
	else
		gons__text_num(&text, pid);
	gons__text_char(&text, '/');
	gons__text_str(&text, dir);
	gons__text_char(&text, '/');
	gons__text_str(&text, name);
	(void)gons__text_end(&text);
}

int
gons__proc_has(struct view *view, long pid, const char *dir, const char *name)
{
	char path[64];
	int fd;

	if (gons__view_proc(view) < 0)
		return 0;
	proc_path(path, sizeof(path), pid, dir, name);
	fd = gons__proc_file(view->proc, path, O_PATH | O_NOFOLLOW);
	gons__close(fd);
	return fd >= 0;
}

/* A whole file, if it is not too long. */
static long
read_file(struct view *view, const char *path, char *buf, size_t size)
{
	long n;
	int fd;

	if ((fd = gons__view_proc(view)) < 0)
		return -1;
	if ((fd = gons__proc_file(fd, path, O_RDONLY)) < 0)
		return -1;
	n = syscall(SYS_read, fd, buf, size - 1);
	gons__close(fd);
	if (n < 1)
		return -1;
	buf[n] = '\0';
	return n;
}

long
gons__proc_read(struct view *view, const char *path, char *buf, size_t size)
{
	long len;

	if (read_file(view, path, buf, size) == -1)
		return -1;
	for (len = 0; buf[len] != '\n' && buf[len] != '\0'; len++)
		continue;
	buf[len] = '\0';
	return len;
}

/*
 * The number in a line "KEY:\tNUMBER".  -ESRCH: it is negative, as that of a
 * process that has ended; -EINVAL: there is no such line.
 */
static long
number_in(const char *text, const char *key)
{
	const char *p, *end;
	long number = 0;

	for (p = text; *p != '\0'; p++) {
		if ((p > text && p[-1] != '\n') ||
		    (end = gons__after(p, key)) == NULL)
			continue;
		for (; *end >= '0' && *end <= '9' && number < INT_MAX / 10;
		     end++)
			number = number * 10 + (*end - '0');
		return *end == '-' ? -ESRCH : number;
	}
	return -EINVAL;
}

/* The kernel answers 0 for a process outside the pid namespace of /proc. */
long
gons__pid_of(struct view *view, int pidfd)
{
	char digits[16], info[512], path[64];
	struct gons__text text = { digits, sizeof(digits), 0 };
	long pid;

	gons__text_num(&text, pidfd);
	(void)gons__text_end(&text);
	proc_path(path, sizeof(path), 0, "fdinfo", digits);
	if (read_file(view, path, info, sizeof(info)) == -1)
		return -ENOENT;
	pid = number_in(info, "Pid:\t");
	return pid == 0 ? -ENOENT : pid;
}

long
gons__process_of(struct view *view, long tid)
{
	char path[64], status[1024];
	long pid;

	proc_path(path, sizeof(path), tid, ".", "status");
	if (read_file(view, path, status, sizeof(status)) == -1)
		return -ENOENT;
	pid = number_in(status, "Tgid:\t");
	return pid == 0 ? -ENOENT : pid;
}

/* By the pidfd itself. */
static int
ns_by_ioctl(int pidfd, int type)
{
	static const unsigned char request[GONS_NTYPES] = {
		[GONS_CGROUP] = 1, /* PIDFD_GET_CGROUP_NAMESPACE */
		[GONS_IPC] = 2,
		[GONS_MNT] = 3,
		[GONS_NET] = 4,
		[GONS_PID] = 5,
		[GONS_TIME] = 7,
		[GONS_USER] = 9,
		[GONS_UTS] = 10,
	};
	int fd;

	fd = (int)syscall(SYS_ioctl, pidfd, _IO(0xff, request[type]), 0);
	return fd == -1 ? -errno : fd;
}

/* Is it the way of asking that failed?  The kernel itself says EACCES. */
static int
is_unanswered(int errnum)
{
	return errnum == ENOTTY || errnum == EINVAL || errnum == ENOSYS ||
	       errnum == EPERM;
}

/* EXDEV: something is mounted over the link, which is as good as no /proc. */
static int
ns_by_proc(struct view *view, long pid, int type)
{
	char path[64];
	int proc = gons__view_proc(view);

	if (proc < 0)
		return proc;
	proc_path(path, sizeof(path), pid, "ns", gons_type_name(type));
	return gons__proc_link(proc, path, O_RDONLY, NULL);
}

int
gons__own_pidfd(void)
{
	pid_t tid = (pid_t)syscall(SYS_gettid);
	int fd;

	fd = (int)syscall(NR_pidfd_open, tid, OF_THREAD);
	if (fd == -1 && errno == EINVAL && tid == (pid_t)syscall(SYS_getpid))
		fd = (int)syscall(NR_pidfd_open, tid, 0);
	return fd == -1 ? -errno : fd;
}

int
gons__ns_own(struct view *view, int type)
{
	int fd, self = gons__own_pidfd();

	if (self >= 0) {
		fd = ns_by_ioctl(self, type);
		gons__close(self);
		if (fd >= 0 || !is_unanswered(-fd))
			return fd;
	}
	fd = ns_by_proc(view, 0, type);
	if (fd == -ENOENT && gons__proc_has(view, 0, "ns", "user") &&
	    !gons__proc_has(view, 0, "ns", gons_type_name(type)))
		return -EOPNOTSUPP;
	return fd == -EXDEV ? -ENOENT : fd;
}

/*
 * The process has no file for its namespace.  Is there a /proc, has the kernel
 * such namespaces, has the process ended?  Otherwise it is hidden.
 */
static int
why_missing(struct view *view, int pidfd, long pid, int type)
{
	if (!gons__proc_has(view, 0, "ns", "user"))
		return ENOENT;
	if (!gons__proc_has(view, 0, "ns", gons_type_name(type)))
		return EOPNOTSUPP;
	if (gons__proc_has(view, pid, "ns", ""))
		return ESRCH;
	pid = gons__pid_of(view, pidfd);
	return pid < 0 ? (int)-pid : ENOENT;
}

int
gons__ns_of(struct view *view, int pidfd, int type)
{
	long pid;
	int fd;

	fd = ns_by_ioctl(pidfd, type);
	if (fd >= 0 || !is_unanswered(-fd))
		return fd;
	if ((pid = gons__pid_of(view, pidfd)) < 0)
		return (int)pid;
	fd = ns_by_proc(view, pid, type);
	if (fd == -ENOENT)
		return -why_missing(view, pidfd, pid, type);
	return fd == -EXDEV ? -ENOENT : fd;
}

int
gons__ns_same(struct view *view, int fd, int type)
{
	struct statx other, own;
	int errnum, self;

	if ((self = gons__ns_own(view, type)) < 0)
		return self;
	errnum = look(self, &own);
	gons__close(self);
	if (errnum == 0)
		errnum = look(fd, &other);
	if (errnum != 0)
		return -errnum;
	return same_device(&own, &other) && own.stx_ino == other.stx_ino;
}

/* All of them are on one file system, which has no other files. */
int
gons__is_ns(struct view *view, int fd)
{
	struct statx other, own;
	int errnum, self;

	if ((self = gons__ns_own(view, GONS_USER)) < 0)
		return self;
	errnum = look(self, &own);
	gons__close(self);
	if (errnum == 0)
		errnum = look(fd, &other);
	return errnum != 0 ? -errnum : same_device(&own, &other);
}

/* The type that its link in /proc names: "net:[4026531833]". */
static int
type_by_proc(struct view *view, int ns)
{
	char digits[16], name[64], path[64];
	struct gons__text text = { digits, sizeof(digits), 0 };
	const char *rest;
	long len;
	int fd, type;

	if (gons__view_proc(view) < 0)
		return -1;
	gons__text_num(&text, ns);
	(void)gons__text_end(&text);
	proc_path(path, sizeof(path), 0, "fd", digits);
	fd = gons__proc_file(view->proc, path, O_PATH | O_NOFOLLOW);
	len = syscall(SYS_readlinkat, fd, "", name, sizeof(name) - 1);
	gons__close(fd);
	name[len > 0 ? len : 0] = '\0';
	for (type = 0; type < GONS_NTYPES; type++) {
		rest = gons__after(name, gons_type_name(type));
		if (rest != NULL && *rest == ':')
			return type;
	}
	return -1;
}

/* No ioctl(2) for what may be any device. */
int
gons__ns_type(struct view *view, int fd)
{
	long flag;
	int type;

	if (gons__is_ns(view, fd) != 1)
		return -1;
	flag = syscall(SYS_ioctl, fd, IOC_NSTYPE);
	if (flag == -1)
		return type_by_proc(view, fd);
	for (type = 0; type < GONS_NTYPES; type++)
		if (gons_type_flag(type) == flag)
			return type;
	return -1;
}

/*
 * Each pidfd is on the file system of the own one.  Before Linux 6.9 other
 * anonymous files are there, too, and only /proc can tell them apart.
 */
int
gons__check_pidfd(struct view *view, int fd)
{
	struct statx other, own;
	int errnum, self;
	long pid;

	if ((errnum = look(fd, &other)) != 0)
		return errnum;
	self = gons__own_pidfd();
	if (self == -EINVAL) /* any other will do */
		self =
		    (int)syscall(NR_pidfd_open, (pid_t)syscall(SYS_getpid), 0);
	if (self < 0) {
		errnum = errno;
		pid = gons__pid_of(view, fd);
		return pid > 0 || pid == -ESRCH ? 0
		       : pid == -EINVAL		? EINVAL
						: errnum;
	}
	errnum = look(self, &own);
	gons__close(self);
	if (errnum != 0)
		return errnum;
	return same_device(&own, &other) ? 0 : EINVAL;
}

int
gons__in_visit(void)
{
	return in_visit;
}

void
gons__visit_begin(void)
{
	in_visit = 1;
}

/*
 * The kernel refuses unshare(2) of the threads to a process that has several,
 * and does nothing for one that has not.  The call needs neither /proc nor
 * rights.  Only the number of threads is in /proc.
 */
int
gons__threads(void)
{
	struct statx st;
	struct view view;
	int fd, several, threads = 0;

	several = syscall(SYS_unshare, CLONE_THREAD) == -1 ? errno : 0;
	if (several == 0)
		return 1;
	gons__view_begin(&view);
	fd = gons__view_proc(&view);
	if (fd >= 0)
		fd = gons__proc_file(fd, "self/task", O_PATH | O_DIRECTORY);
	if (fd >= 0 && look(fd, &st) == 0 && st.stx_nlink > 2)
		threads = (int)st.stx_nlink - 2;
	gons__close(fd);
	gons__view_end(&view);
	if (threads == 0 && several != EINVAL)
		return -1;
	return threads;
}
