/* SPDX-License-Identifier: GPL-2.0-or-later */
/* vmmig push and plan: the order, the progress bar, the result. Ctrl-C calls the migration off while that is possible. */
#include "config.h"
#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>
#include "common/hostname.h"
#include "common/util.h"
#include "hypervisor/api/hvcall.h"
#include "tools/vmmig_int.h"

/* The order of @op. An option's value is a number, a word, or true. NULL: @err says what is wrong. */
static json_t *order_of(struct cli *v, const char *op, struct err *err)
{
	/* by option; the first are numbers */
	static const char *const keys[] = { "downtime_ms", "bandwidth_mib", "timeout_s", "streams",
		                            "compress",    "converge",      "logdirty",  "suspend",
		                            "persistent",  "verify",        "audit" };
	const unsigned n_numbers = 4;
	_cleanup_json_ json_t *o = json_pack("{s:s, s:s, s:s}", "op", op, "domain", v->arg[0], "host", v->arg[1]);

	if (!o)
		(void)err_set(err, EINVAL, "DOMAIN and HOST have to be UTF-8");
	for (unsigned i = 0; o && i < ARRAY_SIZE(keys); i++) {
		double n = 0;

		if (!cli_opt(v, i))
			continue;
		if (i < n_numbers && cli_opt_number(v, i, 0, 1e15, &n, err) < 0)
			return NULL;
		(void)json_object_set_new(o, keys[i],
		                          i < n_numbers ? json_real(n)
		                          : v->value[i] ? json_string(v->value[i])
		                                        : json_true());
	}
	return steal_ptr(&o);
}

static void show_progress(const json_t *o)
{
	static char last_phase[32];
	char sent[32], left[32], rate[32], bar[23];
	double done = field_num(o, "memory_processed");
	bool tty = isatty(STDOUT_FILENO);

	if (!tty && !strcmp(last_phase, field_text(o, "phase"))) /* one line per phase is enough for a file */
		return;
	snprintf(last_phase, sizeof(last_phase), "%s", field_text(o, "phase"));
	printf("%s%s: %-9s round %.0f %s sent %s, remaining %s, %s/s, dirty %.0f pages/s, ETA %.1f s%s%s",
	       tty ? "\r" : "", field_text(o, "domain"), field_text(o, "phase"), field_num(o, "round"),
	       cli_bar(bar, 20, done, done + field_num(o, "remaining_bytes")),
	       size_format((uint64_t)field_num(o, "sent_bytes"), sent, sizeof(sent)),
	       size_format((uint64_t)field_num(o, "remaining_bytes"), left, sizeof(left)),
	       size_format((uint64_t)field_num(o, "bandwidth_bps"), rate, sizeof(rate)),
	       field_num(o, "dirty_pages_per_s"), field_num(o, "eta_ms") / 1000,
	       field_true(o, "will_not_converge") ? ", will not converge as asked" : "", tty ? "\033[K" : "\n");
	fflush(stdout);
}

/* What a guest takes along because its firmware is of another build than @host's. False: nothing. */
static bool firmware_note(const json_t *o, const char *host, char *dst, size_t len)
{
	char size[32];
	const char *is = field_text(o, "firmware");

	if (field_num(o, "firmware_bytes") <= 0)
		return false;
	size_format((uint64_t)field_num(o, "firmware_bytes"), size, sizeof(size));
	snprintf(dst, len, "%s %s: the guest takes its own along (up to %s while it stands still), until it reboots",
	         host, strcmp(is, "other") ? "does not say which build it has" : "has another build", size);
	return true;
}

static int print_result(struct cli *v, json_t *o)
{
	char sent[32], ram[32], rate[32], note[256];
	const char *status = field_text(o, "status");
	int rc = !strcmp(status, "completed") ? CLI_DONE : !strcmp(status, "cancelled") ? VMMIG_CANCELLED : CLI_FAILED;

	if (v->json) {
		(void)json_object_del(o, "type");
		cli_print_json(v, o);
		return rc;
	}
	if (isatty(STDOUT_FILENO))
		printf("\r\033[K");
	if (rc != CLI_DONE) {
		fflush(stdout);
		fprintf(stderr, "vmmig: %s was not moved to %s: %s\n", v->arg[0], v->arg[1], field_text(o, "error"));
		return rc;
	}
	printf("%s moved from %s to %s in %.0f ms (setup %.0f ms, downtime %.1f ms), %.0f rounds, %s of %s sent at %s/s, writes found by %s\n",
	       v->arg[0], field_text(o, "from"), v->arg[1], field_num(o, "total_ms"), field_num(o, "setup_ms"),
	       field_num(o, "downtime_ms"), field_num(o, "rounds"),
	       size_format((uint64_t)field_num(o, "sent_bytes"), sent, sizeof(sent)),
	       size_format((uint64_t)field_num(o, "ram_bytes"), ram, sizeof(ram)),
	       size_format((uint64_t)field_num(o, "bandwidth_bps"), rate, sizeof(rate)), field_text(o, "logdirty"));
	if (firmware_note(o, v->arg[1], note, sizeof(note))) {
		fflush(stdout);
		fprintf(stderr, "vmmig: note: firmware: %s\n", note);
	}
	return rc;
}

/* Refused before it began, or migrated is not there: the same last line, with what is known. */
static int print_refused(struct cli *v, const char *why)
{
	char from[64] = "";

	if (!v->json) {
		fprintf(stderr, "vmmig: %s\n", why);
		return CLI_FAILED;
	}
	host_name(from, sizeof(from));
	_cleanup_json_ json_t *o = json_pack(
		"{s:s, s:s, s:s, s:s, s:f, s:f, s:f, s:i, s:i, s:i, s:i, s:i, s:i, s:i, s:s, s:n, s:n, s:s, s:s, s:i}",
		"status", "failed", "domain", v->arg[0], "from", from, "to", v->arg[1], "total_ms", 0.0, "setup_ms",
		0.0, "downtime_ms", 0.0, "rounds", 0, "ram_bytes", 0, "sent_bytes", 0, "pages_sent", 0, "pages_zero", 0,
		"bandwidth_bps", 0, "dirty_pages_per_s", 0, "error", why, "steps_ms", "stages", "logdirty", "unknown",
		"firmware", "unknown", "firmware_bytes", 0);
	cli_print_json(v, o);
	return CLI_FAILED;
}

/* Ctrl-C: once asks, twice leaves (the migration goes on). */
static int interrupted(struct jsonconn *c, struct cli *v, int *asked)
{
	struct err err;

	if (vmmig_interrupts > 1 && *asked) {
		fprintf(stderr, "\nvmmig: left; the migration goes on, see `vmmig status %s`\n", v->arg[0]);
		return -EINTR;
	}
	if (*asked)
		return 0;
	*asked = 1;
	return jsonconn_send(c, json_pack("{s:s, s:s}", "op", "cancel", "domain", v->arg[0]), &err);
}

static int follow(struct jsonconn *c, struct cli *v)
{
	struct err err = { 0 };
	int asked = 0;

	for (;;) {
		_cleanup_json_ json_t *o = NULL;
		int r = jsonconn_recv(c, true, &o, &err);
		if (r == -EINTR) {
			if (interrupted(c, v, &asked) < 0)
				return CLI_FAILED;
			continue;
		}
		if (r < 0)
			return print_refused(v, err.text);
		const char *type = field_text(o, "type");
		if (!strcmp(type, "result"))
			return print_result(v, o);
		if (!strcmp(type, "error")) {
			if (!asked)
				return print_refused(v, field_text(o, "error"));
			fprintf(stderr, "\nvmmig: %s\n", field_text(o, "error")); /* too late to cancel */
		} else if (!strcmp(type, "progress")) {
			if (v->json)
				cli_print_json(v, o);
			else
				show_progress(o);
		}
	}
}

/* What does not move: who looks at the guest's screen does so through this host. */
static void tell_viewers(const struct cli *v)
{
	struct hv_display d = { 0 };
	struct hvcall c;

	if (v->json || hvcall_open(&c, v->arg[0], NULL) < 0)
		return;
	c.timeout_ms = 2000; /* a courtesy */
	if (hvcall_simple(&c, HV_OP_DISPLAY, NULL, 0, &d, sizeof(d), NULL) == 0 && d.clients)
		fprintf(stderr, "vmmig: note: %u client%s of %s's screen will be cut; it can be seen on %s then\n",
		        d.clients, d.clients == 1 ? "" : "s", v->arg[0], v->arg[1]);
	hvcall_close(&c);
}

int vmmig_push(struct cli *v, struct err *err)
{
	_cleanup_jsonconn_ struct jsonconn c = { .fd = -1 };
	json_t *order = order_of(v, "push", err);

	if (!order)
		return -CLI_EUSAGE;
	vmmig_catch_signals();
	tell_viewers(v);
	return jsonconn_order(&c, &vmmig_peer, order, err) < 0 ? print_refused(v, err->text) : follow(&c, v);
}

static void print_plan(const json_t *o)
{
	char ram[32], used[32], avail[32], sent[32], rate[32], note[256];

	printf("%s from %s to %s\n", field_text(o, "domain"), field_text(o, "from"), field_text(o, "to"));
	if (!field_true(o, "possible")) {
		printf("  not possible: %s\n", field_text(o, "error"));
		return;
	}
	printf("  memory     %s, %s in use; the target has %s\n",
	       size_format((uint64_t)field_num(o, "ram_bytes"), ram, sizeof(ram)),
	       size_format((uint64_t)field_num(o, "ram_used_bytes"), used, sizeof(used)),
	       size_format((uint64_t)field_num(o, "target_ram_available_bytes"), avail, sizeof(avail)));
	printf("  forecast   %.0f rounds, %.1f s, %s sent, downtime %.0f ms (at %s/s, %.0f pages/s dirtied)\n",
	       field_num(o, "rounds"), field_num(o, "total_ms") / 1000,
	       size_format((uint64_t)field_num(o, "sent_bytes"), sent, sizeof(sent)), field_num(o, "downtime_ms"),
	       size_format((uint64_t)field_num(o, "bandwidth_bps"), rate, sizeof(rate)),
	       field_num(o, "dirty_pages_per_s"));
	printf("  log-dirty  by %s\n", field_text(o, "logdirty"));
	if (firmware_note(o, field_text(o, "to"), note, sizeof(note)))
		printf("  firmware   %s\n", note);
	printf("  %s\n", field_true(o, "converges") ? "possible"
	                                            : "possible, but it will not converge within the asked downtime "
	                                              "unless the guest is slowed down");
}

int vmmig_plan(struct cli *v, struct err *err)
{
	json_t *order = order_of(v, "plan", err);
	_cleanup_json_ json_t *o = NULL;

	if (!order)
		return -CLI_EUSAGE;
	int r = vmmig_ask(order, &o, err);
	if (r < 0)
		return r;
	(void)json_object_del(o, "type");
	if (v->json)
		cli_print_json(v, o);
	else
		print_plan(o);
	return field_true(o, "possible") ? CLI_DONE : CLI_FAILED;
}
