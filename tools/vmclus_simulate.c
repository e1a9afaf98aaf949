/* SPDX-License-Identifier: GPL-2.0-or-later */
/* simulate: command line and output. See vmclus_simulate.h. */
#include "config.h"
#include "tools/vmclus_simulate.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include "tools/vmclus_int.h"

enum {
	OPT_MAX_MOVES,
	OPT_THRESHOLD,
	OPT_GAIN,
	OPT_WORTH,
	OPT_COST,
	OPT_ENOUGH,
	OPT_LAYOUT,
	OPT_SPREAD,
	OPT_WRITE_LAYOUT,
	OPT_WRITE_GANETI,
	OPT_GENERATE,
	OPT_SEED
};

struct options {
	uint32_t gen_hosts, gen_domains;                        /* 0: read a file */
	double max_moves, threshold, gain, worth, enough, cost; /* negative: not given */
	double seed;
};

static double now_s(clockid_t clock)
{
	struct timespec t;

	clock_gettime(clock, &t);
	return (double)t.tv_sec + (double)t.tv_nsec * 1e-9;
}

static int read_options(struct cli *v, struct options *o, struct err *err)
{
	const struct {
		unsigned option;
		double most, *to;
	} numbers[] = {
		{ OPT_MAX_MOVES, 1e9, &o->max_moves },
		{ OPT_THRESHOLD, 10, &o->threshold },
		{ OPT_GAIN, 10, &o->gain },
		{ OPT_WORTH, 1e9, &o->worth },
		{ OPT_COST, 1e9, &o->cost },
		{ OPT_ENOUGH, 10, &o->enough },
		{ OPT_SEED, 1e15, &o->seed },
	};
	char rest;

	*o = (struct options){
		.max_moves = -1, .threshold = -1, .gain = -1, .worth = -1, .enough = -1, .cost = -1, .seed = 1
	};
	for (size_t i = 0; i < ARRAY_SIZE(numbers); i++) {
		int r = cli_opt_number(v, numbers[i].option, 0, numbers[i].most, numbers[i].to, err);

		if (r < 0)
			return r;
	}
	if (!cli_opt(v, OPT_GENERATE) == !v->n_args)
		return err_set(err, CLI_EUSAGE, "either a FILE or --generate HOSTS:DOMAINS");
	if (cli_opt(v, OPT_GENERATE) &&
	    (sscanf(v->value[OPT_GENERATE], "%u:%u%c", &o->gen_hosts, &o->gen_domains, &rest) != 2 || !o->gen_hosts ||
	     o->gen_hosts > 100000 || o->gen_domains > 10000000))
		return err_set(err, CLI_EUSAGE, "--generate HOSTS:DOMAINS, not \"%s\"", v->value[OPT_GENERATE]);
	return 0;
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

static void print_plan(const struct cli *v, const struct simfile *f, const struct clu_plan_move *move,
                       const struct clu_plan_result *r, double read_s, double plan_s)
{
	char text[CLU_TEXT_MAX];

	clu_plan_say_end(r, text);
	if (!v->json) {
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
	cli_print_json_new(v, j);
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

static int plan(struct cli *v, const struct options *o, struct simfile *f, double read_s, struct err *err)
{
	size_t ws_bytes = clu_plan_workspace_bytes(f->snap.n_host, f->snap.n_dom);
	_cleanup_free_ void *ws = malloc(ws_bytes);
	_cleanup_free_ struct clu_plan_move *move = calloc(f->snap.n_dom + 1, sizeof(*move));
	struct clu_plan_params par;
	struct clu_plan_result res;

	if (!ws || !move)
		return err_set(err, ENOMEM, "out of memory");
	if (cli_opt(v, OPT_SPREAD)) {
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
	uint32_t cap = o->max_moves >= 0 && o->max_moves < f->snap.n_dom ? (uint32_t)o->max_moves : f->snap.n_dom;
	clu_plan_run(&f->snap, &par, ws, ws_bytes, move, cap, &res);
	double spent = now_s(CLOCK_THREAD_CPUTIME_ID) - start;
	print_plan(v, f, move, &res, read_s, spent);
	for (uint32_t i = 0; i < res.n_moves; i++)
		f->dom[move[i].dom].host = move[i].to;
	return 0;
}

static int generate(const struct options *o, struct err *err)
{
	_cleanup_json_ json_t *doc = simgen(o->gen_hosts, o->gen_domains, (uint64_t)o->seed);

	if (!doc || json_dumpf(doc, stdout, JSON_COMPACT) || putchar('\n') == EOF || fflush(stdout))
		return err_set(err, EIO, "cannot write the description");
	return 0;
}

int vmclus_simulate(struct cli *v, struct err *err)
{
	_cleanup_simfile_ struct simfile f = { 0 };
	double start = now_s(CLOCK_MONOTONIC);
	struct options o;
	json_error_t e;
	int r = read_options(v, &o, err);

	if (r < 0)
		return r;
	if (o.gen_hosts)
		return generate(&o, err);
	json_t *doc = strcmp(v->arg[0], "-") ? json_load_file(v->arg[0], 0, &e) : json_loadf(stdin, 0, &e);
	if (!doc)
		return err_set(err, EINVAL, "%s, line %d: %s", v->arg[0], e.line, e.text);
	r = simfile_read(&f, doc, err);
	if (!r && cli_opt(v, OPT_LAYOUT))
		r = simfile_place(&f, v->value[OPT_LAYOUT], err);
	if (!r)
		r = plan(v, &o, &f, now_s(CLOCK_MONOTONIC) - start, err);
	if (!r && cli_opt(v, OPT_WRITE_LAYOUT))
		r = write_layout(&f, v->value[OPT_WRITE_LAYOUT], err);
	if (!r && cli_opt(v, OPT_WRITE_GANETI))
		r = simfile_write_ganeti(&f, v->value[OPT_WRITE_GANETI], err);
	return r;
}
