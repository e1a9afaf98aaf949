/* SPDX-License-Identifier: GPL-2.0-or-later */
/* What needs which feature level: see level.h. */
#include "config.h"
#include "clusterd/core/level.h"

#define POLICY_OF_LEVEL_0 4u /* the last `since` in policy.h that release 0.1.0 knows */

static bool policy_is_later(const struct clu_cmd *c)
{
	for (const struct clu_policy_field *f = clu_policy_field; f < CLU_POLICY_END; f++)
		if (f->since > POLICY_OF_LEVEL_0 && clu_policy_get(&c->policy, f) != f->otherwise)
			return true;
	return false;
}

static bool rule_is_after(const struct clu_cmd *c)
{
	return c->rule.kind == CLU_RULE_AFTER;
}

static const struct {
	enum clu_cmd_kind kind;
	bool (*has)(const struct clu_cmd *c); /* NULL: each command of the kind */
	struct clu_feature f;
} needs[] = {
	{ CLU_CMD_POLICY, policy_is_later, { 1, "this policy" } },
	{ CLU_CMD_RULE_ADD, rule_is_after, { 1, "a rule \"after\"" } },
	{ CLU_CMD_DISARM, NULL, { 1, "disarm" } },
	{ CLU_CMD_PERMIT, NULL, { 1, "disarm" } },
};

const struct clu_feature *clu_cmd_needs(const struct clu_cmd *c)
{
	const struct clu_feature *most = NULL;

	for (size_t i = 0; i < sizeof(needs) / sizeof(needs[0]); i++)
		if (needs[i].kind == c->kind && (!needs[i].has || needs[i].has(c)) &&
		    (!most || needs[i].f.level > most->level))
			most = &needs[i].f;
	return most;
}
