/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Orders before and after planned work on network or storage: disarm, arm. docs/fencing.md says what they promise. */
#include "config.h"
#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <time.h>
#include "clusterd/io/cluctl_int.h"
#include "common/util.h"

#define DISARM_S  3600.0          /* unless it is said */
#define PERMIT_NS (10 * NS_PER_S) /* how long hosts have to say that they know */

static void until(const struct clu_disarm *d, char *to, size_t len)
{
	time_t s = (time_t)((d->at_ns + d->for_ns) / NS_PER_S);
	struct tm tm;

	to[0] = 0;
	if (gmtime_r(&s, &tm))
		(void)strftime(to, len, "%Y-%m-%dT%H:%M:%SZ", &tm);
}

bool ctl_permitted(const struct clu_state *s, const struct clu_host *h)
{
	return s->disarm.id && h->permit_id && h->permit_for == s->disarm.id;
}

json_t *ctl_disarm_json(struct client *c)
{
	const struct clu_state *s = ctl_state(c);
	uint64_t end = s ? s->disarm.at_ns + s->disarm.for_ns : 0, now = nodeio_load(c->ctl->n)->time_ns;
	char when[40];

	if (!s || !s->disarm.id)
		return json_null();
	until(&s->disarm, when, sizeof(when));
	return json_pack("{s:s, s:s, s:f}", "reason", s->disarm.text, "until", when, "left_s",
	                 end > now ? (double)(end - now) / 1e9 : 0.0);
}

bool ctl_disarm_text(struct client *c, char *to, size_t len)
{
	const struct clu_disarm *d = &ctl_state(c)->disarm;
	char when[40];

	to[0] = 0;
	if (!d->id)
		return false;
	until(d, when, sizeof(when));
	snprintf(to, len, "the cluster is disarmed until %s: %s", when, d->text);
	return true;
}

/* Hosts whose domains would end when they are cut off. */
static json_t *without(const struct clu_state *s)
{
	json_t *a = json_array();

	for (uint32_t i = 0; i < s->n_nodes; i++)
		if (!s->host[i].witness && !ctl_permitted(s, &s->host[i]))
			(void)json_array_append_new(a, json_string(s->host[i].name));
	return a;
}

static bool disarmed(struct client *c)
{
	const struct clu_state *s = ctl_state(c);
	json_t *hosts = without(s), *o, *v;
	size_t i;

	if (!c->o.seen_ns)
		c->o.seen_ns = boot_ns();
	if (!s->disarm.id) {
		json_decref(hosts);
		ctl_fail(c, ECANCELED, "somebody armed the cluster meanwhile");
		return true;
	}
	if (json_array_size(hosts) && boot_ns() < c->o.seen_ns + PERMIT_NS) {
		json_decref(hosts);
		return false;
	}
	json_array_foreach(hosts, i, v)
		ctl_warn(c, "%s has not said that it knows of it: if it is cut off, its domains end with its lease",
	                 json_string_value(v));
	o = json_pack("{s:s, s:o, s:o}", "type", "ok", "disarm", ctl_disarm_json(c), "without", hosts);
	if (c->o.warnings)
		(void)json_object_set(o, "warnings", c->o.warnings);
	ctl_over(c, o);
	return true;
}

void ctl_disarm(struct client *c)
{
	json_t *time = json_object_get(c->o.req, "for_s");
	const char *reason = ctl_text(c, "reason");
	double s = time ? json_number_value(time) : DISARM_S;
	struct clu_cmd *cmd;

	if (!reason || !*reason || strlen(reason) >= CLU_TEXT_MAX) {
		ctl_fail(c, EINVAL, "\"reason\" is a text of 1 to %u octets", CLU_TEXT_MAX - 1);
		return;
	}
	if (!(s >= CLU_DISARM_MIN_NS / 1e9) || s > CLU_DISARM_MAX_NS / 1e9) {
		ctl_fail(c, EINVAL, "\"for_s\" is a number of seconds from 1 to 86400, a day");
		return;
	}
	cmd = ctl_command(c, CLU_CMD_DISARM, NULL);
	if (!cmd)
		return;
	cmd->on = true;
	cmd->lease_ns = (uint64_t)(s * 1e9);
	snprintf(cmd->text, sizeof(cmd->text), "%s", reason);
	text_tidy(cmd->text);
	if (ctl_flag(c, "wait", true))
		c->o.go_on = disarmed;
}

/* A host that is cut off does not know: it is waited for to the end of its permit. */
static bool armed(struct client *c)
{
	const struct clu_state *s = ctl_state(c);
	bool left = false;

	if (!c->o.seen_ns)
		c->o.seen_ns = boot_ns();
	for (uint32_t i = 0; i < s->n_nodes; i++)
		left |= s->host[i].permit_id != 0;
	if (left && !s->disarm.id && boot_ns() < c->o.seen_ns + PERMIT_NS)
		return false;
	for (uint32_t i = 0; i < s->n_nodes; i++)
		if (s->host[i].permit_id)
			ctl_warn(
				c,
				"%s does not know yet: if it is cut off, its domains run on there, and start elsewhere only when the "
				"time that it was disarmed for is over",
				s->host[i].name);
	return true;
}

void ctl_arm(struct client *c)
{
	if (!ctl_command(c, CLU_CMD_DISARM, NULL))
		return;
	c->o.go_on = armed;
}
