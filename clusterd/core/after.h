/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Rules of kind AFTER: member[0] starts when the others run. What a domain waits for, and who is stopped first, follows from state and
 * measurements. Pure, as clu.h.
 *
 * A domain *is up* when it is to run, and its owner is online and not about to end it (CLU_LEAVING_ENDING). A name that is no domain's
 * binds nobody. A soft rule orders only: it waits for nobody that is not to run anyway, or was given up.
 */
#ifndef HOSPES_CLUSTERD_CORE_AFTER_H
#define HOSPES_CLUSTERD_CORE_AFTER_H

#include "clusterd/core/place.h"

/*
 * Has @d to wait for another domain? @why (CLU_TEXT_MAX octets; may be NULL) says for which, and why. @load NULL: only whether they are up,
 * which the state says; else also health and delays, by @time_ns (CLOCK_REALTIME). @ret_ns (may be NULL): when only a delay is waited for,
 * until when; else CLU_NEVER.
 */
bool clu_after_waits(const struct clu_state *s, const struct clu_load *load, const struct clu_dom *d, uint64_t time_ns, uint64_t *ret_ns,
                     char *why);
/* One that starts after @d, is to be stopped, too, and is there still: it goes first. NULL: none, or its stop failed. */
const struct clu_dom *clu_after_goes_first(const struct clu_state *s, const struct clu_dom *d);
/* The same for domains of @node that go down with it, whatever they are to be. */
const struct clu_dom *clu_after_there(const struct clu_state *s, const struct clu_dom *d, uint32_t node);
/* Would @r, of kind AFTER, make a domain wait for itself? @why (may be NULL) names the circle. O(rules x rules). */
bool clu_after_cycle(const struct clu_state *s, const struct clu_rule *r, char *why);

#endif
