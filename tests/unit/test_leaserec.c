/* SPDX-License-Identifier: GPL-2.0-or-later */
/* The octets of leases: what is written is read, which slot counts, and what is taken for no record. */
#include "config.h"
#include "tests/unit/testutil.h"

#include <inttypes.h>
#define XXH_INLINE_ALL
#include <xxhash.h>
#include "common/util.h"
#include "hypervisor/api/leaserec.h"

#define A "11111111-2222-3333-4444-555555555555"
#define B "99999999-2222-3333-4444-555555555555"

/* A slot with a right sum, whatever @line says. */
static void slot_of(char *slot, const char *line)
{
	memset(slot, 0, LEASEREC_SLOT);
	snprintf(slot, LEASEREC_SLOT, "%s%016" PRIx64 "\n", line, (uint64_t)XXH3_64bits(line, strlen(line)));
}

static void same(const struct leaserec *a, const struct leaserec *b)
{
	assert_string_equal(a->uuid, b->uuid);
	assert_string_equal(a->rec.owner, b->rec.owner);
	assert_true(a->seq == b->seq && a->rec.generation == b->rec.generation && a->rec.state == b->rec.state);
}

static void test_format(void **state)
{
	struct leaserec l = { .seq = 7,
		              .uuid = A,
		              .rec = { .generation = 3, .owner = "host-a", .state = LEASE_RUNNING } };
	struct leaserec got;
	char slot[LEASEREC_SLOT], want[LEASEREC_SLOT];
	(void)state;

	slot_of(want, "hospes-lease 1 7 " A " 3 running host-a "); /* docs/wire/lease.md */
	leaserec_format(&l, slot);
	assert_memory_equal(slot, want, sizeof(slot));
	assert_true(leaserec_parse(slot, &got));
	same(&got, &l);
	slot_of(want, "hospes-lease 1 18446744073709551615 " A " 18446744073709551615 saved - ");
	l = (struct leaserec){ UINT64_MAX, A, { UINT64_MAX, "", LEASE_SAVED } };
	leaserec_format(&l, slot);
	assert_memory_equal(slot, want, sizeof(slot));
	assert_true(leaserec_parse(slot, &got));
	same(&got, &l);
	/* the longest there is */
	memset(l.uuid, 'a', sizeof(l.uuid) - 1);
	memset(l.rec.owner, 'b', sizeof(l.rec.owner) - 1);
	leaserec_format(&l, slot);
	assert_int_equal(slot[LEASEREC_SLOT - 1], 0);
	assert_true(leaserec_parse(slot, &got));
	same(&got, &l);
}

static void test_hostile(void **state)
{
	static const char *const line[] = {
		"",
		" ",
		"hospes-lease 1 ",
		"hospes-lease 2 1 " A " 1 running host-a ",
		"hospes-lease 1 1 " A " 1 running ",
		"hospes-lease 1 1 " A " 1 running host-a host-b ",
		"hospes-lease 1 1 " A " 1 walking host-a ",
		"hospes-lease 1 1 " A " 1 RUNNING host-a ",
		"hospes-lease 1 -1 " A " 1 running host-a ",
		"hospes-lease 1 +1 " A " 1 running host-a ",
		"hospes-lease 1 01 " A " 1 running host-a ",
		"hospes-lease 1 0x1 " A " 1 running host-a ",
		"hospes-lease 1 18446744073709551616 " A " 1 running host-a ",
		"hospes-lease 1 1 " A " 99999999999999999999999 running host-a ",
		"hospes-lease 1  1 " A " 1 running host-a ",
		"hospes-lease 1 1 " A " 1 running host-a  ",
		"hospes-lease 1 1 " A "\t1 running host-a ",
		"hospes-lease 1 1\n" A " 1 running host-a ",
		"hospes-lease 1 1 " A A " 1 running host-a ",
		"hospes-lease 1 1 " A " 1 running 0123456789012345678901234567890123456789012345678901234567890123 ",
		"%s%n%s ",
	};
	struct leaserec got = { .seq = 5 };
	char slot[LEASEREC_SLOT];
	(void)state;

	for (size_t i = 0; i < ARRAY_SIZE(line); i++) {
		slot_of(slot, line[i]);
		if (leaserec_parse(slot, &got))
			fail_msg("taken for a record: %s", line[i]);
	}
	memset(slot, 'x', sizeof(slot)); /* no end */
	assert_false(leaserec_parse(slot, &got));
	memset(slot, 0, sizeof(slot));
	assert_false(leaserec_parse(slot, &got));
	assert_int_equal(got.seq, 5);
	/* every octet of the line counts */
	slot_of(slot, "hospes-lease 1 1 " A " 1 running host-a ");
	for (size_t i = 0, n = strlen(slot); i < n; i++) {
		slot[i] ^= 1;
		assert_false(leaserec_parse(slot, &got));
		slot[i] ^= 1;
	}
	assert_true(leaserec_parse(slot, &got));
}

static void test_pick(void **state)
{
	char f[LEASEREC_BYTES] = { 0 }, *s0 = f, *s1 = f + LEASEREC_SLOT;
	struct leaserec l[2];
	(void)state;

	assert_int_equal(leaserec_pick(f, A, l), 0);
	slot_of(s1, "hospes-lease 1 1 " A " 4 running host-a ");
	assert_int_equal(leaserec_pick(f, A, l), 1);
	assert_int_equal(l[0].rec.generation, 4);
	slot_of(s0, "hospes-lease 1 2 " A " 5 running host-b ");
	assert_int_equal(leaserec_pick(f, A, l), 2);
	assert_true(l[0].seq == 2 && l[1].seq == 1);
	assert_string_equal(l[0].rec.owner, "host-b");
	slot_of(s1, "hospes-lease 1 3 " A " 5 stopped - ");
	assert_int_equal(leaserec_pick(f, A, l), 2);
	assert_true(l[0].seq == 3 && l[1].seq == 2 && l[0].rec.state == LEASE_STOPPED);
	assert_string_equal(l[0].rec.owner, "");
	s1[8] ^= 1; /* torn: the other one counts */
	assert_int_equal(leaserec_pick(f, A, l), 1);
	assert_int_equal(l[0].seq, 2);
	s0[8] ^= 1;
	assert_int_equal(leaserec_pick(f, A, l), -EINVAL);
	memset(f, 0, sizeof(f));
	f[LEASEREC_BYTES - 1] = 1; /* not empty */
	assert_int_equal(leaserec_pick(f, A, l), -EINVAL);
}

/* Another domain's record counts, though it may be the older one; case of the UUID does not. */
static void test_foreign(void **state)
{
	char f[LEASEREC_BYTES] = { 0 };
	struct leaserec l[2];
	(void)state;

	slot_of(f, "hospes-lease 1 2 " A " 5 running host-b ");
	slot_of(f + LEASEREC_SLOT, "hospes-lease 1 1 " B " 5 running host-b ");
	assert_int_equal(leaserec_pick(f, A, l), -EXDEV);
	assert_string_equal(l[0].uuid, B);
	assert_int_equal(leaserec_pick(f, B, l), -EXDEV);
	assert_string_equal(l[0].uuid, A);
	f[0] = 'x';
	assert_int_equal(leaserec_pick(f, B, l), 1);
	slot_of(f, "hospes-lease 1 2 abcdef00-2222-3333-4444-555555555555 5 running host-b ");
	memset(f + LEASEREC_SLOT, 0, LEASEREC_SLOT);
	assert_int_equal(leaserec_pick(f, "ABCDEF00-2222-3333-4444-555555555555", l), 1);
}

static void test_read(void **state)
{
	_cleanup_fclose_ FILE *f = tmpfile();
	struct leaserec l[2];
	char slot[LEASEREC_SLOT];
	(void)state;

	assert_non_null(f);
	assert_int_equal(leaserec_read(fileno(f), A, l), 0);
	slot_of(slot, "hospes-lease 1 2 " A " 5 running host-b ");
	assert_int_equal(fwrite(slot, 1, 100, f), 100); /* cut in its padding */
	fflush(f);
	assert_int_equal(leaserec_read(fileno(f), A, l), strlen(slot) <= 100 ? 1 : -EINVAL);
	assert_int_equal(leaserec_read(-1, A, l), -EBADF);
}

static void test_paths(void **state)
{
	struct dom_disk k = { .type = DOM_DISK_FILE, .source = (char *)"/i/disk" };
	(void)state;

	_cleanup_free_ char *beside = leaserec_path_beside(&k), *local = leaserec_path_local(A);
	assert_string_equal(beside, "/i/disk.lease");
	assert_string_equal(local, "/s/leases/" A);
	k.readonly = true;
	assert_null(leaserec_path_beside(&k));
	k.readonly = false, k.shareable = true;
	assert_null(leaserec_path_beside(&k));
	k.shareable = false, k.type = DOM_DISK_BLOCK;
	assert_null(leaserec_path_beside(&k));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_format),  cmocka_unit_test(test_hostile), cmocka_unit_test(test_pick),
		cmocka_unit_test(test_foreign), cmocka_unit_test(test_read),    cmocka_unit_test(test_paths),
	};

	setenv("HOSPES_STATEDIR", "/s", 1);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
