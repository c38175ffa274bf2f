/*
 * SPDX-License-Identifier: BSD-2-Clause
 *
 * Copyright (c) 2026 The libgons developers
 *
 * Prints a file of a container, as the container sees it.  No link in there,
 * whatever it says, leads to a file of the host.  See gons_socket(3).
 *
 *	cc -o cat-in cat-in.c $(pkg-config --cflags --libs gons)
 *	./cat-in 4711 /etc/os-release
 */

#include <sys/stat.h>

#include <err.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include <gons.h>

int
main(int argc, char *argv[])
{
	struct gons_error error;
	char buf[65536], ref[64], why[1024];
	struct stat st;
	ssize_t n;
	int fd, root;

	if (argc != 3)
		errx(2, "usage: cat-in PID FILE");
	snprintf(ref, sizeof(ref), "/proc/%d/ns/mnt", atoi(argv[1]));
	if ((root = gons_root(ref, &error)) == -1) {
		gons_error_format(&error, why, sizeof(why));
		errx(1, "%s", why);
	}
	if ((fd = gons_openat(root, argv[2], O_RDONLY)) == -1)
		err(1, "%s", argv[2]);
	/* a FIFO is opened, too, and would have no end */
	if (fstat(fd, &st) == -1 || !S_ISREG(st.st_mode))
		errx(1, "%s: not a regular file", argv[2]);
	while ((n = read(fd, buf, sizeof(buf))) > 0)
		if (fwrite(buf, 1, (size_t)n, stdout) != (size_t)n)
			err(1, "stdout");
	if (n == -1)
		err(1, "%s", argv[2]);
	if (fflush(stdout) == EOF)
		err(1, "stdout");
	return 0;
}
