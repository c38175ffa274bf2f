/*
 * SPDX-License-Identifier: BSD-2-Clause
 *
 * Copyright (c) 2026 The libgons developers
 *
 * gons_covmerge(3), "Concurrency": several processes and threads that merge
 * into one file, processes that write it meanwhile, and merges that are
 * killed.
 */

#include <sys/inotify.h>
#include <sys/stat.h>
#include <sys/wait.h>

#include <atf-c.h>
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include <gons.h>

#include "helpers.h"
#include "merge.h"

/*
 * All of the files or none; what is missing, empty, or no file at all
 */

/* Several processes make the same tree: what all of them had is in it. */
ATF_TC_WITHOUT_HEAD(tree_together);
ATF_TC_BODY(tree_together, tc)
{
	static const char *const src[] = { "src" };
	char path[64], *sum;
	size_t len;
	int i, k, round, status;

	shell("mkdir -p src/a src/b/c");
	for (i = 0; i < 40; i++) {
		(void)snprintf(path, sizeof(path), "src/%s/%d.gcda",
		    i % 2 == 0 ? "a" : "b/c", i);
		plain(path, GCC12, 0, 1, 1);
	}
	plain("sum", GCC12, 0, 6, 6);
	sum = get_file("sum", &len);
	for (round = 0; round < 10; round++) {
		for (k = 0; k < 6; k++)
			if (fork() == 0)
				_exit(gons_covmerge("new", src, 1, NULL) != 0);
		for (k = 0; k < 6; k++) {
			ATF_REQUIRE(wait(&status) > 0);
			ATF_CHECK_EQ(0, status);
		}
		for (i = 0; i < 40; i++) {
			(void)snprintf(path, sizeof(path), "new/%s/%d.gcda",
			    i % 2 == 0 ? "a" : "b/c", i);
			check_file(path, sum, len, path);
		}
		shell("test -z \"$(find . -name '.gons-*')\"; rm -r new");
	}
	free(sum);
}

/*
 * Go cover profiles
 */

/* A process that holds the locks of files as one that writes them does. */
static pid_t
lock_files(const char *const paths[], int n, int life[2])
{
	struct flock lock;
	char c = 0;
	int i, ready[2];
	pid_t pid;

	ATF_REQUIRE(pipe(life) == 0 && pipe(ready) == 0);
	ATF_REQUIRE((pid = fork()) != -1);
	if (pid == 0) {
		close(life[1]);
		memset(&lock, 0, sizeof(lock));
		lock.l_type = F_WRLCK;
		for (i = 0; i < n; i++)
			CHILD(
			    fcntl(open(paths[i], O_RDWR), F_SETLK, &lock) == 0);
		CHILD(write(ready[1], &c, 1) == 1);
		(void)!read(life[0], &c, 1);
		_exit(0);
	}
	ATF_REQUIRE_EQ(1, read(ready[0], &c, 1));
	return pid;
}

static void
unlock_files(pid_t pid, int life[2])
{
	close(life[1]);
	ATF_REQUIRE_EQ(pid, waitpid(pid, NULL, 0));
}

/* Somebody is writing it, and does not end. */
ATF_TC_WITHOUT_HEAD(locked);
ATF_TC_BODY(locked, tc)
{
	static const char *const paths[] = { "src" };
	struct flock lock;
	int fd, life[2];
	pid_t pid;

	plain("src", GCC12, 0, 1, 1);
	pid = lock_files(paths, 1, life);
	merge(EAGAIN, "locked", "dst", "src", NULL);
	ATF_CHECK_STREQ("src", outcome.where);
	ATF_CHECK(!exists("dst"));
	unlock_files(pid, life);
	merge(0, "not any more", "dst", "src", NULL);
	/* libgcov in another thread locks for the process. */
	ATF_REQUIRE((fd = open("src", O_RDWR | O_CLOEXEC)) != -1);
	memset(&lock, 0, sizeof(lock));
	lock.l_type = F_WRLCK;
	ATF_REQUIRE_EQ(0, fcntl(fd, F_SETLK, &lock));
	merge(EAGAIN, "locked by the process itself", "dst", "src", NULL);
	ATF_REQUIRE_EQ(0, close(fd));
}

/* All sources of a call have one second to become free, not one each. */
ATF_TC_WITHOUT_HEAD(locked_many);
ATF_TC_BODY(locked_many, tc)
{
	static const char *const paths[] = { "tree/1.gcda", "tree/2.gcda",
		"tree/3.gcda", "tree/4.gcda", "tree/5.gcda" };
	struct timespec from, to;
	double s;
	int life[2];
	size_t i;
	pid_t pid;

	ATF_REQUIRE_EQ(0, mkdir("tree", 0755));
	for (i = 0; i < 5; i++)
		plain(paths[i], GCC12, 0, 1, 1);
	plain("tree/6.gcda", GCC12, 0, 1, 1);
	pid = lock_files(paths, 5, life);
	ATF_REQUIRE_EQ(0, clock_gettime(CLOCK_MONOTONIC, &from));
	merge(EAGAIN, "locked", "dst", "tree", NULL);
	ATF_REQUIRE_EQ(0, clock_gettime(CLOCK_MONOTONIC, &to));
	s = (double)(to.tv_sec - from.tv_sec) +
	    (double)(to.tv_nsec - from.tv_nsec) / 1e9;
	ATF_CHECK_MSG(s >= 0.9 && s < 3, "it took %.3f s", s);
	ATF_CHECK_EQ(5, outcome.failed);
	ATF_CHECK_EQ(1, outcome.merged);
	unlock_files(pid, life);
}

/*
 * The destination is locked, and removed or replaced before the merge gets the
 * lock: nothing goes into a file that has lost its name.
 */
ATF_TC_WITHOUT_HEAD(lost_name);
ATF_TC_BODY(lost_name, tc)
{
	static const struct {
		const char *src, *instead; /* NULL: nothing */
		int held; /* it keeps another name */
		const char *sum;
	} t[] = {
		{ "one", NULL, 0, "one" },
		{ "one", "two", 0, "three" },
		{ "text1", NULL, 0, "text1" },
		{ "text1", "text2", 0, "text3" },
		{ "text1", NULL, 1, "text1" },
		{ "text1", "text2", 1, "text3" },
	};
	static const char *const paths[] = { "dst" };
	struct inotify_event event;
	int life[2], status, watch;
	pid_t holder, pid;
	size_t i;

	plain("one", GCC12, 0, 1, 1);
	plain("two", GCC12, 0, 2, 2);
	plain("three", GCC12, 0, 3, 3);
	put_text("text1", "mode: count\na.go:1.1,2.2 1 1\n");
	put_text("text2", "mode: count\na.go:1.1,2.2 1 2\n");
	put_text("text3", "mode: count\na.go:1.1,2.2 1 3\n");
	alarm(20);
	for (i = 0; i < sizeof(t) / sizeof(t[0]); i++) {
		shell("cp %s dst; ln -f dst held", t[i].src);
		if (!t[i].held)
			ATF_REQUIRE_EQ(0, unlink("held"));
		holder = lock_files(paths, 1, life);
		ATF_REQUIRE((watch = inotify_init1(IN_CLOEXEC)) != -1);
		ATF_REQUIRE(inotify_add_watch(watch, "dst", IN_OPEN) != -1);
		ATF_REQUIRE((pid = fork()) != -1);
		if (pid == 0) {
			close(life[1]);
			_exit(gons_covmerge("dst", &t[i].src, 1, NULL) != 0);
		}
		/* The merge opens it. */
		ATF_REQUIRE(read(watch, &event, sizeof(event)) > 0);
		ATF_REQUIRE_EQ(0, close(watch));
		ATF_REQUIRE_EQ(0, unlink("dst"));
		if (t[i].instead != NULL)
			shell("cp %s dst", t[i].instead);
		unlock_files(holder, life);
		ATF_REQUIRE_EQ(pid, waitpid(pid, &status, 0));
		ATF_CHECK_EQ(0, status);
		shell("cmp dst %s", t[i].sum);
		if (t[i].held)
			shell("cmp held %s", t[i].src);
	}
}

/*
 * Several at once
 */

#define WORKERS 6
#define ROUNDS 60

static void
many(const char *dst, const char *src)
{
	int i;

	for (i = 0; i < ROUNDS; i++)
		if (gons_covmerge(dst, &src, 1, NULL) != 0)
			_exit(1);
}

static void *
many_thread(void *unused)
{
	many("dst", "src");
	return (unused);
}

static void
many_processes(const char *dst, const char *src)
{
	pthread_t thread[2];
	pid_t pid[WORKERS];
	int i, status;

	for (i = 0; i < WORKERS; i++) {
		ATF_REQUIRE((pid[i] = fork()) >= 0);
		if (pid[i] > 0)
			continue;
		if (strcmp(dst, "dst") == 0 && i == 0) {
			if (pthread_create(
				&thread[0], NULL, many_thread, NULL) ||
			    pthread_create(&thread[1], NULL, many_thread, NULL))
				_exit(1);
			(void)pthread_join(thread[0], NULL);
			(void)pthread_join(thread[1], NULL);
		} else
			many(dst, src);
		_exit(0);
	}
	for (i = 0; i < WORKERS; i++) {
		ATF_REQUIRE_EQ(pid[i], waitpid(pid[i], &status, 0));
		ATF_CHECK_EQ(0, status);
	}
}

ATF_TC_WITHOUT_HEAD(concurrent);
ATF_TC_BODY(concurrent, tc)
{
	char sum[64];

	plain("src", GCC12, 0, 1, 1);
	plain("sum", GCC12, 0, (WORKERS + 1) * ROUNDS, (WORKERS + 1) * ROUNDS);
	many_processes("dst", "src");
	shell("cmp dst sum");
	put_text("cover", "mode: count\na.go:1.1,2.2 1 1\n");
	many_processes("text", "cover");
	(void)snprintf(sum, sizeof(sum), "mode: count\na.go:1.1,2.2 1 %d\n",
	    WORKERS * ROUNDS);
	check_text("text", sum);
}

/* libgcov updates the same file meanwhile; then it is killed now and then. */
ATF_TC(concurrent_libgcov);
ATF_TC_HEAD(concurrent_libgcov, tc)
{
	atf_tc_set_md_var(tc, "timeout", "120");
}
ATF_TC_BODY(concurrent_libgcov, tc)
{
	const char *src[] = { "one" };
	int i, status;
	pid_t pid;

	shell("printf '%s' >p.c && gcc --coverage -c p.c -o p.o && "
	      "gcc --coverage p.o -o prog && ./prog 9 && mv p.gcda one",
	    source);
	ATF_REQUIRE((pid = fork()) >= 0);
	if (pid == 0)
		_exit(system("for i in 1 2 3 4; do "
			     "(for j in $(seq 50); do ./prog 9; done) & done;"
			     "wait"));
	for (i = 0; i < 800; i++)
		ATF_REQUIRE_EQ(0, gons_covmerge("p.gcda", src, 1, NULL));
	ATF_REQUIRE_EQ(pid, waitpid(pid, &status, 0));
	ATF_REQUIRE_EQ(0, status);
	shell("cp one sum");
	for (i = 1; i < 1000; i++)
		ATF_REQUIRE_EQ(0, gons_covmerge("sum", src, 1, NULL));
	shell("cmp p.gcda sum");
}

/* A merge that is killed leaves a destination that parses. */
ATF_TC_WITHOUT_HEAD(killed);
ATF_TC_BODY(killed, tc)
{
	const char *src[] = { "one" };
	struct data d;
	int i, round, status;
	pid_t pid;

	head(&d, GCC12, 0);
	for (i = 0; i < 400; i++) {
		function(&d, 1 + (uint32_t)i);
		counters(&d, 0, 1, U(1));
	}
	tail(&d, "one");
	for (round = 0; round < 200; round++) {
		if (round % 10 == 0)
			(void)unlink("dst");
		ATF_REQUIRE((pid = fork()) >= 0);
		if (pid == 0)
			for (;;)
				(void)gons_covmerge("dst", src, 1, NULL);
		for (i = 0; i < round * 20 && !exists("never"); i++)
			;
		ATF_REQUIRE_EQ(0, kill(pid, SIGKILL));
		ATF_REQUIRE_EQ(pid, waitpid(pid, &status, 0));
		merge(0, "after a kill", "dst", "one", NULL);
	}
}

ATF_TP_ADD_TCS(tp)
{
	ATF_TP_ADD_TC(tp, tree_together);
	ATF_TP_ADD_TC(tp, locked);
	ATF_TP_ADD_TC(tp, locked_many);
	ATF_TP_ADD_TC(tp, lost_name);
	ATF_TP_ADD_TC(tp, concurrent);
	ATF_TP_ADD_TC(tp, concurrent_libgcov);
	ATF_TP_ADD_TC(tp, killed);
	return (atf_no_error());
}
