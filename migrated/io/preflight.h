/* SPDX-License-Identifier: GPL-2.0-or-later */
/* The preflight: can this host take the domain of an offer? Every refusal names cause and remedy. */
#ifndef HOSPES_MIGRATED_IO_PREFLIGHT_H
#define HOSPES_MIGRATED_IO_PREFLIGHT_H

#include "common/err.h"
#include "common/cleanup.h"
#include "migrated/io/wire.h"

/* What the answer has for a source besides yes. */
struct preflight_found {
	uint64_t ram_available;
	uint64_t base[2]; /* what an hvdom here would have of the domain's state (struct hv_info); zeros: nothing */
};

/*
 * Check @offer against this host, named @here, which has promised @promised octets of memory to others. -errno: @err is for the source's
 * user. Storage that hangs blocks it, so call it in a helper only (preflight_ask.h). @at (NULL: none) is called before each step with what
 * it looks at.
 */
int preflight_check(const Hospes__Mig__Offer *offer, const char *here, uint64_t promised,
                    void (*at)(void *arg, const char *what), void *arg, struct preflight_found *ret, struct err *err) _must_check_;

#endif
