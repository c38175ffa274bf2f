/*
 * SPDX-License-Identifier: BSD-2-Clause
 *
 * Copyright (c) 2026 The libgons developers
 *
 * order.o: the text of gons_order, what it means and what is refused.
 */

#include <atf-c.h>

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <gons.h>

#define FORM_DEFAULT "!user,!mnt,!cgroup,!ipc,!net,!pid,!time,!uts"

static const char *const names[GONS_NTYPES] = { "cgroup", "ipc", "mnt", "net",
	"pid", "time", "user", "uts" };

/* Parses text, and gives back what it means in the same notation. */
static const char *
meaning(const char *text)
{
	static char buf[256];
	struct gons_order order;
	struct gons_error error;
	int len;

	if (gons_order_parse(text, &order, &error) == -1) {
		(void)gons_error_format(&error, buf, sizeof(buf));
		return buf;
	}
	len = gons_order_format(&order, buf, sizeof(buf));
	ATF_REQUIRE_EQ_MSG(
	    (int)strlen(buf), len, "length of \"%s\" for \"%s\"", buf, text);
	return buf;
}

static void
check_meaning(const char *text, const char *expected)
{
	ATF_CHECK_MSG(strcmp(meaning(text), expected) == 0,
	    "\"%s\": got \"%s\", expected \"%s\"", text != NULL ? text : "NULL",
	    meaning(text), expected);
}

/* Refused with EINVAL, with that text, and with order untouched. */
static void
check_refused(const char *text, int hint, const char *expected)
{
	struct gons_order order, before;
	struct gons_error error;
	char line[5000];

	memset(&order, 0x5a, sizeof(order));
	before = order;
	errno = 0;
	ATF_CHECK_EQ_MSG(-1, gons_order_parse(text, &order, &error),
	    "\"%s\" is accepted", text);
	ATF_CHECK_EQ_MSG(EINVAL, errno, "\"%s\": %s", text, strerror(errno));
	ATF_CHECK_MSG(memcmp(&order, &before, sizeof(order)) == 0,
	    "\"%s\" changes the order", text);
	ATF_CHECK_EQ(GONS_STAGE_ORDER, error.stage);
	ATF_CHECK_EQ(EINVAL, error.errnum);
	ATF_CHECK_EQ(0, error.joined);
	ATF_CHECK_EQ_MSG(hint, error.hint, "\"%s\": hint %d", text, error.hint);
	(void)gons_error_format(&error, line, sizeof(line));
	ATF_CHECK_MSG(strcmp(line, expected) == 0,
	    "\"%s\": got '%s', expected '%s'", text, line, expected);
	errno = 0;
	ATF_CHECK_EQ(-1, gons_order_parse(text, &order, NULL));
	ATF_CHECK_EQ(EINVAL, errno);
}

ATF_TC_WITHOUT_HEAD(defaults);
ATF_TC_BODY(defaults, tc)
{
	struct gons_order order;

	check_meaning(NULL, FORM_DEFAULT);
	check_meaning("", FORM_DEFAULT);
	check_meaning("auto", "auto");
	ATF_REQUIRE_EQ(0, gons_order_parse(NULL, &order, NULL));
	ATF_CHECK_EQ(0, order.automatic);
	ATF_CHECK_EQ(8, order.nsteps);
	ATF_CHECK_EQ(GONS_USER, order.step[0].type);
	ATF_CHECK_EQ(GONS_UTS, order.step[7].type);
	ATF_CHECK(order.step[0].early && order.step[7].early);
	ATF_REQUIRE_EQ(0, gons_order_parse("auto", &order, NULL));
	ATF_CHECK(order.automatic);
	ATF_CHECK_EQ(8, order.nsteps);
}

ATF_TC_WITHOUT_HEAD(accepted);
ATF_TC_BODY(accepted, tc)
{
	static const struct {
		const char *text, *expected;
	} table[] = {
		{ "net", "net" },
		{ "!net", "!net" },
		{ "net,", "net" },
		{ "!net,", "!net" },
		{ "net,mnt", "net,mnt" },
		{ "mnt,net,", "mnt,net" },
		{ "!user,net,!mnt", "!user,net,!mnt" },
		{ "user,mnt,cgroup,ipc,net,pid,time,uts",
		    "user,mnt,cgroup,ipc,net,pid,time,uts" },
		{ "uts,time,pid,net,ipc,cgroup,mnt,!user",
		    "uts,time,pid,net,ipc,cgroup,mnt,!user" },
		{ FORM_DEFAULT, FORM_DEFAULT },
		{ FORM_DEFAULT ",", FORM_DEFAULT },
		{ "auto:net", "auto:net" },
		{ "auto:net,mnt", "auto:net,mnt" },
		{ "auto:mnt,net,", "auto:mnt,net" },
		{ "auto:user,mnt,cgroup,ipc,net,pid,time,uts", "auto" },
		{ "auto:mnt,user,cgroup,ipc,net,pid,time,uts",
		    "auto:mnt,user,cgroup,ipc,net,pid,time,uts" },
	};
	size_t i;

	for (i = 0; i < sizeof(table) / sizeof(table[0]); i++)
		check_meaning(table[i].text, table[i].expected);
}

ATF_TC_WITHOUT_HEAD(unknown);
ATF_TC_BODY(unknown, tc)
{
	static const struct {
		const char *text, *offending;
	} table[] = {
		{ "foo", "foo" },
		{ "net,foo", "foo" },
		{ "!foo", "foo" },
		{ "ne", "ne" },
		{ "nett", "nett" },
		{ "netuser", "netuser" },
		{ "net;mnt", "net;mnt" },
		{ "net:mnt", "net:mnt" },
		{ "pid_for_children", "pid_for_children" },
		{ "gons_net", "gons_net" },
		/* empty elements */
		{ ",", "" },
		{ ",,", "" },
		{ ",net", "" },
		{ "net,,", "" },
		{ "net,,ipc", "" },
		{ "net,ipc,,", "" },
		{ "!", "!" },
		{ "!,net", "!" },
		{ "net,!", "!" },
		{ "net,!,", "!" },
		{ "!!net", "!net" },
		{ "!!", "!" },
		{ "net!", "net!" },
		{ "n!et", "n!et" },
		/* white space */
		{ " ", " " },
		{ " net", " net" },
		{ "net ", "net " },
		{ "net, mnt", " mnt" },
		{ "net ,mnt", "net " },
		{ "! net", " net" },
		{ "net\t", "net\\t" },
		{ "net\n", "net\\n" },
		{ "net,\n", "\\n" },
		{ "net\r", "net\\x0d" },
		/* capitals */
		{ "NET", "NET" },
		{ "Net", "Net" },
		{ "net,Mnt", "Mnt" },
		{ "AUTO", "AUTO" },
		/* auto in other places */
		{ "auto,net", "auto" },
		{ "net,auto", "auto" },
		{ "!auto", "auto" },
		{ "auto ", "auto " },
		{ " auto", " auto" },
		{ "automatic", "automatic" },
		{ "auto:", "" },
		{ "auto:,", "" },
		{ "auto:,net", "" },
		{ "auto:foo", "foo" },
		{ "auto:auto", "auto" },
		{ "auto: net", " net" },
		{ "auto:net,,", "" },
		{ "n\303\251t", "n\303\251t" },
		{ "n\377t", "n\\xfft" },
		{ "n\033[1mt", "n\\x1b[1mt" },
		{ "\"net\"", "\"net\"" },
	};
	char expected[256];
	size_t i;

	for (i = 0; i < sizeof(table) / sizeof(table[0]); i++) {
		(void)snprintf(expected, sizeof(expected),
		    "gons: unknown namespace type \"%s\" in gons_order",
		    table[i].offending);
		check_refused(table[i].text, GONS_HINT_UNKNOWN, expected);
	}
}

ATF_TC_WITHOUT_HEAD(duplicate);
ATF_TC_BODY(duplicate, tc)
{
	static const char *const texts[] = { "net,net", "!net,net", "net,!net",
		"!net,!net", "net,mnt,net", "uts,net,mnt,net,foo", "net,net,",
		"auto:net,net" };
	size_t i;

	for (i = 0; i < sizeof(texts) / sizeof(texts[0]); i++)
		check_refused(texts[i], GONS_HINT_DUPLICATE,
		    "gons: duplicate namespace type \"net\" in gons_order");
}

/* More than the structure could hold: the first bad thing is reported. */
ATF_TC_WITHOUT_HEAD(huge);
ATF_TC_BODY(huge, tc)
{
	static char text[100001], name[6001];
	struct gons_order order;
	struct gons_error error;
	size_t i;

	for (i = 0; i + 4 < sizeof(text); i += 4)
		memcpy(text + i, "net,", 4);
	check_refused(text, GONS_HINT_DUPLICATE,
	    "gons: duplicate namespace type \"net\" in gons_order");
	memset(text, ',', sizeof(text) - 1);
	check_refused(text, GONS_HINT_UNKNOWN,
	    "gons: unknown namespace type \"\" in gons_order");
	memset(name, 'x', sizeof(name) - 1);
	ATF_REQUIRE_EQ(-1, gons_order_parse(name, &order, &error));
	ATF_CHECK_EQ(sizeof(error.what) - 1, strlen(error.what));
	ATF_CHECK(strncmp(error.what, name, sizeof(error.what) - 1) == 0);
}

/* Writes the order whose digits, to the base of 9, are types; 8 ends it. */
static int
nth_order(unsigned n, unsigned early, int automatic, char *text)
{
	unsigned seen = 0, type, count = 0;

	text += sprintf(text, "%s", automatic ? "auto:" : "");
	for (; n != 0; n /= 9, count++) {
		type = n % 9;
		if (type == 8 || (seen & 1u << type) != 0)
			return -1;
		seen |= 1u << type;
		text += sprintf(text, "%s%s%s", count > 0 ? "," : "",
		    (early & 1u << count) != 0 && !automatic ? "!" : "",
		    names[type]);
	}
	return count > 0 ? 0 : -1;
}

/* Parse, format, parse: all orders of up to four types, with each "!". */
ATF_TC_WITHOUT_HEAD(roundtrip);
ATF_TC_BODY(roundtrip, tc)
{
	char text[128];
	unsigned early, n;

	for (n = 1; n < 9 * 9 * 9 * 9; n++)
		for (early = 0; early < 16; early++) {
			if (nth_order(n, early, 0, text) == 0)
				ATF_REQUIRE_STREQ(text, meaning(text));
			if (early == 0 && nth_order(n, 0, 1, text) == 0)
				ATF_REQUIRE_STREQ(text, meaning(text));
		}
}

static unsigned
random_number(unsigned *state, unsigned below)
{
	*state = *state * 1103515245u + 12345u;
	return (*state >> 16) % below;
}

/* The same for longer orders, and for structures that were never a text. */
ATF_TC_WITHOUT_HEAD(roundtrip_random);
ATF_TC_BODY(roundtrip_random, tc)
{
	struct gons_order order, again;
	char text[128], text2[128];
	unsigned i, j, round, seen, state = 2;
	int type;

	for (round = 0; round < 50000; round++) {
		memset(&order, 0, sizeof(order));
		order.automatic = random_number(&state, 4) == 0;
		order.nsteps = 1 + random_number(&state, GONS_NTYPES);
		for (i = seen = 0; i < order.nsteps; i++) {
			do
				type = (int)random_number(&state, GONS_NTYPES);
			while ((seen & GONS_BIT(type)) != 0);
			seen |= GONS_BIT(type);
			order.step[i].type = type;
			order.step[i].early =
			    order.automatic || random_number(&state, 2);
		}
		ATF_REQUIRE(gons_order_format(&order, text, sizeof(text)) > 0);
		ATF_REQUIRE_EQ(0, gons_order_parse(text, &again, NULL));
		ATF_REQUIRE_EQ(order.nsteps, again.nsteps);
		ATF_REQUIRE_EQ(!order.automatic, !again.automatic);
		for (j = 0; j < order.nsteps; j++) {
			ATF_REQUIRE_EQ(order.step[j].type, again.step[j].type);
			ATF_REQUIRE_EQ(
			    !order.step[j].early, !again.step[j].early);
		}
		(void)gons_order_format(&again, text2, sizeof(text2));
		ATF_REQUIRE_STREQ(text, text2);
	}
}

/* Texts of arbitrary bytes: accepted ones are stable, refused ones say why. */
ATF_TC_WITHOUT_HEAD(random_text);
ATF_TC_BODY(random_text, tc)
{
	static const char *const pieces[] = { "net", "mnt", "user", ",", ",",
		"!", "auto", ":", " ", "\n", "x", "pid", "uts", "," };
	struct gons_order order;
	struct gons_error error;
	char text[128], first[128], line[1024];
	unsigned i, n, round, state = 7;

	for (round = 0; round < 50000; round++) {
		text[0] = '\0';
		n = random_number(&state, 9);
		for (i = 0; i < n; i++)
			strcat(text, pieces[random_number(&state,
					 sizeof(pieces) / sizeof(pieces[0]))]);
		if (gons_order_parse(text, &order, &error) == 0) {
			(void)gons_order_format(&order, first, sizeof(first));
			ATF_REQUIRE_STREQ(first, meaning(first));
			continue;
		}
		(void)gons_error_format(&error, line, sizeof(line));
		ATF_REQUIRE_MSG(strncmp(line, "gons: ", 6) == 0 &&
				    strchr(line, '\n') == NULL,
		    "\"%s\": %s", text, line);
	}
}

ATF_TC_WITHOUT_HEAD(format_truncates);
ATF_TC_BODY(format_truncates, tc)
{
	struct gons_order order;
	char buf[64], expected[64];
	size_t size;
	int full;

	ATF_REQUIRE_EQ(0, gons_order_parse(NULL, &order, NULL));
	full = gons_order_format(&order, NULL, 0);
	ATF_CHECK_EQ((int)strlen(FORM_DEFAULT), full);
	for (size = 0; size <= (size_t)full + 2; size++) {
		memset(buf, 'Z', sizeof(buf));
		memset(expected, 'Z', sizeof(expected));
		(void)snprintf(expected, size, "%s", FORM_DEFAULT);
		ATF_CHECK_EQ(full, gons_order_format(&order, buf, size));
		ATF_CHECK_MSG(
		    memcmp(buf, expected, sizeof(buf)) == 0, "size %zu", size);
	}
}

/* Structures that parsing could not have made. */
ATF_TC_WITHOUT_HEAD(format_refuses);
ATF_TC_BODY(format_refuses, tc)
{
	static const struct {
		unsigned nsteps;
		int type[3];
	} table[] = {
		{ 0, { 0, 0, 0 } },
		{ 1, { -1, 0, 0 } },
		{ 1, { GONS_NTYPES, 0, 0 } },
		{ 1, { 2147483647, 0, 0 } },
		{ 1, { -2147483647 - 1, 0, 0 } },
		{ 2, { GONS_NET, GONS_NET, 0 } },
		{ 3, { GONS_NET, GONS_MNT, GONS_NET } },
		{ GONS_MAXTYPES, { 0, 1, 2 } },
		{ GONS_MAXTYPES + 1, { 0, 1, 2 } },
		{ 4294967295u, { 0, 1, 2 } },
	};
	struct gons_order order;
	char buf[64];
	size_t i, j;

	for (i = 0; i < sizeof(table) / sizeof(table[0]); i++) {
		memset(&order, 0, sizeof(order));
		order.nsteps = table[i].nsteps;
		for (j = 0; j < 3; j++)
			order.step[j].type = table[i].type[j];
		errno = 0;
		ATF_CHECK_EQ_MSG(-1,
		    gons_order_format(&order, buf, sizeof(buf)),
		    "structure %zu", i);
		ATF_CHECK_EQ(EINVAL, errno);
	}
}

/* What is reserved now must be zero, for it will mean something one day. */
ATF_TC_WITHOUT_HEAD(reserved);
ATF_TC_BODY(reserved, tc)
{
	struct gons_order order;
	struct gons_error error;
	size_t i;

	memset(&order, 0xff, sizeof(order));
	ATF_REQUIRE_EQ(0, gons_order_parse("net", &order, NULL));
	for (i = 0; i < sizeof(order.reserved) / sizeof(order.reserved[0]); i++)
		ATF_CHECK_EQ(0, order.reserved[i]);
	for (i = 1; i < GONS_MAXTYPES; i++)
		ATF_CHECK(order.step[i].type == 0 && order.step[i].early == 0);
	memset(&error, 0xff, sizeof(error));
	ATF_REQUIRE_EQ(-1, gons_order_parse("foo", &order, &error));
	for (i = 0; i < sizeof(error.reserved) / sizeof(error.reserved[0]); i++)
		ATF_CHECK_EQ(0, error.reserved[i]);
	ATF_CHECK_EQ(-1, error.type);
}

ATF_TP_ADD_TCS(tp)
{
	ATF_TP_ADD_TC(tp, defaults);
	ATF_TP_ADD_TC(tp, accepted);
	ATF_TP_ADD_TC(tp, unknown);
	ATF_TP_ADD_TC(tp, duplicate);
	ATF_TP_ADD_TC(tp, huge);
	ATF_TP_ADD_TC(tp, roundtrip);
	ATF_TP_ADD_TC(tp, roundtrip_random);
	ATF_TP_ADD_TC(tp, random_text);
	ATF_TP_ADD_TC(tp, format_truncates);
	ATF_TP_ADD_TC(tp, format_refuses);
	ATF_TP_ADD_TC(tp, reserved);
	return atf_no_error();
}
