/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The balancer without a cluster: read a description (docs/wire/cluster-description.md), plan, print. Shared by vmclus_simulate.c (command
 * line, output), vmclus_simfile.c (description to snapshot) and vmclus_simgen.c (made-up clusters, Ganeti's format). One thread.
 */
#ifndef HOSPES_TOOLS_VMCLUS_SIMULATE_H
#define HOSPES_TOOLS_VMCLUS_SIMULATE_H

#include <jansson.h>
#include <stdio.h>
#include "clusterd/core/plan.h"
#include "common/cleanup.h"
#include "common/err.h"
#include "tools/jsonconn.h"

/*
 * simulate [OPTIONS] FILE|-, as a program: argv[0] is a name for messages. 0; 1: failed, with a message on stderr; 2: wrong usage.
 * Needs neither a cluster nor root.
 */
int vmclus_simulate(int argc, char **argv);

struct simfile {
	struct clu_plan_snap snap;
	struct clu_plan_host *host;
	struct clu_plan_dom *dom;
	struct clu_plan_tie *tie;
	uint64_t *row;
	size_t row_cap, tie_cap;   /* allocated */
	json_t *doc;
	const char **host_name, **dom_name; /* borrowed from doc */
	json_t *host_of, *dom_of;  /* name -> index */
	struct clu_policy policy;
	bool has_policy;           /* the description sets threshold or gain */
	uint64_t bandwidth_bps;    /* 0: not said */
};

/* @f holds nothing on failure. Takes @doc in any case. */
int simfile_read(struct simfile *f, json_t *doc, struct err *err) _must_check_;
void simfile_done(struct simfile *f);
static inline void cleanup_simfile(struct simfile *f) { simfile_done(f); }
#define _cleanup_simfile_ __attribute__((cleanup(cleanup_simfile)))

/* "DOMAIN HOST" lines: where domains are instead. */
int simfile_place(struct simfile *f, const char *path, struct err *err) _must_check_;
/* The input of hbal (package ganeti-htools) for the same cluster: whole MiB, quarters of CPUs, shared storage. Rules are not written. */
int simfile_write_ganeti(const struct simfile *f, const char *path, struct err *err) _must_check_;
/* A lopsided cluster of @hosts and @domains, the same for the same @seed; owned by the caller. */
json_t *simgen(uint32_t hosts, uint32_t domains, uint64_t seed);

#endif
