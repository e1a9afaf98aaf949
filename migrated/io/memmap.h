/* SPDX-License-Identifier: GPL-2.0-or-later */
/* migrated's mapping of a domain's memory: memfds of regions, and the shared dirty bitmap (HV_OP_MAP_MEMORY). */
#ifndef HOSPES_MIGRATED_IO_MEMMAP_H
#define HOSPES_MIGRATED_IO_MEMMAP_H

#include <pthread.h>
#include <stdatomic.h>
#include <stdint.h>
#include "common/err.h"
#include "hypervisor/api/hvcall.h"
#include "migrated/core/mig.h"

#define HUGE_BYTES (2u << 20)
#define HUGE_PAGES (HUGE_BYTES / PAGE_BYTES)

#define HUGE_GROUP 16u /* pieces of HUGE_BYTES that are made at once; a divisor of 64 */
#define HUGE_LOCKS 8u
struct memmap_huge {
	pthread_mutex_t lock[HUGE_LOCKS]; /* group i has lock i % HUGE_LOCKS */
	_Atomic uint64_t tried[];         /* one bit per piece */
};

struct memmap_region {
	int fd;        /* owned, -1: none */
	uint8_t *base; /* the whole region, shared, writable, at a multiple of HUGE_BYTES; reading a hole would fill it */
	uint64_t size, pages; /* octets; pages */
	uint64_t *dirty; /* its part of the shared bitmap, borrowed from that; NULL: none */
	struct memmap_huge *huge; /* owned */
	char name[16];
};
struct memmap {
	unsigned n;
	struct memmap_region r[MIG_REGIONS_MAX];
	void *bitmap; /* mapping, NULL: none */
	uint64_t bitmap_bytes;
};

/* Ask hvdom for the memory and map it. On failure @m is empty. */
int memmap_open(struct memmap *m, struct hvcall *hv, struct err *err) _must_check_;
/* The same of an answer to HV_OP_MAP_MEMORY that is here already. Descriptors that were taken over are set to -1. */
int memmap_take(struct memmap *m, const void *payload, size_t len, int *fds, size_t n_fds, struct err *err) _must_check_;
/* Map one region of @size octets on @fd (owned from now on, also on failure). For tests and benchmarks without hvdom. */
int memmap_of_fd(struct memmap *m, int fd, uint64_t size, struct err *err) _must_check_;
void memmap_done(struct memmap *m);
/* Set the bits of those pages of region @i that are no holes in @bits (bitmap_words() words). 0 or -errno. */
int memmap_present(const struct memmap *m, unsigned i, uint64_t *bits) _must_check_;
/*
 * Make one huge page of each piece of HUGE_BYTES that these pages are in, and at the same time of those that follow up to page @end (any
 * number; not beyond their group). Holes become zeros. It is tried once for each piece. If the kernel has no huge page, or is late
 * with it, small ones are used as always (hugehelp.h). Any thread.
 */
void memmap_huge(const struct memmap_region *r, uint64_t page, uint64_t count, uint64_t end);
static inline uint64_t bitmap_words(uint64_t pages)
{
	return (pages + 63) / 64;
}

#endif
