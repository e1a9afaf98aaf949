/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Who may run a domain: three hosts, one domain without a shared lease (the hard case: no lock helps), through starts, crashes,
 * partitions, power losses and migrations. Names are those of clusterd/core/clu.h (phases, host states), docs/wire/cluster.md
 * (lease, WAITED, SAFE) and docs/wire/migration.md (READY, RELINQUISH, GO, TAKE, GONE, RECLAIM).
 *
 * What is left out, and why that is fair:
 *  - Replication: the record of the domain is one variable. Only committed commands act, and each host knows an older record (know[])
 *    until it learns a newer one. Which messages make that true is the business of tests/sim.
 *  - Time: a lease ends at any moment. The one fact taken from clocks is that a node which acknowledged the last beat of h waits
 *    until h's guard has killed: granted[h] holds those nodes. Nodes that acknowledged only older beats may be done waiting earlier.
 *  - Lost messages of a migration: a message once sent may be received at any later time or, as everything is optional, never.
 *
 * SUSPEND: the policy no_quorum=suspend (docs/fencing.md). A copy is PARKED at the end of the lease instead of killed, and goes on by an order
 * that its clusterd gave under the lease that lasts still.
 *
 * FREEZE: a machine stands still and goes on, its clock or not. Nobody's wait is longer for it, and when it goes on a guest can be scheduled
 * before the guard. Until the guard has come to it, hvdom lets no write through, and takes nothing in: it looks at the deadline itself, by a clock that
 * ran on (clusterd/guard/deadline.h). A host without such a clock is never safe by waiting: DEAF.
 *
 * LEAVE: a host is shut down in order (docs/wire/cluster.md, section 4): it ends its copies, starts and takes in none, and says LEFT when none is left,
 * which makes it SAFE at once. It comes back by HOST_UP.
 *
 * WITNESS: host 2 votes as the others do, and is given nothing (docs/fencing.md).
 *
 * tests/model/ownership.sh runs it as it is (nothing may be wrong) and with each BUG_* (each must be found).
 */
#define N   3
#define MAJ 2
#ifndef FAULTS
#define FAULTS 2 /* hosts cut off or without power */
#endif
#ifndef CRASHES
#define CRASHES 1 /* copies that die by themselves, starts that fail */
#endif
#ifndef ORDERS
#define ORDERS 1 /* moves asked for */
#endif

#define bit(set, i) (((set) >> (i)) & 1)
#define add(set, i) set = (set) | (1 << (i))
#define del(set, i) set = (set) & ~(1 << (i))
#define count(set)  (bit(set, 0) + bit(set, 1) + bit(set, 2))

mtype:host = { ONLINE, LOST, SAFE };
mtype:phase = { STOPPED, STARTING, RUNNING, STOPPING, MIGRATING, RESOLVING };
/* Of a copy: READY is restored at the target and stands still; GIVEN was relinquished by the source and stands still; PARKED waits for quorum. */
mtype:copy = { NONE, RUNS, READY, GIVEN, PARKED };

/* struct clu_dom; op counts the changes of phase: op_id. Hosts are 0..2, NOBODY is none. */
#define NOBODY 3
typedef dom_t {
	mtype:phase phase = STOPPED;
	byte host = NOBODY;
	byte target = NOBODY;
	byte generation;
	byte op;
};
dom_t dom;
byte generation_max;
byte highest, highest_at; /* generation in which a copy ran so far, and where */
dom_t know[N]; /* what each host knows of it */

mtype:host hstate[N] = ONLINE;
byte waited[N];  /* of a LOST host: nodes that said WAITED */
byte knows_lost[N]; /* of a LOST host: nodes that applied HOST_LOST, and acknowledge its beats no more */
byte granted[N] = 7; /* nodes that acknowledged the beat by which the host has its lease */
byte lease = 7;  /* hosts whose guard lets domains run */
#ifdef SUSPEND
byte unpark;     /* hosts whose clusterd said UNPARK, which hvdom has not read yet */
#endif

#ifdef FREEZE
byte frozen;     /* hosts whose machine stands still */
byte over;       /* hosts whose deadline passed meanwhile; their guard has not come to it yet */
#endif
#ifdef DEAF
#define clock_runs(h) ((h) != 0)
#else
#define clock_runs(h) true
#endif
#if defined(FREEZE) && !defined(BUG_WRITE_AFTER_THAW)
#define muted(h) bit(frozen | over, h)
#elif defined(FREEZE)
#define muted(h) bit(frozen, h)
#else
#define muted(h) false
#endif
#if defined(FREEZE)
#define has_lease(h) (bit(lease, h) && !bit(over, h))
#else
#define has_lease(h) bit(lease, h)
#endif

byte power = 7;  /* hosts that have power */
byte net = 7;    /* hosts whose clusterd is in the view; it is dead or cut off otherwise */
byte stale;      /* hosts that have to say HOST_UP: their clusterd was away */
#ifdef LEAVE
#ifndef LEAVES
#define LEAVES 1 /* hosts that are shut down */
#endif
byte leaves_left = LEAVES;
byte leaving;    /* hosts whose file says that they leave: it outlives their clusterd, not the power */
byte said_left;  /* LEFT was said, and is not applied yet; dropped when its clusterd leaves the view */
#define closed(h)   (bit(leaving, h))
#else
#define closed(h)   0
#endif
#define in_view(h)  (bit(power, h) && bit(net, h))
#define quorate     (in_view(0) + in_view(1) + in_view(2) >= MAJ)
#define can_act(h)  (in_view(h) && quorate && hstate[h] == ONLINE && !bit(stale, h))

/* The copy at each host, and the migration it takes part in. Migrations are numbered; messages and journals are sets of numbers. */
mtype:copy copy[N] = NONE;
byte generation[N] = 0;
byte session[N] = 0; /* RUNS: being pushed in that session, 0: not; READY, GIVEN: its session */
byte target[N] = NOBODY;  /* being pushed, GIVEN: to whom */
byte sessions;   /* numbers used */
byte said_ready, said_go, said_gone, said_running; /* messages */
byte relinquished, taken;                          /* durable: the source's lease, the target's journal */
byte ran_there;  /* sessions whose copy ran at the target: the source's memory is out of date */

byte faults_left = FAULTS, crashes_left = CRASHES, orders_left = ORDERS;

#define runs(h) (copy[h] == RUNS && !muted(h))
#define running (runs(0) + runs(1) + runs(2))
inline begin_phase(p) { dom.phase = p; dom.op++ }
#ifdef LIES
byte lies;       /* hosts whose copy let go of its lock file */
#define may_lie(x) (copy[x] == RUNS && !bit(lies, x))
inline forget_copy(h) { del(lies, h); copy[h] = NONE; generation[h] = 0; session[h] = 0; target[h] = NOBODY }
#else
inline forget_copy(h) { copy[h] = NONE; generation[h] = 0; session[h] = 0; target[h] = NOBODY }
#endif
inline set_running(at, number)
{
	copy[at] = RUNS;
	generation[at] = number; /* which is text, and may speak of generation[at]: not to be used again */
	assert(running <= 1); /* the guarantee above all */
	/* each host's runs have a number of their own, so that disk leases can tell old from new */
	assert(generation[at] > highest || (generation[at] == highest && at == highest_at));
	highest = generation[at];
	highest_at = at
}
inline learn(h)
{
	know[h].phase = dom.phase;
	know[h].host = dom.host;
	know[h].target = dom.target;
	know[h].generation = dom.generation;
	know[h].op = dom.op
}
#define is_news(h)   (know[h].op != dom.op)
#define up_to_date(h) (know[h].op == dom.op) /* a RESULT counts only if it names the present op */

/* HOST_UP: what it owns and runs stays, what it owned and does not run is stopped; the rest it is told by its todo. */
inline host_up(h)
{
	hstate[h] = ONLINE;
	waited[h] = 0;
	knows_lost[h] = 0;
	del(stale, h);
	if
	:: dom.host == h && dom.phase == MIGRATING && copy[h] == NONE ->
		dom.host = dom.target; dom.target = NOBODY; begin_phase(RESOLVING) /* only the target can have it */
	:: dom.host == h && dom.phase != MIGRATING && dom.phase != RESOLVING && copy[h] != RUNS && copy[h] != PARKED -> dom.host = NOBODY; begin_phase(STOPPED)
	:: else
	fi;
	learn(h)
}

/* SAFE: it certainly runs no copy. */
inline host_safe(h)
{
	hstate[h] = SAFE;
	if
	:: dom.phase == MIGRATING && dom.host == h -> dom.host = dom.target; dom.target = NOBODY; begin_phase(RESOLVING)
	:: dom.phase == MIGRATING && dom.target == h -> dom.target = NOBODY; begin_phase(RESOLVING)
	:: dom.phase != MIGRATING && dom.host == h -> dom.host = NOBODY; dom.target = NOBODY; begin_phase(STOPPED)
	:: else
	fi;
	if
	:: generation_max < 60 -> generation_max++
	:: else
	fi
}

/* Any host of which @cond holds, as h. Not executable when there is none. */
#define pick(cond) if :: cond(0) -> h = 0 :: cond(1) -> h = 1 :: cond(2) -> h = 2 fi

/* Each node: its clusterd as a member of the view, its guard, its migrated and hvdom. */
#define may_note(x) (can_act(me) && hstate[x] == LOST && !bit(knows_lost[x], me))
#ifdef BUG_NO_WAIT
#define may_wait(x) (can_act(me) && hstate[x] == LOST && bit(knows_lost[x], me) && !bit(waited[x], me))
#else
#define may_wait(x) (can_act(me) && hstate[x] == LOST && bit(knows_lost[x], me) && !bit(waited[x], me) && \
		     (!bit(lease, x) || !bit(granted[x], me) || stands_still(x)) && waits_count(x))
#endif
#ifdef FREEZE
#define stands_still(x) bit(frozen | over, x)
#else
#define stands_still(x) false
#endif
#ifdef BUG_TRUST_CLOCKS
#define waits_count(x) true
#else
#define waits_count(x) clock_runs(x)
#endif
/* x pushes to me, and I hold nothing of it */
#define offers(x)   (bit(power, me) && has_lease(me) && know[me].phase == MIGRATING && know[me].target == me && copy[me] == NONE && !closed(me) && \
		     copy[x] == RUNS && session[x] != 0 && target[x] == me && !bit(said_gone | said_ready, session[x]))
#ifdef BUG_LEFT_STARTS
#define START_ALLOWED 1
#else
#define START_ALLOWED (!closed(me))
#endif
#define asks(x)     (x != me && bit(power, me) && bit(power, x) && session[x] != 0 && target[x] == me && session[me] != session[x] && \
		     !bit(taken | said_gone, session[x]) && (copy[x] == GIVEN || bit(said_ready, session[x])))
#define asks_late(x) (bit(power, me) && bit(power, x) && copy[x] == GIVEN && target[x] == me && bit(taken, session[x]) && !bit(said_running, session[x]))
#if defined(FREEZE) && !defined(BUG_LEASE_BEFORE_SWEEP)
#define no_sweep_due(h) !bit(over, h)
#else
#define no_sweep_due(h) true
#endif
active [N] proctype node()
#ifdef FREEZE
	provided (!bit(frozen, _pid))
#endif
{
	byte h, me = _pid;
end:	do
	/* clusterd: the replicated record arrives; HOST_UP after having been away */
	:: atomic { can_act(me) && is_news(me) -> learn(me) }
	:: atomic { in_view(me) && quorate && (hstate[me] != ONLINE || bit(stale, me)) && !closed(me) -> host_up(me) }

	/* applies HOST_LOST(h); says WAITED(h) when its own wait is over */
	:: atomic { pick(may_note); add(knows_lost[h], me); h = 0 }
	:: atomic { pick(may_wait); add(waited[h], me);
#ifdef FREEZE
		if
		:: bit(frozen, h) && bit(lease, h) && clock_runs(h) -> add(over, h)
		:: else
		fi;
#endif
		h = 0 }
	/* a beat: those of the view that hold it ONLINE acknowledge; a majority of them is a lease */
	:: atomic { can_act(me) && count(power & net) >= MAJ && no_sweep_due(me) &&
			(!bit(lease, me) || granted[me] != (power & net) || stands_still(me)) ->
		granted[me] = power & net;
		add(lease, me)
#ifdef BUG_LEASE_BEFORE_SWEEP
		; del(over, me); assert(running <= 1) /* hvdom finds a deadline that is to come */
#endif
		}

#ifdef FREEZE
	/* guard: it was over while the machine stood still */
	:: atomic { bit(over, me) -> del(over, me); del(lease, me); forget_copy(me) }
#endif
	/* guard: the lease is over, everything is killed */
	:: atomic { bit(lease, me) && no_sweep_due(me) && !can_act(me) ->
		del(lease, me);
#ifdef SUSPEND
#ifndef BUG_UNPARK_LATE
		del(unpark, me); /* whoever is asked to park for this deadline goes on only by a later one */
#endif
		if
		:: copy[me] == RUNS && session[me] == 0 -> copy[me] = PARKED
		:: copy[me] == PARKED
		:: copy[me] != PARKED -> forget_copy(me)
		fi
#else
#ifdef BUG_TRUST_LOCK
		if
		:: bit(lies, me)
		:: else -> forget_copy(me)
		fi
#elif !defined(BUG_GUARD_SLEEPS)
		forget_copy(me)
#endif
#endif
		}
#ifdef SUSPEND
	/* clusterd: what the record says is ours goes on; hvdom reads it later */
	:: atomic { can_act(me) && has_lease(me) && !bit(unpark, me) && copy[me] == PARKED && know[me].host == me &&
			generation[me] >= know[me].generation -> add(unpark, me) }
#ifdef BUG_UNPARK_LATE
	:: atomic { copy[me] == PARKED && bit(unpark, me) ->
#else
	:: atomic { copy[me] == PARKED && bit(unpark, me) && has_lease(me) ->
#endif
		del(unpark, me); h = generation[me]; set_running(me, h); h = 0 }
#endif

	/* hvdom: START */
	:: atomic { bit(power, me) && has_lease(me) && know[me].phase == STARTING && know[me].host == me && copy[me] == NONE && START_ALLOWED ->
		h = know[me].generation; set_running(me, h); h = 0 }
	:: atomic { can_act(me) && up_to_date(me) && dom.phase == STARTING && dom.host == me && copy[me] == RUNS &&
			generation[me] == dom.generation ->
		begin_phase(RUNNING) } /* RESULT STARTED */
	:: atomic { can_act(me) && up_to_date(me) && dom.phase == STARTING && dom.host == me && copy[me] == NONE && crashes_left > 0 ->
		crashes_left--; dom.host = NOBODY; begin_phase(STOPPED); learn(me) } /* RESULT START_FAILED */
#ifdef LEAVE
	/* somebody shuts it down: nothing is started or let in from now on; what runs is ended; when none lives that is said */
	:: atomic { can_act(me) && leaves_left > 0 && !closed(me) -> leaves_left--; add(leaving, me) }
	:: atomic { closed(me) && bit(power, me) && copy[me] != NONE -> forget_copy(me) }
#ifdef BUG_LEFT_EARLY
	:: atomic { closed(me) && can_act(me) && !bit(said_left, me) -> add(said_left, me) }
#else
	:: atomic { closed(me) && can_act(me) && !bit(said_left, me) && copy[me] == NONE -> add(said_left, me) }
#endif
	/* or it stays: another life of clusterd, which knows of no LEFT that is still under way, and says HOST_UP */
	:: atomic { closed(me) && in_view(me) && quorate -> del(leaving, me); del(said_left, me); host_up(me) }
#endif
	/* it crashed; OBSERVED gone */
	:: atomic { (copy[me] == RUNS || copy[me] == PARKED) && crashes_left > 0 -> crashes_left--; forget_copy(me) }
	:: atomic { can_act(me) && up_to_date(me) && dom.phase == RUNNING && dom.host == me && copy[me] == NONE ->
		dom.host = NOBODY; begin_phase(STOPPED); learn(me) }
	/* KILL: a copy here is none of the cluster's */
	:: atomic { bit(power, me) && copy[me] != NONE && know[me].host != me && know[me].target != me -> forget_copy(me) }
	:: atomic { bit(power, me) && (copy[me] == RUNS || copy[me] == PARKED) && know[me].host == me && know[me].phase != MIGRATING &&
			know[me].phase != RESOLVING && generation[me] < know[me].generation -> forget_copy(me) }
#ifdef SUSPEND
	:: atomic { copy[me] == PARKED && know[me].target == me -> forget_copy(me) } /* it comes here again */
#endif
	:: atomic { bit(power, me) && copy[me] == READY && know[me].phase != MIGRATING && know[me].phase != RESOLVING ->
		add(said_gone, session[me]); forget_copy(me) }

	/* migrated, source: PUSH, once: after a RECLAIM the generation is another one, and MOVE_FAILED is due */
	:: atomic { bit(power, me) && know[me].phase == MIGRATING && know[me].host == me && copy[me] == RUNS && session[me] == 0 &&
			up_to_date(me) && generation[me] == dom.generation && sessions < 7 ->
		sessions++; session[me] = sessions; target[me] = know[me].target }
	:: atomic { copy[me] == RUNS && session[me] != 0 && bit(said_ready, session[me]) -> /* the point of no return */
#ifndef BUG_NO_RELINQUISH
		copy[me] = GIVEN;
#endif
		add(relinquished, session[me]); add(said_go, session[me])
#ifdef BUG_NO_RELINQUISH
		; session[me] = 0
#endif
		}
	/* it gives up before that: runs on. RESULT MOVE_FAILED */
	:: atomic { can_act(me) && up_to_date(me) && dom.phase == MIGRATING && dom.host == me && copy[me] == RUNS && session[me] != 0 &&
			(crashes_left > 0 || bit(said_gone, session[me])) ->
		crashes_left = (bit(said_gone, session[me]) -> crashes_left : crashes_left - 1);
		session[me] = 0; target[me] = NOBODY; dom.target = NOBODY; dom.generation = generation[me]; begin_phase(RUNNING); learn(me) }
	/* RECLAIM: the target said GONE */
	:: atomic { bit(power, me) && has_lease(me) && copy[me] == GIVEN && bit(said_gone, session[me]) ->
		assert(!bit(ran_there, session[me])); /* else its memory is older than the disks */
		session[me] = 0; target[me] = NOBODY; set_running(me, generation[me] + 2) }
	:: atomic { can_act(me) && up_to_date(me) && dom.phase == MIGRATING && dom.host == me && copy[me] == RUNS &&
			generation[me] > dom.generation ->
		dom.target = NOBODY; dom.generation = generation[me]; begin_phase(RUNNING) } /* RESULT MOVE_FAILED */
	/* DESTROY: the target said RUNNING. RESULT MOVED */
	:: atomic { bit(power, me) && copy[me] == GIVEN && bit(said_running, session[me]) ->
		if
		:: can_act(me) && up_to_date(me) && dom.phase == MIGRATING && dom.host == me ->
			dom.host = dom.target; dom.target = NOBODY; dom.generation = generation[me] + 1; begin_phase(RUNNING); learn(me)
		:: else
		fi;
		forget_copy(me) }
	/* the copy died while it was pushed: only the target can have it. RESULT MOVED or not, the target finds out */
	:: atomic { can_act(me) && up_to_date(me) && dom.phase == MIGRATING && dom.host == me && copy[me] == NONE ->
		dom.host = dom.target; dom.target = NOBODY; begin_phase(RESOLVING) }

	/* migrated, target: ACCEPT */
	:: atomic { pick(offers);
		copy[me] = READY; generation[me] = generation[h] + 1; session[me] = session[h];
		add(said_ready, session[h]); h = 0 }
	:: atomic { bit(power, me) && has_lease(me) && copy[me] == READY && bit(said_go, session[me]) && !closed(me) -> /* TAKE, TAKEN, RESUME */
		add(taken, session[me]); add(said_running, session[me]); add(ran_there, session[me]);
		session[me] = 0; set_running(me, generation[me]) }
	/* asked about a session that it neither holds nor took: GONE is written, then said */
	:: atomic { pick(asks); add(said_gone, session[h]); h = 0 }
	:: atomic { pick(asks_late); add(said_running, session[h]); h = 0 }
	/* OBSERVED RUNNING by the target, in a generation above the record's */
	:: atomic { can_act(me) && up_to_date(me) && dom.phase == MIGRATING && dom.target == me && copy[me] == RUNS &&
			generation[me] > dom.generation ->
		dom.host = me; dom.target = NOBODY; dom.generation = generation[me]; begin_phase(RUNNING) }

	/* RESOLVING: the other end is SAFE, or has no copy */
	:: atomic { can_act(me) && up_to_date(me) && dom.phase == RESOLVING && dom.host == me && copy[me] != PARKED ->
		if
		:: copy[me] == RUNS -> /* KEPT */
			dom.generation = generation[me]; session[me] = 0; target[me] = NOBODY; begin_phase(RUNNING)
#ifdef BUG_RECLAIM_BLIND
		:: copy[me] == GIVEN && has_lease(me) -> /* it may have run there before that host died */
			assert(!bit(ran_there, session[me]));
			set_running(me, generation[me] + 2); dom.generation = generation[me]; session[me] = 0; begin_phase(RUNNING)
#endif
		:: copy[me] == READY && has_lease(me) && bit(relinquished, session[me]) -> /* the lease says so: as good as Go */
			add(taken, session[me]); add(ran_there, session[me]); session[me] = 0;
			set_running(me, generation[me]); dom.generation = generation[me]; begin_phase(RUNNING)
		:: copy[me] == READY || copy[me] == GIVEN || copy[me] == NONE -> /* ABSENT: be rid of it, then it starts anew */
			forget_copy(me); dom.host = NOBODY; begin_phase(STOPPED)
		fi;
		learn(me) }

#ifdef BUG_NO_COMMIT
	/* it acts on a START that only itself got, and that nobody else will ever know of */
	:: atomic { can_act(me) && dom.phase == STOPPED && copy[me] == NONE && has_lease(me) && crashes_left > 0 ->
		crashes_left--; del(net, me); set_running(me, generation_max + 1) }
#endif
	od
}

/* What the coordinator proposes: any node of a quorate view. */
#ifdef WITNESS
#define carries(x) ((x) != 2)
#else
#define carries(x) true
#endif
#define can_start(x) (dom.phase == STOPPED && can_act(x) && carries(x))
#define can_take(x)  (dom.phase == RUNNING && orders_left > 0 && can_act(dom.host) && can_act(x) && x != dom.host && carries(x))
#define is_lost(x)   (quorate && !in_view(x) && hstate[x] == ONLINE)
#ifdef LEAVE
#define has_left(x)  (quorate && bit(said_left, x) && hstate[x] != SAFE)
#endif
#define has_waits(x) (quorate && hstate[x] == LOST && count(waited[x]) >= MAJ)
active proctype coordinator()
{
	byte h;
end:	do
	/* START: desired RUNNING; the next generation, on a host that is ONLINE */
	:: atomic { pick(can_start);
		dom.host = h;
		dom.target = NOBODY;
#ifndef BUG_IGNORE_GENERATION
		generation_max++;
#endif
		dom.generation = generation_max;
		begin_phase(STARTING); h = 0 }
	/* MOVE, asked by somebody: generation + 1 at the target, + 2 if the source takes it back */
	:: atomic { pick(can_take);
		orders_left--;
		dom.target = h;
		generation_max = (generation_max > dom.generation + 2 -> generation_max : dom.generation + 2);
		begin_phase(MIGRATING); h = 0 }
	/* HOST_LOST: it left the view */
	:: atomic { pick(is_lost); hstate[h] = LOST; waited[h] = 0; knows_lost[h] = 0; h = 0 }
#ifdef LEAVE
	/* LEFT is applied: no wait */
	:: atomic { pick(has_left); del(said_left, h); host_safe(h); h = 0 }
#endif
	/* a majority said WAITED */
	:: atomic { pick(has_waits); host_safe(h); h = 0 }
	od
}

/* What can go wrong, as often as the counters allow; and heals. */
#ifdef LEAVE
#define GONE_WORD(h) del(said_left, h)
#define UNLEAVE(h)   del(said_left, h); del(leaving, h)
#else
#define GONE_WORD(h) skip
#define UNLEAVE(h)   skip
#endif
#define is_whole(x)  (faults_left > 0 && bit(power, x) && bit(net, x))
#ifdef FREEZE
#define is_away(x)   (!bit(net, x) && !bit(frozen, x))
#define is_frozen(x) bit(frozen, x)
#else
#define is_away(x)   (!bit(net, x))
#endif
active proctype adversary()
{
	byte h;
end:	do
	/* clusterd dies, hangs, or is cut off */
	:: atomic { pick(is_whole); faults_left--; del(net, h); add(stale, h); GONE_WORD(h); h = 0 }
	/* power loss: memory is gone, leases and journals stay */
	:: atomic { pick(is_whole); faults_left--; del(power, h); del(net, h); add(stale, h); del(lease, h);
		UNLEAVE(h); forget_copy(h); know[h].phase = STOPPED; know[h].host = NOBODY; know[h].target = NOBODY; know[h].op = 0; h = 0 }
	:: atomic { pick(is_away); add(power, h); add(net, h); h = 0 }
#ifdef FREEZE
	/* the whole machine stands still; and goes on, its guests first */
	:: atomic { pick(is_whole); faults_left--; add(frozen, h); del(net, h); add(stale, h); h = 0 }
	:: atomic { pick(is_frozen); del(frozen, h); assert(running <= 1); h = 0 }
#endif
#ifdef LIES
	/* a hostile hvdom lets go of its lock file, and lives */
	:: atomic { pick(may_lie); add(lies, h); h = 0 }
#endif
	/* nothing can happen any more: the domain has to run, once, where the record says */
	:: atomic { timeout ->
		assert(running == 1 && dom.phase == RUNNING && copy[dom.host] == RUNS && generation[dom.host] == dom.generation); break }
	od
}
