/* SPDX-License-Identifier: GPL-2.0-or-later */
/* This host's name, as leases, peers and the cluster know it. No state; any thread. */
#ifndef HOSPES_COMMON_HOSTNAME_H
#define HOSPES_COMMON_HOSTNAME_H

#include <stddef.h>

/*
 * The first word of <conf>/hostname if it is a valid name, else the system's host name up to its first dot, else
 * "localhost". Never empty; cut to @len - 1 octets.
 */
void host_name(char *ret, size_t len);

#endif
