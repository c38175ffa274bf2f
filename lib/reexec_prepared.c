/*
 * SPDX-License-Identifier: BSD-2-Clause
 *
 * Copyright (c) 2026 The libgons developers
 *
 * Prepared children.  Both sides: the process that the program is executed in
 * ahead, which keeps children waiting, the spares; and the host, which makes it,
 * hands requests over to spares, and sees to it that no privilege outlives in
 * them that the host has given up.
 */

#include <sys/auxv.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/signalfd.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>

#include <errno.h>
#include <fcntl.h>
#include <link.h>
#include <poll.h>
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "reexec.h"

#ifndef PIDFD_INFO_EXIT
#define PIDFD_INFO_EXIT 8
#endif
#define GET_INFO(size) _IOC(_IOC_READ | _IOC_WRITE, 0xff, 11, size)

#define HANDOVER_TIME 2000 /* ms for a prepared process to take a request */
#define PREPARE_TIME 30000 /* ms for it to reach gons_reexec_check() */
#define BLOCK_MAX 16384 /* bytes of a request, more go into memory */
#define REHEARSE_STACK 8192 /* bytes of the stack that most actions need */
#define AROUND 65536 /* bytes that a page fault in a file brings along */
#define LINGER 1 /* ms without a request before a spare is made ahead */
#define BUSY 10 /* the same, after one that nobody has seen the end of */
#define STATUS_MAX 8191 /* bytes of /proc/thread-self/status */
#define CAPS_MAX 64 /* capabilities that a kernel may have */

enum { /* what the host gets of a spare child, and what that has */
	SPARE_PIDFD, /* for the host alone */
	SPARE_CONTROL,
	SPARE_OUT,
	SPARE_ERR,
	SPARE_IN = SPARE_PIDFD, /* for the child: nothing to read */
	NSPARE = SPARE_ERR + 1
};

struct hatch { /* what a prepared process has to look after */
	int me, signals, host, socket;
	int target; /* how many spares to have: none before the host asks */
	int unread; /* what one adds to the socket's unread bytes */
	int reaping; /* the kernel does it, and tells the host */
	int *status; /* where a child will leave that of its action */
	size_t n; /* children whose end this process has to tell */
	struct hatched {
		pid_t pid;
		int control; /* where their end is told */
	} * all;
};

/*
 * The process that prepared children are forked off.  It is no child of this
 * one, and ends when this one does.
 */
static struct {
	pthread_mutex_t lock;
	int control; /* requests go here; -1: there is none */
	int pidfd;
	int sealed;
	int kernel_tells; /* how a child has ended, see kernel_status() */
	int spares; /* that it is to have */
	int hooked; /* forgotten in forked copies */
	int proc; /* /proc as it was then, should the root change; or -1 */
	struct buffer standing; /* what this process was when it was made */
} prepared = { PTHREAD_MUTEX_INITIALIZER, -1, -1, 0, 0, SPARES, 0, -1,
	{ NULL, 0, 0 } };

static void prepared_loop(struct hatch *hatch);
static int hatch_spares(const struct hatch *hatch);
static int hatch_wanted(struct hatch *hatch);
static int hatch_spare(struct hatch *hatch);
static void hatch_add(struct hatch *hatch, pid_t pid, int *control);
static void hatch_reap(struct hatch *hatch);
static void spare_wait(const struct hatch *hatch, const int *theirs);
static void rehearse(int *status);
static void rehearse_exit(void);
static void rehearse_page(void *page);
static void rehearse_linker(void);
static void nothing(void);
static int spare_take(void);
static int block_map(int fd, char **block, size_t *len);
static int spare_fds(int *fds, int *number, size_t n);
static int spare_env(char *block, size_t len);
static int spare_go(void);
static int block_send(struct gons_reexec *req, char **envp, int *fds,
    const int *number, size_t n);
static int prepared_send(struct gons_reexec *req, const void *block, size_t len,
    const int *fds, size_t n);
static int prepared_spare(struct gons_reexec *req);
static int prepared_go(struct gons_reexec *req);
static int prepared_stale(void);
static int prepared_take(int *fds, int64_t until);
static int prepared_want(void);
static int prepared_get(int sealed);
static int prepared_start(int sealed);
static int prepared_await(struct gons_reexec *req);
static void drain(int *fd);
static void prepared_end(void);
static void prepared_forget(void);
static int standing_of(struct buffer *standing);
static int standing_add(struct buffer *standing, const void *what, size_t len);
static int standing_proc(struct buffer *standing);
static int standing_lines(struct buffer *standing, const char *text,
    const char *first, const char *end);
static int standing_calls(struct buffer *standing);
static void standing_caps(
    const unsigned *caps, unsigned char *bounding, unsigned char *ambient);
static void standing_ns(char ns[GONS_NTYPES][32]);

/*
 * The prepared process: the first one only forks it, so that it is no child
 * of the host, whose wait(2) must not find it.  It keeps children ahead, the
 * spares; what the host needs to talk to them waits in its socket.  One that
 * is sent a request becomes an ordinary re-executed child.  Returns in that
 * one alone.
 */
void
gons__prepared_process(const struct gons__action *what, int *status)
{
	struct hatch hatch;
	sigset_t all, old;
	pid_t pid;

	memset(&hatch, 0, sizeof(hatch));
	gons__child.control = what->fd[GONS__FD_CONTROL];
	(void)sigfillset(&all);
	(void)sigprocmask(SIG_SETMASK, &all, &old);
	if ((pid = fork()) == -1)
		gons__tell(MSG_FORK, errno, NULL);
	if (pid != 0)
		_exit(EXIT_SUCCESS);
	hatch.me = gons__high((int)syscall(SYS_pidfd_open, getpid(), 0));
	hatch.signals =
	    gons__high(signalfd(-1, &all, SFD_CLOEXEC | SFD_NONBLOCK));
	hatch.host = what->fd[GONS__FD_HOST];
	hatch.socket = gons__child.control;
	hatch.status = status;
	gons__child.block = malloc(BLOCK_MAX + 1);
	if (gons_status_error() != NULL || hatch.host == -1 || hatch.me == -1 ||
	    hatch.signals == -1 || gons__child.block == NULL) {
		gons__tell(MSG_FORK, ENOSYS, NULL);
		_exit(EXIT_FAILURE);
	}
	gons__tell_at_exit();
	rehearse(status);
	(void)gons__send_fds(hatch.socket, MSG_PREPARED, 0, &hatch.me, 1);
	prepared_loop(&hatch);
	(void)sigprocmask(SIG_SETMASK, &old, NULL);
}

/*
 * To make a spare takes about as long as an action that does little, and the
 * more while one runs: page tables change in both.  So one that the host waits
 * for is made at once, and others ahead when the children have ended and no
 * request has come for a while.  Returns in each spare that has taken a request.
 */
static void
prepared_loop(struct hatch *hatch)
{
	int failed = 0, linger = LINGER, n, wanted;
	struct pollfd p[3];

	p[0].fd = hatch->signals;
	p[1].fd = hatch->host;
	p[2].fd = hatch->socket;
	p[0].events = p[1].events = p[2].events = POLLIN;
	for (;;) {
		n = poll(p, 3,
		    !failed && hatch_spares(hatch) < hatch->target ? linger
								   : -1);
		if (n == -1)
			continue;
		if (p[1].revents != 0)
			_exit(EXIT_SUCCESS);
		wanted = p[2].revents != 0 && hatch_wanted(hatch);
		if (p[0].revents != 0)
			hatch_reap(hatch);
		failed = 0;
		linger = wanted ? BUSY : LINGER;
		if (n != 0 && !wanted)
			continue;
		if (hatch_spares(hatch) < hatch->target &&
		    (failed = hatch_spare(hatch)) == -1)
			return;
		if (wanted && failed != 0 && hatch_spares(hatch) == 0)
			gons__tell(MSG_FORK, failed, NULL);
	}
}

/* How many wait for the host: their messages are alike. */
static int
hatch_spares(const struct hatch *hatch)
{
	int unread = 0;

	if (ioctl(hatch->socket, TIOCOUTQ, &unread) == -1)
		_exit(EXIT_FAILURE);
	return hatch->unread > 0 ? unread / hatch->unread : 0;
}

/* The host asks for one, says how many it wants, and what its kernel can do. */
static int
hatch_wanted(struct hatch *hatch)
{
	struct sigaction action;
	struct message message;
	int wanted = 0, value = 0;
	size_t n;

	while ((n = gons__receive(
		    hatch->socket, &message, sizeof(message), NULL, 0)) != 0) {
		if (n == (size_t)-1)
			_exit(EXIT_SUCCESS);
		wanted = 1;
		value = message.value;
	}
	if (wanted)
		hatch->target = value >> 1;
	if ((value & 1) != 0 && !hatch->reaping) {
		memset(&action, 0, sizeof(action));
		action.sa_handler = SIG_DFL;
		action.sa_flags = SA_NOCLDWAIT;
		(void)sigaction(SIGCHLD, &action, NULL);
		hatch->reaping = 1;
	}
	return wanted;
}

/*
 * One more, and tell the host.  Returns 0 or an errno value, and -1 in the
 * spare when it has taken a request.
 */
static int
hatch_spare(struct hatch *hatch)
{
	int errnum, i, ours[NSPARE], theirs[NSPARE];
	pid_t pid = -1;

	for (i = 0; i < NSPARE; i++)
		ours[i] = theirs[i] = -1;
	errnum = gons__open_socket(
	    SOCK_SEQPACKET, &ours[SPARE_CONTROL], &theirs[SPARE_CONTROL]);
	if (errnum == 0)
		errnum = gons__open_pipe(&ours[SPARE_OUT], &theirs[SPARE_OUT]);
	if (errnum == 0)
		errnum = gons__open_pipe(&ours[SPARE_ERR], &theirs[SPARE_ERR]);
	if (errnum == 0 && (theirs[SPARE_IN] = gons__memory_fd(
				"gons-param", MFD_NOEXEC_SEAL)) == -1)
		errnum = errno;
	if (errnum == 0)
		errnum = gons__seal(theirs[SPARE_IN]);
	if (errnum == 0 && (pid = fork()) == -1)
		errnum = errno;
	if (pid == 0) {
		spare_wait(hatch, theirs);
		return -1;
	}
	if (pid > 0 && !hatch->reaping)
		hatch_add(hatch, pid, &theirs[SPARE_CONTROL]);
	/* before it is told: closed ends show who sends a request that it died */
	for (i = 0; i < NSPARE; i++)
		gons__close_fd(&theirs[i]);
	if (errnum == 0 &&
	    (ours[SPARE_PIDFD] = (int)syscall(SYS_pidfd_open, pid, 0)) == -1)
		errnum = errno;
	if (errnum == 0)
		errnum =
		    gons__send_fds(hatch->socket, MSG_SPARE, 0, ours, NSPARE);
	if (errnum == 0 && hatch->unread == 0)
		(void)ioctl(hatch->socket, TIOCOUTQ, &hatch->unread);
	for (i = 0; i < NSPARE; i++)
		gons__close_fd(&ours[i]);
	return errnum;
}

/* Where the kernel does not, its end is told on its own control socket. */
static void
hatch_add(struct hatch *hatch, pid_t pid, int *control)
{
	struct hatched *all;

	all = realloc(hatch->all, (hatch->n + 1) * sizeof(*all));
	if (all == NULL)
		_exit(EXIT_FAILURE);
	hatch->all = all;
	all[hatch->n].pid = pid;
	all[hatch->n++].control = *control;
	*control = -1;
}

/*
 * Nothing is told to who finds his request unread when the socket is closed.
 */
static void
hatch_reap(struct hatch *hatch)
{
	struct signalfd_siginfo info;
	struct message message;
	struct hatched *h;
	int status;
	size_t i;
	pid_t pid;

	while (read(hatch->signals, &info, sizeof(info)) == sizeof(info))
		continue;
	while ((pid = waitpid(-1, &status, WNOHANG)) > 0 ||
	       (pid == -1 && errno == EINTR)) {
		for (i = 0; i < hatch->n && hatch->all[i].pid != pid; i++)
			continue;
		if (i == hatch->n)
			continue;
		h = &hatch->all[i];
		if (recv(h->control, &message, MESSAGE_SHORT,
			MSG_PEEK | MSG_DONTWAIT) == -1 ||
		    message.kind == MSG_KILL) {
			gons__child.control = h->control;
			gons__tell(MSG_REAPED, status, NULL);
			gons__child.control = hatch->socket;
		}
		(void)close(h->control);
		*h = hatch->all[--hatch->n];
	}
}

/*
 * In the spare: what can be done ahead, then wait for a request.  It ends if
 * the prepared process does, or if the host loses its end of the socket.
 */
static void
spare_wait(const struct hatch *hatch, const int *theirs)
{
	static const int stdio[] = { SPARE_IN, SPARE_OUT, SPARE_ERR };
	struct sigaction action;
	struct launch launch;
	struct pollfd p;
	int errnum, i;

	gons__die_with(hatch->me);
	memset(&action, 0, sizeof(action));
	action.sa_handler = SIG_DFL;
	(void)sigaction(SIGCHLD, &action, NULL);
	for (i = 0; i < 3; i++) /* a function that is bound already */
		if (syscall(SYS_dup3, theirs[stdio[i]], i, 0) == -1)
			_exit(EXIT_FAILURE);
	gons__child.control = theirs[SPARE_CONTROL];
	gons__child.forked = 1;
	launch.fds = &gons__child.control;
	launch.nfds = 1;
	gons__child_close(&launch);
	rehearse(hatch->status);
	p.fd = gons__child.control;
	p.events = POLLIN;
	while (poll(&p, 1, -1) != 1)
		continue;
	(void)prctl(PR_SET_PDEATHSIG, 0, 0, 0, 0);
	if ((errnum = spare_take()) == 0)
		errnum = spare_go();
	if (errnum != 0) {
		gons__tell(MSG_LOST, errnum, NULL);
		_exit(EXIT_FAILURE);
	}
}

/*
 * In a copy of a process each page costs a fault when it is first used, and a
 * function that is bound lazily a search.  The host would wait for that: what
 * every request uses is used ahead, in the prepared process for what its copies
 * inherit, and in each of them.
 */
static void
rehearse(int *status)
{
	char action[] = "gons_reexec_action=0:,,,,:-";
	char *env[] = { action, NULL }, **old = environ;
	volatile char low[REHEARSE_STACK];
	struct message message;
	size_t i;

	*status = EXIT_FAILURE;
	for (i = 0; i < sizeof(low); i += CHUNK)
		low[i] = '\0';
	free(malloc(CHUNK / 2));
	if (spare_env(gons__child.block, 0) == 0)
		free(environ);
	gons__status_again(env);
	(void)gons__find_action(gons__status_action()->name);
	(void)getpid();
	(void)sigprocmask(SIG_SETMASK, NULL, NULL);
	environ = old;
	(void)gons__receive(-1, &message, sizeof(message), NULL, 0);
	rehearse_exit();
	rehearse_linker();
}

/* exit(3) takes locks; glibc has one of them beside timezone. */
static void
rehearse_exit(void)
{
	(void)atexit(nothing);
	(void)pthread_mutex_lock(&prepared.lock);
	(void)pthread_mutex_unlock(&prepared.lock);
	rehearse_page(stdout);
	rehearse_page(&timezone);
}

/* It is this process's alone then. */
static void
rehearse_page(void *page)
{
	volatile char *byte = page, c = *byte;

	*byte = c;
}

/* The dynamic linker's code, which runs last, in the pieces faults bring. */
static void
rehearse_linker(void)
{
	const char *base = (const char *)getauxval(AT_BASE);
	const ElfW(Ehdr) *head = (const void *)base;
	const ElfW(Phdr) * h;
	volatile char c;
	size_t i, k;

	for (i = 0; base != NULL && i < head->e_phnum; i++) {
		h = (const void *)(base + head->e_phoff +
				   i * head->e_phentsize);
		if (h->p_type != PT_LOAD || (h->p_flags & PF_R) == 0 ||
		    (h->p_flags & PF_X) == 0)
			continue;
		for (k = 0; k < h->p_memsz; k += AROUND)
			c = base[h->p_vaddr + k];
	}
	(void)c;
}

static void
nothing(void)
{
}

/*
 * The request: how many descriptors come with it, their numbers, and the
 * environment, which is in the first of them if that has no number.
 */
static int
spare_take(void)
{
	int fds[RIGHTS_MAX], number[RIGHTS_MAX], errnum = 0;
	size_t i, len, n;
	struct message head;
	char *block = gons__child.block;

	len = gons__receive(
	    gons__child.control, block, BLOCK_MAX, fds, RIGHTS_MAX);
	if (len == (size_t)-1 || len < MESSAGE_SHORT)
		_exit(EXIT_SUCCESS); /* the host has no use for us any more */
	memcpy(&head, block, MESSAGE_SHORT);
	n = (size_t)head.value;
	if (n > RIGHTS_MAX || len < MESSAGE_SHORT + n * sizeof(*number))
		return EPROTO;
	for (i = 0; i < n; i++)
		if (fds[i] == -1)
			return EMFILE;
	memcpy(number, block + MESSAGE_SHORT, n * sizeof(*number));
	block += MESSAGE_SHORT + n * sizeof(*number);
	len -= MESSAGE_SHORT + n * sizeof(*number);
	if (n > 0 && number[0] == -1)
		errnum = block_map(fds[0], &block, &len);
	if (errnum == 0 && (errnum = spare_fds(fds, number, n)) == 0)
		errnum = spare_env(block, len);
	return errnum;
}

static int
block_map(int fd, char **block, size_t *len)
{
	struct stat st;
	void *map;

	if (fstat(fd, &st) == -1)
		return errno;
	map = mmap(NULL, (size_t)st.st_size + 1, PROT_READ | PROT_WRITE,
	    MAP_PRIVATE, fd, 0);
	if (map == MAP_FAILED)
		return errno;
	*block = map;
	*len = (size_t)st.st_size;
	return 0;
}

/*
 * Each descriptor gets its number, and no other is left.  The numbers are
 * sorted; what is in the way of one moves above them all.
 */
static int
spare_fds(int *fds, int *number, size_t n)
{
	int least = n > 0 && number[n - 1] > 2 ? number[n - 1] : 2;
	struct launch launch;
	size_t i;

	if (gons__child.control <= least &&
	    (gons__child.control = fcntl(
		 gons__child.control, F_DUPFD_CLOEXEC, least + 1)) == -1)
		return errno;
	for (i = 0; i < n; i++)
		if (fds[i] <= least &&
		    (fds[i] = fcntl(fds[i], F_DUPFD_CLOEXEC, least + 1)) == -1)
			return errno;
	for (i = 0; i < n; i++)
		if (number[i] != -1 && dup2(fds[i], number[i]) == -1)
			return errno;
	launch.nfds = 0;
	launch.fds = fds;
	for (i = 0; i < n; i++)
		if (number[i] > 2)
			fds[launch.nfds++] = number[i];
	fds[launch.nfds++] = gons__child.control;
	gons__child_close(&launch);
	return 0;
}

/* As executing would have it. */
static int
spare_env(char *block, size_t len)
{
	char **envp, *p;
	size_t i, n = 0;

	block[len] = '\0';
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

/*
 * Nothing has happened yet that takes any privilege: whether it may, the host
 * finds out while this process wakes up.
 */
static int
spare_go(void)
{
	struct message message;
	struct pollfd p;
	size_t n;

	p.fd = gons__child.control;
	p.events = POLLIN;
	while ((n = gons__receive(gons__child.control, &message,
		    sizeof(message), NULL, 0)) == 0)
		(void)poll(&p, 1, -1);
	if (n == (size_t)-1 || message.kind != MSG_GO)
		_exit(EXIT_SUCCESS); /* no */
	/* NOLINTNEXTLINE: set by spare_env(), not what rehearse() has freed */
	gons__status_again(environ);
	if ((gons__status_action()->flags & GONS_REEXEC_REPLY) != 0 &&
	    dup2(STDERR_FILENO, STDOUT_FILENO) == -1)
		return errno;
	return 0;
}

/*
 * What would be executed with is sent to a spare child of the prepared
 * process instead: descriptors, their numbers, the environment.
 */
int
gons__hand_over(struct gons_reexec *req, const struct launch *launch)
{
	int fds[RIGHTS_MAX], number[RIGHTS_MAX], errnum;
	size_t i, n = 1; /* the first may be the environment */

	if (launch->nfds + 4 > RIGHTS_MAX)
		return E2BIG;
	req->taken_at = gons__now() + HANDOVER_TIME;
	fds[0] = number[0] = -1;
	for (i = 0; i < 3; i++)
		if (launch->stdio[i] != -1) {
			fds[n] = launch->stdio[i];
			number[n++] = (int)i;
		}
	for (i = 0; i < launch->nfds; i++)
		fds[n] = number[n] = launch->fds[i], n++;
	(void)pthread_mutex_lock(&prepared.lock);
	errnum = block_send(req, launch->envp, fds, number, n);
	(void)pthread_mutex_unlock(&prepared.lock);
	gons__close_fd(&fds[0]);
	return errnum;
}

/* The message has room for most environments; others are in memory. */
static int
block_send(
    struct gons_reexec *req, char **envp, int *fds, const int *number, size_t n)
{
	size_t first = 1, len = 0, head;
	struct message message;
	char *block, *p, **e;
	int errnum = 0;

	for (e = envp; *e != NULL; e++)
		len += strlen(*e) + 1;
	head = MESSAGE_SHORT + n * sizeof(*number);
	if ((block = malloc(head + len)) == NULL)
		return ENOMEM;
	p = block + head;
	for (e = envp; *e != NULL; e++)
		p = stpcpy(p, *e) + 1;
	if (head + len > BLOCK_MAX) {
		first = 0;
		if ((fds[0] = gons__memory_fd(
			 "gons-request", MFD_NOEXEC_SEAL)) == -1)
			errnum = errno;
		else
			errnum = gons__write_all(fds[0], block + head, len);
		len = 0;
	}
	p = block + first * sizeof(*number);
	memset(&message, 0, MESSAGE_SHORT);
	message.kind = MSG_REQUEST;
	message.value = (int)(n - first);
	memcpy(p, &message, MESSAGE_SHORT);
	memcpy(
	    p + MESSAGE_SHORT, number + first, (n - first) * sizeof(*number));
	if (errnum == 0)
		errnum = prepared_send(req, p, (size_t)(block + head + len - p),
		    fds + first, n - first);
	free(block);
	return errnum;
}

/* To a spare that is alive, as far as this can be known. */
static int
prepared_send(struct gons_reexec *req, const void *block, size_t len,
    const int *fds, size_t n)
{
	int errnum, tries = 0;

	do {
		gons__close_channels(req);
		if ((errnum = prepared_spare(req)) != 0)
			return errnum;
		/* Too many descriptors on their way: no event tells. */
		while ((errnum = gons__send_block(req->fd[SRC_CONTROL], block,
			    len, fds, n)) == ETOOMANYREFS &&
		       gons__now() < req->taken_at)
			(void)poll(NULL, 0, 1);
		if (errnum == 0)
			errnum = prepared_go(req);
	} while (
	    (errnum == EPIPE || errnum == ESTALE) && tries++ < SPARES_TRIED);
	return errnum;
}

/*
 * The next spare is this request's.  A prepared process that has none in time
 * is replaced, once for a request.
 */
static int
prepared_spare(struct gons_reexec *req)
{
	int sealed = (req->flags & GONS_REEXEC_SEALED) != 0;
	int errnum, fds[NSPARE];

	if ((errnum = prepared_get(sealed)) == 0)
		errnum = prepared_take(fds, req->taken_at);
	if ((errnum == EPIPE || errnum == ETIMEDOUT) && !req->retried) {
		req->retried = 1;
		req->taken_at = gons__now() + HANDOVER_TIME;
		prepared_end();
		if ((errnum = prepared_get(sealed)) == 0)
			errnum = prepared_take(fds, req->taken_at);
	}
	if (errnum != 0)
		return errnum;
	req->kernel_tells = prepared.kernel_tells;
	req->fd[SRC_PIDFD] = fds[SPARE_PIDFD];
	req->fd[SRC_CONTROL] = fds[SPARE_CONTROL];
	if ((req->flags & GONS_REEXEC_REPLY) != 0)
		gons__close_fd(&fds[SPARE_OUT]);
	else
		req->fd[SRC_OUT] = fds[SPARE_OUT];
	if (req->passed)
		gons__close_fd(&fds[SPARE_ERR]);
	else
		req->fd[SRC_ERR] = fds[SPARE_ERR];
	return 0;
}

/*
 * The action may run if this process is what it was when the prepared process
 * was made.  Who has dropped privileges must not have actions run with them.
 */
static int
prepared_go(struct gons_reexec *req)
{
	int errnum;

	if ((errnum = prepared_stale()) != 0)
		return errnum;
	return gons__send_fds(req->fd[SRC_CONTROL], MSG_GO, 0, NULL, 0);
}

/* ESTALE: it was, and is no more. */
static int
prepared_stale(void)
{
	struct buffer standing = { NULL, 0, 0 };
	int errnum;

	if ((errnum = standing_of(&standing)) == 0 &&
	    (standing.len != prepared.standing.len ||
		memcmp(standing.data, prepared.standing.data, standing.len) !=
		    0)) {
		prepared_end();
		errnum = ESTALE;
	}
	free(standing.data);
	return errnum;
}

/* Asks for a spare if there is none. */
static int
prepared_take(int *fds, int64_t until)
{
	struct message message;
	struct pollfd p;
	int asked = 0, errnum = 0, i;
	size_t n;

	p.fd = prepared.control;
	p.events = POLLIN;
	for (;;) {
		n = gons__receive(p.fd, &message, sizeof(message), fds, NSPARE);
		if (n == (size_t)-1)
			return EPIPE;
		if (n != 0 && message.kind == MSG_SPARE)
			break;
		for (i = 0; i < NSPARE; i++) /* that nobody asked for */
			gons__close_fd(&fds[i]);
		if (n != 0 && message.kind == MSG_FORK && asked)
			return message.value == ESRCH ? EPIPE : message.value;
		if (n != 0)
			continue;
		if (gons__now() >= until)
			return ETIMEDOUT;
		if (!asked && (asked = prepared_want()) == -1)
			return EPIPE;
		(void)poll(&p, 1, TICK);
	}
	for (i = 0; i < NSPARE; i++)
		if ((fds[i] = gons__high(fds[i])) == -1)
			errnum = EMFILE;
	for (i = 0; i < NSPARE && errnum != 0; i++)
		gons__close_fd(&fds[i]);
	return errnum;
}

/*
 * How many spares there are to be, and in the last bit if the kernel tells how
 * they end.  Returns 1; 0: not yet; -1: it is gone.
 */
static int
prepared_want(void)
{
	int value = prepared.spares << 1 | prepared.kernel_tells;
	int errnum = gons__send_fds(prepared.control, MSG_WANT, value, NULL, 0);

	return errnum == 0 ? 1 : errnum == EAGAIN ? 0 : -1;
}

int
gons_reexec_prepare(void)
{
	struct gons_reexec *req;
	int errnum = 0;

	if ((req = gons_reexec_new("-")) == NULL)
		return -1;
	if (gons__may_start(req, 0) == -1)
		errnum = errno;
	gons_reexec_free(req);
	if (errnum == 0) {
		(void)pthread_mutex_lock(&prepared.lock);
		if (prepared.control != -1)
			errnum = prepared_stale();
		if (errnum == 0 || errnum == ESTALE)
			errnum = prepared_get(0);
		(void)pthread_mutex_unlock(&prepared.lock);
	}
	if (errnum == 0)
		return 0;
	errno = errnum;
	return -1;
}

int
gons_reexec_setspares(int n)
{
	if (n < 1 || n > SPARES_MAX) {
		errno = EINVAL;
		return -1;
	}
	(void)pthread_mutex_lock(&prepared.lock);
	prepared.spares = n;
	if (prepared.control != -1)
		(void)prepared_want();
	(void)pthread_mutex_unlock(&prepared.lock);
	return 0;
}

/* There is one, and it is alive. */
static int
prepared_get(int sealed)
{
	struct pollfd p;
	int errnum;

	p.fd = prepared.pidfd;
	p.events = POLLIN;
	if (prepared.control != -1 && poll(&p, 1, 0) == 0 &&
	    (!sealed || prepared.sealed))
		return 0;
	prepared_end();
	free(prepared.standing.data);
	memset(&prepared.standing, 0, sizeof(prepared.standing));
	if (prepared.proc == -1)
		prepared.proc =
		    gons__high(gons__proc_open("/proc", O_PATH | O_DIRECTORY));
	if ((errnum = standing_of(&prepared.standing)) != 0)
		return errnum;
	return prepared_start(sealed || prepared.sealed);
}

static int
prepared_start(int sealed)
{
	struct gons__action what;
	struct launch launch;
	struct gons_reexec *req;
	int errnum, i;

	if (!prepared.hooked &&
	    (errnum = pthread_atfork(NULL, NULL, prepared_forget)) != 0)
		return errnum;
	prepared.hooked = 1;
	if ((req = gons_reexec_new("-")) == NULL)
		return errno;
	memset(&launch, 0, sizeof(launch));
	memset(&what, 0, sizeof(what));
	for (i = 0; i < GONS__NFDS; i++)
		what.fd[i] = -1;
	req->flags =
	    (sealed ? GONS_REEXEC_SEALED : 0) | GONS_REEXEC_DIE_WITH_PARENT;
	errnum = gons__open_channels(req, &launch, &what);
	what.fd[GONS__FD_COVERAGE] = what.fd[GONS__FD_PROFILE] = -1;
	what.flags = PREPARE;
	if (errnum == 0 &&
	    (errnum = gons__build_fds(req, &launch, &what)) == 0 &&
	    (errnum = gons__build_env(req, &launch, &what)) == 0) {
		/* whoever is forked off it must not write to our file */
		gons__cov_env(req->cov, launch.envp);
		errnum = gons__spawn(req, &launch);
	}
	gons__cov_collect(req->cov);
	req->cov = NULL;
	gons__close_launch(&launch, &what);
	if (errnum == 0)
		errnum = prepared_await(req);
	if (errnum == 0) {
		prepared.control = req->fd[SRC_CONTROL];
		req->fd[SRC_CONTROL] = -1;
		prepared.sealed = sealed;
		(void)prepared_want();
	}
	gons_reexec_free(req);
	return errnum;
}

/*
 * It reaches gons_reexec_check(), forks and ends; the other one tells who it
 * is.  What it prints until then nobody wants, but it must not block it.
 */
static int
prepared_await(struct gons_reexec *req)
{
	int64_t until = gons__now() + PREPARE_TIME;
	struct message message;
	struct pollfd p[3];
	int errnum = EPROTO, status;
	size_t n = 0;

	p[0].fd = req->fd[SRC_CONTROL];
	p[1].fd = req->fd[SRC_OUT];
	p[2].fd = req->fd[SRC_ERR];
	p[0].events = p[1].events = p[2].events = POLLIN;
	while (n == 0 && gons__now() < until) {
		if (poll(p, 3, TICK * 10) < 1)
			continue;
		if (p[1].revents != 0)
			drain(&p[1].fd);
		if (p[2].revents != 0)
			drain(&p[2].fd);
		if (p[0].revents != 0)
			n = gons__receive(p[0].fd, &message, sizeof(message),
			    &prepared.pidfd, 1);
	}
	if (n == 0) {
		errnum = ETIMEDOUT;
		(void)gons__send_signal(req, SIGKILL);
	} else if (n != (size_t)-1) {
		errnum = message.kind == MSG_PREPARED && prepared.pidfd != -1
			     ? 0
			 : message.value > 0 ? message.value
					     : EMFILE;
	}
	if (errnum != 0)
		gons__close_fd(&prepared.pidfd);
	prepared.pidfd = gons__high(prepared.pidfd);
	while (waitpid(req->pid, NULL, 0) == -1 && errno == EINTR)
		continue;
	prepared.kernel_tells = gons__kernel_status(req, &status);
	return errnum;
}

static void
drain(int *fd)
{
	char dropped[CHUNK];
	ssize_t n;

	n = read(*fd, dropped, sizeof(dropped));
	if (n == 0)
		*fd = -1;
}

/* Its spare goes with it; children that it has made do not. */
static void
prepared_end(void)
{
	if (prepared.pidfd != -1)
		(void)syscall(
		    SYS_pidfd_send_signal, prepared.pidfd, SIGKILL, NULL, 0);
	gons__close_fd(&prepared.pidfd);
	gons__close_fd(&prepared.control);
}

/* It is stopped, or in trouble: the next request gets another. */
void
gons__prepared_lost(void)
{
	(void)pthread_mutex_lock(&prepared.lock);
	prepared_end();
	(void)pthread_mutex_unlock(&prepared.lock);
}

/* In a forked copy of this process: it may make one of its own. */
static void
prepared_forget(void)
{
	gons__close_fd(&prepared.pidfd);
	gons__close_fd(&prepared.control);
	gons__close_fd(&prepared.proc);
	(void)pthread_mutex_init(&prepared.lock, NULL);
}

/*
 * What this thread may do and where it is, as far as the kernel lets a child
 * inherit it: ids, groups, capabilities, namespaces.  From /proc most of it
 * comes in one piece; without, each thing has to be asked for.
 */
static int
standing_of(struct buffer *standing)
{
	struct {
		int securebits;
		char ns[GONS_NTYPES][32];
	} now_is;
	int errnum;

	memset(&now_is, 0, sizeof(now_is));
	now_is.securebits = prctl(PR_GET_SECUREBITS, 0, 0, 0, 0);
	standing_ns(now_is.ns);
	errnum = standing_add(standing, &now_is, sizeof(now_is));
	if (errnum == 0 && (errnum = standing_proc(standing)) == ENOENT)
		errnum = standing_calls(standing);
	return errnum;
}

static int
standing_add(struct buffer *standing, const void *what, size_t len)
{
	char *data;

	if ((data = realloc(standing->data, standing->len + len)) == NULL)
		return ENOMEM;
	memcpy(data + standing->len, what, len);
	standing->data = data;
	standing->len += len;
	return 0;
}

/* ENOENT: it is not to be had, or too long. */
static int
standing_proc(struct buffer *standing)
{
	char text[STATUS_MAX + 1];
	ssize_t n = -1;
	int errnum, fd;

	fd = openat(prepared.proc, "thread-self/status", O_RDONLY | O_CLOEXEC);
	if (fd != -1)
		n = read(fd, text, STATUS_MAX);
	gons__close_fd(&fd);
	if (n < 1)
		return ENOENT;
	text[n] = '\0';
	errnum = standing_lines(standing, text, "\nUid:", "\nFDSize:");
	if (errnum == 0)
		errnum =
		    standing_lines(standing, text, "\nGroups:", "\nNStgid:");
	if (errnum == 0)
		errnum = standing_lines(
		    standing, text, "\nCapInh:", "\nNoNewPrivs:");
	return errnum;
}

/* From the one to before the other. */
static int
standing_lines(struct buffer *standing, const char *text, const char *first,
    const char *end)
{
	if ((first = strstr(text, first)) == NULL ||
	    (end = strstr(first, end)) == NULL)
		return ENOENT;
	return standing_add(standing, first, (size_t)(end - first));
}

static int
standing_calls(struct buffer *standing)
{
	struct {
		uid_t uid[3];
		gid_t gid[3];
		unsigned caps[6]; /* effective, permitted, inheritable; again */
		int groups;
		unsigned char bounding[CAPS_MAX], ambient[CAPS_MAX];
	} now_is;
	unsigned head[2] = { 0x20080522, 0 };
	gid_t *groups;
	int errnum;

	memset(&now_is, 0, sizeof(now_is));
	if (getresuid(&now_is.uid[0], &now_is.uid[1], &now_is.uid[2]) == -1 ||
	    getresgid(&now_is.gid[0], &now_is.gid[1], &now_is.gid[2]) == -1 ||
	    syscall(SYS_capget, head, now_is.caps) == -1 ||
	    (now_is.groups = getgroups(0, NULL)) == -1)
		return errno;
	standing_caps(now_is.caps, now_is.bounding, now_is.ambient);
	errnum = standing_add(standing, &now_is, sizeof(now_is));
	if (errnum != 0 || now_is.groups == 0)
		return errnum;
	if ((groups = calloc((size_t)now_is.groups, sizeof(*groups))) == NULL)
		return ENOMEM;
	if (getgroups(now_is.groups, groups) != now_is.groups)
		errnum = errno;
	else
		errnum = standing_add(
		    standing, groups, (size_t)now_is.groups * sizeof(*groups));
	free(groups);
	return errnum;
}

/* What is ambient is inheritable, too. */
static void
standing_caps(
    const unsigned *caps, unsigned char *bounding, unsigned char *ambient)
{
	int i, r;

	for (i = 0; i < CAPS_MAX; i++) {
		if ((r = prctl(PR_CAPBSET_READ, i, 0, 0, 0)) == -1)
			break;
		bounding[i] = (unsigned char)r;
		if ((caps[i / 32 * 3 + 2] >> i % 32 & 1) != 0)
			ambient[i] = (unsigned char)prctl(
			    PR_CAP_AMBIENT, PR_CAP_AMBIENT_IS_SET, i, 0, 0);
	}
}

/*
 * Of a type that has another for children, that one; nothing without /proc.
 * Links are read, for the namespaces themselves take longer to look at.
 */
static void
standing_ns(char ns[GONS_NTYPES][32])
{
	char name[32];
	int dir, i;

	dir = openat(
	    prepared.proc, "thread-self/ns", O_PATH | O_DIRECTORY | O_CLOEXEC);
	for (i = 0; i < GONS_NTYPES && dir != -1; i++) {
		(void)snprintf(name, sizeof(name), "%s%s", gons_type_name(i),
		    i == GONS_PID || i == GONS_TIME ? "_for_children" : "");
		(void)!readlinkat(dir, name, ns[i], sizeof(ns[i]));
	}
	if (dir != -1)
		(void)close(dir);
}

/* As from waitpid(2), of a process that has been reaped; Linux 6.15. */
int
gons__kernel_status(const struct gons_reexec *req, int *status)
{
	struct {
		uint64_t mask, cgroup;
		uint32_t ids[11];
		int32_t status;
	} info;

	memset(&info, 0, sizeof(info));
	info.mask = PIDFD_INFO_EXIT;
	if (req->fd[SRC_PIDFD] == -1 ||
	    ioctl(req->fd[SRC_PIDFD], GET_INFO(sizeof(info)), &info) == -1 ||
	    (info.mask & PIDFD_INFO_EXIT) == 0)
		return 0;
	*status = info.status & 0xffff;
	return 1;
}
