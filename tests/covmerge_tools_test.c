/*
 * SPDX-License-Identifier: BSD-2-Clause
 *
 * Copyright (c) 2026 The libgons developers
 *
 * gons_covmerge(3) against the compilers' own tools and run times: what gcov-
 * tool, gcc and clang make of the same data.
 */

#include <atf-c.h>
#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>

#include <gons.h>

#include "helpers.h"
#include "merge.h"

/*
 * Against the compilers and their tools
 */

/*
 * As running the program again counts and, where both have the same byte
 * order, as that compiler's gcov-tool merges.  "run" starts a program for
 * another processor.
 */
static void
as_runs(const char *prefix, const char *suffix, const char *run)
{
	shell(
	    "rm -rf *; mkdir o && printf '%s' >p.c && %sgcc%s --coverage -c p.c "
	    "-o o/p.o && %sgcc%s --coverage o/p.o -o prog",
	    source, prefix, suffix, prefix, suffix);
	shell("export GCOV_PREFIX=$PWD/a; %s ./prog 9 && %s ./prog 12; "
	      "GCOV_PREFIX=$PWD/b; %s ./prog && %s ./prog 11",
	    run, run, run, run);
	shell("for t in a b; do f=$(find $t -name p.gcda); "
	      "for i in 1 2 3 4 5; do cp $f ${f%%p.gcda}p$i.gcda; done; done");
	if (*run == '\0')
		shell(
		    "gcov-tool%s merge a b -o theirs >/dev/null 2>&1", suffix);
	merge(0, "trees", "ours", "a", "b", NULL);
	ATF_CHECK_EQ(12, outcome.merged);
	shell("test ! -d theirs || diff -r ours theirs");
	merge(0, "in place", "a", "b", NULL);
	shell("diff -r a ours");
	shell("%s ./prog 9 && %s ./prog && %s ./prog 11 && %s ./prog 12 && "
	      "cmp o/p.gcda $(find ours -name p.gcda)",
	    run, run, run, run);
}

ATF_TC_WITHOUT_HEAD(gcov_tool);
ATF_TC_BODY(gcov_tool, tc)
{
	as_runs("", "", "");
}

/* Each other version of gcc that is here. */
ATF_TC_WITHOUT_HEAD(gcc_versions);
ATF_TC_BODY(gcc_versions, tc)
{
	char suffix[8];
	int n = 0, version;

	for (version = 9; version < 30; version++) {
		(void)snprintf(suffix, sizeof(suffix), "-%d", version);
		if (!have("", "gcc", suffix) || !have("", "gcov-tool", suffix))
			continue;
		printf("gcc%s\n", suffix);
		as_runs("", suffix, "");
		n++;
	}
	if (n < 2)
		atf_tc_skip("there are no two versions of gcc");
}

/* Words are the other way round. */
ATF_TC_WITHOUT_HEAD(gcc_big_endian);
ATF_TC_BODY(gcc_big_endian, tc)
{
	if (!have("s390x-linux-gnu-", "gcc", "") || !have("", "qemu-s390x", ""))
		atf_tc_skip("no s390x-linux-gnu-gcc, or no qemu-s390x");
	as_runs("s390x-linux-gnu-", "", "qemu-s390x -L /usr/s390x-linux-gnu");
}

ATF_TC_WITHOUT_HEAD(clang_runtime);
ATF_TC_BODY(clang_runtime, tc)
{
	NEEDS_CLANG;
	shell("printf '%s' >p.c && clang --coverage -c p.c -o p.o && "
	      "clang --coverage p.o -o prog",
	    source);
	shell(
	    "./prog 9 && mv p.gcda a && ./prog && ./prog 12 && mv p.gcda b && "
	    "./prog 9 && ./prog && ./prog 12");
	merge(0, "clang", "a", "b", NULL);
	shell("cmp a p.gcda");
}

ATF_TC_WITHOUT_HEAD(pgo);
ATF_TC_BODY(pgo, tc)
{
	char *dst;
	size_t len;

	shell("cat >p.c <<'!'\n"
	      "int main(int c, char **v) { (void)v; int (*f)(int, char **) = "
	      "c > 7 ? main : 0; volatile int d = c; int s = 0;\n"
	      "for (int i = 1; i < 50; i++) s += 100 %% (d + i);\n"
	      "return (f ? f(1, v) : s == 1); }\n!\n"
	      "gcc -O1 -fprofile-generate p.c -o prog && ./prog && "
	      "mv *p.gcda p.gcda && cp p.gcda dst");
	dst = get_file("dst", &len);
	merge(ENOTSUP, "profile-guided optimisation", "dst", "p.gcda", NULL);
	ATF_CHECK_STREQ("p.gcda", outcome.where);
	ATF_CHECK(outcome.offset > 0);
	check_file("dst", dst, len, "pgo");
	free(dst);
}

ATF_TP_ADD_TCS(tp)
{
	ATF_TP_ADD_TC(tp, gcov_tool);
	ATF_TP_ADD_TC(tp, gcc_versions);
	ATF_TP_ADD_TC(tp, gcc_big_endian);
	ATF_TP_ADD_TC(tp, clang_runtime);
	ATF_TP_ADD_TC(tp, pgo);
	return (atf_no_error());
}
