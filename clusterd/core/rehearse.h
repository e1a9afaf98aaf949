/* SPDX-License-Identifier: GPL-2.0-or-later */
/* The loss of a host rehearsed: where placement (place.h) would start its domains, tried on a copy of the state. Pure. */
#ifndef HOSPES_CLUSTERD_CORE_REHEARSE_H
#define HOSPES_CLUSTERD_CORE_REHEARSE_H

#include "clusterd/core/place.h"

/*
 * Take the host in @slot out of @s, a copy of the state that is of no other use afterwards. Writes the slots of the domains that would be
 * started to @ret (room for dom_cap), in start order, and returns their number. Domains that already wait for a place are among them.
 */
uint32_t clu_rehearse_begin(struct clu_state *s, uint32_t slot, uint16_t *ret);
/*
 * Which of the @n in @order starts next: the first one that waits for no other (after.h). Those that are done are CLU_REHEARSED.
 * @n: none; what is left waits for others that will not run.
 */
#define CLU_REHEARSED UINT16_MAX
uint32_t clu_rehearse_pick(const struct clu_state *s, const uint16_t *order, uint32_t n);
/*
 * When those that @dom waits for are up, with its delays. @up_ns: by slot, 0: they run now. *@ret_healthy: it also waits until one of them
 * is healthy, which takes a time that is not known.
 */
uint64_t clu_rehearse_after(const struct clu_state *s, uint32_t dom, const uint64_t *up_ns, bool *ret_healthy);
/* Place the next of them, which takes its room. Returns the node id; 0: none, @why (CLU_TEXT_MAX) gives the commonest reason. */
uint32_t clu_rehearse_next(struct clu_state *s, const struct clu_load *load, uint32_t dom, char *why);

#endif
