/*
 * SPDX-License-Identifier: BSD-2-Clause
 *
 * Copyright (c) 2026 The libgons developers
 *
 * What a re-executed child is told to do, as somebody may say it who sets
 * gons_reexec_action himself: a name comes out only if all before it is well
 * formed, and then every number is what libc makes of it.
 */

#include <limits.h>
#include <string.h>

#include "fuzz.h"
#include "internal.h"

#define NAME "gons_reexec_action="
#define DIGITS 15 /* more are no number of ours */

/* A field of digits, or empty: otherwise is left in its place then. */
static int
number(const char *field, int otherwise, long long *value)
{
	size_t len = strlen(field);

	if (len > DIGITS || strspn(field, "0123456789") != len)
		return -1;
	*value = len > 0 ? strtoll(field, NULL, 10) : otherwise;
	return *value <= INT_MAX ? 0 : -1;
}

/* A second opinion: FLAGS:FD,FD,FD,FD,FD:NAME.  Changes the text. */
static int
expected(char *text, long long *flags, long long *fd, const char **name)
{
	char *field, *list, *rest = text;
	int i;

	if ((field = strsep(&rest, ":")) == NULL || rest == NULL ||
	    number(field, 0, flags) == -1)
		return -1;
	if ((list = strsep(&rest, ":")) == NULL || rest == NULL)
		return -1;
	for (i = 0; i < GONS__NFDS; i++)
		if ((field = strsep(&list, ",")) == NULL ||
		    number(field, -1, &fd[i]) == -1)
			return -1;
	*name = rest;
	return list == NULL && strlen(rest) <= GONS__NAME_MAX ? 0 : -1;
}

int
LLVMFuzzerTestOneInput(const unsigned char *data, size_t size)
{
	const struct gons__action *action;
	long long fd[GONS__NFDS], flags = 0;
	char *env[2], *entry, *text;
	const char *name;
	int i;

	MUST((entry = malloc(sizeof(NAME) + size)) != NULL);
	memcpy(entry, NAME, sizeof(NAME));
	text = entry + sizeof(NAME) - 1;
	if (size > 0)
		memcpy(text, data, size);
	text[size] = '\0';
	env[0] = entry;
	env[1] = NULL;
	gons__status_again(env);
	MUST(env[0] == NULL && gons_status_error() == NULL);
	action = gons__status_action();
	MUST((action != NULL) == (*text != '\0'));
	if (action != NULL && expected(text, &flags, fd, &name) == -1) {
		MUST(action->name[0] == '\0');
	} else if (action != NULL) {
		MUST(strcmp(action->name, name) == 0);
		MUST(action->flags == (unsigned)flags);
		for (i = 0; i < GONS__NFDS; i++)
			MUST(action->fd[i] == fd[i]);
	}
	free(entry);
	return 0;
}
