/* SPDX-License-Identifier: GPL-2.0-or-later */
/* What would become of the domains of a host if it were lost now: placement (place.h), tried on a copy of the state. Pure. */
#ifndef HOSPES_CLUSTERD_CORE_REHEARSE_H
#define HOSPES_CLUSTERD_CORE_REHEARSE_H

#include "clusterd/core/place.h"

/*
 * Take the host in @slot out of @s, a copy that is no more than that afterwards. Slots of the domains that would have to start somewhere,
 * in the order in which they would, to @ret (dom_cap of them); others that wait for a place already are among them, as they would be.
 * Returns how many.
 */
uint32_t clu_rehearse_begin(struct clu_state *s, uint32_t slot, uint16_t *ret);
/* Place the next of them, so that its room is taken: node id, or 0 with the commonest reason in @why (CLU_TEXT_MAX). */
uint32_t clu_rehearse_next(struct clu_state *s, const struct clu_load *load, uint32_t dom, char *why);

#endif
