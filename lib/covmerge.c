/*
 * SPDX-License-Identifier: BSD-2-Clause
 *
 * Copyright (c) 2026 The libgons developers
 *
 * Coverage data of children: how it merges, and where it goes.  The first part
 * adds .gcda files and Go cover profiles, as files and as trees, for
 * gons_covmerge(3); the second gives each re-executed child a private place
 * for its data and brings what it leaves there home, for gons_coverage(3).
 * This object stands alone: it calls nothing but libc, and of a coverage
 * runtime only what happens to be in the program.
 */

#ifndef _FILE_OFFSET_BITS
#define _FILE_OFFSET_BITS 64 /* locks of open files need it */
#endif

#include <sys/file.h>
#include <sys/mman.h>
#include <sys/random.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/types.h>

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <link.h>
#include <signal.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include <gons.h>

#include "internal.h"

/* Limits: what a child leaves is not trusted. */
#define GCDA_MAX ((off_t)256 << 20) /* bytes of a .gcda file */
#define COVER_MAX ((off_t)1 << 30) /* bytes of a Go profile */
#define PIECE 65536 /* bytes to read at once */
#define GCDA_SMALL 4096 /* bytes that are written at once or not at all */
#define DEPTH_MAX 100 /* directories below each other */
#define ENTRY_MAX 1000000 /* entries of one tree */
#define LOCK_SRC_MS 1000 /* how long to wait for a source's lock */
#define LOCK_GLUE_MS 5000 /* and for a destination's, when collecting */

#define OPEN_FILE (O_NOFOLLOW | O_NONBLOCK | O_NOCTTY | O_CLOEXEC)
#define OPEN_DIR (O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC)
#define OPEN_PATH (O_PATH | O_DIRECTORY | O_CLOEXEC)

/* The words of a .gcda file. */
#define GCDA_MAGIC 0x67636461u
#define GCDA_FUNCTION 0x01000000u
#define GCDA_ARCS 0x01a10000u
#define GCDA_OBJECT 0xa1000000u
#define GCDA_PROGRAM 0xa3000000u
#define GCDA_HEAD 8 /* bytes of a record's tag and length */

enum kind {
	KIND_EMPTY,
	KIND_GCDA,
	KIND_COVER,
	KIND_OTHER
};

struct buf {
	unsigned char *p;
	size_t len;
	size_t room;
};

/* A directory below the destination, opened or made when it is needed. */
struct dir {
	struct dir *up;
	const char *name;
	int fd; /* -1: not yet */
};

struct place {
	struct dir *dir;
	const char *name;
};

struct source {
	int dir;
	const char *name;
	size_t root; /* which of the sources of the call it belongs to */
};

/* An open source. */
struct input {
	int fd;
	enum kind kind;
	struct stat st;
};

/* One call of gons_covmerge(), or one collection. */
struct job {
	struct gons_covstat *st;
	const char *dst; /* path of the destination, for messages */
	const char *const *src; /* and of the sources */
	size_t nsrc;
	size_t root; /* the source at hand */
	struct stat top; /* of a destination tree */
	int error; /* the first */
	int lockms; /* how long to wait for the destination; -1: no limit */
	unsigned strip; /* directories to leave out of each path */
	unsigned follow : 1; /* directories of the destination may be links */
	unsigned take : 1; /* remove what was walked */
	unsigned renew : 1; /* replace a destination of another build */
	unsigned gcda : 1; /* nothing but .gcda files */
	unsigned nothing : 1; /* merge nothing, only remove */
	unsigned made : 1; /* the directory must be there already */
	unsigned indst : 1; /* the fault lies in the destination */
	int64_t at; /* where in the file the fault lies */
	size_t entries;
	uint64_t merged; /* of the file at hand */
	uint64_t skipped;
	struct buf acc; /* what the sources add up to */
	struct buf in;
	struct buf out;
	struct { /* names of files that are on their way */
		uint32_t random[2];
		uint32_t n;
	} temp;
	size_t pathlen;
	char path[PATH_MAX]; /* below the sources, and the destination */
};

/* A .gcda file in memory. */
struct gcda {
	const unsigned char *p;
	size_t len;
	size_t fault; /* where it is wrong */
	size_t body; /* where its records begin */
	unsigned major; /* version of gcc; 4 for clang */
	unsigned unit; /* bytes that record lengths count in */
	int swap; /* not in our byte order */
};

struct record {
	uint32_t tag; /* 0: no more records */
	int zero; /* counters, all of them 0 and left out */
	size_t body;
	size_t size; /* bytes of the body */
	size_t n; /* counters */
	size_t next;
};

/* A Go cover profile in memory. */
struct block {
	uint64_t start; /* line << 32 | column */
	uint64_t end;
	uint64_t count;
	uint32_t stmts;
	uint32_t at; /* where it stood in the last source that had it */
};

struct unit { /* the blocks of one Go source file */
	char *name;
	size_t namelen;
	struct block *block;
	size_t n;
	size_t sorted; /* the first so many are in order */
	size_t cursor; /* the next block to come, most likely */
	size_t room;
};

struct cover {
	const char *mode; /* NULL: not known yet */
	struct unit *unit;
	size_t n;
	size_t room;
	size_t last; /* the unit that the last line was about */
	uint32_t *hash; /* number of the unit + 1; 0: free */
	size_t nhash; /* a power of 2 */
};

/* A directory of one source. */
struct tree {
	int fd; /* -1: it has none */
	size_t hits; /* entries found with those of the sources before */
};

static int merge_tree(struct job *, struct tree[], struct dir *, unsigned);

/*
 * Small things
 */

static int
buf_reserve(struct buf *b, size_t size)
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

/* There must be room for it. */
static void
buf_add(struct buf *b, const void *p, size_t len)
{
	if (len != 0)
		memcpy(b->p + b->len, p, len);
	b->len += len;
}

static void
buf_swap(struct buf *a, struct buf *b)
{
	struct buf c = *a;

	*a = *b;
	*b = c;
}

/* Neither wraps nor makes a number that tools take for a negative one. */
static uint64_t
add_saturated(uint64_t a, uint64_t b)
{
	uint64_t sum = a + b;

	if (sum >= a && sum <= INT64_MAX)
		return sum;
	sum = a > b ? a : b;
	return sum > INT64_MAX ? sum : INT64_MAX;
}

static int
ends_with(const char *name, const char *end)
{
	size_t len = strlen(name), endlen = strlen(end);

	return len > endlen && strcmp(name + len - endlen, end) == 0;
}

static void
close_fd(int *fd)
{
	int saved = errno;

	if (*fd >= 0)
		(void)close(*fd);
	*fd = -1;
	errno = saved;
}

static int
read_all(int fd, void *p, size_t len, off_t at)
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

static int
write_all(int fd, const void *p, size_t len, off_t at)
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
static int
lock_file(int fd, short type, int ms)
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

/*
 * What went wrong, and where
 */

static int
fault(struct job *j, int error, int indst, int64_t at)
{
	j->indst = indst != 0;
	j->at = at;
	return error;
}

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

/*
 * The destination
 */

static int
dir_open(struct job *j, struct dir *d)
{
	struct stat st;
	int error, flags, up;

	if (d->fd >= 0)
		return 0;
	if (d->up != NULL && (error = dir_open(j, d->up)) != 0)
		return error;
	up = d->up != NULL ? d->up->fd : AT_FDCWD;
	flags = OPEN_PATH | (j->follow ? 0 : O_NOFOLLOW);
	d->fd = openat(up, d->name, flags);
	if (d->fd < 0 && errno == ENOENT && !j->made) {
		if (mkdirat(up, d->name, 0777) != 0 && errno != EEXIST)
			return errno;
		d->fd = openat(up, d->name, flags);
	}
	if (d->fd >= 0)
		return 0;
	error = errno;
	if (error == ENOTDIR &&
	    fstatat(up, d->name, &st, AT_SYMLINK_NOFOLLOW) == 0 &&
	    S_ISLNK(st.st_mode))
		error = ELOOP;
	return error;
}

/* A new file in the destination's directory, under a name of its own. */
static int
temp_open(struct job *j, const struct place *dst, char name[32], int *fd)
{
	int tries;

	for (tries = 0; tries < 100; tries++) {
		if (j->temp.n++ == 0 &&
		    getrandom(j->temp.random, sizeof(j->temp.random), 0) < 0)
			return errno;
		(void)snprintf(name, 32, ".gons-%08x%08x", j->temp.random[0],
		    j->temp.random[1] + j->temp.n);
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
static int
temp_link(const struct place *dst, const char *name)
{
	int error;

	if (syscall(SYS_renameat2, dst->dir->fd, name, dst->dir->fd, dst->name,
		1 /* RENAME_NOREPLACE */) == 0)
		return 0;
	error = errno;
	if (error != ENOSYS && error != EINVAL)
		return error;
	if (linkat(dst->dir->fd, name, dst->dir->fd, dst->name, 0) != 0)
		return errno;
	(void)unlinkat(dst->dir->fd, name, 0);
	return 0;
}

/* Does the name still stand for the open file? */
static int
dst_is(const struct place *dst, const struct input *in)
{
	struct stat st;

	return fstatat(dst->dir->fd, dst->name, &st, AT_SYMLINK_NOFOLLOW) ==
		   0 &&
	       st.st_ino == in->st.st_ino && st.st_dev == in->st.st_dev;
}

/*
 * Opens and locks the destination.  ENOENT: there is none, unless flags have
 * it made.  One that was removed while we waited for the lock is opened anew;
 * so is one that was replaced, if it is of a kind that is.
 */
static int
dst_open(struct job *j, const struct place *dst, int flags, int replaced,
    struct input *in)
{
	int error;

	for (;;) {
		in->fd = openat(
		    dst->dir->fd, dst->name, O_RDWR | OPEN_FILE | flags, 0666);
		if (in->fd < 0)
			return errno;
		error = lock_file(in->fd, F_WRLCK, j->lockms);
		if (fstat(in->fd, &in->st) != 0 || !S_ISREG(in->st.st_mode))
			error = EINVAL;
		if (error == 0 && in->st.st_nlink > 0 &&
		    (!replaced || dst_is(dst, in)))
			return 0;
		close_fd(&in->fd);
		if (error != 0)
			return error;
	}
}

/* A copy of the mode and, where we may, of the owner. */
static void
copy_owner(int fd, const struct stat *st)
{
	if (fchown(fd, st->st_uid, st->st_gid) == 0 || st->st_uid == geteuid())
		(void)fchmod(fd, st->st_mode & 0777);
}

/*
 * Sources
 */

static enum kind
kind_of(const unsigned char *p, size_t len)
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
input_read(struct job *j, struct input *in)
{
	ssize_t got;
	size_t len;
	int error;

	if (fstat(in->fd, &in->st) != 0 || !S_ISREG(in->st.st_mode))
		return EINVAL;
	len = in->st.st_size < PIECE ? (size_t)in->st.st_size : PIECE;
	if ((error = buf_reserve(&j->in, PIECE)) != 0)
		return error;
	if ((got = pread(in->fd, j->in.p, len, 0)) < 0)
		return errno;
	j->in.len = (size_t)got;
	in->kind = kind_of(j->in.p, j->in.len);
	return 0;
}

/*
 * Opens a regular file and looks what it is.  Whoever writes it holds a lock,
 * which is waited for; a text is replaced, never written to, and needs none.
 */
static int
input_open(struct job *j, const struct source *s, struct input *in)
{
	int error, locked;

	j->root = s->root;
	j->at = -1;
	in->fd = openat(s->dir, s->name, O_RDONLY | OPEN_FILE);
	if (in->fd < 0)
		return errno;
	locked = lock_file(in->fd, F_RDLCK, 0) == 0;
	error = input_read(j, in);
	if (error == 0 && !locked && in->kind != KIND_COVER) {
		error = lock_file(in->fd, F_RDLCK, LOCK_SRC_MS);
		if (error == 0)
			error = input_read(j, in);
	}
	if (error != 0)
		close_fd(&in->fd);
	return error;
}

/* A whole .gcda file, of which some may have been read already. */
static int
input_load(const struct input *in, struct buf *b, size_t have)
{
	size_t size;
	int error;

	if (in->st.st_size > GCDA_MAX)
		return EFBIG;
	size = (size_t)in->st.st_size;
	b->len = size;
	if (have >= size)
		return 0;
	if ((error = buf_reserve(b, size)) != 0)
		return error;
	return read_all(in->fd, b->p + have, size - have, (off_t)have);
}

/*
 * .gcda files
 */

static uint32_t
gcda_word(const struct gcda *g, size_t at)
{
	uint32_t word;

	memcpy(&word, g->p + at, sizeof(word));
	return g->swap ? __builtin_bswap32(word) : word;
}

static void
gcda_put(const struct gcda *g, unsigned char *p, uint32_t word)
{
	if (g->swap)
		word = __builtin_bswap32(word);
	memcpy(p, &word, sizeof(word));
}

static int
gcda_bad(struct gcda *g, int error, size_t at)
{
	g->fault = at;
	return error;
}

/* What compiler wrote it: "B22*" is gcc 12.2, "408*" is clang. */
static int
gcda_version(struct gcda *g)
{
	uint32_t v = gcda_word(g, 4);
	unsigned c0 = v >> 24, c1;

	c1 = (v >> 16) & 0xff;
	if (v >> 8 == 0x343038)
		g->major = 4;
	else if (c0 >= 'A' && c0 <= 'Z' && c1 >= '0' && c1 <= '9')
		g->major = (c0 - 'A') * 10 + (c1 - '0');
	else
		return gcda_bad(g, EBADMSG, 4);
	if (g->major != 4 && g->major < 9)
		return gcda_bad(g, ENOTSUP, 4);
	g->unit = g->major >= 12 ? 1 : 4;
	g->body = g->major >= 12 ? 16 : 12;
	return g->len < g->body ? gcda_bad(g, EBADMSG, g->len) : 0;
}

/* How a kind of counters merges: 'a'dd, 'o'r, 'm'inimum; 0: not at all. */
static int
gcda_merging(const struct gcda *g, uint32_t tag)
{
	static const char how[] = "aaa\0\0aomoo";
	uint32_t i;

	i = (tag - GCDA_ARCS) >> 17;
	if (i >= sizeof(how) - 1 || (g->major < 14 && i > 7))
		return 0;
	return how[i];
}

static int
gcda_is_counter(uint32_t tag)
{
	return tag >= GCDA_ARCS && tag < 0x02000000u &&
	       ((tag - GCDA_ARCS) & 0x1ffff) == 0;
}

static int
gcda_counters(struct gcda *g, size_t at, struct record *r, int32_t length)
{
	if (!gcda_merging(g, r->tag))
		return gcda_bad(g, ENOTSUP, at);
	if (length < 0) {
		r->zero = 1;
		r->n = (size_t) - (int64_t)length * g->unit;
		r->size = 0;
	} else
		r->n = r->size;
	if (r->n % 8 != 0)
		return gcda_bad(g, EBADMSG, at + 4);
	r->n /= 8;
	return 0;
}

/* The record that begins at an offset. */
static int
gcda_record(struct gcda *g, size_t at, struct record *r)
{
	int32_t length;
	int error;

	memset(r, 0, sizeof(*r));
	if (g->len - at < 4)
		return gcda_bad(g, EBADMSG, g->len);
	if ((r->tag = gcda_word(g, at)) == 0)
		return 0;
	if (g->len - at < GCDA_HEAD)
		return gcda_bad(g, EBADMSG, g->len);
	length = (int32_t)gcda_word(g, at + 4);
	r->body = at + GCDA_HEAD;
	r->size = length < 0 ? 0 : (size_t)length * (uint64_t)g->unit;
	if (gcda_is_counter(r->tag)) {
		if ((error = gcda_counters(g, at, r, length)) != 0)
			return error;
	} else if (length < 0 || !((r->tag == GCDA_FUNCTION &&
				       (r->size == 0 || r->size == 12)) ||
				     (r->tag == GCDA_OBJECT && r->size == 8) ||
				     (r->tag == GCDA_PROGRAM && r->size == 12)))
		return gcda_bad(g, EBADMSG, at);
	if ((uint32_t)(length < 0 ? 0 : length) > GCDA_MAX ||
	    r->size > g->len - r->body)
		return gcda_bad(g, EBADMSG, g->len);
	r->next = r->body + r->size;
	return 0;
}

/* Nothing follows the last record but one word of 0, with clang two. */
static int
gcda_end(struct gcda *g, size_t at)
{
	size_t least = g->major == 4 ? 8 : 4;

	if (g->len - at < least)
		return gcda_bad(g, EBADMSG, g->len);
	for (; at < g->len; at++)
		if (g->p[at] != 0)
			return gcda_bad(g, EBADMSG, at);
	return 0;
}

static int
gcda_open(struct gcda *g, const struct buf *b)
{
	uint32_t magic;

	memset(g, 0, sizeof(*g));
	g->p = b->p;
	g->len = b->len;
	if (g->len < 12)
		return gcda_bad(g, EBADMSG, g->len);
	magic = gcda_word(g, 0);
	g->swap = magic != GCDA_MAGIC;
	if (g->swap && __builtin_bswap32(magic) != GCDA_MAGIC)
		return gcda_bad(g, EBADMSG, 0);
	return gcda_version(g);
}

/* Is it a whole .gcda file, of which we understand every word? */
static int
gcda_check(struct gcda *g, const struct buf *b)
{
	struct record r;
	size_t at;
	int error, infunction;

	if ((error = gcda_open(g, b)) != 0)
		return error;
	infunction = 0;
	for (at = g->body;; at = r.next) {
		if ((error = gcda_record(g, at, &r)) != 0)
			return error;
		if (r.tag == 0)
			return gcda_end(g, at);
		if (r.tag == GCDA_FUNCTION)
			infunction = r.size != 0;
		else if (!gcda_is_counter(r.tag))
			infunction = 0;
		else if (!infunction)
			return gcda_bad(g, EBADMSG, at);
	}
}

/* gcc 12 and later go by the checksum, all others by the stamp. */
static int
gcda_same_build(const struct gcda *d, struct gcda *s)
{
	size_t at;

	if (d->swap != s->swap)
		return gcda_bad(s, ESTALE, 0);
	if (gcda_word(d, 4) != gcda_word(s, 4))
		return gcda_bad(s, ESTALE, 4);
	at = d->major >= 12 ? 12 : 8;
	if (gcda_word(d, at) != gcda_word(s, at))
		return gcda_bad(s, ESTALE, at);
	return 0;
}

static uint64_t
gcda_merge_one(int how, uint64_t a, uint64_t b)
{
	if (how == 'o')
		return a | b;
	if (how == 'm')
		return a == 0 || (b != 0 && b < a) ? b : a;
	return add_saturated(a, b);
}

/* A counter is two words, the low one first. */
static uint64_t
gcda_counter(const struct gcda *g, size_t at)
{
	return gcda_word(g, at) | (uint64_t)gcda_word(g, at + 4) << 32;
}

static void
gcda_merge_counters(const struct gcda *d, const struct gcda *s,
    const struct record *a, const struct record *b, struct buf *out)
{
	unsigned char *p = out->p + out->len;
	uint64_t x, y;
	size_t i;
	int how = gcda_merging(d, a->tag);

	for (i = 0; i < a->size; i += 8, p += 8) {
		x = gcda_counter(d, a->body + i);
		y = gcda_counter(s, b->body + i);
		x = gcda_merge_one(how, x, y);
		gcda_put(d, p, (uint32_t)x);
		gcda_put(d, p + 4, (uint32_t)(x >> 32));
	}
	out->len += a->size;
}

/* Runs and, in a summary of gcc's, the sum of their highest counts. */
static void
gcda_merge_summary(const struct gcda *d, const struct gcda *s,
    const struct record *a, const struct record *b, struct buf *out)
{
	uint64_t sum;
	size_t i;

	for (i = 0; i < a->size; i += 4) {
		sum = (uint64_t)gcda_word(d, a->body + i) +
		      gcda_word(s, b->body + i);
		if (sum > UINT32_MAX)
			sum = UINT32_MAX;
		gcda_put(d, out->p + out->len + i, (uint32_t)sum);
	}
	out->len += a->size;
}

/* Copies a function with its counters; at moves behind them. */
static void
gcda_copy_function(struct gcda *g, size_t *at, struct buf *out)
{
	struct record r;
	size_t end;

	(void)gcda_record(g, *at, &r);
	do
		end = r.next;
	while (gcda_record(g, end, &r) == 0 && gcda_is_counter(r.tag));
	buf_add(out, g->p + *at, end - *at);
	*at = end;
}

/* Merges one record that both have, of whatever kind. */
static int
gcda_merge_record(struct gcda *d, struct gcda *s, const struct record *a,
    const struct record *b, struct buf *out)
{
	const unsigned char *head;

	if (a->n != b->n || (a->size != b->size && !a->zero && !b->zero))
		return ESTALE;
	if (a->zero) {
		buf_add(out, s->p + b->body - GCDA_HEAD, GCDA_HEAD + b->size);
		return 0;
	}
	head = d->p + a->body - GCDA_HEAD;
	if (b->zero || a->tag == GCDA_FUNCTION) {
		if (!b->zero && memcmp(d->p + a->body, s->p + b->body, a->size))
			return ESTALE;
		buf_add(out, head, GCDA_HEAD + a->size);
		return 0;
	}
	buf_add(out, head, GCDA_HEAD);
	if (gcda_is_counter(a->tag))
		gcda_merge_counters(d, s, a, b, out);
	else
		gcda_merge_summary(d, s, a, b, out);
	return 0;
}

/*
 * Adds s to d, both checked; the sum goes to out.  A function that the linker
 * dropped from one program is an empty record there: the other's counts.
 */
static int
gcda_merge(struct gcda *d, struct gcda *s, struct buf *out)
{
	struct record a, b;
	size_t da, sa;
	int error;

	if ((error = gcda_same_build(d, s)) != 0 ||
	    (error = buf_reserve(out, d->len + s->len)) != 0)
		return error;
	out->len = 0;
	buf_add(out, d->p, d->body);
	da = d->body;
	sa = s->body;
	for (;;) {
		(void)gcda_record(d, da, &a);
		(void)gcda_record(s, sa, &b);
		if (a.tag != b.tag)
			return gcda_bad(s, ESTALE, sa);
		if (a.tag == 0)
			break;
		if (a.tag == GCDA_FUNCTION && a.size != b.size) {
			if (a.size == 0)
				gcda_copy_function(s, &sa, out);
			else
				gcda_copy_function(d, &da, out);
			if (a.size == 0)
				da = a.next;
			else
				sa = b.next;
			continue;
		}
		if (gcda_merge_record(d, s, &a, &b, out) != 0)
			return gcda_bad(s, ESTALE, sa);
		da = a.next;
		sa = b.next;
	}
	buf_add(out, d->p + da, d->len - da);
	return 0;
}

/*
 * Writes over a file without replacing it: libgcov may be waiting for it.
 * What does not fit is found out before, or undone.
 */
static int
update_file(int fd, const struct buf *new, const struct buf *old)
{
	int error;

	if (old->len != 0 && new->len > old->len &&
	    fallocate(fd, FALLOC_FL_KEEP_SIZE, 0, (off_t) new->len) != 0 &&
	    errno != EOPNOTSUPP &&errno != ENOSYS &&errno != EINTR)
		return errno;
	error = write_all(fd, new->p, new->len, 0);
	if (error == 0 && new->len < old->len &&
	    ftruncate(fd, (off_t) new->len) != 0)
		error = errno;
	if (error != 0) {
		(void)write_all(fd, old->p, old->len, 0);
		if (ftruncate(fd, (off_t)old->len) != 0)
			return error; /* nothing more can be done */
	}
	return error;
}

/*
 * Makes the destination: at no time is there half a file.  EEXIST: somebody
 * else has made it.
 */
static int
gcda_create(struct job *j, const struct place *dst)
{
	char name[32];
	int error, fd;

	if ((error = temp_open(j, dst, name, &fd)) != 0)
		return error;
	error = write_all(fd, j->acc.p, j->acc.len, 0);
	close_fd(&fd);
	if (error == 0)
		error = temp_link(dst, name);
	if (error != 0)
		(void)unlinkat(dst->dir->fd, name, 0);
	return error;
}

/* Adds what the sources add up to, to an existing destination. */
static int
gcda_update(struct job *j, const struct input *in)
{
	struct gcda d, s;
	int error;

	if ((error = input_load(in, &j->in, 0)) != 0)
		return fault(j, error, 1, -1);
	if (in->st.st_size == 0)
		return fault(j, update_file(in->fd, &j->acc, &j->in), 1, -1);
	if ((error = gcda_check(&d, &j->in)) != 0)
		(void)fault(j, error, 1, (int64_t)d.fault);
	else if ((error = gcda_open(&s, &j->acc)) != 0 ||
		 (error = gcda_merge(&d, &s, &j->out)) != 0)
		(void)fault(j, error, 0, (int64_t)s.fault);
	else
		return fault(j, update_file(in->fd, &j->out, &j->in), 1, -1);
	if (j->renew && (error == ESTALE || error == EBADMSG))
		error = update_file(in->fd, &j->acc, &j->in);
	return error;
}

/*
 * A small file is made in its place: what is interrupted leaves an empty one,
 * which is as good as none.
 */
static int
gcda_store(struct job *j, const struct place *dst)
{
	struct input in;
	int error, flags;

	if ((error = dir_open(j, dst->dir)) != 0)
		return fault(j, error, 1, -1);
	flags = j->acc.len <= GCDA_SMALL ? O_CREAT : 0;
	do {
		error = dst_open(j, dst, flags, 0, &in);
		if (error == ENOENT && flags == 0)
			error = gcda_create(j, dst);
		else if (error == 0) {
			error = gcda_update(j, &in);
			(void)lock_file(in.fd, F_UNLCK, 0);
			close_fd(&in.fd);
			return error;
		}
	} while (error == EEXIST);
	return fault(j, error, 1, -1);
}

/* Adds one source to what the sources before it add up to. */
static int
gcda_add(struct job *j, const struct input *in)
{
	struct gcda d, s;
	int error;

	if ((error = input_load(in, &j->in, j->in.len)) != 0)
		return fault(j, error, 0, -1);
	if ((error = gcda_check(&s, &j->in)) != 0)
		return fault(j, error, 0, (int64_t)s.fault);
	if (j->merged++ == 0) {
		buf_swap(&j->acc, &j->in);
		return 0;
	}
	if ((error = gcda_open(&d, &j->acc)) != 0 ||
	    (error = gcda_merge(&d, &s, &j->out)) != 0)
		return fault(j, error, 0, (int64_t)s.fault);
	buf_swap(&j->acc, &j->out);
	return 0;
}

/*
 * Go cover profiles
 */

static void
cover_free(struct cover *c)
{
	size_t i;

	for (i = 0; i < c->n; i++) {
		free(c->unit[i].name);
		free(c->unit[i].block);
	}
	free(c->unit);
	free(c->hash);
	memset(c, 0, sizeof(*c));
}

static int
block_compare(const void *va, const void *vb)
{
	const struct block *a = va, *b = vb;

	if (a->start != b->start)
		return a->start < b->start ? -1 : 1;
	if (a->end != b->end)
		return a->end < b->end ? -1 : 1;
	return 0;
}

static int
unit_compare(const void *va, const void *vb)
{
	const struct unit *a = va, *b = vb;

	return strcmp(a->name, b->name);
}

/* The same block again: ESTALE if it has another number of statements. */
static int
block_add(const struct cover *c, struct block *to, const struct block *b)
{
	if (to->stmts != b->stmts)
		return ESTALE;
	if (*c->mode == 's') /* set: was it ever reached? */
		to->count = to->count != 0 || b->count != 0;
	else
		to->count = add_saturated(to->count, b->count);
	return 0;
}

/* Merges blocks that stand side by side and are the same. */
static int
blocks_join(const struct cover *c, struct block *b, size_t *n, uint32_t *at)
{
	size_t from, to;

	for (from = 1, to = 0; from < *n; from++) {
		if (block_compare(&b[to], &b[from]) != 0)
			b[++to] = b[from];
		else if (block_add(c, &b[to], &b[from]) != 0) {
			*at = b[to].at > b[from].at ? b[to].at : b[from].at;
			return ESTALE;
		}
	}
	*n = to + 1;
	return 0;
}

/*
 * Brings the blocks that came out of order to their places: sorts them by
 * themselves, then merges them into the others from behind.
 */
static int
unit_tidy(const struct cover *c, struct unit *u, uint32_t *at)
{
	struct block *tail, *to;
	size_t n, ntail;
	int error;

	if ((ntail = u->n - u->sorted) == 0)
		return 0;
	qsort(u->block + u->sorted, ntail, sizeof(*tail), block_compare);
	if ((error = blocks_join(c, u->block + u->sorted, &ntail, at)) != 0)
		return error;
	if ((tail = malloc(ntail * sizeof(*tail))) == NULL)
		return ENOMEM;
	memcpy(tail, u->block + u->sorted, ntail * sizeof(*tail));
	n = u->sorted;
	u->sorted = u->n = n + ntail;
	for (to = u->block + u->n; ntail > 0;) {
		if (n > 0 &&
		    block_compare(&u->block[n - 1], &tail[ntail - 1]) > 0)
			*--to = u->block[--n];
		else
			*--to = tail[--ntail];
	}
	free(tail);
	return 0;
}

/* The first of the sorted blocks that does not come before b. */
static size_t
unit_find(const struct unit *u, const struct block *b)
{
	size_t high, low, mid;

	for (low = 0, high = u->sorted; low < high;) {
		mid = low + (high - low) / 2;
		if (block_compare(&u->block[mid], b) < 0)
			low = mid + 1;
		else
			high = mid;
	}
	return low;
}

static int
unit_append(struct unit *u, const struct block *b)
{
	struct block *p;
	size_t room;

	if (u->n == u->room) {
		room = u->room + u->room / 2 + 4;
		if ((p = realloc(u->block, room * sizeof(*p))) == NULL)
			return ENOMEM;
		u->block = p;
		u->room = room;
	}
	u->block[u->n++] = *b;
	return 0;
}

/*
 * Profiles of one program list their blocks in the same order, which mostly is
 * the right one: the block at the cursor is looked at first, and a block
 * behind the last one is appended.  Those that are new and out of order gather
 * behind the sorted ones.
 */
static int
unit_add(
    const struct cover *c, struct unit *u, const struct block *b, uint32_t *at)
{
	size_t i = u->cursor;
	int error;

	if (i >= u->sorted || block_compare(&u->block[i], b) != 0) {
		if (u->sorted == 0 ||
		    block_compare(&u->block[u->sorted - 1], b) < 0)
			i = u->sorted;
		else
			i = unit_find(u, b);
	}
	if (i < u->sorted && block_compare(&u->block[i], b) == 0) {
		u->cursor = i + 1;
		return block_add(c, &u->block[i], b);
	}
	if ((error = unit_append(u, b)) != 0)
		return error;
	if (i == u->sorted && u->n == u->sorted + 1)
		u->cursor = ++u->sorted;
	else if (u->n - u->sorted > u->sorted + 1024)
		return unit_tidy(c, u, at);
	return 0;
}

static size_t
name_hash(const char *name, size_t len)
{
	uint64_t h;

	for (h = 0xcbf29ce484222325u; len > 0; len--)
		h = (h ^ (unsigned char)*name++) * 0x100000001b3u;
	return (size_t)(h ^ h >> 32);
}

/* Room for one more unit, in the array and in the hash table. */
static int
cover_grow(struct cover *c)
{
	struct unit *units;
	uint32_t *hash;
	size_t h, i, n;

	if (c->n == c->room) {
		n = 2 * c->room + 16;
		if ((units = realloc(c->unit, n * sizeof(*units))) == NULL)
			return ENOMEM;
		c->unit = units;
		c->room = n;
	}
	if (2 * c->n < c->nhash)
		return 0;
	n = c->nhash != 0 ? 4 * c->nhash : 64;
	if ((hash = calloc(n, sizeof(*hash))) == NULL)
		return ENOMEM;
	for (i = 0; i < c->n; i++) {
		h = name_hash(c->unit[i].name, c->unit[i].namelen);
		while (hash[h & (n - 1)] != 0)
			h++;
		hash[h & (n - 1)] = (uint32_t)i + 1;
	}
	free(c->hash);
	c->hash = hash;
	c->nhash = n;
	return 0;
}

/* Finds or makes the unit of that name: it is the last one then. */
static int
cover_unit(struct cover *c, const char *name, size_t len)
{
	struct unit *u;
	size_t h;
	int error;

	if (memchr(name, '\0', len) != NULL)
		return EBADMSG;
	if ((error = cover_grow(c)) != 0)
		return error;
	for (h = name_hash(name, len);; h++) {
		if (c->hash[h & (c->nhash - 1)] == 0)
			break;
		c->last = c->hash[h & (c->nhash - 1)] - 1;
		u = &c->unit[c->last];
		if (u->namelen == len && memcmp(u->name, name, len) == 0)
			return 0;
	}
	u = &c->unit[c->n];
	memset(u, 0, sizeof(*u));
	if ((u->name = malloc(len + 1)) == NULL)
		return ENOMEM;
	memcpy(u->name, name, len);
	u->name[len] = '\0';
	u->namelen = len;
	c->last = c->n++;
	c->hash[h & (c->nhash - 1)] = (uint32_t)c->n;
	return 0;
}

/* Decimal digits up to max, and the character behind them. */
static int
number(const char **p, const char *end, char behind, uint64_t max, uint64_t *v)
{
	const char *s;
	unsigned digit;

	*v = 0;
	for (s = *p; s < end && (digit = (unsigned)(*s - '0')) <= 9; s++) {
		if (*v > (max - digit) / 10)
			return 0;
		*v = *v * 10 + digit;
	}
	if (s == *p)
		return 0;
	*p = s + 1;
	return s == end ? behind == '\0' : *s == behind;
}

/* "LINE.COLUMN,LINE.COLUMN STATEMENTS COUNT" up to the end, and no more. */
static int
block_parse(const char *p, const char *end, struct block *b)
{
	uint64_t column, line, stmts;

	if (!number(&p, end, '.', UINT32_MAX, &line) ||
	    !number(&p, end, ',', UINT32_MAX, &column))
		return 0;
	b->start = line << 32 | column;
	if (!number(&p, end, '.', UINT32_MAX, &line) ||
	    !number(&p, end, ' ', UINT32_MAX, &column))
		return 0;
	b->end = line << 32 | column;
	if (!number(&p, end, ' ', UINT32_MAX, &stmts) ||
	    !number(&p, end, '\0', UINT64_MAX, &b->count))
		return 0;
	b->stmts = (uint32_t)stmts;
	return 1;
}

static int
cover_mode(struct cover *c, const char *line, size_t len)
{
	static const char *const modes[] = { "set", "count", "atomic" };
	size_t i;

	for (i = 0; i < sizeof(modes) / sizeof(modes[0]); i++)
		if (len == 6 + strlen(modes[i]) &&
		    memcmp(line + 6, modes[i], len - 6) == 0) {
			if (c->mode == NULL)
				c->mode = modes[i];
			return c->mode == modes[i] ? 0 : ENOTSUP;
		}
	return EBADMSG;
}

/* A line that does not tell where it goes: "NAME:" and a block. */
static int
cover_line(struct cover *c, const char *line, size_t len, uint32_t *at)
{
	const char *colon, *end = line + len;
	struct block b;
	struct unit *u;
	int error;

	b.at = *at;
	u = c->n > 0 ? &c->unit[c->last] : NULL;
	if (u == NULL || len <= u->namelen || line[u->namelen] != ':' ||
	    memcmp(line, u->name, u->namelen) != 0 ||
	    !block_parse(line + u->namelen + 1, end, &b)) {
		colon = memrchr(line, ':', len);
		if (colon == NULL || colon == line ||
		    !block_parse(colon + 1, end, &b))
			return EBADMSG;
		error = cover_unit(c, line, (size_t)(colon - line));
		if (error != 0)
			return error;
		u = &c->unit[c->last];
	}
	if (*c->mode == 's')
		b.count = b.count != 0;
	return unit_add(c, u, &b, at);
}

/*
 * Takes in the lines of b, whose first byte is at an offset of the file, and
 * leaves there what is not a whole line.  On failure at is where.
 */
static int
cover_lines(struct cover *c, struct buf *b, uint32_t *at)
{
	const char *end, *line = (const char *)b->p, *stop = line + b->len;
	size_t len;
	uint32_t here;
	int error;

	while ((end = memchr(line, '\n', (size_t)(stop - line))) != NULL) {
		len = (size_t)(end - line);
		here = *at;
		if (here == 0)
			error = cover_mode(c, line, len);
		else
			error = cover_line(c, line, len, at);
		if (error != 0)
			return error;
		*at = here + (uint32_t)len + 1;
		line = end + 1;
	}
	b->len = (size_t)(stop - line);
	memmove(b->p, line, b->len);
	return 0;
}

/* Brings all units in order, and their cursors to the beginning. */
static int
cover_tidy(struct cover *c, uint32_t *at)
{
	size_t i;
	int error;

	for (i = 0; i < c->n; i++) {
		c->unit[i].cursor = 0;
		if ((error = unit_tidy(c, &c->unit[i], at)) != 0)
			return error;
	}
	return 0;
}

/* Takes in a whole profile, piece by piece; indst: it is the destination. */
static int
cover_read(struct job *j, struct cover *c, const struct input *in, int indst)
{
	ssize_t got;
	uint32_t at = 0;
	off_t total = 0;
	int error;

	j->in.len = 0;
	for (;;) {
		error = buf_reserve(&j->in, j->in.len + PIECE);
		if (error != 0)
			break;
		got = pread(
		    in->fd, j->in.p + j->in.len, j->in.room - j->in.len, total);
		if (got < 0 && errno == EINTR)
			continue;
		if (got <= 0) {
			error = got < 0 ? errno : j->in.len ? EBADMSG : 0;
			break;
		}
		if ((total += got) > COVER_MAX)
			return fault(j, EFBIG, indst, -1);
		j->in.len += (size_t)got;
		if ((error = cover_lines(c, &j->in, &at)) != 0)
			break;
	}
	if (error == 0)
		error = cover_tidy(c, &at);
	return error == 0 ? 0 : fault(j, error, indst, at);
}

static int
cover_source(struct job *j, struct cover *c, const struct source *s)
{
	struct input in;
	int error;

	if ((error = input_open(j, s, &in)) != 0)
		return error == ENOENT ? (j->skipped++, 0)
				       : fault(j, error, 0, -1);
	if (in.kind == KIND_EMPTY)
		j->skipped++;
	else if (in.kind != KIND_COVER)
		error =
		    fault(j, in.kind == KIND_GCDA ? ENOTSUP : EBADMSG, 0, 0);
	else if ((error = cover_read(j, c, &in, 0)) == 0)
		j->merged++;
	close_fd(&in.fd);
	return error;
}

static char *
put_number(char *p, uint64_t v, char behind)
{
	char digits[24];
	int n = 0;

	do
		digits[n++] = (char)('0' + v % 10);
	while ((v /= 10) != 0);
	while (n > 0)
		*p++ = digits[--n];
	*p++ = behind;
	return p;
}

/* One line; there is room for it. */
static void
put_block(struct buf *out, const struct unit *u, const struct block *b)
{
	char *p;

	buf_add(out, u->name, u->namelen);
	p = (char *)out->p + out->len;
	*p++ = ':';
	p = put_number(p, b->start >> 32, '.');
	p = put_number(p, b->start & UINT32_MAX, ',');
	p = put_number(p, b->end >> 32, '.');
	p = put_number(p, b->end & UINT32_MAX, ' ');
	p = put_number(p, b->stmts, ' ');
	p = put_number(p, b->count, '\n');
	out->len = (size_t)(p - (char *)out->p);
}

/* Writes what has gathered in out, if that is more than so much. */
static int
put_flush(struct buf *out, int fd, off_t *at, size_t limit)
{
	int error;

	if (out->len <= limit)
		return 0;
	error = write_all(fd, out->p, out->len, *at);
	*at += (off_t)out->len;
	out->len = 0;
	return error;
}

static int
cover_write(struct cover *c, struct buf *out, int fd)
{
	struct unit *u;
	size_t i, k;
	off_t at;
	int error;

	if (c->n > 1)
		qsort(c->unit, c->n, sizeof(*c->unit), unit_compare);
	if ((error = buf_reserve(out, 131072)) != 0)
		return error;
	at = 0;
	out->len =
	    (size_t)snprintf((char *)out->p, out->room, "mode: %s\n", c->mode);
	for (i = 0; i < c->n; i++) {
		u = &c->unit[i];
		if ((error = buf_reserve(out, 131072 + u->namelen)) != 0)
			return error;
		for (k = 0; k < u->n; k++) {
			put_block(out, u, &u->block[k]);
			error = put_flush(out, fd, &at, 130000);
			if (error != 0)
				return error;
		}
	}
	return put_flush(out, fd, &at, 0);
}

/* Puts the sum in the place of the old file, or where none was. */
static int
cover_store(struct job *j, struct cover *c, const struct place *dst,
    const struct input *old)
{
	char name[32];
	int error, fd;

	if ((error = temp_open(j, dst, name, &fd)) != 0)
		return fault(j, error, 1, -1);
	if (old->fd >= 0)
		copy_owner(fd, &old->st);
	error = cover_write(c, &j->out, fd);
	close_fd(&fd);
	if (error == 0 && old->fd < 0)
		error = temp_link(dst, name);
	else if (error == 0 &&
		 renameat(dst->dir->fd, name, dst->dir->fd, dst->name) != 0)
		error = errno;
	if (error != 0)
		(void)unlinkat(dst->dir->fd, name, 0);
	return fault(j, error, 1, -1);
}

/* What the destination holds already; nothing if there is none. */
static int
cover_dst(
    struct job *j, struct cover *c, const struct place *dst, struct input *in)
{
	unsigned char head[6];
	ssize_t got;
	int error;

	if ((error = dst_open(j, dst, 0, 1, in)) != 0)
		return error == ENOENT ? 0 : fault(j, error, 1, -1);
	if ((got = pread(in->fd, head, sizeof(head), 0)) < 0)
		return fault(j, errno, 1, -1);
	switch (kind_of(head, (size_t)got)) {
	case KIND_EMPTY:
		return 0;
	case KIND_COVER:
		return cover_read(j, c, in, 1);
	case KIND_GCDA:
		return fault(j, ENOTSUP, 0, 0);
	default:
		return fault(j, EBADMSG, 1, 0);
	}
}

/*
 * The destination is read first, and locked until it is replaced; if it comes
 * into being while we work, we begin again.
 */
static int
cover_merge(
    struct job *j, const struct source *s, size_t n, const struct place *dst)
{
	struct cover c;
	struct input in;
	size_t i;
	int error;

	memset(&c, 0, sizeof(c));
	do {
		in.fd = -1;
		j->merged = j->skipped = 0;
		if ((error = dir_open(j, dst->dir)) != 0)
			return fault(j, error, 1, -1);
		error = cover_dst(j, &c, dst, &in);
		for (i = 0; error == 0 && i < n; i++)
			error = cover_source(j, &c, &s[i]);
		if (error == 0)
			error = cover_store(j, &c, dst, &in);
		if (in.fd >= 0)
			(void)lock_file(in.fd, F_UNLCK, 0);
		close_fd(&in.fd);
		cover_free(&c);
	} while (error == EEXIST);
	return error;
}

/*
 * Files to a file
 */

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
		error = input_open(j, &s[i], &in);
		if (error == ENOENT || (error == 0 && in.kind == KIND_EMPTY))
			j->skipped++;
		else if (error != 0)
			return fault(j, error, 0, -1);
		else if (in.kind == KIND_GCDA)
			error = gcda_add(j, &in);
		else if (in.kind == KIND_OTHER)
			error = fault(j, EBADMSG, 0, 0);
		else if (j->merged != 0)
			error = fault(j, ENOTSUP, 0, 0);
		close_fd(&in.fd);
		if (error != 0 && error != ENOENT)
			return error;
		if (error == 0 && in.kind == KIND_COVER)
			return cover_merge(j, s, n, dst);
	}
	return j->merged != 0 ? gcda_store(j, dst) : 0;
}

/*
 * Trees
 */

/* In a tree, files that are no coverage data are none of our business. */
static int
tree_wants(struct job *j, const struct source *s)
{
	struct input in;

	if (j->nothing)
		return 0;
	if (ends_with(s->name, ".gcda"))
		return 1;
	if (j->gcda || input_open(j, s, &in) != 0)
		return 0;
	close_fd(&in.fd);
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
		job_fail(j, fault(j, ENOMEM, 0, -1));
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
			(void)fault(j, error, 0, -1);
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
			return fault(j, errno, 0, -1);
		t[i].hits += i > k && sub[i].fd >= 0;
		if (sub[i].fd >= 0 && !j->take && fstat(sub[i].fd, &st) == 0 &&
		    st.st_dev == j->top.st_dev && st.st_ino == j->top.st_ino)
			close_fd(&sub[i].fd); /* the destination is in here */
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
		return fault(j, ENAMETOOLONG, 0, -1);
	if ((sub = calloc(j->nsrc, sizeof(*sub))) == NULL)
		return fault(j, ENOMEM, 0, -1);
	next.up = to;
	next.name = name;
	next.fd = -1;
	if ((error = tree_open(j, t, k, name, sub)) == 0)
		error = merge_tree(
		    j, sub, depth < j->strip ? to : &next, depth + 1);
	close_fd(&next.fd);
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
		error = fault(j, mode == S_IFLNK ? ELOOP : EINVAL, 0, -1);
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
		return fault(j, errno, 0, -1);
	if ((d = fdopendir(copy)) == NULL) {
		close_fd(&copy);
		return fault(j, ENOMEM, 0, -1);
	}
	error = 0;
	if (k > 0 && tree_done(d, &t[k])) {
		(void)closedir(d);
		return 0;
	}
	while (error == 0 && (e = tree_next(d)) != NULL) {
		if (++j->entries > ENTRY_MAX)
			error = fault(j, E2BIG, 0, -1);
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
		close_fd(&t[k].fd);
	return error;
}

/*
 * gons_covmerge(3)
 */

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
		return fault(j, error, 1, -1);
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
		return fault(j, ENOMEM, 1, -1);
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
	close_fd(&dir.fd);
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
		return fault(j, ENOMEM, 0, -1);
	memset(&dir, 0, sizeof(dir));
	dir.name = j->dst;
	dir.fd = -1;
	for (i = 0; i < j->nsrc; i++) {
		t[i].fd = open(j->src[i], OPEN_DIR);
		if (t[i].fd < 0 && errno == ENOENT)
			j->st->skipped++;
		else if (t[i].fd < 0) {
			j->root = i;
			job_fail(j, fault(j, errno, 0, -1));
		}
	}
	error = merge_tree(j, t, &dir, 0);
	close_fd(&dir.fd);
	free(t);
	return error;
}

int
gons_covmerge(
    const char *dst, const char *const src[], size_t n, struct gons_covstat *st)
{
	struct gons_covstat own;
	struct job j;
	mode_t type;
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

/*
 * Coverage runtimes, as far as they are in the program
 */

/* gcc's: what an instrumented object registers with.  gcc 9 to 14. */
struct gcov_counters {
	unsigned n;
	int64_t *value;
};

struct gcov_function {
	const void *key; /* the object whose copy of the function is used */
	unsigned ident[3];
	struct gcov_counters counters[];
};

struct gcov_object {
	unsigned version;
	struct gcov_object *next;
	unsigned stamp;
	/* gcc 12 and later: unsigned checksum; and then */
	/* const char *filename; merge functions, one for each kind; */
	/* unsigned nfunctions; struct gcov_function **function; */
};

struct gcov_root {
	struct gcov_object *list;
	unsigned flags;
	struct gcov_root *next;
};

struct gcov_master {
	unsigned version;
	struct gcov_root *root;
};

extern struct gcov_master __gcov_master __attribute__((weak));
extern void __gcov_dump(void) __attribute__((weak));
extern void __gcov_reset(void) __attribute__((weak));

/*
 * clang's source-based coverage counts in a section of each module, whose
 * runtime is hidden from us if it is not linked into the same one.  So the
 * sections themselves are added up: the parent lists them at the beginning of
 * a memfd, the child copies what it counted behind that.
 */
struct area {
	uint64_t module; /* hash of its program headers */
	uint64_t vaddr; /* of the counters, relative to the module */
	uint64_t size;
	uint64_t names; /* vaddr of the names of what is counted */
	uint64_t nnames;
	uint64_t hash; /* of the names */
	uint64_t bits; /* these are bitmaps */
	uint64_t at; /* where in the memfd the copy goes */
	uint64_t done; /* it is there, and complete */
};

struct areas {
	uint64_t n;
	uint64_t envlen; /* of the variable, behind the areas; 0: was unset */
	struct area area[];
};

enum visit {
	VISIT_SAVE,
	VISIT_ADD,
	VISIT_RESET
};

struct visitor {
	enum visit what;
	struct areas *areas;
	int fd;
};

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

static const void *
module_at(const struct dl_phdr_info *info, uint64_t vaddr)
{
	return (const void *)(uintptr_t)(info->dlpi_addr + vaddr);
}

/* Is that in memory, and writable if it has to be? */
static int
module_has(const struct dl_phdr_info *info, uint64_t vaddr, uint64_t size,
    unsigned flags)
{
	const ElfW(Phdr) * p;
	int i;

	for (i = 0; i < info->dlpi_phnum; i++) {
		p = &info->dlpi_phdr[i];
		if (p->p_type == PT_LOAD && (p->p_flags & flags) == flags &&
		    vaddr >= p->p_vaddr && size <= p->p_memsz &&
		    vaddr - p->p_vaddr <= p->p_memsz - size)
			return 1;
	}
	return 0;
}

static uint64_t
module_hash(const void *p, size_t len)
{
	const unsigned char *s;
	uint64_t h = 0xcbf29ce484222325u;

	for (s = p; len > 0; len--)
		h = (h ^ *s++) * 0x100000001b3u;
	return h;
}

static uint64_t
module_id(const struct dl_phdr_info *info)
{
	return module_hash(
	    info->dlpi_phdr, info->dlpi_phnum * sizeof(*info->dlpi_phdr));
}

/* Reads a part of the module's file; NULL if it is not there. */
static void *
module_read(int fd, uint64_t at, size_t len)
{
	char *p;

	if (len == 0 || len > (1 << 24) || (p = malloc(len + 1)) == NULL)
		return NULL;
	p[len] = '\0';
	if (read_all(fd, p, len, (off_t)at) == 0)
		return p;
	free(p);
	return NULL;
}

static int
areas_add(struct areas **to, const struct area *a)
{
	struct areas *p;
	size_t n = *to != NULL ? (*to)->n : 0;

	p = realloc(*to, sizeof(*p) + (n + 1) * sizeof(*a));
	if (p == NULL)
		return ENOMEM;
	p->area[n] = *a;
	p->n = n + 1;
	*to = p;
	return 0;
}

/* Lists the sections of one module that count something. */
static void
module_sections(const struct dl_phdr_info *info, const ElfW(Shdr) * sh,
    unsigned n, const char *text, size_t textlen, struct areas **to)
{
	struct area a;
	const char *name;
	unsigned i, pass;

	memset(&a, 0, sizeof(a));
	a.module = module_id(info);
	for (pass = 0; pass < 2; pass++)
		for (i = 0; i < n; i++) {
			if (sh[i].sh_name >= textlen || sh[i].sh_size == 0)
				continue;
			name = text + sh[i].sh_name;
			if (pass == 0 &&
			    strcmp(name, "__llvm_prf_names") == 0 &&
			    module_has(info, sh[i].sh_addr, sh[i].sh_size, 0)) {
				a.names = sh[i].sh_addr;
				a.nnames = sh[i].sh_size;
				a.hash = module_hash(
				    module_at(info, a.names), a.nnames);
			}
			a.bits = strcmp(name, "__llvm_prf_bits") == 0;
			if (pass == 0 || a.nnames == 0 ||
			    (!a.bits && strcmp(name, "__llvm_prf_cnts") != 0) ||
			    (!a.bits && sh[i].sh_size % 8 != 0) ||
			    !module_has(
				info, sh[i].sh_addr, sh[i].sh_size, PF_W))
				continue;
			a.vaddr = sh[i].sh_addr;
			a.size = sh[i].sh_size;
			(void)areas_add(to, &a);
		}
}

/* Reads the section headers, if this is the file the module came from. */
static void
module_scan(const struct dl_phdr_info *info, int fd, struct areas **to)
{
	ElfW(Ehdr) eh;
	ElfW(Shdr) * sh, *strings;
	void *ph;
	char *text;

	if (read_all(fd, &eh, sizeof(eh), 0) != 0 ||
	    memcmp(eh.e_ident, ELFMAG, SELFMAG) != 0 ||
	    eh.e_shentsize != sizeof(*sh) || eh.e_shstrndx >= eh.e_shnum ||
	    eh.e_phnum != info->dlpi_phnum)
		return;
	text = NULL;
	ph = module_read(fd, eh.e_phoff, eh.e_phnum * sizeof(ElfW(Phdr)));
	sh = module_read(fd, eh.e_shoff, eh.e_shnum * sizeof(*sh));
	if (ph != NULL && sh != NULL &&
	    memcmp(ph, info->dlpi_phdr, eh.e_phnum * sizeof(ElfW(Phdr))) == 0) {
		strings = &sh[eh.e_shstrndx];
		text = module_read(fd, strings->sh_offset, strings->sh_size);
		if (text != NULL)
			module_sections(
			    info, sh, eh.e_shnum, text, strings->sh_size, to);
	}
	free(text);
	free(sh);
	free(ph);
}

/* The program itself and what it brought along; not the system's libraries. */
static int
module_list(struct dl_phdr_info *info, size_t size, void *to)
{
	struct areas **areas;
	const char *name;
	int fd;

	(void)size;
	areas = to;
	name = info->dlpi_name;
	if (info->dlpi_phdr == NULL)
		return 0;
	if (name == NULL || *name == '\0')
		name = "/proc/self/exe";
	if (strchr(name, '/') == NULL || strncmp(name, "/lib", 4) == 0 ||
	    strncmp(name, "/usr/lib", 8) == 0)
		return 0;
	if ((fd = open(name, O_RDONLY | O_CLOEXEC | O_NOCTTY)) < 0)
		return 0;
	module_scan(info, fd, areas);
	close_fd(&fd);
	return 0;
}

static int
module_adds(struct dl_phdr_info *info, size_t size, void *adds)
{
	(void)size;
	*(unsigned long long *)adds = info->dlpi_adds;
	return 1;
}

/*
 * The counters of all modules; NULL if there are none.  That there are none
 * is remembered until another module is loaded.
 */
static struct areas *
areas_new(void)
{
	static unsigned long none; /* the number of loads then, and 1 */
	unsigned long long adds;
	struct areas *areas;
	size_t i;
	uint64_t at;

	adds = 0;
	(void)dl_iterate_phdr(module_adds, &adds);
	if (__atomic_load_n(&none, __ATOMIC_RELAXED) == (unsigned long)adds + 1)
		return NULL;
	areas = NULL;
	(void)dl_iterate_phdr(module_list, &areas);
	if (areas == NULL) {
		__atomic_store_n(
		    &none, (unsigned long)adds + 1, __ATOMIC_RELAXED);
		return NULL;
	}
	at = sizeof(*areas) + areas->n * sizeof(areas->area[0]) + 65536;
	for (i = 0; i < areas->n; i++) {
		areas->area[i].at = at;
		at += (areas->area[i].size + 7) & ~(uint64_t)7;
	}
	areas->envlen = 0;
	return areas;
}

static void
counters_add(unsigned char *to, const unsigned char *from, size_t len, int bits)
{
	uint64_t a, b;
	size_t i;

	for (i = 0; bits && i < len; i++)
		to[i] |= from[i];
	for (; i + 8 <= len; i += 8) {
		memcpy(&a, to + i, 8);
		memcpy(&b, from + i, 8);
		a = a + b < a ? UINT64_MAX : a + b;
		memcpy(to + i, &a, 8);
	}
}

static void
area_add(const struct area *a, unsigned char *to, int fd, off_t done)
{
	unsigned char piece[4096];
	uint64_t flag;
	size_t at, len;

	if (read_all(fd, &flag, sizeof(flag), done) != 0 || flag != 1)
		return;
	for (at = 0; at < a->size; at += len) {
		len =
		    a->size - at < sizeof(piece) ? a->size - at : sizeof(piece);
		if (read_all(fd, piece, len, (off_t)(a->at + at)) != 0)
			return;
		counters_add(to + at, piece, len, a->bits != 0);
	}
}

/* Does to the areas of one module what is to be done. */
static int
area_visit(struct dl_phdr_info *info, size_t size, void *data)
{
	static const uint64_t one = 1;
	struct visitor *v;
	const struct area *a;
	uint64_t i, id;
	off_t done;
	void *p;

	(void)size;
	v = data;
	id = module_id(info);
	for (i = 0; i < v->areas->n; i++) {
		a = &v->areas->area[i];
		if (a->module != id ||
		    !module_has(info, a->vaddr, a->size, PF_W) ||
		    !module_has(info, a->names, a->nnames, 0) ||
		    a->hash !=
			module_hash(module_at(info, a->names), a->nnames))
			continue;
		p = (void *)(uintptr_t)(info->dlpi_addr + a->vaddr);
		done = (off_t)(offsetof(struct areas, area) + i * sizeof(*a) +
			       offsetof(struct area, done));
		if (v->what == VISIT_RESET)
			memset(p, 0, a->size);
		else if (v->what == VISIT_ADD)
			area_add(a, p, v->fd, done);
		else if (write_all(v->fd, p, a->size, (off_t)a->at) == 0)
			(void)write_all(v->fd, &one, sizeof(one), done);
	}
	return 0;
}

/* The list as the child finds it; NULL if it makes no sense. */
static struct areas *
areas_load(int fd)
{
	struct areas *areas, head;
	size_t len;

	if (fd < 0 || read_all(fd, &head, sizeof(head), 0) != 0 ||
	    head.n > 65536 || head.envlen > 65536)
		return NULL;
	len = sizeof(head) + head.n * sizeof(head.area[0]) + head.envlen;
	if ((areas = calloc(1, len + 1)) == NULL)
		return NULL;
	if (read_all(fd, areas, len, 0) == 0 && areas->n == head.n &&
	    areas->envlen == head.envlen)
		return areas;
	free(areas);
	return NULL;
}

/* Number of the kinds of counters that a version of gcc has; 0: not known. */
static size_t
gcov_kinds(unsigned version)
{
	unsigned major =
	    ((version >> 24) - 'A') * 10 + ((version >> 16) & 0xff) - '0';

	if (major == 9 || major == 14)
		return 9;
	return major >= 10 && major <= 13 ? 8 : 0;
}

/* Sets the counters of one object to 0. */
static void
gcov_reset_object(const struct gcov_object *o)
{
	struct gcov_function *const *function, *f;
	void *const *merge;
	const unsigned char *p;
	size_t i, k, kinds, slot;
	unsigned n;

	if ((kinds = gcov_kinds(o->version)) == 0)
		return;
	p = (const unsigned char *)&o->stamp + sizeof(o->stamp);
	if (o->version >> 16 >= (('B' << 8) | '2'))
		p += sizeof(unsigned);
	slot = ((uintptr_t)p + sizeof(void *) - 1) / sizeof(void *);
	merge = (void *const *)((slot + 1) * sizeof(void *));
	memcpy(&n, &merge[kinds], sizeof(n));
	function = (struct gcov_function *const *)merge[kinds + 1];
	for (i = 0; i < n; i++) {
		if ((f = function[i]) == NULL || f->key != o)
			continue;
		slot = 0;
		for (k = 0; k < kinds; k++) {
			if (merge[k] == NULL)
				continue;
			memset(f->counters[slot].value, 0,
			    f->counters[slot].n * sizeof(int64_t));
			slot++;
		}
	}
}

/* A fork counts from its beginning: the rest is its parent's to tell. */
static void
counters_reset(struct areas *areas)
{
	struct visitor v;
	const struct gcov_object *o;
	const struct gcov_root *root;

	if (__gcov_reset != NULL)
		__gcov_reset();
	else if (&__gcov_master != NULL)
		for (root = __gcov_master.root; root != NULL; root = root->next)
			for (o = root->list; o != NULL; o = o->next)
				gcov_reset_object(o);
	if (areas != NULL) {
		v.what = VISIT_RESET;
		v.areas = areas;
		v.fd = -1;
		(void)dl_iterate_phdr(area_visit, &v);
	}
}

/*
 * The parent's side
 */

static int
cov_wanted(void)
{
	const char *value = getenv("GONS_COVERAGE");

	return value == NULL || strcmp(value, "0") != 0;
}

static int
cov_files(void)
{
	return &__gcov_master != NULL || __gcov_dump != NULL;
}

int
gons__cov_active(void)
{
	struct areas *areas;
	int active, saved;

	if (!cov_wanted())
		return 0;
	if (cov_files())
		return 1;
	saved = errno;
	areas = areas_new();
	active = areas != NULL;
	free(areas);
	errno = saved;
	return active;
}

/* Removes what is in a directory and, unless st is NULL, merges it first. */
static void
cov_empty(int dir, const char *name, const char *to, unsigned strip)
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
	close_fd(&top.fd);
	job_end(&j);
	(void)unlinkat(dir, name, AT_REMOVEDIR);
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
			cov_empty(fd, "data", NULL, 0);
			(void)unlinkat(dirfd(d), e->d_name, AT_REMOVEDIR);
		}
		close_fd(&fd);
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
	close_fd(&fd);
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
	close_fd(&c->outer);
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
	if ((c->areas = areas_new()) == NULL)
		return 0;
	c->mem = high_fd(memfd_create("gons-cov", MFD_CLOEXEC));
	if (c->mem < 0)
		return -1;
	return write_all(c->mem, c->areas,
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
	close_fd(&c->inner);
	close_fd(&c->outer);
	close_fd(&c->mem);
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
		if (cov_memory(c) != 0 || (c->areas == NULL && !cov_files()) ||
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
	if (write_all(c->mem, envp[i], len,
		(off_t)(sizeof(*c->areas) +
			c->areas->n * sizeof(c->areas->area[0]))) != 0)
		len = 0;
	c->areas->envlen = len;
	(void)write_all(c->mem, c->areas, sizeof(*c->areas), 0);
	envp[i] = llvm_variable;
}

void
gons__cov_started(struct gons__cov *c)
{
	if (c != NULL)
		close_fd(&c->inner);
}

void
gons__cov_collect(struct gons__cov *c)
{
	struct visitor v;
	const char *home;
	unsigned strip;
	int saved;

	if (c == NULL)
		return;
	saved = errno;
	if (c->areas != NULL) {
		v.what = VISIT_ADD;
		v.areas = c->areas;
		v.fd = c->mem;
		(void)dl_iterate_phdr(area_visit, &v);
	}
	home = cov_home(&strip);
	make_path(home);
	cov_empty(c->outer, "data", home, strip);
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
	close_fd(&nowhere);
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
	good = write_all(fd, "", 1, 0) == 0;
	close_fd(&fd);
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
		close_fd(&fd);
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
	struct visitor v;
	int arrived;

	child.ending = 1;
	arrived = child_arrive();
	if ((areas = areas_load(child.fd[1])) != NULL) {
		v.what = VISIT_SAVE;
		v.areas = areas;
		v.fd = child.fd[1];
		(void)dl_iterate_phdr(area_visit, &v);
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

	if (!child.ready && fd[0] < 0 && !(cov_wanted() && cov_files()))
		return;
	for (i = 0; i < 2; i++) {
		if (child.ready)
			close_fd(&child.fd[i]);
		child.fd[i] = fd[i];
		if (fd[i] >= 0)
			(void)fcntl(fd[i], F_SETFD, FD_CLOEXEC);
	}
	if (fstat(fd[0], &st) == 0) {
		child.dev = st.st_dev;
		child.ino = st.st_ino;
	}
	child.llvm = fd[1] >= 0;
	areas = areas_load(fd[1]);
	if (forked)
		counters_reset(areas);
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
