/*
 * SPDX-License-Identifier: BSD-2-Clause
 *
 * Copyright (c) 2026 The libgons developers
 *
 * Trees of coverage data: which files of several sources belong together, and
 * where they go.  What is in the files is the business of their formats.
 */

#include "covmerge.h"

#include <dirent.h>
#include <errno.h>
#include <stdio.h>
#include <unistd.h>

/* Limits: what a child leaves is not trusted. */
#define DEPTH_MAX 100 /* directories below each other */
#define ENTRY_MAX 1000000 /* entries of one tree */
#define TAKE_MAX ((off_t)32 << 20) /* bytes of a file that a child left */
#define TAKE_REST_MS 125 /* for removing what was not merged in time */

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

static int merge_tree(struct merge *, struct tree[], struct dir *, unsigned);
static void dir_done(struct merge *, struct dir *);

static const struct format *const formats[] = {
	[KIND_GCDA] = &gons__cov_gcda,
	[KIND_COVER] = &gons__cov_cover,
	[KIND_OTHER] = NULL,
};

/* Has the time come? */
static int
past(int64_t when)
{
	return when != 0 && now_ms() >= when;
}

void
gons__cov_fail(struct merge *m, int error)
{
	struct gons_covstat *st = m->rep.st;

	if (error == ESTALE)
		st->stale++;
	else
		st->failed++;
	if (m->rep.error != 0)
		return;
	m->rep.error = error;
	st->offset = m->rep.at;
	(void)snprintf(st->where, sizeof(st->where), "%s%s",
	    m->rep.indst ? m->how->dst : m->how->src[m->rep.root], m->rep.path);
}

/* Appends a name to the path, and returns the length to go back to. */
static size_t
path_enter(struct report *r, const char *name)
{
	size_t old = r->pathlen, room = sizeof(r->path) - 1 - old;
	size_t len = strlen(name);

	if (room > 0) {
		r->path[old] = '/';
		if (len > --room)
			len = room;
		memcpy(r->path + old + 1, name, len);
		r->pathlen = old + 1 + len;
		r->path[r->pathlen] = '\0';
	}
	return old;
}

static void
path_leave(struct report *r, size_t old)
{
	r->pathlen = old;
	r->path[old] = '\0';
}

void
gons__cov_end(struct merge *m)
{
	buf_free(&m->tmp.sum);
	buf_free(&m->tmp.in);
	buf_free(&m->tmp.out);
}

static int
ends_with(const char *name, const char *end)
{
	size_t len = strlen(name), endlen = strlen(end);

	return len > endlen && strcmp(name + len - endlen, end) == 0;
}

/* Adds one source to the sum, whose format the first of them decides. */
static int
merge_source(struct merge *m, const struct source *s, const struct place *dst,
    const struct format **format)
{
	const struct format *f;
	struct input in;
	int error;

	error = gons__cov_input(m, s, &in);
	if (error == ENOENT || (error == 0 && in.kind == KIND_EMPTY)) {
		m->rep.skipped++;
		error = 0;
	} else if (error != 0)
		return gons__cov_fault(m, error, 0, -1);
	else if ((f = formats[in.kind]) == NULL)
		error = gons__cov_fault(m, EBADMSG, 0, 0);
	else if (*format != NULL && *format != f)
		error = gons__cov_fault(m, ENOTSUP, 0, 0);
	else {
		*format = f;
		if ((error = f->add(m, dst, &in)) == 0)
			m->rep.merged++;
	}
	fd_close(&in.fd);
	return error;
}

/*
 * All of them or none: the sum of the sources is known, and found good, before
 * the destination is touched.
 */
void
gons__cov_files_merge(
    struct merge *m, const struct source *s, size_t n, const struct place *dst)
{
	const struct format *format = NULL;
	int error = 0;
	size_t i;

	m->rep.merged = m->rep.skipped = 0;
	if (past(m->how->until))
		error = gons__cov_fault(m, ETIMEDOUT, 0, -1);
	for (i = 0; i < n && error == 0; i++)
		error = merge_source(m, &s[i], dst, &format);
	if (error == 0 && format != NULL)
		error = format->store(m, dst);
	if (format != NULL)
		format->free(m);
	if (error != 0)
		gons__cov_fail(m, error);
	else
		m->rep.st->merged += m->rep.merged;
	m->rep.st->skipped += m->rep.skipped;
}

/*
 * Is it coverage data, though no .gcda file by its name?
 * In a tree, files that are no coverage data do not matter, nor do those that
 * others have hidden or replaced.  A file that cannot be read for another
 * reason may be coverage data.
 */
static int
tree_wants(struct merge *m, const struct source *s)
{
	struct input in;
	int error;

	if (m->how->nothing || m->how->gcda)
		return 0;
	if ((error = gons__cov_input(m, s, &in)) != 0)
		return error != ENOENT && error != EACCES && error != ELOOP &&
		       error != EINVAL;
	fd_close(&in.fd);
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
tree_add(struct merge *m, struct tree *t, const struct dirent *e)
{
	struct entry *p;
	struct stat st;
	size_t room;

	if (++m->tmp.entries > ENTRY_MAX)
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
 * Lists a directory by name.  It is safe if nobody else can change it: a name
 * that was a regular file when it was listed is one when it is opened.
 */
static int
tree_list(struct merge *m, struct tree *t)
{
	const struct dirent *e;
	struct stat st;
	DIR *d;
	int copy, error = 0;

	if ((copy = openat(t->fd, ".", OPEN_DIR)) < 0)
		return errno;
	if ((d = fdopendir(copy)) == NULL) {
		fd_close(&copy);
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
		if (past(m->how->stop))
			error = ETIMEDOUT;
		else if (strcmp(e->d_name, ".") != 0 &&
			 strcmp(e->d_name, "..") != 0)
			error = tree_add(m, t, e);
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

	fd_close(&t->fd);
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
tree_next(struct merge *m, const struct tree t[])
{
	const struct entry *e, *next = NULL;
	size_t k;

	for (k = 0; k < m->how->nsrc; k++) {
		if (t[k].at == t[k].n)
			continue;
		e = &t[k].entry[t[k].at];
		if (next == NULL || entry_compare(e, next) < 0) {
			next = e;
			m->rep.root = k;
		}
	}
	return next;
}

/*
 * Merges the files of that name, if any of them is wanted, whichever source it
 * is in.  Links and special files fail by their name alone; a directory does
 * where a source before it has coverage data, and hides what is in those after.
 */
static int
tree_file(
    struct merge *m, const struct tree t[], const char *name, struct dir *to)
{
	const struct entry *e;
	struct place dst = { to, name };
	struct source *s;
	size_t bad = 0, k, n = 0;
	int error = 0, isgcda = ends_with(name, ".gcda"), wanted = isgcda;

	if ((s = calloc(m->how->nsrc, sizeof(*s))) == NULL)
		return gons__cov_fault(m, ENOMEM, 0, -1);
	for (k = m->rep.root; k < m->how->nsrc; k++) {
		if ((e = tree_has(&t[k], name)) == NULL)
			continue;
		if (S_ISREG(e->type)) {
			s[n].dir = t[k].fd;
			s[n].name = name;
			s[n].root = k;
			s[n].regular = t[k].safe;
			wanted = wanted || tree_wants(m, &s[n]);
			n++;
		} else if (error == 0 && (isgcda || S_ISDIR(e->type))) {
			bad = k;
			error = S_ISLNK(e->type) ? ELOOP : EINVAL;
		}
	}
	if (wanted && error != 0) {
		m->rep.root = bad;
		gons__cov_fail(m, gons__cov_fault(m, error, 0, -1));
	} else if (wanted && !m->how->nothing)
		gons__cov_files_merge(m, s, n, &dst);
	free(s);
	return 0;
}

/* Opens the directories of that name. */
static int
tree_open(
    struct merge *m, const struct tree t[], const char *name, struct tree sub[])
{
	const struct entry *e;
	struct stat st;
	size_t k;
	int error = 0;

	for (k = 0; k < m->how->nsrc; k++) {
		sub[k].fd = -1;
		if (error != 0 || (e = tree_has(&t[k], name)) == NULL ||
		    (!S_ISDIR(e->type) && k != m->rep.root))
			continue;
		sub[k].fd = openat(t[k].fd, name, OPEN_DIR);
		if (sub[k].fd < 0) {
			m->rep.root = k;
			error = gons__cov_fault(m, errno, 0, -1);
		} else if (!m->how->take && fstat(sub[k].fd, &st) == 0 &&
			   st.st_dev == m->tmp.top.st_dev &&
			   st.st_ino == m->tmp.top.st_ino)
			fd_close(&sub[k].fd); /* the destination */
	}
	return error;
}

/* A directory; below the strip level it is one to the destination, too. */
static int
tree_dir(struct merge *m, const struct tree t[], const char *name,
    struct dir *to, unsigned depth)
{
	struct dir next = { to, name, -1, 0, 0, "" };
	struct tree *sub;
	size_t k;
	int error;

	if (depth >= DEPTH_MAX)
		return gons__cov_fault(m, ENAMETOOLONG, 0, -1);
	if ((sub = calloc(m->how->nsrc, sizeof(*sub))) == NULL)
		return gons__cov_fault(m, ENOMEM, 0, -1);
	if ((error = tree_open(m, t, name, sub)) == 0)
		error = merge_tree(
		    m, sub, depth < m->how->strip ? to : &next, depth + 1);
	for (k = 0; k < m->how->nsrc; k++)
		tree_free(&sub[k]);
	free(sub);
	dir_done(m, &next);
	return error;
}

static void
tree_entry(struct merge *m, const struct tree t[], const struct entry *e,
    struct dir *to, unsigned depth)
{
	const char *name = e->name;
	size_t root = m->rep.root;
	mode_t type = e->type;
	int error = 0;

	if (S_ISDIR(type))
		error = tree_dir(m, t, name, to, depth);
	else
		error = tree_file(m, t, name, to);
	if (error != 0)
		gons__cov_fail(m, error);
	if (m->how->take)
		(void)unlinkat(
		    t[root].fd, name, S_ISDIR(type) ? AT_REMOVEDIR : 0);
}

/*
 * Merges one directory of all sources, -1 where there is none.  The data of all
 * sources for one file is added up before it goes to the destination: all of it
 * is merged or none.
 */
static int
merge_tree(struct merge *m, struct tree t[], struct dir *to, unsigned depth)
{
	const struct entry *e;
	const char *name;
	size_t k, old;
	int error;

	for (k = 0; k < m->how->nsrc; k++) {
		m->rep.root = k;
		if (t[k].fd >= 0 && (error = tree_list(m, &t[k])) != 0)
			return gons__cov_fault(m, error, 0, -1);
	}
	while ((e = tree_next(m, t)) != NULL) {
		if (past(m->how->stop))
			return gons__cov_fault(m, ETIMEDOUT, 0, -1);
		name = e->name;
		old = path_enter(&m->rep, name);
		tree_entry(m, t, e, to, depth);
		path_leave(&m->rep, old);
		for (k = m->how->nsrc; k-- > 0;)
			if (tree_has(&t[k], name) != NULL)
				t[k].at++;
	}
	return 0;
}

/* Merges the tree of that name in a directory, as the only source, and ends. */
static void
take_tree(struct merge *m, int dir, const char *name, struct dir *to)
{
	struct tree t;

	memset(&t, 0, sizeof(t));
	if ((t.fd = openat(dir, name, OPEN_DIR)) >= 0)
		(void)merge_tree(m, &t, to, 0);
	tree_free(&t);
	fd_close(&to->fd);
	gons__cov_end(m);
	(void)unlinkat(dir, name, AT_REMOVEDIR);
}

/*
 * A directory was made under another name and could not get its own.  If
 * somebody else has made one of that name meanwhile, files are merged into
 * that, else the work is lost.
 */
static int
dir_settle(const struct merge *m, struct dir *d, int error)
{
	struct dir to = { d->up, d->name, -1, 0, 0, "" };
	struct policy how = *m->how;
	struct {
		struct merge merge;
		struct gons_covstat st;
	} * again;

	if ((again = calloc(1, sizeof(*again))) == NULL)
		return ENOMEM;
	how.nsrc = 1;
	how.take = 1;
	how.fresh = how.follow = how.renew = 0;
	how.strip = 0;
	how.nothing = error != EEXIST && error != ENOTEMPTY;
	again->merge.how = &how;
	again->merge.rep.st = &again->st;
	take_tree(&again->merge, d->up->fd, d->temp, &to);
	if (!how.nothing)
		error = again->merge.rep.error;
	free(again);
	return error;
}

/* Closes a directory of the destination, after it has got its name. */
static void
dir_done(struct merge *m, struct dir *d)
{
	int error = 0;

	fd_close(&d->fd);
	if (*d->temp != '\0')
		error = gons__cov_rename(d->up->fd, d->temp, d->name, 1);
	if (error != 0 && (error = dir_settle(m, d, error)) != 0)
		gons__cov_fail(m, gons__cov_fault(m, error, 1, -1));
}

void
gons__cov_trees_merge(struct merge *m, int fd[], struct dir *to)
{
	struct tree *t;
	size_t i;
	int error;

	if ((t = calloc(m->how->nsrc, sizeof(*t))) != NULL) {
		for (i = 0; i < m->how->nsrc; i++)
			t[i].fd = fd[i];
		error = merge_tree(m, t, to, 0);
		for (i = 0; i < m->how->nsrc; i++)
			tree_free(&t[i]);
	} else {
		for (i = 0; i < m->how->nsrc; i++)
			fd_close(&fd[i]);
		error = gons__cov_fault(m, ENOMEM, 0, -1);
	}
	if (error != 0)
		gons__cov_fail(m, error);
	free(t);
	dir_done(m, to);
}

/* home: a descriptor, -1 if all is to be thrown away. */
static void
take(int dir, const char *name, int home, struct policy *how)
{
	static const char *const data = "data";
	struct gons_covstat st;
	struct merge m;
	struct dir top;

	how->src = &data;
	how->nsrc = 1;
	how->take = 1;
	how->nothing = home < 0;
	memset(&st, 0, sizeof(st));
	memset(&m, 0, sizeof(m));
	m.how = how;
	m.rep.st = &st;
	memset(&top, 0, sizeof(top));
	top.name = how->dst;
	top.fd = home;
	take_tree(&m, dir, name, &top);
}

void
gons__cov_take(int dir, const char *name, int home, const char *path,
    unsigned strip, int64_t until)
{
	struct policy how;

	memset(&how, 0, sizeof(how));
	how.dst = path;
	how.strip = strip;
	how.until = until - TAKE_REST_MS;
	how.stop = until;
	how.largest = TAKE_MAX;
	how.follow = gons__cov_root() == WHERE_HOME;
	how.renew = how.gcda = 1;
	take(dir, name, home, &how);
}

void
gons__cov_remove(int dir, const char *name, int64_t until)
{
	struct policy how;

	memset(&how, 0, sizeof(how));
	how.dst = "";
	how.stop = until;
	take(dir, name, -1, &how);
}
