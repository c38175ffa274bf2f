/*
 * SPDX-License-Identifier: BSD-2-Clause
 *
 * Copyright (c) 2026 The libgons developers
 *
 * What start-up takes out of an environment, with all that makes it refuse one:
 * unknown variables if gons_onerror is set, and gons_ids.  The input is
 * variables, each ended by a NUL; the first byte of each stands for the
 * beginning of its name, if it is one of a few.
 */

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include <gons.h>

#include "fuzz.h"
#include "internal.h"

#define VARIABLES 64

static const struct {
	char letter;
	const char *text;
} beginnings[] = { { 'I', "gons_ids=" }, { 'E', "gons_onerror=" },
	{ 'G', "gons_" }, { 'N', "gons_net=" } };

static char *
entry(const char *from)
{
	const char *begins = "";
	char *copy;
	size_t i, room;

	for (i = 0; i < sizeof(beginnings) / sizeof(*beginnings); i++)
		if (*from == beginnings[i].letter) {
			begins = beginnings[i].text;
			from++;
			break;
		}
	room = strlen(begins) + strlen(from) + 1;
	MUST((copy = malloc(room)) != NULL);
	memcpy(copy, begins, strlen(begins));
	memcpy(copy + strlen(begins), from, strlen(from) + 1);
	return copy;
}

/* A second opinion: one of ours, whatever its value. */
static int
is_ours(const char *text)
{
	const char *name;
	size_t len;
	int var;

	if (strncmp(text, "gons_", 5) != 0)
		return 0;
	for (var = 0; (name = gons__varname(var)) != NULL; var++) {
		len = strlen(name);
		if (strncmp(text + 5, name, len) == 0 && text[5 + len] == '=')
			return 1;
	}
	return 0;
}

static int
is_unknown(const char *text)
{
	const char *equals = strchr(text, '=');

	return strncmp(text, "gons_", 5) == 0 && !is_ours(text) &&
	       equals != NULL && equals[1] != '\0';
}

/* What is not ours stays, in its order; what has been taken is gone. */
static void
check_taken(char **before, char **after)
{
	const char *unknown = NULL;
	struct gons__asked asked;
	struct gons_env env;
	char **end;
	int count = gons_envparse(before, &env), ours = 0;

	end = gons__envtake(after, &asked);
	for (; *before != NULL; before++) {
		if (is_ours(*before)) {
			ours = 1;
			continue;
		}
		if (unknown == NULL && is_unknown(*before))
			unknown = *before;
		MUST(*after++ == *before);
	}
	MUST((end != NULL) == ours);
	if (end == NULL)
		return;
	MUST(*after == NULL && end == after + 1);
	MUST(asked.unknown == unknown);
	MUST(asked.count == count);
	MUST(memcmp(&asked.env, &env, sizeof(env)) == 0);
}

/* "UID:GID", both of them below the number that means "unchanged". */
static int
is_id(const char *text, size_t len)
{
	size_t i;

	if (len == 0 || strspn(text, "0123456789") < len)
		return 0;
	for (i = 0; i + 1 < len && text[i] == '0';)
		i++;
	return len - i <= 10 && strtoull(text + i, NULL, 10) < 4294967295u;
}

static int
are_ids(const char *text)
{
	const char *colon = strchr(text, ':');

	return colon != NULL && is_id(text, (size_t)(colon - text)) &&
	       is_id(colon + 1, strlen(colon + 1));
}

/* All is checked before anything is opened, and that fails here. */
static void
check_ids(const char *ids)
{
	static char text[5 * sizeof(((struct gons_error *)0)->what) + 512];
	struct gons_error error;
	struct gons_env env;
	unsigned joined = 0;

	memset(&env, 0, sizeof(env));
	env.ids = ids;
	env.path[GONS_NET] = "/dev/null/nothing";
	MUST(gons__switch(&env, NULL, &error, GONS__SWITCH_SINGLE, &joined) ==
	     -1);
	MUST(joined == 0);
	if (ids == NULL || are_ids(ids))
		MUST(error.stage == GONS_STAGE_OPEN && error.errnum == ENOTDIR);
	else
		MUST(error.stage == GONS_STAGE_IDS && error.errnum == EINVAL);
	MUST((size_t)gons_error_format(&error, text, sizeof(text)) ==
	     strlen(text));
	one_line(text);
}

/* An unknown variable is an error where errors end the program. */
static void
check_strict(char **envp)
{
	char *after[VARIABLES + 2];
	struct gons__asked asked;
	const char *unknown = NULL;
	size_t n;

	after[0] = (char *)(uintptr_t) "gons_onerror=exit";
	for (n = 0; envp[n] != NULL; n++)
		after[n + 1] = envp[n];
	after[n + 1] = NULL;
	for (n = 0; envp[n] != NULL && unknown == NULL; n++)
		if (is_unknown(envp[n]))
			unknown = envp[n];
	MUST(gons__envtake(after, &asked) != NULL);
	MUST(strcmp(asked.env.onerror, "exit") == 0);
	MUST(asked.unknown == unknown);
}

int
LLVMFuzzerTestOneInput(const unsigned char *data, size_t size)
{
	char *after[VARIABLES + 1], *before[VARIABLES + 1], *copy, *p;
	size_t i, n = 0;
	struct gons_env env;

	MUST((copy = malloc(size + 1)) != NULL);
	if (size > 0)
		memcpy(copy, data, size);
	copy[size] = '\0';
	for (p = copy; p < copy + size && n < VARIABLES; p += strlen(p) + 1)
		before[n++] = entry(p);
	before[n] = NULL;
	memcpy(after, before, sizeof(after));
	(void)gons_envparse(before, &env);
	check_ids(env.ids);
	check_strict(before);
	check_taken(before, after);
	for (i = 0; i < n; i++)
		free(before[i]);
	free(copy);
	return 0;
}
