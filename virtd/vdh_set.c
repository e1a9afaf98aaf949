/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Procedures that change what a domain has: memory, vCPUs, disks and interfaces, description and metadata. */
#include "config.h"
#include "virtd/vdh_int.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include "clusterd/guard/managed.h"

/* What is changed; none: the domain that runs, else its definition. */
#define SET_LIVE     1u
#define SET_CONFIG   2u
#define SET_MAXIMUM  4u
#define RESIZE_BYTES 1u
/* kinds of metadata */
enum { META_DESCRIPTION, META_TITLE, META_ELEMENT };
#define TITLE_MAX 4096u

static int not_running(struct vd_call *c)
{
	return vd_fail(c, VD_E_INVALID, "Requested operation is not valid: domain is not running");
}

/* Which of both @flags mean for @d. */
static int which(struct vd_call *c, const struct vmhost_dom *d, uint32_t flags, bool *live, bool *config)
{
	if (flags & ~(SET_LIVE | SET_CONFIG))
		return vd_fail(c, VD_E_UNSUPPORTED, "unsupported flags (0x%x)", flags & ~(SET_LIVE | SET_CONFIG));
	*live = flags ? flags & SET_LIVE : vd_is_active(d);
	*config = flags ? flags & SET_CONFIG : !*live;
	if (*live && !vd_is_active(d))
		return not_running(c);
	if (*config && !d->defined)
		return vd_fail(c, VD_E_INVALID,
		               "Requested operation is not valid: transient domains do not have any persistent config");
	if (*config && managed_listed(d->name, NULL))
		return vd_fail(c, VD_E_INVALID,
		               "'%s' is a domain of the cluster, whose definition all hosts have: vmclus define",
		               d->name);
	return 0;
}

/* Have @change make another definition of @d's. */
static int redefine(struct vd_call *c, struct vmhost_dom *d, int (*change)(struct vd_call *c, struct dom_config *cfg))
{
	struct err err = { 0 };
	int r;

	if (!d->cfg)
		return vd_fail(c, VD_E_XML, "%s", d->broken.text);
	r = change(c, d->cfg);
	if (r < 0)
		return r;
	r = vmhost_define(d->cfg, &err);
	return r < 0 ? vd_fail_err(c, r, &err) : 0;
}

/* What a call sets: live by @run (NULL: that cannot be), and in the definition by @change. */
static int set(struct vd_call *c, uint32_t flags, int (*run)(struct vd_call *c, const struct vmhost_dom *d),
               int (*change)(struct vd_call *c, struct dom_config *cfg))
{
	bool live = false, config = false;
	struct vd_claim claim;
	struct vmhost_dom d;
	int r;

	if (vd_find(c, 0, &d) < 0)
		return -1;
	r = which(c, &d, flags, &live, &config);
	if (!r)
		r = vd_claim(c, &claim, d.name);
	if (!r) {
		r = live ? run(c, &d) : 0;
		if (!r && config)
			r = redefine(c, &d, change);
		vd_release(c, &claim);
	}
	vmhost_dom_done(&d);
	return r;
}

/* Memory ------------------------------------------------------------------------------------------------------------------ */

/* Argument 1 in octets; 0: more than there can be. */
static uint64_t kib(const struct vd_call *c)
{
	uint64_t v = c->args.arg[1].l;

	return v <= UINT64_MAX / 2048 ? v * 1024 : 0;
}

static int memory_live(struct vd_call *c, const struct vmhost_dom *d)
{
	struct hv_balloon_req q = { .target_bytes = kib(c) };

	if (!q.target_bytes || q.target_bytes > vmhost_ram(d))
		return vd_fail(c, VD_E_INVALID_ARG, "invalid argument: cannot set memory higher than max memory");
	return vd_hvcall(c, d->name, HV_OP_BALLOON, &q, sizeof(q), NULL, 0);
}

static int memory_config(struct vd_call *c, struct dom_config *cfg)
{
	uint64_t v = kib(c);

	if (!v || v > cfg->memory_bytes)
		return vd_fail(c, VD_E_INVALID_ARG, "invalid argument: cannot set memory higher than max memory");
	cfg->current_memory_bytes = v - v % 4096;
	return 0;
}

static int max_memory_live(struct vd_call *c, const struct vmhost_dom *d)
{
	(void)d;
	return vd_fail(c, VD_E_INVALID,
	               "Requested operation is not valid: cannot resize the maximum memory on an active domain");
}

static int max_memory_config(struct vd_call *c, struct dom_config *cfg)
{
	uint64_t v = kib(c);

	if (!v)
		return vd_fail(c, VD_E_INVALID_ARG, "invalid argument: that much memory there is nowhere");
	cfg->memory_bytes = v - v % 4096;
	if (cfg->current_memory_bytes > cfg->memory_bytes)
		cfg->current_memory_bytes = cfg->memory_bytes;
	return 0;
}

int vdh_set_memory(struct vd_call *c)
{
	return set(c, SET_LIVE, memory_live, memory_config);
}

int vdh_set_max_memory(struct vd_call *c)
{
	return set(c, 0, max_memory_live, max_memory_config);
}

int vdh_set_memory_flags(struct vd_call *c)
{
	uint32_t flags = c->args.arg[2].u;

	return flags & SET_MAXIMUM ? set(c, flags & ~SET_MAXIMUM, max_memory_live, max_memory_config)
	                           : set(c, flags, memory_live, memory_config);
}

/* vCPUs ------------------------------------------------------------------------------------------------------------------- */

static int vcpus_live(struct vd_call *c, const struct vmhost_dom *d)
{
	if (c->args.arg[1].u == vmhost_vcpus(d))
		return 0;
	return vd_fail(c, VD_E_UNSUPPORTED,
	               "a running guest keeps its %u vCPUs: --config changes the definition, for its next start",
	               vmhost_vcpus(d));
}

/* As many as there are at most: none comes later. */
static int vcpus_config(struct vd_call *c, struct dom_config *cfg)
{
	if (cfg->hvm.cpu.sockets)
		return vd_fail(c, VD_E_UNSUPPORTED,
		               "the definition says how its %u vCPUs are placed (<topology>): virsh edit changes both",
		               cfg->vcpus);
	cfg->vcpus = c->args.arg[1].u;
	return cfg->vcpus ? 0 : vd_fail(c, VD_E_INVALID_ARG, "invalid argument: a domain has a vCPU at least");
}

int vdh_set_vcpus(struct vd_call *c)
{
	return set(c, SET_LIVE, vcpus_live, vcpus_config);
}

int vdh_set_vcpus_flags(struct vd_call *c)
{
	return set(c, c->args.arg[2].u & ~SET_MAXIMUM, vcpus_live, vcpus_config);
}

/* Disks and interfaces ---------------------------------------------------------------------------------------------------- */

static struct vmhost_device device_of(const struct vd_call *c)
{
	const char *xml = c->args.arg[1].s;

	return (struct vmhost_device){ .xml = xml, .origin = "(device)", .len = strlen(xml) };
}

/* What the definition refuses is not given to the guest either, as vmctl has it. */
static int attach(struct vd_call *c, const char *name, bool live, bool config, struct err *err)
{
	struct vmhost_device dev = device_of(c);
	struct hv_attach_rep rep = { 0 };
	int r = config && live ? vmhost_attach_config(name, &dev, 0, false, err) : 0;

	if (!r && live)
		r = vmhost_attach(name, &dev, &rep, err);
	if (!r && config)
		r = vmhost_attach_config(name, &dev, rep.place, true, err);
	return r;
}

static int detach(struct vd_call *c, const char *name, bool live, bool config, struct err *err)
{
	struct vmhost_device dev = device_of(c);
	char key[24];
	int r = dom_device_key(dev.xml, dev.len, dev.origin, key, err);

	if (!r && config && live)
		r = vmhost_detach_config(name, key, false, err);
	if (!r && live)
		r = vmhost_detach(name, key, err);
	if (!r && config)
		r = vmhost_detach_config(name, key, true, err);
	return r;
}

static int plug(struct vd_call *c, uint32_t flags,
                int (*fn)(struct vd_call *c, const char *name, bool live, bool config, struct err *err))
{
	bool live = false, config = false;
	struct vd_claim claim;
	struct err err = { 0 };
	struct vmhost_dom d;
	int r;

	if (vd_find(c, 0, &d) < 0)
		return -1;
	r = which(c, &d, flags, &live, &config);
	if (!r)
		r = vd_claim(c, &claim, d.name);
	if (!r) {
		int failed = fn(c, d.name, live, config, &err);

		vd_release(c, &claim);
		if (failed < 0)
			r = failed == -ENOENT ? vd_fail(c, VD_E_FAILED, "operation failed: %s", err.text)
			                      : vd_fail_err(c, failed, &err);
	}
	vmhost_dom_done(&d);
	return r;
}

int vdh_attach(struct vd_call *c)
{
	return plug(c, c->args.n > 2 ? c->args.arg[2].u : SET_LIVE, attach);
}

int vdh_detach(struct vd_call *c)
{
	return plug(c, c->args.n > 2 ? c->args.arg[2].u : SET_LIVE, detach);
}

/* Arguments: domain, disk, size in KiB or octets, flags. Its image becomes larger. */
int vdh_block_resize(struct vd_call *c)
{
	uint64_t size = c->args.arg[2].l, unit = c->args.arg[3].u & RESIZE_BYTES ? 1 : 1024;
	struct hv_blockresize_req q = { .bytes = size <= UINT64_MAX / 2048 ? size * unit : 0 };
	const char *disk = c->args.arg[1].s;
	struct vmhost_dom d;
	int r;

	if ((c->args.arg[3].u & ~RESIZE_BYTES) || !q.bytes || strlen(disk) >= sizeof(q.disk))
		return vd_fail(c, VD_E_INVALID_ARG, "invalid argument: a disk's target (vda), and its size");
	snprintf(q.disk, sizeof(q.disk), "%s", disk);
	if (vd_find(c, 0, &d) < 0)
		return -1;
	r = vd_hvcall(c, d.name, HV_OP_BLOCKRESIZE, &q, sizeof(q), NULL, 0);
	vmhost_dom_done(&d);
	return r;
}

/* Description and metadata ------------------------------------------------------------------------------------------------ */

/* Arguments: domain, kind, URI, flags. */
int vdh_metadata(struct vd_call *c)
{
	uint32_t kind = c->args.arg[1].u, flags = c->args.arg[3].u;
	const char *uri = c->args.arg[2].s, *text = NULL;
	_cleanup_dom_config_ struct dom_config *cfg = NULL;
	_cleanup_free_ char *xml = NULL, *element = NULL;
	bool live = false, config = false;
	struct err err = { 0 };
	struct vmhost_dom d;
	int r;

	if (kind > META_ELEMENT || (kind == META_ELEMENT && !uri))
		return vd_fail(c, VD_E_INVALID_ARG, "invalid argument: unknown kind of metadata, or without URI");
	if (vd_find(c, 0, &d) < 0)
		return -1;
	r = which(c, &d, flags, &live, &config);
	if (!r) {
		r = vmhost_xml(d.name, !live, &xml, &err);
		if (!r)
			r = dom_config_parse(xml, strlen(xml), d.name, &cfg, &err);
		if (!r && kind == META_ELEMENT)
			r = dom_config_metadata(cfg, uri, &element, &err);
		r = r < 0 ? vd_fail_err(c, r, &err) : 0;
	}
	vmhost_dom_done(&d);
	if (r < 0)
		return r;
	text = kind == META_DESCRIPTION ? cfg->description : kind == META_TITLE ? cfg->title : element;
	if (!text)
		return vd_fail(c, VD_E_NO_METADATA, "metadata not found: Requested metadata element is not present");
	xdr_put_string(&c->out, text);
	return 0;
}

static int metadata_live(struct vd_call *c, const struct vmhost_dom *d)
{
	(void)d;
	return vd_fail(c, VD_E_UNSUPPORTED,
	               "a running domain keeps its document: --config changes the definition, for its next start");
}

static int metadata_config(struct vd_call *c, struct dom_config *cfg)
{
	const char *text = c->args.arg[2].s, *key = c->args.arg[3].s, *uri = c->args.arg[4].s;
	char **to = c->args.arg[1].u == META_TITLE ? &cfg->title : &cfg->description;
	struct err err = { 0 };
	char *copy;
	int r;

	if (c->args.arg[1].u == META_ELEMENT) {
		r = dom_config_set_metadata(cfg, uri, key, text, &err);
		return r < 0 ? vd_fail(c, VD_E_XML, "XML error: %s", err.text) : 0;
	}
	copy = text && *text ? strdup(text) : NULL;
	if (text && *text && !copy)
		return vd_fail(c, VD_E_MEMORY, "out of memory");
	free(*to);
	*to = copy;
	return 0;
}

/* Arguments: domain, kind, text or element, its prefix, its URI, flags. Without text it is taken away. */
int vdh_set_metadata(struct vd_call *c)
{
	const char *text = c->args.arg[2].s, *key = c->args.arg[3].s, *uri = c->args.arg[4].s;
	uint32_t kind = c->args.arg[1].u;

	if (kind > META_ELEMENT || (kind == META_ELEMENT && (!uri || (text && !key))))
		return vd_fail(c, VD_E_INVALID_ARG,
		               "invalid argument: unknown kind of metadata, or without prefix and URI");
	if (kind == META_TITLE && text && (strchr(text, '\n') || strlen(text) > TITLE_MAX))
		return vd_fail(c, VD_E_INVALID_ARG, "invalid argument: a title is one line");
	return set(c, c->args.arg[5].u, metadata_live, metadata_config);
}
