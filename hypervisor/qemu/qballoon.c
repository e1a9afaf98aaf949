/* SPDX-License-Identifier: GPL-2.0-or-later */
/* The balloon of a guest under QEMU, by its monitor: see qvm_int.h. What it says of itself is the guest's, or that of a QEMU taken over. */
#include "config.h"
#include "hypervisor/qemu/qvm_int.h"

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
	if (qmp_ask(v->qmp, "query-balloon", NULL, QVM_CALL_NS, &said, NULL) == 0)
		qballoon_said(v, said);
	json_decref(said);
}

uint64_t qballoon_bytes(const struct qvm *v)
{
	uint64_t all = v->env->cfg->memory_bytes;

	return v->pid && v->balloon_left && v->balloon_left < all ? all - v->balloon_left : 0;
}
