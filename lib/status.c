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

#include "internal.h"

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
/* 0: there are several threads.  glibc before 2.32 does not tell. */
extern char __libc_single_threaded __attribute__((weak));
#endif

/* Left behind in the place of the variables, see consume(). */
#define MARK_KEY ((char *)1) /* AT_IGNORE */
#define MARK_START ((char *)0x676f6e73ul)
#define MARK_ACTION ((char *)0x676f6e74ul)
#define STACK_MAX (8ul << 20) /* more the kernel gives to no environment */

static struct {
	int done;
	int failed;
	int stolen;
	int is_action;
	unsigned joined;
	struct gons_error error;
	struct gons__action action;
} outcome;

static void startup(char **, int);
static void startup_join(const struct gons_env *, int);
static void startup_secure(char **);
static int single_threaded(void);
static int several_threads(const struct gons_env *);
static void close_references(const struct gons_env *);
static void close_reference(const struct gons_env *, int);
static void action_parse(const char *, struct gons__action *);
static void action_private(const struct gons__action *);
static void consume(char **, int);
static int marked(char **);
static void complain(void);

#if defined(__GLIBC__) && !defined(GONS_SHARED) && !defined(SANITIZED)
static void
preinit(int argc, char **argv, char **envp)
{
	(void)argc;
	(void)argv;
	startup(envp, 1);
}

__attribute__((section(".preinit_array"),
    used)) static void (*const volatile preinit_entry)(int, char **,
    char **) = preinit;
#endif

/*
 * The first to run in a shared library, and the last resort elsewhere: before
 * the program's own, one of which may call gons_reexec_check(3).  That libc
 * does not know the environment yet tells that nobody else has run.
 */
#ifdef __GLIBC__
__attribute__((constructor(101))) static void
constructor(int argc, char **argv, char **envp)
{
	(void)argc;
	(void)argv;
	startup(envp, environ == NULL);
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
	startup(environ, getauxval(AT_BASE) == 0);
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

	if (!outcome.failed)
		return NULL;
	if (__atomic_load_n(&text, __ATOMIC_ACQUIRE) != NULL)
		return __atomic_load_n(&text, __ATOMIC_ACQUIRE);
	len = gons_error_format(&outcome.error, NULL, 0);
	if ((built = malloc((size_t)len + 1)) == NULL)
		return nomem;
	(void)gons_error_format(&outcome.error, built, (size_t)len + 1);
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
	return outcome.failed ? &outcome.error : NULL;
}

unsigned
gons_status_joined(void)
{
	return outcome.joined;
}

const struct gons__action *
gons__status_action(void)
{
	/* Constructors of a program built with sanitizers come before ours. */
	startup(environ, 0);
	return outcome.is_action ? &outcome.action : NULL;
}

int
gons__status_stolen(void)
{
	return outcome.stolen;
}

/* In a fork of a prepared process, which has one thread. */
void
gons__status_again(char **envp)
{
	gons__zero(&outcome, sizeof(outcome));
	startup(envp, 1);
}

/*
 * early: hardly anybody can have started a thread before.
 */
static void
startup(char **envp, int early)
{
	struct gons_env env;
	char **e;

	if (outcome.done)
		return;
	outcome.done = 1;
	if (envp == NULL)
		return;
	for (e = envp; *e != NULL; e++)
		if ((*e)[0] == 'g' && gons__envname(*e) != -1)
			break;
	if (*e == NULL) {
		outcome.stolen = marked(envp);
		return;
	}
	(void)gons_envparse(envp, &env);
	if (env.action != NULL) {
		outcome.is_action = 1;
		action_parse(env.action, &outcome.action);
	}
	if (getauxval(AT_SECURE) != 0) {
		startup_secure(envp);
		consume(envp, outcome.is_action);
		return;
	}
	if (outcome.is_action)
		action_private(&outcome.action);
	startup_join(&env, early);
	/* Before descriptors are closed, of which one may be stderr. */
	if (outcome.failed && env.onerror != NULL &&
	    gons__streq(env.onerror, "exit"))
		complain();
	close_references(&env);
	consume(envp, outcome.is_action);
}

static void
startup_join(const struct gons_env *env, int early)
{
	struct gons_error *error = &outcome.error;

	if (env->onerror != NULL && !gons__streq(env->onerror, "exit")) {
		gons__error_set(
		    error, GONS_STAGE_ORDER, EINVAL, -1, env->onerror);
		error->hint = GONS_HINT_ONERROR;
		outcome.failed = 1;
		return;
	}
	if ((!(early && single_threaded()) && several_threads(env)) ||
	    gons__switch(
		env, NULL, error, outcome.is_action, &outcome.joined) == -1)
		outcome.failed = 1;
}

/*
 * The environment of a set-user-ID program is its user's: nothing that it
 * says is done, not even closing descriptors.  Variables that are set but
 * empty ask for nothing.
 */
static void
startup_secure(char **envp)
{
	struct gons_error *error = &outcome.error;
	size_t len;

	for (; *envp != NULL; envp++) {
		if (gons__envname(*envp) == -1)
			continue;
		for (len = 0; (*envp)[len] != '='; len++)
			continue;
		if ((*envp)[len + 1] == '\0')
			continue;
		gons__error_set(error, GONS_STAGE_SECURE, EPERM, -1, NULL);
		gons__copy(error->what, *envp, len);
		outcome.failed = 1;
		return;
	}
}

/*
 * What is known without asking the kernel: another library that runs first, or
 * another object's .preinit_array, may have started a thread after all.
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
	gons__error_set(&outcome.error, GONS_STAGE_JOIN, EINVAL, type, ref);
	if (threads != -1) {
		outcome.error.hint = GONS_HINT_THREADS;
		outcome.error.value = threads;
	}
	return 1;
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

/* What only gons_reexec_check(3) needs is no other program's business. */
static void
action_private(const struct gons__action *action)
{
	int i;

	for (i = 0; i < GONS__NFDS; i++)
		if (action->fd[i] > STDERR_FILENO)
			(void)syscall(
			    SYS_fcntl, action->fd[i], F_SETFD, FD_CLOEXEC);
}

/*
 * Removes the variables.  Behind the environment lies the auxiliary vector,
 * which some run times find by walking there: so the places that become free
 * are filled with pairs that it is defined to ignore, or with its end if they
 * do not pair up.  The pairs tell another copy of the library what went on;
 * an action always comes with an even number of variables.
 */
static void
consume(char **envp, int is_action)
{
	char **from, **to = envp, **end;

	for (from = envp; *from != NULL; from++)
		if ((*from)[0] != 'g' || gons__envname(*from) == -1)
			*to++ = *from;
	end = from;
	*to++ = NULL;
	if ((end - to) % 2 == 0) /* an odd number of places, end included */
		while (to <= end)
			*to++ = NULL;
	while (to < end) {
		*to++ = MARK_KEY;
		*to++ = is_action ? MARK_ACTION : MARK_START;
	}
}

/*
 * Has another copy consumed an action?  Only the environment that the kernel
 * laid out has something behind its end; late in the life of a process envp
 * may be another.
 */
static int
marked(char **envp)
{
	uintptr_t top = (uintptr_t)getauxval(AT_EXECFN), at;

	while (*envp != NULL)
		envp++;
	at = (uintptr_t)envp;
	return at < top && top - at < STACK_MAX && envp[1] == MARK_KEY &&
	       envp[2] == MARK_ACTION;
}

/* For programs that do not look; they are not even started. */
static void
complain(void)
{
	char line[4 * sizeof(outcome.error.what) + 512];
	int len;
	long n;
	size_t done, total;

	len = gons_error_format(&outcome.error, line, sizeof(line) - 1);
	total = (size_t)len < sizeof(line) - 1 ? (size_t)len : sizeof(line) - 2;
	line[total++] = '\n';
	for (done = 0; done < total; done += (size_t)n) {
		n = syscall(
		    SYS_write, STDERR_FILENO, line + done, total - done);
		if (n == -1 && errno == EINTR)
			n = 0;
		else if (n < 1)
			break;
	}
	for (;;)
		(void)syscall(SYS_exit_group, EXIT_FAILURE);
}
