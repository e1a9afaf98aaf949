/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Guest memory of one domain as migrated sees it: the region memfds and the shared dirty bitmap, mapped (HV_OP_MAP_MEMORY). */
#ifndef HOSPES_MIGRATED_IO_MEMMAP_H
#define HOSPES_MIGRATED_IO_MEMMAP_H

#include <stdint.h>
#include "common/err.h"
#include "hypervisor/hvcall.h"
#include "migrated/core/mig.h"

struct memmap_region {
	int fd;        /* owned, -1: none */
	uint8_t *base; /* whole region, shared, writable; never touch holes through it */
	uint64_t size, pages;
	uint64_t *dirty; /* its part of the shared bitmap, NULL: none */
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
static inline uint64_t bitmap_words(uint64_t pages)
{
	return (pages + 63) / 64;
}

#endif
