/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Events in, actions out, for both kinds of session: see pump.h. */
#include "config.h"
#include "migrated/io/pump.h"
#include "common/loop.h"
#include "hypervisor/api/hvmsg.h"

void pump_feed(struct pump *p, const struct mig_event *ev)
{
	if (p->n == PUMP_EVENTS_MAX)
		return;
	p->ev[(p->head + p->n++) % PUMP_EVENTS_MAX] = *ev;
	if (p->stepping)
		return;
	p->stepping = true;
	while (p->n) {
		struct mig_actions acts;
		struct mig_event e = p->ev[p->head];
		p->head = (p->head + 1) % PUMP_EVENTS_MAX;
		p->n--;
		if (!e.now_ns)
			e.now_ns = now_ns();
		p->ops->step(p->arg, &e, &acts);
		for (size_t i = 0; i < acts.n; i++)
			p->ops->act(p->arg, &acts.a[i]);
	}
	p->stepping = false;
	p->ops->drained(p->arg);
}

static const uint16_t calls[MIG_HV_MAX] = {
	[MIG_HV_LOGDIRTY_ENABLE] = HV_OP_LOGDIRTY_ENABLE,
	[MIG_HV_CLEAN] = HV_OP_LOGDIRTY_CLEAN,
	[MIG_HV_LOGDIRTY_DISABLE] = HV_OP_LOGDIRTY_DISABLE,
	[MIG_HV_THROTTLE] = HV_OP_THROTTLE,
	[MIG_HV_SUSPEND] = HV_OP_SUSPEND,
	[MIG_HV_RESUME] = HV_OP_RESUME,
	[MIG_HV_GET_STATE] = HV_OP_GET_STATE,
	[MIG_HV_RELINQUISH] = HV_OP_RELINQUISH,
	[MIG_HV_RECLAIM] = HV_OP_RECLAIM,
	[MIG_HV_DESTROY_MOVED] = HV_OP_DESTROY,
	[MIG_HV_SET_STATE] = HV_OP_SET_STATE,
	[MIG_HV_TAKE] = HV_OP_TAKE,
	[MIG_HV_PAUSE] = HV_OP_PAUSE,
	[MIG_HV_ANNOUNCE] = HV_OP_ANNOUNCE,
	[MIG_HV_LEASE] = HV_OP_LEASE,
	[MIG_HV_AUDIT] = HV_OP_AUDIT,
	[MIG_HV_MEMHASH] = HV_OP_MEMHASH,
};

bool pump_call(struct hva *h, enum mig_hv op, const union pump_req *req, int fd)
{
	return h && hva_call(h, calls[op], req, hvmsg_req_len(calls[op]), fd);
}

enum mig_hv pump_hv_of(uint16_t op)
{
	for (unsigned i = 1; i < MIG_HV_MAX; i++)
		if (calls[i] == op)
			return (enum mig_hv)i;
	return 0;
}
