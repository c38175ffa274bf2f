/*
 * SPDX-License-Identifier: BSD-2-Clause
 *
 * Copyright (c) 2026 The libgons developers
 *
 * Known attacks on programs that enter containers; gons_security(7) tells
 * what is done about each.  The actions play a child that a container has
 * taken over.
 */

#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <sys/stat.h>

#include <atf-c.h>

#include <errno.h>
#include <fcntl.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <gons.h>

#include "helpers.h"
#include "reexec.h"
#include "rx.h"

#define MOSTFDS 256
#define PAGE 4096
#define BLOCK 65536
/*
 * A sanitizer keeps account of memory in more than any machine has, and there
 * nothing is as it is in memory.
 */
#ifdef __SANITIZE_THREAD__
#define SHADOW (1ull << 26)
#else
#define SHADOW (1ull << 36)
#endif

/* What it holds: a line for each descriptor beyond the standard ones. */
static int
print_held(void)
{
	char link[64], name[256];
	ssize_t n;
	int fd;

	for (fd = 3; fd < MOSTFDS; fd++) {
		(void)snprintf(link, sizeof(link), "/proc/self/fd/%d", fd);
		if ((n = readlink(link, name, sizeof(name) - 1)) == -1)
			continue;
		name[n] = '\0';
		(void)printf("%.7s\n", name); /* "socket:", or it is too much */
	}
	return 0;
}

static int
print_exe(void)
{
	struct stat st;
	int fd, seals;

	if (stat("/proc/self/exe", &st) == -1 ||
	    (fd = open("/proc/self/exe", O_RDONLY | O_CLOEXEC)) == -1)
		return 2;
	seals = fcntl(fd, F_GET_SEALS);
	(void)printf("%llu %d %d\n", (unsigned long long)st.st_ino,
	    seals != -1 && (seals & F_SEAL_WRITE) != 0,
	    open("/proc/self/exe", O_RDWR | O_CLOEXEC));
	return 0;
}

static int
print_dumpable(void)
{
	(void)printf("%d\n", prctl(PR_GET_DUMPABLE, 0, 0, 0, 0));
	return 0;
}

/* One message, nonsense or not, perhaps with descriptors. */
static void
shoot(int sock, const void *data, size_t len, int nfds)
{
	int fds[SEND_FDS_MAX] = { 0, 1, 2, 0, 1, 2, 0, 1 };

	(void)send_fds(
	    sock, data, len, fds, (size_t)nfds, MSG_NOSIGNAL | MSG_DONTWAIT);
}

/* On every socket that it can find; NOISE seeds what. */
static int
make_noise(void)
{
	static const int values[] = { 0, 1, -1, 7, 9, 0x7fffffff, 0x137f };
	unsigned seed = (unsigned)atoi(getenv("NOISE"));
	unsigned char data[sizeof(struct gons_error) + 64];
	int fd, i, kind, value;
	size_t j;

	for (fd = 3; fd < MOSTFDS; fd++)
		for (i = 0; i < 40 && fcntl(fd, F_GETFD) != -1; i++) {
			for (j = 0; j < sizeof(data); j++)
				data[j] = (unsigned char)rand_r(&seed);
			kind = rand_r(&seed) % 20 - 2;
			value = values[(unsigned)rand_r(&seed) % 7];
			memcpy(data, &kind, sizeof(kind));
			memcpy(data + sizeof(kind), &value, sizeof(value));
			shoot(fd, data,
			    rand_r(&seed) % 3 == 0
				? (size_t)rand_r(&seed) % 16
				: (size_t)rand_r(&seed) % sizeof(data),
			    rand_r(&seed) % 9);
		}
	return 0;
}

/*
 * Takes whatever is sent to it, and will not die with who sent it, nor with its
 * session: the order to end it must not be for it to read.
 */
static int
steal(void)
{
	char order[64];
	int fd;

	(void)prctl(PR_SET_PDEATHSIG, 0, 0, 0, 0);
	if (setsid() == -1)
		return 2;
	for (;;) {
		for (fd = 3; fd < MOSTFDS; fd++)
			(void)recv(fd, order, sizeof(order), MSG_DONTWAIT);
		(void)sched_yield();
	}
	return 0;
}

/* Shows another process as if that were a supervisor's action, and stays. */
static int
accuse(void)
{
	const int message[3] = { MSG_ACTION, MESSAGE_VALUE, 0 };
	const char *innocent = getenv("INNOCENT");
	int fd, fds[1];

	if (innocent == NULL)
		return 2;
	fds[0] = atoi(innocent);
	for (fd = 3; fd < MOSTFDS; fd++)
		(void)send_fds(fd, message, sizeof(message), fds, 1,
		    MSG_NOSIGNAL | MSG_DONTWAIT);
	for (;;)
		(void)pause();
	return 0;
}

/* Says that there is somebody between it and the host, and stays. */
static int
pretend(void)
{
	const int supervised[2] = { 1, 1 };
	int fd;

	for (fd = 3; fd < MOSTFDS; fd++)
		shoot(fd, supervised, sizeof(supervised), 0);
	if (setsid() == -1)
		return 2;
	for (;;)
		(void)pause();
	return 0;
}

static int
has_terminal(void)
{
	int fd = open("/dev/tty", O_RDWR | O_CLOEXEC);

	if (fd != -1)
		(void)close(fd);
	return fd != -1;
}

/* Had it a controlling terminal, could it leave its session, has it one yet? */
static int
leave_terminal(void)
{
	int had = has_terminal(), left = setsid() != -1;

	(void)printf("%d %d %d\n", had, left, has_terminal());
	return 0;
}

/* A secret that is in no file: each byte one less than in the variable. */
static void
reveal(char *secret, size_t len)
{
	const char *hidden = getenv("HIDDEN");
	size_t i;

	for (i = 0; hidden[i] != '\0' && i < len - 1; i++)
		secret[i] = (char)(hidden[i] - 1);
	secret[i] = '\0';
}

static int
bear_secret(void)
{
	char param[64] = "";

	return read(STDIN_FILENO, param, sizeof(param)) < 1 ||
	       getenv("SECRET") == NULL;
}

/* How often it is there. */
static int
count(const char *data, size_t len, const char *what)
{
	const char *end = data + len;
	int n = 0;

	while ((data = memmem(
		    data, (size_t)(end - data), what, strlen(what))) != NULL) {
		data++;
		n++;
	}
	return n;
}

/* Both of them, which are as long, in that part of the own memory. */
static void
search(int mem, off_t from, off_t to, char *block, const char *const *what,
    int *found)
{
	size_t len = strlen(what[0]) - 1, size;
	ssize_t n;

	while (from < to) {
		size = to - from < BLOCK ? (size_t)(to - from) : BLOCK;
		n = pread(mem, block, size + len, from);
		if (n > 0) {
			found[0] += count(block, (size_t)n, what[0]);
			found[1] += count(block, (size_t)n, what[1]);
		}
		from += n < PAGE ? PAGE : n / PAGE * PAGE;
	}
}

static int
search_memory(void)
{
	char line[512], r, secret[64];
	const char *const what[] = { secret, getenv("HIDDEN") };
	unsigned long long from, to;
	FILE *maps = fopen("/proc/self/maps", "re");
	int found[] = { 0, 0 }, mem;
	char *block;

	mem = open("/proc/self/mem", O_RDONLY | O_CLOEXEC);
	/* shared: a line of its own in maps */
	block = mmap(NULL, 2 * BLOCK, PROT_READ | PROT_WRITE,
	    MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	if (maps == NULL || mem == -1 || block == MAP_FAILED)
		return 2;
	reveal(secret, sizeof(secret));
	while (fgets(line, sizeof(line), maps) != NULL)
		/* also what is not readable would be read, and so be made */
		if (sscanf(line, "%llx-%llx %c", &from, &to, &r) == 3 &&
		    r == 'r' && from < 1ull << 47 && to - from < SHADOW &&
		    from != (uintptr_t)block)
			search(mem, (off_t)from, (off_t)to, block, what, found);
	(void)printf("%d %d\n", found[0] > 1, found[1] > 0); /* its own */
	(void)munmap(block, 2 * BLOCK);
	(void)fclose(maps);
	(void)close(mem);
	return 0;
}

__attribute__((constructor)) static void
register_and_check(void)
{
	if (gons_reexec_register("print_held", print_held) == -1 ||
	    gons_reexec_register("print_exe", print_exe) == -1 ||
	    gons_reexec_register("print_dumpable", print_dumpable) == -1 ||
	    gons_reexec_register("make_noise", make_noise) == -1 ||
	    gons_reexec_register("steal", steal) == -1 ||
	    gons_reexec_register("pretend", pretend) == -1 ||
	    gons_reexec_register("accuse", accuse) == -1 ||
	    gons_reexec_register("leave_terminal", leave_terminal) == -1 ||
	    gons_reexec_register("bear_secret", bear_secret) == -1 ||
	    gons_reexec_register("search_memory", search_memory) == -1)
		abort();
	gons_reexec_check();
}

/*
 * Of all that the host has open, close-on-exec or not, nothing comes into the
 * container: a directory of the host's would be a way out of it.
 */
static void
inherited(void)
{
	struct gons_reexec *req = rx_new("print_held");
	const char *held, *p;
	int fds[40], i, lines = 0;
	struct target t;

	for (i = 0; i < 40; i++)
		ATF_REQUIRE((fds[i] = open(
				 "/", O_RDONLY | O_DIRECTORY |
					  (i % 2 != 0 ? O_CLOEXEC : 0))) != -1);
	target_start(&t, CLONE_NEWNS | CLONE_NEWPID | CLONE_NEWNET, 0);
	ATF_REQUIRE_EQ(0, gons_reexec_namespace(req, "!mnt", t.refs[GONS_MNT]));
	ATF_REQUIRE_EQ(0, gons_reexec_namespace(req, "!net", t.refs[GONS_NET]));
	held = rx_ok(req);
	for (p = held; *p != '\0'; p = strchr(p, '\n') + 1, lines++)
		ATF_CHECK_MSG(strncmp(p, "pipe:", 5) == 0, "held: %s", held);
	/* What it tells the host on; nobody can send anything back. */
	ATF_CHECK_MSG(lines <= 1, "held: %s", held);
	gons_reexec_free(req);
	target_stop(&t);
	for (i = 0; i < 40; i++)
		close(fds[i]);
}

/* CVE-2019-5736: what the container gets at is a copy that nobody can change. */
static void
overwritten_exe(void)
{
	struct gons_reexec *req = rx_new("print_exe");
	unsigned long long ino = 0;
	int opened = 0, sealed = 0;
	struct stat st;

	rx_flags(req, GONS_REEXEC_SEALED);
	ATF_REQUIRE_EQ(0, stat("/proc/self/exe", &st));
	ATF_REQUIRE_EQ(
	    3, sscanf(rx_ok(req), "%llu %d %d", &ino, &sealed, &opened));
	ATF_CHECK_MSG(ino != st.st_ino, "the program's own file");
	ATF_CHECK_EQ(1, sealed);
	ATF_CHECK_EQ(-1, opened);
	gons_reexec_free(req);
}

/* Undumpable while it joins (reexec_ns_test:undumpable), and not for ever. */
static void
dumpable_again(void)
{
	struct gons_reexec *req = rx_new("print_dumpable");
	struct target t;
	int type;

	target_start(&t, CLONE_NEWUSER | CLONE_NEWNET | CLONE_NEWNS, 0);
	ATF_CHECK_STREQ("1\n", rx_ok(req));
	for (type = 0; type < 3; type++) {
		static const char *const types[] = { "net", "user", "mnt" };
		static const int which[] = { GONS_NET, GONS_USER, GONS_MNT };

		ATF_REQUIRE_EQ(0, gons_reexec_namespace(
				      req, types[type], t.refs[which[type]]));
		ATF_REQUIRE_EQ(0, gons_reexec_setorder(req, "auto"));
		ATF_CHECK_STREQ("1\n", rx_ok(req));
	}
	gons_reexec_free(req);
	target_stop(&t);
}

/*
 * A child says what it wants, on its control socket and in place of a reply:
 * the host is none the worse for it, and keeps no descriptor that was sent.
 */
static void
hostile_messages(void)
{
	static const unsigned flags[] = { 0, GONS_REEXEC_DIE_WITH_PARENT,
		GONS_REEXEC_REPLY,
		GONS_REEXEC_REPLY | GONS_REEXEC_DIE_WITH_PARENT };
	struct gons_reexec *req = rx_new("make_noise");
	const unsigned char *p;
	char seed[16];
	int i, r;

	ATF_REQUIRE_EQ(0, gons_reexec_settimeout(req, 20000));
	for (i = 1; i <= 40; i++) {
		(void)snprintf(seed, sizeof(seed), "%d", i);
		ATF_REQUIRE_EQ(0, gons_reexec_setenv(req, "NOISE", seed));
		rx_flags(req, flags[i % 4]);
		errno = 0;
		r = gons_reexec_run(req);
		ATF_CHECK_MSG((r == 0) == (gons_reexec_failure(req) == 0) &&
				  (r == 0 || (errno > 0 && errno < 4096)),
		    "seed %d: %d, %d, errno %d", i, r, gons_reexec_failure(req),
		    errno);
		ATF_CHECK(gons_reexec_failure(req) != GONS_FAIL_TIMEOUT);
		p = (const unsigned char *)gons_reexec_error(req);
		for (; p != NULL && *p != '\0'; p++)
			ATF_REQUIRE_MSG(
			    *p >= ' ' && *p != 0x7f, "seed %d: lines", i);
	}
	gons_reexec_free(req);
}

/* An action that has a supervisor ends when it is told to, come what may. */
static void
stolen_order(void)
{
	static const unsigned flags[] = { 0, GONS_REEXEC_DIE_WITH_PARENT };
	struct gons_reexec *req = rx_new("steal");
	long long since;
	struct target t;
	int fd[2], i;

	target_start(&t, CLONE_NEWPID, 0);
	ATF_REQUIRE_EQ(0, gons_reexec_namespace(req, "pid", t.refs[GONS_PID]));
	ATF_REQUIRE_EQ(0, gons_reexec_settimeout(req, 500));
	rx_pipe(fd);
	rx_keep(req, "LIFE", fd[1]);
	for (i = 0; i < 2; i++) {
		rx_flags(req, flags[i]);
		since = rx_clock();
		rx_fails(req, GONS_FAIL_TIMEOUT, ETIMEDOUT, "500 ms");
		ATF_CHECK_MSG(
		    rx_clock() - since < 8000, "%lld ms", rx_clock() - since);
	}
	gons_reexec_free(req);
	close(fd[1]);
	ATF_CHECK_MSG(rx_gone(fd[0], 1000), "an action has survived");
	close(fd[0]);
	target_stop(&t);
}

/* One that has none gets no more time by saying that it has. */
static void
false_supervisor(void)
{
	struct gons_reexec *req = rx_new("pretend");
	long long since = rx_clock();

	ATF_REQUIRE_EQ(0, gons_reexec_settimeout(req, 500));
	rx_fails(req, GONS_FAIL_TIMEOUT, ETIMEDOUT, "500 ms");
	ATF_CHECK_MSG(rx_clock() - since < 8000, "%lld ms", rx_clock() - since);
	gons_reexec_free(req);
}

/* What the host may end, an action may not be able to. */
static void
false_action(void)
{
	struct gons_reexec *req = rx_new("accuse");
	pid_t pid = fork();
	int fd;

	ATF_REQUIRE(pid != -1);
	if (pid == 0)
		for (;;)
			(void)pause();
	ATF_REQUIRE((fd = pidfd_of(pid)) != -1);
	rx_keep(req, "INNOCENT", fd);
	ATF_REQUIRE_EQ(0, gons_reexec_settimeout(req, 300));
	rx_fails(req, GONS_FAIL_TIMEOUT, ETIMEDOUT, "300 ms");
	ATF_CHECK_EQ(0, waitpid(pid, NULL, WNOHANG));
	ATF_REQUIRE_EQ(0, kill(pid, SIGKILL));
	ATF_REQUIRE_EQ(pid, waitpid(pid, NULL, 0));
	gons_reexec_free(req);
	close(fd);
}

/* A host that has a controlling terminal. */
static void
in_terminal(void *arg)
{
	struct gons_reexec *req = arg;
	int master = posix_openpt(O_RDWR | O_NOCTTY | O_CLOEXEC);

	CHILD(setsid() != -1 && master != -1 && unlockpt(master) == 0);
	CHILD(open(ptsname(master), O_RDWR | O_CLOEXEC) != -1);
	CHILD(has_terminal());
	CHILD(gons_reexec_run(req) == 0);
	CHILD(strcmp(rx_result(req), "1 1 0\n") == 0);
}

/* A child has it, too, until it calls setsid(2); in each kind of process. */
static void
terminal(void)
{
	static const unsigned flags[] = { 0, GONS_REEXEC_DIE_WITH_PARENT };
	struct gons_reexec *req = rx_new("leave_terminal");
	int i, master = posix_openpt(O_RDWR | O_NOCTTY | O_CLOEXEC);
	struct target t;

	if (master == -1)
		atf_tc_skip("no terminals here: %s", strerror(errno));
	close(master);
	target_start(&t, CLONE_NEWPID, 0);
	for (i = 0; i < 4; i++) {
		if (i == 2)
			ATF_REQUIRE_EQ(0, gons_reexec_namespace(
					      req, "pid", t.refs[GONS_PID]));
		rx_flags(req, flags[i % 2]);
		in_child(in_terminal, req);
	}
	gons_reexec_free(req);
	target_stop(&t);
}

/* What one request had is nowhere in the memory of the next one's child. */
static void
others_secrets(void)
{
	static const char hidden[] = "tfdsfu!pg!uif!gjstu!sfrvftu";
	struct gons_reexec *bearer = rx_new("bear_secret");
	struct gons_reexec *reader = rx_new("search_memory");
	char secret[sizeof(hidden)];
	int i;

	for (i = 0; hidden[i] != '\0'; i++)
		secret[i] = (char)(hidden[i] - 1);
	secret[i] = '\0';
	ATF_REQUIRE_EQ(0, gons_reexec_param(bearer, secret, sizeof(secret)));
	ATF_REQUIRE_EQ(0, gons_reexec_setenv(bearer, "SECRET", secret));
	ATF_REQUIRE_EQ(0, gons_reexec_setenv(reader, "HIDDEN", hidden));
	for (i = 0; i < 8; i++) {
		(void)rx_ok(bearer);
		ATF_CHECK_STREQ("0 1\n", rx_ok(reader));
	}
	gons_reexec_free(bearer);
	gons_reexec_free(reader);
}

/* A descriptor for a process stays with it: no other is ever joined. */
static void
reused_pid(void)
{
	struct gons_reexec *req = rx_new("print_held");
	struct target t;
	int fd;

	target_start(&t, CLONE_NEWNET, 0);
	fd = pidfd_of(t.pid);
	ATF_REQUIRE_EQ(0, gons_reexec_target(req, fd, GONS_BIT(GONS_NET)));
	(void)rx_ok(req);
	target_stop(&t);
	rx_fails(req, GONS_FAIL_GONE, ESRCH, "No such process");
	close(fd);
	gons_reexec_free(req);
}

/*
 * The host closes what it does not know, as with closefrom(3), and the number
 * becomes another container's.
 */
static void
closed_copy(struct target *t, const struct target *other, int by_target)
{
	struct gons_reexec *req = rx_new("print_held");
	int copy, fd, others;
	char ref[16];

	fd = by_target ? pidfd_of(t->pid) : open(t->refs[GONS_NET], O_RDONLY);
	others = by_target ? pidfd_of(other->pid)
			   : open(other->refs[GONS_NET], O_RDONLY);
	ATF_REQUIRE(fd != -1 && others != -1);
	(void)snprintf(ref, sizeof(ref), "fd:%d", fd);
	ATF_REQUIRE((copy = fcntl(fd, F_DUPFD, 3)) != -1);
	close(copy); /* the library's will have this number */
	if (by_target)
		ATF_REQUIRE_EQ(
		    0, gons_reexec_target(req, fd, GONS_BIT(GONS_NET)));
	else
		ATF_REQUIRE_EQ(0, gons_reexec_namespace(req, "net", ref));
	(void)rx_ok(req);
	ATF_REQUIRE_EQ(0, close(copy));
	ATF_CHECK_ERRNO(EBADF, gons_reexec_run(req) == -1);
	ATF_CHECK_EQ(GONS_FAIL_START, gons_reexec_failure(req));
	rx_text(req, ref);
	ATF_REQUIRE_EQ(copy, dup2(others, copy));
	ATF_CHECK_ERRNO(EBADF, gons_reexec_run(req) == -1);
	rx_text(req, "has closed the copy");
	gons_reexec_free(req);
	ATF_CHECK_EQ(0, close(copy));
	close(fd);
	close(others);
}

/* That the descriptor is not there does not tell that the container is gone. */
static void
closed_meanwhile(struct target *t)
{
	struct gons_reexec *req = rx_script("return 3");
	int copy, fd = pidfd_of(t->pid);

	ATF_REQUIRE((copy = fcntl(fd, F_DUPFD, 3)) != -1);
	close(copy);
	ATF_REQUIRE_EQ(0, gons_reexec_target(req, fd, GONS_BIT(GONS_NET)));
	ATF_REQUIRE_EQ(0, gons_reexec_start(req));
	ATF_REQUIRE_EQ(0, close(copy));
	rx_wait_fails(req, GONS_FAIL_EXIT, EIO, "exited with status 3");
	gons_reexec_free(req);
	close(fd);
}

static void
closed_copies(void)
{
	struct target t, other;

	target_start(&t, CLONE_NEWNET, 0);
	target_start(&other, CLONE_NEWNET, 0);
	closed_copy(&t, &other, 0);
	closed_copy(&t, &other, 1);
	if (!RX_PREPARED) /* that might not be sent yet */
		closed_meanwhile(&t);
	target_stop(&t);
	target_stop(&other);
}

/*
 * A host that is in a container's root: what is called /proc there may be made
 * to be waited for.  The program is executed there only if it is static.
 */
static void
in_false_proc(void *arg)
{
	struct gons_reexec *req = arg;

	CHILD(chroot(".") == 0);
	(void)alarm(20);
	CHILD(gons_reexec_run(req) == 0 || errno == EPERM);
}

static void
false_proc(void)
{
	struct gons_reexec *req = rx_new("print_held");

	ATF_REQUIRE_EQ(0, mkdir("proc", 0755));
	ATF_REQUIRE_EQ(0, mkdir("proc/self", 0755));
	ATF_REQUIRE_EQ(0, mkdir("proc/thread-self", 0755));
	ATF_REQUIRE_EQ(0, mkfifo("proc/self/status", 0644));
	ATF_REQUIRE_EQ(0, mkfifo("proc/thread-self/status", 0644));
	in_child(in_false_proc, req);
	gons_reexec_free(req);
}

static const struct rx_case cases[] = {
	{ "inherited", inherited, RX_SANDBOX | RX_UNCOUNTED | RX_ONCE,
	    "descriptors in a container" },
	{ "overwritten_exe", overwritten_exe, RX_SEALED,
	    "a sealed child finds no way to write to the program" },
	{ "dumpable_again", dumpable_again, RX_SANDBOX,
	    "an action is dumpable again after its child has joined" },
	{ "hostile_messages", hostile_messages, 0,
	    "the host survives whatever a child says" },
	{ "stolen_order", stolen_order, RX_SANDBOX,
	    "an action cannot read the order to kill it" },
	{ "false_supervisor", false_supervisor, 0,
	    "a child cannot invent a supervisor" },
	{ "false_action", false_action, 0,
	    "a child cannot have another process killed" },
	{ "terminal", terminal, RX_SANDBOX,
	    "an action can leave the terminal by setsid(2)" },
	{ "others_secrets", others_secrets, 0,
	    "a child cannot see what other requests had" },
	{ "false_proc", false_proc, RX_SANDBOX,
	    "a FIFO in /proc holds up nobody" },
	{ "closed_copies", closed_copies, RX_SANDBOX,
	    "a descriptor that the host has closed leads nowhere else" },
	{ "reused_pid", reused_pid, RX_SANDBOX,
	    "a target that has ended is not taken for another" },
};

ATF_TP_ADD_TCS(tp)
{
	return rx_cases(tp, cases, NELEM(cases));
}
