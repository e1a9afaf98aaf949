/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Fuzz target: a queue in hostile memory. Octet 0: queue size as a power of two; octet 1: bit 0 event index, bit 1 indirect;
 * octets 2-3: what was taken before. The rest is guest memory from address 0: table at 0, avail at 4096, used at 5120.
 */
#include "config.h"
#include "tests/fuzz/fuzz.h"

#include <string.h>
#include <sys/mman.h>
#include "hypervisor/dev/virtq.h"

#define MEM 65536u

static void check_elem(const struct guestmem *m, const struct vq_elem *e)
{
	uint64_t out = 0, in = 0;

	FUZZ_CHECK(e->n_out + e->n_in >= 1 && e->n_out + e->n_in <= VQ_SEGS_MAX);
	for (unsigned i = 0; i < e->n_out + e->n_in; i++) {
		uint8_t *p = e->iov[i].iov_base;
		FUZZ_CHECK(e->iov[i].iov_len && p >= m->base && e->iov[i].iov_len <= (size_t)(m->base + m->size - p));
		if (i < e->n_out)
			out += e->iov[i].iov_len;
		else
			in += e->iov[i].iov_len;
	}
	FUZZ_CHECK(out == e->out_bytes && in == e->in_bytes);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len)
{
	static struct guestmem mem;
	static struct vq_elem e;

	if (!mem.base) {
		int fd = memfd_create("guest", MFD_CLOEXEC);
		FUZZ_CHECK(fd >= 0 && ftruncate(fd, MEM) == 0 && guestmem_init(&mem, fd, MEM, NULL) == 0);
	}
	if (len < 4)
		return 0;
	struct vq q = { .c = { .size = (uint16_t)(1u << (data[0] % 9)),
		               .enabled = true,
		               .avail = { 4096 },
		               .used = { 5120 },
		               .last_avail = (uint16_t)(data[2] | data[3] << 8) },
		        .event_idx = data[1] & 1,
		        .indirect = data[1] & 2 };
	q.c.used_idx = q.c.last_avail;
	memset(mem.base, 0, MEM);
	memcpy(mem.base, data + 4, len - 4 < MEM ? len - 4 : MEM);
	FUZZ_CHECK(vq_map(&q, &mem) == 0);
	/* our own writes may feed it, but no queue gives more than 2^16 chains */
	for (int n = 0; n < 600; n++) {
		int r = vq_pop(&q, &e);
		FUZZ_CHECK(r == 1 || (r == 0 && !q.broken) || (r < 0 && q.broken));
		if (r <= 0)
			break;
		FUZZ_CHECK(e.head < q.c.size);
		check_elem(&mem, &e);
		uint8_t buf[64];
		size_t k = vq_copy_from(e.iov, e.n_out, (uint64_t)n, buf, sizeof(buf));
		k = vq_copy_to(&q, e.iov + e.n_out, e.n_in, 0, buf, k);
		vq_push(&q, e.head, (uint32_t)k);
		vq_publish(&q);
		(void)vq_should_call(&q);
	}
	return 0;
}
