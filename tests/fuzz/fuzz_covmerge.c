/*
 * SPDX-License-Identifier: BSD-2-Clause
 *
 * Copyright (c) 2026 The libgons developers
 *
 * Fuzzes gons_covmerge(3).  The input is two files, behind the length of the
 * first in one byte, times 16: they are merged both ways.  What merges has to
 * merge again, and what fails must not touch the destination.  What .gcda files
 * add up to is worked out here a second time, by what the manual says.
 */

#include <sys/stat.h>

#include <fcntl.h>
#include <stdint.h>
#include <string.h>
#include <unistd.h>

#include <gons.h>

#include "fuzz.h"
#include "dir.h"

#define MOST 4096 /* bytes of input */
#define FUNCTION 0x01000000u
#define ARCS 0x01a10000u

struct content {
	uint8_t p[3 * MOST];
	size_t len;
};

/* A .gcda file: records of words or of counters. */
struct list {
	const uint8_t *p;
	int big; /* the most significant byte comes first */
	size_t head; /* bytes before the first record */
	size_t n;
	struct record {
		uint32_t tag;
		size_t n;
		const uint8_t *body; /* NULL: all of them are 0 */
	} record[3 * MOST / 8];
};

static void
put(const char *path, const struct content *c)
{
	int fd;

	fd = open(path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
	MUST(fd != -1 && write(fd, c->p, c->len) == (ssize_t)c->len);
	MUST(close(fd) == 0);
}

static void
get(const char *path, struct content *c)
{
	ssize_t n;
	int fd;

	fd = open(path, O_RDONLY | O_CLOEXEC);
	MUST(fd != -1 && (n = read(fd, c->p, sizeof(c->p))) >= 0);
	MUST(close(fd) == 0);
	c->len = (size_t)n;
}

static int
same(const struct content *a, const struct content *b)
{
	return a->len == b->len && memcmp(a->p, b->p, a->len) == 0;
}

static int
is_gcda(const struct content *c)
{
	return c->len >= 12 &&
	       (memcmp(c->p, "gcda", 4) == 0 || memcmp(c->p, "adcg", 4) == 0);
}

static uint32_t
word(const struct list *l, const uint8_t *p)
{
	return l->big ? (uint32_t)p[0] << 24 | (uint32_t)p[1] << 16 |
			    (uint32_t)p[2] << 8 | p[3]
		      : (uint32_t)p[3] << 24 | (uint32_t)p[2] << 16 |
			    (uint32_t)p[1] << 8 | p[0];
}

static int
is_counters(uint32_t tag)
{
	return tag >> 24 == FUNCTION >> 24 && tag != FUNCTION;
}

/* Of a file that is well-formed; gcc 12 counts in bytes, others in words. */
static void
list(struct list *l, const struct content *c)
{
	struct record *r = l->record;
	uint32_t version;
	int64_t len;
	size_t at;

	l->p = c->p;
	l->big = c->p[0] == 'g';
	version = word(l, c->p + 4) >> 16;
	l->head = version >= ('B' << 8 | '2') ? 16 : 12;
	for (at = l->head; (r->tag = word(l, c->p + at)) != 0; r++) {
		len = (int32_t)word(l, c->p + at + 4);
		len *= l->head == 16 ? 1 : 4;
		at += 8;
		r->body = len < 0 ? NULL : c->p + at;
		at += len < 0 ? 0 : (size_t)len;
		r->n = (size_t)(len < 0 ? -len : len) /
		       (is_counters(r->tag) ? 8 : 4);
	}
	l->n = (size_t)(r - l->record);
}

/* A counter is two words, the lower one first. */
static uint64_t
value(const struct list *l, const struct record *r, size_t i)
{
	if (r->body == NULL)
		return 0;
	if (!is_counters(r->tag))
		return word(l, r->body + 4 * i);
	return word(l, r->body + 8 * i) | (uint64_t)word(l, r->body + 8 * i + 4)
					      << 32;
}

static uint64_t
merged(uint32_t tag, uint64_t x, uint64_t y)
{
	if (tag == FUNCTION) {
		MUST(x == y);
		return x;
	}
	if (!is_counters(tag)) /* a summary */
		return x + y < UINT32_MAX ? x + y : UINT32_MAX;
	switch ((tag - ARCS) / 0x20000) {
	case 0: /* arcs */
	case 1: /* intervals */
	case 2: /* powers of two */
	case 5: /* averages */
		return count_plus(x, y);
	case 6: /* bits */
	case 8: /* conditions */
	case 9: /* paths */
		return x | y;
	case 7: /* when it ran first */
		return x == 0 || (y != 0 && y < x) ? y : x;
	default:
		abort();
	}
}

/* A function of which the other file has nothing. */
static void
is_copy(const struct list *in, size_t *i, const struct list *out, size_t *k)
{
	const struct record *r, *o;
	size_t v;

	do {
		MUST(*i < in->n && *k < out->n);
		r = &in->record[(*i)++];
		o = &out->record[(*k)++];
		MUST(o->tag == r->tag && o->n == r->n);
		for (v = 0; v < r->n; v++)
			MUST(value(out, o, v) == value(in, r, v));
	} while (*i < in->n && is_counters(in->record[*i].tag));
}

static void
is_sum(const struct list *a, const struct list *b, const struct list *out)
{
	const struct record *o, *x, *y;
	size_t i = 0, j = 0, k = 0, v;

	MUST(memcmp(out->p, a->p, a->head) == 0);
	while (k < out->n) {
		MUST(i < a->n && j < b->n);
		x = &a->record[i];
		y = &b->record[j];
		o = &out->record[k];
		MUST(o->tag == x->tag && o->tag == y->tag);
		if (x->tag == FUNCTION && x->n == 0 && y->n != 0) {
			i++;
			is_copy(b, &j, out, &k);
			continue;
		}
		if (x->tag == FUNCTION && y->n == 0 && x->n != 0) {
			j++;
			is_copy(a, &i, out, &k);
			continue;
		}
		MUST(o->n == x->n && o->n == y->n);
		for (v = 0; v < o->n; v++)
			MUST(value(out, o, v) ==
			     merged(o->tag, value(a, x, v), value(b, y, v)));
		i++;
		j++;
		k++;
	}
	MUST(i == a->n && j == b->n);
}

static void
check(
    const struct content *a, const struct content *b, const struct content *out)
{
	static struct list la, lb, lout;

	if (b->len == 0)
		MUST(same(out, a));
	if (!is_gcda(b))
		return;
	if (a->len == 0) {
		MUST(same(out, b));
		return;
	}
	MUST(is_gcda(a) && is_gcda(out));
	list(&la, a);
	list(&lb, b);
	list(&lout, out);
	is_sum(&la, &lb, &lout);
}

static void
merge(const struct content *a, const struct content *b)
{
	static struct content once, twice;
	const char *src[] = { "b" };
	struct gons_covstat st;

	put("a", a);
	put("b", b);
	if (gons_covmerge("a", src, 1, &st) != 0) {
		MUST(*st.where != '\0');
		get("a", &once);
		MUST(same(&once, a));
		return;
	}
	get("a", &once);
	check(a, b, &once);
	MUST(gons_covmerge("a", src, 1, &st) == 0);
	get("a", &twice);
	check(&once, b, &twice);
}

int
LLVMFuzzerTestOneInput(const unsigned char *p, size_t len)
{
	static struct content a, b;
	static int ready;

	if (!ready) {
		enter_directory();
		ready = 1;
	}
	if (len == 0 || len > MOST)
		return 0;
	a.len = (size_t)p[0] * 16;
	if (a.len > len - 1)
		a.len = len - 1;
	b.len = len - 1 - a.len;
	memcpy(a.p, p + 1, a.len);
	memcpy(b.p, p + 1 + a.len, b.len);
	merge(&a, &b);
	merge(&b, &a);
	return 0;
}
