/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Log-dirty of a pv guest, as engine.h has it: which pages of the memory region changed since the last collection. Two methods behind one
 * object: hashing every page (always right, costs 55-110 ms per GiB) and tracking by userfaultfd write-protection
 * (track.c; where the kernel allows). Devices' own writes come from guestmem's bitmap. Main thread only.
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
	uint32_t mode;          /* HV_LOGDIRTY_*: RECORD is tracking, COMPARE hashing */
	bool audit;             /* keep hashes beside tracking, so that pv_logdirty_audit() can prove it */
	int k_pidfd;            /* borrowed */
	uint64_t mem_inode;     /* inode of the memory region's file as /proc/PID/maps shows it */
};

/*
 * Start. All pages with content count as dirty at the first collection. @f: the guest, frozen now (tracking arms inside its
 * processes; hashing does not need it, NULL then). @m is borrowed for the life of the object. *ret_mode: what was chosen.
 */
int pv_logdirty_new(const struct pv_logdirty_cfg *cfg, struct guestmem *m, struct pv_frozen *f, struct pv_logdirty **ret,
                    uint32_t *ret_mode, struct err *err) _must_check_;
/*
 * Collect into @bitmap (guestmem->size / 4096 bits, overwritten) the pages written since the last clean, and start anew when
 * @clean. @k: the guest kernel's pid. @f: frozen guest, or NULL when it runs (then writes during the call may be reported now
 * or next time, never lost). Holes of the memory file are never dirty... unless they had content before (then they are: zero).
 */
int pv_logdirty_collect(struct pv_logdirty *l, pid_t k, const struct pv_frozen *f, bool clean, uint64_t *bitmap,
                        uint64_t *ret_dirty, struct err *err) _must_check_;
/* Frozen, after a clean collection: pages whose content differs from what the last collections reported. 0 is right. */
int pv_logdirty_audit(struct pv_logdirty *l, uint64_t *bitmap, uint64_t *ret_missed, struct err *err) _must_check_;
struct pv_logdirty_stats {
	uint64_t collections;
	uint64_t whole;         /* of these, tracking could not tell and every page was looked at; the first one always */
	uint64_t candidates;    /* pages hashed in the last collection because only their content could tell */
	const char *why;        /* of the last whole one; static text, NULL: none */
};
void pv_logdirty_stats(const struct pv_logdirty *l, struct pv_logdirty_stats *ret);
/* Stop, whether the guest runs or not: tracking is undone by closing its descriptors. Takes NULL. */
void pv_logdirty_free(struct pv_logdirty *l);

#endif
