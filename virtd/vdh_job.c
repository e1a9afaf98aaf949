/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Migration: the push is migrated's alone (docs/wire/migration.md). Here it is ordered and waited for. Progress is
 * asked for from migrated, so that of a push which vmmig ordered is seen, too. Whoever dies meanwhile, client or we,
 * the push goes on.
 */
#include "config.h"
#include "virtd/vdh_int.h"

#include <errno.h>
#include <poll.h>
#include <stdio.h>
#include <string.h>
#include "clusterd/guard/managed.h"
#include "common/fault.h"
#include "common/util.h"
#include "tools/jsonconn.h"

#define M_LIVE            1u
#define M_P2P             2u
#define M_TUNNELLED       4u
#define M_PERSIST         8u
#define M_UNDEFINE_SOURCE 16u
#define M_PAUSED          32u
#define M_STORAGE         (64u | 128u)
#define M_CHANGE_PROTECT  256u
#define M_UNSAFE          512u
#define M_ABORT_ON_ERROR  4096u
#define M_AUTO_CONVERGE   8192u
#define M_KNOWN                                                                                                        \
	(M_LIVE | M_P2P | M_PERSIST | M_UNDEFINE_SOURCE | M_PAUSED | M_CHANGE_PROTECT | M_UNSAFE | M_ABORT_ON_ERROR |  \
	 M_AUTO_CONVERGE)

#define JOB_NONE          0u
#define JOB_UNBOUNDED     2u
#define JOB_MIGRATION_OUT 5
#define STATUS_S          10u
#define STATS_COMPLETED   1u /* of the last job that is over, which nobody keeps */
#define STATS_KEEP        2u

static const struct jsonconn_peer push_peer = {
	.daemon = "migrated",
	.start = "systemctl start migrated",
	.expected = "JSON",
	.lost = "`vmmig status` tells how things stand once it is back",
	.line_bytes_max = 1u << 20,
};
static const struct jsonconn_peer status_peer = {
	.daemon = "migrated",
	.start = "systemctl start migrated",
	.expected = "JSON",
	.lost = "it can be asked again",
	.line_bytes_max = 4u << 20,
	.answer_s = STATUS_S,
};

/* The host of "hospes+tls://host-b:1234/system". False: it has none, or it is no name. */
static bool host_of(const char *uri, char *ret, size_t room)
{
	const char *from = uri ? strstr(uri, "://") : NULL, *at;
	size_t len;

	if (!from)
		return false;
	from += 3;
	len = strcspn(from, "/:?");
	at = memchr(from, '@', len); /* user@ */
	if (at) {
		len -= (size_t)(at + 1 - from);
		from = at + 1;
	}
	if (!len || len >= room)
		return false;
	memcpy(ret, from, len);
	ret[len] = 0;
	return name_is_valid(ret);
}

int vdh_migrate_flags(struct vd_call *c, uint32_t flags)
{
	if (flags & M_TUNNELLED)
		return vd_fail(c, VD_E_UNSUPPORTED,
		               "tunnelled migration is not needed: migrated encrypts what it sends");
	if (flags & M_STORAGE)
		return vd_fail(c, VD_E_UNSUPPORTED, "disks are not copied: they have to be shared by both hosts");
	if (flags & ~M_KNOWN)
		return vd_fail(c, VD_E_UNSUPPORTED, "unsupported flags (0x%x) for migration", flags & ~M_KNOWN);
	return 0;
}

static int check_flags(struct vd_call *c, const char *name, uint32_t flags)
{
	if (vdh_migrate_flags(c, flags) < 0)
		return -1;
	if (managed_listed(name, NULL))
		return vd_fail(c, VD_E_INVALID,
		               "'%s' is a domain of the cluster, which decides where it runs: vmclus move %s HOST",
		               name, name);
	return 0;
}

/* A client that leads the migration says the XML that it got from vdh_begin(). */
static bool same_xml(const char *name, const char *xml)
{
	_cleanup_free_ char *is = NULL;

	return !xml || (!vmhost_xml(name, false, &is, NULL) && !strcmp(is, xml));
}

int vdh_migrate_to(struct vd_call *c, const char *name, char *host, size_t room, uint64_t *ret_mib)
{
	const struct vd_arg *p = &c->args.arg[2];
	const char *dname = vd_param_text(p, "destination_name"), *uri = vd_param_text(p, "migrate_uri");

	*ret_mib = 0;
	if (dname && strcmp(dname, name))
		return vd_fail(c, VD_E_UNSUPPORTED, "a domain keeps its name when it moves");
	if (!vd_param_number(p, "bandwidth", ret_mib) || *ret_mib > 1000000)
		return vd_fail(c, VD_E_INVALID_ARG, "bandwidth has to be a number of MiB/s");
	if (!host_of(uri ? uri : c->args.arg[1].s, host, room))
		return vd_fail(c, VD_E_INVALID_ARG, "\"%.100s\" names no host: hospes+ssh://HOST/system",
		               c->args.arg[1].s ? c->args.arg[1].s : "");
	return 0;
}

/* The order, or NULL with the call's error. */
static json_t *order_of(struct vd_call *c, const char *name, uint32_t flags)
{
	uint64_t mib;
	char host[64];
	json_t *o;

	if (vdh_migrate_to(c, name, host, sizeof(host), &mib) < 0)
		return NULL;
	if (!same_xml(name, vd_param_text(&c->args.arg[2], "destination_xml"))) {
		(void)vd_fail(c, VD_E_UNSUPPORTED, "a domain keeps its XML when it moves");
		return NULL;
	}
	/* without M_LIVE the guest may stand still for as long as it takes: live is as good */
	o = json_pack("{s:s, s:s, s:s, s:b, s:b}", "op", "push", "domain", name, "host", host, "persistent",
	              (int)(flags & M_PERSIST), "suspend", (int)(flags & M_PAUSED));
	if (o && mib)
		(void)json_object_set_new(o, "bandwidth_mib", json_integer((json_int_t)mib));
	if (!o)
		(void)vd_fail(c, VD_E_MEMORY, "out of memory");
	return o;
}

int vdh_answer(struct vd_call *c, struct jsonconn *j, unsigned limit_s, json_t **ret, struct err *err)
{
	uint64_t until = now_ns() + limit_s * NS_PER_S;

	for (;;) {
		struct pollfd p = { .fd = j->fd, .events = POLLIN };
		json_t *o = NULL;
		int r = jsonconn_recv(j, false, &o, err);

		if (r == -EAGAIN) {
			if (c->srv->stop)
				return err_set(err, EINTR, "hospes-virtd ends; what was ordered goes on: %s",
				               j->peer->lost);
			if (limit_s && now_ns() > until)
				return err_set(err, ETIMEDOUT, "%s has not answered for %u s", j->peer->daemon,
				               limit_s);
			(void)poll(&p, 1, 500);
			continue;
		}
		if (r < 0)
			return r;
		if (!strcmp(field_text(o, "type"), "progress")) {
			json_decref(o);
			continue;
		}
		*ret = o;
		return 0;
	}
}

/* For tests: vd.migrate.begin... */
static void at(const char *phase, const char *suffix)
{
	(void)fault_point("vd", "migrate", phase, suffix, 0);
}

static int push(struct vd_call *c, const char *name, uint32_t flags)
{
	_cleanup_jsonconn_ struct jsonconn j = { .fd = -1 };
	_cleanup_json_ json_t *result = NULL;
	json_t *order = order_of(c, name, flags);
	struct err err = { 0 };
	const char *status;
	int r;

	if (!order)
		return -1;
	at("perform", "");
	r = jsonconn_order(&j, &push_peer, order, &err);
	if (!r)
		r = vdh_answer(c, &j, 0, &result, &err);
	at("perform", ".done");
	if (r < 0)
		return vd_fail(c, VD_E_FAILED, "operation failed: %s", err.text);
	status = field_text(result, "status");
	if (!strcmp(status, "cancelled"))
		return vd_fail(c, VD_E_ABORTED, "operation aborted: migration of '%s': canceled by client", name);
	if (strcmp(status, "completed"))
		return vd_fail(c, VD_E_FAILED, "operation failed: %s", field_text(result, "error"));
	if ((flags & M_UNDEFINE_SOURCE) && vmhost_is_defined(name) && vmhost_undefine(name, &err) < 0)
		return vd_fail(c, VD_E_FAILED, "'%s' was moved, but is still defined here: %s", name, err.text);
	return 0;
}

/* Arguments: domain, URI of the other host, parameters, cookie, flags. */
int vdh_perform(struct vd_call *c)
{
	uint32_t flags = c->args.arg[4].u;
	struct vd_claim claim;
	struct vmhost_dom d;
	int r;

	if (vd_find(c, 0, &d) < 0)
		return -1;
	r = check_flags(c, d.name, flags);
	if (!r && !vd_is_active(&d))
		r = vd_fail(c, VD_E_INVALID, "Requested operation is not valid: domain is not running");
	if (!r)
		r = vd_claim(c, &claim, d.name);
	if (!r) {
		r = push(c, d.name, flags);
		vd_release(c, &claim);
	}
	vmhost_dom_done(&d);
	if (!r)
		xdr_put_opaque(&c->out, NULL, 0); /* a cookie would make the client go on with the other host */
	return r;
}

/*
 * A migration that the client leads: begin here, prepare there, perform here, finish there, confirm here. Perform
 * does all of it, and the others only check and report, so that a client that dies in between harms nothing.
 */

/* Arguments: domain, parameters, flags. */
int vdh_begin(struct vd_call *c)
{
	_cleanup_free_ char *xml = NULL;
	struct err err = { 0 };
	struct vmhost_dom d;
	int r;

	if (vd_find(c, 0, &d) < 0)
		return -1;
	r = check_flags(c, d.name, c->args.arg[2].u);
	if (!r && !vd_is_active(&d))
		r = vd_fail(c, VD_E_INVALID, "Requested operation is not valid: domain is not running");
	if (!r && vmhost_xml(d.name, false, &xml, &err) < 0)
		r = vd_fail(c, VD_E_FAILED, "%s", err.text);
	vmhost_dom_done(&d);
	if (r < 0)
		return r;
	at("begin", "");
	xdr_put_opaque(&c->out, NULL, 0);
	xdr_put_string(&c->out, xml);
	return 0;
}

/* On the other host. Arguments: parameters, cookie, flags. */
int vdh_prepare(struct vd_call *c)
{
	const char *xml = vd_param_text(&c->args.arg[0], "destination_xml");
	_cleanup_dom_config_ struct dom_config *cfg = NULL;
	_cleanup_free_ char *uri = NULL;
	struct err err = { 0 };

	if (!xml || dom_config_parse(xml, strlen(xml), "(destination_xml)", &cfg, &err) < 0)
		return vd_fail(c, VD_E_XML, "XML error: %s", xml ? err.text : "the domain's XML is missing");
	if (check_flags(c, cfg->name, c->args.arg[2].u) < 0)
		return -1;
	if (vmhost_is_running(cfg->name))
		return vd_fail(c, VD_E_INVALID, "domain '%s' runs on %s already", cfg->name, c->srv->host);
	at("prepare", "");
	uri = xasprintf("hospes://%s", c->srv->host);
	xdr_put_opaque(&c->out, NULL, 0);
	xdr_put_opt_string(&c->out, uri);
	return 0;
}

/* On the other host. Arguments: parameters, cookie, flags, cancelled. */
int vdh_finish(struct vd_call *c)
{
	const char *name = vd_param_text(&c->args.arg[0], "destination_name"),
		   *xml = vd_param_text(&c->args.arg[0], "destination_xml");
	_cleanup_dom_config_ struct dom_config *cfg = NULL;
	struct vmhost_dom d;

	at("finish", "");
	if (c->args.arg[3].u)
		return vd_fail(c, VD_E_FAILED, "operation failed: the migration did not come to an end");
	if (!name && xml && dom_config_parse(xml, strlen(xml), "(destination_xml)", &cfg, NULL) == 0)
		name = cfg->name;
	if (!name)
		return vd_fail(c, VD_E_INVALID_ARG, "invalid argument: the domain's name is missing");
	if (vd_find_name(c, name, &d) < 0)
		return -1;
	if (!vd_is_active(&d)) {
		vmhost_dom_done(&d);
		return vd_fail(c, VD_E_FAILED, "operation failed: domain '%.64s' does not run on %s", name,
		               c->srv->host);
	}
	vd_put_found(&c->out, &d);
	vmhost_dom_done(&d);
	xdr_put_opaque(&c->out, NULL, 0);
	return 0;
}

int vdh_confirm(struct vd_call *c)
{
	at("confirm", "");
	(void)c; /* the push has ended the domain here, or has let it run on */
	return 0;
}

/* What migrated answers to @op about the domain @name; the caller owns *@ret. */
static int ask_migrated(const char *op, const char *name, json_t **ret, struct err *err)
{
	_cleanup_jsonconn_ struct jsonconn j = { .fd = -1 };
	int r = jsonconn_order(&j, &status_peer, json_pack("{s:s, s:s}", "op", op, "domain", name), err);

	return r ? r : jsonconn_recv(&j, true, ret, err);
}

/* The progress of the push of argument 0's domain: *@ret NULL if there is none. */
static int progress_of(struct vd_call *c, json_t **ret)
{
	_cleanup_json_ json_t *o = NULL;
	struct err err = { 0 };
	struct vmhost_dom d;

	if (vd_find(c, 0, &d) < 0)
		return -1;
	if (!ask_migrated("status", d.name, &o, &err)) {
		const json_t *list = json_object_get(o, "migrations");
		size_t i;
		json_t *v;

		json_array_foreach(list, i,
		                   v) if (!*ret && !strcmp(field_text(v, "role"), "source")) *ret = json_incref(v);
	}
	vmhost_dom_done(&d);
	return 0; /* without migrated nothing is under way */
}

static uint64_t number_of(const json_t *o, const char *key)
{
	double v = field_num(o, key);

	return v > 0 ? (uint64_t)v : 0;
}

void vdh_put_job(struct buf *b, const json_t *p)
{
	uint64_t total = p ? number_of(p, "memory_total") : 0, left = p ? number_of(p, "memory_remaining") : 0;

	xdr_put_u32(b, p ? JOB_UNBOUNDED : JOB_NONE);
	xdr_put_u64(b, p ? number_of(p, "time_elapsed") : 0);
	xdr_put_u64(b, p ? number_of(p, "eta_ms") : 0);
	for (int i = 0; i < 2; i++) { /* data in all, of it memory */
		xdr_put_u64(b, total);
		xdr_put_u64(b, p ? number_of(p, "memory_processed") : 0);
		xdr_put_u64(b, left);
	}
	for (int i = 0; i < 3; i++)
		xdr_put_u64(b, 0); /* files are not copied */
}

int vdh_job_info(struct vd_call *c)
{
	_cleanup_json_ json_t *p = NULL;

	if (progress_of(c, &p) < 0)
		return -1;
	vdh_put_job(&c->out, p);
	return 0;
}

void vdh_put_job_stats(struct buf *b, const json_t *p)
{
	/* libvirt's field, and migrated's */
	static const char *const fields[][2] = {
		{ "time_elapsed", "time_elapsed" },
		{ "time_remaining", "eta_ms" },
		{ "downtime", "downtime" },
		{ "data_total", "memory_total" },
		{ "data_processed", "memory_processed" },
		{ "data_remaining", "memory_remaining" },
		{ "memory_total", "memory_total" },
		{ "memory_processed", "memory_processed" },
		{ "memory_remaining", "memory_remaining" },
		{ "memory_constant", "memory_constant" },
		{ "memory_normal", "memory_normal" },
		{ "memory_bps", "bandwidth_bps" },
		{ "memory_dirty_rate", "dirty_pages_per_s" },
		{ "memory_iteration", "memory_iteration" },
	};
	struct vd_list l;

	xdr_put_u32(b, p ? JOB_UNBOUNDED : JOB_NONE);
	l = vd_list_begin(b);
	if (p) {
		vd_put_int(&l, "operation", JOB_MIGRATION_OUT);
		for (size_t i = 0; i < ARRAY_SIZE(fields); i++)
			vd_put_ullong(&l, fields[i][0], number_of(p, fields[i][1]));
		vd_put_int(&l, "auto_converge_throttle", (int32_t)number_of(p, "auto_converge_throttle"));
		vd_list_end(&l);
	}
}

int vdh_job_flags(struct vd_call *c, bool *ret_over)
{
	uint32_t flags = c->args.arg[1].u;

	*ret_over = flags & STATS_COMPLETED;
	return flags & ~(STATS_COMPLETED | STATS_KEEP)
	               ? vd_fail(c, VD_E_UNSUPPORTED, "unsupported flags (0x%x) for job statistics", flags)
	               : 0;
}

int vdh_job_stats(struct vd_call *c)
{
	_cleanup_json_ json_t *p = NULL;
	bool over;

	if (vdh_job_flags(c, &over) < 0 || (!over && progress_of(c, &p) < 0))
		return -1;
	vdh_put_job_stats(&c->out, p);
	return 0;
}

static void put_outcome(struct vd_list *l, bool success, const char *why)
{
	vd_put_int(l, "operation", JOB_MIGRATION_OUT);
	vd_put_bool(l, "success", success);
	if (*why)
		vd_put_text(l, "errmsg", why);
}

void vdh_put_result(struct buf *b, const json_t *result)
{
	/* libvirt's field, migrated's, and how many of libvirt's one is */
	static const struct {
		const char *field, *key;
		unsigned unit;
	} fields[] = {
		{ "time_elapsed", "total_ms", 1 },       { "setup_time", "setup_ms", 1 },
		{ "downtime", "downtime_ms", 1 },        { "data_total", "ram_bytes", 1 },
		{ "data_processed", "sent_bytes", 1 },   { "memory_total", "ram_bytes", 1 },
		{ "memory_processed", "sent_bytes", 1 }, { "memory_constant", "pages_zero", 1 },
		{ "memory_normal", "pages_sent", 1 },    { "memory_normal_bytes", "pages_sent", 4096 },
		{ "memory_bps", "bandwidth_bps", 1 },    { "memory_dirty_rate", "dirty_pages_per_s", 1 },
		{ "memory_iteration", "rounds", 1 },
	};
	bool success = !strcmp(field_text(result, "status"), "completed");
	struct vd_list l = vd_list_begin(b);

	put_outcome(&l, success, success ? "" : field_text(result, "error"));
	for (size_t i = 0; i < ARRAY_SIZE(fields); i++)
		vd_put_ullong(&l, fields[i].field, number_of(result, fields[i].key) * fields[i].unit);
	vd_list_end(&l);
}

void vdh_put_moved(struct buf *b, bool success)
{
	struct vd_list l = vd_list_begin(b);

	put_outcome(&l, success, "");
	vd_list_end(&l);
}

int vdh_job_abort(struct vd_call *c)
{
	_cleanup_json_ json_t *o = NULL;
	struct err err = { 0 };
	struct vmhost_dom d;
	int r;

	if (vd_find(c, 0, &d) < 0)
		return -1;
	r = ask_migrated("cancel", d.name, &o, &err);
	vmhost_dom_done(&d);
	if (r < 0)
		return vd_fail_err(c, r, &err);
	if (strcmp(field_text(o, "type"), "ok"))
		return vd_fail(c, VD_E_INVALID, "Requested operation is not valid: %s", field_text(o, "error"));
	return 0;
}
