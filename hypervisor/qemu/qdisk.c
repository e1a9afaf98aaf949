/* SPDX-License-Identifier: GPL-2.0-or-later */
/* See qdisk.h. */
#include "config.h"
#include "hypervisor/qemu/qdisk.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include "common/util.h"
#include "hypervisor/dev/nblk.h"
#include "hypervisor/qemu/qargs.h"

/* On the PCI bus; the others are in qargs.c. */
#define SLOT_SCSI "0x16"
#define SLOT_AHCI "0x17"

void qdisk_done(struct qdisk *d)
{
	free(d->chardev);
	free(d->blockdev);
	free(d->bridge);
	free(d->device);
	*d = (struct qdisk){ 0 };
}

static int all_there(struct qdisk *d, bool has_data, bool has_bridge)
{
	if (d->device && (d->blockdev || d->chardev || !has_data) && (d->bridge || !has_bridge))
		return 0;
	qdisk_done(d);
	return -ENOMEM;
}

/* The device at @at. @more: ",key=value..." */
static void put_device(struct qdisk *d, const struct dom_place *at, bool ahci, const char *id, bool cd,
                       const char *more)
{
	const char *kind = cd ? "cd" : "hd";

	switch (at->bus) {
	case DOM_BUS_IDE:
		d->device = xasprintf("ide-%s,id=%s,bus=ide.%u,unit=%u%s", kind, id, at->target, at->unit, more);
		break;
	case DOM_BUS_SATA: /* the chipset's, or our own */
		d->device = xasprintf("ide-%s,id=%s,bus=%s.%u,unit=0%s", kind, id, ahci ? "ide" : "sata", at->unit,
		                      more);
		break;
	case DOM_BUS_USB: /* as usb-storage is inside, of whose disk less can be said */
		d->bridge = xasprintf("usb-bot,id=%s-usb,bus=usb.0,port=%u", id, at->unit);
		d->device = xasprintf("scsi-%s,id=%s,bus=%s-usb.0,scsi-id=0,lun=0%s", kind, id, id, more);
		break;
	default:
		d->device = xasprintf("scsi-%s,id=%s,bus=scsi.0,channel=0,scsi-id=%u,lun=%u%s", kind, id, at->target,
		                      at->unit, more);
	}
}

/* Where the guest's data is: its image stays with hvdom, which is told to write what it is told to. */
static char *blockdev(const struct dom_disk *k, size_t dev, size_t socket)
{
	return xasprintf("driver=nbd,node-name=disk%zu,server.type=unix,server.path=" QARGS_SOCKET_DIR
	                 "/%zu,read-only=%s,discard=%s,detect-zeroes=off",
	                 dev, socket, k->readonly ? "on" : "off", k->discard ? "unmap" : "ignore");
}

/*
 * As QEMU chooses it for a disk without partitions. It would look for one in the image, which is not ours yet where a guest comes from
 * elsewhere.
 */
static void put_geometry(char *buf, size_t len, uint64_t sectors)
{
	uint64_t cyls = sectors / (16 * 63);

	snprintf(buf, len, ",cyls=%u,heads=16,secs=63", cyls < 2 ? 2u : cyls > 16383 ? 16383u : (unsigned)cyls);
}

static int controlled(const struct qdisk_of *o, const char *boot, struct qdisk *ret)
{
	const struct dom_disk *k = o->disk;
	char geometry[48] = "", wwn[32] = "", serial[64] = "", id[48] = "";

	if (!k->cdrom)
		put_geometry(geometry, sizeof(geometry), o->sectors);
	if (*k->wwn)
		snprintf(wwn, sizeof(wwn), ",wwn=0x%s", k->wwn);
	if (k->serial)
		snprintf(serial, sizeof(serial), ",serial=%s", k->serial);
	if (k->at.bus == DOM_BUS_SCSI || k->at.bus == DOM_BUS_USB)
		snprintf(id, sizeof(id), ",device_id=%s", k->serial ? k->serial : k->target);
	_cleanup_free_ char *more =
		xasprintf(",drive=disk%zu,rerror=" NBLK_KEEP ",werror=" NBLK_KEEP ",write-cache=%s%s%s%s%s%s", o->dev,
	                  k->cache == DOM_CACHE_WRITETHROUGH ? "off" : "on", id, serial, wwn, geometry, boot);
	if (!more)
		return -ENOMEM;
	ret->blockdev = blockdev(k, o->dev, o->socket);
	put_device(ret, &k->at, o->ahci, o->id, k->cdrom, more);
	return all_there(ret, true, k->at.bus == DOM_BUS_USB);
}

int qdisk_of_disk(const struct qdisk_of *o, struct qdisk *ret)
{
	char boot[24] = "";

	*ret = (struct qdisk){ 0 };
	if (o->boot)
		snprintf(boot, sizeof(boot), ",bootindex=%u", o->boot);
	if (!dom_disk_is_virtio(o->disk))
		return controlled(o, boot, ret);
	ret->chardev = xasprintf("socket,id=%s,path=" QARGS_SOCKET_DIR "/%zu", o->chardev, o->socket);
	ret->device = xasprintf("vhost-user-blk-pci,chardev=%s,id=%s,num-queues=1%s,%s," QARGS_VIRTIO, o->chardev,
	                        o->id, boot, o->at);
	return all_there(ret, true, false);
}

int qdisk_of_drive(const struct dom_drive *drive, bool ahci, struct qdisk *ret)
{
	*ret = (struct qdisk){ 0 };
	put_device(ret, &drive->at, ahci, drive->target, true, "");
	return all_there(ret, false, drive->at.bus == DOM_BUS_USB);
}

static bool on_bus(const struct dom_config *cfg, enum dom_bus bus)
{
	bool is = false;

	for (size_t i = 0; i < cfg->n_disks; i++)
		is |= cfg->disk[i].at.bus == bus;
	for (size_t i = 0; i < cfg->hvm.n_drives; i++)
		is |= cfg->hvm.drive[i].at.bus == bus;
	return is;
}

const char *qdisk_controller(const struct dom_config *cfg, enum dom_bus bus, bool ahci)
{
	if (bus == DOM_BUS_SCSI && on_bus(cfg, bus))
		return "virtio-scsi-pci,id=scsi,num_queues=1,addr=" SLOT_SCSI "," QARGS_VIRTIO;
	return bus == DOM_BUS_SATA && !ahci && on_bus(cfg, bus) ? "ahci,id=sata,addr=" SLOT_AHCI : NULL;
}

char *qdisk_identity(const struct dom_config *cfg)
{
	char text[(DOM_DISKS_MAX + DOM_DRIVES_MAX) * 24] = "";
	size_t n = 0;

	for (size_t i = 0; i < cfg->n_disks + cfg->hvm.n_drives; i++) {
		const struct dom_place *at = i < cfg->n_disks ? &cfg->disk[i].at : &cfg->hvm.drive[i - cfg->n_disks].at;
		if (at->bus != DOM_BUS_VIRTIO)
			n += (size_t)snprintf(text + n, sizeof(text) - n, " %d.%u.%u", (int)at->bus, at->target,
			                      at->unit);
	}
	return strdup(text);
}
