/*
 * SPDX-License-Identifier: BSD-2-Clause
 *
 * Copyright (c) 2026 The libgons developers
 *
 * h_sane argument...: prints all that a program can know of its own start: the
 * arguments, the environment, and the auxiliary vector, as libc has it and as
 * it is found behind the end of the environment.  Never names libgons.
 */

#include <sys/auxv.h>

#include <elf.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define KEY_MAX 64 /* the kernel's are below */
#define PAIRS_MAX 512

extern char **environ;

/* The number of pairs that a walk finds, or -1: it does not end. */
static int
walk(char **envp)
{
	unsigned long *pair;
	int pairs;

	while (*envp != NULL)
		envp++;
	pair = (unsigned long *)(void *)(envp + 1);
	for (pairs = 0; pairs < PAIRS_MAX; pairs++, pair += 2) {
		if (pair[0] == AT_NULL)
			return pairs;
		if (pair[0] > KEY_MAX)
			return -1;
		if (pair[0] == AT_PAGESZ &&
		    pair[1] != (unsigned long)sysconf(_SC_PAGESIZE))
			return -1;
	}
	return -1;
}

int
main(int argc, char *argv[], char *envp[])
{
	int i;

	for (i = 0; i <= argc; i++)
		(void)printf("argv %s\n", argv[i] != NULL ? argv[i] : "-");
	(void)printf("environ %s\n", environ == envp ? "main's" : "another");
	for (i = 0; envp[i] != NULL; i++)
		(void)printf("envp %s\n", envp[i]);
	(void)printf("FIRST %s\n", getenv("FIRST"));
	(void)printf("LAST %s\n", getenv("LAST"));
	(void)printf("page size %s\n",
	    getauxval(AT_PAGESZ) == (unsigned long)sysconf(_SC_PAGESIZE)
		? "right"
		: "wrong");
	(void)printf("random %s\n", getauxval(AT_RANDOM) != 0 ? "set" : "0");
	(void)printf("name %s\n",
	    getauxval(AT_EXECFN) != 0 ? (char *)getauxval(AT_EXECFN) : "-");
	(void)printf("walk %s\n", walk(envp) >= 0 ? "ends" : "goes astray");
	return 0;
}
