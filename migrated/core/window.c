/* SPDX-License-Identifier: GPL-2.0-or-later */
/* What may be under way: see window.h. One frame at a time is timed, so the window changes once per round trip and sees what came of it. */
#include "config.h"
#include "migrated/core/window.h"
#include "migrated/core/controller.h"
#include "migrated/core/mig.h"

#define FRAMES 4u /* that go into a window */

void mig_window_init(struct mig_window *w, uint64_t max)
{
	*w = (struct mig_window){ .octets = max < MIG_WINDOW_MIN ? max : MIG_WINDOW_MIN, .max = max };
}

void mig_window_sent(struct mig_window *w, uint64_t sent, uint64_t acked, uint64_t now_ns)
{
	uint64_t flight = sent - acked;

	if (!flight)
		return; /* nothing that would be acknowledged */
	if (!w->mark) {
		w->mark = sent;
		w->mark_ns = now_ns;
		w->mark_acked = acked;
		w->most = 0;
	}
	if (flight > w->most)
		w->most = flight;
}

/* The best of the last few: an answer is late, too, when somebody got no processor for it, but only a wire is slow each time. */
static uint64_t best_rate(struct mig_window *w, uint64_t rate)
{
	uint64_t best = 0;

	w->rate[w->n_rates++ % MIG_WINDOW_RATES] = rate;
	for (unsigned i = 0; i < MIG_WINDOW_RATES; i++)
		best = w->rate[i] > best ? w->rate[i] : best;
	return best;
}

void mig_window_acked(struct mig_window *w, uint64_t acked, uint64_t now_ns)
{
	if (!w->mark || acked < w->mark)
		return;
	w->mark = 0;
	uint64_t took = now_ns > w->mark_ns ? now_ns - w->mark_ns : 1;
	uint64_t best = best_rate(w, mig_mul_div(acked - w->mark_acked, MIG_S, took));
	if (!w->least_ns || took < w->least_ns)
		w->least_ns = took;
	uint64_t aim = w->least_ns + MIG_WINDOW_QUEUE_NS;
	if (took > aim) { /* what arrives in less time */
		uint64_t less = mig_mul_div(best, aim, MIG_S);
		w->octets = less < w->octets ? less : w->octets;
	} else { /* more, if so much is made use of */
		uint64_t twice = 2 * w->most, more = mig_mul_div(w->most, aim, took);
		more = more < twice ? more : twice;
		w->octets = more > w->octets ? more : w->octets;
	}
	w->octets = w->octets > MIG_WINDOW_MIN ? w->octets : MIG_WINDOW_MIN;
	w->octets = w->octets < w->max ? w->octets : w->max;
}

uint64_t mig_window_frame(const struct mig_window *w, uint64_t most)
{
	uint64_t n = w->octets / FRAMES > MIG_WINDOW_MIN ? w->octets / FRAMES : MIG_WINDOW_MIN;

	return n < most ? n : most;
}
