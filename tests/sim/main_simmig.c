/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * simmig [--seeds N] [--seed S [--trace]] [--steps]: random stories from seeds, one fault at every step, and planted bugs that must
 * be found. A failure prints how to see its story again.
 */
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>
#include "tests/sim/simmig.h"

static struct sim sim;

static struct sim_options of_seed(uint64_t seed)
{
	return (struct sim_options){ .seed = seed,
		                     .shared_lease = seed & 1,
		                     .faults = (unsigned)(seed >> 1) % 4,
		                     .fault_at_step = -1,
		                     .restart = true,
		                     .disk_stalls = seed % 5 < 2,
		                     .stay_paused = seed % 7 == 0 };
}

static int random_stories(uint64_t n)
{
	for (uint64_t seed = 1; seed <= n; seed++) {
		struct sim_options o = of_seed(seed);
		if (!sim_run(&sim, &o)) {
			printf("seed %" PRIu64 ": %s\nagain: simmig --seed %" PRIu64 " --trace\n", seed, sim.violation,
			       seed);
			return 1;
		}
	}
	printf("%" PRIu64 " random stories hold\n", n);
	return 0;
}

/* Every fault before every step of a migration, with and without shared leases, coming back or not. */
static int fault_at_each_step(void)
{
	unsigned stories = 0;

	for (unsigned variant = 0; variant < 8; variant++) {
		for (unsigned f = 0; f < SIM_FAULTS; f++) {
			for (int step = 0; step < 80; step++) {
				struct sim_options o = { .seed = 1000 + variant,
					                 .shared_lease = variant & 1,
					                 .restart = variant & 2,
					                 .stay_paused = variant & 4,
					                 .fault_at_step = step,
					                 .fault = (enum sim_fault)f };
				stories++;
				if (!sim_run(&sim, &o)) {
					printf("variant %u, fault %u before step %d: %s\n", variant, f, step,
					       sim.violation);
					o.trace = stdout;
					(void)sim_run(&sim, &o);
					return 1;
				}
			}
		}
	}
	printf("%u stories with one fault hold\n", stories);
	return 0;
}

/* A checker that finds nothing proves nothing. */
static int planted(void)
{
	static const char *const bugs[] = { "run-without-go", "resume-in-doubt", "never-gone" };
	int rc = 0;

	for (unsigned b = 0; b < 3; b++) {
		bool found = false;
		for (uint64_t seed = 1; seed <= 3000 && !found; seed++) {
			struct sim_options o = of_seed(seed);
			o.plant = bugs[b];
			found = !sim_run(&sim, &o);
		}
		printf("planted bug %s: %s\n", bugs[b], found ? "found" : "NOT FOUND");
		rc |= !found;
	}
	return rc;
}

int main(int argc, char **argv)
{
	const char *env = getenv("SEEDS");
	uint64_t seeds = env ? strtoull(env, NULL, 10) : 20000, seed = 0;
	bool trace = false;

	for (int i = 1; i < argc; i++) {
		if (!strcmp(argv[i], "--trace"))
			trace = true;
		else if (!strcmp(argv[i], "--seeds") && i + 1 < argc)
			seeds = strtoull(argv[++i], NULL, 10);
		else if (!strcmp(argv[i], "--seed") && i + 1 < argc)
			seed = strtoull(argv[++i], NULL, 10);
	}
	if (seed) {
		struct sim_options o = of_seed(seed);
		o.trace = trace ? stdout : NULL;
		bool ok = sim_run(&sim, &o);
		printf("seed %" PRIu64 ": %s\n", seed, ok ? "holds" : sim.violation);
		return !ok;
	}
	return random_stories(seeds) || fault_at_each_step() || planted();
}
