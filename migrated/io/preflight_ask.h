/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The preflight in a helper process (common/worker.h), since it may block: it opens disks, reads the kernel and asks every hvdom of the
 * host. The daemon serves its other migrations meanwhile. Loop thread, except preflight_serve().
 */
#ifndef HOSPES_MIGRATED_IO_PREFLIGHT_ASK_H
#define HOSPES_MIGRATED_IO_PREFLIGHT_ASK_H

#include "common/worker.h"
#include "migrated/io/preflight.h"

#define PREFLIGHT_HELPERS 4u
#define PREFLIGHT_NS      10000000000ull /* its limit; a source waits longer for the answer (STAGE_NS) */

struct preflight_answer {
	int status; /* 0, or -errno and a text for the source's user */
	struct preflight_found found;
	char text[ERR_TEXT_MAX];
};

/* As preflight_check(), with an answer later: preflight_answer_of() reads what @done gets. NULL: out of memory. */
struct work *preflight_ask(struct workers *ws, const Hospes__Mig__Offer *offer, const char *here, uint64_t promised,
                           work_done_fn *done, void *arg);
void preflight_answer_of(int status, const uint8_t *reply, size_t len, const char *here, struct preflight_answer *ret);
/* The helper's side, for worker_main(). */
void preflight_serve(struct worker_here *at, const uint8_t *req, size_t len, struct buf *reply);

#endif
