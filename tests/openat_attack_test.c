/*
 * SPDX-License-Identifier: BSD-2-Clause
 *
 * Copyright (c) 2026 The libgons developers
 *
 * gons_openat(3) against a tree that was made to lead out of itself: paths and
 * links that get at files of the host in the usual way of opening, and trees
 * that change while a path is resolved.
 */

#include <sys/inotify.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>

#include <atf-c.h>

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <gons.h>

#include "helpers.h"
#include "trees.h"

/* What a path may say, to get at a file of the host's. */
static size_t
bodies(char body[][PATH_MAX])
{
	static const char up[] = "../../../../../../../../../../../../..";
	size_t n = 0;

#define BODY(...) (void)snprintf(body[n++], PATH_MAX, __VA_ARGS__)
	BODY("%s/secret", host);
	BODY("/%s/secret", host);
	BODY("/.%s/secret", host);
	BODY("/../..%s/secret", host);
	BODY("%s%s/secret", up, host);
	BODY("/%s%s/secret", up, host);
	BODY("../secret");
	BODY("../../secret");
	BODY("/../secret");
	BODY("sub/../../secret");
	BODY("sub/deep/../../../secret");
	BODY("/sub/../../secret");
	BODY("/proc/self/root%s/secret", host);
	BODY("/proc/thread-self/root%s/secret", host);
	BODY("/proc/%d/root%s/secret", (int)getpid(), host);
	BODY("/proc/self/task/%d/root%s/secret", (int)getpid(), host);
	BODY("/proc/self/cwd/secret");
	BODY("/proc/self/cwd/../secret");
	BODY("/proc/self/fd/%d", secret);
	BODY("/proc/self/fd/%d/secret", outside);
	BODY("/proc/self/fd/%d/../secret", root);
	BODY("/dev/fd/%d", secret);
	BODY("/dev/fd/%d/secret", outside);
	BODY("/proc/self/exe");
	BODY("/proc/self/ns/mnt");
	BODY("proc/../../secret");
	BODY("/etc/passwd");
	BODY("%s/etc/passwd", up);
#undef BODY
	return n;
}

#define NBODIES 28

/* Ways to say it: by the path itself, or by links. */
static const char *
way(int i, const char *body)
{
	static char path[2 * PATH_MAX];
	char dir[PATH_MAX], *slash;

	switch (i) {
	case 0:
		return body;
	case 1:
		set_link("tree/link", body);
		return "link";
	case 2:
		set_link("tree/sub/deep/link", body);
		return "sub/deep/link";
	case 3: /* a chain */
		set_link("tree/c1", "sub/c2");
		set_link("tree/sub/c2", "/sub/deep/c3");
		set_link("tree/sub/deep/c3", body);
		return "c1";
	case 4: /* to the directory */
		(void)snprintf(dir, sizeof(dir), "%s", body);
		slash = strrchr(dir, '/');
		if (slash == NULL || slash == dir)
			return body;
		*slash = '\0';
		set_link("tree/dir", dir);
		(void)snprintf(path, sizeof(path), "dir/%s", slash + 1);
		return path;
	case 5:
		(void)snprintf(path, sizeof(path), "sub/../%s", body);
		return path;
	case 6: /* up, beyond the root */
		(void)snprintf(path, sizeof(path), "../../../%s", body);
		return path;
	case 7: /* with slashes around a link to it */
		set_link("tree/sub/link", body);
		return "//sub///./link";
	default:
		return NULL;
	}
}

static const int corpus_flags[] = { O_RDONLY, O_RDONLY | O_NOFOLLOW, O_PATH,
	O_PATH | O_NOFOLLOW, O_RDWR, O_WRONLY | O_TRUNC, O_RDWR | O_CREAT,
	O_WRONLY | O_CREAT | O_EXCL, O_DIRECTORY, O_RDWR | O_TMPFILE };
#define NFLAGS (sizeof(corpus_flags) / sizeof(corpus_flags[0]))

/* Does it belong to the host?  Links of the tree itself do not. */
static int
is_outside(int fd)
{
	struct stat st;

	CHILD(fstat(fd, &st) == 0);
	return st.st_dev != tree_dev && st.st_dev != proc_dev;
}

static int
open_safely(const char *path, int flags)
{
	return gons_openat(root, path, flags, 0600);
}

/* As it is often done: PID's root is the tree. */
static pid_t confined;

static int
open_usually(const char *path, int flags)
{
	static char name[3 * PATH_MAX];

	(void)snprintf(
	    name, sizeof(name), "/proc/%d/root/%s", (int)confined, path);
	return open(name, flags | O_NONBLOCK | O_NOCTTY | O_CLOEXEC, 0600);
}

/* How many get out; tried: of how many. */
static int
run_corpus(int (*fn)(const char *, int), int *tried, int change)
{
	static char body[NBODIES][PATH_MAX];
	const char *path;
	size_t f, i, n = bodies(body);
	int fd, k, out = 0;

	CHILD(n == NBODIES);
	*tried = 0;
	for (i = 0; i < n; i++)
		for (k = 0; (path = way(k, body[i])) != NULL; k++)
			for (f = 0; f < NFLAGS; f++) {
				if (!change &&
				    (corpus_flags[f] &
					(O_TRUNC | O_CREAT | ACCESS |
					    (O_TMPFILE & ~O_DIRECTORY))) != 0)
					continue;
				++*tried;
				if ((fd = fn(path, corpus_flags[f])) == -1)
					continue;
				out += is_outside(fd);
				if (change && is_outside(fd))
					fprintf(stderr, "%s, %#x: got out\n",
					    path, (unsigned)corpus_flags[f]);
				close(fd);
			}
	return out;
}

static void
corpus(void)
{
	int out, tried;

	out = run_corpus(open_safely, &tried, 1);
	CHILD(out == 0);
	CHILD(holds(secret, HOST));
	printf("gons_openat: %d opened of the host's in %d\n", out, tried);
}

static void
corpus_usual(void)
{
	int life[2], out, tried;
	char c;

	CHILD(pipe(life) == 0 && (confined = fork()) != -1);
	if (confined == 0) {
		close(life[1]);
		CHILD(chroot("tree") == 0 && chdir("/") == 0);
		CHILD(read(life[0], &c, 1) == 0);
		_exit(0);
	}
	close(life[0]);
	while (open_usually("file", O_RDONLY) == -1)
		CHILD(errno == ENOENT); /* not confined yet */
	out = run_corpus(open_usually, &tried, 0);
	printf("/proc/PID/root: %d opened of the host's in %d\n", out, tried);
	CHILD(out > 0); /* or the corpus is harmless */
	close(life[1]);
	CHILD(waitpid(confined, NULL, 0) == confined);
}

ATF_TC(hostile);
ATF_TC_HEAD(hostile, tc)
{
	atf_tc_set_md_var(tc, "descr",
	    "links, \"..\" and magic links never lead to the host");
}
ATF_TC_BODY(hostile, tc)
{
	struct world usual = { corpus_usual, 0 };

	(void)tc;
	both_worlds(corpus);
	ATF_REQUIRE(mkdir("usual", 0755) == 0 && chdir("usual") == 0);
	in_child(enter_world, &usual);
	ATF_REQUIRE(chdir("..") == 0);
}

/* Directories and links that change places; devices and files, too. */
static int swapping; /* read by other threads */

static int
goes_on(void)
{
	return __atomic_load_n(&swapping, __ATOMIC_RELAXED);
}

static void
go_on(int yes)
{
	__atomic_store_n(&swapping, yes, __ATOMIC_RELAXED);
}

static const char *swapped[2];

static void *
swap(void *arg)
{
	int odd;

	/* in the end all is as it was */
	for (odd = 0; goes_on() || odd; odd = !odd)
		CHILD(syscall(SYS_renameat2, AT_FDCWD, swapped[0], AT_FDCWD,
			  swapped[1], 2 /* RENAME_EXCHANGE */) == 0);
	return arg;
}

static void
race(const char *a, const char *b, const char *path, int flags)
{
	pthread_t thread;
	struct stat st;
	int fd, i, ok = 0;

	swapped[0] = a;
	swapped[1] = b;
	go_on(1);
	CHILD(pthread_create(&thread, NULL, swap, NULL) == 0);
	/* if somebody renames all the time, no ".." can be walked */
	if (strstr(path, "..") != NULL)
		ok = 1;
	/* the other thread may have to wait for a processor */
	for (i = 0; i < SWAPS || (ok == 0 && i < 100 * SWAPS); i++) {
		if ((fd = gons_openat(root, path, flags, 0600)) == -1) {
			CHILD(errno != ENOSYS && errno != EXDEV);
			continue;
		}
		CHILD(fstat(fd, &st) == 0 && !is_outside(fd));
		CHILD(!S_ISCHR(st.st_mode));
		if (S_ISREG(st.st_mode) && (flags & O_CREAT) == 0)
			CHILD(holds(fd, THERE));
		close(fd);
		ok++;
	}
	go_on(0);
	CHILD(pthread_join(thread, NULL) == 0);
	CHILD(ok > 0);
	CHILD(holds(secret, HOST));
}

static void *
make_and_remove(void *arg)
{
	while (goes_on()) {
		(void)!symlink("made", "tree/g");
		(void)unlink("tree/g");
		(void)unlink("tree/made");
	}
	return arg;
}

/* To whoever may make a file, a link to it that has just gone is not missing. */
static void
race_to_make(void)
{
	pthread_t thread;
	int fd, i;

	go_on(1);
	CHILD(pthread_create(&thread, NULL, make_and_remove, NULL) == 0);
	for (i = 0; i < 5 * SWAPS; i++) {
		fd = gons_openat(root, "g", O_RDWR | O_CREAT, 0600);
		CHILD(fd != -1 || errno != ENOENT);
		if (fd != -1)
			close(fd);
	}
	go_on(0);
	CHILD(pthread_join(thread, NULL) == 0);
	(void)unlink("tree/g");
	(void)unlink("tree/made");
}

static void
races(void)
{
	char event[4096];
	int watch;

	/* whoever opens the device is heard of */
	CHILD((watch = inotify_init1(IN_CLOEXEC | IN_NONBLOCK)) != -1);
	CHILD(inotify_add_watch(watch, "tree/dev/full", IN_OPEN) != -1);
	CHILD(mkdir("tree/d", 0755) == 0);
	put("tree/d/secret", THERE);
	set_link("tree/dlink", host);
	race("tree/d", "tree/dlink", "d/secret", O_RDONLY);
	race("tree/d", "tree/dlink", "d/../d/secret", O_RDONLY);
	race("tree/d", "tree/sub", "sub/../sub/../d/secret", O_RDONLY);
	set_link("tree/x", "file");
	set_link("tree/y", "/dev/full");
	race("tree/x", "tree/y", "x", O_RDONLY);
	race("tree/x", "tree/y", "x", O_RDWR);
	race("tree/x", "tree/y", "x", O_RDONLY | O_CREAT);
	race_to_make();
	put("tree/f", THERE);
	set_link("tree/flink", "../secret");
	race("tree/f", "tree/flink", "f", O_RDONLY);
	race("tree/f", "tree/d", "f", O_RDONLY);
	CHILD(read(watch, event, sizeof(event)) == -1 && errno == EAGAIN);
	/* and the watch does hear */
	close(open("tree/dev/full", O_RDWR | O_NOCTTY | O_CLOEXEC));
	CHILD(read(watch, event, sizeof(event)) > 0);
}

/* Renames now and then: the kernel gives up at once, gons_openat() does not. */
static void *
swap_at_leisure(void *arg)
{
	const struct timespec nap = { 0, 20000 };

	while (goes_on()) {
		(void)syscall(SYS_renameat2, AT_FDCWD, swapped[0], AT_FDCWD,
		    swapped[1], 2);
		(void)nanosleep(&nap, NULL);
	}
	return arg;
}

static void
renames(void)
{
	static const char path[] =
	    "sub/deep/../deep/../deep/../deep/../deep/../deep/../file";
	int fd, i, given_up = 0, again = 0;
	pthread_t thread;

	put("tree/p", "");
	put("tree/q", "");
	swapped[0] = "tree/p";
	swapped[1] = "tree/q";
	go_on(1);
	CHILD(pthread_create(&thread, NULL, swap_at_leisure, NULL) == 0);
	for (i = 0; i < SWAPS; i++) {
		if ((fd = opinion(root, path, O_RDONLY)) == -EAGAIN)
			given_up++;
		else
			close(fd);
		if ((fd = gons_openat(root, path, O_RDONLY)) == -1)
			again++;
		else
			close(fd);
	}
	go_on(0);
	CHILD(pthread_join(thread, NULL) == 0);
	printf("renames: the kernel gave up %d times\n", given_up);
	CHILD(again == 0);
}

ATF_TC(again);
ATF_TC_HEAD(again, tc)
{
	atf_tc_set_md_var(
	    tc, "descr", "a rename while \"..\" is walked is no failure");
	atf_tc_set_md_var(tc, "timeout", "300");
}
ATF_TC_BODY(again, tc)
{
	(void)tc;
	both_worlds(renames);
}

ATF_TC(race);
ATF_TC_HEAD(race, tc)
{
	atf_tc_set_md_var(tc, "descr",
	    "somebody swaps a directory for a link, a file for a device");
	atf_tc_set_md_var(tc, "timeout", "600");
}
ATF_TC_BODY(race, tc)
{
	(void)tc;
	if (THREAD_SANITIZER)
		atf_tc_skip("the thread's race is meant");
	both_worlds(races);
}

ATF_TP_ADD_TCS(tp)
{
	ATF_TP_ADD_TC(tp, hostile);
	ATF_TP_ADD_TC(tp, again);
	ATF_TP_ADD_TC(tp, race);
	return atf_no_error();
}
