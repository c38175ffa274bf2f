/*
 * SPDX-License-Identifier: BSD-2-Clause
 *
 * Copyright (c) 2026 The libgons developers
 *
 * h_dlopen [-cmst] [-u other] library: loads libgons, and prints its status
 * and in which network and mount namespace each thread is then.
 *
 *	-c	the environment is cleared before
 *	-m	into a namespace of the dynamic linker's own
 *	-s	the environment is a copy, made by setenv(3)
 *	-t	while there is a second thread
 *	-u	another library is loaded before, and unloaded
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

static void
start_thread(void)
{
	pthread_t thread;

	if (pthread_barrier_init(&ready, NULL, 2) != 0 ||
	    pthread_create(&thread, NULL, live, NULL) != 0)
		exit(1);
	(void)pthread_barrier_wait(&ready);
}

static void *
load(const char *name, int apart)
{
	void *lib = apart ? dlmopen(LM_ID_NEWLM, name, RTLD_NOW)
			  : dlopen(name, RTLD_NOW);

	if (lib == NULL) {
		(void)fprintf(stderr, "h_dlopen: %s\n", dlerror());
		exit(1);
	}
	return lib;
}

static void
report(void *lib, int threads)
{
	const char *(*status)(void);
	unsigned (*joined)(void);
	void *sym;
	char **e;
	int left = 0;

	if ((sym = dlsym(lib, "gons_status")) == NULL)
		exit(1);
	memcpy(&status, &sym, sizeof(status));
	if ((sym = dlsym(lib, "gons_status_joined")) == NULL)
		exit(1);
	memcpy(&joined, &sym, sizeof(joined));
	show("", getpid(), "mnt");
	show("", getpid(), "net");
	if (threads) {
		show("other ", other, "mnt");
		show("other ", other, "net");
	}
	(void)printf("joined 0x%x\n", joined());
	for (e = environ; e != NULL && *e != NULL; e++)
		left += strncmp(*e, "gons_", 5) == 0;
	(void)printf("variables %d\n", left);
	(void)printf("status %s\n", status() != NULL ? status() : "-");
}

int
main(int argc, char *argv[])
{
	int apart = 0, c, threads = 0;

	while ((c = getopt(argc, argv, "cmstu:")) != -1)
		switch (c) {
		case 'c':
			(void)clearenv();
			break;
		case 'm':
			apart = 1;
			break;
		case 's':
			(void)setenv("ANOTHER", "1", 1);
			break;
		case 't':
			threads = 1;
			start_thread();
			break;
		case 'u':
			(void)dlclose(load(optarg, 0));
			break;
		default:
			return 1;
		}
	report(load(argv[optind], apart), threads);
	return 0;
}
