/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Asynchronous userfaultfd write-protection (kernel 6.7) and the PAGEMAP_SCAN ioctl, and how a userfaultfd comes out of a
 * frozen guest's processes. The kernel's ABI is repeated here: Debian 12's headers are older than it. Main thread only.
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
	struct page_region_abi vec[UFFD_VEC_MAX]; /* all zero between calls: see uffd_scan() */
};

/* 0 when this kernel has what tracking needs; else -ENOTSUP or -EPERM with the reason. */
int uffd_probe(struct err *err) _must_check_;
/* Agree on the API with a new userfaultfd. */
int uffd_setup(int uffd) _must_check_;
/* Write-protect asynchronously from now on; mappings that come later are not included. */
int uffd_register(int uffd, uint64_t start, uint64_t end) _must_check_;

enum uffd_what {
	UFFD_WRITTEN, /* pages written since they were last protected; protects them again. -EPERM: a part is not registered */
	UFFD_UNREGISTERED, /* address ranges that are mapped and not registered */
};
/*
 * Call @fn for the ranges in [@start, @end) of the address space behind @pagemap, ascending. On failure, too, @fn got all
 * that was found (and protected) before.
 */
int uffd_scan(struct uffd_scan *s, int pagemap, uint64_t start, uint64_t end, enum uffd_what what,
              void (*fn)(void *arg, uint64_t start, uint64_t end), void *arg) _must_check_;

#define UFFD_ROOM_BYTES 4096u

/* Arming: system calls inside K and, by K's hand, inside the stubs. A piece of K's memory is borrowed for it. */
struct uffd_inject {
	const struct pv_frozen *f;      /* borrowed */
	int k_pidfd;                    /* borrowed */
	uint64_t room;                  /* address in K */
	uint8_t saved[UFFD_ROOM_BYTES]; /* what was there */
	int close_fd;                   /* descriptor of K that has been taken and is to be closed; -1: none */
	int slack;                      /* timer slack of this thread before */
};
/* @room: UFFD_ROOM_BYTES of K's memory that it may read, write and execute and that no device writes; they are put back. */
int uffd_inject_begin(struct uffd_inject *i, const struct pv_frozen *f, int k_pidfd, uint64_t room,
                      struct err *err) _must_check_;
/* A userfaultfd of K (@pid 0), or of stub @pid by its `syscall` instruction at @insn; owned by the caller. */
int uffd_inject_get(struct uffd_inject *i, pid_t pid, uint64_t insn, int *ret_uffd, struct err *err) _must_check_;
/* Put K's memory back. */
int uffd_inject_end(struct uffd_inject *i, struct err *err) _must_check_;

#endif
