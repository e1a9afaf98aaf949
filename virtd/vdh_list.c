/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Procedures that find domains: lists, and by name, uuid, id. */
#include "config.h"
#include "virtd/vdh_int.h"

#include <string.h>

/* Flags of virConnectListAllDomains. A group of which none is set does not filter. */
#define L_ACTIVE     1u
#define L_INACTIVE   2u
#define L_PERSISTENT 4u
#define L_TRANSIENT  8u
#define L_RUNNING    16u
#define L_PAUSED     32u
#define L_SHUTOFF    64u
#define L_OTHER      128u
#define L_HAS        (256u | 1024u | 4096u | 16384u) /* a managed save, autostart, snapshots, checkpoints: none has */
#define L_HAS_NOT    (512u | 2048u | 8192u | 32768u)

bool vdh_wanted_as(bool active, bool persistent, int32_t state, uint32_t flags)
{
	uint32_t of = (active ? L_ACTIVE : L_INACTIVE) | (persistent ? L_PERSISTENT : L_TRANSIENT);

	of |= state == 1 ? L_RUNNING : state == 3 ? L_PAUSED : state == 5 ? L_SHUTOFF : L_OTHER;
	if ((flags & (L_ACTIVE | L_INACTIVE)) && !(flags & of & (L_ACTIVE | L_INACTIVE)))
		return false;
	if ((flags & (L_PERSISTENT | L_TRANSIENT)) && !(flags & of & (L_PERSISTENT | L_TRANSIENT)))
		return false;
	if ((flags & (L_RUNNING | L_PAUSED | L_SHUTOFF | L_OTHER)) &&
	    !(flags & of & (L_RUNNING | L_PAUSED | L_SHUTOFF | L_OTHER)))
		return false;
	/* each pair HAS, HAS_NOT: HAS alone fits nothing */
	return !((flags & L_HAS) & ~((flags & L_HAS_NOT) >> 1));
}

bool vdh_wanted(const struct vmhost_dom *d, uint32_t flags)
{
	int32_t state, reason;

	vd_state(d, &state, &reason);
	return vdh_wanted_as(vd_is_active(d), d->defined, state, flags);
}

/* Call @fn for each domain that fits @flags, while it returns true. */
static int each(struct vd_call *c, uint32_t flags, bool (*fn)(void *arg, const struct vmhost_dom *d), void *arg)
{
	bool only_active = (flags & (L_ACTIVE | L_INACTIVE)) == L_ACTIVE, go_on = true;
	struct vmhost_names names = { 0 };
	struct err err = { 0 };
	int r = vmhost_names(!only_active, &names, &err);

	if (r < 0)
		return vd_fail_err(c, r, &err);
	for (size_t i = 0; i < names.n && go_on; i++) {
		struct vmhost_dom d;

		vmhost_look(&d, names.name[i]);
		if (vd_is_there(&d) && vdh_wanted(&d, flags))
			go_on = fn(arg, &d);
		vmhost_dom_done(&d);
	}
	vmhost_names_done(&names);
	return 0;
}

struct listing {
	struct buf out;
	uint32_t n;
	uint32_t max;
	int32_t id; /* looked for */
	const uint8_t *uuid;
	char found[HV_NAME_MAX]; /* empty: not yet */
};

static bool add_dom(void *arg, const struct vmhost_dom *d)
{
	struct listing *l = arg;

	vd_put_found(&l->out, d);
	return ++l->n < l->max;
}

static bool add_id(void *arg, const struct vmhost_dom *d)
{
	struct listing *l = arg;

	xdr_put_u32(&l->out, (uint32_t)vd_id(d));
	return ++l->n < l->max;
}

static bool add_name(void *arg, const struct vmhost_dom *d)
{
	struct listing *l = arg;

	xdr_put_string(&l->out, d->name);
	return ++l->n < l->max;
}

static bool add_one(void *arg, const struct vmhost_dom *d)
{
	struct listing *l = arg;

	(void)d;
	return ++l->n < l->max;
}

static int put_listing(struct vd_call *c, struct listing *l)
{
	xdr_put_u32(&c->out, l->n);
	buf_put(&c->out, l->out.data, l->out.len);
	c->out.failed |= l->out.failed;
	buf_done(&l->out);
	return 0;
}

int vdh_list_all(struct vd_call *c)
{
	struct listing l = { .max = VD_DOMAINS_MAX };
	uint32_t flags = c->args.arg[1].u;

	if (each(c, flags, c->args.arg[0].u ? add_dom : add_one, &l) < 0)
		return -1;
	if (c->args.arg[0].u) {
		uint32_t n = l.n;

		(void)put_listing(c, &l);
		xdr_put_u32(&c->out, n);
	} else {
		xdr_put_u32(&c->out, 0);
		xdr_put_u32(&c->out, l.n);
	}
	return 0;
}

static uint32_t at_most(uint32_t asked)
{
	return asked < VD_DOMAINS_MAX ? asked : VD_DOMAINS_MAX;
}

int vdh_list_ids(struct vd_call *c)
{
	struct listing l = { .max = at_most(c->args.arg[0].u) };

	if (l.max && each(c, L_ACTIVE, add_id, &l) < 0)
		return -1;
	return put_listing(c, &l);
}

int vdh_list_defined(struct vd_call *c)
{
	struct listing l = { .max = at_most(c->args.arg[0].u) };

	if (l.max && each(c, L_INACTIVE, add_name, &l) < 0)
		return -1;
	return put_listing(c, &l);
}

static int count(struct vd_call *c, uint32_t flags)
{
	struct listing l = { .max = VD_DOMAINS_MAX };

	if (each(c, flags, add_one, &l) < 0)
		return -1;
	xdr_put_u32(&c->out, l.n);
	return 0;
}

int vdh_num_active(struct vd_call *c)
{
	return count(c, L_ACTIVE);
}

int vdh_num_defined(struct vd_call *c)
{
	return count(c, L_INACTIVE);
}

static bool find_id(void *arg, const struct vmhost_dom *d)
{
	struct listing *l = arg;

	if (vd_id(d) != l->id)
		return true;
	vd_put_found(&l->out, d);
	return false;
}

int vdh_by_id(struct vd_call *c)
{
	struct listing l = { .id = (int32_t)c->args.arg[0].u };

	if (l.id >= 0 && each(c, L_ACTIVE, find_id, &l) < 0)
		return -1;
	if (!l.out.len)
		return vd_fail(c, VD_E_NO_DOMAIN, "Domain not found: no domain with matching id %d", l.id);
	buf_put(&c->out, l.out.data, l.out.len);
	buf_done(&l.out);
	return 0;
}

static int reply_found(struct vd_call *c, struct vmhost_dom *d)
{
	vd_put_found(&c->out, d);
	vmhost_dom_done(d);
	return 0;
}

int vdh_by_name(struct vd_call *c)
{
	struct vmhost_dom d;

	return vd_find_name(c, c->args.arg[0].s, &d) < 0 ? -1 : reply_found(c, &d);
}

int vdh_by_uuid(struct vd_call *c)
{
	struct vmhost_dom d;

	return vd_find_uuid(c, c->args.arg[0].uuid, &d) < 0 ? -1 : reply_found(c, &d);
}

static bool find_uuid(void *arg, const struct vmhost_dom *d)
{
	struct listing *l = arg;
	uint8_t uuid[XDR_UUID];

	vd_uuid(d, uuid);
	if (memcmp(uuid, l->uuid, XDR_UUID))
		return true;
	memcpy(l->found, d->name, sizeof(l->found));
	return false;
}

int vd_find_uuid(struct vd_call *c, const uint8_t uuid[XDR_UUID], struct vmhost_dom *ret)
{
	struct listing l = { .uuid = uuid };
	char text[37];

	if (each(c, 0, find_uuid, &l) < 0)
		return -1;
	vd_uuid_text(uuid, text);
	if (!*l.found)
		return vd_fail(c, VD_E_NO_DOMAIN, "Domain not found: no domain with matching uuid '%s'", text);
	return vd_find_name(c, l.found, ret);
}
