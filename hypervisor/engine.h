/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The seam between hvdom and what runs a guest: one table of ops per engine, picked by the domain's type, and the contract that both sides
 * keep. tests/unit/conform.c holds every engine to it. ADR 74.
 *
 * All ops run on the main thread and are implemented. "vm" is the engine's own object, made by open() and freed by close(); it has at
 * most one guest, which is in one of four states:
 *
 *	NONE       no guest: after open(), kill(), exited(), ready() with an error, and a boot() or load() that failed
 *	BOOTING    after boot(), until ready(). Devices are served
 *	SUSPENDED  after ready(), load(), suspend(): the guest and its processor stand still, its memory changes only by devices
 *	RUNNING    after resume()
 *
 * What is refused changes nothing; what fails leaves the state as it was, but where an op says otherwise:
 *
 *	                        NONE       BOOTING    SUSPENDED  RUNNING
 *	boot, load              0          -EEXIST    -EEXIST    -EEXIST
 *	suspend, resume         -ESRCH     -EBUSY     0          0           (in its own state: 0, nothing is done)
 *	save                    -ESRCH     -EBUSY     0          -EBUSY
 *	logdirty_start          -ESRCH     -EBUSY     0          0           (-EALREADY when it is on)
 *	logdirty_collect        -EINVAL    -EINVAL    0          0           (-EINVAL when it is off)
 *	logdirty_audit          -EINVAL    -EINVAL    0          -EINVAL     (-EINVAL when it is off)
 *	logdirty_stop, input, stats, look, kill: in all states
 *
 * A guest may end at any moment, in any state. Until exited() is called for it, an op may fail with any error for that reason.
 * Pointers that an op gets are borrowed for the call; @err may be NULL; outputs are untouched on failure, but for a buf and a bitmap,
 * which may hold a part then.
 */
#ifndef HOSPES_HYPERVISOR_ENGINE_H
#define HOSPES_HYPERVISOR_ENGINE_H

#include <stdbool.h>
#include <stdint.h>
#include "common/buf.h"
#include "common/err.h"
#include "common/loop.h"
#include "hypervisor/dev/devs.h"
#include "hypervisor/api/domcfg.h"
#include "hypervisor/guestmem.h"
#include "hypervisor/api/hypercall.h"

enum hv_exit { HV_EXIT_POWEROFF, HV_EXIT_REBOOT, HV_EXIT_CRASH };

/* What the engine gets from hvdom; borrowed, outlives the vm. ready() and exited() come from the loop, never from within an op. */
struct hv_engine_env {
	struct loop *loop;
	const struct dom_config *cfg;
	/*
	 * Started by hvdom after open(). The engine connects them to the guest and tells them its memory; hvdom quiesces them after
	 * suspend(), and serves them again before boot() and before resume().
	 */
	struct devs *devs;
	/* hvdom's, and so is what is in it: all zeros at boot(), complete at load(). hvdom changes the region only in NONE. */
	struct guestmem *mem;
	uid_t uid;                  /* hvdom's, and the guest's */
	gid_t gid;
	int cpu;                    /* preferred CPU, -1: any */
	uint64_t generation;        /* of ownership, set before boot(): the guest is told */
	void *arg;
	/*
	 * Once for each boot() that returned 0, unless kill() came first. NULL: the guest is SUSPENDED, its memory is in @mem, and hvdom
	 * lets it go on, its devices first, with every queue kicked. Else @failed says why not: NONE.
	 */
	void (*ready)(void *arg, const struct err *failed);
	/*
	 * Once when a guest that was SUSPENDED or RUNNING ends by itself or is killed by others: NONE, its processes are gone, log-dirty is
	 * off. boot() may be called from within. @text is the call's.
	 */
	void (*exited)(void *arg, enum hv_exit how, const char *text);
	void (*output)(void *arg, const void *p, size_t len);   /* of the boot console */
	void (*process)(void *arg, pid_t pid);  /* the first process of the guest's is there: limit it and its descendants. From open() */
};

/* For the log and the watchdog: what the guest is at, and what it had of the processor and had to wait for it, in all. */
struct hv_look {
	uint64_t cpu_ns, waited_ns;
	bool runnable; /* wants a processor now, or has one */
	char text[160];
};

struct hv_engine_ops {
	const char *name;
	uint32_t caps;              /* HV_CAP_* */
	const struct vdev_transport_ops *transport; /* how its guests reach their devices */
	/* Can it run @cfg on this host? NULL: any domain at all? The text names cause and remedy. Privileged, before anything is opened. */
	int (*probe)(const struct dom_config *cfg, struct err *err);
	/*
	 * What a state of @cfg's guest depends on here, besides @cfg: a text in the engine's own form, empty if it depends on nothing.
	 * A state moves only between hosts with the same text. pv: the builds of guest kernel and libc. Called with privileges and without.
	 */
	int (*identity)(const struct dom_config *cfg, char out[HV_IDENTITY_MAX], struct err *err);
	/* Where the guest has its memory: regions of @cfg's memory size in all, as guestmem.h wants them. Returns how many. */
	unsigned (*regions)(const struct dom_config *cfg, struct guestmem_region ret[GUESTMEM_REGIONS_MAX]);
	/* After privileges were dropped, before threads are started. On failure there is no vm. */
	int (*open)(const struct hv_engine_env *env, void **ret_vm, struct err *err);
	/* Start a fresh guest: BOOTING, ready() follows. Also after exited(). On failure no guest is left. */
	int (*boot)(void *vm, struct err *err);
	/*
	 * Stop at a point from which save() and resume() can go on: -ETIMEDOUT after about @timeout_ms, it runs on then. Devices are served
	 * meanwhile: the guest may wait for one.
	 */
	int (*suspend)(void *vm, unsigned timeout_ms, struct err *err);
	int (*resume)(void *vm, struct err *err);
	/* Append the state: all that the guest is but its memory and its devices. The guest is as before, and may go on. */
	int (*save)(void *vm, struct buf *out, struct err *err);
	/*
	 * Rebuild a guest from a state, with @env->mem as it was when that was saved and the devices loaded: SUSPENDED, its devices
	 * connected; hvdom resumes them with every queue kicked. @in is hostile: -EINVAL. On failure no guest is left, and another state
	 * may be tried.
	 */
	int (*load)(void *vm, struct rd *in, struct err *err);
	/*
	 * Log-dirty: which pages of @env->mem may have changed, by the guest or its devices (guestmem_mark()). Off at first; the
	 * guest's end ends it.
	 *
	 * start leaves the guest as it was, SUSPENDED or RUNNING (which may stand still for a moment). @mode: HV_LOGDIRTY_*, *ret_mode:
	 * what was chosen. -EINVAL: no such mode. After any failure it is off.
	 *
	 * collect overwrites @bitmap (a bit a page of @mem's file) with what changed since the last collection with @clean. Without
	 * @clean the next one names these pages again. The first with @clean names every page that is not all zeros. After a failure
	 * the next names what this one lost. The guarantee: who begins with zeros, and copies what each collection with @clean names,
	 * after it and before the next one, be the guest running or not, has the guest's memory after one that was made SUSPENDED. So
	 * also a page is named that changed, was copied, and changed back. A page too many is no fault.
	 *
	 * audit, SUSPENDED and after a collection with @clean since it is so: the pages whose content is not that which was collected,
	 * into @bitmap, and their number. 0 is right. What devices wrote in between is found, too. HV_LOGDIRTY_NONE compares
	 * nothing: there, the pages that no collection named. -EINVAL where start was told no @audit and it cannot do without.
	 */
	int (*logdirty_start)(void *vm, uint32_t mode, bool audit, uint32_t *ret_mode, struct err *err);
	int (*logdirty_collect)(void *vm, bool clean, uint64_t *bitmap, uint64_t *ret_dirty, struct err *err);
	int (*logdirty_audit)(void *vm, uint64_t *bitmap, uint64_t *ret_missed, struct err *err);
	void (*logdirty_stop)(void *vm);
	/* Input typed at the boot console. Where nobody reads it, it is lost. */
	void (*input)(void *vm, const void *p, size_t len);
	void (*stats)(void *vm, struct hv_stats *st);   /* cpu_ns, processes, hv_rss_bytes of engine helpers */
	void (*look)(void *vm, struct hv_look *ret);
	void (*kill)(void *vm);                         /* NONE: the guest's processes are gone when it returns; no ready(), no exited() */
	void (*close)(void *vm);                        /* in any state, kill() included; takes NULL */
};

extern const struct hv_engine_ops hv_engine_pv;

/* The engines that domains ask for (dom_engine()); a name of NULL at the end. ops NULL: not part of this version. */
struct hv_engine {
	const char *name;
	const struct hv_engine_ops *ops;
};
extern const struct hv_engine hv_engines[];
/* The engine for @cfg's domain type. */
const struct hv_engine *hv_engine_for(const struct dom_config *cfg);
/* Can it run @cfg here? As the op of that name. */
int hv_engine_probe(const struct hv_engine *e, const struct dom_config *cfg, struct err *err) _must_check_;

#endif
