/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Unit tests of hypervisor/pv/track_rules.c and uffd.c: the rules on made-up mappings, write-protection on our own memory. */
#include "config.h"
#include "tests/unit/testutil.h"

#include <fcntl.h>
#include <linux/userfaultfd.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>
#include "common/util.h"
#include "hypervisor/pv/track_int.h"

#define PAGES 1024u
#define WORDS (PAGES / 64)
#define INODE 7u
#define P(n)  ((uint64_t)(n)*PAGE_BYTES)

struct fix {
	struct guestmem m;
	struct track *t;
	uint64_t bits[WORDS], k[WORDS];
};

static void setup(struct fix *x)
{
	struct err err = { 0 };
	int fd = memfd_create("ram", MFD_CLOEXEC);

	memset(x, 0, sizeof(*x));
	assert_int_equal(ftruncate(fd, P(PAGES)), 0);
	assert_int_equal(guestmem_init(&x->m, fd, P(PAGES), &err), 0);
	x->t = calloc(1, sizeof(*x->t));
	assert_non_null(x->t);
	*x->t = (struct track){ .m = &x->m,
		                .inode = INODE,
		                .n_pages = PAGES,
		                .words = WORDS,
		                .k_written = x->k,
		                .cand = x->bits,
		                .mem_map = P(512) };
}

static void done(struct fix *x)
{
	free(x->t);
	guestmem_done(&x->m);
}

static struct vma mem(unsigned at, unsigned n, unsigned page)
{
	return (struct vma){ .start = P(at),
		             .end = P(at + n),
		             .offset = P(page),
		             .inode = INODE,
		             .flags = VMA_SHARED | VMA_FILE | VMA_READ };
}

/* The bits are exactly the pages of @want: first, count, first, count, ..., 0 at the end of counts. */
static void expect(struct fix *x, const unsigned *want)
{
	uint64_t w[WORDS] = { 0 };

	for (; want[1]; want += 2)
		for (unsigned p = want[0]; p < want[0] + want[1]; p++)
			w[p / 64] |= 1ull << (p % 64);
	assert_memory_equal(w, x->bits, sizeof(w));
	memset(x->bits, 0, sizeof(x->bits));
}
#define EXPECT(x, ...) expect(x, (const unsigned[]){ __VA_ARGS__, 0, 0 })

static void test_mark(void **state)
{
	struct fix x;

	(void)state;
	setup(&x);
	struct vma v[] = { mem(10, 100, 60), mem(200, 4, 1022), mem(300, 5, 0) };
	struct vma_list l = { .v = v, .n = 3 };
	track_mark_list(x.t, x.bits, &l, P(12), P(14));
	EXPECT(&x, 62, 2);
	track_mark_list(x.t, x.bits, &l, 0, ~0ull);
	EXPECT(&x, 60, 100, 1022, 2, 0, 5); /* what lies beyond guest memory is left out */
	track_mark_list(x.t, x.bits, &l, P(110), P(200));
	EXPECT(&x, 0, 0);
	v[0].flags &= ~(uint32_t)VMA_SHARED; /* private: writes do not reach guest memory */
	v[2].inode = INODE + 1;
	track_mark_list(x.t, x.bits, &l, 0, ~0ull);
	EXPECT(&x, 1022, 2);
	done(&x);
}

static void test_gone(void **state)
{
	struct fix x;

	(void)state;
	setup(&x);
	struct vma was_v[] = { mem(10, 10, 100), mem(20, 10, 300) };
	struct vma_list was = { .v = was_v, .n = 2 }, none = { 0 };
	const struct {
		struct vma now[3];
		unsigned n, want[10];
	} c[] = {
		{ { mem(10, 10, 100), mem(20, 10, 300) }, 2, { 0 } },                 /* the same */
		{ { mem(10, 4, 100), mem(14, 6, 104), mem(20, 10, 300) }, 3, { 0 } }, /* cut in two, shows the same */
		{ { mem(20, 10, 300) }, 1, { 100, 10 } },                             /* gone */
		{ { mem(5, 8, 95), mem(16, 20, 296) }, 2, { 103, 7 } },     /* grown: a part in the middle is gone... */
		{ { mem(10, 10, 101), mem(20, 10, 300) }, 2, { 100, 10 } }, /* another page at each address */
		{ { mem(10, 20, 100) }, 1, { 300, 10 } }, /* the second replaced by the first's tail */
		{ { mem(0, 2, 0), mem(12, 1, 102), mem(25, 1, 305) }, 3, { 100, 2, 103, 7, 300, 5, 306, 4 } },
	};
	for (size_t i = 0; i < ARRAY_SIZE(c); i++) {
		struct vma_list now = { .v = (struct vma *)(uintptr_t)c[i].now, .n = c[i].n };
		track_mark_gone(x.t, x.bits, &was, &now);
		expect(&x, c[i].want);
	}
	track_mark_gone(x.t, x.bits, &was, &none);
	EXPECT(&x, 100, 10, 300, 10);
	track_mark_gone(x.t, x.bits, &none, &was);
	EXPECT(&x, 0, 0);
	done(&x);
}

static void test_follow(void **state)
{
	struct fix x;
	struct stat a, b;

	(void)state;
	setup(&x);
	/* mem_map: 1024 descriptors of 64 octets are pages 512-527; one descriptor more on either side */
	x.k[514 / 64] |= 1ull << (514 % 64);
	track_follow_k(x.t);
	EXPECT(&x, 127, 66);
	memset(x.k, 0, sizeof(x.k));
	x.k[512 / 64] |= 1ull << (512 % 64);
	x.k[527 / 64] |= 1ull << (527 % 64);
	track_follow_k(x.t);
	EXPECT(&x, 0, 65, 959, 65);
	memset(x.k, 0, sizeof(x.k));
	/* page tables: present entries within memory, others not */
	uint64_t *w = (uint64_t *)(x.m.base + P(3));
	const uint64_t words[] = { P(700) | 0x1e1, P(701) | 1, P(702) | 0x1e0, P(703) | 0x401, P(PAGES) | 1, ~0ull, 0 };
	memcpy(w + 100, words, sizeof(words));
	w[511] = P(1023) | 0x41;
	x.k[0] = 1u << 3;
	track_follow_k(x.t);
	EXPECT(&x, 700, 2, 1023, 1);
	/* a hole that only seems written is not filled */
	assert_int_equal(fstat(x.m.fd, &a), 0);
	x.k[0] = 0xff0;
	track_follow_k(x.t);
	EXPECT(&x, 0, 0);
	assert_int_equal(fstat(x.m.fd, &b), 0);
	assert_int_equal(a.st_blocks, b.st_blocks);
	assert_false(x.t->all);
	done(&x);
}

struct seen {
	uint64_t base;
	unsigned n;
	uint64_t pages; /* bit per page from base */
};

static void see(void *arg, uint64_t start, uint64_t end)
{
	struct seen *s = arg;

	s->n++;
	for (uint64_t a = start; a < end; a += PAGE_BYTES)
		s->pages |= 1ull << ((a - s->base) / PAGE_BYTES);
}

/* What tracking needs of the kernel, with a hole between two mappings and a new one in the middle. */
static void test_uffd(void **state)
{
	struct err err = { 0 };

	(void)state;
	if (uffd_probe(&err)) {
		print_message("no tracking here: %s\n", err.text);
		skip();
	}
	int fd = memfd_create("ram", MFD_CLOEXEC),
	    uffd = (int)syscall(SYS_userfaultfd, UFFD_USER_MODE_ONLY | O_CLOEXEC | O_NONBLOCK);
	int pagemap = open("/proc/self/pagemap", O_RDONLY | O_CLOEXEC);
	struct uffd_scan *sc = calloc(1, sizeof(*sc));
	assert_true(fd >= 0 && uffd >= 0 && pagemap >= 0 && sc);
	assert_int_equal(ftruncate(fd, P(64)), 0);
	volatile uint8_t *m = mmap(NULL, P(64), PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
	struct seen s = { .base = (uint64_t)(uintptr_t)m };
	uint64_t lo = s.base, hi = lo + P(64);
	assert_int_equal(munmap((void *)(uintptr_t)(m + P(20)), P(4)), 0);
	assert_int_equal(uffd_setup(uffd, false), 0);
	assert_int_equal(uffd_scan(sc, pagemap, lo, hi, UFFD_WRITTEN, see, &s), -EPERM);
	assert_int_equal(uffd_scan(sc, pagemap, lo, hi, UFFD_UNREGISTERED, see, &s), 0);
	assert_true(s.pages == ~0xf00000ull);
	assert_int_equal(uffd_register(uffd, lo, hi), 0);
	assert_int_equal(uffd_scan(sc, pagemap, lo, hi, UFFD_WRITTEN, see, &s), 0);
	s.pages = 0;
	assert_int_equal(uffd_scan(sc, pagemap, lo, hi, UFFD_UNREGISTERED, see, &s), 0);
	m[P(3)] = 1;
	m[P(5)] = m[P(5)];
	(void)m[P(40)];
	m[P(63)] = 1;
	assert_int_equal(uffd_scan(sc, pagemap, lo, hi, UFFD_WRITTEN, see, &s), 0);
	assert_true((s.pages & 0x8000000000000028ull) == 0x8000000000000028ull);
	s.pages = 0;
	assert_int_equal(uffd_scan(sc, pagemap, lo, hi, UFFD_WRITTEN, see, &s), 0);
	assert_true(s.pages == 0);
	/* a scan that meets a new mapping after written pages: fails, and tells what it has protected all the same */
	m[P(1)] = m[P(3)] = m[P(60)] = 2;
	assert_true(mmap((void *)(uintptr_t)(m + P(20)), P(1), PROT_READ, MAP_SHARED | MAP_FIXED, fd, P(20)) !=
	            MAP_FAILED);
	assert_int_equal(uffd_scan(sc, pagemap, lo, hi, UFFD_WRITTEN, see, &s), -EPERM);
	assert_true((s.pages & 0xa) == 0xa);
	s.pages = 0;
	assert_int_equal(uffd_scan(sc, pagemap, lo, hi, UFFD_UNREGISTERED, see, &s), 0);
	assert_true(s.pages == 1ull << 20);
	assert_int_equal(uffd_register(uffd, lo + P(20), lo + P(21)), 0);
	s.pages = 0;
	assert_int_equal(uffd_scan(sc, pagemap, lo, hi, UFFD_WRITTEN, see, &s), 0);
	assert_true(s.pages & 1ull << 60);
	assert_false(s.pages & 0xa);
	free(sc);
	munmap((void *)(uintptr_t)m, P(64));
	close(fd);
	close(uffd);
	close(pagemap);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_mark),
		cmocka_unit_test(test_gone),
		cmocka_unit_test(test_follow),
		cmocka_unit_test(test_uffd),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
