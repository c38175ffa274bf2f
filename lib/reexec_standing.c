/*
 * SPDX-License-Identifier: BSD-2-Clause
 *
 * Copyright (c) 2026 The libgons developers
 *
 * The standing of this process: what it may do and where it is, as far as the
 * kernel lets a child inherit it.  A prepared process has that of the time
 * when it was made, and is used only as long as the host has the same.
 */

#include <sys/prctl.h>
#include <sys/syscall.h>

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "reexec.h"

#define STATUS_MAX 8191 /* bytes of /proc/thread-self/status */
#define CAPS_MAX 64 /* capabilities that a kernel may have */
#define SESSION_KEYRING (-3) /* KEY_SPEC_SESSION_KEYRING */

/*
 * What is read below /proc, again and again.  To find it takes as long as to
 * read it, so it stays open for one thread: the one that called
 * gons_reexec_check(3), and in a forked copy the first that needs it.  Any other
 * thread would see that thread's standing there in place of its own.
 */
enum view {
	VIEW_STATUS,
	VIEW_NS,
	NVIEWS
};
static const struct {
	const char *path;
	int flags;
} views[NVIEWS] = {
	[VIEW_STATUS] = { "thread-self/status", O_RDONLY },
	[VIEW_NS] = { "thread-self/ns", O_PATH | O_DIRECTORY },
};
static struct kept kept[NVIEWS] = { NOT_KEPT, NOT_KEPT };
static unsigned kept_era; /* of the process whose thread keeps them; 0 */
/* In that thread the same. */
static __thread unsigned keeper __attribute__((tls_model("initial-exec")));

static void
close_kept(void)
{
	int i;

	for (i = 0; i < NVIEWS; i++)
		gons__unkeep(&kept[i]);
}

/* Does this thread keep them?  A copy closes those of its parent. */
static int
is_keeper(void)
{
	unsigned era = gons__era(), old;

	if (keeper == era)
		return 1;
	old = __atomic_load_n(&kept_era, __ATOMIC_ACQUIRE);
	if (old == era || !__atomic_compare_exchange_n(&kept_era, &old, era, 0,
			      __ATOMIC_ACQ_REL, __ATOMIC_ACQUIRE))
		return 0;
	keeper = era;
	close_kept();
	return 1;
}

/* A descriptor or -errno; passing: it is to be closed after use. */
static int
look_at(enum view which, int *passing)
{
	struct kept *view = &kept[which];
	int fd, keeps = is_keeper(), proc;

	*passing = 0;
	if (keeps && gons__is_kept(view))
		return view->fd;
	if ((proc = gons__kept_proc()) == -1)
		return -ENOENT;
	fd = gons__proc_file(proc, views[which].path, views[which].flags);
	*passing = 1;
	if (fd < 0 || !keeps)
		return fd;
	if ((fd = fd_high(fd)) == -1)
		return -errno;
	gons__keep(view, fd);
	*passing = view->nameless;
	if (*passing)
		view->fd = -1;
	return fd;
}

/* From the one to before the other. */
static int
add_lines(
    struct buf *standing, const char *text, const char *first, const char *end)
{
	if ((first = strstr(text, first)) == NULL ||
	    (end = strstr(first, end)) == NULL)
		return ENOENT;
	return buf_add(standing, first, (size_t)(end - first));
}

/*
 * ENOENT: it is not to be had, or too long.  What could not be looked at for
 * want of something is not missing: somebody who takes that away at the right
 * times must not make two standings look alike.
 */
static int
add_status(struct buf *standing)
{
	char text[STATUS_MAX + 1], *more;
	int errnum, fd, passing;
	ssize_t n = -1;

	if ((fd = look_at(VIEW_STATUS, &passing)) >= 0) {
		do
			n = pread(fd, text, STATUS_MAX, 0);
		while (n == -1 && errno == EINTR);
		if (passing)
			(void)close(fd);
	}
	if (n < 1)
		return is_want(-fd) ? -fd : ENOENT;
	text[n] = '\0';
	errnum = add_lines(standing, text, "\nUid:", "\nFDSize:");
	if (errnum == 0)
		errnum = add_lines(standing, text, "\nGroups:", "\nNStgid:");
	if (errnum == 0)
		errnum = add_lines(standing, text, "NSsid:", "\n");
	if (errnum != 0 || (more = strstr(text, "\nCapInh:")) == NULL)
		return ENOENT;
	/* Capabilities, no_new_privs, and the number of seccomp filters. */
	errnum = add_lines(standing, more, "\nCapInh:", "\nSpeculation");
	return errnum == ENOENT ? buf_add(standing, more, strlen(more))
				: errnum;
}

/* A capability that is ambient is inheritable, too. */
static void
ask_caps(const unsigned *caps, unsigned char *bounding, unsigned char *ambient)
{
	int i, r;

	for (i = 0; i < CAPS_MAX; i++) {
		if ((r = prctl(PR_CAPBSET_READ, i, 0, 0, 0)) == -1)
			break;
		bounding[i] = (unsigned char)r;
		if ((caps[i / 32 * 3 + 2] >> i % 32 & 1) != 0)
			ambient[i] = (unsigned char)prctl(
			    PR_CAP_AMBIENT, PR_CAP_AMBIENT_IS_SET, i, 0, 0);
	}
}

/* The same without /proc, where each thing has to be asked for. */
static int
add_calls(struct buf *standing)
{
	struct {
		uid_t uid[3];
		gid_t gid[3];
		unsigned caps[6]; /* effective, permitted, inheritable; again */
		pid_t session;
		int groups, nnp, seccomp;
		unsigned char bounding[CAPS_MAX], ambient[CAPS_MAX];
	} now_is;
	unsigned head[2] = { 0x20080522, 0 };
	gid_t *groups;
	int errnum;

	memset(&now_is, 0, sizeof(now_is));
	if (getresuid(&now_is.uid[0], &now_is.uid[1], &now_is.uid[2]) == -1 ||
	    getresgid(&now_is.gid[0], &now_is.gid[1], &now_is.gid[2]) == -1 ||
	    syscall(SYS_capget, head, now_is.caps) == -1 ||
	    (now_is.groups = getgroups(0, NULL)) == -1)
		return errno;
	now_is.session = getsid(0);
	now_is.nnp = prctl(PR_GET_NO_NEW_PRIVS, 0, 0, 0, 0);
	now_is.seccomp = prctl(PR_GET_SECCOMP, 0, 0, 0, 0);
	ask_caps(now_is.caps, now_is.bounding, now_is.ambient);
	errnum = buf_add(standing, &now_is, sizeof(now_is));
	if (errnum != 0 || now_is.groups == 0)
		return errnum;
	if ((groups = calloc((size_t)now_is.groups, sizeof(*groups))) == NULL)
		return ENOMEM;
	if (getgroups(now_is.groups, groups) != now_is.groups)
		errnum = errno;
	else
		errnum = buf_add(
		    standing, groups, (size_t)now_is.groups * sizeof(*groups));
	free(groups);
	return errnum;
}

/*
 * Of a type that has another for children, that one; nothing without /proc.
 * Links are read, for the namespaces themselves take longer to look at.
 */
static int
ask_ns(char ns[GONS_NTYPES][32])
{
	const char *name;
	int dir, i, passing;

	if ((dir = look_at(VIEW_NS, &passing)) < 0)
		return is_want(-dir) ? -dir : 0;
	for (i = 0; i < GONS_NTYPES; i++) {
		name = i == GONS_PID	? "pid_for_children"
		       : i == GONS_TIME ? "time_for_children"
					: gons_type_name(i);
		(void)!readlinkat(dir, name, ns[i], sizeof(ns[i]));
	}
	if (passing)
		(void)close(dir);
	return 0;
}

/* 0 or an errno value; the buffer is filled from its beginning. */
int
gons__standing(struct buf *standing)
{
	struct {
		int securebits;
		long keyring;
		char ns[GONS_NTYPES][32];
	} now_is;
	int errnum;

	memset(&now_is, 0, sizeof(now_is));
	now_is.securebits = prctl(PR_GET_SECUREBITS, 0, 0, 0, 0);
	now_is.keyring = syscall(SYS_keyctl, 0L /* KEYCTL_GET_KEYRING_ID */,
	    (long)SESSION_KEYRING, 0L);
	if (now_is.keyring == -1) /* revoked is not the same as none */
		now_is.keyring = -errno;
	standing->len = 0;
	errnum = ask_ns(now_is.ns);
	if (errnum == 0)
		errnum = buf_add(standing, &now_is, sizeof(now_is));
	if (errnum == 0 && (errnum = add_status(standing)) == ENOENT)
		errnum = add_calls(standing);
	return errnum;
}

/* So that no request leaves descriptors behind. */
void
gons__standing_keep(void)
{
	int fd, i, passing;

	for (i = 0; i < NVIEWS; i++) {
		fd = look_at((enum view)i, &passing);
		if (passing && fd >= 0)
			(void)close(fd);
	}
}
