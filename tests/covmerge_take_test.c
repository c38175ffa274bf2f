/*
 * SPDX-License-Identifier: BSD-2-Clause
 *
 * Copyright (c) 2026 The libgons developers
 *
 * gons_coverage(7), "How it works": how the parent takes what a child has
 * left, of covmerge.o by itself.
 */

#include <sys/stat.h>
#include <sys/wait.h>

#include <atf-c.h>
#include <signal.h>
#include <stdio.h>
#include <unistd.h>

#include "../lib/covmerge.h"
#include "helpers.h"
#include "merge.h"

static int here = -1;

/* Takes the tree "data" to the directory "home", until then. */
static void
take(unsigned strip, int64_t until)
{
	int home;

	ATF_REQUIRE((here = open(".", OPEN_DIR)) != -1);
	ATF_REQUIRE((home = open("home", OPEN_PATH)) != -1);
	gons__cov_take(here, "data", home, "home", strip, until);
	ATF_CHECK(!exists("data"));
	ATF_CHECK(fcntl(home, F_GETFD) == -1);
	close(here);
}

static int64_t
soon(void)
{
	return now_ms() + 60000;
}

/* What is in the parent's place, if the child has left a good file. */
ATF_TC_WITHOUT_HEAD(replaced);
ATF_TC_BODY(replaced, tc)
{
	/* A file of r runs, cut to a length, and with a tail behind it. */
	static const struct {
		const char *what;
		uint32_t version;
		size_t cut, more;
		uint32_t runs;
	} t[] = {
		{ "a good one", GCC12, 0, 0, 3 },
		{ "another compiler's", GCC13, 0, 0, 2 },
		{ "a longer one of another compiler", GCC11, 0, 64, 2 },
		{ "one that was cut short", GCC12, 4, 0, 2 },
		{ "nothing but its beginning", GCC12, 100, 0, 2 },
		{ "one with something behind it", GCC12, 0, 64, 2 },
		{ "an empty one", GCC12, SIZE_MAX, 0, 2 },
	};
	static const char tail[] = "this is no coverage data, and there is "
				   "more of it than a file has";
	char *want, *is, path[] = "home/x/a.gcda";
	size_t i, len, wantlen;
	int fd;

	shell("mkdir -p home/x");
	for (i = 0; i < sizeof(t) / sizeof(t[0]); i++) {
		plain(path, t[i].version, 0, 1, 1);
		is = get_file(path, &len);
		put_file(path, is, t[i].cut < len ? len - t[i].cut : 0);
		free(is);
		ATF_REQUIRE((fd = open(path, O_WRONLY | O_APPEND)) != -1);
		ATF_REQUIRE_EQ((ssize_t)t[i].more, write(fd, tail, t[i].more));
		close(fd);
		shell("mkdir -p data/x");
		plain("data/x/a.gcda", GCC12, 0, 2, 2);
		plain("want", GCC12, 0, t[i].runs, t[i].runs);
		want = get_file("want", &wantlen);
		take(0, soon());
		check_file(path, want, wantlen, t[i].what);
		free(want);
	}
}

/* What a child has left that is no good file changes nothing, and is gone. */
ATF_TC_WITHOUT_HEAD(refused);
ATF_TC_BODY(refused, tc)
{
	struct stat st;
	char *want;
	size_t len;

	shell("mkdir -p home/x data/x/y.gcda outside");
	plain("home/x/a.gcda", GCC12, 0, 1, 1);
	want = get_file("home/x/a.gcda", &len);
	put_text("data/x/a.gcda", "adcg, and then nothing good");
	put_text("data/x/b.gcda", "this is no coverage data");
	put_text("data/x/c", "mode: set\na.go:1.1,2.2 1 1\n");
	plain("data/x/d.gcda.txt", GCC12, 0, 1, 1);
	plain("outside/e.gcda", GCC12, 0, 1, 1);
	ATF_REQUIRE_EQ(0, symlink("../../outside/e.gcda", "data/x/e.gcda"));
	ATF_REQUIRE_EQ(0, symlink("../outside", "data/z"));
	ATF_REQUIRE_EQ(0, mkfifo("data/x/f.gcda", 0600));
	plain("data/x/g.gcda", GCC12, 0, 1, 1);
	ATF_REQUIRE_EQ(0, truncate("data/x/g.gcda", ((off_t)32 << 20) + 1));
	alarm(20);
	take(0, soon());
	check_file("home/x/a.gcda", want, len, "beside what is refused");
	shell("test \"$(find home | sort | tr '\\n' ' ')\" = "
	      "'home home/x home/x/a.gcda '");
	ATF_REQUIRE_EQ(0, stat("outside/e.gcda", &st));
	ATF_CHECK_EQ(len, (size_t)st.st_size);
	free(want);
}

/* GCOV_PREFIX_STRIP: so many directories of each path are left out. */
ATF_TC_WITHOUT_HEAD(strip);
ATF_TC_BODY(strip, tc)
{
	static const struct {
		unsigned strip;
		const char *where;
	} t[] = {
		{ 0, "home/x/y/a.gcda" },
		{ 1, "home/y/a.gcda" },
		{ 2, "home/a.gcda" },
		{ 9, "home/a.gcda" },
	};
	char *want;
	size_t i, len;

	plain("want", GCC12, 0, 1, 1);
	want = get_file("want", &len);
	for (i = 0; i < sizeof(t) / sizeof(t[0]); i++) {
		shell("mkdir -p home data/x/y && cp want data/x/y/a.gcda");
		take(t[i].strip, soon());
		check_file(t[i].where, want, len, t[i].where);
		shell("test $(find home -type f | wc -l) = 1; rm -r home");
	}
	free(want);
}

/* When time is up nothing is merged any more, and the next one removes it. */
ATF_TC_WITHOUT_HEAD(too_late);
ATF_TC_BODY(too_late, tc)
{
	shell("mkdir -p home data/x");
	plain("data/x/a.gcda", GCC12, 0, 1, 1);
	ATF_REQUIRE((here = open(".", OPEN_DIR)) != -1);
	gons__cov_take(
	    here, "data", open("home", OPEN_PATH), "home", 0, now_ms() - 1);
	ATF_CHECK(exists("data/x/a.gcda"));
	gons__cov_remove(here, "data", soon());
	ATF_CHECK(!exists("data"));
	close(here);
	shell("test -z \"$(ls -A home)\"");
}

/*
 * The number 0 is as good as any other.  A destination gets it if somebody has
 * made it while the sum, which was another file then, was written.
 */
static void
take_without_stdin(void *unused)
{
	struct policy how;
	struct merge m;
	struct dir dir = { NULL, ".", -1, 0, 0, "" };
	struct place dst = { &dir, "home/a.gcda" };
	struct input in;
	int home;

	(void)unused;
	CHILD((here = open(".", OPEN_DIR)) > STDERR_FILENO);
	CHILD((home = open("home", OPEN_PATH)) > STDERR_FILENO);
	(void)close(STDIN_FILENO);
	gons__cov_take(here, "data", home, "home", 0, soon());
	CHILD(fcntl(STDIN_FILENO, F_GETFD) == -1);
	CHILD(exists("home/a.gcda") && !exists("data"));
	memset(&how, 0, sizeof(how));
	memset(&m, 0, sizeof(m));
	m.how = &how;
	dir.fd = here;
	CHILD(gons__cov_dst(&m, &dst, 0, 0, &in) == 0);
	CHILD(in.fd == STDIN_FILENO);
}

ATF_TC_WITHOUT_HEAD(without_stdin);
ATF_TC_BODY(without_stdin, tc)
{
	shell("mkdir home data");
	plain("data/a.gcda", GCC12, 0, 1, 1);
	in_child(take_without_stdin, NULL);
}

static sigset_t blocked; /* in front of the signal */

/* Ends the process at once if SIGTERM has blocked another signal. */
static void
look_at_mask(void)
{
	sigset_t now;
	int signo;

	if (sigprocmask(SIG_BLOCK, NULL, &now) != 0)
		_exit(1);
	for (signo = 1; signo < NSIG; signo++)
		if (signo != SIGTERM && sigismember(&now, signo) == 1 &&
		    sigismember(&blocked, signo) != 1)
			_exit(2);
}

/*
 * What a child does at its exit it also does after SIGTERM, and may need any
 * other signal for it, or execute a program that does.
 */
ATF_TC_WITHOUT_HEAD(terminated);
ATF_TC_BODY(terminated, tc)
{
	int fd[2] = { -1, -1 }, status;
	pid_t pid;

	if (THREAD_SANITIZER)
		atf_tc_skip("the sanitizer blocks signals in handlers");
	ATF_REQUIRE_EQ(0, mkdir("data", 0755));
	ATF_REQUIRE((fd[0] = open("data", OPEN_DIR)) != -1);
	ATF_REQUIRE((pid = fork()) != -1);
	if (pid == 0) {
		CHILD(signal(SIGTERM, SIG_DFL) != SIG_ERR);
		gons__cov_child(fd, 0);
		CHILD(atexit(look_at_mask) == 0);
		CHILD(sigprocmask(SIG_BLOCK, NULL, &blocked) == 0);
		(void)raise(SIGTERM);
		_exit(3);
	}
	ATF_REQUIRE_EQ(pid, waitpid(pid, &status, 0));
	ATF_CHECK_MSG(WIFEXITED(status) && WEXITSTATUS(status) == 128 + SIGTERM,
	    "status %#x", status);
	close(fd[0]);
}

ATF_TP_ADD_TCS(tp)
{
	ATF_TP_ADD_TC(tp, replaced);
	ATF_TP_ADD_TC(tp, refused);
	ATF_TP_ADD_TC(tp, strip);
	ATF_TP_ADD_TC(tp, too_late);
	ATF_TP_ADD_TC(tp, without_stdin);
	ATF_TP_ADD_TC(tp, terminated);
	return atf_no_error();
}
