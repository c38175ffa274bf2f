/*
 * SPDX-License-Identifier: BSD-2-Clause
 *
 * Copyright (c) 2026 The libgons developers
 *
 * A fresh child that becomes the supervisor of an action.  The action runs for
 * ever, or ends, or closes its output and does either; it may change its ids,
 * and then it does not end with the supervisor.  It is to die with the host.
 * With NAMESPACE it is in a pid namespace, which may end.
 *
 * Each process may be killed before each of its steps, as often as FAULTS says.
 * The host looks at its pipes, sockets and pidfds in any order.  A timer fires
 * when nothing else can happen, or, with EARLY, at any time.
 *
 *	no child is left	each process ends: spin looks for states that
 *	no state without end	nothing leads out of
 *	no word is lost		assertions where the run ends
 *
 * Faults are planted with PLANT=1 and so on, see the ifs below: each has to be
 * found.
 */

#include "names.pml"

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

/* Processes, by number. */
#define HOST 0
#define CHILD 1
#define ACTION 2
#define PROCESSES 3

bool struck[PROCESSES]; /* SIGKILL is on its way */
bool doomed[PROCESSES]; /* it makes no step any more */
bool closed[PROCESSES]; /* nor has it descriptors */
bool dead[PROCESSES]; /* its pidfd is readable */
bool termed[PROCESSES]; /* SIGTERM is on its way, or waits */
bool blocks; /* the child has signals blocked */
byte faults; /* that have happened */
bool spares; /* no more happen: timers need not wait for them */
bool by_namespace; /* the action was killed */
bool ended; /* the namespace has */
bool exists; /* the action */
bool begun; /* it has run */
bool pdeath; /* it ends with the supervisor */
bool released; /* it may run */
bool over; /* the run */

/* Of each process, whether it has the pipe of the output. */
bool writes[PROCESSES];
chan tell = [6] of { mtype:kind, byte }; /* and is it the action's word? */
chan told = [2] of { mtype:kind };
chan orders = [2] of { mtype:kind };
chan shown = [1] of { mtype:kind }; /* the same socket, to the host */

/* used in one step alone */
hidden mtype:kind m;
hidden byte whose;

#define KILL(p) struck[p] = true
#define MAY_STRIKE (faults < FAULTS && !spares && !over)
#define STRIKE(p) doomed[p] = true; faults++

active proctype Kernel()
{
end:	do
	:: atomic { struck[CHILD] -> struck[CHILD] = false;
		doomed[CHILD] = true }
	:: atomic { struck[ACTION] -> struck[ACTION] = false;
		doomed[ACTION] = true }
	:: atomic { termed[CHILD] && !blocks -> termed[CHILD] = false;
		doomed[CHILD] = true }
	:: atomic { MAY_STRIKE -> spares = true }
	:: atomic { MAY_STRIKE && !doomed[HOST] -> STRIKE(HOST) }
	:: atomic { MAY_STRIKE && !doomed[CHILD] -> STRIKE(CHILD) }
#ifdef NAMESPACE
	:: atomic { MAY_STRIKE && !ended ->
		ended = true;
		faults++;
		by_namespace = exists && !doomed[ACTION] && !closed[ACTION];
		doomed[ACTION] = doomed[ACTION] || exists
	   }
#else
	:: atomic { MAY_STRIKE && exists && !doomed[ACTION] -> STRIKE(ACTION) }
#endif
	od
}

proctype Action()
{
end:	exists;
	{
		atomic { /* gons__die_with() */
			pdeath = true;
			if
			:: dead[CHILD] -> goto leave
			:: else
			fi
		};
#if PLANT != 3
		if
		:: released
		:: closed[CHILD] && !released -> goto leave
		fi;
#endif
		begun = true;
		if /* it changes its ids */
		:: pdeath = false
		:: skip
		fi;
		if
		:: writes[ACTION] = false
		:: skip
		fi;
		if
		:: skip
		:: skip; doomed[ACTION] /* runs for ever */
		:: skip; termed[ACTION] /* or until it is told to end */
		fi;
		told!MSG_STATUS;
leave:		skip
	} unless { doomed[ACTION] || struck[ACTION] };
	!struck[ACTION]; /* what is killed may still wait in the kernel */
	writes[ACTION] = false;
	closed[ACTION] = true;
	dead[ACTION] = true
}

/*
 * The supervisor: gons__supervise().
 */
proctype Supervisor()
{
	bool host_is_gone;

	{
		tell!MSG_REACHED, false;
		blocks = true;
#ifdef NAMESPACE
		if
		:: ended -> tell!MSG_FORK, false; goto leave
		:: atomic { !ended -> exists = true; writes[ACTION] = true }
		fi;
#else
		atomic { exists = true; writes[ACTION] = true };
#endif
#if PLANT != 5
		shown!MSG_ACTION;
#endif
		released = true;
#if PLANT != 4
		writes[CHILD] = false;
#endif
		do
		:: dead[ACTION] ->
			do
#if PLANT != 6
			:: atomic { nempty(told) -> told?m; tell!m, true }
#endif
			:: empty(told) || PLANT == 6 -> break
			od;
			if
			:: ended && by_namespace -> tell!MSG_ENDED, false
			:: else
			fi;
			tell!MSG_STATUS, false;
			break
		:: atomic { termed[CHILD] && !dead[ACTION] ->
			termed[CHILD] = false;
			termed[ACTION] = true }
		:: atomic { nempty(orders) ->
			orders?m;
			assert(m == MSG_KILL);
			KILL(ACTION) }
#if PLANT != 1
		:: atomic { dead[HOST] && !host_is_gone ->
			host_is_gone = true;
			KILL(ACTION) }
#endif
		od;
leave:		skip
	} unless { doomed[CHILD] || struck[CHILD] };
	!struck[CHILD]; /* what is killed may still wait in the kernel */
	writes[CHILD] = false;
	closed[CHILD] = true;
	atomic {
		dead[CHILD] = true;
		if
		:: exists && pdeath -> KILL(ACTION)
		:: else
		fi
	}
}

/* The kernel closes what the host had. */
active proctype Host_end()
{
end:	atomic { doomed[HOST] -> closed[HOST] = true };
	dead[HOST] = true
}

/*
 * The host: reexec_run.c.
 */

#define change(from, to) atomic { assert(is == from); is = to }
#define stops(from, to) atomic { assert(stopping == from); stopping = to }
#define OUT_EOF (!writes[CHILD] && !writes[ACTION])

inline heed()
{
	if
	:: m == MSG_REACHED -> supervised = true
	:: m == MSG_FORK -> start = m
	:: m == MSG_STATUS -> says = says || whose
	:: m == MSG_ENDED -> gone = true
	:: else
	fi
}

inline read_tell()
{
	do
	:: nempty(tell) -> tell?m, whose; heed()
	:: empty(tell) -> break
	od
}

inline read_action()
{
	if
	:: nempty(shown) -> shown?_; action = true
	:: empty(shown)
	fi
}

inline kill_action()
{
	read_action();
	if
	:: action && !dead[ACTION] -> KILL(ACTION)
	:: else
	fi
}

/* After SIGTERM the supervisor is asked, then both are killed. */
inline stop_further()
{
	read_tell();
	if
	:: stopping == STOP_NONE && covers ->
		termed[CHILD] = true;
		stops(STOP_NONE, STOP_TERM)
	:: stopping == STOP_NONE && !covers ->
		read_action();
		orders!MSG_KILL;
		stops(STOP_NONE, STOP_ASKED)
	:: stopping == STOP_TERM ->
		read_action();
		orders!MSG_KILL;
		stops(STOP_TERM, STOP_ASKED)
	:: stopping == STOP_ASKED ->
		kill_action();
		KILL(CHILD);
		stops(STOP_ASKED, STOP_KILLED)
	fi
}

proctype Run()
{
	mtype:process is = NONE;
	mtype:stop stopping = STOP_NONE;
	mtype:kind start = MSG_GO;
	bool supervised, says, gone, action, complete, covers, killed;

   {
	atomic {
		writes[CHILD] = true;
		run Supervisor();
		change(NONE, ALIVE);
		if
		:: covers = true
		:: skip
		fi
	};
	do
	:: atomic { is == KNOWN || is == LOST -> break }
	:: atomic { is == ALIVE && nempty(tell) -> tell?m, whose; heed() }
	:: atomic { is == ALIVE && !complete && OUT_EOF -> complete = true }
	:: atomic {
		is == ALIVE && dead[CHILD] ->
		read_tell();
#if PLANT != 2
		kill_action();
#endif
		change(ALIVE, GONE)
	   }
	:: atomic { is == GONE -> change(GONE, KNOWN) }
	/* the time limit and the grace period, then the next steps */
	:: atomic {
		is == ALIVE && stopping != STOP_KILLED && TIMER ->
#ifndef EARLY
		/* nobody else has the pipe: it is the grace period */
		assert(complete || writes[ACTION] || stopping != STOP_NONE);
#endif
		killed = true;
		stop_further()
	   }
	:: atomic {
		is == ALIVE && stopping == STOP_KILLED && TIMER ->
		change(ALIVE, LOST)
	   }
	od;
	/* finish() */
	atomic {
		assert(is == LOST || dead[CHILD]);
		assert(is == LOST || !begun || dead[ACTION] ||
		    doomed[ACTION] || struck[ACTION]);
		assert(start != MSG_FORK || !begun);
		assert(faults > 0 || killed || (begun && says));
#ifdef NAMESPACE
		assert(gone || !by_namespace || killed || faults > 1)
#endif
	}
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
		run Action();
		run Run()
	}
}
