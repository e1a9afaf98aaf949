/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Log-dirty of any engine's guest, for the ops of engine.h: which pages changed since the last collection. There are two methods: hashing
 * every page (always right, 55-110 ms per GiB), and tracking, which is the engine's own (struct logdirty_tracker). HOSPES_TRACKING in the
 * environment, for tests, allows one method only: pagemap-scan, soft-dirty or hash. Writes of devices come
 * from guestmem's bitmap. Bitmaps have one bit per page of the memory file. Main thread.
 */
#ifndef HOSPES_HYPERVISOR_LOGDIRTY_H
#define HOSPES_HYPERVISOR_LOGDIRTY_H

#include <stdbool.h>
#include <stdint.h>
#include "common/cleanup.h"
#include "common/err.h"
#include "hypervisor/guestmem.h"

struct logdirty;

/* How an engine learns of its guest's writes. Every op is set. */
struct logdirty_tracker {
	uint32_t method; /* HV_LOGDIRTY_BY_* */
	/* Could it begin now, as far as can be seen without touching the guest of @arg? 0, or -errno and why not. */
	int (*probe)(void *arg, const struct guestmem *m, struct err *err);
	/*
	 * Begin for the guest of @arg. Nothing is collected yet: the caller counts all pages as dirty until the first collection is over.
	 * On failure nothing stays behind in the guest.
	 */
	int (*begin)(void *arg, struct guestmem *m, void **ret, struct err *err);
	/*
	 * Add to @written the pages that were written since the last call, and to @cand those that may have been. *ret_all: any page may
	 * have been, whatever the bitmaps say; *ret_why (static text) says why. After a failure the caller counts all pages as candidates
	 * in the next collection.
	 */
	int (*collect)(void *t, bool suspended, uint64_t *written, uint64_t *cand, bool *ret_all, const char **ret_why,
	               struct err *err);
	void (*free)(void *t); /* takes NULL; the guest is in any state, or gone */
};

struct logdirty_cfg {
	uint32_t mode;          /* HV_LOGDIRTY_*: RECORD is tracking, COMPARE is hashing */
	bool audit;             /* keep hashes beside tracking, for logdirty_audit() */
	const struct logdirty_tracker *const *trackers; /* borrowed; in the order of choice, then NULL; NULL: no tracking now */
	void *arg;              /* of their begin() */
};

/* HV_LOGDIRTY_BY_*: what log-dirty of HV_LOGDIRTY_BEST would use for @m, as far as can be seen beforehand. */
uint32_t logdirty_would(const struct logdirty_cfg *cfg, const struct guestmem *m) _must_check_;

/*
 * Start. The first collection names all pages with content. @m is borrowed until logdirty_free(). *ret_mode: the mode that was chosen.
 */
int logdirty_new(const struct logdirty_cfg *cfg, struct guestmem *m, struct logdirty **ret, uint32_t *ret_mode,
                 struct err *err) _must_check_;
/*
 * Overwrite @bitmap with the pages written since the last collection with @clean. @suspended: the guest stands still. If it runs, writes
 * during the call are named by this collection or the next one. A hole is named only if it had content before: it is zeros now.
 */
int logdirty_collect(struct logdirty *l, bool suspended, bool clean, uint64_t *bitmap, uint64_t *ret_dirty,
                     struct err *err) _must_check_;
/* Suspended, after a collection with @clean: the pages whose content differs from what the collections reported. 0 is right. */
int logdirty_audit(struct logdirty *l, uint64_t *bitmap, uint64_t *ret_missed, struct err *err) _must_check_;
/* HV_LOGDIRTY_BY_*: how it is done. */
uint32_t logdirty_method(const struct logdirty *l) _must_check_;
struct logdirty_stats {
	uint64_t collections;
	uint64_t whole;         /* those that looked at every page, since tracking could not tell; the first one always does */
	uint64_t candidates;    /* pages that the last collection hashed, since only their content could tell */
	const char *why;        /* the last whole one was whole; static text, NULL: there was none */
};
void logdirty_stats(const struct logdirty *l, struct logdirty_stats *ret);
/* Stop, whether the guest runs or not. Takes NULL. */
void logdirty_free(struct logdirty *l);

#endif
