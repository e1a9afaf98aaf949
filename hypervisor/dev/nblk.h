/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Disks behind a controller that an engine's device model has itself (IDE, SATA, SCSI, USB): the device model asks for their data as an
 * NBD client (docs/wire/nbd.md). Requests are served while the devices run and the domain is the image's owner; at any other time they
 * are answered with an error, so that nobody waits. Call from the main thread.
 */
#ifndef HOSPES_HYPERVISOR_DEV_NBLK_H
#define HOSPES_HYPERVISOR_DEV_NBLK_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include "common/cleanup.h"
#include "common/err.h"

struct devs;

/*
 * What the device model has to do with a request that was answered with ENOSPC, of any kind: keep it, stop the guest, do it again when the
 * guest goes on. With any other error: tell the guest.
 */
#define NBLK_KEEP "enospc"

/* Serve disk @i, which is such a one, on the connection that will be made to @listen_fd, owned from now on, also on failure. */
int nblk_listen(struct devs *d, size_t i, int listen_fd, struct err *err) _must_check_;
/*
 * The one of them with the oldest unanswered request, as devs_waits(). QEMU does not stop its machine before that is answered. Any thread.
 */
bool nblk_waits(const struct devs *d, const char **ret_name, uint64_t *ret_age_ns);

#endif
