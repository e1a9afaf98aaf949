/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Two stream sockets joined: what comes from one goes to the other, both ways. Nothing blocks: what one side does not take stays with the
 * other one, so the cost is two buffers, whatever the sides do. One loop's thread.
 */
#ifndef HOSPES_HYPERVISOR_RELAY_H
#define HOSPES_HYPERVISOR_RELAY_H

#include <stdint.h>
#include "common/loop.h"

#define RELAY_BYTES (32u * 1024) /* of each buffer */

struct relay;

/*
 * Join @a and @b, which are owned from now on, also on failure (NULL: out of memory). @over is called once, from the loop, when either side
 * has ended; the owner frees the relay then, within the call or later.
 */
struct relay *relay_new(struct loop *l, int a, int b, void (*over)(void *arg, struct relay *r), void *arg);
void relay_free(struct relay *r); /* takes NULL */
/* Octets that have come from @b. */
uint64_t relay_from_b(const struct relay *r);

#endif
