/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Procedures that ask the guest's own agent: addresses, file systems. */
#include "config.h"
#include "virtd/vdh_int.h"

#include "tools/vmhost_agent.h"

#define FROM_AGENT 1u

/* The running domain of argument 0. */
static int running(struct vd_call *c, struct vmhost_dom *d)
{
	if (vd_find(c, 0, d) < 0)
		return -1;
	if (vd_is_active(d))
		return 0;
	vmhost_dom_done(d);
	return vd_fail(c, VD_E_INVALID, "Requested operation is not valid: domain is not running");
}

int vdh_addresses(struct vd_call *c)
{
	_cleanup_free_ struct vmhost_interface *f = NULL;
	struct err err = { 0 };
	struct vmhost_dom d;
	size_t n = 0;

	if (c->args.arg[1].u != FROM_AGENT || c->args.arg[2].u)
		return vd_fail(c, VD_E_UNSUPPORTED, "addresses are known from the guest's agent only: --source agent");
	if (running(c, &d) < 0)
		return -1;
	int r = vmhost_addresses(d.name, &f, &n, &err);
	vmhost_dom_done(&d);
	if (r < 0)
		return vd_fail_err(c, r, &err);
	xdr_put_u32(&c->out, (uint32_t)n);
	for (size_t i = 0; i < n; i++) {
		xdr_put_string(&c->out, f[i].name);
		xdr_put_opt_string(&c->out, *f[i].mac ? f[i].mac : NULL);
		xdr_put_u32(&c->out, (uint32_t)f[i].n);
		for (size_t k = 0; k < f[i].n; k++) {
			xdr_put_u32(&c->out, f[i].address[k].six ? 1 : 0);
			xdr_put_string(&c->out, f[i].address[k].ip);
			xdr_put_u32(&c->out, f[i].address[k].prefix);
		}
	}
	return 0;
}

/* All of them, or none. */
static int file_systems(struct vd_call *c, bool freeze)
{
	struct err err = { 0 };
	struct vmhost_dom d;
	unsigned n = 0;

	if (c->args.arg[1].n || c->args.arg[2].u)
		return vd_fail(c, VD_E_UNSUPPORTED, "all file systems of a guest are frozen and thawed: name none");
	if (running(c, &d) < 0)
		return -1;
	int r = freeze ? vmhost_freeze(d.name, VMHOST_FREEZE_S, &n, &err) : vmhost_thaw(d.name, &n, &err);
	vmhost_dom_done(&d);
	if (r < 0)
		return vd_fail_err(c, r, &err);
	xdr_put_u32(&c->out, n);
	return 0;
}

int vdh_freeze(struct vd_call *c)
{
	return file_systems(c, true);
}

int vdh_thaw(struct vd_call *c)
{
	return file_systems(c, false);
}
