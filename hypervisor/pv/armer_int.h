/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * A few hundred octets of position-independent code that uffd_arm.c lets K run, frozen, in a page of its own: it asks for a
 * userfaultfd in K, or makes a stub ask. One run does what would else take a dozen stops of K per stub.
 */
#ifndef HOSPES_PV_ARMER_INT_H
#define HOSPES_PV_ARMER_INT_H

#include <stdint.h>
#include <sys/user.h>

struct armer {
	uint64_t insn;    /* in: of a `syscall` in the stub */
	int32_t nspid;    /* in: stub, in the guest's numbers; 0: K itself; -1: nobody */
	int32_t close_fd; /* in: close this first; -1: nothing */
	int64_t ret;      /* out: descriptor or -errno */
	int32_t status;   /* of wait4 */
	uint32_t sigs;    /* signals 1-31 met on the way, sent again at the end */
	struct user_regs_struct was, now;
};

extern const char __start_armer_code[], __stop_armer_code[];
/* rdi: the struct. Ends in a breakpoint. */
__attribute__((noreturn)) void armer_entry(struct armer *a);

#endif
