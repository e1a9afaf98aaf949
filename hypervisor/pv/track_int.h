/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Tracking of a guest's writes by write-protection of all its address spaces, without reading memory. Pages of which it is not sure are
 * candidates: their content decides (hypervisor/logdirty). The rules: docs/adr/0003-tracking-rules.md. Bitmaps have one bit per page of the
 * memory file. Main thread.
 */
#ifndef HOSPES_PV_TRACK_INT_H
#define HOSPES_PV_TRACK_INT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include "common/err.h"
#include "hypervisor/guestmem.h"
#include "hypervisor/logdirty/uffd.h"
#include "hypervisor/pv/maps.h"
#include "hypervisor/pv/track.h"
#include "hypervisor/pv/uffd_int.h"

/* One address space: K's or a stub's. The descriptors stay with it, even if another process gets its pid. */
struct track_mm {
	pid_t pid;
	bool is_k;
	bool seen; /* its process was listed in this collection */
	bool dead;
	bool registered;          /* write-protection covers all of it, except newer mappings */
	bool force;               /* it may have run unnoticed: look at it in the next collection */
	int uffd;                 /* owned; -1: not armed, all its pages are candidates */
	int pagemap, maps, sched; /* owned, of /proc/PID */
	uint64_t run_ns, slices;  /* at the last look: CPU time, and how often it got the CPU */
	uint64_t lo, hi;          /* range of addresses that is looked at */
	struct vma_list snap;     /* its mappings at the end of the last look */
};

struct track {
	struct guestmem *m;  /* borrowed */
	const struct pv_frozen *f; /* borrowed */
	int k_pidfd;         /* borrowed */
	uint64_t inode, dev; /* of the memory file, as VMAs show it */
	uint64_t n_pages, words;
	struct pv_helpers helpers;
	struct track_mm *mm; /* owned; [0] is K */
	size_t n_mm, cap_mm;
	uint64_t stub_insn;            /* address of a `syscall` instruction in every stub; 0: not known yet */
	uint64_t room;                 /* address in K of the page that is borrowed (uffd_int.h) */
	uint64_t mem_map;              /* offset in guest memory of the guest kernel's array of page descriptors */
	struct vma_list before, after; /* scratch */
	struct uffd_scan scan;         /* scratch */
	uint64_t *k_written;           /* scratch: pages that K wrote */
	/* the collection under way */
	uint64_t *written, *cand; /* borrowed */
	bool all;                 /* something is not known: every page is a candidate */
	const char *why;          /* reason for all; static text */
};

/* track_rules.c */
bool track_is_mem(const struct track *t, const struct vma *v);
/* Add to @bits the guest pages that @v maps in [@start, @end). */
void track_mark(const struct track *t, uint64_t *bits, const struct vma *v, uint64_t start, uint64_t end);
void track_mark_list(const struct track *t, uint64_t *bits, const struct vma_list *l, uint64_t start, uint64_t end);
/* Vanished rule: add the pages that @was maps and @now does not map at the same address. */
void track_mark_gone(const struct track *t, uint64_t *bits, const struct vma_list *was, const struct vma_list *now);
/* Candidate rule: add the candidates that follow from the pages that K wrote. */
void track_follow_k(struct track *t);
/* Find mem_map in K. -ENOTSUP: this kernel cannot be tracked. */
int track_find_mem_map(struct track *t, pid_t k, const struct vma_list *l, struct err *err) _must_check_;

#endif
