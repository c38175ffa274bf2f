/*
 * SPDX-License-Identifier: BSD-2-Clause
 *
 * Copyright (c) 2026 The libgons developers
 *
 * Prints the listening sockets of every network namespace of the host that
 * has a process.  One thread goes from namespace to namespace, and no process
 * is started.  See gons_visit(3).
 *
 *	cc -o sockets sockets.c $(pkg-config --cflags --libs gons)
 *	./sockets
 */

#define _GNU_SOURCE

#include <arpa/inet.h>
#include <sys/stat.h>

#include <err.h>
#include <fcntl.h>
#include <glob.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <gons.h>

struct netns {
	ino_t ino; /* which one it is; the device is always the same */
	int fd;
};

struct entry {
	ino_t ino;
	char kind[5];
	unsigned port;
	char address[INET6_ADDRSTRLEN];
};

static struct netns *found;
static struct entry *entries;
static size_t nfound, nentries;

static int
compare_netns(const void *a, const void *b)
{
	const struct netns *x = a, *y = b;

	return x->ino < y->ino ? -1 : x->ino > y->ino;
}

static int
compare_entries(const void *a, const void *b)
{
	const struct entry *x = a, *y = b;
	int r = strcmp(x->kind, y->kind);

	if (x->ino != y->ino)
		return x->ino < y->ino ? -1 : 1;
	if (r != 0)
		return r;
	if (x->port != y->port)
		return x->port < y->port ? -1 : 1;
	return strcmp(x->address, y->address);
}

/* Opens each namespace once: after that its processes may end. */
static void
find(void)
{
	struct stat st;
	glob_t files;
	size_t i, n = 0;
	int fd;

	if (glob("/proc/[0-9]*/ns/net", 0, NULL, &files) != 0)
		errx(1, "nothing to be seen in /proc");
	if ((found = calloc(files.gl_pathc, sizeof(*found))) == NULL)
		err(1, "calloc");
	for (i = 0; i < files.gl_pathc; i++)
		if (stat(files.gl_pathv[i], &st) == 0) {
			found[n].ino = st.st_ino;
			found[n++].fd = (int)i;
		}
	qsort(found, n, sizeof(*found), compare_netns);
	for (i = 0; i < n; i++) {
		if (nfound > 0 && found[nfound - 1].ino == found[i].ino)
			continue;
		fd = open(files.gl_pathv[found[i].fd], O_RDONLY | O_CLOEXEC);
		if (fd == -1)
			continue; /* has ended, or is not ours */
		found[nfound].ino = found[i].ino;
		found[nfound++].fd = fd;
	}
	globfree(&files);
}

static void
add(ino_t ino, const char *kind, const uint32_t *address, int words,
    unsigned port)
{
	struct entry *e;

	e = realloc(entries, (nentries + 1) * sizeof(*entries));
	if (e == NULL)
		err(1, "realloc");
	entries = e;
	e = &entries[nentries++];
	e->ino = ino;
	e->port = port;
	snprintf(e->kind, sizeof(e->kind), "%s", kind);
	inet_ntop(words == 1 ? AF_INET : AF_INET6, address, e->address,
	    sizeof(e->address));
}

/* A file of /proc: addresses are 32-bit words in hexadecimal digits. */
static void
read_table(ino_t ino, const char *kind, unsigned listening)
{
	char path[64], line[512], digits[33];
	uint32_t address[4];
	unsigned port, state, word;
	int i, words;
	FILE *f;

	snprintf(path, sizeof(path), "/proc/thread-self/net/%s", kind);
	if ((f = fopen(path, "re")) == NULL)
		return; /* a kernel without IPv6 */
	while (fgets(line, sizeof(line), f) != NULL) {
		if (sscanf(line, " %*u: %32[0-9A-F]:%x %*[0-9A-F]:%*x %x",
			digits, &port, &state) != 3 ||
		    state != listening)
			continue;
		words = strlen(digits) == 8 ? 1 : 4;
		for (i = 0; i < words; i++) {
			sscanf(digits + 8 * i, "%8x", &word);
			address[i] = word;
		}
		add(ino, kind, address, words, port);
	}
	fclose(f);
}

/* In the visit: hops from one to the next. */
static int
look(void *arg)
{
	int *progress = arg;
	struct gons_error error;
	struct gons_env env = { 0 };
	char ref[32], why[1024];
	size_t i;

	for (i = 0; i < nfound; i++) {
		snprintf(ref, sizeof(ref), "fd:%d", found[i].fd);
		env.path[GONS_NET] = ref;
		if (gons_switch(&env, NULL, &error) == -1) {
			gons_error_format(&error, why, sizeof(why));
			warnx("net:[%ju]: %s", (uintmax_t)found[i].ino, why);
			continue;
		}
		read_table(found[i].ino, "tcp", 10); /* TCP_LISTEN */
		read_table(found[i].ino, "tcp6", 10);
		read_table(found[i].ino, "udp", 7); /* not connected */
		read_table(found[i].ino, "udp6", 7);
		if (*progress)
			fprintf(stderr, "\r%zu of %zu", i + 1, nfound);
	}
	if (*progress)
		fprintf(stderr, "\r\033[K");
	return 0;
}

int
main(void)
{
	struct gons_env nowhere = { 0 };
	struct gons_error error;
	int progress = isatty(STDERR_FILENO);
	char why[1024];
	size_t i;

	find();
	if (gons_visit(&nowhere, NULL, look, &progress, NULL, &error) == -1) {
		gons_error_format(&error, why, sizeof(why));
		errx(1, "%s", why);
	}
	qsort(entries, nentries, sizeof(*entries), compare_entries);
	for (i = 0; i < nentries; i++)
		printf("net:[%ju] %s %s %u\n", (uintmax_t)entries[i].ino,
		    entries[i].kind, entries[i].address, entries[i].port);
	free(entries);
	free(found);
	return 0;
}
