/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Questions whose answer may never come: does this host have the files of a domain, can hvdom run it, what does its lease say; which
 * engines are there. A helper process (common/worker.h) finds the answer, so storage that hangs delays only the asker. Locks and writes
 * nothing.
 */
#ifndef HOSPES_CLUSTERD_IO_PROBE_H
#define HOSPES_CLUSTERD_IO_PROBE_H

#include "clusterd/io/domspec.h"
#include "clusterd/io/hostinfo.h"
#include "common/worker.h"

#define PROBE_HELPERS 4u
#define PROBE_NS      5000000000ull /* time limit of a helper */

enum probe_op {
	PROBE_REACH = 1,   /* are its files and networks here? */
	PROBE_LEASE = 2,
	PROBE_CHECK = 4,   /* can hvdom run it on this host? */
	PROBE_START = 3,   /* REACH and LEASE: a start finds out by itself whether hvdom can run it */
	PROBE_ENGINES = 8, /* of no domain; alone */
};

/* One question and its answer. Zeroed at first; the answer stays until the next question or probe_drop(). */
struct probe {
	struct work *work;       /* under way; owned */
	enum probe_op op;
	bool answered;
	uint64_t answered_ns;    /* CLOCK_BOOTTIME */
	int status;              /* 0, or -errno with a text */
	bool silent;             /* no answer in time */
	char text[ERR_TEXT_MAX];
	struct leasepeek lease;  /* LEASE and START, status 0 */
	struct hostengines engines; /* ENGINES, status 0; the text says why the others do not run */
	void (*done)(void *arg);
	void *arg;
};

/*
 * Ask; drops a question under way. The loop calls @done when the answer is there. Without @xml (NULL) or memory the answer is there at
 * once (p->answered), and @done is not called.
 */
void probe_ask(struct probe *p, struct workers *ws, enum probe_op op, enum work_kind kind, const char *name, const char *xml,
               size_t len, void (*done)(void *arg), void *arg);
void probe_drop(struct probe *p); /* zero it again */

/* The helper's part, for worker_main(). */
void probe_serve(struct worker_here *here, const uint8_t *req, size_t len, struct buf *reply);

#endif
