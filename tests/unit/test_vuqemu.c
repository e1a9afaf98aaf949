/* SPDX-License-Identifier: GPL-2.0-or-later */
/* QEMU's dialect of vhost-user: the orders in which it sets up rings, a machine that stops and goes on, and a QEMU that nobody should trust. */
#include "config.h"
#include "tests/unit/devfixture.h"

#include <fcntl.h>
#include <poll.h>
#include <sys/eventfd.h>
#include <sys/socket.h>

#include "common/util.h"

#define QEMU_AT 0x7f0000000000ull /* where QEMU has the guest's memory */
#define RING_AT 0x10000ull

static int kick = -1, call = -1;

static int setup(void **state)
{
	fx.transport = &vuqemu_transport;
	kick = eventfd(0, EFD_NONBLOCK | EFD_CLOEXEC);
	call = eventfd(0, EFD_NONBLOCK | EFD_CLOEXEC);
	return kick < 0 || call < 0 ? -1 : fx_setup(state);
}

static int teardown(void **state)
{
	close(kick);
	close(call);
	return fx_teardown(state);
}

static void put_with_fd(int dev, uint32_t request, const void *body, uint32_t len, int fd)
{
	uint8_t m[VU_MSG_MAX];
	uint32_t h[3] = { request, 1, len };
	union {
		struct cmsghdr h;
		char space[CMSG_SPACE(sizeof(int))];
	} ctl = { .h = { .cmsg_len = CMSG_LEN(sizeof(int)), .cmsg_level = SOL_SOCKET, .cmsg_type = SCM_RIGHTS } };
	struct iovec iov = { m, 12 + len };
	struct msghdr mh = { .msg_iov = &iov, .msg_iovlen = 1, .msg_control = &ctl, .msg_controllen = sizeof(ctl) };

	memcpy(m, h, 12);
	memcpy(m + 12, body, len);
	memcpy(CMSG_DATA(&ctl.h), &fd, sizeof(fd));
	assert_int_equal(sendmsg(fx.sock[dev], &mh, MSG_NOSIGNAL), 12 + len);
}

static void put_fd(int dev, uint32_t request, uint64_t v, int fd)
{
	put_with_fd(dev, request, &v, sizeof(v), fd);
}

static void put_table(int dev, uint64_t user)
{
	uint64_t table[5] = { 1, 0, FX_MEM, user, 0 };

	put_with_fd(dev, VU_SET_MEM_TABLE, table, sizeof(table), fx.mem.fd);
}

static void connect_to(int dev)
{
	int s = (fx_pair(dev), fx.sock[dev]);

	fx_put(s, VU_SET_OWNER, NULL, 0);
	assert_int_equal(fx_get_u64(s, VU_GET_FEATURES) & FX_FEATURES, FX_FEATURES);
	fx_put_u64(s, VU_SET_PROTOCOL_FEATURES, VU_PF_CONFIG);
	fx_put_u64(s, VU_SET_FEATURES, FX_FEATURES);
	put_table(dev, QEMU_AT);
}

static void put_addr(int dev, uint64_t at)
{
	const struct vq_conf *c = &fx.drv[dev][0].c;
	struct {
		uint32_t index, flags;
		uint64_t desc, used, avail, log;
	} a = { .desc = at + c->desc.v, .used = at + c->used.v, .avail = at + c->avail.v };

	fx_put(fx.sock[dev], VU_SET_VRING_ADDR, &a, sizeof(a));
}

/* As vhost_virtqueue_start() of QEMU. */
static void put_ring(int dev, uint16_t base)
{
	fx_put_state(fx.sock[dev], VU_SET_VRING_NUM, 0, 64);
	fx_put_state(fx.sock[dev], VU_SET_VRING_BASE, 0, base);
	put_addr(dev, QEMU_AT);
	put_fd(dev, VU_SET_VRING_KICK, 0, kick);
	put_fd(dev, VU_SET_VRING_CALL, 0, call);
}

static void new_ring(int dev)
{
	vdriver_init(&fx.drv[dev][0], &fx.mem, RING_AT, 64);
	memset(fx.mem.base + RING_AT, 0, 0x4000);
}

static void enable(int dev, bool on)
{
	fx_put_state(fx.sock[dev], VU_SET_VRING_ENABLE, 0, on);
}

static uint32_t get_base(int dev)
{
	uint32_t m[5];

	fx_put_state(fx.sock[dev], VU_GET_VRING_BASE, 0, 0);
	assert_int_equal(recv(fx.sock[dev], m, sizeof(m), MSG_WAITALL), sizeof(m));
	return m[4];
}

static bool called(int within_ms)
{
	struct pollfd p = { .fd = call, .events = POLLIN };
	uint64_t n;

	return poll(&p, 1, within_ms) == 1 && read(call, &n, sizeof(n)) == sizeof(n);
}

static void do_kick(void)
{
	uint64_t one = 1;

	assert_int_equal(write(kick, &one, sizeof(one)), sizeof(one));
}

static void ask_for_entropy(void)
{
	const uint64_t seg[][2] = { { FX_DATA, 16 } };

	vdriver_chain(&fx.drv[RNG0][0], 0, 1, seg);
	do_kick();
}

static void serves(int dev, uint16_t used)
{
	(void)called(0);
	ask_for_entropy();
	fx_wait_used(dev, 0, used);
	assert_true(called(5000));
}

/* A NIC's ring is enabled before it is made, a disk's after. */
static void test_either_order(void **state)
{
	(void)state;
	for (int first = 0; first < 2; first++) {
		connect_to(RNG0);
		new_ring(RNG0);
		if (first)
			enable(RNG0, true);
		put_ring(RNG0, 0);
		fx_settle(RNG0);
		ask_for_entropy();
		if (!first) {
			usleep(20000);
			assert_int_equal(vdriver_used_idx(&fx.drv[RNG0][0]), 0);
			enable(RNG0, true);
		}
		fx_wait_used(RNG0, 0, 1);
		assert_true(called(5000));
		serves(RNG0, 2);
		/* the guest's driver lets go; another one begins anew */
		assert_int_equal(get_base(RNG0), 2);
		ask_for_entropy();
		usleep(20000);
		assert_int_equal(vdriver_used_idx(&fx.drv[RNG0][0]), 2);
		new_ring(RNG0);
		put_ring(RNG0, 0);
		enable(RNG0, true);
		serves(RNG0, 1);
		close(fx.sock[RNG0]);
		close(fx.req[RNG0]);
		fx.sock[RNG0] = fx.req[RNG0] = -1;
	}
	assert_int_equal(atomic_load(&fx.broken_events), 0);
}

/* The machine stops and goes on: rings stay where they were, nothing is lost, and the guest is called for what came in between. */
static void test_stop_and_go(void **state)
{
	(void)state;
	connect_to(RNG0);
	new_ring(RNG0);
	put_ring(RNG0, 0);
	enable(RNG0, true);
	serves(RNG0, 1);
	for (uint16_t i = 1; i < 5; i++) {
		vuqemu_park(fx.devs, true);
		enable(RNG0, false);
		assert_int_equal(get_base(RNG0), i);
		assert_int_equal(devs_quiesce(fx.devs, NULL), 0);
		ask_for_entropy();
		assert_int_equal(devs_resume(fx.devs, true, NULL), 0);
		usleep(10000);
		assert_int_equal(vdriver_used_idx(&fx.drv[RNG0][0]), i);
		vuqemu_park(fx.devs, false);
		(void)called(0);
		fx_put_u64(fx.sock[RNG0], VU_SET_FEATURES, FX_FEATURES);
		put_ring(RNG0, i);
		enable(RNG0, true);
		fx_wait_used(RNG0, 0, (uint16_t)(i + 1));
		assert_true(called(5000));
	}
	/* a call that was lost while QEMU did not listen is made up for, although nothing is new */
	vuqemu_park(fx.devs, true);
	(void)get_base(RNG0);
	vuqemu_park(fx.devs, false);
	(void)called(0);
	put_ring(RNG0, 5);
	assert_true(called(5000));
	assert_int_equal(vdriver_used_idx(&fx.drv[RNG0][0]), 5);
	assert_int_equal(atomic_load(&fx.broken_events), 0);
}

/* A state goes to another process, whose QEMU connected before it came. */
static void test_moves(void **state)
{
	_cleanup_buf_ struct buf saved = { 0 };
	(void)state;

	connect_to(RNG0);
	new_ring(RNG0);
	put_ring(RNG0, 0);
	enable(RNG0, true);
	serves(RNG0, 1);
	vuqemu_park(fx.devs, true);
	enable(RNG0, false);
	assert_int_equal(get_base(RNG0), 1);
	assert_int_equal(devs_quiesce(fx.devs, NULL), 0);
	assert_int_equal(devs_save(fx.devs, &saved, NULL), 0);
	vuqemu_park(fx.devs, false);
	close(fx.sock[RNG0]);
	close(fx.req[RNG0]);
	fx_pair(RNG0);
	(void)fx_get_u64(fx.sock[RNG0], VU_GET_FEATURES);
	struct rd in = rd_of(saved.data, saved.len);
	assert_int_equal(devs_load(fx.devs, &in, NULL), 0);
	assert_int_equal(devs_resume(fx.devs, true, NULL), 0);
	fx_put_u64(fx.sock[RNG0], VU_SET_FEATURES, FX_FEATURES);
	put_table(RNG0, QEMU_AT);
	put_ring(RNG0, 1);
	enable(RNG0, true);
	assert_true(called(5000));
	serves(RNG0, 2);
	assert_int_equal(atomic_load(&fx.broken_events), 0);
}

/* Whatever it sends costs it this device, and nothing else. */
static void test_hostile(void **state)
{
	for (int i = 0; i < 8; i++) {
		int zero = open("/dev/zero", O_RDONLY | O_CLOEXEC);

		connect_to(RNG0);
		new_ring(RNG0);
		if (i >= 4) {
			put_ring(RNG0, 0);
			enable(RNG0, true);
			serves(RNG0, 1);
		}
		switch (i) {
		case 0:
			put_fd(RNG0, VU_SET_VRING_KICK, 0, zero);
			break;
		case 1:
			put_fd(RNG0, VU_SET_VRING_CALL, 0, fx.sock[RNG0]);
			break;
		case 2:
			put_fd(RNG0, VU_SET_VRING_KICK, 9, kick);
			break;
		case 3:
			put_table(RNG0, UINT64_MAX - 4095);
			break;
		case 4:
			put_addr(RNG0, QEMU_AT + 4096);
			break;
		case 5:
			fx_put_state(fx.sock[RNG0], VU_SET_VRING_BASE, 0, 7);
			break;
		case 6:
			fx_put_state(fx.sock[RNG0], VU_SET_VRING_NUM, 0, 128);
			break;
		default:
			fx_put_state(fx.sock[RNG0], VU_SET_VRING_ENABLE, 5, 1);
			break;
		}
		if (!fx_closed(fx.sock[RNG0]))
			fail_msg("case %d is not refused", i);
		assert_int_equal(atomic_load(&fx.broken_events), 1);
		close(zero);
		assert_int_equal(fx_teardown(state) + fx_setup(state), 0);
	}
}

/* Rings that are not where the guest has memory. */
static void test_ring_outside(void **state)
{
	static const uint64_t at[] = { 0, QEMU_AT - FX_MEM, QEMU_AT + FX_MEM, UINT64_MAX - 0x20000 };

	for (size_t i = 0; i < ARRAY_SIZE(at); i++) {
		connect_to(RNG0);
		new_ring(RNG0);
		fx_put_state(fx.sock[RNG0], VU_SET_VRING_NUM, 0, 64);
		put_addr(RNG0, at[i]);
		enable(RNG0, true);
		put_fd(RNG0, VU_SET_VRING_KICK, 0, kick);
		fx_settle(RNG0);
		assert_int_equal(atomic_load(&fx.broken_events), 1);
		assert_non_null(strstr(fx.broken_why, "outside guest memory"));
		assert_int_equal(fx_teardown(state) + fx_setup(state), 0);
	}
}

int main(void)
{
#define T(fn) cmocka_unit_test_setup_teardown(fn, setup, teardown)
	static const struct CMUnitTest tests[] = { T(test_either_order), T(test_stop_and_go), T(test_moves),
		                                   T(test_hostile), T(test_ring_outside) };

	return cmocka_run_group_tests_name("vuqemu", tests, NULL, NULL);
}
