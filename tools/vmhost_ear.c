/* SPDX-License-Identifier: GPL-2.0-or-later */
/* See vmhost_ear.h. */
#include "config.h"
#include "tools/vmhost_ear.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include "common/loop.h"
#include "common/util.h"
#include "hypervisor/api/domcfg.h"
#include "tools/vmhost.h"

#define LOOK_US 20000

/* 1: that many octets; 0: there is no such console; -errno. */
static int said(struct hvcall *c, const char *console, uint64_t *ret)
{
	_cleanup_free_ struct hv_stats *st = malloc(sizeof(*st));
	int r = st ? hvcall_simple(c, HV_OP_STATS, NULL, 0, st, sizeof(*st), NULL) : -ENOMEM;

	for (uint32_t i = 0; !r && i < st->n_devs && i < HV_DEVS_MAX; i++) {
		if (strncmp(st->dev[i].name, console, sizeof(st->dev[i].name)) != 0)
			continue;
		*ret = st->dev[i].wr_bytes;
		return 1;
	}
	return r;
}

void vmhost_listen(struct hvcall *c, struct vmhost_ear *e)
{
	_cleanup_dom_config_ struct dom_config *cfg = NULL;
	_cleanup_free_ char *xml = NULL;

	*e = (struct vmhost_ear){ 0 };
	if (vmhost_running_xml(c, &xml, NULL) < 0 || dom_config_parse(xml, strlen(xml), "hvdom", &cfg, NULL) < 0)
		return;
	/* the one behind those of the definition */
	snprintf(e->console, sizeof(e->console), "hvc%zu", cfg->n_consoles);
	if (said(c, e->console, &e->octets) != 1)
		e->console[0] = 0;
}

bool vmhost_heard(struct hvcall *c, const struct vmhost_ear *e, unsigned ms, const volatile sig_atomic_t *stop)
{
	uint64_t until = now_ns() + ms * NS_PER_MS, octets = 0;

	while (e->console[0]) {
		if (said(c, e->console, &octets) != 1 || octets != e->octets)
			return true;
		if (now_ns() >= until || *stop)
			return false;
		usleep(LOOK_US);
	}
	return true;
}
