/*
 * SPDX-License-Identifier: BSD-2-Clause
 *
 * Copyright (c) 2026 The libgons developers
 *
 * .gcda files of gcc and clang: how they are read, and how they add up.
 */

#include "covmerge.h"

#include <errno.h>
#include <unistd.h>

#define GCDA_SMALL 4096 /* bytes that are written at once or not at all */

/* The words of a .gcda file. */
#define GCDA_MAGIC 0x67636461u
#define GCDA_FUNCTION 0x01000000u
#define GCDA_ARCS 0x01a10000u
#define GCDA_OBJECT 0xa1000000u
#define GCDA_PROGRAM 0xa3000000u
#define GCDA_NEWEST 16 /* version of gcc that is known */
#define GCDA_HEAD 8 /* bytes of a record's tag and length */

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

static void
buf_swap(struct buf *a, struct buf *b)
{
	struct buf c = *a;

	*a = *b;
	*b = c;
}

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

/* The compiler that wrote it: "B22*" is gcc 12.2, "408*" is clang. */
static int
gcda_version(struct gcda *g)
{
	uint32_t v = gcda_word(g, 4);
	unsigned c0 = v >> 24, c1 = (v >> 16) & 0xff;

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

/*
 * How a kind of counters merges: 'a'dd, 'o'r, 'm'inimum; 0: not at all.  Of a
 * version that was not yet when this was written, the first kind is believed
 * to be what it has always been, and no other.
 */
static int
gcda_merging(const struct gcda *g, uint32_t tag)
{
	static const char how[] = "aaa\0\0aomoo";
	uint32_t i, n = sizeof(how) - 1;

	if (g->major < 14)
		n = 8;
	else if (g->major > GCDA_NEWEST)
		n = 1;
	i = (tag - GCDA_ARCS) >> 17;
	return i < n ? how[i] : 0;
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
	if ((length > 0 && (size_t)length > g->len) ||
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

/* Is it a whole .gcda file, and is every word of it understood? */
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
	buf_put(out, g->p + *at, end - *at);
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
		buf_put(out, s->p + b->body - GCDA_HEAD, GCDA_HEAD + b->size);
		return 0;
	}
	head = d->p + a->body - GCDA_HEAD;
	if (b->zero || a->tag == GCDA_FUNCTION) {
		if (!b->zero &&
		    memcmp(d->p + a->body, s->p + b->body, a->size) != 0)
			return ESTALE;
		buf_put(out, head, GCDA_HEAD + a->size);
		return 0;
	}
	buf_put(out, head, GCDA_HEAD);
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
	buf_put(out, d->p, d->body);
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
	buf_put(out, d->p + da, d->len - da);
	return 0;
}

/* Reads a whole .gcda file, of which the buffer may have some already. */
static int
input_load(struct merge *m, const struct input *in, size_t have)
{
	struct buf *b = &m->tmp.in;
	size_t size;
	int error;

	if (in->size > m->how->largest)
		return EFBIG;
	size = (size_t)in->size;
	b->len = size;
	if (have >= size)
		return 0;
	if ((error = buf_reserve(b, size)) != 0)
		return error;
	return gons__cov_read(in->fd, b->p + have, size - have, (off_t)have);
}

/*
 * Writes over a file without replacing it: libgcov may be waiting for it.  A
 * write that would not fit is found out before, or undone.
 */
static int
update_file(
    struct merge *m, int fd, const struct buf *new, const struct buf *old)
{
	int error;

	if ((error = gons__cov_fits(m, (off_t) new->len)) != 0)
		return error;
	if (old->len != 0 && new->len > old->len &&
	    fallocate(fd, FALLOC_FL_KEEP_SIZE, 0, (off_t) new->len) != 0 &&
	    errno != EOPNOTSUPP &&errno != ENOSYS &&errno != EINTR)
		return errno;
	error = write_from(fd, new->p, new->len, 0);
	if (error == 0 && new->len < old->len &&
	    ftruncate(fd, (off_t) new->len) != 0)
		error = errno;
	if (error != 0) {
		(void)write_from(fd, old->p, old->len, 0);
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
gcda_create(struct merge *m, const struct place *dst)
{
	char name[32];
	int error, fd;

	if ((error = gons__cov_temp(m, dst, name, &fd)) != 0)
		return error;
	error = gons__cov_write(m, fd, m->tmp.sum.p, m->tmp.sum.len, 0);
	fd_close(&fd);
	if (error == 0)
		error = gons__cov_rename(dst->dir->fd, name, dst->name, 0);
	if (error != 0)
		(void)unlinkat(dst->dir->fd, name, 0);
	return error;
}

/* Adds the sum of the sources to an existing destination. */
static int
gcda_update(struct merge *m, const struct input *in)
{
	struct scratch *t = &m->tmp;
	struct gcda d, s;
	int error;

	if ((error = input_load(m, in, 0)) != 0)
		return gons__cov_fault(m, error, 1, -1);
	if (in->size == 0)
		return gons__cov_fault(
		    m, update_file(m, in->fd, &t->sum, &t->in), 1, -1);
	if ((error = gcda_check(&d, &t->in)) != 0)
		(void)gons__cov_fault(m, error, 1, (int64_t)d.fault);
	else if ((error = gcda_open(&s, &t->sum)) != 0 ||
		 (error = gcda_merge(&d, &s, &t->out)) != 0)
		(void)gons__cov_fault(m, error, 0, (int64_t)s.fault);
	else
		return gons__cov_fault(
		    m, update_file(m, in->fd, &t->out, &t->in), 1, -1);
	if (m->how->renew && (error == ESTALE || error == EBADMSG))
		error = update_file(m, in->fd, &t->sum, &t->in);
	return error;
}

/* In a directory that nobody else knows of there is nobody to lock out. */
static int
gcda_fresh(struct merge *m, const struct place *dst)
{
	int error, fd;

	fd = openat(dst->dir->fd, dst->name,
	    O_WRONLY | O_CREAT | O_EXCL | OPEN_FILE, 0666);
	if (fd < 0)
		return errno;
	error = gons__cov_write(m, fd, m->tmp.sum.p, m->tmp.sum.len, 0);
	fd_close(&fd);
	if (error != 0)
		(void)unlinkat(dst->dir->fd, dst->name, 0);
	return error;
}

/*
 * A small file is made in its place: an interruption leaves an empty one, which
 * is as good as none.
 */
static int
gcda_store(struct merge *m, const struct place *dst)
{
	struct input in;
	int error, flags;

	if ((error = gons__cov_dir(m, dst->dir)) != 0)
		return gons__cov_fault(m, error, 1, -1);
	if (dst->dir->fresh && (error = gcda_fresh(m, dst)) != EEXIST)
		return gons__cov_fault(m, error, 1, -1);
	flags = m->tmp.sum.len <= GCDA_SMALL ? O_CREAT : 0;
	do {
		error = gons__cov_dst(m, dst, flags, 0, &in);
		if (error == ENOENT && flags == 0)
			error = gcda_create(m, dst);
		else if (error == 0) {
			error = gcda_update(m, &in);
			(void)gons__cov_lock(in.fd, F_UNLCK, 0);
			fd_close(&in.fd);
			return error;
		}
	} while (error == EEXIST);
	return gons__cov_fault(m, error, 1, -1);
}

/* The first source is the sum of one. */
static int
gcda_add(struct merge *m, const struct place *dst, const struct input *in)
{
	struct scratch *t = &m->tmp;
	struct gcda d, s;
	int error;

	(void)dst;
	if ((error = input_load(m, in, t->in.len)) != 0)
		return gons__cov_fault(m, error, 0, -1);
	if ((error = gcda_check(&s, &t->in)) != 0)
		return gons__cov_fault(m, error, 0, (int64_t)s.fault);
	if (t->sum.len == 0) {
		buf_swap(&t->sum, &t->in);
		return 0;
	}
	if ((error = gcda_open(&d, &t->sum)) != 0 ||
	    (error = gcda_merge(&d, &s, &t->out)) != 0)
		return gons__cov_fault(m, error, 0, (int64_t)s.fault);
	buf_swap(&t->sum, &t->out);
	return 0;
}

/* The memory is for the next file. */
static void
gcda_free(struct merge *m)
{
	m->tmp.sum.len = 0;
}

const struct format gons__cov_gcda = { gcda_add, gcda_store, gcda_free };
