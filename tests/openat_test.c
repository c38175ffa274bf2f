/*
 * SPDX-License-Identifier: BSD-2-Clause
 *
 * Copyright (c) 2026 The libgons developers
 *
 * gons_openat(3): flags and devices, paths as the kernel resolves them,
 * arguments that are refused, and kernels and /proc that do not help.
 */

#include <sys/inotify.h>
#include <sys/mount.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>

#include <atf-c.h>

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <pthread.h>
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <gons.h>

#include "helpers.h"
#include "sw.h"
#include "trees.h"

#ifndef SYS_fsopen
#define SYS_fsopen 430
#define SYS_fsconfig 431
#define SYS_fsmount 432
#endif

static const int corpus_flags[] = { O_RDONLY, O_RDONLY | O_NOFOLLOW, O_PATH,
	O_PATH | O_NOFOLLOW, O_RDWR, O_WRONLY | O_TRUNC, O_RDWR | O_CREAT,
	O_WRONLY | O_CREAT | O_EXCL, O_DIRECTORY, O_RDWR | O_TMPFILE };
#define NFLAGS (sizeof(corpus_flags) / sizeof(corpus_flags[0]))
#define KEPT_MAX 16 /* as in visit_openat.c */

static void
is_refused(const char *path, int flags, int errnum)
{
	int fd = gons_openat(root, path, flags, 0600);

	if (fd != -1 || errno != errnum)
		fprintf(stderr, "%s, %#x: %d, %s\n", path, (unsigned)flags, fd,
		    strerror(errno));
	CHILD(fd == -1 && errno == errnum);
}

static void
device_files(void)
{
	static const char *const paths[] = { "dev/null", "/dev/null",
		"dev/pts/ptmx", "dev/ptmx", "to-null" };
	static const int flags[] = { O_RDONLY, O_WRONLY, O_RDWR,
		O_RDWR | O_CREAT, O_WRONLY | O_TRUNC, ACCESS };
	struct stat st;
	size_t i, k;
	int fd;

	set_link("tree/to-null", "dev/../dev/null");
	for (i = 0; i < sizeof(paths) / sizeof(paths[0]); i++) {
		for (k = 0; k < sizeof(flags) / sizeof(flags[0]); k++)
			is_refused(paths[i], flags[k], ENXIO);
		is_refused(paths[i], O_DIRECTORY, ENOTDIR);
		is_refused(paths[i], O_RDWR | O_CREAT | O_EXCL, EEXIST);
		/* to look at it is harmless */
		CHILD((fd = gons_openat(root, paths[i], O_PATH)) != -1);
		CHILD(fstat(fd, &st) == 0 && S_ISCHR(st.st_mode));
		close(fd);
	}
	/* a FIFO blocks nobody, a socket cannot be opened */
	CHILD((fd = gons_openat(root, "fifo", O_RDONLY)) != -1);
	close(fd);
	is_refused("fifo", O_WRONLY, ENXIO);
	is_refused("socket", O_RDWR, ENXIO);
}

ATF_TC(devices);
ATF_TC_HEAD(devices, tc)
{
	atf_tc_set_md_var(tc, "descr", "no device is opened");
}
ATF_TC_BODY(devices, tc)
{
	(void)tc;
	both_worlds(device_files);
}

/* All names that there are, or that may come to be. */
static const char *const names[] = { "sub/file", "sub/new",
	"sub/dangling-twice", "sub/dangling-up", "sub", "file", "readonly",
	"link", "dangling", "dangling-abs", "dangling-nodir", "dirlink", "loop",
	"loop2", "pool", "fifo", "new", "none", "nodir" };
#define NNAMES (sizeof(names) / sizeof(names[0]))

static void
grow(const char *dir)
{
	size_t i;

	CHILD(chdir(dir) == 0);
	for (i = 0; i < NNAMES; i++)
		if (unlink(names[i]) == -1)
			(void)rmdir(names[i]);
	CHILD(mkdir("sub", 0755) == 0);
	put("file", THERE);
	put("sub/file", THERE);
	put("readonly", THERE);
	CHILD(chmod("readonly", 0) == 0);
	CHILD(symlink("file", "link") == 0);
	CHILD(symlink("new", "dangling") == 0);
	CHILD(symlink("/sub/new", "dangling-abs") == 0);
	CHILD(symlink("../dangling", "sub/dangling-twice") == 0);
	CHILD(symlink("../sub/../sub/new", "sub/dangling-up") == 0);
	CHILD(symlink("nodir/new", "dangling-nodir") == 0);
	CHILD(symlink("sub", "dirlink") == 0);
	CHILD(symlink("loop", "loop") == 0);
	CHILD(symlink("pool", "loop2") == 0 && symlink("loop2", "pool") == 0);
	CHILD(mkfifo("fifo", 0644) == 0);
	CHILD(chdir("..") == 0);
}

/* Is there the same in both, and nothing that has no name here? */
static void
check_trees(const int dirs[2])
{
	struct stat st[2];
	size_t i;
	int k, r[2];

	for (i = 0; i < NNAMES; i++) {
		for (k = 0; k < 2; k++) {
			memset(&st[k], 0, sizeof(st[k]));
			r[k] = fstatat(
			    dirs[k], names[i], &st[k], AT_SYMLINK_NOFOLLOW);
		}
		CHILD(r[0] == r[1] && st[0].st_mode == st[1].st_mode);
		if (S_ISREG(st[0].st_mode))
			CHILD(st[0].st_size == st[1].st_size);
	}
	for (k = 0; k < 2; k++)
		CHILD(fstatat(dirs[k], ".", &st[k], 0) == 0);
	/* tmpfs: it grows with each entry */
	CHILD(st[0].st_size == st[1].st_size);
}

static void
compare(const int dirs[2], const char *path, int flags)
{
	struct stat st[2];
	int fd[2];

	/* the kernel says EAGAIN if anybody renames or mounts during ".." */
	do
		fd[0] = opinion(dirs[0], path, flags);
	while (fd[0] == -EAGAIN);
	fd[1] = gons_openat(dirs[1], path, flags, 0640);
	if (fd[1] == -1)
		fd[1] = -errno;
	if ((fd[0] < 0 || fd[1] < 0) && fd[0] != fd[1]) {
		fprintf(stderr, "\"%.40s\", %#o: %d instead of %d\n", path,
		    (unsigned)flags, fd[1], fd[0]);
		CHILD(fd[0] == fd[1]);
	}
	if (fd[0] >= 0) {
		CHILD(fstat(fd[0], &st[0]) == 0 && fstat(fd[1], &st[1]) == 0);
		CHILD(st[0].st_mode == st[1].st_mode);
		CHILD(st[0].st_size == st[1].st_size);
		CHILD(((fcntl(fd[0], F_GETFL) ^ fcntl(fd[1], F_GETFL)) &
			  ~(O_NOFOLLOW | O_DIRECTORY)) == 0);
		CHILD(fcntl(fd[1], F_GETFD) == FD_CLOEXEC);
		close(fd[0]);
		close(fd[1]);
	}
	if ((flags & (O_CREAT | O_TRUNC)) == 0)
		return;
	check_trees(dirs);
	grow("a");
	grow("b");
}

static void
as_the_kernel(void)
{
	static char longest[PATH_MAX + 2], fits[PATH_MAX];
	static const char *const paths[] = { "", "/", ".", "..", "file",
		"/file", "sub", "sub/", "sub/file", "file/", "file/x", "none",
		"none/x", "none/", "link", "link/", "dangling", "dangling/",
		"dangling-abs", "sub/dangling-twice", "sub/dangling-up",
		"dangling-nodir", "dirlink", "dirlink/file", "dirlink/new",
		"loop", "loop2", "fifo", "readonly", longest, fits };
	static const int flags[] = { O_RDONLY, O_WRONLY, O_RDWR, ACCESS, O_PATH,
		O_PATH | O_DIRECTORY, O_PATH | O_NOFOLLOW, O_DIRECTORY,
		O_NOFOLLOW, O_RDWR | O_NOFOLLOW, O_APPEND | O_WRONLY,
		O_TRUNC | O_WRONLY, O_CREAT | O_RDONLY, O_CREAT | O_RDWR,
		O_CREAT | O_EXCL | O_WRONLY, O_CREAT | O_TRUNC | O_WRONLY,
		O_CREAT | O_NOFOLLOW | O_RDWR, O_CREAT | O_DIRECTORY,
		O_RDWR | O_TMPFILE, O_RDONLY | O_TMPFILE,
		O_RDWR | O_TMPFILE | O_EXCL, O_PATH | O_CREAT, O_PATH | O_TRUNC,
		O_SYNC | O_WRONLY, O_NOATIME, O_EXCL, 0x08000000, 0x40000000,
		(O_TMPFILE & ~O_DIRECTORY) | O_RDWR };
	size_t f, i;
	int dirs[2];

	memset(longest, 'x', sizeof(longest) - 1);
	for (i = 0; i < PATH_MAX - 5; i += 2)
		memcpy(fits + i, "./", 2);
	memcpy(fits + i, "file", i + 4 < PATH_MAX ? 4 : 1);
	CHILD(chdir("tree") == 0);
	(void)umask(027);
	CHILD(mkdir("a", 0755) == 0 && mkdir("b", 0755) == 0);
	grow("a");
	grow("b");
	CHILD((dirs[0] = open("a", O_PATH | O_CLOEXEC)) != -1);
	CHILD((dirs[1] = open("b", O_PATH | O_CLOEXEC)) != -1);
	for (i = 0; i < sizeof(paths) / sizeof(paths[0]); i++)
		for (f = 0; f < sizeof(flags) / sizeof(flags[0]); f++)
			compare(dirs, paths[i], flags[f]);
}

ATF_TC(flags);
ATF_TC_HEAD(flags, tc)
{
	atf_tc_set_md_var(
	    tc, "descr", "openat2(2) judges whatever is harmless");
	atf_tc_set_md_var(tc, "timeout", "300");
}
ATF_TC_BODY(flags, tc)
{
	(void)tc;
	both_worlds(as_the_kernel);
}

static void
arguments_of_open(void)
{
	struct stat st;
	int fd;

	(void)umask(022);
	/* more than 07777 is cut off; without O_CREAT it is not looked at */
	CHILD(
	    (fd = gons_openat(root, "made", O_RDWR | O_CREAT, 0170777)) != -1);
	CHILD(fstat(fd, &st) == 0 && st.st_mode == (S_IFREG | 0755));
	close(fd);
	CHILD((fd = gons_openat(root, "made", O_RDWR, 0170777)) != -1);
	CHILD((fcntl(fd, F_GETFL) & O_NONBLOCK) != 0);
	CHILD(fcntl(fd, F_GETFD) == FD_CLOEXEC);
	close(fd);
	errno = E2BIG;
	CHILD((fd = gons_openat(root, "sub", O_RDONLY)) != -1);
	CHILD(errno == E2BIG);
	close(fd);
	fd = gons_openat(-1, "file", O_RDONLY);
	CHILD(fd == -1 && errno == EBADF);
	fd = gons_openat(secret, "file", O_RDONLY);
	CHILD(fd == -1 && errno == ENOTDIR);
	/* AT_FDCWD as openat2(2) has it: the working directory is the root */
	CHILD((fd = gons_openat(AT_FDCWD, "/secret", O_RDONLY)) != -1);
	CHILD(holds(fd, HOST));
	close(fd);
}

ATF_TC(arguments);
ATF_TC_HEAD(arguments, tc)
{
	atf_tc_set_md_var(tc, "descr", "mode, close-on-exec, bad descriptors");
}
ATF_TC_BODY(arguments, tc)
{
	(void)tc;
	both_worlds(arguments_of_open);
}

static void *
be_cancelled(void *arg)
{
	static const int kinds[] = { O_RDONLY, O_RDWR | O_CREAT, O_PATH,
		O_DIRECTORY, O_RDWR | O_TMPFILE };
	int *done = arg;
	size_t i;
	int fd;

	(void)pthread_cancel(pthread_self());
	for (i = 0; i < sizeof(kinds) / sizeof(kinds[0]); i++) {
		fd = gons_openat(root, (kinds[i] & O_DIRECTORY) ? "/" : "file",
		    kinds[i], 0600);
		*done += fd != -1;
		/* links that lead nowhere, and what there is not */
		*done += gons_openat(root, "none", O_RDONLY) == -1;
		*done += gons_openat(root, "nowhere", kinds[i], 0600) != -2;
	}
	*done += gons_openat(root, "dev/null", O_RDONLY) == -1;
	pthread_testcancel();
	*done = -1;
	return NULL;
}

static void
cancelled_caller(void)
{
	int before = count_fds(), done = 0;
	pthread_t thread;
	void *result;

	set_link("tree/nowhere", "sub/nothing");
	CHILD(pthread_create(&thread, NULL, be_cancelled, &done) == 0);
	CHILD(pthread_join(thread, &result) == 0);
	CHILD(result == PTHREAD_CANCELED);
	CHILD(done == 16);
	/* what it has opened, and perhaps a /proc */
	CHILD(count_fds() <= before + 11);
	CHILD(gons_openat(root, "file", O_RDONLY) != -1);
}

ATF_TC(cancelled);
ATF_TC_HEAD(cancelled, tc)
{
	atf_tc_set_md_var(tc, "descr", "gons_openat is no cancellation point");
}
ATF_TC_BODY(cancelled, tc)
{
	(void)tc;
	both_worlds(cancelled_caller);
}

static int refusal; /* errno of the filter */

static void
without_openat2(void)
{
	const struct rule rule = { SYS_openat2, -1, 0, 0, refusal };
	size_t f;

	CHILD(prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) == 0);
	forbid(&rule, 1);
	for (f = 0; f < NFLAGS; f++)
		is_refused("file", corpus_flags[f], ENOSYS);
	is_refused("no-such-file", O_RDONLY, ENOSYS);
}

ATF_TC(no_openat2);
ATF_TC_HEAD(no_openat2, tc)
{
	atf_tc_set_md_var(
	    tc, "descr", "gons_openat fails where there is no openat2(2)");
}
ATF_TC_BODY(no_openat2, tc)
{
	struct world w = { without_openat2, 0 };

	(void)tc;
	need_filters();
	need_userns();
	for (; w.private < 2; w.private ++) {
		refusal = w.private ? EPERM : ENOSYS;
		ATF_REQUIRE(mkdir(w.private ? "b" : "a", 0755) == 0);
		ATF_REQUIRE(chdir(w.private ? "b" : "a") == 0);
		in_child(enter_world, &w);
		ATF_REQUIRE(chdir("..") == 0);
	}
}

/* What was found cannot be looked at, so nothing is opened. */
static void
without_statx(void)
{
	const struct rule rule = { SYS_statx, -1, 0, 0, refusal };

	forbid(&rule, 1);
	is_refused("file", O_RDONLY, refusal == EPERM ? ENOSYS : refusal);
	is_refused(
	    "file", O_RDWR | O_CREAT, refusal == EPERM ? ENOSYS : refusal);
	/* these need no look */
	CHILD(gons_openat(root, "sub", O_DIRECTORY) != -1);
	CHILD(gons_openat(root, "file", O_PATH) != -1);
	CHILD(gons_openat(root, "new", O_RDWR | O_CREAT, 0600) != -1);
}

ATF_TC(no_statx);
ATF_TC_HEAD(no_statx, tc)
{
	atf_tc_set_md_var(
	    tc, "descr", "gons_openat fails where there is no statx(2)");
}
ATF_TC_BODY(no_statx, tc)
{
	static const int errnums[] = { EPERM, ENOSYS, ENOMEM };
	struct world w = { without_statx, 0 };
	char dir[2] = "a";
	size_t i;

	(void)tc;
	need_filters();
	need_userns();
	for (i = 0; i < sizeof(errnums) / sizeof(errnums[0]); i++) {
		refusal = errnums[i];
		w.private = i == 1;
		ATF_REQUIRE(mkdir(dir, 0755) == 0 && chdir(dir) == 0);
		in_child(enter_world, &w);
		ATF_REQUIRE(chdir("..") == 0);
		dir[0]++;
	}
}

/* Where /proc is what the container wants it to be. */
static void
false_proc(void)
{
	char path[64];
	int fd, i;

	CHILD(umount2("tree/proc", MNT_DETACH) == 0);
	for (i = 0; i < 2; i++) {
		(void)snprintf(path, sizeof(path), "tree/proc/%s",
		    i ? "self" : "thread-self");
		CHILD(mkdir(path, 0755) == 0);
		(void)strcat(path, "/fd");
		CHILD(mkdir(path, 0755) == 0);
	}
	for (i = 0; i < 64; i++) {
		(void)snprintf(
		    path, sizeof(path), "tree/proc/thread-self/fd/%d", i);
		put(path, "false\n");
		(void)snprintf(path, sizeof(path), "tree/proc/self/fd/%d", i);
		put(path, "false\n");
	}
	CHILD(chroot("tree") == 0 && chdir("/") == 0);
	fd = gons_openat(root, "file", O_RDONLY);
	CHILD(fd != -1 ? holds(fd, THERE) : errno == ENOSYS);
	printf("false /proc: %s\n", fd != -1 ? "opened" : "ENOSYS");
	/* directories need no /proc */
	CHILD(gons_openat(root, "sub", O_RDONLY) != -1);
	CHILD(gons_openat(root, "sub/file", O_PATH) != -1);
}

ATF_TC(proc);
ATF_TC_HEAD(proc, tc)
{
	atf_tc_set_md_var(tc, "descr", "a false /proc is not believed");
}
ATF_TC_BODY(proc, tc)
{
	(void)tc;
	need_no_proc();
	both_worlds(false_proc);
}

/* On /proc, as of a pid namespace that this process is not in. */
static int
mount_foreign_proc(void)
{
	int status;
	pid_t pid;

	CHILD((pid = fork()) != -1);
	if (pid == 0) {
		CHILD(unshare(CLONE_NEWPID) == 0);
		CHILD((pid = fork()) != -1);
		if (pid == 0)
			_exit(mount("proc", "/proc", "proc", 0, NULL) != 0);
		CHILD(waitpid(pid, &status, 0) == pid);
		_exit(status != 0);
	}
	CHILD(waitpid(pid, &status, 0) == pid);
	return status == 0;
}

/* It is genuine, but this process and its descriptors are not in it. */
static void
foreign_proc(void)
{
	const struct rule rule = { SYS_fsopen, -1, 0, 0, ENOSYS };

	if (!mount_foreign_proc()) {
		printf("/proc cannot be mounted here\n");
		return;
	}
	CHILD(access("/proc/self/fd", F_OK) == -1 && errno == ENOENT);
	forbid(&rule, 1);
	is_refused("file", O_RDONLY, ENOSYS);
	is_refused("none", O_RDONLY, ENOENT);
	CHILD(gons_openat(root, "sub", O_RDONLY) != -1);
}

ATF_TC(proc_of_others);
ATF_TC_HEAD(proc_of_others, tc)
{
	atf_tc_set_md_var(
	    tc, "descr", "a /proc in which this process is not, is none");
}
ATF_TC_BODY(proc_of_others, tc)
{
	(void)tc;
	need_filters();
	both_worlds(foreign_proc);
}

/* The kept descriptor, or -1. */
static int
kept(int from)
{
	char path[64], to[64];
	ssize_t n;
	struct stat st;
	int fd;

	for (fd = from; fd < 256; fd++) {
		if (fcntl(fd, F_GETFD) == -1 || fstat(fd, &st) == -1 ||
		    st.st_ino != 1 || !S_ISDIR(st.st_mode))
			continue;
		(void)snprintf(path, sizeof(path), "/proc/self/fd/%d", fd);
		if ((n = readlink(path, to, sizeof(to))) == 1 && to[0] == '/')
			return fd;
	}
	return -1;
}

/* May this process make a /proc, and does the kernel number its mount? */
static int
may_keep_one(void)
{
	uint64_t st[32];
	uint32_t mask = 0;
	int fd = (int)syscall(SYS_fsopen, "proc", 1 /* CLOEXEC */), proc = -1;

	if (fd != -1 &&
	    syscall(SYS_fsconfig, fd, 6 /* CREATE */, NULL, NULL, 0) == 0)
		proc = (int)syscall(SYS_fsmount, fd, 1 /* CLOEXEC */, 0);
	if (proc != -1 && syscall(SYS_statx, proc, "", AT_EMPTY_PATH,
			      0x4000 /* MNT_ID_UNIQUE */, st) == 0)
		memcpy(&mask, st, sizeof(mask));
	close(fd);
	close(proc);
	return (mask & 0x4000) != 0;
}

static void
closed_descriptors(void)
{
	int before = count_fds(), fd, i, k, liar, number;
	char path[64];

	for (i = 0; i < 100; i++) {
		CHILD((fd = gons_openat(root, "file", O_RDONLY)) != -1);
		close(fd);
	}
	CHILD(count_fds() <= before + 1);
	if ((number = kept(3)) == -1) {
		printf("no private /proc\n");
		CHILD(!may_keep_one());
		CHILD(count_fds() == before);
		return;
	}
	CHILD(fcntl(number, F_GETFD) == FD_CLOEXEC);
	/* its number becomes that of a directory that lies */
	CHILD(mkdir("liar", 0755) == 0 && mkdir("liar/thread-self", 0755) == 0);
	CHILD(mkdir("liar/thread-self/fd", 0755) == 0);
	for (i = 0; i < 64; i++) {
		(void)snprintf(path, sizeof(path), "liar/thread-self/fd/%d", i);
		put(path, "false\n");
	}
	for (k = 0; k < 3; k++) {
		number = kept(3);
		CHILD(number != -1);
		CHILD((liar = open("liar", O_PATH | O_DIRECTORY)) != -1);
		if (k == 0)
			CHILD(dup2(liar, number) == number);
		else if (k == 1) /* or of another /proc, which is not ours */
			CHILD(dup2(open("/proc", O_PATH), number) == number);
		else
			close(number);
		CHILD((fd = gons_openat(root, "file", O_RDONLY)) != -1);
		CHILD(holds(fd, THERE));
		close(fd);
		CHILD(k == 2 || fcntl(number, F_GETFD) != -1);
		close(liar);
		if (k < 2)
			close(number);
	}
	/* a forked copy has it, too */
	CHILD((fd = fork()) != -1);
	if (fd == 0)
		_exit(!holds(gons_openat(root, "file", O_RDONLY), THERE));
	CHILD(waitpid(fd, &i, 0) == fd && i == 0);
}

ATF_TC(descriptors);
ATF_TC_HEAD(descriptors, tc)
{
	atf_tc_set_md_var(tc, "descr",
	    "no descriptor stays but one, which is not believed blindly");
}
ATF_TC_BODY(descriptors, tc)
{
	(void)tc;
	if (SANITIZER)
		atf_tc_skip("the sanitizer may have descriptors");
	both_worlds(closed_descriptors);
}

static void
open_and_close(void)
{
	int fd = gons_openat(root, "file", O_RDONLY);

	CHILD(fd != -1 && holds(fd, THERE));
	close(fd);
}

/* In turn with another thread, each with a table of descriptors of its own. */
static void *
alternate(void *barrier)
{
	int before, i;

	CHILD(unshare(CLONE_FILES) == 0);
	before = count_fds();
	for (i = 0; i < 2 * KEPT_MAX; i++) {
		(void)pthread_barrier_wait(barrier);
		open_and_close();
	}
	CHILD(count_fds() <= before + 1);
	return NULL;
}

static void *
separate(void *unused)
{
	CHILD(unshare(CLONE_FILES) == 0);
	open_and_close();
	return unused;
}

static void
many_tables(void)
{
	pthread_barrier_t barrier;
	pthread_t thread[2];
	int before = count_fds(), i;

	CHILD(pthread_barrier_init(&barrier, NULL, 2) == 0);
	for (i = 0; i < 2; i++)
		CHILD(
		    pthread_create(&thread[i], NULL, alternate, &barrier) == 0);
	for (i = 0; i < 2; i++)
		CHILD(pthread_join(thread[i], NULL) == 0);
	CHILD(count_fds() == before);
	/* more than can be kept */
	for (i = 0; i < 2 * KEPT_MAX; i++) {
		CHILD(pthread_create(&thread[0], NULL, separate, NULL) == 0);
		CHILD(pthread_join(thread[0], NULL) == 0);
	}
	for (i = 0; i < 20; i++)
		open_and_close();
	CHILD(count_fds() == before);
}

ATF_TC(tables);
ATF_TC_HEAD(tables, tc)
{
	atf_tc_set_md_var(tc, "descr",
	    "threads with their own descriptors, in which none is left");
}
ATF_TC_BODY(tables, tc)
{
	(void)tc;
	if (SANITIZER)
		atf_tc_skip("the sanitizer may have descriptors");
	both_worlds(many_tables);
}

/* It is the descriptors that are missing, not /proc. */
static void
few_descriptors(void)
{
	const struct rlimit limit = { 64, 64 };
	int fd, last[12], left, opened = 0;

	CHILD(setrlimit(RLIMIT_NOFILE, &limit) == 0);
	for (left = 0; (fd = dup(root)) != -1; left = (left + 1) % 12)
		last[left] = fd;
	for (left = 0; left < 12 && !opened; left++) {
		fd = gons_openat(root, "file", O_RDONLY);
		opened = fd != -1;
		CHILD(opened || errno == EMFILE);
		close(last[left]);
	}
	CHILD(opened);
}

ATF_TC(shortage);
ATF_TC_HEAD(shortage, tc)
{
	atf_tc_set_md_var(tc, "descr", "too few descriptors are said to be");
}
ATF_TC_BODY(shortage, tc)
{
	(void)tc;
	if (SANITIZER)
		atf_tc_skip("the sanitizer may have descriptors");
	both_worlds(few_descriptors);
}

/* What a file is found by may be standard input, which is closed. */
static void
no_stdin(void)
{
	int before, fd, i;

	CHILD(dup2(1, 0) == 0);
	close(0);
	CHILD((fd = gons_openat(root, "file", O_RDONLY)) != -1);
	CHILD(holds(fd, THERE));
	close(fd);
	before = count_fds();
	for (i = 0; i < 4; i++) {
		CHILD((fd = gons_openat(root, "file", O_RDONLY)) != -1);
		CHILD(holds(fd, THERE));
		close(fd);
	}
	CHILD(count_fds() == before);
}

/*
 * As many are free as it takes to make a /proc, but none where it could be kept:
 * standard input is not taken for it.
 */
static void
nothing_but_standard_ones(void)
{
	struct rlimit few = { 3, 0 }, many;
	int errnum, fd, i, saved[3];

	CHILD(getrlimit(RLIMIT_NOFILE, &many) == 0);
	few.rlim_max = many.rlim_max;
	for (i = 0; i < 3; i++)
		CHILD((saved[i] = fcntl(i, F_DUPFD_CLOEXEC, 3)) != -1);
	CHILD(setrlimit(RLIMIT_NOFILE, &few) == 0);
	for (i = 0; i < 3; i++)
		close(i);
	fd = gons_openat(root, "file", O_RDONLY);
	errnum = errno;
	CHILD(setrlimit(RLIMIT_NOFILE, &many) == 0);
	for (i = 0; i < 3; i++)
		(void)dup2(saved[i], i);
	CHILD(fd == -1 && errnum == EMFILE);
}

ATF_TC(standard);
ATF_TC_HEAD(standard, tc)
{
	atf_tc_set_md_var(
	    tc, "descr", "standard descriptors are closed, and none but those");
}
ATF_TC_BODY(standard, tc)
{
	(void)tc;
	if (SANITIZER)
		atf_tc_skip("the sanitizer may have descriptors");
	ATF_REQUIRE(mkdir("input", 0755) == 0 && chdir("input") == 0);
	both_worlds(no_stdin);
	ATF_REQUIRE(chdir("..") == 0);
	both_worlds(nothing_but_standard_ones);
}

/* The kernel gives up a look-up beside which a directory is renamed. */
static void
renamed_beside(void)
{
	int fd;

	meddle(SYS_openat2);
	meddle_fail(EAGAIN, 3);
	CHILD((fd = gons_openat(root, ".", O_RDONLY | O_DIRECTORY)) != -1);
	CHILD(meddled() == 4);
	close(fd);
	meddle_fail(EAGAIN, 1000);
	errno = 0;
	CHILD(gons_openat(root, ".", O_RDONLY | O_DIRECTORY) == -1);
	CHILD(errno == EAGAIN);
	CHILD(meddled() < 1000); /* not for ever */
	meddle_fail(EIO, 1);
	CHILD(gons_openat(root, ".", O_RDONLY | O_DIRECTORY) == -1);
	CHILD(errno == EIO);
	CHILD(meddled() == 1);
}

ATF_TC(renames);
ATF_TC_HEAD(renames, tc)
{
	atf_tc_set_md_var(
	    tc, "descr", "a look-up is repeated while directories are renamed");
}
ATF_TC_BODY(renames, tc)
{
	(void)tc;
	need_filters();
	both_worlds(renamed_beside);
}

/* Only one question is about nothing but the number of a mount. */
static void
no_numbers(void)
{
	const struct rule rule = { SYS_statx, 3, 0x5000, 0x4000, EINVAL };
	int before = count_fds(), fd, i;

	forbid(&rule, 1);
	for (i = 0; i < 20; i++) {
		CHILD((fd = gons_openat(root, "file", O_RDONLY)) != -1);
		CHILD(holds(fd, THERE));
		close(fd);
	}
	CHILD(count_fds() == before);
}

ATF_TC(old_kernel);
ATF_TC_HEAD(old_kernel, tc)
{
	atf_tc_set_md_var(tc, "descr",
	    "no descriptor is kept before Linux 6.8, which numbers mounts");
}
ATF_TC_BODY(old_kernel, tc)
{
	(void)tc;
	need_filters();
	if (SANITIZER)
		atf_tc_skip("the sanitizer may have descriptors");
	both_worlds(no_numbers);
}

ATF_TP_ADD_TCS(tp)
{
	ATF_TP_ADD_TC(tp, devices);
	ATF_TP_ADD_TC(tp, flags);
	ATF_TP_ADD_TC(tp, arguments);
	ATF_TP_ADD_TC(tp, cancelled);
	ATF_TP_ADD_TC(tp, no_openat2);
	ATF_TP_ADD_TC(tp, no_statx);
	ATF_TP_ADD_TC(tp, proc);
	ATF_TP_ADD_TC(tp, proc_of_others);
	ATF_TP_ADD_TC(tp, descriptors);
	ATF_TP_ADD_TC(tp, tables);
	ATF_TP_ADD_TC(tp, shortage);
	ATF_TP_ADD_TC(tp, standard);
	ATF_TP_ADD_TC(tp, renames);
	ATF_TP_ADD_TC(tp, old_kernel);
	return atf_no_error();
}
