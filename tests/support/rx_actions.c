/*
 * SPDX-License-Identifier: BSD-2-Clause
 *
 * Copyright (c) 2026 The libgons developers
 *
 * See rx_actions.h.
 */

#include <sys/resource.h>
#include <sys/wait.h>

#include <atf-c.h>

#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <gons.h>

#include "helpers.h"
#include "rx.h"
#include "rx_actions.h"

int
answer(void)
{
	printf("42");
	return 0;
}

int
echo(void)
{
	char buf[65536];
	size_t n;

	while ((n = fread(buf, 1, sizeof(buf), stdin)) > 0)
		if (fwrite(buf, 1, n, stdout) != n)
			return 1;
	return ferror(stdin) ? 2 : 0;
}

size_t
wanted_size(void)
{
	const char *size = getenv("SIZE");

	return size != NULL ? strtoull(size, NULL, 10) : 0;
}

char *
pattern(size_t size)
{
	char *buf = malloc(size + 1);
	size_t i;

	if (buf == NULL)
		abort();
	for (i = 0; i < size; i++)
		buf[i] = (char)('a' + (i ^ i >> 8 ^ i >> 16) % 26);
	buf[size] = '\0';
	return buf;
}

void
set_size(struct gons_reexec *req, size_t size)
{
	char text[32];

	(void)snprintf(text, sizeof(text), "%zu", size);
	ATF_REQUIRE_EQ(0, gons_reexec_setenv(req, "SIZE", text));
}

int
print_pid(void)
{
	printf("%d", (int)getpid());
	return 0;
}

int
stay(void)
{
	if (write(rx_kept("LIFE"), "x", 1) != 1)
		return 1;
	for (;;)
		(void)pause();
}

int
whoami(void)
{
	char oom[64];
	cpu_set_t cpus;

	(void)sched_getaffinity(0, sizeof(cpus), &cpus);
	rx_read_file("/proc/self/oom_score_adj", oom, sizeof(oom));
	return printf("%d %d %d %d", (int)getppid(),
		   getpriority(PRIO_PROCESS, 0), CPU_COUNT(&cpus),
		   atoi(oom)) < 0;
}

int
whoami_less(void)
{
	return printf("%d", (int)getppid()) < 0;
}

void
all_end(void)
{
	siginfo_t info;

	while (waitid(P_ALL, 0, &info, WEXITED | WNOWAIT | __WALL) == 0)
		gons_reexec_free(gons_reexec_new("whoami"));
}
