/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * hospes:///cluster: the domains of the cluster, wherever they run. All of it is what clusterd of this host says, and
 * orders to it (docs/wire/clusterctl.md): any node takes any order, and none of it depends on where the domain is.
 */
#include "config.h"
#include "virtd/vdh_int.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include "common/util.h"
#include "virtd/vdevent.h"

#define ANSWER_S       10u /* a clusterd without a quorum says so by then */
#define ABORT_S        40u /* clusterd waits 30 s for the end of a move */
#define SHUTOFF_FAILED 6
#define G_STATE        1u /* groups of statistics */
#define G_BALLOON      4u
#define F_STATS        (7u << 29)
#define XML_SECURE     1u

static const struct jsonconn_peer peer = {
	.daemon = "clusterd",
	.start = "systemctl start clusterd, or ask another host",
	.expected = "JSON",
	.lost = "`vmclus status` tells how things stand, on any host",
	.line_bytes_max = 64u << 20,
	.answer_s = ANSWER_S,
};

/* A domain as clusterd tells of it. */
struct cdom {
	const char *name; /* borrowed from the status */
	uint8_t uuid[XDR_UUID];
	int32_t id, state, reason;
	bool active, moving, starting, lost;
	const char *host;   /* borrowed */
	const json_t *push; /* where its move is; borrowed, NULL: it does not move, or that is not known yet */
	uint64_t mem_bytes;
};

/* @req is released. @ret NULL: only whether it worked. An error is the call's. */
static int order(struct vd_call *c, json_t *req, unsigned limit_s, json_t **ret)
{
	_cleanup_jsonconn_ struct jsonconn j = { .fd = -1 };
	_cleanup_json_ json_t *o = NULL;
	struct err err = { 0 };
	int r = jsonconn_order(&j, &peer, req, &err);

	if (!r)
		r = vdh_answer(c, &j, limit_s, &o, &err);
	if (!r && !strcmp(field_text(o, "type"), "error"))
		r = err_set(&err, field_errno(o, "code"), "%s", field_text(o, "error"));
	if (r < 0)
		return vd_fail_err(c, r, &err);
	if (ret)
		*ret = steal_ptr(&o);
	return 0;
}

static json_t *about(const char *op, const char *name)
{
	return json_pack("{s:s, s:s}", "op", op, "name", name);
}

static int status(struct vd_call *c, json_t **ret)
{
	return order(c, json_pack("{s:s}", "op", "status"), ANSWER_S, ret);
}

/* libvirt wants a number for what runs, which another domain does not have. A process has one on its host only. */
static int32_t id_of(const uint8_t uuid[XDR_UUID])
{
	uint32_t h = 2166136261u; /* FNV-1a */

	for (size_t i = 0; i < XDR_UUID; i++)
		h = (h ^ uuid[i]) * 16777619u;
	return (int32_t)(h & 0x7fffffffu) ?: 1;
}

/* False: it is none that can be told of. */
static bool dom_of(const json_t *o, struct cdom *d)
{
	static const struct {
		const char *phase;
		int32_t state;
	} known[] = { { "running", S_RUNNING },   { "migrating", S_RUNNING }, { "starting", S_NOSTATE },
		      { "stopping", S_SHUTDOWN }, { "suspended", S_PAUSED },  { "stopped", S_SHUTOFF },
		      { "failed", S_SHUTOFF } };
	const char *phase = field_text(o, "state"), *uuid = field_text(o, "uuid");

	*d = (struct cdom){ .name = field_text(o, "name"), .mem_bytes = (uint64_t)field_num(o, "mem_bytes") };
	if (!name_is_valid(d->name) || !uuid_is_valid(uuid))
		return false;
	vd_uuid_of_text(uuid, d->uuid);
	d->state = S_NOSTATE; /* of a lost host, for example */
	for (size_t i = 0; i < ARRAY_SIZE(known); i++)
		if (!strcmp(phase, known[i].phase))
			d->state = known[i].state;
	d->moving = !strcmp(phase, "migrating");
	d->starting = !strcmp(phase, "starting");
	d->lost = !strcmp(phase, "unknown");
	d->host = field_text(o, "host");
	d->push = d->moving ? json_object_get(o, "migration") : NULL;
	d->push = json_is_object(d->push) ? d->push : NULL;
	d->reason = !strcmp(phase, "failed") ? SHUTOFF_FAILED : d->state == S_RUNNING;
	d->active = d->state != S_SHUTOFF;
	d->id = d->active ? id_of(d->uuid) : -1;
	return true;
}

static void put(struct vd_call *c, const struct cdom *d)
{
	vd_put_dom(&c->out, d->name, d->uuid, d->id);
}

/* The first that @fits. */
static int find(struct vd_call *c, bool (*fits)(const struct cdom *d, const void *arg), const void *arg,
                json_t **ret_status, struct cdom *ret)
{
	const json_t *o;
	size_t i;

	if (status(c, ret_status) < 0)
		return -1;
	json_array_foreach(json_object_get(*ret_status, "domains"), i,
	                   o) if (dom_of(o, ret) && fits(ret, arg)) return 0;
	return vd_fail(c, VD_E_NO_DOMAIN, "Domain not found: the cluster has no such domain");
}

static bool fits_uuid(const struct cdom *d, const void *arg)
{
	return !memcmp(d->uuid, arg, XDR_UUID);
}

static bool fits_name(const struct cdom *d, const void *arg)
{
	return !strcmp(d->name, arg);
}

static bool fits_id(const struct cdom *d, const void *arg)
{
	return d->active && d->id == *(const int32_t *)arg;
}

/* The domain of argument 0. */
static int argument(struct vd_call *c, json_t **ret_status, struct cdom *ret)
{
	return find(c, fits_uuid, c->args.arg[0].dom->uuid, ret_status, ret);
}

/* Its definition. NULL: the call's error is set. */
static char *xml_of(struct vd_call *c, const char *name)
{
	_cleanup_json_ json_t *o = NULL;
	char *xml;

	if (order(c, about("dumpxml", name), ANSWER_S, &o) < 0)
		return NULL;
	xml = strdup(field_text(o, "xml"));
	if (!xml)
		(void)vd_fail(c, VD_E_MEMORY, "out of memory");
	return xml;
}

static struct dom_config *config_of(struct vd_call *c, const char *name)
{
	_cleanup_free_ char *xml = xml_of(c, name);
	struct dom_config *cfg = NULL;
	struct err err = { 0 };
	int r = xml ? dom_config_parse(xml, strlen(xml), name, &cfg, &err) : 0;

	if (r < 0)
		(void)vd_fail_err(c, r, &err);
	return cfg;
}

/* Lists ------------------------------------------------------------------------------------------------------------------- */

#define L_ACTIVE   1u
#define L_INACTIVE 2u

/* How many fit @flags, at most @max; each is written by @write, which may be NULL. */
static int each(struct vd_call *c, uint32_t flags, uint32_t max, void (*write)(struct vd_call *c, const struct cdom *d),
                uint32_t *ret_n)
{
	_cleanup_json_ json_t *s = NULL;
	struct cdom d;
	const json_t *o;
	size_t i;

	*ret_n = 0;
	if (status(c, &s) < 0)
		return -1;
	json_array_foreach(json_object_get(s, "domains"), i, o)
	{
		if (*ret_n == max)
			break;
		if (!dom_of(o, &d) || !vdh_wanted_as(d.active, true, d.state, flags))
			continue;
		if (write)
			write(c, &d);
		++*ret_n;
	}
	return 0;
}

static void put_id(struct vd_call *c, const struct cdom *d)
{
	xdr_put_u32(&c->out, (uint32_t)d->id);
}

static void put_name(struct vd_call *c, const struct cdom *d)
{
	xdr_put_string(&c->out, d->name);
}

static int list(struct vd_call *c, uint32_t flags, uint32_t max, void (*write)(struct vd_call *c, const struct cdom *d),
                uint32_t *ret_n)
{
	struct vd_list count = vd_list_begin(&c->out);
	int r = each(c, flags, max < VD_DOMAINS_MAX ? max : VD_DOMAINS_MAX, write, &count.n);

	if (!r)
		vd_list_end(&count);
	*ret_n = count.n;
	return r;
}

static int list_all(struct vd_call *c)
{
	uint32_t n, flags = c->args.arg[1].u;

	if (!c->args.arg[0].u) {
		xdr_put_u32(&c->out, 0);
		if (each(c, flags, VD_DOMAINS_MAX, NULL, &n) < 0)
			return -1;
	} else if (list(c, flags, VD_DOMAINS_MAX, put, &n) < 0) {
		return -1;
	}
	xdr_put_u32(&c->out, n);
	return 0;
}

static int list_ids(struct vd_call *c)
{
	uint32_t n;

	return list(c, L_ACTIVE, c->args.arg[0].u, put_id, &n);
}

static int list_defined(struct vd_call *c)
{
	uint32_t n;

	return list(c, L_INACTIVE, c->args.arg[0].u, put_name, &n);
}

static int count(struct vd_call *c, uint32_t flags)
{
	uint32_t n;

	if (each(c, flags, VD_DOMAINS_MAX, NULL, &n) < 0)
		return -1;
	xdr_put_u32(&c->out, n);
	return 0;
}

static int num_active(struct vd_call *c)
{
	return count(c, L_ACTIVE);
}

static int num_defined(struct vd_call *c)
{
	return count(c, L_INACTIVE);
}

static int found(struct vd_call *c, bool (*fits)(const struct cdom *d, const void *arg), const void *arg)
{
	_cleanup_json_ json_t *s = NULL;
	struct cdom d;

	if (find(c, fits, arg, &s, &d) < 0)
		return -1;
	put(c, &d);
	return 0;
}

static int by_id(struct vd_call *c)
{
	int32_t id = (int32_t)c->args.arg[0].u;

	return found(c, fits_id, &id);
}

static int by_name(struct vd_call *c)
{
	return found(c, fits_name, c->args.arg[0].s);
}

static int by_uuid(struct vd_call *c)
{
	return found(c, fits_uuid, c->args.arg[0].uuid);
}

/* What a domain is -------------------------------------------------------------------------------------------------------- */

static int info(struct vd_call *c)
{
	_cleanup_dom_config_ struct dom_config *cfg = NULL;
	_cleanup_json_ json_t *s = NULL;
	struct cdom d;

	if (argument(c, &s, &d) < 0 || !(cfg = config_of(c, d.name)))
		return -1;
	xdr_put_u32(&c->out, (uint32_t)d.state);
	xdr_put_u64(&c->out, cfg->memory_bytes / 1024);
	xdr_put_u64(&c->out, (d.active && d.mem_bytes ? d.mem_bytes : cfg->current_memory_bytes) / 1024);
	xdr_put_u32(&c->out, cfg->vcpus);
	xdr_put_u64(&c->out, 0); /* its processor time is known on its host */
	return 0;
}

static int state(struct vd_call *c)
{
	_cleanup_json_ json_t *s = NULL;
	struct cdom d;

	if (argument(c, &s, &d) < 0)
		return -1;
	xdr_put_u32(&c->out, (uint32_t)d.state);
	xdr_put_u32(&c->out, (uint32_t)d.reason);
	return 0;
}

static int is_active(struct vd_call *c)
{
	_cleanup_json_ json_t *s = NULL;
	struct cdom d;

	if (argument(c, &s, &d) < 0)
		return -1;
	xdr_put_u32(&c->out, d.active);
	return 0;
}

static int constant(struct vd_call *c, uint32_t v)
{
	_cleanup_json_ json_t *s = NULL;
	struct cdom d;

	if (argument(c, &s, &d) < 0)
		return -1;
	xdr_put_u32(&c->out, v);
	return 0;
}

static int always(struct vd_call *c)
{
	return constant(c, 1);
}

static int never(struct vd_call *c)
{
	return constant(c, 0);
}

/* Flags choose between a running domain's XML and its next: the cluster has one. */
static int xml(struct vd_call *c)
{
	_cleanup_json_ json_t *s = NULL;
	_cleanup_free_ char *text = NULL;
	struct err err = { 0 };
	struct cdom d;

	if (c->readonly && (c->args.arg[1].u & XML_SECURE))
		return vd_fail(c, VD_E_DENIED, "operation forbidden: read only access prevents what may be secret");
	if (argument(c, &s, &d) < 0 || !(text = xml_of(c, d.name)))
		return -1;
	int r = c->args.arg[1].u & XML_SECURE ? 0 : vd_hide_secrets(&text, &err);
	if (r < 0)
		return vd_fail_err(c, r, &err);
	xdr_put_string(&c->out, text);
	return 0;
}

static int configured(struct vd_call *c, void (*write)(struct buf *b, const struct dom_config *cfg))
{
	_cleanup_dom_config_ struct dom_config *cfg = NULL;
	_cleanup_json_ json_t *s = NULL;
	struct cdom d;

	if (argument(c, &s, &d) < 0 || !(cfg = config_of(c, d.name)))
		return -1;
	write(&c->out, cfg);
	return 0;
}

static void put_os(struct buf *b, const struct dom_config *cfg)
{
	xdr_put_string(b, cfg->type == DOM_TYPE_UML ? "linux" : "hvm");
}

static void put_vcpus(struct buf *b, const struct dom_config *cfg)
{
	xdr_put_u32(b, cfg->vcpus);
}

static void put_memory(struct buf *b, const struct dom_config *cfg)
{
	xdr_put_u64(b, cfg->memory_bytes / 1024);
}

static int os_type(struct vd_call *c)
{
	return configured(c, put_os);
}

static int vcpus(struct vd_call *c)
{
	return configured(c, put_vcpus);
}

static int max_memory(struct vd_call *c)
{
	return configured(c, put_memory);
}

/* What clusterd knows of each: the rest is its host's. */
static void put_stats(struct vd_call *c, const struct cdom *d)
{
	uint32_t groups = c->args.arg[1].u ? c->args.arg[1].u : UINT32_MAX;
	struct vd_list l;

	put(c, d);
	l = vd_list_begin(&c->out);
	if (groups & G_STATE) {
		vd_put_int(&l, "state.state", d->state);
		vd_put_int(&l, "state.reason", d->reason);
	}
	if ((groups & G_BALLOON) && d->mem_bytes)
		vd_put_ullong(&l, "balloon.current", d->mem_bytes / 1024);
	vd_list_end(&l);
}

static int all_stats(struct vd_call *c)
{
	const struct vd_arg *doms = &c->args.arg[0];
	_cleanup_json_ json_t *s = NULL;
	struct vd_list n = vd_list_begin(&c->out);
	uint32_t flags = c->args.arg[2].u & ~F_STATS;
	const json_t *o;
	struct cdom d;
	size_t i;

	if (status(c, &s) < 0)
		return -1;
	json_array_foreach(json_object_get(s, "domains"), i, o)
	{
		size_t k = 0;

		if (!dom_of(o, &d) || !vdh_wanted_as(d.active, true, d.state, flags))
			continue;
		while (k < doms->n && memcmp(doms->dom[k].uuid, d.uuid, XDR_UUID))
			k++;
		if (doms->n && k == doms->n)
			continue;
		put_stats(c, &d);
		n.n++;
	}
	vd_list_end(&n);
	return 0;
}

static int by_name_cmp(const void *a, const void *b)
{
	return strcmp(((const struct vd_seen *)a)->name, ((const struct vd_seen *)b)->name);
}

struct vd_snapshot *vd_cluster_snapshot(struct vd_call *c)
{
	struct vd_snapshot *snap = calloc(1, sizeof(*snap));
	_cleanup_json_ json_t *s = NULL;
	const json_t *o;
	struct cdom d;
	size_t i;

	if (snap && !status(c, &s)) {
		size_t n = json_array_size(json_object_get(s, "domains")) + 1;

		snap->dom = calloc(n, sizeof(*snap->dom));
		snap->job = calloc(n, sizeof(*snap->job));
	}
	if (!snap || !snap->dom || !snap->job) {
		c->code = 0; /* what is not known now is told later */
		vd_snapshot_free(snap);
		return NULL;
	}
	json_array_foreach(json_object_get(s, "domains"), i, o)
	{
		struct vd_seen *e = &snap->dom[snap->n];

		if (!dom_of(o, &d))
			continue;
		snprintf(e->name, sizeof(e->name), "%s", d.name);
		memcpy(e->uuid, d.uuid, XDR_UUID);
		e->id = d.id;
		e->defined = true;
		e->paused = d.state == S_PAUSED;
		e->moving = d.moving;
		e->starting = d.starting;
		e->lost = d.lost;
		snprintf(e->host, sizeof(e->host), "%s", d.host);
		e->crashed = d.reason == SHUTOFF_FAILED && !d.active;
		snap->n++;
		if (!d.push)
			continue;
		struct vd_job *j = &snap->job[snap->n_jobs++];
		snprintf(j->name, sizeof(j->name), "%s", d.name);
		j->iteration = (uint32_t)field_num(d.push, "memory_iteration");
	}
	qsort(snap->dom, snap->n, sizeof(*snap->dom), by_name_cmp);
	return snap;
}

/* The cluster itself ------------------------------------------------------------------------------------------------------ */

/* Sums over hosts that are online. */
static int hosts(struct vd_call *c, double *cpus, double *mem, double *mem_free)
{
	_cleanup_json_ json_t *s = NULL;
	const json_t *h;
	size_t i;

	*cpus = *mem = *mem_free = 0;
	if (status(c, &s) < 0)
		return -1;
	json_array_foreach(json_object_get(s, "hosts"), i, h)
	{
		double total = field_num(h, "mem_total_bytes"), used = field_num(h, "mem_used_bytes");

		if (strcmp(field_text(h, "state"), "online") != 0)
			continue;
		*cpus += field_num(h, "cpu_total");
		*mem += total;
		*mem_free += total > used ? total - used : 0;
	}
	return 0;
}

static int node_info(struct vd_call *c)
{
	static const char model[32] = "x86_64";
	double cpus, mem, mem_free;

	if (hosts(c, &cpus, &mem, &mem_free) < 0)
		return -1;
	for (size_t i = 0; i < sizeof(model); i++)
		xdr_put_u32(&c->out, (uint32_t)model[i]);
	xdr_put_u64(&c->out, (uint64_t)mem / 1024);
	xdr_put_u32(&c->out, cpus >= 1 ? (uint32_t)cpus : 1);
	xdr_put_u32(&c->out, 0); /* MHz: each host's own */
	xdr_put_u32(&c->out, 1);
	xdr_put_u32(&c->out, 1);
	xdr_put_u32(&c->out, cpus >= 1 ? (uint32_t)cpus : 1);
	xdr_put_u32(&c->out, 1);
	return 0;
}

static int free_memory(struct vd_call *c)
{
	double cpus, mem, mem_free;

	if (hosts(c, &cpus, &mem, &mem_free) < 0)
		return -1;
	xdr_put_u64(&c->out, (uint64_t)mem_free);
	return 0;
}

/* Orders ------------------------------------------------------------------------------------------------------------------ */

static int define(struct vd_call *c)
{
	_cleanup_json_ json_t *o = NULL;
	uint8_t uuid[XDR_UUID];

	if (c->args.n > 1 && (c->args.arg[1].u & ~1u)) /* it is always validated */
		return vd_fail(c, VD_E_UNSUPPORTED, "unsupported flags (0x%x) for define", c->args.arg[1].u);
	if (order(c,
	          json_pack("{s:s, s:s, s:s}", "op", "define", "xml", c->args.arg[0].s, "origin",
	                    "(domain_definition)"),
	          3 * ANSWER_S, &o) < 0)
		return -1;
	vd_uuid_of_text(field_text(o, "uuid"), uuid);
	return found(c, fits_uuid, uuid);
}

/* One order about the domain of argument 0. */
static int simple(struct vd_call *c, const char *op, unsigned limit_s, bool wait)
{
	_cleanup_json_ json_t *s = NULL;
	struct cdom d;
	json_t *req;

	if (argument(c, &s, &d) < 0)
		return -1;
	if (!strcmp(op, "start") && d.active)
		return vd_fail(c, VD_E_INVALID, "Requested operation is not valid: domain is already running");
	if (!strcmp(op, "stop") && !d.active)
		return vd_fail(c, VD_E_INVALID, "Requested operation is not valid: domain is not running");
	req = about(op, d.name);
	(void)json_object_set_new(req, "wait", json_boolean(wait));
	return order(c, req, limit_s, NULL);
}

static int undefine(struct vd_call *c)
{
	return simple(c, "undefine", 2 * ANSWER_S, false);
}

static int create(struct vd_call *c)
{
	if (c->args.n > 1 && c->args.arg[1].u)
		return vd_fail(c, VD_E_UNSUPPORTED, "unsupported flags (0x%x) for start in a cluster",
		               c->args.arg[1].u);
	return simple(c, "start", 0, true);
}

static int create_flags(struct vd_call *c)
{
	return create(c) < 0 ? -1 : found(c, fits_uuid, c->args.arg[0].dom->uuid);
}

/* Asked for, not waited for, as libvirt has it: the guest takes its time. */
static int shutdown_it(struct vd_call *c)
{
	if (c->args.n > 1 && c->args.arg[1].u)
		return vd_fail(c, VD_E_UNSUPPORTED, "the guest is told in one way only: leave --mode out");
	return simple(c, "stop", 2 * ANSWER_S, false);
}

static int destroy(struct vd_call *c)
{
	return simple(c, "stop", 0, true);
}

/* Which host it comes from is clusterd's knowledge: the client leads nothing. */
static int perform(struct vd_call *c)
{
	_cleanup_json_ json_t *s = NULL;
	uint64_t mib;
	char host[64];
	struct cdom d;
	json_t *req;

	if (argument(c, &s, &d) < 0 || vdh_migrate_flags(c, c->args.arg[4].u) < 0 ||
	    vdh_migrate_to(c, d.name, host, sizeof(host), &mib) < 0)
		return -1;
	if (mib)
		return vd_fail(c, VD_E_UNSUPPORTED, "a move in a cluster has no bandwidth of its own");
	req = about("move", d.name);
	(void)json_object_set_new(req, "host", json_string(host));
	(void)json_object_set_new(req, "wait", json_true());
	if (order(c, req, 0, NULL) < 0)
		return -1;
	xdr_put_opaque(&c->out, NULL, 0);
	return 0;
}

static int job_info(struct vd_call *c)
{
	_cleanup_json_ json_t *s = NULL;
	struct cdom d;

	if (argument(c, &s, &d) < 0)
		return -1;
	vdh_put_job(&c->out, d.push);
	return 0;
}

static int job_stats(struct vd_call *c)
{
	_cleanup_json_ json_t *s = NULL;
	struct cdom d;
	bool over;

	if (vdh_job_flags(c, &over) < 0 || argument(c, &s, &d) < 0)
		return -1;
	vdh_put_job_stats(&c->out, over ? NULL : d.push);
	return 0;
}

/* The source's migrated calls it off, if it can; clusterd answers when that is known. */
static int job_abort(struct vd_call *c)
{
	_cleanup_json_ json_t *s = NULL;
	struct cdom d;

	if (argument(c, &s, &d) < 0)
		return -1;
	if (!d.moving)
		return vd_fail(c, VD_E_INVALID, "Requested operation is not valid: no job is active on the domain");
	return order(c, about("abort", d.name), ABORT_S, NULL);
}

/* By the numbers of vdproc.c, sorted. */
static const struct {
	uint16_t number;
	int (*fn)(struct vd_call *c);
} served[] = {
	{ 6, node_info },     { 9, create },         { 11, define },       { 12, destroy },    { 14, xml },
	{ 15, never },        { 16, info },          { 17, max_memory },   { 18, vcpus },      { 19, os_type },
	{ 21, list_defined }, { 22, by_id },         { 23, by_name },      { 24, by_uuid },    { 25, num_defined },
	{ 33, shutdown_it },  { 35, undefine },      { 37, list_ids },     { 51, num_active }, { 102, free_memory },
	{ 150, is_active },   { 151, always },       { 163, job_info },    { 164, job_abort }, { 183, never },
	{ 187, never },       { 196, create_flags }, { 200, vcpus },       { 202, never },     { 212, state },
	{ 231, undefine },    { 234, destroy },      { 258, shutdown_it }, { 273, list_all },  { 298, job_stats },
	{ 305, perform },     { 344, all_stats },    { 350, define },
};

int (*vd_cluster_fn(const struct vd_proc *proc))(struct vd_call *c)
{
	/* of the connection, of this host's programs, or empty in any case */
	static const uint16_t same[] = { 1,   2,   3,   4,   5,   7,   52,  59,  60,  66,  110, 126, 139,
		                         149, 157, 178, 274, 283, 284, 285, 286, 287, 316, 317, 342 };

	for (size_t i = 0; i < ARRAY_SIZE(served); i++)
		if (served[i].number == proc->number)
			return served[i].fn;
	for (size_t i = 0; i < ARRAY_SIZE(same); i++)
		if (same[i] == proc->number)
			return proc->fn;
	return NULL;
}
