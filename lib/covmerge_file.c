/*
 * SPDX-License-Identifier: BSD-2-Clause
 *
 * Copyright (c) 2026 The libgons developers
 *
 * Files of coverage data: opened, locked, named, read and written with the care
 * that directories of other users ask for, and other processes that use them.
 */

#include "covmerge.h"

#include <sys/random.h>
#include <sys/syscall.h>

#include <errno.h>
#include <stdio.h>
#include <time.h>
#include <unistd.h>

#define LOCK_SRC_MS 1000 /* how long to wait for a source's lock */

int
gons__cov_reserve(struct buf *b, size_t size)
{
	unsigned char *p;

	if (size <= b->room)
		return 0;
	if (size < 2 * b->room)
		size = 2 * b->room;
	if ((p = realloc(b->p, size)) == NULL)
		return ENOMEM;
	b->p = p;
	b->room = size;
	return 0;
}

void
gons__cov_close(int *fd)
{
	int saved = errno;

	if (*fd >= 0)
		(void)close(*fd);
	*fd = -1;
	errno = saved;
}

int
gons__cov_read(int fd, void *p, size_t len, off_t at)
{
	ssize_t got;

	for (; len > 0; len -= (size_t)got, at += got) {
		got = pread(fd, p, len, at);
		if (got < 0 && errno == EINTR)
			got = 0;
		else if (got <= 0)
			return got < 0 ? errno : EBADMSG;
		p = (char *)p + got;
	}
	return 0;
}

int
gons__cov_write(int fd, const void *p, size_t len, off_t at)
{
	ssize_t put;

	for (; len > 0; len -= (size_t)put, at += put) {
		put = pwrite(fd, p, len, at);
		if (put < 0 && errno == EINTR)
			put = 0;
		else if (put <= 0)
			return put < 0 ? errno : EIO;
		p = (const char *)p + put;
	}
	return 0;
}

/*
 * Locks the whole file; ms: how long to wait, -1 without limit.  A lock of the
 * open file, not of the process: it excludes libgcov's in other processes and
 * in this one, other threads as well, and closing another descriptor of the
 * same file does not drop it.
 */
int
gons__cov_lock(int fd, short type, int ms)
{
	static const struct timespec nap = { 0, 5000000 };
	struct flock fl;
	int command;

	memset(&fl, 0, sizeof(fl));
	fl.l_type = type;
	fl.l_whence = SEEK_SET;
	command = ms < 0 ? F_OFD_SETLKW : F_OFD_SETLK;
	for (;;) {
		if (fcntl(fd, command, &fl) == 0)
			return 0;
		if (errno == EINVAL && command == F_OFD_SETLKW)
			command = F_SETLKW; /* Linux before 3.15 */
		else if (errno == EINVAL && command == F_OFD_SETLK)
			command = F_SETLK;
		else if (errno == EINTR)
			continue;
		else if (errno != EAGAIN && errno != EACCES)
			return errno;
		else if ((ms -= 5) < 0)
			return EAGAIN;
		else
			(void)nanosleep(&nap, NULL);
	}
}

int
gons__cov_fault(struct job *j, int error, int indst, int64_t at)
{
	j->indst = indst != 0;
	j->at = at;
	return error;
}

/* A name that nobody else uses. */
static int
temp_name(struct job *j, char name[32])
{
	if (j->temp.n++ == 0 &&
	    getrandom(j->temp.random, sizeof(j->temp.random), 0) < 0)
		return errno;
	(void)snprintf(name, 32, ".gons-%08x%08x", j->temp.random[0],
	    j->temp.random[1] + j->temp.n);
	return 0;
}

/*
 * A new directory is made under a name of its own, and so is all that it is to
 * hold: no other process meddles with it, and one that is killed leaves nothing
 * that looks like a result.
 */
static int
dir_make(struct job *j, struct dir *d, int up)
{
	const char *name = d->name;
	int error;

	if (j->fresh && (d->up == NULL || !d->up->fresh)) {
		if ((error = temp_name(j, d->temp)) != 0)
			return error;
		name = d->temp;
	}
	if (mkdirat(up, name, 0777) == 0)
		d->fresh = j->fresh;
	else if (errno != EEXIST || name == d->temp) {
		*d->temp = '\0';
		return errno;
	}
	return 0;
}

int
gons__cov_dir(struct job *j, struct dir *d)
{
	struct stat st;
	int error, flags, up;

	if (d->fd >= 0)
		return 0;
	if (d->up != NULL && (error = gons__cov_dir(j, d->up)) != 0)
		return error;
	up = d->up != NULL ? d->up->fd : AT_FDCWD;
	flags = OPEN_PATH | (j->follow || d->must ? 0 : O_NOFOLLOW);
	d->fd = openat(up, d->name, flags);
	if (d->fd < 0 && errno == ENOENT && !d->must) {
		if ((error = dir_make(j, d, up)) != 0)
			return error;
		d->fd = openat(up, *d->temp != '\0' ? d->temp : d->name, flags);
	}
	if (d->fd >= 0) {
		/* The destination itself is left out where a source has it. */
		/* NOLINTNEXTLINE: what has another name is below something */
		if (*d->temp != '\0' && d->up->must)
			(void)fstat(d->fd, &j->top);
		return 0;
	}
	error = errno;
	if (*d->temp != '\0') { /* the next file gets another */
		(void)unlinkat(up, d->temp, AT_REMOVEDIR);
		*d->temp = '\0';
		d->fresh = 0;
	}
	if (error == ENOTDIR &&
	    fstatat(up, d->name, &st, AT_SYMLINK_NOFOLLOW) == 0 &&
	    S_ISLNK(st.st_mode))
		error = ELOOP;
	return error;
}

/* A new file in the destination's directory, under a name of its own. */
int
gons__cov_temp(struct job *j, const struct place *dst, char name[32], int *fd)
{
	int error, tries;

	for (tries = 0; tries < 100; tries++) {
		if ((error = temp_name(j, name)) != 0)
			return error;
		*fd = openat(dst->dir->fd, name,
		    O_RDWR | O_CREAT | O_EXCL | OPEN_FILE, 0666);
		if (*fd >= 0)
			return 0;
		if (errno != EEXIST)
			return errno;
	}
	return EEXIST;
}

/* EEXIST: somebody else has made one meanwhile, and it is left alone. */
int
gons__cov_rename(int dir, const char *name, const char *to, int isdir)
{
	int error;

	if (syscall(SYS_renameat2, dir, name, dir, to,
		1 /* RENAME_NOREPLACE */) == 0)
		return 0;
	error = errno;
	if (error != ENOSYS && error != EINVAL)
		return error;
	if (isdir) /* replaces none but an empty one */
		return renameat(dir, name, dir, to) == 0 ? 0 : errno;
	if (linkat(dir, name, dir, to, 0) != 0)
		return errno;
	(void)unlinkat(dir, name, 0);
	return 0;
}

/* Does the name still stand for the open file? */
static int
dst_is(const struct place *dst, const struct input *in)
{
	struct stat st;

	if (fstatat(dst->dir->fd, dst->name, &st, AT_SYMLINK_NOFOLLOW) != 0)
		return 0;
	return st.st_ino == in->st.st_ino && st.st_dev == in->st.st_dev;
}

/*
 * Opens and locks the destination.  ENOENT: there is none, unless flags have
 * it made.  One that was removed while we waited for the lock is opened anew;
 * so is one that was replaced, if it is of a kind that is.
 */
int
gons__cov_dst(struct job *j, const struct place *dst, int flags, int replaced,
    struct input *in)
{
	int error;

	for (;;) {
		in->fd = openat(
		    dst->dir->fd, dst->name, O_RDWR | OPEN_FILE | flags, 0666);
		if (in->fd < 0)
			return errno;
		error = gons__cov_lock(in->fd, F_WRLCK, j->lockms);
		if (fstat(in->fd, &in->st) != 0 || !S_ISREG(in->st.st_mode))
			error = EINVAL;
		in->size = in->st.st_size;
		if (error == 0 && in->st.st_nlink > 0 &&
		    (!replaced || dst_is(dst, in)))
			return 0;
		gons__cov_close(&in->fd);
		if (error != 0)
			return error;
	}
}

enum kind
gons__cov_kind(const unsigned char *p, size_t len)
{
	if (len == 0)
		return KIND_EMPTY;
	if (len >= 4 &&
	    (memcmp(p, "adcg", 4) == 0 || memcmp(p, "gcda", 4) == 0))
		return KIND_GCDA;
	if (len >= 6 && memcmp(p, "mode: ", 6) == 0)
		return KIND_COVER;
	return KIND_OTHER;
}

/* The beginning of a file, most often all of it. */
static int
input_read(struct job *j, struct input *in, int regular)
{
	ssize_t got;
	int error;

	if (!regular &&
	    (fstat(in->fd, &in->st) != 0 || !S_ISREG(in->st.st_mode)))
		return EINVAL;
	if ((error = gons__cov_reserve(&j->in, PIECE)) != 0)
		return error;
	if ((got = pread(in->fd, j->in.p, PIECE, 0)) < 0)
		return errno;
	j->in.len = (size_t)got;
	in->size = got;
	if (got == PIECE) {
		if (fstat(in->fd, &in->st) != 0)
			return errno;
		in->size = in->st.st_size;
	}
	in->kind = gons__cov_kind(j->in.p, j->in.len);
	return 0;
}

/*
 * Opens a regular file and looks what it is.  Whoever writes it holds a lock,
 * which is waited for; a text is replaced, never written to, and needs none.
 */
int
gons__cov_input(struct job *j, const struct source *s, struct input *in)
{
	int error, locked;

	j->root = s->root;
	j->at = -1;
	in->fd = openat(s->dir, s->name, O_RDONLY | OPEN_FILE);
	if (in->fd < 0)
		return errno;
	locked = gons__cov_lock(in->fd, F_RDLCK, 0) == 0;
	error = input_read(j, in, s->regular);
	if (error == 0 && !locked && in->kind != KIND_COVER) {
		error = gons__cov_lock(in->fd, F_RDLCK, LOCK_SRC_MS);
		if (error == 0)
			error = input_read(j, in, s->regular);
	}
	if (error != 0)
		gons__cov_close(&in->fd);
	return error;
}
