/*
 * SPDX-License-Identifier: BSD-2-Clause
 *
 * Copyright (c) 2026 The libgons developers
 *
 * Coverage of re-executed children, for gons_coverage(3), on the child's side:
 * where what it counted goes, and that it goes nowhere else.
 */

#include "covmerge.h"

#include <sys/mman.h>

#include <dirent.h>
#include <errno.h>
#include <signal.h>
#include <unistd.h>

/*
 * Of glibc: has a function called at the end of this thread, which is before
 * the handlers of atexit(3) if the thread calls exit(3).  That is how C++ has
 * destructors for what belongs to a thread.
 */
extern int __cxa_thread_atexit_impl(void (*)(void *), void *, void *)
    __attribute__((weak));

static struct {
	int fd[2];
	dev_t dev; /* of fd[0]: the action may have closed it */
	ino_t ino;
	int ready;
	int lost; /* its counters are not to be told from its parent's */
	int llvm; /* source-based coverage is among what is to be told */
	volatile sig_atomic_t ending;
	volatile sig_atomic_t signal;
} child = { { -1, -1 }, 0, 0, 0, 0, 0, 0, 0 };

/*
 * Lets all that is written there vanish without a word.  The process may have
 * no room for one more descriptor, or for none at all: then that one is closed,
 * and nothing can be opened in its place.
 */
static void
mute(int fd)
{
	int nowhere = memfd_create("gons-mute", MFD_CLOEXEC);

	if (nowhere < 0) {
		(void)close(fd);
		nowhere = memfd_create("gons-mute", MFD_CLOEXEC);
	}
	if (nowhere < 0 || nowhere == fd)
		return;
	(void)dup2(nowhere, fd);
	fd_close(&nowhere);
}

/* Is the place still there, and can it be written to? */
static int
child_arrive(void)
{
	struct rlimit limit;
	struct stat st;
	int fd, good;

	(void)signal(SIGXFSZ, SIG_IGN);
	if (getrlimit(RLIMIT_FSIZE, &limit) == 0) {
		limit.rlim_cur = limit.rlim_max;
		(void)setrlimit(RLIMIT_FSIZE, &limit);
	}
	if (getrlimit(RLIMIT_NOFILE, &limit) == 0) {
		limit.rlim_cur = limit.rlim_max;
		(void)setrlimit(RLIMIT_NOFILE, &limit);
	}
	if (fstat(child.fd[0], &st) != 0 || st.st_dev != child.dev ||
	    st.st_ino != child.ino || fchdir(child.fd[0]) != 0)
		return 0;
	fd = open(".probe", O_WRONLY | O_CREAT | OPEN_FILE, 0600);
	if (fd < 0)
		return 0;
	good = write_at(fd, "", 1, 0) == 0;
	fd_close(&fd);
	(void)unlink(".probe");
	return good;
}

/* clang makes directories that other users cannot remove files from. */
static void
open_up(int fd)
{
	const struct dirent *e;
	DIR *d;
	int sub;

	if ((d = fdopendir(fd)) == NULL) {
		fd_close(&fd);
		return;
	}
	while ((e = readdir(d)) != NULL) {
		if (e->d_type != DT_DIR || strcmp(e->d_name, ".") == 0 ||
		    strcmp(e->d_name, "..") == 0)
			continue;
		if ((sub = openat(fd, e->d_name, OPEN_DIR)) < 0)
			continue;
		(void)fchmod(sub, 0777);
		open_up(sub);
	}
	(void)closedir(d);
}

/* clang's .gcda files can be written at once, and the directories opened. */
static void
child_dump(void)
{
	int fd;

	if (&__gcov_master != NULL || __gcov_dump == NULL ||
	    __gcov_reset == NULL)
		return;
	__gcov_dump();
	__gcov_reset();
	if ((fd = open(".", OPEN_DIR)) >= 0)
		open_up(fd);
}

/*
 * The coverage run time has no place to write to, and must not write anywhere
 * else.  A name that is too long keeps libgcov from making directories, and a
 * limit of no descriptors keeps LLVM's from making files.  Their messages are
 * muted.
 */
static void
child_lost(void)
{
	char nowhere[NAME_MAX + 16];
	struct rlimit limit;

	memset(nowhere, 'x', sizeof(nowhere) - 1);
	nowhere[0] = '/';
	nowhere[sizeof(nowhere) - 1] = '\0';
	(void)setenv("GCOV_PREFIX", nowhere, 1);
	mute(2);
	if (child.llvm && getrlimit(RLIMIT_NOFILE, &limit) == 0) {
		limit.rlim_cur = 0;
		(void)setrlimit(RLIMIT_NOFILE, &limit);
	}
}

static void
child_save(enum visit what)
{
	struct areas *areas = gons__cov_areas_load(child.fd[1]);

	if (areas != NULL)
		gons__cov_visit(areas, what, child.fd[1]);
	free(areas);
}

/*
 * exit(3) begins.  The handlers of modules that were loaded late come before
 * ours, so this cannot be one.
 */
static void
child_leave(void *unused)
{
	(void)unused;
	child_save(VISIT_SAVE_LATE);
}

/* The coverage runtime writes soon, relative to the working directory. */
static void
child_exit(void)
{
	int arrived;

	child.ending = 1;
	arrived = !child.lost && child_arrive();
	child_save(VISIT_SAVE);
	(void)unsetenv("GCOV_PREFIX_STRIP");
	if (!arrived) {
		child_lost();
		return;
	}
	(void)umask(0);
	(void)setenv("GCOV_PREFIX", ".", 1);
	child_dump();
}

/*
 * Ends the process as SIGTERM would, except that the counters are written.
 * Exit handlers that would not have run otherwise print nothing.
 */
static void
child_signal(int sig)
{
	if (child.ending)
		return;
	child.ending = 1;
	child.signal = sig;
	mute(1);
	mute(2);
	exit(128 + sig);
}

int
gons__cov_signal(void)
{
	return child.signal;
}

/* Gives the variable back the value that it has for the parent. */
static void
child_env(const struct areas *areas)
{
	const char *entry;

	if (areas == NULL)
		return;
	entry = (const char *)&areas->area[areas->n];
	if (areas->envlen > COV_LLVM_NAMELEN)
		(void)setenv("LLVM_PROFILE_FILE", entry + COV_LLVM_NAMELEN, 1);
	else
		(void)unsetenv("LLVM_PROFILE_FILE");
}

/* A fork counts from its beginning: its parent tells the counts before. */
static void
child_reset(const struct areas *areas)
{
	child.lost = gons__cov_gcov_reset(1) != 0;
	if (areas != NULL)
		gons__cov_visit(areas, VISIT_RESET, -1);
	child.ending = child.signal = 0;
}

static void
child_place(const int fd[2])
{
	struct stat st;
	int i;

	for (i = 0; i < 2; i++) {
		if (child.ready)
			fd_close(&child.fd[i]);
		child.fd[i] = fd[i];
		if (fd[i] >= 0)
			(void)fcntl(fd[i], F_SETFD, FD_CLOEXEC);
	}
	child.llvm = fd[1] >= 0;
	child.dev = 0;
	child.ino = 0;
	if (fd[0] >= 0 && fstat(fd[0], &st) == 0) {
		child.dev = st.st_dev;
		child.ino = st.st_ino;
	}
}

void
gons__cov_child(const int fd[2], int forked)
{
	struct sigaction sa;
	struct areas *areas;

	if (!child.ready && fd[0] < 0 && fd[1] < 0 &&
	    !(gons__cov_wanted() && gons__cov_files()))
		return;
	child_place(fd);
	areas = gons__cov_areas_load(fd[1]);
	if (forked)
		child_reset(areas);
	else
		child_env(areas);
	if (areas != NULL)
		gons__cov_visit(areas, VISIT_BEGIN, fd[1]);
	free(areas);
	if (!child.ready && atexit(child_exit) == 0) {
		child.ready = 1;
		if (__cxa_thread_atexit_impl != NULL)
			(void)__cxa_thread_atexit_impl(
			    child_leave, NULL, &child);
	}
	if (sigaction(SIGTERM, NULL, &sa) == 0 && sa.sa_handler == SIG_DFL) {
		memset(&sa, 0, sizeof(sa));
		sa.sa_handler = child_signal;
		(void)sigaction(SIGTERM, &sa, NULL);
	}
}
