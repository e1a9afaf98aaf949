/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Unit tests of common/loop.c. */
#include "config.h"
#include "tests/unit/testutil.h"

#include <pthread.h>
#include <signal.h>
#include <sys/epoll.h>
#include <unistd.h>
#include "common/loop.h"
#include "common/util.h"

struct world {
	struct loop *l;
	struct loop_fd *src[2];
	struct loop_timer *t[3];
	int calls;
	char order[16];
};

static void world_init(struct world *w)
{
	memset(w, 0, sizeof(*w));
	w->l = loop_new();
	assert_non_null(w->l);
}

static void note(struct world *w, char c)
{
	w->order[w->calls++] = c;
}

static void on_a(void *arg)
{
	note(arg, 'a');
}

static void on_b(void *arg)
{
	struct world *w = arg;

	note(w, 'b');
	loop_quit(w->l, 7);
}

static void test_timers_fire_in_order(void **state)
{
	struct world w;
	uint64_t start = now_ns();

	(void)state;
	world_init(&w);
	w.t[0] = loop_add_timer(w.l, on_b, &w);
	w.t[1] = loop_add_timer(w.l, on_a, &w);
	w.t[2] = loop_add_timer(w.l, on_a, &w);
	loop_timer_in(w.t[0], 20 * NS_PER_MS);
	loop_timer_in(w.t[1], 3 * NS_PER_MS);
	loop_timer_in(w.t[2], 1 * NS_PER_MS);
	loop_timer_at(w.t[2], UINT64_MAX); /* disarmed again */
	assert_int_equal(loop_run(w.l), 7);
	assert_string_equal(w.order, "ab");
	assert_true(now_ns() - start >= 20 * NS_PER_MS);
	loop_free(w.l);
}

static void rearm(void *arg)
{
	struct world *w = arg;

	note(w, 't');
	loop_timer_at(w->t[0], 0); /* already due: must not starve the descriptors */
}

static void on_read(void *arg, int fd, uint32_t revents)
{
	struct world *w = arg;
	char c;

	assert_true(revents & EPOLLIN);
	assert_int_equal(read(fd, &c, 1), 1);
	note(w, c);
	loop_quit(w->l, 0);
}

static void test_due_timer_does_not_starve(void **state)
{
	struct world w;
	int p[2];

	(void)state;
	world_init(&w);
	assert_int_equal(pipe(p), 0);
	w.src[0] = loop_add_fd(w.l, p[0], EPOLLIN, on_read, &w);
	w.t[0] = loop_add_timer(w.l, rearm, &w);
	loop_timer_at(w.t[0], 0);
	assert_int_equal(write(p[1], "x", 1), 1);
	assert_int_equal(loop_run(w.l), 0);
	assert_string_equal(w.order, "tx");
	loop_free(w.l);
	close(p[0]);
	close(p[1]);
}

/* The handler of either source removes both: the other's pending event must not reach freed memory. */
static void remove_both(void *arg, int fd, uint32_t revents)
{
	struct world *w = arg;

	(void)fd;
	(void)revents;
	note(w, 'r');
	loop_del_fd(w->src[0]);
	loop_del_fd(w->src[1]);
}

/* Two sources are ready in the same round, and both have the handler @fn. */
static void two_ready(void (*fn)(void *arg, int fd, uint32_t revents), const char *order)
{
	struct world w;
	int p[2][2];

	world_init(&w);
	for (int i = 0; i < 2; i++) {
		assert_int_equal(pipe(p[i]), 0);
		w.src[i] = loop_add_fd(w.l, p[i][0], EPOLLIN, fn, &w);
		assert_int_equal(write(p[i][1], "x", 1), 1);
	}
	assert_int_equal(loop_run_once(w.l, 1000), 0);
	assert_int_equal(loop_run_once(w.l, 0), 0);
	assert_string_equal(w.order, order);
	loop_free(w.l);
	for (int i = 0; i < 2; i++) {
		close(p[i][0]);
		close(p[i][1]);
	}
}

static void test_sources_removed_by_a_handler(void **state)
{
	(void)state;
	two_ready(remove_both, "r");
}

static void inner_round(void *arg, int fd, uint32_t revents)
{
	struct world *w = arg;

	(void)fd;
	(void)revents;
	loop_del_fd(w->src[0]);
	loop_del_fd(w->src[1]);
	note(w, 'i');
	assert_int_equal(loop_run_once(w->l, 0), 0); /* must not free what the outer round still holds */
}

static void test_loop_in_a_handler(void **state)
{
	(void)state;
	two_ready(inner_round, "i");
}

static void del_other_timer(void *arg)
{
	struct world *w = arg;

	note(w, 'd');
	loop_del_timer(w->t[1]);
	loop_del_timer(w->t[0]); /* itself */
}

static void test_timers_removed_by_a_handler(void **state)
{
	struct world w;

	(void)state;
	world_init(&w);
	w.t[0] = loop_add_timer(w.l, del_other_timer, &w);
	w.t[1] = loop_add_timer(w.l, on_a, &w);
	loop_timer_at(w.t[0], 1);
	loop_timer_at(w.t[1], 2);
	assert_int_equal(loop_run_once(w.l, 0), 0);
	assert_int_equal(loop_run_once(w.l, 0), 0);
	assert_string_equal(w.order, "d");
	loop_free(w.l);
}

static void count_post(void *arg)
{
	struct world *w = arg;

	if (++w->calls == 4000)
		loop_quit(w->l, 1);
}

static void *poster(void *arg)
{
	struct world *w = arg;

	for (int i = 0; i < 1000; i++)
		assert_int_equal(loop_post(w->l, count_post, w), 0);
	return NULL;
}

static void test_posts_from_threads(void **state)
{
	struct world w;
	pthread_t t[4];

	(void)state;
	world_init(&w);
	for (int i = 0; i < 4; i++)
		assert_int_equal(pthread_create(&t[i], NULL, poster, &w), 0);
	assert_int_equal(loop_run(w.l), 1);
	assert_int_equal(w.calls, 4000);
	for (int i = 0; i < 4; i++)
		pthread_join(t[i], NULL);
	/* a post that never ran is freed with the loop (the leak checker sees to it) */
	assert_int_equal(loop_post(w.l, count_post, &w), 0);
	loop_free(w.l);
}

static void on_sig(void *arg, int sig)
{
	struct world *w = arg;

	note(w, sig == SIGUSR1 ? '1' : '2');
	if (w->calls == 2)
		loop_quit(w->l, 0);
}

static void test_signals(void **state)
{
	static const int sigs[] = { SIGUSR1, SIGUSR2, 0 };
	struct world w;

	(void)state;
	world_init(&w);
	assert_int_equal(loop_add_signals(w.l, sigs, on_sig, &w), 0);
	raise(SIGUSR2);
	raise(SIGUSR1);
	assert_int_equal(loop_run(w.l), 0);
	assert_string_equal(w.order, "12");
	loop_free(w.l);
}

static void test_allocation_failures(void **state)
{
	struct loop *l;
	int r;

	(void)state;
	FOR_EACH_ALLOC_FAILURE(l = loop_new())
	{
		assert_int_equal(l == NULL, alloc_failed);
		loop_free(l);
	}
	l = loop_new();
	FOR_EACH_ALLOC_FAILURE(r = loop_post(l, on_a, NULL))
	{
		assert_int_equal(r, alloc_failed ? -ENOMEM : 0);
	}
	loop_free(l);
	loop_free(NULL);
}

int main(void)
{
	static const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_timers_fire_in_order),
		cmocka_unit_test(test_due_timer_does_not_starve),
		cmocka_unit_test(test_sources_removed_by_a_handler),
		cmocka_unit_test(test_loop_in_a_handler),
		cmocka_unit_test(test_timers_removed_by_a_handler),
		cmocka_unit_test(test_posts_from_threads),
		cmocka_unit_test(test_signals),
		cmocka_unit_test(test_allocation_failures),
	};

	return cmocka_run_group_tests_name("loop", tests, NULL, NULL);
}
