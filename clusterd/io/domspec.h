/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * What the cluster reads out of a domain's XML: what it asks for (memory, engine, bridges, <hospes:cluster>, <seclabel>), which files
 * it needs, and where its lease is. No state. Any thread.
 */
#ifndef HOSPES_CLUSTERD_IO_DOMSPEC_H
#define HOSPES_CLUSTERD_IO_DOMSPEC_H

#include "clusterd/core/clu.h"
#include "common/cleanup.h"
#include "common/err.h"
#include "hypervisor/api/domcfg.h"
#include "hypervisor/api/hypercall.h"

/* -EINVAL: what <hospes:cluster> says makes no sense, or the domain cannot be one of a cluster. */
int domspec_of(const struct dom_config *cfg, struct clu_spec *ret, struct err *err) _must_check_;
/*
 * Are the files and networks that it names on this host: kernel, initrd, disks, bridges? -ENOENT or the like, with a text that names the
 * first that is not. May wait for storage for ever: only in a helper. @at (NULL: nobody) is told what is looked at next. Whether hvdom can
 * run it: hypervisor/api/hvcheck.h.
 */
int domspec_reach(const struct dom_config *cfg, void (*at)(void *arg, const char *what), void *arg, struct err *err) _must_check_;
/* Things that a person should know before it runs in a cluster (a disk that other hosts cannot see...). Returns malloc'd texts. */
size_t domspec_warnings(const struct dom_config *cfg, char *ret[8]);

/* A lease as docs/wire/lease.md has it, read by somebody who does not own it. */
struct leasepeek {
	bool there;               /* a record is in it */
	bool shared;              /* beside a disk: all hosts see it */
	uint64_t generation;
	bool running;             /* it says so; the host may be dead */
	char owner[HV_NAME_MAX];  /* empty: nobody */
	/* Both slots name the newest generation: whoever was given the domain in it has written that it took it (TAKE writes again). */
	bool taken;
};
/* -EINVAL: damaged, or of another domain. An absent file is no error. */
int domspec_lease(const struct dom_config *cfg, struct leasepeek *ret, struct err *err) _must_check_;

#endif
