/* SPDX-License-Identifier: GPL-2.0-or-later */
/* What goes wrong and what people ask for, drawn from the seed: each story has a temper of its own (which faults, how often). */
#include "config.h"
#include "tests/sim/simclu.h"

#include <string.h>

#define BACK_NS (80 * S) /* after the faults' end all hosts have power again */

/* heals of links: arg = from * nodes + to */
enum { HEAL_LINK, HEAL_SLOW, HEAL_DISK, HEAL_FLAP, HEAL_START };

void sc_adversary_init(struct sc *w)
{
	static const uint64_t gaps[] = { 4 * S, 10 * S, 25 * S, 60 * S };

	w->fault_gap = gaps[sc_rnd(w, 4)];
	w->admin_gap = gaps[sc_rnd(w, 4)] / 2;
	w->fault_mask = sc_chance(w, 30) ? ~0u : (uint32_t)sc_rnd(w, 1u << SC_FAULTS) | 1u << sc_rnd(w, SC_FAULTS);
	w->disk_ns = sc_chance(w, 80) ? 8 * MS : 300 * MS;
	w->fence = (int)sc_rnd(w, 4);
	w->ambush_cmd = w->opt.calm || sc_chance(w, 50) ? 0 : 1 + (uint32_t)sc_rnd(w, 5);
	w->ambush_mig = w->opt.calm || sc_chance(w, 50) ? 0 : 1 + (uint32_t)sc_rnd(w, 8);
	if (w->opt.lists) {
		w->list_gap = gaps[sc_rnd(w, 4)];
		w->list_deaths = sc_chance(w, 50) ? 0 : (uint32_t)sc_rnd(w, 8);
	}
	if (w->opt.leave) {
		w->fault_gap = gaps[0];
		w->fault_mask = 1u << SC_LEAVE | 1u << SC_HVDOM | 1u << SC_POWER;
		w->ambush_cmd = 5;
	}
	sc_trace(
		w,
		"temper: a fault each %.0f s (%x), an order each %.0f s; disks take %.0f ms; fence %d; ambushes %u, %u %%; parks %d",
		(double)w->fault_gap / 1e9, w->fault_mask, (double)w->admin_gap / 1e9, (double)w->disk_ns / 1e6,
		w->fence, w->ambush_cmd, w->ambush_mig, w->parks);
	if (!w->opt.calm)
		sc_at(w, w->now + 15 * S + sc_rnd(w, w->fault_gap), SC_EV_FAULT, 0, 0, 0);
	sc_at(w, w->now + 5 * S, SC_EV_ADMIN, 0, 0, 0);
}

static void later(struct sc *w, uint64_t in_ns, enum sc_ev_kind kind, uint32_t node, uint32_t arg, uint64_t val)
{
	sc_at(w, w->now + in_ns, kind, node, arg, val);
}

/* How long something stays broken. */
static uint64_t while_ns(struct sc *w)
{
	static const uint64_t most[] = { 500 * MS, 3 * S, 10 * S, 30 * S, 90 * S };

	return 10 * MS + sc_rnd(w, most[sc_rnd(w, 5)]);
}

static void cut(struct sc *w, uint32_t from, uint32_t to, uint64_t heal_ns)
{
	w->link[from * w->opt.nodes + to] = 0;
	later(w, heal_ns, SC_EV_HEAL, from, HEAL_LINK, from * w->opt.nodes + to);
}

static uint64_t notice(struct sc *w)
{
	return 900 * MS + sc_rnd(w, 1300 * MS); /* token and consensus */
}

static void partition(struct sc *w, uint32_t node, bool one_way)
{
	uint64_t ns = while_ns(w);
	uint64_t side = one_way ? 1ull << node : sc_rnd(w, 1ull << (w->opt.nodes < 40 ? w->opt.nodes : 40));

	sc_trace(w, "cut: %c%s %.1f s", sc_letter(node), one_way ? " one way" : " and some others", (double)ns / 1e9);
	for (uint32_t i = 0; i < w->opt.nodes; i++) {
		for (uint32_t k = 0; k < w->opt.nodes; k++) {
			bool a = i < 64 && side >> i & 1, b = k < 64 && side >> k & 1;
			if (a && !b)
				cut(w, i, k, ns);
			else if (!a && b && !one_way)
				cut(w, i, k, ns);
		}
	}
	sc_cpg_links_changed(w, notice(w));
}

static void heal_power(struct sc *w, uint32_t node, uint64_t least_ns)
{
	uint64_t ns = least_ns + while_ns(w), last = w->quiet + BACK_NS;

	/* late enough, what it says of a longer lease would still be news at the end */
	if (w->now + ns > last && last > w->now)
		ns = last - w->now;
	later(w, ns, SC_EV_HEAL, node, HEAL_START, 0);
}

void sc_heal_power(struct sc *w, uint32_t node)
{
	heal_power(w, node, S);
}

static void power(struct sc *w, uint32_t node)
{
	sc_power_off(w, node);
	sc_heal_power(w, node);
}

static void clusterd(struct sc *w, uint32_t node)
{
	if (!w->node[node].up)
		return;
	sc_trace(w, "%c: clusterd is killed", sc_letter(node));
	sc_node_die(w, node);
	later(w, 100 * MS + sc_rnd(w, sc_chance(w, 80) ? 2 * S : 60 * S), SC_EV_RESTART, node, 0, 0);
}

static void many(struct sc *w, enum sc_fault f)
{
	uint32_t most = f == SC_CRASH_MANY ? 50 : 30 + 70 * (uint32_t)sc_rnd(w, 2);

	for (uint32_t i = 0; i < w->opt.nodes; i++) {
		if (!sc_chance(w, most))
			continue;
		if (f == SC_ALL_DOWN)
			power(w, i);
		else
			clusterd(w, i);
	}
}

static void isolate_for(struct sc *w, uint32_t node, uint64_t ns);

/* The whole machine, as a hypervisor pauses it: nobody hears of it, and it does not know. */
static void freeze(struct sc *w, uint32_t node)
{
	uint64_t ns = while_ns(w);

	if (!w->node[node].power || sc_frozen(w, node))
		return;
	if (ns > w->quiet - w->now)
		ns = w->quiet - w->now; /* what waits for it knows its end already */
	isolate_for(w, node, ns);
	sc_freeze(w, node, ns);
}

/* systemctl stop clusterd hospes-guard; and started again some time later. */
static void stop_units(struct sc *w, uint32_t node)
{
	struct sc_node *n = &w->node[node];

	if (!n->up || !n->guard_up)
		return;
	sc_trace(w, "%c: clusterd and the guard are told to end", sc_letter(node));
	sc_node_die(w, node);
	if (sc_planted(w, "guard-leaves"))
		n->guard_up = false;
	else
		n->guard_ends = true;
	later(w, S + while_ns(w), SC_EV_RESTART, node, 3, 0);
}

static void one_fault(struct sc *w, enum sc_fault f, uint32_t node)
{
	struct sc_node *n = &w->node[node];
	uint32_t dom = (uint32_t)sc_rnd(w, w->opt.doms), other = (uint32_t)sc_rnd(w, w->opt.nodes);

	switch (f) {
	case SC_CRASH_CLUSTERD:
		clusterd(w, node);
		break;
	case SC_PAUSE_CLUSTERD:
		n->paused = w->now + while_ns(w);
		sc_trace(w, "%c: clusterd stands still for %.1f s", sc_letter(node),
		         (double)(n->paused - w->now) / 1e9);
		break;
	case SC_POWER:
		power(w, node);
		break;
	case SC_GUARD:
		if (!n->guard_up)
			break;
		n->guard_up = false;
		later(w, sc_rnd(w, 300 * MS), SC_EV_RESTART, node, 1, 0);
		break;
	case SC_MIGRATED:
		if (!n->mig_up)
			break;
		sc_trace(w, "%c: migrated is killed", sc_letter(node));
		sc_mig_die(w, node);
		later(w, sc_rnd(w, 5 * S), SC_EV_RESTART, node, 2, 0);
		break;
	case SC_CUT:
	case SC_CUT_ONE_WAY:
		partition(w, node, f == SC_CUT_ONE_WAY);
		break;
	case SC_CUT_PAIR:
		if (other == node)
			break;
		sc_trace(w, "cut: between %c and %c", sc_letter(node), sc_letter(other));
		cut(w, node, other, while_ns(w));
		sc_cpg_links_changed(w, notice(w));
		break;
	case SC_FLAP:
		for (uint32_t i = 0; i < 6; i++)
			later(w, sc_rnd(w, 12 * S), SC_EV_HEAL, node, HEAL_FLAP, 0);
		break;
	case SC_SLOW:
		n->slow = true;
		later(w, while_ns(w), SC_EV_HEAL, node, HEAL_SLOW, 0);
		break;
	case SC_SLOW_DISK:
		n->slow_disk = true;
		later(w, while_ns(w), SC_EV_HEAL, node, HEAL_DISK, 0);
		break;
	case SC_DISK_STALL:
		n->stalled = w->now + while_ns(w);
		sc_trace(w, "%c: the disk of clusterd stands still for %.1f s", sc_letter(node),
		         (double)(n->stalled - w->now) / 1e9);
		break;
	case SC_HVDOM:
		sc_kill_copy(w, node, dom, "its process dies");
		w->dom[other % w->opt.doms].fails = sc_chance(w, 30);
		break;
	case SC_ALL_DOWN:
	case SC_CRASH_MANY:
		many(w, f);
		break;
	case SC_FREEZE:
		freeze(w, node);
		break;
	case SC_LIE:
		if (sc_copy(w, node, dom)->state != HV_RUN)
			break;
		sc_trace(w, "%c: hvdom of %s lets go of its lock file and lives", sc_letter(node), w->dom[dom].name);
		sc_copy(w, node, dom)->lies = true;
		break;
	case SC_STOP_UNITS:
		stop_units(w, node);
		break;
	case SC_LEAVE:
		if (!sc_frozen(w, node))
			sc_leave_begin(w, node, sc_chance(w, 60));
		break;
	case SC_FAULTS:
		break;
	}
}

void sc_fault(struct sc *w, const struct sc_ev *e)
{
	enum sc_fault f;
	uint32_t most = 1 + w->opt.nodes / 20;

	if (w->stopped)
		return;
	if (e->arg) {
		one_fault(w, (enum sc_fault)(e->arg - 1), e->node);
		return;
	}
	do
		f = (enum sc_fault)sc_rnd(w, SC_FAULTS);
	while (!(w->fault_mask >> f & 1));
	for (uint32_t i = 0; i < most; i++)
		one_fault(w, f, (uint32_t)sc_rnd(w, w->opt.nodes));
	later(w, w->fault_gap / 4 + sc_rnd(w, w->fault_gap * 3 / 2), SC_EV_FAULT, 0, 0, 0);
}

static void isolate_for(struct sc *w, uint32_t node, uint64_t ns)
{
	for (uint32_t i = 0; i < w->opt.nodes; i++) {
		if (i == node)
			continue;
		cut(w, i, node, ns);
		cut(w, node, i, ns);
	}
	sc_cpg_links_changed(w, notice(w));
}

static void isolate(struct sc *w, uint32_t node)
{
	isolate_for(w, node, S + while_ns(w));
}

static bool ambushed(enum clu_cmd_kind k)
{
	return k == CLU_CMD_START || k == CLU_CMD_LEAVE || k == CLU_CMD_LEFT;
}

uint32_t sc_ambush_message(struct sc *w, uint32_t from, const struct clu_msg *m)
{
	uint32_t victim = from;

	if (m->kind != CLU_MSG_CMD || w->stopped || !w->ambush_cmd || w->now < w->ambush_ns ||
	    !sc_chance(w, ambushed(m->cmd.kind) ? 10 * w->ambush_cmd : w->ambush_cmd))
		return NOHOST;
	if (m->cmd.kind == CLU_CMD_START && sc_chance(w, 80))
		victim = sc_node_by(w, m->cmd.host);
	if (victim == NOHOST)
		return NOHOST;
	w->ambush_ns = w->now + w->fault_gap;
	if ((m->cmd.kind == CLU_CMD_START || m->cmd.kind == CLU_CMD_LEFT) &&
	    sc_chance(w, sc_lives(w, victim) ? 40 : 90)) {
		/* shut down just when it is given something; thought better of just when it was said */
		if (m->cmd.kind == CLU_CMD_START)
			sc_leave_begin(w, victim, false);
		else
			sc_leave_then(w, from, w->now + sc_rnd(w, 20 * MS), 2);
		return NOHOST;
	}
	if (sc_chance(w, 30)) {
		w->node[victim].paused = w->now + while_ns(w);
		sc_trace(w, "%c: clusterd stands still before it reads %s", sc_letter(victim),
		         clu_cmd_name(m->cmd.kind));
		return NOHOST;
	}
	sc_trace(w, "cut: %c, which alone gets %s", sc_letter(victim), clu_cmd_name(m->cmd.kind));
	isolate(w, victim);
	return victim;
}

/* It wants a longer lease, and what it says of that, or what others say of it, gets lost. */
void sc_ambush_lease(struct sc *w, uint32_t node)
{
	if (w->stopped || !w->ambush_cmd || w->now < w->ambush_ns || !sc_chance(w, 20 * w->ambush_cmd))
		return;
	w->ambush_ns = w->now + w->fault_gap;
	later(w, sc_rnd(w, 500 * MS), SC_EV_FAULT, node, 1 + (sc_chance(w, 70) ? SC_CUT_ONE_WAY : SC_CUT), 0);
}

/* Power fails everywhere when something is just committed: what is said to be on disk must be there. */
void sc_ambush_commit(struct sc *w)
{
	if (w->stopped || !w->ambush_cmd || w->now < w->ambush_ns || !sc_chance(w, 1))
		return;
	w->ambush_ns = w->now + 2 * w->fault_gap;
	sc_at(w, w->now, SC_EV_FAULT, 0, 1 + SC_ALL_DOWN, 0);
}

void sc_ambush_migration(struct sc *w, uint32_t node, uint32_t peer, uint32_t dom, const char *step)
{
	static const enum sc_fault f[] = { SC_POWER,    SC_POWER, SC_CRASH_CLUSTERD, SC_MIGRATED,
		                           SC_MIGRATED, SC_HVDOM, SC_CUT_ONE_WAY,    SC_CUT_PAIR };

	if (w->stopped || !w->ambush_mig || w->now < w->ambush_ns || !sc_chance(w, w->ambush_mig))
		return;
	w->ambush_ns = w->now + w->fault_gap / 2;
	uint32_t victim = sc_chance(w, 50) ? node : peer;
	enum sc_fault what = f[sc_rnd(w, sizeof(f) / sizeof(f[0]))];
	sc_trace(w, "ambush on %c when %c gets to %s with %s", sc_letter(victim), sc_letter(node), step,
	         w->dom[dom].name);
	if (what == SC_HVDOM) {
		sc_kill_copy(w, victim, dom, "its process dies");
	} else if (what == SC_CUT_PAIR) {
		cut(w, node, peer, while_ns(w));
		sc_cpg_links_changed(w, notice(w));
	} else {
		one_fault(w, what, victim);
	}
}

/* clusterd stands still before it says so, and quorum is lost meanwhile: the word is of the past when it is heard. */
uint64_t sc_ambush_unpark(struct sc *w, uint32_t node, uint32_t dom)
{
	if (w->stopped || !w->ambush_cmd || w->now < w->ambush_ns || !sc_chance(w, 10 * w->ambush_cmd))
		return 0;
	uint64_t late = sc_rnd(w, 20 * S);
	w->ambush_ns = w->now + w->fault_gap;
	sc_trace(w, "%c: clusterd stands still before %s may go on, and quorum is lost", sc_letter(node),
	         w->dom[dom].name);
	w->node[node].paused = w->now + late;
	isolate(w, node);
	return late;
}

void sc_heal(struct sc *w, const struct sc_ev *e)
{
	switch (e->arg) {
	case HEAL_LINK:
		w->link[e->val] = 1;
		sc_cpg_links_changed(w, 200 * MS + sc_rnd(w, 500 * MS));
		break;
	case HEAL_SLOW:
		w->node[e->node].slow = false;
		break;
	case HEAL_DISK:
		w->node[e->node].slow_disk = false;
		break;
	case HEAL_START:
		sc_power_on(w, e->node);
		break;
	case HEAL_FLAP:
		if (w->stopped)
			break;
		for (uint32_t i = 0; i < w->opt.nodes; i++)
			if (i != e->node)
				cut(w, e->node, i, sc_rnd(w, 2 * S));
		sc_cpg_links_changed(w, notice(w));
		break;
	}
}

void sc_restart(struct sc *w, const struct sc_ev *e)
{
	struct sc_node *n = &w->node[e->node];

	if (!n->power)
		return;
	if (e->arg == 0) {
		sc_node_start(w, e->node);
	} else if (e->arg == 1 && !n->guard_up) {
		n->guard_up = true; /* the deadline is in its file */
		sc_park_take_over(w, e->node);
		if (n->guard_until)
			sc_guard_arm(w, e->node);
	} else if (e->arg == 2) {
		sc_mig_start(w, e->node);
	} else if (e->arg == 3) {
		n->guard_ends = false;
		later(w, 0, SC_EV_RESTART, e->node, 1, 0);
		later(w, sc_rnd(w, S), SC_EV_RESTART, e->node, 0, 0);
	}
}

/* Fencing -------------------------------------------------------------------------------------------------------------- */

void sc_fence_asked(struct sc *w, uint32_t by, uint32_t victim, uint64_t lost_id)
{
	if (w->fence == 0)
		return;
	sc_trace(w, "%c asks to fence %c", sc_letter(by), sc_letter(victim));
	if (w->fence < 3 || sc_chance(w, 30))
		later(w, 300 * MS + sc_rnd(w, 4 * S), SC_EV_FENCED, by, victim, lost_id);
}

void sc_fenced(struct sc *w, const struct sc_ev *e)
{
	struct clu_cmd c = {
		.kind = CLU_CMD_HOST_SAFE, .safe_by = CLU_SAFE_AGENT, .op_id = e->val, .host = w->node[e->arg].id
	};
	const struct sc_node *by = &w->node[e->node];
	const struct clu_host *h = by->up ? clu_host_of(by->s, w->node[e->arg].id) : NULL;

	if (!by->up || !h || h->state != CLU_HOST_LOST || h->lost_id != e->val)
		return; /* asked in vain: who asked is gone, or changed his mind */
	sc_trace(w, "the fence agent switches %c off", sc_letter(e->arg));
	sc_power_off(w, e->arg);
	heal_power(w, e->arg, 2 * S);
	if (w->fence == 2 && sc_chance(w, 60))
		return; /* the answer is lost */
	sc_submit(w, e->node, &c);
}

/* People --------------------------------------------------------------------------------------------------------------- */

static void define(struct sc *w, uint32_t node, uint32_t dom)
{
	struct clu_cmd c = { .kind = CLU_CMD_DEFINE,
		             .spec = { .mem_bytes = 1u << 30, .vcpus = 1, .engine = CLU_ENGINE_PV, .ha = true } };

	memcpy(c.uuid, w->dom[dom].uuid, sizeof(c.uuid));
	memcpy(c.name, w->dom[dom].name, sizeof(c.name));
	c.spec.priority = (int32_t)(dom % 3);
	sc_submit(w, node, &c);
}

static void order(struct sc *w, uint32_t node, uint32_t dom, uint32_t what)
{
	struct clu_cmd c = { .request = 1 + sc_rnd(w, 1u << 30) };

	memcpy(c.uuid, w->dom[dom].uuid, sizeof(c.uuid));
	if (what < 4) {
		c.kind = CLU_CMD_DESIRE;
		c.desired = what ? CLU_DESIRED_RUNNING : CLU_DESIRED_STOPPED;
	} else if (what < 10) {
		c.kind = CLU_CMD_MOVE;
		c.target = w->node[sc_rnd(w, w->opt.nodes)].id;
	} else if (what < 11) {
		c.kind = CLU_CMD_MAINTENANCE;
		c.host = w->node[sc_rnd(w, w->opt.nodes)].id;
		c.on = sc_chance(w, 40) && !w->opt.bad; /* the bad host is never the only one */
		c.desired = sc_chance(w, 50) ? CLU_DESIRED_RUNNING
		                             : CLU_DESIRED_STOPPED; /* what was moved away comes back */
	} else if (what < 12) {
		c.kind = CLU_CMD_RULE_ADD;
		c.rule.kind = sc_chance(w, 50) ? CLU_RULE_APART : CLU_RULE_AFTER; /* circles are refused */
		c.rule.soft = c.rule.kind == CLU_RULE_APART || sc_chance(w, 30);
		c.rule.n = 2;
		memcpy(c.rule.member[0], w->dom[dom].name, CLU_NAME_MAX);
		memcpy(c.rule.member[1], w->dom[c.rule.kind == CLU_RULE_APART ? 0 : sc_rnd(w, w->opt.doms)].name,
		       CLU_NAME_MAX);
		for (uint32_t i = 0; i < w->opt.nodes; i++)
			if (w->node[i].s->rule[SC_RULES / 2].id)
				return; /* few enough for a copy of the state */
	} else if (what < 13) {
		c.kind = CLU_CMD_RULE_REMOVE;
		c.rule.id = w->node[node].s->rule[0].id;
	} else if (what < 15) {
		c.kind = CLU_CMD_DISARM;
		c.on = sc_chance(w, 50) && !w->opt.calm; /* those promise when guests run again */
		c.lease_ns = (5 + sc_rnd(w, 60)) * S;
		strcpy(c.text, "work");
	} else if (what >= 16) {
		sc_set_order(w, node, dom);
		return;
	} else {
		c.kind = CLU_CMD_POLICY;
		c.policy = w->node[node].s->policy;
		c.policy.no_quorum = sc_chance(w, 50) ? CLU_NO_QUORUM_SUSPEND : CLU_NO_QUORUM_STOP;
	}
	if (w->node[node].paused > w->now)
		return; /* a clusterd that stands still sends nothing */
	sc_trace(w, "somebody at %c: %s%s %s %c", sc_letter(node), clu_cmd_name(c.kind), c.on ? " on" : "",
	         w->dom[dom].name, sc_letter_of(w, c.target ? c.target : c.host));
	sc_submit(w, node, &c);
}

static uint32_t any_up(struct sc *w)
{
	uint32_t n = (uint32_t)sc_rnd(w, w->opt.nodes);

	for (uint32_t i = 0; i < w->opt.nodes; i++, n = (n + 1) % w->opt.nodes)
		if (w->node[n].up && !sc_frozen(w, n))
			return n;
	return w->opt.nodes;
}

/* What is not known yet is defined, and told to run. */
static bool define_missing(struct sc *w)
{
	uint32_t node = any_up(w), k = 0;

	if (node == w->opt.nodes || !sc_node_acts(&w->node[node]))
		return true;
	for (uint32_t d = 0; d < w->opt.doms && k < 20; d++) {
		if (clu_dom_of(w->node[node].s, w->dom[d].uuid))
			continue;
		define(w, node, d);
		order(w, node, d, 1);
		k++;
	}
	return k > 0;
}

void sc_admin(struct sc *w)
{
	uint32_t a = any_up(w), b = any_up(w), dom = (uint32_t)sc_rnd(w, w->opt.doms), what = (uint32_t)sc_rnd(w, 20);

	if (w->stopped)
		return;
	if (sc_bad_now(w) || sc_apart_now(w) || sc_lose_now(w)) {
		later(w, 5 * S, SC_EV_ADMIN, 0, 0, 0);
		return;
	}
	if (define_missing(w)) {
		later(w, 1 * S, SC_EV_ADMIN, 0, 0, 0);
		return;
	}
	if (a < w->opt.nodes)
		order(w, a, dom, what);
	if (b < w->opt.nodes && sc_chance(w, 25)) /* another one wants something else at the same moment */
		order(w, b, dom, (uint32_t)sc_rnd(w, 11));
	if (sc_chance(w, 40))
		sc_set_balance(w);
	if (w->opt.disarm && a < w->opt.nodes)
		order(w, a, dom, 13);
	later(w, w->admin_gap / 4 + sc_rnd(w, w->admin_gap * 2), SC_EV_ADMIN, 0, 0, 0);
}

/* A clusterd that hangs for ever, or till the faults stop; its host is as well as ever. */
void sc_stuck(struct sc *w, uint32_t node)
{
	sc_trace(w, "%c: clusterd hangs", sc_letter(node));
	w->node[node].paused = w->quiet + S;
}

/* From here on nothing breaks, and all that is broken is mended. */
void sc_stop_faults(struct sc *w)
{
	w->stopped = true;
	sc_trace(w, "---- the faults stop");
	memset(w->link, 1, (size_t)w->opt.nodes * w->opt.nodes);
	w->fence = 0;
	for (uint32_t i = 0; i < w->opt.nodes; i++) {
		struct sc_node *n = &w->node[i];
		sc_power_on(w, i);
		n->guard_ends = n->bad = false;
		n->slow = n->slow_disk = false;
		if (!sc_frozen(w, i))
			sc_leave_undo(w, i);
		n->stalled = 0;
		if (n->writing)
			sc_at(w, w->now + MS, SC_EV_STORED, i, 0, n->write->serial);
		sc_mig_start(w, i);
		if (!n->guard_up) {
			n->guard_up = true;
			sc_park_take_over(w, i);
			sc_guard_arm(w, i);
		}
		if (n->paused > w->now + 100 * MS)
			n->paused = w->now + 100 * MS;
		if (n->up)
			sc_at(w, w->now + 100 * MS, SC_EV_INBOX, i, 0, 0);
		sc_node_start(w, i);
	}
	for (uint32_t d = 0; d < w->opt.doms; d++) {
		w->dom[d].fails = false;
		w->dom[d].starts = w->dom[d].moves = 0;
	}
	sc_cpg_links_changed(w, 300 * MS);
	sc_list_stop(w);
}
