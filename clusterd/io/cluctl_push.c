/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Migrations that are under way: how far they are, as their sources tell all nodes, and the order to call one off. That is asked of the
 * source by a message (nodeio_call_off()); whether it comes in time is migrated's word, and the result is that of the migration.
 */
#include "config.h"
#include <errno.h>
#include <string.h>
#include "clusterd/core/level.h"
#include "clusterd/io/cluctl_int.h"
#include "common/util.h"

#define ASK_NS      NS_PER_S
#define ABORT_NS    (30 * NS_PER_S) /* beyond that a person has to look */
#define ABORT_LEVEL 1u              /* whose hosts know the message */

static void drop(struct ctl_push **at)
{
	struct ctl_push *p = *at;

	*at = p->next;
	json_decref(p->said);
	free(p);
}

void ctl_push_forget(struct cluctl *ctl)
{
	while (ctl->pushes)
		drop(&ctl->pushes);
}

static bool moves(const struct clu_dom *d, uint64_t op_id)
{
	return d && d->phase == CLU_PHASE_MIGRATING && d->op_id == op_id;
}

void ctl_push_note(struct cluctl *ctl, const char *uuid, const char *json, size_t len)
{
	struct clu_state *s = nodeio_state(ctl->n);
	const struct clu_dom *d = s ? clu_dom_of(s, uuid) : NULL;
	struct ctl_push *p = NULL;

	for (struct ctl_push **at = &ctl->pushes; *at;) {
		if (!s || !moves(clu_dom_of(s, (*at)->uuid), (*at)->op_id)) {
			drop(at);
			continue;
		}
		p = strcmp((*at)->uuid, uuid) ? p : *at;
		at = &(*at)->next;
	}
	json_t *o = d && d->phase == CLU_PHASE_MIGRATING ? json_loadb(json, len, 0, NULL) : NULL;
	const char *type = json_string_value(json_object_get(o, "type"));
	if (!type || strcmp(type, "progress") || (!p && !(p = calloc(1, sizeof(*p))))) {
		json_decref(o);
		return;
	}
	if (!p->uuid[0]) {
		memcpy(p->uuid, d->uuid, sizeof(p->uuid));
		p->op_id = d->op_id;
		p->next = ctl->pushes;
		ctl->pushes = p;
	}
	json_decref(p->said);
	p->said = o;
}

json_t *ctl_push_json(const struct cluctl *ctl, const struct clu_dom *d)
{
	for (const struct ctl_push *p = ctl->pushes; p; p = p->next)
		if (!strcmp(p->uuid, d->uuid) && moves(d, p->op_id))
			return json_incref(p->said);
	return json_null();
}

/* abort ---------------------------------------------------------------------------------------------------------------- */

static bool aborted(struct client *c)
{
	const struct clu_dom *d = clu_dom_of(ctl_state(c), c->o.uuid);
	uint64_t now = boot_ns();

	if (!d) {
		ctl_fail(c, ENOENT, "it was undefined meanwhile");
		return true;
	}
	if (moves(d, c->o.last_id)) {
		if (now >= c->o.wait_until_ns) {
			ctl_fail(c, ETIMEDOUT,
			         "the move of %s goes on: it is beyond the point where it can be called off, or its "
			         "source does not answer. vmclus status shows how it ends",
			         d->name);
			return true;
		}
		if (now >= c->o.reported_ns + ASK_NS) {
			c->o.reported_ns = now;
			nodeio_call_off(c->ctl->n, d->uuid, d->op_id);
		}
		return false;
	}
	if (!nodeio_acts(c->ctl->n) || !clu_node_committed(nodeio_node(c->ctl->n), d->rev))
		return false;
	if (d->phase == CLU_PHASE_RUNNING && d->host != c->o.node)
		ctl_fail(c, EALREADY, "too late: %s has moved to %s", d->name, clu_host_name(ctl_state(c), d->host));
	else if (d->phase == CLU_PHASE_RESOLVING)
		return false;
	else if (d->host != c->o.node)
		ctl_fail(c, EALREADY, "%s is %s: %s", d->name, clu_phase_name(d->phase),
		         d->text[0] ? d->text : "its move is over");
	return true;
}

void ctl_abort(struct client *c)
{
	const struct clu_dom *d = ctl_dom(c);

	if (!d)
		return;
	if (d->phase != CLU_PHASE_MIGRATING) {
		ctl_fail(c, EPERM, "%s does not move: it is %s", d->name, clu_phase_name(d->phase));
		return;
	}
	if (!clu_level_has(ctl_state(c), ABORT_LEVEL)) {
		ctl_fail(c, EOPNOTSUPP,
		         "calling off a move needs a later version of Hospes on all hosts: vmclus status --json tells "
		         "the \"level\" of each");
		return;
	}
	memcpy(c->o.uuid, d->uuid, CLU_UUID_MAX);
	c->o.last_id = d->op_id;
	c->o.node = d->host;
	c->o.wait_until_ns = boot_ns() + ABORT_NS;
	c->o.go_on = aborted;
}
