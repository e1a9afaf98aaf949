/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Who yields when hosts cannot hear one another: the choice itself, and a small world of hosts that send their rows each 250 ms over links that
 * hold or do not. And the octets of their datagrams.
 */
#include "config.h"
#include "tests/unit/testutil.h"
#include <errno.h>
#include "clusterd/core/reach.h"
#include "clusterd/io/aside.h"
#include "clusterd/io/reachwire.h"

#define N  5u
#define MS 1000000ull
#define S  1000000000ull

/* The choice --------------------------------------------------------------------------------------------------------------- */

static struct reach_row row[CLU_HOSTS_MAX];
static struct reach_view view;

static void all_whole(uint32_t n)
{
	memset(row, 0, sizeof(row));
	view = (struct reach_view){ .n = n, .row = row };
	for (uint32_t i = 0; i < n; i++) {
		row[i].stamp = 1;
		row[i].weight = 10;
		view.alive[i / 64] |= 1ull << (i % 64);
		for (uint32_t k = 0; k < n; k++)
			row[i].hears[k / 64] |= 1ull << (k % 64);
	}
}

static void deaf(uint32_t to, uint32_t from)
{
	row[to].hears[from / 64] &= ~(1ull << (from % 64));
}

static uint64_t kept(void)
{
	uint64_t keep[REACH_WORDS];

	reach_decide(&view, keep);
	return keep[0];
}

static void test_nobody_yields_when_all_is_whole(void **state)
{
	(void)state;
	all_whole(3);
	assert_int_equal(kept(), 7);
	view.alive[0] = 3; /* one died */
	assert_int_equal(kept(), 3);
	view.alive[0] = 1; /* no majority: nothing to save */
	assert_int_equal(kept(), 0);
}

static void test_of_a_pair_the_one_with_fewer_guests_yields(void **state)
{
	(void)state;
	all_whole(3);
	deaf(0, 1);
	deaf(1, 0);
	assert_int_equal(kept(), 5); /* the same weight: the higher place */
	row[1].weight = 11;
	assert_int_equal(kept(), 6);
	row[1].weight = 9;
	assert_int_equal(kept(), 5);
}

static void test_one_way_is_no_way(void **state)
{
	(void)state;
	all_whole(3);
	deaf(2, 0);
	row[2].weight = 100;
	assert_int_equal(kept(), 6);
}

static void test_who_hears_least_yields_before_two_others(void **state)
{
	(void)state;
	all_whole(5);
	row[0].weight = 1000;
	deaf(0, 1);
	deaf(2, 0); /* host 0 is in both pairs */
	assert_int_equal(kept(), 0x1e);
	deaf(3, 4); /* and one more pair */
	row[4].weight = 9;
	assert_int_equal(kept(), 0x0e);
	view.alive[0] = 0x0f; /* 4 died: 3 of 5 are left without 0 */
	assert_int_equal(kept(), 0x0e);
	deaf(1, 2); /* no majority hears one another */
	assert_int_equal(kept(), 0);
}

static void test_who_is_out_joins_only_what_it_hears_in_full(void **state)
{
	(void)state;
	all_whole(5);
	view.out[0] = 1 << 1 | 1 << 3;
	assert_int_equal(kept(), 0x1f);
	deaf(1, 3);
	assert_int_equal(kept(), 0x17); /* of two that are out the lower */
	deaf(0, 1);
	assert_int_equal(kept(), 0x1d);
	row[1].weight = 1000; /* it does not push out who stayed */
	assert_int_equal(kept(), 0x1d);
	all_whole(3);
	view.out[0] = 2;
	view.alive[0] = 6; /* those that stayed are too few by now */
	assert_int_equal(kept(), 6);
}

static void test_many_hosts_and_a_bad_mesh(void **state)
{
	(void)state;
	all_whole(128);
	for (uint32_t i = 0; i < 128; i++)
		for (uint32_t k = 0; k < i; k++)
			if ((i * 31 + k * 17) % 23 == 0)
				deaf(i, k);
	(void)kept(); /* ends, whatever it says */
	all_whole(128);
	deaf(100, 7);
	uint64_t keep[REACH_WORDS];
	reach_decide(&view, keep);
	assert_int_equal(keep[0], ~0ull);
	assert_int_equal(keep[1], ~(1ull << 36));
}

/* Hosts ------------------------------------------------------------------------------------------------------------------- */

static struct host {
	struct reach r;
	uint64_t base; /* of its stamps */
	uint32_t weight;
	bool dead, trouble;
	uint32_t changes;
} host[N];
static bool link_[N][N]; /* [to][from] */
static uint32_t hosts;
static uint64_t now;

static void world(uint32_t n)
{
	hosts = n;
	now = 100 * S;
	memset(host, 0, sizeof(host));
	memset(link_, 1, sizeof(link_));
	for (uint32_t i = 0; i < n; i++) {
		reach_init(&host[i].r, n, i);
		host[i].base = 1000 * S * (i + 1);
		host[i].weight = 10 + i;
	}
}

static void send_rows(uint32_t from)
{
	struct reach *r = &host[from].r;

	reach_mine(r, host[from].base + now, host[from].weight, now);
	for (uint32_t to = 0; to < hosts; to++) {
		if (to == from || host[to].dead || !link_[to][from] ||
		    !reach_heard(&host[to].r, from, host[from].base + now, now))
			continue;
		for (uint32_t i = 0; i < hosts; i++)
			if (reach_fresh(r, i, now))
				reach_learn(&host[to].r, i, &r->row[i], now);
	}
}

/* Datagrams each 250 ms, not at the same moment; everybody judges each 50 ms. */
static void run(uint64_t ns)
{
	for (uint64_t end = now + ns; now < end; now += 10 * MS)
		for (uint32_t i = 0; i < hosts; i++) {
			if (host[i].dead)
				continue;
			if (now % (250 * MS) == i * 40 * MS)
				send_rows(i);
			if (now % (50 * MS) == 0) {
				bool was = host[i].r.out;
				host[i].changes += reach_judge(&host[i].r, host[i].trouble, now) != was;
			}
		}
}

static void trouble(bool on)
{
	for (uint32_t i = 0; i < hosts; i++)
		host[i].trouble = on;
}

static uint32_t out(void)
{
	uint32_t k = 0;

	for (uint32_t i = 0; i < hosts; i++)
		k |= (uint32_t)host[i].r.out << i;
	return k;
}

static uint32_t alive(const struct reach *r, uint64_t at_ns)
{
	uint32_t n = 0;

	for (uint32_t i = 0; i < r->n; i++)
		n += reach_fresh(r, i, at_ns);
	return n;
}

static void test_a_cut_pair_is_seen_and_one_yields_within_two_seconds(void **state)
{
	uint32_t a, b;

	(void)state;
	world(3);
	run(5 * S);
	assert_int_equal(reach_broken(&host[0].r, now, &a, &b), 0);
	link_[0][1] = link_[1][0] = false;
	run(1500 * MS);
	for (uint32_t i = 0; i < 3; i++) {
		assert_int_equal(reach_broken(&host[i].r, now, &a, &b), 1);
		assert_int_equal(a, 0);
		assert_int_equal(b, 1);
		assert_int_equal(alive(&host[i].r, now), 3);
	}
	run(60 * S);
	assert_int_equal(out(), 0); /* corosync has no trouble, for whatever reason */
	trouble(true);
	run(500 * MS);
	assert_int_equal(out(), 1); /* it carries less than the others */
	trouble(false);
	run(60 * S);
	assert_int_equal(out(), 1);
	link_[0][1] = true;
	run(10 * S);
	assert_int_equal(out(), 1);
	link_[1][0] = true;
	run(6 * S);
	assert_int_equal(out(), 0);
	for (uint32_t i = 0; i < 3; i++)
		assert_int_equal(host[i].changes, i == 0 ? 2 : 0);
}

static void test_with_trouble_from_the_beginning_it_takes_as_long(void **state)
{
	(void)state;
	world(5);
	run(5 * S);
	trouble(true); /* the cut is seen by corosync at once */
	link_[3][1] = false;
	run(2 * S);
	assert_int_equal(out(), 2);
	assert_int_equal(host[3].changes, 0);
}

static void test_a_dead_host_makes_nobody_yield(void **state)
{
	(void)state;
	for (uint32_t k = 0; k < 25; k++) { /* whenever it dies between two datagrams */
		world(3);
		trouble(true);
		run(5 * S + k * 10 * MS);
		host[1].dead = true;
		run(10 * S);
		assert_int_equal(out(), 0);
		host[1].dead = false; /* and it is back */
		reach_init(&host[1].r, 3, 1);
		run(10 * S);
		assert_int_equal(out(), 0);
		host[1].dead = true;
		run(S);
		host[1].dead = false; /* it stood still for a second */
		run(5 * S);
		assert_int_equal(out(), 0);
	}
}

static void test_a_host_that_is_cut_off_makes_nobody_yield(void **state)
{
	(void)state;
	world(5);
	trouble(true);
	run(3 * S);
	for (uint32_t i = 0; i < 5; i++)
		link_[2][i] = link_[i][2] = false;
	run(20 * S);
	assert_int_equal(out(), 0);
	memset(link_, 1, sizeof(link_));
	run(5 * S);
	assert_int_equal(out(), 0);
	for (uint32_t i = 0; i < 5; i++) /* it is not heard, but hears */
		link_[i][2] = false;
	run(20 * S);
	assert_int_equal(out(), 1 << 2); /* nobody else does */
	memset(link_, 1, sizeof(link_));
	run(6 * S);
	assert_int_equal(out(), 0);
}

static void test_who_yields_again_and_again_stays_away_longer(void **state)
{
	uint64_t away = 0;

	(void)state;
	world(3);
	trouble(true);
	run(3 * S);
	for (uint32_t k = 0; k < 5; k++) {
		link_[0][1] = link_[1][0] = false;
		run(3 * S);
		assert_int_equal(out(), 1);
		link_[0][1] = link_[1][0] = true;
		uint64_t from = now;
		while (out())
			run(100 * MS);
		if (k)
			assert_true(now - from > away + away / 2);
		away = now - from;
	}
	assert_true(away > 40 * S);
	run(1000 * S); /* long enough ago */
	link_[0][1] = link_[1][0] = false;
	run(3 * S);
	link_[0][1] = link_[1][0] = true;
	run(6 * S);
	assert_int_equal(out(), 0);
}

static void test_replays_and_a_clock_that_was_set_back(void **state)
{
	(void)state;
	world(3);
	run(2 * S);
	assert_false(reach_heard(&host[0].r, 1, host[1].base + now - S, now));
	assert_false(reach_heard(&host[0].r, 0, host[0].base + 2 * now, now)); /* from itself */
	assert_false(reach_heard(&host[0].r, 99, 1, now));
	host[1].dead = true;
	run(12 * S);
	host[1].dead = false;
	host[1].base -= 500 * S;
	trouble(true);
	run(5 * S);
	assert_int_equal(alive(&host[0].r, now), 3);
	assert_int_equal(out(), 0);
}

/* Octets ------------------------------------------------------------------------------------------------------------------ */

static void sample(struct reach_dgram *d, uint32_t nodes)
{
	memset(d, 0, sizeof(*d));
	*d = (struct reach_dgram){ .list = 0x1122334455667788, .to = 7, .stamp = 1234567890123, .nodes = nodes };
	d->pulse = (struct clu_pulse){
		.from = 3, .boot = 11, .seq = 12, .lease_ns = 5 * S, .ack_boot = 13, .ack_seq = 14
	};
	d->n = nodes < REACHWIRE_ROWS_MAX ? nodes : REACHWIRE_ROWS_MAX;
	for (uint32_t i = 0; i < d->n; i++) {
		d->row[i].of = (i + 5) % nodes;
		d->row[i].row = (struct reach_row){ .stamp = 100 + i, .weight = i * 3, .out = i & 1 };
		for (uint32_t k = 0; k < (nodes + 63) / 64; k++)
			d->row[i].row.hears[k] = 0x0123456789abcdefull * (i + k + 1);
	}
}

static void test_who_is_heard_of_is_not_given_up_at_once(void **state)
{
	static struct reach r;
	struct reach_row told = { .stamp = 1000, .weight = 1 };
	uint64_t at = 100 * S;
	(void)state;

	reach_init(&r, 3, 0);
	assert_false(reach_coming(&r, 1, at, at)); /* nothing was heard of it: it is dead */
	reach_learn(&r, 1, &told, at);             /* another one hears it */
	assert_true(reach_coming(&r, 1, at - 3 * S, at));
	assert_false(reach_coming(&r, 1, at - 4 * S, at)); /* it had its time */
	assert_false(reach_coming(&r, 1, at, at + 2 * S)); /* and that was the last of it */
	told.stamp++;
	told.out = true;
	reach_learn(&r, 1, &told, at);
	assert_false(reach_coming(&r, 1, at, at)); /* it stays away by itself */
	assert_false(reach_coming(&r, 3, at, at));
}

/* Leases are short only where datagrams of all have come for a while, and long again when they stay away. */
static void test_leases_rely_on_datagrams_that_came_for_a_while(void **state)
{
	static struct reach r;
	static const uint64_t three[REACH_WORDS] = { 7 }, two[REACH_WORDS] = { 3 }, one[REACH_WORDS] = { 1 };
	struct reach_row told[2] = { { .hears = { 7 } }, { .hears = { 7 } } };
	const uint64_t *members = three;
	uint64_t at = 100 * S, sure_at = 0, lost_at = 0;

	(void)state;
	reach_init(&r, 3, 0);
	for (uint64_t k = 0; k < 400; k++, at += S / 10) {
		for (uint32_t i = 1; i < 3; i++) {
			if (i == 2 && k >= 200) /* it dies; it leaves the view at 230 */
				continue;
			told[i - 1].stamp = at;
			if (i == 1 && k >= 300) /* it does not hear me any more */
				told[0].hears[0] = 6;
			(void)reach_heard(&r, i, at, at);
			reach_learn(&r, i, &told[i - 1], at);
		}
		members = k < 230 ? three : two;
		reach_mine(&r, at, 0, at);
		bool sure = reach_sure(&r, members, at);
		if (sure && !sure_at)
			sure_at = k;
		if (!sure && sure_at && !lost_at)
			lost_at = k;
	}
	assert_in_range(sure_at, 100, 103);
	assert_in_range(lost_at, 350, 353); /* a host that died, and is in the view for some seconds, changes nothing */
	assert_false(reach_sure(&r, one, at)); /* who is alone has no lease to renew */
}

static void test_datagrams_come_back_as_they_were(void **state)
{
	static const uint32_t sizes[] = { 1, 2, 3, 64, 65, 128 };
	uint8_t key[REACHWIRE_KEY], other[REACHWIRE_KEY], octets[REACHWIRE_MAX];
	static struct reach_dgram d, e;
	struct err err = { 0 };

	(void)state;
	assert_int_equal(reachwire_key("lab", "secret", 6, key, &err), 0);
	assert_int_equal(reachwire_key("lab", NULL, 0, other, &err), 0);
	assert_memory_not_equal(key, other, sizeof(key));
	for (uint32_t i = 0; i < 6; i++) {
		sample(&d, sizes[i]);
		int len = reachwire_pack(&d, key, octets);
		assert_true(len > 0 && len <= (int)REACHWIRE_MAX);
		memset(&e, 0, sizeof(e));
		assert_int_equal(reachwire_unpack(octets, (size_t)len, key, &e), 0);
		assert_memory_equal(&d, &e, sizeof(d));
		assert_int_equal(reachwire_unpack(octets, (size_t)len, other, &e), -EBADMSG);
		for (int k = 0; k < len; k++) {
			assert_true(reachwire_unpack(octets, (size_t)k, key, &e) < 0);
			octets[k] ^= 0x40;
			assert_int_equal(reachwire_unpack(octets, (size_t)len, key, &e), -EBADMSG);
			octets[k] ^= 0x40;
		}
	}
}

static void test_what_makes_no_sense_is_refused(void **state)
{
	uint8_t key[REACHWIRE_KEY], octets[REACHWIRE_MAX];
	static struct reach_dgram d, e;
	struct err err = { 0 };
	int len;

	(void)state;
	assert_int_equal(reachwire_key("lab", "secret", 6, key, &err), 0);
	sample(&d, 3);
	d.row[1].of = 3; /* not in the list */
	len = reachwire_pack(&d, key, octets);
	assert_int_equal(reachwire_unpack(octets, (size_t)len, key, &e), -EPROTO);
	sample(&d, 3);
	d.pulse.lease_ns = 1000000 * S;
	len = reachwire_pack(&d, key, octets);
	assert_int_equal(reachwire_unpack(octets, (size_t)len, key, &e), -EPROTO);
	assert_int_not_equal(reachwire_list("a", (const uint32_t[]){ 1, 2 }, 2),
	                     reachwire_list("a", (const uint32_t[]){ 1, 3 }, 2));
	assert_int_not_equal(reachwire_list("a", (const uint32_t[]){ 1, 2 }, 2),
	                     reachwire_list("b", (const uint32_t[]){ 1, 2 }, 2));
}

static void test_what_nft_is_told(void **state)
{
	static const uint16_t port[] = { 5404, 5405 };
	char text[1024];

	(void)state;
	assert_int_equal(aside_script(false, port, 2, text, sizeof(text)), 0);
	assert_string_equal(text, "add table inet hospes_aside\ndelete table inet hospes_aside\n");
	assert_int_equal(aside_script(true, port, 2, text, sizeof(text)), 0);
	assert_non_null(strstr(text, "elements = { 5404 timeout 15s, 5405 timeout 15s }"));
	assert_non_null(strstr(text, "hook output"));
	for (size_t cap = 1; cap < strlen(text) + 1; cap++) {
		char cut[1024];
		assert_int_equal(aside_script(true, port, 2, cut, cap), -ENOMEM);
		assert_true(strlen(cut) < cap);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_nobody_yields_when_all_is_whole),
		cmocka_unit_test(test_of_a_pair_the_one_with_fewer_guests_yields),
		cmocka_unit_test(test_one_way_is_no_way),
		cmocka_unit_test(test_who_hears_least_yields_before_two_others),
		cmocka_unit_test(test_who_is_out_joins_only_what_it_hears_in_full),
		cmocka_unit_test(test_many_hosts_and_a_bad_mesh),
		cmocka_unit_test(test_a_cut_pair_is_seen_and_one_yields_within_two_seconds),
		cmocka_unit_test(test_with_trouble_from_the_beginning_it_takes_as_long),
		cmocka_unit_test(test_a_dead_host_makes_nobody_yield),
		cmocka_unit_test(test_a_host_that_is_cut_off_makes_nobody_yield),
		cmocka_unit_test(test_who_yields_again_and_again_stays_away_longer),
		cmocka_unit_test(test_replays_and_a_clock_that_was_set_back),
		cmocka_unit_test(test_who_is_heard_of_is_not_given_up_at_once),
		cmocka_unit_test(test_leases_rely_on_datagrams_that_came_for_a_while),
		cmocka_unit_test(test_datagrams_come_back_as_they_were),
		cmocka_unit_test(test_what_makes_no_sense_is_refused),
		cmocka_unit_test(test_what_nft_is_told),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
