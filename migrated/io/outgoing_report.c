/* SPDX-License-Identifier: GPL-2.0-or-later */
/* What a source session tells people: progress with libvirt's job statistic names, the result, and reasons with remedies. */
#include "config.h"
#include <inttypes.h>
#include <string.h>
#include "common/util.h"
#include "hypervisor/api/hvmsg.h"
#include "migrated/io/outgoing_int.h"

static const char *outcome_name(enum mig_outcome o)
{
	return o == MIG_OUTCOME_COMPLETED ? "completed" : o == MIG_OUTCOME_CANCELLED ? "cancelled" : "failed";
}

/* docs/wire/migration.md section 9. */
uint64_t outgoing_downtime_ns(const struct outgoing *o)
{
	int64_t offset = o->rtt_ns == MIG_NEVER ? 0 : o->clock_offset_ns;

	if (!o->core.running_at_ns || !o->core.suspend_ns)
		return 0;
	/* clocks of two machines differ by far more than half a round trip: this is one machine, and its clock is one */
	if (offset <= (int64_t)(o->rtt_ns / 2) && -offset <= (int64_t)(o->rtt_ns / 2))
		offset = 0;
	int64_t down = (int64_t)o->core.running_at_ns - offset - (int64_t)o->suspend_ns;

	return down > 0 ? (uint64_t)down : 0;
}

static const char *words(const struct outgoing *o)
{
	return o->local_text[0] ? o->local_text : o->peer_text[0] ? o->peer_text : "no details";
}

void outgoing_reason_text(const struct outgoing *o, char *dst, size_t cap)
{
	const char *host = o->order.host, *dom = o->order.domain;

	switch (o->reason) {
	case MIG_REASON_NONE:
		snprintf(dst, cap, "%s", "");
		return;
	case MIG_REASON_UNREACHABLE:
		snprintf(dst, cap, "%s (%s:%u) does not answer: is it up, does migrated run there, is the port open?",
		         host, o->peer.address, o->peer.port);
		return;
	case MIG_REASON_AUTH:
		snprintf(dst, cap,
		         "%s refused the connection or has another key: compare `vmmig peers self` of each host with "
		         "`vmmig peers list` of the other",
		         host);
		return;
	case MIG_REASON_PROTOCOL:
		snprintf(
			dst, cap,
			"%s and this host speak no common protocol (here: version %u): bring both to the same version (%s)",
			host, MIG_VERSION, words(o));
		return;
	case MIG_REASON_REFUSED:
		snprintf(dst, cap, "%s", words(o));
		return;
	case MIG_REASON_CANCELLED:
		snprintf(dst, cap, "cancelled; %s runs on here", dom);
		return;
	case MIG_REASON_TIMEOUT:
		snprintf(dst, cap, "not done within %.0f s; %s runs on here", (double)o->order.timeout_ns / 1e9, dom);
		return;
	case MIG_REASON_LINK:
		snprintf(dst, cap, "lost the connection to %s; %s runs on here", host, dom);
		return;
	case MIG_REASON_NO_CONVERGENCE:
		snprintf(dst, cap,
		         "%s writes %" PRIu64
		         " pages/s, faster than the link carries: it will not converge within %.0f ms "
		         "(expected %.0f ms); allow more --downtime or --bandwidth, or move it when it is calmer",
		         dom, o->core.ctl.dirty_pps, (double)o->order.downtime_ns / 1e6,
		         (double)o->core.ctl.expected_ns / 1e6);
		return;
	case MIG_REASON_SOURCE_HVDOM:
		snprintf(dst, cap, "hvdom of %s on this host: %s", dom, words(o));
		return;
	case MIG_REASON_TARGET_HVDOM:
		if (o->core.ended_there) {
			snprintf(dst, cap, "%s was moved to %s and ended there at once: %s", dom, host, words(o));
			return;
		}
		/* fall through */
	case MIG_REASON_TAKE:
		snprintf(dst, cap, "hvdom on %s: %s; %s runs on here", host, words(o), dom);
		return;
	case MIG_REASON_DATA:
		snprintf(dst, cap, "guest memory did not arrive whole at %s (%s); %s runs on here", host, words(o),
		         dom);
		return;
	case MIG_REASON_JOURNAL:
		snprintf(dst, cap, "the migration journal cannot be written (%s): free disk space; %s runs on here",
		         words(o), dom);
		return;
	case MIG_REASON_BLACKOUT:
		snprintf(dst, cap, "the switchover took too long and was called off; %s runs on here", dom);
		return;
	case MIG_REASON_DAEMON:
		snprintf(dst, cap, "a migration daemon ended meanwhile; %s runs on here", dom);
		return;
	case MIG_REASON_GUEST:
		snprintf(dst, cap, "%s: %s", dom, words(o));
		return;
	case MIG_REASON_OPERATOR:
		snprintf(dst, cap, "settled by hand");
		return;
	default:
		snprintf(dst, cap, "%s: %s", mig_reason_name(o->reason), words(o));
	}
}

static const char *phase_name(const struct outgoing *o)
{
	return o->queued || o->knock ? "queued" : o->aborting ? "letting go" : mig_source_state_name(o->core.state);
}

static uint64_t remaining_pages(const struct outgoing *o, const struct out_stats *st)
{
	uint64_t done = st->pages_data + st->pages_zero + st->pages_same,
		 before = o->core.pages_data + o->core.pages_zero;

	/* of this round: what was harvested, less what this pass has gone through */
	done = done > before ? done - before : 0;
	return o->core.ctl.dirty_pages > done ? o->core.ctl.dirty_pages - done : 0;
}

json_t *outgoing_progress(struct outgoing *o)
{
	struct out_stats st = { 0 };
	const struct mig_ctl *c = &o->core.ctl;
	uint64_t now = now_ns(), elapsed = o->begun_ns ? (o->ended_ns ? o->ended_ns : now) - o->begun_ns : 0;

	if (o->pipe)
		outpipe_stats(o->pipe, &st);
	uint64_t left = o->core.state == MIG_SRC_PASS || o->core.state == MIG_SRC_SUSPEND ? remaining_pages(o, &st)
	                                                                                  : c->dirty_pages;
	uint64_t rate = c->rate_bps ? c->rate_bps : elapsed ? mig_mul_div(st.octets, NS_PER_S, elapsed) : 0;
	uint64_t left_bytes = left * PAGE_BYTES,
		 eta = rate ? mig_mul_div(mig_mul_div(left, c->octets_per_page, 1), 1000, rate) : 0;

	return json_pack(
		"{s:s, s:s, s:s, s:s, s:s, s:I, s:I, s:I, s:I, s:I, s:I, s:I, s:I, s:I, s:I, s:I, s:I, s:I, s:I, s:I, s:i, s:b}",
		"type", "progress", "domain", o->order.domain, "from", o->d->node.name, "to", o->order.host, "phase",
		phase_name(o), "round", (json_int_t)c->rounds, "sent_bytes", (json_int_t)st.octets, "remaining_bytes",
		(json_int_t)left_bytes, "bandwidth_bps", (json_int_t)rate, "dirty_pages_per_s",
		(json_int_t)c->dirty_pps, "eta_ms", (json_int_t)eta, "time_elapsed", (json_int_t)(elapsed / NS_PER_MS),
		"downtime", (json_int_t)(c->expected_ns / NS_PER_MS), "memory_total", (json_int_t)o->info.ram_bytes,
		"memory_processed", (json_int_t)((st.pages_data + st.pages_zero + st.pages_same) * PAGE_BYTES),
		"memory_remaining", (json_int_t)left_bytes, "memory_constant", (json_int_t)st.pages_zero,
		"memory_normal", (json_int_t)st.pages_data, "memory_iteration", (json_int_t)c->rounds,
		"compression_bytes", (json_int_t)st.raw_octets, "auto_converge_throttle", (int)c->throttle_pct,
		"will_not_converge", c->warned ? 1 : 0);
}

/*
 * The code of a guest's firmware, and what the target has of it: "none", the guest has no such; "same", the target has it, too, and the
 * state leaves it out; "other", the target has another build; "unknown", it does not say. *@ret_bytes: what the state has of it, at most.
 */
static const char *firmware(const struct outgoing *o, uint64_t *ret_bytes)
{
	const uint64_t *ours = o->info.base, *theirs = o->target_base;

	*ret_bytes = 0;
	if (!o->info.name[0])
		return "unknown";
	if (!(ours[0] | ours[1]))
		return "none";
	if (!memcmp(ours, theirs, sizeof(o->info.base)))
		return "same";
	*ret_bytes = o->info.base_bytes;
	return theirs[0] | theirs[1] ? "other" : "unknown";
}

/* `push --json` ends with exactly these keys; "type" and, for plan, "plan" ride along for vmmig and are taken off there. */
json_t *outgoing_result(struct outgoing *o)
{
	struct out_stats st = { 0 };
	char why[2 * ERR_TEXT_MAX];
	const struct mig_ctl *c = &o->core.ctl;
	uint64_t end = o->ended_ns ? o->ended_ns : now_ns();

	if (o->pipe)
		outpipe_stats(o->pipe, &st);
	outgoing_reason_text(o, why, sizeof(why));
	text_tidy(why);
	bool ok = o->outcome == MIG_OUTCOME_COMPLETED;
	double down = (double)outgoing_downtime_ns(o) / 1e6;
	uint64_t code_bytes;
	const char *code = firmware(o, &code_bytes);
	json_t *error = ok ? json_null() : json_string(why);
	return json_pack(
		"{s:s, s:s, s:s, s:s, s:s, s:f, s:f, s:f, s:I, s:I, s:I, s:I, s:I, s:I, s:I, s:o, s:o, s:o, s:s, s:s, s:I}",
		"type", "result", "status", outcome_name(o->outcome), "domain", o->order.domain, "from",
		o->d->node.name, "to", o->order.host, "total_ms", o->begun_ns ? (double)(end - o->begun_ns) / 1e6 : 0.0,
		"setup_ms", o->core.armed_ns ? (double)(o->core.armed_ns - o->begun_ns) / 1e6 : 0.0, "downtime_ms",
		down, "rounds", (json_int_t)(c->rounds + (o->core.suspend_ns ? 1 : 0)), "ram_bytes",
		(json_int_t)o->info.ram_bytes, "sent_bytes", (json_int_t)st.octets, "pages_sent",
		(json_int_t)st.pages_data, "pages_zero", (json_int_t)st.pages_zero, "bandwidth_bps",
		(json_int_t)c->rate_bps, "dirty_pages_per_s", (json_int_t)c->dirty_pps, "error",
		error ? error : json_null(), "steps_ms", outgoing_steps(o), "stages", outgoing_stages(o, &st),
		"logdirty", hv_logdirty_by(o->logdirty_by), "firmware", code, "firmware_bytes", (json_int_t)code_bytes);
}

/* What `vmmig plan` prints. */
json_t *outgoing_plan(struct outgoing *o)
{
	char why[2 * ERR_TEXT_MAX];
	struct mig_forecast f;
	bool ok = o->outcome == MIG_OUTCOME_COMPLETED;
	uint64_t rate = o->order.bandwidth_bps && o->order.bandwidth_bps < o->d->rate_bps ? o->order.bandwidth_bps
	                                                                                  : o->d->rate_bps;

	outgoing_reason_text(o, why, sizeof(why));
	text_tidy(why);
	uint64_t code_bytes;
	const char *code = firmware(o, &code_bytes);
	/* what goes along does so while the guest stands still */
	uint64_t code_ns = rate ? mig_mul_div(code_bytes, NS_PER_S, rate) : 0;
	mig_forecast(o->ram_used, rate, o->dirty_pps * PAGE_BYTES, o->ram_used, o->order.downtime_ns,
	             OUTGOING_OVERHEAD_NS + code_ns, &f);
	json_t *error = ok ? json_null() : json_string(why);
	return json_pack(
		"{s:s, s:b, s:s, s:s, s:s, s:I, s:I, s:I, s:I, s:I, s:i, s:f, s:f, s:I, s:b, s:s, s:s, s:I, s:o}",
		"type", "plan", "possible", ok, "domain", o->order.domain, "from", o->d->node.name, "to", o->order.host,
		"ram_bytes", (json_int_t)o->info.ram_bytes, "ram_used_bytes", (json_int_t)o->ram_used,
		"target_ram_available_bytes", (json_int_t)o->target_ram_available, "bandwidth_bps", (json_int_t)rate,
		"dirty_pages_per_s", (json_int_t)o->dirty_pps, "rounds", (int)f.rounds, "total_ms",
		(double)f.total_ns / 1e6, "downtime_ms", (double)f.downtime_ns / 1e6, "sent_bytes",
		(json_int_t)f.sent_bytes, "converges", f.converges, "logdirty", hv_logdirty_by(o->info.logdirty_by),
		"firmware", code, "firmware_bytes", (json_int_t)code_bytes, "error", error ? error : json_null());
}
