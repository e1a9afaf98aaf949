/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Who hears whom, and who yields when some cannot. Corosync needs a full mesh: one pair of hosts that cannot talk makes it form and break
 * memberships for ever. Each clusterd sends datagrams to all others (docs/wire/reach.md) with its own row of the matrix and those that
 * it knows; from that all compute, alike, the largest set of hosts that hear one another and are a majority. Who is not in it yields.
 * Pure: no clock, no allocation.
 *
 * Time in rows is the *stamp* of their sender: it grows while that host lives. "I do not hear b" means: b's row reached me by others with
 * a stamp that is REACH_LAG_NS ahead of what b sent me itself. So a host that died, or that nobody hears, is no pair that cannot talk.
 */
#ifndef HOSPES_CLUSTERD_CORE_REACH_H
#define HOSPES_CLUSTERD_CORE_REACH_H

#include "clusterd/core/clu.h"

#define REACH_WORDS     (CLU_HOSTS_MAX / 64u)
#define REACH_LAG_NS    900000000ull   /* of the sender's stamps */
#define REACH_ALIVE_NS  1500000000ull  /* a row that does not grow for so long is that of a dead host */
#define REACH_HOLD_NS   200000000ull   /* the same answer for so long, before it is acted on */
#define REACH_MET_NS    1000000000ull  /* nor before a host that is new has had its say */
#define REACH_COME_NS   4000000000ull  /* a host that left a view, and is heard of, is not given up before */
#define REACH_SURE_NS   10000000000ull /* datagrams of all, both ways, for so long renew leases by themselves */
#define REACH_UNSURE_NS 5000000000ull  /* and do not any more when they were missed for so long */
#define REACH_BACK_NS   3000000000ull /* a host that yielded comes back after so long; doubled if it yields again soon */
#define REACH_BACK_MAX  96000000000ull

struct reach_row {
	uint64_t stamp;  /* 0: nothing known */
	uint32_t weight; /* what is lost if it yields: its guests */
	bool out;        /* it has yielded */
	uint64_t hears[REACH_WORDS];
};

struct reach {
	uint32_t n, me; /* hosts of the list, by ascending id; my place */
	struct reach_row row[CLU_HOSTS_MAX];
	uint64_t direct[CLU_HOSTS_MAX]; /* stamp of its own last datagram; or of the first row of it that others had */
	uint64_t grown_ns[CLU_HOSTS_MAX]; /* when its row's stamp grew last, here */
	bool out;                         /* I have yielded */
	uint64_t met_ns;   /* when a host came (back) to life last: its row and those about it need a moment */
	uint64_t since_ns; /* the answer has been another one since; 0: it has not */
	bool sure;         /* reach_sure(), and when all talked to me last, and when they did not */
	uint64_t whole_ns, broken_ns;
	uint64_t back_ns, out_ns; /* how long it must be whole before I am back; when out changed last */
};

/* The matrix as one host knows it. */
struct reach_view {
	uint32_t n;
	uint64_t alive[REACH_WORDS], out[REACH_WORDS];
	const struct reach_row *row;
};

/*
 * Of those alive and not out: the largest set that hear one another, if it is a majority of all; of several the one with the greatest
 * weight, then with the lowest places. Those that are out and hear all of it join it, lowest first. @keep is empty when there is none.
 */
void reach_decide(const struct reach_view *v, uint64_t *keep);

void reach_init(struct reach *r, uint32_t n, uint32_t me);
/* A datagram of @from's own. False: not newer than what is known (a replay, or another way that was slower). */
bool reach_heard(struct reach *r, uint32_t from, uint64_t stamp, uint64_t now_ns);
/* Its row, or that of another host, as it says. */
void reach_learn(struct reach *r, uint32_t of, const struct reach_row *row, uint64_t now_ns);
/* Is what I know of it worth telling others? Not of a host that is silent: its row would go round for ever. */
bool reach_fresh(const struct reach *r, uint32_t i, uint64_t now_ns);
/*
 * A host outside of a view that began at @since_ns: is somebody still hearing it, and has it not stepped aside? Then it may
 * well be part of the next view,
 * when another one steps aside: for REACH_COME_NS.
 */
bool reach_coming(const struct reach *r, uint32_t i, uint64_t since_ns, uint64_t now_ns);
/*
 * Do datagrams renew this host's lease, whatever Corosync does? Not before all of @members (places; those of Corosync's view) have
 * talked to it, and it to them, for REACH_SURE_NS; no more when some have not for REACH_UNSURE_NS. Call it often.
 */
bool reach_sure(struct reach *r, const uint64_t *members, uint64_t now_ns);
/* My row, as it is now. */
void reach_mine(struct reach *r, uint64_t stamp, uint32_t weight, uint64_t now_ns);
/*
 * Have I yielded, or should I? @trouble: Corosync is in it; without that nobody yields. Call it often. r->out changes by this only.
 */
bool reach_judge(struct reach *r, bool trouble, uint64_t now_ns);
/* The number of pairs of live hosts that cannot talk; one such pair to *@a and *@b. */
uint32_t reach_broken(const struct reach *r, uint64_t now_ns, uint32_t *a, uint32_t *b);

#endif
