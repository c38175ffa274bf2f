/*
 * SPDX-License-Identifier: BSD-2-Clause
 *
 * Copyright (c) 2026 The libgons developers
 *
 * See trees.h.
 */

#include <sys/inotify.h>
#include <sys/mount.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/un.h>
#include <sys/wait.h>

#include <atf-c.h>

#include <errno.h>
#include <fcntl.h>
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <gons.h>

#include "helpers.h"
#include "trees.h"

char host[1024]; /* the directory of this test */
int root; /* of the tree */
int secret, outside; /* open: a file and a directory of the host */
dev_t tree_dev, proc_dev;

void
put(const char *path, const char *content)
{
	int fd = open(path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0644);

	CHILD(fd != -1);
	CHILD(write(fd, content, strlen(content)) == (ssize_t)strlen(content));
	close(fd);
}

int
holds(int fd, const char *content)
{
	char buf[64];
	ssize_t n = pread(fd, buf, sizeof(buf), 0);

	return n == (ssize_t)strlen(content) &&
	       memcmp(buf, content, (size_t)n) == 0;
}

static void
put_socket(const char *path)
{
	struct sockaddr_un sa = { .sun_family = AF_UNIX };
	int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);

	CHILD(fd != -1);
	(void)snprintf(sa.sun_path, sizeof(sa.sun_path), "%s", path);
	CHILD(bind(fd, (struct sockaddr *)&sa, sizeof(sa)) == 0);
	close(fd);
}

void
plant(void)
{
	struct stat st;

	CHILD(getcwd(host, sizeof(host)) != NULL);
	put("secret", HOST);
	CHILD((secret = open("secret", O_RDONLY)) != -1);
	CHILD((outside = open(".", O_RDONLY | O_DIRECTORY)) != -1);
	CHILD(mkdir("tree", 0755) == 0);
	CHILD(mount("tree", "tree", "tmpfs", 0, NULL) == 0);
	CHILD(mkdir("tree/sub", 0755) == 0);
	CHILD(mkdir("tree/sub/deep", 0755) == 0);
	CHILD(mkdir("tree/dev", 0755) == 0);
	CHILD(mkdir("tree/proc", 0755) == 0);
	CHILD(mount("/proc", "tree/proc", NULL, MS_BIND | MS_REC, NULL) == 0);
	put("tree/file", THERE);
	put("tree/sub/file", THERE);
	CHILD(symlink("/proc/self/fd", "tree/dev/fd") == 0);
	/* devices, of which one is hardly ever opened by anybody */
	put("tree/dev/null", "");
	put("tree/dev/full", "");
	CHILD(mount("/dev/null", "tree/dev/null", NULL, MS_BIND, NULL) == 0);
	CHILD(mount("/dev/full", "tree/dev/full", NULL, MS_BIND, NULL) == 0);
	CHILD(mkdir("tree/dev/pts", 0755) == 0);
	CHILD(mount("devpts", "tree/dev/pts", "devpts", 0,
		  "newinstance,ptmxmode=0666") == 0);
	CHILD(symlink("pts/ptmx", "tree/dev/ptmx") == 0);
	CHILD(mkfifo("tree/fifo", 0644) == 0);
	put_socket("tree/socket");
	CHILD((root = open("tree", O_PATH | O_DIRECTORY | O_CLOEXEC)) != -1);
	CHILD(fstat(root, &st) == 0);
	tree_dev = st.st_dev;
	CHILD(stat("tree/proc", &st) == 0);
	proc_dev = st.st_dev;
}

void
in_fork(void (*fn)(void))
{
	int status;
	pid_t pid;

	fflush(NULL);
	CHILD((pid = fork()) != -1);
	if (pid == 0) {
		fn();
		fflush(NULL);
		_exit(0);
	}
	CHILD(waitpid(pid, &status, 0) == pid);
	if (status != 0)
		_exit(99);
}

void
enter_world(void *arg)
{
	const struct world *w = arg;

	sandbox(CLONE_NEWNS | (w->private ? CLONE_NEWPID : 0));
	plant();
	in_fork(w->fn);
}

void
both_worlds(void (*fn)(void))
{
	struct world w = { fn, 0 };
	int i;

	need_userns();
	for (i = 0; i < 2; i++) {
		w.private = i;
		ATF_REQUIRE(mkdir(i ? "private" : "mounted", 0755) == 0);
		ATF_REQUIRE(chdir(i ? "private" : "mounted") == 0);
		in_child(enter_world, &w);
		ATF_REQUIRE(chdir("..") == 0);
	}
}

void
set_link(const char *path, const char *to)
{
	(void)unlink(path);
	CHILD(symlink(to, path) == 0);
}

int
opinion(int dir, const char *path, int flags)
{
	struct how how;
	int fd;

	how.flags = (unsigned)(flags | O_CLOEXEC);
	if ((flags & O_PATH) == 0)
		how.flags |= O_NONBLOCK | O_NOCTTY;
	how.mode = (flags & O_CREAT) != 0 || (flags & O_TMPFILE) == O_TMPFILE
		       ? 0640
		       : 0;
	how.resolve = SAFE;
	fd = (int)syscall(SYS_openat2, dir, path, &how, sizeof(how));
	return fd == -1 ? -errno : fd;
}
