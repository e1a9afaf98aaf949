/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Leases: the durable record of a domain's owner (docs/wire/lease.md). One stands beside each writable disk image (`IMAGE.lease`), where
 * every host that sees the image sees it; one is local (`<state>/leases/UUID`). The first disk's lease decides. A domain without writable
 * file disks has the local one only. Only the holder of the image's lock writes, to the two slots in turn (hypervisor/api/leaserec.h): a
 * crash at any point leaves the older or the newer record.
 */
#ifndef HOSPES_HYPERVISOR_LEASE_H
#define HOSPES_HYPERVISOR_LEASE_H

#include <stdbool.h>
#include "common/err.h"
#include "common/cleanup.h"
#include "clusterd/guard/deadline.h"
#include "hypervisor/api/domcfg.h"
#include "hypervisor/api/leaserec.h"

struct leases {
	int fd[DOM_DISKS_MAX + 1];       /* owned; [0] decides */
	char *path[DOM_DISKS_MAX + 1];   /* owned */
	size_t n;
	uint64_t seq[DOM_DISKS_MAX + 1]; /* of the newest record in each file */
	bool shared;                     /* [0] stands beside a disk */
	char uuid[40];                   /* the domain's */
	const struct deadline_page *deadline; /* of this host's lease in the cluster: past it nothing is written. Borrowed; NULL: none */
};

/* Open or create all leases of @cfg. Call with privileges; the files become @uid's. On failure nothing is open. */
int leases_open(struct leases *l, const struct dom_config *cfg, uid_t uid, struct err *err) _must_check_;
void leases_done(struct leases *l);
/*
 * The lease beside one disk, @path (copied) behind @fd (owned from now on, also on failure): *@ret is as the leases of a domain that has
 * no other, not even the local one.
 */
int leases_of_one(struct leases *ret, const struct leases *of, const char *path, int fd, struct err *err) _must_check_;
/* Make @one's lease number @at of @l; @one is empty then. There is room: a domain has at most DOM_DISKS_MAX disks. */
void leases_put_in(struct leases *l, size_t at, struct leases *one);
/* The other way. False: @path is none of them; or it is the one that decides, beside a disk, and there are others of that kind. */
bool leases_take_out(struct leases *l, const char *path, struct leases *ret_one);
/* The disks stand for themselves: "no record". The image's lock is held, and what was written to it is stable. */
int leases_clear(struct leases *l, struct err *err) _must_check_;
/* Read the lease that decides. No record yet: zeros, LEASE_NONE. -EINVAL: the file is another domain's, or holds no lease. */
int leases_read(struct leases *l, struct lease_record *ret, struct err *err) _must_check_;
/* 0: every lease says exactly @rec. -ESTALE: one says something else or is damaged. Other errors: one cannot be read now. */
int leases_check(struct leases *l, const struct lease_record *rec, struct err *err) _must_check_;
/* Write @rec to every lease, durably. After a failure some may have been written: their generation shows it. */
int leases_write(struct leases *l, const struct lease_record *rec, struct err *err) _must_check_;

#endif
