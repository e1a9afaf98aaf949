/* SPDX-License-Identifier: GPL-2.0-or-later */
/* vmctl: the domains of this host, in virsh's words. This file: the command table, options, help; the rest is vmctl_*.c. */
#include "config.h"
#include "tools/vmctl_int.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

static const struct vmctl_cmd commands[] = {
	{ .name = "define",
	  .args = "FILE",
	  .min_args = 1,
	  .max_args = 1,
	  .run = vmctl_define,
	  .summary = "make a domain known, or change it, from its XML",
	  .help = "FILE \"-\" is the standard input. A running domain goes on with its old definition until it is started anew.\n"
	          "Elements that are valid but not used here are kept and reported." },
	{ .name = "undefine",
	  .args = "DOMAIN",
	  .min_args = 1,
	  .max_args = 1,
	  .run = vmctl_undefine,
	  .summary = "forget a domain's definition",
	  .help = "Disks are left alone. A running domain goes on, and is gone once it ends." },
	{ .name = "start",
	  .args = "DOMAIN",
	  .min_args = 1,
	  .max_args = 1,
	  .run = vmctl_start,
	  .summary = "start a defined domain",
	  .help = "Returns when the guest runs. Ctrl-C while it starts ends it again. hvdom's log is <log>/DOMAIN.log.",
	  .option = { { "console", NULL, "attach to its console once it runs" },
	              { "log-level", "LEVEL", "of hvdom: error, warn, info, debug" },
	              { "force", NULL, "though its lease names another host: only when that host is surely dead" } } },
	{ .name = "list",
	  .args = "",
	  .run = vmctl_list,
	  .has_json = true,
	  .summary = "list running domains",
	  .option = { { "all", NULL, "those that are shut off, too" }, { "name", NULL, "names only" } } },
	{ .name = "dominfo",
	  .args = "DOMAIN",
	  .min_args = 1,
	  .max_args = 1,
	  .run = vmctl_dominfo,
	  .has_json = true,
	  .summary = "show what a domain is" },
	{ .name = "domstate",
	  .args = "DOMAIN",
	  .min_args = 1,
	  .max_args = 1,
	  .run = vmctl_domstate,
	  .has_json = true,
	  .summary = "show a domain's state" },
	{ .name = "domstats",
	  .args = "DOMAIN",
	  .min_args = 1,
	  .max_args = 1,
	  .run = vmctl_domstats,
	  .has_json = true,
	  .summary = "show what a running domain uses" },
	{ .name = "dumpxml",
	  .args = "DOMAIN",
	  .min_args = 1,
	  .max_args = 1,
	  .run = vmctl_dumpxml,
	  .summary = "print a domain's XML",
	  .option = { { "inactive", NULL, "the definition, even while the domain runs" } } },
	{ .name = "console",
	  .args = "DOMAIN",
	  .min_args = 1,
	  .max_args = 1,
	  .run = vmctl_console,
	  .summary = "talk to a domain's console",
	  .help = "Ctrl-] ends the connection; the domain runs on.",
	  .option = { { "boot", NULL, "the boot console (kernel messages)" },
	              { "index", "N", "console N of the domain's XML, from 0" },
	              { "force", NULL, "take it from whoever is attached" } } },
	{ .name = "suspend",
	  .args = "DOMAIN",
	  .min_args = 1,
	  .max_args = 1,
	  .run = vmctl_suspend,
	  .summary = "stop a domain's CPUs; its memory stays" },
	{ .name = "resume",
	  .args = "DOMAIN",
	  .min_args = 1,
	  .max_args = 1,
	  .run = vmctl_resume,
	  .summary = "let a suspended domain go on" },
	{ .name = "save",
	  .args = "DOMAIN FILE",
	  .min_args = 2,
	  .max_args = 2,
	  .run = vmctl_save,
	  .summary = "put a running domain into a file, and end it",
	  .help = "The domain goes on if this fails or is interrupted. Disks are not in the file: do not change them meanwhile." },
	{ .name = "restore",
	  .args = "FILE",
	  .min_args = 1,
	  .max_args = 1,
	  .run = vmctl_restore,
	  .summary = "let a saved domain go on",
	  .help = "The whole file is checked first, and kept. It is refused if the domain ran since, because its disks changed.",
	  .option = { { "log-level", "LEVEL", "of hvdom: error, warn, info, debug" },
	              { "force", NULL, "although the domain ran since: its disks were put back, too" } } },
	{ .name = "shutdown",
	  .args = "DOMAIN",
	  .min_args = 1,
	  .max_args = 1,
	  .run = vmctl_shutdown,
	  .summary = "ask the guest to power off",
	  .option = { { "wait", "SECONDS", "until it is off, at most so long" } } },
	{ .name = "reboot",
	  .args = "DOMAIN",
	  .min_args = 1,
	  .max_args = 1,
	  .run = vmctl_reboot,
	  .summary = "ask the guest to reboot" },
	{ .name = "destroy",
	  .args = "DOMAIN",
	  .min_args = 1,
	  .max_args = 1,
	  .run = vmctl_destroy,
	  .summary = "end a domain at once, like pulling the plug" },
	{ .name = "setmem",
	  .args = "DOMAIN SIZE",
	  .min_args = 2,
	  .max_args = 2,
	  .run = vmctl_setmem,
	  .summary = "change the memory that the guest has now",
	  .help = "SIZE: 192MiB, 1.5GiB...; a plain number is KiB, as in virsh. The domain needs a memballoon device." },
	{ .name = "loglevel",
	  .args = "DOMAIN LEVEL",
	  .min_args = 2,
	  .max_args = 2,
	  .run = vmctl_loglevel,
	  .summary = "change how much hvdom logs: error, warn, info, debug" },
};

static void print_usage(FILE *to)
{
	fprintf(to, "usage: vmctl COMMAND [OPTIONS] ...\n\nThe domains of this host.\n\n");
	for (size_t i = 0; i < ARRAY_SIZE(commands); i++) {
		char left[40];

		snprintf(left, sizeof(left), "%s %s", commands[i].name, commands[i].args);
		fprintf(to, "  %-20s %s\n", left, commands[i].summary);
	}
	fprintf(to, "\nvmctl COMMAND --help tells more; --json where there is output makes it JSON; --version.\n"
	            "Exit status: 0 done, 1 failed, 2 wrong usage.\n");
}

static void print_help(const struct vmctl_cmd *c)
{
	printf("usage: vmctl %s%s%s%s%s\n\n%s.\n", c->name, c->option[0].name ? " [OPTIONS]" : "", *c->args ? " " : "",
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

static const struct vmctl_cmd *find_command(const char *name)
{
	for (size_t i = 0; i < ARRAY_SIZE(commands); i++)
		if (!strcmp(commands[i].name, name))
			return &commands[i];
	return NULL;
}

static int usage_error(const struct vmctl_cmd *c, const char *what, const char *which)
{
	fprintf(stderr, "vmctl: %s%s%s\n", what, which ? " " : "", which ?: "");
	if (c)
		fprintf(stderr, "usage: vmctl %s%s %s\n", c->name, c->option[0].name ? " [OPTIONS]" : "", c->args);
	else
		fprintf(stderr, "vmctl --help lists the commands\n");
	return 2;
}

/* One "--option[=value]" at argv[*i]. Returns 0, or the exit status to end with; -1: help was asked for. */
static int take_option(struct vmctl *v, char **argv, int argc, int *i)
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
		const struct vmctl_option *o = &v->cmd->option[k];

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
static int parse_args(struct vmctl *v, int argc, char **argv)
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

int main(int argc, char **argv)
{
	struct vmctl v = { 0 };
	struct err err = { 0 };
	int skip = 1, r;

	/* "vmctl --json list" is what some fingers type */
	while (skip < argc && !strcmp(argv[skip], "--json")) {
		v.json = true;
		skip++;
	}
	if (skip >= argc) {
		print_usage(stderr);
		return 2;
	}
	if (!strcmp(argv[skip], "--version")) {
		printf("vmctl (%s) %s\n", PACKAGE_NAME, PACKAGE_VERSION);
		return 0;
	}
	if (!strcmp(argv[skip], "--help") || !strcmp(argv[skip], "-h") || !strcmp(argv[skip], "help")) {
		const struct vmctl_cmd *c = skip + 1 < argc ? find_command(argv[skip + 1]) : NULL;

		if (c)
			print_help(c);
		else
			print_usage(stdout);
		return 0;
	}
	v.cmd = find_command(argv[skip]);
	if (!v.cmd)
		return usage_error(NULL, "unknown command", argv[skip]);
	if (v.json && !v.cmd->has_json)
		return usage_error(v.cmd, "has no JSON output:", v.cmd->name);
	v.arg = argv; /* arguments are at most what was there: sorted in place */
	r = parse_args(&v, argc - skip - 1, argv + skip + 1);
	if (r < 0) {
		print_help(v.cmd);
		return 0;
	}
	if (r > 0)
		return r;
	signal(SIGPIPE, SIG_IGN);
	r = v.cmd->run(&v, &err);
	if (r < 0) {
		fprintf(stderr, "vmctl: %s\n", *err.text ? err.text : strerror(-r));
		return 1;
	}
	if (fflush(stdout) || ferror(stdout)) {
		fprintf(stderr, "vmctl: write to standard output: %s\n", strerror(errno));
		return 1;
	}
	return 0;
}
