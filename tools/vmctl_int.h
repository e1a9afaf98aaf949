/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Shared by the files of vmctl: its commands (as cli.h wants them), how a domain is found, how hvdom is started. One thread. */
#ifndef HOSPES_TOOLS_VMCTL_INT_H
#define HOSPES_TOOLS_VMCTL_INT_H

#include <jansson.h>
#include <signal.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>
#include "common/cleanup.h"
#include "common/err.h"
#include "hypervisor/api/domcfg.h"
#include "hypervisor/api/hvcall.h"
#include "hypervisor/api/launch.h"
#include "tools/cli.h"

/* Set by SIGINT, SIGTERM and SIGHUP once vmctl_catch_signals() was called: long work looks at it. */
extern volatile sig_atomic_t vmctl_stopped;
void vmctl_catch_signals(void);
/* Back to the default: the next signal ends the program. */
void vmctl_default_signals(void);

/* "<state>/domains/NAME.xml", malloc'd. -EINVAL: no name. */
int vmctl_definition_path(const char *name, char **ret, struct err *err) _must_check_;
bool vmctl_is_defined(const char *name);
/* Connect to a running domain; the error says whether it is unknown, shut off, or dead. */
int vmctl_connect(struct hvcall *c, const char *name, struct err *err) _must_check_;
/* 0: not running (never started, ended or dead), 1: running. */
int vmctl_is_running(const char *name);
/* Wait until the hvdom at the other end of @c, that of @name, is gone. False: it is still there after @ms. */
bool vmctl_wait_gone(struct hvcall *c, const char *name, unsigned ms);
/* The XML of a running domain, malloc'd. */
int vmctl_running_xml(struct hvcall *c, char **ret, struct err *err) _must_check_;
const char *vmctl_state_name(uint32_t state);
/* Print and release @root (takes NULL as out of memory). */
int vmctl_print_json(json_t *root, struct err *err) _must_check_;
static inline void cleanup_hvcall(struct hvcall *c) { hvcall_close(c); }
#define _cleanup_hvcall_ __attribute__((cleanup(cleanup_hvcall)))

/* Start hvdom in a session of its own and wait until it says that it is ready. A failed or interrupted start leaves nothing. */
int vmctl_launch(struct hvlaunch *l, struct err *err) _must_check_;

/* Progress of long work on a terminal: "text  42 %  120 MiB"; nothing elsewhere. */
struct vmctl_progress {
	const char *text;
	uint64_t shown_ns;
	bool shown;
};
bool vmctl_progress_step(void *arg, uint64_t done_bytes, uint64_t total_bytes); /* false: vmctl_stopped */
void vmctl_progress_end(struct vmctl_progress *p);

/* The commands. */
int vmctl_define(struct cli *v, struct err *err);
int vmctl_undefine(struct cli *v, struct err *err);
int vmctl_dumpxml(struct cli *v, struct err *err);
int vmctl_start(struct cli *v, struct err *err);
int vmctl_list(struct cli *v, struct err *err);
int vmctl_dominfo(struct cli *v, struct err *err);
int vmctl_domstate(struct cli *v, struct err *err);
int vmctl_domstats(struct cli *v, struct err *err);
int vmctl_suspend(struct cli *v, struct err *err);
int vmctl_resume(struct cli *v, struct err *err);
int vmctl_shutdown(struct cli *v, struct err *err);
int vmctl_reboot(struct cli *v, struct err *err);
int vmctl_destroy(struct cli *v, struct err *err);
int vmctl_setmem(struct cli *v, struct err *err);
int vmctl_loglevel(struct cli *v, struct err *err);
int vmctl_console(struct cli *v, struct err *err);
int vmctl_save(struct cli *v, struct err *err);
int vmctl_restore(struct cli *v, struct err *err);

#endif
