/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * What this host is and does: its configuration (<conf>/clusterd.json), what it can carry, what it uses. Reads /proc, /sys and files,
 * asks hvdom, keeps nothing but the last CPU counters. Any thread, one at a time.
 */
#ifndef HOSPES_CLUSTERD_IO_HOSTINFO_H
#define HOSPES_CLUSTERD_IO_HOSTINFO_H

#include "clusterd/core/clu.h"
#include "common/cleanup.h"
#include "common/err.h"

/* clusterd.json; absent keys have defaults. */
struct hostconf {
	uint64_t reserve_bytes;  /* "reserve": memory that guests do not get; default 256 MiB or a twentieth, what is more */
	uint64_t memory_bytes;   /* "memory": for guests in all, instead of measuring; 0: measure */
	uint32_t cpu_milli;      /* "cpus": instead of counting; 0: count */
	char label[CLU_LABELS_MAX][CLU_WORD_MAX]; /* "labels" */
	bool domains_only;       /* "measure": "domains": usage is the sum of the domains', for hosts that share a machine */
	uint64_t stop_grace_ns;  /* "stop_grace_s": how long a guest may take to power off; default 30 s */
	uint16_t reach_port;     /* "reach_port": UDP port of the datagrams between clusterds; default 5418 */
	char migrated_name[CLU_NAME_MAX]; /* name by which migrated and hvdom know this host: to be compared with corosync's */
};
int hostconf_load(struct hostconf *c, struct err *err) _must_check_;

/*
 * Which engines (CLU_ENGINE_*) hvdom has on this host; @err says of the others why not, also when it returns 0. Blocks as
 * hypervisor/api/hvcheck.h says: only in a helper or a tool. -errno: hvdom cannot be asked.
 */
int hostinfo_engines(uint32_t *ret, struct err *err) _must_check_;
/* What this host can carry now, with those engines. */
void hostinfo_capacity(const struct hostconf *c, uint32_t engines, struct clu_capacity *ret);

struct hostcpu { uint64_t busy, total; uint32_t milli; };
/* CPUs in use since the last call, smoothed, in thousandths; 0 at first. @cpus_milli: how many there are. */
uint32_t hostinfo_cpu(struct hostcpu *h, uint32_t cpus_milli);
uint64_t hostinfo_mem_used(void);

#endif
