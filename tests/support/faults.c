/*
 * SPDX-License-Identifier: BSD-2-Clause
 *
 * Copyright (c) 2026 The libgons developers
 *
 * See faults.h.
 */

#include <sys/ioctl.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/wait.h>

#include <linux/filter.h>
#include <linux/seccomp.h>

#include <atf-c.h>

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "faults.h"
#include "helpers.h"

#define MARK 0x676f6e73

#define MARGIN 60000 /* ms without a system call: it hangs */

#define SOCK 900 /* sendmsg(2) to it is let through: brings the listener */

char helper[4096];
long points[3]; /* that were tried: likely, missing, interrupted */
long allocs;
long pipes; /* points where a supervisor got none */

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
	case SYS_pread64:
		return 1;
	default:
		return 0;
	}
}

static int
is_exempt(long nr)
{
	return nr == SYS_waitid || nr == SYS_wait4 || nr == SYS_kill ||
	       nr == SYS_pidfd_send_signal || nr == SYS_getpid ||
	       nr == SYS_gettid || nr == SYS_rt_sigprocmask;
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
#ifdef SYS_clone3
	case SYS_clone3:
#endif
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
#ifdef SYS_set_thread_area
		LET(SYS_set_thread_area),
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
#ifdef SYS_clock_gettime64
		LET(SYS_clock_gettime64),
#endif
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
	/* a process that is left without answers could do nothing any more */
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
	       : s->plan->errnum != 0	    ? s->plan->errnum
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

void
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

void
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
		 (WEXITSTATUS(o->status) == 125 &&
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
		if (plan->who == CHILD_OF_HOST && o.hit == SYS_pipe2 &&
		    strstr(o.out, "made for the action") != NULL)
			pipes++;
		if (plan->mode == INTERRUPTED && strcmp(o.out, clean.out) != 0)
			atf_tc_fail_nonfatal("%s: EINTR in call %ld, number "
					     "%ld: %s instead of %s",
			    plan->args[1], o.hit, plan->nth, o.out, clean.out);
	}
	ATF_CHECK(plan->nth < MOST);
	plan->nth = 0;
}

void
all_modes(struct plan *plan, int processes)
{
	int mode, who;

	for (who = 0; who < processes; who++)
		for (mode = 0; mode < NMODES; mode++) {
			plan->who = (enum who)who;
			plan->mode = (enum mode)mode;
			all_points(plan);
		}
}

void
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

void
report(void)
{
	printf("points: %ld with a likely errno, %ld with ENOSYS, %ld with "
	       "EINTR, %ld allocations\n",
	    points[LIKELY], points[MISSING], points[INTERRUPTED], allocs);
}

int
is_counting(void)
{
	const char *counting = getenv("GONS_TEST_COVERAGE");

	return counting != NULL && strcmp(counting, "yes") == 0;
}

void
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
