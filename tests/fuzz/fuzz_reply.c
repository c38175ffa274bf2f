/*
 * SPDX-License-Identifier: BSD-2-Clause
 *
 * Copyright (c) 2026 The libgons developers
 *
 * The descriptors of a reply, from a hostile sender: messages with any number
 * of bytes and descriptors, before the socket is looked at and between the
 * looks.  Each descriptor is taken at most once, what is taken is one that was
 * sent, and after the request is freed none is left in this process.
 *
 * Input: how many descriptors the reply tells of; then what is done, two bytes
 * each: see act().
 */

#include <sys/socket.h>
#include <sys/stat.h>

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <string.h>
#include <unistd.h>

#include "fuzz.h"
#include "reexec.h"

#define MOST 8 /* descriptors in a message */
#define RESULT 5000
#define PATIENCE 10000 /* ms for a process to end */

/* So many bytes, with so many copies of a descriptor. */
static void
send_some(int sock, int file, unsigned bytes, unsigned n)
{
	char block[16] = "";
	int fds[MOST];
	unsigned i;

	for (i = 0; i < MOST; i++)
		fds[i] = file;
	(void)gons__send_block(sock, block, bytes % sizeof(block) + 1, fds, n);
}

static void
take(struct gons_reexec *req, unsigned i, const struct stat *sent, char *taken)
{
	struct stat st;
	int fd = gons_reexec_takefd(req, i);

	if (fd == -1) {
		MUST(errno == ENOENT || errno == EBADMSG);
		return;
	}
	MUST(i < gons__reply_fds(&req->run.result) && !taken[i]);
	taken[i] = 1;
	MUST(fstat(fd, &st) == 0 && st.st_dev == sent->st_dev &&
	     st.st_ino == sent->st_ino);
	MUST((fcntl(fd, F_GETFD) & FD_CLOEXEC) != 0);
	MUST(close(fd) == 0);
}

static void
act(struct gons_reexec *req, int *sock, int file, unsigned what, unsigned i,
    char *taken)
{
	struct stat st;

	MUST(fstat(file, &st) == 0);
	switch (what % 4) {
	case 0:
	case 1:
		if (*sock != -1)
			send_some(*sock, file, what / 4, i % (MOST + 1));
		break;
	case 2:
		take(req, i, &st, taken);
		break;
	default:
		if (i == 0)
			fd_close(sock);
		break;
	}
}

int
LLVMFuzzerTestOneInput(const unsigned char *data, size_t size)
{
	uint64_t before = open_descriptors();
	int file = open("/dev/null", O_RDONLY | O_CLOEXEC), ours = -1,
	    theirs = -1;
	struct gons_reexec *req = gons_reexec_new("action");
	char taken[256] = "";
	size_t i;

	MUST(req != NULL && file != -1);
	MUST(gons__open_socket(SOCK_STREAM, &ours, &theirs) == 0);
	gons__keep(&req->run.child.fd[SRC_FDS], ours);
	req->set.maxresult = RESULT;
	req->set.maxfds = 255;
	req->judged = 1;
	req->run.result.state = RESULT_COMPLETE;
	req->run.result.nhead = REPLY_HEAD;
	req->run.result.head[REPLY_HEAD - 1] = size > 0 ? data[0] : 0;
	for (i = 1; i + 1 < size && i < 200; i += 2)
		act(req, &theirs, file, data[i], data[i + 1], taken);
	fd_close(&theirs);
	gons_reexec_free(req);
	fd_close(&file);
	/* The process that has the socket last is reaped by a later call. */
	for (i = 0; i < PATIENCE && open_descriptors() != before; i++) {
		gons__lost_reap();
		(void)poll(NULL, 0, i > 0);
	}
	MUST(open_descriptors() == before);
	return 0;
}
