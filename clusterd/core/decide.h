/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * What the coordinator of an active view proposes next. Pure: a function of state, view and measurements. Every proposal is a command that
 * names the revision it was made for, so that applying it is safe whatever came in between; one that is lost is made again.
 */
#ifndef HOSPES_CLUSTERD_CORE_DECIDE_H
#define HOSPES_CLUSTERD_CORE_DECIDE_H

#include "clusterd/core/place.h"

#define CLU_PROPOSALS_MAX 32u
#define CLU_STARTS_PER_HOST 4u /* at one time */

struct clu_view { /* the active one */
	const uint32_t *member;
	uint32_t n;
	uint64_t commit;
	uint64_t coming[CLU_HOSTS_MAX / 64]; /* slots of hosts outside that are heard of and may be about to come: they are not lost yet */
	bool settling; /* who is not in it may be about to come: nobody is lost yet */
};

struct clu_proposals {
	uint32_t n;
	struct clu_cmd cmd[CLU_PROPOSALS_MAX];
	uint64_t fence[CLU_HOSTS_MAX / 64]; /* slots of lost hosts that a fence agent should be asked for */
	uint64_t next_ns;                   /* cluster time at which to look again (a back-off ends); CLU_NEVER: at the next change */
};

/* @time_ns: CLOCK_REALTIME. Only domains whose rev is committed are looked at. At most CLU_PROPOSALS_MAX now, the rest next time. */
void clu_decide(const struct clu_state *s, const struct clu_view *v, const struct clu_load *load, uint64_t time_ns,
                struct clu_proposals *out);

#endif
