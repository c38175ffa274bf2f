/*
 * SPDX-License-Identifier: BSD-2-Clause
 *
 * Copyright (c) 2026 The libgons developers
 *
 * h_dlopen [-t] library: loads libgons, with -t while there is a second
 * thread, and prints its status and in which network and mount namespace each
 * thread is then.
 */

#include <sys/syscall.h>

#include <dlfcn.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

extern char **environ;

static pid_t other;
static pthread_barrier_t ready;

static void *
live(void *arg)
{
	other = (pid_t)syscall(SYS_gettid);
	(void)pthread_barrier_wait(&ready);
	for (;;)
		(void)pause();
	return arg;
}

static void
show(const char *who, pid_t tid, const char *type)
{
	char path[64], name[64];
	ssize_t len;

	(void)snprintf(
	    path, sizeof(path), "/proc/self/task/%ld/ns/%s", (long)tid, type);
	if ((len = readlink(path, name, sizeof(name) - 1)) == -1)
		len = 0;
	name[len] = '\0';
	(void)printf("%s%s %s\n", who, type, name);
}

int
main(int argc, char *argv[])
{
	const char *(*status)(void);
	unsigned (*joined)(void);
	pthread_t thread;
	void *lib, *sym;
	char **e;
	int left = 0;

	if (argc > 2) {
		if (pthread_barrier_init(&ready, NULL, 2) != 0 ||
		    pthread_create(&thread, NULL, live, NULL) != 0)
			return 1;
		(void)pthread_barrier_wait(&ready);
	}
	if ((lib = dlopen(argv[argc - 1], RTLD_NOW)) == NULL) {
		(void)fprintf(stderr, "h_dlopen: %s\n", dlerror());
		return 1;
	}
	if ((sym = dlsym(lib, "gons_status")) == NULL)
		return 1;
	memcpy(&status, &sym, sizeof(status));
	if ((sym = dlsym(lib, "gons_status_joined")) == NULL)
		return 1;
	memcpy(&joined, &sym, sizeof(joined));
	show("", getpid(), "mnt");
	show("", getpid(), "net");
	if (argc > 2) {
		show("other ", other, "mnt");
		show("other ", other, "net");
	}
	(void)printf("joined 0x%x\n", joined());
	for (e = environ; *e != NULL; e++)
		left += strncmp(*e, "gons_", 5) == 0;
	(void)printf("variables %d\n", left);
	(void)printf("status %s\n", status() != NULL ? status() : "-");
	return 0;
}
