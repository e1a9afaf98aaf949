/* SPDX-License-Identifier: GPL-2.0-or-later */
/* The VMAs of a process, by PROCMAP_QUERY (kernel 6.11) or the text of /proc/PID/maps. */
#ifndef HOSPES_PV_MAPS_H
#define HOSPES_PV_MAPS_H

#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>
#include "common/cleanup.h"
#include "common/err.h"

enum vma_flags {
	VMA_READ = 1, VMA_WRITE = 2, VMA_EXEC = 4, VMA_SHARED = 8,
	VMA_FILE = 16,      /* backed by a file: inode is not 0 */
};

struct vma {
	uint64_t start, end;    /* octets, page aligned */
	uint64_t offset;        /* in the file */
	uint64_t inode;
	uint32_t dev;           /* major << 20 | minor */
	uint32_t flags;         /* enum vma_flags */
};

struct vma_list {
	struct vma *v;          /* owned, ascending */
	size_t n, cap;
};

/*
 * Read the VMAs of @pid that begin below @limit into @l, which is emptied first and keeps its memory. @names is called for each VMA with
 * its path or [name], "": none; without it (NULL) reading is faster.
 */
int vma_list_read(struct vma_list *l, pid_t pid, uint64_t limit,
                  void (*names)(void *arg, const struct vma *v, const char *name), void *arg, struct err *err) _must_check_;
/* The same from @fd, an open /proc/PID/maps, which stays with its address space. -ESRCH, or an empty list: that is gone. */
int vma_list_read_fd(struct vma_list *l, int fd, uint64_t limit) _must_check_;
void vma_list_done(struct vma_list *l);

#endif
