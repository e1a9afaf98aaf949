/* SPDX-License-Identifier: GPL-2.0-or-later */
/* vmclus status, events, explain, state: what there is and what happened. */
#include "config.h"
#include "tools/vmclus_int.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include "common/util.h"

/* How many domains a host has. */
static unsigned domains_of(const json_t *o, const char *host)
{
	json_t *d;
	size_t i;
	unsigned n = 0;

	json_array_foreach(json_object_get(o, "domains"), i, d) n += !strcmp(field_text(d, "host"), host);
	return n;
}

static const char *host_note(const json_t *h)
{
	const char *leaving = field_text(h, "leaving");

	if (vmclus_is_witness(h))
		return "witness: votes, carries no domains ";
	if (field_true(h, "maintenance"))
		return field_true(h, "until_back") ? "maintenance until it is back " : "maintenance ";
	if (!strcmp(field_text(h, "state"), "online") && *leaving && strcmp(leaving, "no") != 0)
		return "is shut down ";
	if (field_true(h, "spare") && !field_true(h, "suspected"))
		return field_true(h, "spare_open") ? "spare, in use now " : "spare ";
	return field_true(h, "suspected") ? "starts nothing, last choice " : "";
}

static void show_hosts(const json_t *o)
{
	char used[32], total[32], cpu[32], mem[80], note[320];
	json_t *h;
	size_t i;

	printf("%-12s %-8s %-11s %-22s %-8s %s\n", "HOST", "STATE", "CPU", "MEMORY", "DOMAINS", "NOTE");
	json_array_foreach(json_object_get(o, "hosts"), i, h)
	{
		const char *safe_by = field_text(h, "safe_by");

		snprintf(cpu, sizeof(cpu), "%.1f / %.0f", field_num(h, "cpu_used"), field_num(h, "cpu_total"));
		snprintf(mem, sizeof(mem), "%s / %s",
		         size_format((uint64_t)field_num(h, "mem_used_bytes"), used, sizeof(used)),
		         size_format((uint64_t)field_num(h, "mem_total_bytes"), total, sizeof(total)));
		if (vmclus_is_witness(h))
			strcpy(cpu, "-"), strcpy(mem, "-");
		bool lost = !strcmp(field_text(h, "state"), "lost");
		/* who of a disarmed cluster would lose its domains when it is cut off */
		bool bound = json_is_object(json_object_get(o, "disarm")) && !lost && !vmclus_is_witness(h) &&
		             !field_true(h, "permitted");
		snprintf(note, sizeof(note), "%s%s%s%s%s%s%s", host_note(h), bound ? "NOT DISARMED " : "",
		         *safe_by && strcmp(safe_by, "none") ? "safe by " : "",
		         *safe_by && strcmp(safe_by, "none") ? safe_by : "",
		         !lost && field_true(h, "clock_stops") ? "its clocks may stop " : "",
		         *field_text(h, "awaits") ? "awaits: " : "", field_text(h, "awaits"));
		printf("%-12s %-8s %-11s %-22s %-8u %s\n", field_text(h, "name"), field_text(h, "state"), cpu, mem,
		       domains_of(o, field_text(h, "name")), note);
	}
}

static void show_domains(const json_t *o)
{
	char where[160], mem[32];
	json_t *d;
	size_t i;

	if (!json_array_size(json_object_get(o, "domains"))) {
		puts("no domains are defined (vmclus define FILE)");
		return;
	}
	printf("%-20s %-10s %-8s %-21s %5s %5s %-10s %s\n", "DOMAIN", "STATE", "DESIRED", "HOST", "GEN", "CPU",
	       "MEMORY", "NOTE");
	json_array_foreach(json_object_get(o, "domains"), i, d)
	{
		const char *host = field_text(d, "host"), *target = field_text(d, "target");

		snprintf(where, sizeof(where), "%s%s%s", *host ? host : "-", *target ? " > " : "", target);
		printf("%-20s %-10s %-8s %-21s %5.0f %5.2f %-10s %s\n", field_text(d, "name"), field_text(d, "state"),
		       field_text(d, "desired"), where, field_num(d, "generation"), field_num(d, "cpu_used"),
		       size_format((uint64_t)field_num(d, "mem_bytes"), mem, sizeof(mem)), field_text(d, "text"));
	}
}

void vmclus_show_status(const json_t *o)
{
	size_t online = 0, i;
	json_t *hosts = json_object_get(o, "hosts"), *disarm = json_object_get(o, "disarm"), *h;

	json_array_foreach(hosts, i, h) online += !strcmp(field_text(h, "state"), "online");
	if (field_true(o, "quorate"))
		printf("quorate, %zu of %zu hosts online, generation %.0f, coordinator %s\n\n", online,
		       json_array_size(hosts), field_num(o, "generation"), field_text(o, "coordinator"));
	else
		printf("NOT QUORATE: %s decides nothing, and its domains stop unless it finds a majority; what it last knew "
		       "(generation %.0f):\n\n",
		       field_text(o, "host"), field_num(o, "generation"));
	if (json_is_object(disarm))
		printf("DISARMED until %s: nothing is lost, fenced or started: %s\n\n", field_text(disarm, "until"),
		       field_text(disarm, "reason"));
	show_hosts(o);
	putchar('\n');
	show_domains(o);
	fflush(stdout);
}

static int one_status(void *arg, json_t *o, struct err *err)
{
	struct cli *v = arg;

	(void)err;
	if (strcmp(field_text(o, "type"), "status") != 0)
		return 0;
	(void)json_object_del(o, "type");
	if (v->json) {
		cli_print_json(v, o);
		return 0;
	}
	if (cli_opt(v, 0) && isatty(STDOUT_FILENO))
		printf("\033[H\033[2J");
	vmclus_show_status(o);
	if (cli_opt(v, 0) && !isatty(STDOUT_FILENO))
		putchar('\n');
	return ferror(stdout) ? -EPIPE : 0;
}

int vmclus_status(struct cli *v, struct err *err)
{
	bool watch = cli_opt(v, 0);
	json_t *order = json_pack("{s:s, s:b}", "op", "status", "watch", (int)watch);
	_cleanup_json_ json_t *o = NULL;
	int r = vmclus_order(order, watch ? NULL : "status", one_status, v, &o, err);

	return r < 0 || watch ? r : one_status(v, o, err);
}

static int one_event(void *arg, json_t *o, struct err *err)
{
	struct cli *v = arg;

	(void)err;
	if (strcmp(field_text(o, "type"), "event") != 0)
		return 0;
	(void)json_object_del(o, "type");
	if (v->json)
		cli_print_json(v, o);
	else
		printf("%6.0f  %s  %-12s %s\n", field_num(o, "index"), field_text(o, "time"), field_text(o, "kind"),
		       field_text(o, "text"));
	fflush(stdout);
	return ferror(stdout) ? -EPIPE : 0;
}

int vmclus_events(struct cli *v, struct err *err)
{
	json_t *order = json_pack("{s:s, s:b}", "op", "events", "follow", (int)cli_opt(v, 0));

	double since;
	int r = cli_opt_number(v, 1, 0, 1e15, &since, err);

	if (r < 0) {
		json_decref(order);
		return r;
	}
	if (cli_opt(v, 1))
		(void)json_object_set_new(order, "since", json_integer((json_int_t)since));
	return vmclus_order(order, NULL, one_event, v, NULL, err);
}

int vmclus_explain(struct cli *v, struct err *err)
{
	_cleanup_json_ json_t *o = NULL;
	int r = vmclus_order(json_pack("{s:s, s:s}", "op", "explain", "name", v->arg[0]), "explain", NULL, NULL, &o,
	                     err);
	json_t *e, *h;
	size_t i;

	if (r < 0)
		return r;
	e = json_object_get(o, "explain") ?: o;
	if (v->json) {
		(void)json_object_del(e, "type");
		cli_print_json(v, e);
		return 0;
	}
	printf("%s %s%s\n", field_text(e, "name"), *field_text(e, "host") ? "on " : "on no host",
	       field_text(e, "host"));
	if (*field_text(e, "text"))
		printf("  %s\n", field_text(e, "text"));
	json_array_foreach(json_object_get(e, "hosts"), i, h)
	{
		if (field_true(h, "ok"))
			printf("  %-12s yes  score %.0f: %s\n", field_text(h, "name"), field_num(h, "score"),
			       field_text(h, "text"));
		else
			printf("  %-12s no   %s: %s\n", field_text(h, "name"), field_text(h, "why"),
			       field_text(h, "text"));
	}
	return 0;
}

int vmclus_state(struct cli *v, struct err *err)
{
	_cleanup_json_ json_t *o = NULL;
	int r = vmclus_order(json_pack("{s:s}", "op", "state"), "state", NULL, NULL, &o, err);

	(void)v;
	if (r < 0)
		return r;
	(void)json_dumpf(json_object_get(o, "state") ?: o, stdout, JSON_INDENT(2) | JSON_PRESERVE_ORDER);
	putchar('\n');
	return 0;
}
