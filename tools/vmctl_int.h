/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Shared by the files of vmctl: the command table's shape, how a domain is found, how hvdom is started. One thread.
 *
 * A command returns 0 or -errno with its reason in @err; vmctl.c prints that and makes it the exit status (1; 2 for wrong usage).
 */
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
#include "hypervisor/domcfg.h"
#include "hypervisor/hvcall.h"
#include "hypervisor/launch.h"

struct vmctl_cmd;

/* One call of the program. */
struct vmctl {
	const struct vmctl_cmd *cmd;
	bool json;           /* --json */
	char **arg;          /* what is left of the command line; borrowed */
	int n_args;
	unsigned flags;      /* bit i: option i of the command was given */
	const char *value[8]; /* of option i, when it takes one */
};

struct vmctl_option {
	const char *name;    /* without the dashes */
	const char *value;   /* what the value is called in the help; NULL: none */
	const char *help;
};

struct vmctl_cmd {
	const char *name;
	const char *args;    /* for the help: "DOMAIN FILE" */
	int min_args, max_args;
	bool has_json;
	const char *summary; /* one line */
	const char *help;    /* more, or NULL */
	struct vmctl_option option[8];
	int (*run)(struct vmctl *v, struct err *err);
};

static inline bool vmctl_opt(const struct vmctl *v, unsigned option) { return v->flags & (1u << option); }

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
int vmctl_define(struct vmctl *v, struct err *err);
int vmctl_undefine(struct vmctl *v, struct err *err);
int vmctl_dumpxml(struct vmctl *v, struct err *err);
int vmctl_start(struct vmctl *v, struct err *err);
int vmctl_list(struct vmctl *v, struct err *err);
int vmctl_dominfo(struct vmctl *v, struct err *err);
int vmctl_domstate(struct vmctl *v, struct err *err);
int vmctl_domstats(struct vmctl *v, struct err *err);
int vmctl_suspend(struct vmctl *v, struct err *err);
int vmctl_resume(struct vmctl *v, struct err *err);
int vmctl_shutdown(struct vmctl *v, struct err *err);
int vmctl_reboot(struct vmctl *v, struct err *err);
int vmctl_destroy(struct vmctl *v, struct err *err);
int vmctl_setmem(struct vmctl *v, struct err *err);
int vmctl_loglevel(struct vmctl *v, struct err *err);
int vmctl_console(struct vmctl *v, struct err *err);
int vmctl_save(struct vmctl *v, struct err *err);
int vmctl_restore(struct vmctl *v, struct err *err);

#endif
