/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The heartbeat of a guest's agent (docs/wire/agent.md): finds "hospes:beat SECONDS" in what the agent says, and measures the silence
 * after it. Pure: no clock, no I/O; times are now_ns(). The agent's console (vconsole.c) owns it.
 *
 * Silence is counted in pieces of at most an eighth of the period. So when hvdom and its guest stand still together (stopped, starved, on
 * a suspended machine), the leap of the clock counts for one piece.
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
	unsigned period_s;          /* a silence of this length means that the guest hangs; 0: not armed */
	bool told, half_told;       /* BEAT_SILENT, BEAT_QUIET were returned for this silence */
	uint64_t silent_ns;         /* length of the silence up to at_ns */
	uint64_t at_ns;
	uint64_t heard_ns;          /* time of the last heartbeat, 0: none */
	char line[BEAT_LINE_MAX];   /* an incomplete line */
	size_t line_len;            /* above BEAT_LINE_MAX: the line is too long and dropped up to its end */
};

/* The agent wrote @len octets; lines may come in pieces. Other lines, and periods out of range, are ignored. */
void beat_heard(struct beat *b, const char *p, size_t len, uint64_t now_ns);
/* The guest runs from now on: its silence so far is forgotten. */
void beat_anew(struct beat *b, uint64_t now_ns);
enum beat_news { BEAT_NOTHING, BEAT_QUIET, BEAT_SILENT };
/* Call at beat_due_ns() or later while the guest runs. Each silence has one BEAT_QUIET, at half the period, and then one BEAT_SILENT. */
enum beat_news beat_tick(struct beat *b, uint64_t now_ns);
/* After BEAT_SILENT: @ns of the silence were not the guest's fault. It goes on with the rest, and BEAT_SILENT comes again. */
void beat_give_back(struct beat *b, uint64_t ns, uint64_t now_ns);
uint64_t beat_due_ns(const struct beat *b); /* UINT64_MAX: never */

#endif
