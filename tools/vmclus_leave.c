/* SPDX-License-Identifier: GPL-2.0-or-later */
/* vmclus drain, shutdown-host: a host is emptied, and who is still there is named. */
#include "config.h"
#include "tools/vmclus_int.h"

#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include "common/util.h"

/* What has been told of each domain: only news are printed. */
struct told {
	struct cli *v;
	const char *host;
	char *last;
};

static void print_domains(const json_t *domains)
{
	json_t *d;
	size_t i;

	json_array_foreach(domains, i, d)
		printf("  %-20s %s%s\n", field_text(d, "name"), field_true(d, "stuck") ? "cannot leave now: " : "",
	               field_text(d, "reason"));
}

static const char *stage_text(const char *stage)
{
	return !strcmp(stage, "ending")       ? "still running"
	       : !strcmp(stage, "left")       ? "not known to the others yet"
	       : !strcmp(stage, "bring-back") ? "still elsewhere"
	                                      : "left";
}

/* A line with numbers and one for each domain, whenever one of them is another or in another state; what stays as it was is not said again. */
static int progress(void *arg, json_t *o, struct err *err)
{
	struct told *t = arg;
	const json_t *domains = json_object_get(o, "domains");
	_cleanup_free_ char *now = NULL;

	(void)err;
	if (strcmp(field_text(o, "type"), "progress") != 0)
		return 0;
	if (t->v->json) {
		cli_print_json(t->v, o);
		return 0;
	}
	_cleanup_json_ json_t *what = json_array();
	json_t *d;
	size_t i;

	json_array_foreach(domains, i, d)(void)
		json_array_append_new(what, json_pack("[s, s, b]", field_text(d, "name"), field_text(d, "state"),
	                                              (int)field_true(d, "stuck")));
	now = json_dumps(what, JSON_COMPACT);
	if (t->last && now && !strcmp(t->last, now))
		return 0;
	free(t->last);
	t->last = steal_ptr(&now);
	printf("%s: %.0f %s, %.0f on the move\n", t->host, field_num(o, "left"), stage_text(field_text(o, "stage")),
	       field_num(o, "moving"));
	print_domains(domains);
	fflush(stdout);
	return 0;
}

static char interrupted[256];

static void on_interrupt(int sig)
{
	(void)!write(STDERR_FILENO, interrupted, strlen(interrupted));
	_exit(128 + sig);
}

static void interrupt_says(const char *text)
{
	struct sigaction sa = { .sa_handler = on_interrupt };

	snprintf(interrupted, sizeof(interrupted), "\nvmclus: %s\n", text);
	sigaction(SIGINT, &sa, NULL);
}

static bool partly(const json_t *o)
{
	return json_is_false(json_object_get(o, "complete"));
}

int vmclus_drain(struct cli *v, struct err *err)
{
	bool back = cli_opt(v, 3), undo = cli_opt(v, 0) || back, wait = !cli_opt(v, 1);
	_cleanup_json_ json_t *o = NULL;
	struct told t = { .v = v, .host = v->arg[0] };
	_cleanup_free_ char *text = NULL;
	json_t *order = json_pack("{s:s, s:s, s:b, s:b}", "op", "drain", "host", v->arg[0], "undo", (int)undo, "wait",
	                          (int)wait);
	int r;

	if (cli_opt(v, 4) && undo) {
		json_decref(order);
		return err_set(err, CLI_EUSAGE, "--until-back begins a drain; --undo and --bring-back end one");
	}
	if (cli_opt(v, 4))
		(void)json_object_set_new(order, "until_back", json_true());
	if (back)
		(void)json_object_set_new(order, "bring_back", json_true());
	r = vmclus_timeout(v, 2, order, err);
	if (r < 0)
		return r;
	text = xasprintf(undo ? "%s takes domains again, and those that were moved away are brought back on"
	                      : "%s is being emptied on, and gets no domains; vmclus drain --undo %s ends that",
	                 v->arg[0], v->arg[0]);
	interrupt_says(text);
	r = vmclus_order(order, NULL, progress, &t, &o, err);
	free(t.last);
	if (r < 0)
		return r;
	if (v->json)
		cli_print_json(v, o);
	else if (partly(o)) {
		printf("%.0f %s:\n", field_num(o, "left"),
		       undo ? "are not back yet, and are brought back on"
		            : "stay so far, and are moved on when they can be");
		print_domains(json_object_get(o, "domains"));
	} else {
		printf("%s %s\n", v->arg[0],
		       back   ? wait ? "has its domains back" : "gets its domains back"
		       : undo ? "takes domains again"
		       : wait ? cli_opt(v, 4) ? "is empty, and gets no domains until it is back"
		                              : "is empty, and gets no domains until vmclus drain --undo"
		              : "is being emptied");
	}
	return partly(o) ? VMCLUS_PARTLY : 0;
}

int vmclus_shutdown_host(struct cli *v, struct err *err)
{
	bool undo = cli_opt(v, 2), wait = !cli_opt(v, 3);
	_cleanup_json_ json_t *o = NULL;
	struct told t = { .v = v, .host = "this host" };
	json_t *order;
	int r;

	if (undo && (cli_opt(v, 0) || cli_opt(v, 1)))
		return err_set(err, CLI_EUSAGE, "--undo goes alone");
	if (cli_opt(v, 0) && strcmp(v->value[0], "drain") != 0 && strcmp(v->value[0], "shutdown") != 0 &&
	    strcmp(v->value[0], "stop") != 0)
		return err_set(err, CLI_EUSAGE, "--mode drain, shutdown or stop, not %s", v->value[0]);
	order = json_pack("{s:s, s:b, s:b}", "op", "leave", "undo", (int)undo, "wait", (int)wait);
	if (cli_opt(v, 0))
		(void)json_object_set_new(order, "mode", json_string(v->value[0]));
	r = vmclus_timeout(v, 1, order, err);
	if (r < 0)
		return r;
	if (!undo)
		interrupt_says("this host is being shut down on; vmclus shutdown-host --undo ends that");
	r = vmclus_order(order, NULL, progress, &t, &o, err);
	free(t.last);
	if (r < 0)
		return r;
	if (v->json)
		cli_print_json(v, o);
	else
		printf("%s\n",
		       undo    ? "this host takes domains again"
		       : !wait ? "this host is being shut down"
		       : partly(o)
		               ? "no domain of the cluster runs here; without a quorum the others wait until this host's lease is over"
		               : "no domain of the cluster runs here, and the others know it");
	return partly(o) ? VMCLUS_PARTLY : 0;
}
