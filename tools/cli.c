/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Commands and their options, help, wrong usage, what a failure looks like. See cli.h. */
#include "config.h"
#include "tools/cli.h"

#include <fcntl.h>
#include <limits.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>
#include "common/util.h"
#include "tools/jsonconn.h"

#define ARGS_SHOWN_MAX 16 /* longer ones do not fit into the list of commands */

static void print_usage(const struct cli_program *p, FILE *to)
{
	fprintf(to, "usage: %s COMMAND [OPTIONS] ...\n\n%s\n\n", p->name, p->intro);
	for (size_t i = 0; i < p->n_cmds; i++) {
		const struct cli_cmd *c = &p->cmd[i];
		char left[40];

		snprintf(left, sizeof(left), "%s %s", c->name, strlen(c->args) > ARGS_SHOWN_MAX ? "..." : c->args);
		fprintf(to, "  %-20s %s\n", left, c->summary);
	}
	fprintf(to, "\n%s COMMAND --help tells more; --json where there is output makes it JSON; --version.", p->name);
	if (p->manual)
		fprintf(to, " See %s.", p->manual);
	fprintf(to, "\nExit status: %s.\n", p->exit_statuses);
}

static void print_help(const struct cli_program *p, const struct cli_cmd *c)
{
	printf("usage: %s %s%s%s%s%s\n\n%s.\n", p->name, c->name, c->option[0].name ? " [OPTIONS]" : "",
	       *c->args ? " " : "", c->args, c->has_json ? " [--json]" : "", c->summary);
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

/* For the shell's completion: a line per command, with tabs between its name, its arguments and its options. */
static void print_commands(const struct cli_program *p)
{
	for (size_t i = 0; i < p->n_cmds; i++) {
		const struct cli_cmd *c = &p->cmd[i];

		printf("%s\t%s\t--help%s", c->name, c->args, c->has_json ? " --json" : "");
		for (size_t k = 0; k < ARRAY_SIZE(c->option) && c->option[k].name; k++)
			printf(" --%s%s%s", c->option[k].name, c->option[k].value ? "=" : "", c->option[k].value ?: "");
		putchar('\n');
	}
}

static const struct cli_cmd *find_command(const struct cli_program *p, const char *name)
{
	for (size_t i = 0; i < p->n_cmds; i++)
		if (!strcmp(p->cmd[i].name, name))
			return &p->cmd[i];
	return NULL;
}

/* On the command, if there is one. */
static int help(const struct cli *v)
{
	if (v->cmd)
		print_help(v->program, v->cmd);
	else
		print_usage(v->program, stdout);
	return CLI_DONE;
}

static int usage_error(const struct cli *v, const char *what, const char *which)
{
	const char *name = v->program->name;
	const struct cli_cmd *c = v->cmd;

	fprintf(stderr, "%s: %s%s%s\n", name, what, which ? " " : "", which ?: "");
	if (c)
		fprintf(stderr, "usage: %s %s%s %s\n", name, c->name, c->option[0].name ? " [OPTIONS]" : "", c->args);
	else
		fprintf(stderr, "%s --help lists the commands\n", name);
	return CLI_USAGE;
}

/* One "--option[=value]" at argv[*i]. Returns 0, or the exit status to end with; -1: help was asked for. */
static int take_option(struct cli *v, char **argv, int argc, int *i)
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
		const struct cli_option *o = &v->cmd->option[k];

		if (strlen(o->name) != len || strncmp(o->name, name, len))
			continue;
		v->flags |= 1u << k;
		if (!o->value)
			return equals ? usage_error(v, "takes no value:", argv[*i]) : 0;
		v->value[k] = equals ? equals + 1 : *i + 1 < argc ? argv[++*i] : NULL;
		return v->value[k] ? 0 : usage_error(v, "needs a value:", argv[*i]);
	}
	return usage_error(v, "unknown option", argv[*i]);
}

static bool is_argument(const struct cli *v, const char *s)
{
	return strncmp(s, "--", 2) || (v->cmd->dashes && strcmp(s, "--json") && strcmp(s, "--help"));
}

/* How many arguments a command takes, by the words that describe them. */
static void count_args(const char *args, int *min, int *max)
{
	*min = *max = 0;
	for (size_t len; *args; args += strspn(args, " ")) {
		len = strcspn(args, " ");
		*min += *args != '[' && *args != '.';
		*max = *max == INT_MAX || memmem(args, len, "...", 3) ? INT_MAX : *max + 1;
		args += len;
	}
}

/* Sort the command line into options and arguments. Returns as take_option(). */
static int parse_args(struct cli *v, int argc, char **argv)
{
	bool more_options = true;
	int min, max;

	for (int i = 0; i < argc; i++) {
		int r;

		if (!more_options || is_argument(v, argv[i])) {
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
	count_args(v->cmd->args, &min, &max);
	if (v->n_args < min)
		return usage_error(v, "too few arguments for", v->cmd->name);
	if (v->n_args > max)
		return usage_error(v, "too many arguments for", v->cmd->name);
	return 0;
}

static int run(struct cli *v)
{
	const char *name = v->program->name;
	struct err err = { 0 };
	int r = v->cmd->run(v, &err);

	if (r == -CLI_EUSAGE)
		return usage_error(v, err.text, NULL);
	if (r == -EPIPE && !*err.text)
		return CLI_FAILED; /* who reads has seen enough: "| head" */
	if (r < 0) {
		const char *why = *err.text ? err.text : strerror(-r), *code = strerrorname_np(-r);

		if (v->json && v->program->json_failure) {
			_cleanup_json_ json_t *o = json_pack("{s:s, s:s, s:s}", "status", "failed", "error", why,
			                                     "code", code ?: "EIO");
			cli_print_json(v, o);
		}
		fflush(stdout); /* what led to it comes first */
		fprintf(stderr, "%s: %s\n", name, why);
		return CLI_FAILED;
	}
	if (fflush(stdout) || ferror(stdout)) {
		if (errno == EPIPE)
			return CLI_FAILED;
		fprintf(stderr, "%s: write to standard output: %s\n", name, strerror(errno));
		return CLI_FAILED;
	}
	return r;
}

int cli_number(const char *what, const char *text, double min, double max, double *ret, struct err *err)
{
	char *end;
	double v;

	errno = 0;
	v = strtod(text, &end);
	if (errno || end == text || *end || !(v >= min && v <= max))
		return err_set(err, CLI_EUSAGE, "%s: a number from %g to %g, not \"%s\"", what, min, max, text);
	*ret = v;
	return 0;
}

int cli_opt_number(const struct cli *v, unsigned option, double min, double max, double *ret, struct err *err)
{
	char what[40];

	if (!cli_opt(v, option))
		return 0;
	snprintf(what, sizeof(what), "--%s", v->cmd->option[option].name);
	return cli_number(what, v->value[option], min, max, ret, err);
}

void cli_log_json(const struct cli *v, const json_t *o)
{
	const char *path = secure_getenv("HOSPES_JSON_LOG");
	_cleanup_close_ int fd = path ? open(path, O_WRONLY | O_APPEND | O_CREAT | O_CLOEXEC, 0600) : -1;

	if (fd < 0)
		return;
	_cleanup_json_ json_t *line = json_pack("{s:s, s:s, s:O}", "program", v->program->name, "command", v->cmd->name,
	                                        "value", (json_t *)(uintptr_t)o);
	_cleanup_free_ char *text = line ? json_dumps(line, JSON_COMPACT) : NULL,
			    *whole = text ? xasprintf("%s\n", text) : NULL;
	if (whole)
		(void)!write(fd, whole, strlen(whole)); /* one write: several programs share the file */
}

void cli_print_json(const struct cli *v, const json_t *o)
{
	jsonconn_print(o);
	cli_log_json(v, o);
}

void cli_print_json_new(const struct cli *v, json_t *o)
{
	cli_print_json(v, o);
	json_decref(o);
}

const char *cli_bar(char *to, unsigned width, double part, double whole)
{
	double share = whole > 0 ? part / whole : 0;
	unsigned full = (unsigned)((share < 0 ? 0 : share > 1 ? 1 : share) * width + 0.5);

	to[0] = '[';
	memset(to + 1, '.', width);
	memset(to + 1, '#', full);
	to[width + 1] = ']';
	to[width + 2] = 0;
	return to;
}

int cli_main(const struct cli_program *p, int argc, char **argv)
{
	struct cli v = { .program = p };
	int r;

	/* "vmctl --json list" is what some fingers type */
	for (; p->leading_json && argc > 1 && !strcmp(argv[1], "--json"); argc--, argv++)
		v.json = true;
	if (argc < 2) {
		print_usage(p, stderr);
		return CLI_USAGE;
	}
	if (!strcmp(argv[1], "--version")) {
		printf("%s (%s) %s\n", p->name, PACKAGE_NAME, PACKAGE_VERSION);
		return CLI_DONE;
	}
	if (!strcmp(argv[1], "--help") || !strcmp(argv[1], "-h") || !strcmp(argv[1], "help")) {
		v.cmd = argc > 2 ? find_command(p, argv[2]) : NULL;
		return help(&v);
	}
	if (!strcmp(argv[1], "--commands")) {
		print_commands(p);
		return CLI_DONE;
	}
	v.cmd = find_command(p, argv[1]);
	if (!v.cmd)
		return usage_error(&v, "unknown command", argv[1]);
	if (v.json && !v.cmd->has_json)
		return usage_error(&v, "has no JSON output:", v.cmd->name);
	v.arg = argv; /* arguments are at most what was there: sorted in place */
	r = parse_args(&v, argc - 2, argv + 2);
	if (r)
		return r < 0 ? help(&v) : r;
	signal(SIGPIPE, SIG_IGN);
	return run(&v);
}
