/* SPDX-License-Identifier: GPL-2.0-or-later */
/* vmmig push and plan: the order, the progress bar, the result. Ctrl-C calls the migration off while that is possible. */
#include "config.h"
#include <errno.h>
#include <getopt.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>
#include "common/hostname.h"
#include "common/util.h"
#include "tools/vmmig_int.h"

struct push {
	const char *domain, *host;
	bool json;
	json_t *order;
};

static const char push_help[] =
	"usage: vmmig push DOMAIN HOST [OPTIONS]\n\n"
	"Moves a running domain to HOST while it runs. HOST is a pinned peer (vmmig peers list).\n\n"
	"  --downtime MS        longest pause of the guest to aim for (default 50)\n"
	"  --bandwidth MIB      limit, MiB/s (default: none)\n"
	"  --timeout S          call it off when not done by then (default: none)\n"
	"  --compress HOW       lz4, none (default: lz4 when the link is the bottleneck)\n"
	"  --streams N          connections for guest memory, 1-8 (default: by CPUs)\n"
	"  --converge HOW       when the guest writes faster than the link carries: auto (slow it down, then allow more downtime),\n"
	"                       throttle (slow it down, then give up), fail (give up at once)\n"
	"  --log-dirty HOW      auto, track, hash, stopcopy\n"
	"  --suspend            do not let it run on HOST: it stays paused there\n"
	"  --persistent         store its definition on HOST, too\n"
	"  --verify             compare all memory on both hosts before it runs there (costs downtime)\n"
	"  --audit              prove that no changed page was missed (costs downtime)\n"
	"  --json               progress and result as JSON lines\n\n"
	"Ctrl-C calls it off; the domain runs on here. Exit status: 0 moved, 1 failed, 2 wrong usage, 3 cancelled.\n";
static const char plan_help[] =
	"usage: vmmig plan DOMAIN HOST [--downtime MS] [--bandwidth MIB] [--json]\n\n"
	"Says what would stop a push, and forecasts rounds, time and downtime. Changes nothing.\n"
	"Exit status: 0 possible, 1 not possible, 2 wrong usage.\n";

/* The number after an option, into the order under @key. */
static int set_number(json_t *o, const char *key, const char *text)
{
	char *end;
	double v;

	errno = 0;
	v = strtod(text, &end);
	if (errno || end == text || *end || !(v >= 0)) {
		fprintf(stderr, "vmmig: \"%s\" is not a number\n", text);
		return -EINVAL;
	}
	return json_object_set_new(o, key, json_real(v)) < 0 ? -ENOMEM : 0;
}

static int parse(int argc, char **argv, struct push *p, const char *help)
{
	static const struct option opts[] = {
		{ "downtime", required_argument, NULL, 'd' },
		{ "bandwidth", required_argument, NULL, 'b' },
		{ "timeout", required_argument, NULL, 't' },
		{ "compress", required_argument, NULL, 'c' },
		{ "streams", required_argument, NULL, 'n' },
		{ "converge", required_argument, NULL, 'g' },
		{ "log-dirty", required_argument, NULL, 'l' },
		{ "suspend", no_argument, NULL, 's' },
		{ "persistent", no_argument, NULL, 'p' },
		{ "audit", no_argument, NULL, 'a' },
		{ "verify", no_argument, NULL, 'v' },
		{ "json", no_argument, NULL, 'j' },
		{ "help", no_argument, NULL, 'h' },
		{ 0 },
	};
	int r = 0;

	p->order = json_object();
	for (int c; r == 0 && (c = getopt_long(argc, argv, "h", opts, NULL)) >= 0;) {
		switch (c) {
		case 'd':
			r = set_number(p->order, "downtime_ms", optarg);
			break;
		case 'b':
			r = set_number(p->order, "bandwidth_mib", optarg);
			break;
		case 't':
			r = set_number(p->order, "timeout_s", optarg);
			break;
		case 'n':
			r = set_number(p->order, "streams", optarg);
			break;
		case 'c':
			(void)json_object_set_new(p->order, "compress", json_string(optarg));
			break;
		case 'g':
			(void)json_object_set_new(p->order, "converge", json_string(optarg));
			break;
		case 'l':
			(void)json_object_set_new(p->order, "logdirty", json_string(optarg));
			break;
		case 's':
			(void)json_object_set_new(p->order, "suspend", json_true());
			break;
		case 'p':
			(void)json_object_set_new(p->order, "persistent", json_true());
			break;
		case 'a':
			(void)json_object_set_new(p->order, "audit", json_true());
			break;
		case 'v':
			(void)json_object_set_new(p->order, "verify", json_true());
			break;
		case 'j':
			p->json = true;
			break;
		case 'h':
			fputs(help, stdout);
			return 1;
		default:
			r = -EINVAL;
		}
	}
	if (r == 0 && argc - optind != 2)
		r = -EINVAL;
	if (r < 0) {
		fputs(help, stderr);
		return r;
	}
	p->domain = argv[optind];
	p->host = argv[optind + 1];
	(void)json_object_set_new(p->order, "domain", json_string(p->domain));
	(void)json_object_set_new(p->order, "host", json_string(p->host));
	return 0;
}

static double num(json_t *o, const char *key)
{
	return json_number_value(json_object_get(o, key));
}

static const char *text(json_t *o, const char *key)
{
	const char *s = json_string_value(json_object_get(o, key));

	return s ? s : "";
}

static void bar(json_t *o)
{
	static char last_phase[32];
	char sent[32], left[32], rate[32], fill[21];
	double done = num(o, "memory_processed"), total = done + num(o, "remaining_bytes");
	int n = total > 0 ? (int)(20 * done / total) : 0;
	bool tty = isatty(STDOUT_FILENO);

	if (!tty && !strcmp(last_phase, text(o, "phase"))) /* one line per phase is enough for a file */
		return;
	snprintf(last_phase, sizeof(last_phase), "%s", text(o, "phase"));
	memset(fill, '.', 20);
	memset(fill, '#', (size_t)(n < 0 ? 0 : n > 20 ? 20 : n));
	fill[20] = 0;
	printf("%s%s: %-9s round %.0f [%s] sent %s, remaining %s, %s/s, dirty %.0f pages/s, ETA %.1f s%s%s",
	       tty ? "\r" : "", text(o, "domain"), text(o, "phase"), num(o, "round"), fill,
	       size_format((uint64_t)num(o, "sent_bytes"), sent, sizeof(sent)),
	       size_format((uint64_t)num(o, "remaining_bytes"), left, sizeof(left)),
	       size_format((uint64_t)num(o, "bandwidth_bps"), rate, sizeof(rate)), num(o, "dirty_pages_per_s"),
	       num(o, "eta_ms") / 1000,
	       json_is_true(json_object_get(o, "will_not_converge")) ? ", will not converge as asked" : "",
	       tty ? "\033[K" : "\n");
	fflush(stdout);
}

static int print_result(const struct push *p, json_t *o)
{
	char sent[32], ram[32], rate[32];
	const char *status = text(o, "status");
	int rc = !strcmp(status, "completed") ? EXIT_DONE : !strcmp(status, "cancelled") ? EXIT_CANCELLED : EXIT_FAILED;

	if (p->json) {
		(void)json_object_del(o, "type");
		jsonconn_print(o);
		return rc;
	}
	if (isatty(STDOUT_FILENO))
		printf("\r\033[K");
	if (rc != EXIT_DONE) {
		fflush(stdout);
		fprintf(stderr, "vmmig: %s was not moved to %s: %s\n", p->domain, p->host, text(o, "error"));
		return rc;
	}
	printf("%s moved from %s to %s in %.0f ms (setup %.0f ms, downtime %.1f ms), %.0f rounds, %s of %s sent at %s/s\n",
	       p->domain, text(o, "from"), p->host, num(o, "total_ms"), num(o, "setup_ms"), num(o, "downtime_ms"),
	       num(o, "rounds"), size_format((uint64_t)num(o, "sent_bytes"), sent, sizeof(sent)),
	       size_format((uint64_t)num(o, "ram_bytes"), ram, sizeof(ram)),
	       size_format((uint64_t)num(o, "bandwidth_bps"), rate, sizeof(rate)));
	return rc;
}

/* Refused before it began, or migrated is not there: the same last line, with what is known. */
static int print_refused(const struct push *p, const char *why)
{
	char from[64] = "";

	if (!p->json) {
		fprintf(stderr, "vmmig: %s\n", why);
		return EXIT_FAILED;
	}
	host_name(from, sizeof(from));
	_cleanup_json_ json_t *o =
		json_pack("{s:s, s:s, s:s, s:s, s:f, s:f, s:f, s:i, s:i, s:i, s:i, s:i, s:i, s:i, s:s}", "status",
	                  "failed", "domain", p->domain, "from", from, "to", p->host, "total_ms", 0.0, "setup_ms", 0.0,
	                  "downtime_ms", 0.0, "rounds", 0, "ram_bytes", 0, "sent_bytes", 0, "pages_sent", 0,
	                  "pages_zero", 0, "bandwidth_bps", 0, "dirty_pages_per_s", 0, "error", why);
	jsonconn_print(o);
	return EXIT_FAILED;
}

/* Ctrl-C: once asks, twice leaves (the migration goes on). */
static int interrupted(struct jsonconn *c, const struct push *p, int *asked)
{
	struct err err;

	if (vmmig_interrupts > 1 && *asked) {
		fprintf(stderr, "\nvmmig: left; the migration goes on, see `vmmig status %s`\n", p->domain);
		return -EINTR;
	}
	if (*asked)
		return 0;
	*asked = 1;
	return jsonconn_send(c, json_pack("{s:s, s:s}", "op", "cancel", "domain", p->domain), &err);
}

static int follow(struct jsonconn *c, const struct push *p)
{
	struct err err = { 0 };
	int asked = 0;

	for (;;) {
		_cleanup_json_ json_t *o = NULL;
		int r = jsonconn_recv(c, true, &o, &err);
		if (r == -EINTR) {
			if (interrupted(c, p, &asked) < 0)
				return EXIT_FAILED;
			continue;
		}
		if (r < 0)
			return print_refused(p, err.text);
		const char *type = text(o, "type");
		if (!strcmp(type, "result"))
			return print_result(p, o);
		if (!strcmp(type, "error")) {
			if (!asked)
				return print_refused(p, text(o, "error"));
			fprintf(stderr, "\nvmmig: %s\n", text(o, "error")); /* too late to cancel */
		} else if (!strcmp(type, "progress")) {
			if (p->json)
				jsonconn_print(o);
			else
				bar(o);
		}
	}
}

int vmmig_push(int argc, char **argv)
{
	struct push p = { 0 };
	struct jsonconn c;
	struct err err = { 0 };
	int r = parse(argc, argv, &p, push_help);

	if (r) {
		json_decref(p.order);
		return r < 0 ? EXIT_USAGE : EXIT_DONE;
	}
	(void)json_object_set_new(p.order, "op", json_string("push"));
	vmmig_catch_signals();
	r = jsonconn_open(&c, &vmmig_peer, &err);
	if (r < 0) {
		json_decref(p.order);
		return print_refused(&p, err.text);
	}
	r = jsonconn_send(&c, p.order, &err);
	int rc = r < 0 ? print_refused(&p, err.text) : follow(&c, &p);
	jsonconn_close(&c);
	return rc;
}

static void print_plan(json_t *o)
{
	char ram[32], used[32], avail[32], sent[32], rate[32];

	printf("%s from %s to %s\n", text(o, "domain"), text(o, "from"), text(o, "to"));
	if (!json_is_true(json_object_get(o, "possible"))) {
		printf("  not possible: %s\n", text(o, "error"));
		return;
	}
	printf("  memory     %s, %s in use; the target has %s\n",
	       size_format((uint64_t)num(o, "ram_bytes"), ram, sizeof(ram)),
	       size_format((uint64_t)num(o, "ram_used_bytes"), used, sizeof(used)),
	       size_format((uint64_t)num(o, "target_ram_available_bytes"), avail, sizeof(avail)));
	printf("  forecast   %.0f rounds, %.1f s, %s sent, downtime %.0f ms (at %s/s, %.0f pages/s dirtied)\n",
	       num(o, "rounds"), num(o, "total_ms") / 1000,
	       size_format((uint64_t)num(o, "sent_bytes"), sent, sizeof(sent)), num(o, "downtime_ms"),
	       size_format((uint64_t)num(o, "bandwidth_bps"), rate, sizeof(rate)), num(o, "dirty_pages_per_s"));
	printf("  %s\n", json_is_true(json_object_get(o, "converges"))
	                         ? "possible"
	                         : "possible, but it will not converge within the asked downtime "
	                           "unless the guest is slowed down");
}

int vmmig_plan(int argc, char **argv)
{
	struct push p = { 0 };
	int r = parse(argc, argv, &p, plan_help);

	if (r) {
		json_decref(p.order);
		return r < 0 ? EXIT_USAGE : EXIT_DONE;
	}
	(void)json_object_set_new(p.order, "op", json_string("plan"));
	_cleanup_json_ json_t *o = vmmig_ask(p.order);
	if (!o)
		return EXIT_FAILED;
	bool ok = json_is_true(json_object_get(o, "possible"));
	(void)json_object_del(o, "type");
	if (p.json)
		jsonconn_print(o);
	else
		print_plan(o);
	return ok ? EXIT_DONE : EXIT_FAILED;
}
