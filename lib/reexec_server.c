/*
 * SPDX-License-Identifier: BSD-2-Clause
 *
 * Copyright (c) 2026 The libgons developers
 *
 * The prepared process: the program, executed ahead up to
 * gons_reexec_check(3).  It keeps children waiting, the spares, of which each
 * takes one request and becomes an ordinary re-executed child then.
 */

#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/signalfd.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <link.h>
#include <poll.h>
#include <pthread.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "reexec.h"

#define REHEARSE_STACK 8192 /* bytes of the stack that most actions need */
#define LINGER 1 /* ms without a request before a spare is made ahead */
#define BUSY 10 /* the same, after one that nobody has seen the end of */

#define MADE_MASK ((unsigned)INT_MAX >> SPARES_SHIFT)
#define SPARES_MASK 0x7f

struct server {
	int me; /* pidfd */
	int signals, host, socket;
	int proc; /* the trusted /proc, or -1 */
	int target; /* how many spares to have: none before the host asks */
	unsigned made; /* spares, counted */
	int spares; /* how many the host has not taken */
	int reaping; /* the kernel does it, and tells the host */
	int32_t nice, oom; /* as the host had them */
	uint32_t cpubytes;
	unsigned char cpus[CPUS_MAX];
	int *status; /* where a child will leave that of its action */
	struct link_map *objects; /* of the dynamic linker, or NULL */
	size_t n; /* children whose end this process has to tell */
	struct served {
		pid_t pid;
		int reaped; /* where their end is told */
	} * all;
};

static void
nothing(void)
{
}

/* It is this process's alone then. */
static void
touch_page(void *page)
{
	volatile char *byte = page, c = *byte;

	*byte = c;
}

/*
 * Where the dynamic linker, at exit, notes in each object's entry that its
 * destructors have run: those entries, by the interface of debuggers.
 */
static int
find_objects(struct dl_phdr_info *program, size_t size, void *found)
{
	const struct r_debug *debug;
	const ElfW(Dyn) *d = NULL;
	size_t i;

	(void)size;
	for (i = 0; i < program->dlpi_phnum; i++)
		if (program->dlpi_phdr[i].p_type == PT_DYNAMIC)
			d = (const void *)(program->dlpi_addr +
					   program->dlpi_phdr[i].p_vaddr);
	for (; d != NULL && d->d_tag != DT_NULL; d++)
		if (d->d_tag == DT_DEBUG && d->d_un.d_ptr != 0) {
			debug = (const void *)d->d_un.d_ptr;
			*(struct link_map **)found = debug->r_map;
		}
	return 1; /* the program itself comes first */
}

/*
 * exit(3) takes locks; glibc has one of them beside timezone.  Without this a
 * run that finds a spare takes 1.10 to 1.20 times as long.
 */
static void
rehearse_exit(struct link_map *objects)
{
	static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;

	(void)atexit(nothing);
	(void)pthread_mutex_lock(&lock);
	(void)pthread_mutex_unlock(&lock);
	touch_page(stdout);
	touch_page(&timezone);
	for (; objects != NULL; objects = objects->l_next)
		touch_page(objects);
}

/*
 * As executing would have it.  Every variable is whole, with its NUL: nothing is
 * written behind the block, which may fill the last page of a mapped file.
 */
static int
take_env(char *block, size_t len)
{
	char **envp, *p;
	size_t i, n = 0;

	if (len == 0 || block[len - 1] != '\0')
		return EPROTO;
	for (i = 0; i < len; i++)
		n += block[i] == '\0';
	if ((envp = malloc((n + 1) * sizeof(*envp))) == NULL)
		return errno;
	for (p = block, i = 0; i < n; i++) {
		envp[i] = p;
		p += strlen(p) + 1;
	}
	envp[n] = NULL;
	environ = envp;
	return 0;
}

/* Functions that a request calls and that this process had no use for yet. */
static void
rehearse_calls(const struct server *server)
{
	struct message message = { 0, 0, 0 };
	int fds[2];

	/* so that no compiler leaves the calls out */
	fds[0] = memcmp(server->cpus, &message, sizeof(message));
	fds[1] = getenv("") != NULL;
	qsort(fds, sizeof(fds) / sizeof(*fds), sizeof(*fds), gons__compare_fds);
	(void)getpid();
	(void)sigprocmask(SIG_SETMASK, NULL, NULL);
	(void)gons__receive(-1, &message, sizeof(message), NULL, 0);
	(void)gons__write_quietly(-1, &message, 0);
	(void)lseek(-1, 0, SEEK_SET);
	gons__forget_signals();
}

/*
 * In a copy of a process each page costs a fault when it is first used, and a
 * function that is bound lazily a search, which uses pages of the dynamic
 * linker and of the libraries.  The host would wait for that: what every
 * request uses is used ahead, in the prepared process for what its copies
 * inherit, and in each of them.
 */
static void
rehearse(const struct server *server)
{
	char action[] = "gons_reexec_action=0:,,,,,,:-";
	char *env[] = { action, NULL }, **old = environ;
	volatile char low[REHEARSE_STACK];
	size_t i;

	*server->status = EXIT_FAILURE;
	for (i = 0; i < sizeof(low); i += CHUNK)
		low[i] = '\0';
	free(malloc(CHUNK / 2));
	*gons__inside.block = '\0';
	if (take_env(gons__inside.block, 1) == 0)
		free(environ);
	gons__status_again(env);
	(void)gons__find_action(gons__status_action()->name);
	environ = old;
	rehearse_calls(server);
	rehearse_exit(server->objects);
}

/*
 * The request: struct request, the numbers of its descriptors, the affinity
 * mask, and the environment, which is in the first of the descriptors if that
 * has no number.
 */

static int
map_env(int fd, char **block, size_t *len)
{
	struct stat st;
	void *map;

	if (fstat(fd, &st) == -1)
		return errno;
	map = mmap(NULL, (size_t)st.st_size, PROT_READ | PROT_WRITE,
	    MAP_PRIVATE, fd, 0);
	if (map == MAP_FAILED)
		return errno;
	*block = map;
	*len = (size_t)st.st_size;
	return 0;
}

/* A descriptor of ours that has that number moves to another. */
static int
make_way(int number, int *fds, size_t n)
{
	int copy = -1;
	size_t i;

	for (i = 0; i < n; i++) {
		if (fds[i] != number)
			continue;
		if (copy == -1 &&
		    (copy = fcntl(number, F_DUPFD_CLOEXEC, 3)) == -1)
			return errno;
		fds[i] = copy;
	}
	return 0;
}

/* The two of ours are the last. */
static int
place_each(int *fds, const int *number, size_t n)
{
	int errnum;
	size_t i;

	for (i = 0; i < n; i++) {
		if (number[i] == -1)
			continue;
		if (fds[i] == number[i]) {
			if (fcntl(fds[i], F_SETFD, 0) == -1)
				return errno;
			continue;
		}
		if ((errnum = make_way(
			 number[i], fds + i + 1, n + 2 - (i + 1))) != 0)
			return errnum;
		if (dup2(fds[i], number[i]) == -1)
			return errno;
	}
	return 0;
}

/*
 * Each descriptor gets its number, and no other is left.  The host may have
 * them at numbers beyond the limit of the time when this process was made.
 */
static int
place_fds(int *fds, int *number, size_t n)
{
	struct rlimit limit, more;
	int errnum;
	size_t i, left = 0;

	fds[n] = gons__inside.tell;
	fds[n + 1] = gons__inside.socket;
	errnum = place_each(fds, number, n);
	if (errnum == EBADF && getrlimit(RLIMIT_NOFILE, &limit) == 0) {
		more = limit;
		more.rlim_cur = more.rlim_max;
		(void)setrlimit(RLIMIT_NOFILE, &more);
		errnum = place_each(fds, number, n);
		(void)setrlimit(RLIMIT_NOFILE, &limit);
	}
	if (errnum != 0)
		return errnum;
	gons__inside.tell = fds[n];
	gons__inside.socket = fds[n + 1];
	for (i = 0; i < n; i++)
		if (number[i] > 2)
			number[left++] = number[i];
	for (i = 0; i < left; i++)
		fds[i] = number[i];
	fds[left++] = gons__inside.tell;
	fds[left++] = gons__inside.socket;
	qsort(fds, left, sizeof(*fds), gons__compare_fds);
	gons__close_others(fds, left, CLOSE_NOW, -1);
	return 0;
}

/*
 * A fresh child inherits these from the host.  They are set as far as the
 * kernel permits.
 */
static void
be_like_the_host(const struct server *server, const struct request *request,
    const void *cpus)
{
	char text[16];
	int fd, len;

	if (request->nice != server->nice)
		(void)setpriority(PRIO_PROCESS, 0, request->nice);
	if (request->cpubytes != server->cpubytes ||
	    memcmp(cpus, server->cpus, request->cpubytes) != 0)
		(void)syscall(
		    SYS_sched_setaffinity, 0, request->cpubytes, cpus);
	if (!request->has_oom || request->oom == server->oom ||
	    server->proc == -1)
		return;
	fd = gons__proc_file(server->proc, "self/oom_score_adj", O_WRONLY);
	if (fd < 0)
		return;
	len = snprintf(text, sizeof(text), "%d", (int)request->oom);
	(void)!write(fd, text, (size_t)len);
	(void)close(fd);
}

static int
take_request(const struct server *server)
{
	int fds[RIGHTS_MAX + 2], number[RIGHTS_MAX], errnum = 0;
	struct request request;
	char *p = gons__inside.block;
	size_t i, len;
	ssize_t n;

	n = gons__receive(gons__inside.socket, p, REQUEST_MAX, fds, RIGHTS_MAX);
	if (n < (ssize_t)sizeof(request))
		_exit(EXIT_SUCCESS); /* the host has no use for us any more */
	len = (size_t)n - sizeof(request);
	memcpy(&request, p, sizeof(request));
	p += sizeof(request);
	if (request.nfds > RIGHTS_MAX || request.cpubytes > len ||
	    len - request.cpubytes < request.nfds * sizeof(*number))
		return EPROTO;
	for (i = 0; i < request.nfds; i++)
		if (fds[i] == -1)
			return EMFILE;
	memcpy(number, p, request.nfds * sizeof(*number));
	p += request.nfds * sizeof(*number);
	be_like_the_host(server, &request, p);
	p += request.cpubytes;
	len -= request.nfds * sizeof(*number) + request.cpubytes;
	if (request.nfds > 0 && number[0] == -1)
		errnum = map_env(fds[0], &p, &len);
	if (errnum == 0)
		errnum = place_fds(fds, number, request.nfds);
	return errnum != 0 ? errnum : take_env(p, len);
}

/*
 * Nothing has happened yet that takes any privilege: whether it may, the host
 * finds out while this process wakes up.
 */
static int
take_go(void)
{
	struct message message;
	struct pollfd p;
	ssize_t n;

	p.fd = gons__inside.socket;
	p.events = POLLIN;
	while ((n = gons__receive(gons__inside.socket, &message,
		    sizeof(message), NULL, 0)) == 0)
		if (poll(&p, 1, -1) == -1 && errno != EINTR)
			_exit(EXIT_FAILURE);
	if (n == -1 || message.kind != MSG_GO)
		_exit(EXIT_SUCCESS); /* no */
	/*
	 * Until here it ends with the prepared process, and so with the host:
	 * a forked copy of that may hold the other end of the socket.
	 */
	(void)prctl(PR_SET_PDEATHSIG, 0, 0, 0, 0);
	fd_close(&gons__inside.socket);
	/* all signals are blocked: no SIGPIPE */
	(void)gons__tell_plainly(gons__inside.tell, MSG_TAKEN, 0);
	/* NOLINTNEXTLINE: set by take_env(), not what rehearse() has freed */
	gons__status_again(environ);
	/* A change of ids makes it what the administrator says. */
	if (gons__self_is_secure())
		(void)prctl(PR_SET_DUMPABLE, 0, 0, 0, 0);
	if ((gons__status_action()->flags & GONS_REEXEC_REPLY) != 0 &&
	    dup2(STDERR_FILENO, STDOUT_FILENO) == -1)
		return errno;
	return 0;
}

/*
 * In the spare: what can be done ahead, then wait for a request.  It ends if
 * the prepared process does, or if the host loses its end of the socket.
 */
static void
be_a_spare(const struct server *server, const int theirs[NSPARE], int in)
{
	struct sigaction action;
	struct pollfd p;
	int errnum, i, keep[3];

	gons__die_with(server->me);
	memset(&action, 0, sizeof(action));
	action.sa_handler = SIG_DFL;
	(void)sigaction(SIGCHLD, &action, NULL);
	for (i = 0; i < 3; i++) /* a function that is bound already */
		if (syscall(SYS_dup3,
			i == 0	 ? in
			: i == 1 ? theirs[SPARE_OUT]
				 : theirs[SPARE_ERR],
			i, 0) == -1)
			_exit(EXIT_FAILURE);
	gons__inside.socket = theirs[SPARE_SOCKET];
	gons__inside.tell = theirs[SPARE_TELL];
	gons__inside.forked = 1;
	keep[0] = gons__inside.socket;
	keep[1] = gons__inside.tell;
	keep[2] = server->proc;
	qsort(keep, 3, sizeof(*keep), gons__compare_fds);
	i = keep[0] == -1;
	gons__close_others(keep + i, 3 - (size_t)i, CLOSE_NOW, -1);
	rehearse(server);
	p.fd = gons__inside.socket;
	p.events = POLLIN;
	while (poll(&p, 1, -1) != 1)
		if (errno != EINTR)
			_exit(EXIT_FAILURE);
	if ((errnum = take_request(server)) == 0) {
		gons__forget_signals();
		errnum = take_go();
	}
	if (errnum != 0) {
		(void)gons__tell(gons__inside.tell, MSG_REFUSED, errnum);
		_exit(EXIT_FAILURE);
	}
}

/* Where the kernel does not, its end is told on a pipe of its own. */
static void
remember(struct server *server, pid_t pid, int *reaped)
{
	struct served *all;

	all = realloc(server->all, (server->n + 1) * sizeof(*all));
	if (all == NULL)
		_exit(EXIT_FAILURE);
	server->all = all;
	all[server->n].pid = pid;
	all[server->n++].reaped = *reaped;
	*reaped = -1;
}

static void
reap_children(struct server *server)
{
	struct signalfd_siginfo info;
	struct served *child;
	int status;
	size_t i;
	pid_t pid;

	while (read(server->signals, &info, sizeof(info)) == sizeof(info))
		continue;
	while ((pid = waitpid(-1, &status, WNOHANG)) > 0 ||
	       (pid == -1 && errno == EINTR)) {
		for (i = 0; i < server->n && server->all[i].pid != pid; i++)
			continue;
		if (i == server->n)
			continue;
		child = &server->all[i];
		(void)gons__tell(child->reaped, MSG_STATUS, status);
		(void)close(child->reaped);
		*child = server->all[--server->n];
	}
}

/*
 * The host's end of the socket is shut down for reading, so nobody can send it
 * anything there.
 */
static int
open_spare(
    const struct server *server, int ours[NSPARE], int theirs[NSPARE], int *in)
{
	int errnum;

	errnum = gons__open_socket(
	    SOCK_SEQPACKET, &ours[SPARE_SOCKET], &theirs[SPARE_SOCKET]);
	if (errnum == 0 && shutdown(ours[SPARE_SOCKET], SHUT_RD) == -1)
		errnum = errno;
	if (errnum == 0)
		errnum = gons__open_pipe(&ours[SPARE_OUT], &theirs[SPARE_OUT]);
	if (errnum == 0)
		errnum = gons__open_pipe(&ours[SPARE_ERR], &theirs[SPARE_ERR]);
	if (errnum == 0)
		errnum =
		    gons__open_pipe(&ours[SPARE_TELL], &theirs[SPARE_TELL]);
	if (errnum == 0 && !server->reaping)
		errnum =
		    gons__open_pipe(&ours[SPARE_REAPED], &theirs[SPARE_REAPED]);
	if (errnum == 0 &&
	    (*in = gons__memory_fd("gons-param", MFD_NOEXEC_SEAL)) == -1)
		errnum = errno;
	return errnum == 0 ? gons__seal(*in) : errnum;
}

/*
 * Where the kernel reaps the spares, one that has been killed already may have
 * left its number to another's process: so its descriptor is one of a child of
 * ours, or there is none.  Before Linux 5.4 it cannot be asked, but there the
 * kernel does not reap them.
 */
static int
open_child(const struct server *server, pid_t pid, int *pidfd)
{
	siginfo_t info;

	if ((*pidfd = (int)syscall(SYS_pidfd_open, pid, 0)) == -1)
		return errno;
	if (!server->reaping ||
	    syscall(SYS_waitid, ID_PIDFD, *pidfd, &info,
		WEXITED | WNOHANG | WNOWAIT, NULL) == 0 ||
	    errno != ECHILD)
		return 0;
	fd_close(pidfd);
	return ESRCH;
}

/*
 * A spare that nobody has been told of: it would be somebody's zombie.  One
 * without a descriptor ends because the other end of its socket is closed.
 */
static void
put_down(struct server *server, pid_t pid, int pidfd)
{
	siginfo_t info;

	if (!server->reaping)
		(void)kill(pid, SIGKILL);
	else if (pidfd != -1)
		(void)syscall(SYS_pidfd_send_signal, pidfd, SIGKILL, NULL, 0);
	while (waitid(P_PID, (id_t)pid, &info, WEXITED | WNOWAIT) == -1 &&
	       errno == EINTR)
		continue;
	reap_children(server);
}

/*
 * One more, and tell the host.  Returns 0 or an errno value, and -1 in the
 * spare when it has taken a request.
 */
static int
make_spare(struct server *server)
{
	int errnum, i, in = -1, ours[NSPARE], theirs[NSPARE];
	pid_t pid = -1;

	for (i = 0; i < NSPARE; i++)
		ours[i] = theirs[i] = -1;
	errnum = open_spare(server, ours, theirs, &in);
	if (errnum == 0 && (pid = fork()) == -1)
		errnum = errno;
	if (pid == 0) {
		be_a_spare(server, theirs, in);
		return -1;
	}
	if (pid > 0 && !server->reaping)
		remember(server, pid, &theirs[SPARE_REAPED]);
	if (errnum == 0)
		errnum = open_child(server, pid, &ours[SPARE_PIDFD]);
	/* before it is told: a closed end shows that the spare has died */
	for (i = 0; i < NSPARE; i++)
		fd_close(&theirs[i]);
	fd_close(&in);
	if (errnum == 0)
		errnum = gons__send(server->socket, MSG_SPARE, 0, ours,
		    server->reaping ? SPARE_REAPED : NSPARE);
	for (i = 0; i < NSPARE; i++)
		if (i != SPARE_PIDFD)
			fd_close(&ours[i]);
	if (errnum == 0) {
		server->spares++;
		server->made++;
	} else if (pid > 0) {
		put_down(server, pid, ours[SPARE_PIDFD]);
	}
	fd_close(&ours[SPARE_PIDFD]);
	return errnum;
}

/* Heeds the messages of the host; 1: it waits for a spare. */
static int
heed_host(struct server *server)
{
	struct sigaction action;
	struct message message;
	unsigned received;
	int wanted = 0;
	ssize_t n;

	while ((n = gons__receive(
		    server->socket, &message, sizeof(message), NULL, 0)) != 0) {
		if (n == -1)
			_exit(EXIT_SUCCESS);
		wanted = wanted || message.kind == MSG_WANT;
		received = (unsigned)message.value >> SPARES_SHIFT;
		server->spares = (int)((server->made - received) & MADE_MASK);
		server->target = message.value >> 1 & SPARES_MASK;
		if ((message.value & 1) != 0 && !server->reaping) {
			memset(&action, 0, sizeof(action));
			/* No signal either: this process would wake up. */
			action.sa_handler = SIG_IGN;
			(void)sigaction(SIGCHLD, &action, NULL);
			server->reaping = 1;
		}
	}
	return wanted;
}

/*
 * To make a spare takes about as long as an action that does little, and the
 * more while one runs: page tables change in both.  So one that the host waits
 * for is made at once, and others ahead when the children have ended and no
 * request has come for a while.  After a fork the first return from sleep
 * costs a copy of the page that the kernel writes to (rseq): rather now than
 * when the host says something.  Returns in each spare that has taken a request.
 */
static void
serve(struct server *server)
{
	int again, failed = 0, forked = 0, linger = LINGER, n, wanted;
	struct pollfd p[3];

	p[0].fd = server->signals;
	p[1].fd = server->host;
	p[2].fd = server->socket;
	p[0].events = p[1].events = p[2].events = POLLIN;
	for (;;) {
		again = forked || (!failed && server->spares < server->target);
		n = poll(p, 3, again ? linger : -1);
		forked = 0;
		if (n == -1 && errno != EINTR)
			_exit(EXIT_FAILURE);
		if (n == -1)
			continue;
		if (p[1].revents != 0)
			_exit(EXIT_SUCCESS);
		wanted = p[2].revents != 0 && heed_host(server);
		if (p[0].revents != 0)
			reap_children(server);
		failed = 0;
		wanted = wanted && server->spares == 0;
		linger = wanted ? BUSY : LINGER;
		if (n != 0 && !wanted)
			continue;
		if (server->spares < server->target) {
			if ((failed = make_spare(server)) == -1)
				return;
			forked = failed == 0;
		}
		if (wanted && failed != 0 && server->spares == 0)
			(void)gons__send(
			    server->socket, MSG_NONE, failed, NULL, 0);
	}
}

/* The host can reap the one that it executed when it hears of this one. */
static void
await_end(int pidfd)
{
	struct pollfd p;

	p.fd = pidfd;
	p.events = POLLIN;
	while (pidfd != -1 && poll(&p, 1, -1) == -1 && errno == EINTR)
		continue;
	(void)close(pidfd);
}

static int
prepare(struct server *server, const struct gons__action *what)
{
	struct request was;
	sigset_t all;

	(void)sigfillset(&all);
	server->host = what->fd[GONS__FD_HOST];
	/* The user of a program with privileges cannot stop it by variables. */
	if (gons_status_error() != NULL && !gons__self_is_secure())
		return gons_status_error()->errnum;
	server->me = fd_high((int)syscall(SYS_pidfd_open, getpid(), 0));
	if (server->me == -1)
		return errno;
	server->signals =
	    fd_high(signalfd(-1, &all, SFD_CLOEXEC | SFD_NONBLOCK));
	if (server->signals == -1)
		return errno;
	server->proc = gons__proc_open();
	if (server->proc >= 0)
		server->proc = fd_high(server->proc);
	if (server->proc < 0)
		server->proc = -1;
	gons__keep_proc(server->proc);
	gons__pool_inherit(&was, server->cpus, sizeof(server->cpus));
	server->cpubytes = was.cpubytes;
	server->nice = was.nice;
	server->oom = was.has_oom ? was.oom : 0;
	(void)dl_iterate_phdr(find_objects, &server->objects);
	gons__inside.block = malloc(REQUEST_MAX);
	return server->host == -1	    ? EBADF
	       : gons__inside.block == NULL ? ENOMEM
					    : 0;
}

/*
 * In the first process.  Its child belongs to others as soon as this process
 * has ended: if it has failed by then, it is reaped here, for the host could
 * not, even if orphans come there.
 */
static void __attribute__((noreturn))
leave_behind(const struct server *server, pid_t pid, int fate)
{
	int errnum = EPROTO;
	ssize_t n;

	do
		n = read(fate, &errnum, sizeof(errnum));
	while (n == -1 && errno == EINTR);
	if (n == 0 || (n == sizeof(errnum) && errnum != 0)) {
		while (waitpid(pid, NULL, 0) == -1 && errno == EINTR)
			continue;
		(void)gons__send(server->socket, MSG_NONE, errnum, NULL, 0);
	}
	_exit(EXIT_SUCCESS);
}

/*
 * If that was killed, the host hears from here who this process is.  SIGPIPE is
 * blocked.
 */
static void
tell_first(const struct server *server, int fate, int errnum)
{
	ssize_t n;
	int killed;

	do
		n = write(fate, &errnum, sizeof(errnum));
	while (n == -1 && errno == EINTR);
	killed = n == -1 && errno == EPIPE;
	if (killed && errnum != 0)
		(void)gons__send(server->socket, MSG_NONE, errnum, &server->me,
		    server->me != -1);
	if (errnum != 0 || (n != sizeof(errnum) && !killed))
		_exit(EXIT_FAILURE);
	(void)close(fate);
}

/*
 * The first process only forks the prepared one, so that this is no child of
 * the host, whose wait(2) must not find it.
 */
void
gons__serve(const struct gons__action *what, int *status)
{
	struct server server;
	int errnum, fate[2], first;
	sigset_t all, none;
	pid_t pid;

	memset(&server, 0, sizeof(server));
	server.socket = what->fd[GONS__FD_ORDERS];
	server.me = -1;
	server.status = status;
	(void)sigfillset(&all);
	(void)sigprocmask(SIG_SETMASK, &all, NULL);
	first = (int)syscall(SYS_pidfd_open, getpid(), 0);
	if (pipe2(fate, O_CLOEXEC) == -1 || (pid = fork()) == -1) {
		(void)gons__send(server.socket, MSG_NONE, errno, NULL, 0);
		_exit(EXIT_SUCCESS);
	}
	(void)close(fate[pid != 0]);
	if (pid != 0)
		leave_behind(&server, pid, fate[0]);
	tell_first(&server, fate[1], prepare(&server, what));
	gons__child_at_exit();
	rehearse(&server);
	await_end(first);
	errnum = gons__send(server.socket, MSG_PREPARED, 0, &server.me, 1);
	if (errnum != 0) { /* too many descriptors are on their way */
		(void)gons__send(server.socket, MSG_NONE, errnum, NULL, 0);
		_exit(EXIT_FAILURE);
	}
	serve(&server);
	(void)sigemptyset(&none);
	(void)sigprocmask(SIG_SETMASK, &none, NULL);
}
