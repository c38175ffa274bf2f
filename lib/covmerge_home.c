/*
 * SPDX-License-Identifier: BSD-2-Clause
 *
 * Copyright (c) 2026 The libgons developers
 *
 * Coverage of re-executed children, for gons_coverage(3), on the parent's side:
 * each child gets a private directory for its .gcda files, and memory for the
 * counters of clang's source-based coverage; when it has ended, what is there
 * is added to the parent's own.
 */

#include "covmerge.h"

#include <sys/auxv.h>

#include <sys/file.h>
#include <sys/mman.h>
#include <sys/random.h>

#include <dirent.h>
#include <errno.h>
#include <stdio.h>
#include <unistd.h>

#define SWEEP_MS 200 /* how long to clean up after others */

#define PLACE "gons-cov." /* and letters: the name of a private directory */
#define DATA "data" /* what the child sees of it */

struct gons__cov {
	char name[32]; /* of the private directory; empty: there is none */
	int outer; /* itself, locked as long as we live */
	int inner; /* the child's, in it */
	int mem;
	struct areas *areas;
};

static char llvm_variable[] = "LLVM_PROFILE_FILE=gons.profraw";

/* Where libgcov would put the parent's own data, and how many levels less. */
static const char *
home_path(unsigned *strip)
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

/* Opens the directory of GCOV_PREFIX; as libgcov does, makes it first. */
static int
home_open(const char *path)
{
	char *copy, *slash;
	int fd, up;

	fd = gons__cov_root_open(path, OPEN_PATH);
	if (fd >= 0 || errno != ENOENT || (copy = strdup(path)) == NULL)
		return fd;
	while ((slash = strrchr(copy, '/')) != NULL && slash[1] == '\0' &&
	       slash != copy)
		*slash = '\0';
	if (slash == NULL)
		up = gons__cov_root_open(".", OPEN_PATH);
	else if (slash == copy)
		up = gons__cov_root_open("/", OPEN_PATH);
	else {
		*slash = '\0';
		up = home_open(copy);
	}
	slash = slash != NULL ? slash + 1 : copy;
	if (up >= 0 && (mkdirat(up, slash, 0777) == 0 || errno == EEXIST))
		fd = openat(up, slash, OPEN_PATH | O_NOFOLLOW);
	fd_close(&up);
	free(copy);
	return fd;
}

/*
 * Directories of processes that have died: nobody holds the lock.  Looked for
 * once in a process.
 */
static void
place_sweep(int tmp)
{
	static int swept;
	const struct dirent *e;
	int64_t until = now_ms() + SWEEP_MS;
	struct stat st;
	DIR *d;
	int fd;

	if (__atomic_exchange_n(&swept, 1, __ATOMIC_RELAXED) != 0 ||
	    (fd = openat(tmp, ".", OPEN_DIR)) < 0)
		return;
	if ((d = fdopendir(fd)) == NULL) {
		fd_close(&fd);
		return;
	}
	while ((e = readdir(d)) != NULL && now_ms() < until) {
		if (strncmp(e->d_name, PLACE, strlen(PLACE)) != 0 ||
		    (fd = openat(tmp, e->d_name, OPEN_DIR)) < 0)
			continue;
		if (fstat(fd, &st) == 0 && st.st_uid == geteuid() &&
		    flock(fd, LOCK_EX | LOCK_NB) == 0) {
			gons__cov_remove(fd, DATA, until);
			(void)unlinkat(tmp, e->d_name, AT_REMOVEDIR);
		}
		fd_close(&fd);
	}
	(void)closedir(d);
}

/* Makes a directory that did not exist, and opens it. */
static int
place_make(int tmp, char name[32])
{
	static const char letters[] = "abcdefghijklmnopqrstuvwxyz234567";
	unsigned char random[6];
	char *p = name + strlen(PLACE);
	size_t i;
	int fd = -1, made = 0, tries;

	memcpy(name, PLACE, strlen(PLACE));
	for (tries = 0; tries < 100 && !made; tries++) {
		if (getrandom(random, sizeof(random), 0) != sizeof(random))
			break;
		for (i = 0; i < sizeof(random); i++)
			p[i] = letters[random[i] % 32];
		p[i] = '\0';
		made = mkdirat(tmp, name, 0700) == 0;
		if (!made && errno != EEXIST)
			break;
	}
	if (made && (fd = fd_high(openat(tmp, name, OPEN_DIR))) < 0)
		(void)unlinkat(tmp, name, AT_REMOVEDIR);
	if (fd < 0)
		*name = '\0';
	return fd;
}

/* There is a way back, whatever has become of the path. */
static void
place_remove(struct gons__cov *c)
{
	char up[40];

	if (*c->name == '\0')
		return;
	(void)unlinkat(c->outer, DATA, AT_REMOVEDIR);
	(void)snprintf(up, sizeof(up), "../%s", c->name);
	(void)unlinkat(c->outer, up, AT_REMOVEDIR);
	*c->name = '\0';
}

/*
 * The private directory: only this user gets in by its name.  Any process that
 * has the descriptor of the directory in it may make files there.
 */
static int
place_in(struct gons__cov *c, const char *path)
{
	struct stat st;
	int tmp;

	if (*path != '/' || (tmp = gons__cov_root_open(path, OPEN_PATH)) < 0)
		return -1;
	c->outer = place_make(tmp, c->name);
	if (c->outer >= 0 && flock(c->outer, LOCK_EX | LOCK_NB) == 0 &&
	    fstat(c->outer, &st) == 0 && st.st_nlink > 0 &&
	    mkdirat(c->outer, DATA, 0700) == 0 &&
	    fchmodat(c->outer, DATA, 0777, 0) == 0)
		c->inner =
		    fd_high(openat(c->outer, DATA, OPEN_PATH | O_NOFOLLOW));
	if (c->inner >= 0)
		place_sweep(tmp);
	else {
		place_remove(c);
		fd_close(&c->outer);
	}
	fd_close(&tmp);
	return c->inner >= 0 ? 0 : -1;
}

static int
place_find(struct gons__cov *c)
{
	static const char *const usual[] = { "/tmp", "/var/tmp", "/dev/shm" };
	const char *tmp;
	size_t i;

	tmp = secure_getenv("TMPDIR");
	if (tmp != NULL && place_in(c, tmp) == 0)
		return 0;
	for (i = 0; i < sizeof(usual) / sizeof(usual[0]); i++)
		if (place_in(c, usual[i]) == 0)
			return 0;
	return -1;
}

static size_t
areas_size(const struct areas *areas)
{
	return sizeof(*areas) + areas->n * sizeof(areas->area[0]);
}

static int
cov_memory(struct gons__cov *c)
{
	c->areas = gons__cov_areas(gons__cov_root() == WHERE_HOME);
	if (c->areas == NULL)
		return 0;
	c->mem = fd_high(memfd_create("gons-cov", MFD_CLOEXEC));
	if (c->mem < 0)
		return errno;
	return write_at(c->mem, c->areas, areas_size(c->areas), 0);
}

static void
cov_free(struct gons__cov *c)
{
	place_remove(c);
	fd_close(&c->inner);
	fd_close(&c->outer);
	fd_close(&c->mem);
	free(c->areas);
	free(c);
}

void
gons__cov_init(int exe, int own)
{
	static int done;
	int saved = errno;

	if (__atomic_exchange_n(&done, 1, __ATOMIC_ACQ_REL) != 0)
		return;
	if ((gons__cov_areas_init(exe, own) || gons__cov_files()) && own)
		gons__cov_root_init();
	errno = saved;
}

struct gons__cov *
gons__cov_new(int fd[2])
{
	struct gons__cov *c;
	int saved;

	fd[0] = fd[1] = -1;
	/* Where it goes is in the environment, which is somebody else's. */
	if (getauxval(AT_SECURE) != 0 || !gons__cov_wanted())
		return NULL;
	saved = errno;
	if ((c = calloc(1, sizeof(*c))) != NULL) {
		c->outer = c->inner = c->mem = -1;
		if (cov_memory(c) != 0 ||
		    (c->areas == NULL && !gons__cov_files()) ||
		    (place_find(c) != 0 && c->areas == NULL)) {
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
		if (strncmp(envp[i], llvm_variable, COV_LLVM_NAMELEN) == 0)
			break;
	len = 0;
	if (envp[i] == NULL)
		envp[i + 1] = NULL;
	else if ((len = strlen(envp[i]) + 1) > 65536)
		len = 0;
	if (write_at(c->mem, envp[i], len, (off_t)areas_size(c->areas)) != 0)
		len = 0;
	c->areas->envlen = len;
	(void)write_at(c->mem, c->areas, sizeof(*c->areas), 0);
	envp[i] = llvm_variable;
}

void
gons__cov_started(struct gons__cov *c)
{
	if (c != NULL)
		fd_close(&c->inner);
}

void
gons__cov_collect(struct gons__cov *c, int ms)
{
	int64_t until = now_ms() + ms;
	const char *path;
	unsigned strip;
	int home, saved = errno;

	if (c == NULL)
		return;
	if (c->areas != NULL)
		gons__cov_visit(c->areas, VISIT_ADD, c->mem);
	path = home_path(&strip);
	home = *c->name != '\0' ? home_open(path) : -1;
	if (home >= 0)
		gons__cov_take(c->outer, DATA, home, path, strip, until);
	else if (*c->name != '\0')
		gons__cov_remove(c->outer, DATA, until);
	fd_close(&home);
	cov_free(c);
	errno = saved;
}

void
gons__cov_drop(struct gons__cov *c)
{
	if (c == NULL)
		return;
	*c->name = '\0';
	cov_free(c);
}

int
gons__cov_forkable(void)
{
	int saved = errno, able;

	able = !gons__cov_wanted() || gons__cov_gcov_reset(0) == 0;
	errno = saved;
	return able;
}
