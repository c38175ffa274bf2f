/*
 * SPDX-License-Identifier: BSD-2-Clause
 *
 * Copyright (c) 2026 The libgons developers
 *
 * A program whose children's coverage is to be counted: it uses the glue of
 * covmerge.o as reexec.o does, and nothing else of the library.  The tests
 * build it instrumented.  In the parent's place:
 *
 *	covglue CHILDREN WHAT [ARGUMENT]
 *
 * Each child goes where WHAT says, runs the action, and exits; with "fork" they
 * are forks of one child.  The exit status of the parent is that of the last
 * child, a signal as 128 + N.  The parent looks at variables of its own:
 *
 *	COVGLUE_ROOT	a foreign root, which it is in while children run
 *	COVGLUE_QUIT	it ends without writing what it has counted itself
 *
 * Compiled with COVGLUE_LATE, the parent loads the shared library after it has
 * looked for what counts, and the child when it begins.
 */

#include <sys/mount.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>

#ifdef COVGLUE_LATE
#include <dlfcn.h>
#endif
#include <fcntl.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "internal.h"

#ifdef COVGLUE_LATE
static int (*covglue_lib)(void);
#elif defined(COVGLUE_LIB)
int covglue_lib(void);
#endif

extern char **environ;

static int home = -1; /* the root to return to */

#ifdef VICTIM
/* The test gives these sections the names of clang's. */
static int64_t victim[4] __attribute__((section("victims"), used));
static const char victim_names[] __attribute__((section("victimn"), used)) =
    "victim";
#endif

static void
need(int good, const char *what)
{
	if (!good) {
		perror(what);
		_exit(99);
	}
}

static void
load(void)
{
#ifdef COVGLUE_LATE
	void *lib = dlopen("libx.so", RTLD_NOW);

	need(lib != NULL, "libx.so");
	*(void **)&covglue_lib = dlsym(lib, "covglue_lib");
	need(covglue_lib != NULL, "covglue_lib");
#endif
}

static void
action(void)
{
	char line[16];

	(void)snprintf(line, sizeof(line), "child"); /* COUNT-ACTION */
#ifdef VICTIM
	victim[0] = 5;
#endif
#ifdef COVGLUE_LIB
	(void)covglue_lib();
#endif
}

static void
new_mounts(void)
{
	need(unshare(CLONE_NEWNS | (geteuid() != 0 ? CLONE_NEWUSER : 0)) == 0,
	    "unshare");
	need(mount("none", "/", NULL, MS_REC | MS_PRIVATE, NULL) == 0,
	    "private");
}

/* Those who are executed there, too, are to leave. */
static void
be_root(void)
{
	unsigned uid = geteuid();
	int fd;

	if (uid == 0)
		return;
	need(unshare(CLONE_NEWUSER) == 0, "unshare");
	need((fd = open("/proc/self/uid_map", O_WRONLY | O_CLOEXEC)) >= 0 &&
		 dprintf(fd, "0 %u 1", uid) > 0,
	    "uid_map");
	(void)close(fd);
}

/* To a foreign root, or back from there. */
static void
leave(const char *root)
{
	be_root();
	need((home = open("/", O_PATH | O_CLOEXEC)) >= 0, "/");
	need(chroot(root) == 0 && chdir("/") == 0, root);
}

static void
come_back(void)
{
	if (home >= 0)
		need(fchdir(home) == 0 && chroot(".") == 0, "chroot");
}

static void
pivot(const char *root, int readonly)
{
	new_mounts();
	need(mount(root, root, NULL, MS_BIND, NULL) == 0, "bind");
	if (readonly)
		need(mount("none", root, NULL, MS_REMOUNT | MS_BIND | MS_RDONLY,
			 NULL) == 0,
		    "read-only");
	need(chdir(root) == 0, "chdir");
	need(syscall(SYS_pivot_root, ".", ".") == 0, "pivot_root");
	need(umount2(".", MNT_DETACH) == 0, "umount");
	need(chdir("/") == 0, "chdir");
}

/* A user namespace, in which 0 is somebody else. */
static void
join(const char *path)
{
	int fd;

	need((fd = open(path, O_RDONLY | O_CLOEXEC)) >= 0, path);
	need(setns(fd, CLONE_NEWUSER) == 0, "setns");
	need(setgid(0) == 0 && setuid(0) == 0, "setuid");
	(void)close(fd);
}

static void
close_all(void)
{
	int fd;

	for (fd = 3; fd < 100; fd++)
		(void)close(fd);
}

/* An exit handler of a program that did not expect to be ended. */
static void
speak(void)
{
	(void)printf("the end\n");
	(void)fprintf(stderr, "the end\n");
}

static void
go(const char *what, const char *arg)
{
	struct rlimit none = { 0, 0 }, few;

	if (strcmp(what, "hide") == 0) {
		new_mounts();
		need(mount("none", arg, "tmpfs", 0, NULL) == 0, "tmpfs");
	} else if (strcmp(what, "pivot") == 0)
		pivot(arg, 0);
	else if (strcmp(what, "pivot-ro") == 0)
		pivot(arg, 1);
	else if (strcmp(what, "chroot") == 0)
		need(chroot(arg) == 0 && chdir("/") == 0, "chroot");
	else if (strcmp(what, "setuid") == 0)
		need(setgid(65534) == 0 && setuid(65534) == 0, "setuid");
	else if (strcmp(what, "userns") == 0)
		need(unshare(CLONE_NEWUSER) == 0, "unshare");
	else if (strcmp(what, "close") == 0) {
		need(chroot(arg) == 0 && chdir("/") == 0, "chroot");
		close_all();
	} else if (strcmp(what, "join") == 0)
		join(arg);
	else if (strcmp(what, "fsize") == 0)
		need(setrlimit(RLIMIT_FSIZE, &none) == 0, "setrlimit");
	else if (strcmp(what, "nofile") == 0)
		need(setrlimit(RLIMIT_NOFILE, &none) == 0, "setrlimit");
	else if (strcmp(what, "fewfiles") == 0) {
		need(getrlimit(RLIMIT_NOFILE, &few) == 0, "getrlimit");
		few.rlim_cur = 3;
		need(setrlimit(RLIMIT_NOFILE, &few) == 0, "setrlimit");
	} else if (strcmp(what, "term") == 0)
		need(atexit(speak) == 0, "atexit");
	action();
	if (strcmp(what, "term") == 0)
		(void)raise(SIGTERM);
	else if (strcmp(what, "kill") == 0)
		(void)raise(SIGKILL);
}

/* The child, from the beginning of main on. */
static void
child(const char *fds, char *argv[])
{
	int fd[2];

	need(sscanf(fds, "%d,%d", &fd[0], &fd[1]) == 2, "COVGLUE_FD");
	load();
	gons__cov_child(fd, 0);
	(void)unsetenv("COVGLUE_FD");
	if (strcmp(argv[2], "fork") == 0) {
		/* Comes back to main, to fork as a prepared process does. */
		need(setenv("COVGLUE_FORKS", "", 1) == 0, "setenv");
	} else {
		go(argv[2], argv[3]);
		exit(getenv("LLVM_PROFILE_FILE") != NULL &&
			     strstr(getenv("LLVM_PROFILE_FILE"),
				 "gons.profraw") != NULL
			 ? 98
			 : 0);
	}
}

/*
 * Raw system calls: what the runtime of gcc does behind fork and execve is
 * not what happens in the library.
 */
static pid_t
start(char *argv[], const int fd[2], struct gons__cov *cov)
{
	char entry[64], *envp[256];
	pid_t pid;
	int i, n;

	(void)snprintf(entry, sizeof(entry), "COVGLUE_FD=%d,%d", fd[0], fd[1]);
	for (n = 0; n < 250 && environ[n] != NULL; n++)
		envp[n] = environ[n];
	envp[n++] = entry;
	envp[n] = NULL;
	gons__cov_env(cov, envp);
	if ((pid = (pid_t)syscall(SYS_clone, SIGCHLD, 0, 0, 0, 0)) != 0)
		return (pid);
	for (i = 0; i < 2; i++)
		if (fd[i] >= 0)
			(void)fcntl(fd[i], F_SETFD, 0);
	come_back();
	syscall(SYS_execve, "/proc/self/exe", argv, envp);
	_exit(97);
}

/* A fork of a process that has counted before, as a prepared one is. */
static pid_t
start_fork(char *argv[], const int fd[2])
{
	pid_t pid;

	(void)fflush(NULL);
	if ((pid = (pid_t)syscall(SYS_clone, SIGCHLD, 0, 0, 0, 0)) != 0)
		return (pid);
	gons__cov_child(fd, 1);
	go("plain", argv[3]);
	exit(0);
}

static int
parent(char *argv[])
{
	struct gons__cov *cov;
	pid_t pid;
	int fd[2], forks, i, n, status = 0;

	forks = getenv("COVGLUE_FORKS") != NULL;
	n = strcmp(argv[2], "fork") == 0 && !forks ? 1 : atoi(argv[1]);
	for (i = 0; i < n; i++) {
		cov = gons__cov_new(fd); /* COUNT-PARENT */
		if (strcmp(argv[2], "active") == 0)
			(void)printf("%d\n", cov != NULL);
		pid = forks ? start_fork(argv, fd) : start(argv, fd, cov);
		need(pid > 0, "start");
		if (strcmp(argv[2], "die") == 0)
			syscall(SYS_kill, getpid(), SIGKILL);
		gons__cov_started(cov);
		need(waitpid(pid, &status, 0) == pid, "waitpid");
		gons__cov_collect(cov, GONS__COV_MS);
	}
	return (
	    WIFSIGNALED(status) ? 128 + WTERMSIG(status) : WEXITSTATUS(status));
}

int
main(int argc, char *argv[])
{
	int exe, status;

	if (getenv("COVGLUE_FD") != NULL)
		child(getenv("COVGLUE_FD"), argv);
	if (argc < 3)
		return (96);
	exe = open("/proc/self/exe", O_RDONLY | O_CLOEXEC);
	gons__cov_init(exe, 1);
	(void)close(exe);
	load();
	if (getenv("COVGLUE_ROOT") != NULL)
		leave(getenv("COVGLUE_ROOT"));
	status = parent(argv);
	come_back();
#ifdef VICTIM
	need(victim[0] == 0, "the parent's memory");
#endif
	if (getenv("COVGLUE_QUIT") != NULL)
		_exit(status);
	return (status);
}
