/*
 * SPDX-License-Identifier: BSD-2-Clause
 *
 * Copyright (c) 2026 The libgons developers
 *
 * Many runs from many threads in children that are fresh, prepared or stay, a
 * good part of which go wrong on purpose: soak_reexec [SECONDS].  The
 * environment: SOAK_RUNS (20000) and SOAK_THREADS (16).  Each outcome has to be
 * the one that was provoked.  Among them are replies with descriptors, several
 * runs at a time in a gons_multi, visits, sockets and files of namespaces, and
 * threads that are cancelled.  In a second part, a quarter as long, processes of
 * the library are killed at random and limits shrink for moments: a run may fail
 * of that then, but none may bring a wrong result.  At the end: runs by kind, and
 * what the process holds before and after; it fails if that has grown, or if any
 * process is left.
 */

#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/wait.h>

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <malloc.h>
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
#define KEPT 4096 /* bytes that malloc(3) and threads may keep */
#define PARAM "soak"
#define AT_ONCE 4 /* runs in a gons_multi */
#define IN_A_ROW 3 /* runs of a child that stays */
#define SEEN 42 /* by a visit */
#define FEW 40 /* descriptors, and processes, when limits have shrunk */
#define PATIENCE 1000 /* looks at what is left, 10 ms each */

struct sort {
	const char *name, *action;
	int weight; /* of 100 */
	int failure, errnum;
	int timeout; /* ms, or -1 */
	int kill; /* by gons_reexec_kill() */
	const char *ref; /* of a network namespace */
	unsigned flags;
};

static const struct sort sorts[] = {
	{ "success", "echo", 58, 0, 0, -1, 0, NULL, 0 },
	{ "success, in a namespace", "echo", 10, 0, 0, -1, 0,
	    "/proc/self/ns/net", 0 },
	{ "exit status", "exits", 6, GONS_FAIL_EXIT, EIO, -1, 0, NULL, 0 },
	{ "crash", "crash", 4, GONS_FAIL_SIGNAL, EIO, -1, 0, NULL, 0 },
	{ "stderr", "complain", 4, GONS_FAIL_STDERR, EIO, -1, 0, NULL, 0 },
	{ "flood", "flood", 4, GONS_FAIL_SIZE, EMSGSIZE, -1, 0, NULL, 0 },
	{ "timeout", "sleep", 2, GONS_FAIL_TIMEOUT, ETIMEDOUT, 300, 0, NULL,
	    0 },
	{ "kill", "sleep", 3, GONS_FAIL_KILLED, ECANCELED, -1, 1, NULL, 0 },
	{ "bad namespace", "echo", 3, GONS_FAIL_START, ENOENT, -1, 0,
	    "/no/such/namespace", 0 },
	{ "descriptor", "reply", 6, 0, 0, -1, 0, NULL, GONS_REEXEC_REPLY },
};
#define NSORTS (sizeof(sorts) / sizeof(*sorts))

enum kind {
	FRESH,
	PREPARED,
	STAYING,
	NKINDS
};

static long todo, done[NSORTS][NKINDS], wrong, late;
static long many, visits, sockets, files, cancelled; /* not in done */
static long kills, shrunk, disturbed; /* of the second part */
static int is_disturbed;
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
reply(void)
{
	return gons_reexec_replyfd(STDIN_FILENO) == -1 ||
	       gons_reexec_reply(PARAM, sizeof(PARAM)) == -1;
}

static int
set_up(struct gons_reexec *req, const struct sort *sort, unsigned flags)
{
	return gons_reexec_setflags(req, flags | sort->flags) == -1 ||
	       gons_reexec_setmaxfds(req, 1) == -1 ||
	       gons_reexec_param(req, PARAM, sizeof(PARAM)) == -1 ||
	       gons_reexec_setmaxresult(req, 10000) == -1 ||
	       gons_reexec_settimeout(req, sort->timeout) == -1 ||
	       (sort->ref != NULL &&
		   gons_reexec_namespace(req, "net", sort->ref) == -1);
}

static void
count(long *n)
{
	__atomic_add_fetch(n, 1, __ATOMIC_RELAXED);
}

/* What a run may fail of whose process was killed, or that found no room. */
static int
is_excused(int failure)
{
	return __atomic_load_n(&is_disturbed, __ATOMIC_RELAXED) &&
	       (failure == GONS_FAIL_START || failure == GONS_FAIL_SIGNAL ||
		   failure == GONS_FAIL_RESULT);
}

static void
judge(const struct sort *sort, struct gons_reexec *req, int errnum)
{
	int failure = gons_reexec_failure(req), fd;
	int differs = failure != sort->failure || errnum != sort->errnum;
	size_t len;
	const void *result = gons_reexec_result(req, &len);

	if (differs && is_excused(failure)) {
		count(&disturbed);
		return;
	}
	if (differs ||
	    (failure == 0 && (len != sizeof(PARAM) ||
				 memcmp(result, PARAM, sizeof(PARAM)) != 0))) {
		count(&wrong);
		(void)fprintf(stderr, "%s: failure %d, %s, %s\n", sort->name,
		    failure, strerror(errnum), gons_reexec_error(req));
	}
	if (failure != 0 || (sort->flags & GONS_REEXEC_REPLY) == 0)
		return;
	if ((fd = gons_reexec_takefd(req, 0)) != -1)
		(void)close(fd);
	else if (!__atomic_load_n(&is_disturbed, __ATOMIC_RELAXED))
		count(&wrong);
}

static struct gons_reexec *
request(const struct sort *sort, unsigned flags)
{
	struct gons_reexec *req = gons_reexec_new(sort->action);

	if (req == NULL || set_up(req, sort, flags))
		abort();
	return req;
}

static void
once(const struct sort *sort, struct gons_reexec *req)
{
	int errnum = 0, r = -1;

	if (gons_reexec_start(req) == 0) {
		if (sort->kill)
			(void)gons_reexec_kill(req);
		r = gons_reexec_wait(req);
	}
	if (r == -1)
		errnum = errno;
	judge(sort, req, errnum);
}

static void
some_runs(size_t sort, unsigned flags)
{
	struct gons_reexec *req = request(&sorts[sort], flags);
	int i, runs = flags & GONS_REEXEC_STAY ? IN_A_ROW : 1;
	enum kind kind = flags & GONS_REEXEC_STAY	? STAYING
			 : flags & GONS_REEXEC_PREPARED ? PREPARED
							: FRESH;

	for (i = 0; i < runs; i++) {
		once(&sorts[sort], req);
		count(&done[sort][kind]);
	}
	gons_reexec_free(req);
}

/* Several at a time, of the first sort. */
static void
at_once(unsigned flags)
{
	struct gons_multi *multi = gons_multi_new(2);
	struct gons_reexec *req;
	int i;

	for (i = 0; multi != NULL && i < AT_ONCE; i++) {
		req = request(&sorts[0], flags);
		if (gons_multi_add(multi, req) == -1)
			abort();
	}
	while (multi != NULL && (req = gons_multi_next(multi, -1)) != NULL) {
		judge(&sorts[0], req, 0);
		gons_reexec_free(req);
		count(&many);
	}
	if (multi != NULL)
		gons_multi_free(multi);
	else if (!__atomic_load_n(&is_disturbed, __ATOMIC_RELAXED))
		count(&wrong);
}

static int
look(void *seen)
{
	*(int *)seen = SEEN;
	return SEEN;
}

/* A visit whose function was called has to have its value. */
static void
one_visit(void)
{
	static char net[] = "/proc/self/ns/net";
	struct gons_env env = { 0 };
	int seen = 0, value = 0, r;

	env.path[GONS_NET] = net;
	r = gons_visit(&env, NULL, look, &seen, &value, NULL);
	count(&visits);
	if (r == -1
		? seen != 0 || !__atomic_load_n(&is_disturbed, __ATOMIC_RELAXED)
		: seen != SEEN || value != SEEN)
		count(&wrong);
}

static void
opened(int fd)
{
	if (fd != -1)
		(void)close(fd);
	else if (!__atomic_load_n(&is_disturbed, __ATOMIC_RELAXED))
		count(&wrong);
}

static void
one_socket(void)
{
	opened(gons_socket(
	    "/proc/self/ns/net", AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0, NULL));
	count(&sockets);
}

static void
one_file(void)
{
	int root = gons_root("/proc/self/ns/mnt", NULL);

	if (root != -1)
		opened(gons_openat(root, "proc/version", O_RDONLY));
	opened(root);
	count(&files);
}

static void
free_request(void *req)
{
	gons_reexec_free(req);
}

static void *
run_on(void *req)
{
	pthread_cleanup_push(free_request, req);
	(void)gons_reexec_run(req);
	pthread_testcancel();
	pthread_cleanup_pop(1);
	return NULL;
}

static void
one_cancelled(unsigned flags)
{
	struct gons_reexec *req = request(&sorts[0], flags);
	pthread_t thread;

	if (pthread_create(&thread, NULL, run_on, req) != 0) {
		gons_reexec_free(req);
		return;
	}
	(void)pthread_cancel(thread);
	(void)pthread_join(thread, NULL);
	count(&cancelled);
}

/* Is it this program, in another process? */
static pid_t
is_ours(const char *name)
{
	char path[64];
	struct stat me, it;
	pid_t pid = (pid_t)atoi(name);

	(void)snprintf(path, sizeof(path), "/proc/%d/exe", (int)pid);
	return pid > 0 && pid != getpid() && stat("/proc/self/exe", &me) == 0 &&
		       stat(path, &it) == 0 && it.st_dev == me.st_dev &&
		       it.st_ino == me.st_ino
		   ? pid
		   : 0;
}

/* Our processes; one of them gets the signal, at random. */
static int
signal_one(int signo, unsigned *seed)
{
	pid_t pid, found = 0;
	struct dirent *d;
	DIR *dir = opendir("/proc");
	int n = 0;

	while (dir != NULL && (d = readdir(dir)) != NULL)
		if ((pid = is_ours(d->d_name)) != 0 && rand_r(seed) % ++n == 0)
			found = pid;
	if (dir != NULL)
		(void)closedir(dir);
	if (found != 0 && signo != 0)
		(void)kill(found, signo);
	return n;
}

static void
shrink(int what, unsigned *seed)
{
	struct rlimit was, less;

	if (getrlimit(what, &was) == -1)
		return;
	less = was;
	less.rlim_cur = FEW + (rlim_t)rand_r(seed) % FEW;
	if (less.rlim_cur > was.rlim_cur || setrlimit(what, &less) == -1)
		return;
	(void)usleep(2000);
	(void)setrlimit(what, &was);
	shrunk++;
}

static void *
disturb(void *unused)
{
	unsigned seed = 1;

	(void)unused;
	while (__atomic_load_n(&is_disturbed, __ATOMIC_RELAXED)) {
		if (rand_r(&seed) % 4 == 0)
			shrink(rand_r(&seed) % 2 ? RLIMIT_NOFILE : RLIMIT_NPROC,
			    &seed);
		else if (signal_one(SIGKILL, &seed) > 0)
			kills++;
		(void)usleep(5000);
	}
	return NULL;
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
		if (rand_r(&seed) % 3 == 0)
			flags |= GONS_REEXEC_STAY;
		if (rand_r(&seed) % 8 == 0)
			flags |= GONS_REEXEC_DIE_WITH_PARENT;
		if (rand_r(&seed) % 32 == 0)
			at_once(flags);
		if (rand_r(&seed) % 16 == 0)
			one_socket();
		if (rand_r(&seed) % 16 == 0)
			one_visit();
		if (rand_r(&seed) % 16 == 0)
			one_file();
		if (rand_r(&seed) % 32 == 0)
			one_cancelled(flags);
		some_runs(i, flags);
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
from_status(const char *name)
{
	char line[128];
	long value = 0;
	size_t len = strlen(name);
	FILE *f = fopen("/proc/self/status", "re");

	while (f != NULL && fgets(line, sizeof(line), f) != NULL)
		if (strncmp(line, name, len) == 0)
			value = atol(line + len);
	if (f != NULL)
		(void)fclose(f);
	return value;
}

static long
number(const char *name, const char *text, long otherwise)
{
	char *end;
	long n;

	if (text == NULL || *text == '\0')
		return otherwise;
	n = strtol(text, &end, 10);
	if (*end == '\0' && n > 0)
		return n;
	(void)fprintf(stderr, "soak_reexec: %s=%s: not a number of 1 or more\n",
	    name, text);
	exit(2);
}

static int
register_all(void)
{
	return gons_reexec_register("echo", echo) == -1 ||
	       gons_reexec_register("exits", exits) == -1 ||
	       gons_reexec_register("crash", crash) == -1 ||
	       gons_reexec_register("complain", complain) == -1 ||
	       gons_reexec_register("flood", flood) == -1 ||
	       gons_reexec_register("reply", reply) == -1 ||
	       gons_reexec_register("sleep", forever) == -1;
}

/* What the process holds. */
struct held {
	int fds;
	long threads, resident; /* KiB */
	size_t allocated; /* bytes, or 0 where libc does not tell */
};

static size_t
allocated(void)
{
#ifdef __GLIBC__
#if __GLIBC_PREREQ(2, 33)
	return mallinfo2().uordblks;
#endif
#endif
	return 0;
}

static struct held
holds(void)
{
	struct held h = { count_fds(), from_status("Threads:"),
		from_status("VmRSS:"), allocated() };

	return h;
}

static int failed;

static void
fail_if(int cond, const char *why)
{
	if (cond)
		(void)fprintf(stderr, "soak_reexec: %s\n", why);
	failed |= cond;
}

static void
compare(const struct held *before, const struct held *after)
{
	fail_if(after->fds != before->fds, "other descriptors than before");
	fail_if(after->threads != before->threads, "threads are left");
	fail_if(after->resident > before->resident + GROWTH,
	    "more resident memory than before");
	fail_if(after->allocated > before->allocated + KEPT,
	    "more memory allocated than before");
}

/* Without anything that is disturbed, then with it. */
static void
work_twice(long runs, long threads)
{
	pthread_t thread;

	work_all(runs, threads);
	is_disturbed = 1;
	if (pthread_create(&thread, NULL, disturb, NULL) != 0)
		abort();
	work_all(runs / 4, threads);
	__atomic_store_n(&is_disturbed, 0, __ATOMIC_RELAXED);
	(void)pthread_join(thread, NULL);
}

/* How many processes are left when none has a reason to be. */
static int
processes_left(void)
{
	unsigned seed = 1;
	int i, n;

	gons_reexec_unprepare();
	for (i = 0; (n = signal_one(0, &seed)) > 0 && i < PATIENCE; i++)
		(void)usleep(10000);
	return n;
}

static void
show(const struct held *before, const struct held *after, int left)
{
	long total = 0;
	size_t i, kind;

	(void)printf("%8s %8s %8s\n", "fresh", "prepared", "staying");
	for (i = 0; i < NSORTS; i++) {
		for (kind = 0; kind < NKINDS; kind++) {
			(void)printf("%8ld ", done[i][kind]);
			total += done[i][kind];
		}
		(void)printf("%s\n", sorts[i].name);
	}
	(void)printf("%8ld runs, %ld left out for want of time, %ld wrong\n",
	    total, late, wrong);
	(void)printf("beside them %ld in a multi, %ld visits, %ld sockets, "
		     "%ld files, %ld threads cancelled\n",
	    many, visits, sockets, files, cancelled);
	(void)printf(
	    "%ld processes killed, %ld times less limits, of which %ld "
	    "runs failed\n",
	    kills, shrunk, disturbed);
	(void)printf("before and after: descriptors %d, %d; threads %ld, %ld; "
		     "resident %ld, %ld KiB; allocated %zu, %zu bytes; "
		     "processes left: %d\n",
	    before->fds, after->fds, before->threads, after->threads,
	    before->resident, after->resident, before->allocated,
	    after->allocated, left);
}

int
main(int argc, char **argv)
{
	long seconds = number("SECONDS", argc > 1 ? argv[1] : NULL, 600);
	long runs = number("SOAK_RUNS", getenv("SOAK_RUNS"), 20000);
	long threads = number("SOAK_THREADS", getenv("SOAK_THREADS"), 16);
	struct held before, after;
	int children, left;

	if (register_all())
		return 1;
	gons_reexec_check();
	until = time(NULL) + seconds;
	work_all(WARM_UP, threads);
	left = processes_left();
	before = holds();
	(void)memset(done, 0, sizeof(done));
	work_twice(runs, threads);
	left += processes_left();
	children = waitpid(-1, NULL, WNOHANG | __WALL) != -1;
	after = holds();
	show(&before, &after, left);
	fail_if(wrong != 0, "wrong outcomes");
	fail_if(done[0][FRESH] == 0, "no run in that time");
	fail_if(left != 0, "processes are left");
	fail_if(children, "children are left");
	compare(&before, &after);
	return failed;
}
