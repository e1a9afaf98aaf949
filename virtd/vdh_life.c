/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Procedures that change a domain: define, start, stop, save and what is between. */
#include "config.h"
#include "virtd/vdh_int.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include "clusterd/guard/managed.h"
#include "tools/vmhost_agent.h"

#define START_PAUSED   1u
#define START_VALIDATE 16u
#define SAVE_RUNNING   2u
#define REBOOT_DEFAULT 0u
#define BY_BUTTON      1u
#define BY_AGENT       2u

/* An error of the kinds that libvirt has words of its own for. */
static int refuse_cluster(struct vd_call *c, const char *name, const char *what)
{
	if (!managed_listed(name, NULL))
		return 0;
	return vd_fail(c, VD_E_INVALID, "'%s' is a domain of the cluster, which decides where it runs: vmclus %s %s",
	               name, what, name);
}

static int done(struct vd_call *c, int r, const struct err *err)
{
	return r < 0 ? vd_fail_err(c, r, err) : 0;
}

/* The end of a call that has changed @name, with result @r: who it is now. */
static int changed(struct vd_call *c, struct vd_claim *claim, const char *name, int r)
{
	struct vmhost_dom d;

	if (!r)
		r = vd_find_name(c, name, &d);
	vd_release(c, claim);
	if (r < 0)
		return r;
	vd_put_found(&c->out, &d);
	vmhost_dom_done(&d);
	return 0;
}

static int define_xml(struct vd_call *c, const char *xml)
{
	_cleanup_dom_config_ struct dom_config *cfg = NULL;
	struct vd_claim claim;
	struct err err = { 0 };
	int r = dom_config_parse(xml, strlen(xml), "(domain_definition)", &cfg, &err);

	if (r < 0)
		return vd_fail(c, VD_E_XML, "XML error: %s", err.text);
	if (refuse_cluster(c, cfg->name, "define") < 0 || vd_claim(c, &claim, cfg->name) < 0)
		return -1;
	r = done(c, vmhost_define(cfg, &err), &err);
	return changed(c, &claim, cfg->name, r);
}

int vdh_define(struct vd_call *c)
{
	/* VIR_DOMAIN_DEFINE_VALIDATE: it is always checked */
	if (c->args.n > 1 && (c->args.arg[1].u & ~1u))
		return vd_fail(c, VD_E_UNSUPPORTED, "unsupported flags (0x%x) for define", c->args.arg[1].u);
	return define_xml(c, c->args.arg[0].s);
}

int vdh_undefine(struct vd_call *c)
{
	struct vd_claim claim;
	struct err err = { 0 };
	struct vmhost_dom d;
	int r;

	/* flags say what else shall go: saves, snapshots, NVRAM; none of it is kept for a domain */
	if (vd_find(c, 0, &d) < 0)
		return -1;
	r = refuse_cluster(c, d.name, "undefine");
	if (!r && !d.defined)
		r = vd_fail(c, VD_E_INVALID, "Requested operation is not valid: cannot undefine transient domain");
	if (!r)
		r = vd_claim(c, &claim, d.name);
	if (!r) {
		r = done(c, vmhost_undefine(d.name, &err), &err);
		vd_release(c, &claim);
	}
	vmhost_dom_done(&d);
	return r;
}

/* What @flags ask of a domain that has just started. */
static int started(struct vd_call *c, const char *name, uint32_t flags)
{
	struct err err = { 0 };
	pid_t killed = 0;
	int r = flags & START_PAUSED ? vd_hvcall(c, name, HV_OP_PAUSE, NULL, 0, NULL, 0) : 0;

	if (r < 0) /* who asked for a domain that stands still must not get one that runs */
		(void)!vmhost_destroy(name, &c->srv->stop, &killed, &err);
	return r;
}

static int start(struct vd_call *c, struct vmhost_dom *d, uint32_t flags)
{
	const struct vmhost_while w = { .stop = &c->srv->stop };
	struct hvlaunch l = { .name = d->name, .local = true };
	struct vd_claim claim;
	struct err err = { 0 };
	int r;

	if (flags & ~START_PAUSED)
		return vd_fail(c, VD_E_UNSUPPORTED, "unsupported flags (0x%x) for start", flags);
	if (refuse_cluster(c, d->name, "start") < 0)
		return -1;
	if (vd_is_active(d))
		return vd_fail(c, VD_E_INVALID, "Requested operation is not valid: domain is already running");
	if (vd_claim(c, &claim, d->name) < 0)
		return -1;
	r = done(c, vmhost_start(&l, &w, &err), &err);
	if (!r)
		r = started(c, d->name, flags);
	vd_release(c, &claim);
	return r;
}

/* A domain without a definition; virt-install begins so, and defines it then. */
int vdh_create_xml(struct vd_call *c)
{
	const struct vmhost_while w = { .stop = &c->srv->stop };
	_cleanup_dom_config_ struct dom_config *cfg = NULL;
	const char *xml = c->args.arg[0].s;
	uint32_t flags = c->args.arg[1].u;
	struct hvlaunch l = { .local = true };
	struct vd_claim claim;
	struct err err = { 0 };
	int r;

	if (flags & ~(START_PAUSED | START_VALIDATE))
		return vd_fail(c, VD_E_UNSUPPORTED, "unsupported flags (0x%x) for start", flags);
	if (dom_config_parse(xml, strlen(xml), "(domain_definition)", &cfg, &err) < 0)
		return vd_fail(c, VD_E_XML, "XML error: %s", err.text);
	if (refuse_cluster(c, cfg->name, "start") < 0 || vd_claim(c, &claim, cfg->name) < 0)
		return -1;
	r = done(c, vmhost_start_once(cfg, &l, &w, &err), &err);
	if (!r)
		r = started(c, cfg->name, flags);
	return changed(c, &claim, cfg->name, r);
}

int vdh_create(struct vd_call *c)
{
	struct vmhost_dom d;
	int r;

	if (vd_find(c, 0, &d) < 0)
		return -1;
	r = start(c, &d, 0);
	vmhost_dom_done(&d);
	return r;
}

int vdh_create_flags(struct vd_call *c)
{
	struct vmhost_dom d, now;
	int r;

	if (vd_find(c, 0, &d) < 0)
		return -1;
	r = start(c, &d, c->args.arg[1].u);
	if (!r)
		r = vd_find_name(c, d.name, &now);
	vmhost_dom_done(&d);
	if (r < 0)
		return r;
	vd_put_found(&c->out, &now);
	vmhost_dom_done(&now);
	return 0;
}

/* An order to its hvdom, if it runs. */
static int order(struct vd_call *c, uint16_t op)
{
	struct vmhost_dom d;
	int r;

	if (vd_find(c, 0, &d) < 0)
		return -1;
	r = vd_hvcall(c, d.name, op, NULL, 0, NULL, 0);
	vmhost_dom_done(&d);
	return r;
}

/* Without a mode: its own agent, else our agent and the power button. */
static int shut_down(struct vd_call *c, const char *name, uint32_t mode)
{
	_cleanup_hvcall_ struct hvcall h = { .fd = -1 };
	struct err err = { 0 };
	int r = vmhost_connect(&h, name, &err);

	if (!r && mode == BY_AGENT)
		r = vmhost_agent_shutdown(name, &err);
	else if (!r && mode == BY_BUTTON)
		r = hvcall_simple(&h, HV_OP_SHUTDOWN, NULL, 0, NULL, 0, &err);
	else if (!r)
		r = vmhost_shutdown(&h, name, NULL, &err);
	return done(c, r, &err);
}

int vdh_shutdown(struct vd_call *c)
{
	uint32_t mode = c->args.n > 1 ? c->args.arg[1].u : 0;
	struct vmhost_dom d;
	int r;

	if (mode & ~(BY_BUTTON | BY_AGENT))
		return vd_fail(c, VD_E_UNSUPPORTED, "the guest is told by its agent or its power button only (0x%x)",
		               mode);
	if (vd_find(c, 0, &d) < 0)
		return -1;
	r = refuse_cluster(c, d.name, "stop");
	if (!r)
		r = shut_down(c, d.name, mode);
	vmhost_dom_done(&d);
	return r;
}

int vdh_reboot(struct vd_call *c)
{
	if (c->args.n > 1 && c->args.arg[1].u != REBOOT_DEFAULT)
		return vd_fail(c, VD_E_UNSUPPORTED, "the guest is told to reboot in one way only: leave --mode out");
	return order(c, HV_OP_REBOOT);
}

int vdh_suspend(struct vd_call *c)
{
	return order(c, HV_OP_PAUSE);
}

int vdh_resume(struct vd_call *c)
{
	struct vmhost_dom d;
	int r = order(c, HV_OP_UNPAUSE);

	if (r < 0 || vd_find(c, 0, &d) < 0)
		return r;
	(void)!vmhost_agent_set_time(d.name, NULL); /* as vmctl does */
	vmhost_dom_done(&d);
	return 0;
}

int vdh_destroy(struct vd_call *c)
{
	struct err err = { 0 };
	struct vmhost_dom d;
	pid_t killed = 0;
	int r;

	/* a flag says "not by force": only an hvdom that does not answer is killed, and then nothing else helps */
	if (vd_find(c, 0, &d) < 0)
		return -1;
	r = refuse_cluster(c, d.name, "stop");
	if (!r && !vd_is_active(&d))
		r = vd_fail(c, VD_E_INVALID, "Requested operation is not valid: domain is not running");
	/* no claim: it ends what another call starts or saves */
	if (!r)
		r = done(c, vmhost_destroy(d.name, &c->srv->stop, &killed, &err), &err);
	vmhost_dom_done(&d);
	return r;
}

static int save_to(struct vd_call *c, const char *path, uint32_t flags)
{
	const struct vmhost_while w = { .stop = &c->srv->stop };
	struct vd_claim claim;
	struct err err = { 0 };
	struct vmhost_dom d;
	uint64_t bytes;
	int r;

	if (flags & ~SAVE_RUNNING)
		return vd_fail(c, VD_E_UNSUPPORTED, "unsupported flags (0x%x) for save", flags);
	if (*path != '/')
		return vd_fail(c, VD_E_INVALID_ARG, "path \"%.200s\" has to be absolute", path);
	if (vd_find(c, 0, &d) < 0)
		return -1;
	r = refuse_cluster(c, d.name, "stop");
	if (!r && !vd_is_active(&d))
		r = vd_fail(c, VD_E_INVALID, "Requested operation is not valid: domain is not running");
	if (!r)
		r = vd_claim(c, &claim, d.name);
	if (!r) {
		r = done(c, vmhost_save(d.name, path, &w, &bytes, &err), &err);
		vd_release(c, &claim);
	}
	vmhost_dom_done(&d);
	return r;
}

int vdh_save(struct vd_call *c)
{
	return save_to(c, c->args.arg[1].s, 0);
}

int vdh_save_flags(struct vd_call *c)
{
	if (c->args.arg[2].s)
		return vd_fail(c, VD_E_UNSUPPORTED, "the XML of a saved domain cannot be changed");
	return save_to(c, c->args.arg[1].s, c->args.arg[3].u);
}

static int restore_from(struct vd_call *c, const char *path, uint32_t flags)
{
	const struct vmhost_while w = { .stop = &c->srv->stop };
	struct hvlaunch l = { .force = false };
	char name[HV_NAME_MAX];
	struct err err = { 0 };

	if (flags & ~SAVE_RUNNING)
		return vd_fail(c, VD_E_UNSUPPORTED, "unsupported flags (0x%x) for restore", flags);
	if (*path != '/')
		return vd_fail(c, VD_E_INVALID_ARG, "path \"%.200s\" has to be absolute", path);
	/* hvdom's lock on the name lets one restore win */
	int r = done(c, vmhost_restore(path, &l, &w, name, &err), &err);
	if (!r)
		(void)!vmhost_agent_set_time(name, NULL);
	return r;
}

int vdh_restore(struct vd_call *c)
{
	return restore_from(c, c->args.arg[0].s, 0);
}

int vdh_restore_flags(struct vd_call *c)
{
	if (c->args.arg[1].s)
		return vd_fail(c, VD_E_UNSUPPORTED, "the XML of a saved domain cannot be changed");
	return restore_from(c, c->args.arg[0].s, c->args.arg[2].u);
}
