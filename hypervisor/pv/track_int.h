/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Tracking of a guest's writes by write-protecting all its address spaces: the part of log-dirty that needs no reading of
 * memory. What it cannot know for sure it names as candidates, whose content decides (logdirty.c). The rules are explained
 * in docs/adr/0003-tracking-rules.md. Main thread only.
 */
#ifndef HOSPES_PV_TRACK_INT_H
#define HOSPES_PV_TRACK_INT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include "common/err.h"
#include "hypervisor/guestmem.h"
#include "hypervisor/pv/freeze.h"
#include "hypervisor/pv/maps.h"
#include "hypervisor/pv/uffd_int.h"

/* One address space: K's or a stub's. The descriptors stay with it, whatever its process number is given to later. */
struct track_mm {
	pid_t pid;
	bool is_k;
	bool seen; /* listed in this collection */
	bool dead;
	bool registered;          /* write-protection covers it but for mappings that came since */
	bool force;               /* may have run unnoticed: look at it in the next collection */
	int uffd;                 /* owned; -1: not armed, all its pages are candidates */
	int pagemap, maps, sched; /* owned, of /proc/PID */
	uint64_t run_ns, slices;  /* CPU time and number of times it got the CPU, at the last look */
	uint64_t lo, hi;          /* addresses looked at */
	struct vma_list snap;     /* its mappings at the end of the last look */
};

struct track {
	struct guestmem *m;  /* borrowed */
	int k_pidfd;         /* borrowed */
	uint64_t inode, dev; /* of the memory file, as VMAs show it */
	uint64_t n_pages, words;
	struct pv_helpers helpers;
	struct track_mm *mm; /* owned; [0] is K */
	size_t n_mm, cap_mm;
	uint64_t stub_insn;            /* address of a `syscall` instruction in every stub; 0: not looked for yet */
	uint64_t room;                 /* address in K of a page to borrow */
	uint64_t mem_map;              /* offset in guest memory of the kernel's array of page descriptors */
	struct vma_list before, after; /* scratch */
	struct uffd_scan scan;         /* scratch */
	uint64_t *k_written;           /* scratch: pages that K wrote */
	/* the collection under way */
	uint64_t *written, *cand; /* borrowed */
	bool all;                 /* something was not understood: every page is a candidate */
	const char *why;          /* of all; static text */
};

/*
 * Arm K and its stubs, frozen. Nothing is collected yet: the caller counts all pages as dirty, after the first collection.
 * On failure nothing stays behind in the guest.
 */
int track_new(struct track **ret, struct guestmem *m, int k_pidfd, uint64_t mem_inode, const struct pv_frozen *f,
              struct err *err) _must_check_;
/*
 * Add to @written the pages known to be written since the last call, and to @cand those that may be, seen only by their
 * content. *ret_all: instead, any page may be. @f: frozen guest or NULL. On failure (-ESRCH: K is gone, -ENOMEM) the caller
 * must count all pages as candidates in the next collection.
 */
int track_collect(struct track *t, pid_t k, const struct pv_frozen *f, uint64_t *written, uint64_t *cand, bool *ret_all,
                  struct err *err) _must_check_;
void track_free(struct track *t); /* takes NULL; closing the descriptors undoes the protection */

/* track_rules.c */
bool track_is_mem(const struct track *t, const struct vma *v);
/* Add the guest pages that @v shows in [@start, @end) (cut to @v) to @bits. */
void track_mark(const struct track *t, uint64_t *bits, const struct vma *v, uint64_t start, uint64_t end);
void track_mark_list(const struct track *t, uint64_t *bits, const struct vma_list *l, uint64_t start, uint64_t end);
/* Vanished rule: pages of @was that @now shows no longer at the same address. */
void track_mark_gone(const struct track *t, uint64_t *bits, const struct vma_list *was, const struct vma_list *now);
/* Candidate rule: what the pages K wrote say about other pages. */
void track_follow_k(struct track *t);
/* Find mem_map in K. -ENOTSUP: this kernel cannot be tracked. */
int track_find_mem_map(struct track *t, pid_t k, const struct vma_list *l, struct err *err) _must_check_;

#endif
