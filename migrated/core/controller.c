/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Convergence of pre-copy: see controller.h. Integers only, so that results are the same everywhere. */
#include <string.h>
#include "migrated/core/controller.h"

#define NS_S            1000000000ull
#define RATE_SAMPLE_MIN 1048576u /* smaller passes measure latency, not the wire */
#define HELP_NUM        6u       /* one more round helps when it leaves less than 6/10 of the pages */
#define HELP_DEN        10u
#define PAGES_WORTH_NS  4000000ull /* pages that take less than this are not worth another round */
#define FIT_ROUNDS_MAX  3u
#define STALL_ROUNDS    2u /* rounds without progress before something is done about it */
#define THROTTLE_STEP   25u
#define THROTTLE_MAX    95u

uint64_t mig_mul_div(uint64_t a, uint64_t b, uint64_t c)
{
	if (!c)
		return UINT64_MAX;
	unsigned __int128 r = (unsigned __int128)a * b / c;
	return r > UINT64_MAX ? UINT64_MAX : (uint64_t)r;
}

void mig_ctl_init(struct mig_ctl *c, const struct mig_ctl_config *cfg)
{
	memset(c, 0, sizeof(*c));
	c->cfg = *cfg;
	c->allowed_ns = cfg->downtime_ns;
	c->octets_per_page = 4096;
	c->best_pages = UINT64_MAX;
}

static uint64_t rate_now(const struct mig_ctl *c)
{
	uint64_t r = c->rate_bps ? c->rate_bps : c->cfg.rate_guess_bps;

	if (c->cfg.bandwidth_bps && r > c->cfg.bandwidth_bps)
		r = c->cfg.bandwidth_bps;
	return r ? r : 1;
}

uint64_t mig_ctl_wire_ns(const struct mig_ctl *c, uint64_t pages)
{
	uint64_t octets = mig_mul_div(pages, c->octets_per_page, 1);

	return mig_mul_div(octets, NS_S, rate_now(c));
}

void mig_ctl_sent(struct mig_ctl *c, uint64_t pages, uint64_t octets, uint64_t busy_ns)
{
	if (octets < RATE_SAMPLE_MIN || !busy_ns)
		return;
	uint64_t r = mig_mul_div(octets, NS_S, busy_ns);

	c->rate_bps = c->rate_bps ? c->rate_bps / 2 + r / 2 : r;
	if (pages >= 64) {
		uint64_t opp = octets / pages;
		c->octets_per_page = opp < 64 ? 64 : opp > 4200 ? 4200 : opp;
	}
}

/* The guest keeps up with the wire: slow it down, allow more, or give up. */
static enum mig_verdict stalled(struct mig_ctl *c)
{
	c->warned = true;
	c->stalled = 0;
	if (c->cfg.converge == MIG_CONVERGE_FAIL)
		return MIG_VERDICT_GIVE_UP;
	if (c->throttle_pct < THROTTLE_MAX) {
		c->throttle_pct += THROTTLE_STEP;
		if (c->throttle_pct > THROTTLE_MAX)
			c->throttle_pct = THROTTLE_MAX;
		return MIG_VERDICT_ROUND;
	}
	if (c->cfg.converge == MIG_CONVERGE_AUTO && c->allowed_ns < c->cfg.downtime_max_ns) {
		c->allowed_ns = c->allowed_ns * 2 > c->cfg.downtime_max_ns ? c->cfg.downtime_max_ns : c->allowed_ns * 2;
		return c->expected_ns <= c->allowed_ns ? MIG_VERDICT_STOP : MIG_VERDICT_ROUND;
	}
	return MIG_VERDICT_GIVE_UP;
}

enum mig_verdict mig_ctl_harvest(struct mig_ctl *c, uint64_t pages, uint64_t now_ns)
{
	uint64_t before = c->dirty_pages;
	bool first = !c->rounds;

	if (c->harvest_at_ns && now_ns > c->harvest_at_ns)
		c->dirty_pps = mig_mul_div(pages, NS_S, now_ns - c->harvest_at_ns);
	c->harvest_at_ns = now_ns;
	c->dirty_pages = pages;
	uint64_t wire = mig_ctl_wire_ns(c, pages);
	c->expected_ns = wire + c->cfg.overhead_ns;
	if (first) {
		c->rounds = 1;
		return MIG_VERDICT_ROUND;
	}
	bool helped = pages < mig_mul_div(before, HELP_NUM, HELP_DEN);

	if (c->expected_ns <= c->allowed_ns || wire <= PAGES_WORTH_NS) {
		/* it fits; go on only while a round still pays for itself */
		if (wire <= PAGES_WORTH_NS || !helped || c->fit_rounds >= FIT_ROUNDS_MAX)
			return MIG_VERDICT_STOP;
		c->fit_rounds++;
		c->rounds++;
		return MIG_VERDICT_ROUND;
	}
	if (pages < mig_mul_div(c->best_pages, 9, 10)) {
		c->best_pages = pages;
		c->stalled = 0;
	} else {
		c->stalled++;
	}
	enum mig_verdict v = MIG_VERDICT_ROUND;
	if (c->stalled >= STALL_ROUNDS)
		v = stalled(c);
	if (v == MIG_VERDICT_ROUND && c->cfg.rounds_max && c->rounds >= c->cfg.rounds_max) {
		c->warned = true;
		v = c->cfg.converge == MIG_CONVERGE_AUTO && c->expected_ns <= c->cfg.downtime_max_ns
		            ? MIG_VERDICT_STOP
		            : MIG_VERDICT_GIVE_UP;
	}
	if (v == MIG_VERDICT_ROUND)
		c->rounds++;
	return v;
}

void mig_forecast(uint64_t used_bytes, uint64_t rate_bps, uint64_t dirty_bps, uint64_t hot_bytes, uint64_t downtime_ns,
                  uint64_t overhead_ns, struct mig_forecast *ret)
{
	struct mig_forecast f = { .converges = true };
	uint64_t left = used_bytes;

	if (!rate_bps)
		rate_bps = 1;
	for (f.rounds = 1;; f.rounds++) {
		uint64_t ns = mig_mul_div(left, NS_S, rate_bps);
		f.total_ns += ns;
		f.sent_bytes += left;
		uint64_t next = mig_mul_div(dirty_bps, ns, NS_S);
		if (hot_bytes && next > hot_bytes)
			next = hot_bytes;
		uint64_t stop_ns = mig_mul_div(next, NS_S, rate_bps) + overhead_ns;
		bool fits = stop_ns <= downtime_ns, shrinks = next < left - left / 10;
		if (fits || !shrinks || f.rounds >= 30) {
			f.converges = fits || mig_mul_div(next, NS_S, rate_bps) <= PAGES_WORTH_NS;
			f.downtime_ns = stop_ns;
			f.total_ns += stop_ns;
			f.sent_bytes += next;
			break;
		}
		left = next;
	}
	*ret = f;
}

void mig_bucket_init(struct mig_bucket *b, uint64_t rate_bps, uint64_t now_ns)
{
	*b = (struct mig_bucket){ .rate_bps = rate_bps, .burst = rate_bps / 20, .at_ns = now_ns };
	if (b->burst < 65536)
		b->burst = 65536;
	b->tokens = b->burst;
}

uint64_t mig_bucket_take(struct mig_bucket *b, uint64_t octets, uint64_t now_ns)
{
	if (!b->rate_bps)
		return 0;
	if (now_ns > b->at_ns) {
		uint64_t gained = mig_mul_div(b->rate_bps, now_ns - b->at_ns, NS_S);
		if (gained) {
			b->tokens = gained > b->burst - b->tokens ? b->burst : b->tokens + gained;
			b->at_ns = now_ns;
		}
	}
	if (octets <= b->tokens) {
		b->tokens -= octets;
		return 0;
	}
	/* the rest is borrowed from the future: the bucket is empty until at_ns, which moves past now */
	uint64_t debt = octets - b->tokens, from = b->at_ns > now_ns ? b->at_ns : now_ns;
	b->tokens = 0;
	b->at_ns = from + mig_mul_div(debt, NS_S, b->rate_bps);
	return b->at_ns - now_ns;
}
