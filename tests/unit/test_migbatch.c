/* SPDX-License-Identifier: GPL-2.0-or-later */
/* The source's batch builder without sockets: frames are taken as they come and laid out into a copy, as the target does it. */
#include "config.h"
#include "tests/unit/testutil.h"
#include <errno.h>
#include <lz4.h>
#include <pthread.h>
#include <stdatomic.h>
#include "common/util.h"
#include "migrated/io/outbatch.h"

#define PAGES 4096u

static struct rig {
	struct outbatch b;
	struct mig_window win;
	bool wire_bound;
	int send_status;
	/* what came */
	unsigned frames, lz4;
	uint64_t octets; /* as sent */
	struct wire_frame last;
	uint64_t hash[PAGES]; /* what the target has, as the source believes */
	uint64_t got[PAGES];  /* and what it has */
	uint8_t state[2 * BATCH_BYTES];
} g;

static int frame(void *arg, struct wire_frame *f, const void *data, size_t len)
{
	static uint8_t plain[BATCH_BYTES];
	uint64_t page = 0;

	assert_ptr_equal(arg, &g);
	g.frames++;
	g.octets += len;
	g.last = *f;
	if (g.send_status < 0)
		return g.send_status;
	assert_true(f->raw_bytes <= BATCH_BYTES);
	assert_int_equal(f->session, 7);
	assert_int_equal(f->stream, 2);
	if (f->codec == WIRE_CODEC_LZ4) {
		g.lz4++;
		assert_true(len < f->raw_bytes);
		assert_int_equal(LZ4_decompress_safe(data, (char *)plain, (int)len, sizeof(plain)), f->raw_bytes);
		data = plain;
	} else {
		assert_int_equal(len, f->raw_bytes);
	}
	if (f->kind == WIRE_FRAME_STATE) {
		memcpy(g.state + f->offset, data, f->raw_bytes);
		return 0;
	}
	assert_int_equal(wire_runs_check(f, PAGES), 0);
	for (uint32_t i = 0; i < f->n_runs; i++) {
		page += f->runs[2 * i];
		for (uint32_t n = f->runs[2 * i + 1] >> 1; n; n--, page++) {
			bool zero = f->runs[2 * i + 1] & 1;
			g.got[page] = zero ? 0 : outbatch_hash(data);
			data = (const uint8_t *)data + (zero ? 0 : PAGE_BYTES);
		}
	}
	return 0;
}

static bool wire_bound(void *arg)
{
	(void)arg;
	return g.wire_bound;
}

static const struct outbatch_ops ops = { .send = frame, .wire_bound = wire_bound };

static void rig_open(enum out_compress compress)
{
	memset(&g, 0, sizeof(g));
	mig_window_init(&g.win, 16 << 20);
	g.win.octets = g.win.max; /* whole batches */
	assert_int_equal(outbatch_init(&g.b, &ops, &g, &g.win, compress, 7, 2), 0);
}

static void rig_close(void)
{
	outbatch_done(&g.b);
	assert_memory_equal(g.hash, g.got, sizeof(g.hash));
}

static const uint8_t *page_of(uint64_t seed, bool compressible)
{
	static uint64_t p[PAGE_BYTES / 8];

	for (unsigned i = 0; i < PAGE_BYTES / 8; i++) {
		seed = seed * 6364136223846793005ull + 1442695040888963407ull;
		p[i] = compressible ? seed >> 60 : seed;
	}
	return (const uint8_t *)p;
}

static void put(uint64_t page, const uint8_t *src)
{
	assert_int_equal(outbatch_page(&g.b, 0, page, src, &g.hash[page], false), 0);
}

static void put_zero(uint64_t page)
{
	assert_int_equal(outbatch_zero(&g.b, 0, page, &g.hash[page]), 0);
}

static void flush(void)
{
	assert_int_equal(outbatch_flush(&g.b), 0);
}

static void test_zero_pages(void **state)
{
	static const uint8_t zeros[PAGE_BYTES];
	static uint8_t last[PAGE_BYTES] = { [PAGE_BYTES - 1] = 1 };
	(void)state;

	rig_open(OUT_COMPRESS_NONE);
	flush();
	assert_int_equal(g.frames, 0); /* nothing is not a frame */
	put(1, zeros), put_zero(2);
	flush();
	assert_int_equal(g.frames, 0); /* zero there already */
	put(1, page_of(1, false)), put(2, page_of(2, false)), put(3, last);
	flush();
	assert_int_equal(g.last.raw_bytes, 3 * PAGE_BYTES);
	put(1, zeros), put_zero(2), put(4, zeros);
	flush();
	assert_int_equal(g.frames, 2);
	assert_int_equal(g.last.raw_bytes, 0);
	assert_int_equal(g.last.n_runs, 1);
	assert_int_equal(g.last.runs[0], 1);
	assert_int_equal(g.last.runs[1], 2 * 2 + 1);
	assert_int_equal(g.b.n_zero, 5);
	assert_int_equal(g.b.n_data, 3);
	rig_close();
}

static void test_repeated_pages(void **state)
{
	(void)state;
	rig_open(OUT_COMPRESS_NONE);
	for (unsigned round = 0; round < 3; round++) {
		for (uint64_t i = 0; i < 10; i++)
			put(i, page_of(5, false));
		flush();
	}
	assert_int_equal(g.frames, 1);
	assert_int_equal(g.b.n_data, 10);
	assert_int_equal(g.b.n_same, 20);
	/* a stopped guest: the same answer, and nothing is counted */
	assert_int_equal(outbatch_page(&g.b, 0, 3, page_of(5, false), &g.hash[3], true), 0);
	assert_int_equal(g.b.n_same, 20);
	assert_int_equal(outbatch_page(&g.b, 0, 3, page_of(6, false), &g.hash[3], true), 0);
	assert_int_equal(outbatch_page(&g.b, 0, 4, page_of(5, false), &g.hash[4], true), 0);
	flush();
	assert_int_equal(g.b.n_data, 11);
	assert_int_equal(g.frames, 2);
	assert_int_equal(g.last.raw_bytes, PAGE_BYTES);
	rig_close();
}

static void test_limits(void **state)
{
	uint64_t i;
	(void)state;

	rig_open(OUT_COMPRESS_NONE);
	/* octets: the page that fills the batch sends it */
	for (i = 0; i < BATCH_PAGES - 1; i++)
		put(i, page_of(i, false));
	assert_int_equal(g.frames, 0);
	put(i, page_of(i, false));
	assert_int_equal(g.frames, 1);
	assert_int_equal(g.last.raw_bytes, BATCH_BYTES);
	assert_int_equal(g.last.n_runs, 1);
	flush();
	assert_int_equal(g.frames, 1);
	/* runs: as many as a header has room for */
	for (i = 0; i < WIRE_RUNS_MAX; i++)
		g.hash[2 * i] = g.got[2 * i] = 1;
	for (i = 0; i < WIRE_RUNS_MAX - 1; i++)
		put_zero(2 * i);
	assert_int_equal(g.frames, 1);
	put_zero(2 * i);
	assert_int_equal(g.frames, 2);
	assert_int_equal(g.last.n_runs, WIRE_RUNS_MAX);
	/* zeros alone: any number fits into one run */
	for (i = 0; i < PAGES; i++)
		g.hash[i] = g.got[i] = 1;
	for (i = 0; i < PAGES; i++)
		put_zero(i);
	flush();
	assert_int_equal(g.frames, 3);
	/* the window: a page is a frame while answers are slow */
	g.win.octets = MIG_WINDOW_MIN;
	put(0, page_of(1, false)), put(1, page_of(2, false));
	assert_int_equal(g.frames, 5);
	assert_int_equal(g.last.raw_bytes, PAGE_BYTES);
	rig_close();
}

static void test_runs(void **state)
{
	(void)state;
	rig_open(OUT_COMPRESS_NONE);
	g.hash[3] = g.got[3] = g.hash[4] = g.got[4] = 1;
	put(1, page_of(1, false)), put(2, page_of(2, false)), put_zero(3), put_zero(4), put(5, page_of(5, false)),
		put(9, page_of(9, false));
	flush();
	assert_int_equal(g.frames, 1);
	static const uint32_t want[] = { 1, 2 * 2, 0, 2 * 2 + 1, 0, 2, 3, 2 };
	assert_int_equal(g.last.n_runs, 4);
	assert_memory_equal(g.last.runs, want, sizeof(want));
	/* what goes to dense memory has frames of its own */
	put(10, page_of(10, false));
	assert_int_equal(outbatch_dense(&g.b, 512), 0);
	assert_int_equal(g.frames, 2);
	assert_false(g.last.dense);
	put(11, page_of(11, false));
	assert_int_equal(outbatch_dense(&g.b, 512), 0);
	assert_int_equal(g.frames, 2);
	assert_int_equal(outbatch_dense(&g.b, 0), 0);
	assert_int_equal(g.frames, 3);
	assert_true(g.last.dense);
	assert_int_equal(g.last.dense_end, 512);
	rig_close();
}

static void batch_of(uint64_t seed, bool compressible)
{
	for (uint64_t i = 0; i < BATCH_PAGES; i++)
		put(i, page_of(seed * BATCH_PAGES + i + 1, compressible));
}

static void test_compression(void **state)
{
	uint64_t seed = 0;
	(void)state;

	rig_open(OUT_COMPRESS_NONE);
	batch_of(seed++, true);
	assert_int_equal(g.lz4, 0);
	rig_close();

	rig_open(OUT_COMPRESS_LZ4);
	batch_of(seed++, true);
	assert_int_equal(g.lz4, 1);
	assert_true(g.octets < BATCH_BYTES / 2);
	/* what saves less than an eighth goes raw, and after each trial that did not pay twice as many batches go without one, up to 64 */
	for (unsigned skip = 1, n = 0; n < 8; n++, skip = skip < 64 ? 2 * skip : 64) {
		batch_of(seed++, false);
		assert_int_equal(g.last.codec, WIRE_CODEC_RAW);
		for (unsigned i = 0; i < skip; i++)
			batch_of(seed++, true);
		assert_int_equal(g.lz4, 1);
	}
	batch_of(seed++, true); /* the next trial pays: from now on each is one */
	batch_of(seed++, true);
	assert_int_equal(g.lz4, 3);
	batch_of(seed++, false);
	batch_of(seed++, true);
	batch_of(seed++, true);
	assert_int_equal(g.lz4, 4);
	rig_close();

	rig_open(OUT_COMPRESS_AUTO);
	batch_of(seed++, true);
	assert_int_equal(g.lz4, 0);
	g.wire_bound = true;
	batch_of(seed++, true);
	assert_int_equal(g.lz4, 1);
	rig_close();
}

static void test_state(void **state)
{
	static uint8_t blob[2 * BATCH_BYTES];
	(void)state;

	rig_open(OUT_COMPRESS_LZ4);
	for (size_t i = 0; i < sizeof(blob); i++)
		blob[i] = (uint8_t)(i * i >> 3);
	put(1, page_of(1, false));
	flush();
	for (size_t at = 0; at < sizeof(blob); at += BATCH_BYTES) {
		memcpy(g.b.raw, blob + at, BATCH_BYTES);
		assert_int_equal(outbatch_state(&g.b, at, BATCH_BYTES), 0);
		assert_int_equal(g.last.kind, WIRE_FRAME_STATE);
	}
	assert_memory_equal(g.state, blob, sizeof(blob));
	put(2, page_of(2, false)); /* and pages again */
	flush();
	assert_int_equal(g.last.kind, WIRE_FRAME_PAGES);
	assert_int_equal(g.last.offset, 0);
	assert_int_equal(g.frames, 4);
	rig_close();
}

/* What is sent is what was copied, though the guest writes on before the batch goes. */
static void test_written_before_flush(void **state)
{
	static uint8_t page[PAGE_BYTES];
	(void)state;

	rig_open(OUT_COMPRESS_NONE);
	memcpy(page, page_of(1, false), PAGE_BYTES);
	put(1, page);
	memset(page, 0, PAGE_BYTES);
	flush();
	assert_int_equal(g.got[1], g.hash[1]);
	assert_int_equal(g.got[1], outbatch_hash(page_of(1, false)));
	put(1, page);
	flush();
	assert_int_equal(g.got[1], 0);
	rig_close();
}

static struct {
	_Atomic uint64_t page[PAGE_BYTES / 8];
	atomic_bool stop;
} guest;

static void *guest_writes(void *arg)
{
	uint64_t n = 1;

	for (; !atomic_load_explicit(&guest.stop, memory_order_relaxed); n++)
		for (unsigned i = 0; i < PAGE_BYTES / 8; i += 7)
			atomic_store_explicit(&guest.page[i], n % 16 ? n : 0, memory_order_relaxed);
	return arg;
}

/* A page that the guest writes to between one read and the next: the source's belief is what the target got, each time. */
static void test_written_meanwhile(void **state)
{
	pthread_t t;
	(void)state;

#ifdef __SANITIZE_THREAD__
	skip(); /* the race is what it is about */
#endif
	rig_open(OUT_COMPRESS_NONE);
	assert_int_equal(pthread_create(&t, NULL, guest_writes, NULL), 0);
	uint64_t until = now_ns() + NS_PER_S;
	while (g.b.n_data < 20000 && now_ns() < until) {
		put(1, (const uint8_t *)guest.page);
		flush();
		assert_int_equal(g.got[1], g.hash[1]);
	}
	atomic_store(&guest.stop, true);
	assert_int_equal(pthread_join(t, NULL), 0);
	assert_true(g.b.n_data > 10);
	rig_close();
}

/* A frame that could not be sent ends the pass: its status comes back from whatever had it sent. */
static void test_send_fails(void **state)
{
	static const uint8_t zeros[PAGE_BYTES];
	(void)state;

	rig_open(OUT_COMPRESS_NONE);
	g.send_status = -ECANCELED;
	for (uint64_t i = 0; i < BATCH_PAGES - 1; i++)
		put(i, page_of(i + 1, false));
	assert_int_equal(outbatch_page(&g.b, 0, 99, page_of(99, false), &g.hash[99], false), -ECANCELED);
	put(1, page_of(200, false));
	assert_int_equal(outbatch_dense(&g.b, 512), -ECANCELED);
	put(1, zeros);
	assert_int_equal(outbatch_flush(&g.b), -ECANCELED);
	assert_int_equal(outbatch_state(&g.b, 0, 1), -ECANCELED);
	outbatch_done(&g.b);
	outbatch_done(&g.b); /* once more does no harm */
}

int main(void)
{
	const struct CMUnitTest tests[] = { cmocka_unit_test(test_zero_pages),
		                            cmocka_unit_test(test_repeated_pages),
		                            cmocka_unit_test(test_limits),
		                            cmocka_unit_test(test_runs),
		                            cmocka_unit_test(test_compression),
		                            cmocka_unit_test(test_state),
		                            cmocka_unit_test(test_written_before_flush),
		                            cmocka_unit_test(test_written_meanwhile),
		                            cmocka_unit_test(test_send_fails) };

	return cmocka_run_group_tests(tests, NULL, NULL);
}
