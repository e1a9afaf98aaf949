/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Asynchronous userfaultfd write-protection and the PAGEMAP_SCAN ioctl (kernel 6.7), and how to get a userfaultfd from the processes of a
 * frozen guest. The kernel's ABI is repeated here, since Debian 12's headers do not have it. Main thread.
 */
#ifndef HOSPES_PV_UFFD_INT_H
#define HOSPES_PV_UFFD_INT_H

#include <stdint.h>
#include <sys/types.h>
#include "common/cleanup.h"
#include "common/err.h"
#include "hypervisor/pv/freeze.h"

struct page_region_abi {
	uint64_t start, end, categories;
};

#define UFFD_VEC_MAX 2048u

struct uffd_scan {
	struct page_region_abi vec[UFFD_VEC_MAX]; /* all zeros between calls: see uffd_scan() */
};

/* 0: this kernel has what tracking needs; else -ENOTSUP or -EPERM, and @err says why. */
int uffd_probe(struct err *err) _must_check_;
/* Negotiate the API on a new userfaultfd. */
int uffd_setup(int uffd) _must_check_;
/* Write-protect [@start, @end) asynchronously from now on, except mappings that come later. */
int uffd_register(int uffd, uint64_t start, uint64_t end) _must_check_;

enum uffd_what {
	UFFD_WRITTEN, /* pages written since they were last protected, which are protected again. -EPERM: a part is not registered */
	UFFD_UNREGISTERED, /* ranges that are mapped and not registered */
};
/*
 * Call @fn for each such range in [@start, @end) of the address space of @pagemap, ascending. After a failure @fn has had all ranges that
 * were found, and protected, before.
 */
int uffd_scan(struct uffd_scan *s, int pagemap, uint64_t start, uint64_t end, enum uffd_what what,
              void (*fn)(void *arg, uint64_t start, uint64_t end), void *arg) _must_check_;

#define UFFD_ROOM_BYTES 4096u

/* Arming: system calls in K, and through K in the stubs, by code (armer_int.h) in a borrowed page of K's. */
struct uffd_inject {
	const struct pv_frozen *f;      /* borrowed */
	int k_pidfd;                    /* borrowed */
	uint64_t room;                  /* address in K */
	uint8_t saved[UFFD_ROOM_BYTES]; /* its content before */
	int close_fd;                   /* descriptor of K to be closed, since we have a copy; -1: none */
	int slack;                      /* this thread's timer slack before */
};
/* @room: address in K of UFFD_ROOM_BYTES that it may read, write and execute and that no device writes. uffd_inject_end() restores them. */
int uffd_inject_begin(struct uffd_inject *i, const struct pv_frozen *f, int k_pidfd, uint64_t room,
                      struct err *err) _must_check_;
/* Get a userfaultfd (owned by the caller) of K (@pid 0), or of stub @pid by its `syscall` instruction at @insn. */
int uffd_inject_get(struct uffd_inject *i, pid_t pid, uint64_t insn, int *ret_uffd, struct err *err) _must_check_;
/* Restore K's memory. */
int uffd_inject_end(struct uffd_inject *i, struct err *err) _must_check_;

#endif
