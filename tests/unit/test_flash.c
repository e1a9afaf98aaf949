/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * A firmware's variables: what they begin with, when their file is written and when never, a crash in the
 * middle, storage that is full.
 */
#include "config.h"
#include "tests/unit/testutil.h"

#include <fcntl.h>
#include <signal.h>
#include <stdatomic.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <unistd.h>
#define XXH_INLINE_ALL
#include <xxhash.h>
#include "common/util.h"
#include "hypervisor/dev/flash.h"

#define BYTES 8192u
#define UUID  "11111111-2222-3333-4444-555555555555"

static char *path, *beside, *template;
static atomic_bool over;
static atomic_int failures;

bool deadline_page_over(const struct deadline_page *p)
{
	(void)p;
	return atomic_load(&over);
}

static void on_failed(void *arg, int code)
{
	(void)arg;
	assert_int_equal(code, EFBIG);
	atomic_fetch_add(&failures, 1);
}

static void fill(const char *file, size_t n, int c)
{
	_cleanup_free_ char *p = malloc(n);
	_cleanup_close_ int fd = open(file, O_WRONLY | O_CREAT | O_TRUNC, 0600);

	memset(p, c, n);
	assert_int_equal(write_full(fd, p, n), 0);
}

/* The octet that all of the file has; -1: it has different ones, or is not as long as it should be. */
static int filled(void)
{
	_cleanup_free_ char *p = NULL;
	size_t n;

	if (file_read(path, 1 << 20, &p, &n) < 0 || n != BYTES)
		return -1;
	for (size_t i = 1; i < n; i++)
		if (p[i] != p[0])
			return -1;
	return p[0];
}

static struct flash *make(void)
{
	struct devs_flash_cfg c = { .path = path, .template = template, .bytes = BYTES, .uuid = UUID };
	struct flash *f = NULL;
	struct err err = { 0 };

	assert_int_equal(flash_new(&c, NULL, on_failed, NULL, &f, &err), 0);
	return f;
}

static void guest_writes(const struct flash *f, int c)
{
	char p[BYTES];

	memset(p, c, sizeof(p));
	assert_int_equal(pwrite(flash_fd(f), p, sizeof(p), 0), sizeof(p));
}

static int guest_sees(const struct flash *f)
{
	char c;

	assert_int_equal(pread(flash_fd(f), &c, 1, BYTES - 1), 1);
	return c;
}

static void own(struct flash *f)
{
	assert_int_equal(flash_lock(f, NULL), 0);
	flash_owned(f);
}

static int set_up(void **state)
{
	int r = test_dir_setup(state);

	path = xasprintf("%s/g_VARS.fd", test_dir);
	beside = xasprintf("%s.new", path);
	template = xasprintf("%s/template.fd", test_dir);
	fill(template, BYTES, 't');
	atomic_store(&over, false);
	atomic_store(&failures, 0);
	return r;
}

static int tear_down(void **state)
{
	free(path);
	free(beside);
	free(template);
	return test_dir_teardown(state);
}

static void test_begins_with_the_template_and_goes_on_with_the_file(void **state)
{
	struct flash *f = make();
	struct err err = { 0 };
	(void)state;

	own(f);
	assert_int_equal(flash_load(f, &err), 0);
	assert_int_equal(guest_sees(f), 't');
	assert_int_equal(filled(), 't');
	guest_writes(f, 'a');
	assert_int_equal(flash_sync(f, &err), 0);
	assert_int_equal(filled(), 'a');
	flash_unlock(f);
	flash_free(f);
	f = make();
	own(f);
	assert_int_equal(flash_load(f, &err), 0);
	assert_int_equal(guest_sees(f), 'a');
	flash_free(f);
	/* another firmware's */
	fill(path, BYTES / 2, 'x');
	f = make();
	own(f);
	assert_int_equal(flash_load(f, &err), -EINVAL);
	assert_non_null(strstr(err.text, "4096"));
	flash_free(f);
}

static void test_written_by_its_owner_only(void **state)
{
	struct flash *f, *other;
	struct err err = { 0 };
	(void)state;

	fill(path, BYTES, 'o');
	f = make();
	other = make();
	/* a guest that came from elsewhere: its variables are not there before it runs */
	own(f);
	assert_int_equal(flash_sync(f, &err), 0);
	assert_int_equal(filled(), 'o');
	guest_writes(f, 'b');
	flash_runs(f);
	assert_int_equal(flash_lock(other, &err), -EAGAIN);
	assert_int_equal(flash_sync(f, &err), 0);
	assert_int_equal(filled(), 'b');
	/* locked, but by the lease it may be another's */
	flash_unlock(f);
	guest_writes(f, 'c');
	assert_int_equal(flash_lock(f, &err), 0);
	assert_int_equal(flash_sync(f, &err), 0);
	assert_int_equal(filled(), 'b');
	/* the lease of this host is over */
	flash_owned(f);
	atomic_store(&over, true);
	assert_int_equal(flash_sync(f, &err), -ETIME);
	assert_int_equal(filled(), 'b');
	atomic_store(&over, false);
	assert_int_equal(flash_sync(f, &err), 0);
	assert_int_equal(filled(), 'c');
	flash_free(f);
	flash_free(other);
}

/* docs/wire/nvram.md */
static void put_beside(const char *uuid, int c, size_t n, bool sound)
{
	struct {
		char magic[16], uuid[40];
		uint64_t bytes, sum;
		char content[BYTES];
	} s = { .magic = "hospes-nvram 1\n", .bytes = BYTES };
	_cleanup_close_ int fd = open(beside, O_WRONLY | O_CREAT | O_TRUNC, 0600);

	snprintf(s.uuid, sizeof(s.uuid), "%s", uuid);
	memset(s.content, c, BYTES);
	s.sum = XXH3_64bits(s.content, BYTES) + !sound;
	assert_int_equal(write_full(fd, &s, 72 + n), 0);
}

static void test_a_crash_in_the_middle(void **state)
{
	static const struct {
		const char *uuid;
		size_t n;
		bool sound;
		int want;
	} c[] = { { UUID, BYTES, true, 'n' },
		  { UUID, BYTES, false, 'o' },
		  { UUID, BYTES - 1, true, 'o' },
		  { "99999999-2222-3333-4444-555555555555", BYTES, true, 'o' } };
	(void)state;

	for (size_t i = 0; i < ARRAY_SIZE(c); i++) {
		fill(path, BYTES, 'o');
		put_beside(c[i].uuid, 'n', c[i].n, c[i].sound);
		struct flash *f = make();
		own(f);
		assert_int_equal(flash_load(f, NULL), 0);
		assert_int_equal(guest_sees(f), c[i].want);
		assert_int_equal(filled(), c[i].want);
		flash_free(f);
	}
}

static void test_the_thread_writes_by_itself(void **state)
{
	struct flash *f = make();
	struct rlimit was, small = { 4096, RLIM_INFINITY };
	(void)state;

	own(f);
	assert_int_equal(flash_load(f, NULL), 0);
	assert_int_equal(flash_start(f, NULL), 0);
	guest_writes(f, 'd');
	for (unsigned i = 0; i < 500 && filled() != 'd'; i++)
		usleep(10000);
	assert_int_equal(filled(), 'd');
	/* full storage: said once, the file stays whole, and it is tried again */
	signal(SIGXFSZ, SIG_IGN);
	getrlimit(RLIMIT_FSIZE, &was);
	small.rlim_max = was.rlim_max;
	setrlimit(RLIMIT_FSIZE, &small);
	_cleanup_free_ void *p = malloc(4096);
	memset(p, 'e', 4096);
	assert_int_equal(pwrite(flash_fd(f), p, 4096, 0), 4096);
	for (unsigned i = 0; i < 500 && !atomic_load(&failures); i++)
		usleep(10000);
	usleep(500000);
	assert_int_equal(atomic_load(&failures), 1);
	assert_int_equal(filled(), 'd');
	assert_int_equal(flash_sync(f, NULL), -EFBIG);
	setrlimit(RLIMIT_FSIZE, &was);
	guest_writes(f, 'e');
	for (unsigned i = 0; i < 500 && filled() != 'e'; i++)
		usleep(10000);
	assert_int_equal(filled(), 'e');
	flash_free(f);
}

static void test_its_size_is_sealed(void **state)
{
	struct flash *f = make();
	(void)state;

	assert_true(ftruncate(flash_fd(f), 0) < 0);
	assert_true(ftruncate(flash_fd(f), BYTES * 2) < 0);
	flash_free(f);
}

static void test_no_template(void **state)
{
	struct devs_flash_cfg c = { .path = path, .bytes = BYTES, .uuid = UUID };
	struct flash *f;
	struct err err = { 0 };
	(void)state;

	assert_int_equal(flash_new(&c, NULL, on_failed, NULL, &f, &err), 0);
	own(f);
	assert_int_equal(flash_load(f, &err), -ENOENT);
	flash_free(f);
	unlink(template);
	c.template = template;
	assert_int_equal(flash_new(&c, NULL, on_failed, NULL, &f, &err), -ENOENT);
}

int main(void)
{
#define TEST(f) cmocka_unit_test_setup_teardown(f, set_up, tear_down)
	const struct CMUnitTest tests[] = {
		TEST(test_begins_with_the_template_and_goes_on_with_the_file),
		TEST(test_written_by_its_owner_only),
		TEST(test_a_crash_in_the_middle),
		TEST(test_the_thread_writes_by_itself),
		TEST(test_its_size_is_sealed),
		TEST(test_no_template),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
