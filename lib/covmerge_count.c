/*
 * SPDX-License-Identifier: BSD-2-Clause
 *
 * Copyright (c) 2026 The libgons developers
 *
 * Counters in memory: which of them are in the program, and how those of the
 * child get to its parent.  Those that a runtime writes to files of its own by
 * itself are only set to 0 here.
 */

#include "covmerge.h"

#include <errno.h>
#include <link.h>
#include <stdio.h>
#include <unistd.h>

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

struct visitor {
	enum visit what;
	struct areas *areas;
	int fd;
};

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
	if (gons__cov_read(fd, p, len, (off_t)at) == 0)
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

	if (gons__cov_read(fd, &eh, sizeof(eh), 0) != 0 ||
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
	gons__cov_close(&fd);
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
struct areas *
gons__cov_areas(void)
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

	if (gons__cov_read(fd, &flag, sizeof(flag), done) != 0 || flag != 1)
		return;
	for (at = 0; at < a->size; at += len) {
		len =
		    a->size - at < sizeof(piece) ? a->size - at : sizeof(piece);
		if (gons__cov_read(fd, piece, len, (off_t)(a->at + at)) != 0)
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
		else if (gons__cov_write(v->fd, p, a->size, (off_t)a->at) == 0)
			(void)gons__cov_write(v->fd, &one, sizeof(one), done);
	}
	return 0;
}

void
gons__cov_visit(struct areas *areas, enum visit what, int fd)
{
	struct visitor v = { what, areas, fd };

	(void)dl_iterate_phdr(area_visit, &v);
}

struct areas *
gons__cov_areas_load(int fd)
{
	struct areas *areas, head;
	size_t len;

	if (fd < 0 || gons__cov_read(fd, &head, sizeof(head), 0) != 0 ||
	    head.n > 65536 || head.envlen > 65536)
		return NULL;
	len = sizeof(head) + head.n * sizeof(head.area[0]) + head.envlen;
	if ((areas = calloc(1, len + 1)) == NULL)
		return NULL;
	if (gons__cov_read(fd, areas, len, 0) == 0 && areas->n == head.n &&
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
	if (major == 15)
		return 10;
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
void
gons__cov_reset(struct areas *areas)
{
	const struct gcov_object *o;
	const struct gcov_root *root;

	if (__gcov_reset != NULL)
		__gcov_reset();
	else if (&__gcov_master != NULL)
		for (root = __gcov_master.root; root != NULL; root = root->next)
			for (o = root->list; o != NULL; o = o->next)
				gcov_reset_object(o);
	if (areas != NULL)
		gons__cov_visit(areas, VISIT_RESET, -1);
}

int
gons__cov_files(void)
{
	return &__gcov_master != NULL || __gcov_dump != NULL;
}
