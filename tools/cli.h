/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The command line of a program with commands (vmctl, vmclus): options, help, wrong usage and exit status, all from one table. It knows
 * nothing of domains or clusters. One thread.
 */
#ifndef HOSPES_TOOLS_CLI_H
#define HOSPES_TOOLS_CLI_H

#include <errno.h>
#include <stdbool.h>
#include <stddef.h>
#include "common/cleanup.h"
#include "common/err.h"

#define CLI_OPTIONS_MAX 8
#define CLI_EUSAGE      EBADRQC /* of a command: its arguments make no sense together; nothing else returns this errno */

enum { CLI_DONE = 0, CLI_FAILED = 1, CLI_USAGE = 2 }; /* exit statuses; a program may have more */

/* One call of the program. */
struct cli {
	const struct cli_program *program;
	const struct cli_cmd *cmd;           /* NULL: none is known yet */
	bool json;                           /* --json */
	char **arg;                          /* what is left of the command line; borrowed */
	int n_args;
	unsigned flags;                      /* bit i: option i of the command was given */
	const char *value[CLI_OPTIONS_MAX];  /* of option i, when it takes one */
};

struct cli_option {
	const char *name;     /* without the dashes */
	const char *value;    /* what the value is called in the help; NULL: none */
	const char *help;
};

struct cli_cmd {
	const char *name;
	const char *args;     /* for the help: "DOMAIN FILE" */
	int min_args, max_args;
	bool has_json;
	const char *summary;  /* one line */
	const char *help;     /* more, or NULL */
	struct cli_option option[CLI_OPTIONS_MAX]; /* up to the first without a name */
	/* 0, a positive exit status, or -errno with its reason in @err, which cli_main() prints; -CLI_EUSAGE: with the usage. */
	int (*run)(struct cli *v, struct err *err);
	int (*program)(int argc, char **argv); /* instead of run: reads its own command line, and returns the exit status */
};

struct cli_program {
	const char *name;
	const char *intro;         /* one sentence, or two */
	const char *manual;        /* its page, for the help: "vmclus(8)"; NULL: not named there */
	const char *exit_statuses; /* for the help: "0 done, 1 failed" */
	const struct cli_cmd *cmd; /* n_cmds of them */
	size_t n_cmds;
	bool leading_json;         /* --json may stand before the command, too */
	bool json_failure;         /* with --json a failed command prints {"status":"failed","error":TEXT,"code":ERRNO}, too */
};

static inline bool cli_opt(const struct cli *v, unsigned option) { return v->flags & (1u << option); }

/* All that main() has to do. Returns the exit status. Sorts @argv; SIGPIPE is ignored from then on. */
int cli_main(const struct cli_program *p, int argc, char **argv) _must_check_;

#endif
