/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Events for people: what became of each command. */
#include "config.h"
#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include "clusterd/io/nodeio_int.h"
#include "common/log.h"
#include "common/util.h"

static void event(struct nodeio *n, uint64_t index, const char *kind, const char *domain, const char *host,
                  const char *text)
{
	struct store_event ev = {
		.index = index, .time_ns = n->s->time_ns, .kind = kind, .text = text, .domain = domain, .host = host
	};

	eventlist_add(n->events, &ev);
	if (storer_store(n->storer))
		store_note(storer_store(n->storer), &ev);
	n->ops->event(n->arg, &ev);
}

void nodeio_event(struct nodeio *n, uint64_t index, const char *kind, const char *host, const char *text)
{
	event(n, index, kind, "", host, text);
	n->store_wanted = true;
}

static void note(struct nodeio *n, const struct clu_cmd *c, const char *domain, const char *host, const char *text)
{
	event(n, n->s->index, clu_cmd_name(c->kind), domain, host, text);
}

static void note_host(struct nodeio *n, const struct clu_cmd *c, const struct clu_host *before)
{
	const struct clu_host *h = clu_host_of(n->s, before->node);
	char text[2 * CLU_TEXT_MAX];

	if (!h || (h->state == before->state && h->boot == before->boot && h->maintenance == before->maintenance &&
	           h->leaving == before->leaving && h->until_back == before->until_back &&
	           (h->returning == before->returning || !h->returning)))
		return;
	if (h->state != before->state && h->state == CLU_HOST_SAFE)
		snprintf(
			text, sizeof(text),
			h->safe_by == CLU_SAFE_LEFT
				? "%s has left in order, nothing runs there (%s): what is to run may be started elsewhere"
			: h->witness ? "%s is safe (%s): a witness, nothing ran there"
				     : "%s is safe (%s): what ran there may be started elsewhere",
			h->name, clu_safe_name(h->safe_by));
	else if (h->state == CLU_HOST_ONLINE && (h->state != before->state || h->boot != before->boot))
		snprintf(text, sizeof(text), "%s is online%s%s", h->name,
		         before->maintenance && !h->maintenance
		                 ? ": its maintenance is over, and what was moved away from it is brought back"
		                 : "",
		         h->witness       ? ", a witness"
		         : h->clock_stops ? "; its clocks may stand still while it is paused"
		                          : "");
	else if (h->state != before->state && h->witness)
		snprintf(text, sizeof(text), "%s, a witness, was lost: it left the cluster", h->name);
	else if (h->state != before->state)
		snprintf(
			text, sizeof(text), "%s was lost: it left the cluster, its domains may still run%s", h->name,
			clu_deadline_counts(n->s, h)
				? ""
				: ", and the end of its lease does not make it safe: a fence agent or vmclus fence confirm does");
	else if (h->leaving != before->leaving)
		snprintf(text, sizeof(text), "%s %s", h->name,
		         h->leaving == CLU_LEAVING_DRAIN    ? "is being shut down: its domains are moved away"
		         : h->leaving == CLU_LEAVING_ENDING ? "is being shut down: what runs there is ended"
		                                            : "is not shut down after all");
	else if (h->maintenance == before->maintenance && h->maintenance)
		snprintf(text, sizeof(text), "%s is in maintenance%s", h->name,
		         h->until_back ? " until it is back" : "");
	else if (h->maintenance == before->maintenance)
		snprintf(text, sizeof(text), "%s: what was moved away from it is brought back", h->name);
	else
		snprintf(text, sizeof(text), "%s %s", h->name,
		         h->until_back    ? "is in maintenance until it is back"
		         : h->maintenance ? "is in maintenance"
		                          : "takes domains again");
	note(n, c, "", h->name, text);
}

static void dom_text(const struct nodeio *n, const struct clu_dom *d, const struct clu_dom *before, char *text,
                     size_t cap)
{
	const char *why = d->text, *sep = why[0] ? ": " : "";

	switch (d->phase) {
	case CLU_PHASE_STARTING:
		snprintf(text, cap, "%s is started on %s, generation %" PRIu64 "%s", d->name,
		         clu_host_name(n->s, d->host), d->generation,
		         d->force ? ", over the lease of its lost host" : "");
		break;
	case CLU_PHASE_RUNNING:
		if (before->phase == CLU_PHASE_MIGRATING && before->host == d->host)
			snprintf(text, cap, "%s was not moved, it runs on %s%s%s", d->name,
			         clu_host_name(n->s, d->host), sep, why);
		else
			snprintf(text, cap, "%s runs on %s, generation %" PRIu64 "%s%s", d->name,
			         clu_host_name(n->s, d->host), d->generation, sep, why);
		break;
	case CLU_PHASE_STOPPING:
		snprintf(text, cap, "%s is stopped on %s", d->name, clu_host_name(n->s, d->host));
		break;
	case CLU_PHASE_MIGRATING:
		snprintf(text, cap, "%s moves from %s to %s", d->name, clu_host_name(n->s, d->host),
		         clu_host_name(n->s, d->target));
		break;
	case CLU_PHASE_RESOLVING:
		snprintf(text, cap, "%s: %s finds out whether it has it%s%s", d->name, clu_host_name(n->s, d->host),
		         sep, why);
		break;
	case CLU_PHASE_FAILED:
		snprintf(text, cap, "%s failed %u times and is given up%s%s", d->name, d->failures, sep, why);
		break;
	default:
		snprintf(text, cap, "%s is stopped%s%s", d->name, sep, why);
	}
}

static void note_dom(struct nodeio *n, const struct clu_cmd *c, const struct clu_dom *before)
{
	const struct clu_dom *d = clu_dom_of(n->s, c->uuid);
	bool failed = c->kind == CLU_CMD_RESULT && c->result == CLU_RESULT_START_FAILED;
	char text[3 * CLU_TEXT_MAX];

	if (!d && before->uuid[0])
		snprintf(text, sizeof(text), "%s was undefined", before->name);
	else if (!d)
		return;
	else if (c->kind == CLU_CMD_REACH && memcmp(d->unreachable, before->unreachable, sizeof(d->unreachable)) != 0)
		snprintf(text, sizeof(text), c->on ? "%s could start on %s again%s%s" : "%s could not start on %s%s%s",
		         d->name, clu_host_name(n->s, c->origin), c->text[0] ? ": " : "", c->text);
	else if (c->kind == CLU_CMD_OBSERVED && c->seen == CLU_SEEN_RUNNING && c->generation == d->generation &&
	         c->origin == d->host && d->rev == before->rev && c->text[0])
		snprintf(text, sizeof(text), "%s on %s: %s", d->name, clu_host_name(n->s, d->host), c->text);
	else if (d->rev == before->rev)
		return; /* refused */
	else if (failed)
		snprintf(text, sizeof(text), "%s could not be started on %s%s%s", d->name,
		         clu_host_name(n->s, c->origin), c->text[0] ? ": " : "", c->text);
	else if (c->kind == CLU_CMD_RESULT && c->result == CLU_RESULT_MOVE_FAILED)
		snprintf(text, sizeof(text), "%s was not moved to %s, it runs on %s%s%s", d->name,
		         clu_host_name(n->s, before->target), clu_host_name(n->s, d->host), c->text[0] ? ": " : "",
		         c->text);
	else if (c->kind == CLU_CMD_OBSERVED && c->seen == CLU_SEEN_ENDED)
		snprintf(text, sizeof(text), "%s was ended on %s, which is being shut down", d->name,
		         clu_host_name(n->s, c->origin));
	else if (c->kind == CLU_CMD_DEFINE)
		snprintf(text, sizeof(text), "%s was %s", d->name, before->uuid[0] ? "defined anew" : "defined");
	else if (c->kind == CLU_CMD_SET)
		snprintf(text, sizeof(text), "%s: its settings were changed%s", d->name,
		         c->on ? ", and its failures are forgotten" : "");
	else if (c->kind == CLU_CMD_DESIRE)
		snprintf(text, sizeof(text), "%s is to be %s", d->name, clu_desired_name(d->desired));
	else
		dom_text(n, d, before, text, sizeof(text));
	uint32_t at = c->kind == CLU_CMD_REACH ? c->origin : d && d->host ? d->host : failed ? c->origin : 0;
	note(n, c, d ? d->name : before->name, at ? clu_host_name(n->s, at) : "", text);
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

void nodeio_verdict_text(const struct nodeio *n, const struct clu_dom *d, const struct clu_host *h,
                         struct clu_verdict *v)
{
	const char *why = v->why == CLU_WHY_FILES ? nodeio_reach_why(n, d, h) : NULL;

	if (why)
		snprintf(v->text, sizeof(v->text), "%.190s", why);
}

/* A host that fails with one domain after the other. */
static void note_suspect(struct nodeio *n, const struct clu_cmd *c, const struct clu_host *before)
{
	const struct clu_host *h = before->node ? clu_host_of(n->s, before->node) : NULL;
	char text[2 * CLU_TEXT_MAX];

	if (!h || before->start_fails >= h->start_fails || h->start_fails < CLU_SUSPECT)
		return;
	snprintf(text, sizeof(text),
	         "%s failed to start %u domains, one after the other: something is wrong with that host; "
	         "it gets domains only where no other host can take them (vmclus drain --undo %s trusts it again)",
	         h->name, h->start_fails, h->name);
	note(n, c, "", h->name, text);
}

/* Loud: in the log of every host. */
static void note_disarm(struct nodeio *n, const struct clu_cmd *c)
{
	const struct clu_disarm *d = &n->s->disarm;
	char text[2 * CLU_TEXT_MAX];

	if (c->on && d->id == n->s->index)
		snprintf(text, sizeof(text),
		         "THE CLUSTER IS DISARMED for %.0f s: nothing is lost, fenced or started: %s",
		         (double)d->for_ns / 1e9, d->text);
	else if (!c->on && !d->id && n->disarmed)
		snprintf(text, sizeof(text), "the cluster is armed again");
	else
		return;
	n->disarmed = d->id != 0;
	log_warn("%s", text);
	note(n, c, "", "", text);
}

static void note_spare(struct nodeio *n, const struct clu_cmd *c, const struct clu_host *before)
{
	const struct clu_host *h = before->node ? clu_host_of(n->s, before->node) : NULL;
	char text[CLU_TEXT_MAX];

	if (!h || h->spare == before->spare)
		return;
	snprintf(text, sizeof(text),
	         h->spare ? "%s is a spare: it takes domains only while another host is lost or in maintenance"
	                  : "%s is no spare any more",
	         h->name);
	note(n, c, "", h->name, text);
}

static void note_permit(struct nodeio *n, const struct clu_cmd *c)
{
	const struct clu_host *h = clu_host_of(n->s, c->origin);
	char text[2 * CLU_TEXT_MAX];

	if (!h || !c->on || h->permit_id != c->rev)
		return;
	snprintf(text, sizeof(text), "%s knows of the disarm: its domains run on though it is cut off", h->name);
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
	case CLU_CMD_LEVEL: {
		char text[CLU_TEXT_MAX];

		snprintf(text, sizeof(text), "every host has feature level %u now: what needs it can be used",
		         n->s->level);
		if (n->s->level_id == n->s->index)
			note(n, c, "", "", text);
		break;
	}
	case CLU_CMD_DISARM:
		note_disarm(n, c);
		break;
	case CLU_CMD_PERMIT:
		note_permit(n, c);
		break;
	case CLU_CMD_SPARE:
		note_spare(n, c, hbefore);
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
