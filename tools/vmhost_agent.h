/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * A client of qemu-guest-agent in a guest, over the domain's channel org.qemu.guest_agent.0. What the agent says is the
 * guest's: it is bounded in time and octets, and only what is checked is handed on. Protocol: qga/qapi-schema.json of QEMU.
 * Functions block for as long as they say; they keep no state.
 */
#ifndef HOSPES_TOOLS_VMHOST_AGENT_H
#define HOSPES_TOOLS_VMHOST_AGENT_H

#include <arpa/inet.h>
#include <jansson.h>
#include <stdbool.h>
#include <stddef.h>
#include "common/cleanup.h"
#include "common/err.h"
#include "hypervisor/api/hvcall.h"
#include "tools/vmhost_ear.h"

#define VMHOST_INTERFACES_MAX 64u
#define VMHOST_ADDRESSES_MAX  64u  /* of each */
#define VMHOST_FREEZE_S       60u  /* how long file systems stay frozen, if nobody says otherwise */
#define VMHOST_FREEZE_S_MAX   600u

struct vmhost_agent {
	int fd; /* -1: not connected */
	char *buf;
	size_t len;
};

/*
 * Connect to the agent of the running domain @name, and wait until it answers, @ms at most. -ENOENT: the domain has no
 * channel to one; -ETIMEDOUT: nobody answers; -EBUSY: another program talks to it. Close it after any result.
 */
int vmhost_agent_open(struct vmhost_agent *a, const char *name, unsigned ms, struct err *err) _must_check_;
void vmhost_agent_close(struct vmhost_agent *a);
/* Execute @cmd with @args (taken over, NULL: none). *@ret is owned by the caller. -EREMOTEIO: the agent refuses. */
int vmhost_agent_call(struct vmhost_agent *a, const char *cmd, json_t *args, unsigned ms, json_t **ret,
                     struct err *err) _must_check_;
/* Power off. 0: the agent took the order. About 2 s if there is none. */
int vmhost_agent_shutdown(const char *name, struct err *err) _must_check_;
/*
 * Ask the guest of the domain at the other end of @c to power off: by its own agent, or in every other way that
 * hvdom has. In the latter case @ear (may be NULL) can tell whether anybody heard.
 */
int vmhost_shutdown(struct hvcall *c, const char *name, struct vmhost_ear *ear, struct err *err) _must_check_;
/* Give the guest this host's time. 0: done, or it has no agent that answers. */
int vmhost_agent_set_time(const char *name, struct err *err) _must_check_;

/*
 * Have the guest's file systems written and frozen, until vmhost_thaw() or for @seconds (1 to VMHOST_FREEZE_S_MAX): then hvdom has them
 * thawed, whether we live or not. *@ret_n: how many were. -EBUSY: the domain moves, or does not run. After any failure they are thawed at
 * once, or by hvdom in time. Up to 50 s.
 */
int vmhost_freeze(const char *name, unsigned seconds, unsigned *ret_n, struct err *err) _must_check_;
/* *@ret_n: how many were thawed; 0 is fine. After a failure hvdom's time still runs. Up to 25 s. */
int vmhost_thaw(const char *name, unsigned *ret_n, struct err *err) _must_check_;

struct vmhost_address {
	bool six;        /* IPv6 */
	unsigned prefix; /* bits */
	char ip[INET6_ADDRSTRLEN];
};

/* Texts are printable ASCII without spaces. */
struct vmhost_interface {
	char name[24], mac[24];
	struct vmhost_address address[VMHOST_ADDRESSES_MAX];
	size_t n;
};

/* The interfaces that the guest says it has; *@ret is malloc'd. Up to 10 s. */
int vmhost_addresses(const char *name, struct vmhost_interface **ret, size_t *ret_n, struct err *err) _must_check_;

#define VMHOST_HOSTNAME_MAX 256u

/*
 * Execute the agent's own command @text, {"execute": ..., "arguments": {...}}. *@ret, malloc'd, is its answer, {"return": ...}: the guest's
 * words. @seconds to wait for the answer; 0: do not, then it is empty. -EINVAL: that is no command.
 */
int vmhost_agent_command(const char *name, const char *text, unsigned seconds, char **ret, struct err *err) _must_check_;
/* Printable ASCII without spaces. Up to 10 s. */
int vmhost_guest_hostname(const char *name, char ret[VMHOST_HOSTNAME_MAX], struct err *err) _must_check_;
/* Nanoseconds since the epoch, by the guest's clock. Up to 10 s. */
int vmhost_guest_time(const char *name, int64_t *ret_ns, struct err *err) _must_check_;
int vmhost_guest_set_time(const char *name, int64_t ns, struct err *err) _must_check_;
/* Give storage back that the guest's file systems do not use, in pieces of at least @minimum octets. Up to 65 s. */
int vmhost_trim(const char *name, uint64_t minimum, struct err *err) _must_check_;

static inline void cleanup_vmhost_agent(struct vmhost_agent *a) { vmhost_agent_close(a); }
#define _cleanup_vmhost_agent_ __attribute__((cleanup(cleanup_vmhost_agent)))

#endif
