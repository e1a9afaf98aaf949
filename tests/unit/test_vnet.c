/* SPDX-License-Identifier: GPL-2.0-or-later */
/* virtio net on a real tap, in a network namespace of its own: frames both ways, announcements, state, a tap that vanishes. */
#include "config.h"
#include "tests/unit/testutil.h"
#include "tests/unit/vdriver.h"

#include <arpa/inet.h>
#include <fcntl.h>
#include <linux/if_packet.h>
#include <net/ethernet.h>
#include <net/if.h>
#include <poll.h>
#include <sched.h>
#include <stdatomic.h>
#include <sys/socket.h>

#include "common/util.h"
#include "hypervisor/dev/vdev_int.h"
#include "hypervisor/dev/vhost_user.h"
#include "hypervisor/dev/vudev.h"

#define MEM  (4u << 20)
#define DATA 0x200000ull
#define MRG  (1ull << 15)

static const uint8_t mac[6] = { 0x52, 0x54, 0, 1, 2, 3 };
static struct dom_config cfg;
static struct devs *devs;
static struct guestmem mem;
static struct vdriver drv[2];
static int sock = -1, req = -1, packet = -1;
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

	sa.sll_ifindex = (int)if_nametoindex("tapunit0");
	packet = socket(AF_PACKET, SOCK_RAW | SOCK_CLOEXEC, htons(ETH_P_ALL));
	assert_true(packet >= 0 && sa.sll_ifindex > 0);
	assert_int_equal(bind(packet, (struct sockaddr *)&sa, sizeof(sa)), 0);
}

/* A driver that has shaken hands; what it would send is test_devs.c's business. */
static void attach(uint64_t features)
{
	int a[2], b[2];

	assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, a), 0);
	assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, b), 0);
	assert_int_equal(devs_quiesce(devs, NULL), 0);
	assert_int_equal(vudev_pair(devs, 0, a[1], b[1], NULL), 0);
	sock = a[0];
	req = b[0];
	struct vdev *v = devs->v[0];
	vdev_ack(v, VIRTIO_F_VERSION_1 | VU_F_PROTOCOL_FEATURES | features);
	for (unsigned q = 0; q < 2; q++) {
		vdriver_init(&drv[q], &mem, 0x10000 + q * 0x4000, 64);
		memset(mem.base + 0x10000 + q * 0x4000, 0, 0x4000);
		v->vq[q].c = drv[q].c;
	}
	assert_int_equal(devs_resume(devs, false, NULL), 0);
}

static int setup(void **state)
{
	struct err err = { 0 };
	(void)state;

	cfg = (struct dom_config){ .memory_bytes = MEM, .n_nics = 1 };
	cfg.nic[0].type = DOM_NIC_ETHERNET;
	snprintf(cfg.nic[0].target, sizeof(cfg.nic[0].target), "tapunit0");
	memcpy(cfg.nic[0].mac, mac, 6);
	cfg.nic[0].mtu = 1400;
	atomic_store(&broken_events, 0);
	if (vdriver_mem(&mem, MEM) || devs_new(&cfg, &vudev_transport, &events, &devs, &err) ||
	    devs_start(devs, &err)) {
		print_error("%s\n", err.text);
		return -1;
	}
	devs_set_mem(devs, &mem);
	open_packet();
	return 0;
}

static int teardown(void **state)
{
	(void)state;
	devs_free(devs);
	devs = NULL;
	close(sock);
	close(req);
	close(packet);
	guestmem_done(&mem);
	return 0;
}

static void kick(uint32_t q)
{
	uint32_t m[5] = { VU_VRING_KICK, 1, 8, q, 0 };

	assert_int_equal(send(sock, m, sizeof(m), MSG_NOSIGNAL), sizeof(m));
}

static void wait_used(unsigned q, uint16_t idx)
{
	for (int i = 0; i < 3000 && vdriver_used_idx(&drv[q]) != idx; i++)
		usleep(1000);
	assert_int_equal(vdriver_used_idx(&drv[q]), idx);
}

/* Next frame on the host's side with this Ethernet type. */
static size_t sniff(uint16_t type, uint8_t *frame, size_t len)
{
	for (int i = 0; i < 50; i++) {
		struct pollfd p = { .fd = packet, .events = POLLIN };
		if (poll(&p, 1, 2000) != 1)
			break;
		ssize_t n = recv(packet, frame, len, 0);
		if (n > 14 && frame[12] == type >> 8 && frame[13] == (type & 0xff))
			return (size_t)n;
	}
	fail_msg("no frame of type 0x%04x", type);
	return 0;
}

static void guest_sends(const void *frame, size_t len)
{
	const uint64_t seg[][2] = { { DATA, 12 }, { DATA + 12, len } };
	uint16_t before = vdriver_used_idx(&drv[1]);

	memset(mem.base + DATA, 0, 12);
	memcpy(mem.base + DATA + 12, frame, len);
	vdriver_chain(&drv[1], 2, 0, seg);
	kick(1);
	wait_used(1, (uint16_t)(before + 1));
}

static void arp_from_guest(const char *ip)
{
	uint8_t f[60] = { 0xff, 0xff, 0xff, 0xff, 0xff, 0xff };

	memcpy(f + 6, mac, 6);
	memcpy(f + 12, "\x08\x06\x00\x01\x08\x00\x06\x04\x00\x01", 10);
	memcpy(f + 22, mac, 6);
	inet_pton(AF_INET, ip, f + 28);
	guest_sends(f, sizeof(f));
}

static void host_sends(size_t len, uint8_t fill)
{
	uint8_t f[1500];

	memset(f, fill, sizeof(f));
	memcpy(f, mac, 6);
	memcpy(f + 12, "\x88\xb5", 2); /* local experiments, IEEE 802 */
	assert_int_equal(send(packet, f, len, 0), len);
}

static void test_send(void **state)
{
	uint8_t f[100] = { 0xff, 0xff, 0xff, 0xff, 0xff, 0xff }, got[200];
	struct hv_stats st = { 0 };
	(void)state;

	attach(MRG);
	memcpy(f + 6, mac, 6);
	memcpy(f + 12, "\x88\xb5", 2);
	memset(f + 14, 0x42, sizeof(f) - 14);
	guest_sends(f, sizeof(f));
	assert_int_equal(sniff(0x88b5, got, sizeof(got)), sizeof(f));
	assert_memory_equal(got, f, sizeof(f));
	/* too short for a header, too short for a frame: dropped, not broken */
	const uint64_t seg[][2] = { { DATA, 5 } };
	vdriver_chain(&drv[1], 1, 0, seg);
	kick(1);
	wait_used(1, 2);
	guest_sends("x", 1);
	devs_stats(devs, &st);
	assert_string_equal(st.dev[0].name, "tapunit0");
	assert_int_equal(st.dev[0].wr_ops, 1);
	assert_int_equal(st.dev[0].wr_bytes, sizeof(f));
	assert_int_equal(st.dev[0].drops, 2);
}

/* A copy whose host has no lease any more must not draw the switches to itself. */
static void test_lease_over(void **state)
{
	char *dir = test_dir_new();
	_cleanup_free_ char *sub = xasprintf("%s/cluster", dir);
	uint8_t f[100] = { 0xff, 0xff, 0xff, 0xff, 0xff, 0xff }, got[200];
	struct deadline_page *page = NULL;
	struct moment over = { 0 }, far = { boot_ns() + 600 * NS_PER_S, 0 };
	struct err err;
	(void)state;

	setenv("HOSPES_RUNDIR", dir, 1);
	assert_int_equal(mkdir_p(sub, 0700), 0);
	assert_int_equal(deadline_page_make(&over, &page, &err), 0);
	devs->ev.deadline = page;
	attach(MRG);
	memcpy(f + 6, mac, 6);
	memcpy(f + 12, "\x88\xb5", 2);
	f[14] = 1;
	guest_sends(f, sizeof(f)); /* the guest is told that it went */
	devs_announce(devs);
	deadline_page_set(page, &far);
	f[14] = 2;
	guest_sends(f, sizeof(f));
	assert_true(recv(packet, got, sizeof(got), 0) > 14); /* the first that there is */
	assert_memory_equal(got + 6, mac, 6);
	assert_int_equal(got[14], 2);
	devs->ev.deadline = NULL;
	deadline_page_free(page);
	test_dir_remove(dir);
}

static void test_announce(void **state)
{
	uint8_t got[200];
	(void)state;

	attach(MRG);
	devs_announce(devs);
	sniff(0x8035, got, sizeof(got));
	assert_memory_equal(got + 6, mac, 6);
	assert_memory_equal(got + 22, mac, 6);
	arp_from_guest("10.9.8.7");
	arp_from_guest("10.9.8.8");
	arp_from_guest("224.0.0.1");
	sniff(0x0806, got, sizeof(got));
	sniff(0x0806, got, sizeof(got));
	sniff(0x0806, got, sizeof(got));
	devs_announce(devs);
	for (int i = 0; i < 2; i++) {
		sniff(0x0806, got, sizeof(got));
		assert_memory_equal(got, "\xff\xff\xff\xff\xff\xff", 6);
		assert_memory_equal(got + 6, mac, 6);
		assert_memory_equal(got + 20, "\x00\x01", 2);
		/* the latest first; sender and target are the same */
		assert_memory_equal(got + 28, i ? "\x0a\x09\x08\x07" : "\x0a\x09\x08\x08", 4);
		assert_memory_equal(got + 38, got + 28, 4);
	}
}

static void offer_rx(unsigned n, uint32_t bytes)
{
	for (unsigned i = 0; i < n; i++) {
		uint64_t seg[][2] = { { DATA + 0x10000 + (uint64_t)i * 0x1000, bytes } };
		vdriver_chain(&drv[0], 0, 1, (const uint64_t(*)[2])seg);
	}
	kick(0);
}

static void test_receive_merged(void **state)
{
	uint8_t *p = mem.base + DATA + 0x10000;
	uint32_t id, len;
	uint16_t num;
	(void)state;

	attach(MRG);
	host_sends(1000, 0x33); /* waits in the tap */
	offer_rx(6, 700);
	wait_used(0, 2);
	vdriver_used(&drv[0], 0, &id, &len);
	assert_int_equal(len, 700);
	vdriver_used(&drv[0], 1, &id, &len);
	assert_int_equal(len, 1012 - 700);
	memcpy(&num, p + 10, 2);
	assert_int_equal(num, 2);
	assert_memory_equal(p + 12, mac, 6);
	assert_int_equal(p[12 + 14], 0x33);
	assert_int_equal(p[0x1000 + 311], 0x33);
	assert_int_equal(p[0x1000 + 312], 0);
	assert_true(vdriver_dirty(&mem, DATA + 0x11000));
	assert_false(vdriver_dirty(&mem, DATA + 0x12000));
	/* an orderly stop gives back what was only taken ahead */
	assert_int_equal(devs_quiesce(devs, NULL), 0);
	assert_int_equal(devs->v[0]->vq[0].c.last_avail, 2);
	assert_int_equal(devs->v[0]->vq[0].c.used_idx, 2);
	host_sends(100, 0x44);
	assert_int_equal(devs_resume(devs, false, NULL), 0);
	wait_used(0, 3);
	assert_int_equal(p[0x2000 + 12 + 14], 0x44);
	/* not enough room for the largest frame: it waits, and comes when there is */
	host_sends(200, 0x55);
	host_sends(300, 0x66);
	usleep(20000);
	offer_rx(4, 700);
	wait_used(0, 5);
	assert_int_equal(atomic_load(&broken_events), 0);
}

static void test_receive_single(void **state)
{
	uint8_t *p = mem.base + DATA + 0x10000;
	const uint64_t seg[][2] = { { DATA + 0x10000, 12 }, { DATA + 0x11000, 2000 } };
	uint32_t id, len;
	uint16_t num;
	(void)state;

	attach(0);
	vdriver_chain(&drv[0], 0, 2, seg);
	kick(0);
	host_sends(900, 0x77);
	wait_used(0, 1);
	vdriver_used(&drv[0], 0, &id, &len);
	assert_int_equal(len, 912);
	memcpy(&num, p + 10, 2);
	assert_int_equal(num, 1);
	assert_int_equal(p[0x1000 + 899], 0x77);
}

static void test_hostile_buffer(void **state)
{
	(void)state;
	attach(MRG);
	offer_rx(4, 4);
	for (int i = 0; i < 3000 && !atomic_load(&broken_events); i++)
		usleep(1000);
	assert_string_equal(broken_why, "tapunit0: a receive buffer is not one writable segment");
	devs_announce(devs);
}

static void test_tap_gone(void **state)
{
	(void)state;
	attach(MRG);
	offer_rx(4, 2000);
	assert_int_equal(system("ip link del tapunit0"), 0);
	for (int i = 0; i < 3000 && !atomic_load(&broken_events); i++)
		usleep(1000);
	assert_string_equal(broken_why, "tapunit0: its tap interface is gone");
	devs_announce(devs);
}

static void test_open_errors(void **state)
{
	struct devs *d2 = NULL;
	struct err err = { 0 };
	(void)state;

	assert_int_equal(devs_new(&cfg, &vudev_transport, NULL, &d2, &err), -EBUSY);
	assert_non_null(strstr(err.text, "tapunit0"));
	cfg.nic[0].type = DOM_NIC_BRIDGE;
	snprintf(cfg.nic[0].bridge, sizeof(cfg.nic[0].bridge), "nobridge");
	snprintf(cfg.nic[0].target, sizeof(cfg.nic[0].target), "vnet5");
	assert_true(devs_new(&cfg, &vudev_transport, NULL, &d2, &err) < 0);
	assert_non_null(strstr(err.text, "nobridge"));
	cfg.nic[0].type = DOM_NIC_ETHERNET;
	assert_int_equal(devs_new(&cfg, &vudev_transport, NULL, &d2, &err), 0);
	assert_string_equal(devs_name(d2, 0), "vnet5");
	/* libvirt's automatic names are ours to change when taken */
	struct devs *d3 = NULL;
	assert_int_equal(devs_new(&cfg, &vudev_transport, NULL, &d3, &err), 0);
	assert_string_not_equal(devs_name(d3, 0), "vnet5");
	assert_non_null(strstr(devs_name(d3, 0), "vnet"));
	devs_free(d3);
	devs_free(d2);
}

int main(void)
{
#define T(f) cmocka_unit_test_setup_teardown(f, setup, teardown)
	const struct CMUnitTest tests[] = {
		T(test_lease_over),     T(test_send),           T(test_announce), T(test_receive_merged),
		T(test_receive_single), T(test_hostile_buffer), T(test_tap_gone), T(test_open_errors),
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
