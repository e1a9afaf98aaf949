/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * One QEMU: shared by qemu.c (the ops), qvm.c (its process, monitor and end), qballoon.c, qhost.c and qhost_cpu.c (what this host
 * has). Main thread.
 */
#ifndef HOSPES_QEMU_QVM_INT_H
#define HOSPES_QEMU_QVM_INT_H

#include <stdbool.h>
#include <stdint.h>
#include "common/buf.h"
#include "common/util.h"
#include "hypervisor/api/domarch.h"
#include "hypervisor/api/firmware.h"
#include "hypervisor/engine.h"
#include "hypervisor/logdirty/logdirty.h"
#include "hypervisor/qemu/qmp.h"
#include "hypervisor/qemu/qtrack.h"

#define QVM_CALL_NS  (10 * NS_PER_S) /* limit of commands that QEMU executes at once */
#define QVM_START_NS (60 * NS_PER_S) /* limit of its start, up to its monitor's greeting; for a loaded host */

enum qvm_state { QVM_NONE, QVM_BOOTING, QVM_SUSPENDED, QVM_RUNNING };
enum qvm_reason { QVM_LOST, QVM_POWEROFF, QVM_REBOOT, QVM_PANIC };

struct qvm {
	const struct hv_engine_env *env;
	bool kvm;
	enum qvm_state state;   /* of the guest. NONE with a process: QEMU waits for a state */
	bool incoming;          /* it was started to wait for a state */
	bool hello, is_set_up;  /* its monitor was asked to leave negotiation; has its settings */
	pid_t pid;              /* 0: no QEMU */
	int pidfd;              /* -1: none */
	struct qmp *qmp;
	int serial, err;        /* our ends, -1: none */
	struct loop_fd *qmp_src, *serial_src, *err_src, *pid_src;
	struct loop_timer *boot_timer, *kick;
	enum qvm_reason reason; /* that QEMU gave for its end */
	uint64_t balloon_left;  /* what the balloon leaves it, as QEMU says; 0: not known */
	bool balloon_unknown;   /* QEMU is to be asked when the guest runs */
	struct loop_timer *ask; /* for the guest's statistics of its memory */
	int64_t asked;          /* the number of that question, 0: none is open */
	uint64_t mem_at_s, mem[HV_MEM_COUNT]; /* the last ones: hv_stats */
	bool watchdog_ran_out;  /* and hvdom was not told yet */
	int place_fd[DOM_PLACES_MAX]; /* listening sockets of places, -1: none */
	uint32_t gone, refused; /* bits: hvdom was not told yet that the device at this place is gone, or stays */
	int saved;              /* memory file with the guest's state since it was suspended; -1: not read yet */
	size_t saved_bytes;
	int code;               /* memory file with the firmware's code, as the process was given it; -1: none */
	uint64_t base[2];       /* its name (qstate.h); zeros: none */
	uint64_t base_bytes;    /* its size */
	struct qtrack_guest track;
	bool marks_seen;        /* by tracking */
	struct logdirty *log;
	char err_text[512];     /* the end of its standard error */
	size_t err_len;
};

/* qvm.c */
int qvm_timers(struct qvm *v, struct err *err) _must_check_;
int qvm_spawn(struct qvm *v, bool incoming, struct err *err) _must_check_;
/* Wait until the monitor is ready; for a QEMU that waits for a state. */
int qvm_await(struct qvm *v, struct err *err) _must_check_;
/* The code of the firmware that this host has for @cfg, which has one: read (*@ret_code is malloc'd), and its name as qstate_base(). */
int qvm_firmware(const struct dom_config *cfg, struct firmware *ret, char **ret_code, uint64_t ret_base[2],
                 struct err *err) _must_check_;
/* End it. Calls neither ready() nor exited(). */
void qvm_kill(struct qvm *v);
/* Execute a command on its monitor, as qmp_call(); events are handled from the loop. */
int qvm_call(struct qvm *v, const char *cmd, json_t *args, int fd, uint64_t limit_ns, struct err *err) _must_check_;
/* Write or read a state by @fd (a memory file): @cmd is "migrate" or "migrate-incoming". */
int qvm_migrate(struct qvm *v, const char *cmd, int fd, struct err *err) _must_check_;
void qvm_stats(const struct qvm *v, struct hv_stats *st);
void qvm_look(const struct qvm *v, struct hv_look *ret);

/* qballoon.c: the balloon, in octets that the guest keeps */
int qballoon_set(struct qvm *v, uint64_t target_bytes, struct err *err) _must_check_;
int qballoon_boot(struct qvm *v, struct err *err) _must_check_;  /* a machine that has not run yet */
void qballoon_said(struct qvm *v, const json_t *said);           /* the data of BALLOON_CHANGE, or an answer to query-balloon */
void qballoon_look(struct qvm *v);                               /* from the loop */
uint64_t qballoon_bytes(const struct qvm *v);                    /* that the guest gave away */
/*
 * What the guest says of its memory: QEMU asks it, each period of the document; a timer asks QEMU, whose answer is taken when it
 * comes. So nobody waits for either. watch: begin, with a machine that is SUSPENDED or RUNNING; ask: the timer's; heard: from the loop.
 */
void qballoon_watch(struct qvm *v);
void qballoon_ask(void *qvm);
void qballoon_heard(struct qvm *v);
/* QEMU's answer (hostile, NULL: none) as hv_stats has it; *@ret_at_s 0: the guest has said nothing. */
void qballoon_read(const json_t *said, uint64_t *ret_at_s, uint64_t ret[HV_MEM_COUNT]);
/* qplug.c: devices that come and go */
int qplug_add(struct qvm *v, const struct hv_plug *p, struct err *err) _must_check_;
int qplug_ask(struct qvm *v, unsigned place, struct err *err) _must_check_;
int qplug_serve(struct qvm *v, size_t dev, unsigned place, struct err *err) _must_check_; /* device @dev answers at @place's socket */
void qplug_event(struct qvm *v, const char *name, const json_t *data);
void qplug_tell(struct qvm *v); /* RUNNING, from the loop: what events said */

/* qhost.c: the program; what this host can run; what a state depends on */
const char *qhost_program(const struct dom_arch_info *arch);
/* @cfg, of that architecture, or NULL: any domain at all */
int qhost_probe(const struct dom_config *cfg, const struct dom_arch_info *arch, bool kvm, struct err *err) _must_check_;
/* The value of struct hv_engine_ops' pin for kvm. */
int qhost_pin(struct dom_config *cfg, const uint64_t baseline[CPU_FEATURE_WORDS], struct err *err) _must_check_;
int qhost_identity(const struct dom_config *cfg, const struct dom_arch_info *arch, bool kvm, char out[HV_IDENTITY_MAX],
                   struct err *err) _must_check_;
/* The same for a QEMU of @version, wherever that is from. */
int qhost_identity_of(const struct dom_config *cfg, const struct dom_arch_info *arch, bool kvm, const char *version,
                      char out[HV_IDENTITY_MAX], struct err *err) _must_check_;

/* qhost_cpu.c: can this host's QEMU give @cfg its processor? -ENOTSUP names the features that are missing. */
int qhost_cpu_check(const struct dom_config *cfg, bool kvm, struct err *err) _must_check_;

#endif
