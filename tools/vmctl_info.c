/* SPDX-License-Identifier: GPL-2.0-or-later */
/* vmctl list, dominfo, domstate, domstats: what there is, for people and as JSON. */
#include "config.h"
#include "tools/vmctl_int.h"

#include <dirent.h>
#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include "common/util.h"
#include "hypervisor/api/dompath.h"

#define NAMES_MAX 4096u

/* What is known of one domain. */
struct dom {
	char name[HV_NAME_MAX];
	bool defined;
	bool running; /* answered: info is valid */
	bool dead;    /* its socket is there and nobody listens */
	bool silent;  /* hvdom is there but did not answer */
	struct hv_info info;
	struct dom_config *cfg; /* of the definition, owned; NULL: none or broken */
};

struct names {
	char (*name)[HV_NAME_MAX];
	size_t n;
};

static int names_add(struct names *l, const char *name, size_t len, struct err *err)
{
	char(*grown)[HV_NAME_MAX];
	char copy[HV_NAME_MAX];

	if (len >= sizeof(copy) || l->n >= NAMES_MAX)
		return 0;
	memcpy(copy, name, len);
	copy[len] = 0;
	if (!name_is_valid(copy))
		return 0;
	for (size_t i = 0; i < l->n; i++)
		if (!strcmp(l->name[i], copy))
			return 0;
	grown = realloc(l->name, (l->n + 1) * sizeof(*grown));
	if (!grown)
		return err_sys(err, ENOMEM, "list domains");
	l->name = grown;
	memcpy(grown[l->n++], copy, sizeof(copy));
	return 0;
}

/* Add the entries of @dir that end in @suffix, without it. */
static int names_from(struct names *l, const char *dir, const char *suffix, struct err *err)
{
	DIR *d = opendir(dir);
	struct dirent *e;
	int r = 0;

	if (!d)
		return errno == ENOENT ? 0 : err_sys(err, errno, "read %s", dir);
	while (!r && (e = readdir(d))) {
		size_t len = strlen(e->d_name), cut = strlen(suffix);

		if (len > cut && !strcmp(e->d_name + len - cut, suffix))
			r = names_add(l, e->d_name, len - cut, err);
	}
	closedir(d);
	return r;
}

static int by_name(const void *a, const void *b)
{
	return strcmp(a, b);
}

static void dom_look(struct dom *d, const char *name)
{
	_cleanup_hvcall_ struct hvcall c = { .fd = -1 };
	_cleanup_free_ char *path = NULL;
	struct err err;
	int r;

	memset(d, 0, sizeof(*d));
	snprintf(d->name, sizeof(d->name), "%s", name);
	if (!vmctl_definition_path(name, &path, NULL) && !access(path, F_OK)) {
		d->defined = true;
		if (dom_config_load(path, &d->cfg, &err) < 0)
			fprintf(stderr, "vmctl: %s\n", err.text);
	}
	r = hvcall_open(&c, name, NULL);
	d->dead = r == -ECONNREFUSED;
	if (r < 0)
		return;
	c.timeout_ms = 3000;
	d->running = !hvcall_simple(&c, HV_OP_INFO, NULL, 0, &d->info, sizeof(d->info), NULL);
	d->silent = !d->running;
	d->info.uuid[sizeof(d->info.uuid) - 1] = 0;
	d->info.owner[sizeof(d->info.owner) - 1] = 0;
	d->info.reason_text[sizeof(d->info.reason_text) - 1] = 0;
}

static void dom_done(struct dom *d)
{
	dom_config_free(d->cfg);
}

static const char *dom_state(const struct dom *d)
{
	if (d->silent)
		return "no answer";
	return d->running ? vmctl_state_name(d->info.state) : d->dead ? "crashed" : "shut off";
}

/* As dom_look, an error when there is no such domain. */
static int dom_find(struct dom *d, const char *name, struct err *err)
{
	if (!name_is_valid(name))
		return err_set(err, EINVAL, "\"%s\" is no domain name", name);
	dom_look(d, name);
	if (d->running || d->silent || d->dead || d->defined)
		return 0;
	return err_set(err, ENOENT, "no domain '%s'; vmctl list --all shows those that there are", name);
}

/* Why it is paused, or what it waits for; "": nothing to say. */
static const char *dom_reason(const struct dom *d)
{
	return d->running ? d->info.reason_text : "";
}

static const char *dom_uuid(const struct dom *d)
{
	return d->running ? d->info.uuid : d->cfg ? d->cfg->uuid : "";
}

static uint64_t dom_ram(const struct dom *d)
{
	return d->running ? d->info.ram_bytes : d->cfg ? d->cfg->memory_bytes : 0;
}

static json_t *dom_json(const struct dom *d)
{
	json_t *o = json_pack("{s:s, s:s, s:s, s:b, s:I, s:i}", "name", d->name, "uuid", dom_uuid(d), "state",
	                      dom_state(d), "persistent", (int)d->defined, "ram_bytes", (json_int_t)dom_ram(d), "vcpus",
	                      (int)(d->running ? d->info.vcpus
	                            : d->cfg   ? d->cfg->vcpus
	                                       : 0));

	if (o && d->running)
		json_object_update_new(o, json_pack("{s:i, s:I, s:I, s:I, s:s, s:I, s:I, s:s, s:I}", "pid",
		                                    (int)d->info.pid, "ram_current_bytes",
		                                    (json_int_t)d->info.ram_current_bytes, "uptime_ms",
		                                    (json_int_t)(d->info.uptime_ns / NS_PER_MS), "generation",
		                                    (json_int_t)d->info.generation, "owner", d->info.owner,
		                                    "heartbeat_s", (json_int_t)d->info.beat_s, "watchdog_count",
		                                    (json_int_t)d->info.watchdog_count, "reason", dom_reason(d),
		                                    "disk_wait_ms", (json_int_t)d->info.disk_wait_ms));
	return o;
}

static void list_line(const struct dom *d)
{
	char pid[16] = "-", ram[32];

	if (d->running)
		snprintf(pid, sizeof(pid), "%d", d->info.pid);
	printf(" %-8s %-24s %-12s %s\n", pid, d->name, dom_state(d), size_format(dom_ram(d), ram, sizeof(ram)));
}

int vmctl_list(struct cli *v, struct err *err)
{
	_cleanup_free_ char *defs = dompath_definitions(), *runs = dompath_runs();
	bool all = cli_opt(v, 0), only_names = cli_opt(v, 1);
	json_t *array = v->json ? json_array() : NULL;
	struct names l = { 0 };
	int r = names_from(&l, runs, "", err);

	if (!r && all)
		r = names_from(&l, defs, ".xml", err);
	if (!r && l.n)
		qsort(l.name, l.n, sizeof(*l.name), by_name);
	if (!r && !v->json && !only_names)
		printf(" %-8s %-24s %-12s %s\n%s\n", "Pid", "Name", "State", "Memory",
		       "-----------------------------------------------------------");
	for (size_t i = 0; !r && i < l.n; i++) {
		struct dom d;

		dom_look(&d, l.name[i]);
		if (d.running || d.silent || (all && (d.defined || d.dead))) {
			if (v->json)
				json_array_append_new(array, dom_json(&d));
			else if (only_names)
				printf("%s\n", d.name);
			else
				list_line(&d);
		}
		dom_done(&d);
	}
	free(l.name);
	if (v->json && !r)
		return vmctl_print_json(array, err);
	json_decref(array);
	return r;
}

int vmctl_domstate(struct cli *v, struct err *err)
{
	struct dom d;
	int r = dom_find(&d, v->arg[0], err);

	if (r < 0)
		return r;
	if (v->json)
		r = vmctl_print_json(json_pack("{s:s, s:s, s:s}", "name", d.name, "state", dom_state(&d), "reason",
		                               dom_reason(&d)),
		                     err);
	else if (cli_opt(v, 0) && *dom_reason(&d))
		printf("%s (%s)\n", dom_state(&d), dom_reason(&d));
	else
		printf("%s\n", dom_state(&d));
	dom_done(&d);
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

int vmctl_dominfo(struct cli *v, struct err *err)
{
	char size[32];
	struct dom d;
	int r = dom_find(&d, v->arg[0], err);

	if (r < 0)
		return r;
	if (v->json) {
		r = vmctl_print_json(dom_json(&d), err);
		dom_done(&d);
		return r;
	}
	info_line("Name:", "%s", d.name);
	info_line("UUID:", "%s", dom_uuid(&d));
	info_line("State:", "%s", dom_state(&d));
	if (*dom_reason(&d))
		info_line("Reason:", "%s", dom_reason(&d));
	info_line("Persistent:", "%s", d.defined ? "yes" : "no");
	info_line("CPU(s):", "%u", d.running ? d.info.vcpus : d.cfg ? d.cfg->vcpus : 0);
	info_line("Max memory:", "%s", size_format(dom_ram(&d), size, sizeof(size)));
	if (d.running) {
		info_line("Used memory:", "%s", size_format(d.info.ram_current_bytes, size, sizeof(size)));
		info_line("Pid:", "%d", d.info.pid);
		info_line("Uptime:", "%.1f s", (double)d.info.uptime_ns / 1e9);
		info_line("Owner:", "%s, generation %" PRIu64, *d.info.owner ? d.info.owner : "this host",
		          d.info.generation);
		if (d.info.beat_s)
			info_line("Heartbeat:", "within %u s", d.info.beat_s);
		if (d.info.watchdog_count)
			info_line("Heartbeat lost:", "%u times", d.info.watchdog_count);
	}
	dom_done(&d);
	return 0;
}

static const char *dev_kind(uint32_t kind)
{
	static const char *const names[] = {
		[1] = "net", [2] = "block", [3] = "console", [4] = "rng", [5] = "balloon"
	};

	return kind < ARRAY_SIZE(names) && names[kind] ? names[kind] : "other";
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
	if (o)
		json_object_set_new(o, "devices", devs);
	else
		json_decref(devs);
	return o;
}

int vmctl_domstats(struct cli *v, struct err *err)
{
	_cleanup_hvcall_ struct hvcall c = { .fd = -1 };
	char size[32], size2[32];
	struct hv_stats st;
	int r = vmctl_connect(&c, v->arg[0], err);

	if (!r)
		r = hvcall_simple(&c, HV_OP_STATS, NULL, 0, &st, sizeof(st), err);
	if (r < 0)
		return r;
	if (v->json)
		return vmctl_print_json(stats_json(v->arg[0], &st), err);
	info_line("CPU time:", "%.3f s (hvdom itself %.3f s)", (double)st.cpu_ns / 1e9, (double)st.hv_cpu_ns / 1e9);
	info_line("Memory:", "%s of %s in use", size_format(st.ram_used_bytes, size, sizeof(size)),
	          size_format(st.ram_bytes, size2, sizeof(size2)));
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
