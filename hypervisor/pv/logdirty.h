/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Log-dirty of a pv guest, for the ops of engine.h: which pages changed since the last collection. There are two methods: hashing every
 * page (always right, 55-110 ms per GiB), and tracking by userfaultfd write-protection (track.c, where the kernel has it). Writes of
 * devices come from guestmem's bitmap. Main thread.
 */
#ifndef HOSPES_PV_LOGDIRTY_H
#define HOSPES_PV_LOGDIRTY_H

#include <stdbool.h>
#include <stdint.h>
#include "common/err.h"
#include "hypervisor/guestmem.h"
#include "hypervisor/pv/freeze.h"

struct pv_logdirty;

struct pv_logdirty_cfg {
	uint32_t mode;          /* HV_LOGDIRTY_*: RECORD is tracking, COMPARE is hashing */
	bool audit;             /* keep hashes beside tracking, for pv_logdirty_audit() */
	int k_pidfd;            /* borrowed */
	uint64_t mem_inode;     /* of the memory file, as /proc/PID/maps shows it */
};

/*
 * Start. The first collection names all pages with content. @f: the frozen guest, in whose processes tracking is armed; NULL is enough
 * for hashing. @m is borrowed until pv_logdirty_free(). *ret_mode: the mode that was chosen.
 */
int pv_logdirty_new(const struct pv_logdirty_cfg *cfg, struct guestmem *m, struct pv_frozen *f, struct pv_logdirty **ret,
                    uint32_t *ret_mode, struct err *err) _must_check_;
/*
 * Overwrite @bitmap (one bit per page of the memory file) with the pages written since the last collection with @clean. @k: pid of the
 * guest kernel. @f: the frozen guest, NULL: it runs. Writes during the call are named by this collection or the next one. A hole is named
 * only if it had content before: it is zeros now.
 */
int pv_logdirty_collect(struct pv_logdirty *l, pid_t k, const struct pv_frozen *f, bool clean, uint64_t *bitmap,
                        uint64_t *ret_dirty, struct err *err) _must_check_;
/* Frozen, after a collection with @clean: the pages whose content differs from what the collections reported. 0 is right. */
int pv_logdirty_audit(struct pv_logdirty *l, uint64_t *bitmap, uint64_t *ret_missed, struct err *err) _must_check_;
struct pv_logdirty_stats {
	uint64_t collections;
	uint64_t whole;         /* those that looked at every page, since tracking could not tell; the first one always does */
	uint64_t candidates;    /* pages that the last collection hashed, since only their content could tell */
	const char *why;        /* the last whole one was whole; static text, NULL: there was none */
};
void pv_logdirty_stats(const struct pv_logdirty *l, struct pv_logdirty_stats *ret);
/* Stop, whether the guest runs or not: closing the descriptors ends tracking. Takes NULL. */
void pv_logdirty_free(struct pv_logdirty *l);

#endif
