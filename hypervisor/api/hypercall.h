/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The hypercall ABI of hvdom: one request, one reply, on a Unix SEQPACKET socket `<run>/dom/NAME/hv.sock` (mode 0600).
 * The specification is docs/wire/hypercall.md; this is its C mirror. All integers are little-endian and naturally
 * aligned.
 *
 * - A message is `struct hv_msg` plus `len` payload octets (at most HV_PAYLOAD_MAX), with descriptors as SCM_RIGHTS where
 *   the specification says so.
 * - A reply repeats op and cookie. `status` is 0 or -errno; if it is not 0, the payload is a UTF-8 text for people.
 * - Payloads may grow at the end in later versions: readers ignore octets that they do not know, and read missing octets
 *   as 0.
 * - Events (HV_OP_EVENT) may arrive between replies on a connection that subscribed.
 * - **Session**: HV_OP_SUSPEND, HV_OP_LOGDIRTY_ENABLE, HV_OP_THROTTLE and an incoming domain belong to the connection
 *   that asked. When it closes, hvdom undoes them: a suspended domain that was not relinquished resumes, log-dirty and
 *   throttle end, and an incoming domain that was not taken over exits. So the death of a client can neither leave a
 *   domain stopped nor leave two copies of it.
 */
#ifndef HOSPES_HYPERVISOR_HYPERCALL_H
#define HOSPES_HYPERVISOR_HYPERCALL_H

#include <stdint.h>

#define HV_MAGIC 0x73704f48u        /* "HOps" */
#define HV_VERSION 1u               /* accepted: N and N-1 */
#define HV_PAYLOAD_MAX 65536u
#define HV_NAME_MAX 64u             /* with the NUL */
#define HV_REGIONS_MAX 4u
#define HV_IDENTITY_MAX 40u
#define HV_DEVS_MAX 32u

struct hv_msg {
	uint32_t magic;             /* HV_MAGIC */
	uint16_t version;           /* HV_VERSION of the sender */
	uint16_t op;                /* enum hv_op */
	uint64_t cookie;            /* chosen by the caller, repeated in the reply */
	int32_t status;             /* reply: 0 or -errno; request: 0 */
	uint32_t len;               /* payload octets */
};
_Static_assert(sizeof(struct hv_msg) == 24, "hv_msg is 24 octets");

/* Numbers are on the wire: never reused. "->" is the reply's payload. */
enum hv_op {
	HV_OP_HELLO = 1,            /* -> struct hv_hello */
	HV_OP_INFO = 2,             /* -> struct hv_info */
	HV_OP_STATS = 3,            /* -> struct hv_stats */
	HV_OP_PAUSE = 4,            /* stop vCPUs until UNPAUSE; survives the connection */
	HV_OP_UNPAUSE = 5,
	HV_OP_SUSPEND = 6,          /* stop at a safe point, quiesce devices -> struct hv_suspend_rep */
	HV_OP_RESUME = 7,           /* from SUSPEND, TAKE or RECLAIM: run -> struct hv_resume_rep */
	HV_OP_LOGDIRTY_ENABLE = 8,  /* struct hv_logdirty_req -> struct hv_logdirty_rep (all pages with content count as dirty once) */
	HV_OP_LOGDIRTY_PEEK = 9,    /* fill the shared bitmap, clear nothing -> struct hv_logdirty_rep */
	HV_OP_LOGDIRTY_CLEAN = 10,  /* fill the shared bitmap and clear: atomically -> struct hv_logdirty_rep */
	HV_OP_LOGDIRTY_DISABLE = 11,
	HV_OP_MAP_MEMORY = 12,      /* -> struct hv_map_rep + descriptors: region memfds in order, then the bitmap memfd */
	HV_OP_GET_STATE = 13,       /* while suspended: struct hv_get_state_req -> struct hv_state_rep + memfd with the state blob */
	HV_OP_SET_STATE = 14,       /* incoming: struct hv_state_req + memfd; memory must be complete: restores, ready to TAKE */
	HV_OP_THROTTLE = 15,        /* struct hv_throttle_req */
	HV_OP_BALLOON = 16,         /* struct hv_balloon_req */
	HV_OP_SHUTDOWN = 17,        /* ask the guest to power off */
	HV_OP_REBOOT = 18,          /* ask the guest to reboot */
	HV_OP_DESTROY = 19,         /* struct hv_destroy_req: end it now; reply comes before the process ends */
	HV_OP_SUBSCRIBE = 20,       /* events on this connection from now on */
	HV_OP_EVENT = 21,           /* hvdom -> client: struct hv_event */
	HV_OP_CONSOLE = 22,         /* struct hv_console_req -> one stream socket descriptor */
	HV_OP_RELINQUISH = 23,      /* suspended: struct hv_owner: durably give ownership away, unlock disks; no RESUME from now on */
	HV_OP_RECLAIM = 24,         /* relinquished: struct hv_owner with a higher generation: lock disks, own again; then RESUME */
	HV_OP_TAKE = 25,            /* incoming and restored: struct hv_owner: lock disks, durably own; then RESUME */
	HV_OP_LEASE = 26,           /* -> struct hv_owner as the shared leases say now (the first writable disk's, else the local one) */
	HV_OP_ANNOUNCE = 27,        /* running: send gratuitous ARP/RARP for each NIC, now and again within half a minute */
	HV_OP_DUMPXML = 28,         /* -> the domain XML text in use */
	HV_OP_LOGLEVEL = 29,        /* u32 level */
	HV_OP_MEMHASH = 30,         /* suspended or restored: -> struct hv_memhash_rep, xxh3-64 per region of 4 KiB pages */
	/* 31 was kept for a hypercall that never came */
	/* suspended, after CLEAN: pages that differ from what log-dirty reported, in the bitmap -> struct hv_logdirty_rep */
	HV_OP_AUDIT = 32,
	HV_OP_PARK = 33,            /* running or paused: struct hv_park_req: stop, sync, unlock the disks; the leases stay as they are */
	HV_OP_UNPARK = 34,          /* parked: struct hv_park_req: lock, go on if the leases are still as they were left; else it ends */
	HV_OP_FROZEN = 35,          /* struct hv_frozen_req: the guest's file systems are about to be frozen, or are thawed */
	HV_OP_BLOCKRESIZE = 36,     /* running: struct hv_blockresize_req: make a disk's image larger, and tell the guest */
	HV_OP_ATTACH = 37,          /* running: struct hv_attach_req + memfd with XML, then files -> struct hv_attach_rep */
	HV_OP_DETACH = 38,          /* running: struct hv_detach_req: ask the guest to let a device go, and wait for that */
	HV_OP_DISPLAY = 39,         /* -> struct hv_display: where the guest's screen can be seen */
	HV_OP_SCREENSHOT = 40,      /* running or paused: struct hv_screenshot_req -> struct hv_screenshot_rep + memfd with a PNG */
	HV_OP_MAX
};

enum hv_dom_state {                 /* numbers are on the wire */
	HV_DOM_BOOTING = 1, HV_DOM_RUNNING = 2, HV_DOM_PAUSED = 3, HV_DOM_SUSPENDED = 4,
	HV_DOM_RELINQUISHED = 5,    /* another host owns it; this copy can never run unless reclaimed */
	HV_DOM_INCOMING = 6, HV_DOM_RESTORED = 7, HV_DOM_SHUTDOWN = 8, HV_DOM_CRASHED = 9,
	HV_DOM_PARKED = 10,         /* its host has no quorum: it stands still and holds no disk; goes on by UNPARK only */
};

#define HV_WHY_NONE 0u
#define HV_WHY_ORDER 1u             /* paused by PAUSE */
#define HV_WHY_DISK_ERROR 2u        /* paused: a disk failed; it goes on by itself when that is over */
#define HV_WHY_WATCHDOG 3u          /* paused: the heartbeat was missed */
#define HV_WHY_DISK_WAIT 4u         /* not paused: a disk has not answered for some time */

#define HV_CAP_LOGDIRTY_RECORD 1u   /* that mode may be had */
#define HV_CAP_LOGDIRTY_COMPARE 2u
#define HV_CAP_MIGRATE 4u
#define HV_CAP_NEWER 8u             /* the guest's state may go on where kernel_id is the same but for a later version (common/builds.h) */

struct hv_hello {
	uint32_t version;           /* highest ABI version spoken */
	uint32_t caps;              /* HV_CAP_* */
	char engine[16];            /* "pv", "qemu", "kvm", "qemu-aarch64" */
	char build[32];             /* program version */
	char kernel_id[HV_IDENTITY_MAX]; /* what a state of the guest depends on here, in the engine's own form; with NUL, empty: nothing */
};

struct hv_info {
	char name[HV_NAME_MAX];
	char uuid[40];
	uint32_t state;             /* enum hv_dom_state */
	uint32_t vcpus;
	uint64_t ram_bytes;         /* configured maximum */
	uint64_t ram_current_bytes; /* after ballooning */
	uint64_t generation;        /* ownership generation of this run */
	int32_t pid;                /* hvdom */
	uint32_t logdirty_mode;     /* HV_LOGDIRTY_*, 0: off */
	uint64_t uptime_ns;         /* since this hvdom began to run it */
	char owner[HV_NAME_MAX];    /* host that owns it, as last recorded */
	uint32_t beat_s;            /* period of the agent's heartbeat, 0: none */
	uint32_t watchdog_count;    /* how often this hvdom missed it */
	uint32_t reason;            /* HV_WHY_*: why it is paused, or what it waits for */
	uint32_t disk_wait_ms;      /* age of the oldest disk request that the storage has not answered; 0: below a second */
	char disk[16];              /* which disk that is */
	char reason_text[112];      /* for people; empty: nothing to say */
	uint32_t frozen_s;          /* the guest's file systems are frozen, for so long at most; 0: they are not */
	uint32_t reboots;           /* how often the guest has rebooted under this hvdom */
	uint64_t base[2];           /* name of what this hvdom has already of a state that it may load; 0: nothing */
	uint32_t logdirty_by;       /* HV_LOGDIRTY_BY_*: how log-dirty is done; off: how it would be */
	uint32_t reserved;
	uint64_t base_bytes;        /* octets of a state that the base is */
};

struct hv_dev_stats {
	char name[16];              /* target name: vda, vnet0, hvc0, rng0 */
	uint32_t kind;              /* virtio device id: 1 net, 2 block, 3 console, 4 rng, 5 balloon */
	uint32_t broken;            /* 1: the guest broke its rings, the device is off */
	uint64_t rd_ops, rd_bytes;  /* block: reads; net: received by the guest */
	uint64_t wr_ops, wr_bytes;  /* block: writes; net: sent by the guest */
	uint64_t flushes, errors, drops;
};

/* What a guest says of its memory by a virtio balloon; octets, but for the faults. Numbers are on the wire. */
enum hv_mem {
	HV_MEM_AVAILABLE, HV_MEM_UNUSED, HV_MEM_USABLE, HV_MEM_DISK_CACHES, HV_MEM_SWAP_IN, HV_MEM_SWAP_OUT, HV_MEM_MAJOR_FAULTS,
	HV_MEM_MINOR_FAULTS, HV_MEM_COUNT
};

struct hv_stats {
	uint64_t cpu_ns;            /* guest CPU time: all its processes */
	uint64_t hv_cpu_ns;         /* CPU time of hvdom itself */
	uint64_t ram_bytes;         /* configured */
	uint64_t ram_used_bytes;    /* host memory behind the guest's RAM */
	uint64_t hv_rss_bytes;      /* hvdom and engine helpers beyond guest RAM */
	uint32_t processes;         /* guest address spaces (pv stubs) */
	uint32_t n_devs;
	uint64_t dirty_pages_per_s; /* last measured, 0: unknown */
	struct hv_dev_stats dev[HV_DEVS_MAX];
	uint64_t mem_at_s;          /* when the guest said what follows, in seconds since 1970; 0: it has not */
	uint64_t mem[HV_MEM_COUNT]; /* by enum hv_mem; UINT64_MAX: it does not say */
};

struct hv_suspend_rep { uint64_t freeze_ns; uint64_t quiesce_ns; };
struct hv_resume_rep { uint64_t resume_ns; uint64_t running_at_ns; /* CLOCK_MONOTONIC of this host when vCPUs ran */ };

/* What a log-dirty mode is for who reads the log; how it is done is the engine's affair. Scripts call them auto, track, hash, stopcopy. */
#define HV_LOGDIRTY_BEST 0u         /* asked for: what the engine does best here */
#define HV_LOGDIRTY_RECORD 1u       /* writes are recorded as they happen: a collection costs what was written */
#define HV_LOGDIRTY_COMPARE 2u      /* a collection compares all memory with what it was: it costs what there is */
#define HV_LOGDIRTY_NONE 3u         /* there is no log: every page with content counts as dirty each time */
#define HV_LOGDIRTY_F_AUDIT 1u      /* also keep what HV_OP_AUDIT needs to prove the log */

/* How it is done here, for people; hv_logdirty_by() has the names. */
#define HV_LOGDIRTY_BY_UNKNOWN 0u    /* an earlier hvdom, or no guest */
#define HV_LOGDIRTY_BY_SCAN 1u       /* asynchronous write-protection, PAGEMAP_SCAN (Linux 6.7) */
#define HV_LOGDIRTY_BY_SOFT_DIRTY 2u /* soft-dirty marks */
#define HV_LOGDIRTY_BY_HASH 3u
#define HV_LOGDIRTY_BY_NOTHING 4u    /* all that has content is sent */

struct hv_logdirty_req { uint32_t mode; uint32_t flags; };
struct hv_logdirty_rep {
	uint32_t mode;              /* chosen */
	uint32_t by;                /* HV_LOGDIRTY_BY_* */
	uint64_t dirty_pages;       /* bits set in the shared bitmap; AUDIT: pages missed */
	uint64_t scan_ns;           /* what it took */
};

/*
 * One region: a memfd; page i (4096 octets at offset i * 4096) has bit i of the shared bitmap, counted from
 * bitmap_offset (octets). The caller owns the bitmap's content between two log-dirty calls. Read pages that may be
 * holes with pread() or after SEEK_DATA: touching a hole through a mapping would allocate it. Holes are zero pages and
 * never dirty.
 */
struct hv_region { uint64_t guest_addr; uint64_t size_bytes; uint64_t bitmap_offset; char name[16]; };
struct hv_map_rep { uint32_t n_regions; uint32_t page_bytes; uint64_t bitmap_bytes; struct hv_region region[HV_REGIONS_MAX]; };

struct hv_get_state_req { uint64_t base[2]; /* of who will load it, hv_info; what that has need not be in the state. 0: all is */ };
struct hv_state_rep { uint64_t size_bytes; uint64_t capture_ns; };
struct hv_state_req { uint64_t size_bytes; };

struct hv_throttle_req { uint32_t percent; /* of a CPU taken from the guest: 0-99 */ uint32_t reserved; };
struct hv_balloon_req { uint64_t target_bytes; };

#define HV_DESTROY_F_MOVED 1u       /* its copy runs elsewhere: no on_* action, no lease change; frames in its taps go after it */
#define HV_DESTROY_F_SAVED 2u       /* its state is in a file: leases say "saved" */
struct hv_destroy_req { uint32_t flags; uint32_t reserved; };

#define HV_CONSOLE_TAKE  1u          /* take it over from another client */
#define HV_CONSOLE_AGENT 2u          /* the channel org.qemu.guest_agent.0; index: HV_CONSOLE_NONE */
#define HV_CONSOLE_NONE  UINT32_MAX
struct hv_console_req { uint32_t index; /* 0: boot console con0, 1..: hvc0.. */ uint32_t flags; /* HV_CONSOLE_* */ };
struct hv_owner { uint64_t generation; char owner[HV_NAME_MAX]; };
struct hv_park_req { uint64_t lease_ns; /* CLOCK_BOOTTIME: PARK: of the lease that ends; UNPARK: of one that ends later */ };
struct hv_frozen_req { uint32_t seconds; /* until hvdom has them thawed: 1-600; 0: they are */ uint32_t reserved; };
struct hv_blockresize_req { char disk[16]; /* target name */ uint64_t bytes; /* of the whole disk from now on */ };
struct hv_attach_req { uint64_t xml_bytes; };
struct hv_attach_rep { char name[16]; /* vda, vnet0 */ uint32_t place; /* in the machine */ uint32_t reserved; };
struct hv_detach_req { char device[24]; /* vda; a NIC's MAC address or its tap's name */ };
#define HV_DISPLAY_NONE   0u
#define HV_DISPLAY_SOCKET 1u         /* a Unix socket at @place */
#define HV_DISPLAY_PORT   2u         /* @port of the address @place */
struct hv_display {
	uint32_t kind;              /* HV_DISPLAY_* */
	uint32_t port;
	uint32_t password;          /* 1: clients need one */
	uint32_t clients;           /* that are connected */
	char place[112];            /* with the NUL */
};
#define HV_SCREENSHOT_MAX (64u << 20) /* octets of a picture */
struct hv_screenshot_req { uint32_t screen; uint32_t reserved; };
struct hv_screenshot_rep { uint64_t size_bytes; };
struct hv_memhash_rep { uint32_t n_regions; uint32_t reserved; uint64_t hash[HV_REGIONS_MAX]; };

enum hv_event_kind {
	HV_EV_STATE = 1, HV_EV_REBOOT = 2, HV_EV_CRASH = 3, HV_EV_POWEROFF = 4, HV_EV_DEVICE_BROKEN = 5,
	HV_EV_WATCHDOG = 6,         /* the heartbeat was missed; state: crashed when it was ended for that */
	HV_EV_DISK_ERROR = 7,       /* a disk failed; state: paused when it stands still for that, and goes on by itself */
};
struct hv_event { uint32_t kind; uint32_t state; uint64_t at_ns; char text[200]; };

#endif
