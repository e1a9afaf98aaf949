/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * A lease's file: two slots of 512 octets, each a record with a checksum; the valid one that was written last counts. docs/wire/lease.md.
 * Written by hvdom alone (hypervisor/lease.h), read by whoever has to know who owns a domain. No state; any thread.
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
	uint64_t seq;            /* counts writes of the file; the record stands in slot seq mod 2 */
	char uuid[40];           /* of the domain */
	struct lease_record rec;
};

const char *lease_state_name(enum lease_state state);

/* The octets of @l, padded with NUL. */
void leaserec_format(const struct leaserec *l, char ret_slot[LEASEREC_SLOT]);
/* False: @slot is empty, torn, or of a later version. */
bool leaserec_parse(const char slot[LEASEREC_SLOT], struct leaserec *ret) _must_check_;
/*
 * The records in a file's @octets, the newer first in @ret. Returns how many there are; 0: the file is empty. -EINVAL: damaged; -EXDEV: one
 * of them is of another domain than @uuid, which stands in @ret[0] then.
 */
int leaserec_pick(const char octets[LEASEREC_BYTES], const char *uuid, struct leaserec ret[2]) _must_check_;
/* The same of an open file, from its beginning; also the -errno of reading. */
int leaserec_read(int fd, const char *uuid, struct leaserec ret[2]) _must_check_;

/* Where they are, malloc'd: beside the image of @k, NULL if that disk has none; on this host, of every domain. */
char *leaserec_path_beside(const struct dom_disk *k);
char *leaserec_path_local(const char *uuid);

#endif
