/* SPDX-License-Identifier: GPL-2.0-or-later */
/* vmctl save and restore: see vmhost_save.c. */
#include "config.h"
#include "tools/vmctl_int.h"

#include <stdio.h>
#include "common/util.h"

int vmctl_save(struct cli *v, struct err *err)
{
	char text[32];
	uint64_t size = 0;
	int r;

	vmctl_catch_signals();
	r = vmhost_save(v->arg[0], v->arg[1], &vmctl_while, &size, err);
	if (!r)
		printf("Domain '%s' saved to %s (%s)\n", v->arg[0], v->arg[1], size_format(size, text, sizeof(text)));
	return r;
}

int vmctl_restore(struct cli *v, struct err *err)
{
	struct hvlaunch l = { .log_level = v->value[0], .force = cli_opt(v, 1) };
	char name[HV_NAME_MAX];
	int r;

	vmctl_catch_signals();
	r = vmhost_restore(v->arg[0], &l, &vmctl_while, name, err);
	if (!r)
		printf("Domain '%s' restored from %s\n", name, v->arg[0]);
	if (!r)
		vmctl_set_time(name);
	return r;
}
