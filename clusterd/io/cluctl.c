/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Orders from vmclus: see cluctl.h. A client has one order at a time; what it sends meanwhile waits. */
#include "config.h"
#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include "clusterd/io/cluctl_int.h"
#include "common/util.h"

#define TICK_NS   (250 * NS_PER_MS)
#define COMMIT_NS (9 * NS_PER_S)
#define AGAIN_NS  (300 * NS_PER_MS)

/* Answers -------------------------------------------------------------------------------------------------------------- */

static void order_done(struct order *o)
{
	json_decref(o->req);
	json_decref(o->report);
	json_decref(o->warnings);
	free(o->cmd);
	free(o->xml);
	free(o->plan);
	if (o->probe)
		probe_drop(o->probe);
	free(o->probe);
	balancer_run_done(&o->run);
	*o = (struct order){ 0 };
}

void ctl_reply(struct client *c, json_t *o)
{
	ctlsock_reply(&c->s, o);
}

void ctl_over(struct client *c, json_t *o)
{
	ctl_reply(c, o);
	order_done(&c->o);
	c->s.busy = false;
}

void ctl_ok(struct client *c)
{
	json_t *o = json_pack("{s:s}", "type", "ok");

	if (c->o.warnings)
		(void)json_object_set(o, "warnings", c->o.warnings);
	if (c->o.report)
		(void)json_object_set(o, "report", c->o.report);
	ctl_over(c, o);
}

void ctl_fail(struct client *c, int code, const char *fmt, ...)
{
	char text[ERR_TEXT_MAX];
	const char *name = strerrorname_np(code < 0 ? -code : code);
	va_list ap;

	va_start(ap, fmt);
	vsnprintf(text, sizeof(text), fmt, ap);
	va_end(ap);
	text_tidy(text);
	ctl_over(c, json_pack("{s:s, s:s+, s:s}", "type", "error", "error", text, "", "code", name ? name : "EIO"));
}

void ctl_warn(struct client *c, const char *fmt, ...)
{
	char text[ERR_TEXT_MAX];
	va_list ap;

	va_start(ap, fmt);
	vsnprintf(text, sizeof(text), fmt, ap);
	va_end(ap);
	text_tidy(text);
	if (!c->o.warnings)
		c->o.warnings = json_array();
	(void)json_array_append_new(c->o.warnings, json_string(text));
}

const char *ctl_text(struct client *c, const char *key)
{
	return json_string_value(json_object_get(c->o.req, key));
}

bool ctl_flag(struct client *c, const char *key, bool otherwise)
{
	json_t *v = json_object_get(c->o.req, key);

	return json_is_boolean(v) ? json_is_true(v) : otherwise;
}

struct clu_dom *ctl_dom(struct client *c)
{
	const char *name = ctl_text(c, "name");
	struct clu_dom *d = name ? clu_dom_named(ctl_state(c), name) : NULL;

	if (!d && name)
		d = clu_dom_of(ctl_state(c), name);
	if (!d && name)
		ctl_fail(c, ENOENT,
		         "no domain \"%.80s\" in the cluster: vmclus status lists them, vmclus define FILE adds one",
		         name);
	else if (!d)
		ctl_fail(c, EINVAL, "\"name\" is missing");
	return d;
}

struct clu_host *ctl_host(struct client *c)
{
	const char *name = ctl_text(c, "host");
	struct clu_host *h = name ? clu_host_named(ctl_state(c), name) : NULL;

	if (!h && name)
		ctl_fail(c, ENOENT, "no host \"%.80s\" in the cluster: hosts are those of corosync's node list", name);
	else if (!h)
		ctl_fail(c, EINVAL, "\"host\" is missing");
	return h;
}

/* Commands ------------------------------------------------------------------------------------------------------------- */

void ctl_commit(struct client *c)
{
	c->o.give_up_ns = boot_ns() + COMMIT_NS;
	c->o.again_ns = 0;
	c->o.request = 0;
}

static void no_commit(struct client *c)
{
	const char *trouble = nodeio_trouble(c->ctl->n);

	if (c->o.request)
		ctl_fail(c, ETIMEDOUT,
		         "not committed within %u s, and it is not known whether it will be: see vmclus status",
		         (unsigned)(COMMIT_NS / NS_PER_S));
	else
		ctl_fail(c, EAGAIN, "no quorum here, so nothing can be changed: %s",
		         trouble[0] ? trouble : "fewer than a majority of the hosts are together");
}

/* One look at an order that waits to be committed. */
static void try_commit(struct client *c)
{
	struct order *o = &c->o;
	uint64_t now = boot_ns();

	if (now >= o->give_up_ns) {
		no_commit(c);
		return;
	}
	if (o->request || now < o->again_ns)
		return;
	o->again_ns = now + AGAIN_NS;
	if (!nodeio_acts(c->ctl->n))
		return;
	o->request = o->cmd->request = nodeio_request(c->ctl->n);
	int r = nodeio_submit(c->ctl->n, o->cmd, o->xml, o->xml_len);
	if (r < 0)
		o->request = 0; /* it did not leave */
	if (r == -EOPNOTSUPP) {
		char text[2 * CLU_TEXT_MAX];

		nodeio_level_text(c->ctl->n, o->cmd, text, sizeof(text));
		ctl_fail(c, EOPNOTSUPP, "%s", text);
	}
	if (r == -E2BIG)
		ctl_fail(c, r, "that is too big for one message of the cluster (256 KiB)");
}

static void look_at(struct client *c)
{
	if (c->s.dead || !c->s.busy)
		return;
	if (c->o.cmd)
		try_commit(c);
	else if (c->o.go_on && c->o.go_on(c) && c->s.busy)
		ctl_ok(c);
}

void cluctl_answer(struct cluctl *ctl, uint64_t request, const struct clu_answer *a)
{
	for (struct ctlsock_client *s = ctlsock_clients(ctl->sock); s; s = s->next) {
		struct client *c = (struct client *)s;

		if (!c->s.busy || !request || c->o.request != request)
			continue;
		c->o.request = 0;
		if (a->status == -EAGAIN) {
			c->o.again_ns = boot_ns() + AGAIN_NS;
			return;
		}
		free(c->o.cmd);
		c->o.cmd = NULL;
		if (a->status < 0)
			ctl_fail(c, a->status, "%s", a->text);
		else if (a->text[0] && !c->o.go_on)
			ctl_warn(c, "%s", a->text);
		if (c->s.busy && !c->o.go_on)
			ctl_ok(c);
		return; /* what is to be waited for is looked at next */
	}
}

void cluctl_changed(struct cluctl *ctl)
{
	loop_timer_in(ctl->tick, 0);
}

void cluctl_progress(struct cluctl *ctl, const char *uuid, const char *json, size_t len)
{
	ctl_push_note(ctl, uuid, json, len);
	for (struct ctlsock_client *s = ctlsock_clients(ctl->sock); s; s = s->next) {
		struct client *c = (struct client *)s;
		json_t *o;

		if (c->s.dead || !c->s.busy || strcmp(c->o.op, "move") != 0 || strcmp(c->o.uuid, uuid) != 0 || c->o.cmd)
			continue;
		o = json_loadb(json, len, 0, NULL);
		if (!json_is_object(o)) {
			json_decref(o);
			continue;
		}
		const char *type = json_string_value(json_object_get(o, "type"));
		if (type && !strcmp(type, "result")) {
			json_decref(c->o.report);
			(void)json_object_del(o, "type");
			c->o.report = o;
		} else {
			ctl_reply(c, o);
		}
	}
}

/* Orders --------------------------------------------------------------------------------------------------------------- */

static const struct {
	const char *op;
	void (*run)(struct client *c);
	bool any_time; /* answered without corosync, too */
} ops[] = {
	{ "status", ctl_status, true },
	{ "define", ctl_define, false },
	{ "undefine", ctl_undefine, false },
	{ "dumpxml", ctl_xml, false },
	{ "start", ctl_start, false },
	{ "stop", ctl_stop, false },
	{ "move", ctl_move, false },
	{ "abort", ctl_abort, false },
	{ "drain", ctl_drain, false },
	{ "set", ctl_set, false },
	{ "spare", ctl_spare, false },
	{ "leave", ctl_leave, true },
	{ "rule-add", ctl_rule_add, false },
	{ "rule-remove", ctl_rule_remove, false },
	{ "rule-list", ctl_rule_list, false },
	{ "explain", ctl_explain, false },
	{ "fence-confirm", ctl_fence_confirm, false },
	{ "events", ctl_events, false },
	{ "rehearse", ctl_rehearse, false },
	{ "cpu-baseline", ctl_cpu_baseline, false },
	{ "balance", ctl_balance, false },
	{ "policy", ctl_policy, false },
	{ "disarm", ctl_disarm, false },
	{ "arm", ctl_arm, false },
	{ "ping", ctl_ok, true },
	{ "state", ctl_dump, true },
	{ "loglevel", ctl_loglevel, true },
};

static void run_order(struct client *c)
{
	const char *op = ctl_text(c, "op");

	for (size_t i = 0; op && i < ARRAY_SIZE(ops); i++) {
		if (strcmp(ops[i].op, op) != 0)
			continue;
		snprintf(c->o.op, sizeof(c->o.op), "%s", op);
		if (!ops[i].any_time && !ctl_state(c))
			ctl_fail(c, EAGAIN, "this node is not in a cluster yet: %s", nodeio_trouble(c->ctl->n));
		else
			ops[i].run(c);
		return;
	}
	if (op)
		ctl_fail(c, EINVAL, "unknown order \"%.40s\"", op);
	else
		ctl_fail(c, EINVAL, "\"op\" is missing");
}

static void on_order(void *arg, struct ctlsock_client *s, json_t *o, const char *wrong)
{
	struct client *c = (struct client *)s;

	c->ctl = arg;
	c->s.busy = true;
	c->o.req = o;
	if (o)
		run_order(c);
	else
		ctl_fail(c, EINVAL, "%s", wrong);
	look_at(c);
}

static void on_gone(void *arg, struct ctlsock_client *s)
{
	(void)arg;
	order_done(&((struct client *)s)->o);
}

static void on_tick(void *arg)
{
	struct cluctl *ctl = arg;

	loop_timer_in(ctl->tick, TICK_NS);
	for (struct ctlsock_client *s = ctlsock_clients(ctl->sock); s; s = s->next) {
		look_at((struct client *)s);
		ctlsock_go_on(s);
	}
}

/* Life ----------------------------------------------------------------------------------------------------------------- */

static const struct ctlsock_type type = {
	.name = "clusterd",
	.client_bytes = sizeof(struct client),
	.clients_max = 128,
	.backlog = 32,
	.read_bytes = CTLSOCK_READ_MAX, /* definitions of domains are long */
	.in_bytes_max = (2u << 20) + 1, /* a line of 2 MiB and its end */
	.out_bytes_max = 16u << 20,
	.order = on_order,
	.gone = on_gone,
};

struct cluctl *cluctl_new(struct loop *loop, struct nodeio *n, struct err *err)
{
	struct cluctl *c = calloc(1, sizeof(*c));

	if (!c) {
		(void)err_sys(err, ENOMEM, "order socket");
		return NULL;
	}
	c->n = n;
	c->tick = loop_add_timer(loop, on_tick, c);
	if (!c->tick || !(c->sock = ctlsock_new(loop, &type, c, err))) {
		if (err && !err->code)
			(void)err_sys(err, ENOMEM, "order socket");
		cluctl_free(c);
		return NULL;
	}
	loop_timer_in(c->tick, TICK_NS);
	return c;
}

void cluctl_parts(struct cluctl *c, struct local *local, struct balancer *balancer, struct leave *leave)
{
	c->leave = leave;
	c->local = local;
	c->balancer = balancer;
}

void cluctl_free(struct cluctl *c)
{
	if (!c)
		return;
	ctlsock_free(c->sock);
	ctl_push_forget(c);
	loop_del_timer(c->tick);
	free(c);
}
