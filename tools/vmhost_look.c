/* SPDX-License-Identifier: GPL-2.0-or-later */
/* What domains this host has, and the connection to one. See vmhost.h. */
#include "config.h"
#include "tools/vmhost.h"

#include <dirent.h>
#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>
#include "common/loop.h"
#include "common/util.h"
#include "hypervisor/api/dompath.h"

#define NAMES_MAX 4096u

int vmhost_definition_path(const char *name, char **ret, struct err *err)
{
	if (!name_is_valid(name))
		return err_set(err, EINVAL, "\"%s\" is no domain name", name);
	*ret = dompath_definition(name);
	return 0;
}

bool vmhost_is_defined(const char *name)
{
	_cleanup_free_ char *path = NULL;

	return !vmhost_definition_path(name, &path, NULL) && !access(path, F_OK);
}

int vmhost_connect(struct hvcall *c, const char *name, struct err *err)
{
	_cleanup_free_ char *log = dompath_log(name);
	int r = hvcall_open(c, name, err);

	if (r == -ENOENT && vmhost_is_defined(name))
		return err_set(err, r, "domain '%s' is shut off; vmctl start %s", name, name);
	if (r == -ENOENT)
		return err_set(err, r, "no domain '%s'; vmctl list --all shows those that there are", name);
	if (r == -ECONNREFUSED)
		return err_set(err, r, "domain '%s' does not run: its hvdom died, see %s; vmctl start %s", name, log,
		               name);
	if (r == -EACCES)
		return err_set(err, r, "domain '%s': permission denied; run vmctl as the user that started it (root?)",
		               name);
	return r;
}

bool vmhost_is_running(const char *name)
{
	_cleanup_hvcall_ struct hvcall c;

	return !hvcall_open(&c, name, NULL);
}

bool vmhost_wait_gone(struct hvcall *c, const char *name, unsigned ms, const volatile sig_atomic_t *stop)
{
	uint64_t deadline = now_ns() + ms * NS_PER_MS;
	bool closed = false;

	while (now_ns() < deadline && !(stop && *stop)) {
		struct hv_info info;

		if (!closed) {
			int r = hvcall_simple(c, HV_OP_INFO, NULL, 0, &info, sizeof(info), NULL);

			closed = r == -ECONNRESET || r == -EPIPE;
		}
		if (closed) {
			_cleanup_hvcall_ struct hvcall again = { .fd = -1 };

			if (hvcall_open(&again, name, NULL) == -ENOENT)
				return true;
		}
		usleep(5000);
	}
	return closed;
}

int vmhost_running_xml(struct hvcall *c, char **ret, struct err *err)
{
	_cleanup_free_ char *xml = malloc(HV_PAYLOAD_MAX + 1);
	size_t len = 0;
	int r;

	if (!xml)
		return err_sys(err, ENOMEM, "dumpxml");
	r = hvcall(c, HV_OP_DUMPXML, NULL, 0, NULL, 0, xml, HV_PAYLOAD_MAX, &len, NULL, NULL, err);
	if (r < 0)
		return r;
	xml[len] = 0;
	*ret = steal_ptr(&xml);
	return 0;
}

const char *vmhost_state_name(uint32_t state)
{
	static const char *const names[] = {
		[HV_DOM_BOOTING] = "booting",     [HV_DOM_RUNNING] = "running",         [HV_DOM_PAUSED] = "paused",
		[HV_DOM_SUSPENDED] = "suspended", [HV_DOM_RELINQUISHED] = "moved away", [HV_DOM_INCOMING] = "incoming",
		[HV_DOM_RESTORED] = "restored",   [HV_DOM_SHUTDOWN] = "in shutdown",    [HV_DOM_CRASHED] = "crashed",
		[HV_DOM_PARKED] = "parked",
	};

	return state < ARRAY_SIZE(names) && names[state] ? names[state] : "unknown";
}

static int names_add(struct vmhost_names *l, const char *name, size_t len, struct err *err)
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
static int names_from(struct vmhost_names *l, const char *dir, const char *suffix, struct err *err)
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

void vmhost_names_done(struct vmhost_names *l)
{
	free(l->name);
	l->name = NULL;
	l->n = 0;
}

int vmhost_names(bool all, struct vmhost_names *ret, struct err *err)
{
	_cleanup_free_ char *defs = dompath_definitions(), *runs = dompath_runs();
	struct vmhost_names l = { 0 };
	int r = names_from(&l, runs, "", err);

	if (!r && all)
		r = names_from(&l, defs, ".xml", err);
	if (r < 0) {
		vmhost_names_done(&l);
		return r;
	}
	if (l.n)
		qsort(l.name, l.n, sizeof(*l.name), by_name);
	*ret = l;
	return 0;
}

void vmhost_look(struct vmhost_dom *d, const char *name)
{
	_cleanup_hvcall_ struct hvcall c = { .fd = -1 };
	_cleanup_free_ char *path = NULL;
	int r;

	memset(d, 0, sizeof(*d));
	snprintf(d->name, sizeof(d->name), "%s", name);
	if (!vmhost_definition_path(name, &path, NULL) && !access(path, F_OK)) {
		d->defined = true;
		(void)!dom_config_load(path, &d->cfg, &d->broken);
	}
	r = hvcall_open(&c, name, NULL);
	d->dead = r == -ECONNREFUSED;
	d->silent = r == -ETIMEDOUT; /* it does not even accept */
	if (r < 0)
		return;
	c.timeout_ms = 3000;
	d->running = !hvcall_simple(&c, HV_OP_INFO, NULL, 0, &d->info, sizeof(d->info), NULL);
	d->silent = !d->running;
	d->info.uuid[sizeof(d->info.uuid) - 1] = 0;
	d->info.owner[sizeof(d->info.owner) - 1] = 0;
	d->info.reason_text[sizeof(d->info.reason_text) - 1] = 0;
}

void vmhost_dom_done(struct vmhost_dom *d)
{
	dom_config_free(d->cfg);
}

const char *vmhost_state(const struct vmhost_dom *d)
{
	if (d->silent)
		return "no answer";
	return d->running ? vmhost_state_name(d->info.state) : d->dead ? "crashed" : "shut off";
}

int vmhost_find(struct vmhost_dom *d, const char *name, struct err *err)
{
	if (!name_is_valid(name))
		return err_set(err, EINVAL, "\"%s\" is no domain name", name);
	vmhost_look(d, name);
	if (d->running || d->silent || d->dead || d->defined)
		return 0;
	return err_set(err, ENOENT, "no domain '%s'; vmctl list --all shows those that there are", name);
}

const char *vmhost_reason(const struct vmhost_dom *d)
{
	return d->running ? d->info.reason_text : "";
}

const char *vmhost_uuid(const struct vmhost_dom *d)
{
	return d->running ? d->info.uuid : d->cfg ? d->cfg->uuid : "";
}

uint64_t vmhost_ram(const struct vmhost_dom *d)
{
	return d->running ? d->info.ram_bytes : d->cfg ? d->cfg->memory_bytes : 0;
}

unsigned vmhost_vcpus(const struct vmhost_dom *d)
{
	return d->running ? d->info.vcpus : d->cfg ? d->cfg->vcpus : 0;
}
