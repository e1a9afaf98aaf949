/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Feature levels: how hosts of two releases share a cluster. Pure, part of the state machine. docs/upgrade.md, ADR 102, cluster.md 6.
 *
 * A release that says on the wire or on disk what the one before does not know has the next level. Each clusterd says its level in HELLO.
 * When all hosts of the node list are in the view and say L or more, the coordinator proposes LEVEL(L). From then on the state has it, for
 * good: a clusterd of a lower level cannot read the state, and takes no part. Until then nothing that needs L is said, so that all nodes
 * apply the same.
 *
 * How to add a kind of command, a field of one, a value of an enum, a policy field, and the version of a record that comes of it:
 * 1. If CLU_LEVEL is still that of the last release (the list below), raise it by one, and add a line to the list.
 * 2. A line in needs[] of level.c: the kind; for a field or a value a function that says whether the command has it; CLU_LEVEL; what it is,
 *    for people. nodeio_submit() then refuses such a command by that name, and tells which hosts lack it.
 * 3. Who proposes such a command by itself (decide.c, local_*.c) looks at clu_level_has() first, and does without.
 * Older nodes have to be thought of nowhere else. A field that is said beside commands (HELLO, BEAT, USAGE) needs no level if its absence
 * has a meaning.
 */
#ifndef HOSPES_CLUSTERD_CORE_LEVEL_H
#define HOSPES_CLUSTERD_CORE_LEVEL_H

#include "clusterd/core/clu.h"

/*
 * Of releases: 0: 0.1.0.
 * 1: the one after it: levels, rules AFTER, disarm, settings of domains, spare hosts, drains until the host is back, messages
 *    CALL_OFF.
 */
#define CLU_LEVEL 1u

struct clu_feature {
	uint32_t level;
	const char *name; /* "start rules": as the subject of "needs a later version" */
};

/* The feature of @c that needs the highest level; NULL: all nodes know all of it. LEVEL itself needs none. */
const struct clu_feature *clu_cmd_needs(const struct clu_cmd *c);
/* True if the cluster has level @level: what needs it may be proposed. */
static inline bool clu_level_has(const struct clu_state *s, uint32_t level) { return s->level >= level; }

#endif
