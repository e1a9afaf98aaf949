/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Stories of a cluster from seeds, and planted bugs that must be found (--help). A failure prints how to see its story again. */
#include "config.h"
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>
#include "tests/sim/simclu.h"

#define PLANTED_SEEDS 5000
#define PROGRESS_S    30

static const char usage[] =
	"usage: simclu                       what \"make check\" runs: short stories, and, without sanitizers, every planted bug\n"
	"       simclu --seeds N [--from S]  N stories; 0 if all hold, else how to see the first that does not\n"
	"       simclu --seed S [--trace]    one story, told\n"
	"\n"
	"  --jobs N      so many processes share the stories\n"
	"  --nodes N     of the cluster (5)\n"
	"  --doms N      domains (30)\n"
	"  --seconds N   virtual seconds of a story (1000); the last 200, or half of them, are without faults\n"
	"  --plant BUG   with this bug in it\n"
	"  --calm        without faults\n"
	"  --pair        without faults but two hosts that cannot hear each other\n"
	"  --stuck       without faults but one clusterd that hangs\n"
	"  --leave       with many hosts that are shut down in order, and few other faults\n"
	"  --apart       without faults but that all hosts lose each other and come back one after the other\n"
	"  --witness     one of the machines is a witness: it votes, and carries no domains\n"
	"  --lose        without faults but one machine that loses its power for good; with --witness it is that one, too\n"
	"  --disarm      people disarm the cluster and arm it, again and again\n"
	"  --lists       hosts join, leave and are taken out, besides\n"
	"  --bad         without faults but one host that can start nothing, and one that loses its power\n";

static struct sc world;

struct plan {
	uint32_t nodes, doms, seconds, jobs;
	const char *plant;
	bool calm, stuck, pair, bad, leave, apart, lists, witness, lose, disarm;
};

static struct sc_options of_seed(const struct plan *p, uint64_t seed)
{
	uint64_t quiet = p->seconds >= 400 ? 200 : p->seconds / 2 > 120 ? p->seconds / 2 : 120;

	return (struct sc_options){ .seed = seed,
		                    .nodes = p->nodes,
		                    .doms = p->doms,
		                    .plant = p->plant,
		                    .calm = p->calm || p->stuck || p->pair || p->bad || p->apart || p->lose,
		                    .pair = p->pair,
		                    .stuck = p->stuck,
		                    .bad = p->bad,
		                    .apart = p->apart,
		                    .leave = p->leave,
		                    .disarm = p->disarm,
		                    .lists = p->lists,
		                    .witness = p->witness,
		                    .lose = p->lose,
		                    .length_ns = (p->seconds > quiet ? p->seconds : quiet + 20) * S,
		                    .quiet_ns = quiet * S };
}

static void again(const struct plan *p, uint64_t seed)
{
	printf("seed %" PRIu64 ": %s\nagain: simclu --seed %" PRIu64
	       " --nodes %u --doms %u --seconds %u%s%s%s%s%s%s --trace\n",
	       seed, world.violation, seed, p->nodes, p->doms, p->seconds, p->plant ? " --plant " : "",
	       p->plant ? p->plant : "",
	       p->bad      ? " --bad"
	       : p->apart  ? " --apart"
	       : p->leave  ? " --leave"
	       : p->disarm ? " --disarm"
	                   : "",
	       p->stuck   ? " --stuck"
	       : p->lists ? " --lists"
	                  : "",
	       p->witness ? " --witness" : "", p->lose ? " --lose" : "");
}

static double seconds(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_MONOTONIC, &ts);
	return (double)ts.tv_sec + (double)ts.tv_nsec / 1e9;
}

/* Every @step th seed of @n from @from on. */
static int some(const struct plan *p, uint64_t from, uint64_t n, uint64_t step, bool quiet)
{
	double t = seconds(), told = t;
	uint64_t events = 0, commands = 0, count = (n + step - 1) / step;

	for (uint64_t seed = from; seed < from + n; seed += step) {
		struct sc_options o = of_seed(p, seed);
		bool ok = sc_run(&world, &o);
		events += world.events;
		commands += world.committed_max;
		if (!ok) {
			if (!quiet)
				again(p, seed);
			return 1;
		}
		if (!quiet && seconds() > told + PROGRESS_S) {
			told = seconds();
			fprintf(stderr, "%" PRIu64 " of %" PRIu64 " hold\n", (seed - from) / step + 1, count);
		}
	}
	t = seconds() - t;
	if (!quiet)
		printf("%" PRIu64
		       " stories of %u nodes, %u domains and %u s%s hold: %.1f stories/s, %.0f commands and %.0f events each\n",
		       count, p->nodes, p->doms, p->seconds,
		       p->stuck     ? " with a clusterd that hangs"
		       : p->pair    ? " with a pair that cannot talk"
		       : p->bad     ? " with a host that can start nothing"
		       : p->apart   ? " in which all hosts lose each other"
		       : p->lists   ? " in which hosts join and leave"
		       : p->disarm  ? " in which the cluster is disarmed again and again"
		       : p->lose    ? " in which one of them, a witness or not, is lost"
		       : p->witness ? ", one of them a witness,"
		                    : "",
		       (double)count / t, (double)commands / (double)count, (double)events / (double)count);
	return 0;
}

static int stories(const struct plan *p, uint64_t from, uint64_t n)
{
	int rc = 0, status;

	if (p->jobs <= 1)
		return some(p, from, n, 1, false);
	fflush(stdout);
	for (uint32_t j = 0; j < p->jobs && j < n; j++)
		if (fork() == 0)
			exit(some(p, from + j, n - j, p->jobs, false));
	while (wait(&status) > 0)
		rc |= status != 0;
	return rc;
}

/* A checker that finds nothing proves nothing. */
static int planted(const struct plan *p)
{
	static const char *const bugs[] = { "guard-asleep",        "no-margin",          "no-wait-after-restart",
		                            "start-without-lease", "ack-before-persist", "no-commit",
		                            "no-relinquish",       "reclaim-blind",      "generation-ignored",
		                            "run-without-take",    "resume-in-doubt",    "old-answer-counts",
		                            "unpark-late",         "trust-locks",        "guard-leaves",
		                            "write-after-thaw",    "pulse-no-promise",   "left-before-all-ended",
		                            "starts-after-left",   "lease-longer-early", "nobody-steps-aside",
		                            "forgets-failures",    "one-clock",          "stopped-clock-trusted",
		                            "gives-up-at-once",    "waits-briefly",      "lists-unasked",
		                            "lists-unbound",       "lists-unread",       "lists-and-old-peers",
		                            "witness-unsaid",      "unordered",          "permit-unpromised",
		                            "permit-undropped",    "balances-all",       "no-cool-down",
		                            "spare-as-any",        "brings-back-all",    "restarts-forgotten" };
	int rc = 0;

	for (unsigned b = 0; b < sizeof(bugs) / sizeof(bugs[0]); b++) {
		struct plan q = *p;
		q.plant = bugs[b];
		q.pair = !strcmp(bugs[b], "nobody-steps-aside") || !strcmp(bugs[b], "gives-up-at-once");
		q.apart = !strcmp(bugs[b], "waits-briefly");
		q.seconds = q.pair ? 320 : q.apart ? 400 : q.seconds;
		q.disarm = !strncmp(bugs[b], "permit-", 7);
		q.lists = !strncmp(bugs[b], "lists-", 6);
		q.witness = !strcmp(bugs[b], "witness-unsaid");
		q.bad = !strcmp(bugs[b], "forgets-failures");
		q.leave = !strcmp(bugs[b], "left-before-all-ended") || !strcmp(bugs[b], "starts-after-left");
		bool found = some(&q, 1, PLANTED_SEEDS, 1, true);
		printf("planted bug %s: %s%s", bugs[b], found ? "found: " : "NOT FOUND", found ? world.violation : "");
		printf(found ? " (seed %" PRIu64 ")\n" : "\n", world.opt.seed);
		rc |= !found;
	}
	return rc;
}

/* make check: many short stories. */
#ifdef __SANITIZE_ADDRESS__
#define SANITIZED true
#else
#define SANITIZED false
#endif

static int check(struct plan *p)
{
	struct plan stuck = *p, pair = *p, bad = *p, apart = *p, lists = *p, three = *p, disarm = *p, plants = *p;
	int rc, status = 0;
	pid_t other = -1;

	/* with sanitizers a story takes five times as long, and shows faults of memory: many stories and what is planted are for
	 * simclu-long, in two halves of about the same length, a processor for each */
	fflush(stdout);
	if (!SANITIZED && (other = fork()) < 0)
		return 1;
	if (other == 0) {
		plants.seconds = 300;
		exit(planted(&plants));
	}
	p->seconds = 160;
	rc = some(p, 1, SANITIZED ? 100 : 1000, 1, false);
	stuck.stuck = true;
	stuck.seconds = 320;
	rc |= some(&stuck, 1, 10, 1, false);
	pair.pair = true;
	pair.seconds = 320;
	rc |= some(&pair, 1, 20, 1, false);
	bad.bad = true;
	bad.seconds = 300;
	rc |= some(&bad, 1, 20, 1, false);
	apart.apart = true;
	apart.seconds = 400;
	rc |= some(&apart, 1, SANITIZED ? 20 : 100, 1, false);
	three.nodes = 3; /* two hosts and a witness */
	three.witness = true;
	three.seconds = 300;
	rc |= some(&three, 1, SANITIZED ? 20 : 200, 1, false);
	three.lose = true;
	three.seconds = 320;
	rc |= some(&three, 1, SANITIZED ? 9 : 45, 1, false);
	lists.lists = true;
	lists.seconds = 300;
	rc |= some(&lists, 1, SANITIZED ? 20 : 200, 1, false);
	disarm.disarm = true;
	disarm.seconds = 300;
	rc |= some(&disarm, 1, SANITIZED ? 20 : 200, 1, false);
	return rc | (other > 0 && (waitpid(other, &status, 0) != other || status != 0));
}

int main(int argc, char **argv)
{
	const char *env = getenv("SEEDS");
	uint64_t seeds = env ? strtoull(env, NULL, 10) : 0, seed = 0, from = 1;
	struct plan p = { .nodes = 5, .doms = 30, .seconds = 1000 };
	bool trace = false, have_seed = false;

	for (int i = 1; i < argc; i++) {
		uint64_t v = i + 1 < argc ? strtoull(argv[i + 1], NULL, 10) : 0;
		if (!strcmp(argv[i], "--help")) {
			fputs(usage, stdout);
			return 0;
		}
		if (!strcmp(argv[i], "--trace"))
			trace = true;
		else if (!strcmp(argv[i], "--calm"))
			p.calm = true;
		else if (!strcmp(argv[i], "--stuck"))
			p.stuck = true;
		else if (!strcmp(argv[i], "--pair"))
			p.pair = true;
		else if (!strcmp(argv[i], "--bad"))
			p.bad = true;
		else if (!strcmp(argv[i], "--apart"))
			p.apart = true;
		else if (!strcmp(argv[i], "--disarm"))
			p.disarm = true;
		else if (!strcmp(argv[i], "--leave"))
			p.leave = true;
		else if (!strcmp(argv[i], "--witness"))
			p.witness = true;
		else if (!strcmp(argv[i], "--lose"))
			p.lose = true;
		else if (!strcmp(argv[i], "--lists"))
			p.lists = true;
		else if (!strcmp(argv[i], "--plant") && i + 1 < argc)
			p.plant = argv[++i];
		else if (!strcmp(argv[i], "--seeds"))
			seeds = v, i++;
		else if (!strcmp(argv[i], "--seed"))
			seed = v, have_seed = true, i++;
		else if (!strcmp(argv[i], "--from"))
			from = v, i++;
		else if (!strcmp(argv[i], "--jobs"))
			p.jobs = (uint32_t)v, i++;
		else if (!strcmp(argv[i], "--nodes"))
			p.nodes = (uint32_t)v, i++;
		else if (!strcmp(argv[i], "--doms"))
			p.doms = (uint32_t)v, i++;
		else if (!strcmp(argv[i], "--seconds"))
			p.seconds = (uint32_t)v, i++;
		else {
			fprintf(stderr, "what is \"%s\"? See --help.\n", argv[i]);
			return 2;
		}
	}
	if (!p.nodes || p.nodes > SC_NODES || !p.doms || p.doms > SC_DOMS) {
		fprintf(stderr, "1 to %u nodes, 1 to %u domains\n", (unsigned)SC_NODES, (unsigned)SC_DOMS);
		return 2;
	}
	sc_alloc(&world, p.nodes, p.doms);
	if (have_seed) {
		struct sc_options o = of_seed(&p, seed);
		o.trace = trace ? stdout : NULL;
		bool ok = sc_run(&world, &o);
		printf("seed %" PRIu64 ": %s\n", seed, ok ? "holds" : world.violation);
		return !ok;
	}
	if (seeds)
		return stories(&p, from, seeds);
	return check(&p);
}
