/* SPDX-License-Identifier: GPL-2.0-or-later */
/* This host's own lease of a domain, <state>/leases/UUID (docs/wire/lease.md), read when no hvdom can be asked. */
#ifndef HOSPES_MIGRATED_IO_LEASEFILE_H
#define HOSPES_MIGRATED_IO_LEASEFILE_H

#include <stdbool.h>
#include <stdint.h>

/*
 * Did an hvdom on @host (this one) come to own the domain in @generation or a later one, at @since_s (CLOCK_REALTIME) or after? TAKE writes
 * that before anything can run, and an incoming hvdom writes nothing before TAKE.
 */
bool leasefile_taken(const char *uuid, const char *host, uint64_t generation, uint64_t since_s);

#endif
