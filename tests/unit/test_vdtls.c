/* SPDX-License-Identifier: GPL-2.0-or-later */
/* TLS without TLS: messages of hospes-virtd-tls, names and patterns, and who gives way to a new client. */
#include "config.h"
#include "tests/unit/testutil.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include "virtd/vdtlsmsg.h"
#include "virtd/vtls.h"

static void patterns(void **state)
{
	static const struct {
		const char *pattern, *dn;
		bool fits;
	} cases[] = {
		{ "*", "", true },
		{ "", "", true },
		{ "", "CN=a", false },
		{ "CN=a", "CN=a", true },
		{ "CN=a", "CN=ab", false },
		{ "CN=ab", "CN=a", false },
		{ "CN=?", "CN=a", true },
		{ "CN=?", "CN=", false },
		{ "CN=?", "CN=\xc3\xa9", true },
		{ "*CN=admin*", "O=x,CN=admin", true },
		{ "*CN=admin*", "CN=admin,O=x", true },
		{ "*a*a*b", "aaaaaaaaaaaaaaaaaaaaaab", true },
		{ "*a*a*c", "aaaaaaaaaaaaaaaaaaaaaab", false },
		{ "cn=a", "CN=a", false },
		/* the value of one attribute that looks like another attribute */
		{ "*,O=staff", "CN=x\\,O=staff", false },
		{ "*,O=staff", "CN=x\\,O=staff,O=staff", true },
		{ "CN=x\\,y,*", "CN=x\\,y,O=z", true },
		{ "CN=?,O=z", "CN=\\,,O=z", true },
		{ "*\\", "CN=a\\", true },
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(cases); i++)
		if (vdtls_dn_fits(cases[i].pattern, cases[i].dn) != cases[i].fits)
			fail_msg("\"%s\" and \"%s\"", cases[i].pattern, cases[i].dn);
}

static void messages(void **state)
{
	static const struct {
		const char *octets;
		size_t len;
		int r;
	} cases[] = {
		{ "", 0, -EBADMSG },
		{ "\n", 1, -EBADMSG },
		{ "c\n", 2, -EBADMSG }, /* no name */
		{ "c1.2.3.4:5\nCN=a", 15, 0 },
		{ "c[fe80::1]:5\nCN=a", 17, 0 },
		{ "x1.2.3.4:5\nCN=a", 15, -EBADMSG },
		{ "c1.2.3.4:5 \x1b[2J\nCN=a", 20, -EBADMSG },
		{ "c1.2.3.4:5CN=a", 14, -EBADMSG },
		{ "c1.2.3.4:5\nCN=a\0b", 17, -EBADMSG },
		{ "c1.2.3.4:5\nCN=a\nb", 17, -EBADMSG }, /* two lines of a log */
		{ "c1.2.3.4:5\nCN=\xff", 15, -EBADMSG },
		{ "n1.2.3.4:5\nno\nway", 17, 0 },
		{ "r\n17", 4, 0 },
	};
	char p[VDTLS_MSG_MAX], longer[2 * VDTLS_TEXT_MAX];
	struct vdtls_msg m;

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(cases); i++)
		if (vdtls_msg_read(cases[i].octets, cases[i].len, &m) != cases[i].r)
			fail_msg("message %zu", i);
	assert_int_equal(vdtls_msg_read("n1.2.3.4:5\nno\nway", 17, &m), 0);
	assert_string_equal(m.text, "no way");
	assert_string_equal(m.addr, "1.2.3.4:5");
	memset(longer, 'a', sizeof(longer) - 1);
	longer[sizeof(longer) - 1] = 0;
	assert_int_equal(vdtls_msg_read(p, vdtls_msg_write(VDTLS_CLIENT, longer, longer, p), &m), 0);
	assert_int_equal(m.kind, VDTLS_CLIENT);
	assert_int_equal(strlen(m.text), VDTLS_TEXT_MAX - 1);
	assert_int_equal(strlen(m.addr), VDTLS_ADDR_MAX - 1);
	/* an address of another length than there is */
	memset(p, '1', sizeof(p));
	p[0] = 'c';
	p[1 + VDTLS_ADDR_MAX] = '\n';
	assert_int_equal(vdtls_msg_read(p, VDTLS_MSG_MAX, &m), -EBADMSG);
}

/* The flood is from one place, which pays for it; others keep their turns. */
static void giving_way(void **state)
{
	static const uint8_t flood[16] = { [10] = 0xff, [11] = 0xff, [12] = 10, [15] = 1 },
			     good[16] = { [10] = 0xff, [11] = 0xff, [12] = 10, [15] = 2 };
	struct vtls_slot slot[6] = { 0 }, *s, *victim;
	struct vtls_slots all = { .slot = slot, .n = 6, .handshakes_max = 4, .clients_max = 2 };

	(void)state;
	for (int i = 0; i < 4; i++) {
		s = vtls_slot_for(&all, &victim);
		assert_ptr_equal(s, &slot[i]);
		assert_null(victim);
		*s = (struct vtls_slot){ .pid = 10 + i, .until_ns = 1000u + (unsigned)i };
		memcpy(s->addr, i ? flood : good, 16);
	}
	assert_int_equal(vtls_slots_deadline(&all), 1000);
	s = vtls_slot_for(&all, &victim);
	assert_ptr_equal(victim, &slot[1]); /* not the oldest of all, which is alone at its address */
	assert_ptr_equal(s, &slot[4]);
	/* those that are in count no more, and never give way */
	slot[1].until_ns = UINT64_MAX;
	assert_non_null(vtls_slot_for(&all, &victim));
	assert_null(victim);
	slot[2].until_ns = UINT64_MAX;
	assert_null(vtls_slot_for(&all, &victim));
	/* all of an IPv6 network are one place */
	for (int i = 0; i < 4; i++) {
		slot[i] = (struct vtls_slot){ .pid = 1,
			                      .until_ns = 5u + (unsigned)i,
			                      .addr = { 0x20, 1, [7] = 1, [15] = (uint8_t)i } };
		if (!i)
			slot[i].addr[7] = 2;
	}
	assert_non_null(vtls_slot_for(&all, &victim));
	assert_ptr_equal(victim, &slot[1]);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(patterns),
		cmocka_unit_test(messages),
		cmocka_unit_test(giving_way),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
