/* SPDX-License-Identifier: GPL-2.0-or-later */
/* vmclus rehearse: what would become of a host's domains if it were lost now. */
#include "config.h"
#include <errno.h>
#include <stdio.h>
#include "tools/vmclus_int.h"

static void show_one(const json_t *d)
{
	const char *host = field_text(d, "host");
	json_t *h;
	size_t i;

	if (*host) {
		printf("  %-20s starts on %-12s after about %.0f s (start %.1f s%s", field_text(d, "name"), host,
		       field_num(d, "outage_s"), field_num(d, "start_s"),
		       field_true(d, "measured") ? " as measured" : ", a guess");
		if (field_num(d, "waits_s") > 0)
			printf("; %.1f s for others to start first", field_num(d, "waits_s"));
		printf("%s%s)\n", *field_text(d, "text") ? "; " : "", field_text(d, "text"));
		return;
	}
	printf("  %-20s %s: %s\n", field_text(d, "name"),
	       *field_text(d, "fate") == 'n'   ? "STARTS NOWHERE"
	       : *field_text(d, "fate") == 'w' ? "DOES NOT START"
	                                       : "stays down",
	       field_text(d, "text"));
	json_array_foreach(json_object_get(d, "hosts"), i, h)
	{
		printf("    %-18s %s\n", field_text(h, "name"), field_text(h, "text"));
	}
}

int vmclus_rehearse(struct cli *v, struct err *err)
{
	_cleanup_json_ json_t *o = NULL;
	int r = vmclus_order(json_pack("{s:s, s:s}", "op", "rehearse", "host", v->arg[0]), "rehearsal", NULL, NULL, &o,
	                     err);
	json_t *list, *d;
	size_t i;

	if (r < 0)
		return r;
	list = json_object_get(o, "domains");
	if (v->json) {
		(void)json_object_del(o, "type");
		cli_print_json(v, o);
	} else {
		printf("without %s, from its last sign of life until its domains may start elsewhere: %.1f s\n",
		       v->arg[0], field_num(o, "detect_s"));
		if (!json_array_size(list))
			printf("  no domain runs there\n");
		json_array_foreach(list, i, d)
		{
			show_one(d);
		}
	}
	if (!field_true(o, "ok"))
		return err_set(err, ENOSPC, "without %s %.0f of its domains would not start", v->arg[0],
		               field_num(o, "nowhere"));
	return 0;
}
