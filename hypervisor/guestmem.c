/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * hvdom's mapping of guest memory and the bitmap of pages that devices wrote. Access itself is inline in guestmem.h.
 * Threading: init and done on one thread while no device runs; the bitmap is atomic.
 */
#include "config.h"
#include "hypervisor/guestmem.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>

#include "common/util.h"

/* Is @r fit to follow the first @i of @m's regions? */
static int region_add(struct guestmem *m, unsigned i, const struct guestmem_region *r, bool last, struct err *err)
{
	uint64_t end = r->start.v + r->bytes;

	if (!r->bytes || r->bytes % PAGE_BYTES || r->bytes > SIZE_MAX / 2 - m->size)
		return err_set(err, EINVAL, "guest memory of %llu octets is not a positive multiple of the page size",
		               (unsigned long long)r->bytes);
	bool fits = r->start.v % PAGE_BYTES == 0 && end > r->start.v && (last || r->bytes % GUESTMEM_REGION_ALIGN == 0);
	for (unsigned k = 0; k < i; k++)
		fits = fits && (end <= m->region[k].start.v || r->start.v >= m->region[k].start.v + m->region[k].bytes);
	if (!fits)
		return err_set(err, EINVAL, "a region of guest memory cannot begin at 0x%llx",
		               (unsigned long long)r->start.v);
	m->region[i] = (struct guestmem_region){ .start = r->start, .bytes = r->bytes, .offset = m->size };
	m->size += r->bytes;
	return 0;
}

int guestmem_init_regions(struct guestmem *m, int fd, const struct guestmem_region *regions, unsigned n,
                          struct err *err)
{
	_cleanup_close_ int own = fd;
	struct guestmem new = { .fd = -1 };
	struct stat st;
	int r = 0;

	*m = new;
	if (!n || n > GUESTMEM_REGIONS_MAX)
		return err_set(err, EINVAL, "guest memory of %u regions", n);
	for (unsigned i = 0; !r && i < n; i++)
		r = region_add(&new, i, &regions[i], i == n - 1, err);
	if (r < 0)
		return r;
	uint64_t size = new.size;
	if (fstat(own, &st) < 0)
		return err_sys(err, errno, "cannot examine the guest memory file");
	if (!S_ISREG(st.st_mode) || (uint64_t)st.st_size < size)
		return err_set(err, EINVAL, "the guest memory file holds %lld octets, %llu are needed",
		               (long long)st.st_size, (unsigned long long)size);
	uint64_t words = (size / PAGE_BYTES + 63) / 64;
	new.dev_dirty = calloc(words, sizeof(uint64_t));
	if (!new.dev_dirty)
		return err_sys(err, ENOMEM, "cannot hold the dirty bitmap of guest memory");
	void *base = mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_NORESERVE, own, 0);
	if (base == MAP_FAILED) {
		r = err_sys(err, errno, "cannot map %llu octets of guest memory", (unsigned long long)size);
		free((void *)new.dev_dirty);
		return r;
	}
	/* neither a core dump nor a forked child has business with the guest's memory */
	madvise(base, size, MADV_DONTDUMP);
	madvise(base, size, MADV_DONTFORK);
	new.fd = steal_fd(&own);
	new.base = base;
	new.n_regions = n;
	*m = new;
	return 0;
}

int guestmem_init(struct guestmem *m, int fd, uint64_t size, struct err *err)
{
	return guestmem_init_regions(m, fd, &(struct guestmem_region){ .bytes = size }, 1, err);
}

void guestmem_done(struct guestmem *m)
{
	if (m->base)
		munmap(m->base, m->size);
	free((void *)m->dev_dirty);
	if (m->base && m->fd >= 0)
		close(m->fd);
	*m = (struct guestmem){ .fd = -1 };
}
