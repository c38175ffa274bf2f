/*
 * SPDX-License-Identifier: BSD-2-Clause
 *
 * Copyright (c) 2026 The libgons developers
 *
 * The counters of gcc and of clang --coverage in memory.  Their run times write
 * them to files when the process ends; a fork has to set them to 0 first, since
 * what was counted before it is its parent's to tell.
 *
 * __gcov_reset(3) does that, but it is seldom in the program.  Else what the
 * instrumented objects have registered with libgcov is looked through.  How
 * many kinds of counters an object has depends on the version of gcc, which is
 * not asked: the one number is taken with which everything in the object makes
 * sense.  If there is none, nothing is touched, and the fork must not count.
 */

#include "covmerge.h"

#include <errno.h>
#include <link.h>

#define KINDS_MAX 32 /* of counters: far more than any gcc has */

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

/* The members behind the stamp of an object, with one number of kinds. */
struct view {
	const struct gcov_object *object;
	void *const *merge;
	size_t kinds;
	size_t used; /* kinds that the object has counters of */
	struct gcov_function *const *function;
	size_t n;
};

/* The segments of all modules. */
struct segment {
	uintptr_t start;
	uintptr_t end;
	unsigned flags;
};

struct memory {
	struct buf segments;
	size_t last; /* the one that was asked for last */
};

static int
memory_add(struct dl_phdr_info *info, size_t size, void *to)
{
	const ElfW(Phdr) * p;
	struct memory *m = to;
	struct segment s;
	int i, error = 0;

	(void)size;
	for (i = 0; i < info->dlpi_phnum && error == 0; i++) {
		p = &info->dlpi_phdr[i];
		if (p->p_type != PT_LOAD)
			continue;
		s.start = (uintptr_t)info->dlpi_addr + (uintptr_t)p->p_vaddr;
		s.end = s.start + (uintptr_t)p->p_memsz;
		s.flags = p->p_flags;
		error = buf_add(&m->segments, &s, sizeof(s));
	}
	return error;
}

/* Does that lie in one segment, and may it be used so? */
static int
memory_has(struct memory *m, const void *p, uint64_t len, unsigned flags)
{
	const struct segment *s = (const void *)m->segments.p;
	size_t i, k, n = m->segments.len / sizeof(*s);
	uintptr_t at = (uintptr_t)p;

	for (i = 0; i < n; i++) {
		k = (m->last + i) % n;
		if (at < s[k].start || at >= s[k].end)
			continue;
		m->last = k;
		return (s[k].flags & flags) == flags && len <= s[k].end - at;
	}
	return 0;
}

static int
aligned(const void *p)
{
	return (uintptr_t)p % sizeof(void *) == 0;
}

/* Has the function the counters that the view tells? */
static int
function_fits(
    struct memory *m, const struct view *v, const struct gcov_function *f)
{
	size_t i;

	if (!aligned(f) || !memory_has(m, f, sizeof(*f), 0) ||
	    !memory_has(m, f->key, sizeof(struct gcov_object), 0))
		return 0;
	if (f->key != v->object)
		return 1;
	if (!memory_has(m, f, sizeof(*f) + v->used * sizeof(*f->counters), 0))
		return 0;
	for (i = 0; i < v->used; i++)
		if (f->counters[i].n != 0 &&
		    (!aligned(f->counters[i].value) ||
			!memory_has(m, f->counters[i].value,
			    f->counters[i].n * (uint64_t)sizeof(int64_t),
			    PF_W)))
			return 0;
	return 1;
}

/* Does everything in the object make sense, with so many kinds? */
static int
view_fits(struct memory *m, struct view *v)
{
	unsigned n;
	size_t i;

	if (!memory_has(m, v->merge, (v->kinds + 2) * sizeof(*v->merge), 0))
		return 0;
	v->used = 0;
	for (i = 0; i < v->kinds; i++) {
		if (v->merge[i] == NULL)
			continue;
		if (!memory_has(m, v->merge[i], 1, PF_X))
			return 0;
		v->used++;
	}
	memcpy(&n, &v->merge[v->kinds], sizeof(n));
	v->n = n;
	v->function = v->merge[v->kinds + 1];
	if (n == 0 || v->used == 0 || !aligned(v->function) ||
	    !memory_has(m, v->function, n * (uint64_t)sizeof(void *), 0))
		return 0;
	for (i = 0; i < v->n; i++)
		if (v->function[i] != NULL &&
		    !function_fits(m, v, v->function[i]))
			return 0;
	return 1;
}

/*
 * Finds the number of kinds.  Where pointers have 4 bytes, the checksum that
 * gcc has had since version 12 moves what follows.
 */
static int
view_find(struct memory *m, const struct gcov_object *o, struct view *v)
{
	uintptr_t slot = (uintptr_t)&o->stamp + sizeof(o->stamp);

	if (o->version >> 16 >= (('B' << 8) | '2'))
		slot += sizeof(unsigned);
	slot = (slot + sizeof(void *) - 1) / sizeof(void *);
	v->object = o;
	v->merge = (void *const *)((slot + 1) * sizeof(void *));
	for (v->kinds = 1; v->kinds <= KINDS_MAX; v->kinds++)
		if (view_fits(m, v))
			return 1;
	return 0;
}

static void
view_reset(const struct view *v)
{
	const struct gcov_function *f;
	size_t i, k;

	for (i = 0; i < v->n; i++) {
		if ((f = v->function[i]) == NULL || f->key != v->object)
			continue;
		for (k = 0; k < v->used; k++)
			if (f->counters[k].n != 0)
				memset(f->counters[k].value, 0,
				    f->counters[k].n * sizeof(int64_t));
	}
}

/* Looks all objects through and, if that is asked for, sets them to 0. */
static int
objects_visit(struct memory *m, int reset)
{
	const struct gcov_object *o;
	const struct gcov_root *root;
	struct view v;

	for (root = __gcov_master.root; root != NULL; root = root->next) {
		if (!memory_has(m, root, sizeof(*root), 0))
			return ENOTSUP;
		for (o = root->list; o != NULL; o = o->next) {
			if (!memory_has(m, o, sizeof(*o), 0) ||
			    !view_find(m, o, &v))
				return ENOTSUP;
			if (reset)
				view_reset(&v);
		}
	}
	return 0;
}

static int
objects_reset(int reset)
{
	struct memory m;
	int error;

	memset(&m, 0, sizeof(m));
	error = dl_iterate_phdr(memory_add, &m);
	if (error == 0)
		error = objects_visit(&m, 0);
	if (error == 0 && reset)
		error = objects_visit(&m, 1);
	buf_free(&m.segments);
	return error;
}

int
gons__cov_files(void)
{
	return &__gcov_master != NULL || __gcov_dump != NULL;
}

int
gons__cov_gcov_reset(int reset)
{
	if (__gcov_reset != NULL) {
		if (reset)
			__gcov_reset();
		return 0;
	}
	return &__gcov_master != NULL ? objects_reset(reset) : 0;
}
