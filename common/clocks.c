/* SPDX-License-Identifier: GPL-2.0-or-later */
/* See clocks.h. */
#include "config.h"
#include "common/clocks.h"

#include <stdlib.h>
#include <string.h>
#include <time.h>
#ifdef __x86_64__
#include <cpuid.h>
#include <x86intrin.h>
#endif
#include "common/util.h"

#define SAMPLE_NS       (8 * NS_PER_MS) /* between two samples, at least */
#define SAMPLE_WIDTH_NS 20000u          /* a sample that took longer says too little */
#define BELOW_MAX       3u              /* so many far lower ones in a row, and the rate was wrong, not they */
#define CLOCKSOURCES    "/sys/devices/system/clocksource/clocksource0/available_clocksource"

struct moment moment_now(void)
{
	struct moment m;

	m.tsc = tsc_read();
	m.boot_ns = boot_ns();
	return m;
}

uint64_t tsc_read(void)
{
#ifdef __x86_64__
	return __rdtsc();
#elif defined(__aarch64__)
	uint64_t ticks;

	__asm__ volatile("isb\n\tmrs %0, cntvct_el0" : "=r"(ticks) : : "memory");
	return ticks;
#else
#error no counter that runs while this machine does
#endif
}

static bool is_virtual(void)
{
#ifdef __x86_64__
	unsigned a, b, c = 0, d;

	return __get_cpuid(1, &a, &b, &c, &d) && (c >> 31 & 1);
#else
	return true; /* not to be told */
#endif
}

#ifdef __x86_64__
/* The kernel compares it between processors and with other clocks, and leaves it when it differs. */
static bool kernel_gave_up_tsc(void)
{
	_cleanup_free_ char *text = NULL;

	return file_read(CLOCKSOURCES, 4096, &text, NULL) == 0 && !strstr(text, "tsc");
}
#endif

bool tsc_runs_on(void)
{
#ifdef __x86_64__
	unsigned a, b, c, d = 0;

	return __get_cpuid(0x80000007, &a, &b, &c, &d) && (d >> 8 & 1) && !kernel_gave_up_tsc();
#else
	return false;
#endif
}

enum clocks_kind clocks_look(bool *ret_use_tsc)
{
	const char *said = getenv("HOSPES_CLOCKS");

	*ret_use_tsc = !(said && !strcmp(said, "boottime")) && tsc_runs_on();
	if (said && !strcmp(said, "trusted"))
		return CLOCKS_VOUCHED_FOR;
	if (said && !strcmp(said, "boottime"))
		return CLOCKS_MAY_STOP;
	return *ret_use_tsc || !is_virtual() ? CLOCKS_RUN_ON : CLOCKS_MAY_STOP;
}

void tsc_rate_sample(struct tsc_rate *r, uint64_t raw_first_ns, uint64_t tsc, uint64_t raw_last_ns)
{
	uint64_t before_ns = r->raw_ns, before_tsc = r->tsc;

	if (raw_last_ns < raw_first_ns || raw_last_ns - raw_first_ns > SAMPLE_WIDTH_NS)
		return;
	if (before_ns && raw_first_ns >= before_ns && raw_first_ns - before_ns < SAMPLE_NS)
		return;
	r->raw_ns = raw_first_ns;
	r->tsc = tsc;
	if (!before_ns || raw_first_ns < before_ns || tsc <= before_tsc)
		return; /* the first, or the counter began anew */
	/* the longest that the window may have been */
	uint64_t per_s = (uint64_t)((unsigned __int128)(tsc - before_tsc) * NS_PER_S / (raw_last_ns - before_ns));
	if (!r->per_s || (per_s <= r->per_s && per_s >= r->per_s - r->per_s / 100)) {
		r->per_s = per_s;
		r->below = 0;
	} else if (per_s < r->per_s) { /* nonsense of one window (the counter was set), unless others say the same */
		r->below_per_s = !r->below || per_s > r->below_per_s ? per_s : r->below_per_s;
		if (++r->below == BELOW_MAX) {
			r->per_s = r->below_per_s;
			r->below = 0;
		}
	} else {
		r->below = 0;
	}
}

uint64_t tsc_rate_ticks(const struct tsc_rate *r, uint64_t ns)
{
	return (uint64_t)((unsigned __int128)(r->per_s - r->per_s / 1000) * ns / NS_PER_S);
}

static uint64_t raw_ns(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_MONOTONIC_RAW, &ts);
	return (uint64_t)ts.tv_sec * NS_PER_S + (uint64_t)ts.tv_nsec;
}

void tsc_rate_measure(struct tsc_rate *r)
{
	unsigned first = r->raw_ns ? 0 : 4;

	for (unsigned i = 0; i <= first; i++) {
		struct timespec pause = { .tv_nsec = (long)(SAMPLE_NS + NS_PER_MS) };
		uint64_t from = 0, to = SAMPLE_WIDTH_NS + 1, tsc = 0;

		if (i)
			nanosleep(&pause, NULL);
		for (unsigned try = 0; try < 5 && to - from > SAMPLE_WIDTH_NS; try++) {
			from = raw_ns();
			tsc = tsc_read();
			to = raw_ns();
		}
		tsc_rate_sample(r, from, tsc, to);
	}
}
