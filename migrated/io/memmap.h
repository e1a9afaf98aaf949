/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Guest memory of one domain as migrated sees it: the region memfds and the shared dirty bitmap, mapped (HV_OP_MAP_MEMORY). */
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

#define HUGE_LOCKS 8u
struct memmap_huge {
	pthread_mutex_t lock[HUGE_LOCKS]; /* of every eighth piece */
	_Atomic uint64_t tried[];         /* a bit per HUGE_BYTES */
};

struct memmap_region {
	int fd;        /* owned, -1: none */
	uint8_t *base; /* whole region, shared, writable, at a multiple of HUGE_BYTES; never touch holes through it */
	uint64_t size, pages;
	uint64_t *dirty; /* its part of the shared bitmap, NULL: none */
	struct memmap_huge *huge;
	char name[16];
};
struct memmap {
	unsigned n;
	struct memmap_region r[MIG_REGIONS_MAX];
	void *bitmap; /* mapping, NULL: none */
	uint64_t bitmap_bytes;
};

/* Ask @hv and map all. On failure @m is empty. */
int memmap_open(struct memmap *m, struct hvcall *hv, struct err *err) _must_check_;
/* One region of @size octets on @fd (owned from now on, also on failure): tests and benches without hvdom. */
int memmap_of_fd(struct memmap *m, int fd, uint64_t size, struct err *err) _must_check_;
void memmap_done(struct memmap *m);
/* Set bits of pages with content (not holes) of region @i in @bits (pages / 64 words, rounded up). 0 or -errno. */
int memmap_present(const struct memmap *m, unsigned i, uint64_t *bits) _must_check_;
/*
 * Make each piece of HUGE_BYTES which these pages touch one huge page, holes in it zeros; once for each piece. When the kernel has none
 * to give, memory comes in small pages as it would have. Any thread.
 */
void memmap_huge(const struct memmap_region *r, uint64_t page, uint64_t count);
static inline uint64_t bitmap_words(uint64_t pages)
{
	return (pages + 63) / 64;
}

#endif
