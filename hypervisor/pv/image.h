/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The state of a frozen user-mode guest without its memory region and devices: dump.c reads it, restore.c rebuilds it. Its octets:
 * docs/wire/pvstate.md. The decoder checks everything, so that restore.c may trust the struct.
 */
#ifndef HOSPES_PV_IMAGE_H
#define HOSPES_PV_IMAGE_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/user.h>
#include "common/buf.h"
#include "common/err.h"
#include "hypervisor/pv/maps.h"

#define PV_IMAGE_MAGIC 0x49767048u      /* "HpvI" */
#define PV_IMAGE_VERSION 1u
#define PV_STUB_CODE 0x7fc0000000ull    /* fixed by the guest kernel's build */
#define PV_STUB_DATA 0x7fc0001000ull
#define PV_STUB_TOP 0x7fc0002000ull     /* mappings above it are dead copies of K's */
#define PV_TASK_TOP 0x7ffffffff000ull
#define PV_FDS_MAX 256
#define PV_FILES_MAX 8
#define PV_QUEUE_MAX 65536u             /* octets queued in one socket */
#define PV_EPOLL_MAX 256
#define PV_VMAS_MAX 70000               /* of one process: more than vm.max_map_count */
/* Octets of K's private memory. A guest kernel has about 1 MiB, whatever its RAM; so much fits hvdom's group, with copies. */
#define PV_PRIVATE_MAX (16u << 20)
#define PV_RUNS_MAX 8192                /* runs of pages of it */

enum pv_fd_kind {
	PV_FD_CON = 1,      /* boot console: socket to hvdom */
	PV_FD_ERR,          /* stderr: socket to hvdom */
	PV_FD_MEM,          /* the memory region */
	PV_FD_EPOLL,
	PV_FD_PAIR,         /* one end of a socket pair, both ends in K; arg: descriptor number of the other end */
	PV_FD_DGRAM,        /* management console; rebuilt as an unbound datagram socket */
	PV_FD_PATH,         /* a device file below /dev; arg: 0 random, 1 null */
	PV_FD_VHOST,        /* arg: device index; requests of the driver */
	PV_FD_VREQ,         /* arg: device index; requests of the device */
	PV_FD_KIND_MAX,
};

struct pv_fd {
	int32_t fd;
	uint32_t kind;
	uint32_t arg;
	int32_t dup_of;         /* another, earlier fd with the same open file, or -1 */
	uint32_t flags;         /* O_* status flags (O_NONBLOCK, O_ASYNC, access mode) */
	uint32_t owned;         /* 1: F_SETOWN to K with SIGIO */
	uint32_t cloexec;
	uint64_t inode;         /* of the socket or file, at run time; not in the state */
	uint32_t queued_len;    /* octets that wait to be read from it */
	uint8_t *queued;        /* owned */
};

struct pv_epoll { int32_t fd; uint32_t events; uint64_t data; };
struct pv_sigaction { uint64_t handler, flags, restorer, mask; };   /* the kernel's layout */

/* What backs a VMA of an image, in vma.inode */
#define PV_BACK_ANON 0u
#define PV_BACK_MEM 1u
#define PV_BACK_FILE0 2u    /* plus the index in file[] */

struct pv_file { char *path; uint64_t size; uint64_t id[2]; };      /* xxh3-128 of the content */
struct pv_pages { uint64_t addr; uint32_t n; uint32_t pad; uint64_t data; };   /* data: offset in page_data */

struct pv_regs {
	int32_t pid;                    /* in the guest's pid namespace */
	uint64_t sigmask;
	struct user_regs_struct regs;
	uint8_t *xstate;                /* owned */
	uint32_t xstate_len;
};

struct pv_stub { int32_t pid; uint64_t sigmask; uint32_t first_vma, n_vmas; };

struct pv_mm { uint64_t start_code, end_code, start_data, end_data, start_brk, brk, start_stack, arg_start, arg_end, env_start, env_end; };

struct pv_image {
	uint64_t mem_bytes;             /* size of the memory region */
	uint64_t mono_ns, real_ns;      /* the guest's CLOCK_MONOTONIC and the host's CLOCK_REALTIME at the freeze */
	struct pv_regs k;
	uint64_t pending;               /* signals pending for K */
	struct pv_sigaction sa[64];     /* index: signal - 1 */
	uint64_t altstack_sp, altstack_size;
	uint32_t altstack_flags;
	uint32_t has_timer;
	int64_t timer_value_ns, timer_interval_ns;
	struct pv_mm mm;
	uint64_t segv_handler;          /* of the stubs, in STUB_CODE */
	struct pv_fd *fd; size_t n_fds;
	struct pv_epoll *ep; size_t n_ep;
	int32_t ep_fd;
	struct pv_file file[PV_FILES_MAX]; size_t n_files;
	struct vma *vma; size_t n_vmas;         /* K's; inode = PV_BACK_* */
	struct pv_pages *pages; size_t n_pages; /* runs of K's private pages */
	uint8_t *page_data; uint64_t page_data_len;
	struct pv_regs helper[8]; size_t n_helpers;   /* each before its poll */
	struct pv_stub *stub; size_t n_stubs;
	struct vma *stub_vma; size_t n_stub_vmas;
};

/* Limit of the VMAs of all stubs together: a guest cannot make hvdom's memory grow out of proportion to its RAM. */
static inline uint64_t pv_stub_vmas_max(uint64_t mem_bytes) { return (1u << 18) + mem_bytes / 4096; }

void pv_image_done(struct pv_image *im); /* frees all that @im owns: every pointer in it */
int pv_image_encode(const struct pv_image *im, struct buf *out, struct err *err) _must_check_; /* appends to @out */
/* Decode and check hostile octets. @mem_bytes, @n_devs: of the domain here. -EINVAL: @err says what is wrong. On failure @im is empty. */
int pv_image_decode(struct pv_image *im, struct rd *in, uint64_t mem_bytes, uint32_t n_devs, struct err *err) _must_check_;

#endif
