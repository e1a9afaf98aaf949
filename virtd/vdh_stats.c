/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Procedures with numbers of running domains: disks, interfaces, memory, and all of them at once for many domains. */
#include "config.h"
#include "virtd/vdh_int.h"

#include <stdio.h>
#include <string.h>

#define KIND_NET   1u
#define KIND_BLOCK 2u

/* groups of virConnectGetAllDomainStats, and its flags beyond those of a list */
#define G_STATE     1u
#define G_CPU       2u
#define G_BALLOON   4u
#define G_VCPU      8u
#define G_INTERFACE 16u
#define G_BLOCK     32u
#define G_ALL       63u
#define F_NOWAIT    (1u << 29)
#define F_BACKING   (1u << 30)
#define F_ENFORCE   (1u << 31)

/* Tags of memory statistics; those with a name are the guest's own, by enum hv_mem. */
#define MEM_ACTUAL      6u
#define MEM_RSS         7u
#define MEM_LAST_UPDATE 9u
static const struct {
	uint32_t tag;
	const char *name;
	uint64_t unit;
} guest_mem[HV_MEM_COUNT] = {
	[HV_MEM_AVAILABLE] = { 5, "available", 1024 },   [HV_MEM_UNUSED] = { 4, "unused", 1024 },
	[HV_MEM_USABLE] = { 8, "usable", 1024 },         [HV_MEM_DISK_CACHES] = { 10, "disk_caches", 1024 },
	[HV_MEM_SWAP_IN] = { 0, "swap_in", 1024 },       [HV_MEM_SWAP_OUT] = { 1, "swap_out", 1024 },
	[HV_MEM_MAJOR_FAULTS] = { 2, "major_fault", 1 }, [HV_MEM_MINOR_FAULTS] = { 3, "minor_fault", 1 }
};

static int stats_of(struct vd_call *c, struct hv_stats *ret)
{
	struct vmhost_dom d;
	int r;

	if (vd_find(c, 0, &d) < 0)
		return -1;
	memset(ret, 0, sizeof(*ret));
	r = vd_hvcall(c, d.name, HV_OP_STATS, NULL, 0, ret, sizeof(*ret));
	vmhost_dom_done(&d);
	if (ret->n_devs > HV_DEVS_MAX)
		ret->n_devs = HV_DEVS_MAX;
	for (uint32_t i = 0; i < ret->n_devs; i++)
		ret->dev[i].name[sizeof(ret->dev[i].name) - 1] = 0;
	return r;
}

/* Add up the devices of @kind by that name; "": all of them. False: there is none. */
static bool sum(const struct hv_stats *st, uint32_t kind, const char *name, struct hv_dev_stats *ret)
{
	bool found = false;

	memset(ret, 0, sizeof(*ret));
	for (uint32_t i = 0; i < st->n_devs; i++) {
		const struct hv_dev_stats *d = &st->dev[i];

		if (d->kind != kind || (*name && strcmp(d->name, name)))
			continue;
		found = true;
		ret->rd_ops += d->rd_ops;
		ret->rd_bytes += d->rd_bytes;
		ret->wr_ops += d->wr_ops;
		ret->wr_bytes += d->wr_bytes;
		ret->flushes += d->flushes;
		ret->errors += d->errors;
		ret->drops += d->drops;
	}
	return found;
}

static int device_of(struct vd_call *c, uint32_t kind, const char *what, struct hv_dev_stats *ret)
{
	const char *name = c->args.arg[1].s;
	struct hv_stats st;

	if (stats_of(c, &st) < 0)
		return -1;
	if (!sum(&st, kind, name, ret))
		return vd_fail(c, VD_E_INVALID_ARG, "invalid argument: no %s '%.40s'", what, name);
	return 0;
}

int vdh_block_stats(struct vd_call *c)
{
	struct hv_dev_stats d;

	if (device_of(c, KIND_BLOCK, "disk", &d) < 0)
		return -1;
	xdr_put_u64(&c->out, d.rd_ops);
	xdr_put_u64(&c->out, d.rd_bytes);
	xdr_put_u64(&c->out, d.wr_ops);
	xdr_put_u64(&c->out, d.wr_bytes);
	xdr_put_u64(&c->out, d.errors);
	return 0;
}

/* With nparams 0 it asks how many there are. */
int vdh_block_stats_flags(struct vd_call *c)
{
	const uint32_t n = 5;
	struct hv_dev_stats d;
	struct vd_list l;

	if (device_of(c, KIND_BLOCK, "disk", &d) < 0)
		return -1;
	l = vd_list_begin(&c->out);
	if (c->args.arg[2].u >= n) {
		vd_put_ullong(&l, "wr_bytes", d.wr_bytes);
		vd_put_ullong(&l, "wr_operations", d.wr_ops);
		vd_put_ullong(&l, "rd_bytes", d.rd_bytes);
		vd_put_ullong(&l, "rd_operations", d.rd_ops);
		vd_put_ullong(&l, "flush_operations", d.flushes);
		vd_list_end(&l);
	}
	xdr_put_u32(&c->out, n);
	return 0;
}

int vdh_interface_stats(struct vd_call *c)
{
	struct hv_dev_stats d;

	if (device_of(c, KIND_NET, "interface", &d) < 0)
		return -1;
	/* as the guest sees it: received, sent */
	xdr_put_u64(&c->out, d.rd_bytes);
	xdr_put_u64(&c->out, d.rd_ops);
	xdr_put_u64(&c->out, d.errors);
	xdr_put_u64(&c->out, d.drops);
	xdr_put_u64(&c->out, d.wr_bytes);
	xdr_put_u64(&c->out, d.wr_ops);
	xdr_put_u64(&c->out, 0);
	xdr_put_u64(&c->out, 0);
	return 0;
}

int vdh_memory_stats(struct vd_call *c)
{
	struct {
		uint32_t tag;
		uint64_t v;
	} m[HV_MEM_COUNT + 3];
	uint32_t n = 0;
	struct hv_stats st;
	struct vmhost_dom d;

	if (stats_of(c, &st) < 0 || vd_find(c, 0, &d) < 0)
		return -1;
	m[n].tag = MEM_ACTUAL;
	m[n++].v = (d.running ? d.info.ram_current_bytes : 0) / 1024;
	m[n].tag = MEM_RSS;
	m[n++].v = (st.ram_used_bytes + st.hv_rss_bytes) / 1024;
	for (size_t i = 0; st.mem_at_s && i < HV_MEM_COUNT; i++) {
		if (st.mem[i] == UINT64_MAX)
			continue;
		m[n].tag = guest_mem[i].tag;
		m[n++].v = st.mem[i] / guest_mem[i].unit;
	}
	if (st.mem_at_s) {
		m[n].tag = MEM_LAST_UPDATE;
		m[n++].v = st.mem_at_s;
	}
	n = n < c->args.arg[1].u ? n : c->args.arg[1].u;
	xdr_put_u32(&c->out, n);
	for (uint32_t i = 0; i < n; i++) {
		xdr_put_u32(&c->out, m[i].tag);
		xdr_put_u64(&c->out, m[i].v);
	}
	vmhost_dom_done(&d);
	return 0;
}

static void put_devices(struct vd_list *l, const struct hv_stats *st, uint32_t kind, const char *group)
{
	char field[64];
	uint32_t n = 0;

	for (uint32_t i = 0; i < st->n_devs; i++)
		n += st->dev[i].kind == kind;
	snprintf(field, sizeof(field), "%s.count", group);
	vd_put_uint(l, field, n);
	n = 0;
	for (uint32_t i = 0; i < st->n_devs; i++) {
		const struct hv_dev_stats *d = &st->dev[i];
		const struct {
			const char *net, *block;
			uint64_t v;
		} f[] = {
			{ "rx.bytes", "rd.bytes", d->rd_bytes },
			{ "rx.pkts", "rd.reqs", d->rd_ops },
			{ "tx.bytes", "wr.bytes", d->wr_bytes },
			{ "tx.pkts", "wr.reqs", d->wr_ops },
			{ "rx.drop", "fl.reqs", kind == KIND_NET ? d->drops : d->flushes },
			{ "rx.errs", "errors", d->errors },
		};

		if (d->kind != kind)
			continue;
		snprintf(field, sizeof(field), "%s.%u.name", group, n);
		vd_put_text(l, field, d->name);
		for (size_t k = 0; k < ARRAY_SIZE(f); k++) {
			snprintf(field, sizeof(field), "%s.%u.%s", group, n, kind == KIND_NET ? f[k].net : f[k].block);
			vd_put_ullong(l, field, f[k].v);
		}
		n++;
	}
}

static void put_guest_mem(struct vd_list *l, const struct hv_stats *st)
{
	char field[64];

	if (!st->mem_at_s)
		return;
	for (size_t i = 0; i < HV_MEM_COUNT; i++) {
		if (st->mem[i] == UINT64_MAX)
			continue;
		snprintf(field, sizeof(field), "balloon.%s", guest_mem[i].name);
		vd_put_ullong(l, field, st->mem[i] / guest_mem[i].unit);
	}
	vd_put_ullong(l, "balloon.last-update", st->mem_at_s);
}

static void put_stats(struct vd_call *c, const struct vmhost_dom *d, uint32_t groups)
{
	struct hv_stats st = { 0 };
	bool live = d->running && !vd_hvcall(c, d->name, HV_OP_STATS, NULL, 0, &st, sizeof(st));
	struct vd_list l;
	int32_t state, reason;

	c->code = 0; /* that one domain has no numbers is no error of the call */
	if (st.n_devs > HV_DEVS_MAX)
		st.n_devs = HV_DEVS_MAX;
	for (uint32_t i = 0; i < st.n_devs; i++)
		st.dev[i].name[sizeof(st.dev[i].name) - 1] = 0;
	vd_put_found(&c->out, d);
	l = vd_list_begin(&c->out);
	vd_state(d, &state, &reason);
	if (groups & G_STATE) {
		vd_put_int(&l, "state.state", state);
		vd_put_int(&l, "state.reason", reason);
	}
	if ((groups & G_CPU) && live) {
		vd_put_ullong(&l, "cpu.time", st.cpu_ns);
		vd_put_ullong(&l, "cpu.system", st.hv_cpu_ns);
	}
	if (groups & G_BALLOON) {
		if (live)
			vd_put_ullong(&l, "balloon.current", d->info.ram_current_bytes / 1024);
		vd_put_ullong(&l, "balloon.maximum", vmhost_ram(d) / 1024);
		if (live)
			vd_put_ullong(&l, "balloon.rss", (st.ram_used_bytes + st.hv_rss_bytes) / 1024);
		if (live)
			put_guest_mem(&l, &st);
	}
	if (groups & G_VCPU) {
		vd_put_uint(&l, "vcpu.current", vmhost_vcpus(d));
		vd_put_uint(&l, "vcpu.maximum", vmhost_vcpus(d));
	}
	if ((groups & G_INTERFACE) && live)
		put_devices(&l, &st, KIND_NET, "net");
	if ((groups & G_BLOCK) && live)
		put_devices(&l, &st, KIND_BLOCK, "block");
	vd_list_end(&l);
}

static void put_named(struct vd_call *c, uint32_t *n, const char *name, const uint8_t *uuid, uint32_t groups,
                      uint32_t flags)
{
	uint8_t is[XDR_UUID];
	struct vmhost_dom d;

	if (vd_find_name(c, name, &d) < 0) {
		c->code = 0; /* it has gone: left out, as libvirt does */
		return;
	}
	vd_uuid(&d, is);
	if ((!uuid || !memcmp(is, uuid, XDR_UUID)) && vdh_wanted(&d, flags)) {
		put_stats(c, &d, groups);
		++*n;
	}
	vmhost_dom_done(&d);
}

int vdh_all_stats(struct vd_call *c)
{
	const struct vd_arg *doms = &c->args.arg[0];
	uint32_t groups = c->args.arg[1].u ? c->args.arg[1].u : G_ALL, flags = c->args.arg[2].u, n = 0;
	struct vmhost_names names = { 0 };
	struct vd_list count;
	struct err err = { 0 };
	int r;

	if ((flags & F_ENFORCE) && (groups & ~G_ALL))
		return vd_fail(c, VD_E_UNSUPPORTED, "Stats types bits 0x%x are not supported by this daemon",
		               groups & ~G_ALL);
	flags &= ~(F_NOWAIT | F_BACKING | F_ENFORCE);
	count = vd_list_begin(&c->out);
	for (size_t i = 0; i < doms->n; i++)
		put_named(c, &n, doms->dom[i].name, doms->dom[i].uuid, groups, flags);
	if (!doms->n) {
		r = vmhost_names(true, &names, &err);
		if (r < 0)
			return vd_fail_err(c, r, &err);
		for (size_t i = 0; i < names.n; i++)
			put_named(c, &n, names.name[i], NULL, groups, flags);
		vmhost_names_done(&names);
	}
	count.n = n;
	vd_list_end(&count);
	return 0;
}
