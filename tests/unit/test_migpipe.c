/* SPDX-License-Identifier: GPL-2.0-or-later */
/* The data planes against one another over real sockets: what arrives is what was there, whatever became of pages between rounds. */
#include "config.h"
#include "tests/unit/testutil.h"
#include <arpa/inet.h>
#include <fcntl.h>
#include <linux/userfaultfd.h>
#include <poll.h>
#include <pthread.h>
#include <sched.h>
#include <signal.h>
#include <stdatomic.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>
#include <zmq.h>
#include "common/util.h"
#include "migrated/io/hugehelp.h"
#include "migrated/io/inpipe.h"
#include "migrated/io/outpipe.h"

#define RAM_BYTES (16ull << 20)
#define PAGES     (RAM_BYTES / PAGE_BYTES)

static struct rig {
	struct loop *loop;
	void *zmq;
	struct inpipe *in;
	struct insession *session;
	struct outpipe *out;
	struct out_config oc;
	struct memmap src, dst;
	int src_state, dst_state;
	uint64_t bandwidth_bps;
	struct out_stats pass;
	struct err err;
	char endpoint[128];
} g;

static void pass_done(void *arg, const struct out_stats *pass, uint64_t ns)
{
	(void)arg, (void)ns;
	g.pass = *pass;
	loop_quit(g.loop, 1);
}
static void state_sent(void *arg)
{
	(void)arg;
	loop_quit(g.loop, 2);
}
static void out_failed(void *arg, const struct err *err)
{
	(void)arg;
	g.err = *err;
	loop_quit(g.loop, -1);
}
static void complete(void *arg)
{
	(void)arg;
	loop_quit(g.loop, 3);
}
static void bad(void *arg, const struct err *err)
{
	(void)arg;
	g.err = *err;
	loop_quit(g.loop, -2);
}

static void memory(struct memmap *m)
{
	int fd = memfd_create("ram", MFD_CLOEXEC);
	assert_true(fd >= 0);
	assert_int_equal(ftruncate(fd, RAM_BYTES), 0);
	assert_int_equal(memmap_of_fd(m, fd, RAM_BYTES, &g.err), 0);
}

static void rig_open(unsigned streams, enum out_compress compress, uint8_t in_key)
{
	size_t len = sizeof(g.endpoint);
	struct insession_config ic = {
		.session = 7, .streams = streams, .mem = &g.dst, .state_max = 1 << 20, .complete = complete, .bad = bad
	};
	struct out_config oc = { .session = 7,
		                 .streams = streams,
		                 .mem = &g.src,
		                 .credit_bytes = 1 << 20,
		                 .bandwidth_bps = g.bandwidth_bps,
		                 .compress = compress,
		                 .endpoint = g.endpoint,
		                 .pass_done = pass_done,
		                 .state_sent = state_sent,
		                 .failed = out_failed };

	g.loop = loop_new();
	g.zmq = zmq_ctx_new();
	void *s = zmq_socket(g.zmq, ZMQ_ROUTER);
	assert_int_equal(zmq_bind(s, "tcp://127.0.0.1:*"), 0);
	assert_int_equal(zmq_getsockopt(s, ZMQ_LAST_ENDPOINT, g.endpoint, &len), 0);
	g.in = inpipe_new(g.loop, s, 2, &g.err);
	assert_non_null(g.in);
	memory(&g.src);
	memory(&g.dst);
	g.src_state = memfd_create("s", MFD_CLOEXEC);
	g.dst_state = memfd_create("d", MFD_CLOEXEC);
	ic.state_fd = g.dst_state;
	memset(ic.key, in_key, sizeof(ic.key));
	memset(oc.key, 3, sizeof(oc.key));
	g.session = insession_new(g.in, &ic, &g.err);
	oc.zmq = g.zmq;
	oc.loop = g.loop;
	g.oc = oc;
	g.out = outpipe_new(&oc, &g.err);
	assert_non_null(g.out);
}

static void rig_close(void)
{
	outpipe_free(g.out, &g.src, &g.src_state);
	insession_free(g.session, &g.dst, &g.dst_state);
	inpipe_free(g.in);
	loop_run_once(g.loop, 0);
	memmap_done(&g.src);
	memmap_done(&g.dst);
	if (g.src_state >= 0)
		close(g.src_state);
	if (g.dst_state >= 0)
		close(g.dst_state);
	loop_free(g.loop);
	zmq_ctx_term(g.zmq);
}

static void fill(uint64_t page, uint64_t seed, bool compressible)
{
	uint64_t *p = (uint64_t *)(g.src.r[0].base + page * PAGE_BYTES);

	for (unsigned i = 0; i < PAGE_BYTES / 8; i++) {
		seed = seed * 6364136223846793005ull + 1442695040888963407ull;
		p[i] = compressible ? seed >> 60 : seed;
	}
}

static void want(uint64_t page)
{
	outpipe_pending(g.out, 0)[page / 64] |= 1ull << (page % 64);
}

static int pass(enum mig_pass kind, bool hash_all)
{
	outpipe_pass(g.out, kind, hash_all, 1);
	return loop_run(g.loop);
}

/* Equal, and a hole here is no page there. */
static void same(void)
{
	static uint64_t a[PAGES / 64], b[PAGES / 64];
	static uint8_t x[PAGE_BYTES], y[PAGE_BYTES];

	for (uint64_t i = 0; i < PAGES; i++) {
		assert_int_equal(pread(g.src.r[0].fd, x, PAGE_BYTES, (off_t)(i * PAGE_BYTES)), PAGE_BYTES);
		assert_int_equal(pread(g.dst.r[0].fd, y, PAGE_BYTES, (off_t)(i * PAGE_BYTES)), PAGE_BYTES);
		if (memcmp(x, y, PAGE_BYTES))
			fail_msg("page %llu differs", (unsigned long long)i);
	}
	assert_int_equal(memmap_present(&g.src, 0, a), 0);
	assert_int_equal(memmap_present(&g.dst, 0, b), 0);
	for (uint64_t i = 0; i < PAGES / 64; i++)
		assert_int_equal(b[i] & ~a[i], 0);
}

static void finish(void)
{
	uint64_t frames[MIG_STREAMS_MAX];
	unsigned n = outpipe_frames(g.out, frames);

	insession_expect(g.session, frames, n, 0);
	assert_int_equal(loop_run(g.loop), 3);
	same();
}

static void story(unsigned streams, enum out_compress compress, bool hash)
{
	rig_open(streams, compress, 3);
	for (uint64_t i = 100; i < 3000; i++) /* 0-99 and the end stay holes */
		fill(i, i, i % 3 == 0), want(i);
	memset(g.src.r[0].base + 200 * PAGE_BYTES, 0, 50 * PAGE_BYTES); /* content, but zeros */
	want(3500);                                                     /* asked for, but a hole */
	assert_int_equal(pass(MIG_PASS_LIVE, false), 1);
	assert_int_equal(g.pass.pages_data, 2850);
	/* nothing changed: nothing is sent */
	for (uint64_t i = 100; i < 3000; i++)
		want(i);
	assert_int_equal(pass(MIG_PASS_LIVE, false), 1);
	assert_int_equal(g.pass.pages_data, 0);
	assert_int_equal(g.pass.octets, 0);
	/* one changed, one became zero, some became holes, one hole got content */
	fill(1000, 99, false), want(1000);
	memset(g.src.r[0].base + 1001 * PAGE_BYTES, 0, PAGE_BYTES), want(1001);
	assert_int_equal(fallocate(g.src.r[0].fd, FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE, 2000 * PAGE_BYTES,
	                           7 * PAGE_BYTES),
	                 0);
	fill(4095, 5, true), want(4095);
	fill(205, 6, false); /* only hashing sees this one: nobody asked for it */
	if (!hash)
		want(205);
	assert_int_equal(pass(MIG_PASS_FINAL, hash), 1);
	assert_int_equal(g.pass.pages_data, 3);
	assert_true(g.pass.pages_zero >= 8);
	finish();
	rig_close();
}

static void test_rounds(void **state)
{
	(void)state;
	story(1, OUT_COMPRESS_NONE, false);
	story(3, OUT_COMPRESS_LZ4, true);
	story(2, OUT_COMPRESS_AUTO, true);
}

static void test_state(void **state)
{
	uint64_t frames[MIG_STREAMS_MAX], n = 700001;
	_cleanup_free_ uint8_t *p = malloc(n), *q = malloc(n);
	(void)state;

	for (uint64_t i = 0; i < n; i++)
		p[i] = (uint8_t)(i * i >> 3);
	rig_open(2, OUT_COMPRESS_AUTO, 3);
	assert_int_equal(pwrite(g.src_state, p, n, 0), n);
	outpipe_state(g.out, g.src_state, n);
	assert_int_equal(loop_run(g.loop), 2);
	insession_expect(g.session, frames, outpipe_frames(g.out, frames), n);
	assert_int_equal(loop_run(g.loop), 3);
	assert_int_equal(pread(g.dst_state, q, n, 0), n);
	assert_memory_equal(p, q, n);
	rig_close();
}

/* Compressible memory takes less room on the wire. */
static void test_compression(void **state)
{
	(void)state;
	rig_open(1, OUT_COMPRESS_LZ4, 3);
	for (uint64_t i = 0; i < 1024; i++)
		fill(i, i, true), want(i);
	assert_int_equal(pass(MIG_PASS_LIVE, false), 1);
	assert_int_equal(g.pass.raw_octets, 1024 * PAGE_BYTES);
	assert_true(g.pass.octets < g.pass.raw_octets / 2);
	finish();
	rig_close();
}

static void test_wrong_key(void **state)
{
	(void)state;
	rig_open(1, OUT_COMPRESS_NONE, 4);
	fill(1, 1, false), want(1);
	outpipe_pass(g.out, MIG_PASS_LIVE, false, 1);
	assert_int_equal(loop_run(g.loop), -2);
	assert_non_null(strstr(g.err.text, "seal"));
	rig_close();
}

static void test_short_count(void **state)
{
	uint64_t none[MIG_STREAMS_MAX] = { 0 };
	(void)state;

	rig_open(1, OUT_COMPRESS_NONE, 3);
	fill(1, 1, false), want(1);
	assert_int_equal(pass(MIG_PASS_LIVE, false), 1);
	insession_expect(g.session, none, 1, 0); /* one frame more than the source counts */
	assert_int_equal(loop_run(g.loop), -2);
	rig_close();
}

static void test_stop(void **state)
{
	(void)state;
	rig_open(2, OUT_COMPRESS_NONE, 3);
	for (uint64_t i = 0; i < PAGES; i++)
		fill(i, i, false), want(i);
	outpipe_pass(g.out, MIG_PASS_LIVE, false, 1);
	outpipe_stop(g.out);
	uint64_t t = now_ns();
	rig_close(); /* joins: soon, whatever was under way */
	assert_true(now_ns() - t < 2 * NS_PER_S);
}

/* Does this kernel make huge pages of memfds on demand? */
static bool collapses(void)
{
	struct memmap m;
	static uint64_t bits[PAGES / 64];

	memory(&m);
	memmap_huge(&m.r[0], 3, 1, 0);
	assert_int_equal(memmap_present(&m, 0, bits), 0);
	memmap_done(&m);
	return bits[0] == UINT64_MAX && bits[HUGE_PAGES / 64 - 1] == UINT64_MAX && !bits[HUGE_PAGES / 64];
}

static bool whole(const uint64_t *bits, uint64_t piece)
{
	for (unsigned i = 0; i < HUGE_PAGES / 64; i++)
		if (bits[piece * HUGE_PAGES / 64 + i] != UINT64_MAX)
			return false;
	return true;
}

/* Pieces that follow are made with the first, what was made or is not named stays, and no word of a peer leads out of the region. */
static void test_ahead(void **state)
{
	static uint64_t bits[PAGES / 64];
	const uint64_t pieces = PAGES / HUGE_PAGES;
	struct memmap m;
	(void)state;

	if (!collapses())
		skip();
	memory(&m);
	memmap_huge(&m.r[0], HUGE_PAGES + 3, 1, 3 * HUGE_PAGES + HUGE_PAGES / 2);
	assert_int_equal(memmap_present(&m, 0, bits), 0);
	for (uint64_t k = 0; k < pieces; k++)
		assert_int_equal(whole(bits, k), k == 1 || k == 2);
	assert_int_equal(bits[0] | bits[3 * HUGE_PAGES / 64], 0);
	memmap_huge(&m.r[0], 5, 1, UINT64_MAX);
	assert_int_equal(memmap_present(&m, 0, bits), 0);
	for (uint64_t k = 0; k < pieces; k++)
		assert_int_equal(whole(bits, k), k < HUGE_GROUP);
	memmap_done(&m);
}

/* A userfaultfd that holds whoever touches pages of @m that its mapping lacks, until it is closed. @mode: of pages that are nowhere, or not mapped. */
static int hold(const struct memmap *m, uint64_t mode)
{
	struct uffdio_api api = { .api = UFFD_API, .features = UFFD_FEATURE_MINOR_SHMEM };
	struct uffdio_register reg = { .range = { (uintptr_t)m->r[0].base, m->r[0].size }, .mode = mode };
	int fd = (int)syscall(SYS_userfaultfd, O_CLOEXEC | O_NONBLOCK); /* else it is not polled */

	if (fd < 0 || ioctl(fd, UFFDIO_API, &api) < 0 || ioctl(fd, UFFDIO_REGISTER, &reg) < 0) {
		if (fd >= 0)
			close(fd);
		print_message("missing: userfaultfd\n");
		return -1;
	}
	return fd;
}

/* A pass, until @uffd holds somebody. False: it is none, and the rig is closed. */
static bool pass_held(int uffd)
{
	struct pollfd p = { .fd = uffd, .events = POLLIN };

	if (uffd < 0) {
		rig_close();
		return false;
	}
	outpipe_pass(g.out, MIG_PASS_LIVE, false, 1);
	assert_int_equal(poll(&p, 1, 10000), 1);
	assert_int_equal(p.revents, POLLIN);
	return true;
}

/* It was given away, and goes when nobody holds the thread that uses it. */
static void goes_after(const struct memmap *m, int mem_fd, int uffd)
{
	assert_int_equal(m->n, 0);
	assert_int_equal(fcntl(mem_fd, F_GETFD), FD_CLOEXEC);
	close(uffd);
	for (unsigned i = 0; fcntl(mem_fd, F_GETFD) >= 0; i++) {
		assert_true(i < 1000);
		usleep(10000);
	}
}

/* A thread of the target that the kernel holds holds up nobody: its session's end does not wait for it, and what it uses goes with it. */
static void test_target_held(void **state)
{
	(void)state;
	rig_open(1, OUT_COMPRESS_NONE, 3);
	for (uint64_t i = 0; i < 100; i++)
		fill(i, i, false), want(i);
	int uffd = hold(&g.dst, UFFDIO_REGISTER_MODE_MISSING), fd = g.dst.r[0].fd;
	if (!pass_held(uffd))
		skip();
	uint64_t t = now_ns();
	insession_free(g.session, &g.dst, &g.dst_state);
	assert_true(now_ns() - t < NS_PER_S);
	g.session = NULL;
	assert_int_equal(g.dst_state, -1);
	goes_after(&g.dst, fd, uffd);
	rig_close();
}

/* The same of the source. */
static void test_source_held(void **state)
{
	(void)state;
	rig_open(2, OUT_COMPRESS_NONE, 3);
	for (uint64_t i = 0; i < 100; i++)
		fill(i, i, false), want(i);
	assert_int_equal(madvise(g.src.r[0].base, g.src.r[0].size, MADV_DONTNEED), 0);
	int uffd = hold(&g.src, UFFDIO_REGISTER_MODE_MINOR), fd = g.src.r[0].fd;
	if (!pass_held(uffd))
		skip();
	uint64_t t = now_ns();
	outpipe_free(g.out, &g.src, &g.src_state);
	assert_true(now_ns() - t < NS_PER_S);
	g.out = NULL;
	assert_int_equal(g.src_state, -1);
	goes_after(&g.src, fd, uffd);
	rig_close();
}

/* The child of this thread that runs as helper; 0: none. */
static pid_t helper_now(void)
{
	_cleanup_free_ char *file = xasprintf("/proc/self/task/%d/children", (int)gettid()), *text = NULL;
	size_t len;

	assert_int_equal(file_read(file, 4096, &text, &len), 0);
	return (pid_t)strtol(text, NULL, 10);
}

/* One that answers in time: a machine that is busy may be late with the first ones. */
static pid_t helper_in_time(const struct memmap *m)
{
	const uint64_t end = now_ns() + 20 * NS_PER_S;

	for (;;) {
		uint64_t t = now_ns();
		hugehelp_make(m->r[0].fd, 0, HUGE_BYTES);
		t = now_ns() - t;
		while (waitpid(-1, NULL, WNOHANG) > 0)
			;
		pid_t pid = helper_now();
		if (pid > 0 && t < HUGEHELP_LATE_NS)
			return pid;
		assert_true(now_ns() < end);
		usleep(100000);
	}
}

/* A helper that the kernel holds costs a pass little, once: it is left behind, and no other one is made for a while. */
static void test_helper_late(void **state)
{
	struct memmap m;
	pid_t pid;
	int status;
	(void)state;

	hugehelp_end(); /* that of tests before */
	while ((pid = waitpid(-1, &status, 0)) > 0)
		assert_true(WIFEXITED(status) && WEXITSTATUS(status) == 0);
	memory(&m);
	pid = helper_in_time(&m);
	assert_int_equal(kill(pid, SIGSTOP), 0);
	uint64_t t = now_ns();
	for (uint64_t k = 0; k < PAGES / HUGE_PAGES; k++)
		memmap_huge(&m.r[0], k * HUGE_PAGES, 1, 0);
	uint64_t took = now_ns() - t;
	assert_true(took >= HUGEHELP_LATE_NS && took < 2 * HUGEHELP_LATE_NS + NS_PER_S);
	assert_int_equal(helper_now(), pid);
	assert_int_equal(kill(pid, SIGCONT), 0);
	assert_int_equal(waitpid(pid, &status, 0), pid); /* by itself: nobody waits for its answer */
	assert_true(WIFEXITED(status) && WEXITSTATUS(status) == 0);
	hugehelp_make(m.r[0].fd, 0, HUGE_BYTES);
	if (now_ns() - t < HUGEHELP_PAUSE_NS) /* else this machine was held for longer */
		assert_int_equal(helper_now(), 0);
	helper_in_time(&m); /* after the pause there is another one */
	memmap_done(&m);
}

/* Dense pieces come in huge pages, others do not grow. */
static void test_dense(void **state)
{
	static uint64_t bits[PAGES / 64];
	bool can = collapses();
	(void)state;

	rig_open(2, OUT_COMPRESS_AUTO, 3);
	assert_int_equal((uintptr_t)g.dst.r[0].base % HUGE_BYTES, 0);
	for (uint64_t i = 0; i < 2 * HUGE_PAGES; i++) /* two dense pieces, but for zeros */
		fill(i, i, false), want(i);
	memset(g.src.r[0].base + 600 * PAGE_BYTES, 0, 100 * PAGE_BYTES);
	for (uint64_t i = 2 * HUGE_PAGES + 1; i < 3 * HUGE_PAGES; i++) /* one with a hole */
		fill(i, i, false), want(i);
	fill(4 * HUGE_PAGES, 9, false), want(4 * HUGE_PAGES);
	assert_int_equal(pass(MIG_PASS_LIVE, false), 1);
	finish();
	assert_int_equal(memmap_present(&g.dst, 0, bits), 0);
	for (uint64_t i = 600; i < 700; i++)
		assert_int_equal(bits[i / 64] >> (i % 64) & 1, can);
	assert_int_equal(bits[4 * HUGE_PAGES / 64], 1);
	rig_close();
	if (!can)
		print_message("no MADV_COLLAPSE of memfds here: huge pages not tested\n");
}

/* A frame that comes when all is there touches nothing, whoever made it. */
static void test_late(void **state)
{
	static struct wire_frame f;
	static uint8_t body[PAGE_BYTES + WIRE_TAG_BYTES];
	uint64_t frames[MIG_STREAMS_MAX];
	struct buf b = { 0 };
	(void)state;

	rig_open(1, OUT_COMPRESS_NONE, 3);
	for (uint64_t i = 0; i < 100; i++)
		fill(i, i, false), want(i);
	assert_int_equal(pass(MIG_PASS_FINAL, false), 1);
	finish();
	outpipe_frames(g.out, frames);
	f = (struct wire_frame){ .session = 7,
		                 .seq = frames[0],
		                 .kind = WIRE_FRAME_PAGES,
		                 .raw_bytes = PAGE_BYTES,
		                 .n_runs = 1,
		                 .runs = { 5, 2 } };
	assert_int_equal(wire_frame_pack(&f, &b), 0);
	void *s = zmq_socket(g.zmq, ZMQ_DEALER);
	assert_int_equal(zmq_connect(s, g.endpoint), 0);
	assert_int_equal(zmq_send(s, b.data, b.len, ZMQ_SNDMORE), b.len);
	assert_int_equal(zmq_send(s, body, sizeof(body), 0), sizeof(body));
	usleep(200000);
	same();
	zmq_close(s);
	buf_done(&b);
	rig_close();
}

/* A batch that the bandwidth holds back for longer than a connection may be silent is not one that nobody acknowledged. */
static void test_slow(void **state)
{
	(void)state;
	g.bandwidth_bps = 750;
	rig_open(1, OUT_COMPRESS_NONE, 3);
	g.bandwidth_bps = 0;
	for (uint64_t i = 0; i < 17; i++) /* the first 64 KiB are free */
		fill(i, i, false), want(i);
	assert_int_equal(pass(MIG_PASS_LIVE, false), 1);
	assert_int_equal(g.pass.pages_data, 17);
	finish();
	rig_close();
}

/* Takes the next frame, which has to come within @ms; returns its octets, 0: none came. */
static uint64_t frame_take(void *s, int ms, zmq_msg_t *id, struct wire_frame *f)
{
	zmq_msg_t from, hdr, body;
	uint64_t n = 0;

	zmq_msg_init(&from);
	zmq_msg_init(&hdr);
	zmq_msg_init(&body);
	assert_int_equal(zmq_setsockopt(s, ZMQ_RCVTIMEO, &ms, sizeof(ms)), 0);
	if (zmq_msg_recv(&from, s, 0) >= 0) {
		zmq_msg_move(id, &from);
		assert_true(zmq_msg_recv(&hdr, s, 0) > 0 && zmq_msg_recv(&body, s, 0) > 0);
		assert_int_equal(wire_frame_unpack(zmq_msg_data(&hdr), zmq_msg_size(&hdr), f), 0);
		n = zmq_msg_size(&body) - WIRE_TAG_BYTES;
	}
	zmq_msg_close(&from);
	zmq_msg_close(&hdr);
	zmq_msg_close(&body);
	return n;
}

static void frame_answer(void *s, zmq_msg_t *id, uint64_t octets, uint64_t work_ns)
{
	struct wire_credit c = { .session = 7, .octets = octets, .work_ns = work_ns };
	struct buf b = { 0 };

	assert_int_equal(wire_credit_pack(&c, &b), 0);
	assert_true(zmq_send(s, zmq_msg_data(id), zmq_msg_size(id), ZMQ_SNDMORE) > 0);
	assert_int_equal(zmq_send(s, b.data, b.len, 0), b.len);
	buf_done(&b);
}

/* A source whose frames the test takes and answers. */
static void *rig_by_hand(enum out_compress how)
{
	rig_open(1, how, 3);
	outpipe_free(g.out, &g.src, &g.src_state);
	void *s = zmq_socket(g.zmq, ZMQ_ROUTER);
	size_t len = sizeof(g.endpoint);
	assert_int_equal(zmq_bind(s, "tcp://127.0.0.1:*"), 0);
	assert_int_equal(zmq_getsockopt(s, ZMQ_LAST_ENDPOINT, g.endpoint, &len), 0);
	g.out = outpipe_new(&g.oc, &g.err);
	assert_non_null(g.out);
	return s;
}

/* A page is under way until the first answer; quick answers let frames grow, slow ones shrink them to a page again. */
static void test_window(void **state)
{
	(void)state;
	void *s = rig_by_hand(OUT_COMPRESS_NONE);
	for (uint64_t i = 0; i < PAGES; i++)
		fill(i, i, false), want(i);
	outpipe_pass(g.out, MIG_PASS_LIVE, false, 1);

	zmq_msg_t id;
	struct wire_frame f;
	uint64_t n = 0, got, most = 0;
	zmq_msg_init(&id);
	assert_int_equal(n = frame_take(s, 2000, &id, &f), PAGE_BYTES);
	assert_int_equal(frame_take(s, 100, &id, &f), 0);
	frame_answer(s, &id, n, 0);
	for (unsigned i = 0; i < 60; i++) {
		n += got = frame_take(s, 2000, &id, &f);
		most = got > most ? got : most;
		frame_answer(s, &id, n, 0);
	}
	assert_true(most >= 8 * PAGE_BYTES);
	for (unsigned i = 0; i < 14; i++) { /* what is there is answered late */
		usleep(200000);
		while ((got = frame_take(s, 0, &id, &f)))
			n += got;
		frame_answer(s, &id, n, 0);
	}
	assert_int_equal(got = frame_take(s, 2000, &id, &f), PAGE_BYTES);
	outpipe_stop(g.out);
	zmq_msg_close(&id);
	zmq_close(s);
	rig_close();
}

/* Of 8 frames, each answered late: how many are compressed. @busy: the target says that it worked all the time. */
static unsigned compressed(bool busy)
{
	void *s = rig_by_hand(OUT_COMPRESS_AUTO);
	uint64_t begun = now_ns(), n = 0;
	struct wire_frame f;
	unsigned lz4 = 0;
	zmq_msg_t id;

	for (uint64_t i = 0; i < PAGES; i++)
		fill(i, i, true), want(i);
	outpipe_pass(g.out, MIG_PASS_LIVE, false, 1);
	zmq_msg_init(&id);
	for (unsigned i = 0; i < 8; i++) {
		uint64_t got = frame_take(s, 2000, &id, &f);
		assert_true(got);
		n += got;
		lz4 += f.codec == WIRE_CODEC_LZ4;
		usleep(30000);
		frame_answer(s, &id, n, busy ? now_ns() - begun : 0);
	}
	outpipe_stop(g.out);
	zmq_msg_close(&id);
	zmq_close(s);
	rig_close();
	return lz4;
}

/* A slow wire is worth the work of compressing; a target that cannot keep up is not helped by more work. */
static void test_busy_target(void **state)
{
	(void)state;
	assert_true(compressed(false) >= 6);
	assert_int_equal(compressed(true), 0);
}

/* Datagrams to itself, one each 20 ms: what others on the same wire have to live with. */
static struct {
	atomic_bool stop;
	unsigned sent, got;
	uint64_t longest_ns;
} beside;

static void *beside_main(void *arg)
{
	struct sockaddr_in a = { .sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK) };
	socklen_t len = sizeof(a);
	int s = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);
	uint64_t t, end = 0;

	assert_true(s >= 0 && bind(s, (struct sockaddr *)&a, len) == 0 &&
	            getsockname(s, (struct sockaddr *)&a, &len) == 0);
	while (beside.got < beside.sent ? !end || now_ns() < end : !atomic_load(&beside.stop)) {
		if (!atomic_load(&beside.stop)) {
			t = now_ns();
			beside.sent += sendto(s, &t, sizeof(t), 0, (struct sockaddr *)&a, len) == sizeof(t);
		} else if (!end) {
			end = now_ns() + NS_PER_S;
		}
		usleep(20000);
		while (recv(s, &t, sizeof(t), MSG_DONTWAIT) == sizeof(t)) {
			beside.got++;
			t = now_ns() - t;
			beside.longest_ns = t > beside.longest_ns ? t : beside.longest_ns;
		}
	}
	close(s);
	return arg;
}

/* Through one queue of the kernel's at 1 Mbit/s, which TCP left alone fills with 0.6 s: little waits there, nothing is lost. The last test: it stays there. */
static void test_bottleneck(void **state)
{
	pthread_t t;
	(void)state;

	if (unshare(CLONE_NEWNET) < 0 || system("ip link set lo mtu 1500 up && "
	                                        "tc qdisc add dev lo root tbf rate 1mbit burst 3k limit 80k") != 0)
		skip(); /* needs root, ip, tc and its token bucket filter */
	rig_open(2, OUT_COMPRESS_NONE, 3);
	assert_int_equal(pthread_create(&t, NULL, beside_main, NULL), 0);
	for (uint64_t i = 0; i < 64; i++)
		fill(i, i, false), want(i);
	assert_int_equal(pass(MIG_PASS_LIVE, false), 1);
	atomic_store(&beside.stop, true);
	assert_int_equal(pthread_join(t, NULL), 0);
	finish();
	print_message("%u datagrams, %u lost, %u ms at most\n", beside.sent, beside.sent - beside.got,
	              (unsigned)(beside.longest_ns / NS_PER_MS));
	assert_int_equal(beside.got, beside.sent);
	assert_true(beside.longest_ns < 350 * NS_PER_MS);
	rig_close();
}

int main(int argc, char **argv)
{
	hugehelp_main(argc, argv);
	const struct CMUnitTest tests[] = { cmocka_unit_test(test_rounds),      cmocka_unit_test(test_state),
		                            cmocka_unit_test(test_compression), cmocka_unit_test(test_wrong_key),
		                            cmocka_unit_test(test_short_count), cmocka_unit_test(test_stop),
		                            cmocka_unit_test(test_dense),       cmocka_unit_test(test_ahead),
		                            cmocka_unit_test(test_helper_late), cmocka_unit_test(test_target_held),
		                            cmocka_unit_test(test_source_held), cmocka_unit_test(test_late),
		                            cmocka_unit_test(test_slow),        cmocka_unit_test(test_window),
		                            cmocka_unit_test(test_busy_target), cmocka_unit_test(test_bottleneck) };

	return cmocka_run_group_tests(tests, NULL, NULL);
}
