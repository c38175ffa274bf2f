/*
 * SPDX-License-Identifier: BSD-2-Clause
 *
 * Copyright (c) 2026 The libgons developers
 *
 * What the processes of a container do, seen from inside its pid and mount
 * namespaces and refreshed twice a second, by a child that stays.  See
 * gons_reexec(3).
 *
 *	cc -o top-in top-in.c $(pkg-config --cflags --libs gons)
 *	./top-in PID [TIMES]
 */

#include <ctype.h>
#include <dirent.h>
#include <err.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include <gons.h>

/* Ticks of the processor since the last run, which this process remembers. */
static unsigned long
since(unsigned pid, unsigned long ticks)
{
	static struct {
		unsigned pid;
		unsigned long ticks;
	} seen[4096];
	unsigned i = pid % 4096;
	unsigned long more = seen[i].pid == pid ? ticks - seen[i].ticks : 0;

	seen[i].pid = pid;
	seen[i].ticks = ticks;
	return more;
}

static void
show(FILE *stat)
{
	char line[1024], *name, *end, *p;
	unsigned long user, kernel;

	if (fgets(line, sizeof(line), stat) == NULL ||
	    (name = strchr(line, '(')) == NULL ||
	    (end = strrchr(name, ')')) == NULL ||
	    sscanf(end, ") %*c %*s %*s %*s %*s %*s %*s %*s %*s %*s %*s %lu %lu",
		&user, &kernel) != 2)
		return;
	*end = '\0';
	for (p = ++name; *p != '\0'; p++)
		if (!isprint((unsigned char)*p))
			*p = '?'; /* it is the container's */
	printf("%7u %5lu %s\n", (unsigned)atoi(line),
	    since((unsigned)atoi(line), user + kernel), name);
}

/* The action: runs in the container, each time in the same process. */
static int
processes(void)
{
	static DIR *proc;
	struct dirent *entry;
	char path[300];
	FILE *stat;

	if (proc == NULL && (proc = opendir("/proc")) == NULL)
		err(1, "/proc");
	rewinddir(proc);
	while ((entry = readdir(proc)) != NULL) {
		if (!isdigit((unsigned char)*entry->d_name))
			continue;
		snprintf(path, sizeof(path), "/proc/%s/stat", entry->d_name);
		if ((stat = fopen(path, "r")) == NULL)
			continue; /* it has ended */
		show(stat);
		fclose(stat);
	}
	return 0;
}

int
main(int argc, char *argv[])
{
	const struct timespec half_a_second = { 0, 500000000 };
	struct gons_reexec *req;
	int times;

	if (gons_reexec_register("processes", processes) == -1)
		err(1, "gons_reexec_register");
	gons_reexec_check();

	if (argc < 2)
		errx(1, "usage: top-in PID [TIMES]");
	times = argc > 2 ? atoi(argv[2]) : -1;
	if ((req = gons_reexec_new("processes")) == NULL ||
	    gons_reexec_targetpid(req, atoi(argv[1]), 0) == -1 ||
	    gons_reexec_settimeout(req, 2000) == -1 ||
	    gons_reexec_setflags(
		req, GONS_REEXEC_STAY | GONS_REEXEC_STDERR_KEEP) == -1)
		err(1, "%s", argv[1]);
	while (gons_reexec_run(req) == 0) {
		if (isatty(STDOUT_FILENO))
			printf("\033[H\033[J");
		printf("%7s %5s %s\n%s", "PID", "TICKS", "NAME",
		    (const char *)gons_reexec_result(req, NULL));
		fflush(stdout);
		if (times > 0 && --times == 0)
			break;
		nanosleep(&half_a_second, NULL);
	}
	if (gons_reexec_error(req) != NULL)
		warnx("%s", gons_reexec_error(req));
	times = gons_reexec_failure(req) != GONS_FAIL_NONE &&
		gons_reexec_failure(req) != GONS_FAIL_GONE;
	gons_reexec_free(req);
	return times;
}
