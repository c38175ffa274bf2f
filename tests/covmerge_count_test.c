/*
 * SPDX-License-Identifier: BSD-2-Clause
 *
 * Copyright (c) 2026 The libgons developers
 *
 * Counters of clang in memory, of covmerge.o by itself.  The program has
 * sections of its own with the names of clang's, and stands for parent and
 * child one after the other.
 */

#include <sys/mman.h>

#include <atf-c.h>

#include <link.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "../lib/covmerge.h"

#define N 600 /* more than is read at once */

static uint64_t counts[N] __attribute__((section("__llvm_prf_cnts"), used));
static unsigned char bits[3] __attribute__((section("__llvm_prf_bits"), used));
static const char names[] __attribute__((section("__llvm_prf_names"), used)) =
    "what is counted: names of functions, more of them than any hash has bits, "
    "so that each byte has to make a difference";

static struct areas *areas;
static int mem = -1;

/* The name of a module that has this program's sections, too; or NULL. */
static const char *other;

int __real_dl_iterate_phdr(
    int (*)(struct dl_phdr_info *, size_t, void *), void *);
int __wrap_dl_iterate_phdr(
    int (*)(struct dl_phdr_info *, size_t, void *), void *);
struct callback {
	int (*function)(struct dl_phdr_info *, size_t, void *);
	void *data;
};

/* This program comes first. */
static int
call_with_other(struct dl_phdr_info *info, size_t size, void *arg)
{
	ElfW(Phdr) headers[64];
	struct dl_phdr_info copy = *info;
	const struct callback *callback = arg;

	ATF_REQUIRE(info->dlpi_phnum <= 64);
	memcpy(headers, info->dlpi_phdr,
	    info->dlpi_phnum * sizeof(*info->dlpi_phdr));
	copy.dlpi_phdr = headers;
	copy.dlpi_name = other;
	(void)callback->function(&copy, size, callback->data);
	return 1;
}

int
__wrap_dl_iterate_phdr(
    int (*function)(struct dl_phdr_info *, size_t, void *), void *data)
{
	struct callback callback = { function, data };

	if (other == NULL)
		return __real_dl_iterate_phdr(function, data);
	return __real_dl_iterate_phdr(call_with_other, &callback);
}

static size_t
list_size(void)
{
	return sizeof(*areas) + areas->n * sizeof(areas->area[0]);
}

/* Finds the sections, and writes their list as for a child. */
static void
begin(void)
{
	int exe;

	ATF_REQUIRE_EQ('w', names[0]);
	ATF_REQUIRE((exe = open("/proc/self/exe", O_RDONLY | O_CLOEXEC)) != -1);
	ATF_REQUIRE_EQ(1, gons__cov_areas_init(exe, 1));
	close(exe);
	ATF_REQUIRE((areas = gons__cov_areas(1)) != NULL);
	ATF_REQUIRE_EQ(2, areas->n);
	ATF_REQUIRE((mem = memfd_create("count", MFD_CLOEXEC)) != -1);
	ATF_REQUIRE_EQ(0, write_at(mem, areas, list_size(), 0));
}

/* The list as a child has it, which has found the sections early or not. */
static struct areas *
begin_child(int early)
{
	struct areas *childs;

	ATF_REQUIRE((childs = gons__cov_areas_load(mem)) != NULL);
	if (!early)
		return childs;
	gons__cov_visit(childs, VISIT_BEGIN, mem);
	free(childs);
	ATF_REQUIRE((childs = gons__cov_areas_load(mem)) != NULL);
	return childs;
}

static void
end(void)
{
	close(mem);
	free(areas);
}

/* The child saves what the parent adds; what is full stays full. */
static void
there_and_back_at(enum visit save)
{
	static const uint64_t t[][3] = {
		{ 1, 2, 3 },
		{ 0x1000000000000000, 1, 0x1000000000000001 },
		{ 0x2300000000000000, 0, 0x2300000000000000 },
		{ 4, 0x5600000000000000, 0x5600000000000004 },
		{ 0xff00, 0x100, 0x10000 },
		{ UINT64_MAX - 1, 1, UINT64_MAX },
		{ UINT64_MAX, 1, UINT64_MAX },
		{ (uint64_t)1 << 63, (uint64_t)1 << 63, UINT64_MAX },
	};
	const size_t n = sizeof(t) / sizeof(t[0]);
	struct areas *childs;
	size_t i;

	begin();
	for (i = 0; i < N; i++)
		counts[i] = t[i % n][1];
	bits[0] = 2;
	bits[1] = 0x80;
	bits[2] = 4;
	childs = begin_child(save == VISIT_SAVE);
	gons__cov_visit(childs, save, mem);
	free(childs);
	for (i = 0; i < N; i++)
		ATF_REQUIRE_EQ_MSG(0, counts[i], "%zu", i);
	ATF_CHECK(bits[0] == 0 && bits[1] == 0 && bits[2] == 0);
	for (i = 0; i < N; i++)
		counts[i] = t[i % n][0];
	bits[0] = 1;
	bits[1] = 0x80;
	gons__cov_visit(areas, VISIT_ADD, mem);
	for (i = 0; i < N; i++)
		ATF_CHECK_EQ_MSG(t[i % n][2], counts[i], "%zu: %llx", i,
		    (unsigned long long)counts[i]);
	ATF_CHECK(bits[0] == 3 && bits[1] == 0x80 && bits[2] == 4);
	end();
}

ATF_TC_WITHOUT_HEAD(there_and_back);
ATF_TC_BODY(there_and_back, tc)
{
	there_and_back_at(VISIT_SAVE);
}

/* The same in a module that the child has loaded late. */
ATF_TC_WITHOUT_HEAD(there_and_back_late);
ATF_TC_BODY(there_and_back_late, tc)
{
	there_and_back_at(VISIT_SAVE_LATE);
}

/* Early modules are not saved with the late ones, nor these with the others. */
ATF_TC_WITHOUT_HEAD(one_time_only);
ATF_TC_BODY(one_time_only, tc)
{
	struct areas *childs;
	int early;

	begin();
	for (early = 0; early < 2; early++) {
		childs = begin_child(early);
		counts[0] = 7;
		bits[0] = 1;
		gons__cov_visit(
		    childs, early ? VISIT_SAVE_LATE : VISIT_SAVE, mem);
		free(childs);
		ATF_CHECK(counts[0] == 7 && bits[0] == 1);
		gons__cov_visit(areas, VISIT_ADD, mem);
		ATF_CHECK(counts[0] == 7 && bits[0] == 1);
	}
	end();
}

/* A child that was killed: what it has not said to be complete is not added. */
ATF_TC_WITHOUT_HEAD(incomplete);
ATF_TC_BODY(incomplete, tc)
{
	struct areas *childs;

	begin();
	childs = begin_child(1);
	counts[0] = counts[N - 1] = 1;
	bits[0] = 1;
	gons__cov_visit(areas, VISIT_ADD, mem);
	ATF_CHECK(counts[0] == 1 && counts[N - 1] == 1 && bits[0] == 1);
	gons__cov_visit(childs, VISIT_SAVE, mem);
	ATF_REQUIRE_EQ(0, write_at(mem, areas, list_size(), 0));
	gons__cov_visit(areas, VISIT_ADD, mem);
	ATF_CHECK(counts[0] == 0 && counts[N - 1] == 0 && bits[0] == 0);
	counts[0] = counts[N - 1] = 1;
	gons__cov_visit(childs, VISIT_SAVE, mem);
	ATF_REQUIRE_EQ(0, ftruncate(mem, (off_t)list_size() + 65536));
	gons__cov_visit(areas, VISIT_ADD, mem);
	ATF_CHECK(counts[0] == 0 && counts[N - 1] == 0);
	free(childs);
	end();
}

/* What does not fit the modules that are loaded is left alone. */
ATF_TC_WITHOUT_HEAD(other_modules);
ATF_TC_BODY(other_modules, tc)
{
	const struct area *good;
	struct area bad[9];
	size_t i;

	begin();
	good = &areas->area[areas->area[0].bits != 0];
	for (i = 0; i < sizeof(bad) / sizeof(bad[0]); i++)
		bad[i] = *good;
	bad[0].module ^= 1;
	bad[1].hash ^= 1;
	bad[2].nnames--;
	bad[3].names++;
	bad[4].vaddr = good->names; /* which cannot be written to */
	bad[5].vaddr = 0 - good->size;
	bad[6].size = UINT64_MAX;
	bad[7].names = UINT64_MAX;
	bad[8].nnames = UINT64_MAX;
	areas->n = 1;
	for (i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
		areas->area[0] = bad[i];
		counts[0] = 7;
		gons__cov_visit(areas, VISIT_RESET, -1);
		ATF_CHECK_EQ_MSG(7, counts[0], "%zu", i);
	}
	end();
}

/* The same program of another build: any byte of its names may differ. */
ATF_TC_WITHOUT_HEAD(other_names);
ATF_TC_BODY(other_names, tc)
{
	const uintptr_t page = (uintptr_t)sysconf(_SC_PAGESIZE) - 1;
	/* The compiler is not to know what is written to. */
	char *volatile there = (char *)(uintptr_t)names;
	char *p = there;
	void *from = (void *)((uintptr_t)names & ~page);
	size_t i, len = ((uintptr_t)names & page) + sizeof(names);

	begin();
	ATF_REQUIRE_EQ(0, mprotect(from, len, PROT_READ | PROT_WRITE));
	for (i = 0; i < sizeof(names); i++) {
		p[i] ^= 1;
		counts[0] = 7;
		gons__cov_visit(areas, VISIT_RESET, -1);
		ATF_CHECK_EQ_MSG(7, counts[0], "byte %zu", i);
		p[i] ^= 1;
	}
	gons__cov_visit(areas, VISIT_RESET, -1);
	ATF_CHECK_EQ(0, counts[0]);
	ATF_REQUIRE_EQ(0, mprotect(from, len, PROT_READ));
	end();
}

/* A list that is not all there, or longer than any can be, is none. */
ATF_TC_WITHOUT_HEAD(list_refused);
ATF_TC_BODY(list_refused, tc)
{
	static const char variable[] = "LLVM_PROFILE_FILE=x";
	const size_t varlen = sizeof(variable) - 1;
	struct areas *is, head = { 65537, 0 };
	size_t len;

	begin();
	areas->envlen = varlen;
	len = list_size();
	ATF_REQUIRE_EQ(0, write_at(mem, areas, len, 0));
	ATF_REQUIRE_EQ(0, write_at(mem, variable, varlen, (off_t)len));
	ATF_REQUIRE((is = gons__cov_areas_load(mem)) != NULL);
	ATF_CHECK_EQ(0, memcmp(is, areas, len));
	ATF_CHECK_STREQ(variable, (const char *)&is->area[is->n]);
	free(is);
	for (len += varlen; len-- > 0;) {
		ATF_REQUIRE_EQ(0, ftruncate(mem, (off_t)len));
		is = gons__cov_areas_load(mem);
		ATF_CHECK_MSG(is == NULL, "%zu bytes", len);
		free(is);
	}
	ATF_CHECK_EQ(NULL, gons__cov_areas_load(-1));
	ATF_REQUIRE_EQ(0, write_at(mem, &head, sizeof(head), 0));
	ATF_REQUIRE_EQ(0, ftruncate(mem, 16 << 20)); /* would have room */
	ATF_CHECK_EQ(NULL, gons__cov_areas_load(mem));
	head.n = 1;
	head.envlen = 65537;
	ATF_REQUIRE_EQ(0, write_at(mem, &head, sizeof(head), 0));
	ATF_CHECK_EQ(NULL, gons__cov_areas_load(mem));
	/* the longest that there are */
	head.n = head.envlen = 65536;
	ATF_REQUIRE_EQ(0, write_at(mem, &head, sizeof(head), 0));
	ATF_REQUIRE((is = gons__cov_areas_load(mem)) != NULL);
	ATF_CHECK(is->n == 65536 && is->envlen == 65536);
	free(is);
	end();
}

/* Only if paths can be believed, and not if it is a library of the system. */
ATF_TC_WITHOUT_HEAD(opened);
ATF_TC_BODY(opened, tc)
{
	/* each of them is the file of this program */
	static const char *const of_system[] = { "link",
		"/lib/../../../proc/self/exe",
		"/usr/lib/../../../proc/self/exe" };
	size_t i;

	ATF_REQUIRE_EQ(0, symlink("/proc/self/exe", "link"));
	for (i = 0; i < sizeof(of_system) / sizeof(of_system[0]); i++) {
		other = of_system[i];
		ATF_CHECK_EQ_MSG(0, gons__cov_areas_init(-1, 1), "%s", other);
	}
	other = "/proc/self/exe";
	ATF_CHECK_EQ(0, gons__cov_areas_init(-1, 0));
	ATF_REQUIRE_EQ(1, gons__cov_areas_init(-1, 1));
	ATF_REQUIRE((areas = gons__cov_areas(0)) != NULL);
	ATF_CHECK_EQ(2, areas->n);
	free(areas);
}

ATF_TP_ADD_TCS(tp)
{
	ATF_TP_ADD_TC(tp, there_and_back);
	ATF_TP_ADD_TC(tp, there_and_back_late);
	ATF_TP_ADD_TC(tp, one_time_only);
	ATF_TP_ADD_TC(tp, incomplete);
	ATF_TP_ADD_TC(tp, other_modules);
	ATF_TP_ADD_TC(tp, other_names);
	ATF_TP_ADD_TC(tp, list_refused);
	ATF_TP_ADD_TC(tp, opened);
	return atf_no_error();
}
