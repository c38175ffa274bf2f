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

#define FITS_LEAST ((off_t)1 << 20)
#define LOCK_SRC_MS 1000 /* how long to wait for locks of sources, in all */

ssize_t
gons__cov_pread(int fd, void *p, size_t len, off_t at)
{
	ssize_t got;

	do
		got = pread(fd, p, len, at);
	while (got < 0 && errno == EINTR);
	return got;
}

int
gons__cov_read(int fd, void *p, size_t len, off_t at)
{
	ssize_t got;

	for (; len > 0; len -= (size_t)got, at += got) {
		got = gons__cov_pread(fd, p, len, at);
		if (got <= 0)
			return got < 0 ? errno : EBADMSG;
		p = (char *)p + got;
	}
	return 0;
}

/* Asks the kernel for a large file, so that the next needs no question. */
int
gons__cov_fits(struct merge *m, off_t size)
{
	off_t larger = size < FITS_LEAST ? FITS_LEAST : 2 * size;

	if (size <= m->tmp.fits)
		return 0;
	if (file_limit(larger) != 0)
		return file_limit(size);
	m->tmp.fits = larger;
	return 0;
}

int
gons__cov_write(struct merge *m, int fd, const void *p, size_t len, off_t at)
{
	int error;

	if ((error = gons__cov_fits(m, at + (off_t)len)) != 0)
		return error;
	return write_from(fd, p, len, at);
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
	int64_t until = ms > 0 ? now_ms() + ms : 0;
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
		else if (ms == 0 || now_ms() >= until)
			return EAGAIN;
		else
			(void)nanosleep(&nap, NULL);
	}
}

int
gons__cov_fault(struct merge *m, int error, unsigned indst, int64_t at)
{
	m->rep.indst = indst;
	/* No other failure is about a byte. */
	m->rep.at =
	    error == EBADMSG || error == ESTALE || error == ENOTSUP ? at : -1;
	return error;
}

/* The part of so many ms that is left before the merge must be done. */
static int
time_left(const struct merge *m, int ms)
{
	int64_t left;

	if (m->how->until == 0)
		return ms;
	left = m->how->until - now_ms();
	if (left < 0)
		left = 0;
	return ms < 0 || left < ms ? (int)left : ms;
}

/* A name that nobody else uses. */
static int
temp_name(struct merge *m, char name[32])
{
	if (m->tmp.temp.n++ == 0 &&
	    getrandom(m->tmp.temp.random, sizeof(m->tmp.temp.random), 0) < 0)
		return errno;
	(void)snprintf(name, 32, ".gons-%08x%08x", m->tmp.temp.random[0],
	    m->tmp.temp.random[1] + m->tmp.temp.n);
	return 0;
}

/*
 * A new directory is made under a name of its own, and so is all that it is to
 * hold: no other process meddles with it, and one that is killed leaves nothing
 * that looks like a result.
 */
static int
dir_make(struct merge *m, struct dir *d, int up)
{
	const char *name = d->name;
	int error;

	if (m->how->fresh && (d->up == NULL || !d->up->fresh)) {
		if ((error = temp_name(m, d->temp)) != 0)
			return error;
		name = d->temp;
	}
	if (mkdirat(up, name, 0777) == 0)
		d->fresh = m->how->fresh;
	else if (errno != EEXIST || name == d->temp) {
		*d->temp = '\0';
		return errno;
	}
	return 0;
}

int
gons__cov_dir(struct merge *m, struct dir *d)
{
	struct stat st;
	int error, flags, up;

	if (d->fd >= 0)
		return 0;
	if (d->up != NULL && (error = gons__cov_dir(m, d->up)) != 0)
		return error;
	up = d->up != NULL ? d->up->fd : AT_FDCWD;
	flags = OPEN_PATH | (m->how->follow || d->must ? 0 : O_NOFOLLOW);
	d->fd = openat(up, d->name, flags);
	if (d->fd < 0 && errno == ENOENT && !d->must) {
		if ((error = dir_make(m, d, up)) != 0)
			return error;
		d->fd = openat(up, *d->temp != '\0' ? d->temp : d->name, flags);
	}
	if (d->fd >= 0) {
		/* The destination itself is left out where a source has it. */
		/* NOLINTNEXTLINE: what has another name is below something */
		if (*d->temp != '\0' && d->up->must)
			(void)fstat(d->fd, &m->tmp.top);
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
gons__cov_temp(struct merge *m, const struct place *dst, char name[32], int *fd)
{
	int error, tries;

	for (tries = 0; tries < 100; tries++) {
		if ((error = temp_name(m, name)) != 0)
			return error;
		*fd = openat(dst->dir->fd, name,
		    O_RDWR | O_CREAT | O_EXCL | OPEN_FILE, 0666);
		if (*fd >= 0)
			return 0;
		if (errno != EEXIST)
			return errno;
	}
	return EAGAIN; /* EEXIST would speak of the destination */
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
gons__cov_dst(struct merge *m, const struct place *dst, int flags, int replaced,
    struct input *in)
{
	int error;

	for (;;) {
		in->fd = openat(
		    dst->dir->fd, dst->name, O_RDWR | OPEN_FILE | flags, 0666);
		if (in->fd < 0)
			return errno;
		error = gons__cov_lock(in->fd, F_WRLCK, time_left(m, -1));
		if (fstat(in->fd, &in->st) != 0 || !S_ISREG(in->st.st_mode))
			error = EINVAL;
		in->size = in->st.st_size;
		if (error == 0 && in->st.st_nlink > 0 &&
		    (!replaced || dst_is(dst, in)))
			return 0;
		fd_close(&in->fd);
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
input_read(struct merge *m, struct input *in, int regular)
{
	ssize_t got;
	int error;

	if (!regular &&
	    (fstat(in->fd, &in->st) != 0 || !S_ISREG(in->st.st_mode)))
		return EINVAL;
	if ((error = buf_reserve(&m->tmp.in, PIECE)) != 0)
		return error;
	if ((got = gons__cov_pread(in->fd, m->tmp.in.p, PIECE, 0)) < 0)
		return errno;
	m->tmp.in.len = (size_t)got;
	in->size = got;
	if (got == PIECE) {
		if (fstat(in->fd, &in->st) != 0)
			return errno;
		in->size = in->st.st_size;
	}
	in->kind = gons__cov_kind(m->tmp.in.p, m->tmp.in.len);
	return 0;
}

/* Whoever writes the source holds a lock, which may cost so much and no more. */
static int
input_wait(struct merge *m, struct input *in)
{
	int64_t since = now_ms();
	int error;

	error = gons__cov_lock(
	    in->fd, F_RDLCK, time_left(m, LOCK_SRC_MS - m->tmp.waited));
	m->tmp.waited += (int)(now_ms() - since);
	if (m->tmp.waited > LOCK_SRC_MS)
		m->tmp.waited = LOCK_SRC_MS;
	return error;
}

/*
 * Opens a regular file and looks what it is.  One that is being written is
 * waited for; a text is replaced, never written to, and needs no lock.
 */
int
gons__cov_input(struct merge *m, const struct source *s, struct input *in)
{
	int error, locked;

	m->rep.root = s->root;
	in->fd = openat(s->dir, s->name, O_RDONLY | OPEN_FILE);
	if (in->fd < 0)
		return errno;
	locked = gons__cov_lock(in->fd, F_RDLCK, 0) == 0;
	error = input_read(m, in, s->regular);
	if (error == 0 && !locked && in->kind != KIND_COVER) {
		error = input_wait(m, in);
		if (error == 0)
			error = input_read(m, in, s->regular);
	}
	if (error != 0)
		fd_close(&in->fd);
	return error;
}
