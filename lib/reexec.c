/*
 * SPDX-License-Identifier: BSD-2-Clause
 *
 * Copyright (c) 2026 The libgons developers
 *
 * Actions: functions of the program that run in a fresh child of it, inside
 * chosen namespaces.  This part has what a program sees of them: the table of
 * actions, and requests with their settings and their outcome.  The other parts
 * of reexec.o, in the order of a run: reexec_check.c has what a child does in
 * gons_reexec_check(3), reexec_start.c starts it, reexec_prepared.c does so
 * without executing the program again, reexec_watch.c watches it until it ends,
 * reexec_outcome.c tells what came of it, and reexec_io.c has what they share.
 */

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "reexec.h"

#define DEFAULT_GRACE 1000 /* ms */
#define DEFAULT_MAXRESULT (64u << 20) /* bytes */
#define FLAGS_KNOWN                                                         \
	(GONS_REEXEC_STDERR_PASS | GONS_REEXEC_REPLY | GONS_REEXEC_SEALED | \
	    GONS_REEXEC_DIE_WITH_PARENT | GONS_REEXEC_PREPARED)

static struct action *actions;

static void *room_for(size_t size);

int
gons_reexec_register(const char *name, int (*function)(void))
{
	struct action *action;
	const unsigned char *p;
	size_t len;

	if (name == NULL || function == NULL)
		goto invalid;
	for (p = (const unsigned char *)name; *p != '\0'; p++)
		if (*p < ' ' || *p == 0x7f)
			goto invalid;
	len = strlen(name);
	if (len == 0 || len > GONS__NAME_MAX)
		goto invalid;
	if (gons__find_action(name) != NULL) {
		errno = EEXIST;
		return -1;
	}
	if ((action = room_for(sizeof(*action) + len + 1)) == NULL)
		return -1;
	memcpy(action->name, name, len + 1);
	action->function = function;
	action->next = actions;
	actions = action;
	return 0;
invalid:
	errno = EINVAL;
	return -1;
}

/*
 * Memory that is never freed.  A child that needs no more than this is spared
 * the first malloc(3), which takes longer than all else that is done here.
 */
static void *
room_for(size_t size)
{
	static char room[512] __attribute__((aligned(sizeof(void *))));
	static size_t used;

	size = (size + sizeof(void *) - 1) / sizeof(void *) * sizeof(void *);
	if (size > sizeof(room) - used)
		return malloc(size);
	used += size;
	return room + used - size;
}

const struct action *
gons__find_action(const char *name)
{
	const struct action *action;

	for (action = actions; action != NULL; action = action->next)
		if (strcmp(action->name, name) == 0)
			break;
	return action;
}

struct gons_reexec *
gons_reexec_new(const char *action)
{
	struct gons_reexec *req;
	int i;

	if (action == NULL || *action == '\0' ||
	    strlen(action) > GONS__NAME_MAX) {
		errno = EINVAL;
		return NULL;
	}
	if ((req = calloc(1, sizeof(*req))) == NULL)
		return NULL;
	if ((req->action = strdup(action)) == NULL) {
		free(req);
		return NULL;
	}
	req->target = -1;
	req->grace = DEFAULT_GRACE;
	req->timeout = -1;
	req->maxresult = DEFAULT_MAXRESULT;
	req->status = -1;
	req->epoll = -1;
	for (i = 0; i < NSRCS; i++)
		req->fd[i] = -1;
	return req;
}

void
gons_reexec_free(struct gons_reexec *req)
{
	int errnum = errno;
	size_t i;

	if (req == NULL)
		return;
	if (req->state == RUNNING && req->owner == gons__era()) {
		gons__stop(req, BY_KILL);
		(void)gons_reexec_wait(req);
	}
	gons__release(req);
	gons__forget(req);
	for (i = 0; i < req->nrefs; i++) {
		gons__close_fd(&req->ref[i].fd);
		free(req->ref[i].path);
	}
	gons__close_fd(&req->target);
	for (i = 0; i < req->nenv; i++)
		free(req->env[i]);
	free(req->env);
	free(req->order);
	free(req->param);
	free(req->keep);
	free(req->action);
	free(req);
	errno = errnum;
}

int
gons_reexec_namespace(
    struct gons_reexec *req, const char *type, const char *ref)
{
	struct reference *r = &req->ref[req->nrefs];
	int early, fd, i, known;
	unsigned u;

	if (gons__busy(req))
		return -1;
	early = type != NULL && *type == '!';
	known = gons_type_find(type != NULL ? type + early : NULL);
	if (known == -1)
		return gons__refuse(req, EINVAL,
		    "unknown namespace type \"%s\"", type != NULL ? type : "");
	for (u = 0; u < req->nrefs; u++)
		if (req->ref[u].type == known)
			return gons__refuse(req, EINVAL,
			    "duplicate namespace type \"%s\"", type + early);
	if (req->target != -1)
		return gons__refuse(req, EINVAL,
		    "a namespace cannot be set together with a target");
	i = ref == NULL || *ref == '\0' ? -2 : gons__fdref(ref);
	if (i == -2)
		return gons__refuse(req, EINVAL, "invalid %s reference \"%s\"",
		    gons_type_name(known), ref != NULL ? ref : "");
	r->type = known;
	r->early = early;
	r->fd = -1;
	r->path = NULL;
	if (i >= 0) {
		if ((fd = gons__dup_high(i)) == -1)
			return gons__refuse(req, errno,
			    "invalid %s reference \"%s\"",
			    gons_type_name(known), ref);
		r->fd = fd;
	} else if ((r->path = strdup(ref)) == NULL) {
		return gons__refuse(req, ENOMEM, "no memory");
	}
	req->nrefs++;
	return 0;
}

int
gons_reexec_setorder(struct gons_reexec *req, const char *order)
{
	struct gons_order parsed;
	struct gons_error error;
	char *copy = NULL, text[128];

	if (gons__busy(req))
		return -1;
	if (req->target != -1)
		return gons__refuse(req, EINVAL,
		    "an order cannot be set together with a target");
	if (order != NULL && *order != '\0') {
		if (gons_order_parse(order, &parsed, &error) == -1) {
			(void)gons_error_format(&error, text, sizeof(text));
			return gons__refuse(
			    req, EINVAL, "%s", gons__after(text, "gons: "));
		}
		if ((copy = strdup(order)) == NULL)
			return gons__refuse(req, ENOMEM, "no memory");
	}
	free(req->order);
	req->order = copy;
	return 0;
}

int
gons_reexec_target(struct gons_reexec *req, int pidfd, unsigned types)
{
	int fd;

	if (gons__busy(req))
		return -1;
	if ((types & ~(GONS_BIT(GONS_NTYPES) - 1)) != 0)
		return gons__refuse(
		    req, EINVAL, "unknown namespace type in the mask");
	if (req->nrefs > 0 || req->order != NULL)
		return gons__refuse(req, EINVAL,
		    "a target cannot be set together with a namespace or an "
		    "order");
	if ((fd = gons__dup_high(pidfd)) == -1)
		return gons__refuse(req, errno, "invalid target");
	gons__close_fd(&req->target);
	req->target = fd;
	req->target_types = types;
	return 0;
}

void
gons_reexec_setdata(struct gons_reexec *req, void *data)
{
	req->data = data;
}

void *
gons_reexec_data(const struct gons_reexec *req)
{
	return req->data;
}

int
gons_reexec_setcomplete(struct gons_reexec *req,
    int (*fn)(void *, const void *, size_t), void *state)
{
	if (gons__busy(req))
		return -1;
	req->complete = fn;
	req->complete_state = state;
	return 0;
}

int
gons_reexec_setenv(struct gons_reexec *req, const char *name, const char *value)
{
	char *entry, **env;
	size_t i, len;

	if (gons__busy(req))
		return -1;
	if (name == NULL || *name == '\0' || strchr(name, '=') != NULL ||
	    strncmp(name, "gons_", 5) == 0)
		return gons__refuse(req, EINVAL,
		    "the variable \"%s\" cannot be set",
		    name != NULL ? name : "");
	len = strlen(name);
	entry =
	    value != NULL ? gons__format("%s=%s", name, value) : strdup(name);
	if (entry == NULL)
		return gons__refuse(req, ENOMEM, "no memory");
	if (gons__env_index(req, name, len, &i)) {
		free(req->env[i]);
		req->env[i] = entry;
		return 0;
	}
	env = realloc(req->env, (req->nenv + 1) * sizeof(*env));
	if (env == NULL) {
		free(entry);
		return gons__refuse(req, ENOMEM, "no memory");
	}
	req->env = env;
	req->env[req->nenv++] = entry;
	return 0;
}

/* Is there a variable of that name among those of the request? */
int
gons__env_index(
    const struct gons_reexec *req, const char *name, size_t len, size_t *index)
{
	size_t i;

	for (i = 0; i < req->nenv; i++)
		if (strncmp(req->env[i], name, len) == 0 &&
		    (req->env[i][len] == '=' || req->env[i][len] == '\0')) {
			*index = i;
			return 1;
		}
	return 0;
}

int
gons_reexec_param(struct gons_reexec *req, const void *buf, size_t len)
{
	void *copy = NULL;

	if (gons__busy(req))
		return -1;
	if (len > 0) {
		if (buf == NULL)
			return gons__refuse(
			    req, EINVAL, "the parameter is missing");
		if ((copy = malloc(len)) == NULL)
			return gons__refuse(
			    req, ENOMEM, "no memory for the parameter");
		memcpy(copy, buf, len);
	}
	free(req->param);
	req->param = copy;
	req->paramlen = len;
	return 0;
}

int
gons_reexec_keepfd(struct gons_reexec *req, int fd)
{
	int *keep;

	if (gons__busy(req))
		return -1;
	if (fd >= 0 && fd <= STDERR_FILENO)
		return gons__refuse(
		    req, EINVAL, "descriptor %d is the library's to set", fd);
	if (fcntl(fd, F_GETFD) == -1)
		return gons__refuse(req, errno, "descriptor %d", fd);
	keep = realloc(req->keep, (req->nkeep + 1) * sizeof(*keep));
	if (keep == NULL)
		return gons__refuse(req, ENOMEM, "no memory");
	req->keep = keep;
	req->keep[req->nkeep++] = fd;
	return 0;
}

int
gons_reexec_setgrace(struct gons_reexec *req, int ms)
{
	if (gons__busy(req))
		return -1;
	if (ms < 0)
		return gons__refuse(req, EINVAL, "a grace period of %d ms", ms);
	req->grace = ms;
	return 0;
}

int
gons_reexec_settimeout(struct gons_reexec *req, int ms)
{
	if (gons__busy(req))
		return -1;
	if (ms < -1)
		return gons__refuse(req, EINVAL, "a timeout of %d ms", ms);
	req->timeout = ms;
	return 0;
}

int
gons_reexec_setmaxresult(struct gons_reexec *req, size_t bytes)
{
	if (gons__busy(req))
		return -1;
	/* Room for the NUL and for one byte too many. */
	req->maxresult = bytes < SIZE_MAX / 2 ? bytes : SIZE_MAX / 2;
	return 0;
}

int
gons_reexec_setflags(struct gons_reexec *req, unsigned flags)
{
	if (gons__busy(req))
		return -1;
	if ((flags & ~FLAGS_KNOWN) != 0)
		return gons__refuse(
		    req, EINVAL, "unknown flags 0x%x", flags & ~FLAGS_KNOWN);
	req->flags = flags;
	return 0;
}

/* For libgons_json: what lives as long as the outcome of this run. */
void
gons__reexec_attach(struct gons_reexec *req, void *what, void (*detach)(void *))
{
	if (req->detach != NULL)
		req->detach(req->attached);
	req->attached = what;
	req->detach = detach;
}

void *
gons__reexec_attached(const struct gons_reexec *req)
{
	return req->attached;
}

/* For libgons_json, in the callback of gons_reexec_setcomplete(): why -1. */
void
gons__reexec_reject(struct gons_reexec *req, const char *why)
{
	free(req->why);
	req->why = strdup(why);
}

/*
 * For libgons_json: the outcome is a failure after all; GONS_FAIL_NONE: it
 * stays what it is, but the caller has asked for something impossible.
 */
int
gons__reexec_fail(
    struct gons_reexec *req, int failure, int errnum, const char *why)
{
	if (failure != GONS_FAIL_NONE) {
		req->failure = (enum gons_failure)failure;
		req->errnum = errnum;
	}
	return gons__refuse(req, errnum, "%s", why);
}

const void *
gons_reexec_result(const struct gons_reexec *req, size_t *len)
{
	if (len != NULL)
		*len = req->out.len;
	return req->out.data;
}

int
gons_reexec_status(const struct gons_reexec *req)
{
	return req->state == DONE ? req->status : -1;
}

int
gons_reexec_failure(const struct gons_reexec *req)
{
	return (int)req->failure;
}

const char *
gons_reexec_error(const struct gons_reexec *req)
{
	return req->error;
}

/* What a run left behind in the request, before the next one or the end. */
void
gons__forget(struct gons_reexec *req)
{
	gons__reexec_attach(req, NULL, NULL);
	free(req->out.data);
	free(req->err.data);
	memset(&req->out, 0, sizeof(req->out));
	memset(&req->err, 0, sizeof(req->err));
	free(req->error);
	free(req->why);
	req->error = req->why = NULL;
	req->failure = GONS_FAIL_NONE;
	req->state = IDLE;
	req->cause = BY_NOBODY;
	req->timeout_at = req->grace_at = req->stop_at = req->timer_at = -1;
	req->asked = req->killed = req->reached = req->supervised = 0;
	req->ended = req->told = req->finished = 0;
	req->rejected = req->accepted = req->startup = 0;
	req->retried = req->untaken = req->again = 0;
	req->exited = req->reaped = req->kernel_tells = 0;
	req->taken_at = -1;
	req->pid = 0;
	req->errnum = 0;
	req->nhead = 0;
	req->status = -1;
}

/*
 * The descriptors of a run, and its coverage.  In a forked copy of the host
 * they are closed and nothing else: epoll(7) would serve both.
 */
void
gons__release(struct gons_reexec *req)
{
	int i;

	for (i = 0; i < NSRCS; i++)
		gons__close_fd(&req->fd[i]);
	gons__close_fd(&req->epoll);
	req->watched = 0;
	if (req->cov == NULL)
		return;
	if (req->state == RUNNING)
		gons__cov_drop(req->cov);
	else
		gons__cov_collect(req->cov);
	req->cov = NULL;
}

int
gons__busy(const struct gons_reexec *req)
{
	if (req->state != RUNNING)
		return 0;
	errno = EBUSY;
	return 1;
}
