/* SPDX-License-Identifier: GPL-2.0-or-later */
/* The disk's thread: the loop goes on while a disk stands still, writes keep their order, failures and the end are told. */
#include "config.h"
#include "tests/unit/testutil.h"
#include <pthread.h>
#include <stdatomic.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>
#include "clusterd/io/storer.h"
#include "common/util.h"

static char *dir, *path;
static struct loop *loop;
static struct clu_state *s;
static uint32_t node[] = { 1, 2, 3 };
static char name[3][CLU_NAME_MAX] = { "host-a", "host-b", "host-c" };

/* What SQLite waits with: here it waits for us, too. */
static pthread_mutex_t disk = PTHREAD_MUTEX_INITIALIZER;
static atomic_int syncs, sync_error;

static int sync_it(int fd)
{
	(void)fd;
	atomic_fetch_add(&syncs, 1);
	pthread_mutex_lock(&disk);
	pthread_mutex_unlock(&disk);
	errno = atomic_load(&sync_error);
	return errno ? -1 : 0;
}

int fsync(int fd)
{
	return sync_it(fd);
}

int fdatasync(int fd)
{
	return sync_it(fd);
}

struct seen {
	unsigned opened, written;
	int status;
	struct store_image *img;
	char text[ERR_TEXT_MAX];
};

static void on_opened(void *arg, struct store_image *img, const struct err *err)
{
	struct seen *x = arg;

	x->opened++;
	store_image_free(x->img);
	x->img = img;
	snprintf(x->text, sizeof(x->text), "%s", err->text);
}

static void on_written(void *arg, int status, const struct err *err)
{
	struct seen *x = arg;

	x->written++;
	x->status = status;
	snprintf(x->text, sizeof(x->text), "%s", err->text);
}

static const struct storer_ops ops = { .opened = on_opened, .written = on_written };

static int setup(void **state)
{
	(void)state;
	dir = test_dir_new();
	path = xasprintf("%s/cluster/state.db", dir);
	loop = loop_new();
	s = calloc(1, sizeof(*s));
	clu_state_init(s, calloc(CLU_DOMS_MAX, sizeof(struct clu_dom)), CLU_DOMS_MAX);
	clu_nodes_set(s, node, name, 3);
	clu_apply_epoch(s, 1);
	atomic_store(&sync_error, 0);
	return 0;
}

static int teardown(void **state)
{
	(void)state;
	loop_free(loop);
	free(s->dom);
	free(s);
	free(path);
	test_dir_remove(dir);
	return 0;
}

/* Until *@n is @want. */
static void wait_for(const unsigned *n, unsigned want)
{
	uint64_t end = now_ns() + 10 * NS_PER_S;

	while (*n < want && now_ns() < end)
		(void)loop_run_once(loop, 50);
	assert_int_equal(*n, want);
}

static void define(unsigned i, struct clu_changes *ch)
{
	struct clu_cmd *cmd = calloc(1, sizeof(*cmd));
	struct clu_answer a;

	cmd->kind = CLU_CMD_DEFINE;
	cmd->origin = 1;
	snprintf(cmd->uuid, sizeof(cmd->uuid), "00000000-0000-0000-0000-%012u", i);
	snprintf(cmd->name, sizeof(cmd->name), "d%u", i);
	cmd->spec = (struct clu_spec){ .mem_bytes = 1 << 28, .vcpus = 1, .engine = 1 };
	clu_apply(s, cmd, ch, &a);
	assert_int_equal(a.status, 0);
	free(cmd);
}

static const char *text_of(void *arg, uint32_t slot, size_t *ret_len)
{
	static char text[40];

	(void)arg;
	*ret_len = (size_t)snprintf(text, sizeof(text), "<domain>%u</domain>", slot);
	return text;
}

static struct store_batch *pack(struct storer *st, struct clu_changes *ch)
{
	struct store_batch *b = store_pack(storer_store(st), s, ch, text_of, NULL);

	*ch = (struct clu_changes){ 0 };
	assert_non_null(b);
	return b;
}

static struct storer *opened(struct seen *x)
{
	struct storer *st = storer_new(loop, &ops, x);

	assert_non_null(st);
	assert_null(storer_store(st));
	assert_int_equal(storer_open(st, path, "acme", node, name, 3), 0);
	assert_int_equal(storer_open(st, path, "acme", node, name, 3), -EBUSY);
	wait_for(&x->opened, x->opened + 1);
	if (!x->img)
		fail_msg("%s", x->text);
	assert_non_null(storer_store(st));
	assert_int_equal(storer_busy_ns(st), 0);
	return st;
}

static void test_write_and_read(void **state)
{
	struct seen x = { 0 };
	struct storer *st = opened(&x);
	struct clu_changes ch = { .all = true };
	struct store_event ev = { .index = 7, .kind = "k", .text = "it happened", .domain = "d0", .host = "host-a" };

	(void)state;
	assert_int_equal(x.img->s->index, 0);
	for (unsigned i = 0; i < 20; i++) {
		define(i, &ch);
		if (i == 5)
			store_note(storer_store(st), &ev);
		storer_write(st, pack(st, &ch));
		wait_for(&x.written, i + 1);
		assert_int_equal(x.status, 0);
	}
	storer_free(st);
	st = opened(&x);
	assert_int_equal(x.img->s->sum, s->sum);
	assert_int_equal(x.img->s->index, s->index);
	assert_int_equal(x.img->n_text, 20);
	assert_string_equal(x.img->aside, "");
	storer_free(st);
	store_image_free(x.img);
}

/* The disk stands still: the loop does not, what is noted and changed meanwhile goes with the next write, and none overtakes another. */
static void test_stall(void **state)
{
	struct seen x = { 0 };
	struct storer *st = opened(&x);
	struct clu_changes ch = { .all = true };
	struct store_event ev = { .index = 1, .kind = "k", .text = "meanwhile", .domain = "", .host = "" };
	uint64_t sum, before = boot_ns();

	(void)state;
	define(0, &ch);
	pthread_mutex_lock(&disk);
	int done = atomic_load(&syncs);
	storer_write(st, pack(st, &ch));
	for (uint64_t end = now_ns() + 5 * NS_PER_S; atomic_load(&syncs) == done && now_ns() < end;)
		(void)loop_run_once(loop, 5);
	assert_true(atomic_load(&syncs) > done); /* it hangs in there */
	sum = s->sum;
	define(1, &ch); /* not in what is under way */
	store_note(storer_store(st), &ev);
	for (unsigned i = 0; i < 10; i++)
		(void)loop_run_once(loop, 10);
	assert_int_equal(x.written, 0);
	assert_true(storer_busy_ns(st) >= before);
	pthread_mutex_unlock(&disk);
	wait_for(&x.written, 1);
	assert_int_equal(x.status, 0);
	assert_int_equal(storer_busy_ns(st), 0);
	storer_free(st); /* as a crash here: the second change is not there, the first is, whole */
	st = opened(&x);
	assert_int_equal(x.img->s->sum, sum);
	assert_int_equal(x.img->n_text, 1);
	storer_free(st);
	store_image_free(x.img);
}

/* A write that fails is told; the next opening reads what the disk holds. */
static void test_failure(void **state)
{
	struct seen x = { 0 };
	struct storer *st = opened(&x);
	struct clu_changes ch = { .all = true };
	uint64_t sum;

	(void)state;
	define(0, &ch);
	sum = s->sum;
	storer_write(st, pack(st, &ch));
	wait_for(&x.written, 1);
	define(1, &ch);
	atomic_store(&sync_error, EIO);
	storer_write(st, pack(st, &ch));
	wait_for(&x.written, 2);
	assert_int_equal(x.status, -EIO);
	assert_non_null(strstr(x.text, path));
	assert_null(storer_store(st));
	atomic_store(&sync_error, 0);
	assert_int_equal(storer_open(st, path, "acme", node, name, 3), 0);
	wait_for(&x.opened, 2);
	assert_non_null(x.img);
	assert_int_equal(x.img->s->sum, sum);
	assert_string_equal(x.img->bad, "");
	storer_free(st);
	store_image_free(x.img);
}

/* What cannot be opened is told, and tried again when asked. */
static void test_open_fails(void **state)
{
	struct seen x = { 0 };
	struct storer *st = storer_new(loop, &ops, &x);
	_cleanup_free_ char *in_the_way = xasprintf("%s/cluster", dir);

	(void)state;
	assert_int_equal(file_write_atomic(in_the_way, "x", 1, 0600), 0);
	assert_int_equal(storer_open(st, path, "acme", node, name, 3), 0);
	wait_for(&x.opened, 1);
	assert_null(x.img);
	assert_non_null(strstr(x.text, in_the_way));
	assert_null(storer_store(st));
	assert_int_equal(unlink(in_the_way), 0);
	assert_int_equal(storer_open(st, path, "acme", node, name, 3), 0);
	wait_for(&x.opened, 2);
	assert_non_null(x.img);
	storer_free(st);
	store_image_free(x.img);
}

static void count(void *arg, const struct store_event *ev)
{
	struct store_event *last = arg;

	assert_true(ev->id > last->id);
	*last = *ev;
	last->time_ns++;
}

/* Events in memory: the newest, in order; numbers go on over a list that was read anew. */
static void test_events(void **state)
{
	struct eventlist *l = eventlist_new(), *m = eventlist_new();
	struct store_event ev = { .kind = "k", .text = "t", .domain = "d", .host = "" }, got = { 0 };

	(void)state;
	for (unsigned i = 1; i <= STORE_EVENTS_MAX + 50; i++) {
		ev.index = i;
		eventlist_add(l, &ev);
	}
	eventlist_each(l, 0, 0, UINT32_MAX, count, &got);
	assert_int_equal(got.index, STORE_EVENTS_MAX + 50);
	got = (struct store_event){ 0 };
	eventlist_each(l, STORE_EVENTS_MAX, 0, 7, count, &got);
	assert_int_equal(got.index, STORE_EVENTS_MAX + 7);
	eventlist_follow(m, l);
	eventlist_add(m, &ev);
	got = (struct store_event){ .id = STORE_EVENTS_MAX + 50 };
	eventlist_each(m, 0, STORE_EVENTS_MAX + 50, 7, count, &got);
	assert_string_equal(got.text, "t");
	eventlist_free(l);
	eventlist_free(m);
}

int main(void)
{
	static const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(test_write_and_read, setup, teardown),
		cmocka_unit_test_setup_teardown(test_stall, setup, teardown),
		cmocka_unit_test_setup_teardown(test_failure, setup, teardown),
		cmocka_unit_test_setup_teardown(test_open_fails, setup, teardown),
		cmocka_unit_test(test_events),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
