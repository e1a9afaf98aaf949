/* SPDX-License-Identifier: GPL-2.0-or-later */
/* VMA lists of a process with known mappings: by query and by text they are the same. */
#include "config.h"
#include "tests/unit/testutil.h"

#include <fcntl.h>
#include <signal.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include "common/util.h"
#include "hypervisor/pv/maps.h"

#define AT 0x300000000000ull

/* A child that holds still, so that two looks at it see the same. */
static pid_t subject(void)
{
	int p[2];
	char c;

	assert_int_equal(pipe(p), 0);
	pid_t pid = fork();
	if (pid == 0) {
		int fd = memfd_create("subject", 0);
		if (fd < 0 || ftruncate(fd, 1 << 20) < 0 ||
		    mmap((void *)AT, 8192, PROT_READ, MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED, -1, 0) == MAP_FAILED ||
		    mmap((void *)(AT + 0x10000), 4096, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_FIXED, fd, 0x5000) ==
		            MAP_FAILED ||
		    mmap((void *)(AT + 0x11000), 4096, PROT_READ | PROT_EXEC, MAP_PRIVATE | MAP_FIXED, fd, 0x9000) ==
		            MAP_FAILED)
			_exit(1);
		for (uint64_t i = 0; i < 600; i++) /* more than the list's first room */
			if (mmap((void *)(AT + 0x100000 + i * 8192), 4096, PROT_NONE,
			         MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED, -1, 0) == MAP_FAILED)
				_exit(1);
		if (write(p[1], "x", 1) != 1)
			_exit(1);
		for (;;)
			pause();
	}
	assert_true(pid > 0);
	close(p[1]);
	assert_int_equal(read(p[0], &c, 1), 1);
	close(p[0]);
	return pid;
}

static void end(pid_t pid)
{
	kill(pid, SIGKILL);
	waitpid(pid, NULL, 0);
}

struct seen {
	unsigned n, stacks, memfds, nameless;
};

static void on_name(void *arg, const struct vma *v, const char *name)
{
	struct seen *s = arg;

	s->n++;
	s->stacks += !strcmp(name, "[stack]\0") || !strncmp(name, "[stack]", 7);
	s->memfds += strstr(name, "memfd:subject") && v->flags & VMA_FILE;
	s->nameless += !*name;
}

static void same_both_ways(void **state)
{
	struct vma_list q = { 0 }, t = { 0 }, f = { 0 };
	struct seen seen = { 0 };
	struct err err;
	pid_t pid = subject();
	char path[64];
	(void)state;

	assert_int_equal(vma_list_read(&q, pid, UINT64_MAX, NULL, NULL, &err), 0);
	assert_int_equal(vma_list_read(&t, pid, UINT64_MAX, on_name, &seen, &err), 0);
	snprintf(path, sizeof(path), "/proc/%d/maps", pid);
	_cleanup_close_ int fd = open(path, O_RDONLY | O_CLOEXEC);
	assert_int_equal(vma_list_read_fd(&f, fd, UINT64_MAX), 0);
	assert_int_equal(vma_list_read_fd(&f, fd, UINT64_MAX), 0); /* again with the same descriptor */
	/* the vsyscall page is in the text only */
	if (t.n && t.v[t.n - 1].start >= 1ull << 63)
		t.n--;
	if (q.n && q.v[q.n - 1].start >= 1ull << 63)
		q.n--;
	if (f.n && f.v[f.n - 1].start >= 1ull << 63)
		f.n--;
	assert_true(q.n > 610);
	assert_int_equal(q.n, t.n);
	assert_int_equal(q.n, f.n);
	assert_true(seen.n >= t.n && seen.memfds == 2 && seen.stacks == 1 && seen.nameless >= 600);
	for (size_t i = 0; i < q.n; i++) {
		assert_memory_equal(&q.v[i], &f.v[i], sizeof(q.v[i]));
		assert_int_equal(q.v[i].start, t.v[i].start);
		assert_int_equal(q.v[i].end, t.v[i].end);
		assert_int_equal(q.v[i].flags, t.v[i].flags);
		assert_int_equal(q.v[i].offset, t.v[i].offset);
		assert_int_equal(q.v[i].inode, t.v[i].inode);
		assert_int_equal(q.v[i].dev, t.v[i].dev);
		assert_true(!i || q.v[i].start >= q.v[i - 1].end);
	}
	vma_list_done(&q);
	vma_list_done(&t);
	vma_list_done(&f);
	end(pid);
}

static void known_mappings(void **state)
{
	struct vma_list l = { 0 };
	struct err err;
	pid_t pid = subject();
	const struct vma *v = NULL;
	(void)state;

	for (int text = 0; text < 2; text++) {
		struct seen seen = { 0 };
		assert_int_equal(vma_list_read(&l, pid, AT + 0x100000, text ? on_name : NULL, &seen, &err), 0);
		for (size_t i = 0; i < l.n; i++)
			if (l.v[i].start == AT)
				v = &l.v[i];
		assert_non_null(v);
		assert_int_equal(v - l.v + 3, l.n); /* the limit cuts the rest off */
		assert_int_equal(v[0].end, AT + 8192);
		assert_int_equal(v[0].flags, VMA_READ);
		assert_int_equal(v[0].inode, 0);
		assert_int_equal(v[1].flags, VMA_READ | VMA_WRITE | VMA_SHARED | VMA_FILE);
		assert_int_equal(v[1].offset, 0x5000);
		assert_true(v[1].inode != 0);
		assert_int_equal(v[2].flags, VMA_READ | VMA_EXEC | VMA_FILE);
		assert_int_equal(v[2].inode, v[1].inode);
		assert_int_equal(v[2].dev, v[1].dev);
	}
	vma_list_done(&l);
	end(pid);
}

static void gone(void **state)
{
	struct vma_list l = { 0 };
	struct err err = { 0 };
	pid_t pid = subject();
	char path[64];
	(void)state;

	snprintf(path, sizeof(path), "/proc/%d/maps", pid);
	_cleanup_close_ int fd = open(path, O_RDONLY | O_CLOEXEC);
	end(pid);
	int r = vma_list_read_fd(&l, fd, UINT64_MAX);
	assert_true(r == -ESRCH || (r == 0 && l.n == 0));
	assert_int_equal(vma_list_read(&l, pid, UINT64_MAX, NULL, NULL, &err), -ENOENT);
	assert_non_null(strstr(err.text, path));
	vma_list_done(&l);
}

static void no_memory(void **state)
{
	struct err err;
	pid_t pid = subject();
	int r = 0;
	(void)state;

	for (int text = 0; text < 2; text++) {
		struct seen seen = { 0 };
		struct vma_list l = { 0 };
		FOR_EACH_ALLOC_FAILURE(r = vma_list_read(&l, pid, UINT64_MAX, text ? on_name : NULL, &seen, &err))
		{
			vma_list_done(&l);
			assert_int_equal(r, alloc_failed ? -ENOMEM : 0);
		}
	}
	end(pid);
}

int main(void)
{
	static const struct CMUnitTest tests[] = {
		cmocka_unit_test(same_both_ways),
		cmocka_unit_test(known_mappings),
		cmocka_unit_test(gone),
		cmocka_unit_test(no_memory),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
