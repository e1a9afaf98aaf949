/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Congestion control of the connections that this process makes. Bulk data between two hosts of one site wants none that paces packets
 * by timers: BBR costs a quarter of the time of a push at 10 Gbit/s, and what has once been BBR keeps pacing whatever is chosen later.
 * So it is chosen before connect(); libzmq has no option for that and asks nobody in between, so connect() itself is ours here.
 */
#ifndef HOSPES_MIGRATED_IO_CONGESTION_H
#define HOSPES_MIGRATED_IO_CONGESTION_H

#include "common/cleanup.h"

/*
 * Type of service of memory under way: AF11, bulk data to switches that look; and its bits of old put it behind all else in a
 * host's own queue
 * (pfifo_fast, prio). Corosync and the datagrams between clusterds pass it there.
 */
#define CONGESTION_TOS_BULK 0x28
#define CONGESTION_MAX     16u /* octets with the NUL, the kernel's TCP_CA_NAME_MAX */
#define CONGESTION_DEFAULT "cubic"
#define CONGESTION_SYSTEM  "system" /* leave what the system has */

/*
 * From now on TCP connections begin with congestion control @name, less than CONGESTION_MAX octets; those for which the kernel does
 * not give it have the system's. To be called before other threads connect, with CAP_NET_ADMIN if there is: without it the kernel gives
 * only what net.ipv4.tcp_allowed_congestion_control lists, so a thread that keeps no other capability is started to ask for it.
 * 0 or -errno.
 */
int congestion_set(const char *name) _must_check_;

#endif
