/*
 * SPDX-License-Identifier: BSD-2-Clause
 *
 * Copyright (c) 2026 The libgons developers
 *
 * Descriptors of reexec.o by themselves: whether one is still the library's,
 * what older kernels lack, and messages that come through a pipe in pieces.
 */

#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>

#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <atf-c.h>

#include "../lib/reexec.h"
#include "filters.h"
#include "helpers.h"

static void
know_proc(void)
{
	int fd = open("/proc", O_RDONLY | O_DIRECTORY | O_CLOEXEC);

	ATF_REQUIRE(fd != -1);
	gons__keep_proc(fd);
}

static int
is_open(int fd)
{
	return fcntl(fd, F_GETFD) != -1;
}

/* A child that waits for nothing but its end. */
static pid_t
start_child(void)
{
	pid_t pid = fork();

	ATF_REQUIRE(pid != -1);
	if (pid == 0)
		for (;;)
			(void)pause();
	return pid;
}

ATF_TC_WITHOUT_HEAD(another_file);
ATF_TC_BODY(another_file, tc)
{
	int fd[2];
	struct kept kept;

	ATF_REQUIRE_EQ(0, pipe(fd));
	gons__keep(&kept, fd[0]);
	ATF_CHECK(gons__is_kept(&kept));
	ATF_REQUIRE_EQ(fd[0], dup2(STDIN_FILENO, fd[0]));
	ATF_CHECK(!gons__is_kept(&kept));
	errno = EDOM;
	gons__unkeep(&kept);
	ATF_CHECK_EQ(EDOM, errno);
	ATF_CHECK_EQ(-1, kept.fd);
	ATF_CHECK_MSG(is_open(fd[0]), "closed a descriptor of others");
	ATF_CHECK(!gons__is_kept(&kept));
	gons__keep(&kept, fd[1]);
	gons__unkeep(&kept);
	ATF_CHECK_MSG(!is_open(fd[1]), "left its own open");
}

/* The trusted /proc is not asked any more once its number is another file's. */
ATF_TC_WITHOUT_HEAD(another_proc);
ATF_TC_BODY(another_proc, tc)
{
	int fd, other;

	know_proc();
	ATF_REQUIRE((fd = gons__kept_proc()) != -1);
	ATF_REQUIRE((other = open(".", O_RDONLY | O_DIRECTORY)) != -1);
	ATF_REQUIRE_EQ(fd, dup2(other, fd));
	ATF_CHECK_EQ(-1, gons__kept_proc());
	ATF_REQUIRE_EQ(0, close(fd));
	ATF_CHECK_EQ(-1, gons__kept_proc());
	gons__keep_proc(-1);
	(void)close(other);
}

/* As before Linux 6.9, where all pidfds have one inode. */
ATF_TC_WITHOUT_HEAD(nameless_pidfd);
ATF_TC_BODY(nameless_pidfd, tc)
{
	pid_t pid = start_child(), other = start_child();
	struct kept kept, none;
	int fd[2];

	know_proc();
	gons__keep(&kept, (int)syscall(SYS_pidfd_open, pid, 0));
	kept.nameless = 1;
	kept.pid = pid;
	ATF_CHECK(gons__is_kept(&kept));
	kept.pid = other;
	ATF_CHECK_MSG(!gons__is_kept(&kept), "took another process for it");
	kept.pid = pid;
	ATF_REQUIRE_EQ(0, kill(pid, SIGKILL));
	ATF_REQUIRE_EQ(pid, waitpid(pid, NULL, 0));
	ATF_CHECK_MSG(gons__is_kept(&kept), "its process has ended");

	ATF_REQUIRE_EQ(0, pipe(fd));
	gons__keep(&none, fd[0]);
	none.nameless = 1;
	none.pid = other;
	ATF_CHECK_MSG(!gons__is_kept(&none), "took a pipe for it");
	none.pid = -2;
	ATF_CHECK_MSG(!gons__is_kept(&none), "took a pipe for it");
	gons__keep_proc(-1);
	ATF_CHECK_MSG(!gons__is_kept(&kept), "does not know, without /proc");
	ATF_REQUIRE_EQ(0, kill(other, SIGKILL));
	ATF_REQUIRE_EQ(other, waitpid(other, NULL, 0));
}

/*
 * What the kernel writes of a pidfd.  Of each process that this /proc does not
 * show it writes 0, so that tells none of them from another.
 */
static const struct {
	const char *text;
	pid_t pid; /* that it had */
	int is, seems;
} infos[] = {
	{ "pos:\t0\nflags:\t02000002\nPid:\t7\nNSpid:\t7\n", 7, 1, 1 },
	{ "pos:\t0\nflags:\t02000002\nPid:\t7\nNSpid:\t7\n", 8, 0, 0 },
	{ "pos:\t0\nPid:\t-1\nNSpid:\t-1\n", 7, 1, 1 },
	{ "pos:\t0\nPid:\t-1\nNSpid:\t-1\n", 0, 1, 1 },
	{ "pos:\t0\nPid:\t0\nNSpid:\t0\n", 7, 0, 0 },
	{ "pos:\t0\nPid:\t0\nNSpid:\t0\n", 0, 0, 0 },
	{ "pos:\t0\nPid:\t7x\n", 7, 0, 0 },
	{ "pos:\t0\nflags:\t02000002\n", 7, 0, 0 },
	{ "", 7, 0, 0 },
	/* -2: it could not be told when it was kept */
	{ "pos:\t0\nPid:\t7\nNSpid:\t7\n", -2, 0, 1 },
	{ "pos:\t0\nPid:\t0\nNSpid:\t0\n", -2, 0, 1 },
	{ "", -2, 0, 1 },
};

ATF_TC_WITHOUT_HEAD(nameless_info);
ATF_TC_BODY(nameless_info, tc)
{
	char path[64];
	struct kept kept;
	int fd[2], info, proc;
	size_t i;

	ATF_REQUIRE_EQ(0, pipe(fd));
	ATF_REQUIRE(mkdir("proc", 0700) == 0 &&
		    mkdir("proc/thread-self", 0700) == 0 &&
		    mkdir("proc/thread-self/fdinfo", 0700) == 0);
	ATF_REQUIRE((proc = open("proc", O_RDONLY | O_DIRECTORY)) != -1);
	gons__keep_proc(proc);
	(void)snprintf(path, sizeof(path), "proc/thread-self/fdinfo/%d", fd[0]);
	for (i = 0; i < sizeof(infos) / sizeof(*infos); i++) {
		info = open(path, O_WRONLY | O_CREAT | O_TRUNC, 0600);
		ATF_REQUIRE(info != -1);
		ATF_REQUIRE(dprintf(info, "%s", infos[i].text) >= 0);
		(void)close(info);
		gons__keep(&kept, fd[0]);
		kept.nameless = 1;
		kept.pid = infos[i].pid;
		ATF_CHECK_EQ_MSG(
		    infos[i].is, gons__is_kept(&kept), "row %zu", i);
		ATF_CHECK_EQ_MSG(
		    infos[i].seems, gons__seems_kept(&kept), "row %zu", i);
		/* Whatever it says, what has just been kept is still there. */
		gons__keep_pidfd(&kept, fd[0]);
		ATF_CHECK_MSG(gons__seems_kept(&kept), "row %zu", i);
	}
	gons__keep_proc(-1);
	(void)close(proc);
}

/* Filters may refuse either way to ask.  After both nothing has ended. */
ATF_TC_WITHOUT_HEAD(unknown_end);
ATF_TC_BODY(unknown_end, tc)
{
	static const struct rule no_poll[] = {
#ifdef SYS_poll
		{ SYS_poll, -1, 0, 0, EPERM },
#endif
		{ SYS_ppoll, -1, 0, 0, EPERM },
	};
	static const struct rule no_signal = { SYS_pidfd_send_signal, -1, 0, 0,
		EPERM };
	/* as before Linux 6.9 */
	static const struct rule no_flags = { SYS_pidfd_send_signal, 3, 1, 1,
		EINVAL };
	pid_t ended = start_child(), pid = start_child();
	int fd[2];

	need_filters();
	fd[0] = (int)syscall(SYS_pidfd_open, ended, 0);
	fd[1] = (int)syscall(SYS_pidfd_open, pid, 0);
	ATF_REQUIRE(fd[0] != -1 && fd[1] != -1);
	ATF_REQUIRE_EQ(0, kill(ended, SIGKILL));
	ATF_REQUIRE_EQ(ended, waitpid(ended, NULL, 0));
	ATF_CHECK(gons__pidfd_ended(fd[0]));
	ATF_CHECK(!gons__pidfd_ended(fd[1]));
	forbid(no_poll, sizeof(no_poll) / sizeof(*no_poll));
	forbid(&no_flags, 1);
	ATF_CHECK(gons__pidfd_ended(fd[0]));
	ATF_CHECK(!gons__pidfd_ended(fd[1]));
	forbid(&no_signal, 1);
	ATF_CHECK(!gons__pidfd_ended(fd[0]));
	ATF_CHECK_MSG(!gons__pidfd_ended(fd[1]), "took a refusal for its end");
	ATF_REQUIRE_EQ(0, kill(pid, SIGKILL));
	ATF_REQUIRE_EQ(pid, waitpid(pid, NULL, 0));
}

/*
 * Two threads may be the first to call gons_reexec_check(3).  Files below /proc
 * stay open for one of them, and for the other nothing does, whatever its number.
 * Both see the same there.
 */
static void *
other_thread(void *standing)
{
	gons__standing_keep();
	CHILD(gons__standing(standing) == 0);
	return NULL;
}

static void
views_body(void *unused)
{
	struct buf mine = { NULL, 0, 0, 0 }, theirs = { NULL, 0, 0, 0 };
	int after, before, fd;
	pthread_t thread;

	(void)unused;
	know_proc();
	for (fd = 0; fd < STDERR_FILENO; fd++)
		(void)close(fd);
	before = count_fds();
	gons__standing_keep();
	after = count_fds();
	CHILD(after > before);
	CHILD(pthread_create(&thread, NULL, other_thread, &theirs) == 0);
	CHILD(pthread_join(thread, NULL) == 0);
	CHILD(gons__standing(&mine) == 0);
	CHILD(mine.len == theirs.len);
	CHILD(memcmp(mine.p, theirs.p, mine.len) == 0);
	buf_free(&mine);
	buf_free(&theirs);
	CHILD(count_fds() == after);
	for (fd = 0; fd < STDERR_FILENO; fd++)
		CHILD(!is_open(fd));
}

ATF_TC_WITHOUT_HEAD(views);
ATF_TC_BODY(views, tc)
{
	in_child(views_body, NULL);
}

/* Where no file can be identified, /proc is not trusted. */
ATF_TC_WITHOUT_HEAD(unidentified);
ATF_TC_BODY(unidentified, tc)
{
	static const struct rule rules[] = {
		{ SYS_statx, -1, 0, 0, EPERM },
#ifdef SYS_newfstatat
		{ SYS_newfstatat, -1, 0, 0, EPERM },
#endif
#ifdef SYS_fstat64
		{ SYS_fstat64, -1, 0, 0, EPERM },
#endif
		{ SYS_fstat, -1, 0, 0, EPERM },
	};
	struct kept kept;
	int fd[2];

	need_filters();
	ATF_REQUIRE_EQ(0, pipe(fd));
	forbid(rules, sizeof(rules) / sizeof(*rules));
	know_proc();
	ATF_CHECK_EQ(-1, gons__kept_proc());
	gons__keep(&kept, fd[0]);
	ATF_CHECK(!gons__is_kept(&kept));
}

/* A flag that the kernel does not know is done without. */
ATF_TC_WITHOUT_HEAD(memory_flag);
ATF_TC_BODY(memory_flag, tc)
{
	int fd;

	ATF_CHECK((fd = gons__memory_fd("test", 0x40000000u)) > 2);
	ATF_CHECK_EQ(FD_CLOEXEC, fcntl(fd, F_GETFD));
	ATF_CHECK_EQ(0, gons__seal(fd));
	ATF_CHECK_EQ(-1, ftruncate(fd, 1));
}

struct others {
	enum closing when;
	int proc;
};

/* Two descriptors of five are kept, with gaps between all of them. */
static void
close_others_body(void *arg)
{
	const struct others *o = arg;
	int fd[5], keep[2], i;

	for (i = 0; i < 5; i++)
		CHILD((fd[i] = fcntl(STDOUT_FILENO, F_DUPFD,
			   o->proc + 10 + 2 * i)) != -1);
	keep[0] = fd[1];
	keep[1] = fd[3];
	gons__close_others(keep, 2, o->when, o->proc);
	for (i = 0; i < 5; i++)
		if (i % 2 == 1)
			CHILD(fcntl(fd[i], F_GETFD) == 0);
		else if (o->when == CLOSE_NOW)
			CHILD(!is_open(fd[i]));
		else
			CHILD(fcntl(fd[i], F_GETFD) == FD_CLOEXEC);
	for (i = 0; i < 3; i++)
		CHILD(is_open(i));
}

/* In a child: libatf may have the file of its result open. */
static void
close_others(enum closing when, int proc)
{
	struct others o = { when, proc };

	in_child(close_others_body, &o);
}

ATF_TC_WITHOUT_HEAD(at_exec);
ATF_TC_BODY(at_exec, tc)
{
	close_others(CLOSE_AT_EXEC, -1);
}

ATF_TC_WITHOUT_HEAD(now);
ATF_TC_BODY(now, tc)
{
	close_others(CLOSE_NOW, -1);
}

/* As before Linux 5.9. */
static void
no_close_range(enum closing when, int with_proc)
{
	static const struct rule rules[] = {
		{ SYS_close_range, -1, 0, 0, ENOSYS },
	};
	struct rlimit few = { 200, 200 };
	int proc = -1;

	need_filters();
	if (with_proc)
		ATF_REQUIRE((proc = open("/proc", O_RDONLY | O_DIRECTORY)) > 2);
	else
		ATF_REQUIRE_EQ(0, setrlimit(RLIMIT_NOFILE, &few));
	forbid(rules, 1);
	close_others(when, proc);
}

ATF_TC_WITHOUT_HEAD(listed);
ATF_TC_BODY(listed, tc)
{
	no_close_range(CLOSE_NOW, 1);
}

ATF_TC_WITHOUT_HEAD(listed_at_exec);
ATF_TC_BODY(listed_at_exec, tc)
{
	no_close_range(CLOSE_AT_EXEC, 1);
}

ATF_TC_WITHOUT_HEAD(counted);
ATF_TC_BODY(counted, tc)
{
	no_close_range(CLOSE_NOW, 0);
}

static void
many_listed_body(void *unused)
{
	static const struct rule rules[] = {
		{ SYS_close_range, -1, 0, 0, ENOSYS },
	};
	int i, keep = -1, proc;

	(void)unused;
	CHILD((proc = open("/proc", O_RDONLY | O_DIRECTORY)) > 2);
	for (i = 0; i < 150; i++)
		CHILD((keep = fcntl(STDOUT_FILENO, F_DUPFD, 3)) != -1);
	forbid(rules, 1);
	gons__close_others(&keep, 1, CLOSE_NOW, proc);
	for (i = 3; i < keep; i++)
		CHILD(!is_open(i));
	CHILD(is_open(keep));
}

/* One call of getdents64(2) does not bring all of these. */
ATF_TC_WITHOUT_HEAD(many_listed);
ATF_TC_BODY(many_listed, tc)
{
	need_filters();
	in_child(many_listed_body, NULL);
}

/* What a child says is read to its end, and its beginning is kept. */
ATF_TC_WITHOUT_HEAD(words);
ATF_TC_BODY(words, tc)
{
	static char text[4095];
	struct buf words = { NULL, 0, 0, 0 };
	size_t sent = 0;
	int fd[2];

	ATF_REQUIRE_EQ(0, gons__open_pipe(&fd[0], &fd[1]));
	ATF_CHECK(fd[0] > 2 && fd[1] > 2);
	ATF_CHECK(gons__read_words(fd[0], &words) == -1 && errno == EAGAIN);
	memset(text, 'x', sizeof(text));
	while (sent < STDERR_MAX + sizeof(text)) {
		ATF_REQUIRE_EQ(
		    (ssize_t)sizeof(text), write(fd[1], text, sizeof(text)));
		sent += sizeof(text);
		while (gons__read_words(fd[0], &words) > 0)
			continue;
		ATF_CHECK_EQ(sent < STDERR_MAX ? sent : STDERR_MAX, words.len);
	}
	ATF_REQUIRE_EQ(3, write(fd[1], "abc", 3));
	ATF_CHECK_EQ(3, gons__read_words(fd[0], NULL));
	ATF_REQUIRE_EQ(0, close(fd[1]));
	ATF_CHECK_EQ(0, gons__read_words(fd[0], &words));
	free(words.p);
}

/* Nobody reads any more: an errno value, and no signal that was not there. */
ATF_TC_WITHOUT_HEAD(no_reader);
ATF_TC_BODY(no_reader, tc)
{
	sigset_t pipe_set, old, now;
	int fd[2];

	ATF_REQUIRE_EQ(0, pipe(fd));
	ATF_CHECK_EQ(0, gons__write_quietly(fd[1], "x", 1));
	ATF_REQUIRE_EQ(0, close(fd[0]));
	ATF_REQUIRE_EQ(0, sigprocmask(SIG_SETMASK, NULL, &old));
	ATF_CHECK_EQ(EPIPE, gons__write_quietly(fd[1], "x", 1));
	ATF_REQUIRE_EQ(0, sigprocmask(SIG_SETMASK, NULL, &now));
	ATF_CHECK_EQ(sigismember(&old, SIGPIPE), sigismember(&now, SIGPIPE));

	ATF_REQUIRE_EQ(0, sigemptyset(&pipe_set));
	ATF_REQUIRE_EQ(0, sigaddset(&pipe_set, SIGPIPE));
	ATF_REQUIRE_EQ(0, sigprocmask(SIG_BLOCK, &pipe_set, NULL));
	ATF_CHECK_EQ(EPIPE, gons__write_quietly(fd[1], "x", 1));
	ATF_REQUIRE_EQ(0, sigpending(&now));
	ATF_CHECK_MSG(!sigismember(&now, SIGPIPE), "left a signal");
	ATF_REQUIRE_EQ(0, raise(SIGPIPE));
	ATF_CHECK_EQ(EPIPE, gons__write_quietly(fd[1], "x", 1));
	ATF_REQUIRE_EQ(0, sigpending(&now));
	ATF_CHECK_MSG(sigismember(&now, SIGPIPE), "took the host's signal");
}

struct message_bytes {
	uint32_t kind, len;
	int32_t value;
};

/* Each of two messages is there with its last byte, and not before. */
static void
read_pieces(size_t size)
{
	static const struct message_bytes sent[] = {
		{ MSG_REACHED, MESSAGE_VALUE, 1 },
		{ MSG_STATUS, MESSAGE_VALUE, 0x01020304 },
	};
	struct reader reader;
	int fd[2], r, value = 0;
	size_t at, got = 0, len;

	memset(&reader, 0, sizeof(reader));
	ATF_REQUIRE_EQ(0, gons__open_pipe(&fd[0], &fd[1]));
	ATF_CHECK_EQ(0, gons__read_message(fd[0], &reader));
	for (at = 0; at < sizeof(sent); at += len) {
		len = size < sizeof(sent) - at ? size : sizeof(sent) - at;
		ATF_REQUIRE_EQ(
		    (ssize_t)len, write(fd[1], (const char *)sent + at, len));
		while ((r = gons__read_message(fd[0], &reader)) == 1) {
			ATF_REQUIRE(got < 2);
			ATF_CHECK_EQ(sent[got].kind, reader.kind);
			ATF_CHECK(gons__reader_value(&reader, &value));
			ATF_CHECK_EQ(sent[got].value, value);
			got++;
		}
		ATF_REQUIRE_EQ_MSG(0, r, "pieces of %zu, byte %zu", size, at);
		ATF_CHECK_EQ_MSG((at + len) / sizeof(*sent), got,
		    "pieces of %zu, byte %zu", size, at);
		ATF_CHECK(gons__reader_used_up(&reader));
	}
	(void)close(fd[1]);
	ATF_CHECK_EQ(-1, gons__read_message(fd[0], &reader));
	gons__reader_free(&reader);
	(void)close(fd[0]);
}

/* Who writes into a child's pipe may write as little at a time as one byte. */
ATF_TC_WITHOUT_HEAD(pieces);
ATF_TC_BODY(pieces, tc)
{
	size_t size;

	for (size = 1; size <= 2 * sizeof(struct message_bytes); size++)
		read_pieces(size);
}

ATF_TP_ADD_TCS(tp)
{
	ATF_TP_ADD_TC(tp, another_file);
	ATF_TP_ADD_TC(tp, another_proc);
	ATF_TP_ADD_TC(tp, nameless_pidfd);
	ATF_TP_ADD_TC(tp, nameless_info);
	ATF_TP_ADD_TC(tp, unknown_end);
	ATF_TP_ADD_TC(tp, views);
	ATF_TP_ADD_TC(tp, unidentified);
	ATF_TP_ADD_TC(tp, memory_flag);
	ATF_TP_ADD_TC(tp, at_exec);
	ATF_TP_ADD_TC(tp, now);
	ATF_TP_ADD_TC(tp, listed);
	ATF_TP_ADD_TC(tp, listed_at_exec);
	ATF_TP_ADD_TC(tp, counted);
	ATF_TP_ADD_TC(tp, many_listed);
	ATF_TP_ADD_TC(tp, words);
	ATF_TP_ADD_TC(tp, no_reader);
	ATF_TP_ADD_TC(tp, pieces);
	return atf_no_error();
}
