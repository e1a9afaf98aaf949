/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * A plan in the making: a layout that is changed move by move with its spread kept up to date (plan_layout.c), the search for the best
 * next move (plan_search.c), repairs, second thoughts and the order (plan_refine.c), all of it put together (plan.c).
 */
#ifndef HOSPES_CLUSTERD_CORE_PLAN_INT_H
#define HOSPES_CLUSTERD_CORE_PLAN_INT_H

#include "clusterd/core/plan.h"

#define PLAN_NONE  UINT32_MAX
#define PLAN_DIRS  5u   /* directions in which hosts are ranked */
#define PLAN_TAKE  8u   /* receivers tried of each direction */
#define PLAN_GIVE  2u   /* givers tried of each direction */
#define PLAN_FULL  400000u /* up to hosts x domains: every pair is tried */
#define PLAN_ROW_SMALL 64u /* hosts of a row up to which they are tried one by one */
#define PLAN_SOFT  0.25 /* worth of a soft rule kept */

struct plan_sum { double s, q; }; /* of deviations from a fixed centre: sum, sum of squares */

struct plan_host {
	double em, ec;           /* load less the centre */
	double im, ic;           /* one octet, one milli CPU as a share of the host */
	uint64_t mem, cap;
	uint32_t first;          /* domain there */
	uint32_t seen;           /* mark of the present list of candidates */
	bool usable, dry;        /* dry: no worthy move from here as things were */
};

struct plan_link {
	uint32_t next, prev, at;
	double cost_s;
	bool moved;              /* in this round: it does not move again */
	uint8_t repair;          /* enum clu_plan_reason of a repair: it does not move again at all */
};

struct plan_receiver { double em, ec, im, ic; uint32_t host; };

struct plan_tree { uint32_t *win; bool least; uint32_t dir; }; /* 2 x leaves, root at 1 */

struct plan_trial { uint32_t dom, to; double worth; };

struct plan {
	const struct clu_plan_snap *s;
	const struct clu_plan_params *par;
	struct plan_host *host;
	struct plan_link *dom;
	double cm, cc;           /* centres */
	struct plan_sum m, c;
	double n, inv_n;         /* usable hosts */
	double spread;
	bool full;               /* small enough for all pairs */
	uint32_t leaves, mark;
	struct plan_tree give[PLAN_DIRS], take[PLAN_DIRS];
	uint32_t *list;          /* n_host: candidates to give */
	struct plan_receiver *recv; /* n_host */
	uint32_t n_list, n_recv;
	uint32_t *row_n;         /* hosts in each row; only the first n_host + n_dom rows are counted */
	struct clu_plan_move *move; /* dom, to, reason while searching */
	uint32_t *saved;         /* n_dom: a layout to go back to */
	uint32_t n_move, max_move, move_cap, n_repair, n_stuck;
	uint64_t trials, effort; /* spent, and how many may be before second thoughts end */
};

/* plan_layout.c */
/* Cut @size octets, aligned, off the workspace [*@at, @end); too little is a programmer error. */
void *plan_cut(uint8_t **at, const uint8_t *end, size_t size);
size_t plan_layout_bytes(uint32_t n_host, uint32_t n_dom);
void plan_layout_init(struct plan *p, void *ws, size_t ws_bytes);
void plan_layout_reset(struct plan *p);                          /* everything where the snapshot has it */
void plan_put(struct plan *p, uint32_t dom, uint32_t to);        /* with its load; spread follows */
double plan_spread_with(const struct plan *p, uint32_t dom, uint32_t to);
bool plan_fits(const struct plan *p, uint32_t dom, uint32_t to); /* memory */
bool plan_allowed(const struct plan *p, uint32_t dom, uint32_t to); /* row and hard ties, as things are */
double plan_soft(const struct plan *p, uint32_t dom, uint32_t to);  /* soft rules broken there */
double plan_sd(double s, double q, double inv_n);
uint64_t plan_row_word(const struct plan *p, uint32_t row, uint32_t word); /* its bits, of hosts that there are */

/* plan_search.c */
void plan_search_init(struct plan *p);
void plan_rank(struct plan *p, uint32_t host); /* its load changed */
void plan_dry(struct plan *p, uint32_t host, bool dry);
/* The worthiest single move of a domain that has not moved yet; false: none of move_worth. */
bool plan_best(struct plan *p, struct plan_trial *ret);
/* The same for one domain to all hosts; @any: whatever its worth. */
bool plan_best_of(struct plan *p, uint32_t dom, bool any, struct plan_trial *ret);

/* plan_refine.c */
void plan_list(struct plan *p);   /* the list anew: what is elsewhere than at the begin; repairs first */
void plan_repair(struct plan *p);
void plan_descend(struct plan *p);
void plan_refine(struct plan *p);
void plan_again(struct plan *p);  /* more rounds, in which what moved may move on */
bool plan_order(struct plan *p);  /* false: some had to be left out; the layout is the one without them */
void plan_add(struct plan *p, uint32_t dom, uint32_t to, enum clu_plan_reason reason);

/* plan_rebuild.c; small clusters only */
/* A plan that stops at a number of moves: are others the better ones? */
void plan_overshoot(struct plan *p);
/* Take a few moves back at once and begin anew, many times. */
void plan_rebuild(struct plan *p);

#endif
