/* SPDX-License-Identifier: GPL-2.0-or-later */
/* The codec of the migration protocol against good, odd and hostile input. */
#include "config.h"
#include "tests/unit/testutil.h"
#include "migrated/io/seal.h"
#include "migrated/io/wire.h"

static void pack(const Hospes__Mig__Envelope *env, struct buf *b)
{
	assert_int_equal(wire_pack(env, b), 0);
}

/* A whole, valid Offer that each case bends. */
struct offer_case {
	const char *what;
	void (*bend)(Hospes__Mig__Offer *o);
	int want;
};
static uint8_t key[WIRE_KEY_BYTES];
static char long_name[65];

static void bend_none(Hospes__Mig__Offer *o)
{
	(void)o;
}
static void bend_name(Hospes__Mig__Offer *o)
{
	o->name = (char *)"../etc";
}
static void bend_long(Hospes__Mig__Offer *o)
{
	memset(long_name, 'a', 64);
	o->name = long_name;
}
static void bend_uuid(Hospes__Mig__Offer *o)
{
	o->uuid = (char *)"short";
}
static void bend_key(Hospes__Mig__Offer *o)
{
	o->data_key.len = 15;
}
static void bend_streams(Hospes__Mig__Offer *o)
{
	o->streams = MIG_STREAMS_MAX + 1;
}
static void bend_no_streams(Hospes__Mig__Offer *o)
{
	o->streams = 0;
}
static void bend_xml(Hospes__Mig__Offer *o)
{
	o->xml.len = 0;
}
static void bend_regions(Hospes__Mig__Offer *o)
{
	o->n_regions = 0;
}
static void bend_region_size(Hospes__Mig__Offer *o)
{
	o->regions[0]->size_bytes = 4097;
}
static void bend_region_huge(Hospes__Mig__Offer *o)
{
	o->regions[0]->size_bytes = 1ull << 60;
}
static void bend_region_index(Hospes__Mig__Offer *o)
{
	o->regions[0]->index = 3;
}
static void bend_engine(Hospes__Mig__Offer *o)
{
	o->engine = (char *)"an engine with a long name";
}

static void test_offers(void **state)
{
	static const struct offer_case cases[] = {
		{ "as it should be", bend_none, 0 },          { "name with a path", bend_name, -EPROTO },
		{ "long name", bend_long, -EPROTO },          { "short uuid", bend_uuid, -EPROTO },
		{ "short key", bend_key, -EPROTO },           { "too many streams", bend_streams, -EPROTO },
		{ "no streams", bend_no_streams, -EPROTO },   { "no XML", bend_xml, -EPROTO },
		{ "no region", bend_regions, -EPROTO },       { "odd region size", bend_region_size, -EPROTO },
		{ "huge region", bend_region_huge, -EPROTO }, { "region out of order", bend_region_index, -EPROTO },
		{ "long engine", bend_engine, -EPROTO },
	};
	(void)state;

	for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
		Hospes__Mig__Envelope env = HOSPES__MIG__ENVELOPE__INIT;
		Hospes__Mig__Offer o = HOSPES__MIG__OFFER__INIT;
		Hospes__Mig__Region r = HOSPES__MIG__REGION__INIT, *regs[] = { &r };
		_cleanup_buf_ struct buf b = { 0 };
		_cleanup_wire_ Hospes__Mig__Envelope *got = NULL;
		struct mig_msg msg = { 0 };
		struct err err = { 0 };

		env.version = MIG_VERSION;
		env.session = 5;
		env.body_case = HOSPES__MIG__ENVELOPE__BODY_OFFER;
		env.offer = &o;
		o.name = (char *)"guest01";
		o.uuid = (char *)"c7a5fdbd-cdaf-9455-926a-d65c16db1809";
		o.engine = (char *)"pv";
		o.kernel_id = (char *)"00";
		o.xml = (ProtobufCBinaryData){ .len = 9, .data = (uint8_t *)"<domain/>" };
		o.data_key = (ProtobufCBinaryData){ .len = sizeof(key), .data = key };
		o.streams = 2;
		o.generation = 41;
		o.n_regions = 1;
		o.regions = regs;
		r.size_bytes = 1 << 20;
		cases[i].bend(&o);
		pack(&env, &b);
		int rc = wire_unpack(b.data, b.len, &got, &msg, &err);
		if (rc != cases[i].want)
			fail_msg("%s: %d, %s", cases[i].what, rc, err.text);
		if (rc == 0) {
			assert_int_equal(msg.kind, MIG_MSG_OFFER);
			assert_int_equal(msg.generation, 42);
		} else {
			assert_true(err.text[0]);
		}
	}
}

static void test_versions(void **state)
{
	static const struct {
		uint32_t min, max;
		uint64_t caps;
		uint32_t want;
	} t[] = {
		{ 1, 1, MIG_CAPS, 1 }, { 1, 9, MIG_CAPS, 1 },    { 2, 3, MIG_CAPS, 0 }, { 0, 0, MIG_CAPS, 0 },
		{ 3, 1, MIG_CAPS, 0 }, { 1, 1, MIG_CAP_LZ4, 0 }, { 1, 1, ~0ull, 1 },
	};
	(void)state;

	for (size_t i = 0; i < ARRAY_SIZE(t); i++)
		assert_int_equal(mig_version_agree(t[i].min, t[i].max, t[i].caps), t[i].want);
	Hospes__Mig__Envelope env = HOSPES__MIG__ENVELOPE__INIT;
	Hospes__Mig__Go go = HOSPES__MIG__GO__INIT;
	env.body_case = HOSPES__MIG__ENVELOPE__BODY_GO;
	env.go = &go;
	for (unsigned v = 0; v < 4; v++) {
		for (unsigned session = 0; session < 2; session++) {
			_cleanup_buf_ struct buf b = { 0 };
			_cleanup_wire_ Hospes__Mig__Envelope *got = NULL;
			struct mig_msg msg;
			env.version = v;
			env.session = session;
			pack(&env, &b);
			assert_int_equal(wire_unpack(b.data, b.len, &got, &msg, NULL),
			                 v == MIG_VERSION && session ? 0 : -EPROTO);
		}
	}
}

static void test_unknown(void **state)
{
	struct mig_msg msg;
	Hospes__Mig__Envelope *got = NULL;
	/* version 1, session 1, body 99 of another version */
	static const uint8_t body99[] = { 0x08, 1, 0x11, 1, 0, 0, 0, 0, 0, 0, 0, 0x9a, 0x06, 0 };
	/* the same with Go {} and an unknown field 77 behind: skipped */
	static const uint8_t extra[] = { 0x08, 1, 0x11, 1, 0, 0, 0, 0, 0, 0, 0, 0x8a, 0x01, 0, 0xe8, 0x04, 5 };
	(void)state;

	assert_int_equal(wire_unpack(body99, sizeof(body99), &got, &msg, NULL), -EPROTO);
	assert_int_equal(wire_unpack(extra, sizeof(extra), &got, &msg, NULL), 0);
	assert_int_equal(msg.kind, MIG_MSG_GO);
	wire_free(got);
	got = NULL;
	for (size_t n = 0; n < sizeof(extra) - 3; n++) /* truncated */
		if (n != 14)
			assert_true(wire_unpack(extra, n, &got, &msg, NULL) < 0);
	_cleanup_free_ uint8_t *big = calloc(1, WIRE_CONTROL_MAX + 1);
	assert_int_equal(wire_unpack(big, WIRE_CONTROL_MAX + 1, &got, &msg, NULL), -EMSGSIZE);
}

static void test_frames(void **state)
{
	static struct wire_frame f, g;
	_cleanup_buf_ struct buf b = { 0 };
	(void)state;

	f = (struct wire_frame){ .session = 9,
		                 .seq = 1ull << 40,
		                 .stream = 7,
		                 .kind = WIRE_FRAME_PAGES,
		                 .region = 1,
		                 .round = 3,
		                 .codec = WIRE_CODEC_LZ4,
		                 .raw_bytes = 3 * 4096,
		                 .dense = true,
		                 .dense_end = 1ull << 33,
		                 .n_runs = 2,
		                 .runs = { 5, 3 << 1, 0, 2 << 1 | 1 } };
	assert_int_equal(wire_frame_pack(&f, &b), 0);
	assert_int_equal(wire_frame_unpack(b.data, b.len, &g), 0);
	assert_int_equal(g.seq, f.seq);
	assert_true(g.dense);
	assert_int_equal(g.dense_end, f.dense_end);
	assert_memory_equal(g.runs, f.runs, 4 * sizeof(uint32_t));
	assert_int_equal(wire_runs_check(&g, 10), 0);
	assert_int_equal(wire_runs_check(&g, 9), -EPROTO); /* the last run ends after page 9 */
	g.raw_bytes = 4096;
	assert_int_equal(wire_runs_check(&g, 10), -EPROTO); /* payload and runs differ */
	g = f;
	g.runs[1] = 0;
	assert_int_equal(wire_runs_check(&g, 10), -EPROTO); /* an empty run */
	g = f;
	g.runs[0] = UINT32_MAX;
	assert_int_equal(wire_runs_check(&g, 10), -EPROTO);
	static const struct {
		size_t at;
		uint32_t v;
	} bad[] = {
		{ offsetof(struct wire_frame, stream), MIG_STREAMS_MAX },
		{ offsetof(struct wire_frame, region), MIG_REGIONS_MAX },
		{ offsetof(struct wire_frame, kind), 3 },
		{ offsetof(struct wire_frame, kind), WIRE_FRAME_STATE },
		{ offsetof(struct wire_frame, codec), 2 },
		{ offsetof(struct wire_frame, raw_bytes), WIRE_PAYLOAD_MAX + 1 },
	};
	for (size_t i = 0; i < ARRAY_SIZE(bad); i++) {
		g = f;
		memcpy((uint8_t *)&g + bad[i].at, &bad[i].v, 4);
		buf_reset(&b);
		assert_int_equal(wire_frame_pack(&g, &b), 0);
		assert_int_equal(wire_frame_unpack(b.data, b.len, &g), -EPROTO);
	}
}

static void test_seal(void **state)
{
	struct seal make, open;
	uint8_t in[5000], out[5000 + WIRE_TAG_BYTES], back[5000];
	(void)state;

	for (size_t i = 0; i < sizeof(in); i++)
		in[i] = (uint8_t)(i * 7);
	assert_int_equal(seal_init(&make, key), 0);
	assert_int_equal(seal_init(&open, key), 0);
	for (size_t len = 0; len <= sizeof(in); len += 1000) {
		assert_int_equal(seal_make(&make, 2, 77, "header", 6, in, len, out), 0);
		assert_int_equal(seal_open(&open, 2, 77, "header", 6, out, len + WIRE_TAG_BYTES, back), 0);
		assert_memory_equal(in, back, len);
		assert_int_equal(seal_open(&open, 2, 78, "header", 6, out, len + WIRE_TAG_BYTES, back), -EBADMSG);
		assert_int_equal(seal_open(&open, 3, 77, "header", 6, out, len + WIRE_TAG_BYTES, back), -EBADMSG);
		assert_int_equal(seal_open(&open, 2, 77, "headex", 6, out, len + WIRE_TAG_BYTES, back), -EBADMSG);
		out[len / 2] ^= 1;
		assert_int_equal(seal_open(&open, 2, 77, "header", 6, out, len + WIRE_TAG_BYTES, back), -EBADMSG);
	}
	assert_int_equal(seal_open(&open, 2, 77, "header", 6, out, WIRE_TAG_BYTES - 1, back), -EBADMSG);
	for (int bad = 0; bad < 2; bad++) { /* in pieces */
		assert_int_equal(seal_make(&make, 2, 78, "header", 6, in, 4096, out), 0);
		out[4096] ^= (uint8_t)bad;
		assert_int_equal(seal_open_begin(&open, 2, 78, "header", 6), 0);
		assert_int_equal(seal_open_part(&open, out, 1024, back), 0);
		assert_int_equal(seal_open_part(&open, out + 1024, 3072, back + 1024), 0);
		assert_int_equal(seal_open_end(&open, out + 4096), bad ? -EBADMSG : 0);
		assert_memory_equal(in, back, 4096);
	}
	seal_done(&make);
	seal_done(&open);
}

/* RFC 7253, appendix A: the cipher is what the wire's description says, whatever library makes it */
static void test_seal_known(void **state)
{
	static const uint8_t k[WIRE_KEY_BYTES] = { 0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15 },
			     text[8] = { 0, 1, 2, 3, 4, 5, 6, 7 },
			     want[24] = { 0x68, 0x20, 0xb3, 0x65, 0x7b, 0x6f, 0x61, 0x5a, 0x57, 0x25, 0xbd, 0xa0,
		                          0xd3, 0xb4, 0xeb, 0x3a, 0x25, 0x7c, 0x9a, 0xf1, 0xf8, 0xf0, 0x30, 0x09 };
	struct seal s;
	uint8_t out[sizeof(want)];
	(void)state;

	assert_int_equal(seal_init(&s, k), 0);
	assert_int_equal(seal_make(&s, 0x8899aabb, 0x0111223344556677, text, sizeof(text), text, sizeof(text), out), 0);
	assert_memory_equal(out, want, sizeof(want));
	seal_done(&s);
}

int main(void)
{
	const struct CMUnitTest tests[] = { cmocka_unit_test(test_offers),  cmocka_unit_test(test_versions),
		                            cmocka_unit_test(test_unknown), cmocka_unit_test(test_frames),
		                            cmocka_unit_test(test_seal),    cmocka_unit_test(test_seal_known) };

	return cmocka_run_group_tests(tests, NULL, NULL);
}
