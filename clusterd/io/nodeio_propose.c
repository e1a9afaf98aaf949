/* SPDX-License-Identifier: GPL-2.0-or-later */
/* What this node says by itself: HOST_UP; proposals and fencing when it coordinates. And what all use, which proposals go by. */
#include "config.h"
#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include <time.h>
#include "clusterd/io/nodeio_int.h"
#include "common/util.h"

#define AGAIN_NS    NS_PER_S        /* an own command that does not show is said again */
#define CAPACITY_NS (10 * NS_PER_S) /* how often capacity is measured anew */
#define LOST_CMD_NS (2 * NS_PER_S)  /* a command of ours not delivered after so long is lost */

/* HOST_UP -------------------------------------------------------------------------------------------------------------- */

/* A new capacity can wait until nothing is under way here: an inventory goes with it. */
static bool domains_in_motion(const struct nodeio *n)
{
	for (uint32_t i = 0; i < n->s->n_dom; i++) {
		const struct clu_dom *d = &n->s->dom[i];
		bool here = d->host == n->cfg.node || d->target == n->cfg.node;

		if (d->uuid[0] && here && d->phase != CLU_PHASE_STOPPED && d->phase != CLU_PHASE_FAILED &&
		    d->phase != CLU_PHASE_RUNNING)
			return true;
	}
	return false;
}

/* A witness settles nothing of a domain: as long as the cluster has one here it stays out. */
static bool may_be_witness(struct nodeio *n)
{
	const struct clu_dom *there = NULL;

	for (uint32_t i = 0; i < n->s->n_dom && !there; i++)
		if (n->s->dom[i].uuid[0] && (n->s->dom[i].host == n->cfg.node || n->s->dom[i].target == n->cfg.node))
			there = &n->s->dom[i];
	n->role_text[0] = 0;
	if (there)
		snprintf(n->role_text, sizeof(n->role_text),
		         "this host is to be a witness, and the cluster has domain %s here: start it as a host first "
		         "(remove %s/witness), then vmclus drain",
		         there->name, path_conf());
	return !there;
}

static void host_up(struct nodeio *n)
{
	const struct clu_host *h = clu_host_of(n->s, n->cfg.node);
	struct clu_inventory *list;
	struct clu_cmd *c;
	uint64_t now = boot_ns();
	struct hostengines engines = { 0 };
	int k;

	k = n->ops->engines(n->arg, &engines);
	if (k == -EAGAIN && !h)
		return;
	if (k < 0 && h) { /* until hvdom answers: what it said last, to a clusterd before this one */
		engines.bits = h->cap.engines;
		memcpy(engines.build, h->cap.build, sizeof(engines.build));
	}
	if (!n->cap_ns || now > n->cap_ns + CAPACITY_NS || n->cap.engines != engines.bits ||
	    memcmp(n->cap.build, engines.build, sizeof(engines.build)) != 0) {
		if (n->conf->witness)
			memset(&n->cap, 0, sizeof(n->cap));
		else
			hostinfo_capacity(n->conf, &engines, &n->cap);
		n->cap_ns = now;
	}
	if (n->conf->witness && h && !may_be_witness(n))
		return;
	bool new_life = h && (h->state != CLU_HOST_ONLINE || h->boot != n->node.boot || h->witness != n->conf->witness);
	uint64_t lease = clu_node_lease(&n->node, nodeio_reach_lease(n), now);
	bool changed = h && (h->lease_ns != lease || memcmp(&h->cap, &n->cap, sizeof(h->cap)) != 0);
	if (!h || n->left || (n->host_up_ns && now < n->host_up_ns + AGAIN_NS) ||
	    (!new_life && (!changed || domains_in_motion(n))))
		return;
	if (new_life)
		n->life = nodeio_random_id();
	list = calloc(CLU_INVENTORY_MAX, sizeof(*list));
	c = calloc(1, sizeof(*c));
	k = list && c ? n->ops->inventory(n->arg, list, CLU_INVENTORY_MAX) : -ENOMEM;
	if (k >= 0) {
		c->kind = CLU_CMD_HOST_UP;
		c->rev = n->s->index;
		snprintf(c->name, sizeof(c->name), "%s", h->name);
		c->boot = n->node.boot;
		c->lease_ns = lease;
		c->self_fencing = guardlink_there(n->guard);
		c->witness = n->conf->witness;
		c->leaving = n->leaving;
		c->clock_stops = n->clocks == CLOCKS_MAY_STOP;
		c->cap = n->cap;
		c->inventory = list;
		c->n_inventory = (uint32_t)k;
		if (nodeio_submit(n, c, NULL, 0) == 0)
			n->host_up_ns = now;
	}
	free(c);
	free(list);
}

/* Decisions ------------------------------------------------------------------------------------------------------------ */

static void fence_hosts(struct nodeio *n)
{
	for (uint32_t i = 0; i < CLU_HOSTS_MAX && n->s->host[i].node; i++) {
		const struct clu_host *h = &n->s->host[i];

		/* only a loss that cannot be undone: an agent switches machines off */
		if (clu_bit(n->proposals->fence, i) && clu_node_committed(&n->node, h->lost_id))
			fence_want(n->fence, h->name, h->lost_id);
		else
			fence_unwant(n->fence, h->name);
	}
}

static void fence_nobody(struct nodeio *n)
{
	for (uint32_t i = 0; i < CLU_HOSTS_MAX && n->s->host[i].node; i++)
		fence_unwant(n->fence, n->s->host[i].name);
}

void nodeio_awaits(const struct nodeio *n, uint32_t slot, char *to, size_t len)
{
	uint64_t ns = nodeio_acts(n) ? clu_node_awaits(&n->node, slot) : 0;
	time_t at = (time_t)((nodeio_real_ns() + ns) / NS_PER_S);
	struct tm tm;
	char when[16] = "";

	to[0] = 0;
	if (!ns || !gmtime_r(&at, &tm) || !strftime(when, sizeof(when), "%H:%M:%SZ", &tm))
		return;
	snprintf(to, len, "until %s: quorum was lost on all hosts, and its guests may be suspended there", when);
}

/* Said once, by the coordinator. */
static void say_awaited(struct nodeio *n, const uint64_t *slots, bool coordinates)
{
	for (uint32_t i = 0; i < CLU_HOSTS_MAX && n->s->host[i].node; i++) {
		const struct clu_host *h = &n->s->host[i];
		char text[2 * CLU_TEXT_MAX], until[CLU_TEXT_MAX];

		if (!clu_bit(slots, i) || clu_bit(n->awaited, i) || !coordinates)
			continue;
		nodeio_awaits(n, i, until, sizeof(until));
		snprintf(text, sizeof(text), "waiting for %s %s", h->name, until);
		nodeio_event(n, n->s->index, "waiting", h->name, text);
	}
	memcpy(n->awaited, slots, sizeof(n->awaited));
}

static void decide(struct nodeio *n)
{
	uint32_t alive[CLU_HOSTS_MAX];
	struct clu_view v = { .member = alive,
		              .n = clu_node_alive(&n->node, alive),
		              .commit = n->node.commit,
		              .disarm_left_ns = clu_node_disarm_left(&n->node) };
	uint64_t now = boot_ns();

	for (uint32_t i = 0; i < CLU_HOSTS_MAX && n->s->host[i].node; i++)
		if (clu_node_awaits(&n->node, i))
			clu_bit_set(v.awaited, i);
	say_awaited(n, v.awaited, clu_node_coordinates(&n->node));
	if (!clu_node_coordinates(&n->node)) {
		fence_nobody(n);
		return;
	}
	/* the last proposals have not come back yet: the state does not show them */
	if (n->seen_cmds < n->sent_cmds && now < n->sent_ns + LOST_CMD_NS)
		return;
	n->seen_cmds = n->sent_cmds;
	if (clu_node_level(&n->node) > n->s->level) {
		struct clu_cmd c = { .kind = CLU_CMD_LEVEL, .level = clu_node_level(&n->node) };

		(void)!nodeio_submit(n, &c, NULL, 0);
	}
	nodeio_reach_coming(n, v.coming);
	clu_decide(n->s, &v, &n->load, nodeio_real_ns(), n->proposals);
	fence_hosts(n);
	for (uint32_t i = 0; i < n->proposals->n; i++)
		if (nodeio_submit(n, &n->proposals->cmd[i], NULL, 0) < 0)
			break;
}

void nodeio_level_text(const struct nodeio *n, const struct clu_cmd *c, char *to, size_t len)
{
	const struct clu_feature *f = clu_cmd_needs(c);
	char older[CLU_TEXT_MAX] = "";
	size_t at = 0;

	for (uint32_t i = 0; f && i < n->s->n_nodes && at < sizeof(older); i++) {
		const struct clu_peer *p = &n->node.peer[i];

		if (!p->member || p->level < f->level)
			at += (size_t)snprintf(older + at, sizeof(older) - at, "%s%s%s", at ? ", " : "",
			                       n->s->host[i].name, p->member ? "" : " (not here)");
	}
	snprintf(to, len, "%s needs a version of Hospes that not every host of the cluster has%s%.190s (%s/upgrade.md)",
	         f ? f->name : "that", at ? ", or has shown to have: " : "", older, path_doc());
}

void nodeio_propose(struct nodeio *n)
{
	n->load.time_ns = nodeio_real_ns();
	if (!nodeio_acts(n)) {
		fence_nobody(n);
		return;
	}
	host_up(n);
	decide(n);
}

/* Usage ---------------------------------------------------------------------------------------------------------------- */

/* When that was, if it was said; the word took a moment, so it is not sooner than it was. */
static uint64_t ago(const struct nodeio *n, uint64_t ms)
{
	uint64_t now = n->load.time_ns ? n->load.time_ns : nodeio_real_ns();

	return ms && ms < now / NS_PER_MS ? now - ms * NS_PER_MS : 0;
}

void nodeio_take_usage(struct nodeio *n, uint32_t node, const Hospes__Clu__Usage *u)
{
	const struct clu_host *h = clu_host_of(n->s, node);

	if (!h)
		return;
	if (!u->domains_only) {
		n->load.cpu_used_milli[clu_slot(n->s, h)] = u->cpu_milli;
		n->load.mem_used_bytes[clu_slot(n->s, h)] = u->mem_bytes;
	}
	for (size_t i = 0; i < u->n_domains; i++) {
		const Hospes__Clu__DomainUsage *du = u->domains[i];
		const struct clu_dom *d = clu_dom_of(n->s, du->uuid);
		uint32_t slot = d ? (uint32_t)(d - n->s->dom) : 0;

		/* a late word of the former host does not count */
		if (!d || (d->host && d->host != node))
			continue;
		memcpy(n->load_uuid[slot], d->uuid, CLU_UUID_MAX);
		n->dom_load[slot] = (struct clu_dom_load){ .cpu_milli = du->cpu_milli,
			                                   .used_bytes = du->used_bytes,
			                                   .dirty_bps = du->dirty_bps,
			                                   .newer = du->newer,
			                                   .up_ns = ago(n, du->up_ms),
			                                   .well_ns = ago(n, du->well_ms) };
		snprintf(n->dom_load[slot].build, CLU_WORD_MAX, "%s", du->build ? du->build : "");
		text_tidy(n->dom_load[slot].build);
	}
	for (uint32_t i = 0; i < n->s->n_dom; i++) {
		if (n->s->dom[i].phase == CLU_PHASE_STOPPED) { /* the next run may be of another one */
			n->dom_load[i].build[0] = n->dom_load[i].newer = 0;
			n->dom_load[i].up_ns = n->dom_load[i].well_ns = 0;
		}
		if (n->load_uuid[i][0] && strcmp(n->load_uuid[i], n->s->dom[i].uuid) != 0) {
			n->load_uuid[i][0] = 0;
			n->dom_load[i] = (struct clu_dom_load){ 0 };
		}
	}
}
