/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Events. While a client wants them, all domains are looked at three times a second, and what is different is told: no
 * hvdom has to know of us, and nothing is missed that lasts. What happens to pushes is migrated's word (vdjobs.c).
 * Snapshots are taken on a thread of the pool, compared on the loop's.
 */
#include "config.h"
#include "virtd/vdh_int.h"

#include <stdio.h>
#include <string.h>
#include "virtd/vdevent.h"

/* libvirt's numbers: of events, */
enum {
	ID_LIFECYCLE,
	ID_REBOOT,
	ID_WATCHDOG = 3,
	ID_IO_ERROR,
	ID_IO_ERROR_REASON = 6,
	ID_BALLOON = 13,
	ID_REMOVED = 15,
	ID_AGENT = 18,
	ID_ADDED = 19,
	ID_ITERATION = 20,
	ID_JOB = 21
};
/* ... of what happens in a life, and how; */
enum { EV_DEFINED, EV_UNDEFINED, EV_STARTED, EV_SUSPENDED, EV_RESUMED, EV_STOPPED };
enum { STARTED_BOOTED, STARTED_MIGRATED };
enum { SUSPENDED_PAUSED, SUSPENDED_MIGRATED, SUSPENDED_IOERROR, SUSPENDED_WATCHDOG };
enum { STOPPED_SHUTDOWN, STOPPED_CRASHED = 2, STOPPED_MIGRATED, STOPPED_FAILED = 5 };
enum { WHY_MIGRATION = 2, WHY_IOERROR = 5, WHY_WATCHDOG = 6 };
/* ... of the messages that tell of events. */
static const uint16_t procedure[] = {
	[ID_LIFECYCLE] = 318,       [ID_REBOOT] = 319,    [ID_WATCHDOG] = 321, [ID_IO_ERROR] = 322,
	[ID_IO_ERROR_REASON] = 324, [ID_BALLOON] = 331,   [ID_REMOVED] = 333,  [ID_AGENT] = 348,
	[ID_ADDED] = 354,           [ID_ITERATION] = 359, [ID_JOB] = 363,
};
#define ACTION_NONE  0u
#define ACTION_PAUSE 1u
#define ITERATIONS   1000u /* told of at once: a push never has so many */
#define KIND_NET     1u
#define KIND_BLOCK   2u
#define AGENT_THERE  1u
#define AGENT_GONE   2u
#define AGENT_WHY    2u /* its channel says so */

bool vd_event_is_of_devices(uint32_t id)
{
	return id == ID_ADDED || id == ID_REMOVED;
}

static void look_at_devices(struct vd_seen *e)
{
	_cleanup_hvcall_ struct hvcall h = { .fd = -1 };
	struct hv_stats st = { 0 };

	if (hvcall_open(&h, e->name, NULL) < 0 || hvcall_simple(&h, HV_OP_STATS, NULL, 0, &st, sizeof(st), NULL) < 0)
		return;
	e->known_devs = true;
	for (uint32_t i = 0; i < st.n_devs && i < HV_DEVS_MAX && e->n_devs < VD_SEEN_DEVS; i++)
		if (st.dev[i].kind == KIND_NET || st.dev[i].kind == KIND_BLOCK)
			snprintf(e->dev[e->n_devs++], sizeof(e->dev[0]), "%.15s", st.dev[i].name);
}

static void look_closer(struct vd_seen *e, const struct vmhost_dom *d)
{
	if (!d->running)
		return;
	e->arriving = d->info.state == HV_DOM_INCOMING || d->info.state == HV_DOM_RESTORED;
	e->memory_bytes = d->info.ram_current_bytes;
	e->reboots = d->info.reboots;
	e->watchdogs = d->info.watchdog_count;
	e->agent = d->info.beat_s != 0;
	if (d->info.reason == HV_WHY_DISK_ERROR)
		snprintf(e->disk, sizeof(e->disk), "%.15s", d->info.disk);
}

static struct vd_snapshot *snapshot_here(bool devices)
{
	struct vd_snapshot *s = calloc(1, sizeof(*s));
	struct vmhost_names names = { 0 };

	if (!s || vmhost_names(true, &names, NULL) < 0)
		goto fail;
	s->dom = calloc(names.n + 1, sizeof(*s->dom));
	if (!s->dom)
		goto fail;
	for (size_t i = 0; i < names.n; i++) {
		struct vd_seen *e = &s->dom[s->n];
		struct vmhost_dom d;
		int32_t state, reason;

		vmhost_look(&d, names.name[i]);
		if (vd_is_there(&d) || d.silent) {
			memcpy(e->name, d.name, sizeof(e->name));
			vd_uuid(&d, e->uuid);
			e->id = vd_id(&d);
			e->defined = d.defined;
			vd_state(&d, &state, &reason);
			e->paused = state == 3;
			e->paused_for = reason;
			look_closer(e, &d);
			if (devices && d.running)
				look_at_devices(e);
			e->crashed = d.dead;
			e->silent = d.silent;
			s->n++;
		}
		vmhost_dom_done(&d);
	}
	vmhost_names_done(&names);
	return s;
fail:
	vmhost_names_done(&names);
	vd_snapshot_free(s);
	return NULL;
}

struct vd_snapshot *vd_snapshot_take(struct vd_call *c)
{
	return c->scope == VD_CLUSTER ? vd_cluster_snapshot(c) : snapshot_here(c->srv->watch[c->scope].devices);
}

void vd_snapshot_free(struct vd_snapshot *s)
{
	if (!s)
		return;
	for (size_t i = 0; i < s->n_jobs; i++)
		buf_done(&s->job[i].params);
	free(s->job);
	free(s->dom);
	free(s);
}

bool vd_events_wanted(const struct vd_server *s, enum vd_scope scope)
{
	for (struct vd_conn *c = s->conns; c; c = c->next)
		if (c->callbacks && c->scope == scope && !c->dead)
			return true;
	return false;
}

void vd_events_look(struct vd_server *s, enum vd_scope scope)
{
	struct vd_watch *w = &s->watch[scope];

	if (!vd_events_wanted(s, scope))
		return;
	if (w->scanning)
		w->again = true;
	else
		loop_timer_in(w->scan, 0);
}

/* @rest: what the message has behind the domain. */
static void emit(struct vd_server *s, enum vd_scope scope, const struct vd_seen *d, unsigned id, const struct buf *rest)
{
	const struct vd_header h = {
		.program = VD_PROG_REMOTE, .version = 1, .procedure = procedure[id], .type = VD_MESSAGE
	};

	for (struct vd_conn *c = s->conns; c; c = c->next) {
		for (struct vd_callback *cb = c->callbacks; cb && !c->dead; cb = cb->next) {
			_cleanup_buf_ struct buf b = { 0 };

			if (c->scope != scope || cb->event != id || (cb->one && memcmp(cb->uuid, d->uuid, XDR_UUID)))
				continue;
			if (vd_unsent(c) > VD_OUT_CALM) {
				vd_conn_drop(c, "it does not read its events");
				break;
			}
			xdr_put_u32(&b, (uint32_t)cb->id);
			vd_put_dom(&b, d->name, d->uuid, d->id);
			buf_put(&b, rest->data, rest->len);
			if (!b.failed && !rest->failed)
				vd_send(c, &h, b.data, b.len);
		}
	}
}

static void emit_life(struct vd_server *s, enum vd_scope scope, const struct vd_seen *d, int event, int detail)
{
	_cleanup_buf_ struct buf b = { 0 };

	xdr_put_u32(&b, (uint32_t)event);
	xdr_put_u32(&b, (uint32_t)detail);
	emit(s, scope, d, ID_LIFECYCLE, &b);
}

static void emit_number(struct vd_server *s, enum vd_scope scope, const struct vd_seen *d, unsigned id, uint32_t v)
{
	_cleanup_buf_ struct buf b = { 0 };

	xdr_put_u32(&b, v);
	emit(s, scope, d, id, &b);
}

/* A disk failed. Of its file and device the target's name is told, which is what commands take. */
static void emit_disk(struct vd_server *s, enum vd_scope scope, const struct vd_seen *d)
{
	_cleanup_buf_ struct buf b = { 0 };

	xdr_put_string(&b, d->disk);
	xdr_put_string(&b, d->disk);
	xdr_put_u32(&b, d->paused ? ACTION_PAUSE : ACTION_NONE);
	emit(s, scope, d, ID_IO_ERROR, &b);
	xdr_put_string(&b, "");
	emit(s, scope, d, ID_IO_ERROR_REASON, &b);
}

static bool has(const struct vd_seen *d, const char *dev)
{
	for (uint32_t i = 0; i < d->n_devs; i++)
		if (!strcmp(d->dev[i], dev))
			return true;
	return false;
}

static void emit_device(struct vd_server *s, enum vd_scope scope, const struct vd_seen *d, unsigned id, const char *dev)
{
	_cleanup_buf_ struct buf b = { 0 };

	xdr_put_string(&b, dev);
	emit(s, scope, d, id, &b);
}

static void compare_devices(struct vd_server *s, enum vd_scope scope, const struct vd_seen *old,
                            const struct vd_seen *now)
{
	if (!old->known_devs || !now->known_devs)
		return;
	for (uint32_t i = 0; i < old->n_devs; i++)
		if (!has(now, old->dev[i]))
			emit_device(s, scope, now, ID_REMOVED, old->dev[i]);
	for (uint32_t i = 0; i < now->n_devs; i++)
		if (!has(old, now->dev[i]))
			emit_device(s, scope, now, ID_ADDED, now->dev[i]);
}

/* libvirt's event is of the guest's own agent; what is known without asking it is the heartbeat of ours. */
static void compare_agent(struct vd_server *s, enum vd_scope scope, const struct vd_seen *old,
                          const struct vd_seen *now)
{
	_cleanup_buf_ struct buf b = { 0 };

	if (old->agent == now->agent)
		return;
	xdr_put_u32(&b, now->agent ? AGENT_THERE : AGENT_GONE);
	xdr_put_u32(&b, AGENT_WHY);
	emit(s, scope, now, ID_AGENT, &b);
}

/* What happened while it ran. */
static void compare_run(struct vd_server *s, enum vd_scope scope, const struct vd_seen *old, const struct vd_seen *now)
{
	_cleanup_buf_ struct buf b = { 0 };

	if (now->reboots > old->reboots)
		emit(s, scope, now, ID_REBOOT, &b);
	if (now->watchdogs > old->watchdogs)
		emit_number(s, scope, now, ID_WATCHDOG,
		            now->paused && now->paused_for == WHY_WATCHDOG ? ACTION_PAUSE : ACTION_NONE);
	if (*now->disk && !*old->disk)
		emit_disk(s, scope, now);
	if (now->memory_bytes && old->memory_bytes && now->memory_bytes != old->memory_bytes) {
		xdr_put_u64(&b, now->memory_bytes / 1024);
		emit(s, scope, now, ID_BALLOON, &b);
	}
}

/* In a cluster an id stays the same. What ran on a lost host stopped there, if it starts on another; else it moved. */
static void compare_hosts(struct vd_server *s, enum vd_scope scope, const struct vd_seen *old,
                          const struct vd_seen *now)
{
	bool elsewhere = *old->host && *now->host && strcmp(old->host, now->host);
	_cleanup_buf_ struct buf b = { 0 };

	if ((now->starting && !old->starting) || (old->lost && elsewhere)) {
		emit_life(s, scope, now, EV_STOPPED, STOPPED_FAILED);
		emit_life(s, scope, now, EV_STARTED, STARTED_BOOTED);
	} else if (!now->moving && !now->lost && !old->starting && (old->moving || elsewhere)) {
		vdh_put_moved(&b, elsewhere);
		emit(s, scope, now, ID_JOB, &b);
	}
}

static int suspended_by(const struct vd_seen *d)
{
	return d->paused_for == WHY_MIGRATION  ? SUSPENDED_MIGRATED
	       : d->paused_for == WHY_IOERROR  ? SUSPENDED_IOERROR
	       : d->paused_for == WHY_WATCHDOG ? SUSPENDED_WATCHDOG
	                                       : SUSPENDED_PAUSED;
}

/* What happened to a domain; @old or @now is NULL if it was or is not there. */
static void compare(struct vd_server *s, enum vd_scope scope, const struct vd_seen *old, const struct vd_seen *now)
{
	static const struct vd_seen none = { .id = -1 };
	const struct vd_seen *d = now ? now : old;

	old = old ? old : &none;
	now = now ? now : &none;
	if (now->defined && !old->defined)
		emit_life(s, scope, d, EV_DEFINED, 0);
	if (old->id != now->id && old->id != -1)
		emit_life(s, scope, d, EV_STOPPED,
		          old->moved     ? STOPPED_MIGRATED
		          : now->crashed ? STOPPED_CRASHED
		                         : STOPPED_SHUTDOWN);
	if (old->id != now->id && now->id != -1)
		emit_life(s, scope, d, EV_STARTED, now->arriving ? STARTED_MIGRATED : STARTED_BOOTED);
	if (old->id == now->id && now->id != -1) {
		compare_hosts(s, scope, old, now);
		compare_run(s, scope, old, now);
		compare_agent(s, scope, old, now);
		compare_devices(s, scope, old, now);
	}
	if (now->id != -1 && now->paused && !(old->id == now->id && old->paused))
		emit_life(s, scope, d, EV_SUSPENDED, suspended_by(now));
	if (now->id != -1 && old->id == now->id && old->paused && !now->paused)
		emit_life(s, scope, d, EV_RESUMED, 0);
	if (old->defined && !now->defined)
		emit_life(s, scope, d, EV_UNDEFINED, 0);
}

static struct vd_seen *seen_as(struct vd_snapshot *s, const char *name)
{
	for (size_t i = 0; s && i < s->n; i++)
		if (!strcmp(s->dom[i].name, name))
			return &s->dom[i];
	return NULL;
}

/* Told before what happened to the domains: a push is over before its domain has gone. */
static void tell_jobs(struct vd_server *s, enum vd_scope scope, struct vd_snapshot *was, struct vd_snapshot *now)
{
	for (size_t i = 0; i < now->n_jobs; i++) {
		const struct vd_job *j = &now->job[i];
		struct vd_seen *d = seen_as(was, j->name);

		d = d ? d : seen_as(now, j->name);
		if (!d)
			continue;
		for (unsigned n = 0; d->iteration < j->iteration && n < ITERATIONS; n++)
			emit_number(s, scope, d, ID_ITERATION, ++d->iteration);
		if (!j->over)
			continue;
		d->iteration = 0;
		d->moved = j->moved;
		emit(s, scope, d, ID_JOB, &j->params);
	}
}

void vd_events_devices(struct vd_snapshot *seen, const struct vd_snapshot *now)
{
	for (size_t i = 0, k = 0; seen && now && i < seen->n && k < now->n;) { /* both are sorted */
		struct vd_seen *a = &seen->dom[i];
		const struct vd_seen *b = &now->dom[k];
		int order = strcmp(a->name, b->name);

		if (!order && !a->known_devs && a->id == b->id && b->known_devs) {
			a->known_devs = true;
			a->n_devs = b->n_devs;
			memcpy(a->dev, b->dev, sizeof(a->dev));
		}
		i += order <= 0;
		k += order >= 0;
	}
}

void vd_events_seen(struct vd_server *s, enum vd_scope scope, struct vd_snapshot *now)
{
	struct vd_watch *w = &s->watch[scope];
	size_t i = 0, k = 0;

	w->scanning = false;
	if (w->again)
		loop_timer_in(w->scan, 0);
	w->again = false;
	if (!now)
		return;
	tell_jobs(s, scope, w->seen, now);
	/* both are sorted */
	while (w->seen && (i < w->seen->n || k < now->n)) {
		const struct vd_seen *a = i < w->seen->n ? &w->seen->dom[i] : NULL;
		struct vd_seen *b = k < now->n ? &now->dom[k] : NULL;
		int order = !a ? 1 : !b ? -1 : strcmp(a->name, b->name);

		if (!order && a->id == b->id && !b->silent) {
			b->iteration = scope == VD_CLUSTER && !b->moving ? 0 : a->iteration;
			b->moved = a->moved;
		}
		if (order >= 0 && b->silent) { /* it is as it was */
			if (!order)
				*b = *a;
		} else if (!order && a->silent) {
			/* known for the first time */
		} else if (!order && memcmp(a->uuid, b->uuid, XDR_UUID)) { /* another one by that name */
			compare(s, scope, a, NULL);
			compare(s, scope, NULL, b);
		} else {
			compare(s, scope, order <= 0 ? a : NULL, order >= 0 ? b : NULL);
		}
		i += order <= 0;
		k += order >= 0;
	}
	vd_snapshot_free(w->seen);
	w->seen = now;
	w->known = true;
}
