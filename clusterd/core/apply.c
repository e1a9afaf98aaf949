/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Commands are applied here: orders about domains, rules and policy; what hosts say of them is in apply_result.c and apply_fail.c, hosts are
 * in apply_host.c. A command that does not fit the state is
 * refused with a text and changes nothing but index and time: that is what makes late and repeated commands harmless.
 */
#include "config.h"
#include "clusterd/core/apply_int.h"
#include "clusterd/core/after.h"

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

struct clu_dom *apply_the_dom(struct apply *a)
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
	apply_fails_forget(d);
	apply_dom_close(a, d);
}

static void undefine(struct apply *a)
{
	struct clu_dom *d = apply_the_dom(a);

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
	struct clu_dom *d = apply_the_dom(a);
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
	}
	if (want == CLU_DESIRED_RUNNING)
		apply_fails_forget(d); /* somebody looked at it */
	else
		d->home = 0;
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
	else if (h->witness)
		apply_refuse(a, EINVAL, h->name, " is a witness: it votes and carries no domains", "");
	else if (h->maintenance)
		apply_refuse(a, EBUSY, h->name, " is in maintenance (vmclus drain --undo ends that)", "");
	else if (h->leaving != CLU_LEAVING_NOT)
		apply_refuse(a, EBUSY, h->name, " is being shut down", "");
	else
		return true;
	return false;
}

static void start(struct apply *a)
{
	struct clu_dom *d = apply_the_dom(a);
	char why[CLU_TEXT_MAX];

	if (!d || apply_disarmed(a) || !as_seen(a, d, CLU_PHASE_STOPPED) || !can_take(a, a->c->host))
		return;
	if (d->desired != CLU_DESIRED_RUNNING) {
		apply_refuse(a, ESTALE, d->name, " is to be stopped", "");
		return;
	}
	if (clu_after_waits(a->s, NULL, d, 0, NULL, why)) {
		apply_refuse(a, ESTALE, d->name, " ", why);
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
	struct clu_dom *d = apply_the_dom(a);

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
	struct clu_dom *d = apply_the_dom(a);

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
	if (!a->c->on)
		d->home = 0; /* somebody wants it there */
	else if (d->home != a->c->target)
		d->home = d->host;
	d->target = a->c->target;
	/* the target takes + 1; a source that gets it back from a target that is gone takes + 2 (migration.md, section 7) */
	if (d->generation_max < d->generation + 2)
		d->generation_max = d->generation + 2;
	d->op_id = a->s->index;
	d->text[0] = 0;
	apply_dom_close(a, d);
}

static void policy(struct apply *a)
{
	const struct clu_policy *p = &a->c->policy;
	const struct clu_policy_field *wrong = clu_policy_wrong(p);

	if (wrong || p->backoff_max_ns < p->backoff_ns) {
		apply_refuse(a, EINVAL,
		             wrong && wrong->says ? wrong->says
		                                  : "a policy value is out of its range (vmclus policy --help)",
		             "", "");
		return;
	}
	if (p->no_quorum == CLU_NO_QUORUM_SUSPEND &&
	    ((p->lease_ns && p->lease_ns < CLU_PARK_LEASE_NS) || p->margin_ns < CLU_PARK_MARGIN_NS)) {
		apply_refuse(a, EINVAL,
		             "no_quorum=suspend needs a lease_s of 0 or at least 4 and a margin_s of at least 0.5", "",
		             "");
		return;
	}
	apply_open(a, CLU_OBJ_POLICY, 0);
	a->s->policy = *p;
	apply_close(a, CLU_OBJ_POLICY, 0);
	apply_deadlines(a);
}

static void rule_add(struct apply *a)
{
	struct clu_rule r = a->c->rule, *free_slot = NULL;
	char why[CLU_TEXT_MAX];

	if (r.kind < CLU_RULE_TOGETHER || r.kind > CLU_RULE_AFTER || r.n < 2 || r.n > CLU_MEMBERS_MAX ||
	    r.delay_ns > CLU_DELAY_MAX_NS) {
		apply_refuse(a, EINVAL, "a rule needs a kind, 2 to 16 members, and a delay of at most a day", "", "");
		return;
	}
	if (r.kind != CLU_RULE_AFTER) {
		r.healthy = false;
		r.delay_ns = 0;
	} else if (clu_after_cycle(a->s, &r, why)) {
		apply_refuse(a, ELOOP, why, "", "");
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

/* That all hosts have it, the view said: node.c. */
static void level(struct apply *a)
{
	if (a->c->level <= a->s->level) {
		apply_refuse(a, EALREADY, "the cluster has that level", "", "");
		return;
	}
	a->s->level = a->c->level; /* META has it, which is written with every command */
	a->s->level_id = a->s->index;
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
	[CLU_CMD_RESULT] = apply_result,
	[CLU_CMD_OBSERVED] = apply_observed,
	[CLU_CMD_REACH] = apply_reach,
	[CLU_CMD_POLICY] = policy,
	[CLU_CMD_RULE_ADD] = rule_add,
	[CLU_CMD_RULE_REMOVE] = rule_remove,
	[CLU_CMD_LEAVE] = apply_leave,
	[CLU_CMD_LEFT] = apply_left,
	[CLU_CMD_LEVEL] = level,
	[CLU_CMD_DISARM] = apply_disarm,
	[CLU_CMD_PERMIT] = apply_permit,
	[CLU_CMD_SET] = apply_set,
	[CLU_CMD_SPARE] = apply_spare,
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
