/*
 * SPDX-License-Identifier: BSD-2-Clause
 *
 * Copyright (c) 2026 The libgons developers
 *
 * What a child that stays costs: one run of it, against posix_spawn(3) of the
 * same program, the other ways to run an action, and a byte to a process that
 * waits and one back; eight threads with a child each, against prepared
 * children; and a thousand that wait, in memory.
 */

#include <sys/resource.h>
#include <sys/wait.h>

#include <err.h>
#include <pthread.h>
#include <string.h>
#include <unistd.h>

#include <gons.h>

#include "bench.h"

#define SECONDS 10
#define ROW 20 /* runs in a row */
#define REST 3000 /* us, in which a spare child is forked */
#define THREADS 8
#define EACH 500 /* runs of each thread */
#define IDLE 1000 /* children that wait */
#define PER_CHILD 3 /* descriptors, and one */

static int
nothing(void)
{
	return 0;
}

static int
stand(void *arg)
{
	(void)arg;
	return 0;
}

static int
visit(void *arg)
{
	static char path[] = "/proc/self/ns/net";
	struct gons_env env = { 0 };

	env.path[GONS_NET] = path;
	return gons_visit(&env, NULL, stand, arg, NULL, NULL);
}

static struct gons_reexec *
new_request(unsigned flags)
{
	struct gons_reexec *req = gons_reexec_new("nothing");

	if (req == NULL || gons_reexec_setflags(req, flags) == -1)
		err(1, "gons_reexec_new");
	return req;
}

static int
run(void *arg)
{
	if (gons_reexec_run(arg) == 0)
		return 0;
	fprintf(stderr, "%s\n", gons_reexec_error(arg));
	return -1;
}

/* A process that answers each byte with another. */
struct peer {
	int to, from;
};

static void
make_peer(struct peer *peer)
{
	int to[2], from[2];
	char c;

	if (pipe(to) == -1 || pipe(from) == -1)
		err(1, "pipe");
	if (fork() == 0) {
		(void)close(to[1]);
		while (read(to[0], &c, 1) == 1 && write(from[1], &c, 1) == 1)
			continue;
		_exit(0);
	}
	(void)close(to[0]);
	peer->to = to[1];
	peer->from = from[0];
}

static int
ask_peer(void *arg)
{
	const struct peer *peer = arg;
	char c = 'x';

	return write(peer->to, &c, 1) == 1 && read(peer->from, &c, 1) == 1 ? 0
									   : -1;
}

static void *
run_many(void *arg)
{
	unsigned *flags = arg;
	struct gons_reexec *req = new_request(*flags);
	int i;

	for (i = 0; i < EACH; i++)
		if (run(req) == -1)
			exit(1);
	gons_reexec_free(req);
	return NULL;
}

/* us of one run, all threads together. */
static double
run_threads(unsigned flags)
{
	pthread_t thread[THREADS];
	double at = bench_clock();
	int i;

	for (i = 0; i < THREADS; i++)
		if (pthread_create(&thread[i], NULL, run_many, &flags) != 0)
			errx(1, "pthread_create");
	for (i = 0; i < THREADS; i++)
		(void)pthread_join(thread[i], NULL);
	return (bench_clock() - at) / (THREADS * EACH);
}

static void
compare_threads(void)
{
	double prepared, stay;

	prepared = run_threads(GONS_REEXEC_PREPARED);
	stay = run_threads(GONS_REEXEC_STAY);
	printf("\n%d threads                                         runs/s\n",
	    THREADS);
	printf("  %-48s %8.0f\n", "prepared", 1e6 / prepared);
	printf("  %-48s %8.0f  %.1f times as many, >= 5: %s\n",
	    "staying, a child each", 1e6 / stay, prepared / stay,
	    prepared / stay >= 5 ? "holds" : "MISSED");
}

/* kB, after "NAME:" in a file of /proc. */
static double
memory(const char *path, const char *name)
{
	FILE *f = fopen(path, "r");
	char line[256];
	long kb = 0;

	while (f != NULL && fgets(line, sizeof(line), f) != NULL)
		if (strncmp(line, name, strlen(name)) == 0)
			kb = atol(line + strlen(name) + 1);
	if (f != NULL)
		(void)fclose(f);
	return (double)kb;
}

static void
keep_many(void)
{
	static struct gons_reexec *req[IDLE];
	const struct rlimit limit = { IDLE * PER_CHILD + 100,
		IDLE * PER_CHILD + 100 };
	double all, host;
	int i;

	if (setrlimit(RLIMIT_NOFILE, &limit) == -1)
		return;
	all = memory("/proc/meminfo", "MemAvailable");
	host = memory("/proc/self/status", "VmRSS");
	for (i = 0; i < IDLE; i++)
		if (run(req[i] = new_request(GONS_REEXEC_STAY)) == -1)
			exit(1);
	printf("\n%d children that wait, kB each\n", IDLE);
	printf("  %-48s %8.1f\n", "in the host",
	    (memory("/proc/self/status", "VmRSS") - host) / IDLE);
	printf("  %-48s %8.1f\n", "of the machine's memory",
	    (all - memory("/proc/meminfo", "MemAvailable")) / IDLE);
	for (i = 0; i < IDLE; i++)
		gons_reexec_free(req[i]);
}

/* The table of gons_reexec(3). */
static void
compare_ways(void)
{
	struct contender c[] = {
		{ .name = "posix_spawn of the same program",
		    .once = bench_spawn },
		{ .name = "fork, _exit, waitpid", .once = bench_fork },
		{ .name = "gons_reexec_run, fresh",
		    .once = run,
		    .arg = new_request(0) },
		{ .name = "gons_reexec_run, prepared",
		    .once = run,
		    .arg = new_request(GONS_REEXEC_PREPARED) },
		{ .name = "gons_reexec_run, prepared, / fork",
		    .once = run,
		    .base = 1,
		    .goal = 1.30 },
		{ .name = "gons_reexec_run, staying",
		    .once = run,
		    .arg = new_request(GONS_REEXEC_STAY),
		    .goal = 0.15 },
		{ .name = "gons_visit, net", .once = visit },
	};
	int i, n = sizeof(c) / sizeof(*c);

	c[4].arg = c[3].arg;
	bench_take_turns(c, n, SECONDS, REST);
	bench_title("once, a spare child ready", "ratio");
	bench_print(c, n);
	for (i = 0; i < n; i++)
		if (c[i].once == run && i != 4)
			gons_reexec_free(c[i].arg);
}

static void
compare_row(void)
{
	struct peer peer;
	struct contender c[4];

	make_peer(&peer);
	memset(c, 0, sizeof(c));
	c[0].name = "posix_spawn of the same program";
	c[0].once = bench_spawn;
	c[0].times = 1;
	c[1].name = "gons_reexec_run, a child that stays, / spawn";
	c[1].once = run;
	c[1].arg = new_request(GONS_REEXEC_STAY);
	c[1].goal = 0.15;
	c[2].name = "a byte to a process that waits, and one back";
	c[2].once = ask_peer;
	c[2].arg = &peer;
	c[2].base = 2;
	c[3] = c[1];
	c[3].name = "gons_reexec_run, a child that stays, / byte";
	c[3].base = 2;
	c[3].goal = 8;
	c[1].times = c[2].times = c[3].times = ROW;
	bench_take_turns(c, 4, SECONDS, 0);
	bench_title("20 in a row", "ratio");
	bench_print(c, 4);
	gons_reexec_free(c[1].arg);
}

int
main(int argc, char *argv[])
{
	if (argc > 1 && strcmp(argv[1], "nothing") == 0)
		return 0;
	if (gons_reexec_register("nothing", nothing) == -1)
		err(1, "gons_reexec_register");
	gons_reexec_check();
	if (gons_reexec_prepare() == -1)
		err(1, "gons_reexec_prepare");
	compare_ways();
	compare_row();
	compare_threads();
	keep_many();
	return 0;
}
