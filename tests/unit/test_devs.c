/* SPDX-License-Identifier: GPL-2.0-or-later */
/* The device set behind devs.h at work: entropy, disk, consoles and balloon; hostile drivers; errors at opening. */
#include "config.h"
#include "tests/unit/devfixture.h"

#include <fcntl.h>
#include <poll.h>
#include <sched.h>
#include <sys/ioctl.h>
#include <sys/mount.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>

#include "common/boundlog.h"
#include "common/loop.h"
#include "common/util.h"

static int setup_direct(void **state)
{
	fx.cache = DOM_CACHE_NONE;
	int r = fx_setup(state);
	fx.cache = DOM_CACHE_DEFAULT;
	return r;
}

static int setup_writethrough(void **state)
{
	fx.cache = DOM_CACHE_WRITETHROUGH;
	int r = fx_setup(state);
	fx.cache = DOM_CACHE_DEFAULT;
	return r;
}

/* The image on a file system of 100 KiB. */
static void mount_small(void)
{
	char path[256];

	snprintf(path, sizeof(path), "%s/full", fx.dir);
	if (geteuid() != 0 || unshare(CLONE_NEWNS) < 0 || mount(NULL, "/", NULL, MS_REC | MS_PRIVATE, NULL) < 0 ||
	    mkdir(path, 0700) < 0 || mount("tmpfs", path, "tmpfs", 0, "size=100k") < 0)
		return;
	fx.image_dir = "full";
}

static int setup_full(void **state)
{
	fx.prepare = mount_small;
	fx.error_policy = DOM_ERROR_REPORT;
	int r = fx_setup(state);
	fx.error_policy = DOM_ERROR_DEFAULT;
	fx.prepare = NULL;
	return r;
}

static int teardown_full(void **state)
{
	char path[256];

	snprintf(path, sizeof(path), "%s/full", fx.dir);
	if (fx.image_dir)
		umount2(path, MNT_DETACH);
	fx.image_dir = NULL;
	return fx_teardown(state);
}

/* Devices at work -------------------------------------------------------------------------------------------------------- */

static void test_rng(void **state)
{
	const uint64_t seg[][2] = { { FX_DATA, 32 }, { FX_DATA + 0x1000, 64 } };
	uint32_t id, len;
	unsigned zeros = 0;
	(void)state;

	fx_attach(RNG0);
	vdriver_clean(&fx.mem);
	vdriver_chain(&fx.drv[RNG0][0], 0, 2, seg);
	fx_kick(RNG0, 0);
	fx_wait_used(RNG0, 0, 1);
	fx_wait_call(RNG0, 0);
	vdriver_used(&fx.drv[RNG0][0], 0, &id, &len);
	assert_int_equal(len, 96);
	for (int i = 0; i < 32; i++)
		zeros += !fx.mem.base[FX_DATA + (uint64_t)i];
	assert_true(zeros < 8);
	assert_true(vdriver_dirty(&fx.mem, FX_DATA));
	assert_true(vdriver_dirty(&fx.mem, FX_DATA + 0x1000));
	assert_false(vdriver_dirty(&fx.mem, FX_DATA + 0x2000));
}

static void test_disk(void **state)
{
	struct {
		uint64_t sector;
		uint32_t n, flags;
	} range = { 8, 8, 0 };
	uint64_t last = FX_DISK_BYTES / 512 - 1;
	struct stat st;
	(void)state;

	fx_attach(VDA);
	memset(fx.mem.base + FX_DATA, 0x5a, 8192);
	assert_int_equal(fx_blk(1, 8, 8192), 0);
	assert_int_equal(fx_blk(4, 0, 0), 0);
	memset(fx.mem.base + FX_DATA, 0, 8192);
	vdriver_clean(&fx.mem);
	assert_int_equal(fx_blk(0, 9, 4096), 0);
	assert_int_equal(fx.mem.base[FX_DATA], 0x5a);
	assert_true(vdriver_dirty(&fx.mem, FX_DATA));
	assert_false(vdriver_dirty(&fx.mem, FX_DATA + 0x1000));
	assert_int_equal(fx_blk(0, last, 512), 0);
	assert_int_equal(fx_blk(8, 0, 20), 0);
	assert_string_equal((char *)fx.mem.base + FX_DATA, "vda");
	/* zero, then discard the first 4 KiB that were written */
	memcpy(fx.mem.base + FX_DATA, &range, sizeof(range));
	assert_int_equal(fx_blk(13, 0, 16), 0);
	assert_int_equal(fx_blk(0, 8, 4096), 0);
	assert_int_equal(fx.mem.base[FX_DATA], 0);
	memcpy(fx.mem.base + FX_DATA, &range, sizeof(range));
	assert_int_equal(fx_blk(11, 0, 16), 0);
	assert_int_equal(stat(fx.cfg.disk[0].source, &st), 0);
	assert_int_equal(st.st_size, FX_DISK_BYTES);
	/* what a guest may not have */
	assert_int_equal(fx_blk(0, last, 1024), 1);
	assert_int_equal(fx_blk(0, UINT64_MAX, 512), 1);
	assert_int_equal(fx_blk(1, last + 1, 512), 1);
	assert_int_equal(fx_blk(1, 0, 100), 1);
	assert_int_equal(fx_blk(77, 0, 512), 2);
	range.sector = last;
	memcpy(fx.mem.base + FX_DATA, &range, sizeof(range));
	assert_int_equal(fx_blk(13, 0, 16), 1);
	assert_int_equal(fx_blk(11, 0, 16), 1);
	assert_int_equal(fx_blk(13, 0, 15), 1);
	assert_int_equal(atomic_load(&fx.broken_events), 0);
}

static void test_disk_errors(void **state)
{
	(void)state;
	fx_attach(VDA);
	/* the image shrinks under us: an error for the guest, nothing worse */
	assert_int_equal(truncate(fx.cfg.disk[0].source, 4096), 0);
	assert_int_equal(fx_blk(0, 100, 4096), 1);
	assert_int_equal(fx_blk(0, 0, 4096), 0);
	struct hv_stats st = { 0 };
	devs_stats(fx.devs, &st);
	assert_int_equal(st.n_devs, N_DEVS);
	assert_string_equal(st.dev[VDA].name, "vda");
	assert_int_equal(st.dev[VDA].errors, 1);
	assert_int_equal(st.dev[VDA].rd_ops, 2);
}

/* O_DIRECT where the file system has it: aligned buffers as they are, others by way of a bounce. */
static void test_disk_direct(void **state)
{
	uint8_t want[12288];
	(void)state;

	fx_attach(VDA);
	for (unsigned shift = 0; shift < 1024; shift += 8 + shift * 3) {
		fx.data_at = FX_DATA + shift;
		for (size_t i = 0; i < sizeof(want); i++)
			want[i] = (uint8_t)(i * 7 + shift);
		memcpy(fx.mem.base + fx.data_at, want, sizeof(want));
		assert_int_equal(fx_blk(1, 16, sizeof(want)), 0);
		memset(fx.mem.base + fx.data_at, 0, sizeof(want));
		fx.data_at += 40;
		assert_int_equal(fx_blk(0, 17, sizeof(want) - 512), 0);
		assert_memory_equal(fx.mem.base + fx.data_at, want + 512, sizeof(want) - 512);
	}
	fx.data_at = 0;
	assert_int_equal(fx_blk(0, FX_DISK_BYTES / 512, 512), 1);
}

static void test_disk_writethrough(void **state)
{
	struct {
		uint64_t sector;
		uint32_t n, flags;
	} range = { 0, 8, 1 };
	(void)state;

	fx_pair(VDA);
	assert_int_equal(fx_get_u64(fx.sock[VDA], VU_GET_FEATURES) & (1 << 9), 0);
	close(fx.sock[VDA]);
	close(fx.req[VDA]);
	fx_attach_features(VDA, FX_FEATURES | 1 << 14);
	memset(fx.mem.base + FX_DATA, 0x5a, 4096);
	assert_int_equal(fx_blk(1, 0, 4096), 0);
	memcpy(fx.mem.base + FX_DATA, &range, sizeof(range));
	assert_int_equal(fx_blk(13, 0, 16), 0);
	assert_int_equal(fx_blk(0, 0, 4096), 0);
	assert_int_equal(fx.mem.base[FX_DATA], 0);
	/* not negotiated */
	assert_int_equal(fx_blk(11, 0, 16), 2);
}

static void test_disk_full(void **state)
{
	(void)state;
	if (!fx.image_dir)
		skip(); /* needs root, to mount a small file system */
	fx_attach(VDA);
	memset(fx.mem.base + FX_DATA, 0x5a, 65536);
	assert_int_equal(fx_blk(1, 0, 65536), 0);
	assert_int_equal(fx_blk(1, 1024, 65536), 1);
	assert_int_equal(fx_blk(4, 0, 0), 0);
	assert_int_equal(fx_blk(0, 0, 512), 0);
	assert_int_equal(fx.mem.base[FX_DATA], 0x5a);
	struct hv_stats st = { 0 };
	devs_stats(fx.devs, &st);
	assert_int_equal(st.dev[VDA].errors, 1);
}

static void test_lock(void **state)
{
	struct devs *other = NULL;
	struct err err = { 0 };
	(void)state;

	assert_int_equal(devs_lock(fx.devs, NULL), 0);
	assert_int_equal(devs_new(&fx.cfg, &vudev_transport, NULL, &other, NULL), 0);
	assert_int_equal(devs_lock(other, &err), -EAGAIN);
	assert_non_null(strstr(err.text, fx.cfg.disk[0].source));
	devs_unlock(fx.devs);
	assert_int_equal(devs_lock(other, NULL), 0);
	devs_free(other);
	assert_int_equal(devs_lock(fx.devs, NULL), 0);
	assert_int_equal(devs_sync(fx.devs, NULL), 0);
}

static void test_console(void **state)
{
	const uint64_t seg[][2] = { { FX_DATA + 0x1000, 8 } };
	struct err err = { 0 };
	char text[64] = "", log[64] = "";
	uint32_t id, len;
	(void)state;

	fx_attach(HVC0);
	fx_console_out("before\n");
	int c = devs_console(fx.devs, 0, false, NULL);
	assert_true(c >= 0);
	fx_console_out("after\n");
	assert_int_equal(recv(c, text, 13, MSG_WAITALL), 13);
	assert_string_equal(text, "before\nafter\n");
	assert_int_equal(devs_console(fx.devs, 0, false, &err), -EBUSY);
	assert_int_equal(devs_console(fx.devs, 2, false, &err), -ENOENT);
	/* typed text waits until the guest has room for it */
	assert_int_equal(write(c, "0123456789", 10), 10);
	vdriver_chain(&fx.drv[HVC0][0], 0, 1, seg);
	fx_kick(HVC0, 0);
	fx_wait_used(HVC0, 0, 1);
	vdriver_used(&fx.drv[HVC0][0], 0, &id, &len);
	assert_int_equal(len, 8);
	assert_memory_equal(fx.mem.base + FX_DATA + 0x1000, "01234567", 8);
	vdriver_chain(&fx.drv[HVC0][0], 0, 1, seg);
	fx_kick(HVC0, 0);
	fx_wait_used(HVC0, 0, 2);
	assert_memory_equal(fx.mem.base + FX_DATA + 0x1000, "89", 2);
	int c2 = devs_console(fx.devs, 0, true, NULL);
	assert_true(c2 >= 0);
	assert_true(fx_closed(c));
	int fd = open(fx.cfg.console[0].log, O_RDONLY | O_CLOEXEC);
	assert_int_equal(read(fd, log, sizeof(log)), 13);
	assert_string_equal(log, "before\nafter\n");
	close(fd);
	close(c);
	close(c2);
	/* nobody reads: output is dropped, the guest goes on */
	int c3 = devs_console(fx.devs, 0, true, NULL);
	char big[4001];
	memset(big, 'x', 4000);
	big[4000] = 0;
	for (int i = 0; i < 200; i++)
		fx_console_out(big);
	struct hv_stats st = { 0 };
	devs_stats(fx.devs, &st);
	assert_true(st.dev[HVC0].drops > 0);
	close(c3);
}

/* A guest that prints without an end: two pieces of its log stay, and its last words are in them. */
static void test_console_bounded(void **state)
{
	static char line[32769];
	_cleanup_free_ char *past = xasprintf("%s.1", fx.cfg.console[0].log);
	struct stat now, old;
	(void)state;

	fx_attach(HVC0);
	memset(line, 'x', sizeof(line) - 1);
	for (int i = 0; i < 300; i++)
		fx_console_out(line);
	assert_int_equal(stat(fx.cfg.console[0].log, &now), 0);
	assert_int_equal(stat(past, &old), 0);
	assert_int_equal(old.st_size, BOUNDLOG_PIECE);
	assert_int_equal(now.st_size, 300 * 32768 - 2 * BOUNDLOG_PIECE);
}

static void test_disk_grows(void **state)
{
	static const struct {
		const char *disk;
		uint64_t bytes;
		int r;
	} wrong[] = { { "vdb", 2u << 20, -ENOENT },
		      { "hvc0", 2u << 20, -ENOENT },
		      { "vda", FX_DISK_BYTES / 2, -EINVAL },
		      { "vda", FX_DISK_BYTES + 100, -EINVAL },
		      { "vda", 0, -EINVAL },
		      { "vda", 1ull << 63, -EINVAL } };
	const uint64_t last = 3 * FX_DISK_BYTES / 512 - 1;
	struct err err = { 0 };
	struct stat st;
	uint32_t m[3];
	(void)state;

	fx_attach(VDA);
	for (size_t i = 0; i < ARRAY_SIZE(wrong); i++)
		assert_int_equal(devs_grow(fx.devs, wrong[i].disk, wrong[i].bytes, &err), wrong[i].r);
	assert_int_equal(devs_grow(fx.devs, "vda", 3 * FX_DISK_BYTES, &err), 0);
	assert_int_equal(stat(fx.cfg.disk[0].source, &st), 0);
	assert_int_equal(st.st_size, 3 * FX_DISK_BYTES);
	/* the guest may use it once it was told */
	assert_int_equal(fx_blk(1, last, 512), 1);
	assert_int_equal(devs_grown(fx.devs, "vda", &err), 0);
	/* calls of before have a payload of 8 octets */
	while (recv(fx.req[VDA], m, sizeof(m), MSG_WAITALL) == sizeof(m) && m[0] == VU_BACKEND_VRING_CALL)
		assert_int_equal(recv(fx.req[VDA], m, 8, MSG_WAITALL), 8);
	assert_int_equal(m[0], VU_BACKEND_CONFIG_CHANGE);
	assert_int_equal(fx_blk(1, last, 512), 0);
	assert_int_equal(fx_blk(1, last + 1, 512), 1);
	/* who made it larger still knows why */
	assert_int_equal(truncate(fx.cfg.disk[0].source, 4 * FX_DISK_BYTES), 0);
	assert_int_equal(devs_grow(fx.devs, "vda", 3 * FX_DISK_BYTES, &err), -EINVAL);
	assert_non_null(strstr(err.text, "4194304"));
	assert_int_equal(devs_grow(fx.devs, "vda", 4 * FX_DISK_BYTES, &err), 0);
}

static void test_balloon(void **state)
{
	uint32_t pfn[3] = { 0x300, 0x301, 0x3ff };
	const uint64_t seg[][2] = { { FX_DATA, sizeof(pfn) } }, page[][2] = { { 0x310000 - 100, 4096 * 3 } };
	uint32_t config[4] = { 4, 4, 0, 200 }, m[3];
	struct stat st;
	(void)state;

	assert_int_equal(devs_balloon(fx.devs, FX_MEM / 2, NULL), -EOPNOTSUPP);
	memset(fx.mem.base + 0x300000, 0x77, 0x100000);
	fx_attach(BALLOON);
	assert_int_equal(devs_balloon(fx.devs, FX_MEM / 2, NULL), 0);
	assert_int_equal(recv(fx.req[BALLOON], m, sizeof(m), MSG_WAITALL), sizeof(m));
	assert_int_equal(m[0], VU_BACKEND_CONFIG_CHANGE);
	memcpy(fx.mem.base + FX_DATA, pfn, sizeof(pfn));
	vdriver_clean(&fx.mem);
	vdriver_chain(&fx.drv[BALLOON][0], 1, 0, seg);
	fstat(fx.mem.fd, &st);
	blkcnt_t before = st.st_blocks;
	fx_kick(BALLOON, 0);
	fx_wait_used(BALLOON, 0, 1);
	fstat(fx.mem.fd, &st);
	assert_true(before - st.st_blocks >= 3 * 8);
	assert_int_equal(fx.mem.base[0x300000], 0);
	assert_int_equal(fx.mem.base[0x302000], 0x77);
	assert_true(vdriver_dirty(&fx.mem, 0x301000));
	assert_false(vdriver_dirty(&fx.mem, 0x302000));
	/* a report of an odd range frees the whole pages in it only */
	vdriver_chain(&fx.drv[BALLOON][2], 0, 1, page);
	fx_kick(BALLOON, 2);
	fx_wait_used(BALLOON, 2, 1);
	assert_int_equal(fx.mem.base[0x310000 - 1], 0x77);
	assert_int_equal(fx.mem.base[0x310000], 0);
	assert_int_equal(fx.mem.base[0x311fff], 0);
	assert_int_equal(fx.mem.base[0x312000], 0x77);
	fx_put(fx.sock[BALLOON], VU_SET_CONFIG, config, sizeof(config));
	fx_settle(BALLOON);
	assert_int_equal(devs_balloon_bytes(fx.devs), 200 * 4096);
	pfn[1] = FX_MEM / 4096;
	memcpy(fx.mem.base + FX_DATA, pfn, sizeof(pfn));
	vdriver_chain(&fx.drv[BALLOON][0], 1, 0, seg);
	fx_kick(BALLOON, 0);
	fx_settle(BALLOON);
	assert_int_equal(atomic_load(&fx.broken_events), 1);
	assert_string_equal(fx.broken_why, "balloon0: a balloon page is outside guest memory");
}

/* Hostile drivers -------------------------------------------------------------------------------------------------------- */

static void test_broken_alone(void **state)
{
	const uint64_t seg[][2] = { { FX_DATA, 32 } }, beyond[][2] = { { FX_MEM, 1 } };
	(void)state;

	fx_attach(RNG0);
	fx_attach(VDA);
	vdriver_chain(&fx.drv[RNG0][0], 0, 1, beyond);
	fx_kick(RNG0, 0);
	/* the connection lives, so that the guest's driver never hangs in a request */
	fx_settle(RNG0);
	assert_int_equal(atomic_load(&fx.broken_events), 1);
	assert_string_equal(fx.broken_why, "rng0: a descriptor is outside guest memory");
	vdriver_chain(&fx.drv[RNG0][0], 0, 1, seg);
	fx_kick(RNG0, 0);
	fx_settle(RNG0);
	assert_int_equal(vdriver_used_idx(&fx.drv[RNG0][0]), 0);
	assert_int_equal(atomic_load(&fx.broken_events), 1);
	assert_int_equal(fx_blk(0, 0, 512), 0);
	struct hv_stats st = { 0 };
	devs_stats(fx.devs, &st);
	assert_int_equal(st.dev[RNG0].broken, 1);
	assert_int_equal(st.dev[VDA].broken, 0);
}

static void p_garbage(void)
{
	assert_int_equal(send(fx.sock[RNG0], "garbage garbage", 15, 0), 15);
}
static void p_queue(void)
{
	fx_kick(RNG0, 1);
}
static void p_features(void)
{
	fx_put_u64(fx.sock[RNG0], VU_SET_FEATURES, ~0ull);
}
static void p_live_features(void)
{
	fx_put_u64(fx.sock[RNG0], VU_SET_FEATURES, FX_FEATURES);
}
static void p_proto(void)
{
	fx_put_u64(fx.sock[RNG0], VU_SET_PROTOCOL_FEATURES, VU_PF_NEEDED | 8);
}
static void p_size(void)
{
	fx_put_state(fx.sock[RNG0], VU_SET_VRING_ENABLE, 0, 0);
	fx_put_state(fx.sock[RNG0], VU_SET_VRING_NUM, 0, 512);
}
static void p_live_ring(void)
{
	fx_put_state(fx.sock[RNG0], VU_SET_VRING_BASE, 0, 3);
}
static void p_no_fd(void)
{
	fx_put(fx.sock[RNG0], VU_SET_BACKEND_REQ_FD, NULL, 0);
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
	assert_int_equal(sendmsg(fx.sock[RNG0], &mh, 0), sizeof(h));
	close(fd);
}

static void test_protocol_hostile(void **state)
{
	static const struct {
		void (*attack)(void);
		const char *why;
	} all[] = {
		{ p_garbage, "too large" },           { p_queue, "queue index" },       { p_features, "not offered" },
		{ p_live_features, "while a queue" }, { p_proto, "protocol features" }, { p_size, "queue size" },
		{ p_live_ring, "while enabled" },     { p_no_fd, "no descriptor" },     { p_wrong_fd, "stream socket" },
	};
	(void)state;

	for (size_t i = 0; i < ARRAY_SIZE(all); i++) {
		fx_attach(RNG0);
		all[i].attack();
		assert_true(fx_closed(fx.sock[RNG0]));
		assert_int_equal(atomic_load(&fx.broken_events), (int)i + 1);
		if (!strstr(fx.broken_why, all[i].why))
			fail_msg("case %zu: %s", i, fx.broken_why);
		assert_false(vudev_attached(fx.devs, RNG0));
		close(fx.sock[RNG0]);
		close(fx.req[RNG0]);
		fx.sock[RNG0] = fx.req[RNG0] = -1;
	}
}

/* A driver that does not take its calls or replies is not waited for. */
static void test_deaf_driver(void **state)
{
	const uint64_t seg[][2] = { { FX_DATA, 4 } };
	(void)state;

	fx_attach(RNG0);
	for (unsigned i = 0; i < 20000; i++) {
		vdriver_chain(&fx.drv[RNG0][0], 0, 1, seg);
		fx_kick(RNG0, 0);
		if (i % 32 == 31)
			fx_wait_used(RNG0, 0, (uint16_t)(i + 1));
	}
	/* a call that met a full socket comes when there is room */
	char sink[65536];
	int full = 0, total = 0;
	struct pollfd p = { .fd = fx.req[RNG0], .events = POLLIN };
	assert_int_equal(ioctl(fx.req[RNG0], FIONREAD, &full), 0);
	assert_true(full > 0 && full < 20000 * 20);
	while (poll(&p, 1, 300) == 1)
		total += (int)recv(fx.req[RNG0], sink, sizeof(sink), MSG_DONTWAIT);
	assert_true(total > full && total % 20 == 0);
	fx_attach(HVC0);
	assert_int_equal(fcntl(fx.sock[HVC0], F_SETFL, O_NONBLOCK), 0);
	uint32_t h[3] = { VU_GET_FEATURES, 1, 0 };
	unsigned sent = 0;
	for (; sent < 2000000 && send(fx.sock[HVC0], h, sizeof(h), MSG_NOSIGNAL) == sizeof(h); sent++)
		;
	assert_true(sent < 2000000);
	/* the other device does not care */
	vdriver_chain(&fx.drv[RNG0][0], 0, 1, seg);
	fx_kick(RNG0, 0);
	fx_wait_used(RNG0, 0, 20001);
}

/* Boot ------------------------------------------------------------------------------------------------------------------- */

static int boot_connect(int dev, const char *path)
{
	struct sockaddr_un sa = { .sun_family = AF_UNIX };

	assert_true(strlen(path) < sizeof(sa.sun_path));
	memcpy(sa.sun_path, path, strlen(path) + 1);
	int s = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
	assert_int_equal(connect(s, (struct sockaddr *)&sa, sizeof(sa)), 0);
	fx.sock[dev] = s;
	return s;
}

static void test_listen_and_reboot(void **state)
{
	char path[108];
	struct sockaddr_un sa = { .sun_family = AF_UNIX };
	const uint64_t seg[][2] = { { FX_DATA, 32 } };
	(void)state;

	snprintf(path, sizeof(path), "%s/s", fx.dir);
	assert_true(strlen(path) < sizeof(sa.sun_path));
	memcpy(sa.sun_path, path, strlen(path) + 1);
	int l = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
	assert_int_equal(bind(l, (struct sockaddr *)&sa, sizeof(sa)), 0);
	assert_int_equal(listen(l, 1), 0);
	assert_int_equal(vudev_listen(fx.devs, RNG0, l, NULL), 0);
	for (int round = 0; round < 3; round++) {
		assert_false(vudev_attached(fx.devs, RNG0));
		boot_connect(RNG0, path);
		fx_handshake(RNG0, FX_FEATURES);
		assert_true(vudev_attached(fx.devs, RNG0));
		vdriver_chain(&fx.drv[RNG0][0], 0, 1, seg);
		fx_kick(RNG0, 0);
		fx_wait_used(RNG0, 0, 1);
		close(fx.sock[RNG0]);
		for (int i = 0; i < 1000 && vudev_attached(fx.devs, RNG0); i++)
			usleep(1000);
	}
	fx.sock[RNG0] = -1;
	assert_int_equal(atomic_load(&fx.broken_events), 0);
}

static void test_sockets_that_cannot_be_handed_over(void **state)
{
	struct err err = { 0 };
	int a[2], b[2], l = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
	(void)state;

	assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, a), 0);
	assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, b), 0);
	alloc_fail_at(1); /* the order to the io thread */
	int r = vudev_pair(fx.devs, RNG0, a[1], b[1], &err);
	assert_true(alloc_fail_end());
	assert_int_equal(r, -ENOMEM);
	assert_int_equal(fcntl(a[1], F_GETFD), -1); /* they were given away: the device's or closed */
	assert_int_equal(fcntl(b[1], F_GETFD), -1);
	alloc_fail_at(1);
	r = vudev_listen(fx.devs, RNG0, l, &err);
	assert_true(alloc_fail_end());
	assert_int_equal(r, -ENOMEM);
	assert_int_equal(fcntl(l, F_GETFD), -1);
	close(a[0]);
	close(b[0]);
}

/* Errors at opening ------------------------------------------------------------------------------------------------------ */

static void test_open_errors(void **state)
{
	struct devs *d2 = NULL;
	struct err err = { 0 };
	char *good = fx.cfg.disk[0].source, path[256];
	(void)state;

	snprintf(path, sizeof(path), "%s/missing.img", fx.dir);
	fx.cfg.disk[0].source = path;
	assert_int_equal(devs_new(&fx.cfg, &vudev_transport, NULL, &d2, &err), -ENOENT);
	assert_non_null(strstr(err.text, "missing.img"));
	fx.cfg.disk[0].source = fx.dir;
	assert_true(devs_new(&fx.cfg, &vudev_transport, NULL, &d2, &err) < 0);
	fx.cfg.disk[0].source = (char *)"/dev/null";
	assert_int_equal(devs_new(&fx.cfg, &vudev_transport, NULL, &d2, &err), -EINVAL);
	fx.cfg.disk[0].source = good;
	assert_int_equal(truncate(good, 0), 0);
	assert_int_equal(devs_new(&fx.cfg, &vudev_transport, NULL, &d2, &err), -EINVAL);
	assert_non_null(strstr(err.text, "empty"));
	assert_null(d2);
}

static void test_allocations(void **state)
{
	int r = 0;
	unsigned failures = 0;
	(void)state;

	FOR_EACH_ALLOC_FAILURE(r = devs_new(&fx.cfg, &vudev_transport, NULL, &fx.devs, NULL))
	{
		if (alloc_failed)
			failures++;
		assert_true(r == 0 || r == -ENOMEM);
		if (!r)
			devs_free(fx.devs);
		fx.devs = NULL;
	}
	assert_true(failures > 5);
	assert_int_equal(r, 0);
}

static int setup_allocations(void **state)
{
	int r = fx_setup(state);

	devs_free(fx.devs);
	fx.devs = NULL;
	return r;
}

int main(void)
{
#define T(f) cmocka_unit_test_setup_teardown(f, fx_setup, fx_teardown)
	const struct CMUnitTest tests[] = {
		T(test_rng),
		T(test_disk),
		T(test_disk_errors),
		T(test_lock),
		T(test_console),
		T(test_console_bounded),
		T(test_disk_grows),
		T(test_balloon),
		T(test_broken_alone),
		T(test_protocol_hostile),
		T(test_deaf_driver),
		T(test_listen_and_reboot),
		T(test_sockets_that_cannot_be_handed_over),

		T(test_open_errors),
		cmocka_unit_test_setup_teardown(test_disk_direct, setup_direct, fx_teardown),
		cmocka_unit_test_setup_teardown(test_disk_writethrough, setup_writethrough, fx_teardown),
		cmocka_unit_test_setup_teardown(test_disk_full, setup_full, teardown_full),
		cmocka_unit_test_setup_teardown(test_allocations, setup_allocations, fx_teardown),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
