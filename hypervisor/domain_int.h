/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The one domain of this hvdom: shared by domain.c (life), stop.c (stop and go, disks that fail), watchdog.c (a guest that hangs),
 * domcall*.c (hypercalls), dommem.c (memory) and main.c (set-up).
 */
#ifndef HOSPES_HYPERVISOR_DOMAIN_INT_H
#define HOSPES_HYPERVISOR_DOMAIN_INT_H

#include "common/procs.h"
#include "hypervisor/cgroup.h"
#include "hypervisor/conlog.h"
#include "hypervisor/dev/devs.h"
#include "hypervisor/api/domcfg.h"
#include "hypervisor/engine.h"
#include "hypervisor/guestmem.h"
#include "hypervisor/hvserver.h"
#include "hypervisor/lease.h"
#include "hypervisor/api/pathconf.h"
#include "hypervisor/slow.h"

#define QUICK_CRASH_NS (20 * NS_PER_S) /* an end so soon after the start is one of those that are not repeated for ever */
#define STORAGE_NS (10 * NS_PER_S) /* how long an order waits for storage: vmctl(8) */

struct domain {
	struct loop *loop;
	struct dom_config *cfg;             /* owned */
	const struct hv_engine_ops *ops;
	struct hv_engine_env env;
	void *vm;                           /* the engine's; NULL: none */
	struct devs *devs;
	struct guestmem mem;                /* fd -1: none yet */
	struct conlog *con;
	struct hvserver *server;
	struct leases leases;
	struct deadline_page *deadline;     /* of the cluster's lease, NULL: it is none of its domains */
	enum hv_dom_state state;
	char host[HV_NAME_MAX];             /* this host's name: the owner we write */
	uint64_t generation;                /* of this run */
	uint64_t forced_generation;         /* --generation; 0: the lease's plus one */
	bool force;                         /* --force: a lease of another host does not stop a start */
	struct path_rules paths;            /* where the files may be that the XML names */
	bool local;                         /* the definition is this host's own */
	bool incoming;                      /* began as a target; until taken, its session's end is its end */
	bool owner;                         /* the leases name us and the disks are locked by us */
	bool paused;                        /* by PAUSE: RESUME and reboots keep it so */
	bool rebuilt;                       /* devices must treat every queue as kicked at the next resume */
	bool quiesced;
	uint64_t park_lease_ns;             /* of PARK: only a lease that ends later lets it go on */
	bool exiting;
	unsigned quick_crashes;             /* in a row */
	uint32_t watchdog_count;            /* how often the guest's heartbeat was missed in this hvdom */
	uint64_t running_since_ns;
	uint64_t starved_ns; /* since then: waits for a processor that were no silence of its agent */
	uint64_t went_ns;                   /* the guest runs without a break since */
	const char *went_how;               /* static text */
	struct hv_look look;                /* of look_ns, in the middle of its agent's silence; 0: never */
	uint64_t look_ns, starved_told_ns;
	char identity[HV_IDENTITY_MAX];     /* the engine's; HELLO's kernel_id */
	/* sessions: NULL: none */
	struct hvconn *suspender;           /* RESUME is its business */
	struct hvconn *logger;              /* log-dirty belongs to it */
	struct hvconn *throttler;
	struct hvconn *importer;            /* the first connection of an incoming domain that sent MAP_MEMORY */
	uint32_t logdirty_mode;
	int bitmap_fd;                      /* memfd, -1: none */
	uint64_t *bitmap;                   /* mapping of it */
	uint64_t bitmap_bytes;
	/* throttle by duty cycle */
	struct loop_timer *throttle_timer;
	unsigned throttle_percent;
	bool throttle_holds;
	struct loop_timer *destroy_timer, *incoming_timer, *announce_timer;
	unsigned announce_step;             /* of the repeats after an announcement */
	int ready_fd;                       /* told once; -1: told or nobody waits */
	char *run_dir;                      /* <run>/dom/NAME, owned */
	int lock_fd;
	struct procs procs;                 /* what is on record of its processes */
	struct cgroup cgroup;               /* that they are in */
	uint64_t last_dirty, last_clean_ns, dirty_per_s;
	/* what waits for storage (stop.c, domcall*.c) */
	struct slow *slow;
	struct domain_stop {
		bool active;                /* the guest is frozen and its devices are not quiet yet; the state is as before */
		bool was_running, unlock, sync;
		uint64_t begun_ns;
		void (*then)(struct domain *d, int r, struct err *err);
	} stopping;
	struct pending {                    /* the hypercall whose answer is due; no others that change anything meanwhile */
		bool active;
		struct hvconn *conn;        /* NULL: it left */
		uint16_t op;
		uint64_t cookie;
		struct hv_suspend_rep suspend;
		struct hv_park_req park;
		struct hv_owner owner;      /* asked for; LEASE: found */
		bool named, relinquished;   /* a job's own: TAKE: the lease must name us; RELINQUISH: its write was begun */
		uint32_t destroy_flags;
	} pend;
	/* a disk that failed */
	bool disk_paused;                   /* PAUSED for it, and goes on by itself */
	bool watchdog_paused;
	char disk_text[96];                 /* "disk vda: No space left on device" */
	struct loop_timer *boot_timer;      /* armed while a reboot waits for the disks */
	struct loop_timer *disk_timer;      /* armed while a disk holds requests back */
	uint64_t disk_told_ns;              /* when an error was told last */
	uint64_t broken_told_ns;            /* when a broken device was logged last */
};

/* domain.c */
int domain_boot(struct domain *d, struct err *err) _must_check_;
void domain_ready(void *arg, const struct err *failed);
void domain_exited(void *arg, enum hv_exit how, const char *text);
void domain_broken(void *arg, const char *dev_name, const char *why);
/* Its processes are gone; @quick: soon after its start, by its own fault. What follows is @act, or nothing when it is not ours. */
void domain_ended(struct domain *d, enum hv_event_kind kind, enum hv_dom_state state, enum dom_action act, bool quick, const char *text);
void domain_tell(struct domain *d, enum hv_event_kind kind, enum hv_dom_state state, const char *text);
void domain_tell_ready(struct domain *d, const struct err *failed);
void domain_set_state(struct domain *d, enum hv_dom_state s, const char *text);
void domain_end(struct domain *d, int exit_code);       /* leave the loop; clean-up follows in main */
void domain_leave(struct domain *d);                     /* nobody finds an ending domain, and it ends in order */
void domain_throttle(struct domain *d, unsigned percent);
void domain_logdirty_off(struct domain *d);
/* Say where the guest is, now and some more times within half a minute: the first may meet a link that is down. */
void domain_announce(struct domain *d);
int domain_own(struct domain *d, uint64_t generation, bool must_be_named, struct err *err) _must_check_;
/* Its two halves: what may wait for storage, on any thread; what changes the domain. */
int domain_own_disks(struct domain *d, uint64_t *generation, bool must_be_named, struct err *err) _must_check_;
void domain_owned(struct domain *d, uint64_t generation);
const char *domain_agent_say(struct domain *d, const char *line, struct err *err);


/* stop.c */
#define STOP_SYNC   1u              /* and what the guest wrote is on the disks */
#define STOP_UNLOCK 2u              /* and the disks' locks are released */
/*
 * Stop the guest, and quiet its devices; from RUNNING or PAUSED; undone by domain_go(). 0: done. -EINPROGRESS: a disk has not answered yet:
 * @then is called when it has, or with -ETIMEDOUT after STORAGE_NS, when the guest goes on as before. Other errors: nothing was changed.
 */
int domain_stop(struct domain *d, unsigned flags, struct hv_suspend_rep *rep, void (*then)(struct domain *d, int r, struct err *err),
                struct err *err) _must_check_;
bool domain_stop_cancel(struct domain *d);      /* the guest goes on; no then(). False: too late */
int domain_go(struct domain *d, struct err *err) _must_check_;
/* "disk vda has not answered for 12 s", or when none is at fault @other; NULL: what @err says. */
int domain_waits_err(const struct domain *d, int code, const char *other, struct err *err);
void domain_disk_error(void *arg, const char *dev_name, int code, bool read, bool held);
void domain_disk_room(void *arg);
void domain_disk_watch(struct domain *d);       /* after a start of the guest: has a disk held back a request meanwhile? */

/* watchdog.c: half a silence of the agent's is over; the whole */
void domain_quiet(void *arg);
void domain_silent(void *arg);

/* park.c */
/* Both: -EINPROGRESS: domain_pend_done() follows. */
int domain_park(struct domain *d, uint64_t lease_ns, struct err *err) _must_check_;
/* On failure it is parked still; -ESTALE: it can never run again, end it. */
int domain_unpark(struct domain *d, uint64_t lease_ns, struct err *err) _must_check_;

/* dommem.c */
int dommem_new(struct domain *d, struct err *err) _must_check_;
int dommem_bitmap(struct domain *d, struct err *err) _must_check_;
void dommem_done(struct domain *d);
int dommem_hash(struct domain *d, uint64_t *ret, struct err *err) _must_check_;

/* domcall.c */
extern const struct hvserver_ops domcall_ops;
void domain_pend_done(struct domain *d, int r, struct err *err); /* answer the call that is pending */
void domain_cannot_run(struct domain *d, const char *why);       /* never again: it ends */

#endif
