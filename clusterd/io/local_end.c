/* SPDX-License-Identifier: GPL-2.0-or-later */
/* This host is being shut down (leave.c): each of its domains comes to an end here, whatever the state wants of it otherwise. */
#include "config.h"
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include "clusterd/core/after.h"
#include "clusterd/io/local_int.h"
#include "clusterd/guard/managed.h"
#include "common/log.h"
#include "common/util.h"
#include "hypervisor/api/hvproc.h"

#define FORCE_NS (2 * NS_PER_S) /* from DESTROY to the end of the time */

/* How long its guest may take, from when it was asked. */
static uint64_t grace(const struct ldom *x)
{
	const struct local *l = x->l;
	uint64_t from = x->stop.since_ns ? x->stop.since_ns : boot_ns();
	uint64_t left = l->ending_ns > from + FORCE_NS ? l->ending_ns - from - FORCE_NS : 0;

	if (l->end_at_once)
		return 0;
	return left < l->conf->stop_grace_ns ? left : l->conf->stop_grace_ns;
}

/* The time is over: by force. */
static bool forced(struct ldom *x)
{
	if (boot_ns() < x->l->ending_ns)
		return false;
	if (x->start.pid)
		kill(x->start.pid, SIGKILL);
	if (x->hv.alive && hvproc_kill(x->name) < 0)
		log_error("%s does not end", x->name);
	return true;
}

/* One that starts after it is here still, and there is time for both, one after the other. */
static bool is_early(struct ldom *x, const struct clu_dom *d)
{
	const struct local *l = x->l;
	const struct clu_dom *first = l->end_at_once || x->stop.since_ns
	                                      ? NULL
	                                      : clu_after_there(nodeio_state(l->n), d, local_me(l));

	if (!first || boot_ns() + l->conf->stop_grace_ns + FORCE_NS > l->ending_ns)
		return false;
	ldom_doing(x, "powered off when %s is: this host is shut down", first->name);
	return true;
}

/* A copy that runs, or stands still and is not settled by a migration. */
static void end_copy(struct ldom *x)
{
	if (!x->hv.have_info && !ldom_hangs(x) && !x->stop.since_ns)
		return; /* its state in a moment */
	ldom_doing(x, x->stop.destroy_ns ? "being ended: this host is shut down"
	                                 : "asked to power off: this host is shut down");
	ldom_end(x, grace(x));
}

bool ldom_ending(struct ldom *x, const struct clu_dom *d, enum clu_todo todo)
{
	if (todo == CLU_TODO_KILL || todo == CLU_TODO_NONE)
		return false;
	if ((x->hv.alive || x->start.pid) && forced(x))
		return true;
	switch (todo) {
	case CLU_TODO_START:
		if (x->hv.alive || x->start.pid)
			return false; /* it is ended when it is up */
		managed_remove(x->name);
		ldom_result(x, d, CLU_RESULT_START_FAILED, x->start.lease_generation, "the host is being shut down");
		return true;
	case CLU_TODO_WATCH:
		if (x->hv.alive && is_early(x, d))
			return true;
		if (x->hv.alive)
			end_copy(x);
		else if (d->spec.ha) /* another host may start it, before this one has ended all */
			ldom_observed(x, CLU_SEEN_ENDED, d->generation, "");
		return true;
	default:
		return false;
	}
}

void ldom_ending_alone(struct ldom *x)
{
	if ((!x->hv.alive && !x->start.pid) || forced(x) || !x->hv.alive)
		return;
	if (x->hv.have_info && (x->hv.info.state == HV_DOM_RELINQUISHED || x->hv.info.state == HV_DOM_INCOMING ||
	                        x->hv.info.state == HV_DOM_RESTORED))
		return; /* that one its migration settles, or the end of the time */
	end_copy(x);
}

void local_ending(struct local *l, uint64_t until_ns, bool at_once)
{
	l->ending_ns = until_ns;
	l->end_at_once = at_once;
	for (struct ldom *x = l->doms; !until_ns && x; x = x->next)
		x->stop.since_ns = x->stop.destroy_ns = 0;
	local_changed(l);
}

bool local_lives(const struct local *l)
{
	for (const struct ldom *x = l->doms; x; x = x->next)
		if (x->hv.alive || x->start.pid)
			return true;
	return false;
}
