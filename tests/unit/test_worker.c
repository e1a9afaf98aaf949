/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Helpers that hang, stop and die harm nobody but who asked; others are served meanwhile. The helper is this program. */
#include "config.h"
#include "tests/unit/testutil.h"
#include <fcntl.h>
#include <signal.h>
#include <sys/stat.h>
#include <unistd.h>
#include "common/util.h"
#include "common/worker.h"

#define LIMIT_NS (500 * NS_PER_MS)

static char *dir, *fifo;
static struct loop *loop;
static struct workers *ws;

/* The helper: "e TEXT" echoes with its pid before it, "h FIFO" hangs, "s" stops itself, "d" dies, "n" says nothing at all. */
static void serve(struct worker_here *here, const uint8_t *req, size_t len, struct buf *reply)
{
	char text[200] = "";

	memcpy(text, req, len < sizeof(text) ? len : sizeof(text) - 1);
	if (text[0] == 'h') {
		worker_at(here, text + 2);
		(void)!open(text + 2, O_RDONLY); /* nobody ever writes */
	} else if (text[0] == 's') {
		raise(SIGSTOP);
	} else if (text[0] == 'd') {
		_exit(1);
	}
	buf_put_u32(reply, (uint32_t)getpid());
	buf_put(reply, req, len);
}

struct got {
	unsigned n;
	int status;
	uint32_t pid;
	char text[100];
	uint64_t at_ns;
};

static void on_done(void *arg, int status, const uint8_t *reply, size_t len)
{
	struct got *g = arg;

	g->n++;
	g->status = status;
	g->at_ns = now_ns();
	g->text[0] = 0;
	if (status == 0 && len > 4) {
		memcpy(&g->pid, reply, 4);
		snprintf(g->text, sizeof(g->text), "%.*s", (int)(len - 4), (const char *)reply + 4);
	} else if (len) {
		snprintf(g->text, sizeof(g->text), "%s", (const char *)reply);
	}
}

static struct work *ask(enum work_kind kind, const char *text, struct got *g)
{
	struct work *w;

	*g = (struct got){ 0 };
	w = workers_ask(ws, kind, text, strlen(text), on_done, g);
	assert_non_null(w);
	assert_int_equal(g->n, 0); /* never from within */
	return w;
}

static void wait_for(const struct got *g)
{
	uint64_t end = now_ns() + 20 * NS_PER_S;

	while (!g->n && now_ns() < end)
		(void)loop_run_once(loop, 20);
	assert_int_equal(g->n, 1);
}

static int setup(void **state)
{
	(void)state;
	dir = test_dir_new();
	fifo = xasprintf("h %s/fifo", dir);
	assert_int_equal(mkfifo(fifo + 2, 0600), 0);
	loop = loop_new();
	ws = workers_new(loop, 3, LIMIT_NS);
	assert_non_null(ws);
	return 0;
}

static int teardown(void **state)
{
	(void)state;
	workers_free(ws);
	loop_free(loop);
	free(fifo);
	test_dir_remove(dir);
	return 0;
}

static void test_echo(void **state)
{
	struct got a, b;

	(void)state;
	ask(WORK_NORMAL, "e one", &a);
	wait_for(&a);
	assert_int_equal(a.status, 0);
	assert_string_equal(a.text, "e one");
	ask(WORK_URGENT, "e two", &b);
	wait_for(&b);
	assert_string_equal(b.text, "e two");
	assert_int_equal(a.pid, b.pid); /* the same one */
	char *big = calloc(1, WORKER_REQUEST_MAX + 1);
	assert_null(workers_ask(ws, WORK_NORMAL, big, WORKER_REQUEST_MAX + 1, on_done, &a));
	free(big);
}

static void test_hang(void **state)
{
	struct got a, b;
	uint64_t from = now_ns();

	(void)state;
	ask(WORK_NORMAL, fifo, &a);
	ask(WORK_NORMAL, "e x", &b);
	wait_for(&b);
	assert_int_equal(a.n, 0);
	wait_for(&a);
	assert_int_equal(a.status, -ETIMEDOUT);
	assert_string_equal(a.text, fifo + 2); /* what it looked at */
	assert_true(a.at_ns >= from + LIMIT_NS && a.at_ns < from + 4 * LIMIT_NS);
	ask(WORK_NORMAL, "s", &a);
	wait_for(&a);
	assert_int_equal(a.status, -ETIMEDOUT);
	for (unsigned i = 0; i < 100 && workers_hung(ws); i++)
		(void)loop_run_once(loop, 20);
	assert_int_equal(workers_hung(ws), 0); /* they could be killed */
	ask(WORK_NORMAL, "e y", &b);
	wait_for(&b);
	assert_string_equal(b.text, "e y");
}

static void test_death(void **state)
{
	struct got a, b;

	(void)state;
	ask(WORK_NORMAL, "d", &a);
	wait_for(&a);
	assert_int_equal(a.status, -ECONNRESET);
	ask(WORK_NORMAL, "e again", &b);
	wait_for(&b);
	assert_string_equal(b.text, "e again");
}

/* A whole file server hangs: what is known to hang takes one helper, and what is urgent waits for nobody. */
static void test_many(void **state)
{
	struct got slow[8], normal[6], urgent[6];
	uint64_t from = now_ns();

	(void)state;
	for (unsigned i = 0; i < 8; i++)
		ask(WORK_SLOW, fifo, &slow[i]);
	for (unsigned i = 0; i < 6; i++)
		ask(WORK_NORMAL, "e n", &normal[i]);
	for (unsigned i = 0; i < 6; i++)
		wait_for(&normal[i]);
	assert_true(now_ns() < from + LIMIT_NS);
	for (unsigned i = 0; i < 8; i++)
		assert_int_equal(slow[i].n, 0);
	for (unsigned i = 0; i < 6; i++)
		ask(WORK_NORMAL, fifo, &normal[i]);
	(void)loop_run_once(loop, 20);
	ask(WORK_URGENT, "e u", &urgent[0]);
	wait_for(&urgent[0]);
	assert_int_equal(urgent[0].status, 0);
	for (unsigned i = 0; i < 8; i++)
		wait_for(&slow[i]);
	for (unsigned i = 0; i < 6; i++)
		wait_for(&normal[i]);
	assert_int_equal(slow[7].status, -ETIMEDOUT);
}

/* What is urgent is told in bounded time, even when everything hangs. */
static void test_urgent_limit(void **state)
{
	struct got u[20];
	uint64_t from = now_ns();

	(void)state;
	for (unsigned i = 0; i < 20; i++)
		ask(WORK_URGENT, fifo, &u[i]);
	for (unsigned i = 0; i < 20; i++) {
		wait_for(&u[i]);
		assert_int_equal(u[i].status, -ETIMEDOUT);
		assert_true(u[i].at_ns < from + 5 * LIMIT_NS);
	}
}

static void test_drop(void **state)
{
	struct got a, b, c;
	struct work *w, *v;

	(void)state;
	w = ask(WORK_NORMAL, fifo, &a);
	v = ask(WORK_NORMAL, "e v", &b);
	work_drop(v); /* still waits */
	ask(WORK_NORMAL, "e c", &c);
	wait_for(&c);
	work_drop(w); /* under way */
	for (uint64_t end = now_ns() + 2 * LIMIT_NS; now_ns() < end;)
		(void)loop_run_once(loop, 20);
	assert_int_equal(a.n + b.n, 0);
	work_drop(NULL);
	ask(WORK_NORMAL, fifo, &a); /* and the end comes while one hangs and others wait */
	for (unsigned i = 0; i < 3; i++)
		ask(WORK_SLOW, fifo, &b);
	(void)loop_run_once(loop, 20);
}

int main(int argc, char **argv)
{
	static const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(test_echo, setup, teardown),
		cmocka_unit_test_setup_teardown(test_hang, setup, teardown),
		cmocka_unit_test_setup_teardown(test_death, setup, teardown),
		cmocka_unit_test_setup_teardown(test_many, setup, teardown),
		cmocka_unit_test_setup_teardown(test_urgent_limit, setup, teardown),
		cmocka_unit_test_setup_teardown(test_drop, setup, teardown),
	};

	if (argc == 2 && !strcmp(argv[1], WORKER_ARG))
		return worker_main(serve);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
