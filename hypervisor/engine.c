/* SPDX-License-Identifier: GPL-2.0-or-later */
/* The table of engines. */
#include "config.h"
#include "hypervisor/engine.h"

#include <errno.h>
#include <string.h>

const struct hv_engine hv_engines[] = { { "pv", &hv_engine_pv }, { "kvm", NULL }, { 0 } };

const struct hv_engine *hv_engine_for(const struct dom_config *cfg)
{
	const struct hv_engine *e = hv_engines;

	while (strcmp(e->name, dom_engine(cfg)) != 0)
		e++;
	return e;
}

int hv_engine_probe(const struct hv_engine *e, const struct dom_config *cfg, struct err *err)
{
	if (e->ops)
		return e->ops->probe(cfg, err);
	int r = err_set(err, ENOTSUP,
	                "this version of Hospes has no hardware-assisted engine yet; use <domain type='uml'> "
	                "with a user-mode kernel such as /usr/bin/linux.uml (package user-mode-linux)");

	return cfg && err ? err_prefix(err, "domain '%s' is of type '%s'", cfg->name, e->name) : r;
}
