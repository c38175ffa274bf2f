/*
 * SPDX-License-Identifier: BSD-2-Clause
 *
 * Copyright (c) 2026 The libgons developers
 *
 * What visits cost: against the same by hand, against going there and back in
 * the calling thread, as it is usually done, and for a thousand network
 * namespaces against children.  Root only.
 */

#include <sys/mount.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>

#include <err.h>
#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <sched.h>
#include <string.h>
#include <unistd.h>

#include <gons.h>

#include "bench.h"

#ifndef SYS_openat2
#define SYS_openat2 437
#endif
#define MANY 1000
#define HOPS 100
#define SECONDS 5 /* for each group */
#define SPARES 64
#define DEEP "usr/share/zoneinfo/Europe/Berlin"
#define SHORT "etc/passwd"

static char path[64]; /* of a network namespace */
static int home, root, sockets;
static int many[MANY];

static int
nothing(void)
{
	return 0;
}

static int
stay(void *arg)
{
	(void)arg;
	return 0;
}

static void
enter(const char *ref)
{
	int fd = open(ref, O_RDONLY | O_CLOEXEC);

	if (fd == -1 || setns(fd, CLONE_NEWNET) == -1)
		err(1, "%s", ref);
	close(fd);
}

static int
in_thread(void *(*fn)(void *))
{
	pthread_t thread;

	return pthread_create(&thread, NULL, fn, NULL) != 0 ||
	       pthread_join(thread, NULL) != 0;
}

static void *
hand_visit_body(void *arg)
{
	enter(path);
	(void)stay(arg);
	return NULL;
}

static int
hand_visit(void *arg)
{
	(void)arg;
	return in_thread(hand_visit_body);
}

static int
visit(void *arg)
{
	struct gons_env env = { 0 };

	env.path[GONS_NET] = path;
	return gons_visit(&env, NULL, stay, arg, NULL, NULL);
}

static int
there_and_back(void *arg)
{
	enter(path);
	(void)stay(arg);
	return setns(home, CLONE_NEWNET);
}

static void *
hand_hops_body(void *arg)
{
	int i;

	for (i = 0; i < HOPS; i++)
		enter(path);
	return arg;
}

static int
hand_hops(void *arg)
{
	(void)arg;
	return in_thread(hand_hops_body);
}

static int
hops_body(void *arg)
{
	struct gons_env env = { 0 };
	struct gons_order order;
	int i;

	(void)arg;
	env.path[GONS_NET] = path;
	if (gons_order_parse("net", &order, NULL) == -1)
		return -1;
	for (i = 0; i < HOPS; i++)
		if (gons_switch(&env, &order, NULL) == -1)
			return -1;
	return 0;
}

static int
hops(void *arg)
{
	struct gons_env env = { 0 };
	int value = -1;

	return gons_visit(&env, NULL, hops_body, arg, &value, NULL) == -1
		   ? -1
		   : value;
}

static void *
hand_socket_body(void *arg)
{
	enter(path);
	sockets = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
	return arg;
}

static int
hand_socket(void *arg)
{
	(void)arg;
	if (in_thread(hand_socket_body) != 0)
		return -1;
	return close(sockets);
}

static int
lib_socket(void *arg)
{
	int fd = gons_socket(path, AF_INET, SOCK_STREAM, 0, NULL);

	(void)arg;
	return close(fd);
}

static int
hand_openat(void *arg)
{
	struct {
		uint64_t flags, mode, resolve;
	} how = { O_RDONLY | O_CLOEXEC | O_NOCTTY | O_NONBLOCK, 0, 0x12 };

	return close((int)syscall(SYS_openat2, root, arg, &how, sizeof(how)));
}

static int
lib_openat(void *arg)
{
	return close(gons_openat(root, arg, O_RDONLY));
}

static int
many_hops_body(void *arg)
{
	struct gons_env env = { 0 };
	struct gons_order order;
	char ref[32];
	int i;

	(void)arg;
	env.path[GONS_NET] = ref;
	if (gons_order_parse("net", &order, NULL) == -1)
		return -1;
	for (i = 0; i < MANY; i++) {
		(void)snprintf(ref, sizeof(ref), "/proc/self/fd/%d", many[i]);
		if (gons_switch(&env, &order, NULL) == -1)
			return -1;
	}
	return 0;
}

static int
many_hops(void *arg)
{
	struct gons_env env = { 0 };
	int value = -1;

	return gons_visit(&env, NULL, many_hops_body, arg, &value, NULL) == -1
		   ? -1
		   : value;
}

static int
many_visits(void *arg)
{
	struct gons_env env = { 0 };
	char ref[32];
	int i;

	env.path[GONS_NET] = ref;
	for (i = 0; i < MANY; i++) {
		(void)snprintf(ref, sizeof(ref), "fd:%d", many[i]);
		if (gons_visit(&env, NULL, stay, arg, NULL, NULL) == -1)
			return -1;
	}
	return 0;
}

static int
many_back(void *arg)
{
	int i;

	for (i = 0; i < MANY; i++)
		if (setns(many[i], CLONE_NEWNET) == -1 || stay(arg) != 0 ||
		    setns(home, CLONE_NEWNET) == -1)
			return -1;
	return 0;
}

static unsigned fresh = 0, prepared = GONS_REEXEC_PREPARED;

static int
many_children(void *arg)
{
	const unsigned *flags = arg;
	struct gons_reexec *req;
	char ref[32];
	int i;

	for (i = 0; i < MANY; i++) {
		(void)snprintf(ref, sizeof(ref), "fd:%d", many[i]);
		if ((req = gons_reexec_new("nothing")) == NULL ||
		    gons_reexec_setflags(req, *flags) == -1 ||
		    gons_reexec_namespace(req, "net", ref) == -1)
			err(1, "gons_reexec_new");
		if (gons_reexec_run(req) == -1)
			errx(1, "%s", gons_reexec_error(req));
		gons_reexec_free(req);
	}
	return 0;
}

static void *
make_many(void *arg)
{
	int i;

	for (i = 0; i < MANY; i++) {
		if (unshare(CLONE_NEWNET) == -1)
			err(1, "network namespace %d", i);
		many[i] =
		    open("/proc/thread-self/ns/net", O_RDONLY | O_CLOEXEC);
		if (many[i] == -1)
			err(1, "/proc/thread-self/ns/net");
	}
	return arg;
}

/* A root file system as containers have it: an overlay. */
static int
container_root(void)
{
	int fd;

	if (unshare(CLONE_NEWNS) == -1 ||
	    mount(NULL, "/", NULL, MS_REC | MS_PRIVATE, NULL) == -1 ||
	    mkdir("up", 0755) == -1 || mkdir("work", 0755) == -1 ||
	    mkdir("root", 0755) == -1 ||
	    mount("overlay", "root", "overlay", 0,
		"lowerdir=/,upperdir=up,workdir=work") == -1)
		return -1;
	fd = open("root", O_PATH | O_DIRECTORY | O_CLOEXEC);
	(void)umount2("root", MNT_DETACH);
	return fd;
}

static void
pairs(const char *title, struct contender *c, int n)
{
	bench_take_turns(c, n, SECONDS, 0);
	bench_title(title, "/ first");
	bench_print(c, n);
}

static void
singles(void)
{
	static struct contender visits[] = {
		{ .name = "pthread_create, setns, fn, join",
		    .once = hand_visit,
		    .times = 20 },
		{ .name = "gons_visit",
		    .once = visit,
		    .times = 20,
		    .goal = 1.25 },
		{ .name = "setns, fn, setns back",
		    .once = there_and_back,
		    .times = 20 },
	};
	static struct contender hopping[] = {
		{ .name = "open, setns, close",
		    .once = hand_hops,
		    .runs = HOPS },
		{ .name = "gons_switch in a visit",
		    .once = hops,
		    .runs = HOPS,
		    .goal = 1.15 },
	};
	static struct contender socketing[] = {
		{ .name = "the same by hand",
		    .once = hand_socket,
		    .times = 20 },
		{ .name = "gons_socket",
		    .once = lib_socket,
		    .times = 20,
		    .goal = 1.30 },
	};

	pairs("a function in a network namespace", visits, 3);
	pairs("one namespace more", hopping, 2);
	pairs("a socket", socketing, 2);
}

static void
opening(const char *title, char *name, double goal)
{
	struct contender c[] = {
		{ .name = "openat2", .once = hand_openat, .times = 100 },
		{ .name = "gons_openat", .once = lib_openat, .times = 100 },
	};

	c[0].arg = c[1].arg = name;
	c[1].goal = goal;
	pairs(title, c, 2);
}

static void
thousand(void)
{
	static struct contender c[] = {
		{ .name = "prepared children, 64 spares",
		    .once = many_children,
		    .arg = &prepared },
		{ .name = "gons_visit, gons_switch in it",
		    .once = many_hops,
		    .goal = 1.0 / 15 },
		{ .name = "gons_visit for each",
		    .once = many_visits,
		    .goal = 1.0 / 15 },
		{ .name = "setns, fn, setns back", .once = many_back },
		{ .name = "fresh children",
		    .once = many_children,
		    .arg = &fresh },
	};

	bench_take_turns(c, 5, SECONDS, 300000);
	bench_title("a thousand network namespaces", "/ first");
	bench_print(c, 5);
}

int
main(void)
{
	static char deep[] = DEEP, brief[] = SHORT;
	struct rlimit limit = { 4096, 4096 };
	pthread_t thread;

	if (gons_reexec_register("nothing", nothing) == -1)
		err(1, "gons_reexec_register");
	gons_reexec_check();
	if (geteuid() != 0) {
		printf("visits: not measured, needs root\n");
		return 0;
	}
	(void)setrlimit(RLIMIT_NOFILE, &limit);
	if (gons_reexec_prepare() == -1 || gons_reexec_setspares(SPARES) == -1)
		err(1, "gons_reexec_prepare");
	if (pthread_create(&thread, NULL, make_many, NULL) != 0 ||
	    pthread_join(thread, NULL) != 0)
		errx(1, "no thread");
	(void)snprintf(path, sizeof(path), "/proc/self/fd/%d", many[0]);
	home = open("/proc/self/ns/net", O_RDONLY | O_CLOEXEC);
	singles();
	thousand();
	if ((root = container_root()) == -1)
		root = open("/", O_PATH | O_DIRECTORY | O_CLOEXEC);
	if (faccessat(root, DEEP, F_OK, 0) == -1)
		(void)strcpy(deep, SHORT);
	opening("a file of a container", deep, 2.50);
	opening("a file with a short path", brief, 0);
	return 0;
}
