/* SPDX-License-Identifier: GPL-2.0-or-later */
/* The host's tap interface of a guest NIC. */
#ifndef HOSPES_HYPERVISOR_TAP_H
#define HOSPES_HYPERVISOR_TAP_H

#include <stdint.h>
#include "common/cleanup.h"
#include "common/err.h"

#define TAP_HDR_BYTES 12 /* struct virtio_net_hdr_mrg_rxbuf before each frame */

/*
 * Make the interface, put it on its bridge, bring it up. Needs CAP_NET_ADMIN. @name: the interface's, empty: vnetN. @bridge: empty: none.
 * @mac: the guest's; the host's side gets the same with fe as first octet, which a bridge never takes as its own address. @mtu 0: the
 * kernel's. *ret_fd: non-blocking, owned by the caller. @ret_name (16 octets): the name it got.
 */
int tap_open(const char *name, const char *bridge, const uint8_t mac[6], unsigned mtu, char *ret_name, int *ret_fd,
             struct err *err) _must_check_;
/* The name of the interface behind @fd, 16 octets. 0, or -errno: it is no tap. */
int tap_name(int fd, char *ret) _must_check_;
/* Set the offloads that the guest's driver accepts, TUN_F_* bits. 0 or -errno. */
int tap_offload(int fd, unsigned tun_f) _must_check_;

#endif
