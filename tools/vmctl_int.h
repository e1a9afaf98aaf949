/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Shared by the files of vmctl: its commands (cli.h); what they do is in vmhost.h. One thread. */
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
#include "tools/cli.h"
#include "tools/vmhost.h"

/* Set by SIGINT, SIGTERM and SIGHUP after vmctl_catch_signals(). Long work polls it, and ends. */
extern volatile sig_atomic_t vmctl_stopped;
void vmctl_catch_signals(void);
/* Restore the default: the next signal ends the program. */
void vmctl_default_signals(void);

/* Print @root, and release it. NULL counts as out of memory. */
int vmctl_print_json(const struct cli *v, json_t *root, struct err *err) _must_check_;
/* What to show while something takes long. */
extern const struct vmhost_while vmctl_while;

/* Give a guest that stood still this host's time, if it has an agent that answers; says so when that refuses. */
void vmctl_set_time(const char *name);

/* The commands. */
int vmctl_define(struct cli *v, struct err *err);
int vmctl_seed(struct cli *v, struct err *err);
int vmctl_image(struct cli *v, struct err *err);
int vmctl_create(struct cli *v, struct err *err);
int vmctl_undefine(struct cli *v, struct err *err);
int vmctl_dumpxml(struct cli *v, struct err *err);
int vmctl_start(struct cli *v, struct err *err);
int vmctl_list(struct cli *v, struct err *err);
int vmctl_dominfo(struct cli *v, struct err *err);
int vmctl_domstate(struct cli *v, struct err *err);
int vmctl_domifaddr(struct cli *v, struct err *err);
int vmctl_domfsfreeze(struct cli *v, struct err *err);
int vmctl_domfsthaw(struct cli *v, struct err *err);
int vmctl_domstats(struct cli *v, struct err *err);
int vmctl_suspend(struct cli *v, struct err *err);
int vmctl_resume(struct cli *v, struct err *err);
int vmctl_shutdown(struct cli *v, struct err *err);
int vmctl_reboot(struct cli *v, struct err *err);
int vmctl_destroy(struct cli *v, struct err *err);
int vmctl_setmem(struct cli *v, struct err *err);
int vmctl_attach_device(struct cli *v, struct err *err);
int vmctl_detach_device(struct cli *v, struct err *err);
int vmctl_blockresize(struct cli *v, struct err *err);
int vmctl_loglevel(struct cli *v, struct err *err);
int vmctl_console(struct cli *v, struct err *err);
int vmctl_vncdisplay(struct cli *v, struct err *err);
int vmctl_domdisplay(struct cli *v, struct err *err);
int vmctl_screenshot(struct cli *v, struct err *err);
int vmctl_save(struct cli *v, struct err *err);
int vmctl_restore(struct cli *v, struct err *err);

#endif
