/*
 * SPDX-License-Identifier: BSD-2-Clause
 *
 * Copyright (c) 2026 The libgons developers
 *
 * The one /proc that the library believes.  A container may put anything in
 * the place of /proc, or of a file in it: files that lie, and file systems
 * whose server never answers, so that asking them anything blocks for ever.
 * What is here asks only the kernel: which file system a mount has, by
 * statmount(2), and whether a path crosses a mount, by openat2(2).
 */

#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/vfs.h>

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <unistd.h>

#include "switch.h"

#define NR_fsopen NEWER(430)
#define NR_fsconfig NEWER(431)
#define NR_fsmount NEWER(432)
#define NR_statmount NEWER(457)

#define FS_CLOEXEC 1 /* FSOPEN_CLOEXEC, FSMOUNT_CLOEXEC */
#define FS_CREATE 6 /* FSCONFIG_CMD_CREATE */
#define FS_SAFE 0xe /* MOUNT_ATTR_NOSUID, NODEV and NOEXEC */
#define NO_XDEV 0x1 /* RESOLVE_ */
#define NO_MAGICLINKS 0x2
#define NO_SYMLINKS 0x4
#define BENEATH 0x8
#define CACHED 0x20
#define DONT_SYNC 0x4000 /* AT_STATX_DONT_SYNC: no server is asked */
#define WANT_BASIC 0x103 /* STATX_TYPE, MODE and INO */
#define WANT_MOUNT 0x1000 /* STATX_MNT_ID, Linux 5.8 */
#define WANT_UNIQUE 0x4000 /* STATX_MNT_ID_UNIQUE, Linux 6.8 */
#define MOUNT_ROOT 0x2000 /* STATX_ATTR_MOUNT_ROOT, Linux 5.8 */
#define SB_BASIC 0x1 /* STATMOUNT_SB_BASIC */
#define MAGIC_PROC 0x9fa0
#define MAGIC_NSFS 0x6e736673
#define ROOT_INO 1 /* of every procfs */

#define TRIES 16 /* of a look-up that a rename or a new mount disturbs */
#define NREMEMBERED 8
#define NAME_SIZE 64 /* of one name below /proc, and of links to numbers */

struct how { /* the kernel's struct open_how */
	uint64_t flags, mode, resolve;
};

struct info { /* its struct statx */
	uint32_t mask, blksize;
	uint64_t attributes;
	uint32_t nlink, uid, gid;
	uint16_t mode, spare;
	uint64_t ino, size, blocks, attributes_mask, times[8];
	uint32_t rdev_major, rdev_minor, dev_major, dev_minor;
	uint64_t mount, more[13];
};

struct request { /* its struct mnt_id_req */
	uint32_t size, spare;
	uint64_t mount, mask;
};

struct answer { /* its struct statmount */
	uint32_t size, options;
	uint64_t mask;
	uint32_t dev_major, dev_minor;
	uint64_t magic, more[60];
};

/*
 * statmount(2) does not find a mount again that was made here, which belongs
 * to no mount namespace, nor one that was opened before another mount
 * namespace was joined.  So the last few are known by their numbers, which the
 * kernel never uses twice; of each the lower half is kept.
 */
static uint32_t remembered[NREMEMBERED];
static unsigned nremembered;

static int
look(int fd, struct info *info)
{
	gons__zero(info, sizeof(*info));
	if (syscall(SYS_statx, fd, "", AT_EMPTY_PATH | DONT_SYNC,
		WANT_BASIC | WANT_MOUNT | WANT_UNIQUE, info) == -1)
		return errno;
	return 0;
}

static int
same_device(const struct info *a, const struct info *b)
{
	return a->dev_major == b->dev_major && a->dev_minor == b->dev_minor;
}

static void
close_fd(int fd)
{
	if (fd >= 0)
		(void)syscall(SYS_close, fd);
}

static int
open_at(int dir, const char *name, int flags)
{
	int fd;

	do
		fd = (int)syscall(SYS_openat, dir, name,
		    flags | O_CLOEXEC | O_NOCTTY | O_LARGEFILE, 0);
	while (fd == -1 && errno == EINTR);
	return fd == -1 ? -errno : fd;
}

static int
open_how(int dir, const char *path, int flags, unsigned resolve)
{
	struct how how;
	int fd, tries = 0;

	how.mode = 0;
	how.flags = (unsigned)(flags | O_CLOEXEC);
	how.resolve = resolve;
	do
		fd = (int)syscall(NR_openat2, dir, path, &how, sizeof(how));
	while (
	    fd == -1 && (errno == EAGAIN || errno == EINTR) && ++tries < TRIES);
	return fd == -1 ? -errno : fd;
}

/* Has the kernel no such call, or not this flag, or does a filter deny it? */
static int
is_missing(int errnum)
{
	return errnum == ENOSYS || errnum == EPERM || errnum == EINVAL;
}

/*
 * What kind of file system a file is on; -1: not to be known.  Before Linux
 * 6.8 only fstatfs(2) tells, which a FUSE server has to answer.
 */
static int64_t
magic_of(int fd, const struct info *info)
{
	struct request request = { sizeof(request), 0, 0, SB_BASIC };
	struct answer answer;
	struct statfs fs;

	if ((info->mask & WANT_UNIQUE) != 0) {
		request.mount = info->mount;
		answer.magic = 0;
		if (syscall(NR_statmount, &request, &answer, sizeof(answer),
			0) == 0)
			return (int64_t)answer.magic;
		if (!is_missing(errno))
			return -1;
	}
	if (syscall(SYS_fstatfs, fd, &fs) == -1)
		return -1;
	return (int64_t)(uint32_t)fs.f_type;
}

/* Does it look like the root of a procfs?  A FUSE's root may, too. */
static int
looks_genuine(int fd, struct info *info)
{
	return look(fd, info) == 0 && (info->mode & S_IFMT) == S_IFDIR &&
	       info->ino == ROOT_INO;
}

static void
remember(const struct info *info)
{
	unsigned i;

	if ((info->mask & WANT_UNIQUE) == 0)
		return;
	i = __atomic_fetch_add(&nremembered, 1, __ATOMIC_RELAXED);
	__atomic_store_n(&remembered[i % NREMEMBERED], (uint32_t)info->mount,
	    __ATOMIC_RELAXED);
}

static int
is_remembered(const struct info *info)
{
	unsigned i;

	if ((info->mask & WANT_UNIQUE) == 0)
		return 0;
	for (i = 0; i < NREMEMBERED; i++)
		if (__atomic_load_n(&remembered[i], __ATOMIC_RELAXED) ==
		    (uint32_t)info->mount)
			return 1;
	return 0;
}

/*
 * What is mounted on /proc, or -errno.  A root directory of FUSE or autofs
 * would be asked for the name, so it has to be in the kernel's memory, as that
 * of a mount always is; without O_DIRECTORY nothing is mounted on demand.
 */
static int
open_mounted(void)
{
	const int flags = O_PATH | O_NOFOLLOW;
	struct info info;
	int fd;

	fd = open_how(AT_FDCWD, "/proc", flags, CACHED | NO_SYMLINKS);
	if (fd < 0 && is_missing(-fd)) /* before Linux 5.12 */
		fd = open_at(AT_FDCWD, "/proc", flags);
	if (fd < 0)
		return fd == -EAGAIN || fd == -EINTR ? -ENOENT : fd;
	if (looks_genuine(fd, &info) && magic_of(fd, &info) == MAGIC_PROC) {
		remember(&info);
		return fd;
	}
	close_fd(fd);
	return -ENOENT;
}

/* A new one, which nobody else can reach; needs CAP_SYS_ADMIN, Linux 5.2. */
static int
open_fresh(void)
{
	struct info info;
	int context, errnum, fd = -1;

	context = (int)syscall(NR_fsopen, "proc", FS_CLOEXEC);
	if (context == -1)
		return -errno;
	if (syscall(NR_fsconfig, context, FS_CREATE, NULL, NULL, 0) == 0)
		fd = (int)syscall(NR_fsmount, context, FS_CLOEXEC, FS_SAFE);
	errnum = errno;
	close_fd(context);
	if (fd == -1)
		return -errnum;
	if (look(fd, &info) == 0)
		remember(&info);
	return fd;
}

/*
 * Next name of a path, at most NAME_SIZE - 1 bytes of it, and none that leads
 * up.  Where the rest begins; NULL: there is none, or it is not acceptable.
 */
static const char *
next_name(const char *path, char *name)
{
	size_t len = 0;

	for (; *path != '/' && *path != '\0'; path++) {
		if (len == NAME_SIZE - 1)
			return NULL;
		name[len++] = *path;
	}
	name[len] = '\0';
	if (len == 0 || gons__streq(name, "..")) /* upwards, or "/" */
		return NULL;
	while (*path == '/')
		path++;
	return path;
}

/*
 * One step of a walk without openat2(2): a file that is on the same mount as
 * the directory, as far as the kernel tells which mount that is.
 */
static int
step(int dir, const char *name, int flags, struct info *info)
{
	struct info above;
	int errnum, fd;

	if ((errnum = look(dir, &above)) != 0)
		return -errnum;
	if ((fd = open_at(dir, name, flags | O_NOFOLLOW)) < 0)
		return fd;
	errnum = look(fd, info);
	if (errnum == 0 &&
	    (!same_device(&above, info) || above.mount != info->mount))
		errnum = EXDEV;
	if (errnum == 0)
		return fd;
	close_fd(fd);
	return -errnum;
}

static int walk(int, const char *, int, int);

/* Goes on behind "self" or "thread-self", which are links to numbers. */
static int
walk_link(int dir, int link, const char *rest, int flags)
{
	char path[2 * NAME_SIZE];
	long len;
	int fd;

	len = syscall(SYS_readlinkat, link, "", path, NAME_SIZE - 1);
	if (len == -1)
		return -errno;
	path[len] = '\0';
	if (*rest == '\0')
		return walk(dir, path, flags, 0);
	if ((fd = walk(dir, path, O_PATH, 0)) < 0)
		return fd;
	len = walk(fd, rest, flags, 0);
	close_fd(fd);
	return (int)len;
}

/* As an openat2(2) that stays on one mount; links: one may come yet. */
static int
walk(int dir, const char *path, int flags, int links)
{
	char name[NAME_SIZE];
	struct info info;
	const char *rest;
	int fd, next;

	if ((rest = next_name(path, name)) == NULL)
		return -EXDEV;
	info.mode = 0;
	fd = step(dir, name, O_PATH, &info);
	if (fd < 0)
		return fd;
	if (S_ISLNK(info.mode)) {
		if (*rest == '\0' && (flags & O_NOFOLLOW) != 0)
			return fd;
		next = links ? walk_link(dir, fd, rest, flags) : -ELOOP;
	} else if (*rest != '\0') {
		next = walk(fd, rest, flags, 0);
	} else if ((flags & O_PATH) != 0) {
		return fd;
	} else {
		next = step(dir, name, flags, &info);
	}
	close_fd(fd);
	return next;
}

int
gons__proc_file(int proc, const char *path, int flags)
{
	int fd;

	fd = open_how(proc, path, flags, NO_XDEV | NO_MAGICLINKS | BENEATH);
	if (fd == -ENOSYS || fd == -EPERM)
		fd = walk(proc, path, flags, 1);
	return fd;
}

int
gons__proc_is(int fd, const struct statx *want)
{
	struct info info;

	return look(fd, &info) == 0 && info.ino == want->stx_ino &&
	       info.dev_major == want->stx_dev_major &&
	       info.dev_minor == want->stx_dev_minor;
}

/*
 * Is it the file that the caller wants?  Whoever mounts something on a magic
 * link makes it lead to the root of that mount, which a namespace's file never
 * is.  Before Linux 5.8, which tells, the file system has to do.
 */
static int
is_wanted(int fd, const struct statx *want)
{
	struct info info;

	if (want != NULL)
		return gons__proc_is(fd, want);
	if (look(fd, &info) != 0)
		return 0;
	if ((info.attributes_mask & MOUNT_ROOT) != 0)
		return (info.attributes & MOUNT_ROOT) == 0;
	return magic_of(fd, &info) == MAGIC_NSFS;
}

static int
open_wanted(int dir, const char *name, int flags, const struct statx *want)
{
	int fd = open_at(dir, name, flags);

	if (fd < 0 || is_wanted(fd, want))
		return fd;
	close_fd(fd);
	return -EXDEV;
}

/*
 * Three looks: at the link itself, which must not be mounted over; at the file
 * that it leads to, since opening the wrong one may block; and at the file that
 * was opened, since a mount may have come just then.
 */
static int
follow(int dir, const char *name, int flags, const struct statx *want)
{
	struct info info;
	int errnum, fd;

	fd = gons__proc_file(dir, name, O_PATH | O_NOFOLLOW);
	if (fd < 0)
		return fd;
	errnum = look(fd, &info);
	if (errnum == 0 && !S_ISLNK(info.mode))
		errnum = EINVAL;
	close_fd(fd);
	if (errnum != 0)
		return -errnum;
	fd = open_wanted(dir, name, O_PATH, want);
	if (fd < 0 || (flags & O_PATH) != 0)
		return fd;
	close_fd(fd);
	return open_wanted(dir, name, flags | O_NONBLOCK, want);
}

int
gons__proc_link(int proc, const char *path, int flags, const struct statx *want)
{
	char dir[2 * NAME_SIZE];
	size_t len;
	int fd, parent;

	for (len = gons__strlen(path); len > 0 && path[len - 1] != '/'; len--)
		continue;
	if (len == 0 || len > sizeof(dir))
		return -EINVAL;
	gons__copy(dir, path, len - 1);
	dir[len - 1] = '\0';
	/* Only there all links lead to namespaces. */
	if (want == NULL && (len < 4 || !gons__streq(dir + len - 4, "/ns")))
		return -EINVAL;
	parent = gons__proc_file(proc, dir, O_PATH | O_DIRECTORY);
	if (parent < 0)
		return parent;
	fd = follow(parent, path + len, flags, want);
	close_fd(parent);
	return fd;
}

/* May this process see itself there, or is something mounted over it? */
static int
is_clear(int proc)
{
	static const char *const names[] = { "self/ns", "self/fd",
		"self/fdinfo", "self/exe" };
	unsigned i;
	int fd;

	for (i = 0; i < sizeof(names) / sizeof(names[0]); i++) {
		fd = gons__proc_file(proc, names[i], O_PATH | O_NOFOLLOW);
		if (fd < 0)
			return 0;
		close_fd(fd);
	}
	return 1;
}

/*
 * What is mounted comes first: a new one costs the kernel some 50 us to make,
 * and several 100 us to forget.
 */
int
gons__proc_open(void)
{
	int errnum = errno, fresh, proc;

	proc = open_mounted();
	if (proc < 0 || !is_clear(proc)) {
		fresh = open_fresh();
		if (fresh >= 0) {
			close_fd(proc);
			proc = fresh;
		}
	}
	errno = errnum;
	return proc;
}

int
gons__proc_private(void)
{
	int errnum = errno, proc = open_fresh();

	errno = errnum;
	return proc;
}

int
gons__proc_valid(int proc)
{
	struct info info;
	int errnum = errno, valid;

	valid = looks_genuine(proc, &info) &&
		(is_remembered(&info) || magic_of(proc, &info) == MAGIC_PROC);
	errno = errnum;
	return valid;
}
