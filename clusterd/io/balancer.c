/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Plans and their execution: see balancer.h. */
#include "config.h"
#include "clusterd/io/balancer.h"
#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include "clusterd/core/settings.h"
#include "common/log.h"
#include "common/util.h"

#define LOOK_NS (2 * NS_PER_S)
#define LOST_NS (5 * NS_PER_S) /* a proposal that did not show after so long is over */

struct balancer {
	struct loop *loop;
	struct nodeio *n;
	struct loop_timer *look;
	struct balancer_run run; /* the automatic's */
	bool running;
	uint64_t above_since_ns; /* spread over the threshold since then; 0: it is not */
	uint64_t quiet_until_ns; /* cool-down */
	char text[2 * CLU_TEXT_MAX];
};

int balancer_plan(struct balancer *b, uint32_t max_moves, bool automatic, struct balancer_plan *ret)
{
	const struct clu_state *s = nodeio_state(b->n);
	struct clu_plan_params p;
	size_t bytes = clu_plan_balance_bytes(s);
	_cleanup_free_ void *ws = malloc(bytes);

	if (!ws)
		return -ENOMEM;
	clu_plan_params_default(&p, automatic ? &s->policy : NULL);
	p.moves_max = max_moves;
	clu_plan_balance(s, nodeio_load(b->n), &p, ws, bytes, ret->move, BALANCER_MOVES_MAX, &ret->result);
	ret->n = ret->result.n_moves;
	return 0;
}

int balancer_run_begin(struct balancer *b, const struct balancer_plan *p, struct balancer_run *r)
{
	const struct clu_state *s = nodeio_state(b->n);

	*r = (struct balancer_run){ 0 };
	r->move = calloc(p->n ? p->n : 1, sizeof(*r->move));
	if (!r->move)
		return -ENOMEM;
	for (uint32_t i = 0; i < p->n; i++) {
		const struct clu_dom *d = &s->dom[p->move[i].dom];

		memcpy(r->move[i].uuid, d->uuid, sizeof(r->move[i].uuid));
		memcpy(r->move[i].name, d->name, sizeof(r->move[i].name));
		r->move[i].from = s->host[p->move[i].from].node;
		r->move[i].to = s->host[p->move[i].to].node;
	}
	r->n = p->n;
	return 0;
}

void balancer_run_done(struct balancer_run *r)
{
	free(r->move);
	*r = (struct balancer_run){ 0 };
}

static uint32_t moving_now(const struct clu_state *s)
{
	uint32_t k = 0;

	for (uint32_t i = 0; i < s->n_dom; i++)
		k += s->dom[i].uuid[0] && s->dom[i].phase == CLU_PHASE_MIGRATING;
	return k;
}

static void end_move(struct balancer_move *m, enum balancer_status status, const char *error)
{
	m->status = status;
	snprintf(m->error, sizeof(m->error), "%s", error);
}

/* How far is one that was proposed? */
static void follow(struct balancer *b, struct balancer_move *m)
{
	const struct clu_dom *d = clu_dom_of(nodeio_state(b->n), m->uuid);

	if (!d)
		end_move(m, BALANCER_FAILED, "it was undefined");
	else if (d->rev == m->rev) {
		if (boot_ns() > m->sent_ns + LOST_NS)
			end_move(m, BALANCER_FAILED, "the order was lost or refused");
	} else if (d->phase == CLU_PHASE_RUNNING && d->host == m->to)
		end_move(m, BALANCER_DONE, "");
	else if (d->phase != CLU_PHASE_MIGRATING && d->phase != CLU_PHASE_RESOLVING)
		end_move(m, BALANCER_FAILED, d->text[0] ? d->text : "it was not moved");
}

/* Propose it, if that still makes sense. True: it takes one of the places. */
static bool propose(struct balancer *b, struct balancer_move *m)
{
	struct clu_state *s = nodeio_state(b->n);
	const struct clu_dom *d = clu_dom_of(s, m->uuid);
	const struct clu_host *to = clu_host_of(s, m->to);
	struct clu_verdict v;
	struct clu_cmd c = { .kind = CLU_CMD_MOVE, .target = m->to };

	if (!d || d->phase != CLU_PHASE_RUNNING || d->host != m->from || d->desired != CLU_DESIRED_RUNNING || !to) {
		end_move(m, BALANCER_SKIPPED, "it is no longer as it was when the plan was made");
		return false;
	}
	if (!clu_node_committed(nodeio_node(b->n), d->rev))
		return false;
	if (clu_stays(d, nodeio_load(b->n)->time_ns, NULL)) {
		end_move(m, BALANCER_SKIPPED, "it is not to be balanced now (vmclus set)");
		return false;
	}
	clu_judge(s, nodeio_load(b->n), d, clu_slot(s, to), &v);
	nodeio_verdict_text(b->n, d, to, &v);
	if (v.why != CLU_WHY_OK && v.why != CLU_WHY_FAILED_HERE) {
		end_move(m, BALANCER_SKIPPED, v.text);
		return false;
	}
	memcpy(c.uuid, d->uuid, sizeof(c.uuid));
	c.rev = m->rev = d->rev;
	if (nodeio_submit(b->n, &c, NULL, 0) < 0)
		return false;
	m->status = BALANCER_MOVING;
	m->sent_ns = boot_ns();
	return true;
}

bool balancer_run_step(struct balancer *b, struct balancer_run *r)
{
	const struct clu_state *s = nodeio_state(b->n);
	uint32_t places, open = 0;
	bool all = true;

	if (!nodeio_acts(b->n))
		return false;
	for (uint32_t i = 0; i < r->n; i++) {
		if (r->move[i].status == BALANCER_MOVING)
			follow(b, &r->move[i]);
		open += r->move[i].status == BALANCER_MOVING &&
		        clu_dom_of(s, r->move[i].uuid)->phase != CLU_PHASE_MIGRATING;
	}
	places = moving_now(s) + open;
	for (uint32_t i = 0; i < r->n; i++) {
		struct balancer_move *m = &r->move[i];

		if (m->status == BALANCER_WAITING && places < s->policy.moves_max && propose(b, m))
			places++;
		all &= m->status > BALANCER_MOVING;
	}
	return all;
}

const char *balancer_status_name(enum balancer_status s)
{
	static const char *const t[] = { "waiting", "moving", "completed", "failed", "skipped" };

	return (size_t)s < ARRAY_SIZE(t) ? t[s] : "?";
}

const char *balancer_text(const struct balancer *b)
{
	return b->text;
}

/* By itself ------------------------------------------------------------------------------------------------------------ */

static void run_over(struct balancer *b)
{
	uint32_t done = 0;

	for (uint32_t i = 0; i < b->run.n; i++) {
		const struct balancer_move *m = &b->run.move[i];

		done += m->status == BALANCER_DONE;
		if (m->status != BALANCER_DONE)
			log_info("balance: %s: %s: %s", m->name, balancer_status_name(m->status), m->error);
	}
	snprintf(b->text, sizeof(b->text), "%u of %u moves done; resting", done, b->run.n);
	log_info("balance: %s", b->text);
	balancer_run_done(&b->run);
	b->running = false;
	b->above_since_ns = 0;
	b->quiet_until_ns = boot_ns() + nodeio_state(b->n)->policy.balance_cooldown_ns;
}

static void look_for_plan(struct balancer *b)
{
	const struct clu_policy *p = &nodeio_state(b->n)->policy;
	struct balancer_plan *plan = calloc(1, sizeof(*plan));
	char why[CLU_TEXT_MAX];

	if (plan && balancer_plan(b, 0, true, plan) == 0) {
		clu_plan_say_end(&plan->result, why);
		snprintf(b->text, sizeof(b->text), "%s", why);
		if (plan->result.end == CLU_PLAN_MOVES && plan->n && balancer_run_begin(b, plan, &b->run) == 0) {
			log_info("balance: %s", why);
			b->running = true;
		} else {
			/* nothing helps as things are: not asked again at once */
			b->quiet_until_ns = boot_ns() + p->balance_cooldown_ns;
			b->above_since_ns = 0;
		}
	}
	free(plan);
}

static void automatic(struct balancer *b)
{
	const struct clu_state *s = nodeio_state(b->n);
	uint64_t now = boot_ns();
	size_t bytes = clu_plan_balance_bytes(s);
	_cleanup_free_ void *ws = now >= b->quiet_until_ns ? malloc(bytes) : NULL;
	double spread;

	if (!ws)
		return;
	spread = clu_plan_balance_spread(s, nodeio_load(b->n), ws, bytes);
	snprintf(b->text, sizeof(b->text), "spread %.0f %%, threshold %u %%", spread * 100,
	         s->policy.balance_threshold_pct);
	if (spread * 100 <= s->policy.balance_threshold_pct && !clu_plan_spare_used(s, nodeio_load(b->n))) {
		b->above_since_ns = 0;
		return;
	}
	if (!b->above_since_ns)
		b->above_since_ns = now;
	if (now - b->above_since_ns >= s->policy.balance_hold_ns)
		look_for_plan(b);
}

static void on_look(void *arg)
{
	struct balancer *b = arg;
	const struct clu_state *s = nodeio_state(b->n);
	bool mine = s && nodeio_acts(b->n) && clu_node_coordinates(nodeio_node(b->n));

	loop_timer_in(b->look, b->running ? NS_PER_S / 4 : LOOK_NS);
	if (b->running) {
		/* what is under way ends by itself; nothing new is begun by a node that does not coordinate */
		if (!mine) {
			balancer_run_done(&b->run);
			b->running = false;
		} else if (balancer_run_step(b, &b->run)) {
			run_over(b);
		}
		return;
	}
	if (mine && s->policy.auto_balance && !s->disarm.id) {
		automatic(b);
	} else {
		b->text[0] = 0;
		b->above_since_ns = 0;
	}
}

struct balancer *balancer_new(struct loop *loop, struct nodeio *n)
{
	struct balancer *b = calloc(1, sizeof(*b));

	if (!b)
		return NULL;
	*b = (struct balancer){ .loop = loop, .n = n };
	b->look = loop_add_timer(loop, on_look, b);
	if (!b->look) {
		free(b);
		return NULL;
	}
	loop_timer_in(b->look, LOOK_NS);
	return b;
}

void balancer_free(struct balancer *b)
{
	if (!b)
		return;
	loop_del_timer(b->look);
	balancer_run_done(&b->run);
	free(b);
}
