/* SPDX-License-Identifier: GPL-2.0-or-later */
/* The files of a user-mode kernel (itself, libc, the dynamic loader): opens and identifies them by content, and finds an address. */
#ifndef HOSPES_PV_KERNELFILE_H
#define HOSPES_PV_KERNELFILE_H

#include "hypervisor/pv/image.h"

struct pv_files {
	struct pv_file file[PV_FILES_MAX];  /* paths owned */
	int fd[PV_FILES_MAX];               /* owned */
	size_t n;
	uint64_t segv_handler;              /* address of stub_segv_handler() in PV_STUB_CODE */
};

/* Open and identify @kernel and the files that it loads. -ENOEXEC: no user-mode kernel that Hospes knows; @err says why. */
int pv_files_open(struct pv_files *f, const char *kernel, struct err *err) _must_check_;
void pv_files_done(struct pv_files *f);
/* Find the segv handler in a kernel file, @len octets at @p (8-octet aligned). -ENOEXEC. Part of pv_files_open(), public for tests. */
int pv_kernel_look(const uint8_t *p, size_t len, uint64_t *ret_handler) _must_check_;
/* 0: the image's files are the same as these, by content. -EXDEV: @err names the first that differs. */
int pv_files_match(const struct pv_files *f, const struct pv_image *im, struct err *err) _must_check_;
/* One identity of all the files together, in hex. */
void pv_files_id(const struct pv_files *f, char out[40]);

#endif
