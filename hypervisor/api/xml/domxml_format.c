/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Writes struct dom_config as domain XML: a copy of the document it was read from (or a new one) in which everything that
 * the struct says is brought up to date; what we do not know stays as it was. Any thread.
 */
#include "config.h"
#include "hypervisor/api/domcfg.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include "hypervisor/api/xml/domxml_int.h"

#define X(s) ((const xmlChar *)(s))

static bool put_number(xmlNode *node, uint64_t v)
{
	char text[24];

	snprintf(text, sizeof(text), "%" PRIu64, v);
	return dx_put_text(node, text);
}

/* An element with a text, or none when @text is NULL. */
static bool put_optional(xmlNode *parent, const char *name, const char *text, const xmlNode *after)
{
	xmlNode *node = dx_child(parent, name);

	if (!text) {
		if (node)
			dx_remove(node);
		return true;
	}
	return dx_put_text(dx_ensure(parent, name, after), text);
}

static bool put_memory(xmlNode *dom, const char *name, uint64_t bytes)
{
	xmlNode *node = dx_ensure(dom, name, NULL);

	return dx_put_attr(node, "unit", "KiB") && put_number(node, bytes / 1024);
}

/* Only for a configuration that was not read from XML: the document keeps its own. */
static bool put_firmware(xmlNode *os, const struct dom_config *cfg)
{
	static const char *const word[] = { [DOM_SWITCH_NO] = "no", [DOM_SWITCH_YES] = "yes" };
	const struct dom_firmware *fw = &cfg->fw;
	const struct {
		const char *name;
		enum dom_switch on;
	} f[] = { { "secure-boot", fw->secure_boot }, { "enrolled-keys", fw->enrolled_keys } };
	xmlNode *node;

	if (xmlHasProp(os, X("firmware")) || dx_child(os, "loader") || dx_child(os, "nvram") || dx_child(os, "boot"))
		return true;
	if (fw->efi && !dx_put_attr(os, "firmware", "efi"))
		return false;
	for (size_t i = 0; i < cfg->n_boot; i++) {
		node = xmlNewChild(os, NULL, X("boot"), NULL);
		if (!node || !dx_put_attr(node, "dev", dx_boot_devs[cfg->boot[i]]))
			return false;
	}
	for (size_t i = 0; i < ARRAY_SIZE(f); i++) {
		if (f[i].on == DOM_SWITCH_ANY)
			continue;
		node = xmlNewChild(dx_ensure(os, "firmware", NULL), NULL, X("feature"), NULL);
		if (!node || !dx_put_attr(node, "enabled", word[f[i].on]) || !dx_put_attr(node, "name", f[i].name))
			return false;
	}
	if (fw->loader || fw->secure) {
		node = dx_ensure(os, "loader", NULL);
		if (!node ||
		    (fw->loader && (!dx_put_attr(node, "readonly", "yes") || !dx_put_attr(node, "type", "pflash") ||
		                    !dx_put_text(node, fw->loader))) ||
		    (fw->secure && !dx_put_attr(node, "secure", word[fw->secure])))
			return false;
	}
	if (!fw->nvram && !fw->template)
		return true;
	node = dx_ensure(os, "nvram", NULL);
	return node && (!fw->template || dx_put_attr(node, "template", fw->template)) &&
	       (!fw->nvram || dx_put_text(node, fw->nvram));
}

static bool put_order(xmlNode *device, unsigned order)
{
	char text[16];

	snprintf(text, sizeof(text), "%u", order);
	return !order || dx_put_attr(dx_ensure(device, "boot", NULL), "order", text);
}

static bool put_os(xmlNode *dom, const struct dom_config *cfg)
{
	xmlNode *os = dx_ensure(dom, "os", NULL), *type = os ? dx_ensure(os, "type", NULL) : NULL;

	if (!dx_put_text(type, dx_os_types[cfg->type]))
		return false;
	/* libvirt's schema wants it first */
	if (os->children != type) {
		xmlUnlinkNode(type);
		xmlAddPrevSibling(os->children, type);
	}
	return put_optional(os, "kernel", cfg->kernel, type) &&
	       put_optional(os, "initrd", cfg->initrd, dx_child(os, "kernel")) &&
	       put_optional(os, "cmdline", cfg->cmdline, NULL) && put_firmware(os, cfg);
}

static bool put_disk(xmlNode *node, const struct dom_disk *d)
{
	xmlNode *source = dx_ensure(node, "source", NULL), *target = dx_ensure(node, "target", NULL);
	xmlNode *driver = dx_child(node, "driver");

	if (!dx_put_attr(node, "type", dx_disk_types[d->type]) ||
	    !dx_put_attr(node, "device", d->cdrom ? "cdrom" : "disk") || !source || !target)
		return false;
	if (d->cache != DOM_CACHE_DEFAULT || d->discard || d->error_policy || d->rerror_policy || d->format || driver) {
		driver = dx_ensure(node, "driver", NULL);
		if (!dx_put_attr(driver, "type", d->format == DOM_FORMAT_QCOW2 ? "qcow2" : "raw"))
			return false;
		dx_remove_attr(driver, "cache");
		dx_remove_attr(driver, "discard");
		dx_remove_attr(driver, "error_policy");
		dx_remove_attr(driver, "rerror_policy");
		if (d->cache != DOM_CACHE_DEFAULT && !dx_put_attr(driver, "cache", dx_caches[d->cache]))
			return false;
		if (d->discard && !dx_put_attr(driver, "discard", "unmap"))
			return false;
		if (d->error_policy &&
		    !dx_put_attr(driver, "error_policy", dx_error_policies[d->error_policy - DOM_ERROR_STOP]))
			return false;
		if (d->rerror_policy &&
		    !dx_put_attr(driver, "rerror_policy", dx_error_policies[d->rerror_policy - DOM_ERROR_STOP]))
			return false;
	}
	dx_remove_attr(source, dx_disk_attrs[d->type == DOM_DISK_FILE ? DOM_DISK_BLOCK : DOM_DISK_FILE]);
	return dx_put_attr(source, dx_disk_attrs[d->type], d->source) && dx_put_attr(target, "dev", d->target) &&
	       dx_put_place_of_disk(node, d) && put_optional(node, "serial", d->serial, NULL) &&
	       put_optional(node, "wwn", *d->wwn ? d->wwn : NULL, NULL) &&
	       (d->readonly ? !!dx_ensure(node, "readonly", NULL) : put_optional(node, "readonly", NULL, NULL)) &&
	       put_order(node, d->boot_order) && dx_put_place(node, d->place) &&
	       (d->shareable ? !!dx_ensure(node, "shareable", NULL) : put_optional(node, "shareable", NULL, NULL));
}

static bool put_nic(xmlNode *node, const struct dom_nic *nic)
{
	static const char *const of_network[] = { "network", "portid", "portgroup" };
	char mac[18], mtu[8];

	snprintf(mac, sizeof(mac), "%02x:%02x:%02x:%02x:%02x:%02x", nic->mac[0], nic->mac[1], nic->mac[2], nic->mac[3],
	         nic->mac[4], nic->mac[5]);
	snprintf(mtu, sizeof(mtu), "%u", nic->mtu);
	if (!dx_put_attr(node, "type", dx_nic_types[nic->type]) ||
	    !dx_put_attr(dx_ensure(node, "mac", NULL), "address", mac))
		return false;
	if (nic->type == DOM_NIC_BRIDGE && !dx_put_attr(dx_ensure(node, "source", NULL), "bridge", nic->bridge))
		return false;
	for (size_t i = 0; nic->type == DOM_NIC_BRIDGE && i < ARRAY_SIZE(of_network); i++)
		dx_remove_attr(dx_child(node, "source"), of_network[i]);
	if (*nic->target && !dx_put_attr(dx_ensure(node, "target", NULL), "dev", nic->target))
		return false;
	if (!*nic->target && !put_optional(node, "target", NULL, NULL))
		return false;
	if (!dx_put_attr(dx_ensure(node, "model", NULL), "type", dx_nic_models[nic->model]))
		return false;
	if (!put_order(node, nic->boot_order) || !dx_put_place(node, nic->place))
		return false;
	return nic->mtu ? dx_put_attr(dx_ensure(node, "mtu", NULL), "size", mtu)
	                : put_optional(node, "mtu", NULL, NULL);
}

static bool put_char(xmlNode *node, const struct dom_char *c)
{
	bool ok = dx_put_attr(node, "type", dx_char_types[c->type]);

	if (ok && c->type == DOM_CHAR_FILE)
		ok = dx_put_attr(dx_ensure(node, "source", NULL), "path", c->path);
	if (ok && c->log)
		ok = dx_put_attr(dx_ensure(node, "log", NULL), "file", c->log);
	else if (ok)
		ok = put_optional(node, "log", NULL, NULL);
	return ok;
}

static bool put_consoles(xmlNode *devices, const struct dom_config *cfg)
{
	xmlNode *nodes[CHARS_MAX];
	size_t n = dx_console_nodes(devices, nodes, CHARS_MAX);

	if (n > CHARS_MAX)
		n = CHARS_MAX;
	while (n > cfg->n_consoles)
		dx_remove(nodes[--n]);
	for (size_t i = 0; i < cfg->n_consoles; i++) {
		xmlNode *node = i < n ? nodes[i] : NULL;

		if (!node) {
			node = xmlNewChild(devices, NULL, X("console"), NULL);
			if (!node || !dx_put_attr(dx_ensure(node, "target", NULL), "type", "virtio"))
				return false;
		}
		if (!put_char(node, &cfg->console[i]))
			return false;
	}
	return true;
}

static bool put_rng(xmlNode *node)
{
	xmlNode *backend = dx_ensure(node, "backend", NULL);

	if (!dx_put_attr(node, "model", "virtio") || !backend)
		return false;
	return xmlHasProp(backend, X("model")) ||
	       (dx_put_attr(backend, "model", "random") && dx_put_text(backend, "/dev/urandom"));
}

/* Make exactly @n disks of @devices that count; those that are left out stay. */
static bool make_disks(xmlNode *devices, const struct dom_config *cfg)
{
	xmlNode *next, *node = dx_first_disk(devices, cfg->type);
	size_t have = 0;

	for (; node; node = next) {
		next = dx_next_disk(node, cfg->type);
		if (++have > cfg->n_disks)
			dx_remove(node);
	}
	for (; have < cfg->n_disks; have++)
		if (!xmlNewChild(devices, NULL, X("disk"), NULL))
			return false;
	return true;
}

/* Make exactly @n children @name of @devices. */
static bool make_count(xmlNode *devices, const char *name, size_t n)
{
	xmlNode *next, *node = dx_child(devices, name);
	size_t have = 0;

	for (; node; node = next) {
		next = dx_next(node);
		if (++have > n)
			dx_remove(node);
	}
	for (; have < n; have++)
		if (!xmlNewChild(devices, NULL, X(name), NULL))
			return false;
	return true;
}

static bool put_watchdog(xmlNode *devices, enum dom_watchdog action)
{
	xmlNode *node = dx_child(devices, "watchdog");

	if (!node && action == DOM_WATCHDOG_RESET)
		return true;
	if (!node)
		node = dx_ensure(devices, "watchdog", NULL);
	return node && (xmlHasProp(node, X("model")) || dx_put_attr(node, "model", "i6300esb")) &&
	       dx_put_attr(node, "action", dx_watchdogs[action]);
}

/* Only for a configuration that was not read from XML: the document keeps its own. */
static bool put_agent_channel(xmlNode *devices, const struct dom_config *cfg)
{
	xmlNode *node = dx_child(devices, "channel"), *target;

	for (; node; node = dx_next(node))
		if (dx_is_agent_channel(node))
			return true;
	if (!cfg->guest_agent)
		return true;
	node = xmlNewChild(devices, NULL, X("channel"), NULL);
	target = node ? dx_ensure(node, "target", NULL) : NULL;
	return dx_put_attr(node, "type", "unix") && dx_put_attr(target, "type", "virtio") &&
	       dx_put_attr(target, "name", DX_AGENT_PORT);
}

static bool put_devices(xmlNode *dom, const struct dom_config *cfg)
{
	xmlNode *devices = dx_ensure(dom, "devices", NULL), *node;
	size_t i;

	if (!devices || !make_disks(devices, cfg) || !make_count(devices, "interface", cfg->n_nics) ||
	    !make_count(devices, "rng", cfg->n_rngs))
		return false;
	for (i = 0, node = dx_first_disk(devices, cfg->type); node; node = dx_next_disk(node, cfg->type), i++)
		if (!put_disk(node, &cfg->disk[i]))
			return false;
	for (i = 0, node = dx_child(devices, "interface"); node; node = dx_next(node), i++)
		if (!put_nic(node, &cfg->nic[i]))
			return false;
	for (node = dx_child(devices, "rng"); node; node = dx_next(node))
		if (!put_rng(node))
			return false;
	if (!put_consoles(devices, cfg) || !put_agent_channel(devices, cfg) || !put_watchdog(devices, cfg->watchdog))
		return false;
	node = dx_child(devices, "memballoon");
	if (!node && !cfg->balloon)
		return true;
	return dx_put_attr(dx_ensure(devices, "memballoon", NULL), "model", cfg->balloon ? "virtio" : "none");
}

/* Only for a configuration that was not read from XML: the document keeps its own. */
static bool put_seclabel(xmlNode *dom, const char *seclabel)
{
	_cleanup_free_ char *copy = NULL;
	char *model, *label;
	xmlNode *node;

	if (!seclabel || dx_child(dom, "seclabel"))
		return true;
	copy = strdup(seclabel);
	model = copy ? strchr(copy, '/') : NULL;
	label = model ? strchr(model + 1, '/') : NULL;
	if (!label)
		return false;
	*model++ = 0;
	*label++ = 0;
	node = dx_ensure(dom, "seclabel", NULL);
	return dx_put_attr(node, "type", copy) && (!*model || dx_put_attr(node, "model", model)) &&
	       (!*label || dx_put_text(dx_ensure(node, "label", NULL), label));
}

static bool put_domain(xmlNode *dom, const struct dom_config *cfg)
{
	xmlNode *name = dx_ensure(dom, "name", NULL), *uuid;
	xmlNode *clock;

	if (!dx_put_attr(dom, "type", dx_dom_types[cfg->type]) || !dx_put_text(name, cfg->name))
		return false;
	dx_remove_attr(dom, "id"); /* of a run, not of the domain */
	uuid = dx_ensure(dom, "uuid", name);
	if (!dx_put_text(uuid, cfg->uuid) || !put_optional(dom, "title", cfg->title, uuid) ||
	    !put_optional(dom, "description", cfg->description, dx_child(dom, "title") ?: uuid) ||
	    !put_memory(dom, "memory", cfg->memory_bytes) ||
	    !put_memory(dom, "currentMemory", cfg->current_memory_bytes) ||
	    !put_number(dx_ensure(dom, "vcpu", NULL), cfg->vcpus) || !put_os(dom, cfg))
		return false;
	clock = dx_ensure(dom, "clock", NULL);
	return dx_put_attr(clock, "offset", dx_clocks[cfg->clock]) &&
	       dx_put_text(dx_ensure(dom, "on_poweroff", NULL), dx_actions[cfg->on_poweroff]) &&
	       dx_put_text(dx_ensure(dom, "on_reboot", NULL), dx_actions[cfg->on_reboot]) &&
	       dx_put_text(dx_ensure(dom, "on_crash", NULL), dx_actions[cfg->on_crash]) && put_devices(dom, cfg) &&
	       put_seclabel(dom, cfg->seclabel) && dx_put_places(dom, cfg);
}

int dom_config_set_cpu(struct dom_config *cfg, const struct dom_cpu *cpu)
{
	static const char *const policies[] = { "force", "require", "optional", "disable" };
	xmlNode *dom = cfg->doc ? xmlDocGetRootElement(cfg->doc) : NULL, *node, *model, *f;

	cfg->hvm.cpu = *cpu;
	if (!dom)
		return 0;
	node = dx_ensure(dom, "cpu", NULL);
	model = node ? dx_ensure(node, "model", NULL) : NULL;
	while (node && (f = dx_child(node, "feature")))
		dx_remove(f);
	if (!dx_put_attr(node, "mode", "custom") || !dx_put_attr(node, "match", "exact") ||
	    !dx_put_attr(node, "check", "full") || !dx_put_attr(model, "fallback", "forbid") ||
	    !dx_put_text(model, cpu->model))
		return -ENOMEM;
	dx_remove_attr(node, "migratable");
	for (size_t i = 0; i < cpu->n_features; i++) {
		f = xmlNewChild(node, NULL, X("feature"), NULL);
		if (!f || !dx_put_attr(f, "policy", policies[cpu->feature[i].policy]) ||
		    !dx_put_attr(f, "name", cpu->feature[i].name))
			return -ENOMEM;
	}
	return 0;
}

/* @from (borrowed) brought up to date, or a new document if it is NULL. */
static int write_text(const struct dom_config *cfg, xmlDoc *from, char **ret)
{
	xmlDoc *doc = from ? xmlCopyDoc(from, 1) : xmlNewDoc(X("1.0"));
	xmlNode *dom = doc ? xmlDocGetRootElement(doc) : NULL;
	xmlChar *mem = NULL;
	int len = 0, r = -ENOMEM;

	if (doc && !dom) {
		dom = xmlNewDocNode(doc, NULL, X("domain"), NULL);
		if (dom)
			xmlDocSetRootElement(doc, dom);
	}
	if (dom && put_domain(dom, cfg)) {
		xmlDocDumpFormatMemoryEnc(doc, &mem, &len, "UTF-8", 1);
		if (mem) {
			char *copy = strdup((const char *)mem);

			if (copy) {
				*ret = copy;
				r = 0;
			}
			xmlFree(mem);
		}
	}
	xmlFreeDoc(doc);
	return r;
}

/* Read @text as everybody will, and compare: what the struct says (written without the document), and the whole of it. */
static int check_text(const struct dom_config *cfg, const char *text, struct err *err)
{
	_cleanup_dom_config_ struct dom_config *back = NULL;
	_cleanup_free_ char *ours = NULL, *theirs = NULL, *again = NULL;
	size_t len = strlen(text);
	struct err why = { 0 };
	int r;

	if (len > DOM_XML_MAX)
		return err_set(err, E2BIG,
		               "the XML of domain %s has %zu octets when it is written (each element in its own line, "
		               "indented), and may have %u (1 MiB)",
		               cfg->name, len, DOM_XML_MAX);
	r = dom_config_parse(text, len, "as written", &back, &why);
	if (r < 0)
		return err_set(err, r, "the XML of domain %s could not be read again: %s", cfg->name, why.text);
	if ((r = write_text(cfg, NULL, &ours)) < 0 || (r = write_text(back, NULL, &theirs)) < 0 ||
	    (r = write_text(back, back->doc, &again)) < 0)
		return err_sys(err, r, "write XML of domain %s", cfg->name);
	if (strcmp(ours, theirs) != 0 || strcmp(text, again) != 0)
		return err_set(err, EINVAL,
		               "the XML of domain %s would be read differently once it is written: is "
		               "there white space by character references (&#32;) between elements?",
		               cfg->name);
	return 0;
}

int dom_config_format(const struct dom_config *cfg, char **ret, struct err *err)
{
	_cleanup_free_ char *text = NULL;
	int r = write_text(cfg, cfg->doc, &text);

	if (r < 0)
		return err_sys(err, r, "write XML of domain %s", cfg->name);
	r = check_text(cfg, text, err);
	if (r < 0)
		return r;
	*ret = steal_ptr(&text);
	return 0;
}

int dom_config_settle(struct dom_config *cfg, const char *uuid, char **ret, struct err *err)
{
	int r = dom_config_limits(cfg, err);

	if (r < 0)
		return r;
	if (uuid && !cfg->uuid_given)
		dom_config_set_uuid(cfg, uuid);
	return dom_config_format(cfg, ret, err);
}
