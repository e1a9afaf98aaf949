/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * What the coordinator of an active view proposes next: a pure function of state, view and measurements. Every proposal is a command that
 * names the revision that it is for, so a proposal that comes late does no harm. A lost one is made again.
 */
#ifndef HOSPES_CLUSTERD_CORE_DECIDE_H
#define HOSPES_CLUSTERD_CORE_DECIDE_H

#include "clusterd/core/place.h"

#define CLU_PROPOSALS_MAX 32u
#define CLU_STARTS_PER_HOST 4u /* at a time */

struct clu_view { /* the active one */
	const uint32_t *member;
	uint32_t n;
	uint64_t commit;
	uint64_t coming[CLU_HOSTS_MAX / 64]; /* slots of hosts outside whose datagrams arrive: they may come back, and are not lost yet */
	uint64_t disarm_left_ns; /* clu_node_disarm_left() */
	uint64_t awaited[CLU_HOSTS_MAX / 64]; /* slots of hosts that clu_node_awaits(): not lost yet either */
};

struct clu_proposals {
	uint32_t n;
	struct clu_cmd cmd[CLU_PROPOSALS_MAX];
	uint64_t fence[CLU_HOSTS_MAX / 64]; /* slots of lost hosts to be fenced by an agent */
	uint64_t next_ns;                   /* cluster time to decide again (a backoff ends); CLU_NEVER: at the next change */
};

/*
 * Fill @out with at most CLU_PROPOSALS_MAX commands; the rest follows at the next call. @time_ns: CLOCK_REALTIME. Domains whose rev is not
 * committed are left alone.
 */
void clu_decide(const struct clu_state *s, const struct clu_view *v, const struct clu_load *load, uint64_t time_ns,
                struct clu_proposals *out);

#endif
