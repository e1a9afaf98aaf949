/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Lifecycle events. While a client wants them, all domains are looked at three times a second, and what is different
 * is told: no hvdom has to know of us, and nothing is missed that lasts. Snapshots are taken on a thread of the pool,
 * compared on the loop's.
 */
#include "config.h"
#include "virtd/virtd_int.h"

#include <stdio.h>
#include <string.h>
#include "virtd/vdevent.h"

#define PROC_LIFECYCLE 318u

/* libvirt's numbers */
enum { EV_DEFINED, EV_UNDEFINED, EV_STARTED, EV_SUSPENDED, EV_RESUMED, EV_STOPPED };

static struct vd_snapshot *snapshot_here(void)
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
	return c->scope == VD_CLUSTER ? vd_cluster_snapshot(c) : snapshot_here();
}

void vd_snapshot_free(struct vd_snapshot *s)
{
	if (!s)
		return;
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

static void emit(struct vd_server *s, enum vd_scope scope, const struct vd_seen *d, int event, int detail)
{
	const struct vd_header h = {
		.program = VD_PROG_REMOTE, .version = 1, .procedure = PROC_LIFECYCLE, .type = VD_MESSAGE
	};

	for (struct vd_conn *c = s->conns; c; c = c->next) {
		for (struct vd_callback *cb = c->callbacks; cb && !c->dead; cb = cb->next) {
			_cleanup_buf_ struct buf b = { 0 };

			if (c->scope != scope || cb->event != 0 || (cb->one && memcmp(cb->uuid, d->uuid, XDR_UUID)))
				continue;
			if (vd_unsent(c) > VD_OUT_CALM) {
				vd_conn_drop(c, "it does not read its events");
				break;
			}
			xdr_put_u32(&b, (uint32_t)cb->id);
			vd_put_dom(&b, d->name, d->uuid, d->id);
			xdr_put_u32(&b, (uint32_t)event);
			xdr_put_u32(&b, (uint32_t)detail);
			vd_send(c, &h, b.data, b.len);
		}
	}
}

/* What happened to a domain; @old or @now is NULL if it was or is not there. */
static void compare(struct vd_server *s, enum vd_scope scope, const struct vd_seen *old, const struct vd_seen *now)
{
	static const struct vd_seen none = { .id = -1 };
	const struct vd_seen *d = now ? now : old;

	old = old ? old : &none;
	now = now ? now : &none;
	if (now->defined && !old->defined)
		emit(s, scope, d, EV_DEFINED, 0);
	if (old->id != now->id && old->id != -1)
		emit(s, scope, d, EV_STOPPED, now->crashed ? 2 : 0);
	if (old->id != now->id && now->id != -1)
		emit(s, scope, d, EV_STARTED, 0);
	if (now->id != -1 && now->paused && !(old->id == now->id && old->paused))
		emit(s, scope, d, EV_SUSPENDED, 0);
	if (now->id != -1 && old->id == now->id && old->paused && !now->paused)
		emit(s, scope, d, EV_RESUMED, 0);
	if (old->defined && !now->defined)
		emit(s, scope, d, EV_UNDEFINED, 0);
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
	/* both are sorted */
	while (w->seen && (i < w->seen->n || k < now->n)) {
		const struct vd_seen *a = i < w->seen->n ? &w->seen->dom[i] : NULL;
		struct vd_seen *b = k < now->n ? &now->dom[k] : NULL;
		int order = !a ? 1 : !b ? -1 : strcmp(a->name, b->name);

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
}
