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
		struct clu_host h = { .node = s->host[i].node };
		memcpy(h.name, s->host[i].name, sizeof(h.name));
		s->host[i] = h;
	}
	s->epoch = s->index = s->time_ns = 0;
	s->n_dom = 0;
	clu_policy_default(&s->policy);
	s->sum = clu_sum(s);
}

void clu_nodes_set(struct clu_state *s, const uint32_t *node, char (*name)[CLU_NAME_MAX], uint32_t n)
{
	assert(n <= CLU_HOSTS_MAX);
	for (uint32_t i = 0; i < n; i++) {
		struct clu_host *h = clu_host_of(s, node[i]);
		if (!h) {
			h = s->host;
			while (h->node)
				h++; /* n <= CLU_HOSTS_MAX, and those that left the list were dropped before */
			h->node = node[i];
		}
		memcpy(h->name, name[i], CLU_NAME_MAX);
		h->name[CLU_NAME_MAX - 1] = 0;
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
} engines[] = { { CLU_ENGINE_PV, "pv" }, { CLU_ENGINE_KVM, "kvm" }, { CLU_ENGINE_QEMU, "qemu" } };

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
		                         "policy",      "rule-add", "rule-remove", "leave",    "left" };

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
	static const char *const t[] = { NULL, "together", "apart", "hosts", "conflict" };

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
