/*
 * SPDX-License-Identifier: BSD-2-Clause
 *
 * Copyright (c) 2026 The libgons developers
 *
 * Environment and order: the input is variables, each ended by a NUL.  What
 * is parsed, formatted and parsed again is the same; what is refused has one
 * line of text that tells why.
 */

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <gons.h>

#include "fuzz.h"

#define VARIABLES 64

static void
check_error(const struct gons_error *error)
{
	static char text[5 * sizeof(error->what) + 512];
	int len = gons_error_format(error, text, sizeof(text));

	MUST(len > 0 && (size_t)len < sizeof(text));
	MUST(strlen(text) == (size_t)len);
	one_line(text);
}

static void
check_order(const char *text)
{
	struct gons_order again, order;
	static struct gons_error error;
	char formatted[128];
	unsigned i;
	int len;

	if (gons_order_parse(text, &order, &error) == -1) {
		MUST(error.stage == GONS_STAGE_ORDER);
		check_error(&error);
		return;
	}
	len = gons_order_format(&order, formatted, sizeof(formatted));
	MUST(len > 0 && (size_t)len < sizeof(formatted));
	MUST(gons_order_parse(formatted, &again, NULL) == 0);
	MUST(again.automatic == order.automatic);
	MUST(again.nsteps == order.nsteps);
	for (i = 0; i < order.nsteps; i++) {
		MUST(again.step[i].type == order.step[i].type);
		MUST(again.step[i].early == order.step[i].early);
	}
}

/* A second opinion: the first entry of that name, by libc. */
static const char *
value_of(char **envp, const char *name)
{
	size_t len = strlen(name);

	for (; *envp != NULL; envp++)
		if (strncmp(*envp, name, len) == 0 && (*envp)[len] == '=')
			return (*envp)[len + 1] != '\0' ? *envp + len + 1
							: NULL;
	return NULL;
}

static void
check_env(char **envp)
{
	struct gons_env env;
	char name[64];
	int count, n = 0, type;

	count = gons_envparse(envp, &env);
	for (type = 0; type < GONS_NTYPES; type++) {
		(void)snprintf(
		    name, sizeof(name), "gons_%s", gons_type_name(type));
		MUST(env.path[type] == value_of(envp, name));
		n += env.path[type] != NULL;
	}
	MUST(env.order == value_of(envp, "gons_order"));
	MUST(env.target == value_of(envp, "gons_target"));
	MUST(env.onerror == value_of(envp, "gons_onerror"));
	MUST(env.action == value_of(envp, "gons_reexec_action"));
	MUST(env.ids == value_of(envp, "gons_ids"));
	n += (env.order != NULL) + (env.target != NULL) +
	     (env.onerror != NULL) + (env.action != NULL) + (env.ids != NULL);
	MUST(count == n);
	check_order(env.order);
}

int
LLVMFuzzerTestOneInput(const unsigned char *data, size_t size)
{
	char *copy, *envp[VARIABLES + 1], *p;
	size_t n = 0;

	MUST((copy = malloc(size + 1)) != NULL);
	if (size > 0)
		memcpy(copy, data, size);
	copy[size] = '\0';
	check_order(copy);
	for (p = copy; p < copy + size && n < VARIABLES; p += strlen(p) + 1)
		envp[n++] = p;
	envp[n] = NULL;
	check_env(envp);
	free(copy);
	return 0;
}
