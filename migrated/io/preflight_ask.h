/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The preflight in a helper process (common/worker.h): it opens disks, reads the kernel and asks every hvdom of the host, each of which
 * may not answer; the daemon meanwhile serves its other migrations and says what it does.
 */
#ifndef HOSPES_MIGRATED_IO_PREFLIGHT_ASK_H
#define HOSPES_MIGRATED_IO_PREFLIGHT_ASK_H

#include "common/worker.h"
#include "migrated/io/preflight.h"

#define PREFLIGHT_HELPERS 4u
#define PREFLIGHT_NS      10000000000ull /* below what a source waits for its answer (STAGE_NS) */

struct preflight_answer {
	int status; /* 0, or -errno with the text for the source's user */
	uint64_t ram_available;
	char text[ERR_TEXT_MAX];
};

/* As preflight_check(), answered later: @done gets what preflight_answer_of() reads. NULL: out of memory. */
struct work *preflight_ask(struct workers *ws, const Hospes__Mig__Offer *offer, const char *here, uint64_t promised,
                           work_done_fn *done, void *arg);
void preflight_answer_of(int status, const uint8_t *reply, size_t len, const char *here, struct preflight_answer *ret);
/* The helper's part, for worker_main(). */
void preflight_serve(struct worker_here *at, const uint8_t *req, size_t len, struct buf *reply);

#endif
