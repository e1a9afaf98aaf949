/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Builds a frozen guest from an image: the counterpart of dump.h. Main thread. */
#ifndef HOSPES_PV_RESTORE_H
#define HOSPES_PV_RESTORE_H

#include "hypervisor/pv/dump.h"
#include "hypervisor/pv/sandbox.h"

struct pv_restored {
	pid_t k;
	int k_pidfd;            /* owned by the receiver */
	int con, err;           /* hvdom's ends of the boot console and of stderr, owned by the receiver */
	int vsock[32], vreq[32];/* hvdom's ends of the sockets of each device, as in vudev_pair(), owned by the receiver; -1: none */
	struct pv_helpers helpers;
	struct pv_fds fds;      /* K's descriptors */
	int64_t mono_offset_ns; /* of the guest's time namespace */
};

/*
 * Build the guest in sandbox @s, which has to be clear, with @mem_fd as its memory, which has to be complete. On success @f is a frozen
 * guest: pv_thaw() lets it run. @file_fd: open descriptors of im->file[], borrowed, compared by pv_files_match(). @gap: the guest's clock
 * jumps by the real time since the freeze. @cpu: pin all processes there, -1: no pinning. On failure the sandbox is clear.
 */
int pv_restore(struct pv_sandbox *s, const struct pv_image *im, int mem_fd, const int *file_fd, bool gap, int cpu,
               struct pv_restored *out, struct pv_frozen *f, struct err *err) _must_check_;

#endif
