/*
 * SPDX-License-Identifier: BSD-2-Clause
 *
 * Copyright (c) 2026 The libgons developers
 *
 * gons_covmerge(3), "Trees" and "The outcome": what becomes of the
 * destination, of sources that cannot be merged, and of what others have put
 * there.
 */

#include <linux/capability.h>

#include <sys/mount.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/syscall.h>

#include <atf-c.h>
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <gons.h>

#include "helpers.h"
#include "merge.h"

/*
 * All of the files or none; what is missing, empty, or no file at all
 */

ATF_TC_WITHOUT_HEAD(all_or_none);
ATF_TC_BODY(all_or_none, tc)
{
	char *dst;
	size_t len;

	plain("dst", GCC12, 0, 1, 1);
	plain("a", GCC12, 0, 1, 1);
	put_text("bad", "adcg");
	dst = get_file("dst", &len);
	merge(EBADMSG, "the second is bad", "dst", "a", "bad", "a", NULL);
	ATF_CHECK_STREQ("bad", outcome.where);
	ATF_CHECK_EQ(4, outcome.offset);
	ATF_CHECK_EQ(0, outcome.merged);
	check_file("dst", dst, len, "all or none");
	put_text("bad", "mode: set\n");
	merge(ENOTSUP, "profile of another kind", "dst", "a", "bad", NULL);
	ATF_CHECK_STREQ("bad", outcome.where);
	merge(ENOTSUP, "profile into .gcda", "dst", "bad", NULL);
	check_file("dst", dst, len, "another kind");
	put_text("text", "mode: set\na.go:1.1,2.2 1 1\n");
	merge(ENOTSUP, ".gcda into a profile", "text", "bad", "a", NULL);
	check_text("text", "mode: set\na.go:1.1,2.2 1 1\n");
	merge(EBADMSG, ".gcda into a profile", "text", "a", NULL);
	free(dst);
	/* Each file of trees, too, if one of them has others before it. */
	shell("mkdir first second");
	plain("first/1.gcda", GCC12, 0, 1, 1);
	plain("first/2.gcda", GCC12, 0, 1, 1);
	plain("second/2.gcda", GCC13, 0, 1, 1);
	merge(ESTALE, "trees", "tree", "first", "second", NULL);
	ATF_CHECK_STREQ("second/2.gcda", outcome.where);
	ATF_CHECK_EQ(1, outcome.merged);
	ATF_CHECK_EQ(1, outcome.stale);
	ATF_CHECK(exists("tree/1.gcda") && !exists("tree/2.gcda"));
}

ATF_TC_WITHOUT_HEAD(skipped);
ATF_TC_BODY(skipped, tc)
{
	static const char nul[] = "mode: set\na\0.go:1.1,2.2 1 1\n";
	const char *src[] = { "none" }, *gap[] = { "none", NULL };

	put_text("empty", "");
	plain("a", GCC12, 0, 1, 1);
	merge(0, "nothing at all", "dst", NULL);
	merge(0, "nothing there", "dst", "none", "empty", NULL);
	ATF_CHECK_EQ(2, outcome.skipped);
	ATF_CHECK_EQ(0, outcome.merged);
	ATF_CHECK(!exists("dst"));
	merge(0, "nothing there", "no/such/dir/dst", "none", NULL);
	merge(0, "one of three", "dst", "none", "a", "empty", NULL);
	ATF_CHECK_EQ(2, outcome.skipped);
	ATF_CHECK_EQ(1, outcome.merged);
	merge(0, "an empty one alone", "dst", "empty", NULL);
	ATF_CHECK_EQ(1, outcome.skipped);
	put_text("dst", "");
	merge(0, "empty destination", "dst", "a", NULL);
	merge(ENOENT, "no directory", "no/dst", "a", NULL);
	ATF_CHECK_STREQ("no/dst", outcome.where);
	ATF_CHECK_EQ(0, gons_covmerge("dst", src, 1, NULL));
	ATF_CHECK_ERRNO(EINVAL, gons_covmerge(NULL, src, 1, NULL) == -1);
	ATF_CHECK_ERRNO(EINVAL, gons_covmerge("dst", NULL, 1, NULL) == -1);
	ATF_CHECK_ERRNO(EINVAL, gons_covmerge("dst", gap, 2, NULL) == -1);
	ATF_REQUIRE_EQ(0, mkdir("tree", 0755));
	merge(EISDIR, "tree into file", "dst", "tree", NULL);
	merge(ENOTDIR, "file into tree", "tree", "a", NULL);
	merge(ENOTDIR, "tree and file", "new", "tree", "a", NULL);
	put_text("cover", "mode: set\na.go:1.1,2.2 1 1\n");
	put_text("dst", "");
	merge(0, "text into an empty destination", "dst", "cover", NULL);
	check_text("dst", "mode: set\na.go:1.1,2.2 1 1\n");
	put_file("nul", nul, sizeof(nul) - 1);
	merge(EBADMSG, "a NUL in a name", "dst", "nul", NULL);
	merge(EINVAL, "into itself", "a", "a", NULL);
	merge(EINVAL, "into itself", "tree", "tree", NULL);
	ATF_CHECK(!exists("new"));
	/* of a tree that is none nothing is begun, whatever the others have */
	plain("tree/1.gcda", GCC12, 0, 1, 1);
	ATF_REQUIRE_EQ(0, symlink("tree", "link"));
	merge(ELOOP, "tree and link", "new", "tree", "link", NULL);
	ATF_CHECK_STREQ("link", outcome.where);
	ATF_CHECK_EQ(0, outcome.merged);
	ATF_CHECK(!exists("new"));
}

/* What is wrong, and where: in which file, at which byte, or at none. */
static const struct place {
	const char *what, *dst, *src[2];
	int expected;
	const char *where;
	int64_t offset;
} places[] = {
	{ "a profile into .gcda", "gcda", { "text", NULL }, ENOTSUP, "text",
	    0 },
	{ ".gcda into a profile", "text", { "gcda", NULL }, EBADMSG, "text",
	    0 },
	{ "a profile and .gcda", "new", { "text", "gcda" }, ENOTSUP, "gcda",
	    0 },
	{ "a profile into junk", "junk", { "text", NULL }, EBADMSG, "junk", 0 },
	{ ".gcda into junk", "junk", { "gcda", NULL }, EBADMSG, "junk", 0 },
	{ "into a bad profile", "badtext", { "text", NULL }, EBADMSG, "badtext",
	    10 },
	{ "into bad .gcda", "badgcda", { "gcda", NULL }, EBADMSG, "badgcda",
	    4 },
	{ "another compiler's", "gcda", { "other", NULL }, ESTALE, "other", 4 },
	{ "a link", "new", { "link", NULL }, ELOOP, "link", -1 },
	{ "into a link", "link", { "gcda", NULL }, ELOOP, "link", -1 },
	{ "a tree into a file", "gcda", { "tree", NULL }, EISDIR, "tree", -1 },
	{ "a file into a tree", "tree", { "gcda", NULL }, ENOTDIR, "gcda", -1 },
	{ "no directory", "no/new", { "gcda", NULL }, ENOENT, "no/new", -1 },
	{ "may not be read", "new", { "hidden", NULL }, EACCES, "hidden", -1 },
	{ "nor be written", "hidden", { "gcda", NULL }, EACCES, "hidden", -1 },
	{ "no new .gcda", "fixed/new", { "gcda", NULL }, EACCES, "fixed/new",
	    -1 },
	{ "no new profile", "fixed/new", { "text", NULL }, EACCES, "fixed/new",
	    -1 },
	{ "no new file of a tree", "fixed", { "tree", NULL }, EACCES,
	    "fixed/1.gcda", -1 },
	{ "no new tree", "fixed/new", { "tree", NULL }, EACCES,
	    "fixed/new/1.gcda", -1 },
	{ "a tree may not be read", "new", { "shut", NULL }, EACCES, "shut",
	    -1 },
	{ "a directory may not", "new", { "above", NULL }, EACCES, "above/shut",
	    -1 },
};

static void
merge_places(void *unused)
{
	struct __user_cap_header_struct head = { _LINUX_CAPABILITY_VERSION_3,
		0 };
	struct __user_cap_data_struct none[2];
	const struct place *p;
	int bad = 0, error;

	(void)unused;
	/* Modes are for root, too. */
	memset(none, 0, sizeof(none));
	CHILD(syscall(SYS_capset, &head, none) == 0);
	for (p = places; p < places + sizeof(places) / sizeof(*p); p++) {
		errno = EDOM;
		error = gons_covmerge(p->dst, p->src, p->src[1] != NULL ? 2 : 1,
			    &outcome) == 0
			    ? 0
			    : errno;
		if (error == p->expected && outcome.offset == p->offset &&
		    strcmp(outcome.where, p->where) == 0)
			continue;
		bad = 1;
		(void)fprintf(stderr, "%s: %s, \"%s\", %" PRId64 "\n", p->what,
		    strerror(error), outcome.where, outcome.offset);
	}
	CHILD(system("chmod 755 above/shut shut fixed") == 0);
	CHILD(!bad);
}

ATF_TC_WITHOUT_HEAD(where);
ATF_TC_BODY(where, tc)
{
	shell("mkdir -p above/shut shut tree fixed; ln -s gcda link");
	plain("gcda", GCC12, 0, 1, 1);
	plain("other", GCC13, 0, 1, 1);
	plain("hidden", GCC12, 0, 1, 1);
	plain("tree/1.gcda", GCC12, 0, 1, 1);
	put_text("text", "mode: set\na.go:1.1,2.2 1 1\n");
	put_text("badtext", "mode: set\nnonsense\n");
	put_text("badgcda", "adcg");
	put_text("junk", "this is no coverage data\n");
	shell("chmod 0 above/shut shut hidden; chmod 555 fixed");
	in_child(merge_places, NULL);
	ATF_CHECK(!exists("new"));
	shell("test -z \"$(find . -name '.gons-*')\"");
}

/* Nothing but regular files, and a symbolic link is none. */
ATF_TC_WITHOUT_HEAD(planted);
ATF_TC_BODY(planted, tc)
{
	char *dst;
	size_t len;
	int fd;

	plain("real", GCC12, 0, 1, 1);
	plain("dst", GCC12, 0, 1, 1);
	dst = get_file("dst", &len);
	ATF_REQUIRE_EQ(0, symlink("real", "link"));
	ATF_REQUIRE_EQ(0, mkfifo("fifo", 0644));
	alarm(20);
	merge(ELOOP, "link", "dst", "link", NULL);
	ATF_CHECK_STREQ("link", outcome.where);
	merge(EINVAL, "fifo", "dst", "fifo", NULL);
	merge(EINVAL, "device", "dst", "/dev/null", NULL);
	merge(ELOOP, "to a link", "link", "real", NULL);
	merge(EINVAL, "to a fifo", "fifo", "real", NULL);
	check_file("dst", dst, len, "planted");
	check_file("real", dst, len, "planted");
	put_text("junk", "this is no coverage data\n");
	merge(EBADMSG, "junk", "dst", "junk", NULL);
	ATF_CHECK_EQ(0, outcome.offset);
	merge(EBADMSG, "into junk", "junk", "real", NULL);
	ATF_CHECK_STREQ("junk", outcome.where);
	check_text("junk", "this is no coverage data\n");
	ATF_REQUIRE(
	    (fd = open("huge", O_RDWR | O_CREAT | O_CLOEXEC, 0644)) >= 0);
	ATF_REQUIRE_EQ((ssize_t)len, write(fd, dst, len));
	ATF_REQUIRE_EQ(0, ftruncate(fd, ((off_t)256 << 20) + 1));
	ATF_REQUIRE_EQ(0, close(fd));
	merge(EFBIG, "size", "dst", "huge", NULL);
	free(dst);
}

ATF_TC_WITHOUT_HEAD(tree);
ATF_TC_BODY(tree, tc)
{
	char *one, *two;
	size_t len;

	shell("mkdir -p a/x/y b/x/y b/empty a/plain outside");
	plain("a/x/y/1.gcda", GCC12, 0, 1, 1);
	plain("b/x/y/1.gcda", GCC12, 0, 1, 1);
	plain("b/x/2.gcda", GCC12, 0, 1, 1);
	plain("outside/3.gcda", GCC12, 0, 1, 1);
	plain("two", GCC12, 0, 2, 2);
	one = get_file("b/x/2.gcda", &len);
	two = get_file("two", &len);
	put_text("a/x/1.gcno", "a note");
	put_text("a/plain/readme", "some text");
	put_text("a/cover.out", "mode: set\na.go:1.1,2.2 1 0\n");
	put_text("b/cover.out", "mode: set\na.go:1.1,2.2 1 1\n");
	ATF_REQUIRE_EQ(0, symlink("../outside", "a/dir"));
	ATF_REQUIRE_EQ(0, symlink("readme", "a/plain/link"));
	merge(0, "trees", "out", "a", "none", "b", NULL);
	ATF_CHECK_EQ(5, outcome.merged);
	ATF_CHECK_EQ(1, outcome.skipped);
	check_file("out/x/y/1.gcda", two, len, "in both");
	check_file("out/x/2.gcda", one, len, "in one");
	check_text("out/cover.out", "mode: set\na.go:1.1,2.2 1 1\n");
	shell("test \"$(find out | sort | tr '\\n' ' ')\" = "
	      "'out out/cover.out out/x out/x/2.gcda out/x/y out/x/y/1.gcda '");
	/* Of a tree that holds the destination, that is left out. */
	shell("mkdir w && cp -r b w/b && mkdir w/out");
	merge(0, "within", "w/out", "w", NULL);
	ATF_CHECK(exists("w/out/b/x/2.gcda") && !exists("w/out/out"));
	shell("rm -r w/out; cp w/b/x/2.gcda w/b/0.gcda");
	merge(0, "a new one within", "w/b/x/new/", "w", NULL);
	check_file("w/b/x/new/b/x/2.gcda", one, len, "within");
	shell("test $(find w -name '*.gcda' | wc -l) = 6");
	merge(0, "a name of one letter", "n/", "b", NULL);
	check_file("n/x/2.gcda", one, len, "a name of one letter");
	shell("test -z \"$(find . -name '.gons-*')\"");
	free(two);
	free(one);
}

/* What is wrong is told and left out; all else is merged. */
ATF_TC_WITHOUT_HEAD(tree_planted);
ATF_TC_BODY(tree_planted, tc)
{
	char path[2048], *two;
	size_t len;
	int i;

	shell("mkdir -p src/x dst/x elsewhere");
	plain("src/x/1.gcda", GCC12, 0, 1, 1);
	plain("src/x/2.gcda", GCC12, 0, 1, 1);
	plain("dst/x/1.gcda", GCC12, 0, 1, 1);
	plain("two", GCC12, 0, 2, 2);
	plain("elsewhere/e", GCC12, 0, 1, 1);
	two = get_file("two", &len);
	ATF_REQUIRE_EQ(0, symlink("../../elsewhere/e", "src/x/link.gcda"));
	alarm(20);
	merge(ELOOP, "link", "dst", "src", NULL);
	ATF_CHECK_STREQ("src/x/link.gcda", outcome.where);
	ATF_CHECK_EQ(1, outcome.failed);
	ATF_CHECK_EQ(2, outcome.merged);
	check_file("dst/x/1.gcda", two, len, "beside a link");
	shell("rm src/x/link.gcda; mkfifo src/x/fifo.gcda");
	merge(EINVAL, "fifo", "dst", "src", NULL);
	shell("rm src/x/fifo.gcda; echo junk >src/x/junk.gcda");
	merge(EBADMSG, "junk", "dst", "src", NULL);
	ATF_CHECK_STREQ("src/x/junk.gcda", outcome.where);
	ATF_CHECK_EQ(0, outcome.offset);
	ATF_CHECK(!exists("dst/x/junk.gcda"));
	/* The destination is another build's, then malformed, then a link. */
	shell("rm src/x/junk.gcda");
	plain("dst/x/1.gcda", GCC11, 0, 1, 1);
	merge(ESTALE, "stale", "dst", "src", NULL);
	ATF_CHECK_STREQ("src/x/1.gcda", outcome.where);
	ATF_CHECK_EQ(1, outcome.stale);
	ATF_CHECK_EQ(0, outcome.failed);
	put_text("dst/x/1.gcda", "adcg");
	merge(EBADMSG, "bad destination", "dst", "src", NULL);
	ATF_CHECK_STREQ("dst/x/1.gcda", outcome.where);
	shell("rm -r dst/x; ln -s ../elsewhere dst/x");
	merge(ELOOP, "link in the destination", "dst", "src", NULL);
	ATF_CHECK(!exists("elsewhere/1.gcda"));
	/* Deeper than anybody builds. */
	(void)strcpy(path, "deep");
	for (i = 0; i < 120; i++) {
		ATF_REQUIRE_EQ(0, mkdir(path, 0755));
		(void)strcat(path, "/d");
	}
	merge(ENAMETOOLONG, "depth", "new", "deep", NULL);
	path[4 + 2 * 101] = '\0';
	ATF_CHECK_STREQ(path, outcome.where);
	path[4 + 2 * 19] = '\0';
	merge(0, "the depth that is allowed", "new", path, NULL);
	ATF_CHECK(!exists("new"));
	free(two);
}

/*
 * What was listed, is no .gcda file by its name, and is gone when it is opened
 * does not matter.  Each descriptor of this process has a file there, also the
 * one that lists them.
 */
ATF_TC_WITHOUT_HEAD(tree_vanishing);
ATF_TC_BODY(tree_vanishing, tc)
{
	merge(0, "vanishing", "dst", "/proc/self/fdinfo", NULL);
	ATF_CHECK_EQ(0, outcome.merged);
	ATF_CHECK_EQ(0, outcome.skipped);
	ATF_CHECK_EQ(0, outcome.failed);
	ATF_CHECK(!exists("dst"));
}

/* The numbers of standard descriptors are as good as any other. */
static void
merge_without_stdin(void *unused)
{
	static const char *const t[][3] = {
		{ "newtree", "none", "tree" },
		{ "new.gcda", "none", "one" },
		{ "newtext", "none", "text" },
	};
	struct gons_covstat st;
	int i, round;

	(void)unused;
	(void)close(STDIN_FILENO);
	for (round = 0; round < 2; round++)
		for (i = 0; i < 3; i++) {
			CHILD(gons_covmerge(t[i][0], &t[i][1], 2, &st) == 0);
			CHILD(st.merged == 1 && st.skipped == 1);
			CHILD(st.failed == 0);
			CHILD(fcntl(STDIN_FILENO, F_GETFD) == -1);
		}
}

ATF_TC_WITHOUT_HEAD(without_stdin);
ATF_TC_BODY(without_stdin, tc)
{
	shell("mkdir -p tree/sub");
	plain("one", GCC12, 0, 1, 1);
	plain("tree/sub/1.gcda", GCC12, 0, 1, 1);
	plain("sum", GCC12, 0, 2, 2);
	put_text("text", "mode: count\na.go:1.1,2.2 1 1\n");
	in_child(merge_without_stdin, NULL);
	shell("cmp newtree/sub/1.gcda sum && cmp new.gcda sum");
	check_text("newtext", "mode: count\na.go:1.1,2.2 1 2\n");
}

/*
 * Go cover profiles
 */

/* A text is replaced, a .gcda file is written over; both as they were. */
ATF_TC_WITHOUT_HEAD(replaced);
ATF_TC_BODY(replaced, tc)
{
	struct stat before, after;

	shell("mkdir d && ln -s d l");
	put_text("src", "mode: set\na.go:1.1,2.2 1 1\n");
	merge(0, "relative, through a linked directory", "l/dst", "src", NULL);
	ATF_REQUIRE_EQ(0, chmod("d/dst", 0640));
	ATF_REQUIRE_EQ(0, link("d/dst", "held"));
	ATF_REQUIRE_EQ(0, stat("d/dst", &before));
	merge(0, "text", "d/dst", "src", NULL);
	ATF_REQUIRE_EQ(0, stat("d/dst", &after));
	ATF_CHECK(before.st_ino != after.st_ino);
	ATF_CHECK_EQ(before.st_mode, after.st_mode);
	plain("a", GCC12, 0, 1, 1);
	plain("b", GCC12, 0, 1, 1);
	ATF_REQUIRE_EQ(0, stat("a", &before));
	merge(0, ".gcda", "a", "b", NULL);
	ATF_REQUIRE_EQ(0, stat("a", &after));
	ATF_CHECK_EQ(before.st_ino, after.st_ino);
	shell("test \"$(ls -A d)\" = dst");
}

/* A file among the files of one name that is none. */
ATF_TC_WITHOUT_HEAD(tree_mixed);
ATF_TC_BODY(tree_mixed, tc)
{
	shell("mkdir -p a b c");
	plain("a/1.gcda", GCC12, 0, 1, 1);
	plain("c/1.gcda", GCC12, 0, 1, 1);
	ATF_REQUIRE_EQ(0, symlink("../a/1.gcda", "b/1.gcda"));
	merge(ELOOP, "a link", "dst", "a", "b", "c", NULL);
	ATF_CHECK_STREQ("b/1.gcda", outcome.where);
	ATF_REQUIRE_EQ(0, unlink("b/1.gcda"));
	ATF_REQUIRE_EQ(0, mkdir("b/1.gcda", 0755));
	merge(EINVAL, "a directory", "dst", "a", "b", "c", NULL);
	ATF_CHECK_STREQ("b/1.gcda", outcome.where);
	ATF_CHECK_EQ(1, outcome.failed);
	ATF_CHECK(!exists("dst/1.gcda"));
	ATF_REQUIRE_EQ(0, rmdir("b/1.gcda"));
	ATF_REQUIRE_EQ(0, symlink("../a/1.gcda", "b/1.gcda"));
	ATF_REQUIRE_EQ(0, unlink("a/1.gcda"));
	merge(ELOOP, "a link that is the first", "dst", "a", "b", "c", NULL);
	ATF_CHECK_STREQ("b/1.gcda", outcome.where);
	ATF_CHECK_EQ(1, outcome.failed);
	ATF_CHECK(!exists("dst/1.gcda"));
}

/*
 * A profile is known by its beginning, and the others of its name do not keep
 * it from being merged, before it or behind it, unless they could be meant.
 */
ATF_TC_WITHOUT_HEAD(tree_profiles);
ATF_TC_BODY(tree_profiles, tc)
{
	static const char profile[] = "mode: set\na.go:1.1,2.2 1 1\n";
	static const struct {
		const char *what, *make;
		int expected;
		unsigned skipped;
	} t[] = {
		{ "nothing", ":", 0, 0 },
		{ "a link", "ln -s ../real %s/text", 0, 0 },
		{ "a fifo", "mkfifo %s/text", 0, 0 },
		{ "an empty file", ": >%s/text", 0, 1 },
		{ "another text", "echo junk >%s/text", EBADMSG, 0 },
		{ "a directory", "mkdir %s/text", EINVAL, 0 },
	};
	static const char *const trees[] = { "a", "c" };
	char command[128], other[16];
	size_t i, k;

	put_text("real", profile);
	alarm(20);
	for (i = 0; i < sizeof(t) / sizeof(t[0]); i++)
		for (k = 0; k < 2; k++) {
			/* Before a profile, a directory is one of the tree. */
			if (k == 0 && t[i].expected == EINVAL)
				continue;
			shell("rm -rf a b c dst; mkdir a b c");
			put_text("b/text", profile);
			(void)snprintf(
			    other, sizeof(other), "%s/text", trees[k]);
			(void)snprintf(
			    command, sizeof(command), t[i].make, trees[k]);
			shell("%s", command);
			merge(t[i].expected, t[i].what, "dst", "a", "b", "c",
			    NULL);
			ATF_CHECK_EQ_MSG(
			    t[i].skipped, outcome.skipped, "%s", t[i].what);
			ATF_CHECK_EQ(t[i].expected != 0, outcome.failed);
			if (t[i].expected == 0) {
				check_text("dst/text", profile);
				continue;
			}
			ATF_CHECK_STREQ(other, outcome.where);
			ATF_CHECK_EQ(
			    t[i].expected == EBADMSG ? 0 : -1, outcome.offset);
			ATF_CHECK(!exists("dst/text"));
		}
}

/* Where a path is longer than can be told, its beginning is. */
ATF_TC_WITHOUT_HEAD(tree_deep);
ATF_TC_BODY(tree_deep, tc)
{
	char name[251];
	int i, top_fd;

	memset(name, 'n', sizeof(name) - 1);
	name[sizeof(name) - 1] = '\0';
	ATF_REQUIRE_EQ(0, mkdir("src", 0755));
	ATF_REQUIRE((top_fd = open(".", O_RDONLY)) != -1);
	ATF_REQUIRE_EQ(0, chdir("src"));
	for (i = 0; i < 20; i++)
		ATF_REQUIRE(mkdir(name, 0755) == 0 && chdir(name) == 0);
	put_text("bad.gcda", "nonsense");
	plain("good.gcda", GCC12, 0, 1, 1);
	ATF_REQUIRE_EQ(0, fchdir(top_fd));
	merge(EBADMSG, "deep", "dst", "src", NULL);
	ATF_CHECK_EQ(1, outcome.merged);
	ATF_CHECK_EQ(1, outcome.failed);
	ATF_CHECK_EQ(sizeof(outcome.where) - 1, strlen(outcome.where));
	ATF_CHECK_EQ(0, strncmp(outcome.where, "src/nnn", 7));
	ATF_CHECK_EQ(NULL,
	    strstr(outcome.where + sizeof(outcome.where) - 9, "bad.gcda"));
	ATF_REQUIRE_EQ(0, chdir("dst"));
	for (i = 0; i < 20; i++)
		ATF_REQUIRE_EQ(0, chdir(name));
	ATF_CHECK(exists("good.gcda") && !exists("bad.gcda"));
	ATF_REQUIRE_EQ(0, fchdir(top_fd));
	ATF_REQUIRE_EQ(0, close(top_fd));
	/* others cannot */
	shell("rm -rf src dst");
}

/* A limit of the process's own is an error, not its end by SIGXFSZ. */
static void
merge_limited(void *unused)
{
	struct rlimit limit = { 0, 100000 };
	const char *src[] = { "src" };

	(void)unused;
	CHILD(setrlimit(RLIMIT_FSIZE, &limit) == 0);
	CHILD(gons_covmerge("dst", src, 1, NULL) == -1 && errno == EFBIG);
	src[0] = "text";
	CHILD(gons_covmerge("sum", src, 1, NULL) == -1 && errno == EFBIG);
	/* more than is written at once */
	limit.rlim_cur = limit.rlim_max;
	CHILD(setrlimit(RLIMIT_FSIZE, &limit) == 0);
	src[0] = "long";
	CHILD(gons_covmerge("sum", src, 1, NULL) == -1 && errno == EFBIG);
}

ATF_TC_WITHOUT_HEAD(limited);
ATF_TC_BODY(limited, tc)
{
	plain("src", GCC12, 0, 1, 1);
	plain("dst", GCC12, 0, 2, 2);
	put_text("text", "mode: count\na.go:1.1,2.2 1 1\n");
	shell("{ echo mode: count; for i in $(seq 8000); do "
	      "echo a.go:$i.1,$i.2 1 1; done; } >long");
	in_child(merge_limited, NULL);
	plain("old", GCC12, 0, 2, 2);
	shell("cmp dst old && test \"$(ls -A | tr '\\n' ' ')\" = "
	      "'dst long old src text '");
}

/* A file with one function, whose n counters are 0, spelled out or not. */
static void
blank(const char *path, size_t n, int spelled)
{
	struct data d;
	unsigned char *p;
	size_t len;

	head(&d, GCC12, 0);
	function(&d, 1);
	zeros(&d, 0, (int)n);
	if (!spelled) {
		tail(&d, path);
		return;
	}
	d.len -= 4;
	word(&d, (uint32_t)n * 8);
	len = d.len + n * 8 + 4;
	ATF_REQUIRE((p = calloc(1, len)) != NULL);
	memcpy(p, d.p, d.len);
	put_file(path, p, len);
	free(p);
}

/* A disk that is full: what was there stays, and there are no halves. */
ATF_TC_WITHOUT_HEAD(disk_full);
ATF_TC_BODY(disk_full, tc)
{
	static const char *const trees[] = { "disk/new", "disk/old" };
	char *one, path[64];
	size_t i, len;

	shell("mkdir disk src");
	blank("src/big.gcda", 100000, 1);
	plain("src/small.gcda", GCC12, 0, 1, 1);
	sandbox(CLONE_NEWNS);
	ATF_REQUIRE_EQ(0, mount("none", "disk", "tmpfs", 0, "size=512k"));
	shell("mkdir disk/old");
	one = get_file("src/small.gcda", &len);
	for (i = 0; i < 2; i++) {
		merge(ENOSPC, trees[i], trees[i], "src", NULL);
		(void)snprintf(path, sizeof(path), "%s/big.gcda", trees[i]);
		ATF_CHECK_STREQ(path, outcome.where);
		ATF_CHECK_EQ(-1, outcome.offset);
		ATF_CHECK_EQ(1, outcome.failed);
		ATF_CHECK_EQ(1, outcome.merged);
		ATF_CHECK(!exists(path));
		(void)snprintf(path, sizeof(path), "%s/small.gcda", trees[i]);
		check_file(path, one, len, trees[i]);
	}
	free(one);
	merge(ENOSPC, "a new file", "disk/file", "src/big.gcda", NULL);
	ATF_CHECK(!exists("disk/file"));
	blank("disk/file", 100000, 0);
	one = get_file("disk/file", &len);
	merge(ENOSPC, "in its place", "disk/file", "src/big.gcda", NULL);
	ATF_CHECK_STREQ("disk/file", outcome.where);
	check_file("disk/file", one, len, "in its place");
	free(one);
	shell("{ echo mode: count; for i in $(seq 40000); do "
	      "echo a.go:$i.1,$i.2 1 1; done; } >long");
	put_text("disk/text", "mode: count\na.go:1.1,2.2 1 1\n");
	merge(ENOSPC, "a profile", "disk/text", "long", NULL);
	ATF_CHECK_STREQ("disk/text", outcome.where);
	check_text("disk/text", "mode: count\na.go:1.1,2.2 1 1\n");
	shell("test -z \"$(find disk -name '.gons-*')\"");
}

/* What a file system says that is asked for room. */
static const struct room {
	int said, expected;
} rooms[] = {
	{ 0, 0 },
	{ ENOSYS, 0 },
	{ EOPNOTSUPP, 0 },
	{ EINTR, 0 },
	{ ENOSPC, ENOSPC },
	{ EDQUOT, EDQUOT },
};

static void
merge_room(void *room)
{
	const struct room *r = room;
	const struct rule rule = { SYS_fallocate, -1, 0, 0, r->said };
	const char *src[] = { "src" };

	forbid(&rule, 1);
	errno = 0;
	CHILD(
	    gons_covmerge("dst", src, 1, NULL) == (r->expected == 0 ? 0 : -1));
	CHILD(r->expected == 0 || errno == r->expected);
}

/*
 * Before a file gets longer than it was, room is asked for; whoever does not
 * know, or is interrupted, does not keep anything from being written.
 */
ATF_TC_WITHOUT_HEAD(room);
ATF_TC_BODY(room, tc)
{
	size_t i;

	need_filters();
	blank("src", 1000, 1);
	blank("old", 1000, 0);
	for (i = 0; i < sizeof(rooms) / sizeof(rooms[0]); i++) {
		shell("cp old dst");
		in_child(merge_room, (void *)(uintptr_t)&rooms[i]);
		shell("cmp dst %s", rooms[i].expected == 0 ? "src" : "old");
	}
}

/* A file system that knows no locks. */
static void
merge_without_locks(void *unused)
{
	static const struct rule rule = { SYS_fcntl, 1, ~0u, F_OFD_SETLKW,
		ENOTSUP };
	const char *src[] = { "src" };
	struct gons_covstat st;

	(void)unused;
	forbid(&rule, 1);
	CHILD(gons_covmerge("dst", src, 1, &st) == -1 && errno == ENOTSUP);
	CHILD(strcmp(st.where, "dst") == 0);
	CHILD(st.offset == -1); /* no byte of the file is to blame */
}

ATF_TC_WITHOUT_HEAD(without_locks);
ATF_TC_BODY(without_locks, tc)
{
	need_filters();
	put_text("src", "mode: set\na.go:1.1,2.2 1 1\n");
	put_text("dst", "mode: set\na.go:1.1,2.2 1 0\n");
	in_child(merge_without_locks, NULL);
	check_text("dst", "mode: set\na.go:1.1,2.2 1 0\n");
}

/* Before Linux 3.15, on file systems that cannot, and behind old filters. */
static void
merge_old(void *unused)
{
	static const struct rule rules[] = {
		{ SYS_fcntl, 1, ~0u, F_OFD_SETLK, EINVAL },
		{ SYS_fcntl, 1, ~0u, F_OFD_SETLKW, EINVAL },
		{ SYS_renameat2, -1, 0, 0, EINVAL },
		{ SYS_fallocate, -1, 0, 0, EOPNOTSUPP },
	};
	const char *src[] = { "src" };
	size_t i;

	(void)unused;
	forbid(rules, sizeof(rules) / sizeof(rules[0]));
	for (i = 0; i < 2; i++)
		CHILD(gons_covmerge("dst", src, 1, NULL) == 0);
	src[0] = "many";
	for (i = 0; i < 2; i++)
		CHILD(gons_covmerge("large", src, 1, NULL) == 0);
	src[0] = "tree";
	for (i = 0; i < 2; i++)
		CHILD(gons_covmerge("new", src, 1, NULL) == 0);
	src[0] = "text";
	for (i = 0; i < 2; i++)
		CHILD(gons_covmerge("newtext", src, 1, NULL) == 0);
}

ATF_TC_WITHOUT_HEAD(old_kernels);
ATF_TC_BODY(old_kernels, tc)
{
	struct data d;
	int i, round;

	need_filters();
	plain("src", GCC12, 0, 1, 1);
	plain("sum", GCC12, 0, 2, 2);
	for (round = 1; round <= 2; round++) {
		head(&d, GCC12, 0);
		for (i = 0; i < 400; i++) {
			function(&d, 1 + (uint32_t)i);
			counters(&d, 0, 1, U(round));
		}
		tail(&d, round == 1 ? "many" : "manysum");
	}
	put_text("text", "mode: count\na.go:1.1,2.2 1 1\n");
	shell("mkdir -p tree/sub && cp src tree/sub/1.gcda");
	in_child(merge_old, NULL);
	shell("cmp dst sum && cmp large manysum && cmp new/sub/1.gcda sum");
	check_text("newtext", "mode: count\na.go:1.1,2.2 1 2\n");
	shell("test -z \"$(find . -name '.gons-*')\"");
}

ATF_TP_ADD_TCS(tp)
{
	ATF_TP_ADD_TC(tp, all_or_none);
	ATF_TP_ADD_TC(tp, skipped);
	ATF_TP_ADD_TC(tp, where);
	ATF_TP_ADD_TC(tp, planted);
	ATF_TP_ADD_TC(tp, tree);
	ATF_TP_ADD_TC(tp, tree_planted);
	ATF_TP_ADD_TC(tp, tree_mixed);
	ATF_TP_ADD_TC(tp, tree_profiles);
	ATF_TP_ADD_TC(tp, tree_deep);
	ATF_TP_ADD_TC(tp, tree_vanishing);
	ATF_TP_ADD_TC(tp, without_stdin);
	ATF_TP_ADD_TC(tp, limited);
	ATF_TP_ADD_TC(tp, disk_full);
	ATF_TP_ADD_TC(tp, room);
	ATF_TP_ADD_TC(tp, without_locks);
	ATF_TP_ADD_TC(tp, old_kernels);
	ATF_TP_ADD_TC(tp, replaced);
	return (atf_no_error());
}
