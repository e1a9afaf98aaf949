/* SPDX-License-Identifier: GPL-2.0-or-later */
/* What all domains looked like at a moment, and what happened to jobs before it. Shared with tests. */
#ifndef HOSPES_VIRTD_VDEVENT_H
#define HOSPES_VIRTD_VDEVENT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include "common/buf.h"
#include "hypervisor/api/hypercall.h"
#include "tools/jsonconn.h"
#include "virtd/vdxdr.h"

#define VD_SEEN_DEVS 24u

struct vd_seen {
	char name[HV_NAME_MAX];
	uint8_t uuid[XDR_UUID];
	int32_t id;                  /* -1: shut off */
	bool defined, paused, crashed;
	bool silent;                 /* its hvdom did not answer: nothing else is known now */
	bool arriving;               /* from another host, or a file */
	int32_t paused_for;          /* libvirt's reason of that state */
	uint64_t memory_bytes;       /* now; 0: unknown */
	uint32_t reboots, watchdogs; /* how often, since it started */
	char disk[16];               /* that failed; empty: none */
	bool agent;                  /* its agent sends heartbeats */
	bool known_devs;             /* dev is valid: somebody wants to hear of devices */
	uint32_t n_devs;
	char dev[VD_SEEN_DEVS][16];  /* disks and NICs, by their targets' names */
	/* of the cluster */
	char host[HV_NAME_MAX];
	bool moving, starting, lost; /* lost: its host is */
	/* carried from look to look */
	uint32_t iteration;          /* of a push from here */
	bool moved;                  /* by a push from here, which has come to an end */
};

/* A push from here went on, or has ended. */
struct vd_job {
	char name[HV_NAME_MAX];
	uint32_t iteration;
	bool over, moved;
	struct buf params;           /* of one that is over: typed parameters; owned */
};

struct vd_snapshot {
	struct vd_seen *dom;         /* owned, sorted by name */
	size_t n;
	struct vd_job *job;          /* owned, in order */
	size_t n_jobs;
};

/* What migrated says of pushes from this host. For one thread at a time. */
#define VD_JOBS_MAX 64u
struct vd_jobs {
	struct jsonconn conn;
	char under_way[VD_JOBS_MAX][HV_NAME_MAX];
	size_t n;
};

void vd_jobs_init(struct vd_jobs *j);
/* Add to @s what was said since the last call. Waits 3 s at most, for the result of a push whose domain @s has no more. */
void vd_jobs_read(struct vd_jobs *j, struct vd_snapshot *s);
void vd_jobs_close(struct vd_jobs *j);

#endif
