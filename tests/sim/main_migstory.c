/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * migstory FILE: plays one scenario and compares its trace with the golden one in the same file. Lines before "----": "# comment",
 * "seed N", "shared", "paused", "dead" (what dies stays dead), "fault NAME STEP". After it: the trace. --print writes the file anew.
 */
#include <stdlib.h>
#include <string.h>
#include "tests/sim/simmig.h"

static const char *const fault_names[SIM_FAULTS] = { "kill-source",       "kill-target", "kill-source-hvdom",
	                                             "kill-target-hvdom", "cut",         "cancel" };
static struct sim sim;

static bool directive(struct sim_options *o, const char *line)
{
	char name[32];
	int step;
	unsigned long long seed;

	if (line[0] == '#' || line[0] == '\n')
		return true;
	if (sscanf(line, "seed %llu", &seed) == 1)
		o->seed = seed;
	else if (!strcmp(line, "shared\n"))
		o->shared_lease = true;
	else if (!strcmp(line, "paused\n"))
		o->stay_paused = true;
	else if (!strcmp(line, "dead\n"))
		o->restart = false;
	else if (sscanf(line, "fault %31s %d", name, &step) == 2) {
		o->fault_at_step = step;
		for (unsigned i = 0; i < SIM_FAULTS; i++)
			if (!strcmp(name, fault_names[i])) {
				o->fault = (enum sim_fault)i;
				return true;
			}
		return false;
	} else
		return false;
	return true;
}

/* Pings come and go by the hundred: they are not part of the story. */
static bool told(const char *line)
{
	return !strstr(line, " sends ping") && !strstr(line, " sends pong") && !strstr(line, ": lease");
}

int main(int argc, char **argv)
{
	struct sim_options o = { .seed = 1, .restart = true, .fault_at_step = -1 };
	bool print = argc == 3 && !strcmp(argv[1], "--print"), ok = true;
	char line[512], want[512];
	FILE *f = argc >= 2 ? fopen(argv[argc - 1], "r") : NULL;
	unsigned n = 0;

	if (!f)
		return 2;
	while (fgets(line, sizeof(line), f) && strcmp(line, "----\n")) {
		if (print)
			fputs(line, stdout);
		if (!directive(&o, line)) {
			fprintf(stderr, "%s: what is \"%s\"?\n", argv[argc - 1], line);
			return 2;
		}
	}
	o.trace = tmpfile();
	if (!o.trace)
		return 2;
	bool holds = sim_run(&sim, &o);
	rewind(o.trace);
	if (print)
		puts("----");
	while (fgets(line, sizeof(line), o.trace)) {
		if (!told(line))
			continue;
		n++;
		if (print) {
			fputs(line, stdout);
		} else if (!fgets(want, sizeof(want), f) || strcmp(line, want)) {
			printf("line %u of the trace\n  is:     %s  should: %s", n, line,
			       feof(f) ? "(the end)\n" : want);
			ok = false;
			break;
		}
	}
	if (!print && ok && fgets(want, sizeof(want), f)) {
		printf("the trace ends before: %s", want);
		ok = false;
	}
	if (!holds)
		printf("an invariant broke: %s\n", sim.violation);
	return !ok || !holds || n < 5;
}
