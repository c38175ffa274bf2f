/*
 * SPDX-License-Identifier: BSD-2-Clause
 *
 * Copyright (c) 2026 The libgons developers
 *
 * A program's file that somebody has forged, where counters of clang's
 * source-based coverage are looked for: its program headers are this program's,
 * its section headers and their names may be anything.  What is found lies in
 * memory of this program that may be written.
 *
 * Input: for each section which name, where and how long, 16 bits each; the
 * last byte says how the head of the file lies.
 */

#include <sys/auxv.h>
#include <sys/mman.h>

#include <elf.h>
#include <link.h>
#include <string.h>
#include <unistd.h>

#include "covmerge.h"
#include "fuzz.h"

#define SECTIONS 8
#define WORDS 3 /* of each */

static const char text[] =
    "\0__llvm_prf_names\0__llvm_prf_cnts\0__llvm_prf_bits\0.text";
static const uint32_t name_at[] = { 0, 1, 18, 34, 50, sizeof(text), UINT32_MAX,
	sizeof(text) - 1 };

struct image {
	ElfW(Ehdr) head;
	ElfW(Shdr) sh[SECTIONS + 1];
	char text[sizeof(text)];
};

static struct dl_phdr_info program;

static int
note(struct dl_phdr_info *info, size_t size, void *to)
{
	(void)size;
	memcpy(to, info, sizeof(*info));
	return 1; /* the program is the first */
}

/* Near the beginning or the end of a segment, or anywhere. */
static uint64_t
place(unsigned word)
{
	const ElfW(Phdr) *ph =
	    &program.dlpi_phdr[(word >> 8 & 31) % program.dlpi_phnum];
	uint64_t at = ph->p_vaddr;

	if ((word >> 13 & 3) == 3)
		return UINT64_MAX - (word & 255);
	if ((word >> 13 & 1) != 0)
		at += ph->p_memsz;
	return (word & 1 << 15) != 0 ? at - (word & 255) : at + (word & 255);
}

static void
forge(struct image *image, const unsigned char *p, size_t size)
{
	unsigned word[WORDS];
	size_t i, n = 0, w;

	for (; n < SECTIONS && size >= 2 * WORDS; n++, p += 2 * WORDS) {
		for (w = 0; w < WORDS; w++)
			word[w] = p[2 * w] | (unsigned)p[2 * w + 1] << 8;
		size -= 2 * WORDS;
		i = word[0] % (sizeof(name_at) / sizeof(*name_at));
		image->sh[n].sh_name = name_at[i];
		image->sh[n].sh_addr = place(word[1]);
		image->sh[n].sh_size = word[2];
		if (word[0] >> 15 != 0) /* so that a sum overflows */
			image->sh[n].sh_size = UINT64_MAX - word[2];
	}
	image->sh[n].sh_offset = offsetof(struct image, text);
	image->sh[n].sh_size = sizeof(text);
	image->head.e_shstrndx = (uint16_t)n;
	image->head.e_shnum = (uint16_t)(n + 1);
	if (size == 0)
		return;
	if ((*p & 3) == 1) /* no NUL at the end of the names */
		image->sh[n].sh_size -= *p >> 2;
	if ((*p & 3) == 2)
		image->head.e_shnum = (uint16_t)(*p >> 2);
	if ((*p & 3) == 3)
		image->sh[n].sh_offset += (uint64_t)*p << 48;
}

static int
in_program(uint64_t at, uint64_t size, unsigned flags)
{
	const ElfW(Phdr) * ph;
	int i;

	for (i = 0; i < program.dlpi_phnum; i++) {
		ph = &program.dlpi_phdr[i];
		if (ph->p_type == PT_LOAD && (ph->p_flags & flags) == flags &&
		    at >= ph->p_vaddr && at - ph->p_vaddr <= ph->p_memsz &&
		    size <= ph->p_memsz - (at - ph->p_vaddr))
			return 1;
	}
	return 0;
}

static void
check(struct areas *areas)
{
	uint64_t i;

	for (i = 0; areas != NULL && i < areas->n; i++) {
		MUST(areas->area[i].size > 0);
		MUST(in_program(
		    areas->area[i].vaddr, areas->area[i].size, PF_W));
		MUST(
		    in_program(areas->area[i].names, areas->area[i].nnames, 0));
	}
	free(areas);
}

int
LLVMFuzzerTestOneInput(const unsigned char *data, size_t size)
{
	static struct image image;
	size_t len;
	int fd;

	if (program.dlpi_phdr == NULL)
		(void)dl_iterate_phdr(note, &program);
	len = program.dlpi_phnum * sizeof(*program.dlpi_phdr);
	memset(&image, 0, sizeof(image));
	memcpy(image.head.e_ident, ELFMAG, SELFMAG);
	memcpy(image.text, text, sizeof(text));
	image.head.e_shentsize = sizeof(image.sh[0]);
	image.head.e_phnum = program.dlpi_phnum;
	image.head.e_shoff = offsetof(struct image, sh);
	image.head.e_phoff = sizeof(image);
	forge(&image, data, size);
	MUST((fd = memfd_create("forged", MFD_CLOEXEC)) != -1);
	MUST(write(fd, &image, sizeof(image)) == sizeof(image));
	MUST(write(fd, program.dlpi_phdr, len) == (ssize_t)len);
	(void)gons__cov_areas_init(fd, 0);
	check(gons__cov_areas(0));
	MUST(close(fd) == 0);
	return 0;
}
