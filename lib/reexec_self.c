/*
 * SPDX-License-Identifier: BSD-2-Clause
 *
 * Copyright (c) 2026 The libgons developers
 *
 * What this process is: its actions, its program, its /proc and its root, as
 * gons_reexec_check(3) found them.  Later the host may be elsewhere, and what
 * it finds there may be a container's.
 */

#include <sys/auxv.h>
#include <sys/mman.h>
#include <sys/sendfile.h>
#include <sys/stat.h>
#include <sys/syscall.h>

#include <errno.h>
#include <fcntl.h>
#include <link.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "reexec.h"

#ifndef MADV_WIPEONFORK
#define MADV_WIPEONFORK 18
#endif
#ifndef STATX_MNT_ID
#define STATX_MNT_ID 0x00001000U
#endif
#ifndef STATX_MNT_ID_UNIQUE
#define STATX_MNT_ID_UNIQUE 0x00004000U
#endif
#define AT_STX_MNT_ID 0x90 /* of stx_mnt_id, which old headers lack */

struct self gons__self = { NULL, 0, 0, 0, 0, NOT_KEPT, NOT_KEPT, 0, NULL, 0,
	{ 0, 0, 0, "" } };

static struct action *actions;
static unsigned *wiped; /* zero in a forked copy; NULL: no such memory */
static unsigned eras;

/*
 * Memory that is never freed.  A child that needs no more than this is spared
 * the first malloc(3), which takes longer than all else that is done here.
 */
static void *
room_for(size_t size)
{
	static char room[512] __attribute__((aligned(sizeof(void *))));
	static size_t used;

	size = (size + sizeof(void *) - 1) / sizeof(void *) * sizeof(void *);
	if (size > sizeof(room) - used)
		return malloc(size);
	used += size;
	return room + used - size;
}

const struct action *
gons__find_action(const char *name)
{
	const struct action *action;

	for (action = actions; action != NULL; action = action->next)
		if (strcmp(action->name, name) == 0)
			break;
	return action;
}

/* 1 to 255 bytes, none of them a control character. */
int
gons__name_is_valid(const char *name)
{
	const unsigned char *p;

	if (name == NULL)
		return 0;
	for (p = (const unsigned char *)name; *p != '\0'; p++)
		if (*p < ' ' || *p == 0x7f)
			return 0;
	return *name != '\0' && strlen(name) <= GONS__NAME_MAX;
}

/*
 * A number that this process has and no forked copy of it; in a pid namespace
 * of its own a copy may have the same process number.
 */
unsigned
gons__era(void)
{
	unsigned none = 0, *e = wiped;

	if (e == NULL)
		return (unsigned)getpid();
	if (__atomic_load_n(e, __ATOMIC_ACQUIRE) == 0)
		(void)__atomic_compare_exchange_n(e, &none,
		    __atomic_add_fetch(&eras, 1, __ATOMIC_ACQ_REL), 0,
		    __ATOMIC_ACQ_REL, __ATOMIC_ACQUIRE);
	return __atomic_load_n(e, __ATOMIC_ACQUIRE);
}

static void
mark_era(void)
{
	unsigned *page;

	page = mmap(NULL, sizeof(*page), PROT_READ | PROT_WRITE,
	    MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	if (page == MAP_FAILED)
		return;
	if (madvise(page, sizeof(*page), MADV_WIPEONFORK) == 0)
		wiped = page;
	else
		(void)munmap(page, sizeof(*page));
}

/* The program's own headers come first. */
static int
look_for_interpreter(struct dl_phdr_info *info, size_t size, void *found)
{
	size_t i;

	(void)size;
	for (i = 0; i < info->dlpi_phnum; i++)
		if (info->dlpi_phdr[i].p_type == PT_INTERP)
			*(int *)found = 1;
	return 1;
}

/* Where the root directory is, and by which mount; 0 or an errno value. */
static int
where_is_root(struct root *root)
{
	struct statx st;
	ssize_t n;

	memset(root, 0, sizeof(*root));
	memset(&st, 0, sizeof(st));
	if (syscall(SYS_statx, AT_FDCWD, "/", AT_STATX_DONT_SYNC,
		STATX_INO | STATX_MNT_ID | STATX_MNT_ID_UNIQUE, &st) == -1)
		return errno;
	root->dev = (uint64_t)st.stx_dev_major << 32 | st.stx_dev_minor;
	root->ino = st.stx_ino;
	if ((st.stx_mask & (STATX_MNT_ID | STATX_MNT_ID_UNIQUE)) != 0) {
		memcpy(&root->mount, (char *)&st + AT_STX_MNT_ID,
		    sizeof(root->mount));
		return 0;
	}
	/* Before Linux 5.8. */
	n = readlinkat(gons__kept_proc(), "thread-self/ns/mnt", root->ns,
	    sizeof(root->ns) - 1);
	return n == -1 ? errno : 0;
}

/*
 * The interpreter and the libraries of a dynamic program come from the root
 * that the child starts in, whatever descriptor is executed.
 */
int
gons__self_unmoved(void)
{
	struct root now;

	if (!gons__self.is_dynamic)
		return 0;
	if (!gons__self.root_is_ours || where_is_root(&now) != 0 ||
	    memcmp(&now, &gons__self.root, sizeof(now)) != 0)
		return EXDEV;
	return 0;
}

int
gons__self_is_secure(void)
{
	return getauxval(AT_SECURE) != 0;
}

int
gons__self_is_served(void)
{
	return gons__self_is_secure() ||
	       (gons__self.is_dynamic &&
		   (gons_status_joined() & GONS_BIT(GONS_MNT)) != 0);
}

int
gons_reexec_allowsecure(void)
{
	if (gons__self.allowed) {
		errno = EPERM;
		return -1;
	}
	gons__self.allows_secure = 1;
	return 0;
}

/* Device and inode of the mapping that has the address; 0 if it is found. */
static int
find_mapping(int proc, unsigned long address, struct statx *st)
{
	unsigned long from, to, ino;
	unsigned major, minor;
	char line[512];
	int fd, found = ENOENT;
	FILE *maps;

	if ((fd = gons__proc_file(proc, "self/maps", O_RDONLY)) < 0)
		return -fd;
	if ((maps = fdopen(fd, "r")) == NULL) {
		(void)close(fd);
		return ENOMEM;
	}
	while (found != 0 && fgets(line, sizeof(line), maps) != NULL)
		if (sscanf(line, "%lx-%lx %*s %*s %x:%x %lu", &from, &to,
			&major, &minor, &ino) == 5 &&
		    address >= from && address < to) {
			memset(st, 0, sizeof(*st));
			st->stx_dev_major = major;
			st->stx_dev_minor = minor;
			st->stx_ino = ino;
			found = 0;
		}
	(void)fclose(maps);
	return found;
}

/* To be readable matters for GONS_REEXEC_SEALED and coverage alone. */
static int
open_link(int dir, const char *name)
{
	int fd = openat(dir, name, O_RDONLY | O_CLOEXEC | O_NONBLOCK);

	if (fd == -1 && errno == EACCES)
		fd = openat(dir, name, O_PATH | O_CLOEXEC);
	return fd == -1 ? -errno : fd;
}

/*
 * The program is executed later from what is opened now: by then it may be
 * deleted or replaced.  In a root that start-up has joined the file has to be
 * the one that is mapped here.  Elsewhere the link is believed, except under
 * valgrind(1) and its like: there the kernel's link leads to their own
 * program, and they answer for the usual name with ours.
 */
static int
open_exe(int proc)
{
	struct statx want;
	int errnum, fd, usual;

	if (proc == -1)
		return -ENOENT;
	memset(&want, 0, sizeof(want));
	errnum = find_mapping(proc, getauxval(AT_PHDR), &want);
	if ((gons_status_joined() & GONS_BIT(GONS_MNT)) != 0)
		return errnum != 0
			   ? -errnum
			   : gons__proc_link(proc, "self/exe", O_RDONLY, &want);
	if ((fd = open_link(proc, "self/exe")) < 0 || errnum != 0 ||
	    gons__proc_is(fd, &want))
		return fd;
	if ((usual = open_link(AT_FDCWD, "/proc/self/exe")) < 0)
		return fd;
	if (gons__proc_is(usual, &want)) {
		(void)close(fd);
		return usual;
	}
	(void)close(usual);
	return fd;
}

void
gons__self_allow(void)
{
	struct self *self = &gons__self;
	char *argv[2] = { program_invocation_name, NULL };
	static char none[] = "";
	int fd, interpreter = 0, proc;

	if (self->allowed)
		return;
	mark_era();
	if (argv[0] == NULL)
		argv[0] = none;
	if (self->argv == NULL && gons_reexec_setargs(argv) == -1) {
		self->errnum = errno;
		return;
	}
	(void)dl_iterate_phdr(look_for_interpreter, &interpreter);
	self->is_dynamic = interpreter;
	proc = gons__proc_open();
	proc = proc < 0 ? -1 : fd_high(proc);
	gons__keep_proc(proc);
	fd = open_exe(proc);
	self->errnum = fd < 0 ? -fd : 0;
	gons__keep(&self->exe, fd < 0 ? -1 : fd_high(fd));
	if (interpreter && getauxval(AT_BASE) == 0) {
		/* The program that runs is the dynamic linker itself. */
		gons__unkeep(&self->exe);
		self->errnum = ENOEXEC;
	}
	self->root_is_ours = (gons_status_joined() & GONS_BIT(GONS_MNT)) == 0 &&
			     where_is_root(&self->root) == 0;
	gons__cov_init(self->exe.fd, self->root_is_ours);
	self->allowed = 1;
}

static int
copy_file(int from, int to)
{
	struct stat st;
	off_t offset = 0;
	ssize_t n;
	int errnum;

	if (fstat(from, &st) == -1)
		return errno;
	if ((errnum = file_limit(st.st_size)) != 0)
		return errnum;
	while (offset < st.st_size) {
		n = sendfile(to, from, &offset, (size_t)(st.st_size - offset));
		if (n == 0)
			return EIO;
		if (n == -1 && errno == EBADF)
			return EACCES; /* open_link() could not have it read */
		if (n == -1 && errno != EINTR)
			return errno;
	}
	return 0;
}

/* Made once; a lock would be held in copies that are made meanwhile. */
static int
sealed_copy(int *exe)
{
	static int made; /* 1: it is being made, 2: it is there */
	int errnum, fd, none = 0;

	if (__atomic_load_n(&made, __ATOMIC_ACQUIRE) == 2 &&
	    gons__is_kept(&gons__self.sealed)) {
		*exe = gons__self.sealed.fd;
		return 0;
	}
	if ((fd = gons__memory_fd("gons-program", MFD_EXEC)) == -1)
		return errno;
	if ((errnum = copy_file(gons__self.exe.fd, fd)) != 0 ||
	    (errnum = gons__seal(fd)) != 0) {
		(void)close(fd);
		return errnum;
	}
	*exe = fd;
	if (__atomic_load_n(&made, __ATOMIC_ACQUIRE) == 2)
		none = 2; /* the host has closed the first one */
	if (__atomic_compare_exchange_n(
		&made, &none, 1, 0, __ATOMIC_ACQ_REL, __ATOMIC_ACQUIRE)) {
		gons__keep(&gons__self.sealed, fd);
		__atomic_store_n(&made, 2, __ATOMIC_RELEASE);
	}
	return 0;
}

/*
 * *exe belongs to the caller if it is neither of those that are kept: of two
 * threads that make the copy at the same time one has its own.
 */
int
gons__self_exe(int want_sealed, int *exe)
{
	if (gons__self.exe.fd == -1)
		return gons__self.errnum;
	if (!gons__is_kept(&gons__self.exe))
		return EBADF;
	if (want_sealed)
		return sealed_copy(exe);
	*exe = gons__self.exe.fd;
	return 0;
}

int
gons_reexec_register(const char *name, int (*function)(void))
{
	struct action *action;
	size_t len;

	if (!gons__name_is_valid(name) || function == NULL) {
		errno = EINVAL;
		return -1;
	}
	if (gons__find_action(name) != NULL) {
		errno = EEXIST;
		return -1;
	}
	len = strlen(name);
	if ((action = room_for(sizeof(*action) + len + 1)) == NULL)
		return -1;
	memcpy(action->name, name, len + 1);
	action->function = function;
	action->next = actions;
	actions = action;
	return 0;
}

/*
 * The pointers and the text are one piece of memory.  An old one is not freed,
 * since another thread may be starting a child with it; the new one refers to
 * it after its own end.
 */
int
gons_reexec_setargs(char *const argv[])
{
	size_t i, n = 0, size = 0;
	char **copy, *p;

	if (argv == NULL || argv[0] == NULL) {
		errno = EINVAL;
		return -1;
	}
	if (gons__self.allowed && gons__self_is_served()) {
		errno = EPERM; /* children are not executed any more */
		return -1;
	}
	for (; argv[n] != NULL; n++)
		size += strlen(argv[n]) + 1;
	if ((copy = malloc((n + 2) * sizeof(*copy) + size)) == NULL)
		return -1;
	p = (char *)(copy + n + 2);
	for (i = 0; i < n; i++) {
		copy[i] = p;
		p = stpcpy(p, argv[i]) + 1;
	}
	copy[n] = NULL;
	copy[n + 1] = (char *)gons__self.argv;
	__atomic_store_n(&gons__self.argv, copy, __ATOMIC_RELEASE);
	return 0;
}
