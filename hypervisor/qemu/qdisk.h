/* SPDX-License-Identifier: GPL-2.0-or-later */
/* A disk as QEMU is told of it: where its data comes from (hvdom, ADR 76 and 87), and the device that the guest sees. Pure. */
#ifndef HOSPES_QEMU_QDISK_H
#define HOSPES_QEMU_QDISK_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include "common/cleanup.h"
#include "hypervisor/api/domcfg.h"

/* Each as "key=value,..." with the value of chardev, blockdev and device; owned, NULL: there is none. */
struct qdisk {
	char *chardev, *blockdev, *bridge, *device; /* bridge: the USB device in which the disk is, made before it */
};
void qdisk_done(struct qdisk *d);
static inline void cleanup_qdisk(struct qdisk *d) { qdisk_done(d); }
#define _cleanup_qdisk_ __attribute__((cleanup(cleanup_qdisk)))

struct qdisk_of {
	const struct dom_disk *disk;
	size_t dev;          /* its number in devs.h */
	const char *id;      /* of the device */
	size_t socket;       /* the name of its socket */
	const char *chardev; /* virtio: of its socket's */
	const char *at;      /* virtio: where it is on the PCI bus, "addr=0x4" */
	uint64_t sectors;    /* of 512 octets; not for virtio */
	unsigned boot;       /* its place in the boot order, 0: none */
	bool ahci;           /* the machine has one by itself */
};
int qdisk_of_disk(const struct qdisk_of *o, struct qdisk *ret) _must_check_; /* -ENOMEM */
/* An empty CD-ROM drive. -ENOMEM */
int qdisk_of_drive(const struct dom_drive *drive, bool ahci, struct qdisk *ret) _must_check_;
/* The controller of @bus, as the value of device; NULL: the machine has it, or nothing of @cfg is on it. Static text. */
const char *qdisk_controller(const struct dom_config *cfg, enum dom_bus bus, bool ahci);
/* What a state depends on, beyond virtio: a text, owned by the caller, empty if there is no such disk. NULL: no memory. */
char *qdisk_identity(const struct dom_config *cfg);

#endif
