/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Time that passes although somebody holds a clock. CLOCK_BOOTTIME of a virtual machine stands still while its hypervisor has it paused;
 * the TSC runs on, if the processor says that it is invariant (hypervisors show that only to machines that they do not carry about).
 * So a moment is read on both, and a deadline is one on both: it is over as soon as either says so (deadline.h). Nobody adds the two up,
 * so that a clock that was set back takes nothing away. docs/fencing.md. Any thread.
 */
#ifndef HOSPES_COMMON_CLOCKS_H
#define HOSPES_COMMON_CLOCKS_H

#include <stdbool.h>
#include <stdint.h>

struct moment {
	uint64_t boot_ns; /* CLOCK_BOOTTIME */
	uint64_t tsc;     /* ticks; 0: there is no such clock, or it is not to be relied on */
};

/* Now. The TSC is read first: a machine that is paused between the two has the earlier one there, which ends a deadline sooner. */
struct moment moment_now(void);

/* The time stamp counter; 0 where there is none. Not: whether it is to be relied on. */
uint64_t tsc_read(void);
/* Does it advance evenly, whatever becomes of the processors and of this machine? Asked once, at the begin. */
bool tsc_runs_on(void);

/* Do this machine's clocks advance while it does not? */
enum clocks_kind {
	CLOCKS_RUN_ON = 0,   /* the machine is none of a hypervisor's, or its TSC runs on while it is paused */
	CLOCKS_MAY_STOP = 1, /* a virtual machine whose clocks are its hypervisor's to stop */
	CLOCKS_VOUCHED_FOR =
		2, /* somebody said HOSPES_CLOCKS=trusted: it is never paused, or its clocks run on all the same */
};
/*
 * HOSPES_CLOCKS=boottime: there is no TSC (as on a virtual machine without an invariant one), =trusted: see above.
 * Sets *@ret_use_tsc: whether moments have one.
 */
enum clocks_kind clocks_look(bool *ret_use_tsc);

/*
 * How fast the TSC is: the least of what was measured against CLOCK_MONOTONIC_RAW, over windows so short that a machine that was paused in
 * one of them (its TSC ran on, the clock did not) shows in that one only. Erring to a low rate ends deadlines sooner. Pure but for
 * tsc_rate_measure().
 */
struct tsc_rate {
	uint64_t per_s;       /* 0: not known yet */
	uint64_t raw_ns, tsc; /* the last sample */
	unsigned below;       /* samples in a row that were far below per_s */
	uint64_t below_per_s; /* the largest of those */
};
/* A sample: at a moment in [@raw_first_ns, @raw_last_ns] the counter was at @tsc. Those that follow too soon are left out. */
void tsc_rate_sample(struct tsc_rate *r, uint64_t raw_first_ns, uint64_t tsc, uint64_t raw_last_ns);
/* Ticks that @ns surely have, 0.1 % less than measured; 0: the rate is not known. */
uint64_t tsc_rate_ticks(const struct tsc_rate *r, uint64_t ns);
/* Take a sample now. The first call takes some 30 ms, others nothing. */
void tsc_rate_measure(struct tsc_rate *r);

#endif
