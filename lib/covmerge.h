/*
 * SPDX-License-Identifier: BSD-2-Clause
 *
 * Copyright (c) 2026 The libgons developers
 *
 * What the parts of covmerge.o share with each other and with nobody else, by
 * the part that provides it.  Functions return 0 or an errno value, unless they
 * say otherwise.  Each part calls only those below it:
 *
 *	covmerge.c		gons_covmerge(3)
 *	covmerge_home.c		coverage of children: the parent's side
 *	covmerge_child.c	and the child's
 *	covmerge_tree.c		directories, and the files of one name
 *	covmerge_gcda.c		.gcda files
 *	covmerge_cover.c	Go cover profiles
 *	covmerge_count.c	counters of clang in memory
 *	covmerge_gcov.c		counters of gcc in memory
 *	covmerge_root.c		the root directory of the program
 *	covmerge_file.c		any file
 */

#ifndef GONS_COVMERGE_H
#define GONS_COVMERGE_H

#ifndef _FILE_OFFSET_BITS
#define _FILE_OFFSET_BITS 64 /* locks of open files need it */
#endif

#include <sys/stat.h>
#include <sys/types.h>

#include <fcntl.h>
#include <limits.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <gons.h>

#include "internal.h"
#include "util.h"

#define OPEN_ANY (O_NONBLOCK | O_NOCTTY | O_CLOEXEC)
#define OPEN_FILE (O_NOFOLLOW | OPEN_ANY)
#define OPEN_DIR (O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC)
#define OPEN_PATH (O_PATH | O_DIRECTORY | O_CLOEXEC)

#define PIECE 65536 /* bytes to read at once */

enum kind {
	KIND_EMPTY,
	KIND_GCDA,
	KIND_COVER,
	KIND_OTHER
};

/* A directory of the destination, opened or made when it is needed. */
struct dir {
	struct dir *up;
	const char *name;
	int fd; /* -1: not yet */
	int must; /* it must be there, maybe by a link */
	int fresh; /* nobody else knows of it yet */
	char temp[32]; /* what it is called until then; empty: as it should */
};

struct place {
	struct dir *dir;
	const char *name;
};

struct source {
	int dir;
	const char *name;
	size_t root; /* which of the sources of the call it belongs to */
	int regular; /* it is known to be a regular file */
};

/* An open file: a source, or a destination. */
struct input {
	int fd;
	enum kind kind;
	off_t size;
	struct stat st; /* of a destination */
};

/*
 * One call of gons_covmerge(), or one collection, has three parts: the policy,
 * which never changes; the report of what was done; and memory that one file
 * leaves to the next.
 */
struct policy {
	const char *dst; /* path of the destination, for messages */
	const char *const *src; /* and of the sources */
	size_t nsrc;
	int64_t until; /* no merging after that, by now_ms(); 0: no limit */
	int64_t stop; /* and no walking; 0: no limit */
	off_t largest; /* bytes of a .gcda file */
	unsigned strip; /* directories to leave out of each path */
	unsigned follow : 1; /* directories of the destination may be links */
	unsigned take : 1; /* remove what was walked */
	unsigned renew : 1; /* replace a destination of another build */
	unsigned gcda : 1; /* nothing but .gcda files */
	unsigned nothing : 1; /* merge nothing, only remove */
	unsigned fresh : 1; /* new directories get their names at the end */
};

struct report {
	struct gons_covstat *st;
	int error; /* the first */
	size_t root; /* the source at hand */
	unsigned indst; /* the fault lies in the destination */
	int64_t at; /* where in the file */
	uint64_t merged; /* of the files at hand */
	uint64_t skipped;
	size_t pathlen;
	char path[PATH_MAX]; /* below the sources, and the destination */
};

struct scratch {
	struct buf sum; /* what .gcda files add up to */
	struct buf in;
	struct buf out;
	struct cover *cover; /* what profiles add up to; NULL: nothing yet */
	struct stat top; /* of a destination tree */
	size_t entries;
	off_t fits; /* files of so many bytes are known to be allowed */
	int waited; /* ms, for locks of sources */
	struct { /* names of files that are on their way */
		uint32_t random[2];
		uint32_t n;
	} temp;
};

struct merge {
	const struct policy *how;
	struct report rep;
	struct scratch tmp;
};

/* A kind of coverage data. */
struct format {
	/* Adds an open source to the sum of those before it. */
	int (*add)(struct merge *, const struct place *, const struct input *);
	/* Adds the sum to the destination. */
	int (*store)(struct merge *, const struct place *);
	/* Forgets the sum. */
	void (*free)(struct merge *);
};

/* covmerge_tree.c */
/* Takes a failure into the statistics. */
GONS_INTERNAL void gons__cov_fail(struct merge *, int error);
/* Merges the data of some sources for one file, all or none. */
GONS_INTERNAL void gons__cov_files_merge(
    struct merge *, const struct source *, size_t, const struct place *);
/* Merges the trees of these descriptors, -1 where there is none; closes all. */
GONS_INTERNAL void gons__cov_trees_merge(
    struct merge *, int fd[], struct dir *to);
/* Frees what is in scratch. */
GONS_INTERNAL void gons__cov_end(struct merge *);
/*
 * Adds the .gcda files of the tree of that name in a directory to the ones in
 * home, whose path messages contain, less the first so many directories of each
 * path.  Then removes the tree.  No failure is reported.  At that time, by
 * now_ms(), it stops, finished or not.
 */
GONS_INTERNAL void gons__cov_take(int dir, const char *name, int home,
    const char *path, unsigned strip, int64_t until);
GONS_INTERNAL void gons__cov_remove(int dir, const char *name, int64_t until);

/* covmerge_gcda.c, covmerge_cover.c */
GONS_INTERNAL extern const struct format gons__cov_gcda;
GONS_INTERNAL extern const struct format gons__cov_cover;

/* covmerge_file.c */
/* As pread(2), but no signal interrupts it, as it may where FUSE serves. */
GONS_INTERNAL ssize_t gons__cov_pread(int, void *, size_t, off_t);
/* All of it or an error; the end of the file is one, EBADMSG. */
GONS_INTERNAL int gons__cov_read(int, void *, size_t, off_t);
/* May a file have so many bytes?  EFBIG if not. */
GONS_INTERNAL int gons__cov_fits(struct merge *, off_t size);
/* Writes all of it to a file of the destination. */
GONS_INTERNAL int gons__cov_write(
    struct merge *, int, const void *, size_t, off_t);
/* Locks a file, or releases it; how long to wait, -1: no limit. */
GONS_INTERNAL int gons__cov_lock(int, short type, int ms);
/* Remembers where the fault lies, and returns the error. */
GONS_INTERNAL int gons__cov_fault(
    struct merge *, int error, unsigned indst, int64_t);
/* Opens the directory, and makes those that are missing. */
GONS_INTERNAL int gons__cov_dir(struct merge *, struct dir *);
/* Opens a new file beside the place. */
GONS_INTERNAL int gons__cov_temp(
    struct merge *, const struct place *, char name[32], int *);
/* Renames it, or a directory, unless there is something of that name. */
GONS_INTERNAL int gons__cov_rename(
    int dir, const char *, const char *, int isdir);
/* Opens and locks the destination. */
GONS_INTERNAL int gons__cov_dst(struct merge *, const struct place *, int flags,
    int replaced, struct input *);
/* The kind of data that begins so. */
GONS_INTERNAL enum kind gons__cov_kind(const unsigned char *, size_t);
/* Opens a source, and reads its beginning to the buffer in. */
GONS_INTERNAL int gons__cov_input(
    struct merge *, const struct source *, struct input *);

/* covmerge_count.c */
/*
 * clang's source-based coverage counts in a section of each module, whose run
 * time is hidden from us if it is not linked into the same module.  So the
 * sections themselves are added up: the parent lists them at the beginning of a
 * memfd, and the child copies its counters behind that.
 *
 * A module that the child loads late, after gons__cov_child(), has found the
 * parent's LLVM_PROFILE_FILE, and its run time adds to that file what it finds
 * in its section when the child exits.  The sum stays in the section.  So these
 * are saved and set to 0 before any exit handler runs, and never afterwards.
 */
struct area {
	uint64_t module; /* hash of its program headers */
	uint64_t vaddr; /* of the counters, relative to the module */
	uint64_t size;
	uint64_t names; /* vaddr of the names of what is counted */
	uint64_t nnames;
	uint64_t hash; /* of the names */
	uint64_t bits; /* these are bitmaps */
	uint64_t at; /* where in the memfd the copy goes */
	uint64_t done; /* it is there, and complete */
	uint64_t early; /* the child had the module from the beginning */
};

struct areas {
	uint64_t n;
	uint64_t envlen; /* of the variable, behind the areas; 0: was unset */
	struct area area[];
};

enum visit {
	VISIT_BEGIN, /* the modules that are there now are early */
	VISIT_SAVE_LATE, /* moves the counters of the others to the memfd */
	VISIT_SAVE, /* and those of the early ones */
	VISIT_ADD, /* adds what is in the memfd */
	VISIT_RESET /* sets all to 0 */
};

/*
 * Finds the counters of the program, in its own file, and of its modules if
 * their paths can be believed; returns 1 if there are any.
 */
GONS_INTERNAL int gons__cov_areas_init(int exe, int paths);
/*
 * The counters of all modules, to be freed; NULL if there are none.  Modules
 * that were loaded meanwhile are looked for if their paths can be believed.
 */
GONS_INTERNAL struct areas *gons__cov_areas(int paths);
/* The list as the child finds it in the memfd; NULL if it makes no sense. */
GONS_INTERNAL struct areas *gons__cov_areas_load(int);
GONS_INTERNAL void gons__cov_visit(const struct areas *, enum visit, int);

/* covmerge_gcov.c */
/* gcc's run time, and that of clang --coverage, as far as they are there. */
struct gcov_master;
extern struct gcov_master __gcov_master __attribute__((weak));
extern void __gcov_dump(void) __attribute__((weak));
extern void __gcov_reset(void) __attribute__((weak));

/* Does the program write .gcda files when it ends?  1 or 0. */
GONS_INTERNAL int gons__cov_files(void);
/*
 * Sets all their counters to 0, or only looks whether that can be done.
 * ENOTSUP: this version of gcc is not understood, and nothing has been done.
 */
GONS_INTERNAL int gons__cov_gcov_reset(int reset);

/* covmerge_root.c */
enum where {
	WHERE_NOWHERE, /* the program's root is not known */
	WHERE_HOME, /* it is the present one */
	WHERE_ABROAD /* the present one is foreign */
};

/* Takes the present one for the program's. */
GONS_INTERNAL void gons__cov_root_init(void);
GONS_INTERNAL enum where gons__cov_root(void);
/* As open(2), in the program's root, wherever we are; or -1. */
GONS_INTERNAL int gons__cov_root_open(const char *path, int flags);

#define COV_LLVM_NAMELEN 18 /* of "LLVM_PROFILE_FILE=" */

static inline int
gons__cov_wanted(void)
{
	const char *value = getenv("GONS_COVERAGE");

	return value == NULL || strcmp(value, "0") != 0;
}

/* Neither wraps nor makes a number that tools take for a negative one. */
static inline uint64_t
add_saturated(uint64_t a, uint64_t b)
{
	uint64_t sum = a + b;

	if (sum >= a && sum <= INT64_MAX)
		return sum;
	sum = a > b ? a : b;
	return sum > INT64_MAX ? sum : INT64_MAX;
}

#endif /* GONS_COVMERGE_H */
