/* SPDX-License-Identifier: GPL-2.0-or-later */
/* See after.h. */
#include "config.h"
#include "clusterd/core/after.h"
#include "clusterd/core/node.h"
#include "clusterd/core/say_int.h"

#include <string.h>

static bool is_up(const struct clu_state *s, const struct clu_dom *d)
{
	const struct clu_host *h = clu_host_of(s, d->host);

	return d->desired == CLU_DESIRED_RUNNING &&
	       (d->phase == CLU_PHASE_RUNNING || d->phase == CLU_PHASE_MIGRATING) && h && h->state == CLU_HOST_ONLINE &&
	       h->leaving != CLU_LEAVING_ENDING;
}

/* Whether a rule that only orders has nothing to wait for. */
static bool is_hopeless(const struct clu_dom *d)
{
	return d->desired != CLU_DESIRED_RUNNING || d->phase == CLU_PHASE_FAILED;
}

static void say_not_up(struct say *y, const struct clu_state *s, const struct clu_dom *d)
{
	const struct clu_host *h = clu_host_of(s, d->host);

	say(y, "waits for ");
	say(y, d->name);
	if (d->phase == CLU_PHASE_FAILED) {
		say(y, ", which failed too often");
	} else if (d->desired != CLU_DESIRED_RUNNING) {
		say(y, ", which is not to run (vmclus start ");
		say(y, d->name);
		say(y, ")");
	} else if (h && h->state != CLU_HOST_ONLINE) {
		say(y, ", whose host is ");
		say(y, clu_host_state_name(h->state));
	} else if (h && h->leaving == CLU_LEAVING_ENDING) {
		say(y, ", whose host is being shut down");
	} else {
		say(y, ", which is ");
		say(y, clu_phase_name(d->phase));
	}
}

/* Since when @d is as @r wants it, CLOCK_REALTIME; 0: it is not, or that is not known. */
static uint64_t since(const struct clu_state *s, const struct clu_load *load, const struct clu_rule *r,
                      const struct clu_dom *d)
{
	const struct clu_dom_load *l = load->dom ? &load->dom[d - s->dom] : NULL;

	return !l ? 0 : r->healthy ? l->well_ns : l->up_ns;
}

static bool waits_for(const struct clu_state *s, const struct clu_load *load, const struct clu_rule *r,
                      const struct clu_dom *d, uint64_t time_ns, uint64_t *until_ns, struct say *y)
{
	uint64_t from;

	if (!is_up(s, d)) {
		if (r->soft && is_hopeless(d))
			return false;
		say_not_up(y, s, d);
		return true;
	}
	if (!load || (!r->healthy && !r->delay_ns))
		return false;
	from = since(s, load, r, d);
	if (!from) {
		say(y, "waits until ");
		say(y, d->name);
		say(y, r->healthy
		               ? " is healthy: no heartbeat of its guest's agent is known, or its disks do not answer"
		               : " has run for a while");
		return true;
	}
	/* a clock that was set back does not make it longer */
	if (!clu_to_come(from + r->delay_ns, time_ns, r->delay_ns))
		return false;
	*until_ns = from + r->delay_ns;
	say(y, "waits for another ");
	say_u64(y, (*until_ns - time_ns + 999999999) / 1000000000);
	say(y, r->healthy ? " s after " : " s since ");
	say(y, d->name);
	say(y, r->healthy ? " became healthy" : " runs");
	return true;
}

bool clu_after_waits(const struct clu_state *s, const struct clu_load *load, const struct clu_dom *d, uint64_t time_ns,
                     uint64_t *ret_ns, char *why)
{
	uint64_t until = CLU_NEVER;
	struct say y;

	say_begin(&y, why, why ? CLU_TEXT_MAX : 0);
	if (ret_ns)
		*ret_ns = CLU_NEVER;
	for (uint32_t i = 0; i < CLU_RULES_MAX; i++) {
		const struct clu_rule *r = &s->rule[i];

		if (!r->id || r->kind != CLU_RULE_AFTER || strcmp(r->member[0], d->name) != 0)
			continue;
		for (uint32_t k = 1; k < r->n; k++) {
			const struct clu_dom *other = clu_dom_named(s, r->member[k]);

			if (!other || !waits_for(s, load, r, other, time_ns, &until, &y))
				continue;
			if (ret_ns)
				*ret_ns = until;
			return true;
		}
	}
	return false;
}

/* The first domain that starts after @d and of which @is says so. */
static const struct clu_dom *dependent(const struct clu_state *s, const struct clu_dom *d,
                                       bool (*is)(const struct clu_state *s, const struct clu_dom *d, uint32_t node),
                                       uint32_t node)
{
	for (uint32_t i = 0; i < CLU_RULES_MAX; i++) {
		const struct clu_rule *r = &s->rule[i];

		for (uint32_t k = 1; r->id && r->kind == CLU_RULE_AFTER && k < r->n; k++) {
			const struct clu_dom *first = strcmp(r->member[k], d->name) ? NULL
			                                                            : clu_dom_named(s, r->member[0]);

			if (first && is(s, first, node))
				return first;
		}
	}
	return NULL;
}

static bool is_there(const struct clu_dom *d)
{
	return d->phase != CLU_PHASE_STOPPED && d->phase != CLU_PHASE_FAILED;
}

/* A text of one that runs: its stop failed. */
static bool is_stopped_soon(const struct clu_state *s, const struct clu_dom *d, uint32_t node)
{
	const struct clu_host *h = clu_host_of(s, d->host);
	(void)node;

	return d->desired == CLU_DESIRED_STOPPED && is_there(d) && !(d->phase == CLU_PHASE_RUNNING && d->text[0]) &&
	       h && h->state == CLU_HOST_ONLINE;
}

static bool is_at(const struct clu_state *s, const struct clu_dom *d, uint32_t node)
{
	(void)s;
	return is_there(d) && d->host == node;
}

const struct clu_dom *clu_after_goes_first(const struct clu_state *s, const struct clu_dom *d)
{
	return dependent(s, d, is_stopped_soon, 0);
}

const struct clu_dom *clu_after_there(const struct clu_state *s, const struct clu_dom *d, uint32_t node)
{
	return dependent(s, d, is_at, node);
}

/* Rules: each is a step from what waits to what it waits for. */
bool clu_after_cycle(const struct clu_state *s, const struct clu_rule *r, char *why)
{
	uint16_t from[CLU_RULES_MAX +
	              1]; /* the rule by which that one was come to; itself: it is where the search began */
	uint16_t todo[CLU_RULES_MAX + 1];
	uint32_t n = 0;
	struct say y;

	for (uint32_t i = 0; i <= CLU_RULES_MAX; i++)
		from[i] = UINT16_MAX;
	from[CLU_RULES_MAX] = CLU_RULES_MAX; /* @r */
	todo[n++] = CLU_RULES_MAX;
	while (n) {
		uint16_t at = todo[--n];
		const struct clu_rule *step = at == CLU_RULES_MAX ? r : &s->rule[at];

		for (uint32_t k = 1; k < step->n; k++) {
			if (!strcmp(step->member[k], r->member[0])) {
				say_begin(&y, why, why ? CLU_TEXT_MAX : 0);
				say(&y, "it would have to start before itself: ");
				say(&y, r->member[0]);
				for (uint16_t b = at;; b = from[b]) {
					say(&y, " before ");
					say(&y, b == CLU_RULES_MAX ? r->member[0] : s->rule[b].member[0]);
					if (b == CLU_RULES_MAX)
						break;
				}
				return true;
			}
			for (uint16_t i = 0; i < CLU_RULES_MAX; i++) {
				if (!s->rule[i].id || s->rule[i].kind != CLU_RULE_AFTER || from[i] != UINT16_MAX ||
				    strcmp(s->rule[i].member[0], step->member[k]) != 0)
					continue;
				from[i] = at;
				todo[n++] = i;
			}
		}
	}
	return false;
}
