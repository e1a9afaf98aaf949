/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The rules that tell which pages may have been written where no write-protection could see it; see
 * docs/adr/0003-tracking-rules.md. Reads the guest kernel's page descriptors and page tables, believes them nothing: a
 * wrong answer costs hashing, a hostile guest loses only pages of its own. Main thread only.
 */
#include "config.h"
#include "hypervisor/pv/track_int.h"

#include <errno.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>
#include "common/util.h"

#define DESCRIPTOR_BYTES     64u /* sizeof(struct page), checked by sane_descriptors() */
#define DESCRIPTORS_PER_PAGE (PAGE_BYTES / DESCRIPTOR_BYTES)
#define IMAGE_BYTES_MAX      (64u << 20) /* of the guest kernel's read-only data that is searched */

/* arch/um/include/asm/pgtable.h: all bits that an entry can have below the address */
#define PTE_PRESENT 0x001u
#define PTE_KNOWN   0x1ffu

bool track_is_mem(const struct track *t, const struct vma *v)
{
	return v->inode == t->inode && v->dev == t->dev && (v->flags & VMA_SHARED);
}

static void set_bits(uint64_t *bits, uint64_t n_pages, uint64_t first, uint64_t end)
{
	if (end > n_pages)
		end = n_pages;
	while (first < end) {
		uint64_t lo = first % 64, n = 64 - lo < end - first ? 64 - lo : end - first;
		bits[first / 64] |= (n == 64 ? ~0ull : (1ull << n) - 1) << lo;
		first += n;
	}
}

void track_mark(const struct track *t, uint64_t *bits, const struct vma *v, uint64_t start, uint64_t end)
{
	if (start < v->start)
		start = v->start;
	if (end > v->end)
		end = v->end;
	if (start < end && track_is_mem(t, v))
		set_bits(bits, t->n_pages, (v->offset + start - v->start) / PAGE_BYTES,
		         (v->offset + end - v->start) / PAGE_BYTES);
}

/* index of the first VMA that ends above @addr */
static size_t vma_above(const struct vma_list *l, uint64_t addr)
{
	size_t lo = 0, hi = l->n;

	while (lo < hi) {
		size_t mid = (lo + hi) / 2;
		if (l->v[mid].end <= addr)
			lo = mid + 1;
		else
			hi = mid;
	}
	return lo;
}

void track_mark_list(const struct track *t, uint64_t *bits, const struct vma_list *l, uint64_t start, uint64_t end)
{
	for (size_t i = vma_above(l, start); i < l->n && l->v[i].start < end; i++)
		track_mark(t, bits, &l->v[i], start, end);
}

void track_mark_gone(const struct track *t, uint64_t *bits, const struct vma_list *was, const struct vma_list *now)
{
	size_t j = 0;

	for (size_t i = 0; i < was->n; i++) {
		const struct vma *p = &was->v[i];
		if (!track_is_mem(t, p))
			continue;
		for (uint64_t pos = p->start; pos < p->end;) {
			while (j < now->n && now->v[j].end <= pos)
				j++;
			const struct vma *c = j < now->n ? &now->v[j] : NULL;
			uint64_t e = p->end;
			bool same = false;
			if (c && c->start > pos) {
				e = c->start < e ? c->start : e;
			} else if (c) {
				e = c->end < e ? c->end : e;
				same = track_is_mem(t, c) &&
				       c->offset + (pos - c->start) == p->offset + (pos - p->start);
			}
			if (!same)
				track_mark(t, bits, p, pos, e);
			pos = e;
		}
	}
}

/* Words of a page that K wrote: one that looks like a page table entry makes the page it points to a candidate. */
static void follow_words(struct track *t, const uint64_t *w)
{
	for (size_t i = 0; i < PAGE_BYTES / 8; i++) {
		uint64_t v = __atomic_load_n(&w[i], __ATOMIC_RELAXED);
		if ((v & PTE_PRESENT) && v < t->m->size && !(v & (PAGE_BYTES - 1) & ~(uint64_t)PTE_KNOWN)) {
			uint64_t p = v / PAGE_BYTES;
			t->cand[p / 64] |= 1ull << (p % 64);
		}
	}
}

/* A page of mem_map: all pages described there. The array need not begin on a page: one descriptor more on either side. */
static void follow_descriptors(struct track *t, uint64_t page)
{
	int64_t first = ((int64_t)(page * PAGE_BYTES) - (int64_t)t->mem_map) / (int64_t)DESCRIPTOR_BYTES - 1;

	set_bits(t->cand, t->n_pages, first > 0 ? (uint64_t)first : 0, (uint64_t)(first + DESCRIPTORS_PER_PAGE + 2));
}

void track_follow_k(struct track *t)
{
	uint64_t map_first = t->mem_map / PAGE_BYTES;
	uint64_t map_end = (t->mem_map + t->n_pages * DESCRIPTOR_BYTES + PAGE_BYTES - 1) / PAGE_BYTES;
	uint64_t copy[PAGE_BYTES / 8];

	for (uint64_t w = 0; w < t->words; w++) {
		uint8_t in[64] = { 0 };
		uint64_t n = t->n_pages - w * 64 < 64 ? t->n_pages - w * 64 : 64;
		if (!t->k_written[w])
			continue;
		/* what is not in memory is swapped out, or a hole that only seems written: looking must not fill it */
		bool known = mincore(t->m->base + w * 64 * PAGE_BYTES, n * PAGE_BYTES, in) == 0;
		for (uint64_t bits = t->k_written[w]; bits; bits &= bits - 1) {
			uint64_t b = (uint64_t)__builtin_ctzll(bits), page = w * 64 + b;
			if (page >= map_first && page < map_end)
				follow_descriptors(t, page);
			else if (known && (in[b] & 1))
				follow_words(t, (const uint64_t *)(t->m->base + page * PAGE_BYTES));
			else if (pread(t->m->fd, copy, sizeof(copy), (off_t)(page * PAGE_BYTES)) == sizeof(copy))
				follow_words(t, copy);
			else
				t->all = true;
		}
	}
}

/* Is this an array of 64-octet page descriptors? _mapcount (at 48) and _refcount (at 52) of most have small values. */
static bool sane_descriptors(const struct track *t)
{
	unsigned good = 0, seen = 0;

	for (uint64_t i = 1; i < t->n_pages; i += t->n_pages / 512 + 1) {
		int32_t c[2];
		memcpy(c, t->m->base + t->mem_map + i * DESCRIPTOR_BYTES + 48, sizeof(c));
		seen++;
		/* a page of another use has a type, near INT_MIN or -128 (6.1: PAGE_TYPE_BASE 0xf0000000) in place of its count */
		good += ((c[0] >= -1 && c[0] < 1 << 20) || (uint32_t)c[0] >= 0xf0000000u) && c[1] >= 0 &&
		        c[1] < 1 << 20;
	}
	return good * 100 > seen * 95;
}

/* The value of exported symbol @name: {value, name, namespace} in __ksymtab, names and table both in @image. */
static int find_in(const uint8_t *image, size_t len, uint64_t base, const char *name, uint64_t *ret)
{
	size_t n = strlen(name) + 1;
	unsigned hits = 0;

	for (const uint8_t *p = image; (p = memmem(p, len - (size_t)(p - image), name, n)); p++) {
		if (p > image && p[-1])
			continue;
		uint64_t at = base + (uint64_t)(p - image), w;
		for (size_t i = 8; i + 8 <= len; i += 8) {
			memcpy(&w, image + i, 8);
			if (w != at)
				continue;
			memcpy(ret, image + i - 8, 8);
			hits++;
		}
	}
	return hits == 1 ? 0 : -ENOENT;
}

static int find_symbol(pid_t k, uint64_t base, uint64_t end, const char *name, uint64_t *ret)
{
	if (end - base > IMAGE_BYTES_MAX || end == base)
		return -ENOENT;
	_cleanup_free_ uint8_t *image = malloc(end - base);
	if (!image)
		return -ENOMEM;
	int r = pt_read(k, base, image, end - base);
	return r ? r : find_in(image, end - base, base, name, ret);
}

int track_find_mem_map(struct track *t, pid_t k, const struct vma_list *l, struct err *err)
{
	uint64_t base = 0, end = 0, data = 0, data_end = 0, sym = 0, array = 0;

	/* the image: the mappings without a gap at the lowest addresses; read-only data is the first that is mapped writable */
	for (size_t i = 0; i < l->n; i++) {
		const struct vma *v = &l->v[i];
		if (!i)
			base = end = v->start;
		if (v->start != end || track_is_mem(t, v) || !(v->flags & VMA_READ))
			break;
		if (!data && (v->flags & VMA_WRITE)) {
			data = v->start;
			data_end = v->end;
		}
		end = v->end;
	}
	int r = find_symbol(k, data, data_end, "mem_map", &sym);
	if (r == -ENOENT)
		r = find_symbol(k, base, end, "mem_map", &sym);
	if (!r)
		r = pt_read(k, sym, &array, sizeof(array));
	if (r == -ENOENT)
		return err_set(err, ENOTSUP, "the guest kernel does not export mem_map, where its pages are described");
	if (r < 0)
		return err_sys(err, -r, "cannot read the guest kernel's data");
	for (size_t i = 0; i < l->n; i++) {
		const struct vma *v = &l->v[i];
		uint64_t need = t->n_pages * DESCRIPTOR_BYTES;
		if (!track_is_mem(t, v) || array < v->start || array >= v->end)
			continue;
		if (v->end - array < need || v->offset + (array - v->start) + need > t->m->size)
			break;
		t->mem_map = v->offset + (array - v->start);
		if (sane_descriptors(t))
			return 0;
		break;
	}
	return err_set(err, ENOTSUP, "the guest kernel describes its pages in an unknown way");
}
