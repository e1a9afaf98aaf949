/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Placement: which host a domain may run on, and which is best. Hard rules first (each refusal has a reason that a person
 * understands), then a score. Pure; works on the replicated state plus what is only measured (struct clu_load).
 */
#ifndef HOSPES_CLUSTERD_CORE_PLACE_H
#define HOSPES_CLUSTERD_CORE_PLACE_H

#include "clusterd/core/clu.h"

/* Measured, not replicated: the newest each node knows, by slot. Zero: unknown. */
struct clu_dom_load {
	uint32_t cpu_milli;      /* CPU it uses, mean of the last minute */
	uint64_t used_bytes;     /* host memory behind its RAM */
	uint64_t dirty_bps;      /* octets it dirties per second */
};
struct clu_load {
	uint32_t cpu_used_milli[CLU_HOSTS_MAX]; /* of the whole host */
	uint64_t mem_used_bytes[CLU_HOSTS_MAX];
	const struct clu_dom_load *dom; /* by slot, dom_cap of them; NULL: nothing known */
	uint64_t time_ns;        /* CLOCK_REALTIME, to which the state's times are compared; 0: the state's own */
};

enum clu_why {
	CLU_WHY_OK = 0,
	CLU_WHY_OFFLINE, CLU_WHY_MAINTENANCE, CLU_WHY_ENGINE, CLU_WHY_CPU_FEATURES, CLU_WHY_MEMORY, CLU_WHY_BRIDGE, CLU_WHY_FILES,
	CLU_WHY_RULE_HOSTS, CLU_WHY_RULE_TOGETHER, CLU_WHY_RULE_APART, CLU_WHY_CONFLICT, CLU_WHY_FAILED_HERE,
	CLU_WHY_MAX
};
struct clu_verdict {
	enum clu_why why;        /* the first hard rule that forbids it; OK: none */
	int64_t score;           /* when OK: higher is better; comparable between hosts of one call only */
	char text[CLU_TEXT_MAX]; /* the reason or what the score is made of */
};

/* Judge one host (slot) for @d, wherever @d is now. FAILED_HERE is soft: it lowers the score, and is named in the text. */
void clu_judge(const struct clu_state *s, const struct clu_load *load, const struct clu_dom *d, uint32_t slot, struct clu_verdict *ret);
/*
 * The best host: its node id, or 0 with the commonest reason in @why (CLU_TEXT_MAX octets; may be NULL). Never @d's present host (nor its
 * target) when @elsewhere. @d is a record of @s, here and below.
 */
uint32_t clu_place(const struct clu_state *s, const struct clu_load *load, const struct clu_dom *d, bool elsewhere, char *why);
/*
 * N+1: with @d running too (NULL: as it is now), is there a host whose loss would leave a running domain without room? Returns the
 * node id of such a host with a text that names a domain, or 0.
 */
uint32_t clu_admit(const struct clu_state *s, const struct clu_load *load, const struct clu_dom *d, char *why);
/* Could @r hold at all with the domains as they are (a rule that contradicts another is refused)? 0 or -errno with a text. */
int clu_rule_check(const struct clu_state *s, const struct clu_rule *r, char *why);

const char *clu_why_name(enum clu_why w);

#endif
