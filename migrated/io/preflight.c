/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Preflight on the target: see preflight.h. Order: cheapest and most telling first. */
#include "config.h"
#include "migrated/io/preflight.h"
#include <dirent.h>
#include <errno.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>
#include "common/builds.h"
#include "common/util.h"
#include "hypervisor/api/cpufeat.h"
#include "hypervisor/api/domcfg.h"
#include "hypervisor/api/dompath.h"
#include "hypervisor/api/hvcall.h"
#include "hypervisor/api/hvcheck.h"
#include "hypervisor/api/imgchain.h"
#include "hypervisor/api/pathconf.h"

#define RAM_SPARE_BYTES (64ull << 20) /* left to the host and hvdom */

static int check_cpu(const Hospes__Mig__Offer *o, const char *here, struct err *err)
{
	const char *have[CPU_FEATURES_MAX];
	unsigned n = cpu_features_here(have, err);
	char missing[256] = "";
	size_t at = 0;

	for (size_t i = 0; i < o->n_cpu_features; i++) {
		bool found = false;
		for (unsigned k = 0; k < n && !found; k++)
			found = !strcmp(have[k], o->cpu_features[i]);
		if (!found && at < sizeof(missing) - 40)
			at += (size_t)snprintf(missing + at, sizeof(missing) - at, "%s%.30s", at ? ", " : "",
			                       o->cpu_features[i]);
	}
	if (at)
		return err_set(err, ENOTSUP,
		               "the CPU of %s lacks %s, which the guest may use: choose a host with these features",
		               here, missing);
	return 0;
}

static uint64_t number_file(const char *path)
{
	_cleanup_free_ char *text = NULL;
	size_t len;

	if (file_read(path, 4096, &text, &len) < 0 || !strncmp(text, "max", 3))
		return UINT64_MAX;
	return strtoull(text, NULL, 10);
}

/* What this process and its children may still use: the machine's, or its memory cgroup's. */
static uint64_t ram_available(void)
{
	_cleanup_free_ char *text = NULL, *cg = NULL;
	size_t len;
	uint64_t avail = 0;

	if (file_read("/proc/meminfo", 65536, &text, &len) == 0) {
		char *p = strstr(text, "MemAvailable:");
		if (p)
			avail = strtoull(p + 13, NULL, 10) << 10;
	}
	if (file_read("/proc/self/cgroup", 65536, &cg, &len) == 0) {
		char *p = strstr(cg, "0::");
		if (p) {
			p[strcspn(p, "\n")] = 0;
			_cleanup_free_ char *max = xasprintf("/sys/fs/cgroup%s/memory.max", p + 3);
			_cleanup_free_ char *cur = xasprintf("/sys/fs/cgroup%s/memory.current", p + 3);
			uint64_t limit = number_file(max), used = number_file(cur);
			if (limit != UINT64_MAX && used != UINT64_MAX) {
				uint64_t left = limit > used ? limit - used : 0;
				avail = left < avail ? left : avail;
			}
		}
	}
	return avail;
}

static int check_ram(const Hospes__Mig__Offer *o, const char *here, uint64_t promised, uint64_t *ret, struct err *err)
{
	uint64_t avail = ram_available(), need = o->ram_bytes + RAM_SPARE_BYTES;
	char a[32], b[32];

	avail = avail > promised ? avail - promised : 0;
	*ret = avail;
	if (need < o->ram_bytes || need > avail)
		return err_set(err, ENOMEM,
		               "%s has %s of memory to give, %s needs %s: free some there, or choose another host",
		               here, size_format(avail, a, sizeof(a)), o->name, size_format(need, b, sizeof(b)));
	return 0;
}

static int check_free(const Hospes__Mig__Offer *o, const char *here, struct err *err)
{
	_cleanup_free_ char *dir = dompath_runs();
	DIR *d = opendir(dir);
	int r = 0;

	if (!d)
		return 0; /* no domain ran here yet */
	for (struct dirent *e; r == 0 && (e = readdir(d));) {
		struct hvcall hv;
		struct hv_info info;
		if (!name_is_valid(e->d_name) || hvcall_open(&hv, e->d_name, NULL) < 0)
			continue;
		hv.timeout_ms = 2000;
		if (hvcall_simple(&hv, HV_OP_INFO, NULL, 0, &info, sizeof(info), NULL) < 0)
			memset(&info, 0, sizeof(info));
		hvcall_close(&hv);
		if (!strcmp(e->d_name, o->name))
			r = err_set(err, EEXIST, "a domain named %s runs on %s already: rename or stop one of them",
			            o->name, here);
		else if (!strncasecmp(info.uuid, o->uuid, 36))
			r = err_set(err, EEXIST, "domain %s on %s has the same uuid %s", e->d_name, here, o->uuid);
	}
	closedir(d);
	return r;
}

static int check_devices(const struct dom_config *cfg, const char *here, struct err *err)
{
	for (size_t i = 0; i < cfg->n_nics; i++) {
		const struct dom_nic *n = &cfg->nic[i];
		_cleanup_free_ char *path = xasprintf("/sys/class/net/%s/bridge", n->bridge);
		if (n->type == DOM_NIC_BRIDGE && access(path, F_OK) < 0)
			return err_set(err, ENODEV, "%s has no bridge %s: create it there (ip link add %s type bridge)",
			               here, n->bridge, n->bridge);
	}
	for (size_t i = 0; i < cfg->n_disks; i++) {
		const struct dom_disk *k = &cfg->disk[i];
		struct err why = { 0 };
		_cleanup_free_ char *what = xasprintf("disk %s", k->target);
		struct imgchain chain;
		int r = imgchain_open(cfg->paths, k, what, &chain, &why);
		if (r < 0)
			return err_set(err, -r, "%s cannot take %s: %s: put it on storage that both hosts reach", here,
			               k->source, why.text);
		imgchain_done(&chain);
	}
	return 0;
}

/* What hvdom itself says: engine, guest kernel, paths. */
static int check_engine(const Hospes__Mig__Offer *o, const struct dom_config *cfg, const char *here,
                        uint64_t ret_base[2], struct err *err)
{
	struct err why = { 0 };
	struct hvcheck_engine e;
	int r = hvcheck_domain((const char *)o->xml.data, o->xml.len, &e, &why);

	if (e.name[0] && strcmp(o->engine, e.name))
		return err_set(err, ENOTSUP, "the offered domain runs on engine %s, its XML asks for another",
		               o->engine);
	if (r < 0)
		return err_set(err, r, "%s cannot run %s: %s: mend that there, or choose another host", here, o->name,
		               why.text);
	memcpy(ret_base, e.base, sizeof(e.base));
	if (build_takes(o->kernel_id, e.identity, e.newer, false))
		return 0;
	/* for people, or a hash, which tells them nothing */
	if (strchr(e.identity, ' '))
		return err_set(
			err, EXDEV,
			"%s runs on %s %.40s, and %s has %s: have the same version%s, machine and processor there, or start it anew there",
			o->name, o->engine, o->kernel_id, here, e.identity, e.newer ? " or a later one" : "");
	return err_set(
		err, EXDEV,
		"guest kernel %s (or the libc it runs on) on %s is another build than the one that runs: install the same package versions",
		cfg->kernel ? cfg->kernel : "of the engine", here);
}

/* The peer names files, and this is root: see pathopen.h. */
static int check_files(struct dom_config *cfg, const char *here, struct err *err)
{
	struct path_rules rules = { 0 };
	int r = geteuid() == 0 ? path_rules_load(&rules, err) : 0;

	cfg->paths = geteuid() == 0 ? &rules : NULL;
	if (r == 0)
		r = check_devices(cfg, here, err);
	cfg->paths = NULL;
	path_rules_done(&rules);
	return r;
}

int preflight_check(const Hospes__Mig__Offer *o, const char *here, uint64_t promised,
                    void (*at)(void *arg, const char *what), void *arg, struct preflight_found *ret, struct err *err)
{
	_cleanup_dom_config_ struct dom_config *cfg = NULL;

	if (at)
		at(arg, "one of the domains there");
	int r = check_free(o, here, err);
	if (r == 0)
		r = check_ram(o, here, promised, &ret->ram_available, err);
	if (r == 0)
		r = dom_config_parse((const char *)o->xml.data, o->xml.len, o->name, &cfg, err);
	if (r == 0 && dom_config_cpu_is_hosts(cfg)) /* older sources name theirs in any case */
		r = check_cpu(o, here, err);
	if (r < 0)
		return r;
	if (strcmp(cfg->name, o->name) || strcasecmp(cfg->uuid, o->uuid))
		return err_set(err, EPROTO, "the offered XML describes another domain than %s", o->name);
	path_touch_config(cfg, at, arg);
	r = check_engine(o, cfg, here, ret->base, err);
	return r < 0 ? r : check_files(cfg, here, err);
}
