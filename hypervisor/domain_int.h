/* SPDX-License-Identifier: GPL-2.0-or-later */
/* The one domain of this hvdom: shared by domain.c (life), domcall.c (hypercalls), dommem.c (memory) and main.c (set-up). */
#ifndef HOSPES_HYPERVISOR_DOMAIN_INT_H
#define HOSPES_HYPERVISOR_DOMAIN_INT_H

#include "hypervisor/cgroup.h"
#include "hypervisor/conlog.h"
#include "hypervisor/dev/devs.h"
#include "hypervisor/domcfg.h"
#include "hypervisor/engine.h"
#include "hypervisor/guestmem.h"
#include "hypervisor/hvserver.h"
#include "hypervisor/lease.h"

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
	enum hv_dom_state state;
	char host[HV_NAME_MAX];             /* this host's name: the owner we write */
	uint64_t generation;                /* of this run */
	uint64_t forced_generation;         /* --generation; 0: the lease's plus one */
	bool force;                         /* --force: a lease of another host does not stop a start */
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
	char kernel_id[40];
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
	struct cgroup cgroup;               /* limits of the guest's processes */
	uint64_t last_dirty, last_clean_ns, dirty_per_s;
};

/* domain.c */
int domain_boot(struct domain *d, struct err *err) _must_check_;
void domain_ready(void *arg, const struct err *failed);
void domain_exited(void *arg, enum hv_exit how, const char *text);
void domain_broken(void *arg, const char *dev_name, const char *why);
void domain_silent(void *arg);
void domain_tell_ready(struct domain *d, const struct err *failed);
void domain_set_state(struct domain *d, enum hv_dom_state s, const char *text);
void domain_end(struct domain *d, int exit_code);       /* leave the loop; clean-up follows in main */
void domain_unlink_socket(struct domain *d);             /* nobody finds an ending domain */
/* Stop and quiet the devices; undone by domain_go(). */
int domain_stop(struct domain *d, struct hv_suspend_rep *rep, struct err *err) _must_check_;
int domain_go(struct domain *d, struct err *err) _must_check_;
void domain_throttle(struct domain *d, unsigned percent);
void domain_logdirty_off(struct domain *d);
/* Say where the guest is, now and some more times within half a minute: the first may meet a link that is down. */
void domain_announce(struct domain *d);
int domain_own(struct domain *d, uint64_t generation, bool must_be_named, struct err *err) _must_check_;
const char *domain_agent_say(struct domain *d, const char *line, struct err *err);

/* park.c */
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

#endif
