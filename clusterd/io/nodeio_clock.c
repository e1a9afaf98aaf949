/* SPDX-License-Identifier: GPL-2.0-or-later */
/* The clocks of this host, as far as its lease is concerned: which it has, the lease on each of them, and what others' say. docs/fencing.md */
#include "config.h"
#include <stdio.h>
#include "clusterd/io/guardlink.h"
#include "clusterd/io/nodeio_int.h"
#include "common/log.h"
#include "common/util.h"

void nodeio_clock_init(struct nodeio *n)
{
	n->clocks = clocks_look(&n->use_tsc);
	if (n->clocks == CLOCKS_MAY_STOP)
		log_warn(
			"this machine is a virtual one without a clock that runs on while its hypervisor has it paused: when it is lost, "
			"the end of its lease does not make it safe; it wants a fence agent, an invariant TSC, or the policy "
			"stopping_clocks=trust (%s/fencing.md)",
			path_doc());
	if (n->use_tsc)
		tsc_rate_measure(&n->rate);
}

void nodeio_clock_lease(struct nodeio *n, const struct clu_action *a)
{
	uint64_t ticks = a->from_tick ? tsc_rate_ticks(&n->rate, a->lease_ns) : 0, park_ns = nodeio_park_ns(n);
	struct moment at = { .boot_ns = a->at_ns, .tsc = ticks ? a->from_tick + ticks : 0 };

	/* on the clock that is ahead, as any deadline */
	if (a->permitted && n->permit.tsc && (!at.tsc || at.tsc > n->permit.tsc))
		at.tsc = n->permit.tsc;
	guardlink_lease(n->guard, &at, park_ns, ticks ? tsc_rate_ticks(&n->rate, park_ns) : 0, n->life);
}

void nodeio_clock_permit(struct nodeio *n, const struct clu_action *a)
{
	uint64_t ticks = a->from_tick ? tsc_rate_ticks(&n->rate, a->lease_ns) : 0;

	n->permit = (struct moment){ .boot_ns = a->at_ns, .tsc = ticks ? a->from_tick + ticks : 0 };
	if (a->at_ns)
		log_warn(
			"the cluster is disarmed: for %.0f s at most domains run on here, whether this host hears others or not",
			(double)(a->at_ns - boot_ns()) / 1e9);
	else
		log_warn("the cluster is armed again: domains run here as long as others hear this host");
}

void nodeio_clock_stood(struct nodeio *n, uint64_t lost_ns)
{
	const struct clu_host *h = clu_host_of(n->s, n->cfg.node);
	const char *host = h ? h->name : "";
	char text[CLU_TEXT_MAX];

	snprintf(text, sizeof(text),
	         "the clock of %s stood still for about %.1f s, as others' clocks say: was it paused?", host,
	         (double)lost_ns / 1e9);
	log_error("%s", text);
	nodeio_event(n, n->s->index, "clock-stood", host, text);
}
