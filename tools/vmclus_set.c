/* SPDX-License-Identifier: GPL-2.0-or-later */
/* vmclus set, spare: how one domain is treated, and hosts that are kept in reserve. */
#include "config.h"
#include "tools/vmclus_int.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include "common/util.h"

#define TIME_MAX_S (30 * 86400.0)

enum { O_PRIORITY, O_RESTARTS, O_COOL_DOWN, O_NO_BALANCE, O_BALANCE, O_RESET };

static bool is_default(const char *text)
{
	return !strcmp(text, "default");
}

static int put_priority(struct cli *v, json_t *order, struct err *err)
{
	double n = 0;
	int r = is_default(v->value[O_PRIORITY]) ? 0
	                                         : cli_number("--priority", v->value[O_PRIORITY], -1e6, 1e6, &n, err);

	(void)json_object_set_new(order, "priority",
	                          is_default(v->value[O_PRIORITY]) ? json_null() : json_integer((json_int_t)n));
	return r;
}

/* "3/10m": so many restarts within that time. */
static int put_restarts(struct cli *v, json_t *order, struct err *err)
{
	_cleanup_free_ char *text = xasprintf("%s", v->value[O_RESTARTS]);
	char *slash = strchr(text, '/');
	double n = 0, s = 0;
	int r;

	if (is_default(text)) {
		(void)json_object_set_new(order, "restarts", json_null());
		return 0;
	}
	if (!slash)
		return err_set(err, CLI_EUSAGE, "--restarts N/TIME, as 3/10m, or default; not %s", text);
	*slash = 0;
	r = cli_number("--restarts", text, 0, 1e6, &n, err);
	if (r == 0)
		r = vmclus_time("--restarts", slash + 1, 1, TIME_MAX_S, &s, err);
	(void)json_object_set_new(order, "restarts", json_integer((json_int_t)n));
	(void)json_object_set_new(order, "restart_window_s", json_real(s));
	return r;
}

static int put_cool_down(struct cli *v, json_t *order, struct err *err)
{
	double s = 0;
	int r = is_default(v->value[O_COOL_DOWN])
	                ? 0
	                : vmclus_time("--cool-down", v->value[O_COOL_DOWN], 0, TIME_MAX_S, &s, err);

	(void)json_object_set_new(order, "cool_down_s", s > 0 ? json_real(s) : json_null());
	return r;
}

static bool was_set(const json_t *o, const char *what)
{
	json_t *w;
	size_t i;

	json_array_foreach(json_object_get(o, "set"), i, w) if (!strcmp(json_string_value(w) ?: "", what)) return true;
	return false;
}

static void show(const json_t *o)
{
	printf("%s\n", field_text(o, "name"));
	printf("  priority   %.0f%s\n", field_num(o, "priority"), was_set(o, "priority") ? "" : " (of its definition)");
	printf("  restarts   %.0f within %.0f s%s\n", field_num(o, "restarts"), field_num(o, "restart_window_s"),
	       was_set(o, "restarts") ? "" : " (of its definition and the policy)");
	printf("  balance    %s\n", field_true(o, "balance") ? "yes" : "no");
	if (field_num(o, "cool_down_s") > 0)
		printf("  cool-down  %.0f s after a move, %.0f s left\n", field_num(o, "cool_down_s"),
		       field_num(o, "cool_left_s"));
	else
		printf("  cool-down  none\n");
}

int vmclus_set(struct cli *v, struct err *err)
{
	_cleanup_json_ json_t *o = NULL, *order = json_pack("{s:s, s:s}", "op", "set", "name", v->arg[0]);
	int r = 0;

	if (cli_opt(v, O_BALANCE) && cli_opt(v, O_NO_BALANCE))
		return err_set(err, CLI_EUSAGE, "--balance or --no-balance, not both");
	if (cli_opt(v, O_PRIORITY))
		r = put_priority(v, order, err);
	if (r == 0 && cli_opt(v, O_RESTARTS))
		r = put_restarts(v, order, err);
	if (r == 0 && cli_opt(v, O_COOL_DOWN))
		r = put_cool_down(v, order, err);
	if (r < 0)
		return r;
	if (cli_opt(v, O_BALANCE) || cli_opt(v, O_NO_BALANCE))
		(void)json_object_set_new(order, "balance", json_boolean(cli_opt(v, O_BALANCE)));
	if (cli_opt(v, O_RESET))
		(void)json_object_set_new(order, "reset", json_true());
	r = vmclus_order(json_incref(order), "settings", NULL, NULL, &o, err);
	if (r < 0)
		return r;
	(void)json_object_del(o, "type");
	if (v->json)
		cli_print_json(v, o);
	else
		show(o);
	return 0;
}

int vmclus_spare(struct cli *v, struct err *err)
{
	bool undo = cli_opt(v, 0);
	int r = vmclus_order(json_pack("{s:s, s:s, s:b}", "op", "spare", "host", v->arg[0], "undo", (int)undo), NULL,
	                     NULL, NULL, NULL, err);

	if (r == 0)
		printf(undo ? "%s takes domains as any other host\n"
		            : "%s is a spare: it takes domains only while another host is lost or in maintenance\n",
		       v->arg[0]);
	return r;
}
