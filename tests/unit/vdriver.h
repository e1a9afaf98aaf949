/* SPDX-License-Identifier: GPL-2.0-or-later */
/* The driver's side of a virtqueue in a memfd, as honest or as hostile as a test wants. */
#ifndef HOSPES_TESTS_UNIT_VDRIVER_H
#define HOSPES_TESTS_UNIT_VDRIVER_H

#include "hypervisor/dev/virtq.h"

struct vdriver {
	struct guestmem *mem; /* borrowed */
	struct vq_conf c;
	uint16_t avail_idx;
	uint16_t next; /* first descriptor that the next chain takes */
};

int vdriver_mem(struct guestmem *m, uint64_t size) _must_check_; /* a memfd of zeros; guestmem_done() ends it */
/* Rings of @size entries from guest address @at on (8 KiB suffice). */
void vdriver_init(struct vdriver *d, struct guestmem *m, uint64_t at, uint16_t size);
struct vq_desc *vdriver_desc(struct vdriver *d, unsigned i);
void vdriver_set(struct vdriver *d, unsigned i, uint64_t addr, uint32_t len, uint16_t flags, uint16_t next);
void vdriver_offer(struct vdriver *d, uint16_t head); /* put on the avail ring and publish */
/* A chain of @n_out readable and @n_in writable segments given as (address, length) pairs; returns the head. */
uint16_t vdriver_chain(struct vdriver *d, unsigned n_out, unsigned n_in, const uint64_t (*seg)[2]);
uint16_t vdriver_used_idx(const struct vdriver *d);
void vdriver_used(const struct vdriver *d, uint16_t i, uint32_t *ret_id, uint32_t *ret_len);
uint16_t *vdriver_avail_idx(struct vdriver *d);
uint16_t *vdriver_avail_flags(struct vdriver *d);
uint16_t *vdriver_used_event(struct vdriver *d);
uint16_t *vdriver_avail_event(struct vdriver *d);
bool vdriver_dirty(const struct guestmem *m, uint64_t addr);
void vdriver_clean(struct guestmem *m);

#endif
