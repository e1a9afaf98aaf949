/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Placement: on which hosts a domain may run, and which is best. Hard rules come first, and each refusal has a reason for people; then a
 * score. Pure; works on the replicated state and on measurements (struct clu_load).
 */
#ifndef HOSPES_CLUSTERD_CORE_PLACE_H
#define HOSPES_CLUSTERD_CORE_PLACE_H

#include "clusterd/core/clu.h"

/* Measured, not replicated: the latest values that this node received. 0: unknown. */
struct clu_dom_load {
	uint32_t cpu_milli;      /* CPU in use, mean of the last minute */
	uint64_t used_bytes;     /* host memory behind its RAM */
	uint64_t dirty_bps;      /* octets that it dirties per second */
	char build[CLU_WORD_MAX]; /* of its engine, by its hvdom: begins as a host's; empty: not known */
	bool newer;              /* and a later version of that will do, if the rest is the same */
	uint64_t up_ns;          /* since when it runs where it is, CLOCK_REALTIME; 0: not known */
	uint64_t well_ns;        /* since when it is healthy: its guest's agent sends its heartbeat, its disks answer; 0: it is not */
};
struct clu_load {
	uint32_t cpu_used_milli[CLU_HOSTS_MAX]; /* of the whole host, by slot */
	uint64_t mem_used_bytes[CLU_HOSTS_MAX];
	const struct clu_dom_load *dom; /* by slot, dom_cap of them; NULL: nothing is known */
	uint64_t time_ns;        /* CLOCK_REALTIME; 0: use the state's time */
};

enum clu_why {
	CLU_WHY_OK = 0,
	CLU_WHY_OFFLINE, CLU_WHY_MAINTENANCE, CLU_WHY_ENGINE, CLU_WHY_CPU_FEATURES, CLU_WHY_MEMORY, CLU_WHY_BRIDGE, CLU_WHY_FILES,
	CLU_WHY_RULE_HOSTS, CLU_WHY_RULE_TOGETHER, CLU_WHY_RULE_APART, CLU_WHY_CONFLICT, CLU_WHY_FAILED_HERE, CLU_WHY_WITNESS,
	CLU_WHY_SPARE,
	CLU_WHY_MAX
};
struct clu_verdict {
	enum clu_why why;        /* the first hard rule that forbids it; OK: none */
	int64_t score;           /* when OK: higher is better; comparable within one call only */
	char text[CLU_TEXT_MAX]; /* the reason, or what the score is made of */
};

/* @d is a record of @s in all functions. @load may be NULL. Texts go to @why, CLU_TEXT_MAX octets; NULL: no text. */

/* Judge the host in @slot for @d, wherever @d is now. FAILED_HERE is soft: it lowers the score, and the text names it. */
void clu_judge(const struct clu_state *s, const struct clu_load *load, const struct clu_dom *d, uint32_t slot, struct clu_verdict *ret);
/* The node id of the best host; 0: none, @why gives the commonest reason. @elsewhere: neither @d's present host nor its target. */
uint32_t clu_place(const struct clu_state *s, const struct clu_load *load, const struct clu_dom *d, bool elsewhere, char *why);
/*
 * N+1: look for a host whose loss would leave a running domain without room, once @d runs too (NULL: as things are). Returns the host's
 * node id, and @why names the domain; 0: there is none.
 */
uint32_t clu_admit(const struct clu_state *s, const struct clu_load *load, const struct clu_dom *d, char *why);
/* Check that @r is well formed and contradicts no other rule. -EINVAL, -ENOENT, -E2BIG with @why. */
int clu_rule_check(const struct clu_state *s, const struct clu_rule *r, char *why);

const char *clu_why_name(enum clu_why w);

/*
 * The CPU features that all hosts have which can run guests of engine kvm (all hosts, if none can): what a processor of mode host-model is
 * made of. @slots: bits of the hosts that counted; one that never came up does not.
 */
void clu_cpu_baseline(const struct clu_state *s, uint64_t ret[CLU_CPU_WORDS], uint64_t slots[CLU_HOSTS_MAX / 64]);

#endif
