/*
 * SPDX-License-Identifier: BSD-2-Clause
 *
 * Copyright (c) 2026 The libgons developers
 *
 * The exit of a host with children that wait and have counted what they
 * executed, see gons_coverage(7): an exit handler ends them and collects that.
 * Without coverage there is none, and they end by themselves.
 */

#include <pthread.h>
#include <stdlib.h>
#include <string.h>

#include "reexec.h"

struct counting {
	struct counting *older; /* of the process that this is a copy of */
	unsigned era; /* whose it is */
	pthread_mutex_t lock;
	struct idle *first;
};
static struct counting *list;

/* As that of a pool: a forked copy has its own. */
static struct counting *
lock_list(void)
{
	struct counting *all = __atomic_load_n(&list, __ATOMIC_ACQUIRE), *mine;

	while (all == NULL || all->era != gons__era()) {
		if ((mine = calloc(1, sizeof(*mine))) == NULL)
			return NULL;
		mine->older = all;
		mine->era = gons__era();
		(void)pthread_mutex_init(&mine->lock, NULL);
		if (__atomic_compare_exchange_n(&list, &all, mine, 0,
			__ATOMIC_ACQ_REL, __ATOMIC_ACQUIRE))
			all = mine;
		else
			free(mine);
	}
	(void)pthread_mutex_lock(&all->lock);
	return all;
}

/* Takes one over, whose request may be another thread's. */
static int
take_first(struct idle *mine)
{
	struct counting *all = lock_list();
	struct idle *idle = all != NULL ? all->first : NULL;

	if (idle != NULL) {
		all->first = idle->next;
		*mine = *idle;
		memset(&mine->standing, 0, sizeof(mine->standing));
		idle->is = 0; /* noted: its request looks at the list */
		idle->cov = NULL;
		gons__child_init(&idle->child);
	}
	if (all != NULL)
		(void)pthread_mutex_unlock(&all->lock);
	return idle != NULL;
}

static void
end_all(void)
{
	struct settings set;
	struct idle idle;

	gons__settings_init(&set);
	while (take_first(&idle)) {
		set.grace = idle.grace;
		(void)gons__run_end(&set, &idle);
	}
}

void
gons__exit_note(const struct settings *set, struct idle *idle)
{
	static int registered;
	struct counting *all;

	if (!idle->is || idle->cov == NULL || idle->noted)
		return;
	if (__atomic_exchange_n(&registered, 1, __ATOMIC_ACQ_REL) == 0)
		(void)atexit(end_all);
	if ((all = lock_list()) == NULL)
		return;
	idle->grace = set->grace;
	idle->noted = 1;
	idle->next = all->first;
	all->first = idle;
	(void)pthread_mutex_unlock(&all->lock);
}

void
gons__exit_forget(struct idle *idle)
{
	struct counting *all;
	struct idle **at;

	if (!idle->noted || (all = lock_list()) == NULL)
		return;
	for (at = &all->first; *at != NULL; at = &(*at)->next)
		if (*at == idle) {
			*at = idle->next;
			break;
		}
	idle->noted = 0;
	(void)pthread_mutex_unlock(&all->lock);
}
