/*
 * SPDX-License-Identifier: BSD-2-Clause
 *
 * Copyright (c) 2026 The libgons developers
 *
 * Actions in a test program, whose main function belongs to ATF: a constructor
 * registers them.  See gons_reexec(3).
 *
 *	cc -o atf atf.c $(pkg-config --cflags --libs gons atf-c)
 *	./atf hostname
 */

#define _GNU_SOURCE 1

#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include <atf-c.h>
#include <gons.h>

/* The action: runs in a child, in another uts namespace. */
static int
print_hostname(void)
{
	char name[256];

	if (gethostname(name, sizeof(name)) == -1)
		return 1;
	printf("%s", name);
	return 0;
}

/* Comes before main; in a child it does not return. */
__attribute__((constructor)) static void
prepare(void)
{
	if (gons_reexec_register("hostname", print_hostname) == 0)
		gons_reexec_check();
}

/* A process in namespaces of its own, and -1 if there may be none. */
static pid_t
make_target(void)
{
	pid_t pid;
	int fds[2];
	char c;

	ATF_REQUIRE(pipe(fds) == 0);
	if ((pid = fork()) == 0) {
		close(fds[0]);
		if (unshare(CLONE_NEWUSER | CLONE_NEWUTS) == 0 &&
		    sethostname("elsewhere", 9) == 0 &&
		    write(fds[1], "", 1) == 1)
			pause();
		_exit(1);
	}
	close(fds[1]);
	if (read(fds[0], &c, 1) != 1)
		pid = -1;
	close(fds[0]);
	return pid;
}

ATF_TC_WITHOUT_HEAD(hostname);
ATF_TC_BODY(hostname, tc)
{
	struct gons_reexec *req;
	const char *name;
	char user[64], uts[64];
	pid_t pid;

	(void)tc;
	if ((pid = make_target()) == -1)
		atf_tc_skip("user namespaces are not allowed here");
	snprintf(user, sizeof(user), "/proc/%d/ns/user", (int)pid);
	snprintf(uts, sizeof(uts), "/proc/%d/ns/uts", (int)pid);

	ATF_REQUIRE((req = gons_reexec_new("hostname")) != NULL);
	ATF_REQUIRE(gons_reexec_namespace(req, "!user", user) == 0);
	ATF_REQUIRE(gons_reexec_namespace(req, "!uts", uts) == 0);
	ATF_REQUIRE_MSG(
	    gons_reexec_run(req) == 0, "%s", gons_reexec_error(req));
	name = gons_reexec_result(req, NULL);
	ATF_CHECK_STREQ("elsewhere", name);
	gons_reexec_free(req);
	kill(pid, SIGKILL);
}

ATF_TP_ADD_TCS(tp)
{
	ATF_TP_ADD_TC(tp, hostname);
	return atf_no_error();
}
