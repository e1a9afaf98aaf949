/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Between clusterd and hospes-guard: Unix SEQPACKET socket <run>/guard.sock, root only. clusterd sends a guard_msg when its lease grows
 * and every GUARD_EVERY_NS; each is answered with a guard_msg that says what holds. Same machine, same build: no wire format. (An older
 * side sends and reads 0 as park_ms: then domains are killed, which is always safe.)
 */
#ifndef HOSPES_CLUSTERD_IO_GUARDMSG_H
#define HOSPES_CLUSTERD_IO_GUARDMSG_H

#include <stdint.h>
#include "common/util.h"

#define GUARD_MAGIC     0x31726447u /* "Gdr1" */
#define GUARD_EVERY_NS  500000000ull
#define GUARD_SILENT_NS 3000000000ull    /* either side takes the other for stuck after so long without a word */
#define GUARD_FAR_NS    (3600ull * 1000000000ull) /* a deadline further off than that is nonsense */
#define GUARD_PARK_MS   60000u /* so is parking earlier than that */

struct guard_msg {
	uint32_t magic;
	uint32_t park_ms;     /* how long before the deadline domains are parked; 0: never, they are killed at it */
	uint64_t deadline_ns; /* CLOCK_BOOTTIME until when domains may run; 0: none known. Only grows */
};

#endif
