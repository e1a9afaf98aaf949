/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Between clusterd and hospes-guard: the Unix SEQPACKET socket <run>/guard.sock, root's. clusterd sends a guard_msg when its lease grows,
 * and every GUARD_EVERY_NS. The guard answers each with a guard_msg that says what holds. Both are of the same machine, so this is no wire
 * format; one side may be older. It sends and reads 0 as park_ms, so domains are killed, which is always safe; before the TSC was used it
 * sends GUARD_MSG_OLD octets.
 */
#ifndef HOSPES_CLUSTERD_GUARD_GUARDMSG_H
#define HOSPES_CLUSTERD_GUARD_GUARDMSG_H

#include <stddef.h>
#include <stdint.h>
#include "common/util.h"

#define GUARD_MAGIC     0x31726447u /* "Gdr1" */
#define GUARD_EVERY_NS  500000000ull
#define GUARD_SILENT_NS 3000000000ull /* a side that was silent for so long counts as stuck */
#define GUARD_FAR_NS    (3600ull * 1000000000ull) /* a deadline further ahead is refused */
#define GUARD_PARK_MS   60000u                    /* so is parking earlier than that */

struct guard_msg {
	uint32_t magic;
	uint32_t park_ms;      /* how long before the deadline domains are parked; 0: never, they are killed at the deadline */
	uint64_t deadline_ns;  /* CLOCK_BOOTTIME until when domains may run; 0: unknown. Never decreases */
	/* an older side ends here */
	uint64_t deadline_tsc; /* the deadline on the TSC (common/clocks.h); 0: not on that clock */
	uint64_t park_ticks;   /* park_ms in ticks of the TSC */
	uint64_t life;         /* of this host in the cluster: a new one begins when it was lost and is back. A domain that outlived a
	                        * deadline may go on only in the life of that deadline. 0: unknown */
	uint64_t flags;
};
#define GUARD_MSG_OLD 16u /* octets */
#define GUARD_F_STOOD 1u  /* this host's clocks stood still: the deadline that is held has passed, whatever they say */
_Static_assert(offsetof(struct guard_msg, deadline_tsc) == GUARD_MSG_OLD, "what an older side knows");

#endif
