/* SPDX-License-Identifier: GPL-2.0-or-later */
/* How to get a userfaultfd (hypervisor/logdirty/uffd.h) from the processes of a frozen guest. Main thread. */
#ifndef HOSPES_PV_UFFD_INT_H
#define HOSPES_PV_UFFD_INT_H

#include <stdint.h>
#include <sys/types.h>
#include "common/cleanup.h"
#include "common/err.h"
#include "hypervisor/pv/freeze.h"

#define UFFD_ROOM_BYTES 4096u

/* Arming: system calls in K, and through K in the stubs, by code (armer_int.h) in a borrowed page of K's. */
struct uffd_inject {
	const struct pv_frozen *f;      /* borrowed */
	int k_pidfd;                    /* borrowed */
	uint64_t room;                  /* address in K */
	uint8_t saved[UFFD_ROOM_BYTES]; /* its content before */
	int close_fd;                   /* descriptor of K to be closed, since we have a copy; -1: none */
	int slack;                      /* this thread's timer slack before */
};
/* @room: address in K of UFFD_ROOM_BYTES that it may read, write and execute and that no device writes. uffd_inject_end() restores them. */
int uffd_inject_begin(struct uffd_inject *i, const struct pv_frozen *f, int k_pidfd, uint64_t room,
                      struct err *err) _must_check_;
/* Get a userfaultfd (owned by the caller) of K (@pid 0), or of stub @pid by its `syscall` instruction at @insn. */
int uffd_inject_get(struct uffd_inject *i, pid_t pid, uint64_t insn, int *ret_uffd, struct err *err) _must_check_;
/* Restore K's memory. */
int uffd_inject_end(struct uffd_inject *i, struct err *err) _must_check_;

#endif
