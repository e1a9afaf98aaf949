/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * vhost-user as a transport (docs/wire/vhost-user.md), for engines whose guests (pv) or device models (QEMU) speak it: each device has two
 * stream sockets, one for the driver's requests and one for the device's. Devices use hvdom's own mapping of guest memory (devs_set_mem()):
 * a pv guest's memory table that differs from it ends the connection; its descriptors are closed unread.
 * Call from the main thread.
 */
#ifndef HOSPES_HYPERVISOR_DEV_VUDEV_H
#define HOSPES_HYPERVISOR_DEV_VUDEV_H

#include <stdbool.h>
#include <stddef.h>
#include "common/err.h"
#include "common/cleanup.h"

struct devs;
struct vdev_transport_ops;

/* For devs_new(). The functions below take devices that were made with it only. */
extern const struct vdev_transport_ops vudev_transport;
/* QEMU's dialect of it. devs_load() keeps a connection whose driver has not begun yet, since QEMU may wait for that state. */
extern const struct vdev_transport_ops vuqemu_transport;
/*
 * @on before QEMU stops its virtual machine, which takes the rings back. While it is on, requests of the storage go on, and the rings keep
 * their places for devs_quiesce() and devs_save().
 */
void vuqemu_park(struct devs *d, bool on);

/* Boot: serve device @i on the connection that the guest kernel will make to @listen_fd, which is owned from now on, also on failure. */
int vudev_listen(struct devs *d, size_t i, int listen_fd, struct err *err) _must_check_;
/* Restore: serve device @i on connected sockets, owned as above: @sock has the driver's requests, @req_fd the device's. */
int vudev_pair(struct devs *d, size_t i, int sock, int req_fd, struct err *err) _must_check_;
/* The sockets of device @i, borrowed; -1: none yet. */
void vudev_socks(const struct devs *d, size_t i, int *ret_sock, int *ret_req_fd);
/* The driver of each device has given its request channel, too: all are connected. */
bool vudev_all_wired(const struct devs *d);
bool vudev_attached(const struct devs *d, size_t i); /* the driver has connected and sent its protocol features */

#endif
