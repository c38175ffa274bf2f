/*
 * SPDX-License-Identifier: BSD-2-Clause
 *
 * Copyright (c) 2026 The libgons developers
 *
 * Starts the programs that bench_start.sh has built, in turns.
 */

#include <sys/wait.h>

#include <err.h>
#include <spawn.h>
#include <string.h>
#include <unistd.h>

#include "bench.h"

#define PROGRAMS 6
#define SECONDS 8 /* for each group */

/* a mount namespace with mount points below it is like any other here */
static const char *const types[] = { "uts", "ipc", "net", "cgroup", "pid",
	"time", "mnt" };

struct program {
	char path[4096];
	char *argv[16], *envp[16];
};

static int
start(void *arg)
{
	struct program *p = arg;
	pid_t pid;
	int status;

	if (posix_spawnp(&pid, p->argv[0], NULL, NULL, p->argv, p->envp) != 0)
		return -1;
	return waitpid(pid, &status, 0) == pid && status == 0 ? 0 : -1;
}

static char *
text(const char *fmt, const char *a, const char *b)
{
	char *t;

	if (asprintf(&t, fmt, a, b) == -1)
		err(1, "asprintf");
	return t;
}

static void
program(struct program *p, const char *dir, const char *name, int n)
{
	int i, nsenter = strcmp(name, "nsenter") == 0;

	memset(p, 0, sizeof(*p));
	p->argv[0] = nsenter ? strdup(name) : text("%s/%s", dir, name);
	for (i = 0; i < n; i++)
		if (nsenter)
			p->argv[1 + i] =
			    text(strcmp(types[i], "mnt") == 0
				     ? "--mount=/proc/self/ns/mnt%.0s"
				     : "--%s=/proc/self/ns/%s",
				types[i], types[i]);
		else
			p->envp[i] = text(
			    "gons_%s=/proc/self/ns/%s", types[i], types[i]);
	if (nsenter) {
		p->argv[1 + n] = strdup("-F");
		p->argv[2 + n] = text("%s/%s", dir, "plain");
	}
}

/* Those that there are and that work; returns how many of them. */
static int
programs(struct contender *c, struct program *p, const char *dir, int n)
{
	static const char *const names[] = { "plain", "hand", "with",
		"hand-shared", "with-shared", "nsenter" };
	int i;

	for (i = 0; i < PROGRAMS; i++) {
		program(&p[i], dir, names[i], n);
		if (start(&p[i]) != 0) {
			printf(
			    "\nleft out with %d namespaces: %s\n", n, names[i]);
			break;
		}
		c[i].arg = &p[i];
	}
	return i;
}

int
main(int argc, char *argv[])
{
	static struct contender c[PROGRAMS] = {
		{ .name = "the program without the library" },
		{ .name = "with a constructor written by hand" },
		{ .name = "with libgons.a", .goal = 1.05 },
		{ .name = "with such a constructor in a shared library" },
		{ .name = "with libgons.so, / the one before" },
		{ .name = "nsenter(1) and the program" },
	};
	static const int counts[] = { 0, 1, 3, 7 };
	struct program p[PROGRAMS];
	char title[80];
	int i, k, n;

	if (argc != 2)
		errx(1, "usage: start directory");
	for (k = 0; k < PROGRAMS; k++) {
		c[k].once = start;
		c[k].base = k == 4 ? 3 : 1;
	}
	for (i = 0; i < 4; i++) {
		if ((n = programs(c, p, argv[1], counts[i])) < 3)
			continue;
		c[2].goal = counts[i] == 3 ? 1.05 : 0;
		bench_take_turns(c, n, SECONDS, 0);
		(void)snprintf(title, sizeof(title), "start-up, %d namespace%s",
		    counts[i], counts[i] == 1 ? "" : "s");
		bench_title(title, "/ hand");
		bench_print(c, n);
		if (n < PROGRAMS)
			continue;
		printf("  %-48s %10s %8.2f", "libgons.a / nsenter(1)", "",
		    c[2].ratio / c[5].ratio);
		if (counts[i] == 3)
			bench_goal(c[2].ratio / c[5].ratio, 0.60);
		else
			printf("\n");
	}
	return 0;
}
