/*
 * SPDX-License-Identifier: BSD-2-Clause
 *
 * Copyright (c) 2026 The libgons developers
 *
 * See helpers.h.
 */

#include <sys/ioctl.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/wait.h>

#include <linux/filter.h>
#include <linux/seccomp.h>

#include <atf-c.h>

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <grp.h>
#include <malloc.h>
#include <poll.h>
#include <pthread.h>
#include <sched.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "helpers.h"

const struct ns_type ns_types[NTYPES] = {
	{ "cgroup", CLONE_NEWCGROUP },
	{ "ipc", CLONE_NEWIPC },
	{ "mnt", CLONE_NEWNS },
	{ "net", CLONE_NEWNET },
	{ "pid", CLONE_NEWPID },
	{ "time", CLONE_NEWTIME },
	{ "user", CLONE_NEWUSER },
	{ "uts", CLONE_NEWUTS },
};

/*
 * The thread sanitizer gives each forked process a thread of its own, and so
 * keeps it out of user and mount namespaces, and prepared children out of all.
 * That thread only tidies up, and it ends when the program announces a sandbox.
 * But the run time does not know of it before the program has made a thread of
 * its own.  To make one takes 0.1 s.  A child that was executed for one action
 * does not make one: it has joined already.
 */
void __sanitizer_sandbox_on_notify(void *) __attribute__((weak));
#include "internal.h"
extern __typeof__(gons__status_action) gons__status_action
    __attribute__((weak));

static int
has_one_action(void)
{
	const struct gons__action *what = NULL;

	if (gons__status_action != NULL)
		what = gons__status_action();
	return what != NULL && (what->flags & GONS__PREPARE) == 0;
}

static void *
nothing(void *arg)
{
	return arg;
}

static void
end_own_thread(void)
{
	__sanitizer_sandbox_on_notify(NULL);
}

__attribute__((constructor(150))) static void
be_single_threaded(void)
{
	pthread_t thread;

	if (!THREAD_SANITIZER || has_one_action())
		return;
	if (pthread_create(&thread, NULL, nothing, NULL) != 0 ||
	    pthread_join(thread, NULL) != 0 ||
	    pthread_atfork(NULL, NULL, end_own_thread) != 0)
		abort();
	end_own_thread();
}

/* A program that is executed without /proc does not find ${ASAN_OPTIONS}. */
#if ADDRESS_SANITIZER
const char *__asan_default_options(void);
const char *
__asan_default_options(void)
{
	return "detect_leaks=0";
}
#endif

void
child_failed(const char *file, int line, const char *cond)
{
	dprintf(
	    2, "%s:%d: %s: failed: %s\n", file, line, cond, strerror(errno));
	_exit(99);
}

void
in_child(void (*function)(void *), void *arg)
{
	int status;
	pid_t pid;

	fflush(NULL);
	ATF_REQUIRE((pid = fork()) != -1);
	if (pid == 0) {
		function(arg);
		fflush(NULL);
		_exit(0);
	}
	ATF_REQUIRE_EQ(pid, waitpid(pid, &status, 0));
	ATF_REQUIRE_MSG(status == 0,
	    "the child ended with status %#x, see what it wrote", status);
}

void
drop_to_nobody(void)
{
	if (geteuid() != 0)
		return;
	CHILD(setgroups(0, NULL) == 0);
	CHILD(setresgid(NOBODY, NOBODY, NOBODY) == 0);
	CHILD(setresuid(NOBODY, NOBODY, NOBODY) == 0);
	/* its files in /proc are its own again */
	CHILD(prctl(PR_SET_DUMPABLE, 1) == 0);
}

static int
write_file(const char *path, const char *text)
{
	int fd, r;

	if ((fd = open(path, O_WRONLY | O_CLOEXEC)) == -1)
		return -1;
	r = write(fd, text, strlen(text)) == (ssize_t)strlen(text) ? 0 : -1;
	close(fd);
	return r;
}

/* New namespaces; with a user namespace among them as its root. */
static int
unshare_mapped(int flags)
{
	char line[64];
	unsigned gid = getegid(), uid = geteuid();

	if (unshare(flags) == -1)
		return -1;
	if ((flags & CLONE_NEWUSER) == 0)
		return 0;
	(void)write_file("/proc/self/setgroups", "deny");
	(void)snprintf(line, sizeof(line), "0 %u 1", uid);
	if (write_file("/proc/self/uid_map", line) == -1)
		return -1;
	(void)snprintf(line, sizeof(line), "0 %u 1", gid);
	return write_file("/proc/self/gid_map", line);
}

/* Tries it in a child: an errno value. */
static int
try_user(int nobody, int userns)
{
	int status;
	pid_t pid;

	ATF_REQUIRE((pid = fork()) != -1);
	if (pid == 0) {
		errno = 0;
		if (nobody && geteuid() == 0 &&
		    (setgroups(0, NULL) == -1 ||
			setresgid(NOBODY, NOBODY, NOBODY) == -1 ||
			setresuid(NOBODY, NOBODY, NOBODY) == -1))
			_exit(errno);
		(void)prctl(PR_SET_DUMPABLE, 1);
		if (userns && unshare_mapped(CLONE_NEWUSER) == -1)
			_exit(errno);
		_exit(0);
	}
	ATF_REQUIRE_EQ(pid, waitpid(pid, &status, 0));
	return WEXITSTATUS(status);
}

void
need_userns(void)
{
	int errnum = try_user(0, 1);

	if (errnum != 0)
		atf_tc_skip(
		    "no user namespace to be had: %s", strerror(errnum));
}

void
need_nobody(void)
{
	int errnum = try_user(1, 0);

	if (errnum != 0)
		atf_tc_skip(
		    "there is no other user to become: %s", strerror(errnum));
	if ((errnum = try_user(1, 1)) != 0)
		atf_tc_skip("no user namespace to be had by other users: %s",
		    strerror(errnum));
}

void
sandbox(int flags)
{
	need_userns();
	ATF_REQUIRE_MSG(unshare_mapped(CLONE_NEWUSER | flags) == 0,
	    "unshare: %s", strerror(errno));
}

/* In the middle: the target, or its parent if only a child can be it. */
static void
target_body(int flags, int options, int report, int life)
{
	pid_t pid = 0;
	char c;

	if ((options & TARGET_NOBODY) != 0)
		drop_to_nobody();
	CHILD(unshare_mapped(flags) == 0);
	if ((flags & (CLONE_NEWPID | CLONE_NEWTIME)) != 0)
		CHILD((pid = fork()) != -1);
	if (pid != 0) {
		CHILD(write(report, &pid, sizeof(pid)) == sizeof(pid));
		close(report);
		while (waitpid(pid, NULL, 0) == -1 && errno == EINTR)
			continue;
		_exit(0);
	}
	if ((flags & (CLONE_NEWPID | CLONE_NEWTIME)) == 0)
		CHILD(write(report, &pid, sizeof(pid)) == sizeof(pid));
	close(report);
	while (read(life, &c, 1) == -1 && errno == EINTR)
		continue;
	_exit(0);
}

void
target_start(struct target *t, int flags, int options)
{
	int life[2], report[2], type;

	ATF_REQUIRE(pipe2(life, O_CLOEXEC) == 0);
	ATF_REQUIRE(pipe2(report, O_CLOEXEC) == 0);
	ATF_REQUIRE((t->child = fork()) != -1);
	if (t->child == 0) {
		close(life[1]);
		close(report[0]);
		target_body(flags, options, report[1], life[0]);
	}
	close(life[0]);
	close(report[1]);
	t->life = life[1];
	ATF_REQUIRE_MSG(
	    read(report[0], &t->pid, sizeof(t->pid)) == sizeof(t->pid),
	    "no target in namespaces %#x", flags);
	close(report[0]);
	if (t->pid == 0)
		t->pid = t->child;
	for (type = 0; type < NTYPES; type++)
		(void)snprintf(t->refs[type], sizeof(t->refs[type]),
		    "/proc/%d/ns/%s", (int)t->pid, ns_types[type].name);
}

void
target_kill(struct target *t)
{
	struct pollfd p;

	p.fd = pidfd_of(t->pid);
	p.events = POLLIN;
	ATF_REQUIRE_EQ(0, kill(t->pid, SIGKILL));
	ATF_REQUIRE_EQ(1, poll(&p, 1, -1));
	close(p.fd);
}

void
target_stop(struct target *t)
{
	close(t->life);
	(void)kill(t->pid, SIGKILL);
	ATF_REQUIRE_EQ(t->child, waitpid(t->child, NULL, 0));
}

int
pidfd_of(pid_t pid)
{
	int fd = (int)syscall(SYS_pidfd_open, pid, 0);

	ATF_REQUIRE_MSG(fd != -1, "pidfd_open: %s", strerror(errno));
	return fd;
}

uint64_t
ns_id(const char *path)
{
	struct stat st;

	return stat(path, &st) == 0 ? st.st_ino : 0;
}

void
ns_own(struct nsids *ids)
{
	char path[64];
	int i;

	for (i = 0; i < NTYPES; i++) {
		(void)snprintf(path, sizeof(path), "/proc/thread-self/ns/%s",
		    ns_types[i].name);
		ids->id[i] = ns_id(path);
	}
	ids->children[0] = ns_id("/proc/thread-self/ns/pid_for_children");
	ids->children[1] = ns_id("/proc/thread-self/ns/time_for_children");
}

void
need_execveat(void)
{
	(void)syscall(SYS_execveat, -1, "", NULL, NULL, AT_EMPTY_PATH);
	if (errno == ENOSYS)
		atf_tc_skip("execveat(2): %s", strerror(errno));
}

void
need_no_proc(void)
{
	if (SANITIZER)
		atf_tc_skip("the sanitizer complains of a missing /proc, and "
			    "who complains has failed");
}

static struct rlimit memory_before;
static void **memory; /* pieces that lead to each other */

void
take_memory(void)
{
	struct rlimit none;
	size_t size;
	void **p;

	CHILD(getrlimit(RLIMIT_AS, &memory_before) == 0);
	none = memory_before;
	none.rlim_cur = 64 << 10;
	CHILD(setrlimit(RLIMIT_AS, &none) == 0);
	for (size = 1 << 20; size > 0; size -= size > 4096 ? size / 2 : 8)
		while ((p = malloc(size)) != NULL) {
			*p = memory;
			memory = p;
		}
}

void
give_memory(void)
{
	void **next;

	CHILD(setrlimit(RLIMIT_AS, &memory_before) == 0);
	for (; memory != NULL; memory = next) {
		next = *memory;
		free(memory);
	}
}

size_t
memory_used(void)
{
#ifdef __GLIBC__
#if __GLIBC_PREREQ(2, 33)
	return mallinfo2().uordblks;
#endif
#endif
	return 0;
}

void
spoil_stack_with(int number)
{
	volatile int below[2048];
	size_t i;

	for (i = 0; i < sizeof(below) / sizeof(*below); i++)
		below[i] = number;
}

void
spoil_stack(void)
{
	spoil_stack_with(-1);
}

int
fds_of(pid_t pid)
{
	char path[64];
	DIR *dir;
	int n = 0;

	(void)snprintf(path, sizeof(path), "/proc/%d/fd", (int)pid);
	if ((dir = opendir(path)) == NULL)
		return -1;
	while (readdir(dir) != NULL)
		n++;
	closedir(dir);
	return n;
}

int
count_fds(void)
{
	int fd, n = 0;

	for (fd = 0; fd < 1024; fd++)
		n += fcntl(fd, F_GETFD) != -1;
	return n;
}

ssize_t
send_fds(
    int sock, const void *data, size_t len, const int *fds, size_t n, int flags)
{
	char room[CMSG_SPACE(SEND_FDS_MAX * sizeof(int))];
	struct iovec iov = { (void *)(uintptr_t)data, len };
	struct msghdr msg;
	struct cmsghdr *c;

	memset(&msg, 0, sizeof(msg));
	memset(room, 0, sizeof(room));
	msg.msg_iov = &iov;
	msg.msg_iovlen = 1;
	if (n > 0) {
		msg.msg_control = room;
		msg.msg_controllen = CMSG_SPACE(n * sizeof(int));
		c = CMSG_FIRSTHDR(&msg);
		c->cmsg_level = SOL_SOCKET;
		c->cmsg_type = SCM_RIGHTS;
		c->cmsg_len = CMSG_LEN(n * sizeof(int));
		memcpy(CMSG_DATA(c), fds, n * sizeof(int));
	}
	return syscall(SYS_sendmsg, sock, &msg, flags);
}

void
need_filters(void)
{
	(void)prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, NULL);
	if (errno != EFAULT)
		atf_tc_skip("filters of system calls: %s", strerror(errno));
}

/* The same call by another name, for libc on some machines of 32 bit. */
static int
other_rule(const struct rule *rule, struct rule *other)
{
	*other = *rule;
#ifdef SYS_fcntl64
	if (rule->nr == SYS_fcntl) {
		other->nr = SYS_fcntl64;
		return 1;
	}
#endif
#ifdef SYS_socketcall
	if (rule->nr == SYS_socketpair && rule->arg == -1) {
		other->nr = SYS_socketcall;
		other->arg = 0;
		other->mask = ~0u;
		other->value = 8; /* SYS_SOCKETPAIR of <linux/net.h> */
		return 1;
	}
#endif
	return 0;
}

static struct sock_filter *
add_rule(struct sock_filter *c, const struct rule *rule)
{
	*c++ = (struct sock_filter)BPF_STMT(
	    BPF_LD | BPF_W | BPF_ABS, offsetof(struct seccomp_data, nr));
	*c++ = (struct sock_filter)BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K,
	    (uint32_t)rule->nr, 0, rule->arg == -1 ? 1 : 4);
	if (rule->arg != -1) {
		*c++ = (struct sock_filter)BPF_STMT(BPF_LD | BPF_W | BPF_ABS,
		    (uint32_t)(offsetof(struct seccomp_data, args) +
			       8 * (size_t)rule->arg +
			       4 * (__BYTE_ORDER__ == __ORDER_BIG_ENDIAN__)));
		*c++ = (struct sock_filter)BPF_STMT(
		    BPF_ALU | BPF_AND | BPF_K, rule->mask);
		*c++ = (struct sock_filter)BPF_JUMP(
		    BPF_JMP | BPF_JEQ | BPF_K, rule->value, 0, 1);
	}
	*c++ = (struct sock_filter)BPF_STMT(BPF_RET | BPF_K,
	    rule->errnum == KILLS ? SECCOMP_RET_KILL
				  : SECCOMP_RET_ERRNO | (uint32_t)rule->errnum);
	return c;
}

int
ask_about(long nr)
{
	struct sock_filter code[] = {
		BPF_STMT(BPF_LD | BPF_W | BPF_ABS,
		    offsetof(struct seccomp_data, nr)),
		BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, (uint32_t)nr, 0, 1),
		BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_USER_NOTIF),
		BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW),
	};
	struct sock_fprog prog = { sizeof(code) / sizeof(code[0]), code };

	return (int)syscall(SYS_seccomp, SECCOMP_SET_MODE_FILTER,
	    SECCOMP_FILTER_FLAG_NEW_LISTENER, &prog);
}

static int begin[2]; /* pipe: it tells of listener */
static int listener;
static int (*answer_to)(const struct seccomp_notif *);

static void *
answer_calls(void *unused)
{
	struct seccomp_notif call;
	struct seccomp_notif_resp answer;
	char c;

	CHILD(read(begin[0], &c, 1) == 1);
	for (;;) {
		memset(&call, 0, sizeof(call));
		memset(&answer, 0, sizeof(answer));
		if (ioctl(listener, SECCOMP_IOCTL_NOTIF_RECV, &call) == -1) {
			CHILD(errno == EINTR || errno == ENOENT);
			continue;
		}
		answer.id = call.id;
		answer.error = -answer_to(&call);
		if (answer.error == 0)
			answer.flags = SECCOMP_USER_NOTIF_FLAG_CONTINUE;
		(void)ioctl(listener, SECCOMP_IOCTL_NOTIF_SEND, &answer);
	}
	return unused;
}

/* The thread comes first: the filter is not its own. */
void
ask_a_thread(long nr, int (*answer)(const struct seccomp_notif *))
{
	pthread_t thread;

	answer_to = answer;
	CHILD(pipe2(begin, O_CLOEXEC) == 0);
	CHILD(pthread_create(&thread, NULL, answer_calls, NULL) == 0);
	CHILD(prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) == 0);
	CHILD((listener = ask_about(nr)) != -1);
	CHILD(write(begin[1], "", 1) == 1);
}

void
forbid(const struct rule *rules, size_t n)
{
	struct sock_filter code[128], *c = code;
	struct sock_fprog prog;
	struct rule other;
	size_t i;

	CHILD(n <= 10);
	for (i = 0; i < n; i++) {
		c = add_rule(c, &rules[i]);
		if (other_rule(&rules[i], &other))
			c = add_rule(c, &other);
	}
	*c++ = (struct sock_filter)BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW);
	prog.len = (unsigned short)(c - code);
	prog.filter = code;
	CHILD(prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) == 0);
	CHILD(prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, &prog) == 0);
}

struct program *
run_new(void)
{
	static struct program r;

	memset(&r, 0, sizeof(r));
	return &r;
}

void
run_env(struct program *r, const char *fmt, ...)
{
	va_list ap;
	char *line;
	size_t i;

	for (i = 0; r->env[i] != NULL; i++)
		continue;
	ATF_REQUIRE(i + 1 < RUN_ENV);
	va_start(ap, fmt);
	ATF_REQUIRE(vasprintf(&line, fmt, ap) != -1);
	va_end(ap);
	r->env[i] = line;
	r->env[i + 1] = NULL;
}

/* Becomes the program, by its descriptor: any user ID finds it so. */
static void
run_body(struct program *r, int exe, int out, int err)
{
	const char *argv[10] = { "h_ns" };
	size_t i;

	for (i = 0; r->args[i] != NULL; i++)
		argv[i + 1] = r->args[i];
	CHILD(dup2(out, 1) != -1 && dup2(err, 2) != -1);
	/* not the descriptors of the framework */
	CHILD(syscall(SYS_close_range, 3, ~0u, 4 /* CLOEXEC */) == 0);
	for (i = 0; i < 8 && r->keep[i] != 0; i++)
		CHILD(fcntl(r->keep[i], F_SETFD, 0) == 0);
	if (r->cwd != NULL)
		CHILD(chdir(r->cwd) == 0);
	if (r->as_nobody)
		drop_to_nobody();
	if (r->drop_cap != 0)
		CHILD(prctl(PR_CAPBSET_DROP, r->drop_cap - 1) == 0);
	for (i = 0; i < 3; i++)
		if ((r->closed & 1 << i) != 0)
			close((int)i);
	if (r->nrules > 0)
		forbid(r->rules, r->nrules);
	(void)syscall(SYS_execveat, exe, "", argv, r->env, AT_EMPTY_PATH);
	CHILD(!"exec");
}

static void
run_collect(struct program *r, int out, int err)
{
	struct pollfd p[2] = { { out, POLLIN, 0 }, { err, POLLIN, 0 } };
	char *buf[2] = { r->out, r->err };
	size_t len[2] = { 0, 0 };
	ssize_t n;
	int i;

	while (p[0].fd != -1 || p[1].fd != -1) {
		ATF_REQUIRE(poll(p, 2, -1) > 0);
		for (i = 0; i < 2; i++) {
			if (p[i].fd == -1 || p[i].revents == 0)
				continue;
			n = read(
			    p[i].fd, buf[i] + len[i], RUN_OUT - 1 - len[i]);
			if (n <= 0)
				p[i].fd = -1;
			else
				len[i] += (size_t)n;
		}
	}
	r->out[len[0]] = r->err[len[1]] = '\0';
}

void
run(struct program *r, const char *srcdir, const char *name)
{
	char path[4096];
	int err[2], exe, out[2];
	pid_t pid;

	need_execveat();
	(void)snprintf(path, sizeof(path), "%s/%s", srcdir, name);
	exe = open(path, O_PATH | O_CLOEXEC);
	ATF_REQUIRE_MSG(exe != -1, "%s: %s", path, strerror(errno));
	ATF_REQUIRE(pipe2(out, O_CLOEXEC) == 0 && pipe2(err, O_CLOEXEC) == 0);
	fflush(NULL);
	ATF_REQUIRE((pid = fork()) != -1);
	if (pid == 0)
		run_body(r, exe, out[1], r->err_fd != 0 ? r->err_fd : err[1]);
	close(exe);
	close(out[1]);
	close(err[1]);
	run_collect(r, out[0], err[0]);
	close(out[0]);
	close(err[0]);
	ATF_REQUIRE_EQ(pid, waitpid(pid, &r->status, 0));
	ATF_REQUIRE_MSG(r->status != 99 << 8, "not started: %s", r->err);
}

const char *
run_value(const struct program *r, const char *key)
{
	static char values[8][20000];
	static int next;
	const char *line;
	size_t len = strlen(key);

	for (line = r->out; line != NULL && *line != '\0';
	     line = strchr(line, '\n'), line += line != NULL)
		if (strncmp(line, key, len) == 0 && line[len] == ' ') {
			next = (next + 1) % 8;
			(void)snprintf(values[next], sizeof(values[0]), "%.*s",
			    (int)strcspn(line + len + 1, "\n"), line + len + 1);
			return values[next];
		}
	return NULL;
}

uint64_t
run_number(const struct program *r, const char *key)
{
	const char *value = run_value(r, key);

	ATF_REQUIRE_MSG(value != NULL, "no %s in: %s%s", key, r->out, r->err);
	return strtoull(value, NULL, 0);
}
