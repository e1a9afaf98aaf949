/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * A NIC whose card is QEMU's, on a real tap in a network namespace of its own: frames both ways, a QEMU that does not read, floods or says
 * nonsense, stops and moves with frames under way, state, a tap that vanishes.
 */
#include "config.h"
#include "tests/unit/testutil.h"
#include "tests/unit/vdriver.h"

#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/if_packet.h>
#include <net/ethernet.h>
#include <net/if.h>
#include <poll.h>
#include <sched.h>
#include <stdatomic.h>
#include <sys/socket.h>

#include "common/util.h"
#include "hypervisor/dev/enic.h"
#include "hypervisor/dev/vdev_int.h"
#include "hypervisor/dev/vudev.h"

#define MEM  (1u << 20)
#define TYPE 0x88b5 /* local experiments, IEEE 802 */

static const uint8_t mac[6] = { 0x52, 0x54, 0, 1, 2, 3 };
static struct dom_config cfg;
static struct devs *devs;
static struct guestmem mem;
static int qemu = -1, packet = -1; /* QEMU's end; the host's side of the tap */
static char broken_why[128];
static atomic_int broken_events;

static void on_broken(void *arg, const char *name, const char *why)
{
	(void)arg;
	snprintf(broken_why, sizeof(broken_why), "%s: %s", name, why);
	atomic_fetch_add(&broken_events, 1);
}
static const struct devs_events events = { .broken = on_broken };

static void open_packet(void)
{
	struct sockaddr_ll sa = { .sll_family = AF_PACKET, .sll_protocol = htons(ETH_P_ALL) };
	int room = 8 << 20;

	sa.sll_ifindex = (int)if_nametoindex("tapunit0");
	packet = socket(AF_PACKET, SOCK_RAW | SOCK_CLOEXEC, htons(ETH_P_ALL));
	assert_true(packet >= 0 && sa.sll_ifindex > 0);
	setsockopt(packet, SOL_SOCKET, SO_RCVBUFFORCE, &room, sizeof(room));
	assert_int_equal(bind(packet, (struct sockaddr *)&sa, sizeof(sa)), 0);
}

static void connect_qemu(size_t i)
{
	struct err err = { 0 };
	int pair[2];

	assert_int_equal(enic_pair(pair, &err), 0);
	qemu = fcntl(pair[1], F_DUPFD_CLOEXEC, 3);
	assert_int_equal(enic_connect(devs, i, pair[0], pair[1], &err), 0);
}

static int make(void)
{
	struct err err = { 0 };

	atomic_store(&broken_events, 0);
	if (vdriver_mem(&mem, MEM) || devs_new(&cfg, &vuqemu_transport, &events, &devs, &err) ||
	    devs_start(devs, &err)) {
		print_error("%s\n", err.text);
		return -1;
	}
	devs_set_mem(devs, &mem);
	open_packet();
	return 0;
}

static int setup(void **state)
{
	(void)state;
	cfg = (struct dom_config){ .type = DOM_TYPE_QEMU, .memory_bytes = MEM, .n_nics = 1 };
	cfg.nic[0] = (struct dom_nic){ .type = DOM_NIC_ETHERNET, .model = DOM_NIC_E1000, .target = "tapunit0" };
	memcpy(cfg.nic[0].mac, mac, 6);
	return make();
}

static int teardown(void **state)
{
	(void)state;
	devs_free(devs);
	devs = NULL;
	close(qemu);
	close(packet);
	guestmem_done(&mem);
	return 0;
}

static void go(void)
{
	assert_int_equal(devs_resume(devs, false, NULL), 0);
}

static void stop(void)
{
	struct err err = { 0 };

	assert_int_equal(devs_quiesce(devs, &err), 0);
}

/* A frame with a number in it. */
static size_t frame(uint8_t *f, const uint8_t *to, const uint8_t *from, uint32_t number, size_t len)
{
	memset(f, 0x42, len);
	memcpy(f, to, 6);
	memcpy(f + 6, from, 6);
	f[12] = TYPE >> 8;
	f[13] = TYPE & 0xff;
	memcpy(f + 14, &number, 4);
	return len;
}

static const uint8_t other[6] = { 2, 0, 0, 0, 0, 9 };

static bool guest_sends(uint32_t number, size_t len)
{
	uint8_t f[1514];

	frame(f, other, mac, number, len);
	return send(qemu, f, len, MSG_DONTWAIT) == (ssize_t)len;
}

static void host_sends(uint32_t number, size_t len)
{
	uint8_t f[1514];

	frame(f, mac, other, number, len);
	assert_int_equal(send(packet, f, len, 0), len);
}

/* The next of those frames, in @f, on the wire or in the guest; 0: there is none within @ms. */
static size_t next_of(int fd, int ms, uint8_t f[2048])
{
	struct pollfd p = { .fd = fd, .events = POLLIN };

	while (poll(&p, 1, ms) == 1) {
		struct sockaddr_ll from = { 0 };
		socklen_t len = sizeof(from);
		ssize_t n = recvfrom(fd, f, 2048, MSG_DONTWAIT, (struct sockaddr *)&from, &len);
		if (n > 14 && f[12] == TYPE >> 8 && f[13] == (TYPE & 0xff) &&
		    !(fd == packet && from.sll_pkttype == PACKET_OUTGOING))
			return (size_t)n;
	}
	return 0;
}

static uint32_t number_of(const uint8_t *f)
{
	uint32_t n;

	memcpy(&n, f + 14, 4);
	return n;
}

static struct hv_dev_stats stats(void)
{
	struct hv_stats st = { 0 };

	devs_stats(devs, &st);
	return st.dev[0];
}

static void test_both_ways(void **state)
{
	uint8_t f[2048];
	(void)state;

	go();
	connect_qemu(0);
	assert_true(guest_sends(1, 100));
	assert_int_equal(next_of(packet, 2000, f), 100);
	assert_int_equal(number_of(f), 1);
	host_sends(2, 1000);
	assert_int_equal(next_of(qemu, 2000, f), 1000);
	assert_memory_equal(f, mac, 6);
	assert_int_equal(number_of(f), 2);
	host_sends(3, 30); /* a card takes no shorter ones than a wire has */
	assert_int_equal(next_of(qemu, 2000, f), 60);
	assert_int_equal(f[29], 0x42);
	assert_int_equal(f[30], 0);
	struct hv_dev_stats st = stats();
	assert_string_equal(st.name, "tapunit0");
	assert_int_equal(st.kind, 1);
	assert_true(st.wr_ops == 1 && st.wr_bytes == 100 && st.rd_ops == 2 && st.rd_bytes == 1060);
	/* one that the device model's end is another's from now on: a reboot */
	close(qemu);
	connect_qemu(0);
	host_sends(4, 100);
	assert_int_equal(next_of(qemu, 2000, f), 100);
	assert_int_equal(atomic_load(&broken_events), 0);
}

/* What it says that is no frame is dropped, and does not stop the others. */
static void test_nonsense(void **state)
{
	_cleanup_free_ uint8_t *big = calloc(1, 80000);
	uint8_t f[2048];
	(void)state;

	go();
	connect_qemu(0);
	assert_int_equal(send(qemu, big, 0, 0), 0);
	assert_int_equal(send(qemu, big, 13, 0), 13);
	assert_int_equal(send(qemu, big, 80000, 0), 80000);
	assert_true(guest_sends(1, 60));
	assert_int_equal(next_of(packet, 2000, f), 60);
	assert_int_equal(stats().drops, 3);
	/* it shuts its end down: what is for it is dropped, and it may still send */
	assert_int_equal(shutdown(qemu, SHUT_RD), 0);
	host_sends(2, 100);
	for (int i = 0; i < 2000 && stats().drops < 4; i++)
		usleep(1000);
	assert_int_equal(stats().drops, 4);
	assert_true(guest_sends(3, 60));
	assert_int_equal(next_of(packet, 2000, f), 60);
	assert_int_equal(number_of(f), 3);
	assert_int_equal(atomic_load(&broken_events), 0);
}

/* A QEMU that does not read: what it has no room for waits, in order, and nothing is lost that the tap has room for. */
static void test_no_room(void **state)
{
	uint8_t f[2048];
	enum { N = 400 };
	(void)state;

	go();
	connect_qemu(0);
	for (uint32_t i = 1; i <= N; i++)
		host_sends(i, 1000);
	usleep(50000);
	assert_true(stats().rd_ops < N);
	assert_true(guest_sends(7, 60)); /* the other way goes on */
	assert_int_equal(next_of(packet, 2000, f), 60);
	for (uint32_t i = 1; i <= N; i++) {
		assert_int_equal(next_of(qemu, 2000, f), 1000);
		assert_int_equal(number_of(f), i);
	}
	assert_int_equal(stats().rd_ops, N);
	assert_int_equal(stats().drops, 0);
}

/* One that floods: others of the set get their turn, and it ends when it is stopped. */
static void test_flood(void **state)
{
	struct pollfd p = { .fd = -1, .events = POLLOUT };
	uint64_t until = now_ns() + 300000000ull, asked = 0;
	uint32_t sent = 0;
	(void)state;

	go();
	connect_qemu(0);
	p.fd = qemu;
	while (now_ns() < until) {
		for (int i = 0; i < 2000; i++)
			sent += guest_sends(sent, 60);
		asked += stats().kind; /* the thread answers */
	}
	assert_true(asked > 3 && sent > 1000);
	stop();
	while (guest_sends(sent, 60))
		sent++;
	assert_int_equal(poll(&p, 1, 20), 0); /* nobody reads now, and it has no more room */
	struct hv_dev_stats st = stats();
	usleep(20000);
	assert_int_equal(stats().wr_ops, st.wr_ops);
}

/* What the guest sent before it was stopped is sent; nothing after that; what is for it waits. */
static void test_stop(void **state)
{
	uint8_t f[2048];
	uint32_t n = 0;
	(void)state;

	go();
	connect_qemu(0);
	while (n < 5000 && guest_sends(n + 1, 200)) /* until its socket is full */
		n++;
	assert_true(n > 100);
	stop();
	for (uint32_t i = 1; i <= n; i++) {
		assert_int_equal(next_of(packet, 0, f), 200); /* it is there already */
		assert_int_equal(number_of(f), i);
	}
	assert_true(guest_sends(n + 1, 200));
	host_sends(1, 100);
	assert_int_equal(next_of(packet, 30, f), 0);
	assert_int_equal(next_of(qemu, 30, f), 0);
	go(); /* the push was called off */
	assert_int_equal(next_of(packet, 2000, f), 200);
	assert_int_equal(next_of(qemu, 2000, f), 100);
}

/* The guest runs elsewhere: what waits for it, wherever it waits, goes back to the network in its order, and nothing else does. */
static void test_hand_over(void **state)
{
	const uint8_t all[6] = { 0xff, 0xff, 0xff, 0xff, 0xff, 0xff };
	uint8_t f[2048];
	enum { N = 400 };
	(void)state;

	go();
	connect_qemu(0);
	for (uint32_t i = 1; i <= N; i++)
		host_sends(i, 1000);
	frame(f, all, other, 9999, 100);
	assert_int_equal(send(packet, f, 100, 0), 100);
	for (int i = 0; i < 2000 && !stats().rd_ops; i++)
		usleep(1000);
	assert_int_equal(next_of(qemu, 2000, f), 1000); /* QEMU took one, and stopped */
	stop();
	assert_true(guest_sends(5000, 60)); /* a copy that goes on is nobody's guest */
	devs_hand_over(devs);
	for (uint32_t i = 2; i <= N; i++) {
		assert_int_equal(next_of(packet, 500, f), 1000);
		assert_int_equal(number_of(f), i);
		assert_memory_equal(f, mac, 6);
		assert_int_equal(f[6], mac[0] ^ 0x40); /* no switch learns a sender from it */
	}
	assert_int_equal(next_of(packet, 50, f), 0);
	assert_int_equal(next_of(qemu, 0, f), 0);
}

static void test_lease_over(void **state)
{
	char *dir = test_dir_new();
	_cleanup_free_ char *sub = xasprintf("%s/cluster", dir);
	struct deadline_page *page = NULL;
	struct moment over = { 0 }, far = { boot_ns() + 600 * NS_PER_S, 0 };
	uint8_t f[2048];
	struct err err;
	(void)state;

	setenv("HOSPES_RUNDIR", dir, 1);
	assert_int_equal(mkdir_p(sub, 0700), 0);
	assert_int_equal(deadline_page_make(&over, &page, &err), 0);
	devs->ev.deadline = page;
	go();
	connect_qemu(0);
	assert_true(guest_sends(1, 60));
	for (int i = 0; i < 2000 && !stats().drops; i++)
		usleep(1000);
	devs_announce(devs);
	deadline_page_set(page, &far);
	assert_true(guest_sends(2, 60));
	assert_int_equal(next_of(packet, 2000, f), 60);
	assert_int_equal(number_of(f), 2);
	devs->ev.deadline = NULL;
	deadline_page_free(page);
	test_dir_remove(dir);
}

/* Where a guest is to come QEMU is there before its state, and gets nothing. What its guest's addresses are comes with the state. */
static void test_state(void **state)
{
	_cleanup_buf_ struct buf saved = { 0 };
	uint8_t f[2048] = { 0 };
	struct err err = { 0 };
	(void)state;

	go();
	connect_qemu(0);
	frame(f, other, mac, 0, 60);
	memcpy(f + 12, "\x08\x06\x00\x01\x08\x00\x06\x04\x00\x01", 10);
	memcpy(f + 22, mac, 6);
	inet_pton(AF_INET, "10.9.8.7", f + 28);
	assert_int_equal(send(qemu, f, 60, 0), 60);
	stop();
	assert_int_equal(devs_save(devs, &saved, &err), 0);
	teardown(NULL);
	assert_int_equal(setup(NULL), 0);
	connect_qemu(0);
	host_sends(1, 100);
	assert_true(guest_sends(2, 60));
	assert_int_equal(next_of(qemu, 50, f), 0);
	assert_int_equal(next_of(packet, 50, f), 0);
	struct rd in = rd_of(saved.data, saved.len);
	assert_int_equal(devs_load(devs, &in, &err), 0);
	assert_int_equal(in.left, 0);
	assert_int_equal(next_of(qemu, 50, f), 0);
	devs_announce(devs);
	go();
	assert_int_equal(next_of(qemu, 2000, f), 100);
	/* of its announcement: the address that the guest has */
	bool told = false;
	close(packet);
	open_packet();
	devs_announce(devs);
	struct pollfd p = { .fd = packet, .events = POLLIN };
	while (!told && poll(&p, 1, 1000) == 1)
		told = recv(packet, f, sizeof(f), 0) > 40 && f[12] == 8 && f[13] == 6 &&
		       !memcmp(f + 28, "\x0a\x09\x08\x07", 4);
	assert_true(told);
	/* the state of another card is refused, and so is what ends early */
	stop();
	uint8_t *at = memmem(saved.data, saved.len, mac, 6);
	assert_non_null(at);
	at[5] ^= 1;
	in = rd_of(saved.data, saved.len);
	assert_int_equal(devs_load(devs, &in, &err), -EINVAL);
	assert_non_null(strstr(err.text, "another MAC address"));
	in = rd_of(saved.data, (size_t)(at - saved.data) + 9);
	assert_int_equal(devs_load(devs, &in, &err), -EINVAL);
	/* one of virtio's has rings */
	at[5] ^= 1;
	teardown(NULL);
	cfg.nic[0].model = DOM_NIC_VIRTIO;
	assert_int_equal(make(), 0);
	in = rd_of(saved.data, saved.len);
	assert_int_equal(devs_load(devs, &in, &err), -EINVAL);
	assert_non_null(strstr(err.text, "another number of queues"));
}

/* One that comes to a running guest, and leaves it. */
static void test_plugged(void **state)
{
	struct dom_nic nic = { .type = DOM_NIC_ETHERNET, .model = DOM_NIC_RTL8139, .target = "tapunit1" };
	struct vdev *v = NULL;
	struct err err = { 0 };
	uint8_t f[2048];
	(void)state;

	go();
	memcpy(nic.mac, mac, 6);
	assert_int_equal(enic_connect(devs, 1, -1, -1, &err), -EINVAL);
	assert_int_equal(devs_make_nic(devs, &nic, NULL, &v, &err), 0);
	assert_int_equal(devs_put_in(devs, 1, v, &err), 0);
	connect_qemu(1);
	close(packet);
	packet = -1;
	struct sockaddr_ll sa = { .sll_family = AF_PACKET, .sll_protocol = htons(ETH_P_ALL) };
	sa.sll_ifindex = (int)if_nametoindex("tapunit1");
	packet = socket(AF_PACKET, SOCK_RAW | SOCK_CLOEXEC, htons(ETH_P_ALL));
	assert_int_equal(bind(packet, (struct sockaddr *)&sa, sizeof(sa)), 0);
	host_sends(1, 100);
	assert_int_equal(next_of(qemu, 2000, f), 100);
	v = devs_take_out(devs, 1, true, &err);
	assert_non_null(v);
	assert_true(guest_sends(2, 60) || errno == ECONNREFUSED || errno == EPIPE || errno == ENOTCONN);
	devs_drop(v);
	assert_int_equal(if_nametoindex("tapunit1"), 0);
}

static void test_tap_gone(void **state)
{
	(void)state;
	go();
	connect_qemu(0);
	assert_int_equal(system("ip link del tapunit0"), 0);
	for (int i = 0; i < 3000 && !atomic_load(&broken_events); i++)
		usleep(1000);
	assert_string_equal(broken_why, "tapunit0: its tap interface is gone");
	(void)guest_sends(1, 60);
	stop();
	devs_hand_over(devs);
}

int main(void)
{
#define T(f) cmocka_unit_test_setup_teardown(f, setup, teardown)
	const struct CMUnitTest tests[] = {
		T(test_lease_over), T(test_both_ways), T(test_nonsense), T(test_no_room), T(test_flood),
		T(test_stop),       T(test_hand_over), T(test_state),    T(test_plugged), T(test_tap_gone),
	};

	if (unshare(CLONE_NEWNET) < 0 || access("/dev/net/tun", R_OK | W_OK) < 0) {
		fprintf(stderr, "SKIP: needs root and /dev/net/tun, for a tap in a network namespace\n");
		return 77;
	}
	/* or the host says things of its own on a new interface */
	int fd = open("/proc/sys/net/ipv6/conf/default/disable_ipv6", O_WRONLY | O_CLOEXEC);
	if (fd >= 0) {
		(void)!write(fd, "1", 1);
		close(fd);
	}
	return cmocka_run_group_tests(tests, NULL, NULL);
}
