/* SPDX-License-Identifier: GPL-2.0-or-later */
/* See devfixture.h. */
#include "config.h"
#include "tests/unit/devfixture.h"

#include <fcntl.h>
#include <poll.h>
#include <sys/socket.h>

#define RING(dev, q) (0x10000ull + ((uint64_t)(dev)*4 + (q)) * 0x4000)

const unsigned fx_queues[N_DEVS] = { 1, 2, 2, 1, 3 };
const uint64_t fx_extra_features[N_DEVS] = { 1 << 9 | 1 << 13 | 1 << 14, 0, 0, 0, 1 << 5 };
struct devfixture fx;

static void on_broken(void *arg, const char *name, const char *why)
{
	(void)arg;
	snprintf(fx.broken_why, sizeof(fx.broken_why), "%s: %s", name, why);
	atomic_fetch_add(&fx.broken_events, 1);
}

static void on_silent(void *arg)
{
	(void)arg;
	atomic_fetch_add(&fx.silent_events, 1);
}

static void on_disk_error(void *arg, const char *name, int code, bool read, bool held)
{
	(void)arg, (void)read;
	atomic_store(&fx.disk_code, strcmp(name, "vda") ? -1 : code);
	atomic_fetch_add(held ? &fx.disk_held : &fx.disk_errors, 1);
}

static void on_disk_room(void *arg)
{
	(void)arg;
	atomic_fetch_add(&fx.disk_rooms, 1);
}
const struct devs_events fx_events = {
	.broken = on_broken, .silent = on_silent, .disk_error = on_disk_error, .disk_room = on_disk_room
};

static void make_config(void)
{
	char path[256];

	memset(&fx.cfg, 0, sizeof(fx.cfg));
	snprintf(fx.cfg.name, sizeof(fx.cfg.name), "unit");
	fx.cfg.memory_bytes = FX_MEM;
	fx.cfg.n_disks = fx.cfg.n_consoles = fx.cfg.n_rngs = 1;
	fx.cfg.balloon = true;
	snprintf(path, sizeof(path), "%s/%s/vda.img", fx.dir, fx.image_dir ? fx.image_dir : ".");
	int fd = open(path, O_RDWR | O_CREAT | O_CLOEXEC, 0600);
	assert_true(fd >= 0 && ftruncate(fd, FX_DISK_BYTES) == 0);
	close(fd);
	if (fx.qcow2) {
		char cmd[512];
		snprintf(cmd, sizeof(cmd), "qemu-img create -q -f qcow2 -o cluster_size=64k '%s' %u", path,
		         FX_DISK_BYTES);
		assert_int_equal(system(cmd), 0);
		fx.cfg.disk[0].format = DOM_FORMAT_QCOW2;
	}
	fx.cfg.disk[0].source = strdup(path);
	snprintf(fx.cfg.disk[0].target, sizeof(fx.cfg.disk[0].target), "vda");
	fx.cfg.disk[0].discard = true;
	fx.cfg.disk[0].cache = fx.cache;
	fx.cfg.disk[0].error_policy = fx.error_policy;
	fx.cfg.disk[0].rerror_policy = fx.rerror_policy;
	snprintf(path, sizeof(path), "%s/hvc0.log", fx.dir);
	fx.cfg.console[0].log = strdup(path);
}

int fx_setup(void **state)
{
	(void)state;
	struct err err = { 0 };

	atomic_store(&fx.broken_events, 0);
	atomic_store(&fx.silent_events, 0);
	atomic_store(&fx.disk_errors, 0);
	atomic_store(&fx.disk_held, 0);
	atomic_store(&fx.disk_rooms, 0);
	fx.dir = test_dir_new();
	if (fx.prepare)
		fx.prepare();
	make_config();
	struct devs_events ev = fx_events;
	ev.deadline = fx.page;
	if (vdriver_mem(&fx.mem, FX_MEM) ||
	    devs_new(&fx.cfg, fx.transport ? fx.transport : &vudev_transport, &ev, &fx.devs, &err)) {
		print_error("%s\n", err.text);
		return -1;
	}
	for (int i = 0; i < N_DEVS; i++)
		fx.sock[i] = fx.req[i] = -1;
	devs_set_mem(fx.devs, &fx.mem);
	return devs_start(fx.devs, NULL);
}

int fx_teardown(void **state)
{
	(void)state;
	devs_free(fx.devs);
	fx.devs = NULL;
	for (int i = 0; i < N_DEVS; i++) {
		if (fx.sock[i] >= 0)
			close(fx.sock[i]);
		if (fx.req[i] >= 0)
			close(fx.req[i]);
	}
	guestmem_done(&fx.mem);
	free(fx.cfg.disk[0].source);
	free(fx.cfg.console[0].log);
	test_dir_remove(fx.dir);
	return 0;
}

/* The driver's end ------------------------------------------------------------------------------------------------------- */

void fx_put(int s, uint32_t request, const void *body, uint32_t len)
{
	uint8_t m[VU_MSG_MAX];
	uint32_t h[3] = { request, 1, len };

	memcpy(m, h, 12);
	if (len)
		memcpy(m + 12, body, len);
	assert_int_equal(send(s, m, 12 + len, MSG_NOSIGNAL), 12 + len);
}

void fx_put_state(int s, uint32_t request, uint32_t index, uint32_t num)
{
	uint32_t b[2] = { index, num };

	fx_put(s, request, b, sizeof(b));
}

void fx_put_u64(int s, uint32_t request, uint64_t v)
{
	fx_put(s, request, &v, sizeof(v));
}

uint64_t fx_get_u64(int s, uint32_t request)
{
	uint32_t m[5];
	uint64_t v;

	fx_put(s, request, NULL, 0);
	assert_int_equal(recv(s, m, sizeof(m), MSG_WAITALL), sizeof(m));
	assert_int_equal(m[0], request);
	assert_int_equal(m[1], 5);
	memcpy(&v, &m[3], 8);
	return v;
}

static void setup_queue(int dev, unsigned q)
{
	struct vdriver *d = &fx.drv[dev][q];
	struct {
		uint32_t index, flags;
		uint64_t desc, used, avail, log;
	} a = { .index = q };

	vdriver_init(d, &fx.mem, RING(dev, q), 64);
	memset(fx.mem.base + RING(dev, q), 0, 0x4000);
	a.desc = d->c.desc.v;
	a.used = d->c.used.v;
	a.avail = d->c.avail.v;
	fx_put_state(fx.sock[dev], VU_SET_VRING_NUM, q, 64);
	fx_put_state(fx.sock[dev], VU_SET_VRING_BASE, q, 0);
	fx_put(fx.sock[dev], VU_SET_VRING_ADDR, &a, sizeof(a));
}

void fx_handshake(int dev, uint64_t features)
{
	uint64_t table[9] = { 1, 0, FX_MEM, 0, 0 };

	fx_put(fx.sock[dev], VU_SET_OWNER, NULL, 0);
	uint64_t f = fx_get_u64(fx.sock[dev], VU_GET_FEATURES);
	assert_int_equal(f & features, features);
	assert_int_equal(fx_get_u64(fx.sock[dev], VU_GET_PROTOCOL_FEATURES) & (1 << 3), 0);
	fx_put_u64(fx.sock[dev], VU_SET_PROTOCOL_FEATURES, VU_PF_NEEDED);
	fx_put_u64(fx.sock[dev], VU_SET_FEATURES, features);
	fx_put(fx.sock[dev], VU_SET_MEM_TABLE, table, sizeof(table));
	for (unsigned q = 0; q < fx_queues[dev]; q++)
		setup_queue(dev, q);
	for (unsigned q = 0; q < fx_queues[dev]; q++)
		fx_put_state(fx.sock[dev], VU_SET_VRING_ENABLE, q, 1);
	(void)fx_get_u64(fx.sock[dev], VU_GET_FEATURES);
}

void fx_pair(int dev)
{
	int a[2], b[2];

	assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, a), 0);
	assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, b), 0);
	assert_int_equal(vudev_pair(fx.devs, (size_t)dev, a[1], b[1], NULL), 0);
	fx.sock[dev] = a[0];
	fx.req[dev] = b[0];
}

void fx_attach_features(int dev, uint64_t features)
{
	fx_pair(dev);
	fx_handshake(dev, features);
}

void fx_attach(int dev)
{
	fx_attach_features(dev, FX_FEATURES | fx_extra_features[dev]);
	assert_true(vudev_attached(fx.devs, (size_t)dev));
}

void fx_kick(int dev, unsigned q)
{
	fx_put_state(fx.sock[dev], VU_VRING_KICK, q, 0);
}

/* What was sent before has been acted upon: queues run before the next request is read. */
void fx_settle(int dev)
{
	(void)fx_get_u64(fx.sock[dev], VU_GET_FEATURES);
	(void)fx_get_u64(fx.sock[dev], VU_GET_FEATURES);
}

void fx_wait_used(int dev, unsigned q, uint16_t idx)
{
	for (int i = 0; i < 5000 && vdriver_used_idx(&fx.drv[dev][q]) != idx; i++)
		usleep(1000);
	assert_int_equal(vdriver_used_idx(&fx.drv[dev][q]), idx);
}

/* The device calls: exactly this message. */
void fx_wait_call(int dev, unsigned q)
{
	uint32_t m[5];

	assert_int_equal(recv(fx.req[dev], m, sizeof(m), MSG_WAITALL), sizeof(m));
	assert_int_equal(m[0], VU_BACKEND_VRING_CALL);
	assert_int_equal(m[1], 1);
	assert_int_equal(m[3], q);
}

bool fx_closed(int s)
{
	struct pollfd p = { .fd = s, .events = POLLIN };
	char c;

	return poll(&p, 1, 5000) == 1 && recv(s, &c, 1, 0) <= 0;
}

/* One block request with @len octets of data at FX_DATA; returns its status. */
uint8_t fx_blk(uint32_t type, uint64_t sector, uint32_t len)
{
	bool in = type == 0 || type == 8;
	const uint64_t hdr = FX_DATA - 0x1000, status = FX_DATA - 0x800;
	uint64_t seg[3][2] = { { hdr, 16 }, { fx.data_at ? fx.data_at : FX_DATA, len }, { status, 1 } };
	uint16_t before = vdriver_used_idx(&fx.drv[VDA][0]);

	memcpy(fx.mem.base + hdr, &type, 4);
	memcpy(fx.mem.base + hdr + 8, &sector, 8);
	fx.mem.base[status] = 0xee;
	if (!len)
		memcpy(seg[1], seg[2], sizeof(seg[1]));
	vdriver_chain(&fx.drv[VDA][0], 1 + (len && !in), 1 + (len && in), (const uint64_t(*)[2])seg);
	fx_kick(VDA, 0);
	fx_wait_used(VDA, 0, (uint16_t)(before + 1));
	return fx.mem.base[status];
}

void fx_say(int dev, const char *text)
{
	const uint64_t seg[][2] = { { FX_DATA, strlen(text) } };
	uint16_t before = vdriver_used_idx(&fx.drv[dev][1]);

	memcpy(fx.mem.base + FX_DATA, text, strlen(text));
	vdriver_chain(&fx.drv[dev][1], 1, 0, seg);
	fx_kick(dev, 1);
	fx_wait_used(dev, 1, (uint16_t)(before + 1));
}

void fx_console_out(const char *text)
{
	fx_say(HVC0, text);
}
