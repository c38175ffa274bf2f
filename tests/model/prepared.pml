/*
 * SPDX-License-Identifier: BSD-2-Clause
 *
 * Copyright (c) 2026 The libgons developers
 *
 * Runs by prepared children: threads of a host with a request each, the pool
 * that they share, prepared processes and their spares.
 *
 * Each process may be killed before each of its steps, as often as FAULTS says.
 * What one process puts into two channels another may find in any order.  A
 * timer fires when nothing else can happen, or, with EARLY, at any time.
 * Threads hold the pool's lock for what is atomic here, as in the library.
 *
 *	no request is lost	assertions where a run ends
 *	nor run twice		where an action runs
 *	no child is left	each process ends: spin looks for states that
 *	no state without end	nothing leads out of
 *
 * Faults are planted with PLANT=1 and so on, see the ifs below: each has to be
 * found.
 */

#include "names.pml"

#ifndef RUNS
#define RUNS 1
#endif
#ifndef FAULTS
#define FAULTS 1
#endif
#ifndef PLANT
#define PLANT 0
#endif
#ifdef EARLY
#define TIMER true
#else
#define TIMER timeout
#endif

#define SPARES (RUNS + 1) /* at a time: more cannot be forked */
#define TARGET 1 /* spares that wait */
#define MADE_MAX 2
#define DEAD_MAX 4 /* spares that die: more than there can be faults */
#define DEAF_MAX 2

/* Processes, by number. */
#define HOST 0
#define PREPARED(k) (1 + (k))
#define SPARE(i) (3 + (i))
#define PROCESSES (3 + SPARES)
#define NOBODY 255

bool struck[PROCESSES]; /* a signal is on its way */
bool doomed[PROCESSES]; /* it makes no step any more */
bool closed[PROCESSES]; /* nor has it descriptors */
bool dead[PROCESSES]; /* its pidfd is readable */
byte faults; /* that have happened */
bool failed_making; /* a prepared process was killed before it was ready */

/* Where the host's end of a spare's socket is. */
#define NOWHERE 0
#define MAKER 1 /* in the prepared process */
#define MESSAGE 2 /* waits in the control socket */
#define RUN 3
byte end_of[SPARES];
bool copy_of[SPARES]; /* a forked copy of the host has it, too */
bool forked[SPARES];
bool watched[SPARES]; /* by a run */
bool lives[SPARES];
bool pdeath[SPARES]; /* ends with its parent */
byte parent[SPARES];
bool reaped[SPARES]; /* its parent has told its status */
chan sock[SPARES] = [2] of { mtype:kind, byte };
chan tell[SPARES] = [4] of { mtype:kind };

/* Prepared processes: the present one, and one that may be about to end. */
bool executed[2];
bool told[2]; /* PREPARED was sent */
bool held[2]; /* the host has the control socket */
bool held_copy[2];
chan to_prepared[2] = [6] of { mtype:kind, byte };
chan to_host[2] = [6] of { mtype:kind, byte };

/* The pool, which the host's threads share. */
mtype:pool_state pool = POOL_NONE;
byte now; /* which of the two */
byte number; /* of prepared processes, counted */
byte received; /* spares of this one, counted */
bool asked;

byte over; /* runs that are */
byte ran[RUNS];
bool succeeded[RUNS];

/* used in one step alone */
hidden byte x;
hidden mtype:kind m;

#define MODULO 8
#define KILL(p) struck[p] = true
#define SOCK_EOF(i) \
	(empty(sock[i]) && end_of[i] == NOWHERE && !copy_of[i])
#define PREPARED_EOF(k) (empty(to_host[k]) && closed[PREPARED(k)])
#define HOST_EOF(k) (empty(to_prepared[k]) && !held[k] && !held_copy[k])

/* What waits in a control socket that is closed. */
inline drop_messages(k)
{
	do
	:: nempty(to_host[k]) ->
		to_host[k]?m, x;
		if
		:: m == MSG_SPARE -> end_of[x] = NOWHERE
		:: else
		fi
	:: empty(to_host[k]) -> break
	od
}

/*
 * The kernel: signals arrive; any process is killed now and then.
 */

inline arrive(p)
{
	if
	:: struck[p] -> struck[p] = false; doomed[p] = true
	:: else
	fi
}

#define MAY_STRIKE (faults < FAULTS && over < RUNS)
#define STRIKE(p) doomed[p] = true; faults++

active proctype Kernel()
{
end:	do
	:: atomic { struck[PREPARED(0)] -> arrive(PREPARED(0)) }
	:: atomic { struck[PREPARED(1)] -> arrive(PREPARED(1)) }
	:: atomic { struck[SPARE(0)] -> arrive(SPARE(0)) }
	:: atomic { struck[SPARE(1)] -> arrive(SPARE(1)) }
	:: atomic { MAY_STRIKE && !doomed[HOST] -> STRIKE(HOST) }
	:: atomic { MAY_STRIKE && lives[0] && !doomed[SPARE(0)] ->
		STRIKE(SPARE(0)) }
	:: atomic { MAY_STRIKE && lives[1] && !doomed[SPARE(1)] ->
		STRIKE(SPARE(1)) }
#if SPARES > 2
	:: atomic { struck[SPARE(2)] -> arrive(SPARE(2)) }
	:: atomic { MAY_STRIKE && lives[2] && !doomed[SPARE(2)] ->
		STRIKE(SPARE(2)) }
#endif
	:: atomic { MAY_STRIKE && executed[now] && !doomed[PREPARED(now)] ->
		STRIKE(PREPARED(now));
		failed_making = failed_making || pool == POOL_MAKING
	   }
	od
}

#ifdef COPY
/*
 * The host forks.  The copy never ends by itself; it finds that the runs are
 * none of its own, and touches nothing.
 */
active proctype Copy()
{
	mtype:process state = ALIVE;

end:	atomic {
		!doomed[HOST] && over < RUNS ->
		state = FOREIGN;
		copy_of[0] = end_of[0] == RUN;
		copy_of[1] = end_of[1] == RUN;
#if SPARES > 2
		copy_of[2] = end_of[2] == RUN;
#endif
		held_copy[now] = held[now]
	}
}
#endif

/* The kernel closes what the host had. */
active proctype Host_end()
{
	byte k;

end:	atomic {
		doomed[HOST];
		for (x : 0 .. SPARES - 1) {
			if
			:: end_of[x] == RUN -> end_of[x] = NOWHERE
			:: else
			fi
		}
		for (k : 0 .. 1) {
			held[k] = false;
			if
			:: !held_copy[k] -> drop_messages(k)
			:: else
			fi
		}
		k = 0;
		closed[HOST] = true;
		dead[HOST] = true
	}
}

/*
 * A spare: be_a_spare() and what it becomes.
 */
proctype Spare(byte i)
{
	byte r;

end:	do
	:: atomic { forked[i] -> forked[i] = false };
	   {
		atomic {
			pdeath[i] = true;
			if
			:: dead[PREPARED(parent[i])] -> goto leave
			:: else
			fi
		};
		nempty(sock[i]) || SOCK_EOF(i); /* poll(2) */
#if PLANT == 3
		pdeath[i] = false;
#endif
		if
		:: atomic { sock[i]?m, r -> assert(m == MSG_REQUEST) }
		:: SOCK_EOF(i) -> goto leave
		fi;
#ifdef REFUSES
		if
		:: tell[i]!MSG_REFUSED -> goto leave
		:: skip
		fi;
#endif
		if
		:: atomic { sock[i]?m, r -> assert(m == MSG_GO) }
#if PLANT == 2
		:: skip
#endif
		:: SOCK_EOF(i) -> goto leave
		fi;
		pdeath[i] = false;
		tell[i]!MSG_TAKEN;
		atomic {
			ran[r]++;
			assert(ran[r] == 1)
		};
		tell[i]!MSG_STATUS;
leave:		skip
	   } unless { doomed[SPARE(i)] };
	   closed[SPARE(i)] = true;
	   atomic {
		dead[SPARE(i)] = true;
		lives[i] = false;
		r = 0
	   }
	od
}

/*
 * A prepared process: serve() and make_spare().
 */

inline fork_spare(k)
{
	/* a slot that nobody uses */
	i = 0;
	do
	:: i < SPARES && (lives[i] || forked[i] || end_of[i] != NOWHERE ||
	    copy_of[i] || watched[i]) -> i++
	:: else -> break
	od;
	if
	:: i < SPARES ->
		do
		:: nempty(tell[i]) -> tell[i]?_
		:: empty(tell[i]) -> break
		od;
		do
		:: nempty(sock[i]) -> sock[i]?_, _
		:: empty(sock[i]) -> break
		od;
		doomed[SPARE(i)] = false;
		struck[SPARE(i)] = false;
		closed[SPARE(i)] = false;
		dead[SPARE(i)] = false;
		reaped[i] = false;
		parent[i] = k;
		end_of[i] = MAKER;
		lives[i] = true;
		forked[i] = true
	:: else
	fi
}

inline heed_host(k)
{
	do
	:: nempty(to_prepared[k]) ->
		to_prepared[k]?m, x;
		wanted = wanted || m == MSG_WANT;
		spares = (made + MODULO - x) % MODULO
	:: empty(to_prepared[k]) -> break
	od;
	wanted = wanted && spares == 0
}

proctype Prepared(byte k)
{
	byte made, spares, i;
	bool wanted;

end:	do
	:: atomic {
		executed[k] && !told[k] ->
		made = 0;
		spares = 0;
		wanted = false;
		i = SPARES
	   };
	   {
		if
		:: to_host[k]!MSG_PREPARED, 0 -> told[k] = true
#ifdef REFUSES
		:: to_host[k]!MSG_NONE, 0 -> goto leave
#endif
		:: !held[k] && !held_copy[k] -> goto leave
		fi;
		do
		:: dead[HOST] -> break
		:: HOST_EOF(k) -> break
		:: atomic {
			nempty(to_prepared[k]) && !wanted ->
			heed_host(k)
		   }
		/* one that is awaited, or one ahead */
		:: atomic {
			wanted || (spares < TARGET && empty(to_prepared[k]) &&
			    !dead[HOST]) ->
			fork_spare(k)
		   };
		   if
		   :: i < SPARES && (held[k] || held_copy[k]) &&
		      nfull(to_host[k]) ->
			atomic {
				end_of[i] = MESSAGE;
				to_host[k]!MSG_SPARE, i;
				spares++;
				made = (made + 1) % MODULO
			}
		   :: i < SPARES && !held[k] && !held_copy[k] ->
			atomic { KILL(SPARE(i)); end_of[i] = NOWHERE }
		   :: i == SPARES && wanted ->
			if
			:: to_host[k]!MSG_NONE, 0
			:: !held[k] && !held_copy[k]
			fi
		   :: i == SPARES && !wanted -> /* next time */
			nempty(to_prepared[k]) || HOST_EOF(k) || dead[HOST]
		   fi;
		   atomic { wanted = false; i = SPARES }
		/* reap_children() */
		:: atomic { dead[SPARE(0)] && parent[0] == k && !reaped[0] ->
			reaped[0] = true }
		:: atomic { dead[SPARE(1)] && parent[1] == k && !reaped[1] ->
			reaped[1] = true }
#if SPARES > 2
		:: atomic { dead[SPARE(2)] && parent[2] == k && !reaped[2] ->
			reaped[2] = true }
#endif
		od;
leave:		skip
	   } unless { doomed[PREPARED(k)] };
	   atomic {
		closed[PREPARED(k)] = true;
		for (x : 0 .. SPARES - 1) {
			if
			:: parent[x] == k && end_of[x] == MAKER ->
				end_of[x] = NOWHERE
			:: else
			fi
		};
		do
		:: nempty(to_prepared[k]) -> to_prepared[k]?_, _
		:: empty(to_prepared[k]) -> break
		od;
		dead[PREPARED(k)] = true;
		for (x : 0 .. SPARES - 1) {
			if
			:: parent[x] == k && lives[x] && pdeath[x] ->
				KILL(SPARE(x))
			:: else
			fi
		};
		executed[k] = false;
		told[k] = false;
		doomed[PREPARED(k)] = false;
		made = 0;
		spares = 0;
		i = 0
	   }
	od
}

/*
 * The host's side of it: reexec_pool.c.  All of this with the lock.
 */

inline pool_end()
{
	if
	:: pool != POOL_NONE ->
		if
		:: executed[now] -> KILL(PREPARED(now))
		:: else
		fi;
		do
		:: nempty(to_host[now]) ->
			to_host[now]?m, x;
			if
			:: m == MSG_SPARE ->
				KILL(SPARE(x));
				end_of[x] = NOWHERE
			:: else
			fi
		:: empty(to_host[now]) -> break
		od;
		held[now] = false;
		asked = false;
		pool = POOL_NONE
	:: else
	fi
}

#define OK 0
#define AGAIN 1 /* EINPROGRESS */
#define EPIPE 2
#define FAILED 3

/* A slot for the process that is executed; the last one may still end. */
inline pool_make()
{
	if
	:: !executed[0] && closed[PREPARED(0)] -> now = 0
	:: else -> now = 1
	fi;
	drop_messages(now);
	struck[PREPARED(now)] = false;
	doomed[PREPARED(now)] = false;
	closed[PREPARED(now)] = false;
	dead[PREPARED(now)] = false;
	held[now] = true;
	held_copy[now] = false;
	told[now] = false;
	executed[now] = true;
	received = 0;
	number++;
	pool = POOL_MAKING
}

inline pool_say(kind)
{
	if
	:: !closed[PREPARED(now)] && nfull(to_prepared[now]) ->
		to_prepared[now]!kind, received
	:: else
	fi
}

inline pool_ready()
{
	if
	:: pool == POOL_READY && dead[PREPARED(now)] -> pool_end()
	:: else
	fi;
	err = OK;
	if
	:: pool == POOL_NONE && tries >= MADE_MAX -> err = EPIPE
	:: pool == POOL_NONE && tries < MADE_MAX ->
		tries++;
		pool_make()
	:: else
	fi;
	if
	:: pool == POOL_MAKING && nempty(to_host[now]) ->
		to_host[now]?m, x;
		if
		:: m == MSG_PREPARED -> pool = POOL_READY
		:: else ->
			assert(m == MSG_NONE);
			pool_end();
			err = FAILED
		fi
	:: pool == POOL_MAKING && PREPARED_EOF(now) ->
		pool_end();
		err = FAILED
	:: pool == POOL_MAKING && empty(to_host[now]) &&
	    !closed[PREPARED(now)] -> err = AGAIN
	:: else
	fi
}

inline pool_spare()
{
	if
	:: nempty(to_host[now]) ->
		to_host[now]?m, x;
		asked = false;
		if
		:: m == MSG_SPARE ->
			received = (received + 1) % MODULO;
			end_of[x] = RUN;
			watched[x] = true;
			i = x
		:: else ->
			assert(m == MSG_NONE);
			err = FAILED
		fi
	:: PREPARED_EOF(now) ->
		pool_end();
		err = EPIPE
	:: else ->
		if
		:: !asked -> pool_say(MSG_WANT); asked = true
		:: else
		fi;
		err = AGAIN
	fi
}

inline pool_take()
{
	do
	:: pool_ready();
	   if
	   :: err == OK -> pool_spare()
	   :: else
	   fi;
	   if
	   :: err == EPIPE && tries < MADE_MAX
	   :: else -> break
	   fi
	od;
	gen = number
}

inline drop_spare()
{
	if
	:: i != NOBODY ->
		end_of[i] = NOWHERE;
		watched[i] = false;
		i = NOBODY
	:: else
	fi
}

/*
 * A run: reexec_run.c, of which the names are.
 */

inline not_started()
{
	gave_up = true
}

inline next_attempt()
{
	if
	:: stopping == STOP_KILLED && by == BY_NOBODY ->
		deaf++;
		if
		:: deaf >= DEAF_MAX -> not_started()
		:: else
		fi
	:: else ->
		attempts++;
		if
		:: attempts > DEAD_MAX -> not_started()
#if PLANT != 5
		:: start == MSG_REFUSED -> not_started()
#endif
		:: else
		fi
	fi;
	drop_spare();
	stopping = STOP_NONE;
	is = NONE
}

inline heed()
{
	if
	:: m == MSG_TAKEN && is == OFFERED -> is = ALIVE
	:: m == MSG_STATUS -> says = true
	:: m == MSG_REFUSED -> start = MSG_REFUSED
	:: else
	fi
}

inline read_tell()
{
	do
	:: nempty(tell[i]) -> tell[i]?m; heed()
	:: empty(tell[i]) -> break
	od
}

proctype Run(byte r)
{
	byte i = NOBODY, gen, tries, attempts, deaf, err;
	mtype:process is = NONE;
	mtype:stop stopping = STOP_NONE;
	mtype:cause by = BY_NOBODY;
	mtype:kind start = MSG_GO;
	bool gave_up, says;

   {
	do
	:: atomic { gave_up || is == KNOWN || is == LOST -> break }
	:: atomic { is == NONE && by == BY_KILL -> break }
	:: is == NONE && !gave_up && by == BY_NOBODY ->
		atomic { pool_take() };
		if
		:: err == AGAIN -> /* wait_fd has something */
			if
			:: atomic { number != gen || pool == POOL_NONE }
			:: nempty(to_host[now]) || PREPARED_EOF(now)
			:: atomic { by == BY_NOBODY && TIMER -> /* asked */
				if
				:: asked && number == gen -> pool_end()
				:: else
				fi }
			fi
		:: err == FAILED || err == EPIPE -> not_started()
		:: err == OK -> /* hand_over() */
			if
			:: atomic { !closed[SPARE(i)] ->
				sock[i]!MSG_REQUEST, r };
				if
				:: atomic { pool == POOL_READY && number == gen &&
				    !closed[SPARE(i)] ->
					sock[i]!MSG_GO, r;
					is = OFFERED }
				:: atomic { (pool != POOL_READY || number != gen) ||
				    closed[SPARE(i)] -> drop_spare() }
				fi
			:: atomic { closed[SPARE(i)] -> drop_spare() }
			fi;
			atomic {
				if
				:: i != NOBODY -> end_of[i] = NOWHERE
				:: else
				fi
			}
		fi
	/* events: the pipe and the pidfd, in any order */
	:: atomic {
		(is == OFFERED || is == ALIVE) && nempty(tell[i]) ->
		tell[i]?m;
		heed()
	   }
	:: atomic {
		(is == OFFERED || is == ALIVE) && dead[SPARE(i)] ->
#if PLANT != 1
		read_tell();
#endif
		if
		:: is == OFFERED -> next_attempt()
#if PLANT == 4
		:: is == ALIVE && !says -> next_attempt()
		:: is == ALIVE && says -> is = GONE
#else
		:: else -> is = GONE
#endif
		fi
	   }
	:: atomic {
		is == GONE && (reaped[i] || dead[PREPARED(parent[i])]) ->
		is = KNOWN
	   }
	/* TAKE_TIME */
	:: atomic {
		is == OFFERED && stopping == STOP_NONE && TIMER ->
		read_tell();
		if
		:: is == OFFERED ->
			if
			:: number == gen -> pool_end()
			:: else
			fi;
			stopping = STOP_KILLED;
			KILL(SPARE(i))
		:: else
		fi
	   }
#ifdef KILLS
	:: atomic {
		by == BY_NOBODY && is != KNOWN ->
		by = BY_KILL;
		if
		:: is == OFFERED || is == ALIVE ->
			stopping = STOP_KILLED;
			KILL(SPARE(i))
		:: else
		fi
	   }
#endif
	od;
	/* finish() */
	atomic {
		succeeded[r] = !gave_up && by == BY_NOBODY && says &&
		    start != MSG_REFUSED;
		assert(!succeeded[r] || ran[r] == 1);
		assert(!gave_up || ran[r] == 0);
		assert(start != MSG_REFUSED || ran[r] == 0);
#if !defined(KILLS) && !defined(EARLY) && !defined(REFUSES)
		/* what is lost, an action was killed, or the program fails */
		assert(succeeded[r] || ran[r] == 1 || is == KNOWN ||
		    failed_making || faults > 1);
		assert(succeeded[r] || faults > 0);
#endif
		if
		:: pool == POOL_READY && number == gen -> pool_say(MSG_TOOK)
		:: else
		fi;
		drop_spare()
	}
   } unless { doomed[HOST] };
	atomic {
		drop_spare();
		over++;
		/* the program ends */
		if
		:: over == RUNS && !doomed[HOST] -> doomed[HOST] = true
		:: else
		fi
	}
}

init
{
	atomic {
		closed[PREPARED(0)] = true;
		closed[PREPARED(1)] = true;
		closed[SPARE(0)] = true;
		closed[SPARE(1)] = true;
		run Prepared(0);
		run Prepared(1);
		run Spare(0);
		run Spare(1);
		run Run(0);
#if RUNS > 1
		closed[SPARE(2)] = true;
		run Spare(2);
		run Run(1)
#endif
	}
}
