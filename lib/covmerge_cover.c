/*
 * SPDX-License-Identifier: BSD-2-Clause
 *
 * Copyright (c) 2026 The libgons developers
 *
 * Go cover profiles: text, a line for each block of a source file.  They are
 * taken in line by line, whatever their order, and written in the right one.
 */

#include "covmerge.h"

#include <errno.h>
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
		error = gons__cov_reserve(&j->in, j->in.len + PIECE);
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
			return gons__cov_fault(j, EFBIG, indst, -1);
		j->in.len += (size_t)got;
		if ((error = cover_lines(c, &j->in, &at)) != 0)
			break;
	}
	if (error == 0)
		error = cover_tidy(c, &at);
	return error == 0 ? 0 : gons__cov_fault(j, error, indst, at);
}

static int
cover_source(struct job *j, struct cover *c, const struct source *s)
{
	struct input in;
	int error;

	if ((error = gons__cov_input(j, s, &in)) != 0)
		return error == ENOENT ? (j->skipped++, 0)
				       : gons__cov_fault(j, error, 0, -1);
	if (in.kind == KIND_EMPTY)
		j->skipped++;
	else if (in.kind != KIND_COVER)
		error = gons__cov_fault(
		    j, in.kind == KIND_GCDA ? ENOTSUP : EBADMSG, 0, 0);
	else if ((error = cover_read(j, c, &in, 0)) == 0)
		j->merged++;
	gons__cov_close(&in.fd);
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
	error = gons__cov_write(fd, out->p, out->len, *at);
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
	if ((error = gons__cov_reserve(out, 131072)) != 0)
		return error;
	at = 0;
	out->len =
	    (size_t)snprintf((char *)out->p, out->room, "mode: %s\n", c->mode);
	for (i = 0; i < c->n; i++) {
		u = &c->unit[i];
		if ((error = gons__cov_reserve(out, 131072 + u->namelen)) != 0)
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

/* A copy of the mode and, where we may, of the owner. */
static void
copy_owner(int fd, const struct stat *st)
{
	if (fchown(fd, st->st_uid, st->st_gid) == 0 || st->st_uid == geteuid())
		(void)fchmod(fd, st->st_mode & 0777);
}

/* Puts the sum in the place of the old file, or where none was. */
static int
cover_store(struct job *j, struct cover *c, const struct place *dst,
    const struct input *old)
{
	char name[32];
	int error, fd;

	if ((error = gons__cov_temp(j, dst, name, &fd)) != 0)
		return gons__cov_fault(j, error, 1, -1);
	if (old->fd >= 0)
		copy_owner(fd, &old->st);
	error = cover_write(c, &j->out, fd);
	gons__cov_close(&fd);
	if (error == 0 && old->fd < 0)
		error = gons__cov_rename(dst->dir->fd, name, dst->name, 0);
	else if (error == 0 &&
		 renameat(dst->dir->fd, name, dst->dir->fd, dst->name) != 0)
		error = errno;
	if (error != 0)
		(void)unlinkat(dst->dir->fd, name, 0);
	return gons__cov_fault(j, error, 1, -1);
}

/* What the destination holds already; nothing if there is none. */
static int
cover_dst(
    struct job *j, struct cover *c, const struct place *dst, struct input *in)
{
	unsigned char head[6];
	ssize_t got;
	int error;

	if ((error = gons__cov_dst(j, dst, 0, 1, in)) != 0)
		return error == ENOENT ? 0 : gons__cov_fault(j, error, 1, -1);
	if ((got = pread(in->fd, head, sizeof(head), 0)) < 0)
		return gons__cov_fault(j, errno, 1, -1);
	switch (gons__cov_kind(head, (size_t)got)) {
	case KIND_EMPTY:
		return 0;
	case KIND_COVER:
		return cover_read(j, c, in, 1);
	case KIND_GCDA:
		return gons__cov_fault(j, ENOTSUP, 0, 0);
	default:
		return gons__cov_fault(j, EBADMSG, 1, 0);
	}
}

/*
 * The destination is read first, and locked until it is replaced; if it comes
 * into being while we work, we begin again.
 */
int
gons__cov_cover(
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
		if ((error = gons__cov_dir(j, dst->dir)) != 0)
			return gons__cov_fault(j, error, 1, -1);
		error = cover_dst(j, &c, dst, &in);
		for (i = 0; error == 0 && i < n; i++)
			error = cover_source(j, &c, &s[i]);
		if (error == 0)
			error = cover_store(j, &c, dst, &in);
		if (in.fd >= 0)
			(void)gons__cov_lock(in.fd, F_UNLCK, 0);
		gons__cov_close(&in.fd);
		cover_free(&c);
	} while (error == EEXIST);
	return error;
}
