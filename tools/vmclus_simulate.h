/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The balancer without a cluster: read a description (docs/wire/cluster-description.md), plan, print. Shared by vmclus_simulate.c (options,
 * output), vmclus_simfile.c (description to snapshot) and vmclus_simgen.c (made-up clusters, Ganeti's format). One thread.
 */
#ifndef HOSPES_TOOLS_VMCLUS_SIMULATE_H
#define HOSPES_TOOLS_VMCLUS_SIMULATE_H

#include <jansson.h>
#include <stdio.h>
#include "clusterd/core/plan.h"
#include "common/cleanup.h"
#include "common/err.h"
#include "tools/jsonconn.h"

/* A description that was read. Owns all that it points to. */
struct simfile {
	struct clu_plan_snap snap;   /* what the planner reads; points to the four arrays below */
	struct clu_plan_host *host;
	struct clu_plan_dom *dom;
	struct clu_plan_tie *tie;
	uint64_t *row;
	size_t row_cap;              /* allocated rows */
	json_t *doc;                 /* the description */
	const char **host_name, **dom_name; /* by index; the names are doc's */
	json_t *host_of, *dom_of;    /* name to index */
	struct clu_policy policy;
	bool has_policy;             /* the description sets threshold or gain */
	uint64_t bandwidth_bps;      /* octets per second of a migration; 0: the description does not say */
};

/* Read the description @doc, which is @f's from now on. On failure @f owns nothing, and @doc is released. */
int simfile_read(struct simfile *f, json_t *doc, struct err *err) _must_check_;
void simfile_done(struct simfile *f);
static inline void cleanup_simfile(struct simfile *f) { simfile_done(f); }
#define _cleanup_simfile_ __attribute__((cleanup(cleanup_simfile)))

/* Move domains to where the file says, in lines "DOMAIN HOST". -ENOENT: a name that the description does not have; as fopen(3). */
int simfile_place(struct simfile *f, const char *path, struct err *err) _must_check_;
/* Write the cluster as input of hbal (package ganeti-htools): whole MiB, quarters of CPUs, shared storage. Rules are left out. */
int simfile_write_ganeti(const struct simfile *f, const char *path, struct err *err) _must_check_;
/* Make up a lopsided cluster of @hosts and @domains, the same for the same @seed. Owned by the caller; NULL: out of memory. */
json_t *simgen(uint32_t hosts, uint32_t domains, uint64_t seed);

#endif
