/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * See decide.h. A call proposes at most one start and one move to each host: the state does not know yet what is only proposed, and
 * two domains must not be given the same room.
 */
#include "config.h"
#include "clusterd/core/decide.h"
#include "clusterd/core/node.h"

#include <string.h>

#define TRIES_MAX 512u /* domains that want to start are looked at in one call */

struct round {
	const struct clu_state *s;
	const struct clu_view *v;
	const struct clu_load *load;
	uint64_t time_ns;
	struct clu_proposals *out;
	uint32_t starting[CLU_HOSTS_MAX]; /* by slot */
	bool taken[CLU_HOSTS_MAX];        /* got one in this call */
	uint32_t moving;
};

static const struct clu_host *host_of(const struct clu_state *s, uint32_t node)
{
	return clu_host_of((struct clu_state *)s, node);
}

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
		if (h->state == CLU_HOST_LOST)
			r->out->fence[i / 64] |= 1ull << (i % 64);
		if (h->state != CLU_HOST_ONLINE || r->v->settling || in_view(r->v, h->node))
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
		const struct clu_host *h = d->host ? host_of(r->s, d->host) : NULL;
		if (!d->uuid[0] || !h)
			continue;
		r->starting[h - r->s->host] += d->phase == CLU_PHASE_STARTING;
		r->moving += d->phase == CLU_PHASE_MIGRATING;
	}
}

static bool wants_start(struct round *r, const struct clu_dom *d)
{
	if (!d->uuid[0] || d->desired != CLU_DESIRED_RUNNING || d->phase != CLU_PHASE_STOPPED || d->rev > r->v->commit)
		return false;
	if (d->retry_ns <= r->time_ns)
		return true;
	look_again(r, d->retry_ns);
	return false;
}

static bool before(const struct clu_dom *a, const struct clu_dom *b)
{
	if (a->spec.priority != b->spec.priority)
		return a->spec.priority > b->spec.priority;
	if (a->spec.order != b->spec.order)
		return a->spec.order < b->spec.order;
	return a < b;
}

/* The first that wants to start behind @last in start order; NULL: none. */
static const struct clu_dom *next_start(struct round *r, const struct clu_dom *last)
{
	const struct clu_dom *best = NULL;

	for (uint32_t i = 0; i < r->s->n_dom; i++) {
		const struct clu_dom *d = &r->s->dom[i];
		if ((!last || before(last, d)) && (!best || before(d, best)) && wants_start(r, d))
			best = d;
	}
	return best;
}

static void starts(struct round *r)
{
	uint32_t free_hosts = 0, tries = 0;

	for (uint32_t i = 0; i < CLU_HOSTS_MAX && r->s->host[i].node; i++)
		free_hosts += r->s->host[i].state == CLU_HOST_ONLINE;
	for (const struct clu_dom *d = next_start(r, NULL); d && free_hosts && tries < TRIES_MAX;
	     d = next_start(r, d), tries++) {
		uint32_t node = clu_place(r->s, r->load, d, false, NULL);
		const struct clu_host *h = node ? host_of(r->s, node) : NULL;
		if (!h)
			continue; /* no room now: any change makes us look again */
		uint32_t slot = (uint32_t)(h - r->s->host);
		if (r->taken[slot] || r->starting[slot] >= CLU_STARTS_PER_HOST)
			continue;
		struct clu_cmd *c = propose(r, CLU_CMD_START);
		if (!c)
			return;
		memcpy(c->uuid, d->uuid, sizeof(c->uuid));
		c->rev = d->rev;
		c->host = node;
		r->taken[slot] = true;
		free_hosts--;
	}
}

static void stop(struct round *r, const struct clu_dom *d)
{
	const struct clu_host *h = host_of(r->s, d->host);

	if (!h || h->state != CLU_HOST_ONLINE)
		return;
	if (d->retry_ns > r->time_ns && d->text[0]) { /* the last try failed */
		look_again(r, d->retry_ns);
		return;
	}
	struct clu_cmd *c = propose(r, CLU_CMD_STOP);
	if (c) {
		memcpy(c->uuid, d->uuid, sizeof(c->uuid));
		c->rev = d->rev;
	}
}

/* Off a host in maintenance. */
static void drain(struct round *r, const struct clu_dom *d)
{
	const struct clu_host *h = host_of(r->s, d->host);

	if (!h || !h->maintenance || h->state != CLU_HOST_ONLINE || r->moving >= r->s->policy.moves_max)
		return;
	if (d->retry_ns > r->time_ns) {
		look_again(r, d->retry_ns);
		return;
	}
	uint32_t node = clu_place(r->s, r->load, d, true, NULL);
	const struct clu_host *to = node ? host_of(r->s, node) : NULL;
	if (!to || r->taken[to - r->s->host])
		return;
	struct clu_cmd *c = propose(r, CLU_CMD_MOVE);
	if (!c)
		return;
	memcpy(c->uuid, d->uuid, sizeof(c->uuid));
	c->rev = d->rev;
	c->target = node;
	r->taken[to - r->s->host] = true;
	r->moving++;
}

void clu_decide(const struct clu_state *s, const struct clu_view *v, const struct clu_load *load, uint64_t time_ns,
                struct clu_proposals *out)
{
	struct round r = { .s = s, .v = v, .load = load, .time_ns = time_ns, .out = out };

	out->n = 0;
	memset(out->fence, 0, sizeof(out->fence));
	out->next_ns = CLU_NEVER;
	hosts(&r);
	count(&r);
	for (uint32_t i = 0; i < s->n_dom; i++) {
		const struct clu_dom *d = &s->dom[i];
		if (!d->uuid[0] || d->phase != CLU_PHASE_RUNNING || d->rev > v->commit)
			continue;
		if (d->desired == CLU_DESIRED_STOPPED)
			stop(&r, d);
		else
			drain(&r, d);
	}
	starts(&r);
}
