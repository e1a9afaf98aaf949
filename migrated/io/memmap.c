/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Maps guest memory handed over by hvdom: see memmap.h. */
#include "config.h"
#include "migrated/io/memmap.h"
#include <errno.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include "common/util.h"
#include "hypervisor/api/memcheck.h"
#include "migrated/io/hugehelp.h"

static int region_map(struct memmap_region *r, struct err *err)
{
	struct stat st;

	if (fstat(r->fd, &st) < 0 || (uint64_t)st.st_size < r->size)
		return err_set(err, EPROTO, "guest memory %s: descriptor is smaller than the region", r->name);
	r->pages = r->size / PAGE_BYTES;
	r->huge = calloc(1, sizeof(*r->huge) + bitmap_words(r->pages / HUGE_PAGES + 1) * 8);
	if (!r->huge)
		return err_sys(err, ENOMEM, "map guest memory %s", r->name);
	for (unsigned i = 0; i < HUGE_LOCKS; i++)
		pthread_mutex_init(&r->huge->lock[i], NULL);
	/* a huge page shows as one entry only where address and offset agree: take room to choose, give the rest back */
	uint8_t *room = mmap(NULL, r->size + HUGE_BYTES, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
	if (room == MAP_FAILED)
		return err_sys(err, errno, "map guest memory %s", r->name);
	size_t before = -(uintptr_t)room % HUGE_BYTES;
	void *p = mmap(room + before, r->size, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_NORESERVE | MAP_FIXED, r->fd,
	               0);
	if (p == MAP_FAILED) {
		int e = errno;
		munmap(room, r->size + HUGE_BYTES);
		return err_sys(err, e, "map guest memory %s", r->name);
	}
	if (before)
		munmap(room, before);
	munmap(room + before + r->size, HUGE_BYTES - before);
	r->base = p;
	return 0;
}

static int region_check(const struct hv_region *h, const struct hv_map_rep *rep, struct err *err)
{
	uint64_t octets = bitmap_words(h->size_bytes / PAGE_BYTES) * 8;

	if (!h->size_bytes || h->size_bytes % PAGE_BYTES || h->bitmap_offset % 8 ||
	    h->bitmap_offset > rep->bitmap_bytes || octets > rep->bitmap_bytes - h->bitmap_offset)
		return err_set(err, EPROTO, "hvdom describes a region that makes no sense");
	return 0;
}

int memmap_take(struct memmap *m, const void *payload, size_t len, int *fds, size_t n_fds, struct err *err)
{
	struct hv_map_rep rep = { 0 };
	int r;

	*m = (struct memmap){ 0 };
	memcpy(&rep, payload, len < sizeof(rep) ? len : sizeof(rep));
	if (!rep.n_regions || rep.n_regions > MIG_REGIONS_MAX || n_fds != rep.n_regions + 1 ||
	    rep.page_bytes != PAGE_BYTES)
		return err_set(err, EPROTO, "hvdom's map memory reply makes no sense (%u regions, %zu descriptors)",
		               rep.n_regions, n_fds);
	m->n = rep.n_regions;
	for (unsigned i = 0; i < m->n; i++) {
		m->r[i].fd = fds[i];
		fds[i] = -1;
	}
	_cleanup_close_ int bitmap_fd = fds[m->n];
	fds[m->n] = -1;
	r = memcheck_map(bitmap_fd, rep.bitmap_bytes, "the dirty bitmap", err);
	if (r < 0)
		goto fail;
	m->bitmap_bytes = rep.bitmap_bytes;
	void *p = mmap(NULL, rep.bitmap_bytes, PROT_READ | PROT_WRITE, MAP_SHARED, bitmap_fd, 0);
	if (p == MAP_FAILED) {
		r = err_sys(err, errno, "map the dirty bitmap");
		goto fail;
	}
	m->bitmap = p;
	for (unsigned i = 0; i < m->n; i++) {
		r = region_check(&rep.region[i], &rep, err);
		if (r == 0)
			r = memcheck_map(m->r[i].fd, rep.region[i].size_bytes, "the guest's memory", err);
		if (r < 0)
			goto fail;
		m->r[i].size = rep.region[i].size_bytes;
		memcpy(m->r[i].name, rep.region[i].name, sizeof(m->r[i].name));
		m->r[i].name[sizeof(m->r[i].name) - 1] = 0;
		m->r[i].dirty = (uint64_t *)((uint8_t *)m->bitmap + rep.region[i].bitmap_offset);
		r = region_map(&m->r[i], err);
		if (r < 0)
			goto fail;
	}
	return 0;
fail:
	memmap_done(m);
	return r;
}

int memmap_open(struct memmap *m, struct hvcall *hv, struct err *err)
{
	struct hv_map_rep rep;
	int fds[HV_REGIONS_MAX + 1];
	size_t n_fds = HV_REGIONS_MAX + 1;

	*m = (struct memmap){ 0 };
	int r = hvcall(hv, HV_OP_MAP_MEMORY, NULL, 0, NULL, 0, &rep, sizeof(rep), NULL, fds, &n_fds, err);
	if (r < 0)
		return r;
	r = memmap_take(m, &rep, sizeof(rep), fds, n_fds, err);
	for (size_t i = 0; i < n_fds; i++)
		if (fds[i] >= 0)
			close(fds[i]);
	return r;
}

int memmap_of_fd(struct memmap *m, int fd, uint64_t size, struct err *err)
{
	*m = (struct memmap){ .n = 1 };
	m->r[0] = (struct memmap_region){ .fd = fd, .size = size, .name = "ram" };
	int r = region_map(&m->r[0], err);
	if (r < 0)
		memmap_done(m);
	return r;
}

void memmap_done(struct memmap *m)
{
	if (m->bitmap)
		munmap(m->bitmap, m->bitmap_bytes);
	for (unsigned i = 0; i < m->n; i++) {
		if (m->r[i].base)
			munmap(m->r[i].base, m->r[i].size);
		for (unsigned k = 0; m->r[i].huge && k < HUGE_LOCKS; k++)
			pthread_mutex_destroy(&m->r[i].huge->lock[k]);
		free(m->r[i].huge);
		if (m->r[i].fd >= 0)
			close(m->r[i].fd);
	}
	*m = (struct memmap){ 0 };
}

/* Those of pieces @first to @end that nobody has tried; they are of one group. */
static void huge_try(const struct memmap_region *r, uint64_t first, uint64_t end)
{
	_Atomic uint64_t *tried = &r->huge->tried[first / 64];
	pthread_mutex_t *lock = &r->huge->lock[first / HUGE_GROUP % HUGE_LOCKS];

	pthread_mutex_lock(lock);
	while (first < end) {
		uint64_t had = atomic_load(tried), bits = 0, from;
		while (first < end && had >> (first % 64) & 1)
			first++;
		for (from = first; first < end && !(had >> (first % 64) & 1); first++)
			bits |= 1ull << (first % 64);
		if (bits)
			hugehelp_make(r->fd, from * HUGE_BYTES, (first - from) * HUGE_BYTES);
		atomic_fetch_or(tried, bits);
	}
	pthread_mutex_unlock(lock);
}

static bool is_tried(const struct memmap_region *r, uint64_t piece)
{
	return atomic_load(&r->huge->tried[piece / 64]) >> (piece % 64) & 1;
}

void memmap_huge(const struct memmap_region *r, uint64_t page, uint64_t count, uint64_t end)
{
	uint64_t k = page / HUGE_PAGES, to = (page + count - 1) / HUGE_PAGES + 1, all = r->pages / HUGE_PAGES;

	to = to < all ? to : all;
	while (k < to) {
		uint64_t group = (k / HUGE_GROUP + 1) * HUGE_GROUP,
			 ahead = end / HUGE_PAGES > to ? end / HUGE_PAGES : to;
		ahead = ahead < group ? ahead : group;
		ahead = ahead < all ? ahead : all;
		if (!is_tried(r, k))
			huge_try(r, k, ahead);
		k++;
	}
}

static void bits_set(uint64_t *bits, uint64_t from, uint64_t to)
{
	while (from < to && from % 64)
		bits[from / 64] |= 1ull << (from % 64), from++;
	for (; from + 64 <= to; from += 64)
		bits[from / 64] = UINT64_MAX;
	for (; from < to; from++)
		bits[from / 64] |= 1ull << (from % 64);
}

int memmap_present(const struct memmap *m, unsigned i, uint64_t *bits)
{
	const struct memmap_region *r = &m->r[i];
	off_t at = 0, end = (off_t)r->size;

	memset(bits, 0, bitmap_words(r->pages) * 8);
	while (at < end) {
		off_t data = lseek(r->fd, at, SEEK_DATA);
		if (data < 0)
			return errno == ENXIO ? 0 : -errno;
		if (data >= end)
			return 0;
		off_t hole = lseek(r->fd, data, SEEK_HOLE);
		if (hole < 0)
			return -errno;
		if (hole > end)
			hole = end;
		bits_set(bits, (uint64_t)data / PAGE_BYTES, ((uint64_t)hole + PAGE_BYTES - 1) / PAGE_BYTES);
		at = hole;
	}
	return 0;
}
