/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Shared by place.c (verdict and score), place_rules.c (rules against who is where), place_admit.c (the loss of a host tried out),
 * decide.c, and plan_state.c (the balancer's snapshot). A world says where every domain is, and can be changed to ask "what if".
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
	uint64_t time_ns;                   /* now, in cluster time */
	uint64_t lost[CLU_HOSTS_MAX / 64];  /* slots to be treated as OFFLINE */
	bool in_need;                       /* spare hosts are open, whatever the state says */
	uint64_t mem[CLU_HOSTS_MAX];        /* octets of the domains there; a migration counts at both ends */
	uint64_t cpu[CLU_HOSTS_MAX];        /* expected use in milli CPUs, measured where possible */
	uint8_t at[CLU_DOMS_MAX];           /* slot, or PLACE_NOWHERE */
	uint8_t also[CLU_DOMS_MAX];         /* MIGRATING: the target's slot */
};

/* What the rules say about one domain, by slot. */
struct place_bounds {
	uint64_t deny[CLU_WHY_MAX][CLU_HOSTS_MAX / 64]; /* RULE_* and CONFLICT only */
	uint32_t rule[CLU_WHY_MAX];                     /* id of a rule that denies for that reason */
	uint32_t soft[CLU_HOSTS_MAX];                   /* number of soft rules broken there */
	uint64_t group_bytes;                           /* memory of the domains to be together with it that have no place yet */
};

/* O(domains). @s has at most CLU_DOMS_MAX domains. */
void place_world_init(struct place_world *w, const struct clu_state *s, const struct clu_load *load);
void place_world_put(struct place_world *w, uint32_t dom, uint32_t slot); /* @dom was nowhere */
void place_world_also(struct place_world *w, uint32_t dom, uint32_t slot); /* @dom was at one place, and migrates to @slot */
void place_world_take(struct place_world *w, uint32_t dom);               /* off all hosts */
/* O(rules that name the domain x domains). */
void place_bounds_init(struct place_bounds *b, const struct place_world *w, uint32_t dom);

uint32_t place_slot(const struct place_world *w, uint32_t node); /* PLACE_NOWHERE: no such host */
uint64_t place_mem_limit(const struct clu_state *s, const struct clu_host *h); /* octets, overcommit included */
uint64_t place_dom_cpu(const struct clu_state *s, const struct clu_load *load, uint32_t dom); /* milli CPUs */
bool place_spare_shut(const struct place_world *w, uint32_t slot); /* it is a spare, and there is no need for it */
bool place_usable(const struct place_world *w, uint32_t slot);   /* online, takes domains, no spare that is shut, and not in lost */
struct say;
/* The first hard rule against @dom on @slot; its text goes to @y. @live: @dom migrates. Without memory, and without rules about others. */
enum clu_why place_fixed(const struct place_world *w, uint32_t dom, uint32_t slot, bool live, struct say *y);
/* The same with all hard rules. */
enum clu_why place_hard(const struct place_world *w, const struct place_bounds *b, uint32_t dom, uint32_t slot, bool live, struct say *y);
/* As clu_place(), with a slot or PLACE_NOWHERE. */
uint32_t place_best(const struct place_world *w, uint32_t dom, bool elsewhere, char *why);
/* clu_fails() of this world's time. */
uint32_t place_fails(const struct place_world *w, uint32_t dom, uint32_t slot);
/* True if rule @r of kind HOSTS, hard or soft, allows its domain on @h. */
bool place_hosts_rule(const struct clu_rule *r, const struct clu_host *h);

#endif
