/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * A client of qemu-guest-agent in a guest, over the domain's channel org.qemu.guest_agent.0. What the agent says is the
 * guest's: it is bounded in time and octets, and only what is checked is shown. Protocol: qga/qapi-schema.json of QEMU.
 */
#ifndef HOSPES_TOOLS_VMCTL_AGENT_H
#define HOSPES_TOOLS_VMCTL_AGENT_H

#include <jansson.h>
#include "common/cleanup.h"
#include "common/err.h"

struct vmctl_agent {
	int fd; /* -1: not connected */
	char *buf;
	size_t len;
};

/*
 * Connect to the agent of the running domain @name, and wait until it answers, @ms at most. -ENOENT: the domain has no
 * channel to one; -ETIMEDOUT: nobody answers; -EBUSY: another program talks to it. Close it after any result.
 */
int vmctl_agent_open(struct vmctl_agent *a, const char *name, unsigned ms, struct err *err) _must_check_;
void vmctl_agent_close(struct vmctl_agent *a);
/* Execute @cmd with @args (taken over, NULL: none). *@ret is owned by the caller. -EREMOTEIO: the agent refuses. */
int vmctl_agent_call(struct vmctl_agent *a, const char *cmd, json_t *args, unsigned ms, json_t **ret,
                     struct err *err) _must_check_;
/* Power off. 0: the agent took the order. */
int vmctl_agent_shutdown(const char *name, struct err *err) _must_check_;
/* Give the guest this host's time, if it has an agent that answers; says so when that agent refuses. */
void vmctl_agent_set_time(const char *name);

static inline void cleanup_vmctl_agent(struct vmctl_agent *a) { vmctl_agent_close(a); }
#define _cleanup_vmctl_agent_ __attribute__((cleanup(cleanup_vmctl_agent)))

#endif
