/* SPDX-License-Identifier: GPL-2.0-or-later */
/* vmclus fence, rules, policy, loglevel: hosts and how the cluster decides. */
#include "config.h"
#include "tools/vmclus_int.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include "common/util.h"

/* What the person is about to say, with the names of the domains that will start elsewhere. */
static int fence_ask(const char *host, struct err *err)
{
	_cleanup_json_ json_t *o = NULL;
	_cleanup_free_ char *question = NULL;
	int r = vmclus_order(json_pack("{s:s}", "op", "status"), "status", NULL, NULL, &o, err);
	bool known = false;
	json_t *e;
	size_t i;

	if (r < 0)
		return r;
	json_array_foreach(json_object_get(o, "hosts"), i, e)
	{
		if (strcmp(field_text(e, "name"), host) != 0)
			continue;
		known = true;
		if (strcmp(field_text(e, "state"), "lost") != 0)
			return err_set(err, EINVAL, "%s is %s: only a lost host can be confirmed to be off", host,
			               field_text(e, "state"));
	}
	if (!known)
		return err_set(err, ENOENT, "no host '%s' in this cluster; vmclus status shows them", host);
	printf("You are about to say that %s has no power and runs nothing. The cluster cannot check it.\n"
	       "If that is wrong, these domains will run TWICE and destroy their disks:\n",
	       host);
	json_array_foreach(json_object_get(o, "domains"), i, e) if (!strcmp(field_text(e, "host"), host))
		printf("  %s\n", field_text(e, "name"));
	question = xasprintf("Type the host's name to confirm that it is off:");
	return vmclus_confirm(question, host, err);
}

int vmclus_fence(struct cli *v, struct err *err)
{
	const char *host = v->arg[1];
	int r;

	if (strcmp(v->arg[0], "confirm") != 0)
		return err_set(err, CLI_EUSAGE, "fence confirm HOST, not fence %s", v->arg[0]);
	r = cli_opt(v, 0) ? 0 : fence_ask(host, err);
	if (r) {
		if (r > 0)
			fprintf(stderr, "vmclus: not confirmed, nothing was changed\n");
		return r;
	}
	r = vmclus_order(json_pack("{s:s, s:s}", "op", "fence-confirm", "host", host), NULL, NULL, NULL, NULL, err);
	if (!r)
		printf("%s counts as off; its domains start elsewhere\n", host);
	return r;
}

static void show_rule(const json_t *o)
{
	json_t *m;
	size_t i;

	printf("%4.0f  %-9s", field_num(o, "id"), field_text(o, "kind"));
	json_array_foreach(json_object_get(o, "members"), i, m) printf(" %s", json_string_value(m) ?: "?");
	printf("%s%s%s", field_true(o, "never") ? " (never)" : "", field_true(o, "soft") ? " (soft)" : "",
	       field_true(o, "healthy") ? " (healthy)" : "");
	if (field_num(o, "delay_s") > 0)
		printf(" (%g s later)", field_num(o, "delay_s"));
	putchar('\n');
}

static int rules_list(struct cli *v, struct err *err)
{
	_cleanup_json_ json_t *o = NULL;
	int r = vmclus_order(json_pack("{s:s}", "op", "rule-list"), "rules", NULL, NULL, &o, err);
	json_t *rules, *e;
	size_t i;

	if (r < 0)
		return r;
	rules = json_object_get(o, "rules");
	if (v->json) {
		cli_print_json(v, rules);
		return 0;
	}
	if (!json_array_size(rules))
		puts("no rules");
	json_array_foreach(rules, i, e) show_rule(e);
	return 0;
}

static int rules_add(struct cli *v, struct err *err)
{
	static const char *const kinds[] = { "together", "apart", "hosts", "conflict", "after", "prefer" };
	_cleanup_json_ json_t *o = NULL;
	json_t *members;
	double delay = 0;
	bool known = false;
	int r;

	if (v->n_args < 4)
		return err_set(err, CLI_EUSAGE, "rules add KIND and at least two members");
	for (size_t i = 0; i < ARRAY_SIZE(kinds); i++)
		known |= !strcmp(kinds[i], v->arg[1]);
	if (!known)
		return err_set(err, CLI_EUSAGE, "rules add together, apart, hosts, prefer, conflict or after, not %s",
		               v->arg[1]);
	bool prefer = !strcmp(v->arg[1], "prefer");
	if ((cli_opt(v, 2) || cli_opt(v, 3)) && strcmp(v->arg[1], "after") != 0)
		return err_set(err, CLI_EUSAGE, "--healthy and --delay go with rules add after");
	r = cli_opt_number(v, 3, 0, 86400, &delay, err);
	if (r < 0)
		return r;
	members = json_array();
	for (int i = 2; i < v->n_args; i++)
		(void)json_array_append_new(members, json_string(v->arg[i]));
	json_t *order = json_pack("{s:s, s:s, s:o, s:b, s:b}", "op", "rule-add", "kind", prefer ? "hosts" : v->arg[1],
	                          "members", members, "soft", (int)(cli_opt(v, 0) || prefer), "never",
	                          (int)cli_opt(v, 1));
	if (cli_opt(v, 2))
		(void)json_object_set_new(order, "healthy", json_true());
	if (cli_opt(v, 3))
		(void)json_object_set_new(order, "delay_s", json_real(delay));
	r = vmclus_order(order, NULL, NULL, NULL, &o, err);
	if (r < 0)
		return r;
	if (v->json)
		cli_print_json_new(v, json_pack("{s:I}", "id", (json_int_t)field_num(o, "id")));
	else
		printf("rule %.0f added\n", field_num(o, "id"));
	return 0;
}

int vmclus_rules(struct cli *v, struct err *err)
{
	double id;
	int r;

	if (!strcmp(v->arg[0], "list"))
		return v->n_args == 1 ? rules_list(v, err) : err_set(err, CLI_EUSAGE, "rules list takes no arguments");
	if (!strcmp(v->arg[0], "add"))
		return rules_add(v, err);
	if (strcmp(v->arg[0], "remove") != 0)
		return err_set(err, CLI_EUSAGE, "rules add, list or remove, not rules %s", v->arg[0]);
	if (v->n_args != 2)
		return err_set(err, CLI_EUSAGE, "rules remove ID");
	r = cli_number("ID", v->arg[1], 1, 4294967295.0, &id, err);
	if (r < 0)
		return r;
	r = vmclus_order(json_pack("{s:s, s:I}", "op", "rule-remove", "id", (json_int_t)id), NULL, NULL, NULL, NULL,
	                 err);
	if (!r && v->json)
		cli_print_json_new(v, json_pack("{s:I}", "id", (json_int_t)id));
	else if (!r)
		printf("rule %.0f removed\n", id);
	return r;
}

/* "on", "off", a number, or a word. */
static json_t *policy_value(const char *text)
{
	char *end;
	long long n = strtoll(text, &end, 10);

	if (*text && !*end)
		return json_integer(n);
	double f = strtod(text, &end);
	if (*text && !*end)
		return json_real(f);
	if (!strcmp(text, "on") || !strcmp(text, "true") || !strcmp(text, "yes"))
		return json_true();
	if (!strcmp(text, "false") || !strcmp(text, "no"))
		return json_false();
	return json_string(text);
}

int vmclus_policy(struct cli *v, struct err *err)
{
	_cleanup_json_ json_t *o = NULL, *order = json_pack("{s:s}", "op", "policy");
	json_t *set = v->n_args ? json_object() : NULL, *value;
	const char *key;
	int r;

	for (int i = 0; i < v->n_args; i++) {
		char *eq = strchr(v->arg[i], '=');

		if (!eq || eq == v->arg[i]) {
			json_decref(set);
			return err_set(err, CLI_EUSAGE, "policy KEY=VALUE, not %s", v->arg[i]);
		}
		*eq = 0;
		/* admission has a value "off", which is no truth value */
		(void)json_object_set_new(set, v->arg[i],
		                          !strcmp(eq + 1, "off") && strcmp(v->arg[i], "admission") != 0
		                                  ? json_false()
		                                  : policy_value(eq + 1));
	}
	if (set)
		(void)json_object_set_new(order, "set", set);
	r = vmclus_order(json_incref(order), "policy", NULL, NULL, &o, err);
	if (r < 0)
		return r;
	if (v->json) {
		cli_print_json(v, json_object_get(o, "policy"));
		return 0;
	}
	json_object_foreach(json_object_get(o, "policy"), key, value)
	{
		if (json_is_string(value))
			printf("%-24s %s\n", key, json_string_value(value));
		else if (json_is_boolean(value))
			printf("%-24s %s\n", key, json_is_true(value) ? "on" : "off");
		else
			printf("%-24s %g\n", key, json_number_value(value));
	}
	return 0;
}

int vmclus_loglevel(struct cli *v, struct err *err)
{
	return vmclus_order(json_pack("{s:s, s:s}", "op", "loglevel", "level", v->arg[0]), NULL, NULL, NULL, NULL, err);
}
