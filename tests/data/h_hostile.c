/*
 * SPDX-License-Identifier: BSD-2-Clause
 *
 * Copyright (c) 2026 The libgons developers
 *
 * h_hostile program [argument ...]: executes the program with all that a user
 * can hand on to it and that decides when or how something works there.  libc
 * would not let its own signals be ignored.
 */

#include <sys/prctl.h>
#include <sys/syscall.h>

#include <err.h>
#include <limits.h>
#include <signal.h>
#include <string.h>
#include <unistd.h>

#define SIGSET_BYTES ((_NSIG - 1) / 8)

int
main(int argc, char *argv[])
{
	unsigned char all[SIGSET_BYTES];
	unsigned long action[16] = { 0 };
	int signo;

	if (argc < 2)
		errx(1, "usage: h_hostile program [argument ...]");
#ifdef __mips__
	action[1] = 1; /* SIG_IGN */
#else
	action[0] = 1;
#endif
	for (signo = 1; signo < _NSIG; signo++)
		(void)syscall(
		    SYS_rt_sigaction, signo, action, NULL, sizeof(all));
	memset(all, 0xff, sizeof(all));
	if (syscall(SYS_rt_sigprocmask, SIG_SETMASK, all, NULL, sizeof(all)) ==
		-1 ||
	    prctl(PR_SET_TIMERSLACK, ULONG_MAX / 2, 0, 0, 0) == -1 ||
	    prctl(PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0) == -1)
		err(1, "h_hostile");
	execv(argv[1], argv + 1);
	err(1, "%s", argv[1]);
}
