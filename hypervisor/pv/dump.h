/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Read the state of a frozen guest into an image. The guest stays as it is, except that signals may become pending for K. Main thread. */
#ifndef HOSPES_PV_DUMP_H
#define HOSPES_PV_DUMP_H

#include "hypervisor/pv/freeze.h"
#include "hypervisor/pv/image.h"

struct devs;

/* The descriptors of K: from pv_fds_learn() after a boot, from restore.c after a restore. */
struct pv_fds {
	struct pv_fd fd[PV_FDS_MAX];
	size_t n;
	int32_t ep_fd; /* K's epoll descriptor */
};

struct pv_dump_ctx {
	int k_pidfd;                /* of K */
	int pidns_fd;               /* the guest's pid namespace, -1: use /proc */
	const struct pv_fds *fds;
	const struct pv_file *file; /* the files K has mapped, with their ids */
	const char (*file_link)[256];   /* as /proc/K/maps names them, NULL: equal to file[].path */
	size_t n_files;
	uint64_t mem_inode;         /* of the memory region's file */
	uint64_t mem_bytes;
	uint64_t segv_handler;
	int64_t mono_offset_ns;     /* of the guest's time namespace */
};

/* Fill @im; pv_image_done() frees it. On failure it is empty. -ENOTSUP: the guest has something that Hospes does not know. */
int pv_dump(const struct pv_dump_ctx *c, const struct pv_frozen *f, struct pv_image *im, struct err *err) _must_check_;

/*
 * Right after a boot, frozen: find out what each descriptor of K is. @con_inode, @err_inode: of K's ends of hvdom's sockets. *ret_mem_fd:
 * K's memory file, owned by the caller. -ENOTSUP: @err names a descriptor that Hospes does not know.
 */
int pv_fds_learn(struct pv_fds *fds, const struct pv_frozen *f, int k_pidfd, uint64_t con_inode, uint64_t err_inode,
                 uint64_t *ret_mem_inode, int *ret_mem_fd, struct devs *devs, struct err *err) _must_check_;

#endif
