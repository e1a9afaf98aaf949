/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Where the disks of a machine (kvm, qemu) are: bus by name or <target bus>, place on the controller by <address type='drive'>, else by
 * the name's letter as libvirt does, else the first that is free. Reader and writer. ADR 87.
 */
#include "config.h"
#include "hypervisor/api/xml/domxml_int.h"

#include <ctype.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include "hypervisor/api/domarch.h"

#define IDE_CHANNELS 2u
#define SATA_PORTS   6u
#define USB_FIRST    (DOM_INPUTS_MAX + 1u) /* the port after those of tablets and keyboards */
#define USB_LAST     15u
#define SCSI_TARGETS 256u /* of virtio-scsi */
#define SCSI_LUNS    256u /* more than anybody has */
#define CTRL_TARGETS 16u  /* that a controller of the document has on ours */
#define PLACES_MAX   (DOM_DISKS_MAX + DOM_DRIVES_MAX)

static const char *const buses[] = { [DOM_BUS_VIRTIO] = "virtio",
	                             [DOM_BUS_IDE] = "ide",
	                             [DOM_BUS_SATA] = "sata",
	                             [DOM_BUS_SCSI] = "scsi",
	                             [DOM_BUS_USB] = "usb" };

const char *dom_bus_name(enum dom_bus bus)
{
	return buses[bus];
}

/* Whoever needs a place: a disk, or an empty drive. */
struct seeker {
	const xmlNode *node;
	const char *target;
	struct dom_place *at;
	bool placed;
};

int dx_parse_bus(struct dx *x, const xmlNode *target, const char *dev, struct dom_config *cfg, char ret_target[16],
                 struct dom_place *ret)
{
	_cleanup_free_ char *bus = dx_attr(target, "bus");
	int i = bus             ? dx_index(bus, buses, ARRAY_SIZE(buses))
	        : dev[0] == 'h' ? (int)DOM_BUS_IDE
	        : dev[0] == 's' ? (int)DOM_BUS_SCSI
	                        : (int)DOM_BUS_VIRTIO;

	if (i < 0)
		return dx_fail(x, target, "bus '%.30s' is not supported (virtio, ide, sata, scsi, usb)", bus);
	if (strlen(dev) != 3 || !strchr("hsv", dev[0]) || dev[1] != 'd' || !islower((unsigned char)dev[2]))
		return dx_fail(x, target, "dev '%.30s' is not supported (hda to hdz, sda to sdz, vda to vdz)", dev);
	snprintf(ret_target, 16, "%s", dev);
	*ret = (struct dom_place){ .bus = (enum dom_bus)i };
	if (i == DOM_BUS_USB)
		cfg->hvm.usb = true;
	const struct dom_machine *m = dom_machine(cfg, NULL);
	if (i != DOM_BUS_IDE || !m || m->ide)
		return 0;
	ret->bus = DOM_BUS_SATA;
	return dx_note(cfg, "devices/disk: %s of bus 'ide' is on SATA: a machine of type %s has no IDE", dev, m->alias);
}

/* Empty CD-ROM drives have no medium, so the guest's data is none of their business; those on virtio would be no drives. */
bool dx_is_empty_drive(const xmlNode *node)
{
	_cleanup_free_ char *device = dx_attr(node, "device");

	return device && !strcmp(device, "cdrom") && !dx_child(node, "source");
}

int dx_parse_drive(struct dx *x, const xmlNode *node, struct dom_config *cfg)
{
	struct dom_drive *d = &cfg->hvm.drive[cfg->hvm.n_drives];
	xmlNode *target;
	_cleanup_free_ char *dev = NULL;
	int r = dx_single(x, node, "target", &target);

	if (!r && !target)
		r = dx_fail(x, node, "<target dev='sda' bus='sata'/> is missing");
	if (!r)
		r = dx_need_attr(x, target, "dev", &dev);
	if (r < 0)
		return r;
	if (cfg->hvm.n_drives == DOM_DRIVES_MAX)
		return dx_fail(x, node, "more than %d empty CD-ROM drives", DOM_DRIVES_MAX);
	r = dx_parse_bus(x, target, dev, cfg, d->target, &d->at);
	if (r < 0)
		return r;
	if (d->at.bus == DOM_BUS_VIRTIO)
		return dx_note(cfg, "devices/disk: the empty CD-ROM %s is left out: bus 'virtio' has no such drives",
		               dev);
	cfg->hvm.n_drives++;
	return 0;
}

/* Places -------------------------------------------------------------------------------------------------------------- */

static bool taken(const struct seeker *s, size_t n, const struct dom_place *at)
{
	for (size_t i = 0; i < n; i++)
		if (s[i].placed && s[i].at->bus == at->bus && s[i].at->target == at->target &&
		    s[i].at->unit == at->unit)
			return true;
	return false;
}

static bool exists(const struct dom_place *at)
{
	switch (at->bus) {
	case DOM_BUS_IDE:
		return at->target < IDE_CHANNELS && at->unit < 2;
	case DOM_BUS_SATA:
		return !at->target && at->unit < SATA_PORTS;
	case DOM_BUS_USB:
		return at->unit >= USB_FIRST && at->unit <= USB_LAST;
	default:
		return at->target < SCSI_TARGETS && at->unit < SCSI_LUNS;
	}
}

static bool number(const xmlNode *node, const char *name, unsigned *ret)
{
	_cleanup_free_ char *text = dx_attr(node, name);
	char *end;

	*ret = 0;
	if (!text)
		return true;
	unsigned long v = strtoul(text, &end, 10);
	*ret = (unsigned)v;
	return isdigit((unsigned char)*text) && !*end && v < 65536;
}

/* By its address. One on a bus that it was not written for says nothing. */
static int place_by_address(struct dx *x, struct seeker *all, size_t n, struct seeker *s)
{
	xmlNode *address = dx_child(s->node, "address"), *target = dx_child(s->node, "target");
	_cleanup_free_ char *type = address ? dx_attr(address, "type") : NULL, *bus = dx_attr(target, "bus");
	unsigned controller, channel;
	struct dom_place at = *s->at;

	if (!type || strcmp(type, "drive") || at.bus == DOM_BUS_USB ||
	    (at.bus == DOM_BUS_SATA && bus && !strcmp(bus, "ide")) || (at.bus == DOM_BUS_SATA && !bus))
		return 0;
	if (!number(address, "controller", &controller) || !number(address, "bus", &channel) ||
	    !number(address, "target", &at.target) || !number(address, "unit", &at.unit))
		return dx_fail(x, address, "controller, bus, target and unit have to be small numbers");
	if (at.bus == DOM_BUS_SCSI)
		at.target += CTRL_TARGETS * controller;
	else if (controller)
		return 0; /* there is one: the first place that is free */
	else if (at.bus == DOM_BUS_IDE)
		at.target = channel;
	if (!exists(&at))
		return dx_fail(x, address, "there is no such place on bus '%s'", buses[at.bus]);
	if (taken(all, n, &at))
		return dx_fail(x, address, "two disks are at this place of bus '%s'", buses[at.bus]);
	*s->at = at;
	s->placed = true;
	return 0;
}

static struct dom_place nth_place(enum dom_bus bus, unsigned i)
{
	return (struct dom_place){ .bus = bus,
		                   .target = bus == DOM_BUS_IDE ? i / 2 : 0,
		                   .unit = bus == DOM_BUS_IDE   ? i % 2
		                           : bus == DOM_BUS_USB ? USB_FIRST + i
		                                                : i };
}

static int place_by_name(struct dx *x, struct seeker *all, size_t n, struct seeker *s)
{
	struct dom_place at = nth_place(s->at->bus, (unsigned)(s->target[2] - 'a'));

	for (unsigned i = 0; !exists(&at) || taken(all, n, &at); i++) {
		at = nth_place(s->at->bus, i);
		if (!exists(&at))
			return dx_fail(x, s->node, "bus '%s' has no place left for %s", buses[at.bus], s->target);
	}
	*s->at = at;
	s->placed = true;
	return 0;
}

int dx_place_disks(struct dx *x, const xmlNode *devices, struct dom_config *cfg)
{
	struct seeker s[PLACES_MAX];
	size_t n = 0, disk = 0, drive = 0;
	int r = 0;

	for (xmlNode *node = dx_child(devices, "disk"); node && n < PLACES_MAX; node = dx_next(node)) {
		_cleanup_free_ char *dev = dx_child(node, "target") ? dx_attr(dx_child(node, "target"), "dev") : NULL;
		struct seeker one = { .node = node };
		if (dx_is_empty_drive(node) && drive < cfg->hvm.n_drives && dev &&
		    !strcmp(dev, cfg->hvm.drive[drive].target)) {
			one.target = cfg->hvm.drive[drive].target;
			one.at = &cfg->hvm.drive[drive].at;
			drive++;
		} else if (!dx_disk_is_left_out(node)) {
			one.target = cfg->disk[disk].target;
			one.at = &cfg->disk[disk].at;
			disk++;
		} else {
			continue;
		}
		for (size_t i = 0; i < n; i++)
			if (!strcmp(s[i].target, one.target))
				return dx_fail(x, node, "target %s is given twice", one.target);
		one.placed = one.at->bus == DOM_BUS_VIRTIO;
		s[n++] = one;
	}
	for (size_t i = 0; i < n && !r; i++)
		r = s[i].placed ? 0 : place_by_address(x, s, n, &s[i]);
	for (size_t i = 0; i < n && !r; i++)
		r = s[i].placed ? 0 : place_by_name(x, s, n, &s[i]);
	return r;
}

static bool put_number(xmlNode *node, const char *name, unsigned v)
{
	char text[12];

	snprintf(text, sizeof(text), "%u", v);
	return dx_put_attr(node, name, text);
}

bool dx_put_place_of_disk(xmlNode *node, const struct dom_disk *d)
{
	xmlNode *address = dx_child(node, "address");
	_cleanup_free_ char *type = address ? dx_attr(address, "type") : NULL;
	bool pinned = d->at.bus != DOM_BUS_VIRTIO && d->at.bus != DOM_BUS_USB, ide = d->at.bus == DOM_BUS_IDE;

	/* one of another bus, for which the disk was written */
	if (type && (pinned ? strcmp(type, "drive") != 0 : !strcmp(type, "drive") || !strcmp(type, "usb")))
		dx_remove(address);
	if (!dx_put_attr(dx_child(node, "target"), "bus", buses[d->at.bus]))
		return false;
	if (!pinned)
		return true;
	address = dx_ensure(node, "address", NULL);
	return dx_put_attr(address, "type", "drive") &&
	       put_number(address, "controller", d->at.target / CTRL_TARGETS) &&
	       put_number(address, "bus", ide ? d->at.target : 0) &&
	       put_number(address, "target", ide ? 0 : d->at.target % CTRL_TARGETS) &&
	       put_number(address, "unit", d->at.unit);
}
