/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Orders that tell: status, rules, explain, events, balance, policy, state. JSON keys are a contract (docs/wire/clusterctl.md). */
#include "config.h"
#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include <time.h>
#include "clusterd/core/after.h"
#include "clusterd/core/settings.h"
#include "clusterd/io/cluctl_int.h"
#include "common/log.h"
#include "common/util.h"

#define EVENTS_PER_LOOK 500u

static const char *name_of(const struct clu_state *s, uint32_t node)
{
	const struct clu_host *h = clu_host_of(s, node);

	return h ? h->name : NULL;
}

/* Policy --------------------------------------------------------------------------------------------------------------- */

json_t *ctl_policy_json(const struct clu_policy *p)
{
	json_t *o = json_object();

	for (const struct clu_policy_field *f = clu_policy_field; f < CLU_POLICY_END; f++) {
		uint64_t v = clu_policy_get(p, f);

		(void)json_object_set_new(o, f->key,
		                          f->kind == CLU_FIELD_FLAG   ? json_boolean(v)
		                          : f->kind == CLU_FIELD_NS   ? json_real((double)v / 1e9)
		                          : f->kind == CLU_FIELD_WORD ? json_string(v <= f->max ? f->word[v] : "?")
		                                                      : json_integer((json_int_t)v));
	}
	return o;
}

static int set_one(struct clu_policy *p, const struct clu_policy_field *f, json_t *v)
{
	const char *word = json_string_value(v);
	double d = json_number_value(v);
	uint64_t n = 0;

	switch (f->kind) {
	case CLU_FIELD_U32:
		if (!json_is_integer(v) || d < 0 || d > (double)f->max)
			return -EINVAL;
		n = (uint64_t)d;
		break;
	case CLU_FIELD_NS:
		if (!json_is_number(v) || !(d >= 0) || d > (double)f->max / 1e9)
			return -EINVAL;
		n = (uint64_t)(d * 1e9 + 0.5);
		break;
	case CLU_FIELD_FLAG:
		if (!json_is_boolean(v))
			return -EINVAL;
		n = json_is_true(v);
		break;
	case CLU_FIELD_WORD:
		while (word && n <= f->max && strcmp(word, f->word[n]) != 0)
			n++;
		if (!word || n > f->max)
			return -EINVAL;
		break;
	}
	clu_policy_set(p, f, n);
	return 0;
}

int ctl_policy_set(struct clu_policy *p, json_t *set, struct err *err)
{
	const char *key;
	json_t *v;

	if (!json_is_object(set) || !json_object_size(set))
		return err_set(err, EINVAL, "\"set\" is an object of policy keys");
	json_object_foreach(set, key, v)
	{
		const struct clu_policy_field *f = clu_policy_field;

		while (f < CLU_POLICY_END && strcmp(f->key, key) != 0)
			f++;
		if (f == CLU_POLICY_END)
			return err_set(err, EINVAL, "no policy \"%.40s\" (vmclus policy shows all)", key);
		if (set_one(p, f, v) < 0)
			return err_set(err, EINVAL, "policy %s: not a value that it takes", key);
	}
	return 0;
}

/* Status --------------------------------------------------------------------------------------------------------------- */

static json_t *labels(const struct clu_host *h)
{
	json_t *a = json_array();

	for (unsigned i = 0; i < CLU_LABELS_MAX; i++)
		if (h->cap.label[i][0])
			(void)json_array_append_new(a, json_string(h->cap.label[i]));
	return a;
}

/* What makes a lost host safe, or until when a missing one is not declared lost; empty: nothing is awaited. */
static void awaits_text(struct client *c, const struct clu_host *h, char *to, size_t len)
{
	const struct clu_state *s = ctl_state(c);
	char until[CLU_TEXT_MAX];
	const char *why = !h->self_fencing ? "its guard did not run" : "its clocks may stand still while it is paused";

	to[0] = 0;
	nodeio_awaits(c->ctl->n, clu_slot(s, h), until, sizeof(until));
	if (until[0])
		snprintf(to, len, "its return, %s", until);
	else if (h->state == CLU_HOST_LOST && h->permit_id && clu_deadline_counts(s, h))
		snprintf(to, len, "the end of its lease: it was disarmed for up to %.0f s when it was cut off",
		         (double)h->permit_ns / 1e9);
	else if (h->state == CLU_HOST_LOST && clu_deadline_counts(s, h))
		snprintf(to, len, "the end of its lease");
	else if (h->state == CLU_HOST_LOST)
		snprintf(to, len,
		         "%s, so the end of its lease is not enough: a fence agent, or your word that it is off "
		         "(vmclus fence confirm %s)",
		         why, h->name);
}

static json_t *host_json(struct client *c, uint32_t slot)
{
	const struct clu_state *s = ctl_state(c);
	const struct clu_load *load = nodeio_load(c->ctl->n);
	const struct clu_host *h = &s->host[slot];
	const struct clu_peer *peer = &nodeio_node(c->ctl->n)->peer[slot];
	bool self = h->node == nodeio_config(c->ctl->n)->node;
	const char *fencing = fence_text(nodeio_fence(c->ctl->n), h->name);
	char awaits[2 * CLU_TEXT_MAX];

	awaits_text(c, h, awaits, sizeof(awaits));
	return json_pack(
		"{s:s, s:s, s:f, s:f, s:I, s:I, s:b, s:s, s:o, s:o, s:b, s:s, s:s, s:b, s:b, s:s, s:s, s:o, s:b, s:b, s:b, s:b}",
		"name", h->name, "state", clu_host_state_name(h->state), "cpu_used",
		(double)load->cpu_used_milli[slot] / 1000, "cpu_total", (double)h->cap.cpu_milli / 1000,
		"mem_used_bytes", (json_int_t)load->mem_used_bytes[slot], "mem_total_bytes",
		(json_int_t)h->cap.mem_bytes, "maintenance", h->maintenance, "safe_by", clu_safe_name(h->safe_by),
		"lease_left_s", self ? json_real((double)nodeio_lease_left_ns(c->ctl->n) / 1e9) : json_null(), "labels",
		labels(h), "self_fencing", h->self_fencing, "fencing", fencing, "leaving", clu_leaving_name(h->leaving),
		"suspected", clu_suspected(h, nodeio_load(c->ctl->n)->time_ns), "clock_stops", h->clock_stops, "awaits",
		awaits, "role", h->witness ? "witness" : "host", "level",
		peer->member ? json_integer(peer->level) : json_null(), "permitted", ctl_permitted(s, h), "spare",
		h->spare, "spare_open", h->spare && clu_spare_open(s, slot), "until_back", h->until_back);
}

static const char *operation(enum clu_phase p)
{
	return p == CLU_PHASE_STARTING    ? "start"
	       : p == CLU_PHASE_STOPPING  ? "stop"
	       : p == CLU_PHASE_MIGRATING ? "migrate"
	       : p == CLU_PHASE_RESOLVING ? "resolve"
	                                  : NULL;
}

/* It is to run, and another one has to run first: @why, CLU_TEXT_MAX octets. */
static bool starts_later(struct client *c, const struct clu_dom *d, char *why)
{
	const struct clu_load *load = nodeio_load(c->ctl->n);
	char disarm[2 * CLU_TEXT_MAX];

	if (d->desired == CLU_DESIRED_RUNNING && d->phase == CLU_PHASE_FAILED) {
		snprintf(why, CLU_TEXT_MAX, "given up after %u crashes, vmclus start tries it again%s%.120s",
		         d->failures, d->text[0] ? ": " : "", d->text);
		return true;
	}
	if (d->desired != CLU_DESIRED_RUNNING || d->phase != CLU_PHASE_STOPPED)
		return false;
	if (ctl_disarm_text(c, disarm, sizeof(disarm)))
		snprintf(why, CLU_TEXT_MAX, "is not started: %.170s", disarm);
	return disarm[0] || clu_after_waits(ctl_state(c), load, d, load->time_ns, NULL, why);
}

static json_t *dom_json(struct client *c, uint32_t slot)
{
	struct clu_state *s = ctl_state(c);
	const struct clu_dom *d = &s->dom[slot];
	const struct clu_dom_load *load = &nodeio_load(c->ctl->n)->dom[slot];
	const struct clu_host *h = clu_host_of(s, d->host);
	bool unknown = h && h->state == CLU_HOST_LOST && d->phase != CLU_PHASE_STOPPED && d->phase != CLU_PHASE_FAILED;
	bool stranded = h && h->state == CLU_HOST_SAFE &&
	                d->phase == CLU_PHASE_RUNNING; /* ha="no": down with its host */
	const char *doing = c->ctl->local ? local_doing(c->ctl->local, d->uuid) : "";
	bool here = d->host == nodeio_config(c->ctl->n)->node || d->target == nodeio_config(c->ctl->n)->node;
	char waits[CLU_TEXT_MAX] = "";
	const char *text = here && doing[0] ? doing : starts_later(c, d, waits) ? waits : d->text;
	bool parked = here && c->ctl->local && local_parked(c->ctl->local, d->uuid);

	json_t *o =
		json_pack("{s:s, s:s, s:s, s:s, s:s?, s:I, s:s?, s:s?, s:s, s:f, s:I, s:i, s:i, s:b, s:s, s:s?, s:o}",
	                  "name", d->name, "uuid", d->uuid, "state",
	                  unknown    ? "unknown"
	                  : stranded ? "stopped"
	                  : parked   ? "suspended"
	                             : clu_phase_name(d->phase),
	                  "desired", clu_desired_name(d->desired), "host", h ? h->name : NULL, "generation",
	                  (json_int_t)d->generation, "operation", operation(d->phase), "target", name_of(s, d->target),
	                  "text", text, "cpu_used", (double)load->cpu_milli / 1000, "mem_bytes",
	                  (json_int_t)d->spec.mem_bytes, "failures", (int)d->failures, "order", (int)d->spec.order,
	                  "ha", d->spec.ha, "type", d->spec.type, "home", name_of(s, d->home), "migration",
	                  ctl_push_json(c->ctl, d));
	(void)json_object_update_new(o, ctl_settings_json(c, d));
	return o;
}

static json_t *rules_json(const struct clu_state *s)
{
	json_t *a = json_array();

	for (uint32_t i = 0; i < CLU_RULES_MAX; i++) {
		const struct clu_rule *r = &s->rule[i];
		json_t *members = json_array();

		for (uint32_t k = 0; r->id && k < r->n; k++)
			(void)json_array_append_new(members, json_string(r->member[k]));
		if (r->id)
			(void)json_array_append_new(a, json_pack("{s:i, s:s, s:O, s:b, s:b, s:b, s:f}", "id",
			                                         (int)r->id, "kind", clu_rule_name(r->kind), "members",
			                                         members, "soft", r->soft, "never", r->never, "healthy",
			                                         r->healthy, "delay_s", (double)r->delay_ns / 1e9));
		json_decref(members);
	}
	return a;
}

/* A host that left the node list is of interest only while its domains may still run there. */
static bool shown(struct client *c, const struct clu_host *h)
{
	const struct cpg_config *conf = nodeio_config(c->ctl->n);
	bool in_list = false;

	for (uint32_t i = 0; i < conf->n_nodes; i++)
		in_list |= conf->id[i] == h->node;
	return h->node && (in_list || h->state == CLU_HOST_LOST);
}

static json_t *status_json(struct client *c)
{
	const struct clu_state *s = ctl_state(c);
	const struct clu_node *n = nodeio_node(c->ctl->n);
	json_t *hosts = json_array(), *doms = json_array(), *o;
	const char *trouble = nodeio_trouble(c->ctl->n);

	for (uint32_t i = 0; s && i < CLU_HOSTS_MAX; i++)
		if (shown(c, &s->host[i]))
			(void)json_array_append_new(hosts, host_json(c, i));
	for (uint32_t i = 0; s && i < s->n_dom; i++)
		if (s->dom[i].uuid[0])
			(void)json_array_append_new(doms, dom_json(c, i));
	o = json_pack("{s:s, s:s, s:b, s:I, s:s?, s:o, s:o, s:o, s:o, s:s, s:s, s:s, s:i, s:o}", "type", "status",
	              "host",
	              s && name_of(s, nodeio_config(c->ctl->n)->node) ? name_of(s, nodeio_config(c->ctl->n)->node) : "",
	              "quorate", nodeio_acts(c->ctl->n) && n->quorate, "generation", (json_int_t)(s ? s->index : 0),
	              "coordinator", s && nodeio_acts(c->ctl->n) ? name_of(s, n->coordinator) : NULL, "hosts", hosts,
	              "domains", doms, "rules", s ? rules_json(s) : json_array(), "policy",
	              s ? ctl_policy_json(&s->policy) : json_object(), "problem", trouble, "balance",
	              c->ctl->balancer ? balancer_text(c->ctl->balancer) : "", "cluster",
	              s ? nodeio_config(c->ctl->n)->cluster : "", "level", s ? (int)s->level : 0, "disarm",
	              ctl_disarm_json(c));
	return o;
}

/* Again when something changed, and once a second: loads change all the time. */
static bool watching(struct client *c)
{
	const struct clu_state *s = ctl_state(c);
	uint64_t now = boot_ns(), rev = s ? s->index ^ nodeio_node(c->ctl->n)->commit << 32 : 0;

	if (rev == c->o.reported_rev && now < c->o.reported_ns + NS_PER_S)
		return false;
	if (c->s.out.len) /* it has not read the last one */
		return false;
	c->o.reported_rev = rev;
	c->o.reported_ns = now;
	ctl_reply(c, status_json(c));
	return false;
}

void ctl_status(struct client *c)
{
	if (ctl_flag(c, "watch", false))
		c->o.go_on = watching;
	else
		ctl_over(c, status_json(c));
}

void ctl_rule_list(struct client *c)
{
	ctl_over(c, json_pack("{s:s, s:o}", "type", "rules", "rules", rules_json(ctl_state(c))));
}

/* Explain -------------------------------------------------------------------------------------------------------------- */

void ctl_explain(struct client *c)
{
	struct clu_state *s = ctl_state(c);
	const struct clu_dom *d = ctl_dom(c);
	const struct clu_host *at = d ? clu_host_of(s, d->host) : NULL;
	json_t *hosts = json_array();
	char text[7 * CLU_TEXT_MAX], set[2 * CLU_TEXT_MAX], why[CLU_TEXT_MAX] = "", awaits[2 * CLU_TEXT_MAX] = "",
							    waits[CLU_TEXT_MAX];
	uint32_t best;

	if (!d) {
		json_decref(hosts);
		return;
	}
	for (uint32_t i = 0; i < CLU_HOSTS_MAX && s->host[i].node; i++) {
		const struct clu_fail *f = NULL;
		struct clu_verdict v;
		bool ok;

		if (!shown(c, &s->host[i]))
			continue;
		clu_judge(s, nodeio_load(c->ctl->n), d, i, &v);
		nodeio_verdict_text(c->ctl->n, d, &s->host[i], &v);
		ok = v.why == CLU_WHY_OK || v.why == CLU_WHY_FAILED_HERE;
		(void)clu_fails(s, d, i, nodeio_load(c->ctl->n)->time_ns, &f);
		(void)json_array_append_new(hosts,
		                            json_pack("{s:s, s:b, s:s, s:I, s:s, s:i, s:s}", "name", s->host[i].name,
		                                      "ok", ok, "why", clu_why_name(v.why), "score",
		                                      (json_int_t)(ok ? v.score : 0), "text", v.text, "failures",
		                                      f ? (int)f->count : 0, "failed", f ? f->text : ""));
	}
	best = clu_place(s, nodeio_load(c->ctl->n), d, false, why);
	ctl_settings_text(c, d, set, sizeof(set));
	if (at)
		awaits_text(c, at, awaits, sizeof(awaits));
	if (d->host)
		snprintf(text, sizeof(text), "%s is %s on %s%s%s%s%s; the best place now: %s", d->name,
		         clu_phase_name(d->phase), name_of(s, d->host), d->text[0] ? ": " : "", d->text,
		         !awaits[0]                   ? ""
		         : at->state == CLU_HOST_LOST ? ", which is lost. To be safe it awaits: "
		                                      : ", which is not there; the cluster awaits ",
		         awaits, best ? name_of(s, best) : why);
	else if (starts_later(c, d, waits))
		snprintf(text, sizeof(text), "%s is %s, and %s; then %s %s", d->name, clu_phase_name(d->phase), waits,
		         best ? "it would start on" : "no host could take it:", best ? name_of(s, best) : why);
	else
		snprintf(text, sizeof(text), "%s is %s%s%s; %s %s", d->name, clu_phase_name(d->phase),
		         d->text[0] ? ": " : "", d->text,
		         best ? "it would start on" : "no host can take it:", best ? name_of(s, best) : why);
	json_t *o = json_pack("{s:s, s:s, s:s?, s:o, s:s+}", "type", "explain", "name", d->name, "host",
	                      name_of(s, d->host), "hosts", hosts, "text", text, set);
	(void)json_object_update_new(o, ctl_settings_json(c, d));
	ctl_over(c, o);
}

/* Events --------------------------------------------------------------------------------------------------------------- */

struct events_reply {
	struct client *c;
	uint64_t commit;
	uint32_t n;
	bool stop;
};

static void event_reply(void *arg, const struct store_event *ev)
{
	struct events_reply *t = arg;
	char when[40];
	time_t s = (time_t)(ev->time_ns / NS_PER_S);
	struct tm tm;
	size_t n;

	if (t->stop || ev->index > t->commit) { /* may still be undone */
		t->stop = true;
		return;
	}
	(void)gmtime_r(&s, &tm);
	n = strftime(when, sizeof(when), "%Y-%m-%dT%H:%M:%S", &tm);
	snprintf(when + n, sizeof(when) - n, ".%03uZ", (unsigned)(ev->time_ns % NS_PER_S / NS_PER_MS));
	t->c->o.last_id = ev->id;
	t->n++;
	ctl_reply(t->c, json_pack("{s:s, s:I, s:s, s:s, s:s, s:s?, s:s?}", "type", "event", "index",
	                          (json_int_t)ev->index, "time", when, "kind", ev->kind, "text", ev->text, "domain",
	                          ev->domain[0] ? ev->domain : NULL, "host", ev->host[0] ? ev->host : NULL));
}

static bool events_go_on(struct client *c)
{
	struct events_reply t = { .c = c,
		                  .commit = nodeio_acts(c->ctl->n) ? nodeio_node(c->ctl->n)->commit : UINT64_MAX };

	if (c->s.out.len > 1u << 20)
		return false; /* it reads slowly */
	eventlist_each(nodeio_events(c->ctl->n), c->o.since, c->o.last_id, EVENTS_PER_LOOK, event_reply, &t);
	return !c->o.watch && t.n < EVENTS_PER_LOOK;
}

void ctl_events(struct client *c)
{
	json_t *since = json_object_get(c->o.req, "since");

	c->o.since = json_is_integer(since) && json_integer_value(since) > 0 ? (uint64_t)json_integer_value(since) : 0;
	c->o.watch = ctl_flag(c, "follow", false);
	c->o.go_on = events_go_on;
}

/* Balance -------------------------------------------------------------------------------------------------------------- */

static json_t *plan_json(struct client *c, const struct balancer_plan *p)
{
	const struct clu_state *s = ctl_state(c);
	json_t *moves = json_array();
	char text[CLU_TEXT_MAX];

	for (uint32_t i = 0; i < p->n; i++) {
		const struct clu_plan_move *m = &p->move[i];

		clu_plan_say_move(m, s->host[m->from].name, s->host[m->to].name, text);
		(void)json_array_append_new(moves, json_pack("{s:s, s:s, s:s, s:f, s:f, s:I, s:s}", "domain",
		                                             s->dom[m->dom].name, "from", s->host[m->from].name, "to",
		                                             s->host[m->to].name, "gain", m->gain, "cost_s", m->cost_s,
		                                             "cost_bytes", (json_int_t)m->cost_bytes, "reason", text));
	}
	clu_plan_say_end(&p->result, text);
	return json_pack("{s:s, s:o, s:f, s:f, s:s, s:s}", "type", "plan", "moves", moves, "before", p->result.before,
	                 "after", p->result.after, "text", text, "end", clu_plan_end_name(p->result.end));
}

static bool balancing(struct client *c)
{
	bool over = balancer_run_step(c->ctl->balancer, &c->o.run);

	for (uint32_t i = 0; i < c->o.run.n; i++) {
		struct balancer_move *m = &c->o.run.move[i];

		if (m->reported || m->status <= BALANCER_MOVING)
			continue;
		m->reported = true;
		ctl_reply(c, json_pack("{s:s, s:s, s:s?, s:s?, s:s, s:s?}", "type", "move", "domain", m->name, "from",
		                       name_of(ctl_state(c), m->from), "to", name_of(ctl_state(c), m->to), "status",
		                       balancer_status_name(m->status), "error", m->error[0] ? m->error : NULL));
	}
	return over;
}

void ctl_balance(struct client *c)
{
	json_t *max = json_object_get(c->o.req, "max_moves");
	json_int_t n = json_is_integer(max) ? json_integer_value(max) : 0;

	if (!nodeio_acts(c->ctl->n)) {
		ctl_fail(c, EAGAIN, "no plan without a quorum: %s", nodeio_trouble(c->ctl->n));
		return;
	}
	c->o.plan = calloc(1, sizeof(*c->o.plan));
	if (!c->o.plan ||
	    balancer_plan(c->ctl->balancer, n > 0 && n < UINT32_MAX ? (uint32_t)n : 0, false, c->o.plan) < 0) {
		ctl_fail(c, ENOMEM, "out of memory");
		return;
	}
	if (!ctl_flag(c, "run", false)) {
		ctl_over(c, plan_json(c, c->o.plan));
		return;
	}
	ctl_reply(c, plan_json(c, c->o.plan));
	if (balancer_run_begin(c->ctl->balancer, c->o.plan, &c->o.run) < 0)
		ctl_fail(c, ENOMEM, "out of memory");
	else
		c->o.go_on = balancing;
}

/* For developers ------------------------------------------------------------------------------------------------------- */

static json_t *peers_json(const struct clu_state *s, const struct clu_node *n)
{
	json_t *a = json_array();
	uint64_t now = boot_ns();

	for (uint32_t i = 0; i < CLU_HOSTS_MAX && s->host[i].node; i++) {
		const struct clu_peer *p = &n->peer[i];

		(void)json_array_append_new(a, json_pack("{s:s, s:i, s:b, s:b, s:b, s:I, s:I, s:I, s:I, s:f}", "name",
		                                         s->host[i].name, "node", (int)s->host[i].node, "member",
		                                         p->member, "said", p->said, "synced", p->synced,
		                                         "stored_epoch", (json_int_t)p->stored_epoch, "stored_index",
		                                         (json_int_t)p->stored_index, "ack_seq", (json_int_t)p->ack_seq,
		                                         "seen_seq", (json_int_t)p->seen_seq, "wait_left_s",
		                                         p->wait_until_ns > now ? (double)(p->wait_until_ns - now) / 1e9
		                                                                : 0.0));
	}
	return a;
}

void ctl_dump(struct client *c)
{
	const struct clu_state *s = ctl_state(c);
	const struct clu_node *n = nodeio_node(c->ctl->n);
	json_t *o = json_pack("{s:s, s:s, s:f}", "type", "state", "problem", nodeio_trouble(c->ctl->n), "lease_left_s",
	                      (double)nodeio_lease_left_ns(c->ctl->n) / 1e9);
	char sum[20];

	if (s) {
		snprintf(sum, sizeof(sum), "%016" PRIx64, s->sum);
		(void)json_object_update_new(
			o, json_pack("{s:s, s:b, s:b, s:I, s:i, s:I, s:I, s:I, s:I, s:s, s:f, s:I, s:o}", "phase",
		                     clu_node_phase_name(n->phase), "behind", n->behind, "quorate", n->quorate, "ring",
		                     (json_int_t)n->ring, "members", (int)n->n_members, "epoch", (json_int_t)s->epoch,
		                     "promised", (json_int_t)s->promised, "index", (json_int_t)s->index, "commit",
		                     (json_int_t)n->commit, "sum", sum, "lease_s", (double)n->lease_ns / 1e9,
		                     "coordinator", (json_int_t)n->coordinator, "peers", peers_json(s, n)));
	}
	if (c->ctl->local)
		(void)json_object_set_new(o, "local", local_dump(c->ctl->local));
	ctl_over(c, o);
}

void ctl_loglevel(struct client *c)
{
	const char *text = ctl_text(c, "level");
	enum log_level level;

	if (!text || log_level_parse(text, &level) < 0) {
		ctl_fail(c, EINVAL, "\"level\" is error, warn, info or debug");
		return;
	}
	log_level_set(level);
	ctl_ok(c);
}
