/* SPDX-License-Identifier: GPL-2.0-or-later */
/* vmmig status, cancel, resolve. */
#include "config.h"
#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>
#include "common/util.h"
#include "tools/vmmig_int.h"

static void show(const json_t *o)
{
	json_t *list = json_object_get(o, "migrations"), *m;
	size_t i;

	if (!json_array_size(list))
		printf("no migration is under way on %s\n",
		       *field_text(o, "host") ? field_text(o, "host") : "this host");
	json_array_foreach(list, i, m)
	{
		double s = field_num(m, "time_elapsed") / 1000;
		char a[32], b[32];

		printf("%-16s %s -> %s  %-10s ", field_text(m, "domain"), field_text(m, "from"), field_text(m, "to"),
		       field_text(m, "phase"));
		if (!strcmp(field_text(m, "role"), "source"))
			printf("round %.0f, sent %s, remaining %s, %.1f s\n", field_num(m, "round"),
			       size_format((uint64_t)field_num(m, "sent_bytes"), a, sizeof(a)),
			       size_format((uint64_t)field_num(m, "remaining_bytes"), b, sizeof(b)), s);
		else
			printf("received %s, %.1f s\n",
			       size_format((uint64_t)field_num(m, "received_bytes"), a, sizeof(a)), s);
		if (*field_text(m, "help"))
			printf("    %s\n", field_text(m, "help"));
	}
	fflush(stdout);
}

int vmmig_status(struct cli *v, struct err *err)
{
	vmmig_catch_signals();
	for (;;) {
		_cleanup_json_ json_t *o = NULL;
		int r = vmmig_ask(v->n_args ? json_pack("{s:s, s:s}", "op", "status", "domain", v->arg[0])
		                            : json_pack("{s:s}", "op", "status"),
		                  &o, err);

		if (r < 0)
			return r;
		(void)json_object_del(o, "type");
		if (v->json)
			cli_print_json(v, o);
		else
			show(o);
		if (ferror(stdout))
			return -EPIPE;
		if (!cli_opt(v, 0) || vmmig_interrupts || !json_array_size(json_object_get(o, "migrations")))
			return 0;
		usleep(500000);
	}
}

int vmmig_cancel(struct cli *v, struct err *err)
{
	_cleanup_json_ json_t *o = NULL;

	return vmmig_ask(json_pack("{s:s, s:s}", "op", "cancel", "domain", v->arg[0]), &o, err);
}

int vmmig_resolve(struct cli *v, struct err *err)
{
	_cleanup_json_ json_t *o = NULL;

	if (!cli_opt(v, 0))
		return err_set(err, CLI_EUSAGE, "resolve needs --owner local or --owner HOST");
	return vmmig_ask(json_pack("{s:s, s:s, s:s}", "op", "resolve", "domain", v->arg[0], "owner", v->value[0]), &o,
	                 err);
}
