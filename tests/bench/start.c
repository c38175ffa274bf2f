/*
 * SPDX-License-Identifier: BSD-2-Clause
 *
 * Copyright (c) 2026 The libgons developers
 *
 * Starts the programs that start_bench.sh has built, in turns.
 */

#include <sys/wait.h>

#include <err.h>
#include <spawn.h>
#include <string.h>
#include <unistd.h>

#include "bench.h"

#define ROUNDS 100

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

int
main(int argc, char *argv[])
{
	static const char *const names[] = { "plain", "hand", "with",
		"nsenter" };
	static const int counts[] = { 0, 1, 3, 7 };
	static struct contender c[4];
	struct program p[4];
	char title[80];
	int i, j, n;

	if (argc != 2)
		errx(1, "usage: start directory");
	for (i = 0; i < 4; i++) {
		for (j = n = 0; j < 4; j++) {
			program(&p[j], argv[1], names[j], counts[i]);
			c[j].once = start;
			c[j].arg = &p[j];
			c[j].goal = NULL;
			if (start(&p[j]) != 0)
				break;
			n++;
		}
		c[0].name = "the program without the library";
		c[1].name = "with a constructor written by hand";
		c[2].name = "with libgons";
		c[3].name = "nsenter(1) and the program";
		(void)snprintf(title, sizeof(title), "start-up, %d namespace%s",
		    counts[i], counts[i] == 1 ? "" : "s");
		if (n < 3) {
			printf(
			    "\n%s: left out: %s fails here\n", title, names[n]);
			continue;
		}
		if (counts[i] == 3) {
			c[2].goal = "<= 1.05; <= 0.6 x nsenter";
		}
		bench_take_turns(c, n, ROUNDS, 0);
		bench_title(title, "/ hand");
		bench_print(c, n, 1);
		if (n < 4)
			printf("  nsenter(1): not installed, or fails\n");
		else
			printf("  libgons / nsenter: %.2f\n",
			    c[2].us[0] / c[3].us[0]);
	}
	return 0;
}
