/* SPDX-License-Identifier: GPL-2.0-or-later */
/* See decide.h. What is proposed is put into a world at once, so that no two domains are given the same room, whatever the state knows. */
#include "config.h"
#include "clusterd/core/after.h"
#include "clusterd/core/decide.h"
#include "clusterd/core/node.h"
#include "clusterd/core/place_int.h"
#include "clusterd/core/say_int.h"
#include "clusterd/core/slots_int.h"

#include <string.h>

struct round {
	const struct clu_state *s;
	const struct clu_view *v;
	uint64_t time_ns;
	struct clu_proposals *out;
	struct place_world w;             /* with what this call proposes */
	uint32_t starting[CLU_HOSTS_MAX]; /* by slot, with what this call proposes */
	uint32_t moving;
	bool after;                  /* there is a rule of that kind */
	uint16_t want[CLU_DOMS_MAX]; /* slots of domains that want to start */
};

static struct clu_cmd *propose(struct round *r, enum clu_cmd_kind kind)
{
	if (r->out->n == CLU_PROPOSALS_MAX) {
		r->out->next_ns = r->time_ns; /* there is more */
		return NULL;
	}
	struct clu_cmd *c = &r->out->cmd[r->out->n++];
	memset(c, 0, sizeof(*c));
	c->kind = kind;
	c->time_ns = r->time_ns;
	return c;
}

/* A command for @d as it is now. */
static struct clu_cmd *propose_for(struct round *r, enum clu_cmd_kind kind, const struct clu_dom *d)
{
	struct clu_cmd *c = propose(r, kind);

	if (c) {
		memcpy(c->uuid, d->uuid, sizeof(c->uuid));
		c->rev = d->rev;
	}
	return c;
}

static void look_again(struct round *r, uint64_t at_ns)
{
	if (at_ns < r->out->next_ns)
		r->out->next_ns = at_ns;
}

static bool in_view(const struct clu_view *v, uint32_t node)
{
	for (uint32_t i = 0; i < v->n; i++)
		if (v->member[i] == node)
			return true;
	return false;
}

static void hosts(struct round *r)
{
	for (uint32_t i = 0; i < CLU_HOSTS_MAX && r->s->host[i].node; i++) {
		const struct clu_host *h = &r->s->host[i];
		if (h->state == CLU_HOST_LOST && !h->witness && !r->s->disarm.id) /* nothing of it needs to be ended */
			clu_bit_set(r->out->fence, i);
		if (h->state != CLU_HOST_ONLINE || in_view(r->v, h->node))
			continue;
		clu_bit_set(r->w.lost, i); /* whether it comes back or not, it takes nothing now */
		if (clu_bit(r->v->coming, i) || clu_bit(r->v->awaited, i) || r->s->disarm.id)
			continue;
		struct clu_cmd *c = propose(r, CLU_CMD_HOST_LOST);
		if (c)
			c->host = h->node;
	}
}

static void count(struct round *r)
{
	for (uint32_t i = 0; i < r->s->n_dom; i++) {
		const struct clu_dom *d = &r->s->dom[i];
		const struct clu_host *h = d->host ? clu_host_of(r->s, d->host) : NULL;
		if (!d->uuid[0] || !h)
			continue;
		r->starting[h - r->s->host] += d->phase == CLU_PHASE_STARTING;
		r->moving += d->phase == CLU_PHASE_MIGRATING;
	}
}

/* Is its back-off over? One that is longer than any is of a clock that was wrong. */
static bool is_due(struct round *r, const struct clu_dom *d)
{
	const struct clu_policy *p = &r->s->policy;

	if (!clu_to_come(d->retry_ns, r->time_ns, 2 * p->backoff_max_ns))
		return true;
	look_again(r, d->retry_ns);
	return false;
}

static bool wants_start(struct round *r, const struct clu_dom *d)
{
	if (!d->uuid[0] || d->desired != CLU_DESIRED_RUNNING || d->phase != CLU_PHASE_STOPPED || d->rev > r->v->commit)
		return false;
	/* after a start that failed the next host is tried at once, if there is one that did not fail */
	return d->avoid || is_due(r, d);
}

/* How many starts the hosts still take at this time. */
static uint32_t start_seats(const struct round *r)
{
	uint32_t n = 0;

	for (uint32_t i = 0; i < r->w.n_host; i++)
		if (place_usable(&r->w, i) && r->starting[i] < CLU_STARTS_PER_HOST)
			n += CLU_STARTS_PER_HOST - r->starting[i];
	return n;
}

/* Another one goes first: a change of its state makes us look again, what is measured does not. */
static bool has_to_wait(struct round *r, const struct clu_dom *d)
{
	static const struct clu_load nothing;
	uint64_t until;

	if (!r->after || !clu_after_waits(r->s, r->w.load ? r->w.load : &nothing, d, r->time_ns, &until, NULL))
		return false;
	look_again(r, until);
	return true;
}

static void starts(struct round *r)
{
	uint32_t seats = start_seats(r), n = 0;

	for (uint32_t i = 0; i < r->s->n_dom; i++)
		if (wants_start(r, &r->s->dom[i]))
			r->want[n++] = (uint16_t)i;
	slots_sort(r->want, seats ? n : 0, r->s, slots_start_first);
	for (uint32_t i = 0; i < n && seats; i++) {
		const struct clu_dom *d = &r->s->dom[r->want[i]];
		if (has_to_wait(r, d))
			continue;
		uint32_t slot = place_best(&r->w, r->want[i], false, NULL);
		if (slot == PLACE_NOWHERE)
			continue; /* no room now: any change makes us look again */
		if (place_fails(&r->w, r->want[i], slot) && !is_due(r, d))
			continue;
		if (r->starting[slot] >= CLU_STARTS_PER_HOST)
			continue;
		struct clu_cmd *c = propose_for(r, CLU_CMD_START, d);
		if (!c)
			return;
		c->host = r->s->host[slot].node;
		place_world_put(&r->w, r->want[i], slot);
		r->starting[slot]++;
		seats--;
	}
}

static void stop(struct round *r, const struct clu_dom *d)
{
	const struct clu_host *h = clu_host_of(r->s, d->host);

	/* a text: the last try failed */
	if (h && h->state == CLU_HOST_ONLINE && (!d->text[0] || is_due(r, d)) && !clu_after_goes_first(r->s, d))
		(void)propose_for(r, CLU_CMD_STOP, d);
}

/* The slot of the host that was its home and wants it back now; PLACE_NOWHERE: none. */
static uint32_t home(const struct round *r, const struct clu_dom *d)
{
	const struct clu_host *h = d->home && d->home != d->host ? clu_host_of(r->s, d->home) : NULL;
	uint32_t dom = (uint32_t)(d - r->s->dom), slot = h ? clu_slot(r->s, h) : 0;
	struct place_bounds b;
	struct say none;

	if (!h || !h->returning || d->set.has & CLU_SET_NO_BALANCE || !place_usable(&r->w, slot))
		return PLACE_NOWHERE;
	say_begin(&none, NULL, 0);
	place_bounds_init(&b, &r->w, dom);
	return place_hard(&r->w, &b, dom, slot, true, &none) == CLU_WHY_OK ? slot : PLACE_NOWHERE;
}

/* Off a host that is to be emptied, or back to one that was. */
static void drain(struct round *r, const struct clu_dom *d)
{
	const struct clu_host *h = clu_host_of(r->s, d->host);
	uint32_t dom = (uint32_t)(d - r->s->dom), slot;

	if (!h || h->state != CLU_HOST_ONLINE || r->moving >= r->s->policy.moves_max ||
	    h->leaving == CLU_LEAVING_ENDING)
		return;
	slot = clu_takes_none(h) ? place_best(&r->w, dom, true, NULL) : home(r, d);
	if (slot == PLACE_NOWHERE || !is_due(r, d))
		return;
	/* all that could take it failed: others go first, and the time of one of them comes again */
	const struct clu_fail *f = NULL;
	if (clu_fails(r->s, d, slot, r->time_ns, &f) && f) {
		for (uint32_t i = 0; i < CLU_FAILS_MAX; i++)
			if (clu_to_come(d->fail[i].until_ns, r->time_ns, CLU_FAIL_MAX_NS))
				look_again(r, d->fail[i].until_ns);
		return;
	}
	struct clu_cmd *c = propose_for(r, CLU_CMD_MOVE, d);
	if (!c)
		return;
	c->on = true;
	c->target = r->s->host[slot].node;
	place_world_also(&r->w, dom, slot);
	r->moving++;
}

/* A disarm ends by itself. */
static void rearm(struct round *r)
{
	const struct clu_disarm *d = &r->s->disarm;
	struct clu_cmd *c;

	if (r->v->disarm_left_ns) {
		look_again(r, r->time_ns + r->v->disarm_left_ns);
		return;
	}
	c = d->id <= r->v->commit ? propose(r, CLU_CMD_DISARM) : NULL;
	if (c)
		c->op_id = d->id;
}

void clu_decide(const struct clu_state *s, const struct clu_view *v, const struct clu_load *load, uint64_t time_ns,
                struct clu_proposals *out)
{
	struct round r = { .s = s, .v = v, .time_ns = time_ns, .out = out };

	out->n = 0;
	memset(out->fence, 0, sizeof(out->fence));
	out->next_ns = CLU_NEVER;
	place_world_init(&r.w, s, load);
	r.w.time_ns = time_ns;
	hosts(&r);
	count(&r);
	for (uint32_t i = 0; i < CLU_RULES_MAX; i++)
		r.after |= s->rule[i].id && s->rule[i].kind == CLU_RULE_AFTER;
	for (uint32_t i = 0; i < s->n_dom; i++) {
		const struct clu_dom *d = &s->dom[i];
		if (!d->uuid[0] || d->phase != CLU_PHASE_RUNNING || d->rev > v->commit)
			continue;
		if (d->desired == CLU_DESIRED_STOPPED)
			stop(&r, d);
		else
			drain(&r, d);
	}
	if (!s->disarm.id)
		starts(&r);
	else
		rearm(&r);
}
