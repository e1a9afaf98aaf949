/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Between clusterd and hospes-guard: Unix SEQPACKET socket <run>/guard.sock, root only. clusterd sends a guard_msg when its lease grows
 * and every GUARD_EVERY_NS; each is answered with a guard_msg that says what holds. Same machine, same build: no wire format. (An older
 * side sends and reads 0 as park_ms: then domains are killed, which is always safe. One of before the TSC was looked at leaves that out.)
 */
#ifndef HOSPES_CLUSTERD_IO_GUARDMSG_H
#define HOSPES_CLUSTERD_IO_GUARDMSG_H

#include <stddef.h>
#include <stdint.h>
#include "common/util.h"

#define GUARD_MAGIC     0x31726447u /* "Gdr1" */
#define GUARD_EVERY_NS  500000000ull
#define GUARD_SILENT_NS 3000000000ull /* either side takes the other for stuck after so long without a word */
#define GUARD_FAR_NS    (3600ull * 1000000000ull) /* a deadline further off than that is nonsense */
#define GUARD_PARK_MS   60000u                    /* so is parking earlier than that */

struct guard_msg {
	uint32_t magic;
	uint32_t park_ms;     /* how long before the deadline domains are parked; 0: never, they are killed at it */
	uint64_t deadline_ns; /* CLOCK_BOOTTIME until when domains may run; 0: none known. Only grows */
	/* an older side ends here */
	uint64_t deadline_tsc; /* the same by the TSC (common/clocks.h), 0: by the other clock alone */
	uint64_t park_ticks;   /* park_ms by it */
	uint64_t
		life; /* of this host in the cluster: another one when it was lost and is back. Only in that of the deadline that is
	                        * over goes a domain on that was not ended; 0: not known */
	uint64_t flags;
};
#define GUARD_MSG_OLD 16u /* octets */
#define GUARD_F_STOOD 1u  /* this host's clocks stood still: the deadline that is held is over, whatever they say */
_Static_assert(offsetof(struct guard_msg, deadline_tsc) == GUARD_MSG_OLD, "what an older side knows");

#endif
