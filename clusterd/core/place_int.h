/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Shared by place.c (verdict and score), place_rules.c (rules against who is where), place_admit.c (loss of a host played through) and
 * plan_state.c (the balancer's snapshot). A world says where every domain is, so that one can be asked "what if".
 */
#ifndef HOSPES_CLUSTERD_CORE_PLACE_INT_H
#define HOSPES_CLUSTERD_CORE_PLACE_INT_H

#include "clusterd/core/place.h"

#define PLACE_NOWHERE 0xffu
_Static_assert(CLU_HOSTS_MAX < PLACE_NOWHERE, "a slot fits into an octet");

struct place_world {
	const struct clu_state *s;
	const struct clu_load *load;
	uint32_t n_host;
	uint64_t time_ns;                   /* of the look */
	uint64_t lost[CLU_HOSTS_MAX / 64];  /* slots taken away: as if OFFLINE */
	uint64_t mem[CLU_HOSTS_MAX];        /* of the domains there, a migration counted at both ends */
	uint64_t cpu[CLU_HOSTS_MAX];        /* expected use in milli CPUs, by measurement where there is one */
	uint8_t at[CLU_DOMS_MAX];           /* slot, or PLACE_NOWHERE */
	uint8_t also[CLU_DOMS_MAX];         /* MIGRATING: the target's */
};

/* What rules say about one domain, by slot. */
struct place_bounds {
	uint64_t deny[CLU_WHY_MAX][CLU_HOSTS_MAX / 64]; /* RULE_* and CONFLICT only */
	uint32_t rule[CLU_WHY_MAX];                     /* id of a rule that denies so */
	uint32_t soft[CLU_HOSTS_MAX];                   /* soft rules broken there */
	uint64_t group_bytes;                           /* of those it has to be together with that still need a place */
};

/* O(domains). The state has at most CLU_DOMS_MAX of them. */
void place_world_init(struct place_world *w, const struct clu_state *s, const struct clu_load *load);
void place_world_put(struct place_world *w, uint32_t dom, uint32_t slot); /* it was nowhere */
void place_world_also(struct place_world *w, uint32_t dom, uint32_t slot); /* it was at one place, and is pushed to @slot */
void place_world_take(struct place_world *w, uint32_t dom);               /* off all hosts */
/* O(rules that name it x domains). */
void place_bounds_init(struct place_bounds *b, const struct place_world *w, uint32_t dom);

uint32_t place_slot(const struct place_world *w, uint32_t node); /* PLACE_NOWHERE: none */
uint64_t place_mem_limit(const struct clu_state *s, const struct clu_host *h); /* with overcommit */
uint64_t place_dom_cpu(const struct clu_state *s, const struct clu_load *load, uint32_t dom);
bool place_usable(const struct place_world *w, uint32_t slot);   /* online, not in maintenance, not taken away */
/* The first hard rule against @dom on @slot, of all but rules and memory; those of place_bounds and memory. @y may say nothing. */
struct say;
enum clu_why place_fixed(const struct place_world *w, uint32_t dom, uint32_t slot, bool live, struct say *y);
enum clu_why place_hard(const struct place_world *w, const struct place_bounds *b, uint32_t dom, uint32_t slot, bool live, struct say *y);
/*
 * The best host for @dom: its slot, or PLACE_NOWHERE with the commonest reason in @why (CLU_TEXT_MAX octets; may be NULL). Never where it
 * is (nor goes) when @elsewhere.
 */
uint32_t place_best(const struct place_world *w, uint32_t dom, bool elsewhere, char *why);
/* How often it failed to take @dom, as far as that counts now. */
uint32_t place_fails(const struct place_world *w, uint32_t dom, uint32_t slot);
/* Does hard or soft rule @r of kind HOSTS let its domain onto @h? */
bool place_hosts_rule(const struct clu_rule *r, const struct clu_host *h);

#endif
