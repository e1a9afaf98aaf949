/* SPDX-License-Identifier: GPL-2.0-or-later */
/* What hosts say of domains: how an operation ended, what they saw, whether they reach its files. */
#include "config.h"
#include "clusterd/core/apply_int.h"

#include <errno.h>
#include <string.h>

static void runs_at(struct apply *a, struct clu_dom *d, uint32_t node, uint64_t generation)
{
	if (d->set.has & CLU_SET_COOLDOWN && d->host != node)
		d->moved_ns = a->s->time_ns;
	d->phase = CLU_PHASE_RUNNING;
	d->host = node;
	d->target = 0;
	d->generation = generation;
	if (d->generation_max < generation)
		d->generation_max = generation;
	d->force = false;
	memset(d->text, 0, sizeof(d->text));
	if (d->home == node)
		d->home = 0;
}

/* The phase that @r ends; -1: no such result. */
static int phase_of(enum clu_result r)
{
	switch (r) {
	case CLU_RESULT_STARTED:
	case CLU_RESULT_START_FAILED:
		return CLU_PHASE_STARTING;
	case CLU_RESULT_STOPPED:
	case CLU_RESULT_STOP_FAILED:
		return CLU_PHASE_STOPPING;
	case CLU_RESULT_MOVED:
	case CLU_RESULT_MOVE_FAILED:
		return CLU_PHASE_MIGRATING;
	case CLU_RESULT_KEPT:
	case CLU_RESULT_ABSENT:
		return CLU_PHASE_RESOLVING;
	}
	return -1;
}

static void result_take(struct apply *a, struct clu_dom *d)
{
	const struct clu_cmd *c = a->c;
	uint32_t self = d->host;

	switch (c->result) {
	case CLU_RESULT_STARTED:
		d->avoid = 0;
		runs_at(a, d, self, c->generation);
		apply_host_worked(a, d, self);
		apply_host_trusted(a, clu_host_of(a->s, self));
		break;
	case CLU_RESULT_MOVED:
		d->failures = 0;
		apply_host_worked(a, d, d->target);
		runs_at(a, d, d->target, c->generation);
		break;
	case CLU_RESULT_KEPT:
		runs_at(a, d, self, c->generation);
		break;
	case CLU_RESULT_START_FAILED:
		/* a lease of this very run, left by a start that died: only this host wrote it, and it says that nothing runs */
		apply_disown(d, c->generation == d->generation, c->text);
		if (d->generation_max < c->generation) { /* its disk is ahead of the state, wherever it starts */
			d->generation_max = c->generation;
			d->retry_ns = a->s->time_ns + a->s->policy.backoff_ns;
		} else {
			apply_start_failed(a, d, self, c->text);
		}
		break;
	case CLU_RESULT_STOPPED:
		apply_disown(d, false, "");
		d->force = false;
		break;
	case CLU_RESULT_ABSENT:
		apply_disown(d, true, c->text);
		break;
	case CLU_RESULT_STOP_FAILED:
	case CLU_RESULT_MOVE_FAILED:
		if (c->result == CLU_RESULT_MOVE_FAILED)
			(void)apply_host_failed(a, d, d->target, c->text);
		runs_at(a, d, self, c->generation);
		d->retry_ns = a->s->time_ns + a->s->policy.backoff_ns;
		apply_text(d->text, c->text, "", "");
		break;
	}
}

void apply_result(struct apply *a)
{
	const struct clu_cmd *c = a->c;
	struct clu_dom *d = apply_the_dom(a);

	if (!d)
		return;
	if (d->host != c->origin || d->op_id != c->op_id || (int)d->phase != phase_of(c->result)) {
		apply_refuse(a, ESTALE, "that operation on ", d->name, " is over");
		return;
	}
	if (c->generation < d->generation && c->result != CLU_RESULT_START_FAILED && c->result != CLU_RESULT_STOPPED &&
	    c->result != CLU_RESULT_ABSENT) {
		apply_refuse(a, EINVAL, "a result of ", d->name, " names a generation of the past");
		return;
	}
	apply_dom_open(a, d);
	result_take(a, d);
	apply_dom_close(a, d);
}

/* It runs at the origin, in a higher generation than the state knows: a migration came through, or somebody pushed by hand. */
static void seen_running(struct apply *a, struct clu_dom *d)
{
	const struct clu_cmd *c = a->c;
	bool moved = d->phase == CLU_PHASE_MIGRATING && d->target == c->origin && c->generation <= d->generation_max;
	bool by_hand = d->phase == CLU_PHASE_RUNNING && (d->host == c->origin || c->generation > d->generation_max);

	if ((!moved && !by_hand) || c->generation <= d->generation) {
		apply_refuse(a, ESTALE, d->name, " is not expected there", "");
		return;
	}
	apply_dom_open(a, d);
	apply_host_worked(a, d, c->origin);
	runs_at(a, d, c->origin, c->generation);
	apply_dom_close(a, d);
}

void apply_observed(struct apply *a)
{
	const struct clu_cmd *c = a->c;
	struct clu_dom *d = apply_the_dom(a);

	if (!d)
		return;
	if (c->seen == CLU_SEEN_RUNNING) {
		seen_running(a, d);
		return;
	}
	if (d->host != c->origin || d->generation != c->generation ||
	    (d->phase != CLU_PHASE_RUNNING && d->phase != CLU_PHASE_STOPPING)) {
		apply_refuse(a, ESTALE, "the end of ", d->name, " is old news");
		return;
	}
	if (c->seen == CLU_SEEN_ENDED && d->phase == CLU_PHASE_RUNNING && !d->spec.ha) {
		apply_refuse(a, EALREADY, d->name, " waits for its host", "");
		return;
	}
	apply_dom_open(a, d);
	bool asked = d->phase == CLU_PHASE_STOPPING;
	apply_disown(d, c->seen != CLU_SEEN_POWEROFF, c->text);
	if (c->seen == CLU_SEEN_POWEROFF && !asked) {
		d->desired = CLU_DESIRED_STOPPED;
		apply_text(d->text, "powered off by its guest", "", "");
	} else if (!asked && c->seen == CLU_SEEN_ENDED) {
		d->home = c->origin;
		d->retry_ns = 0;
	} else if (!asked) {
		apply_crash(a, d);
	}
	apply_dom_close(a, d);
}

void apply_reach(struct apply *a)
{
	struct clu_dom *d = apply_the_dom(a);
	const struct clu_host *h = clu_host_of(a->s, a->c->origin);

	if (!d || !h)
		return;
	uint32_t slot = clu_slot(a->s, h);
	apply_dom_open(a, d);
	if (a->c->on)
		apply_host_worked(a, d, h->node);
	if (a->c->on)
		clu_bit_clear(d->unreachable, slot);
	else
		clu_bit_set(d->unreachable, slot);
	apply_close(a, CLU_OBJ_DOM, (uint32_t)(d - a->s->dom)); /* rev stays: no proposal becomes void for that */
}
