/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Guest memory as hvdom has it mapped. Devices reach it here only: each access names a guest physical address, which is checked.
 * A device marks what it wrote in a bitmap, after the write, since no write-protect fault sees it.
 *
 * There is one memory file, cut into regions. The engine chooses the guest address of each; there may be holes between them. A page's
 * index, in bitmaps, streams and save files, is its place in the file.
 */
#ifndef HOSPES_HYPERVISOR_GUESTMEM_H
#define HOSPES_HYPERVISOR_GUESTMEM_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include "common/err.h"
#include "common/cleanup.h"

#define GUESTMEM_REGIONS_MAX  4u
#define GUESTMEM_REGION_ALIGN (64u << 12) /* so that a region's bits begin with a word of each bitmap */

struct gpa { uint64_t v; };      /* guest physical address */

struct guestmem_region {
	struct gpa start;        /* page multiple */
	uint64_t bytes;          /* multiple of GUESTMEM_REGION_ALIGN; the last one's: of a page */
	uint64_t offset;         /* of its first octet in the file: the sum of the sizes before it */
};

struct guestmem {
	int fd;                  /* memfd, owned */
	uint8_t *base;           /* mapping of the whole file, PROT_READ|PROT_WRITE, shared */
	uint64_t size;           /* octets, page multiple: of all regions */
	unsigned n_regions;
	struct guestmem_region region[GUESTMEM_REGIONS_MAX]; /* in the file's order; no two have a guest address in common */
	_Atomic uint64_t *dev_dirty; /* one bit per page written by a device since it was last collected; owned */
};

/*
 * Map @fd (owned from now on, also on failure) as @n regions, whose offsets are set here. -EINVAL: they overlap or are not aligned, or the
 * file is shorter than all of them. After a failure @m is empty.
 */
int guestmem_init_regions(struct guestmem *m, int fd, const struct guestmem_region *regions, unsigned n, struct err *err) _must_check_;
/* The same with one region of @size octets at guest address 0. */
int guestmem_init(struct guestmem *m, int fd, uint64_t size, struct err *err) _must_check_;
void guestmem_done(struct guestmem *m); /* takes an empty one */
/* Host pointer to the guest's [@a, @a + @len), which has to lie within one region; else NULL. Overflow-safe. Valid as long as @m. */
static inline void *guestmem_at(const struct guestmem *m, struct gpa a, uint64_t len)
{
	for (const struct guestmem_region *r = m->region; r < m->region + m->n_regions; r++) {
		uint64_t in = a.v - r->start.v; /* huge below its start */

		if (in <= r->bytes && len <= r->bytes - in)
			return m->base + r->offset + in;
	}
	return NULL;
}
/* Offset in the file (and place in all bitmaps) of @p, a result of guestmem_at(). */
static inline uint64_t guestmem_offset(const struct guestmem *m, const void *p)
{
	return (uint64_t)((const uint8_t *)p - m->base);
}
/* Mark @len octets from @p on, a result of guestmem_at(), as written. Call after the write. */
static inline void guestmem_mark(struct guestmem *m, const void *p, uint64_t len)
{
	uint64_t at = guestmem_offset(m, p);

	if (!len)
		return;
	for (uint64_t i = at >> 12, e = (at + len - 1) >> 12; i <= e; i++) {
		uint64_t bit = 1ull << (i & 63);
		/* a relaxed test first: the hot rings' pages are nearly always marked already */
		if (!(__atomic_load_n((uint64_t *)&m->dev_dirty[i >> 6], __ATOMIC_RELAXED) & bit))
			__atomic_fetch_or((uint64_t *)&m->dev_dirty[i >> 6], bit, __ATOMIC_RELEASE);
	}
}

#endif
