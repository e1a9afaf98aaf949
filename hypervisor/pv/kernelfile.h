/* SPDX-License-Identifier: GPL-2.0-or-later */
/* The files a user-mode kernel is made of (itself, libc, its loader): opened, identified by content, and looked into. */
#ifndef HOSPES_PV_KERNELFILE_H
#define HOSPES_PV_KERNELFILE_H

#include "hypervisor/pv/image.h"

struct pv_files {
	struct pv_file file[PV_FILES_MAX];  /* paths owned */
	int fd[PV_FILES_MAX];               /* owned */
	size_t n;
	uint64_t segv_handler;              /* stub_segv_handler's address in STUB_CODE */
};

/* Open and identify @kernel and what it loads. -ENOEXEC: not a user-mode kernel that Hospes knows (the text says why). */
int pv_files_open(struct pv_files *f, const char *kernel, struct err *err) _must_check_;
void pv_files_done(struct pv_files *f);
/* The stub page's segv handler in the octets of a kernel file, 8-octet aligned. -ENOEXEC. Open does this; here for tests. */
int pv_kernel_look(const uint8_t *p, size_t len, uint64_t *ret_handler) _must_check_;
/* Are the files of an image these very ones? The text names the first that differs. */
int pv_files_match(const struct pv_files *f, const struct pv_image *im, struct err *err) _must_check_;
/* One identity over all of them, in hex. */
void pv_files_id(const struct pv_files *f, char out[40]);

#endif
