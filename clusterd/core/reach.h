/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Who hears whom, and who yields when some hosts cannot hear each other. Corosync needs a full mesh: one pair of hosts that cannot talk
 * makes it form and break memberships for ever. Each clusterd sends datagrams to all others (docs/wire/reach.md) with its own row of the
 * matrix and the rows that it knows. From these all hosts compute, with the same result, the largest set of hosts that hear one another
 * and are a majority. A host outside of it yields. Pure: no clock, no allocation.
 *
 * Time in rows is the *stamp* of their sender, which grows while that host lives. Host a does not hear host b if b's row reached a through
 * others with a stamp that is REACH_LAG_NS ahead of what b sent to a itself. So a host that is dead, or that nobody hears, makes no pair
 * that cannot talk.
 *
 * A host is named by its place: its index in the node list, by ascending id. @now_ns: CLOCK_BOOTTIME.
 */
#ifndef HOSPES_CLUSTERD_CORE_REACH_H
#define HOSPES_CLUSTERD_CORE_REACH_H

#include "clusterd/core/clu.h"

#define REACH_WORDS     (CLU_HOSTS_MAX / 64u)
#define REACH_LAG_NS    900000000ull   /* of the sender's stamps */
#define REACH_ALIVE_NS  1500000000ull  /* a host whose row has not grown for so long is dead */
#define REACH_HOLD_NS   200000000ull   /* the result has to be stable for so long before a host yields */
#define REACH_MET_NS    1000000000ull  /* nor does one yield so soon after a host came to life: its rows are incomplete */
#define REACH_COME_NS   4000000000ull  /* a host that left a view and is heard of is not given up before that */
#define REACH_SURE_NS   10000000000ull /* datagrams from and to all for so long renew leases by themselves */
#define REACH_UNSURE_NS 5000000000ull  /* and no longer when some have been missing for so long */
#define REACH_BACK_NS   3000000000ull  /* a host that yielded comes back after so long; doubled if it yields again soon */
#define REACH_BACK_MAX  96000000000ull

struct reach_row {
	uint64_t stamp;  /* 0: nothing is known */
	uint32_t weight; /* what is lost if the host yields: its guests */
	bool out;        /* it has yielded */
	uint64_t hears[REACH_WORDS];
};

struct reach {
	uint32_t n, me;  /* hosts in the list; my place */
	struct reach_row row[CLU_HOSTS_MAX];
	uint64_t direct[CLU_HOSTS_MAX];   /* stamp of its last datagram to me, or of the first row of it that came through others */
	uint64_t grown_ns[CLU_HOSTS_MAX]; /* my time when its row last grew */
	bool out;                         /* I have yielded */
	uint64_t met_ns;                  /* when a host last came (back) to life */
	uint64_t since_ns;                /* since when reach_judge() would change out; 0: it would not */
	bool sure;                        /* the result of reach_sure() */
	uint64_t whole_ns, broken_ns;     /* when datagrams from all members last came, and when they last did not */
	uint64_t back_ns, out_ns;         /* how long all must talk before I am back; when out last changed */
};

/* The matrix as one host knows it. */
struct reach_view {
	uint32_t n;
	uint64_t alive[REACH_WORDS], out[REACH_WORDS];
	const struct reach_row *row;
};

/*
 * Compute the hosts that stay, to @keep: the largest set that is alive, not out, hears one another, and is a majority. Of several it is the
 * one with the greatest weight, then with the lowest places. Hosts that are out and hear all of the set join it, lowest first. If there
 * is no such set, hosts that are out count too; if there is none then either, @keep is empty.
 */
void reach_decide(const struct reach_view *v, uint64_t *keep);

void reach_init(struct reach *r, uint32_t n, uint32_t me);
/* A datagram came from @from itself. False: not newer than the last one (a replay, or the slower of two ways); drop it. */
bool reach_heard(struct reach *r, uint32_t from, uint64_t stamp, uint64_t now_ns);
/* A row of host @of came, from itself or from another one. An older one is ignored. */
void reach_learn(struct reach *r, uint32_t of, const struct reach_row *row, uint64_t now_ns);
/* True if the row of @i is worth passing on. That of a silent host is not: it would circulate for ever. */
bool reach_fresh(const struct reach *r, uint32_t i, uint64_t now_ns);
/*
 * True if host @i, outside of a view that began at @since_ns, may be in the next view: somebody hears it, and it has not yielded. Only for
 * REACH_COME_NS.
 */
bool reach_coming(const struct reach *r, uint32_t i, uint64_t since_ns, uint64_t now_ns);
/*
 * True if datagrams renew this host's lease without Corosync's help. That begins when they have passed from and to all @members (places of
 * Corosync's view) for REACH_SURE_NS, and ends when some have been missing for REACH_UNSURE_NS. Call it often.
 */
bool reach_sure(struct reach *r, const uint64_t *members, uint64_t now_ns);
/* Make my row as of now. */
void reach_mine(struct reach *r, uint64_t stamp, uint32_t weight, uint64_t now_ns);
/* Returns r->out: whether I have yielded. Only this changes it. @trouble: Corosync has trouble; else nobody yields. Call it often. */
bool reach_judge(struct reach *r, bool trouble, uint64_t now_ns);
/* The number of pairs of live hosts that cannot talk; one such pair to *@a and *@b. */
uint32_t reach_broken(const struct reach *r, uint64_t now_ns, uint32_t *a, uint32_t *b);

#endif
