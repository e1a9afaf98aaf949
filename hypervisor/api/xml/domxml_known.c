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

#define UNKNOWN_MAX 100u /* listed, of names and of notes */
#define QEMU_NS     "http://libvirt.org/schemas/domain/qemu/1.0"

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
	{ "os", " firmware ", false },
	{ "os/type", " arch machine ", true },
	{ "os/kernel", "", true },
	{ "os/initrd", "", true },
	{ "os/cmdline", "", true },
	{ "os/loader", " readonly type secure stateless format ", true },
	{ "os/nvram", " template type format templateFormat ", true },
	{ "os/nvram/source", " file ", false },
	{ "os/firmware", "", false },
	{ "os/firmware/feature", " enabled name ", false },
	{ "os/boot", " dev ", false },
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
	{ "devices/disk/wwn", "", true },
	{ "devices/disk/boot", " order ", false },
	{ "devices/interface", " type ", false },
	{ "devices/interface/boot", " order ", false },
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

/* What kvm and qemu use besides: it comes first. */
static const struct known used_hvm[] = {
	{ "clock", " offset adjustment basis ", false },
	{ "clock/timer", " name present tickpolicy ", false },
	{ "cpu", " mode check ", false },
	{ "cpu/model", "", true },
	{ "cpu/topology", " sockets dies cores threads ", false },
	{ "cpu/feature", " policy name ", false },
	{ "features", "", false },
	{ "features/gic", " version ", false },
	{ "features/hyperv", SUBTREE, false },
	{ "features/kvm", "", false },
	{ "features/kvm/hidden", " state ", false },
	{ "features/pmu", " state ", false },
	{ "memoryBacking", "", false },
	{ "pm", "", false },
	{ "pm/suspend-to-mem", " enabled ", false },
	{ "pm/suspend-to-disk", " enabled ", false },
	{ "devices/input", " type bus ", false },
	{ "devices/graphics", SUBTREE, false },
	{ "devices/memballoon/stats", " period ", false },
	{ "devices/video", "", false },
	{ "devices/video/model", SUBTREE, false },
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

static const struct known *find(const struct known *table, size_t n, const char *path)
{
	for (size_t i = 0; i < n; i++)
		if (!strcmp(table[i].path, path))
			return &table[i];
	return NULL;
}

/* How firmware boots: a user-mode kernel has none. */
static bool is_for(const struct dom_config *cfg, const char *path)
{
	static const char *const boot[] = { "os/loader", "os/nvram",          "os/firmware",
		                            "os/boot",   "devices/disk/boot", "devices/interface/boot" };

	return cfg->type != DOM_TYPE_UML || dx_index(path, boot, ARRAY_SIZE(boot)) < 0;
}

static const struct known *find_used(const char *path, enum dom_type type)
{
	const struct known *k = type == DOM_TYPE_UML ? NULL : find(used_hvm, ARRAY_SIZE(used_hvm), path);

	return k ? k : find(used, ARRAY_SIZE(used), path);
}

/* Each line once, in the order of the document. Takes @line. */
static int add_line(char ***list, size_t *n, char *line)
{
	char **more = NULL;
	bool skip = *n >= UNKNOWN_MAX;

	for (size_t i = 0; i < *n && !skip; i++)
		skip = !strcmp((*list)[i], line);
	if (!skip)
		more = realloc(*list, (*n + 1) * sizeof(**list));
	if (!more) {
		free(line);
		return skip ? 0 : -ENOMEM;
	}
	*list = more;
	more[(*n)++] = line;
	return 0;
}

static int add_unknown(struct dom_config *cfg, char *name)
{
	return add_line(&cfg->unknown, &cfg->n_unknown, name);
}

int dx_note(struct dom_config *cfg, const char *fmt, ...)
{
	va_list ap;
	char *line;

	va_start(ap, fmt);
	int n = vasprintf(&line, fmt, ap);
	va_end(ap);
	if (n < 0)
		return -ENOMEM;
	text_tidy(line);
	return add_line(&cfg->note, &cfg->n_notes, line);
}

/* What a rule says about an element, or about its attribute @attr. DX_UNKNOWN: there is none. */
static int apply_rule(struct dx *x, const xmlNode *node, const char *path, const char *attr, struct dom_config *cfg,
                      enum dx_verdict *ret)
{
	const struct dx_rule *r = dx_rule(node, path, attr, cfg->type);

	*ret = r ? r->verdict : DX_UNKNOWN;
	if (*ret == DX_REFUSE)
		return dx_fail(x, node, "%s%s%s", attr ? attr : "", attr ? " " : "", r->text);
	if (*ret == DX_NOTE)
		return dx_note(cfg, "%s%s%s %s", path, attr ? "/@" : "", attr ? attr : "", r->text);
	return 0;
}

static int check_attrs(struct dx *x, const xmlNode *node, const char *path, const struct known *k,
                       struct dom_config *cfg)
{
	for (const xmlAttr *a = node->properties; a; a = a->next) {
		_cleanup_free_ char *padded = xasprintf(" %s ", (const char *)a->name);
		enum dx_verdict v = DX_UNKNOWN;
		int r = 0;

		if (!a->ns && strstr(k->attrs, padded) &&
		    (cfg->type != DOM_TYPE_UML || strcmp((const char *)a->name, "firmware")))
			continue;
		if (!a->ns)
			r = apply_rule(x, node, path, (const char *)a->name, cfg, &v);
		if (r < 0)
			return r;
		if (v != DX_UNKNOWN)
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

/* Two forms of an element that else holds text: an rng that is refused by its name, and <nvram type='file'>. */
static bool has_elements(const xmlNode *node)
{
	_cleanup_free_ char *model = dx_attr(node, "model"), *type = dx_attr(node, "type");

	return dx_is(node, "nvram") ? type != NULL : model && !strcmp(model, "egd");
}

/* Text among elements and elements in a text are lost or moved when the document is written anew: nobody means them. */
static int check_content(struct dx *x, const xmlNode *node, const struct known *k)
{
	for (const xmlNode *c = node->children; c; c = c->next) {
		if (k->text && c->type == XML_ELEMENT_NODE && !has_elements(node))
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

/* QEMU's own options: nobody knows what the guest would be without them. */
static bool is_passed_on(const xmlNode *node)
{
	const char *name = (const char *)node->name;

	return node->ns && node->ns->href && !strcmp((const char *)node->ns->href, QEMU_NS) &&
	       (!strcmp(name, "commandline") || !strcmp(name, "override") || !strcmp(name, "capabilities"));
}

/* A child that is not used: a rule says what comes of it, or it is listed. */
static int check_unused(struct dx *x, const xmlNode *node, const char *parent, const char *path, struct dom_config *cfg)
{
	enum dx_verdict v = DX_UNKNOWN;
	int r = 0;

	if (is_passed_on(node) && cfg->type != DOM_TYPE_UML)
		return dx_fail(x, node, "of QEMU's namespace is not supported: options for QEMU are not passed on");
	if (!node->ns)
		r = apply_rule(x, node, path, NULL, cfg, &v);
	return r || v != DX_UNKNOWN ? r : add_unknown(cfg, unknown_name(node, parent));
}

/* Depth is bounded by the paths of the table: what is not in it is not entered. */
static int check_node(struct dx *x, const xmlNode *node, const char *path, struct dom_config *cfg)
{
	const struct known *k = find_used(path, cfg->type);
	int r;

	if (!strcmp(k->attrs, SUBTREE))
		return 0;
	r = check_content(x, node, k);
	if (!r)
		r = check_attrs(x, node, path, k, cfg);
	if (r < 0)
		return r;
	for (const xmlNode *c = node->children; c; c = c->next) {
		_cleanup_free_ char *sub = NULL;

		if (c->type != XML_ELEMENT_NODE)
			continue;
		if (!allowed(c, path))
			return dx_fail(x, c, "is no element of <%s>; is it misspelled?", *path ? path : "domain");
		sub = xasprintf("%s%s%s", path, *path ? "/" : "", (const char *)c->name);
		if (!c->ns && !strcmp(path, "devices") && cfg->type != DOM_TYPE_UML && dx_is_agent_channel(c))
			continue;
		if (!c->ns && find_used(sub, cfg->type) && is_for(cfg, sub))
			r = check_node(x, c, sub, cfg);
		else
			r = check_unused(x, c, path, sub, cfg);
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
