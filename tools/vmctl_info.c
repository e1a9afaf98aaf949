/* SPDX-License-Identifier: GPL-2.0-or-later */
/* vmctl list, dominfo, domstate, domstats: what there is, for people and as JSON. */
#include "config.h"
#include "tools/vmctl_int.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include <time.h>
#include "common/util.h"
#include "hypervisor/api/hvmsg.h"

static void look(struct vmhost_dom *d, const char *name)
{
	vmhost_look(d, name);
	if (d->broken.code)
		fprintf(stderr, "vmctl: %s\n", d->broken.text);
}

static int find(struct vmhost_dom *d, const char *name, struct err *err)
{
	int r = vmhost_find(d, name, err);

	if (!r && d->broken.code)
		fprintf(stderr, "vmctl: %s\n", d->broken.text);
	return r;
}

static const char *disk_format(const struct dom_disk *k)
{
	return k->format == DOM_FORMAT_QCOW2 ? "qcow2" : "raw";
}

/* Of the definition. */
static json_t *disks_json(const struct dom_config *cfg)
{
	json_t *a = json_array();

	for (size_t i = 0; i < cfg->n_disks; i++) {
		const struct dom_disk *k = &cfg->disk[i];
		json_array_append_new(a, json_pack("{s:s, s:s, s:s, s:s, s:b, s:b}", "target", k->target, "bus",
		                                   dom_bus_name(k->at.bus), "format", disk_format(k), "source",
		                                   k->source, "cdrom", (int)k->cdrom, "readonly", (int)k->readonly));
	}
	return a;
}

static json_t *dom_json(const struct vmhost_dom *d)
{
	json_t *o = json_pack("{s:s, s:s, s:s, s:b, s:I, s:i}", "name", d->name, "uuid", vmhost_uuid(d), "state",
	                      vmhost_state(d), "persistent", (int)d->defined, "ram_bytes", (json_int_t)vmhost_ram(d),
	                      "vcpus", (int)vmhost_vcpus(d));

	if (o && d->running)
		json_object_update_new(o, json_pack("{s:i, s:I, s:I, s:I, s:s, s:I, s:I, s:s, s:I, s:I, s:s}", "pid",
		                                    (int)d->info.pid, "ram_current_bytes",
		                                    (json_int_t)d->info.ram_current_bytes, "uptime_ms",
		                                    (json_int_t)(d->info.uptime_ns / NS_PER_MS), "generation",
		                                    (json_int_t)d->info.generation, "owner", d->info.owner,
		                                    "heartbeat_s", (json_int_t)d->info.beat_s, "watchdog_count",
		                                    (json_int_t)d->info.watchdog_count, "reason", vmhost_reason(d),
		                                    "disk_wait_ms", (json_int_t)d->info.disk_wait_ms, "frozen_s",
		                                    (json_int_t)d->info.frozen_s, "logdirty",
		                                    hv_logdirty_by(d->info.logdirty_by)));
	if (o && d->cfg)
		json_object_set_new(o, "disks", disks_json(d->cfg));
	return o;
}

static void list_line(const struct vmhost_dom *d)
{
	char pid[16] = "-", ram[32];

	if (d->running)
		snprintf(pid, sizeof(pid), "%d", d->info.pid);
	printf(" %-8s %-24s %-12s %s\n", pid, d->name, vmhost_state(d), size_format(vmhost_ram(d), ram, sizeof(ram)));
}

int vmctl_list(struct cli *v, struct err *err)
{
	bool all = cli_opt(v, 0), only_names = cli_opt(v, 1);
	json_t *array = v->json ? json_array() : NULL;
	struct vmhost_names l = { 0 };
	int r = vmhost_names(all, &l, err);

	if (!r && !v->json && !only_names)
		printf(" %-8s %-24s %-12s %s\n%s\n", "Pid", "Name", "State", "Memory",
		       "-----------------------------------------------------------");
	for (size_t i = 0; !r && i < l.n; i++) {
		struct vmhost_dom d;

		look(&d, l.name[i]);
		if (d.running || d.silent || (all && (d.defined || d.dead))) {
			if (v->json)
				json_array_append_new(array, dom_json(&d));
			else if (only_names)
				printf("%s\n", d.name);
			else
				list_line(&d);
		}
		vmhost_dom_done(&d);
	}
	vmhost_names_done(&l);
	if (v->json && !r)
		return vmctl_print_json(v, array, err);
	json_decref(array);
	return r;
}

int vmctl_domstate(struct cli *v, struct err *err)
{
	struct vmhost_dom d;
	int r = find(&d, v->arg[0], err);

	if (r < 0)
		return r;
	if (v->json)
		r = vmctl_print_json(v,
		                     json_pack("{s:s, s:s, s:s}", "name", d.name, "state", vmhost_state(&d), "reason",
		                               vmhost_reason(&d)),
		                     err);
	else if (cli_opt(v, 0) && *vmhost_reason(&d))
		printf("%s (%s)\n", vmhost_state(&d), vmhost_reason(&d));
	else
		printf("%s\n", vmhost_state(&d));
	vmhost_dom_done(&d);
	return r;
}

static void info_line(const char *key, const char *fmt, ...) __attribute__((format(printf, 2, 3)));
static void info_line(const char *key, const char *fmt, ...)
{
	va_list ap;

	printf("%-16s ", key);
	va_start(ap, fmt);
	vprintf(fmt, ap);
	va_end(ap);
	putchar('\n');
}

static void print_disks(const struct dom_config *cfg)
{
	for (size_t i = 0; i < cfg->n_disks; i++) {
		const struct dom_disk *k = &cfg->disk[i];
		info_line(i ? "" : "Disks:", "%s %s, %s%s: %s", k->target, dom_bus_name(k->at.bus), disk_format(k),
		          k->cdrom      ? ", CD-ROM"
		          : k->readonly ? ", read-only"
		                        : "",
		          k->source);
	}
}

int vmctl_dominfo(struct cli *v, struct err *err)
{
	char size[32];
	struct vmhost_dom d;
	int r = find(&d, v->arg[0], err);

	if (r < 0)
		return r;
	if (v->json) {
		r = vmctl_print_json(v, dom_json(&d), err);
		vmhost_dom_done(&d);
		return r;
	}
	info_line("Name:", "%s", d.name);
	info_line("UUID:", "%s", vmhost_uuid(&d));
	info_line("State:", "%s", vmhost_state(&d));
	if (*vmhost_reason(&d))
		info_line("Reason:", "%s", vmhost_reason(&d));
	info_line("Persistent:", "%s", d.defined ? "yes" : "no");
	info_line("CPU(s):", "%u", vmhost_vcpus(&d));
	info_line("Max memory:", "%s", size_format(vmhost_ram(&d), size, sizeof(size)));
	if (d.running) {
		info_line("Used memory:", "%s", size_format(d.info.ram_current_bytes, size, sizeof(size)));
		info_line("Pid:", "%d", d.info.pid);
		info_line("Uptime:", "%.1f s", (double)d.info.uptime_ns / 1e9);
		info_line("Owner:", "%s, generation %" PRIu64, *d.info.owner ? d.info.owner : "this host",
		          d.info.generation);
		if (d.info.logdirty_by != HV_LOGDIRTY_BY_UNKNOWN)
			info_line("Log-dirty:", "by %s", hv_logdirty_by(d.info.logdirty_by));
		if (d.info.frozen_s)
			info_line("File systems:", "frozen, for %u s at most", d.info.frozen_s);
		if (d.info.beat_s)
			info_line("Heartbeat:", "within %u s", d.info.beat_s);
		if (d.info.watchdog_count)
			info_line("Heartbeat lost:", "%u times", d.info.watchdog_count);
	}
	if (d.cfg)
		print_disks(d.cfg);
	vmhost_dom_done(&d);
	return 0;
}

static const char *dev_kind(uint32_t kind)
{
	static const char *const names[] = {
		[1] = "net", [2] = "block", [3] = "console", [4] = "rng", [5] = "balloon"
	};

	return kind < ARRAY_SIZE(names) && names[kind] ? names[kind] : "other";
}

/* By enum hv_mem. */
static const char *const mem_names[HV_MEM_COUNT] = { "available_bytes",   "unused_bytes",  "usable_bytes",
	                                             "disk_caches_bytes", "swap_in_bytes", "swap_out_bytes",
	                                             "major_faults",      "minor_faults" };

/* What the guest says; null: nothing. */
static json_t *guest_memory_json(const struct hv_stats *st)
{
	json_t *o = st->mem_at_s ? json_pack("{s:I}", "last_update_s", (json_int_t)st->mem_at_s) : json_null();

	for (size_t i = 0; st->mem_at_s && i < HV_MEM_COUNT; i++)
		json_object_set_new(o, mem_names[i],
		                    st->mem[i] > INT64_MAX ? json_null() : json_integer((json_int_t)st->mem[i]));
	return o;
}

static json_t *stats_json(const char *name, const struct hv_stats *st)
{
	json_t *devs = json_array(), *o;

	for (uint32_t i = 0; i < st->n_devs && i < HV_DEVS_MAX; i++) {
		const struct hv_dev_stats *d = &st->dev[i];

		json_array_append_new(devs,
		                      json_pack("{s:s%, s:s, s:b, s:I, s:I, s:I, s:I, s:I, s:I, s:I}", "name", d->name,
		                                strnlen(d->name, sizeof(d->name)), "kind", dev_kind(d->kind), "broken",
		                                d->broken != 0, "rd_ops", (json_int_t)d->rd_ops, "rd_bytes",
		                                (json_int_t)d->rd_bytes, "wr_ops", (json_int_t)d->wr_ops, "wr_bytes",
		                                (json_int_t)d->wr_bytes, "flushes", (json_int_t)d->flushes, "errors",
		                                (json_int_t)d->errors, "drops", (json_int_t)d->drops));
	}
	o = json_pack("{s:s, s:I, s:I, s:I, s:I, s:I, s:I, s:I}", "name", name, "cpu_ns", (json_int_t)st->cpu_ns,
	              "hv_cpu_ns", (json_int_t)st->hv_cpu_ns, "ram_bytes", (json_int_t)st->ram_bytes, "ram_used_bytes",
	              (json_int_t)st->ram_used_bytes, "hv_rss_bytes", (json_int_t)st->hv_rss_bytes, "processes",
	              (json_int_t)st->processes, "dirty_pages_per_s", (json_int_t)st->dirty_pages_per_s);
	if (o) {
		json_object_set_new(o, "guest_memory", guest_memory_json(st));
		json_object_set_new(o, "devices", devs);
	} else {
		json_decref(devs);
	}
	return o;
}

static const char *mem_text(const struct hv_stats *st, enum hv_mem i, char dst[32])
{
	bool faults = i == HV_MEM_MAJOR_FAULTS || i == HV_MEM_MINOR_FAULTS;

	if (st->mem[i] == UINT64_MAX)
		return "?";
	if (!faults)
		return size_format(st->mem[i], dst, 32);
	snprintf(dst, 32, "%" PRIu64, st->mem[i]);
	return dst;
}

static void print_guest_memory(const struct hv_stats *st)
{
	char text[HV_MEM_COUNT][32];
	time_t now = time(NULL);

	if (!st->mem_at_s)
		return;
#define TEXT(i) mem_text(st, i, text[i])
	info_line("Guest memory:", "%s of %s unused, %s usable, %s cache disks", TEXT(HV_MEM_UNUSED),
	          TEXT(HV_MEM_AVAILABLE), TEXT(HV_MEM_USABLE), TEXT(HV_MEM_DISK_CACHES));
	info_line("", "swapped in %s, out %s, faults %s major, %s minor, as it said %" PRIu64 " s ago",
	          TEXT(HV_MEM_SWAP_IN), TEXT(HV_MEM_SWAP_OUT), TEXT(HV_MEM_MAJOR_FAULTS), TEXT(HV_MEM_MINOR_FAULTS),
	          (uint64_t)now > st->mem_at_s ? (uint64_t)now - st->mem_at_s : 0);
#undef TEXT
}

int vmctl_domstats(struct cli *v, struct err *err)
{
	_cleanup_hvcall_ struct hvcall c = { .fd = -1 };
	char size[32], size2[32];
	struct hv_stats st;
	int r = vmhost_connect(&c, v->arg[0], err);

	if (!r)
		r = hvcall_simple(&c, HV_OP_STATS, NULL, 0, &st, sizeof(st), err);
	if (r < 0)
		return r;
	if (v->json)
		return vmctl_print_json(v, stats_json(v->arg[0], &st), err);
	info_line("CPU time:", "%.3f s (hvdom itself %.3f s)", (double)st.cpu_ns / 1e9, (double)st.hv_cpu_ns / 1e9);
	info_line("Memory:", "%s of %s in use", size_format(st.ram_used_bytes, size, sizeof(size)),
	          size_format(st.ram_bytes, size2, sizeof(size2)));
	print_guest_memory(&st);
	info_line("Beyond memory:", "%s", size_format(st.hv_rss_bytes, size, sizeof(size)));
	info_line("Processes:", "%u", st.processes);
	if (st.dirty_pages_per_s)
		info_line("Dirty rate:", "%" PRIu64 " pages/s", st.dirty_pages_per_s);
	for (uint32_t i = 0; i < st.n_devs && i < HV_DEVS_MAX; i++) {
		const struct hv_dev_stats *d = &st.dev[i];
		char name[20];

		snprintf(name, sizeof(name), "%.15s:", d->name);
		info_line(name, "%s%s, in %" PRIu64 " (%s), out %" PRIu64 " (%s), errors %" PRIu64, dev_kind(d->kind),
		          d->broken ? " BROKEN by the guest" : "", d->rd_ops,
		          size_format(d->rd_bytes, size, sizeof(size)), d->wr_ops,
		          size_format(d->wr_bytes, size2, sizeof(size2)), d->errors + d->drops);
	}
	return 0;
}
