/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Copies that were suspended when this host's lease ran out (docs/fencing.md). Here is decided whether they go on: only as what the
 * committed state says of this host, and only with a lease. hvdom sees to it that the disk agrees.
 */
#include "config.h"
#include <inttypes.h>
#include <string.h>
#include "clusterd/io/local_int.h"
#include "common/log.h"
#include "common/util.h"
#include "hypervisor/api/hvproc.h"

#define AGAIN_NS NS_PER_S
#define STOP_NS  (3 * NS_PER_S) /* one that is to be stopped is resumed for that, if it can be so soon */

/* Is it what the state says runs here? A target's copy runs in a generation above the one that the state still knows. */
static bool is_ours(const struct ldom *x, const struct clu_dom *d)
{
	uint64_t least = d->generation + (x->todo == CLU_TODO_ACCEPT);

	return !strcasecmp(x->hv.info.uuid, x->uuid) && x->hv.info.generation >= least;
}

static void unpark(struct ldom *x, uint64_t now)
{
	struct hv_park_req q = { .lease_ns = nodeio_lease_until_ns(x->l->n) };

	ldom_doing(x, "suspended, going on");
	if (x->park.asked_ns && now < x->park.asked_ns + AGAIN_NS)
		return;
	x->park.asked_ns = now;
	ldom_call(x, HV_OP_UNPARK, &q, sizeof(q));
}

bool ldom_parked(struct ldom *x, const struct clu_dom *d)
{
	uint64_t now = boot_ns();

	if (!ldom_is_parked(x)) {
		if (x->park.since_ns && x->hv.have_info) {
			x->park.since_ns = x->park.asked_ns = 0;
			x->doing[0] = 0;
		}
		return false;
	}
	if (!x->park.since_ns)
		x->park.since_ns = now;
	if (!is_ours(x, d)) {
		log_warn("%s: a suspended copy of before (generation %" PRIu64 ") is none of the cluster's: killing it",
		         x->name, x->hv.info.generation);
		(void)!hvproc_kill(x->name);
		return true;
	}
	bool lease = nodeio_has_lease(x->l->n);
	if (x->todo == CLU_TODO_STOP && (!lease || now > x->park.since_ns + STOP_NS))
		return false; /* it is ended as it is */
	if (lease)
		unpark(x, now);
	else
		ldom_doing(x, "suspended: this host has no lease");
	return true;
}
