/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Hypercalls and the check of requests: see hvmsg.h. Pure: no I/O, no allocation, any thread. */
#include "config.h"
#include "hypervisor/api/hvmsg.h"

#include <errno.h>
#include <string.h>

#define IN(s) HVMSG_IN(s)
#define ANY   HVMSG_ANY_STATE

static const struct hvmsg_op ops[HV_OP_MAX] = {
	[HV_OP_HELLO] = { "hello", 0, sizeof(struct hv_hello), 0, true, ANY, HVMSG_ANYBODY },
	[HV_OP_INFO] = { "info", 0, sizeof(struct hv_info), 0, true, ANY, HVMSG_ANYBODY },
	[HV_OP_STATS] = { "stats", 0, sizeof(struct hv_stats), 0, true, ANY, HVMSG_ANYBODY },
	[HV_OP_PAUSE] = { "pause", 0, 0, 0, false, IN(BOOTING) | IN(RUNNING) | IN(PAUSED) | IN(SUSPENDED),
	                  HVMSG_ANYBODY },
	[HV_OP_UNPAUSE] = { "unpause", 0, 0, 0, false, IN(BOOTING) | IN(RUNNING) | IN(PAUSED), HVMSG_ANYBODY },
	[HV_OP_SUSPEND] = { "suspend", 0, sizeof(struct hv_suspend_rep), 0, false, IN(RUNNING) | IN(PAUSED),
	                    HVMSG_ANYBODY },
	[HV_OP_RESUME] = { "resume", 0, sizeof(struct hv_resume_rep), 0, false, IN(SUSPENDED), HVMSG_SUSPENSION },
	[HV_OP_LOGDIRTY_ENABLE] = { "logdirty-enable", sizeof(struct hv_logdirty_req), sizeof(struct hv_logdirty_rep),
	                            0, false, IN(RUNNING) | IN(PAUSED) | IN(SUSPENDED), HVMSG_ANYBODY },
	[HV_OP_LOGDIRTY_PEEK] = { "logdirty-peek", 0, sizeof(struct hv_logdirty_rep), 0, false, ANY, HVMSG_LOGDIRTY },
	[HV_OP_LOGDIRTY_CLEAN] = { "logdirty-clean", 0, sizeof(struct hv_logdirty_rep), 0, false, ANY, HVMSG_LOGDIRTY },
	[HV_OP_LOGDIRTY_DISABLE] = { "logdirty-disable", 0, 0, 0, false, ANY, HVMSG_LOGDIRTY },
	[HV_OP_MAP_MEMORY] = { "map-memory", 0, sizeof(struct hv_map_rep), 0, true,
	                       IN(RUNNING) | IN(PAUSED) | IN(SUSPENDED) | IN(RELINQUISHED) | IN(INCOMING) |
	                               IN(RESTORED),
	                       HVMSG_ANYBODY },
	[HV_OP_GET_STATE] = { "get-state", sizeof(struct hv_get_state_req), sizeof(struct hv_state_rep), 0, false,
	                      IN(SUSPENDED), HVMSG_ANYBODY },
	[HV_OP_SET_STATE] = { "set-state", sizeof(struct hv_state_req), 0, 1, false, IN(INCOMING), HVMSG_INCOMING },
	[HV_OP_THROTTLE] = { "throttle", sizeof(struct hv_throttle_req), 0, 0, false, ANY, HVMSG_ANYBODY },
	[HV_OP_BALLOON] = { "balloon", sizeof(struct hv_balloon_req), 0, 0, false, ANY, HVMSG_ANYBODY },
	[HV_OP_SHUTDOWN] = { "shutdown", 0, 0, 0, false, IN(RUNNING), HVMSG_ANYBODY },
	[HV_OP_REBOOT] = { "reboot", 0, 0, 0, false, IN(RUNNING), HVMSG_ANYBODY },
	[HV_OP_DESTROY] = { "destroy", sizeof(struct hv_destroy_req), 0, 0, true, ANY, HVMSG_ANYBODY },
	[HV_OP_SUBSCRIBE] = { "subscribe", 0, 0, 0, true, ANY, HVMSG_ANYBODY },
	[HV_OP_CONSOLE] = { "console", sizeof(struct hv_console_req), 0, 0, true, ANY, HVMSG_ANYBODY },
	[HV_OP_RELINQUISH] = { "relinquish", sizeof(struct hv_owner), 0, 0, false, IN(SUSPENDED), HVMSG_SUSPENSION },
	[HV_OP_RECLAIM] = { "reclaim", sizeof(struct hv_owner), 0, 0, false, IN(RELINQUISHED), HVMSG_ANYBODY },
	[HV_OP_TAKE] = { "take", sizeof(struct hv_owner), sizeof(struct hv_owner), 0, false, IN(RESTORED),
	                 HVMSG_INCOMING },
	[HV_OP_LEASE] = { "lease", 0, sizeof(struct hv_owner), 0, false, ANY, HVMSG_ANYBODY },
	[HV_OP_ANNOUNCE] = { "announce", 0, 0, 0, false, ANY, HVMSG_ANYBODY },
	[HV_OP_DUMPXML] = { "dumpxml", 0, 0, 0, true, ANY, HVMSG_ANYBODY },
	[HV_OP_LOGLEVEL] = { "loglevel", sizeof(uint32_t), 0, 0, true, ANY, HVMSG_ANYBODY },
	[HV_OP_MEMHASH] = { "memhash", 0, sizeof(struct hv_memhash_rep), 0, false,
	                    IN(PAUSED) | IN(SUSPENDED) | IN(RELINQUISHED) | IN(INCOMING) | IN(RESTORED),
	                    HVMSG_ANYBODY },
	[HV_OP_AUDIT] = { "audit", 0, sizeof(struct hv_logdirty_rep), 0, false, ANY, HVMSG_LOGDIRTY },
	[HV_OP_PARK] = { "park", sizeof(struct hv_park_req), 0, 0, false, IN(RUNNING) | IN(PAUSED) | IN(PARKED),
	                 HVMSG_ANYBODY },
	[HV_OP_UNPARK] = { "unpark", sizeof(struct hv_park_req), 0, 0, false, IN(PARKED), HVMSG_ANYBODY },
	[HV_OP_FROZEN] = { "frozen", sizeof(struct hv_frozen_req), 0, 0, false, ANY, HVMSG_ANYBODY },
	[HV_OP_BLOCKRESIZE] = { "blockresize", sizeof(struct hv_blockresize_req), 0, 0, false, IN(RUNNING),
	                        HVMSG_ANYBODY },
	[HV_OP_ATTACH] = { "attach", sizeof(struct hv_attach_req), sizeof(struct hv_attach_rep), 1 | HVMSG_OR_MORE,
	                   false, IN(RUNNING), HVMSG_ANYBODY },
	[HV_OP_DETACH] = { "detach", sizeof(struct hv_detach_req), 0, 0, false, IN(RUNNING), HVMSG_ANYBODY },
	[HV_OP_DISPLAY] = { "display", 0, sizeof(struct hv_display), 0, true, ANY, HVMSG_ANYBODY },
	[HV_OP_SCREENSHOT] = { "screenshot", sizeof(struct hv_screenshot_req), sizeof(struct hv_screenshot_rep), 0,
	                       true, IN(RUNNING) | IN(PAUSED), HVMSG_ANYBODY },
	/* HV_OP_EVENT is never a request */
};

const struct hvmsg_op *hvmsg_op(uint16_t op)
{
	return op < HV_OP_MAX && ops[op].name ? &ops[op] : NULL;
}

const char *hvmsg_op_name(uint16_t op)
{
	const struct hvmsg_op *o = hvmsg_op(op);

	return o ? o->name : "unknown";
}

size_t hvmsg_req_len(uint16_t op)
{
	const struct hvmsg_op *o = hvmsg_op(op);

	return o ? o->req_len : 0;
}

const char *hv_logdirty_by(uint32_t by)
{
	static const char *const names[] = { [HV_LOGDIRTY_BY_UNKNOWN] = "unknown",
		                             [HV_LOGDIRTY_BY_SCAN] = "pagemap-scan",
		                             [HV_LOGDIRTY_BY_SOFT_DIRTY] = "soft-dirty",
		                             [HV_LOGDIRTY_BY_HASH] = "hash",
		                             [HV_LOGDIRTY_BY_NOTHING] = "none" };

	return names[by < ARRAY_SIZE(names) ? by : HV_LOGDIRTY_BY_UNKNOWN];
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
	op = hvmsg_op(h.op);
	if (!op) {
		err_set(err, EOPNOTSUPP, "hypercall: op %u is not known to this hvdom", h.op);
		return HVMSG_REFUSE;
	}
	unsigned least = op->n_fds & ~HVMSG_OR_MORE, most = op->n_fds & HVMSG_OR_MORE ? HVMSG_FDS_MAX : least;
	if (n_fds < least || n_fds > most) {
		err_set(err, EPROTO, "hypercall: %s takes %u descriptors, %zu came", op->name, least, n_fds);
		return HVMSG_HANGUP;
	}
	return HVMSG_OK;
}
