/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Commands are applied here: those about domains, rules and policy; hosts are in apply_host.c. A command that does not fit the state is
 * refused with a text and changes nothing but index and time: that is what makes late and repeated commands harmless.
 */
#include "config.h"
#include "clusterd/core/apply_int.h"

#include <errno.h>
#include <string.h>

void apply_text(char *to, const char *p1, const char *p2, const char *p3)
{
	const char *p[] = { p1, p2, p3 };
	size_t n = 0;

	for (unsigned i = 0; i < 3; i++)
		for (const char *s = p[i]; *s && n < CLU_TEXT_MAX - 1; s++)
			to[n++] = *s;
	memset(to + n, 0, CLU_TEXT_MAX - n);
}

void apply_refuse(struct apply *a, int code, const char *p1, const char *p2, const char *p3)
{
	a->answer->status = -code;
	apply_text(a->answer->text, p1, p2, p3);
}

void apply_open(struct apply *a, enum clu_object kind, uint32_t slot)
{
	a->s->sum ^= clu_record_sum(a->s, kind, slot);
}

void apply_close(struct apply *a, enum clu_object kind, uint32_t slot)
{
	struct clu_changes *ch = a->changes;

	a->s->sum ^= clu_record_sum(a->s, kind, slot);
	for (uint32_t i = 0; i < ch->n; i++)
		if (ch->c[i].kind == kind && ch->c[i].slot == slot)
			return;
	if (ch->n == CLU_CHANGES_MAX) {
		ch->all = true;
		return;
	}
	ch->c[ch->n].kind = kind;
	ch->c[ch->n++].slot = slot;
}

void apply_dom_open(struct apply *a, const struct clu_dom *d)
{
	apply_open(a, CLU_OBJ_DOM, (uint32_t)(d - a->s->dom));
}

void apply_dom_close(struct apply *a, struct clu_dom *d)
{
	if (d->uuid[0])
		d->rev = a->s->index;
	apply_close(a, CLU_OBJ_DOM, (uint32_t)(d - a->s->dom));
}

void apply_disown(struct clu_dom *d, bool force, const char *why)
{
	d->phase = CLU_PHASE_STOPPED;
	d->host = 0;
	d->target = 0;
	d->force |= force;
	apply_text(d->text, why, "", "");
}

void apply_failure(struct apply *a, struct clu_dom *d, bool crash)
{
	const struct clu_policy *p = &a->s->policy;
	uint32_t max = d->spec.restart_max ? d->spec.restart_max : p->restart_max;
	uint64_t wait = p->backoff_ns;

	if (!d->failures || a->s->time_ns - d->window_ns > p->restart_window_ns) {
		d->window_ns = a->s->time_ns;
		d->failures = 0;
	}
	for (uint32_t i = 0; i < d->failures && wait < p->backoff_max_ns; i++)
		wait *= 2;
	d->failures++;
	d->retry_ns = a->s->time_ns + (wait < p->backoff_max_ns ? wait : p->backoff_max_ns);
	if (d->failures >= max && crash)
		d->phase = CLU_PHASE_FAILED;
	else if (d->failures >= max)
		d->failures = max - 1;
}

static struct clu_dom *the_dom(struct apply *a)
{
	struct clu_dom *d = clu_dom_of(a->s, a->c->uuid);

	if (!d)
		apply_refuse(a, ENOENT, "no such domain in the cluster", "", "");
	return d;
}

static void define(struct apply *a)
{
	const struct clu_cmd *c = a->c;
	struct clu_dom *d = clu_dom_of(a->s, c->uuid), *same = clu_dom_named(a->s, c->name);

	if (!c->uuid[0] || !c->name[0] || !c->spec.mem_bytes || !c->spec.engine) {
		apply_refuse(a, EINVAL, "a domain needs uuid, name, memory and an engine", "", "");
		return;
	}
	if (same && same != d) {
		apply_refuse(a, EEXIST, "another domain has the name ", c->name, "");
		return;
	}
	if (d && strcmp(d->name, c->name) != 0) {
		apply_refuse(a, EEXIST, "the domain with that uuid is called ", d->name, "; undefine it first");
		return;
	}
	if (!d) {
		uint32_t i = 0;
		while (i < a->s->n_dom && a->s->dom[i].uuid[0])
			i++;
		if (i == a->s->dom_cap) {
			apply_refuse(a, ENOSPC, "the cluster has as many domains as it can hold", "", "");
			return;
		}
		if (i == a->s->n_dom)
			a->s->n_dom++;
		d = &a->s->dom[i];
	}
	apply_dom_open(a, d);
	memcpy(d->uuid, c->uuid, sizeof(d->uuid));
	memcpy(d->name, c->name, sizeof(d->name));
	d->spec = c->spec;
	d->xml_id = a->s->index;
	if (d->generation_max < c->generation)
		d->generation_max = c->generation;
	memset(d->unreachable, 0, sizeof(d->unreachable));
	apply_dom_close(a, d);
}

static void undefine(struct apply *a)
{
	struct clu_dom *d = the_dom(a);

	if (!d)
		return;
	if (d->desired == CLU_DESIRED_RUNNING || (d->phase != CLU_PHASE_STOPPED && d->phase != CLU_PHASE_FAILED)) {
		apply_refuse(a, EBUSY, d->name, " runs or is to run; stop it first", "");
		return;
	}
	apply_dom_open(a, d);
	memset(d, 0, sizeof(*d));
	apply_dom_close(a, d);
	while (a->s->n_dom && !a->s->dom[a->s->n_dom - 1].uuid[0])
		a->s->n_dom--;
}

static void desire(struct apply *a)
{
	struct clu_dom *d = the_dom(a);
	enum clu_desired want = a->c->desired;

	if (!d)
		return;
	const struct clu_host *h = clu_host_of(a->s, d->host);
	bool stranded = d->phase == CLU_PHASE_RUNNING && h && h->state == CLU_HOST_SAFE;
	bool unfinished = d->desired == CLU_DESIRED_RUNNING ? d->phase != CLU_PHASE_RUNNING : d->host != 0;
	if (d->desired != want && unfinished) /* somebody else is just about the contrary */
		apply_text(a->answer->text, "an order that it be ", clu_desired_name(d->desired),
		           " was not carried out yet; this one counts");
	apply_dom_open(a, d);
	d->desired = want;
	if (d->phase == CLU_PHASE_FAILED || stranded) {
		bool force = d->force || stranded;
		apply_disown(d, force, "");
	}
	if (want == CLU_DESIRED_RUNNING && d->phase == CLU_PHASE_STOPPED) {
		d->failures = 0;
		d->retry_ns = 0;
		d->avoid = 0;
	}
	apply_dom_close(a, d);
}

/* Is @d as the proposer saw it, in @phase? */
static bool as_seen(struct apply *a, const struct clu_dom *d, enum clu_phase phase)
{
	if (a->c->rev && d->rev != a->c->rev) {
		apply_refuse(a, ESTALE, d->name, " changed in between", "");
		return false;
	}
	if (d->phase != phase) {
		apply_refuse(a, EBUSY, d->name, " is ", clu_phase_name(d->phase));
		return false;
	}
	return true;
}

static bool can_take(struct apply *a, uint32_t node)
{
	const struct clu_host *h = clu_host_of(a->s, node);

	if (!h)
		apply_refuse(a, ENOENT, "no such host in corosync's node list", "", "");
	else if (h->state != CLU_HOST_ONLINE)
		apply_refuse(a, EHOSTDOWN, h->name, " is ", clu_host_state_name(h->state));
	else if (h->maintenance)
		apply_refuse(a, EBUSY, h->name, " is in maintenance (vmclus drain --undo ends that)", "");
	else
		return true;
	return false;
}

static void start(struct apply *a)
{
	struct clu_dom *d = the_dom(a);

	if (!d || !as_seen(a, d, CLU_PHASE_STOPPED) || !can_take(a, a->c->host))
		return;
	if (d->desired != CLU_DESIRED_RUNNING) {
		apply_refuse(a, ESTALE, d->name, " is to be stopped", "");
		return;
	}
	apply_dom_open(a, d);
	d->phase = CLU_PHASE_STARTING;
	d->host = a->c->host;
	d->generation = ++d->generation_max;
	d->op_id = a->s->index;
	apply_dom_close(a, d);
}

static void stop(struct apply *a)
{
	struct clu_dom *d = the_dom(a);

	if (!d || !as_seen(a, d, CLU_PHASE_RUNNING))
		return;
	if (d->desired != CLU_DESIRED_STOPPED) {
		apply_refuse(a, ESTALE, d->name, " is to run", "");
		return;
	}
	apply_dom_open(a, d);
	d->phase = CLU_PHASE_STOPPING;
	d->op_id = a->s->index;
	apply_dom_close(a, d);
}

static void move(struct apply *a)
{
	struct clu_dom *d = the_dom(a);

	if (!d || !as_seen(a, d, CLU_PHASE_RUNNING) || !can_take(a, a->c->target))
		return;
	const struct clu_host *from = clu_host_of(a->s, d->host);
	if (!from || from->state != CLU_HOST_ONLINE) {
		apply_refuse(a, EHOSTDOWN, "the host of ", d->name, " is not online");
		return;
	}
	if (d->host == a->c->target) {
		apply_refuse(a, EALREADY, d->name, " is there already", "");
		return;
	}
	apply_dom_open(a, d);
	d->phase = CLU_PHASE_MIGRATING;
	d->target = a->c->target;
	/* the target takes + 1; a source that gets it back from a target that is gone takes + 2 (migration.md, section 7) */
	if (d->generation_max < d->generation + 2)
		d->generation_max = d->generation + 2;
	d->op_id = a->s->index;
	d->text[0] = 0;
	apply_dom_close(a, d);
}

static void runs_at(struct clu_dom *d, uint32_t node, uint64_t generation)
{
	d->phase = CLU_PHASE_RUNNING;
	d->host = node;
	d->target = 0;
	d->generation = generation;
	if (d->generation_max < generation)
		d->generation_max = generation;
	d->force = false;
	memset(d->text, 0, sizeof(d->text));
}

/* The phase that @r ends; -1: no such result. */
static int phase_of(enum clu_result r)
{
	switch (r) {
	case CLU_RESULT_STARTED:
	case CLU_RESULT_START_FAILED:
		return CLU_PHASE_STARTING;
	case CLU_RESULT_STOPPED:
	case CLU_RESULT_STOP_FAILED:
		return CLU_PHASE_STOPPING;
	case CLU_RESULT_MOVED:
	case CLU_RESULT_MOVE_FAILED:
		return CLU_PHASE_MIGRATING;
	case CLU_RESULT_KEPT:
	case CLU_RESULT_ABSENT:
		return CLU_PHASE_RESOLVING;
	}
	return -1;
}

static void result_take(struct apply *a, struct clu_dom *d)
{
	const struct clu_cmd *c = a->c;
	uint32_t self = d->host;

	switch (c->result) {
	case CLU_RESULT_STARTED:
		d->avoid = 0;
		runs_at(d, self, c->generation);
		break;
	case CLU_RESULT_MOVED:
		d->failures = 0;
		runs_at(d, d->target, c->generation);
		break;
	case CLU_RESULT_KEPT:
		runs_at(d, self, c->generation);
		break;
	case CLU_RESULT_START_FAILED:
		/* a lease of this very run, left by a start that died: only this host wrote it, and it says that nothing runs */
		apply_disown(d, c->generation == d->generation, c->text);
		if (d->generation_max < c->generation)
			d->generation_max = c->generation;
		d->avoid = self;
		apply_failure(a, d, false);
		break;
	case CLU_RESULT_STOPPED:
		apply_disown(d, false, "");
		d->force = false;
		break;
	case CLU_RESULT_ABSENT:
		apply_disown(d, true, c->text);
		break;
	case CLU_RESULT_STOP_FAILED:
	case CLU_RESULT_MOVE_FAILED:
		runs_at(d, self, c->generation);
		d->retry_ns = a->s->time_ns + a->s->policy.backoff_ns;
		apply_text(d->text, c->text, "", "");
		break;
	}
}

static void result(struct apply *a)
{
	const struct clu_cmd *c = a->c;
	struct clu_dom *d = the_dom(a);

	if (!d)
		return;
	if (d->host != c->origin || d->op_id != c->op_id || (int)d->phase != phase_of(c->result)) {
		apply_refuse(a, ESTALE, "that operation on ", d->name, " is over");
		return;
	}
	if (c->generation < d->generation && c->result != CLU_RESULT_START_FAILED && c->result != CLU_RESULT_STOPPED &&
	    c->result != CLU_RESULT_ABSENT) {
		apply_refuse(a, EINVAL, "a result of ", d->name, " names a generation of the past");
		return;
	}
	apply_dom_open(a, d);
	result_take(a, d);
	apply_dom_close(a, d);
}

/* It runs at the origin, in a higher generation than the state knows: a migration came through, or somebody pushed by hand. */
static void seen_running(struct apply *a, struct clu_dom *d)
{
	const struct clu_cmd *c = a->c;
	bool moved = d->phase == CLU_PHASE_MIGRATING && d->target == c->origin && c->generation <= d->generation_max;
	bool by_hand = d->phase == CLU_PHASE_RUNNING && (d->host == c->origin || c->generation > d->generation_max);

	if ((!moved && !by_hand) || c->generation <= d->generation) {
		apply_refuse(a, ESTALE, d->name, " is not expected there", "");
		return;
	}
	apply_dom_open(a, d);
	runs_at(d, c->origin, c->generation);
	apply_dom_close(a, d);
}

static void observed(struct apply *a)
{
	const struct clu_cmd *c = a->c;
	struct clu_dom *d = the_dom(a);

	if (!d)
		return;
	if (c->seen == CLU_SEEN_RUNNING) {
		seen_running(a, d);
		return;
	}
	if (d->host != c->origin || d->generation != c->generation ||
	    (d->phase != CLU_PHASE_RUNNING && d->phase != CLU_PHASE_STOPPING)) {
		apply_refuse(a, ESTALE, "the end of ", d->name, " is old news");
		return;
	}
	apply_dom_open(a, d);
	bool asked = d->phase == CLU_PHASE_STOPPING;
	apply_disown(d, c->seen != CLU_SEEN_POWEROFF, c->text);
	if (c->seen == CLU_SEEN_POWEROFF && !asked) {
		d->desired = CLU_DESIRED_STOPPED;
		apply_text(d->text, "powered off by its guest", "", "");
	} else if (!asked) {
		apply_failure(a, d, true);
	}
	apply_dom_close(a, d);
}

static void reach(struct apply *a)
{
	struct clu_dom *d = the_dom(a);
	const struct clu_host *h = clu_host_of(a->s, a->c->origin);

	if (!d || !h)
		return;
	uint32_t slot = clu_slot(a->s, h);
	apply_dom_open(a, d);
	if (a->c->on)
		d->unreachable[slot / 64] &= ~(1ull << (slot % 64));
	else
		d->unreachable[slot / 64] |= 1ull << (slot % 64);
	apply_close(a, CLU_OBJ_DOM, (uint32_t)(d - a->s->dom)); /* rev stays: no proposal becomes void for that */
}

static void policy(struct apply *a)
{
	const struct clu_policy *p = &a->c->policy;

	if (p->mem_overcommit_pct < 10 || p->mem_overcommit_pct > 1000 || !p->restart_max || !p->moves_max ||
	    !p->backoff_ns || p->backoff_max_ns < p->backoff_ns || p->balance_threshold_pct > 100 ||
	    p->balance_gain_pct > 100 || p->admission > CLU_ADMIT_REFUSE || p->margin_ns < 100000000ull ||
	    (p->lease_ns && p->lease_ns < 1000000000ull)) {
		apply_refuse(a, EINVAL, "a policy value is out of its range (vmclus policy --help)", "", "");
		return;
	}
	if (p->no_quorum > CLU_NO_QUORUM_SUSPEND ||
	    (p->no_quorum == CLU_NO_QUORUM_SUSPEND &&
	     ((p->lease_ns && p->lease_ns < CLU_PARK_LEASE_NS) || p->margin_ns < CLU_PARK_MARGIN_NS))) {
		apply_refuse(a, EINVAL,
		             "no_quorum=suspend needs a lease_s of 0 or at least 4 and a margin_s of at least 0.5", "",
		             "");
		return;
	}
	apply_open(a, CLU_OBJ_POLICY, 0);
	a->s->policy = *p;
	apply_close(a, CLU_OBJ_POLICY, 0);
}

static void rule_add(struct apply *a)
{
	struct clu_rule r = a->c->rule, *free_slot = NULL;

	if (r.kind < CLU_RULE_TOGETHER || r.kind > CLU_RULE_CONFLICT || r.n < 2 || r.n > CLU_MEMBERS_MAX) {
		apply_refuse(a, EINVAL, "a rule needs a kind and 2 to 16 members", "", "");
		return;
	}
	r.id = (uint32_t)a->s->index;
	for (uint32_t i = 0; i < CLU_RULES_MAX && !free_slot; i++)
		if (!a->s->rule[i].id)
			free_slot = &a->s->rule[i];
	if (!free_slot) {
		apply_refuse(a, ENOSPC, "the cluster has as many rules as it can hold", "", "");
		return;
	}
	uint32_t slot = (uint32_t)(free_slot - a->s->rule);
	*free_slot = (struct clu_rule){ 0 };
	apply_open(a, CLU_OBJ_RULE, slot);
	*free_slot = r;
	apply_close(a, CLU_OBJ_RULE, slot);
}

static void rule_remove(struct apply *a)
{
	for (uint32_t i = 0; a->c->rule.id && i < CLU_RULES_MAX; i++) {
		if (a->s->rule[i].id != a->c->rule.id)
			continue;
		apply_open(a, CLU_OBJ_RULE, i);
		memset(&a->s->rule[i], 0, sizeof(a->s->rule[i]));
		apply_close(a, CLU_OBJ_RULE, i);
		return;
	}
	apply_refuse(a, ENOENT, "no such rule", "", "");
}

static void (*const apply_kind[CLU_CMD_MAX])(struct apply *a) = {
	[CLU_CMD_HOST_UP] = apply_host_up,
	[CLU_CMD_HOST_LOST] = apply_host_lost,
	[CLU_CMD_WAITED] = apply_waited,
	[CLU_CMD_HOST_SAFE] = apply_host_safe,
	[CLU_CMD_MAINTENANCE] = apply_maintenance,
	[CLU_CMD_DEFINE] = define,
	[CLU_CMD_UNDEFINE] = undefine,
	[CLU_CMD_DESIRE] = desire,
	[CLU_CMD_START] = start,
	[CLU_CMD_STOP] = stop,
	[CLU_CMD_MOVE] = move,
	[CLU_CMD_RESULT] = result,
	[CLU_CMD_OBSERVED] = observed,
	[CLU_CMD_REACH] = reach,
	[CLU_CMD_POLICY] = policy,
	[CLU_CMD_RULE_ADD] = rule_add,
	[CLU_CMD_RULE_REMOVE] = rule_remove,
};

void clu_apply(struct clu_state *s, const struct clu_cmd *c, struct clu_changes *changes, struct clu_answer *answer)
{
	struct apply a = { .s = s, .c = c, .changes = changes, .answer = answer };

	*answer = (struct clu_answer){ 0 };
	s->index++;
	if (c->time_ns > s->time_ns)
		s->time_ns = c->time_ns;
	if (c->kind < CLU_CMD_MAX && apply_kind[c->kind])
		apply_kind[c->kind](&a);
	else
		apply_refuse(&a, EPROTO, "an unknown command: are all nodes of one version?", "", "");
}

void clu_apply_epoch(struct clu_state *s, uint64_t epoch)
{
	s->epoch = epoch;
	s->index++;
}
