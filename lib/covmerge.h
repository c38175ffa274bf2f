/*
 * SPDX-License-Identifier: BSD-2-Clause
 *
 * Copyright (c) 2026 The libgons developers
 *
 * What the parts of covmerge.o share with each other and with nobody else, by
 * the part that provides it.  Functions return 0 or an errno value.
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

#define OPEN_FILE (O_NOFOLLOW | O_NONBLOCK | O_NOCTTY | O_CLOEXEC)
#define OPEN_DIR (O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC)
#define OPEN_PATH (O_PATH | O_DIRECTORY | O_CLOEXEC)

#define PIECE 65536 /* bytes to read at once */

enum kind {
	KIND_EMPTY,
	KIND_GCDA,
	KIND_COVER,
	KIND_OTHER
};

struct buf {
	unsigned char *p;
	size_t len;
	size_t room;
};

/* A directory below the destination, opened or made when it is needed. */
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

/* An open source. */
struct input {
	int fd;
	enum kind kind;
	off_t size;
	struct stat st; /* of a destination */
};

/* One call of gons_covmerge(), or one collection. */
struct job {
	struct gons_covstat *st;
	const char *dst; /* path of the destination, for messages */
	const char *const *src; /* and of the sources */
	size_t nsrc;
	size_t root; /* the source at hand */
	struct stat top; /* of a destination tree */
	int error; /* the first */
	int lockms; /* how long to wait for the destination; -1: no limit */
	unsigned strip; /* directories to leave out of each path */
	unsigned follow : 1; /* directories of the destination may be links */
	unsigned take : 1; /* remove what was walked */
	unsigned renew : 1; /* replace a destination of another build */
	unsigned gcda : 1; /* nothing but .gcda files */
	unsigned nothing : 1; /* merge nothing, only remove */
	unsigned
	    fresh : 1; /* new directories get their names when all is done */
	unsigned indst : 1; /* the fault lies in the destination */
	int64_t at; /* where in the file the fault lies */
	size_t entries;
	uint64_t merged; /* of the file at hand */
	uint64_t skipped;
	struct buf acc; /* what the sources add up to */
	struct buf in;
	struct buf out;
	struct { /* names of files that are on their way */
		uint32_t random[2];
		uint32_t n;
	} temp;
	size_t pathlen;
	char path[PATH_MAX]; /* below the sources, and the destination */
};

/* covmerge.c */
/*
 * Removes the tree of that name in a directory and, unless home is NULL, adds
 * it to the one that is there first, less the first so many directories of each
 * path.  Nothing that fails is reported.
 */
GONS_INTERNAL void gons__cov_take(
    int dir, const char *name, const char *home, unsigned strip);

/* covmerge_file.c */
/* Enlarges the room, if need be, to at least that. */
GONS_INTERNAL int gons__cov_reserve(struct buf *, size_t);
/* Closes and forgets a descriptor, -1 as well; errno is kept. */
GONS_INTERNAL void gons__cov_close(int *);
/* All of it or an error; the end of the file is one, EBADMSG. */
GONS_INTERNAL int gons__cov_read(int, void *, size_t, off_t);
GONS_INTERNAL int gons__cov_write(int, const void *, size_t, off_t);
/* Locks a file, or releases it; how long to wait, -1: no limit. */
GONS_INTERNAL int gons__cov_lock(int, short type, int ms);
/* Remembers where the fault lies, and returns the error. */
GONS_INTERNAL int gons__cov_fault(struct job *, int error, int indst, int64_t);
/* Opens the directory, and makes those that are missing. */
GONS_INTERNAL int gons__cov_dir(struct job *, struct dir *);
/* Opens a new file beside the place. */
GONS_INTERNAL int gons__cov_temp(
    struct job *, const struct place *, char name[32], int *);
/* Renames it, or a directory, unless there is something of that name. */
GONS_INTERNAL int gons__cov_rename(
    int dir, const char *, const char *, int isdir);
/* Opens and locks the destination. */
GONS_INTERNAL int gons__cov_dst(struct job *, const struct place *, int flags,
    int replaced, struct input *);
/* What data is it, by its first bytes? */
GONS_INTERNAL enum kind gons__cov_kind(const unsigned char *, size_t);
/* Opens a source, and reads its beginning to j->in. */
GONS_INTERNAL int gons__cov_input(
    struct job *, const struct source *, struct input *);

/* covmerge_gcda.c */
/* Adds the source at hand to what the sources before it add up to. */
GONS_INTERNAL int gons__cov_gcda(struct job *, const struct input *);
/* And that to the destination. */
GONS_INTERNAL int gons__cov_gcda_store(struct job *, const struct place *);

/* covmerge_cover.c */
/* Adds Go cover profiles to the destination. */
GONS_INTERNAL int gons__cov_cover(
    struct job *, const struct source *, size_t, const struct place *);

/* covmerge_count.c */
/*
 * clang's source-based coverage counts in a section of each module, whose
 * runtime is hidden from us if it is not linked into the same one.  So the
 * sections themselves are added up: the parent lists them at the beginning of
 * a memfd, the child copies what it counted behind that.
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
};

struct areas {
	uint64_t n;
	uint64_t envlen; /* of the variable, behind the areas; 0: was unset */
	struct area area[];
};

enum visit {
	VISIT_SAVE,
	VISIT_ADD,
	VISIT_RESET
};

/* gcc's runtime, and that of clang --coverage, as far as they are there. */
struct gcov_master;
extern struct gcov_master __gcov_master __attribute__((weak));
extern void __gcov_dump(void) __attribute__((weak));
extern void __gcov_reset(void) __attribute__((weak));

/* Does the program write .gcda files when it ends? */
GONS_INTERNAL int gons__cov_files(void);
/* The counters of all modules, to be freed; NULL if there are none. */
GONS_INTERNAL struct areas *gons__cov_areas(void);
/* The list as the child finds it in the memfd; NULL if it makes no sense. */
GONS_INTERNAL struct areas *gons__cov_areas_load(int);
/* Saves all counters to the memfd, adds what is there, or sets them to 0. */
GONS_INTERNAL void gons__cov_visit(struct areas *, enum visit, int);
/* Sets all counters to 0, those of gcov too; accepts NULL. */
GONS_INTERNAL void gons__cov_reset(struct areas *);

/* There must be room for it. */
static inline void
buf_add(struct buf *b, const void *p, size_t len)
{
	if (len != 0)
		memcpy(b->p + b->len, p, len);
	b->len += len;
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
