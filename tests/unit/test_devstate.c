/* SPDX-License-Identifier: GPL-2.0-or-later */
/* The saved state of devices: round trip with a half request and typed text, every truncation, every octet turned over. */
#include "config.h"
#include "tests/unit/devfixture.h"

#include <sys/socket.h>

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
		fx_attach(i);
	assert_int_equal(fx_blk(1, 0, 512), 0);
	fx_console_out("a life\n");
	fx_say(AGENT, "hospes:beat 600\nhospes:be");
	int c = devs_console(fx.devs, 0, false, NULL);
	assert_int_equal(write(c, "typed", 5), 5);
	fx_put(fx.sock[BALLOON], VU_SET_CONFIG, config, sizeof(config));
	fx_kick(RNG0, 0);
	assert_int_equal(send(fx.sock[RNG0], "\x23\0\0\0\1", 5, 0), 5);
	assert_int_equal(devs_quiesce(fx.devs, NULL), 0);
	save(fx.devs, out);
	close(c);
}

static void test_round_trip(void **state)
{
	_cleanup_buf_ struct buf a = { 0 }, b = { 0 };
	struct devs *d2 = NULL;
	const uint64_t seg[][2] = { { FX_DATA, 32 } }, in[][2] = { { FX_DATA + 0x1000, 16 } };
	int old[N_DEVS], old_req[N_DEVS];
	(void)state;

	lived(&a);
	assert_int_equal(devs_new(&fx.cfg, &vudev_transport, &fx_events, &d2, NULL), 0);
	assert_int_equal(devs_start(d2, NULL), 0);
	devs_set_mem(d2, &fx.mem);
	struct rd rd = rd_of(a.data, a.len);
	assert_int_equal(devs_load(d2, &rd, NULL), 0);
	assert_int_equal(rd.left, 0);
	save(d2, &b);
	assert_int_equal(a.len, b.len);
	assert_memory_equal(a.data, b.data, a.len);
	/* the guest goes on with the new set, on fresh sockets */
	for (int i = 0; i < N_DEVS; i++) {
		old[i] = fx.sock[i];
		old_req[i] = fx.req[i];
	}
	devs_free(fx.devs);
	fx.devs = d2;
	for (int i = 0; i < N_DEVS; i++) {
		close(old[i]);
		close(old_req[i]);
		fx_pair(i);
		assert_true(vudev_attached(fx.devs, (size_t)i));
	}
	/* a restore that is tried again */
	rd = rd_of(a.data, a.len);
	assert_int_equal(devs_load(fx.devs, &rd, NULL), 0);
	for (int i = 0; i < N_DEVS; i++) {
		assert_true(fx_closed(fx.sock[i]));
		close(fx.sock[i]);
		close(fx.req[i]);
		fx_pair(i);
	}
	/* offered before the resume and never kicked */
	vdriver_chain(&fx.drv[RNG0][0], 0, 1, seg);
	assert_int_equal(devs_resume(fx.devs, true, NULL), 0);
	rd = rd_of(a.data, a.len);
	assert_int_equal(devs_load(fx.devs, &rd, NULL), -EBUSY);
	fx_wait_used(RNG0, 0, 1);
	for (int i = 0; i < N_DEVS; i++)
		fx_wait_call(i, 0);
	/* the heartbeat, and the other half of its next line */
	assert_int_equal(devs_beat(fx.devs), 600);
	fx_say(AGENT, "at 500\n");
	assert_int_equal(devs_beat(fx.devs), 500);
	/* the other half of the request: a kick */
	vdriver_chain(&fx.drv[RNG0][0], 0, 1, seg);
	assert_int_equal(send(fx.sock[RNG0], "\0\0\0\x8\0\0\0\0\0\0\0\0\0\0\0", 15, 0), 15);
	fx_wait_used(RNG0, 0, 2);
	vdriver_chain(&fx.drv[HVC0][0], 0, 1, in);
	fx_kick(HVC0, 0);
	fx_wait_used(HVC0, 0, 1);
	assert_memory_equal(fx.mem.base + FX_DATA + 0x1000, "typed", 5);
	assert_int_equal(devs_balloon_bytes(fx.devs), 55 * 4096);
	assert_int_equal(fx_blk(0, 0, 512), 0);
	int c = devs_console(fx.devs, 0, false, NULL);
	char text[16] = "";
	assert_int_equal(recv(c, text, 7, MSG_WAITALL), 7);
	assert_string_equal(text, "a life\n");
	close(c);
	assert_int_equal(atomic_load(&fx.broken_events), 0);
}

static void test_state_hostile(void **state)
{
	_cleanup_buf_ struct buf a = { 0 }, empty = { 0 }, b = { 0 };
	struct devs *d2 = NULL;
	(void)state;

	lived(&a);
	assert_int_equal(devs_new(&fx.cfg, &vudev_transport, NULL, &d2, NULL), 0);
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

/* What the version before said of the agent's console ended before the heartbeat: none is armed. */
static void test_state_older(void **state)
{
	const size_t beat = 2 + 1 + 9;
	_cleanup_buf_ struct buf a = { 0 };
	uint32_t len;
	size_t at = 8;
	(void)state;

	lived(&a);
	for (int i = 0; i < AGENT; i++) {
		memcpy(&len, a.data + at + 4, 4);
		at += 8 + len;
	}
	memcpy(&len, a.data + at + 4, 4);
	uint8_t *end = a.data + at + 8 + len;
	assert_memory_equal(end - 9, "hospes:be", 9);
	/* a heartbeat that cannot be */
	memcpy(end - beat, "\1\0", 2);
	struct rd rd = rd_of(a.data, a.len);
	struct err err = { 0 };
	assert_int_equal(devs_load(fx.devs, &rd, &err), -EINVAL);
	assert_non_null(strstr(err.text, "heartbeat"));
	memmove(end - beat, end, (size_t)(a.data + a.len - end));
	len -= (uint32_t)beat;
	memcpy(a.data + at + 4, &len, 4);
	rd = rd_of(a.data, a.len - beat);
	assert_int_equal(devs_load(fx.devs, &rd, NULL), 0);
	assert_int_equal(rd.left, 0);
	assert_int_equal(devs_beat(fx.devs), 0);
}

/* A state of other devices is refused with the reason. */
static void test_state_other(void **state)
{
	_cleanup_buf_ struct buf a = { 0 };
	struct devs *d2 = NULL;
	struct err err = { 0 };
	(void)state;

	lived(&a);
	assert_int_equal(truncate(fx.cfg.disk[0].source, FX_DISK_BYTES * 2), 0);
	assert_int_equal(devs_new(&fx.cfg, &vudev_transport, NULL, &d2, NULL), 0);
	struct rd rd = rd_of(a.data, a.len);
	assert_int_equal(devs_load(d2, &rd, &err), -EINVAL);
	assert_non_null(strstr(err.text, "not the same disk"));
	devs_free(d2);
	assert_int_equal(truncate(fx.cfg.disk[0].source, FX_DISK_BYTES), 0);
	fx.cfg.disk[0].readonly = true;
	assert_int_equal(devs_new(&fx.cfg, &vudev_transport, NULL, &d2, NULL), 0);
	rd = rd_of(a.data, a.len);
	assert_int_equal(devs_load(d2, &rd, &err), -EINVAL);
	assert_non_null(strstr(err.text, "features"));
	devs_free(d2);
	fx.cfg.disk[0].readonly = false;
	fx.cfg.n_rngs = 2;
	assert_int_equal(devs_new(&fx.cfg, &vudev_transport, NULL, &d2, NULL), 0);
	rd = rd_of(a.data, a.len);
	assert_int_equal(devs_load(d2, &rd, &err), -EINVAL);
	assert_non_null(strstr(err.text, "5 devices"));
	devs_free(d2);
	assert_int_equal(devs_save(fx.devs, &a, NULL), 0);
	assert_int_equal(devs_resume(fx.devs, false, NULL), 0);
	assert_int_equal(devs_save(fx.devs, &a, NULL), -EBUSY);
}

int main(void)
{
#define T(f) cmocka_unit_test_setup_teardown(f, fx_setup, fx_teardown)
	const struct CMUnitTest tests[] = { T(test_round_trip), T(test_state_hostile), T(test_state_older),
		                            T(test_state_other) };
	return cmocka_run_group_tests(tests, NULL, NULL);
}
