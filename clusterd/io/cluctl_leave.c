/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Orders that empty a host: drain (maintenance), leave (it is shut down). Both tell who is still there, and why. */
#include "config.h"
#include <errno.h>
#include <stdio.h>
#include <string.h>
#include "clusterd/io/cluctl_int.h"
#include "common/util.h"

/* A move failed at the best host that could take @d. */
static void say_failed(struct client *c, const struct clu_dom *d, const struct clu_fail *f, char *text, size_t cap)
{
	uint64_t now = nodeio_load(c->ctl->n)->time_ns;

	snprintf(text, cap, "failed to move to %s %u time%s, tried again in %.0f s: %s",
	         clu_host_name(ctl_state(c), f->node), f->count, f->count == 1 ? "" : "s",
	         f->until_ns > now ? (double)(f->until_ns - now) / 1e9 : 0.0, f->text[0] ? f->text : d->text);
}

/* Why @d is still on its host. True: it cannot leave as things are. */
static bool why_here(struct client *c, const struct clu_dom *d, char text[2 * CLU_TEXT_MAX])
{
	const struct clu_state *s = ctl_state(c);
	const struct clu_fail *f = NULL;
	char why[CLU_TEXT_MAX] = "";
	uint32_t to;

	if (d->phase == CLU_PHASE_MIGRATING) {
		snprintf(text, 2 * CLU_TEXT_MAX, "moves to %s", clu_host_name(ctl_state(c), d->target));
		return false;
	}
	if (d->phase != CLU_PHASE_RUNNING || d->desired != CLU_DESIRED_RUNNING) {
		snprintf(text, 2 * CLU_TEXT_MAX, "%s", clu_phase_name(d->phase));
		return false;
	}
	to = clu_place(s, nodeio_load(c->ctl->n), d, true, why);
	if (!to) {
		snprintf(text, 2 * CLU_TEXT_MAX, "%s", why);
		return true;
	}
	if (clu_fails(s, d, clu_slot(s, clu_host_of(s, to)), nodeio_load(c->ctl->n)->time_ns, &f) && f) {
		say_failed(c, d, f, text, 2 * CLU_TEXT_MAX);
		return true;
	}
	snprintf(text, 2 * CLU_TEXT_MAX, "waits for its turn%s%s", d->text[0] ? ": " : "", d->text);
	return false;
}

struct stay {
	uint32_t left, moving;
	json_t *domains;
};

/* What is still on @node. */
static void look(struct client *c, uint32_t node, struct stay *ret)
{
	const struct clu_state *s = ctl_state(c);
	char text[2 * CLU_TEXT_MAX];

	*ret = (struct stay){ .domains = json_array() };
	for (uint32_t i = 0; s && i < s->n_dom; i++) {
		const struct clu_dom *d = &s->dom[i];

		if (!d->uuid[0] || d->host != node || d->phase == CLU_PHASE_STOPPED || d->phase == CLU_PHASE_FAILED)
			continue;
		ret->left++;
		ret->moving += d->phase == CLU_PHASE_MIGRATING;
		bool stuck = why_here(c, d, text);
		const char *doing = c->ctl->local && node == nodeio_config(c->ctl->n)->node
		                            ? local_doing(c->ctl->local, d->uuid)
		                            : "";
		(void)json_array_append_new(ret->domains, json_pack("{s:s, s:s, s:s, s:b}", "name", d->name, "state",
		                                                    clu_phase_name(d->phase), "reason",
		                                                    doing[0] ? doing : text, "stuck", stuck));
	}
}

/* Once a second. Takes what @t holds. */
static void progress(struct client *c, struct stay *t, const char *stage)
{
	if (boot_ns() < c->o.reported_ns + NS_PER_S) {
		json_decref(t->domains);
		return;
	}
	c->o.reported_ns = boot_ns();
	ctl_reply(c, json_pack("{s:s, s:i, s:i, s:o, s:s}", "type", "progress", "left", (int)t->left, "moving",
	                       (int)t->moving, "domains", t->domains, "stage", stage));
}

/* Drain ---------------------------------------------------------------------------------------------------------------- */

/* The end of a wait for @t, whose content is taken: all have moved, or the time is up. False: it goes on, as @what. */
static bool settled(struct client *c, struct stay *t, const char *what)
{
	if (!t->left && nodeio_acts(c->ctl->n)) {
		json_decref(t->domains);
		return true;
	}
	if (!ctl_too_late(c)) {
		progress(c, t, what);
		return false;
	}
	ctl_over(c, json_pack("{s:s, s:b, s:i, s:o}", "type", "ok", "complete", false, "left", (int)t->left, "domains",
	                      t->domains));
	return true;
}

static bool drained(struct client *c)
{
	const struct clu_host *h = clu_host_of(ctl_state(c), c->o.node);
	struct stay t;

	if (!h || !h->maintenance) {
		ctl_fail(c, ECANCELED, "somebody ended the maintenance meanwhile");
		return true;
	}
	look(c, c->o.node, &t);
	return settled(c, &t, "drain");
}

/* --bring-back: until those whose home it is are there, or none of them comes. */
static bool brought(struct client *c)
{
	const struct clu_state *s = ctl_state(c);
	struct stay t = { .domains = json_array() };

	for (uint32_t i = 0; i < s->n_dom; i++) {
		const struct clu_dom *d = &s->dom[i];
		struct clu_verdict v;

		if (!d->uuid[0] || d->home != c->o.node || d->host == c->o.node || d->phase == CLU_PHASE_STOPPED ||
		    d->phase == CLU_PHASE_FAILED || d->set.has & CLU_SET_NO_BALANCE)
			continue;
		clu_judge(s, nodeio_load(c->ctl->n), d, clu_slot(s, clu_host_of(s, d->home)), &v);
		nodeio_verdict_text(c->ctl->n, d, clu_host_of(s, d->home), &v);
		t.left++;
		t.moving += d->phase == CLU_PHASE_MIGRATING;
		(void)json_array_append_new(t.domains, json_pack("{s:s, s:s, s:s, s:b}", "name", d->name, "state",
		                                                 clu_phase_name(d->phase), "reason", v.text, "stuck",
		                                                 v.why != CLU_WHY_OK));
	}
	return settled(c, &t, "bring-back");
}

void ctl_drain(struct client *c)
{
	struct clu_host *h = ctl_host(c);
	bool back = ctl_flag(c, "bring_back", false), undo = back || ctl_flag(c, "undo", false);
	bool until = !undo && ctl_flag(c, "until_back", false);
	struct clu_cmd *cmd;

	if (!h)
		return;
	c->o.node = h->node;
	cmd = ctl_command(c, CLU_CMD_MAINTENANCE, NULL);
	if (!cmd)
		return;
	cmd->host = h->node;
	cmd->on = !undo;
	cmd->desired = back || until ? CLU_DESIRED_RUNNING : CLU_DESIRED_STOPPED;
	ctl_wait_time(c);
	if ((!undo || back) && ctl_flag(c, "wait", true))
		c->o.go_on = undo ? brought : drained;
}

/* Leave ---------------------------------------------------------------------------------------------------------------- */

static bool left(struct client *c)
{
	static const char *const stages[] = { "no", "drain", "ending", "left" };
	struct leave *l = c->ctl->leave;
	struct stay t;

	if (leave_stage(l) == LEAVING_NOT) {
		ctl_fail(c, ECANCELED, "somebody called it off meanwhile (vmclus shutdown-host --undo)");
		return true;
	}
	if (leave_done(l) || leave_without_quorum(l)) {
		ctl_over(c, json_pack("{s:s, s:b}", "type", "ok", "complete", leave_done(l)));
		return true;
	}
	look(c, nodeio_config(c->ctl->n)->node, &t);
	progress(c, &t, stages[leave_stage(l)]);
	return false;
}

static bool back(struct client *c)
{
	if (!leave_undoing(c->ctl->leave))
		return true;
	if (boot_ns() > c->o.give_up_ns)
		ctl_fail(c, EAGAIN, "the cluster could not be told yet; it will be, as soon as there is a quorum");
	return !c->s.busy;
}

void ctl_leave(struct client *c)
{
	static const char *const modes[] = { "drain", "shutdown", "stop" };
	const char *mode = ctl_text(c, "mode");
	struct err err = { 0 };
	int m = -1, r;

	for (unsigned i = 0; mode && i < ARRAY_SIZE(modes); i++)
		if (!strcmp(mode, modes[i]))
			m = (int)i;
	if (!c->ctl->leave || (mode && m < 0)) {
		ctl_fail(c, EINVAL, "\"mode\" is drain, shutdown or stop");
		return;
	}
	ctl_wait_time(c);
	uint64_t now = boot_ns(), wait = c->o.wait_until_ns > now ? c->o.wait_until_ns - now : 0;
	bool undo = ctl_flag(c, "undo", false);
	r = undo ? leave_undo(c->ctl->leave, &err) : leave_begin(c->ctl->leave, m, wait, &err);
	if (r < 0) {
		ctl_fail(c, r, "%s", err.text);
		return;
	}
	c->o.give_up_ns = now + 10 * NS_PER_S;
	c->o.go_on = undo ? back : left;
	if (!ctl_flag(c, "wait", true))
		ctl_ok(c);
}
