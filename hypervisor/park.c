/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * A host that loses quorum parks its domains instead of ending them: the guest stands still, its writes are on the disk, the locks are
 * released, and nothing is written while it is so, the leases least of all: for other hosts it is a domain whose host died. It comes back
 * only if nobody started it in between. Main thread; docs/fencing.md, docs/wire/lease.md.
 */
#include "config.h"
#include "hypervisor/domcall_int.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include "common/log.h"
#include "common/util.h"

static int park_done(struct domain *d, int r, struct err *err)
{
	(void)err;
	if (r < 0)
		return r;
	d->owner = false;
	log_warn("domain '%s' is suspended: this host's lease runs out", d->cfg->name);
	domain_set_state(d, HV_DOM_PARKED, "suspended: this host's lease runs out");
	if (d->pend.park.lease_ns > d->park_lease_ns)
		d->park_lease_ns = d->pend.park.lease_ns;
	return 0;
}

int domain_park(struct domain *d, uint64_t lease_ns, struct err *err)
{
	if (d->state == HV_DOM_PARKED) {
		if (lease_ns > d->park_lease_ns)
			d->park_lease_ns = lease_ns;
		return 0;
	}
	/* a push may be about to give it away: that is settled by its own protocol */
	if (d->logger || !d->owner)
		return err_set(err, EBUSY, "domain '%s' is being moved", d->cfg->name);
	d->pend.park.lease_ns = lease_ns;
	return domain_pend(d, domain_stop(d, STOP_SYNC | STOP_UNLOCK, domain_pend_over, err), park_done, err);
}

/* Whoever takes the domain over needs the locks or a higher generation, so one look at both, under the locks, tells. */
static int own_again(void *arg, struct err *err)
{
	struct domain *d = arg;
	struct lease_record left = { .generation = d->generation, .state = LEASE_RUNNING };

	if (!slow_commit(d->slow))
		return -ECANCELED;
	int r = devs_lock(d->devs, err);
	if (r < 0)
		return r == -EAGAIN ? -ESTALE : r;
	snprintf(left.owner, sizeof(left.owner), "%s", d->host);
	r = leases_check(&d->leases, &left, err);
	if (r < 0)
		devs_unlock(d->devs);
	return r;
}

static int unpark_done(struct domain *d, int r, struct err *err)
{
	/* a network file system took its time */
	if (!r && (boot_ns() >= d->pend.park.lease_ns || deadline_page_over(d->deadline))) {
		devs_unlock(d->devs);
		return err_set(err, ETIME, "the lease that would let domain '%s' go on ended meanwhile", d->cfg->name);
	}
	if (!r) {
		d->owner = true;
		devs_owned(d->devs);
	}
	if (!r && d->paused) {
		domain_set_state(d, HV_DOM_PAUSED, "as before: paused");
		return 0;
	}
	if (!r && domain_go(d, err))
		r = -ESTALE; /* half of it may run: it is ours, and ends */
	if (r == -ESTALE)
		domain_cannot_run(d, err->text);
	if (r < 0)
		return r;
	log_info("domain '%s' goes on", d->cfg->name);
	domain_set_state(d, HV_DOM_RUNNING, "goes on: this host has a lease again");
	domain_announce(d);
	return 0;
}

int domain_unpark(struct domain *d, uint64_t lease_ns, struct err *err)
{
	/* an order of before the last PARK that was late, or that came to be read only now */
	if (lease_ns <= d->park_lease_ns || boot_ns() >= lease_ns || deadline_page_over(d->deadline))
		return err_set(err, ETIME, "the lease that would let domain '%s' go on is over", d->cfg->name);
	d->pend.park.lease_ns = lease_ns;
	return domain_job(d, own_again, unpark_done, UINT64_MAX, err);
}
