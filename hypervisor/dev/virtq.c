/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Split virtqueues; see virtq.h. Memory ordering follows virtio 1.2, 2.7.13: acquire on avail.idx; publishing an index and then
 * reading the other side's are both sequentially consistent, for neither side may miss the other's news.
 */
#include "config.h"
#include "hypervisor/dev/virtq.h"

#include <errno.h>
#include <string.h>

#define FIELD16(p) ((uint16_t *)(void *)(p))

static uint16_t load16(const uint8_t *p)
{
	return __atomic_load_n((const uint16_t *)(const void *)p, __ATOMIC_RELAXED);
}

static int vq_break(struct vq *q, const char *why)
{
	if (!q->broken)
		q->broken = why;
	return -EINVAL;
}

/* Ring layout: virtio 1.2, 2.7.6 and 2.7.8; both rings are sized with their event index, negotiated or not. */
static uint64_t desc_bytes(const struct vq *q)
{
	return 16ull * q->c.size;
}
static uint64_t avail_bytes(const struct vq *q)
{
	return 4 + 2ull * q->c.size + 2;
}
static uint64_t used_bytes(const struct vq *q)
{
	return 4 + 8ull * q->c.size + 2;
}
static uint64_t avail_event_off(const struct vq *q)
{
	return 4 + 8ull * q->c.size;
}
static uint64_t used_event_off(const struct vq *q)
{
	return 4 + 2ull * q->c.size;
}

int vq_map(struct vq *q, struct guestmem *m)
{
	if (!q->c.size || q->c.size > VQ_SIZE_MAX || (q->c.size & (q->c.size - 1)))
		return vq_break(q, "queue size is not a power of two up to 256");
	if ((q->c.desc.v & 15) || (q->c.avail.v & 1) || (q->c.used.v & 3))
		return vq_break(q, "a ring is not aligned");
	uint8_t *desc = guestmem_at(m, q->c.desc, desc_bytes(q));
	uint8_t *avail = guestmem_at(m, q->c.avail, avail_bytes(q));
	uint8_t *used = guestmem_at(m, q->c.used, used_bytes(q));
	if (!desc || !avail || !used)
		return vq_break(q, "a ring is outside guest memory");
	q->desc = desc;
	q->avail = avail;
	q->used = used;
	q->mem = m;
	q->signalled = q->c.used_idx;
	return 0;
}

void vq_unmap(struct vq *q)
{
	q->mem = NULL;
	q->desc = q->avail = q->used = NULL;
}

static struct vq_desc desc_copy(const uint8_t *p)
{
	struct vq_desc d;

	memcpy(&d, p, sizeof(d));
	/* the compiler must not read guest memory again after the checks */
	__asm__ volatile("" : "+m"(d) : : "memory");
	return d;
}

static int elem_add(struct vq *q, struct vq_elem *e, const struct vq_desc *d)
{
	unsigned n = e->n_out + e->n_in;

	if (n >= VQ_SEGS_MAX)
		return vq_break(q, "a chain has too many segments");
	if (!d->len)
		return vq_break(q, "a descriptor has length zero");
	void *p = guestmem_at(q->mem, (struct gpa){ d->addr }, d->len);
	if (!p)
		return vq_break(q, "a descriptor is outside guest memory");
	e->iov[n] = (struct iovec){ .iov_base = p, .iov_len = d->len };
	if (d->flags & VIRTQ_DESC_F_WRITE) {
		e->n_in++;
		e->in_bytes += d->len;
	} else {
		if (e->n_in)
			return vq_break(q, "a readable segment follows a writable one");
		e->n_out++;
		e->out_bytes += d->len;
	}
	return 0;
}

/* Walk @table of @size entries from @i; @depth 1 inside an indirect table. */
static int chain_walk(struct vq *q, struct vq_elem *e, const uint8_t *table, unsigned size, unsigned i, int depth)
{
	for (unsigned steps = 0; steps < size; steps++) {
		if (i >= size)
			return vq_break(q, "a descriptor index is beyond the table");
		struct vq_desc d = desc_copy(table + 16ull * i);
		if (d.flags & VIRTQ_DESC_F_INDIRECT) {
			if (!q->indirect || depth)
				return vq_break(q, depth ? "an indirect table inside an indirect table"
				                         : "an indirect descriptor without the feature");
			if (d.flags & VIRTQ_DESC_F_NEXT)
				return vq_break(q, "an indirect descriptor has a next one");
			if (!d.len || d.len % 16 || d.len / 16 > q->c.size)
				return vq_break(q, "an indirect table has a wrong size");
			const uint8_t *t = guestmem_at(q->mem, (struct gpa){ d.addr }, d.len);
			if (!t)
				return vq_break(q, "an indirect table is outside guest memory");
			return chain_walk(q, e, t, d.len / 16, 0, 1);
		}
		int r = elem_add(q, e, &d);
		if (r < 0)
			return r;
		if (!(d.flags & VIRTQ_DESC_F_NEXT))
			return 0;
		i = d.next;
	}
	return vq_break(q, "a chain loops");
}

/* Entries that wait, after telling the driver to kick for more when there are none. -EINVAL: broken. */
static int avail_count(struct vq *q)
{
	uint16_t idx = __atomic_load_n(FIELD16(q->avail + 2), __ATOMIC_ACQUIRE);
	uint16_t n = (uint16_t)(idx - q->c.last_avail);

	if (!n && q->event_idx && load16(q->used + avail_event_off(q)) != q->c.last_avail) {
		__atomic_store_n(FIELD16(q->used + avail_event_off(q)), q->c.last_avail, __ATOMIC_SEQ_CST);
		guestmem_mark(q->mem, q->used + avail_event_off(q), 2);
		/* it may have added one before it could see the new event index */
		idx = __atomic_load_n(FIELD16(q->avail + 2), __ATOMIC_SEQ_CST);
		n = (uint16_t)(idx - q->c.last_avail);
	}
	if (n > q->c.size)
		return vq_break(q, "the avail index jumped");
	return n;
}

int vq_take(struct vq *q, uint16_t head, struct vq_elem *e)
{
	if (!vq_ready(q))
		return -EINVAL;
	if (head >= q->c.size)
		return vq_break(q, "an avail entry is beyond the table");
	e->head = head;
	e->n_out = e->n_in = 0;
	e->out_bytes = e->in_bytes = 0;
	int r = chain_walk(q, e, q->desc, q->c.size, head, 0);
	return r < 0 ? r : 1;
}

int vq_pop(struct vq *q, struct vq_elem *e)
{
	if (!vq_ready(q))
		return q->broken ? -EINVAL : 0;
	int n = avail_count(q);
	if (n <= 0)
		return n;
	uint16_t head = load16(q->avail + 4 + 2u * (q->c.last_avail & (q->c.size - 1)));
	int r = vq_take(q, head, e);
	if (r > 0)
		q->c.last_avail++;
	return r;
}

void vq_unpop(struct vq *q, uint16_t n)
{
	q->c.last_avail = (uint16_t)(q->c.last_avail - n);
}

void vq_push(struct vq *q, uint16_t head, uint32_t bytes)
{
	if (!q->mem)
		return;
	uint64_t off = 4 + 8ull * (q->c.used_idx & (q->c.size - 1));
	uint32_t id = head;

	__atomic_store_n((uint32_t *)(void *)(q->used + off), id, __ATOMIC_RELAXED);
	__atomic_store_n((uint32_t *)(void *)(q->used + off + 4), bytes, __ATOMIC_RELAXED);
	guestmem_mark(q->mem, q->used + off, 8);
	q->c.used_idx++;
}

void vq_publish(struct vq *q)
{
	if (!q->mem)
		return;
	__atomic_store_n(FIELD16(q->used + 2), q->c.used_idx, __ATOMIC_SEQ_CST);
	guestmem_mark(q->mem, q->used + 2, 2);
}

bool vq_should_call(struct vq *q)
{
	uint16_t new = q->c.used_idx, old = q->signalled;

	if (!vq_ready(q))
		return false;
	if (q->call_always) {
		q->call_always = false;
		q->signalled = new;
		return true;
	}
	if (new == old)
		return false;
	q->signalled = new;
	if (!q->event_idx)
		return !(__atomic_load_n(FIELD16(q->avail), __ATOMIC_SEQ_CST) & VIRTQ_AVAIL_F_NO_INTERRUPT);
	uint16_t event = __atomic_load_n(FIELD16(q->avail + used_event_off(q)), __ATOMIC_SEQ_CST);
	return (uint16_t)(new - event - 1) < (uint16_t)(new - old);
}

bool vq_look(const struct vq *q, struct vq_look *ret)
{
	if (!vq_ready(q))
		return false;
	ret->avail = load16(q->avail + 2);
	ret->used_event = q->event_idx ? load16(q->avail + used_event_off(q)) : 0;
	return true;
}

void vq_mark(const struct vq *q, const struct iovec *iov, unsigned n, uint64_t bytes)
{
	if (!q->mem)
		return;
	for (unsigned i = 0; i < n && bytes; i++) {
		uint64_t len = iov[i].iov_len < bytes ? iov[i].iov_len : bytes;
		guestmem_mark(q->mem, iov[i].iov_base, len);
		bytes -= len;
	}
}

static size_t iov_copy(const struct iovec *iov, unsigned n, uint64_t skip, uint8_t *buf, size_t len,
                       const struct vq *to)
{
	size_t done = 0;

	for (unsigned i = 0; i < n && done < len; i++) {
		if (skip >= iov[i].iov_len) {
			skip -= iov[i].iov_len;
			continue;
		}
		uint8_t *p = (uint8_t *)iov[i].iov_base + skip;
		size_t room = iov[i].iov_len - skip;
		size_t k = room < len - done ? room : len - done;
		if (to) {
			memcpy(p, buf + done, k);
			guestmem_mark(to->mem, p, k);
		} else {
			memcpy(buf + done, p, k);
		}
		done += k;
		skip = 0;
	}
	/* what was copied is ours now: no second read of guest memory */
	__asm__ volatile("" : : : "memory");
	return done;
}

size_t vq_copy_from(const struct iovec *iov, unsigned n, uint64_t skip, void *to, size_t len)
{
	return iov_copy(iov, n, skip, to, len, NULL);
}

size_t vq_copy_to(const struct vq *q, const struct iovec *iov, unsigned n, uint64_t skip, const void *from, size_t len)
{
	return q->mem ? iov_copy(iov, n, skip, (uint8_t *)from, len, q) : 0;
}

unsigned vq_iov_skip(struct iovec *iov, unsigned n, uint64_t bytes)
{
	unsigned i = 0;

	while (i < n && bytes >= iov[i].iov_len)
		bytes -= iov[i++].iov_len;
	if (i < n && bytes) {
		iov[i].iov_base = (uint8_t *)iov[i].iov_base + bytes;
		iov[i].iov_len -= bytes;
	}
	return i;
}
