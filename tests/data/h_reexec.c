/*
 * SPDX-License-Identifier: BSD-2-Clause
 *
 * Copyright (c) 2026 The libgons developers
 *
 * h_reexec how [argument]: a program with actions, for tests that link and
 * start programs in their own ways.  It prints "ok" if all went well.
 *
 *	all [times]	runs all kinds of requests, good and bad
 *	fresh		the same, without prepared children
 *	delete FILE	removes its own file before it runs some
 *	replace FILE	replaces it by another
 *	chroot DIR	goes there before
 *	env		prints what variables a child has, and this process
 *	runaction	calls gons_reexec_runaction(3) in place of _check(3)
 */

#include <sys/stat.h>
#include <sys/wait.h>

#include <err.h>
#include <errno.h>
#include <fcntl.h>
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <gons.h>

#define EXIT_SKIP 77
#define WANT(cond)                                                       \
	do {                                                             \
		if (!(cond))                                             \
			errx(1, "line %d: not %s (%s)", __LINE__, #cond, \
			    strerror(errno));                            \
	} while (0)

/* The thread sanitizer's gives each forked process a thread: that joins none. */
#ifdef __SANITIZE_THREAD__
#define NO_REF(flags) ((flags) != 0 ? EINVAL : ENOENT)
#else
#define NO_REF(flags) ENOENT
#endif

extern char **environ;

static unsigned flags;

static int
answer(void)
{
	printf("42");
	return 0;
}

static int
echo(void)
{
	int c;

	while ((c = getchar()) != EOF)
		putchar(c);
	return 0;
}

static int
fail(void)
{
	fprintf(stderr, "what a pity\n");
	return 3;
}

static int
reply(void)
{
	return gons_reexec_reply("yes", 3) == 0 ? 0 : 1;
}

static int
hang(void)
{
	printf("begun");
	fflush(stdout);
	for (;;)
		(void)pause();
}

static int
list(void)
{
	char **e;

	for (e = environ; *e != NULL; e++)
		if (strncmp(*e, "gons_", 5) == 0 || strncmp(*e, "RX_", 3) == 0)
			printf("%s\n", *e);
	return 0;
}

static const struct {
	const char *name;
	int (*function)(void);
} actions[] = { { "answer", answer }, { "echo", echo }, { "fail", fail },
	{ "reply", reply }, { "hang", hang }, { "list", list } };

static struct gons_reexec *
request(const char *name, unsigned more)
{
	struct gons_reexec *req = gons_reexec_new(name);

	WANT(req != NULL);
	WANT(gons_reexec_setflags(req, flags | more) == 0);
	return req;
}

static void
run_good(void)
{
	struct gons_reexec *req = request("answer", 0);

	if (gons_reexec_run(req) == -1)
		errx(1, "%s", gons_reexec_error(req));
	WANT(strcmp(gons_reexec_result(req, NULL), "42") == 0);
	gons_reexec_free(req);
	req = request("echo", 0);
	WANT(gons_reexec_param(req, "hello", 5) == 0);
	WANT(gons_reexec_setenv(req, "A", "b") == 0);
	WANT(gons_reexec_setenv(req, "A", "c") == 0);
	WANT(gons_reexec_setorder(req, "auto") == 0);
	WANT(gons_reexec_setorder(req, "!net") == 0);
	if (gons_reexec_run(req) == -1 || gons_reexec_run(req) == -1)
		errx(1, "%s", gons_reexec_error(req));
	WANT(strcmp(gons_reexec_result(req, NULL), "hello") == 0);
	gons_reexec_free(req);
	req = request("reply", GONS_REEXEC_REPLY);
	WANT(gons_reexec_run(req) == 0);
	WANT(strcmp(gons_reexec_result(req, NULL), "yes") == 0);
	gons_reexec_free(req);
}

static void
run_bad(void)
{
	struct gons_reexec *req = request("fail", 0);

	WANT(gons_reexec_run(req) == -1 && errno == EIO);
	WANT(strstr(gons_reexec_error(req), "what a pity") != NULL);
	WANT(gons_reexec_setgrace(req, -1) == -1);
	WANT(gons_reexec_namespace(req, "net", "/no/such/ns") == 0);
	WANT(gons_reexec_run(req) == -1 && errno == NO_REF(flags));
	gons_reexec_free(req);
	req = request("nobody", 0);
	WANT(gons_reexec_run(req) == -1 && errno == ENOENT);
	gons_reexec_free(req);
	req = request("hang", 0);
	WANT(gons_reexec_settimeout(req, 50) == 0);
	WANT(gons_reexec_run(req) == -1 && errno == ETIMEDOUT);
	WANT(gons_reexec_start(req) == 0);
	gons_reexec_free(req);
	req = request("echo", 0);
	WANT(gons_reexec_param(req, "hello", 5) == 0);
	WANT(gons_reexec_setmaxresult(req, 2) == 0);
	WANT(gons_reexec_run(req) == -1 && errno == EMSGSIZE);
	gons_reexec_free(req);
}

static void
run_all(void)
{
	run_good();
	run_bad();
	WANT(waitpid(-1, NULL, WNOHANG) == -1 && errno == ECHILD);
}

static void
print_env(void)
{
	struct gons_reexec *req = request("list", 0);

	WANT(gons_reexec_setenv(req, "RX_SET", "by request") == 0);
	WANT(gons_reexec_run(req) == 0);
	printf("%s", (const char *)gons_reexec_result(req, NULL));
	gons_reexec_free(req);
	printf("in the parent\n");
	fflush(stdout);
	(void)list();
	printf("status %s\n", gons_status() != NULL ? gons_status() : "-");
}

static void
prepare(const char *how, const char *arg)
{
	int fd;

	if (strcmp(how, "delete") == 0)
		WANT(unlink(arg) == 0);
	if (strcmp(how, "replace") == 0) {
		WANT((fd = open("other", O_WRONLY | O_CREAT, 0700)) != -1);
		WANT(write(fd, "#!/bin/false\n", 13) == 13 && close(fd) == 0);
		WANT(rename("other", arg) == 0);
	}
	if (strcmp(how, "chroot") == 0) {
		if (geteuid() != 0 && unshare(CLONE_NEWUSER) == -1)
			exit(EXIT_SKIP);
		WANT(chroot(arg) == 0 && chdir("/") == 0);
	}
}

int
main(int argc, char *argv[])
{
	const char *how = argc > 1 ? argv[1] : "all";
	int status = 99, times = 1;
	size_t i;

	for (i = 0; i < sizeof(actions) / sizeof(actions[0]); i++)
		WANT(gons_reexec_register(
			 actions[i].name, actions[i].function) == 0);
	/* the child has no arguments: a variable tells it */
	if (getenv("RX_RUNACTION") != NULL) {
		if (gons_reexec_runaction(&status) == 1) {
			printf(" and %d", status);
			return status;
		}
		WANT(status == 99);
		WANT(gons_reexec_runaction(NULL) == 0);
	} else
		gons_reexec_check();
	if (strcmp(how, "runaction") == 0) {
		struct gons_reexec *req = request("answer", 0);

		WANT(gons_reexec_run(req) == 0);
		WANT(strcmp(gons_reexec_result(req, NULL), "42 and 0") == 0);
		gons_reexec_free(req);
		req = request("fail", GONS_REEXEC_STDERR_PASS);
		WANT(gons_reexec_run(req) == -1);
		WANT(gons_reexec_failure(req) == GONS_FAIL_EXIT);
		WANT(strcmp(gons_reexec_result(req, NULL), " and 3") == 0);
		gons_reexec_free(req);
	} else if (strcmp(how, "env") == 0) {
		print_env();
	} else {
		if (strcmp(how, "all") != 0 && argc > 2)
			prepare(how, argv[2]);
		else if (argc > 2)
			times = atoi(argv[2]);
		while (times-- > 0)
			run_all();
		flags = GONS_REEXEC_PREPARED;
		if (strcmp(how, "all") == 0)
			run_all();
	}
	printf("ok\n");
	return 0;
}
