/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Congestion control of the TCP connections that this process makes. One that paces packets by timers is wrong for bulk data between two
 * hosts of one site: with BBR a push at 10 Gbit/s takes a quarter longer. A socket that was BBR once keeps pacing, so the choice is made
 * before connect(). libzmq has no option and no hook for that, so this module wraps connect().
 */
#ifndef HOSPES_MIGRATED_IO_CONGESTION_H
#define HOSPES_MIGRATED_IO_CONGESTION_H

#include "common/cleanup.h"

/*
 * Type of service of guest memory: AF11, bulk data for switches that look at it. Its old TOS bits put it behind other packets in a host's
 * own queue (pfifo_fast, prio), so that Corosync's and those between clusterds pass it.
 */
#define CONGESTION_TOS_BULK 0x28
#define CONGESTION_MAX     16u /* octets with the NUL, the kernel's TCP_CA_NAME_MAX */
#define CONGESTION_DEFAULT "cubic"
#define CONGESTION_SYSTEM  "system" /* keep the system's */

/*
 * From now on TCP connections use congestion control @name (shorter than CONGESTION_MAX), or the system's where the kernel refuses it. Call
 * before other threads connect. Without CAP_NET_ADMIN the kernel allows only net.ipv4.tcp_allowed_congestion_control; with it, a thread
 * with no other capability is started that makes the choice. 0 or -errno.
 */
int congestion_set(const char *name) _must_check_;

#endif
