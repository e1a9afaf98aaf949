/* SPDX-License-Identifier: GPL-2.0-or-later */
/* The state's bare bones: set-up, look-ups, names, what a node has to do for a domain. See clu.h. */
#include "config.h"
#include "clusterd/core/clu.h"
#include "clusterd/core/say_int.h"

#include <assert.h>
#include <string.h>

void clu_state_init(struct clu_state *s, struct clu_dom *dom, uint32_t dom_cap)
{
	memset(s, 0, sizeof(*s));
	s->dom = dom;
	s->dom_cap = dom_cap;
	clu_policy_default(&s->policy);
	s->sum = clu_sum(s);
}

void clu_state_clear(struct clu_state *s)
{
	memset(s->dom, 0, sizeof(*s->dom) * s->n_dom);
	memset(s->rule, 0, sizeof(s->rule));
	for (uint32_t i = 0; i < CLU_HOSTS_MAX; i++) {
		struct clu_host h = { .node = 0 };
		if (i < s->n_nodes) {
			h.node = s->host[i].node;
			memcpy(h.name, s->host[i].name, sizeof(h.name));
		}
		s->host[i] = h;
	}
	s->epoch = s->index = s->time_ns = 0;
	s->level = 0;
	s->level_id = 0;
	s->n_dom = 0;
	clu_policy_default(&s->policy);
	s->disarm = (struct clu_disarm){ 0 };
	s->sum = clu_sum(s);
}

static bool has_domains(const struct clu_state *s, uint32_t node)
{
	for (uint32_t i = 0; i < s->n_dom; i++)
		if (s->dom[i].uuid[0] && (s->dom[i].host == node || s->dom[i].target == node))
			return true;
	return false;
}

/*
 * Slot of @node in @was; CLU_HOSTS_MAX: none. There may be two when the disk was read after the list was set: then the one
 * that is known from the cluster.
 */
static uint32_t slot_in(const struct clu_host *was, uint32_t node)
{
	uint32_t found = CLU_HOSTS_MAX;

	for (uint32_t i = 0; i < CLU_HOSTS_MAX; i++)
		if (was[i].node == node && (found == CLU_HOSTS_MAX || !was[found].up_id))
			found = i;
	return found;
}

/* Move the bits of @w: that of slot from[i] becomes that of slot i, for @n slots. */
static void bits_move(uint64_t w[CLU_HOSTS_MAX / 64], const uint8_t *from, uint32_t n)
{
	uint64_t to[CLU_HOSTS_MAX / 64] = { 0 };

	for (uint32_t i = 0; i < n; i++)
		if (from[i] < CLU_HOSTS_MAX && clu_bit(w, from[i]))
			clu_bit_set(to, i);
	memcpy(w, to, sizeof(to));
}

/* The host with the lowest id above @above that is not in the list and has no slot in it; 0: none. */
static uint32_t next_gone(const struct clu_host *was, const uint32_t *node, uint32_t n, uint32_t above)
{
	uint32_t best = 0;

	for (uint32_t i = 0; i < CLU_HOSTS_MAX; i++) {
		bool listed = false;

		for (uint32_t k = 0; k < n; k++)
			listed |= node[k] == was[i].node;
		if (!listed && was[i].node > above && (!best || was[i].node < best))
			best = was[i].node;
	}
	return best;
}

static void say_removed(struct clu_host *h)
{
	struct say y;

	memset(h->name, 0, sizeof(h->name));
	say_begin(&y, h->name, sizeof(h->name));
	say(&y, "removed-");
	say_u64(&y, h->node);
}

/* Who is where: the list, then those that left it. The latter give way when there is no room for all. */
static uint32_t place_hosts(struct clu_state *s, const struct clu_host *was, const uint32_t *node,
                            char (*name)[CLU_NAME_MAX], uint32_t n, uint8_t *from)
{
	uint32_t gone = 0, i = 0, k;

	for (k = 0; (k = next_gone(was, node, n, k));)
		gone++;
	memset(s->host, 0, sizeof(s->host));
	for (; i < n; i++) {
		from[i] = (uint8_t)slot_in(was, node[i]);
		if (from[i] < CLU_HOSTS_MAX)
			s->host[i] = was[from[i]];
		s->host[i].node = node[i];
		memcpy(s->host[i].name, name[i], CLU_NAME_MAX);
		s->host[i].name[CLU_NAME_MAX - 1] = 0;
	}
	uint32_t excess = n + gone > CLU_HOSTS_MAX ? n + gone - CLU_HOSTS_MAX : 0;
	for (k = 0; i < CLU_HOSTS_MAX && (k = next_gone(was, node, n, k));) {
		if (excess && !has_domains(s, k)) {
			excess--;
			continue;
		}
		from[i] = (uint8_t)slot_in(was, k);
		s->host[i] = was[from[i]];
		say_removed(&s->host[i++]);
	}
	return i;
}

void clu_nodes_set(struct clu_state *s, const uint32_t *node, char (*name)[CLU_NAME_MAX], uint32_t n)
{
	struct clu_host was[CLU_HOSTS_MAX];
	uint8_t from[CLU_HOSTS_MAX];
	uint32_t slots;

	assert(n <= CLU_HOSTS_MAX);
	memcpy(was, s->host, sizeof(was));
	slots = place_hosts(s, was, node, name, n, from);
	/* the word of a host that is no voter any more does not count */
	for (uint32_t i = 0; i < slots; i++)
		bits_move(s->host[i].waited, from, n);
	for (uint32_t i = 0; i < s->n_dom; i++) {
		bits_move(s->dom[i].unreachable, from, slots);
		bits_move(s->dom[i].failed, from, slots);
	}
	s->n_nodes = n;
	s->sum = clu_sum(s);
}

struct clu_host *clu_host_of(const struct clu_state *s, uint32_t node)
{
	if (node && node <= CLU_HOSTS_MAX && s->host[node - 1].node == node)
		return (struct clu_host *)&s->host[node - 1]; /* numbered from 1 on, as most are */
	for (uint32_t i = 0; node && i < CLU_HOSTS_MAX && s->host[i].node; i++)
		if (s->host[i].node == node)
			return (struct clu_host *)&s->host[i];
	return NULL;
}

struct clu_host *clu_host_named(const struct clu_state *s, const char *name)
{
	for (uint32_t i = 0; i < CLU_HOSTS_MAX && s->host[i].node; i++)
		if (!strcmp(s->host[i].name, name))
			return (struct clu_host *)&s->host[i];
	return NULL;
}

const char *clu_host_name(const struct clu_state *s, uint32_t node)
{
	const struct clu_host *h = clu_host_of(s, node);

	return h ? h->name : "nowhere";
}

struct clu_dom *clu_dom_of(const struct clu_state *s, const char *uuid)
{
	for (uint32_t i = 0; *uuid && i < s->n_dom; i++)
		if (!strcmp(s->dom[i].uuid, uuid))
			return &s->dom[i];
	return NULL;
}

struct clu_dom *clu_dom_named(const struct clu_state *s, const char *name)
{
	for (uint32_t i = 0; *name && i < s->n_dom; i++)
		if (s->dom[i].uuid[0] && !strcmp(s->dom[i].name, name))
			return &s->dom[i];
	return NULL;
}

enum clu_todo clu_todo(const struct clu_dom *d, uint32_t node)
{
	if (d->host == node) {
		switch (d->phase) {
		case CLU_PHASE_STARTING:
			return CLU_TODO_START;
		case CLU_PHASE_RUNNING:
			return CLU_TODO_WATCH;
		case CLU_PHASE_STOPPING:
			return CLU_TODO_STOP;
		case CLU_PHASE_MIGRATING:
			return CLU_TODO_PUSH;
		case CLU_PHASE_RESOLVING:
			return CLU_TODO_RESOLVE;
		case CLU_PHASE_STOPPED:
		case CLU_PHASE_FAILED:
			break;
		}
		return CLU_TODO_KILL;
	}
	return d->phase == CLU_PHASE_MIGRATING && d->target == node ? CLU_TODO_ACCEPT : CLU_TODO_KILL;
}

/* The only list of engines in clusterd. */
static const struct {
	uint32_t bit;
	const char *name;
} engines[] = { { CLU_ENGINE_PV, "pv" },
	        { CLU_ENGINE_KVM, "kvm" },
	        { CLU_ENGINE_QEMU, "qemu" },
	        { CLU_ENGINE_QEMU_AARCH64, "qemu-aarch64" } };

uint32_t clu_engine_named(const char *name)
{
	for (size_t i = 0; i < sizeof(engines) / sizeof(engines[0]); i++)
		if (!strcmp(engines[i].name, name))
			return engines[i].bit;
	return 0;
}

const char *clu_engine_names(uint32_t bits, char *text)
{
	struct say y;

	say_begin(&y, text, CLU_TEXT_MAX);
	for (size_t i = 0; i < sizeof(engines) / sizeof(engines[0]); i++) {
		if (!(bits & engines[i].bit))
			continue;
		say(&y, y.len ? ", " : "");
		say(&y, engines[i].name);
	}
	if (!y.len)
		say(&y, bits ? "unknown" : "none");
	return text;
}

/* Look @i up in a table with holes. */
#define NAME_OF(table, i)                                                                                              \
	((size_t)(i) < sizeof(table) / sizeof((table)[0]) && (table)[(size_t)(i)] ? (table)[(size_t)(i)] : "?")

const char *clu_host_state_name(enum clu_host_state v)
{
	static const char *const t[] = { "new", "online", "lost", "safe" };

	return NAME_OF(t, v);
}

const char *clu_phase_name(enum clu_phase v)
{
	static const char *const t[] = { "stopped",   "starting",  "running", "stopping",
		                         "migrating", "resolving", "failed" };

	return NAME_OF(t, v);
}

const char *clu_desired_name(enum clu_desired v)
{
	static const char *const t[] = { "stopped", "running" };

	return NAME_OF(t, v);
}

const char *clu_cmd_name(enum clu_cmd_kind v)
{
	static const char *const t[] = { "none",        "host-up",  "host-lost",   "waited",   "host-safe",
		                         "maintenance", "define",   "undefine",    "desire",   "start",
		                         "stop",        "move",     "result",      "observed", "reach",
		                         "policy",      "rule-add", "rule-remove", "leave",    "left",
		                         "level",       "disarm",   "permit",      "set",      "spare" };

	return NAME_OF(t, v);
}

const char *clu_result_name(enum clu_result v)
{
	static const char *const t[] = { NULL,    "started",     "start-failed", "stopped", "stop-failed",
		                         "moved", "move-failed", "kept",         "absent" };

	return NAME_OF(t, v);
}

const char *clu_rule_name(enum clu_rule_kind v)
{
	static const char *const t[] = { NULL, "together", "apart", "hosts", "conflict", "after" };

	return NAME_OF(t, v);
}

const char *clu_safe_name(enum clu_safe_by v)
{
	static const char *const t[] = { "none", "deadline", "agent", "person", "left" };

	return NAME_OF(t, v);
}

const char *clu_leaving_name(enum clu_leaving v)
{
	static const char *const t[] = { "no", "drain", "ending" };

	return NAME_OF(t, v);
}

uint32_t clu_fails(const struct clu_state *s, const struct clu_dom *d, uint32_t slot, uint64_t time_ns,
                   const struct clu_fail **ret)
{
	const struct clu_fail *f = NULL;

	if (!clu_bit(d->failed, slot)) {
		if (ret)
			*ret = NULL;
		return 0;
	}
	for (uint32_t i = 0; i < CLU_FAILS_MAX && !f; i++)
		if (d->fail[i].node == s->host[slot].node)
			f = &d->fail[i];
	if (ret)
		*ret = f;
	if (!f)
		return 1; /* others failed since, so that it was forgotten how often */
	return clu_to_come(f->until_ns, time_ns, CLU_FAIL_MAX_NS) ? f->count : 0;
}

bool clu_suspected(const struct clu_host *h, uint64_t time_ns)
{
	return h->start_fails >= CLU_SUSPECT && clu_to_come(h->suspect_ns, time_ns, CLU_FAIL_MAX_NS);
}
