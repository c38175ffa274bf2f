/*
 * SPDX-License-Identifier: BSD-2-Clause
 *
 * Copyright (c) 2026 The libgons developers
 *
 * Coverage of re-executed children, for gons_coverage(3): the parent gives each
 * a private directory for its .gcda files, and memory for the counters of
 * clang's source-based coverage; when the child has ended, what is there is
 * added to the parent's own.
 */

#include "covmerge.h"

#include <sys/file.h>
#include <sys/mman.h>
#include <sys/resource.h>

#include <dirent.h>
#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <unistd.h>

struct gons__cov {
	char *path; /* the private directory */
	int outer; /* itself, locked as long as we live */
	int inner; /* the child's, in it */
	int mem;
	struct areas *areas;
};

/* The child's side. */
static struct {
	int fd[2];
	dev_t dev; /* of fd[0]: the action may have closed it */
	ino_t ino;
	int ready;
	int llvm; /* source-based coverage is among what is to be told */
	volatile sig_atomic_t ending;
	volatile sig_atomic_t signal;
} child = { { -1, -1 }, 0, 0, 0, 0, 0, 0 };

static char llvm_variable[] = "LLVM_PROFILE_FILE=gons.profraw";
#define LLVM_NAMELEN 18 /* of it, with the = */

/*
 * The parent's side
 */

static int
cov_wanted(void)
{
	const char *value = getenv("GONS_COVERAGE");

	return value == NULL || strcmp(value, "0") != 0;
}

int
gons__cov_active(void)
{
	struct areas *areas;
	int active, saved;

	if (!cov_wanted())
		return 0;
	if (gons__cov_files())
		return 1;
	saved = errno;
	areas = gons__cov_areas();
	active = areas != NULL;
	free(areas);
	errno = saved;
	return active;
}

/* Where libgcov would put the parent's own data, and how many levels less. */
static const char *
cov_home(unsigned *strip)
{
	const char *prefix = getenv("GCOV_PREFIX"), *text;
	long levels;

	text = getenv("GCOV_PREFIX_STRIP");
	levels = text != NULL ? strtol(text, NULL, 10) : 0;
	*strip = levels > 0 ? (unsigned)(levels < 1000 ? levels : 1000) : 0;
	if (prefix != NULL && *prefix != '\0')
		return prefix;
	if (*strip != 0 && &__gcov_master != NULL)
		return ".";
	*strip = 0;
	return "/";
}

/* Makes the directory of GCOV_PREFIX, as libgcov does. */
static void
make_path(const char *path)
{
	char *copy, *p;

	if (access(path, F_OK) == 0 || (copy = strdup(path)) == NULL)
		return;
	for (p = copy + 1; *p != '\0'; p++)
		if (*p == '/') {
			*p = '\0';
			(void)mkdir(copy, 0777);
			*p = '/';
		}
	(void)mkdir(copy, 0777);
	free(copy);
}

/*
 * Directories of processes that have died: nobody holds the lock.  Looked for
 * once in a process.
 */
static void
cov_sweep(const char *tmp)
{
	static int swept;
	const struct dirent *e;
	struct stat st;
	DIR *d;
	int fd;

	if (__atomic_exchange_n(&swept, 1, __ATOMIC_RELAXED) != 0)
		return;
	if ((d = opendir(tmp)) == NULL)
		return;
	while ((e = readdir(d)) != NULL) {
		if (strncmp(e->d_name, "gons-cov.", 9) != 0)
			continue;
		fd = openat(dirfd(d), e->d_name, OPEN_DIR);
		if (fd < 0)
			continue;
		if (fstat(fd, &st) == 0 && st.st_uid == geteuid() &&
		    flock(fd, LOCK_EX | LOCK_NB) == 0) {
			gons__cov_take(fd, "data", NULL, 0);
			(void)unlinkat(dirfd(d), e->d_name, AT_REMOVEDIR);
		}
		gons__cov_close(&fd);
	}
	(void)closedir(d);
}

/* A descriptor that is none of 0, 1 and 2. */
static int
high_fd(int fd)
{
	int high;

	if (fd < 0 || fd > 2)
		return fd;
	high = fcntl(fd, F_DUPFD_CLOEXEC, 3);
	gons__cov_close(&fd);
	return high;
}

/*
 * The private directory: nobody but us gets in by its name, anybody who was
 * given the descriptor may make files in what lies in it.
 */
static int
cov_place(struct gons__cov *c, const char *tmp)
{
	struct stat st;
	size_t len = strlen(tmp) + sizeof("/gons-cov.XXXXXX");

	if (*tmp != '/' || (c->path = malloc(len)) == NULL)
		return -1;
	(void)snprintf(c->path, len, "%s/gons-cov.XXXXXX", tmp);
	if (mkdtemp(c->path) == NULL) {
		free(c->path);
		c->path = NULL;
		return -1;
	}
	c->outer = high_fd(open(c->path, OPEN_DIR));
	if (c->outer >= 0 && flock(c->outer, LOCK_EX | LOCK_NB) == 0 &&
	    fstat(c->outer, &st) == 0 && st.st_nlink > 0 &&
	    mkdirat(c->outer, "data", 0700) == 0 &&
	    fchmodat(c->outer, "data", 0777, 0) == 0) {
		c->inner =
		    high_fd(openat(c->outer, "data", OPEN_PATH | O_NOFOLLOW));
		if (c->inner >= 0)
			return 0;
		(void)unlinkat(c->outer, "data", AT_REMOVEDIR);
	}
	gons__cov_close(&c->outer);
	(void)rmdir(c->path);
	free(c->path);
	c->path = NULL;
	return -1;
}

static int
cov_find_place(struct gons__cov *c)
{
	static const char *const usual[] = { "/tmp", "/var/tmp", "/dev/shm" };
	const char *tmp;
	size_t i;

	tmp = secure_getenv("TMPDIR");
	if (tmp != NULL && cov_place(c, tmp) == 0) {
		cov_sweep(tmp);
		return 0;
	}
	for (i = 0; i < sizeof(usual) / sizeof(usual[0]); i++)
		if (cov_place(c, usual[i]) == 0) {
			cov_sweep(usual[i]);
			return 0;
		}
	return -1;
}

static int
cov_memory(struct gons__cov *c)
{
	if ((c->areas = gons__cov_areas()) == NULL)
		return 0;
	c->mem = high_fd(memfd_create("gons-cov", MFD_CLOEXEC));
	if (c->mem < 0)
		return -1;
	return gons__cov_write(c->mem, c->areas,
	    sizeof(*c->areas) + c->areas->n * sizeof(c->areas->area[0]), 0);
}

static void
cov_free(struct gons__cov *c)
{
	if (c->path != NULL) {
		(void)unlinkat(c->outer, "data", AT_REMOVEDIR);
		(void)rmdir(c->path);
		free(c->path);
	}
	gons__cov_close(&c->inner);
	gons__cov_close(&c->outer);
	gons__cov_close(&c->mem);
	free(c->areas);
	free(c);
}

struct gons__cov *
gons__cov_new(int fd[2])
{
	struct gons__cov *c;
	int saved;

	fd[0] = fd[1] = -1;
	if (!cov_wanted())
		return NULL;
	saved = errno;
	if ((c = calloc(1, sizeof(*c))) != NULL) {
		c->outer = c->inner = c->mem = -1;
		if (cov_memory(c) != 0 ||
		    (c->areas == NULL && !gons__cov_files()) ||
		    cov_find_place(c) != 0) {
			cov_free(c);
			c = NULL;
		} else {
			fd[0] = c->inner;
			fd[1] = c->mem;
		}
	}
	errno = saved;
	return c;
}

void
gons__cov_env(struct gons__cov *c, char *envp[])
{
	size_t i, len;

	if (c == NULL || c->areas == NULL)
		return;
	for (i = 0; envp[i] != NULL; i++)
		if (strncmp(envp[i], llvm_variable, LLVM_NAMELEN) == 0)
			break;
	len = 0;
	if (envp[i] == NULL)
		envp[i + 1] = NULL;
	else if ((len = strlen(envp[i]) + 1) > 65536)
		len = 0;
	if (gons__cov_write(c->mem, envp[i], len,
		(off_t)(sizeof(*c->areas) +
			c->areas->n * sizeof(c->areas->area[0]))) != 0)
		len = 0;
	c->areas->envlen = len;
	(void)gons__cov_write(c->mem, c->areas, sizeof(*c->areas), 0);
	envp[i] = llvm_variable;
}

void
gons__cov_started(struct gons__cov *c)
{
	if (c != NULL)
		gons__cov_close(&c->inner);
}

void
gons__cov_collect(struct gons__cov *c)
{
	const char *home;
	unsigned strip;
	int saved;

	if (c == NULL)
		return;
	saved = errno;
	if (c->areas != NULL)
		gons__cov_visit(c->areas, VISIT_ADD, c->mem);
	home = cov_home(&strip);
	make_path(home);
	gons__cov_take(c->outer, "data", home, strip);
	cov_free(c);
	errno = saved;
}

/*
 * The child's side
 */

/* Lets what is written there vanish without a word. */
static void
mute(int fd)
{
	int nowhere = memfd_create("gons-mute", MFD_CLOEXEC);

	if (nowhere < 0)
		return;
	(void)dup2(nowhere, fd);
	gons__cov_close(&nowhere);
}

/* Is the place still there, and can it be written to? */
static int
child_arrive(void)
{
	struct rlimit limit;
	struct stat st;
	int fd, good;

	(void)signal(SIGXFSZ, SIG_IGN);
	if (getrlimit(RLIMIT_FSIZE, &limit) == 0) {
		limit.rlim_cur = limit.rlim_max;
		(void)setrlimit(RLIMIT_FSIZE, &limit);
	}
	if (getrlimit(RLIMIT_NOFILE, &limit) == 0) {
		limit.rlim_cur = limit.rlim_max;
		(void)setrlimit(RLIMIT_NOFILE, &limit);
	}
	if (fstat(child.fd[0], &st) != 0 || st.st_dev != child.dev ||
	    st.st_ino != child.ino || fchdir(child.fd[0]) != 0)
		return 0;
	fd = open(".probe", O_WRONLY | O_CREAT | OPEN_FILE, 0600);
	if (fd < 0)
		return 0;
	good = gons__cov_write(fd, "", 1, 0) == 0;
	gons__cov_close(&fd);
	(void)unlink(".probe");
	return good;
}

/* clang makes directories that other users cannot remove files from. */
static void
open_up(int fd)
{
	const struct dirent *e;
	DIR *d;
	int sub;

	if ((d = fdopendir(fd)) == NULL) {
		gons__cov_close(&fd);
		return;
	}
	while ((e = readdir(d)) != NULL) {
		if (e->d_type != DT_DIR || strcmp(e->d_name, ".") == 0 ||
		    strcmp(e->d_name, "..") == 0)
			continue;
		if ((sub = openat(fd, e->d_name, OPEN_DIR)) < 0)
			continue;
		(void)fchmod(sub, 0777);
		open_up(sub);
	}
	(void)closedir(d);
}

/* clang's .gcda files can be written at once, and the directories opened. */
static void
child_dump(void)
{
	int fd;

	if (&__gcov_master != NULL || __gcov_dump == NULL ||
	    __gcov_reset == NULL)
		return;
	__gcov_dump();
	__gcov_reset();
	if ((fd = open(".", OPEN_DIR)) >= 0)
		open_up(fd);
}

/*
 * The coverage runtime has no place to write to, and must not write anywhere
 * else: a name that is too long keeps libgcov from making directories, no room
 * for descriptors keeps LLVM's from making files, and neither is heard.
 */
static void
child_lost(void)
{
	char nowhere[NAME_MAX + 16];
	struct rlimit limit;

	memset(nowhere, 'x', sizeof(nowhere) - 1);
	nowhere[0] = '/';
	nowhere[sizeof(nowhere) - 1] = '\0';
	(void)setenv("GCOV_PREFIX", nowhere, 1);
	mute(2);
	if (child.llvm && getrlimit(RLIMIT_NOFILE, &limit) == 0) {
		limit.rlim_cur = 0;
		(void)setrlimit(RLIMIT_NOFILE, &limit);
	}
}

/* The coverage runtime writes soon, relative to the working directory. */
static void
child_exit(void)
{
	struct areas *areas;
	int arrived;

	child.ending = 1;
	arrived = child_arrive();
	if ((areas = gons__cov_areas_load(child.fd[1])) != NULL) {
		gons__cov_visit(areas, VISIT_SAVE, child.fd[1]);
		free(areas);
	}
	(void)unsetenv("GCOV_PREFIX_STRIP");
	if (!arrived) {
		child_lost();
		return;
	}
	(void)umask(0);
	(void)setenv("GCOV_PREFIX", ".", 1);
	child_dump();
}

void
gons__cov_drop(struct gons__cov *c)
{
	if (c == NULL)
		return;
	free(c->path);
	c->path = NULL;
	cov_free(c);
}

/*
 * Ends the process as SIGTERM would, except that the counters are written.
 * Nothing is to be heard of exit handlers that would not have run else.
 */
static void
child_signal(int sig)
{
	if (child.ending)
		return;
	child.ending = 1;
	child.signal = sig;
	mute(1);
	mute(2);
	exit(128 + sig);
}

int
gons__cov_signal(void)
{
	return child.signal;
}

/* Gives the variable back the value that it has for the parent. */
static void
child_env(const struct areas *areas)
{
	const char *entry;

	if (areas == NULL)
		return;
	entry = (const char *)&areas->area[areas->n];
	if (areas->envlen > LLVM_NAMELEN)
		(void)setenv("LLVM_PROFILE_FILE", entry + LLVM_NAMELEN, 1);
	else
		(void)unsetenv("LLVM_PROFILE_FILE");
}

void
gons__cov_child(const int fd[2], int forked)
{
	struct sigaction sa;
	struct areas *areas;
	struct stat st;
	int i;

	if (!child.ready && fd[0] < 0 && !(cov_wanted() && gons__cov_files()))
		return;
	for (i = 0; i < 2; i++) {
		if (child.ready)
			gons__cov_close(&child.fd[i]);
		child.fd[i] = fd[i];
		if (fd[i] >= 0)
			(void)fcntl(fd[i], F_SETFD, FD_CLOEXEC);
	}
	if (fstat(fd[0], &st) == 0) {
		child.dev = st.st_dev;
		child.ino = st.st_ino;
	}
	child.llvm = fd[1] >= 0;
	areas = gons__cov_areas_load(fd[1]);
	if (forked)
		gons__cov_reset(areas);
	else
		child_env(areas);
	free(areas);
	if (!child.ready && atexit(child_exit) == 0)
		child.ready = 1;
	if (sigaction(SIGTERM, NULL, &sa) == 0 && sa.sa_handler == SIG_DFL) {
		memset(&sa, 0, sizeof(sa));
		sa.sa_handler = child_signal;
		(void)sigaction(SIGTERM, &sa, NULL);
	}
}
