/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * One split virtqueue, seen from the device (virtio 1.2, 2.7). The only code that touches rings.
 *
 * The driver is hostile: each descriptor is copied once and then checked, chains are bounded by the queue size, every address
 * goes through guestmem_at(). Whatever is wrong sets @broken to a sentence; from then on vq_pop() gives nothing.
 * Threading: the io thread only.
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

/* Set by the driver; saved and restored as it is. */
struct vq_conf {
	uint16_t size; /* entries, a power of two, 0: never set */
	bool enabled;  /* the driver may use it */
	struct gpa desc, avail, used;
	uint16_t last_avail; /* next entry of the avail ring to take */
	uint16_t used_idx;   /* entries ever put on the used ring, modulo 2^16 */
};

struct vq {
	struct vq_conf c;
	struct guestmem *mem;         /* borrowed, NULL: not mapped */
	uint8_t *desc, *avail, *used; /* inside mem; valid while mem is set */
	bool event_idx, indirect;     /* negotiated */
	bool call_always;             /* the next vq_should_call() says yes (after restore) */
	uint16_t signalled;           /* used_idx at the last call */
	const char *broken;           /* static text; NULL: sound */
};

/* A chain in host pointers: n_out readable segments, then n_in writable ones. */
struct vq_elem {
	uint16_t head;
	uint16_t n_out, n_in;
	uint64_t out_bytes, in_bytes;
	struct iovec iov[VQ_SEGS_MAX];
};

/* Resolve the ring addresses in @m. -EINVAL sets @broken. Idempotent. */
int vq_map(struct vq *q, struct guestmem *m) _must_check_;
void vq_unmap(struct vq *q);
static inline bool vq_ready(const struct vq *q)
{
	return q->c.enabled && q->mem && !q->broken;
}

/* Take the next chain: 1, 0 when there is none (then the driver will kick for the next one), -EINVAL when broken. */
int vq_pop(struct vq *q, struct vq_elem *e) _must_check_;
/* Take the chain at @head, which was taken before and not answered: 1, or -EINVAL when broken. */
int vq_take(struct vq *q, uint16_t head, struct vq_elem *e) _must_check_;
/* Give the last @n popped and not pushed chains back, as if they had never been taken. */
void vq_unpop(struct vq *q, uint16_t n);
/* Put a chain on the used ring; it becomes visible with vq_publish(). @bytes: written to its writable segments, marked already. */
void vq_push(struct vq *q, uint16_t head, uint32_t bytes);
void vq_publish(struct vq *q);
/* After vq_publish(): does the driver want to be called? Clears the want. */
bool vq_should_call(struct vq *q);

/* What the driver's side of the rings says, for the log: any number, hostile as it is. False: the queue is off. */
struct vq_look {
	uint16_t avail, used_event;
};
bool vq_look(const struct vq *q, struct vq_look *ret);

/* Mark the first @bytes of @n host segments as written by the device. */
void vq_mark(const struct vq *q, const struct iovec *iov, unsigned n, uint64_t bytes);
/* Copy between segments and a buffer, from octet @skip on; returns octets copied. _to marks what it writes. */
size_t vq_copy_from(const struct iovec *iov, unsigned n, uint64_t skip, void *to, size_t len);
size_t vq_copy_to(const struct vq *q, const struct iovec *iov, unsigned n, uint64_t skip, const void *from, size_t len);
/* Drop @bytes at the front; returns how many whole segments went (the rest is adjusted in place). */
unsigned vq_iov_skip(struct iovec *iov, unsigned n, uint64_t bytes);

#endif
