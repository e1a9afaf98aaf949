/* SPDX-License-Identifier: GPL-2.0-or-later */
/* What must be true of a host before it takes a domain; every refusal names cause and remedy. And what a source tells of itself. */
#ifndef HOSPES_MIGRATED_IO_PREFLIGHT_H
#define HOSPES_MIGRATED_IO_PREFLIGHT_H

#include "common/err.h"
#include "common/cleanup.h"
#include "migrated/io/wire.h"

/*
 * Check @offer against this host; @promised octets of memory are spoken for. -errno with the text for the source's user. May wait for
 * storage for ever: only in a helper (preflight_ask.h). @at (NULL: nobody) is told what is looked at next.
 */
int preflight_check(const Hospes__Mig__Offer *offer, const char *here, uint64_t promised,
                    void (*at)(void *arg, const char *what), void *arg, uint64_t *ret_ram_available, struct err *err) _must_check_;

#endif
