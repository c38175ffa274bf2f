/*
 * SPDX-License-Identifier: BSD-2-Clause
 *
 * Copyright (c) 2026 The libgons developers
 *
 * Every system call and every allocation that the library issues fails once:
 * the first, the second, until there is none left; see h_fault.c for what is
 * looked at after each.
 *
 * System calls fail by a seccomp filter that asks this process, in the helper
 * program and in all that it starts, so that raw calls are covered as well as
 * libc's.  Each point is tried with an errno that is likely for that call, with
 * ENOSYS, as old kernels and other people's filters have it, and with EINTR if
 * the call can be interrupted, which must change nothing.  Not asked about:
 * what only libc uses before main, and could not do without; close(2), which
 * releases the descriptor whatever it returns; of 64 times rt_sigaction(2) all
 * but two; and but for EINTR waiting, since who is told that there is no child
 * has none, and killing; getpid(2), which cannot fail.
 *
 * Allocations fail in the helper program, which is linked with --wrap.
 */

#include <sys/ioctl.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>

#include <linux/filter.h>
#include <linux/seccomp.h>

#include <atf-c.h>

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "helpers.h"

#define MARK 0x676f6e73
#define MARGIN 60000 /* ms without a system call: it hangs */
#define SOCK 900 /* sendmsg(2) to it is let through: brings the listener */
#define MOST 1000 /* points of one kind */

enum who {
	HOST,
	CHILD_OF_HOST
};
enum mode {
	LIKELY,
	MISSING,
	INTERRUPTED,
	NMODES
};

struct plan { /* what to start, and what to let fail */
	const char *args[5];
	const char *env[8];
	int fd; /* to inherit as descriptor 7, or -1 */
	int from_start; /* faults before main */
	enum who who;
	enum mode mode;
	int silent; /* nothing goes to stderr */
	long nth; /* 0: none */
	char alloc[32]; /* FAULT_ALLOC=... */
};

struct outcome {
	long counted;
	long hit; /* the system call that failed, or -1 */
	int hung;
	int status;
	char out[8192], err[4096];
};

static char helper[4096];
static long points[3]; /* that were tried: likely, missing, interrupted */
static long allocs;
static long sockets; /* points where a supervisor got no pair of them */

static int
is_interruptible(long nr)
{
	switch (nr) {
	case SYS_read:
	case SYS_write:
	case SYS_recvfrom:
	case SYS_recvmsg:
	case SYS_sendto:
	case SYS_sendmsg:
#ifdef SYS_poll
	case SYS_poll:
#endif
	case SYS_ppoll:
#ifdef SYS_epoll_wait
	case SYS_epoll_wait:
#endif
	case SYS_epoll_pwait:
	case SYS_waitid:
	case SYS_wait4:
	case SYS_sendfile:
		return 1;
	default:
		return 0;
	}
}

static int
is_exempt(long nr)
{
	return nr == SYS_waitid || nr == SYS_wait4 || nr == SYS_kill ||
	       nr == SYS_pidfd_send_signal || nr == SYS_getpid;
}

static int
likely_errno(long nr)
{
	switch (nr) {
	case SYS_openat:
	case SYS_socketpair:
	case SYS_pipe2:
	case SYS_epoll_create1:
	case SYS_timerfd_create:
	case SYS_memfd_create:
	case SYS_pidfd_open:
	case SYS_fcntl:
	case SYS_signalfd4:
		return EMFILE;
	case SYS_clone:
		return EAGAIN;
	case SYS_mmap:
#ifdef SYS_poll
	case SYS_poll:
#endif
	case SYS_ppoll:
	case SYS_epoll_ctl:
	case SYS_sendmsg:
	case SYS_recvmsg:
	case SYS_execveat:
		return ENOMEM;
	case SYS_write:
		return ENOSPC;
	case SYS_read:
	case SYS_sendfile:
		return EIO;
	default:
		return EPERM;
	}
}

/* A filter that asks about everything but the calls named above. */
#define LET(nr_)                                          \
	BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, (nr_), 0, 1), \
	    BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW)
#define ARG(i)                             \
	BPF_STMT(BPF_LD | BPF_W | BPF_ABS, \
	    offsetof(struct seccomp_data, args[i]) + LOW)
#define LOW (__BYTE_ORDER__ == __ORDER_BIG_ENDIAN__ ? 4 : 0)

static int
install_filter(void)
{
	struct sock_filter code[] = {
		BPF_STMT(BPF_LD | BPF_W | BPF_ABS,
		    offsetof(struct seccomp_data, nr)),
#ifdef SYS_arch_prctl
		LET(SYS_arch_prctl),
#endif
		LET(SYS_brk),
		LET(SYS_mprotect),
		LET(SYS_munmap),
		LET(SYS_madvise),
		LET(SYS_set_robust_list),
#ifdef SYS_rseq
		LET(SYS_rseq),
#endif
		LET(SYS_set_tid_address),
		LET(SYS_futex),
		LET(SYS_execve),
		LET(SYS_close),
		LET(SYS_exit),
		LET(SYS_exit_group),
		LET(SYS_rt_sigreturn),
		LET(SYS_clock_gettime),
		/* memory of libc's own */
		BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, SYS_mmap, 0, 3),
		ARG(4),
		BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, ~0u, 0, 6),
		BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW),
		BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, SYS_rt_sigaction, 0, 2),
		ARG(0),
		BPF_JUMP(BPF_JMP | BPF_JGE | BPF_K, 3, 3, 2),
		BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, SYS_sendmsg, 0, 1),
		ARG(0),
		BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, SOCK, 0, 1),
		BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW),
		BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_USER_NOTIF),
	};
	struct sock_fprog prog;

	prog.len = sizeof(code) / sizeof(*code);
	prog.filter = code;
	/* nothing works any more for who is left behind without an answer */
	if (prctl(PR_SET_PDEATHSIG, SIGKILL, 0, 0, 0) == -1 ||
	    prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) == -1)
		return -1;
	return (int)syscall(SYS_seccomp, SECCOMP_SET_MODE_FILTER,
	    SECCOMP_FILTER_FLAG_NEW_LISTENER, &prog);
}

/* -1: the other side had none */
static int
get_fd(int sock)
{
	char room[CMSG_SPACE(sizeof(int))], byte;
	struct iovec iov = { &byte, 1 };
	struct msghdr msg;
	int fd = -1;

	memset(&msg, 0, sizeof(msg));
	msg.msg_iov = &iov;
	msg.msg_iovlen = 1;
	msg.msg_control = room;
	msg.msg_controllen = sizeof(room);
	if (recvmsg(sock, &msg, MSG_CMSG_CLOEXEC) == 1 &&
	    CMSG_FIRSTHDR(&msg) != NULL)
		memcpy(&fd, CMSG_DATA(CMSG_FIRSTHDR(&msg)), sizeof(fd));
	return fd;
}

/* Becomes the helper program, under the filter. */
static void
become(const struct plan *plan, int out, int err, int sock)
{
	char *argv[7], *envp[10];
	size_t i, n;
	int fd;

	argv[0] = (char *)(uintptr_t) "h_fault";
	for (i = 0; plan->args[i] != NULL; i++)
		argv[i + 1] = (char *)(uintptr_t)plan->args[i];
	argv[i + 1] = NULL;
	for (n = 0; plan->env[n] != NULL; n++)
		envp[n] = (char *)(uintptr_t)plan->env[n];
	if (plan->alloc[0] != '\0')
		envp[n++] = (char *)(uintptr_t)plan->alloc;
	envp[n] = NULL;
	CHILD(setpgid(0, 0) == 0);
	CHILD(dup2(out, 1) != -1 && dup2(err, 2) != -1);
	CHILD(dup2(open("/dev/null", O_RDONLY), 0) != -1);
	CHILD(dup2(sock, SOCK) != -1);
	if (plan->fd != -1)
		CHILD(dup2(plan->fd, SOCK + 1) != -1);
	CHILD(syscall(SYS_close_range, 3, SOCK - 1, 0) == 0);
	if (plan->fd != -1) {
		CHILD(dup2(SOCK + 1, 7) != -1);
		close(SOCK + 1);
	}
	CHILD((fd = install_filter()) != -1);
	CHILD(send_fds(SOCK, "", 1, &fd, 1, 0) == 1);
	close(fd);
	close(SOCK);
	(void)execve(helper, argv, envp);
	_exit(98);
}

struct supervisor {
	const struct plan *plan;
	struct outcome *o;
	pid_t host;
	int armed;
	pid_t quiet[64]; /* processes in which the action runs */
	size_t nquiet;
};

static void
take_mark(struct supervisor *s, const struct seccomp_notif *req)
{
	size_t i;

	if ((pid_t)req->pid == s->host) {
		s->armed = (int)req->data.args[1];
		return;
	}
	for (i = 0; i < s->nquiet; i++)
		if (s->quiet[i] == (pid_t)req->pid)
			break;
	if (req->data.args[1] != 0 && i < s->nquiet)
		s->quiet[i] = s->quiet[--s->nquiet];
	else if (req->data.args[1] == 0 && i == s->nquiet && i < 64)
		s->quiet[s->nquiet++] = (pid_t)req->pid;
}

/* The errno that this call is to fail with, or 0. */
static int
decide(struct supervisor *s, const struct seccomp_notif *req)
{
	enum who who = (pid_t)req->pid == s->host ? HOST : CHILD_OF_HOST;
	long nr = req->data.nr;
	size_t i;

	if (!s->armed || who != s->plan->who || s->plan->nth == 0)
		return 0;
	for (i = 0; i < s->nquiet; i++)
		if (s->quiet[i] == (pid_t)req->pid)
			return 0;
	if (s->plan->mode == INTERRUPTED ? !is_interruptible(nr)
					 : is_exempt(nr))
		return 0;
	if (++s->o->counted != s->plan->nth)
		return 0;
	s->o->hit = nr;
	return s->plan->mode == INTERRUPTED ? EINTR
	       : s->plan->mode == MISSING   ? ENOSYS
					    : likely_errno(nr);
}

static void
answer(struct supervisor *s, int listener)
{
	struct seccomp_notif req;
	struct seccomp_notif_resp resp;

	memset(&req, 0, sizeof(req));
	if (ioctl(listener, SECCOMP_IOCTL_NOTIF_RECV, &req) == -1)
		return; /* it has ended meanwhile */
	memset(&resp, 0, sizeof(resp));
	resp.id = req.id;
	if (req.data.nr == SYS_prctl && req.data.args[0] == MARK)
		take_mark(s, &req);
	else if ((resp.error = -decide(s, &req)) == 0)
		resp.flags = SECCOMP_USER_NOTIF_FLAG_CONTINUE;
	(void)ioctl(listener, SECCOMP_IOCTL_NOTIF_SEND, &resp);
}

/* Until all processes under the filter have ended, prepared ones too. */
static void
supervise(struct supervisor *s, int listener)
{
	struct pollfd p;

	p.fd = listener;
	p.events = POLLIN;
	for (;;) {
		if (poll(&p, 1, MARGIN) == 0) {
			if (s->o->hung)
				break;
			s->o->hung = 1;
			(void)kill(-s->host, SIGKILL);
		}
		if ((p.revents & POLLIN) != 0)
			answer(s, listener);
		else if ((p.revents & POLLHUP) != 0)
			break;
	}
}

static void
slurp(int fd, char *buf, size_t size)
{
	size_t len = 0;
	ssize_t n;

	while (len < size - 1 && (n = read(fd, buf + len, size - 1 - len)) > 0)
		len += (size_t)n;
	buf[len] = '\0';
	close(fd);
}

static void
play(const struct plan *plan, struct outcome *o)
{
	int err[2], listener, out[2], sock[2];
	struct supervisor s;

	memset(&s, 0, sizeof(s));
	memset(o, 0, sizeof(*o));
	o->hit = -1;
	s.plan = plan;
	s.o = o;
	s.armed = plan->from_start;
	ATF_REQUIRE(pipe2(out, O_CLOEXEC) == 0 && pipe2(err, O_CLOEXEC) == 0);
	ATF_REQUIRE(
	    socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, sock) == 0);
	fflush(NULL);
	ATF_REQUIRE((s.host = fork()) != -1);
	if (s.host == 0)
		become(plan, out[1], err[1], sock[1]);
	close(out[1]);
	close(err[1]);
	close(sock[1]);
	if ((listener = get_fd(sock[0])) != -1)
		supervise(&s, listener);
	close(listener);
	close(sock[0]);
	ATF_REQUIRE_EQ(s.host, waitpid(s.host, &o->status, 0));
	slurp(out[0], o->out, sizeof(o->out));
	slurp(err[0], o->err, sizeof(o->err));
	ATF_REQUIRE_MSG(listener != -1, "no filter: %s", o->err);
}

/* What must hold whatever has failed. */
static void
check(const struct plan *plan, const struct outcome *o)
{
	static const char *const who[] = { "host", "child" };
	static const char *const mode[] = { "likely", "ENOSYS", "EINTR" };
	char point[128];
	int ok;

	(void)snprintf(point, sizeof(point), "%s %s, %s %s %ld (call %ld)",
	    plan->args[1] != NULL ? plan->args[1] : plan->env[0], plan->alloc,
	    who[plan->who], mode[plan->mode], plan->nth, o->hit);
	ok = !o->hung && WIFEXITED(o->status) &&
	     strstr(o->out, "problem") == NULL &&
	     (!plan->silent || o->err[0] == '\0') &&
	     (WEXITSTATUS(o->status) == 0 ||
		 (WEXITSTATUS(o->status) == 1 &&
		     (strncmp(o->err, "gons: ", 6) == 0 ||
			 (o->hit == SYS_write && plan->from_start))));
	if (!ok)
		atf_tc_fail_nonfatal("%s: %s, status %#x\n%s%s", point,
		    o->hung ? "it hangs" : "it does not hold", o->status,
		    o->out, o->err);
}

/* All points of one process and one kind of failure. */
static void
all_points(struct plan *plan)
{
	static struct outcome clean, o;

	plan->nth = 0;
	play(plan, &clean);
	check(plan, &clean);
	for (plan->nth = 1; plan->nth < MOST; plan->nth++) {
		play(plan, &o);
		if (o.hit == -1)
			break;
		points[plan->mode]++;
		check(plan, &o);
		if (plan->who == CHILD_OF_HOST && o.hit == SYS_socketpair &&
		    strstr(o.out, "made for the action") != NULL)
			sockets++;
		if (plan->mode == INTERRUPTED && strcmp(o.out, clean.out) != 0)
			atf_tc_fail_nonfatal("%s: EINTR in call %ld, number "
					     "%ld: %s instead of %s",
			    plan->args[1], o.hit, plan->nth, o.out, clean.out);
	}
	ATF_CHECK(plan->nth < MOST);
	plan->nth = 0;
}

/* All allocations of the host, and of the child. */
static void
all_allocations(struct plan *plan)
{
	static const char *const who[] = { "host", "child" };
	static struct outcome o;
	int fired, i;
	long n;

	plan->nth = 0;
	for (i = 0; i < 2; i++)
		for (n = 1; n < MOST; n++) {
			(void)unlink("fired");
			(void)snprintf(plan->alloc, sizeof(plan->alloc),
			    "FAULT_ALLOC=%s:%ld", who[i], n);
			play(plan, &o);
			fired = unlink("fired") == 0;
			check(plan, &o);
			if (!fired)
				break;
			allocs++;
		}
	plan->alloc[0] = '\0';
}

static void
report(void)
{
	printf("points: %ld with a likely errno, %ld with ENOSYS, %ld with "
	       "EINTR, %ld allocations\n",
	    points[LIKELY], points[MISSING], points[INTERRUPTED], allocs);
}

static int
is_counting(void)
{
	const char *counting = getenv("GONS_TEST_COVERAGE");

	return counting != NULL && strcmp(counting, "yes") == 0;
}

static void
begin(const atf_tc_t *tc)
{
	(void)snprintf(helper, sizeof(helper), "%s/h_fault",
	    atf_tc_get_config_var(tc, "srcdir"));
	if (strcmp(getenv("GONS_TEST_SANITIZE") != NULL
		       ? getenv("GONS_TEST_SANITIZE")
		       : "no",
		"no") != 0)
		atf_tc_skip("the run time of the sanitizer would fail, too");
	sandbox(0);
}

static const struct start {
	const char *name;
	const char *env[6]; /* %d: the target's PID */
	int fd; /* as descriptor 7: 1 a namespace, 2 a pidfd */
} starts[] = {
	{ "one", { "gons_net=/proc/%d/ns/net" }, 0 },
	{ "three",
	    { "gons_net=/proc/%d/ns/net", "gons_uts=/proc/%d/ns/uts",
		"gons_ipc=/proc/%d/ns/ipc" },
	    0 },
	{ "late",
	    { "gons_net=/proc/%d/ns/net", "gons_uts=/proc/%d/ns/uts",
		"gons_order=uts,net" },
	    0 },
	{ "mnt", { "gons_mnt=/proc/%d/ns/mnt" }, 0 },
	{ "pid", { "gons_pid=/proc/%d/ns/pid" }, 0 },
	{ "user", { "gons_user=/proc/%d/ns/user", "gons_net=/proc/%d/ns/net" },
	    0 },
	{ "automatic",
	    { "gons_user=/proc/%d/ns/user", "gons_net=/proc/%d/ns/net",
		"gons_order=auto" },
	    0 },
	{ "descriptor", { "gons_net=fd:7" }, 1 },
	{ "target", { "gons_target=%d" }, 0 },
	{ "target_order", { "gons_target=%d", "gons_order=net,uts" }, 0 },
	{ "target_fd", { "gons_target=fd:7" }, 2 },
	{ "wrong_type", { "gons_net=/proc/%d/ns/uts" }, 0 },
	{ "missing", { "gons_net=/proc/%d/ns/nothing" }, 0 },
	{ "same_user", { "gons_user=/proc/self/ns/user" }, 0 },
	{ "target_gone", { "gons_target=2147483647" }, 0 },
	{ "exit", { "gons_net=/proc/%d/ns/uts", "gons_onerror=exit" }, 0 },
	{ "nothing", { NULL }, 0 },
};

static void
start_env(struct plan *plan, const struct start *start, pid_t pid)
{
	static char text[6][128];
	size_t i;

	plan->args[0] = "start";
	plan->args[1] = NULL;
	for (i = 0; start->env[i] != NULL; i++) {
#pragma GCC diagnostic push
#pragma GCC diagnostic ignored "-Wformat-nonliteral"
		(void)snprintf(
		    text[i], sizeof(text[i]), start->env[i], (int)pid);
#pragma GCC diagnostic pop
		plan->env[i] = text[i];
	}
	plan->env[i] = NULL;
}

ATF_TC(start);
ATF_TC_HEAD(start, tc)
{
	atf_tc_set_md_var(tc, "descr", "start-up, whatever fails");
	atf_tc_set_md_var(tc, "timeout", "600");
}
ATF_TC_BODY(start, tc)
{
	const struct start *start;
	struct plan plan;
	struct target t;
	char path[64];
	int mode;

	begin(tc);
	target_start(&t, ALL_FLAGS & ~CLONE_NEWTIME, 0);
	for (start = starts; start < starts + sizeof(starts) / sizeof(*starts);
	     start++) {
		memset(&plan, 0, sizeof(plan));
		plan.fd = -1;
		plan.from_start = 1;
		start_env(&plan, start, t.pid);
		(void)snprintf(path, sizeof(path), "/proc/%d/ns/net", t.pid);
		if (start->fd == 1)
			plan.fd = open(path, O_RDONLY | O_CLOEXEC);
		if (start->fd == 2)
			plan.fd = pidfd_of(t.pid);
		for (mode = 0; mode < NMODES; mode++) {
			plan.mode = (enum mode)mode;
			all_points(&plan);
		}
		all_allocations(&plan);
		if (plan.fd != -1)
			close(plan.fd);
	}
	target_stop(&t);
	report();
}

/* One kind of run, in the parent and in the child. */
static void
all_of_kind(const atf_tc_t *tc, const char *kind, const char *type)
{
	char ref[128], life[32];
	struct plan plan;
	struct target t;
	int i, mode;

	begin(tc);
	memset(&plan, 0, sizeof(plan));
	plan.args[0] = "run";
	plan.args[1] = kind;
	plan.fd = -1;
	plan.env[0] = "GONS_COVERAGE=0";
	if (type != NULL) {
		target_start(&t,
		    strcmp(type, "pid") == 0 ? CLONE_NEWPID
					     : CLONE_NEWNET | CLONE_NEWUTS,
		    0);
		(void)snprintf(ref, sizeof(ref), "FAULT_REF=/proc/%d/ns/%s",
		    (int)t.pid, type);
		(void)snprintf(life, sizeof(life), "FAULT_PIDFD=7");
		plan.env[1] = ref;
		plan.env[2] = life;
		plan.fd = pidfd_of(t.pid);
	}
	for (i = 0; i < 2; i++)
		for (mode = 0; mode < NMODES; mode++) {
			plan.who = (enum who)i;
			plan.mode = (enum mode)mode;
			all_points(&plan);
		}
	ATF_CHECK_MSG(sockets >= 2 || (strcmp(kind, "pid") != 0 &&
					  strcmp(kind, "die") != 0 &&
					  strcmp(kind, "linger_die") != 0),
	    "the supervisor's sockets were not tried");
	all_allocations(&plan);
	if (type != NULL)
		target_stop(&t);
	report();
}

ATF_TC(check);
ATF_TC_HEAD(check, tc)
{
	atf_tc_set_md_var(tc, "descr", "gons_reexec_check, whatever fails");
}
ATF_TC_BODY(check, tc)
{
	struct plan plan;
	int mode;

	begin(tc);
	memset(&plan, 0, sizeof(plan));
	plan.args[0] = "check";
	plan.env[0] = "GONS_COVERAGE=0";
	plan.fd = -1;
	for (mode = 0; mode < NMODES; mode++) {
		plan.mode = (enum mode)mode;
		all_points(&plan);
	}
	all_allocations(&plan);
	report();
}

#define KIND(name, type)                                              \
	ATF_TC(name);                                                 \
	ATF_TC_HEAD(name, tc)                                         \
	{                                                             \
		atf_tc_set_md_var(                                    \
		    tc, "descr", "a run, whatever fails: %s", #name); \
		atf_tc_set_md_var(tc, "timeout", "900");              \
	}                                                             \
	ATF_TC_BODY(name, tc)                                         \
	{                                                             \
		all_of_kind(tc, #name, type);                         \
	}
KIND(plain, NULL)
KIND(namespace, "net")
KIND(early, "uts")
KIND(pid, "pid")
KIND(target, "net")
KIND(reply, NULL)
KIND(stepped, NULL)
KIND(stepped_linger, NULL)
KIND(sealed, NULL)
KIND(pass, NULL)
KIND(die, NULL)
KIND(linger, NULL)
KIND(linger_die, NULL)
KIND(prepared, NULL)
KIND(prepared_reply, "net")
KIND(prepared_pid, "pid")
KIND(prepared_linger, NULL)

/* The helper program, built to count; its data comes to this directory. */
static void
build_counted(void)
{
	static const char command[] =
	    "set -- -D_GNU_SOURCE -I$GONS_TEST_SRC/include && "
	    "$GONS_TEST_CC $@ -c $GONS_TEST_SRC/tests/counts.c && "
	    "$GONS_TEST_CC $@ --coverage -static -pthread -o h_counted "
	    "$GONS_TEST_SRC/tests/h_fault.c counts.o "
	    "-Wl,--wrap=malloc,--wrap=calloc,--wrap=realloc,--wrap=free "
	    "-Wl,--wrap=vasprintf,--wrap=_exit,--wrap=kill "
	    "$GONS_TEST_OBJ/lib/autostart.o $GONS_TEST_OBJ/lib/libgons.a";

	if (system(command) != 0)
		atf_tc_skip("no programs that count");
	ATF_REQUIRE(realpath("h_counted", helper) != NULL);
}

/* No run goes wrong for the sake of coverage, and nothing of it is left. */
ATF_TC(counted);
ATF_TC_HEAD(counted, tc)
{
	atf_tc_set_md_var(tc, "descr", "coverage of a child, whatever fails");
	atf_tc_set_md_var(tc, "timeout", "900");
}
ATF_TC_BODY(counted, tc)
{
	static struct outcome o;
	char dir[4096], tmp[4200];
	struct plan plan;
	int i, mode;

	begin(tc);
	if (!is_counting())
		build_counted();
	ATF_REQUIRE(getcwd(dir, sizeof(dir)) != NULL);
	ATF_REQUIRE_EQ(0, mkdir("tmp", 0700));
	(void)snprintf(tmp, sizeof(tmp), "TMPDIR=%s/tmp", dir);
	memset(&plan, 0, sizeof(plan));
	plan.args[0] = "run";
	plan.args[1] = "counted";
	plan.silent = 1;
	plan.env[0] = tmp;
	plan.fd = -1;
	for (i = 0; i < 2; i++)
		for (mode = 0; mode < NMODES; mode++) {
			plan.who = (enum who)i;
			plan.mode = (enum mode)mode;
			all_points(&plan);
		}
	all_allocations(&plan);
	/* What could not be removed at once is removed by the next. */
	play(&plan, &o);
	check(&plan, &o);
	ATF_CHECK_EQ(0, rmdir("tmp"));
	report();
}

static void
put(const char *path, const void *data, size_t len)
{
	int fd = open(path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);

	ATF_REQUIRE(fd != -1);
	ATF_REQUIRE_EQ((ssize_t)len, write(fd, data, len));
	close(fd);
}

/*
 * A destination that was not there may be left empty, which counts as none:
 * somebody else may be waiting to write into it by then.
 */
static int
holds(const char *path, const void *data, size_t len)
{
	char got[16384];
	size_t n;
	FILE *f = fopen(path, "re");

	if (f == NULL)
		return data == NULL;
	n = fread(got, 1, sizeof(got), f);
	fclose(f);
	if (data == NULL)
		return n == 0;
	return n == len && memcmp(got, data, len) == 0;
}

/* How many files there are beside source and destination. */
static int
others(void)
{
	struct dirent *e;
	int n = 0;
	DIR *dir = opendir("merge");

	ATF_REQUIRE(dir != NULL);
	while ((e = readdir(dir)) != NULL)
		n += e->d_name[0] != '.' && strcmp(e->d_name, "dst") != 0 &&
		     strcmp(e->d_name, "src") != 0;
	closedir(dir);
	return n;
}

struct texts {
	const void *dst, *src, *sum; /* dst NULL: there is none yet */
	size_t dstlen, srclen, sumlen;
};

static void
one_merge(struct plan *plan, const struct texts *t, struct outcome *o)
{
	int done;

	(void)unlink("merge/dst");
	if (t->dst != NULL)
		put("merge/dst", t->dst, t->dstlen);
	put("merge/src", t->src, t->srclen);
	play(plan, o);
	check(plan, o);
	done = strstr(o->out, "outcome ok") != NULL;
	/* an empty one counts as none: it may be locked by somebody else */
	if (!holds("merge/dst", done ? t->sum : t->dst,
		done ? t->sumlen : t->dstlen) &&
	    (done || t->dst != NULL || !holds("merge/dst", "", 0)))
		atf_tc_fail_nonfatal("%s %ld %s, call %ld: destination not as "
				     "it has to be; %s",
		    plan->mode == LIKELY ? "likely" : "other", plan->nth,
		    plan->alloc, o->hit, o->out);
	if (!holds("merge/src", t->src, t->srclen))
		atf_tc_fail_nonfatal("%ld: source changed", plan->nth);
	if (others() != 0)
		atf_tc_fail_nonfatal(
		    "%ld, call %ld: a file is left", plan->nth, o->hit);
}

static void
merges(const atf_tc_t *tc, const struct texts *t)
{
	static struct outcome o;
	struct plan plan;
	int fired, mode;
	long n;

	begin(tc);
	ATF_REQUIRE_EQ(0, mkdir("merge", 0700));
	memset(&plan, 0, sizeof(plan));
	plan.args[0] = "merge";
	plan.args[1] = "merge/dst";
	plan.args[2] = "merge/src";
	plan.fd = -1;
	one_merge(&plan, t, &o);
	ATF_REQUIRE_MSG(strstr(o.out, "outcome ok") != NULL, "%s", o.out);
	for (mode = 0; mode < NMODES; mode++) {
		plan.mode = (enum mode)mode;
		for (plan.nth = 1; plan.nth < MOST; plan.nth++) {
			one_merge(&plan, t, &o);
			if (o.hit == -1)
				break;
			points[mode]++;
		}
	}
	plan.nth = 0;
	for (n = 1, fired = 1; fired && n < MOST; n++) {
		(void)snprintf(
		    plan.alloc, sizeof(plan.alloc), "FAULT_ALLOC=host:%ld", n);
		one_merge(&plan, t, &o);
		fired = unlink("fired") == 0;
		allocs += fired;
	}
	report();
}

#define LINE "a.go:1.2,3.4 1 "
#define SUM "mode: count\n" LINE "5\n"
#define TEXTS(d, s, x)                                               \
	{                                                            \
		d, s, x, sizeof(d) - 1, sizeof(s) - 1, sizeof(x) - 1 \
	}

ATF_TC(merge_go);
ATF_TC_HEAD(merge_go, tc)
{
	atf_tc_set_md_var(tc, "descr", "merging Go profiles");
	atf_tc_set_md_var(tc, "timeout", "600");
}
ATF_TC_BODY(merge_go, tc)
{
	static const struct texts t =
	    TEXTS("mode: count\n" LINE "2\n", "mode: count\n" LINE "3\n", SUM);

	merges(tc, &t);
}

/* magic, version, stamp, checksum; summary; a function with two counters */
static const uint32_t gcda[][17] = {
	{ 0x67636461, 0x4232322a, 1, 2, 0xa1000000, 8, 1, 5, 0x01000000, 12, 1,
	    2, 3, 0x01a10000, 16, 5, 0 },
	{ 0x67636461, 0x4232322a, 1, 2, 0xa1000000, 8, 2, 7, 0x01000000, 12, 1,
	    2, 3, 0x01a10000, 16, 7, 0 },
	{ 0x67636461, 0x4232322a, 1, 2, 0xa1000000, 8, 3, 12, 0x01000000, 12, 1,
	    2, 3, 0x01a10000, 16, 12, 0 },
};

static void
merge_counters(const atf_tc_t *tc, int exists)
{
	uint32_t file[3][20];
	struct texts t;
	int i;

	for (i = 0; i < 3; i++) {
		memset(file[i], 0, sizeof(file[i]));
		memcpy(file[i], gcda[i], sizeof(gcda[i]));
	}
	t.dst = exists ? file[0] : NULL;
	t.src = file[1];
	t.sum = exists ? file[2] : file[1];
	/* the end is a zero word */
	t.dstlen = t.srclen = t.sumlen = sizeof(file[0]);
	merges(tc, &t);
}

ATF_TC(merge_gcda);
ATF_TC_HEAD(merge_gcda, tc)
{
	atf_tc_set_md_var(tc, "descr", "merging .gcda files in place");
	atf_tc_set_md_var(tc, "timeout", "600");
}
ATF_TC_BODY(merge_gcda, tc)
{
	merge_counters(tc, 1);
}

ATF_TC(merge_gcda_new);
ATF_TC_HEAD(merge_gcda_new, tc)
{
	atf_tc_set_md_var(tc, "descr", "a .gcda file that was not there");
	atf_tc_set_md_var(tc, "timeout", "600");
}
ATF_TC_BODY(merge_gcda_new, tc)
{
	merge_counters(tc, 0);
}

/* The sum needs more room than the destination has. */
ATF_TC(merge_gcda_grow);
ATF_TC_HEAD(merge_gcda_grow, tc)
{
	atf_tc_set_md_var(tc, "descr", "a .gcda file that becomes longer");
	atf_tc_set_md_var(tc, "timeout", "600");
}
ATF_TC_BODY(merge_gcda_grow, tc)
{
	uint32_t dst[16], src[20], sum[20];
	struct texts t = { dst, src, sum, sizeof(dst), sizeof(src),
		sizeof(sum) };

	memset(src, 0, sizeof(src));
	memcpy(src, gcda[1], sizeof(gcda[1]));
	memcpy(sum, src, sizeof(src));
	sum[6] = 3;
	sum[7] = 12;
	memcpy(dst, gcda[0], sizeof(dst));
	dst[14] = (uint32_t)-16; /* counters that are all zero */
	dst[15] = 0;
	merges(tc, &t);
}

/* It is made under another name. */
ATF_TC(merge_gcda_large);
ATF_TC_HEAD(merge_gcda_large, tc)
{
	atf_tc_set_md_var(tc, "descr", "a large .gcda file");
	atf_tc_set_md_var(tc, "timeout", "600");
}
ATF_TC_BODY(merge_gcda_large, tc)
{
	static uint32_t file[8 + 200 * 11 + 1];
	struct texts t = { NULL, file, file, 0, sizeof(file), sizeof(file) };
	uint32_t i;

	memcpy(file, gcda[0], 8 * sizeof(*file));
	for (i = 0; i < 200; i++) {
		memcpy(&file[8 + i * 11], &gcda[0][8], 9 * sizeof(*file));
		file[8 + i * 11 + 2] = i;
	}
	merges(tc, &t);
}

static void
shell(const char *command)
{
	ATF_REQUIRE_EQ_MSG(0, system(command), "%s", command);
}

/* Each file is there as a whole or not at all, and nothing else is. */
static void
one_tree(struct plan *plan, struct outcome *o)
{
	static const char *const names[] = { "merge/dst/b", "merge/dst/sub/a" };
	size_t i;
	int done;

	shell("rm -rf merge/dst");
	play(plan, o);
	check(plan, o);
	done = strstr(o->out, "outcome ok") != NULL;
	for (i = 0; i < 2; i++)
		if (!holds(names[i], SUM, sizeof(SUM) - 1) &&
		    (done || !holds(names[i], NULL, 0)))
			atf_tc_fail_nonfatal("%ld, call %ld: %s is not as it "
					     "has to be; %s",
			    plan->nth, o->hit, names[i], o->out);
	if (o->hit != SYS_unlinkat &&
	    system(
		"l=$(find . -name '.gons*'); test -z \"$l\" || { find merge; exit 1; }") !=
		0)
		atf_tc_fail_nonfatal("%ld, %s, call %ld: something is left",
		    plan->nth, plan->alloc, o->hit);
	shell("find . -name '.gons*' -prune -exec rm -r {} +");
	shell("cmp merge/src/b merge/src/sub/a");
}

ATF_TC(merge_tree);
ATF_TC_HEAD(merge_tree, tc)
{
	atf_tc_set_md_var(tc, "descr", "merging a directory");
	atf_tc_set_md_var(tc, "timeout", "600");
}
ATF_TC_BODY(merge_tree, tc)
{
	static struct outcome o;
	struct plan plan;
	int fired, mode;
	long n;

	begin(tc);
	shell("mkdir -p merge/src/sub");
	put("merge/src/b", SUM, sizeof(SUM) - 1);
	put("merge/src/sub/a", SUM, sizeof(SUM) - 1);
	memset(&plan, 0, sizeof(plan));
	plan.args[0] = "merge";
	plan.args[1] = "merge/dst";
	plan.args[2] = "merge/src";
	plan.fd = -1;
	one_tree(&plan, &o);
	ATF_REQUIRE_MSG(strstr(o.out, "outcome ok") != NULL, "%s", o.out);
	for (mode = 0; mode < NMODES; mode++) {
		plan.mode = (enum mode)mode;
		for (plan.nth = 1; plan.nth < MOST; plan.nth++) {
			one_tree(&plan, &o);
			if (o.hit == -1)
				break;
			points[mode]++;
		}
	}
	plan.nth = 0;
	for (n = 1, fired = 1; fired && n < MOST; n++) {
		(void)snprintf(
		    plan.alloc, sizeof(plan.alloc), "FAULT_ALLOC=host:%ld", n);
		one_tree(&plan, &o);
		fired = unlink("fired") == 0;
		allocs += fired;
	}
	report();
}

/* Kinds in which a good deal is waited for, minutes in all: LONG=yes. */
ATF_TP_ADD_TCS(tp)
{
	const char *is_long = getenv("GONS_TEST_LONG");

	ATF_TP_ADD_TC(tp, start);
	ATF_TP_ADD_TC(tp, check);
	ATF_TP_ADD_TC(tp, plain);
	ATF_TP_ADD_TC(tp, namespace);
	ATF_TP_ADD_TC(tp, early);
	ATF_TP_ADD_TC(tp, target);
	ATF_TP_ADD_TC(tp, reply);
	ATF_TP_ADD_TC(tp, stepped);
	ATF_TP_ADD_TC(tp, sealed);
	ATF_TP_ADD_TC(tp, pass);
	ATF_TP_ADD_TC(tp, counted);
	ATF_TP_ADD_TC(tp, merge_go);
	ATF_TP_ADD_TC(tp, merge_gcda);
	ATF_TP_ADD_TC(tp, merge_gcda_new);
	ATF_TP_ADD_TC(tp, merge_gcda_grow);
	ATF_TP_ADD_TC(tp, merge_gcda_large);
	ATF_TP_ADD_TC(tp, merge_tree);
	if (is_counting()) {
		ATF_TP_ADD_TC(tp, prepared);
		ATF_TP_ADD_TC(tp, stepped_linger);
	}
	if (is_long == NULL || strcmp(is_long, "yes") != 0)
		return atf_no_error();
	ATF_TP_ADD_TC(tp, pid);
	ATF_TP_ADD_TC(tp, die);
	ATF_TP_ADD_TC(tp, linger);
	ATF_TP_ADD_TC(tp, linger_die);
	if (!is_counting()) {
		ATF_TP_ADD_TC(tp, prepared);
		ATF_TP_ADD_TC(tp, stepped_linger);
	}
	ATF_TP_ADD_TC(tp, prepared_reply);
	ATF_TP_ADD_TC(tp, prepared_pid);
	ATF_TP_ADD_TC(tp, prepared_linger);
	return atf_no_error();
}
