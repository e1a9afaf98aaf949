/* SPDX-License-Identifier: GPL-2.0-or-later */
/* simulate: command line and output. See vmclus_simulate.h. */
#include "config.h"
#include "tools/vmclus_simulate.h"

#include <errno.h>
#include <getopt.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

static const char usage_text[] =
	"usage: %s [OPTIONS] FILE|-            plan for a described cluster (JSON, as \"status --json\" prints it)\n"
	"       %s --generate HOSTS:DOMAINS    print a made-up, lopsided description\n"
	"  --json               the plan as one object\n"
	"  --max-moves N        at most so many moves\n"
	"  --threshold X        no plan up to this spread (0 to 1)\n"
	"  --gain X             no plan that takes away less of it\n"
	"  --worth X            no move worth less\n"
	"  --cost X             worth that a second of migration costs\n"
	"  --enough X           stop at this spread\n"
	"  --layout FILE        where domains are instead: lines of DOMAIN HOST\n"
	"  --spread             only print the spread, plan nothing\n"
	"  --write-layout FILE  where domains are after the plan\n"
	"  --write-ganeti FILE  the cluster (after the plan, unless --spread) as input for hbal -t\n"
	"  --seed N             for --generate\n";

struct options {
	const char *file, *layout, *write_layout, *ganeti;
	bool json, spread_only;
	uint32_t gen_hosts, gen_domains, max_moves;
	bool limited; /* to max_moves */
	uint64_t seed;
	double threshold, gain, worth, enough, cost; /* negative: not given */
};

static double now_s(clockid_t clock)
{
	struct timespec t;

	clock_gettime(clock, &t);
	return (double)t.tv_sec + (double)t.tv_nsec * 1e-9;
}

static int to_number(const char *text, double most, double *ret)
{
	char *end;

	errno = 0;
	double v = strtod(text, &end);
	if (errno || end == text || *end || !(v >= 0) || v > most)
		return -EINVAL;
	*ret = v;
	return 0;
}

static int to_generate(struct options *o, const char *text)
{
	unsigned h, d;
	char rest;

	if (sscanf(text, "%u:%u%c", &h, &d, &rest) != 2 || !h || h > 100000 || d > 10000000)
		return -EINVAL;
	o->gen_hosts = h;
	o->gen_domains = d;
	return 0;
}

static int parse_value(struct options *o, int option, const char *text)
{
	double v = 0;
	int r;

	switch (option) {
	case 'n':
		return to_generate(o, text);
	case 'm':
		r = to_number(text, 1e9, &v);
		o->max_moves = (uint32_t)v;
		o->limited = true;
		return r;
	case 'S':
		r = to_number(text, 1e15, &v);
		o->seed = (uint64_t)v;
		return r;
	case 't':
		return to_number(text, 10, &o->threshold);
	case 'g':
		return to_number(text, 10, &o->gain);
	case 'w':
		return to_number(text, 1e9, &o->worth);
	case 'c':
		return to_number(text, 1e9, &o->cost);
	case 'e':
		return to_number(text, 10, &o->enough);
	case 'l':
		o->layout = text;
		return 0;
	case 'L':
		o->write_layout = text;
		return 0;
	default:
		o->ganeti = text;
		return 0;
	}
}

/* 0; 1: help was asked for; -EINVAL */
static int parse(struct options *o, int argc, char **argv)
{
	static const struct option t[] = {
		{ "json", no_argument, NULL, 'j' },
		{ "max-moves", required_argument, NULL, 'm' },
		{ "threshold", required_argument, NULL, 't' },
		{ "gain", required_argument, NULL, 'g' },
		{ "worth", required_argument, NULL, 'w' },
		{ "cost", required_argument, NULL, 'c' },
		{ "enough", required_argument, NULL, 'e' },
		{ "layout", required_argument, NULL, 'l' },
		{ "spread", no_argument, NULL, 's' },
		{ "write-layout", required_argument, NULL, 'L' },
		{ "write-ganeti", required_argument, NULL, 'G' },
		{ "generate", required_argument, NULL, 'n' },
		{ "seed", required_argument, NULL, 'S' },
		{ "help", no_argument, NULL, 'h' },
		{ 0 },
	};
	int c;

	optind = 0;
	while ((c = getopt_long(argc, argv, "", t, NULL)) != -1) {
		if (c == 'h')
			return 1;
		if (c == '?')
			return -EINVAL;
		o->json |= c == 'j';
		o->spread_only |= c == 's';
		if (optarg && parse_value(o, c, optarg)) {
			fprintf(stderr, "%s: \"%s\" does not fit its option\n", argv[0], optarg);
			return -EINVAL;
		}
		optarg = NULL;
	}
	o->file = optind < argc ? argv[optind++] : NULL;
	return optind < argc || !o->file == !o->gen_hosts ? -EINVAL : 0;
}

static void print_moves(const struct simfile *f, const struct clu_plan_move *move, const struct clu_plan_result *r)
{
	char text[CLU_TEXT_MAX];

	for (uint32_t i = 0; i < r->n_moves; i++) {
		const struct clu_plan_move *m = &move[i];
		clu_plan_say_move(m, f->host_name[m->from], f->host_name[m->to], text);
		printf("%4u. %-20s %s -> %s  gain %.4f, %.1f s, %llu MiB; %s\n", i + 1, f->dom_name[m->dom],
		       f->host_name[m->from], f->host_name[m->to], m->gain, m->cost_s,
		       (unsigned long long)(m->cost_bytes >> 20), text);
	}
}

static json_t *moves_json(const struct simfile *f, const struct clu_plan_move *move, uint32_t n)
{
	json_t *list = json_array();
	char text[CLU_TEXT_MAX];

	for (uint32_t i = 0; i < n; i++) {
		const struct clu_plan_move *m = &move[i];
		clu_plan_say_move(m, f->host_name[m->from], f->host_name[m->to], text);
		(void)json_array_append_new(list, json_pack("{s:s, s:s, s:s, s:f, s:f, s:I, s:s}", "domain",
		                                            f->dom_name[m->dom], "from", f->host_name[m->from], "to",
		                                            f->host_name[m->to], "gain", m->gain, "cost_s", m->cost_s,
		                                            "cost_bytes", (json_int_t)m->cost_bytes, "reason", text));
	}
	return list;
}

static void print_plan(const struct options *o, const struct simfile *f, const struct clu_plan_move *move,
                       const struct clu_plan_result *r, double read_s, double plan_s)
{
	char text[CLU_TEXT_MAX];

	clu_plan_say_end(r, text);
	if (!o->json) {
		print_moves(f, move, r);
		printf("%s; %.1f s of migration, %llu MiB; planned in %.3f s of CPU time\n", text, r->cost_s,
		       (unsigned long long)(r->cost_bytes >> 20), plan_s);
		return;
	}
	json_t *j = json_pack("{s:s, s:s, s:o, s:i, s:i, s:i, s:f, s:f, s:s, s:f, s:I, s:i, s:i, s:f, s:f, s:I}",
	                      "type", "plan", "end", clu_plan_end_name(r->end), "moves",
	                      moves_json(f, move, r->n_moves), "n_moves", (int)r->n_moves, "repairs", (int)r->n_repairs,
	                      "stuck", (int)r->n_stuck, "before", r->before, "after", r->after, "text", text, "cost_s",
	                      r->cost_s, "cost_bytes", (json_int_t)r->cost_bytes, "hosts", (int)f->snap.n_host,
	                      "domains", (int)f->snap.n_dom, "read_s", read_s, "plan_s", plan_s, "trials",
	                      (json_int_t)r->trials);
	(void)json_dumpf(j, stdout, JSON_COMPACT | JSON_PRESERVE_ORDER | JSON_REAL_PRECISION(9));
	putchar('\n');
	json_decref(j);
}

static int write_layout(const struct simfile *f, const char *path, struct err *err)
{
	FILE *out = fopen(path, "we");

	if (!out)
		return err_sys(err, errno, "cannot write %s", path);
	for (uint32_t i = 0; i < f->snap.n_dom; i++)
		fprintf(out, "%s %s\n", f->dom_name[i], f->host_name[f->dom[i].host]);
	return fclose(out) ? err_sys(err, errno, "cannot write %s", path) : 0;
}

static int plan(const struct options *o, struct simfile *f, double read_s, struct err *err)
{
	size_t ws_bytes = clu_plan_workspace_bytes(f->snap.n_host, f->snap.n_dom);
	_cleanup_free_ void *ws = malloc(ws_bytes);
	_cleanup_free_ struct clu_plan_move *move = calloc(f->snap.n_dom + 1, sizeof(*move));
	struct clu_plan_params par;
	struct clu_plan_result res;

	if (!ws || !move)
		return err_set(err, ENOMEM, "out of memory");
	if (o->spread_only) {
		printf("%.8f\n", clu_plan_spread(&f->snap, ws, ws_bytes));
		return 0;
	}
	clu_plan_params_default(&par, f->has_policy ? &f->policy : NULL);
	par.threshold = o->threshold >= 0 ? o->threshold : par.threshold;
	par.cost_weight = o->cost >= 0 ? o->cost : par.cost_weight;
	par.enough = o->enough >= 0 ? o->enough : par.enough;
	par.gain_min = o->gain >= 0 ? o->gain : par.gain_min;
	par.move_worth = o->worth >= 0 ? o->worth : par.move_worth;
	if (f->bandwidth_bps)
		par.bandwidth_bps = f->bandwidth_bps;
	double start = now_s(CLOCK_THREAD_CPUTIME_ID);
	uint32_t cap = o->limited && o->max_moves < f->snap.n_dom ? o->max_moves : f->snap.n_dom;
	clu_plan_run(&f->snap, &par, ws, ws_bytes, move, cap, &res);
	double spent = now_s(CLOCK_THREAD_CPUTIME_ID) - start;
	print_plan(o, f, move, &res, read_s, spent);
	for (uint32_t i = 0; i < res.n_moves; i++)
		f->dom[move[i].dom].host = move[i].to;
	return 0;
}

static int simulate(const struct options *o, struct err *err)
{
	_cleanup_simfile_ struct simfile f = { 0 };
	double start = now_s(CLOCK_MONOTONIC);
	json_error_t e;
	int r;

	if (o->gen_hosts) {
		json_t *doc = simgen(o->gen_hosts, o->gen_domains, o->seed);
		r = doc && !json_dumpf(doc, stdout, JSON_COMPACT) && putchar('\n') != EOF && !fflush(stdout) ? 0 : -EIO;
		json_decref(doc);
		return r ? err_set(err, EIO, "cannot write the description") : 0;
	}
	json_t *doc = strcmp(o->file, "-") ? json_load_file(o->file, 0, &e) : json_loadf(stdin, 0, &e);
	if (!doc)
		return err_set(err, EINVAL, "%s, line %d: %s", o->file, e.line, e.text);
	r = simfile_read(&f, doc, err);
	if (!r && o->layout)
		r = simfile_place(&f, o->layout, err);
	if (!r)
		r = plan(o, &f, now_s(CLOCK_MONOTONIC) - start, err);
	if (!r && o->write_layout)
		r = write_layout(&f, o->write_layout, err);
	if (!r && o->ganeti)
		r = simfile_write_ganeti(&f, o->ganeti, err);
	return r;
}

int vmclus_simulate(int argc, char **argv)
{
	struct options o = { .threshold = -1, .gain = -1, .worth = -1, .enough = -1, .cost = -1, .seed = 1 };
	struct err err = { 0 };
	int r = parse(&o, argc, argv);

	if (r) {
		fprintf(r > 0 ? stdout : stderr, usage_text, argv[0], argv[0]);
		return r > 0 ? 0 : 2;
	}
	r = simulate(&o, &err);
	if (r)
		fprintf(stderr, "%s: %s\n", argv[0], err.text);
	return r ? 1 : 0;
}
