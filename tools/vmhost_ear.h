/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Does anybody in the guest answer? A guest need not have an agent (docs/wire/agent.md), and one that is no Linux
 * has none: what it is asked for it then never hears of. Whoever asks listens first, and says so.
 */
#ifndef HOSPES_TOOLS_VMHOST_EAR_H
#define HOSPES_TOOLS_VMHOST_EAR_H

#include <signal.h>
#include <stdbool.h>
#include <stdint.h>
#include "hypervisor/api/hvcall.h"

struct vmhost_ear {
	char console[16];  /* the agent's; empty: hvdom does not tell */
	uint64_t octets;   /* that it had said so far */
};

/* Before something is asked for. Whatever fails here only leaves @e deaf. */
void vmhost_listen(struct hvcall *c, struct vmhost_ear *e);
/* False: the agent has said nothing since, within @ms milliseconds. True if it did, if the guest is gone, or if nobody can tell. */
bool vmhost_heard(struct hvcall *c, const struct vmhost_ear *e, unsigned ms, const volatile sig_atomic_t *stop);

#endif
