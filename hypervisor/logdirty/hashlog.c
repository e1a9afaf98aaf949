/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Page hashes: see hashlog.h. A stored value is 0 for a page of zeros (or a hole, or a page never stored), 1 for "not
 * known", else the hash. Two different contents share a hash once in 2^64 pairs. Main thread only.
 */
#include "config.h"
#include "hypervisor/logdirty/hashlog.h"

#include <errno.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <unistd.h>
#include <xxh_x86dispatch.h>
#include "common/util.h"

#define STORED_ZERO    0u
#define STORED_UNKNOWN 1u

/* Called for [@first, @first + @n), which lies in one chunk and is all data or all hole. 0 or -errno. */
typedef int seg_fn(struct hashlog *h, uint64_t first, uint64_t n, bool hole, void *arg);

int hashlog_init(struct hashlog *h, const struct guestmem *m, struct err *err)
{
	static const uint8_t zeros[PAGE_BYTES];
	uint64_t pages = m->size / PAGE_BYTES, chunks = (pages + HASHLOG_CHUNK_PAGES - 1) / HASHLOG_CHUNK_PAGES;

	*h = (struct hashlog){ .m = m, .n_chunks = chunks, .n_pages = pages };
	h->zero_hash = XXH3_64bits(zeros, sizeof(zeros));
	h->chunk = calloc(chunks, sizeof(*h->chunk));
	return h->chunk ? 0 : err_set(err, ENOMEM, "no memory for the hash table of guest memory");
}

void hashlog_done(struct hashlog *h)
{
	for (uint64_t i = 0; h->chunk && i < h->n_chunks; i++)
		free(h->chunk[i]);
	free(h->chunk);
	*h = (struct hashlog){ 0 };
}

static uint64_t *chunk_of(struct hashlog *h, uint64_t page)
{
	uint64_t **c = &h->chunk[page / HASHLOG_CHUNK_PAGES];

	if (!*c)
		*c = calloc(HASHLOG_CHUNK_PAGES, sizeof(**c));
	return *c;
}

static int do_chunks(struct hashlog *h, uint64_t first, uint64_t end, bool hole, seg_fn *fn, void *arg)
{
	while (first < end) {
		uint64_t n = HASHLOG_CHUNK_PAGES - first % HASHLOG_CHUNK_PAGES;
		if (n > end - first)
			n = end - first;
		int r = fn(h, first, n, hole, arg);
		if (r < 0)
			return r;
		first += n;
	}
	return 0;
}

/*
 * The same for a few pages, where lseek(SEEK_HOLE) would walk over all data that follows: mincore() tells which pages are
 * in memory, and only for the others lseek(SEEK_DATA), which is quick, decides between a hole and swapped-out data.
 */
static int do_run(struct hashlog *h, uint64_t first, uint64_t end, seg_fn *fn, void *arg)
{
	uint8_t in[HASHLOG_CHUNK_PAGES];

	while (first < end) {
		uint64_t n = HASHLOG_CHUNK_PAGES - first % HASHLOG_CHUNK_PAGES, i = 0;
		if (n > end - first)
			n = end - first;
		if (mincore(h->m->base + first * PAGE_BYTES, n * PAGE_BYTES, in) < 0)
			return -errno;
		while (i < n) {
			uint64_t from = i;
			bool hole = false;
			if (in[i] & 1) {
				while (i < n && (in[i] & 1))
					i++;
			} else {
				off_t d = lseek(h->m->fd, (off_t)((first + i) * PAGE_BYTES), SEEK_DATA);
				if (d < 0 && errno != ENXIO)
					return -errno;
				uint64_t data = d < 0 ? first + n : (uint64_t)d / PAGE_BYTES;
				hole = data > first + i;
				i = !hole ? i + 1 : data < first + n ? data - first : n;
			}
			int r = fn(h, first + from, i - from, hole, arg);
			if (r < 0)
				return r;
		}
		first += n;
	}
	return 0;
}

/* Cut [first, end) into data and holes. Offsets given to lseek are absolute: whoever shares the open file is not disturbed. */
static int do_range(struct hashlog *h, uint64_t first, uint64_t end, seg_fn *fn, void *arg)
{
	while (first < end) {
		off_t d = lseek(h->m->fd, (off_t)(first * PAGE_BYTES), SEEK_DATA);
		if (d < 0 && errno != ENXIO)
			return -errno;
		uint64_t data = d < 0 ? end : (uint64_t)d / PAGE_BYTES;
		if (data > end)
			data = end;
		int r = do_chunks(h, first, data, true, fn, arg);
		if (r < 0)
			return r;
		if (data == end)
			return 0;
		off_t o = lseek(h->m->fd, d, SEEK_HOLE);
		if (o < 0)
			return -errno;
		first = ((uint64_t)o + PAGE_BYTES - 1) / PAGE_BYTES;
		if (first > end)
			first = end;
		/* a hole was made under us at this very place: what was data a moment ago counts as data */
		if (first == data)
			first++;
		r = do_chunks(h, data, first, false, fn, arg);
		if (r < 0)
			return r;
	}
	return 0;
}

/* First page >= @from whose bit is @value; @n_pages when there is none. */
static uint64_t find_bit(const uint64_t *bits, uint64_t n_pages, uint64_t from, bool value)
{
	while (from < n_pages) {
		uint64_t w = (value ? bits[from / 64] : ~bits[from / 64]) >> (from % 64);
		if (w) {
			from += (uint64_t)__builtin_ctzll(w);
			return from < n_pages ? from : n_pages;
		}
		from = (from / 64 + 1) * 64;
	}
	return n_pages;
}

static int for_wanted(struct hashlog *h, const uint64_t *want, seg_fn *fn, void *arg, struct err *err)
{
	int r = 0;

	if (!want)
		r = do_range(h, 0, h->n_pages, fn, arg);
	for (uint64_t a = 0, b; want && !r; a = b) {
		a = find_bit(want, h->n_pages, a, true);
		if (a == h->n_pages)
			break;
		b = find_bit(want, h->n_pages, a, false);
		r = do_run(h, a, b, fn, arg);
	}
	return r ? err_sys(err, -r, "cannot examine guest memory") : 0;
}

static uint64_t hash_page(const struct hashlog *h, uint64_t page)
{
	uint64_t v = XXH3_64bits(h->m->base + page * PAGE_BYTES, PAGE_BYTES);

	if (v == h->zero_hash)
		return STORED_ZERO;
	return v > STORED_UNKNOWN ? v : v + 2;
}

struct compare {
	uint64_t *dirty;
	bool store;
};

static int compare_seg(struct hashlog *h, uint64_t first, uint64_t n, bool hole, void *arg)
{
	const struct compare *c = arg;
	uint64_t *t = h->chunk[first / HASHLOG_CHUNK_PAGES];

	if (hole && !t)
		return 0;
	for (uint64_t p = first; p < first + n; p++) {
		uint64_t now = hole ? STORED_ZERO : hash_page(h, p);
		if (now == (t ? t[p % HASHLOG_CHUNK_PAGES] : STORED_ZERO))
			continue;
		c->dirty[p / 64] |= 1ull << (p % 64);
		if (!c->store)
			continue;
		t = chunk_of(h, p);
		if (!t)
			return -ENOMEM;
		t[p % HASHLOG_CHUNK_PAGES] = now;
	}
	return 0;
}

int hashlog_compare(struct hashlog *h, const uint64_t *want, bool store, uint64_t *dirty, struct err *err)
{
	struct compare c = { .dirty = dirty, .store = store };

	return for_wanted(h, want, compare_seg, &c, err);
}

static int store_seg(struct hashlog *h, uint64_t first, uint64_t n, bool hole, void *arg)
{
	(void)arg;
	uint64_t *t = h->chunk[first / HASHLOG_CHUNK_PAGES];

	if (hole && !t)
		return 0;
	t = chunk_of(h, first);
	if (!t)
		return -ENOMEM;
	for (uint64_t p = first; p < first + n; p++)
		t[p % HASHLOG_CHUNK_PAGES] = hole ? STORED_ZERO : hash_page(h, p);
	return 0;
}

int hashlog_store(struct hashlog *h, const uint64_t *want, struct err *err)
{
	return for_wanted(h, want, store_seg, NULL, err);
}

int hashlog_forget(struct hashlog *h, const uint64_t *want, struct err *err)
{
	for (uint64_t p = 0; (p = find_bit(want, h->n_pages, p, true)) < h->n_pages; p++) {
		uint64_t *t = chunk_of(h, p);
		if (!t)
			return err_set(err, ENOMEM, "no memory for the hash table of guest memory");
		t[p % HASHLOG_CHUNK_PAGES] = STORED_UNKNOWN;
	}
	return 0;
}

static int drop_seg(struct hashlog *h, uint64_t first, uint64_t n, bool hole, void *arg)
{
	uint64_t *dirty = arg;
	const uint64_t *t = h->chunk[first / HASHLOG_CHUNK_PAGES];

	for (uint64_t p = first; hole && p < first + n; p++)
		if (!t || t[p % HASHLOG_CHUNK_PAGES] == STORED_ZERO)
			dirty[p / 64] &= ~(1ull << (p % 64));
	return 0;
}

int hashlog_drop_holes(struct hashlog *h, uint64_t *dirty, struct err *err)
{
	return for_wanted(h, dirty, drop_seg, dirty, err);
}

static int data_seg(struct hashlog *h, uint64_t first, uint64_t n, bool hole, void *arg)
{
	uint64_t *bits = arg;

	(void)h;
	for (uint64_t p = first; !hole && p < first + n; p++)
		bits[p / 64] |= 1ull << (p % 64);
	return 0;
}

int hashlog_data(const struct hashlog *h, uint64_t *bits, struct err *err)
{
	return for_wanted((struct hashlog *)(uintptr_t)h, NULL, data_seg, bits, err);
}
