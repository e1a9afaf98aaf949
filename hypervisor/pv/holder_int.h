/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Messages between sandbox.c (hvdom) and holder.c (pid 1 of the guest's pid namespace). Both are one binary, so there is no version. */
#ifndef HOSPES_PV_HOLDER_INT_H
#define HOSPES_PV_HOLDER_INT_H

#include <stdint.h>
#include "hypervisor/pv/sandbox.h"

#define PV_DEVS_MAX 32u         /* HV_DEVS_MAX */
#define FDS_PER_MSG 16u         /* of sock_send_fds() */

enum holder_op { HOLDER_READY = 1, HOLDER_FAILED, HOLDER_BOOT, HOLDER_RESTORE, HOLDER_FDS, HOLDER_CLEAR, HOLDER_DONE, HOLDER_EXIT };

struct holder_msg {
	uint32_t op;
	int32_t status;         /* FAILED: errno; EXIT: wait status */
	int64_t offset_ns;      /* of CLOCK_MONOTONIC in the guest's time namespace */
	uint64_t plan_bytes;
	int32_t nspid;          /* pid of the new process in the guest's namespace */
	uint32_t argc;          /* BOOT: strings in text; FDS: descriptors */
	char text[8192];
};

/* Serve orders on @sock until hvdom closes it. */
void holder_main(int sock, const struct pv_sandbox_cfg *cfg) __attribute__((noreturn));

#endif
