/*
 * SPDX-License-Identifier: BSD-2-Clause
 *
 * Copyright (c) 2026 The libgons developers
 *
 * The words of libgons: the eight namespace types, the gons_ variables of an
 * environment, and the text of a struct gons_error.  Here are also the few
 * string helpers that the other objects need before libc is ready; they go
 * byte by byte through volatile pointers, so that no compiler makes calls of
 * memcpy(3) or memset(3) out of them.
 */

#include <limits.h>
#include <sched.h>
#include <string.h>

#include "internal.h"

#ifdef __GLIBC_PREREQ
#if __GLIBC_PREREQ(2, 32)
#define STRERRORDESC
#endif
#endif
#ifndef CLONE_NEWCGROUP
#define CLONE_NEWCGROUP 0x02000000
#endif
#ifndef CLONE_NEWTIME
#define CLONE_NEWTIME 0x00000080
#endif

enum { /* variables that are no type follow the types */
	VAR_ORDER = GONS_NTYPES,
	VAR_TARGET,
	VAR_ONERROR,
	VAR_IDS,
	VAR_ACTION,
	NVARS
};

static const struct {
	const char *name;
	int flag;
} types[GONS_NTYPES] = {
	[GONS_CGROUP] = { "cgroup", CLONE_NEWCGROUP },
	[GONS_IPC] = { "ipc", CLONE_NEWIPC },
	[GONS_MNT] = { "mnt", CLONE_NEWNS },
	[GONS_NET] = { "net", CLONE_NEWNET },
	[GONS_PID] = { "pid", CLONE_NEWPID },
	[GONS_TIME] = { "time", CLONE_NEWTIME },
	[GONS_USER] = { "user", CLONE_NEWUSER },
	[GONS_UTS] = { "uts", CLONE_NEWUTS },
};

static const char *const others[NVARS - GONS_NTYPES] = {
	[VAR_ORDER - GONS_NTYPES] = "order",
	[VAR_TARGET - GONS_NTYPES] = "target",
	[VAR_ONERROR - GONS_NTYPES] = "onerror",
	[VAR_IDS - GONS_NTYPES] = "ids",
	[VAR_ACTION - GONS_NTYPES] = "reexec_action",
};

size_t
gons__strlen(const char *s)
{
	const volatile char *p = s;

	while (*p != '\0')
		p++;
	return (size_t)(p - s);
}

const char *
gons__after(const char *text, const char *prefix)
{
	for (; *prefix != '\0'; text++, prefix++)
		if (*text != *prefix)
			return NULL;
	return text;
}

int
gons__streq(const char *a, const char *b)
{
	const char *rest = gons__after(a, b);

	return rest != NULL && *rest == '\0';
}

int
gons__number(const char *text, long max, long *number)
{
	long n = 0;
	int digit;

	if (*text == '\0')
		return -1;
	for (; *text != '\0'; text++) {
		if (*text < '0' || *text > '9')
			return -1;
		digit = *text - '0';
		if (n > (max - digit) / 10)
			return -1;
		n = n * 10 + digit;
	}
	*number = n;
	return 0;
}

int
gons__fdref(const char *ref)
{
	const char *number = gons__after(ref, GONS_FDREF);
	long n;

	if (number == NULL)
		return -1;
	return gons__number(number, INT_MAX, &n) == 0 ? (int)n : -2;
}

void
gons__zero(void *to, size_t len)
{
	volatile unsigned char *p = to;

	while (len-- > 0)
		*p++ = 0;
}

void
gons__copy(void *to, const void *from, size_t len)
{
	volatile unsigned char *p = to;
	const unsigned char *q = from;

	while (len-- > 0)
		*p++ = *q++;
}

void
gons__strcopy(char *to, const char *from, size_t size)
{
	size_t len = gons__strlen(from);

	if (len >= size)
		len = size - 1;
	gons__copy(to, from, len);
	to[len] = '\0';
}

const char *
gons_version(void)
{
	return GONS_VERSION;
}

const char *
gons_type_name(int type)
{
	return type >= 0 && type < GONS_NTYPES ? types[type].name : NULL;
}

int
gons_type_flag(int type)
{
	return type >= 0 && type < GONS_NTYPES ? types[type].flag : -1;
}

int
gons_type_find(const char *name)
{
	int type;

	if (name == NULL)
		return -1;
	for (type = 0; type < GONS_NTYPES; type++)
		if (gons__streq(types[type].name, name))
			return type;
	return -1;
}

const char *
gons__varname(int var)
{
	if (var < 0 || var >= NVARS)
		return NULL;
	return var < GONS_NTYPES ? types[var].name : others[var - GONS_NTYPES];
}

static const char **
env_field(struct gons_env *env, int var)
{
	switch (var) {
	case VAR_ORDER:
		return &env->order;
	case VAR_TARGET:
		return &env->target;
	case VAR_ONERROR:
		return &env->onerror;
	case VAR_IDS:
		return &env->ids;
	case VAR_ACTION:
		return &env->action;
	default:
		return &env->path[var];
	}
}

/* Is it "NAMEvalue" with a name that ends in "="?  Then the value, or NULL. */
static const char *
value_of(const char *name)
{
	while (*name != '=')
		if (*name++ == '\0')
			return NULL;
	return name + 1;
}

/* Which variable is it, without "gons_"; -1: none of ours. */
static int
find_var(const char *name, const char **value)
{
	int var;

	for (var = 0; var < NVARS; var++) {
		*value = gons__after(name, gons__varname(var));
		if (*value != NULL && **value == '=') {
			++*value;
			return var;
		}
	}
	return -1;
}

/* Notes an entry of the environment, if it is one of ours. */
static int
note(char *entry, struct gons__asked *asked)
{
	const char *name, *value;
	int var;

	if ((name = gons__after(entry, "gons_")) == NULL)
		return 0;
	if ((var = find_var(name, &value)) == -1) {
		value = value_of(name);
		if (asked->unknown == NULL && value != NULL && *value != '\0')
			asked->unknown = entry;
		return 0;
	}
	asked->last = entry;
	if ((asked->seen & 1u << var) != 0)
		return 1;
	asked->seen |= 1u << var;
	if (*value == '\0')
		return 1;
	if (asked->count++ == 0)
		asked->first = var;
	*env_field(&asked->env, var) = value;
	return 1;
}

int
gons_envparse(char *const envp[], struct gons_env *env)
{
	struct gons__asked asked;

	gons__zero(&asked, sizeof(asked));
	for (; envp != NULL && *envp != NULL; envp++)
		if ((*envp)[0] == 'g')
			(void)note(*envp, &asked);
	gons__copy(env, &asked.env, sizeof(*env));
	return asked.count;
}

/*
 * Each program pays for this at its start: hence the look at the first letter
 * before anything is called, and nothing is prepared before it is needed.
 */
char **
gons__envtake(char **envp, struct gons__asked *asked)
{
	char **from, **to;

	for (to = envp; *to != NULL; to++)
		if ((*to)[0] == 'g' && gons__after(*to, "gons_") != NULL)
			break;
	if (*to == NULL)
		return NULL;
	gons__zero(asked, sizeof(*asked));
	for (from = to; *from != NULL; from++)
		if ((*from)[0] != 'g' || !note(*from, asked))
			*to++ = *from;
	if (asked->last == NULL)
		return NULL;
	*to++ = NULL;
	asked->end = from;
	return to;
}

void
gons__error_set(
    struct gons_error *error, int stage, int errnum, int type, const char *what)
{
	gons__zero(error, sizeof(*error));
	error->stage = stage;
	error->errnum = errnum;
	error->type = type;
	if (what != NULL)
		gons__strcopy(error->what, what, sizeof(error->what));
}

void
gons__text_char(struct gons__text *text, char c)
{
	if (text->len + 1 < text->size)
		text->buf[text->len] = c;
	text->len++;
}

void
gons__text_str(struct gons__text *text, const char *s)
{
	while (*s != '\0')
		gons__text_char(text, *s++);
}

void
gons__text_num(struct gons__text *text, int64_t number)
{
	uint64_t n = number < 0 ? -(uint64_t)number : (uint64_t)number;
	char digits[20];
	int i = 0;

	if (number < 0)
		gons__text_char(text, '-');
	do
		digits[i++] = (char)('0' + n % 10);
	while ((n /= 10) != 0);
	while (i > 0)
		gons__text_char(text, digits[--i]);
}

/*
 * The number of bytes at s that make one character which terminals and log
 * files can take as it is; 0: none, show the byte escaped.
 */
static size_t
utf8_length(const unsigned char *s, size_t len)
{
	static const unsigned long least[] = { 0, 0, 0x80, 0x800, 0x10000 };
	unsigned long code;
	size_t i, n;

	if (s[0] < 0x80)
		return s[0] >= 0x20 && s[0] != 0x7f && s[0] != '\\';
	n = s[0] >= 0xf0 ? 4 : s[0] >= 0xe0 ? 3 : 2;
	if (s[0] < 0xc0 || s[0] >= 0xf8 || n > len)
		return 0;
	code = s[0] & (0x7fu >> n);
	for (i = 1; i < n; i++) {
		if ((s[i] & 0xc0) != 0x80)
			return 0;
		code = code << 6 | (s[i] & 0x3f);
	}
	if (code < least[n] || code > 0x10ffff ||
	    (code >= 0xd800 && code < 0xe000))
		return 0;
	/*
	 * C1 controls, line separators, and marks that turn the writing around
	 */
	if (code < 0xa0 || code == 0x61c || code == 0x200e || code == 0x200f ||
	    (code >= 0x2028 && code <= 0x202e) ||
	    (code >= 0x2066 && code <= 0x2069))
		return 0;
	return n;
}

void
gons__text_safe(struct gons__text *text, const char *s, size_t len)
{
	static const char hex[] = "0123456789abcdef";
	const unsigned char *p = (const unsigned char *)s;
	size_t n;

	while (len > 0) {
		n = utf8_length(p, len);
		if (n == 0) {
			gons__text_str(text, "\\");
			if (*p == '\n' || *p == '\t' || *p == '\\') {
				gons__text_char(text, *p == '\n'   ? 'n'
						      : *p == '\t' ? 't'
								   : '\\');
			} else {
				gons__text_char(text, 'x');
				gons__text_char(text, hex[*p >> 4]);
				gons__text_char(text, hex[*p & 15]);
			}
			p++;
			len--;
			continue;
		}
		len -= n;
		for (; n > 0; n--)
			gons__text_char(text, (char)*p++);
	}
}

/*
 * strerrordesc_np(3) needs neither locale nor locks.  The text is the same
 * everywhere, and is there before libc is initialised.
 */
void
gons__text_errno(struct gons__text *text, int errnum)
{
	const char *s;

#ifdef STRERRORDESC
	s = strerrordesc_np(errnum);
#else
	s = strerror(errnum);
#endif
	if (s != NULL) {
		gons__text_str(text, s);
		return;
	}
	gons__text_str(text, "Unknown error ");
	gons__text_num(text, errnum);
}

int
gons__text_end(struct gons__text *text)
{
	if (text->size > 0)
		text->buf[text->len < text->size ? text->len : text->size - 1] =
		    '\0';
	return (int)text->len;
}

/* The name of a variable, which may be one that does not exist. */
static void
bare_text(struct gons__text *text, const struct gons_error *error)
{
	size_t len;

	for (len = 0; len < sizeof(error->what); len++)
		if (error->what[len] == '\0')
			break;
	gons__text_safe(text, error->what, len);
}

/* A reference, or another value of a variable. */
static void
what_text(struct gons__text *text, const struct gons_error *error)
{
	gons__text_char(text, '"');
	bare_text(text, error);
	gons__text_char(text, '"');
}

/* The variable that names a namespace of that type, or a process. */
static void
name_text(struct gons__text *text, int type)
{
	const char *name = gons_type_name(type);

	gons__text_str(text, "gons_");
	gons__text_str(text, name != NULL ? name : "target");
}

static void
threads_text(struct gons__text *text, int64_t threads)
{
	gons__text_str(text, "the process already has ");
	if (threads > 1)
		gons__text_num(text, threads);
	else
		gons__text_str(text, "several");
	gons__text_str(text, " threads");
}

/* With gons_target the error is about several namespaces; value tells which. */
static void
owner_text(struct gons__text *text, const struct gons_error *error)
{
	int type = error->type;
	const char *name;

	if (type == -1)
		type = (int)error->value;
	gons__text_str(text, "no CAP_SYS_ADMIN in ");
	if (type == GONS_USER) {
		gons__text_str(text, "that user namespace");
		return;
	}
	gons__text_str(text, "the user namespace that owns ");
	name = gons_type_name(type);
	if (error->type != -1 || name == NULL) {
		gons__text_str(text, "it");
		return;
	}
	gons__text_str(text, "its ");
	gons__text_str(text, name);
	gons__text_str(text, " namespace");
}

/* Hints that need no other member of the error. */
static const char *const hints[] = {
	[GONS_HINT_NOTNS] = "it is no namespace",
	[GONS_HINT_NOTPIDFD] = "it does not refer to a process",
	[GONS_HINT_CHROOT] = "no CAP_SYS_CHROOT in the own user namespace",
	[GONS_HINT_SELF] = "no CAP_SYS_ADMIN in the own user namespace",
	[GONS_HINT_SAME] = "already in that user namespace",
	[GONS_HINT_NOTBELOW] =
	    "its pid namespace is neither the own nor below it",
	[GONS_HINT_KERNEL] = "the kernel does not support it",
	/* NOLINTNEXTLINE: no comma is missing */
	[GONS_HINT_PROC] = "without /proc gons_order has to name the "
			   "types to join",
	[GONS_HINT_INIT] = "the init process of the pid namespace has "
			   "ended, or memory is short",
	[GONS_HINT_INSPECT] = "the process must not be inspected by this one",
	[GONS_HINT_CHILD] = "a thread cannot join it, run an action "
			    "instead: gons_reexec(3)",
};

/* Of a target, the types may be chosen. */
static void
child_text(
    struct gons__text *text, const struct gons_error *error, const char *other)
{
	const char *name = gons_type_name((int)error->value);

	if (error->stage == GONS_STAGE_JOIN && error->type != -1) {
		gons__text_str(text, other);
		return;
	}
	if (error->stage == GONS_STAGE_JOIN) {
		gons__text_str(text, "a thread cannot join its ");
		gons__text_str(text, name != NULL ? name : "user");
		gons__text_str(
		    text, " namespace, name the types in gons_order");
		return;
	}
	if (error->stage == GONS_STAGE_IDS) {
		gons__text_str(text, "a thread cannot take them");
	} else {
		gons__text_str(text, "the kernel makes no threads after a ");
		gons__text_str(text, name != NULL ? name : "foreign");
		gons__text_str(text, " namespace was joined");
	}
	gons__text_str(text, ", run an action instead: gons_reexec(3)");
}

/* What was probably meant: a PID is no path, nor is a path a PID. */
static void
form_text(struct gons__text *text, const struct gons_error *error)
{
	const char *name = gons_type_name(error->type);

	if (error->stage == GONS_STAGE_IDS) {
		gons__text_str(
		    text, "the group ID is missing, UID:GID is wanted");
	} else if (name == NULL) {
		gons__text_str(text, "it is a path, a PID or fd:N is wanted");
	} else {
		gons__text_str(text, "it is a number, /proc/PID/ns/");
		gons__text_str(text, name);
		gons__text_str(text, " or fd:N is wanted");
	}
}

static void
hint_text(struct gons__text *text, const struct gons_error *error)
{
	const char *name;
	int hint = error->hint;

	if (hint <= GONS_HINT_STRUCT ||
	    (hint > GONS_HINT_NOGID && hint != GONS_HINT_THREADOF &&
		hint != GONS_HINT_FORM))
		return;
	gons__text_str(text, " (");
	switch (hint) {
	case GONS_HINT_OTHERTYPE:
		name = gons_type_name((int)error->value);
		gons__text_str(
		    text, error->value == GONS_IPC ? "it is an " : "it is a ");
		gons__text_str(text, name != NULL ? name : "foreign");
		gons__text_str(text, " namespace");
		break;
	case GONS_HINT_THREADS:
		threads_text(text, error->value);
		break;
	case GONS_HINT_OWNER:
		owner_text(text, error);
		break;
	case GONS_HINT_LIMIT:
		name = gons_type_name(error->type);
		gons__text_str(text, "/proc/sys/user/max_");
		gons__text_str(text, name != NULL ? name : "*");
		gons__text_str(text, "_namespaces is ");
		gons__text_num(text, error->value);
		break;
	case GONS_HINT_NOUID:
	case GONS_HINT_NOGID:
		gons__text_str(
		    text, hint == GONS_HINT_NOUID ? "user ID " : "group ID ");
		gons__text_num(text, error->value);
		gons__text_str(text, " is not mapped there");
		break;
	case GONS_HINT_THREADOF:
		gons__text_str(text, "it is a thread of process ");
		gons__text_num(text, error->value);
		break;
	case GONS_HINT_CHILD:
		child_text(text, error, hints[hint]);
		break;
	case GONS_HINT_FORM:
		form_text(text, error);
		break;
	default:
		gons__text_str(text, hints[hint]);
		break;
	}
	gons__text_char(text, ')');
}

static void
cause_text(struct gons__text *text, const struct gons_error *error)
{
	gons__text_str(text, ": ");
	gons__text_errno(text, error->errnum);
	hint_text(text, error);
}

static void
reference_text(struct gons__text *text, const struct gons_error *error)
{
	what_text(text, error);
	cause_text(text, error);
}

static void
order_text(struct gons__text *text, const struct gons_error *error)
{
	switch (error->hint) {
	case GONS_HINT_UNKNOWN:
	case GONS_HINT_DUPLICATE:
		gons__text_str(text,
		    error->hint == GONS_HINT_UNKNOWN ? "unknown" : "duplicate");
		gons__text_str(text, " namespace type ");
		what_text(text, error);
		gons__text_str(text, " in gons_order");
		break;
	case GONS_HINT_MISSING:
		name_text(text, error->type);
		gons__text_str(text, " is set but missing from gons_order");
		break;
	case GONS_HINT_ONERROR:
		gons__text_str(text, "unknown value ");
		what_text(text, error);
		gons__text_str(text, " of gons_onerror (\"exit\" is known)");
		break;
	case GONS_HINT_VARIABLE:
		gons__text_str(text, "unknown variable ");
		bare_text(text, error);
		break;
	case GONS_HINT_COPY:
		gons__text_str(text, "another copy of the library has taken "
				     "the variables, and its status is lost");
		break;
	case GONS_HINT_TARGETED:
		name_text(text, error->type);
		gons__text_str(text, " cannot be set together with "
				     "gons_target");
		break;
	case GONS_HINT_EARLY:
	case GONS_HINT_AUTO:
		gons__text_str(text,
		    error->hint == GONS_HINT_EARLY ? "\"!\"" : "\"auto\"");
		gons__text_str(
		    text, " in gons_order cannot be used with gons_target");
		break;
	default:
		gons__text_str(text, "invalid order: ");
		gons__text_errno(text, error->errnum);
		break;
	}
}

/*
 * The forms are those of the Go original, so that a search in logs for one
 * finds the other, too.  The structure may come from an untrusted child:
 * nothing in it is taken for granted.
 */
int
gons_error_format(const struct gons_error *error, char *buf, size_t len)
{
	struct gons__text text = { buf, len, 0 };

	gons__text_str(&text, "gons: ");
	switch (error->stage) {
	case 0: /* a structure that nobody has filled in */
		gons__text_str(&text, "no error");
		break;
	case GONS_STAGE_ORDER:
		order_text(&text, error);
		break;
	case GONS_STAGE_OPEN:
		gons__text_str(&text, "invalid ");
		name_text(&text, error->type);
		gons__text_str(&text, " reference ");
		reference_text(&text, error);
		break;
	case GONS_STAGE_JOIN:
		gons__text_str(&text, "cannot join ");
		name_text(&text, error->type);
		gons__text_str(&text, " using reference ");
		reference_text(&text, error);
		break;
	case GONS_STAGE_SECURE:
		bare_text(&text, error);
		gons__text_str(&text, " is refused in secure-execution mode: ");
		gons__text_errno(&text, error->errnum);
		break;
	case GONS_STAGE_IDS:
		gons__text_str(&text, "cannot become gons_ids ");
		reference_text(&text, error);
		break;
	case GONS_STAGE_VISIT:
		gons__text_str(&text, "a visit failed: ");
		bare_text(&text, error);
		cause_text(&text, error);
		break;
	default:
		gons__text_str(&text, "unknown error about ");
		reference_text(&text, error);
		break;
	}
	return gons__text_end(&text);
}
