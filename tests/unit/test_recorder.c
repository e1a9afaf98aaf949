/* SPDX-License-Identifier: GPL-2.0-or-later */
/* The journal's thread: the loop goes on while the disk stands still, records keep their order, and nothing is told before it is durable. */
#include "config.h"
#include "tests/unit/testutil.h"
#include <pthread.h>
#include <stdatomic.h>
#include <time.h>
#include <unistd.h>
#include "common/util.h"
#include "migrated/io/recorder.h"

#define UUID "c7a5fdbd-cdaf-9455-926a-d65c16db1809"

static char *dir;
static struct loop *loop;
static struct recorder *r;

/* What makes a record durable: here it waits for us, too. */
static pthread_mutex_t disk = PTHREAD_MUTEX_INITIALIZER;
static atomic_int syncs, sync_error;

int fdatasync(int fd)
{
	(void)fd;
	atomic_fetch_add(&syncs, 1);
	pthread_mutex_lock(&disk);
	pthread_mutex_unlock(&disk);
	errno = atomic_load(&sync_error);
	return errno ? -1 : 0;
}

struct told {
	unsigned n;
	enum mig_record rec[8];
	int status;
	char text[ERR_TEXT_MAX];
};

static void on_recorded(void *arg, enum mig_record rec, int status, const struct err *err)
{
	struct told *t = arg;

	t->rec[t->n++ % 8] = rec;
	t->status = status;
	snprintf(t->text, sizeof(t->text), "%s", err->text);
}

static int setup(void **state)
{
	struct err err;
	(void)state;

	dir = test_dir_new();
	loop = loop_new();
	atomic_store(&sync_error, 0);
	r = recorder_new(loop, dir, &err);
	return r ? 0 : -1;
}

static int teardown(void **state)
{
	(void)state;
	recorder_free(r);
	loop_free(loop);
	test_dir_remove(dir);
	return 0;
}

static struct journal_rec record(uint64_t session, enum mig_record rec)
{
	return (struct journal_rec){
		.session = session, .rec = rec, .generation = 7, .name = "guest01", .uuid = UUID, .peer = "host-b"
	};
}

static void append(uint64_t session, enum mig_record rec, struct told *t)
{
	struct journal_rec j = record(session, rec);

	assert_int_equal(recorder_append(r, &j, on_recorded, t), 0);
}

static void wait_told(const struct told *t, unsigned n)
{
	uint64_t end = now_ns() + 10 * NS_PER_S;

	while (t->n < n && now_ns() < end)
		(void)loop_run_once(loop, 50);
	assert_int_equal(t->n, n);
}

static void wait_syncs(int n)
{
	for (unsigned i = 0; i < 1000 && atomic_load(&syncs) < n; i++)
		usleep(10000);
	assert_true(atomic_load(&syncs) >= n);
}

/* What stands in the file of @session; 0: it has none. */
static enum mig_record on_disk(uint64_t session)
{
	struct journal_rec got;

	return journal_load(dir, session, &got) == 0 ? got.rec : 0;
}

static void test_order(void **state)
{
	struct told t = { 0 };
	struct err err;
	(void)state;

	append(1, MIG_REC_READY, &t);
	append(1, MIG_REC_TAKEN, &t);
	append(2, MIG_REC_RELINQUISHING, &t);
	assert_int_equal(t.n, 0);
	assert_null(recorder_find(r, 1));
	wait_told(&t, 3);
	assert_int_equal(t.status, 0);
	assert_int_equal(t.rec[0], MIG_REC_READY);
	assert_int_equal(t.rec[1], MIG_REC_TAKEN);
	assert_int_equal(t.rec[2], MIG_REC_RELINQUISHING);
	assert_int_equal(recorder_find(r, 1)->rec, MIG_REC_TAKEN);
	assert_int_equal(on_disk(1), MIG_REC_TAKEN);
	/* what was given is done before the end, and the next daemon finds it */
	append(3, MIG_REC_GONE, &t);
	recorder_forget(r, 2);
	recorder_free(r);
	assert_int_equal(t.n, 3);
	r = recorder_new(loop, dir, &err);
	assert_non_null(r);
	assert_int_equal(recorder_find(r, 3)->rec, MIG_REC_GONE);
	assert_int_equal(recorder_find(r, 1)->rec, MIG_REC_TAKEN);
	assert_null(recorder_find(r, 2));
}

/* The disk stands still: the loop does not, nothing is told, and nothing counts as durable. */
static void test_disk_that_hangs(void **state)
{
	struct told t = { 0 }, u = { 0 };
	struct err err;
	int before = atomic_load(&syncs);
	(void)state;

	append(1, MIG_REC_RELINQUISHING, &t);
	wait_told(&t, 1);
	assert_int_equal(recorder_late_ns(r), 0);
	pthread_mutex_lock(&disk);
	uint64_t begun = now_ns();
	append(1, MIG_REC_CALLED_OFF, &t);
	append(2, MIG_REC_RELINQUISHING, &u);
	recorder_forget(r, 2);
	wait_syncs(before + 2);
	for (unsigned i = 0; i < 10; i++)
		(void)loop_run_once(loop, 10);
	assert_int_equal(t.n, 1);
	assert_int_equal(recorder_find(r, 1)->rec, MIG_REC_RELINQUISHING);
	assert_null(recorder_find(r, 2));
	assert_true(recorder_late_ns(r) > 0);
	assert_int_equal(recorder_hangs(r, &err), 0);
	assert_true(now_ns() - begun < 3 * NS_PER_S);
	/* who is gone hears nothing any more */
	recorder_drop(r, &u);
	pthread_mutex_unlock(&disk);
	wait_told(&t, 2);
	assert_int_equal(recorder_find(r, 1)->rec, MIG_REC_CALLED_OFF);
	append(3, MIG_REC_READY, &t); /* comes after all of it */
	wait_told(&t, 3);
	assert_int_equal(u.n, 0);
	assert_null(recorder_find(r, 2));
	assert_int_equal(on_disk(2), 0);
	assert_int_equal(on_disk(1), MIG_REC_CALLED_OFF);
}

static void test_disk_that_fails(void **state)
{
	struct told t = { 0 };
	struct journal_rec bad = record(4, MIG_REC_READY);
	(void)state;

	append(1, MIG_REC_READY, &t);
	wait_told(&t, 1);
	atomic_store(&sync_error, EIO);
	append(1, MIG_REC_TAKEN, &t);
	wait_told(&t, 2);
	assert_int_equal(t.status, -EIO);
	assert_non_null(strstr(t.text, dir));
	assert_int_equal(recorder_find(r, 1)->rec, MIG_REC_READY);
	append(2, MIG_REC_RELINQUISHING, &t);
	wait_told(&t, 3);
	assert_null(recorder_find(r, 2));
	atomic_store(&sync_error, 0);
	/* whether it counts is not known: what is forgotten is gone all the same */
	recorder_forget(r, 2);
	memset(bad.name, 0, sizeof(bad.name));
	assert_int_equal(recorder_append(r, &bad, on_recorded, &t), 0);
	wait_told(&t, 4);
	assert_int_equal(t.status, -EINVAL);
	assert_int_equal(on_disk(2), 0);
	assert_int_equal(on_disk(4), 0);
}

/* A flood while the disk stands still is bounded; what ends a session is taken all the same. */
static void test_bounded(void **state)
{
	struct told t = { 0 };
	struct journal_rec j = record(9, MIG_REC_GONE);
	unsigned given = 0;
	(void)state;

	append(1, MIG_REC_READY, &t);
	wait_told(&t, 1);
	pthread_mutex_lock(&disk);
	while (given <= RECORDER_JOBS_MAX && recorder_append(r, &j, on_recorded, &t) == 0)
		given++;
	assert_int_equal(given, RECORDER_JOBS_MAX);
	assert_int_equal(recorder_append(r, &j, on_recorded, &t), -ENOBUFS);
	recorder_forget(r, 1);
	pthread_mutex_unlock(&disk);
	wait_told(&t, 1 + RECORDER_JOBS_MAX);
	append(2, MIG_REC_READY, &t);
	wait_told(&t, 2 + RECORDER_JOBS_MAX);
	assert_int_equal(on_disk(1), 0);
}

/* GONE costs the peer that asks for it nothing: so many and no more, and the oldest goes when it is past. */
static void test_gone_is_bounded(void **state)
{
	struct told t = { 0 };
	uint64_t now = (uint64_t)time(NULL);
	(void)state;

	for (unsigned i = 0; i < RECORDER_GONE_MAX; i++) {
		assert_true(recorder_gone_room(r, "host-b", now));
		append(100 + i, MIG_REC_GONE, &t);
		wait_told(&t, i + 1);
	}
	append(99, MIG_REC_TAKEN, &t); /* never by its age: only the source's word ends it */
	wait_told(&t, RECORDER_GONE_MAX + 1);
	assert_false(recorder_gone_room(r, "host-b", now + 60));
	assert_true(recorder_gone_room(r, "host-c", now + 60)); /* another's flood is not its own */
	assert_non_null(recorder_find(r, 100));
	assert_true(recorder_gone_room(r, "host-b", now + RECORDER_SPARE_S + 600));
	assert_null(recorder_find(r, 100));
	assert_non_null(recorder_find(r, 101));
	assert_true(recorder_gone_room(r, "host-b", now + RECORDER_KEEP_S + 600));
	for (unsigned i = 0; i < RECORDER_GONE_MAX; i++)
		assert_null(recorder_find(r, 100 + i));
	assert_non_null(recorder_find(r, 99));
	append(1, MIG_REC_READY, &t);
	wait_told(&t, RECORDER_GONE_MAX + 2);
	assert_int_equal(on_disk(100), 0);
	assert_int_equal(on_disk(99), MIG_REC_TAKEN);
}

static void test_store(void **state)
{
	struct told t = { .status = -1 };
	_cleanup_free_ char *path = xasprintf("%s/domains/g1.xml", dir), *text = NULL;
	size_t len;
	(void)state;

	assert_int_equal(recorder_store(r, path, "<domain/>", 9, on_recorded, &t), 0);
	wait_told(&t, 1);
	assert_int_equal(t.status, 0);
	assert_int_equal(file_read(path, 100, &text, &len), 0);
	assert_string_equal(text, "<domain/>");
	assert_int_equal(recorder_store(r, "/dev/null/x/y", "", 0, on_recorded, &t), 0);
	wait_told(&t, 2);
	assert_true(t.status < 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(test_order, setup, teardown),
		cmocka_unit_test_setup_teardown(test_disk_that_hangs, setup, teardown),
		cmocka_unit_test_setup_teardown(test_disk_that_fails, setup, teardown),
		cmocka_unit_test_setup_teardown(test_bounded, setup, teardown),
		cmocka_unit_test_setup_teardown(test_gone_is_bounded, setup, teardown),
		cmocka_unit_test_setup_teardown(test_store, setup, teardown),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
