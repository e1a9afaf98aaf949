/* SPDX-License-Identifier: GPL-2.0-or-later */
/* vmclus: the cluster, from any of its hosts. This file: the commands and their options; the rest is vmclus_*.c. */
#include "config.h"
#include "tools/vmclus_int.h"
#include "tools/vmclus_simulate.h"

#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include "common/util.h"

static const struct vmclus_cmd commands[] = {
	{ .name = "status",
	  .args = "",
	  .has_json = true,
	  .run = vmclus_status,
	  .summary = "show hosts and domains",
	  .option = { { "watch", NULL, "again at each change and once a second" } } },
	{ .name = "top",
	  .args = "",
	  .run = vmclus_top,
	  .summary = "hosts, loads, domains and migrations, live",
	  .help = "Keys: q quits; up, down, page up, page down choose a domain; n, h, s, c, m sort by name, host, state, CPU, memory; "
	          "r reverses." },
	{ .name = "define",
	  .args = "FILE",
	  .min_args = 1,
	  .max_args = 1,
	  .run = vmclus_define,
	  .summary = "make a domain known to the cluster, from its XML (\"-\": standard input)",
	  .help = "Defining a known UUID again changes it from its next start on. It is not started: vmclus start." },
	{ .name = "undefine",
	  .args = "NAME",
	  .min_args = 1,
	  .max_args = 1,
	  .run = vmclus_undefine,
	  .summary = "forget a stopped domain; its disks stay" },
	{ .name = "start",
	  .args = "NAME",
	  .min_args = 1,
	  .max_args = 1,
	  .run = vmclus_start,
	  .summary = "let a domain run, now and after failures, on the host that fits best",
	  .option = { { "no-wait", NULL, "do not wait until it runs" },
	              { "timeout", "SECONDS", "stop waiting after so long (the order stands)" } } },
	{ .name = "stop",
	  .args = "NAME",
	  .min_args = 1,
	  .max_args = 1,
	  .run = vmclus_stop,
	  .summary = "power a domain off, and keep it off",
	  .option = { { "no-wait", NULL, "do not wait until it is off" },
	              { "timeout", "SECONDS", "stop waiting after so long (the order stands)" } } },
	{ .name = "move",
	  .args = "NAME HOST",
	  .min_args = 2,
	  .max_args = 2,
	  .has_json = true,
	  .run = vmclus_move,
	  .summary = "move a running domain to a host, live",
	  .option = { { "no-wait", NULL, "do not wait until it is there" } } },
	{ .name = "balance",
	  .args = "",
	  .has_json = true,
	  .run = vmclus_balance,
	  .summary = "plan moves that even out the load, ask, and carry them out",
	  .help = "Says so and moves nothing when no move is worth its cost.",
	  .option = { { "dry-run", NULL, "show the plan only" },
	              { "yes", NULL, "do not ask" },
	              { "auto", "on|off", "let the cluster do so by itself; moves nothing now" },
	              { "max-moves", "N", "at most so many moves" } } },
	{ .name = "drain",
	  .args = "HOST",
	  .min_args = 1,
	  .max_args = 1,
	  .has_json = true,
	  .run = vmclus_drain,
	  .summary = "maintenance: move everything away from a host, and place nothing there",
	  .option = { { "undo", NULL, "the host takes domains again" },
	              { "no-wait", NULL, "do not wait until it is empty" } } },
	{ .name = "rules",
	  .args = "add KIND MEMBER... | list | remove ID",
	  .min_args = 1,
	  .max_args = 18,
	  .has_json = true,
	  .run = vmclus_rules,
	  .summary = "what may run where, and beside what",
	  .help = "KIND MEMBER...:\n"
	          "  together DOMAIN DOMAIN...          on one host\n"
	          "  apart DOMAIN DOMAIN...             no two of them on one host\n"
	          "  hosts DOMAIN HOST|label=WORD...    only there; with --never: not there\n"
	          "  conflict TYPE TYPE...              domains of different ones of these types never share a host",
	  .option = { { "soft", NULL, "a wish, not a must" }, { "never", NULL, "hosts: where it may not run" } } },
	{ .name = "explain",
	  .args = "NAME",
	  .min_args = 1,
	  .max_args = 1,
	  .has_json = true,
	  .run = vmclus_explain,
	  .summary = "say for each host why a domain may run there or not" },
	{ .name = "fence",
	  .args = "confirm HOST",
	  .min_args = 2,
	  .max_args = 2,
	  .run = vmclus_fence,
	  .summary = "tell the cluster that a lost host is off, by your word",
	  .help = "The domains of that host then start elsewhere at once. If it still runs them there will be TWO copies writing to\n"
	          "the same disks. Look at the machine first: it has to be without power, and stay so until it boots anew.",
	  .option = { { "yes", NULL, "do not ask" } } },
	{ .name = "events",
	  .args = "",
	  .has_json = true,
	  .run = vmclus_events,
	  .summary = "what happened, oldest first",
	  .option = { { "follow", NULL, "go on with what happens" },
	              { "since", "INDEX", "only what came after that number" } } },
	{ .name = "policy",
	  .args = "[KEY=VALUE...]",
	  .max_args = 32,
	  .has_json = true,
	  .run = vmclus_policy,
	  .summary = "show or change how the cluster decides" },
	{ .name = "simulate",
	  .args = "[OPTIONS] FILE",
	  .program = vmclus_simulate,
	  .summary = "plan for a cluster that a file describes; needs no cluster" },
	{ .name = "state", .args = "", .run = vmclus_state, .summary = "what clusterd knows, as JSON, for developers" },
	{ .name = "loglevel",
	  .args = "LEVEL",
	  .min_args = 1,
	  .max_args = 1,
	  .run = vmclus_loglevel,
	  .summary = "change how much this host's clusterd logs: error, warn, info, debug" },
};

static void print_usage(FILE *to)
{
	fprintf(to, "usage: vmclus COMMAND [OPTIONS] ...\n\nThe cluster. Every host answers, none is special.\n\n");
	for (size_t i = 0; i < ARRAY_SIZE(commands); i++) {
		char left[40];

		snprintf(left, sizeof(left), "%s %s", commands[i].name,
		         strlen(commands[i].args) > 16 ? "..." : commands[i].args);
		fprintf(to, "  %-20s %s\n", left, commands[i].summary);
	}
	fprintf(to,
	        "\nvmclus COMMAND --help tells more; --json where there is output makes it JSON; --version. See vmclus(8).\n"
	        "Exit status: 0 done, 1 failed, 2 wrong usage, 3 not confirmed.\n");
}

static void print_help(const struct vmclus_cmd *c)
{
	printf("usage: vmclus %s%s%s%s%s\n\n%s.\n", c->name, c->option[0].name ? " [OPTIONS]" : "", *c->args ? " " : "",
	       c->args, c->has_json ? " [--json]" : "", c->summary);
	if (c->help)
		printf("%s\n", c->help);
	if (c->option[0].name || c->has_json)
		printf("\n");
	for (size_t i = 0; i < ARRAY_SIZE(c->option) && c->option[i].name; i++) {
		char left[40];

		snprintf(left, sizeof(left), "--%s%s%s", c->option[i].name, c->option[i].value ? " " : "",
		         c->option[i].value ?: "");
		printf("  %-20s %s\n", left, c->option[i].help);
	}
	if (c->has_json)
		printf("  %-20s %s\n", "--json", "print JSON");
}

static const struct vmclus_cmd *find_command(const char *name)
{
	for (size_t i = 0; i < ARRAY_SIZE(commands); i++)
		if (!strcmp(commands[i].name, name))
			return &commands[i];
	return NULL;
}

static int usage_error(const struct vmclus_cmd *c, const char *what, const char *which)
{
	fprintf(stderr, "vmclus: %s%s%s\n", what, which ? " " : "", which ?: "");
	if (c)
		fprintf(stderr, "usage: vmclus %s%s %s\n", c->name, c->option[0].name ? " [OPTIONS]" : "", c->args);
	else
		fprintf(stderr, "vmclus --help lists the commands\n");
	return VMCLUS_USAGE;
}

/* One "--option[=value]" at argv[*i]. Returns 0, or the exit status to end with; -1: help was asked for. */
static int take_option(struct vmclus *v, char **argv, int argc, int *i)
{
	const char *name = argv[*i] + 2, *equals = strchr(name, '=');
	size_t len = equals ? (size_t)(equals - name) : strlen(name);

	if (!strcmp(name, "help"))
		return -1;
	if (!strcmp(name, "json") && v->cmd->has_json) {
		v->json = true;
		return 0;
	}
	for (unsigned k = 0; k < ARRAY_SIZE(v->cmd->option) && v->cmd->option[k].name; k++) {
		const struct vmclus_option *o = &v->cmd->option[k];

		if (strlen(o->name) != len || strncmp(o->name, name, len))
			continue;
		v->flags |= 1u << k;
		if (!o->value)
			return equals ? usage_error(v->cmd, "takes no value:", argv[*i]) : 0;
		v->value[k] = equals ? equals + 1 : *i + 1 < argc ? argv[++*i] : NULL;
		return v->value[k] ? 0 : usage_error(v->cmd, "needs a value:", argv[*i]);
	}
	return usage_error(v->cmd, "unknown option", argv[*i]);
}

/* Sort the command line into options and arguments. */
static int parse_args(struct vmclus *v, int argc, char **argv)
{
	bool more_options = true;

	for (int i = 0; i < argc; i++) {
		int r;

		if (!more_options || strncmp(argv[i], "--", 2)) {
			if (more_options && !strcmp(argv[i], "-h"))
				return -1;
			v->arg[v->n_args++] = argv[i];
			continue;
		}
		if (!argv[i][2]) {
			more_options = false;
			continue;
		}
		r = take_option(v, argv, argc, &i);
		if (r)
			return r;
	}
	if (v->n_args < v->cmd->min_args)
		return usage_error(v->cmd, "too few arguments for", v->cmd->name);
	if (v->n_args > v->cmd->max_args)
		return usage_error(v->cmd, "too many arguments for", v->cmd->name);
	return 0;
}

static int run(struct vmclus *v)
{
	struct err err = { 0 };
	int r = v->cmd->run(v, &err);

	if (r == -EBADMSG) /* the arguments made no sense together */
		return usage_error(v->cmd, err.text, NULL);
	if (r < 0) {
		const char *why = *err.text ? err.text : strerror(-r), *code = strerrorname_np(-r);

		if (v->json) {
			_cleanup_json_ json_t *o = json_pack("{s:s, s:s, s:s}", "status", "failed", "error", why,
			                                     "code", code ?: "EIO");
			vmclus_print_json(o);
		}
		(void)fflush(stdout); /* what led to it comes first */
		fprintf(stderr, "vmclus: %s\n", why);
		return VMCLUS_FAILED;
	}
	if (fflush(stdout) || ferror(stdout)) {
		fprintf(stderr, "vmclus: write to standard output: %s\n", strerror(errno));
		return VMCLUS_FAILED;
	}
	return r;
}

int main(int argc, char **argv)
{
	static char help[] = "--help", own_name[] = "vmclus simulate";
	struct vmclus v = { 0 };
	int r;

	if (argc < 2) {
		print_usage(stderr);
		return VMCLUS_USAGE;
	}
	if (!strcmp(argv[1], "--version")) {
		printf("vmclus (%s) %s\n", PACKAGE_NAME, PACKAGE_VERSION);
		return VMCLUS_DONE;
	}
	if (!strcmp(argv[1], "--help") || !strcmp(argv[1], "-h") || !strcmp(argv[1], "help")) {
		const struct vmclus_cmd *c = argc > 2 ? find_command(argv[2]) : NULL;

		if (c && c->program)
			return c->program(2, (char *[]){ own_name, help, NULL });
		if (c)
			print_help(c);
		else
			print_usage(stdout);
		return VMCLUS_DONE;
	}
	v.cmd = find_command(argv[1]);
	if (!v.cmd)
		return usage_error(NULL, "unknown command", argv[1]);
	if (v.cmd->program) {
		argv[1] = own_name;
		return v.cmd->program(argc - 1, argv + 1);
	}
	v.arg = argv; /* arguments are at most what was there: sorted in place */
	r = parse_args(&v, argc - 2, argv + 2);
	if (r < 0) {
		print_help(v.cmd);
		return VMCLUS_DONE;
	}
	if (r > 0)
		return r;
	signal(SIGPIPE, SIG_IGN);
	return run(&v);
}
