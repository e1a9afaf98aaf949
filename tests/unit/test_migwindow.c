/* SPDX-License-Identifier: GPL-2.0-or-later */
/* What a stream may have under way: the law alone, and streams through a bottleneck with one queue, in virtual time. */
#include "config.h"
#include "tests/unit/testutil.h"
#include "migrated/core/mig.h"
#include "migrated/core/window.h"

#define MAX (16ull << 20) /* credit_bytes */

/* One frame at @now that fills the window, answered after @ms. */
static uint64_t turn(struct mig_window *w, uint64_t *sent, uint64_t *now, unsigned ms)
{
	uint64_t acked = *sent;

	*sent += w->octets;
	mig_window_sent(w, *sent, acked, *now);
	*now += ms * MIG_MS;
	mig_window_acked(w, *sent, *now);
	return w->octets;
}

static void test_law(void **state)
{
	struct mig_window w;
	uint64_t sent = 0, now = 5 * MIG_S;
	(void)state;

	mig_window_init(&w, MAX);
	/* quick answers: twice as much each time, up to what is allowed */
	assert_int_equal(turn(&w, &sent, &now, 1), 2ull * MIG_WINDOW_MIN);
	for (unsigned i = 0; i < 11; i++)
		(void)turn(&w, &sent, &now, 1);
	assert_int_equal(w.octets, MAX);
	/* late answers by chance: somebody got no processor. Again and again 510 ms, where 51 were right: a tenth */
	assert_int_equal(turn(&w, &sent, &now, 510), MAX);
	assert_int_equal(turn(&w, &sent, &now, 510), MAX);
	assert_int_equal(turn(&w, &sent, &now, 510), MAX / 10);
	(void)turn(&w, &sent, &now, 51);
	(void)turn(&w, &sent, &now, 51);
	/* at 51 ms it stays, below it grows by what is missing to them */
	assert_int_equal(turn(&w, &sent, &now, 51), MAX / 10);
	assert_int_equal(turn(&w, &sent, &now, 34), MAX / 10 * 3 / 2);
	/* never less than a page; what makes no use of it does not have it grow */
	for (unsigned i = 0; i < 20; i++)
		(void)turn(&w, &sent, &now, 3000);
	assert_int_equal(w.octets, MIG_WINDOW_MIN);
	mig_window_sent(&w, sent + 100, sent, now);
	mig_window_acked(&w, sent + 100, now + 1);
	assert_int_equal(w.octets, MIG_WINDOW_MIN);
	/* an empty frame, and an answer to none, say nothing */
	mig_window_sent(&w, sent + 100, sent + 100, now);
	mig_window_acked(&w, sent + 100, now + 60 * MIG_S);
	assert_int_equal(w.octets, MIG_WINDOW_MIN);
	/* less credit than it begins with */
	mig_window_init(&w, 3000);
	(void)turn(&w, &sent, &now, 1);
	assert_int_equal(w.octets, 3000);
}

static void test_frame(void **state)
{
	struct mig_window w;
	(void)state;

	mig_window_init(&w, MAX);
	assert_int_equal(mig_window_frame(&w, 262144), 4096);
	assert_int_equal(mig_window_frame(&w, 100), 100);
	w.octets = 400000;
	assert_int_equal(mig_window_frame(&w, 262144), 100000);
	w.octets = MAX;
	assert_int_equal(mig_window_frame(&w, 262144), 262144);
}

/* Streams through one wire: frames leave it one after the other, and are acknowledged @trip_ns after that. */
#define STREAMS 8u
#define FLYING  4096u

struct wire {
	uint64_t bps, trip_ns, now, free_at; /* free_at: the queue is empty then */
	unsigned n;
	struct {
		struct mig_window w;
		uint64_t sent, acked, rest; /* rest: nothing more to send; 0: always more */
		struct {
			uint64_t at, upto;
		} fly[FLYING];
		unsigned first, last;
	} s[STREAMS];
};

static void streams(struct wire *x, unsigned n)
{
	for (; x->n < n; x->n++)
		mig_window_init(&x->s[x->n].w, MAX);
}

static void step(struct wire *x, unsigned i)
{
	struct mig_window *w = &x->s[i].w;
	unsigned *first = &x->s[i].first, *last = &x->s[i].last;

	while (*first != *last && x->s[i].fly[*first].at <= x->now) {
		x->s[i].acked = x->s[i].fly[*first].upto;
		*first = (*first + 1) % FLYING;
		mig_window_acked(w, x->s[i].acked, x->now);
	}
	for (;;) {
		uint64_t len = mig_window_frame(w, 262144), flight = x->s[i].sent - x->s[i].acked;
		if ((flight && flight + len > w->octets) || (*last + 1) % FLYING == *first)
			return;
		x->s[i].sent += len;
		mig_window_sent(w, x->s[i].sent, x->s[i].acked, x->now);
		x->free_at = (x->free_at > x->now ? x->free_at : x->now) + len * MIG_S / x->bps;
		x->s[i].fly[*last].at = x->free_at + x->trip_ns;
		x->s[i].fly[*last].upto = x->s[i].sent;
		*last = (*last + 1) % FLYING;
	}
}

/* For @ms: the longest queue in ms, and how much of the wire was used, percent. */
static void run(struct wire *x, unsigned ms, unsigned *ret_queue_ms, unsigned *ret_used)
{
	uint64_t end = x->now + ms * MIG_MS, queue = 0, from = 0, to = 0;

	for (unsigned i = 0; i < x->n; i++)
		from += x->s[i].acked;
	for (; x->now < end; x->now += MIG_MS / 20) {
		for (unsigned i = 0; i < x->n; i++)
			step(x, i);
		if (x->free_at > x->now && x->free_at - x->now > queue)
			queue = x->free_at - x->now;
	}
	for (unsigned i = 0; i < x->n; i++)
		to += x->s[i].acked;
	*ret_queue_ms = (unsigned)(queue / MIG_MS);
	*ret_used = (unsigned)((to - from) * 100 / (x->bps * ms / 1000));
}

static void test_bottleneck(void **state)
{
	static const struct {
		unsigned mbit, n, trip_us, start_ms, queue_ms; /* the queue in the first second, and later */
	} t[] = {
		{ 1, 1, 300, 200, 100 },     { 1, 4, 300, 200, 150 },
		{ 1, 8, 300, 320, 280 }, /* a page of each: 33 ms */
		{ 10, 4, 300, 150, 100 },    { 100, 8, 300, 120, 100 },
		{ 1000, 4, 300, 120, 100 },  { 100, 4, 40000, 120, 100 },
		{ 10000, 4, 100, 120, 100 },
	};
	static struct wire x;
	unsigned queue, used;
	(void)state;

	for (unsigned i = 0; i < sizeof(t) / sizeof(t[0]); i++) {
		x = (struct wire){ .bps = t[i].mbit * 125000ull, .trip_ns = t[i].trip_us * 1000ull, .now = MIG_S };
		streams(&x, t[i].n);
		run(&x, 1000, &queue, &used);
		print_message("%5u Mbit/s, %u streams: queue %u ms, used %u %%; ", t[i].mbit, t[i].n, queue, used);
		assert_in_range(queue, 0, t[i].start_ms);
		run(&x, 10000, &queue, &used);
		print_message("then %u ms, %u %%\n", queue, used);
		assert_in_range(queue, 0, t[i].queue_ms);
		assert_in_range(used, 90, 101);
	}
}

/* Answers that are late by chance, as on a host with more to do than processors, on a quick wire: it is made use of all the same. */
static void test_late(void **state)
{
	static struct wire x;
	unsigned queue, used;
	uint64_t r = 1;
	(void)state;

	x = (struct wire){ .bps = 125000000, .trip_ns = 300000, .now = MIG_S };
	streams(&x, 4);
	run(&x, 1000, &queue, &used);
	for (unsigned i = 0; i < 50;
	     i++) { /* a pass that begins with nothing under way, and waits 70 to 370 ms for its first answer */
		run(&x, 100, &queue, &used);
		for (unsigned k = 0; k < x.n; k++) {
			struct mig_window *w = &x.s[k].w;
			r = r * 6364136223846793005u + 1442695040888963407u;
			uint64_t late = (70 + (r >> 33) % 300) * MIG_MS;
			w->mark = 0;
			mig_window_sent(w, x.s[k].acked + 4096, x.s[k].acked, x.now - late);
			mig_window_acked(w, x.s[k].acked + 4096, x.now);
			assert_true(w->octets > 500000);
		}
	}
	run(&x, 1000, &queue, &used);
	assert_in_range(used, 90, 101);
}

/* A wire becomes slow, and quick again. */
static void test_change(void **state)
{
	static struct wire x;
	unsigned queue, used;
	(void)state;

	x = (struct wire){ .bps = 12500000, .trip_ns = 300000, .now = MIG_S };
	streams(&x, 4);
	run(&x, 3000, &queue, &used);
	x.bps /= 10;
	run(&x, 2000, &queue, &used);
	run(&x, 5000, &queue, &used);
	assert_in_range(queue, 0, 150);
	assert_in_range(used, 90, 101);
	x.bps = 1250000000;
	run(&x, 200, &queue, &used); /* until the last slow frames are through */
	run(&x, 1000, &queue, &used);
	assert_in_range(used, 90, 101);
}

int main(void)
{
	const struct CMUnitTest tests[] = { cmocka_unit_test(test_law), cmocka_unit_test(test_frame),
		                            cmocka_unit_test(test_bottleneck), cmocka_unit_test(test_late),
		                            cmocka_unit_test(test_change) };

	return cmocka_run_group_tests(tests, NULL, NULL);
}
