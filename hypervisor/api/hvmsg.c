/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Checks of hypercall requests: see hvmsg.h. Pure: no I/O, no allocation, any thread. */
#include "config.h"
#include "hypervisor/api/hvmsg.h"

#include <errno.h>
#include <string.h>

struct hvmsg_op {
	const char *name;
	uint16_t req_len; /* octets of the request structure */
	uint8_t n_fds;    /* descriptors that must come with it */
};

static const struct hvmsg_op ops[HV_OP_MAX] = {
	[HV_OP_HELLO] = { "hello", 0, 0 },
	[HV_OP_INFO] = { "info", 0, 0 },
	[HV_OP_STATS] = { "stats", 0, 0 },
	[HV_OP_PAUSE] = { "pause", 0, 0 },
	[HV_OP_UNPAUSE] = { "unpause", 0, 0 },
	[HV_OP_SUSPEND] = { "suspend", 0, 0 },
	[HV_OP_RESUME] = { "resume", 0, 0 },
	[HV_OP_LOGDIRTY_ENABLE] = { "logdirty-enable", sizeof(struct hv_logdirty_req), 0 },
	[HV_OP_LOGDIRTY_PEEK] = { "logdirty-peek", 0, 0 },
	[HV_OP_LOGDIRTY_CLEAN] = { "logdirty-clean", 0, 0 },
	[HV_OP_LOGDIRTY_DISABLE] = { "logdirty-disable", 0, 0 },
	[HV_OP_MAP_MEMORY] = { "map-memory", 0, 0 },
	[HV_OP_GET_STATE] = { "get-state", 0, 0 },
	[HV_OP_SET_STATE] = { "set-state", sizeof(struct hv_state_req), 1 },
	[HV_OP_THROTTLE] = { "throttle", sizeof(struct hv_throttle_req), 0 },
	[HV_OP_BALLOON] = { "balloon", sizeof(struct hv_balloon_req), 0 },
	[HV_OP_SHUTDOWN] = { "shutdown", 0, 0 },
	[HV_OP_REBOOT] = { "reboot", 0, 0 },
	[HV_OP_DESTROY] = { "destroy", sizeof(struct hv_destroy_req), 0 },
	[HV_OP_SUBSCRIBE] = { "subscribe", 0, 0 },
	/* HV_OP_EVENT is never a request */
	[HV_OP_CONSOLE] = { "console", sizeof(struct hv_console_req), 0 },
	[HV_OP_RELINQUISH] = { "relinquish", sizeof(struct hv_owner), 0 },
	[HV_OP_RECLAIM] = { "reclaim", sizeof(struct hv_owner), 0 },
	[HV_OP_TAKE] = { "take", sizeof(struct hv_owner), 0 },
	[HV_OP_LEASE] = { "lease", 0, 0 },
	[HV_OP_ANNOUNCE] = { "announce", 0, 0 },
	[HV_OP_DUMPXML] = { "dumpxml", 0, 0 },
	[HV_OP_LOGLEVEL] = { "loglevel", sizeof(uint32_t), 0 },
	[HV_OP_MEMHASH] = { "memhash", 0, 0 },
	[HV_OP_PREPARE] = { "prepare", sizeof(struct hv_state_req), 1 },
	[HV_OP_AUDIT] = { "audit", 0, 0 },
	[HV_OP_PARK] = { "park", sizeof(struct hv_park_req), 0 },
	[HV_OP_UNPARK] = { "unpark", sizeof(struct hv_park_req), 0 },
};

static const struct hvmsg_op *find_op(uint16_t op)
{
	return op < HV_OP_MAX && ops[op].name ? &ops[op] : NULL;
}

const char *hvmsg_op_name(uint16_t op)
{
	const struct hvmsg_op *o = find_op(op);

	return o ? o->name : "unknown";
}

size_t hvmsg_req_len(uint16_t op)
{
	const struct hvmsg_op *o = find_op(op);

	return o ? o->req_len : 0;
}

enum hvmsg_verdict hvmsg_check(const void *p, size_t len, size_t n_fds, struct hv_msg *ret_hdr, struct err *err)
{
	const struct hvmsg_op *op;
	struct hv_msg h = { 0 };

	memcpy(&h, p, len < sizeof(h) ? len : sizeof(h));
	*ret_hdr = h;
	if (len < sizeof(h)) {
		err_set(err, EPROTO, "hypercall: message of %zu octets is shorter than its header", len);
		return HVMSG_HANGUP;
	}
	if (h.magic != HV_MAGIC) {
		err_set(err, EPROTO, "hypercall: wrong magic 0x%08x, this is a hypercall socket of Hospes", h.magic);
		return HVMSG_HANGUP;
	}
	/* N and N-1; there was no version 0 */
	if (!h.version || h.version > HV_VERSION || h.version + 1u < HV_VERSION) {
		err_set(err, EPROTONOSUPPORT,
		        "hypercall: version %u is not spoken here, only %u; use tools of the same release as hvdom",
		        h.version, HV_VERSION);
		return HVMSG_HANGUP;
	}
	if (h.len != len - sizeof(h) || h.len > HV_PAYLOAD_MAX) {
		err_set(err, EPROTO, "hypercall: header says %u payload octets, %zu came", h.len, len - sizeof(h));
		return HVMSG_HANGUP;
	}
	op = find_op(h.op);
	if (!op) {
		err_set(err, EOPNOTSUPP, "hypercall: op %u is not known to this hvdom", h.op);
		return HVMSG_REFUSE;
	}
	if (n_fds != op->n_fds) {
		err_set(err, EPROTO, "hypercall: %s takes %u descriptors, %zu came", op->name, op->n_fds, n_fds);
		return HVMSG_HANGUP;
	}
	return HVMSG_OK;
}
