/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * This host: its configuration (<conf>/clusterd.json), what it can carry, what it uses. Reads /proc, /sys and files, and asks hvdom. Keeps
 * no state but the caller's struct hostcpu. Any thread, one at a time.
 */
#ifndef HOSPES_CLUSTERD_IO_HOSTINFO_H
#define HOSPES_CLUSTERD_IO_HOSTINFO_H

#include "clusterd/core/clu_state.h"
#include "common/cleanup.h"
#include "common/err.h"

/* clusterd.json; missing keys have defaults. */
struct hostconf {
	uint64_t reserve_bytes;  /* "reserve": memory that guests do not get; 0, the default: 256 MiB or a twentieth, whichever is more */
	uint64_t memory_bytes;   /* "memory": for guests in all; 0, the default: measured, less the reserve */
	uint32_t cpu_milli;      /* "cpus"; 0, the default: counted */
	char label[CLU_LABELS_MAX][CLU_WORD_MAX]; /* "labels" */
	bool domains_only;       /* "measure": "domains": usage is the sum of the domains', for hosts that share a machine */
	uint64_t stop_grace_ns;  /* "stop_grace_s": how long a guest may take to power off; default 30 s */
	uint16_t reach_port;     /* "reach_port": UDP port of the datagrams between clusterds; default 5418 */
	bool witness;            /* <conf>/witness is there: this host votes, and carries no domains */
	char migrated_name[CLU_NAME_MAX]; /* this host's name to migrated and hvdom, which Corosync's has to equal */
};
/* -EINVAL with a text that names the wrong key; system errors. */
int hostconf_load(struct hostconf *c, struct err *err) _must_check_;

/* What hvdom says of this host's engines. */
struct hostengines {
	uint32_t bits;                            /* CLU_ENGINE_* */
	char build[CLU_BUILDS_MAX][CLU_WORD_MAX]; /* as in struct clu_capacity */
};
/*
 * Ask hvdom for the engines of this host. @err gets the reasons why the others do not run, also when it returns 0. Blocks as
 * hypervisor/api/hvcheck.h says, so only helpers and tools call it. -errno: hvdom cannot be asked.
 */
int hostinfo_engines(struct hostengines *ret, struct err *err) _must_check_;
/* Measure what this host can carry. */
void hostinfo_capacity(const struct hostconf *c, const struct hostengines *engines, struct clu_capacity *ret);

struct hostcpu { uint64_t busy, total; uint32_t milli; };
/* The CPUs in use since the last call, smoothed, in thousandths; 0 at first. @cpus_milli: all CPUs. */
uint32_t hostinfo_cpu(struct hostcpu *h, uint32_t cpus_milli);
uint64_t hostinfo_mem_used(void); /* octets */

#endif
