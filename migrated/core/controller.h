/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Decides after each round of pre-copy: another round, stop the guest now, slow it down, or give up. Pure arithmetic on what was
 * measured. Also the forecast of `vmmig plan`, and the token bucket of --bandwidth.
 */
#ifndef HOSPES_MIGRATED_CORE_CONTROLLER_H
#define HOSPES_MIGRATED_CORE_CONTROLLER_H

#include <stdbool.h>
#include <stdint.h>

/* What to do when the guest writes faster than the wire carries. */
enum mig_converge { MIG_CONVERGE_AUTO, MIG_CONVERGE_THROTTLE, MIG_CONVERGE_FAIL };

struct mig_ctl_config {
	uint64_t downtime_ns;     /* asked for */
	uint64_t downtime_max_ns; /* AUTO ramps up to this */
	uint64_t overhead_ns;     /* expected blackout besides pages: suspend, state, restore */
	uint64_t bandwidth_bps;   /* octets per second allowed, 0: no limit */
	uint64_t rate_guess_bps;  /* before anything is measured */
	uint32_t rounds_max;      /* hard stop: after this many rounds it stops or gives up */
	enum mig_converge converge;
};

enum mig_verdict { MIG_VERDICT_ROUND = 1, MIG_VERDICT_STOP, MIG_VERDICT_GIVE_UP };

struct mig_ctl {
	struct mig_ctl_config cfg;
	uint64_t allowed_ns;      /* downtime allowed now; grows from downtime_ns when ramping */
	uint64_t rate_bps;        /* measured wire rate (EWMA), 0: not yet */
	uint64_t octets_per_page; /* on the wire, after compression; starts at 4096 */
	uint64_t dirty_pages;     /* last harvest */
	uint64_t dirty_pps;       /* pages dirtied per second, last measured */
	uint64_t best_pages;      /* smallest harvest so far */
	uint64_t harvest_at_ns;   /* of the last harvest, 0: none */
	uint64_t expected_ns;     /* downtime predicted for stopping now */
	uint32_t rounds;          /* passes begun */
	uint32_t fit_rounds;      /* rounds spent after stopping was already possible */
	uint32_t stalled;         /* rounds in a row without progress */
	uint32_t throttle_pct;    /* asked of hvdom */
	bool warned;              /* said "will not converge" */
};

void mig_ctl_init(struct mig_ctl *c, const struct mig_ctl_config *cfg);
/* A pass ended: @octets went over the wire in @busy_ns for @pages data pages. */
void mig_ctl_sent(struct mig_ctl *c, uint64_t pages, uint64_t octets, uint64_t busy_ns);
/* The dirty log was fetched at @now_ns: @pages wait. Says what to do; throttle_pct may have changed. */
enum mig_verdict mig_ctl_harvest(struct mig_ctl *c, uint64_t pages, uint64_t now_ns);
/* Time that @pages take on the wire, ns. */
uint64_t mig_ctl_wire_ns(const struct mig_ctl *c, uint64_t pages);

struct mig_forecast {
	uint32_t rounds;
	uint64_t total_ns, downtime_ns, sent_bytes;
	bool converges;
};
/* Geometric forecast: @used_bytes to send at @rate_bps while @dirty_bps is written (over a set of @hot_bytes at most). */
void mig_forecast(uint64_t used_bytes, uint64_t rate_bps, uint64_t dirty_bps, uint64_t hot_bytes, uint64_t downtime_ns,
                  uint64_t overhead_ns, struct mig_forecast *ret);

/* Token bucket: octets per second with a burst. */
struct mig_bucket {
	uint64_t rate_bps, burst, tokens, at_ns;
};
void mig_bucket_init(struct mig_bucket *b, uint64_t rate_bps, uint64_t now_ns);
/* Take @octets now; returns how many ns to wait before using them (0: go). The debt is carried, so long waits add up right. */
uint64_t mig_bucket_take(struct mig_bucket *b, uint64_t octets, uint64_t now_ns);

/* a * b / c without overflow; c 0 gives UINT64_MAX. */
uint64_t mig_mul_div(uint64_t a, uint64_t b, uint64_t c);

#endif
