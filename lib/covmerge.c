/*
 * SPDX-License-Identifier: BSD-2-Clause
 *
 * Copyright (c) 2026 The libgons developers
 *
 * gons_covmerge(3): adds coverage data to other coverage data, files to files or
 * trees to trees.  The object stands alone: it calls nothing but libc, and of a
 * coverage run time only what happens to be in the program.
 */

#include "covmerge.h"

#include <errno.h>
#include <unistd.h>

#define GCDA_MAX ((off_t)256 << 20) /* bytes of a .gcda file */

/* The type of the file at a path, or 0 if there is nothing. */
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
sources_type(struct merge *m, mode_t *type)
{
	const struct policy *how = m->how;
	struct stat dst, st;
	mode_t dsttype, one;
	int error;
	size_t i;

	if ((error = path_type(how->dst, &dst, &dsttype)) != 0)
		return gons__cov_fault(m, error, 1, -1);
	*type = dsttype;
	for (i = 0; i < how->nsrc; i++) {
		m->rep.root = i;
		if ((error = path_type(how->src[i], &st, &one)) != 0)
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
	m->rep.root = 0;
	if (dsttype == S_IFDIR)
		m->tmp.top = dst;
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

static void
merge_files(struct merge *m, char *path)
{
	struct dir dir;
	struct place dst = path_split(path, &dir);
	struct source *s;
	size_t i;

	if ((s = calloc(m->how->nsrc, sizeof(*s))) == NULL) {
		gons__cov_fail(m, gons__cov_fault(m, ENOMEM, 1, -1));
		return;
	}
	for (i = 0; i < m->how->nsrc; i++) {
		s[i].dir = AT_FDCWD;
		s[i].name = m->how->src[i];
		s[i].root = i;
	}
	gons__cov_files_merge(m, s, m->how->nsrc, &dst);
	fd_close(&dir.fd);
	free(s);
}

static void
merge_trees(struct merge *m, char *path)
{
	struct dir dir, top = { &dir, NULL, -1, 0, 0, "" };
	struct place dst;
	size_t i;
	int *fd;

	if ((fd = calloc(m->how->nsrc, sizeof(*fd))) == NULL) {
		gons__cov_fail(m, gons__cov_fault(m, ENOMEM, 0, -1));
		return;
	}
	for (i = strlen(path); i > 1 && path[i - 1] == '/'; i--)
		path[i - 1] = '\0';
	dst = path_split(path, &dir);
	top.name = *dst.name != '\0' ? dst.name : ".";
	for (i = 0; i < m->how->nsrc; i++) {
		fd[i] = open(m->how->src[i], OPEN_DIR);
		if (fd[i] < 0 && errno == ENOENT)
			m->rep.st->skipped++;
		else if (fd[i] < 0) {
			m->rep.root = i;
			gons__cov_fail(m, gons__cov_fault(m, errno, 0, -1));
		}
	}
	gons__cov_trees_merge(m, fd, &top);
	fd_close(&dir.fd);
	free(fd);
}

static int
merge_paths(const struct policy *how, struct gons_covstat *st)
{
	struct merge m;
	mode_t type = 0;
	char *path = NULL;
	int error;

	memset(&m, 0, sizeof(m));
	m.how = how;
	m.rep.st = st;
	m.rep.at = -1;
	if ((error = sources_type(&m, &type)) != 0)
		gons__cov_fail(&m, error);
	else if ((path = strdup(how->dst)) == NULL)
		gons__cov_fail(&m, gons__cov_fault(&m, ENOMEM, 1, -1));
	else if (type == S_IFDIR)
		merge_trees(&m, path);
	else
		merge_files(&m, path);
	free(path);
	gons__cov_end(&m);
	return m.rep.error;
}

static int
all_named(const char *const src[], size_t n)
{
	size_t i;

	if (src == NULL)
		return n == 0;
	for (i = 0; i < n; i++)
		if (src[i] == NULL)
			return 0;
	return 1;
}

int
gons_covmerge(
    const char *dst, const char *const src[], size_t n, struct gons_covstat *st)
{
	struct gons_covstat own;
	struct policy how;
	int error;

	if (st == NULL)
		st = &own;
	memset(st, 0, sizeof(*st));
	st->offset = -1;
	if (dst == NULL || !all_named(src, n)) {
		errno = EINVAL;
		return -1;
	}
	if (n == 0)
		return 0;
	memset(&how, 0, sizeof(how));
	how.dst = dst;
	how.src = src;
	how.nsrc = n;
	how.largest = GCDA_MAX;
	how.fresh = 1;
	if ((error = merge_paths(&how, st)) == 0)
		return 0;
	errno = error;
	return -1;
}
