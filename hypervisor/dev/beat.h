/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The heartbeat of a guest's agent (docs/wire/agent.md): reads what the agent says for "hospes:beat SECONDS" and measures how long it
 * has been silent since. Pure: no clock, no I/O; times are now_ns(). Owned by the agent's console, vconsole.c.
 *
 * Silence is measured in pieces of an eighth of the period, and no piece counts for more than that: when hvdom and its guest stood still
 * together (stopped, starved, a suspended machine) the clock's leap is no silence of the guest's.
 */
#ifndef HOSPES_HYPERVISOR_DEV_BEAT_H
#define HOSPES_HYPERVISOR_DEV_BEAT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define BEAT_MIN_S    2u
#define BEAT_MAX_S    600u
#define BEAT_LINE_MAX 126u

struct beat {
	unsigned period_s;          /* silent for so long: it hangs; 0: not armed */
	bool told, half_told;       /* this silence was reported, and half of it */
	uint64_t silent_ns;         /* counted up to at_ns */
	uint64_t at_ns;
	uint64_t heard_ns;          /* the last one, 0: none */
	char line[BEAT_LINE_MAX];   /* begun, not ended yet */
	size_t line_len;            /* above BEAT_LINE_MAX: too long, dropped to its end */
};

/* The agent said @p; lines may come in pieces. What is no heartbeat, or one out of range, changes nothing. */
void beat_heard(struct beat *b, const char *p, size_t len, uint64_t now_ns);
/* The guest runs from now on (again): its silence so far does not count. */
void beat_anew(struct beat *b, uint64_t now_ns);
enum beat_news { BEAT_NOTHING, BEAT_QUIET, BEAT_SILENT };
/* Call at beat_due_ns() or later, while the guest runs. Once in a silence: it lasted for half the period; for all of it. */
enum beat_news beat_tick(struct beat *b, uint64_t now_ns);
/* After BEAT_SILENT: so much of it was not the guest's. The rest goes on. */
void beat_give_back(struct beat *b, uint64_t ns, uint64_t now_ns);
uint64_t beat_due_ns(const struct beat *b); /* UINT64_MAX: never */

#endif
