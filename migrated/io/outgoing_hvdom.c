/* SPDX-License-Identifier: GPL-2.0-or-later */
/* The hvdom of a source session: what is read of the domain at the start, then hypercalls without waiting, and their answers. */
#include "config.h"
#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include "common/fault.h"
#include "common/log.h"
#include "hypervisor/api/hvcall.h"
#include "hypervisor/api/memcheck.h"
#include "migrated/io/outgoing_int.h"

static int read_domain(struct outgoing *o, struct hvcall *hv, struct err *err)
{
	struct hv_stats st;
	size_t len;

	int r = hvcall_simple(hv, HV_OP_HELLO, NULL, 0, &o->hello, sizeof(o->hello), err);
	if (r == 0)
		r = hvcall_simple(hv, HV_OP_INFO, NULL, 0, &o->info, sizeof(o->info), err);
	if (r == 0)
		r = hvcall_simple(hv, HV_OP_STATS, NULL, 0, &st, sizeof(st), err);
	if (r < 0)
		return r;
	o->hello.engine[sizeof(o->hello.engine) - 1] = o->hello.kernel_id[sizeof(o->hello.kernel_id) - 1] = 0;
	o->info.name[HV_NAME_MAX - 1] = o->info.uuid[36] = 0;
	o->ram_used = st.ram_used_bytes;
	o->dirty_pps = st.dirty_pages_per_s;
	o->xml = calloc(1, HV_PAYLOAD_MAX + 1);
	if (!o->xml)
		return err_sys(err, ENOMEM, "domain %s", o->order.domain);
	r = hvcall(hv, HV_OP_DUMPXML, NULL, 0, NULL, 0, o->xml, HV_PAYLOAD_MAX, &len, NULL, NULL, err);
	if (r < 0)
		return r;
	if (!(o->hello.caps & HV_CAP_MIGRATE))
		return err_set(err, ENOTSUP, "domain %s cannot move: its engine %s here offers no migration",
		               o->order.domain, o->hello.engine);
	return 0;
}

static int check_state(const struct outgoing *o, struct err *err)
{
	switch (o->info.state) {
	case HV_DOM_RUNNING:
	case HV_DOM_PAUSED:
		return 0;
	case HV_DOM_BOOTING:
		return err_set(err, EAGAIN, "domain %s is still booting: try again in a moment", o->order.domain);
	case HV_DOM_RELINQUISHED:
		return err_set(err, EBUSY, "domain %s is in doubt after an earlier migration: see `vmmig status %s`",
		               o->order.domain, o->order.domain);
	case HV_DOM_SUSPENDED:
		return err_set(err, EBUSY, "domain %s is being saved or moved by someone else", o->order.domain);
	case HV_DOM_PARKED:
		return err_set(err, EBUSY, "domain %s is suspended until this host has quorum again", o->order.domain);
	default:
		return err_set(err, EINVAL, "domain %s does not run here", o->order.domain);
	}
}

void outgoing_hv(struct outgoing *o, enum mig_hv op, uint64_t v0)
{
	union pump_req req = { 0 };

	(void)fault_point("src", "hv", mig_hv_name(op), "", o->info.pid);
	switch (op) {
	case MIG_HV_LOGDIRTY_ENABLE:
		req.logdirty.mode = (uint32_t)v0;
		req.logdirty.flags = o->order.audit ? HV_LOGDIRTY_F_AUDIT : 0;
		break;
	case MIG_HV_THROTTLE:
		req.throttle.percent = (uint32_t)v0;
		break;
	case MIG_HV_SUSPEND:
		o->suspend_ns = now_ns();
		break;
	case MIG_HV_GET_STATE:
		memcpy(req.get.base, o->target_base, sizeof(req.get.base));
		break;
	case MIG_HV_RELINQUISH:
	case MIG_HV_RECLAIM:
		req.owner.generation = v0;
		snprintf(req.owner.owner, sizeof(req.owner.owner), "%s",
		         op == MIG_HV_RELINQUISH ? o->peer.name : o->d->node.name);
		break;
	case MIG_HV_DESTROY_MOVED:
		req.destroy.flags = HV_DESTROY_F_MOVED;
		break;
	default:
		break;
	}
	if (!pump_call(o->hva, op, &req, -1))
		outgoing_feed(o, &(struct mig_event){ .kind = MIG_EV_HV_LOST });
}

static void got_logdirty(struct outgoing *o, struct mig_event *ev, const void *payload, size_t len)
{
	struct hv_logdirty_rep rep = { 0 };

	memcpy(&rep, payload, len < sizeof(rep) ? len : sizeof(rep));
	if (ev->hv.op == MIG_HV_LOGDIRTY_ENABLE) {
		ev->hv.v0 = rep.mode;
		o->logdirty_by = rep.by;
	} else if (ev->hv.op == MIG_HV_CLEAN) {
		o->scan_ns = rep.scan_ns;
		if (o->suspended_ns)
			o->cleaned_ns = ev->now_ns;
		ev->hv.v0 = o->pipe ? outpipe_harvest(o->pipe) : rep.dirty_pages;
		ev->hv.v1 = rep.scan_ns;
	} else {
		ev->hv.v0 = rep.dirty_pages;
		if (rep.dirty_pages)
			log_error("%s: the dirty log missed %" PRIu64 " pages", o->order.domain,
			          (uint64_t)rep.dirty_pages);
	}
}

static void hv_reply(void *arg, uint16_t op, int status, const void *payload, size_t len, int *fds, size_t n_fds,
                     const char *text)
{
	struct outgoing *o = arg;
	struct mig_event ev = { .kind = MIG_EV_HV, .now_ns = now_ns() };
	struct hv_state_rep st = { 0 };
	struct hv_suspend_rep su = { 0 };

	if (op == HV_OP_SUBSCRIBE)
		return; /* one that refuses has its end noticed at the next round */
	ev.hv.op = pump_hv_of(op);
	ev.hv.status = status;
	if (status < 0) {
		log_warn("%s: hypercall %s: %s", o->order.domain, mig_hv_name(ev.hv.op), text);
		if (!o->local_text[0])
			snprintf(o->local_text, sizeof(o->local_text), "%s: %.300s", mig_hv_name(ev.hv.op), text);
	} else if (op == HV_OP_LOGDIRTY_ENABLE || op == HV_OP_LOGDIRTY_CLEAN || op == HV_OP_AUDIT) {
		got_logdirty(o, &ev, payload, len);
	} else if (op == HV_OP_SUSPEND) {
		memcpy(&su, payload, len < sizeof(su) ? len : sizeof(su));
		o->freeze_ns = su.freeze_ns + su.quiesce_ns;
		o->suspended_ns = ev.now_ns;
	} else if (op == HV_OP_MEMHASH) {
		memcpy(&o->memhash, payload, len < sizeof(o->memhash) ? len : sizeof(o->memhash));
	} else if (op == HV_OP_GET_STATE) {
		memcpy(&st, payload, len < sizeof(st) ? len : sizeof(st));
		struct err bad = { 0 };
		if (n_fds == 1 && st.size_bytes && st.size_bytes < 1ull << 32 &&
		    memcheck_read(fds[0], st.size_bytes, "the guest's state", &bad) == 0) {
			o->state_fd = fds[0];
			fds[0] = -1;
			o->state_bytes = st.size_bytes;
			o->capture_ns = st.capture_ns;
			o->captured_ns = ev.now_ns;
		} else {
			ev.hv.status = -EPROTO;
			snprintf(o->local_text, sizeof(o->local_text), "%s",
			         bad.text[0] ? bad.text : "hvdom's answer to get-state makes no sense");
			log_warn("%s: %s", o->order.domain, o->local_text);
		}
	}
	(void)fault_point("src", "hv", mig_hv_name(ev.hv.op), ".done", o->info.pid);
	outgoing_feed(o, &ev);
	outgoing_maybe_end(o);
}

static void hv_lost(void *arg, bool unread)
{
	struct outgoing *o = arg;

	(void)unread;
	log_warn("%s: hvdom closed the connection", o->order.domain);
	if (!o->local_text[0] && !o->ended)
		snprintf(o->local_text, sizeof(o->local_text), "it ended, or closed the connection");
	outgoing_feed(o, &(struct mig_event){ .kind = MIG_EV_HV_LOST });
	outgoing_maybe_end(o);
}

/* What the guest's life was meanwhile, in words; NULL: nothing that ends a move. */
static const char *end_of(const struct hv_event *ev)
{
	switch (ev->kind) {
	case HV_EV_REBOOT:
		return "the guest rebooted during the move";
	case HV_EV_POWEROFF:
		return "the guest was shut down during the move";
	case HV_EV_CRASH:
		return "the guest crashed during the move";
	case HV_EV_WATCHDOG:
		return ev->state == HV_DOM_CRASHED ? "the guest hung during the move and was ended by its watchdog"
		                                   : NULL;
	case HV_EV_STATE:
		return ev->state == HV_DOM_SHUTDOWN || ev->state == HV_DOM_CRASHED
		               ? "the domain was ended by an order during the move"
		               : NULL;
	default:
		return NULL;
	}
}

/* A guest that starts anew, or is gone, has nothing left to move: said at once, not when the next round finds its pages untracked. */
static void hv_event(void *arg, const struct hv_event *ev)
{
	struct outgoing *o = arg;
	const char *text = end_of(ev);

	if (!text || o->ended || o->recovered || !mig_source_cancellable(&o->core))
		return;
	snprintf(o->local_text, sizeof(o->local_text), "%s", text);
	outgoing_feed(o, &(struct mig_event){ .kind = MIG_EV_CANCEL, .reason = MIG_REASON_GUEST });
	outgoing_maybe_end(o);
}

static const struct hva_ops hv_ops = { .reply = hv_reply, .event = hv_event, .lost = hv_lost };

int outgoing_open_domain(struct outgoing *o, struct err *err)
{
	struct hvcall hv;
	int r = hvcall_open(&hv, o->order.domain, err);

	if (r == -ENOENT || r == -ECONNREFUSED)
		return err_set(err, ENOENT, "domain %s does not run on %s: see `vmctl list`", o->order.domain,
		               o->d->node.name);
	if (r < 0)
		return r;
	hv.timeout_ms = o->recovered ? RECOVER_MS : 5000;
	r = read_domain(o, &hv, err);
	if (r == 0 && !o->recovered)
		r = check_state(o, err);
	if (r == 0 && !o->recovered) {
		r = memmap_open(&o->mem, &hv, err);
		o->mem_open = r == 0;
	}
	if (r == 0) {
		o->hva = hva_new(o->d->loop, hv.fd, &hv_ops, o, err);
		hv.fd = -1;
		r = o->hva && (o->recovered || hva_call(o->hva, HV_OP_SUBSCRIBE, NULL, 0, -1)) ? 0 : -ENOMEM;
	}
	hvcall_close(&hv);
	return r;
}
