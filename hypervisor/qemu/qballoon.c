/* SPDX-License-Identifier: GPL-2.0-or-later */
/* The balloon of a guest under QEMU, by its monitor: see qvm_int.h. What it says of itself is the guest's, or that of a QEMU taken over. */
#include "config.h"
#include "hypervisor/qemu/qvm_int.h"

#include <errno.h>
#include "common/util.h"

int qballoon_set(struct qvm *v, uint64_t target_bytes, struct err *err)
{
	return qvm_call(v, "balloon", json_pack("{s:I}", "value", (json_int_t)target_bytes), -1, QVM_CALL_NS, err);
}

int qballoon_boot(struct qvm *v, struct err *err)
{
	const struct dom_config *c = v->env->cfg;

	v->balloon_left = 0;
	if (!c->balloon || !c->current_memory_bytes || c->current_memory_bytes >= c->memory_bytes)
		return 0;
	return qballoon_set(v, c->current_memory_bytes, err);
}

void qballoon_said(struct qvm *v, const json_t *said)
{
	json_int_t left = json_integer_value(json_object_get(said, "actual"));

	v->balloon_left = left < 0 ? 0 : (uint64_t)left;
}

void qballoon_look(struct qvm *v)
{
	json_t *said = NULL;

	if (!v->balloon_unknown || v->state != QVM_RUNNING)
		return;
	v->balloon_unknown = false;
	qballoon_watch(v);
	if (qmp_ask(v->qmp, "query-balloon", NULL, QVM_CALL_NS, &said, NULL) == 0)
		qballoon_said(v, said);
	json_decref(said);
}

uint64_t qballoon_bytes(const struct qvm *v)
{
	uint64_t all = v->env->cfg->memory_bytes;

	return v->pid && v->balloon_left && v->balloon_left < all ? all - v->balloon_left : 0;
}

/* Statistics -------------------------------------------------------------------------------------------------------------- */

#define AT "/machine/peripheral/balloon"

/* A period is the process', not the state's. A QEMU that refuses it gives no statistics, which is no reason to end a guest. */
void qballoon_watch(struct qvm *v)
{
	unsigned period = v->env->cfg->balloon ? v->env->cfg->hvm.stats_period_s : 0;

	v->asked = 0;
	v->mem_at_s = 0;
	if (period && qmp_call(v->qmp, "qom-set",
	                       json_pack("{s:s, s:s, s:I}", "path", AT, "property", "guest-stats-polling-interval",
	                                 "value", (json_int_t)period),
	                       -1, QVM_CALL_NS, NULL) == 0)
		loop_timer_in(v->ask, period * NS_PER_S);
}

/* One question at a time: to a QEMU that does not answer, no more are sent. */
void qballoon_ask(void *qvm)
{
	struct qvm *v = qvm;

	if (!v->qmp)
		return;
	loop_timer_in(v->ask, v->env->cfg->hvm.stats_period_s * NS_PER_S);
	if (v->state != QVM_RUNNING || (v->asked && v->asked == qmp_number(v->qmp)))
		return;
	v->asked = qmp_send(v->qmp, "qom-get", json_pack("{s:s, s:s}", "path", AT, "property", "guest-stats"), -1,
	                    NULL) == 0
	                   ? qmp_number(v->qmp)
	                   : 0;
}

void qballoon_heard(struct qvm *v)
{
	int r;

	if (!v->qmp || !v->asked || v->asked != qmp_number(v->qmp))
		return;
	r = qmp_answer(v->qmp, NULL);
	if (r == -EAGAIN)
		return;
	v->asked = 0;
	if (!r)
		qballoon_read(qmp_returned(v->qmp), &v->mem_at_s, v->mem);
}

void qballoon_read(const json_t *said, uint64_t *ret_at_s, uint64_t ret[HV_MEM_COUNT])
{
	static const char *const names[HV_MEM_COUNT] = {
		[HV_MEM_AVAILABLE] = "stat-total-memory",    [HV_MEM_UNUSED] = "stat-free-memory",
		[HV_MEM_USABLE] = "stat-available-memory",   [HV_MEM_DISK_CACHES] = "stat-disk-caches",
		[HV_MEM_SWAP_IN] = "stat-swap-in",           [HV_MEM_SWAP_OUT] = "stat-swap-out",
		[HV_MEM_MAJOR_FAULTS] = "stat-major-faults", [HV_MEM_MINOR_FAULTS] = "stat-minor-faults"
	};
	const json_t *stats = json_object_get(said, "stats");
	uint64_t at = qmp_uint(json_object_get(said, "last-update"));

	*ret_at_s = at <= INT64_MAX ? at : 0;
	for (size_t i = 0; i < HV_MEM_COUNT; i++) {
		uint64_t n = qmp_uint(json_object_get(stats, names[i]));
		ret[i] = n <= INT64_MAX ? n : UINT64_MAX; /* who reads them has numbers with a sign */
	}
}
