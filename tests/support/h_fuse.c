/*
 * SPDX-License-Identifier: BSD-2-Clause
 *
 * Copyright (c) 2026 The libgons developers
 *
 * See h_fuse.h.  It speaks with the kernel by /dev/fuse itself.
 */

#include <sys/mman.h>
#include <sys/mount.h>
#include <sys/wait.h>

#include <linux/fuse.h>

#include <atf-c.h>

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "h_fuse.h"

#define REQUEST_MAX (FUSE_MIN_READ_BUFFER + 65536)

static void
answer(int fd, uint64_t unique, int error, const void *data, size_t len)
{
	char buf[sizeof(struct fuse_out_header) + sizeof(struct fuse_init_out)];
	struct fuse_out_header head;

	memset(&head, 0, sizeof(head));
	head.len = (uint32_t)(sizeof(head) + len);
	head.error = -error;
	head.unique = unique;
	memcpy(buf, &head, sizeof(head));
	if (len > 0)
		memcpy(buf + sizeof(head), data, len);
	(void)!write(fd, buf, head.len);
}

static void
answer_init(int fd, const struct fuse_in_header *head)
{
	const struct fuse_init_in *in = (const void *)(head + 1);
	struct fuse_init_out out;

	memset(&out, 0, sizeof(out));
	out.major = FUSE_KERNEL_VERSION;
	out.minor = in->minor < FUSE_KERNEL_MINOR_VERSION
			? in->minor
			: FUSE_KERNEL_MINOR_VERSION;
	out.max_readahead = in->max_readahead;
	out.max_write = 4096;
	answer(fd, head->unique, 0, &out, sizeof(out));
}

/* Requests are read: a process that waits for an answer cannot be killed. */
static void
serve(int fd, int life, unsigned *asked, int options)
{
	static union {
		struct fuse_in_header head;
		char bytes[REQUEST_MAX];
	} request;
	struct pollfd p[2] = { { fd, POLLIN, 0 }, { life, POLLIN, 0 } };

	for (;;) {
		if (poll(p, 2, -1) == -1 && errno != EINTR)
			return;
		if (p[1].revents != 0 || (p[0].revents & POLLERR) != 0)
			return;
		if (read(fd, &request, sizeof(request)) <
		    (ssize_t)sizeof(request.head))
			continue;
		switch (request.head.opcode) {
		case FUSE_INIT:
			answer_init(fd, &request.head);
			break;
		case FUSE_FORGET:
		case FUSE_BATCH_FORGET:
		case FUSE_INTERRUPT:
		case FUSE_DESTROY:
			break;
		default:
			__atomic_fetch_add(asked, 1, __ATOMIC_SEQ_CST);
			if ((options & FUSE_REFUSE) != 0 ||
			    ((options & FUSE_HOLD) != 0 &&
				request.head.opcode != FUSE_FLUSH))
				answer(
				    fd, request.head.unique, ENOSYS, NULL, 0);
			break;
		}
	}
}

void
need_fuse(void)
{
	int fd = open("/dev/fuse", O_RDWR | O_CLOEXEC);

	if (fd == -1)
		atf_tc_skip("/dev/fuse: %s", strerror(errno));
	close(fd);
}

int
fuse_mount(struct fuse *f, const char *path, int options)
{
	char data[128];
	int errnum, fd, life[2];

	f->asked = mmap(NULL, sizeof(*f->asked), PROT_READ | PROT_WRITE,
	    MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	ATF_REQUIRE(f->asked != MAP_FAILED);
	ATF_REQUIRE(pipe2(life, O_CLOEXEC) == 0);
	fd = open("/dev/fuse", O_RDWR | O_CLOEXEC | O_NONBLOCK);
	ATF_REQUIRE_MSG(fd != -1, "/dev/fuse: %s", strerror(errno));
	ATF_REQUIRE((f->server = fork()) != -1);
	if (f->server == 0) {
		close(life[1]);
		/* nothing to read before it is mounted: EPERM, so it waits */
		(void)!read(life[0], data, 1);
		serve(fd, life[0], f->asked, options);
		_exit(0);
	}
	close(life[0]);
	f->life = life[1];
	(void)snprintf(data, sizeof(data),
	    "fd=%d,rootmode=%o,user_id=0,group_id=0,allow_other", fd,
	    (options & FUSE_FILE) != 0 ? 0100644 : 040000);
	errnum = mount("h_fuse", path, "fuse", 0, data) == -1 ? errno : 0;
	close(fd);
	(void)!write(f->life, "", 1);
	if (errnum != 0)
		fuse_stop(f);
	return errnum;
}

void
fuse_stop(struct fuse *f)
{
	/* other children may hold a copy of it: closing it is not enough */
	close(f->life);
	ATF_REQUIRE_EQ(0, kill(f->server, SIGKILL));
	ATF_REQUIRE_EQ(f->server, waitpid(f->server, NULL, 0));
	(void)munmap(f->asked, sizeof(*f->asked));
}
