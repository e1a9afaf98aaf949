/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Arguments by signature: each letter, each procedure of the table, cut and prolonged, absurd counts, no memory. */
#include "config.h"
#include "tests/unit/testutil.h"

#include <endian.h>
#include <errno.h>
#include <string.h>
#include "virtd/virtd_int.h"

static const uint8_t uuid[XDR_UUID] = { 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15, 16 };

static void put_params(struct buf *b)
{
	struct vd_list l = vd_list_begin(b);

	vd_put_int(&l, "int", -5);
	vd_put_uint(&l, "uint", 5);
	vd_put_ullong(&l, "bandwidth", 1ull << 40);
	vd_put_text(&l, "name", "guest01");
	vd_list_end(&l);
}

/* What a client sends for @sig. */
static void put_args(struct buf *b, const char *sig)
{
	for (; *sig; sig++) {
		switch (*sig) {
		case 'i':
		case 'u':
			xdr_put_u32(b, 7);
			break;
		case 'l':
			xdr_put_u64(b, 8);
			break;
		case 's':
			xdr_put_string(b, "text");
			break;
		case 'S':
			xdr_put_opt_string(b, "perhaps");
			break;
		case 'U':
			xdr_put_fixed(b, uuid, sizeof(uuid));
			break;
		case 'O':
			xdr_put_u32(b, 1);
			vd_put_dom(b, "guest01", uuid, 12);
			break;
		case 'D':
			vd_put_dom(b, "guest01", uuid, 12);
			break;
		case 'A':
			xdr_put_u32(b, 2);
			vd_put_dom(b, "guest01", uuid, 12);
			vd_put_dom(b, "guest02", uuid, -1);
			break;
		case 'o':
			xdr_put_opaque(b, "\0\1\2\3\4", 5);
			break;
		case 'N':
			xdr_put_u32(b, 2);
			xdr_put_u32(b, 28);
			xdr_put_u32(b, 57);
			break;
		case 'T':
			xdr_put_u32(b, 2);
			xdr_put_string(b, "one");
			xdr_put_string(b, "two");
			break;
		case 'P':
			put_params(b);
			break;
		default:
			fail_msg("signature '%c'", *sig);
		}
	}
}

static void letters(void **state)
{
	_cleanup_buf_ struct buf b = { 0 };
	uint64_t n = 0;
	struct vd_args a;
	struct err err;

	(void)state;
	put_args(&b, "ilsUDAoP");
	assert_int_equal(vd_args_read("ilsUDAoP", b.data, b.len, &a, &err), 0);
	assert_int_equal(a.n, 8);
	assert_int_equal(a.arg[0].u, 7);
	assert_int_equal(a.arg[1].l, 8);
	assert_string_equal(a.arg[2].s, "text");
	assert_memory_equal(a.arg[3].uuid, uuid, sizeof(uuid));
	assert_string_equal(a.arg[4].dom->name, "guest01");
	assert_int_equal(a.arg[4].dom->id, 12);
	assert_int_equal(a.arg[5].n, 2);
	assert_string_equal(a.arg[5].dom[1].name, "guest02");
	assert_int_equal(a.arg[5].dom[1].id, -1);
	assert_memory_equal(a.arg[6].octets, "\0\1\2\3\4", 5);
	assert_string_equal(vd_param_text(&a.arg[7], "name"), "guest01");
	assert_null(vd_param_text(&a.arg[7], "uint"));
	assert_true(vd_param_number(&a.arg[7], "bandwidth", &n));
	assert_true(n == 1ull << 40);
	assert_false(vd_param_number(&a.arg[7], "int", &n));
	assert_false(vd_param_number(&a.arg[7], "name", &n));
	assert_true(vd_param_number(&a.arg[7], "not there", &n));
	vd_args_done(&a);
	buf_reset(&b);
	xdr_put_opt_string(&b, NULL);
	xdr_put_u32(&b, 0);
	assert_int_equal(vd_args_read("SO", b.data, b.len, &a, &err), 0);
	assert_null(a.arg[0].s);
	assert_null(a.arg[1].dom);
	vd_args_done(&a);
	buf_reset(&b);
	put_args(&b, "T");
	assert_int_equal(vd_args_read("T", b.data, b.len, &a, &err), 0);
	assert_int_equal(a.arg[0].n, 2);
	assert_string_equal(a.arg[0].text[1], "two");
	vd_args_done(&a);
	buf_reset(&b);
	put_args(&b, "N");
	assert_int_equal(vd_args_read("N", b.data, b.len, &a, &err), 0);
	assert_int_equal(a.arg[0].n, 2);
	assert_int_equal(a.arg[0].number[1], 57);
	vd_args_done(&a);
	b.data[3] = VD_NUMBERS_MAX + 1;
	assert_int_equal(vd_args_read("N", b.data, b.len, &a, &err), -EBADMSG);
	buf_reset(&b);
	put_args(&b, "T");
	/* more than there can be in what is left */
	b.data[3] = 200;
	assert_int_equal(vd_args_read("T", b.data, b.len, &a, &err), -EBADMSG);
}

/* Each procedure: whole; cut at each octet; with octets behind. */
static void procedures(void **state)
{
	size_t n;
	const struct vd_proc *all = vd_proc_all(&n);

	(void)state;
	for (size_t i = 0; i < n; i++) {
		_cleanup_buf_ struct buf b = { 0 };
		struct vd_args a;
		struct err err;

		assert_true(strlen(all[i].sig) <= VD_ARGS_MAX && all[i].fn && *all[i].name);
		assert_true(!i || all[i - 1].number < all[i].number);
		assert_ptr_equal(vd_proc_find(all[i].number), &all[i]);
		put_args(&b, all[i].sig);
		assert_int_equal(vd_args_read(all[i].sig, b.data, b.len, &a, &err), 0);
		vd_args_done(&a);
		for (size_t len = 0; len < b.len; len++) {
			uint8_t *p = malloc(len ? len : 1);

			memcpy(p, b.data, len);
			assert_int_equal(vd_args_read(all[i].sig, p, len, &a, &err), -EBADMSG);
			free(p);
		}
		xdr_put_u32(&b, 0);
		assert_int_equal(vd_args_read(all[i].sig, b.data, b.len, &a, &err), -EBADMSG);
	}
	assert_null(vd_proc_find(0));
	assert_null(vd_proc_find(53)); /* descriptors */
	assert_null(vd_proc_find(0xffffffff));
}

/* What changes something, or shows what a guest says, is not for those who may only look. */
static void read_only(void **state)
{
	static const uint16_t changes[] = { 10,  208, 209, 76,  77,  78,  79,  80,  81,  82,  83,  90,  93,  94,  260,
		                            9,   11,  12,  27,  28,  29,  33,  34,  35,  54,  55,  164, 196, 201, 231,
		                            232, 233, 234, 258, 302, 303, 305, 306, 307, 335, 336, 350, 353, 8,   13,
		                            26,  30,  31,  32,  160, 161, 182, 184, 185, 197, 199, 204, 205, 210, 211,
		                            225, 226, 245, 251, 261, 264, 277, 294, 337, 338, 358 };
	size_t n, found = 0;
	const struct vd_proc *all = vd_proc_all(&n);

	(void)state;
	for (size_t i = 0; i < n; i++)
		found += !(all[i].flags & VD_RO);
	assert_int_equal(found, ARRAY_SIZE(changes));
	for (size_t i = 0; i < ARRAY_SIZE(changes); i++)
		assert_false(vd_proc_find(changes[i])->flags & VD_RO);
}

/* Counts that the message cannot hold, or that are beyond the limits, take no memory. */
static void absurd(void **state)
{
	static const struct {
		const char *sig;
		uint32_t count;
	} wrong[] = { { "A", 0xffffffff },        { "A", VD_DOMAINS_MAX + 1 }, { "A", 100 },       { "P", 0xffffffff },
		      { "P", VD_PARAMS_MAX + 1 }, { "o", 0xffffffff },         { "o", 0x80000000 } };
	static uint8_t octets[2000000];

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(wrong); i++) {
		uint32_t n = htobe32(wrong[i].count);
		/* many domains or parameters: there are octets enough for them, but not for 100 of 300 octets */
		size_t len = wrong[i].count == 100 ? 300 : sizeof(octets);
		struct vd_args a;
		struct err err;

		memcpy(octets, &n, sizeof(n));
		alloc_largest_reset();
		if (vd_args_read(wrong[i].sig, octets, len, &a, &err) != -EBADMSG)
			fail_msg("%s with %u", wrong[i].sig, wrong[i].count);
		assert_true(alloc_largest() < 1000);
	}
}

static void unknown_type(void **state)
{
	_cleanup_buf_ struct buf b = { 0 };
	struct vd_args a;
	struct err err;

	(void)state;
	xdr_put_u32(&b, 2);
	xdr_put_string(&b, "first");
	xdr_put_u32(&b, VD_STRING);
	xdr_put_string(&b, "is freed");
	xdr_put_string(&b, "second");
	xdr_put_u32(&b, 99);
	xdr_put_u32(&b, 0);
	assert_int_equal(vd_args_read("P", b.data, b.len, &a, &err), -EBADMSG);
}

static void no_memory(void **state)
{
	const char *sig = "sSDOAoP";
	_cleanup_buf_ struct buf b = { 0 };
	unsigned failures = 0;
	struct vd_args a;
	struct err err;
	int r;

	(void)state;
	put_args(&b, sig);
	FOR_EACH_ALLOC_FAILURE(r = vd_args_read(sig, b.data, b.len, &a, &err))
	{
		assert_int_equal(r, alloc_failed ? -EBADMSG : 0);
		failures += alloc_failed;
		if (!r)
			vd_args_done(&a);
	}
	assert_true(failures > 10);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(letters), cmocka_unit_test(procedures),   cmocka_unit_test(read_only),
		cmocka_unit_test(absurd),  cmocka_unit_test(unknown_type), cmocka_unit_test(no_memory),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
