/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Devices on a transport that is nothing like vhost-user: the driver calls functions, the device counts. What it needs beyond its own
 * ops table would be a leak of vhost-user into the devices.
 */
#include "config.h"
#include "hypervisor/dev/vdev_int.h"
#include "tests/unit/testutil.h"
#include "tests/unit/vdriver.h"

#include <errno.h>
#include <stdlib.h>

#define MEM      (1u << 20)
#define RING     0x10000ull
#define DATA     0x40000ull
#define FEATURE  (1ull << 40) /* of this transport */
#define WORD     0x1122334455667788ull
#define FEATURES (VIRTIO_F_VERSION_1 | VIRTIO_RING_F_INDIRECT_DESC | FEATURE)

enum { AGENT, RNG0, BALLOON, N_DEVS };

struct wire { /* what it keeps for a device */
	bool driver, heard;
	unsigned drained, calls, config_calls, closed;
	uint64_t word;
	char octets[8];
	size_t n;
};

static struct dom_config cfg;
static struct guestmem mem;
static struct devs *devs;
static struct vdriver drv;
static unsigned open_wires;

static struct wire *wire(const struct vdev *v)
{
	return v->port;
}

static int wire_open(struct vdev *v, struct err *err)
{
	v->port = calloc(1, sizeof(struct wire));
	open_wires += v->port != NULL;
	return v->port ? 0 : err_sys(err, ENOMEM, "wire");
}
static void wire_close(struct vdev *v)
{
	vdev_reset(v);
	wire(v)->driver = false;
	wire(v)->closed++;
}
static void wire_free(struct vdev *v)
{
	if (!v->port)
		return;
	wire_close(v);
	free(v->port);
	v->port = NULL;
	open_wires--;
}
static bool wire_connected(const struct vdev *v)
{
	return wire(v)->driver;
}
static int wire_watch(struct vdev *v, bool on)
{
	wire(v)->heard = on;
	return 0;
}
static void wire_drain(struct vdev *v)
{
	assert_false(wire(v)->heard);
	wire(v)->drained++;
}
static void wire_call(struct vdev *v, unsigned q)
{
	(void)q;
	wire(v)->calls++;
}
static void wire_config_changed(struct vdev *v)
{
	wire(v)->config_calls++;
}
static uint64_t wire_save(const struct vdev *v, struct buf *out)
{
	buf_put(out, wire(v)->octets, wire(v)->n);
	return wire(v)->word;
}
static int wire_load(struct vdev *v, uint64_t word, const void *p, size_t len, bool commit, struct err *err)
{
	struct wire *w = wire(v);

	if ((word && word != WORD) || len > sizeof(w->octets))
		return err_set(err, EINVAL, "not a wire");
	if (commit) {
		w->word = word;
		w->n = len;
		memcpy(w->octets, p, len);
	}
	return 0;
}
static void wire_look(const struct vdev *v, char *buf, size_t len)
{
	snprintf(buf, len, "%u calls", wire(v)->calls);
}

static const struct vdev_transport_ops wire_ops = {
	.features = FEATURE,
	.open = wire_open,
	.free = wire_free,
	.close = wire_close,
	.connected = wire_connected,
	.watch = wire_watch,
	.drain = wire_drain,
	.call = wire_call,
	.config_changed = wire_config_changed,
	.save = wire_save,
	.load = wire_load,
	.look = wire_look,
};

static int setup(void **state)
{
	(void)state;
	cfg = (struct dom_config){ .name = "wired", .memory_bytes = MEM, .n_rngs = 1, .balloon = true };
	if (vdriver_mem(&mem, MEM) || devs_new(&cfg, &wire_ops, NULL, &devs, NULL))
		return -1;
	devs_set_mem(devs, &mem);
	return devs_count(devs) == N_DEVS ? 0 : -1;
}

static int teardown(void **state)
{
	(void)state;
	devs_free(devs);
	guestmem_done(&mem);
	return open_wires ? -1 : 0;
}

/* A driver comes to device @i, with rings in each queue; drv is that of queue 0. */
static struct vdev *connect_driver(unsigned i)
{
	struct vdev *v = devs->v[i];

	wire(v)->driver = true;
	vdev_ack(v, FEATURES);
	vdriver_init(&drv, &mem, RING, 64);
	for (unsigned q = 0; q < v->n_vq; q++) {
		struct vdriver d;
		vdriver_init(&d, &mem, RING + q * 0x4000, 64);
		v->vq[q].c = d.c;
		vdev_enable(v, q, true);
	}
	return v;
}

static void kick(struct vdev *v, unsigned q)
{
	v->pending |= 1u << q;
	vdev_run_pending(v);
}

static void test_request(void **state)
{
	const uint64_t seg[][2] = { { DATA, 32 } };
	char text[DEVS_LOOK_MAX];
	struct vdev *v = devs->v[RNG0];
	(void)state;

	assert_int_equal(v->offered & FEATURES, FEATURES);
	assert_int_equal(v->offered & 1ull << 30, 0); /* vhost-user's own */
	connect_driver(RNG0);
	vdriver_chain(&drv, 0, 1, seg);
	kick(v, 0);
	assert_int_equal(vdriver_used_idx(&drv), 1);
	assert_int_equal(wire(v)->calls, 1);
	devs_look(devs, text, sizeof(text));
	assert_non_null(strstr(text, "1 calls"));
	v->transport->close(v);
	kick(v, 0);
	vdev_start(v);
	assert_false(v->running);
}

/* No driver: nothing runs. A config that changes while nobody can be told is told later. */
static void test_not_connected(void **state)
{
	struct vdev *v = devs->v[BALLOON];
	(void)state;

	connect_driver(BALLOON);
	assert_true(v->running);
	assert_int_equal(devs_balloon(devs, MEM / 2, NULL), 0);
	assert_int_equal(wire(v)->config_calls, 1);
	v->transport->close(v);
	assert_int_equal(devs_balloon(devs, MEM, NULL), -EOPNOTSUPP);
	assert_int_equal(wire(v)->config_calls, 1);
}

static void test_quiesce(void **state)
{
	const uint64_t seg[][2] = { { DATA, 32 } };
	struct vdev *v = connect_driver(RNG0);
	(void)state;

	wire(v)->heard = true;
	assert_int_equal(devs_quiesce(devs, NULL), 0);
	assert_int_equal(wire(v)->drained, 1);
	vdriver_chain(&drv, 0, 1, seg);
	kick(v, 0);
	assert_int_equal(vdriver_used_idx(&drv), 0);
	assert_int_equal(devs_resume(devs, true, NULL), 0);
	assert_true(wire(v)->heard);
	assert_int_equal(vdriver_used_idx(&drv), 1);
	assert_int_equal(wire(v)->calls, 2); /* once because it was asked to, once for the answer */
}

static void test_state(void **state)
{
	_cleanup_buf_ struct buf a = { 0 };
	struct vdev *v = connect_driver(RNG0);
	struct devs *d2 = NULL;
	(void)state;

	wire(v)->word = WORD;
	memcpy(wire(v)->octets, "half", wire(v)->n = 4);
	assert_int_equal(devs_quiesce(devs, NULL), 0);
	assert_int_equal(devs_save(devs, &a, NULL), 0);
	assert_int_equal(devs_new(&cfg, &wire_ops, NULL, &d2, NULL), 0);
	struct rd rd = rd_of(a.data, a.len);
	assert_int_equal(devs_load(d2, &rd, NULL), 0);
	struct vdev *w = d2->v[RNG0];
	assert_true(wire(w)->word == WORD && wire(w)->n == 4 && !memcmp(wire(w)->octets, "half", 4));
	assert_int_equal(wire(w)->closed, 1);
	assert_int_equal(w->features, FEATURES);
	assert_int_equal(w->vq[0].c.desc.v, RING);
	/* what the transport does not understand leaves all as it was */
	wire(v)->word = 7;
	a.len = 0;
	assert_int_equal(devs_save(devs, &a, NULL), 0);
	rd = rd_of(a.data, a.len);
	assert_int_equal(devs_load(d2, &rd, NULL), -EINVAL);
	assert_true(wire(w)->word == WORD && wire(w)->closed == 1);
	devs_free(d2);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(test_request, setup, teardown),
		cmocka_unit_test_setup_teardown(test_not_connected, setup, teardown),
		cmocka_unit_test_setup_teardown(test_quiesce, setup, teardown),
		cmocka_unit_test_setup_teardown(test_state, setup, teardown),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
