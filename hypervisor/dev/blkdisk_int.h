/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * What all disks have in common, whatever asks for their data (vblk.c: a virtio driver; nblk.c: a controller of QEMU's): the image, its
 * lock, the way of a request to qcow2.c or blkio.c, ages, the size as part of the state. Threading: the io thread; blkdisk_lock() to
 * blkdisk_writeback() and blkdisk_age_ns() on any.
 */
#ifndef HOSPES_HYPERVISOR_DEV_BLKDISK_INT_H
#define HOSPES_HYPERVISOR_DEV_BLKDISK_INT_H

#include <stdatomic.h>
#include "hypervisor/dev/blkio.h"
#include "hypervisor/dev/vdev_int.h"

#define BLKDISK_SECTOR 512u
#define BLKDISK_REQS   256u /* slots: more are never under way */

struct qcow2;

/* Begins a disk's own struct, so that a struct vdev of these devices is one of these, too. */
struct blkdisk {
	struct vdev v;
	struct dom_disk own;        /* a copy, with its texts */
	const struct dom_disk *cfg; /* that */
	struct qcow2 *q;            /* owned, NULL: the image is raw */
	int fd;                     /* owned, unless it is q's */
	char what[24];              /* "disk vda" */
	bool direct;                /* opened with O_DIRECT */
	bool write_through;         /* a write is on the disk when it is answered */
	bool network_fs;            /* another host may have changed what our page cache holds */
	uint64_t sectors, grown;    /* what the guest may use; what the image has after blkdisk_grow() */
	unsigned in_flight;
	/* when the request of a slot was handed on; the last one: of blkdisk_sync(); 0: not under way */
	_Atomic uint64_t since[BLKDISK_REQS + 1];
	atomic_int sync_err; /* errno of a failed blkdisk_sync() that the guest has not heard of, 0: none */
};

/* Open the image of @cfg, without locks; with @files, take it from them (devs.h). @err names it; blkdisk_close() in any case. */
int blkdisk_open(struct blkdisk *b, struct devs *d, const struct dom_disk *cfg, struct devs_files *files,
                 struct err *err) _must_check_;
void blkdisk_close(struct blkdisk *b);

/* Hand @io on, whose op, buffers, offset, bytes and done() are set. @slot: below BLKDISK_REQS, of no other request that is under way. */
void blkdisk_submit(struct blkdisk *b, struct blkio_req *io, unsigned slot);
/* First thing in done(): returns what became of it. */
int blkdisk_ended(struct blkdisk *b, const struct blkio_req *io, unsigned slot, int res) _must_check_;
/* Last thing in done(): were those that wait for a suspension waiting for this one? */
void blkdisk_settled(struct blkdisk *b);
bool blkdisk_in_range(const struct blkdisk *b, uint64_t sector, uint64_t sectors);
bool blkdisk_aligned(const struct iovec *iov, unsigned n); /* for O_DIRECT */
uint64_t blkdisk_cluster(const struct blkdisk *b);         /* octets, 0: the image has none */

/* The disk's part of a device record (docs/wire/devstate.md). -EINVAL: damaged, or of another disk. */
void blkdisk_save(const struct blkdisk *b, struct buf *out);
int blkdisk_load(const struct blkdisk *b, struct rd *in, struct err *err) _must_check_;

/* For the tables of ops, as vdev_int.h says. */
void blkdisk_stop(struct vdev *v);
int blkdisk_lock(struct vdev *v, struct err *err);
void blkdisk_unlock(struct vdev *v);
int blkdisk_sync(struct vdev *v, struct err *err);
bool blkdisk_dirty(const struct vdev *v);
void blkdisk_writeback(struct vdev *v);
int blkdisk_grow(struct vdev *v, uint64_t bytes, struct err *err);
/* On the io thread, after it: the disk has its new size. False: it has it already, the driver need not hear of it. */
bool blkdisk_grown(struct blkdisk *b);
unsigned blkdisk_in_flight(const struct vdev *v);
uint64_t blkdisk_age_ns(const struct vdev *v, uint64_t now);

#endif
