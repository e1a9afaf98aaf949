/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * See deadline.h. Two slots, and a count whose last bit says which of them holds: the writer fills the other one, then counts on. A reader
 * takes what the count names and looks whether it went on in between; a writer that dies half way leaves what was said before.
 */
#include "config.h"
#include "clusterd/guard/deadline.h"

#include <errno.h>
#include <fcntl.h>
#include <stdatomic.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include "common/util.h"

#define PAGE_MAGIC   0x31656e696c646544ull /* "Deadline1", as far as it fits */
#define PAGE_VERSION 1u
#define TRIES        100u

struct page {
	_Atomic uint64_t magic;
	uint32_t version, bytes;
	char boot_id[DEADLINE_BOOT_ID]; /* of the kernel whose clocks these are */
	_Atomic uint64_t count;
	struct {
		_Atomic uint64_t boot_ns, tsc;
	} slot[2];
};
_Static_assert(sizeof(struct page) == 96, "docs/fencing.md");

uint64_t deadline_now_ns(const struct moment *deadline, uint64_t before_ns, uint64_t before_ticks)
{
	struct moment now = moment_now();
	uint64_t at_least = 0;

	if (moment_over(deadline, &now))
		at_least = deadline->boot_ns;
	else if (deadline->tsc && now.tsc + before_ticks >= deadline->tsc)
		at_least = deadline->boot_ns > before_ns ? deadline->boot_ns - before_ns : 0;
	return now.boot_ns > at_least ? now.boot_ns : at_least;
}

struct deadline_page {
	struct page *at; /* mapped, PAGE_BYTES */
};

static char *page_path(void)
{
	return xasprintf("%s/cluster/deadline.page", path_run());
}

bool deadline_boot_id(char ret[DEADLINE_BOOT_ID])
{
	_cleanup_free_ char *text = NULL;

	memset(ret, 0, DEADLINE_BOOT_ID);
	if (file_read("/proc/sys/kernel/random/boot_id", 64, &text, NULL) < 0)
		return false;
	text[strcspn(text, "\n")] = 0;
	snprintf(ret, DEADLINE_BOOT_ID, "%s", text);
	return true;
}

static bool is_sound(const struct page *p)
{
	char id[DEADLINE_BOOT_ID];

	return atomic_load(&p->magic) == PAGE_MAGIC && p->version == PAGE_VERSION && p->bytes == sizeof(*p) &&
	       deadline_boot_id(id) && !memcmp(id, p->boot_id, sizeof(id));
}

static int map(int fd, int prot, struct deadline_page **ret)
{
	void *at = mmap(NULL, PAGE_BYTES, prot, MAP_SHARED, fd, 0);
	struct deadline_page *p = at == MAP_FAILED ? NULL : calloc(1, sizeof(*p));

	if (at == MAP_FAILED)
		return -errno;
	if (!p) {
		munmap(at, PAGE_BYTES);
		return -ENOMEM;
	}
	p->at = at;
	*ret = p;
	return 0;
}

int deadline_page_make(const struct moment *at, struct deadline_page **ret, struct err *err)
{
	_cleanup_free_ char *path = page_path();
	_cleanup_close_ int fd = open(path, O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0600);
	struct deadline_page *p = NULL;
	int r = fd < 0 || ftruncate(fd, PAGE_BYTES) < 0 ? -errno : map(fd, PROT_READ | PROT_WRITE, &p);

	if (r < 0)
		return err_sys(err, r, "make %s", path);
	if (!is_sound(p->at)) {
		atomic_store(&p->at->magic, 0);
		p->at->version = PAGE_VERSION;
		p->at->bytes = sizeof(*p->at);
		(void)deadline_boot_id(p->at->boot_id);
		deadline_page_set(p, &(struct moment){ 0 });
		atomic_store(&p->at->magic, PAGE_MAGIC);
	}
	deadline_page_set(p, at);
	*ret = p;
	return 0;
}

void deadline_page_set(struct deadline_page *p, const struct moment *at)
{
	uint64_t next = atomic_load_explicit(&p->at->count, memory_order_relaxed) + 1;

	atomic_store_explicit(&p->at->slot[next & 1].boot_ns, at->boot_ns, memory_order_relaxed);
	atomic_store_explicit(&p->at->slot[next & 1].tsc, at->tsc, memory_order_relaxed);
	atomic_store_explicit(&p->at->count, next, memory_order_release);
	/* the next call writes to the slot that held until now: not before everybody may know */
	atomic_thread_fence(memory_order_seq_cst);
}

static bool is_of_cluster(const char *name)
{
	_cleanup_free_ char *path = xasprintf("%s/cluster/managed/%s", path_run(), name);
	struct stat st;

	return lstat(path, &st) == 0 || (errno != ENOENT && errno != ENOTDIR);
}

int deadline_page_of(const char *name, struct deadline_page **ret, struct err *err)
{
	_cleanup_free_ char *path = page_path();
	struct deadline_page *p = NULL;
	struct stat st;

	*ret = NULL;
	if (!is_of_cluster(name))
		return 0;
	_cleanup_close_ int fd = open(path, O_RDONLY | O_CLOEXEC | O_NOFOLLOW);
	if (fd < 0 || fstat(fd, &st) < 0)
		return err_sys(
			err, errno,
			"domain '%s' is the cluster's, but until when it may run here is not to be learned from %s "
			"(systemctl restart hospes-guard)",
			name, path);
	int r = st.st_size < (off_t)PAGE_BYTES || (geteuid() == 0 && st.st_uid != 0) ? -EINVAL : map(fd, PROT_READ, &p);
	if (r == 0 && !is_sound(p->at)) {
		deadline_page_free(p);
		r = -EINVAL;
	}
	if (r < 0)
		return err_sys(
			err, r,
			"%s, which says until when domain '%s' may run, is damaged (systemctl restart hospes-guard)",
			path, name);
	*ret = p;
	return 0;
}

void deadline_page_get(const struct deadline_page *p, struct moment *ret)
{
	const struct page *at = p->at;

	for (unsigned i = 0; i < TRIES; i++) {
		uint64_t count = atomic_load_explicit(&at->count, memory_order_acquire);

		ret->boot_ns = atomic_load_explicit(&at->slot[count & 1].boot_ns, memory_order_relaxed);
		ret->tsc = atomic_load_explicit(&at->slot[count & 1].tsc, memory_order_relaxed);
		atomic_thread_fence(memory_order_acquire);
		if (atomic_load_explicit(&at->count, memory_order_relaxed) == count &&
		    atomic_load_explicit(&at->magic, memory_order_relaxed) == PAGE_MAGIC)
			return;
	}
	*ret = (struct moment){ 0 };
}

bool deadline_page_over(const struct deadline_page *p)
{
	struct moment deadline, now;

	if (!p)
		return false;
	deadline_page_get(p, &deadline);
	now = moment_now();
	return moment_over(&deadline, &now);
}

void deadline_page_free(struct deadline_page *p)
{
	if (!p)
		return;
	munmap(p->at, PAGE_BYTES);
	free(p);
}
