/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * A plan in the making: a layout that changes move by move and keeps its spread up to date (plan_layout.c), the search for the best next
 * move (plan_search.c), repairs, refinement and the order (plan_refine.c), ways out of local optima (plan_rebuild.c), and all of it
 * together (plan.c).
 */
#ifndef HOSPES_CLUSTERD_CORE_PLAN_INT_H
#define HOSPES_CLUSTERD_CORE_PLAN_INT_H

#include "clusterd/core/plan.h"

#define PLAN_NONE  UINT32_MAX
#define PLAN_DIRS  5u   /* directions in which hosts are ranked */
#define PLAN_TAKE  8u   /* receivers tried in each direction */
#define PLAN_GIVE  2u   /* givers tried in each direction */
#define PLAN_FULL  400000u /* hosts x domains up to which every pair is tried */
#define PLAN_ROW_SMALL 64u /* a row of up to so many hosts is tried host by host */
#define PLAN_SOFT  0.25 /* the worth of keeping a soft rule */

struct plan_sum { double s, q; }; /* sum and sum of squares of the deviations from a fixed centre */

struct plan_host {
	double em, ec;           /* loads of memory and CPU less the centre */
	double im, ic;           /* the load that one octet, or one milli CPU, makes */
	uint64_t mem, cap;
	uint32_t first;          /* domain there; PLAN_NONE: none */
	uint32_t seen;           /* mark of the last list of candidates that it was put on */
	bool usable, dry;        /* dry: no move from here was worth it, as of the last look */
};

struct plan_link {
	uint32_t next, prev, at;
	double cost_s;
	bool moved;              /* already, in this round */
	uint8_t repair;          /* enum clu_plan_reason of a repair, after which it never moves again; 0: none */
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
	uint32_t *list;          /* n_host: candidates to give; n_list in use */
	struct plan_receiver *recv; /* n_host: candidates to take; n_recv in use */
	uint32_t n_list, n_recv;
	uint32_t *row_n;         /* hosts in each row, of the first n_host + n_dom rows */
	struct clu_plan_move *move; /* while searching only dom, from, to and reason are set */
	uint32_t *saved;         /* n_dom: hosts of a layout to go back to */
	uint32_t n_move, max_move, move_cap, n_repair, n_stuck;
	uint64_t trials, effort; /* trials made, and how many may be before refinement ends */
};

/* plan_layout.c */
/* Cut @size octets, aligned, off the workspace [*@at, @end); too little is a programmer error. */
void *plan_cut(uint8_t **at, const uint8_t *end, size_t size);
size_t plan_layout_bytes(uint32_t n_host, uint32_t n_dom);
void plan_layout_init(struct plan *p, void *ws, size_t ws_bytes);
void plan_layout_reset(struct plan *p);                          /* as the snapshot has it */
void plan_put(struct plan *p, uint32_t dom, uint32_t to);        /* moves @dom, and updates loads and spread */
double plan_spread_with(const struct plan *p, uint32_t dom, uint32_t to);
bool plan_fits(const struct plan *p, uint32_t dom, uint32_t to); /* memory */
bool plan_allowed(const struct plan *p, uint32_t dom, uint32_t to); /* by its row and its hard ties */
double plan_soft(const struct plan *p, uint32_t dom, uint32_t to);  /* number of soft rules broken there */
double plan_sd(double s, double q, double inv_n);
uint64_t plan_row_word(const struct plan *p, uint32_t row, uint32_t word); /* without bits beyond n_host */

/* plan_search.c */
void plan_search_init(struct plan *p);
void plan_rank(struct plan *p, uint32_t host); /* rank it anew: its load changed */
void plan_dry(struct plan *p, uint32_t host, bool dry);
/* The worthiest single move of a domain that has not moved yet. False: none is worth move_worth. */
bool plan_best(struct plan *p, struct plan_trial *ret);
/* The same for one domain and all hosts. @any: whatever its worth. */
bool plan_best_of(struct plan *p, uint32_t dom, bool any, struct plan_trial *ret);

/* plan_refine.c */
void plan_list(struct plan *p);   /* make the list anew, from where domains are; repairs first */
void plan_repair(struct plan *p);
void plan_descend(struct plan *p);
void plan_refine(struct plan *p);
void plan_again(struct plan *p);  /* more rounds, in which a domain that moved may move on */
bool plan_order(struct plan *p);  /* false: some moves never fit, and are left out of list and layout */
void plan_add(struct plan *p, uint32_t dom, uint32_t to, enum clu_plan_reason reason);

/* plan_rebuild.c; small clusters only */
/* If the plan stops at the limit of moves: look for a better set of as many. */
void plan_overshoot(struct plan *p);
/* Many times: take a few moves back at once, and begin anew from there. */
void plan_rebuild(struct plan *p);

#endif
