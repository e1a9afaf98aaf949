/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * A host that loses quorum parks its domains instead of ending them: the guest stands still, its writes are on the disk, the locks are
 * released, and nothing is written while it is so, the leases least of all: for other hosts it is a domain whose host died. It comes back
 * only if nobody started it in between. Main thread; docs/fencing.md, docs/wire/lease.md.
 */
#include "config.h"
#include "hypervisor/domain_int.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include "common/log.h"
#include "common/util.h"

int domain_park(struct domain *d, uint64_t lease_ns, struct err *err)
{
	int r = 0;

	if (d->state != HV_DOM_PARKED) {
		/* a push may be about to give it away: that is settled by its own protocol */
		if (d->logger || !d->owner)
			return err_set(err, EBUSY, "domain '%s' is being moved", d->cfg->name);
		if (d->state == HV_DOM_RUNNING)
			r = domain_stop(d, NULL, err);
		if (r)
			return r;
		r = devs_sync(d->devs, err);
		if (r) {
			if (d->state == HV_DOM_RUNNING && domain_go(d, NULL))
				log_error("cannot let the guest run on");
			return r;
		}
		d->owner = false;
		devs_unlock(d->devs);
		log_warn("domain '%s' is suspended: this host's lease runs out", d->cfg->name);
		domain_set_state(d, HV_DOM_PARKED, "suspended: this host's lease runs out");
	}
	if (lease_ns > d->park_lease_ns)
		d->park_lease_ns = lease_ns;
	return 0;
}

/* Whoever takes the domain over needs the locks or a higher generation, so one look at both, under the locks, tells. */
static int own_again(struct domain *d, struct err *err)
{
	struct lease_record left = { .generation = d->generation, .state = LEASE_RUNNING };
	int r = devs_lock(d->devs, err);

	if (r)
		return r == -EAGAIN ? -ESTALE : r;
	snprintf(left.owner, sizeof(left.owner), "%s", d->host);
	r = leases_check(&d->leases, &left, err);
	if (r) {
		devs_unlock(d->devs);
		return r;
	}
	d->owner = true;
	return 0;
}

int domain_unpark(struct domain *d, uint64_t lease_ns, struct err *err)
{
	int r;

	/* an order of before the last PARK that was late, or that came to be read only now */
	if (lease_ns <= d->park_lease_ns || boot_ns() >= lease_ns)
		return err_set(err, ETIME, "the lease that would let domain '%s' go on is over", d->cfg->name);
	r = own_again(d, err);
	if (r)
		return r;
	if (boot_ns() >= lease_ns) { /* a network file system took its time */
		devs_unlock(d->devs);
		d->owner = false;
		return err_set(err, ETIME, "the lease that would let domain '%s' go on ended meanwhile", d->cfg->name);
	}
	if (d->paused) {
		domain_set_state(d, HV_DOM_PAUSED, "as before: paused");
		return 0;
	}
	r = domain_go(d, err);
	if (r)
		return -ESTALE; /* half of it may run: it is ours, and ends */
	log_info("domain '%s' goes on", d->cfg->name);
	domain_set_state(d, HV_DOM_RUNNING, "goes on: this host has a lease again");
	domain_announce(d);
	return 0;
}
