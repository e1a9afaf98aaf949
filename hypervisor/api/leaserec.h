/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The format of a lease file: two slots of 512 octets, each a record with a checksum; the valid record that was written
 * last counts. See docs/wire/lease.md. Only hvdom writes leases (hypervisor/lease.h); programs that have to know the
 * owner of a domain read them. No state; any thread.
 */
#ifndef HOSPES_HYPERVISOR_LEASEREC_H
#define HOSPES_HYPERVISOR_LEASEREC_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include "common/cleanup.h"
#include "hypervisor/api/domcfg.h"
#include "hypervisor/api/hypercall.h"

#define LEASEREC_SLOT  512u
#define LEASEREC_BYTES (2 * LEASEREC_SLOT)

enum lease_state { LEASE_NONE, LEASE_STOPPED, LEASE_RUNNING, LEASE_SAVED };

struct lease_record {
	uint64_t generation;
	char owner[HV_NAME_MAX]; /* host; empty: nobody yet */
	enum lease_state state;
};

/* One slot. */
struct leaserec {
	uint64_t seq;            /* counts writes of the file; the record is in slot seq mod 2 */
	char uuid[40];           /* of the domain */
	struct lease_record rec;
};

const char *lease_state_name(enum lease_state state);

/* Write @l as octets, padded with NUL. */
void leaserec_format(const struct leaserec *l, char ret_slot[LEASEREC_SLOT]);
/* False: @slot is empty, torn, or of a later version. */
bool leaserec_parse(const char slot[LEASEREC_SLOT], struct leaserec *ret) _must_check_;
/*
 * Find the valid records in a file's @octets, the newer first in @ret. Returns how many there are; 0: the file is
 * empty.
 * -EINVAL: the file is damaged; -EXDEV: a record belongs to another domain than @uuid, and is in @ret[0].
 */
int leaserec_pick(const char octets[LEASEREC_BYTES], const char *uuid, struct leaserec ret[2]) _must_check_;
/* The same for an open file, read from its beginning; also returns the -errno of reading. */
int leaserec_read(int fd, const char *uuid, struct leaserec ret[2]) _must_check_;

/* The paths, malloc'd: of the lease beside the image of @k (NULL: such a disk has none), and of a domain's lease here. */
char *leaserec_path_beside(const struct dom_disk *k);
char *leaserec_path_local(const char *uuid);

#endif
