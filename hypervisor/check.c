/* SPDX-License-Identifier: GPL-2.0-or-later */
/* See check.h. */
#include "config.h"
#include "hypervisor/check.h"

#include <inttypes.h>
#include <jansson.h>
#include <stdio.h>
#include <unistd.h>
#include "hypervisor/api/pathconf.h"
#include "hypervisor/engine.h"

/* @why NULL: it can. @base: 32 digits, "": it has nothing of a state. */
static int say(const char *engine, const char *identity, bool newer, const char *base, const struct err *why)
{
	json_t *o = json_pack("{s:s*, s:b, s:s*, s:o*, s:s*, s:s*}", "engine", engine, "runs", why == NULL, "identity",
	                      identity, "newer", newer && !why ? json_true() : NULL, "base", *base ? base : NULL, "why",
	                      why ? why->text : NULL);
	int r = o ? json_dumpf(o, stdout, JSON_COMPACT) : -1;

	json_decref(o);
	return r < 0 || puts("") < 0 || fflush(stdout) ? 1 : why != NULL;
}

int check_engines(void)
{
	for (const struct hv_engine *e = hv_engines; e->name; e++) {
		char identity[HV_IDENTITY_MAX] = "";
		struct err err = { 0 };
		int r = e->ops->probe(NULL, &err);

		if (!r)
			r = e->ops->identity(NULL, identity, &err);
		(void)say(e->name, identity[0] ? identity : NULL, false, "", r < 0 ? &err : NULL);
	}
	return ferror(stdout) ? 1 : 0;
}

int check_domain(const char *file, bool local)
{
	_cleanup_dom_config_ struct dom_config *cfg = NULL;
	const struct hv_engine *e = NULL;
	char identity[HV_IDENTITY_MAX] = "";
	struct path_rules rules = { 0 };
	struct err err = { 0 };
	int r = dom_config_load(file, &cfg, &err);

	if (r == 0) {
		e = hv_engine_for(cfg);
		r = dom_config_limits(cfg, &err); /* what no file can mend comes first */
	}
	if (r == 0)
		r = e->ops->probe(NULL, &err);
	if (r == 0)
		r = geteuid() == 0 ? path_rules_load(&rules, &err) : 0; /* another user opens what it may anyway */
	if (r == 0 && geteuid() == 0 && !(local && rules.local_any))
		r = path_check_config(&rules, cfg, &err);
	if (r == 0)
		r = e->ops->probe(cfg, &err);
	if (r == 0)
		r = e->ops->identity(cfg, identity, &err);
	uint64_t has[2] = { 0 };
	char base[33] = "";
	if (r == 0 && e->ops->base_of && e->ops->base_of(cfg, has))
		snprintf(base, sizeof(base), "%016" PRIx64 "%016" PRIx64, has[0], has[1]);
	path_rules_done(&rules);
	return say(e ? e->name : NULL, identity[0] ? identity : NULL, r == 0 && e->ops->newer(cfg), base,
	           r < 0 ? &err : NULL);
}
