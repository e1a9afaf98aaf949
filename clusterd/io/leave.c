/* SPDX-License-Identifier: GPL-2.0-or-later */
/* See leave.h. By level: each look compares the stage with what is, says what is to be said again, and goes on to the next one. */
#include "config.h"
#include "clusterd/io/leave.h"
#include <errno.h>
#include <string.h>
#include "clusterd/guard/managed.h"
#include "common/fault.h"
#include "common/log.h"
#include "common/util.h"

#define LOOK_NS   (100 * NS_PER_MS)
#define AGAIN_NS  NS_PER_S       /* a word that does not show is said again */
#define STUCK_NS  (2 * NS_PER_S) /* so long nothing could move: what is left stays */
#define QUORUM_NS (5 * NS_PER_S) /* so long without quorum: nothing will be moved, and nobody told */

struct leave {
	struct loop *loop;
	struct nodeio *n;
	struct local *local;
	struct loop_timer *tick;
	struct leaving at;
	bool undoing;
	uint64_t said_ns;
	uint64_t could_ns;   /* when something moved, or could, last */
	uint64_t acted_ns;   /* when there was a quorum last */
	uint64_t safe_index; /* of the state in which this host was first seen to have left; 0: not */
};

static struct clu_host *me(const struct leave *l)
{
	struct clu_state *s = nodeio_state(l->n);

	return s ? clu_host_of(s, nodeio_config(l->n)->node) : NULL;
}

static void submit(struct leave *l, enum clu_cmd_kind kind, enum clu_leaving leaving, uint64_t op_id)
{
	struct clu_cmd c = { .kind = kind, .leaving = leaving, .op_id = op_id };
	uint64_t now = boot_ns();

	if (l->said_ns && now < l->said_ns + AGAIN_NS)
		return;
	c.host = nodeio_config(l->n)->node;
	(void)fault_point("clu", "leave", clu_cmd_name(kind), "", 0);
	if (nodeio_submit(l->n, &c, NULL, 0) == 0)
		l->said_ns = now;
	(void)fault_point("clu", "leave", clu_cmd_name(kind), ".done", 0);
}

/* The file first: what it says holds for a successor whatever comes then. */
static int enter(struct leave *l, enum leaving_stage stage, struct err *err)
{
	struct leaving next = l->at;

	next.stage = stage;
	if (leaving_save(&next, err) < 0)
		return -EIO;
	l->at = next;
	l->said_ns = l->safe_index = 0;
	l->could_ns = boot_ns();
	nodeio_leaving(l->n,
	               stage == LEAVING_NOT     ? CLU_LEAVING_NOT
	               : stage == LEAVING_DRAIN ? CLU_LEAVING_DRAIN
	                                        : CLU_LEAVING_ENDING,
	               stage == LEAVING_LEFT);
	if (l->local)
		local_ending(l->local, stage >= LEAVING_ENDING ? l->at.until_ns : 0,
		             l->at.mode == CLU_ON_SHUTDOWN_STOP);
	return 0;
}

static void go_on_to(struct leave *l, enum leaving_stage stage)
{
	struct err err = { 0 };

	if (enter(l, stage, &err) < 0)
		log_error("this host cannot leave: %s", err.text); /* tried again at the next look */
	else if (stage == LEAVING_ENDING)
		log_info("leaving: what still runs here is %s",
		         l->at.mode == CLU_ON_SHUTDOWN_STOP ? "ended" : "shut down");
	else if (stage == LEAVING_LEFT)
		log_info("leaving: no domain of the cluster runs here any more");
}

/* Is anything of this host's moving, or could it be moved? @ret_here: how many there are. */
static bool can_move(const struct leave *l, uint32_t *ret_here)
{
	struct clu_state *s = nodeio_state(l->n);
	uint32_t node = nodeio_config(l->n)->node;
	bool can = false;

	*ret_here = 0;
	for (uint32_t i = 0; i < s->n_dom; i++) {
		const struct clu_dom *d = &s->dom[i];

		if (!d->uuid[0] || (d->host != node && d->target != node) || d->phase == CLU_PHASE_STOPPED ||
		    d->phase == CLU_PHASE_FAILED)
			continue;
		++*ret_here;
		can |= d->phase != CLU_PHASE_RUNNING || d->desired != CLU_DESIRED_RUNNING;
		if (can || d->phase != CLU_PHASE_RUNNING)
			continue;
		uint32_t to = clu_place(s, nodeio_load(l->n), d, true, NULL);
		const struct clu_host *h = to ? clu_host_of(s, to) : NULL;
		/* one that only waits for hosts that failed to take it does not leave in time */
		can = h && !clu_fails(s, d, clu_slot(s, h), nodeio_load(l->n)->time_ns, NULL);
	}
	return can;
}

static void drain(struct leave *l)
{
	const struct clu_host *h = me(l);
	uint64_t now = boot_ns();
	uint32_t here = 0;

	if (nodeio_acts(l->n) && h) {
		if (h->leaving != CLU_LEAVING_DRAIN)
			submit(l, CLU_CMD_LEAVE, CLU_LEAVING_DRAIN, 0);
		if (can_move(l, &here))
			l->could_ns = now;
		if (!here && h->leaving == CLU_LEAVING_DRAIN)
			l->could_ns = 0;
	}
	if (now >= l->at.drain_until_ns || now > l->could_ns + STUCK_NS || now > l->acted_ns + QUORUM_NS)
		go_on_to(l, LEAVING_ENDING);
}

static void ending(struct leave *l)
{
	const struct clu_host *h = me(l);

	if (nodeio_acts(l->n) && h && h->leaving != CLU_LEAVING_ENDING)
		submit(l, CLU_CMD_LEAVE, CLU_LEAVING_ENDING, 0);
	/* the guard's evidence: no marked domain lives; and none of ours is just being started */
	if ((!l->local || !local_lives(l->local)) && managed_count_alive() == 0)
		go_on_to(l, LEAVING_LEFT);
}

static void left(struct leave *l)
{
	const struct clu_host *h = me(l);

	if (!nodeio_acts(l->n) || !h)
		return;
	if (h->state == CLU_HOST_ONLINE || h->state == CLU_HOST_LOST) {
		l->safe_index = 0;
		submit(l, CLU_CMD_LEFT, CLU_LEAVING_NOT, h->up_id);
	} else if (!l->safe_index) {
		l->safe_index = nodeio_state(l->n)->index;
	}
}

static void undo(struct leave *l)
{
	const struct clu_host *h = me(l);

	if (!nodeio_acts(l->n) || !h || h->state != CLU_HOST_ONLINE)
		return;
	if (h->leaving == CLU_LEAVING_NOT)
		l->undoing = false;
	else
		submit(l, CLU_CMD_LEAVE, CLU_LEAVING_NOT, 0);
}

static void on_tick(void *arg)
{
	struct leave *l = arg;

	loop_timer_in(l->tick, l->at.stage == LEAVING_NOT && !l->undoing ? NS_PER_S : LOOK_NS);
	if (nodeio_acts(l->n))
		l->acted_ns = boot_ns();
	switch (l->at.stage) {
	case LEAVING_NOT:
		if (l->undoing)
			undo(l);
		break;
	case LEAVING_DRAIN:
		drain(l);
		break;
	case LEAVING_ENDING:
		ending(l);
		break;
	case LEAVING_LEFT:
		left(l);
		break;
	}
}

int leave_begin(struct leave *l, int mode, uint64_t timeout_ns, struct err *err)
{
	const struct clu_state *s = nodeio_state(l->n);
	struct clu_policy p;
	uint64_t now = boot_ns();

	clu_policy_default(&p);
	if (s)
		p = s->policy;
	if (!timeout_ns)
		timeout_ns = p.shutdown_ns;
	if (l->at.stage != LEAVING_NOT) {
		if (now + timeout_ns < l->at.until_ns)
			l->at.until_ns = now + timeout_ns;
		if (l->at.drain_until_ns > l->at.until_ns)
			l->at.drain_until_ns = l->at.until_ns;
		return enter(l, l->at.stage, err);
	}
	l->at = (struct leaving){ .mode = mode < 0 ? (unsigned)p.on_shutdown : (unsigned)mode,
		                  .drain_until_ns = now + timeout_ns / 3 * 2,
		                  .until_ns = now + timeout_ns };
	l->undoing = false;
	l->acted_ns = now;
	bool drains = l->at.mode == CLU_ON_SHUTDOWN_DRAIN && s;
	log_info("leaving: this host is being shut down within %.0f s%s", (double)timeout_ns / 1e9,
	         drains ? ": its domains are moved away" : "");
	int r = enter(l, drains ? LEAVING_DRAIN : LEAVING_ENDING, err);
	loop_timer_in(l->tick, 0);
	return r;
}

int leave_undo(struct leave *l, struct err *err)
{
	bool left = l->at.stage == LEAVING_LEFT;

	l->at.stage = LEAVING_NOT;
	int r = enter(l, LEAVING_NOT, err);
	if (r < 0)
		return r;
	l->undoing = true;
	loop_timer_in(l->tick, 0);
	/* LEFT may be under way: nothing is started before a HOST_UP that comes after it */
	if (left)
		nodeio_new_life(l->n);
	return 0;
}

enum leaving_stage leave_stage(const struct leave *l)
{
	return l->at.stage;
}

bool leave_undoing(const struct leave *l)
{
	return l->undoing;
}

bool leave_done(const struct leave *l)
{
	return l->at.stage == LEAVING_LEFT && l->safe_index && clu_node_committed(nodeio_node(l->n), l->safe_index);
}

bool leave_without_quorum(const struct leave *l)
{
	return l->at.stage == LEAVING_LEFT && boot_ns() > l->acted_ns + QUORUM_NS;
}

struct leave *leave_new(struct loop *loop, struct nodeio *n, struct local *local, struct err *err)
{
	struct leave *l = calloc(1, sizeof(*l));

	if (l)
		*l = (struct leave){ .loop = loop, .n = n, .local = local, .acted_ns = boot_ns() };
	if (!l || !(l->tick = loop_add_timer(loop, on_tick, l))) {
		leave_free(l);
		(void)err_sys(err, ENOMEM, "clusterd");
		return NULL;
	}
	leaving_load(&l->at);
	if (l->at.stage != LEAVING_NOT) {
		log_info("leaving: going on with it");
		if (enter(l, l->at.stage, err) < 0) {
			leave_free(l);
			return NULL;
		}
	}
	loop_timer_in(l->tick, 0);
	return l;
}

void leave_free(struct leave *l)
{
	if (!l)
		return;
	loop_del_timer(l->tick);
	free(l);
}
