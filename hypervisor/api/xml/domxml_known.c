/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * What of domain XML this hypervisor uses, what it keeps unused and reports, and what no libvirt domain may hold.
 *
 * The two upper levels (<domain> and <devices>) are checked against libvirt's vocabulary (domaincommon.rng), so that a
 * misspelled element is an error; below, whatever is not used is kept and listed in cfg->unknown.
 */
#include "config.h"
#include "hypervisor/api/xml/domxml_int.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include "common/util.h"

#define UNKNOWN_MAX 100u /* listed; more are only counted */

struct known {
	const char *path;  /* below domain/ */
	const char *attrs; /* used attributes, blank separated, with blanks around */
	bool text;         /* holds text; all others hold elements only */
};

/* A whole subtree: what is below belongs to others. */
#define SUBTREE " * "

static const struct known used[] = {
	{ "", " type id ", false },
	{ "name", "", true },
	{ "uuid", "", true },
	{ "title", "", true },
	{ "description", "", true },
	{ "metadata", SUBTREE, false },
	{ "memory", " unit ", true },
	{ "currentMemory", " unit ", true },
	{ "vcpu", " placement ", true },
	{ "os", "", false },
	{ "os/type", " arch machine ", true },
	{ "os/kernel", "", true },
	{ "os/initrd", "", true },
	{ "os/cmdline", "", true },
	{ "clock", " offset ", false },
	{ "on_poweroff", "", true },
	{ "on_reboot", "", true },
	{ "on_crash", "", true },
	{ "seclabel", " type model relabel ", false },
	{ "seclabel/label", "", true },
	{ "devices", "", false },
	{ "devices/disk", " type device ", false },
	{ "devices/disk/driver", " name type cache discard error_policy rerror_policy ", false },
	{ "devices/disk/source", " file dev ", false },
	{ "devices/disk/target", " dev bus ", false },
	{ "devices/disk/readonly", "", false },
	{ "devices/disk/shareable", "", false },
	{ "devices/disk/serial", "", true },
	{ "devices/interface", " type ", false },
	{ "devices/interface/source", " bridge ", false },
	{ "devices/interface/target", " dev ", false },
	{ "devices/interface/mac", " address ", false },
	{ "devices/interface/mtu", " size ", false },
	{ "devices/interface/model", " type ", false },
	{ "devices/console", " type tty ", false },
	{ "devices/console/source", " path ", false },
	{ "devices/console/target", " type port ", false },
	{ "devices/console/log", " file ", false },
	{ "devices/serial", " type tty ", false },
	{ "devices/serial/source", " path ", false },
	{ "devices/serial/target", " type port ", false },
	{ "devices/serial/log", " file ", false },
	{ "devices/rng", " model ", false },
	{ "devices/rng/backend", " model ", true },
	{ "devices/watchdog", " model action ", false },
	{ "devices/memballoon", " model ", false },
};

static const char *const domain_elements[] = {
	"name",
	"uuid",
	"genid",
	"title",
	"description",
	"metadata",
	"memory",
	"maxMemory",
	"currentMemory",
	"memoryBacking",
	"memtune",
	"numatune",
	"vcpu",
	"vcpus",
	"iothreads",
	"iothreadids",
	"defaultiothread",
	"cputune",
	"blkiotune",
	"resource",
	"cpu",
	"sysinfo",
	"os",
	"bootloader",
	"bootloader_args",
	"clock",
	"features",
	"on_poweroff",
	"on_reboot",
	"on_crash",
	"on_lockfailure",
	"pm",
	"perf",
	"idmap",
	"devices",
	"seclabel",
	"keywrap",
	"launchSecurity",
};

static const char *const device_elements[] = {
	"emulator",  "disk",       "controller", "lease",       "filesystem", "interface", "input",  "sound",
	"audio",     "hostdev",    "graphics",   "video",       "console",    "parallel",  "serial", "channel",
	"smartcard", "hub",        "redirdev",   "redirfilter", "rng",        "tpm",       "shmem",  "memory",
	"watchdog",  "memballoon", "nvram",      "panic",       "iommu",      "vsock",     "crypto",
};

static const struct known *find_used(const char *path)
{
	for (size_t i = 0; i < ARRAY_SIZE(used); i++)
		if (!strcmp(used[i].path, path))
			return &used[i];
	return NULL;
}

/* Each name once, in the order of the document. Takes @name. */
static int add_unknown(struct dom_config *cfg, char *name)
{
	char **list;

	for (size_t i = 0; i < cfg->n_unknown; i++) {
		if (!strcmp(cfg->unknown[i], name)) {
			free(name);
			return 0;
		}
	}
	if (cfg->n_unknown >= UNKNOWN_MAX) {
		free(name);
		return 0;
	}
	list = realloc(cfg->unknown, (cfg->n_unknown + 1) * sizeof(*list));
	if (!list) {
		free(name);
		return -ENOMEM;
	}
	cfg->unknown = list;
	list[cfg->n_unknown++] = name;
	return 0;
}

static int check_attrs(const xmlNode *node, const char *path, const struct known *k, struct dom_config *cfg)
{
	for (const xmlAttr *a = node->properties; a; a = a->next) {
		_cleanup_free_ char *padded = xasprintf(" %s ", (const char *)a->name);
		int r;

		if (!a->ns && strstr(k->attrs, padded))
			continue;
		r = add_unknown(cfg, xasprintf("domain%s%s/@%s", *path ? "/" : "", path, (const char *)a->name));
		if (r < 0)
			return r;
	}
	return 0;
}

static bool allowed(const xmlNode *child, const char *parent)
{
	const char *name = (const char *)child->name;

	if (child->ns)
		return true;
	if (!*parent)
		return dx_index(name, domain_elements, ARRAY_SIZE(domain_elements)) >= 0;
	if (!strcmp(parent, "devices"))
		return dx_index(name, device_elements, ARRAY_SIZE(device_elements)) >= 0;
	return true;
}

/* It has elements, and is refused by its name: parse_rng(). */
static bool is_egd(const xmlNode *node)
{
	_cleanup_free_ char *model = dx_attr(node, "model");

	return model && !strcmp(model, "egd");
}

/* Text among elements and elements in a text are lost or moved when the document is written anew: nobody means them. */
static int check_content(struct dx *x, const xmlNode *node, const struct known *k)
{
	for (const xmlNode *c = node->children; c; c = c->next) {
		if (k->text && c->type == XML_ELEMENT_NODE && !is_egd(node))
			return dx_fail(x, c, "is in <%s>, which holds only text", (const char *)node->name);
		if (!k->text && (c->type == XML_TEXT_NODE || c->type == XML_CDATA_SECTION_NODE) && !xmlIsBlankNode(c))
			return dx_fail(x, node, "holds text where only elements belong");
	}
	return 0;
}

static char *unknown_name(const xmlNode *node, const char *path)
{
	const char *name = (const char *)node->name, *sep = *path ? "/" : "";

	if (!node->ns)
		return xasprintf("domain/%s%s%s", path, sep, name);
	if (node->ns->prefix)
		return xasprintf("domain/%s%s%s:%s", path, sep, (const char *)node->ns->prefix, name);
	/* it looks as if it were one of ours */
	return xasprintf("domain/%s%s%s of namespace %.80s", path, sep, name, (const char *)node->ns->href);
}

/* Depth is bounded by the paths of the table: what is not in it is not entered. */
static int check_node(struct dx *x, const xmlNode *node, const char *path, struct dom_config *cfg)
{
	const struct known *k = find_used(path);
	int r;

	if (!strcmp(k->attrs, SUBTREE))
		return 0;
	r = check_content(x, node, k);
	if (!r)
		r = check_attrs(node, path, k, cfg);
	if (r < 0)
		return r;
	for (const xmlNode *c = node->children; c; c = c->next) {
		_cleanup_free_ char *sub = NULL;

		if (c->type != XML_ELEMENT_NODE)
			continue;
		if (!allowed(c, path))
			return dx_fail(x, c, "is no element of <%s>; is it misspelled?", *path ? path : "domain");
		sub = xasprintf("%s%s%s", path, *path ? "/" : "", (const char *)c->name);
		if (!c->ns && find_used(sub))
			r = check_node(x, c, sub, cfg);
		else
			r = add_unknown(cfg, unknown_name(c, path));
		if (r < 0)
			return r;
	}
	return 0;
}

int dx_check_known(struct dx *x, const xmlNode *domain, struct dom_config *cfg)
{
	int r = check_node(x, domain, "", cfg);

	return r == -ENOMEM ? err_sys(x->err, r, "%s", x->origin) : r;
}
