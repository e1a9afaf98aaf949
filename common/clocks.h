/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Time that also counts while a hypervisor pauses this machine. During a pause CLOCK_BOOTTIME stands still; the TSC
 * runs on if the processor reports it as invariant (hypervisors do so only for machines that they do not migrate). So a
 * moment is read on both clocks, and a deadline is set on both: it is over as soon as either clock says so
 * (deadline.h). The two clocks are never added up, so a clock that was set back cancels nothing of what the other
 * counts. See docs/fencing.md. Any thread.
 */
#ifndef HOSPES_COMMON_CLOCKS_H
#define HOSPES_COMMON_CLOCKS_H

#include <stdbool.h>
#include <stdint.h>

struct moment {
	uint64_t boot_ns; /* CLOCK_BOOTTIME */
	uint64_t tsc;     /* ticks; 0: there is no TSC, or it is not reliable */
};

/* Now. The TSC is read first: if the machine is paused between the two reads, the earlier TSC ends a deadline sooner. */
struct moment moment_now(void);

/* The time stamp counter; 0 where there is none. It may be unreliable: see tsc_runs_on(). */
uint64_t tsc_read(void);
/* True if the TSC advances evenly on all processors, also while this machine is paused. Asked once, at the start. */
bool tsc_runs_on(void);

/* Whether this machine has a clock that advances while the machine is paused. */
enum clocks_kind {
	CLOCKS_RUN_ON = 0,   /* no virtual machine, or one whose TSC runs on while it is paused */
	CLOCKS_MAY_STOP = 1, /* a virtual machine whose hypervisor may stop all its clocks */
	CLOCKS_VOUCHED_FOR =
		2, /* HOSPES_CLOCKS=trusted: the administrator says that it is never paused, or that its clocks run on */
};
/*
 * Find out the kind. HOSPES_CLOCKS in the environment: "boottime" acts as if there were no reliable TSC; "trusted": see
 * above. Sets *@ret_use_tsc: whether moments include the TSC.
 */
enum clocks_kind clocks_look(bool *ret_use_tsc);

/*
 * The rate of the TSC: the lowest one measured against CLOCK_MONOTONIC_RAW over many short windows. A pause of the
 * machine makes the rate too high (the TSC runs on, the other clock does not), but only in the window in which it
 * happens. A rate that is too low ends deadlines sooner. All functions are pure except tsc_rate_measure().
 */
struct tsc_rate {
	uint64_t per_s;       /* 0: not known yet */
	uint64_t raw_ns, tsc; /* the last sample */
	unsigned below;       /* samples in a row that were far below per_s */
	uint64_t below_per_s; /* the largest of those */
};
/* Add a sample: the TSC was @tsc between @raw_first_ns and @raw_last_ns. A sample too soon after the last is ignored. */
void tsc_rate_sample(struct tsc_rate *r, uint64_t raw_first_ns, uint64_t tsc, uint64_t raw_last_ns);
/* The ticks that surely pass in @ns: 0.1 % less than measured. 0: the rate is not known. */
uint64_t tsc_rate_ticks(const struct tsc_rate *r, uint64_t ns);
/* Take a sample now. The first call takes some 30 ms, later ones return at once. */
void tsc_rate_measure(struct tsc_rate *r);

#endif
