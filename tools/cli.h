/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The command line of a program with commands (vmctl, vmmig, vmclus): options, help, wrong usage and exit status, all from one table. It
 * knows nothing of domains or clusters. One thread.
 */
#ifndef HOSPES_TOOLS_CLI_H
#define HOSPES_TOOLS_CLI_H

#include <errno.h>
#include <jansson.h>
#include <stdbool.h>
#include <stddef.h>
#include "common/cleanup.h"
#include "common/err.h"

#define CLI_OPTIONS_MAX 20
#define CLI_EUSAGE      EBADRQC /* a command returns -CLI_EUSAGE for arguments that are wrong or do not go together; nothing else does */

enum { CLI_DONE = 0, CLI_FAILED = 1, CLI_USAGE = 2 }; /* exit statuses; a program may have others from 3 on */

/* One call of the program. */
struct cli {
	const struct cli_program *program;
	const struct cli_cmd *cmd;           /* NULL: not known yet */
	bool json;                           /* --json was given */
	char **arg;                          /* the arguments, without the options; borrowed */
	int n_args;
	unsigned flags;                      /* bit i: option i of the command was given */
	const char *value[CLI_OPTIONS_MAX];  /* of option i; NULL: not given, or it takes none */
};

struct cli_option {
	const char *name;     /* without the dashes */
	const char *value;    /* its name in the help; NULL: the option takes none */
	const char *help;
};

struct cli_cmd {
	const char *name;
	const char *args;     /* "DOMAIN FILE": shown in the help, and checked; "[FILE]" may be left out, "..." is any number more */
	bool has_json;
	bool dashes;          /* arguments may begin with dashes; there are no options but --json and --help */
	const char *summary;  /* one line */
	const char *help;     /* what the help says besides; NULL: no more */
	struct cli_option option[CLI_OPTIONS_MAX]; /* up to the first without a name */
	/* 0, a positive exit status, or -errno with the text, which cli_main() prints. With -CLI_EUSAGE it prints the usage, too. */
	int (*run)(struct cli *v, struct err *err);
};

struct cli_program {
	const char *name;
	const char *intro;         /* what it is for: one sentence, or two */
	const char *manual;        /* its manual page, which the help names: "vmclus(8)"; NULL: it names none */
	const char *exit_statuses; /* for the help: "0 done, 1 failed" */
	const struct cli_cmd *cmd; /* n_cmds of them */
	size_t n_cmds;
	bool leading_json;         /* --json may also stand before the command */
	bool json_failure;         /* with --json a failed command also prints {"status":"failed","error":TEXT,"code":ERRNO} */
};

static inline bool cli_opt(const struct cli *v, unsigned option) { return v->flags & (1u << option); }

/* The number @text, from @min to @max. -CLI_EUSAGE with the text, which begins with @what. */
int cli_number(const char *what, const char *text, double min, double max, double *ret, struct err *err) _must_check_;
/* The value of @option as a number. *@ret stays as it is when the option was not given. */
int cli_opt_number(const struct cli *v, unsigned option, double min, double max, double *ret, struct err *err) _must_check_;
/* What --json prints: one line on standard output, flushed. docs/json/ has the schemas. */
void cli_print_json(const struct cli *v, const json_t *o);
void cli_print_json_new(const struct cli *v, json_t *o); /* the same, and releases @o */
/*
 * For tests, which compare it with the schemas: with HOSPES_JSON_LOG=FILE in the environment each value that is printed is appended to
 * FILE, as one line {"program":..., "command":..., "value":...}. Who prints by other means calls this.
 */
void cli_log_json(const struct cli *v, const json_t *o);
/* "[####......]" of @width cells into @to, which has room for @width + 3 octets. Returns @to. */
const char *cli_bar(char *to, unsigned width, double part, double whole);

/* Carry out the command line; main() does nothing else. Returns the exit status. Reorders @argv, and ignores SIGPIPE from then on. */
int cli_main(const struct cli_program *p, int argc, char **argv) _must_check_;

#endif
