/* SPDX-License-Identifier: GPL-2.0-or-later */
/* The state of a user-mode guest as octets: round trip, truncation at every octet, hostile values, bounded memory. */
#include "config.h"
#include "tests/unit/testutil.h"

#include <fcntl.h>
#include <sys/ptrace.h>
#include <sys/syscall.h>
#include "common/buf.h"
#include "common/util.h"
#include "hypervisor/pv/restorer.h"
#include "tests/unit/imagesample.h"

static void encode(const struct pv_image *im, struct buf *b)
{
	struct err err;

	assert_int_equal(pv_image_encode(im, b, &err), 0);
}

/* from a copy of exactly that size, so that the sanitizers see a read past the end */
static int decode(struct pv_image *im, const uint8_t *p, size_t len, struct err *err)
{
	uint8_t *copy = malloc(len ? len : 1);

	assert_non_null(copy);
	memcpy(copy, p, len);
	struct rd in = rd_of(copy, len);
	int r = pv_image_decode(im, &in, SAMPLE_MEM_BYTES, SAMPLE_DEVS, err);
	free(copy);
	return r;
}

static void round_trip(void **state)
{
	_cleanup_buf_ struct buf a = { 0 }, b = { 0 };
	struct pv_image im, back;
	struct err err;
	(void)state;

	image_sample(&im);
	encode(&im, &a);
	assert_int_equal(decode(&back, a.data, a.len, &err), 0);
	encode(&back, &b);
	assert_int_equal(a.len, b.len);
	assert_memory_equal(a.data, b.data, a.len);
	/* not only the same octets: the same things */
	assert_int_equal(back.n_fds, im.n_fds);
	assert_memory_equal(back.fd[5].queued, "hello", 5);
	assert_int_equal(back.fd[1].dup_of, 0);
	assert_int_equal(back.n_stub_vmas, im.n_stub_vmas);
	for (size_t i = 0; i < im.n_stub_vmas; i++)
		assert_memory_equal(&back.stub_vma[i], &im.stub_vma[i], sizeof(struct vma));
	for (size_t i = 0; i < im.n_vmas; i++)
		assert_memory_equal(&back.vma[i], &im.vma[i], sizeof(struct vma));
	assert_int_equal(back.stub[1].first_vma, 3);
	assert_int_equal(back.pages[1].data, PAGE_BYTES);
	assert_memory_equal(back.page_data, im.page_data, im.page_data_len);
	assert_int_equal(back.timer_value_ns, -5);
	assert_string_equal(back.file[2].path, "/usr/bin/linux.uml");
	pv_image_done(&im);
	pv_image_done(&back);
}

static void truncated(void **state)
{
	_cleanup_buf_ struct buf a = { 0 };
	struct pv_image im, back;
	struct err err;
	(void)state;

	image_sample(&im);
	encode(&im, &a);
	for (size_t n = 0; n < a.len; n++) {
		memset(&back, 0x55, sizeof(back));
		err.text[0] = 0;
		assert_int_equal(decode(&back, a.data, n, &err), -EINVAL);
		assert_non_null(strstr(err.text, "damaged"));
		assert_null(back.fd); /* nothing half-made is left */
	}
	pv_image_done(&im);
}

static void other_target(void **state)
{
	_cleanup_buf_ struct buf a = { 0 };
	struct pv_image im, back;
	struct err err;
	(void)state;

	image_sample(&im);
	encode(&im, &a);
	struct rd in = rd_of(a.data, a.len);
	assert_int_equal(pv_image_decode(&back, &in, SAMPLE_MEM_BYTES - PAGE_BYTES, SAMPLE_DEVS, &err), -EINVAL);
	in = rd_of(a.data, a.len);
	assert_int_equal(pv_image_decode(&back, &in, SAMPLE_MEM_BYTES, 1, &err), -EINVAL);
	assert_non_null(strstr(err.text, "descriptors"));
	pv_image_done(&im);
}

/* Each makes one thing of a good image wrong. */
#define HOSTILE(name, ...)                                                                                             \
	static void name(struct pv_image *im)                                                                          \
	{                                                                                                              \
		__VA_ARGS__;                                                                                           \
	}
HOSTILE(other_memory, im->mem_bytes += PAGE_BYTES)
HOSTILE(far_clock, im->mono_ns = 1ull << 63)
HOSTILE(kernel_cs, im->k.regs.cs = 0x10)
HOSTILE(compat_cs, im->k.regs.cs = 0x23)
HOSTILE(kernel_ss, im->k.regs.ss = 0x18)
HOSTILE(kernel_rip, im->k.regs.rip = 0xffffffff81000000)
HOSTILE(kernel_fs, im->k.regs.fs_base = 0xffff888000000000)
HOSTILE(k_is_init, im->k.pid = 1)
HOSTILE(k_negative, im->k.pid = -1)
HOSTILE(k_far, im->k.pid = 4194305)
HOSTILE(short_xstate, im->k.xstate_len = 512)
HOSTILE(handler_low, im->segv_handler = PV_STUB_CODE - 1)
HOSTILE(handler_high, im->segv_handler = PV_STUB_DATA)
HOSTILE(fd_negative, im->fd[0].fd = -1)
HOSTILE(fd_twice, im->fd[2].fd = 1)
HOSTILE(fd_unsorted, im->fd[3].fd = 0)
HOSTILE(fd_high, im->fd[8].fd = 900)
HOSTILE(fd_huge, im->fd[8].fd = INT32_MAX)
HOSTILE(fd_no_kind, im->fd[2].kind = 0)
HOSTILE(fd_new_kind, im->fd[2].kind = PV_FD_KIND_MAX)
HOSTILE(fd_dup_self, im->fd[1].dup_of = 1)
HOSTILE(fd_dup_later, im->fd[1].dup_of = 4)
HOSTILE(fd_device, im->fd[7].arg = SAMPLE_DEVS)
HOSTILE(fd_req_device, im->fd[8].arg = 1u << 31)
HOSTILE(vma_overlap, im->vma[1].start -= PAGE_BYTES)
HOSTILE(vma_backwards, im->vma[1].start = im->vma[0].start - PAGE_BYTES)
HOSTILE(vma_empty, im->vma[1].end = im->vma[1].start)
HOSTILE(vma_negative, im->vma[1].end = im->vma[1].start - PAGE_BYTES)
HOSTILE(vma_kernel, im->vma[3].end = 0x800000000000)
HOSTILE(vma_far, im->vma[3].start = 0xffffff0000000000; im->vma[3].end = 0xffffff0000001000)
HOSTILE(vma_zero_page, im->vma[0].start = 0)
HOSTILE(vma_restorer, im->vma[2].start = RESTORER_BASE; im->vma[2].end = RESTORER_BASE + SAMPLE_MEM_BYTES)
HOSTILE(vma_over_restorer, im->vma[3].start = RESTORER_BASE - PAGE_BYTES; im->vma[3].end = 0x7ffff0010000)
HOSTILE(vma_beyond_memory, im->vma[2].offset = PAGE_BYTES)
HOSTILE(vma_far_offset, im->vma[2].offset = 1ull << 60)
HOSTILE(vma_negative_offset, im->vma[2].offset = -4096ull)
HOSTILE(vma_min_offset, im->vma[2].offset = 1ull << 63)
HOSTILE(vma_private_memory, im->vma[2].flags &= ~(uint32_t)VMA_SHARED)
HOSTILE(vma_shared_file, im->vma[0].flags |= VMA_SHARED)
HOSTILE(vma_shared_anon, im->vma[1].flags |= VMA_SHARED)
HOSTILE(vma_no_file, im->vma[0].inode = PV_BACK_FILE0 + 3)
HOSTILE(vma_far_file, im->vma[0].inode = PV_BACK_FILE0 + PV_FILES_MAX)
HOSTILE(pages_unaligned, im->pages[0].addr += 8)
HOSTILE(pages_nowhere, im->pages[0].addr = 0x50000000)
HOSTILE(pages_in_memory, im->pages[0].addr = 0x60800000)
HOSTILE(pages_over_end, im->pages[0].addr = 0x60004000; im->pages[0].n = 2)
HOSTILE(pages_none, im->pages[0].n = 0)
HOSTILE(pages_many, im->pages[0].n = 65537)
HOSTILE(pages_in_restorer, im->pages[0].addr = RESTORER_BASE)
HOSTILE(helper_cs, im->helper[1].regs.cs = 0)
HOSTILE(helper_rip, im->helper[0].regs.rip = 1ull << 63)
HOSTILE(k_single_step, im->k.regs.eflags |= 0x100)
HOSTILE(k_io_level, im->k.regs.eflags |= 0x3000)
HOSTILE(k_segment, im->k.regs.gs = 0x2b)
HOSTILE(k_gs, im->k.regs.gs_base = 0xffff888000000000)
HOSTILE(k_elsewhere, im->k.regs.rip = 0x60003000)
HOSTILE(k_nowhere, im->k.regs.rip = 0x50000000)
HOSTILE(k_last_octet, im->k.regs.rip = 0x60001fff)
HOSTILE(k_other_call, im->k.regs.rax = SYS_getpid)
HOSTILE(k_other_ptrace, im->k.regs.rax = SYS_ptrace; im->k.regs.rdi = PTRACE_GETREGS)
HOSTILE(k_restart, im->k.regs.orig_rax = SYS_rt_sigsuspend)
HOSTILE(helper_read, im->helper[0].regs.rax = SYS_read)
HOSTILE(helper_no_call, im->helper[1].regs.rax = ~0ull)
HOSTILE(helper_restart, im->helper[1].regs.orig_rax = SYS_poll)
HOSTILE(helper_in_data, im->helper[0].regs.rip = 0x60003000)
HOSTILE(helper_in_ram, im->vma[2].flags |= VMA_EXEC; im->helper[0].regs.rip = 0x60800000)
HOSTILE(fd_flags, im->fd[0].flags |= O_DIRECT)
HOSTILE(stub_pid_init, im->stub[0].pid = 1)
HOSTILE(stub_pid_far, im->stub[0].pid = 1 << 30)
HOSTILE(stub_above_top, im->stub_vma[2].end = PV_STUB_TOP + PAGE_BYTES)
HOSTILE(stub_all_above, im->stub_vma[2].start = PV_STUB_TOP; im->stub_vma[2].end = PV_STUB_TOP + PAGE_BYTES)
HOSTILE(stub_over_code, im->stub_vma[0].start = PV_STUB_CODE - PAGE_BYTES; im->stub_vma[0].end = PV_STUB_CODE)
HOSTILE(stub_no_code, im->stub_vma[3].start -= 2 * PAGE_BYTES; im->stub_vma[3].end -= 2 * PAGE_BYTES)
HOSTILE(stub_no_data, im->stub[1].n_vmas = 1)
HOSTILE(stub_nothing, im->stub[1].n_vmas = 0)
HOSTILE(stub_beyond_memory, im->stub_vma[0].offset = SAMPLE_MEM_BYTES - PAGE_BYTES)
HOSTILE(stub_anon, im->stub_vma[0].inode = PV_BACK_ANON)
HOSTILE(stub_file, im->stub_vma[0].inode = PV_BACK_FILE0)
HOSTILE(stub_private, im->stub_vma[0].flags = VMA_READ)

static void hostile_values(void **state)
{
	static const struct {
		const char *name, *part;
		void (*fn)(struct pv_image *im);
	} table[] = {
#define H(f, part) { #f, part, f }
		H(other_memory, "header"),        H(far_clock, "header"),
		H(kernel_cs, "registers"),        H(compat_cs, "registers"),
		H(kernel_ss, "registers"),        H(kernel_rip, "registers"),
		H(kernel_fs, "registers"),        H(k_is_init, "registers"),
		H(k_negative, "registers"),       H(k_far, "registers"),
		H(short_xstate, "registers"),     H(handler_low, "registers"),
		H(handler_high, "registers"),     H(fd_negative, "descriptors"),
		H(fd_twice, "descriptors"),       H(fd_unsorted, "descriptors"),
		H(fd_high, "descriptors"),        H(fd_huge, "descriptors"),
		H(fd_no_kind, "descriptors"),     H(fd_new_kind, "descriptors"),
		H(fd_dup_self, "descriptors"),    H(fd_dup_later, "descriptors"),
		H(fd_device, "descriptors"),      H(fd_req_device, "descriptors"),
		H(vma_overlap, "mappings"),       H(vma_backwards, "mappings"),
		H(vma_empty, "mappings"),         H(vma_negative, "mappings"),
		H(vma_kernel, "mappings"),        H(vma_far, "mappings"),
		H(vma_zero_page, "mappings"),     H(vma_restorer, "mappings"),
		H(vma_over_restorer, "mappings"), H(vma_beyond_memory, "mappings"),
		H(k_single_step, "registers"),    H(k_io_level, "registers"),
		H(k_segment, "registers"),        H(k_gs, "registers"),
		H(k_elsewhere, "safe point"),     H(k_nowhere, "safe point"),
		H(k_last_octet, "safe point"),    H(k_other_call, "safe point"),
		H(k_other_ptrace, "safe point"),  H(k_restart, "safe point"),
		H(helper_read, "poll"),           H(helper_no_call, "poll"),
		H(helper_restart, "poll"),        H(helper_in_data, "poll"),
		H(helper_in_ram, "poll"),         H(fd_flags, "descriptors"),
		H(vma_far_offset, "mappings"),    H(vma_negative_offset, "mappings"),
		H(vma_min_offset, "mappings"),    H(vma_private_memory, "mappings"),
		H(vma_shared_file, "mappings"),   H(vma_shared_anon, "mappings"),
		H(vma_no_file, "mappings"),       H(vma_far_file, "mappings"),
		H(pages_unaligned, "pages"),      H(pages_nowhere, "pages"),
		H(pages_in_memory, "pages"),      H(pages_over_end, "pages"),
		H(pages_none, "pages"),           H(pages_many, "pages"),
		H(pages_in_restorer, "pages"),    H(helper_cs, "helpers"),
		H(helper_rip, "helpers"),         H(stub_pid_init, "spaces"),
		H(stub_pid_far, "spaces"),        H(stub_above_top, "spaces"),
		H(stub_all_above, "spaces"),      H(stub_over_code, NULL),
		H(stub_no_code, "spaces"),        H(stub_no_data, "spaces"),
		H(stub_nothing, "spaces"),        H(stub_beyond_memory, "spaces"),
		H(stub_anon, "spaces"),           H(stub_file, "spaces"),
		H(stub_private, "spaces"),
	};
	(void)state;

	for (size_t i = 0; i < ARRAY_SIZE(table); i++) {
		_cleanup_buf_ struct buf a = { 0 };
		struct pv_image im, back;
		struct err err = { 0 };

		image_sample(&im);
		table[i].fn(&im);
		encode(&im, &a);
		int r = decode(&back, a.data, a.len, &err);
		if (!table[i].part) { /* right up to the stub's code page is allowed */
			assert_int_equal(r, 0);
			pv_image_done(&back);
		} else if (r != -EINVAL || !strstr(err.text, table[i].part)) {
			fail_msg("%s: %d '%s'", table[i].name, r, r ? err.text : "accepted");
		}
		pv_image_done(&im);
	}
}

/* Where the octets of two images begin to differ. */
static size_t first_difference(void (*change)(struct pv_image *im))
{
	_cleanup_buf_ struct buf a = { 0 }, b = { 0 };
	struct pv_image im;
	size_t i = 0;

	image_sample(&im);
	encode(&im, &a);
	change(&im);
	encode(&im, &b);
	pv_image_done(&im);
	while (i < a.len && i < b.len && a.data[i] == b.data[i])
		i++;
	assert_true(i < a.len);
	return i;
}

static void fewer_vmas(struct pv_image *im)
{
	im->n_vmas--;
}
static void fewer_pages(struct pv_image *im)
{
	im->n_pages--;
}
static void fewer_stubs(struct pv_image *im)
{
	im->n_stubs--;
}
static void fewer_stub_vmas(struct pv_image *im)
{
	im->stub[0].n_vmas--;
}
static void more_page_run(struct pv_image *im)
{
	im->pages[0].n++;
}
static void fewer_helpers(struct pv_image *im)
{
	free(im->helper[--im->n_helpers].xstate);
}
static void other_queue(struct pv_image *im)
{
	im->fd[5].queued_len--;
}
static void fewer_eps(struct pv_image *im)
{
	im->n_ep--;
}
static void fewer_fds(struct pv_image *im)
{
	im->n_fds--;
}
static void fewer_files(struct pv_image *im)
{
	free(im->file[--im->n_files].path);
}
static void other_xstate(struct pv_image *im)
{
	im->k.xstate_len--;
}

/* A count that promises what is not there must not cost more memory than the input is long, in proportion. */
static void huge_counts(void **state)
{
	static const struct {
		const char *name;
		void (*fn)(struct pv_image *im);
		bool fixed;
	} table[] = {
		{ "mappings", fewer_vmas, false },    { "pages", fewer_pages, false },
		{ "stubs", fewer_stubs, false },      { "stub mappings", fewer_stub_vmas, false },
		{ "page run", more_page_run, false }, { "helpers", fewer_helpers, false },
		{ "queue", other_queue, true },       { "epoll", fewer_eps, true },
		{ "descriptors", fewer_fds, true },   { "files", fewer_files, true },
		{ "xstate", other_xstate, true },
	};
	static const uint64_t values[] = { 10, 300, 32768, 65536, 70000, 1u << 20, UINT32_MAX, 1ull << 40, UINT64_MAX };
	_cleanup_buf_ struct buf good = { 0 };
	struct pv_image im;
	(void)state;

	image_sample(&im);
	encode(&im, &good);
	pv_image_done(&im);
	for (size_t i = 0; i < ARRAY_SIZE(table); i++) {
		size_t at = first_difference(table[i].fn);
		for (size_t v = 0; v < ARRAY_SIZE(values); v++) {
			_cleanup_buf_ struct buf b = { 0 };
			struct err err = { 0 };

			if (table[i].fixed) {
				buf_put(&b, good.data, good.len);
				for (unsigned k = 0; k < 4; k++)
					b.data[at + k] = (uint8_t)(values[v] >> 8 * k);
			} else {
				buf_put(&b, good.data, at);
				uint64_t x = values[v];
				for (; x > 127; x >>= 7)
					buf_put_u8(&b, (uint8_t)(x | 128));
				buf_put_u8(&b, (uint8_t)x);
				buf_put(&b, good.data + at + 1, good.len - at - 1);
			}
			alloc_largest_reset();
			if (!decode(&im, b.data, b.len, &err))
				fail_msg("%s = %lu was accepted", table[i].name, (unsigned long)values[v]);
			if (alloc_largest() > 100 * b.len)
				fail_msg("%s = %lu: allocates %zu octets for %zu", table[i].name,
				         (unsigned long)values[v], alloc_largest(), b.len);
		}
	}
}

/* The private memory of a guest kernel has a limit of its own, whatever its octets say. */
static void private_limit(void **state)
{
	(void)state;

	for (int over = 0; over < 2; over++) {
		_cleanup_buf_ struct buf b = { 0 };
		struct pv_image im, back;
		struct err err = { 0 };

		image_sample(&im);
		im.vma[3].end = im.vma[3].start + 2ull * PV_PRIVATE_MAX;
		im.n_pages = 1;
		im.pages[0] = (struct pv_pages){ .addr = im.vma[3].start,
			                         .n = PV_PRIVATE_MAX / PAGE_BYTES + (uint32_t)over };
		free(im.page_data);
		im.page_data_len = (uint64_t)im.pages[0].n * PAGE_BYTES;
		im.page_data = calloc(1, im.page_data_len);
		encode(&im, &b);
		int r = decode(&back, b.data, b.len, &err);
		assert_int_equal(r, over ? -EINVAL : 0);
		if (!r)
			pv_image_done(&back);
		else
			assert_non_null(strstr(err.text, "pages"));
		pv_image_done(&im);
	}
}

/* Every octet, every bit: an answer, no crash; what is accepted encodes again. */
static void flipped_bits(void **state)
{
	_cleanup_buf_ struct buf good = { 0 };
	struct pv_image im;
	(void)state;

	image_sample(&im);
	encode(&im, &good);
	pv_image_done(&im);
	for (size_t i = 0; i < good.len; i++) {
		for (unsigned bit = 0; bit < 8; bit += 1 + (i & 1)) {
			struct err err;
			good.data[i] ^= (uint8_t)(1u << bit);
			if (!decode(&im, good.data, good.len, &err)) {
				_cleanup_buf_ struct buf again = { 0 };
				encode(&im, &again);
				pv_image_done(&im);
			}
			good.data[i] ^= (uint8_t)(1u << bit);
		}
	}
}

static void no_memory(void **state)
{
	_cleanup_buf_ struct buf good = { 0 };
	struct pv_image im;
	struct err err;
	int r;
	(void)state;

	image_sample(&im);
	encode(&im, &good);
	pv_image_done(&im);
	struct rd in;
	FOR_EACH_ALLOC_FAILURE(
		(in = rd_of(good.data, good.len), r = pv_image_decode(&im, &in, SAMPLE_MEM_BYTES, SAMPLE_DEVS, &err)))
	{
		if (!r)
			pv_image_done(&im);
		/* a string without memory reads as a bad one */
		assert_true(alloc_failed ? r == -ENOMEM || r == -EINVAL : r == 0);
	}
}

int main(void)
{
	static const struct CMUnitTest tests[] = {
		cmocka_unit_test(round_trip),     cmocka_unit_test(truncated),   cmocka_unit_test(other_target),
		cmocka_unit_test(hostile_values), cmocka_unit_test(huge_counts), cmocka_unit_test(private_limit),
		cmocka_unit_test(flipped_bits),   cmocka_unit_test(no_memory),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
