/* SPDX-License-Identifier: GPL-2.0-or-later */
/* The order "rehearse": where the domains of a host would go if it were lost now, how long that would take, and what would fail. */
#include "config.h"
#include <errno.h>
#include <stdio.h>
#include <string.h>
#include "clusterd/core/after.h"
#include "clusterd/core/decide.h"
#include "clusterd/core/rehearse.h"
#include "clusterd/io/cluctl_int.h"
#include "common/util.h"

#define START_GUESS_NS (3 * NS_PER_S) /* of a domain that this node has not seen start */

struct rehearsal {
	struct client *c;
	struct clu_state *s; /* a copy, and what is left of it */
	uint16_t *order;
	uint64_t *up_ns; /* by slot: when it would be up, from when the first ones may start; 0: it runs on */
	uint32_t slot, node, n, lost, starting[CLU_HOSTS_MAX];
	uint64_t detect_ns; /* from its last sign of life until its domains may be started elsewhere */
	bool quorum;
	json_t *doms;
};

static int copy_state(struct rehearsal *r, const struct clu_state *s)
{
	r->s = malloc(sizeof(*s));
	r->order = calloc(s->dom_cap, sizeof(*r->order));
	r->up_ns = calloc(s->dom_cap, sizeof(*r->up_ns));
	if (!r->s || !r->order || !r->up_ns)
		return -ENOMEM;
	*r->s = *s;
	r->s->dom = calloc(s->dom_cap, sizeof(*s->dom));
	if (!r->s->dom)
		return -ENOMEM;
	memcpy(r->s->dom, s->dom, s->n_dom * sizeof(*s->dom));
	return 0;
}

static void done(struct rehearsal *r)
{
	if (r->s)
		free(r->s->dom);
	free(r->s);
	free(r->order);
	free(r->up_ns);
	json_decref(r->doms);
}

/*
 * Corosync notices the silence, and meanwhile the others wait out the lease that they acknowledged last: both count from about the same
 * moment, the longer one tells. A fence agent may be faster.
 */
static uint64_t detection(struct client *c, const struct clu_host *h)
{
	const struct cpg_config *cfg = nodeio_config(c->ctl->n);
	uint64_t silence = cfg->token_ns + cfg->consensus_ns, lease = h->lease_ns;

	lease += lease / 100 + ctl_state(c)->policy.margin_ns;
	return silence > lease ? silence : lease;
}

static bool is_of_host(const struct rehearsal *r, uint32_t dom)
{
	const struct clu_dom *d = &ctl_state(r->c)->dom[dom];

	return d->host == r->node && d->phase != CLU_PHASE_STOPPED && d->phase != CLU_PHASE_FAILED;
}

/* Why no host takes it: host by host. */
static json_t *refusals(const struct rehearsal *r, uint32_t dom)
{
	json_t *a = json_array();

	for (uint32_t i = 0; i < CLU_HOSTS_MAX && r->s->host[i].node; i++) {
		struct clu_verdict v;

		if (i == r->slot)
			continue;
		clu_judge(r->s, nodeio_load(r->c->ctl->n), &r->s->dom[dom], i, &v);
		nodeio_verdict_text(r->c->ctl->n, &r->s->dom[dom], &r->s->host[i], &v);
		(void)json_array_append_new(a, json_pack("{s:s, s:s, s:s}", "name", r->s->host[i].name, "why",
		                                         clu_why_name(v.why), "text", v.text));
	}
	return a;
}

static void tell(struct rehearsal *r, uint32_t dom, const char *fate, const char *host, uint64_t after_ns,
                 uint64_t start_ns, bool measured, const char *text)
{
	json_t *o = json_pack("{s:s, s:s, s:s?, s:s}", "name", r->s->dom[dom].name, "fate", fate, "host", host, "text",
	                      text);

	if (host)
		(void)json_object_update_new(o, json_pack("{s:f, s:f, s:f, s:b}", "outage_s",
		                                          (double)(r->detect_ns + after_ns + start_ns) / 1e9, "waits_s",
		                                          (double)after_ns / 1e9, "start_s", (double)start_ns / 1e9,
		                                          "measured", measured));
	if (!strcmp(fate, "nowhere"))
		(void)json_object_set_new(o, "hosts", r->quorum ? refusals(r, dom) : json_array());
	(void)json_array_append_new(r->doms, o);
}

static void place_one(struct rehearsal *r, uint32_t dom)
{
	char why[CLU_TEXT_MAX] = "";
	bool healthy;
	uint64_t took = nodeio_start_ns(r->c->ctl->n, dom), start = took ? took : START_GUESS_NS;
	uint64_t after = clu_rehearse_after(r->s, dom, r->up_ns, &healthy);
	uint32_t node = r->quorum ? clu_rehearse_next(r->s, nodeio_load(r->c->ctl->n), dom, why) : 0, slot;
	const struct clu_host *h = node ? clu_host_of(r->s, node) : NULL;

	if (!r->quorum)
		snprintf(why, sizeof(why), "without %s fewer than a majority of the hosts would be left",
		         r->s->host[r->slot].name);
	if (h) { /* a host starts so many at a time */
		slot = clu_slot(r->s, h);
		start *= 1 + r->starting[slot]++ / CLU_STARTS_PER_HOST;
		r->up_ns[dom] = after + start;
		if (healthy)
			snprintf(why, sizeof(why), "and the time until those that it starts after are healthy");
	}
	if (!is_of_host(r, dom))
		return; /* it only takes its room */
	r->lost += !h;
	tell(r, dom, h ? "starts" : "nowhere", h ? h->name : NULL, after, start, took != 0, why);
}

/* In the order in which they would start: who starts after others, after them. */
static void place_all(struct rehearsal *r)
{
	char why[CLU_TEXT_MAX];
	uint32_t i;

	while (r->quorum && (i = clu_rehearse_pick(r->s, r->order, r->n)) < r->n) {
		place_one(r, r->order[i]);
		r->order[i] = CLU_REHEARSED;
	}
	for (i = 0; i < r->n; i++) {
		if (r->order[i] == CLU_REHEARSED)
			continue;
		if (!r->quorum) {
			place_one(r, r->order[i]);
		} else if (is_of_host(r, r->order[i])) {
			(void)clu_after_waits(r->s, NULL, &r->s->dom[r->order[i]], 0, NULL, why);
			r->lost++;
			tell(r, r->order[i], "waits", NULL, 0, 0, false, why);
		}
	}
}

static void stay_down(struct rehearsal *r)
{
	for (uint32_t i = 0; i < r->s->n_dom; i++) {
		const struct clu_dom *d = &ctl_state(r->c)->dom[i];

		if (!d->uuid[0] || !is_of_host(r, i) || (d->spec.ha && d->desired == CLU_DESIRED_RUNNING))
			continue;
		tell(r, i, "stays", NULL, 0, 0, false,
		     d->spec.ha ? "it is being stopped" : "ha=\"no\": it stays down with its host");
	}
}

static bool quorum_without(const struct clu_state *s, uint32_t slot)
{
	uint32_t n = 0;

	for (uint32_t i = 0; i < CLU_HOSTS_MAX && s->host[i].node; i++)
		n += i != slot && s->host[i].state == CLU_HOST_ONLINE;
	return n >= clu_majority(s);
}

void ctl_rehearse(struct client *c)
{
	const struct clu_host *h = ctl_host(c);
	struct rehearsal r = { .c = c };
	json_t *o;

	if (!h)
		return;
	if (!nodeio_acts(c->ctl->n)) {
		ctl_fail(c, EAGAIN, "no rehearsal without a quorum: %s", nodeio_trouble(c->ctl->n));
		return;
	}
	r.slot = clu_slot(ctl_state(c), h);
	r.node = h->node;
	r.detect_ns = detection(c, h);
	r.quorum = quorum_without(ctl_state(c), r.slot);
	r.doms = json_array();
	if (copy_state(&r, ctl_state(c)) < 0) {
		ctl_fail(c, ENOMEM, "out of memory");
		done(&r);
		return;
	}
	r.n = clu_rehearse_begin(r.s, r.slot, r.order);
	place_all(&r);
	stay_down(&r);
	o = json_pack("{s:s, s:s, s:b, s:f, s:I, s:O}", "type", "rehearsal", "host", h->name, "ok", !r.lost, "detect_s",
	              (double)r.detect_ns / 1e9, "nowhere", (json_int_t)r.lost, "domains", r.doms);
	ctl_over(c, o);
	done(&r);
}
