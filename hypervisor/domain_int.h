/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The one domain of this hvdom: shared by domain.c (life), stop.c (stop and go, disks that fail), watchdog.c (a guest that hangs),
 * park.c (a host without quorum), domcall*.c and domwait.c (hypercalls), dommem.c (memory) and main.c (set-up). Main thread.
 */
#ifndef HOSPES_HYPERVISOR_DOMAIN_INT_H
#define HOSPES_HYPERVISOR_DOMAIN_INT_H

#include "common/procs.h"
#include "hypervisor/cgroup.h"
#include "hypervisor/conlog.h"
#include "hypervisor/dev/devs.h"
#include "hypervisor/display.h"
#include "hypervisor/api/domcfg.h"
#include "hypervisor/api/hvmsg.h"
#include "hypervisor/engine.h"
#include "hypervisor/guestmem.h"
#include "hypervisor/hvserver.h"
#include "hypervisor/lease.h"
#include "hypervisor/api/pathconf.h"
#include "hypervisor/slow.h"

#define QUICK_CRASH_NS (20 * NS_PER_S) /* a crash so soon after the start counts as quick: few in a row are restarted */
#define STORAGE_NS (10 * NS_PER_S)     /* how long an order waits for storage: vmctl(8) */
#define SETTLE_NS  (2 * NS_PER_S)      /* how long the end of a domain waits for what memory alone knows of its disks */

/* A disk that the guest has no more; what was written is not stable yet, its lease still names the domain. */
struct leaving {
	struct vdev *v;                     /* owned */
	struct leases lease;                /* n 0: it has none */
	unsigned place;
};

struct domain;
/* Finish a hypercall whose wait or job ended with @r: 0 or -errno. The result is the call's. */
typedef int pend_fn(struct domain *d, int r, struct err *err);

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
	struct display *display;            /* NULL: its screen cannot be seen */
	struct deadline_page *deadline;     /* of the host's lease in the cluster, NULL: no domain of the cluster */
	enum hv_dom_state state;
	char host[HV_NAME_MAX];             /* this host's name, the owner in leases that we write */
	uint64_t generation;                /* of ownership, in this run */
	uint64_t forced_generation;         /* --generation; 0: the lease's plus one */
	bool force;                         /* --force: a lease of another host does not stop a start */
	struct path_rules paths;            /* directories that the XML's files may be in */
	uint64_t cpu_baseline[CPU_FEATURE_WORDS]; /* features that a processor of mode host-model may have */
	bool local;                         /* the definition is this host's own */
	bool incoming;                      /* began as a migration's target */
	bool owner;                         /* the leases name us and the disks are locked by us */
	bool paused;                        /* by PAUSE; stays so over RESUME and reboots */
	bool rebuilt;                       /* the next devs_resume() treats every queue as kicked */
	bool quiesced;                      /* the devices are */
	uint64_t park_lease_ns;             /* of the last PARK: UNPARK needs a lease that ends later */
	bool exiting;                       /* takes no more orders */
	unsigned quick_crashes;             /* in a row */
	unsigned reboots;                   /* of the guest, under this hvdom */
	uint32_t watchdog_count;            /* how often the guest's heartbeat was missed in this hvdom */
	uint64_t running_since_ns;
	uint64_t starved_ns;                /* since then: waits for a processor that were no silence of its agent */
	uint64_t went_ns;                   /* the guest runs without a break since then */
	const char *went_how;               /* static text */
	struct hv_look look;                /* taken at look_ns, halfway through the agent's silence; look_ns 0: never */
	uint64_t look_ns, starved_told_ns;
	char stuck[112];                    /* why it is paused though it should run (domain_stuck()); empty: it is not so */
	char identity[HV_IDENTITY_MAX];     /* the engine's; HELLO's kernel_id */
	/* sessions that something belongs to; NULL: none */
	struct hvconn *suspender;           /* the suspension: only it may RESUME */
	struct hvconn *logger;              /* log-dirty */
	struct hvconn *throttler;           /* the throttle */
	struct hvconn *mapper;              /* the last one that mapped its memory: a move, a save */
	struct hvconn *importer;            /* the first connection of an incoming domain that sent MAP_MEMORY */
	uint32_t logdirty_mode;             /* HV_LOGDIRTY_*, 0: off */
	int bitmap_fd;                      /* memfd, -1: none */
	uint64_t *bitmap;                   /* mapping of it */
	uint64_t bitmap_bytes;
	/* throttle by duty cycle */
	struct loop_timer *throttle_timer;
	unsigned throttle_percent;
	bool throttle_holds;                /* the guest stands still in its duty cycle */
	struct loop_timer *destroy_timer, *incoming_timer, *announce_timer;
	unsigned announce_step;             /* repeats that an announcement has had */
	int ready_fd;                       /* gets one line when the start is over; -1: it had it, or nobody waits */
	char *run_dir;                      /* <run>/dom/NAME, owned */
	int lock_fd;                        /* of its name */
	struct procs procs;                 /* the record of its processes */
	struct cgroup cgroup;               /* the groups of its processes */
	uint64_t oom_kills;                 /* in them, that were told of */
	uint64_t last_dirty, last_clean_ns, dirty_per_s;
	/* orders that wait for storage (stop.c, domwait.c) */
	struct slow *slow;
	struct domain_stop {
		bool active;                /* the guest is suspended, its devices are not quiet yet; d->state is as before */
		bool was_running, unlock, sync;
		uint64_t begun_ns;
		struct hv_suspend_rep took; /* once it is done */
		void (*then)(struct domain *d, int r, struct err *err);
	} stopping;
	struct pending {                    /* the hypercall whose answer is due; until then no other one may change anything */
		bool active;
		struct hvconn *conn;        /* NULL: it closed */
		uint16_t op;
		uint64_t cookie;
		pend_fn *done;              /* finishes it when the wait is over */
		struct hv_park_req park;
		struct hv_owner owner;      /* the request's; LEASE: the answer's */
		bool named;                 /* TAKE: the shared lease must name us already */
		bool relinquished;          /* RELINQUISH: its write was begun */
		uint32_t destroy_flags;
		struct hv_blockresize_req resize;
		struct hv_attach_rep attached;
	} pend;
	struct plug {                       /* devices that come and go (domplug.c) */
		struct dom_config *next;    /* attach: the domain with the device, owned; NULL: none is under way */
		struct dom_device dev;
		int fd[HVMSG_FDS_MAX];      /* owned, -1: taken */
		size_t n_fds;
		struct vdev *v;             /* owned, until it is one of devs */
		struct leases lease;        /* of the disk */
		struct hvconn *asker;       /* detach: who waits for the guest; NULL: nobody, or he left */
		uint64_t cookie;
		unsigned asked;             /* the place that the guest was asked to leave; 0: none */
		uint32_t gone;              /* bits: places that the guest left, and whose devices are still there */
		struct leaving leaving[DOM_PLACES_MAX]; /* the first one has its turn */
		size_t n_leaving;
		bool leaves;                /* its job is under way */
		struct loop_timer *timer, *again;
	} plug;
	/* a disk that failed */
	bool disk_paused;                   /* PAUSED for it; goes on when the disk does */
	bool watchdog_paused;               /* PAUSED by the watchdog */
	char watchdog_text[100];            /* what it found last */
	char disk_text[96];                 /* "disk vda: No space left on device" */
	struct loop_timer *boot_timer;      /* armed while a reboot waits for the disks */
	struct loop_timer *disk_timer;      /* armed while a disk holds requests back */
	uint64_t disk_told_ns;              /* when an error was logged last */
	uint64_t broken_told_ns;            /* when a broken device was logged last */
	/* the guest's file systems (frozen.c) */
	uint64_t thaw_at_ns;                /* they are frozen until then; 0: they are not, as far as we know */
	struct loop_timer *thaw_timer;
};

/* domain.c */
int domain_boot(struct domain *d, struct err *err) _must_check_;
void domain_ready(void *arg, const struct err *failed);
void domain_exited(void *arg, enum hv_exit how, const char *text);
void domain_broken(void *arg, const char *dev_name, const char *why);
/* The guest's processes are gone. Do @act, or just end if the domain is not ours. @quick: it crashed soon after its start. */
void domain_ended(struct domain *d, enum hv_event_kind kind, enum hv_dom_state state, enum dom_action act, bool quick, const char *text);
void domain_tell(struct domain *d, enum hv_event_kind kind, enum hv_dom_state state, const char *text);
void domain_tell_ready(struct domain *d, const struct err *failed);
void domain_set_state(struct domain *d, enum hv_dom_state s, const char *text);
void domain_end(struct domain *d, int exit_code);       /* leave the loop; clean-up follows in main */
void domain_leave(struct domain *d);                     /* the socket goes and the record of processes says "ending" */
void domain_throttle(struct domain *d, unsigned percent);
void domain_logdirty_off(struct domain *d);
/* Announce the guest's addresses on the network, now and again within half a minute, for links that are down at first. */
void domain_announce(struct domain *d);
/*
 * Lock the disks and write the leases: we own the domain in @generation; 0: one above the lease's. @must_be_named: the shared lease has to
 * name us in @generation already (a move). -ESTALE, -EPERM: another owner. The second function is the part that may wait for storage, for
 * any thread; the third one changes the domain.
 */
int domain_own(struct domain *d, uint64_t generation, bool must_be_named, struct err *err) _must_check_;
int domain_own_disks(struct domain *d, uint64_t *generation, bool must_be_named, struct err *err) _must_check_;
void domain_owned(struct domain *d, uint64_t generation);
/* Send @line to the guest's agent; its console's client, if there is one, is dropped. */
int domain_agent_say(struct domain *d, const char *line, struct err *err) _must_check_;

/* stop.c */
#define STOP_SYNC   1u              /* flush the disks, too */
#define STOP_UNLOCK 2u              /* release the disks' locks, too */
/*
 * Suspend the guest and quiesce its devices, from RUNNING or PAUSED; domain_go() undoes it. 0: done, stopping.took says in what time.
 * -EINPROGRESS: a disk has not answered yet; @then follows when it has, or with -ETIMEDOUT after STORAGE_NS. After any failure the guest
 * goes on as before.
 */
int domain_stop(struct domain *d, unsigned flags, void (*then)(struct domain *d, int r, struct err *err), struct err *err) _must_check_;
bool domain_stop_cancel(struct domain *d);      /* let the guest go on, without then(). False: too late */
int domain_go(struct domain *d, struct err *err) _must_check_;
/* A guest of ours stands still and cannot go on, and nobody waits for the answer: PAUSED, so that a person may try again or end it. */
void domain_stuck(struct domain *d, const struct err *why);
/* -@code and "disk vda has not answered for 12 s"; if no disk waits the text @other, NULL: the text that @err has. */
int domain_waits_err(const struct domain *d, int code, const char *other, struct err *err);
void domain_disk_error(void *arg, const char *dev_name, int code, bool read, bool held);
void domain_disk_room(void *arg);
void domain_disk_watch(struct domain *d);       /* after the guest began to run: act on requests that a disk holds back */

/* watchdog.c: devs_events, quiet() and silent() */
void domain_quiet(void *arg);
void domain_silent(void *arg);
/* The guest's watchdog device ran out: for struct hv_engine_env. */
void domain_watchdog(void *arg);

/*
 * frozen.c: the guest's file systems are frozen by its own agent for at most so long; 0: no more. -EBUSY: it does not run, or moves;
 * -ENOENT: it has no agent's port.
 */
int domain_frozen(struct domain *d, uint32_t seconds, struct err *err) _must_check_;
/* -EBUSY: a guest with frozen file systems does not go elsewhere. */
int domain_not_frozen(const struct domain *d, struct err *err) _must_check_;
uint32_t domain_frozen_s(const struct domain *d);   /* seconds until they are thawed; 0: they are not frozen */
/* domplug.c: devices that come and go */
void domain_unplugged(void *arg, unsigned place, const char *refused); /* for struct hv_engine_env */
/* The guest is gone, and has the devices again when it starts anew. */
void domain_plug_ended(struct domain *d);
/* The domain ends: what is under way is finished, for good or bad. May wait for storage. */
void domain_plug_done(struct domain *d);
void domain_plug_left(struct domain *d, const struct hvconn *conn); /* it closed */
/* Devices come or go right now: -EBUSY. */
int domain_plug_busy(const struct domain *d, struct err *err) _must_check_;

/* park.c: PARK and UNPARK. @lease_ns: boot_ns() at which the host's lease ends. -EINPROGRESS: domain_pend_done() follows */
int domain_park(struct domain *d, uint64_t lease_ns, struct err *err) _must_check_;
/* After a failure it is parked still; -ESTALE: another host took it over, and it ends. */
int domain_unpark(struct domain *d, uint64_t lease_ns, struct err *err) _must_check_;

/* dommem.c */
int dommem_new(struct domain *d, struct err *err) _must_check_;    /* fresh guest memory, all zeros, in place of any before */
int dommem_bitmap(struct domain *d, struct err *err) _must_check_; /* make the shared dirty bitmap, if there is none */
void dommem_done(struct domain *d);
/* xxh3-64 over memory: page index and content of each page that is not all zeros. */
int dommem_hash(struct domain *d, uint64_t *ret, struct err *err) _must_check_;

#endif
