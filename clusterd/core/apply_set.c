/* SPDX-License-Identifier: GPL-2.0-or-later */
/* What people order besides rules: SET of a domain, SPARE of a host. What follows from it: settings.h. */
#include "config.h"
#include "clusterd/core/apply_int.h"
#include "clusterd/core/settings.h"

#include <errno.h>
#include <string.h>

/* As after an order to start it. One that was given up is tried again, if it is to run. */
static void forget_failures(struct clu_dom *d)
{
	bool force = d->force;

	d->failures = 0;
	d->window_ns = 0;
	if (d->phase == CLU_PHASE_FAILED)
		apply_disown(d, force, "");
	if (d->phase == CLU_PHASE_STOPPED)
		d->retry_ns = 0;
	apply_fails_forget(d);
}

void apply_set(struct apply *a)
{
	const struct clu_settings *to = &a->c->set;
	uint32_t mask = a->c->mask;
	struct clu_dom *d = apply_the_dom(a);

	if (!d)
		return;
	if (mask & ~CLU_SET_ALL || to->has & ~mask || !clu_settings_ok(to) || (!mask && !a->c->on)) {
		apply_refuse(a, EINVAL, "a setting is out of its range (vmclus set --help)", "", "");
		return;
	}
	apply_dom_open(a, d);
	d->set.has = (d->set.has & ~mask) | to->has;
	if (mask & CLU_SET_PRIORITY)
		d->set.priority = to->priority;
	if (mask & CLU_SET_RESTARTS) {
		d->set.restarts = to->restarts;
		d->set.restart_ns = to->restart_ns;
	}
	if (mask & CLU_SET_COOLDOWN)
		d->set.cooldown_ns = to->cooldown_ns;
	if (!(d->set.has & CLU_SET_COOLDOWN))
		d->moved_ns = 0;
	if (a->c->on)
		forget_failures(d);
	apply_dom_close(a, d);
}

void apply_spare(struct apply *a)
{
	struct clu_host *h = clu_host_of(a->s, a->c->host);

	if (!h) {
		apply_refuse(a, ENOENT, "no such host in corosync's node list", "", "");
		return;
	}
	if (a->c->on && h->witness) {
		apply_refuse(a, EINVAL, h->name, " is a witness: it carries no domains anyway", "");
		return;
	}
	if (h->spare == a->c->on)
		return;
	apply_open(a, CLU_OBJ_HOST, clu_slot(a->s, h));
	h->spare = a->c->on;
	apply_close(a, CLU_OBJ_HOST, clu_slot(a->s, h));
}
