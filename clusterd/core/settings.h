/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * What people order for domains (struct clu_settings) and hosts (spares) besides rules: what of it counts now. Pure, as clu.h. ADR 105.
 *
 * A spare host is *open* when another host of the node list that carries domains is lost, safe, in maintenance or being shut down, or when
 * there is no ordinary host at all; else it is *shut*: it gets no domain by a start, a drain or the balancer.
 * Those that are there may stay.
 */
#ifndef HOSPES_CLUSTERD_CORE_SETTINGS_H
#define HOSPES_CLUSTERD_CORE_SETTINGS_H

#include "clusterd/core/clu.h"

/* True if every value is within its range, and 0 without its bit. */
bool clu_settings_ok(const struct clu_settings *set);
/* Higher first, for starts. */
static inline int32_t clu_priority(const struct clu_dom *d) { return d->set.has & CLU_SET_PRIORITY ? d->set.priority : d->spec.priority; }
/* With so many crashes within *@ret_ns it is given up: one more than it is restarted. */
uint32_t clu_crashes_max(const struct clu_state *s, const struct clu_dom *d, uint64_t *ret_ns);
/* True if only a person or a drain moves it: by order, or because it cools down. *@ret_ns (may be NULL): when that ends, or CLU_NEVER. */
bool clu_stays(const struct clu_dom *d, uint64_t time_ns, uint64_t *ret_ns);
/* True if the host in @slot, a spare, takes domains now. By the host's own node list: for decisions, not for what all nodes apply. */
bool clu_spare_open(const struct clu_state *s, uint32_t slot);

#endif
