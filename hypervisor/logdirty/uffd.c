/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Userfaultfd and PAGEMAP_SCAN: see uffd.h. Used by the trackers of the engines. */
#include "config.h"
#include "hypervisor/logdirty/uffd.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/userfaultfd.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <unistd.h>
#include "common/util.h"

/* include/uapi/linux/userfaultfd.h of 6.7 */
#define FEATURE_WP_HUGETLBFS_SHMEM (1ull << 12)
#define FEATURE_WP_UNPOPULATED     (1ull << 13)
#define FEATURE_WP_ASYNC           (1ull << 15)
#define FEATURES                   (FEATURE_WP_HUGETLBFS_SHMEM | FEATURE_WP_UNPOPULATED | FEATURE_WP_ASYNC)

/* include/uapi/linux/fs.h of 6.7 */
struct pm_scan_arg_abi {
	uint64_t size, flags, start, end, walk_end, vec, vec_len, max_pages;
	uint64_t category_inverted, category_mask, category_anyof_mask, return_mask;
};
#define PAGEMAP_SCAN_ABI   _IOWR('f', 16, struct pm_scan_arg_abi)
#define SCAN_WP_MATCHING   1u
#define SCAN_CHECK_WPASYNC 2u
#define PAGE_WPALLOWED     1u
#define PAGE_WRITTEN       2u

int uffd_setup(int uffd, bool removals)
{
	struct uffdio_api a = { .api = UFFD_API, .features = FEATURES | (removals ? UFFD_FEATURE_EVENT_REMOVE : 0) };

	return ioctl(uffd, UFFDIO_API, &a) < 0 ? -errno : 0;
}

int uffd_setup_removals(int uffd)
{
	struct uffdio_api a = { .api = UFFD_API, .features = FEATURE_WP_HUGETLBFS_SHMEM | UFFD_FEATURE_EVENT_REMOVE };

	return ioctl(uffd, UFFDIO_API, &a) < 0 ? -errno : 0;
}

int uffd_removal(int uffd, uint64_t *ret_start, uint64_t *ret_end)
{
	struct uffd_msg m;
	ssize_t n;

	do
		n = read(uffd, &m, sizeof(m));
	while (n < 0 && errno == EINTR);
	if (n < 0)
		return errno == EAGAIN ? 0 : -errno;
	if (n != sizeof(m) || m.event != UFFD_EVENT_REMOVE)
		return -EPROTO;
	*ret_start = m.arg.remove.start;
	*ret_end = m.arg.remove.end;
	return 1;
}

int uffd_register(int uffd, uint64_t start, uint64_t end)
{
	struct uffdio_register r = { .range = { .start = start, .len = end - start }, .mode = UFFDIO_REGISTER_MODE_WP };

	return ioctl(uffd, UFFDIO_REGISTER, &r) < 0 ? -errno : 0;
}

static void count_range(void *arg, uint64_t start, uint64_t end)
{
	*(uint64_t *)arg += (end - start) / PAGE_BYTES;
}

/* A page of our own, protected, written, found. */
static int probe_page(struct uffd_scan *s, int uffd, int pagemap, volatile uint8_t *page)
{
	uint64_t at = (uint64_t)(uintptr_t)page, n = 0;

	page[0] = 1;
	int r = uffd_register(uffd, at, at + PAGE_BYTES);
	for (int i = 0; i < 3 && !r; i++) {
		n = 0;
		r = uffd_scan(s, pagemap, at, at + PAGE_BYTES, UFFD_WRITTEN, count_range, &n);
		if (!r && n != (i != 1))
			r = -EPROTO; /* found at first and after the write below, and not between */
		if (i == 1)
			page[0] = 2;
	}
	return r;
}

int uffd_probe(struct err *err)
{
	_cleanup_close_ int uffd = (int)syscall(SYS_userfaultfd, UFFD_USER_MODE_ONLY | O_CLOEXEC | O_NONBLOCK);

	if (uffd < 0)
		return err_sys(err, errno == EPERM ? EPERM : ENOTSUP, "this host's kernel gives no userfaultfd (%s)",
		               strerror(errno));
	int r = uffd_setup(uffd, true);
	if (r < 0)
		return err_set(
			err, ENOTSUP,
			"this host's kernel has no asynchronous write-protection (Linux 6.7 or later is needed)");
	_cleanup_close_ int pagemap = open("/proc/self/pagemap", O_RDONLY | O_CLOEXEC);
	/* a process that gave up root may not read its own; kernels that have the one have the other */
	if (pagemap < 0)
		return errno == EACCES ? 0 : err_sys(err, errno, "cannot open /proc/self/pagemap");
	void *page = mmap(NULL, PAGE_BYTES, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	if (page == MAP_FAILED)
		return err_sys(err, errno, "cannot try out write-protection");
	struct uffd_scan *s = calloc(1, sizeof(*s));
	r = s ? probe_page(s, uffd, pagemap, page) : -ENOMEM;
	free(s);
	munmap(page, PAGE_BYTES);
	return r ? err_set(err, ENOTSUP, "this host's kernel has no working PAGEMAP_SCAN (%s)", strerror(-r)) : 0;
}

int uffd_scan(struct uffd_scan *s, int pagemap, uint64_t start, uint64_t end, enum uffd_what what,
              void (*fn)(void *arg, uint64_t start, uint64_t end), void *arg)
{
	while (start < end) {
		struct pm_scan_arg_abi a = { .size = sizeof(a),
			                     .start = start,
			                     .end = end,
			                     .walk_end = start,
			                     .vec = (uint64_t)(uintptr_t)s->vec,
			                     .vec_len = UFFD_VEC_MAX };
		if (what == UFFD_WRITTEN) {
			/* exactly this makes the kernel look at empty table entries as well */
			a.flags = SCAN_WP_MATCHING | SCAN_CHECK_WPASYNC;
			a.category_mask = a.return_mask = PAGE_WRITTEN;
		} else {
			a.category_inverted = a.category_mask = a.return_mask = PAGE_WPALLOWED;
		}
		long n = ioctl(pagemap, PAGEMAP_SCAN_ABI, &a);
		int e = n < 0 ? errno : 0;
		/*
		 * A scan that fails half-way has protected pages already, tells how many only by what it wrote into the
		 * vector: hence the vector is kept zero.
		 */
		for (size_t i = 0; i < UFFD_VEC_MAX && s->vec[i].end; i++) {
			fn(arg, s->vec[i].start, s->vec[i].end);
			s->vec[i] = (struct page_region_abi){ 0 };
		}
		if (e)
			return -e;
		if (a.walk_end <= start)
			return -EIO;
		start = a.walk_end;
	}
	return 0;
}
