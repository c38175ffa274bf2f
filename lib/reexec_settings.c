/*
 * SPDX-License-Identifier: BSD-2-Clause
 *
 * Copyright (c) 2026 The libgons developers
 *
 * The settings of a request.  Each function copies what it is given, and
 * leaves the request as it was when it fails.
 */

#include <sys/syscall.h>

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "reexec.h"

#define FLAGS_KNOWN                                                         \
	(GONS_REEXEC_STDERR_PASS | GONS_REEXEC_REPLY | GONS_REEXEC_SEALED | \
	    GONS_REEXEC_DIE_WITH_PARENT | GONS_REEXEC_PREPARED |            \
	    GONS_REEXEC_STDERR_KEEP | GONS_REEXEC_STAY)
#define MAXFDS_MAX 65536
#define DEFAULT_GRACE 1000 /* ms */
#define DEFAULT_MAXRESULT (64u << 20) /* bytes */

static int
no_memory(struct gons_reexec *req)
{
	return gons__refuse(&req->set, &req->outcome, ENOMEM, "no memory");
}

/* Is there a variable of that name among those of the request? */
int
gons__env_index(
    const struct settings *set, const char *name, size_t len, size_t *index)
{
	size_t i;

	for (i = 0; i < set->nenv; i++)
		if (strncmp(set->env[i], name, len) == 0 &&
		    (set->env[i][len] == '=' || set->env[i][len] == '\0')) {
			*index = i;
			return 1;
		}
	return 0;
}

void
gons__settings_init(struct settings *set)
{
	memset(set, 0, sizeof(*set));
	set->target.fd = -1;
	set->grace = DEFAULT_GRACE;
	set->timeout = -1;
	set->maxresult = DEFAULT_MAXRESULT;
}

/* Without an identity it is closed all the same: it would be lost. */
static void
drop_kept(struct kept *kept)
{
	if (gons__seems_kept(kept))
		fd_close(&kept->fd);
	kept->fd = -1;
}

void
gons__settings_free(struct settings *set)
{
	size_t i;

	for (i = 0; i < set->nrefs; i++) {
		drop_kept(&set->ref[i].kept);
		free(set->ref[i].text);
	}
	drop_kept(&set->target);
	for (i = 0; i < set->nenv; i++)
		free(set->env[i]);
	free(set->env);
	free(set->order);
	free(set->ids);
	free(set->param);
	free(set->keep);
	free(set->action);
}

const char *
gons__settings_closed(const struct settings *set)
{
	unsigned i;

	if (set->target.fd != -1 && !gons__seems_kept(&set->target))
		return set->target_text;
	for (i = 0; i < set->nrefs; i++)
		if (set->ref[i].kept.fd != -1 &&
		    !gons__seems_kept(&set->ref[i].kept))
			return set->ref[i].text;
	return NULL;
}

int
gons__may_join_pid(const struct settings *set)
{
	unsigned i;

	if (set->target.fd != -1)
		return set->target_types == 0 ||
		       (set->target_types & GONS_BIT(GONS_PID)) != 0;
	for (i = 0; i < set->nrefs; i++)
		if (set->ref[i].type == GONS_PID)
			return 1;
	return 0;
}

int
gons__may_be_supervised(const struct settings *set)
{
	return (set->flags & GONS_REEXEC_DIE_WITH_PARENT) != 0 ||
	       gons__may_join_pid(set);
}

/* Why the type cannot be added, or 0. */
static int
refuse_type(struct gons_reexec *req, const char *type, int known)
{
	struct settings *set = &req->set;
	unsigned i;

	if (known == -1)
		return gons__refuse(set, &req->outcome, EINVAL,
		    "unknown namespace type \"%s\"", type != NULL ? type : "");
	for (i = 0; i < set->nrefs; i++)
		if (set->ref[i].type == known)
			return gons__refuse(set, &req->outcome, EINVAL,
			    "duplicate namespace type \"%s\"",
			    gons_type_name(known));
	if (set->target.fd != -1)
		return gons__refuse(set, &req->outcome, EINVAL,
		    "a namespace cannot be set together with a target");
	return 0;
}

int
gons_reexec_namespace(
    struct gons_reexec *req, const char *type, const char *ref)
{
	struct settings *set = &req->set;
	struct reference *r = &set->ref[set->nrefs];
	int early, fd, known;

	if (gons__busy(req))
		return -1;
	early = type != NULL && *type == '!';
	known = gons_type_find(type != NULL ? type + early : NULL);
	if (refuse_type(req, type, known) != 0)
		return -1;
	fd = ref == NULL || *ref == '\0' ? -2 : gons__fdref(ref);
	if (fd == -2)
		return gons__refuse(set, &req->outcome, EINVAL,
		    "invalid %s reference \"%s\"", gons_type_name(known),
		    ref != NULL ? ref : "");
	if (fd >= 0 && (fd = fd_dup(fd)) == -1)
		return gons__refuse(set, &req->outcome, errno,
		    "invalid %s reference \"%s\": %s", gons_type_name(known),
		    ref, strerror(errno));
	r->type = known;
	r->early = early;
	gons__keep(&r->kept, fd);
	if ((r->text = strdup(ref)) == NULL) {
		drop_kept(&r->kept);
		return no_memory(req);
	}
	set->nrefs++;
	set->version++;
	return 0;
}

int
gons_reexec_setorder(struct gons_reexec *req, const char *order)
{
	struct settings *set = &req->set;
	struct gons_order parsed;
	struct gons_error error;
	char *copy = NULL, text[128];

	if (gons__busy(req))
		return -1;
	if (set->target.fd != -1)
		return gons__refuse(set, &req->outcome, EINVAL,
		    "an order cannot be set together with a target");
	if (order != NULL && *order != '\0') {
		if (gons_order_parse(order, &parsed, &error) == -1) {
			(void)gons_error_format(&error, text, sizeof(text));
			return gons__refuse(set, &req->outcome, EINVAL, "%s",
			    gons__after(text, "gons: "));
		}
		if ((copy = strdup(order)) == NULL)
			return no_memory(req);
	}
	free(set->order);
	set->order = copy;
	set->version++;
	return 0;
}

/* Takes over the descriptor. */
static int
set_target(
    struct gons_reexec *req, int fd, unsigned types, const char *fmt, int n)
{
	struct settings *set = &req->set;

	if ((types & ~(GONS_BIT(GONS_NTYPES) - 1)) != 0) {
		fd_close(&fd);
		return gons__refuse(set, &req->outcome, EINVAL,
		    "unknown namespace type in the mask");
	}
	if (set->nrefs > 0 || set->order != NULL) {
		fd_close(&fd);
		return gons__refuse(set, &req->outcome, EINVAL,
		    "a target cannot be set together with a namespace or an "
		    "order");
	}
	if (fd == -1)
		return gons__refuse(set, &req->outcome, errno,
		    "invalid target: %s", strerror(errno));
	drop_kept(&set->target);
	gons__keep_pidfd(&set->target, fd);
	set->target_types = types;
	(void)snprintf(set->target_text, sizeof(set->target_text),
	    *fmt == 'P' ? "PID %d" : "fd:%d", n);
	set->version++;
	return 0;
}

int
gons_reexec_target(struct gons_reexec *req, int pidfd, unsigned types)
{
	if (gons__busy(req))
		return -1;
	return set_target(req, fd_dup(pidfd), types, "fd", pidfd);
}

int
gons_reexec_targetpid(struct gons_reexec *req, pid_t pid, unsigned types)
{
	int fd;

	if (gons__busy(req))
		return -1;
	if (pid <= 0)
		return gons__refuse(&req->set, &req->outcome, EINVAL,
		    "invalid target PID %d", (int)pid);
	fd = (int)syscall(SYS_pidfd_open, pid, 0);
	if (fd == -1)
		return gons__refuse(&req->set, &req->outcome, errno,
		    "PID %d cannot be the target: %s", (int)pid,
		    strerror(errno));
	return set_target(req, fd_high(fd), types, "PID", (int)pid);
}

int
gons_reexec_setids(struct gons_reexec *req, uid_t uid, gid_t gid)
{
	char *text;

	if (gons__busy(req))
		return -1;
	if (uid == (uid_t)-1 || gid == (gid_t)-1)
		return gons__refuse(&req->set, &req->outcome, EINVAL,
		    "no ids can be set to %u:%u", (unsigned)uid, (unsigned)gid);
	text = gons__format("%u:%u", (unsigned)uid, (unsigned)gid);
	if (text == NULL)
		return no_memory(req);
	free(req->set.ids);
	req->set.ids = text;
	req->set.version++;
	return 0;
}

int
gons_reexec_setcomplete(struct gons_reexec *req,
    int (*fn)(void *, const void *, size_t), void *state)
{
	if (gons__busy(req))
		return -1;
	req->set.complete = fn;
	req->set.complete_state = state;
	return 0;
}

int
gons_reexec_setenv(struct gons_reexec *req, const char *name, const char *value)
{
	struct settings *set = &req->set;
	char *entry, **env;
	size_t i;

	if (gons__busy(req))
		return -1;
	if (name == NULL || *name == '\0' || strchr(name, '=') != NULL ||
	    strncmp(name, "gons_", 5) == 0)
		return gons__refuse(set, &req->outcome, EINVAL,
		    "the variable \"%s\" cannot be set",
		    name != NULL ? name : "");
	entry =
	    value != NULL ? gons__format("%s=%s", name, value) : strdup(name);
	if (entry == NULL)
		return no_memory(req);
	set->version++;
	if (gons__env_index(set, name, strlen(name), &i)) {
		free(set->env[i]);
		set->env[i] = entry;
		return 0;
	}
	env = realloc(set->env, (set->nenv + 1) * sizeof(*env));
	if (env == NULL) {
		free(entry);
		return no_memory(req);
	}
	set->env = env;
	set->env[set->nenv++] = entry;
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
			return gons__refuse(&req->set, &req->outcome, EINVAL,
			    "the parameter is missing");
		if ((copy = malloc(len)) == NULL)
			return gons__refuse(&req->set, &req->outcome, ENOMEM,
			    "no memory for the parameter");
		memcpy(copy, buf, len);
	}
	free(req->set.param);
	req->set.param = copy;
	req->set.paramlen = len;
	return 0;
}

int
gons_reexec_keepfd(struct gons_reexec *req, int fd)
{
	struct settings *set = &req->set;
	int *keep;

	if (gons__busy(req))
		return -1;
	if (fd >= 0 && fd <= STDERR_FILENO)
		return gons__refuse(set, &req->outcome, EINVAL,
		    "descriptor %d is the library's to set", fd);
	if (fcntl(fd, F_GETFD) == -1)
		return gons__refuse(
		    set, &req->outcome, errno, "descriptor %d", fd);
	keep = realloc(set->keep, (set->nkeep + 1) * sizeof(*keep));
	if (keep == NULL)
		return no_memory(req);
	set->keep = keep;
	set->keep[set->nkeep++] = fd;
	set->version++;
	return 0;
}

int
gons_reexec_setgrace(struct gons_reexec *req, int ms)
{
	if (gons__busy(req))
		return -1;
	if (ms < 0)
		return gons__refuse(&req->set, &req->outcome, EINVAL,
		    "a grace period of %d ms", ms);
	req->set.grace = ms;
	return 0;
}

int
gons_reexec_settimeout(struct gons_reexec *req, int ms)
{
	if (gons__busy(req))
		return -1;
	if (ms < -1)
		return gons__refuse(
		    &req->set, &req->outcome, EINVAL, "a timeout of %d ms", ms);
	req->set.timeout = ms;
	return 0;
}

int
gons_reexec_setmaxresult(struct gons_reexec *req, size_t bytes)
{
	if (gons__busy(req))
		return -1;
	/* Room for the NUL and for one byte too many. */
	req->set.maxresult = bytes < SIZE_MAX / 2 ? bytes : SIZE_MAX / 2;
	return 0;
}

int
gons_reexec_setmaxfds(struct gons_reexec *req, unsigned n)
{
	if (gons__busy(req))
		return -1;
	if (n > MAXFDS_MAX)
		return gons__refuse(&req->set, &req->outcome, EINVAL,
		    "a reply with %u descriptors", n);
	req->set.maxfds = n;
	req->set.version++;
	return 0;
}

int
gons_reexec_setflags(struct gons_reexec *req, unsigned flags)
{
	const unsigned both = GONS_REEXEC_STDERR_PASS | GONS_REEXEC_STDERR_KEEP;

	if (gons__busy(req))
		return -1;
	if ((flags & ~FLAGS_KNOWN) != 0)
		return gons__refuse(&req->set, &req->outcome, EINVAL,
		    "unknown flags 0x%x", flags & ~FLAGS_KNOWN);
	if ((flags & both) == both)
		return gons__refuse(&req->set, &req->outcome, EINVAL,
		    "stderr cannot both be kept and be passed on");
	req->set.flags = flags;
	req->set.version++;
	return 0;
}
