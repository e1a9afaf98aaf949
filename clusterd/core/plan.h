/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The balancer: (snapshot, parameters) -> plan. Pure: plain arrays by index, memory from the caller, no clock, the same result for the same
 * input. clu_plan_run() works on a snapshot of any size (the offline tool, 10,000 hosts). clu_plan_balance() makes a snapshot of the
 * replicated state. Hold time and cool-down are the caller's; threshold and least gain are parameters.
 *
 * The plan minimises the *spread*: the standard deviation of memory load plus that of CPU load over the usable hosts. A load is a share of
 * the host's capacity. 0 is even; 1 is the worst (in both, half of the hosts full and half empty). The *worth* of a move is the spread that
 * it takes away, times the number of hosts (so that it means the same in small and large clusters), less its cost in time.
 *
 * What a plan promises: its moves, carried out one after the other in their order, never overfill a host (both ends count during a
 * move) and never break a hard rule that held. No domain moves twice. The spread falls by gain_min at least, or there is no plan.
 * A move was worth move_worth at least when it was chosen. Its own gain in the order may be less, even negative (as one of two that change
 * places). Repairs come first, whatever the spread: they move domains off hosts where a hard rule or memory does not allow them. Several
 * moves at one time need a check of room (clu_judge()) before each.
 *
 * How: steepest descent from the most to the least loaded hosts. Tournament trees in a few directions of (memory, CPU) find them; in a
 * small cluster all pairs are tried. Then each move in turn is taken back and replaced by the best one, or dropped if none is worth it.
 * Two domains change places where no single move helps. What is left is put into a feasible order. Rounds follow until one gains less
 * than gain_min, so a second run finds nothing. The spread is kept incrementally: a trial costs a few multiplications.
 */
#ifndef HOSPES_CLUSTERD_CORE_PLAN_H
#define HOSPES_CLUSTERD_CORE_PLAN_H

#include "clusterd/core/place.h"

#define CLU_PLAN_ANY UINT32_MAX /* instead of a row: every usable host */

struct clu_plan_host {
	uint64_t mem_bytes;       /* for domains, overcommit included */
	uint64_t mem_other_bytes; /* in use by others than the domains */
	uint32_t cpu_milli, cpu_other_milli;
	bool usable;              /* false: no move from or to it, and its load does not count */
};

/* Ties of one group. APART: no two domains of different colours on one host. TOGETHER (soft only): preferably beside another one. */
enum clu_plan_tie_kind { CLU_PLAN_APART = 0, CLU_PLAN_TOGETHER = 1 };
struct clu_plan_tie { uint32_t group, colour; enum clu_plan_tie_kind kind; bool soft; };

struct clu_plan_dom {
	uint32_t host;            /* index */
	uint32_t cpu_milli;
	uint64_t mem_bytes;       /* counts on hosts */
	uint64_t used_bytes, dirty_bps; /* the cost of a move. used_bytes 0: mem_bytes */
	uint32_t allow, prefer;   /* rows: hosts where it may run, and where it should (soft); or CLU_PLAN_ANY */
	uint32_t tie, n_ties;     /* index of the first, number */
	bool pinned;              /* it counts, but does not move */
};

struct clu_plan_snap {
	const struct clu_plan_host *host;
	const struct clu_plan_dom *dom;
	const struct clu_plan_tie *tie;
	const uint64_t *row;      /* bits by host, (n_host + 63) / 64 words a row; bits beyond n_host mean nothing */
	uint32_t n_host, n_dom, n_tie, n_row;
};

struct clu_plan_params {
	double threshold;         /* spread up to which there is no plan */
	double gain_min;          /* least fall of the spread through the whole plan */
	double enough;            /* spread at which no more moves are looked for */
	double move_worth;        /* least worth of a move */
	double cost_weight;       /* worth that a second of migration costs */
	uint64_t bandwidth_bps;   /* octets per second of a migration */
	uint32_t moves_max;       /* 0: no limit */
	uint64_t effort;          /* trials before refinement stops, for up to 1,000 hosts, more in proportion; 0: no refinement */
};

/* For an administrator who asks for a plan. With @policy (may be NULL): its threshold and gain, for automatic balancing. */
void clu_plan_params_default(struct clu_plan_params *p, const struct clu_policy *policy);

enum clu_plan_reason { CLU_PLAN_BALANCE = 0, CLU_PLAN_REPAIR_RULE = 1, CLU_PLAN_REPAIR_MEMORY = 2, CLU_PLAN_REPAIR_SPARE = 3 };
struct clu_plan_move {
	uint32_t dom, from, to;   /* indices of the snapshot; of clu_plan_balance(): slots of the state */
	enum clu_plan_reason reason;
	double gain;              /* how much the spread falls by it, at its place in the order */
	double cost_s;
	uint64_t cost_bytes;
	float mem_from[2], mem_to[2], cpu_from[2], cpu_to[2]; /* loads of both hosts, before and after; 1: full */
};

enum clu_plan_end {
	CLU_PLAN_MOVES = 0,     /* there is a plan */
	CLU_PLAN_BALANCED = 1,  /* spread within the threshold */
	CLU_PLAN_NO_MOVE = 2,   /* spread above it, but no allowed move is worth its cost */
	CLU_PLAN_NO_GAIN = 3,   /* all moves together would not gain enough */
};
struct clu_plan_result {
	enum clu_plan_end end;
	double before, after;     /* spread */
	uint32_t n_moves, n_repairs; /* repairs are the first of the moves */
	uint32_t n_stuck;         /* domains that are where they must not be, and have no other place */
	uint32_t n_stay;          /* domains that the plan leaves alone by order: clu_stays() */
	uint64_t cost_bytes;
	double cost_s;            /* of the moves one after the other */
	uint64_t trials;
};

/* Octets of workspace for clu_plan_run(); any alignment will do. */
size_t clu_plan_workspace_bytes(uint32_t n_host, uint32_t n_dom);
/*
 * Make a plan of at most @cap moves (and moves_max) in @move. @ws: scratch of at least clu_plan_workspace_bytes(). Less, or an index out of
 * range, is a programmer error and asserts.
 */
void clu_plan_run(const struct clu_plan_snap *s, const struct clu_plan_params *p, void *ws, size_t ws_bytes, struct clu_plan_move *move,
	uint32_t cap, struct clu_plan_result *ret);
/* The spread of the snapshot; O(hosts + domains). @ws as for clu_plan_run(). */
double clu_plan_spread(const struct clu_plan_snap *s, void *ws, size_t ws_bytes);
/* The cost of moving @d. */
void clu_plan_cost(const struct clu_plan_dom *d, const struct clu_plan_params *p, uint64_t *ret_bytes, double *ret_s);

/* The cluster's own state: octets of workspace, as above. */
size_t clu_plan_balance_bytes(const struct clu_state *s);
/*
 * As clu_plan_run() on @s as it is. Usable hosts are online and take domains. Domains in an operation, to be stopped, or within their
 * backoff (retry_ns, by s->time_ns), or that are to stay (clu_stays()), count, but do not move. A spare that is shut is left, not
 * filled. @load may be NULL.
 */
void clu_plan_balance(const struct clu_state *s, const struct clu_load *load, const struct clu_plan_params *p, void *ws, size_t ws_bytes,
	struct clu_plan_move *move, uint32_t cap, struct clu_plan_result *ret);
/* True if a domain that may be balanced is on a spare that is shut: a plan moves it off, however small the spread is. */
bool clu_plan_spare_used(const struct clu_state *s, const struct clu_load *load);
/* The present spread only, to compare with the threshold of automatic balancing. */
double clu_plan_balance_spread(const struct clu_state *s, const struct clu_load *load, void *ws, size_t ws_bytes);

/* Texts for people, CLU_TEXT_MAX octets: the reason for @m; the result. */
void clu_plan_say_move(const struct clu_plan_move *m, const char *from, const char *to, char *text);
void clu_plan_say_end(const struct clu_plan_result *r, char *text);
const char *clu_plan_end_name(enum clu_plan_end e);

#endif
