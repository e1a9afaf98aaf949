/* SPDX-License-Identifier: GPL-2.0-or-later */
/* The look at this host's domains: see local.h. */
#include "config.h"
#include "clusterd/io/local.h"
#include <errno.h>
#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>
#include "clusterd/io/local_int.h"
#include "clusterd/guard/managed.h"
#include "common/fault.h"
#include "common/log.h"
#include "common/util.h"

#define LOOK_NS   (100 * NS_PER_MS)
#define AGAIN_NS  NS_PER_S
#define SILENT_NS (5 * NS_PER_S) /* after that a mute hvdom counts as running in an inventory */

void local_changed(struct local *l)
{
	loop_timer_in(l->look, 0);
}

void ldom_doing(struct ldom *x, const char *fmt, ...)
{
	va_list ap;

	va_start(ap, fmt);
	vsnprintf(x->doing, sizeof(x->doing), fmt, ap);
	va_end(ap);
}

/* Results -------------------------------------------------------------------------------------------------------------- */

/* False: not now, or nobody could be told. */
static bool say(struct ldom *x, struct clu_cmd *c, const char *text)
{
	uint64_t now = boot_ns();

	if (x->said_ns && now < x->said_ns + AGAIN_NS)
		return false;
	memcpy(c->uuid, x->uuid, sizeof(c->uuid));
	snprintf(c->text, sizeof(c->text), "%.190s", text);
	(void)fault_point("clu", "result", c->kind == CLU_CMD_RESULT ? clu_result_name(c->result) : "observed", "",
	                  x->hv.info.pid);
	if (nodeio_submit(x->l->n, c, NULL, 0) < 0)
		return false;
	x->said_ns = now;
	return true;
}

void ldom_result(struct ldom *x, const struct clu_dom *d, enum clu_result result, uint64_t generation, const char *text)
{
	struct clu_cmd c = { .kind = CLU_CMD_RESULT, .result = result, .op_id = d->op_id, .generation = generation };

	(void)say(x, &c, text);
}

bool ldom_observed(struct ldom *x, enum clu_seen seen, uint64_t generation, const char *text)
{
	struct clu_cmd c = { .kind = CLU_CMD_OBSERVED, .seen = seen, .generation = generation };

	return say(x, &c, text);
}

static void on_probed(void *arg)
{
	local_changed(((struct ldom *)arg)->l);
}

bool ldom_ask(struct ldom *x, const struct clu_dom *d, enum probe_op op)
{
	const struct clu_state *s = nodeio_state(x->l->n);
	struct probe *p = &x->probe;
	size_t len = 0;
	const char *xml;

	if (p->op == op && p->answered)
		return true;
	if (p->op == op && p->work)
		return false;
	xml = nodeio_text(x->l->n, (uint32_t)(d - s->dom), &len);
	probe_ask(p, x->l->helpers, op, WORK_URGENT, x->name, xml, len, on_probed, x);
	return p->answered;
}

/* The list ------------------------------------------------------------------------------------------------------------- */

static struct ldom *find(const struct local *l, const char *uuid)
{
	for (struct ldom *x = l->doms; x; x = x->next)
		if (!strcmp(x->uuid, uuid))
			return x;
	return NULL;
}

static struct ldom *get(struct local *l, const char *uuid, const char *name)
{
	struct ldom *x = find(l, uuid);

	if (x)
		return x;
	x = calloc(1, sizeof(*x));
	if (!x)
		return NULL;
	x->l = l;
	x->start.ready_fd = -1;
	snprintf(x->uuid, sizeof(x->uuid), "%s", uuid);
	snprintf(x->name, sizeof(x->name), "%s", name);
	x->next = l->doms;
	l->doms = x;
	return x;
}

static void drop(struct ldom **p)
{
	struct ldom *x = *p;

	*p = x->next;
	ldom_launch_drop(x);
	ldom_disconnect(x);
	probe_drop(&x->probe);
	migorder_free(x->move.order);
	migorder_free(x->move.cancel);
	free(x);
}

static void remember_marker(void *arg, const char *name, const char *uuid)
{
	(void)get(arg, uuid, name);
}

/* A new operation: nothing of the last one counts for it. */
static void begin(struct ldom *x, enum clu_todo todo, uint64_t op_id)
{
	if (x->todo == todo && x->op_id == op_id)
		return;
	/* a push goes on in migrated whatever we think of it: its last words are for people */
	if (x->move.order && !x->move.pushed) {
		migorder_free(x->move.order);
		x->move.order = NULL;
	}
	x->hv.have_info = false; /* what was true for the last one may not be now */
	probe_drop(&x->probe);
	x->todo = todo;
	x->op_id = op_id;
	x->doing[0] = x->why[0] = x->news[0] = 0;
	x->said_ns = 0;
	x->start.launched = x->start.failed = false;
	x->start.since_ns = x->start.pid ? x->start.since_ns : 0;
	x->start.lease_generation = 0;
	x->stop.since_ns = x->stop.destroy_ns = 0;
	x->move.done = x->move.failed = x->move.called_off = false;
	x->move.order_ns = x->move.order ? boot_ns() : 0;
	x->move.pushed = x->move.pushed && x->move.order;
	x->move.waits_ns = 0;
}

/* One domain; true: nothing of it is left here and nothing is to be done. */
static bool work(struct ldom *x, const struct clu_dom *d, enum clu_todo todo)
{
	static void (*const look[])(struct ldom * x, const struct clu_dom *d) = {
		[CLU_TODO_START] = ldom_start, [CLU_TODO_STOP] = ldom_stop,
		[CLU_TODO_PUSH] = ldom_push,   [CLU_TODO_RESOLVE] = ldom_resolve,
		[CLU_TODO_WATCH] = ldom_watch, [CLU_TODO_ACCEPT] = ldom_accept,
		[CLU_TODO_KILL] = NULL,
	};

	begin(x, todo, d ? d->op_id : 0);
	ldom_look(x);
	if (x->l->ending_ns && d && ldom_ending(x, d, todo))
		return false;
	if (d && todo != CLU_TODO_KILL && todo != CLU_TODO_NONE && ldom_parked(x, d))
		return false;
	if (!look[todo])
		return ldom_kill(x, d) && !ldom_push_speaks(x);
	look[todo](x, d);
	return false;
}

static void work_all(struct local *l)
{
	struct clu_state *s = nodeio_state(l->n);
	const struct clu_node *node = nodeio_node(l->n);
	uint32_t me = local_me(l);

	for (uint32_t i = 0; i < s->n_dom; i++) {
		const struct clu_dom *d = &s->dom[i];

		if (d->uuid[0] && clu_node_committed(node, d->rev) && clu_todo(d, me) != CLU_TODO_KILL)
			(void)get(l, d->uuid, d->name);
	}
	for (struct ldom **p = &l->doms; *p;) {
		struct ldom *x = *p;
		const struct clu_dom *d = clu_dom_of(s, x->uuid);
		bool over;

		if (d && !clu_node_committed(node, d->rev)) {
			ldom_look(x);
			over = false;
		} else {
			over = work(x, d, d ? clu_todo(d, me) : CLU_TODO_KILL);
		}
		if (over)
			drop(p);
		else
			p = &x->next;
	}
}

static void on_look(void *arg)
{
	struct local *l = arg;

	loop_timer_in(l->look, LOOK_NS);
	local_engines_look(l);
	if (!nodeio_acts(l->n)) {
		/* nothing is decided here: look on only */
		for (struct ldom *x = l->doms; x; x = x->next) {
			ldom_look(x);
			if (l->ending_ns)
				ldom_ending_alone(x);
			else if (ldom_is_parked(x))
				ldom_doing(x, "suspended: this host has no quorum");
		}
		return;
	}
	work_all(l);
	local_reach(l);
	local_list(l);
	local_usage(l);
}

/* For others ----------------------------------------------------------------------------------------------------------- */

/* In which generation does this copy run, or may it come to run? 0: it is not one to tell of. */
static uint64_t inventory_generation(const struct ldom *x, const struct clu_dom *d)
{
	if (!x->hv.have_info) /* mute: it may run */
		return d->generation;
	switch (x->hv.info.state) {
	case HV_DOM_INCOMING:
	case HV_DOM_RESTORED: /* it may be ours before this is heard */
		return d->phase == CLU_PHASE_MIGRATING ? d->generation + 1 : d->generation;
	case HV_DOM_RELINQUISHED: /* settled by its migration, not by us */
		return d->generation;
	case HV_DOM_SHUTDOWN:
	case HV_DOM_CRASHED:
		return 0;
	default:
		return x->hv.info.generation;
	}
}

int local_inventory(struct local *l, struct clu_inventory *list, uint32_t max)
{
	struct clu_state *s = nodeio_state(l->n);
	uint32_t n = 0;

	for (struct ldom *x = l->doms; s && x; x = x->next) {
		const struct clu_dom *d = clu_dom_of(s, x->uuid);
		uint64_t generation;

		ldom_look(x);
		if (!d || !x->hv.alive)
			continue;
		if (!x->hv.have_info && boot_ns() < x->hv.alive_ns + SILENT_NS)
			return -EAGAIN;
		generation = inventory_generation(x, d);
		if (!generation) {
			/* what says that its guest is off may be left out when it is gone, not on its word */
			ldom_end(x, 0);
			return -EAGAIN;
		}
		if (n == max)
			return -E2BIG;
		memcpy(list[n].uuid, x->uuid, sizeof(list[n].uuid));
		list[n++].generation = generation;
	}
	return (int)n;
}

bool local_child(struct local *l, pid_t pid, int status)
{
	for (struct ldom *x = l->doms; x; x = x->next) {
		if (x->start.pid != pid)
			continue;
		/* its pipe says the rest: it is at its end now, whatever was in it */
		log_debug("%s: hvdom %d ended: %s %d", x->name, (int)pid,
		          WIFSIGNALED(status) ? "signal" : "exit status",
		          WIFSIGNALED(status) ? WTERMSIG(status) : WEXITSTATUS(status));
		local_changed(l);
		return true;
	}
	return false;
}

bool local_parked(const struct local *l, const char *uuid)
{
	const struct ldom *x = find(l, uuid);

	return x && ldom_is_parked(x);
}

struct workers *local_helpers(const struct local *l)
{
	return l->helpers;
}

const char *local_doing(const struct local *l, const char *uuid)
{
	const struct ldom *x = find(l, uuid);

	return x ? x->doing : "";
}

json_t *local_dump(const struct local *l)
{
	static const char *const todo[] = { "none", "start", "stop", "push", "resolve", "watch", "accept", "kill" };
	json_t *a = json_array();

	for (const struct ldom *x = l->doms; x; x = x->next)
		(void)json_array_append_new(
			a, json_pack("{s:s, s:s, s:s, s:b, s:i, s:I, s:s}", "name", x->name, "uuid", x->uuid, "todo",
		                     (size_t)x->todo < ARRAY_SIZE(todo) ? todo[x->todo] : "?", "alive", x->hv.alive,
		                     "state", x->hv.have_info ? (int)x->hv.info.state : 0, "generation",
		                     (json_int_t)(x->hv.have_info ? x->hv.info.generation : 0), "doing", x->doing));
	return a;
}

struct local *local_new(struct loop *loop, struct nodeio *n, const struct hostconf *conf, struct err *err)
{
	struct local *l = calloc(1, sizeof(*l));

	if (l) {
		*l = (struct local){ .loop = loop, .n = n, .conf = conf };
		l->reach = calloc(CLU_DOMS_MAX, sizeof(l->reach[0]));
		l->helpers = workers_new(loop, PROBE_HELPERS, PROBE_NS);
		l->look = loop_add_timer(loop, on_look, l);
	}
	if (!l || !l->reach || !l->look || !l->helpers || managed_each(remember_marker, l) < 0) {
		(void)err_sys(err, l && l->look ? EIO : ENOMEM, "read %s/cluster/managed", path_run());
		local_free(l);
		return NULL;
	}
	loop_timer_in(l->look, 0);
	return l;
}

void local_free(struct local *l)
{
	if (!l)
		return;
	while (l->doms)
		drop(&l->doms);
	loop_del_timer(l->look);
	local_reach_end(l);
	probe_drop(&l->engines_probe);
	workers_free(l->helpers);
	free(l->reach);
	free(l);
}
