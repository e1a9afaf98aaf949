/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The balancer: (snapshot, parameters) -> plan. Pure: plain arrays by index, memory from the caller, no clock, the same answer to the
 * same question. clu_plan_run() works on a snapshot of any size (the offline tool, 10,000 hosts); clu_plan_balance() makes one of the
 * replicated state. Hold time and cool-down are the caller's; threshold and least gain are parameters.
 *
 * What it minimises is the *spread*: the standard deviation of memory load plus that of CPU load over the usable hosts, each load a
 * share of the host's capacity; 0 is even, 1 the worst (half of the hosts full, half empty, in both). A move must be worth it: the
 * spread it takes away, times the number of hosts (so that it means the same in small and in large clusters), less its cost in time.
 *
 * What a plan promises: its moves, carried out one after the other in their order, never overfill a host (both ends count during a
 * move) and never break a hard rule that held; no domain moves twice; the spread falls by gain_min at least, or there is no plan.
 * A move was worth move_worth at least beside the others when it was chosen; its own gain in the order may be less, even negative (one of
 * two that change places). Domains that stand where a hard rule or memory does not let them are moved first, whatever the spread
 * (repairs). Several moves at one time need a check of room (clu_judge) before each.
 *
 * How: steepest descent from most to least loaded hosts, found by tournament trees in a few directions of (memory, CPU); all pairs
 * where the cluster is small. Then each move is taken back, one at a time, and the best in its place is put (or none, if it is not
 * worth it any more), two change places where no single move helps, and what is left is put in an order that is feasible. Rounds follow
 * until one gains less than gain_min, so that a second run finds nothing. Spread is kept incrementally: a trial costs a few
 * multiplications.
 */
#ifndef HOSPES_CLUSTERD_CORE_PLAN_H
#define HOSPES_CLUSTERD_CORE_PLAN_H

#include "clusterd/core/place.h"

#define CLU_PLAN_ANY UINT32_MAX /* no row: every usable host */

struct clu_plan_host {
	uint64_t mem_bytes;       /* for domains, overcommit included */
	uint64_t mem_other_bytes; /* taken by what is not among the domains */
	uint32_t cpu_milli, cpu_other_milli;
	bool usable;              /* false: neither gives nor takes, and its load does not count */
};

/* Domains with ties of one group: APART: no two of different colours on one host; TOGETHER (soft only): rather beside another of it. */
enum clu_plan_tie_kind { CLU_PLAN_APART = 0, CLU_PLAN_TOGETHER = 1 };
struct clu_plan_tie { uint32_t group, colour; enum clu_plan_tie_kind kind; bool soft; };

struct clu_plan_dom {
	uint32_t host;            /* index */
	uint32_t cpu_milli;
	uint64_t mem_bytes;       /* counts on hosts */
	uint64_t used_bytes, dirty_bps; /* what a move costs; 0: all of it, nothing */
	uint32_t allow, prefer;   /* rows of bits by host: where it may, where it should run (soft); CLU_PLAN_ANY */
	uint32_t tie, n_ties;     /* first, number */
	bool pinned;              /* counts, but does not move */
};

struct clu_plan_snap {
	const struct clu_plan_host *host;
	const struct clu_plan_dom *dom;
	const struct clu_plan_tie *tie;
	const uint64_t *row;      /* of (n_host + 63) / 64 words each; bits beyond n_host mean nothing */
	uint32_t n_host, n_dom, n_tie, n_row;
};

struct clu_plan_params {
	double threshold;         /* spread up to which there is no plan */
	double gain_min;          /* least fall of the spread by the whole plan */
	double enough;            /* spread at which no more moves are looked for */
	double move_worth;        /* least worth of a move: fall of the spread x usable hosts, less its cost */
	double cost_weight;       /* worth that a second of migration costs */
	uint64_t bandwidth_bps;   /* octets per second of a migration */
	uint32_t moves_max;       /* 0: as many as make sense */
	uint64_t effort;          /* trials until a plan is good enough, for up to 1,000 hosts; more in proportion; 0: no second thoughts */
};

/* What an administrator who asks for a plan wants; with @policy (may be NULL) its threshold and gain, as for automatic balancing. */
void clu_plan_params_default(struct clu_plan_params *p, const struct clu_policy *policy);

enum clu_plan_reason { CLU_PLAN_BALANCE = 0, CLU_PLAN_REPAIR_RULE = 1, CLU_PLAN_REPAIR_MEMORY = 2 };
struct clu_plan_move {
	uint32_t dom, from, to;   /* indices of the snapshot; clu_plan_balance: slots of the state */
	enum clu_plan_reason reason;
	double gain;              /* by how much the spread falls with it, in its place in the order */
	double cost_s;
	uint64_t cost_bytes;
	float mem_from[2], mem_to[2], cpu_from[2], cpu_to[2]; /* loads of both hosts, before and after; 1: full */
};

enum clu_plan_end {
	CLU_PLAN_MOVES = 0,     /* here they are */
	CLU_PLAN_BALANCED = 1,  /* spread within the threshold */
	CLU_PLAN_NO_MOVE = 2,   /* above, but no allowed move is worth it */
	CLU_PLAN_NO_GAIN = 3,   /* all moves together would not gain enough */
};
struct clu_plan_result {
	enum clu_plan_end end;
	double before, after;     /* spread */
	uint32_t n_moves, n_repairs; /* repairs are among the moves, and come first */
	uint32_t n_stuck;         /* domains that stand where they must not, and have no other place */
	uint64_t cost_bytes;
	double cost_s;            /* one after the other */
	uint64_t trials;
};

/* Octets of workspace for clu_plan_run(), of any alignment. */
size_t clu_plan_workspace_bytes(uint32_t n_host, uint32_t n_dom);
/*
 * Make a plan of at most @cap moves (and moves_max) in @move. @ws is scratch of @ws_bytes, as clu_plan_workspace_bytes() says; less, or
 * an index out of range, is a programmer error and asserts.
 */
void clu_plan_run(const struct clu_plan_snap *s, const struct clu_plan_params *p, void *ws, size_t ws_bytes, struct clu_plan_move *move,
	uint32_t cap, struct clu_plan_result *ret);
/* The spread of a layout; O(hosts + domains). @ws as for clu_plan_run(). */
double clu_plan_spread(const struct clu_plan_snap *s, void *ws, size_t ws_bytes);
/* What moving @d costs. */
void clu_plan_cost(const struct clu_plan_dom *d, const struct clu_plan_params *p, uint64_t *ret_bytes, double *ret_s);

/* ---- the cluster's own state ------------------------------------------------------------------------------------------------ */
size_t clu_plan_balance_bytes(const struct clu_state *s);
/*
 * As clu_plan_run(), of @s as it is: running domains of online hosts that are not in maintenance. Those in any operation, wanted
 * stopped, or within their back-off (retry_ns, by s->time_ns) stay where they are and count. @load may be NULL.
 */
void clu_plan_balance(const struct clu_state *s, const struct clu_load *load, const struct clu_plan_params *p, void *ws, size_t ws_bytes,
	struct clu_plan_move *move, uint32_t cap, struct clu_plan_result *ret);
/* The present spread only: what the threshold of automatic balancing looks at. */
double clu_plan_balance_spread(const struct clu_state *s, const struct clu_load *load, void *ws, size_t ws_bytes);

/* For people: why @m, in CLU_TEXT_MAX octets; what came of it all. */
void clu_plan_say_move(const struct clu_plan_move *m, const char *from, const char *to, char *text);
void clu_plan_say_end(const struct clu_plan_result *r, char *text);
const char *clu_plan_end_name(enum clu_plan_end e);

#endif
