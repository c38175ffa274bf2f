/*
 * SPDX-License-Identifier: BSD-2-Clause
 *
 * Copyright (c) 2026 The libgons developers
 *
 * The mark that start-up leaves for another copy of the library in the same
 * process, which finds no variables any more.  It takes the place of the last
 * bytes of a variable that has been removed, in the memory where the kernel has
 * put the strings of the environment:
 *
 *	6 bytes		the word, exclusive-or the key
 *	2 bytes		a check of it
 *	1 byte		MARK_BYTE
 *	1 byte		NUL, which was there before
 *
 * "gons_net=", ten bytes with its NUL, is the shortest of all variables.  What
 * comes next in memory is the text of the next variable, or the name of the
 * program (AT_EXECFN): so the mark is found by a look at the byte before each.
 *
 * The environment is its author's, who may write there what he likes.  But the
 * key comes from the random bytes that the kernel gives to each program that
 * it executes (AT_RANDOM), and they are not known before.
 */

#include <sys/auxv.h>
#include <sys/syscall.h>

#include <errno.h>
#include <signal.h>
#include <unistd.h>

#include "status.h"

#define MARK_SIZE 10
#define MARK_WORD 6
#define MARK_BYTE 0x01 /* ends hardly any variable */
#define WORD_MASK 0xffffffffffffull
#define STACK_MAX (8ul << 20) /* more the kernel gives to no environment */
#define PAGE_MIN 4096

/*
 * Where the strings end; 0 if the array is not one that the kernel made.
 * Between the array and there all is mapped.
 */
static uintptr_t
strings_end(char **envp)
{
	uintptr_t at = (uintptr_t)envp, top = getauxval(AT_EXECFN);

	return at < top && top - at < STACK_MAX ? top : 0;
}

/*
 * Neither number can be found out from the key: libc keeps its own secrets in
 * them.
 */
static uint64_t
mark_key(void)
{
	const void *random = (const void *)getauxval(AT_RANDOM);
	uint64_t r[2];

	gons__zero(r, sizeof(r));
	if (random != NULL)
		gons__copy(r, random, sizeof(r));
	return (r[0] ^ (r[1] << 29 | r[1] >> 35)) * 0x9e3779b97f4a7c15ull;
}

static unsigned
mark_check(uint64_t word, uint64_t key)
{
	return (unsigned)(((word + 1) * (key | 1)) >> 48);
}

void
gons__mark_leave(char **envp, char *entry, uint64_t word)
{
	uintptr_t top = strings_end(envp), end;
	uint64_t key, bits;
	unsigned char *p;
	int i;

	end = (uintptr_t)entry + gons__strlen(entry) + 1;
	if ((uintptr_t)entry <= (uintptr_t)envp || end > top)
		return;
	if (word > WORD_MASK)
		word = 0;
	key = mark_key();
	bits = (word ^ key) & WORD_MASK;
	bits |= (uint64_t)mark_check(word, key) << 8 * MARK_WORD;
	p = (unsigned char *)end - MARK_SIZE;
	for (i = 0; i < MARK_SIZE - 2; i++)
		p[i] = (unsigned char)(bits >> 8 * i);
	p[i] = MARK_BYTE;
}

static int
mark_before(const char *text, uint64_t *word)
{
	const unsigned char *p = (const unsigned char *)text - MARK_SIZE;
	uint64_t key = mark_key(), bits = 0;
	int i;

	for (i = 0; i < MARK_SIZE - 2; i++)
		bits |= (uint64_t)p[i] << 8 * i;
	*word = (bits ^ key) & WORD_MASK;
	return p[MARK_SIZE - 1] == '\0' &&
	       bits >> 8 * MARK_WORD == mark_check(*word, key);
}

int
gons__mark_find(char **envp, uint64_t *word)
{
	uintptr_t bottom = (uintptr_t)envp + MARK_SIZE, top;
	const char *text;

	if ((top = strings_end(envp)) == 0)
		return 0;
	do {
		text = *envp != NULL ? *envp : (const char *)top;
		if ((uintptr_t)text > bottom && (uintptr_t)text <= top &&
		    text[-2] == MARK_BYTE && mark_before(text, word))
			return 1;
	} while (*envp++ != NULL);
	return 0;
}

uint64_t
gons__mark_seal(const void *p)
{
	return (mark_key() ^ (uintptr_t)p) * 0xc2b2ae3d27d4eb4full;
}

/*
 * The kernel reads a set of signals before it looks what to do with them, so
 * it can be asked whether there is something to read.
 */
static int
readable(uintptr_t at)
{
	int saved = errno, yes;

	yes = syscall(SYS_rt_sigprocmask, -1, at, NULL, _NSIG / 8) == -1 &&
	      errno != EFAULT;
	errno = saved;
	return yes;
}

int
gons__mark_readable(const void *p, size_t len)
{
	uintptr_t at = (uintptr_t)p, last = at + len - _NSIG / 8;

	if (at > last)
		return 0;
	for (; at < last; at += PAGE_MIN)
		if (!readable(at))
			return 0;
	return readable(last);
}
