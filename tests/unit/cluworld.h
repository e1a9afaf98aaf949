/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Small cluster states, put together by hand, for the tests of placement and balancing. */
#ifndef HOSPES_TESTS_UNIT_CLUWORLD_H
#define HOSPES_TESTS_UNIT_CLUWORLD_H

#include "clusterd/core/plan.h"

#define CLUWORLD_MIB (1ull << 20)

/* @hosts online hosts host-a, host-b, … (node ids 1, 2, …) of 8 GiB and 8 CPUs, engine pv; room for @doms domains. */
struct clu_state *cluworld_new(uint32_t hosts, uint32_t doms);
void cluworld_free(struct clu_state *s);
/* A domain of @mem_mib and one vCPU, engine pv, ha; @node 0: stopped, wanted running; else it runs there. */
struct clu_dom *cluworld_dom(struct clu_state *s, const char *name, uint32_t mem_mib, uint32_t node);
/* @members: names with one blank between them. */
struct clu_rule *cluworld_rule(struct clu_state *s, enum clu_rule_kind kind, bool soft, bool never, const char *members);

#endif
