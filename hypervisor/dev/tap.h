/* SPDX-License-Identifier: GPL-2.0-or-later */
/* A host tap interface for a guest NIC: made, put on its bridge, brought up. Needs CAP_NET_ADMIN once, at opening. */
#ifndef HOSPES_HYPERVISOR_DEV_TAP_H
#define HOSPES_HYPERVISOR_DEV_TAP_H

#include <stdint.h>
#include "common/cleanup.h"
#include "common/err.h"

#define TAP_HDR_BYTES 12 /* struct virtio_net_hdr_mrg_rxbuf before each frame */

/*
 * @name: wanted interface name, empty: vnetN. @bridge: empty, none. @mac: the guest's; the host's side gets fe: and its rest,
 * so that a bridge never takes it as its own. @mtu 0: leave. Returns a non-blocking descriptor; @ret_name[16] the real name.
 */
int tap_open(const char *name, const char *bridge, const uint8_t mac[6], unsigned mtu, char *ret_name, int *ret_fd,
             struct err *err) _must_check_;
/* TUN_F_* bits: what the guest's driver takes. 0 or -errno. */
int tap_offload(int fd, unsigned tun_f) _must_check_;

#endif
