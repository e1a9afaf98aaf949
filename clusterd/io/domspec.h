/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * What the cluster reads from a domain's XML: its needs (memory, engine, bridges, <hospes:cluster>, <seclabel>), its files, and where its
 * lease is. No state. Any thread.
 */
#ifndef HOSPES_CLUSTERD_IO_DOMSPEC_H
#define HOSPES_CLUSTERD_IO_DOMSPEC_H

#include "clusterd/core/clu_state.h"
#include "common/cleanup.h"
#include "common/err.h"
#include "hypervisor/api/domcfg.h"
#include "hypervisor/api/hypercall.h"

/* -EINVAL: <hospes:cluster> makes no sense, or the domain cannot be one of a cluster. */
int domspec_of(const struct dom_config *cfg, struct clu_spec *ret, struct err *err) _must_check_;
/*
 * Check that the files and networks of the domain are on this host: kernel, initrd, disks, bridges. -ENOENT or the like, with a text that
 * names the first that is missing. It may hang in storage, so only helpers call it; @at (NULL: nobody) is told what is accessed next.
 * hypervisor/api/hvcheck.h checks whether hvdom can run the domain.
 */
int domspec_reach(const struct dom_config *cfg, void (*at)(void *arg, const char *what), void *arg, struct err *err) _must_check_;
/* What a person should know before the domain runs in a cluster (a disk without a lease, ...). Returns the number of malloc'd texts. */
size_t domspec_warnings(const struct dom_config *cfg, char *ret[8]);

/* A lease (docs/wire/lease.md), read by a process that does not own it. */
struct leasepeek {
	bool there;               /* it holds a record */
	bool shared;              /* it is beside a disk, where all hosts see it */
	uint64_t generation;
	bool running;             /* it says that the domain runs; the host may be dead */
	char owner[HV_NAME_MAX];  /* empty: none */
	bool taken;               /* both slots name that generation: its owner has recorded that it took the domain (TAKE writes again) */
};
/* Without a file the result is empty. -EINVAL: damaged, or of another domain. */
int domspec_lease(const struct dom_config *cfg, struct leasepeek *ret, struct err *err) _must_check_;

#endif
