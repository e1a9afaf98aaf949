/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The device set behind devs.h, driven over real vhost-user sockets by a driver of our own: entropy, disk, console and balloon at
 * work, hostile drivers, and the saved state (round trip, every truncation, flipped octets).
 */
#include "config.h"
#include "tests/unit/testutil.h"
#include "tests/unit/vdriver.h"

#include <fcntl.h>
#include <poll.h>
#include <stdatomic.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>

#include "hypervisor/dev/devs.h"
#include "hypervisor/dev/vhost_user.h"

#define MEM          (4u << 20)
#define DISK_BYTES   (1u << 20)
#define RING(dev, q) (0x10000ull + ((uint64_t)(dev)*4 + (q)) * 0x4000)
#define DATA         0x200000ull
#define FEATURES     (1ull << 28 | 1ull << 30 | 1ull << 32)

enum { VDA, HVC0, AGENT, RNG0, BALLOON, N_DEVS };
static const unsigned queues[N_DEVS] = { 1, 2, 2, 1, 3 };
static const uint64_t extra_features[N_DEVS] = { 1 << 9 | 1 << 13 | 1 << 14, 0, 0, 0, 1 << 5 };

static char *dir;
static struct dom_config cfg;
static struct devs *devs;
static struct guestmem mem;
static int sock[N_DEVS], req[N_DEVS];
static struct vdriver drv[N_DEVS][3];
static atomic_int broken_events;
static char broken_why[128];

static void on_broken(void *arg, const char *name, const char *why)
{
	(void)arg;
	snprintf(broken_why, sizeof(broken_why), "%s: %s", name, why);
	atomic_fetch_add(&broken_events, 1);
}
static const struct devs_events events = { .broken = on_broken };

static void make_config(void)
{
	char path[256];

	memset(&cfg, 0, sizeof(cfg));
	snprintf(cfg.name, sizeof(cfg.name), "unit");
	cfg.memory_bytes = MEM;
	cfg.n_disks = cfg.n_consoles = cfg.n_rngs = 1;
	cfg.balloon = true;
	snprintf(path, sizeof(path), "%s/vda.img", dir);
	int fd = open(path, O_RDWR | O_CREAT | O_CLOEXEC, 0600);
	assert_true(fd >= 0 && ftruncate(fd, DISK_BYTES) == 0);
	close(fd);
	cfg.disk[0].source = strdup(path);
	snprintf(cfg.disk[0].target, sizeof(cfg.disk[0].target), "vda");
	cfg.disk[0].discard = true;
	snprintf(path, sizeof(path), "%s/hvc0.log", dir);
	cfg.console[0].log = strdup(path);
}

static int setup(void **state)
{
	(void)state;
	struct err err = { 0 };

	atomic_store(&broken_events, 0);
	dir = test_dir_new();
	make_config();
	if (vdriver_mem(&mem, MEM) || devs_new(&cfg, &events, &devs, &err)) {
		print_error("%s\n", err.text);
		return -1;
	}
	for (int i = 0; i < N_DEVS; i++)
		sock[i] = req[i] = -1;
	devs_set_mem(devs, &mem);
	return devs_start(devs, NULL);
}

static int teardown(void **state)
{
	(void)state;
	devs_free(devs);
	devs = NULL;
	for (int i = 0; i < N_DEVS; i++) {
		if (sock[i] >= 0)
			close(sock[i]);
		if (req[i] >= 0)
			close(req[i]);
	}
	guestmem_done(&mem);
	free(cfg.disk[0].source);
	free(cfg.console[0].log);
	test_dir_remove(dir);
	return 0;
}

/* The driver's end ------------------------------------------------------------------------------------------------------- */

static void put(int s, uint32_t request, const void *body, uint32_t len)
{
	uint8_t m[VU_MSG_MAX];
	uint32_t h[3] = { request, 1, len };

	memcpy(m, h, 12);
	if (len)
		memcpy(m + 12, body, len);
	assert_int_equal(send(s, m, 12 + len, MSG_NOSIGNAL), 12 + len);
}

static void put_state(int s, uint32_t request, uint32_t index, uint32_t num)
{
	uint32_t b[2] = { index, num };

	put(s, request, b, sizeof(b));
}

static void put_u64(int s, uint32_t request, uint64_t v)
{
	put(s, request, &v, sizeof(v));
}

static uint64_t get_u64(int s, uint32_t request)
{
	uint32_t m[5];
	uint64_t v;

	put(s, request, NULL, 0);
	assert_int_equal(recv(s, m, sizeof(m), MSG_WAITALL), sizeof(m));
	assert_int_equal(m[0], request);
	assert_int_equal(m[1], 5);
	memcpy(&v, &m[3], 8);
	return v;
}

static void setup_queue(int dev, unsigned q)
{
	struct vdriver *d = &drv[dev][q];
	struct {
		uint32_t index, flags;
		uint64_t desc, used, avail, log;
	} a = { .index = q };

	vdriver_init(d, &mem, RING(dev, q), 64);
	memset(mem.base + RING(dev, q), 0, 0x4000);
	a.desc = d->c.desc.v;
	a.used = d->c.used.v;
	a.avail = d->c.avail.v;
	put_state(sock[dev], VU_SET_VRING_NUM, q, 64);
	put_state(sock[dev], VU_SET_VRING_BASE, q, 0);
	put(sock[dev], VU_SET_VRING_ADDR, &a, sizeof(a));
}

static void handshake(int dev)
{
	uint64_t table[9] = { 1, 0, MEM, 0, 0 };

	put(sock[dev], VU_SET_OWNER, NULL, 0);
	uint64_t f = get_u64(sock[dev], VU_GET_FEATURES);
	assert_int_equal(f & (FEATURES | extra_features[dev]), FEATURES | extra_features[dev]);
	assert_int_equal(get_u64(sock[dev], VU_GET_PROTOCOL_FEATURES) & (1 << 3), 0);
	put_u64(sock[dev], VU_SET_PROTOCOL_FEATURES, VU_PF_NEEDED);
	put_u64(sock[dev], VU_SET_FEATURES, FEATURES | extra_features[dev]);
	put(sock[dev], VU_SET_MEM_TABLE, table, sizeof(table));
	for (unsigned q = 0; q < queues[dev]; q++)
		setup_queue(dev, q);
	for (unsigned q = 0; q < queues[dev]; q++)
		put_state(sock[dev], VU_SET_VRING_ENABLE, q, 1);
	(void)get_u64(sock[dev], VU_GET_FEATURES);
}

static void pair(int dev)
{
	int a[2], b[2];

	assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, a), 0);
	assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, b), 0);
	assert_int_equal(devs_attach_pair(devs, (size_t)dev, a[1], b[1], NULL), 0);
	sock[dev] = a[0];
	req[dev] = b[0];
}

static void attach(int dev)
{
	pair(dev);
	handshake(dev);
	assert_true(devs_attached(devs, (size_t)dev));
}

static void kick(int dev, unsigned q)
{
	put_state(sock[dev], VU_VRING_KICK, q, 0);
}

/* What was sent before has been acted upon: queues run before the next request is read. */
static void settle(int dev)
{
	(void)get_u64(sock[dev], VU_GET_FEATURES);
	(void)get_u64(sock[dev], VU_GET_FEATURES);
}

static void wait_used(int dev, unsigned q, uint16_t idx)
{
	for (int i = 0; i < 5000 && vdriver_used_idx(&drv[dev][q]) != idx; i++)
		usleep(1000);
	assert_int_equal(vdriver_used_idx(&drv[dev][q]), idx);
}

/* The device calls: exactly this message. */
static void wait_call(int dev, unsigned q)
{
	uint32_t m[5];

	assert_int_equal(recv(req[dev], m, sizeof(m), MSG_WAITALL), sizeof(m));
	assert_int_equal(m[0], VU_BACKEND_VRING_CALL);
	assert_int_equal(m[1], 1);
	assert_int_equal(m[3], q);
}

static bool closed(int s)
{
	struct pollfd p = { .fd = s, .events = POLLIN };
	char c;

	return poll(&p, 1, 5000) == 1 && recv(s, &c, 1, 0) <= 0;
}

/* Devices at work -------------------------------------------------------------------------------------------------------- */

static void test_rng(void **state)
{
	const uint64_t seg[][2] = { { DATA, 32 }, { DATA + 0x1000, 64 } };
	uint32_t id, len;
	unsigned zeros = 0;
	(void)state;

	attach(RNG0);
	vdriver_clean(&mem);
	vdriver_chain(&drv[RNG0][0], 0, 2, seg);
	kick(RNG0, 0);
	wait_used(RNG0, 0, 1);
	wait_call(RNG0, 0);
	vdriver_used(&drv[RNG0][0], 0, &id, &len);
	assert_int_equal(len, 96);
	for (int i = 0; i < 32; i++)
		zeros += !mem.base[DATA + (uint64_t)i];
	assert_true(zeros < 8);
	assert_true(vdriver_dirty(&mem, DATA));
	assert_true(vdriver_dirty(&mem, DATA + 0x1000));
	assert_false(vdriver_dirty(&mem, DATA + 0x2000));
}

/* One block request with @len octets of data at DATA; returns its status. */
static uint8_t blk(uint32_t type, uint64_t sector, uint32_t len)
{
	bool in = type == 0 || type == 8;
	const uint64_t hdr = DATA - 0x1000, status = DATA - 0x800;
	uint64_t seg[3][2] = { { hdr, 16 }, { DATA, len }, { status, 1 } };
	uint16_t before = vdriver_used_idx(&drv[VDA][0]);

	memcpy(mem.base + hdr, &type, 4);
	memcpy(mem.base + hdr + 8, &sector, 8);
	mem.base[status] = 0xee;
	if (!len)
		memcpy(seg[1], seg[2], sizeof(seg[1]));
	vdriver_chain(&drv[VDA][0], 1 + (len && !in), 1 + (len && in), (const uint64_t(*)[2])seg);
	kick(VDA, 0);
	wait_used(VDA, 0, (uint16_t)(before + 1));
	return mem.base[status];
}

static void test_disk(void **state)
{
	struct {
		uint64_t sector;
		uint32_t n, flags;
	} range = { 8, 8, 0 };
	uint64_t last = DISK_BYTES / 512 - 1;
	struct stat st;
	(void)state;

	attach(VDA);
	memset(mem.base + DATA, 0x5a, 8192);
	assert_int_equal(blk(1, 8, 8192), 0);
	assert_int_equal(blk(4, 0, 0), 0);
	memset(mem.base + DATA, 0, 8192);
	vdriver_clean(&mem);
	assert_int_equal(blk(0, 9, 4096), 0);
	assert_int_equal(mem.base[DATA], 0x5a);
	assert_true(vdriver_dirty(&mem, DATA));
	assert_false(vdriver_dirty(&mem, DATA + 0x1000));
	assert_int_equal(blk(0, last, 512), 0);
	assert_int_equal(blk(8, 0, 20), 0);
	assert_string_equal((char *)mem.base + DATA, "vda");
	/* zero, then discard the first 4 KiB that were written */
	memcpy(mem.base + DATA, &range, sizeof(range));
	assert_int_equal(blk(13, 0, 16), 0);
	assert_int_equal(blk(0, 8, 4096), 0);
	assert_int_equal(mem.base[DATA], 0);
	memcpy(mem.base + DATA, &range, sizeof(range));
	assert_int_equal(blk(11, 0, 16), 0);
	assert_int_equal(stat(cfg.disk[0].source, &st), 0);
	assert_int_equal(st.st_size, DISK_BYTES);
	/* what a guest may not have */
	assert_int_equal(blk(0, last, 1024), 1);
	assert_int_equal(blk(0, UINT64_MAX, 512), 1);
	assert_int_equal(blk(1, last + 1, 512), 1);
	assert_int_equal(blk(1, 0, 100), 1);
	assert_int_equal(blk(77, 0, 512), 2);
	range.sector = last;
	memcpy(mem.base + DATA, &range, sizeof(range));
	assert_int_equal(blk(13, 0, 16), 1);
	assert_int_equal(blk(11, 0, 16), 1);
	assert_int_equal(blk(13, 0, 15), 1);
	assert_int_equal(atomic_load(&broken_events), 0);
}

static void test_disk_errors(void **state)
{
	(void)state;
	attach(VDA);
	/* the image shrinks under us: an error for the guest, nothing worse */
	assert_int_equal(truncate(cfg.disk[0].source, 4096), 0);
	assert_int_equal(blk(0, 100, 4096), 1);
	assert_int_equal(blk(0, 0, 4096), 0);
	struct hv_stats st = { 0 };
	devs_stats(devs, &st);
	assert_int_equal(st.n_devs, N_DEVS);
	assert_string_equal(st.dev[VDA].name, "vda");
	assert_int_equal(st.dev[VDA].errors, 1);
	assert_int_equal(st.dev[VDA].rd_ops, 2);
}

static void test_lock(void **state)
{
	struct devs *other = NULL;
	struct err err = { 0 };
	(void)state;

	assert_int_equal(devs_lock(devs, NULL), 0);
	assert_int_equal(devs_new(&cfg, NULL, &other, NULL), 0);
	assert_int_equal(devs_lock(other, &err), -EAGAIN);
	assert_non_null(strstr(err.text, cfg.disk[0].source));
	devs_unlock(devs);
	assert_int_equal(devs_lock(other, NULL), 0);
	devs_free(other);
	assert_int_equal(devs_lock(devs, NULL), 0);
	assert_int_equal(devs_sync(devs, NULL), 0);
}

static void console_out(const char *text)
{
	const uint64_t seg[][2] = { { DATA, strlen(text) } };
	uint16_t before = vdriver_used_idx(&drv[HVC0][1]);

	memcpy(mem.base + DATA, text, strlen(text));
	vdriver_chain(&drv[HVC0][1], 1, 0, seg);
	kick(HVC0, 1);
	wait_used(HVC0, 1, (uint16_t)(before + 1));
}

static void test_console(void **state)
{
	const uint64_t seg[][2] = { { DATA + 0x1000, 8 } };
	struct err err = { 0 };
	char text[64] = "", log[64] = "";
	uint32_t id, len;
	(void)state;

	attach(HVC0);
	console_out("before\n");
	int c = devs_console(devs, 0, false, NULL);
	assert_true(c >= 0);
	console_out("after\n");
	assert_int_equal(recv(c, text, 13, MSG_WAITALL), 13);
	assert_string_equal(text, "before\nafter\n");
	assert_int_equal(devs_console(devs, 0, false, &err), -EBUSY);
	assert_int_equal(devs_console(devs, 2, false, &err), -ENOENT);
	/* typed text waits until the guest has room for it */
	assert_int_equal(write(c, "0123456789", 10), 10);
	vdriver_chain(&drv[HVC0][0], 0, 1, seg);
	kick(HVC0, 0);
	wait_used(HVC0, 0, 1);
	vdriver_used(&drv[HVC0][0], 0, &id, &len);
	assert_int_equal(len, 8);
	assert_memory_equal(mem.base + DATA + 0x1000, "01234567", 8);
	vdriver_chain(&drv[HVC0][0], 0, 1, seg);
	kick(HVC0, 0);
	wait_used(HVC0, 0, 2);
	assert_memory_equal(mem.base + DATA + 0x1000, "89", 2);
	int c2 = devs_console(devs, 0, true, NULL);
	assert_true(c2 >= 0);
	assert_true(closed(c));
	int fd = open(cfg.console[0].log, O_RDONLY | O_CLOEXEC);
	assert_int_equal(read(fd, log, sizeof(log)), 13);
	assert_string_equal(log, "before\nafter\n");
	close(fd);
	close(c);
	close(c2);
	/* nobody reads: output is dropped, the guest goes on */
	int c3 = devs_console(devs, 0, true, NULL);
	char big[4001];
	memset(big, 'x', 4000);
	big[4000] = 0;
	for (int i = 0; i < 200; i++)
		console_out(big);
	struct hv_stats st = { 0 };
	devs_stats(devs, &st);
	assert_true(st.dev[HVC0].drops > 0);
	close(c3);
}

/* An order to the guest's agent reaches it although the host hung up before the guest had room for it. */
static void test_agent(void **state)
{
	const uint64_t seg[][2] = { { DATA, 64 } };
	uint32_t id, len;
	(void)state;

	attach(AGENT);
	int c = devs_console(devs, 1, true, NULL);
	assert_true(c >= 0);
	assert_int_equal(write(c, "hospes:ping\n", 12), 12);
	close(c);
	settle(AGENT);
	vdriver_chain(&drv[AGENT][0], 0, 1, seg);
	kick(AGENT, 0);
	wait_used(AGENT, 0, 1);
	vdriver_used(&drv[AGENT][0], 0, &id, &len);
	assert_int_equal(len, 12);
	assert_memory_equal(mem.base + DATA, "hospes:ping\n", 12);
	/* the next one is not refused for the sake of the one that left */
	vdriver_chain(&drv[AGENT][0], 0, 1, seg);
	kick(AGENT, 0);
	settle(AGENT);
	c = devs_console(devs, 1, false, NULL);
	assert_true(c >= 0);
	assert_int_equal(write(c, "x", 1), 1);
	wait_used(AGENT, 0, 2);
	close(c);
}

static void test_balloon(void **state)
{
	uint32_t pfn[3] = { 0x300, 0x301, 0x3ff };
	const uint64_t seg[][2] = { { DATA, sizeof(pfn) } }, page[][2] = { { 0x310000 - 100, 4096 * 3 } };
	uint32_t config[4] = { 4, 4, 0, 200 }, m[3];
	struct stat st;
	(void)state;

	assert_int_equal(devs_balloon(devs, MEM / 2, NULL), -EOPNOTSUPP);
	memset(mem.base + 0x300000, 0x77, 0x100000);
	attach(BALLOON);
	assert_int_equal(devs_balloon(devs, MEM / 2, NULL), 0);
	assert_int_equal(recv(req[BALLOON], m, sizeof(m), MSG_WAITALL), sizeof(m));
	assert_int_equal(m[0], VU_BACKEND_CONFIG_CHANGE);
	memcpy(mem.base + DATA, pfn, sizeof(pfn));
	vdriver_clean(&mem);
	vdriver_chain(&drv[BALLOON][0], 1, 0, seg);
	fstat(mem.fd, &st);
	blkcnt_t before = st.st_blocks;
	kick(BALLOON, 0);
	wait_used(BALLOON, 0, 1);
	fstat(mem.fd, &st);
	assert_true(before - st.st_blocks >= 3 * 8);
	assert_int_equal(mem.base[0x300000], 0);
	assert_int_equal(mem.base[0x302000], 0x77);
	assert_true(vdriver_dirty(&mem, 0x301000));
	assert_false(vdriver_dirty(&mem, 0x302000));
	/* a report of an odd range frees the whole pages in it only */
	vdriver_chain(&drv[BALLOON][2], 0, 1, page);
	kick(BALLOON, 2);
	wait_used(BALLOON, 2, 1);
	assert_int_equal(mem.base[0x310000 - 1], 0x77);
	assert_int_equal(mem.base[0x310000], 0);
	assert_int_equal(mem.base[0x311fff], 0);
	assert_int_equal(mem.base[0x312000], 0x77);
	put(sock[BALLOON], VU_SET_CONFIG, config, sizeof(config));
	settle(BALLOON);
	assert_int_equal(devs_balloon_bytes(devs), 200 * 4096);
	pfn[1] = MEM / 4096;
	memcpy(mem.base + DATA, pfn, sizeof(pfn));
	vdriver_chain(&drv[BALLOON][0], 1, 0, seg);
	kick(BALLOON, 0);
	settle(BALLOON);
	assert_int_equal(atomic_load(&broken_events), 1);
	assert_string_equal(broken_why, "balloon0: a balloon page is outside guest memory");
}

/* Hostile drivers -------------------------------------------------------------------------------------------------------- */

static void test_broken_alone(void **state)
{
	const uint64_t seg[][2] = { { DATA, 32 } }, beyond[][2] = { { MEM, 1 } };
	(void)state;

	attach(RNG0);
	attach(VDA);
	vdriver_chain(&drv[RNG0][0], 0, 1, beyond);
	kick(RNG0, 0);
	/* the connection lives, so that the guest's driver never hangs in a request */
	settle(RNG0);
	assert_int_equal(atomic_load(&broken_events), 1);
	assert_string_equal(broken_why, "rng0: a descriptor is outside guest memory");
	vdriver_chain(&drv[RNG0][0], 0, 1, seg);
	kick(RNG0, 0);
	settle(RNG0);
	assert_int_equal(vdriver_used_idx(&drv[RNG0][0]), 0);
	assert_int_equal(atomic_load(&broken_events), 1);
	assert_int_equal(blk(0, 0, 512), 0);
	struct hv_stats st = { 0 };
	devs_stats(devs, &st);
	assert_int_equal(st.dev[RNG0].broken, 1);
	assert_int_equal(st.dev[VDA].broken, 0);
}

static void p_garbage(void)
{
	assert_int_equal(send(sock[RNG0], "garbage garbage", 15, 0), 15);
}
static void p_queue(void)
{
	kick(RNG0, 1);
}
static void p_features(void)
{
	put_u64(sock[RNG0], VU_SET_FEATURES, ~0ull);
}
static void p_live_features(void)
{
	put_u64(sock[RNG0], VU_SET_FEATURES, FEATURES);
}
static void p_proto(void)
{
	put_u64(sock[RNG0], VU_SET_PROTOCOL_FEATURES, VU_PF_NEEDED | 8);
}
static void p_size(void)
{
	put_state(sock[RNG0], VU_SET_VRING_ENABLE, 0, 0);
	put_state(sock[RNG0], VU_SET_VRING_NUM, 0, 512);
}
static void p_live_ring(void)
{
	put_state(sock[RNG0], VU_SET_VRING_BASE, 0, 3);
}
static void p_table(void)
{
	uint64_t t[9] = { 1, 0, MEM + 4096, 0, 0 };
	put(sock[RNG0], VU_SET_MEM_TABLE, t, sizeof(t));
}
static void p_table_moved(void)
{
	uint64_t t[9] = { 1, 0, 4096, 0, 4096 };
	put(sock[RNG0], VU_SET_MEM_TABLE, t, sizeof(t));
}
static void p_no_fd(void)
{
	put(sock[RNG0], VU_SET_BACKEND_REQ_FD, NULL, 0);
}
static void p_wrong_fd(void)
{
	uint32_t h[3] = { VU_SET_BACKEND_REQ_FD, 1, 0 };
	struct iovec iov = { h, sizeof(h) };
	union {
		struct cmsghdr h;
		char space[CMSG_SPACE(sizeof(int))];
	} ctl = { 0 };
	struct msghdr mh = { .msg_iov = &iov, .msg_iovlen = 1, .msg_control = &ctl, .msg_controllen = sizeof(ctl) };
	int fd = open("/dev/null", O_RDWR | O_CLOEXEC);

	ctl.h = (struct cmsghdr){ .cmsg_len = CMSG_LEN(sizeof(int)),
		                  .cmsg_level = SOL_SOCKET,
		                  .cmsg_type = SCM_RIGHTS };
	memcpy(CMSG_DATA(&ctl.h), &fd, sizeof(fd));
	assert_int_equal(sendmsg(sock[RNG0], &mh, 0), sizeof(h));
	close(fd);
}

static void test_protocol_hostile(void **state)
{
	static const struct {
		void (*attack)(void);
		const char *why;
	} all[] = {
		{ p_garbage, "too large" },       { p_queue, "queue index" },
		{ p_features, "not offered" },    { p_live_features, "while a queue" },
		{ p_proto, "protocol features" }, { p_size, "queue size" },
		{ p_live_ring, "while enabled" }, { p_table, "larger than its memory" },
		{ p_table_moved, "in order" },    { p_no_fd, "no descriptor" },
		{ p_wrong_fd, "stream socket" },
	};
	(void)state;

	for (size_t i = 0; i < ARRAY_SIZE(all); i++) {
		attach(RNG0);
		all[i].attack();
		assert_true(closed(sock[RNG0]));
		assert_int_equal(atomic_load(&broken_events), (int)i + 1);
		if (!strstr(broken_why, all[i].why))
			fail_msg("case %zu: %s", i, broken_why);
		assert_false(devs_attached(devs, RNG0));
		close(sock[RNG0]);
		close(req[RNG0]);
		sock[RNG0] = req[RNG0] = -1;
	}
}

/* A driver that does not take its calls or replies is not waited for. */
static void test_deaf_driver(void **state)
{
	const uint64_t seg[][2] = { { DATA, 4 } };
	(void)state;

	attach(RNG0);
	for (unsigned i = 0; i < 20000; i++) {
		vdriver_chain(&drv[RNG0][0], 0, 1, seg);
		kick(RNG0, 0);
		if (i % 32 == 31)
			wait_used(RNG0, 0, (uint16_t)(i + 1));
	}
	/* a call that met a full socket comes when there is room */
	char sink[65536];
	int full = 0, total = 0;
	struct pollfd p = { .fd = req[RNG0], .events = POLLIN };
	assert_int_equal(ioctl(req[RNG0], FIONREAD, &full), 0);
	assert_true(full > 0 && full < 20000 * 20);
	while (poll(&p, 1, 300) == 1)
		total += (int)recv(req[RNG0], sink, sizeof(sink), MSG_DONTWAIT);
	assert_true(total > full && total % 20 == 0);
	attach(HVC0);
	assert_int_equal(fcntl(sock[HVC0], F_SETFL, O_NONBLOCK), 0);
	uint32_t h[3] = { VU_GET_FEATURES, 1, 0 };
	unsigned sent = 0;
	for (; sent < 2000000 && send(sock[HVC0], h, sizeof(h), MSG_NOSIGNAL) == sizeof(h); sent++)
		;
	assert_true(sent < 2000000);
	/* the other device does not care */
	vdriver_chain(&drv[RNG0][0], 0, 1, seg);
	kick(RNG0, 0);
	wait_used(RNG0, 0, 20001);
}

/* Boot ------------------------------------------------------------------------------------------------------------------- */

static int boot_connect(int dev, const char *path)
{
	struct sockaddr_un sa = { .sun_family = AF_UNIX };

	assert_true(strlen(path) < sizeof(sa.sun_path));
	memcpy(sa.sun_path, path, strlen(path) + 1);
	int s = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
	assert_int_equal(connect(s, (struct sockaddr *)&sa, sizeof(sa)), 0);
	sock[dev] = s;
	return s;
}

static void test_listen_and_reboot(void **state)
{
	char path[108];
	struct sockaddr_un sa = { .sun_family = AF_UNIX };
	const uint64_t seg[][2] = { { DATA, 32 } };
	(void)state;

	snprintf(path, sizeof(path), "%s/s", dir);
	assert_true(strlen(path) < sizeof(sa.sun_path));
	memcpy(sa.sun_path, path, strlen(path) + 1);
	int l = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
	assert_int_equal(bind(l, (struct sockaddr *)&sa, sizeof(sa)), 0);
	assert_int_equal(listen(l, 1), 0);
	assert_int_equal(devs_attach_listen(devs, RNG0, l, NULL), 0);
	for (int round = 0; round < 3; round++) {
		assert_false(devs_attached(devs, RNG0));
		boot_connect(RNG0, path);
		handshake(RNG0);
		assert_true(devs_attached(devs, RNG0));
		vdriver_chain(&drv[RNG0][0], 0, 1, seg);
		kick(RNG0, 0);
		wait_used(RNG0, 0, 1);
		close(sock[RNG0]);
		for (int i = 0; i < 1000 && devs_attached(devs, RNG0); i++)
			usleep(1000);
	}
	sock[RNG0] = -1;
	/* memory was set by us: the driver's descriptors are of no interest */
	assert_int_equal(devs_take_mem_fd(devs), -1);
	assert_int_equal(atomic_load(&broken_events), 0);
}

/* State ------------------------------------------------------------------------------------------------------------------ */

static void save(struct devs *d, struct buf *out)
{
	buf_reset(out);
	assert_int_equal(devs_save(d, out, NULL), 0);
}

/* All devices attached and used, half a request in a socket, typed text that the guest has not read; then saved. */
static void lived(struct buf *out)
{
	uint32_t config[4] = { 4, 4, 0, 55 };

	for (int i = 0; i < N_DEVS; i++)
		attach(i);
	assert_int_equal(blk(1, 0, 512), 0);
	console_out("a life\n");
	int c = devs_console(devs, 0, false, NULL);
	assert_int_equal(write(c, "typed", 5), 5);
	put(sock[BALLOON], VU_SET_CONFIG, config, sizeof(config));
	kick(RNG0, 0);
	assert_int_equal(send(sock[RNG0], "\x23\0\0\0\1", 5, 0), 5);
	assert_int_equal(devs_quiesce(devs, NULL), 0);
	save(devs, out);
	close(c);
}

static void test_round_trip(void **state)
{
	_cleanup_buf_ struct buf a = { 0 }, b = { 0 };
	struct devs *d2 = NULL;
	const uint64_t seg[][2] = { { DATA, 32 } }, in[][2] = { { DATA + 0x1000, 16 } };
	int old[N_DEVS], old_req[N_DEVS];
	(void)state;

	lived(&a);
	assert_int_equal(devs_new(&cfg, &events, &d2, NULL), 0);
	assert_int_equal(devs_start(d2, NULL), 0);
	devs_set_mem(d2, &mem);
	struct rd rd = rd_of(a.data, a.len);
	assert_int_equal(devs_load(d2, &rd, NULL), 0);
	assert_int_equal(rd.left, 0);
	save(d2, &b);
	assert_int_equal(a.len, b.len);
	assert_memory_equal(a.data, b.data, a.len);
	/* the guest goes on with the new set, on fresh sockets */
	for (int i = 0; i < N_DEVS; i++) {
		old[i] = sock[i];
		old_req[i] = req[i];
	}
	devs_free(devs);
	devs = d2;
	for (int i = 0; i < N_DEVS; i++) {
		close(old[i]);
		close(old_req[i]);
		pair(i);
		assert_true(devs_attached(devs, (size_t)i));
	}
	/* a restore that is tried again */
	rd = rd_of(a.data, a.len);
	assert_int_equal(devs_load(devs, &rd, NULL), 0);
	for (int i = 0; i < N_DEVS; i++) {
		assert_true(closed(sock[i]));
		close(sock[i]);
		close(req[i]);
		pair(i);
	}
	/* offered before the resume and never kicked */
	vdriver_chain(&drv[RNG0][0], 0, 1, seg);
	assert_int_equal(devs_resume(devs, true, NULL), 0);
	rd = rd_of(a.data, a.len);
	assert_int_equal(devs_load(devs, &rd, NULL), -EBUSY);
	wait_used(RNG0, 0, 1);
	for (int i = 0; i < N_DEVS; i++)
		wait_call(i, 0);
	/* the other half of the request: a kick */
	vdriver_chain(&drv[RNG0][0], 0, 1, seg);
	assert_int_equal(send(sock[RNG0], "\0\0\0\x8\0\0\0\0\0\0\0\0\0\0\0", 15, 0), 15);
	wait_used(RNG0, 0, 2);
	vdriver_chain(&drv[HVC0][0], 0, 1, in);
	kick(HVC0, 0);
	wait_used(HVC0, 0, 1);
	assert_memory_equal(mem.base + DATA + 0x1000, "typed", 5);
	assert_int_equal(devs_balloon_bytes(devs), 55 * 4096);
	assert_int_equal(blk(0, 0, 512), 0);
	int c = devs_console(devs, 0, false, NULL);
	char text[16] = "";
	assert_int_equal(recv(c, text, 7, MSG_WAITALL), 7);
	assert_string_equal(text, "a life\n");
	close(c);
	assert_int_equal(atomic_load(&broken_events), 0);
}

static void test_state_hostile(void **state)
{
	_cleanup_buf_ struct buf a = { 0 }, empty = { 0 }, b = { 0 };
	struct devs *d2 = NULL;
	(void)state;

	lived(&a);
	assert_int_equal(devs_new(&cfg, NULL, &d2, NULL), 0);
	assert_int_equal(devs_quiesce(d2, NULL), 0);
	save(d2, &empty);
	for (size_t n = 0; n < a.len; n++) {
		struct err err = { 0 };
		struct rd rd = rd_of(a.data, n);
		assert_int_equal(devs_load(d2, &rd, &err), -EINVAL);
		assert_true(err.code == EINVAL && err.text[0]);
		assert_int_equal(rd.left, n);
	}
	save(d2, &b);
	assert_int_equal(b.len, empty.len);
	assert_memory_equal(b.data, empty.data, b.len);
	/* each octet turned over: refused, or accepted whole; never a crash, never more than was there */
	unsigned refused = 0;
	for (size_t n = 0; n < a.len; n++) {
		a.data[n] ^= 0xff;
		struct rd rd = rd_of(a.data, a.len);
		int r = devs_load(d2, &rd, NULL);
		assert_true(r == 0 || r == -EINVAL);
		refused += r != 0;
		a.data[n] ^= 0xff;
	}
	assert_true(refused > 60);
	struct rd rd = rd_of(a.data, a.len);
	assert_int_equal(devs_load(d2, &rd, NULL), 0);
	devs_free(d2);
}

/* A state of other devices is refused with the reason. */
static void test_state_other(void **state)
{
	_cleanup_buf_ struct buf a = { 0 };
	struct devs *d2 = NULL;
	struct err err = { 0 };
	(void)state;

	lived(&a);
	assert_int_equal(truncate(cfg.disk[0].source, DISK_BYTES * 2), 0);
	assert_int_equal(devs_new(&cfg, NULL, &d2, NULL), 0);
	struct rd rd = rd_of(a.data, a.len);
	assert_int_equal(devs_load(d2, &rd, &err), -EINVAL);
	assert_non_null(strstr(err.text, "not the same disk"));
	devs_free(d2);
	assert_int_equal(truncate(cfg.disk[0].source, DISK_BYTES), 0);
	cfg.disk[0].readonly = true;
	assert_int_equal(devs_new(&cfg, NULL, &d2, NULL), 0);
	rd = rd_of(a.data, a.len);
	assert_int_equal(devs_load(d2, &rd, &err), -EINVAL);
	assert_non_null(strstr(err.text, "features"));
	devs_free(d2);
	cfg.disk[0].readonly = false;
	cfg.n_rngs = 2;
	assert_int_equal(devs_new(&cfg, NULL, &d2, NULL), 0);
	rd = rd_of(a.data, a.len);
	assert_int_equal(devs_load(d2, &rd, &err), -EINVAL);
	assert_non_null(strstr(err.text, "5 devices"));
	devs_free(d2);
	assert_int_equal(devs_save(devs, &a, NULL), 0);
	assert_int_equal(devs_resume(devs, false, NULL), 0);
	assert_int_equal(devs_save(devs, &a, NULL), -EBUSY);
}

/* Errors at opening ------------------------------------------------------------------------------------------------------ */

static void test_open_errors(void **state)
{
	struct devs *d2 = NULL;
	struct err err = { 0 };
	char *good = cfg.disk[0].source, path[256];
	(void)state;

	snprintf(path, sizeof(path), "%s/missing.img", dir);
	cfg.disk[0].source = path;
	assert_int_equal(devs_new(&cfg, NULL, &d2, &err), -ENOENT);
	assert_non_null(strstr(err.text, "missing.img"));
	cfg.disk[0].source = dir;
	assert_true(devs_new(&cfg, NULL, &d2, &err) < 0);
	cfg.disk[0].source = (char *)"/dev/null";
	assert_int_equal(devs_new(&cfg, NULL, &d2, &err), -EINVAL);
	cfg.disk[0].source = good;
	assert_int_equal(truncate(good, 0), 0);
	assert_int_equal(devs_new(&cfg, NULL, &d2, &err), -EINVAL);
	assert_non_null(strstr(err.text, "empty"));
	assert_null(d2);
}

static void test_allocations(void **state)
{
	int r = 0;
	unsigned failures = 0;
	(void)state;

	FOR_EACH_ALLOC_FAILURE(r = devs_new(&cfg, NULL, &devs, NULL))
	{
		if (alloc_failed)
			failures++;
		assert_true(r == 0 || r == -ENOMEM);
		if (!r)
			devs_free(devs);
		devs = NULL;
	}
	assert_true(failures > 5);
	assert_int_equal(r, 0);
}

static int setup_allocations(void **state)
{
	int r = setup(state);

	devs_free(devs);
	devs = NULL;
	return r;
}

int main(void)
{
#define T(f) cmocka_unit_test_setup_teardown(f, setup, teardown)
	const struct CMUnitTest tests[] = {
		T(test_rng),
		T(test_disk),
		T(test_disk_errors),
		T(test_lock),
		T(test_console),
		T(test_agent),
		T(test_balloon),
		T(test_broken_alone),
		T(test_protocol_hostile),
		T(test_deaf_driver),
		T(test_listen_and_reboot),
		T(test_round_trip),
		T(test_state_hostile),
		T(test_state_other),
		T(test_open_errors),
		cmocka_unit_test_setup_teardown(test_allocations, setup_allocations, teardown),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
