/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * simclu [--seeds N] [--from S] [--seed S [--trace]] [--nodes N] [--doms N] [--seconds N] [--plant BUG]: stories of a cluster from seeds, and
 * planted bugs that must be found. A failure prints how to see its story again.
 */
#include "config.h"
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include "tests/sim/simclu.h"

static struct sc world;

struct plan { uint32_t nodes, doms, seconds; const char *plant; bool calm, stuck; };

static struct sc_options of_seed(const struct plan *p, uint64_t seed)
{
	uint64_t quiet = p->seconds >= 400 ? 200 : p->seconds / 2 > 120 ? p->seconds / 2 : 120;

	return (struct sc_options){ .seed = seed, .nodes = p->nodes, .doms = p->doms, .plant = p->plant, .calm = p->calm || p->stuck, .stuck = p->stuck,
		                    .length_ns = (p->seconds > quiet ? p->seconds : quiet + 20) * S, .quiet_ns = quiet * S };
}

static void again(const struct plan *p, uint64_t seed)
{
	printf("seed %" PRIu64 ": %s\nagain: simclu --seed %" PRIu64 " --nodes %u --doms %u --seconds %u%s%s --trace\n", seed, world.violation,
	       seed, p->nodes, p->doms, p->seconds, p->plant ? " --plant " : "", p->plant ? p->plant : "");
}

static double seconds(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_MONOTONIC, &ts);
	return (double)ts.tv_sec + (double)ts.tv_nsec / 1e9;
}

static int stories(const struct plan *p, uint64_t from, uint64_t n, bool quiet)
{
	double t = seconds();
	uint64_t events = 0, commands = 0;

	for (uint64_t seed = from; seed < from + n; seed++) {
		struct sc_options o = of_seed(p, seed);
		bool ok = sc_run(&world, &o);
		events += world.events;
		commands += world.committed_max;
		if (!ok) {
			if (!quiet)
				again(p, seed);
			return 1;
		}
	}
	t = seconds() - t;
	if (!quiet)
		printf("%" PRIu64 " stories of %u nodes, %u domains and %u s hold: %.1f stories/s, %.0f commands and %.0f events each\n", n,
		       p->nodes, p->doms, p->seconds, (double)n / t, (double)commands / (double)n, (double)events / (double)n);
	return 0;
}

/* A checker that finds nothing proves nothing. */
static int planted(const struct plan *p)
{
	static const char *const bugs[] = { "guard-asleep", "ack-before-persist", "no-wait-after-restart", "no-commit", "no-relinquish",
		                            "reclaim-blind" };
	int rc = 0;

	for (unsigned b = 0; b < sizeof(bugs) / sizeof(bugs[0]); b++) {
		struct plan q = *p;
		q.plant = bugs[b];
		bool found = stories(&q, 1, 600, true);
		printf("planted bug %s: %s%s\n", bugs[b], found ? "found: " : "NOT FOUND", found ? world.violation : "");
		rc |= !found;
	}
	return rc;
}

int main(int argc, char **argv)
{
	const char *env = getenv("SEEDS");
	uint64_t seeds = env ? strtoull(env, NULL, 10) : 0, seed = 0, from = 1;
	struct plan p = { .nodes = 5, .doms = 30, .seconds = 1000 };
	bool trace = false, have_seed = false;

	for (int i = 1; i < argc; i++) {
		uint64_t v = i + 1 < argc ? strtoull(argv[i + 1], NULL, 10) : 0;
		if (!strcmp(argv[i], "--trace"))
			trace = true;
		else if (!strcmp(argv[i], "--calm"))
			p.calm = true;
		else if (!strcmp(argv[i], "--stuck"))
			p.stuck = true;
		else if (!strcmp(argv[i], "--plant") && i + 1 < argc)
			p.plant = argv[++i];
		else if (!strcmp(argv[i], "--seeds"))
			seeds = v, i++;
		else if (!strcmp(argv[i], "--seed"))
			seed = v, have_seed = true, i++;
		else if (!strcmp(argv[i], "--from"))
			from = v, i++;
		else if (!strcmp(argv[i], "--nodes"))
			p.nodes = (uint32_t)v, i++;
		else if (!strcmp(argv[i], "--doms"))
			p.doms = (uint32_t)v, i++;
		else if (!strcmp(argv[i], "--seconds"))
			p.seconds = (uint32_t)v, i++;
		else {
			fprintf(stderr, "what is \"%s\"?\n", argv[i]);
			return 2;
		}
	}
	if (!p.nodes || p.nodes > SC_NODES || !p.doms || p.doms > SC_DOMS)
		return 2;
	sc_alloc(&world, p.nodes, p.doms);
	if (have_seed) {
		struct sc_options o = of_seed(&p, seed);
		o.trace = trace ? stdout : NULL;
		bool ok = sc_run(&world, &o);
		printf("seed %" PRIu64 ": %s\n", seed, ok ? "holds" : world.violation);
		return !ok;
	}
	if (seeds)
		return stories(&p, from, seeds, false);
	p.seconds = 160; /* make check: many short stories */
	return stories(&p, from, 1000, false) || planted(&p);
}
