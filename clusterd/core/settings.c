/* SPDX-License-Identifier: GPL-2.0-or-later */
/* See settings.h. */
#include "config.h"
#include "clusterd/core/settings.h"
#include "clusterd/core/node.h"

#define CLOCKS_NS 10000000000ull /* how far hosts' clocks may differ: the move may be in the future of this one */

/* A value without its bit is 0. */
static bool absent(const struct clu_settings *set, uint32_t bit, uint64_t value)
{
	return set->has & bit || !value;
}

bool clu_settings_ok(const struct clu_settings *set)
{
	return !(set->has & ~CLU_SET_ALL) && set->priority >= -CLU_PRIORITY_MOST &&
	       set->priority <= CLU_PRIORITY_MOST && set->restarts <= CLU_RESTARTS_MOST &&
	       set->restart_ns <= CLU_SET_TIME_MAX_NS && set->cooldown_ns <= CLU_SET_TIME_MAX_NS &&
	       absent(set, CLU_SET_PRIORITY, set->priority != 0) &&
	       absent(set, CLU_SET_RESTARTS, set->restarts | set->restart_ns) &&
	       absent(set, CLU_SET_COOLDOWN, set->cooldown_ns);
}

uint32_t clu_crashes_max(const struct clu_state *s, const struct clu_dom *d, uint64_t *ret_ns)
{
	*ret_ns = d->set.has & CLU_SET_RESTARTS ? d->set.restart_ns : s->policy.restart_window_ns;
	return d->set.has & CLU_SET_RESTARTS ? d->set.restarts + 1
	       : d->spec.restart_max         ? d->spec.restart_max
	                                     : s->policy.restart_max;
}

bool clu_stays(const struct clu_dom *d, uint64_t time_ns, uint64_t *ret_ns)
{
	uint64_t until = d->moved_ns + d->set.cooldown_ns;
	bool forever = d->set.has & CLU_SET_NO_BALANCE;

	if (ret_ns)
		*ret_ns = forever ? CLU_NEVER : until;
	/* a clock that was set back does not make it longer */
	return forever || (d->set.has & CLU_SET_COOLDOWN && d->moved_ns &&
	                   clu_to_come(until, time_ns, d->set.cooldown_ns + CLOCKS_NS));
}

bool clu_spare_open(const struct clu_state *s, uint32_t slot)
{
	bool ordinary = false;

	for (uint32_t i = 0; i < s->n_nodes; i++) {
		const struct clu_host *h = &s->host[i];

		if (i == slot || h->witness || h->state == CLU_HOST_NEW)
			continue;
		if (h->state != CLU_HOST_ONLINE || h->maintenance || h->leaving != CLU_LEAVING_NOT)
			return true;
		ordinary |= !h->spare;
	}
	return !ordinary;
}
