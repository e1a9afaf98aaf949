/* SPDX-License-Identifier: GPL-2.0-or-later */
/* See vdriver.h. */
#include "config.h"
#include "tests/unit/vdriver.h"

#include <errno.h>
#include <string.h>
#include <sys/mman.h>

int vdriver_mem(struct guestmem *m, uint64_t size)
{
	int fd = memfd_create("guest", MFD_CLOEXEC);

	if (fd < 0 || ftruncate(fd, (off_t)size) < 0)
		return -errno;
	return guestmem_init(m, fd, size, NULL);
}

void vdriver_init(struct vdriver *d, struct guestmem *m, uint64_t at, uint16_t size)
{
	*d = (struct vdriver){ .mem = m };
	d->c = (struct vq_conf){
		.size = size, .enabled = true, .desc = { at }, .avail = { at + 4096 }, .used = { at + 4096 + 1024 }
	};
}

static void *at(const struct guestmem *m, struct gpa a)
{
	return guestmem_at(m, a, 1);
}

struct vq_desc *vdriver_desc(struct vdriver *d, unsigned i)
{
	return (struct vq_desc *)at(d->mem, d->c.desc) + i;
}

void vdriver_set(struct vdriver *d, unsigned i, uint64_t addr, uint32_t len, uint16_t flags, uint16_t next)
{
	*vdriver_desc(d, i) = (struct vq_desc){ addr, len, flags, next };
}

static uint16_t *avail(struct vdriver *d)
{
	return at(d->mem, d->c.avail);
}
static uint16_t *used(const struct vdriver *d)
{
	return at(d->mem, d->c.used);
}

void vdriver_offer(struct vdriver *d, uint16_t head)
{
	avail(d)[2 + d->avail_idx % d->c.size] = head;
	__atomic_store_n(vdriver_avail_idx(d), ++d->avail_idx, __ATOMIC_RELEASE);
}

uint16_t vdriver_chain(struct vdriver *d, unsigned n_out, unsigned n_in, const uint64_t (*seg)[2])
{
	uint16_t head = d->next;

	for (unsigned i = 0; i < n_out + n_in; i++) {
		uint16_t at = d->next, next = (uint16_t)((at + 1) % d->c.size);
		bool last = i + 1 == n_out + n_in;
		vdriver_set(d, at, seg[i][0], (uint32_t)seg[i][1],
		            (uint16_t)((i >= n_out ? VIRTQ_DESC_F_WRITE : 0) | (last ? 0 : VIRTQ_DESC_F_NEXT)),
		            last ? 0 : next);
		d->next = next;
	}
	vdriver_offer(d, head);
	return head;
}

uint16_t vdriver_used_idx(const struct vdriver *d)
{
	return __atomic_load_n(used(d) + 1, __ATOMIC_ACQUIRE);
}

void vdriver_used(const struct vdriver *d, uint16_t i, uint32_t *ret_id, uint32_t *ret_len)
{
	uint32_t e[2];

	memcpy(e, used(d) + 2 + 4u * (i % d->c.size), sizeof(e));
	*ret_id = e[0];
	*ret_len = e[1];
}

uint16_t *vdriver_avail_flags(struct vdriver *d)
{
	return avail(d);
}
uint16_t *vdriver_avail_idx(struct vdriver *d)
{
	return avail(d) + 1;
}
uint16_t *vdriver_used_event(struct vdriver *d)
{
	return avail(d) + 2 + d->c.size;
}
uint16_t *vdriver_avail_event(struct vdriver *d)
{
	return used(d) + 2 + 4u * d->c.size;
}

bool vdriver_dirty(const struct guestmem *m, uint64_t addr)
{
	uint64_t page = guestmem_offset(m, at(m, (struct gpa){ addr })) >> 12;

	return m->dev_dirty[page >> 6] >> (page & 63) & 1;
}

void vdriver_clean(struct guestmem *m)
{
	for (uint64_t i = 0; i <= (m->size - 1) >> 18; i++)
		m->dev_dirty[i] = 0;
}
