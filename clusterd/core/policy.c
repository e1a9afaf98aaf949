/* SPDX-License-Identifier: GPL-2.0-or-later */
/* The policy by its description: see policy.h and clu_policy.h. */
#include "config.h"
#include "clusterd/core/clu_policy.h"

#define FIELD(no, ver, type, name, text, dflt, least, most, ...)                                                       \
	{ .number = (no),                                                                                              \
	  .since = (ver),                                                                                              \
	  .kind = CLU_FIELD_##type,                                                                                    \
	  .at = offsetof(struct clu_policy, name),                                                                     \
	  .key = (text),                                                                                               \
	  .otherwise = (dflt),                                                                                         \
	  .min = (least),                                                                                              \
	  .max = (most),                                                                                               \
	  ##__VA_ARGS__ },
const struct clu_policy_field clu_policy_field[CLU_POLICY_N] = { CLU_POLICY_FIELDS(FIELD) };
_Static_assert(sizeof(enum clu_admission) == sizeof(uint32_t), "words are read and written as numbers");

uint64_t clu_policy_get(const struct clu_policy *p, const struct clu_policy_field *f)
{
	const void *at = (const uint8_t *)p + f->at;

	return f->kind == CLU_FIELD_FLAG ? *(const bool *)at
	       : f->kind == CLU_FIELD_NS ? *(const uint64_t *)at
	                                 : *(const uint32_t *)at;
}

void clu_policy_set(struct clu_policy *p, const struct clu_policy_field *f, uint64_t v)
{
	void *at = (uint8_t *)p + f->at;

	if (f->kind == CLU_FIELD_FLAG)
		*(bool *)at = v;
	else if (f->kind == CLU_FIELD_NS)
		*(uint64_t *)at = v;
	else
		*(uint32_t *)at = (uint32_t)v;
}

void clu_policy_default(struct clu_policy *p)
{
	*p = (struct clu_policy){ 0 };
	for (const struct clu_policy_field *f = clu_policy_field; f < CLU_POLICY_END; f++)
		clu_policy_set(p, f, f->otherwise);
}

const struct clu_policy_field *clu_policy_wrong(const struct clu_policy *p)
{
	for (const struct clu_policy_field *f = clu_policy_field; f < CLU_POLICY_END; f++) {
		uint64_t v = clu_policy_get(p, f);

		if ((v < f->min && !(f->or_zero && v == 0)) || v > f->max)
			return f;
	}
	return NULL;
}

uint64_t clu_park_ns(const struct clu_policy *p, uint64_t lease_ns)
{
	uint64_t ns = lease_ns / 4;

	if (p->no_quorum != CLU_NO_QUORUM_SUSPEND || lease_ns < CLU_PARK_LEASE_NS || p->margin_ns < CLU_PARK_MARGIN_NS)
		return 0;
	return ns < CLU_S ? CLU_S : ns > 5 * CLU_S ? 5 * CLU_S : ns;
}
