/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Unit tests of hypervisor/qemu/qplug.c: what QEMU's monitor is told when devices come and go, and what its events are taken for. */
#include "config.h"
#include "tests/unit/testutil.h"

#include <fcntl.h>
#include <sys/socket.h>
#include "common/util.h"
#include "hypervisor/dev/enic.h"
#include "hypervisor/dev/vudev.h"
#include "hypervisor/qemu/qvm_int.h"

static struct {
	char said[4096];     /* commands with their arguments, a line each */
	const char *refuses; /* the command that fails */
	size_t listens;      /* the device that was told to */
	size_t connects;     /* the NIC that got sockets */
	unsigned told[9];    /* unplugged() by place */
	const char *refused;
} w;

/* In place of qvm.c's and vudev.c's. */
int qvm_call(struct qvm *v, const char *cmd, json_t *args, int fd, uint64_t limit_ns, struct err *err)
{
	_cleanup_free_ char *text = json_dumps(args, JSON_COMPACT | JSON_SORT_KEYS);
	size_t n = strlen(w.said);

	(void)v, (void)fd, (void)limit_ns;
	snprintf(w.said + n, sizeof(w.said) - n, "%s %s\n", cmd, text);
	json_decref(args);
	return w.refuses && !strcmp(w.refuses, cmd) ? err_set(err, EREMOTEIO, "no such thing") : 0;
}

int vudev_listen(struct devs *d, size_t i, int listen_fd, struct err *err)
{
	(void)d, (void)err;
	w.listens = i;
	close(listen_fd);
	return 0;
}

int enic_pair(int ret[2], struct err *err)
{
	(void)err;
	return socketpair(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0, ret);
}

int enic_connect(struct devs *d, size_t i, int ours, int theirs, struct err *err)
{
	(void)d, (void)err;
	w.connects = i;
	close(ours);
	close(theirs);
	return 0;
}

static void on_unplugged(void *arg, unsigned place, const char *refused)
{
	(void)arg;
	w.told[place]++;
	w.refused = refused;
}

static struct dom_config cfg = { .type = DOM_TYPE_QEMU, .hvm.places = 8 };
static const struct hv_engine_env env = { .cfg = &cfg, .unplugged = on_unplugged };
static struct qvm v;
static const struct dom_disk disk = { .target = "vdb", .place = 3 };
static const struct dom_nic nic = { .mac = { 0x52, 0x54, 0, 1, 2, 3 }, .mtu = 9000, .place = 8 };

static int set_up(void **state)
{
	(void)state;
	memset(&w, 0, sizeof(w));
	v = (struct qvm){ .env = &env, .state = QVM_RUNNING };
	for (size_t i = 0; i < ARRAY_SIZE(v.place_fd); i++)
		v.place_fd[i] = open("/dev/null", O_RDONLY | O_CLOEXEC);
	return 0;
}

static int tear_down(void **state)
{
	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(v.place_fd); i++)
		close(v.place_fd[i]);
	return 0;
}

static bool said(const char *what)
{
	return strstr(w.said, what);
}

static void test_disk(void **state)
{
	struct hv_plug p = { .index = 1, .disk = &disk };
	struct err err = { 0 };

	(void)state;
	assert_int_equal(qplug_add(&v, &p, &err), 0);
	assert_int_equal(w.listens, 1);
	assert_true(
		said("chardev-add {\"backend\":{\"data\":{\"addr\":{\"data\":{\"path\":\"/v/18\"},\"type\":\"unix\"},"
	             "\"server\":false},\"type\":\"socket\"},\"id\":\"plug3\"}\n"));
	assert_true(said(
		"device_add {\"addr\":\"0x0\",\"bus\":\"port3\",\"chardev\":\"plug3\",\"disable-legacy\":\"on\","
		"\"disable-modern\":false,\"driver\":\"vhost-user-blk-pci\",\"id\":\"plug3\",\"num-queues\":1}\n"));
	assert_false(said("netdev_add"));
}

static void test_nic(void **state)
{
	struct hv_plug p = { .index = 4, .nic = &nic };
	struct err err = { 0 };

	(void)state;
	assert_int_equal(qplug_add(&v, &p, &err), 0);
	assert_true(said("netdev_add {\"chardev\":\"plug8\",\"id\":\"plugnet8\",\"type\":\"vhost-user\"}\n"));
	assert_true(
		said("\"driver\":\"virtio-net-pci\",\"host_mtu\":9000,\"id\":\"plug8\",\"mac\":\"52:54:00:01:02:03\","
	             "\"netdev\":\"plugnet8\",\"romfile\":\"\",\"vectors\":0}"));
	v.kvm = true;
	w.said[0] = 0;
	assert_int_equal(qplug_add(&v, &p, &err), 0);
	assert_false(said("vectors"));
}

/* A card of QEMU's own: its socket is passed, nothing is listened to. */
static void test_card(void **state)
{
	static const struct dom_nic card = { .mac = { 0x52, 0x54, 0, 1, 2, 3 }, .place = 8, .model = DOM_NIC_E1000E };
	static const char *const steps[] = { "getfd", "netdev_add", "device_add" };
	struct hv_plug p = { .index = 4, .nic = &card };
	struct err err = { 0 };

	(void)state;
	w.listens = 99;
	assert_int_equal(qplug_add(&v, &p, &err), 0);
	assert_int_equal(w.connects, 4);
	assert_int_equal(w.listens, 99);
	assert_true(said("getfd {\"fdname\":\"plugnet8\"}\n"
	                 "netdev_add {\"id\":\"plugnet8\",\"local\":{\"str\":\"plugnet8\",\"type\":\"fd\"},"
	                 "\"type\":\"dgram\"}\n"
	                 "device_add {\"addr\":\"0x0\",\"bus\":\"port8\",\"driver\":\"e1000e\",\"id\":\"plug8\","
	                 "\"mac\":\"52:54:00:01:02:03\",\"netdev\":\"plugnet8\",\"romfile\":\"\"}\n"));
	assert_false(said("chardev-add"));
	for (size_t i = 0; i < ARRAY_SIZE(steps); i++) {
		w.said[0] = 0;
		w.refuses = steps[i];
		assert_int_equal(qplug_add(&v, &p, &err), -EREMOTEIO);
		const char *at = strstr(w.said, steps[i]);
		assert_non_null(at);
		assert_non_null(strstr(at, "netdev_del {\"id\":\"plugnet8\"}\n"));
		assert_true(i != 1 || strstr(at, "closefd {\"fdname\":\"plugnet8\"}\n"));
	}
}

/* What was made before the step that fails is taken back. */
static void test_refused(void **state)
{
	static const char *const steps[] = { "chardev-add", "netdev_add", "device_add" };
	struct hv_plug p = { .index = 4, .nic = &nic };
	struct err err = { 0 };

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(steps); i++) {
		w.said[0] = 0;
		w.refuses = steps[i];
		assert_int_equal(qplug_add(&v, &p, &err), -EREMOTEIO);
		assert_non_null(strstr(err.text, "no such thing"));
		const char *at = strstr(w.said, steps[i]);
		assert_non_null(at);
		assert_non_null(strstr(at, "netdev_del {\"id\":\"plugnet8\"}\nchardev-remove {\"id\":\"plug8\"}\n"));
	}
}

static void test_states(void **state)
{
	static const struct dom_disk nowhere = { .target = "vdb" }, beyond = { .target = "vdb", .place = 9 };
	struct hv_plug p = { .disk = &nowhere };
	struct err err = { 0 };

	(void)state;
	assert_int_equal(qplug_add(&v, &p, &err), -ENOTSUP);
	p.disk = &beyond;
	assert_int_equal(qplug_add(&v, &p, &err), -ENOTSUP);
	p.disk = &disk;
	v.state = QVM_SUSPENDED;
	assert_int_equal(qplug_add(&v, &p, &err), -EBUSY);
	assert_int_equal(qplug_ask(&v, 3, &err), -EBUSY);
	v.state = QVM_NONE;
	assert_int_equal(qplug_add(&v, &p, &err), -ESRCH);
	assert_int_equal(qplug_ask(&v, 3, &err), -ESRCH);
	assert_int_equal(w.said[0], 0);
}

static void event(const char *name, const char *device)
{
	json_t *data = device ? json_pack("{s:s, s:s}", "device", device, "path", "/machine/peripheral/x")
	                      : json_pack("{s:s}", "path", "/machine/peripheral/x");

	qplug_event(&v, name, data);
	json_decref(data);
}

static void test_events(void **state)
{
	static const char *const others[] = { "vda",    "plug0",          "plug9", "plug", "plug3x",
		                              "plug-3", "plug4294967299", "",      NULL };
	struct err err = { 0 };

	(void)state;
	assert_int_equal(qplug_ask(&v, 3, &err), 0);
	assert_true(said("device_del {\"id\":\"plug3\"}\n"));
	for (size_t i = 0; i < ARRAY_SIZE(others); i++)
		event("DEVICE_DELETED", others[i]);
	qplug_event(&v, "DEVICE_DELETED", NULL);
	qplug_tell(&v);
	event("DEVICE_UNPLUG_GUEST_ERROR", "plug3");
	qplug_tell(&v);
	assert_int_equal(w.told[3], 1);
	assert_non_null(w.refused);
	event("DEVICE_DELETED", "plug3");
	/* not while it stands still */
	v.state = QVM_SUSPENDED;
	qplug_tell(&v);
	assert_int_equal(w.told[3], 1);
	v.state = QVM_RUNNING;
	qplug_tell(&v);
	qplug_tell(&v);
	assert_int_equal(w.told[3], 2);
	assert_null(w.refused);
	assert_true(said("chardev-remove {\"id\":\"plug3\"}\n"));
	for (unsigned i = 0; i < ARRAY_SIZE(w.told); i++)
		assert_true(i == 3 || !w.told[i]);
}

int main(void)
{
#define T(fn) cmocka_unit_test_setup_teardown(fn, set_up, tear_down)
	const struct CMUnitTest tests[] = { T(test_disk),    T(test_nic),    T(test_card),
		                            T(test_refused), T(test_states), T(test_events) };

	return cmocka_run_group_tests(tests, NULL, NULL);
}
