/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The device's side of a split virtqueue (virtio 1.2, 2.7). No other code touches rings.
 *
 * The driver is hostile. Each descriptor is copied once and then checked, a chain is no longer than the queue, every address goes through
 * guestmem_at(). An error sets @broken to a sentence, and from then on vq_pop() fails.
 * Threading: the io thread.
 */
#ifndef HOSPES_HYPERVISOR_DEV_VIRTQ_H
#define HOSPES_HYPERVISOR_DEV_VIRTQ_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/uio.h>
#include "common/cleanup.h"
#include "hypervisor/guestmem.h"

#define VQ_SIZE_MAX 256u
#define VQ_SEGS_MAX 256u /* segments of one chain: the specification allows at most the queue size */

#define VIRTQ_DESC_F_NEXT          1u
#define VIRTQ_DESC_F_WRITE         2u
#define VIRTQ_DESC_F_INDIRECT      4u
#define VIRTQ_AVAIL_F_NO_INTERRUPT 1u

struct vq_desc { /* as in guest memory, little-endian */
	uint64_t addr;
	uint32_t len;
	uint16_t flags;
	uint16_t next;
};
_Static_assert(sizeof(struct vq_desc) == 16, "virtio 1.2, 2.7.5");

/* What the driver has set; part of the device's state. */
struct vq_conf {
	uint16_t size; /* entries, a power of two, 0: never set */
	bool enabled;
	struct gpa desc, avail, used;
	uint16_t last_avail; /* next entry of the avail ring to take */
	uint16_t used_idx;   /* entries ever put on the used ring, modulo 2^16 */
};

struct vq {
	struct vq_conf c;
	struct guestmem *mem;         /* borrowed, NULL: not mapped */
	uint8_t *desc, *avail, *used; /* inside mem; valid while mem is set */
	bool event_idx, indirect;     /* negotiated */
	bool call_always;             /* the next vq_should_call() is true (after a restore) */
	uint16_t signalled;           /* used_idx at the last call */
	const char *broken;           /* static text; NULL: sound */
};

/* A chain as host pointers: n_out segments that the device reads, then n_in that it writes. */
struct vq_elem {
	uint16_t head;
	uint16_t n_out, n_in;
	uint64_t out_bytes, in_bytes;
	struct iovec iov[VQ_SEGS_MAX];
};

/* Map the rings in @m, borrowed until vq_unmap(). -EINVAL: @broken is set. Idempotent. */
int vq_map(struct vq *q, struct guestmem *m) _must_check_;
void vq_unmap(struct vq *q);
static inline bool vq_ready(const struct vq *q)
{
	return q->c.enabled && q->mem && !q->broken;
}

/* Take the next chain: 1, 0 when there is none (the driver will kick for the next one), -EINVAL when the queue is broken. */
int vq_pop(struct vq *q, struct vq_elem *e) _must_check_;
/* Take the chain at @head again, which was taken before and not pushed: 1, or -EINVAL when the queue is broken. */
int vq_take(struct vq *q, uint16_t head, struct vq_elem *e) _must_check_;
/* Give back the last @n chains that were popped and not pushed, as if they had never been taken. */
void vq_unpop(struct vq *q, uint16_t n);
/* Put a chain on the used ring; vq_publish() shows it to the driver. @bytes: octets written to its segments, and marked already. */
void vq_push(struct vq *q, uint16_t head, uint32_t bytes);
void vq_publish(struct vq *q);
/* After vq_publish(): does the driver want a call? The next answer is about entries published after this one. */
bool vq_should_call(struct vq *q);

/* The driver's side of the rings, for the log; hostile, so any numbers. False: the queue is off. */
struct vq_look {
	uint16_t avail, used_event;
};
bool vq_look(const struct vq *q, struct vq_look *ret);

/* Mark the first @bytes octets of the @n segments as written by the device. */
void vq_mark(const struct vq *q, const struct iovec *iov, unsigned n, uint64_t bytes);
/* Copy up to @len octets between the segments, from octet @skip on, and a buffer. Return the octets copied. vq_copy_to() marks them. */
size_t vq_copy_from(const struct iovec *iov, unsigned n, uint64_t skip, void *to, size_t len);
size_t vq_copy_to(const struct vq *q, const struct iovec *iov, unsigned n, uint64_t skip, const void *from, size_t len);
/* Drop @bytes octets at the front, adjusting the segments in place. Returns how many whole segments went. */
unsigned vq_iov_skip(struct iovec *iov, unsigned n, uint64_t bytes);

#endif
