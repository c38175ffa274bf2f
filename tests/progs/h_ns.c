/*
 * SPDX-License-Identifier: BSD-2-Clause
 *
 * Copyright (c) 2026 The libgons developers
 *
 * A program for tests to start: it tells what start-up made of it.  Arguments:
 *
 *	report		status, namespaces, descriptors, environment
 *	overwrite	first overwrite arguments and environment
 *	child		the environment of a program started from this one
 *	threads		status from many threads at once
 *	closed		the exit value tells which of 0 to 2 are open, and 8:
 *			something has been joined
 *	switch		switch at run time, by variables named XX_gons_...
 *
 * H_PROC=N: /proc is that descriptor.
 */

#include <sys/auxv.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>

#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <gons.h>

#define NTHREADS 32

extern char **environ;

/* For builds with a sanitizer: it cannot look for leaks where this goes. */
const char *__asan_default_options(void);
const char *
__asan_default_options(void)
{
	return "detect_leaks=0";
}

static int proc_fd;

static void
report_namespaces(const char *prefix)
{
	static const char *const names[] = { "cgroup", "ipc", "mnt", "net",
		"pid", "time", "user", "uts", "pid_for_children",
		"time_for_children" };
	char path[64];
	struct stat st;
	size_t i;

	for (i = 0; i < sizeof(names) / sizeof(names[0]); i++) {
		(void)snprintf(path, sizeof(path), "self/ns/%s", names[i]);
		printf("%s%s %llu\n", prefix, names[i],
		    fstatat(proc_fd, path, &st, 0) == 0
			? (unsigned long long)st.st_ino
			: 0);
	}
}

static void
report_error(const struct gons_error *error)
{
	static char text[20000];

	(void)gons_error_format(error, text, sizeof(text));
	printf("status %s\n", text);
	printf("stage %d\nerrnum %d\ntype %d\nhint %d\nvalue %lld\n"
	       "errjoined %u\nwhat %s\n",
	    error->stage, error->errnum, error->type, error->hint,
	    (long long)error->value, error->joined, error->what);
}

/* As gons_status(3) has it, which must agree with the structure. */
static void
report_status(void)
{
	const char *status = gons_status();

	printf("joined %u\n", gons_status_joined());
	if ((status != NULL) != (gons_status_error() != NULL))
		printf("contradiction .\n");
	if (gons_status_error() != NULL)
		report_error(gons_status_error());
	if (status != NULL)
		printf("gons_status %s\n", status);
}

static void
switch_now(void)
{
	static char *envp[256];
	struct gons_error error;
	struct gons_env env;
	char **e;
	int n = 0;

	for (e = environ; *e != NULL && n < 255; e++)
		if (strncmp(*e, "XX_", 3) == 0)
			envp[n++] = *e + 3;
	(void)gons_envparse(envp, &env);
	errno = 0;
	if (gons_switch(&env, NULL, &error) == 0)
		return;
	if (errno != error.errnum)
		printf("contradiction %d\n", errno);
	report_error(&error);
}

/*
 * Some run times find the auxiliary vector by walking there.  A walk finds the
 * page size, or the end, and nothing unknown before.
 */
static void
report_walk(char **envp)
{
	unsigned long *aux, size = 0;

	while (*envp != NULL)
		envp++;
	aux = (unsigned long *)(void *)(envp + 1);
	for (; aux[0] != AT_NULL; aux += 2) {
		if (aux[0] == AT_PAGESZ)
			size = aux[1];
		if (aux[0] > 1000)
			printf("contradiction %lu\n", aux[0]);
	}
	printf("walk %lu\n", size);
}

static void
report_rest(void)
{
	char **e;
	int fd;

	if (getenv("H_PROC") == NULL)
		(void)close(proc_fd);
	printf("fds");
	for (fd = 0; fd < 1024; fd++)
		if (fcntl(fd, F_GETFD) != -1)
			printf(" %d", fd);
	printf("\nsecure %lu\npagesize %lu %d\n", getauxval(AT_SECURE),
	    getauxval(AT_PAGESZ), (int)sysconf(_SC_PAGESIZE));
	for (e = environ; *e != NULL; e++)
		printf("env %s\n", *e);
	printf("end .\n");
}

static int
report(void)
{
	pid_t pid;

	report_namespaces("ns_");
	fflush(stdout);
	if ((pid = fork()) == 0) {
		report_namespaces("child_");
		printf("childpid %d\n", (int)getpid());
		fflush(stdout);
		_exit(0);
	}
	if (pid == -1)
		printf("fork %s\n", strerror(errno));
	else
		(void)waitpid(pid, NULL, 0);
	report_rest();
	return 0;
}

/* Programs that change their title do so. */
static int
overwrite(char **argv, char **envp)
{
	char *end = argv[0], *start = argv[0];
	int i;

	for (i = 0; argv[i] != NULL; i++)
		end = argv[i] + strlen(argv[i]);
	for (i = 0; envp[i] != NULL; i++)
		end = envp[i] + strlen(envp[i]);
	/* the variables lie behind these, up to the name of the program */
	if ((char *)getauxval(AT_EXECFN) > end)
		end = (char *)getauxval(AT_EXECFN);
	memset(start, 'X', (size_t)(end - start));
	report_status();
	return 0;
}

static int
child(char **argv)
{
	static char action[] = "report";
	char *args[3];
	int fd = open("/proc/self/exe", O_PATH | O_CLOEXEC);

	args[0] = argv[0];
	args[1] = action;
	args[2] = NULL;
	fflush(stdout);
	(void)syscall(
	    SYS_execveat, fd, "", args, environ, 0x1000 /* AT_EMPTY_PATH */);
	perror("exec");
	return 1;
}

static int
closed(void)
{
	int bits = gons_status_joined() != 0 ? 8 : 0, fd;

	for (fd = 0; fd < 3; fd++)
		bits |= (fcntl(fd, F_GETFD) != -1) << fd;
	return bits;
}

static pthread_barrier_t barrier;

static void *
thread(void *result)
{
	(void)pthread_barrier_wait(&barrier);
	*(const char **)result = gons_status();
	return NULL;
}

static int
threads(void)
{
	const char *text[NTHREADS];
	pthread_t id[NTHREADS];
	int i;

	(void)pthread_barrier_init(&barrier, NULL, NTHREADS);
	for (i = 0; i < NTHREADS; i++)
		if (pthread_create(&id[i], NULL, thread, &text[i]) != 0)
			return 1;
	for (i = 0; i < NTHREADS; i++) {
		(void)pthread_join(id[i], NULL);
		if (text[i] != text[0])
			return 1;
	}
	report_status();
	return 0;
}

int
main(int argc, char **argv, char **envp)
{
	const char *action = argc > 1 ? argv[1] : "report";

	if (strcmp(action, "closed") == 0)
		return closed();
	report_walk(envp);
	proc_fd = getenv("H_PROC") != NULL ? atoi(getenv("H_PROC"))
					   : open("/proc", O_PATH | O_CLOEXEC);
	if (strcmp(action, "overwrite") == 0)
		return overwrite(argv, envp);
	if (strcmp(action, "child") == 0)
		return child(argv);
	if (strcmp(action, "threads") == 0)
		return threads();
	if (strcmp(action, "switch") == 0)
		switch_now();
	else
		report_status();
	return report();
}
