/*
 * SPDX-License-Identifier: BSD-2-Clause
 *
 * Copyright (c) 2026 The libgons developers
 *
 * A FUSE file system whose server is hostile: it lets itself be mounted, and
 * then answers nothing.  Mounting it needs CAP_SYS_ADMIN and /dev/fuse.
 */

#ifndef H_FUSE_H
#define H_FUSE_H

#include <sys/types.h>

struct fuse {
	pid_t server;
	int life; /* the server ends when this is closed */
	unsigned
	    *asked; /* requests so far, without those of the kernel's own */
};

enum {
	FUSE_FILE = 1, /* the root is a plain file, not a directory */
	FUSE_REFUSE = 2, /* answers ENOSYS at once: for tests that count */
	FUSE_HOLD = 4 /* the same, but never when a file is closed */
};

/* Skips the test, saying why, if there is no FUSE to be had. */
void need_fuse(void);
/*
 * Mounts one on path, in the mount namespace of the caller, which must be its
 * own.  0, or an errno value.  It ends with fuse_stop(), or with the process.
 */
int fuse_mount(struct fuse *, const char *path, int options);
/* Ends the server: everybody who waits for it gets an error. */
void fuse_stop(struct fuse *);

#endif /* H_FUSE_H */
