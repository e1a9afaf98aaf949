/* SPDX-License-Identifier: GPL-2.0-or-later */
/* A NIC as QEMU is told of it: where its frames go (hvdom, ADR 76 and 96), and the card that the guest sees. Pure. */
#ifndef HOSPES_QEMU_QNIC_H
#define HOSPES_QEMU_QNIC_H

#include <stdbool.h>
#include <stddef.h>
#include "common/cleanup.h"
#include "hypervisor/api/domcfg.h"

/* Each as "key=value,..." with the value of chardev, netdev and device; owned, NULL: there is none. */
struct qnic {
	char *chardev, *netdev, *device;
};
void qnic_done(struct qnic *q);
static inline void cleanup_qnic(struct qnic *q) { qnic_done(q); }
#define _cleanup_qnic_ __attribute__((cleanup(cleanup_qnic)))

struct qnic_of {
	const struct dom_nic *nic;
	bool kvm;
	const char *id;      /* of the device; NULL: none */
	const char *netdev;
	const char *at;      /* where it is on the PCI bus, "addr=0xc" */
	const char *chardev; /* virtio: of its socket */
	size_t socket;       /* virtio: the name of that */
	int fd;              /* others: QEMU's end of enic_pair() */
	unsigned boot;       /* its place in the boot order, 0: none */
	const char *rom;     /* qnic_rom() */
};
int qnic_of_nic(const struct qnic_of *o, struct qnic *ret) _must_check_; /* -ENOMEM */
/* What NIC @i has to have in its ROM to be booted from: a file, static text. NULL: nothing. */
const char *qnic_rom(const struct dom_config *cfg, size_t i);
/* QEMU's name of the device. Static text. */
const char *qnic_driver(const struct dom_nic *nic);
/* What a state depends on, beyond virtio: a text, owned by the caller, empty if there is no such NIC. NULL: no memory. */
char *qnic_identity(const struct dom_config *cfg);

#endif
