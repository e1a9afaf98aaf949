/* SPDX-License-Identifier: GPL-2.0-or-later */
/* vhost-user messages as octets: each request, each way to get one wrong, every truncation. */
#include "config.h"
#include "tests/unit/testutil.h"
#include "hypervisor/dev/vhost_user.h"

struct raw {
	uint32_t w[160];
};

static size_t msg(struct raw *m, uint32_t req, uint32_t flags, uint32_t size)
{
	memset(m, 0, sizeof(*m));
	m->w[0] = req;
	m->w[1] = flags;
	m->w[2] = size;
	return 12 + (size_t)size;
}

static const struct {
	const char *name;
	uint32_t req, flags, size, w3, w4;
	const char *why;
} hostile[] = {
	{ "no version", VU_GET_FEATURES, 0, 0, 0, 0, "flags" },
	{ "version 2", VU_GET_FEATURES, 2, 0, 0, 0, "flags" },
	{ "a reply", VU_GET_FEATURES, 1 | 4, 0, 0, 0, "flags" },
	{ "request 0", 0, 1, 0, 0, 0, "unknown" },
	{ "request 99", 99, 1, 0, 0, 0, "unknown" },
	{ "request 2^32-1", 0xffffffff, 1, 0, 0, 0, "unknown" },
	{ "request 256 + 1", 257, 1, 0, 0, 0, "unknown" },
	{ "too large", VU_SET_CONFIG, 1, VU_PAYLOAD_MAX + 1, 0, 0, "too large" },
	{ "size 2^32-1", VU_SET_CONFIG, 1, 0xffffffff, 0, 0, "too large" },
	{ "payload where none belongs", VU_GET_FEATURES, 1, 8, 0, 0, "wrong size" },
	{ "u64 short", VU_SET_FEATURES, 1, 4, 0, 0, "wrong size" },
	{ "state short", VU_SET_VRING_NUM, 1, 7, 0, 0, "wrong size" },
	{ "address long", VU_SET_VRING_ADDR, 1, 48, 0, 0, "wrong size" },
	{ "kick short", VU_VRING_KICK, 1, 0, 0, 0, "wrong size" },
	{ "memory table short", VU_SET_MEM_TABLE, 1, 4, 0, 0, "too short" },
	{ "memory table of 9", VU_SET_MEM_TABLE, 1, 8 + 9 * 32, 9, 0, "too many regions" },
	{ "memory table claims 2^31", VU_SET_MEM_TABLE, 1, 72, 0x80000000, 0, "too many regions" },
	{ "memory table claims more", VU_SET_MEM_TABLE, 1, 8 + 32, 2, 0, "too many regions" },
	{ "config short", VU_GET_CONFIG, 1, 8, 0, 0, "too short" },
	{ "config size not the payload's", VU_GET_CONFIG, 1, 12 + 8, 0, 9, "wrong size" },
	{ "config too large", VU_GET_CONFIG, 1, 12 + 257, 0, 257, "wrong size" },
	{ "config offset beyond", VU_GET_CONFIG, 1, 12 + 8, 249, 8, "wrong size" },
	{ "config offset overflows", VU_SET_CONFIG, 1, 12 + 8, 0xfffffffc, 8, "wrong size" },
};

static void test_hostile(void **state)
{
	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(hostile); i++) {
		struct raw m;
		struct vu_msg ret;
		const char *why = NULL;
		size_t len = msg(&m, hostile[i].req, hostile[i].flags, hostile[i].size);
		m.w[3] = hostile[i].w3;
		m.w[4] = hostile[i].w4;
		int r = vu_parse((uint8_t *)&m, len < sizeof(m) ? len : sizeof(m), &ret, &why);
		if (r != -EPROTO || !why || !strstr(why, hostile[i].why))
			fail_msg("%s: %d, %s", hostile[i].name, r, why ? why : "no reason");
	}
}

static void test_each_request(void **state)
{
	static const struct {
		uint32_t req, size;
	} all[] = {
		{ VU_GET_FEATURES, 0 },
		{ VU_SET_FEATURES, 8 },
		{ VU_SET_OWNER, 0 },
		{ VU_RESET_OWNER, 0 },
		{ VU_SET_MEM_TABLE, 72 },
		{ VU_SET_LOG_BASE, 16 },
		{ VU_SET_LOG_FD, 0 },
		{ VU_SET_VRING_NUM, 8 },
		{ VU_SET_VRING_ADDR, 40 },
		{ VU_SET_VRING_BASE, 8 },
		{ VU_GET_VRING_BASE, 8 },
		{ VU_SET_VRING_KICK, 8 },
		{ VU_SET_VRING_CALL, 8 },
		{ VU_SET_VRING_ERR, 8 },
		{ VU_GET_PROTOCOL_FEATURES, 0 },
		{ VU_SET_PROTOCOL_FEATURES, 8 },
		{ VU_GET_QUEUE_NUM, 0 },
		{ VU_SET_VRING_ENABLE, 8 },
		{ VU_SET_BACKEND_REQ_FD, 0 },
		{ VU_GET_CONFIG, 12 + 60 },
		{ VU_SET_CONFIG, 12 + 4 },
		{ VU_VRING_KICK, 8 },
	};
	(void)state;

	for (size_t i = 0; i < ARRAY_SIZE(all); i++) {
		struct raw m;
		struct vu_msg ret;
		const char *why = NULL;
		/* NEED_REPLY without REPLY_ACK has no meaning, and is no error */
		size_t len = msg(&m, all[i].req, 1 | 8, all[i].size);
		if (all[i].req == VU_SET_MEM_TABLE)
			m.w[3] = 1;
		if (all[i].req == VU_GET_CONFIG || all[i].req == VU_SET_CONFIG)
			m.w[4] = all[i].size - 12;
		assert_int_equal(vu_parse((uint8_t *)&m, sizeof(m), &ret, &why), len);
		assert_int_equal(ret.req, all[i].req);
		for (size_t k = 0; k < len; k++)
			assert_int_equal(vu_parse((uint8_t *)&m, k, &ret, &why), 0);
	}
}

static void test_fields(void **state)
{
	struct raw m;
	struct vu_msg ret;
	const char *why;
	uint64_t v[8];
	(void)state;

	msg(&m, VU_SET_VRING_ADDR, 1, 40);
	m.w[3] = 7;
	for (int i = 0; i < 4; i++)
		v[i] = 0x1122334455667700ull + (uint64_t)i;
	memcpy(&m.w[5], v, 32);
	assert_true(vu_parse((uint8_t *)&m, sizeof(m), &ret, &why) > 0);
	assert_int_equal(ret.addr.index, 7);
	assert_int_equal(ret.addr.desc, v[0]);
	assert_int_equal(ret.addr.used, v[1]);
	assert_int_equal(ret.addr.avail, v[2]);
	assert_false(ret.takes_fds);

	msg(&m, VU_SET_MEM_TABLE, 1, 72);
	m.w[3] = 2;
	for (int i = 0; i < 8; i++)
		v[i] = (uint64_t)i * 3;
	memcpy(&m.w[5], v, 64);
	assert_true(vu_parse((uint8_t *)&m, sizeof(m), &ret, &why) > 0);
	assert_int_equal(ret.mem.n, 2);
	assert_int_equal(ret.mem.region[1].guest_addr, 12);
	assert_int_equal(ret.mem.region[1].bytes, 15);
	assert_int_equal(ret.mem.region[1].user_addr, 18);
	assert_int_equal(ret.mem.region[1].mmap_offset, 21);
	assert_true(ret.takes_fds);
}

static void test_encode(void **state)
{
	uint8_t b[VU_MSG_MAX];
	uint32_t w[8];
	const uint8_t config[4] = { 1, 2, 3, 4 };
	(void)state;

	assert_int_equal(vu_reply_u64(b, VU_GET_FEATURES, 0x0102030405060708ull), 20);
	memcpy(w, b, 20);
	assert_int_equal(w[0], VU_GET_FEATURES);
	assert_int_equal(w[1], 1 | 4);
	assert_int_equal(w[2], 8);
	assert_int_equal(w[3], 0x05060708);
	assert_int_equal(vu_reply_config(b, 2, 6, config, sizeof(config)), 12 + 12 + 6);
	assert_memory_equal(b + 24, "\3\4\0\0\0\0", 6);
	assert_int_equal(vu_reply_config(b, 200, 6, config, sizeof(config)), 12 + 12 + 6);
	assert_memory_equal(b + 24, "\0\0\0\0\0\0", 6);
	assert_int_equal(vu_reply_config(b, 0, VU_CONFIG_MAX, config, sizeof(config)), 12 + 12 + VU_CONFIG_MAX);
	/* virtio_uml takes no flag but the version in what we ask of it */
	assert_int_equal(vu_backend_call(b, 3), 20);
	memcpy(w, b, 20);
	assert_int_equal(w[0], VU_BACKEND_VRING_CALL);
	assert_int_equal(w[1], 1);
	assert_int_equal(w[3], 3);
	assert_int_equal(vu_backend_config_change(b), 12);
	memcpy(w, b, 12);
	assert_int_equal(w[0], VU_BACKEND_CONFIG_CHANGE);
	assert_int_equal(w[2], 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_hostile),
		cmocka_unit_test(test_each_request),
		cmocka_unit_test(test_fields),
		cmocka_unit_test(test_encode),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
