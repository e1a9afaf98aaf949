/* SPDX-License-Identifier: GPL-2.0-or-later */
/* vmclus disarm, arm: before and after planned work on network or storage. */
#include "config.h"
#include "tools/vmclus_int.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

int vmclus_disarm(struct cli *v, struct err *err)
{
	_cleanup_json_ json_t *o = NULL;
	double s = 3600;
	int r = 0;

	if (!cli_opt(v, 0) || !*v->value[0])
		return err_set(err, CLI_EUSAGE, "disarm --reason TEXT: whoever looks at the cluster will want to know");
	if (cli_opt(v, 1))
		r = vmclus_time("--for", v->value[1], 1, 86400, &s, err);
	if (r == 0)
		r = vmclus_order(json_pack("{s:s, s:s, s:f}", "op", "disarm", "reason", v->value[0], "for_s", s), NULL,
		                 NULL, NULL, &o, err);
	if (r < 0)
		return r;
	(void)json_object_del(o, "type");
	if (v->json)
		jsonconn_print(o);
	else
		printf("disarmed until %s: nothing is lost, fenced or started; vmclus arm ends it\n",
		       field_text(json_object_get(o, "disarm"), "until"));
	return json_array_size(json_object_get(o, "without")) ? VMCLUS_PARTLY : 0;
}

int vmclus_arm(struct cli *v, struct err *err)
{
	int r = vmclus_order(json_pack("{s:s}", "op", "arm"), NULL, NULL, NULL, NULL, err);

	(void)v;
	if (r == 0)
		puts("armed: hosts are watched and domains started as ever");
	return r;
}
