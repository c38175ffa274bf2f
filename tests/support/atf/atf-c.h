/*
 * SPDX-License-Identifier: BSD-2-Clause
 *
 * Copyright (c) 2026 The libgons developers
 *
 * As much of atf-c(3) as our tests use, for compilers and machines that there
 * is no libatf-c for: other C libraries, -m32, cross compilers.  The programs
 * talk to kyua(1) as those of libatf-c do.
 */

#ifndef ATF_C_H
#define ATF_C_H

#include <errno.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdio.h>
#include <string.h>

#define ATF_PAIRS 16 /* properties of a case, variables of a run */
#define ATF_TEXT 512

#define ATF_PRINTF(fmt, more) __attribute__((format(printf, fmt, more)))

typedef const char *atf_error_t; /* what went wrong, or NULL */

typedef struct atf_tc atf_tc_t;
typedef void (*atf_tc_head_t)(atf_tc_t *);
typedef void (*atf_tc_body_t)(const atf_tc_t *);

struct atf_pair {
	const char *name;
	char value[ATF_TEXT];
};

struct atf_tc {
	const char *ident;
	atf_tc_head_t head;
	atf_tc_body_t body, cleanup;
	struct atf_pair properties[ATF_PAIRS];
	size_t nproperties;
	struct atf_tc *next;
};

typedef struct {
	struct atf_tc *first, **end;
} atf_tp_t;

atf_error_t atf_no_error(void);
bool atf_is_error(atf_error_t);
atf_error_t atf_tc_init(atf_tc_t *, const char *ident, atf_tc_head_t,
    atf_tc_body_t, atf_tc_body_t cleanup, const char *const *config);
atf_error_t atf_tp_add_tc(atf_tp_t *, atf_tc_t *);
char **atf_tp_get_config(const atf_tp_t *);
void atf_utils_free_charpp(char **);
const char *atf_tc_get_ident(const atf_tc_t *);
const char *atf_tc_get_config_var(const atf_tc_t *, const char *);
const char *atf_tc_get_config_var_wd(
    const atf_tc_t *, const char *, const char *otherwise);
bool atf_tc_has_config_var(const atf_tc_t *, const char *);
atf_error_t atf_tc_set_md_var(
    atf_tc_t *, const char *name, const char *fmt, ...) ATF_PRINTF(3, 4);

void atf_tc_pass(void) __attribute__((noreturn));
void atf_tc_fail(const char *, ...)
    __attribute__((noreturn, format(printf, 1, 2)));
void atf_tc_skip(const char *, ...)
    __attribute__((noreturn, format(printf, 1, 2)));
void atf_tc_fail_nonfatal(const char *, ...) ATF_PRINTF(1, 2);

/* Ours: says where and what; the case goes on if it is but a check. */
void atf_failed(const char *file, int line, bool fatal, const char *, ...)
    ATF_PRINTF(4, 5);
bool atf_streq(const char *, const char *);
/* The program's own. */
atf_error_t atf_tp_add_tcs(atf_tp_t *);

#define ATF_TC_NAME(tc) (atfu_##tc##_tc)
#define ATF_TC_DEFINE(tc, head, cleanup)                                \
	static void atfu_##tc##_body(const atf_tc_t *);                 \
	static atf_tc_t atfu_##tc##_tc = { #tc, head, atfu_##tc##_body, \
		cleanup, { { NULL, "" } }, 0, NULL }
#define ATF_TC_WITHOUT_HEAD(tc) ATF_TC_DEFINE(tc, NULL, NULL)
#define ATF_TC(tc)                                \
	static void atfu_##tc##_head(atf_tc_t *); \
	ATF_TC_DEFINE(tc, atfu_##tc##_head, NULL)
#define ATF_TC_WITH_CLEANUP(tc)                            \
	static void atfu_##tc##_head(atf_tc_t *);          \
	static void atfu_##tc##_cleanup(const atf_tc_t *); \
	ATF_TC_DEFINE(tc, atfu_##tc##_head, atfu_##tc##_cleanup)
#define ATF_TC_HEAD(tc, arg) \
	static void atfu_##tc##_head(atf_tc_t *arg __attribute__((unused)))
#define ATF_TC_BODY(tc, arg)          \
	static void atfu_##tc##_body( \
	    const atf_tc_t *arg __attribute__((unused)))
#define ATF_TC_CLEANUP(tc, arg)          \
	static void atfu_##tc##_cleanup( \
	    const atf_tc_t *arg __attribute__((unused)))
#define ATF_TP_ADD_TCS(tp) atf_error_t atf_tp_add_tcs(atf_tp_t *tp)
#define ATF_TP_ADD_TC(tp, tc) (void)atf_tp_add_tc(tp, &atfu_##tc##_tc)

#define ATF_TEST(fatal, cond, ...)                                          \
	do {                                                                \
		if (!(cond))                                                \
			atf_failed(__FILE__, __LINE__, fatal, __VA_ARGS__); \
	} while (0)
#define ATF_CHECK(cond) ATF_TEST(false, cond, "%s not met", #cond)
#define ATF_REQUIRE(cond) ATF_TEST(true, cond, "%s not met", #cond)
#define ATF_CHECK_MSG(cond, ...) ATF_TEST(false, cond, __VA_ARGS__)
#define ATF_REQUIRE_MSG(cond, ...) ATF_TEST(true, cond, __VA_ARGS__)
#define ATF_CHECK_EQ(a, b) ATF_TEST(false, (a) == (b), "%s != %s", #a, #b)
#define ATF_REQUIRE_EQ(a, b) ATF_TEST(true, (a) == (b), "%s != %s", #a, #b)
#define ATF_CHECK_EQ_MSG(a, b, ...) ATF_TEST(false, (a) == (b), __VA_ARGS__)
#define ATF_REQUIRE_EQ_MSG(a, b, ...) ATF_TEST(true, (a) == (b), __VA_ARGS__)
#define ATF_STREQ(fatal, a, b) \
	ATF_TEST(              \
	    fatal, atf_streq(a, b), "%s != %s (%s != %s)", #a, #b, (a), (b))
#define ATF_CHECK_STREQ(a, b) ATF_STREQ(false, a, b)
#define ATF_REQUIRE_STREQ(a, b) ATF_STREQ(true, a, b)
#define ATF_CHECK_STREQ_MSG(a, b, ...) \
	ATF_TEST(false, atf_streq(a, b), __VA_ARGS__)
#define ATF_REQUIRE_STREQ_MSG(a, b, ...) \
	ATF_TEST(true, atf_streq(a, b), __VA_ARGS__)
#define ATF_ERRNO(fatal, want, cond)                                         \
	do {                                                                 \
		ATF_TEST(                                                    \
		    fatal, cond, "%s not met, with errno %d", #cond, errno); \
		ATF_TEST(fatal, errno == (want),                             \
		    "errno is %d and not %s after %s", errno, #want, #cond); \
	} while (0)
#define ATF_CHECK_ERRNO(want, cond) ATF_ERRNO(false, want, cond)
#define ATF_REQUIRE_ERRNO(want, cond) ATF_ERRNO(true, want, cond)

#endif /* ATF_C_H */
