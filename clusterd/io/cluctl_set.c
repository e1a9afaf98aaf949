/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Orders about one domain's settings (set) and about spare hosts (spare). What they mean: clusterd/core/settings.h. */
#include "config.h"
#include <errno.h>
#include <stdio.h>
#include <string.h>
#include "clusterd/core/settings.h"
#include "clusterd/io/cluctl_int.h"

static json_t *ordered(const struct clu_dom *d)
{
	static const struct {
		uint32_t bit;
		const char *name;
	} t[] = { { CLU_SET_PRIORITY, "priority" },
		  { CLU_SET_RESTARTS, "restarts" },
		  { CLU_SET_COOLDOWN, "cool-down" },
		  { CLU_SET_NO_BALANCE, "no-balance" } };
	json_t *a = json_array();

	for (size_t i = 0; i < ARRAY_SIZE(t); i++)
		if (d->set.has & t[i].bit)
			(void)json_array_append_new(a, json_string(t[i].name));
	return a;
}

/* How long it cools down yet. */
static double cools_s(struct client *c, const struct clu_dom *d)
{
	uint64_t now = nodeio_load(c->ctl->n)->time_ns, end = d->moved_ns + d->set.cooldown_ns;

	return d->moved_ns && end > now && clu_stays(d, now, NULL) ? (double)(end - now) / 1e9 : 0.0;
}

json_t *ctl_settings_json(struct client *c, const struct clu_dom *d)
{
	uint64_t window;
	uint32_t crashes = clu_crashes_max(ctl_state(c), d, &window);

	return json_pack("{s:i, s:I, s:f, s:b, s:f, s:f, s:o}", "priority", (int)clu_priority(d), "restarts",
	                 (json_int_t)crashes - 1, "restart_window_s", (double)window / 1e9, "balance",
	                 !(d->set.has & CLU_SET_NO_BALANCE), "cool_down_s", (double)d->set.cooldown_ns / 1e9,
	                 "cool_left_s", cools_s(c, d), "set", ordered(d));
}

void ctl_settings_text(struct client *c, const struct clu_dom *d, char *to, size_t len)
{
	uint64_t window;
	uint32_t crashes = clu_crashes_max(ctl_state(c), d, &window);
	double cools = cools_s(c, d);
	size_t n = 0;

	to[0] = 0;
	if (d->set.has & CLU_SET_NO_BALANCE)
		n = (size_t)snprintf(to, len, "; it is never balanced or brought back, by order (vmclus set)");
	else if (cools > 0)
		n = (size_t)snprintf(to, len, "; it moved a while ago, and is not balanced for another %.0f s", cools);
	if (d->failures && d->phase != CLU_PHASE_FAILED && n < len)
		snprintf(to + n, len - n,
		         "; it crashed %u times, and is given up when it does so %u times within %.0f s", d->failures,
		         crashes, (double)window / 1e9);
}

/* Take over @key, a number from @least to @most, or null: back to the default. False: wrong, and the order has failed. */
static bool take(struct client *c, const char *key, double least, double most, uint32_t bit, struct clu_cmd *cmd,
                 double *ret)
{
	json_t *v = json_object_get(c->o.req, key);
	double d = json_number_value(v);

	if (!v)
		return true;
	cmd->mask |= bit;
	if (json_is_null(v))
		return true;
	if (!json_is_number(v) || !(d >= least) || d > most) {
		ctl_fail(c, EINVAL, "\"%s\" is a number from %.0f to %.0f, or null", key, least, most);
		return false;
	}
	cmd->set.has |= bit;
	*ret = d;
	return true;
}

static bool settings_told(struct client *c)
{
	const struct clu_dom *d = clu_dom_of(ctl_state(c), c->o.uuid);
	json_t *o = d ? json_pack("{s:s, s:s}", "type", "settings", "name", d->name) : NULL;

	if (!d) {
		ctl_fail(c, ENOENT, "it was undefined meanwhile");
		return true;
	}
	(void)json_object_update_new(o, ctl_settings_json(c, d));
	ctl_over(c, o);
	return true;
}

void ctl_set(struct client *c)
{
	const struct clu_dom *d = ctl_dom(c);
	struct clu_cmd ask = { 0 };
	json_t *balance = json_object_get(c->o.req, "balance");
	double priority = 0, restarts = 0, cool = 0,
	       window = json_number_value(json_object_get(c->o.req, "restart_window_s"));

	if (!d || !take(c, "priority", -CLU_PRIORITY_MOST, CLU_PRIORITY_MOST, CLU_SET_PRIORITY, &ask, &priority) ||
	    !take(c, "restarts", 0, CLU_RESTARTS_MOST, CLU_SET_RESTARTS, &ask, &restarts) ||
	    !take(c, "cool_down_s", 0, CLU_SET_TIME_MAX_NS / 1e9, CLU_SET_COOLDOWN, &ask, &cool))
		return;
	if (ask.set.has & CLU_SET_RESTARTS && !(window >= 1 && window <= CLU_SET_TIME_MAX_NS / 1e9)) {
		ctl_fail(c, EINVAL, "\"restart_window_s\", a number of seconds from 1 to %.0f, goes with \"restarts\"",
		         CLU_SET_TIME_MAX_NS / 1e9);
		return;
	}
	ask.set.priority = (int32_t)priority;
	ask.set.restarts = (uint32_t)restarts;
	ask.set.restart_ns = ask.set.has & CLU_SET_RESTARTS ? (uint64_t)(window * 1e9) : 0;
	ask.set.cooldown_ns = (uint64_t)(cool * 1e9);
	if (balance) {
		ask.mask |= CLU_SET_NO_BALANCE;
		ask.set.has |= json_is_false(balance) ? CLU_SET_NO_BALANCE : 0;
	}
	ask.on = ctl_flag(c, "reset", false);
	memcpy(c->o.uuid, d->uuid, CLU_UUID_MAX);
	c->o.go_on = settings_told;
	if (!ask.mask && !ask.on)
		return; /* only asked */
	struct clu_cmd *cmd = ctl_command(c, CLU_CMD_SET, d->uuid);
	if (!cmd)
		return;
	cmd->set = ask.set;
	cmd->mask = ask.mask;
	cmd->on = ask.on;
}

/* Another host that takes domains in ordinary times. */
static bool another(const struct clu_state *s, const struct clu_host *but)
{
	for (uint32_t i = 0; i < s->n_nodes; i++)
		if (&s->host[i] != but && !s->host[i].witness && !s->host[i].spare && s->host[i].state != CLU_HOST_NEW)
			return true;
	return false;
}

void ctl_spare(struct client *c)
{
	const struct clu_state *s = ctl_state(c);
	const struct clu_host *h = ctl_host(c);
	bool on = !ctl_flag(c, "undo", false);
	uint32_t there = 0;
	struct clu_cmd *cmd;

	if (!h)
		return;
	if (on && !another(s, h)) {
		ctl_fail(c, EINVAL, "%s cannot be a spare: there is no other host for ordinary times", h->name);
		return;
	}
	for (uint32_t i = 0; i < s->n_dom; i++)
		there += s->dom[i].uuid[0] && s->dom[i].host == h->node;
	if (on && there)
		ctl_warn(c, "%u domains are on %s and stay until they are balanced (vmclus balance) or moved", there,
		         h->name);
	cmd = ctl_command(c, CLU_CMD_SPARE, NULL);
	if (!cmd)
		return;
	cmd->host = h->node;
	cmd->on = on;
}
