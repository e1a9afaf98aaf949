/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The test guest's workload: what its processes share. One static program, many processes: the manager forks a worker per slot
 * (workload.c), each worker counts and checks (wl_work.c, wl_disk.c), the servers report (wl_net.c), the agent listens to the host
 * (wl_agent.c). Everything shared lives in one MAP_SHARED area; a slot has one writer, its worker.
 */
#ifndef HOSPES_TESTS_GUESTS_WL_INT_H
#define HOSPES_TESTS_GUESTS_WL_INT_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* Of a loop that waits for another processor. */
#ifdef __x86_64__
#define RELAX() __asm__ volatile("pause")
#else
#define RELAX() __asm__ volatile("yield")
#endif

#define WL_SLOTS_MAX 64
#define WL_TEXT_MAX 160
#define WL_PAGE_BYTES 4096u
#define WL_ECHO_PORT 7
#define WL_STATUS_PORT 7007
#define WL_RATE_MAX UINT32_MAX      /* "as fast as it goes" */

struct wl_slot {
	char kind[16];                  /* "counter", "sum", "disk"... */
	_Atomic int pid;                /* 0: not running */
	_Atomic uint64_t count;         /* units of work done and verified */
	_Atomic uint64_t errors;        /* checks that failed: lost or wrong bytes */
	char error_text[WL_TEXT_MAX];   /* the last failed check, for people */
};

/* A worker that holds pages does what is ordered here; `seq` is the futex that wakes it. */
struct wl_order {
	_Atomic uint32_t seq;           /* counts orders */
	_Atomic uint32_t done;          /* the last order carried out */
	_Atomic uint32_t size_mib;      /* memory to hold */
	_Atomic uint32_t rate_mib;      /* to rewrite each second */
	_Atomic uint64_t hash_pages;    /* pages verified by the last order */
	_Atomic uint64_t hash_bad;      /* of them wrong */
};

struct wl_shared {
	uint64_t start_ns;              /* CLOCK_MONOTONIC at start */
	char boot_id[40];               /* of this boot: changes on reboot, not on a move */
	char load[16];                  /* none, light, full */
	unsigned cpu_percent;           /* duty of the checksum loop */
	uint32_t dirty_mib;             /* default rewrite rate of the checksum loop */
	char disk[32];                  /* device of the disk worker, "" for none */
	char witness[32];               /* device of the witness, "" for none */
	uint64_t witness_ns;            /* between two of its writes */
	uint64_t generation;            /* of ownership that this start had; 0: not told */
	_Atomic uint64_t max_gap_ns;    /* longest time the clock worker was not run */
	_Atomic uint64_t echo_bytes, echo_conns, echo_open;
	struct wl_order fill;           /* "fill": memory held */
	struct wl_order dirty;          /* "dirty": memory rewritten at a rate */
	struct wl_order sum;            /* only rate_mib: the checksum loop's rate */
	_Atomic uint32_t n_slots;
	struct wl_slot slot[WL_SLOTS_MAX];
};

extern struct wl_shared *wl;        /* set once, before the first fork */

typedef void wl_worker_fn(struct wl_slot *s);

uint64_t wl_now_ns(void);
void wl_sleep_ns(uint64_t ns);
/* Count a failed check, keep its text, and say it on the console. */
void wl_error(struct wl_slot *s, const char *fmt, ...) __attribute__((format(printf, 2, 3)));
void wl_futex_wait(_Atomic uint32_t *addr, uint32_t value);
void wl_futex_wake(_Atomic uint32_t *addr);
/* The text of KEY=VALUE on the kernel command line, or @fallback. Returns @buf. */
const char *wl_cmdline(const char *key, const char *fallback, char *buf, size_t len);
/* 64 mixed bits of @x: content that does not compress and differs for each page and version. */
uint64_t wl_mix(uint64_t x);
/* Fill or check @len octets (a multiple of 8) of the stream @seed. wl_check returns the offset of the first wrong word, or -1. */
void wl_pattern(void *p, size_t len, uint64_t seed);
long wl_check(const void *p, size_t len, uint64_t seed);

wl_worker_fn wl_counter, wl_sum, wl_fill, wl_dirty, wl_forker, wl_fpu, wl_clock, wl_disk, wl_witness, wl_echo, wl_status;
int wl_agent_main(void);

#endif
