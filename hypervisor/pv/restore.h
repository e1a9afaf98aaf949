/* SPDX-License-Identifier: GPL-2.0-or-later */
/* From an image to a frozen guest: the other half of dump.h. */
#ifndef HOSPES_PV_RESTORE_H
#define HOSPES_PV_RESTORE_H

#include "hypervisor/pv/dump.h"
#include "hypervisor/pv/sandbox.h"

struct pv_restored {
	pid_t k;
	int k_pidfd;            /* owned by the receiver */
	int con, err;           /* hvdom's ends of the boot console and of stderr, owned by the receiver */
	int vsock[32], vreq[32];/* hvdom's ends of the devices' sockets, owned by the receiver; -1: none */
	struct pv_helpers helpers;
	struct pv_fds fds;      /* K's descriptors as they are now */
	int64_t mono_offset_ns;
};

/*
 * Build the guest in sandbox @s (cleared before) with @mem_fd as its memory, complete. On success @f is a frozen guest:
 * pv_thaw() lets it run. @file_fd: open, checked descriptors of im->file[]. @gap: let the guest's clock jump by the real time
 * that passed since the freeze. @cpu: where all of it is pinned in the end, -1: anywhere.
 * On failure the sandbox is cleared and nothing is left.
 */
int pv_restore(struct pv_sandbox *s, const struct pv_image *im, int mem_fd, const int *file_fd, bool gap, int cpu,
               struct pv_restored *out, struct pv_frozen *f, struct err *err) _must_check_;

#endif
