/* SPDX-License-Identifier: GPL-2.0-or-later */
/* vmctl define, undefine, dumpxml: definitions are files <state>/domains/NAME.xml. */
#include "config.h"
#include "tools/vmctl_int.h"

#include <stdio.h>
#include <string.h>
#include "hypervisor/api/hvcheck.h"

/* What this host lacks does not make the definition wrong; another host may have it, or this one later. */
static void warn_engine(const struct dom_config *cfg)
{
	struct hvcheck_engine e[HVCHECK_ENGINES_MAX];
	int n = hvcheck_engines(e, NULL);

	for (int i = 0; i < n; i++)
		if (!strcmp(e[i].name, dom_engine(cfg)) && !e[i].runs)
			fprintf(stderr, "vmctl: warning: this host cannot run domain '%s' (engine %s): %s\n", cfg->name,
			        e[i].name, e[i].why);
}

int vmctl_define(struct cli *v, struct err *err)
{
	const char *file = strcmp(v->arg[0], "-") ? v->arg[0] : "/dev/stdin";
	_cleanup_dom_config_ struct dom_config *cfg = NULL;
	int r = dom_config_load(file, &cfg, err);

	if (!r)
		r = vmhost_define(cfg, err);
	if (r < 0)
		return r;
	warn_engine(cfg);
	for (size_t i = 0; i < cfg->n_unknown; i++)
		fprintf(stderr, "vmctl: note: %s is kept but not used here\n", cfg->unknown[i]);
	for (size_t i = 0; i < cfg->n_notes; i++)
		fprintf(stderr, "vmctl: note: %s\n", cfg->note[i]);
	printf("Domain '%s' defined from %s\n", cfg->name, v->arg[0]);
	return 0;
}

int vmctl_undefine(struct cli *v, struct err *err)
{
	int r = vmhost_undefine(v->arg[0], err);

	if (r < 0)
		return r;
	printf("Domain '%s' is no longer defined%s\n", v->arg[0],
	       vmhost_is_running(v->arg[0]) ? "; it runs on until it ends" : "");
	return 0;
}

int vmctl_dumpxml(struct cli *v, struct err *err)
{
	_cleanup_free_ char *xml = NULL;
	int r = vmhost_xml(v->arg[0], cli_opt(v, 0), &xml, err);

	if (!r)
		fputs(xml, stdout);
	return r;
}
