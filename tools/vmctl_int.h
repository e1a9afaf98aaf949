/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Shared by the files of vmctl: its commands (cli.h), how a domain is found, how hvdom is started. One thread. */
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

/* Set by SIGINT, SIGTERM and SIGHUP after vmctl_catch_signals(). Long work polls it, and ends. */
extern volatile sig_atomic_t vmctl_stopped;
void vmctl_catch_signals(void);
/* Restore the default: the next signal ends the program. */
void vmctl_default_signals(void);

/* "<state>/domains/NAME.xml", malloc'd. -EINVAL: @name is not a valid name. */
int vmctl_definition_path(const char *name, char **ret, struct err *err) _must_check_;
bool vmctl_is_defined(const char *name);
/* Connect to a running domain. The text says whether it is unknown, shut off or dead. -ENOENT, -ECONNREFUSED, -EACCES; as hvcall_open(). */
int vmctl_connect(struct hvcall *c, const char *name, struct err *err) _must_check_;
/* True if an hvdom listens on the domain's socket. */
bool vmctl_is_running(const char *name);
/* Wait at most @ms milliseconds for the end of @name's hvdom, which is at the other end of @c. False: it has not ended. */
bool vmctl_wait_gone(struct hvcall *c, const char *name, unsigned ms);
/* The XML of the running domain at the other end of @c, malloc'd. */
int vmctl_running_xml(struct hvcall *c, char **ret, struct err *err) _must_check_;
const char *vmctl_state_name(uint32_t state);
/* Print @root, and release it. NULL counts as out of memory. */
int vmctl_print_json(json_t *root, struct err *err) _must_check_;
static inline void cleanup_hvcall(struct hvcall *c) { hvcall_close(c); }
#define _cleanup_hvcall_ __attribute__((cleanup(cleanup_hvcall)))

/* Start hvdom in a session of its own, and wait until it is ready. A start that fails or is interrupted leaves nothing behind. */
int vmctl_launch(struct hvlaunch *l, struct err *err) _must_check_;

/* Progress of long work: "text  42 %  120 MiB" on a terminal, nothing elsewhere. */
struct vmctl_progress {
	const char *text;
	uint64_t shown_ns;
	bool shown;
};
bool vmctl_progress_step(void *arg, uint64_t done_bytes, uint64_t total_bytes); /* false: vmctl_stopped is set */
void vmctl_progress_end(struct vmctl_progress *p);

/* The commands. */
int vmctl_define(struct cli *v, struct err *err);
int vmctl_seed(struct cli *v, struct err *err);
int vmctl_undefine(struct cli *v, struct err *err);
int vmctl_dumpxml(struct cli *v, struct err *err);
int vmctl_start(struct cli *v, struct err *err);
int vmctl_list(struct cli *v, struct err *err);
int vmctl_dominfo(struct cli *v, struct err *err);
int vmctl_domstate(struct cli *v, struct err *err);
int vmctl_domifaddr(struct cli *v, struct err *err);
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
