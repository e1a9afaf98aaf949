/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * vhost-user as a transport, for the engine whose guests speak it (docs/wire/vhost-user.md): two stream sockets per device,
 * requests of the driver and requests of the device. Guest memory is our own mapping (devs_set_mem()): descriptors that a
 * guest sends are closed unread.
 * Called from the main thread.
 */
#ifndef HOSPES_HYPERVISOR_DEV_VUDEV_H
#define HOSPES_HYPERVISOR_DEV_VUDEV_H

#include <stdbool.h>
#include <stddef.h>
#include "common/err.h"
#include "common/cleanup.h"

struct devs;
struct vdev_transport_ops;

/* For devs_new(). All functions here are for devices that were made with it. */
extern const struct vdev_transport_ops vudev_transport;

/* Boot: device @i is served on a connection that the guest kernel opens to @listen_fd (owned from now on). */
int vudev_listen(struct devs *d, size_t i, int listen_fd, struct err *err) _must_check_;
/* Restore: device @i is served on the connected pair (both owned from now on): @sock carries the driver's requests, @req_fd ours. */
int vudev_pair(struct devs *d, size_t i, int sock, int req_fd, struct err *err) _must_check_;
/* Those of device @i; borrowed, -1: none yet. */
void vudev_socks(const struct devs *d, size_t i, int *ret_sock, int *ret_req_fd);
bool vudev_all_wired(const struct devs *d); /* the driver of each device that was listened for gave its request channel, too */
bool vudev_attached(const struct devs *d, size_t i); /* the driver connected and sent its protocol features */

#endif
