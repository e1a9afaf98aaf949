/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Where the time of a push went: its downtime step by step, and the work of the data plane on both hosts stage by stage. docs/wire/migration.md
 * section 11 says what each is. Loop thread.
 */
#include "config.h"
#include "common/util.h"
#include "migrated/io/outgoing_int.h"

/* The time from @from to @to, none if that came first. */
static uint64_t since(uint64_t from, uint64_t to)
{
	return to > from ? to - from : 0;
}

static uint64_t latest(uint64_t a, uint64_t b)
{
	return a > b ? a : b;
}

static bool moved(const struct outgoing *o)
{
	return o->outcome == MIG_OUTCOME_COMPLETED && o->core.running_at_ns && o->suspended_ns;
}

json_t *outgoing_steps(const struct outgoing *o)
{
	if (!moved(o))
		return json_null();
	/* in the order of time; what two did at once counts for the first */
	uint64_t scanned = latest(o->suspended_ns, o->cleaned_ns), captured = latest(scanned, o->captured_ns),
		 passed = latest(captured, o->passed_ns), there = o->there.ready_ns;
	uint64_t freeze = since(o->suspend_ns, o->suspended_ns), scan = since(o->suspended_ns, scanned),
		 state = since(scanned, captured), pages = since(captured, passed),
		 rebuild = since(o->there.arrive_ns, there), wire = since(passed + rebuild, o->ready_ns),
		 resume = o->there.resume_ns;
	uint64_t sum = freeze + scan + state + pages + wire + rebuild + resume, down = outgoing_downtime_ns(o);

	return json_pack("{s:f, s:f, s:f, s:f, s:f, s:f, s:f, s:f}", "freeze", (double)freeze / 1e6, "scan",
	                 (double)scan / 1e6, "state", (double)state / 1e6, "pages", (double)pages / 1e6, "wire",
	                 (double)wire / 1e6, "rebuild", (double)rebuild / 1e6, "handover",
	                 (double)since(sum, down) / 1e6, "resume", (double)resume / 1e6);
}

static json_t *stage(uint64_t ns, uint64_t octets, uint64_t all_ns)
{
	return json_pack("{s:f, s:f, s:f}", "ms", (double)ns / 1e6, "gb_per_s", ns ? (double)octets / (double)ns : 0.0,
	                 "share", all_ns ? (double)ns / (double)all_ns : 0.0);
}

json_t *outgoing_stages(const struct outgoing *o, const struct out_stats *st)
{
	if (!moved(o))
		return json_null();
	uint64_t looked = (st->pages_data + st->pages_zero + st->pages_same) * PAGE_BYTES,
		 placed = (st->pages_data + st->pages_zero) * PAGE_BYTES,
		 send = st->send_ns + since(o->io_cpu_ns, o->io_cpu_end_ns);
	uint64_t all = st->copy_ns + st->hash_ns + st->seal_ns + send + o->there.receive_ns + o->there.open_ns +
	               o->there.place_ns;

	return json_pack("{s:o, s:o, s:o, s:o, s:o, s:o, s:o, s:f}", "copy", stage(st->copy_ns, looked, all), "hash",
	                 stage(st->hash_ns, looked, all), "seal", stage(st->seal_ns, st->octets, all), "send",
	                 stage(send, st->octets, all), "receive", stage(o->there.receive_ns, st->octets, all), "open",
	                 stage(o->there.open_ns, st->octets, all), "place", stage(o->there.place_ns, placed, all),
	                 "wait_ms", (double)st->wait_ns / 1e6);
}
