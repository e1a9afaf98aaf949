/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Questions that may not be answered: does this host have the files of a domain, could hvdom run it, what does its lease say; which engines
 * are there? Asked by a helper process (common/worker.h), so that storage that does not answer holds up nobody but who asked. Nothing is
 * locked or written.
 */
#ifndef HOSPES_CLUSTERD_IO_PROBE_H
#define HOSPES_CLUSTERD_IO_PROBE_H

#include "clusterd/io/domspec.h"
#include "common/worker.h"

#define PROBE_HELPERS 4u
#define PROBE_NS      5000000000ull /* storage that takes longer "does not answer" */

enum probe_op {
	PROBE_REACH = 1,   /* are its files and networks here? */
	PROBE_LEASE = 2,
	PROBE_CHECK = 4,   /* can hvdom run it on this host? */
	PROBE_START = 3,   /* the first two: a start says itself whether hvdom can run it */
	PROBE_ENGINES = 8, /* of no domain; alone */
};

/* One question and its answer. Zeroed to begin with; the answer stays until the next question or probe_drop(). */
struct probe {
	struct work *work;       /* under way */
	enum probe_op op;
	bool answered;
	uint64_t answered_ns;    /* CLOCK_BOOTTIME */
	int status;              /* 0, or -errno with the text */
	bool silent;             /* no answer in time */
	char text[ERR_TEXT_MAX];
	struct leasepeek lease;  /* of status 0, LEASE and START */
	uint32_t engines;        /* of status 0, ENGINES: CLU_ENGINE_*; the text says why not the others */
	void (*done)(void *arg);
	void *arg;
};

/*
 * Ask. @xml NULL: an answer, too. What was under way is dropped. @done: from the loop, when it is answered. Out of memory is an
 * answer, too.
 */
void probe_ask(struct probe *p, struct workers *ws, enum probe_op op, enum work_kind kind, const char *name, const char *xml,
               size_t len, void (*done)(void *arg), void *arg);
void probe_drop(struct probe *p); /* back to zero */

/* The helper's part, for worker_main(). */
void probe_serve(struct worker_here *here, const uint8_t *req, size_t len, struct buf *reply);

#endif
