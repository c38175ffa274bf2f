/*
 * SPDX-License-Identifier: BSD-2-Clause
 *
 * Copyright (c) 2026 The libgons developers
 *
 * Many runs from many threads, fresh and prepared, a good part of which go
 * wrong on purpose: soak_reexec [SECONDS].  The environment: SOAK_RUNS (20000)
 * and SOAK_THREADS (16).  Each outcome has to be the one that was provoked.
 * At the end: runs by kind, fresh and prepared, and what the process holds
 * before and after; it fails if that has grown.
 */

#include <sys/wait.h>

#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include <gons.h>

#define WARM_UP 200 /* runs before the first look */
#define GROWTH 4096 /* KiB of resident memory that may be noise */
#define PARAM "soak"

struct sort {
	const char *name, *action;
	int weight; /* of 100 */
	int failure, errnum;
	int timeout; /* ms, or -1 */
	int kill; /* by gons_reexec_kill() */
	const char *ref; /* of a network namespace */
};

static const struct sort sorts[] = {
	{ "success", "echo", 64, 0, 0, -1, 0, NULL },
	{ "success, in a namespace", "echo", 10, 0, 0, -1, 0,
	    "/proc/self/ns/net" },
	{ "exit status", "exits", 6, GONS_FAIL_EXIT, EIO, -1, 0, NULL },
	{ "crash", "crash", 4, GONS_FAIL_SIGNAL, EIO, -1, 0, NULL },
	{ "stderr", "complain", 4, GONS_FAIL_STDERR, EIO, -1, 0, NULL },
	{ "flood", "flood", 4, GONS_FAIL_SIZE, EMSGSIZE, -1, 0, NULL },
	{ "timeout", "sleep", 2, GONS_FAIL_TIMEOUT, ETIMEDOUT, 300, 0, NULL },
	{ "kill", "sleep", 3, GONS_FAIL_KILLED, ECANCELED, -1, 1, NULL },
	{ "bad namespace", "echo", 3, GONS_FAIL_START, ENOENT, -1, 0,
	    "/no/such/namespace" },
};
#define NSORTS (sizeof(sorts) / sizeof(*sorts))

static long todo, done[NSORTS][2], wrong, late; /* done: fresh, prepared */
static time_t until;

static int
echo(void)
{
	char buf[64];
	ssize_t n = read(STDIN_FILENO, buf, sizeof(buf));

	return n < 0 || write(STDOUT_FILENO, buf, (size_t)n) != n;
}

static int
exits(void)
{
	return 7;
}

static int
crash(void)
{
	(void)raise(SIGKILL);
	return 0;
}

static int
complain(void)
{
	return write(STDERR_FILENO, "woe\n", 4) != 4;
}

static int
flood(void)
{
	static char block[4096];

	while (write(STDOUT_FILENO, block, sizeof(block)) > 0)
		continue;
	return 0;
}

static int
forever(void)
{
	for (;;)
		(void)pause();
	return 0;
}

static int
set_up(struct gons_reexec *req, const struct sort *sort, unsigned flags)
{
	return gons_reexec_setflags(req, flags) == -1 ||
	       gons_reexec_param(req, PARAM, sizeof(PARAM)) == -1 ||
	       gons_reexec_setmaxresult(req, 10000) == -1 ||
	       gons_reexec_settimeout(req, sort->timeout) == -1 ||
	       (sort->ref != NULL &&
		   gons_reexec_namespace(req, "net", sort->ref) == -1);
}

static void
once(const struct sort *sort, unsigned flags)
{
	struct gons_reexec *req = gons_reexec_new(sort->action);
	int errnum = 0, r = -1;
	size_t len;

	if (req == NULL || set_up(req, sort, flags))
		abort();
	if (gons_reexec_start(req) == 0) {
		if (sort->kill)
			(void)gons_reexec_kill(req);
		r = gons_reexec_wait(req);
	}
	if (r == -1)
		errnum = errno;
	(void)gons_reexec_result(req, &len);
	if (gons_reexec_failure(req) != sort->failure ||
	    errnum != sort->errnum ||
	    (sort->failure == 0 && len != sizeof(PARAM))) {
		__atomic_add_fetch(&wrong, 1, __ATOMIC_RELAXED);
		(void)fprintf(stderr, "%s, flags %#x: failure %d, %s, %s\n",
		    sort->name, flags, gons_reexec_failure(req),
		    strerror(errnum), gons_reexec_error(req));
	}
	gons_reexec_free(req);
}

static void *
work(void *arg)
{
	unsigned seed = (unsigned)(size_t)arg, flags;
	int dice;
	size_t i;

	while (__atomic_sub_fetch(&todo, 1, __ATOMIC_RELAXED) >= 0) {
		if (time(NULL) > until) {
			__atomic_add_fetch(&late, 1, __ATOMIC_RELAXED);
			continue;
		}
		dice = rand_r(&seed) % 100;
		for (i = 0; i < NSORTS - 1 && dice >= sorts[i].weight; i++)
			dice -= sorts[i].weight;
		flags = rand_r(&seed) % 2 ? GONS_REEXEC_PREPARED : 0;
		if (rand_r(&seed) % 8 == 0)
			flags |= GONS_REEXEC_DIE_WITH_PARENT;
		once(&sorts[i], flags);
		__atomic_add_fetch(
		    &done[i][(flags & GONS_REEXEC_PREPARED) != 0], 1,
		    __ATOMIC_RELAXED);
	}
	return NULL;
}

static void
work_all(long runs, long threads)
{
	pthread_t thread[256];
	long i;

	todo = runs;
	for (i = 0; i < threads && i < 256; i++)
		if (pthread_create(
			&thread[i], NULL, work, (void *)(size_t)(i + 1)) != 0)
			abort();
	while (--i >= 0)
		(void)pthread_join(thread[i], NULL);
}

static int
count_fds(void)
{
	int fd, n = 0;

	for (fd = 0; fd < 4096; fd++)
		n += fcntl(fd, F_GETFD) != -1;
	return n;
}

static long
resident(void)
{
	char line[128];
	long kib = 0;
	FILE *f = fopen("/proc/self/status", "re");

	while (f != NULL && fgets(line, sizeof(line), f) != NULL)
		if (sscanf(line, "VmRSS: %ld", &kib) == 1)
			break;
	if (f != NULL)
		(void)fclose(f);
	return kib;
}

static long
number(const char *name, long otherwise)
{
	const char *text = getenv(name);

	return text != NULL && *text != '\0' ? atol(text) : otherwise;
}

int
main(int argc, char **argv)
{
	long runs = number("SOAK_RUNS", 20000), rss, total = 0;
	long threads = number("SOAK_THREADS", 16);
	int children, fds;
	size_t i;

	if (gons_reexec_register("echo", echo) == -1 ||
	    gons_reexec_register("exits", exits) == -1 ||
	    gons_reexec_register("crash", crash) == -1 ||
	    gons_reexec_register("complain", complain) == -1 ||
	    gons_reexec_register("flood", flood) == -1 ||
	    gons_reexec_register("sleep", forever) == -1)
		return 1;
	gons_reexec_check();
	until = time(NULL) + (argc > 1 ? atol(argv[1]) : 600);
	work_all(WARM_UP, threads);
	fds = count_fds();
	rss = resident();
	(void)memset(done, 0, sizeof(done));
	work_all(runs, threads);
	children = waitpid(-1, NULL, WNOHANG | __WALL) != -1;
	(void)printf("%8s %8s\n", "fresh", "prepared");
	for (i = 0; i < NSORTS; i++) {
		(void)printf(
		    "%8ld %8ld %s\n", done[i][0], done[i][1], sorts[i].name);
		total += done[i][0] + done[i][1];
	}
	(void)printf("%8ld runs, %ld left out for want of time, %ld wrong\n",
	    total, late, wrong);
	(void)printf("descriptors %d before, %d after; children left: %s; "
		     "resident %ld KiB before, %ld KiB after\n",
	    fds, count_fds(), children ? "yes" : "none", rss, resident());
	return wrong != 0 || children || count_fds() != fds || total == 0 ||
	       resident() > rss + GROWTH;
}
