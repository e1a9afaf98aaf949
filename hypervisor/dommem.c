/* SPDX-License-Identifier: GPL-2.0-or-later */
/* The domain's memory file and the dirty bitmap shared with migrated: sealed memfds. Main thread. */
#include "config.h"
#include "hypervisor/domain_int.h"

#include <errno.h>
#include <fcntl.h>
#include <sys/mman.h>
#include <unistd.h>
#define XXH_INLINE_ALL
#include <xxhash.h>
#include "common/util.h"

static int sealed_memfd(const char *name, uint64_t bytes, struct err *err)
{
	_cleanup_close_ int fd = memfd_create(name, MFD_CLOEXEC | MFD_ALLOW_SEALING);

	if (fd < 0 || ftruncate(fd, (off_t)bytes) < 0)
		return err_sys(err, errno, "cannot make %lu MiB of guest memory", (unsigned long)(bytes >> 20));
	/* whoever gets the descriptor cannot pull the memory away from under us */
	if (fcntl(fd, F_ADD_SEALS, F_SEAL_SHRINK | F_SEAL_GROW | F_SEAL_SEAL) < 0)
		return err_sys(err, errno, "cannot seal the guest memory");
	return steal_fd(&fd);
}

int dommem_new(struct domain *d, struct err *err)
{
	struct guestmem_region region[GUESTMEM_REGIONS_MAX];
	unsigned n = d->ops->regions(d->cfg, region);

	guestmem_done(&d->mem);
	int fd = sealed_memfd("hospes-ram", d->cfg->memory_bytes, err);

	return fd < 0 ? fd : guestmem_init_regions(&d->mem, fd, region, n, err);
}

int dommem_bitmap(struct domain *d, struct err *err)
{
	uint64_t bytes = (d->cfg->memory_bytes / PAGE_BYTES + 63) / 64 * 8;

	if (d->bitmap)
		return 0;
	bytes = (bytes + PAGE_BYTES - 1) & ~(uint64_t)(PAGE_BYTES - 1);
	_cleanup_close_ int fd = sealed_memfd("hospes-dirty", bytes, err);
	if (fd < 0)
		return fd;
	void *p = mmap(NULL, bytes, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
	if (p == MAP_FAILED)
		return err_sys(err, errno, "cannot map the dirty bitmap");
	d->bitmap_fd = steal_fd(&fd);
	d->bitmap = p;
	d->bitmap_bytes = bytes;
	return 0;
}

void dommem_done(struct domain *d)
{
	if (d->bitmap)
		munmap(d->bitmap, d->bitmap_bytes);
	if (d->bitmap_fd >= 0)
		close(d->bitmap_fd);
	d->bitmap = NULL;
	d->bitmap_fd = -1;
	guestmem_done(&d->mem);
}

/* xxh3-64 over (page index, content) of every page that is not zero: holes and zero pages are the same memory. */
int dommem_hash(struct domain *d, uint64_t *ret, struct err *err)
{
	static const uint8_t zero[PAGE_BYTES];
	XXH3_state_t *s = XXH3_createState();
	off_t at = 0, end = (off_t)d->mem.size;

	if (!s)
		return err_set(err, ENOMEM, "out of memory");
	XXH3_64bits_reset(s);
	while (at < end) {
		off_t data = lseek(d->mem.fd, at, SEEK_DATA);
		if (data < 0)
			break; /* ENXIO: no more data */
		off_t hole = lseek(d->mem.fd, data, SEEK_HOLE);
		for (at = data; at < hole && at < end; at += PAGE_BYTES) {
			uint64_t page = (uint64_t)at / PAGE_BYTES;
			if (!memcmp(d->mem.base + at, zero, PAGE_BYTES))
				continue;
			XXH3_64bits_update(s, &page, sizeof(page));
			XXH3_64bits_update(s, d->mem.base + at, PAGE_BYTES);
		}
	}
	*ret = XXH3_64bits_digest(s);
	XXH3_freeState(s);
	return 0;
}
