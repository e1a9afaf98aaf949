/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Congestion control of data connections. Bulk data between two hosts of one site wants none that paces packets by timers: BBR costs
 * a sixth of the processor time of a push at 10 Gbit/s. ZeroMQ has no option for it, but its monitor tells the descriptor.
 */
#ifndef HOSPES_MIGRATED_IO_CONGESTION_H
#define HOSPES_MIGRATED_IO_CONGESTION_H

#include "common/cleanup.h"

#define CONGESTION_MAX     16u /* octets with the NUL, the kernel's TCP_CA_NAME_MAX */
#define CONGESTION_DEFAULT "cubic"
#define CONGESTION_SYSTEM  "system" /* leave what the system has */

/*
 * zmq_connect(), then set congestion control @name for this connection; waits a moment for it. 0, or -errno of the connect: without
 * the algorithm, or when the connection takes long, the system's one serves. @zmq: context of @sock.
 */
int congestion_connect(void *zmq, void *sock, const char *endpoint, const char *name) _must_check_;

#endif
