/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The seam between hvdom and its engines: one table of ops per engine, chosen by the domain's type, and the contract that both sides
 * keep. tests/unit/conform.c checks every engine against it. ADR 74.
 *
 * All ops run on the main thread, and a table has all of them. "vm" is the engine's own object, made by open() and freed by close(). It
 * has at most one guest, in one of four states:
 *
 *	NONE       no guest: after open(), kill(), exited(), ready() with an error, and a boot() or load() that failed
 *	BOOTING    after boot(), until ready(). Devices are served
 *	SUSPENDED  after ready(), load(), suspend(): the guest and its processor stand still, only devices change its memory
 *	RUNNING    after resume()
 *
 * A refused op changes nothing. A failed op leaves the state as it was, except where the op says otherwise:
 *
 *	                        NONE       BOOTING    SUSPENDED  RUNNING
 *	boot, load              0          -EEXIST    -EEXIST    -EEXIST
 *	suspend, resume         -ESRCH     -EBUSY     0          0           (in its own state: 0, nothing is done)
 *	save                    -ESRCH     -EBUSY     0          -EBUSY
 *	logdirty_start          -ESRCH     -EBUSY     0          0           (-EALREADY when it is on)
 *	logdirty_collect        -EINVAL    -EINVAL    0          0           (-EINVAL when it is off)
 *	logdirty_audit          -EINVAL    -EINVAL    0          -EINVAL     (-EINVAL when it is off)
 *	balloon                 -ESRCH     -EBUSY     0          0           (-ENOSYS, -EOPNOTSUPP: see there)
 *	logdirty_stop, logdirty_method, input, balloon_bytes, base, stats, look, kill: in all states
 *	screen_client, screenshot -ESRCH      -EBUSY     0          0
 *
 * A guest may end at any moment, in any state. From then until exited() is called, an op may fail with any error.
 * Pointers that an op gets are borrowed for the call. @err may be NULL. Outputs are untouched on failure, except a buf and a bitmap, which
 * may hold a part then.
 */
#ifndef HOSPES_HYPERVISOR_ENGINE_H
#define HOSPES_HYPERVISOR_ENGINE_H

#include <stdbool.h>
#include <stdint.h>
#include "common/buf.h"
#include "common/err.h"
#include "common/loop.h"
#include "hypervisor/dev/devs.h"
#include "hypervisor/api/cpufeat.h"
#include "hypervisor/api/domcfg.h"
#include "hypervisor/guestmem.h"
#include "hypervisor/api/hypercall.h"

enum hv_exit { HV_EXIT_POWEROFF, HV_EXIT_REBOOT, HV_EXIT_CRASH };

/* What hvdom gives the engine. Borrowed; outlives the vm. The engine calls ready() and exited() from the loop, never within an op. */
struct hv_engine_env {
	struct loop *loop;
	const struct dom_config *cfg;
	/*
	 * hvdom starts them after open(), quiesces them after suspend(), and resumes them before boot() and before resume(). The engine
	 * connects them to the guest and sets their memory (devs_set_mem()).
	 */
	struct devs *devs;
	/* Owned by hvdom, content included: all zeros at boot(), complete at load(). hvdom replaces it in NONE only. */
	struct guestmem *mem;
	uid_t uid;                  /* of hvdom and of the guest's processes */
	gid_t gid;
	int cpu;                    /* preferred CPU, -1: any */
	uint64_t generation;        /* of ownership, set before boot(); the guest's command line names it */
	/* What identity() said of @cfg, HV_IDENTITY_MAX octets. An engine whose program says later that it is another one replaces it. */
	char *identity;
	void *arg;
	/*
	 * Once for each boot() that returned 0, unless kill() came first. @failed NULL: the guest is SUSPENDED and its memory is in @mem;
	 * hvdom resumes the devices, with every queue kicked, then the guest. Else @failed says why the boot failed: NONE.
	 */
	void (*ready)(void *arg, const struct err *failed);
	/*
	 * Once when a guest that was SUSPENDED or RUNNING ends by itself or is killed by somebody else: NONE, its processes are gone,
	 * log-dirty is off. hvdom may call boot() from within. @text (for people) is borrowed for the call.
	 */
	void (*exited)(void *arg, enum hv_exit how, const char *text);
	/*
	 * The device at @place is not the guest's any more: because of unplug(), maybe long ago, or by the guest's own choice. @refused
	 * (static text): it was asked, and says no. RUNNING.
	 */
	void (*unplugged)(void *arg, unsigned place, const char *refused);
	void (*watchdog)(void *arg); /* the guest's watchdog device ran out. RUNNING; hvdom may call any op from within */
	void (*output)(void *arg, const void *p, size_t len);   /* of the boot console */
	void (*process)(void *arg, pid_t pid);  /* from open(): the guest's first process exists; hvdom limits it and its descendants */
};

/* What the guest is doing, for the log and the watchdog. */
struct hv_look {
	uint64_t cpu_ns, waited_ns; /* processor time since its start, and time that it waited for a processor */
	bool runnable;              /* it wants a processor now, or has one */
	char text[160];             /* for people */
};

/* A disk or a NIC that a guest is given while it runs; its place says where in the machine. */
struct hv_plug {
	size_t index;               /* in env->devs */
	const struct dom_disk *disk;
	const struct dom_nic *nic;  /* one of the two is NULL */
};

struct hv_engine_ops {
	const char *name;
	uint32_t caps;              /* HV_CAP_* */
	const struct vdev_transport_ops *transport; /* how its guests reach their devices */
	const char *device;         /* a device node that its processes open by themselves: hvdom keeps the group that may. NULL: none */
	/*
	 * Can it run @cfg (NULL: any domain at all), which is within dom_config_limits(), on this host? @err names cause and remedy.
	 * Called with privileges, before open().
	 */
	int (*probe)(const struct dom_config *cfg, struct err *err);
	/*
	 * Before the first boot of a start, not of an incoming domain: decide in @cfg what the host would decide else, so that identity()
	 * and the XML name it. @baseline: features (cpufeat.h) that the guest's processor may have. Called with privileges, before open().
	 */
	int (*pin)(struct dom_config *cfg, const uint64_t baseline[CPU_FEATURE_WORDS], struct err *err);
	/*
	 * What a state of @cfg's guest depends on, on this host, besides @cfg: a text in the engine's own form; empty: nothing. A state
	 * moves only between hosts with the same text. pv: the builds of guest kernel and libc. Called with privileges and without.
	 * @cfg NULL: the part that is the same for all guests of the engine on this host, for people, too ("7.2.22 tcg"); empty:
	 * none.
	 */
	int (*identity)(const struct dom_config *cfg, char out[HV_IDENTITY_MAX], struct err *err);
	/*
	 * Does the engine's program promise that its later versions load a state of @cfg's guest? Then identity() may differ so far, in
	 * this direction (common/builds.h).
	 */
	bool (*newer)(const struct dom_config *cfg);
	/* Where the guest's memory is: fill @ret with regions of @cfg's memory size in total (guestmem.h), return their number. */
	unsigned (*regions)(const struct dom_config *cfg, struct guestmem_region ret[GUESTMEM_REGIONS_MAX]);
	/* Make the vm: after privileges are dropped, before threads are started. On failure there is none. */
	int (*open)(const struct hv_engine_env *env, void **ret_vm, struct err *err);
	/* Start a fresh guest: BOOTING, ready() follows. Allowed again after exited(). On failure: NONE. */
	int (*boot)(void *vm, struct err *err);
	/*
	 * Stop the guest at a point where save() and resume() can continue. -ETIMEDOUT after about @timeout_ms: it runs on. Devices are
	 * served meanwhile, since the guest may wait for one.
	 */
	int (*suspend)(void *vm, unsigned timeout_ms, struct err *err);
	int (*resume)(void *vm, struct err *err);
	/*
	 * Append the guest's state to @out: everything but memory and devices. The guest is unchanged and may go on. @base: what base() of
	 * the vm that will load it says; what that has the state may leave out. NULL or zeros: any vm can load it.
	 */
	int (*save)(void *vm, const uint64_t base[2], struct buf *out, struct err *err);
	/*
	 * The name of what this vm has already of a state that it may load, the same in all vms that have the same; zeros: nothing.
	 * Returns how many octets of a state that is. NULL, here and below: an engine whose states need all that is in them.
	 */
	uint64_t (*base)(void *vm, uint64_t ret[2]);
	/*
	 * The same of the vm that this host would make for @cfg; nothing also if it cannot be read. Called with privileges, before
	 * open().
	 */
	uint64_t (*base_of)(const struct dom_config *cfg, uint64_t ret[2]);
	/*
	 * Rebuild a guest from a state: SUSPENDED, its devices connected; hvdom resumes them with every queue kicked. @env->mem is as it
	 * was at save(), the devices are loaded. @in is hostile: -EINVAL. On failure: NONE, and another state may be tried.
	 */
	int (*load)(void *vm, struct rd *in, struct err *err);
	/*
	 * Log-dirty: which pages of @env->mem may have changed, by the guest or by devices (guestmem_mark()). It is off at first, and
	 * after the guest's end.
	 *
	 * start leaves the guest SUSPENDED or RUNNING, as it was; a running one may stand still for a moment. @mode: HV_LOGDIRTY_*;
	 * *ret_mode: the mode that was chosen. -EINVAL: no such mode. After any failure log-dirty is off.
	 *
	 * collect overwrites @bitmap (one bit per page of @mem's file) with the pages that changed since the last collection with @clean.
	 * Without @clean the next collection names them again. The first one with @clean names every page that is not all zeros. After a
	 * failure the next collection names what this one lost. The guarantee: a copy begins with zeros, and after each collection with
	 * @clean, before the next one, gets the pages that it named, while the guest runs or not. Then the copy equals the guest's memory
	 * after a collection that was made SUSPENDED. So a page that changed, was copied, and changed back is named again. A page too
	 * many is no fault.
	 *
	 * audit, SUSPENDED, after a collection with @clean that was made SUSPENDED, too: puts the pages whose content differs from what
	 * was collected into @bitmap, and their number (right: 0) into *ret_missed. What devices wrote in between is found as well.
	 * HV_LOGDIRTY_NONE compares nothing and gives the pages that no collection named. -EINVAL: start had no @audit, and this mode
	 * needs it.
	 */
	int (*logdirty_start)(void *vm, uint32_t mode, bool audit, uint32_t *ret_mode, struct err *err);
	int (*logdirty_collect)(void *vm, bool clean, uint64_t *bitmap, uint64_t *ret_dirty, struct err *err);
	int (*logdirty_audit)(void *vm, uint64_t *bitmap, uint64_t *ret_missed, struct err *err);
	void (*logdirty_stop)(void *vm);
	uint32_t (*logdirty_method)(void *vm);          /* HV_LOGDIRTY_BY_*: how it is done; off: how it would be, if that is known */
	/* RUNNING: press the guest's power button, which it may heed or not. -ENOTSUP: it has none; -ESRCH, -EBUSY as suspend. */
	int (*powerdown)(void *vm, struct err *err);
	/*
	 * Ask the guest to keep @target_bytes of its memory: 0 says nothing about what it does. -ENOSYS: the engine has no balloon of its
	 * own, hvdom's device is asked; -EOPNOTSUPP: the domain has none; -ESRCH, -EBUSY as suspend, but in SUSPENDED and RUNNING alike.
	 */
	int (*balloon)(void *vm, uint64_t target_bytes, struct err *err);
	uint64_t (*balloon_bytes)(void *vm);            /* memory that the engine's own balloon has; 0: none, or not known */
	/*
	 * RUNNING: show the guest a device that the domain has since a moment ago. -ENOTSUP: an engine without places. On failure the guest
	 * has not got it. unplug asks the guest to let the device at @place go; unplugged() follows, or not. -ESRCH, -EBUSY as suspend.
	 */
	int (*plug)(void *vm, const struct hv_plug *p, struct err *err);
	int (*unplug)(void *vm, unsigned place, struct err *err);
	/*
	 * A client of the guest's screen (VNC): @fd is a stream socket to it, owned from now on, also on failure. The engine serves it
	 * until one of the two closes it or the guest ends. The domain's password is the engine's to ask for. -ENOTSUP: its guests have
	 * no screen; -ESRCH, -EBUSY as suspend.
	 */
	int (*screen_client)(void *vm, int fd, struct err *err);
	/*
	 * A picture of screen @screen as PNG: a sealed memory file of the picture's size, owned by the caller. -ENOTSUP, -ENOENT: there is
	 * no such screen; -ESRCH, -EBUSY as suspend.
	 */
	int (*screenshot)(void *vm, unsigned screen, struct err *err);
	/* Input typed at the boot console; lost if the guest does not read it. */
	void (*input)(void *vm, const void *p, size_t len);
	void (*stats)(void *vm, struct hv_stats *st);   /* cpu_ns, processes, hv_rss_bytes of engine helpers, mem: never waits */
	void (*look)(void *vm, struct hv_look *ret);
	void (*kill)(void *vm);                         /* NONE: the guest's processes are gone at return; no ready(), no exited() */
	void (*close)(void *vm);                        /* kill() and free @vm, in any state; takes NULL */
};

extern const struct hv_engine_ops hv_engine_pv, hv_engine_qemu, hv_engine_kvm, hv_engine_qemu_aarch64;

/* All engines that a domain type can name (dom_engine()), up to a name of NULL. */
struct hv_engine {
	const char *name;
	const struct hv_engine_ops *ops;
};
extern const struct hv_engine hv_engines[];
/* The engine for @cfg's domain type. */
const struct hv_engine *hv_engine_for(const struct dom_config *cfg);

#endif
