/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Source data plane: see outpipe.h. Work is handed out in chunks by an atomic cursor; each page of a pass is handled by exactly
 * one worker, so the hash table needs no lock. outbatch.c makes frames of pages; here they are sealed, paced and sent.
 */
#include "config.h"
#include "migrated/io/outpipe_int.h"
#include "migrated/io/congestion.h"
#include <errno.h>
#include <string.h>
#include <sys/mman.h>
#include <time.h>
#include <unistd.h>
#include <zmq.h>
#include "common/util.h"
#include "migrated/io/priv.h"

#define CHUNK_WORDS  (HUGE_PAGES / 64) /* handed out at a time */
#define SEND_WAIT_MS 50
#define GONE_NS      (NS_PER_S / 5)  /* in which threads end that nothing holds */
#define STALL_NS     (15 * NS_PER_S) /* nothing acknowledged for so long: the data connection is broken */

struct out_note {
	struct outpipe *p;
	uint32_t epoch;
	enum { NOTE_PASS, NOTE_STATE, NOTE_FAILED } what;
	uint64_t busy_ns;
	struct out_stats st;
};

static void unref(struct outpipe *p)
{
	if (atomic_fetch_sub(&p->refs, 1) > 1)
		return;
	pthread_mutex_destroy(&p->lock);
	pthread_cond_destroy(&p->cond);
	pthread_cond_destroy(&p->gone);
	free(p->endpoint);
	free(p);
}

static void note_run(void *arg)
{
	struct out_note *n = arg;
	struct outpipe *p = n->p;

	if (n->epoch == atomic_load(&p->epoch)) {
		if (n->what == NOTE_PASS)
			p->cfg.pass_done(p->cfg.arg, &n->st, n->busy_ns);
		else if (n->what == NOTE_STATE)
			p->cfg.state_sent(p->cfg.arg);
		else
			p->cfg.failed(p->cfg.arg, &p->err);
	}
	free(n);
	unref(p);
}

static void note_post(struct outpipe *p, int what, const struct out_stats *st, uint64_t busy_ns)
{
	struct out_note *n = calloc(1, sizeof(*n));

	if (!n)
		return; /* the silence limit of the state machine ends the migration */
	n->p = p;
	n->epoch = atomic_load(&p->epoch);
	n->what = what;
	n->busy_ns = busy_ns;
	if (st)
		n->st = *st;
	atomic_fetch_add(&p->refs, 1);
	if (loop_post(p->cfg.loop, note_run, n) < 0) {
		free(n);
		unref(p);
	}
}

static void spent(_Atomic uint64_t *sum, uint64_t ns)
{
	atomic_fetch_add_explicit(sum, ns, memory_order_relaxed);
}

static void waited(struct out_worker *w, uint64_t ns)
{
	w->wait_ns += ns;
	spent(&w->waited_ns, ns);
}

static int worker_fail(struct out_worker *w, int code, const char *what)
{
	struct outpipe *p = w->p;

	pthread_mutex_lock(&p->lock);
	bool first = !p->failed;
	p->failed = true;
	if (first)
		(void)err_sys(&p->err, code, "sending guest memory: %s", what);
	pthread_mutex_unlock(&p->lock);
	if (first)
		note_post(p, NOTE_FAILED, NULL, 0);
	return -EIO;
}

static bool stopping(struct out_worker *w)
{
	return atomic_load_explicit(&w->p->stop, memory_order_relaxed);
}

/* Take in acknowledgements; wait up to @wait_ms for one when @wait_ms > 0. */
static int credits(struct out_worker *w, int wait_ms)
{
	if (wait_ms > 0) {
		zmq_pollitem_t it = { .socket = w->sock, .events = ZMQ_POLLIN };
		uint64_t t = now_ns();
		if (zmq_poll(&it, 1, wait_ms) == 0)
			w->stalled_ns += (uint64_t)wait_ms * NS_PER_MS;
		waited(w, now_ns() - t);
	}
	for (;;) {
		uint8_t msg[256];
		struct wire_credit c;
		int n = zmq_recv(w->sock, msg, sizeof(msg), ZMQ_DONTWAIT);
		if (n < 0)
			return 0;
		if ((size_t)n > sizeof(msg) || wire_credit_unpack(msg, (size_t)n, &c) < 0 ||
		    c.session != w->p->cfg.session)
			continue;
		if (c.stream != w->stream || c.octets > w->sent || c.octets < w->acked)
			return worker_fail(w, EPROTO, "the target acknowledged what was not sent");
		w->acked = c.octets;
		if (c.work_ns > w->work_ns)
			w->work_ns = c.work_ns;
		mig_window_acked(&w->win, w->acked, now_ns());
		w->stalled_ns = 0;
	}
}

/*
 * Wait for acknowledgements; a connection that carries none for long is broken, whatever the pings say. What counts is how long was waited
 * with nothing there, not what a clock says: a thread that got no CPU, or was held back by the bandwidth, has not looked.
 */
static int credits_wait(struct out_worker *w)
{
	if (stopping(w))
		return -ECANCELED;
	if (w->stalled_ns > STALL_NS)
		return worker_fail(w, ETIMEDOUT, "the target acknowledges nothing");
	return credits(w, SEND_WAIT_MS);
}

static int pace(struct out_worker *w, uint64_t octets)
{
	struct outpipe *p = w->p;

	if (!p->cfg.bandwidth_bps)
		return 0;
	pthread_mutex_lock(&p->lock);
	uint64_t wait = mig_bucket_take(&p->bucket, octets, now_ns());
	pthread_mutex_unlock(&p->lock);
	waited(w, wait);
	while (wait) { /* acknowledgements are timed: they are taken as they come */
		uint64_t step = wait > SEND_WAIT_MS * NS_PER_MS ? SEND_WAIT_MS * NS_PER_MS : wait, t = now_ns();
		zmq_pollitem_t it = { .socket = w->sock, .events = ZMQ_POLLIN };
		struct timespec ts = { .tv_sec = 0, .tv_nsec = (long)step };
		if (step < NS_PER_MS)
			nanosleep(&ts, NULL);
		else
			(void)zmq_poll(&it, 1, (long)(step / NS_PER_MS));
		int r = credits(w, 0);
		if (r < 0)
			return r;
		t = now_ns() - t;
		wait -= t < wait ? t : wait;
		if (stopping(w))
			return -ECANCELED;
	}
	return 0;
}

static int send_part(struct out_worker *w, zmq_msg_t *m, int flags)
{
	while (zmq_msg_send(m, w->sock, flags) < 0) {
		if (errno != EAGAIN && errno != EINTR)
			return worker_fail(w, errno, "socket");
		if (stopping(w))
			return -ECANCELED;
		if (w->stalled_ns > STALL_NS)
			return worker_fail(w, ETIMEDOUT, "the data connection takes nothing");
		w->stalled_ns += SEND_WAIT_MS * NS_PER_MS;
		waited(w, SEND_WAIT_MS * NS_PER_MS);
	}
	return 0;
}

/* Seal @len octets as the payload of @f and send both parts. */
static int frame_send(void *arg, struct wire_frame *f, const void *data, size_t len)
{
	struct out_worker *w = arg;
	struct outpipe *p = w->p;
	zmq_msg_t hdr, body;

	f->seq = w->seq;
	buf_reset(&w->hdr);
	if (wire_frame_pack(f, &w->hdr) < 0)
		return worker_fail(w, ENOMEM, "frame header");
	if (w->sent == w->acked)
		w->stalled_ns = 0;
	while (w->sent != w->acked && w->sent - w->acked + len > w->win.octets) {
		int r = credits_wait(w);
		if (r < 0)
			return r;
	}
	int r = pace(w, len + w->hdr.len);
	if (r < 0)
		return r;
	if (zmq_msg_init_size(&body, len + WIRE_TAG_BYTES) < 0)
		return worker_fail(w, ENOMEM, "frame");
	if (zmq_msg_init_size(&hdr, w->hdr.len) < 0) {
		zmq_msg_close(&body);
		return worker_fail(w, ENOMEM, "frame header");
	}
	memcpy(zmq_msg_data(&hdr), w->hdr.data, w->hdr.len);
	uint64_t begun = now_ns();
	r = seal_make(&w->seal, w->stream, w->seq, w->hdr.data, w->hdr.len, data, len, zmq_msg_data(&body));
	uint64_t sealed = now_ns();
	spent(&w->seal_ns, sealed - begun);
	if (r < 0)
		r = worker_fail(w, -r, "seal");
	if (r == 0)
		r = send_part(w, &hdr, ZMQ_SNDMORE);
	if (r == 0)
		r = send_part(w, &body, 0);
	zmq_msg_close(&hdr);
	zmq_msg_close(&body);
	if (r < 0)
		return r;
	uint64_t now = now_ns();
	spent(&w->send_ns, now - sealed);
	w->seq++;
	w->sent += len;
	mig_window_sent(&w->win, w->sent, w->acked, now);
	atomic_fetch_add_explicit(&p->n_octets, len + w->hdr.len + WIRE_TAG_BYTES, memory_order_relaxed);
	atomic_fetch_add_explicit(&p->n_raw, f->raw_bytes, memory_order_relaxed);
	return credits(w, 0);
}

/* A target that is busy with what it has is no slow wire: compressed pages would keep it, and this host, busy for longer. */
static bool wire_bound(void *arg)
{
	const struct out_worker *w = arg;
	uint64_t passed = now_ns() - w->pass_start_ns;

	return w->wait_ns >= passed / 3 && w->work_ns - w->pass_work_ns < passed / 2;
}

static const struct outbatch_ops batch_ops = { .send = frame_send, .wire_bound = wire_bound };

/* Allocated, but for all that a few samples say it is zeros, which are not sent and take no memory of the target. */
static bool looks_empty(const struct memmap_region *r, uint64_t word)
{
	static const uint64_t none[8];

	for (unsigned i = 0; i < 4; i++)
		if (memcmp(r->base + (word * 64 + i * HUGE_PAGES / 4) * PAGE_BYTES, none, sizeof(none)))
			return false;
	return true;
}

/*
 * The chunk at @word is dense: which is the first page after it that is not? Not beyond the group that the target makes huge at once, for its
 * memory is zeroed then, and others wait.
 */
static uint64_t dense_end(struct out_worker *w, unsigned region, uint64_t word)
{
	const struct outpipe *p = w->p;
	uint64_t next = word + CHUNK_WORDS, words = p->cfg.mem->r[region].pages / 64,
		 group = (word / (CHUNK_WORDS * HUGE_GROUP) + 1) * CHUNK_WORDS * HUGE_GROUP;

	if (w->dense_region == region && next * 64 <= w->dense_end && word >= w->dense_from)
		return w->dense_end;
	for (; next + CHUNK_WORDS <= words && next < group; next += CHUNK_WORDS) {
		bool whole = true;
		for (uint64_t k = next; k < next + CHUNK_WORDS && whole; k++)
			whole = p->present[region][k] == UINT64_MAX;
		if (!whole || looks_empty(&p->cfg.mem->r[region], next))
			break;
	}
	w->dense_region = region;
	w->dense_from = word;
	w->dense_end = next * 64;
	return w->dense_end;
}

static int chunk(struct out_worker *w, unsigned region, uint64_t word)
{
	struct outpipe *p = w->p;
	uint64_t words = bitmap_words(p->cfg.mem->r[region].pages),
		 end = word + CHUNK_WORDS < words ? word + CHUNK_WORDS : words;
	bool last = p->pass_kind == MIG_PASS_FINAL, whole = end - word == CHUNK_WORDS;

	/* the first look at memory without holes: map it at once instead of by faults, and let the target do likewise */
	for (uint64_t k = word; k < end && whole; k++)
		whole = p->present[region][k] == UINT64_MAX;
	whole = whole && p->round == 1 && !last;
	int r = outbatch_dense(&w->batch, whole ? dense_end(w, region, word) : 0);
	if (whole && r == 0) {
		uint64_t begun = now_ns();
		madvise(p->cfg.mem->r[region].base + word * 64 * PAGE_BYTES, CHUNK_WORDS * 64 * PAGE_BYTES,
		        MADV_POPULATE_READ);
		spent(&w->populate_ns, now_ns() - begun);
	}

	for (; word < end && r == 0; word++) {
		uint64_t here = p->present[region][word], want = p->pending[region][word];
		if (p->hash_all)
			want |= here;
		if (last) { /* what became a hole since it was sent */
			uint64_t n = p->cfg.mem->r[region].pages - word * 64;
			for (unsigned b = 0; b < 64 && b < n; b++)
				if (!(here >> b & 1) && p->hash[region][word * 64 + b])
					want |= 1ull << b;
		}
		p->pending[region][word] = 0;
		while (want && r == 0) {
			unsigned b = (unsigned)__builtin_ctzll(want);
			want &= want - 1;
			uint64_t page = word * 64 + b, *hash = &p->hash[region][page];
			if (here >> b & 1)
				r = outbatch_page(&w->batch, region, page,
				                  p->cfg.mem->r[region].base + page * PAGE_BYTES, hash, p->hash_all);
			else
				r = outbatch_zero(&w->batch, region, page, hash);
		}
	}
	return r;
}

static int state_piece(struct out_worker *w, uint64_t piece)
{
	struct outpipe *p = w->p;
	uint64_t at = piece * BATCH_BYTES, len = p->state_size - at < BATCH_BYTES ? p->state_size - at : BATCH_BYTES;

	int r = outbatch_flush(&w->batch);
	for (uint64_t got = 0; got < len && r == 0;) {
		uint64_t some = mig_window_frame(&w->win, len - got);
		ssize_t n = pread(p->state_fd, w->batch.raw, some, (off_t)(at + got));
		if (n <= 0)
			return worker_fail(w, n < 0 ? errno : ENODATA, "reading the state");
		r = outbatch_state(&w->batch, at + got, (size_t)n);
		got += (uint64_t)n;
	}
	return r;
}

/* Pieces of the state blob, if one waits. */
static int state_work(struct out_worker *w)
{
	struct outpipe *p = w->p;

	for (;;) {
		pthread_mutex_lock(&p->lock);
		uint64_t pieces = p->state_fd >= 0 ? (p->state_size + BATCH_BYTES - 1) / BATCH_BYTES : 0;
		pthread_mutex_unlock(&p->lock);
		if (atomic_load(&p->state_cursor) >= pieces)
			return 0;
		uint64_t mine = atomic_fetch_add(&p->state_cursor, 1);
		if (mine >= pieces)
			return 0;
		int r = state_piece(w, mine);
		if (r < 0)
			return r;
		pthread_mutex_lock(&p->lock);
		bool over = --p->state_left == 0;
		pthread_mutex_unlock(&p->lock);
		if (over)
			note_post(p, NOTE_STATE, NULL, 0);
	}
}

static int prepare(struct outpipe *p)
{
	for (unsigned i = 0; i < p->cfg.mem->n; i++) {
		int r = memmap_present(p->cfg.mem, i, p->present[i]);
		if (r < 0)
			return r;
	}
	return 0;
}

/* The first worker that comes finds out where holes are; the others wait for it. */
static int pass_prepare(struct out_worker *w)
{
	struct outpipe *p = w->p;
	int r = 0;

	pthread_mutex_lock(&p->lock);
	if (!p->prep_taken) {
		p->prep_taken = true;
		pthread_mutex_unlock(&p->lock);
		r = prepare(p);
		pthread_mutex_lock(&p->lock);
		p->prep_done = true;
		pthread_cond_broadcast(&p->cond);
	}
	while (!p->prep_done && !p->quit)
		pthread_cond_wait(&p->cond, &p->lock);
	pthread_mutex_unlock(&p->lock);
	return r < 0 ? worker_fail(w, -r, "looking for holes") : 0;
}

static int pass_chunks(struct out_worker *w)
{
	struct outpipe *p = w->p;
	unsigned region = 0;

	for (;;) {
		uint64_t c = atomic_fetch_add(&p->cursor, 1);
		if (c >= p->chunk_first[p->cfg.mem->n])
			return outbatch_flush(&w->batch);
		while (c >= p->chunk_first[region + 1]) {
			int r = outbatch_flush(&w->batch);
			if (r < 0)
				return r;
			region++;
		}
		int r = chunk(w, region, (c - p->chunk_first[region]) * CHUNK_WORDS);
		if (r == 0)
			r = state_work(w);
		if (r < 0)
			return r;
		if (stopping(w))
			return -ECANCELED;
	}
}

static int pass_work(struct out_worker *w)
{
	struct outpipe *p = w->p;

	w->wait_ns = 0;
	w->dense_end = 0;
	w->pass_start_ns = now_ns();
	w->pass_work_ns = w->work_ns;
	int r = pass_prepare(w);
	if (r == 0)
		r = pass_chunks(w);
	/* a page of the next round must not overtake this one's */
	while (r == 0 && p->pass_kind == MIG_PASS_LIVE && w->acked < w->sent)
		r = credits_wait(w);
	if (r < 0)
		return r;
	pthread_mutex_lock(&p->lock);
	bool over = --p->pass_left == 0;
	struct out_stats st, from = p->pass_from;
	uint64_t busy = now_ns() - p->pass_start_ns;
	pthread_mutex_unlock(&p->lock);
	if (!over)
		return 0;
	outpipe_stats(p, &st);
	st.pages_data -= from.pages_data;
	st.pages_zero -= from.pages_zero;
	st.pages_same -= from.pages_same;
	st.octets -= from.octets;
	st.raw_octets -= from.raw_octets;
	note_post(p, NOTE_PASS, &st, busy);
	return 0;
}

static int worker_socket(struct out_worker *w)
{
	int hwm = 16, zero = 0, sndtimeo = SEND_WAIT_MS, buf = 4 << 20, ivl = 100, tos = CONGESTION_TOS_BULK;

	w->sock = zmq_socket(w->p->cfg.zmq, ZMQ_DEALER);
	if (!w->sock)
		return worker_fail(w, errno, "socket");
	if (zmq_setsockopt(w->sock, ZMQ_SNDHWM, &hwm, sizeof(hwm)) < 0 ||
	    zmq_setsockopt(w->sock, ZMQ_LINGER, &zero, sizeof(zero)) < 0 ||
	    zmq_setsockopt(w->sock, ZMQ_SNDTIMEO, &sndtimeo, sizeof(sndtimeo)) < 0 ||
	    zmq_setsockopt(w->sock, ZMQ_SNDBUF, &buf, sizeof(buf)) < 0 ||
	    zmq_setsockopt(w->sock, ZMQ_TOS, &tos, sizeof(tos)) < 0 ||
	    zmq_setsockopt(w->sock, ZMQ_RECONNECT_IVL, &ivl, sizeof(ivl)) < 0)
		return worker_fail(w, errno, "socket");
	return zmq_connect(w->sock, w->p->endpoint) < 0 ? worker_fail(w, errno, "connecting the data socket") : 0;
}

/* No thread uses it. */
static void contents_done(struct outpipe *p)
{
	for (unsigned i = 0; i < p->n_workers; i++) {
		struct out_worker *w = &p->w[i];
		seal_done(&w->seal);
		outbatch_done(&w->batch);
		buf_done(&w->hdr);
	}
	for (unsigned i = 0; i < MIG_REGIONS_MAX; i++) {
		free(p->pending[i]);
		free(p->present[i]);
		free(p->hash[i]);
	}
}

static void worker_ends(struct outpipe *p)
{
	pthread_mutex_lock(&p->lock);
	bool last = !--p->alive, over = last && p->left;
	if (last)
		pthread_cond_signal(&p->gone);
	pthread_mutex_unlock(&p->lock);
	if (!over)
		return;
	contents_done(p);
	memmap_done(&p->mem);
	if (p->left_state_fd >= 0)
		close(p->left_state_fd);
	unref(p);
}

static void *worker_main(void *arg)
{
	struct out_worker *w = arg;
	struct outpipe *p = w->p;

	priv_none();
	int r = worker_socket(w);

	while (r == 0) {
		pthread_mutex_lock(&p->lock);
		uint64_t pieces = 0;
		while (!p->quit && !p->failed && w->pass_seen == p->pass_id) {
			pieces = p->state_fd >= 0 ? (p->state_size + BATCH_BYTES - 1) / BATCH_BYTES : 0;
			if (atomic_load(&p->state_cursor) < pieces)
				break;
			pthread_cond_wait(&p->cond, &p->lock);
		}
		bool quit = p->quit || p->failed, pass = w->pass_seen != p->pass_id;
		w->pass_seen = p->pass_id;
		pthread_mutex_unlock(&p->lock);
		if (quit)
			break;
		if (pass)
			r = pass_work(w);
		if (r == 0)
			r = state_work(w);
	}
	if (w->sock)
		zmq_close(w->sock);
	worker_ends(p);
	return NULL;
}

static int alloc_tables(struct outpipe *p)
{
	const struct memmap *m = p->cfg.mem;

	for (unsigned i = 0; i < m->n; i++) {
		uint64_t words = bitmap_words(m->r[i].pages);
		p->pending[i] = calloc(words, 8);
		p->present[i] = calloc(words, 8);
		p->hash[i] = calloc(words * 64, 8);
		if (!p->pending[i] || !p->present[i] || !p->hash[i])
			return -ENOMEM;
		p->chunk_first[i + 1] = p->chunk_first[i] + (words + CHUNK_WORDS - 1) / CHUNK_WORDS;
	}
	return 0;
}

static int worker_start(struct outpipe *p, unsigned i)
{
	struct out_worker *w = &p->w[i];

	*w = (struct out_worker){ .p = p, .stream = i };
	mig_window_init(&w->win, p->cfg.credit_bytes);
	p->n_workers = i + 1;
	int r = outbatch_init(&w->batch, &batch_ops, w, &w->win, p->cfg.compress, p->cfg.session, i);
	if (r == 0)
		r = seal_init(&w->seal, p->cfg.key);
	if (r < 0)
		return r;
	pthread_mutex_lock(&p->lock);
	r = -pthread_create(&w->thread, NULL, worker_main, w);
	w->running = r == 0;
	p->alive += w->running;
	pthread_mutex_unlock(&p->lock);
	return r;
}

struct outpipe *outpipe_new(const struct out_config *cfg, struct err *err)
{
	struct outpipe *p = calloc(1, sizeof(*p));

	if (!p) {
		(void)err_sys(err, ENOMEM, "sending guest memory");
		return NULL;
	}
	p->cfg = *cfg;
	p->mem = *cfg->mem;
	p->cfg.mem = &p->mem;
	p->endpoint = xasprintf("%s", cfg->endpoint);
	p->refs = 1;
	p->state_fd = p->left_state_fd = -1;
	pthread_mutex_init(&p->lock, NULL);
	pthread_cond_init(&p->cond, NULL);
	pthread_cond_init(&p->gone, NULL);
	mig_bucket_init(&p->bucket, cfg->bandwidth_bps, now_ns());
	int r = alloc_tables(p);
	for (unsigned i = 0; i < cfg->streams && r == 0; i++)
		r = worker_start(p, i);
	if (r < 0) {
		int none = -1;

		(void)err_sys(err, r, "sending guest memory");
		p->mem = (struct memmap){ 0 }; /* the caller's; no thread has looked at it */
		outpipe_free(p, &p->mem, &none);
		return NULL;
	}
	return p;
}

uint64_t *outpipe_pending(struct outpipe *p, unsigned i)
{
	return p->pending[i];
}

uint64_t outpipe_harvest(struct outpipe *p)
{
	uint64_t n = 0;

	for (unsigned i = 0; i < p->cfg.mem->n; i++) {
		const struct memmap_region *r = &p->cfg.mem->r[i];
		for (uint64_t k = 0, words = bitmap_words(r->pages); k < words; k++) {
			uint64_t v = r->dirty ? r->dirty[k] : 0;
			if (k == words - 1 && r->pages % 64)
				v &= (1ull << r->pages % 64) - 1;
			p->pending[i][k] |= v;
			n += (unsigned)__builtin_popcountll(p->pending[i][k]);
		}
	}
	return n;
}

void outpipe_pass(struct outpipe *p, enum mig_pass kind, bool hash_all, uint32_t round)
{
	struct out_stats st;

	outpipe_stats(p, &st);
	pthread_mutex_lock(&p->lock);
	p->pass_kind = kind;
	p->hash_all = hash_all;
	p->round = round;
	p->prep_taken = p->prep_done = false;
	p->pass_left = p->n_workers;
	p->pass_start_ns = now_ns();
	p->pass_from = st;
	atomic_store(&p->cursor, 0);
	for (unsigned i = 0; i < p->n_workers; i++)
		p->w[i].batch.frame.round = round;
	p->pass_id++;
	pthread_cond_broadcast(&p->cond);
	pthread_mutex_unlock(&p->lock);
}

void outpipe_state(struct outpipe *p, int fd, uint64_t size)
{
	pthread_mutex_lock(&p->lock);
	p->state_size = size;
	p->state_left = (unsigned)((size + BATCH_BYTES - 1) / BATCH_BYTES);
	atomic_store(&p->state_cursor, 0);
	p->state_fd = fd;
	pthread_cond_broadcast(&p->cond);
	pthread_mutex_unlock(&p->lock);
}

void outpipe_stop(struct outpipe *p)
{
	atomic_fetch_add(&p->epoch, 1);
	atomic_store(&p->stop, true);
	pthread_mutex_lock(&p->lock);
	p->quit = true;
	pthread_cond_broadcast(&p->cond);
	pthread_mutex_unlock(&p->lock);
}

void outpipe_free(struct outpipe *p, struct memmap *mem, int *state_fd)
{
	const uint64_t end = now_ns() + GONE_NS;
	const struct timespec until = { (time_t)(end / NS_PER_S), (long)(end % NS_PER_S) };
	int r = 0;

	if (!p)
		return;
	outpipe_stop(p);
	pthread_mutex_lock(&p->lock);
	while (p->alive && !r)
		r = pthread_cond_clockwait(&p->gone, &p->lock, CLOCK_MONOTONIC, &until);
	bool left = p->left = p->alive;
	for (unsigned i = 0; i < p->n_workers && left; i++)
		if (p->w[i].running)
			pthread_detach(p->w[i].thread);
	if (left) {
		p->left_state_fd = *state_fd;
		*mem = (struct memmap){ 0 };
		*state_fd = -1;
	}
	pthread_mutex_unlock(&p->lock);
	if (left)
		return;
	for (unsigned i = 0; i < p->n_workers; i++)
		if (p->w[i].running)
			pthread_join(p->w[i].thread, NULL);
	contents_done(p);
	unref(p);
}

uint64_t outpipe_changed(struct outpipe *p, uint64_t *ret_first)
{
	uint64_t n = 0;

	for (unsigned i = 0; i < p->cfg.mem->n; i++) {
		const struct memmap_region *r = &p->cfg.mem->r[i];
		if (memmap_present(p->cfg.mem, i, p->present[i]) < 0)
			return 0;
		for (uint64_t k = 0; k < r->pages; k++) {
			const uint8_t *page = r->base + k * PAGE_BYTES;
			uint64_t h = p->present[i][k / 64] >> (k % 64) & 1 ? outbatch_hash(page) : 0;
			if (h != p->hash[i][k] && !n++)
				*ret_first = k;
		}
	}
	return n;
}

void outpipe_stats(struct outpipe *p, struct out_stats *ret)
{
	*ret = (struct out_stats){ .octets = atomic_load(&p->n_octets), .raw_octets = atomic_load(&p->n_raw) };
	for (unsigned i = 0; i < p->n_workers; i++) {
		const struct out_worker *w = &p->w[i];
		const struct outbatch *b = &w->batch;
		ret->copy_ns += atomic_load(&b->copy_ns) + atomic_load(&w->populate_ns);
		ret->hash_ns += atomic_load(&b->hash_ns);
		ret->seal_ns += atomic_load(&w->seal_ns);
		ret->send_ns += atomic_load(&w->send_ns);
		ret->wait_ns += atomic_load(&w->waited_ns);
		ret->pages_data += atomic_load(&b->n_data);
		ret->pages_zero += atomic_load(&b->n_zero);
		ret->pages_same += atomic_load(&b->n_same);
	}
}

unsigned outpipe_frames(struct outpipe *p, uint64_t frames[MIG_STREAMS_MAX])
{
	for (unsigned i = 0; i < p->n_workers; i++)
		frames[i] = p->w[i].seq;
	return p->n_workers;
}
