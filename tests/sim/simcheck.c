/* SPDX-License-Identifier: GPL-2.0-or-later */
/* What must hold: after every step, and when all is quiet. Knows nothing of how the machines work. */
#include <string.h>
#include "tests/sim/simmig.h"

static bool runs(const struct sim_hv *hv)
{
	return hv->state == SIM_HV_RUNNING || hv->state == SIM_HV_PAUSED;
}

static void fail(struct sim *s, const char *what)
{
	if (!s->violation[0])
		snprintf(s->violation, sizeof(s->violation), "%.6f s: %s", (double)s->now / 1e9, what);
}

void sim_check_always(struct sim *s)
{
	const struct sim_hv *a = &s->host[SIM_SRC].hv, *b = &s->host[SIM_TGT].hv;

	if (runs(a) && runs(b))
		fail(s, "two copies run");
	if (a->owner && b->owner)
		fail(s, "two copies own the domain");
	/* the source's memory is older than what the target did with the disks */
	if (b->ran && runs(a))
		fail(s, "the source's old copy runs again after the target ran");
}

void sim_check_end(struct sim *s)
{
	const struct sim_hv *a = &s->host[SIM_SRC].hv, *b = &s->host[SIM_TGT].hv;
	bool lost_by_fault = s->src_hv_killed || s->tgt_hv_killed_owning;

	sim_check_always(s);
	if (!s->opt.restart)
		return; /* only the safety half can be asked for */
	if (!runs(a) && !runs(b) && !lost_by_fault)
		fail(s, "no copy runs, though no running one was killed");
	if (runs(a) && b->state != SIM_HV_NONE)
		fail(s, "it runs on the source, and the target keeps a copy");
	if (runs(b) && a->state != SIM_HV_NONE)
		fail(s, "it runs on the target, and the source keeps a copy");
}
