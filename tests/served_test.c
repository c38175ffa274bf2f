/*
 * SPDX-License-Identifier: BSD-2-Clause
 *
 * Copyright (c) 2026 The libgons developers
 *
 * gons_reexec_check(3): start-up has joined a mount namespace, or the program
 * has privileges of its own, so that a copy of it serves its children.  What
 * that copy keeps of the user's surroundings, and that there is none which
 * could not be set up.
 */

#include <sys/auxv.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/sendfile.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>

#include <atf-c.h>

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <gons.h>

#include "helpers.h"

#ifndef F_ADD_SEALS
#define F_ADD_SEALS 1033
#define F_GET_SEALS 1034
#define F_SEAL_WRITE 8
#endif

#define NOT_SECURE 3 /* exit status */

/* Which signals are ignored, and if standard input can be written to. */
static int
see(void)
{
	char line[256];
	unsigned long long ignored = 1;
	FILE *f = fopen("/proc/self/status", "re");

	while (f != NULL && fgets(line, sizeof(line), f) != NULL)
		if (sscanf(line, "SigIgn: %llx", &ignored) == 1)
			break;
	printf("ignores %llx, sealed %d", ignored,
	    (fcntl(STDIN_FILENO, F_GET_SEALS) & F_SEAL_WRITE) != 0);
	return 0;
}

/* What the user of a program with privileges has, and this process is not to. */
static int
see_user(void)
{
	const char *theirs = getenv("THEIRS"), *ours = getenv("OURS");
	char cwd[4096];
	mode_t mask = umask(0);

	printf("cwd %s, umask %o, dumpable %d, THEIRS %s, OURS %s",
	    getcwd(cwd, sizeof(cwd)), (unsigned)mask,
	    prctl(PR_GET_DUMPABLE, 0, 0, 0, 0), theirs != NULL ? theirs : "-",
	    ours != NULL ? ours : "-");
	return 0;
}

/* Its children are not executed, so that no arguments would reach them. */
static void
args_are_refused(void)
{
	char arg[] = "other", *argv[] = { arg, NULL };

	errno = 0;
	CHILD(gons_reexec_setargs(argv) == -1 && errno == EPERM);
}

/* As another user's, with privileges of its own. */
static void
secure_host(void)
{
	struct gons_reexec *req = gons_reexec_new("see_user");

	if (getauxval(AT_SECURE) == 0)
		_exit(NOT_SECURE);
	args_are_refused();
	CHILD(req != NULL && gons_reexec_setenv(req, "OURS", "yes") == 0);
	if (gons_reexec_run(req) == -1)
		fprintf(stderr, "%s\n", gons_reexec_error(req));
	CHILD(gons_reexec_failure(req) == GONS_FAIL_NONE);
	fprintf(stderr, "%s\n", (const char *)gons_reexec_result(req, NULL));
	CHILD(strcmp(gons_reexec_result(req, NULL),
		  "cwd /, umask 77, dumpable 0, THEIRS -, OURS yes") == 0);
	gons_reexec_free(req);
	_exit(0);
}

/* Nor is a copy of it, if it cannot be executed at all. */
static void
sealed_is_refused(struct gons_reexec *req)
{
	if (getauxval(AT_BASE) == 0)
		return;
	CHILD(gons_reexec_setflags(req, GONS_REEXEC_SEALED) == 0);
	CHILD(gons_reexec_run(req) == -1 && errno == ENOTSUP);
	fprintf(stderr, "%s\n", gons_reexec_error(req));
	CHILD(gons_reexec_failure(req) == GONS_FAIL_START);
	CHILD(strstr(gons_reexec_error(req), "no sealed copy") != NULL);
}

/* A pipe that this process opens before it calls gons_reexec_check(3). */
static int early[2];

/* The server, which lives on, does not hold it open. */
static void
early_is_ours(void)
{
	struct pollfd p;

	CHILD(close(early[1]) == 0);
	p.fd = early[0];
	p.events = POLLIN;
	CHILD(poll(&p, 1, 10000) == 1 && p.revents == POLLHUP);
}

static const char unchecked[] = "gons_reexec_check() failed: ";

static void
host(const char *what)
{
	struct gons_reexec *req = gons_reexec_new("see");
	struct rlimit few, limit;
	int errnum;

	CHILD(gons_status() == NULL);
	CHILD((gons_status_joined() & GONS_BIT(GONS_MNT)) != 0);
	CHILD(req != NULL);
	if (getauxval(AT_BASE) != 0 && strcmp(what, unchecked) != 0)
		args_are_refused();
	if (strcmp(what, "few") == 0) {
		CHILD(getrlimit(RLIMIT_NOFILE, &limit) == 0);
		few = limit;
		(void)usleep(300000); /* the server has told who it is */
		for (few.rlim_cur = 3; few.rlim_cur < 16; few.rlim_cur++) {
			CHILD(setrlimit(RLIMIT_NOFILE, &few) == 0);
			if (gons_reexec_run(req) == -1)
				CHILD(errno == EMFILE);
		}
		CHILD(setrlimit(RLIMIT_NOFILE, &limit) == 0);
		CHILD(gons_reexec_run(req) == 0);
	} else if (strcmp(what, "runs") == 0) {
		if (gons_reexec_run(req) == -1)
			fprintf(stderr, "%s\n", gons_reexec_error(req));
		CHILD(gons_reexec_failure(req) == GONS_FAIL_NONE);
		fprintf(stderr, "%s\n",
		    (const char *)gons_reexec_result(req, NULL));
		CHILD(strcmp(gons_reexec_result(req, NULL),
			  "ignores 0, sealed 1") == 0);
		early_is_ours();
		sealed_is_refused(req);
	} else {
		errnum = strcmp(what, unchecked) == 0 ? ENOMEM : EPERM;
		CHILD(gons_reexec_run(req) == -1 && errno == errnum);
		fprintf(stderr, "%s\n", gons_reexec_error(req));
		CHILD(gons_reexec_failure(req) == GONS_FAIL_START);
		/* nobody serves, and nothing is executed instead */
		CHILD(strstr(gons_reexec_error(req), what) != NULL);
	}
	gons_reexec_free(req);
	_exit(0);
}

__attribute__((constructor)) static void
check(void)
{
	const char *what = getenv("SERVED");
	char name[] = "served_test", *args[] = { name, NULL };

	if (gons_reexec_register("see", see) == -1 ||
	    gons_reexec_register("see_user", see_user) == -1)
		abort();
	if (what != NULL && strcmp(what, "secure") == 0)
		(void)gons_reexec_allowsecure();
	if (getenv("NO_MEMORY") != NULL) {
		if (strcmp(getenv("NO_MEMORY"), "") == 0)
			CHILD(gons_reexec_setargs(args) == 0);
		take_memory();
	}
	if (what != NULL && strcmp(what, "runs") == 0)
		CHILD(pipe2(early, O_CLOEXEC) == 0);
	gons_reexec_check();
	if (getenv("NO_MEMORY") != NULL)
		give_memory();
	if (what != NULL && strcmp(what, "secure") == 0)
		secure_host();
	else if (what != NULL)
		host(what);
}

/* This program once more, where start-up joins that mount namespace. */
struct again {
	const char *what, *ref;
	void (*before)(void);
};

static void
execute(void *arg)
{
	const struct again *again = arg;

	CHILD(setenv("SERVED", again->what, 1) == 0);
	CHILD(setenv("gons_mnt", again->ref, 1) == 0);
	CHILD(setenv("GONS_COVERAGE", "0", 1) == 0);
	again->before();
	(void)execl("/proc/self/exe", "served_test", NULL);
	CHILD(!"execl");
}

static void
serve(const char *what, void (*before)(void))
{
	struct again again = { what, NULL, before };
	struct target t;

	sandbox(0);
	target_start(&t, CLONE_NEWNS, 0);
	again.ref = t.refs[GONS_MNT];
	in_child(execute, &again);
	target_stop(&t);
}

/* Libc's own, too, by which no function of libc helps. */
static void
ignore_signals(void)
{
	unsigned long action[16] = { 1 }; /* SIG_IGN */
	int signo;

	CHILD(signal(SIGUSR1, SIG_IGN) != SIG_ERR);
	CHILD(signal(SIGPIPE, SIG_IGN) != SIG_ERR);
	for (signo = 32; signo < 34; signo++)
		CHILD(syscall(SYS_rt_sigaction, signo, action, NULL,
			  (size_t)(_NSIG - 1) / 8) == 0);
}

ATF_TC_WITHOUT_HEAD(surroundings);
ATF_TC_BODY(surroundings, tc)
{
	(void)tc;
	serve("runs", ignore_signals);
}

static void
refuse_nothing(void)
{
}

/* The only server that there is survives that, and the host is told. */
ATF_TC_WITHOUT_HEAD(few_descriptors);
ATF_TC_BODY(few_descriptors, tc)
{
	(void)tc;
	serve("few", refuse_nothing);
}

static void
refuse_seals(void)
{
	static const struct rule rule = { SYS_fcntl, 1, ~0u, F_ADD_SEALS,
		EPERM };

	forbid(&rule, 1);
}

/* All its children would have a file in common that each can write to. */
ATF_TC_WITHOUT_HEAD(no_seals);
ATF_TC_BODY(no_seals, tc)
{
	(void)tc;
	need_filters();
	if (getauxval(AT_BASE) == 0)
		atf_tc_skip("a static program is executed, not served");
	serve("another root", refuse_seals);
}

static void
refuse_pidfds(void)
{
	static const struct rule rule = { SYS_pidfd_open, -1, 0, 0, ENOSYS };

	forbid(&rule, 1);
}

static void
refuse_sockets(void)
{
	static const struct rule rule = { SYS_socketpair, -1, 0, 0, EPERM };

	forbid(&rule, 1);
}

/* It would not learn that its host has ended, or what the host wants. */
ATF_TC_WITHOUT_HEAD(no_bonds);
ATF_TC_BODY(no_bonds, tc)
{
	static const char text[] =
	    "no process could be forked in gons_reexec_check()";

	(void)tc;
	need_filters();
	if (getauxval(AT_BASE) == 0)
		atf_tc_skip("a static program is executed, not served");
	serve(text, refuse_pidfds);
	serve(text, refuse_sockets);
}

static void
refuse_memory(void)
{
	CHILD(setenv("NO_MEMORY", "", 1) == 0);
}

/* Not even for the arguments. */
static void
refuse_memory_at_all(void)
{
	CHILD(setenv("NO_MEMORY", "args", 1) == 0);
}

ATF_TC_WITHOUT_HEAD(no_memory);
ATF_TC_BODY(no_memory, tc)
{
	(void)tc;
	if (SANITIZER)
		atf_tc_skip("the sanitizer needs memory, too");
	if (getauxval(AT_BASE) == 0)
		atf_tc_skip("a static program is executed, not served");
	serve(
	    "no process could be forked in gons_reexec_check()", refuse_memory);
	serve(unchecked, refuse_memory_at_all);
}

/* Set-user-ID; its user has the working directory, wherever that is. */
static void
copy_program(void)
{
	int from = open("/proc/self/exe", O_RDONLY | O_CLOEXEC), to;
	struct stat st;
	off_t at = 0;

	ATF_REQUIRE(from != -1 && fstat(from, &st) == 0);
	to = open("served", O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0700);
	ATF_REQUIRE(to != -1);
	while (at < st.st_size)
		ATF_REQUIRE(
		    sendfile(to, from, &at, (size_t)(st.st_size - at)) > 0);
	ATF_REQUIRE(fchmod(to, 04755) == 0 && chmod(".", 0755) == 0);
	(void)close(to);
	(void)close(from);
}

static void
execute_as_nobody(void)
{
	char arg[] = "served", *argv[] = { arg, NULL };
	char what[] = "SERVED=secure", theirs[] = "THEIRS=x";
	char *env[] = { what, theirs, NULL };

	drop_to_nobody();
	(void)umask(0);
	(void)execve("./served", argv, env);
	CHILD(!"execve");
}

ATF_TC(secure);
ATF_TC_HEAD(secure, tc)
{
	atf_tc_set_md_var(tc, "descr", "so does one of a set-user-ID program");
	atf_tc_set_md_var(tc, "require.user", "root");
}
ATF_TC_BODY(secure, tc)
{
	int status;
	pid_t pid;

	(void)tc;
	need_nobody();
	if (SANITIZER)
		atf_tc_skip("a sanitizer's run time asks its user");
	copy_program();
	ATF_REQUIRE((pid = fork()) != -1);
	if (pid == 0)
		execute_as_nobody();
	ATF_REQUIRE_EQ(pid, waitpid(pid, &status, 0));
	if (WIFEXITED(status) && WEXITSTATUS(status) == NOT_SECURE)
		atf_tc_skip("no privileges from files here: nosuid?");
	ATF_CHECK_EQ_MSG(0, status, "status %#x", status);
}

ATF_TP_ADD_TCS(tp)
{
	ATF_TP_ADD_TC(tp, secure);
	ATF_TP_ADD_TC(tp, few_descriptors);
	ATF_TP_ADD_TC(tp, surroundings);
	ATF_TP_ADD_TC(tp, no_seals);
	ATF_TP_ADD_TC(tp, no_bonds);
	ATF_TP_ADD_TC(tp, no_memory);
	return atf_no_error();
}
