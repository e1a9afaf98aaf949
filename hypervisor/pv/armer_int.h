/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * A few hundred octets of position-independent code that uffd_arm.c makes frozen K run, in a borrowed page of K's. It makes a userfaultfd
 * in K, or makes a stub make one. Without it that would take a dozen stops of K per stub.
 */
#ifndef HOSPES_PV_ARMER_INT_H
#define HOSPES_PV_ARMER_INT_H

#include <stdint.h>
#include <sys/user.h>

struct armer {
	uint64_t insn;    /* in: address of a `syscall` in the stub */
	int32_t nspid;    /* in: pid of the stub in the guest's namespace; 0: K itself; -1: only close */
	int32_t close_fd; /* in: descriptor to close first; -1: none */
	int64_t ret;      /* out: descriptor or -errno */
	int32_t status;   /* scratch, of wait4() */
	uint32_t sigs;    /* scratch: signals 1-31 that came meanwhile and are sent again at the end */
	struct user_regs_struct was, now;
};

extern const char __start_armer_code[], __stop_armer_code[];
/* The entry; ends in a breakpoint. */
__attribute__((noreturn)) void armer_entry(struct armer *a);

#endif
