/*
 * SPDX-License-Identifier: BSD-2-Clause
 *
 * Copyright (c) 2026 The libgons developers
 *
 * A request whose child stays: the host runs its action RUNS times.  Settings
 * may change between two runs.  An action may leave a process behind, which
 * writes to the pipes that it has, at any time; not with ALONE.  With SUPERVISED
 * a supervisor stands between host and child; an action that has changed its
 * ids does not end with it.
 *
 * Each process may be killed before each of its steps, as often as FAULTS says.
 * The host looks at pipes and pidfds in any order.  A timer fires when nothing
 * else can happen, or, with EARLY, at any time.
 *
 *	no request is lost	assertions where a run ends
 *	nor run twice		where an action runs
 *	nothing of a run comes	all that is written has the number of its run
 *	to the next
 *	no child is left	each process ends: spin looks for states that
 *	no state without end	nothing leads out of
 *
 * Faults are planted with PLANT=1 and so on, see the ifs below: each has to be
 * found.
 */

#include "names.pml"

#ifndef RUNS
#define RUNS 2
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

#define CHILDREN RUNS /* that are made: for each run at most one */
#define PIPES (2 * RUNS) /* attempts: each has its own */
#define NOBODY 255

/* Processes, by number. */
#define HOST 0
#define CHILD(i) (1 + (i))
#define SUPER(i) (1 + CHILDREN + (i))
#define PROCESSES (1 + 2 * CHILDREN)

bool struck[PROCESSES]; /* SIGKILL is on its way */
bool doomed[PROCESSES]; /* it makes no step any more */
bool closed[PROCESSES]; /* nor has it descriptors */
bool dead[PROCESSES]; /* its pidfd is readable */
byte faults; /* that have happened */
bool spares; /* no more happen: timers need not wait for them */
byte made; /* children */
byte version; /* of the settings */
byte version_of[CHILDREN]; /* with which a child was made */
byte first_pipe[CHILDREN];
bool lives[CHILDREN];
bool pdeath[CHILDREN]; /* it ends with its supervisor */
bool held[CHILDREN]; /* the host has the socket */
bool held_copy[CHILDREN]; /* a forked copy of the host has it, too */

byte ran[RUNS];
byte version_in[RUNS];
byte run_of[PIPES]; /* whose the pipes are */
bool reads[PIPES]; /* the host has the other ends */
chan tell[PIPES] = [5] of { mtype:kind, byte };
chan out[PIPES] = [3] of { byte };
chan orders[CHILDREN] = [3] of { mtype:kind, byte };
#ifdef SUPERVISED
chan told[PIPES] = [5] of { mtype:kind, byte };
chan pass[CHILDREN] = [3] of { mtype:kind, byte };
#define TOLD told
#define ASKED pass
#define ASKED_EOF(i) (empty(pass[i]) && (closed[SUPER(i)] || !passes[i]))
#define HEARS(i, p) (!closed[SUPER(i)] && hears[i] == p)
bool passes[CHILDREN]; /* the supervisor has the child's socket */
byte hears[CHILDREN]; /* and of this run the pipe */
bool awaits_taken[CHILDREN];
#else
#define TOLD tell
#define ASKED orders
#define ASKED_EOF(i) ORDERS_EOF(i)
#define HEARS(i, p) (reads[p])
#endif
#define ORDERS_EOF(i) (empty(orders[i]) && !held[i] && !held_copy[i])

byte left = NOBODY; /* behind, with these pipes */
byte left_by;
bool lied; /* that the action has returned */
bool over;

/* used in one step alone */
hidden byte x, y;
hidden mtype:kind m;

#define KILL(p) struck[p] = true

/* A message of this run, unless nobody can read it any more. */
inline say(channel, kind, r)
{
	if
	:: nfull(channel) -> channel!kind, r
	:: full(channel)
	fi
}

/*
 * The kernel: signals arrive; any process is killed now and then.
 */

inline arrive(p)
{
	struck[p] = false;
	doomed[p] = true
}

#define MAY_STRIKE (faults < FAULTS && !spares && !over)
#define STRIKE(p) doomed[p] = true; faults++

active proctype Kernel()
{
end:	do
	:: atomic { struck[CHILD(0)] -> arrive(CHILD(0)) }
	:: atomic { struck[CHILD(1)] -> arrive(CHILD(1)) }
#if CHILDREN > 2
	:: atomic { struck[CHILD(2)] -> arrive(CHILD(2)) }
#endif
	:: atomic { MAY_STRIKE -> spares = true }
	:: atomic { MAY_STRIKE && !doomed[HOST] -> STRIKE(HOST) }
	:: atomic { MAY_STRIKE && lives[0] && !doomed[CHILD(0)] ->
		STRIKE(CHILD(0)) }
	:: atomic { MAY_STRIKE && lives[1] && !doomed[CHILD(1)] ->
		STRIKE(CHILD(1)) }
#ifdef SUPERVISED
	:: atomic { struck[SUPER(0)] -> arrive(SUPER(0)) }
	:: atomic { struck[SUPER(1)] -> arrive(SUPER(1)) }
#if CHILDREN > 2
	:: atomic { struck[SUPER(2)] -> arrive(SUPER(2)) }
#endif
	:: atomic { MAY_STRIKE && lives[0] && !doomed[SUPER(0)] ->
		STRIKE(SUPER(0)) }
	:: atomic { MAY_STRIKE && lives[1] && !doomed[SUPER(1)] ->
		STRIKE(SUPER(1)) }
#endif
	od
}

#ifdef COPY
/* The host forks.  The copy touches nothing, and never ends by itself. */
active proctype Copy()
{
	mtype:process is = ALIVE;

end:	atomic {
		!doomed[HOST] && !over ->
		is = FOREIGN;
		held_copy[0] = held[0];
#if CHILDREN > 2
		held_copy[2] = held[2];
#endif
		held_copy[1] = held[1]
	}
}
#endif

/* The kernel closes what the host had. */
active proctype Host_end()
{
end:	atomic {
		doomed[HOST];
		for (x : 0 .. CHILDREN - 1) {
			held[x] = false
		}
		for (x : 0 .. PIPES - 1) {
			reads[x] = false
		}
		closed[HOST] = true
	};
	dead[HOST] = true
}

/* What an action has left behind. */
active proctype Left()
{
end:	left != NOBODY;
	do
	:: atomic { reads[left] && nfull(out[left]) ->
		out[left]!left_by; break }
	:: atomic { nfull(TOLD[left]) ->
		TOLD[left]!MSG_RETURNED, left_by; lied = true; break }
	:: atomic { nfull(TOLD[left]) ->
		TOLD[left]!MSG_TAKEN, left_by; break }
	:: break
	od
}

/*
 * The child: gons__again(), and the action.
 */
proctype Child(byte i)
{
	byte p, r;

end:	lives[i];
	{
#ifdef SUPERVISED
		atomic {
			pdeath[i] = true;
			if
			:: dead[SUPER(i)] -> goto leave
			:: else
			fi
		};
#endif
		atomic {
			p = first_pipe[i];
			r = run_of[p]
		};
		do
		:: atomic {
			ran[r]++;
			assert(ran[r] == 1);
			assert(version_of[i] == version_in[r])
		   };
#if PLANT == 2
		   if
		   :: atomic { p != first_pipe[i] && HEARS(i, p) ->
			say(TOLD[p], MSG_TAKEN, r) }
		   :: else
		   fi;
#endif
#ifdef SUPERVISED
		   if /* it changes its ids */
		   :: pdeath[i] = false
		   :: skip
		   fi;
#endif
		   if
#ifndef ALONE
		   :: atomic { left == NOBODY -> left = p; left_by = r }
#endif
		   :: skip
		   fi;
		   if
		   :: atomic { reads[p] -> out[p]!r }
		   :: !reads[p]
		   fi;
		   if
		   :: skip
		   :: atomic { say(TOLD[p], MSG_STATUS, r) }; break
		   fi;
		   if
		   :: atomic { HEARS(i, p) -> say(TOLD[p], MSG_RETURNED, r) }
		   :: !HEARS(i, p) -> break
		   fi;
		   if /* the next one */
#if PLANT != 6
		   :: dead[HOST] -> break
#endif
		   :: atomic { nempty(ASKED[i]) ->
			ASKED[i]?m, p;
			if
			:: m == MSG_AGAIN -> r = run_of[p]
			:: else -> assert(m == MSG_END); goto leave
			fi
		      }
		   :: ASKED_EOF(i) -> break
		   fi;
#if PLANT != 2
		   if
		   :: atomic { HEARS(i, p) -> say(TOLD[p], MSG_TAKEN, r) }
		   :: !HEARS(i, p) -> break
		   fi;
#endif
#if defined(SUPERVISED) && PLANT != 5
		   if
		   :: atomic { nempty(pass[i]) ->
			pass[i]?m, _;
			if
			:: m == MSG_GO
			:: else -> goto leave
			fi
		      }
		   :: ASKED_EOF(i) -> break
		   :: dead[HOST] -> break
		   fi
#endif
		od;
leave:		skip
	} unless { doomed[CHILD(i)] };
	closed[CHILD(i)] = true;
	dead[CHILD(i)] = true
}

#ifdef SUPERVISED
/*
 * Its supervisor: reexec_supervise.c.
 */
inline pass_on(i)
{
	told[hears[i]]?m, x;
	if
	:: m == MSG_TAKEN || m == MSG_RETURNED || m == MSG_STATUS ->
		if
		:: reads[hears[i]] ->
			say(tell[hears[i]], m, x);
#if PLANT != 5
			if
			:: m == MSG_TAKEN && awaits_taken[i] ->
				awaits_taken[i] = false;
				say(pass[i], MSG_GO, 0)
			:: else
			fi
#endif
		:: else
		fi
	:: else
	fi
}

proctype Super(byte i)
{
	bool told_kill;

end:	lives[i];
	{
		do
		:: atomic { dead[CHILD(i)] && nempty(told[hears[i]]) ->
			pass_on(i) }
		:: atomic { dead[CHILD(i)] && empty(told[hears[i]]) ->
			if
			:: reads[hears[i]] ->
				say(tell[hears[i]], MSG_STATUS,
				    run_of[hears[i]])
			:: else
			fi };
			break
		:: atomic { nempty(told[hears[i]]) -> pass_on(i) }
		:: atomic { nempty(orders[i]) ->
			orders[i]?m, y;
			if
			:: m == MSG_KILL -> KILL(CHILD(i))
			:: m == MSG_AGAIN && passes[i] ->
				hears[i] = y;
				awaits_taken[i] = true;
				say(pass[i], MSG_AGAIN, y)
			:: else -> passes[i] = false
			fi
		   }
		:: atomic { ORDERS_EOF(i) && passes[i] -> passes[i] = false }
#ifdef DIES
		:: atomic { dead[HOST] && !told_kill ->
			told_kill = true;
			KILL(CHILD(i)) }
#endif
		od
	} unless { doomed[SUPER(i)] };
	closed[SUPER(i)] = true;
	atomic {
		dead[SUPER(i)] = true;
		if
		:: pdeath[i] -> KILL(CHILD(i))
		:: else
		fi
	}
}
#define OURS(i) SUPER(i)
#else
#define OURS(i) CHILD(i)
#endif

/*
 * The host: reexec_run.c and reexec_stay.c.
 */

#define change(from, to) atomic { assert(is == from); is = to }

inline dismiss()
{
	dismissed = true;
	say(orders[i], MSG_END, 0)
}

/* gons__child_close() */
inline drop_child()
{
	reads[p] = false;
	do
	:: nempty(out[p]) -> out[p]?_
	:: empty(out[p]) -> break
	od;
	if
	:: i != NOBODY -> held[i] = false; i = NOBODY
	:: else
	fi;
	dismissed = false
}

inline heed()
{
	assert(x == r);
	unruly = unruly || returned;
	if
	:: m == MSG_TAKEN && is == OFFERED -> change(OFFERED, ALIVE)
	:: m == MSG_RETURNED && is == ALIVE && !returned -> returned = true
	:: m == MSG_STATUS -> says = true
	:: else
	fi
}

inline read_tell()
{
	do
	:: nempty(tell[p]) -> tell[p]?m, x; heed()
	:: empty(tell[p]) -> break
	od
}

inline read_out()
{
	do
	:: nempty(out[p]) -> out[p]?x; assert(x == r); printed = true
	:: empty(out[p]) -> break
	od
}

/* What it has of the process is closed with the next attempt, if not before. */
inline new_pipes()
{
#if PLANT == 3
	if
	:: i != NOBODY && r > 0
	:: else -> p = pipes; pipes++
	fi;
#else
	p = pipes;
	pipes++;
#endif
	assert(p < PIPES);
	run_of[p] = r;
	reads[p] = true
}

inline attempt()
{
	version_in[r] = version;
	if
	:: i != NOBODY -> /* gons__stay_take() */
#if PLANT != 4
		if
		:: version_of[i] != version -> dismiss()
		:: else
		fi;
#endif
		if
		:: !dismissed ->
			new_pipes();
			if
			:: !closed[OURS(i)] -> say(orders[i], MSG_AGAIN, p)
			:: else
			fi
		:: else -> p = pipes /* none */
		fi;
		change(NONE, OFFERED)
	:: else ->
		new_pipes();
		i = made;
		assert(i < CHILDREN);
		made++;
		version_of[i] = version;
		first_pipe[i] = p;
#ifdef SUPERVISED
		hears[i] = p;
		passes[i] = true;
		pdeath[i] = true;
#endif
		held[i] = true;
		lives[i] = true;
		change(NONE, ALIVE)
	fi
}

proctype Request()
{
	byte i = NOBODY, p, pipes, r, stopped;
	mtype:process is = NONE;
	mtype:stop stopping = STOP_NONE;
	bool dismissed, says, returned, unruly, settled, printed;

   {
	do
	:: atomic { r == RUNS -> break }
	:: atomic { r < RUNS && is == NONE -> attempt() }
	/* events: the pipes and the pidfd, in any order */
	:: atomic {
		(is == OFFERED || is == ALIVE) && p < pipes && nempty(tell[p]) ->
		tell[p]?m, x;
		heed()
	   }
	:: atomic { is == ALIVE && nempty(out[p]) -> read_out() }
	:: atomic { /* settle() */
		is == ALIVE && returned && !settled && stopping == STOP_NONE ->
		settled = true;
		read_out();
		if
		:: !unruly -> change(ALIVE, RETURNED)
		:: else -> dismiss()
		fi
	   }
	:: atomic {
		(is == OFFERED || is == ALIVE) && dead[OURS(i)] ->
#if PLANT != 1
		if
		:: p < pipes -> read_tell()
		:: else
		fi;
#endif
		if
		:: is == OFFERED -> /* next_attempt() */
			if
			:: p < pipes -> drop_child()
			:: else -> p = 0; drop_child()
			fi;
			says = false;
			stopping = STOP_NONE;
			change(OFFERED, NONE)
		:: else ->
#ifdef SUPERVISED
			if /* SRC_ACTION */
			:: !dead[CHILD(i)] -> KILL(CHILD(i))
			:: else
			fi;
#endif
			change(ALIVE, GONE)
		fi
	   }
	:: atomic { is == GONE -> read_tell(); read_out(); change(GONE, KNOWN) }
	/* TAKE_TIME; the grace period of one that is dismissed */
	:: atomic {
		(is == OFFERED || (is == ALIVE && settled)) &&
		    stopping == STOP_NONE && TIMER ->
		if
		:: p < pipes -> read_tell()
		:: else
		fi;
		if
		:: is == OFFERED || settled ->
			stopping = STOP_KILLED;
#ifdef SUPERVISED
			KILL(CHILD(i));
#endif
			KILL(OURS(i))
		:: else
		fi
	   }
	/* finish() */
	:: atomic {
		is == RETURNED || is == KNOWN ->
		assert(ran[r] == 1 || faults > 0 || stopping == STOP_KILLED);
		assert(is != RETURNED || ran[r] == 1);
		assert(is != RETURNED || printed || lied);
		if /* lost is what was killed when it had been taken */
		:: is == KNOWN -> drop_child()
		:: else -> reads[p] = false
		fi;
		says = false;
		returned = false;
		unruly = false;
		settled = false;
		printed = false;
		stopping = STOP_NONE;
		is = NONE;
		r++;
		if /* for the next run */
		:: version < 1 -> version++
		:: skip
		fi
	   }
	od;
	/* gons_reexec_free(): gons__run_end() */
	if
	:: i != NOBODY ->
		atomic { dismiss() };
		if
		:: dead[OURS(i)]
		:: atomic { TIMER ->
#ifdef SUPERVISED
			KILL(CHILD(i));
#endif
			KILL(OURS(i)) };
			dead[OURS(i)]
		fi
	:: else
	fi;
	atomic { p = 0; drop_child() }
   } unless { doomed[HOST] };
	atomic {
		over = true;
		if /* the program goes on, or ends */
		:: !doomed[HOST] -> doomed[HOST] = true
		:: skip
		fi
	}
}

init
{
	atomic {
		run Child(0);
		run Child(1);
#if CHILDREN > 2
		run Child(2);
#endif
#ifdef SUPERVISED
		run Super(0);
		run Super(1);
#if CHILDREN > 2
		run Super(2);
#endif
#endif
		run Request()
	}
}
