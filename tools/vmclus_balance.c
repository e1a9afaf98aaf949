/* SPDX-License-Identifier: GPL-2.0-or-later */
/* vmclus balance: the plan, the question, and how its moves go. */
#include "config.h"
#include "tools/vmclus_int.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include "common/util.h"

enum { OPT_DRY_RUN, OPT_YES, OPT_AUTO, OPT_MAX_MOVES };

struct balance {
	struct cli *v;
	json_t *shown; /* the moves that the person agreed to; NULL: none was asked */
	unsigned moved, failed;
};

static void show_plan(const json_t *plan)
{
	char bytes[32];
	json_t *m;
	size_t i;

	if (!json_array_size(json_object_get(plan, "moves"))) {
		printf("no move is worth its cost: spread %.0f %%%s%s\n", field_num(plan, "before") * 100,
		       *field_text(plan, "text") ? "; " : "", field_text(plan, "text"));
		return;
	}
	printf("%-20s %-12s %-12s %8s %8s %-10s %s\n", "DOMAIN", "FROM", "TO", "GAIN", "SECONDS", "SENDS", "REASON");
	json_array_foreach(json_object_get(plan, "moves"), i, m)
		printf("%-20s %-12s %-12s %8.3f %8.1f %-10s %s\n", field_text(m, "domain"), field_text(m, "from"),
	               field_text(m, "to"), field_num(m, "gain"), field_num(m, "cost_s"),
	               size_format((uint64_t)field_num(m, "cost_bytes"), bytes, sizeof(bytes)),
	               field_text(m, "reason"));
	printf("spread of load %.0f %% now, %.0f %% afterwards%s%s\n", field_num(plan, "before") * 100,
	       field_num(plan, "after") * 100, *field_text(plan, "text") ? "; " : "", field_text(plan, "text"));
}

/* Who goes where, without the figures, which differ from one look to the next. */
static json_t *moves_of(const json_t *plan)
{
	json_t *list = json_array(), *m;
	size_t i;

	json_array_foreach(json_object_get(plan, "moves"), i, m)(void)
		json_array_append_new(list, json_pack("[s, s]", field_text(m, "domain"), field_text(m, "to")));
	return list;
}

static int on_answer(void *arg, json_t *o, struct err *err)
{
	struct balance *b = arg;
	const char *type = field_text(o, "type");

	(void)err;
	if (!strcmp(type, "plan")) {
		_cleanup_json_ json_t *now = moves_of(o);

		if (b->v->json) {
			cli_print_json(b->v, o);
		} else if (!b->shown) {
			show_plan(o);
		} else if (!json_equal(b->shown, now)) {
			puts("the load has changed meanwhile; the plan is now:");
			show_plan(o);
		}
	} else if (!strcmp(type, "move")) {
		bool failed = !strcmp(field_text(o, "status"), "failed");

		b->failed += failed;
		b->moved += !strcmp(field_text(o, "status"), "completed");
		if (b->v->json)
			cli_print_json(b->v, o);
		else
			printf("%s: %s > %s %s%s%s\n", field_text(o, "domain"), field_text(o, "from"),
			       field_text(o, "to"), field_text(o, "status"), failed ? ": " : "",
			       failed ? field_text(o, "error") : "");
		fflush(stdout);
	}
	return 0;
}

static json_t *order_of(struct cli *v, bool run, double max_moves)
{
	json_t *order = json_pack("{s:s, s:b}", "op", "balance", "run", (int)run);

	if (cli_opt(v, OPT_MAX_MOVES))
		(void)json_object_set_new(order, "max_moves", json_integer((json_int_t)max_moves));
	return order;
}

static int set_auto(struct cli *v, struct err *err)
{
	bool on = !strcmp(v->value[OPT_AUTO], "on");
	_cleanup_json_ json_t *o = NULL;
	int r;

	if (!on && strcmp(v->value[OPT_AUTO], "off") != 0)
		return err_set(err, CLI_EUSAGE, "--auto on or off, not %s", v->value[OPT_AUTO]);
	r = vmclus_order(json_pack("{s:s, s:{s:b}}", "op", "policy", "set", "auto_balance", (int)on), "policy", NULL,
	                 NULL, &o, err);
	if (!r && v->json)
		cli_print_json(v, json_object_get(o, "policy"));
	else if (!r)
		printf("the cluster %s by itself\n", on ? "balances" : "does not balance");
	return r;
}

/* Show what would be done and ask. 0: go on; VMCLUS_DECLINED; -errno. @nothing: there is nothing to do. */
static int look_and_ask(struct balance *b, double max_moves, bool *nothing, struct err *err)
{
	_cleanup_json_ json_t *plan = NULL;
	bool ask = !cli_opt(b->v, OPT_DRY_RUN);
	int r = vmclus_order(order_of(b->v, false, max_moves), "plan", NULL, NULL, &plan, err);

	if (r < 0)
		return r;
	*nothing = !ask || !json_array_size(json_object_get(plan, "moves"));
	if (b->v->json && *nothing) {
		(void)json_object_del(plan, "type");
		cli_print_json(b->v, plan);
	} else if (!b->v->json) {
		show_plan(plan);
	}
	if (*nothing)
		return 0;
	b->shown = moves_of(plan);
	r = vmclus_confirm("Carry it out? (yes/no)", "yes", err);
	if (r > 0)
		fprintf(stderr, "vmclus: nothing was moved\n");
	return r;
}

int vmclus_balance(struct cli *v, struct err *err)
{
	struct balance b = { .v = v };
	_cleanup_json_ json_t *o = NULL;
	double max_moves = 0;
	bool nothing = false;
	int r;

	if (cli_opt(v, OPT_AUTO)) {
		if (v->flags & ~(1u << OPT_AUTO))
			return err_set(err, CLI_EUSAGE, "--auto goes with no other option");
		return set_auto(v, err);
	}
	r = cli_opt_number(v, OPT_MAX_MOVES, 1, 100000, &max_moves, err);
	if (!r && !(cli_opt(v, OPT_YES) && !cli_opt(v, OPT_DRY_RUN)))
		r = look_and_ask(&b, max_moves, &nothing, err);
	if (!r && !nothing)
		r = vmclus_order(order_of(v, true, max_moves), NULL, on_answer, &b, &o, err);
	json_decref(b.shown);
	if (r || nothing)
		return r;
	if (v->json)
		cli_print_json_new(v, json_pack("{s:s, s:i, s:i}", "status", b.failed ? "failed" : "completed", "moved",
		                                (int)b.moved, "failed", (int)b.failed));
	else if (b.moved || b.failed)
		printf("%u moved, %u failed\n", b.moved, b.failed);
	return b.failed ? CLI_FAILED : 0;
}
