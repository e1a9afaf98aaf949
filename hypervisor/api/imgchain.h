/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * A disk's image with the images below it: a qcow2 image may stand on a backing file, and that on another. Only headers
 * are read here; hypervisor/dev/qcow2.h serves what is in them. Each file is opened by pathopen.h's rules, whoever
 * named it. Blocks on storage.
 */
#ifndef HOSPES_HYPERVISOR_IMGCHAIN_H
#define HOSPES_HYPERVISOR_IMGCHAIN_H

#include <stdbool.h>
#include <stddef.h>
#include "common/pathopen.h"
#include "hypervisor/api/domcfg.h"
#include "hypervisor/api/qcow2head.h"

#define IMGCHAIN_MAX 16u /* images, the disk's own among them */

struct img_member {
	char *path; /* owned */
	int fd;     /* owned; only the first is open for writing, if the disk is */
	enum dom_disk_format format;
	uint64_t file_bytes;    /* when it was opened */
	uint64_t size;          /* of the disk that it holds, octets */
	struct qcow2_head head; /* qcow2 */
};

struct imgchain {
	struct img_member m[IMGCHAIN_MAX]; /* the disk's own first */
	unsigned n;
};

/*
 * Open the images of @k (its source, and what that stands on). @rules NULL: any path. @what begins texts ("disk vda").
 * On failure *@ret is empty. -EINVAL: damaged; -ENOTSUP; -ELOOP: a loop, or too long; as path_open(). The text names
 * the image.
 */
int imgchain_open(const struct path_rules *rules, const struct dom_disk *k, const char *what, struct imgchain *ret,
                  struct err *err) _must_check_;
/*
 * The same with descriptors that somebody opened who may: those of @fd (@n of them), in the order of the chain. The ones that are used
 * become -1 there. -EINVAL: they are too few, or more than the chain has images.
 */
int imgchain_take(int *fd, size_t n, const struct dom_disk *k, const char *what, struct imgchain *ret, struct err *err) _must_check_;
void imgchain_done(struct imgchain *c);
/* The size of the file or block device behind @fd. */
int img_file_bytes(int fd, uint64_t *ret) _must_check_;
/* Read the header of the qcow2 image @path behind @fd. @what as above. */
int img_read_head(int fd, const char *path, const char *what, uint64_t *ret_file_bytes, struct qcow2_head *ret,
                  struct err *err) _must_check_;

#endif
