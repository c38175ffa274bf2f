/*
 * SPDX-License-Identifier: BSD-2-Clause
 *
 * Copyright (c) 2026 The libgons developers
 *
 * Start-up: reads the environment, joins, removes the variables and remembers
 * the outcome, once and before main.
 *
 * It has to run before the constructors of other libraries, since one of them
 * may start a thread, and a process with threads cannot enter a mount, user or
 * time namespace.  In a shared library that is a matter of -z initfirst, in a
 * static object of .preinit_array, both with glibc; with musl of the first
 * place in .init_array.  Libc may not be initialised by then, see
 * internal.h.
 */

#include <sys/auxv.h>
#include <sys/syscall.h>

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdlib.h>
#include <unistd.h>

#include "status.h"

/*
 * A sanitizer's run time is not ready either when .preinit_array is run, and
 * instrumented code cannot do without: then it is the constructor's work.
 */
#if defined(__SANITIZE_ADDRESS__)
#define SANITIZED
#elif defined(__has_feature)
#if __has_feature(address_sanitizer) || __has_feature(memory_sanitizer)
#define SANITIZED
#endif
#endif

#ifdef __GLIBC__
/* 0: there are several threads. glibc has it since 2.32. */
extern char __libc_single_threaded __attribute__((weak));
#endif

#define EXIT_STARTUP 125 /* of gons_onerror, as others who start programs */

/* Left behind in the place of the variables, see fill(). */
#define PAIR_KEY ((char *)1) /* AT_IGNORE */
#define PAIR_START ((char *)0x676f6e73ul)
#define PAIR_ACTION ((char *)0x676f6e74ul)

/* In the word of the mark in secure-execution mode: above the variable. */
#define SECURE_ACTION 0x100u

/*
 * Another copy of the library reads this, which may be of another release: the
 * members stay where they are.
 */
struct told {
	uint64_t seal; /* gons__mark_seal() of where it is */
	uint32_t failed;
	uint32_t joined;
	uint32_t is_action;
	uint32_t reserved[11];
	struct gons_error error;
};

static struct {
	struct told told __attribute__((aligned(16)));
	int done;
	int stolen; /* an action, by another copy */
	struct gons__action action;
} outcome;

/*
 * As far as this process knows without asking the kernel: another library that
 * runs first, or another object's .preinit_array, may have started a thread
 * after all.
 */
static int
single_threaded(void)
{
#ifdef __GLIBC__
	return &__libc_single_threaded == NULL || __libc_single_threaded != 0;
#else
	return 1;
#endif
}

/*
 * Joining moves one thread, so a process that has more would be torn apart:
 * that is an error of the first type that was to be joined.
 */
static int
several_threads(const struct gons_env *env)
{
	const char *ref = env->target;
	int threads, type = -1;

	while (ref == NULL && ++type < GONS_NTYPES)
		ref = env->path[type];
	if (ref == NULL || (threads = gons__threads()) == 1)
		return 0;
	gons__error_set(
	    &outcome.told.error, GONS_STAGE_JOIN, EINVAL, type, ref);
	if (threads != -1) {
		outcome.told.error.hint = GONS_HINT_THREADS;
		outcome.told.error.value = threads;
	}
	return 1;
}

static void
close_reference(const struct gons_env *env, int type)
{
	int fd, i;

	if (env->path[type] == NULL || (fd = gons__fdref(env->path[type])) < 0)
		return;
	for (i = 0; i < type; i++)
		if (env->path[i] != NULL && gons__fdref(env->path[i]) == fd)
			return;
	(void)syscall(SYS_close, fd);
}

/* Once each, whatever the outcome: they were passed on for this only. */
static void
close_references(const struct gons_env *env)
{
	int fd, i, type;

	for (type = 0; type < GONS_NTYPES; type++)
		close_reference(env, type);
	if (env->target == NULL || (fd = gons__fdref(env->target)) < 0)
		return;
	for (i = 0; i < GONS_NTYPES; i++)
		if (env->path[i] != NULL && gons__fdref(env->path[i]) == fd)
			return;
	(void)syscall(SYS_close, fd);
}

/*
 * "FLAGS:FD,FD,...:NAME", as gons_reexec_start(3) writes it, an empty FD for
 * none.  Anything else leaves the name empty, which is no action's.
 */
static void
action_parse(const char *text, struct gons__action *action)
{
	char digits[16];
	long number;
	size_t len;
	int i;

	for (i = 0; i < GONS__NFDS; i++)
		action->fd[i] = -1;
	for (i = -1; i < GONS__NFDS; i++) {
		for (len = 0; text[len] >= '0' && text[len] <= '9'; len++)
			continue;
		if (len >= sizeof(digits) ||
		    text[len] != (i == -1 || i == GONS__NFDS - 1 ? ':' : ','))
			return;
		gons__copy(digits, text, len);
		digits[len] = '\0';
		text += len + 1;
		if (len == 0)
			continue;
		if (gons__number(digits, INT_MAX, &number) == -1)
			return;
		if (i == -1)
			action->flags = (unsigned)number;
		else
			action->fd[i] = (int)number;
	}
	if (gons__strlen(text) < sizeof(action->name))
		gons__strcopy(action->name, text, sizeof(action->name));
}

/* Only gons_reexec_check(3) needs these, so no other program inherits them. */
static void
action_private(const struct gons__action *action)
{
	int i;

	for (i = 0; i < GONS__NFDS; i++)
		if (action->fd[i] > STDERR_FILENO)
			(void)syscall(
			    SYS_fcntl, action->fd[i], F_SETFD, FD_CLOEXEC);
}

static struct gons_error *
fail(int hint, int errnum, const char *what)
{
	struct gons_error *error = &outcome.told.error;

	gons__error_set(error, GONS_STAGE_ORDER, errnum, -1, what);
	error->hint = hint;
	outcome.told.failed = 1;
	return error;
}

/* Finds mistakes in the variables if gons_onerror is set. */
static int
strict(const struct gons__asked *asked)
{
	struct gons_error *error;
	size_t len;

	if (asked->env.onerror == NULL)
		return 0;
	if (!gons__streq(asked->env.onerror, "exit")) {
		(void)fail(GONS_HINT_ONERROR, EINVAL, asked->env.onerror);
		return -1;
	}
	if (asked->unknown == NULL)
		return 0;
	error = fail(GONS_HINT_VARIABLE, EINVAL, asked->unknown);
	for (len = 0; len < sizeof(error->what) && error->what[len] != '=';
	     len++)
		continue;
	gons__zero(error->what + len, sizeof(error->what) - len);
	return -1;
}

static void
startup_join(const struct gons__asked *asked, int early)
{
	struct told *told = &outcome.told;
	unsigned flags = told->is_action ? GONS__SWITCH_GUARD : 0, joined = 0;
	int single = early && single_threaded();

	if (strict(asked) == -1)
		return;
	if (single)
		flags |= GONS__SWITCH_SINGLE;
	if ((!single && several_threads(&asked->env)) ||
	    gons__switch(&asked->env, NULL, &told->error, flags, &joined) == -1)
		told->failed = 1;
	told->joined = joined;
}

/*
 * The environment of a set-user-ID program is its user's: nothing that it
 * says is done, not even closing descriptors.  Variables that are set but
 * empty ask for nothing.
 */
static void
refuse_secure(int var)
{
	struct gons_error *error = &outcome.told.error;
	struct gons__text name = { error->what, sizeof(error->what), 0 };

	gons__error_set(error, GONS_STAGE_SECURE, EPERM, -1, NULL);
	gons__text_str(&name, "gons_");
	gons__text_str(&name, gons__varname(var));
	(void)gons__text_end(&name);
	outcome.told.failed = 1;
}

/*
 * For programs that do not ask for the status; they do not even start.  In a
 * program with privileges the text contains nothing of what its user has put
 * into the environment, and it is written by one write(2), since a second one
 * could be made to wait.
 */
static void
complain(int secure)
{
	char line[4 * sizeof(outcome.told.error.what) + 512];
	int len;
	long n;
	size_t done, total;

	len = gons_error_format(&outcome.told.error, line, sizeof(line) - 1);
	total = (size_t)len < sizeof(line) - 1 ? (size_t)len : sizeof(line) - 2;
	line[total++] = '\n';
	for (done = 0; done < total; done += (size_t)n) {
		n = syscall(
		    SYS_write, STDERR_FILENO, line + done, total - done);
		if (secure)
			break;
		if (n == -1 && errno == EINTR)
			n = 0;
		else if (n < 1)
			break;
	}
	for (;;)
		(void)syscall(SYS_exit_group, EXIT_STARTUP);
}

/*
 * Some run times find the auxiliary vector by walking to the end of the
 * environment.  So the places that became free are filled with pairs which that
 * vector is defined to ignore, or with its end if their number is odd.  By the
 * pairs, release 0.1 of the library knows that another copy took an action; an
 * action always comes with an even number of variables.
 */
static void
fill(char **to, char **end, int is_action)
{
	if ((end - to) % 2 == 0) /* an odd number of places, end included */
		while (to <= end)
			*to++ = NULL;
	while (to < end) {
		*to++ = PAIR_KEY;
		*to++ = is_action ? PAIR_ACTION : PAIR_START;
	}
}

/* No variables: has another copy taken them?  Then its outcome is ours. */
static void
ask_other(char **envp)
{
	const struct told *other;
	uint64_t word;

	if (!gons__mark_find(envp, &word))
		return;
	if (getauxval(AT_SECURE) != 0) {
		/*
		 * In that mode the word is no address, and never taken for one.
		 */
		outcome.stolen = (word & SECURE_ACTION) != 0;
		word &= SECURE_ACTION - 1;
		if (gons__varname((int)word) != NULL)
			refuse_secure((int)word);
		else
			(void)fail(GONS_HINT_COPY, ENODATA, NULL);
		return;
	}
	other = (const struct told *)(uintptr_t)(word << 4);
	/*
	 * A library that was loaded later may have been unloaded again.  Nobody
	 * knows then whether the variables were an action's.  Running none is
	 * safe, starting the program again is not.
	 */
	if (!gons__mark_readable(other, sizeof(*other)) ||
	    other->seal != gons__mark_seal(other)) {
		(void)fail(GONS_HINT_COPY, ENODATA, NULL);
		outcome.stolen = 1;
		return;
	}
	gons__copy(&outcome.told, other, sizeof(*other));
	outcome.stolen = outcome.told.is_action != 0;
	outcome.told.seal = 0;
	outcome.told.is_action = 0;
}

/* This comes last: the values of the variables are read until then. */
static void
leave_mark(char **first, const struct gons__asked *asked, int secure)
{
	struct told *told = &outcome.told;

	if (!secure) {
		told->seal = gons__mark_seal(told);
		gons__mark_leave(first, asked->last, (uintptr_t)told >> 4);
	} else if (told->failed) {
		gons__mark_leave(first, asked->last,
		    (unsigned)asked->first |
			(told->is_action ? SECURE_ACTION : 0));
	}
}

/*
 * envp is the environment, and first the array that the kernel made of it at
 * the start of the program.  early: hardly anybody can have started a thread
 * before.
 */
static void
startup_in(char **envp, char **first, int early, int secure)
{
	struct gons__asked asked;
	char **rest;

	if (outcome.done)
		return;
	outcome.done = 1;
	rest = envp != NULL ? gons__envtake(envp, &asked) : NULL;
	if (rest == NULL) {
		if (first != NULL)
			ask_other(first);
		return;
	}
	if (asked.env.action != NULL) {
		outcome.told.is_action = 1;
		action_parse(asked.env.action, &outcome.action);
	}
	fill(rest, asked.end, (int)outcome.told.is_action);
	if (!secure) {
		if (outcome.told.is_action)
			action_private(&outcome.action);
		startup_join(&asked, early);
	} else if (asked.count > 0) {
		refuse_secure(asked.first);
	}
	/* Before descriptors are closed, of which one may be stderr. */
	if (outcome.told.failed && asked.env.onerror != NULL)
		complain(secure);
	if (!secure)
		close_references(&asked.env);
	leave_mark(first, &asked, secure);
}

static void
startup(char **envp, char **first, int early)
{
	startup_in(envp, first, early, getauxval(AT_SECURE) != 0);
}

#if defined(__GLIBC__) && !defined(GONS_SHARED) && !defined(SANITIZED)
static void
preinit(int argc, char **argv, char **envp)
{
	startup(envp, argv + argc + 1, 1);
}

__attribute__((section(".preinit_array"),
    used)) static void (*const volatile preinit_entry)(int, char **,
    char **) = preinit;
#endif

/*
 * This runs first in a shared library, and is the last resort elsewhere.  It
 * comes before the program's own constructors, one of which may call
 * gons_reexec_check(3).  If libc does not know the environment yet, no other
 * constructor has run.
 */
#ifdef __GLIBC__
__attribute__((constructor(101))) static void
constructor(int argc, char **argv, char **envp)
{
	startup(envp, argv + argc + 1, environ == NULL);
}
#else
/*
 * musl gives no arguments, and has its environment ready.  Sorted before any
 * priority that others can ask for, it is the first in a static program; in
 * any other program libraries have been there before.
 */
static void
constructor(void)
{
	startup(environ, environ, getauxval(AT_BASE) == 0);
}

__attribute__((section(".init_array.00000"),
    used)) static void (*const volatile init_entry)(void) = constructor;
#endif

const char *
gons_status(void)
{
	static char *text;
	static const char nomem[] =
	    "gons: start-up failed, and there is no memory to say why";
	char *built = NULL, *expected = NULL;
	int len;

	if (!outcome.told.failed)
		return NULL;
	if (__atomic_load_n(&text, __ATOMIC_ACQUIRE) != NULL)
		return __atomic_load_n(&text, __ATOMIC_ACQUIRE);
	len = gons_error_format(&outcome.told.error, NULL, 0);
	if ((built = malloc((size_t)len + 1)) == NULL)
		return nomem;
	(void)gons_error_format(&outcome.told.error, built, (size_t)len + 1);
	/* Two threads may come here at once: the text of one serves both. */
	if (!__atomic_compare_exchange_n(&text, &expected, built, 0,
		__ATOMIC_ACQ_REL, __ATOMIC_ACQUIRE)) {
		free(built);
		return expected;
	}
	return built;
}

const struct gons_error *
gons_status_error(void)
{
	return outcome.told.failed ? &outcome.told.error : NULL;
}

unsigned
gons_status_joined(void)
{
	return outcome.told.joined;
}

const struct gons__action *
gons__status_action(void)
{
	/* Constructors of a program built with sanitizers come before ours. */
	startup(environ, environ, 0);
	return outcome.told.is_action ? &outcome.action : NULL;
}

int
gons__status_stolen(void)
{
	return outcome.stolen;
}

/*
 * In a fork of a prepared process, which has one thread.  These variables are
 * the host's, never those of the user of a set-user-ID program.
 */
void
gons__status_again(char **envp)
{
	gons__zero(&outcome, sizeof(outcome));
	startup_in(envp, envp, 1, 0);
}
