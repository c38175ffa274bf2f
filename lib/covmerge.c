/*
 * SPDX-License-Identifier: BSD-2-Clause
 *
 * Copyright (c) 2026 The libgons developers
 *
 * Coverage data of children: how it merges, and where it goes.  This file is
 * gons_covmerge(3): files and trees of .gcda files and Go cover profiles, whose
 * contents are the business of covmerge_gcda.c and covmerge_cover.c.  It is used
 * by covmerge_child.c, too, which gives each re-executed child a private place
 * for its data and brings home what it leaves there, for gons_coverage(3).  This
 * object stands alone: it calls nothing but libc, and of a coverage runtime only
 * what happens to be in the program.
 */

#include "covmerge.h"

#include <dirent.h>
#include <errno.h>
#include <stdio.h>
#include <unistd.h>

/* Limits: what a child leaves is not trusted. */
#define DEPTH_MAX 100 /* directories below each other */
#define ENTRY_MAX 1000000 /* entries of one tree */
#define LOCK_GLUE_MS 5000 /* how long a collection waits for a file */

/* A directory of one source. */
struct tree {
	int fd; /* -1: it has none */
	size_t hits; /* entries found with those of the sources before */
};

static int merge_tree(struct job *, struct tree[], struct dir *, unsigned);

/* Takes the failure of the file at hand into the statistics. */
static void
job_fail(struct job *j, int error)
{
	struct gons_covstat *st = j->st;

	if (error == ESTALE)
		st->stale++;
	else
		st->failed++;
	if (j->error != 0)
		return;
	j->error = error;
	st->offset = j->at;
	(void)snprintf(st->where, sizeof(st->where), "%s%s",
	    j->indst ? j->dst : j->src[j->root], j->path);
}

static void
job_file(struct job *j, int error)
{
	if (error != 0)
		job_fail(j, error);
	else
		j->st->merged += j->merged;
	j->st->skipped += j->skipped;
}

/* Appends a name to the path, and returns the length to go back to. */
static size_t
job_enter(struct job *j, const char *name)
{
	size_t old = j->pathlen;
	int len = snprintf(j->path + old, sizeof(j->path) - old, "/%s", name);

	j->pathlen = old + (size_t)len;
	if (j->pathlen >= sizeof(j->path))
		j->pathlen = sizeof(j->path) - 1;
	return old;
}

static void
job_leave(struct job *j, size_t old)
{
	j->pathlen = old;
	j->path[old] = '\0';
}

static void
job_end(struct job *j)
{
	free(j->acc.p);
	free(j->in.p);
	free(j->out.p);
}

static int
ends_with(const char *name, const char *end)
{
	size_t len = strlen(name), endlen = strlen(end);

	return len > endlen && strcmp(name + len - endlen, end) == 0;
}

/*
 * All of them or none: what the sources add up to is known, and found good,
 * before the destination is touched.
 */
static int
merge_files(
    struct job *j, const struct source *s, size_t n, const struct place *dst)
{
	struct input in;
	size_t i;
	int error;

	j->merged = j->skipped = 0;
	for (i = 0; i < n; i++) {
		error = gons__cov_input(j, &s[i], &in);
		if (error == ENOENT || (error == 0 && in.kind == KIND_EMPTY))
			j->skipped++;
		else if (error != 0)
			return gons__cov_fault(j, error, 0, -1);
		else if (in.kind == KIND_GCDA)
			error = gons__cov_gcda(j, &in);
		else if (in.kind == KIND_OTHER)
			error = gons__cov_fault(j, EBADMSG, 0, 0);
		else if (j->merged != 0)
			error = gons__cov_fault(j, ENOTSUP, 0, 0);
		gons__cov_close(&in.fd);
		if (error != 0 && error != ENOENT)
			return error;
		if (error == 0 && in.kind == KIND_COVER)
			return gons__cov_cover(j, s, n, dst);
	}
	return j->merged != 0 ? gons__cov_gcda_store(j, dst) : 0;
}

/* In a tree, files that are no coverage data are none of our business. */
static int
tree_wants(struct job *j, const struct source *s)
{
	struct input in;

	if (j->nothing)
		return 0;
	if (ends_with(s->name, ".gcda"))
		return 1;
	if (j->gcda || gons__cov_input(j, s, &in) != 0)
		return 0;
	gons__cov_close(&in.fd);
	return in.kind == KIND_GCDA || in.kind == KIND_COVER;
}

/* Merges the files of that name in source k and those behind it. */
static void
tree_file(
    struct job *j, struct tree t[], size_t k, const char *name, struct dir *to)
{
	struct source *s;
	struct place dst;
	struct stat st;
	size_t n;
	int error;

	if ((s = calloc(j->nsrc, sizeof(*s))) == NULL) {
		job_fail(j, gons__cov_fault(j, ENOMEM, 0, -1));
		return;
	}
	error = 0;
	for (n = 0; k < j->nsrc && error == 0; k++) {
		if (t[k].fd < 0)
			continue;
		s[n].dir = t[k].fd;
		s[n].name = name;
		s[n].root = k;
		if (n++ == 0)
			continue; /* its type is known */
		if (fstatat(t[k].fd, name, &st, AT_SYMLINK_NOFOLLOW) != 0) {
			n--;
			continue;
		}
		t[k].hits++;
		if (!S_ISREG(st.st_mode)) {
			j->root = k;
			error = S_ISLNK(st.st_mode) ? ELOOP : EINVAL;
			(void)gons__cov_fault(j, error, 0, -1);
		}
	}
	if (tree_wants(j, &s[0])) {
		dst.dir = to;
		dst.name = name;
		j->merged = j->skipped = 0;
		if (error == 0)
			error = merge_files(j, s, n, &dst);
		job_file(j, error);
	}
	free(s);
}

/* Opens the directory of that name in source k and in those behind it. */
static int
tree_open(struct job *j, struct tree t[], size_t k, const char *name,
    struct tree sub[])
{
	struct stat st;
	size_t i;

	for (i = 0; i < j->nsrc; i++) {
		sub[i].fd = -1;
		if (i < k || t[i].fd < 0)
			continue;
		sub[i].fd = openat(t[i].fd, name, OPEN_DIR);
		if (sub[i].fd < 0 && i == k)
			return gons__cov_fault(j, errno, 0, -1);
		t[i].hits += i > k && sub[i].fd >= 0;
		if (sub[i].fd >= 0 && !j->take && fstat(sub[i].fd, &st) == 0 &&
		    st.st_dev == j->top.st_dev && st.st_ino == j->top.st_ino)
			gons__cov_close(
			    &sub[i].fd); /* the destination is in here */
	}
	return 0;
}

/* A directory; below the strip level it is one to the destination, too. */
static int
tree_dir(struct job *j, struct tree t[], size_t k, const char *name,
    struct dir *to, unsigned depth)
{
	struct dir next;
	struct tree *sub;
	int error;

	if (depth >= DEPTH_MAX)
		return gons__cov_fault(j, ENAMETOOLONG, 0, -1);
	if ((sub = calloc(j->nsrc, sizeof(*sub))) == NULL)
		return gons__cov_fault(j, ENOMEM, 0, -1);
	next.up = to;
	next.name = name;
	next.fd = -1;
	if ((error = tree_open(j, t, k, name, sub)) == 0)
		error = merge_tree(
		    j, sub, depth < j->strip ? to : &next, depth + 1);
	gons__cov_close(&next.fd);
	free(sub);
	return error;
}

static void
tree_entry(struct job *j, struct tree t[], size_t k, const struct dirent *e,
    struct dir *to, unsigned depth)
{
	struct stat st;
	mode_t mode = (mode_t)DTTOIF(e->d_type);
	int error;

	if (e->d_type == DT_UNKNOWN &&
	    fstatat(t[k].fd, e->d_name, &st, AT_SYMLINK_NOFOLLOW) == 0)
		mode = st.st_mode & S_IFMT;
	j->root = k;
	error = 0;
	if (mode == S_IFDIR)
		error = tree_dir(j, t, k, e->d_name, to, depth);
	else if (mode == S_IFREG)
		tree_file(j, t, k, e->d_name, to);
	else if (ends_with(e->d_name, ".gcda"))
		error =
		    gons__cov_fault(j, mode == S_IFLNK ? ELOOP : EINVAL, 0, -1);
	if (error != 0)
		job_fail(j, error);
	if (j->take)
		(void)unlinkat(
		    t[k].fd, e->d_name, mode == S_IFDIR ? AT_REMOVEDIR : 0);
}

/* Was the entry dealt with when one of the sources before k was walked? */
static int
tree_seen(struct tree t[], size_t k, const char *name)
{
	struct stat st;
	size_t i;

	for (i = 0; i < k; i++)
		if (t[i].fd >= 0 &&
		    fstatat(t[i].fd, name, &st, AT_SYMLINK_NOFOLLOW) == 0)
			return 1;
	return 0;
}

/* The next entry but . and .. */
static const struct dirent *
tree_next(DIR *d)
{
	const struct dirent *e;

	do
		e = readdir(d);
	while (e != NULL &&
	       (strcmp(e->d_name, ".") == 0 || strcmp(e->d_name, "..") == 0));
	return e;
}

/* Has all of it been dealt with, together with the sources before? */
static int
tree_done(DIR *d, const struct tree *t)
{
	size_t n;

	for (n = 0; n <= t->hits && tree_next(d) != NULL; n++)
		;
	rewinddir(d);
	return n == t->hits;
}

/* Walks the directory of source k, and with it those behind. */
static int
tree_walk(
    struct job *j, struct tree t[], size_t k, struct dir *to, unsigned depth)
{
	const struct dirent *e;
	size_t old;
	DIR *d;
	int copy, error;

	j->root = k;
	if ((copy = openat(t[k].fd, ".", OPEN_DIR)) < 0)
		return gons__cov_fault(j, errno, 0, -1);
	if ((d = fdopendir(copy)) == NULL) {
		gons__cov_close(&copy);
		return gons__cov_fault(j, ENOMEM, 0, -1);
	}
	error = 0;
	if (k > 0 && tree_done(d, &t[k])) {
		(void)closedir(d);
		return 0;
	}
	while (error == 0 && (e = tree_next(d)) != NULL) {
		if (++j->entries > ENTRY_MAX)
			error = gons__cov_fault(j, E2BIG, 0, -1);
		else if (k == 0 || !tree_seen(t, k, e->d_name)) {
			old = job_enter(j, e->d_name);
			tree_entry(j, t, k, e, to, depth);
			job_leave(j, old);
		}
	}
	(void)closedir(d);
	return error;
}

/*
 * Merges one directory of all sources, -1 where there is none, and closes the
 * descriptors.  What all sources have of one file is added up before it goes
 * to the destination: of each file all or nothing is merged.
 */
static int
merge_tree(struct job *j, struct tree t[], struct dir *to, unsigned depth)
{
	size_t k;
	int error = 0;

	for (k = 0; k < j->nsrc && error == 0; k++)
		if (t[k].fd >= 0)
			error = tree_walk(j, t, k, to, depth);
	for (k = 0; k < j->nsrc; k++)
		gons__cov_close(&t[k].fd);
	return error;
}

/* What a path is: a type of file, or 0 if there is nothing. */
static int
path_type(const char *path, struct stat *st, mode_t *type)
{
	*type = 0;
	if (fstatat(AT_FDCWD, path, st, AT_SYMLINK_NOFOLLOW) != 0)
		return errno == ENOENT ? 0 : errno;
	*type = st->st_mode & S_IFMT;
	if (*type == S_IFLNK)
		return ELOOP;
	return *type == S_IFREG || *type == S_IFDIR ? 0 : EINVAL;
}

/* Are the sources, as far as they exist, all of one type, and which? */
static int
sources_type(struct job *j, mode_t *type)
{
	struct stat dst, st;
	mode_t dsttype, one;
	int error;

	if ((error = path_type(j->dst, &dst, &dsttype)) != 0)
		return gons__cov_fault(j, error, 1, -1);
	*type = dsttype;
	for (j->root = 0; j->root < j->nsrc; j->root++) {
		if ((error = path_type(j->src[j->root], &st, &one)) != 0)
			return error;
		if (one == 0)
			continue;
		if (*type != 0 && one != *type)
			return one == S_IFDIR ? EISDIR : ENOTDIR;
		*type = one;
		if (dsttype != 0 && dst.st_dev == st.st_dev &&
		    dst.st_ino == st.st_ino)
			return EINVAL;
	}
	j->root = 0;
	if (dsttype == S_IFDIR)
		j->top = dst;
	return 0;
}

static int
merge_file_paths(struct job *j)
{
	struct dir dir;
	struct place dst;
	struct source *s;
	char *path = strdup(j->dst), *slash;
	size_t i;
	int error;

	s = calloc(j->nsrc, sizeof(*s));
	if (path == NULL || s == NULL) {
		free(path);
		free(s);
		return gons__cov_fault(j, ENOMEM, 1, -1);
	}
	for (i = 0; i < j->nsrc; i++) {
		s[i].dir = AT_FDCWD;
		s[i].name = j->src[i];
		s[i].root = i;
	}
	memset(&dir, 0, sizeof(dir));
	slash = strrchr(path, '/');
	dst.name = slash != NULL ? slash + 1 : path;
	dst.dir = &dir;
	if (slash != NULL)
		*slash = '\0';
	dir.name = slash == NULL ? "." : slash == path ? "/" : path;
	dir.fd = -1;
	j->follow = j->made = 1;
	error = merge_files(j, s, j->nsrc, &dst);
	gons__cov_close(&dir.fd);
	free(s);
	free(path);
	return error;
}

static int
merge_tree_paths(struct job *j)
{
	struct dir dir;
	struct tree *t;
	size_t i;
	int error;

	if ((t = calloc(j->nsrc, sizeof(*t))) == NULL)
		return gons__cov_fault(j, ENOMEM, 0, -1);
	memset(&dir, 0, sizeof(dir));
	dir.name = j->dst;
	dir.fd = -1;
	for (i = 0; i < j->nsrc; i++) {
		t[i].fd = open(j->src[i], OPEN_DIR);
		if (t[i].fd < 0 && errno == ENOENT)
			j->st->skipped++;
		else if (t[i].fd < 0) {
			j->root = i;
			job_fail(j, gons__cov_fault(j, errno, 0, -1));
		}
	}
	error = merge_tree(j, t, &dir, 0);
	gons__cov_close(&dir.fd);
	free(t);
	return error;
}

int
gons_covmerge(
    const char *dst, const char *const src[], size_t n, struct gons_covstat *st)
{
	struct gons_covstat own;
	struct job j;
	mode_t type = 0;
	int error;

	if (st == NULL)
		st = &own;
	memset(st, 0, sizeof(*st));
	st->offset = -1;
	if (dst == NULL || (src == NULL && n != 0)) {
		errno = EINVAL;
		return -1;
	}
	if (n == 0)
		return 0;
	memset(&j, 0, sizeof(j));
	j.st = st;
	j.dst = dst;
	j.src = src;
	j.nsrc = n;
	j.at = -1;
	j.lockms = -1;
	if ((error = sources_type(&j, &type)) != 0)
		job_fail(&j, error);
	else if (type != S_IFDIR)
		job_file(&j, merge_file_paths(&j));
	else if ((error = merge_tree_paths(&j)) != 0)
		job_fail(&j, error);
	job_end(&j);
	if (j.error == 0)
		return 0;
	errno = j.error;
	return -1;
}

void
gons__cov_take(int dir, const char *name, const char *to, unsigned strip)
{
	static const char *const data = "data";
	struct gons_covstat st;
	struct job j;
	struct dir top;
	struct tree tree = { -1, 0 };

	memset(&st, 0, sizeof(st));
	memset(&j, 0, sizeof(j));
	memset(&top, 0, sizeof(top));
	j.st = &st;
	j.dst = to != NULL ? to : "";
	j.src = &data;
	j.nsrc = 1;
	j.lockms = LOCK_GLUE_MS;
	j.follow = j.take = j.renew = j.gcda = 1;
	j.nothing = to == NULL;
	j.strip = strip;
	top.name = j.dst;
	top.fd = -1;
	if ((tree.fd = openat(dir, name, OPEN_DIR)) >= 0)
		(void)merge_tree(&j, &tree, &top, 0);
	gons__cov_close(&top.fd);
	job_end(&j);
	(void)unlinkat(dir, name, AT_REMOVEDIR);
}
