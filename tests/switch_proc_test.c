/*
 * SPDX-License-Identifier: BSD-2-Clause
 *
 * Copyright (c) 2026 The libgons developers
 *
 * switch.o: the one trusted /proc.  Each world is a mount namespace in which
 * something is wrong with /proc; in each the library is asked as who may mount
 * a procfs and as who may not, with the system calls of today and of before.
 */

#include <sys/mount.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>

#include <atf-c.h>

#include <errno.h>
#include <fcntl.h>
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "h_fuse.h"
#include "helpers.h"
#include "internal.h"
#include "sw.h"

#define NR_open_tree NEWER(428)
#define NR_move_mount NEWER(429)
#define NR_fsconfig NEWER(431)
#define NR_fsmount NEWER(432)
#define NR_statmount NEWER(457)

/* Who asks. */
enum {
	MAY_MOUNT,
	MAY_NOT,
	OLD_OPEN,
	OLD_BOTH,
	NUSERS
};
static const struct {
	const char *name;
	struct rule rules[3];
	size_t nrules;
} users[NUSERS] = {
	{ "may mount", { { 0, 0, 0, 0, 0 } }, 0 },
	{ "may not mount", { { NR_fsopen, -1, 0, 0, EPERM } }, 1 },
	{ "no openat2",
	    { { NR_fsopen, -1, 0, 0, EPERM },
		{ NR_openat2, -1, 0, 0, ENOSYS } },
	    2 },
	{ "neither openat2 nor statmount",
	    { { NR_fsopen, -1, 0, 0, ENOSYS }, { NR_openat2, -1, 0, 0, EPERM },
		{ NR_statmount, -1, 0, 0, EPERM } },
	    3 },
};

/* What became of a path below /proc. */
struct query {
	const char *path;
	int link; /* 1: a namespace; 2: this program */
	int expected[NUSERS]; /* 0 or an errno value */
};

static struct statx self_exe; /* seen before the world was made */

/*
 * A mount namespace of the test's own, and the right to mount a procfs, which
 * root of a user namespace alone has not.
 */
static void
own_mounts(void)
{
	int fd = (int)syscall(NR_fsopen, "proc", 1 /* CLOEXEC */);

	if (fd == -1 ||
	    syscall(NR_fsconfig, fd, 6 /* CREATE */, NULL, NULL, 0) == -1)
		atf_tc_skip("no procfs to be had: %s", strerror(errno));
	close(fd);
	ATF_REQUIRE_EQ(0, unshare(CLONE_NEWNS));
	ATF_REQUIRE_EQ(0, mount("none", "/", NULL, MS_REC | MS_PRIVATE, NULL));
	ATF_REQUIRE_EQ(0, syscall(SYS_statx, AT_FDCWD, "/proc/self/exe", 0,
			      0x7ff, &self_exe));
}

static int
ask(int proc, const struct query *q)
{
	int fd;

	if (q->link == 0)
		fd = gons__proc_file(proc, q->path, O_RDONLY);
	else
		fd = gons__proc_link(
		    proc, q->path, O_RDONLY, q->link == 2 ? &self_exe : NULL);
	if (fd < 0)
		return -fd;
	CHILD(fcntl(fd, F_GETFD) == FD_CLOEXEC);
	CHILD((fcntl(fd, F_GETFL) & O_PATH) == 0);
	close(fd);
	return 0;
}

/* Mounts a copy of what on where, even if that is a link. */
static void
mount_over(const char *what, const char *where)
{
	int from, to;

	from = (int)syscall(NR_open_tree, AT_FDCWD, what, 1 /* CLONE */);
	CHILD(from != -1);
	CHILD((to = open(where, O_PATH | O_NOFOLLOW)) != -1);
	CHILD(syscall(NR_move_mount, from, "", to, "", 0x44 /* EMPTY_PATH */) ==
	      0);
	close(from);
	close(to);
}

struct world {
	const struct query *queries; /* up to one without a path */
	int opens[NUSERS]; /* of gons__proc_open(): 0 or an errno value */
	int user;
	const char *root; /* to be changed to; or NULL */
	int proc; /* to be asked in place of a new one; or -1 */
	int mnt; /* a mount namespace to be joined; or -1 */
	const char *what, *where; /* to be mounted over something; or NULL */
};

static void
visit_world(void *arg)
{
	const struct world *w = arg;
	const struct query *q;
	int errnum, fds = count_fds(), proc;

	if (w->mnt != -1)
		CHILD(setns(w->mnt, CLONE_NEWNS) == 0);
	else if (w->root != NULL)
		CHILD(chroot(w->root) == 0 && chdir("/") == 0);
	if (w->what != NULL)
		mount_over(w->what, w->where);
	if (users[w->user].nrules > 0)
		forbid(users[w->user].rules, users[w->user].nrules);
	errno = 4711;
	proc = w->proc != -1 ? w->proc : gons__proc_open();
	CHILD(errno == 4711);
	if (w->opens[w->user] != 0) {
		if (proc != -w->opens[w->user])
			dprintf(2, "%s: opening gives %d\n",
			    users[w->user].name, proc);
		CHILD(proc == -w->opens[w->user]);
		return;
	}
	CHILD(proc >= 0);
	CHILD(gons__proc_valid(proc) == 1);
	CHILD(fcntl(proc, F_GETFD) == FD_CLOEXEC);
	for (q = w->queries; q->path != NULL; q++) {
		errnum = ask(proc, q);
		if (errnum != q->expected[w->user])
			dprintf(2, "%s: %s gives %s\n", users[w->user].name,
			    q->path, strerror(errnum));
		CHILD(errnum == q->expected[w->user]);
	}
	if (w->proc == -1)
		close(proc);
	CHILD(count_fds() == fds);
}

/* As each of them, up to the last one. */
static void
expect(const struct query *queries, const int *opens, const char *root,
    int proc, int mnt, int last)
{
	struct world w;

	memset(&w, 0, sizeof(w));
	w.queries = queries;
	memcpy(w.opens, opens, sizeof(w.opens));
	w.root = root;
	w.proc = proc;
	w.mnt = mnt;
	for (w.user = 0; w.user <= last; w.user++)
		in_child(visit_world, &w);
}

#define ALL(errnum)                            \
	{                                      \
		errnum, errnum, errnum, errnum \
	}
static const int opens[NUSERS] = ALL(0);
static const int nothing[NUSERS] = { 0, ENOENT, ENOENT, ENOENT };

/* Everything that there is, for who gets a sound /proc. */
static const struct query sound[] = {
	{ "self/status", 0, ALL(0) },
	{ "thread-self/fdinfo/0", 0, ALL(0) },
	{ "self", 0, ALL(0) },
	{ "self/task", 0, ALL(0) },
	{ "1/stat", 0, ALL(0) },
	{ "sys/user/max_net_namespaces", 0, ALL(0) },
	{ "self/ns/net", 1, ALL(0) },
	{ "thread-self/ns/user", 1, ALL(0) },
	{ "self/exe", 2, ALL(0) },
	{ NULL, 0, ALL(0) },
};

ATF_TC(genuine);
ATF_TC_HEAD(genuine, tc)
{
	atf_tc_set_md_var(tc, "require.user", "root");
}
ATF_TC_BODY(genuine, tc)
{
	static char overlong[400];
	static const struct query odd[] = {
		{ "self/exe", 0, ALL(ELOOP) },
		{ "self/root/etc", 0, ALL(ELOOP) },
		{ "self/fd/0", 0, ALL(ELOOP) },
		{ "self/ns/net", 0, ALL(ELOOP) },
		{ "self/ns/net", 2, ALL(EXDEV) },
		{ "self/exe", 1, ALL(EINVAL) },
		{ "self/status", 2, ALL(EINVAL) },
		{ "self/ns/none", 1, ALL(ENOENT) },
		{ "self/none", 0, ALL(ENOENT) },
		{ "self/status/none", 0, ALL(ENOTDIR) },
		{ "2147483647/ns/net", 1, ALL(ENOENT) },
		{ "../etc", 0, ALL(EXDEV) },
		{ "/etc", 0, ALL(EXDEV) },
		/* a link is one of a directory, and in "ns" if it is any */
		{ "exe", 2, ALL(EINVAL) },
		{ "", 2, ALL(EINVAL) },
		{ "ns/net", 1, ALL(EINVAL) },
		{ "self/fd/3", 1, ALL(EINVAL) },
		{ "self/nsns/net", 1, ALL(EINVAL) },
		{ overlong, 2, ALL(EINVAL) },
		{ NULL, 0, ALL(0) },
	};

	memset(overlong, 'x', sizeof(overlong) - 1);
	memcpy(overlong + sizeof(overlong) - 8, "/ns/net", 8);
	own_mounts();
	expect(sound, opens, NULL, -1, -1, NUSERS - 1);
	expect(odd, opens, NULL, -1, -1, NUSERS - 1);
}

/* A tmpfs with files of the same names. */
ATF_TC(other_file_system);
ATF_TC_HEAD(other_file_system, tc)
{
	atf_tc_set_md_var(tc, "require.user", "root");
}
ATF_TC_BODY(other_file_system, tc)
{
	own_mounts();
	ATF_REQUIRE_EQ(0, mount("none", "/proc", "tmpfs", 0, NULL));
	ATF_REQUIRE_EQ(0, mkdir("/proc/self", 0755));
	expect(sound, nothing, NULL, -1, -1, NUSERS - 1);
}

/* A directory of a genuine one is not its root. */
ATF_TC(inner_directory);
ATF_TC_HEAD(inner_directory, tc)
{
	atf_tc_set_md_var(tc, "require.user", "root");
}
ATF_TC_BODY(inner_directory, tc)
{
	own_mounts();
	ATF_REQUIRE_EQ(0, mount("/proc/1", "/proc", NULL, MS_BIND, NULL));
	expect(sound, nothing, NULL, -1, -1, NUSERS - 1);
}

ATF_TC(no_proc);
ATF_TC_HEAD(no_proc, tc)
{
	atf_tc_set_md_var(tc, "require.user", "root");
}
ATF_TC_BODY(no_proc, tc)
{
	int i;

	own_mounts();
	ATF_REQUIRE_EQ(0, mkdir("root", 0755));
	ATF_REQUIRE_EQ(0, mount("none", "root", "tmpfs", 0, NULL));
	for (i = 0; i < 3; i++) {
		if (i == 1)
			ATF_REQUIRE_EQ(0, mkdir("root/proc", 0755));
		if (i == 2)
			ATF_REQUIRE_EQ(0, mkfifo("root/proc", 0644));
		expect(sound, nothing, "root", -1, -1, NUSERS - 1);
		if (i == 1)
			ATF_REQUIRE_EQ(0, rmdir("root/proc"));
	}
}

/* Whoever can make a link can make it lead anywhere. */
ATF_TC(symbolic_link);
ATF_TC_HEAD(symbolic_link, tc)
{
	atf_tc_set_md_var(tc, "require.user", "root");
}
ATF_TC_BODY(symbolic_link, tc)
{
	own_mounts();
	ATF_REQUIRE_EQ(0, mkdir("root", 0755));
	ATF_REQUIRE_EQ(0, mount("none", "root", "tmpfs", 0, NULL));
	ATF_REQUIRE_EQ(0, mkdir("root/real", 0755));
	ATF_REQUIRE_EQ(0, mount("/proc", "root/real", NULL, MS_BIND, NULL));
	ATF_REQUIRE_EQ(0, symlink("real", "root/proc"));
	expect(sound, nothing, "root", -1, -1, NUSERS - 1);
}

/* Nobody is asked; who has no statmount(2) cannot help it. */
ATF_TC(fuse);
ATF_TC_HEAD(fuse, tc)
{
	atf_tc_set_md_var(tc, "require.user", "root");
}
ATF_TC_BODY(fuse, tc)
{
	struct fuse f;

	need_fuse();
	if (THREAD_SANITIZER)
		atf_tc_skip("the sanitizer asks /proc, too");
	own_mounts();
	ATF_REQUIRE_EQ(0, fuse_mount(&f, "/proc", FUSE_REFUSE));
	expect(sound, nothing, NULL, -1, -1, OLD_OPEN);
	ATF_CHECK_EQ(0, *f.asked);
	fuse_stop(&f);
}

/* A root directory that would have to be asked where /proc is. */
ATF_TC(fuse_root);
ATF_TC_HEAD(fuse_root, tc)
{
	atf_tc_set_md_var(tc, "require.user", "root");
}
ATF_TC_BODY(fuse_root, tc)
{
	static const int unknown[NUSERS] = { 0, ENOENT, 0, 0 };
	struct fuse f;
	int mnt;

	need_fuse();
	own_mounts();
	ATF_REQUIRE((mnt = open("/proc/self/ns/mnt", O_RDONLY)) != -1);
	/* on top of the root, it is that of who joins the namespace */
	ATF_REQUIRE_EQ(0, fuse_mount(&f, "/", FUSE_REFUSE));
	expect(sound, unknown, NULL, -1, mnt, MAY_NOT);
	ATF_CHECK_EQ(0, *f.asked);
	fuse_stop(&f);
}

/* Something is mounted over a place in a genuine one. */
ATF_TC(mounted_inside);
ATF_TC_HEAD(mounted_inside, tc)
{
	atf_tc_set_md_var(tc, "require.user", "root");
}
ATF_TC_BODY(mounted_inside, tc)
{
#define FRESH                          \
	{                              \
		0, EXDEV, EXDEV, EXDEV \
	}
	static const struct {
		const char *what, *where;
		struct query queries[2]; /* the second ends them */
	} table[] = {
		{ "fuse", "/proc/self/", { { "self/status", 0, FRESH } } },
		{ "/proc/1", "/proc/self/", { { "self/stat", 0, FRESH } } },
		{ "fuse", "/proc/self/fdinfo",
		    { { "self/fdinfo/0", 0, FRESH } } },
		{ "empty", "/proc/self/ns", { { "self/ns/net", 1, FRESH } } },
		{ "fuse", "/proc/self/ns", { { "self/ns/net", 1, FRESH } } },
		{ "/proc/1/ns", "/proc/self/ns",
		    { { "self/ns/net", 1, FRESH } } },
		{ "file", "/proc/self/exe", { { "self/exe", 2, FRESH } } },
		{ "fusefile", "/proc/self/exe", { { "self/exe", 2, FRESH } } },
		{ "fusefile", "/proc/self/ns/net",
		    { { "self/ns/net", 1, ALL(EXDEV) } } },
		{ "net", "/proc/self/ns/net",
		    { { "self/ns/net", 1, ALL(EXDEV) } } },
		{ "/dev/null", "/proc/self/status",
		    { { "self/status", 0, ALL(EXDEV) } } },
		{ "fusefile", "/proc/self/status",
		    { { "self/status", 0, ALL(EXDEV) } } },
	};
	struct fuse dir, file;
	struct world w;
	size_t i;

	need_fuse();
	own_mounts();
	ATF_REQUIRE(mkdir("empty", 0755) == 0 && mkdir("fuse", 0755) == 0);
	close(open("file", O_CREAT | O_WRONLY, 0755));
	close(open("fusefile", O_CREAT | O_WRONLY, 0755));
	close(open("net", O_CREAT | O_WRONLY, 0755));
	ATF_REQUIRE_EQ(0, fuse_mount(&dir, "fuse", FUSE_REFUSE));
	ATF_REQUIRE_EQ(
	    0, fuse_mount(&file, "fusefile", FUSE_REFUSE | FUSE_FILE));
	ATF_REQUIRE_EQ(
	    0, mount("/proc/self/ns/net", "net", NULL, MS_BIND, NULL));
	memset(&w, 0, sizeof(w));
	w.proc = w.mnt = -1;
	for (i = 0; i < sizeof(table) / sizeof(table[0]); i++) {
		w.queries = table[i].queries;
		w.what = table[i].what;
		w.where = table[i].where;
		for (w.user = 0; w.user < NUSERS; w.user++)
			in_child(visit_world, &w);
	}
	ATF_CHECK_EQ(0, *dir.asked);
	ATF_CHECK_EQ(0, *file.asked);
	fuse_stop(&dir);
	fuse_stop(&file);
#undef FRESH
}

/* A number that something else has by now. */
ATF_TC(still_valid);
ATF_TC_HEAD(still_valid, tc)
{
	atf_tc_set_md_var(tc, "require.user", "root");
}
ATF_TC_BODY(still_valid, tc)
{
	struct fuse f;
	int fd, fresh, mounted;

	need_fuse();
	own_mounts();
	ATF_REQUIRE((mounted = gons__proc_open()) != -1);
	ATF_REQUIRE_EQ(0, mkdir("fuse", 0755));
	ATF_REQUIRE_EQ(0, fuse_mount(&f, "fuse", FUSE_REFUSE));
	ATF_REQUIRE_EQ(0, mount("none", "/proc", "tmpfs", 0, NULL));
	ATF_REQUIRE((fresh = gons__proc_open()) >= 0);
	/* another mount namespace, without either of them */
	ATF_REQUIRE_EQ(0, unshare(CLONE_NEWNS));
	ATF_CHECK_EQ(1, gons__proc_valid(mounted));
	ATF_CHECK_EQ(1, gons__proc_valid(fresh));
	expect(sound, opens, NULL, mounted, -1, NUSERS - 1);
	expect(sound, opens, NULL, fresh, -1, NUSERS - 1);
	ATF_CHECK_EQ(0, gons__proc_valid(-1));
	ATF_CHECK_EQ(0, gons__proc_valid(1000));
	ATF_REQUIRE((fd = open("fuse", O_PATH)) != -1);
	ATF_CHECK_EQ(0, gons__proc_valid(fd));
	ATF_REQUIRE_EQ(fresh, dup2(fd, fresh));
	ATF_CHECK_EQ(0, gons__proc_valid(fresh));
	ATF_REQUIRE_EQ(fd, dup2(open("/", O_PATH), fd));
	ATF_CHECK_EQ(0, gons__proc_valid(fd));
	ATF_REQUIRE((fd = gons__proc_file(mounted, "self", O_PATH)) >= 0);
	ATF_CHECK_EQ(0, gons__proc_valid(fd));
	ATF_CHECK_EQ(0, *f.asked);
	fuse_stop(&f);
}

/* A rename or a new mount somewhere may disturb any look-up for a moment. */
static void
disturbed(void *arg)
{
	static const struct rule no_mount = { NR_fsopen, -1, 0, 0, EPERM };
	int errnum = *(const int *)arg, fd, fds, proc, tries;

	forbid(&no_mount, 1);
	meddle(NR_openat2);
	fds = count_fds();
	meddle_fail(errnum, 3);
	CHILD((proc = gons__proc_open()) >= 0);
	CHILD(meddled() > 4);
	meddle_fail(errnum, 3);
	CHILD((fd = gons__proc_file(proc, "self/status", O_RDONLY)) >= 0);
	CHILD(meddled() == 4);
	close(fd);
	/* what an earlier call has left in errno says nothing */
	errno = errnum;
	CHILD((fd = gons__proc_file(proc, "self/status", O_RDONLY)) >= 0);
	CHILD(meddled() == 1);
	close(fd);
	CHILD(count_fds() == fds + 1);
	/* not for ever, and not if it is anything else */
	meddle_fail(errnum, 1000);
	CHILD(gons__proc_file(proc, "self/status", O_RDONLY) == -errnum);
	tries = meddled();
	CHILD(tries > 4 && tries < 100);
	CHILD(gons__proc_open() == -ENOENT);
	meddle_fail(EIO, 1);
	(void)meddled();
	CHILD(gons__proc_file(proc, "self/status", O_RDONLY) == -EIO);
	CHILD(meddled() == 1);
	CHILD(count_fds() == fds + 1);
}

ATF_TC_WITHOUT_HEAD(disturbed_lookups);
ATF_TC_BODY(disturbed_lookups, tc)
{
	static int errnums[] = { EAGAIN, EINTR };

	need_filters();
	in_child(disturbed, &errnums[0]);
	in_child(disturbed, &errnums[1]);
}

/* A new one may get any number, when another thread closes descriptors. */
static void
open_as_zero(void *unused)
{
	int fd, fds, proc;

	(void)unused;
	CHILD(dup2(1, 0) == 0);
	meddle(NR_fsmount);
	meddle_close();
	fds = count_fds();
	proc = gons__proc_open();
	CHILD(meddled() == 1);
	CHILD(proc == 0);
	CHILD(gons__proc_valid(proc) == 1);
	CHILD((fd = gons__proc_file(proc, "self/status", O_RDONLY)) > 0);
	close(fd);
	CHILD(count_fds() == fds);
}

ATF_TC(fresh_as_zero);
ATF_TC_HEAD(fresh_as_zero, tc)
{
	atf_tc_set_md_var(tc, "require.user", "root");
}
ATF_TC_BODY(fresh_as_zero, tc)
{
	need_filters();
	own_mounts();
	ATF_REQUIRE_EQ(0, mount("none", "/proc", "tmpfs", 0, NULL));
	in_child(open_as_zero, NULL);
}

/* Who may begin to make a new one may be refused at each later step. */
static void
refused_later_body(void *arg)
{
	int fds = count_fds();

	CHILD(fcntl(0, F_GETFD) != -1);
	forbid(arg, 1);
	CHILD(gons__proc_private() == -EPERM);
	CHILD(gons__proc_open() == -ENOENT);
	CHILD(fcntl(0, F_GETFD) != -1);
	CHILD(count_fds() == fds);
}

ATF_TC(refused_later);
ATF_TC_HEAD(refused_later, tc)
{
	atf_tc_set_md_var(tc, "require.user", "root");
}
ATF_TC_BODY(refused_later, tc)
{
	static struct rule rules[] = {
		{ NR_fsconfig, -1, 0, 0, EPERM },
		{ NR_fsmount, -1, 0, 0, EPERM },
	};

	need_filters();
	own_mounts();
	ATF_REQUIRE_EQ(0, mount("none", "/proc", "tmpfs", 0, NULL));
	in_child(refused_later_body, &rules[0]);
	in_child(refused_later_body, &rules[1]);
}

/* What is mounted may be descriptor 0, and is no reason to make a new one. */
static void
mounted_as_zero_body(void *unused)
{
	int proc;

	(void)unused;
	CHILD(dup2(1, 0) == 0);
	meddle(NR_fsopen);
	close(0);
	proc = gons__proc_open();
	CHILD(proc == 0);
	CHILD(meddled() == 0);
	CHILD(gons__proc_valid(proc) == 1);
}

/* So may be what a link leads to, and it is open for use all the same. */
static void
link_as_zero_body(void *unused)
{
	static const struct query links[] = { { "self/ns/net", 1, ALL(0) },
		{ "self/exe", 2, ALL(0) } };
	int fd, fds, proc;
	size_t i;

	(void)unused;
	CHILD((proc = gons__proc_open()) > 0);
	meddle(SYS_openat);
	for (i = 0; i < sizeof(links) / sizeof(links[0]); i++) {
		CHILD(dup2(1, 0) == 0);
		fds = count_fds();
		meddle_close();
		fd = gons__proc_link(proc, links[i].path, O_RDONLY,
		    links[i].link == 2 ? &self_exe : NULL);
		CHILD(fd == 0);
		CHILD((fcntl(fd, F_GETFL) & O_PATH) == 0);
		CHILD(fcntl(fd, F_GETFD) == FD_CLOEXEC);
		CHILD(count_fds() == fds);
	}
}

ATF_TC_WITHOUT_HEAD(opened_as_zero);
ATF_TC_BODY(opened_as_zero, tc)
{
	need_filters();
	ATF_REQUIRE_EQ(0, syscall(SYS_statx, AT_FDCWD, "/proc/self/exe", 0,
			      0x7ff, &self_exe));
	in_child(mounted_as_zero_body, NULL);
	in_child(link_as_zero_body, NULL);
}

/* Why it is no namespace and no process is found out without its server. */
static void
try_reference(const struct fuse *f, const char *ref, int hint)
{
	struct gons_env env;
	struct gons_error error;
	unsigned asked = *f->asked;

	(void)gons_envparse(NULL, &env);
	if (hint == GONS_HINT_NOTNS)
		env.path[GONS_NET] = ref;
	else
		env.target = ref;
	ATF_CHECK_EQ(-1, gons_switch(&env, NULL, &error));
	ATF_CHECK_EQ(EINVAL, error.errnum);
	ATF_CHECK_EQ_MSG(hint, error.hint, "%s: %d", ref, error.hint);
	env.order = "uts,net";
	ATF_CHECK_EQ(-1, gons_switch(&env, NULL, &error));
	ATF_CHECK_EQ(EINVAL, error.errnum);
	ATF_CHECK_EQ_MSG(hint, error.hint, "%s: %d", ref, error.hint);
	ATF_CHECK_EQ(asked, *f->asked);
}

ATF_TC(fuse_reference);
ATF_TC_HEAD(fuse_reference, tc)
{
	atf_tc_set_md_var(tc, "require.user", "root");
}
ATF_TC_BODY(fuse_reference, tc)
{
	struct fuse f;
	char ref[32];
	int fd;

	need_fuse();
	own_mounts();
	close(open("file", O_CREAT | O_WRONLY, 0644));
	ATF_REQUIRE_EQ(0, fuse_mount(&f, "file", FUSE_REFUSE | FUSE_FILE));
	fd = open("file", O_RDONLY);
	ATF_REQUIRE_MSG(fd != -1, "open: %s", strerror(errno));
	(void)snprintf(ref, sizeof(ref), "fd:%d", fd);
	try_reference(&f, ref, GONS_HINT_NOTNS);
	try_reference(&f, ref, GONS_HINT_NOTPIDFD);
	close(fd);
	fuse_stop(&f);
}

ATF_TP_ADD_TCS(tp)
{
	ATF_TP_ADD_TC(tp, genuine);
	ATF_TP_ADD_TC(tp, other_file_system);
	ATF_TP_ADD_TC(tp, inner_directory);
	ATF_TP_ADD_TC(tp, no_proc);
	ATF_TP_ADD_TC(tp, symbolic_link);
	ATF_TP_ADD_TC(tp, fuse);
	ATF_TP_ADD_TC(tp, fuse_root);
	ATF_TP_ADD_TC(tp, mounted_inside);
	ATF_TP_ADD_TC(tp, still_valid);
	ATF_TP_ADD_TC(tp, disturbed_lookups);
	ATF_TP_ADD_TC(tp, fresh_as_zero);
	ATF_TP_ADD_TC(tp, refused_later);
	ATF_TP_ADD_TC(tp, opened_as_zero);
	ATF_TP_ADD_TC(tp, fuse_reference);
	return atf_no_error();
}
