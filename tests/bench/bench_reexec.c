/*
 * SPDX-License-Identifier: BSD-2-Clause
 *
 * Copyright (c) 2026 The libgons developers
 *
 * What it costs to run an action: against a bare posix_spawn(3) of the same
 * program with its pipes read to the end, in a small and in a large process,
 * and with many at once.  What is compared is measured in turns; the figures
 * are medians.
 *
 *	bench_reexec [rounds]
 */

#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/wait.h>

#include <err.h>
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <spawn.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include <gons.h>

#define LARGE ((size_t)1 << 30) /* bytes */
#define TURNS 5 /* small, large, small, ... */

extern char **environ;

static int
answer(void)
{
	return write(STDOUT_FILENO, "42", 2) == 2 ? 0 : 1;
}

/* Until its host lets go of the other end. */
static int
linger(void)
{
	char c;
	const char *fd = getenv("BENCH_FD");

	return fd != NULL && read(atoi(fd), &c, 1) == 0 ? 0 : 1;
}

static double
now(void)
{
	struct timespec t;

	(void)clock_gettime(CLOCK_MONOTONIC, &t);
	return (double)t.tv_sec * 1e3 + (double)t.tv_nsec / 1e6;
}

static int
compare(const void *a, const void *b)
{
	const double *x = a, *y = b;

	return *x < *y ? -1 : *x > *y;
}

static double
median(double *ms, size_t n)
{
	qsort(ms, n, sizeof(*ms), compare);
	return ms[n / 2];
}

static void
read_all(int out, int errors)
{
	struct pollfd p[2];
	char buf[4096];
	int i, left = 2;

	p[0].fd = out;
	p[1].fd = errors;
	p[0].events = p[1].events = POLLIN;
	while (left > 0) {
		if (poll(p, 2, -1) < 1)
			err(1, "poll");
		for (i = 0; i < 2; i++)
			if (p[i].fd != -1 && p[i].revents != 0 &&
			    read(p[i].fd, buf, sizeof(buf)) < 1) {
				(void)close(p[i].fd);
				p[i].fd = -1;
				left--;
			}
	}
}

static double
bare(const char *path, char **envp)
{
	posix_spawn_file_actions_t actions;
	char *argv[2];
	double start = now();
	int errors[2], out[2], status;
	pid_t pid;

	argv[0] = program_invocation_name;
	argv[1] = NULL;
	if (pipe2(out, O_CLOEXEC) == -1 || pipe2(errors, O_CLOEXEC) == -1)
		err(1, "pipe2");
	(void)posix_spawn_file_actions_init(&actions);
	(void)posix_spawn_file_actions_adddup2(&actions, out[1], 1);
	(void)posix_spawn_file_actions_adddup2(&actions, errors[1], 2);
	if (posix_spawn(&pid, path, &actions, NULL, argv, envp) != 0)
		errx(1, "posix_spawn");
	(void)posix_spawn_file_actions_destroy(&actions);
	(void)close(out[1]);
	(void)close(errors[1]);
	read_all(out[0], errors[0]);
	if (waitpid(pid, &status, 0) != pid || status != 0)
		errx(1, "the child failed");
	return now() - start;
}

static double
action(unsigned flags)
{
	struct gons_reexec *req;
	double start = now();

	if ((req = gons_reexec_new("answer")) == NULL ||
	    gons_reexec_setflags(req, flags) == -1)
		err(1, "gons_reexec_new");
	if (gons_reexec_run(req) == -1)
		errx(1, "%s", gons_reexec_error(req));
	gons_reexec_free(req);
	return now() - start;
}

static void
against_bare(const char *path, size_t n)
{
	double *by_action, *by_prepared, *by_spawn, base;
	char **envp, **e;
	size_t i = 0;

	for (e = environ; *e != NULL; e++)
		i++;
	if ((envp = calloc(i + 2, sizeof(*envp))) == NULL ||
	    (by_action = calloc(3 * n, sizeof(*by_action))) == NULL)
		err(1, NULL);
	memcpy(envp + 1, environ, i * sizeof(*envp));
	envp[0] = strdup("BENCH_BARE=1");
	by_spawn = by_action + n;
	by_prepared = by_spawn + n;
	if (gons_reexec_prepare() == -1)
		err(1, "gons_reexec_prepare");
	for (i = 0; i < n; i++) {
		by_spawn[i] = bare(path, envp);
		by_action[i] = action(0);
		by_prepared[i] = action(GONS_REEXEC_PREPARED);
	}
	base = median(by_spawn, n);
	printf("posix_spawn %.3f ms\n", base);
	printf("action %.3f ms, %.2f times that\n", median(by_action, n),
	    median(by_action, n) / base);
	printf("prepared %.3f ms, %.2f times that\n", median(by_prepared, n),
	    median(by_prepared, n) / base);
	free(envp[0]);
	free(envp);
	free(by_action);
}

/* Turns of small and large, since it is not small again at once. */
static void
in_large(size_t n)
{
	double *large, *small;
	size_t i, turn;
	void *memory;

	if ((small = calloc(2 * n * TURNS, sizeof(*small))) == NULL)
		err(1, NULL);
	large = small + n * TURNS;
	for (turn = 0; turn < TURNS; turn++) {
		for (i = 0; i < n; i++)
			small[turn * n + i] = action(0);
		memory = mmap(NULL, LARGE, PROT_READ | PROT_WRITE,
		    MAP_PRIVATE | MAP_ANONYMOUS | MAP_POPULATE, -1, 0);
		if (memory == MAP_FAILED) {
			warn("1 GiB");
			break;
		}
		for (i = 0; i < n; i++)
			large[turn * n + i] = action(0);
		(void)munmap(memory, LARGE);
	}
	if (turn == TURNS)
		printf("with 1 GiB %.3f ms, %.2f times that without\n",
		    median(large, n * TURNS),
		    median(large, n * TURNS) / median(small, n * TURNS));
	free(small);
}

static long
resident(void)
{
	char text[128] = "";
	long pages = 0;
	FILE *f = fopen("/proc/self/statm", "r");

	if (f != NULL && fgets(text, sizeof(text), f) != NULL)
		(void)sscanf(text, "%*d %ld", &pages);
	if (f != NULL)
		(void)fclose(f);
	return pages * (sysconf(_SC_PAGESIZE) / 1024);
}

static int
descriptors(void)
{
	int fd, n = 0;

	for (fd = 0; fd < 10000; fd++)
		n += fcntl(fd, F_GETFD) != -1;
	return n;
}

static void
in_flight(size_t n, unsigned flags)
{
	struct gons_reexec **req;
	char number[16];
	double start, started;
	int before, fd[2], held;
	long kib;
	size_t i;

	if ((req = calloc(n, sizeof(struct gons_reexec *))) == NULL ||
	    pipe2(fd, O_CLOEXEC) == -1)
		err(1, NULL);
	(void)snprintf(number, sizeof(number), "%d", fd[0]);
	before = descriptors();
	kib = resident();
	start = now();
	for (i = 0; i < n; i++) {
		req[i] = gons_reexec_new("linger");
		if (req[i] == NULL ||
		    gons_reexec_setflags(req[i], flags) == -1 ||
		    gons_reexec_keepfd(req[i], fd[0]) == -1 ||
		    gons_reexec_setenv(req[i], "BENCH_FD", number) == -1)
			err(1, NULL);
		if (gons_reexec_start(req[i]) == -1)
			errx(1, "%zu: %s", i, gons_reexec_error(req[i]));
		(void)gons_reexec_step(req[i]);
	}
	started = now() - start;
	held = descriptors() - before;
	kib = resident() - kib;
	(void)close(fd[1]);
	(void)close(fd[0]);
	for (i = 0; i < n; i++) {
		if (gons_reexec_wait(req[i]) == -1)
			errx(1, "%zu: %s", i, gons_reexec_error(req[i]));
		gons_reexec_free(req[i]);
	}
	free(req);
	printf("%4zu in flight%s: %.1f descriptors, %.1f KiB each; "
	       "%.3f ms to start, %.3f ms in all each\n",
	    n, flags != 0 ? ", prepared" : "", (double)held / (double)n,
	    (double)kib / (double)n, started / (double)n,
	    (now() - start) / (double)n);
}

int
main(int argc, char *argv[])
{
	static const size_t numbers[] = { 1, 10, 100, 1000 };
	struct rlimit limit;
	char path[4096];
	size_t i, n = argc > 1 ? (size_t)atoi(argv[1]) : 500;
	ssize_t len;

	if (getenv("BENCH_BARE") != NULL)
		return answer();
	if (gons_reexec_register("answer", answer) == -1 ||
	    gons_reexec_register("linger", linger) == -1)
		err(1, "gons_reexec_register");
	gons_reexec_check();
	len = readlink("/proc/self/exe", path, sizeof(path) - 1);
	if (len == -1)
		err(1, "/proc/self/exe");
	path[len] = '\0';
	(void)setvbuf(stdout, NULL, _IOLBF, 0);
	if (getrlimit(RLIMIT_NOFILE, &limit) == 0) {
		limit.rlim_cur = limit.rlim_max;
		(void)setrlimit(RLIMIT_NOFILE, &limit);
	}
	against_bare(path, n < 1 ? 1 : n);
	in_large(n / TURNS < 1 ? 1 : n / TURNS);
	for (i = 0; i < sizeof(numbers) / sizeof(numbers[0]); i++) {
		if (limit.rlim_cur < numbers[i] * 10)
			break;
		in_flight(numbers[i], 0);
		in_flight(numbers[i], GONS_REEXEC_PREPARED);
	}
	return 0;
}
