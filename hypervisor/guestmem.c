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

int guestmem_init(struct guestmem *m, int fd, uint64_t size, struct err *err)
{
	_cleanup_close_ int own = fd;
	struct stat st;

	*m = (struct guestmem){ .fd = -1 };
	if (!size || size % PAGE_BYTES || size > SIZE_MAX / 2)
		return err_set(err, EINVAL, "guest memory of %llu octets is not a positive multiple of the page size",
		               (unsigned long long)size);
	if (fstat(own, &st) < 0)
		return err_sys(err, errno, "cannot examine the guest memory file");
	if (!S_ISREG(st.st_mode) || (uint64_t)st.st_size < size)
		return err_set(err, EINVAL, "the guest memory file holds %lld octets, %llu are needed",
		               (long long)st.st_size, (unsigned long long)size);
	uint64_t words = (size / PAGE_BYTES + 63) / 64;
	m->dev_dirty = calloc(words, sizeof(uint64_t));
	if (!m->dev_dirty)
		return err_sys(err, ENOMEM, "cannot hold the dirty bitmap of guest memory");
	void *base = mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_NORESERVE, own, 0);
	if (base == MAP_FAILED) {
		int r = err_sys(err, errno, "cannot map %llu octets of guest memory", (unsigned long long)size);
		guestmem_done(m);
		return r;
	}
	/* neither a core dump nor a forked child has business with the guest's memory */
	(void)madvise(base, size, MADV_DONTDUMP);
	(void)madvise(base, size, MADV_DONTFORK);
	m->fd = steal_fd(&own);
	m->base = base;
	m->size = size;
	return 0;
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
