/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Migrations of this host's domains: ordering them from migrated, letting them in, and settling those whose other end is lost.
 * What migrated says is for people; what is said to the cluster comes from the hvdom's own state and from the lease.
 */
#include "config.h"
#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include "clusterd/io/local_int.h"
#include "clusterd/guard/managed.h"
#include "common/fault.h"
#include "common/log.h"
#include "common/util.h"
#include "hypervisor/api/hvproc.h"

#define AGAIN_NS     NS_PER_S
#define CLAIM_NS     (2 * NS_PER_S)
#define CLAIM_MAX_NS (20 * NS_PER_S)
#define LAST_WORDS   (3 * NS_PER_S)
#define NO_MIGRATED  (5 * NS_PER_S)

static bool runs(const struct ldom *x)
{
	return x->hv.have_info && (x->hv.info.state == HV_DOM_RUNNING || x->hv.info.state == HV_DOM_PAUSED ||
	                           x->hv.info.state == HV_DOM_BOOTING);
}

static const char *json_text(json_t *o, const char *key)
{
	const char *s = json_string_value(json_object_get(o, key));

	return s ? s : "";
}

static void order_done(struct ldom *x)
{
	migorder_free(x->move.order);
	x->move.order = NULL;
	local_changed(x->l);
}

/* Push ----------------------------------------------------------------------------------------------------------------- */

static void tell_progress(struct ldom *x, json_t *o)
{
	_cleanup_free_ char *text = json_dumps(o, JSON_COMPACT);

	if (text)
		nodeio_progress(x->l->n, x->uuid, text, strlen(text));
}

static void push_answer(void *arg, json_t *o)
{
	struct ldom *x = arg;
	const char *type = json_text(o, "type");
	bool present = x->todo == CLU_TODO_PUSH && x->op_id == x->move.push_op;

	if (!strcmp(type, "progress")) {
		if (!present)
			return;
		ldom_doing(x, "moving: %.20s, round %d", json_text(o, "phase"),
		           (int)json_integer_value(json_object_get(o, "round")));
		if (boot_ns() >= x->move.order_ns + 400 * NS_PER_MS) {
			x->move.order_ns = boot_ns();
			tell_progress(x, o);
		}
		return;
	}
	if (strcmp(type, "result") != 0 && strcmp(type, "error") != 0)
		return;
	if (!present) {
		tell_progress(x, o);
		x->move.pushed = false;
		order_done(x);
		return;
	}
	x->move.done = true;
	x->move.failed = strcmp(json_text(o, "status"), "completed") != 0;
	if (x->move.failed)
		snprintf(x->why, sizeof(x->why), "%.190s", json_text(o, "error"));
	if (!strcmp(type, "result"))
		tell_progress(x, o);
	log_info("%s: push: %s", x->name, x->move.failed ? x->why : "completed");
	order_done(x);
}

static void push_ended(void *arg, const char *why)
{
	struct ldom *x = arg;

	/* the push may go on or not: the next look asks its hvdom */
	snprintf(x->why, sizeof(x->why), "%s", why);
	x->move.pushed = false;
	x->move.order_ns = boot_ns();
	order_done(x);
}

static const struct migorder_ops push_ops = { .answer = push_answer, .ended = push_ended };

/* Before a push: is one under way already (this daemon restarted)? */
static void ask_answer(void *arg, json_t *o)
{
	struct ldom *x = arg;
	size_t sessions = 0, i;
	json_t *m;

	if (strcmp(json_text(o, "type"), "status") != 0)
		return;
	json_array_foreach(json_object_get(o, "migrations"), i, m)
	{
		/* one that was called off and whose target may not be back for days is in nobody's way */
		sessions += strcmp(json_text(m, "phase"), "letting go") != 0;
	}
	x->move.pushed = sessions == 0; /* free to push */
	if (sessions)
		ldom_doing(x, "moving, ordered by an earlier clusterd");
	x->move.order_ns = sessions ? boot_ns() : 0; /* nothing in the way: no reason to wait */
	order_done(x);
}

static const struct migorder_ops ask_ops = { .answer = ask_answer, .ended = push_ended };

static void no_migrated(struct ldom *x, const struct clu_dom *d)
{
	ldom_doing(x, "waiting for migrated");
	if (!x->move.waits_ns)
		x->move.waits_ns = boot_ns();
	x->move.order_ns = boot_ns();
	if (boot_ns() > x->move.waits_ns + NO_MIGRATED)
		ldom_result(x, d, CLU_RESULT_MOVE_FAILED, x->hv.info.generation, "migrated does not run on the source");
}

static void order_push(struct ldom *x, const struct clu_dom *d)
{
	json_t *o;

	if (!x->move.pushed) {
		o = json_pack("{s:s, s:s}", "op", "status", "domain", x->name);
		x->move.order = migorder_new(x->l->loop, o, &ask_ops, x);
		if (!x->move.order)
			no_migrated(x, d);
		return;
	}
	(void)fault_point("clu", "push", "order", "", x->hv.info.pid);
	o = json_pack("{s:s, s:s, s:s, s:b, s:I}", "op", "push", "domain", x->name, "host",
	              clu_host_name(nodeio_state(x->l->n), d->target), "cluster", 1, "generation",
	              (json_int_t)d->generation);
	x->move.push_op = d->op_id;
	x->move.order = migorder_new(x->l->loop, o, &push_ops, x);
	(void)fault_point("clu", "push", "order", ".done", x->hv.info.pid);
	if (x->move.order)
		ldom_doing(x, "moving to %s", clu_host_name(nodeio_state(x->l->n), d->target));
	else
		no_migrated(x, d);
}

/* x->probe.lease is what the lease says. What cannot be read is read again: nothing is guessed. */
static bool lease_read(struct ldom *x, const struct clu_dom *d)
{
	if (x->probe.answered && x->probe.op == PROBE_LEASE && x->probe.status < 0 &&
	    boot_ns() > x->probe.answered_ns + AGAIN_NS)
		probe_drop(&x->probe);
	if (!ldom_ask(x, d, PROBE_LEASE))
		return false;
	if (x->probe.status < 0)
		ldom_doing(x, "cannot read its lease: %.150s", x->probe.text);
	return x->probe.status == 0;
}

/* No copy here any more: given away, or dead before it was? The lease, in its last write, knows. */
static void push_gone(struct ldom *x, const struct clu_dom *d)
{
	const struct leasepeek *l = &x->probe.lease;

	if (!lease_read(x, d))
		return;
	if (l->there && l->generation > d->generation)
		ldom_result(x, d, CLU_RESULT_MOVED, l->generation, "");
	else
		ldom_result(x, d, CLU_RESULT_MOVE_FAILED, d->generation,
		            x->ended.text[0] ? x->ended.text : "its hvdom ended before it was given away");
}

static void cancel_ended(void *arg, const char *why)
{
	struct ldom *x = arg;

	(void)why;
	migorder_free(x->move.cancel);
	x->move.cancel = NULL;
	x->move.cancelled_ns = boot_ns();
}

static void cancel_answer(void *arg, json_t *o)
{
	/* too late is no failure: then it is stopped there */
	if (!strcmp(json_text(o, "type"), "error"))
		log_info("%s: %s", ((struct ldom *)arg)->name, json_text(o, "error"));
	cancel_ended(arg, NULL);
}

static const struct migorder_ops cancel_ops = { .answer = cancel_answer, .ended = cancel_ended };

/* By @why it is not to move. Asked again each second, for a push that is only just beginning. */
static void push_cancel(struct ldom *x, const char *why)
{
	bool asking = x->move.order && !x->move.pushed; /* is one of an earlier clusterd under way? */

	if (x->move.cancel || asking || x->move.done ||
	    (x->move.cancelled_ns && boot_ns() < x->move.cancelled_ns + AGAIN_NS))
		return;
	x->move.cancelled_ns = boot_ns();
	ldom_doing(x, "the move is called off: %s", why);
	x->move.cancel = migorder_new(x->l->loop, json_pack("{s:s, s:s}", "op", "cancel", "domain", x->name),
	                              &cancel_ops, x);
}

void local_call_off(struct local *l, const char *uuid, uint64_t op_id)
{
	for (struct ldom *x = l->doms; x; x = x->next)
		if (x->todo == CLU_TODO_PUSH && x->op_id == op_id && !x->move.called_off && !strcmp(x->uuid, uuid)) {
			log_info("%s: the move is to be called off", x->name);
			x->move.called_off = true;
			local_changed(l);
		}
}

bool ldom_push_speaks(const struct ldom *x)
{
	return x->move.order && x->move.pushed && boot_ns() < x->move.order_ns + LAST_WORDS;
}

/* That of an earlier operation is in the way of a new one. */
static void old_order_drop(struct ldom *x)
{
	if (!x->move.order || !x->move.pushed || x->move.push_op == x->op_id)
		return;
	migorder_free(x->move.order);
	x->move.order = NULL;
	x->move.pushed = false;
}

void ldom_push(struct ldom *x, const struct clu_dom *d)
{
	bool again = boot_ns() >= x->move.order_ns + AGAIN_NS;
	const char *unwanted = d->desired == CLU_DESIRED_STOPPED ? "it is to stop"
	                       : x->move.called_off              ? "by order"
	                                                         : NULL;

	if (unwanted)
		push_cancel(x, unwanted);
	if (!x->hv.alive) {
		if (x->move.order)
			return; /* its result comes */
		if (x->move.done && !x->move.failed)
			ldom_result(x, d, CLU_RESULT_MOVED, d->generation + 1, "");
		else
			push_gone(x, d);
		return;
	}
	if (x->move.done && !x->move.failed) {
		ldom_result(x, d, CLU_RESULT_MOVED, d->generation + 1, "");
		return;
	}
	old_order_drop(x);
	if (!x->hv.have_info || x->move.order)
		return;
	if (!runs(x)) {
		if (!x->move.done || x->hv.info.state == HV_DOM_RELINQUISHED)
			ldom_doing(x, "moving: %s",
			           x->hv.info.state == HV_DOM_RELINQUISHED ? "given away, waiting for the target's word"
			                                                   : "stopped");
		return;
	}
	if (x->hv.info.generation > d->generation || x->move.failed) {
		ldom_result(x, d, CLU_RESULT_MOVE_FAILED, x->hv.info.generation,
		            x->why[0] ? x->why : "it was taken back");
		return;
	}
	if (d->desired == CLU_DESIRED_STOPPED) {
		ldom_result(x, d, CLU_RESULT_MOVE_FAILED, x->hv.info.generation, unwanted);
		return;
	}
	if (x->move.called_off && x->move.pushed) { /* no push is under way, nor will be */
		ldom_result(x, d, CLU_RESULT_MOVE_FAILED, x->hv.info.generation, "the move was called off");
		return;
	}
	if (again || !x->move.order_ns)
		order_push(x, d);
}

/* Accept --------------------------------------------------------------------------------------------------------------- */

void ldom_accept(struct ldom *x, const struct clu_dom *d)
{
	struct err err;

	/* it is the guard's from before it can run; migrated lets nothing in without this */
	if (managed_add(x->name, x->uuid, &err) < 0)
		log_error("%s: %s", x->name, err.text);
	if (!x->hv.alive) {
		ldom_doing(x, "expected from %s", clu_host_name(nodeio_state(x->l->n), d->host));
		return;
	}
	ldom_doing(x, "coming from %s", clu_host_name(nodeio_state(x->l->n), d->host));
	if (runs(x) && x->hv.info.generation > d->generation)
		ldom_observed(x, CLU_SEEN_RUNNING, x->hv.info.generation, "");
}

/* Resolve -------------------------------------------------------------------------------------------------------------- */

static void claim_answer(void *arg, json_t *o)
{
	struct ldom *x = arg;

	if (!strcmp(json_text(o, "type"), "error"))
		log_warn("%s: migrated: %s", x->name, json_text(o, "error"));
	order_done(x);
}

static void claim_ended(void *arg, const char *why)
{
	struct ldom *x = arg;

	log_warn("%s: %s", x->name, why);
	order_done(x);
}

static const struct migorder_ops claim_ops = { .answer = claim_answer, .ended = claim_ended };

void ldom_claim(struct ldom *x)
{
	uint64_t now = boot_ns();

	old_order_drop(x);
	if (x->move.order || (x->move.order_ns && now < x->move.order_ns + CLAIM_NS))
		return;
	if (!x->move.order_ns) { /* the peer's own word mostly comes at once */
		x->move.order_ns = now;
		return;
	}
	x->move.order_ns = now;
	ldom_doing(x, "taking it over: the other end is lost");
	x->move.order = migorder_new(x->l->loop,
	                             json_pack("{s:s, s:s, s:s}", "op", "resolve", "domain", x->name, "owner", "local"),
	                             &claim_ops, x);
	if (!x->move.order)
		log_warn("%s: migrated does not run here: waiting for it", x->name);
}

/* May a stopped copy here run on, now that the other end is certainly dead? Only when no other one ran in between. */
static bool may_keep(const struct ldom *x, const struct clu_dom *d)
{
	const struct leasepeek *l = &x->probe.lease;

	if (x->probe.status < 0 || !l->there || !l->shared)
		return false;
	if (x->hv.info.state == HV_DOM_RESTORED) /* it was given to us, and nobody had it since */
		return l->generation == d->generation + 1 && !strcmp(l->owner, x->l->conf->migrated_name);
	return l->generation == x->hv.info.generation && !l->taken;
}

void ldom_resolve(struct ldom *x, const struct clu_dom *d)
{
	uint64_t now = boot_ns();

	if (!x->hv.alive) {
		if (x->move.order)
			order_done(x);
		managed_remove(x->name);
		ldom_result(x, d, CLU_RESULT_ABSENT, d->generation,
		            "the other end of its migration was lost, and it is not here");
		return;
	}
	if (!x->hv.have_info) {
		if (ldom_hangs(x))
			(void)!hvproc_kill(x->name);
		return;
	}
	if (runs(x) && x->hv.info.generation >= d->generation) {
		if (x->move.order)
			order_done(x);
		ldom_result(x, d, CLU_RESULT_KEPT, x->hv.info.generation, "");
		return;
	}
	if (x->hv.info.state == HV_DOM_SUSPENDED)
		return; /* its session ends with the link, and it goes on */
	if (!x->move.waits_ns)
		x->move.waits_ns = now;
	if (x->hv.info.state == HV_DOM_RESTORED || x->hv.info.state == HV_DOM_RELINQUISHED) {
		bool known = lease_read(x, d);

		if (!known && (x->probe.work || x->probe.silent)) {
			/* storage that does not answer: no copy that may be the last one is given up for that */
			x->move.waits_ns = now;
			return;
		}
	}
	if ((x->hv.info.state == HV_DOM_RESTORED || x->hv.info.state == HV_DOM_RELINQUISHED) &&
	    now < x->move.waits_ns + CLAIM_MAX_NS && may_keep(x, d)) {
		ldom_claim(x);
		return;
	}
	ldom_doing(x, "this copy is incomplete, or the other one ran after it: being killed");
	if (hvproc_kill(x->name) < 0)
		log_error("%s: its hvdom is not found", x->name);
}
