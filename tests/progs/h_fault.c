/*
 * SPDX-License-Identifier: BSD-2-Clause
 *
 * Copyright (c) 2026 The libgons developers
 *
 * What fault_test lets fail.  "h_fault start": looks at what start-up has left
 * behind; "h_fault check": faults happen when the program gets ready to start
 * children; "h_fault run KIND": runs an action twice, faults happening the first
 * time; "h_fault visit KIND": visits twice, faults happening in the host or in
 * the thread; "h_fault merge DST SRC": merges; "h_fault served mnt": as "run",
 * and faults happen from gons_reexec_check(3) on, in a program that start-up
 * has taken into a mount namespace, so that a server is forked there.  Marks
 * (see MARK) tell the supervisor when to begin and to end.  Allocations fail
 * here: the library's calls come to the functions named __wrap_, which count.
 *
 * Prints "outcome ok" or "outcome error TEXT", "fired 1" if an allocation has
 * failed, and "problem TEXT" for everything that must not be.
 */

#include <sys/auxv.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/wait.h>

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <pthread.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <gons.h>

#include "counts.h"

#define CHECK_KEEPS 4 /* descriptors, see gons_reexec(3) */
#define MARK 0x676f6e73
#define PARAM "what the action is told"

void *__real_malloc(size_t);
void *__real_calloc(size_t, size_t);
void *__real_realloc(void *, size_t);
void __real_free(void *);
void *__wrap_malloc(size_t);
void *__wrap_calloc(size_t, size_t);
void *__wrap_realloc(void *, size_t);
int __wrap_vasprintf(char **, const char *, va_list)
    __attribute__((format(printf, 2, 0)));
void __wrap_free(void *);

static long fail_at, allocations; /* fail_at 0: none */
static long child_fail_at; /* the same, of a process that is forked off */
static long live; /* what is not freed yet */
static int fired;
static int mute; /* something without a text has failed, no request */
static int inside; /* of calloc(3), which calls malloc(3) in some libc */
static int problems;
static int kept; /* a descriptor for the children */

static int
alloc_fails(void)
{
	int fd;

	if (fail_at == 0 || ++allocations != fail_at)
		return 0;
	fired = 1;
	if ((fd = open("fired", O_CREAT | O_CLOEXEC, 0600)) != -1)
		close(fd);
	errno = ENOMEM;
	return 1;
}

static void *
counted(void *p)
{
	live += p != NULL;
	return p;
}

void *
__wrap_malloc(size_t len)
{
	if (inside)
		return __real_malloc(len);
	return alloc_fails() ? NULL : counted(__real_malloc(len));
}

void *
__wrap_calloc(size_t n, size_t len)
{
	void *p;

	if (alloc_fails())
		return NULL;
	inside = 1;
	p = __real_calloc(n, len);
	inside = 0;
	return counted(p);
}

void *
__wrap_realloc(void *p, size_t len)
{
	int again = p != NULL;

	if (alloc_fails())
		return NULL;
	p = counted(__real_realloc(p, len));
	live -= p != NULL && again;
	return p;
}

int
__wrap_vasprintf(char **text, const char *fmt, va_list ap)
{
	va_list again;
	int len;

	va_copy(again, ap);
	len = vsnprintf(NULL, 0, fmt, again);
	va_end(again);
	if (alloc_fails() || (*text = __real_malloc((size_t)len + 1)) == NULL)
		return -1;
	live++;
	return vsnprintf(*text, (size_t)len + 1, fmt, ap);
}

void
__wrap_free(void *p)
{
	live -= p != NULL;
	__real_free(p);
}

static void
problem(const char *fmt, ...)
{
	va_list ap;

	problems++;
	printf("problem ");
	va_start(ap, fmt);
	vprintf(fmt, ap);
	va_end(ap);
	printf("\n");
}

static void
mark(int on)
{
	(void)prctl(MARK, on, 0, 0, 0);
}

/* The run time for coverage works at the end: that is not the library. */
void
counts_begin(void)
{
	mark(0);
	fail_at = 0;
}

static int
count_fds(void)
{
	int fd, n = 0;

	for (fd = 0; fd < 256; fd++)
		n += fcntl(fd, F_GETFD) != -1;
	return n;
}

static void
check_text(const char *text)
{
	const unsigned char *p = (const unsigned char *)text;

	if (strncmp(text, "gons: ", 6) != 0 || strlen(text) < 12)
		problem("odd text: %s", text);
	for (; *p != '\0'; p++)
		if (*p < ' ' || *p == 0x7f)
			problem("not one line: %s", text);
}

/* The variable FAULT_ALLOC: "host:N" or "child:N". */
static void
arm(const char *who)
{
	const char *what = getenv("FAULT_ALLOC");
	size_t len = strlen(who);

	if (what != NULL && strncmp(what, who, len) == 0 && what[len] == ':')
		fail_at = atol(what + len + 1);
}

/* Of the variables only those are left that start-up does not take. */
static int
after_start(void)
{
	const char *text;
	int n = count_fds();
	char **e;

	arm("host");
	text = gons_status();
	fail_at = 0;
	if (text != NULL)
		check_text(text);
	text = gons_status();
	if (n != 3)
		problem("%d descriptors", n);
	for (e = environ; *e != NULL; e++)
		if (strncmp(*e, "gons_", 5) == 0)
			problem("left: %s", *e);
	if ((text == NULL) != (gons_status_error() == NULL))
		problem("text without error, or the reverse");
	if (text != NULL) {
		check_text(text);
		if (gons_status_error()->errnum <= 0)
			problem("errno %d", gons_status_error()->errnum);
		printf("outcome error %s\n", text);
	} else {
		printf("outcome ok %#x\n", gons_status_joined());
	}
	return problems;
}

static int
copy(int reply)
{
	char buf[256];
	ssize_t n;

	mark(0);
	n = read(STDIN_FILENO, buf, sizeof(buf));
	mark(1);
	if (n < 0)
		return 1;
	if (reply)
		return gons_reexec_reply(buf, (size_t)n) == 0 ? 0 : 2;
	mark(0);
	n = write(STDOUT_FILENO, buf, (size_t)n);
	mark(1);
	return n < 0 ? 3 : 0;
}

static int
action_copy(void)
{
	return copy(0);
}

static int
action_reply(void)
{
	return copy(1);
}

/* Has to be stopped: the result is there, but it does not end. */
static int
action_linger(void)
{
	if (copy(0) != 0)
		return 4;
	mark(0);
	close(STDOUT_FILENO);
	for (;;)
		pause();
}

static const struct kind {
	const char *name, *action;
	unsigned flags;
	int fds; /* that stay open: of the process, not of the request */
	int failure; /* that is to be expected */
	const char *type;
} kinds[] = {
	{ "plain", "copy", 0, 0, 0, NULL },
	{ "counted", "copy", 0, 0, 0, NULL },
	{ "stepped", "copy", 0, 0, 0, NULL },
	{ "stepped_linger", "linger", 0, 0, 0, NULL },
	{ "multi", "copy", 0, 0, 0, NULL },
	{ "multi_prepared", "copy", GONS_REEXEC_PREPARED, 3, 0, NULL },
	{ "namespace", "copy", 0, 0, 0, "net" },
	{ "early", "copy", 0, 0, 0, "!uts" },
	{ "pid", "copy", 0, 0, 0, "pid" },
	{ "target", "copy", 0, 0, 0, "target" },
	{ "reply", "reply", GONS_REEXEC_REPLY, 0, 0, NULL },
	{ "sealed", "copy", GONS_REEXEC_SEALED, 1, 0, NULL },
	{ "pass", "copy", GONS_REEXEC_STDERR_PASS, 0, 0, NULL },
	{ "die", "copy", GONS_REEXEC_DIE_WITH_PARENT, 0, 0, NULL },
	{ "linger", "linger", 0, 0, 0, NULL },
	{ "linger_die", "linger", GONS_REEXEC_DIE_WITH_PARENT, 0, 0, NULL },
	{ "prepared", "copy", GONS_REEXEC_PREPARED, 3, 0, NULL },
	{ "prepared_reply", "reply", GONS_REEXEC_PREPARED | GONS_REEXEC_REPLY,
	    3, 0, "net" },
	{ "prepared_pid", "copy", GONS_REEXEC_PREPARED, 3, 0, "pid" },
	{ "prepared_linger", "linger", GONS_REEXEC_PREPARED, 3, 0, NULL },
	{ "stay", "copy", GONS_REEXEC_STAY, 0, 0, NULL },
	{ "stay_reply", "reply", GONS_REEXEC_STAY | GONS_REEXEC_REPLY, 0, 0,
	    NULL },
	{ "stay_pid", "copy", GONS_REEXEC_STAY, 0, 0, "pid" },
	{ "stay_prepared", "copy", GONS_REEXEC_STAY | GONS_REEXEC_PREPARED, 3,
	    0, NULL },
	{ "served", "copy", 0, CHECK_KEEPS + 3, 0, NULL },
};

static int
set_up(struct gons_reexec *req, const struct kind *kind)
{
	const char *ref = getenv("FAULT_REF"), *pid = getenv("FAULT_PIDFD");

	if (gons_reexec_setflags(req, kind->flags) == -1 ||
	    gons_reexec_setgrace(req, 50) == -1 ||
	    gons_reexec_setenv(req, "SOME", "value") == -1 ||
	    gons_reexec_keepfd(req, kept) == -1 ||
	    gons_reexec_param(req, PARAM, sizeof(PARAM)) == -1)
		return -1;
	if (kind->type == NULL)
		return 0;
	if (strcmp(kind->type, "target") == 0)
		return gons_reexec_target(
		    req, atoi(pid), GONS_BIT(GONS_NET) | GONS_BIT(GONS_UTS));
	if (strcmp(kind->type, "net") == 0 &&
	    gons_reexec_setorder(req, "net") == -1)
		return -1;
	return gons_reexec_namespace(req, kind->type, ref);
}

static void
check_result(const struct gons_reexec *req)
{
	size_t len;
	const char *result = gons_reexec_result(req, &len);

	if (gons_reexec_failure(req) != 0 || gons_reexec_error(req) != NULL)
		problem("success with failure %d, %s", gons_reexec_failure(req),
		    gons_reexec_error(req));
	if (result == NULL || len != sizeof(PARAM) ||
	    memcmp(result, PARAM, len) != 0)
		problem("success with %zu bytes", len);
	printf("outcome ok\n");
}

static void
check_failure(const struct gons_reexec *req, int r, int errnum)
{
	const char *text = gons_reexec_error(req);

	if (r != -1 || errnum <= 0)
		problem("returned %d, errno %d", r, errnum);
	if (text != NULL)
		check_text(text);
	else if (!fired && !mute)
		problem("failed without a text: %s", strerror(errnum));
	printf("outcome error %s\n", text != NULL ? text : strerror(errnum));
}

/* As hosts with an event loop do. */
static int
run_stepped(struct gons_reexec *req)
{
	struct pollfd p;
	int r;

	if (gons_reexec_start(req) == -1)
		return -1;
	p.fd = gons_reexec_fd(req);
	p.events = POLLIN;
	while ((r = gons_reexec_step(req)) == 0)
		(void)poll(&p, 1, -1);
	return r == 1 ? 0 : -1;
}

/*
 * Several requests, of which the first is looked at.  A shortage that is over
 * when another request has ended fails none of them.  Each comes back once.
 */
static int
run_multi(struct gons_reexec *req, const struct kind *kind)
{
	struct gons_multi *multi;
	struct gons_reexec *done, *more;
	int errnum, n = 0;

	mute = 1;
	if ((multi = gons_multi_new(2)) == NULL)
		return -1;
	if ((more = gons_reexec_new(kind->action)) == NULL ||
	    set_up(more, kind) == -1) {
		errnum = errno;
		gons_reexec_free(more);
		gons_multi_free(multi);
		errno = errnum;
		return -1;
	}
	mute = 0;
	if (gons_multi_add(multi, more) == -1 ||
	    gons_multi_add(multi, req) == -1)
		problem("gons_multi_add: %s", strerror(errno));
	while ((done = gons_multi_next(multi, -1)) != NULL)
		n++;
	if (errno != ENOENT || n != 2)
		problem("%d came back, %s", n, strerror(errno));
	gons_multi_free(multi);
	gons_reexec_free(more);
	return gons_reexec_wait(req);
}

/*
 * A child that stays is asked a second time, and ended.  In the host nothing
 * fails before that, for the first run is like one of any other kind.  In the
 * child the first run may fail.
 */
static int
run_again(struct gons_reexec *req)
{
	long at = fail_at;
	int r;

	mark(0);
	fail_at = 0;
	r = gons_reexec_run(req);
	fail_at = at;
	mark(1);
	return r == -1 ? -1 : gons_reexec_run(req);
}

static void
once(const struct kind *kind)
{
	struct gons_reexec *req;
	int errnum, r;

	if ((req = gons_reexec_new(kind->action)) == NULL) {
		printf("outcome error %s\n", strerror(errno));
		return;
	}
	r = set_up(req, kind);
	if (r == 0)
		r = strncmp(kind->name, "stepped", 7) == 0 ? run_stepped(req)
		    : strncmp(kind->name, "multi", 5) == 0
			? run_multi(req, kind)
		    : (kind->flags & GONS_REEXEC_STAY) != 0
			? run_again(req)
			: gons_reexec_run(req);
	errnum = errno;
	mark(0);
	fail_at = 0;
	if (r == 0)
		check_result(req);
	else
		check_failure(req, r, errnum);
	mark(1);
	gons_reexec_free(req);
	mark(0);
}

/* The library keeps a pool for good, and what it was made with. */
static long
remembered(const struct kind *kind)
{
	if (strcmp(kind->name, "served") == 0)
		return 3; /* and the program's arguments */
	return (kind->flags & GONS_REEXEC_PREPARED) != 0 ? 2 : 0;
}

static void
check_left(const struct kind *kind, int fds, long blocks)
{
	int now = count_fds(), r;

	if (now > fds + kind->fds)
		problem("%d descriptors, were %d", now, fds);
	if (live > blocks + remembered(kind))
		problem("%ld blocks of memory, were %ld", live, blocks);
	r = waitpid(-1, NULL, WNOHANG | __WALL);
	if (r != -1 || errno != ECHILD)
		problem("a child was left: waitpid %d, %s", r, strerror(errno));
}

/*
 * A request may fail while its prepared process is still being made, for one of
 * the next; and one that is given up has some time to end by itself.
 */
static void
settle(const struct kind *kind, int fds, long blocks)
{
	siginfo_t info;
	int tries = 0;

	if ((kind->flags & GONS_REEXEC_PREPARED) == 0)
		return;
	do {
		(void)gons_reexec_prepare();
		if (count_fds() <= fds + kind->fds &&
		    live <= blocks + remembered(kind) &&
		    waitid(P_ALL, 0, &info,
			WEXITED | WNOHANG | WNOWAIT | __WALL) == -1)
			return;
		(void)poll(NULL, 0, 50);
	} while (tries++ < 20);
}

static const struct kind *
find_kind(const char *name)
{
	const struct kind *kind = kinds;

	while (strcmp(kind->name, name) != 0)
		kind++;
	return kind;
}

static int
run(const char *name)
{
	const struct kind *kind = find_kind(name);
	long blocks = live;
	int fds = count_fds();

	arm("host");
	mark(1);
	once(kind);
	mark(0);
	fail_at = 0;
	settle(kind, fds, blocks);
	check_left(kind, fds, blocks);
	printf("fired %d\n", fired);
	/* A call that failed once does not go on failing. */
	unsetenv("FAULT_ALLOC");
	once(kind);
	check_left(kind, fds, blocks);
	if (live != blocks + remembered(kind))
		problem("%ld blocks of memory, were %ld, although all that is "
			"remembered is there",
		    live, blocks);
	return problems;
}

/* Those of the server and of its children count as if of one process. */
static void
arm_child(void)
{
	fail_at = child_fail_at;
}

/*
 * A server that has ended is not replaced, so the second request may fail, too,
 * but never without saying why.
 */
static int
served(void)
{
	const struct kind *kind = find_kind("served");
	long blocks = live;
	int fds = count_fds();

	if (getauxval(AT_BASE) == 0) {
		printf("outcome static\n");
		return 0;
	}
	arm("child");
	child_fail_at = fail_at;
	fail_at = 0;
	(void)pthread_atfork(NULL, NULL, arm_child);
	arm("host");
	mark(1);
	gons_reexec_check();
	once(kind);
	check_left(kind, fds, blocks);
	printf("fired %d\n", fired);
	once(kind);
	check_left(kind, fds, blocks);
	return problems;
}

/* A forked copy has no say in what its parent has started. */
static void
check_copy(void)
{
	struct gons_reexec *req;
	int status = 0;
	pid_t pid;

	if ((req = gons_reexec_new("copy")) == NULL ||
	    gons_reexec_start(req) == -1) {
		printf("outcome error %s\n",
		    req != NULL ? gons_reexec_error(req) : strerror(errno));
	} else {
		fflush(stdout);
		if ((pid = fork()) == 0)
			_exit(gons_reexec_kill(req) == -1 && errno == ECHILD
				  ? 0
				  : 9);
		(void)waitpid(pid, &status, 0);
		if (pid > 0 && status != 0)
			problem("a copy: status %#x", status);
		if (gons_reexec_wait(req) == -1)
			problem("ended with %s", gons_reexec_error(req));
		printf("outcome ok\n");
	}
	gons_reexec_free(req);
}

static int
check(void)
{
	int errnum, fds = count_fds(), r;

	arm("host");
	mark(1);
	r = gons_reexec_register("copy", action_copy);
	errnum = errno;
	gons_reexec_check();
	mark(0);
	fail_at = 0;
	if (count_fds() > fds + CHECK_KEEPS)
		problem("%d descriptors, were %d", count_fds(), fds);
	if (r == -1)
		printf("outcome error %s\n", strerror(errnum));
	else
		check_copy();
	return problems;
}

/* What a visit must leave as it was. */
struct scene {
	uint64_t places[10]; /* namespaces, root, directory */
	sigset_t mask;
	uint64_t threads;
	int fds;
};

static uint64_t
inode(const char *path)
{
	struct stat st;

	return stat(path, &st) == 0 ? st.st_ino : 0;
}

static void
look_around(struct scene *s)
{
	static const char *const types[] = { "cgroup", "ipc", "mnt", "net",
		"pid_for_children", "time", "user", "uts" };
	char path[64];
	struct stat st;
	size_t i;

	memset(s, 0, sizeof(*s));
	for (i = 0; i < 8; i++) {
		(void)snprintf(
		    path, sizeof(path), "/proc/thread-self/ns/%s", types[i]);
		s->places[i] = inode(path);
	}
	s->places[8] = inode("/");
	s->places[9] = inode(".");
	(void)sigprocmask(SIG_BLOCK, NULL, &s->mask);
	s->threads = stat("/proc/self/task", &st) == 0 ? st.st_nlink : 0;
	s->fds = count_fds();
}

static void
check_scene(const struct scene *before, int fds)
{
	struct scene now;
	int sig;

	look_around(&now);
	if (memcmp(now.places, before->places, sizeof(now.places)) != 0)
		problem("the host has moved");
	for (sig = 1; sig < 65; sig++)
		if (sigismember(&now.mask, sig) !=
		    sigismember(&before->mask, sig))
			problem("signal %d", sig);
	if (now.threads != before->threads)
		problem("a thread was left");
	if (now.fds > before->fds + fds)
		problem("%d descriptors, were %d", now.fds, before->fds);
}

/* In the visit: is it in the right place? */
static int
arrive(void *arg)
{
	int *called = arg;

	mark(0);
	++*called;
	if (inode("/proc/thread-self/ns/net") != inode(getenv("FAULT_REF")))
		problem("the function was called in the wrong place");
	mark(1);
	return 5;
}

static void
check_visit(
    int r, int errnum, int called, int value, const struct gons_error *error)
{
	static char text[20000];

	if (r == 0) {
		if (called != 1 || value != 5)
			problem("called %d times, value %d", called, value);
		printf("outcome ok\n");
		return;
	}
	(void)gons_error_format(error, text, sizeof(text));
	check_text(text);
	if (called != 0 || value != -1 || errnum <= 0 ||
	    errnum != error->errnum)
		problem("called %d times, value %d, errno %d, %s", called,
		    value, errnum, text);
	printf("outcome error %s\n", text);
}

static void
visit_once(const char *name)
{
	char target[32];
	struct gons_error error;
	struct gons_env env;
	int called = 0, errnum, r, value = -1;

	memset(&env, 0, sizeof(env));
	env.order = "net";
	(void)snprintf(target, sizeof(target), "fd:%s", getenv("FAULT_PIDFD"));
	if (strcmp(name, "target") == 0)
		env.target = target;
	else
		env.path[GONS_NET] = getenv("FAULT_REF");
	mark(1);
	r = gons_visit(&env, NULL, arrive, &called, &value, &error);
	errnum = errno;
	mark(0);
	fail_at = 0;
	check_visit(r, errnum, called, value, &error);
}

/* Descriptors that come from elsewhere. */
static void
fetch_once(const char *name)
{
	struct gons_error error;
	int errnum, fd, root;
	char byte = 0;

	root = open(".", O_PATH | O_DIRECTORY | O_CLOEXEC);
	mark(1);
	if (strcmp(name, "socket") == 0)
		fd = gons_socket(
		    getenv("FAULT_REF"), AF_INET, SOCK_STREAM, 0, &error);
	else if (strcmp(name, "root") == 0)
		fd = gons_root("/proc/self/ns/mnt", &error);
	else
		fd = gons_openat(root, "link", O_RDONLY);
	errnum = errno;
	mark(0);
	fail_at = 0;
	if (fd == -1)
		printf("outcome error %s\n", strerror(errnum));
	else
		printf("outcome ok\n");
	if (fd == -1 && errnum <= 0)
		problem("errno %d", errnum);
	if (fd != -1 && fcntl(fd, F_GETFD) != FD_CLOEXEC)
		problem("it is not close-on-exec");
	if (fd != -1 && strcmp(name, "openat") == 0 &&
	    (read(fd, &byte, 1) != 1 || byte != 'x'))
		problem("another file was opened");
	(void)close(fd);
	(void)close(root);
}

static int
visit(const char *name)
{
	int fetch =
	    strcmp(name, "reference") != 0 && strcmp(name, "target") != 0;
	int i, keeps = strcmp(name, "openat") == 0;
	struct scene before;
	long blocks = live;

	look_around(&before);
	arm("host");
	for (i = 0; i < 2; i++) {
		if (fetch)
			fetch_once(name);
		else
			visit_once(name);
		check_scene(&before, keeps);
		/* libc keeps the stack of a thread that has ended */
		if (live > blocks + 2)
			problem("%ld blocks of memory, were %ld", live, blocks);
		if (i == 0)
			printf("fired %d\n", fired);
	}
	return problems;
}

static int
merge(const char *dst, const char *src)
{
	struct gons_covstat outcome;
	const char *const srcs[1] = { src };
	long blocks = live;
	int errnum, fds = count_fds(), r;

	arm("host");
	mark(1);
	r = gons_covmerge(dst, srcs, 1, &outcome);
	errnum = errno;
	mark(0);
	fail_at = 0;
	if (r != 0 && errnum == ENOMEM && outcome.offset != -1)
		problem("no memory at byte %lld", (long long)outcome.offset);
	if (r != 0 && outcome.offset < -1)
		problem("an error at byte %lld", (long long)outcome.offset);
	if (r != 0 && (r != -1 || errnum <= 0))
		problem("returned %d, errno %d", r, errnum);
	printf(
	    r == 0 ? "outcome ok\n" : "outcome error %s\n", strerror(errnum));
	if (live != blocks)
		problem("%ld blocks of memory, were %ld", live, blocks);
	if (count_fds() != fds)
		problem("%d descriptors, were %d", count_fds(), fds);
	printf("fired %d\n", fired);
	return problems;
}

static int
open_kept(void)
{
	return (kept = open("/dev/null", O_RDONLY | O_CLOEXEC)) != -1;
}

int
main(int argc, char **argv)
{
	static char buf[BUFSIZ];

	(void)setvbuf(stdout, buf, _IOFBF, sizeof(buf)); /* not malloc'ed */
	if (argc == 2 && strcmp(argv[1], "start") == 0) {
		mark(0);
		return after_start() != 0;
	}
	if (argc == 2 && strcmp(argv[1], "check") == 0)
		return check() != 0;
	if (argc == 1)
		arm("child");
	if (gons_reexec_register("copy", action_copy) == -1 ||
	    gons_reexec_register("reply", action_reply) == -1 ||
	    gons_reexec_register("linger", action_linger) == -1)
		return 5;
	if (argc == 3 && strcmp(argv[1], "served") == 0)
		return chdir(getenv("FAULT_DIR")) == -1 || !open_kept()
			   ? 7
			   : served() != 0;
	gons_reexec_check();
	if (!open_kept())
		return 7;
	if (argc == 3 && strcmp(argv[1], "run") == 0)
		return run(argv[2]) != 0;
	if (argc == 3 && strcmp(argv[1], "visit") == 0)
		return visit(argv[2]) != 0;
	if (argc == 4 && strcmp(argv[1], "merge") == 0)
		return merge(argv[2], argv[3]) != 0;
	return 6;
}
