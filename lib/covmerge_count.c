/*
 * SPDX-License-Identifier: BSD-2-Clause
 *
 * Copyright (c) 2026 The libgons developers
 *
 * The counters of clang's source-based coverage: in which sections of which
 * modules they are, and how those of the child get to its parent.
 *
 * The sections are listed once, when paths still lead to the files that the
 * program was loaded from; the program's own file is open by then.  What lies
 * under these names in another root could have the parent add to any place in
 * its memory.
 */

#include "covmerge.h"

#include <sys/auxv.h>

#include <errno.h>
#include <link.h>
#include <unistd.h>

struct lister {
	int exe; /* the program's own file; -1: not to be had */
	int paths; /* those of modules can be believed */
	struct areas *areas;
};

struct visitor {
	enum visit what;
	const struct areas *areas;
	int fd;
};

static struct {
	struct areas *areas; /* NULL: nothing counts */
	unsigned long adds; /* loads of modules when they were looked through */
} found;

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

static void
areas_add(struct areas **to, const struct area *a)
{
	struct areas *p;
	size_t n = *to != NULL ? (*to)->n : 0;

	p = realloc(*to, sizeof(*p) + (n + 1) * sizeof(*a));
	if (p == NULL)
		return;
	p->area[n] = *a;
	p->n = n + 1;
	*to = p;
}

/* A section that counts something, or its names. */
static void
module_section(const struct dl_phdr_info *info, const ElfW(Shdr) * sh,
    const char *name, struct area *a, struct areas **to)
{
	if (strcmp(name, "__llvm_prf_names") == 0 && a->nnames == 0 &&
	    module_has(info, sh->sh_addr, sh->sh_size, 0)) {
		a->names = sh->sh_addr;
		a->nnames = sh->sh_size;
		a->hash = module_hash(module_at(info, a->names), a->nnames);
		return;
	}
	a->bits = strcmp(name, "__llvm_prf_bits") == 0;
	if (a->nnames == 0 ||
	    (!a->bits && strcmp(name, "__llvm_prf_cnts") != 0) ||
	    (!a->bits && sh->sh_size % 8 != 0) ||
	    !module_has(info, sh->sh_addr, sh->sh_size, PF_W))
		return;
	a->vaddr = sh->sh_addr;
	a->size = sh->sh_size;
	areas_add(to, a);
}

/* Lists the sections of one module that count: its names have to come first. */
static void
module_sections(const struct dl_phdr_info *info, const ElfW(Shdr) * sh,
    unsigned n, const char *text, size_t textlen, struct areas **to)
{
	struct area a;
	unsigned i, pass;

	memset(&a, 0, sizeof(a));
	a.module = module_id(info);
	for (pass = 0; pass < 2; pass++)
		for (i = 0; i < n; i++)
			if (sh[i].sh_name < textlen && sh[i].sh_size != 0 &&
			    (pass == 1 || a.nnames == 0))
				module_section(
				    info, &sh[i], text + sh[i].sh_name, &a, to);
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

/* Is it a library of the system's, which never counts? */
static int
module_of_system(const char *name)
{
	return strchr(name, '/') == NULL || strncmp(name, "/lib", 4) == 0 ||
	       strncmp(name, "/usr/lib", 8) == 0;
}

static int
module_known(const struct dl_phdr_info *info, const struct areas *areas)
{
	uint64_t i, id;

	if (areas == NULL)
		return 0;
	id = module_id(info);
	for (i = 0; i < areas->n; i++)
		if (areas->area[i].module == id)
			return 1;
	return 0;
}

/* The program itself, and what it brought along. */
static int
module_list(struct dl_phdr_info *info, size_t size, void *to)
{
	const char *name = info->dlpi_name;
	struct lister *l = to;
	struct stat st;
	int fd;

	(void)size;
	if (info->dlpi_phdr == NULL || module_known(info, l->areas))
		return 0;
	if (name == NULL || *name == '\0' ||
	    (uintptr_t)info->dlpi_phdr == (uintptr_t)getauxval(AT_PHDR)) {
		module_scan(info, l->exe, &l->areas);
		return 0;
	}
	if (!l->paths || module_of_system(name) ||
	    (fd = open(name, O_RDONLY | OPEN_ANY)) < 0)
		return 0;
	if (fstat(fd, &st) == 0 && S_ISREG(st.st_mode))
		module_scan(info, fd, &l->areas);
	fd_close(&fd);
	return 0;
}

static int
module_adds(struct dl_phdr_info *info, size_t size, void *adds)
{
	(void)size;
	*(unsigned long *)adds = (unsigned long)info->dlpi_adds;
	return 1;
}

static unsigned long
modules_loaded(void)
{
	unsigned long adds = 0;

	(void)dl_iterate_phdr(module_adds, &adds);
	return adds;
}

int
gons__cov_areas_init(int exe, int paths)
{
	struct lister l = { exe, paths, NULL };

	found.adds = modules_loaded();
	(void)dl_iterate_phdr(module_list, &l);
	found.areas = l.areas;
	return l.areas != NULL;
}

static struct areas *
areas_copy(const struct areas *from)
{
	struct areas *to;
	size_t len;

	if (from == NULL)
		return NULL;
	len = sizeof(*from) + from->n * sizeof(from->area[0]);
	if ((to = malloc(len)) != NULL)
		memcpy(to, from, len);
	return to;
}

/* Gives each its place in the memfd, behind the list and the variable. */
static void
areas_place(struct areas *areas)
{
	uint64_t at;
	size_t i;

	at = sizeof(*areas) + areas->n * sizeof(areas->area[0]) + 65536;
	for (i = 0; i < areas->n; i++) {
		areas->area[i].at = at;
		at += (areas->area[i].size + 7) & ~(uint64_t)7;
	}
	areas->envlen = 0;
}

struct areas *
gons__cov_areas(int paths)
{
	struct lister l = { -1, 1, areas_copy(found.areas) };
	unsigned long adds;
	uint64_t n;

	adds = modules_loaded();
	if (paths && adds != __atomic_load_n(&found.adds, __ATOMIC_RELAXED)) {
		n = l.areas != NULL ? l.areas->n : 0;
		(void)dl_iterate_phdr(module_list, &l);
		if (n == (l.areas != NULL ? l.areas->n : 0))
			__atomic_store_n(&found.adds, adds, __ATOMIC_RELAXED);
	}
	if (l.areas != NULL)
		areas_place(l.areas);
	return l.areas;
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

/* Where a member of one of the areas is in the memfd. */
static off_t
area_at(uint64_t i, size_t member)
{
	return (off_t)(offsetof(struct areas, area) + i * sizeof(struct area) +
		       member);
}

/* Moves the counters to the memfd: the module's run time finds none. */
static void
area_save(const struct area *a, void *from, int fd, off_t done)
{
	static const uint64_t one = 1;

	if (write_at(fd, from, a->size, (off_t)a->at) == 0)
		(void)write_at(fd, &one, sizeof(one), done);
	memset(from, 0, a->size);
}

/* Does that to the areas of one module. */
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
		done = area_at(i, offsetof(struct area, done));
		if (v->what == VISIT_BEGIN)
			(void)write_at(v->fd, &one, sizeof(one),
			    area_at(i, offsetof(struct area, early)));
		else if (v->what == VISIT_RESET)
			memset(p, 0, a->size);
		else if (v->what == VISIT_ADD)
			area_add(a, p, v->fd, done);
		else if ((v->what == VISIT_SAVE) == (a->early != 0))
			area_save(a, p, v->fd, done);
	}
	return 0;
}

void
gons__cov_visit(const struct areas *areas, enum visit what, int fd)
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
