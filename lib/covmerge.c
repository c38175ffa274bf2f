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

struct entry {
	char *name;
	mode_t type;
};

/* A directory of one source. */
struct tree {
	int fd; /* -1: it has none */
	int safe; /* nobody else can change it */
	struct entry *entry; /* by name */
	size_t n;
	size_t room;
	size_t at; /* the next one */
};

static int merge_tree(struct job *, struct tree[], struct dir *, unsigned);
static void dir_done(struct job *, struct dir *);

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
	size_t old = j->pathlen, room = sizeof(j->path) - 1 - old;
	size_t len = strlen(name);

	if (room > 0) {
		j->path[old] = '/';
		if (len > --room)
			len = room;
		memcpy(j->path + old + 1, name, len);
		j->pathlen = old + 1 + len;
		j->path[j->pathlen] = '\0';
	}
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

/*
 * In a tree, files that are no coverage data are none of our business, nor are
 * those that others have hidden or replaced; what else keeps us from reading
 * one does not tell that it is none.
 */
static int
tree_wants(struct job *j, const struct source *s)
{
	struct input in;
	int error;

	if (j->nothing)
		return 0;
	if (ends_with(s->name, ".gcda"))
		return 1;
	if (j->gcda)
		return 0;
	if ((error = gons__cov_input(j, s, &in)) != 0)
		return error != ENOENT && error != EACCES && error != ELOOP &&
		       error != EINVAL;
	gons__cov_close(&in.fd);
	return in.kind == KIND_GCDA || in.kind == KIND_COVER;
}

static int
entry_compare(const void *va, const void *vb)
{
	const struct entry *a = va, *b = vb;

	return strcmp(a->name, b->name);
}

/* Adds an entry to the list of a directory. */
static int
tree_add(struct job *j, struct tree *t, const struct dirent *e)
{
	struct entry *p;
	struct stat st;
	size_t room;

	if (++j->entries > ENTRY_MAX)
		return E2BIG;
	if (t->n == t->room) {
		room = 2 * t->room + 16;
		if ((p = realloc(t->entry, room * sizeof(*p))) == NULL)
			return ENOMEM;
		t->entry = p;
		t->room = room;
	}
	p = &t->entry[t->n];
	p->type = (mode_t)DTTOIF(e->d_type);
	if (e->d_type == DT_UNKNOWN &&
	    fstatat(t->fd, e->d_name, &st, AT_SYMLINK_NOFOLLOW) == 0)
		p->type = st.st_mode & S_IFMT;
	if ((p->name = strdup(e->d_name)) == NULL)
		return ENOMEM;
	t->n++;
	return 0;
}

/*
 * Lists a directory by name.  It is safe if nobody else can change it: what
 * was a regular file when it was listed is one when it is opened.
 */
static int
tree_list(struct job *j, struct tree *t)
{
	const struct dirent *e;
	struct stat st;
	DIR *d;
	int copy, error = 0;

	if ((copy = openat(t->fd, ".", OPEN_DIR)) < 0)
		return errno;
	if ((d = fdopendir(copy)) == NULL) {
		gons__cov_close(&copy);
		return ENOMEM;
	}
	t->safe = fstat(t->fd, &st) == 0 && (st.st_mode & 022) == 0 &&
		  (st.st_uid == geteuid() || st.st_uid == 0);
	while (error == 0) {
		errno = 0;
		if ((e = readdir(d)) == NULL) {
			error = errno;
			break;
		}
		if (strcmp(e->d_name, ".") != 0 && strcmp(e->d_name, "..") != 0)
			error = tree_add(j, t, e);
	}
	(void)closedir(d);
	if (t->n > 1)
		qsort(t->entry, t->n, sizeof(*t->entry), entry_compare);
	return error;
}

static void
tree_free(struct tree *t)
{
	size_t i;

	gons__cov_close(&t->fd);
	for (i = 0; i < t->n; i++)
		free(t->entry[i].name);
	free(t->entry);
}

/* The entry that is to be dealt with, if it is of that name; or NULL. */
static const struct entry *
tree_has(const struct tree *t, const char *name)
{
	if (t->at == t->n || strcmp(t->entry[t->at].name, name) != 0)
		return NULL;
	return &t->entry[t->at];
}

/* The entry that comes next, of the first source that has it; NULL: no more. */
static const struct entry *
tree_next(struct job *j, const struct tree t[])
{
	const struct entry *e, *next = NULL;
	size_t k;

	for (k = 0; k < j->nsrc; k++) {
		if (t[k].at == t[k].n)
			continue;
		e = &t[k].entry[t[k].at];
		if (next == NULL || entry_compare(e, next) < 0) {
			next = e;
			j->root = k;
		}
	}
	return next;
}

/* Merges the files of that name. */
static int
tree_file(
    struct job *j, const struct tree t[], const char *name, struct dir *to)
{
	const struct entry *e;
	struct place dst = { to, name };
	struct source *s;
	size_t k, n = 0;
	int error = 0;

	if ((s = calloc(j->nsrc, sizeof(*s))) == NULL)
		return gons__cov_fault(j, ENOMEM, 0, -1);
	for (k = j->root; k < j->nsrc && error == 0; k++) {
		if ((e = tree_has(&t[k], name)) == NULL)
			continue;
		s[n].dir = t[k].fd;
		s[n].name = name;
		s[n].root = k;
		s[n++].regular = t[k].safe;
		if (!S_ISREG(e->type)) {
			j->root = k;
			error = S_ISLNK(e->type) ? ELOOP : EINVAL;
			(void)gons__cov_fault(j, error, 0, -1);
		}
	}
	if (tree_wants(j, &s[0])) {
		j->merged = j->skipped = 0;
		if (error == 0)
			error = merge_files(j, s, n, &dst);
		job_file(j, error);
	}
	free(s);
	return 0;
}

/* Opens the directories of that name. */
static int
tree_open(
    struct job *j, const struct tree t[], const char *name, struct tree sub[])
{
	const struct entry *e;
	struct stat st;
	size_t k;
	int error = 0;

	for (k = 0; k < j->nsrc; k++) {
		sub[k].fd = -1;
		if (error != 0 || (e = tree_has(&t[k], name)) == NULL ||
		    (!S_ISDIR(e->type) && k != j->root))
			continue;
		sub[k].fd = openat(t[k].fd, name, OPEN_DIR);
		if (sub[k].fd < 0) {
			j->root = k;
			error = gons__cov_fault(j, errno, 0, -1);
		} else if (!j->take && fstat(sub[k].fd, &st) == 0 &&
			   st.st_dev == j->top.st_dev &&
			   st.st_ino == j->top.st_ino)
			gons__cov_close(&sub[k].fd); /* the destination */
	}
	return error;
}

/* A directory; below the strip level it is one to the destination, too. */
static int
tree_dir(struct job *j, const struct tree t[], const char *name, struct dir *to,
    unsigned depth)
{
	struct dir next = { to, name, -1, 0, 0, "" };
	struct tree *sub;
	size_t k;
	int error;

	if (depth >= DEPTH_MAX)
		return gons__cov_fault(j, ENAMETOOLONG, 0, -1);
	if ((sub = calloc(j->nsrc, sizeof(*sub))) == NULL)
		return gons__cov_fault(j, ENOMEM, 0, -1);
	if ((error = tree_open(j, t, name, sub)) == 0)
		error = merge_tree(
		    j, sub, depth < j->strip ? to : &next, depth + 1);
	for (k = 0; k < j->nsrc; k++)
		tree_free(&sub[k]);
	free(sub);
	dir_done(j, &next);
	return error;
}

static void
tree_entry(struct job *j, const struct tree t[], const struct entry *e,
    struct dir *to, unsigned depth)
{
	const char *name = e->name;
	size_t root = j->root;
	mode_t type = e->type;
	int error = 0;

	if (S_ISDIR(type))
		error = tree_dir(j, t, name, to, depth);
	else if (S_ISREG(type))
		error = tree_file(j, t, name, to);
	else if (ends_with(name, ".gcda"))
		error =
		    gons__cov_fault(j, S_ISLNK(type) ? ELOOP : EINVAL, 0, -1);
	if (error != 0)
		job_fail(j, error);
	if (j->take)
		(void)unlinkat(
		    t[root].fd, name, S_ISDIR(type) ? AT_REMOVEDIR : 0);
}

/*
 * Merges one directory of all sources, -1 where there is none.  What all
 * sources have of one file is added up before it goes to the destination: of
 * each file all or nothing is merged.
 */
static int
merge_tree(struct job *j, struct tree t[], struct dir *to, unsigned depth)
{
	const struct entry *e;
	const char *name;
	size_t k, old;
	int error;

	for (k = 0; k < j->nsrc; k++) {
		j->root = k;
		if (t[k].fd >= 0 && (error = tree_list(j, &t[k])) != 0)
			return gons__cov_fault(j, error, 0, -1);
	}
	while ((e = tree_next(j, t)) != NULL) {
		name = e->name;
		old = job_enter(j, name);
		tree_entry(j, t, e, to, depth);
		job_leave(j, old);
		for (k = j->nsrc; k-- > 0;)
			if (tree_has(&t[k], name) != NULL)
				t[k].at++;
	}
	return 0;
}

/* Merges the tree of that name in a directory, as the only source, and ends. */
static void
take_tree(struct job *j, int dir, const char *name, struct dir *to)
{
	struct tree t;

	memset(&t, 0, sizeof(t));
	if ((t.fd = openat(dir, name, OPEN_DIR)) >= 0)
		(void)merge_tree(j, &t, to, 0);
	tree_free(&t);
	gons__cov_close(&to->fd);
	job_end(j);
	(void)unlinkat(dir, name, AT_REMOVEDIR);
}

/*
 * What was made under another name, and could not get its own: if somebody
 * else has made that meanwhile, it is merged to, else all was in vain.
 */
static int
dir_settle(struct job *j, struct dir *d, int error)
{
	struct dir to = { d->up, d->name, -1, 0, 0, "" };
	struct {
		struct job job;
		struct gons_covstat st;
	} * again;

	if ((again = calloc(1, sizeof(*again))) == NULL)
		return ENOMEM;
	again->job.st = &again->st;
	again->job.dst = j->dst;
	again->job.src = j->src;
	again->job.nsrc = 1;
	again->job.lockms = j->lockms;
	again->job.take = 1;
	again->job.nothing = error != EEXIST && error != ENOTEMPTY;
	take_tree(&again->job, d->up->fd, d->temp, &to);
	if (!again->job.nothing)
		error = again->job.error;
	free(again);
	return error;
}

/* Closes a directory of the destination, after it has got its name. */
static void
dir_done(struct job *j, struct dir *d)
{
	int error = 0;

	gons__cov_close(&d->fd);
	if (*d->temp != '\0')
		error = gons__cov_rename(d->up->fd, d->temp, d->name, 1);
	if (error != 0 && (error = dir_settle(j, d, error)) != 0)
		job_fail(j, gons__cov_fault(j, error, 1, -1));
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

/*
 * The destination's directory, by its path, and its name in there.  The path
 * is written to; nothing of it is made, and its links are followed.
 */
static struct place
path_split(char *path, struct dir *dir)
{
	struct place dst = { dir, path };
	char *slash;

	memset(dir, 0, sizeof(*dir));
	dir->fd = -1;
	dir->must = 1;
	dir->name = ".";
	if ((slash = strrchr(path, '/')) != NULL) {
		dst.name = slash + 1;
		dir->name = slash == path ? "/" : path;
		*slash = '\0';
	}
	return dst;
}

static int
merge_file_paths(struct job *j, char *path)
{
	struct dir dir;
	struct place dst = path_split(path, &dir);
	struct source *s;
	size_t i;
	int error;

	if ((s = calloc(j->nsrc, sizeof(*s))) == NULL)
		return gons__cov_fault(j, ENOMEM, 1, -1);
	for (i = 0; i < j->nsrc; i++) {
		s[i].dir = AT_FDCWD;
		s[i].name = j->src[i];
		s[i].root = i;
	}
	error = merge_files(j, s, j->nsrc, &dst);
	gons__cov_close(&dir.fd);
	free(s);
	return error;
}

static int
merge_tree_paths(struct job *j, char *path)
{
	struct dir dir, top = { &dir, NULL, -1, 0, 0, "" };
	struct place dst;
	struct tree *t;
	size_t i;
	int error;

	if ((t = calloc(j->nsrc, sizeof(*t))) == NULL)
		return gons__cov_fault(j, ENOMEM, 0, -1);
	for (i = strlen(path); i > 1 && path[i - 1] == '/'; i--)
		path[i - 1] = '\0';
	dst = path_split(path, &dir);
	top.name = *dst.name != '\0' ? dst.name : ".";
	for (i = 0; i < j->nsrc; i++) {
		t[i].fd = open(j->src[i], OPEN_DIR);
		if (t[i].fd < 0 && errno == ENOENT)
			j->st->skipped++;
		else if (t[i].fd < 0) {
			j->root = i;
			job_fail(j, gons__cov_fault(j, errno, 0, -1));
		}
	}
	j->fresh = 1;
	error = merge_tree(j, t, &top, 0);
	for (i = 0; i < j->nsrc; i++)
		tree_free(&t[i]);
	free(t);
	if (error != 0)
		job_fail(j, error);
	dir_done(j, &top);
	gons__cov_close(&dir.fd);
	return 0;
}

int
gons_covmerge(
    const char *dst, const char *const src[], size_t n, struct gons_covstat *st)
{
	struct gons_covstat own;
	struct job j;
	char *path = NULL;
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
	else if ((path = strdup(dst)) == NULL)
		job_fail(&j, gons__cov_fault(&j, ENOMEM, 1, -1));
	else if (type != S_IFDIR)
		job_file(&j, merge_file_paths(&j, path));
	else if ((error = merge_tree_paths(&j, path)) != 0)
		job_fail(&j, error);
	free(path);
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
	take_tree(&j, dir, name, &top);
}
