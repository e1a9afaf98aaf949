/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Asynchronous userfaultfd write-protection and the PAGEMAP_SCAN ioctl (kernel 6.7). The kernel's ABI is repeated here, since Debian 12's
 * headers do not have it. Each engine gets userfaultfds from its guest's processes by itself. Main thread.
 */
#ifndef HOSPES_HYPERVISOR_LOGDIRTY_UFFD_H
#define HOSPES_HYPERVISOR_LOGDIRTY_UFFD_H

#include <stdbool.h>
#include <stdint.h>
#include "common/cleanup.h"
#include "common/err.h"

struct page_region_abi {
	uint64_t start, end, categories;
};

#define UFFD_VEC_MAX 2048u

struct uffd_scan {
	struct page_region_abi vec[UFFD_VEC_MAX]; /* all zeros between calls: see uffd_scan() */
};

/* 0: this kernel has what tracking needs; else -ENOTSUP or -EPERM, and @err says why. */
int uffd_probe(struct err *err) _must_check_;
/*
 * Negotiate the API on a new userfaultfd. @removals: ranges that madvise() takes out of what is registered are told, by uffd_removal(); who
 * calls madvise() stands still until then.
 */
int uffd_setup(int uffd, bool removals) _must_check_;
/* On a kernel without asynchronous protection (Linux 5.19 or later): removals are told, and nothing is protected. */
int uffd_setup_removals(int uffd) _must_check_;
/* The next removal that waits, without waiting for one: 1 with the range of addresses, 0: none waits, or -errno. */
int uffd_removal(int uffd, uint64_t *ret_start, uint64_t *ret_end) _must_check_;
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

#endif
