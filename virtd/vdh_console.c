/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Consoles, which become streams (vdstream.c), and who wants which events (vdevent.c). */
#include "config.h"
#include "virtd/vdh_int.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

#define CONSOLE_FORCE 1u
#define CONSOLE_SAFE  2u
#define KIND_CONSOLE  3u
/* events that may be registered; vdevent.c has those that are ever told */
#define EVENTS_MAX    28u

/*
 * "": the first console of the XML, else the boot console. "console0", "serial0"...: that of the XML; "hvc0" and
 * "con0": by name.
 */
static int index_of(struct vd_call *c, const char *name, const char *dev, uint32_t *ret)
{
	struct hv_stats st = { 0 };
	unsigned n;
	char end;

	*ret = 0;
	if (dev && (sscanf(dev, "console%u%c", &n, &end) == 1 || sscanf(dev, "serial%u%c", &n, &end) == 1 ||
	            sscanf(dev, "hvc%u%c", &n, &end) == 1)) {
		if (n >= DOM_CONSOLES_MAX)
			return vd_fail(c, VD_E_INVALID_ARG, "cannot find console device '%.40s'", dev);
		*ret = n + 1;
		return 0;
	}
	if (dev && !strcmp(dev, "con0"))
		return 0;
	if (dev)
		return vd_fail(c, VD_E_INVALID_ARG, "cannot find console device '%.40s'", dev);
	if (vd_hvcall(c, name, HV_OP_STATS, NULL, 0, &st, sizeof(st)) < 0)
		return -1;
	for (uint32_t i = 0; i < st.n_devs && i < HV_DEVS_MAX; i++)
		if (st.dev[i].kind == KIND_CONSOLE)
			*ret = 1;
	return 0;
}

static int open_console(struct vd_call *c, const char *name, const char *dev, uint32_t flags)
{
	_cleanup_hvcall_ struct hvcall h = { .fd = -1 };
	struct hv_console_req req = { .flags = flags & CONSOLE_FORCE };
	struct err err = { 0 };
	size_t n = 1;
	int fd = -1, r;

	if (flags & ~(CONSOLE_FORCE | CONSOLE_SAFE))
		return vd_fail(c, VD_E_UNSUPPORTED, "unsupported flags (0x%x) for console", flags);
	if (index_of(c, name, dev, &req.index) < 0)
		return -1;
	r = hvcall_open(&h, name, &err);
	if (!r)
		r = hvcall(&h, HV_OP_CONSOLE, &req, sizeof(req), NULL, 0, NULL, 0, NULL, &fd, &n, &err);
	if (r == -EBUSY)
		return vd_fail(c, VD_E_FAILED, "operation failed: Active console session exists for this domain");
	if (r < 0)
		return vd_fail_err(c, r == -EINVAL ? -EEXIST : r, &err);
	if (!n)
		return vd_fail(c, VD_E_INTERNAL, "hvdom sent no socket");
	c->fd = fd;
	return 0;
}

int vdh_console(struct vd_call *c)
{
	struct vmhost_dom d;
	int r;

	if (vd_find(c, 0, &d) < 0)
		return -1;
	if (!vd_is_active(&d))
		r = vd_fail(c, VD_E_INVALID, "Requested operation is not valid: domain is not running");
	else
		r = open_console(c, d.name, c->args.arg[1].s, c->args.arg[2].u);
	vmhost_dom_done(&d);
	return r;
}

/* What is there is looked at before the answer, so that all that happens after it is told. */
int vdh_register(struct vd_call *c)
{
	if (c->args.arg[0].u >= EVENTS_MAX)
		return vd_fail(c, VD_E_INVALID_ARG, "unsupported event ID %u", c->args.arg[0].u);
	bool devices = vd_event_is_of_devices(c->args.arg[0].u), look = devices && !c->srv->watch[c->scope].devices;

	if (devices)
		c->srv->watch[c->scope].devices = true;
	if (look || !c->srv->watch[c->scope].known)
		c->snapshot = vd_snapshot_take(c);
	return 0;
}

void vdh_registered(struct vd_conn *conn, struct vd_call *c)
{
	struct vd_snapshot **seen = &c->srv->watch[c->scope].seen;
	const struct vd_arg *dom = &c->args.arg[1];
	struct vd_callback *cb = conn->n_callbacks < VD_CALLBACKS_MAX ? calloc(1, sizeof(*cb)) : NULL;

	if (!cb) {
		(void)vd_fail(c, VD_E_FAILED, "too many event call-backs");
		return;
	}
	cb->id = conn->next_callback++;
	cb->event = c->args.arg[0].u;
	cb->one = dom->n;
	if (cb->one)
		memcpy(cb->uuid, dom->dom->uuid, XDR_UUID);
	if (!*seen) { /* else what was seen last is older, and what happened since is told to all */
		*seen = c->snapshot;
		c->srv->watch[c->scope].known = *seen;
		c->snapshot = NULL;
	} else if (vd_event_is_of_devices(cb->event)) {
		vd_events_devices(*seen, c->snapshot);
	}
	cb->next = conn->callbacks;
	conn->callbacks = cb;
	conn->n_callbacks++;
	vd_events_look(c->srv, c->scope);
	xdr_put_u32(&c->out, (uint32_t)cb->id);
}

int vdh_deregister(struct vd_call *c)
{
	for (struct vd_callback **at = &c->conn->callbacks, *cb; (cb = *at); at = &cb->next) {
		if (cb->id != (int32_t)c->args.arg[0].u)
			continue;
		*at = cb->next;
		c->conn->n_callbacks--;
		free(cb);
		return 0;
	}
	return vd_fail(c, VD_E_INVALID_ARG, "domain event callback %d not registered", (int)c->args.arg[0].u);
}
