/*
 * SPDX-License-Identifier: BSD-2-Clause
 *
 * Copyright (c) 2026 The libgons developers
 *
 * gons_reexec(3), "Prepared children": the host forks, has threads, or changes
 * after the prepared process was made: ids, capabilities, namespaces, roots,
 * descriptors and /proc.
 */

#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>

#include <atf-c.h>

#include <errno.h>
#include <fcntl.h>
#include <grp.h>
#include <pthread.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <gons.h>

#include "helpers.h"
#include "prepared.h"

#define THREADS 8

CASE(forked, "a forked copy of the host has one of its own")
{
	pid_t pid = prepared_pid(), copy;
	int fds = count_fds(), status;

	if ((copy = fork()) == 0) {
		CHILD(atoi(result("parent")) != pid);
		CHILD(count_fds() == fds); /* not those of both */
		_exit(0);
	}
	CHILD(waitpid(copy, &status, 0) == copy && status == 0);
	CHILD(atoi(result("parent")) == pid);
}

/* The pipes among the descriptors, by their inodes; 0: it is none. */
static void
look_at_pipes(ino_t *pipes, int n)
{
	struct stat st;
	int fd;

	for (fd = 0; fd < n; fd++)
		pipes[fd] =
		    fstat(fd, &st) == 0 && S_ISFIFO(st.st_mode) ? st.st_ino : 0;
}

CASE(forked_early, "the copy closes what it has of a process in the making")
{
	enum {
		N = 256
	};
	struct gons_multi *multi = gons_multi_new(1);
	struct gons_reexec *req = request("parent", 0);
	ino_t after[N], before[N], now[N];
	int fd, status;
	pid_t copy;

	CHILD(multi != NULL);
	look_at_pipes(before, N);
	for (;;) {
		CHILD(gons_multi_add(multi, req) == 0);
		CHILD(gons_multi_next(multi, 0) == NULL);
		look_at_pipes(after, N);
		if (memcmp(before, after, sizeof(before)) != 0)
			break;
		/* this thread had to wait, and the process is made */
		CHILD(gons_multi_next(multi, -1) == req);
		gons_reexec_unprepare();
	}
	if ((copy = fork()) == 0) {
		CHILD(gons_reexec_prepare() == 0);
		look_at_pipes(now, N);
		for (fd = 0; fd < N; fd++)
			CHILD(after[fd] == before[fd] || now[fd] != after[fd]);
		_exit(0);
	}
	CHILD(waitpid(copy, &status, 0) == copy && status == 0);
	gons_multi_free(multi);
	gons_reexec_free(req);
}

CASE(flags, "together with other flags")
{
	CHILD(strcmp(run_flags("nested", GONS_REEXEC_SEALED), "1 1") == 0);
	CHILD(strcmp(run_flags("nested", GONS_REEXEC_DIE_WITH_PARENT), "1 1") ==
	      0);
	CHILD(strcmp(run_flags("nested",
			 GONS_REEXEC_SEALED | GONS_REEXEC_DIE_WITH_PARENT),
		  "1 1") == 0);
}

static void *
thread(void *unused)
{
	int i;

	for (i = 0; i < 10; i++)
		CHILD(strcmp(result("nested"), "1 1") == 0);
	return unused;
}

CASE(threads, "from several threads")
{
	pthread_t t[THREADS];
	int i;

	for (i = 0; i < THREADS; i++)
		CHILD(pthread_create(&t[i], NULL, thread, NULL) == 0);
	for (i = 0; i < THREADS; i++)
		CHILD(pthread_join(t[i], NULL) == 0);
}

/* What the host has given up, its actions do not have. */
static void
gives_up(void (*how)(void))
{
	pid_t pid;

	if (getuid() != 0)
		sandbox(0);
	pid = prepared_pid();
	how();
	CHILD(atoi(result("parent")) != pid);
	works();
	works();
}

static void
give_up_bounding(void)
{
	CHILD(prctl(PR_CAPBSET_DROP, 0, 0, 0, 0) == 0);
}

static void
give_up_caps(void)
{
	unsigned head[2] = { 0x20080522, 0 }, caps[6] = { 0 };

	CHILD(syscall(SYS_capset, head, caps) == 0);
}

static void
give_up_bits(void)
{
	CHILD(prctl(PR_SET_SECUREBITS, 1 << 2, 0, 0, 0) == 0);
}

static void
change_uts(void)
{
	CHILD(unshare(CLONE_NEWUTS) == 0);
}

static void
give_up_groups(void)
{
	gid_t group = 1;

	CHILD(setgroups(1, &group) == 0);
}

CASE(bounding, "the host drops a capability from its bounding set")
{
	gives_up(give_up_bounding);
}

CASE(capabilities, "the host drops its capabilities")
{
	gives_up(give_up_caps);
}

CASE(securebits, "the host changes its securebits")
{
	gives_up(give_up_bits);
}

CASE(uts, "the host goes to another namespace")
{
	gives_up(change_uts);
}

/* What the library keeps open it does with the first request. */
CASE(no_stdin, "the host has closed its standard input")
{
	int fds;

	CHILD(close(STDIN_FILENO) == 0);
	(void)result("parent");
	CHILD(open("/dev/null", O_RDONLY) == STDIN_FILENO);
	fds = count_fds();
	(void)result("parent");
	CHILD(count_fds() == fds);
}

CASE(descriptor_table, "attributes that are no privileges may change")
{
	pid_t pid = prepared_pid();

	CHILD(dup2(STDIN_FILENO, 700) == 700);
	CHILD(atoi(result("parent")) == pid);
}

/* Closes the descriptor of /proc that gons_reexec_check() has left. */
static void
lose_proc(void)
{
	char link[64], name[64];
	int fd, lost = 0;
	ssize_t n;

	for (fd = 3; fd < 1024; fd++) {
		(void)snprintf(link, sizeof(link), "/proc/self/fd/%d", fd);
		n = readlink(link, name, sizeof(name) - 1);
		name[n > 0 ? n : 0] = '\0';
		if (strcmp(name, "/proc") == 0)
			lost += close(fd) == 0;
	}
	CHILD(lost == 1);
}

CASE(no_proc, "all that can be known without /proc is compared")
{
	pid_t pid;

	sandbox(0);
	lose_proc();
	CHILD(signal(SIGUSR1, SIG_IGN) != SIG_ERR);
	if (!SANITIZER) /* see need_no_proc() */
		CHILD(strcmp(fresh("ignores"), "0") == 0);
	pid = prepared_pid();
	CHILD(atoi(result("parent")) == pid);
	CHILD(strcmp(result("ignores"), "0") == 0);
	give_up_bounding();
	CHILD(atoi(result("parent")) != pid);
	pid = prepared_pid();
	give_up_caps();
	CHILD(atoi(result("parent")) != pid);
}

/* Then there is only to close what there may be, one by one. */
CASE_IF(no_list, "descriptors are closed with neither /proc nor close_range(2)",
    (void)0, need_no_proc())
{
	static const struct rule rule = { SYS_close_range, -1, 0, 0, ENOSYS };
	const char *before = fresh("held");
	int i;

	lose_proc();
	for (i = 0; i < 5; i++)
		CHILD(fcntl(STDIN_FILENO, F_DUPFD, 50 + 100 * i) != -1);
	forbid(&rule, 1);
	CHILD(strcmp(before, fresh("held")) == 0);
	CHILD(strcmp(before, result("held")) == 0);
}

CASE_ROOT(no_proc_groups, "groups and ambient capabilities, too")
{
	enum {
		NET_BIND = 10
	};
	unsigned head[2] = { 0x20080522, 0 }, caps[6];
	gid_t group[] = { 1, 2 };
	pid_t pid;

	lose_proc();
	CHILD(setgroups(2, group) == 0);
	CHILD(syscall(SYS_capget, head, caps) == 0);
	caps[2] |= 1u << NET_BIND;
	CHILD(syscall(SYS_capset, head, caps) == 0);
	CHILD(prctl(PR_CAP_AMBIENT, PR_CAP_AMBIENT_RAISE, NET_BIND, 0, 0) == 0);
	pid = prepared_pid();
	CHILD(atoi(result("parent")) == pid);
	CHILD(prctl(PR_CAP_AMBIENT, PR_CAP_AMBIENT_LOWER, NET_BIND, 0, 0) == 0);
	CHILD(atoi(result("parent")) != pid);
	pid = prepared_pid();
	group[1] = 3;
	CHILD(setgroups(2, group) == 0);
	CHILD(atoi(result("parent")) != pid);
	pid = prepared_pid();
	CHILD(atoi(result("parent")) == pid);
}

static void
give_up_saved_group(void)
{
	CHILD(setresgid((gid_t)-1, (gid_t)-1, 1) == 0);
}

static void
give_up_saved_user(void)
{
	CHILD(setresuid((uid_t)-1, (uid_t)-1, 1) == 0);
}

static void
leave_session(void)
{
	CHILD(setsid() != -1);
}

static void
give_up_privs(void)
{
	CHILD(prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) == 0);
}

CASE_ROOT(no_proc_ids, "and user and group, session and no_new_privs")
{
	static void (*const changes[])(void) = { give_up_saved_group,
		give_up_saved_user, leave_session, give_up_privs };
	pid_t pid;
	size_t i;

	lose_proc();
	for (i = 0; i < sizeof(changes) / sizeof(*changes); i++) {
		pid = prepared_pid();
		CHILD(atoi(result("parent")) == pid);
		changes[i]();
		CHILD(atoi(result("parent")) != pid);
	}
}

CASE_ROOT(ids, "the host becomes an ordinary user")
{
	gives_up(drop_to_nobody);
}

CASE_ROOT(other_root, "the host has a root without /proc")
{
	struct gons_reexec *req;
	pid_t pid = prepared_pid();

	CHILD(mkdir("bare", 0755) == 0);
	CHILD(chroot("bare") == 0 && chdir("/") == 0);
	CHILD(atoi(result("parent")) == pid);
	/* Where nothing can be executed: not at all, rather than as root. */
	drop_to_nobody();
	req = gons_reexec_new("parent");
	CHILD(gons_reexec_setflags(req, GONS_REEXEC_PREPARED) == 0);
	CHILD(gons_reexec_run(req) == -1 ||
	      atoi(gons_reexec_result(req, NULL)) != pid);
	gons_reexec_free(req);
}

CASE_ROOT(groups, "the host changes its groups")
{
	gives_up(give_up_groups);
}

ATF_TP_ADD_TCS(tp)
{
	ATF_TP_ADD_TC(tp, forked);
	ATF_TP_ADD_TC(tp, forked_early);
	ATF_TP_ADD_TC(tp, flags);
	ATF_TP_ADD_TC(tp, threads);
	ATF_TP_ADD_TC(tp, bounding);
	ATF_TP_ADD_TC(tp, capabilities);
	ATF_TP_ADD_TC(tp, securebits);
	ATF_TP_ADD_TC(tp, uts);
	ATF_TP_ADD_TC(tp, no_stdin);
	ATF_TP_ADD_TC(tp, descriptor_table);
	ATF_TP_ADD_TC(tp, no_proc);
	ATF_TP_ADD_TC(tp, no_list);
	ATF_TP_ADD_TC(tp, no_proc_groups);
	ATF_TP_ADD_TC(tp, no_proc_ids);
	ATF_TP_ADD_TC(tp, ids);
	ATF_TP_ADD_TC(tp, groups);
	ATF_TP_ADD_TC(tp, other_root);
	return atf_no_error();
}
