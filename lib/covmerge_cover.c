/*
 * SPDX-License-Identifier: BSD-2-Clause
 *
 * Copyright (c) 2026 The libgons developers
 *
 * Go cover profiles: text, a line for each block of a source file.  They are
 * taken in line by line, whatever their order, and written in the right one.
 * Names of sources are found in a tree: whoever wrote them could make them
 * collide in a hash table.
 */

#include "covmerge.h"

#include <errno.h>
#include <search.h>
#include <stdio.h>
#include <unistd.h>

#define COVER_MAX ((off_t)1 << 30) /* bytes of a profile */

struct block {
	uint64_t start; /* line << 32 | column */
	uint64_t end;
	uint64_t count;
	uint32_t stmts;
	uint32_t at; /* where it stood in the last source that had it */
};

struct unit { /* the blocks of one Go source file */
	const char *name; /* behind the structure */
	size_t namelen;
	struct block *block;
	size_t n;
	size_t sorted; /* the first so many are in order */
	size_t cursor; /* the next block to come, most likely */
	size_t room;
};

struct cover {
	const char *mode; /* NULL: not known yet */
	void *tree; /* of the units, by name; see tsearch(3) */
	struct unit **unit;
	size_t n;
	size_t room;
	struct unit *last; /* the one that the last line was about */
	struct input dst; /* locked until it is replaced; fd -1: none */
};

static void
unit_free(void *unit)
{
	struct unit *u = unit;

	free(u->block);
	free(u);
}

static void
cover_free(struct merge *m)
{
	struct cover *c = m->tmp.cover;

	m->tmp.cover = NULL;
	if (c == NULL)
		return;
	if (c->dst.fd >= 0)
		(void)gons__cov_lock(c->dst.fd, F_UNLCK, 0);
	fd_close(&c->dst.fd);
	tdestroy(c->tree, unit_free);
	free(c->unit);
	free(c);
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

/* The order of the tree: lengths are compared faster than names. */
static int
unit_compare(const void *va, const void *vb)
{
	const struct unit *a = va, *b = vb;

	if (a->namelen != b->namelen)
		return a->namelen < b->namelen ? -1 : 1;
	return memcmp(a->name, b->name, a->namelen);
}

/* The order of the result. */
static int
unit_order(const void *va, const void *vb)
{
	struct unit *const *a = va, *const *b = vb;

	return strcmp((*a)->name, (*b)->name);
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

static int
cover_room(struct cover *c)
{
	struct unit **units;
	size_t n;

	if (c->n < c->room)
		return 0;
	n = 2 * c->room + 16;
	if ((units = realloc(c->unit, n * sizeof(*units))) == NULL)
		return ENOMEM;
	c->unit = units;
	c->room = n;
	return 0;
}

static struct unit *
unit_new(const char *name, size_t len)
{
	struct unit *u;
	char *copy;

	if ((u = calloc(1, sizeof(*u) + len + 1)) == NULL)
		return NULL;
	copy = (char *)(u + 1);
	memcpy(copy, name, len);
	u->name = copy;
	u->namelen = len;
	return u;
}

/* Finds or makes the unit of that name: it is the last one then. */
static int
cover_unit(struct cover *c, const char *name, size_t len)
{
	struct unit key, *u;
	void *node;
	int error;

	if (memchr(name, '\0', len) != NULL)
		return EBADMSG;
	key.name = name;
	key.namelen = len;
	if ((node = tfind(&key, &c->tree, unit_compare)) != NULL) {
		c->last = *(struct unit **)node;
		return 0;
	}
	if ((error = cover_room(c)) != 0)
		return error;
	if ((u = unit_new(name, len)) == NULL)
		return ENOMEM;
	if (tsearch(u, &c->tree, unit_compare) == NULL) {
		unit_free(u);
		return ENOMEM;
	}
	c->last = c->unit[c->n++] = u;
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

/* A line of a source file: "NAME:" and a block. */
static int
cover_line(struct cover *c, const char *line, size_t len, uint32_t *at)
{
	const char *colon, *end = line + len;
	struct block b;
	struct unit *u;
	int error;

	b.at = *at;
	u = c->last;
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
		u = c->last;
	}
	if (*c->mode == 's')
		b.count = b.count != 0;
	return unit_add(c, u, &b, at);
}

/*
 * Takes in the lines of b, whose first byte is at an offset of the file, and
 * leaves a last line that is not whole in b.  On failure at is where.
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
		c->unit[i]->cursor = 0;
		if ((error = unit_tidy(c, c->unit[i], at)) != 0)
			return error;
	}
	return 0;
}

/* Takes in a whole profile, piece by piece; indst: it is the destination. */
static int
cover_read(struct merge *m, const struct input *in, unsigned indst)
{
	struct cover *c = m->tmp.cover;
	struct buf *b = &m->tmp.in;
	ssize_t got;
	uint32_t at = 0;
	off_t total = 0;
	int error;

	b->len = 0;
	for (;;) {
		error = buf_reserve(b, b->len + PIECE);
		if (error != 0)
			break;
		got = gons__cov_pread(
		    in->fd, b->p + b->len, b->room - b->len, total);
		if (got <= 0) {
			error = got < 0 ? errno : b->len ? EBADMSG : 0;
			break;
		}
		if ((total += got) > COVER_MAX)
			return gons__cov_fault(m, EFBIG, indst, -1);
		b->len += (size_t)got;
		if ((error = cover_lines(c, b, &at)) != 0)
			break;
	}
	if (error == 0)
		error = cover_tidy(c, &at);
	return error == 0 ? 0 : gons__cov_fault(m, error, indst, at);
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

	buf_put(out, u->name, u->namelen);
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

/* Writes what has gathered, if that is more than so much. */
static int
put_flush(struct merge *m, int fd, off_t *at, size_t limit)
{
	struct buf *out = &m->tmp.out;
	int error;

	if (out->len <= limit)
		return 0;
	error = gons__cov_write(m, fd, out->p, out->len, *at);
	*at += (off_t)out->len;
	out->len = 0;
	return error;
}

static int
cover_write(struct merge *m, int fd)
{
	struct cover *c = m->tmp.cover;
	struct buf *out = &m->tmp.out;
	struct unit *u;
	size_t i, k;
	off_t at;
	int error;

	if (c->n > 1)
		qsort(c->unit, c->n, sizeof(*c->unit), unit_order);
	if ((error = buf_reserve(out, 131072)) != 0)
		return error;
	at = 0;
	out->len =
	    (size_t)snprintf((char *)out->p, out->room, "mode: %s\n", c->mode);
	for (i = 0; i < c->n; i++) {
		u = c->unit[i];
		if ((error = buf_reserve(out, 131072 + u->namelen)) != 0)
			return error;
		for (k = 0; k < u->n; k++) {
			put_block(out, u, &u->block[k]);
			error = put_flush(m, fd, &at, 130000);
			if (error != 0)
				return error;
		}
	}
	return put_flush(m, fd, &at, 0);
}

/* A copy of the mode and, where we may, of the owner. */
static void
copy_owner(int fd, const struct stat *st)
{
	if (fchown(fd, st->st_uid, st->st_gid) == 0 || st->st_uid == geteuid())
		(void)fchmod(fd, st->st_mode & 0777);
}

/* The present content of the destination; nothing if there is none. */
static int
cover_dst(struct merge *m, const struct place *dst)
{
	struct input *in = &m->tmp.cover->dst;
	unsigned char head[6];
	ssize_t got;
	int error;

	if ((error = gons__cov_dir(m, dst->dir)) != 0)
		return gons__cov_fault(m, error, 1, -1);
	if ((error = gons__cov_dst(m, dst, 0, 1, in)) != 0)
		return error == ENOENT ? 0 : gons__cov_fault(m, error, 1, -1);
	if ((got = gons__cov_pread(in->fd, head, sizeof(head), 0)) < 0)
		return gons__cov_fault(m, errno, 1, -1);
	switch (gons__cov_kind(head, (size_t)got)) {
	case KIND_EMPTY:
		return 0;
	case KIND_COVER:
		return cover_read(m, in, 1);
	case KIND_GCDA:
		return gons__cov_fault(m, ENOTSUP, 0, 0);
	default:
		return gons__cov_fault(m, EBADMSG, 1, 0);
	}
}

/*
 * The destination is the first to be taken in, so that a source that does not
 * go with it is named; it stays locked.
 */
static int
cover_add(struct merge *m, const struct place *dst, const struct input *in)
{
	int error;

	if (m->tmp.cover == NULL) {
		m->tmp.cover = calloc(1, sizeof(*m->tmp.cover));
		if (m->tmp.cover == NULL)
			return gons__cov_fault(m, ENOMEM, 0, -1);
		m->tmp.cover->dst.fd = -1;
		if ((error = cover_dst(m, dst)) != 0)
			return error;
	}
	return cover_read(m, in, 0);
}

/* Puts the sum in the place of the old file, or where none was. */
static int
cover_replace(struct merge *m, const struct place *dst)
{
	struct cover *c = m->tmp.cover;
	char name[32];
	int error, fd;

	if ((error = gons__cov_temp(m, dst, name, &fd)) != 0)
		return error;
	if (c->dst.fd >= 0)
		copy_owner(fd, &c->dst.st);
	error = cover_write(m, fd);
	fd_close(&fd);
	if (error == 0 && c->dst.fd < 0)
		error = gons__cov_rename(dst->dir->fd, name, dst->name, 0);
	else if (error == 0 &&
		 renameat(dst->dir->fd, name, dst->dir->fd, dst->name) != 0)
		error = errno;
	if (error != 0)
		(void)unlinkat(dst->dir->fd, name, 0);
	return error;
}

/* Where none was there may be one by now: it is taken in, too. */
static int
cover_store(struct merge *m, const struct place *dst)
{
	int error;

	while ((error = cover_replace(m, dst)) == EEXIST &&
	       m->tmp.cover->dst.fd < 0)
		if ((error = cover_dst(m, dst)) != 0)
			return error;
	return gons__cov_fault(m, error, 1, -1);
}

const struct format gons__cov_cover = { cover_add, cover_store, cover_free };
