/* SPDX-License-Identifier: GPL-2.0-or-later */
/* What this node says by itself: HOST_UP, proposals and fencing when it coordinates, events for people. */
#include <config.h>
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
#define IDLE_NS     (3 * NS_PER_S)  /* a change of view is over sooner: after more, there was no quorum */

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

static void host_up(struct nodeio *n)
{
	const struct clu_host *h = clu_host_of(n->s, n->cfg.node);
	struct clu_inventory *list;
	struct clu_cmd *c;
	uint64_t now = boot_ns();
	uint32_t engines;
	int k;

	k = n->ops->engines(n->arg, &engines);
	if (k == -EAGAIN && !h)
		return;
	if (k < 0) /* until hvdom answers: what it said last, to a clusterd before this one */
		engines = h ? h->cap.engines : 0;
	if (!n->cap_ns || now > n->cap_ns + CAPACITY_NS || n->cap.engines != engines) {
		hostinfo_capacity(n->conf, engines, &n->cap);
		n->cap_ns = now;
	}
	bool new_life = h && (h->state != CLU_HOST_ONLINE || h->boot != n->node.boot);
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
		(void)snprintf(c->name, sizeof(c->name), "%s", h->name);
		c->boot = n->node.boot;
		c->lease_ns = lease;
		c->self_fencing = guardlink_there(n->guard);
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

static uint64_t real_ns(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_REALTIME, &ts);
	return (uint64_t)ts.tv_sec * NS_PER_S + (uint64_t)ts.tv_nsec;
}

/*
 * When quorum comes back the hosts come one after the other. With suspended domains it is worth the time to wait for the last: each has
 * been away for longer than its lease, so that being declared lost would at once give away what it could resume.
 */
static bool settling(struct nodeio *n)
{
	uint64_t now = boot_ns();

	if (now > n->acted_ns + IDLE_NS)
		n->settle_ns = now + n->cfg.token_ns + n->cfg.consensus_ns;
	n->acted_ns = now;
	return nodeio_park_ns(n) && now < n->settle_ns;
}

static void decide(struct nodeio *n)
{
	uint32_t alive[CLU_HOSTS_MAX];
	struct clu_view v = { .member = alive, .n = clu_node_alive(&n->node, alive), .commit = n->node.commit };
	bool settles = settling(n);
	uint64_t now = boot_ns();

	if (!clu_node_coordinates(&n->node)) {
		fence_nobody(n);
		return;
	}
	/* the last proposals have not come back yet: the state does not show them */
	if (n->seen_cmds < n->sent_cmds && now < n->sent_ns + LOST_CMD_NS)
		return;
	n->seen_cmds = n->sent_cmds;
	v.settling = settles;
	nodeio_reach_coming(n, v.coming);
	clu_decide(n->s, &v, &n->load, real_ns(), n->proposals);
	fence_hosts(n);
	for (uint32_t i = 0; i < n->proposals->n; i++)
		if (nodeio_submit(n, &n->proposals->cmd[i], NULL, 0) < 0)
			break;
}

void nodeio_house(struct nodeio *n)
{
	n->load.time_ns = real_ns();
	if (!nodeio_acts(n)) {
		fence_nobody(n);
		return;
	}
	host_up(n);
	decide(n);
}

/* Usage ---------------------------------------------------------------------------------------------------------------- */

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
			                                   .dirty_bps = du->dirty_bps };
	}
	for (uint32_t i = 0; i < n->s->n_dom; i++)
		if (n->load_uuid[i][0] && strcmp(n->load_uuid[i], n->s->dom[i].uuid) != 0) {
			n->load_uuid[i][0] = 0;
			n->dom_load[i] = (struct clu_dom_load){ 0 };
		}
}

/* Events --------------------------------------------------------------------------------------------------------------- */

static const char *host_name(const struct nodeio *n, uint32_t node)
{
	const struct clu_host *h = clu_host_of(n->s, node);

	return h ? h->name : "nowhere";
}

void nodeio_event(struct nodeio *n, const struct store_event *ev)
{
	eventlist_add(n->events, ev);
	if (storer_store(n->storer))
		store_note(storer_store(n->storer), ev);
	n->ops->event(n->arg, ev);
}

static void note(struct nodeio *n, const struct clu_cmd *c, const char *domain, const char *host, const char *text)
{
	struct store_event ev = { .index = n->s->index,
		                  .time_ns = n->s->time_ns,
		                  .kind = clu_cmd_name(c->kind),
		                  .text = text,
		                  .domain = domain,
		                  .host = host };

	nodeio_event(n, &ev);
}

static void note_host(struct nodeio *n, const struct clu_cmd *c, const struct clu_host *before)
{
	const struct clu_host *h = clu_host_of(n->s, before->node);
	char text[2 * CLU_TEXT_MAX];

	if (!h || (h->state == before->state && h->boot == before->boot && h->maintenance == before->maintenance &&
	           h->leaving == before->leaving && (h->returning == before->returning || !h->returning)))
		return;
	if (h->state != before->state && h->state == CLU_HOST_SAFE)
		(void)snprintf(
			text, sizeof(text),
			h->safe_by == CLU_SAFE_LEFT
				? "%s has left in order, nothing runs there (%s): what is to run may be started elsewhere"
				: "%s is safe (%s): what ran there may be started elsewhere",
			h->name, clu_safe_name(h->safe_by));
	else if (h->state == CLU_HOST_ONLINE && (h->state != before->state || h->boot != before->boot))
		(void)snprintf(text, sizeof(text), "%s is online%s", h->name,
		               h->clock_stops ? "; its clocks may stand still while it is paused" : "");
	else if (h->state != before->state)
		(void)snprintf(
			text, sizeof(text), "%s was lost: it left the cluster, its domains may still run%s", h->name,
			clu_deadline_counts(n->s, h)
				? ""
				: ", and the end of its lease does not make it safe: a fence agent or vmclus fence confirm does");
	else if (h->leaving != before->leaving)
		(void)snprintf(text, sizeof(text), "%s %s", h->name,
		               h->leaving == CLU_LEAVING_DRAIN    ? "is being shut down: its domains are moved away"
		               : h->leaving == CLU_LEAVING_ENDING ? "is being shut down: what runs there is ended"
		                                                  : "is not shut down after all");
	else if (h->maintenance == before->maintenance)
		(void)snprintf(text, sizeof(text), "%s: what was moved away from it is brought back", h->name);
	else
		(void)snprintf(text, sizeof(text), "%s %s", h->name,
		               h->maintenance ? "is in maintenance" : "takes domains again");
	note(n, c, "", h->name, text);
}

static void dom_text(const struct nodeio *n, const struct clu_dom *d, const struct clu_dom *before, char *text,
                     size_t cap)
{
	const char *why = d->text, *sep = why[0] ? ": " : "";

	switch (d->phase) {
	case CLU_PHASE_STARTING:
		(void)snprintf(text, cap, "%s is started on %s, generation %" PRIu64 "%s", d->name,
		               host_name(n, d->host), d->generation,
		               d->force ? ", over the lease of its lost host" : "");
		break;
	case CLU_PHASE_RUNNING:
		if (before->phase == CLU_PHASE_MIGRATING && before->host == d->host)
			(void)snprintf(text, cap, "%s was not moved, it runs on %s%s%s", d->name, host_name(n, d->host),
			               sep, why);
		else
			(void)snprintf(text, cap, "%s runs on %s, generation %" PRIu64 "%s%s", d->name,
			               host_name(n, d->host), d->generation, sep, why);
		break;
	case CLU_PHASE_STOPPING:
		(void)snprintf(text, cap, "%s is stopped on %s", d->name, host_name(n, d->host));
		break;
	case CLU_PHASE_MIGRATING:
		(void)snprintf(text, cap, "%s moves from %s to %s", d->name, host_name(n, d->host),
		               host_name(n, d->target));
		break;
	case CLU_PHASE_RESOLVING:
		(void)snprintf(text, cap, "%s: %s finds out whether it has it%s%s", d->name, host_name(n, d->host), sep,
		               why);
		break;
	case CLU_PHASE_FAILED:
		(void)snprintf(text, cap, "%s failed %u times and is given up%s%s", d->name, d->failures, sep, why);
		break;
	default:
		(void)snprintf(text, cap, "%s is stopped%s%s", d->name, sep, why);
	}
}

static void note_dom(struct nodeio *n, const struct clu_cmd *c, const struct clu_dom *before)
{
	const struct clu_dom *d = clu_dom_of(n->s, c->uuid);
	bool failed = c->kind == CLU_CMD_RESULT && c->result == CLU_RESULT_START_FAILED;
	char text[3 * CLU_TEXT_MAX];

	if (!d && before->uuid[0])
		(void)snprintf(text, sizeof(text), "%s was undefined", before->name);
	else if (!d)
		return;
	else if (c->kind == CLU_CMD_REACH && memcmp(d->unreachable, before->unreachable, sizeof(d->unreachable)) != 0)
		(void)snprintf(text, sizeof(text),
		               c->on ? "%s could start on %s again%s%s" : "%s could not start on %s%s%s", d->name,
		               host_name(n, c->origin), c->text[0] ? ": " : "", c->text);
	else if (c->kind == CLU_CMD_OBSERVED && c->seen == CLU_SEEN_RUNNING && c->generation == d->generation &&
	         c->origin == d->host && d->rev == before->rev && c->text[0])
		(void)snprintf(text, sizeof(text), "%s on %s: %s", d->name, host_name(n, d->host), c->text);
	else if (d->rev == before->rev)
		return; /* refused */
	else if (failed)
		(void)snprintf(text, sizeof(text), "%s could not be started on %s%s%s", d->name,
		               host_name(n, c->origin), c->text[0] ? ": " : "", c->text);
	else if (c->kind == CLU_CMD_RESULT && c->result == CLU_RESULT_MOVE_FAILED)
		(void)snprintf(text, sizeof(text), "%s was not moved to %s, it runs on %s%s%s", d->name,
		               host_name(n, before->target), host_name(n, d->host), c->text[0] ? ": " : "", c->text);
	else if (c->kind == CLU_CMD_OBSERVED && c->seen == CLU_SEEN_ENDED)
		(void)snprintf(text, sizeof(text), "%s was ended on %s, which is being shut down", d->name,
		               host_name(n, c->origin));
	else if (c->kind == CLU_CMD_DEFINE)
		(void)snprintf(text, sizeof(text), "%s was %s", d->name, before->uuid[0] ? "defined anew" : "defined");
	else if (c->kind == CLU_CMD_DESIRE)
		(void)snprintf(text, sizeof(text), "%s is to be %s", d->name, clu_desired_name(d->desired));
	else
		dom_text(n, d, before, text, sizeof(text));
	uint32_t at = c->kind == CLU_CMD_REACH ? c->origin : d && d->host ? d->host : failed ? c->origin : 0;
	note(n, c, d ? d->name : before->name, at ? host_name(n, at) : "", text);
}

/* How long starts take: for vmclus rehearse. */
static void note_start(struct nodeio *n, const struct clu_cmd *c)
{
	const struct clu_dom *d = c->uuid[0] ? clu_dom_of(n->s, c->uuid) : NULL;
	struct nodeio_start *st = d ? &n->start[d - n->s->dom] : NULL;

	if (!d)
		return;
	if (c->kind == CLU_CMD_DEFINE)
		*st = (struct nodeio_start){ 0 };
	else if (d->phase == CLU_PHASE_STARTING && st->op_id != d->op_id)
		st->op_id = d->op_id, st->from_ns = boot_ns();
	else if (c->kind == CLU_CMD_RESULT && c->result == CLU_RESULT_STARTED && st->from_ns &&
	         d->phase == CLU_PHASE_RUNNING && c->op_id == st->op_id)
		st->took_ns = boot_ns() - st->from_ns, st->from_ns = 0;
}

uint64_t nodeio_start_ns(const struct nodeio *n, uint32_t slot)
{
	return n->start[slot].took_ns;
}

const char *nodeio_reach_why(const struct nodeio *n, const struct clu_dom *d, const struct clu_host *h)
{
	const struct store_event *ev = eventlist_last(n->events, clu_cmd_name(CLU_CMD_REACH), d->name, h->name);
	const char *why = ev ? strstr(ev->text, ": ") : NULL;

	return why && strstr(ev->text, "could not start") ? why + 2 : NULL;
}

/* A host that fails with one domain after the other. */
static void note_suspect(struct nodeio *n, const struct clu_cmd *c, const struct clu_host *before)
{
	const struct clu_host *h = before->node ? clu_host_of(n->s, before->node) : NULL;
	char text[2 * CLU_TEXT_MAX];

	if (!h || before->start_fails >= h->start_fails || h->start_fails < CLU_SUSPECT)
		return;
	(void)snprintf(
		text, sizeof(text),
		"%s failed to start %u domains, one after the other: something is wrong with that host; "
		"it gets domains only where no other host can take them (vmclus drain --undo %s trusts it again)",
		h->name, h->start_fails, h->name);
	note(n, c, "", h->name, text);
}

void nodeio_note(struct nodeio *n, const struct clu_cmd *c, const struct clu_dom *before,
                 const struct clu_host *hbefore)
{
	switch (c->kind) {
	case CLU_CMD_HOST_UP:
	case CLU_CMD_HOST_LOST:
	case CLU_CMD_WAITED:
	case CLU_CMD_HOST_SAFE:
	case CLU_CMD_MAINTENANCE:
	case CLU_CMD_LEAVE:
	case CLU_CMD_LEFT:
		note_host(n, c, hbefore);
		break;
	case CLU_CMD_POLICY:
		note(n, c, "", "", "the policy was changed");
		break;
	case CLU_CMD_RULE_ADD:
		note(n, c, "", "", "a rule was added");
		break;
	case CLU_CMD_RULE_REMOVE:
		note(n, c, "", "", "a rule was removed");
		break;
	default:
		note_start(n, c);
		note_dom(n, c, before);
		note_suspect(n, c, hbefore);
	}
}
