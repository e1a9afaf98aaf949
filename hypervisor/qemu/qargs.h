/* SPDX-License-Identifier: GPL-2.0-or-later */
/* QEMU's command line, from a domain's configuration and the descriptors that QEMU inherits. Pure. */
#ifndef HOSPES_QEMU_QARGS_H
#define HOSPES_QEMU_QARGS_H

#include <stdbool.h>
#include <stdint.h>
#include "common/cleanup.h"
#include "common/err.h"
#include "hypervisor/api/domcfg.h"

/* Names in QEMU's root file system. */
#define QARGS_FD_DIR     "/fd"     /* its own descriptors, by number */
#define QARGS_SOCKET_DIR "/v"      /* the socket of each device, by its number among all of the domain's */
#define QARGS_PLUG       "plug"    /* and the number of its place: the device there, and its chardev */
#define QARGS_PLUG_NET   "plugnet" /* its netdev */
#define QARGS_KERNEL     "/kernel"
#define QARGS_INITRD     "/initrd"

/* Of each virtio device. */
#define QARGS_VIRTIO "disable-legacy=on,disable-modern=off"

struct qargs {
	const struct dom_config *cfg;
	const char *program;
	bool kvm, incoming;
	bool smm;                              /* of the firmware */
	uint64_t generation;                   /* of ownership */
	int64_t utc_s;                         /* what time it is; and how much later the host's local time is */
	int32_t local_s;
	int mem, qmp, serial;                  /* descriptors */
	uint64_t sectors[DOM_DISKS_MAX];       /* of the disks, 512 octets each */
	int code, vars;                        /* of UEFI's flash memory, -1: SeaBIOS */
	int nic[DOM_NICS_MAX];                 /* sockets of those that are not virtio */
	int console[DOM_CONSOLES_MAX + 2];     /* cfg->n_consoles, our agent's, the guest's own agent's */
};

/* Make the arguments, up to a NULL. Owned by the caller, for qargs_free(). */
int qargs_build(const struct qargs *a, char ***ret, struct err *err) _must_check_;
void qargs_free(char **argv); /* takes NULL */
/* The versioned machine that @cfg asks for, static text or borrowed from @cfg. NULL: it is not known, and @err says which ones are. */
const char *qargs_machine(const struct dom_config *cfg, struct err *err);
/* The place of device @dev of @cfg (disks, then NICs); 0: none, it stays while the guest runs. */
unsigned qargs_place(const struct dom_config *cfg, size_t dev);
/* The number of device @dev in the boot order, from <boot order> or <boot dev>; 0: it is not booted from. */
unsigned qargs_boot(const struct dom_config *cfg, size_t dev);
/* The number of the socket of whatever is at @place, in QARGS_SOCKET_DIR. */
size_t qargs_socket(unsigned place);
#define QARGS_SOCKETS_MAX (DOM_DISKS_MAX + DOM_NICS_MAX + DOM_PLACES_MAX)
/* Where @place is in the machine, as QEMU calls it. */
void qargs_bus(const struct dom_config *cfg, unsigned place, char bus[16], char addr[12]);
/* Octets of memory below the hole that ends at 4 GiB, where the rest begins; all of it if it fits there. */
uint64_t qargs_low_bytes(const struct dom_config *cfg);
/* Guest address of its first octet. */
uint64_t qargs_ram_start(const struct dom_config *cfg);

#endif
