/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Asks hvdom which engines this host has, and whether the host could run a domain (`hvdom --engines`, `hvdom --check`;
 * hvdom(8)). hvdom alone decides this. A call blocks until hvdom answers or is killed at the time limit, so it is for
 * helpers (common/worker.h) and tools, not for loops.
 */
#ifndef HOSPES_HYPERVISOR_HVCHECK_H
#define HOSPES_HYPERVISOR_HVCHECK_H

#include <stdbool.h>
#include <stddef.h>
#include "common/cleanup.h"
#include "common/err.h"
#include "hypervisor/api/hypercall.h"

#define HVCHECK_ENGINES_MAX 8u
#define HVCHECK_MS          4000u /* below the time limits of the helpers that ask */

struct hvcheck_engine {
	char name[16];          /* "pv", "qemu", "kvm", "qemu-aarch64" */
	bool runs;              /* it can, on this host */
	char why[ERR_TEXT_MAX]; /* why not */
	bool newer;             /* of a domain: HV_CAP_NEWER */
	char identity[HV_IDENTITY_MAX]; /* of a domain: what its state depends on here (struct hv_hello's kernel_id) */
	uint64_t base[2];       /* of a domain: what an hvdom here would have of its state (struct hv_info's base); zeros: nothing */
};

/* Returns how many engines there are in @ret. -ENOENT: no hvdom; -ETIMEDOUT; -EPROTO: no answer that makes sense. */
int hvcheck_engines(struct hvcheck_engine ret[HVCHECK_ENGINES_MAX], struct err *err) _must_check_;
/*
 * Check that this host can run the domain of @xml, apart from disks and networks. -ENOTSUP with hvdom's text: it cannot. *@ret: all that
 * hvdom said, whether it can or not; the name is empty if it said nothing, or if @xml is no definition.
 */
int hvcheck_domain(const char *xml, size_t len, struct hvcheck_engine *ret, struct err *err) _must_check_;

#endif
