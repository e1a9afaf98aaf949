/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Leases: the durable record of who owns a domain. One beside each writable disk image (`IMAGE.lease`, so every host that
 * sees the image sees it), one local (`<state>/leases/UUID`). The first disk's lease is the truth; a domain without writable
 * file disks has only the local one. Written only by the holder of the image's lock, one slot in turn (hypervisor/api/leaserec.h):
 * a crash at any point leaves the older or the newer record. docs/wire/lease.md.
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
	int fd[DOM_DISKS_MAX + 1];  /* owned; [0] is the truth */
	char *path[DOM_DISKS_MAX + 1];
	size_t n;
	uint64_t seq[DOM_DISKS_MAX + 1];
	bool shared;                /* [0] stands beside a disk */
	char uuid[40];
	const struct deadline_page *deadline; /* of this host's lease in the cluster, borrowed; NULL: none. Nothing is written past it */
};

/* Open (and create) all leases of @cfg; call with privileges and hand the files to @uid. */
int leases_open(struct leases *l, const struct dom_config *cfg, uid_t uid, struct err *err) _must_check_;
void leases_done(struct leases *l);
/* The truth now. A file of another domain, or octets that are no lease: -EINVAL. No record yet: zeroes, LEASE_NONE. */
int leases_read(struct leases *l, struct lease_record *ret, struct err *err) _must_check_;
/* Does every lease say exactly @rec? -ESTALE: one does not, or is none any more; another error: one cannot be read now. */
int leases_check(struct leases *l, const struct lease_record *rec, struct err *err) _must_check_;
/* Write @rec to every lease, durably. On failure some may be written; the generation tells. */
int leases_write(struct leases *l, const struct lease_record *rec, struct err *err) _must_check_;

#endif
