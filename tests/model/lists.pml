/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The node list changes while the cluster decides (docs/wire/member.md, "A change"; tools/member_set.c): no two sets of hosts decide without each other,
 * and nothing that was committed is lost. Four hosts, of which the last is in the list at first or not (INITIAL).
 *
 *  - A list is a set of hosts with a version. Each host goes by the one that it has; file, Corosync and clusterd are one here, and a host has a new list when it has read it.
 *  - A view is any majority of one list whose hosts all go by it. It takes the newest state of its members, and decides: one command more, which some of them store. It is committed when a
 *    majority of the list has it. Commands are numbered in the order of their views' epochs, which promises make one order (docs/wire/cluster.md, section 1).
 *  - A change is a program on one host: it begins by a list that is in force there, finds a majority of it that has nothing newer, and hands the new list to these, one after the other. It may die at
 *    each step. Two may go on at one time. A host that asks to be taken out counts as one of the majority, and takes over nothing else.
 *
 * tests/model/lists.sh runs it as it is and with each BUG_*.
 */
#define N 4
#ifndef CHANGES
#define CHANGES 3
#endif
#ifndef COMMANDS
#define COMMANDS 3
#endif

#ifndef INITIAL
#define INITIAL 7 /* hosts of the first list */
#endif

#define bit(set, i) (((set) >> (i)) & 1)
#define count(set)  (bit(set, 0) + bit(set, 1) + bit(set, 2) + bit(set, 3))
#define maj(set)    (count(set) / 2 + 1)

byte list[N];     /* 0: in no cluster */
byte version[N];
byte log[N];      /* the newest command on its disk */
bit in_force[N];  /* its clusterd was in a view that decides by just that list */
byte bound;       /* hosts that asked to be taken out */
byte next = 1, committed;
byte changes_left = CHANGES;

#define follows(h, l, v) (list[h] == (l) && version[h] == (v))
/* those of @l that go by it, as version @v */
#define followers(l, v) ((follows(0, l, v) && bit(l, 0)) | (follows(1, l, v) && bit(l, 1)) << 1 | (follows(2, l, v) && bit(l, 2)) << 2 | \
			 (follows(3, l, v) && bit(l, 3)) << 3)

init {
	atomic {
		list[0] = INITIAL; list[1] = INITIAL; list[2] = INITIAL; version[0] = 1; version[1] = 1; version[2] = 1;
		in_force[0] = 1; in_force[1] = 1; in_force[2] = 1;
		if
		:: INITIAL == 15 -> list[3] = 15; version[3] = 1; in_force[3] = 1
		:: else
		fi
	}
}

/* Views that decide. */
active proctype decides()
{
	byte q, l, v, h, best, stored;
end:	do
	:: atomic { next <= COMMANDS ->
		select(h : 0 .. 3); l = list[h]; v = version[h];
		select(q : 1 .. 15);
		if
		:: l != 0 && (q & followers(l, v)) == q && count(q) >= maj(l) ->
			best = 0;
			h = 0;
			do
			:: h < N && bit(q, h) && log[h] > best -> best = log[h]; h++
			:: h < N && !(bit(q, h) && log[h] > best) -> h++
			:: h == N -> break
			od;
			assert(best >= committed); /* what was committed is there */
			/* all of the view load that state; the new command is stored by some of them */
			select(stored : 0 .. 15);
			stored = stored & q;
			h = 0;
			do
			:: h < N && bit(q, h) -> log[h] = (bit(stored, h) -> next : best); in_force[h] = 1; h++
			:: h < N && !bit(q, h) -> h++
			:: h == N -> break
			od;
			if
			:: count(stored) >= maj(l) -> committed = next
			:: else
			fi;
			next++
		:: else
		fi;
		q = 0; l = 0; v = 0; h = 0; best = 0; stored = 0 }
	od
}

/* A change that takes @x out, or adds it: on host @at. */
#ifdef BUG_NOT_IN_FORCE
#define may_begin(h) (list[h] != 0 && !bit(bound, h))
#else
#define may_begin(h) (list[h] != 0 && in_force[h] && !bit(bound, h))
#endif
active [2] proctype change()
{
	byte at, x, l, v, now, heard, h;
	bit leaves;
end:	do
	:: atomic { changes_left > 0 ->
		select(at : 0 .. 3); select(x : 0 .. 3); select(heard : 1 .. 15); select(leaves : 0 .. 1);
		l = list[at]; v = version[at];
		if
		:: x != at && may_begin(at) && bit(l, at) && bit(heard, at) && (heard & l) == heard && (!bit(l, x) || leaves || !bit(heard, x)) &&
				(bit(l, x) || (heard == l && !leaves)) && (!leaves || bit(heard, x)) && count(l) > 1 &&
#ifndef BUG_FEW_ARE_ASKED
				count(heard) >= maj(l) &&
#endif
				/* nobody who answers has a newer one, or another one; who asked to leave agrees to nothing else */
				((followers(l, v) & heard) == heard) && ((heard & bound) == 0 || ((heard & bound) == (1 << x) && leaves)) ->
			changes_left--;
			now = l ^ (1 << x);
#ifndef BUG_UNBOUND
			if
			:: leaves -> bound = bound | (1 << x)
			:: else
			fi;
#endif
			if
			:: !bit(l, x) -> list[x] = now; version[x] = v + 1; in_force[x] = 0; log[x] = 0 /* it comes empty, with its file */
			:: else -> skip
			fi;
			if
			:: leaves -> heard = heard & ~(1 << x) /* it takes over nothing */
			:: else
			fi
		:: else -> at = 0; x = 0; heard = 0; l = 0; v = 0; now = 0
		fi }
	/* one after the other, each of which has to be as it was */
	:: atomic { heard != 0 ->
		h = (bit(heard, 0) -> 0 : (bit(heard, 1) -> 1 : (bit(heard, 2) -> 2 : 3)));
		if
		:: follows(h, l, v) && !bit(bound, h) -> list[h] = now; version[h] = v + 1; in_force[h] = 0; heard = heard & ~(1 << h)
		:: else -> heard = 0 /* somebody else was first */
		fi;
		h = 0 }
	/* its process dies */
	:: atomic { heard != 0 -> heard = 0; at = 0; x = 0; l = 0; v = 0; now = 0 }
	od
}

/* Two disjoint sets of hosts that both could decide, at any time. */
#define decides_by(a) (list[a] != 0 && bit(list[a], a) && count(followers(list[a], version[a])) >= maj(list[a]))
#define apart(a, b)  (decides_by(a) && decides_by(b) && !(list[a] == list[b] && version[a] == version[b]))
active proctype watch()
{
end:	(apart(0, 1) || apart(0, 2) || apart(0, 3) || apart(1, 2) || apart(1, 3) || apart(2, 3)) -> assert(false)
}
