/*
 * SPDX-License-Identifier: BSD-2-Clause
 *
 * Copyright (c) 2026 The libgons developers
 *
 * The main function and the functions of atf-c.h beside this file: lists the
 * cases (-l), or runs one and writes the outcome to a file (-r), which is all
 * that kyua(1) wants of a test program.
 */

#include <stdarg.h>
#include <stdlib.h>
#include <unistd.h>

#include "atf-c.h"

static struct atf_pair config[ATF_PAIRS];
static size_t nconfig;
static const char *results = "/dev/stdout";
static unsigned failures;

static void outcome(int, const char *, const char *, va_list)
    __attribute__((noreturn));
static void list(const atf_tp_t *);
static void configure(char *);
static int run(const atf_tp_t *, char *);
static void usage(const char *) __attribute__((noreturn));

int
main(int argc, char *argv[])
{
	atf_tp_t tp = { NULL, &tp.first };
	atf_error_t error;
	struct atf_tc *tc;
	char *slash;
	int ch, listing = 0;

	(void)setvbuf(stdout, NULL, _IOLBF, 0);
	config[0].name = "srcdir";
	(void)snprintf(config[0].value, sizeof(config[0].value), "%s", argv[0]);
	if ((slash = strrchr(config[0].value, '/')) != NULL)
		*slash = '\0';
	while ((ch = getopt(argc, argv, "lr:s:v:")) != -1) {
		switch (ch) {
		case 'l':
			listing = 1;
			break;
		case 'r':
			results = optarg;
			break;
		case 's':
			config[0].name = "srcdir";
			(void)snprintf(config[0].value, sizeof(config[0].value),
			    "%s", optarg);
			break;
		case 'v':
			configure(optarg);
			break;
		default:
			usage(argv[0]);
		}
	}
	if ((error = atf_tp_add_tcs(&tp)) != NULL) {
		(void)fprintf(stderr, "%s: %s\n", argv[0], error);
		return 1;
	}
	for (tc = tp.first; tc != NULL; tc = tc->next)
		if (tc->head != NULL)
			tc->head(tc);
	if (listing && optind == argc) {
		list(&tp);
		return 0;
	}
	if (listing || optind != argc - 1)
		usage(argv[0]);
	return run(&tp, argv[optind]);
}

atf_error_t
atf_no_error(void)
{
	return NULL;
}

bool
atf_is_error(atf_error_t error)
{
	return error != NULL;
}

atf_error_t
atf_tc_init(atf_tc_t *tc, const char *ident, atf_tc_head_t head,
    atf_tc_body_t body, atf_tc_body_t cleanup, const char *const *more)
{
	(void)more;
	memset(tc, 0, sizeof(*tc));
	tc->ident = ident;
	tc->head = head;
	tc->body = body;
	tc->cleanup = cleanup;
	return NULL;
}

atf_error_t
atf_tp_add_tc(atf_tp_t *tp, atf_tc_t *tc)
{
	*tp->end = tc;
	tp->end = &tc->next;
	return NULL;
}

/* Each case finds all variables by itself. */
char **
atf_tp_get_config(const atf_tp_t *tp)
{
	static char *none[] = { NULL };

	(void)tp;
	return none;
}

void
atf_utils_free_charpp(char **variables)
{
	(void)variables;
}

const char *
atf_tc_get_ident(const atf_tc_t *tc)
{
	return tc->ident;
}

const char *
atf_tc_get_config_var_wd(
    const atf_tc_t *tc, const char *name, const char *otherwise)
{
	size_t i;

	(void)tc;
	for (i = 0; i <= nconfig; i++)
		if (config[i].name != NULL && strcmp(config[i].name, name) == 0)
			return config[i].value;
	return otherwise;
}

const char *
atf_tc_get_config_var(const atf_tc_t *tc, const char *name)
{
	const char *value = atf_tc_get_config_var_wd(tc, name, NULL);

	if (value == NULL)
		atf_tc_fail("there is no variable %s", name);
	return value;
}

bool
atf_tc_has_config_var(const atf_tc_t *tc, const char *name)
{
	return atf_tc_get_config_var_wd(tc, name, NULL) != NULL;
}

atf_error_t
atf_tc_set_md_var(atf_tc_t *tc, const char *name, const char *fmt, ...)
{
	struct atf_pair *p;
	va_list args;

	if (tc->nproperties == ATF_PAIRS)
		return "too many properties";
	p = &tc->properties[tc->nproperties++];
	p->name = name;
	va_start(args, fmt);
	(void)vsnprintf(p->value, sizeof(p->value), fmt, args);
	va_end(args);
	return NULL;
}

void
atf_tc_pass(void)
{
	FILE *fp;

	if ((fp = fopen(results, "w")) == NULL)
		exit(EXIT_FAILURE);
	(void)fputs("passed\n", fp);
	(void)fclose(fp);
	exit(EXIT_SUCCESS);
}

void
atf_tc_fail(const char *fmt, ...)
{
	va_list args;

	va_start(args, fmt);
	outcome(EXIT_FAILURE, "failed: ", fmt, args);
}

void
atf_tc_skip(const char *fmt, ...)
{
	va_list args;

	va_start(args, fmt);
	outcome(EXIT_SUCCESS, "skipped: ", fmt, args);
}

void
atf_tc_fail_nonfatal(const char *fmt, ...)
{
	va_list args;

	failures++;
	(void)fputs("*** ", stderr);
	va_start(args, fmt);
	(void)vfprintf(stderr, fmt, args);
	va_end(args);
	(void)fputc('\n', stderr);
}

void
atf_failed(const char *file, int line, bool fatal, const char *fmt, ...)
{
	char text[4 * ATF_TEXT];
	va_list args;

	va_start(args, fmt);
	(void)vsnprintf(text, sizeof(text), fmt, args);
	va_end(args);
	if (fatal)
		atf_tc_fail("%s:%d: %s", file, line, text);
	atf_tc_fail_nonfatal("Check failed: %s:%d: %s", file, line, text);
}

bool
atf_streq(const char *a, const char *b)
{
	return strcmp(a, b) == 0;
}

/*
 * The outcome is one line: what it quotes may have more.
 */
static void
outcome(int status, const char *kind, const char *fmt, va_list args)
{
	char text[8 * ATF_TEXT];
	FILE *fp;

	(void)vsnprintf(text, sizeof(text), fmt, args);
	text[strcspn(text, "\n")] = '\0';
	if ((fp = fopen(results, "w")) == NULL)
		exit(EXIT_FAILURE);
	(void)fprintf(fp, "%s%s\n", kind, text);
	(void)fclose(fp);
	exit(status);
}

static void
list(const atf_tp_t *tp)
{
	const struct atf_tc *tc;
	size_t i;

	(void)printf("Content-Type: application/X-atf-tp; version=\"1\"\n");
	for (tc = tp->first; tc != NULL; tc = tc->next) {
		(void)printf("\nident: %s\n", tc->ident);
		if (tc->cleanup != NULL)
			(void)printf("has.cleanup: true\n");
		for (i = 0; i < tc->nproperties; i++)
			(void)printf("%s: %s\n", tc->properties[i].name,
			    tc->properties[i].value);
	}
}

static void
configure(char *text)
{
	char *value;

	if ((value = strchr(text, '=')) == NULL || nconfig == ATF_PAIRS - 1)
		return;
	*value++ = '\0';
	config[++nconfig].name = text;
	(void)snprintf(
	    config[nconfig].value, sizeof(config[nconfig].value), "%s", value);
}

/*
 * Runs "case" or "case:cleanup".
 */
static int
run(const atf_tp_t *tp, char *name)
{
	const struct atf_tc *tc;
	char *part;

	if ((part = strchr(name, ':')) != NULL)
		*part++ = '\0';
	for (tc = tp->first; tc != NULL; tc = tc->next)
		if (strcmp(tc->ident, name) == 0)
			break;
	if (tc == NULL) {
		(void)fprintf(stderr, "there is no test case %s\n", name);
		return EXIT_FAILURE;
	}
	if (part != NULL && strcmp(part, "cleanup") == 0) {
		if (tc->cleanup != NULL)
			tc->cleanup(tc);
		return EXIT_SUCCESS;
	}
	tc->body(tc);
	if (failures > 0)
		atf_tc_fail("%u checks failed", failures);
	atf_tc_pass();
}

static void
usage(const char *name)
{
	(void)fprintf(stderr,
	    "usage: %s -l\n       %s [-r file] [-s directory] [-v name=value]"
	    " case[:part]\n",
	    name, name);
	exit(EXIT_FAILURE);
}
