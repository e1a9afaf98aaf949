/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * What NICs have in common, however the guest reaches them (vnet.c by rings, enic.c through a card of QEMU's): the tap, the addresses
 * that the guest uses, what is said of them after a move, their state. Threading: the io thread.
 */
#ifndef HOSPES_HYPERVISOR_DEV_NIC_INT_H
#define HOSPES_HYPERVISOR_DEV_NIC_INT_H

#include "hypervisor/api/tap.h"
#include "hypervisor/dev/vdev_int.h"

#define NIC_HEAD        14u                                /* octets of an Ethernet header */
#define NIC_FRAME_MAX   (65535u + NIC_HEAD + 4 + TAP_HDR_BYTES)
#define NIC_FRAMES      64                                 /* per turn */
#define NIC_TURN_BYTES  (1024u * 1024)
#define NIC_ADDRS_MAX   4u

struct nic {
	struct vdev v;      /* first */
	struct dom_nic cfg; /* a copy */
	int tap;            /* owned, -1: none */
	uint32_t addr[NIC_ADDRS_MAX]; /* IPv4, network order, the latest first; 0: none */
};

/*
 * Before anything else of @n, which is zero but for what is the device's own: take @cfg, and the tap from @files, or make it (NULL). The
 * tap's name, the device's, is in @name. -errno: nic_close() is due all the same.
 */
int nic_open(struct nic *n, const struct dom_nic *cfg, struct devs_files *files, char name[16], struct err *err) _must_check_;
void nic_close(struct nic *n);

/* A copy that is late sends nothing: it would draw the switches' ports and its neighbours' answers to itself. */
static inline bool nic_is_mute(const struct nic *n)
{
	return deadline_page_over(n->v.devs->ev.deadline);
}
/* @f: the first @len octets of a frame that the guest sends. */
void nic_seen(struct nic *n, const uint8_t *f, size_t len);
/* Count a frame of @bytes octets for the guest, or from it. */
void nic_count_in(struct nic *n, uint64_t bytes);
void nic_count_out(struct nic *n, uint64_t bytes);
/*
 * Send a frame of @len octets (behind a tap's header, which counts), which waited for a guest that has moved, back into the network. @f is
 * changed.
 */
void nic_return(struct nic *n, uint8_t *f, size_t len);

/* Ops of all NICs. */
void nic_save(struct vdev *v, struct buf *out);
int nic_load(struct vdev *v, struct rd *in, bool commit, struct err *err) _must_check_;
void nic_no_offloads(struct vdev *v);
void nic_config_set(struct vdev *v, unsigned offset, const uint8_t *p, unsigned len);
void nic_announce(struct vdev *v);
void nic_hand_over(struct vdev *v); /* what waits in the tap */

#endif
