/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Pages to frames: see outbatch.h. A page is copied into the batch first, and only the copy is looked at. */
#include "config.h"
#include "migrated/io/outbatch.h"
#include <errno.h>
#include <lz4.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>
#ifdef __x86_64__
#include <xxh_x86dispatch.h>
#else
#include <xxhash.h> /* a witness moves no guests, and links the keys that are in the same library */
#endif
#include "common/util.h"

#define SKIP_MAX 64u /* batches sent raw after a trial that did not pay */
#define TIMED    61u /* one page of so many is timed for all; a prime, so that it is not always the first of a huge page */

int outbatch_init(struct outbatch *b, const struct outbatch_ops *ops, void *arg, const struct mig_window *win,
                  enum out_compress compress, uint64_t session, unsigned stream)
{
	b->ops = ops;
	b->arg = arg;
	b->win = win;
	b->compress = compress;
	b->skip_next = 1;
	b->frame.session = session;
	b->frame.stream = stream;
	b->frame.kind = WIRE_FRAME_PAGES;
	b->raw = aligned_alloc(64, BATCH_BYTES);
	b->comp = malloc(BATCH_BYTES);
	return b->raw && b->comp ? 0 : -ENOMEM;
}

void outbatch_done(struct outbatch *b)
{
	free(b->raw);
	free(b->comp);
	b->raw = b->comp = NULL;
}

static bool page_is_zero(const void *page)
{
	const uint64_t *p = page;

	for (unsigned i = 0; i < PAGE_BYTES / 8; i += 8)
		if (p[i] | p[i + 1] | p[i + 2] | p[i + 3] | p[i + 4] | p[i + 5] | p[i + 6] | p[i + 7])
			return false;
	return true;
}

uint64_t outbatch_hash(const void *page)
{
	if (page_is_zero(page))
		return 0;
	uint64_t h = XXH3_64bits(page, PAGE_BYTES);

	return h ? h : 1;
}

/* Compress when asked, or when the wire and not the processor is what this pass waits for. */
static bool lz4_wanted(struct outbatch *b)
{
	if (b->compress == OUT_COMPRESS_NONE || b->frame.raw_bytes < PAGE_BYTES)
		return false;
	if (b->compress == OUT_COMPRESS_AUTO && !b->ops->wire_bound(b->arg))
		return false;
	if (b->skip) {
		b->skip--;
		return false;
	}
	return true;
}

int outbatch_flush(struct outbatch *b)
{
	struct wire_frame *f = &b->frame;
	const uint8_t *data = b->raw;
	size_t len = f->raw_bytes;

	if (!f->n_runs && f->kind == WIRE_FRAME_PAGES)
		return 0;
	f->codec = WIRE_CODEC_RAW;
	if (lz4_wanted(b)) {
		int n = LZ4_compress_fast((const char *)b->raw, (char *)b->comp, (int)len, (int)(len - len / 8), 2);
		if (n > 0) {
			f->codec = WIRE_CODEC_LZ4;
			data = b->comp;
			len = (size_t)n;
			b->skip_next = 1;
		} else {
			b->skip = b->skip_next;
			b->skip_next = b->skip_next * 2 > SKIP_MAX ? SKIP_MAX : b->skip_next * 2;
		}
	}
	int r = b->ops->send(b->arg, f, data, len);
	f->n_runs = 0;
	f->raw_bytes = 0;
	b->run_end = 0;
	return r;
}

int outbatch_dense(struct outbatch *b, uint64_t end)
{
	int r = b->frame.dense != (end > 0) ? outbatch_flush(b) : 0;

	b->frame.dense = end > 0;
	b->frame.dense_end = end;
	return r;
}

/* Note one page; its data, if it has any, is at its place in b->raw already. */
static int add(struct outbatch *b, unsigned region, uint64_t page, bool zero)
{
	struct wire_frame *f = &b->frame;
	uint32_t *last = f->n_runs ? &f->runs[2 * f->n_runs - 1] : NULL;

	f->region = region;
	if (last && page == b->run_end && (*last & 1) == zero) {
		*last += 2;
	} else {
		f->runs[2 * f->n_runs] = (uint32_t)(page - b->run_end);
		f->runs[2 * f->n_runs + 1] = 2u | zero;
		f->n_runs++;
	}
	b->run_end = page + 1;
	if (!zero)
		f->raw_bytes += PAGE_BYTES;
	if (f->raw_bytes + PAGE_BYTES > mig_window_frame(b->win, BATCH_BYTES) || f->n_runs == WIRE_RUNS_MAX)
		return outbatch_flush(b);
	return 0;
}

int outbatch_zero(struct outbatch *b, unsigned region, uint64_t page, uint64_t *hash)
{
	atomic_fetch_add_explicit(&b->n_zero, 1, memory_order_relaxed);
	if (!*hash)
		return 0; /* it is zero there already */
	*hash = 0;
	return add(b, region, page, true);
}

static bool is_timed(struct outbatch *b)
{
	if (b->until_timed--)
		return false;
	b->until_timed = TIMED - 1;
	return true;
}

static void timed(struct outbatch *b, uint64_t begun, uint64_t copied)
{
	atomic_fetch_add_explicit(&b->copy_ns, (copied - begun) * TIMED, memory_order_relaxed);
	atomic_fetch_add_explicit(&b->hash_ns, (now_ns() - copied) * TIMED, memory_order_relaxed);
}

int outbatch_page(struct outbatch *b, unsigned region, uint64_t page, const uint8_t *src, uint64_t *hash, bool still)
{
	uint8_t *copy = b->raw + b->frame.raw_bytes;
	bool clocked = is_timed(b);
	uint64_t begun = clocked ? now_ns() : 0, copied = begun;

	if (still && *hash) { /* no copy needed to look */
		bool same = outbatch_hash(src) == *hash;
		if (clocked)
			timed(b, begun, begun);
		if (same)
			return 0;
		begun = clocked ? now_ns() : 0;
	}
	memcpy(copy, src, PAGE_BYTES);
	if (clocked)
		copied = now_ns();
	uint64_t h = outbatch_hash(copy);
	if (clocked)
		timed(b, begun, copied);
	if (!h)
		return outbatch_zero(b, region, page, hash);
	if (h == *hash) {
		atomic_fetch_add_explicit(&b->n_same, 1, memory_order_relaxed);
		return 0;
	}
	*hash = h;
	atomic_fetch_add_explicit(&b->n_data, 1, memory_order_relaxed);
	return add(b, region, page, false);
}

int outbatch_state(struct outbatch *b, uint64_t offset, size_t len)
{
	b->frame.kind = WIRE_FRAME_STATE;
	b->frame.dense = false;
	b->frame.dense_end = 0;
	b->frame.offset = offset;
	b->frame.raw_bytes = (uint32_t)len;
	int r = outbatch_flush(b);
	b->frame.kind = WIRE_FRAME_PAGES;
	b->frame.offset = 0;
	return r;
}
