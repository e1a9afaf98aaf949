/* SPDX-License-Identifier: GPL-2.0-or-later */
/* vmclus cpu-baseline: the CPU features that guests of mode host-model have in this cluster. */
#include "config.h"
#include <stdio.h>
#include <string.h>
#include "tools/vmclus_int.h"

#define WIDTH 78

/* Words, as many on a line as fit, each line indented. */
static void print_words(const json_t *list, int indent)
{
	int at = 0;
	json_t *v;
	size_t i;

	json_array_foreach(list, i, v)
	{
		int len = (int)strlen(json_string_value(v) ? json_string_value(v) : "");

		if (at && at + 1 + len > WIDTH) {
			printf("\n");
			at = 0;
		}
		at += printf("%*s%s", at ? 1 : indent, "", json_string_value(v) ? json_string_value(v) : "");
	}
	printf("%s", at ? "\n" : "");
}

int vmclus_cpu_baseline(struct cli *v, struct err *err)
{
	_cleanup_json_ json_t *o = NULL;
	int r = vmclus_order(json_pack("{s:s}", "op", "cpu-baseline"), "baseline", NULL, NULL, &o, err);
	json_t *h;
	size_t i;

	if (r < 0)
		return r;
	if (v->json) {
		(void)json_object_del(o, "type");
		cli_print_json(v, o);
		return 0;
	}
	print_words(json_object_get(o, "features"), 0);
	json_array_foreach(json_object_get(o, "hosts"), i, h)
	{
		const json_t *lacks = json_object_get(h, "lacks");

		if (!field_true(h, "counts"))
			printf("%s does not count: it has no KVM, or was never there\n", field_text(h, "name"));
		else if (json_array_size(lacks))
			printf("%s lacks what others have:\n", field_text(h, "name"));
		if (field_true(h, "counts"))
			print_words(lacks, 2);
	}
	return 0;
}
