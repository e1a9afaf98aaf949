/* SPDX-License-Identifier: GPL-2.0-or-later */
/* This host's local lease of a domain, <state>/leases/UUID (docs/wire/lease.md), for when no hvdom can be asked. */
#ifndef HOSPES_MIGRATED_IO_LEASEFILE_H
#define HOSPES_MIGRATED_IO_LEASEFILE_H

#include <stdbool.h>
#include <stdint.h>

/*
 * True if an hvdom on @host (this host) became the owner in @generation or a later one, at @since_s (CLOCK_REALTIME, seconds) or later.
 * TAKE writes that before the guest can run, and an incoming hvdom writes nothing before TAKE.
 */
bool leasefile_taken(const char *uuid, const char *host, uint64_t generation, uint64_t since_s);

#endif
