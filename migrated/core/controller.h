/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Decides after each round of pre-copy: another round, stop the guest now, throttle it, or give up. Pure arithmetic on measurements.
 * Also the forecast of `vmmig plan`, and the token bucket of --bandwidth. Rates (_bps) are octets per second.
 */
#ifndef HOSPES_MIGRATED_CORE_CONTROLLER_H
#define HOSPES_MIGRATED_CORE_CONTROLLER_H

#include <stdbool.h>
#include <stdint.h>

/* What to do when the guest writes faster than the wire carries. */
enum mig_converge { MIG_CONVERGE_AUTO, MIG_CONVERGE_THROTTLE, MIG_CONVERGE_FAIL };

struct mig_ctl_config {
	uint64_t downtime_ns;     /* the user's limit */
	uint64_t downtime_max_ns; /* MIG_CONVERGE_AUTO may raise the limit up to this */
	uint64_t overhead_ns;     /* expected blackout without pages: suspend, state, restore */
	uint64_t bandwidth_bps;   /* the user's limit, 0: none */
	uint64_t rate_guess_bps;  /* wire rate before the first measurement */
	uint32_t rounds_max;      /* after so many rounds it stops the guest or gives up */
	enum mig_converge converge;
};

enum mig_verdict { MIG_VERDICT_ROUND = 1, MIG_VERDICT_STOP, MIG_VERDICT_GIVE_UP };

struct mig_ctl {
	struct mig_ctl_config cfg;
	uint64_t allowed_ns;      /* present limit of the downtime, from downtime_ns up to downtime_max_ns */
	uint64_t rate_bps;        /* measured wire rate (EWMA), 0: not measured yet */
	uint64_t octets_per_page; /* on the wire, after compression; 4096 at first */
	uint64_t dirty_pages;     /* of the last harvest */
	uint64_t dirty_pps;       /* pages dirtied per second, last measured */
	uint64_t best_pages;      /* the smallest harvest so far */
	uint64_t harvest_at_ns;   /* time of the last harvest, 0: none */
	uint64_t expected_ns;     /* predicted downtime if the guest is stopped now */
	uint32_t rounds;          /* rounds begun */
	uint32_t fit_rounds;      /* rounds since the guest could have been stopped */
	uint32_t stalled;         /* rounds in a row without progress */
	uint32_t throttle_pct;    /* percent by which hvdom should throttle the guest */
	bool warned;              /* the user was told that it does not converge */
};

void mig_ctl_init(struct mig_ctl *c, const struct mig_ctl_config *cfg);
/* A round ended: its @pages data pages were @octets on the wire and took @busy_ns. */
void mig_ctl_sent(struct mig_ctl *c, uint64_t pages, uint64_t octets, uint64_t busy_ns);
/* The dirty log was harvested at @now_ns: @pages wait. Returns what to do; throttle_pct may have changed. */
enum mig_verdict mig_ctl_harvest(struct mig_ctl *c, uint64_t pages, uint64_t now_ns);
/* Time that @pages need on the wire. */
uint64_t mig_ctl_wire_ns(const struct mig_ctl *c, uint64_t pages);

struct mig_forecast {
	uint32_t rounds;
	uint64_t total_ns, downtime_ns, sent_bytes;
	bool converges;
};
/* Geometric forecast: @used_bytes are sent at @rate_bps while the guest dirties @dirty_bps in a working set of @hot_bytes. */
void mig_forecast(uint64_t used_bytes, uint64_t rate_bps, uint64_t dirty_bps, uint64_t hot_bytes, uint64_t downtime_ns,
                  uint64_t overhead_ns, struct mig_forecast *ret);

/* Token bucket: octets per second with a burst. */
struct mig_bucket {
	uint64_t rate_bps, burst, tokens, at_ns;
};
void mig_bucket_init(struct mig_bucket *b, uint64_t rate_bps, uint64_t now_ns);
/* Take @octets. Returns the ns to wait before sending them, 0: none. Debt is carried over, so that long waits add up right. */
uint64_t mig_bucket_take(struct mig_bucket *b, uint64_t octets, uint64_t now_ns);

/* a * b / c without overflow; c 0 gives UINT64_MAX. */
uint64_t mig_mul_div(uint64_t a, uint64_t b, uint64_t c);

#endif
