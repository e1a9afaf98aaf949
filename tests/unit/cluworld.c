/* SPDX-License-Identifier: GPL-2.0-or-later */
/* See cluworld.h. */
#include "config.h"
#include "tests/unit/cluworld.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

struct clu_state *cluworld_new(uint32_t hosts, uint32_t doms)
{
	struct clu_state *s = calloc(1, sizeof(*s));
	struct clu_dom *d = calloc(doms, sizeof(*d));

	if (!s || !d)
		abort();
	clu_state_init(s, d, doms);
	for (uint32_t i = 0; i < hosts; i++) {
		struct clu_host *h = &s->host[i];
		h->node = i + 1;
		h->state = CLU_HOST_ONLINE;
		if (i < 26)
			snprintf(h->name, sizeof(h->name), "host-%c", 'a' + (int)i);
		else
			snprintf(h->name, sizeof(h->name), "host-%u", i);
		h->cap.mem_bytes = 8192 * CLUWORLD_MIB;
		h->cap.cpu_milli = 8000;
		h->cap.engines = CLU_ENGINE_PV;
	}
	s->n_nodes = hosts;
	return s;
}

void cluworld_free(struct clu_state *s)
{
	free(s->dom);
	free(s);
}

struct clu_dom *cluworld_dom(struct clu_state *s, const char *name, uint32_t mem_mib, uint32_t node)
{
	struct clu_dom *d = &s->dom[s->n_dom++];

	if (s->n_dom > s->dom_cap)
		abort();
	snprintf(d->uuid, sizeof(d->uuid), "00000000-0000-0000-0000-%012u", s->n_dom);
	snprintf(d->name, sizeof(d->name), "%s", name);
	d->spec = (struct clu_spec){
		.mem_bytes = mem_mib * CLUWORLD_MIB, .vcpus = 1, .engine = CLU_ENGINE_PV, .ha = true
	};
	d->desired = CLU_DESIRED_RUNNING;
	d->phase = node ? CLU_PHASE_RUNNING : CLU_PHASE_STOPPED;
	d->host = node;
	return d;
}

struct clu_rule *cluworld_rule(struct clu_state *s, enum clu_rule_kind kind, bool soft, bool never, const char *members)
{
	struct clu_rule *r = s->rule;

	while (r->id)
		r++;
	*r = (struct clu_rule){ .id = (uint32_t)(r - s->rule) + 1, .kind = kind, .soft = soft, .never = never };
	for (size_t len; *members; members += len + (members[len] == ' ')) {
		len = strcspn(members, " ");
		snprintf(r->member[r->n++], CLU_NAME_MAX, "%.*s", (int)len, members);
	}
	return r;
}
