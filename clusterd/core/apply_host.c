/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Commands about hosts: coming, being lost, being waited out, being safe. What a host's end means for each domain stands here. */
#include "config.h"
#include "clusterd/core/apply_int.h"

#include <errno.h>
#include <string.h>

static struct clu_host *the_host(struct apply *a, uint32_t node)
{
	struct clu_host *h = clu_host_of(a->s, node);

	if (!h)
		apply_refuse(a, ENOENT, "no such host in corosync's node list", "", "");
	return h;
}

static const struct clu_inventory *in_inventory(const struct clu_cmd *c, const char *uuid)
{
	for (uint32_t i = 0; i < c->n_inventory; i++)
		if (!strcmp(c->inventory[i].uuid, uuid))
			return &c->inventory[i];
	return NULL;
}

/*
 * What the host says of a domain that it owns. STARTING, MIGRATING and RESOLVING are settled by their results, not here. An inventory that
 * is older than the domain's last change says nothing: a migration may have brought it meanwhile.
 */
static void host_up_dom(struct apply *a, struct clu_dom *d)
{
	const struct clu_inventory *i = in_inventory(a->c, d->uuid);
	bool runs = i && i->generation >= d->generation;

	if ((d->phase != CLU_PHASE_RUNNING && d->phase != CLU_PHASE_STOPPING) || d->rev > a->c->rev)
		return;
	if (runs && i->generation == d->generation)
		return;
	apply_dom_open(a, d);
	if (runs)
		d->generation = i->generation;
	else
		apply_disown(d, true, "its host came back without it");
	if (d->generation_max < d->generation)
		d->generation_max = d->generation;
	apply_dom_close(a, d);
}

/* It may be another machine by now. Not a change that makes proposals void. */
static void failed_no_more(struct apply *a, struct clu_dom *d, uint32_t node)
{
	apply_dom_open(a, d);
	apply_host_worked(a, d, node);
	apply_close(a, CLU_OBJ_DOM, (uint32_t)(d - a->s->dom));
}

/* A domain of which the state says that it is at @node, or on its way there. */
static const struct clu_dom *domain_at(const struct clu_state *s, uint32_t node)
{
	for (uint32_t i = 0; i < s->n_dom; i++)
		if (s->dom[i].uuid[0] && (s->dom[i].host == node || s->dom[i].target == node))
			return &s->dom[i];
	return NULL;
}

/* A witness settles nothing of a domain, so it cannot begin as one where there may be any. */
static bool witness_refused(struct apply *a, const struct clu_host *h)
{
	const struct clu_dom *d = a->c->witness ? domain_at(a->s, h->node) : NULL;

	if (d)
		apply_refuse(a, EBUSY, h->name, " has a domain, so it cannot be a witness: ", d->name);
	else if (a->c->witness && a->c->n_inventory)
		apply_refuse(a, EBUSY, h->name, " runs domains, so it cannot be a witness", "");
	return a->answer->status != 0;
}

void apply_host_up(struct apply *a)
{
	const struct clu_cmd *c = a->c;
	struct clu_host *h = the_host(a, c->origin);

	if (!h || witness_refused(a, h))
		return;
	uint32_t slot = clu_slot(a->s, h);
	bool new_life = h->state != CLU_HOST_ONLINE || h->boot != c->boot;
	apply_open(a, CLU_OBJ_HOST, slot);
	if (h->state == CLU_HOST_SAFE && h->until_back) {
		h->maintenance = h->until_back = false;
		h->returning = true;
	}
	h->state = CLU_HOST_ONLINE;
	h->safe_by = CLU_SAFE_NONE;
	h->lost_id = 0;
	h->up_id = a->s->index;
	memset(h->waited, 0, sizeof(h->waited));
	h->boot = c->boot;
	h->lease_ns = c->lease_ns;
	h->self_fencing = c->self_fencing;
	h->clock_stops = c->clock_stops;
	h->witness = c->witness;
	h->cap = c->cap;
	if (new_life) {
		h->leaving = c->leaving;
		h->start_fails = 0;
		h->suspect_ns = 0;
	}
	apply_close(a, CLU_OBJ_HOST, slot);
	for (uint32_t i = 0; i < a->s->n_dom; i++) {
		struct clu_dom *d = &a->s->dom[i];
		if (!d->uuid[0])
			continue;
		if (new_life && clu_bit(d->failed, slot))
			failed_no_more(a, d, h->node);
		if (d->host == h->node)
			host_up_dom(a, d);
	}
}

void apply_host_lost(struct apply *a)
{
	struct clu_host *h = the_host(a, a->c->host);

	if (!h || apply_disarmed(a))
		return;
	if (h->state != CLU_HOST_ONLINE) {
		apply_refuse(a, EALREADY, h->name, " is not online", "");
		return;
	}
	uint32_t slot = clu_slot(a->s, h);
	apply_open(a, CLU_OBJ_HOST, slot);
	h->state = CLU_HOST_LOST;
	h->lost_id = a->s->index;
	memset(h->waited, 0, sizeof(h->waited));
	apply_close(a, CLU_OBJ_HOST, slot);
}

static bool is_safe(struct apply *a, uint32_t node)
{
	const struct clu_host *h = clu_host_of(a->s, node);

	return !h || h->state == CLU_HOST_SAFE;
}

/* @node is safe now: what becomes of @d, of which it was an end. */
static void safe_dom(struct apply *a, struct clu_dom *d, const struct clu_host *h)
{
	bool owner = d->host == h->node;
	char why[CLU_TEXT_MAX];

	apply_text(why, h->name, h->safe_by == CLU_SAFE_LEFT ? " was shut down" : " was lost", "");
	apply_dom_open(a, d);
	if (d->phase == CLU_PHASE_MIGRATING) {
		uint32_t other = owner ? d->target : d->host;
		if (is_safe(a, other)) {
			apply_disown(d, true, why);
		} else {
			d->phase = CLU_PHASE_RESOLVING;
			d->host = other;
			d->target = 0;
			d->op_id = a->s->index;
			apply_text(d->text, "the other end of its migration, ", h->name, ", was lost");
		}
	} else if (d->phase == CLU_PHASE_RUNNING && !d->spec.ha) {
		apply_text(d->text, why, ": it waits for that host", "");
	} else {
		apply_disown(d, true, why);
		if (h->safe_by == CLU_SAFE_LEFT && d->desired == CLU_DESIRED_RUNNING)
			d->home = h->node;
	}
	apply_dom_close(a, d);
}

static void make_safe(struct apply *a, struct clu_host *h, enum clu_safe_by by)
{
	uint32_t slot = clu_slot(a->s, h);

	apply_open(a, CLU_OBJ_HOST, slot);
	h->state = CLU_HOST_SAFE;
	h->safe_by = by;
	apply_close(a, CLU_OBJ_HOST, slot);
	for (uint32_t i = 0; i < a->s->n_dom; i++) {
		struct clu_dom *d = &a->s->dom[i];
		if (d->uuid[0] && (d->host == h->node || (d->phase == CLU_PHASE_MIGRATING && d->target == h->node)))
			safe_dom(a, d, h);
	}
}

/* A majority has waited for the lease of @h, and that is enough. */
static bool deadline_passed(const struct clu_state *s, const struct clu_host *h)
{
	return h->state == CLU_HOST_LOST && clu_bits_count(h->waited) >= clu_majority(s) && clu_deadline_counts(s, h);
}

void apply_deadlines(struct apply *a)
{
	for (uint32_t i = 0; i < CLU_HOSTS_MAX && a->s->host[i].node; i++)
		if (deadline_passed(a->s, &a->s->host[i]))
			make_safe(a, &a->s->host[i], CLU_SAFE_DEADLINE);
}

void apply_waited(struct apply *a)
{
	const struct clu_cmd *c = a->c;
	struct clu_host *h = the_host(a, c->host), *from = clu_host_of(a->s, c->origin);

	if (!h || !from)
		return;
	if (h->state != CLU_HOST_LOST || h->lost_id != c->op_id) {
		apply_refuse(a, ESTALE, h->name, " is not lost, or was back in between", "");
		return;
	}
	uint32_t slot = clu_slot(a->s, h), by = clu_slot(a->s, from);
	apply_open(a, CLU_OBJ_HOST, slot);
	clu_bit_set(h->waited, by);
	apply_close(a, CLU_OBJ_HOST, slot);
	if (deadline_passed(a->s, h))
		make_safe(a, h, CLU_SAFE_DEADLINE);
}

void apply_host_safe(struct apply *a)
{
	struct clu_host *h = the_host(a, a->c->host);

	if (!h || h->state == CLU_HOST_SAFE)
		return;
	if (h->state == CLU_HOST_ONLINE)
		apply_refuse(a, EBUSY, h->name, " is online: it is not dead", "");
	else if (a->c->op_id && a->c->op_id != h->lost_id)
		apply_refuse(a, ESTALE, h->name, " was back in between", "");
	else if (a->c->safe_by != CLU_SAFE_AGENT && a->c->safe_by != CLU_SAFE_PERSON)
		apply_refuse(a, EINVAL, "a host is made safe by a fence agent or a person", "", "");
	else
		make_safe(a, h, a->c->safe_by);
}

void apply_maintenance(struct apply *a)
{
	struct clu_host *h = the_host(a, a->c->host);
	bool brings = a->c->desired == CLU_DESIRED_RUNNING, back = !a->c->on && brings, until = a->c->on && brings;

	if (!h)
		return;
	if (!a->c->on)
		apply_host_trusted(a, h);
	if (h->maintenance == a->c->on && h->returning == back && h->until_back == until)
		return;
	uint32_t slot = clu_slot(a->s, h);
	apply_open(a, CLU_OBJ_HOST, slot);
	h->maintenance = a->c->on;
	h->returning = back;
	h->until_back = until;
	apply_close(a, CLU_OBJ_HOST, slot);
}

void apply_leave(struct apply *a)
{
	struct clu_host *h = the_host(a, a->c->host);

	if (!h || h->leaving == a->c->leaving)
		return;
	if (a->c->leaving > CLU_LEAVING_ENDING) {
		apply_refuse(a, EINVAL, "no such way to leave", "", "");
		return;
	}
	uint32_t slot = clu_slot(a->s, h);
	apply_open(a, CLU_OBJ_HOST, slot);
	h->leaving = a->c->leaving;
	h->returning = false;
	apply_close(a, CLU_OBJ_HOST, slot);
}

/*
 * The host itself says that nothing of the cluster runs there, and that it starts nothing until it says HOST_UP again. Its messages come in
 * order: a HOST_UP that it said before this one has another up_id, one that it says later makes it ONLINE anew.
 */
void apply_left(struct apply *a)
{
	struct clu_host *h = the_host(a, a->c->origin);

	if (!h || h->state == CLU_HOST_SAFE)
		return;
	if (h->state == CLU_HOST_NEW || h->up_id != a->c->op_id)
		apply_refuse(a, ESTALE, h->name, " has come anew since", "");
	else
		make_safe(a, h, CLU_SAFE_LEFT);
}
