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

static bool is_until_back(const struct clu_cmd *c)
{
	return c->on && c->desired == CLU_DESIRED_RUNNING;
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
	{ CLU_CMD_SET, NULL, { 1, "a setting of a domain" } },
	{ CLU_CMD_SPARE, NULL, { 1, "a spare host" } },
	{ CLU_CMD_MAINTENANCE, is_until_back, { 1, "a drain until the host is back" } },
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
