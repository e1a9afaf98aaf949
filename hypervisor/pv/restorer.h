/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The restorer: a few KiB of position-independent code that runs in a fresh process, unmaps everything else there, and builds the guest
 * kernel process K and its stubs from a plan. restore.c in hvdom writes the plan, restorer.c carries it out. Code and plan are mapped at
 * RESTORER_BASE, where no guest process has a mapping. No other code runs in these processes until adopt.c has seen that each is locked in
 * and that code, plan and stacks are unmapped.
 */
#ifndef HOSPES_PV_RESTORER_H
#define HOSPES_PV_RESTORER_H

#include <stdint.h>

#define RESTORER_BASE 0x100000000000ull
#define RESTORER_CODE_BYTES 65536ull
#define RESTORER_PLAN (RESTORER_BASE + RESTORER_CODE_BYTES)
#define RESTORER_TOP (RESTORER_BASE + (16ull << 30))

#define PLAN_MAGIC 0x6e616c70u

struct plan_vma {
	uint64_t start, len, off;
	int32_t fd;             /* -1: anonymous */
	uint16_t prot, flags;   /* of mmap(2) */
};

struct plan_pages { uint64_t addr, len, data; };    /* data: offset in the plan; written before prot is final */

struct plan_stub {
	int32_t pid;
	uint32_t n_vmas;
	uint64_t first_vma;     /* index in the VMA table */
	uint64_t sigmask;
};

struct plan_helper { int32_t pid; };    /* hvdom sets its registers, by ptrace, when the whole guest is locked in */

struct plan_fd { int32_t from, to; uint32_t flags, owned, cloexec, pad; };   /* from: number while restoring; to: final */
struct plan_ep { int32_t fd; uint32_t events; uint64_t data; };
struct plan_sa { uint64_t handler, flags, restorer, mask; };

/* All offsets are octets from the start of the plan. */
struct plan {
	uint32_t magic;
	uint32_t stage;         /* out: the present step, enum plan_stage */
	int64_t error;          /* out: -errno of the step that failed, 0: none did */
	uint64_t detail;        /* out: where in that step */
	uint64_t total_bytes;   /* of the plan mapping */
	int32_t mem_fd;         /* final number of the memory region */
	int32_t ep_fd;
	int32_t keep_below;     /* descriptors from here on are closed at the end */
	uint32_t seccomp_len;   /* instructions */
	uint64_t seccomp;       /* struct sock_filter[] */
	uint64_t fds; uint32_t n_fds, n_eps; uint64_t eps;
	uint64_t vmas;          /* struct plan_vma[]: K's first, then the stubs' */
	uint64_t n_k_vmas;
	uint64_t stubs; uint64_t n_stubs;
	uint64_t helpers; uint64_t n_helpers;
	uint64_t pages; uint64_t n_pages;
	uint64_t segv_handler;
	struct plan_sa sa[64];
	uint64_t altstack_sp, altstack_size;
	uint64_t fs_base;
	uint64_t mm[11];        /* struct pv_mm */
	uint32_t has_timer;
	uint32_t parked;        /* out: number of helpers that are locked in and asleep */
};

enum plan_stage {
	PLAN_START, PLAN_FDS, PLAN_STUBS, PLAN_STUB_CHILD, PLAN_VMAS, PLAN_PAGES, PLAN_SIGNALS, PLAN_HELPERS, PLAN_SANDBOX, PLAN_DONE,
};

extern const char __start_restorer_code[], __stop_restorer_code[];
/* Entry, at RESTORER_BASE + its offset in the section; never returns. */
void restorer_entry(struct plan *p);

#endif
