/*
 * SPDX-License-Identifier: BSD-2-Clause
 *
 * Copyright (c) 2026 The libgons developers
 *
 * The names of states and messages, as the enumerations in lib/ have them:
 * model_test compares.  What a model does not use is some other model's.
 */

/* lib/reexec.h: enum process; lib/reexec_run.c has the table */
mtype:process = { NONE, OFFERED, ALIVE, RETURNED, GONE, KNOWN, LOST, FOREIGN };

/* lib/reexec.h: enum stop */
mtype:stop = { STOP_NONE, STOP_TERM, STOP_ASKED, STOP_KILLED };

/* lib/reexec_pool.c: enum pool_state */
mtype:pool_state = { POOL_NONE, POOL_MAKING, POOL_READY };

/* lib/reexec.h: enum cause, as far as it makes a difference here */
mtype:cause = { BY_NOBODY, BY_KILL };

/* lib/reexec.h: enum kind, without MSG_LAST */
mtype:kind = { MSG_REACHED, MSG_STARTUP, MSG_UNKNOWN, MSG_FORK, MSG_STATUS,
	MSG_TAKEN, MSG_REFUSED, MSG_ENDED, MSG_RETURNED, MSG_PREPARED,
	MSG_SPARE, MSG_NONE, MSG_WANT, MSG_TOOK, MSG_COUNT, MSG_REQUEST,
	MSG_GO, MSG_AGAIN, MSG_END, MSG_KILL, MSG_ACTION };
