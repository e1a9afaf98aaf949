/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * A replicated state and commands for it, for stories and random tests (test_clustate.c, test_clulost.c). Domains are numbered from 0,
 * nodes from 1. What applies a command returns its answer's status, and checks that the sum of the state follows.
 */
#ifndef HOSPES_TESTS_UNIT_CLUAPPLY_H
#define HOSPES_TESTS_UNIT_CLUAPPLY_H

#include "clusterd/core/clu.h"
#include "tests/unit/testutil.h"

#define DOMS  24u
#define NODES 5u

struct world {
	struct clu_state s;
	struct clu_dom dom[DOMS];
	struct clu_answer answer;
};

void world_init(struct world *w); /* the nodes are known; nothing else is */
void running(struct world *w);    /* all nodes are online, domain 0 runs on node 1 */
const char *uuid_of(unsigned i);  /* one of four static buffers */
struct clu_dom *dom(struct world *w, unsigned i);

struct clu_cmd cmd(enum clu_cmd_kind kind, uint32_t origin, const char *uuid); /* @uuid NULL: none */
int apply(struct world *w, const struct clu_cmd *c);
int host_up(struct world *w, uint32_t node, const struct clu_inventory *inv, uint32_t n);
int lost(struct world *w, uint32_t node);
int waited(struct world *w, uint32_t by, uint32_t node);
int define(struct world *w, unsigned i);
int desire(struct world *w, unsigned i, enum clu_desired d);
int start(struct world *w, unsigned i, uint32_t node);
int result(struct world *w, unsigned i, uint32_t origin, enum clu_result r, uint64_t generation);
int observed(struct world *w, unsigned i, uint32_t origin, enum clu_seen seen, uint64_t generation);
int move(struct world *w, unsigned i, uint32_t target);

/* Read the records of @from into @to, and check that it is the same state then. */
void reload(const struct world *from, struct world *to);

#endif
