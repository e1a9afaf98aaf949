/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Unit tests of hypervisor/savefile_*.c, and of the tables in docs/wire/savefile.md. */
#include "config.h"
#include "tests/unit/testutil.h"

#include <dirent.h>
#include <fcntl.h>
#include <signal.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <unistd.h>
#include <xxhash.h>
#include "common/util.h"
#include "hypervisor/api/savefile.h"

#define RAM_PAGES   1000u
#define STATE_BYTES 300000u

static int memfd_of(size_t bytes)
{
	int fd = memfd_create("test", MFD_CLOEXEC);

	assert_true(fd >= 0);
	assert_int_equal(ftruncate(fd, (off_t)bytes), 0);
	return fd;
}

static void fill_page(int fd, unsigned page, unsigned seed, bool random)
{
	uint8_t b[PAGE_BYTES];

	for (size_t i = 0; i < sizeof(b); i++) {
		seed = seed * 1103515245 + 12345;
		b[i] = random ? (uint8_t)(seed >> 16) : (uint8_t)(i / 64 + page);
	}
	assert_int_equal(pwrite(fd, b, sizeof(b), (off_t)page * PAGE_BYTES), sizeof(b));
}

/* Data, holes, zero pages that are no holes, incompressible pages, the first and the last page. */
static int make_ram(void)
{
	static const uint8_t zero[PAGE_BYTES];
	int fd = memfd_of(RAM_PAGES * PAGE_BYTES);

	fill_page(fd, 0, 1, false);
	for (unsigned i = 10; i < 210; i++)
		fill_page(fd, i, i, i % 3 == 0);
	for (unsigned i = 50; i < 60; i++)
		assert_int_equal(pwrite(fd, zero, sizeof(zero), (off_t)i * PAGE_BYTES), sizeof(zero));
	fill_page(fd, 500, 7, true);
	fill_page(fd, RAM_PAGES - 1, 9, false);
	return fd;
}

static int make_state(void)
{
	int fd = memfd_of(STATE_BYTES);

	for (unsigned i = 0; i < STATE_BYTES / PAGE_BYTES; i++)
		fill_page(fd, i, i, true);
	return fd;
}

static struct savefile_meta make_meta(void)
{
	static char xml[] = "<domain type='uml'/>";

	return (struct savefile_meta){
		.engine = "pv",
		.kernel_id = "0123456789abcdef0123456789abcdef",
		.created_s = 1700000000,
		.generation = 77,
		.state_bytes = STATE_BYTES,
		.n_regions = 2,
		.region = { { .size_bytes = RAM_PAGES * PAGE_BYTES, .name = "ram" },
		            { .guest_addr = 1ull << 32, .size_bytes = 4 * PAGE_BYTES, .name = "private" } },
		.xml = xml,
		.xml_len = strlen(xml),
	};
}

static rlim_t file_limit = RLIM_INFINITY; /* files cannot grow beyond it, as on a full disk */

static int save(const char *path, const struct savefile_progress *progress, struct err *err)
{
	_cleanup_savefile_out_ struct savefile_out *o = NULL;
	_cleanup_close_ int ram = make_ram(), small = memfd_of(4 * PAGE_BYTES), state = make_state();
	struct savefile_meta meta = make_meta();
	struct rlimit limit;
	struct stat st;
	uint64_t size;
	int r;

	fill_page(small, 2, 5, false);
	getrlimit(RLIMIT_FSIZE, &limit);
	limit.rlim_cur = file_limit;
	setrlimit(RLIMIT_FSIZE, &limit);
	r = savefile_create(path, &meta, &o, err);
	if (!r)
		r = savefile_put_region(o, 0, ram, progress, err);
	if (!r)
		r = savefile_put_region(o, 1, small, NULL, err);
	if (!r)
		r = savefile_put_state(o, state, err);
	if (!r)
		r = savefile_commit(o, &size, err);
	limit.rlim_cur = RLIM_INFINITY;
	setrlimit(RLIMIT_FSIZE, &limit);
	if (r < 0)
		return r;
	assert_int_equal(stat(path, &st), 0);
	assert_int_equal(st.st_size, size);
	assert_int_equal(st.st_mode & 07777, 0600);
	return 0;
}

static void same_content(int a, int b, size_t bytes)
{
	_cleanup_free_ uint8_t *x = malloc(bytes), *y = malloc(bytes);

	assert_int_equal(pread(a, x, bytes, 0), bytes);
	assert_int_equal(pread(b, y, bytes, 0), bytes);
	assert_memory_equal(x, y, bytes);
}

static size_t entries(const char *dir)
{
	DIR *d = opendir(dir);
	size_t n = 0;

	while (readdir(d))
		n++;
	closedir(d);
	return n - 2;
}

static void test_round_trip(void **state)
{
	char *dir = test_dir_new();
	_cleanup_free_ char *path = xasprintf("%s/g.save", dir);
	_cleanup_close_ int ram = make_ram(), blob = make_state(), small = memfd_of(4 * PAGE_BYTES);
	_cleanup_close_ int ram2 = memfd_of(RAM_PAGES * PAGE_BYTES), blob2 = memfd_of(0),
			    small2 = memfd_of(4 * PAGE_BYTES);
	_cleanup_savefile_in_ struct savefile_in *in = NULL;
	const struct savefile_meta *m;
	int fds[2] = { ram2, small2 };
	struct err err = { 0 };
	struct stat st, st2;

	(void)state;
	fill_page(small, 2, 5, false);
	/* twice: the second replaces the first */
	for (int i = 0; i < 2; i++)
		if (save(path, NULL, &err) < 0)
			fail_msg("%s", err.text);
	assert_int_equal(entries(dir), 1);
	if (savefile_open(path, &in, &err) < 0 || savefile_verify(in, NULL, &err) < 0 ||
	    savefile_load(in, fds, blob2, NULL, &err) < 0)
		fail_msg("%s", err.text);
	m = savefile_meta(in);
	assert_string_equal(m->xml, "<domain type='uml'/>");
	assert_string_equal(m->engine, "pv");
	assert_string_equal(m->kernel_id, "0123456789abcdef0123456789abcdef");
	assert_int_equal(m->created_s, 1700000000);
	assert_int_equal(m->generation, 77);
	assert_int_equal(m->n_regions, 2);
	assert_string_equal(m->region[1].name, "private");
	assert_true(m->region[1].guest_addr == 1ull << 32);
	same_content(ram, ram2, RAM_PAGES * PAGE_BYTES);
	same_content(small, small2, 4 * PAGE_BYTES);
	same_content(blob, blob2, STATE_BYTES);
	/* zero pages stay holes on the way back, and cost nothing in the file */
	assert_int_equal(fstat(ram, &st), 0);
	assert_int_equal(fstat(ram2, &st2), 0);
	assert_int_equal(st2.st_blocks, st.st_blocks - 10 * 8);
	assert_int_equal(stat(path, &st), 0);
	assert_true(st.st_size < 80 * 4096 + STATE_BYTES + 20000);
	test_dir_remove(dir);
}

static bool cancel_at_once(void *arg, uint64_t done, uint64_t total)
{
	(void)arg;
	assert_true(done <= total);
	return false;
}

static void test_failures_leave_nothing(void **state)
{
	static const struct savefile_progress cancel = { .fn = cancel_at_once };
	char *dir = test_dir_new();
	_cleanup_free_ char *path = xasprintf("%s/g.save", dir), *sub = xasprintf("%s/none/g.save", dir);
	struct err err = { 0 };

	(void)state;
	assert_int_equal(save(path, &cancel, &err), -ECANCELED);
	assert_int_equal(entries(dir), 0);
	assert_int_equal(save(sub, NULL, &err), -ENOENT);
	assert_int_equal(save(dir, NULL, &err), -EEXIST);
	signal(SIGXFSZ, SIG_IGN);
	file_limit = 100000;
	assert_int_equal(save(path, NULL, &err), -EFBIG);
	file_limit = RLIM_INFINITY;
	assert_int_equal(entries(dir), 0);
	test_dir_remove(dir);
}

/* Open, verify and load @bytes. */
static int read_bytes(const uint8_t *bytes, size_t len, struct err *err)
{
	_cleanup_close_ int ram = memfd_of(0), small = memfd_of(0), blob = memfd_of(0);
	_cleanup_savefile_in_ struct savefile_in *in = NULL;
	int fds[HV_REGIONS_MAX] = { ram, small, ram, small }, fd = memfd_of(0), r;

	assert_int_equal(write_full(fd, bytes, len), 0);
	r = savefile_open_fd(fd, "test", &in, err);
	if (!r)
		r = savefile_verify(in, NULL, err);
	return r < 0 ? r : savefile_load(in, fds, blob, NULL, err);
}

/* A small file whose hash is made right again after each change, so that the checks behind it are what is tested. */
struct small {
	struct savefile_header h;
	char xml[4];
	struct savefile_region region;
	struct savefile_run run1;
	uint8_t data[PAGE_BYTES];
	struct savefile_run run2;
	uint8_t packed[26];
	struct savefile_run end;
	uint8_t state[8];
	struct savefile_trailer t;
} __attribute__((packed));

static struct small make_small(void)
{
	/* lz4: one literal 1, a match of the rest of a page */
	static const uint8_t packed[26] = { 31,  1,   1,   0,   255, 255, 255, 255, 255, 255, 255, 255, 255,
		                            255, 255, 255, 255, 255, 255, 246, 80,  1,   1,   1,   1,   1 };
	struct small s = {
		.h = { .magic = { 'H', 'O', 'S', 'P', 'S', 'A', 'V', 'E' },
		       .version = 1,
		       .header_bytes = 128,
		       .xml_bytes = 4,
		       .n_regions = 1,
		       .state_bytes = 8,
		       .engine = "pv" },
		.xml = "<a/>",
		.region = { .size_bytes = 16 * PAGE_BYTES, .name = "ram" },
		.run1 = { .n_pages = 1, .first_page = 3, .data_bytes = PAGE_BYTES },
		.run2 = { .n_pages = 1, .first_page = 15, .coding = 1, .data_bytes = 26 },
		.t = { .end_magic = "HOSPEND" },
	};

	memcpy(s.packed, packed, sizeof(packed));
	memset(s.data, 7, sizeof(s.data));
	return s;
}

static size_t finish(struct small *s)
{
	s->t.hash = XXH3_64bits(s, offsetof(struct small, t));
	return sizeof(*s);
}

static void test_rules(void **state)
{
	static const struct {
		const char *what;
		size_t at, len;
		uint64_t value;
		const char *want;
	} cases[] = {
#define SET(field, v, text) { #field, offsetof(struct small, field), sizeof(((struct small *)0)->field), v, text }
		SET(h.magic, 0, "is no file of vmctl save"),
		SET(h.version, 2, "format version 2"),
		SET(h.header_bytes, 256, "format version"),
		SET(h.xml_bytes, 0, "size of the XML"),
		SET(h.xml_bytes, UINT32_MAX, "size of the XML"),
		SET(h.n_regions, 0, "number of memory regions"),
		SET(h.n_regions, 5, "number of memory regions"),
		SET(h.state_bytes, UINT64_MAX, "size of the state"),
		SET(h.state_bytes, 100000, "size of the state"),
		SET(h.state_bytes, 9, "ends too early"),
		SET(region.size_bytes, 0, "size of a memory region"),
		SET(region.size_bytes, 4097, "size of a memory region"),
		SET(region.size_bytes, 1ull << 63, "size of a memory region"),
		SET(run1.region, 1, "a run of pages"),
		SET(run1.n_pages, 65, "a run of pages"),
		SET(run1.n_pages, UINT32_MAX, "a run of pages"),
		SET(run1.n_pages, 0, "the end of the pages"),
		SET(run1.n_pages, 2, "coding of pages"),
		SET(run1.first_page, 16, "pages outside the memory"),
		SET(run1.first_page, UINT64_MAX, "pages outside the memory"),
		SET(run1.coding, 2, "coding of pages"),
		SET(run1.coding, 1, "coding of pages"),
		SET(run1.data_bytes, 5, "coding of pages"),
		SET(run1.data_bytes, UINT32_MAX, "coding of pages"),
		SET(run2.first_page, 3, "pages out of order"),
		SET(run2.first_page, 0, "pages out of order"),
		SET(run2.n_pages, 2, "pages outside the memory"),
		SET(run2.data_bytes, 25, "compressed pages"),
		SET(run2.data_bytes, 0, "coding of pages"),
		SET(packed, 0, "compressed pages"),
		SET(end.first_page, 1, "the end of the pages"),
		SET(t.end_magic, 0, "its end near"),
#undef SET
	};
	struct err err = { 0 };
	struct small s;

	(void)state;
	s = make_small();
	if (read_bytes((uint8_t *)&s, finish(&s), &err) < 0)
		fail_msg("the file without a change: %s", err.text);
	for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
		uint64_t value[4] = { cases[i].value };
		int r;

		s = make_small();
		memcpy((uint8_t *)&s + cases[i].at, value, cases[i].len);
		memset(&err, 0, sizeof(err));
		r = read_bytes((uint8_t *)&s, finish(&s), &err);
		if (r >= 0 || !strstr(err.text, cases[i].want))
			fail_msg("%s = %llu: %d, %s", cases[i].what, (unsigned long long)cases[i].value, r, err.text);
	}
}

static void test_cut_and_flipped(void **state)
{
	struct small s = make_small();
	struct err err = { 0 };
	uint8_t *more;
	size_t len;

	(void)state;
	len = finish(&s);
	for (size_t n = 0; n < len; n += n < 400 ? 1 : 97)
		if (read_bytes((uint8_t *)&s, n, &err) >= 0)
			fail_msg("cut after %zu octets: accepted", n);
	for (size_t i = 0; i < len; i += i < 400 ? 1 : 61) {
		((uint8_t *)&s)[i] ^= 0x10;
		if (read_bytes((uint8_t *)&s, len, &err) >= 0)
			fail_msg("octet %zu flipped: accepted", i);
		((uint8_t *)&s)[i] ^= 0x10;
	}
	more = calloc(1, len + 1);
	memcpy(more, &s, len);
	assert_int_equal(read_bytes(more, len + 1, &err), -EBADMSG);
	assert_non_null(strstr(err.text, "something follows its end"));
	free(more);
}

static void test_other_files(void **state)
{
	struct savefile_in *in = NULL;
	struct err err = { 0 };

	(void)state;
	assert_int_equal(savefile_open("/nonexistent", &in, &err), -ENOENT);
	assert_int_equal(savefile_open("/tmp", &in, &err), -EINVAL);
	assert_int_equal(savefile_open("/dev/zero", &in, &err), -EINVAL);
	assert_int_equal(savefile_open("/bin/sh", &in, &err), -EBADMSG);
	assert_null(in);
}

struct field {
	const char *section, *name;
	size_t offset, octets;
};
#define F(sec, s, f)                                                                                                   \
	{                                                                                                              \
		sec, #f, offsetof(struct s, f), sizeof(((struct s *)0)->f)                                             \
	}

static void test_document_is_true(void **state)
{
	static const struct field fields[] = {
		F("## Header", savefile_header, magic),
		F("## Header", savefile_header, version),
		F("## Header", savefile_header, header_bytes),
		F("## Header", savefile_header, xml_bytes),
		F("## Header", savefile_header, n_regions),
		F("## Header", savefile_header, state_bytes),
		F("## Header", savefile_header, created_s),
		F("## Header", savefile_header, engine),
		F("## Header", savefile_header, kernel_id),
		F("## Header", savefile_header, generation),
		F("## Header", savefile_header, reserved),
		F("The domain XML", savefile_region, guest_addr),
		F("The domain XML", savefile_region, size_bytes),
		F("The domain XML", savefile_region, name),
		F("The domain XML", savefile_region, pad),
		F("## Runs", savefile_run, region),
		F("## Runs", savefile_run, n_pages),
		F("## Runs", savefile_run, first_page),
		F("## Runs", savefile_run, coding),
		F("## Runs", savefile_run, data_bytes),
		F("## State", savefile_trailer, hash),
		F("## State", savefile_trailer, end_magic),
	};
	_cleanup_free_ char *path = xasprintf("%s/docs/wire/savefile.md", getenv("top_srcdir") ?: ".");
	_cleanup_free_ char *text = NULL;

	(void)state;
	assert_int_equal(file_read(path, 1 << 20, &text, NULL), 0);
	for (size_t i = 0; i < ARRAY_SIZE(fields); i++) {
		_cleanup_free_ char *row = xasprintf("| %zu | %zu | `%s` |", fields[i].offset, fields[i].octets,
		                                     fields[i].name);
		const char *at = strstr(text, fields[i].section);

		if (!at || !strstr(at, row))
			fail_msg("%s: row \"%s\" is missing", fields[i].section, row);
	}
}

int main(void)
{
	static const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_round_trip),  cmocka_unit_test(test_failures_leave_nothing),
		cmocka_unit_test(test_rules),       cmocka_unit_test(test_cut_and_flipped),
		cmocka_unit_test(test_other_files), cmocka_unit_test(test_document_is_true),
	};

	return cmocka_run_group_tests_name("savefile", tests, NULL, NULL);
}
