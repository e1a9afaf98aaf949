/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Reads <devices>: disks, interfaces, consoles, rng, memballoon. See domcfg.h for what each field means. */
#include "config.h"
#include "hypervisor/api/xml/domxml_int.h"

#include <ctype.h>
#include <errno.h>
#include <stdio.h>
#include <string.h>
#include "common/util.h"

#define DISK_SERIAL_MAX 20 /* virtio-blk's GET_ID */
#define MTU_MIN         68
#define MTU_MAX         65521

static int oom(struct dx *x)
{
	return err_sys(x->err, ENOMEM, "%s", x->origin);
}

static int need_absolute(struct dx *x, const xmlNode *node, const char *what, const char *path)
{
	_cleanup_free_ char *prefix = xasprintf("%s ", what);

	return dx_path(x, node, prefix, path);
}

/* A network device name as the kernel takes it. */
static int put_ifname(struct dx *x, const xmlNode *node, const char *name, char *to)
{
	size_t len = strlen(name);

	if (!len || len > 15 || !strcmp(name, ".") || !strcmp(name, ".."))
		return dx_fail(x, node, "'%.40s' is no network device name (1 to 15 characters)", name);
	for (const char *s = name; *s; s++)
		if (!isalnum((unsigned char)*s) && !strchr("_.-", *s))
			return dx_fail(x, node, "'%.40s' is no network device name", name);
	memcpy(to, name, len + 1);
	return 0;
}

static int parse_error_policies(struct dx *x, const xmlNode *drv, struct dom_disk *d)
{
	_cleanup_free_ char *w = dx_attr(drv, "error_policy"), *rd = dx_attr(drv, "rerror_policy");
	int r = 0, i;

	if (w)
		r = dx_need_choice(x, drv, "error_policy", dx_error_policies, ARRAY_SIZE(dx_error_policies), &i);
	if (!r && w)
		d->error_policy = (enum dom_error_policy)(DOM_ERROR_STOP + i);
	if (!r && rd)
		r = dx_need_choice(x, drv, "rerror_policy", dx_error_policies, ARRAY_SIZE(dx_error_policies), &i);
	if (!r && rd && DOM_ERROR_STOP + i == DOM_ERROR_ENOSPACE)
		r = dx_fail(x, drv, "rerror_policy 'enospace' makes no sense (stop, report, ignore)");
	if (!r && rd)
		d->rerror_policy = (enum dom_error_policy)(DOM_ERROR_STOP + i);
	return r;
}

/* libvirt's two others become what keeps at least as much. */
static int parse_cache(struct dx *x, const xmlNode *drv, const char *cache, struct dom_config *cfg, struct dom_disk *d)
{
	static const struct {
		const char *name;
		enum dom_disk_cache is;
	} others[] = { { "directsync", DOM_CACHE_WRITETHROUGH }, { "unsafe", DOM_CACHE_WRITEBACK } };
	int i, r;

	for (size_t k = 0; cfg->type != DOM_TYPE_UML && k < ARRAY_SIZE(others); k++) {
		if (strcmp(cache, others[k].name) != 0)
			continue;
		d->cache = others[k].is;
		return dx_note(cfg, "devices/disk/driver/@cache '%s' is '%s'", cache, dx_caches[d->cache]);
	}
	r = dx_need_choice(x, drv, "cache", dx_caches, ARRAY_SIZE(dx_caches), &i);
	if (!r)
		d->cache = (enum dom_disk_cache)i;
	return r;
}

static int parse_disk_driver(struct dx *x, const xmlNode *node, struct dom_config *cfg, struct dom_disk *d)
{
	xmlNode *drv;
	_cleanup_free_ char *type = NULL, *discard = NULL, *cache = NULL;
	int r = dx_single(x, node, "driver", &drv);

	if (r < 0 || !drv)
		return r;
	type = dx_attr(drv, "type");
	if (type && strcmp(type, "raw") && strcmp(type, "qcow2"))
		return dx_fail(x, drv,
		               "type '%s' is not supported (raw, qcow2); convert the image: qemu-img convert -O qcow2",
		               type);
	if (type && !strcmp(type, "qcow2"))
		d->format = DOM_FORMAT_QCOW2;
	if (d->format == DOM_FORMAT_QCOW2 && d->shareable && !d->readonly)
		return dx_fail(x, drv, "type 'qcow2' cannot be written by several domains: <shareable/> needs raw");
	discard = dx_attr(drv, "discard");
	if (discard && strcmp(discard, "unmap") && strcmp(discard, "ignore"))
		return dx_fail(x, drv, "discard '%s' is not supported (unmap, ignore)", discard);
	d->discard = discard && !strcmp(discard, "unmap");
	cache = dx_attr(drv, "cache");
	if (!cache)
		return parse_error_policies(x, drv, d);
	r = parse_cache(x, drv, cache, cfg, d);
	return r ? r : parse_error_policies(x, drv, d);
}

static int parse_machine_target(struct dx *x, const xmlNode *target, const char *dev, struct dom_config *cfg,
                                struct dom_disk *d)
{
	int r = dx_parse_bus(x, target, dev, cfg, d->target, &d->at);

	if (r < 0)
		return r;
	if (d->cdrom && dom_disk_is_virtio(d))
		return dx_note(cfg, "devices/disk: the CD-ROM %s is a virtio disk that the guest only reads", dev);
	if (d->readonly && !d->cdrom && (d->at.bus == DOM_BUS_IDE || d->at.bus == DOM_BUS_SATA))
		return dx_fail(x, target->parent,
		               "a disk of bus 'ide' or 'sata' cannot be <readonly/> (device='cdrom' can, and bus "
		               "'scsi', 'usb' and 'virtio')");
	return 0;
}

/* "vda" stays, "ubda" and "ubd0" (uml's own names) become vda. */
static int parse_disk_target(struct dx *x, const xmlNode *node, struct dom_config *cfg, struct dom_disk *d)
{
	xmlNode *target;
	_cleanup_free_ char *dev = NULL, *bus = NULL;
	const char *letters = NULL;
	int r = dx_single(x, node, "target", &target);

	if (r < 0)
		return r;
	if (!target)
		return dx_fail(x, node, "<target dev='vda'/> is missing");
	r = dx_need_attr(x, target, "dev", &dev);
	if (r < 0)
		return r;
	if (cfg->type != DOM_TYPE_UML && strncmp(dev, "ubd", 3) != 0)
		return parse_machine_target(x, target, dev, cfg, d);
	bus = dx_attr(target, "bus");
	if (bus && strcmp(bus, "virtio") && strcmp(bus, "uml"))
		return dx_fail(x, target, "bus '%s' is not supported (virtio)", bus);
	if (!strncmp(dev, "vd", 2))
		letters = dev + 2;
	else if (!strncmp(dev, "ubd", 3))
		letters = dev + 3;
	if (letters && dev[0] == 'u' && isdigit((unsigned char)*letters) && !letters[1]) {
		snprintf(d->target, sizeof(d->target), "vd%c", 'a' + (*letters - '0'));
		return 0;
	}
	if (!letters || !islower((unsigned char)*letters) || letters[1])
		return dx_fail(x, target, "dev '%.30s' is not supported (vda to vdz)", dev);
	snprintf(d->target, sizeof(d->target), "vd%c", *letters);
	return 0;
}

/* Only virtio has none. */
static int parse_disk_wwn(struct dx *x, const xmlNode *node, struct dom_disk *d)
{
	xmlNode *wwn;
	int r = dx_single(x, node, "wwn", &wwn);
	_cleanup_free_ char *text = r || !wwn ? NULL : dx_text(wwn);

	if (r < 0 || !wwn)
		return r;
	if (!text)
		return oom(x);
	if (dom_disk_is_virtio(d) || d->at.bus == DOM_BUS_USB)
		return dx_fail(x, wwn,
		               "is not supported on bus 'virtio' and 'usb': the guest would not find its disk by "
		               "that name (<serial> is)");
	if (strlen(text) != 16 || strspn(text, "0123456789abcdefABCDEF") != 16)
		return dx_fail(x, wwn, "has to be 16 hexadecimal digits");
	memcpy(d->wwn, text, sizeof(d->wwn));
	return 0;
}

static int parse_disk_serial(struct dx *x, const xmlNode *node, struct dom_disk *d)
{
	xmlNode *serial;
	int r = dx_single(x, node, "serial", &serial);

	if (r < 0 || !serial)
		return r;
	d->serial = dx_text(serial);
	if (!d->serial)
		return oom(x);
	if (!*d->serial || strlen(d->serial) > DISK_SERIAL_MAX)
		return dx_fail(x, serial, "has to be 1 to %d characters", DISK_SERIAL_MAX);
	for (const char *s = d->serial; *s; s++)
		if (!isalnum((unsigned char)*s) && !strchr("_.+-", *s))
			return dx_fail(x, serial, "may hold letters, digits and _ . + - only");
	return 0;
}

static int parse_disk(struct dx *x, const xmlNode *node, struct dom_config *cfg, struct dom_disk *d)
{
	_cleanup_free_ char *device = dx_attr(node, "device");
	xmlNode *source;
	int r, type = DOM_DISK_FILE;

	d->cdrom = cfg->type != DOM_TYPE_UML && device && !strcmp(device, "cdrom");
	if (device && !strcmp(device, "cdrom") && !d->cdrom)
		return dx_fail(x, node,
		               "device 'cdrom' is not supported (disk); an ISO image can be a disk that the "
		               "guest only reads: device='disk', <target dev='vdb' bus='virtio'/>, <readonly/>");
	if (device && strcmp(device, "disk") && !d->cdrom)
		return dx_fail(x, node, "device '%s' is not supported (disk)", device);
	r = dx_need_choice(x, node, "type", dx_disk_types, ARRAY_SIZE(dx_disk_types), &type);
	if (r < 0)
		return r;
	d->type = (enum dom_disk_type)type;
	r = dx_single(x, node, "source", &source);
	if (r < 0)
		return r;
	if (!source)
		return dx_fail(x, node, "<source %s='...'/> is missing", dx_disk_attrs[type]);
	r = dx_need_attr(x, source, dx_disk_attrs[type], &d->source);
	if (r < 0)
		return r;
	r = need_absolute(x, source, dx_disk_attrs[type], d->source);
	if (r < 0)
		return r;
	d->place = cfg->type == DOM_TYPE_UML ? 0 : dx_parse_place(node);
	d->readonly = d->cdrom || dx_child(node, "readonly");
	d->shareable = dx_child(node, "shareable");
	r = parse_disk_driver(x, node, cfg, d);
	if (!r)
		r = parse_disk_target(x, node, cfg, d);
	if (!r && !dom_disk_is_virtio(d))
		d->place = 0; /* those stay */
	if (!r)
		r = parse_disk_serial(x, node, d);
	if (!r)
		r = parse_disk_wwn(x, node, d);
	if (!r)
		r = dx_parse_order(x, node, cfg, &d->boot_order);
	for (size_t i = 0; !r && &cfg->disk[i] != d; i++) {
		if (!strcmp(cfg->disk[i].target, d->target))
			r = dx_fail(x, node, "target %s is given twice", d->target);
		else if (!strcmp(cfg->disk[i].source, d->source) && !d->shareable && !d->readonly)
			r = dx_fail(x, node, "source %s is given twice", d->source);
	}
	return r;
}

static void mac_generate(const char *uuid, size_t index, uint8_t mac[6])
{
	uint32_t h = 2166136261u; /* FNV-1a */

	for (const char *s = uuid; *s; s++)
		h = (h ^ (uint8_t)*s) * 16777619u;
	h = (h ^ (uint8_t)index) * 16777619u;
	h ^= h >> 15;
	mac[0] = 0x52;
	mac[1] = 0x54;
	mac[2] = 0x00;
	mac[3] = (uint8_t)(h >> 16);
	mac[4] = (uint8_t)(h >> 8);
	mac[5] = (uint8_t)h;
}

/* Another NIC that has @mac: those that are given, and of the generated ones those before. */
static bool mac_taken(const struct dom_config *cfg, size_t index, const uint8_t mac[6])
{
	for (size_t i = 0; i < cfg->n_nics; i++)
		if (i != index && (cfg->nic[i].mac_given || i < index) && !memcmp(cfg->nic[i].mac, mac, 6))
			return true;
	return false;
}

void dx_macs_generate(struct dom_config *cfg)
{
	for (size_t i = 0; i < cfg->n_nics; i++) {
		size_t index = i;

		if (cfg->nic[i].mac_given)
			continue;
		/* a given one may be what was generated for another place in the list */
		do {
			mac_generate(cfg->uuid, index, cfg->nic[i].mac);
			index += DOM_NICS_MAX;
		} while (mac_taken(cfg, i, cfg->nic[i].mac) && index < 256);
	}
}

static int parse_mac(struct dx *x, const xmlNode *node, struct dom_nic *nic)
{
	static const uint8_t none[6];
	_cleanup_free_ char *text = NULL;
	unsigned b[6];
	int end = 0, r = dx_need_attr(x, node, "address", &text);

	if (r < 0)
		return r;
	if (sscanf(text, "%2x:%2x:%2x:%2x:%2x:%2x%n", &b[0], &b[1], &b[2], &b[3], &b[4], &b[5], &end) != 6 ||
	    end != 17 || text[end] || strspn(text, "0123456789abcdefABCDEF:") != 17)
		return dx_fail(x, node, "'%.40s' is no MAC address", text);
	for (int i = 0; i < 6; i++)
		nic->mac[i] = (uint8_t)b[i];
	if ((nic->mac[0] & 1) || !memcmp(nic->mac, none, sizeof(none)))
		return dx_fail(x, node, "'%s' is no address of one host (multicast or zero)", text);
	nic->mac_given = true;
	return 0;
}

static int parse_mtu(struct dx *x, const xmlNode *node, struct dom_nic *nic)
{
	_cleanup_free_ char *text = NULL;
	char *end;
	long v;
	int r = dx_need_attr(x, node, "size", &text);

	if (r < 0)
		return r;
	v = strtol(text, &end, 10);
	if (*end || !isdigit((unsigned char)*text) || v < MTU_MIN || v > MTU_MAX)
		return dx_fail(x, node, "size '%.20s' is not between %d and %d", text, MTU_MIN, MTU_MAX);
	nic->mtu = (uint16_t)v;
	return 0;
}

const char *dom_nic_model_name(enum dom_nic_model model)
{
	return dx_nic_models[model];
}

/* Cards that a machine does not have are virtio. */
static int parse_nic_model(struct dx *x, const xmlNode *model, struct dom_config *cfg, struct dom_nic *nic)
{
	static const char *const cards[] = { "virtio-transitional",
		                             "virtio-non-transitional",
		                             "ne2k_pci",
		                             "pcnet",
		                             "i82551",
		                             "i82557b",
		                             "i82559er",
		                             "vmxnet3",
		                             "igb" };
	_cleanup_free_ char *type = dx_attr(model, "type");

	if (type && !strcmp(type, "virtio"))
		return 0;
	int i = cfg->type == DOM_TYPE_UML ? -1 : dx_index(type, dx_nic_models, ARRAY_SIZE(dx_nic_models));
	if (i >= 0) {
		nic->model = (enum dom_nic_model)i;
		return 0;
	}
	if (cfg->type == DOM_TYPE_UML || dx_index(type, cards, ARRAY_SIZE(cards)) < 0)
		return dx_fail(x, model, "type '%s' is not supported (%s)", type ?: "",
		               cfg->type == DOM_TYPE_UML ? "virtio" : "virtio, e1000, e1000e, rtl8139");
	if (!strncmp(type, "virtio", 6))
		return 0;
	return dx_note(cfg, "devices/interface of model '%s' is model 'virtio', for which the guest needs a driver",
	               type);
}

static int parse_nic_parts(struct dx *x, const xmlNode *node, struct dom_config *cfg, struct dom_nic *nic)
{
	xmlNode *source, *target, *model, *mac, *mtu;
	_cleanup_free_ char *text = NULL;
	int r;

	if ((r = dx_single(x, node, "source", &source)) < 0 || (r = dx_single(x, node, "target", &target)) < 0 ||
	    (r = dx_single(x, node, "model", &model)) < 0 || (r = dx_single(x, node, "mac", &mac)) < 0 ||
	    (r = dx_single(x, node, "mtu", &mtu)) < 0)
		return r;
	if (nic->type == DOM_NIC_BRIDGE) {
		_cleanup_free_ char *bridge = NULL;

		if (!source)
			return dx_fail(x, node, "<source bridge='...'/> is missing");
		r = dx_need_attr(x, source, "bridge", &bridge);
		if (!r)
			r = put_ifname(x, source, bridge, nic->bridge);
		if (r < 0)
			return r;
	}
	if (target) {
		r = dx_need_attr(x, target, "dev", &text);
		if (!r)
			r = put_ifname(x, target, text, nic->target);
		if (r < 0)
			return r;
	}
	if (model && (r = parse_nic_model(x, model, cfg, nic)) < 0)
		return r;
	if (mtu && (r = parse_mtu(x, mtu, nic)) < 0)
		return r;
	return mac ? parse_mac(x, mac, nic) : 0;
}

/* Types that libvirt's tools write by default, with what there is instead. */
static int refuse_nic_type(struct dx *x, const xmlNode *node)
{
	static const struct {
		const char *type, *instead;
	} t[] = {
		{ "user", "make a bridge on each host (ip link add br0 type bridge)" },
		{ "network", "name the bridge of the network (virsh net-info says which)" },
		{ "direct", "make a bridge with that device as a port (ip link set eth0 master br0)" },
	};
	_cleanup_free_ char *type = dx_attr(node, "type");

	for (size_t i = 0; type && i < ARRAY_SIZE(t); i++)
		if (!strcmp(t[i].type, type))
			return dx_fail(x, node,
			               "type '%s' is not supported here (bridge, ethernet); %s: "
			               "<interface type='bridge'><source bridge='br0'/>",
			               type, t[i].instead);
	return 0;
}

/* A running domain's document names the bridge of its network. */
static bool names_bridge(const xmlNode *node)
{
	_cleanup_free_ char *type = dx_attr(node, "type");
	xmlNode *source = dx_child(node, "source");

	return type && !strcmp(type, "network") && source && xmlHasProp(source, (const xmlChar *)"bridge");
}

static int parse_nic(struct dx *x, const xmlNode *node, struct dom_config *cfg, struct dom_nic *nic)
{
	size_t index = (size_t)(nic - cfg->nic);
	int r, type = DOM_NIC_BRIDGE;

	if (cfg->type != DOM_TYPE_UML && names_bridge(node)) {
		r = dx_note(cfg, "devices/interface of type 'network' is on the bridge of that network");
	} else {
		r = refuse_nic_type(x, node);
		if (!r)
			r = dx_need_choice(x, node, "type", dx_nic_types, ARRAY_SIZE(dx_nic_types), &type);
	}
	if (r < 0)
		return r;
	nic->type = (enum dom_nic_type)type;
	nic->place = cfg->type == DOM_TYPE_UML ? 0 : dx_parse_place(node);
	r = parse_nic_parts(x, node, cfg, nic);
	if (!r)
		r = dx_parse_order(x, node, cfg, &nic->boot_order);
	if (!r && nic->boot_order && nic->place)
		r = dx_fail(x, node, "an interface that came to a running guest is not booted from: leave <boot> out");
	if (r < 0)
		return r;
	for (size_t i = 0; i < index; i++) {
		if (nic->mac_given && cfg->nic[i].mac_given && !memcmp(cfg->nic[i].mac, nic->mac, sizeof(nic->mac)))
			return dx_fail(x, node, "MAC address is given twice");
		if (*nic->target && !strcmp(cfg->nic[i].target, nic->target))
			return dx_fail(x, node, "target %s is given twice", nic->target);
	}
	return 0;
}

static int parse_char(struct dx *x, const xmlNode *node, struct dom_char *c)
{
	xmlNode *source, *log;
	_cleanup_free_ char *given = dx_attr(node, "type");
	int r, type = DOM_CHAR_PTY;

	/* libvirt: a console without a type is a pty */
	if (given) {
		r = dx_need_choice(x, node, "type", dx_char_types, ARRAY_SIZE(dx_char_types), &type);
		if (r < 0)
			return r;
	}
	c->type = (enum dom_char_type)type;
	if ((r = dx_single(x, node, "source", &source)) < 0 || (r = dx_single(x, node, "log", &log)) < 0)
		return r;
	if (type == DOM_CHAR_FILE) {
		if (!source)
			return dx_fail(x, node, "<source path='...'/> is missing");
		r = dx_need_attr(x, source, "path", &c->path);
		if (!r)
			r = need_absolute(x, source, "path", c->path);
		if (r < 0)
			return r;
	}
	if (log) {
		r = dx_need_attr(x, log, "file", &c->log);
		if (!r)
			r = need_absolute(x, log, "file", c->log);
	}
	return r;
}

static int parse_rng(struct dx *x, const xmlNode *node, enum dom_type dom_type)
{
	static const char *const models[] = { "virtio", "virtio-transitional", "virtio-non-transitional" },
				 *const backends[] = { "random", "builtin" };
	_cleanup_free_ char *path = NULL;
	xmlNode *backend;
	int r, i = 0;

	r = dx_need_choice(x, node, "model", models, dom_type == DOM_TYPE_UML ? 1 : ARRAY_SIZE(models), &i);
	if (r < 0)
		return r;
	r = dx_single(x, node, "backend", &backend);
	if (r < 0)
		return r;
	if (!backend)
		return dx_fail(x, node, "<backend model='random'>/dev/urandom</backend> is missing");
	r = dx_need_choice(x, backend, "model", backends, ARRAY_SIZE(backends), &i);
	if (r < 0)
		return r;
	path = dx_text(backend);
	if (!path)
		return oom(x);
	if (*path && strcmp(path, "/dev/urandom") && strcmp(path, "/dev/random"))
		return dx_fail(x, backend, "'%.60s' is not supported (/dev/urandom)", path);
	return 0;
}

static int parse_balloon(struct dx *x, const xmlNode *devices, struct dom_config *cfg)
{
	static const char *const models[] = { "none", "virtio", "virtio-transitional", "virtio-non-transitional" };
	xmlNode *node;
	int i = 0, r = dx_single(x, devices, "memballoon", &node);

	if (r < 0 || !node)
		return r;
	r = dx_need_choice(x, node, "model", models, cfg->type == DOM_TYPE_UML ? 2 : ARRAY_SIZE(models), &i);
	if (!r)
		cfg->balloon = i > 0;
	return r;
}

/* uml: the model names a device that the guest does not have: its agent's heartbeat is the watchdog. */
static int parse_watchdog(struct dx *x, const xmlNode *devices, struct dom_config *cfg)
{
	_cleanup_free_ char *model = NULL, *action = NULL;
	xmlNode *node;
	int i = DOM_WATCHDOG_RESET, r = dx_single(x, devices, "watchdog", &node);

	if (r < 0 || !node)
		return r;
	r = dx_need_attr(x, node, "model", &model);
	if (!r && xmlHasProp(node, (const xmlChar *)"action"))
		r = dx_need_choice(x, node, "action", dx_watchdogs,
		                   cfg->type == DOM_TYPE_UML ? DOM_WATCHDOG_SHUTDOWN : ARRAY_SIZE(dx_watchdogs), &i);
	if (!r)
		cfg->watchdog = (enum dom_watchdog)i;
	return r;
}

static int parse_consoles(struct dx *x, const xmlNode *devices, struct dom_config *cfg)
{
	xmlNode *nodes[CHARS_MAX];
	size_t n = dx_console_nodes(devices, nodes, CHARS_MAX);
	int r = 0;

	if (n > DOM_CONSOLES_MAX)
		return dx_fail(x, devices, "more than %d consoles", DOM_CONSOLES_MAX);
	for (size_t i = 0; !r && i < n; i++) {
		cfg->n_consoles = i + 1; /* counted before, so that a half-read one is freed too */
		r = parse_char(x, nodes[i], &cfg->console[i]);
	}
	return r;
}

/* Floppies, and drives without a medium, which are no disks of ours. */
bool dx_disk_is_left_out(const xmlNode *node)
{
	_cleanup_free_ char *device = dx_attr(node, "device");

	return (device && !strcmp(device, "floppy")) || dx_is_empty_drive(node);
}

static int parse_drives(struct dx *x, const xmlNode *devices, struct dom_config *cfg)
{
	int r = 0;

	for (xmlNode *n = dx_child(devices, "disk"); !r && n; n = dx_next(n))
		if (dx_is_empty_drive(n))
			r = dx_parse_drive(x, n, cfg);
		else if (dx_disk_is_left_out(n))
			r = dx_note(cfg, "devices/disk: the floppy is left out");
	return r;
}

xmlNode *dx_first_disk(const xmlNode *devices, enum dom_type type)
{
	xmlNode *n = dx_child(devices, "disk");

	return n && type != DOM_TYPE_UML && dx_disk_is_left_out(n) ? dx_next_disk(n, type) : n;
}

xmlNode *dx_next_disk(const xmlNode *node, enum dom_type type)
{
	xmlNode *n = dx_next(node);

	while (n && type != DOM_TYPE_UML && dx_disk_is_left_out(n))
		n = dx_next(n);
	return n;
}

int dx_parse_devices(struct dx *x, const xmlNode *devices, struct dom_config *cfg)
{
	int r = 0;

	if (!devices)
		return 0;
	if (cfg->type != DOM_TYPE_UML)
		r = parse_drives(x, devices, cfg);
	for (xmlNode *n = dx_first_disk(devices, cfg->type); !r && n; n = dx_next_disk(n, cfg->type)) {
		if (cfg->n_disks == DOM_DISKS_MAX)
			return dx_fail(x, n, "more than %d disks", DOM_DISKS_MAX);
		cfg->n_disks++;
		r = parse_disk(x, n, cfg, &cfg->disk[cfg->n_disks - 1]);
	}
	if (!r && cfg->type != DOM_TYPE_UML)
		r = dx_place_disks(x, devices, cfg);
	for (xmlNode *n = dx_child(devices, "interface"); !r && n; n = dx_next(n)) {
		if (cfg->n_nics == DOM_NICS_MAX)
			return dx_fail(x, n, "more than %d interfaces", DOM_NICS_MAX);
		cfg->n_nics++;
		r = parse_nic(x, n, cfg, &cfg->nic[cfg->n_nics - 1]);
	}
	if (!r)
		dx_macs_generate(cfg);
	for (xmlNode *n = dx_child(devices, "rng"); !r && n; n = dx_next(n)) {
		if (cfg->n_rngs == DOM_RNGS_MAX)
			return dx_fail(x, n, "more than %d rngs", DOM_RNGS_MAX);
		cfg->n_rngs++;
		r = parse_rng(x, n, cfg->type);
	}
	if (!r)
		r = parse_consoles(x, devices, cfg);
	for (xmlNode *n = dx_child(devices, "channel"); !r && n; n = dx_next(n)) {
		if (cfg->type == DOM_TYPE_UML || !dx_is_agent_channel(n))
			continue;
		if (cfg->guest_agent)
			r = dx_fail(x, n, "the channel " DX_AGENT_PORT " is given twice");
		cfg->guest_agent = true;
	}
	if (!r)
		r = parse_watchdog(x, devices, cfg);
	if (!r)
		r = parse_balloon(x, devices, cfg);
	if (!r && cfg->type != DOM_TYPE_UML)
		r = dx_parse_hvm_devices(x, devices, cfg);
	return r == -ENOMEM ? oom(x) : r;
}
