/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Planned work: DISARM, and the PERMITs that hosts get for it. What a permit is worth, and why no copy runs twice by it: node_permit.c. */
#include "config.h"
#include "clusterd/core/apply_int.h"

#include <errno.h>
#include <string.h>

bool apply_disarmed(struct apply *a)
{
	if (a->s->disarm.id)
		apply_refuse(a, EBUSY, "the cluster is disarmed (vmclus arm ends that): ", a->s->disarm.text, "");
	return a->s->disarm.id != 0;
}

void apply_disarm(struct apply *a)
{
	const struct clu_cmd *c = a->c;
	struct clu_disarm d = { .id = a->s->index, .at_ns = a->s->time_ns, .for_ns = c->lease_ns };

	if (c->on && (!c->text[0] || c->lease_ns < CLU_DISARM_MIN_NS || c->lease_ns > CLU_DISARM_MAX_NS)) {
		apply_refuse(a, EINVAL, "a disarm has a reason, and lasts a second to a day", "", "");
		return;
	}
	if (!c->on && !a->s->disarm.id) {
		apply_refuse(a, EALREADY, "the cluster is not disarmed", "", "");
		return;
	}
	if (!c->on && c->op_id && c->op_id != a->s->disarm.id) {
		apply_refuse(a, ESTALE, "it was disarmed anew in between", "", "");
		return;
	}
	apply_text(d.text, c->text, "", "");
	apply_open(a, CLU_OBJ_DISARM, 0);
	a->s->disarm = c->on ? d : (struct clu_disarm){ 0 };
	apply_close(a, CLU_OBJ_DISARM, 0);
}

void apply_permit(struct apply *a)
{
	const struct clu_cmd *c = a->c;
	struct clu_host *h = clu_host_of(a->s, c->origin);

	if (!h || !c->rev || (c->on && (h->state != CLU_HOST_ONLINE || h->boot != c->boot))) {
		apply_refuse(a, ESTALE, "only a host that is online gets a permit", "", "");
		return;
	}
	if (c->on ? c->op_id != a->s->disarm.id || !a->s->disarm.id || c->lease_ns > 2 * CLU_DISARM_MAX_NS
	          : c->rev != h->permit_id) {
		apply_refuse(a, ESTALE, "that disarm is over", "", "");
		return;
	}
	if (c->on && c->rev == h->permit_id)
		return; /* said twice */
	uint32_t slot = clu_slot(a->s, h);
	apply_open(a, CLU_OBJ_HOST, slot);
	h->permit_id = c->on ? c->rev : 0;
	h->permit_ns = c->on ? c->lease_ns : 0;
	h->permit_for = c->on ? c->op_id : 0;
	apply_close(a, CLU_OBJ_HOST, slot);
}
