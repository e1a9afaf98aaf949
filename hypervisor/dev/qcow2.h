/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * A qcow2 image, with what it stands on, as a disk: it takes the requests that blkio takes, at offsets of the virtual
 * disk. Reads and writes of what is allocated go to blkio as they are; whatever needs more of the image's tables than
 * memory has is done by blkio's worker. ADR 81.
 *
 * The tables in memory are this host's from qcow2_own() to qcow2_disown(); in between nobody else may write the image.
 * Other hosts see what the guest wrote only after qcow2_sync(). Threading: the io thread, except where a function says
 * otherwise.
 */
#ifndef HOSPES_HYPERVISOR_DEV_QCOW2_H
#define HOSPES_HYPERVISOR_DEV_QCOW2_H

#include <stdbool.h>
#include <stdint.h>
#include "common/err.h"
#include "hypervisor/api/imgchain.h"
#include "hypervisor/dev/blkio.h"

struct qcow2;

struct qcow2_opts {
	const char *what;    /* begins texts ("disk vda"), borrowed */
	struct blkio *blkio; /* borrowed */
	bool writable;
	bool direct; /* the image is open with O_DIRECT */
	bool dsync;  /* nothing waits in this host's page cache */
	bool punch;  /* give the space of clusters that the guest discards back to the file system */
};

/* Takes over @chain, whose first image is qcow2; on failure it stays the caller's. No table is read. */
int qcow2_new(struct imgchain *chain, const struct qcow2_opts *o, struct qcow2 **ret, struct err *err) _must_check_;
void qcow2_free(struct qcow2 *q); /* takes NULL; no request is under way. Writes nothing */
uint64_t qcow2_size(const struct qcow2 *q); /* of the virtual disk, octets */
uint64_t qcow2_cluster(const struct qcow2 *q); /* octets of a cluster */

/*
 * Lock the images below (shared) and read the tables anew. The caller has locked the image itself. Any thread, blocks.
 * -EAGAIN: one of those below is locked; -EINVAL: damaged; -ESTALE: not the image that was opened, or a lease is over.
 */
int qcow2_own(struct qcow2 *q, struct err *err) _must_check_;
void qcow2_disown(struct qcow2 *q); /* forget the tables, unlock; later requests fail. Any thread */
/* Write what only memory knows, and all data, to stable storage. 0, -errno. Any thread, blocks. */
int qcow2_sync(struct qcow2 *q) _must_check_;
/*
 * Make the disk @bytes octets large, durably; it is ours, and writable. -EINVAL: it would shrink; -EOPNOTSUPP: the image has internal
 * snapshots; -EFBIG: its L1 table would be too large. Any thread but the io thread, blocks.
 */
int qcow2_grow(struct qcow2 *q, uint64_t bytes) _must_check_;
/* There is something that only memory knows. Any thread. */
bool qcow2_dirty(const struct qcow2 *q);

/*
 * As blkio_submit(); blkio_kick() is the caller's. done() is never called from here. Besides blkio's errors: -EUCLEAN:
 * the image is damaged there; -EPERM: it is not ours now.
 */
void qcow2_submit(struct qcow2 *q, struct blkio_req *r);

#endif
