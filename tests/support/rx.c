/*
 * SPDX-License-Identifier: BSD-2-Clause
 *
 * Copyright (c) 2026 The libgons developers
 *
 * See rx.h.
 */

#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/wait.h>

#include <atf-c.h>

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include <gons.h>

#include "helpers.h"
#include "rx.h"

#define MAXCASES 128
#define MAXFDS 4096
#define PATIENCE (SANITIZER ? 500u : 100u) /* s for a case */

unsigned rx_mode;
char rx_srcdir[4096];

static const struct rx_case *table;
static size_t ncases;
static const struct {
	const char *suffix;
	unsigned flags;
} modes[] = { { "", 0 }, { "_prepared", GONS_REEXEC_PREPARED },
	{ "_staying", GONS_REEXEC_STAY } };
#define NMODES NELEM(modes)

/* The descriptors that are open, as a bit each. */
static void
look_at_fds(unsigned char *open_fds)
{
	struct dirent *entry;
	DIR *dir = opendir("/proc/self/fd");
	int fd;

	memset(open_fds, 0, MAXFDS / 8);
	if (dir == NULL) {
		for (fd = 0; fd < MAXFDS; fd++)
			if (fcntl(fd, F_GETFD) != -1)
				open_fds[fd / 8] |= 1u << fd % 8;
		return;
	}
	while ((entry = readdir(dir)) != NULL)
		if ((fd = atoi(entry->d_name)) < MAXFDS &&
		    entry->d_name[0] != '.' && fd != dirfd(dir))
			open_fds[fd / 8] |= 1u << fd % 8;
	closedir(dir);
}

/* One of the two files below /proc that the library reads again and again. */
static int
is_kept_view(const char *name)
{
	const char *thread = strstr(name, "/task/");

	return thread != NULL && (strstr(thread, "/ns") != NULL ||
				     strstr(thread, "/status") != NULL);
}

/*
 * The prepared process may be another one, with the same descriptors, and the
 * library opens again what a case has closed.
 */
static void
leaves_nothing(const unsigned char *before)
{
	unsigned char after[MAXFDS / 8];
	char said[4096] = "", link[64], name[256];
	ssize_t n;
	int again = 0, fd, is, more = 0, r, status, was;

	look_at_fds(after);
	for (fd = 0; fd < MAXFDS; fd++) {
		is = after[fd / 8] >> fd % 8 & 1;
		was = before[fd / 8] >> fd % 8 & 1;
		more += is - was;
		if (is == was)
			continue;
		(void)snprintf(link, sizeof(link), "/proc/self/fd/%d", fd);
		n = readlink(link, name, sizeof(name) - 1);
		name[n > 0 ? n : 0] = '\0';
		again = again || (is && is_kept_view(name));
		(void)snprintf(said + strlen(said), sizeof(said) - strlen(said),
		    " %d%s%s", fd, is ? " left open " : " closed ", name);
	}
	ATF_CHECK_MSG(
	    *said == '\0' ||
		((rx_mode == GONS_REEXEC_PREPARED || again) && more <= 0),
	    "descriptors:%s", said);
	errno = 0;
	r = waitpid(-1, &status, WNOHANG | __WALL);
	ATF_CHECK_MSG(r == -1 && errno == ECHILD,
	    "a child was left: waitpid returned %d, %s", r, strerror(errno));
}

/* The case, and its mode. */
static const struct rx_case *
find(const char *name, size_t *mode)
{
	size_t i, len;

	for (i = 0; i < ncases; i++) {
		len = strlen(table[i].name);
		for (*mode = 0; *mode < NMODES; (*mode)++)
			if (strncmp(name, table[i].name, len) == 0 &&
			    strcmp(name + len, modes[*mode].suffix) == 0)
				return &table[i];
	}
	return NULL;
}

int
rx_is_long(void)
{
	const char *value = getenv("GONS_TEST_LONG");

	return value != NULL && strcmp(value, "yes") == 0;
}

/* s for a case */
static unsigned
patience(const struct rx_case *c)
{
	return (c->flags & RX_LONG) != 0 && rx_is_long() ? 10 * PATIENCE
							 : PATIENCE;
}

static void
head(atf_tc_t *tc)
{
	size_t mode;
	const struct rx_case *c = find(atf_tc_get_ident(tc), &mode);

	atf_tc_set_md_var(tc, "descr", "%s", c->descr);
	if ((c->flags & RX_ROOT) != 0)
		atf_tc_set_md_var(tc, "require.user", "root");
	atf_tc_set_md_var(tc, "timeout", "%u", patience(c) + 20);
}

static void
make_sealed(void)
{
	struct gons_reexec *req = rx_script("return 0");

	rx_flags(req, GONS_REEXEC_SEALED);
	(void)rx_ok(req);
	gons_reexec_free(req);
}

static void
body(const atf_tc_t *tc)
{
	unsigned char before[MAXFDS / 8];
	const struct rlimit none = { 0, 0 };
	size_t mode;
	const struct rx_case *c = find(atf_tc_get_ident(tc), &mode);

	need_execveat();
	ATF_REQUIRE(c != NULL);
	rx_mode = modes[mode].flags;
	(void)snprintf(rx_srcdir, sizeof(rx_srcdir), "%s",
	    atf_tc_get_config_var(tc, "srcdir"));
	(void)setrlimit(RLIMIT_CORE, &none);
	/* A process that holds up a run may depend on this one. */
	(void)alarm(patience(c));
	if ((c->flags & RX_UNCOUNTED) != 0)
		ATF_REQUIRE_EQ(0, setenv("GONS_COVERAGE", "0", 1));
	if ((c->flags & RX_SANDBOX) != 0)
		sandbox(0);
	if (rx_mode == GONS_REEXEC_PREPARED)
		ATF_REQUIRE_EQ(0, gons_reexec_prepare());
	if ((c->flags & RX_SEALED) != 0)
		make_sealed();
	look_at_fds(before);
	c->body();
	leaves_nothing(before);
}

void
rx_register(const struct rx_action *actions, size_t n)
{
	size_t i;

	for (i = 0; i < n; i++)
		if (gons_reexec_register(
			actions[i].name, actions[i].function) == -1)
			abort();
}

atf_error_t
rx_cases(atf_tp_t *tp, const struct rx_case *cases, size_t n)
{
	static atf_tc_t tc[NMODES * MAXCASES];
	static char names[NMODES * MAXCASES][64];
	char **config = atf_tp_get_config(tp);
	atf_error_t error = atf_no_error();
	size_t i, mode, used = 0;

	if (config == NULL)
		abort();
	table = cases;
	ncases = n;
	for (i = 0; i < n && i < MAXCASES; i++)
		for (mode = 0; mode < NMODES && !atf_is_error(error); mode++) {
			if (mode > 0 && (cases[i].flags & RX_EXEC) != 0)
				continue;
			if (modes[mode].flags == GONS_REEXEC_STAY &&
			    (cases[i].flags & RX_ONCE) != 0)
				continue;
			(void)snprintf(names[used], sizeof(names[used]), "%s%s",
			    cases[i].name, modes[mode].suffix);
			error = atf_tc_init(&tc[used], names[used], head, body,
			    NULL, (const char *const *)config);
			if (!atf_is_error(error))
				error = atf_tp_add_tc(tp, &tc[used++]);
		}
	atf_utils_free_charpp(config);
	return error;
}

struct gons_reexec *
rx_new(const char *action)
{
	struct gons_reexec *req = gons_reexec_new(action);

	ATF_REQUIRE_MSG(req != NULL, "gons_reexec_new: %s", strerror(errno));
	rx_flags(req, 0);
	return req;
}

void
rx_flags(struct gons_reexec *req, unsigned flags)
{
	if ((flags | rx_mode) != 0)
		ATF_REQUIRE_EQ_MSG(0,
		    gons_reexec_setflags(req, flags | rx_mode), "flags %#x: %s",
		    flags | rx_mode, gons_reexec_error(req));
}

struct gons_reexec *
rx_script(const char *lines)
{
	struct gons_reexec *req = rx_new("script");

	ATF_REQUIRE_EQ(0, gons_reexec_setenv(req, "SCRIPT", lines));
	return req;
}

static const char *
text_of(const struct gons_reexec *req)
{
	const char *text = gons_reexec_error(req);

	return text != NULL ? text : "no error text";
}

const char *
rx_wait_ok_at(struct gons_reexec *req, const char *file, int line)
{
	const char *result;
	size_t len;

	ATF_REQUIRE_MSG(gons_reexec_wait(req) == 0, "%s:%d: %s (%s)", file,
	    line, text_of(req), strerror(errno));
	ATF_REQUIRE_EQ(0, gons_reexec_failure(req));
	ATF_REQUIRE_MSG(gons_reexec_error(req) == NULL, "%s:%d: %s", file, line,
	    text_of(req));
	result = gons_reexec_result(req, &len);
	ATF_REQUIRE_MSG(
	    result != NULL && result[len] == '\0', "%s:%d", file, line);
	return result;
}

const char *
rx_ok_at(struct gons_reexec *req, const char *file, int line)
{
	int i;

	for (i = rx_mode == GONS_REEXEC_STAY; i >= 0; i--) {
		ATF_REQUIRE_MSG(gons_reexec_start(req) == 0, "%s:%d: %s (%s)",
		    file, line, text_of(req), strerror(errno));
		if (i > 0)
			(void)rx_wait_ok_at(req, file, line);
	}
	return rx_wait_ok_at(req, file, line);
}

void
rx_text_at(const struct gons_reexec *req, const char *file, int line,
    const char *words)
{
	const char *text = gons_reexec_error(req), *p;
	char word[256];
	size_t len;

	ATF_REQUIRE_MSG(text != NULL, "%s:%d: no error text", file, line);
	for (p = text; *p != '\0'; p++)
		ATF_REQUIRE_MSG((unsigned char)*p >= ' ' && *p != 0x7f,
		    "%s:%d: not one line: %s", file, line, text);
	for (; *words != '\0'; words += len + (words[len] == '|')) {
		len = strcspn(words, "|");
		(void)snprintf(word, sizeof(word), "%.*s", (int)len, words);
		ATF_CHECK_MSG(strstr(text, word) != NULL,
		    "%s:%d: no \"%s\" in: %.300s", file, line, word, text);
	}
}

void
rx_wait_fails_at(struct gons_reexec *req, const char *file, int line,
    int failure, int errnum, const char *words)
{
	int r;

	errno = 0;
	r = gons_reexec_wait(req);
	ATF_CHECK_MSG(
	    r == -1 && errno == errnum && gons_reexec_failure(req) == failure,
	    "%s:%d: expected failure %d, %s; got %d, failure %d, %s, %s", file,
	    line, failure, strerror(errnum), r, gons_reexec_failure(req),
	    strerror(errno), text_of(req));
	rx_text_at(req, file, line, words);
	/* asked again it says the same */
	errno = 0;
	ATF_CHECK(gons_reexec_step(req) == -1 && errno == errnum);
}

void
rx_fails_at(struct gons_reexec *req, const char *file, int line, int failure,
    int errnum, const char *words)
{
	ATF_REQUIRE_MSG(gons_reexec_start(req) == 0, "%s:%d: %s (%s)", file,
	    line, text_of(req), strerror(errno));
	rx_wait_fails_at(req, file, line, failure, errnum, words);
}

/* The next call reaps them, and this one does nothing else. */
void
rx_closers_end(void)
{
	siginfo_t info;

	while (waitid(P_ALL, 0, &info, WEXITED | WNOWAIT | __WALL) == 0)
		gons_reexec_free(gons_reexec_new("none"));
}

int
rx_byte(int fd)
{
	unsigned char c;
	ssize_t n;

	do
		n = read(fd, &c, 1);
	while (n == -1 && errno == EINTR);
	return n == 1 ? c : -1;
}

void
rx_pipe(int fd[2])
{
	ATF_REQUIRE_EQ(0, pipe2(fd, O_CLOEXEC));
}

void
rx_keep(struct gons_reexec *req, const char *name, int fd)
{
	char number[16];

	(void)snprintf(number, sizeof(number), "%d", fd);
	ATF_REQUIRE_EQ(0, gons_reexec_keepfd(req, fd));
	ATF_REQUIRE_EQ(0, gons_reexec_setenv(req, name, number));
}

int
rx_kept(const char *name)
{
	const char *number = getenv(name);

	return number != NULL ? atoi(number) : -1;
}

int
rx_gone(int fd, int ms)
{
	struct pollfd p;

	p.fd = fd;
	p.events = POLLIN;
	return poll(&p, 1, ms) == 1 && rx_byte(fd) == -1;
}

long long
rx_clock(void)
{
	struct timespec t;

	(void)clock_gettime(CLOCK_MONOTONIC, &t);
	return t.tv_sec * 1000LL + t.tv_nsec / 1000000;
}

void
rx_read_file(const char *path, char *buf, size_t len)
{
	size_t done = 0;
	ssize_t n;
	int fd = open(path, O_RDONLY | O_CLOEXEC);

	while (fd != -1 && done < len - 1 &&
	       (n = read(fd, buf + done, len - 1 - done)) > 0)
		done += (size_t)n;
	buf[done] = '\0';
	if (fd != -1)
		close(fd);
}

void
rx_proc(const char *path, const char *name, char *buf, size_t len)
{
	char text[8192];
	const char *p;

	rx_read_file(path, text, sizeof(text));
	buf[0] = '\0';
	if ((p = strstr(text, name)) == NULL)
		return;
	p += strlen(name);
	p += strspn(p, ": \t");
	(void)snprintf(buf, len, "%.*s", (int)strcspn(p, "\n"), p);
}

/*
 * The action "script": does what the lines of the variable SCRIPT say.
 *
 *	out TEXT, err TEXT	write it
 *	reply TEXT		gons_reexec_reply
 *	endless N		write to descriptor N for ever
 *	fork N ...		a child that holds of 0, 1, 2 only those, until
 *				the other end of the descriptor LIFE is closed
 *	close N			close(2)
 *	pause			for ever
 *	raise N			a signal
 *	return N, exit N, _exit N
 */
static void
script_fork(const char *held)
{
	char digit[2] = "0";
	int fd;

	(void)fflush(NULL);
	if (fork() != 0)
		return;
	for (fd = 0; fd < 3; fd++) {
		digit[0] = (char)('0' + fd);
		if (strstr(held, digit) == NULL)
			(void)close(fd);
	}
	(void)rx_byte(rx_kept("LIFE"));
	_exit(0);
}

static void
script_endless(int fd)
{
	static char block[4096];
	ssize_t n;

	memset(block, 'x', sizeof(block));
	do
		n = write(fd, block, sizeof(block));
	while (n > 0);
	_exit(77);
}

static int
script_line(const char *word, const char *rest)
{
	ssize_t n = 0;
	int number = atoi(rest);

	if (strcmp(word, "out") == 0)
		n = write(STDOUT_FILENO, rest, strlen(rest));
	else if (strcmp(word, "err") == 0)
		n = write(STDERR_FILENO, rest, strlen(rest));
	else if (strcmp(word, "reply") == 0)
		n = gons_reexec_reply(rest, strlen(rest));
	else if (strcmp(word, "endless") == 0)
		script_endless(number);
	else if (strcmp(word, "fork") == 0)
		script_fork(rest);
	else if (strcmp(word, "close") == 0)
		(void)close(number);
	else if (strcmp(word, "raise") == 0)
		(void)raise(number);
	else if (strcmp(word, "exit") == 0)
		exit(number);
	else if (strcmp(word, "_exit") == 0)
		_exit(number);
	else if (strcmp(word, "return") == 0)
		return number;
	else if (strcmp(word, "pause") == 0)
		for (;;)
			(void)pause();
	else
		_exit(76);
	return n == -1 ? 75 : -1;
}

static int
script(void)
{
	const char *p = getenv("SCRIPT");
	char word[16], rest[512];
	size_t len, space;
	int r = -1;

	for (; p != NULL && *p != '\0' && r == -1;
	     p += len + (p[len] == '\n')) {
		len = strcspn(p, "\n");
		space = strcspn(p, " \n");
		(void)snprintf(word, sizeof(word), "%.*s", (int)space, p);
		rest[0] = '\0';
		if (space < len)
			(void)snprintf(rest, sizeof(rest), "%.*s",
			    (int)(len - space - 1), p + space + 1);
		r = script_line(word, rest);
	}
	return r == -1 ? 0 : r;
}

__attribute__((constructor(200))) static void
register_script(void)
{
	if (gons_reexec_register("script", script) == -1)
		abort();
}
