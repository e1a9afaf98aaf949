/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The header of a qcow2 image (QEMU's docs/interop/qcow2.txt, versions 2 and 3), checked: what hvdom cannot serve is
 * refused by its name. Pure; the octets may be hostile.
 */
#ifndef HOSPES_HYPERVISOR_QCOW2HEAD_H
#define HOSPES_HYPERVISOR_QCOW2HEAD_H

#include <stddef.h>
#include <stdint.h>
#include "common/cleanup.h"
#include "common/err.h"

#define QCOW2_HEAD_MAX      65536u /* octets of a file that hold header, extensions and the backing file's name */
#define QCOW2_NAME_MAX      1023u
#define QCOW2_FORMAT_MAX    15u
#define QCOW2_TABLE_MAX     (8u << 20) /* octets of an L1 table or a refcount table */
#define QCOW2_SIZE_AT       24u        /* ... the disk's size (u64) */
#define QCOW2_L1_AT         36u        /* ... entries (u32) and offset (u64) of the L1 table */
#define QCOW2_REFTABLE_AT   48u        /* where the header has offset (u64) and clusters (u32) of the refcount table */
#define QCOW2_AUTOCLEAR_AT  88u        /* version 3: features that a writer who does not know them has to clear */

struct qcow2_head {
	uint32_t version;
	unsigned cluster_bits; /* 12 to 21 */
	uint64_t size;         /* of the virtual disk, octets */
	uint64_t l1_at;        /* file offsets are multiples of the cluster size */
	uint32_t l1_entries;   /* that the disk's size needs; the table has them */
	uint64_t reft_at;
	uint32_t reft_clusters;
	uint64_t snapshots_at; /* 0: none */
	uint64_t autoclear;
	char backing[QCOW2_NAME_MAX + 1];          /* as written, empty: none */
	char backing_format[QCOW2_FORMAT_MAX + 1]; /* empty: not said */
};

/*
 * Read the first @len octets (at most QCOW2_HEAD_MAX are needed) of an image of @file_bytes octets. -EINVAL: no qcow2
 * image, or damaged; -ENOTSUP: something in it that is not supported. The text is the second half of a sentence: "it is
 * encrypted ...".
 */
int qcow2_head_parse(const void *p, size_t len, uint64_t file_bytes, struct qcow2_head *ret,
                     struct err *err) _must_check_;

/*
 * All octets of a new, empty image (version 3, clusters of 64 KiB) of a disk of @size octets; malloc'd, at most 9 MiB.
 * @backing: the path of the image that it stands on, as it is to be written, NULL: none; @backing_format: its format.
 * -EINVAL: @size is 0, too large or no multiple of 512, or the path is too long; -ENOMEM.
 */
int qcow2_head_make(uint64_t size, const char *backing, const char *backing_format, void **ret,
                    size_t *ret_len) _must_check_;

#endif
