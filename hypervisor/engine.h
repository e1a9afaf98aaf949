/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The seam between hvdom and what runs a guest. One table of ops per engine; hvdom picks by the domain type. All ops run on
 * the main thread; every one is implemented. "vm" is the engine's own object, made by open() and freed by close().
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

/* What the engine gets from hvdom; outlives the vm. */
struct hv_engine_env {
	struct loop *loop;
	const struct dom_config *cfg;
	struct devs *devs;          /* started by hvdom after open() */
	struct guestmem *mem;       /* the domain's memory. incoming: ready at open(); boot: the engine fills it before ready() */
	uid_t uid;                  /* hvdom's, and the guest's */
	gid_t gid;
	int cpu;                    /* preferred CPU, -1: any */
	uint64_t generation;        /* of ownership, set before boot(): the guest is told */
	void *arg;
	void (*ready)(void *arg, const struct err *failed);     /* boot() came to its end: the guest runs, or @failed says why not */
	void (*exited)(void *arg, enum hv_exit how, const char *text);  /* the guest ended; its processes are gone */
	void (*output)(void *arg, const void *p, size_t len);   /* of the boot console */
	void (*process)(void *arg, pid_t pid);  /* the first process of the guest's is there: limit it and its descendants */
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
	/* Can it run @cfg on this host? NULL: any domain at all? The text names cause and remedy. Privileged, before anything is opened. */
	int (*probe)(const struct dom_config *cfg, struct err *err);
	/* Hex identity of the guest's kernel for struct hv_hello: equal means that a state may move between the two. */
	int (*kernel_id)(const struct dom_config *cfg, char out[40], struct err *err);
	/* After privileges were dropped, before threads are started. */
	int (*open)(const struct hv_engine_env *env, void **ret_vm, struct err *err);
	/* Start a fresh guest; ready() follows. Also after exited(REBOOT). */
	int (*boot)(void *vm, struct err *err);
	/* Stop at a safe point / go on. Devices are not the engine's: quiesce them after, resume them before. */
	int (*suspend)(void *vm, unsigned timeout_ms, struct err *err);
	int (*resume)(void *vm, struct err *err);
	/* While suspended: append the state. */
	int (*save)(void *vm, struct buf *out, struct err *err);
	/* Incoming: rebuild from a state with memory complete; attaches the devices' connections; ends suspended. */
	int (*load)(void *vm, struct rd *in, struct err *err);
	/* Log-dirty; see hypervisor/pv/logdirty.h for the meaning. start suspends for a moment when the guest runs. */
	int (*logdirty_start)(void *vm, uint32_t mode, bool audit, uint32_t *ret_mode, struct err *err);
	int (*logdirty_collect)(void *vm, bool clean, uint64_t *bitmap, uint64_t *ret_dirty, struct err *err);
	int (*logdirty_audit)(void *vm, uint64_t *bitmap, uint64_t *ret_missed, struct err *err);
	void (*logdirty_stop)(void *vm);
	/* Input typed at the boot console. */
	void (*input)(void *vm, const void *p, size_t len);
	void (*stats)(void *vm, struct hv_stats *st);   /* cpu_ns, processes, hv_rss_bytes of engine helpers */
	void (*look)(void *vm, struct hv_look *ret);
	void (*kill)(void *vm);                         /* end the guest's processes now; no exited() */
	void (*close)(void *vm);                        /* takes NULL */
};

extern const struct hv_engine_ops hv_engine_pv;
extern const struct hv_engine_ops hv_engine_kvm;

/* All engines, NULL at the end. */
extern const struct hv_engine_ops *const hv_engines[];
/* The engine for @cfg's domain type. */
const struct hv_engine_ops *hv_engine_for(const struct dom_config *cfg);

#endif
