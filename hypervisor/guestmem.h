/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Guest memory as hvdom's own mapping, and the only way devices reach it: every access names a guest physical address that
 * is checked here. Writes by devices are marked in a bitmap of our own, after the write (no write-protect fault sees them).
 */
#ifndef HOSPES_HYPERVISOR_GUESTMEM_H
#define HOSPES_HYPERVISOR_GUESTMEM_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include "common/err.h"
#include "common/cleanup.h"

struct gpa { uint64_t v; };      /* guest physical address; pv: offset in the memory region */

struct guestmem {
	int fd;                  /* memfd, owned */
	uint8_t *base;           /* mapping of the whole region, PROT_READ|PROT_WRITE, shared */
	uint64_t size;           /* octets, page multiple */
	_Atomic uint64_t *dev_dirty; /* one bit per page written by a device since it was last collected; owned */
};

/* Map @fd (owned from now on, also on failure) of @size octets. */
int guestmem_init(struct guestmem *m, int fd, uint64_t size, struct err *err) _must_check_;
void guestmem_done(struct guestmem *m);
/* Host pointer to [@a, @a + @len), NULL when any octet is outside. Overflow-safe. Valid while @m is. */
static inline void *guestmem_at(const struct guestmem *m, struct gpa a, uint64_t len)
{
	if (a.v > m->size || len > m->size - a.v)
		return NULL;
	return m->base + a.v;
}
/* Mark [@a, @a + @len) written; the range was checked before. Call after the write. */
static inline void guestmem_mark(struct guestmem *m, struct gpa a, uint64_t len)
{
	if (!len)
		return;
	for (uint64_t p = a.v >> 12, e = (a.v + len - 1) >> 12; p <= e; p++) {
		uint64_t bit = 1ull << (p & 63);
		/* a relaxed test first: the hot rings' pages are nearly always marked already */
		if (!(__atomic_load_n((uint64_t *)&m->dev_dirty[p >> 6], __ATOMIC_RELAXED) & bit))
			__atomic_fetch_or((uint64_t *)&m->dev_dirty[p >> 6], bit, __ATOMIC_RELEASE);
	}
}

#endif
