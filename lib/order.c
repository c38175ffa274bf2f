/*
 * SPDX-License-Identifier: BSD-2-Clause
 *
 * Copyright (c) 2026 The libgons developers
 *
 * The order in which namespaces are joined: from the text of gons_order to
 * struct gons_order and back.
 */

#include <errno.h>

#include "internal.h"

#define DEFAULT_ORDER "!user,!mnt,!cgroup,!ipc,!net,!pid,!time,!uts"
#define AUTO "auto"

static int
refuse(struct gons_error *error, int hint, const char *name, size_t len)
{
	if (error != NULL) {
		gons__error_set(error, GONS_STAGE_ORDER, EINVAL, -1, NULL);
		error->hint = hint;
		if (len >= sizeof(error->what))
			len = sizeof(error->what) - 1;
		gons__copy(error->what, name, len);
		if (hint == GONS_HINT_DUPLICATE)
			error->type = gons_type_find(error->what);
	}
	errno = EINVAL;
	return -1;
}

static int
parse_element(const char *text, size_t len, struct gons_order *order,
    struct gons_error *error)
{
	const char *name = text, *rest;
	unsigned i;
	int early, type;

	early = len > 1 && *name == '!';
	if (early) {
		name++;
		len--;
	}
	for (type = 0; type < GONS_NTYPES; type++) {
		rest = gons__after(name, gons_type_name(type));
		if (rest == name + len)
			break;
	}
	if (type == GONS_NTYPES)
		return refuse(error, GONS_HINT_UNKNOWN, name, len);
	for (i = 0; i < order->nsteps; i++)
		if (order->step[i].type == type)
			return refuse(error, GONS_HINT_DUPLICATE, name, len);
	order->step[i].type = type;
	order->step[i].early = early || order->automatic;
	order->nsteps++;
	return 0;
}

/* One comma may end the list; anywhere else it stands between two types. */
static int
parse_list(const char *text, struct gons_order *order, struct gons_error *error)
{
	size_t len;

	do {
		for (len = 0; text[len] != '\0' && text[len] != ','; len++)
			continue;
		if (parse_element(text, len, order, error) == -1)
			return -1;
		text += len;
		if (*text == ',')
			text++;
	} while (*text != '\0');
	return 0;
}

int
gons_order_parse(
    const char *text, struct gons_order *order, struct gons_error *error)
{
	struct gons_order parsed;
	const char *rest;

	gons__zero(&parsed, sizeof(parsed));
	if (text == NULL || *text == '\0')
		text = DEFAULT_ORDER;
	if ((rest = gons__after(text, AUTO)) != NULL &&
	    (*rest == '\0' || *rest == ':')) {
		parsed.automatic = 1;
		text = *rest == ':' ? rest + 1 : DEFAULT_ORDER;
	}
	if (parse_list(text, &parsed, error) == -1)
		return -1;
	gons__copy(order, &parsed, sizeof(*order));
	return 0;
}

/*
 * Could gons_order_parse() have made it?  At least one step, each type known
 * and there once.
 */
int
gons__order_valid(const struct gons_order *order)
{
	unsigned i, seen = 0;
	int type;

	if (order->nsteps == 0 || order->nsteps > GONS_MAXTYPES)
		return 0;
	for (i = 0; i < order->nsteps; i++) {
		type = order->step[i].type;
		if (gons_type_name(type) == NULL ||
		    (seen & GONS_BIT(type)) != 0)
			return 0;
		seen |= GONS_BIT(type);
	}
	return 1;
}

static int
is_default(const struct gons_order *order)
{
	struct gons_order whole;
	unsigned i;

	if (gons_order_parse(NULL, &whole, NULL) == -1 ||
	    order->nsteps != whole.nsteps)
		return 0;
	for (i = 0; i < whole.nsteps; i++)
		if (order->step[i].type != whole.step[i].type)
			return 0;
	return 1;
}

int
gons_order_format(const struct gons_order *order, char *buf, size_t len)
{
	struct gons__text text = { buf, len, 0 };
	unsigned i;

	if (!gons__order_valid(order)) {
		errno = EINVAL;
		return -1;
	}
	if (order->automatic) {
		gons__text_str(&text, AUTO);
		if (is_default(order))
			return gons__text_end(&text);
		gons__text_char(&text, ':');
	}
	for (i = 0; i < order->nsteps; i++) {
		if (i > 0)
			gons__text_char(&text, ',');
		if (order->step[i].early && !order->automatic)
			gons__text_char(&text, '!');
		gons__text_str(&text, gons_type_name(order->step[i].type));
	}
	return gons__text_end(&text);
}
