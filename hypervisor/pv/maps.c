/* SPDX-License-Identifier: GPL-2.0-or-later */
/* VMA lists; see maps.h. PROCMAP_QUERY's layout is from include/uapi/linux/fs.h, not in Debian 12's headers. */
#include "config.h"
#include "hypervisor/pv/maps.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <unistd.h>

struct procmap_query_abi {
	uint64_t size, query_flags, query_addr;
	uint64_t vma_start, vma_end, vma_flags, vma_page_size, vma_offset, inode;
	uint32_t dev_major, dev_minor, vma_name_size, build_id_size;
	uint64_t vma_name_addr, build_id_addr;
};
#define PROCMAP_QUERY_ABI       _IOWR('f', 17, struct procmap_query_abi)
#define PQ_COVERING_OR_NEXT_VMA 0x10u

static struct vma *vma_list_add(struct vma_list *l)
{
	if (l->n == l->cap) {
		size_t cap = l->cap ? l->cap * 2 : 256;
		struct vma *v = reallocarray(l->v, cap, sizeof(*v));
		if (!v)
			return NULL;
		l->v = v;
		l->cap = cap;
	}
	return &l->v[l->n++];
}

void vma_list_done(struct vma_list *l)
{
	free(l->v);
	*l = (struct vma_list){ 0 };
}

/* -ENOTTY: the kernel has no PROCMAP_QUERY */
static int read_by_query(struct vma_list *l, int fd, uint64_t limit)
{
	uint64_t addr = 0;

	for (;;) {
		struct procmap_query_abi q = { .size = sizeof(q),
			                       .query_flags = PQ_COVERING_OR_NEXT_VMA,
			                       .query_addr = addr };
		if (ioctl(fd, PROCMAP_QUERY_ABI, &q) < 0)
			return errno == ENOENT ? 0 : -errno;
		if (q.vma_start >= limit)
			return 0;
		struct vma *v = vma_list_add(l);
		if (!v)
			return -ENOMEM;
		/* bits 0..3 of the query's flags are READ, WRITE, EXEC, SHARED as ours */
		*v = (struct vma){ .start = q.vma_start,
			           .end = q.vma_end,
			           .offset = q.vma_offset,
			           .inode = q.inode,
			           .dev = q.dev_major << 20 | q.dev_minor,
			           .flags = (uint32_t)(q.vma_flags & 15) };
		if (q.inode)
			v->flags |= VMA_FILE;
		addr = q.vma_end;
	}
}

static int parse_line(struct vma_list *l, char *line, uint64_t limit,
                      void (*names)(void *, const struct vma *, const char *), void *arg)
{
	unsigned long start, end, off, ino;
	unsigned int maj, min;
	char perm[5];
	int pos = 0;

	if (sscanf(line, "%lx-%lx %4s %lx %x:%x %lu %n", &start, &end, perm, &off, &maj, &min, &ino, &pos) < 7)
		return -EPROTO;
	if (start >= limit)
		return 1;
	struct vma *v = vma_list_add(l);
	if (!v)
		return -ENOMEM;
	*v = (struct vma){ .start = start, .end = end, .offset = off, .inode = ino, .dev = maj << 20 | min };
	v->flags = (perm[0] == 'r' ? VMA_READ : 0u) | (perm[1] == 'w' ? VMA_WRITE : 0u) |
	           (perm[2] == 'x' ? VMA_EXEC : 0u) | (perm[3] == 's' ? VMA_SHARED : 0u) | (ino ? VMA_FILE : 0u);
	if (names)
		names(arg, v, line + pos);
	return 0;
}

static int read_by_text(struct vma_list *l, int fd, uint64_t limit,
                        void (*names)(void *, const struct vma *, const char *), void *arg)
{
	char buf[65536];
	size_t have = 0;

	for (;;) {
		ssize_t n = read(fd, buf + have, sizeof(buf) - 1 - have);
		if (n < 0)
			return -errno;
		have += (size_t)n;
		buf[have] = 0;
		char *p = buf, *nl;
		while ((nl = memchr(p, '\n', have - (size_t)(p - buf)))) {
			*nl = 0;
			int r = parse_line(l, p, limit, names, arg);
			if (r)
				return r > 0 ? 0 : r;
			p = nl + 1;
		}
		have -= (size_t)(p - buf);
		memmove(buf, p, have);
		if (n == 0)
			return have ? -EPROTO : 0;
		if (have == sizeof(buf) - 1)
			return -EPROTO;
	}
}

int vma_list_read_fd(struct vma_list *l, int fd, uint64_t limit)
{
	l->n = 0;
	int r = read_by_query(l, fd, limit);
	if (r != -ENOTTY)
		return r;
	l->n = 0;
	return lseek(fd, 0, SEEK_SET) < 0 ? -errno : read_by_text(l, fd, limit, NULL, NULL);
}

int vma_list_read(struct vma_list *l, pid_t pid, uint64_t limit,
                  void (*names)(void *arg, const struct vma *v, const char *name), void *arg, struct err *err)
{
	char path[64];
	snprintf(path, sizeof(path), "/proc/%d/maps", pid);
	_cleanup_close_ int fd = open(path, O_RDONLY | O_CLOEXEC);
	if (fd < 0)
		return err_sys(err, errno, "cannot open %s", path);
	l->n = 0;
	int r = names ? -ENOTTY : read_by_query(l, fd, limit);
	if (r == -ENOTTY) {
		l->n = 0;
		r = read_by_text(l, fd, limit, names, arg);
	}
	return r ? err_sys(err, -r, "cannot read %s", path) : 0;
}
