/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Readers and writers over libxml2 nodes: see domxml_int.h. */
#include "config.h"
#include "hypervisor/api/xml/domxml_int.h"

#include <ctype.h>
#include <errno.h>
#include <limits.h>
#include <stdio.h>
#include <string.h>
#include "common/util.h"
#include "hypervisor/api/domarch.h"

#define X(s) ((const xmlChar *)(s))

const char *const dx_dom_types[3] = { [DOM_TYPE_UML] = "uml", [DOM_TYPE_KVM] = "kvm", [DOM_TYPE_QEMU] = "qemu" };
const char *const dx_os_types[3] = { [DOM_TYPE_UML] = "linux", [DOM_TYPE_KVM] = "hvm", [DOM_TYPE_QEMU] = "hvm" };
const char *const dx_actions[3] = {
	[DOM_ACTION_DESTROY] = "destroy",
	[DOM_ACTION_RESTART] = "restart",
	[DOM_ACTION_PRESERVE] = "preserve",
};
const char *const dx_watchdogs[6] = {
	[DOM_WATCHDOG_RESET] = "reset", [DOM_WATCHDOG_POWEROFF] = "poweroff", [DOM_WATCHDOG_PAUSE] = "pause",
	[DOM_WATCHDOG_NONE] = "none",   [DOM_WATCHDOG_SHUTDOWN] = "shutdown", [DOM_WATCHDOG_NMI] = "inject-nmi",
};
const char *const dx_error_policies[4] = { "stop", "report", "ignore", "enospace" };
const char *const dx_caches[4] = {
	[DOM_CACHE_DEFAULT] = "default",
	[DOM_CACHE_NONE] = "none",
	[DOM_CACHE_WRITEBACK] = "writeback",
	[DOM_CACHE_WRITETHROUGH] = "writethrough",
};
const char *const dx_clocks[3] = {
	[DOM_CLOCK_UTC] = "utc", [DOM_CLOCK_LOCALTIME] = "localtime", [DOM_CLOCK_VARIABLE] = "variable"
};
const char *const dx_char_types[2] = { [DOM_CHAR_PTY] = "pty", [DOM_CHAR_FILE] = "file" };
const char *const dx_disk_types[2] = { [DOM_DISK_FILE] = "file", [DOM_DISK_BLOCK] = "block" };
const char *const dx_disk_attrs[2] = { [DOM_DISK_FILE] = "file", [DOM_DISK_BLOCK] = "dev" };
const char *const dx_boot_devs[4] = {
	[DOM_BOOT_HD] = "hd", [DOM_BOOT_CDROM] = "cdrom", [DOM_BOOT_FD] = "fd", [DOM_BOOT_NETWORK] = "network"
};
const char *const dx_nic_models[4] = { [DOM_NIC_VIRTIO] = "virtio",
	                               [DOM_NIC_E1000] = "e1000",
	                               [DOM_NIC_E1000E] = "e1000e",
	                               [DOM_NIC_RTL8139] = "rtl8139" };
const char *const dx_nic_types[2] = { [DOM_NIC_BRIDGE] = "bridge", [DOM_NIC_ETHERNET] = "ethernet" };

int dx_fail(struct dx *x, const xmlNode *node, const char *fmt, ...)
{
	char reason[ERR_TEXT_MAX];
	va_list ap;

	va_start(ap, fmt);
	vsnprintf(reason, sizeof(reason), fmt, ap);
	va_end(ap);
	text_tidy(reason);
	return err_set(x->err, EINVAL, "%s:%ld: %s: %s", x->origin, dx_line(node), (const char *)node->name, reason);
}

long dx_line(const xmlNode *node)
{
	return node->_private ? (long)(uintptr_t)node->_private : xmlGetLineNo(node);
}

bool dx_is(const xmlNode *node, const char *name)
{
	return node && node->type == XML_ELEMENT_NODE && !node->ns && !strcmp((const char *)node->name, name);
}

xmlNode *dx_child(const xmlNode *node, const char *name)
{
	if (!node)
		return NULL;
	for (xmlNode *c = node->children; c; c = c->next)
		if (dx_is(c, name))
			return c;
	return NULL;
}

xmlNode *dx_next(const xmlNode *node)
{
	for (xmlNode *c = node->next; c; c = c->next)
		if (dx_is(c, (const char *)node->name))
			return c;
	return NULL;
}

int dx_single(struct dx *x, const xmlNode *node, const char *name, xmlNode **ret)
{
	xmlNode *first = dx_child(node, name), *second = first ? dx_next(first) : NULL;

	if (second)
		return dx_fail(x, second, "is given twice, the first time in line %ld", dx_line(first));
	*ret = first;
	return 0;
}

/* xmlFree() is free() unless someone changed libxml2's allocator; copy, so that callers need not know. */
static char *own(xmlChar *s)
{
	char *copy;

	if (!s)
		return NULL;
	copy = strdup((const char *)s);
	xmlFree(s);
	return copy;
}

char *dx_text(const xmlNode *node)
{
	char *s = own(xmlNodeGetContent(node)), *from = s;
	size_t len;

	if (!s)
		return NULL;
	while (isspace((unsigned char)*from))
		from++;
	len = strlen(from);
	while (len && isspace((unsigned char)from[len - 1]))
		len--;
	memmove(s, from, len);
	s[len] = 0;
	return s;
}

char *dx_attr(const xmlNode *node, const char *name)
{
	return own(xmlGetNoNsProp(node, X(name)));
}

int dx_index(const char *text, const char *const *names, size_t n)
{
	for (size_t i = 0; text && i < n; i++)
		if (names[i] && !strcmp(text, names[i]))
			return (int)i;
	return -1;
}

int dx_need_attr(struct dx *x, const xmlNode *node, const char *name, char **ret)
{
	char *s = dx_attr(node, name);

	if (!s || !*s) {
		free(s);
		return dx_fail(x, node, "attribute %s is missing", name);
	}
	*ret = s;
	return 0;
}

int dx_need_choice(struct dx *x, const xmlNode *node, const char *name, const char *const *names, size_t n, int *ret)
{
	_cleanup_free_ char *text = NULL;
	char list[128] = "";
	int r = dx_need_attr(x, node, name, &text), i;

	if (r < 0)
		return r;
	i = dx_index(text, names, n);
	if (i < 0) {
		for (size_t k = 0; k < n; k++)
			snprintf(list + strlen(list), sizeof(list) - strlen(list), "%s%s", k ? ", " : "", names[k]);
		return dx_fail(x, node, "%s '%s' is not supported here (%s)", name, text, list);
	}
	*ret = i;
	return 0;
}

int dx_path(struct dx *x, const xmlNode *node, const char *what, const char *path)
{
	if (path[0] != '/' || !path[1])
		return dx_fail(x, node, "%s'%.100s' is not an absolute path", what, path);
	if (strchr(path, '\n'))
		return dx_fail(x, node, "%s'%.100s' holds a line break, which no path here may", what, path);
	if (strlen(path) >= PATH_MAX)
		return dx_fail(x, node, "%s'%.40s...' is longer than %d octets", what, path, PATH_MAX - 1);
	return 0;
}

xmlNode *dx_ensure(xmlNode *parent, const char *name, const xmlNode *after)
{
	xmlNode *node = dx_child(parent, name);

	if (node)
		return node;
	node = xmlNewDocNode(parent->doc, NULL, X(name), NULL);
	if (!node)
		return NULL;
	return after ? xmlAddNextSibling((xmlNode *)(uintptr_t)after, node) : xmlAddChild(parent, node);
}

bool dx_put_text(xmlNode *node, const char *text)
{
	xmlNode *t;

	if (!node)
		return false;
	while (node->children)
		dx_remove(node->children);
	t = xmlNewDocText(node->doc, X(text));
	return t && xmlAddChild(node, t);
}

bool dx_put_attr(xmlNode *node, const char *name, const char *value)
{
	return node && xmlSetProp(node, X(name), X(value));
}

void dx_remove_attr(xmlNode *node, const char *name)
{
	xmlUnsetProp(node, X(name));
}

void dx_remove(xmlNode *node)
{
	xmlUnlinkNode(node);
	xmlFreeNode(node);
}

/*
 * libvirt writes the first serial port a second time as the first <console> (target type serial): that is one line to the
 * guest, not two.
 */
static bool repeats_serial(const xmlNode *console)
{
	_cleanup_free_ char *type = NULL;
	xmlNode *target = dx_child(console, "target");

	if (target)
		type = dx_attr(target, "type");
	return !type || !strcmp(type, "serial");
}

size_t dx_console_nodes(const xmlNode *devices, xmlNode **nodes, size_t max)
{
	xmlNode *serial = dx_child(devices, "serial"), *console = dx_child(devices, "console");
	size_t n = 0;

	if (serial && console && repeats_serial(console))
		console = dx_next(console);
	for (xmlNode *c = serial; c; c = dx_next(c), n++)
		if (n < max)
			nodes[n] = c;
	for (xmlNode *c = console; c; c = dx_next(c), n++)
		if (n < max)
			nodes[n] = c;
	return n;
}

bool dx_is_agent_channel(const xmlNode *node)
{
	const xmlNode *target = dx_child(node, "target");
	_cleanup_free_ char *type = dx_attr(node, "type"), *to = target ? dx_attr(target, "type") : NULL,
			    *name = target ? dx_attr(target, "name") : NULL;

	return dx_is(node, "channel") && type && to && name && !strcmp(type, "unix") && !strcmp(to, "virtio") &&
	       !strcmp(name, DX_AGENT_PORT);
}

bool dom_config_cpu_is_hosts(const struct dom_config *cfg)
{
	return cfg->type == DOM_TYPE_UML || (cfg->type == DOM_TYPE_KVM && cfg->hvm.cpu.mode != DOM_CPU_CUSTOM &&
	                                     cfg->hvm.cpu.mode != DOM_CPU_HOST_MODEL);
}

const char *dom_engine(const struct dom_config *cfg)
{
	return cfg->type == DOM_TYPE_UML ? "pv" : cfg->type == DOM_TYPE_KVM ? "kvm" : dom_arch(cfg)->engine;
}

int dom_config_limits(const struct dom_config *cfg, struct err *err)
{
	static const struct {
		unsigned vcpus_max;
		uint64_t memory_bytes_min;
	} limits[] = { [DOM_TYPE_UML] = { 1, 32ull << 20 },
		       [DOM_TYPE_KVM] = { 64, 32ull << 20 },
		       [DOM_TYPE_QEMU] = { 64, 32ull << 20 } };

	unsigned vcpus = limits[cfg->type].vcpus_max;
	uint64_t bytes = limits[cfg->type].memory_bytes_min;
	if (cfg->vcpus > vcpus)
		return err_set(err, ENOTSUP, "domain '%s' asks for %u vCPUs; guests of engine %s have at most %u",
		               cfg->name, cfg->vcpus, dom_engine(cfg), vcpus);
	if (cfg->memory_bytes < bytes)
		return err_set(err, ENOTSUP,
		               "domain '%s' has %llu KiB of memory (the unit is KiB if none is given); "
		               "guests of engine %s need at least %llu MiB",
		               cfg->name, (unsigned long long)cfg->memory_bytes >> 10, dom_engine(cfg),
		               (unsigned long long)bytes >> 20);
	return 0;
}
